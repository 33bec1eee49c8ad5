//! How demand answers to prices, promotions and named days, and what would become of a product under others; nothing is recorded.

use std::ops::Range;

use dhow_effects::{
    CalendarEvent, Comparison, DayTotals, Effects, Futures, PriceResponse, PromotionResponse, Scenario, Uplift,
    WEEKS_AROUND,
};
use dhow_events::{Money, ProductId, Region, TenantId};
use dhow_forecast::{SeriesKey, Subject};
use dhow_offline::tables::{SoldOf, daily_totals};
use dhow_offline::{Lake, QueryBounds, SqlSession};
use dhow_reorder::LEVELS;

use crate::champions::{Champion, TenantModels};
use crate::error::failed;
use crate::{Engine, EngineError};

/// The draws of one product are the same whenever it is asked about.
const SEED: u64 = 0x0077_6861_7469_6600;

/// Another future of a product.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// Of which product.
    pub product: ProductId,
    /// In which region; nothing means all together.
    pub region: Option<Region>,
    /// How many days ahead.
    pub horizon_days: usize,
    /// Another price of one unit.
    pub price: Option<Money>,
    /// A promotion: the share that it takes off, and its days, from 0.
    pub promotion: Option<(f64, Range<usize>)>,
    /// Units there for all of the days.
    pub stock: Option<f64>,
    /// What a unit costs.
    pub unit_cost: Option<Money>,
}

/// What would become of a product. Money is in cents.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIfAnswer {
    /// The price now.
    pub price_now_usd_minor: i64,
    /// The price asked about.
    pub price_then_usd_minor: f64,
    /// Both futures, and how they differ.
    pub comparison: Comparison,
    /// How demand answers to the price; nothing where it does not change.
    pub price: Option<PriceResponse>,
    /// How demand answers to a discount; nothing where there is none.
    pub promotion: Option<PromotionResponse>,
    /// What of the question lies beyond what was ever seen.
    pub extrapolated: Vec<String>,
    /// Why a fallback answered; nothing where none did.
    pub degraded: Option<String>,
    /// The model.
    pub model: String,
}

/// How a product's demand answers.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductResponses {
    /// To its price.
    pub price: PriceResponse,
    /// To a discount; nothing where no product ever had one.
    pub promotion: Option<PromotionResponse>,
    /// The model.
    pub model: String,
}

impl Engine {
    /// How a product's demand answers to its price, and to a discount.
    ///
    /// # Errors
    /// No model in force or one without effects, a product that it does not know; a conflict where its price never moved.
    pub fn price_response(&self, tenant: TenantId, product: ProductId) -> Result<ProductResponses, EngineError> {
        let models = self.shared().champions.of(tenant);
        let (champion, effects) = effects(&models)?;
        let key = SeriesKey::product(product, None);
        if !champion.model.keys().any(|known| *known == key) {
            return Err(EngineError::NotFound(format!("demand series: {key} is not in the model")));
        }
        let price = effects.price(product);
        let price = price.map_err(|reason| EngineError::Conflict(format!("{product} has no elasticity: {reason}")))?;
        let category = self.catalogue().offer(tenant, product).map(|offer| offer.category);
        let promotion = effects.promotion(product, category).ok();
        Ok(ProductResponses { price, promotion, model: champion.label.to_string() })
    }

    /// What would become of a product under another price, a promotion or a stock, beside how things stand.
    ///
    /// # Errors
    /// No model in force or one without effects, an unknown product, a value out of its range; a conflict where the price is to
    /// change and nothing tells how demand answers.
    pub fn what_if(&self, tenant: TenantId, ask: &WhatIf) -> Result<WhatIfAnswer, EngineError> {
        let models = self.shared().champions.of(tenant);
        let (champion, effects) = effects(&models)?;
        let offer = self.catalogue().offer(tenant, ask.product);
        let offer = offer.ok_or_else(|| EngineError::NotFound(format!("product {} on offer", ask.product)))?;
        let key = SeriesKey::product(ask.product, ask.region);
        let forecast = models.forecast_now(&key, ask.horizon_days, &LEVELS)?;
        let expected: Vec<f64> = forecast.days.iter().map(|day| day.point).collect();
        let quantiles: Vec<Vec<f64>> = forecast.days.into_iter().map(|day| day.quantiles).collect();
        let futures = Futures::of(&expected, &quantiles, SEED).map_err(failed("forecast"))?;
        let usd = |money: Option<Money>, pointer: &str| {
            let cents = money.map(|money| self.commerce().rates().usd_minor(money)).transpose();
            cents.map_err(|error| EngineError::invalid(format!("{pointer}/currency"), error.to_string()))
        };
        let (then, unit_cost) = (usd(ask.price, "/price")?, usd(ask.unit_cost, "/unit_cost")?);
        let now = offer.price_usd_minor as f64;
        let price_ratio = then.map_or(1.0, |then| then as f64 / now);
        let unknown = |reason| EngineError::Conflict(format!("{}: {reason}", ask.product));
        let price = (price_ratio != 1.0).then(|| effects.price(ask.product)).transpose().map_err(unknown)?;
        let is_promoted = ask.promotion.as_ref().is_some_and(|(discount, _)| *discount != 0.0);
        let promotion = is_promoted.then(|| effects.promotion(ask.product, Some(offer.category)));
        let promotion = promotion.transpose().map_err(unknown)?;
        let (discount, promoted) = ask.promotion.clone().unwrap_or((0.0, 0..0));
        let unit_cost = unit_cost.map(|cents| cents as f64);
        let scenario = Scenario { price: now, price_ratio, discount, promoted, stock: ask.stock, unit_cost };
        let (elasticity, response) = (price.map(|price| price.elasticity), promotion.map(|one| one.response));
        let comparison =
            dhow_effects::what_if(&futures.draws, &scenario, elasticity, response, SEED).map_err(refused)?;
        let reasons: Vec<String> = forecast.degraded.into_iter().chain(futures.fallback.map(str::to_owned)).collect();
        Ok(WhatIfAnswer {
            price_now_usd_minor: offer.price_usd_minor,
            price_then_usd_minor: now * price_ratio,
            comparison,
            extrapolated: extrapolated(now * price_ratio, discount, price.as_ref(), promotion.as_ref()),
            price,
            promotion,
            degraded: (!reasons.is_empty()).then(|| reasons.join("; ")),
            model: champion.label.to_string(),
        })
    }
}

impl Engine {
    /// What a stretch of days sold beside the same weekdays around it, from the lake as of its last checkpoint; nothing where too
    /// little sold to tell.
    ///
    /// # Errors
    /// A stretch that ends before it begins or is too long; a failing query.
    pub async fn uplift(
        &self,
        tenant: TenantId,
        key: &SeriesKey,
        event: &CalendarEvent,
    ) -> Result<Option<Uplift>, EngineError> {
        let storage = self.lake().clone();
        let open = move || SqlSession::open(&Lake::open(storage)?, &tenant, QueryBounds::default());
        let session = tokio::task::spawn_blocking(open).await.map_err(failed("lake"))?.map_err(failed("lake"))?;
        let mut of = SoldOf { region: key.region, ..SoldOf::default() };
        match key.subject {
            Subject::Product(product) => of.product = Some(product),
            Subject::Seller(seller) => of.seller = Some(seller),
            Subject::Category(category) => of.category = Some(category),
            Subject::All => {}
        }
        let around = 7 * WEEKS_AROUND;
        let days = event.first_day.saturating_sub(around)..event.last_day.saturating_add(around + 1);
        let (first_day, units) = daily_totals(&session, &of, days).await.map_err(failed("lake"))?;
        let totals = DayTotals { first_day, units: &units };
        let told = dhow_effects::uplift(totals, event, &[]);
        told.map_err(|error| EngineError::invalid("/last_day", error.to_string()))
    }
}

type Forecaster = Champion<dhow_forecast::DemandModel>;

/// The forecast model in force and its effects.
fn effects(models: &TenantModels) -> Result<(&Forecaster, &Effects), EngineError> {
    let champion = models.forecast.as_ref().ok_or(EngineError::NoModel { task: "forecast" })?;
    let missing = || {
        let model = &champion.label;
        EngineError::Conflict(format!("{model} was trained without effects of prices and promotions; train it again"))
    };
    Ok((champion, champion.model.effects().ok_or_else(missing)?))
}

fn extrapolated(
    price: f64,
    discount: f64,
    of_price: Option<&PriceResponse>,
    of_promotion: Option<&PromotionResponse>,
) -> Vec<String> {
    let (mut reasons, shown) = (Vec::new(), |cents: f64| format!("{:.2}", cents / 100.0));
    if let Some((low, high)) =
        of_price.map(|response| response.prices_seen).filter(|(low, high)| price < *low || price > *high)
    {
        reasons.push(format!("the price was from {} to {} USD while it was measured", shown(low), shown(high)));
    }
    if let Some(deepest) = of_promotion.map(|response| response.deepest).filter(|deepest| discount > *deepest) {
        reasons.push(format!("the deepest discount that was seen is {:.0} %", 100.0 * deepest));
    }
    reasons
}

fn refused(error: dhow_effects::EffectError) -> EngineError {
    let pointer = match &error {
        dhow_effects::EffectError::Value { name, .. } => match *name {
            "price" | "price_ratio" => "/price",
            "discount" => "/promotion/discount",
            "promoted days" => "/promotion/days",
            "stock" => "/stock",
            "unit_cost" => "/unit_cost",
            _ => "",
        },
        _ => "",
    };
    EngineError::invalid(pointer, error.to_string())
}
