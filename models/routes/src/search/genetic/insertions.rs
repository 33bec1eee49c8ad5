//! SWAP* (Vidal 2022): a stop of each of two routes goes to the best place on the other, as if the stop that leaves it were gone;
//! the three best places of a stop on a route are remembered until the route changes.

use super::descent::Descent;
use super::ground::Ground;

/// The best places for one stop on one route.
#[derive(Debug, Clone, Copy)]
struct Places {
    /// The clock when they were found; 0 when never.
    found: u64,
    /// What an insertion adds, and behind which node it is; best first.
    best: [(i64, u32); 3],
}

const NO_PLACE: (i64, u32) = (i64::MAX / 4, u32::MAX);

impl Places {
    fn offer(&mut self, added: i64, node: u32) {
        if added >= self.best[2].0 {
            return;
        }
        self.best[2] = (added, node);
        if added < self.best[1].0 {
            self.best.swap(1, 2);
        }
        if added < self.best[0].0 {
            self.best.swap(0, 1);
        }
    }
}

/// The best places of every stop on every route.
#[derive(Debug)]
pub(super) struct Insertions {
    stops: usize,
    places: Vec<Places>,
    removal: Vec<i64>,
}

impl Insertions {
    pub(super) fn new(ground: &Ground) -> Insertions {
        let none = Places { found: 0, best: [NO_PLACE; 3] };
        let places = vec![none; ground.stops * ground.vehicles];
        Insertions { stops: ground.stops, places, removal: vec![0; ground.stops] }
    }
}

/// The best exchange so far: the stops that leave either route, each with the node behind which it goes.
#[derive(Clone, Copy)]
struct Found {
    cost: i64,
    from_a: Option<(u32, u32)>,
    from_b: Option<(u32, u32)>,
}

impl Descent<'_> {
    /// Makes the best exchange of one stop each, or move of one stop, between two routes when it pays.
    pub(super) fn exchange(&mut self, a: u32, b: u32) {
        self.prepare(a, b);
        self.prepare(b, a);
        let mut best = Found { cost: 0, from_a: None, from_b: None };
        for u in self.stops_of(a) {
            for v in self.stops_of(b) {
                self.try_exchange((a, u), (b, v), &mut best);
            }
        }
        for u in self.stops_of(a) {
            self.try_moving(u, a, b, &mut best, |place| (Some((u, place)), None));
        }
        for v in self.stops_of(b) {
            self.try_moving(v, b, a, &mut best, |place| (None, Some((v, place))));
        }
        if best.cost >= 0 {
            return;
        }
        for (stop, before) in [best.from_a, best.from_b].into_iter().flatten() {
            self.put_after(stop, before);
        }
        self.moved(a, b);
    }

    /// What taking each stop off the route saves, and its best places on the other.
    fn prepare(&mut self, from: u32, to: u32) {
        let mut stop = self.nodes[self.first(from) as usize].next;
        while self.is_stop(stop) {
            let node = self.nodes[stop as usize];
            self.insertions.removal[stop as usize] =
                self.leg(node.previous, node.next) - self.leg(node.previous, stop) - self.leg(stop, node.next);
            let at = to as usize * self.insertions.stops + stop as usize;
            if self.insertions.places[at].found < self.courses[to as usize].changed {
                let mut places = Places { found: self.clock, best: [NO_PLACE; 3] };
                let mut before = self.first(to);
                let last = self.last(to);
                let mut leg = self.leg(before, stop);
                while before != last {
                    let after = self.nodes[before as usize].next;
                    let onward = self.leg(stop, after);
                    places.offer(leg + onward - self.leg(before, after), before);
                    (before, leg) = (after, onward);
                }
                self.insertions.places[at] = places;
            }
            stop = node.next;
        }
    }

    fn try_exchange(&self, (a, u): (u32, u32), (b, v): (u32, u32), best: &mut Found) {
        let (one, other) = (&self.courses[a as usize], &self.courses[b as usize]);
        let shift = self.amount(v) - self.amount(u);
        let excess = self.excess_cost(one.load + shift) + self.excess_cost(other.load - shift)
            - one.excess_cost
            - other.excess_cost;
        let removals = self.insertions.removal[u as usize] + self.insertions.removal[v as usize];
        if excess + removals >= best.cost {
            return;
        }
        let (into_b, into_a) = (self.place_without(u, b, v), self.place_without(v, a, u));
        let cost = excess + removals + into_a.0 + into_b.0;
        if cost < best.cost {
            *best = Found { cost, from_a: Some((u, into_b.1)), from_b: Some((v, into_a.1)) };
        }
    }

    /// The best place of the stop on a route that `leaving` is taken off.
    fn place_without(&self, stop: u32, route: u32, leaving: u32) -> (i64, u32) {
        let gone = self.nodes[leaving as usize];
        let instead = self.leg(gone.previous, stop) + self.leg(stop, gone.next) - self.leg(gone.previous, gone.next);
        let places = &self.insertions.places[route as usize * self.insertions.stops + stop as usize];
        let stays = |&&(_, before): &&(i64, u32)| before != leaving && before != gone.previous;
        let known = places.best.iter().find(stays).copied().unwrap_or(NO_PLACE);
        if known.0 < instead { known } else { (instead, gone.previous) }
    }

    fn try_moving(
        &self,
        stop: u32,
        from: u32,
        to: u32,
        best: &mut Found,
        found: impl Fn(u32) -> (Option<(u32, u32)>, Option<(u32, u32)>),
    ) {
        let (one, other, amount) = (&self.courses[from as usize], &self.courses[to as usize], self.amount(stop));
        let (added, place) = self.insertions.places[to as usize * self.insertions.stops + stop as usize].best[0];
        let cost = self.insertions.removal[stop as usize]
            + added
            + self.excess_cost(one.load - amount)
            + self.excess_cost(other.load + amount)
            - one.excess_cost
            - other.excess_cost;
        if cost < best.cost {
            let (from_a, from_b) = found(place);
            *best = Found { cost, from_a, from_b };
        }
    }
}
