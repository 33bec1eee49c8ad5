//! Where a pickup and its delivery go best together on a route; both places are found in one walk from the pickup on.

use super::instance::Instance;
use super::route::{Route, Span};

/// Positions, before the insertion, that the pickup and the delivery are put before; at the same one they follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct PairPlace {
    pub(super) added: i64,
    pub(super) pickup: usize,
    pub(super) delivery: usize,
}

/// The time at which a walk along a route has come, by clock or as a span where the class asks for durations.
#[derive(Clone, Copy)]
struct Walk {
    ready: i64,
    span: Span,
}

/// The cheapest places on the route that add less than `limit`, or none.
pub(super) fn best_pair_place(
    route: &Route,
    instance: &Instance,
    (pickup, delivery): (usize, usize),
    limit: i64,
) -> Option<PairPlace> {
    let class = &instance.classes[route.class];
    let cost = class.cost(instance);
    let fixed = if route.is_unused() { class.fixed } else { 0 };
    let legs_decide = class.duty == 0;
    let node = |position: usize| route.nodes[position] as usize;
    let delivery_positions = route.positions(instance, delivery);
    let mut best: Option<PairPlace> = None;
    for first in route.positions(instance, pickup) {
        let (before, after) = (node(first - 1), node(first));
        let to_pickup = fixed + cost.get(before, pickup);
        let detour = to_pickup + cost.get(pickup, after) - route.legs[first];
        let Some(mut walk) = Walk::after(route, instance, first - 1).step(route, instance, before, pickup) else {
            continue;
        };
        let mut previous = pickup;
        for second in first..route.nodes.len() {
            let next = node(second);
            if second >= delivery_positions.end || !route.carries_on_leg(instance, pickup, second) {
                break;
            }
            let added = if second == first {
                to_pickup + cost.get(pickup, delivery) + cost.get(delivery, next) - route.legs[first]
            } else {
                detour + cost.get(previous, delivery) + cost.get(delivery, next) - route.legs[second]
            };
            let least = best.map_or(limit, |place| place.added);
            if delivery_positions.contains(&second) && (added < least || !legs_decide) {
                let whole = walk.step(route, instance, previous, delivery);
                let extra = whole.and_then(|at| at.close(route, instance, delivery, second));
                if let Some(extra) = extra.filter(|extra| added + extra < least) {
                    best = Some(PairPlace { added: added + extra, pickup: first, delivery: second });
                }
            }
            if second + 1 == route.nodes.len() {
                break;
            }
            match walk.step(route, instance, previous, next) {
                Some(onward) if !instance.timed || onward.ready <= route.latest_departure(second) => walk = onward,
                _ => break,
            }
            previous = next;
        }
    }
    best
}

impl Walk {
    /// The route's own walk up to a position.
    fn after(route: &Route, instance: &Instance, position: usize) -> Walk {
        let ready = if instance.timed { route.ready[position] } else { 0 };
        Walk { ready, span: route.head(instance, position) }
    }

    /// Drives to the next stop and serves it; none when its window is closed by then.
    fn step(self, route: &Route, instance: &Instance, from: usize, to: usize) -> Option<Walk> {
        if !instance.timed {
            return Some(self);
        }
        let class = &instance.classes[route.class];
        let travel = class.time(instance).get(from, to);
        let arrival = self.ready + travel;
        if arrival > instance.closes[to] {
            return None;
        }
        let ready = arrival.max(instance.opens[to]) + instance.service[to];
        let span =
            if class.asks_for_duration() { self.span.join(travel, Span::node(instance, to))? } else { self.span };
        Some(Walk { ready, span })
    }

    /// What driving on from `from` along the route's own rest costs beyond its legs, or none when a rule breaks.
    fn close(self, route: &Route, instance: &Instance, from: usize, rest: usize) -> Option<i64> {
        let class = &instance.classes[route.class];
        if !instance.timed {
            return Some(0);
        }
        let travel = class.time(instance).get(from, route.nodes[rest] as usize);
        if self.ready + travel > route.latest[rest] {
            return None;
        }
        route.duration_cost(instance, self.span, travel, rest)
    }
}
