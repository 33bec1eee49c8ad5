//! The `Solver` trait and the engine behind it: savings, descent, ruin and recreate, descent; it reads no clock.

use crate::construct::savings_orders;
use crate::general;
use crate::local_search::{descend, nearest_stops};
use crate::plan::{Plan, Step};
use crate::problem::{Feature, Problem};
use crate::ruin::anneal;
use crate::schedule::schedule;
use crate::working::Working;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Most ruin-and-recreate steps of one call.
pub const MAX_ITERATIONS: u64 = 100_000_000;
/// Features that the core search honours; the general engine plans problems with others.
const CORE_FEATURES: &[Feature] = &[Feature::NamedVehicles];
/// Nearest stops that are known of each stop.
const RUIN_NEIGHBOURS: usize = 200;

/// How much work a solver may do. Equal problem and budget give an equal plan unless `stop` cuts the work short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Ruin-and-recreate steps, at most `MAX_ITERATIONS`; zero leaves savings and local search alone.
    pub iterations: u64,
    /// Seed of all random choices.
    pub seed: u64,
}

impl Default for Budget {
    /// 5,000 steps, seed 0: under a second for 100 stops, several for 1,000 on one core.
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
    /// Plans. `stop` is asked often (at least once per few milliseconds of work after construction); when it says true the
    /// best plan so far is returned, so that the caller can impose a time limit or cancel.
    ///
    /// # Errors
    /// When the budget is out of range.
    fn solve(&self, problem: &Problem, budget: &Budget, stop: &dyn Fn() -> bool) -> Result<Plan, SolveError>;
}

/// Savings construction, local search, and ruin and recreate with simulated annealing on top.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalSearchSolver;

impl Solver for LocalSearchSolver {
    fn solve(&self, problem: &Problem, budget: &Budget, stop: &dyn Fn() -> bool) -> Result<Plan, SolveError> {
        solve_from(problem, None, budget, stop)
    }
}

/// Plans beginning with the steps of `start` where they are given and break no rule.
///
/// # Errors
/// When the budget is out of range.
pub(crate) fn solve_from(
    problem: &Problem,
    start: Option<&[Vec<Step>]>,
    budget: &Budget,
    stop: &dyn Fn() -> bool,
) -> Result<Plan, SolveError> {
    if budget.iterations > MAX_ITERATIONS {
        return Err(SolveError::BudgetTooLarge { iterations: budget.iterations });
    }
    if start.is_some() || problem.features().iter().any(|feature| !CORE_FEATURES.contains(feature)) {
        return Ok(general::solve(problem, start, budget, stop));
    }
    let nearest = nearest_stops(problem, RUIN_NEIGHBOURS);
    let mut working = Working::new(problem, savings_orders(problem));
    descend(&mut working, &nearest, stop);
    let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
    anneal(&mut working, &nearest, budget.iterations, &mut rng, stop);
    descend(&mut working, &nearest, stop);
    insert_what_still_fits(&mut working);
    Ok(schedule(problem, &working.orders()))
}

/// Nothing that fits as it stands is left out: blinks and descent may have made room since a stop was last tried.
fn insert_what_still_fits(working: &mut Working) {
    let mut left_out = working.left_out();
    left_out.sort_by_key(|&stop| u8::MAX - working.problem.stops()[stop].priority);
    working.insert_all(&left_out);
}
