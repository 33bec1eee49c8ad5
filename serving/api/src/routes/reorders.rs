//! Reorder proposals: made from forecasts and stock, approved within budgets, ordered, received.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dhow_commerce::{Page, ReorderBudgets, ReorderChange, ReorderProposal, ReorderState, Storage};
use dhow_engine::{ReorderItem, Service};
use dhow_events::{Money, ProductId, ReorderId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::{JsonBody, Parameters, PathId, page_request};
use crate::problem::Problem;
use crate::schemas;

/// Days between two looks at the stock where the request does not say.
const REVIEW_DAYS_DEFAULT: u32 = 7;
/// The probability of meeting demand where the request does not say.
const SERVICE_LEVEL_DEFAULT: f64 = 0.95;

/// A product that may be ordered. What is not given here is taken from the request as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReorderItemRequest {
    #[schema(value_type = String)]
    product: ProductId,
    /// What a unit costs.
    #[schema(value_type = schemas::Money)]
    unit_cost: Money,
    /// Units that the supplier sells together; 1 where it is absent.
    pack_units: Option<i64>,
    /// Fewest units of an order; 1 where it is absent.
    minimum_units: Option<i64>,
    /// Days between order and arrival.
    lead_days: Option<u32>,
    /// Days until stock is looked at again.
    review_days: Option<u32>,
    /// The probability of meeting all demand until the next order arrives.
    service_level: Option<f64>,
}

/// What may be ordered, and how surely demand is to be met.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReorderRequest {
    /// From 1 to 1,000 products.
    items: Vec<ReorderItemRequest>,
    /// Days between order and arrival; with the review days at most 90.
    lead_days: u32,
    /// Days until stock is looked at again; 7 where it is absent.
    review_days: Option<u32>,
    /// The probability of meeting all demand until the next order arrives; 0.95 where it is absent.
    service_level: Option<f64>,
}

/// A product whose stock suffices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CoveredAnswer {
    #[schema(value_type = String)]
    product: ProductId,
    /// On hand, less what is promised, plus what is on its way.
    position_units: i64,
    /// The level that it would be raised to.
    order_up_to_units: i64,
}

/// A product that the budget left nothing for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CutAnswer {
    #[schema(value_type = String)]
    product: ProductId,
    /// Units that would be ordered without a budget.
    wanted_units: i64,
}

/// A product without a forecast.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnknownAnswer {
    #[schema(value_type = String)]
    product: ProductId,
    /// Why.
    reason: String,
}

/// What came of it: each product asked for stands in one of the lists.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReorderAnswer {
    /// Stored; they wait for a person.
    #[schema(value_type = Vec<schemas::ReorderProposal>)]
    proposed: Vec<ReorderProposal>,
    covered: Vec<CoveredAnswer>,
    cut: Vec<CutAnswer>,
    unknown: Vec<UnknownAnswer>,
}

/// Which proposals.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReorderParameters {
    /// Only in this state: `proposed`, `superseded`, `rejected`, `approved`, `ordered` or `received`.
    #[param(value_type = Option<String>)]
    state: Option<ReorderState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Who decides, with what words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReorderChangeRequest {
    /// The person, 1 to 100 bytes.
    person: String,
    /// At most 1,000 bytes.
    #[serde(default)]
    #[schema(required = false)]
    note: String,
    /// With an approval, other units than proposed; with a receipt, the units that arrived.
    units: Option<i64>,
}

/// Propose what to order.
///
/// The level of each product covers the demand of lead time and review time with the service level, from the forecast's
/// distribution; what is missing is rounded up to packs and the minimum. Where budgets are set, money goes where it saves most
/// lost margin. An earlier proposal for a product that still waits is superseded.
#[utoipa::path(
    post, path = "/v1/reorder-proposals", tag = "planning", request_body = ReorderRequest,
    responses((status = 201, body = ReorderAnswer)),
)]
pub(crate) async fn post_reorders(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<ReorderRequest>,
) -> Result<(StatusCode, Json<ReorderAnswer>), Problem> {
    let ReorderRequest { items, lead_days, review_days, service_level } = body.value;
    let item = |item: ReorderItemRequest| ReorderItem {
        product: item.product,
        unit_cost: item.unit_cost,
        pack_units: item.pack_units.unwrap_or(1),
        minimum_units: item.minimum_units.unwrap_or(1),
        lead_days: item.lead_days.unwrap_or(lead_days),
        review_days: item.review_days.or(review_days).unwrap_or(REVIEW_DAYS_DEFAULT),
        service: Service::Level(item.service_level.or(service_level).unwrap_or(SERVICE_LEVEL_DEFAULT)),
    };
    let items: Vec<ReorderItem> = items.into_iter().map(item).collect();
    let made = app.engine.propose_reorders(caller.tenant, &items).await?;
    let covered =
        |(product, position_units, order_up_to_units)| CoveredAnswer { product, position_units, order_up_to_units };
    let answer = ReorderAnswer {
        proposed: made.proposed,
        covered: made.covered.into_iter().map(covered).collect(),
        cut: made.cut.into_iter().map(|(product, wanted_units)| CutAnswer { product, wanted_units }).collect(),
        unknown: made.unknown.into_iter().map(|(product, reason)| UnknownAnswer { product, reason }).collect(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// List proposals, newest first.
#[utoipa::path(
    get, path = "/v1/reorder-proposals", tag = "planning", params(ReorderParameters),
    responses((status = 200, body = schemas::ReorderPage)),
)]
pub(crate) async fn get_reorders(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<ReorderParameters>,
) -> Result<Json<Page<ReorderProposal>>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), ReorderId::KIND.prefix)?;
    Ok(Json(app.engine.store().reorders(caller.tenant, parameters.state, &page).await?))
}

/// Read a proposal with its history.
#[utoipa::path(
    get, path = "/v1/reorder-proposals/{id}", tag = "planning",
    params(("id" = String, Path, description = "The proposal.")),
    responses((status = 200, body = schemas::ReorderProposal)),
)]
pub(crate) async fn get_reorder(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReorderId>,
) -> Result<Json<ReorderProposal>, Problem> {
    let found = app.engine.store().reorder(caller.tenant, id).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(format!("reorder proposal {id}")))
}

/// Approve a proposal; refused (409) where its cost would go beyond a budget.
///
/// Where its cost takes several people it stays `proposed` until enough of them agreed, each once; other units take back who
/// agreed before.
#[utoipa::path(
    post, path = "/v1/reorder-proposals/{id}/approve", tag = "planning", request_body = ReorderChangeRequest,
    params(("id" = String, Path, description = "The proposal.")),
    responses((status = 200, body = schemas::ReorderProposal)),
)]
pub(crate) async fn post_approve(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReorderId>,
    body: JsonBody<ReorderChangeRequest>,
) -> Result<Json<ReorderProposal>, Problem> {
    change(&app, caller.tenant, id, ReorderState::Approved, body.value).await
}

/// Reject a proposal, or call off one that was approved or ordered.
#[utoipa::path(
    post, path = "/v1/reorder-proposals/{id}/reject", tag = "planning", request_body = ReorderChangeRequest,
    params(("id" = String, Path, description = "The proposal.")),
    responses((status = 200, body = schemas::ReorderProposal)),
)]
pub(crate) async fn post_reject(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReorderId>,
    body: JsonBody<ReorderChangeRequest>,
) -> Result<Json<ReorderProposal>, Problem> {
    change(&app, caller.tenant, id, ReorderState::Rejected, body.value).await
}

/// Say that an approved proposal was sent to the supplier.
#[utoipa::path(
    post, path = "/v1/reorder-proposals/{id}/order", tag = "planning", request_body = ReorderChangeRequest,
    params(("id" = String, Path, description = "The proposal.")),
    responses((status = 200, body = schemas::ReorderProposal)),
)]
pub(crate) async fn post_order(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReorderId>,
    body: JsonBody<ReorderChangeRequest>,
) -> Result<Json<ReorderProposal>, Problem> {
    change(&app, caller.tenant, id, ReorderState::Ordered, body.value).await
}

/// Say that an order arrived: its units, or those given, are added to the stock.
#[utoipa::path(
    post, path = "/v1/reorder-proposals/{id}/receive", tag = "planning", request_body = ReorderChangeRequest,
    params(("id" = String, Path, description = "The proposal.")),
    responses((status = 200, body = schemas::ReorderProposal)),
)]
pub(crate) async fn post_receive(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReorderId>,
    body: JsonBody<ReorderChangeRequest>,
) -> Result<Json<ReorderProposal>, Problem> {
    change(&app, caller.tenant, id, ReorderState::Received, body.value).await
}

async fn change(
    app: &App,
    tenant: TenantId,
    id: ReorderId,
    to: ReorderState,
    request: ReorderChangeRequest,
) -> Result<Json<ReorderProposal>, Problem> {
    let ReorderChangeRequest { person, note, units } = request;
    let change = ReorderChange { to, person, note, units };
    Ok(Json(app.engine.commerce().change_reorder(tenant, id, &change).await?))
}

/// Read what may be spent.
#[utoipa::path(
    get, path = "/v1/reorder-budgets", tag = "planning", responses((status = 200, body = schemas::ReorderBudgets)),
)]
pub(crate) async fn get_budgets(State(app): State<Shared>, caller: Caller) -> Result<Json<ReorderBudgets>, Problem> {
    Ok(Json(app.engine.store().reorder_budgets(caller.tenant).await?))
}

/// Set what may be spent on approved proposals in a UTC day, a week from Monday, and a month, and who is to approve what.
#[utoipa::path(
    put, path = "/v1/reorder-budgets", tag = "planning", request_body = schemas::ReorderBudgets,
    responses((status = 200, body = schemas::ReorderBudgets)),
)]
pub(crate) async fn put_budgets(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<ReorderBudgets>,
) -> Result<Json<ReorderBudgets>, Problem> {
    app.engine.commerce().set_reorder_budgets(caller.tenant, &body.value).await?;
    Ok(Json(body.value))
}
