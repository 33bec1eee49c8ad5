//! One problem on several threads: parts of one plan where it is large, else a plan from each thread's own seed, of which the
//! best is taken; how a part is searched stands elsewhere.

use crate::general::Tours;
use crate::plan::Plan;
use crate::problem::Problem;
use crate::solver::{Budget, ONE_THREAD, SolveError, Solver, shares_threads, solve_from};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long the caller's thread waits between two looks at the time when it has done its own share.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// Annealed ruin and recreate on several threads. With one it plans as [`crate::LocalSearchSolver`] does; equal problem, budget
/// and number of threads give an equal plan unless time cuts the work short.
#[derive(Debug, Clone, Copy)]
pub struct ThreadedSolver {
    /// How many, the caller's own among them.
    pub threads: NonZeroUsize,
}

impl Solver for ThreadedSolver {
    fn solve_paced(&self, problem: &Problem, budget: &Budget, progress: &dyn Fn() -> f64) -> Result<Plan, SolveError> {
        let solve = |budget: &Budget, progress: &dyn Fn() -> f64, threads| {
            solve_from(Tours::new(problem, None), None, budget, progress, None, threads)
        };
        plan_on_threads(problem, self.threads, budget, progress, &solve)
    }
}

/// Plans with a budget, at a pace, on so many threads.
pub(crate) type Solve<'s> = dyn Fn(&Budget, &dyn Fn() -> f64, NonZeroUsize) -> Result<Plan, SolveError> + Sync + 's;

/// Lets all threads work on one plan where that can be, else each on its own from seeds counted up from the budget's; of equally
/// good plans the lowest seed's is taken. `progress` is asked by the caller's thread alone.
pub(crate) fn plan_on_threads(
    problem: &Problem,
    threads: NonZeroUsize,
    budget: &Budget,
    progress: &dyn Fn() -> f64,
    solve: &Solve,
) -> Result<Plan, SolveError> {
    if threads == ONE_THREAD || shares_threads(problem, threads) {
        return solve(budget, progress, threads);
    }
    let told = AtomicU64::new(0.0_f64.to_bits());
    let heard = || f64::from_bits(told.load(Ordering::Relaxed));
    let telling = || {
        let share = progress();
        told.store(share.to_bits(), Ordering::Relaxed);
        share
    };
    let seeded = |thread: usize| Budget { seed: budget.seed.wrapping_add(thread as u64), ..*budget };
    std::thread::scope(|scope| {
        let other = |thread: usize| scope.spawn(move || solve(&seeded(thread), &heard, ONE_THREAD));
        let others: Vec<_> = (1..threads.get()).map(other).collect();
        let mut best = solve(budget, &telling, ONE_THREAD)?;
        while others.iter().any(|other| !other.is_finished()) {
            telling();
            std::thread::sleep(BETWEEN_LOOKS);
        }
        for other in others {
            let plan = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            best = std::cmp::min_by_key(best, plan, |plan| (missed(problem, plan), plan.cost));
        }
        Ok(best)
    })
}

/// The weight of stops that have no price and are left out.
fn missed(problem: &Problem, plan: &Plan) -> i64 {
    plan.unassigned.iter().map(|left| problem.stops()[left.stop].weight()).sum()
}
