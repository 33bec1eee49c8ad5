//! The engine for every rule of a problem, used where the core search does not honour one, or some beside each other (reloads beside
//! shipments, backhauls or traffic): ruin and recreate that replays each route it tries; slower, without any of the core's shortcuts.
//!
//! One step removes stops that lie near each other, or a whole route, and puts everything loose back where it is cheapest.
//! Steps are taken under simulated annealing (Schrimpf et al. 2000) in rounds of doubling length that each start from the best
//! plan with half the temperature, so that a run that is stopped early has cooled as well as one that was planned short.

mod tours;

use crate::nearest::nearest_stops;
use crate::plan::{Plan, Step};
use crate::problem::Problem;
use crate::schedule::plan_of;
use crate::solver::Budget;
use rand::RngExt;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
pub(crate) use tours::{Item, Stability, Tours, items, without_breaks};

/// Nearest stops that are known of each stop.
const NEIGHBOURS: usize = 60;
/// Most stops removed in a step.
const MOST_REMOVED: usize = 16;
/// Chance that a step removes a whole route.
const ROUTE_CHANCE: f64 = 0.1;
/// Chance that a place is passed over.
const BLINK_CHANCE: f64 = 0.01;
/// Steps of the first round; each later one has twice as many.
const FIRST_ROUND: u64 = 500;
/// First and last temperature of the first round as shares of the mean cost per served stop.
const TEMPERATURES: (f64, f64) = (0.5, 0.005);

/// Plans within the budget, or until `stop` says so, beginning with the tours given. After each round in which a better plan was
/// found, `watch` is shown it.
pub(crate) fn solve(
    mut tours: Tours,
    budget: &Budget,
    stop: &dyn Fn() -> bool,
    mut watch: Option<&mut dyn FnMut(&Plan)>,
) -> Plan {
    let problem = tours.problem;
    let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
    let items = items(problem);
    tours.insert_all(&sorted(problem, tours.loose(&items), &mut rng), &mut || false, stop);
    let nearest = nearest_stops(problem, NEIGHBOURS);
    let (mut best, mut best_steps) = (tours.value(), tours.steps().to_vec());
    let (mut done, mut round) = (0, 0u32);
    while done < budget.iterations && !stop() {
        let length = (FIRST_ROUND << round.min(40)).min(budget.iterations - done);
        let cooled = 0.5f64.powi(round.min(40) as i32);
        let mut run = Run { tours: &mut tours, items: &items, nearest: &nearest, rng: &mut rng };
        let before = best;
        run.anneal(length, cooled, stop, &mut best, &mut best_steps);
        if let Some(watch) = watch.as_mut().filter(|_| best < before) {
            watch(&plan_of(problem, &best_steps));
        }
        tours.restart(&best_steps);
        (done, round) = (done + length, round + 1);
    }
    // Blinks may have passed over a place that is free.
    tours.insert_all(&sorted(problem, tours.loose(&items), &mut rng), &mut || false, &|| false);
    plan_of(problem, tours.steps())
}

struct Run<'r, 'p> {
    tours: &'r mut Tours<'p>,
    items: &'r [Item],
    nearest: &'r [Vec<usize>],
    rng: &'r mut ChaCha8Rng,
}

impl Run<'_, '_> {
    fn anneal(
        &mut self,
        length: u64,
        cooled: f64,
        stop: &dyn Fn() -> bool,
        best: &mut (i64, i64),
        best_steps: &mut [Vec<Step>],
    ) {
        let problem = self.tours.problem;
        let mut current = self.tours.value();
        let mean_cost = current.1.max(1) as f64 / problem.stops().len() as f64;
        let (first, last) = (TEMPERATURES.0 * mean_cost * cooled, TEMPERATURES.1 * mean_cost * cooled);
        for step in 0..length {
            if stop() {
                return;
            }
            let temperature = first * (last / first).powf(step as f64 / length as f64);
            self.tours.remember();
            self.ruin();
            let loose = sorted(problem, self.tours.loose(self.items), self.rng);
            let rng = &mut *self.rng;
            self.tours.insert_all(&loose, &mut || rng.random_bool(BLINK_CHANCE), &|| false);
            let after = self.tours.value();
            let slack = -temperature * (1.0 - self.rng.random::<f64>()).ln();
            if after.0 > current.0 || (after.0 == current.0 && after.1 as f64 >= current.1 as f64 + slack) {
                self.tours.undo();
                continue;
            }
            current = after;
            if current < *best {
                *best = current;
                best_steps.clone_from_slice(self.tours.steps());
            }
        }
    }

    fn ruin(&mut self) {
        let centre = self.rng.random_range(0..self.nearest.len());
        if self.rng.random_bool(ROUTE_CHANCE)
            && let Some(vehicle) = self.tours.vehicle_of(centre)
        {
            self.tours.remove(&self.tours.stops_of(vehicle));
            return;
        }
        let most = MOST_REMOVED.min(self.nearest.len() / 2 + 1);
        let count = self.rng.random_range(1..=most);
        let around = std::iter::once(&centre).chain(&self.nearest[centre]).copied();
        let served: Vec<usize> = around.filter(|&stop| self.tours.vehicle_of(stop).is_some()).take(2 * count).collect();
        // Every other of the near ones on average, so that the same centre does not always open the same hole.
        let keep = served.len().saturating_sub(count);
        let mut removed = served;
        for _ in 0..keep {
            removed.remove(self.rng.random_range(0..removed.len()));
        }
        self.tours.remove(&removed);
    }
}

/// The items in one of several orders; what is dearest to leave out goes first.
fn sorted(problem: &Problem, mut items: Vec<Item>, rng: &mut ChaCha8Rng) -> Vec<Item> {
    let stops = problem.stops();
    let depot = problem.vehicles()[0].start.or(problem.vehicles()[0].end);
    let first = |item: &Item| item.stops(problem)[0];
    let amount = |item: &Item| {
        let own = stops[first(item)].delivery.iter().chain(&stops[first(item)].pickup).sum::<i64>();
        own + problem.shipment_of(first(item)).map_or(0, |s| problem.shipments()[s].amount.iter().sum())
    };
    items.shuffle(rng);
    match rng.random_range(0..6) {
        0 => items.sort_by_key(|item| -amount(item)),
        1 => items.sort_by_key(|item| -i64::from(problem.leg(depot, Some(stops[first(item)].location)).distance_m)),
        2 => items.sort_by_key(|item| stops[first(item)].latest_start_s()),
        3 => items.sort_by_key(|item| stops[first(item)].window().closes_s - stops[first(item)].window().opens_s),
        _ => {}
    }
    items.sort_by_key(|item| -stops[first(item)].weight());
    items
}
