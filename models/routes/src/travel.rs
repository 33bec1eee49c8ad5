//! Distances and times between places, by great circle or by given matrices; it knows no roads.

use crate::problem::{MAX_LEG, ProblemError};
use serde::{Deserialize, Serialize};

/// Mean radius of the Earth (IUGG), metres.
const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// Fastest speed accepted, km/h.
const MAX_SPEED_KMH: f64 = 1_000.0;

/// A point on the Earth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Latitude in degrees, −90 to 90.
    pub lat: f64,
    /// Longitude in degrees, −180 to 180.
    pub lon: f64,
}

/// How long and how far it is between any two locations. Stops and vehicles name locations by index.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Travel {
    /// Great-circle distance at one constant speed.
    GreatCircle {
        /// One place per location.
        places: Vec<Place>,
        /// Speed in km/h, above 0.
        speed_kmh: f64,
    },
    /// Square matrices, row = from, column = to; they may be asymmetric.
    Matrices {
        /// Metres.
        distances_m: Vec<Vec<i64>>,
        /// Seconds.
        durations_s: Vec<Vec<i64>>,
        /// Where the locations are, for maps only; empty when unknown.
        places: Vec<Place>,
    },
}

/// Travel from one location to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leg {
    /// Metres.
    pub distance_m: u32,
    /// Seconds.
    pub duration_s: u32,
}

/// The checked table of legs. Its last row and column are an extra location without any travel: it stands in for the depot
/// of a vehicle that has no start or no end.
#[derive(Debug, Clone)]
pub(crate) struct Legs {
    width: usize,
    legs: Vec<Leg>,
    pub(crate) places: Vec<Place>,
}

impl Legs {
    pub(crate) fn new(travel: &Travel) -> Result<Legs, ProblemError> {
        match travel {
            Travel::GreatCircle { places, speed_kmh } => Legs::great_circle(places, *speed_kmh),
            Travel::Matrices { distances_m, durations_s, places } => {
                Legs::from_matrices(distances_m, durations_s, places)
            }
        }
    }

    fn great_circle(places: &[Place], speed_kmh: f64) -> Result<Legs, ProblemError> {
        if !(speed_kmh > 0.0 && speed_kmh <= MAX_SPEED_KMH) {
            let message = format!("speed is {speed_kmh} km/h; it must be above 0 and at most {MAX_SPEED_KMH}");
            return Err(ProblemError::new("/travel/speed_kmh", message));
        }
        check_places(places)?;
        let mut legs = Legs::empty(places.len(), places);
        for (from, &a) in places.iter().enumerate() {
            for (to, &b) in places.iter().enumerate() {
                let distance_m = great_circle_m(a, b);
                // Half the Earth's circumference at walking pace is beyond `MAX_LEG`, hence the check.
                let duration_s = (distance_m * 3.6 / speed_kmh).round();
                if duration_s > MAX_LEG as f64 {
                    let message = format!("location {from} to {to} takes {duration_s} s; at most {MAX_LEG} is allowed");
                    return Err(ProblemError::new("/travel/speed_kmh", message));
                }
                let leg = Leg { distance_m: distance_m.round() as u32, duration_s: duration_s as u32 };
                legs.legs[from * legs.width + to] = leg;
            }
        }
        Ok(legs)
    }

    fn from_matrices(
        distances_m: &[Vec<i64>],
        durations_s: &[Vec<i64>],
        places: &[Place],
    ) -> Result<Legs, ProblemError> {
        let size = durations_s.len();
        check_matrix("/travel/distances_m", distances_m, size)?;
        check_matrix("/travel/durations_s", durations_s, size)?;
        if !places.is_empty() && places.len() != size {
            let message = format!("{} places for {size} matrix rows; give one per row or none", places.len());
            return Err(ProblemError::new("/travel/places", message));
        }
        check_places(places)?;
        let mut legs = Legs::empty(size, places);
        for (from, (distances, durations)) in distances_m.iter().zip(durations_s).enumerate() {
            for (to, (&distance, &duration)) in distances.iter().zip(durations).enumerate() {
                legs.legs[from * legs.width + to] = Leg { distance_m: distance as u32, duration_s: duration as u32 };
            }
        }
        Ok(legs)
    }

    fn empty(size: usize, places: &[Place]) -> Legs {
        let width = size + 1;
        Legs { width, legs: vec![Leg::default(); width * width], places: places.to_vec() }
    }

    /// Number of real locations, which is also the index of the location without travel.
    pub(crate) fn nowhere(&self) -> usize {
        self.width - 1
    }

    pub(crate) fn get(&self, from: usize, to: usize) -> Leg {
        self.legs[from * self.width + to]
    }

    /// The largest distance or duration of the table.
    pub(crate) fn longest(&self) -> i64 {
        self.legs.iter().map(|leg| i64::from(leg.distance_m.max(leg.duration_s))).max().unwrap_or(0)
    }
}

fn check_places(places: &[Place]) -> Result<(), ProblemError> {
    for (index, place) in places.iter().enumerate() {
        for (name, value, limit) in [("lat", place.lat, 90.0), ("lon", place.lon, 180.0)] {
            if value.is_nan() || value.abs() > limit {
                let message = format!("{value} is not a coordinate; it must lie between -{limit} and {limit}");
                return Err(ProblemError::new(format!("/travel/places/{index}/{name}"), message));
            }
        }
    }
    Ok(())
}

fn check_matrix(path: &str, matrix: &[Vec<i64>], size: usize) -> Result<(), ProblemError> {
    if matrix.len() != size {
        return Err(ProblemError::new(path, format!("{} rows; it must have {size}", matrix.len())));
    }
    for (from, row) in matrix.iter().enumerate() {
        if row.len() != size {
            let message = format!("{} columns; the matrix must be square with {size}", row.len());
            return Err(ProblemError::new(format!("{path}/{from}"), message));
        }
        if let Some(to) = row.iter().position(|value| !(0..=MAX_LEG).contains(value)) {
            let message = format!("{} is out of range; it must lie between 0 and {MAX_LEG}", row[to]);
            return Err(ProblemError::new(format!("{path}/{from}/{to}"), message));
        }
    }
    Ok(())
}

/// Haversine distance in metres.
fn great_circle_m(a: Place, b: Place) -> f64 {
    let (lat_a, lat_b) = (a.lat.to_radians(), b.lat.to_radians());
    let half_lat = ((lat_b - lat_a) / 2.0).sin();
    let half_lon = ((b.lon - a.lon).to_radians() / 2.0).sin();
    let chord = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
    2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
}
