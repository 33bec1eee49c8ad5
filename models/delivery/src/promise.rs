//! Which day to promise: the one whose expected cost of late and of early is least, given quantiles of the time; it learns nothing.

use crate::{DeliveryError, LEVELS, MINUTES_MAX};
use dhow_events::{DAY_MICROS, MINUTE_MICROS, Timestamp};
use serde::{Deserialize, Serialize};

/// The most days ahead that are promised.
pub const PROMISE_DAYS_MAX: i64 = 180;
/// The standard normal values of [`LEVELS`].
const NORMAL: [f64; LEVELS.len()] = [-1.281_551_565_544_6, 0.0, 1.281_551_565_544_6];
/// Standard normal values that the expectation is taken over: so many to each side, so far apart.
const NODES: i32 = 80;
const NODE_WIDTH: f64 = 0.05;

/// What it costs to be wrong, in any one unit of money.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PromiseCosts {
    /// Of a parcel that comes after the promised day.
    pub late: f64,
    /// Of each day that it comes after.
    pub late_per_day: f64,
    /// Of each day that it could have been promised earlier: buyers leave for a shop that promises less.
    pub early_per_day: f64,
}

/// The chosen day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// The end of the promised day, UTC.
    pub by: Timestamp,
    /// The probability that the parcel comes later.
    pub probability_late: f64,
    /// The expected cost.
    pub expected_cost: f64,
}

/// The day, ending at midnight UTC, with the least expected cost for a parcel asked about at `at` whose minutes have these
/// quantiles at [`LEVELS`]; the earliest of equal ones. Between and beyond the quantiles the logarithm of the minutes is taken
/// as normal on each side of the median.
///
/// # Errors
/// Quantiles that fall or are out of range, costs that are negative or not finite, or no cost of both kinds.
pub fn promise(at: Timestamp, minutes: &[f64; LEVELS.len()], costs: &PromiseCosts) -> Result<Promise, DeliveryError> {
    let value = |name, found: f64, range| Err(DeliveryError::Value { name, found, range });
    if let Some(wrong) = minutes.iter().find(|minutes| !(**minutes > 0.0 && **minutes <= MINUTES_MAX)) {
        return value("minutes", *wrong, "above 0 and at most 180 days");
    }
    if let Some(pair) = minutes.windows(2).find(|pair| pair[1] < pair[0]) {
        return value("minutes", pair[1], "at least the quantile before it");
    }
    for (name, cost) in
        [("late", costs.late), ("late_per_day", costs.late_per_day), ("early_per_day", costs.early_per_day)]
    {
        if !(cost.is_finite() && cost >= 0.0) {
            return value(name, cost, "finite and at least 0");
        }
    }
    if costs.late + costs.late_per_day <= 0.0 || costs.early_per_day <= 0.0 {
        return value("early_per_day", costs.early_per_day, "above 0, and so must be a cost of late");
    }
    let arrivals = arrivals(at, minutes);
    let first_day = at.day();
    let mut best: Option<Promise> = None;
    for day in first_day..=first_day + PROMISE_DAYS_MAX {
        let promise = judged((day + 1) * DAY_MICROS, &arrivals, costs);
        // The cost is not convex with a cost of late as such, so that every day up to the last possible arrival is looked at.
        if best.is_none_or(|best| promise.expected_cost < best.expected_cost) {
            best = Some(promise);
        }
        if promise.probability_late <= 0.0 {
            break;
        }
    }
    best.map_or_else(|| value("minutes", minutes[2], "above 0 and at most 180 days"), Ok)
}

/// Times of arrival with their probabilities.
fn arrivals(at: Timestamp, minutes: &[f64; LEVELS.len()]) -> Vec<(i64, f64)> {
    let logs = minutes.map(f64::ln);
    let (below, above) = ((logs[1] - logs[0]) / -NORMAL[0], (logs[2] - logs[1]) / NORMAL[2]);
    let node = |at_node: i32| {
        let normal = f64::from(at_node) * NODE_WIDTH;
        (normal, (-0.5 * normal * normal).exp())
    };
    let all: f64 = (-NODES..=NODES).map(|at_node| node(at_node).1).sum();
    let arrival = |(normal, density): (f64, f64)| {
        let log = logs[1] + normal * if normal < 0.0 { below } else { above };
        let micros = log.exp().min(MINUTES_MAX) * MINUTE_MICROS as f64;
        (at.micros().saturating_add(micros as i64), density / all)
    };
    (-NODES..=NODES).map(|at_node| arrival(node(at_node))).collect()
}

fn judged(by: i64, arrivals: &[(i64, f64)], costs: &PromiseCosts) -> Promise {
    let (mut probability_late, mut expected_cost) = (0.0, 0.0);
    for (arrival, probability) in arrivals {
        let days_late = (arrival - by) as f64 / DAY_MICROS as f64;
        if days_late > 0.0 {
            probability_late += probability;
            expected_cost += probability * (costs.late + costs.late_per_day * days_late);
        } else {
            expected_cost -= probability * costs.early_per_day * days_late;
        }
    }
    Promise { by: Timestamp::from_micros(by), probability_late, expected_cost }
}
