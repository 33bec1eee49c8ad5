//! The shapes of commerce's own records for the OpenAPI document; the tests hold every real answer against them.

#![expect(dead_code, reason = "these types describe what other crates serialise; nothing constructs them")]

use serde_json::Value as Json;
use utoipa::ToSchema;

use crate::routes::answers::ReasonAnswer;

/// An amount: integer minor units as a text, and an ISO 4217 code.
#[derive(ToSchema)]
pub(crate) struct Money {
    /// Minor units: cents, kobo, yen.
    #[schema(example = "12345")]
    amount: String,
    /// ISO 4217.
    #[schema(example = "NGN")]
    currency: String,
}

/// What a seller says about a product.
#[derive(ToSchema)]
pub(crate) struct ProductInput {
    #[schema(example = "sel_01890a5d-ac96-774b-bcce-b302099a8057")]
    seller: String,
    /// What the seller calls it; 1 to 100 bytes.
    reference: String,
    /// 1 to 300 bytes.
    title: String,
    /// At most 10,000 bytes.
    #[schema(required = false)]
    description: String,
    #[schema(example = "home/kitchen")]
    category: String,
    price: Money,
    /// At most 200; of one region and currency one at most is in force at any time.
    #[schema(required = false)]
    prices: Vec<PriceList>,
    /// Where it ships from.
    #[schema(example = "NG-LA")]
    region: String,
    /// Where it may be sold: continents (UN M49), countries, states and cities that commas separate, `!` before what is
    /// denied. The most specific decides, a denial before an allowance of the same place; empty is everywhere.
    #[schema(required = false, example = "002,!NG,NG-LA")]
    sale_regions: String,
    weight_grams: i64,
    /// Pictures, films and papers, the first one first; at most 50.
    #[schema(required = false)]
    media: Vec<MediaReference>,
    /// What its category declares, by key: texts, numbers, true or false.
    #[schema(required = false, value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    attributes: (),
    /// What it is a variant of; null where it stands by itself.
    variant: Option<Variant>,
}

/// What a product is a variant of, and in what it differs from the others.
#[derive(ToSchema)]
pub(crate) struct Variant {
    /// The seller's name for all that are variants of each other; 1 to 100 bytes.
    #[schema(example = "kettle")]
    group: String,
    /// One to five; every variant of a group has the same names, and no two the same values.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    options: (),
}

/// Where a picture, a film or a paper of a product is.
#[derive(ToSchema)]
pub(crate) struct MediaReference {
    /// `image`, `video` or `document`.
    #[schema(example = "image")]
    kind: String,
    /// Its address, with `https`; at most 2,000 bytes.
    #[schema(example = "https://cdn.example/kettle.jpg")]
    url: String,
    /// What stands in its place for those who do not see it; at most 300 bytes.
    #[schema(required = false)]
    alt: String,
}

/// What the marketplace decided about a product last.
#[derive(ToSchema)]
pub(crate) struct ProductReview {
    by: String,
    /// Words for the seller.
    note: String,
    at: String,
}

/// From how many units on a price holds.
#[derive(ToSchema)]
pub(crate) struct PriceBreak {
    /// Units of the product in one cart from which on it holds.
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// The price of each unit then.
    unit_price: Money,
}

/// What a product costs in a region and a currency while it is in force.
#[derive(ToSchema)]
pub(crate) struct PriceList {
    /// Where the parcel goes: this place or one within it (`NG` holds `NG-LA`); null is everywhere.
    #[schema(example = "NG")]
    region: Option<String>,
    /// The first moment at which it is in force; null is always before.
    valid_from: Option<String>,
    /// The first moment at which it is no more; null is never.
    valid_until: Option<String>,
    /// 1 to 20 of one currency, the quantities growing; the first is the smallest quantity that is sold.
    breaks: Vec<PriceBreak>,
}

/// A stored product.
#[derive(ToSchema)]
pub(crate) struct Product {
    tenant: String,
    #[schema(example = "prd_01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    seller: String,
    reference: String,
    title: String,
    description: String,
    category: String,
    /// The price of one unit where no price list holds.
    price: Money,
    prices: Vec<PriceList>,
    region: String,
    /// Where it may be sold, in capitals and sorted.
    sale_regions: String,
    weight_grams: i64,
    media: Vec<MediaReference>,
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    attributes: (),
    #[schema(required)]
    variant: Option<Variant>,
    /// `in_review`, `listed`, `rejected` or `delisted`.
    state: String,
    /// Null before a first review.
    #[schema(required)]
    review: Option<ProductReview>,
    /// Grows by one with every change; the ETag without its quotes.
    version: i64,
    created_at: String,
    updated_at: String,
}

/// A page of products.
#[derive(ToSchema)]
pub(crate) struct ProductPage {
    items: Vec<Product>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// Units of a product.
#[derive(ToSchema)]
pub(crate) struct StockLevel {
    product: String,
    /// Units there.
    on_hand: i64,
    /// Units among them that pending checkouts hold.
    reserved: i64,
}

/// Units of one product in a cart.
#[derive(ToSchema)]
pub(crate) struct CartLine {
    product: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
}

/// A buyer's wish to buy what is in a cart.
#[derive(ToSchema)]
pub(crate) struct CheckoutRequest {
    #[schema(example = "buy_01890a5d-ac96-774b-bcce-b302099a8057")]
    buyer: String,
    session: Option<String>,
    device: Option<String>,
    /// Needed where the payment method is `card` or `pay_later`.
    card: Option<String>,
    address: Option<String>,
    /// Where the device is.
    region: String,
    /// Where the parcel goes.
    delivery_region: String,
    /// `card`, `bank_transfer`, `mobile_money`, `wallet`, `cash_on_delivery`, `pay_later`, `btc`, `eth`, `usdc` or
    /// `usdt`.
    payment_method: String,
    /// With `pay_later`, the plan. Not in the answer where it was not asked.
    pay_later_plan: Option<String>,
    /// What it is paid in; without it, the currency of the products' own prices. Not in the answer where it was not asked.
    #[schema(example = "USD")]
    currency: Option<String>,
    /// 1 to 1,000 lines.
    lines: Vec<CartLine>,
}

/// A priced line.
#[derive(ToSchema)]
pub(crate) struct QuoteLine {
    product: String,
    seller: String,
    category: String,
    title: String,
    quantity: i64,
    unit_price: Money,
    amount: Money,
    amount_usd_minor: i64,
}

/// What a cart costs now.
#[derive(ToSchema)]
pub(crate) struct Quote {
    lines: Vec<QuoteLine>,
    /// Different products.
    line_count: i64,
    quantity: i64,
    total: Money,
    total_usd_minor: i64,
}

/// A product that a checkout wanted more of than could be bought.
#[derive(ToSchema)]
pub(crate) struct Shortage {
    product: String,
    wanted: i64,
    available: i64,
}

/// What a checkout says of its fraud decision.
#[derive(ToSchema)]
pub(crate) struct FraudSummary {
    /// The recorded decision's id.
    decision: String,
    #[schema(minimum = 0, maximum = 1)]
    probability: f64,
    /// `approve`, `review`, `step_up` or `decline`.
    action: String,
    reasons: Vec<ReasonAnswer>,
    model: String,
    degraded: bool,
    latency_us: i64,
}

/// The decision about a buyer's credit.
#[derive(ToSchema)]
pub(crate) struct CreditSummary {
    /// The recorded decision's id.
    decision: String,
    /// Null where it was refused, or only asked about.
    #[schema(required)]
    agreement: Option<String>,
    approved: bool,
    /// The score card's points and its base.
    score: i64,
    /// The most that may be open at once.
    limit_usd_minor: i64,
    /// What was open before.
    open_usd_minor: i64,
    /// What this purchase adds with its fee.
    asked_usd_minor: i64,
    /// The weightiest first; they sum with the card's base to the score.
    reasons: Vec<ReasonAnswer>,
    /// The score card and its version.
    model: String,
    degraded: bool,
}

/// A line of an order, with what was true of the product when it was bought.
#[derive(ToSchema)]
pub(crate) struct OrderLine {
    product: String,
    category: String,
    title: String,
    quantity: i64,
    unit_price: Money,
    amount_usd_minor: i64,
}

/// The part of a checkout that one seller delivers.
#[derive(ToSchema)]
pub(crate) struct Order {
    tenant: String,
    id: String,
    checkout: String,
    buyer: String,
    seller: String,
    region: String,
    /// `pending_payment`, `held`, `placed`, `fulfilled` or `cancelled`.
    state: String,
    lines: Vec<OrderLine>,
    line_count: i64,
    quantity: i64,
    total: Money,
    total_usd_minor: i64,
    /// The order's part of what is to be captured, or was.
    capture_asked_minor: i64,
    captured_minor: i64,
    void_asked_minor: i64,
    voided_minor: i64,
    refund_asked_minor: i64,
    refunded_minor: i64,
    /// The marketplace's commission in minor units, frozen when the order was made.
    commission_minor: i64,
    /// Its rate in millionths; a minimum may have raised the amount.
    commission_rate_ppm: i64,
    /// The version of the table of rates.
    commission_table_version: i64,
    /// What refunds gave back of it.
    commission_returned_minor: i64,
    version: i64,
    created_at: String,
    updated_at: String,
}

/// A page of orders.
#[derive(ToSchema)]
pub(crate) struct OrderPage {
    items: Vec<Order>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// The payment of a checkout.
#[derive(ToSchema)]
pub(crate) struct Payment {
    id: String,
    method: String,
    /// `pending`, `authorised`, `declined`, `captured`, `voiding`, `voided` or `refunded`.
    state: String,
    amount: Money,
    authorised_minor: i64,
    /// To be captured, or captured.
    capture_asked_minor: i64,
    captured_minor: i64,
    /// To be given up, or given up.
    void_asked_minor: i64,
    voided_minor: i64,
    /// To be refunded, or refunded; never more than was captured.
    refund_asked_minor: i64,
    refunded_minor: i64,
    #[schema(required)]
    rail_reference: Option<String>,
    #[schema(required)]
    decline_reason: Option<String>,
    /// What the buyer is to pay in crypto; absent for other methods.
    quote: Option<RailQuote>,
    created_at: String,
    updated_at: String,
}

/// What a buyer is to pay in crypto.
#[derive(ToSchema)]
pub(crate) struct RailQuote {
    /// `BTC`, `ETH`, `USDC` or `USDT`.
    asset: String,
    /// In whole assets.
    #[schema(example = "0.00123000")]
    amount: String,
    /// Until when the price holds.
    expires_at: String,
}

/// The part of a transfer that belongs to one order.
#[derive(ToSchema)]
pub(crate) struct TransferShare {
    order: String,
    seller: String,
    amount_minor: i64,
    /// The commission in it: taken by a capture once it is done, given back by a refund.
    commission_minor: i64,
}

/// A capture, void, refund or payout.
#[derive(ToSchema)]
pub(crate) struct Transfer {
    tenant: String,
    #[schema(example = "trf_01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    /// `capture`, `void`, `refund`, `payout`, `instalment` or `instalment_refund`.
    kind: String,
    /// `pending`, `done`, `failed`, or `reversed` where the rail took it back later.
    state: String,
    amount: Money,
    /// Null for a payout.
    #[schema(required)]
    payment: Option<String>,
    /// Null but for a payout.
    #[schema(required)]
    seller: Option<String>,
    /// The orders' parts, which sum to the amount.
    shares: Vec<TransferShare>,
    rail: String,
    #[schema(required)]
    rail_reference: Option<String>,
    /// Why it failed or was taken back.
    #[schema(required)]
    failure: Option<String>,
    created_at: String,
    updated_at: String,
}

/// A page of transfers.
#[derive(ToSchema)]
pub(crate) struct TransferPage {
    items: Vec<Transfer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// What a seller agreed with the marketplace.
#[derive(ToSchema)]
pub(crate) struct SellerTerms {
    /// `free`, `professional` or `enterprise`.
    plan: String,
    /// Points off in millionths that a contract names; null where there is none.
    contract_ppm: Option<u32>,
}

/// All lines of a statement of one purpose.
#[derive(ToSchema)]
pub(crate) struct StatementSum {
    /// What was done.
    #[schema(example = "capture done")]
    purpose: String,
    lines_count: i64,
    /// Before commission; what the seller has to give back is below zero.
    gross_minor: i64,
    /// The commission in it; below zero where it was given back.
    commission_minor: i64,
    /// What it changed of what the seller is owed: gross less commission.
    net_minor: i64,
}

/// What was booked for a seller in a currency within a period.
#[derive(ToSchema)]
pub(crate) struct Statement {
    seller: String,
    /// The currency of all amounts.
    #[schema(example = "USD")]
    currency: String,
    /// Its first instant.
    #[schema(format = DateTime)]
    from: String,
    /// The first instant after it.
    #[schema(format = DateTime)]
    until: String,
    /// What was owed before; below zero where the seller owed.
    opening_minor: i64,
    /// By what was done; their nets lead from `opening_minor` to `closing_minor`.
    sums: Vec<StatementSum>,
    /// What was owed after.
    closing_minor: i64,
}

/// What one step changed of what a seller is owed.
#[derive(ToSchema)]
pub(crate) struct StatementLine {
    /// The number of its batch in the journal; rises from line to line.
    number: i64,
    #[schema(format = DateTime)]
    at: String,
    /// What was done.
    #[schema(example = "capture done")]
    purpose: String,
    /// A transfer's id, or the seller's and the number of an invoice.
    reference: String,
    /// The seller's order; null for payouts and invoices.
    order: Option<String>,
    gross_minor: i64,
    commission_minor: i64,
    net_minor: i64,
}

/// What a payment rail tells.
#[derive(ToSchema)]
pub(crate) struct RailNotice {
    tenant: String,
    /// The id of a payment or transfer.
    key: String,
    /// `done` or `declined`; `dispute` where the payment is disputed, or its dispute moved.
    outcome: String,
    /// The rail's own name for it, where it is done.
    reference: Option<String>,
    /// Why it was declined, or failed after it was done.
    reason: Option<String>,
    /// Of a dispute: the rail's own name for it.
    case: Option<String>,
    /// Of a dispute: `needs_response`, `under_review`, `won` or `lost`.
    state: Option<String>,
    /// Of a dispute: how much.
    amount: Option<Money>,
    /// Of a dispute: `fraudulent`, `not_received`, `not_as_described`, `duplicate`, `refund_not_processed` or `other`.
    dispute_reason: Option<String>,
    /// Of a dispute: until when evidence is taken.
    respond_by: Option<String>,
}

/// A checkout with all that came of it.
#[derive(ToSchema)]
pub(crate) struct Checkout {
    tenant: String,
    id: String,
    request: CheckoutRequest,
    /// `completed`, `refused`, `held` until a person's verdict on its case, or `pending_payment` while the payment rail has
    /// not answered.
    state: String,
    /// `fraud`, `stock`, `payment_declined`, `review_expired` or `credit`; null where it was not refused.
    #[schema(required)]
    refusal: Option<String>,
    shortages: Vec<Shortage>,
    line_count: i64,
    quantity: i64,
    total: Money,
    total_usd_minor: i64,
    /// Millionths of a unit of the currency per dollar.
    units_per_usd_micros: i64,
    rates_as_of: String,
    fraud: FraudSummary,
    /// The decision about the buyer's credit, where it is paid later; not in the answer otherwise.
    credit: Option<CreditSummary>,
    /// One for each seller.
    orders: Vec<Order>,
    #[schema(required)]
    payment: Option<Payment>,
    created_at: String,
    updated_at: String,
}

/// A feature's value as the model saw it.
#[derive(ToSchema)]
pub(crate) struct FeatureValue {
    name: String,
    /// Null where it was missing.
    #[schema(required)]
    value: Option<f64>,
}

/// How far a partition of the log was applied to the features that were used.
#[derive(ToSchema)]
pub(crate) struct AppliedOffset {
    partition: u32,
    offset: u64,
    /// Where workers of a fleet keep the state: the part of the entities that this speaks of.
    share: Option<StateShare>,
    /// Whether it speaks of the links between accounts, which every server keeps by itself; not where it is absent.
    #[schema(required = false)]
    links: bool,
}

/// One of the equal parts of all entities that workers of a fleet share among them.
#[derive(ToSchema)]
pub(crate) struct StateShare {
    number: u32,
    count: u32,
}

/// A recorded decision.
#[derive(ToSchema)]
pub(crate) struct Decision {
    tenant: String,
    id: String,
    /// `recommendation`, `fraud`, `risk`, `forecast`, `route`, `text_similarity`, `delivery_time` or `credit`.
    kind: String,
    /// What it was about.
    subject: String,
    model: String,
    /// What was asked.
    #[schema(value_type = Object)]
    request: Json,
    /// What was answered.
    #[schema(value_type = Object)]
    answer: Json,
    reasons: Vec<ReasonAnswer>,
    features: Vec<FeatureValue>,
    applied_offsets: Vec<AppliedOffset>,
    degraded: bool,
    latency_us: i64,
    /// `answered`, `applied`, `refused` or `aborted`.
    outcome: String,
    created_at: String,
}

/// A page of decisions, newest first.
#[derive(ToSchema)]
pub(crate) struct DecisionPage {
    items: Vec<Decision>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// One feature's value.
#[derive(ToSchema)]
pub(crate) struct FeatureReading {
    name: String,
    /// Null where there is none.
    #[schema(required)]
    value: Option<f64>,
}

/// The features of one entity in one view.
#[derive(ToSchema)]
pub(crate) struct ViewReading {
    view: String,
    /// The time that they are as of.
    at: String,
    features: Vec<FeatureReading>,
}

/// The values of one entity.
#[derive(ToSchema)]
pub(crate) struct FeatureRow {
    /// One for each feature; null where there is none.
    values: Vec<Option<f64>>,
    /// One for each view: when the latest of the entity's events that are kept happened; null where none is.
    event_times: Vec<Option<String>>,
}

/// Features of many entities, all of one consistent cut of the log.
#[derive(ToSchema)]
pub(crate) struct FeatureTable {
    /// The time that all are as of.
    at: String,
    /// The features, in the order of the request.
    features: Vec<String>,
    /// The views that they are of.
    views: Vec<String>,
    /// For each feature the place of its view in `views`.
    view_of: Vec<usize>,
    /// The rows, in the order of the request.
    rows: Vec<FeatureRow>,
    /// How far each partition of the log was applied.
    applied_offsets: Vec<AppliedOffset>,
}

/// A measured quality with its interval.
#[derive(ToSchema)]
pub(crate) struct Metric {
    value: f64,
    low: f64,
    high: f64,
}

/// The events that a model learnt from.
#[derive(ToSchema)]
pub(crate) struct TrainingSpan {
    start: String,
    end: String,
}

/// A registered model.
#[derive(ToSchema)]
pub(crate) struct ModelCard {
    model_id: String,
    artifact_hash: String,
    artifact_bytes: u64,
    tenant: String,
    task: String,
    name: String,
    format: String,
    created_at: String,
    #[schema(required)]
    training_span: Option<TrainingSpan>,
    #[schema(required)]
    data_fingerprint: Option<String>,
    #[schema(required)]
    feature_schema_hash: Option<String>,
    #[schema(value_type = Object)]
    settings: Json,
    /// By name.
    metrics: std::collections::BTreeMap<String, Metric>,
    code_version: String,
    licence: String,
    #[schema(required)]
    parent: Option<String>,
}

/// An API key without its secret.
#[derive(ToSchema)]
pub(crate) struct ApiKey {
    id: String,
    tenant: String,
    name: String,
    permissions: Vec<String>,
    /// The last four characters of its secret.
    last_four: String,
    created_at: String,
    #[schema(required)]
    revoked_at: Option<String>,
}

/// A named list of permissions that keys are made from.
#[derive(ToSchema)]
pub(crate) struct Role {
    #[schema(example = "support")]
    name: String,
    /// Who has it.
    description: String,
    permissions: Vec<String>,
}

/// A CloudEvent 1.0; `type` names the fact and `data` holds it.
#[derive(ToSchema)]
pub(crate) struct CloudEvent {
    /// `1.0`.
    #[schema(example = "1.0")]
    specversion: String,
    /// Unique for its source; a repeated one is a duplicate.
    id: String,
    #[schema(example = "/storefront")]
    source: String,
    #[schema(rename = "type", example = "dhow.product_viewed")]
    kind: String,
    /// When it happened.
    #[schema(example = "2026-01-31T12:00:00Z")]
    time: String,
    /// `application/json` in every answer; it may be left out of what is sent.
    #[schema(required = false, example = "application/json")]
    datacontenttype: String,
    /// The fact's fields.
    #[schema(value_type = Object)]
    data: Json,
}

/// Why so many units were proposed.
#[derive(ToSchema)]
pub(crate) struct ReorderReasons {
    /// Units to order, as proposed.
    units: i64,
    /// What they cost, US cents.
    cost_minor: i64,
    /// On hand, less what is promised, plus what is on its way.
    position_units: i64,
    /// The level that the position is raised to.
    order_up_to_units: i64,
    /// The level's part above the expected demand.
    safety_units: f64,
    /// The expected demand of lead time and review time.
    expected_units: f64,
    /// The probability of serving all demand that the level stands for.
    service_level: f64,
    /// The probability that demand is not met without this order, and with it.
    stockout_probability: Vec<f64>,
    /// The margin that is expected to be lost without this order, and with it, US cents.
    lost_margin_minor: Vec<f64>,
    /// Units that would be ordered without a budget.
    wanted_units: i64,
    /// Whether the budget cut it: `no`, `partly` or `wholly`.
    cut: String,
}

/// A line of a proposal's history.
#[derive(ToSchema)]
pub(crate) struct ReorderLine {
    at: String,
    /// The state that it came to.
    state: String,
    /// Who did it; null where the platform did.
    #[schema(required)]
    person: Option<String>,
    note: String,
}

/// A proposal to order a product.
#[derive(ToSchema)]
pub(crate) struct ReorderProposal {
    tenant: String,
    id: String,
    product: String,
    /// `proposed`, `superseded`, `rejected`, `approved`, `ordered` or `received`.
    state: String,
    /// Units to order: as proposed, or as approved.
    units: i64,
    unit_cost: Money,
    /// What the units cost, US cents.
    cost_usd_minor: i64,
    lead_days: u32,
    review_days: u32,
    /// The forecast model that it rests on.
    model: String,
    reasons: ReorderReasons,
    /// Who agreed to it.
    approvals: Vec<ReorderApproval>,
    /// When its cost began to count against the budgets.
    #[schema(required)]
    approved_at: Option<String>,
    /// Oldest first.
    history: Vec<ReorderLine>,
    created_at: String,
    updated_at: String,
}

/// That a person agreed.
#[derive(ToSchema)]
pub(crate) struct ReorderApproval {
    person: String,
    at: String,
}

/// A page of proposals, newest first.
#[derive(ToSchema)]
pub(crate) struct ReorderPage {
    items: Vec<ReorderProposal>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// A page of route plans, newest first.
#[derive(ToSchema)]
pub(crate) struct RoutePlanPage {
    items: Vec<crate::routes::route_plans::RoutePlanSummary>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// What may be spent on approved proposals, US cents; null means no bound.
#[derive(ToSchema)]
pub(crate) struct ReorderBudgets {
    /// In a UTC day.
    day_usd_minor: Option<i64>,
    /// In a week from Monday.
    week_usd_minor: Option<i64>,
    /// In a month.
    month_usd_minor: Option<i64>,
    /// What approvals a proposal takes, by rising cost, at most 10; one person's where no level counts.
    #[schema(required = false)]
    approval_levels: Vec<ApprovalLevel>,
}

/// What approvals it takes from some cost on, up to the next level.
#[derive(ToSchema)]
pub(crate) struct ApprovalLevel {
    /// The cost from which on it counts, US cents.
    #[schema(minimum = 0)]
    from_usd_minor: i64,
    /// How many different people.
    #[schema(minimum = 1, maximum = 10)]
    approvals: u32,
    /// One of them is among these; anybody where it is empty.
    #[schema(required = false)]
    approvers: Vec<String>,
}
