//! The search engine: annealed ruin and recreate on a struct-of-arrays copy of the problem; it leaves the plan's times to others.

mod anneal;
mod construct;
mod fleet;
mod instance;
mod metric;
mod neighbours;
mod pairs;
mod random;
mod recreate;
mod route;
mod ruin;
mod state;

use crate::problem::Problem;
use instance::Instance;
use random::Random;
use state::State;

/// Searches for the best orders of stops, one per vehicle. `progress` says, given the steps done, what share of the work is
/// done; the search ends at 1.
pub(crate) fn search(problem: &Problem, seed: u64, progress: &dyn Fn(u64) -> f64) -> Vec<Vec<usize>> {
    let places = instance::places(problem);
    let instance = Instance::new(problem, &places);
    let mut state = State::empty(&instance);
    let mut random = Random::new(seed);
    anneal::anneal(&mut state, &mut random, progress);
    orders(&instance, &state)
}

/// The best plan's orders by the problem's vehicles.
fn orders(instance: &Instance, state: &State) -> Vec<Vec<usize>> {
    let vehicles = instance.classes.iter().flat_map(|class| &class.vehicles);
    let mut orders = vec![Vec::new(); state.routes.len()];
    for (&vehicle, order) in vehicles.zip(&state.best.orders) {
        orders[vehicle] = order.iter().map(|&stop| stop as usize).collect();
    }
    orders
}
