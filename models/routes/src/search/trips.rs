//! Routes of several trips: sums that restart at every reload, by which a stop, and a reload beside it, are placed in constant time;
//! traffic, shipments and backhauls are left to the general engine.
//!
//! A trip is the run of stops between two of: start, reload, end. Its goods must be released before it begins, and what it brings
//! and takes must fit the vehicle by itself. Within a trip, when a stop is left follows from when the trip began: seconds driven,
//! or the latest opening on the way if that is later. So a later release, or a reload that cuts the trip in two, moves the rest of
//! the trip without its being followed.

use super::instance::{Class, Instance, Reloading};
use super::route::{Route, Span};

/// A reload that comes with a stop, right before or right after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refill {
    /// Its node.
    pub(super) depot: u32,
    pub(super) is_before: bool,
}

/// The trip that a position is in, as far as it. A position stands for the node there and, where something is put before it, for
/// the gap; where a trip ends belongs to that trip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    /// Position at which the trip begins.
    start: usize,
    /// When it could begin if its goods were there: the arrival at the reload, or the shift's start.
    begins: i64,
    /// Seconds from its beginning until the node is left, waiting aside.
    driven: i64,
    /// When the node is left if the trip begins early.
    ready: i64,
    /// The latest beginning from which the nodes up to this one are served in time.
    latest: i64,
    /// Latest release among the stops before the node, and among it and those behind it.
    released_before: i64,
    released_after: i64,
}

/// Sums of a route's trips, kept where its class may reload.
#[derive(Debug, Default)]
pub(super) struct Trips {
    /// Reloads on the route.
    pub(super) reloads: usize,
    parts: Vec<Part>,
    /// Per position and dimension, what the trip's stops before the node bring and take, and it and those behind it.
    before: Vec<[i64; 2]>,
    after: Vec<[i64; 2]>,
}

impl Trips {
    /// Takes over another route's sums, keeping this one's memory.
    pub(super) fn copy_from(&mut self, other: &Trips) {
        self.reloads = other.reloads;
        self.parts.clone_from(&other.parts);
        self.before.clone_from(&other.before);
        self.after.clone_from(&other.after);
    }

    /// What the trip that begins behind a position brings in a dimension.
    pub(super) fn brought_behind(&self, position: usize, dimensions: usize, d: usize) -> i64 {
        self.after[(position + 1) * dimensions + d][0]
    }

    /// Latest release of the trip that begins behind a position.
    pub(super) fn released_behind(&self, position: usize) -> i64 {
        self.parts[position + 1].released_after
    }
}

impl Reloading {
    /// A reload before a trip whose goods are released at `released`.
    pub(super) fn span(&self, released: i64) -> Span {
        Span { duration: self.service, earliest: released, latest: i64::MAX / 4 }
    }
}

impl Route {
    /// Loads, releases and beginnings of trips.
    pub(super) fn sum_trips(&mut self, instance: &Instance) {
        let (dimensions, length) = (instance.dimensions, self.nodes.len());
        let Route { nodes, trips, .. } = self;
        trips.parts.clear();
        trips.parts.resize(length, Part::default());
        trips.before.clear();
        trips.before.resize(length * dimensions, [0; 2]);
        trips.after.clear();
        trips.after.resize(length * dimensions, [0; 2]);
        trips.reloads = 0;
        let amount = |node: u32, d: usize| {
            let at = node as usize * dimensions + d;
            [instance.delivery[at], instance.pickup[at]]
        };
        let release = |node: u32| instance.release.get(node as usize).copied().unwrap_or(0);
        let mut start = 0;
        for position in 1..length {
            let (previous, is_first) = (nodes[position - 1], position - 1 == start);
            trips.parts[position].start = start;
            if !is_first {
                trips.parts[position].released_before =
                    trips.parts[position - 1].released_before.max(release(previous));
                for d in 0..dimensions {
                    trips.before[position * dimensions + d] =
                        plus(trips.before[(position - 1) * dimensions + d], amount(previous, d));
                }
            }
            if position + 1 < length && !instance.is_stop(nodes[position]) {
                trips.reloads += 1;
                start = position;
            }
        }
        for position in (1..length - 1).rev().filter(|&position| instance.is_stop(nodes[position])) {
            let node = nodes[position];
            trips.parts[position].released_after = trips.parts[position + 1].released_after.max(release(node));
            for d in 0..dimensions {
                trips.after[position * dimensions + d] =
                    plus(trips.after[(position + 1) * dimensions + d], amount(node, d));
            }
        }
    }

    /// Times within trips; those along the route are known.
    pub(super) fn sum_trip_times(&mut self, instance: &Instance, class: &Class) {
        let Route { nodes, trips, leg_times, ready, .. } = self;
        let mut start = Part { latest: i64::MAX / 4, ready: i64::MIN / 4, begins: class.opens, ..Part::default() };
        let mut part = start;
        for position in 1..nodes.len() {
            let node = nodes[position] as usize;
            let (driven, opens) = (part.driven + leg_times[position], instance.opens[node]);
            if position + 1 < nodes.len() && instance.is_stop(nodes[position]) {
                part.latest = part.latest.min(instance.closes[node] - driven);
                part.ready = (part.ready + leg_times[position]).max(opens) + instance.service[node];
                part.driven = driven + instance.service[node];
            }
            let known = &mut trips.parts[position];
            (known.begins, known.driven) = (part.begins, part.driven);
            (known.ready, known.latest) = (part.ready, part.latest);
            if position + 1 < nodes.len() && !instance.is_stop(nodes[position]) {
                start.begins = ready[position - 1] + leg_times[position];
                part = start;
            }
        }
    }

    /// True when the stop's amounts fit the trip at `position`, or the part of it that a reload beside the stop leaves it.
    pub(super) fn trip_has_room(
        &self,
        instance: &Instance,
        stop: usize,
        position: usize,
        refill: Option<Refill>,
    ) -> bool {
        let (dimensions, capacity) = (instance.dimensions, &instance.classes[self.class].capacity);
        (0..dimensions).all(|d| {
            let at = position * dimensions + d;
            let new = [instance.delivery[stop * dimensions + d], instance.pickup[stop * dimensions + d]];
            let (before, after) = (self.trips.before[at], self.trips.after[at]);
            let sum = match refill {
                None => plus(before, after),
                Some(Refill { is_before: false, .. }) => before,
                Some(Refill { is_before: true, .. }) => after,
            };
            let [brought, taken] = plus(sum, new);
            brought <= capacity[d]
                && taken <= capacity[d]
                && (!instance.mixed_loads || self.peaks_have_room(at, new, refill) <= capacity[d])
        })
    }

    /// The highest load of the trip, or of the part of it, with the amounts of a new stop at a position and dimension.
    fn peaks_have_room(&self, at: usize, [brought, taken]: [i64; 2], refill: Option<Refill>) -> i64 {
        // What is no longer on board on the legs before, and behind, where a reload cuts the trip.
        let (still_to_bring, taken_before) = (self.trips.after[at][0], self.trips.before[at][1]);
        let (peak_before, peak_after) = self.peaks(at);
        match refill {
            None => (peak_before + brought).max(peak_after + taken),
            Some(Refill { is_before: false, .. }) => (peak_before - still_to_bring + brought).max(taken_before + taken),
            Some(Refill { is_before: true, .. }) => (still_to_bring + brought).max(peak_after - taken_before + taken),
        }
    }

    /// True when the trip at `position` begins later with the stop, whose goods are released after it begins now.
    pub(super) fn trip_begins_later_with(&self, instance: &Instance, stop: usize, position: usize) -> bool {
        let part = &self.trips.parts[position];
        let now = part.begins.max(part.released_before).max(part.released_after);
        instance.release.get(stop).is_some_and(|&released| released > now)
    }

    /// What a stop, and perhaps a reload, before `position` add to the cost when the legs alone add `legs`, or none when that breaks
    /// a rule of time or driving.
    pub(super) fn added_to_trip(
        &self,
        instance: &Instance,
        stop: usize,
        position: usize,
        refill: Option<Refill>,
        legs: i64,
    ) -> Option<i64> {
        let class = &instance.classes[self.class];
        let reloading = class.reload.as_ref()?;
        if class.asks_for_duration() || class.limits_driving() {
            return self.added_by_following_trips(instance, reloading, stop, position, refill);
        }
        let in_time = !instance.timed || self.trip_is_in_time_with(instance, reloading, stop, position, refill);
        let fixed = if self.is_unused() { class.fixed } else { 0 };
        in_time.then_some(legs + fixed)
    }

    fn trip_is_in_time_with(
        &self,
        instance: &Instance,
        reloading: &Reloading,
        stop: usize,
        position: usize,
        refill: Option<Refill>,
    ) -> bool {
        let time = instance.classes[self.class].time(instance);
        let (part, previous) = (&self.trips.parts[position], position - 1);
        let own = instance.release.get(stop).copied().unwrap_or(0);
        let (mut first, mut second) = (part.released_before, part.released_after);
        match refill {
            None => first = first.max(second).max(own),
            Some(Refill { is_before: false, .. }) => first = first.max(own),
            Some(Refill { is_before: true, .. }) => second = second.max(own),
        }
        let service = if part.start == 0 { 0 } else { reloading.service };
        let begins = part.begins.max(first) + service;
        let mut now = begins;
        if previous > part.start {
            let head = &self.trips.parts[previous];
            if begins > head.latest {
                return false;
            }
            now = (begins + head.driven).max(head.ready);
        }
        let mut place = self.nodes[previous] as usize;
        let reload = |now: &mut i64, place: &mut usize, depot: u32| {
            *now = (*now + time.get(*place, depot as usize)).max(second) + reloading.service;
            *place = depot as usize;
        };
        if let Some(Refill { depot, is_before: true }) = refill {
            reload(&mut now, &mut place, depot);
        }
        now += time.get(place, stop);
        if now > instance.closes[stop] {
            return false;
        }
        now = now.max(instance.opens[stop]) + instance.service[stop];
        place = stop;
        if let Some(Refill { depot, is_before: false }) = refill {
            reload(&mut now, &mut place, depot);
        }
        now + time.get(place, self.nodes[position] as usize) <= self.latest[position]
    }

    /// The same by following the whole route.
    fn added_by_following_trips(
        &self,
        instance: &Instance,
        reloading: &Reloading,
        stop: usize,
        position: usize,
        refill: Option<Refill>,
    ) -> Option<i64> {
        let class = &instance.classes[self.class];
        let mut path = self.nodes.clone();
        path.insert(position, stop as u32);
        if let Some(Refill { depot, is_before }) = refill {
            path.insert(if is_before { position } else { position + 1 }, depot);
        }
        let (cost, time, depot) = (class.cost(instance), class.time(instance), Span::depot(class));
        let release = |&node: &u32| instance.release.get(node as usize).copied().unwrap_or(0);
        let released = |rest: &[u32]| rest.iter().take_while(|&&node| instance.is_stop(node)).map(release).max();
        let mut span = Span { earliest: class.opens.max(released(&path[1..]).unwrap_or(0)), ..depot };
        if span.earliest > span.latest {
            return None;
        }
        let (mut legs, mut travel, mut distance) = (0, 0, 0);
        for (index, leg) in path.windows(2).enumerate() {
            let (from, to) = (leg[0] as usize, leg[1] as usize);
            let seconds = time.get(from, to);
            let next = match index + 2 {
                last if last == path.len() => depot,
                _ if instance.is_stop(leg[1]) => Span::node(instance, to),
                behind => reloading.span(released(&path[behind..]).unwrap_or(0)),
            };
            (legs, travel, distance) =
                (legs + cost.get(from, to), travel + seconds, distance + class.metres(instance).get(from, to));
            if instance.timed {
                span = span.join(seconds, next)?;
            }
        }
        let within = |value: i64, limit: Option<i64>| limit.is_none_or(|limit| value <= limit);
        let fits = within(distance, class.max_distance)
            && within(travel, class.max_travel)
            && within(span.duration, class.max_duration);
        let duty = if class.asks_for_duration() { class.duty * span.duration } else { 0 };
        fits.then(|| legs + class.fixed + duty - self.cost)
    }

    /// True when every trip's load fits the vehicle.
    pub(super) fn trips_fit(&self, instance: &Instance) -> bool {
        let (dimensions, capacity) = (instance.dimensions, &instance.classes[self.class].capacity);
        let sums = self.trips.before.iter().zip(&self.trips.after).enumerate();
        let mut highest = sums.map(|(at, (&before, &after))| {
            let [brought, taken] = plus(before, after);
            (at % dimensions, brought.max(taken).max(if instance.mixed_loads { self.peaks(at).1 } else { 0 }))
        });
        highest.all(|(d, load)| load <= capacity[d])
    }

    /// Takes all off.
    pub(super) fn clear(&mut self, instance: &Instance) {
        let end = self.nodes.len() - 1;
        self.nodes.drain(1..end);
        self.refresh(instance);
    }

    /// Drops reloads that end the route, follow another, or begin it where it starts.
    pub(super) fn drop_idle_reloads(&mut self, instance: &Instance) {
        let is_idle = |route: &Route, position: usize| {
            let (before, node) = (route.nodes[position - 1], route.nodes[position]);
            let follows_trip = instance.is_stop(before) || (position == 1 && instance.loads_elsewhere(before, node));
            !instance.is_stop(node) && (position + 2 == route.nodes.len() || !follows_trip)
        };
        let mut dropped = false;
        for position in (1..self.nodes.len() - 1).rev() {
            if is_idle(self, position) {
                self.remove(instance, position..position + 1);
                dropped = true;
            }
        }
        if dropped {
            self.finish_removal(instance);
        }
    }

    /// Takes a reload off and leaves one trip of two where that keeps every rule and saves cost; `spare` is memory.
    pub(super) fn join_trips(&mut self, instance: &Instance, position: usize, spare: &mut Route) -> bool {
        let (dimensions, capacity) = (instance.dimensions, &instance.classes[self.class].capacity);
        let fits = (0..dimensions).all(|d| {
            let two =
                plus(self.trips.before[position * dimensions + d], self.trips.after[(position + 1) * dimensions + d]);
            two[0] <= capacity[d] && two[1] <= capacity[d]
        });
        if !fits {
            return false;
        }
        spare.copy_from(self);
        self.remove(instance, position..position + 1);
        self.finish_removal(instance);
        let is_better = self.cost < spare.cost && self.keeps_rules(instance) && self.trips_fit(instance);
        if !is_better {
            std::mem::swap(self, spare);
        }
        is_better
    }
}

/// Drops reloads that end a route, follow another, or begin the route where it starts.
pub(super) fn drop_idle_reloads(instance: &Instance, start: u32, order: &mut Vec<u32>) {
    let mut before = start;
    order.retain(|&node| {
        let follows_trip = instance.is_stop(before) || (before == start && instance.loads_elsewhere(start, node));
        let kept = instance.is_stop(node) || follows_trip;
        if kept {
            before = node;
        }
        kept
    });
    if order.last().is_some_and(|&node| !instance.is_stop(node)) {
        order.pop();
    }
}

fn plus(one: [i64; 2], other: [i64; 2]) -> [i64; 2] {
    [one[0] + other[0], one[1] + other[1]]
}
