//! Every kind of bad problem is refused with the path of what is wrong.

use super::*;

type Spoil = fn(&mut Vec<Stop>, &mut Vec<Vehicle>, &mut Travel);

fn refused(spoil: Spoil) -> String {
    let places = vec![Place { lat: 1.0, lon: 1.0 }; 3];
    let mut travel = Travel::GreatCircle { places, speed_kmh: 30.0 };
    let mut stops = vec![Stop::new("a", 1).delivering(&[1]), Stop::new("b", 2).delivering(&[1])];
    let mut vehicles = vec![Vehicle::new("v", 0).carrying(&[5]), Vehicle::new("w", 0).carrying(&[5])];
    assert!(Problem::new(stops.clone(), vehicles.clone(), travel.clone()).is_ok());
    spoil(&mut stops, &mut vehicles, &mut travel);
    Problem::new(stops, vehicles, travel).expect_err("the input is bad").path
}

fn matrices(distances_m: Vec<Vec<i64>>, durations_s: Vec<Vec<i64>>) -> Travel {
    Travel::Matrices { distances_m, durations_s, places: Vec::new() }
}

#[test]
fn bad_input_is_named_by_its_path() {
    let cases: [(Spoil, &str); 22] = [
        (|stops, _, _| stops.clear(), "/stops"),
        (|_, vehicles, _| vehicles.clear(), "/vehicles"),
        (|stops, _, _| stops[1].id = "a".into(), "/stops/1/id"),
        (|stops, _, _| stops[1].id = String::new(), "/stops/1/id"),
        (|_, vehicles, _| vehicles[1].id = "v".into(), "/vehicles/1/id"),
        (|stops, _, _| stops[1].delivery = vec![-1], "/stops/1/delivery/0"),
        (|stops, _, _| stops[1].pickup = vec![i64::MAX], "/stops/1/pickup/0"),
        (|stops, _, _| stops[1].pickup = vec![1, 2], "/stops/1/pickup"),
        (|stops, _, _| stops[0].location = 3, "/stops/0/location"),
        (|stops, _, _| stops[0].service_s = -1, "/stops/0/service_s"),
        (|stops, _, _| stops[0].priority = 101, "/stops/0/priority"),
        (|stops, _, _| stops[0].windows = vec![TimeWindow { opens_s: 5, closes_s: 4 }], "/stops/0/windows/0"),
        (|_, vehicles, _| vehicles[1].shift.opens_s = -5, "/vehicles/1/shift/opens_s"),
        (|_, vehicles, _| vehicles[0].end = Some(9), "/vehicles/0/end"),
        (|_, vehicles, _| vehicles[0].cost_per_km = -1, "/vehicles/0/cost_per_km"),
        (|_, vehicles, _| vehicles[0].max_duration_s = Some(-1), "/vehicles/0/max_duration_s"),
        (|_, vehicles, _| vehicles[0].capacity = vec![1; 17], "/vehicles/0/capacity"),
        (|_, _, travel| *travel = matrices(vec![vec![0; 3]; 2], vec![vec![0; 3]; 3]), "/travel/distances_m"),
        (|_, _, travel| *travel = matrices(vec![vec![0; 2]; 3], vec![vec![0; 3]; 3]), "/travel/distances_m/0"),
        (|_, _, travel| *travel = matrices(vec![vec![-1; 3]; 3], vec![vec![0; 3]; 3]), "/travel/distances_m/0/0"),
        (|_, _, travel| *travel = at(f64::NAN, 30.0), "/travel/places/2/lat"),
        (|_, _, travel| *travel = at(0.0, f64::NAN), "/travel/speed_kmh"),
    ];
    for (spoil, path) in cases {
        assert_eq!(refused(spoil), path);
    }
}

fn at(lat: f64, speed_kmh: f64) -> Travel {
    let places = vec![Place { lat: 0.0, lon: 0.0 }, Place { lat: 0.0, lon: 1.0 }, Place { lat, lon: 0.0 }];
    Travel::GreatCircle { places, speed_kmh }
}

#[test]
fn a_budget_over_its_bound_is_refused() {
    let problem = quality::scattered(3, 1, 1);
    let budget = Budget { iterations: MAX_ITERATIONS + 1, seed: 0 };
    let refused = LocalSearchSolver.solve(&problem, &budget, &never);
    assert_eq!(refused, Err(SolveError::BudgetTooLarge { iterations: MAX_ITERATIONS + 1 }));
}
