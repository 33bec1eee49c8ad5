//! Returns and claims: opened, listed, brought on, settled; their rules are commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{
    AfterSaleStorage, Page, Return, ReturnChange, ReturnFilter, ReturnInput, ReturnSettlement, ReturnState,
};
use dhow_events::{BuyerId, OrderId, ReturnId, SellerId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, etag, expected_version, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;

/// Units of a product.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct UnitsBody {
    product: String,
    /// Units, from 1.
    quantity: i64,
}

/// A return or a claim that is asked for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct ReturnRequest {
    order: String,
    /// `return`, whose goods come back, or `claim`, whose goods do not.
    kind: String,
    /// `buyer` or `seller`.
    opened_by: String,
    /// `changed_mind`, `not_as_described`, `defective`, `damaged`, `wrong_item` or `not_received`; of a claim one of the last three.
    reason: String,
    /// In words; at most 2,000 bytes.
    note: Option<String>,
    /// References of pictures and documents that are kept elsewhere: at most 50 in all, of 500 bytes.
    evidence: Option<Vec<String>>,
    /// Each product of the order at most once.
    lines: Vec<UnitsBody>,
}

/// What an inspection found of a line.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct InspectedBody {
    product: String,
    /// Units that are to be settled.
    accepted: i64,
    /// Units that go back into stock.
    restocked: i64,
}

/// A step of a return.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct ReturnStepRequest {
    /// `approved`, `declined`, `in_transit`, `received`, `inspected` or `closed`.
    to: String,
    /// Who does it.
    by: String,
    note: Option<String>,
    /// More references of evidence.
    evidence: Option<Vec<String>>,
    /// With the step to `inspected`: each line of the return once.
    inspected: Option<Vec<InspectedBody>>,
}

/// How what was accepted is settled.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct SettlementBody {
    /// `refund`, `credit_note` or `replacement`.
    method: String,
    /// Of a refund or a credit note: how much; all that is left where it is absent.
    amount: Option<schemas::Money>,
    /// Of a replacement: what goes out; the accepted units once more where it is absent.
    units: Option<Vec<UnitsBody>>,
}

/// A settlement, and who makes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettlementRequest {
    /// Who settles.
    by: String,
    /// How.
    #[schema(value_type = SettlementBody)]
    settlement: ReturnSettlement,
}

/// A line of a return.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct ReturnLineAnswer {
    product: String,
    quantity: i64,
    /// What one cost.
    unit_price_minor: i64,
    amount_usd_minor: i64,
    /// Units that are to be settled; 0 before the inspection or a claim's approval.
    accepted: i64,
    /// Units that went back into stock.
    restocked: i64,
    /// Units that had not been shipped when it was opened; they are not shipped any more.
    called_off: i64,
}

/// A line of a timeline.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct AfterSaleLine {
    at: String,
    /// The state that was come to, or what was settled.
    what: String,
    /// Who did it; null where it followed by itself.
    #[schema(required)]
    by: Option<String>,
    note: String,
}

/// A return or a claim.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct ReturnAnswer {
    tenant: String,
    id: String,
    order: String,
    checkout: String,
    payment: String,
    buyer: String,
    seller: String,
    /// `return` or `claim`.
    kind: String,
    /// `buyer` or `seller`.
    opened_by: String,
    reason: String,
    /// `requested`, `approved`, `declined`, `in_transit`, `received`, `inspected`, `refunded`, `replaced` or `closed`.
    state: String,
    evidence: Vec<String>,
    lines: Vec<ReturnLineAnswer>,
    currency: String,
    /// Refunds that were asked for and have not failed, credit notes included.
    refund_asked_minor: i64,
    /// Refunds that are done, credit notes included.
    refunded_minor: i64,
    /// What of the refunded is a credit note.
    credited_minor: i64,
    /// What a replacement settled.
    replaced_minor: i64,
    /// Units that went out in their place.
    replacement: Vec<UnitsBody>,
    /// Oldest first; at most 200 steps of people.
    timeline: Vec<AfterSaleLine>,
    /// Counts its changes; also its ETag.
    version: i64,
    created_at: String,
    updated_at: String,
}

/// A page of returns.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct ReturnPage {
    items: Vec<ReturnAnswer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// A value under its ETag.
pub(super) fn tagged<T: Serialize>(version: i64, value: T) -> Response {
    ([(header::ETAG, etag(version))], Json(value)).into_response()
}

/// Open a return or a claim.
///
/// Of units of an order that was placed; together, no more units are on returns than were bought (409). Units of one that is
/// declined, or closed with nothing settled, can be asked for again. With an `Idempotency-Key` the same request opens one.
#[utoipa::path(
    post, path = "/v1/returns", tag = "returns", request_body = ReturnRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = ReturnAnswer)),
)]
pub(crate) async fn post_returns(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<ReturnInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/returns", &body.bytes)?;
    let opened = app.engine.commerce().open_return(caller.tenant, &body.value, key.as_ref()).await?;
    let place = [(header::LOCATION, format!("/v1/returns/{}", opened.value.id))];
    let answer = tagged(opened.value.version, opened.value);
    Ok((StatusCode::CREATED, place, replayed(opened.replayed), answer).into_response())
}

/// Which returns.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReturnParameters {
    /// Only of this order.
    #[param(value_type = Option<String>)]
    order: Option<OrderId>,
    /// Only of this buyer.
    #[param(value_type = Option<String>)]
    buyer: Option<BuyerId>,
    /// Only of this seller.
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// Only in this state.
    #[param(value_type = Option<String>)]
    state: Option<ReturnState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List returns and claims, newest first.
#[utoipa::path(
    get, path = "/v1/returns", tag = "returns", params(ReturnParameters),
    responses((status = 200, body = ReturnPage)),
)]
pub(crate) async fn get_returns(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<ReturnParameters>,
) -> Result<Json<Page<Return>>, Problem> {
    let ReturnParameters { order, buyer, seller, state, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), ReturnId::KIND.prefix)?;
    let filter = ReturnFilter { order, buyer, seller, state };
    Ok(Json(app.engine.store().returns(caller.tenant, &filter, &page).await?))
}

/// Read a return or a claim.
#[utoipa::path(
    get, path = "/v1/returns/{id}", tag = "returns",
    params(("id" = String, Path, description = "The return.")),
    responses((status = 200, body = ReturnAnswer)),
)]
pub(crate) async fn get_return(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReturnId>,
) -> Result<Response, Problem> {
    let found = app.engine.commerce().find_return(caller.tenant, id).await?;
    Ok(tagged(found.version, found))
}

/// Bring a return on.
///
/// Approve or decline it, say that the goods were sent or came back, write what an inspection found, or close it. A return
/// that is there already is answered as it is; 409 where the step does not follow, 412 where the version is another.
#[utoipa::path(
    post, path = "/v1/returns/{id}/steps", tag = "returns", request_body = ReturnStepRequest,
    params(
        ("id" = String, Path, description = "The return."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
    ),
    responses((status = 200, body = ReturnAnswer)),
)]
pub(crate) async fn post_return_steps(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReturnId>,
    headers: HeaderMap,
    body: JsonBody<ReturnChange>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let moved = app.engine.commerce().move_return(caller.tenant, id, expected, &body.value).await?;
    Ok(tagged(moved.version, moved))
}

/// Settle what was accepted of a return, or a part of it.
///
/// By a refund the way the money came, a credit note, or a replacement from stock. Together never more than what was paid
/// for the accepted units, nor than was captured (409). A refund may be under way in the answer: the return reads `refunded`
/// when it is done. With an `Idempotency-Key` the same request settles once.
#[utoipa::path(
    post, path = "/v1/returns/{id}/settlements", tag = "returns", request_body = SettlementRequest,
    params(
        ("id" = String, Path, description = "The return."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 200, body = ReturnAnswer)),
)]
pub(crate) async fn post_settlements(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ReturnId>,
    headers: HeaderMap,
    body: JsonBody<SettlementRequest>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST /v1/returns/{id}/settlements"), &body.bytes)?;
    let expected = expected_version(&headers)?;
    let SettlementRequest { by, settlement } = &body.value;
    let commerce = app.engine.commerce();
    let settled = commerce.settle_return(caller.tenant, id, expected, (settlement, by), key.as_ref()).await?;
    Ok((replayed(settled.replayed), tagged(settled.value.version, settled.value)).into_response())
}
