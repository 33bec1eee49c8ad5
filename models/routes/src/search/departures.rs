//! From which departures on a route under traffic is paid for: the earliest ones, or later ones that return as early; it tries no
//! departure that returns later.

use super::clock::{Clock, Moment};
use super::instance::Class;

/// A departure, and the seconds of the leg to where it is from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) leg_s: i64,
    pub(super) left: Moment,
}

impl Departure {
    /// The departure from a node after a leg of so much.
    #[inline]
    pub(super) fn after(clock: &Clock, from: Moment, leg: i64, node: usize) -> Departure {
        let (reached_s, left) = clock.leaves(&from, leg, node);
        Departure { leg_s: reached_s - from.s, left }
    }
}

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    departure_s: i64,
    pub(super) travel_s: i64,
    pub(super) duration_s: i64,
}

impl Timing {
    /// By how much limits are passed, then the cost, the duration and the departure: the least is paid for.
    pub(super) fn rank(&self, class: &Class) -> (i64, i64, i64, i64) {
        let over = |value: i64, limit: Option<i64>| limit.map_or(0, |limit| (value - limit).max(0));
        let broken = over(self.travel_s, class.max_travel) + over(self.duration_s, class.max_duration);
        let cost = class.driving * self.travel_s + class.duty * self.duration_s;
        (broken, cost, self.duration_s, self.departure_s)
    }
}

/// Where a route leads: nodes, each with what is driven on the leg to it.
pub(super) trait Path {
    fn at(&self, position: usize) -> (usize, i64);
}

impl Path for Vec<(usize, i64)> {
    #[inline]
    fn at(&self, position: usize) -> (usize, i64) {
        self[position]
    }
}

/// Given the departures of a path that begins as early as can be: the latest first departure that does not delay what is behind
/// the last wait, when there is one later than the early one, and the departures up to where they meet the early ones; returns
/// the position of that.
fn later_departures(
    class: &Class,
    clock: &Clock,
    path: &impl Path,
    early: &[Departure],
    later: &mut Vec<Departure>,
) -> Option<usize> {
    let waits = |position: &usize| {
        let (node, leg) = path.at(*position);
        early[position - 1].left.driven + leg <= clock.window(node).0
    };
    let last = early.len() - 1;
    let last_wait = (1..=last).rev().find(waits)?;
    let (node, leg) = path.at(last_wait);
    let mut until = clock.window(node).0 - leg;
    let mut behind = last_wait;
    if class.max_travel.is_some() {
        // Behind the last wait, rounding leaves a second here and there: limits want the very departure that the plan will have.
        (until, behind) = (early[last].left.driven, last + 1);
    }
    for position in (1..behind).rev() {
        let (node, leg) = path.at(position);
        until = clock.latest_arrival(node, until) - leg;
    }
    let departure = clock.last_moment(until);
    if departure.s <= early[0].left.s {
        return None;
    }
    later.clear();
    later.push(Departure { leg_s: 0, left: departure });
    for position in 1..early.len() {
        let (node, leg) = path.at(position);
        let departure = Departure::after(clock, later[position - 1].left, leg, node);
        later.push(departure);
        if departure.left.s == early[position].left.s {
            return Some(position);
        }
    }
    Some(early.len() - 1)
}

/// Leaves in `paid` the departures that are paid for.
pub(super) fn settle(
    class: &Class,
    clock: &Clock,
    path: &impl Path,
    early: &[Departure],
    paid: &mut Vec<Departure>,
) -> Timing {
    let sum = |departures: &[Departure]| departures.iter().map(|departure| departure.leg_s).sum::<i64>();
    let (departure_s, return_s) = (early[0].left.s, early[early.len() - 1].left.s);
    let first = Timing { departure_s, travel_s: sum(early), duration_s: return_s - departure_s };
    if let Some(met) = later_departures(class, clock, path, early, paid) {
        let departure_s = paid[0].left.s;
        let travel_s = first.travel_s - sum(&early[..=met]) + sum(paid);
        let later = Timing { departure_s, travel_s, duration_s: return_s - departure_s };
        if later.rank(class) < first.rank(class) {
            paid.extend_from_slice(&early[met + 1..]);
            return later;
        }
    }
    paid.clear();
    paid.extend_from_slice(early);
    first
}
