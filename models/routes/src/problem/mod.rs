//! What is to be delivered, by whom and when, checked once when a `Problem` is made; it holds no solution.

mod checks;
mod feature;
mod stop;
mod vehicle;

pub use feature::Feature;
pub use stop::{Lateness, Shipment, Stop, TimeWindow};
pub use vehicle::{Break, Overtime, Reload, SpeedChange, Vehicle};

use crate::travel::{Leg, Legs, Place, Rounding, Travel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most stops of one problem.
pub const MAX_STOPS: usize = 100_000;
/// Most vehicles of one problem.
pub const MAX_VEHICLES: usize = 20_000;
/// Most locations of one problem: every stop's and every vehicle's own start and end would fit.
pub const MAX_LOCATIONS: usize = 140_000;
/// Most travel profiles of one problem.
pub const MAX_PROFILES: usize = 32;
/// Most time windows of one stop or break, speed changes, breaks or reload places of one vehicle.
pub const MAX_PER_ITEM: usize = 64;
/// Most reloads of one route.
pub const MAX_RELOADS: usize = 1_000;
/// Percent of full speed that traffic may allow.
pub const SPEED_PERCENT: std::ops::RangeInclusive<i64> = 1..=1_000;
/// Most capacity dimensions.
pub const MAX_DIMENSIONS: usize = 16;
/// Most different sets of vehicle skills.
pub const MAX_SKILL_SETS: usize = 128;
/// Latest time and longest service, in seconds; Unix timestamps fit.
pub const MAX_TIME_S: i64 = 10_000_000_000;
/// Longest leg, in metres or seconds.
pub const MAX_LEG: i64 = 1_000_000_000;
/// Highest rate per kilometre or hour.
pub const MAX_RATE: i64 = 1_000_000;
/// Highest fixed cost of a vehicle and highest prize of a stop.
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

/// Everything that a problem is made of, not yet checked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// What is served.
    pub stops: Vec<Stop>,
    /// Pairs of stops between which goods are carried; a stop is in at most one.
    #[serde(default)]
    pub shipments: Vec<Shipment>,
    /// Who serves.
    pub vehicles: Vec<Vehicle>,
    /// How vehicles travel; each names its profile by index. All have the same locations.
    pub profiles: Vec<Travel>,
}

/// A checked routing problem. Whoever holds one can rely on every documented range.
#[derive(Debug, Clone)]
pub struct Problem {
    stops: Vec<Stop>,
    vehicles: Vec<Vehicle>,
    shipments: Vec<Shipment>,
    profiles: Vec<Legs>,
    dimensions: usize,
    features: BTreeSet<Feature>,
    /// Per stop: its shipment.
    shipment_of: Vec<Option<usize>>,
    /// Stops of each group of alternatives, by the group's number.
    groups: Vec<Vec<usize>>,
    /// Per stop: index into `groups`.
    group_of: Vec<Option<usize>>,
    /// Per vehicle: the first vehicle that is equal to it but for its name.
    pub(crate) class: Vec<usize>,
    /// Per vehicle: its skill set's bit.
    pub(crate) skill_bit: Vec<u128>,
    /// Per stop: the bits of the skill sets that may serve it.
    pub(crate) allowed: Vec<u128>,
}

impl Problem {
    /// A problem of stops and vehicles with one travel profile and no shipments.
    ///
    /// # Errors
    /// The first bad input, as a path and a message.
    pub fn new(stops: Vec<Stop>, vehicles: Vec<Vehicle>, travel: Travel) -> Result<Problem, ProblemError> {
        Problem::from_parts(Parts { stops, vehicles, shipments: Vec::new(), profiles: vec![travel] })
    }

    /// Checks everything and makes the problem. Empty `delivery`, `pickup`, `amount` and `capacity` become zeros.
    ///
    /// # Errors
    /// The first bad input, as a path and a message.
    pub fn from_parts(parts: Parts) -> Result<Problem, ProblemError> {
        let Parts { stops, vehicles, shipments, profiles } = parts;
        Problem::assemble(stops, vehicles, shipments, checks::profiles(&profiles)?)
    }

    /// The same problem with changed stops and vehicles.
    ///
    /// # Errors
    /// What is wrong after the change.
    pub fn changed(&self, change: impl FnOnce(&mut Vec<Stop>, &mut Vec<Vehicle>)) -> Result<Problem, ProblemError> {
        let (mut stops, mut vehicles) = (self.stops.clone(), self.vehicles.clone());
        change(&mut stops, &mut vehicles);
        Problem::assemble(stops, vehicles, self.shipments.clone(), self.profiles.clone())
    }

    fn assemble(
        mut stops: Vec<Stop>,
        mut vehicles: Vec<Vehicle>,
        mut shipments: Vec<Shipment>,
        profiles: Vec<Legs>,
    ) -> Result<Problem, ProblemError> {
        let locations = profiles[0].locations();
        let dimensions = checks::everything(&stops, &shipments, &vehicles, locations, profiles.len())?;
        for stop in &mut stops {
            stop.delivery.resize(dimensions, 0);
            stop.pickup.resize(dimensions, 0);
        }
        shipments.iter_mut().for_each(|shipment| shipment.amount.resize(dimensions, 0));
        vehicles.iter_mut().for_each(|vehicle| vehicle.capacity.resize(dimensions, 0));
        let longest = profiles.iter().map(Legs::longest).max().unwrap_or(0);
        checks::cost_fits(&stops, &vehicles, longest)?;
        let mut shipment_of = vec![None; stops.len()];
        for (index, shipment) in shipments.iter().enumerate() {
            shipment_of[shipment.pickup] = Some(index);
            shipment_of[shipment.delivery] = Some(index);
        }
        let (groups, group_of) = groups(&stops);
        let class = vehicle_classes(&stops, &vehicles);
        let (skill_bit, allowed) = checks::skill_masks(&stops, &vehicles)?;
        let features = feature::features(&stops, &shipments, &vehicles);
        Ok(Problem {
            stops,
            vehicles,
            shipments,
            profiles,
            dimensions,
            features,
            shipment_of,
            groups,
            group_of,
            class,
            skill_bit,
            allowed,
        })
    }

    /// The stops, in the order given.
    pub fn stops(&self) -> &[Stop] {
        &self.stops
    }

    /// The vehicles, in the order given.
    pub fn vehicles(&self) -> &[Vehicle] {
        &self.vehicles
    }

    /// The shipments, in the order given.
    pub fn shipments(&self) -> &[Shipment] {
        &self.shipments
    }

    /// The shipment that a stop belongs to, by index.
    pub fn shipment_of(&self, stop: usize) -> Option<usize> {
        self.shipment_of[stop]
    }

    /// The other stop of its shipment.
    pub fn partner(&self, stop: usize) -> Option<usize> {
        let shipment = &self.shipments[self.shipment_of[stop]?];
        Some(if shipment.pickup == stop { shipment.delivery } else { shipment.pickup })
    }

    /// The stops of which one is served instead of this one or is this one; only itself when it has no alternatives.
    pub fn alternatives(&self, stop: usize) -> &[usize] {
        self.group_of[stop].map_or(&[], |group| self.groups[group].as_slice())
    }

    /// What this problem asks for beyond capacities, one window, skills and limits.
    pub fn features(&self) -> &BTreeSet<Feature> {
        &self.features
    }

    /// Number of capacity dimensions; every `delivery`, `pickup`, `amount` and `capacity` has this length.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Number of locations.
    pub fn locations(&self) -> usize {
        self.profiles[0].locations()
    }

    /// Number of travel profiles.
    pub fn profile_count(&self) -> usize {
        self.profiles.len()
    }

    /// Travel between two locations by the first profile; none stands for the missing depot of a vehicle, to and from which
    /// nothing is driven.
    pub fn leg(&self, from: Option<usize>, to: Option<usize>) -> Leg {
        self.leg_by(0, from, to)
    }

    /// Travel between two locations by a profile, which is below `profile_count`.
    pub fn leg_by(&self, profile: usize, from: Option<usize>, to: Option<usize>) -> Leg {
        match (from, to) {
            (Some(from), Some(to)) => self.profiles[profile].get(from, to),
            _ => Leg::default(),
        }
    }

    /// The points of a profile's locations and how straight lines between them become integers, where its legs are computed as
    /// such when they are asked for.
    pub(crate) fn straight(&self, profile: usize) -> Option<(&[Place], Rounding)> {
        self.profiles[profile].straight()
    }

    /// Where a location is, when the problem says so. Planar points have `x` as longitude and `y` as latitude.
    pub fn place(&self, location: usize) -> Option<Place> {
        self.profiles[0].places.get(location).copied()
    }

    /// True when places are points of a plane, not of the Earth.
    pub fn is_planar(&self) -> bool {
        self.profiles[0].is_planar()
    }

    /// Longest leg of any profile, in metres or seconds.
    pub(crate) fn longest_leg(&self) -> i64 {
        self.profiles.iter().map(Legs::longest).max().unwrap_or(0)
    }

    /// True when the vehicle has every skill that the stop asks for and is one of those that it may be served by.
    pub fn may_serve(&self, vehicle: usize, stop: usize) -> bool {
        let named = &self.stops[stop].vehicles;
        self.allowed[stop] & self.skill_bit[vehicle] != 0 && (named.is_empty() || named.contains(&vehicle))
    }
}

/// The stops of each group in the order of the groups' numbers, and each stop's group.
fn groups(stops: &[Stop]) -> (Vec<Vec<usize>>, Vec<Option<usize>>) {
    let numbers: BTreeSet<u32> = stops.iter().filter_map(|stop| stop.group).collect();
    let numbers: Vec<u32> = numbers.into_iter().collect();
    let mut groups = vec![Vec::new(); numbers.len()];
    let mut group_of = vec![None; stops.len()];
    for (index, stop) in stops.iter().enumerate() {
        if let Some(Ok(group)) = stop.group.map(|number| numbers.binary_search(&number)) {
            groups[group].push(index);
            group_of[index] = Some(group);
        }
    }
    (groups, group_of)
}

/// Per vehicle: the first vehicle that is equal to it but for its name. A vehicle that stops ask for by name is like no other.
fn vehicle_classes(stops: &[Stop], vehicles: &[Vehicle]) -> Vec<usize> {
    let named: BTreeSet<usize> = stops.iter().flat_map(|stop| stop.vehicles.iter().copied()).collect();
    let nameless: Vec<Vehicle> = vehicles.iter().map(|v| Vehicle { id: String::new(), ..v.clone() }).collect();
    let mut distinct: Vec<usize> = Vec::new();
    let mut class = Vec::with_capacity(vehicles.len());
    for (index, vehicle) in nameless.iter().enumerate() {
        let same = |&first: &usize| nameless[first] == *vehicle && !named.contains(&first);
        let known = distinct.iter().copied().find(same).filter(|_| !named.contains(&index));
        if known.is_none() {
            distinct.push(index);
        }
        class.push(known.unwrap_or(index));
    }
    class
}
