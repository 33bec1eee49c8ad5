//! The problem as the search reads it: one array per property, classes of equal vehicles, costs in the coarsest exact unit.
//!
//! Nodes 0 .. `stops` are the stops; the nodes after them are the places where vehicles start, end and reload.

use super::clock::{Clock, HUNDRED};
use super::metric::{LARGEST, Metric, Rate, Source};
use super::neighbours::Neighbours;
use crate::plan::Step;
use crate::problem::{COST_SCALE, MAX_TIME_S, Problem, SCALED_PER_METRE, SCALED_PER_SECOND, Stop, Vehicle};
use crate::travel::Place;
use std::collections::BTreeSet;

/// Vehicles that are equal in everything that matters here.
#[derive(Debug)]
pub(super) struct Class {
    /// Their indices in the problem.
    pub(super) vehicles: Vec<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Indices of the metrics that price and time a leg; under traffic at the day's highest speed and at the full one.
    cost: usize,
    time: usize,
    /// Index of the metric that prices a leg's metres alone. Of use under traffic.
    way: usize,
    /// Index of the metric that measures its metres, where they are limited and not those of the first profile.
    metres: Option<usize>,
    /// Index of its clock, where its speed changes.
    clock: Option<usize>,
    /// Cost of a second of driving under traffic; without it, legs hold that cost.
    pub(super) driving: i64,
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
    /// Other classes whose vehicles differ in nothing but loads and costs.
    pub(super) alternatives: Vec<usize>,
    /// How its vehicles come back for more; none where they make one trip.
    pub(super) reload: Option<Reloading>,
}

/// Where, how often and how long a vehicle reloads.
#[derive(Debug)]
pub(super) struct Reloading {
    /// Nodes.
    pub(super) depots: Vec<u32>,
    pub(super) most: usize,
    pub(super) service: i64,
}

impl Class {
    pub(super) fn cost<'i>(&self, instance: &'i Instance) -> &'i Metric<'i> {
        &instance.metrics[self.cost]
    }

    pub(super) fn time<'i>(&self, instance: &'i Instance) -> &'i Metric<'i> {
        &instance.metrics[self.time]
    }

    /// A leg's metres, where the class limits them.
    pub(super) fn metres<'i>(&self, instance: &'i Instance) -> &'i Metric<'i> {
        self.metres.map_or(&instance.distance, |metres| &instance.metrics[metres])
    }

    /// Prices a leg's metres, under traffic.
    pub(super) fn way<'i>(&self, instance: &'i Instance) -> &'i Metric<'i> {
        &instance.metrics[self.way]
    }

    /// The clock under traffic.
    #[inline]
    pub(super) fn clock<'i>(&self, instance: &'i Instance) -> Option<&'i Clock> {
        self.clock.map(|clock| &instance.clocks[clock])
    }

    /// True when time as such has a price or a limit, windows and shifts aside.
    pub(super) fn prices_time(&self) -> bool {
        self.driving > 0 || self.duty > 0 || self.limits_time()
    }

    /// True when driving or duty may last only so long.
    pub(super) fn limits_time(&self) -> bool {
        self.max_travel.is_some() || self.max_duration.is_some()
    }

    /// True when a route's cost or limits ask for more than the sum of its legs and its windows.
    pub(super) fn asks_for_duration(&self) -> bool {
        self.duty > 0 || self.max_duration.is_some()
    }

    /// True when a vehicle of one class may take over from one of the other: they differ in nothing but loads and costs.
    fn may_take_over(&self, other: &Class) -> bool {
        let plain = |class: &Class| class.reload.is_none() && class.clock.is_none();
        let ways = |class: &Class| (class.start, class.end, class.time, class.metres);
        let times = |class: &Class| (class.opens, class.closes, class.duty);
        let limits = |class: &Class| (class.max_distance, class.max_travel, class.max_duration, class.max_stops);
        let alike = ways(self) == ways(other) && times(self) == times(other) && limits(self) == limits(other);
        alike && plain(self) && plain(other)
    }

    /// True when distance or driving is limited.
    pub(super) fn limits_driving(&self) -> bool {
        self.max_distance.is_some() || self.max_travel.is_some()
    }
}

/// The partner of a stop that is in no shipment.
const NO_PARTNER: u32 = u32::MAX;

/// A problem, struct of arrays.
#[derive(Debug)]
pub(super) struct Instance<'a> {
    problem: &'a Problem,
    /// Per node.
    places: &'a [Option<usize>],
    /// The unit of all costs here, in 1/`COST_SCALE` of the problem's.
    unit: i64,
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
    /// Per stop: it comes after all stops that are none. Empty when there is no backhaul.
    pub(super) backhaul: Vec<bool>,
    /// Per stop: no departure with its goods before it. Empty when nothing is released late.
    pub(super) release: Vec<i64>,
    /// Per stop: the other stop of its shipment, or `NO_PARTNER`. Empty when there is no shipment.
    pub(super) partner: Vec<u32>,
    /// Per stop: it is where a shipment ends.
    pub(super) ends_shipment: Vec<bool>,
    /// Per stop: no prize is a price for leaving it out.
    pub(super) must_be_served: Vec<bool>,
    /// True when there is a stop that need not be served.
    pub(super) may_leave_out: bool,
    /// Per stop: what leaving it out costs.
    pub(super) absence: Vec<i64>,
    /// True when stops ask for skills or name vehicles.
    choosy: bool,
    pub(super) classes: Vec<Class>,
    /// True when some class has alternatives.
    pub(super) has_alternatives: bool,
    metrics: Vec<Metric<'a>>,
    clocks: Vec<Clock>,
    /// Metres of legs by the first profile, for orders and neighbours.
    pub(super) distance: Metric<'a>,
    near: Neighbours,
}

/// The places of stops, then those of depots, without repetition among these.
pub(super) fn places(problem: &Problem) -> Vec<Option<usize>> {
    let mut places: Vec<Option<usize>> = problem.stops().iter().map(|stop| Some(stop.location)).collect();
    let mut known = BTreeSet::new();
    for vehicle in problem.vehicles() {
        let reloads = vehicle.reload.iter().flat_map(|reload| reload.locations.iter().map(|&place| Some(place)));
        for depot in [vehicle.start, vehicle.end].into_iter().chain(reloads) {
            if known.insert(depot) {
                places.push(depot);
            }
        }
    }
    places
}

impl<'a> Instance<'a> {
    pub(super) fn new(problem: &'a Problem, places: &'a [Option<usize>]) -> Instance<'a> {
        let (stops, source) = (problem.stops(), Source { problem, places });
        let metres = Rate { profile: 0, per_metre: 1, per_second: 0, unit: 1 };
        let window = |node: usize| stops.get(node).map(|stop| (stop.window().opens_s, stop.window().closes_s));
        let (opens, closes) = (0..places.len()).map(|node| window(node).unwrap_or((0, i64::MAX / 4))).unzip();
        let mut service: Vec<i64> = stops.iter().map(|stop| stop.service_s).collect();
        service.resize(places.len(), 0);
        let backhaul = stops.iter().map(|stop| stop.backhaul).collect();
        let release = stops.iter().map(|stop| stop.release_s).collect();
        let unit = cost_unit(problem);
        let mut instance = Instance {
            problem,
            places,
            unit,
            stops: stops.len(),
            dimensions: problem.dimensions(),
            delivery: stops.iter().flat_map(|stop| stop.delivery.iter().copied()).collect(),
            pickup: stops.iter().flat_map(|stop| stop.pickup.iter().copied()).collect(),
            mixed_loads: false,
            opens,
            closes,
            service,
            timed: false,
            backhaul: if stops.iter().any(|stop| stop.backhaul) { backhaul } else { Vec::new() },
            release: if stops.iter().any(|stop| stop.release_s > 0) { release } else { Vec::new() },
            partner: Vec::new(),
            ends_shipment: vec![false; stops.len()],
            must_be_served: stops.iter().map(|stop| stop.prize.is_none()).collect(),
            may_leave_out: stops.iter().any(|stop| stop.prize.is_some()),
            absence: Vec::new(),
            choosy: stops.iter().any(|stop| !stop.skills.is_empty() || !stop.vehicles.is_empty()),
            classes: Vec::new(),
            has_alternatives: false,
            metrics: Vec::new(),
            clocks: Vec::new(),
            distance: Metric::new(source, metres),
            near: Neighbours::default(),
        };
        instance.add_classes(source, unit);
        instance.find_alternatives();
        instance.mixed_loads =
            instance.delivery.iter().any(|&amount| amount > 0) && instance.pickup.iter().any(|&amount| amount > 0);
        instance.add_shipments();
        instance.timed = instance.times_can_bind();
        let dearest = instance.dearest_insertion(unit);
        let absence = |stop: &Stop| stop.prize.map_or(stop.weight() * dearest, |prize| prize * COST_SCALE / unit);
        instance.absence = stops.iter().map(absence).collect();
        instance.near = Neighbours::find(&instance, problem);
        instance
    }

    /// A shipment's amount is picked up at its first stop and taken back from what was picked up at its second.
    fn add_shipments(&mut self) {
        let shipments = self.problem.shipments();
        if shipments.is_empty() {
            return;
        }
        self.mixed_loads = true;
        self.partner = vec![NO_PARTNER; self.stops];
        for shipment in shipments {
            self.partner[shipment.pickup] = shipment.delivery as u32;
            self.partner[shipment.delivery] = shipment.pickup as u32;
            self.ends_shipment[shipment.delivery] = true;
            for (d, &amount) in shipment.amount.iter().enumerate() {
                self.pickup[shipment.pickup * self.dimensions + d] += amount;
                self.pickup[shipment.delivery * self.dimensions + d] -= amount;
            }
        }
    }

    /// The other stop of the stop's shipment.
    pub(super) fn partner_of(&self, stop: usize) -> Option<usize> {
        self.partner.get(stop).filter(|&&partner| partner != NO_PARTNER).map(|&partner| partner as usize)
    }

    fn add_classes(&mut self, source: Source<'a>, unit: i64) {
        let (problem, stops) = (self.problem, self.stops);
        let node = |depot: Option<usize>| {
            let depots = &source.places[stops..];
            stops + depots.iter().position(|&place| place == depot).unwrap_or(0)
        };
        let mut class_of = vec![0; problem.vehicles().len()];
        for (index, vehicle) in problem.vehicles().iter().enumerate() {
            let first = problem.class[index];
            if first != index {
                class_of[index] = class_of[first];
                self.classes[class_of[index]].vehicles.push(index);
                continue;
            }
            class_of[index] = self.classes.len();
            let [per_metre, per_second, duty, fixed] = scaled_rates(vehicle);
            let profile = vehicle.profile;
            let clock = self.clock_of(vehicle);
            let fastest = clock.map_or(HUNDRED, |clock| self.clocks[clock].fastest());
            let mut metric = |rate: Rate| {
                let known = self.metrics.iter().position(|metric| metric.rate == rate);
                known.unwrap_or_else(|| {
                    self.metrics.push(Metric::new(source, rate));
                    self.metrics.len() - 1
                })
            };
            let rate = |per_second: i64| match (per_metre % unit, per_second % unit) {
                (0, 0) => Rate { profile, per_metre: per_metre / unit, per_second: per_second / unit, unit: 1 },
                _ => Rate { profile, per_metre, per_second, unit },
            };
            let limits_metres = profile > 0 && vehicle.max_distance_m.is_some();
            let metres = Rate { profile, per_metre: 1, per_second: 0, unit: 1 };
            self.classes.push(Class {
                metres: limits_metres.then(|| metric(metres)),
                vehicles: vec![index],
                start: node(vehicle.start),
                end: node(vehicle.end),
                cost: metric(rate(per_second * HUNDRED / fastest)),
                time: metric(Rate { profile, per_metre: 0, per_second: 1, unit: 1 }),
                way: metric(rate(if clock.is_some() { 0 } else { per_second })),
                clock,
                driving: if clock.is_some() { per_second / unit } else { 0 },
                fixed: fixed / unit,
                duty: duty / unit,
                capacity: vehicle.capacity.clone(),
                opens: vehicle.shift.opens_s,
                closes: vehicle.shift.closes_s,
                max_distance: vehicle.max_distance_m,
                max_travel: vehicle.max_travel_s,
                max_duration: vehicle.max_duration_s,
                max_stops: vehicle.max_stops.unwrap_or(usize::MAX),
                alternatives: Vec::new(),
                reload: vehicle.reload.as_ref().map(|reload| Reloading {
                    depots: reload.locations.iter().map(|&place| node(Some(place)) as u32).collect(),
                    most: reload.most,
                    service: reload.service_s,
                }),
            });
        }
    }

    /// True when vehicles have several sizes or prices, and there are enough of each that one kind alone could carry everything.
    pub(super) fn has_plenty_of_each(&self) -> bool {
        let demand = |d: usize| (0..self.stops).map(move |stop| self.delivery[stop * self.dimensions + d]).sum::<i64>();
        let carries = |class: &Class| {
            let count = class.vehicles.len() as i64;
            (0..self.dimensions).all(|d| class.capacity[d].saturating_mul(count) >= demand(d))
        };
        self.has_alternatives && self.classes.iter().all(carries)
    }

    /// Where stops ask for skills or name vehicles, there are none.
    fn find_alternatives(&mut self) {
        for one in (0..self.classes.len()).filter(|_| !self.choosy) {
            let others = (0..self.classes.len()).filter(|&other| other != one);
            let others = others.filter(|&other| self.classes[one].may_take_over(&self.classes[other])).collect();
            self.classes[one].alternatives = others;
            self.has_alternatives |= !self.classes[one].alternatives.is_empty();
        }
    }

    /// The index of the vehicle's clock; none where its speed is the full one all day.
    fn clock_of(&mut self, vehicle: &Vehicle) -> Option<usize> {
        let known = self.clocks.iter().position(|clock| clock.speed == vehicle.speed);
        known.or_else(|| {
            let nodes = (0..self.opens.len()).map(|node| (self.opens[node], self.closes[node], self.service[node]));
            self.clocks.push(Clock::new(&vehicle.speed, nodes, MAX_TIME_S)?);
            Some(self.clocks.len() - 1)
        })
    }

    /// A cost in 1/`COST_SCALE` of the problem's unit as costs are counted here.
    pub(super) fn scaled(&self, cost: i64) -> i64 {
        cost / self.unit
    }

    /// True for a stop, false for a place where vehicles start, end or reload.
    #[inline]
    pub(super) fn is_stop(&self, node: u32) -> bool {
        (node as usize) < self.stops
    }

    /// True when a vehicle that starts at a node has a way to another depot where it may load.
    pub(super) fn loads_elsewhere(&self, start: u32, depot: u32) -> bool {
        start != depot && self.places[start as usize].is_some()
    }

    /// What a vehicle does at a node on its way.
    pub(super) fn step(&self, node: u32) -> Option<Step> {
        if self.is_stop(node) { Some(Step::Stop(node as usize)) } else { self.places[node as usize].map(Step::Reload) }
    }

    /// The node of a step that a vehicle may do on its way; none for a break.
    pub(super) fn node(&self, step: Step) -> Option<u32> {
        let depot = |place: usize| self.places[self.stops..].iter().position(|&depot| depot == Some(place));
        match step {
            Step::Stop(stop) => Some(stop as u32),
            Step::Reload(place) => depot(place).map(|depot| (self.stops + depot) as u32),
            Step::Break(_) => None,
        }
    }

    /// True when some vehicle may reload.
    pub(super) fn has_reloads(&self) -> bool {
        self.classes.iter().any(|class| class.reload.is_some())
    }

    /// Where a node is, when the problem says so.
    pub(super) fn point(&self, node: usize) -> Option<Place> {
        self.distance.point(node)
    }

    pub(super) fn near(&self, stop: usize) -> &[u32] {
        self.near.of(stop)
    }

    /// True when stops ask for skills or name vehicles.
    pub(super) fn is_choosy(&self) -> bool {
        self.choosy
    }

    /// True when the class has the skills that the stop asks for and is one of those that it names.
    #[inline]
    pub(super) fn may_serve(&self, class: usize, stop: usize) -> bool {
        !self.choosy || self.problem.may_serve(self.classes[class].vehicles[0], stop)
    }

    /// False when no route of any length could be late: then times are not looked at.
    fn times_can_bind(&self) -> bool {
        let slowest = self.clocks.iter().map(Clock::slowest).fold(HUNDRED, i64::min);
        let longest_leg = self.problem.longest_leg() * HUNDRED / slowest + 1;
        let reloading = self.classes.iter().filter_map(|class| class.reload.as_ref());
        let reload = reloading.map(|reload| longest_leg + reload.service).max().unwrap_or(0);
        let stops = self.stops as i64;
        let longest = longest_leg * (stops + 1) + reload * stops + self.service.iter().sum::<i64>();
        let late = |class: &Class| {
            let end = class.opens + longest;
            let asks = class.asks_for_duration() || class.clock.is_some() && class.prices_time();
            asks || end > class.closes || self.closes[..self.stops].iter().any(|&c| end > c)
        };
        !self.release.is_empty()
            || self.opens[..self.stops].iter().any(|&opens| self.classes.iter().any(|class| opens > class.opens))
            || self.classes.iter().any(late)
    }

    /// More than any one insertion can cost.
    fn dearest_insertion(&self, unit: i64) -> i64 {
        let route = |vehicle: &Vehicle| {
            let [metre, second, duty, fixed] = scaled_rates(vehicle).map(|rate| rate / unit + 1);
            let span = (vehicle.shift.closes_s - vehicle.shift.opens_s).clamp(0, LONGEST_DUTY_S);
            // Under traffic, what comes later on the route may take longer, too.
            let shifted = if vehicle.speed.is_empty() { 0 } else { second * span };
            3 * self.problem.longest_leg() * (metre + second) + shifted + duty * span + fixed
        };
        self.problem.vehicles().iter().map(route).max().unwrap_or(0) + 1
    }
}

/// Longest duty that is priced when an absence must outweigh it: ten years, well inside the range of costs.
const LONGEST_DUTY_S: i64 = 1 << 28;

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
fn cost_unit(problem: &Problem) -> i64 {
    let rates: Vec<[i64; 4]> = problem.vehicles().iter().map(scaled_rates).collect();
    let prizes = problem.stops().iter().filter_map(|stop| stop.prize).map(|prize| prize * COST_SCALE);
    let exact = rates.iter().flatten().copied().chain(prizes).fold(0, greatest_common_divisor).max(1);
    let dearest_leg = rates.iter().map(|rate| (rate[0] + rate[1]) * problem.longest_leg()).max().unwrap_or(0);
    exact.max(dearest_leg / LARGEST + 1)
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
