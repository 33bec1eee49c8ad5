//! Simulated annealing over ruin and recreate; it accepts only what `State` can hold, so every plan met keeps the rules.

use super::construct::construct;
use super::fleet::Squeeze;
use super::random::Random;
use super::recreate::Recreate;
use super::ruin::ruin;
use super::state::State;

/// First and last temperature as shares of the mean cost of a leg, when there is time for many steps.
const TEMPERATURES: (f64, f64) = (2.0, 0.02);
/// Steps per stop that are many; with fewer, the first temperature is lower in proportion.
const MANY_STEPS_PER_STOP: f64 = 4_000.0;
/// Lowest share of the first temperature.
const LOWEST_START: f64 = 0.05;
/// Steps between two looks at the progress.
const STEPS_PER_LOOK: u64 = 64;
/// Steps after which the number of all steps is estimated.
const TRIAL_STEPS: u64 = 512;

/// Anneals until `progress` (share of the work done, given the steps done) reaches 1; the best plan met is in `state.best`.
pub(super) fn anneal(state: &mut State, random: &mut Random, progress: &dyn Fn(u64) -> f64) {
    let mut recreate = Recreate::default();
    construct(state, &mut recreate);
    state.keep_if_best();
    let mean_leg = mean_leg(state);
    let mut step = Squeeze::new(state, &mut recreate, random, mean_leg).run(state, progress);
    let (trial, begun) = (step, progress(step));
    let mut first = None;
    let mut temperature = LOWEST_START * mean_leg;
    loop {
        if step.is_multiple_of(STEPS_PER_LOOK) {
            let done = progress(step);
            if done >= 1.0 {
                return;
            }
            if step >= trial + TRIAL_STEPS {
                let pace = (step - trial) as f64 / (done - begun).max(f64::MIN_POSITIVE);
                let first = *first.get_or_insert_with(|| first_temperature(state, pace));
                let share = (done - begun) / (1.0 - begun);
                temperature = first * (TEMPERATURES.1 / first).powf(share) * mean_leg;
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

/// The first temperature, as a share of the mean leg, when the whole work is so many steps.
fn first_temperature(state: &State, steps: f64) -> f64 {
    let per_stop = steps / state.instance.stops as f64;
    (TEMPERATURES.0 * per_stop / MANY_STEPS_PER_STOP).clamp(LOWEST_START, TEMPERATURES.0)
}

fn mean_leg(state: &State) -> f64 {
    let legs = (state.instance.stops - state.absent.len() + state.used.len()).max(1);
    let cost = |&route: &u32| state.routes[route as usize].legs.iter().sum::<i64>();
    state.used.iter().map(cost).sum::<i64>() as f64 / legs as f64
}
