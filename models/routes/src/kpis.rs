//! Figures of a plan for planners; they judge nothing and change nothing.

use crate::general::items;
use crate::plan::{Plan, Route, Step};
use crate::problem::Problem;
use crate::schedule::plan_of;
use serde::{Deserialize, Serialize};

/// Figures of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kpis {
    /// Cost in the problem's unit.
    pub cost: i64,
    /// Metres driven.
    pub distance_m: i64,
    /// Seconds between departure and return, summed.
    pub duration_s: i64,
    /// Seconds driven.
    pub travel_s: i64,
    /// Seconds of waiting.
    pub waiting_s: i64,
    /// Seconds by which service starts after last windows, summed.
    pub late_s: i64,
    /// Mean duration of the routes divided by the longest, 0 to 1: 1 when all drivers work equally long, or there are none.
    pub balance: f64,
    /// Vehicles with a route.
    pub vehicles_used: usize,
    /// Stops served.
    pub stops_served: usize,
    /// Stops left out.
    pub stops_left_out: usize,
    /// Mean over used vehicles of the fullest load in their fullest dimension divided by its capacity, 0 to 1.
    pub utilisation: f64,
    /// Share of all stops, alternatives counted once, whose service starts in their windows, 0 to 1; a stop left out is not on
    /// time.
    pub on_time_share: f64,
    /// Grams of CO2 equivalent: metres times each vehicle's factor.
    pub co2e_g: i64,
    /// The factor that this amounts to over the whole plan, grams per kilometre; zero when nothing is driven.
    pub co2e_g_per_km: f64,
}

impl Kpis {
    /// Share of another plan's cost that this one saves; negative when it costs more, zero when the other costs nothing. It means
    /// something only where both serve the same stops; [`saved_share`] sees to that.
    pub fn saved_against(&self, other: &Kpis) -> f64 {
        if other.cost > 0 { 1.0 - self.cost as f64 / other.cost as f64 } else { 0.0 }
    }
}

/// Share of another plan's cost that `plan` saves, where costs count the same stops: those that both serve, each plan driving
/// past its others without leaving its order. Negative when it costs more; none where no stop is served by both, or the other
/// costs nothing then. Both plans were made for this problem.
pub fn saved_share(problem: &Problem, plan: &Plan, other: &Plan) -> Option<f64> {
    let (own, others) = (served(problem, plan), served(problem, other));
    let both: Vec<bool> = own.iter().zip(&others).map(|(own, other)| *own && *other).collect();
    let cost =
        |plan: &Plan, served: &[bool]| if served == both { plan.cost } else { limited(problem, plan, &both).cost };
    let (cost, other_cost) = (cost(plan, &own), cost(other, &others));
    (both.contains(&true) && other_cost > 0).then(|| 1.0 - cost as f64 / other_cost as f64)
}

/// Per stop: the plan serves it, or an alternative to it.
fn served(problem: &Problem, plan: &Plan) -> Vec<bool> {
    let mut served = vec![false; problem.stops().len()];
    for visit in plan.routes.iter().flat_map(|route| &route.visits) {
        served[visit.stop] = true;
        problem.alternatives(visit.stop).iter().for_each(|&other| served[other] = true);
    }
    served
}

/// The plan without the stops that are not kept, its orders unchanged.
fn limited(problem: &Problem, plan: &Plan, kept: &[bool]) -> Plan {
    let mut steps = vec![Vec::new(); problem.vehicles().len()];
    for route in &plan.routes {
        let of = route.steps().into_iter().filter(|step| !matches!(step, Step::Stop(stop) if !kept[*stop]));
        steps[route.vehicle] = of.collect();
    }
    plan_of(problem, &steps)
}

/// Summarises a plan that was made for this problem.
pub fn kpis(problem: &Problem, plan: &Plan) -> Kpis {
    let visits = || plan.routes.iter().flat_map(|route| &route.visits);
    let on_time = visits().filter(|visit| {
        let windows = &problem.stops()[visit.stop].windows;
        windows.last().is_none_or(|last| visit.start_s <= last.closes_s)
    });
    let emitted: i64 = plan.routes.iter().map(|r| r.distance_m * problem.vehicles()[r.vehicle].co2e_g_per_km).sum();
    let longest_s = plan.routes.iter().map(Route::duration_s).max().unwrap_or(0);
    let utilisation: f64 = (0..plan.routes.len()).map(|route| fullest_share(problem, plan, route)).sum();
    Kpis {
        cost: plan.cost,
        distance_m: plan.distance_m,
        duration_s: plan.duration_s,
        travel_s: plan.routes.iter().map(|route| route.travel_s).sum(),
        waiting_s: plan.routes.iter().map(|route| route.waiting_s).sum(),
        late_s: plan.routes.iter().map(|route| route.late_s).sum(),
        balance: if longest_s > 0 {
            plan.duration_s as f64 / (longest_s * plan.routes.len() as i64) as f64
        } else {
            1.0
        },
        vehicles_used: plan.routes.len(),
        stops_served: visits().count(),
        stops_left_out: plan.unassigned.len(),
        utilisation: utilisation / plan.routes.len().max(1) as f64,
        on_time_share: on_time.count() as f64 / items(problem).iter().map(|item| item.visits()).sum::<usize>() as f64,
        co2e_g: (emitted + 500) / 1_000,
        co2e_g_per_km: if plan.distance_m > 0 { emitted as f64 / plan.distance_m as f64 } else { 0.0 },
    }
}

fn fullest_share(problem: &Problem, plan: &Plan, route: usize) -> f64 {
    let route = &plan.routes[route];
    let capacity = &problem.vehicles()[route.vehicle].capacity;
    let pauses = route.pauses.iter().map(|pause| &pause.load);
    let loads = std::iter::once(&route.initial_load).chain(route.visits.iter().map(|visit| &visit.load)).chain(pauses);
    let shares = loads.flat_map(|load| load.iter().zip(capacity).filter(|(_, capacity)| **capacity > 0));
    shares.map(|(&load, &capacity)| load as f64 / capacity as f64).fold(0.0, f64::max)
}
