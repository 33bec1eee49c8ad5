//! Quotes, checkouts and orders; deciding and paying are commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{
    Answered, CartLine, Checkout, CheckoutRequest, CheckoutState, Order, OrderFilter, OrderState, OutboxRecord, Page,
    Quote, Storage,
};
use dhow_events::{BuyerId, CheckoutId, Currency, Fact, OrderId, Region, SellerId, cloudevents};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fraud::unless_no_model;
use super::persons::check_not_erased;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, etag, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;

/// The header that marks an answer which was given before.
pub(crate) fn replayed(replayed: bool) -> [(HeaderName, &'static str); 1] {
    [(HeaderName::from_static("idempotency-replayed"), if replayed { "true" } else { "false" })]
}

/// A cart to be priced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuoteRequest {
    /// 1 to 1,000 lines.
    #[schema(value_type = Vec<schemas::CartLine>)]
    lines: Vec<CartLine>,
    /// Where the parcel goes; without it only price lists that hold everywhere count.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "NG-LA")]
    delivery_region: Option<Region>,
    /// What is paid in; without it, the currency of the products' own prices.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "USD")]
    currency: Option<Currency>,
}

/// Price a cart, changing nothing.
#[utoipa::path(
    post, path = "/v1/quotes", tag = "commerce", request_body = QuoteRequest,
    responses((status = 200, body = schemas::Quote)),
)]
pub(crate) async fn post_quotes(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<QuoteRequest>,
) -> Result<Json<Quote>, Problem> {
    let QuoteRequest { lines, delivery_region, currency } = &body.value;
    Ok(Json(app.engine.commerce().quote(caller.tenant, lines, *delivery_region, *currency).await?))
}

/// Buy what is in a cart.
///
/// The fraud decision, the orders or the refusal, and the events are written in one transaction. 201: completed, refused,
/// or held until a person has looked at it, see `state`. 202: the payment rail has not answered yet. With an `Idempotency-Key` the same request gives
/// the same answer; with another body the key is refused (422), and while the first is unanswered it waits (409).
#[utoipa::path(
    post, path = "/v1/checkouts", tag = "commerce", request_body = schemas::CheckoutRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = schemas::Checkout), (status = 202, body = schemas::Checkout)),
)]
pub(crate) async fn post_checkouts(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<CheckoutRequest>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/checkouts", &body.bytes)?;
    check_not_erased(&app, caller.tenant, body.value.buyer)?;
    let answered = app.engine.commerce().submit_checkout(caller.tenant, &body.value, key.as_ref()).await;
    let answered = answered.map_err(|error| unless_no_model(&app, caller.tenant, error.into()))?;
    Ok(checkout_answer(answered))
}

/// A checkout with its place: 202 while the payment rail has not answered.
pub(super) fn checkout_answer(answered: Answered<Checkout>) -> Response {
    let (checkout, again) = (answered.value, replayed(answered.replayed));
    let status = match checkout.state {
        CheckoutState::PendingPayment => StatusCode::ACCEPTED,
        CheckoutState::Completed | CheckoutState::Held | CheckoutState::Refused => StatusCode::CREATED,
    };
    let place = [(header::LOCATION, format!("/v1/checkouts/{}", checkout.id))];
    (status, place, again, Json(checkout)).into_response()
}

/// Read a checkout with its orders and payment.
#[utoipa::path(
    get, path = "/v1/checkouts/{id}", tag = "commerce",
    params(("id" = String, Path, description = "The checkout.")),
    responses((status = 200, body = schemas::Checkout)),
)]
pub(crate) async fn get_checkout(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<CheckoutId>,
) -> Result<Json<Checkout>, Problem> {
    let found = app.engine.store().checkout(caller.tenant, id).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(format!("checkout {id}")))
}

/// Which orders.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrderParameters {
    /// Only of this buyer.
    #[param(value_type = Option<String>)]
    buyer: Option<BuyerId>,
    /// Only of this seller.
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// Only in this state: `pending_payment`, `held`, `placed`, `fulfilled` or `cancelled`.
    #[param(value_type = Option<String>)]
    state: Option<OrderState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List orders, newest first.
#[utoipa::path(
    get, path = "/v1/orders", tag = "commerce", params(OrderParameters),
    responses((status = 200, body = schemas::OrderPage)),
)]
pub(crate) async fn get_orders(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<OrderParameters>,
) -> Result<Json<Page<Order>>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), OrderId::KIND.prefix)?;
    let filter = OrderFilter { buyer: parameters.buyer, seller: parameters.seller, state: parameters.state };
    Ok(Json(app.engine.store().orders(caller.tenant, &filter, &page).await?))
}

/// Read an order.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "commerce",
    params(("id" = String, Path, description = "The order.")),
    responses((status = 200, body = schemas::Order)),
)]
pub(crate) async fn get_order(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<OrderId>,
) -> Result<Response, Problem> {
    let order = app.engine.store().order(caller.tenant, id).await?;
    let order = order.ok_or_else(|| Problem::not_found(format!("order {id}")))?;
    Ok(([(header::ETAG, etag(order.version))], Json(order)).into_response())
}

/// Events of a timeline at most; of more the last.
const TIMELINE_EVENTS_MAX: u32 = 2_000;

/// A step of an order's way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineStep {
    /// Its number among the events of the checkout, from 1; those of other orders are left out.
    sequence: i64,
    #[schema(value_type = schemas::CloudEvent)]
    event: serde_json::Value,
}

/// What happened to an order, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineAnswer {
    steps: Vec<TimelineStep>,
}

/// Read what happened to an order: its checkout, score, payment, captures, refunds, as the events that were told of it.
///
/// Events are kept as long as in the feed (`GET /v1/events`): 30 days, or as the server is configured.
#[utoipa::path(
    get, path = "/v1/orders/{id}/timeline", tag = "commerce",
    params(("id" = String, Path, description = "The order.")),
    responses((status = 200, body = TimelineAnswer)),
)]
pub(crate) async fn get_timeline(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<OrderId>,
) -> Result<Json<TimelineAnswer>, Problem> {
    let store = app.engine.store();
    let order = store.order(caller.tenant, id).await?.ok_or_else(|| Problem::not_found(format!("order {id}")))?;
    let told = store.history(caller.tenant, &order.checkout.to_string(), TIMELINE_EVENTS_MAX).await?;
    let is_of_order = |record: &OutboxRecord| match &record.event.fact {
        Fact::OrderPlaced(fact) => fact.order == id,
        Fact::ItemOrdered(fact) => fact.order == id,
        _ => true,
    };
    let step =
        |record: &OutboxRecord| TimelineStep { sequence: record.sequence, event: cloudevents::to_json(&record.event) };
    Ok(Json(TimelineAnswer { steps: told.iter().filter(|record| is_of_order(record)).map(step).collect() }))
}
