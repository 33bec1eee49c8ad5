//! What a planner relies on: plans keep every rule, come close to the optimum, repeat exactly, and bad input is named.
//! Large benchmark families are left to `benches`.

mod arrivals;
mod bad_input;
mod formats;
mod live;
mod quality;
mod reasons;
mod reloads;
mod rich;
mod search;
mod threads;
mod traffic;
mod vroom;

use dhow_routes::*;
use proptest::prelude::*;

/// Never stops early.
fn never() -> bool {
    false
}

fn solve(problem: &Problem, iterations: u64) -> Plan {
    LocalSearchSolver.solve(problem, &Budget { iterations, seed: 7 }, &never).expect("the budget is in range")
}

/// A random problem: asymmetric matrices that break the triangle inequality, two dimensions, pickups, skills, windows,
/// different vehicles, missing depots, limits.
fn any_problem(stops: std::ops::Range<usize>) -> impl Strategy<Value = Problem> {
    any_problem_over(stops, |matrix| matrix)
}

/// The same with shortest ways, which keep the triangle inequality: no route gets shorter by a further stop.
fn any_metric_problem(stops: std::ops::Range<usize>) -> impl Strategy<Value = Problem> {
    any_problem_over(stops, |mut matrix| {
        for via in 0..matrix.len() {
            for from in 0..matrix.len() {
                for to in 0..matrix.len() {
                    matrix[from][to] = matrix[from][to].min(matrix[from][via] + matrix[via][to]);
                }
            }
        }
        matrix
    })
}

fn any_problem_over(
    stops: std::ops::Range<usize>,
    ways: fn(Vec<Vec<i64>>) -> Vec<Vec<i64>>,
) -> impl Strategy<Value = Problem> {
    (stops, 1..5usize).prop_flat_map(move |(stops, vehicles)| {
        let size = stops + 1;
        let matrix = move || prop::collection::vec(prop::collection::vec(0..1_000i64, size), size).prop_map(ways);
        let stop = (0..4i64, 0..4i64, 0..4i64, 0..3_000i64, 0..3_000i64, 0..100i64, 0..8u32, 0..3u8);
        let vehicle = (4..20i64, 1_000..6_000i64, 0..4u32, 0..500i64, 0..3_600i64, 1..9usize, 0..4u8, 500..5_000i64);
        let (stops, vehicles) = (prop::collection::vec(stop, stops), prop::collection::vec(vehicle, vehicles));
        (matrix(), matrix(), stops, vehicles).prop_map(|(distances_m, durations_s, stops, vehicles)| {
            let stop = |(i, (a, b, c, opens, width, service, skill, priority)): (usize, _)| {
                let skills: Vec<u32> = if skill < 2 { vec![skill] } else { Vec::new() };
                let stop = Stop::new(format!("s{i}"), i + 1).delivering(&[a, b]).picking_up(&[c, 0]).taking(service);
                Stop { skills, priority, ..stop.between(opens, opens + width) }
            };
            let vehicle = |(i, (capacity, end, skills, fixed_cost, duty, most, depots, limit)): (usize, _)| Vehicle {
                start: (depots != 1).then_some(0),
                end: (depots != 2).then_some(0),
                skills: (0..2).filter(|bit| skills >> bit & 1 == 1).collect(),
                fixed_cost,
                cost_per_duty_hour: duty,
                max_stops: Some(most),
                max_distance_m: (limit % 2 == 0).then_some(limit),
                max_duration_s: (limit % 3 == 0).then_some(limit),
                ..Vehicle::new(format!("v{i}"), 0).carrying(&[capacity, capacity]).working(100, 100 + end)
            };
            let stops = stops.into_iter().enumerate().map(stop).collect();
            let vehicles = vehicles.into_iter().enumerate().map(vehicle).collect();
            let travel = Travel::Matrices { distances_m, durations_s, places: Vec::new() };
            Problem::new(stops, vehicles, travel).expect("the generator keeps the ranges")
        })
    })
}

/// Obviously right and slow: replays an order and says what it costs, or none when any rule is broken. The departure is
/// searched: every second matters only where a window opens, so latest feasible starts are found by walking backwards.
fn slow_cost(problem: &Problem, vehicle: usize, order: &[usize]) -> Option<f64> {
    let v = &problem.vehicles()[vehicle];
    if order.is_empty() {
        return Some(0.0);
    }
    let stops: Vec<&Stop> = order.iter().map(|&stop| &problem.stops()[stop]).collect();
    if v.max_stops.is_some_and(|most| stops.len() > most) {
        return None;
    }
    if stops.iter().any(|stop| stop.skills.iter().any(|skill| !v.skills.contains(skill))) {
        return None;
    }
    for d in 0..problem.dimensions() {
        let mut load: i64 = stops.iter().map(|stop| stop.delivery[d]).sum();
        let mut peak = load;
        for stop in &stops {
            load += stop.pickup[d] - stop.delivery[d];
            peak = peak.max(load);
        }
        if peak > v.capacity[d] {
            return None;
        }
    }
    let mut places = vec![v.start];
    places.extend(stops.iter().map(|stop| Some(stop.location)));
    places.push(v.end);
    let legs: Vec<Leg> = places.windows(2).map(|pair| problem.leg(pair[0], pair[1])).collect();
    let distance: i64 = legs.iter().map(|leg| i64::from(leg.distance_m)).sum();
    let travel: i64 = legs.iter().map(|leg| i64::from(leg.duration_s)).sum();
    let return_when_leaving_at = |departure: i64| {
        let mut now = departure;
        for (leg, stop) in legs.iter().zip(&stops) {
            now = (now + i64::from(leg.duration_s)).max(stop.window().opens_s);
            if now > stop.window().closes_s {
                return None;
            }
            now += stop.service_s;
        }
        now += i64::from(legs[legs.len() - 1].duration_s);
        (now <= v.shift.closes_s).then_some(now)
    };
    let earliest_return = return_when_leaving_at(v.shift.opens_s)?;
    // Leaving later never helps the return; the best departure is the last that still returns at the earliest return.
    let (mut good, mut bad) = (v.shift.opens_s, v.shift.closes_s + 1);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if return_when_leaving_at(middle) == Some(earliest_return) { good = middle } else { bad = middle }
    }
    let duration = earliest_return - good;
    let within = |value: i64, limit: Option<i64>| limit.is_none_or(|limit| value <= limit);
    let allowed =
        within(distance, v.max_distance_m) && within(travel, v.max_travel_s) && within(duration, v.max_duration_s);
    let hours = (v.cost_per_travel_hour * travel + v.cost_per_duty_hour * duration) as f64 / 3_600.0;
    allowed.then(|| v.fixed_cost as f64 + v.cost_per_km as f64 * distance as f64 / 1_000.0 + hours)
}

fn orders(problem: &Problem, plan: &Plan) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new(); problem.vehicles().len()];
    for route in &plan.routes {
        orders[route.vehicle] = route.visits.iter().map(|visit| visit.stop).collect();
    }
    orders
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_all_rules_and_its_own_figures_are_right(problem in any_problem(1..26)) {
        let joined = savings(&problem).expect("the problem has no rarer features");
        for plan in [nearest_neighbour(&problem), joined, solve(&problem, 0), solve(&problem, 300)] {
            prop_assert_eq!(check(&problem, &plan), vec![]);
            for route in &plan.routes {
                let order: Vec<usize> = route.visits.iter().map(|visit| visit.stop).collect();
                let cost = slow_cost(&problem, route.vehicle, &order).expect("the checker found nothing");
                prop_assert!((cost - route.cost as f64).abs() <= 0.51, "cost {} but {cost} by replay", route.cost);
            }
        }
    }

    #[test]
    fn a_stop_left_out_fits_nowhere_and_its_reason_holds_for_it_alone(problem in any_problem(5..40)) {
        let plan = solve(&problem, 200);
        let orders = orders(&problem, &plan);
        for left in &plan.unassigned {
            for (vehicle, order) in orders.iter().enumerate() {
                for position in 0..=order.len() {
                    let mut longer = order.clone();
                    longer.insert(position, left.stop);
                    prop_assert!(slow_cost(&problem, vehicle, &longer).is_none(), "{left:?} fits vehicle {vehicle}");
                }
            }
            let fits_alone = (0..orders.len()).any(|vehicle| slow_cost(&problem, vehicle, &[left.stop]).is_some());
            prop_assert_eq!(fits_alone, left.reason == UnassignedReason::NoRoomLeft);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan(problem in any_problem(5..30)) {
        prop_assert_eq!(solve(&problem, 100), solve(&problem, 100));
    }
}

#[test]
fn each_reason_is_given_where_it_is_true() {
    let places = vec![Place { lat: 0.0, lon: 0.0 }, Place { lat: 0.0, lon: 0.1 }];
    let travel = Travel::GreatCircle { places, speed_kmh: 36.0 };
    let stops = vec![
        Stop { skills: vec![9], ..Stop::new("skilled", 1) },
        Stop::new("heavy", 1).delivering(&[11]),
        Stop::new("early", 1).between(0, 60),
        Stop::new("slow", 1).taking(5_000),
        Stop::new("first", 1).delivering(&[6]),
        Stop { priority: 1, ..Stop::new("important", 1).delivering(&[6]) },
    ];
    let van = Vehicle { max_duration_s: Some(6_000), ..Vehicle::new("van", 0).carrying(&[10]) };
    let problem = Problem::new(stops, vec![van], travel).expect("the problem is well formed");
    let plan = solve(&problem, 50);
    let reasons: Vec<_> = plan.unassigned.iter().map(|left| (left.stop, left.reason)).collect();
    let expected = [
        (0, UnassignedReason::NoVehicleWithSkills),
        (1, UnassignedReason::OverEveryCapacity),
        (2, UnassignedReason::WindowUnreachable),
        (3, UnassignedReason::OverRouteLimits),
        (4, UnassignedReason::NoRoomLeft),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(plan.routes[0].visits[0].stop, 5);
}

#[test]
fn stopping_at_once_still_gives_a_plan_that_keeps_all_rules() {
    let problem = quality::scattered(60, 6, 3);
    let budget = Budget { iterations: MAX_ITERATIONS, seed: 1 };
    let plan = LocalSearchSolver.solve(&problem, &budget, &|| true).expect("the budget is in range");
    assert_eq!(check(&problem, &plan), vec![]);
    assert!(plan.unassigned.is_empty());
}

#[test]
fn the_checker_sees_each_kind_of_fault() {
    let problem = quality::scattered(20, 4, 5);
    let good = solve(&problem, 50);
    let faults: [fn(&mut Plan); 7] = [
        |plan| plan.cost += 1,
        |plan| plan.routes[0].visits[0].arrival_s -= 1,
        |plan| plan.routes[0].visits[0].load[0] += 1,
        |plan| plan.routes[0].visits.swap(0, 1),
        |plan| plan.routes[0].cost += 1,
        |plan| drop(plan.routes.pop()),
        |plan| plan.routes[1].vehicle = plan.routes[0].vehicle,
    ];
    for (index, fault) in faults.iter().enumerate() {
        let mut bad = good.clone();
        fault(&mut bad);
        assert!(!check(&problem, &bad).is_empty(), "fault {index} went unseen");
    }
}
