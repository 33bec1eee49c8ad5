//! Plans made in one go: Clarke-Wright savings, and nearest neighbour as the trivial baseline; neither is improved afterwards.

use crate::nearest::nearest_stops;
use crate::plan::Plan;
use crate::problem::Problem;
use crate::schedule::{loads_fit, schedule, whole_route};
use crate::segment::Segment;
use crate::working::Working;

/// Nearest stops of each stop for which a saving is computed.
const SAVING_NEIGHBOURS: usize = 100;
/// Vehicle classes that are tried as the model of all routes.
const MOST_MODEL_CLASSES: usize = 8;

/// Nearest neighbour: each vehicle in turn drives from where it is to the nearest stop that it can still serve (least
/// metres, then seconds) until none is left. Small and large fleets are used in the order given.
pub fn nearest_neighbour(problem: &Problem) -> Plan {
    let mut open: Vec<bool> = vec![true; problem.stops().len()];
    let mut orders = Vec::with_capacity(problem.vehicles().len());
    for (vehicle, limits) in problem.vehicles().iter().enumerate() {
        let mut order: Vec<usize> = Vec::new();
        let mut place = limits.start;
        loop {
            let distance = |stop: usize| {
                let leg = problem.leg(place, Some(problem.stops()[stop].location));
                (leg.distance_m, leg.duration_s, stop)
            };
            let mut candidates: Vec<_> = (0..open.len()).filter(|&stop| open[stop]).map(distance).collect();
            candidates.sort_unstable();
            let next = candidates.into_iter().map(|(_, _, stop)| stop).find(|&stop| {
                order.push(stop);
                let fits = feasible(problem, vehicle, &order);
                order.pop();
                fits
            });
            let Some(stop) = next else { break };
            order.push(stop);
            open[stop] = false;
            place = Some(problem.stops()[stop].location);
        }
        orders.push(order);
    }
    schedule(problem, &orders)
}

/// Clarke-Wright savings. Routes of one stop are joined end to start in the order of the distance, or cost, that joining saves
/// for a model vehicle, as long as it could drive the joined route; then each route, longest first, gets the vehicle that
/// drives it most cheaply, and the stops of routes without a vehicle are inserted where they are cheapest. Each class of
/// vehicles (at most eight) serves as the model once; the best plan is returned.
pub fn savings(problem: &Problem) -> Plan {
    schedule(problem, &savings_orders(problem))
}

pub(crate) fn savings_orders(problem: &Problem) -> Vec<Vec<usize>> {
    let nearest = nearest_stops(problem, SAVING_NEIGHBOURS);
    let models = (0..problem.vehicles().len()).filter(|&vehicle| problem.class[vehicle] == vehicle);
    let plans = models.take(MOST_MODEL_CLASSES).map(|model| {
        let chains = join_by_savings(problem, model, &nearest);
        let working = give_to_vehicles(problem, chains);
        (working.value().unwrap_or((i64::MAX, i64::MAX)), working.orders())
    });
    plans.min_by_key(|(value, _)| *value).map(|(_, orders)| orders).unwrap_or_default()
}

/// Chains of stops that the model vehicle could each drive.
fn join_by_savings(problem: &Problem, model: usize, nearest: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let vehicle = &problem.vehicles()[model];
    let cost = |from: Option<usize>, to: Option<usize>| {
        let leg = problem.leg(from, to);
        let (distance_m, seconds) = (i64::from(leg.distance_m), i64::from(leg.duration_s));
        vehicle.scaled_cost(distance_m, seconds, seconds) - vehicle.scaled_cost(0, 0, 0)
    };
    let location = |stop: usize| Some(problem.stops()[stop].location);
    let pairs = nearest.iter().enumerate().flat_map(|(a, near)| near.iter().flat_map(move |&b| [(a, b), (b, a)]));
    let saving = |(a, b): (usize, usize)| {
        let saved = cost(location(a), vehicle.end) + cost(vehicle.start, location(b)) - cost(location(a), location(b));
        (-saved, a, b)
    };
    let mut ranked: Vec<(i64, usize, usize)> = pairs.map(saving).filter(|(negated, ..)| *negated < 0).collect();
    ranked.sort_unstable();
    ranked.dedup();
    let mut chains: Vec<Vec<usize>> = (0..nearest.len()).map(|stop| vec![stop]).collect();
    let mut chain_of: Vec<usize> = (0..nearest.len()).collect();
    for (_, a, b) in ranked {
        let (front, back) = (chain_of[a], chain_of[b]);
        if front == back || chains[front].last() != Some(&a) || chains[back].first() != Some(&b) {
            continue;
        }
        let joined: Vec<usize> = chains[front].iter().chain(&chains[back]).copied().collect();
        if feasible(problem, model, &joined) {
            chains[back].iter().for_each(|&stop| chain_of[stop] = front);
            chains[front] = joined;
            chains[back].clear();
        }
    }
    chains.retain(|chain| !chain.is_empty());
    chains
}

fn give_to_vehicles(problem: &Problem, mut chains: Vec<Vec<usize>>) -> Working<'_> {
    chains.sort_by_key(|chain| (usize::MAX - chain.len(), chain[0]));
    let mut working = Working::new(problem, vec![Vec::new(); problem.vehicles().len()]);
    let mut loose = Vec::new();
    for chain in chains {
        let run = chain.iter().fold(Segment::EMPTY, |run, &stop| run.join(problem, Segment::stop(problem, stop)));
        let priced = working.unused_vehicles().filter_map(|vehicle| {
            let cost = working.close(vehicle, run)?;
            loads_fit(problem, vehicle, &chain).then_some((cost, vehicle))
        });
        match priced.min() {
            Some((_, vehicle)) => working.set(vehicle, chain),
            None => loose.extend(chain),
        }
    }
    loose.sort_by_key(|&stop| u8::MAX - problem.stops()[stop].priority);
    working.insert_all(&loose);
    working
}

fn feasible(problem: &Problem, vehicle: usize, order: &[usize]) -> bool {
    loads_fit(problem, vehicle, order) && whole_route(problem, vehicle, order).route_cost(problem, vehicle).is_some()
}
