//! Nobody left out, and fewer vehicles: where a vehicle costs more than it drives, routes are emptied one by one. Stops on no
//! route are squeezed into the others, those that are hard to place first (absence counters of Christiaens and Vanden Berghe 2020).

use super::random::Random;
use super::recreate::Recreate;
use super::ruin::ruin;
use super::state::State;

/// Share of the work that may go into serving what the first plan left out.
const PLACING_SHARE: f64 = 0.2;
/// Share of the work after which no further route is emptied.
const EMPTYING_SHARE: f64 = 0.4;
/// Steps between two looks at the progress.
const STEPS_PER_LOOK: u64 = 64;
/// Temperature as a share of the mean leg's cost.
const TEMPERATURE: f64 = 0.1;

/// Memory and settings of the squeezing.
pub(super) struct Squeeze<'r> {
    recreate: &'r mut Recreate,
    random: &'r mut Random,
    temperature: f64,
    /// Per stop, how often it was absent.
    counts: Vec<u64>,
    steps: u64,
}

impl<'r> Squeeze<'r> {
    pub(super) fn new(state: &State, recreate: &'r mut Recreate, random: &'r mut Random, mean_leg: f64) -> Squeeze<'r> {
        let counts = vec![1; state.instance.stops];
        Squeeze { recreate, random, temperature: TEMPERATURE * mean_leg, counts, steps: 0 }
    }

    /// Serves what the first plan left out, if it can within the share, then empties routes until one withstands for the rest
    /// of it; returns the steps done. The state is then the best plan met.
    pub(super) fn run(mut self, state: &mut State, progress: &dyn Fn(u64) -> f64) -> u64 {
        if state.absent.iter().all(|&stop| state.instance.must_be_served[stop as usize]) {
            self.place_absent(state, PLACING_SHARE, progress);
        }
        let instance = state.instance;
        let dear = |&route: &u32| {
            let route = &state.routes[route as usize];
            instance.classes[route.class].fixed > route.legs.iter().sum()
        };
        if state.absent.is_empty() && state.used.iter().all(dear) {
            state.closed = true;
            while state.used.len() > least_vehicles(state) {
                empty_easiest(state, &self.counts);
                if !self.place_absent(state, EMPTYING_SHARE, progress) {
                    break;
                }
            }
            state.closed = false;
        }
        state.return_to_best();
        self.steps
    }

    /// Steps until no stop is absent, which is told, or the share is used up.
    fn place_absent(&mut self, state: &mut State, share: f64, progress: &dyn Fn(u64) -> f64) -> bool {
        while !state.absent.is_empty() {
            if self.steps.is_multiple_of(STEPS_PER_LOOK) && progress(self.steps) >= share {
                return false;
            }
            self.steps += 1;
            self.step(state);
            state.keep_if_best();
        }
        true
    }

    /// One step: kept when fewer stops are absent, or such as were absent less often, or as many at about the cost.
    fn step(&mut self, state: &mut State) {
        let before = self.measure(state);
        state.begin();
        let around = ruin(state, self.random);
        state.remove_partners();
        self.recreate.run(state, self.random, around, f64::INFINITY);
        let after = self.measure(state);
        let slack = -self.temperature * (1.0 - self.random.unit()).ln();
        let better = after.0 < before.0 || after.1 < before.1;
        let alike = after.0 == before.0 && after.1 == before.1 && after.2 < before.2 + slack;
        state.absent.iter().for_each(|&stop| self.counts[stop as usize] += 1);
        if !better && !alike {
            state.undo();
        }
    }

    /// How many stops are absent, how often they were, and what the routes cost.
    fn measure(&self, state: &State) -> (usize, u64, f64) {
        let absences: i64 = state.absent.iter().map(|&stop| state.absence[stop as usize]).sum();
        let count = state.absent.iter().map(|&stop| self.counts[stop as usize]).sum();
        (state.absent.len(), count, (state.cost - absences) as f64)
    }
}

/// Vehicles that the sums of amounts alone ask for; one may do where vehicles reload.
fn least_vehicles(state: &State) -> usize {
    let instance = state.instance;
    if instance.has_reloads() {
        return 1;
    }
    let dimensions = instance.dimensions;
    let needed = |d: usize| {
        let largest = instance.classes.iter().map(|class| class.capacity[d]).max().unwrap_or(0).max(1);
        let sum = |amounts: &[i64]| amounts.iter().skip(d).step_by(dimensions).sum::<i64>();
        let most = sum(&instance.delivery).max(sum(&instance.pickup)).max(0);
        (most as u64).div_ceil(largest as u64) as usize
    };
    (0..dimensions).map(needed).max().unwrap_or(1).max(1)
}

/// Takes all stops off the route whose stops were absent least often.
fn empty_easiest(state: &mut State, counts: &[u64]) {
    let hardness = |&route: &u32| {
        let stops = state.routes[route as usize].stops(state.instance);
        (stops.map(|stop| counts[stop as usize]).sum::<u64>(), route)
    };
    if let Some(route) = state.used.iter().copied().min_by_key(hardness) {
        let end = state.routes[route as usize].nodes.len() - 1;
        state.begin();
        state.remove(route, 1..end, end..end);
    }
}
