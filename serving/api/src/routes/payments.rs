//! Payments in parts, payouts, what the rail tells, and sellers' terms; the rules and the books are commerce's.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{
    Answered, Checkout, Page, Payment, PaymentChange, SellerTerms, SignedNotice, Storage, Transfer, TransferFilter,
    TransferKind, TransferState,
};
use dhow_events::{Currency, Money, OrderId, PaymentId, SellerId, TransferId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::{JSON_TYPE, JsonBody, Parameters, PathId, RawBody, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;

/// A payment with the checkout that it is for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PaymentAnswer {
    /// The checkout.
    checkout: String,
    /// The payment.
    #[schema(value_type = schemas::Payment)]
    payment: Payment,
}

/// How much of a payment is to be captured, voided or refunded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentPart {
    /// How much; all that is left where it is absent.
    #[schema(value_type = Option<schemas::Money>)]
    amount: Option<Money>,
    /// The order that it is for; all of the checkout where it is absent, to each its share of what is left.
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
}

/// A payment, and how much of it is to go back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundRequest {
    /// The payment.
    #[schema(value_type = String)]
    payment: PaymentId,
    /// How much; all that was captured and not refunded where it is absent.
    #[schema(value_type = Option<schemas::Money>)]
    amount: Option<Money>,
    /// The order that it is for; all of the checkout where it is absent, to each its share of what is left.
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
}

/// Who is to be paid what is owed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayoutRequest {
    /// The seller.
    #[schema(value_type = String)]
    seller: SellerId,
    /// The currency of what is owed.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// How much; all that is owed where it is absent.
    #[schema(value_type = Option<schemas::Money>)]
    amount: Option<Money>,
}

/// Which transfers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TransferParameters {
    /// Only of this kind: `capture`, `void`, `refund`, `payout`, `instalment` or `instalment_refund`.
    #[param(value_type = Option<String>)]
    kind: Option<TransferKind>,
    /// Only of this payment.
    #[param(value_type = Option<String>)]
    payment: Option<PaymentId>,
    /// Only paid out to this seller.
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

fn answer(answered: Answered<Transfer>) -> Response {
    let Answered { value, replayed: again } = answered;
    let status = if value.state == TransferState::Pending { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    (status, replayed(again), Json(value)).into_response()
}

async fn change(
    app: &App,
    caller: &Caller,
    payment: PaymentId,
    headers: &HeaderMap,
    (kind, amount, order): (TransferKind, Option<Money>, Option<OrderId>),
    bytes: &[u8],
) -> Result<Response, Problem> {
    let key = idempotency(headers, &format!("POST {kind} {payment}"), bytes)?;
    let change = PaymentChange { kind, order, amount };
    Ok(answer(app.engine.commerce().change_payment(caller.tenant, payment, &change, key.as_ref()).await?))
}

/// Read a payment.
#[utoipa::path(
    get, path = "/v1/payments/{id}", tag = "payments",
    params(("id" = String, Path, description = "The payment.")),
    responses((status = 200, body = PaymentAnswer)),
)]
pub(crate) async fn get_payment(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
) -> Result<Json<PaymentAnswer>, Problem> {
    let found: Option<Checkout> = app.engine.store().payment(caller.tenant, id).await?;
    let found = found.and_then(|checkout| Some((checkout.id.to_string(), checkout.payment?)));
    let (checkout, payment) = found.ok_or_else(|| Problem::not_found(format!("payment {id}")))?;
    Ok(Json(PaymentAnswer { checkout, payment }))
}

/// Capture some or all of an authorised payment.
///
/// 201: done, or `failed` with its reason. 202: the payment rail has not answered yet. Refused (409) where less is left. Each
/// order's commission is taken with its share.
#[utoipa::path(
    post, path = "/v1/payments/{id}/capture", tag = "payments", request_body = PaymentPart,
    params(
        ("id" = String, Path, description = "The payment."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 201, body = schemas::Transfer), (status = 202, body = schemas::Transfer)),
)]
pub(crate) async fn post_capture(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
    headers: HeaderMap,
    body: JsonBody<PaymentPart>,
) -> Result<Response, Problem> {
    let part = (TransferKind::Capture, body.value.amount, body.value.order);
    change(&app, &caller, id, &headers, part, &body.bytes).await
}

/// Give up some or all of what is authorised and not captured; an order that is given up whole is cancelled and its stock
/// comes back.
#[utoipa::path(
    post, path = "/v1/payments/{id}/void", tag = "payments", request_body = PaymentPart,
    params(
        ("id" = String, Path, description = "The payment."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 201, body = schemas::Transfer), (status = 202, body = schemas::Transfer)),
)]
pub(crate) async fn post_void(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
    headers: HeaderMap,
    body: JsonBody<PaymentPart>,
) -> Result<Response, Problem> {
    let part = (TransferKind::Void, body.value.amount, body.value.order);
    change(&app, &caller, id, &headers, part, &body.bytes).await
}

/// Refund some or all of what was captured.
///
/// Refunds under way count as refunded: together they never exceed the capture (409). The commission of what goes back is
/// returned with it.
#[utoipa::path(
    post, path = "/v1/refunds", tag = "payments", request_body = RefundRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = schemas::Transfer), (status = 202, body = schemas::Transfer)),
)]
pub(crate) async fn post_refunds(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<RefundRequest>,
) -> Result<Response, Problem> {
    let RefundRequest { payment, amount, order } = body.value;
    change(&app, &caller, payment, &headers, (TransferKind::Refund, amount, order), &body.bytes).await
}

/// Send a seller what is owed, or some of it; refused (409) where less is owed.
#[utoipa::path(
    post, path = "/v1/payouts", tag = "payments", request_body = PayoutRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = schemas::Transfer), (status = 202, body = schemas::Transfer)),
)]
pub(crate) async fn post_payouts(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<PayoutRequest>,
) -> Result<Response, Problem> {
    let PayoutRequest { seller, currency, amount } = body.value;
    let key = idempotency(&headers, "POST /v1/payouts", &body.bytes)?;
    if let Some(amount) = amount.filter(|amount| amount.currency != currency) {
        let message = format!("is {}; the payout is in {currency}", amount.currency);
        return Err(Problem::invalid([dhow_commerce::FieldProblem::new("/amount/currency", message)]));
    }
    let minor = amount.map(|amount| amount.amount_minor);
    let paid = app.engine.commerce().pay_out(caller.tenant, seller, currency, minor, key.as_ref()).await?;
    Ok(answer(paid))
}

/// List captures, voids, refunds and payouts, newest first.
#[utoipa::path(
    get, path = "/v1/transfers", tag = "payments", params(TransferParameters),
    responses((status = 200, body = schemas::TransferPage)),
)]
pub(crate) async fn get_transfers(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<TransferParameters>,
) -> Result<Json<Page<Transfer>>, Problem> {
    let TransferParameters { kind, payment, seller, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), TransferId::KIND.prefix)?;
    let filter = TransferFilter { kind, payment, seller };
    Ok(Json(app.engine.store().transfers(caller.tenant, &filter, &page).await?))
}

/// Read a capture, void, refund or payout.
#[utoipa::path(
    get, path = "/v1/transfers/{id}", tag = "payments",
    params(("id" = String, Path, description = "The transfer.")),
    responses((status = 200, body = schemas::Transfer)),
)]
pub(crate) async fn get_transfer(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<TransferId>,
) -> Result<Json<Transfer>, Problem> {
    let found = app.engine.store().transfer(caller.tenant, id).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(format!("transfer {id}")))
}

/// Read a seller's plan and contract.
#[utoipa::path(
    get, path = "/v1/sellers/{id}/terms", tag = "payments",
    params(("id" = String, Path, description = "The seller.")),
    responses((status = 200, body = schemas::SellerTerms)),
)]
pub(crate) async fn get_seller_terms(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<SellerId>,
) -> Result<Json<SellerTerms>, Problem> {
    Ok(Json(app.engine.store().seller_terms(caller.tenant, id).await?))
}

/// Set a seller's plan and contract; orders that are made from then on are under it.
#[utoipa::path(
    put, path = "/v1/sellers/{id}/terms", tag = "payments", request_body = schemas::SellerTerms,
    params(("id" = String, Path, description = "The seller.")),
    responses((status = 200, body = schemas::SellerTerms)),
)]
pub(crate) async fn put_seller_terms(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<SellerId>,
    body: JsonBody<SellerTerms>,
) -> Result<Json<SellerTerms>, Problem> {
    Ok(Json(app.engine.commerce().set_seller_terms(caller.tenant, id, body.value).await?))
}

/// Take a payment rail's message, signed by the conventions of Standard Webhooks.
///
/// It needs no key: its signature says who sends it. It may come before the answer of the call that it is about, after it,
/// or more than once. 401 where it is not signed, or too old; the rail sends it again after any other failure.
#[utoipa::path(
    post, path = "/v1/webhooks/payments/{rail}", tag = "payments", request_body = schemas::RailNotice,
    params(
        ("rail" = String, Path, description = "The rail's name."),
        ("webhook-id" = Option<String>, Header, description = "The message's id."),
        ("webhook-timestamp" = Option<String>, Header, description = "When it was sent, in seconds since 1970."),
        ("webhook-signature" = Option<String>, Header, description = "`v1,` and the signature, base64."),
    ),
    responses((status = 204)),
)]
pub(crate) async fn post_notice(
    State(app): State<Shared>,
    Path(rail): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let headers = request.headers().clone();
    let body = RawBody::read(request, &[JSON_TYPE]).await?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = SignedNotice {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        body: &body.bytes,
    };
    app.engine.commerce().take_notice(&rail, &signed).await?;
    Ok(StatusCode::NO_CONTENT)
}
