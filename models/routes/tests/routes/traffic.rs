//! Speeds that change over the day: tiny problems against enumeration, and stops left out against a replay of every place.

use super::*;
use dhow_routes::{Parts, Rounding, Shipment};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

/// Problems that are small enough to try every plan.
const TINY_PROBLEMS: usize = 200;

/// One stop: x, y, amount, opening, width of the window, release, kind.
type Row = (f64, f64, i64, i64, i64, i64, u8);

/// Vehicles whose speed changes, and one whose does not; by kind, time has a price, a limit, or neither.
fn busy_day(rows: Vec<Row>, speed: Vec<(i64, i64)>, kind: u8) -> Problem {
    let mut points = vec![[50.0, 50.0]];
    points.extend(rows.iter().map(|row| [row.0, row.1]));
    let mut changes = vec![SpeedChange { from_s: 0, percent: 100 }];
    for (length_s, percent) in speed {
        let from_s = changes[changes.len() - 1].from_s + length_s;
        changes.push(SpeedChange { from_s, percent });
    }
    changes[0].percent = if kind & 1 == 1 { 70 } else { 130 };
    let stop = |(index, &(_, _, amount, opens, width, release, kind)): (usize, &Row)| {
        let stop = Stop::new(index.to_string(), index + 1).between(opens, opens + width).taking(5);
        Stop { release_s: if kind == 0 { release } else { 0 }, ..stop.delivering(&[amount]) }
    };
    let mut stops: Vec<Stop> = rows.iter().enumerate().map(stop).collect();
    let pair = kind & 2 == 2 && stops.len() > 1;
    if pair {
        (stops[0].delivery, stops[1].delivery) = (vec![0], vec![0]);
    }
    let vehicle = |index: usize| Vehicle {
        speed: if index < 2 { changes.clone() } else { Vec::new() },
        end: (index != 1).then_some(0),
        cost_per_travel_hour: if kind & 4 == 4 { 3_600 } else { 0 },
        cost_per_duty_hour: if kind & 8 == 8 { 1_800 } else { 0 },
        max_duration_s: (kind & 16 == 16).then_some(250),
        max_travel_s: (kind & 32 == 32 && index == 0).then_some(150),
        fixed_cost: 30 * index as i64,
        ..Vehicle::new(index.to_string(), 0).carrying(&[8]).working(20, 600)
    };
    let shipments = if pair { vec![Shipment { pickup: 0, delivery: 1, amount: vec![2] }] } else { Vec::new() };
    let profiles = vec![Travel::Planar { points, rounding: Rounding::Nearest }];
    let parts = Parts { stops, shipments, vehicles: (0..3).map(vehicle).collect(), profiles };
    Problem::from_parts(parts).expect("the generator keeps the ranges")
}

fn any_busy_day(stops: std::ops::Range<usize>, kinds: std::ops::Range<u8>) -> impl Strategy<Value = Problem> {
    let row = (0.0..100.0f64, 0.0..100.0f64, 1..5i64, 0..300i64, 30..400i64, 0..200i64, 0..4u8);
    let speed = prop::collection::vec((1..200i64, 20..300i64), 1..6);
    (prop::collection::vec(row, stops), speed, kinds).prop_map(|(rows, speed, kind)| busy_day(rows, speed, kind))
}

/// The plan's cost when it breaks no rule.
fn cost_if_right(problem: &Problem, steps: &[Vec<Step>]) -> Option<i64> {
    let plan = plan_of(problem, steps);
    check(problem, &plan).is_empty().then_some(plan.cost)
}

/// Every order of every set of stops, as a mask.
fn orders_of(stops: usize) -> Vec<(u32, Vec<Step>)> {
    let mut all = vec![(0, Vec::new())];
    let mut from = 0;
    while from < all.len() {
        let (mask, order): (u32, Vec<Step>) = all[from].clone();
        for stop in (0..stops).filter(|stop| mask >> stop & 1 == 0) {
            all.push((mask | 1 << stop, [order.as_slice(), &[Step::Stop(stop)]].concat()));
        }
        from += 1;
    }
    all
}

/// Fewest stops left out, then the least cost, by trying every plan.
fn enumerated(problem: &Problem) -> (u32, i64) {
    let (stops, vehicles) = (problem.stops().len(), problem.vehicles().len());
    let mut best = BTreeMap::from([(0u32, 0i64)]);
    for vehicle in 0..vehicles {
        let mut of_vehicle: BTreeMap<u32, i64> = BTreeMap::from([(0, 0)]);
        for (mask, order) in orders_of(stops).into_iter().skip(1) {
            let mut steps = vec![Vec::new(); vehicles];
            steps[vehicle] = order;
            if let Some(cost) = cost_if_right(problem, &steps) {
                let least = of_vehicle.entry(mask).or_insert(cost);
                *least = cost.min(*least);
            }
        }
        let mut joined: BTreeMap<u32, i64> = BTreeMap::new();
        for (&before, &cost) in &best {
            for (&mask, &more) in of_vehicle.iter().filter(|(mask, _)| **mask & before == 0) {
                let least = joined.entry(before | mask).or_insert(cost + more);
                *least = (cost + more).min(*least);
            }
        }
        best = joined;
    }
    let value = |(mask, cost): (&u32, &i64)| (stops as u32 - mask.count_ones(), *cost);
    best.iter().map(value).min().expect("the empty plan is right")
}

/// Solves the same tiny problems every time and compares with enumeration: no stop more is left out, and the costs of all of them
/// together are this share above the least at most. Now and then the search misses which vehicle is best for two or three stops.
fn comes_close_to_enumeration(kinds: std::ops::Range<u8>, share: f64) {
    let (strategy, mut runner) = (any_busy_day(1..5, kinds), TestRunner::deterministic());
    let (mut found, mut best) = (0, 0);
    for _ in 0..TINY_PROBLEMS {
        let problem = strategy.new_tree(&mut runner).expect("the strategy rejects nothing").current();
        let plan = solve(&problem, 3_000);
        assert_eq!(check(&problem, &plan), vec![]);
        let (left_out, cost) = enumerated(&problem);
        assert_eq!(plan.unassigned.len() as u32, left_out, "{problem:?}");
        assert!(plan.cost >= cost, "{} is below the least cost {cost}: {problem:?}", plan.cost);
        (found, best) = (found + plan.cost, best + cost);
    }
    println!("measured: {found} where {best} is best");
    assert!(found as f64 <= (1.0 + share) * best as f64, "{found} but {best} by enumeration");
}

#[test]
fn tiny_problems_under_traffic_are_solved_about_as_enumeration_solves_them() {
    comes_close_to_enumeration(0..4, 0.005);
}

#[test]
fn tiny_problems_under_traffic_in_which_time_has_a_price_come_close_to_enumeration() {
    comes_close_to_enumeration(4..64, 0.01);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stop_left_out_under_traffic_fits_nowhere_and_plans_repeat(problem in any_busy_day(5..30, 0..64)) {
        let plan = solve(&problem, 1_000);
        prop_assert_eq!(check(&problem, &plan), vec![]);
        prop_assert_eq!(&solve(&problem, 1_000), &plan);
        let alone = |stop: usize| problem.partner(stop).is_none() && problem.stops()[stop].release_s == 0;
        for left in plan.unassigned.iter().filter(|left| alone(left.stop)) {
            for (route, position) in plan.routes.iter().flat_map(|r| (0..=r.visits.len()).map(move |at| (r, at))) {
                let mut steps = vec![Vec::new(); problem.vehicles().len()];
                steps[route.vehicle] = route.steps();
                steps[route.vehicle].insert(position, Step::Stop(left.stop));
                prop_assert!(cost_if_right(&problem, &steps).is_none(), "{left:?} fits vehicle {}", route.vehicle);
            }
        }
    }
}
