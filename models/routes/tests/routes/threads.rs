//! Planning on several threads: parts of a large plan together keep every rule, plans repeat, and a small problem gets the best
//! of the threads' own plans; how much faster it is, benchmarks say.

use super::search::{Row, rich_problem};
use super::*;
use dhow_routes::ThreadedSolver;
use std::num::NonZeroUsize;

fn on_threads(problem: &Problem, threads: usize, budget: &Budget) -> Plan {
    let threads = NonZeroUsize::new(threads).expect("at least one");
    ThreadedSolver { threads }.solve(problem, budget, &never).expect("the budget is in range")
}

/// So many stops that two threads, and three, share one plan.
fn any_large_problem() -> impl Strategy<Value = Problem> {
    let row = (0.0..100.0f64, 0.0..100.0f64, 1..5i64, 0..300i64, 50..500i64, 0..200i64, 0..150i64, 0..4u8);
    let rows = prop::collection::vec(row, 750..800);
    (rows, 0..16u8).prop_map(|(rows, kinds): (Vec<Row>, u8)| rich_problem(rows, kinds))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_searched_at_once_make_plans_that_keep_all_rules_and_repeat(problem in any_large_problem(), threads in 2..4usize) {
        let budget = Budget { iterations: 60_000, seed: 7 };
        let plan = on_threads(&problem, threads, &budget);
        prop_assert_eq!(check(&problem, &plan), vec![]);
        prop_assert_eq!(&on_threads(&problem, threads, &budget), &plan);
        for left in &plan.unassigned {
            if let Some(partner) = problem.partner(left.stop) {
                prop_assert!(plan.unassigned.iter().any(|other| other.stop == partner), "half a shipment is left out");
            }
        }
    }
}

#[test]
fn parts_searched_at_once_come_as_far_as_the_whole_in_as_many_steps() {
    let budget = Budget { iterations: 300_000, seed: 7 };
    let costs = |threads: usize| -> i64 {
        (0..3).map(|seed| on_threads(&quality::scattered(1_000, 60, seed), threads, &budget).cost).sum()
    };
    let (whole, parts) = (costs(1), costs(2));
    assert!(parts < whole + whole / 100, "{parts} in parts, {whole} as a whole");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_small_problem_gets_the_best_of_the_plans_of_as_many_seeds(problem in any_problem(5..30), threads in 1..5usize) {
        let budget = |seed: u64| Budget { iterations: 200, seed };
        let missed = |plan: &Plan| -> i64 {
            let left = plan.unassigned.iter().map(|left| &problem.stops()[left.stop]).filter(|stop| stop.prize.is_none());
            left.map(|stop| 1 + i64::from(stop.priority)).sum()
        };
        let seeds = 3..3 + threads as u64;
        let plans = seeds.map(|seed| LocalSearchSolver.solve(&problem, &budget(seed), &never).expect("in range"));
        let best = plans.min_by_key(|plan| (missed(plan), plan.cost)).expect("there is one");
        prop_assert_eq!(on_threads(&problem, threads, &budget(3)), best);
    }
}
