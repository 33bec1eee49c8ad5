//! From steps of vehicles to a full plan: times, loads, costs, breaks and the stops left out; it decides no order of stops.

use crate::explain::reason;
use crate::plan::{Pause, PauseKind, Plan, Route, Step, Unassigned, Visit};
use crate::problem::Problem;
use crate::segment::Segment;
use crate::timeline::{evaluate_final, simulate};

/// The plan in which vehicle `v` follows `steps[v]`. Breaks are put where they disturb least when the steps hold none. Steps
/// that break rules are carried out all the same, late or overloaded; [`crate::check`] says what is wrong with them.
pub fn plan_of(problem: &Problem, steps: &[Vec<Step>]) -> Plan {
    let mut served = vec![false; problem.stops().len()];
    let mut routes = Vec::new();
    for (vehicle, steps) in steps.iter().enumerate() {
        let stops = steps.iter().filter_map(|step| if let Step::Stop(stop) = step { Some(*stop) } else { None });
        let mut any = false;
        for stop in stops {
            (served[stop], any) = (true, true);
            problem.alternatives(stop).iter().for_each(|&other| served[other] = true);
        }
        if any {
            routes.push(route_of(problem, vehicle, &with_breaks(problem, vehicle, steps)));
        }
    }
    let left_out = (0..served.len()).filter(|&stop| !served[stop]);
    let unassigned: Vec<Unassigned> = left_out.map(|stop| Unassigned { stop, reason: reason(problem, stop) }).collect();
    Plan {
        cost: routes.iter().map(|route| route.cost).sum::<i64>() + prizes_lost(problem, &unassigned),
        distance_m: routes.iter().map(|route| route.distance_m).sum(),
        duration_s: routes.iter().map(Route::duration_s).sum(),
        unassigned,
        routes,
    }
}

/// The plan in which vehicle `v` serves `orders[v]`.
pub(crate) fn schedule(problem: &Problem, orders: &[Vec<usize>]) -> Plan {
    let steps = orders.iter().map(|order| order.iter().map(|&stop| Step::Stop(stop)).collect());
    plan_of(problem, &steps.collect::<Vec<_>>())
}

/// Prizes of stops left out; alternatives count once.
fn prizes_lost(problem: &Problem, unassigned: &[Unassigned]) -> i64 {
    let first = |stop: usize| problem.alternatives(stop).first().is_none_or(|&first| first == stop);
    let lost = unassigned.iter().filter(|left| first(left.stop));
    lost.filter_map(|left| problem.stops()[left.stop].prize).sum()
}

/// The steps with every break of the vehicle in the gap where it costs least, one after the other; as they are when they hold
/// a break already.
pub(crate) fn with_breaks(problem: &Problem, vehicle: usize, steps: &[Step]) -> Vec<Step> {
    let mut placed = steps.to_vec();
    let limits = &problem.vehicles()[vehicle];
    let (breaks, opens_s) = (limits.breaks.len(), limits.shift.opens_s);
    if steps.iter().any(|step| matches!(step, Step::Break(_))) {
        return placed;
    }
    let mut earliest = 0;
    for index in 0..breaks {
        let rank = |gap: usize| {
            let mut tried = placed.clone();
            tried.insert(gap, Step::Break(index));
            let totals = simulate(problem, vehicle, &tried, opens_s, &mut |_| ());
            let breach = totals.breach;
            (breach.window_s + breach.shift_s + breach.break_load, totals.return_s)
        };
        let gap = (earliest..=placed.len()).min_by_key(|&gap| rank(gap)).unwrap_or(placed.len());
        placed.insert(gap, Step::Break(index));
        earliest = gap + 1;
    }
    placed
}

fn route_of(problem: &Problem, vehicle: usize, steps: &[Step]) -> Route {
    let departure_s = evaluate_final(problem, vehicle, steps).departure_s;
    let (mut visits, mut pauses) = (Vec::with_capacity(steps.len()), Vec::new());
    let totals = simulate(problem, vehicle, steps, departure_s, &mut |moment| {
        let pause = |kind: PauseKind, after_visits: usize| Pause {
            after_visits,
            kind,
            arrival_s: moment.arrival_s,
            start_s: moment.start_s,
            service_s: moment.service_s,
            distance_m: moment.distance_m,
            travel_s: moment.travel_s,
            load: moment.load.to_vec(),
        };
        match moment.step {
            Step::Break(index) => pauses.push(pause(PauseKind::Break(index), visits.len())),
            Step::Reload(location) => pauses.push(pause(PauseKind::Reload(location), visits.len())),
            Step::Stop(stop) => visits.push(Visit {
                stop,
                arrival_s: moment.arrival_s,
                start_s: moment.start_s,
                setup_s: moment.setup_s,
                distance_m: moment.distance_m,
                travel_s: moment.travel_s,
                load: moment.load.to_vec(),
            }),
        }
    });
    let first_trip = steps.iter().take_while(|step| !matches!(step, Step::Reload(_)));
    let mut initial_load = vec![0; problem.dimensions()];
    for step in first_trip {
        if let Step::Stop(stop) = step {
            let brought = &problem.stops()[*stop].delivery;
            initial_load.iter_mut().zip(brought).for_each(|(load, amount)| *load += amount);
        }
    }
    Route {
        vehicle,
        visits,
        pauses,
        departure_s,
        return_s: totals.return_s,
        distance_m: totals.distance_m,
        travel_s: totals.travel_s,
        service_s: totals.service_s,
        pause_s: totals.pause_s,
        waiting_s: totals.duration_s() - totals.travel_s - totals.service_s - totals.pause_s,
        late_s: totals.late_s,
        cost: totals.rounded_cost(&problem.vehicles()[vehicle]),
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
