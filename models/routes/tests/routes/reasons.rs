//! Reasons can be checked: what is said to be missing is missing, and with the change that is proposed the stop is served.

use super::*;

fn small(stops: Vec<Stop>, van: Vehicle) -> Problem {
    let places = vec![Place { lat: 0.0, lon: 0.0 }, Place { lat: 0.0, lon: 0.1 }, Place { lat: 0.0, lon: 0.2 }];
    Problem::new(stops, vec![van], Travel::GreatCircle { places, speed_kmh: 36.0 }).expect("the problem is well formed")
}

fn van() -> Vehicle {
    Vehicle::new("van", 0).carrying(&[10])
}

#[test]
fn the_proposed_change_of_each_kind_gets_the_stop_served_when_planned_again() {
    // Leg 0-1 and 1-2 are 11,119 m and 1,112 s each.
    let cases: [(Stop, Vehicle, Rule, i64); 7] = [
        (Stop { skills: vec![4], ..Stop::new("b", 2) }, van(), Rule::Skills, 1),
        (Stop::new("b", 2).delivering(&[13]), van(), Rule::Capacity, 3),
        (Stop::new("b", 2).between(0, 2_000), van(), Rule::Window, 224),
        (Stop::new("b", 2), van().working(0, 4_000), Rule::Shift, 448),
        (Stop::new("b", 2), Vehicle { max_distance_m: Some(40_000), ..van() }, Rule::Distance, 4_478),
        (Stop::new("b", 2), Vehicle { max_travel_s: Some(4_000), ..van() }, Rule::Travel, 448),
        (Stop::new("b", 2).taking(600), Vehicle { max_duration_s: Some(5_000), ..van() }, Rule::Duration, 48),
    ];
    for (stop, van, rule, missing) in cases {
        let problem = small(vec![stop], van);
        let plan = solve(&problem, 20);
        let explanations = explain(&problem, &plan);
        let [explanation] = explanations.as_slice() else { panic!("{rule:?}: {explanations:?}") };
        let broken: Vec<(Rule, i64)> = explanation.broken.iter().map(|broken| (broken.rule, broken.missing)).collect();
        assert_eq!(broken, [(rule, missing)]);
        assert_ne!(explanation.reason, UnassignedReason::NoRoomLeft);
        let relaxed = relaxed(&problem, &explanation.relaxation).expect("the change keeps the ranges");
        let again = solve(&relaxed, 20);
        assert_eq!(check(&relaxed, &again), vec![]);
        assert!(again.unassigned.is_empty(), "{rule:?}: {}", explanation.relaxation[0].words(&problem));
    }
}

#[test]
fn a_stop_traded_off_for_another_says_so_and_the_smaller_change_is_proposed() {
    let full = Stop { priority: 5, ..Stop::new("a", 1).delivering(&[8]) };
    let problem = small(vec![full, Stop::new("b", 2).delivering(&[3])], Vehicle { max_stops: Some(1), ..van() });
    let plan = solve(&problem, 20);
    let explanations = explain(&problem, &plan);
    assert_eq!(explanations[0].reason, UnassignedReason::NoRoomLeft);
    let expected = [Relaxation::Capacity { vehicle: 0, by: vec![1] }, Relaxation::Stops { vehicle: 0, by: 1 }];
    assert_eq!(explanations[0].relaxation, expected);
    let relaxed = relaxed(&problem, &explanations[0].relaxation).expect("the change keeps the ranges");
    assert!(solve(&relaxed, 20).unassigned.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn with_the_proposed_change_the_proposed_place_breaks_no_rule(problem in any_problem(4..24), seed in 0..u64::MAX) {
        for problem in [problem, super::rich::rich(seed, 14, 2)] {
            let plan = solve(&problem, 20);
            for explanation in explain(&problem, &plan) {
                let Some(vehicle) = explanation.vehicle else { continue };
                let relaxed = relaxed(&problem, &explanation.relaxation).expect("the change keeps the ranges");
                let mut steps = vec![Vec::new(); problem.vehicles().len()];
                steps[vehicle] = explanation.steps.clone();
                // The other stops may well be left out: only this vehicle's route is looked at.
                let mut alone = plan_of(&relaxed, &steps);
                let violations = check(&relaxed, &alone);
                prop_assert_eq!(violations, vec![], "{:?}", explanation);
                prop_assert!(alone.routes.remove(0).visits.iter().any(|visit| visit.stop == explanation.stop));
            }
        }
    }
}
