//! The problem as the search reads it: one array per property, classes of equal vehicles, costs in the coarsest exact unit.
//!
//! Nodes 0 .. `stops` are the stops; the nodes after them are the places where vehicles start and end.

use super::metric::{LARGEST, Metric};
use crate::problem::{COST_SCALE, Problem, SCALED_PER_METRE, SCALED_PER_SECOND, Vehicle};

/// Vehicles that are equal in everything that matters here.
#[derive(Debug)]
pub(super) struct Class {
    /// Their indices in the problem.
    pub(super) vehicles: Vec<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Index of the metric that prices a leg.
    pub(super) cost: usize,
    /// Cost of using a vehicle at all.
    pub(super) fixed: i64,
    /// Cost of a second between departure and return.
    pub(super) duty: i64,
    pub(super) capacity: Vec<i64>,
    pub(super) opens: i64,
    pub(super) closes: i64,
    pub(super) max_distance: Option<i64>,
    pub(super) max_travel: Option<i64>,
    pub(super) max_duration: Option<i64>,
    pub(super) max_stops: usize,
    pub(super) skill_bit: u128,
}

impl Class {
    /// True when a route's cost or limits ask for more than the sum of its legs and its windows.
    pub(super) fn asks_for_duration(&self) -> bool {
        self.duty > 0 || self.max_duration.is_some()
    }

    /// True when distance or driving is limited.
    pub(super) fn limits_driving(&self) -> bool {
        self.max_distance.is_some() || self.max_travel.is_some()
    }
}

/// A problem, struct of arrays.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) stops: usize,
    pub(super) dimensions: usize,
    /// Per stop and dimension.
    pub(super) delivery: Vec<i64>,
    pub(super) pickup: Vec<i64>,
    /// True when some stop brings and some stop takes, so that loads peak inside a route.
    pub(super) mixed_loads: bool,
    /// Per node; a depot is always open, its vehicle's shift is not its own.
    pub(super) opens: Vec<i64>,
    pub(super) closes: Vec<i64>,
    pub(super) service: Vec<i64>,
    /// True when windows or shifts can be missed at all.
    pub(super) timed: bool,
    pub(super) allowed: Vec<u128>,
    /// Per stop: what leaving it out costs.
    pub(super) absence: Vec<i64>,
    pub(super) classes: Vec<Class>,
    pub(super) metrics: Vec<Metric>,
    /// Metres and seconds of legs.
    pub(super) distance: Metric,
    pub(super) time: Metric,
    /// Per stop, other stops by nearness; `near_width` of each.
    near: Vec<u32>,
    near_width: usize,
}

impl Instance {
    pub(super) fn new(problem: &Problem) -> Instance {
        let stops = problem.stops();
        let mut places: Vec<Option<usize>> = stops.iter().map(|stop| Some(stop.location)).collect();
        let rates: Vec<[i64; 4]> = problem.vehicles().iter().map(scaled_rates).collect();
        let unit = cost_unit(&rates, problem.legs.longest());
        let mut metric_rates: Vec<(i64, i64)> = Vec::new();
        let mut classes: Vec<Class> = Vec::new();
        let mut class_of = vec![0; problem.vehicles().len()];
        for (index, vehicle) in problem.vehicles().iter().enumerate() {
            let first = problem.class[index];
            if first != index {
                class_of[index] = class_of[first];
                classes[class_of[index]].vehicles.push(index);
                continue;
            }
            let [metre, second, duty, fixed] = rates[index];
            let cost = position_or_push(&mut metric_rates, (metre, second));
            class_of[index] = classes.len();
            classes.push(Class {
                vehicles: vec![index],
                start: stops.len() + position_or_push_after(&mut places, stops.len(), vehicle.start),
                end: stops.len() + position_or_push_after(&mut places, stops.len(), vehicle.end),
                cost,
                fixed: fixed / unit,
                duty: duty / unit,
                capacity: vehicle.capacity.clone(),
                opens: vehicle.shift.opens_s,
                closes: vehicle.shift.closes_s,
                max_distance: vehicle.max_distance_m,
                max_travel: vehicle.max_travel_s,
                max_duration: vehicle.max_duration_s,
                max_stops: vehicle.max_stops.unwrap_or(usize::MAX),
                skill_bit: problem.skill_bit[index],
            });
        }
        let nodes = places.len();
        let distance = Metric::table(nodes, |from, to| i64::from(problem.leg(places[from], places[to]).distance_m));
        let time = Metric::table(nodes, |from, to| i64::from(problem.leg(places[from], places[to]).duration_s));
        let priced = |&(metre, second): &(i64, i64)| {
            Metric::table(nodes, |from, to| (metre * distance.get(from, to) + second * time.get(from, to)) / unit)
        };
        let metrics: Vec<Metric> = metric_rates.iter().map(priced).collect();
        let mut instance = Instance {
            stops: stops.len(),
            dimensions: problem.dimensions(),
            delivery: stops.iter().flat_map(|stop| stop.delivery.iter().copied()).collect(),
            pickup: stops.iter().flat_map(|stop| stop.pickup.iter().copied()).collect(),
            mixed_loads: false,
            opens: stops.iter().map(|stop| stop.window.opens_s).collect(),
            closes: stops.iter().map(|stop| stop.window.closes_s).collect(),
            service: stops.iter().map(|stop| stop.service_s).collect(),
            timed: false,
            allowed: problem.allowed.clone(),
            absence: Vec::new(),
            classes,
            metrics,
            distance,
            time,
            near: Vec::new(),
            near_width: 0,
        };
        instance.opens.resize(nodes, 0);
        instance.closes.resize(nodes, i64::MAX / 4);
        instance.service.resize(nodes, 0);
        instance.mixed_loads = instance.delivery.iter().any(|&amount| amount > 0)
            && instance.pickup.iter().any(|&amount| amount > 0);
        instance.timed = instance.times_can_bind();
        let dearest = instance.dearest_insertion();
        instance.absence = stops.iter().map(|stop| (1 + i64::from(stop.priority)) * dearest).collect();
        instance.find_neighbours();
        instance
    }

    pub(super) fn near(&self, stop: usize) -> &[u32] {
        &self.near[stop * self.near_width..(stop + 1) * self.near_width]
    }

    /// False when no route of any length could be late: then times are not looked at.
    fn times_can_bind(&self) -> bool {
        let longest = self.time.largest() * (self.stops as i64 + 1) + self.service.iter().sum::<i64>();
        let late = |class: &Class| {
            let end = class.opens + longest;
            class.asks_for_duration() || end > class.closes || self.closes[..self.stops].iter().any(|&c| end > c)
        };
        self.opens[..self.stops].iter().any(|&opens| self.classes.iter().any(|class| opens > class.opens))
            || self.classes.iter().any(late)
    }

    /// More than any one insertion can cost.
    fn dearest_insertion(&self) -> i64 {
        let leg = self.metrics.iter().map(Metric::largest).max().unwrap_or(0);
        let route = |class: &Class| class.fixed + class.duty * (class.closes - class.opens).clamp(0, 1 << 34);
        3 * leg + self.classes.iter().map(route).max().unwrap_or(0) + 1
    }

    fn find_neighbours(&mut self) {
        self.near_width = MOST_NEIGHBOURS.min(self.stops - 1);
        let mut near = Vec::with_capacity(self.stops * self.near_width);
        let mut keyed: Vec<(i64, u32)> = Vec::with_capacity(self.stops);
        for stop in 0..self.stops {
            keyed.clear();
            let others = (0..self.stops).filter(|&other| other != stop);
            keyed.extend(others.map(|other| (self.apart(stop, other).min(self.apart(other, stop)), other as u32)));
            if keyed.len() > self.near_width {
                keyed.select_nth_unstable(self.near_width);
                keyed.truncate(self.near_width);
            }
            keyed.sort_unstable();
            near.extend(keyed.iter().map(|&(_, other)| other));
        }
        self.near = near;
    }

    /// How far a visit of `b` is from one of `a` just before it: the leg, and waiting or lateness that the windows force.
    fn apart(&self, a: usize, b: usize) -> i64 {
        let (distance, time) = (self.distance.get(a, b), self.time.get(a, b));
        let soonest = self.opens[a] + self.service[a] + time;
        let latest = self.closes[a].min(i64::MAX / 8) + self.service[a] + time;
        let waiting = (self.opens[b] - latest).max(0);
        let late = (soonest - self.closes[b]).max(0);
        5 * distance + waiting + 5 * late
    }
}

/// Neighbours that are known of each stop.
const MOST_NEIGHBOURS: usize = 400;

/// Rates per metre, second of driving and second on duty, and the fixed cost, in 1/`COST_SCALE` units.
fn scaled_rates(vehicle: &Vehicle) -> [i64; 4] {
    [
        vehicle.cost_per_km * SCALED_PER_METRE,
        vehicle.cost_per_travel_hour * SCALED_PER_SECOND,
        vehicle.cost_per_duty_hour * SCALED_PER_SECOND,
        vehicle.fixed_cost * COST_SCALE,
    ]
}

/// The unit in which the search counts cost: the largest that is exact, or a coarser one where legs would not fit a table.
fn cost_unit(rates: &[[i64; 4]], longest_leg: i64) -> i64 {
    let exact = rates.iter().flatten().fold(0, |unit, &rate| greatest_common_divisor(unit, rate)).max(1);
    let dearest_leg = rates.iter().map(|rate| (rate[0] + rate[1]) * longest_leg).max().unwrap_or(0);
    exact.max(dearest_leg / LARGEST + 1)
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

fn position_or_push<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    position_or_push_after(items, 0, item)
}

/// Where the item stands after the first `skip` ones, counted from there.
fn position_or_push_after<T: PartialEq>(items: &mut Vec<T>, skip: usize, item: T) -> usize {
    let known = items[skip..].iter().position(|known| *known == item);
    known.unwrap_or_else(|| {
        items.push(item);
        items.len() - skip - 1
    })
}
