//! What is to be delivered, by whom and when, checked once when a `Problem` is made; it holds no solution.

use crate::travel::{Leg, Legs, Place, Travel};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most stops of one problem.
pub const MAX_STOPS: usize = 5_000;
/// Most vehicles of one problem.
pub const MAX_VEHICLES: usize = 2_000;
/// Most locations of one problem: every stop's and every vehicle's own start and end would fit.
pub const MAX_LOCATIONS: usize = 6_000;
/// Most capacity dimensions.
pub const MAX_DIMENSIONS: usize = 16;
/// Most different sets of vehicle skills.
pub const MAX_SKILL_SETS: usize = 128;
/// Latest time and longest service, in seconds; Unix timestamps fit.
pub const MAX_TIME_S: i64 = 10_000_000_000;
/// Longest leg, in metres or seconds (about half the Earth's circumference).
pub const MAX_LEG: i64 = 21_000_000;
/// Highest rate per kilometre or hour.
pub const MAX_RATE: i64 = 1_000_000;
/// Highest fixed cost of a vehicle.
pub const MAX_FIXED_COST: i64 = 1_000_000_000;
/// Largest amount of one stop or capacity of one vehicle.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;
/// Highest priority of a stop.
pub const MAX_PRIORITY: u8 = 100;
/// Grams of CO2 equivalent per kilometre assumed for a vehicle that states none: about the figure of an average diesel van
/// of up to 3.5 t in the United Kingdom government's conversion factors, exhaust only.
pub const DEFAULT_CO2E_G_PER_KM: i64 = 240;

/// Cost is counted in 1/18,000 of the caller's unit, in which a metre and a second of an integer rate are both exact.
pub(crate) const COST_SCALE: i64 = 18_000;
pub(crate) const SCALED_PER_METRE: i64 = COST_SCALE / 1_000;
pub(crate) const SCALED_PER_SECOND: i64 = COST_SCALE / 3_600;

/// A span of time in whole seconds, both ends included. The zero point is the caller's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeWindow {
    /// First second.
    pub opens_s: i64,
    /// Last second.
    pub closes_s: i64,
}

impl TimeWindow {
    /// The window that never closes.
    pub const ALWAYS: TimeWindow = TimeWindow { opens_s: 0, closes_s: MAX_TIME_S };
}

impl Default for TimeWindow {
    fn default() -> TimeWindow {
        TimeWindow::ALWAYS
    }
}

/// One place to serve once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The caller's name, unique among the stops.
    pub id: String,
    /// Index into the problem's locations.
    pub location: usize,
    /// Brought from the start of the route, one non-negative amount per capacity dimension.
    #[serde(default)]
    pub delivery: Vec<i64>,
    /// Taken along to the end of the route, one non-negative amount per capacity dimension.
    #[serde(default)]
    pub pickup: Vec<i64>,
    /// When service may start.
    #[serde(default)]
    pub window: TimeWindow,
    /// Seconds of service.
    #[serde(default)]
    pub service_s: i64,
    /// Skills that the vehicle must all have.
    #[serde(default)]
    pub skills: Vec<u32>,
    /// 0 to 100: among stops that cannot all be served, the summed 1 + priority of those left out is least.
    #[serde(default)]
    pub priority: u8,
}

impl Stop {
    /// A stop that asks for nothing but a visit.
    pub fn new(id: impl Into<String>, location: usize) -> Stop {
        let (delivery, pickup, skills) = (Vec::new(), Vec::new(), Vec::new());
        let window = TimeWindow::ALWAYS;
        Stop { id: id.into(), location, delivery, pickup, window, service_s: 0, skills, priority: 0 }
    }

    /// The same stop with these amounts to deliver.
    pub fn delivering(mut self, amounts: &[i64]) -> Stop {
        self.delivery = amounts.to_vec();
        self
    }

    /// The same stop with these amounts to pick up.
    pub fn picking_up(mut self, amounts: &[i64]) -> Stop {
        self.pickup = amounts.to_vec();
        self
    }

    /// The same stop with service starting in this window, seconds.
    pub fn between(mut self, opens_s: i64, closes_s: i64) -> Stop {
        self.window = TimeWindow { opens_s, closes_s };
        self
    }

    /// The same stop with this service time, seconds.
    pub fn taking(mut self, service_s: i64) -> Stop {
        self.service_s = service_s;
        self
    }
}

/// One vehicle, for at most one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    /// The caller's name, unique among the vehicles.
    pub id: String,
    /// Location where the route starts; none means at its first stop.
    #[serde(default)]
    pub start: Option<usize>,
    /// Location where the route ends; none means at its last stop.
    #[serde(default)]
    pub end: Option<usize>,
    /// Most that is on board at any time, one non-negative amount per dimension.
    #[serde(default)]
    pub capacity: Vec<i64>,
    /// Departure is not before it opens, return not after it closes.
    #[serde(default)]
    pub shift: TimeWindow,
    /// What the vehicle can do.
    #[serde(default)]
    pub skills: Vec<u32>,
    /// Cost of using it at all.
    #[serde(default)]
    pub fixed_cost: i64,
    /// Cost per kilometre driven.
    #[serde(default)]
    pub cost_per_km: i64,
    /// Cost per hour of driving.
    #[serde(default)]
    pub cost_per_travel_hour: i64,
    /// Cost per hour between departure and return: driving, service and waiting.
    #[serde(default)]
    pub cost_per_duty_hour: i64,
    /// Most metres driven.
    #[serde(default)]
    pub max_distance_m: Option<i64>,
    /// Most seconds driven.
    #[serde(default)]
    pub max_travel_s: Option<i64>,
    /// Most seconds between departure and return.
    #[serde(default)]
    pub max_duration_s: Option<i64>,
    /// Most stops.
    #[serde(default)]
    pub max_stops: Option<usize>,
    /// Grams of CO2 equivalent per kilometre.
    #[serde(default = "default_co2e")]
    pub co2e_g_per_km: i64,
}

fn default_co2e() -> i64 {
    DEFAULT_CO2E_G_PER_KM
}

impl Vehicle {
    /// A vehicle without limits that starts and ends at `depot` and costs 1,000 per kilometre: its cost is its metres.
    pub fn new(id: impl Into<String>, depot: usize) -> Vehicle {
        Vehicle {
            id: id.into(),
            start: Some(depot),
            end: Some(depot),
            capacity: Vec::new(),
            shift: TimeWindow::ALWAYS,
            skills: Vec::new(),
            fixed_cost: 0,
            cost_per_km: 1_000,
            cost_per_travel_hour: 0,
            cost_per_duty_hour: 0,
            max_distance_m: None,
            max_travel_s: None,
            max_duration_s: None,
            max_stops: None,
            co2e_g_per_km: DEFAULT_CO2E_G_PER_KM,
        }
    }

    /// The same vehicle with this capacity.
    pub fn carrying(mut self, capacity: &[i64]) -> Vehicle {
        self.capacity = capacity.to_vec();
        self
    }

    /// The same vehicle working in this window, seconds.
    pub fn working(mut self, opens_s: i64, closes_s: i64) -> Vehicle {
        self.shift = TimeWindow { opens_s, closes_s };
        self
    }

    /// Cost of a used vehicle in 1/`COST_SCALE` units.
    pub(crate) fn scaled_cost(&self, distance_m: i64, travel_s: i64, duration_s: i64) -> i64 {
        self.fixed_cost * COST_SCALE
            + self.cost_per_km * distance_m * SCALED_PER_METRE
            + (self.cost_per_travel_hour * travel_s + self.cost_per_duty_hour * duration_s) * SCALED_PER_SECOND
    }
}

/// What is wrong with a problem, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ProblemError {
    /// JSON Pointer into the problem, such as `/stops/3/window`.
    pub path: String,
    /// What was found and what would be right.
    pub message: String,
}

impl ProblemError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> ProblemError {
        ProblemError { path: path.into(), message: message.into() }
    }
}

/// A checked routing problem. Whoever holds one can rely on every documented range.
#[derive(Debug, Clone)]
pub struct Problem {
    stops: Vec<Stop>,
    vehicles: Vec<Vehicle>,
    pub(crate) legs: Legs,
    dimensions: usize,
    /// Per vehicle: the first vehicle that is equal to it but for its name.
    pub(crate) class: Vec<usize>,
    /// Per vehicle: its skill set's bit.
    pub(crate) skill_bit: Vec<u128>,
    /// Per stop: the bits of the skill sets that may serve it.
    pub(crate) allowed: Vec<u128>,
}

impl Problem {
    /// Checks everything and makes the problem. Empty `delivery`, `pickup` and `capacity` become zeros.
    ///
    /// # Errors
    /// The first bad input, as a path and a message.
    pub fn new(mut stops: Vec<Stop>, mut vehicles: Vec<Vehicle>, travel: Travel) -> Result<Problem, ProblemError> {
        check_count("/stops", stops.len(), MAX_STOPS)?;
        check_count("/vehicles", vehicles.len(), MAX_VEHICLES)?;
        let (path, locations) = match &travel {
            Travel::GreatCircle { places, .. } => ("/travel/places", places.len()),
            Travel::Matrices { durations_s, .. } => ("/travel/durations_s", durations_s.len()),
        };
        check_count(path, locations, MAX_LOCATIONS)?;
        let legs = Legs::new(&travel)?;
        let dimensions = common_dimensions(&stops, &vehicles)?;
        check_unique("/stops", stops.iter().map(|stop| stop.id.as_str()))?;
        check_unique("/vehicles", vehicles.iter().map(|vehicle| vehicle.id.as_str()))?;
        for (index, stop) in stops.iter_mut().enumerate() {
            check_stop(&format!("/stops/{index}"), stop, locations)?;
            stop.delivery.resize(dimensions, 0);
            stop.pickup.resize(dimensions, 0);
        }
        for (index, vehicle) in vehicles.iter_mut().enumerate() {
            check_vehicle(&format!("/vehicles/{index}"), vehicle, locations)?;
            vehicle.capacity.resize(dimensions, 0);
        }
        check_cost_fits(&stops, &vehicles, legs.longest())?;
        let class = vehicle_classes(&vehicles);
        let (skill_bit, allowed) = skill_masks(&stops, &vehicles)?;
        Ok(Problem { stops, vehicles, legs, dimensions, class, skill_bit, allowed })
    }

    /// The stops, in the order given.
    pub fn stops(&self) -> &[Stop] {
        &self.stops
    }

    /// The vehicles, in the order given.
    pub fn vehicles(&self) -> &[Vehicle] {
        &self.vehicles
    }

    /// Number of capacity dimensions; every `delivery`, `pickup` and `capacity` has this length.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Travel between two locations; none stands for the missing depot of a vehicle, to and from which nothing is driven.
    pub fn leg(&self, from: Option<usize>, to: Option<usize>) -> Leg {
        let nowhere = self.legs.nowhere();
        self.legs.get(from.unwrap_or(nowhere), to.unwrap_or(nowhere))
    }

    /// Where a location is, when the problem says so.
    pub fn place(&self, location: usize) -> Option<Place> {
        self.legs.places.get(location).copied()
    }

    /// True when the vehicle has every skill that the stop asks for.
    pub(crate) fn may_serve(&self, vehicle: usize, stop: usize) -> bool {
        self.allowed[stop] & self.skill_bit[vehicle] != 0
    }
}

fn check_count(path: &str, count: usize, most: usize) -> Result<(), ProblemError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(ProblemError::new(path, format!("{count} given; between 1 and {most} are needed")))
}

fn check_unique<'a>(path: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), ProblemError> {
    let mut seen = BTreeMap::new();
    for (index, id) in ids.enumerate() {
        if id.is_empty() {
            return Err(ProblemError::new(format!("{path}/{index}/id"), "the id is empty; give each a name"));
        }
        if let Some(first) = seen.insert(id, index) {
            let message = format!("id {id:?} is already used by {path}/{first}; ids must differ");
            return Err(ProblemError::new(format!("{path}/{index}/id"), message));
        }
    }
    Ok(())
}

/// All amounts that are given must have one length; it is the number of dimensions.
fn common_dimensions(stops: &[Stop], vehicles: &[Vehicle]) -> Result<usize, ProblemError> {
    let from_vehicles = vehicles.iter().enumerate().map(|(i, v)| (format!("/vehicles/{i}/capacity"), v.capacity.len()));
    let from_stops = stops.iter().enumerate().flat_map(|(i, stop)| {
        let delivery = (format!("/stops/{i}/delivery"), stop.delivery.len());
        [delivery, (format!("/stops/{i}/pickup"), stop.pickup.len())]
    });
    let mut dimensions = 0;
    for (path, length) in from_vehicles.chain(from_stops).filter(|(_, length)| *length > 0) {
        if length > MAX_DIMENSIONS {
            return Err(ProblemError::new(path, format!("{length} amounts; at most {MAX_DIMENSIONS} are allowed")));
        }
        if dimensions > 0 && length != dimensions {
            let message = format!("{length} amounts where others have {dimensions}; all must have the same number");
            return Err(ProblemError::new(path, message));
        }
        dimensions = length;
    }
    Ok(dimensions)
}

fn check_stop(path: &str, stop: &Stop, locations: usize) -> Result<(), ProblemError> {
    check_location(path, "location", stop.location, locations)?;
    check_amounts(path, "delivery", &stop.delivery)?;
    check_amounts(path, "pickup", &stop.pickup)?;
    check_window(path, "window", stop.window)?;
    check_range(path, "service_s", stop.service_s, MAX_TIME_S)?;
    check_range(path, "priority", i64::from(stop.priority), i64::from(MAX_PRIORITY))
}

fn check_vehicle(path: &str, vehicle: &Vehicle, locations: usize) -> Result<(), ProblemError> {
    for (name, location) in [("start", vehicle.start), ("end", vehicle.end)] {
        if let Some(location) = location {
            check_location(path, name, location, locations)?;
        }
    }
    check_amounts(path, "capacity", &vehicle.capacity)?;
    check_window(path, "shift", vehicle.shift)?;
    check_range(path, "fixed_cost", vehicle.fixed_cost, MAX_FIXED_COST)?;
    check_range(path, "cost_per_km", vehicle.cost_per_km, MAX_RATE)?;
    check_range(path, "cost_per_travel_hour", vehicle.cost_per_travel_hour, MAX_RATE)?;
    check_range(path, "cost_per_duty_hour", vehicle.cost_per_duty_hour, MAX_RATE)?;
    check_range(path, "co2e_g_per_km", vehicle.co2e_g_per_km, MAX_RATE)?;
    check_range(path, "max_distance_m", vehicle.max_distance_m.unwrap_or(0), i64::MAX)?;
    check_range(path, "max_travel_s", vehicle.max_travel_s.unwrap_or(0), i64::MAX)?;
    check_range(path, "max_duration_s", vehicle.max_duration_s.unwrap_or(0), i64::MAX)
}

fn check_location(path: &str, name: &str, location: usize, locations: usize) -> Result<(), ProblemError> {
    if location < locations {
        return Ok(());
    }
    let message = format!("location {location} does not exist; there are {locations}, counted from 0");
    Err(ProblemError::new(format!("{path}/{name}"), message))
}

fn check_amounts(path: &str, name: &str, amounts: &[i64]) -> Result<(), ProblemError> {
    for (dimension, &amount) in amounts.iter().enumerate() {
        check_range(path, &format!("{name}/{dimension}"), amount, MAX_AMOUNT)?;
    }
    Ok(())
}

fn check_window(path: &str, name: &str, window: TimeWindow) -> Result<(), ProblemError> {
    check_range(path, &format!("{name}/opens_s"), window.opens_s, MAX_TIME_S)?;
    check_range(path, &format!("{name}/closes_s"), window.closes_s, MAX_TIME_S)?;
    if window.opens_s <= window.closes_s {
        return Ok(());
    }
    let message = format!("closes at {} before it opens at {}", window.closes_s, window.opens_s);
    Err(ProblemError::new(format!("{path}/{name}"), message))
}

fn check_range(path: &str, name: &str, value: i64, most: i64) -> Result<(), ProblemError> {
    if (0..=most).contains(&value) {
        return Ok(());
    }
    Err(ProblemError::new(format!("{path}/{name}"), format!("{value} is out of range; it must lie in 0..={most}")))
}

/// Refuses a problem whose worst plan would not fit the integer that costs are counted in.
fn check_cost_fits(stops: &[Stop], vehicles: &[Vehicle], longest_leg: i64) -> Result<(), ProblemError> {
    let windows = || stops.iter().map(|stop| stop.window).chain(vehicles.iter().map(|vehicle| vehicle.shift));
    let last_opening = windows().map(|window| window.opens_s).max().unwrap_or(0);
    let first_closing = windows().map(|window| window.closes_s).min().unwrap_or(0);
    let waiting = i128::from((last_opening - first_closing).max(0)) * vehicles.len() as i128;
    let service: i128 = stops.iter().map(|stop| i128::from(stop.service_s)).sum();
    let driven = i128::from(longest_leg) * (stops.len() + vehicles.len()) as i128;
    let highest = |rate: fn(&Vehicle) -> i64| i128::from(vehicles.iter().map(rate).max().unwrap_or(0));
    let fixed: i128 = vehicles.iter().map(|vehicle| i128::from(vehicle.fixed_cost)).sum();
    let worst = fixed * i128::from(COST_SCALE)
        + driven * highest(|v| v.cost_per_km) * i128::from(SCALED_PER_METRE)
        + driven * highest(|v| v.cost_per_travel_hour) * i128::from(SCALED_PER_SECOND)
        + (driven + service + waiting) * highest(|v| v.cost_per_duty_hour) * i128::from(SCALED_PER_SECOND);
    if worst <= i128::from(i64::MAX / 4) {
        return Ok(());
    }
    Err(ProblemError::new("/vehicles", "the rates are so high that a plan's cost may overflow; use a coarser unit"))
}

fn vehicle_classes(vehicles: &[Vehicle]) -> Vec<usize> {
    let mut nameless: Vec<Vehicle> = Vec::with_capacity(vehicles.len());
    let mut distinct: Vec<usize> = Vec::new();
    let mut class = Vec::with_capacity(vehicles.len());
    for (index, vehicle) in vehicles.iter().enumerate() {
        nameless.push(Vehicle { id: String::new(), ..vehicle.clone() });
        let known = distinct.iter().copied().find(|&first| nameless[first] == nameless[index]);
        if known.is_none() {
            distinct.push(index);
        }
        class.push(known.unwrap_or(index));
    }
    class
}

fn skill_masks(stops: &[Stop], vehicles: &[Vehicle]) -> Result<(Vec<u128>, Vec<u128>), ProblemError> {
    let mut sets: Vec<BTreeSet<u32>> = Vec::new();
    let mut skill_bit = Vec::with_capacity(vehicles.len());
    for (index, vehicle) in vehicles.iter().enumerate() {
        let set: BTreeSet<u32> = vehicle.skills.iter().copied().collect();
        let position = sets.iter().position(|known| *known == set).unwrap_or(sets.len());
        if position == MAX_SKILL_SETS {
            let message = format!("more than {MAX_SKILL_SETS} different sets of vehicle skills; use fewer");
            return Err(ProblemError::new(format!("/vehicles/{index}/skills"), message));
        }
        if position == sets.len() {
            sets.push(set);
        }
        skill_bit.push(1 << position);
    }
    let allowed = stops.iter().map(|stop| {
        let fitting = sets.iter().enumerate().filter(|(_, set)| stop.skills.iter().all(|skill| set.contains(skill)));
        fitting.fold(0u128, |mask, (position, _)| mask | 1 << position)
    });
    Ok((skill_bit, allowed.collect()))
}
