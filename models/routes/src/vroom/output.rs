//! From a plan to VROOM's answer: summary, routes with their steps, what is violated and what is left out.

use super::{Kind, Request};
use crate::plan::{Pause, PauseKind, Plan, Route, Visit};
use crate::problem::Stop;
use serde_json::{Map, Value, json};

impl Request {
    /// VROOM's answer for a plan of this request's problem.
    pub fn response(&self, plan: &Plan) -> Value {
        let unassigned: Vec<Value> = plan
            .unassigned
            .iter()
            .map(|left| {
                let mut task = self.task(left.stop);
                task.insert("reason".into(), json!(left.reason));
                task.insert("reason_text".into(), json!(left.reason.words()));
                Value::Object(task)
            })
            .collect();
        let routes: Vec<Value> = plan.routes.iter().map(|route| self.route(route)).collect();
        let mut summary = Map::new();
        for name in ["cost", "setup", "service", "duration", "waiting_time", "priority", "distance"] {
            let total: i64 = routes.iter().filter_map(|route| route[name].as_i64()).sum();
            summary.insert(name.into(), json!(total));
        }
        // What is paid for stops left out belongs to no route.
        summary.insert("cost".into(), json!(plan.cost));
        for name in ["delivery", "pickup"] {
            let mut total = vec![0; self.problem.dimensions()];
            for amounts in routes.iter().filter_map(|route| route[name].as_array()) {
                total.iter_mut().zip(amounts).for_each(|(total, amount)| *total += amount.as_i64().unwrap_or(0));
            }
            summary.insert(name.into(), json!(total));
        }
        let violations = routes.iter().filter_map(|route| route["violations"].as_array()).flatten();
        summary.insert("violations".into(), json!(violations.collect::<Vec<_>>()));
        summary.insert("routes".into(), json!(routes.len()));
        summary.insert("unassigned".into(), json!(unassigned.len()));
        json!({ "code": 0, "summary": summary, "unassigned": unassigned, "routes": routes })
    }

    fn route(&self, route: &Route) -> Value {
        let stops = || route.visits.iter().map(|visit| &self.problem.stops()[visit.stop]);
        let setup: i64 = route.visits.iter().map(|visit| visit.setup_s).sum();
        let (delivery, pickup) = self.carried(route);
        let steps = self.steps_of(route);
        let mut violations = self.limits_broken(route);
        let of_steps = steps.iter().filter_map(|step| step["violations"].as_array()).flatten().cloned();
        violations.extend(of_steps);
        let mut value = json!({
            "vehicle": self.vehicles[route.vehicle].id,
            "cost": route.cost,
            "setup": setup,
            "service": route.service_s - setup + route.pause_s,
            "duration": route.travel_s,
            "waiting_time": route.waiting_s,
            "priority": stops().map(|stop| i64::from(stop.priority)).sum::<i64>(),
            "distance": route.distance_m,
            "delivery": delivery,
            "pickup": pickup,
            "steps": steps,
            "violations": violations,
        });
        if let Some(description) = &self.vehicles[route.vehicle].description {
            value["description"] = json!(description);
        }
        if let Some(geometry) = self.geometry(route) {
            value["geometry"] = json!(geometry);
        }
        value
    }

    /// Everything delivered and everything picked up on a route, shipments in both.
    fn carried(&self, route: &Route) -> (Vec<i64>, Vec<i64>) {
        let mut sums = (vec![0; self.problem.dimensions()], vec![0; self.problem.dimensions()]);
        let add = |total: &mut Vec<i64>, amounts: &[i64]| total.iter_mut().zip(amounts).for_each(|(t, a)| *t += a);
        for visit in &route.visits {
            let Stop { delivery, pickup, .. } = &self.problem.stops()[visit.stop];
            add(&mut sums.0, delivery);
            add(&mut sums.1, pickup);
            if let Some(shipment) = self.problem.shipment_of(visit.stop).map(|index| &self.problem.shipments()[index]) {
                add(if shipment.delivery == visit.stop { &mut sums.0 } else { &mut sums.1 }, &shipment.amount);
            }
        }
        sums
    }

    fn steps_of(&self, route: &Route) -> Vec<Value> {
        let vehicle = &self.vehicles[route.vehicle];
        let mut steps = Vec::new();
        if let Some(depot) = place("start", vehicle.start, vehicle.start_index) {
            let load = self.overload(route, &route.initial_load);
            steps.push(step(depot, route.departure_s, (0, 0), &route.initial_load, (0, 0, 0), load));
        }
        let mut pauses = route.pauses.iter().peekable();
        for (index, visit) in route.visits.iter().enumerate() {
            while let Some(pause) = pauses.next_if(|pause| pause.after_visits <= index) {
                steps.push(self.pause(route, pause));
            }
            steps.push(self.visit(route, visit));
        }
        steps.extend(pauses.map(|pause| self.pause(route, pause)));
        if let Some(depot) = place("end", vehicle.end, vehicle.end_index) {
            let last = route.visits.last().map_or(&route.initial_load, |visit| &visit.load);
            let shift = self.problem.vehicles()[route.vehicle].shift;
            let late = delay(route.return_s - shift.closes_s);
            steps.push(step(depot, route.return_s, (route.travel_s, route.distance_m), last, (0, 0, 0), late));
        }
        steps
    }

    fn visit(&self, route: &Route, visit: &Visit) -> Value {
        let stop = &self.problem.stops()[visit.stop];
        let mut violations = delay(visit.start_s - stop.window().closes_s);
        violations.extend(self.overload(route, &visit.load));
        if !self.problem.may_serve(route.vehicle, visit.stop) {
            violations.push(json!({ "cause": "skills" }));
        }
        let partner = self.problem.partner(visit.stop);
        let position = |stop: usize| route.visits.iter().position(|visit| visit.stop == stop);
        let out_of_order = partner.is_some_and(|partner| match (self.tasks[visit.stop].0, position(partner)) {
            (_, None) => true,
            (Kind::Delivery, Some(pickup)) => Some(pickup) > position(visit.stop),
            _ => false,
        });
        if out_of_order {
            violations.push(json!({ "cause": "precedence" }));
        }
        let mut task = self.task(visit.stop);
        if self.tasks[visit.stop].0 == Kind::Job {
            task.insert("job".into(), json!(self.tasks[visit.stop].1.id));
        }
        let times =
            (visit.setup_s, stop.service_s, (visit.start_s - visit.arrival_s - self.paused(route, visit)).max(0));
        step(task, visit.arrival_s, (visit.travel_s, visit.distance_m), &visit.load, times, violations)
    }

    /// Seconds of breaks between a visit's arrival and its start.
    fn paused(&self, route: &Route, visit: &Visit) -> i64 {
        let inside =
            route.pauses.iter().filter(|pause| pause.start_s >= visit.arrival_s && pause.start_s < visit.start_s);
        inside.map(|pause| pause.service_s).sum()
    }

    fn pause(&self, route: &Route, pause: &Pause) -> Value {
        let vehicle = &self.vehicles[route.vehicle];
        let mut value = Map::new();
        match pause.kind {
            PauseKind::Break(index) => {
                let rule = &vehicle.breaks[index];
                value.insert("type".into(), json!("break"));
                value.insert("id".into(), json!(rule.id));
                if let Some(description) = &rule.description {
                    value.insert("description".into(), json!(description));
                }
            }
            PauseKind::Reload(_) => {
                let at = vehicle.reload.as_ref();
                let place = at.and_then(|at| place("reload", at.location, at.location_index));
                value = place.unwrap_or_default();
            }
        }
        let waiting = match pause.kind {
            PauseKind::Break(_) => 0,
            PauseKind::Reload(_) => pause.start_s - pause.arrival_s,
        };
        let arrival = if waiting == 0 { pause.start_s } else { pause.arrival_s };
        let so_far = (pause.travel_s, pause.distance_m);
        step(value, arrival, so_far, &pause.load, (0, pause.service_s, waiting), self.overload(route, &pause.load))
    }

    fn overload(&self, route: &Route, load: &[i64]) -> Vec<Value> {
        let capacity = &self.problem.vehicles()[route.vehicle].capacity;
        let over = load.iter().zip(capacity).any(|(load, capacity)| load > capacity);
        if over { vec![json!({ "cause": "load" })] } else { Vec::new() }
    }

    fn limits_broken(&self, route: &Route) -> Vec<Value> {
        let limits = &self.problem.vehicles()[route.vehicle];
        let over = |value: i64, limit: Option<i64>| limit.is_some_and(|limit| value > limit);
        let mut violations = Vec::new();
        if limits.max_stops.is_some_and(|most| route.visits.len() > most) {
            violations.push(json!({ "cause": "max_tasks" }));
        }
        for (cause, value, limit) in [
            ("max_travel_time", route.travel_s, limits.max_travel_s),
            ("max_distance", route.distance_m, limits.max_distance_m),
            ("max_duration", route.duration_s(), limits.max_duration_s),
        ] {
            if over(value, limit) {
                violations.push(json!({ "cause": cause, "duration": value - limit.unwrap_or(0) }));
            }
        }
        if route.departure_s < limits.shift.opens_s {
            violations.push(json!({ "cause": "lead_time", "duration": limits.shift.opens_s - route.departure_s }));
        }
        violations
    }

    /// The way as an encoded polyline of five decimals, when it is asked for and all places have coordinates.
    fn geometry(&self, route: &Route) -> Option<String> {
        if !self.geometry {
            return None;
        }
        let vehicle = &self.vehicles[route.vehicle];
        let visits = route.visits.iter().map(|visit| self.tasks[visit.stop].1.location);
        let ends = |at: Option<[f64; 2]>, index: Option<usize>| (at.is_some() || index.is_some()).then_some(at);
        let first = ends(vehicle.start, vehicle.start_index).into_iter();
        let last = ends(vehicle.end, vehicle.end_index).into_iter();
        let places: Option<Vec<[f64; 2]>> = first.chain(visits).chain(last).collect();
        Some(polyline(&places?))
    }

    fn task(&self, stop: usize) -> Map<String, Value> {
        let (kind, task) = &self.tasks[stop];
        let mut value = place(kind.word(), task.location, task.location_index).unwrap_or_default();
        value.insert("id".into(), json!(task.id));
        if let Some(description) = &task.description {
            value.insert("description".into(), json!(description));
        }
        value
    }
}

fn delay(late_s: i64) -> Vec<Value> {
    if late_s > 0 { vec![json!({ "cause": "delay", "duration": late_s })] } else { Vec::new() }
}

/// A step with its times: `so_far` is travel and distance since the start, `times` are setup, service and waiting.
fn step(
    mut value: Map<String, Value>,
    arrival: i64,
    so_far: (i64, i64),
    load: &[i64],
    times: (i64, i64, i64),
    violations: Vec<Value>,
) -> Value {
    let fields = json!({ "arrival": arrival, "duration": so_far.0, "distance": so_far.1, "load": load, "setup": times.0,
        "service": times.1, "waiting_time": times.2, "violations": violations });
    value.extend(fields.as_object().cloned().unwrap_or_default());
    Value::Object(value)
}

/// A step's type and place, or none when the request gives no place.
fn place(kind: &str, at: Option<[f64; 2]>, index: Option<usize>) -> Option<Map<String, Value>> {
    if at.is_none() && index.is_none() {
        return None;
    }
    let mut value = Map::new();
    value.insert("type".into(), json!(kind));
    if let Some(at) = at {
        value.insert("location".into(), json!(at));
    }
    if let Some(index) = index {
        value.insert("location_index".into(), json!(index));
    }
    Some(value)
}

/// Google's encoded polyline format: differences of latitude and longitude in 1e-5 degrees, five bits a character.
fn polyline(places: &[[f64; 2]]) -> String {
    let mut text = String::new();
    let mut last = [0i64; 2];
    for [lon, lat] in places {
        let now = [(lat * 1e5).round() as i64, (lon * 1e5).round() as i64];
        for (now, last) in now.iter().zip(&mut last) {
            let difference = now - *last;
            let mut left = if difference < 0 { !(difference << 1) } else { difference << 1 };
            while left >= 32 {
                text.push(char::from((left as u8 & 31 | 32) + 63));
                left >>= 5;
            }
            text.push(char::from(left as u8 + 63));
            *last = *now;
        }
    }
    text
}
