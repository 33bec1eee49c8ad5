//! The rules that the search itself honours, on random problems: shipments, prizes, backhauls, release times; and that it
//! repeats itself.

use super::*;
use dhow_routes::{Parts, Rounding, Shipment};

/// One stop: x, y, amount, opening, width of the window, release, prize, kind.
pub type Row = (f64, f64, i64, i64, i64, i64, i64, u8);

/// Stops in the plane around a depot. By kind, a stop is the first of a shipment to the next stop, optional, a backhaul, or
/// released late; the kinds are mixed as one draw says.
pub fn rich_problem(rows: Vec<Row>, kinds: u8) -> Problem {
    let mut points = vec![[50.0, 50.0]];
    points.extend(rows.iter().map(|row| [row.0, row.1]));
    let mut shipments: Vec<Shipment> = Vec::new();
    let mut stops = Vec::new();
    for (index, &(_, _, amount, opens, width, release, prize, kind)) in rows.iter().enumerate() {
        let mut stop = Stop::new(index.to_string(), index + 1).between(opens, opens + width).taking(5);
        let second = shipments.last().is_some_and(|shipment| shipment.delivery == index);
        if kinds & 1 == 1 && kind == 0 && !second && index + 1 < rows.len() {
            shipments.push(Shipment { pickup: index, delivery: index + 1, amount: vec![amount] });
        } else if !second {
            stop = if kinds & 2 == 2 && kind == 1 { stop.picking_up(&[amount]) } else { stop.delivering(&[amount]) };
            stop.backhaul = kinds & 2 == 2 && kind == 1;
            stop.prize = (kinds & 4 == 4 && kind == 2).then_some(prize);
            stop.release_s = if kinds & 8 == 8 { release } else { 0 };
        }
        stops.push(stop);
    }
    let vehicle = |i: usize| Vehicle {
        max_duration_s: (i % 4 == 1).then_some(400),
        cost_per_duty_hour: if i % 4 == 2 { 1_800 } else { 0 },
        fixed_cost: 20 * (i % 4) as i64,
        ..Vehicle::new(i.to_string(), 0).carrying(&[12]).working(0, 1_000)
    };
    let profiles = vec![Travel::Planar { points, rounding: Rounding::Nearest }];
    let count = (stops.len() / 6).max(4);
    let parts = Parts { stops, shipments, vehicles: (0..count).map(vehicle).collect(), profiles };
    Problem::from_parts(parts).expect("the generator keeps the ranges")
}

fn any_rich_problem() -> impl Strategy<Value = Problem> {
    let row = (0.0..100.0f64, 0.0..100.0f64, 1..5i64, 0..300i64, 50..500i64, 0..200i64, 0..150i64, 0..4u8);
    (prop::collection::vec(row, 3..25), 0..16u8).prop_map(|(rows, kinds)| rich_problem(rows, kinds))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shipments_prizes_backhauls_and_releases_are_honoured_and_plans_repeat(problem in any_rich_problem()) {
        let plan = solve(&problem, 500);
        prop_assert_eq!(check(&problem, &plan), vec![]);
        prop_assert_eq!(&solve(&problem, 500), &plan);
        for left in &plan.unassigned {
            if let Some(partner) = problem.partner(left.stop) {
                prop_assert!(plan.unassigned.iter().any(|other| other.stop == partner), "half a shipment is left out");
            }
        }
    }
}

#[test]
fn an_optional_stop_is_served_when_its_prize_exceeds_the_detour() {
    for (prize, served) in [(150, false), (250, true)] {
        let mut stop = Stop::new("far", 1);
        stop.prize = Some(prize);
        let points = vec![[0.0, 0.0], [100.0, 0.0]];
        let travel = Travel::Planar { points, rounding: Rounding::Nearest };
        let problem = Problem::new(vec![stop], vec![Vehicle::new("van", 0)], travel).expect("a right problem");
        let plan = solve(&problem, 100);
        assert_eq!((plan.unassigned.is_empty(), plan.cost), (served, if served { 200 } else { prize }));
    }
}

#[test]
fn a_vehicle_dearer_than_its_way_is_saved_where_one_less_can_serve_all() {
    // Five stops in a circle, each a fifth of a load, and as many vehicles as stops: windows let one vehicle serve all.
    let corner = |i: usize| (i as f64 * std::f64::consts::TAU / 5.0).sin_cos();
    let points =
        std::iter::once([0.0, 0.0]).chain((0..5).map(|i| [100.0 * corner(i).0, 100.0 * corner(i).1])).collect();
    let stops = (1..=5).map(|i| Stop::new(i.to_string(), i).delivering(&[1])).collect();
    let vehicle = |i: usize| Vehicle { fixed_cost: 100_000, ..Vehicle::new(i.to_string(), 0).carrying(&[5]) };
    let travel = Travel::Planar { points, rounding: Rounding::Nearest };
    let problem = Problem::new(stops, (0..5).map(vehicle).collect(), travel).expect("a right problem");
    let plan = solve(&problem, 500);
    assert_eq!((plan.routes.len(), plan.unassigned.len()), (1, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_that_had_steps_enough_to_be_crossed_keep_the_rules_and_repeat(problem in any_rich_problem()) {
        let iterations = 6_000 * problem.stops().len() as u64;
        let plan = solve(&problem, iterations);
        prop_assert_eq!(check(&problem, &plan), vec![]);
        prop_assert_eq!(&solve(&problem, iterations), &plan);
    }
}

#[test]
fn a_limit_of_distance_counts_the_metres_of_the_vehicles_own_roads() {
    // By the second profile every way is twice as long: two stops there and back are 80, not 40.
    let ways = |metres: i64| {
        let matrix: Vec<Vec<i64>> = (0..3).map(|a| (0..3).map(|b| metres * i64::abs(a - b)).collect()).collect();
        Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places: Vec::new() }
    };
    for (most, served) in [(80, 2), (79, 1)] {
        let van = Vehicle { profile: 1, max_distance_m: Some(most), ..Vehicle::new("van", 0) };
        let stops = (1..3).map(|index| Stop::new(index.to_string(), index)).collect();
        let parts = Parts { stops, shipments: Vec::new(), vehicles: vec![van], profiles: vec![ways(10), ways(20)] };
        let problem = Problem::from_parts(parts).expect("well formed");
        let plan = solve(&problem, 50);
        assert_eq!(check(&problem, &plan), vec![]);
        assert_eq!(2 - plan.unassigned.len(), served);
    }
}

#[test]
fn a_shipment_beyond_the_limits_of_distance_or_driving_is_left_out() {
    // From 0 to the pickup at 10, on to the delivery at 25, and back: 50.
    let points = vec![[0.0, 0.0], [10.0, 0.0], [25.0, 0.0]];
    for (most, left_out) in [(50, 0), (49, 2)] {
        for van in [
            Vehicle { max_distance_m: Some(most), ..Vehicle::new("van", 0) },
            Vehicle { max_travel_s: Some(most), ..Vehicle::new("van", 0) },
        ] {
            let stops = (1..3).map(|index| Stop::new(index.to_string(), index)).collect();
            let shipments = vec![Shipment { pickup: 0, delivery: 1, amount: Vec::new() }];
            let profiles = vec![Travel::Planar { points: points.clone(), rounding: Rounding::Nearest }];
            let problem = Problem::from_parts(Parts { stops, shipments, vehicles: vec![van], profiles });
            let plan = solve(problem.as_ref().expect("well formed"), 50);
            assert_eq!(check(problem.as_ref().expect("well formed"), &plan), vec![]);
            assert_eq!(plan.unassigned.len(), left_out);
        }
    }
}
