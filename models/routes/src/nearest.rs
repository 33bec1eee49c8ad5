//! Which stops are near each stop, for the plans made in one go; it ranks every pair.

use crate::problem::{MAX_LEG, Problem};

/// Per stop, the other stops by nearness: metres and seconds of the shorter direction, and waiting that a visit one after the
/// other would force.
pub(crate) fn nearest_stops(problem: &Problem, most: usize) -> Vec<Vec<usize>> {
    let stops = problem.stops();
    let nearness = |a: usize, b: usize| {
        let leg = problem.leg(Some(stops[a].location), Some(stops[b].location));
        let soonest_start = stops[a].window().closes_s + stops[a].service_s + i64::from(leg.duration_s);
        let waiting = (stops[b].window().opens_s - soonest_start).clamp(0, MAX_LEG);
        i64::from(leg.distance_m) + i64::from(leg.duration_s) + waiting
    };
    let mut nearest = Vec::with_capacity(stops.len());
    for a in 0..stops.len() {
        let keyed = (0..stops.len()).filter(|&b| b != a).map(|b| (nearness(a, b).min(nearness(b, a)), b));
        let mut keyed: Vec<(i64, usize)> = keyed.collect();
        if keyed.len() > most {
            keyed.select_nth_unstable(most);
            keyed.truncate(most);
        }
        keyed.sort_unstable();
        nearest.push(keyed.into_iter().map(|(_, b)| b).collect());
    }
    nearest
}
