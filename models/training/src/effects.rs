//! Measures what prices and promotions did to demand, from the lake's sales, listings and promotions; it forecasts nothing.

use std::collections::BTreeMap;

use dhow_effects::{Effects, Estimate, Panel, PanelProduct, SoldOn};
use dhow_events::{DAY_MICROS, ProductId, Region, Timestamp};
use dhow_forecast::Member;
use dhow_offline::SqlSession;
use dhow_offline::tables::{DemandRow, ProductSpan, price_spans, promotion_spans};

use crate::TrainingError;
use crate::error::trainer;

const TASK: &str = "forecast";
/// The latest days that are measured from.
const DAYS_MAX: i64 = 730;
/// The deepest discount that is believed.
const DISCOUNT_MOST: f64 = 0.95;

/// Measures from what sold before `until_day`.
///
/// # Errors
/// A failing query.
pub(crate) async fn measure_effects(
    session: &SqlSession,
    rows: &[DemandRow],
    members: &BTreeMap<ProductId, Member>,
    until_day: i64,
) -> Result<Effects, TrainingError> {
    let until = Timestamp::from_micros(until_day * DAY_MICROS);
    let (prices, promotions) = (price_spans(session, until).await?, promotion_spans(session, until).await?);
    let first_day = rows.iter().map(|row| row.day).min().unwrap_or(until_day).max(until_day - DAYS_MAX);
    let days = usize::try_from(until_day - first_day).unwrap_or(0);
    let mut regions: BTreeMap<Region, usize> = BTreeMap::new();
    for row in rows {
        let next = regions.len();
        regions.entry(row.region).or_insert(next);
    }
    let mut products: BTreeMap<ProductId, PanelProduct> = BTreeMap::new();
    for row in rows {
        let Some(day) = usize::try_from(row.day - first_day).ok().filter(|day| *day < days && row.quantity > 0.0)
        else {
            continue;
        };
        let product = products.entry(row.product).or_insert_with(|| PanelProduct {
            product: row.product,
            category: members.get(&row.product).and_then(|member| member.category),
            sold: Vec::new(),
            prices: vec![f64::NAN; days],
            discounts: vec![0.0; days],
        });
        product.sold.push(SoldOn { region: regions[&row.region], day, units: row.quantity });
    }
    for span in &prices {
        fill(&mut products, span, first_day, |one, days| one.prices[days].fill(span.value));
    }
    for span in &promotions {
        let discount = span.value.clamp(0.0, DISCOUNT_MOST);
        fill(&mut products, span, first_day, |one, days| one.discounts[days].fill(discount));
    }
    let panel = Panel { days, regions: regions.len(), products: products.into_values().collect() };
    Effects::measure(&panel).map_err(trainer(TASK))
}

/// Sets the days whose noon lies in a span.
fn fill(
    products: &mut BTreeMap<ProductId, PanelProduct>,
    span: &ProductSpan,
    first_day: i64,
    set: impl FnOnce(&mut PanelProduct, std::ops::Range<usize>),
) {
    let Some(product) = products.get_mut(&span.product) else { return };
    let day = |time: Timestamp| {
        let noon_passed = i64::from(time.micros().rem_euclid(DAY_MICROS) > DAY_MICROS / 2);
        usize::try_from(time.day() + noon_passed - first_day).unwrap_or(0).min(product.prices.len())
    };
    let (from, until) = (day(span.from), day(span.until));
    if from < until {
        set(product, from..until);
    }
}

/// What was measured, in words.
pub(crate) fn told(effects: &Effects) -> String {
    let (prices, promotions) = effects.measured();
    let (price, promotion) = effects.of_all();
    let of = |estimate: Option<Estimate>| match estimate {
        Some(estimate) => {
            let (low, high) = estimate.interval_90();
            format!("{:.2} on the mean ({low:.2} to {high:.2})", estimate.value)
        }
        None => "none".to_owned(),
    };
    format!(
        "price elasticity: {}, of {prices} products whose price moved; response to a discount: {}, of {promotions} products",
        of(price),
        of(promotion)
    )
}
