//! Several short annealed plans of one problem, crossed by exchanging routes (Nagata, Bräysy and Dullaert 2010) and annealed on; it
//! makes the plans one after the other.

use super::anneal::{Annealer, first_temperature};
use super::random::Random;
use super::state::State;
use super::trips::drop_idle_reloads;
use super::watch::Watcher;

/// Steps a stop in all of the work below which one slow cooling finds better plans than several quick ones.
const FEWEST_STEPS: f64 = 5_000.0;
/// Most plans that are kept.
const MOST_PLANS: usize = 16;
/// Steps a stop of a first plan, and the share of the work that all of them may take.
const PLAN_STEPS: f64 = 250.0;
const PLANS_SHARE: f64 = 0.4;
/// First temperature of a first plan, as a share of the mean leg: so hot that plans of other numbers of routes are met.
const PLAN_TEMPERATURE: f64 = 5.0;
/// Steps a stop of a crossed plan, and its first temperature.
const CHILD_STEPS: f64 = 120.0;
const CHILD_TEMPERATURE: f64 = 0.5;

/// Anneals once or, where there are steps enough, several plans that are crossed until `progress`, given the steps done, reaches 1;
/// the best plan met is in `state.best`. Where the mixture of vehicles is free, it is only found by a slow cooling.
pub(super) fn anneal_and_cross(
    state: &mut State,
    random: &mut Random,
    progress: &dyn Fn(u64) -> f64,
    watcher: &mut Watcher,
    threads: usize,
) {
    let mut annealer = Annealer::new(random, progress, watcher, threads);
    let steps_per_stop = annealer.open(state);
    if steps_per_stop < FEWEST_STEPS || state.instance.has_plenty_of_each() {
        let first = first_temperature(steps_per_stop, state.instance.stops);
        return annealer.cool(state, first, 1.0, &mut |_, _| ());
    }
    let plans = ((PLANS_SHARE * steps_per_stop / PLAN_STEPS) as usize).min(MOST_PLANS);
    let mut members = Members { plans: vec![state.forget_best()], most: plans };
    for _ in 0..plans {
        let end = annealer.done() + PLAN_STEPS / steps_per_stop;
        annealer.cool(state, PLAN_TEMPERATURE, end, &mut |_, _| ());
        members.take_in(state.forget_best());
    }
    annealer.fades = false;
    while annealer.done() < 1.0 {
        let child = members.crossed(state, annealer.random);
        state.take(&child);
        annealer.recreate.fill(state);
        state.keep_if_best();
        let end = annealer.done() + CHILD_STEPS / steps_per_stop;
        annealer.cool(state, CHILD_TEMPERATURE, end, &mut |_, _| ());
        members.take_in(state.forget_best());
    }
    if let Some(best) = members.plans.iter().min_by_key(|plan| plan.cost) {
        state.take(&best.orders);
        state.keep_if_best();
    }
}

/// A plan: its cost and its stops by route.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) cost: i64,
    pub(super) orders: Vec<Vec<u32>>,
}

/// The plans that are crossed; no two cost the same.
#[derive(Debug)]
struct Members {
    plans: Vec<Found>,
    most: usize,
}

impl Members {
    /// Takes the plan in, in place of the dearest one when there are as many as may be; where time ran out before there was a
    /// plan, there is none to take in.
    fn take_in(&mut self, plan: Found) {
        if plan.cost == i64::MAX || self.plans.iter().any(|other| other.cost == plan.cost) {
            return;
        }
        self.plans.push(plan);
        let too_many = self.plans.len() > self.most;
        let dearest = (0..self.plans.len()).max_by_key(|&at| self.plans[at].cost).filter(|_| too_many);
        if let Some(dearest) = dearest {
            self.plans.swap_remove(dearest);
        }
    }

    /// One plan's routes, some of them replaced by another's that serve much the same stops; stops left over are on none.
    fn crossed(&self, state: &State, random: &mut Random) -> Vec<Vec<u32>> {
        let count = self.plans.len();
        let one = random.below(count);
        let other = (one + 1 + random.below((count - 1).max(1))) % count;
        let giver = &self.plans[other].orders;
        let given = Given::drawn(state, giver, random);
        let mut child = self.plans[one].orders.clone();
        let mut lost: Vec<(usize, usize)> = Vec::new();
        for (route, order) in child.iter_mut().enumerate() {
            let before = order.len();
            order.retain(|&node| !given.stops.get(node as usize).is_some_and(|&is_given| is_given));
            if order.len() < before {
                let start = state.routes[route].nodes[0];
                drop_idle_reloads(state.instance, start, order);
                lost.push((before - order.len(), route));
            }
        }
        // The routes that gave most make room.
        lost.sort_unstable_by(|a, b| b.cmp(a));
        lost.iter().take(given.routes.len()).for_each(|&(_, route)| child[route].clear());
        for &route in &given.routes {
            let class = state.routes[route].class;
            let is_free = |&at: &usize| child[at].is_empty() && state.routes[at].class == class;
            if let Some(at) = Some(route).filter(is_free).or_else(|| (0..child.len()).find(is_free)) {
                child[at].clone_from(&giver[route]);
            }
        }
        child
    }
}

/// Routes near each other that one plan gives to another, and which stops they serve.
struct Given {
    routes: Vec<usize>,
    stops: Vec<bool>,
}

impl Given {
    /// Up to half of the plan's routes: those that pass nearest to a stop.
    fn drawn(state: &State, orders: &[Vec<u32>], random: &mut Random) -> Given {
        let stops = state.instance.stops;
        let mut route_of = vec![None; stops];
        for (route, order) in orders.iter().enumerate() {
            let stops = order.iter().filter(|&&node| state.instance.is_stop(node));
            stops.for_each(|&stop| route_of[stop as usize] = Some(route));
        }
        let used = orders.iter().filter(|order| !order.is_empty()).count();
        let count = 1 + random.below((used / 2).max(1));
        let seed = random.below(stops);
        let mut routes: Vec<usize> = Vec::with_capacity(count);
        for &stop in std::iter::once(&(seed as u32)).chain(state.instance.near(seed)) {
            let route = route_of[stop as usize].filter(|route| !routes.contains(route));
            routes.extend(route);
            if routes.len() == count {
                break;
            }
        }
        let is_given = |route: &Option<usize>| route.is_some_and(|route| routes.contains(&route));
        Given { stops: route_of.iter().map(is_given).collect(), routes }
    }
}
