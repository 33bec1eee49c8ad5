//! The independent verifier: it replays a plan second by second of its own claims and shares no code with the solver.

use crate::plan::{Plan, Route};
use crate::problem::Problem;

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
        let known = route.vehicle < problem.vehicles().len()
            && route.visits.iter().all(|visit| visit.stop < problem.stops().len());
        if known && !route.visits.is_empty() {
            checker.times_and_distances(&format!("/routes/{index}"), route);
            checker.loads(&format!("/routes/{index}"), route);
        } else {
            checker.report(format!("/routes/{index}"), "is empty or names a vehicle or stop that does not exist");
        }
    }
    let sum = |of: fn(&Route) -> i64| plan.routes.iter().map(of).sum::<i64>();
    checker.equal("/cost", plan.cost, sum(|route| route.cost));
    checker.equal("/distance_m", plan.distance_m, sum(|route| route.distance_m));
    checker.equal("/duration_s", plan.duration_s, sum(|route| route.return_s - route.departure_s));
    checker.violations
}

struct Checker<'a> {
    problem: &'a Problem,
    violations: Vec<Violation>,
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
        let mut count = vec![0; self.problem.stops().len()];
        let served = plan.routes.iter().flat_map(|route| route.visits.iter().map(|visit| visit.stop));
        for stop in served.chain(plan.unassigned.iter().map(|unassigned| unassigned.stop)) {
            if let Some(count) = count.get_mut(stop) {
                *count += 1;
            }
        }
        for (stop, count) in count.into_iter().enumerate().filter(|(_, count)| *count != 1) {
            let id = &self.problem.stops()[stop].id;
            self.report("", format!("stop {id:?} is served or listed as left out {count} times instead of once"));
        }
    }

    fn every_vehicle_once(&mut self, plan: &Plan) {
        for (index, route) in plan.routes.iter().enumerate() {
            if plan.routes[..index].iter().any(|earlier| earlier.vehicle == route.vehicle) {
                self.report(format!("/routes/{index}/vehicle"), format!("vehicle {} has two routes", route.vehicle));
            }
        }
    }

    fn times_and_distances(&mut self, path: &str, route: &Route) {
        let problem = self.problem;
        let vehicle = &problem.vehicles()[route.vehicle];
        let (mut place, mut now) = (vehicle.start, route.departure_s);
        let (mut metres, mut driving, mut serving, mut waiting) = (0i64, 0i64, 0i64, 0i64);
        for (index, visit) in route.visits.iter().enumerate() {
            let at = format!("{path}/visits/{index}");
            let stop = &problem.stops()[visit.stop];
            let leg = problem.leg(place, Some(stop.location));
            metres += i64::from(leg.distance_m);
            driving += i64::from(leg.duration_s);
            self.equal(format!("{at}/arrival_s"), visit.arrival_s, now + i64::from(leg.duration_s));
            self.equal(format!("{at}/distance_m"), visit.distance_m, metres);
            self.equal(format!("{at}/travel_s"), visit.travel_s, driving);
            if visit.start_s < visit.arrival_s || visit.start_s < stop.window().opens_s {
                self.report(format!("{at}/start_s"), "service starts before arrival or before the window opens");
            }
            self.at_most(format!("{at}/start_s"), "start of service", visit.start_s, stop.window().closes_s);
            waiting += visit.start_s - visit.arrival_s;
            serving += stop.service_s;
            now = visit.start_s + stop.service_s;
            place = Some(stop.location);
            if let Some(skill) = stop.skills.iter().find(|skill| !vehicle.skills.contains(skill)) {
                self.report(at, format!("vehicle {:?} lacks the skill {skill}", vehicle.id));
            }
        }
        let home = problem.leg(place, vehicle.end);
        metres += i64::from(home.distance_m);
        driving += i64::from(home.duration_s);
        self.equal(format!("{path}/return_s"), route.return_s, now + i64::from(home.duration_s));
        self.equal(format!("{path}/distance_m"), route.distance_m, metres);
        self.equal(format!("{path}/travel_s"), route.travel_s, driving);
        self.equal(format!("{path}/service_s"), route.service_s, serving);
        self.equal(format!("{path}/waiting_s"), route.waiting_s, waiting);
        if route.departure_s < vehicle.shift.opens_s {
            self.report(format!("{path}/departure_s"), "the vehicle leaves before its shift");
        }
        self.at_most(format!("{path}/return_s"), "return", route.return_s, vehicle.shift.closes_s);
        let duration = route.return_s - route.departure_s;
        self.at_most(path, "distance", metres, vehicle.max_distance_m.unwrap_or(i64::MAX));
        self.at_most(path, "driving time", driving, vehicle.max_travel_s.unwrap_or(i64::MAX));
        self.at_most(path, "duration", duration, vehicle.max_duration_s.unwrap_or(i64::MAX));
        let most_stops = vehicle.max_stops.map_or(i64::MAX, |most| most as i64);
        self.at_most(path, "number of stops", route.visits.len() as i64, most_stops);
        let by_distance = vehicle.cost_per_km as f64 * metres as f64 / 1_000.0;
        let by_time = vehicle.cost_per_travel_hour as f64 * driving as f64 / 3_600.0
            + vehicle.cost_per_duty_hour as f64 * duration as f64 / 3_600.0;
        let cost = vehicle.fixed_cost as f64 + by_distance + by_time;
        // Half a unit of rounding, and what doubles lose.
        if (route.cost as f64 - cost).abs() > 0.5 + 1e-9 * cost {
            self.report(format!("{path}/cost"), format!("the plan says {}, but it is {cost:.2}", route.cost));
        }
    }

    fn loads(&mut self, path: &str, route: &Route) {
        let problem = self.problem;
        let capacity = &problem.vehicles()[route.vehicle].capacity;
        for (d, &capacity) in capacity.iter().enumerate() {
            let mut load: i64 = route.visits.iter().map(|visit| problem.stops()[visit.stop].delivery[d]).sum();
            self.equal(format!("{path}/initial_load/{d}"), route.initial_load[d], load);
            self.at_most(format!("{path}/initial_load/{d}"), "load", load, capacity);
            for (index, visit) in route.visits.iter().enumerate() {
                let stop = &problem.stops()[visit.stop];
                load = load - stop.delivery[d] + stop.pickup[d];
                self.equal(format!("{path}/visits/{index}/load/{d}"), visit.load[d], load);
                self.at_most(format!("{path}/visits/{index}/load/{d}"), "load", load, capacity);
            }
        }
    }
}
