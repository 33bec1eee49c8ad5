//! A route whose vehicle's speed changes over the day: times by its clock, and what an insertion costs then.
//!
//! Whether an insertion is in time is known in constant time, as without traffic. What it costs is, too, unless time has a price
//! or a limit: then places are ranked by what they would cost if the rest of the route kept its speeds, which takes constant time,
//! and those that seem to be the best so far are followed from the start of the route to its end.

use super::clock::{Clock, HUNDRED, Moment};
use super::departures::{Departure, Path, settle};
use super::instance::{Class, Instance};
use super::metric::Metric;
use super::route::{Route, Span};
use std::ops::Range;

/// A route with the full-speed seconds of the leg to each position.
struct Now<'r>(&'r [u32], &'r [i64]);

impl Path for Now<'_> {
    #[inline]
    fn at(&self, position: usize) -> (usize, i64) {
        (self.0[position] as usize, HUNDRED * self.1[position])
    }
}

/// What a route under traffic keeps per position.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Departures when the first is as early as can be.
    early: Vec<Departure>,
    /// What is driven at the latest arrival from which the rest is in time.
    latest: Vec<i64>,
    /// Departures that are paid for, and what the metres of the legs cost. Kept where time has a price or a limit.
    paid: Vec<Departure>,
    ways: Vec<i64>,
    /// Positions with new legs since the sums were made.
    changed: Range<usize>,
}

impl Traffic {
    pub(super) fn copy_from(&mut self, other: &Traffic) {
        self.early.clone_from(&other.early);
        self.latest.clone_from(&other.latest);
        self.paid.clone_from(&other.paid);
        self.ways.clone_from(&other.ways);
        self.changed = other.changed.clone();
    }

    /// Seconds of the leg into a position, as paid for.
    pub(super) fn paid_leg_s(&self, position: usize) -> i64 {
        self.paid[position].leg_s
    }

    /// Everything is new.
    pub(super) fn renew(&mut self, length: usize) {
        self.early.clear();
        self.early.resize(length, Departure::default());
        self.latest.clear();
        self.latest.resize(length, 0);
        self.ways.clear();
        self.ways.resize(length, 0);
        self.changed = 0..length;
    }

    /// A node was put before a position.
    pub(super) fn insert(&mut self, position: usize) {
        self.early.insert(position, Departure::default());
        self.latest.insert(position, 0);
        self.ways.insert(position, 0);
        self.change(position..position + 2);
    }

    /// The nodes at these positions are gone; of several ranges the last is told first.
    pub(super) fn remove(&mut self, positions: Range<usize>) {
        let (from, count) = (positions.start, positions.len());
        self.early.drain(positions.clone());
        self.latest.drain(positions.clone());
        self.ways.drain(positions);
        if !self.changed.is_empty() {
            self.changed.end = self.changed.end.saturating_sub(count).max(from);
        }
        self.change(from..from + 1);
    }

    fn change(&mut self, positions: Range<usize>) {
        let from = if self.changed.is_empty() { positions.start } else { self.changed.start.min(positions.start) };
        self.changed = from..self.changed.end.max(positions.end);
    }
}

impl Route {
    /// Earliest departures and latest arrivals by the clock, and what is paid for where time has a price or a limit. Only what
    /// changed legs reach is computed anew.
    pub(super) fn sum_times_in_traffic(&mut self, instance: &Instance, class: &Class, clock: &Clock) {
        let changed = std::mem::take(&mut self.traffic.changed);
        self.sum_early(class, clock, &changed);
        self.sum_latest(class, clock, &changed);
        if !class.prices_time() {
            return;
        }
        let Traffic { early, paid, .. } = &mut self.traffic;
        let timing = settle(class, clock, &Now(&self.nodes, &self.leg_times), early, paid);
        (self.travel, self.duration) = (timing.travel_s, timing.duration_s);
        if class.driving > 0 {
            self.price_legs(instance, class, &changed);
        }
    }

    /// Earliest departures, up to where they meet the ones known.
    fn sum_early(&mut self, class: &Class, clock: &Clock, changed: &Range<usize>) {
        let (early, path) = (&mut self.traffic.early, Now(&self.nodes, &self.leg_times));
        let moved = changed.start == 0 || early[0].left.s != self.opening;
        if moved {
            early[0] = Departure { leg_s: 0, left: clock.moment(self.opening) };
        }
        for position in if moved { 1 } else { changed.start }..early.len() {
            let (node, leg) = path.at(position);
            let from = early[position - 1].left;
            let departure = if class.prices_time() {
                Departure::after(clock, from, leg, node)
            } else {
                Departure { leg_s: 0, left: clock.left(&from, leg, node) }
            };
            let met = position >= changed.end && departure == early[position];
            early[position] = departure;
            if met {
                break;
            }
        }
    }

    /// Latest arrivals, back to where they meet the ones known.
    fn sum_latest(&mut self, class: &Class, clock: &Clock, changed: &Range<usize>) {
        let (latest, path) = (&mut self.traffic.latest, Now(&self.nodes, &self.leg_times));
        let last = latest.len() - 1;
        latest[last] = clock.moment(class.closes).driven;
        for position in (0..changed.end.min(last)).rev() {
            let until = latest[position + 1] - path.at(position + 1).1;
            let arrival = clock.latest_arrival(self.nodes[position] as usize, until);
            let met = position + 1 < changed.start && arrival == latest[position];
            latest[position] = arrival;
            if met {
                break;
            }
        }
    }

    /// Prices the legs by the time that they take; an unused vehicle drives none.
    fn price_legs(&mut self, instance: &Instance, class: &Class, changed: &Range<usize>) {
        let way = class.way(instance);
        let Traffic { ways, paid, .. } = &mut self.traffic;
        let new = changed.start.max(1)..changed.end.min(ways.len());
        for (leg, price) in self.nodes[new.start - 1..].windows(2).zip(&mut ways[new]) {
            *price = way.get(leg[0] as usize, leg[1] as usize);
        }
        if self.nodes.len() > 2 {
            for ((price, way), departure) in self.legs.iter_mut().zip(ways).zip(paid) {
                *price = *way + class.driving * departure.leg_s;
            }
        }
    }

    /// When a position is left at the earliest; of no meaning without a clock.
    pub(super) fn early(&self, position: usize) -> Moment {
        self.traffic.early.get(position).map_or(Moment::default(), |departure| departure.left)
    }

    /// What is driven at the latest arrival at a position from which the rest is in time.
    pub(super) fn latest_arrival(&self, position: usize) -> i64 {
        self.traffic.latest[position]
    }

    /// True when no arrival is later than the rest of the route allows.
    pub(super) fn is_in_time_in_traffic(&self) -> bool {
        let arrivals =
            self.traffic.early.iter().zip(&self.leg_times[1..]).map(|(from, leg)| from.left.driven + HUNDRED * leg);
        arrivals.zip(&self.traffic.latest[1..]).all(|(arrival, &latest)| arrival <= latest)
    }

    /// The positions before which the stop can be put as far as its own window goes.
    pub(super) fn positions_in_traffic(&self, clock: &Clock, stop: usize) -> Range<usize> {
        let (served, (_, closes)) = (clock.first_left(stop), clock.window(stop));
        let first = self.traffic.latest.partition_point(|&latest| latest < served);
        first..self.traffic.early.partition_point(|departure| departure.left.driven <= closes) + 1
    }

    /// The same as `extra_of_insertion` by the clock, for goods that are released by the route's opening. Places that seem to add
    /// `most` or more are none.
    pub(super) fn extra_in_traffic(
        &self,
        instance: &Instance,
        clock: &Clock,
        stop: usize,
        position: usize,
        most: i64,
    ) -> Option<i64> {
        let class = &instance.classes[self.class];
        let (before, after) = (self.nodes[position - 1] as usize, self.nodes[position] as usize);
        let time = class.time(instance);
        let (to, on) = (HUNDRED * time.get(before, stop), HUNDRED * time.get(stop, after));
        let early = &self.traffic.early[position - 1].left;
        let is_in_time = early.driven + to <= clock.window(stop).1
            && clock.leaves_by(early, to, stop, self.traffic.latest[position] - on)
            && self.distance_fits(instance, stop, before, after);
        if !is_in_time {
            return None;
        }
        if !class.prices_time() {
            return Some(if self.is_unused() { class.fixed } else { 0 });
        }
        let (cost, way) = (class.cost(instance), class.way(instance));
        let legs = |metric: &Metric| metric.get(before, stop) + metric.get(stop, after);
        let optimistic = legs(cost);
        let seeming = self.seeming_time_cost(instance, clock, (stop, position), (to, on));
        // A vehicle that is not used yet has no times to keep.
        if let Some(seeming) = seeming.filter(|_| !self.is_unused()) {
            let extra = legs(way) - optimistic + seeming;
            if extra >= most || !class.limits_time() {
                return (extra < most).then_some(extra);
            }
        }
        let added = self.added_by_following(instance, clock, self.opening, &self.with(&[(position, stop)]))?;
        Some(added - (optimistic - self.legs[position]))
    }

    /// What the stop's own time costs if all other legs took as long as now; none when the rest would be late.
    fn seeming_time_cost(
        &self,
        instance: &Instance,
        clock: &Clock,
        (stop, position): (usize, usize),
        (to, on): (i64, i64),
    ) -> Option<i64> {
        let class = &instance.classes[self.class];
        let from = &self.traffic.paid[position - 1].left;
        let (reached_s, left) = clock.leaves(from, to, stop);
        let (to_s, on_s) = (reached_s - from.s, clock.arrival_s(&left, on) - left.s);
        let driving = class.driving * (to_s + on_s);
        if !class.asks_for_duration() {
            return Some(driving);
        }
        let head = self.head(instance, position - 1).join(to_s, Span::node(instance, stop))?;
        Some(driving + self.seeming_duration_cost(instance, head, on_s, position)?)
    }

    /// What it adds to the cost that the route becomes this one, depots included, with no departure before `opening`; none when
    /// that breaks a rule of time.
    pub(super) fn added_by_following(
        &self,
        instance: &Instance,
        clock: &Clock,
        opening: i64,
        nodes: &[usize],
    ) -> Option<i64> {
        let class = &instance.classes[self.class];
        let (time, way) = (class.time(instance), class.way(instance));
        let legs = nodes.windows(2).map(|leg| (leg[1], HUNDRED * time.get(leg[0], leg[1])));
        let path: Vec<(usize, i64)> = std::iter::once((nodes[0], 0)).chain(legs).collect();
        let mut early = Vec::with_capacity(path.len());
        early.push(Departure { leg_s: 0, left: clock.moment(opening) });
        for (position, &(node, leg)) in path.iter().enumerate().skip(1) {
            let from = early[position - 1].left;
            if from.driven + leg > clock.window(node).1 {
                return None;
            }
            early.push(Departure::after(clock, from, leg, node));
        }
        if early[path.len() - 1].left.s > class.closes {
            return None;
        }
        let timing = settle(class, clock, &path, &early, &mut Vec::new());
        let (broken, cost, ..) = timing.rank(class);
        let ways: i64 = nodes.windows(2).map(|leg| way.get(leg[0], leg[1])).sum();
        (broken == 0).then(|| ways + class.fixed + cost - self.cost)
    }
}
