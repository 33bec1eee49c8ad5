//! Order-up-to levels, packs, minimums and budgets; where the numbers come from is the caller's business.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use crate::Demand;

/// Most items of one call.
pub const ITEMS_MAX: usize = 100_000;

/// How surely demand is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// With this probability in each protection period, in (0, 1).
    Level(f64),
    /// As surely as it pays: the margin of a sale against the cost of keeping a unit through the period, minor units.
    Profit {
        /// What a unit costs to keep, minor units of the cost's currency.
        holding_minor: i64,
    },
}

/// A product at a place, as it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Units there.
    pub on_hand: i64,
    /// Units of these that are promised to buyers.
    pub promised: i64,
    /// Units ordered before that will arrive within the lead time.
    pub on_its_way: i64,
    /// Units that are sold together by the supplier, at least 1.
    pub pack_units: i64,
    /// Fewest units of an order.
    pub minimum_units: i64,
    /// What a unit costs, minor units.
    pub unit_cost_minor: i64,
    /// What a sale earns above its cost, minor units.
    pub unit_margin_minor: i64,
    /// How surely demand is to be met.
    pub service: Service,
    /// The units wanted until the next order could arrive.
    pub demand: Demand,
}

/// Money that may be spent on all items together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Minor units; none means no bound.
    pub minor: Option<i64>,
}

/// Whether the budget cut an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// All that was wanted is ordered.
    No,
    /// Less than was wanted.
    Partly,
    /// Nothing, though something was wanted.
    Wholly,
}

/// What to order of an item, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Units to order; zero where the position covers the demand, or the budget is spent.
    pub units: i64,
    /// What they cost, minor units.
    pub cost_minor: i64,
    /// On hand, less what is promised, plus what is on its way.
    pub position_units: i64,
    /// The level that the position is raised to.
    pub order_up_to_units: i64,
    /// The level's part above the expected demand; negative where service is wanted below the mean.
    pub safety_units: f64,
    /// The expected demand of the period.
    pub expected_units: f64,
    /// The probability of serving all demand that the level stands for.
    pub service_level: f64,
    /// The probability that demand is not met without this order, and with it.
    pub stockout_probability: [f64; 2],
    /// The margin that is expected to be lost without this order, and with it, minor units.
    pub lost_margin_minor: [f64; 2],
    /// Units that would be ordered without a budget.
    pub wanted_units: i64,
    /// Whether the budget cut it.
    pub cut: Cut,
}

/// Proposes an order for each item, in the order of the items.
///
/// Without a budget each item gets its whole order. With one, orders are bought step by step: first the smallest order that
/// an item allows, then pack by pack, always the step that saves the most expected margin for its cost, until no step fits
/// (a greedy rule; exact where steps are equal in size, since what a further pack saves never grows). An item without a
/// margin is served last.
pub fn propose(items: &[Item], budget: &Budget) -> Vec<Proposal> {
    let mut proposals: Vec<Proposal> = items.iter().map(wanted).collect();
    let total: i128 = proposals.iter().map(|proposal| i128::from(proposal.cost_minor)).sum();
    if let Some(minor) = budget.minor.filter(|minor| i128::from(*minor) < total) {
        spend(items, &mut proposals, minor);
    }
    proposals
}

/// The order of an item for itself.
fn wanted(item: &Item) -> Proposal {
    let position_units = item.on_hand - item.promised + item.on_its_way;
    let service_level = match item.service {
        Service::Level(level) => level,
        Service::Profit { holding_minor } => {
            let (margin, holding) = (item.unit_margin_minor.max(0) as f64, holding_minor.max(0) as f64);
            if margin + holding > 0.0 { margin / (margin + holding) } else { 0.5 }
        }
    };
    let order_up_to_units = item.demand.quantile(service_level).ceil() as i64;
    let missing = order_up_to_units - position_units;
    let units = if missing > 0 { packed(missing.max(item.minimum_units), item.pack_units) } else { 0 };
    let expected_units = item.demand.mean();
    let mut proposal = Proposal {
        units,
        cost_minor: 0,
        position_units,
        order_up_to_units,
        safety_units: order_up_to_units as f64 - expected_units,
        expected_units,
        service_level,
        stockout_probability: [0.0; 2],
        lost_margin_minor: [0.0; 2],
        wanted_units: units,
        cut: Cut::No,
    };
    told(item, &mut proposal, units);
    proposal
}

/// Sets the units that are ordered and all that follows from them.
fn told(item: &Item, proposal: &mut Proposal, units: i64) {
    let (without, with) = (proposal.position_units as f64, (proposal.position_units + units) as f64);
    proposal.units = units;
    proposal.cost_minor = units * item.unit_cost_minor;
    proposal.stockout_probability = [without, with].map(|held| item.demand.probability_above(held));
    proposal.lost_margin_minor = [without, with].map(|held| lost_margin(item, held));
    proposal.cut = match units {
        _ if units == proposal.wanted_units => Cut::No,
        0 => Cut::Wholly,
        _ => Cut::Partly,
    };
}

fn lost_margin(item: &Item, held: f64) -> f64 {
    item.demand.expected_shortage(held) * item.unit_margin_minor.max(0) as f64
}

/// The fewest whole packs with at least so many units.
fn packed(units: i64, pack_units: i64) -> i64 {
    let pack = pack_units.max(1);
    units.div_euclid(pack) * pack + if units.rem_euclid(pack) > 0 { pack } else { 0 }
}

/// A step that a budget could buy: what it saves for a unit of money, and of which item.
#[derive(PartialEq)]
struct Buy {
    saved_per_minor: f64,
    item: usize,
    units: i64,
}

impl Eq for Buy {}

impl Ord for Buy {
    fn cmp(&self, other: &Self) -> Ordering {
        self.saved_per_minor.total_cmp(&other.saved_per_minor).then(other.item.cmp(&self.item))
    }
}

impl PartialOrd for Buy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn spend(items: &[Item], proposals: &mut [Proposal], minor: i64) {
    let mut left = minor;
    let mut bought = vec![0_i64; items.len()];
    let mut steps: BinaryHeap<Buy> =
        (0..items.len()).filter_map(|item| next_step(&items[item], &proposals[item], item, 0)).collect();
    while let Some(step) = steps.pop() {
        let item = &items[step.item];
        let cost = step.units * item.unit_cost_minor;
        if cost > left {
            // A step that does not fit now never will: what is left only shrinks.
            continue;
        }
        left -= cost;
        bought[step.item] += step.units;
        steps.extend(next_step(item, &proposals[step.item], step.item, bought[step.item]));
    }
    for ((item, proposal), units) in items.iter().zip(proposals).zip(bought) {
        told(item, proposal, units);
    }
}

/// What comes after `bought` units of an item: the smallest order, then a pack; nothing beyond what is wanted.
fn next_step(item: &Item, proposal: &Proposal, number: usize, bought: i64) -> Option<Buy> {
    let pack = item.pack_units.max(1);
    let units = if bought == 0 { packed(item.minimum_units.max(1), pack) } else { pack };
    if bought + units > proposal.wanted_units {
        return None;
    }
    let held = (proposal.position_units + bought) as f64;
    let saved = lost_margin(item, held) - lost_margin(item, held + units as f64);
    let cost = (units * item.unit_cost_minor).max(1) as f64;
    Some(Buy { saved_per_minor: saved / cost, item: number, units })
}
