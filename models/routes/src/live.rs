//! Plans that are under way: one more stop at its cheapest place, and better plans with few changes; it knows no clock, so what has
//! been driven already is the caller's to fix (prefixes, shifts, windows).

use crate::general::{Item, Stability, Tours, without_breaks};
use crate::plan::{Plan, Step};
use crate::problem::{COST_SCALE, MAX_FIXED_COST, Problem};
use crate::schedule::plan_of;
use crate::solver::{Budget, ONE_THREAD, SolveError, solve_from};

/// Where a stop goes in a live plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// Index of the vehicle that serves it.
    pub vehicle: usize,
    /// What that vehicle does then, without its breaks, which are put anew.
    pub steps: Vec<Step>,
    /// What the plan's routes cost more, in the problem's unit, rounded half up; the prize that is no longer lost is not in it.
    pub added_cost: i64,
    /// The whole plan then.
    pub plan: Plan,
}

/// Why nothing is inserted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// The problem has no such stop.
    #[error("stop {stop}: the problem has {stops} stops")]
    UnknownStop {
        /// The index given.
        stop: usize,
        /// How many there are.
        stops: usize,
    },
    /// The stop, its partner in a shipment or an alternative is served already.
    #[error("stop {stop}: the plan serves it already")]
    ServedAlready {
        /// The stop's index.
        stop: usize,
    },
    /// A route of the plan breaks a rule of the problem as it is now; [`reoptimise`] repairs such plans.
    #[error("/routes/{route}: the route of vehicle {vehicle} breaks a rule of the problem")]
    BrokenRoute {
        /// The route's index in the plan.
        route: usize,
        /// The vehicle's index.
        vehicle: usize,
    },
}

/// The cheapest place for a stop that the plan leaves out, when it fits anywhere; every route keeps its order. A stop of a shipment
/// brings its partner, one of alternatives stands for all of them. The plan's indices are the problem's: new stops are appended.
///
/// # Errors
/// When the stop is unknown or served, or the plan breaks a rule.
pub fn insert(problem: &Problem, plan: &Plan, stop: usize) -> Result<Option<Insertion>, LiveError> {
    if stop >= problem.stops().len() {
        return Err(LiveError::UnknownStop { stop, stops: problem.stops().len() });
    }
    let steps = steps_of(problem, plan);
    let tours = Tours::new(problem, Some(&steps));
    for (route, vehicle) in plan.routes.iter().map(|route| route.vehicle).enumerate() {
        if tours.steps()[vehicle] != without_breaks(&steps[vehicle]) {
            return Err(LiveError::BrokenRoute { route, vehicle });
        }
    }
    let item = item_of(problem, stop);
    if tours.loose(&[item]).is_empty() {
        return Err(LiveError::ServedAlready { stop });
    }
    Ok(tours.quote(item).map(|(vehicle, new_steps, added)| {
        let mut steps = steps;
        steps[vehicle].clone_from(&new_steps);
        let added_cost = (added + COST_SCALE / 2).div_euclid(COST_SCALE);
        Insertion { vehicle, steps: new_steps, added_cost, plan: plan_of(problem, &steps) }
    }))
}

/// What came of a change of plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reoptimised {
    /// The new plan.
    pub plan: Plan,
    /// Stops that another vehicle serves than before, or none, ascending.
    pub moved: Vec<usize>,
    /// What the moves cost: their number times the price of stability; it is no part of the plan's cost.
    pub price: i64,
}

/// Improves a plan under way: serves what it leaves out and what its broken routes can no longer serve, and changes a stop's
/// vehicle only where that saves more than `stability_price`, in the problem's unit. The plan's indices are the problem's: new
/// stops are appended. `progress` is that of [`crate::Solver::solve_paced`].
///
/// # Errors
/// When the budget is out of range.
pub fn reoptimise(
    problem: &Problem,
    plan: &Plan,
    stability_price: i64,
    budget: &Budget,
    progress: &dyn Fn() -> f64,
) -> Result<Reoptimised, SolveError> {
    let before = vehicles_of(problem, plan);
    let price = stability_price.clamp(0, MAX_FIXED_COST).saturating_mul(COST_SCALE);
    let stability = Stability { vehicle_of: before.clone(), price };
    let tours = Tours::new(problem, Some(&steps_of(problem, plan)));
    let new = solve_from(tours, Some(stability), budget, progress, None, ONE_THREAD)?;
    let after = vehicles_of(problem, &new);
    let moved: Vec<usize> = (0..before.len()).filter(|&s| before[s].is_some() && before[s] != after[s]).collect();
    Ok(Reoptimised { price: moved.len() as i64 * stability_price.clamp(0, MAX_FIXED_COST), plan: new, moved })
}

/// Per vehicle, what it does; routes of vehicles, and visits to stops, that are no longer there are left out.
fn steps_of(problem: &Problem, plan: &Plan) -> Vec<Vec<Step>> {
    let mut steps = vec![Vec::new(); problem.vehicles().len()];
    for route in plan.routes.iter().filter(|route| route.vehicle < problem.vehicles().len()) {
        steps[route.vehicle] = route.steps();
        steps[route.vehicle].retain(|step| !matches!(step, Step::Stop(stop) if *stop >= problem.stops().len()));
    }
    steps
}

/// Per stop of the problem, the vehicle that serves it.
fn vehicles_of(problem: &Problem, plan: &Plan) -> Vec<Option<usize>> {
    let mut vehicles = vec![None; problem.stops().len()];
    for route in &plan.routes {
        for visit in &route.visits {
            if let Some(vehicle) = vehicles.get_mut(visit.stop) {
                *vehicle = Some(route.vehicle);
            }
        }
    }
    vehicles
}

fn item_of(problem: &Problem, stop: usize) -> Item {
    match (problem.shipment_of(stop), problem.alternatives(stop).first()) {
        (Some(shipment), _) => Item::Shipment(shipment),
        (None, Some(&first)) => Item::OneOf(first),
        (None, None) => Item::Stop(stop),
    }
}
