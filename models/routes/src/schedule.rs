//! From orders of stops to a full plan: times, loads, costs, and the reasons of stops left out; it decides no order.

use crate::plan::{Plan, Route, Unassigned, UnassignedReason, Visit};
use crate::problem::{COST_SCALE, Problem};
use crate::segment::Segment;

/// Writes out the plan in which vehicle `v` serves `orders[v]`; stops in none of the orders are unassigned.
pub(crate) fn schedule(problem: &Problem, orders: &[Vec<usize>]) -> Plan {
    let mut served = vec![false; problem.stops().len()];
    let mut routes = Vec::new();
    for (vehicle, order) in orders.iter().enumerate().filter(|(_, order)| !order.is_empty()) {
        order.iter().for_each(|&stop| served[stop] = true);
        routes.push(schedule_route(problem, vehicle, order));
    }
    let left_out = (0..served.len()).filter(|&stop| !served[stop]);
    let unassigned = left_out.map(|stop| Unassigned { stop, reason: reason(problem, stop) }).collect();
    Plan {
        unassigned,
        cost: routes.iter().map(|route| route.cost).sum(),
        distance_m: routes.iter().map(|route| route.distance_m).sum(),
        duration_s: routes.iter().map(Route::duration_s).sum(),
        routes,
    }
}

fn schedule_route(problem: &Problem, index: usize, order: &[usize]) -> Route {
    let vehicle = &problem.vehicles()[index];
    let departure_s = whole_route(problem, index, order).departure_s();
    let mut load = vec![0; problem.dimensions()];
    for &stop in order {
        load.iter_mut().zip(&problem.stops()[stop].delivery).for_each(|(load, amount)| *load += amount);
    }
    let initial_load = load.clone();
    let (mut clock_s, mut distance_m, mut travel_s, mut service_s, mut waiting_s) = (departure_s, 0, 0, 0, 0);
    let (mut place, mut visits) = (vehicle.start, Vec::with_capacity(order.len()));
    for &index in order {
        let stop = &problem.stops()[index];
        let leg = problem.leg(place, Some(stop.location));
        (distance_m, travel_s) = (distance_m + i64::from(leg.distance_m), travel_s + i64::from(leg.duration_s));
        let arrival_s = clock_s + i64::from(leg.duration_s);
        let start_s = arrival_s.max(stop.window().opens_s);
        (waiting_s, service_s) = (waiting_s + start_s - arrival_s, service_s + stop.service_s);
        for (dimension, load) in load.iter_mut().enumerate() {
            *load += stop.pickup[dimension] - stop.delivery[dimension];
        }
        visits.push(Visit { stop: index, arrival_s, start_s, distance_m, travel_s, load: load.clone() });
        (clock_s, place) = (start_s + stop.service_s, Some(stop.location));
    }
    let leg = problem.leg(place, vehicle.end);
    (distance_m, travel_s) = (distance_m + i64::from(leg.distance_m), travel_s + i64::from(leg.duration_s));
    let return_s = clock_s + i64::from(leg.duration_s);
    let scaled = vehicle.scaled_cost(distance_m, travel_s, return_s - departure_s);
    let cost = (scaled + COST_SCALE / 2).div_euclid(COST_SCALE);
    Route {
        vehicle: index,
        visits,
        departure_s,
        return_s,
        distance_m,
        travel_s,
        service_s,
        waiting_s,
        cost,
        initial_load,
    }
}

/// The summed-up route of a vehicle that serves `order`.
pub(crate) fn whole_route(problem: &Problem, vehicle: usize, order: &[usize]) -> Segment {
    let limits = &problem.vehicles()[vehicle];
    let start = Segment::depot(limits, limits.start);
    let stops = order.iter().fold(start, |run, &stop| run.join(problem, Segment::stop(problem, stop)));
    stops.join(problem, Segment::depot(limits, limits.end))
}

/// True when the loads of `order` stay within the vehicle's capacity all along.
pub(crate) fn loads_fit(problem: &Problem, vehicle: usize, order: &[usize]) -> bool {
    let capacity = &problem.vehicles()[vehicle].capacity;
    (0..problem.dimensions()).all(|dimension| {
        let mut load: i64 = order.iter().map(|&stop| problem.stops()[stop].delivery[dimension]).sum();
        load <= capacity[dimension]
            && order.iter().all(|&stop| {
                let stop = &problem.stops()[stop];
                load += stop.pickup[dimension] - stop.delivery[dimension];
                load <= capacity[dimension]
            })
    })
}

/// The strongest reason that keeps a stop out.
fn reason(problem: &Problem, stop: usize) -> UnassignedReason {
    let order = [stop];
    let mut vehicles: Vec<usize> = (0..problem.vehicles().len()).filter(|&v| problem.class[v] == v).collect();
    vehicles.retain(|&vehicle| problem.may_serve(vehicle, stop));
    if vehicles.is_empty() {
        return UnassignedReason::NoVehicleWithSkills;
    }
    vehicles.retain(|&vehicle| loads_fit(problem, vehicle, &order));
    if vehicles.is_empty() {
        return UnassignedReason::OverEveryCapacity;
    }
    vehicles.retain(|&vehicle| whole_route(problem, vehicle, &order).on_time());
    if vehicles.is_empty() {
        return UnassignedReason::WindowUnreachable;
    }
    vehicles.retain(|&vehicle| whole_route(problem, vehicle, &order).route_cost(problem, vehicle).is_some());
    if vehicles.is_empty() {
        return UnassignedReason::OverRouteLimits;
    }
    UnassignedReason::NoRoomLeft
}
