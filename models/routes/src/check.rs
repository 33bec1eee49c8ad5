//! The independent verifier: it replays a plan second by second of its own claims and shares no code with the solver.

use crate::plan::{Pause, PauseKind, Plan, Route, Visit};
use crate::problem::{Problem, Stop, TimeWindow, Vehicle};

/// One thing wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer into the plan.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Everything wrong with a plan; nothing when it keeps the problem's rules and its own figures are right.
pub fn check(problem: &Problem, plan: &Plan) -> Vec<Violation> {
    let mut checker = Checker { problem, violations: Vec::new() };
    checker.every_stop_once(plan);
    checker.every_vehicle_once(plan);
    for (index, route) in plan.routes.iter().enumerate() {
        let path = format!("/routes/{index}");
        if !checker.names_what_exists(route) {
            checker.report(path, "is empty or names a vehicle, stop, break or place that does not exist");
            continue;
        }
        checker.times_and_distances(&path, route);
        checker.loads(&path, route);
        checker.order(&path, route);
        checker.breaks(&path, route);
    }
    let sum = |of: fn(&Route) -> i64| plan.routes.iter().map(of).sum::<i64>();
    checker.equal("/cost", plan.cost, sum(|route| route.cost) + checker.prizes_lost(plan));
    checker.equal("/distance_m", plan.distance_m, sum(|route| route.distance_m));
    checker.equal("/duration_s", plan.duration_s, sum(|route| route.return_s - route.departure_s));
    checker.violations
}

struct Checker<'a> {
    problem: &'a Problem,
    violations: Vec<Violation>,
}

/// What follows what on a route.
enum Event<'a> {
    Visit(usize, &'a Visit),
    Pause(usize, &'a Pause),
}

/// Visits and pauses in the order of time.
fn events(route: &Route) -> Vec<Event<'_>> {
    let mut events = Vec::with_capacity(route.visits.len() + route.pauses.len());
    let mut pauses = route.pauses.iter().enumerate().peekable();
    for (index, visit) in route.visits.iter().enumerate() {
        while let Some((at, pause)) = pauses.next_if(|(_, pause)| pause.after_visits <= index) {
            events.push(Event::Pause(at, pause));
        }
        events.push(Event::Visit(index, visit));
    }
    events.extend(pauses.map(|(at, pause)| Event::Pause(at, pause)));
    events
}

/// Hundredths of a second at full speed that a vehicle drives between two times.
fn driven(vehicle: &Vehicle, from_s: i64, to_s: i64) -> i64 {
    let mut sum = 0;
    for (index, change) in vehicle.speed.iter().enumerate() {
        let until_s = vehicle.speed.get(index + 1).map_or(to_s, |next| next.from_s.min(to_s));
        sum += change.percent * (until_s - change.from_s.max(from_s)).max(0);
    }
    if vehicle.speed.is_empty() { (to_s - from_s) * 100 } else { sum }
}

fn opens(windows: &[TimeWindow], at_s: i64) -> bool {
    windows.is_empty() || windows.iter().any(|window| (window.opens_s..=window.closes_s).contains(&at_s))
}

impl Checker<'_> {
    fn report(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.violations.push(Violation { path: path.into(), message: message.into() });
    }

    fn equal(&mut self, path: impl Into<String>, said: i64, is: i64) {
        if said != is {
            self.report(path, format!("the plan says {said}, but it is {is}"));
        }
    }

    fn at_most(&mut self, path: impl Into<String>, what: &str, value: i64, limit: i64) {
        if value > limit {
            self.report(path, format!("{what} is {value}, over the limit of {limit}"));
        }
    }

    fn every_stop_once(&mut self, plan: &Plan) {
        let stops = self.problem.stops();
        let (mut served, mut left_out) = (vec![0; stops.len()], vec![0; stops.len()]);
        for visit in plan.routes.iter().flat_map(|route| &route.visits) {
            served.get_mut(visit.stop).into_iter().for_each(|count| *count += 1);
        }
        for left in &plan.unassigned {
            left_out.get_mut(left.stop).into_iter().for_each(|count| *count += 1);
        }
        for (stop, Stop { id, group, .. }) in stops.iter().enumerate() {
            // One of a group of alternatives stands for all of them.
            let times: i32 = match group {
                None => served[stop],
                Some(group) => {
                    (0..stops.len()).filter(|&other| stops[other].group == Some(*group)).map(|s| served[s]).sum()
                }
            };
            let count = times + left_out[stop];
            if count != 1 {
                self.report("", format!("stop {id:?} is served or listed as left out {count} times instead of once"));
            }
        }
    }

    fn every_vehicle_once(&mut self, plan: &Plan) {
        let mut seen = vec![false; self.problem.vehicles().len()];
        for (index, route) in plan.routes.iter().enumerate() {
            let again = seen.get_mut(route.vehicle).is_some_and(|seen| std::mem::replace(seen, true));
            if again {
                self.report(format!("/routes/{index}/vehicle"), format!("vehicle {} has two routes", route.vehicle));
            }
        }
        for (vehicle, limits) in self.problem.vehicles().iter().enumerate() {
            if !limits.prefix.is_empty() && !seen[vehicle] {
                self.report("", format!("vehicle {:?} has stops that are fixed but no route", limits.id));
            }
        }
    }

    fn prizes_lost(&self, plan: &Plan) -> i64 {
        let stops = self.problem.stops();
        let mut groups = std::collections::BTreeSet::new();
        let left_out = plan.unassigned.iter().filter_map(|left| stops.get(left.stop));
        left_out.filter(|stop| stop.group.is_none_or(|group| groups.insert(group))).filter_map(|stop| stop.prize).sum()
    }

    fn names_what_exists(&self, route: &Route) -> bool {
        let Some(vehicle) = self.problem.vehicles().get(route.vehicle) else { return false };
        let known = |pause: &Pause| match pause.kind {
            PauseKind::Break(index) => index < vehicle.breaks.len(),
            PauseKind::Reload(place) => place < self.problem.locations(),
        };
        let dimensions = self.problem.dimensions();
        !route.visits.is_empty()
            && route
                .visits
                .iter()
                .all(|visit| visit.stop < self.problem.stops().len() && visit.load.len() == dimensions)
            && route.pauses.iter().all(|pause| known(pause) && pause.load.len() == dimensions)
            && route.initial_load.len() == dimensions
    }

    fn times_and_distances(&mut self, path: &str, route: &Route) {
        let problem = self.problem;
        let vehicle = &problem.vehicles()[route.vehicle];
        let mut clock = Clock::at(vehicle.start, route.departure_s);
        let (mut serving, mut pausing, mut waiting, mut late, mut late_cost) = (0i64, 0i64, 0i64, 0i64, 0.0);
        for event in events(route) {
            match event {
                Event::Pause(index, pause @ &Pause { kind: PauseKind::Break(number), .. }) => {
                    let at = format!("{path}/pauses/{index}");
                    let rule = &vehicle.breaks[number];
                    self.equal(format!("{at}/service_s"), pause.service_s, rule.service_s);
                    if pause.start_s < clock.free_s {
                        self.report(
                            format!("{at}/start_s"),
                            format!("begins before the vehicle is free at {}", clock.free_s),
                        );
                    }
                    if !opens(&rule.windows, pause.start_s) {
                        self.report(format!("{at}/start_s"), "the break begins outside its windows");
                    }
                    clock.interruptions.push((pause.start_s, pause.start_s + pause.service_s));
                    clock.free_s = pause.start_s + pause.service_s;
                    pausing += pause.service_s;
                }
                Event::Pause(index, pause @ &Pause { kind: PauseKind::Reload(place), .. }) => {
                    let at = format!("{path}/pauses/{index}");
                    clock.arrive(problem, vehicle, Some(place));
                    self.arrival(&at, &clock, (pause.arrival_s, pause.distance_m, pause.travel_s));
                    self.equal(
                        format!("{at}/service_s"),
                        pause.service_s,
                        vehicle.reload.as_ref().map_or(0, |r| r.service_s),
                    );
                    if pause.start_s < clock.free_s {
                        self.report(format!("{at}/start_s"), "begins before the vehicle is there and free");
                    }
                    waiting += pause.start_s - clock.free_s;
                    pausing += pause.service_s;
                    clock.leave(pause.start_s + pause.service_s);
                }
                Event::Visit(index, visit) => {
                    let at = format!("{path}/visits/{index}");
                    let stop = &problem.stops()[visit.stop];
                    let setup_s = if clock.place == Some(stop.location) { 0 } else { stop.setup_s };
                    clock.arrive(problem, vehicle, Some(stop.location));
                    self.arrival(&at, &clock, (visit.arrival_s, visit.distance_m, visit.travel_s));
                    self.equal(format!("{at}/setup_s"), visit.setup_s, setup_s);
                    let late_s = self.start(&at, stop, visit.start_s, clock.free_s);
                    late += late_s;
                    late_cost += (late_s * stop.lateness.map_or(0, |lateness| lateness.cost_per_hour)) as f64 / 3_600.0;
                    waiting += visit.start_s - clock.free_s;
                    serving += setup_s + stop.service_s;
                    clock.leave(visit.start_s + setup_s + stop.service_s);
                    self.may_serve(&at, vehicle, route.vehicle, stop);
                }
            }
        }
        clock.arrive(problem, vehicle, vehicle.end);
        self.equal(format!("{path}/return_s"), route.return_s, clock.free_s);
        self.equal(format!("{path}/distance_m"), route.distance_m, clock.metres);
        self.equal(format!("{path}/travel_s"), route.travel_s, clock.driving);
        self.equal(format!("{path}/service_s"), route.service_s, serving);
        self.equal(format!("{path}/pause_s"), route.pause_s, pausing);
        self.equal(format!("{path}/late_s"), route.late_s, late);
        // Waiting for a break's window counts, too: it is what the other times leave.
        let duration = route.return_s - route.departure_s;
        let rest = duration - clock.driving - serving - pausing;
        self.equal(format!("{path}/waiting_s"), route.waiting_s, rest);
        self.at_most(path, "waiting at stops and reloads", waiting, rest);
        self.limits(path, vehicle, route, (clock.metres, clock.driving, duration));
        let by_distance = vehicle.cost_per_km as f64 * clock.metres as f64 / 1_000.0;
        let overtime =
            vehicle.overtime.map_or(0.0, |soft| (duration - soft.after_s).max(0) as f64 * soft.cost_per_hour as f64);
        let by_time = vehicle.cost_per_travel_hour as f64 * clock.driving as f64 / 3_600.0
            + vehicle.cost_per_duty_hour as f64 * duration as f64 / 3_600.0
            + overtime / 3_600.0;
        let cost = vehicle.fixed_cost as f64 + by_distance + by_time + late_cost;
        // Half a unit of rounding, and what doubles lose.
        if (route.cost as f64 - cost).abs() > 0.5 + 1e-9 * cost {
            self.report(format!("{path}/cost"), format!("the plan says {}, but it is {cost:.2}", route.cost));
        }
    }

    fn arrival(&mut self, at: &str, clock: &Clock, (arrival_s, distance_m, travel_s): (i64, i64, i64)) {
        self.equal(format!("{at}/arrival_s"), arrival_s, clock.arrival_s);
        self.equal(format!("{at}/distance_m"), distance_m, clock.metres);
        self.equal(format!("{at}/travel_s"), travel_s, clock.driving);
    }

    /// Checks the start of service and returns the seconds of allowed lateness.
    fn start(&mut self, at: &str, stop: &Stop, start_s: i64, free_s: i64) -> i64 {
        if start_s < free_s {
            self.report(
                format!("{at}/start_s"),
                format!("service starts before the vehicle is there and free at {free_s}"),
            );
        }
        let late_s = (start_s - stop.windows.last().map_or(i64::MAX, |last| last.closes_s)).max(0);
        let most_s = stop.lateness.map_or(0, |lateness| lateness.most_s);
        if late_s == 0 && !opens(&stop.windows, start_s) {
            self.report(format!("{at}/start_s"), format!("service starts at {start_s}, outside the windows"));
        }
        self.at_most(format!("{at}/start_s"), "seconds after the last window", late_s, most_s);
        late_s.min(most_s)
    }

    fn may_serve(&mut self, at: &str, vehicle: &Vehicle, index: usize, stop: &Stop) {
        if let Some(skill) = stop.skills.iter().find(|skill| !vehicle.skills.contains(skill)) {
            self.report(at, format!("vehicle {:?} lacks the skill {skill}", vehicle.id));
        }
        if !stop.vehicles.is_empty() && !stop.vehicles.contains(&index) {
            self.report(at, format!("vehicle {:?} is none of those that may serve {:?}", vehicle.id, stop.id));
        }
    }

    fn limits(&mut self, path: &str, vehicle: &Vehicle, route: &Route, (metres, driving, duration): (i64, i64, i64)) {
        if route.departure_s < vehicle.shift.opens_s {
            self.report(format!("{path}/departure_s"), "the vehicle leaves before its shift");
        }
        self.at_most(format!("{path}/return_s"), "return", route.return_s, vehicle.shift.closes_s);
        self.at_most(path, "distance", metres, vehicle.max_distance_m.unwrap_or(i64::MAX));
        self.at_most(path, "driving time", driving, vehicle.max_travel_s.unwrap_or(i64::MAX));
        self.at_most(path, "duration", duration, vehicle.max_duration_s.unwrap_or(i64::MAX));
        let most_stops = vehicle.max_stops.map_or(i64::MAX, |most| most as i64);
        self.at_most(path, "number of stops", route.visits.len() as i64, most_stops);
        let reloads = route.pauses.iter().filter(|pause| matches!(pause.kind, PauseKind::Reload(_))).count();
        let most_reloads = vehicle.reload.as_ref().map_or(0, |reload| reload.most);
        self.at_most(path, "number of reloads", reloads as i64, most_reloads as i64);
    }

    /// Loads of every trip, and that no trip leaves before its goods are released.
    fn loads(&mut self, path: &str, route: &Route) {
        let problem = self.problem;
        let events = events(route);
        let reload_at =
            |event: &Event| matches!(event, Event::Pause(_, pause) if matches!(pause.kind, PauseKind::Reload(_)));
        let trip = |from: usize| {
            let visits = events[from..].iter().take_while(|event| !reload_at(event));
            visits.filter_map(|event| {
                if let Event::Visit(_, visit) = event { Some(&problem.stops()[visit.stop]) } else { None }
            })
        };
        let released = |from: usize| trip(from).map(|stop| stop.release_s).max().unwrap_or(0);
        if route.departure_s < released(0) {
            self.report(format!("{path}/departure_s"), format!("goods of this trip are released at {}", released(0)));
        }
        for (at, event) in events.iter().enumerate() {
            if let Event::Pause(index, pause) = event
                && reload_at(event)
                && pause.start_s < released(at + 1)
            {
                let message = format!("goods of this trip are released at {}", released(at + 1));
                self.report(format!("{path}/pauses/{index}/start_s"), message);
            }
        }
        let vehicle = &problem.vehicles()[route.vehicle];
        for (d, &capacity) in vehicle.capacity.iter().enumerate() {
            let mut load: i64 = trip(0).map(|stop| stop.delivery[d]).sum();
            let mut shipped = 0;
            self.equal(format!("{path}/initial_load/{d}"), route.initial_load[d], load);
            self.at_most(format!("{path}/initial_load/{d}"), "load", load, capacity);
            for (at, event) in events.iter().enumerate() {
                let (path, said) = match event {
                    Event::Visit(index, visit) => {
                        let stop = &problem.stops()[visit.stop];
                        load += stop.pickup[d] - stop.delivery[d];
                        for shipment in problem.shipments() {
                            let taken =
                                i64::from(shipment.pickup == visit.stop) - i64::from(shipment.delivery == visit.stop);
                            load += taken * shipment.amount[d];
                            shipped += taken * shipment.amount[d];
                        }
                        (format!("{path}/visits/{index}/load/{d}"), visit.load[d])
                    }
                    Event::Pause(index, pause) => {
                        if reload_at(event) {
                            load = shipped + trip(at + 1).map(|stop| stop.delivery[d]).sum::<i64>();
                        } else if let PauseKind::Break(number) = pause.kind
                            && let Some(most) = &vehicle.breaks[number].max_load
                        {
                            self.at_most(format!("{path}/pauses/{index}/load/{d}"), "load in the break", load, most[d]);
                        }
                        (format!("{path}/pauses/{index}/load/{d}"), pause.load[d])
                    }
                };
                self.equal(path.clone(), said, load);
                self.at_most(path, "load", load, capacity);
            }
        }
    }

    /// Pairs, backhauls and fixed first stops.
    fn order(&mut self, path: &str, route: &Route) {
        let problem = self.problem;
        let order: Vec<usize> = route.visits.iter().map(|visit| visit.stop).collect();
        let position = |stop: usize| order.iter().position(|&other| other == stop);
        for (index, shipment) in problem.shipments().iter().enumerate() {
            match (position(shipment.pickup), position(shipment.delivery)) {
                (None, None) => {}
                (Some(pickup), Some(delivery)) if pickup < delivery => {}
                _ => self
                    .report(path, format!("shipment {index} is not picked up first and then delivered on this route")),
            }
        }
        let backhaul = |stop: &usize| problem.stops()[*stop].backhaul;
        if !order.is_sorted_by_key(backhaul) {
            self.report(path, "a backhaul is served before a stop that is none");
        }
        if order.iter().all(backhaul) {
            self.report(path, "all stops are backhauls");
        }
        if !order.starts_with(&problem.vehicles()[route.vehicle].prefix) {
            self.report(path, "the route does not begin with the stops that are fixed");
        }
    }

    /// Every break once and in order; reloads only where they are allowed.
    fn breaks(&mut self, path: &str, route: &Route) {
        let vehicle = &self.problem.vehicles()[route.vehicle];
        let mut due = 0;
        for (index, pause) in route.pauses.iter().enumerate() {
            match pause.kind {
                PauseKind::Break(number) => {
                    if number != due {
                        self.report(format!("{path}/pauses/{index}"), format!("break {number} where {due} is due"));
                    }
                    due = number + 1;
                }
                PauseKind::Reload(place) => {
                    if !vehicle.reload.as_ref().is_some_and(|reload| reload.locations.contains(&place)) {
                        self.report(format!("{path}/pauses/{index}"), "the vehicle may not reload there");
                    }
                }
            }
        }
        if due < vehicle.breaks.len() {
            self.report(path, format!("break {:?} is not taken", vehicle.breaks[due].id));
        }
    }
}

/// Where a replayed vehicle is and what it has driven.
struct Clock {
    place: Option<usize>,
    /// When it left there.
    left_s: i64,
    /// Breaks since then.
    interruptions: Vec<(i64, i64)>,
    /// When it can do the next thing.
    free_s: i64,
    arrival_s: i64,
    metres: i64,
    driving: i64,
}

impl Clock {
    fn at(place: Option<usize>, now_s: i64) -> Clock {
        Clock {
            place,
            left_s: now_s,
            interruptions: Vec::new(),
            free_s: now_s,
            arrival_s: now_s,
            metres: 0,
            driving: 0,
        }
    }

    fn leave(&mut self, now_s: i64) {
        self.left_s = now_s;
        self.free_s = now_s;
        self.interruptions.clear();
    }

    /// Drives to `to` between the breaks.
    fn arrive(&mut self, problem: &Problem, vehicle: &Vehicle, to: Option<usize>) {
        let leg = problem.leg_by(vehicle.profile, self.place, to);
        self.metres += i64::from(leg.distance_m);
        let mut left = i64::from(leg.duration_s) * 100;
        let mut now = self.left_s;
        let breaks = std::mem::take(&mut self.interruptions);
        for (from, until) in breaks.into_iter().chain([(i64::MAX, i64::MAX)]) {
            // The first second at which nothing is left to drive, found by halving.
            let (mut short, mut enough) = (now - 1, from.min(now + left + 1).max(now));
            if driven(vehicle, now, enough) >= left {
                while enough - short > 1 {
                    let middle = short + (enough - short) / 2;
                    if driven(vehicle, now, middle) >= left { enough = middle } else { short = middle }
                }
                self.driving += enough - now;
                self.arrival_s = enough;
                break;
            }
            self.driving += from - now;
            left -= driven(vehicle, now, from);
            now = until;
        }
        self.free_s = self.free_s.max(self.arrival_s);
        self.place = to.or(self.place);
    }
}
