//! The `Solver` trait and the choice of the engine behind it: the core search, or the general engine for rarer rules; it reads no
//! clock.

use crate::general::{self, Stability, Tours};
use crate::plan::{Plan, Step};
use crate::problem::{Feature, Problem};
use crate::schedule::plan_of;
use crate::search::{Begin, Tell, Watcher, divides, search};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Most ruin-and-recreate steps of one call.
pub const MAX_ITERATIONS: u64 = 100_000_000_000;

/// How much work a solver may do. Equal problem and budget give an equal plan unless `stop` cuts the work short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Ruin-and-recreate steps, at most `MAX_ITERATIONS`; a plan made by crossover counts as one for each stop. Zero leaves
    /// little more than the first plan.
    pub iterations: u64,
    /// Seed of all random choices.
    pub seed: u64,
}

impl Default for Budget {
    /// 5,000 steps, seed 0: some ten milliseconds of one core; good plans take a thousand steps a stop and more.
    fn default() -> Budget {
        Budget { iterations: 5_000, seed: 0 }
    }
}

/// Why a solver gives no plan. A plan that serves no stop is not an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// More iterations than `MAX_ITERATIONS`.
    #[error("/budget/iterations: {iterations} iterations; at most {MAX_ITERATIONS} are allowed")]
    BudgetTooLarge {
        /// Iterations asked for.
        iterations: u64,
    },
}

/// An engine that plans routes.
pub trait Solver {
    /// Plans. `progress` is asked often (at least once per few milliseconds of work after construction) and says what share
    /// of the caller's time is over, from 0 to 1: the search cools down by it, or by the iterations done where that is more.
    /// At 1 the best plan so far is returned.
    ///
    /// # Errors
    /// When the budget is out of range.
    fn solve_paced(&self, problem: &Problem, budget: &Budget, progress: &dyn Fn() -> f64) -> Result<Plan, SolveError>;

    /// The same, while `watch` is shown better plans as they are found, about fifty of them at most. An engine may show none.
    ///
    /// # Errors
    /// When the budget is out of range.
    fn solve_watched(
        &self,
        problem: &Problem,
        budget: &Budget,
        progress: &dyn Fn() -> f64,
        watch: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, SolveError> {
        let _ = watch;
        self.solve_paced(problem, budget, progress)
    }

    /// Plans until the iterations are done or `stop`, asked as often, says true; then the best plan so far is returned. A
    /// caller who knows when it will stop gets a better plan from `solve_paced`.
    ///
    /// # Errors
    /// When the budget is out of range.
    fn solve(&self, problem: &Problem, budget: &Budget, stop: &dyn Fn() -> bool) -> Result<Plan, SolveError> {
        self.solve_paced(problem, budget, &|| if stop() { 1.0 } else { 0.0 })
    }
}

/// Annealed ruin and recreate.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalSearchSolver;

impl Solver for LocalSearchSolver {
    fn solve_paced(&self, problem: &Problem, budget: &Budget, progress: &dyn Fn() -> f64) -> Result<Plan, SolveError> {
        solve_from(Tours::new(problem, None), None, budget, progress, None, ONE_THREAD)
    }

    fn solve_watched(
        &self,
        problem: &Problem,
        budget: &Budget,
        progress: &dyn Fn() -> f64,
        watch: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, SolveError> {
        solve_from(Tours::new(problem, None), None, budget, progress, Some(watch), ONE_THREAD)
    }
}

/// What the core search honours beyond capacities, one window, skills and limits; problems with other features are planned by
/// the general engine.
const HONOURED: &[Feature] = &[
    Feature::NamedVehicles,
    Feature::Prizes,
    Feature::Backhauls,
    Feature::Profiles,
    Feature::ReleaseTimes,
    Feature::Reloads,
    Feature::Shipments,
    Feature::SpeedFactor,
    Feature::Traffic,
];

/// What it honours only where no vehicle reloads.
const NOT_BESIDE_RELOADS: &[Feature] =
    &[Feature::Backhauls, Feature::Shipments, Feature::SpeedFactor, Feature::Traffic];

/// What is not said to run on several threads.
pub(crate) const ONE_THREAD: NonZeroUsize = NonZeroUsize::MIN;

/// True when several threads search parts of one plan; else each is of use with a plan of its own.
pub(crate) fn shares_threads(problem: &Problem, threads: NonZeroUsize) -> bool {
    divides(problem, threads.get()) && is_for_the_core(problem)
}

/// True when the core search honours all that the problem asks for.
fn is_for_the_core(problem: &Problem) -> bool {
    let features = problem.features();
    let has_reloads = features.contains(&Feature::Reloads);
    features.iter().all(|feature| HONOURED.contains(feature) && !(has_reloads && NOT_BESIDE_RELOADS.contains(feature)))
}

/// Plans beginning with these tours, on so many threads where they can share the work; a change of vehicles has its price where
/// that is given.
///
/// # Errors
/// When the budget is out of range.
pub(crate) fn solve_from(
    tours: Tours,
    stability: Option<Stability>,
    budget: &Budget,
    progress: &dyn Fn() -> f64,
    watch: Option<&mut dyn FnMut(&Plan)>,
    threads: NonZeroUsize,
) -> Result<Plan, SolveError> {
    if budget.iterations > MAX_ITERATIONS {
        return Err(SolveError::BudgetTooLarge { iterations: budget.iterations });
    }
    let problem = tours.problem;
    if !is_for_the_core(problem) {
        let tours = match stability {
            Some(stability) => tours.kept_stable(stability),
            None => tours,
        };
        return Ok(general::solve(tours, budget, &|| progress() >= 1.0, watch));
    }
    let share = |steps: u64| progress().max(steps as f64 / budget.iterations.max(1) as f64);
    let begin = Begin { orders: tours.steps(), stability: stability.as_ref() };
    let mut tell = watch.map(|watch| move |orders: &[Vec<Step>]| watch(&plan_of(problem, orders)));
    let mut watcher = Watcher::new(tell.as_mut().map(|tell| tell as &mut Tell));
    Ok(plan_of(problem, &search(problem, budget.seed, &begin, &share, &mut watcher, threads.get())))
}
