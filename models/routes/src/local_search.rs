//! Descent to a plan that no small move improves; it never makes a plan infeasible and escapes no local optimum.
//!
//! Between routes: a run of one to three stops moves (relocate, or-opt), runs of one or two stops change places (swap), or
//! two routes exchange their tails (2-opt*, also with an unused vehicle). Inside a route: 2-opt, or-opt and swap. Moves
//! between routes are tried only for stops that are near each other (granular search, Toth and Vigo 2003).

use crate::problem::{MAX_LEG, Problem};
use crate::segment::Segment;
use crate::working::{Piece, Working};
use Piece::{Head, Middle, Reversed, Tail};

/// Neighbours of each stop between which moves are tried.
const NEIGHBOURS: usize = 20;
/// Longest run of stops that is moved as one.
const LONGEST_RUN: usize = 3;

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

/// Improves until no move helps or `stop` says so.
pub(crate) fn descend(working: &mut Working, nearest: &[Vec<usize>], stop: &dyn Fn() -> bool) {
    let mut descent = Descent { working, clock: 1, changed: Vec::new(), tried: vec![0; nearest.len()] };
    descent.changed = vec![1; descent.working.routes.len()];
    loop {
        let before = descent.clock;
        for (u, near) in nearest.iter().enumerate() {
            if stop() {
                return;
            }
            descent.improve_around(u, &near[..near.len().min(NEIGHBOURS)]);
        }
        for vehicle in 0..descent.changed.len() {
            if descent.changed[vehicle] + 1 >= before {
                descent.improve_inside(vehicle, stop);
            }
        }
        if descent.clock == before {
            return;
        }
    }
}

struct Descent<'w, 'a> {
    working: &'w mut Working<'a>,
    /// Counts the moves made.
    clock: u64,
    /// Per vehicle: the clock when its route last changed.
    changed: Vec<u64>,
    /// Per stop: the clock when its moves were last tried.
    tried: Vec<u64>,
}

impl Descent<'_, '_> {
    /// Tries all moves between the route of `u` and those of its neighbours.
    fn improve_around(&mut self, u: usize, near: &[usize]) {
        let last_tried = std::mem::replace(&mut self.tried[u], self.clock);
        for &v in near {
            let (Some(a), Some(b)) = (self.working.vehicle_of[u], self.working.vehicle_of[v]) else { continue };
            if a == b || self.changed[a].max(self.changed[b]) < last_tried {
                continue;
            }
            let (i, j) = (self.working.position_of[u], self.working.position_of[v]);
            if !self.exchange_runs(a, i, b, j) {
                // u follows v, then v follows u.
                let _ = self.exchange_tails(a, i, b, j + 1) || self.exchange_tails(a, i + 1, b, j);
            }
        }
        let Some(a) = self.working.vehicle_of[u] else { return };
        if self.changed[a] < last_tried {
            return;
        }
        let i = self.working.position_of[u];
        let unused: Vec<usize> = self.working.unused_vehicles().collect();
        for b in unused {
            if self.exchange_tails(a, i, b, 0)
                || self.try_pair(a, &[Head(a, i), Tail(a, i + 1)], b, &[Middle(a, i, i + 1)])
            {
                return;
            }
        }
    }

    /// Runs starting at position `i` of `a` go behind or before position `j` of `b`, or change places with a run there.
    fn exchange_runs(&mut self, a: usize, i: usize, b: usize, j: usize) -> bool {
        let (len_a, len_b) = (self.working.routes[a].stops.len(), self.working.routes[b].stops.len());
        for run in 1..=LONGEST_RUN.min(len_a - i) {
            let rest = [Head(a, i), Tail(a, i + run)];
            for at in [j + 1, j] {
                let forwards = [Head(b, at), Middle(a, i, i + run), Tail(b, at)];
                if self.try_pair(a, &rest, b, &forwards) {
                    return true;
                }
                let backwards = [Head(b, at), Reversed(a, i, i + run), Tail(b, at)];
                if run > 1 && self.try_pair(a, &rest, b, &backwards) {
                    return true;
                }
            }
            for other in 1..=2.min(len_b - j).min(run) {
                for at in [j, j + 1].into_iter().filter(|at| at + other <= len_b) {
                    let in_a = [Head(a, i), Middle(b, at, at + other), Tail(a, i + run)];
                    let in_b = [Head(b, at), Middle(a, i, i + run), Tail(b, at + other)];
                    if self.try_pair(a, &in_a, b, &in_b) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// `a` keeps its first `i` stops, `b` its first `j`, and each takes the other's rest.
    fn exchange_tails(&mut self, a: usize, i: usize, b: usize, j: usize) -> bool {
        self.try_pair(a, &[Head(a, i), Tail(b, j)], b, &[Head(b, j), Tail(a, i)])
    }

    /// Makes the move if both new routes are feasible and cheaper together.
    fn try_pair(&mut self, a: usize, pieces_a: &[Piece], b: usize, pieces_b: &[Piece]) -> bool {
        let working = &mut *self.working;
        let before = working.routes[a].cost + working.routes[b].cost;
        let Some(cost_a) = working.price(a, pieces_a).filter(|&cost| cost < before) else { return false };
        if working.price(b, pieces_b).is_none_or(|cost_b| cost_a + cost_b >= before) {
            return false;
        }
        if !working.carries(a, pieces_a) || !working.carries(b, pieces_b) {
            return false;
        }
        let (order_a, order_b) = (working.written_out(pieces_a), working.written_out(pieces_b));
        working.set(a, order_a);
        working.set(b, order_b);
        self.clock += 1;
        (self.changed[a], self.changed[b]) = (self.clock, self.clock);
        true
    }

    /// Repeats 2-opt, or-opt and swap inside one route until none helps.
    fn improve_inside(&mut self, vehicle: usize, stop: &dyn Fn() -> bool) {
        let mut improved = true;
        while improved {
            improved = false;
            for i in 0..self.working.routes[vehicle].stops.len() {
                if stop() {
                    return;
                }
                improved |= self.reverse_from(vehicle, i) || self.swap_from(vehicle, i) || self.shift_from(vehicle, i);
            }
        }
    }

    /// 2-opt: the stops `i..=j` backwards, for each `j`; the reversed run grows by one stop a step.
    fn reverse_from(&mut self, vehicle: usize, i: usize) -> bool {
        let working = &*self.working;
        let stops = &working.routes[vehicle].stops;
        let mut run = Segment::EMPTY;
        for j in i..stops.len() {
            run = working.single[stops[j]].join(working.problem, run);
            let parts = [working.head(vehicle, i), run, working.tail(vehicle, j + 1)];
            if j > i && self.helps(vehicle, &parts) {
                let mut order = stops.clone();
                order[i..=j].reverse();
                return self.reorder(vehicle, order);
            }
        }
        false
    }

    /// Swap of the stops at `i` and `j`, for each `j`; the run between them grows by one stop a step.
    fn swap_from(&mut self, vehicle: usize, i: usize) -> bool {
        let working = &*self.working;
        let stops = &working.routes[vehicle].stops;
        let mut between = Segment::EMPTY;
        for j in i + 1..stops.len() {
            let swapped = working.single[stops[j]].join(working.problem, between);
            let swapped = swapped.join(working.problem, working.single[stops[i]]);
            if self.helps(vehicle, &[working.head(vehicle, i), swapped, working.tail(vehicle, j + 1)]) {
                let mut order = stops.clone();
                order.swap(i, j);
                return self.reorder(vehicle, order);
            }
            between = between.join(working.problem, working.single[stops[j]]);
        }
        false
    }

    /// Or-opt: a run of up to three stops from `i` moves forwards or backwards, either way round.
    fn shift_from(&mut self, vehicle: usize, i: usize) -> bool {
        let length = self.working.routes[vehicle].stops.len();
        (1..=LONGEST_RUN.min(length - i))
            .any(|run| self.shift_run(vehicle, i, run, false) || (run > 1 && self.shift_run(vehicle, i, run, true)))
    }

    fn shift_run(&mut self, vehicle: usize, i: usize, run: usize, backwards: bool) -> bool {
        let working = &*self.working;
        let (problem, stops) = (working.problem, &working.routes[vehicle].stops);
        let mut moved = stops[i..i + run].to_vec();
        if backwards {
            moved.reverse();
        }
        let moved_sum = moved.iter().fold(Segment::EMPTY, |sum, &stop| sum.join(problem, working.single[stop]));
        let mut found = None;
        let mut passed = Segment::EMPTY;
        for (at, &next) in stops.iter().enumerate().skip(i + run) {
            passed = passed.join(problem, working.single[next]);
            if self.helps(vehicle, &[working.head(vehicle, i), passed, moved_sum, working.tail(vehicle, at + 1)]) {
                found = Some(at + 1 - run);
                break;
            }
        }
        let mut passed = Segment::EMPTY;
        for at in (0..i).rev() {
            if found.is_some() {
                break;
            }
            passed = working.single[stops[at]].join(problem, passed);
            if self.helps(vehicle, &[working.head(vehicle, at), moved_sum, passed, working.tail(vehicle, i + run)]) {
                found = Some(at);
            }
        }
        let Some(at) = found else { return false };
        let mut order = stops.clone();
        order.drain(i..i + run);
        order.splice(at..at, moved);
        self.reorder(vehicle, order)
    }

    fn helps(&self, vehicle: usize, parts: &[Segment]) -> bool {
        let run = parts.iter().fold(Segment::EMPTY, |run, &part| run.join(self.working.problem, part));
        self.working.close(vehicle, run).is_some_and(|cost| cost < self.working.routes[vehicle].cost)
    }

    /// Takes a cheaper order of the same stops unless its loads do not fit, which only mixed pickups and deliveries can cause.
    fn reorder(&mut self, vehicle: usize, order: Vec<usize>) -> bool {
        if !self.working.carries_order(vehicle, &order) {
            return false;
        }
        self.working.set(vehicle, order);
        self.clock += 1;
        self.changed[vehicle] = self.clock;
        true
    }
}
