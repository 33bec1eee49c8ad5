//! Parts of a large plan searched by themselves: routes near each other are taken out together for a while, so that what a step
//! reads stays in the processor's caches, and several threads search at once; it keeps no plan between two rounds.

use super::random::Random;
use super::recreate::Recreate;
use super::state::{ABSENT, State};
use crate::problem::Problem;
use std::sync::Mutex;

/// Stops of a part, about, where the plan has so many; and the fewest that a thread of its own is given.
const PART_STOPS: usize = 1_000;
const FEWEST_PART_STOPS: usize = 250;

/// True when the problem is so large, and its stops' places are known, that several threads search parts of one plan.
pub(crate) fn divides(problem: &Problem, threads: usize) -> bool {
    threads > 1 && problem.stops().len() >= threads * FEWEST_PART_STOPS && knows_places(problem)
}

fn knows_places(problem: &Problem) -> bool {
    problem.stops().iter().all(|stop| problem.place(stop.location).is_some())
}

/// Routes, used or not, and stops that are on none.
#[derive(Debug, Default)]
struct Part {
    routes: Vec<u32>,
    absent: Vec<u32>,
}

/// Into how many parts a plan is divided; one where it is small, or has places that nobody says where they are.
pub(super) fn part_count(state: &State, threads: usize) -> usize {
    let stops = state.instance.stops;
    if state.has_homes() || (0..stops).any(|stop| state.instance.point(stop).is_none()) {
        return 1;
    }
    let most = (stops / FEWEST_PART_STOPS).max(1);
    (stops / PART_STOPS).max(1).next_multiple_of(threads).min(most)
}

/// Divides the plan at random, searches each part by itself and puts them together again; the best plan met is in `state.best`.
pub(super) fn search_parts(
    state: &mut State,
    (count, threads): (usize, usize),
    random: &mut Random,
    search: &(dyn Fn(&mut State, &mut Recreate, &mut Random) + Sync),
) {
    let mut parts = Vec::with_capacity(count);
    for part in divided(state, count, random) {
        let split = state.split_off(&part.routes, &part.absent);
        parts.push((part.routes, split, Random::new(random.bits())));
    }
    on_threads(threads, parts.iter_mut(), &|(_, part, random): &mut (Vec<u32>, State, Random)| {
        search(part, &mut Recreate::default(), random);
    });
    state.rejoin(parts.into_iter().map(|(routes, part, _)| (routes, part)).collect());
}

/// Does the work on each item, the caller's thread beside others.
fn on_threads<T>(threads: usize, items: impl Iterator<Item = T> + Send, work: &(dyn Fn(T) + Sync)) {
    let waiting = Mutex::new(items);
    let run = || {
        let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
        while let Some(item) = next() {
            work(item);
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(run)));
        run();
    });
}

/// A used route: the middle of its stops, how many there are, and its index.
struct Middle {
    at: (f64, f64),
    stops: usize,
    route: u32,
}

/// Parts of about as many stops, of routes whose middles are near each other: cut in two along a line of random direction, and
/// each half again.
fn divided(state: &State, count: usize, random: &mut Random) -> Vec<Part> {
    let mut middles: Vec<Middle> = state.used.iter().map(|&route| middle(state, route)).collect();
    let mut parts: Vec<Part> = Vec::with_capacity(count);
    cut(&mut middles, count, random, &mut parts);
    let mut part_of = vec![0; state.routes.len()];
    for (number, part) in parts.iter().enumerate() {
        part.routes.iter().for_each(|&route| part_of[route as usize] = number);
    }
    for routes in state.unused() {
        // The ones that are taken into use first are dealt out first.
        for (&route, number) in routes.iter().rev().zip((0..count).cycle()) {
            parts[number].routes.push(route);
        }
    }
    for &stop in &state.absent {
        // Both stops of a shipment go to the same part.
        let first = state.instance.partner_of(stop as usize).map_or(stop as usize, |other| other.min(stop as usize));
        let near = state.instance.near(first).iter().map(|&near| state.route_of[near as usize]);
        let part = near.filter(|&route| route != ABSENT).map(|route| part_of[route as usize]).next();
        parts[part.unwrap_or(first % count)].absent.push(stop);
    }
    parts
}

fn middle(state: &State, route: u32) -> Middle {
    let (mut sum, mut stops) = ((0.0, 0.0), 0);
    for place in
        state.routes[route as usize].stops(state.instance).filter_map(|stop| state.instance.point(stop as usize))
    {
        sum = (sum.0 + place.lon, sum.1 + place.lat);
        stops += 1;
    }
    let number = f64::from(stops.max(1));
    Middle { at: (sum.0 / number, sum.1 / number), stops: stops as usize, route }
}

fn cut(middles: &mut [Middle], count: usize, random: &mut Random, parts: &mut Vec<Part>) {
    if count == 1 {
        parts.push(Part { routes: middles.iter().map(|middle| middle.route).collect(), absent: Vec::new() });
        return;
    }
    let (sine, cosine) = (random.unit() * std::f64::consts::TAU).sin_cos();
    let along = |middle: &Middle| middle.at.0 * cosine + middle.at.1 * sine;
    middles.sort_by(|a, b| along(a).total_cmp(&along(b)).then(a.route.cmp(&b.route)));
    let first_count = count / 2;
    let wanted = middles.iter().map(|middle| middle.stops).sum::<usize>() * first_count / count;
    let mut stops = 0;
    let end = middles.iter().position(|middle| {
        stops += middle.stops;
        stops > wanted
    });
    let (first, second) = middles.split_at_mut(end.unwrap_or(0));
    cut(first, first_count, random, parts);
    cut(second, count - first_count, random, parts);
}
