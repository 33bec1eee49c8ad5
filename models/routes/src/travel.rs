//! Distances and times between places: by great circle, in a plane, or by given matrices; it knows no roads.

use crate::problem::{MAX_LEG, MAX_LOCATIONS, ProblemError};
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

/// How far apart points of a plane are in integers: the conventions of the published benchmark families. A driven second is a
/// unit of distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Unrounded distances in thousandths, rounded to the nearest; times are counted in thousandths, too.
    None,
    /// The nearest integer, as CVRPLIB's instances count.
    Nearest,
    /// The integer part.
    Trunc,
    /// One decimal, the rest cut off, counted in tenths: the rule of the DIMACS challenge for time windows.
    Trunc10,
}

impl Rounding {
    /// Units of this rounding in one unit of the coordinates.
    #[inline]
    pub fn scale(self) -> i64 {
        match self {
            Rounding::None => 1_000,
            Rounding::Nearest | Rounding::Trunc => 1,
            Rounding::Trunc10 => 10,
        }
    }

    /// A length, time or cost of the caller in units of this rounding. Not a number and what is too large become `i64`'s bounds.
    #[inline]
    pub fn apply(self, value: f64) -> i64 {
        let scaled = value * self.scale() as f64;
        match self {
            Rounding::None | Rounding::Nearest => nearest(scaled),
            Rounding::Trunc | Rounding::Trunc10 => scaled as i64,
        }
    }

    /// The length of the straight line between two points of checked travel, which are at most `MAX_LEG` apart, so that squares
    /// need no care.
    #[inline]
    pub(crate) fn straight(self, a: [f64; 2], b: [f64; 2]) -> i64 {
        let (across, along) = (a[0] - b[0], a[1] - b[1]);
        self.apply((across * across + along * along).sqrt())
    }
}

/// The nearest integer, half away from zero: what `f64::round` gives, without its call.
#[inline]
fn nearest(value: f64) -> i64 {
    let whole = value as i64;
    let rest = value - whole as f64;
    whole.saturating_add(i64::from(rest >= 0.5)).saturating_sub(i64::from(rest <= -0.5))
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
    /// Straight lines in a plane; a unit of distance takes a second.
    Planar {
        /// One point `[x, y]` per location.
        points: Vec<[f64; 2]>,
        /// How lengths become integers.
        rounding: Rounding,
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

/// Locations up to which the legs between coordinates are kept in a table; above it each is computed when asked for.
const TABLE_LOCATIONS: usize = 3_000;
/// Most locations of a matrix.
const MATRIX_LOCATIONS: usize = 8_000;

/// The checked legs.
#[derive(Debug, Clone)]
pub(crate) struct Legs {
    kind: Kind,
    longest: i64,
    planar: bool,
    pub(crate) places: Vec<Place>,
}

#[derive(Debug, Clone)]
enum Kind {
    Table { width: usize, legs: Vec<Leg> },
    GreatCircle { speed_kmh: f64 },
    Planar { rounding: Rounding },
}

impl Legs {
    /// Checks a travel profile that stands at `path`.
    pub(crate) fn new(path: &str, travel: &Travel) -> Result<Legs, ProblemError> {
        let legs = match travel {
            Travel::GreatCircle { places, speed_kmh } => great_circle(path, places, *speed_kmh)?,
            Travel::Planar { points, rounding } => planar(path, points, *rounding)?,
            Travel::Matrices { distances_m, durations_s, places } => {
                return from_matrices(path, distances_m, durations_s, places);
            }
        };
        Ok(if legs.places.len() <= TABLE_LOCATIONS { legs.tabulated() } else { legs })
    }

    /// The same legs with every one computed ahead.
    fn tabulated(self) -> Legs {
        let width = self.places.len();
        let legs = (0..width).flat_map(|from| (0..width).map(move |to| (from, to)));
        let legs = legs.map(|(from, to)| self.get(from, to)).collect();
        Legs { kind: Kind::Table { width, legs }, ..self }
    }

    /// Number of locations.
    pub(crate) fn locations(&self) -> usize {
        match &self.kind {
            Kind::Table { width, .. } => *width,
            _ => self.places.len(),
        }
    }

    pub(crate) fn is_planar(&self) -> bool {
        self.planar
    }

    /// The points and how lengths of straight lines become integers, where legs are computed as such.
    pub(crate) fn straight(&self) -> Option<(&[Place], Rounding)> {
        match self.kind {
            Kind::Planar { rounding } => Some((&self.places, rounding)),
            Kind::Table { .. } | Kind::GreatCircle { .. } => None,
        }
    }

    pub(crate) fn get(&self, from: usize, to: usize) -> Leg {
        match &self.kind {
            Kind::Table { width, legs } => legs[from * width + to],
            Kind::GreatCircle { speed_kmh } => {
                let distance_m = great_circle_m(self.places[from], self.places[to]);
                let duration_s = (distance_m * 3.6 / speed_kmh).round() as u32;
                Leg { distance_m: distance_m.round() as u32, duration_s }
            }
            Kind::Planar { rounding } => {
                let (a, b) = (self.places[from], self.places[to]);
                let length = rounding.straight([a.lon, a.lat], [b.lon, b.lat]) as u32;
                Leg { distance_m: length, duration_s: length }
            }
        }
    }

    /// A bound on every distance and duration.
    pub(crate) fn longest(&self) -> i64 {
        self.longest
    }
}

fn great_circle(path: &str, places: &[Place], speed_kmh: f64) -> Result<Legs, ProblemError> {
    if !(speed_kmh > 0.0 && speed_kmh <= MAX_SPEED_KMH) {
        let message = format!("speed is {speed_kmh} km/h; it must be above 0 and at most {MAX_SPEED_KMH}");
        return Err(ProblemError::new(format!("{path}/speed_kmh"), message));
    }
    check_number_of_locations(&format!("{path}/places"), places.len(), MAX_LOCATIONS)?;
    check_places(path, places)?;
    // No leg is longer than once round the diagonal of the box that holds all places, nor than half the Earth.
    let (low, high) = corners(places);
    let span_m = (high.lat - low.lat).hypot(high.lon - low.lon).to_radians() * EARTH_RADIUS_M;
    let longest_m = span_m.min(std::f64::consts::PI * EARTH_RADIUS_M).ceil();
    let longest_s = (longest_m * 3.6 / speed_kmh).ceil();
    if longest_s > MAX_LEG as f64 {
        let message = format!("at {speed_kmh} km/h a leg may take {longest_s} s; at most {MAX_LEG} is allowed");
        return Err(ProblemError::new(format!("{path}/speed_kmh"), message));
    }
    let longest = longest_m.max(longest_s) as i64;
    Ok(Legs { kind: Kind::GreatCircle { speed_kmh }, longest, planar: false, places: places.to_vec() })
}

fn planar(path: &str, points: &[[f64; 2]], rounding: Rounding) -> Result<Legs, ProblemError> {
    check_number_of_locations(&format!("{path}/points"), points.len(), MAX_LOCATIONS)?;
    if let Some(index) = points.iter().position(|point| !point.iter().all(|value| value.is_finite())) {
        let message = format!("{:?} is not a point; both coordinates must be finite numbers", points[index]);
        return Err(ProblemError::new(format!("{path}/points/{index}"), message));
    }
    let places: Vec<Place> = points.iter().map(|&[x, y]| Place { lat: y, lon: x }).collect();
    let (low, high) = corners(&places);
    let longest = rounding.apply((high.lat - low.lat).hypot(high.lon - low.lon)).saturating_add(1);
    if longest > MAX_LEG {
        let message = format!("the points lie {longest} units apart; at most {MAX_LEG} is allowed");
        return Err(ProblemError::new(format!("{path}/points"), message));
    }
    Ok(Legs { kind: Kind::Planar { rounding }, longest, planar: true, places })
}

fn from_matrices(
    path: &str,
    distances_m: &[Vec<i64>],
    durations_s: &[Vec<i64>],
    places: &[Place],
) -> Result<Legs, ProblemError> {
    let size = durations_s.len();
    check_number_of_locations(&format!("{path}/durations_s"), size, MATRIX_LOCATIONS)?;
    check_matrix(&format!("{path}/distances_m"), distances_m, size)?;
    check_matrix(&format!("{path}/durations_s"), durations_s, size)?;
    if !places.is_empty() && places.len() != size {
        let message = format!("{} places for {size} matrix rows; give one per row or none", places.len());
        return Err(ProblemError::new(format!("{path}/places"), message));
    }
    let planar = places.iter().any(|place| check_place(*place).is_some());
    if planar && !places.iter().all(|place| place.lat.is_finite() && place.lon.is_finite()) {
        check_places(path, places)?;
    }
    let legs = distances_m.iter().zip(durations_s).flat_map(|(distances, durations)| distances.iter().zip(durations));
    let leg = |(&distance, &duration): (&i64, &i64)| Leg { distance_m: distance as u32, duration_s: duration as u32 };
    let legs: Vec<Leg> = legs.map(leg).collect();
    let longest = legs.iter().map(|leg| i64::from(leg.distance_m.max(leg.duration_s))).max().unwrap_or(0);
    Ok(Legs { kind: Kind::Table { width: size, legs }, longest, planar, places: places.to_vec() })
}

fn corners(places: &[Place]) -> (Place, Place) {
    let first = Place { lat: f64::MAX, lon: f64::MAX };
    places.iter().fold((first, Place { lat: f64::MIN, lon: f64::MIN }), |(low, high), place| {
        let low = Place { lat: low.lat.min(place.lat), lon: low.lon.min(place.lon) };
        (low, Place { lat: high.lat.max(place.lat), lon: high.lon.max(place.lon) })
    })
}

fn check_number_of_locations(path: &str, count: usize, most: usize) -> Result<(), ProblemError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(ProblemError::new(path, format!("{count} given; between 1 and {most} are needed")))
}

/// The name, value and limit of a coordinate that is none on the Earth.
fn check_place(place: Place) -> Option<(&'static str, f64, f64)> {
    let coordinates = [("lat", place.lat, 90.0), ("lon", place.lon, 180.0)];
    coordinates.into_iter().find(|(_, value, limit)| value.is_nan() || value.abs() > *limit)
}

fn check_places(path: &str, places: &[Place]) -> Result<(), ProblemError> {
    for (index, place) in places.iter().enumerate() {
        if let Some((name, value, limit)) = check_place(*place) {
            let message = format!("{value} is not a coordinate; it must lie between -{limit} and {limit}");
            return Err(ProblemError::new(format!("{path}/places/{index}/{name}"), message));
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
