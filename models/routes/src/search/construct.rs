//! The first plan: Clarke and Wright's savings where loads are all that limits a route, else insertions; it improves nothing.

use super::instance::Instance;
use super::recreate::Recreate;
use super::state::State;

/// Neighbours with which a stop is joined.
const NEIGHBOURS: usize = 40;

/// Serves what can be served.
pub(super) fn construct(state: &mut State, recreate: &mut Recreate) {
    if loads_alone_matter(state.instance) {
        let chains = Chains::joined(state.instance);
        state.take(&chains.orders(state.instance, state.routes.len()));
    }
    recreate.complete(state);
}

/// True when the sum of loads is the one thing that limits a route.
pub(super) fn loads_alone_matter(instance: &Instance) -> bool {
    let class = &instance.classes[0];
    let plain = !instance.timed && !instance.mixed_loads && instance.backhaul.is_empty() && !instance.is_choosy();
    plain && instance.classes.len() == 1 && !class.limits_driving() && class.max_stops >= instance.stops
}

/// Stops joined end to end, in either direction.
struct Chains {
    /// Per stop, the one or two stops that it is joined with.
    joined: Vec<[Option<u32>; 2]>,
    /// Per stop, a stop on the way to the one that stands for its chain.
    parent: Vec<u32>,
    /// Per standing stop and dimension, the chain's amounts.
    load: Vec<i64>,
}

impl Chains {
    fn joined(instance: &Instance) -> Chains {
        let (stops, dimensions, class) = (instance.stops, instance.dimensions, &instance.classes[0]);
        let load = instance.delivery.iter().zip(&instance.pickup).map(|(delivery, pickup)| delivery + pickup).collect();
        let mut chains = Chains { joined: vec![[None; 2]; stops], parent: (0..stops as u32).collect(), load };
        let cost = class.cost(instance);
        let mut savings: Vec<(i64, u32, u32)> = Vec::with_capacity(stops * NEIGHBOURS);
        for a in 0..stops {
            let near = instance.near(a);
            for &b in &near[..near.len().min(NEIGHBOURS)] {
                let saved = cost.get(a, class.end) + cost.get(class.start, b as usize) - cost.get(a, b as usize);
                if saved > 0 {
                    savings.push((-saved, a as u32, b));
                }
            }
        }
        savings.sort_unstable();
        for (_, a, b) in savings {
            chains.join(a, b, &class.capacity, dimensions);
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

    /// Joins two ends of different chains when the sum of their loads fits.
    fn join(&mut self, a: u32, b: u32, capacity: &[i64], dimensions: usize) {
        if self.joined[a as usize][1].is_some() || self.joined[b as usize][1].is_some() {
            return;
        }
        let (front, back) = (self.standing(a) as usize, self.standing(b) as usize);
        let fits = |d: usize| self.load[front * dimensions + d] + self.load[back * dimensions + d] <= capacity[d];
        if front == back || !(0..dimensions).all(fits) {
            return;
        }
        self.parent[back] = front as u32;
        for d in 0..dimensions {
            self.load[front * dimensions + d] += self.load[back * dimensions + d];
        }
        for (end, other) in [(a, b), (b, a)] {
            let joined = &mut self.joined[end as usize];
            joined[usize::from(joined[0].is_some())] = Some(other);
        }
    }

    /// The chains as orders of the first so many routes, longest first; those beyond are left out, and so are stops that are over
    /// the capacity by themselves.
    fn orders(&self, instance: &Instance, routes: usize) -> Vec<Vec<u32>> {
        let mut seen = vec![false; self.joined.len()];
        let mut orders = Vec::new();
        for end in (0..self.joined.len()).filter(|&stop| self.joined[stop][1].is_none()) {
            let mut order = Vec::new();
            let mut next = (!seen[end]).then_some(end as u32);
            while let Some(stop) = next {
                seen[stop as usize] = true;
                order.push(stop);
                next = self.joined[stop as usize].into_iter().flatten().find(|&other| !seen[other as usize]);
            }
            orders.push(order);
        }
        let (dimensions, capacity) = (instance.dimensions, &instance.classes[0].capacity);
        let amount = |stop: u32, d: usize| {
            let at = stop as usize * dimensions + d;
            instance.delivery[at] + instance.pickup[at]
        };
        orders.retain(|order| {
            (0..dimensions).all(|d| order.iter().map(|&stop| amount(stop, d)).sum::<i64>() <= capacity[d])
        });
        orders.sort_by_key(|order| (usize::MAX - order.len(), order.first().copied()));
        orders.resize(routes, Vec::new());
        orders
    }
}
