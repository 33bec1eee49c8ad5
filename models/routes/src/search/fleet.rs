//! Fewer vehicles: where a vehicle costs more than it drives, routes are emptied one by one and their stops are squeezed into
//! the others, those that are hard to place first (absence counters of Christiaens and Vanden Berghe 2020).

use super::random::Random;
use super::recreate::Recreate;
use super::ruin::ruin;
use super::state::State;

/// Share of the work that may go into it.
const SHARE: f64 = 0.4;
/// Steps between two looks at the progress.
const STEPS_PER_LOOK: u64 = 64;
/// Temperature as a share of the mean leg's cost.
const TEMPERATURE: f64 = 0.1;

/// Empties routes until one withstands for the rest of the share; returns the steps done. The state is then the best plan met.
pub(super) fn use_fewer_vehicles(
    state: &mut State,
    recreate: &mut Recreate,
    random: &mut Random,
    mean_leg: f64,
    progress: &dyn Fn(u64) -> f64,
) -> u64 {
    let instance = state.instance;
    let dear = |&route: &u32| {
        let route = &state.routes[route as usize];
        instance.classes[route.class].fixed > route.legs.iter().sum()
    };
    if !state.absent.is_empty() || !state.used.iter().all(dear) {
        return 0;
    }
    let mut counts = vec![1u64; instance.stops];
    let mut steps = 0;
    state.closed = true;
    'routes: while state.used.len() > least_vehicles(state) {
        empty_easiest(state, &counts);
        while !state.absent.is_empty() {
            if steps % STEPS_PER_LOOK == 0 && progress(steps) >= SHARE {
                break 'routes;
            }
            steps += 1;
            squeeze(state, recreate, random, &mut counts, TEMPERATURE * mean_leg);
        }
        state.keep_if_best();
    }
    state.closed = false;
    state.return_to_best();
    steps
}

/// Vehicles that the sums of amounts alone ask for.
fn least_vehicles(state: &State) -> usize {
    let instance = state.instance;
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
        let stops = state.routes[route as usize].stops();
        (stops.iter().map(|&stop| counts[stop as usize]).sum::<u64>(), route)
    };
    if let Some(route) = state.used.iter().copied().min_by_key(hardness) {
        let end = state.routes[route as usize].nodes.len() - 1;
        state.begin();
        state.remove(route, 1..end, end..end);
    }
}

/// One step: kept when fewer stops are absent, or such as were absent less often, or as many at about the cost.
fn squeeze(state: &mut State, recreate: &mut Recreate, random: &mut Random, counts: &mut [u64], temperature: f64) {
    let instance = state.instance;
    let measure = |state: &State, counts: &[u64]| {
        let absences: i64 = state.absent.iter().map(|&stop| instance.absence[stop as usize]).sum();
        let count: u64 = state.absent.iter().map(|&stop| counts[stop as usize]).sum();
        (state.absent.len(), count, (state.cost - absences) as f64)
    };
    let before = measure(state, counts);
    state.begin();
    ruin(state, random);
    state.remove_partners();
    recreate.run(state, random, f64::INFINITY);
    let after = measure(state, counts);
    let slack = -temperature * (1.0 - random.unit()).ln();
    let better = after.0 < before.0 || after.1 < before.1;
    let alike = after.0 == before.0 && after.1 == before.1 && after.2 < before.2 + slack;
    if after.0 > 0 {
        state.absent.iter().for_each(|&stop| counts[stop as usize] += 1);
    }
    if !better && !alike {
        state.undo();
    }
}
