//! Paying later: plans, who may have them, agreements and what is paid of them; the rules are commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{
    Agreement, AgreementFilter, AgreementPart, AgreementState, CheckoutRequest, CommerceError, CreditStorage,
    Eligibility, Page, PayLaterPlan, TransferState,
};
use dhow_credit::{Line, PlanTerms};
use dhow_events::{AgreementId, BuyerId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use super::fraud::unless_no_model;
use super::persons::check_not_erased;
use super::returns::tagged;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, PathText, expected_version, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;

/// What a plan finances in one currency.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct PlanOfferBody {
    #[schema(example = "USD")]
    currency: String,
    /// The least amount; at least 20 minor units for each instalment.
    least_minor: i64,
    most_minor: i64,
    /// A fee beside the rate; 0 where it is absent.
    #[schema(required = false)]
    fixed_fee_minor: i64,
}

/// The terms of a plan.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct PlanTermsBody {
    /// What buyers read, 1 to 100 bytes.
    title: String,
    /// Instalments after the down payment, 1 to 24.
    instalments: u32,
    /// Days from one to the next, 1 to 92.
    interval_days: u32,
    /// The share that is paid at once, in millionths, at most 900,000; 0 where it is absent.
    #[schema(required = false)]
    down_payment_ppm: u32,
    /// The fee, in millionths of what is not paid at once, at most 500,000; 0 where it is absent.
    #[schema(required = false)]
    fee_ppm: u32,
    /// Each currency once, at most 32.
    offers: Vec<PlanOfferBody>,
    /// Whether new agreements may be made of it; true where it is absent.
    #[schema(required = false)]
    offered: bool,
}

/// A plan.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct PlanAnswer {
    tenant: String,
    name: String,
    #[serde(flatten)]
    terms: PlanTermsBody,
    /// Counts its changes; also its ETag.
    version: i64,
    created_at: String,
    updated_at: String,
}

/// The plans by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanList {
    #[schema(value_type = Vec<PlanAnswer>)]
    items: Vec<PayLaterPlan>,
}

/// What is to be paid by when.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct InstalmentBody {
    /// From 1; with a down payment that is the first.
    number: u32,
    due_at: String,
    principal_minor: i64,
    fee_minor: i64,
}

/// Whether and how a cart can be paid later.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct EligibilityAnswer {
    #[serde(flatten)]
    credit: schemas::CreditSummary,
    principal: schemas::Money,
    /// What it costs to pay later.
    fee: schemas::Money,
    schedule: Vec<InstalmentBody>,
}

/// Where an instalment stands.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is answered")]
pub(crate) struct LineBody {
    number: u32,
    due_at: String,
    principal_minor: i64,
    fee_minor: i64,
    /// What of it refunds and waived fees took off.
    lowered_minor: i64,
    paid_minor: i64,
    left_minor: i64,
}

/// An agreement with its schedule as it stands: principal + fee = paid + outstanding + refunded + written off.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgreementAnswer {
    #[schema(value_type = String)]
    id: AgreementId,
    #[schema(value_type = String)]
    buyer: BuyerId,
    checkout: String,
    payment: String,
    /// The plan's name, and its version when it was agreed.
    plan: String,
    plan_version: i64,
    /// The recorded decision that granted it.
    decision: String,
    /// `proposed`, `active`, `late`, `settled`, `defaulted` or `cancelled`.
    #[schema(value_type = String)]
    state: AgreementState,
    currency: String,
    principal_minor: i64,
    fee_minor: i64,
    paid_minor: i64,
    outstanding_minor: i64,
    /// What was refunded, called off or waived, with its share of the fee.
    refunded_minor: i64,
    written_off_minor: i64,
    /// What is due now and not paid.
    due_minor: i64,
    /// What settles all now, without the fees of instalments that are not due yet.
    payoff_minor: i64,
    /// The charge that the rail has not answered.
    #[schema(required)]
    charging: Option<String>,
    /// Charges by the schedule that failed since the last that was done.
    failures: u32,
    /// When something is to be done next.
    #[schema(required, value_type = Option<String>)]
    next_at: Option<Timestamp>,
    #[schema(value_type = Vec<LineBody>)]
    schedule: Vec<Line>,
    /// Counts its changes; also its ETag.
    version: i64,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

impl AgreementAnswer {
    fn new(agreement: &Agreement, now: Timestamp) -> Self {
        let standing = &agreement.standing;
        Self {
            id: agreement.id,
            buyer: agreement.buyer,
            checkout: agreement.checkout.to_string(),
            payment: agreement.payment.to_string(),
            plan: agreement.plan.clone(),
            plan_version: agreement.plan_version,
            decision: agreement.decision.to_string(),
            state: agreement.state,
            currency: agreement.currency.to_string(),
            principal_minor: standing.principal_minor,
            fee_minor: standing.fee_minor,
            paid_minor: standing.kept_minor(),
            outstanding_minor: standing.outstanding_minor(),
            refunded_minor: standing.refunded_minor(),
            written_off_minor: standing.written_off_minor,
            due_minor: agreement.due_minor(now),
            payoff_minor: agreement.payoff_minor(now).0,
            charging: agreement.charging.map(|charge| charge.transfer.to_string()),
            failures: agreement.failures,
            next_at: agreement.next_at,
            schedule: agreement.lines(),
            version: agreement.version,
            created_at: agreement.created_at,
            updated_at: agreement.updated_at,
        }
    }
}

/// A page of agreements.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgreementPage {
    items: Vec<AgreementAnswer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// What is paid of an agreement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgreementPaymentRequest {
    /// `next`: all that is due, or the next instalment where nothing is; `all`: all that is left, without the fees of
    /// instalments that are not due yet.
    #[schema(value_type = String, example = "next")]
    part: AgreementPart,
}

/// List the plans to pay later, by name; a tenant has at most 50.
#[utoipa::path(get, path = "/v1/pay-later/plans", tag = "pay later", responses((status = 200, body = PlanList)))]
pub(crate) async fn get_pay_later_plans(State(app): State<Shared>, caller: Caller) -> Result<Json<PlanList>, Problem> {
    Ok(Json(PlanList { items: app.engine.commerce().pay_later_plans(caller.tenant).await? }))
}

/// Make or change a plan to pay later.
///
/// `If-Match` names the version that is changed; `If-None-Match: *` creates. Agreements keep the terms that they were made
/// with. A plan is never removed; `"offered": false` ends it.
#[utoipa::path(
    put, path = "/v1/pay-later/plans/{name}", tag = "pay later", request_body = PlanTermsBody,
    params(
        ("name" = String, Path, description = "The plan: 1 to 40 small letters, digits, `_` or `-`."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that is changed."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be no such plan yet."),
    ),
    responses((status = 200, body = PlanAnswer)),
)]
pub(crate) async fn put_pay_later_plan(
    State(app): State<Shared>,
    caller: Caller,
    PathText(name): PathText,
    headers: HeaderMap,
    body: JsonBody<PlanTerms>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let plan = match app.engine.commerce().put_pay_later_plan(caller.tenant, &name, &body.value, expected).await {
        Ok(plan) => plan,
        Err(CommerceError::StaleVersion { found: None, .. }) => {
            return Err(Problem::not_found(format!("plan {name}")));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(tagged(plan.version, plan))
}

/// Ask whether and how a cart can be paid later, reserving nothing.
///
/// The body is the checkout's, with `"payment_method": "pay_later"` and a plan. The decision is recorded with its reasons: a
/// score card's points, which sum with its base to the score, over the fraud model's features and what the buyer paid of
/// agreements before.
#[utoipa::path(
    post, path = "/v1/pay-later/eligibility", tag = "pay later", request_body = schemas::CheckoutRequest,
    responses((status = 200, body = EligibilityAnswer)),
)]
pub(crate) async fn post_pay_later_eligibility(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<CheckoutRequest>,
) -> Result<Json<Eligibility>, Problem> {
    check_not_erased(&app, caller.tenant, body.value.buyer)?;
    let told = app.engine.commerce().pay_later_eligibility(caller.tenant, &body.value).await;
    told.map(Json).map_err(|error| unless_no_model(&app, caller.tenant, error.into()))
}

/// Which agreements.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgreementParameters {
    /// Only of this buyer.
    #[param(value_type = Option<String>)]
    buyer: Option<BuyerId>,
    /// Only in this state.
    #[param(value_type = Option<String>)]
    state: Option<AgreementState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List agreements to pay later, newest first.
#[utoipa::path(
    get, path = "/v1/pay-later/agreements", tag = "pay later", params(AgreementParameters),
    responses((status = 200, body = AgreementPage)),
)]
pub(crate) async fn get_agreements(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<AgreementParameters>,
) -> Result<Json<AgreementPage>, Problem> {
    let AgreementParameters { buyer, state, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), AgreementId::KIND.prefix)?;
    let filter = AgreementFilter { buyer, state };
    let Page { items, next } = app.engine.store().agreements(caller.tenant, &filter, &page).await?;
    let now = app.engine.clock().now();
    Ok(Json(AgreementPage { items: items.iter().map(|one| AgreementAnswer::new(one, now)).collect(), next }))
}

/// Read an agreement with its schedule as it stands.
#[utoipa::path(
    get, path = "/v1/pay-later/agreements/{id}", tag = "pay later",
    params(("id" = String, Path, description = "The agreement.")),
    responses((status = 200, body = AgreementAnswer)),
)]
pub(crate) async fn get_agreement(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AgreementId>,
) -> Result<Response, Problem> {
    let found = app.engine.commerce().find_agreement(caller.tenant, id).await?;
    Ok(tagged(found.version, AgreementAnswer::new(&found, app.engine.clock().now())))
}

/// Pay what is due of an agreement, its next instalment, or all of it.
///
/// The buyer's card is charged now: 201 done or failed, see `state`; 202 while the rail has not answered. One charge is under
/// way at a time (409).
#[utoipa::path(
    post, path = "/v1/pay-later/agreements/{id}/payments", tag = "pay later", request_body = AgreementPaymentRequest,
    params(
        ("id" = String, Path, description = "The agreement."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 201, body = schemas::Transfer), (status = 202, body = schemas::Transfer)),
)]
pub(crate) async fn post_agreement_payments(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<AgreementId>,
    headers: HeaderMap,
    body: JsonBody<AgreementPaymentRequest>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST payments {id}"), &body.bytes)?;
    let paid = app.engine.commerce().pay_agreement(caller.tenant, id, body.value.part, key.as_ref()).await?;
    let pending = paid.value.state == TransferState::Pending;
    let status = if pending { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    let place = [(header::LOCATION, format!("/v1/transfers/{}", paid.value.id))];
    Ok((status, place, replayed(paid.replayed), Json(paid.value)).into_response())
}
