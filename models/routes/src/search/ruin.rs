//! Ruin: strings of stops are taken off routes that pass near each other (Christiaens and Vanden Berghe 2020).

use super::random::Random;
use super::state::{ABSENT, State};

/// Stops removed per step on average.
const MEAN_REMOVED: f64 = 8.0;
/// Longest string removed from one route.
const LONGEST_STRING: f64 = 10.0;
/// Chance that a string keeps some stops in its middle.
const SPLIT_CHANCE: f64 = 0.5;
/// Chance that the kept middle grows no further.
const SPLIT_END_CHANCE: f64 = 0.99;

/// Chance that, where stops were taken off, trips that fit into one are joined.
const JOIN_CHANCE: f64 = 0.5;

/// Where vehicles have several sizes or prices, or stops may be left out, the chance that whole routes are taken down, and how many
/// at most: two small vehicles make way for a large one only at once, and a vehicle that does not pay leaves only as a whole.
const WHOLE_CHANCES: (f64, f64) = (0.05, 0.02);
const MOST_WHOLE: usize = 3;

/// Removes strings around a random stop, or whole routes, and returns the stop.
pub(super) fn ruin(state: &mut State, random: &mut Random) -> usize {
    let instance = state.instance;
    let served = state.stop_count() - state.absent.len();
    state.joins_trips = instance.has_reloads() && random.unit() < JOIN_CHANCE;
    if served == 0 {
        return state.any_stop(random);
    }
    // A string is about as long as a trip: longer ones would take down whatever lies between two reloads.
    let mean_length = served as f64 / state.trips() as f64;
    let longest = LONGEST_STRING.min(mean_length);
    let most_strings = 4.0 * MEAN_REMOVED / (1.0 + longest) - 1.0;
    let mut strings = (random.unit() * most_strings + 1.0) as usize;
    let whole = match (state.may_change_vehicles(), instance.may_leave_out) {
        (true, _) => random.unit() < WHOLE_CHANCES.0,
        (false, may_leave_out) => may_leave_out && random.unit() < WHOLE_CHANCES.1,
    };
    if whole {
        strings = 1 + random.below(MOST_WHOLE);
    }
    state.made_way = whole;
    let seed = state.any_stop(random);
    let mut ruined = Ruined { routes: [ABSENT; MOST_STRINGS], count: 0 };
    for &stop in std::iter::once(&(seed as u32)).chain(instance.near(seed)) {
        if ruined.count >= strings.min(MOST_STRINGS) {
            break;
        }
        let route = state.route_of[stop as usize];
        if route == ABSENT || ruined.routes[..ruined.count].contains(&route) {
            continue;
        }
        if whole {
            let end = state.routes[route as usize].nodes.len() - 1;
            state.remove(route, 1..end, end..end);
        } else {
            remove_string(state, route, stop, longest, random);
        }
        ruined.routes[ruined.count] = route;
        ruined.count += 1;
    }
    seed
}

/// Most routes that one step ruins: with strings of one stop, `4 · MEAN_REMOVED / 2 − 1`, rounded up.
const MOST_STRINGS: usize = 20;

struct Ruined {
    routes: [u32; MOST_STRINGS],
    count: usize,
}

/// Removes a string that holds the stop, or a longer one of which a middle part stays.
fn remove_string(state: &mut State, route: u32, stop: u32, longest: f64, random: &mut Random) {
    let nodes = &state.routes[route as usize].nodes;
    let size = nodes.len() - 2;
    let Some(at) = nodes.iter().position(|&node| node == stop) else { return };
    let length = (random.unit() * longest.min(size as f64) + 1.0) as usize;
    let length = length.min(size);
    let mut kept = 0;
    if length > 1 && length < size && random.unit() < SPLIT_CHANCE {
        kept = 1;
        while length + kept < size && random.unit() > SPLIT_END_CHANCE {
            kept += 1;
        }
    }
    let span = length + kept;
    // Positions of stops are 1 ..= size; the window of `span` positions must hold `at`.
    let lowest = (at + 1).saturating_sub(span).max(1);
    let highest = at.min(size + 1 - span);
    let from = lowest + random.below(highest - lowest + 1);
    let keep_from = from + 1 + random.below(length.max(2) - 1);
    let keep = if kept == 0 { from..from } else { keep_from..keep_from + kept };
    state.remove(route, from..from + span, keep);
}
