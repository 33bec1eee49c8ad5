//! Why a stop is left out: where it would fit best, what is missing there, and what would let it in; it changes no plan.

mod relax;

pub use relax::{Relaxation, relaxed};

use crate::plan::{PauseKind, Plan, Step, UnassignedReason};
use crate::problem::{COST_SCALE, Problem};
use crate::schedule::with_breaks;
use crate::timeline::{Breach, evaluate};
use serde::{Deserialize, Serialize};

/// What keeps a stop from its best place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Index into the problem's stops.
    pub stop: usize,
    /// The strongest reason. All but `no_room_left` and `prize_too_low` hold for the stop alone on an empty vehicle; these two
    /// say that it was traded off against others.
    pub reason: UnassignedReason,
    /// The vehicle where least is missing; none when every place breaks an order of stops.
    pub vehicle: Option<usize>,
    /// The steps of that vehicle with the stop at its best place, breaks left out.
    pub steps: Vec<Step>,
    /// Which rules are broken there, and by how much.
    pub broken: Vec<Broken>,
    /// The least change of the problem, as a share of the limits concerned, with which the place breaks no rule. Empty when the
    /// stop fits as it is or when no change of these kinds helps.
    pub relaxation: Vec<Relaxation>,
    /// What serving it there adds to the cost, in the problem's unit, lateness and overtime included.
    pub added_cost: i64,
}

/// A broken rule and what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The rule.
    pub rule: Rule,
    /// How much is missing, in the rule's unit.
    pub missing: i64,
}

/// A kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Stops that the vehicle may not serve.
    Skills,
    /// Amount in the fullest dimension.
    Capacity,
    /// Seconds after windows close, summed.
    Window,
    /// Seconds after the shift.
    Shift,
    /// Metres.
    Distance,
    /// Seconds of driving.
    Travel,
    /// Seconds of duty.
    Duration,
    /// Stops.
    Stops,
}

/// The rules of a breach, in the order of `Rule`.
fn broken(breach: &Breach) -> Vec<Broken> {
    let rules = [
        (Rule::Skills, breach.wrong_vehicle),
        (Rule::Capacity, breach.load),
        (Rule::Window, breach.window_s),
        (Rule::Shift, breach.shift_s),
        (Rule::Distance, breach.distance_m),
        (Rule::Travel, breach.travel_s),
        (Rule::Duration, breach.duration_s),
        (Rule::Stops, breach.stops),
    ];
    rules.into_iter().filter(|(_, missing)| *missing > 0).map(|(rule, missing)| Broken { rule, missing }).collect()
}

/// Explains every stop that the plan leaves out, in the plan's order. Takes time in the product of the stops left out and the
/// length of the plan; for shipments, of its routes' squares.
pub fn explain(problem: &Problem, plan: &Plan) -> Vec<Explanation> {
    let mut tours = vec![Vec::new(); problem.vehicles().len()];
    for route in &plan.routes {
        let mut pauses = route.pauses.iter().peekable();
        let steps: &mut Vec<Step> = &mut tours[route.vehicle];
        for (index, visit) in route.visits.iter().enumerate() {
            while let Some(pause) = pauses.next_if(|pause| pause.after_visits <= index) {
                if let PauseKind::Reload(location) = pause.kind {
                    steps.push(Step::Reload(location));
                }
            }
            steps.push(Step::Stop(visit.stop));
        }
    }
    plan.unassigned.iter().map(|left| explain_stop(problem, &tours, left.stop, left.reason)).collect()
}

fn explain_stop(problem: &Problem, tours: &[Vec<Step>], stop: usize, reason: UnassignedReason) -> Explanation {
    let mut seen_unused = std::collections::BTreeSet::new();
    let mut best: Option<(f64, Explanation)> = None;
    for (vehicle, tour) in tours.iter().enumerate() {
        // Of equal vehicles that stand still, one is enough.
        if tour.is_empty() && !seen_unused.insert(problem.class[vehicle]) {
            continue;
        }
        let price = |steps: &[Step]| evaluate(problem, vehicle, &with_breaks(problem, vehicle, steps));
        let limits = &problem.vehicles()[vehicle];
        let before = if tour.is_empty() { 0 } else { price(tour).cost(limits) };
        for steps in insertions(problem, vehicle, tour, stop) {
            let totals = price(&steps);
            let added = totals.cost(limits) - before;
            let Some(mut relaxation) =
                relax::relaxation(problem, vehicle, &with_breaks(problem, vehicle, &steps), &totals)
            else {
                continue;
            };
            let prize = problem.stops()[stop].prize;
            if let Some(prize) = prize.filter(|prize| relaxation.is_empty() && added >= prize * COST_SCALE) {
                relaxation.push(Relaxation::Prize { stop, by: added / COST_SCALE - prize + 1 });
            }
            let effort: f64 = relaxation.iter().map(|relaxation| relaxation.effort(problem)).sum();
            let added_cost = (added + COST_SCALE / 2).div_euclid(COST_SCALE);
            let key = |effort: f64, added: i64| (effort, added);
            if best.as_ref().is_none_or(|(least, known)| key(effort, added_cost) < key(*least, known.added_cost)) {
                let broken = broken(&totals.breach);
                let found = Explanation { stop, reason, vehicle: Some(vehicle), steps, broken, relaxation, added_cost };
                best = Some((effort, found));
            }
        }
    }
    let nothing = Explanation {
        stop,
        reason,
        vehicle: None,
        steps: Vec::new(),
        broken: Vec::new(),
        relaxation: Vec::new(),
        added_cost: 0,
    };
    best.map_or(nothing, |(_, explanation)| explanation)
}

/// Every way to put the stop, with its shipment's partner, into a tour behind the prefix.
fn insertions(problem: &Problem, vehicle: usize, tour: &[Step], stop: usize) -> Vec<Vec<Step>> {
    let first = problem.vehicles()[vehicle].prefix.len().min(tour.len());
    let insert = |steps: &[Step], position: usize, stop: usize| {
        let mut longer = steps.to_vec();
        longer.insert(position, Step::Stop(stop));
        longer
    };
    match problem.shipment_of(stop).map(|shipment| &problem.shipments()[shipment]) {
        None => (first..=tour.len()).map(|position| insert(tour, position, stop)).collect(),
        Some(shipment) => {
            let taken = (first..=tour.len()).map(|position| (position, insert(tour, position, shipment.pickup)));
            let both = taken.flat_map(|(position, taken)| {
                let last = taken.len();
                (position + 1..=last).map(move |second| insert(&taken, second, shipment.delivery))
            });
            both.collect()
        }
    }
}

/// Whether a rule is kept, and the reason where no vehicle keeps it.
type Kept = (fn(&Breach) -> bool, UnassignedReason);

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
    let rules: [Kept; 3] = [
        (|breach| breach.load == 0, UnassignedReason::OverEveryCapacity),
        (|breach| breach.window_s + breach.shift_s + breach.break_load == 0, UnassignedReason::WindowUnreachable),
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
