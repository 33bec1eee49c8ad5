//! Moves of one stop, or of it and the next one, beside another stop, and exchanges of tails; it looks at one pair of stops.

use super::descent::{Descent, Node};

/// A stop with what every move of it asks for.
#[derive(Clone, Copy)]
pub(super) struct Here<'g> {
    u: u32,
    node: Node,
    /// Legs from the stop, the next one, the one before and the one after the next.
    from_u: &'g [i32],
    from_x: &'g [i32],
    from_before: &'g [i32],
    from_after: &'g [i32],
    amount: i64,
    /// The stop and the next one; none when that is the depot.
    amount_of_both: Option<i64>,
    /// What closing the gap behind one, or both, adds; below 0 as a rule.
    gap: i64,
    gap_of_both: i64,
}

impl<'g> Descent<'g> {
    pub(super) fn here(&self, u: u32) -> Here<'g> {
        let ground = self.ground;
        let node = self.nodes[u as usize];
        let (x, before) = (self.place(node.next), self.place(node.previous));
        let next = self.nodes[node.next as usize];
        let after = if self.is_stop(node.next) { self.place(next.next) } else { x };
        let from_before = ground.legs_from(before);
        let amount = self.amount(u);
        Here {
            u,
            node,
            from_u: ground.legs_from(u),
            from_x: ground.legs_from(x),
            from_before,
            from_after: ground.legs_from(after),
            amount,
            amount_of_both: self.is_stop(node.next).then(|| amount + self.amount(node.next)),
            gap: i64::from(from_before[x as usize]) - node.backward - node.onward,
            gap_of_both: i64::from(from_before[after as usize]) - node.backward - next.onward,
        }
    }

    /// Makes the first move of the stop beside `v`, or after a depot, that pays.
    #[inline]
    pub(super) fn try_beside(&mut self, here: &Here, v: u32) -> bool {
        let there = self.nodes[v as usize];
        if self.relocate(here, v, &there) || self.is_stop(v) && self.swap(here, v, &there) {
            return true;
        }
        if here.node.route != there.route {
            self.swap_tails_reversed(here, v, &there) || self.swap_tails(here, v, &there)
        } else {
            self.is_stop(v) && self.reverse(here, v, &there)
        }
    }

    /// `u`, or `u` and the next stop in either order, go behind `v`.
    #[inline]
    pub(super) fn relocate(&mut self, here: &Here, v: u32, there: &Node) -> bool {
        let (u, x) = (here.u, here.node.next);
        if there.next == u {
            return false;
        }
        let (at, y) = (self.place(v) as usize, self.place(there.next) as usize);
        let (from_u, from_x) = (|to: usize| i64::from(here.from_u[to]), |to: usize| i64::from(here.from_x[to]));
        let single = here.gap + from_u(at) + from_u(y) - there.onward;
        if self.pays(single, here.node.route, there.route, here.amount) {
            self.put_after(u, v);
            self.moved(here.node.route, there.route);
            return true;
        }
        let Some(carried) = here.amount_of_both.filter(|_| x != v) else { return false };
        let both = here.gap_of_both - there.onward;
        let straight = both + from_u(at) + from_x(y);
        let turned = both + from_x(at) + from_u(y);
        if self.pays(straight, here.node.route, there.route, carried) {
            self.put_after(u, v);
            self.put_after(x, u);
        } else if self.pays(turned, here.node.route, there.route, carried) {
            self.put_after(x, v);
            self.put_after(u, x);
        } else {
            return false;
        }
        self.moved(here.node.route, there.route);
        true
    }

    /// `u`, or `u` and the next stop, change places with `v`, or with `v` and the next stop.
    #[inline]
    fn swap(&mut self, here: &Here, v: u32, there: &Node) -> bool {
        let (u, Node { next: x, previous: before_u, route, .. }) = (here.u, here.node);
        if u == there.previous || u == there.next {
            return false;
        }
        let (at, y, before) = (v as usize, self.place(there.next) as usize, self.place(there.previous) as usize);
        let leg = |from: &[i32], to: usize| i64::from(from[to]);
        let enters_u = leg(here.from_u, before);
        let around_v = there.backward + there.onward;
        let first_leg = leg(here.from_before, at);
        if u < v {
            let legs = first_leg + leg(here.from_x, at) - here.node.backward - here.node.onward
                + enters_u
                + leg(here.from_u, y)
                - around_v;
            if self.pays(legs, route, there.route, here.amount - self.amount(v)) {
                self.change_places(u, v);
                self.moved(route, there.route);
                return true;
            }
        }
        let Some(carried) = here.amount_of_both.filter(|_| x != there.previous) else { return false };
        let next = self.nodes[x as usize];
        let open_u = first_leg - here.node.backward - next.onward + enters_u;
        let legs = open_u + leg(here.from_after, at) + leg(here.from_x, y) - around_v;
        if self.pays(legs, route, there.route, carried - self.amount(v)) {
            self.change_places(u, v);
            self.put_after(x, u);
            self.moved(route, there.route);
            return true;
        }
        if u > v || !self.is_stop(there.next) || there.next == before_u {
            return false;
        }
        let beyond = self.nodes[there.next as usize];
        let after_y = self.place(beyond.next) as usize;
        let legs = open_u + leg(here.from_after, y) + leg(here.from_x, after_y) - there.backward - beyond.onward;
        if self.pays(legs, route, there.route, carried - self.amount(v) - self.amount(there.next)) {
            self.change_places(u, v);
            self.change_places(x, there.next);
            self.moved(route, there.route);
            return true;
        }
        false
    }

    /// True when legs and loads cost less after so much more goes from the first route to the second than comes back.
    #[inline]
    fn pays(&self, legs: i64, from: u32, to: u32, goes: i64) -> bool {
        let (one, other) = (&self.courses[from as usize], &self.courses[to as usize]);
        let now = one.excess_cost + other.excess_cost;
        if from == to {
            return legs < 0;
        }
        legs < now && legs + self.excess_cost(one.load - goes) + self.excess_cost(other.load + goes) < now
    }

    /// Two stops that do not follow each other change places.
    fn change_places(&mut self, u: u32, v: u32) {
        let (before_u, before_v) = (self.nodes[u as usize].previous, self.nodes[v as usize].previous);
        self.put_after(u, before_v);
        self.put_after(v, before_u);
    }

    /// 2-opt: the way from after `u` to `v` is turned round.
    fn reverse(&mut self, here: &Here, v: u32, there: &Node) -> bool {
        if here.node.position > there.position || here.node.next == v {
            return false;
        }
        let y = self.place(there.next) as usize;
        let legs = i64::from(here.from_u[v as usize]) + i64::from(here.from_x[y]) - here.node.onward - there.onward;
        if legs >= 0 {
            return false;
        }
        self.turn(here.node.next, v);
        self.moved(there.route, there.route);
        true
    }

    /// Turns round the way from `first` to `last`, which follow each other on one route.
    fn turn(&mut self, first: u32, last: u32) {
        let (before, after) = (self.nodes[first as usize].previous, self.nodes[last as usize].next);
        let (mut node, mut previous) = (last, before);
        loop {
            let onward = self.nodes[node as usize].previous;
            self.link(previous, node);
            if node == first {
                break;
            }
            (previous, node) = (node, onward);
        }
        self.link(first, after);
    }

    fn link(&mut self, from: u32, to: u32) {
        self.nodes[from as usize].next = to;
        self.nodes[to as usize].previous = from;
    }

    /// True when legs cost less after the move and loads, which become these, do not cost more in turn.
    #[inline]
    fn tails_pay(&self, legs: i64, (from, to): (u32, u32), loads: impl Fn(i64, i64) -> (i64, i64)) -> bool {
        let (one, other) = (&self.courses[from as usize], &self.courses[to as usize]);
        let now = one.excess_cost + other.excess_cost;
        if legs >= now {
            return false;
        }
        let loads = loads(one.load, other.load);
        legs + self.excess_cost(loads.0) + self.excess_cost(loads.1) < now
    }

    /// 2-opt*: what follows `u` and what follows `v` change places.
    #[inline]
    pub(super) fn swap_tails(&mut self, here: &Here, v: u32, there: &Node) -> bool {
        let (u, x, y, routes) = (here.u, here.node.next, there.next, (here.node.route, there.route));
        let legs = i64::from(here.from_u[self.place(y) as usize]) + i64::from(here.from_x[self.place(v) as usize])
            - here.node.onward
            - there.onward;
        let shift = here.node.load - there.load;
        if !self.tails_pay(legs, routes, |one, other| (other + shift, one - shift)) {
            return false;
        }
        let ends = (self.last(routes.0), self.last(routes.1));
        let lasts = (self.nodes[ends.0 as usize].previous, self.nodes[ends.1 as usize].previous);
        self.follow(u, (y != ends.1).then_some((y, lasts.1)), ends.0);
        self.follow(v, (x != ends.0).then_some((x, lasts.0)), ends.1);
        self.moved(routes.0, routes.1);
        true
    }

    /// After `node` come the chain, if there is one, and the end of the route.
    fn follow(&mut self, node: u32, chain: Option<(u32, u32)>, end: u32) {
        if let Some((first, last)) = chain {
            self.link(node, first);
            self.link(last, end);
        } else {
            self.link(node, end);
        }
    }

    /// The other 2-opt*: the ways up to `u` and `v` become one route, and what follows them the other.
    #[inline]
    fn swap_tails_reversed(&mut self, here: &Here, v: u32, there: &Node) -> bool {
        let routes = (here.node.route, there.route);
        let (at, y) = (self.place(v) as usize, self.place(there.next) as usize);
        let legs = i64::from(here.from_u[at]) + i64::from(here.from_x[y]) - here.node.onward - there.onward;
        let heads = here.node.load + there.load;
        if !self.tails_pay(legs, routes, |one, other| (heads, one + other - heads)) {
            return false;
        }
        let (until_u, until_v) = (here.node.position as usize, there.position as usize);
        let mut joined: Vec<u32> = self.stops_of(routes.0).take(until_u).collect();
        let mut rest: Vec<u32> = self.stops_of(routes.0).skip(until_u).collect();
        rest.reverse();
        let other: Vec<u32> = self.stops_of(routes.1).collect();
        joined.extend(other[..until_v].iter().rev());
        rest.extend(&other[until_v..]);
        self.lay(routes.0, &joined);
        self.lay(routes.1, &rest);
        self.moved(routes.0, routes.1);
        true
    }
}
