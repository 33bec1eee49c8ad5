//! Simulated annealing over ruin and recreate; it accepts only what `State` can hold, so every plan met keeps the rules.

use super::random::Random;
use super::recreate::Recreate;
use super::ruin::ruin;
use super::state::State;

/// First and last temperature as shares of the mean cost of a leg.
const TEMPERATURES: (f64, f64) = (1.0, 0.01);
/// Steps between two looks at the progress.
const STEPS_PER_LOOK: u64 = 64;

/// Anneals until `progress` (share of the work done, given the steps done) reaches 1; the best plan met is in `state.best`.
pub(super) fn anneal(state: &mut State, random: &mut Random, progress: &dyn Fn(u64) -> f64) {
    let mut recreate = Recreate::default();
    recreate.complete(state);
    state.keep_if_best();
    let legs = (state.instance.stops - state.absent.len() + state.used.len()).max(1);
    let mean_leg = state.used.iter().map(|&route| state.routes[route as usize].legs.iter().sum::<i64>()).sum::<i64>()
        as f64
        / legs as f64;
    let env = |n: &str, d: f64| std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
    let (first, last) = (env("T0", TEMPERATURES.0) * mean_leg, env("T1", TEMPERATURES.1) * mean_leg);
    let mut temperature = first;
    for step in 0.. {
        if step % STEPS_PER_LOOK == 0 {
            let done = progress(step);
            if done >= 1.0 {
                if std::env::var("V").is_ok() {
                    eprintln!("steps {step}");
                }
                break;
            }
            temperature = first * (last / first).powf(done);
        }
        state.begin();
        ruin(state, random);
        let limit = state.cost_before() as f64 - temperature * (1.0 - random.unit()).ln();
        if recreate.run(state, random, limit) && (state.cost as f64) < limit {
            state.keep_if_best();
        } else {
            state.undo();
        }
    }
}
