//! Local search to a plan that no small move improves (Vidal et al. 2012, Vidal 2022): moves next to near stops, then exchanges
//! between routes; loads over capacity have a price. It keeps no plan between two calls.

use super::super::random::Random;
use super::ground::{Ground, TURN};
use super::insertions::Insertions;

/// A stop on a route, or one of the two visits of a route to the depot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) next: u32,
    pub(super) previous: u32,
    pub(super) route: u32,
    pub(super) position: u32,
    /// The legs that lead on from here and that lead here.
    pub(super) onward: i64,
    pub(super) backward: i64,
    /// Amounts up to this node.
    pub(super) load: i64,
    /// The clock when moves of this stop were last tried.
    tried: u64,
}

/// Sums of one route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    pub(super) load: i64,
    pub(super) stops: u32,
    /// What its load over capacity costs.
    pub(super) excess_cost: i64,
    /// The clock when it was last changed, and when exchanges with it were last tried.
    pub(super) changed: u64,
    tried: u64,
    /// Where the directions of its stops begin, and how far they go on.
    sector: (i32, i32),
}

/// Memory of the descent.
#[derive(Debug)]
pub(super) struct Descent<'g> {
    pub(super) ground: &'g Ground,
    /// The stops, then first and last visit to the depot of each route.
    pub(super) nodes: Vec<Node>,
    pub(super) courses: Vec<Course>,
    pub(super) insertions: Insertions,
    penalty: i64,
    /// Counts changes of routes; it never goes back, so that what was computed for an earlier plan is known to be old.
    pub(super) clock: u64,
    /// The clock when the present plan was loaded.
    loaded: u64,
    found: bool,
    order: Vec<u32>,
    /// Per route: the settled parts that it belongs to, one bit each.
    settled: Vec<u8>,
    near: Vec<Vec<u32>>,
}

impl<'g> Descent<'g> {
    pub(super) fn new(ground: &'g Ground) -> Descent<'g> {
        let (stops, routes) = (ground.stops as u32, ground.vehicles as u32);
        let node = |place: u32, route: u32| Node {
            next: place,
            previous: place,
            route,
            position: 0,
            onward: 0,
            backward: 0,
            load: 0,
            tried: 0,
        };
        let inner = (0..stops).map(|stop| node(stop, 0));
        let depots = (0..2 * routes).map(|visit| node(stops + visit, visit / 2));
        let course = Course { load: 0, stops: 0, excess_cost: 0, changed: 0, tried: 0, sector: (0, 0) };
        Descent {
            ground,
            nodes: inner.chain(depots).collect(),
            courses: vec![course; routes as usize],
            insertions: Insertions::new(ground),
            penalty: 0,
            clock: 1,
            loaded: 1,
            found: false,
            order: (0..stops).collect(),
            settled: vec![0; routes as usize],
            near: ground.near.clone(),
        }
    }

    /// Improves these routes as far as single moves go; at most `ground.vehicles` routes come in and out. No move between two
    /// routes that share a bit of `settled` pays as long as neither changes: the caller knows that from earlier descents.
    pub(super) fn run(
        &mut self,
        routes: &[Vec<u32>],
        settled: impl Fn(&[u32]) -> u8,
        penalty: i64,
        random: &mut Random,
    ) -> Vec<Vec<u32>> {
        self.penalty = penalty;
        self.load(routes);
        for (route, bits) in self.settled.iter_mut().enumerate() {
            *bits = routes.get(route).map_or(0, |route| settled(route));
        }
        random.shuffle(&mut self.order);
        for stop in 0..self.ground.stops {
            if random.below(self.near[stop].len().max(1)) == 0 {
                random.shuffle(&mut self.near[stop]);
            }
        }
        let mut round = 0;
        loop {
            self.found = false;
            self.try_near(round);
            self.try_exchanges(round == 0);
            round += 1;
            if !self.found && round > 1 {
                return self.routes();
            }
        }
    }

    fn load(&mut self, routes: &[Vec<u32>]) {
        self.clock += 1;
        self.loaded = self.clock;
        for route in 0..self.courses.len() {
            self.lay(route as u32, routes.get(route).map_or(&[], Vec::as_slice));
        }
    }

    /// The routes with stops, by the direction in which they lie.
    fn routes(&self) -> Vec<Vec<u32>> {
        let used = |route: &u32| self.courses[*route as usize].stops > 0;
        let mut routes: Vec<u32> = (0..self.courses.len() as u32).filter(used).collect();
        let middle = |route: u32| {
            let (begin, width) = self.courses[route as usize].sector;
            (begin + width / 2).rem_euclid(TURN)
        };
        routes.sort_by_key(|&route| (middle(route), route));
        routes.iter().map(|&route| self.stops_of(route).collect()).collect()
    }

    pub(super) fn first(&self, route: u32) -> u32 {
        self.ground.stops as u32 + 2 * route
    }

    pub(super) fn last(&self, route: u32) -> u32 {
        self.ground.stops as u32 + 2 * route + 1
    }

    pub(super) fn is_stop(&self, node: u32) -> bool {
        (node as usize) < self.ground.stops
    }

    pub(super) fn stops_of(&self, route: u32) -> impl Iterator<Item = u32> + '_ {
        let first = self.nodes[self.first(route) as usize].next;
        std::iter::successors(Some(first), |&node| Some(self.nodes[node as usize].next))
            .take(self.courses[route as usize].stops as usize)
    }

    /// The stop, or the depot.
    #[inline]
    pub(super) fn place(&self, node: u32) -> u32 {
        node.min(self.ground.depot())
    }

    #[inline]
    pub(super) fn leg(&self, from: u32, to: u32) -> i64 {
        self.ground.leg(self.place(from), self.place(to))
    }

    #[inline]
    pub(super) fn amount(&self, node: u32) -> i64 {
        self.ground.amount[self.place(node) as usize]
    }

    #[inline]
    pub(super) fn excess_cost(&self, load: i64) -> i64 {
        self.penalty * (load - self.ground.capacity).max(0)
    }

    /// Gives the route these stops.
    pub(super) fn lay(&mut self, route: u32, stops: &[u32]) {
        let (first, last) = (self.first(route), self.last(route));
        let mut previous = first;
        for &node in stops.iter().chain([&last]) {
            self.nodes[previous as usize].next = node;
            self.nodes[node as usize].previous = previous;
            previous = node;
        }
        self.courses[route as usize].stops = stops.len() as u32;
        self.sum_up(route);
    }

    /// Counts the route's nodes anew after a change of its links.
    pub(super) fn sum_up(&mut self, route: u32) {
        let ground = self.ground;
        let (first, last) = (self.first(route), self.last(route));
        let (mut load, mut position, mut node, mut leg) = (0, 0, first, 0);
        let mut sector: Option<(i32, i32)> = None;
        loop {
            let here = &mut self.nodes[node as usize];
            let place = node.min(ground.depot());
            load += ground.amount[place as usize];
            (here.route, here.position, here.load, here.backward) = (route, position, load, leg);
            leg = ground.leg(place, here.next.min(ground.depot()));
            here.onward = leg;
            if let Some(&direction) = ground.direction.get(node as usize) {
                sector = Some(widened(sector, direction));
            }
            if node == last {
                break;
            }
            node = here.next;
            position += 1;
        }
        let excess_cost = self.excess_cost(load);
        let course = &mut self.courses[route as usize];
        (course.load, course.stops, course.excess_cost) = (load, position - 1, excess_cost);
        course.changed = self.clock;
        course.sector = sector.unwrap_or((0, TURN));
    }

    /// Tries every stop beside those near it, and on a vehicle that is not used.
    fn try_near(&mut self, round: usize) {
        for index in 0..self.order.len() {
            let stop = self.order[index];
            let tried = std::mem::replace(&mut self.nodes[stop as usize].tried, self.clock);
            let near = std::mem::take(&mut self.near[stop as usize]);
            let mut here = self.here(stop);
            for &other in &near {
                if !self.is_new(self.nodes[stop as usize].route, self.nodes[other as usize].route, round == 0, tried) {
                    continue;
                }
                if self.try_beside(&here, other) {
                    here = self.here(stop);
                }
                let before = self.nodes[other as usize].previous;
                if !self.is_stop(before) && self.try_beside(&here, before) {
                    here = self.here(stop);
                }
            }
            self.near[stop as usize] = near;
            let unused = (round > 0).then(|| self.courses.iter().position(|course| course.stops == 0)).flatten();
            if let Some(route) = unused {
                let depot = self.first(route as u32);
                let there = self.nodes[depot as usize];
                let _ = self.relocate(&here, depot, &there) || self.swap_tails(&here, depot, &there);
            }
        }
    }

    /// True when a move between these routes may pay: one was changed since `tried`, or nothing was tried yet.
    #[inline]
    fn is_new(&self, a: u32, b: u32, first: bool, tried: u64) -> bool {
        let (a, b) = (a as usize, b as usize);
        let settled = self.settled[a] & self.settled[b] != 0;
        let since = if first { self.loaded } else { tried };
        first && !settled || self.courses[a].changed.max(self.courses[b].changed) > since
    }

    /// Tries exchanges between routes whose directions overlap.
    fn try_exchanges(&mut self, all: bool) {
        let count = self.courses.len();
        for a in 0..count {
            if self.courses[a].stops == 0 {
                continue;
            }
            let tried = std::mem::replace(&mut self.courses[a].tried, self.clock);
            for b in a + 1..count {
                let (one, other) = (&self.courses[a], &self.courses[b]);
                if self.is_new(a as u32, b as u32, all, tried)
                    && one.stops > 0
                    && other.stops > 0
                    && overlap(one.sector, other.sector)
                {
                    self.exchange(a as u32, b as u32);
                }
            }
        }
    }

    /// Notes that a move was made on these routes.
    pub(super) fn moved(&mut self, a: u32, b: u32) {
        self.clock += 1;
        self.found = true;
        self.sum_up(a);
        if a != b {
            self.sum_up(b);
        }
    }

    /// Takes the node out of its route and puts it after another; `moved` must follow.
    pub(super) fn put_after(&mut self, node: u32, before: u32) {
        let Node { next, previous, .. } = self.nodes[node as usize];
        self.nodes[previous as usize].next = next;
        self.nodes[next as usize].previous = previous;
        let after = std::mem::replace(&mut self.nodes[before as usize].next, node);
        self.nodes[after as usize].previous = node;
        let node = &mut self.nodes[node as usize];
        (node.previous, node.next) = (before, after);
    }
}

/// The sector, widened by as little as holds the direction.
fn widened(sector: Option<(i32, i32)>, direction: i32) -> (i32, i32) {
    let Some((begin, width)) = sector else { return (direction, 0) };
    let ahead = (direction - begin).rem_euclid(TURN);
    if ahead <= width {
        (begin, width)
    } else if ahead - width <= TURN - ahead {
        (begin, ahead)
    } else {
        (direction, width + TURN - ahead)
    }
}

fn overlap(a: (i32, i32), b: (i32, i32)) -> bool {
    (b.0 - a.0).rem_euclid(TURN) <= a.1 || (a.0 - b.0).rem_euclid(TURN) <= b.1
}
