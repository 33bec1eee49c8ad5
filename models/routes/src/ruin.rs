//! Ruin and recreate under simulated annealing, after Christiaens and Vanden Berghe 2020 (SISR); it accepts feasible plans only.
//!
//! One step removes strings of neighbouring stops from neighbouring routes (adjacent removal leaves slack in both space and
//! capacity), then puts every loose stop back at its cheapest place, passing over a place with a small chance (blink). A step
//! that leaves out more weight is undone; one that costs more is kept with the annealing probability. Only the routes that a
//! step touched are saved and restored.

use crate::working::Working;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Stops removed per step on average.
const MEAN_REMOVED: f64 = 10.0;
/// Longest string removed from one route.
const LONGEST_STRING: f64 = 10.0;
/// Chance that a string keeps some stops in its middle.
const SPLIT_CHANCE: f64 = 0.5;
/// Chance that the kept middle grows by another stop ends here.
const SPLIT_END_CHANCE: f64 = 0.99;
/// Chance that an insertion place is passed over.
const BLINK_CHANCE: f64 = 0.01;
/// First and last temperature as shares of the mean cost per served stop.
const TEMPERATURES: (f64, f64) = (1.0, 0.01);
/// Steps between two looks at `stop`.
const STEPS_PER_LOOK: u64 = 16;

/// Runs up to `steps` steps and leaves the best plan met in `working`.
pub(crate) fn anneal(
    working: &mut Working,
    nearest: &[Vec<usize>],
    steps: u64,
    rng: &mut ChaCha8Rng,
    stop: &dyn Fn() -> bool,
) {
    let served = working.vehicle_of.iter().flatten().count().max(1);
    let Some(mut current) = working.value() else { return };
    let mean_cost = current.1.max(1) as f64 / served as f64;
    let (first, last) = (TEMPERATURES.0 * mean_cost, TEMPERATURES.1 * mean_cost);
    let mut best = current;
    let mut best_orders = working.orders();
    for step in 0..steps {
        if step % STEPS_PER_LOOK == 0 && stop() {
            break;
        }
        let temperature = first * (last / first).powf(step as f64 / steps as f64);
        let mut touched = Touched { saved: Vec::new(), changed: vec![false; working.routes.len()] };
        ruin(working, nearest, &mut touched, rng);
        recreate(working, &mut touched, rng);
        let slack = -temperature * (1.0 - rng.random::<f64>()).ln();
        let acceptable = |after: &(i64, i64)| {
            after.0 < current.0 || (after.0 == current.0 && (after.1 as f64) < current.1 as f64 + slack)
        };
        let Some(after) = working.value().filter(acceptable) else {
            touched.restore(working);
            continue;
        };
        current = after;
        if current < best {
            best = current;
            best_orders = working.orders();
        }
    }
    for (vehicle, order) in best_orders.into_iter().enumerate() {
        if working.routes[vehicle].stops != order {
            working.set(vehicle, order);
        }
    }
}

/// The routes that a step changed, as they were before it.
struct Touched {
    saved: Vec<(usize, Vec<usize>)>,
    changed: Vec<bool>,
}

impl Touched {
    fn save(&mut self, working: &Working, vehicle: usize) {
        if !std::mem::replace(&mut self.changed[vehicle], true) {
            self.saved.push((vehicle, working.routes[vehicle].stops.clone()));
        }
    }

    fn restore(self, working: &mut Working) {
        // All are emptied first, so that no stop is on two routes in between.
        for (vehicle, _) in &self.saved {
            working.set(*vehicle, Vec::new());
        }
        for (vehicle, order) in self.saved {
            working.set(vehicle, order);
        }
    }
}

/// Removes strings around a random stop.
fn ruin(working: &mut Working, nearest: &[Vec<usize>], touched: &mut Touched, rng: &mut ChaCha8Rng) {
    let used: Vec<usize> = working.routes.iter().map(|route| route.stops.len()).filter(|&length| length > 0).collect();
    if used.is_empty() {
        return;
    }
    let mean_length = used.iter().sum::<usize>() as f64 / used.len() as f64;
    let longest = LONGEST_STRING.min(mean_length).max(1.0);
    let most_strings = (4.0 * MEAN_REMOVED / (1.0 + longest) - 1.0).max(1.0);
    let strings = rng.random_range(1.0..most_strings + 1.0) as usize;
    let centre = rng.random_range(0..nearest.len());
    let mut cut = 0;
    for &stop in std::iter::once(&centre).chain(&nearest[centre]) {
        if cut == strings {
            break;
        }
        let Some(vehicle) = working.vehicle_of[stop].filter(|&vehicle| !touched.changed[vehicle]) else { continue };
        touched.save(working, vehicle);
        let length = working.routes[vehicle].stops.len();
        let most = longest.min(length as f64);
        let string = (rng.random_range(1.0..most + 1.0) as usize).min(length);
        let order = without_string(&working.routes[vehicle].stops, working.position_of[stop], string, rng);
        working.set(vehicle, order);
        cut += 1;
    }
}

/// The order without a string of `string` stops around `position`; sometimes the string is longer and keeps its middle.
fn without_string(order: &[usize], position: usize, string: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut kept = 0;
    if string > 1 && rng.random_bool(SPLIT_CHANCE) {
        while string + kept < order.len() {
            kept += 1;
            if rng.random_bool(SPLIT_END_CHANCE) {
                break;
            }
        }
    }
    let span = string + kept;
    let earliest = (position + 1).saturating_sub(span);
    let latest = position.min(order.len() - span);
    let from = rng.random_range(earliest..=latest);
    let keep_from = from + if kept > 0 { rng.random_range(1..string) } else { span };
    let removed = |i: usize| (from..from + span).contains(&i) && !(keep_from..keep_from + kept).contains(&i);
    (0..order.len()).filter(|&i| !removed(i)).map(|i| order[i]).collect()
}

/// Puts the loose stops back, hard ones first by one of several orders.
fn recreate(working: &mut Working, touched: &mut Touched, rng: &mut ChaCha8Rng) {
    let mut loose = working.left_out();
    sort_loose(working, &mut loose, rng);
    for stop in loose {
        let mut blink = || rng.random_bool(BLINK_CHANCE);
        if let Some((vehicle, position)) = working.cheapest_place(stop, &mut blink) {
            touched.save(working, vehicle);
            working.insert(stop, vehicle, position);
        }
    }
}

fn sort_loose(working: &Working, loose: &mut [usize], rng: &mut ChaCha8Rng) {
    let problem = working.problem;
    let stops = problem.stops();
    let depot = problem.vehicles()[0].start.or(problem.vehicles()[0].end);
    let distance = |stop: usize| i64::from(problem.leg(depot, Some(stops[stop].location)).distance_m);
    let width = |stop: usize| stops[stop].window().closes_s - stops[stop].window().opens_s;
    let amount = |stop: usize| stops[stop].delivery.iter().chain(&stops[stop].pickup).sum::<i64>();
    loose.shuffle(rng);
    match rng.random_range(0..17) {
        0..4 => {}
        4..8 => loose.sort_by_key(|&stop| -amount(stop)),
        8..10 => loose.sort_by_key(|&stop| -distance(stop)),
        10 => loose.sort_by_key(|&stop| distance(stop)),
        11..13 => loose.sort_by_key(|&stop| width(stop)),
        13..15 => loose.sort_by_key(|&stop| stops[stop].window().opens_s),
        _ => loose.sort_by_key(|&stop| -stops[stop].window().closes_s),
    }
    // Stops of higher priority take their places first.
    loose.sort_by_key(|&stop| -i64::from(stops[stop].priority));
}
