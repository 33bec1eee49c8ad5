//! Cutting one tour through all stops into routes at least cost, over capacity at a price (Prins 2004); the order stays.

use super::ground::Ground;

/// Longest overload that is looked at, as a share of the capacity.
const LOAD_LIMIT: f64 = 1.5;

/// The cheapest routes for this order of the stops, at most `ground.vehicles` of them.
pub(super) fn split(ground: &Ground, tour: &[u32], penalty: i64) -> Vec<Vec<u32>> {
    let routes = cut(tour, &free(ground, tour, penalty));
    if routes.len() <= ground.vehicles { routes } else { limited(ground, tour, penalty) }
}

/// Calls `extend(end, cost)` for each route that serves `tour[begin..end]` and is not far over the capacity.
fn each_route(ground: &Ground, tour: &[u32], penalty: i64, begin: usize, mut extend: impl FnMut(usize, i64)) {
    let (depot, most) = (ground.depot(), (ground.capacity as f64 * LOAD_LIMIT) as i64);
    let (mut load, mut legs, mut last) = (0, 0, depot);
    for (index, &stop) in tour.iter().enumerate().skip(begin) {
        load += ground.amount[stop as usize];
        if load > most && index > begin {
            return;
        }
        legs += ground.leg(last, stop);
        last = stop;
        extend(index + 1, legs + ground.leg(stop, depot) + penalty * (load - ground.capacity).max(0));
    }
}

/// Per end of a first part of the tour, where the last route of its cheapest cut begins.
fn free(ground: &Ground, tour: &[u32], penalty: i64) -> Vec<usize> {
    let mut least = vec![i64::MAX; tour.len() + 1];
    let mut begins = vec![0; tour.len() + 1];
    least[0] = 0;
    for begin in 0..tour.len() {
        let before = least[begin];
        each_route(ground, tour, penalty, begin, |end, cost| {
            if before + cost < least[end] {
                (least[end], begins[end]) = (before + cost, begin);
            }
        });
    }
    begins
}

fn cut(tour: &[u32], begins: &[usize]) -> Vec<Vec<u32>> {
    let mut routes = Vec::new();
    let mut end = tour.len();
    while end > 0 {
        routes.push(tour[begins[end]..end].to_vec());
        end = begins[end];
    }
    routes
}

/// The same with a limit on the number of routes. Where even that many loads of `LOAD_LIMIT` are too few, the rest of the tour
/// is one last route.
fn limited(ground: &Ground, tour: &[u32], penalty: i64) -> Vec<Vec<u32>> {
    let (count, length) = (ground.vehicles, tour.len());
    let mut least = vec![i64::MAX; length + 1];
    least[0] = 0;
    let mut begins = Vec::with_capacity(count);
    for _ in 0..count {
        let mut next = vec![i64::MAX; length + 1];
        let mut begin_of = vec![0; length + 1];
        for begin in (0..length).filter(|&begin| least[begin] < i64::MAX) {
            each_route(ground, tour, penalty, begin, |end, cost| {
                if least[begin] + cost < next[end] {
                    (next[end], begin_of[end]) = (least[begin] + cost, begin);
                }
            });
        }
        for (end, &cost) in least.iter().enumerate().filter(|&(_, &cost)| cost < i64::MAX) {
            // A vehicle may stay where it is.
            if cost < next[end] {
                (next[end], begin_of[end]) = (cost, end);
            }
        }
        begins.push(begin_of);
        least = next;
    }
    let mut end = (0..=length).rev().find(|&end| least[end] < i64::MAX).unwrap_or(0);
    let mut rest = tour[end..].to_vec();
    let mut routes = Vec::new();
    for begin_of in begins.iter().rev() {
        let mut route = tour[begin_of[end]..end].to_vec();
        route.append(&mut rest);
        end = begin_of[end];
        if !route.is_empty() {
            routes.push(route);
        }
    }
    routes
}
