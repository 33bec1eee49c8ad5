//! The search engine: annealed ruin and recreate on a struct-of-arrays copy of the problem, and crossings of the plans that it finds; it leaves the plan's times to others.

mod anneal;
mod clock;
mod construct;
mod departures;
mod ensemble;
mod fleet;
mod genetic;
mod instance;
mod metric;
mod neighbours;
mod pairs;
mod parts;
mod random;
mod recreate;
mod route;
mod ruin;
mod state;
mod traffic;
mod trips;
mod vehicles;
mod watch;

use crate::general::Stability;
use crate::plan::Step;
use crate::problem::Problem;
use anneal::{Course, anneal};
use ensemble::anneal_and_cross;
use genetic::Genetic;
use instance::Instance;
pub(crate) use parts::divides;
use random::Random;
use recreate::Recreate;
use state::{ABSENT, State};
pub(crate) use watch::{Tell, Watcher};

/// Where a search begins.
pub(crate) struct Begin<'b> {
    /// Per vehicle, its stops and reloads; a search without any makes a first plan of its own.
    pub(crate) orders: &'b [Vec<Step>],
    /// What a change of vehicles costs; none: nothing.
    pub(crate) stability: Option<&'b Stability>,
}

/// Searches for the best orders of stops and reloads, one per vehicle, on so many threads where the problem `divides`. `progress` says, given the steps done, what share of the work is
/// done; the search ends at 1. The watcher is told better plans.
pub(crate) fn search(
    problem: &Problem,
    seed: u64,
    begin: &Begin,
    progress: &dyn Fn(u64) -> f64,
    watcher: &mut Watcher,
    threads: usize,
) -> Vec<Vec<Step>> {
    let places = instance::places(problem);
    let instance = Instance::new(problem, &places);
    let mut state = State::empty(&instance);
    let mut random = Random::new(seed);
    let live = begin.orders.iter().any(|order| !order.is_empty());
    begin_with(&mut state, begin);
    match Genetic::of(&instance).filter(|_| !live) {
        Some(genetic) => genetic.run(&mut state, &mut random, progress, watcher, threads),
        None if !live => anneal_and_cross(&mut state, &mut random, progress, watcher, threads),
        None => {
            let course = Course { progress, end: &|_| 1.0, visit: &mut |_, _| (), watcher, threads };
            anneal(&mut state, &mut random, course);
        }
    }
    // A step may have passed over a place that is free.
    let served = state.best.orders.iter().flatten().filter(|&&node| instance.is_stop(node)).count();
    if served < instance.stops {
        state.return_to_best();
        Recreate::default().fill(&mut state);
        state.keep_if_best();
    }
    orders(&instance, &state)
}

/// Lays the routes that the search begins with.
fn begin_with(state: &mut State, begin: &Begin) {
    let instance = state.instance;
    let vehicles: Vec<usize> = instance.classes.iter().flat_map(|class| class.vehicles.iter().copied()).collect();
    if let Some(stability) = begin.stability {
        let mut route_of = vec![ABSENT; vehicles.len()];
        vehicles.iter().enumerate().for_each(|(route, &vehicle)| route_of[vehicle] = route as u32);
        let homes = stability.vehicle_of.iter().map(|vehicle| vehicle.map_or(ABSENT, |vehicle| route_of[vehicle]));
        state.keep_homes(homes.collect(), instance.scaled(stability.price));
    }
    let order = |&vehicle: &usize| begin.orders[vehicle].iter().filter_map(|&step| instance.node(step)).collect();
    state.take(&vehicles.iter().map(order).collect::<Vec<Vec<u32>>>());
}

/// The best plan's orders by the problem's vehicles.
fn orders(instance: &Instance, state: &State) -> Vec<Vec<Step>> {
    let vehicles = instance.classes.iter().flat_map(|class| &class.vehicles);
    let mut orders = vec![Vec::new(); state.routes.len()];
    for (&vehicle, order) in vehicles.zip(&state.best.orders) {
        orders[vehicle] = order.iter().filter_map(|&node| instance.step(node)).collect();
    }
    orders
}
