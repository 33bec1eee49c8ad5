//! Predicted arrivals hold what a planner reads into them: without deviations they are the plan, later stops are less sure.

use dhow_routes::*;

/// Four stops on a line, a minute apart and a minute of service each; the third opens at 1,000 seconds.
fn line() -> (Problem, Plan) {
    let matrix: Vec<Vec<i64>> = (0..5i64).map(|a| (0..5i64).map(|b| 60 * (a - b).abs()).collect()).collect();
    let stops = (1..5).map(|at| Stop::new(format!("s{at}"), at).taking(60));
    let mut stops: Vec<Stop> = stops.collect();
    stops[2] = stops[2].clone().between(1_000, 1_060);
    let travel = Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places: Vec::new() };
    let problem = Problem::new(stops, vec![Vehicle::new("van", 0)], travel).expect("a valid problem");
    let steps: Vec<Step> = (0..4).map(Step::Stop).collect();
    let plan = plan_of(&problem, &[steps]);
    (problem, plan)
}

#[test]
fn days_without_deviations_are_as_planned() {
    let (problem, plan) = line();
    let none = Deviations { day: 0.0, leg: 0.0, service: 0.0 };
    for (arrival, visit) in arrivals(&problem, &plan, &none, 1)[0].iter().zip(&plan.routes[0].visits) {
        assert_eq!((arrival.p10_s, arrival.p50_s, arrival.p90_s), (visit.arrival_s, visit.arrival_s, visit.arrival_s));
        assert_eq!((arrival.planned_s, arrival.on_time_share), (visit.arrival_s, 1.0));
    }
}

#[test]
fn quantiles_are_in_order_repeat_with_the_seed_and_waiting_takes_up_deviations() {
    let (problem, plan) = line();
    let found = arrivals(&problem, &plan, &Deviations::default(), 7);
    assert_eq!(found, arrivals(&problem, &plan, &Deviations::default(), 7));
    assert!(found[0].iter().all(|arrival| arrival.p10_s <= arrival.p50_s && arrival.p50_s <= arrival.p90_s));
    let spread = |index: usize| found[0][index].p90_s - found[0][index].p10_s;
    assert!(spread(1) > spread(0) && spread(2) > spread(1), "each stop adds to what is not sure: {found:?}");
    assert!(spread(3) < spread(2), "whoever waits for a window starts again from its opening: {found:?}");
}

#[test]
fn a_tight_window_is_missed_on_some_days() {
    let (problem, _) = line();
    let at_once = problem.changed(|stops, _| stops[3] = stops[3].clone().between(0, 430)).expect("a valid change");
    let at_once = at_once.changed(|stops, _| stops[2].windows.clear()).expect("a valid change");
    let steps: Vec<Step> = (0..4).map(Step::Stop).collect();
    let plan = plan_of(&at_once, &[steps]);
    let last = arrivals(&at_once, &plan, &Deviations::default(), 3)[0][3];
    assert!(last.planned_s <= 430 && last.on_time_share > 0.4 && last.on_time_share < 0.9, "{last:?}");
}
