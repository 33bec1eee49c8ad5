//! Fraud scores for checkouts that are decided elsewhere, and recorded decisions; checkouts of our own are scored in their transaction.

use axum::Json;
use axum::extract::State;
use dhow_commerce::{DecisionKind, DecisionRecord, FieldProblem, FraudAction, FraudCase, PaymentMethod, Storage};
use dhow_engine::{EngineError, FraudHealth};
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{
    AddressId, BuyerId, CardId, CheckoutId, DecisionId, DeviceId, Event, EventId, Money, Region, SessionId, TenantId,
};
use dhow_rules::contains_card_number;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::ModelPart;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::{JsonBody, Parameters, PathId};
use crate::problem::Problem;
use crate::schemas;

/// The weeks of a look at the desk's health where the caller names no number.
const HEALTH_WEEKS: u32 = 8;

/// A checkout to be scored: the fields of the fact `checkout_submitted`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FraudScoreRequest {
    #[schema(value_type = String)]
    buyer: BuyerId,
    /// A fresh one is made where it is absent.
    #[schema(value_type = Option<String>)]
    checkout: Option<CheckoutId>,
    #[schema(value_type = Option<String>)]
    session: Option<SessionId>,
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[schema(value_type = Option<String>)]
    card: Option<CardId>,
    #[schema(value_type = Option<String>)]
    address: Option<AddressId>,
    /// Where the device is.
    #[schema(value_type = String)]
    region: Region,
    /// Where the parcel goes.
    #[schema(value_type = String)]
    delivery_region: Region,
    /// `card`, `bank_transfer`, `mobile_money`, `wallet` or `cash_on_delivery`.
    #[schema(value_type = String)]
    payment_method: PaymentMethod,
    /// Different products.
    line_count: i64,
    quantity: i64,
    #[schema(value_type = schemas::Money)]
    total: Money,
    /// The total in US cents; by today's rate where it is absent.
    total_usd_minor: Option<i64>,
}

/// A checkout's score.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FraudScoreAnswer {
    #[schema(value_type = String)]
    checkout: CheckoutId,
    /// The probability of fraud, calibrated.
    #[schema(minimum = 0, maximum = 1)]
    probability: f64,
    /// `approve`, `review`, `step_up` or `decline`: what costs least, unless a rule or a list says otherwise.
    #[schema(value_type = String)]
    action: FraudAction,
    #[serde(flatten)]
    model: ModelPart,
}

/// Score a checkout.
///
/// The decision is recorded before this answers. A caller that decides by it reports what happened as events.
#[utoipa::path(
    post, path = "/v1/fraud/scores", tag = "fraud",
    request_body = FraudScoreRequest, responses((status = 200, body = FraudScoreAnswer)),
)]
pub(crate) async fn post_fraud_scores(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<FraudScoreRequest>,
) -> Result<Json<FraudScoreAnswer>, Problem> {
    let submitted = submitted(&app, caller.tenant, body.value)?;
    let checkout = submitted.checkout;
    let answer = app.engine.score_checkout(caller.tenant, submitted).await;
    let answer = answer.map_err(|error| unless_no_model(&app, caller.tenant, error.into()))?;
    let (scored, model) = ModelPart::split(answer);
    Ok(Json(FraudScoreAnswer { checkout, probability: scored.probability, action: scored.action, model }))
}

/// A fraud decision with all that it was made of, and its case.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FraudDecisionAnswer {
    /// The record: features as seen, reasons, model; in `answer` the score, the rules' version and what they said.
    #[schema(value_type = schemas::Decision)]
    decision: DecisionRecord,
    /// Where a person was asked to look.
    #[schema(value_type = Option<schemas::FraudCase>, required)]
    case: Option<FraudCase>,
}

/// Read a fraud decision with its case.
#[utoipa::path(
    get, path = "/v1/fraud/decisions/{id}", tag = "fraud",
    params(("id" = String, Path, description = "The decision.")),
    responses((status = 200, body = FraudDecisionAnswer)),
)]
pub(crate) async fn get_fraud_decision(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
) -> Result<Json<FraudDecisionAnswer>, Problem> {
    let found = app.engine.store().decision(caller.tenant, id).await?;
    let decision = found.filter(|record| record.kind == DecisionKind::Fraud);
    let decision = decision.ok_or_else(|| Problem::not_found(format!("fraud decision {id}")))?;
    let case = app.engine.store().fraud_case(caller.tenant, id).await?;
    Ok(Json(FraudDecisionAnswer { decision, case }))
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HealthParameters {
    /// Weeks, this one counted, 1 to 26; 8 where it is absent.
    weeks: Option<u32>,
}

/// Read how the fraud desk has fared, week by week.
///
/// Alert rate, delay of labels, calibration on decisions that are at least 14 days old, the shift of scores from those of the
/// training data, and models that look on beside the one that decides. Labels are as of the lake's last checkpoint.
#[utoipa::path(
    get, path = "/v1/fraud/health", tag = "fraud", params(HealthParameters),
    responses((status = 200, body = schemas::FraudHealth)),
)]
pub(crate) async fn get_fraud_health(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<HealthParameters>,
) -> Result<Json<FraudHealth>, Problem> {
    Ok(Json(app.engine.fraud_health(caller.tenant, parameters.weeks.unwrap_or(HEALTH_WEEKS)).await?))
}

/// Where nothing was scored because no model is in force, the problem that says so.
pub(crate) fn unless_no_model(app: &App, tenant: TenantId, problem: Problem) -> Problem {
    let in_force = app.engine.champions().labels(tenant).iter().any(|(task, _)| *task == "fraud");
    if problem.is_not_scored() && !in_force { EngineError::NoModel { task: "fraud" }.into() } else { problem }
}

fn submitted(app: &App, tenant: TenantId, body: FraudScoreRequest) -> Result<CheckoutSubmitted, Problem> {
    let now = app.engine.clock().now();
    for (pointer, region) in [("/region", body.region), ("/delivery_region", body.delivery_region)] {
        if contains_card_number(region.as_str()) {
            let message = "holds what looks like a card number; card numbers are never stored";
            return Err(Problem::invalid([FieldProblem::new(pointer, message)]));
        }
    }
    let total_usd_minor = match body.total_usd_minor {
        Some(given) => given,
        None => app
            .engine
            .commerce()
            .rates()
            .usd_minor(body.total)
            .map_err(|error| Problem::invalid([FieldProblem::new("/total/currency", error.to_string())]))?,
    };
    let submitted = CheckoutSubmitted {
        buyer: body.buyer,
        checkout: body.checkout.unwrap_or_else(|| CheckoutId::at(now, app.engine.random())),
        session: body.session,
        device: body.device,
        card: body.card,
        address: body.address,
        region: body.region,
        delivery_region: body.delivery_region,
        payment_method: body.payment_method.to_string(),
        line_count: body.line_count,
        quantity: body.quantity,
        total: body.total,
        total_usd_minor,
    };
    // The same ranges as for events, so that nothing is scored that could not have happened.
    let id = EventId::from_u128(submitted.checkout.as_u128());
    let event = Event { id, tenant, event_time: now, fact: submitted.clone().into() };
    event.check_values().map_err(|problem| {
        let pointer = match problem.pointer.as_str() {
            "/data/total_minor" => "/total/amount",
            other => other.strip_prefix("/data").unwrap_or(other),
        };
        Problem::invalid([FieldProblem::new(pointer, problem.message)])
    })?;
    Ok(submitted)
}
