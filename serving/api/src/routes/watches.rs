//! Saved searches and price alerts: made, read and removed; what they tell of stands in the feed and goes to webhooks.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{Page, PriceAlert, PriceAlertInput, SavedSearch, SavedSearchInput, WatchStorage};
use dhow_events::{BuyerId, PriceAlertId, SavedSearchId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::checkouts::replayed;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, idempotency, page_request};
use crate::problem::Problem;
use crate::watch_schemas;

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WatchParameters {
    /// Only of this buyer.
    #[param(value_type = Option<String>)]
    buyer: Option<BuyerId>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Save a search.
///
/// When a product comes to answer it for the first time after this, because it is new or because it changed, the event
/// `saved_search_matched` is told once. A product answers that has all the words and passes the filters; words are read as
/// `GET /v1/search` reads them, and none is mended. A buyer may have 50 saved searches, a marketplace 10,000.
#[utoipa::path(
    post, path = "/v1/saved-searches", tag = "watches", request_body = watch_schemas::SavedSearchInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = watch_schemas::SavedSearch)),
)]
pub(crate) async fn post_saved_searches(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<SavedSearchInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/saved-searches", &body.bytes)?;
    let saved = app.engine.save_search(caller.tenant, &body.value, key.as_ref()).await?;
    Ok((StatusCode::CREATED, replayed(saved.replayed), Json(saved.value)).into_response())
}

/// List saved searches, newest first.
#[utoipa::path(
    get, path = "/v1/saved-searches", tag = "watches", params(WatchParameters),
    responses((status = 200, body = watch_schemas::SavedSearchPage)),
)]
pub(crate) async fn get_saved_searches(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<WatchParameters>,
) -> Result<Json<Page<SavedSearch>>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), SavedSearchId::KIND.prefix)?;
    Ok(Json(app.engine.store().saved_searches(caller.tenant, parameters.buyer, &page).await?))
}

/// Read a saved search.
#[utoipa::path(
    get, path = "/v1/saved-searches/{id}", tag = "watches",
    params(("id" = String, Path, description = "The saved search.")),
    responses((status = 200, body = watch_schemas::SavedSearch)),
)]
pub(crate) async fn get_saved_search(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<SavedSearchId>,
) -> Result<Json<SavedSearch>, Problem> {
    Ok(Json(app.engine.commerce().saved_search(caller.tenant, id).await?))
}

/// Remove a saved search.
#[utoipa::path(
    delete, path = "/v1/saved-searches/{id}", tag = "watches",
    params(("id" = String, Path, description = "The saved search.")),
    responses((status = 204)),
)]
pub(crate) async fn delete_saved_search(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<SavedSearchId>,
) -> Result<StatusCode, Problem> {
    app.engine.commerce().delete_saved_search(caller.tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Wait for a price.
///
/// When the product's price next falls below, from a price that was not below or because the product comes on offer again,
/// the event `price_alert_triggered` is told once; the alert then stays until it is removed and tells no more. A buyer may
/// have 200 price alerts, a marketplace 100,000.
#[utoipa::path(
    post, path = "/v1/price-alerts", tag = "watches", request_body = watch_schemas::PriceAlertInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = watch_schemas::PriceAlert)),
)]
pub(crate) async fn post_price_alerts(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<PriceAlertInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/price-alerts", &body.bytes)?;
    let made = app.engine.make_price_alert(caller.tenant, &body.value, key.as_ref()).await?;
    Ok((StatusCode::CREATED, replayed(made.replayed), Json(made.value)).into_response())
}

/// List price alerts, newest first.
#[utoipa::path(
    get, path = "/v1/price-alerts", tag = "watches", params(WatchParameters),
    responses((status = 200, body = watch_schemas::PriceAlertPage)),
)]
pub(crate) async fn get_price_alerts(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<WatchParameters>,
) -> Result<Json<Page<PriceAlert>>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), PriceAlertId::KIND.prefix)?;
    Ok(Json(app.engine.store().price_alerts(caller.tenant, parameters.buyer, &page).await?))
}

/// Read a price alert.
#[utoipa::path(
    get, path = "/v1/price-alerts/{id}", tag = "watches",
    params(("id" = String, Path, description = "The price alert.")),
    responses((status = 200, body = watch_schemas::PriceAlert)),
)]
pub(crate) async fn get_price_alert(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PriceAlertId>,
) -> Result<Json<PriceAlert>, Problem> {
    Ok(Json(app.engine.commerce().price_alert(caller.tenant, id).await?))
}

/// Remove a price alert.
#[utoipa::path(
    delete, path = "/v1/price-alerts/{id}", tag = "watches",
    params(("id" = String, Path, description = "The price alert.")),
    responses((status = 204)),
)]
pub(crate) async fn delete_price_alert(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PriceAlertId>,
) -> Result<StatusCode, Problem> {
    app.engine.commerce().delete_price_alert(caller.tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
