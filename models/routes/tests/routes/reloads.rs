//! Vans that come back for more: every plan against the independent checker, what is left out and what it costs against enumeration
//! of all orders and reloads.

use super::*;
use dhow_routes::{Parts, Reload, Step};

/// One stop: amount brought, amount taken, opening, width of the window, service, release, prize, and kind.
type Row = (i64, i64, i64, i64, i64, i64, i64, u8);

/// Problems whose vans may reload at one or two of three depots. By draws, stops take as well as bring, are released late, or have
/// a prize; vans have limits and prices of time. The matrices break the triangle inequality.
fn any_reload_problem(stops: std::ops::Range<usize>) -> impl Strategy<Value = Problem> {
    stops.prop_flat_map(|stops| {
        let size = stops + 3;
        let matrix = move || prop::collection::vec(prop::collection::vec(10..600i64, size), size);
        let row = (0..4i64, 0..4i64, 0..3_000i64, 100..4_000i64, 0..100i64, 0..2_500i64, 0..3_000i64, 0..8u8);
        (matrix(), matrix(), prop::collection::vec(row, stops), 0..8u8, prop::collection::vec((0..64u8, 0..9i64), 1..4))
            .prop_map(|(distances_m, durations_s, rows, kinds, vans)| {
                let stops = rows.into_iter().enumerate().map(|(index, row)| stop(index, row, kinds)).collect();
                let vehicles = vans.into_iter().enumerate().map(|(index, van_of)| van(index, van_of)).collect();
                let profiles = vec![Travel::Matrices { distances_m, durations_s, places: Vec::new() }];
                let parts = Parts { stops, shipments: Vec::new(), vehicles, profiles };
                Problem::from_parts(parts).expect("the generator keeps the ranges")
            })
    })
}

fn stop(index: usize, (brought, taken, opens, width, service, release, prize, kind): Row, kinds: u8) -> Stop {
    let taken = if kinds & 1 == 1 { taken } else { 0 };
    let stop = Stop::new(format!("s{index}"), index + 3).delivering(&[brought, kind.into()]).picking_up(&[taken, 0]);
    Stop {
        release_s: if kinds & 2 == 2 { release } else { 0 },
        prize: (kinds & 4 == 4 && kind == 0).then_some(prize),
        ..stop.between(opens, opens + width).taking(service)
    }
}

fn van(index: usize, (draws, amount): (u8, i64)) -> Vehicle {
    let has = |bit: u8| draws >> bit & 1 == 1;
    let depots = if has(0) { vec![0, 2] } else { vec![0] };
    Vehicle {
        start: (!has(1) || has(2)).then_some(0),
        end: (!has(2) || has(1)).then_some(1),
        reload: (draws != 0).then(|| Reload {
            locations: depots,
            most: 1 + amount as usize % 3,
            service_s: 30 * amount,
        }),
        cost_per_duty_hour: if has(3) { 900 } else { 0 },
        max_duration_s: has(4).then_some(5_000),
        max_distance_m: (has(5) && has(3)).then_some(3_000),
        max_stops: has(5).then_some(6),
        fixed_cost: 50 * amount,
        ..Vehicle::new(format!("v{index}"), 0).carrying(&[4 + amount, 12]).working(100, 7_000)
    }
}

fn steps(problem: &Problem, plan: &Plan) -> Vec<Vec<Step>> {
    let mut steps = vec![Vec::new(); problem.vehicles().len()];
    plan.routes.iter().for_each(|route| steps[route.vehicle] = route.steps());
    steps
}

/// Every way to put the stop on the vehicle's steps, alone or with a reload beside it; but no reload right after another, or
/// behind the last stop: those help only where a detour is shorter than the direct way.
fn ways(problem: &Problem, vehicle: usize, now: &[Step], stop: usize) -> Vec<Vec<Step>> {
    let depots = problem.vehicles()[vehicle].reload.iter().flat_map(|reload| &reload.locations);
    let (stop, reloads) = (Step::Stop(stop), depots.map(|&depot| Step::Reload(depot)));
    let mut new = vec![vec![stop]];
    reloads.for_each(|reload| new.extend([vec![stop, reload], vec![reload, stop]]));
    let put = |at: usize, new: &Vec<Step>| [&now[..at], new, &now[at..]].concat();
    let all = (0..=now.len()).flat_map(|at| new.iter().map(move |new| put(at, new)).collect::<Vec<_>>());
    all.filter(|steps| !steps.windows(2).any(|pair| pair.iter().all(is_reload)) && !steps.last().is_some_and(is_reload))
        .collect()
}

fn is_reload(step: &Step) -> bool {
    matches!(step, Step::Reload(_))
}

/// What the vehicle's steps cost, or none when they break a rule; the stops that they leave out are of no concern.
fn cost_of(problem: &Problem, vehicle: usize, steps: Vec<Step>) -> Option<i64> {
    let mut all = vec![Vec::new(); problem.vehicles().len()];
    all[vehicle] = steps;
    let plan = plan_of(problem, &all);
    check(problem, &plan).is_empty().then(|| plan.routes.first().map_or(0, |route| route.cost))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_with_reloads_keep_every_rule_repeat_and_leave_out_only_what_fits_nowhere(problem in any_reload_problem(2..22)) {
        let plan = solve(&problem, 400);
        prop_assert_eq!(check(&problem, &plan), vec![]);
        prop_assert_eq!(&solve(&problem, 400), &plan);
        let steps = steps(&problem, &plan);
        for left in plan.unassigned.iter().filter(|left| problem.stops()[left.stop].prize.is_none()) {
            for (vehicle, now) in steps.iter().enumerate() {
                for way in ways(&problem, vehicle, now, left.stop) {
                    prop_assert!(cost_of(&problem, vehicle, way.clone()).is_none(), "{left:?} fits vehicle {vehicle}: {way:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_crossed_from_others_keep_their_reloads_right(problem in any_reload_problem(3..8)) {
        // So many steps a stop that plans are crossed.
        let plan = solve(&problem, 60_000);
        prop_assert_eq!(check(&problem, &plan), vec![]);
    }
}

/// Stops in the plane, two vans, and for each set of stops the least cost of serving them, by enumeration.
fn tiny(seed: u64) -> Problem {
    let mut state = seed;
    let mut below = |bound: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64) % bound
    };
    let mut points = vec![[50.0, 50.0], [20.0, 70.0]];
    points.extend((0..5).map(|_| [below(100) as f64, below(100) as f64]));
    let stop = |index: usize| {
        let opens = below(150);
        let stop = Stop::new(index.to_string(), index + 2).delivering(&[2 + below(3)]).taking(5);
        Stop { release_s: below(150), ..stop.between(opens, opens + 200 + below(300)) }
    };
    let stops = (0..5).map(stop).collect();
    let van = |index: usize| Vehicle {
        reload: Some(Reload { locations: if index == 0 { vec![0, 1] } else { vec![0] }, most: 2, service_s: 10 }),
        cost_per_duty_hour: if seed.is_multiple_of(3) { 3_600 } else { 0 },
        ..Vehicle::new(index.to_string(), 0).carrying(&[6]).working(0, 700)
    };
    let vehicles = (0..2).map(van).collect();
    let profiles = vec![Travel::Planar { points, rounding: dhow_routes::Rounding::Nearest }];
    Problem::from_parts(Parts { stops, shipments: Vec::new(), vehicles, profiles }).expect("well formed")
}

/// Fewest stops left out, then least cost.
fn best_of_all(problem: &Problem) -> (usize, i64) {
    let stops = problem.stops().len();
    let mut best: Vec<Option<i64>> = vec![None; 1 << stops];
    best[0] = Some(0);
    for vehicle in 0..problem.vehicles().len() {
        let mut alone: Vec<Option<i64>> = vec![None; 1 << stops];
        lengthen(problem, vehicle, &mut Vec::new(), 0, &mut alone);
        let before = best.clone();
        for (served, cost) in before.iter().enumerate().filter_map(|(set, cost)| Some((set, (*cost)?))) {
            for (set, more) in alone.iter().enumerate().filter_map(|(set, more)| Some((set, (*more)?))) {
                let union = &mut best[served | set];
                if served & set == 0 && union.is_none_or(|least| cost + more < least) {
                    *union = Some(cost + more);
                }
            }
        }
    }
    let reached = best.iter().enumerate().filter_map(|(set, cost)| Some((stops - set.count_ones() as usize, (*cost)?)));
    reached.min().expect("serving nothing is always possible")
}

fn lengthen(problem: &Problem, vehicle: usize, now: &mut Vec<Step>, set: usize, least: &mut [Option<i64>]) {
    if let Some(cost) = cost_of(problem, vehicle, now.clone()) {
        least[set] = Some(least[set].map_or(cost, |known| known.min(cost)));
    }
    let reload = problem.vehicles()[vehicle].reload.as_ref().expect("every van reloads");
    let reloads = now.iter().filter(|step| matches!(step, Step::Reload(_))).count();
    let again = if now.is_empty() || reloads == reload.most { &[][..] } else { &reload.locations };
    for stop in (0..problem.stops().len()).filter(|stop| set >> stop & 1 == 0) {
        for reload in std::iter::once(None).chain(again.iter().map(Some)) {
            let length = now.len();
            now.extend(reload.map(|&depot| Step::Reload(depot)));
            now.push(Step::Stop(stop));
            lengthen(problem, vehicle, now, set | 1 << stop, least);
            now.truncate(length);
        }
    }
}

#[test]
fn five_stops_on_two_vans_that_reload_are_planned_as_enumeration_plans_them() {
    let mut reloads = 0;
    for seed in 1..13 {
        let problem = tiny(seed);
        let plan = solve(&problem, 3_000);
        assert_eq!(check(&problem, &plan), vec![]);
        assert_eq!((plan.unassigned.len(), plan.cost), best_of_all(&problem), "seed {seed}");
        reloads += plan.routes.iter().map(|route| route.pauses.len()).sum::<usize>();
    }
    assert!(reloads > 5, "the vans hardly reload");
}
