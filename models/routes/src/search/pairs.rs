//! Where a pickup and its delivery go best together on a route; both places are found in one walk from the pickup on.

use super::clock::{Clock, HUNDRED, Moment};
use super::instance::{Class, Instance};
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
    /// The same under traffic.
    moment: Moment,
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
    let departs_later = route.departs_later_with(instance, pickup) || route.departs_later_with(instance, delivery);
    if departs_later || class.limits_driving() {
        return best_followed_place(route, instance, (pickup, delivery), limit);
    }
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
                let seeming = extra.map(|extra| added + extra).filter(|&added| added < least);
                let added = match class.clock(instance).filter(|_| instance.timed && class.prices_time()) {
                    Some(clock) => seeming.and_then(|_| {
                        let path = route.with(&[(first, pickup), (second, delivery)]);
                        route.added_by_following(instance, clock, route.opening, &path)
                    }),
                    None => seeming,
                };
                if let Some(added) = added.filter(|&added| added < least) {
                    best = Some(PairPlace { added, pickup: first, delivery: second });
                }
            }
            if second + 1 == route.nodes.len() {
                break;
            }
            match walk.step(route, instance, previous, next) {
                Some(onward) if onward.is_in_time(route, instance, second) => walk = onward,
                _ => break,
            }
            previous = next;
        }
    }
    best
}

/// The same for a shipment that is released after the route's departure, so that the whole route moves, and where driving is limited:
/// every pair of places is followed from the route's start.
fn best_followed_place(
    route: &Route,
    instance: &Instance,
    (pickup, delivery): (usize, usize),
    limit: i64,
) -> Option<PairPlace> {
    let deliveries = route.positions(instance, delivery);
    let mut best: Option<PairPlace> = None;
    for first in route.positions(instance, pickup) {
        for second in first..deliveries.end {
            if !route.carries_on_leg(instance, pickup, second) {
                break;
            }
            if !deliveries.contains(&second) {
                continue;
            }
            let added = route.added_by_later_departure(instance, &[(first, pickup), (second, delivery)]);
            let least = best.map_or(limit, |place| place.added);
            if let Some(added) = added.filter(|&added| added < least) {
                best = Some(PairPlace { added, pickup: first, delivery: second });
            }
        }
    }
    best
}

impl Walk {
    /// The route's own walk up to a position.
    fn after(route: &Route, instance: &Instance, position: usize) -> Walk {
        let (ready, moment) = (route.ready.get(position).copied().unwrap_or(0), route.early(position));
        Walk { ready, moment, span: route.head(instance, position) }
    }

    /// True when the route can go on as it is from a position that this is the departure from.
    fn is_in_time(self, route: &Route, instance: &Instance, position: usize) -> bool {
        let class = &instance.classes[route.class];
        let leg = |position: usize| HUNDRED * route.leg_times[position];
        !instance.timed
            || match class.clock(instance) {
                Some(_) => self.moment.driven + leg(position + 1) <= route.latest_arrival(position + 1),
                None => self.ready <= route.latest_departure(position),
            }
    }

    /// Drives to the next stop and serves it; none when its window is closed by then.
    fn step(self, route: &Route, instance: &Instance, from: usize, to: usize) -> Option<Walk> {
        if !instance.timed {
            return Some(self);
        }
        let class = &instance.classes[route.class];
        let travel = class.time(instance).get(from, to);
        if let Some(clock) = class.clock(instance) {
            return self.step_in_traffic(class, instance, clock, to, HUNDRED * travel);
        }
        let arrival = self.ready + travel;
        if arrival > instance.closes[to] {
            return None;
        }
        let ready = arrival.max(instance.opens[to]) + instance.service[to];
        let span =
            if class.asks_for_duration() { self.span.join(travel, Span::node(instance, to))? } else { self.span };
        Some(Walk { ready, span, ..self })
    }

    fn step_in_traffic(self, class: &Class, instance: &Instance, clock: &Clock, to: usize, leg: i64) -> Option<Walk> {
        if self.moment.driven + leg > clock.window(to).1 {
            return None;
        }
        let (reached_s, moment) = clock.leaves(&self.moment, leg, to);
        // The span is of use only where durations cost, and one that does not join says nothing sure here.
        let travel = reached_s - self.moment.s;
        let joined = if class.duty > 0 { self.span.join(travel, Span::node(instance, to)) } else { None };
        Some(Walk { moment, span: joined.unwrap_or(self.span), ..self })
    }

    /// What driving on from `from` along the route's own rest costs beyond its legs, or none when a rule breaks.
    fn close(self, route: &Route, instance: &Instance, from: usize, rest: usize) -> Option<i64> {
        let class = &instance.classes[route.class];
        if !instance.timed {
            return Some(0);
        }
        let travel = class.time(instance).get(from, route.nodes[rest] as usize);
        if let Some(clock) = class.clock(instance) {
            let leg = HUNDRED * travel;
            let duty = || {
                let travel = clock.arrival_s(&self.moment, leg) - self.moment.s;
                route.seeming_duration_cost(instance, self.span, travel, rest).unwrap_or(0)
            };
            let is_in_time = self.moment.driven + leg <= route.latest_arrival(rest);
            return is_in_time.then(|| if class.duty > 0 { duty() } else { 0 });
        }
        if self.ready + travel > route.latest[rest] {
            return None;
        }
        route.duration_cost(instance, self.span, travel, rest)
    }
}
