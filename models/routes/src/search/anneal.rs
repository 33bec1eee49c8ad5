//! Simulated annealing over ruin and recreate; it accepts only what `State` can hold, so every plan met keeps the rules.

use super::construct::construct;
use super::fleet::Squeeze;
use super::random::Random;
use super::recreate::Recreate;
use super::ruin::ruin;
use super::state::State;
use super::watch::Watcher;

/// First and last temperature as shares of the mean cost of a leg, when there is time for many steps.
const TEMPERATURES: (f64, f64) = (2.0, 0.02);
/// Steps per stop that are many; with fewer, the first temperature is lower in proportion.
const MANY_STEPS_PER_STOP: f64 = 4_000.0;
/// Lowest share of the first temperature.
const LOWEST_START: f64 = 0.05;
/// Steps between two looks at the progress.
const STEPS_PER_LOOK: u64 = 64;
/// Share of the work after which the number of all steps is estimated.
const TRIAL_SHARE: f64 = 0.002;

/// What goes on beside the annealing.
pub(super) struct Course<'c, 'w> {
    /// The share of the work done, given the steps done.
    pub(super) progress: &'c dyn Fn(u64) -> f64,
    /// The share of the work at which the annealing ends, given how many steps a stop would get in all of it.
    pub(super) end: &'c dyn Fn(f64) -> f64,
    /// Is shown the plan at every look, with the share of the annealing done.
    pub(super) visit: &'c mut dyn FnMut(&State, f64),
    /// Is told better plans.
    pub(super) watcher: &'c mut Watcher<'w>,
}

/// Anneals until the course's end, gently when there are routes to begin with; the best plan met is in `state.best`. Returns the steps done.
pub(super) fn anneal(state: &mut State, random: &mut Random, course: Course) -> u64 {
    let Course { progress, end, visit, watcher } = course;
    let mut recreate = Recreate::default();
    let live = !state.used.is_empty();
    if live {
        recreate.complete(state)
    } else {
        construct(state, &mut recreate)
    }
    state.keep_if_best();
    let mean_leg = mean_leg(state);
    let mut step = Squeeze::new(state, &mut recreate, random, mean_leg).run(state, progress);
    let (trial, begun) = (step, progress(step));
    let hottest = if live { LOWEST_START } else { TEMPERATURES.0 };
    let mut plan: Option<Cooling> = None;
    let mut temperature = LOWEST_START * mean_leg;
    loop {
        if step.is_multiple_of(STEPS_PER_LOOK) {
            let done = progress(step);
            watcher.look(state, done);
            if done >= plan.as_ref().map_or(1.0, |plan| plan.end) {
                return step;
            }
            if done >= begun + TRIAL_SHARE {
                let plan = plan.get_or_insert_with(|| {
                    let per_stop = (step - trial) as f64 / (done - begun) / state.instance.stops as f64;
                    let first = first_temperature(per_stop).min(hottest);
                    Cooling { begin: begun, end: end(per_stop).max(done), first }
                });
                temperature = plan.temperature(done) * mean_leg;
                visit(state, plan.share(done));
            }
        }
        state.begin();
        ruin(state, random);
        state.remove_partners();
        let limit = state.cost_before() as f64 - temperature * (1.0 - random.unit()).ln();
        if recreate.run(state, random, limit) && (state.cost as f64) < limit {
            state.keep_if_best();
        } else {
            state.undo();
        }
        step += 1;
    }
}

/// From where to where of the work the temperature falls, and from which one.
struct Cooling {
    begin: f64,
    end: f64,
    first: f64,
}

impl Cooling {
    fn share(&self, done: f64) -> f64 {
        ((done - self.begin) / (self.end - self.begin).max(f64::MIN_POSITIVE)).min(1.0)
    }

    /// As a share of the mean leg.
    fn temperature(&self, done: f64) -> f64 {
        self.first * (TEMPERATURES.1 / self.first).powf(self.share(done))
    }
}

/// The first temperature, as a share of the mean leg, when a stop gets so many steps.
fn first_temperature(per_stop: f64) -> f64 {
    (TEMPERATURES.0 * per_stop / MANY_STEPS_PER_STOP).clamp(LOWEST_START, TEMPERATURES.0)
}

fn mean_leg(state: &State) -> f64 {
    let legs = (state.instance.stops - state.absent.len() + state.used.len()).max(1);
    let cost = |&route: &u32| state.routes[route as usize].legs.iter().sum::<i64>();
    state.used.iter().map(cost).sum::<i64>() as f64 / legs as f64
}
