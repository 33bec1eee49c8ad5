//! How demand answers to prices, promotions and named days, and what would become of a product under others.

use axum::Json;
use axum::extract::State;
use dhow_commerce::FieldProblem;
use dhow_engine::{
    CalendarEvent, EngineError, Estimate, Outcome, PriceResponse, PromotionResponse, Scope, SeriesKey, Spread, WhatIf,
};
use dhow_events::{Category, Currency, Money, ProductId, Region, SellerId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::forecast_quality::subject;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId};
use crate::problem::Problem;
use crate::schemas;

/// Days ahead where the request does not say.
const HORIZON_DAYS_DEFAULT: usize = 30;

/// An estimate and what holds it with a probability of 90 %.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EstimateAnswer {
    value: f64,
    low: f64,
    high: f64,
}

impl From<Estimate> for EstimateAnswer {
    fn from(estimate: Estimate) -> Self {
        let (low, high) = estimate.interval_90();
        Self { value: estimate.value, low, high }
    }
}

/// How demand answers to the price: `demand ∝ price^elasticity`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ElasticityPart {
    /// The product's, drawn to its category's as far as its own sales leave it open.
    elasticity: EstimateAnswer,
    /// The mean of its category.
    of_category: EstimateAnswer,
    /// The mean of all products.
    of_all: EstimateAnswer,
    /// Different prices that were seen.
    price_count: usize,
    #[schema(value_type = schemas::Money)]
    lowest_price: Money,
    #[schema(value_type = schemas::Money)]
    highest_price: Money,
}

impl From<PriceResponse> for ElasticityPart {
    fn from(told: PriceResponse) -> Self {
        let (low, high) = told.prices_seen;
        Self {
            elasticity: told.elasticity.into(),
            of_category: told.of_category.into(),
            of_all: told.of_all.into(),
            price_count: told.price_count,
            lowest_price: usd(low),
            highest_price: usd(high),
        }
    }
}

/// Whose promotions an estimate is from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PromotionScope {
    /// The product's own, drawn to its category's.
    Product,
    /// Other products': it never had one.
    Category,
}

/// How demand answers to a discount: `demand ∝ exp(response · discount)`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PromotionPart {
    response: EstimateAnswer,
    /// What a discount of 20 % multiplies demand by.
    uplift_of_a_fifth: EstimateAnswer,
    scope: PromotionScope,
    /// Days with a promotion that were seen.
    days: usize,
    /// The deepest discount that was seen, from 0 to 1.
    deepest_discount: f64,
}

impl From<PromotionResponse> for PromotionPart {
    fn from(told: PromotionResponse) -> Self {
        let (low, high) = told.response.interval_90();
        let uplift = |response: f64| (0.2 * response).exp();
        Self {
            response: told.response.into(),
            uplift_of_a_fifth: EstimateAnswer {
                value: uplift(told.response.value),
                low: uplift(low),
                high: uplift(high),
            },
            scope: match told.scope {
                Scope::Product => PromotionScope::Product,
                Scope::Category => PromotionScope::Category,
            },
            days: told.days,
            deepest_discount: told.deepest,
        }
    }
}

/// How a product's demand answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ElasticityAnswer {
    #[schema(value_type = String)]
    product: ProductId,
    price: ElasticityPart,
    /// Null where no product ever had a promotion.
    #[schema(required)]
    promotion: Option<PromotionPart>,
    /// The model.
    model: String,
}

/// Tell how a product's demand answers to its price and to a discount.
///
/// Estimated from the product's own sales beside those of its regions and its category, drawn to other products as far as these
/// are alike. Where its price never moved there is no answer: 409.
#[utoipa::path(
    get, path = "/v1/forecasts/{product}/elasticity", tag = "models",
    params(("product" = String, Path, description = "The product.")),
    responses((status = 200, body = ElasticityAnswer)),
)]
pub(crate) async fn get_elasticity(
    State(app): State<Shared>,
    caller: Caller,
    PathId(product): PathId<ProductId>,
) -> Result<Json<ElasticityAnswer>, Problem> {
    let told = app.engine.price_response(caller.tenant, product)?;
    let promotion = told.promotion.map(PromotionPart::from);
    Ok(Json(ElasticityAnswer { product, price: told.price.into(), promotion, model: told.model }))
}

/// A promotion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromotionRequest {
    /// The share that it takes off the price, from 0 to 0.9.
    discount: f64,
    /// It begins so many days after the first day of the forecast.
    #[serde(default)]
    after_days: usize,
    /// How many days it lasts; to the end of the horizon where it is absent.
    days: Option<usize>,
}

/// Another future of a product.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhatIfRequest {
    #[schema(value_type = String)]
    product: ProductId,
    /// In this region; all together where it is absent.
    #[schema(value_type = Option<String>)]
    region: Option<Region>,
    /// Days ahead; 30 where it is absent.
    horizon: Option<usize>,
    /// Another price of one unit, from half to double of today's; today's where it is absent.
    #[schema(value_type = Option<schemas::Money>)]
    price: Option<Money>,
    promotion: Option<PromotionRequest>,
    /// Units there for all of the days; where it is absent they do not run out.
    stock: Option<f64>,
    /// What a unit costs; with it margins are told.
    #[schema(value_type = Option<schemas::Money>)]
    unit_cost: Option<Money>,
}

/// Units, with what holds them with a probability of 90 %.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnitsSpread {
    mean: f64,
    /// The 5 % quantile.
    low: f64,
    median: f64,
    /// The 95 % quantile.
    high: f64,
}

/// An amount, with what holds it with a probability of 90 %.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MoneySpread {
    #[schema(value_type = schemas::Money)]
    mean: Money,
    /// The 5 % quantile.
    #[schema(value_type = schemas::Money)]
    low: Money,
    #[schema(value_type = schemas::Money)]
    median: Money,
    /// The 95 % quantile.
    #[schema(value_type = schemas::Money)]
    high: Money,
}

/// What comes of a future, summed over its days.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomePart {
    /// Units wanted.
    demand: UnitsSpread,
    /// Units sold.
    sales: UnitsSpread,
    revenue: MoneySpread,
    /// Revenue less costs; null without a unit's cost.
    #[schema(required)]
    margin: Option<MoneySpread>,
}

impl From<Outcome> for OutcomePart {
    fn from(outcome: Outcome) -> Self {
        let units = |spread: Spread| UnitsSpread {
            mean: spread.mean,
            low: spread.low,
            median: spread.median,
            high: spread.high,
        };
        let money = |spread: Spread| MoneySpread {
            mean: usd(spread.mean),
            low: usd(spread.low),
            median: usd(spread.median),
            high: usd(spread.high),
        };
        Self {
            demand: units(outcome.demand),
            sales: units(outcome.sales),
            revenue: money(outcome.revenue),
            margin: outcome.margin.map(money),
        }
    }
}

/// What would become of a product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhatIfAnswer {
    #[schema(value_type = String)]
    product: ProductId,
    /// Null for all regions together.
    #[schema(value_type = Option<String>, required)]
    region: Option<Region>,
    horizon_days: usize,
    /// Today's price.
    #[schema(value_type = schemas::Money)]
    price_now: Money,
    /// The price asked about.
    #[schema(value_type = schemas::Money)]
    price_then: Money,
    /// At today's price, without a promotion, with enough stock.
    plain: OutcomePart,
    /// As asked.
    other: OutcomePart,
    /// The other less the plain one; its interval holds what the change is uncertain by.
    change: OutcomePart,
    /// What the change of price rests on; null where it does not change.
    #[schema(required)]
    price: Option<ElasticityPart>,
    /// What the promotion's effect rests on; null where there is none.
    #[schema(required)]
    promotion: Option<PromotionPart>,
    /// What of the question lies beyond what was ever seen.
    extrapolated: Vec<String>,
    /// Why a fallback answered; null where none did.
    #[schema(required)]
    degraded: Option<String>,
    /// The model.
    model: String,
}

/// Compare a product's coming days with those under another price, a promotion or a stock.
///
/// Demand, units sold, revenue and margin with intervals that hold the forecast's uncertainty and that of the effects. Amounts
/// are in US dollars. Nobody is assumed to buy ahead of a promotion or less after it. Nothing is recorded. Where the price is to
/// change and nothing tells how demand answers to it there is no answer: 409.
#[utoipa::path(
    post, path = "/v1/forecasts/what-if", tag = "models", request_body = WhatIfRequest,
    responses((status = 200, body = WhatIfAnswer)),
)]
pub(crate) async fn post_what_if(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<WhatIfRequest>,
) -> Result<Json<WhatIfAnswer>, Problem> {
    let request = body.value;
    let horizon_days = request.horizon.unwrap_or(HORIZON_DAYS_DEFAULT);
    let promotion = request.promotion.as_ref().map(|promotion| {
        let days = promotion.days.unwrap_or(horizon_days.saturating_sub(promotion.after_days));
        (promotion.discount, promotion.after_days..promotion.after_days.saturating_add(days))
    });
    if request.price.is_some_and(|price| price.amount_minor <= 0) {
        return Err(Problem::invalid([FieldProblem::new("/price/amount", "must be above 0")]));
    }
    let (product, region) = (request.product, request.region);
    let (price, stock, unit_cost) = (request.price, request.stock, request.unit_cost);
    let ask = WhatIf { product, region, horizon_days, price, promotion, stock, unit_cost };
    // Thousands of futures are drawn, which takes milliseconds.
    let told = tokio::task::block_in_place(|| app.engine.what_if(caller.tenant, &ask))?;
    Ok(Json(WhatIfAnswer {
        product,
        region,
        horizon_days,
        price_now: usd(told.price_now_usd_minor as f64),
        price_then: usd(told.price_then_usd_minor),
        plain: told.comparison.plain.into(),
        other: told.comparison.other.into(),
        change: told.comparison.change.into(),
        price: told.price.map(ElasticityPart::from),
        promotion: told.promotion.map(PromotionPart::from),
        extrapolated: told.extrapolated,
        degraded: told.degraded,
        model: told.model,
    }))
}

/// Which days, of what.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UpliftParameters {
    /// In UTC.
    #[param(example = "2026-11-27")]
    first_day: String,
    /// In UTC, at most 59 days later; the first day where it is absent.
    #[param(example = "2026-11-30")]
    last_day: Option<String>,
    #[param(value_type = Option<String>)]
    product: Option<ProductId>,
    /// With those below it.
    #[param(value_type = Option<String>)]
    category: Option<Category>,
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// In this region; in all together where it is absent.
    #[param(value_type = Option<String>)]
    region: Option<Region>,
}

/// What a stretch of days sold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpliftAnswer {
    /// Units of its days, as far as they are over.
    units: f64,
    /// Units of as many of the same weekdays within four weeks before and after.
    usual: f64,
    /// Units over usual ones, and what holds the ratio with a probability of 90 %.
    ratio: EstimateAnswer,
}

/// Tell what a holiday, a fair or a campaign sold beside the same weekdays around it.
///
/// From the sales in the lake, as of its last checkpoint. Where too little sold on the days or around them there is no answer: 409.
#[utoipa::path(
    get, path = "/v1/forecasts/uplift", tag = "models", params(UpliftParameters),
    responses((status = 200, body = UpliftAnswer)),
)]
pub(crate) async fn get_uplift(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(asked): Parameters<UpliftParameters>,
) -> Result<Json<UpliftAnswer>, Problem> {
    let first_day = day("/first_day", &asked.first_day)?;
    let last_day = asked.last_day.as_deref().map_or(Ok(first_day), |text| day("/last_day", text))?;
    let key = SeriesKey { subject: subject(asked.product, asked.category, asked.seller)?, region: asked.region };
    let event = CalendarEvent { name: asked.first_day.clone(), first_day, last_day };
    let told = app.engine.uplift(caller.tenant, &key, &event).await;
    let told = told.map_err(|error| Problem::from(error).into_parameter())?;
    let too_little =
        || EngineError::Conflict("too little sold on these days or around them to tell what they did".into());
    let told = told.ok_or_else(too_little)?;
    let (low, high) = told.log_ratio.interval_90();
    let ratio = EstimateAnswer { value: told.log_ratio.value.exp(), low: low.exp(), high: high.exp() };
    Ok(Json(UpliftAnswer { units: told.units, usual: told.usual, ratio }))
}

/// A day such as `2026-11-27`, as days since 1970-01-01.
fn day(pointer: &str, text: &str) -> Result<i64, Problem> {
    let wrong = || {
        let message = format!("`{text}` is not a day such as 2026-11-27");
        Problem::invalid([FieldProblem::new(pointer, message)]).into_parameter()
    };
    let midnight: Timestamp = format!("{text}T00:00:00Z").parse().map_err(|_| wrong())?;
    if text.len() == 10 { Ok(midnight.day()) } else { Err(wrong()) }
}

fn usd(cents: f64) -> Money {
    Money::new(cents.round() as i64, Currency::USD)
}
