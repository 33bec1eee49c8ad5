//! How good plans are: against the exhaustive optimum of tiny problems, the baselines, and best known solutions.

use super::*;
use dhow_routes::Rounding;

/// What opening a small van costs: about as much as three kilometres.
const FIXED_SMALL: i64 = 300;

/// `n` stops on a seeded square of about 30 km, `vehicles` vans whose capacity is just enough.
pub fn scattered(n: usize, vehicles: usize, seed: u64) -> Problem {
    scattered_for(n, seed, |total| {
        let capacity = total / vehicles as i64 + 5;
        (0..vehicles).map(|i| Vehicle::new(format!("v{i}"), 0).carrying(&[capacity])).collect()
    })
}

/// The same for a fleet that is made for the sum of all amounts.
fn scattered_for(n: usize, seed: u64, fleet: impl Fn(i64) -> Vec<Vehicle>) -> Problem {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut places = vec![Place { lat: 6.5, lon: 3.4 }];
    places.extend((0..n).map(|_| Place { lat: 6.35 + 0.3 * next(), lon: 3.25 + 0.3 * next() }));
    let stops: Vec<Stop> = (1..=n).map(|i| Stop::new(format!("s{i}"), i).delivering(&[1 + i as i64 % 5])).collect();
    let fleet = fleet(stops.iter().map(|stop| stop.delivery[0]).sum());
    Problem::new(stops, fleet, Travel::GreatCircle { places, speed_kmh: 30.0 }).expect("the generator keeps the ranges")
}

/// Least (weight left out, cost) over all ways to give some of the stops, in some order, to the vehicles.
fn exhaustive(problem: &Problem) -> (i64, f64) {
    let n = problem.stops().len();
    let mut states: Vec<Option<f64>> = vec![None; 1 << n];
    states[0] = Some(0.0);
    for vehicle in 0..problem.vehicles().len() {
        let mut alone: Vec<Option<f64>> = vec![None; 1 << n];
        extend(problem, vehicle, &mut Vec::new(), 0, &mut alone);
        let mut next = states.clone();
        for (served, cost) in states.iter().enumerate().filter_map(|(set, cost)| cost.map(|cost| (set, cost))) {
            for (set, more) in alone.iter().enumerate().filter_map(|(set, more)| more.map(|more| (set, more))) {
                let union = served | set;
                if served & set == 0 && next[union].is_none_or(|least| cost + more < least) {
                    next[union] = Some(cost + more);
                }
            }
        }
        states = next;
    }
    let weight = |set: usize| -> i64 {
        (0..n).filter(|i| set >> i & 1 == 0).map(|i| 1 + i64::from(problem.stops()[i].priority)).sum()
    };
    let reached = states.iter().enumerate().filter_map(|(set, cost)| cost.map(|cost| (weight(set), cost)));
    reached.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))).expect("serving nothing is always possible")
}

fn extend(problem: &Problem, vehicle: usize, order: &mut Vec<usize>, set: usize, least: &mut [Option<f64>]) {
    if let Some(cost) = slow_cost(problem, vehicle, order) {
        least[set] = Some(least[set].map_or(cost, |known| known.min(cost)));
    }
    for stop in (0..problem.stops().len()).filter(|stop| set >> stop & 1 == 0) {
        order.push(stop);
        extend(problem, vehicle, order, set | 1 << stop, least);
        order.pop();
    }
}

fn weight_left_out(problem: &Problem, plan: &Plan) -> i64 {
    plan.unassigned.iter().map(|left| 1 + i64::from(problem.stops()[left.stop].priority)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn up_to_five_stops_as_much_is_served_as_possible_at_no_less_than_the_optimal_cost(problem in any_metric_problem(1..6)) {
        let plan = solve(&problem, 5_000);
        let (weight, cost) = exhaustive(&problem);
        prop_assert_eq!(weight_left_out(&problem, &plan), weight);
        prop_assert!(plan.cost as f64 >= cost - 2.5, "{} beats the optimum {cost}", plan.cost);
    }
}

#[test]
fn seven_stops_on_two_vans_are_planned_optimally() {
    for seed in 1..6 {
        let problem = scattered(7, 2, seed);
        let plan = solve(&problem, 1_000);
        let (weight, cost) = exhaustive(&problem);
        assert_eq!(weight_left_out(&problem, &plan), weight);
        assert!(plan.cost as f64 <= cost * 1.001 + 2.0, "seed {seed}: {} against the optimum {cost}", plan.cost);
    }
}

#[test]
fn groups_that_fill_a_van_each_are_found_by_the_crossover_too() {
    let problem = groups_on_a_circle(|_| None);
    let best: f64 = (0..8).map(|group| tour_of_group(&problem, group)).sum();
    // So many steps a stop that most of the work is the crossover's.
    let plan = solve(&problem, 800_000);
    assert_eq!(check(&problem, &plan), vec![]);
    assert_eq!(plan.cost as f64, best);
    assert_eq!(solve(&problem, 800_000), plan);
}

#[test]
fn stops_that_pay_for_a_van_only_together_are_served_and_no_others() {
    // Any van drives at least 1,800: no stop pays for that alone, the first two groups do, and of the others not even a whole one.
    // Serving all costs more than serving none.
    let prize = |group: usize| if group < 2 { 1_000 } else { 200 };
    let problem = groups_on_a_circle(|group| Some(prize(group)));
    let best = (0..2).map(|group| tour_of_group(&problem, group)).sum::<f64>() + 6.0 * 5.0 * 200.0;
    let plan = solve(&problem, 40_000);
    assert_eq!(check(&problem, &plan), vec![]);
    assert_eq!((plan.cost as f64, plan.unassigned.len()), (best, 30));
    assert!(plan.unassigned.iter().all(|left| left.stop % 8 >= 2));
}

/// Eight groups of five stops on a wide circle, stop `i` in group `i` modulo 8, and ten vans for five stops: what is served
/// best is served by a tour of each group.
fn groups_on_a_circle(prize: impl Fn(usize) -> Option<i64>) -> Problem {
    let point = |group: usize, stop: usize| {
        let (sin, cos) = (group as f64 * std::f64::consts::TAU / 8.0).sin_cos();
        let (dy, dx) = (stop as f64 * std::f64::consts::TAU / 5.0 + group as f64).sin_cos();
        [1_000.0 * cos + 90.0 * dx, 1_000.0 * sin + 90.0 * dy]
    };
    let mut points = vec![[0.0, 0.0]];
    points.extend((0..40).map(|stop| point(stop % 8, stop / 8)));
    let travel = Travel::Planar { points, rounding: Rounding::Nearest };
    let stop = |i: usize| Stop { prize: prize(i % 8), ..Stop::new((i + 1).to_string(), i + 1).delivering(&[1]) };
    let vans = (0..10).map(|i| Vehicle::new(i.to_string(), 0).carrying(&[5])).collect();
    Problem::new((0..40).map(stop).collect(), vans, travel).expect("a right problem")
}

/// The least cost of a tour of one of these groups.
fn tour_of_group(problem: &Problem, group: usize) -> f64 {
    let mut least = vec![None; 1 << 5];
    let members: Vec<usize> = (0..5).map(|i| group + 8 * i).collect();
    tours_of(problem, &members, &mut Vec::new(), &mut least);
    least[31].expect("a van can carry the group")
}

/// The least cost of each set of these members in any order, by the sets' bits.
fn tours_of(problem: &Problem, members: &[usize], order: &mut Vec<usize>, least: &mut [Option<f64>]) {
    let set = order.iter().map(|stop| 1 << members.iter().position(|m| m == stop).unwrap_or(0)).sum::<usize>();
    if let Some(cost) = slow_cost(problem, 0, order) {
        least[set] = Some(least[set].map_or(cost, |known: f64| known.min(cost)));
    }
    for &stop in members {
        if !order.contains(&stop) {
            order.push(stop);
            tours_of(problem, members, order, least);
            order.pop();
        }
    }
}

#[test]
fn the_solver_beats_savings_and_savings_beats_nearest_neighbour() {
    let problem = scattered(120, 10, 11);
    let classic = savings(&problem).expect("the problem has no rarer features");
    let (trivial, solved) = (nearest_neighbour(&problem), solve(&problem, 2_000));
    println!("120 stops: nearest neighbour {}, savings {}, solver {}", trivial.cost, classic.cost, solved.cost);
    for plan in [&trivial, &classic, &solved] {
        assert!(plan.unassigned.is_empty(), "{:?}", plan.unassigned);
    }
    assert!(classic.cost < trivial.cost && solved.cost < classic.cost);
    let figures = kpis(&problem, &solved);
    assert!((figures.on_time_share - 1.0).abs() < 1e-12);
    assert!(figures.utilisation > 0.8 && figures.utilisation <= 1.0);
    assert_eq!(figures.co2e_g, (solved.distance_m * DEFAULT_CO2E_G_PER_KM + 500) / 1_000);
}

#[test]
fn large_vans_are_used_where_small_ones_are_cheaper_to_open_and_dearer_in_all() {
    let of = |small: usize, large: usize| {
        scattered_for(250, 5, |total| {
            let van = |id: String, capacity: i64, fixed_cost: i64| {
                let van = Vehicle::new(id, 0).carrying(&[capacity]);
                Vehicle { fixed_cost, cost_per_km: 100, ..van }
            };
            let small = (0..small).map(|i| van(format!("small {i}"), total / 80, FIXED_SMALL));
            small.chain((0..large).map(|i| van(format!("large {i}"), total / 12, 4 * FIXED_SMALL))).collect()
        })
    };
    // What large vans alone can do, both can.
    let (both, large) = (solve(&of(120, 20), 3_000), solve(&of(0, 20), 3_000));
    println!(
        "250 stops: vans of two sizes {}, large ones alone {}, small ones alone {}",
        both.cost,
        large.cost,
        solve(&of(120, 0), 3_000).cost
    );
    assert!(both.unassigned.is_empty() && large.unassigned.is_empty());
    assert!(both.cost * 100 < large.cost * 103, "{} {}", both.cost, large.cost);
}

#[test]
fn seven_stops_get_the_cheapest_of_all_mixtures_of_vans() {
    for seed in 0..12 {
        let problem = scattered_for(7, seed, |total| {
            let van = |(i, share): (i64, i64)| {
                let van = Vehicle::new(i.to_string(), 0).carrying(&[total / share + 5]);
                Vehicle { fixed_cost: 3_000 + 9_000 / share, cost_per_km: 140 - 20 * share, ..van }
            };
            [1, 2, 2, 4, 4, 4].into_iter().enumerate().map(|(i, share)| van((i as i64, share))).collect()
        });
        let plan = solve(&problem, 20_000);
        let (left_out, least) = exhaustive(&problem);
        assert_eq!((plan.unassigned.len(), left_out), (0, 0));
        assert!((plan.cost as f64 - least).abs() < 2.0, "seed {seed}: {} instead of {least}", plan.cost);
    }
}

#[test]
fn the_nearest_neighbour_plan_does_not_wait_for_a_near_stop_while_others_are_open() {
    // The stop next door opens late: going there first would leave no time for the two beyond it.
    let places = [0.0, 0.01, 0.05, 0.06].map(|east| Place { lat: 0.0, lon: east }).to_vec();
    let windows = [(30_000, 40_000), (0, 20_000), (0, 20_000)];
    let stops = windows
        .iter()
        .enumerate()
        .map(|(i, &(opens, closes))| Stop::new(format!("s{i}"), i + 1).between(opens, closes).taking(60));
    let vans = (0..3).map(|i| Vehicle::new(format!("v{i}"), 0).working(0, 50_000)).collect();
    let problem = Problem::new(stops.collect(), vans, Travel::GreatCircle { places, speed_kmh: 30.0 })
        .expect("the problem is well formed");
    let plan = nearest_neighbour(&problem);
    assert_eq!((plan.routes.len(), plan.unassigned.len()), (1, 0));
    let visited: Vec<usize> = plan.routes[0].visits.iter().map(|visit| visit.stop).collect();
    assert_eq!(visited, [1, 2, 0]);
}

#[test]
fn maps_hold_every_route_and_stop() {
    let problem = scattered(30, 3, 2);
    let plan = solve(&problem, 100);
    let features = map::geojson(&problem, &plan).expect("places are known")["features"].as_array().map_or(0, Vec::len);
    assert_eq!(features, plan.routes.len() + 30);
    let drawing = map::svg(&problem, &plan).expect("places are known");
    assert_eq!(drawing.matches("<polyline").count(), plan.routes.len());
    if let Ok(file) = std::env::var("DHOW_ROUTES_SVG") {
        std::fs::write(file, drawing).expect("the drawing can be written");
    }
}

#[test]
fn a_map_is_cut_off_where_most_stops_are_and_a_small_one_beside_it_has_the_far_stop() {
    let crowd = (0..40).map(|i| Place { lat: 6.5 + 0.01 * f64::from(i % 7), lon: 3.3 + 0.01 * f64::from(i % 6) });
    let drawn = |far: Place| {
        let places: Vec<Place> = crowd.clone().chain([far]).collect();
        let stops = (1..places.len()).map(|place| Stop::new(format!("s{place}"), place)).collect();
        let problem =
            Problem::new(stops, vec![Vehicle::new("van", 0)], Travel::GreatCircle { places, speed_kmh: 40.0 })
                .expect("the problem is well formed");
        map::svg(&problem, &nearest_neighbour(&problem)).expect("places are known")
    };
    let x_of = |drawing: &str, circle: usize| {
        let text = drawing.split("<circle cx=\"").nth(circle + 1).and_then(|rest| rest.split('"').next());
        text.and_then(|text| text.parse::<f64>().ok()).expect("a circle has its place")
    };
    let spread = |drawing: &str| {
        let xs: Vec<f64> = (0..39).map(|circle| x_of(drawing, circle)).collect();
        xs.iter().copied().fold(f64::MIN, f64::max) - xs.iter().copied().fold(f64::MAX, f64::min)
    };
    let (near, far) = (drawn(Place { lat: 6.56, lon: 3.36 }), drawn(Place { lat: 8.5, lon: 4.5 }));
    assert_eq!((near.matches("<polyline").count(), near.matches("<circle").count()), (1, 40));
    assert_eq!((far.matches("<polyline").count(), far.matches("<circle").count()), (2, 80));
    assert!(far.contains("clip-path"));
    // The crowd is drawn about as large as if there were no far stop; by one scale for all it would have 20 pixels.
    assert!(spread(&far) > 300.0 && spread(&near) > 300.0, "{} and {}", spread(&far), spread(&near));
    // The far stop is outside the map and inside the small one.
    assert!(x_of(&far, 39) > 720.0 && (720.0..980.0).contains(&x_of(&far, 79)));
}

/// Solomon's text format; coordinates and times are multiplied by 1,000 so that integers keep three decimals.
fn solomon(text: &str) -> Problem {
    let numbers = |line: &str| line.split_whitespace().map(str::parse::<i64>).collect::<Result<Vec<_>, _>>().ok();
    let rows: Vec<Vec<i64>> = text.lines().filter_map(numbers).filter(|row| !row.is_empty()).collect();
    let (fleet, customers) = (&rows[0], &rows[1..]);
    let far = |a: &[i64], b: &[i64]| (((a[1] - b[1]) as f64).hypot((a[2] - b[2]) as f64) * 1_000.0).round() as i64;
    let matrix: Vec<Vec<i64>> = customers.iter().map(|a| customers.iter().map(|b| far(a, b)).collect()).collect();
    let stop = |row: &Vec<i64>| {
        let stop = Stop::new(row[0].to_string(), row[0] as usize).delivering(&row[3..4]);
        stop.between(row[4] * 1_000, row[5] * 1_000).taking(row[6] * 1_000)
    };
    let stops = customers[1..].iter().map(stop).collect();
    let vehicle = |i: i64| Vehicle::new(i.to_string(), 0).carrying(&fleet[1..2]).working(0, customers[0][5] * 1_000);
    let travel = Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places: Vec::new() };
    Problem::new(stops, (0..fleet[0]).map(vehicle).collect(), travel).expect("the instance is well formed")
}

#[test]
fn solomon_instances_come_near_the_best_known_distance() {
    let folder = std::env::var("DHOW_DATA_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_string());
    for (name, best, most_gap) in [("C101", 828.94, 0.02), ("R101", 1642.88, 0.02), ("RC208", 779.31, 0.04)] {
        let Ok(text) = std::fs::read_to_string(format!("{folder}/routes/solomon/{name}.txt")) else {
            println!("SKIPPED: solomon_instances_come_near_the_best_known_distance: data folder absent");
            return;
        };
        let problem = solomon(&text);
        let plan = solve(&problem, 300_000);
        assert_eq!(check(&problem, &plan), vec![]);
        assert!(plan.unassigned.is_empty());
        let gap = plan.distance_m as f64 / 1_000.0 / best - 1.0;
        println!("{name}: {:.2} against {best}, gap {:.2} %", plan.distance_m as f64 / 1_000.0, gap * 100.0);
        assert!(gap <= most_gap, "{name}: gap {gap}");
    }
}

#[test]
fn what_a_plan_saves_counts_the_same_stops_on_both_sides() {
    // Ten apart on a line from the depot: 1 is near, 2 far.
    let line = |a: i64, b: i64| 10_000 * (a - b).abs();
    let matrix: Vec<Vec<i64>> = (0..3).map(|a| (0..3).map(|b| line(a, b)).collect()).collect();
    let travel = Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places: Vec::new() };
    let prized = |stop: Stop| Stop { prize: Some(1_000_000), ..stop };
    let stops = vec![prized(Stop::new("near", 1)), prized(Stop::new("far", 2))];
    let problem = Problem::new(stops, vec![Vehicle::new("a", 0), Vehicle::new("b", 0)], travel).expect("well formed");
    let plan = |a: &[usize], b: &[usize]| {
        let steps = |stops: &[usize]| stops.iter().map(|&stop| Step::Stop(stop)).collect::<Vec<_>>();
        plan_of(&problem, &[steps(a), steps(b)])
    };
    let (both, apart, near) = (plan(&[0, 1], &[]), plan(&[0], &[1]), plan(&[0], &[]));
    let share = |plan: &Plan, other: &Plan| saved_share(&problem, plan, other);
    assert_eq!(share(&both, &apart), Some(1.0 - 40_000.0 / 60_000.0));
    // The shorter plan serves less: on what both serve they are equal.
    assert_eq!((share(&near, &both), share(&both, &near)), (Some(0.0), Some(0.0)));
    assert_eq!(share(&near, &plan(&[], &[1])), None);
}
