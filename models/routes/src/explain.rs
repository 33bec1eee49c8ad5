//! Why a stop is left out, and what would let it in; it changes no plan.

use crate::plan::{Step, UnassignedReason};
use crate::problem::Problem;
use crate::schedule::with_breaks;
use crate::timeline::{Breach, evaluate};

/// The strongest reason that keeps a stop out.
pub(crate) fn reason(problem: &Problem, stop: usize) -> UnassignedReason {
    let steps = alone(problem, stop);
    let mut vehicles: Vec<usize> = (0..problem.vehicles().len()).filter(|&v| problem.class[v] == v).collect();
    vehicles
        .retain(|&vehicle| steps.iter().all(|step| !matches!(step, Step::Stop(s) if !problem.may_serve(vehicle, *s))));
    if vehicles.is_empty() {
        return UnassignedReason::NoVehicleWithSkills;
    }
    let breach_of = |vehicle: usize| {
        let mut all: Vec<Step> = problem.vehicles()[vehicle].prefix.iter().map(|&stop| Step::Stop(stop)).collect();
        all.extend(&steps);
        evaluate(problem, vehicle, &with_breaks(problem, vehicle, &all)).breach
    };
    let mut breaches: Vec<Breach> = vehicles.into_iter().map(breach_of).collect();
    let rules: [(fn(&Breach) -> bool, UnassignedReason); 3] = [
        (|breach| breach.load == 0, UnassignedReason::OverEveryCapacity),
        (|breach| breach.window_s + breach.shift_s == 0, UnassignedReason::WindowUnreachable),
        (
            |breach| breach.distance_m + breach.travel_s + breach.duration_s + breach.stops == 0,
            UnassignedReason::OverRouteLimits,
        ),
    ];
    for (is_kept, reason) in rules {
        breaches.retain(is_kept);
        if breaches.is_empty() {
            return reason;
        }
    }
    if problem.stops()[stop].prize.is_some() { UnassignedReason::PrizeTooLow } else { UnassignedReason::NoRoomLeft }
}

/// The steps that serve the stop and, when it belongs to a shipment, its partner.
fn alone(problem: &Problem, stop: usize) -> Vec<Step> {
    match problem.shipment_of(stop).map(|shipment| &problem.shipments()[shipment]) {
        Some(shipment) => vec![Step::Stop(shipment.pickup), Step::Stop(shipment.delivery)],
        None => vec![Step::Stop(stop)],
    }
}
