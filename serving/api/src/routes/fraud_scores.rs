//! Scores of checkouts, payments, accounts and returns that are decided elsewhere; checkouts of our own are scored in their transaction.

use axum::Json;
use axum::extract::State;
use dhow_commerce::{FieldProblem, FraudAction, FraudDecision, PaymentMethod};
use dhow_engine::{Answer, RiskQuestion};
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{
    AddressId, BuyerId, CardId, CheckoutId, DeviceId, Event, EventId, Money, OrderId, PaymentId, Region, SessionId,
    TenantId,
};
use dhow_rules::contains_card_number;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::ModelPart;
use super::fraud::unless_no_model;
use super::persons::check_not_erased;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::{JsonBody, parse_json};
use crate::problem::Problem;
use crate::schemas;

/// What is to be scored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScoredKind {
    /// A checkout: is it fraud of any kind? Also where no kind is given.
    #[default]
    Order,
    /// A payment by card: does it find out whether the card works?
    Payment,
    /// An account that somebody uses: is it somebody else than its owner?
    Account,
    /// An order that is to be returned: was it made for that?
    Return,
}

/// The field that says which of the four requests a body is.
#[derive(Debug, Deserialize)]
pub(crate) struct AskedKind {
    #[serde(default)]
    kind: ScoredKind,
}

/// A checkout to be scored: the fields of the fact `checkout_submitted`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderScoreRequest {
    /// `order`, also where it is absent.
    #[serde(default, rename = "kind")]
    #[schema(value_type = String, required = false)]
    _kind: ScoredKind,
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

/// A payment by card to be scored for card testing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentScoreRequest {
    /// `payment`.
    #[serde(rename = "kind")]
    #[schema(value_type = String)]
    _kind: ScoredKind,
    #[schema(value_type = String)]
    buyer: BuyerId,
    /// The decision is recorded under it; under the buyer where it is absent.
    #[schema(value_type = Option<String>)]
    payment: Option<PaymentId>,
    #[schema(value_type = String)]
    card: CardId,
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Where the device is.
    #[schema(value_type = String)]
    region: Region,
    #[schema(value_type = schemas::Money)]
    amount: Money,
    /// The amount in US cents; by today's rate where it is absent.
    amount_usd_minor: Option<i64>,
}

/// An account to be scored for takeover.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountScoreRequest {
    /// `account`.
    #[serde(rename = "kind")]
    #[schema(value_type = String)]
    _kind: ScoredKind,
    #[schema(value_type = String)]
    buyer: BuyerId,
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Where the device is.
    #[schema(value_type = String)]
    region: Region,
}

/// A return to be scored for return abuse.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReturnScoreRequest {
    /// `return`.
    #[serde(rename = "kind")]
    #[schema(value_type = String)]
    _kind: ScoredKind,
    #[schema(value_type = String)]
    buyer: BuyerId,
    /// The decision is recorded under it; under the buyer where it is absent.
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
    /// What the order was worth.
    #[schema(value_type = schemas::Money)]
    amount: Money,
    /// The amount in US cents; by today's rate where it is absent.
    amount_usd_minor: Option<i64>,
}

/// What is to be scored, by its `kind`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the body, which is read as one of the four when its kind is known")]
pub(crate) enum FraudScoreRequest {
    Order(OrderScoreRequest),
    Payment(PaymentScoreRequest),
    Account(AccountScoreRequest),
    Return(ReturnScoreRequest),
}

/// A score.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FraudScoreAnswer {
    /// `order`, `payment`, `account` or `return`.
    #[schema(value_type = String)]
    kind: ScoredKind,
    /// What it is scored for: `fraud` of any kind, `card_testing`, `account_takeover` or `return_abuse`.
    risk: &'static str,
    /// Of an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    checkout: Option<CheckoutId>,
    /// The probability of it, calibrated.
    #[schema(minimum = 0, maximum = 1)]
    probability: f64,
    /// `approve`, `review`, `step_up` or `decline`: what costs least, unless a rule or a list says otherwise. Rules are asked
    /// about orders alone.
    #[schema(value_type = String)]
    action: FraudAction,
    #[serde(flatten)]
    model: ModelPart,
}

/// Score a checkout, a payment, an account or a return.
///
/// The decision is recorded before this answers. A caller that decides by it reports what happened as events. Payments,
/// accounts and returns are scored by models that `dhow train fraud` makes where enough labels name the kind of fraud;
/// otherwise the answer is the problem `no_model`, which says what is missing.
#[utoipa::path(
    post, path = "/v1/fraud/scores", tag = "fraud",
    request_body = FraudScoreRequest, responses((status = 200, body = FraudScoreAnswer)),
)]
pub(crate) async fn post_fraud_scores(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<AskedKind>,
) -> Result<Json<FraudScoreAnswer>, Problem> {
    let (kind, bytes) = (body.value.kind, &body.bytes);
    let question = match kind {
        ScoredKind::Order => return score_order(&app, caller.tenant, parse_json(bytes)?).await,
        ScoredKind::Payment => payment(&app, parse_json(bytes)?)?,
        ScoredKind::Account => account(parse_json(bytes)?),
        ScoredKind::Return => returned(&app, parse_json(bytes)?)?,
    };
    let checkout = question.as_checkout()?;
    check_regions(&[("/region", checkout.region)])?;
    check_values(
        &app,
        caller.tenant,
        &checkout,
        &[("/data/total_minor", "/amount/amount"), ("/data/total", "/amount")],
    )?;
    let risk = question.risk().word();
    let answer = app.engine.score_risk(caller.tenant, question).await?;
    Ok(Json(score_answer(kind, risk, None, answer)))
}

async fn score_order(app: &App, tenant: TenantId, body: OrderScoreRequest) -> Result<Json<FraudScoreAnswer>, Problem> {
    let submitted = submitted(app, tenant, body)?;
    let checkout = submitted.checkout;
    let answer = app.engine.score_checkout(tenant, submitted).await;
    let answer = answer.map_err(|error| unless_no_model(app, tenant, error.into()))?;
    Ok(Json(score_answer(ScoredKind::Order, "fraud", Some(checkout), answer)))
}

fn score_answer(
    kind: ScoredKind,
    risk: &'static str,
    checkout: Option<CheckoutId>,
    answer: Answer<FraudDecision>,
) -> FraudScoreAnswer {
    let (scored, model) = ModelPart::split(answer);
    FraudScoreAnswer { kind, risk, checkout, probability: scored.probability, action: scored.action, model }
}

fn payment(app: &App, body: PaymentScoreRequest) -> Result<RiskQuestion, Problem> {
    let PaymentScoreRequest { buyer, payment, card, device, region, amount, amount_usd_minor, .. } = body;
    let amount_usd_minor = usd_minor(app, amount, amount_usd_minor, "/amount/currency")?;
    Ok(RiskQuestion::Payment { buyer, payment, card, device, region, amount, amount_usd_minor })
}

fn account(body: AccountScoreRequest) -> RiskQuestion {
    let AccountScoreRequest { buyer, device, region, .. } = body;
    RiskQuestion::Account { buyer, device, region }
}

fn returned(app: &App, body: ReturnScoreRequest) -> Result<RiskQuestion, Problem> {
    let ReturnScoreRequest { buyer, order, amount, amount_usd_minor, .. } = body;
    let amount_usd_minor = usd_minor(app, amount, amount_usd_minor, "/amount/currency")?;
    Ok(RiskQuestion::Return { buyer, order, amount, amount_usd_minor })
}

fn submitted(app: &App, tenant: TenantId, body: OrderScoreRequest) -> Result<CheckoutSubmitted, Problem> {
    let now = app.engine.clock().now();
    check_regions(&[("/region", body.region), ("/delivery_region", body.delivery_region)])?;
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
        total_usd_minor: usd_minor(app, body.total, body.total_usd_minor, "/total/currency")?,
    };
    check_values(app, tenant, &submitted, &[("/data/total_minor", "/total/amount")])?;
    Ok(submitted)
}

fn check_regions(regions: &[(&str, Region)]) -> Result<(), Problem> {
    match regions.iter().find(|(_, region)| contains_card_number(region.as_str())) {
        None => Ok(()),
        Some((pointer, _)) => {
            let message = "holds what looks like a card number; card numbers are never stored";
            Err(Problem::invalid([FieldProblem::new(*pointer, message)]))
        }
    }
}

/// The amount in US cents as it was given, or by today's rate.
fn usd_minor(app: &App, amount: Money, given: Option<i64>, pointer: &str) -> Result<i64, Problem> {
    let wrong = |error: dhow_commerce::RateError| Problem::invalid([FieldProblem::new(pointer, error.to_string())]);
    given.map_or_else(|| app.engine.commerce().rates().usd_minor(amount).map_err(wrong), Ok)
}

/// The same ranges as for events, so that nothing is scored that could not have happened; `places` says where the request has
/// what stands elsewhere in the event, the first that fits counts.
fn check_values(
    app: &App,
    tenant: TenantId,
    checkout: &CheckoutSubmitted,
    places: &[(&str, &str)],
) -> Result<(), Problem> {
    check_not_erased(app, tenant, checkout.buyer)?;
    let id = EventId::from_u128(checkout.checkout.as_u128());
    let event = Event { id, tenant, event_time: app.engine.clock().now(), fact: checkout.clone().into() };
    event.check_values().map_err(|problem| {
        let moved = places.iter().find_map(|(from, to)| Some(format!("{to}{}", problem.pointer.strip_prefix(from)?)));
        let pointer = moved.unwrap_or_else(|| problem.pointer.trim_start_matches("/data").to_owned());
        Problem::invalid([FieldProblem::new(pointer, problem.message)])
    })
}
