//! The shape of an order stream (popularity, basket sizes, repeat purchases, weekdays) and a comparison of two; it judges no model.
//!
//! A basket is what one checkout ordered. Its size is given both ways: as lines (different products) and as units.

use dhow_events::{DAY_MICROS, Event, Fact, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

/// A buyer who orders again within this time counts as a repeat.
pub const REPEAT_WITHIN_MICROS: i64 = 30 * DAY_MICROS;
/// Repeated deliveries of an event are recognised over at least this many later order lines.
pub const DUPLICATE_MEMORY: usize = 1 << 16;

/// The tolerances of [`compare`]: absolute for the Gini coefficient, the repeat share and the weekday distance, relative
/// for the quartiles.
pub const GINI_TOLERANCE: f64 = 0.05;
/// See [`GINI_TOLERANCE`].
pub const QUARTILE_TOLERANCE: f64 = 0.20;
/// See [`GINI_TOLERANCE`].
pub const REPEAT_TOLERANCE: f64 = 0.05;
/// See [`GINI_TOLERANCE`].
pub const WEEKDAY_TOLERANCE: f64 = 0.05;

/// What an order stream looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Baskets ordered.
    pub baskets: u64,
    /// Order lines.
    pub lines: u64,
    /// Buyers who ordered.
    pub buyers: u64,
    /// Products ordered at least once.
    pub products: u64,
    /// The Gini coefficient of the number of order lines over the products ordered, 0 (all equal) to 1.
    pub popularity_gini: f64,
    /// Quartiles of the order lines of a basket: 25 %, 50 %, 75 %.
    pub lines_quartiles: [f64; 3],
    /// Quartiles of the units of a basket: 25 %, 50 %, 75 %.
    pub units_quartiles: [f64; 3],
    /// The share of baskets whose buyer orders again within 30 days, among baskets at least 30 days before the last one;
    /// nothing where there are none.
    pub repeat_share_30_days: Option<f64>,
    /// The share of baskets on each weekday (UTC), Monday first.
    pub weekday_shares: [f64; 7],
}

#[derive(Debug, Clone, Copy)]
struct Basket {
    buyer: u128,
    at: Timestamp,
    lines: u32,
    units: i64,
}

/// Gathers a [`Shape`] from events in any order.
#[derive(Debug, Default)]
pub struct ShapeCollector {
    baskets: FxHashMap<u128, Basket>,
    product_lines: FxHashMap<u128, u64>,
    recent: FxHashSet<u128>,
    less_recent: FxHashSet<u128>,
}

impl ShapeCollector {
    /// A collector that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an event; only order lines matter. A repeated delivery is ignored where it comes within
    /// [`DUPLICATE_MEMORY`] order lines.
    pub fn observe(&mut self, event: &Event) {
        let Fact::ItemOrdered(line) = &event.fact else { return };
        if !self.is_new(event.id.as_u128()) {
            return;
        }
        *self.product_lines.entry(line.product.as_u128()).or_default() += 1;
        let buyer = line.buyer.as_u128();
        let empty = Basket { buyer, at: event.event_time, lines: 0, units: 0 };
        let basket = self.baskets.entry(line.checkout.as_u128()).or_insert(empty);
        basket.at = basket.at.min(event.event_time);
        basket.lines += 1;
        basket.units += line.quantity;
    }

    fn is_new(&mut self, id: u128) -> bool {
        if self.less_recent.contains(&id) || !self.recent.insert(id) {
            return false;
        }
        if self.recent.len() == DUPLICATE_MEMORY {
            self.less_recent = std::mem::take(&mut self.recent);
        }
        true
    }

    /// The shape of what was observed; nothing where no order was.
    pub fn finish(self) -> Option<Shape> {
        if self.baskets.is_empty() {
            return None;
        }
        let mut baskets: Vec<Basket> = self.baskets.into_values().collect();
        baskets.sort_unstable_by_key(|basket| (basket.buyer, basket.at));
        let mut weekday_counts = [0u64; 7];
        for basket in &baskets {
            weekday_counts[(basket.at.day() + 3).rem_euclid(7) as usize] += 1;
        }
        let total = baskets.len() as f64;
        Some(Shape {
            baskets: baskets.len() as u64,
            lines: self.product_lines.values().sum(),
            buyers: baskets.chunk_by(|a, b| a.buyer == b.buyer).count() as u64,
            products: self.product_lines.len() as u64,
            popularity_gini: gini(self.product_lines.into_values().map(|lines| lines as f64).collect()),
            lines_quartiles: quartiles(baskets.iter().map(|basket| f64::from(basket.lines)).collect()),
            units_quartiles: quartiles(baskets.iter().map(|basket| basket.units as f64).collect()),
            repeat_share_30_days: repeat_share(&baskets),
            weekday_shares: weekday_counts.map(|count| count as f64 / total),
        })
    }
}

/// The Gini coefficient: mean absolute difference over twice the mean. `values` must not be negative.
fn gini(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let weighted: f64 = values.iter().enumerate().map(|(index, value)| (index as f64 + 1.0) * value).sum();
    if sum > 0.0 { 2.0 * weighted / (count * sum) - (count + 1.0) / count } else { 0.0 }
}

/// The values at 25 %, 50 % and 75 %, interpolated linearly. `values` must not be empty.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|share| {
        let place = share * (values.len() - 1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        values[low] + (place - place.floor()) * (values[high] - values[low])
    })
}

/// `baskets` are ordered by buyer and time.
fn repeat_share(baskets: &[Basket]) -> Option<f64> {
    let last = baskets.iter().map(|basket| basket.at).max()?;
    let (mut watched, mut repeated) = (0u64, 0u64);
    for (index, basket) in baskets.iter().enumerate() {
        if last.micros_since(basket.at) < REPEAT_WITHIN_MICROS {
            continue;
        }
        watched += 1;
        let again = baskets.get(index + 1).filter(|next| next.buyer == basket.buyer);
        repeated += u64::from(again.is_some_and(|next| next.at.micros_since(basket.at) <= REPEAT_WITHIN_MICROS));
    }
    (watched > 0).then(|| repeated as f64 / watched as f64)
}

/// One measure of two shapes side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// What is measured.
    pub measure: String,
    /// Its value in the first shape; nothing where it is not defined.
    pub first: Option<f64>,
    /// Its value in the second shape.
    pub second: Option<f64>,
    /// How far they are apart: absolute, or relative to the second for the quartiles; nothing for a row without a target.
    pub difference: Option<f64>,
    /// What is allowed; nothing for a row without a target.
    pub tolerance: Option<f64>,
}

impl ComparisonRow {
    /// Whether the difference is within the tolerance; nothing for a row without a target or a defined difference.
    pub fn within(&self) -> Option<bool> {
        Some(self.difference? <= self.tolerance?)
    }
}

/// Compares `first` (a simulation) with `second` (the real data): one row a measure, with the tolerance where there is one.
///
/// The weekday patterns are compared as a whole by their total variation distance, 0 (equal) to 1; the row shows the
/// busiest weekday's shares.
pub fn compare(first: &Shape, second: &Shape) -> Vec<ComparisonRow> {
    let row = |measure: &str, a: Option<f64>, b: Option<f64>, difference: Option<f64>, tolerance| ComparisonRow {
        measure: measure.to_owned(),
        first: a,
        second: b,
        difference,
        tolerance,
    };
    let absolute = |a: Option<f64>, b: Option<f64>| Some((a? - b?).abs());
    let (gini_a, gini_b) = (Some(first.popularity_gini), Some(second.popularity_gini));
    let mut rows =
        vec![row("product popularity, Gini", gini_a, gini_b, absolute(gini_a, gini_b), Some(GINI_TOLERANCE))];
    for (unit, ours, theirs) in [
        ("lines", first.lines_quartiles, second.lines_quartiles),
        ("units", first.units_quartiles, second.units_quartiles),
    ] {
        for (index, share) in ["25 %", "50 %", "75 %"].into_iter().enumerate() {
            let (a, b) = (ours[index], theirs[index]);
            let apart = Some((a - b).abs() / b.abs().max(f64::MIN_POSITIVE));
            rows.push(row(&format!("basket {unit}, {share}"), Some(a), Some(b), apart, Some(QUARTILE_TOLERANCE)));
        }
    }
    let (repeat_a, repeat_b) = (first.repeat_share_30_days, second.repeat_share_30_days);
    rows.push(row("repeat within 30 days", repeat_a, repeat_b, absolute(repeat_a, repeat_b), Some(REPEAT_TOLERANCE)));
    let apart: f64 = first.weekday_shares.iter().zip(&second.weekday_shares).map(|(a, b)| (a - b).abs()).sum();
    let busiest = (0..7).max_by(|a, b| second.weekday_shares[*a].total_cmp(&second.weekday_shares[*b])).unwrap_or(0);
    let (day_a, day_b) = (Some(first.weekday_shares[busiest]), Some(second.weekday_shares[busiest]));
    rows.push(row("weekday pattern, busiest day", day_a, day_b, Some(apart / 2.0), Some(WEEKDAY_TOLERANCE)));
    for (measure, a, b) in [
        ("baskets", first.baskets, second.baskets),
        ("lines", first.lines, second.lines),
        ("buyers who ordered", first.buyers, second.buyers),
        ("products ordered", first.products, second.products),
    ] {
        rows.push(row(measure, Some(a as f64), Some(b as f64), None, None));
    }
    rows
}
