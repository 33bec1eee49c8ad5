//! What past deliveries say about a parcel at a moment: shrunk means by lane, place, seller and carrier, as features; no trees.
//!
//! Means are of the logarithm of the minutes. A mean of n deliveries counts as `n / (n + k)` beside the wider group's; beyond
//! `COUNT_MOST` deliveries it forgets as an exponential mean does, so that it follows a carrier that slows down.

use crate::{Delivery, DeliveryError, MINUTES_MAX, Parcel, WEIGHT_GRAMS_MAX};
use dhow_events::{CarrierId, DAY_MICROS, HOUR_MICROS, Region, SellerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the trees see of a parcel; means are relative to what all of them together expect.
pub const FEATURES: [&str; 19] = [
    "route_minutes_log",
    "is_abroad",
    "weight_grams_log",
    "weekday",
    "hour",
    "carrier",
    "origin",
    "destination",
    "latitude",
    "longitude",
    "expected_log",
    "lane_log",
    "carrier_log",
    "carrier_lane_log",
    "place_log",
    "seller_log",
    "seller_deliveries_log",
    "seller_place_log",
    "seller_place_deliveries_log",
];

/// Whether a feature numbers a category, whose order means nothing.
pub fn is_category(feature: &str) -> bool {
    matches!(feature, "carrier" | "origin" | "destination")
}

/// Deliveries of the wider group that a mean is shrunk by.
const PRIOR: f64 = 20.0;
/// Deliveries that a mean counts at most.
const COUNT_MOST: f64 = 500.0;
/// Cells of a degree in which places are one.
const CELLS_PER_DEGREE: f64 = 2.0;
/// The speed of the base: 60 km/h on a way that is 1.3 times the straight line.
const BASE_KM_PER_MINUTE: f64 = 1.0 / 1.3;
/// Mean radius of the Earth (IUGG), kilometres.
const EARTH_RADIUS_KM: f64 = 6_371.008_8;
/// The mean before the first delivery: three days.
const FIRST_LOG_MINUTES: f64 = 8.37;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    mean: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count = (self.count + 1.0).min(COUNT_MOST);
        self.mean += (value - self.mean) / self.count;
    }

    fn shrunk(&self, wider: f64) -> f64 {
        (self.count * self.mean + PRIOR * wider) / (self.count + PRIOR)
    }
}

type Cell = (i16, i16);

/// The means of the deliveries so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    all: Mean,
    lanes: BTreeMap<(Region, Region), Mean>,
    places: BTreeMap<(Region, Cell), Mean>,
    /// What sellers and carriers add to what lane and place expect.
    sellers: BTreeMap<SellerId, Mean>,
    carriers: BTreeMap<CarrierId, Mean>,
    carrier_lanes: BTreeMap<(CarrierId, Region, Region), Mean>,
    seller_places: BTreeMap<(SellerId, Cell), Mean>,
    /// Where the deliveries of a region lie, degrees north and east.
    middles: BTreeMap<Region, (Mean, Mean)>,
    /// Carriers and regions in the order of their first delivery.
    carrier_numbers: BTreeMap<CarrierId, u32>,
    region_numbers: BTreeMap<Region, u32>,
}

/// What the groups expect of a parcel, as logarithms of minutes.
struct Expected {
    lane: f64,
    place: f64,
    seller: f64,
    carrier: f64,
    seller_place: f64,
}

/// What past deliveries expect of a parcel before trees look at it: `lane_minutes · place · seller · carrier`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// The usual minutes from its region to the region that it goes to.
    pub lane_minutes: f64,
    /// How much longer it takes to the place of delivery, as a factor.
    pub place: f64,
    /// How much longer with the seller, there and in general, as a factor.
    pub seller: f64,
    /// How much longer with the carrier, as a factor; 1 where it is not known.
    pub carrier: f64,
}

impl History {
    /// What the groups expect, in minutes and factors.
    pub fn expectation(&self, parcel: &Parcel) -> Expectation {
        let Expected { lane, place, carrier, seller_place, .. } = self.expected(parcel);
        Expectation {
            lane_minutes: lane.exp(),
            place: (place - lane).exp(),
            seller: (seller_place - place).exp(),
            carrier: carrier.exp(),
        }
    }

    /// A parcel's features and, apart, the logarithm of the minutes that they are relative to.
    pub fn features(&self, parcel: &Parcel) -> ([f64; FEATURES.len()], f64) {
        let expected = self.expected(parcel);
        let base = expected.seller_place + expected.carrier;
        let count = |mean: Option<&Mean>| mean.map_or(0.0, |mean| mean.count).ln_1p();
        let (micros, lane) = (parcel.at.micros(), (parcel.origin, parcel.destination));
        let number = |region| self.region_numbers.get(&region).map_or(f64::NAN, |number| f64::from(*number));
        let carrier = parcel.carrier.and_then(|carrier| self.carrier_numbers.get(&carrier));
        let carrier_lane = parcel.carrier.and_then(|carrier| self.carrier_lanes.get(&(carrier, lane.0, lane.1)));
        let seller_place = (parcel.seller, cell(parcel));
        let features = [
            self.route_minutes(parcel).ln_1p(),
            f64::from(u8::from(parcel.origin != parcel.destination)),
            (parcel.weight_grams as f64).ln_1p(),
            parcel.at.day().rem_euclid(7) as f64,
            (micros.rem_euclid(DAY_MICROS) / HOUR_MICROS) as f64,
            carrier.map_or(f64::NAN, |number| f64::from(*number)),
            number(parcel.origin),
            number(parcel.destination),
            parcel.latitude,
            parcel.longitude,
            base,
            expected.lane - base,
            expected.carrier,
            carrier_lane.map_or(0.0, |mean| mean.shrunk(0.0)),
            expected.place - base,
            expected.seller,
            count(self.sellers.get(&parcel.seller)),
            expected.seller_place - expected.place,
            count(self.seller_places.get(&seller_place)),
        ];
        (features, base)
    }

    /// Takes a delivery in.
    pub fn observe(&mut self, delivery: &Delivery) {
        let (parcel, value) = (&delivery.parcel, delivery.minutes.ln());
        let expected = self.expected(parcel);
        let lane = (parcel.origin, parcel.destination);
        self.all.add(value);
        self.lanes.entry(lane).or_default().add(value);
        self.places.entry((parcel.origin, cell(parcel))).or_default().add(value);
        self.sellers.entry(parcel.seller).or_default().add(value - expected.place);
        self.seller_places.entry((parcel.seller, cell(parcel))).or_default().add(value);
        if let Some(carrier) = parcel.carrier {
            let rest = value - expected.seller_place;
            self.carriers.entry(carrier).or_default().add(rest);
            self.carrier_lanes.entry((carrier, lane.0, lane.1)).or_default().add(rest);
            let next = self.carrier_numbers.len() as u32;
            self.carrier_numbers.entry(carrier).or_insert(next);
        }
        for region in [parcel.origin, parcel.destination] {
            let next = self.region_numbers.len() as u32;
            self.region_numbers.entry(region).or_insert(next);
        }
        let (north, east) = self.middles.entry(parcel.destination).or_default();
        north.add(parcel.latitude);
        east.add(parcel.longitude);
    }

    fn expected(&self, parcel: &Parcel) -> Expected {
        let shrunk = |mean: Option<&Mean>, wider: f64| mean.map_or(wider, |mean| mean.shrunk(wider));
        let all = self.all.shrunk(FIRST_LOG_MINUTES);
        let lane = shrunk(self.lanes.get(&(parcel.origin, parcel.destination)), all);
        let place = shrunk(self.places.get(&(parcel.origin, cell(parcel))), lane);
        let seller = shrunk(self.sellers.get(&parcel.seller), 0.0);
        let carrier = parcel.carrier.map_or(0.0, |carrier| shrunk(self.carriers.get(&carrier), 0.0));
        let seller_place = shrunk(self.seller_places.get(&(parcel.seller, cell(parcel))), place + seller);
        Expected { lane, place, seller, carrier, seller_place }
    }

    /// The minutes from the middle of the region of origin at a constant speed; no way where that is not known.
    fn route_minutes(&self, parcel: &Parcel) -> f64 {
        let Some((north, east)) = self.middles.get(&parcel.origin) else { return 0.0 };
        distance_km((north.mean, east.mean), (parcel.latitude, parcel.longitude)) / BASE_KM_PER_MINUTE
    }
}

fn cell(parcel: &Parcel) -> Cell {
    let whole = |degrees: f64| (degrees * CELLS_PER_DEGREE).round() as i16;
    (whole(parcel.latitude), whole(parcel.longitude))
}

/// Along the great circle, by the haversine formula.
fn distance_km(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (from_north, to_north) = (from.0.to_radians(), to.0.to_radians());
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    let share = half(to_north - from_north) + from_north.cos() * to_north.cos() * half((to.1 - from.1).to_radians());
    2.0 * EARTH_RADIUS_KM * share.clamp(0.0, 1.0).sqrt().asin()
}

/// Refuses a parcel that cannot be.
pub(crate) fn check(parcel: &Parcel) -> Result<(), DeliveryError> {
    let value = |name, found: f64, range, is_right: bool| match is_right {
        true => Ok(()),
        false => Err(DeliveryError::Value { name, found, range }),
    };
    let (latitude, longitude, weight) = (parcel.latitude, parcel.longitude, parcel.weight_grams);
    value("latitude", latitude, "from -90 to 90", (-90.0..=90.0).contains(&latitude))?;
    value("longitude", longitude, "from -180 to 180", (-180.0..=180.0).contains(&longitude))?;
    value("weight_grams", weight as f64, "from 0 to 100,000,000", (0..=WEIGHT_GRAMS_MAX).contains(&weight))
}

pub(crate) fn check_delivery(delivery: &Delivery) -> Result<(), DeliveryError> {
    check(&delivery.parcel)?;
    match delivery.minutes > 0.0 && delivery.minutes <= MINUTES_MAX {
        true => Ok(()),
        false => Err(DeliveryError::Value {
            name: "minutes",
            found: delivery.minutes,
            range: "above 0 and at most 180 days",
        }),
    }
}
