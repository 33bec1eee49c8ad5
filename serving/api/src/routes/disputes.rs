//! Disputes of payments: opened, listed, answered, ended; the rail's messages about them come in beside those about payments.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{AfterSaleStorage, Dispute, DisputeChange, DisputeFilter, DisputeInput, DisputeState, Page};
use dhow_events::{DisputeId, PaymentId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use super::returns::{AfterSaleLine, tagged};
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, expected_version, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;

/// A dispute that is opened by hand.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct DisputeRequest {
    payment: String,
    /// The rail's own name for it; a payment has one dispute of each name.
    case: String,
    /// At most what was captured.
    amount: schemas::Money,
    /// `fraudulent`, `not_received`, `not_as_described`, `duplicate`, `refund_not_processed` or `other`.
    reason: String,
    /// Until when evidence is taken.
    respond_by: String,
}

/// A step of a dispute.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct DisputeStepRequest {
    /// `under_review` with the evidence that is sent, `won`, or `lost`, also where it is accepted.
    to: String,
    /// Who does it.
    by: String,
    note: Option<String>,
    /// References of evidence: at most 50 in all, of 500 bytes.
    evidence: Option<Vec<String>>,
}

/// A dispute of a payment.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct DisputeAnswer {
    tenant: String,
    id: String,
    payment: String,
    checkout: String,
    buyer: String,
    rail: String,
    /// The rail's own name for it.
    case: String,
    amount: schemas::Money,
    amount_usd_minor: i64,
    /// What of the payment cannot be refunded because of it.
    held_minor: i64,
    reason: String,
    /// `needs_response`, `under_review`, `won` or `lost`.
    state: String,
    respond_by: String,
    evidence: Vec<String>,
    /// Oldest first.
    timeline: Vec<AfterSaleLine>,
    /// Counts its changes; also its ETag.
    version: i64,
    created_at: String,
    updated_at: String,
}

/// A page of disputes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct DisputePage {
    items: Vec<DisputeAnswer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// Open a dispute of a payment.
///
/// What is disputed cannot be refunded besides. The rail's signed messages open disputes too; one of the same payment and
/// name is answered as it is.
#[utoipa::path(
    post, path = "/v1/disputes", tag = "disputes", request_body = DisputeRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = DisputeAnswer)),
)]
pub(crate) async fn post_disputes(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<DisputeInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/disputes", &body.bytes)?;
    let opened = app.engine.commerce().open_dispute(caller.tenant, &body.value, key.as_ref()).await?;
    let place = [(header::LOCATION, format!("/v1/disputes/{}", opened.value.id))];
    let answer = tagged(opened.value.version, opened.value);
    Ok((StatusCode::CREATED, place, replayed(opened.replayed), answer).into_response())
}

/// Which disputes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DisputeParameters {
    /// Only of this payment.
    #[param(value_type = Option<String>)]
    payment: Option<PaymentId>,
    /// Only in this state.
    #[param(value_type = Option<String>)]
    state: Option<DisputeState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List disputes, newest first.
#[utoipa::path(
    get, path = "/v1/disputes", tag = "disputes", params(DisputeParameters),
    responses((status = 200, body = DisputePage)),
)]
pub(crate) async fn get_disputes(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<DisputeParameters>,
) -> Result<Json<Page<Dispute>>, Problem> {
    let DisputeParameters { payment, state, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), DisputeId::KIND.prefix)?;
    Ok(Json(app.engine.store().disputes(caller.tenant, &DisputeFilter { payment, state }, &page).await?))
}

/// Read a dispute.
#[utoipa::path(
    get, path = "/v1/disputes/{id}", tag = "disputes",
    params(("id" = String, Path, description = "The dispute.")),
    responses((status = 200, body = DisputeAnswer)),
)]
pub(crate) async fn get_dispute(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DisputeId>,
) -> Result<Response, Problem> {
    let found = app.engine.commerce().find_dispute(caller.tenant, id).await?;
    Ok(tagged(found.version, found))
}

/// Send evidence for a dispute, or write how it ended.
///
/// A lost one about fraud labels its checkout, from which the fraud model learns; a won one takes the label back. Evidence
/// is taken until its deadline (409). One that is there already is answered as it is.
#[utoipa::path(
    post, path = "/v1/disputes/{id}/steps", tag = "disputes", request_body = DisputeStepRequest,
    params(
        ("id" = String, Path, description = "The dispute."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
    ),
    responses((status = 200, body = DisputeAnswer)),
)]
pub(crate) async fn post_dispute_steps(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DisputeId>,
    headers: HeaderMap,
    body: JsonBody<DisputeChange>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let moved = app.engine.commerce().move_dispute(caller.tenant, id, expected, &body.value).await?;
    Ok(tagged(moved.version, moved))
}
