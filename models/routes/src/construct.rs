//! Plans made in one go: Clarke-Wright savings, and nearest neighbour as the trivial baseline; neither is improved afterwards.

use crate::general::{Item, items};
use crate::nearest::nearest_stops;
use crate::plan::{Plan, Step};
use crate::problem::{Problem, Stop};
use crate::schedule::{loads_fit, plan_of, schedule, whole_route, with_breaks};
use crate::segment::Segment;
use crate::timeline::{evaluate, simulate};
use crate::working::Working;

/// Nearest stops of each stop for which a saving is computed.
const SAVING_NEIGHBOURS: usize = 100;
/// Vehicle classes that are tried as the model of all routes.
const MOST_MODEL_CLASSES: usize = 8;

/// Nearest neighbour: each vehicle in turn drives from where it is to the nearest stop that it can still serve until none is
/// left; a shipment is delivered as soon as it is picked up, and a vehicle that may reload does so when nothing else fits.
/// Small and large fleets are used in the order given. Nearest is what takes the least metres, then seconds; where windows may
/// force a wait, a second plan goes to the stop whose service can start soonest, and the better of the two is returned.
pub fn nearest_neighbour(problem: &Problem) -> Plan {
    let may_wait = problem.stops().iter().any(|stop| stop.windows.iter().any(|window| window.opens_s > 0));
    let nearest = go_to_nearest(problem, Near::InMetres);
    if !may_wait {
        return nearest;
    }
    let missed = |plan: &Plan| plan.unassigned.iter().map(|left| problem.stops()[left.stop].weight()).sum::<i64>();
    let soonest = go_to_nearest(problem, Near::InTime);
    if (missed(&soonest), soonest.cost) < (missed(&nearest), nearest.cost) { soonest } else { nearest }
}

/// What nearest means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Near {
    InMetres,
    /// Service can start soonest there.
    InTime,
}

fn go_to_nearest(problem: &Problem, near: Near) -> Plan {
    let mut open = items(problem);
    let prefixes: Vec<usize> = problem.vehicles().iter().flat_map(|vehicle| vehicle.prefix.clone()).collect();
    open.retain(|item| !item.stops(problem).iter().any(|stop| prefixes.contains(stop)));
    let mut tours = Vec::with_capacity(problem.vehicles().len());
    for (vehicle, limits) in problem.vehicles().iter().enumerate() {
        let mut steps: Vec<Step> = limits.prefix.iter().map(|&stop| Step::Stop(stop)).collect();
        while let Some((index, longer)) = nearest_extension(problem, vehicle, &steps, &open, near) {
            open.remove(index);
            steps = longer;
        }
        tours.push(steps);
    }
    plan_of(problem, &tours)
}

/// When the vehicle is through with these steps.
fn through_s(problem: &Problem, vehicle: usize, steps: &[Step]) -> i64 {
    let opens_s = problem.vehicles()[vehicle].shift.opens_s;
    let mut through_s = opens_s;
    simulate(problem, vehicle, steps, opens_s, &mut |moment| {
        through_s = moment.start_s + moment.setup_s + moment.service_s;
    });
    through_s
}

/// When service at the stop can start on an arrival then; never, for all that ranking cares, when its windows are over.
fn served_s(stop: &Stop, arrival_s: i64) -> i64 {
    let open = stop.windows.iter().filter(|window| window.closes_s >= arrival_s);
    open.map(|window| window.opens_s.max(arrival_s)).min().unwrap_or(i64::MAX)
}

/// The nearest item that the vehicle can serve next, and its steps with it.
fn nearest_extension(
    problem: &Problem,
    vehicle: usize,
    steps: &[Step],
    open: &[Item],
    near: Near,
) -> Option<(usize, Vec<Step>)> {
    let limits = &problem.vehicles()[vehicle];
    let place = steps.last().map_or(limits.start, |step| match step {
        Step::Stop(stop) => Some(problem.stops()[*stop].location),
        Step::Reload(location) => Some(*location),
        Step::Break(_) => None,
    });
    let now_s = if near == Near::InTime { through_s(problem, vehicle, steps) } else { 0 };
    let choices = open.iter().enumerate().flat_map(|(index, item)| match item {
        Item::OneOf(_) => item.stops(problem).into_iter().map(|stop| (index, vec![stop])).collect(),
        Item::Stop(_) | Item::Shipment(_) => vec![(index, item.stops(problem))],
    });
    let mut ranked: Vec<_> = choices
        .map(|(index, stops)| {
            let leg = problem.leg_by(limits.profile, place, Some(problem.stops()[stops[0]].location));
            let served_s = match near {
                Near::InMetres => 0,
                Near::InTime => served_s(&problem.stops()[stops[0]], now_s + i64::from(leg.duration_s)),
            };
            (served_s, leg.distance_m, leg.duration_s, index, stops)
        })
        .collect();
    ranked.sort_unstable();
    let reloads = limits.reload.iter().flat_map(|reload| &reload.locations).map(|&place| vec![Step::Reload(place)]);
    let may_reload = steps.last().map_or(limits.start.is_some(), |step| matches!(step, Step::Stop(_)));
    for before in std::iter::once(Vec::new()).chain(reloads.filter(|_| may_reload)) {
        for (.., index, stops) in &ranked {
            let longer = steps.iter().chain(&before).copied().chain(stops.iter().map(|&stop| Step::Stop(stop)));
            let longer: Vec<Step> = longer.collect();
            let fits = stops.iter().all(|&stop| problem.may_serve(vehicle, stop))
                && evaluate(problem, vehicle, &with_breaks(problem, vehicle, &longer)).breach.is_none();
            if fits {
                return Some((*index, longer));
            }
        }
    }
    None
}

/// Clarke-Wright savings. Routes of one stop are joined end to start in the order of the distance, or cost, that joining saves
/// for a model vehicle, as long as it could drive the joined route; then each route, longest first, gets the vehicle that
/// drives it most cheaply, and the stops of routes without a vehicle are inserted where they are cheapest. Each class of
/// vehicles (at most eight) serves as the model once; the best plan is returned. None for a problem with features that joining
/// routes does not honour.
pub fn savings(problem: &Problem) -> Option<Plan> {
    problem.features().is_empty().then(|| schedule(problem, &savings_orders(problem)))
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
