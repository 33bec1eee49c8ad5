//! How well anything could do on simulated data, from the truth, beside a trivial method: later figures are read as the share of the gap closed.
//!
//! A ceiling is what an oracle reaches who knows how the simulator draws; a floor is what no model is needed for. The
//! oracle for fraud gives the probability that follows from the traits that a checkout was drawn with; those for clicks
//! and delivery times know the distributions that are drawn from; the one for demand knows the day's offer, prices,
//! promotions, season and customers, but neither single buyers' histories nor what runs out of stock.

use dhow_events::{Event, Fact, MINUTE_MICROS};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::simulator::{Truth, position_share};

/// The share of honest checkouts that may be refused when recall is read: 0.03 %.
pub const FALSE_POSITIVE_RATE: f64 = 0.0003;
/// Demand is judged over this many last days.
pub const DEMAND_DAYS: usize = 14;
/// How many products a judged slate has.
pub const SLATE_LENGTH: usize = 10;
/// At most so many buyers are judged for clicks, spread evenly over all.
pub const MOST_BUYERS: usize = 1000;
/// The quantiles whose pinball losses are averaged for delivery times, with their standard normal values.
pub const DELIVERY_QUANTILES: [(f64, f64); 3] =
    [(0.5, 0.0), (0.8, 0.841_621_233_572_914), (0.95, 1.644_853_626_951_472)];
/// The season of the seasonal naive forecast, in days.
const SEASON_DAYS: usize = 7;

/// A floor and a ceiling of one measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// What is measured, with its unit.
    pub measure: String,
    /// The trivial method.
    pub floor_method: String,
    /// What it reaches.
    pub floor: f64,
    /// What the oracle reaches.
    pub ceiling: f64,
    /// How many cases were judged.
    pub cases: u64,
}

impl Gap {
    /// The share of the gap that `value` closes: 0 at the floor, 1 at the ceiling; nothing where there is no gap.
    pub fn share_closed(&self, value: f64) -> Option<f64> {
        let gap = self.ceiling - self.floor;
        (gap != 0.0).then(|| (value - self.floor) / gap)
    }
}

/// Gathers from the events of a simulation what its truth is compared with. Repeated deliveries of an event do no harm.
#[derive(Debug, Default)]
pub struct CeilingCollector {
    amounts_usd_minor: FxHashMap<u128, i64>,
    transit_minutes: FxHashMap<u128, i64>,
    /// Units by product and day since 1970 and the order that they belong to, so that a repeated line counts once.
    units: FxHashMap<(u128, u128), (i64, i64)>,
}

impl CeilingCollector {
    /// A collector that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an event.
    pub fn observe(&mut self, event: &Event) {
        match &event.fact {
            Fact::CheckoutSubmitted(fact) => {
                self.amounts_usd_minor.insert(fact.checkout.as_u128(), fact.total_usd_minor);
            }
            Fact::ShipmentDelivered(fact) => {
                self.transit_minutes.insert(fact.shipment.as_u128(), fact.transit_minutes);
            }
            Fact::ItemOrdered(fact) => {
                let line = (fact.product.as_u128(), fact.order.as_u128());
                self.units.insert(line, (event.event_time.day(), fact.quantity));
            }
            _ => {}
        }
    }

    /// The floors and ceilings. A measure without a case (no fraud, too short a history) is left out.
    pub fn finish(self, truth: &Truth) -> Vec<Gap> {
        let mut gaps = Vec::new();
        gaps.extend(self.fraud(truth));
        gaps.extend(clicks(truth));
        gaps.extend(self.delivery(truth));
        gaps.extend(self.demand(truth));
        gaps
    }

    fn fraud(&self, truth: &Truth) -> Option<Gap> {
        let cases: Vec<(bool, f64, f64)> = truth
            .checkouts
            .iter()
            .filter_map(|checkout| {
                let amount = *self.amounts_usd_minor.get(&checkout.checkout.as_u128())? as f64;
                Some((checkout.kind.is_fraud(), f64::from(checkout.probability), amount))
            })
            .collect();
        Some(Gap {
            measure: "fraud recall at 0.03 % false positives".to_owned(),
            floor_method: "largest amounts".to_owned(),
            floor: recall(cases.iter().map(|(fraud, _, amount)| (*fraud, *amount)))?,
            ceiling: recall(cases.iter().map(|(fraud, probability, _)| (*fraud, *probability)))?,
            cases: cases.iter().filter(|(fraud, _, _)| *fraud).count() as u64,
        })
    }

    fn delivery(&self, truth: &Truth) -> Option<Gap> {
        let (mut floor, mut ceiling, mut cases) = (0.0, 0.0, 0u64);
        for delivery in &truth.deliveries {
            let Some(minutes) = self.transit_minutes.get(&delivery.shipment.as_u128()) else { continue };
            let promised = delivery.promised_at.micros_since(delivery.dispatched_at) as f64 / MINUTE_MICROS as f64;
            cases += 1;
            for (quantile, normal) in DELIVERY_QUANTILES {
                let oracle = f64::from(delivery.median_minutes) * (normal * f64::from(delivery.log_spread)).exp();
                floor += pinball(*minutes as f64, promised.max(0.0), quantile);
                ceiling += pinball(*minutes as f64, oracle, quantile);
            }
        }
        let terms = cases as f64 * DELIVERY_QUANTILES.len() as f64;
        (cases > 0).then(|| Gap {
            measure: "delivery time, mean pinball loss at 50, 80 and 95 %, minutes".to_owned(),
            floor_method: "the promise".to_owned(),
            floor: floor / terms,
            ceiling: ceiling / terms,
            cases,
        })
    }

    fn demand(&self, truth: &Truth) -> Option<Gap> {
        let days = truth.days as usize;
        if days < DEMAND_DAYS + SEASON_DAYS {
            return None;
        }
        let mut units: FxHashMap<(u128, i64), i64> = FxHashMap::default();
        for ((product, _), (day, quantity)) in &self.units {
            *units.entry((*product, *day)).or_default() += quantity;
        }
        let ordered = |product: usize, day: usize| {
            let key = (truth.products[product].product.as_u128(), truth.start.day() + day as i64);
            units.get(&key).copied().unwrap_or(0) as f64
        };
        let (mut floor, mut ceiling, mut cases) = (0.0, 0.0, 0u64);
        for product in 0..truth.products.len() {
            for day in days - DEMAND_DAYS..days {
                let actual = ordered(product, day);
                let expected: f64 =
                    (0..truth.regions.len()).map(|region| truth.expected_units(product, region, day)).sum();
                floor += (actual - ordered(product, day - SEASON_DAYS)).powi(2);
                ceiling += (actual - expected).powi(2);
                cases += 1;
            }
        }
        (cases > 0).then(|| Gap {
            measure: format!(
                "demand of a product a day over the last {DEMAND_DAYS} days, root mean squared error, units"
            ),
            floor_method: "the same weekday a week before".to_owned(),
            floor: (floor / cases as f64).sqrt(),
            ceiling: (ceiling / cases as f64).sqrt(),
            cases,
        })
    }
}

/// The share of fraud above the score that [`FALSE_POSITIVE_RATE`] of the honest exceed; nothing without both kinds.
fn recall(cases: impl Iterator<Item = (bool, f64)>) -> Option<f64> {
    let (fraud, honest): (Vec<_>, Vec<_>) = cases.partition(|(fraud, _)| *fraud);
    let mut honest: Vec<f64> = honest.into_iter().map(|(_, score)| score).collect();
    honest.sort_unstable_by(|a, b| b.total_cmp(a));
    let threshold = *honest.get((honest.len() as f64 * FALSE_POSITIVE_RATE) as usize)?;
    let found = fraud.iter().filter(|(_, score)| *score > threshold).count();
    (!fraud.is_empty()).then(|| found as f64 / fraud.len() as f64)
}

fn pinball(actual: f64, predicted: f64, quantile: f64) -> f64 {
    let over = actual - predicted;
    if over >= 0.0 { quantile * over } else { (quantile - 1.0) * over }
}

/// Clicks that a slate of the last day would get: the most popular products for everybody, against each buyer's best.
fn clicks(truth: &Truth) -> Option<Gap> {
    let last_day = truth.days as i32 - 1;
    let mut offered: Vec<usize> = (0..truth.products.len())
        .filter(|product| {
            let (first, end) = truth.products[*product].on_offer_days;
            (first..end).contains(&last_day)
        })
        .collect();
    offered.sort_by(|a, b| truth.products[*b].popularity.total_cmp(&truth.products[*a].popularity));
    if offered.len() < SLATE_LENGTH || truth.buyers.is_empty() {
        return None;
    }
    let step = truth.buyers.len().div_ceil(MOST_BUYERS);
    let (mut floor, mut ceiling, mut cases) = (0.0, 0.0, 0u64);
    for buyer in (0..truth.buyers.len()).step_by(step) {
        let mut probabilities: Vec<f64> =
            offered.iter().map(|product| truth.click_probability(buyer, *product)).collect();
        floor += slate_clicks(&probabilities);
        probabilities.sort_unstable_by(|a, b| b.total_cmp(a));
        ceiling += slate_clicks(&probabilities);
        cases += 1;
    }
    Some(Gap {
        measure: format!("expected clicks for each product shown, slate of {SLATE_LENGTH}"),
        floor_method: "the most popular products".to_owned(),
        floor: floor / cases as f64,
        ceiling: ceiling / cases as f64,
        cases,
    })
}

/// Expected clicks for each of the first products, with the bias of their positions.
fn slate_clicks(probabilities: &[f64]) -> f64 {
    let clicks: f64 =
        probabilities.iter().take(SLATE_LENGTH).enumerate().map(|(place, click)| click * position_share(place)).sum();
    clicks / SLATE_LENGTH as f64
}

/// The expected clicks for each product shown when the slate is drawn at random from all products, for as many buyers as
/// the ceiling judges: what the floor of popularity is itself better than.
pub fn random_slate_clicks(truth: &Truth) -> Option<f64> {
    let cases = truth.buyers.len().div_ceil(truth.buyers.len().div_ceil(MOST_BUYERS).max(1));
    let step = truth.buyers.len().div_ceil(MOST_BUYERS).max(1);
    let positions: f64 = (0..SLATE_LENGTH).map(position_share).sum::<f64>() / SLATE_LENGTH as f64;
    let products = truth.products.len();
    let sum: f64 = (0..truth.buyers.len())
        .step_by(step)
        .map(|buyer| (0..products).map(|product| truth.click_probability(buyer, product)).sum::<f64>())
        .sum();
    (cases > 0 && products > 0).then(|| positions * sum / (cases * products) as f64)
}
