//! Hybrid genetic search (Vidal et al. 2012, Vidal 2022) for problems in which loads are all that limits a route: plans found by
//! the annealing and by descents from random tours are crossed; it leaves every other problem to the annealing.

mod descent;
mod ground;
mod insertions;
mod moves;
mod population;
mod split;

use super::anneal::{Course, anneal};
use super::instance::Instance;
use super::random::Random;
use super::state::State;
use super::watch::Watcher;
use descent::Descent;
use ground::Ground;
use population::{Individual, Population};
use split::split;

/// Random tours from which descents begin.
const RANDOM_PLANS: usize = 50;
/// Plans of the annealing that are taken over beside its best, and the share of it after which they are gathered.
const ANNEALED_PLANS: usize = 25;
const GATHERED_FROM: f64 = 0.4;
/// Steps a stop in all of the work, and the share of the work that the annealing is given then; between them it changes evenly.
/// Crossover needs thousands of plans to get ahead, and each takes the longer the more stops there are: with few steps it is
/// worth its time up to `SMALL` stops only.
const MANY_STEPS: (f64, f64) = (14_000.0, 0.2);
const SOME_STEPS_SMALL: (f64, f64) = (5_000.0, 0.5);
const FEW_STEPS_SMALL: (f64, f64) = (2_500.0, 1.0);
const FEW_STEPS: (f64, f64) = (5_000.0, 1.0);
const SMALL: usize = 500;
/// Chance that a plan over capacity is mended, and the price of the load by which it is.
const MEND_CHANCE: f64 = 0.5;
const MEND_PRICE: i64 = 10;
/// Plans without a better one after which the search begins anew.
const PATIENCE: usize = 20_000;

/// The genetic search of one problem.
#[derive(Debug)]
pub(super) struct Genetic {
    ground: Ground,
}

impl Genetic {
    /// None when the problem has rules that the crossover does not know.
    pub(super) fn of(instance: &Instance) -> Option<Genetic> {
        Ground::of(instance).map(|ground| Genetic { ground })
    }

    /// Anneals, then crosses what the annealing found, until `progress` (share of the work done, given the steps done) reaches
    /// 1; a new plan counts as a step for each stop. The best plan met is in `state.best`.
    pub(super) fn run(
        &self,
        state: &mut State,
        random: &mut Random,
        progress: &dyn Fn(u64) -> f64,
        watcher: &mut Watcher,
        threads: usize,
    ) {
        let mut found: Vec<Vec<Vec<u32>>> = Vec::new();
        let mut gather = |state: &State, share: f64| {
            let due = ANNEALED_PLANS as f64 * (share - GATHERED_FROM) / (1.0 - GATHERED_FROM);
            if due > found.len() as f64 && state.absent.is_empty() {
                found.push(state.used.iter().map(|&route| state.routes[route as usize].order().to_vec()).collect());
            }
        };
        let end = |steps_per_stop: f64| annealed_share(self.ground.stops, steps_per_stop);
        let course = Course { progress, end: &end, visit: &mut gather, watcher, threads };
        let steps = anneal(state, random, course);
        found.push(state.best.orders.iter().filter(|order| !order.is_empty()).cloned().collect());
        found.retain(|routes| routes.len() <= self.ground.vehicles);
        if progress(steps) < 1.0 {
            let progress = |plans: u64| progress(steps + plans * self.ground.stops as u64);
            self.cross(found, state, random, &progress, watcher);
        }
    }

    /// Crosses until `progress`, given the new plans, reaches 1.
    fn cross(
        &self,
        mut found: Vec<Vec<Vec<u32>>>,
        state: &mut State,
        random: &mut Random,
        progress: &dyn Fn(u64) -> f64,
        watcher: &mut Watcher,
    ) {
        let population = Population::new(&self.ground);
        let mut breeding = Breeding { ground: &self.ground, descent: Descent::new(&self.ground), population };
        let (mut born, mut better_at) = (0, 0);
        for plans in 0.. {
            let done = progress(plans);
            watcher.look(state, done);
            if done >= 1.0 {
                return;
            }
            if let Some(routes) = found.pop() {
                breeding.improve(&routes, |_| 0, state, random);
                continue;
            }
            let child = if born < RANDOM_PLANS { breeding.random(random) } else { breeding.crossed(random) };
            born += 1;
            if breeding.bring_up(&child, state, random) {
                better_at = born;
            }
            if born > better_at + PATIENCE {
                breeding.population = Population::new(&self.ground);
                (born, better_at) = (0, 0);
            }
        }
    }
}

/// The share of the work that is the annealing's when each of so many stops would get so many steps in all of it.
fn annealed_share(stops: usize, steps_per_stop: f64) -> f64 {
    let between = |few: (f64, f64), many: (f64, f64)| {
        let way = ((steps_per_stop - few.0) / (many.0 - few.0)).clamp(0.0, 1.0);
        few.1 + way * (many.1 - few.1)
    };
    if stops > SMALL {
        between(FEW_STEPS, MANY_STEPS)
    } else if steps_per_stop < SOME_STEPS_SMALL.0 {
        between(FEW_STEPS_SMALL, SOME_STEPS_SMALL)
    } else {
        between(SOME_STEPS_SMALL, MANY_STEPS)
    }
}

/// A tour through all stops, and the plans that it was made of.
struct Child {
    tour: Vec<u32>,
    parents: Vec<Individual>,
}

struct Breeding<'g> {
    ground: &'g Ground,
    descent: Descent<'g>,
    population: Population,
}

impl Breeding<'_> {
    fn random(&self, random: &mut Random) -> Child {
        let mut tour: Vec<u32> = (0..self.ground.depot()).collect();
        random.shuffle(&mut tour);
        Child { tour, parents: Vec::new() }
    }

    /// Order crossover: a stretch of one parent's tour, then the missing stops in the order of the other's.
    fn crossed(&self, random: &mut Random) -> Child {
        let parents = vec![self.population.parent(random).clone(), self.population.parent(random).clone()];
        let (one, other) = (parents[0].routes.concat(), parents[1].routes.concat());
        let count = one.len();
        let (begin, length) = (random.below(count), 1 + random.below(count - 1));
        let mut taken = vec![false; count];
        let mut tour = Vec::with_capacity(count);
        for at in begin..begin + length {
            tour.push(one[at % count]);
            taken[one[at % count] as usize] = true;
        }
        let end = begin + length;
        let rest = (0..count).map(|offset| other[(end + offset) % count]).filter(|&stop| !taken[stop as usize]);
        tour.extend(rest);
        // The stretch stands where it stood, so that the tour begins where its parents' tours begin.
        tour.rotate_right(begin);
        Child { tour, parents }
    }

    /// Cuts the tour into routes, improves them and takes them in; true when they are the best so far.
    fn bring_up(&mut self, child: &Child, state: &mut State, random: &mut Random) -> bool {
        let routes = split(self.ground, &child.tour, self.population.price());
        let settled = |route: &[u32]| {
            let of = |(bit, parent): (usize, &Individual)| u8::from(parent.has(route)) << bit;
            child.parents.iter().enumerate().map(of).sum()
        };
        self.improve(&routes, settled, state, random)
    }

    fn improve(
        &mut self,
        routes: &[Vec<u32>],
        settled: impl Fn(&[u32]) -> u8,
        state: &mut State,
        random: &mut Random,
    ) -> bool {
        let (ground, price) = (self.ground, self.population.price());
        let plan = Individual::new(ground, self.descent.run(routes, settled, price, random));
        let mut better = self.note(&plan, state);
        if plan.excess > 0 && random.unit() < MEND_CHANCE {
            // Moves between routes that are not overfull do not begin to pay by the higher price.
            let fits = |route: &[u32]| u8::from(ground.load(route) <= ground.capacity);
            let routes = self.descent.run(&plan.routes, fits, price * MEND_PRICE, random);
            let mended = Individual::new(ground, routes);
            if mended.excess == 0 {
                better |= self.note(&mended, state);
                self.population.add(mended, false);
            }
        }
        self.population.add(plan, true);
        better
    }

    /// True when the plan is the best so far; then it becomes the state's.
    fn note(&self, plan: &Individual, state: &mut State) -> bool {
        let better = plan.excess == 0 && plan.cost < 2 * state.best.cost;
        if better {
            let mut orders = plan.routes.clone();
            orders.resize(state.routes.len(), Vec::new());
            state.take(&orders);
            state.keep_if_best();
        }
        better
    }
}
