//! What sellers pay the marketplace for: the price list, subscriptions, usage and invoices; what they cost is in `dhow-billing`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use dhow_billing::{End, PriceList, Terms};
use dhow_commerce::{
    BillingStorage, FeedCursor, PAGE_LIMIT_MAX, PlanUsage, SellerInvoice, SellerSubscription, SubscriptionStep,
};
use dhow_events::SellerId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use super::returns::tagged;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, expected_version, idempotency};
use crate::problem::Problem;

/// The price of a plan, in minor units of the list's currency.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct PlanPriceBody {
    month_minor: i64,
    /// Null where no year of it can be had.
    #[schema(required)]
    year_minor: Option<i64>,
    /// Products on offer at once; null where any number is allowed.
    #[schema(required)]
    products_max: Option<u32>,
    /// Orders of a calendar month; null where any number is allowed.
    #[schema(required)]
    orders_per_month_max: Option<u32>,
}

/// The price of an add-on.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct AddOnPriceBody {
    /// One for a month; a year is twelve of them.
    month_minor: i64,
    quantity_max: u32,
}

/// The price of what is metered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct UsagePriceBody {
    /// Units that are billed together; a begun block is a block.
    block: u32,
    block_minor: i64,
    /// Units of each period that cost nothing.
    included: u64,
}

/// A version of the prices.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct PriceListAnswer {
    version: u32,
    /// It counts from then on.
    from: String,
    currency: String,
    /// By `free`, `professional` and `enterprise`.
    plans: BTreeMap<String, PlanPriceBody>,
    add_ons: BTreeMap<String, AddOnPriceBody>,
    usage: BTreeMap<String, UsagePriceBody>,
}

/// What a seller takes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing reads and writes")]
pub(crate) struct SubscriptionTerms {
    /// `free`, `professional` or `enterprise`.
    #[schema(example = "professional")]
    plan: String,
    /// `month` or `year`.
    #[schema(example = "month")]
    cycle: String,
    /// How many of each add-on.
    #[schema(required = false, example = json!({ "user": 2 }))]
    add_ons: BTreeMap<String, u32>,
}

/// A span of time; its end no longer belongs to it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct BillingPeriod {
    begin: String,
    end: String,
}

/// What a plan allows; null is any number.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct PlanLimits {
    #[schema(required)]
    products_max: Option<u32>,
    #[schema(required)]
    orders_per_month_max: Option<u32>,
}

/// An item that is paid for until the period ends.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct RunningItem {
    #[schema(example = "add_on.user")]
    item: String,
    quantity: u32,
    /// What all of them cost for a whole period.
    period_minor: i64,
}

/// A seller's subscription.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct SubscriptionAnswer {
    tenant: String,
    seller: String,
    terms: SubscriptionTerms,
    limits: PlanLimits,
    currency: String,
    /// Where periods are counted from.
    anchor: String,
    /// The number of the period, from 0.
    index: u32,
    period: BillingPeriod,
    running: Vec<RunningItem>,
    /// What was used in the period, by name.
    used: BTreeMap<String, u64>,
    /// Whether it ends with the period.
    ends_with_period: bool,
    /// Null while it runs.
    #[schema(required)]
    ended_at: Option<String>,
    invoice_count: i64,
    /// Counts its changes; also its ETag.
    version: i64,
    created_at: String,
    updated_at: String,
}

/// How much of what the plan allows is used.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct PlanUsageBody {
    /// Products on offer.
    products: i64,
    #[schema(required)]
    products_max: Option<u32>,
    /// Orders of this calendar month, in UTC; those that were called off left out.
    orders_this_month: i64,
    #[schema(required)]
    orders_per_month_max: Option<u32>,
}

/// A subscription and how much of what it allows is used.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubscriptionReading {
    #[schema(value_type = SubscriptionAnswer)]
    subscription: SellerSubscription,
    #[schema(value_type = PlanUsageBody)]
    usage: PlanUsage,
}

/// A line of an invoice.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what billing writes")]
pub(crate) struct InvoiceLineBody {
    #[schema(example = "plan.professional")]
    item: String,
    /// `period`, `added`, `removed` or `usage`.
    reason: String,
    /// Units of an add-on, blocks of usage.
    quantity: u64,
    span: BillingPeriod,
    /// A credit is below zero.
    amount_minor: i64,
}

/// An invoice, which never changes; it is taken from what the seller is owed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct InvoiceBody {
    tenant: String,
    seller: String,
    /// Counts the seller's invoices from 1.
    number: i64,
    at: String,
    price_list_version: u32,
    currency: String,
    lines: Vec<InvoiceLineBody>,
    /// Below zero it is a credit.
    total_minor: i64,
}

/// A subscription after a step, and the invoices that the step made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct SubscriptionStepAnswer {
    subscription: SubscriptionAnswer,
    /// Oldest first.
    invoices: Vec<InvoiceBody>,
}

/// Invoices, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvoicePage {
    #[schema(value_type = Vec<InvoiceBody>)]
    items: Vec<SellerInvoice>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// Whether it is only tried.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SubscribeParameters {
    /// `true`: the answer is what it would come to, and nothing is kept.
    #[serde(default)]
    dry_run: bool,
}

/// When a subscription is to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndRequest {
    /// `now`, with a credit for the rest of the period, or `with_period`.
    #[schema(value_type = String, example = "with_period")]
    when: End,
}

/// What a seller used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageRequest {
    /// What is metered, as the price list names it.
    #[schema(example = "api_calls")]
    metric: String,
    /// How many more units, 1 to 1,000,000,000.
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 250)]
    units: u64,
}

/// Which invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct InvoiceParameters {
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Read the prices of plans, add-ons and usage.
#[utoipa::path(get, path = "/v1/billing/prices", tag = "billing", responses((status = 200, body = PriceListAnswer)))]
pub(crate) async fn get_prices(State(app): State<Shared>, _caller: Caller) -> Result<Json<PriceList>, Problem> {
    Ok(Json(app.engine.commerce().price_list()?.clone()))
}

/// Read a seller's subscription.
#[utoipa::path(
    get, path = "/v1/sellers/{id}/subscription", tag = "billing",
    params(("id" = String, Path, description = "The seller.")),
    responses((status = 200, body = SubscriptionReading)),
)]
pub(crate) async fn get_subscription(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
) -> Result<Response, Problem> {
    let (subscription, usage) = app.engine.commerce().find_subscription(caller.tenant, seller).await?;
    Ok(tagged(subscription.version, SubscriptionReading { subscription, usage }))
}

/// Begin or change a seller's subscription.
///
/// `If-None-Match: *` begins, `If-Match` names the version that is changed. A change counts at once: what is taken away is credited
/// for the rest of the period, what is new is charged for it; another cycle begins a new period. Invoices are taken from what
/// the seller is owed. The commission and the limits follow the plan; what is on offer beyond a smaller plan stays, nothing is
/// added to it.
#[utoipa::path(
    put, path = "/v1/sellers/{id}/subscription", tag = "billing", request_body = SubscriptionTerms,
    params(
        ("id" = String, Path, description = "The seller."),
        SubscribeParameters,
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that is changed."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none yet."),
    ),
    responses((status = 200, body = SubscriptionStepAnswer)),
)]
pub(crate) async fn put_subscription(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    Parameters(parameters): Parameters<SubscribeParameters>,
    headers: HeaderMap,
    body: JsonBody<Terms>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let commerce = app.engine.commerce();
    let step = commerce.subscribe(caller.tenant, seller, body.value, expected, parameters.dry_run).await?;
    Ok(stepped(step))
}

/// End a seller's subscription, now or with its period.
///
/// The seller is on the free plan's rates and limits from then on.
#[utoipa::path(
    post, path = "/v1/sellers/{id}/subscription/end", tag = "billing", request_body = EndRequest,
    params(
        ("id" = String, Path, description = "The seller."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
    ),
    responses((status = 200, body = SubscriptionStepAnswer)),
)]
pub(crate) async fn post_subscription_end(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    headers: HeaderMap,
    body: JsonBody<EndRequest>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let commerce = app.engine.commerce();
    Ok(stepped(commerce.end_subscription(caller.tenant, seller, body.value.when, expected).await?))
}

/// Count what a seller used in the period, for example API calls that a gateway counted.
///
/// Begun blocks are charged when the period ends. With an `Idempotency-Key` the same request counts once.
#[utoipa::path(
    post, path = "/v1/sellers/{id}/usage", tag = "billing", request_body = UsageRequest,
    params(
        ("id" = String, Path, description = "The seller."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 200, body = SubscriptionAnswer)),
)]
pub(crate) async fn post_usage(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    headers: HeaderMap,
    body: JsonBody<UsageRequest>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST /v1/sellers/{seller}/usage"), &body.bytes)?;
    let UsageRequest { metric, units } = &body.value;
    let commerce = app.engine.commerce();
    let counted = commerce.count_usage(caller.tenant, seller, (metric, *units), key.as_ref()).await?;
    Ok((replayed(counted.replayed), tagged(counted.value.version, counted.value)).into_response())
}

/// List a seller's invoices, newest first.
#[utoipa::path(
    get, path = "/v1/sellers/{id}/invoices", tag = "billing",
    params(("id" = String, Path, description = "The seller."), InvoiceParameters),
    responses((status = 200, body = InvoicePage)),
)]
pub(crate) async fn get_invoices(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    Parameters(parameters): Parameters<InvoiceParameters>,
) -> Result<Json<InvoicePage>, Problem> {
    let InvoiceParameters { limit, cursor } = parameters;
    let limit = limit.unwrap_or(INVOICES_DEFAULT);
    if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is {limit}; it must be from 1 to {PAGE_LIMIT_MAX}")));
    }
    let wrong = || Problem::parameter("cursor", "is not a cursor of invoices; give back the `next` of before");
    let before = cursor.as_deref().map(|text| FeedCursor::decode(text).ok_or_else(wrong)).transpose()?;
    let before = before.map(|cursor| cursor.0);
    // One more than is shown tells whether there is a next page.
    let mut items = app.engine.store().invoices(caller.tenant, seller, before, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|last| FeedCursor(last.number).encode());
    Ok(Json(InvoicePage { items, next }))
}

/// How many invoices a page has where it is not said.
const INVOICES_DEFAULT: u32 = 20;

fn stepped(step: SubscriptionStep) -> Response {
    tagged(step.subscription.version, step)
}
