//! One vehicle's route with the sums that make an insertion's cost and feasibility known in constant time.

use super::instance::{Class, Instance};
use super::metric::Metric;
use super::traffic::Traffic;
use super::trips::Trips;
use std::ops::Range;

/// The shortest time for a run of nodes and the departures that reach it; the run keeps its windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) duration: i64,
    pub(super) earliest: i64,
    pub(super) latest: i64,
}

impl Span {
    pub(super) fn node(instance: &Instance, node: usize) -> Span {
        Span { duration: instance.service[node], earliest: instance.opens[node], latest: instance.closes[node] }
    }

    pub(super) fn depot(class: &Class) -> Span {
        Span { duration: 0, earliest: class.opens, latest: class.closes }
    }

    /// This run, then `travel` seconds, then the next run; none when a window closes too early (Vidal et al. 2013).
    pub(super) fn join(self, travel: i64, next: Span) -> Option<Span> {
        let offset = self.duration + travel;
        if self.earliest + offset > next.latest {
            return None;
        }
        let wait = (next.earliest - offset - self.latest).max(0);
        Some(Span {
            duration: offset + next.duration + wait,
            earliest: (next.earliest - offset).max(self.earliest) - wait,
            latest: (next.latest - offset).min(self.latest),
        })
    }
}

/// What a vehicle of a class does: its start, its stops, its end.
#[derive(Debug, Default)]
pub(super) struct Route {
    pub(super) class: usize,
    /// Start, stops and reloads in order, end.
    pub(super) nodes: Vec<u32>,
    /// Per position, the cost of the leg that leads there; an unused vehicle drives none.
    pub(super) legs: Vec<i64>,
    /// Per position, the seconds of that leg, under traffic at full speed. Kept where times matter.
    pub(super) leg_times: Vec<i64>,
    /// Cost with everything; 0 when unused.
    pub(super) cost: i64,
    /// Metres and seconds driven, where the class limits them.
    pub(super) distance: i64,
    pub(super) travel: i64,
    /// Seconds between departure and return, where the class asks for them, and for any class under traffic that prices time.
    pub(super) duration: i64,
    /// Per dimension: all that is delivered, all that is picked up.
    pub(super) delivery: Vec<i64>,
    pub(super) pickup: Vec<i64>,
    /// Departure is not before it: the shift's start or the latest release of the goods on board.
    pub(super) opening: i64,
    /// Stops that are no backhauls; they come first.
    linehauls: usize,
    /// Per position: earliest departure, latest arrival from which the rest is in time. Kept where times matter.
    pub(super) ready: Vec<i64>,
    pub(super) latest: Vec<i64>,
    /// Per position: the run up to it, the run from it. Kept where the class asks for durations.
    heads: Vec<Span>,
    tails: Vec<Span>,
    /// Kept where the class has a clock.
    pub(super) traffic: Traffic,
    /// Kept where the class may reload.
    pub(super) trips: Trips,
    /// Per position and dimension: the highest load on the legs before, from there on. Kept where loads are mixed.
    peaks_before: Vec<i64>,
    peaks_after: Vec<i64>,
    /// Per position and dimension: the load on the leg that leads there. Kept where loads are mixed.
    leg_loads: Vec<i64>,
}

impl Route {
    pub(super) fn unused(instance: &Instance, class: usize) -> Route {
        let nodes = vec![instance.classes[class].start as u32, instance.classes[class].end as u32];
        let mut route = Route { class, nodes, ..Route::default() };
        route.refresh(instance);
        route
    }

    /// The stops and reloads in order.
    pub(super) fn order(&self) -> &[u32] {
        &self.nodes[1..self.nodes.len() - 1]
    }

    /// The stops in order.
    pub(super) fn stops(&self, instance: &Instance) -> impl Iterator<Item = u32> + use<'_> {
        let stops = instance.stops as u32;
        self.order().iter().copied().filter(move |&node| node < stops)
    }

    /// How many stops there are.
    pub(super) fn stop_count(&self) -> usize {
        self.nodes.len() - 2 - self.trips.reloads
    }

    pub(super) fn is_unused(&self) -> bool {
        self.nodes.len() == 2
    }

    /// Takes over another route of the same instance, keeping this one's memory.
    pub(super) fn copy_from(&mut self, other: &Route) {
        self.class = other.class;
        self.nodes.clone_from(&other.nodes);
        self.legs.clone_from(&other.legs);
        self.leg_times.clone_from(&other.leg_times);
        (self.cost, self.distance) = (other.cost, other.distance);
        (self.travel, self.duration) = (other.travel, other.duration);
        (self.linehauls, self.opening) = (other.linehauls, other.opening);
        self.delivery.clone_from(&other.delivery);
        self.pickup.clone_from(&other.pickup);
        self.ready.clone_from(&other.ready);
        self.latest.clone_from(&other.latest);
        self.heads.clone_from(&other.heads);
        self.tails.clone_from(&other.tails);
        self.traffic.copy_from(&other.traffic);
        self.trips.copy_from(&other.trips);
        self.peaks_before.clone_from(&other.peaks_before);
        self.peaks_after.clone_from(&other.peaks_after);
        self.leg_loads.clone_from(&other.leg_loads);
    }

    /// Computes everything from the order of the nodes.
    pub(super) fn refresh(&mut self, instance: &Instance) {
        let class = &instance.classes[self.class];
        let metric = class.cost(instance);
        let unused = self.is_unused();
        let leg = |leg: &[u32]| if unused { 0 } else { metric.get(leg[0] as usize, leg[1] as usize) };
        self.legs.clear();
        self.legs.push(0);
        self.legs.extend(self.nodes.windows(2).map(leg));
        if instance.timed {
            self.leg_times.clear();
            self.leg_times.push(0);
            let leg = |leg: &[u32]| class.time(instance).get(leg[0] as usize, leg[1] as usize);
            self.leg_times.extend(self.nodes.windows(2).map(leg));
            if class.clock(instance).is_some() {
                self.traffic.renew(self.nodes.len());
            }
        }
        self.sum_loads(instance);
        self.sum_up(instance);
    }

    /// Computes what follows from nodes, legs and sums of loads.
    fn sum_up(&mut self, instance: &Instance) {
        let class = &instance.classes[self.class];
        if class.reload.is_some() {
            self.sum_trips(instance);
        }
        if instance.mixed_loads {
            self.sum_peaks(instance);
        }
        self.opening = class.opens;
        if !instance.release.is_empty() {
            let first_trip = self.order().iter().take_while(|&&node| instance.is_stop(node));
            let released = first_trip.map(|&stop| instance.release[stop as usize]).max();
            self.opening = self.opening.max(released.unwrap_or(0));
        }
        if !instance.backhaul.is_empty() {
            let linehaul = |stop: &&u32| !instance.backhaul[**stop as usize];
            self.linehauls = self.order().iter().take_while(linehaul).count();
        }
        if class.limits_driving() {
            (self.distance, self.travel) = self.nodes.windows(2).fold((0, 0), |(distance, travel), leg| {
                let (from, to) = (leg[0] as usize, leg[1] as usize);
                (distance + class.metres(instance).get(from, to), travel + class.time(instance).get(from, to))
            });
        }
        if instance.timed {
            self.sum_times(instance, class);
        }
        self.cost =
            if self.is_unused() { 0 } else { self.legs.iter().sum::<i64>() + class.fixed + class.duty * self.duration };
    }

    /// The leg into `position` is new.
    fn renew_leg(&mut self, instance: &Instance, position: usize) {
        let (from, to) = (self.nodes[position - 1] as usize, self.nodes[position] as usize);
        let class = &instance.classes[self.class];
        let metric = class.cost(instance);
        self.legs[position] = if self.is_unused() { 0 } else { metric.get(from, to) };
        if instance.timed {
            self.leg_times[position] = class.time(instance).get(from, to);
        }
    }

    /// Puts the stop before `position`.
    pub(super) fn insert(&mut self, instance: &Instance, stop: usize, position: usize) {
        self.nodes.insert(position, stop as u32);
        self.legs.insert(position, 0);
        if instance.timed {
            self.leg_times.insert(position, 0);
            if instance.classes[self.class].clock(instance).is_some() {
                self.traffic.insert(position);
            }
        }
        self.renew_leg(instance, position);
        self.renew_leg(instance, position + 1);
        self.add_loads(instance, stop, 1);
        self.sum_up(instance);
    }

    /// Takes the stops at these positions off; `finish_removal` must follow.
    pub(super) fn remove(&mut self, instance: &Instance, positions: Range<usize>) {
        for position in positions.clone() {
            self.add_loads(instance, self.nodes[position] as usize, -1);
        }
        let from = positions.start;
        self.legs.drain(positions.clone());
        if instance.timed {
            self.leg_times.drain(positions.clone());
            if instance.classes[self.class].clock(instance).is_some() {
                self.traffic.remove(positions.clone());
            }
        }
        self.nodes.drain(positions);
        self.renew_leg(instance, from);
    }

    /// Sums up what is left after removals.
    pub(super) fn finish_removal(&mut self, instance: &Instance) {
        self.sum_up(instance);
    }

    fn add_loads(&mut self, instance: &Instance, stop: usize, sign: i64) {
        if stop >= instance.stops {
            return;
        }
        let first = stop * instance.dimensions;
        for d in 0..instance.dimensions {
            self.delivery[d] += sign * instance.delivery[first + d];
            self.pickup[d] += sign * instance.pickup[first + d];
        }
    }

    fn sum_loads(&mut self, instance: &Instance) {
        let dimensions = instance.dimensions;
        for (sums, amounts) in [(&mut self.delivery, &instance.delivery), (&mut self.pickup, &instance.pickup)] {
            sums.clear();
            sums.resize(dimensions, 0);
            let order = &self.nodes[1..self.nodes.len() - 1];
            for &stop in order.iter().filter(|&&node| instance.is_stop(node)) {
                let amounts = &amounts[stop as usize * dimensions..(stop as usize + 1) * dimensions];
                sums.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
            }
        }
    }

    /// `peaks_before[i]` covers the legs up to the one into position i, `peaks_after[i]` the legs from that one on.
    fn sum_peaks(&mut self, instance: &Instance) {
        let (dimensions, length) = (instance.dimensions, self.nodes.len());
        self.peaks_before.clear();
        self.peaks_before.resize(length * dimensions, 0);
        self.peaks_after.clear();
        self.peaks_after.resize(length * dimensions, 0);
        self.leg_loads.clear();
        self.leg_loads.resize(length * dimensions, 0);
        let has_trips = instance.classes[self.class].reload.is_some();
        for d in 0..dimensions {
            let mut load = if has_trips { self.trips.brought_behind(0, dimensions, d) } else { self.delivery[d] };
            let mut peak = 0;
            for position in 1..length {
                peak = peak.max(load);
                self.peaks_before[position * dimensions + d] = peak;
                self.peaks_after[position * dimensions + d] = load;
                self.leg_loads[position * dimensions + d] = load;
                if position + 1 == length {
                    break;
                }
                if instance.is_stop(self.nodes[position]) {
                    let amount = self.nodes[position] as usize * dimensions + d;
                    load += instance.pickup[amount] - instance.delivery[amount];
                } else {
                    (load, peak) = (self.trips.brought_behind(position, dimensions, d), 0);
                }
            }
            for position in (1..length - 1).rev().filter(|&position| instance.is_stop(self.nodes[position])) {
                let after = self.peaks_after[(position + 1) * dimensions + d];
                let here = &mut self.peaks_after[position * dimensions + d];
                *here = (*here).max(after);
            }
        }
    }

    fn sum_times(&mut self, instance: &Instance, class: &Class) {
        if let Some(clock) = class.clock(instance) {
            self.sum_times_in_traffic(instance, class, clock);
        } else {
            self.sum_steady_times(instance, class);
            if class.reload.is_some() {
                self.sum_trip_times(instance, class);
            }
        }
        if class.asks_for_duration() {
            self.sum_spans(instance, class);
        }
    }

    /// Earliest departures and latest arrivals at full speed.
    fn sum_steady_times(&mut self, instance: &Instance, class: &Class) {
        let length = self.nodes.len();
        self.ready.clear();
        let mut ready = self.opening;
        self.ready.push(ready);
        for (position, (&node, &leg)) in self.nodes.iter().zip(&self.leg_times).enumerate().skip(1) {
            let opens = match &class.reload {
                Some(_) if self.is_reload(instance, position) => self.trips.released_behind(position),
                _ => instance.opens[node as usize],
            };
            ready = (ready + leg).max(opens) + self.service(instance, class, position);
            self.ready.push(ready);
        }
        self.latest.clear();
        self.latest.resize(length, class.closes);
        let mut latest = class.closes;
        for position in (1..length - 1).rev() {
            let stop = self.nodes[position] as usize;
            let served = latest - self.leg_times[position + 1] - self.service(instance, class, position);
            latest = instance.closes[stop].min(served);
            self.latest[position] = latest;
        }
        self.latest[0] = latest.min(self.latest[0]);
    }

    /// True where a trip ends and another begins.
    #[inline]
    fn is_reload(&self, instance: &Instance, position: usize) -> bool {
        !instance.is_stop(self.nodes[position]) && position > 0 && position + 1 < self.nodes.len()
    }

    /// Seconds of service at a position.
    #[inline]
    fn service(&self, instance: &Instance, class: &Class, position: usize) -> i64 {
        match &class.reload {
            Some(reloading) if self.is_reload(instance, position) => reloading.service,
            _ => instance.service[self.nodes[position] as usize],
        }
    }

    /// The positions before which the stop can be put as far as its own window and its being a backhaul or not go.
    #[inline]
    pub(super) fn positions(&self, instance: &Instance, stop: usize) -> Range<usize> {
        let (mut first, mut end) = (1, self.nodes.len());
        if !instance.backhaul.is_empty() {
            if !instance.backhaul[stop] {
                end = self.linehauls + 2;
            } else if self.linehauls > 0 {
                first = self.linehauls + 1;
            } else {
                return 1..1;
            }
        }
        if let Some(clock) = instance.classes[self.class].clock(instance).filter(|_| instance.timed) {
            let in_time = self.positions_in_traffic(clock, stop);
            (first, end) = (first.max(in_time.start), end.min(in_time.end));
        } else if instance.timed {
            // Along a route, both the earliest departures and the latest arrivals only grow.
            let served = instance.opens[stop] + instance.service[stop];
            first = first.max(self.latest.partition_point(|&latest| latest < served));
            end = end.min(self.ready.partition_point(|&ready| ready <= instance.closes[stop]) + 1);
        }
        first..end.max(first)
    }

    fn sum_spans(&mut self, instance: &Instance, class: &Class) {
        let length = self.nodes.len();
        let in_traffic = class.clock(instance).is_some();
        let Route { nodes, leg_times, traffic, trips, heads, tails, opening, .. } = self;
        let leg_s = |position: usize| if in_traffic { traffic.paid_leg_s(position) } else { leg_times[position] };
        let depot = Span::depot(class);
        let start = Span { earliest: *opening, ..depot };
        let span = |position: usize, node: u32| match position {
            0 => start,
            last if last + 1 == length => depot,
            _ => match &class.reload {
                Some(reloading) if !instance.is_stop(node) => reloading.span(trips.released_behind(position)),
                _ => Span::node(instance, node as usize),
            },
        };
        heads.clear();
        heads.push(start);
        for position in 1..length {
            // An order that keeps its windows always joins; the empty route's way from start to end is not driven.
            let joined = heads[position - 1].join(leg_s(position), span(position, nodes[position]));
            heads.push(joined.unwrap_or(depot));
        }
        tails.clear();
        tails.resize(length, depot);
        for position in (0..length - 1).rev() {
            let joined = span(position, nodes[position]).join(leg_s(position + 1), tails[position + 1]);
            tails[position] = joined.unwrap_or(depot);
        }
        if !in_traffic {
            self.duration = self.tails[0].duration;
        }
    }

    /// True when the stop's amounts fit beside the sums of the route's, wherever it is put; where there may be several trips, when
    /// they fit the vehicle.
    pub(super) fn has_room(&self, instance: &Instance, stop: usize) -> bool {
        self.has_room_on(instance, self.class, stop)
    }

    /// The same, were it a route of another class.
    pub(super) fn has_room_on(&self, instance: &Instance, class: usize, stop: usize) -> bool {
        let dimensions = instance.dimensions;
        let Class { capacity, reload, .. } = &instance.classes[class];
        if reload.is_some() {
            return (0..dimensions).all(|d| {
                instance.delivery[stop * dimensions + d] <= capacity[d]
                    && instance.pickup[stop * dimensions + d] <= capacity[d]
            });
        }
        (0..dimensions).all(|d| {
            self.delivery[d] + instance.delivery[stop * dimensions + d] <= capacity[d]
                && self.pickup[d] + instance.pickup[stop * dimensions + d] <= capacity[d]
        })
    }

    /// The highest load on any leg.
    pub(super) fn peak(&self, instance: &Instance, dimension: usize) -> i64 {
        if instance.mixed_loads {
            self.peaks_before[(self.nodes.len() - 1) * instance.dimensions + dimension]
        } else {
            self.delivery[dimension].max(self.pickup[dimension])
        }
    }

    /// True when the order of the nodes keeps windows and limits; loads aside, for stops that leave only make room.
    pub(super) fn keeps_rules(&self, instance: &Instance) -> bool {
        let class = &instance.classes[self.class];
        let within = |value: i64, limit: Option<i64>| limit.is_none_or(|limit| value <= limit);
        self.is_unused()
            || (instance.backhaul.is_empty() || self.linehauls > 0)
                && (!instance.timed || self.is_in_time(instance, class))
                && within(self.distance, class.max_distance)
                && within(self.travel, class.max_travel)
                && within(self.duration, class.max_duration)
                && class.reload.as_ref().is_none_or(|reload| self.trips.reloads <= reload.most)
    }

    /// True when no start of service is later than the rest of the route allows.
    fn is_in_time(&self, instance: &Instance, class: &Class) -> bool {
        if class.clock(instance).is_some() {
            return self.is_in_time_in_traffic();
        }
        let start = |(position, &ready): (usize, &i64)| ready - self.service(instance, class, position);
        self.ready.iter().enumerate().map(start).zip(&self.latest).all(|(start, &latest)| start <= latest)
    }

    /// What an insertion before `position` adds to the cost beyond its legs, or none when it breaks a rule of time, load
    /// or driving. Under traffic it may be none, too, when it is `most` or more. `has_room` holds.
    pub(super) fn extra_of_insertion(
        &self,
        instance: &Instance,
        stop: usize,
        position: usize,
        most: i64,
    ) -> Option<i64> {
        let class = &instance.classes[self.class];
        let (before, after) = (self.nodes[position - 1] as usize, self.nodes[position] as usize);
        if instance.mixed_loads && !self.peaks_fit(instance, stop, position) {
            return None;
        }
        if class.reload.is_some() {
            if !self.trip_has_room(instance, stop, position, None) {
                return None;
            }
            if self.trip_begins_later_with(instance, stop, position) {
                let cost = class.cost(instance);
                let legs = cost.get(before, stop) + cost.get(stop, after) - self.legs[position];
                return Some(self.added_to_trip(instance, stop, position, None, legs)? - legs);
            }
        } else if self.departs_later_with(instance, stop) {
            let cost = class.cost(instance);
            let legs = cost.get(before, stop) + cost.get(stop, after) - self.legs[position];
            return Some(self.added_by_later_departure(instance, &[(position, stop)])? - legs);
        }
        if let Some(clock) = class.clock(instance).filter(|_| instance.timed) {
            return self.extra_in_traffic(instance, clock, stop, position, most);
        }
        if instance.timed {
            let arrival = self.ready[position - 1] + class.time(instance).get(before, stop);
            if arrival > instance.closes[stop] {
                return None;
            }
            let departure = arrival.max(instance.opens[stop]) + instance.service[stop];
            if departure + class.time(instance).get(stop, after) > self.latest[position] {
                return None;
            }
        }
        if class.limits_driving() && !self.driving_fits(instance, stop, before, after) {
            return None;
        }
        let fixed = if self.is_unused() { class.fixed } else { 0 };
        if !class.asks_for_duration() {
            return Some(fixed);
        }
        let head = self.heads[position - 1].join(class.time(instance).get(before, stop), Span::node(instance, stop))?;
        Some(fixed + self.duration_cost(instance, head, class.time(instance).get(stop, after), position)?)
    }

    /// What the duration costs more than now when `head`, then `travel` seconds, then the route from `rest` on are driven;
    /// none when that misses a window or lasts too long. 0 where the class does not ask for durations.
    pub(super) fn duration_cost(&self, instance: &Instance, head: Span, travel: i64, rest: usize) -> Option<i64> {
        let class = &instance.classes[self.class];
        if !class.asks_for_duration() {
            return Some(0);
        }
        let whole = head.join(travel, self.tails[rest])?;
        if class.max_duration.is_some_and(|most| whole.duration > most) {
            return None;
        }
        let duration_now = if self.is_unused() { 0 } else { self.duration };
        Some(class.duty * (whole.duration - duration_now))
    }

    /// The same where all legs seem to take as long as now, limits aside.
    pub(super) fn seeming_duration_cost(
        &self,
        instance: &Instance,
        head: Span,
        travel: i64,
        rest: usize,
    ) -> Option<i64> {
        let whole = head.join(travel, self.tails[rest])?;
        let duration_now = if self.is_unused() { 0 } else { self.tails[0].duration };
        Some(instance.classes[self.class].duty * (whole.duration - duration_now))
    }

    /// True when the stop's goods are released after the route's departure.
    pub(super) fn departs_later_with(&self, instance: &Instance, stop: usize) -> bool {
        !instance.release.is_empty() && instance.release[stop] > self.opening
    }

    /// What stops, each put before a position, add to the cost, though their goods may be released after the route's departure: the
    /// whole route moves. None when that breaks a rule of time or driving.
    pub(super) fn added_by_later_departure(&self, instance: &Instance, stops: &[(usize, usize)]) -> Option<i64> {
        let class = &instance.classes[self.class];
        let path = self.with(stops);
        let distance: i64 = path.windows(2).map(|leg| class.metres(instance).get(leg[0], leg[1])).sum();
        if class.max_distance.is_some_and(|most| distance > most) {
            return None;
        }
        let released = |&(_, stop): &(usize, usize)| instance.release.get(stop).copied().unwrap_or(0);
        let opening = stops.iter().map(released).fold(self.opening, i64::max);
        if let Some(clock) = class.clock(instance) {
            return self.added_by_following(instance, clock, opening, &path);
        }
        let (cost, time, depot) = (class.cost(instance), class.time(instance), Span::depot(class));
        let mut span = Span { earliest: opening, ..depot };
        if span.earliest > span.latest {
            return None;
        }
        let (mut legs, mut travel) = (0, 0);
        for (index, leg) in path.windows(2).enumerate() {
            let seconds = time.get(leg[0], leg[1]);
            let next = if index + 2 == path.len() { depot } else { Span::node(instance, leg[1]) };
            (legs, travel) = (legs + cost.get(leg[0], leg[1]), travel + seconds);
            span = span.join(seconds, next)?;
        }
        let within = |value: i64, limit: Option<i64>| limit.is_none_or(|limit| value <= limit);
        let fits = within(span.duration, class.max_duration) && within(travel, class.max_travel);
        fits.then(|| legs + class.fixed + class.duty * span.duration - self.cost)
    }

    /// The nodes with stops put before positions.
    pub(super) fn with(&self, stops: &[(usize, usize)]) -> Vec<usize> {
        let mut path = Vec::with_capacity(self.nodes.len() + stops.len());
        for (position, &node) in self.nodes.iter().enumerate() {
            path.extend(stops.iter().filter(|(before, _)| *before == position).map(|&(_, stop)| stop));
            path.push(node as usize);
        }
        path
    }

    /// The run up to a position; of no meaning where the class does not ask for durations.
    pub(super) fn head(&self, instance: &Instance, position: usize) -> Span {
        let class = &instance.classes[self.class];
        self.heads.get(position).copied().unwrap_or(Span::depot(class))
    }

    /// Latest departure from a position from which the rest is in time.
    pub(super) fn latest_departure(&self, position: usize) -> i64 {
        self.latest[position + 1] - self.leg_times[position + 1]
    }

    /// True when the shipment fits on the leg into `position` beside what is on board there.
    pub(super) fn carries_on_leg(&self, instance: &Instance, pickup: usize, position: usize) -> bool {
        let (dimensions, capacity) = (instance.dimensions, &instance.classes[self.class].capacity);
        (0..dimensions).all(|d| {
            self.leg_loads[position * dimensions + d] + instance.pickup[pickup * dimensions + d] <= capacity[d]
        })
    }

    /// The highest loads on the legs of a trip before a position, and from there on, in a dimension; `at` stands for both.
    pub(super) fn peaks(&self, at: usize) -> (i64, i64) {
        (self.peaks_before[at], self.peaks_after[at])
    }

    fn peaks_fit(&self, instance: &Instance, stop: usize, position: usize) -> bool {
        let (dimensions, capacity) = (instance.dimensions, &instance.classes[self.class].capacity);
        (0..dimensions).all(|d| {
            let amount = stop * dimensions + d;
            self.peaks_before[position * dimensions + d] + instance.delivery[amount] <= capacity[d]
                && self.peaks_after[position * dimensions + d] + instance.pickup[amount] <= capacity[d]
        })
    }

    pub(super) fn distance_fits(&self, instance: &Instance, stop: usize, before: usize, after: usize) -> bool {
        let class = &instance.classes[self.class];
        let metric = class.metres(instance);
        class.max_distance.is_none_or(|most| {
            let direct = metric.get(before, after);
            self.distance + metric.get(before, stop) + metric.get(stop, after) - direct <= most
        })
    }

    fn driving_fits(&self, instance: &Instance, stop: usize, before: usize, after: usize) -> bool {
        let class = &instance.classes[self.class];
        let with = |metric: &Metric, now: i64| {
            let direct = metric.get(before, after);
            now + metric.get(before, stop) + metric.get(stop, after) - direct
        };
        self.distance_fits(instance, stop, before, after)
            && class.max_travel.is_none_or(|most| with(class.time(instance), self.travel) <= most)
    }
}
