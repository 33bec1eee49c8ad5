//! The first plan: Clarke and Wright's savings where loads are all that limits a route, of vehicles of several sizes with what a
//! larger one costs (the optimistic savings of Golden, Assad, Levy and Gheysens 1984), else insertions; it improves nothing.

use super::instance::{Class, Instance};
use super::recreate::Recreate;
use super::state::State;

/// Neighbours with which a stop is joined.
const NEIGHBOURS: usize = 40;
/// Classes of vehicles for which routes are priced; with more, stops are inserted one by one.
const CLASSES_MAX: usize = 16;

/// Serves what can be served.
pub(super) fn construct(state: &mut State, recreate: &mut Recreate) {
    if loads_alone_matter_on_each(state.instance) {
        let chains = Chains::joined(state.instance);
        let classes: Vec<usize> = state.routes.iter().map(|route| route.class).collect();
        state.take(&chains.orders(state.instance, &classes));
    }
    recreate.complete(state);
}

/// True when the sum of loads is the one thing that limits a route, and vehicles are alike.
pub(super) fn loads_alone_matter(instance: &Instance) -> bool {
    instance.classes.len() == 1 && loads_alone_matter_on_each(instance)
}

/// The same where vehicles may have several sizes and prices, but begin and end at one place.
fn loads_alone_matter_on_each(instance: &Instance) -> bool {
    let one_trip = instance.backhaul.is_empty() && !instance.has_reloads();
    let plain = !instance.timed && !instance.mixed_loads && one_trip && !instance.is_choosy();
    let first = &instance.classes[0];
    let simple = |class: &Class| {
        !class.limits_driving()
            && class.max_stops >= instance.stops
            && class.duty == 0
            && (class.start, class.end) == (first.start, first.end)
    };
    let alike = instance.classes.len() == 1 && !first.limits_driving() && first.max_stops >= instance.stops;
    plain && (alike || (instance.classes.len() <= CLASSES_MAX && instance.classes.iter().all(simple)))
}

/// Stops joined end to end, in either direction.
struct Chains {
    /// Per stop, the one or two stops that it is joined with.
    joined: Vec<[Option<u32>; 2]>,
    /// Per stop, a stop on the way to the one that stands for its chain.
    parent: Vec<u32>,
    /// Per standing stop and dimension, the chain's amounts.
    load: Vec<i64>,
    /// Per standing stop and class, what the chain costs on such a vehicle, its fixed cost included.
    cost: Vec<i64>,
}

impl Chains {
    fn joined(instance: &Instance) -> Chains {
        let (stops, class) = (instance.stops, &instance.classes[0]);
        let load = instance.delivery.iter().zip(&instance.pickup).map(|(delivery, pickup)| delivery + pickup).collect();
        let alone =
            |stop: usize| instance.classes.iter().map(move |class| class.fixed + around(instance, class, stop, stop));
        let cost = (0..stops).flat_map(alone).collect();
        let mut chains = Chains { joined: vec![[None; 2]; stops], parent: (0..stops as u32).collect(), load, cost };
        let metric = class.cost(instance);
        let mut savings: Vec<(i64, u32, u32)> = Vec::with_capacity(stops * NEIGHBOURS);
        for a in 0..stops {
            let near = instance.near(a);
            for &b in &near[..near.len().min(NEIGHBOURS)] {
                let saved = metric.get(a, class.end) + metric.get(class.start, b as usize) - metric.get(a, b as usize);
                if saved > 0 {
                    savings.push((-saved, a as u32, b));
                }
            }
        }
        savings.sort_unstable();
        for (_, a, b) in savings {
            chains.join(instance, a, b);
        }
        chains
    }

    fn standing(&mut self, mut stop: u32) -> u32 {
        while self.parent[stop as usize] != stop {
            let above = self.parent[self.parent[stop as usize] as usize];
            self.parent[stop as usize] = above;
            stop = above;
        }
        stop
    }

    /// What a load costs on the vehicle that carries it cheapest; nothing where none does.
    fn cheapest(instance: &Instance, load: &[i64], cost: &[i64]) -> Option<i64> {
        let carries = |class: &Class| load.iter().zip(&class.capacity).all(|(load, capacity)| load <= capacity);
        let classes = instance.classes.iter().zip(cost);
        classes.filter(|(class, _)| carries(class)).map(|(_, &cost)| cost).min()
    }

    /// Joins two ends of different chains when a vehicle carries both, and for less than two do apart.
    fn join(&mut self, instance: &Instance, a: u32, b: u32) {
        if self.joined[a as usize][1].is_some() || self.joined[b as usize][1].is_some() {
            return;
        }
        let (front, back) = (self.standing(a) as usize, self.standing(b) as usize);
        if front == back {
            return;
        }
        let (dimensions, count) = (instance.dimensions, instance.classes.len());
        let loads = |of: usize| of * dimensions..(of + 1) * dimensions;
        let costs = |of: usize| of * count..(of + 1) * count;
        let load: Vec<i64> =
            loads(front).zip(loads(back)).map(|(one, other)| self.load[one] + self.load[other]).collect();
        let together = instance.classes.iter().zip(costs(front).zip(costs(back))).map(|(class, (one, other))| {
            let metric = class.cost(instance);
            let saved = metric.get(a as usize, class.end) + metric.get(class.start, b as usize)
                - metric.get(a as usize, b as usize);
            self.cost[one] + self.cost[other] - class.fixed - saved
        });
        let together: Vec<i64> = together.collect();
        let Some(joined) = Self::cheapest(instance, &load, &together) else { return };
        let apart = [front, back].map(|of| Self::cheapest(instance, &self.load[loads(of)], &self.cost[costs(of)]));
        if let [Some(one), Some(other)] = apart
            && joined >= one.saturating_add(other)
        {
            return;
        }
        self.parent[back] = front as u32;
        self.load[loads(front)].copy_from_slice(&load);
        self.cost[costs(front)].copy_from_slice(&together);
        for (end, other) in [(a, b), (b, a)] {
            let joined = &mut self.joined[end as usize];
            joined[usize::from(joined[0].is_some())] = Some(other);
        }
    }

    /// The chains as orders of routes, whose classes are given: longest first, each on the vehicle that is left and carries it
    /// cheapest. Those beyond are left out.
    fn orders(&self, instance: &Instance, classes: &[usize]) -> Vec<Vec<u32>> {
        let mut seen = vec![false; self.joined.len()];
        let mut chains = Vec::new();
        for end in (0..self.joined.len()).filter(|&stop| self.joined[stop][1].is_none()) {
            let mut order = Vec::new();
            let mut next = (!seen[end]).then_some(end as u32);
            while let Some(stop) = next {
                seen[stop as usize] = true;
                order.push(stop);
                next = self.joined[stop as usize].into_iter().flatten().find(|&other| !seen[other as usize]);
            }
            chains.push(order);
        }
        chains.retain(|order| !order.is_empty());
        chains.sort_by_key(|order| (usize::MAX - order.len(), order.first().copied()));
        let mut left: Vec<Vec<usize>> = vec![Vec::new(); instance.classes.len()];
        for (route, &class) in classes.iter().enumerate().rev() {
            left[class].push(route);
        }
        let mut orders = vec![Vec::new(); classes.len()];
        for order in chains {
            let cheapest = (0..left.len())
                .filter(|&class| !left[class].is_empty() && carries(instance, &instance.classes[class], &order))
                .min_by_key(|&class| cost_of(instance, &instance.classes[class], &order));
            if let Some(route) = cheapest.and_then(|class| left[class].pop()) {
                orders[route] = order;
            }
        }
        orders
    }
}

/// From the start to one stop, and from another to the end.
fn around(instance: &Instance, class: &Class, first: usize, last: usize) -> i64 {
    let metric = class.cost(instance);
    metric.get(class.start, first) + metric.get(last, class.end)
}

fn cost_of(instance: &Instance, class: &Class, order: &[u32]) -> i64 {
    let metric = class.cost(instance);
    let legs: i64 = order.windows(2).map(|leg| metric.get(leg[0] as usize, leg[1] as usize)).sum();
    let ends = order.first().zip(order.last());
    class.fixed + legs + ends.map_or(0, |(&first, &last)| around(instance, class, first as usize, last as usize))
}

fn carries(instance: &Instance, class: &Class, order: &[u32]) -> bool {
    let dimensions = instance.dimensions;
    let amount = |stop: u32, d: usize| {
        let at = stop as usize * dimensions + d;
        instance.delivery[at] + instance.pickup[at]
    };
    (0..dimensions).all(|d| order.iter().map(|&stop| amount(stop, d)).sum::<i64>() <= class.capacity[d])
}
