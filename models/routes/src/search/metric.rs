//! What a leg between two nodes costs, or how long it takes: a table with its transpose, or computed where a table would be
//! too large; it knows no units.

use crate::problem::Problem;
use crate::travel::{Place, Rounding};

/// Nodes up to which a table is kept.
const MOST_TABULATED: usize = 3_000;
/// Largest value that a table holds.
pub(super) const LARGEST: i64 = 1 << 30;

/// Value of a leg: (`per_metre` · metres + `per_second` · seconds) / `unit` by one of the problem's travel profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) profile: usize,
    pub(super) per_metre: i64,
    pub(super) per_second: i64,
    pub(super) unit: i64,
}

/// Whole numbers between any two nodes.
#[derive(Debug)]
pub(super) struct Metric<'a> {
    pub(super) rate: Rate,
    source: Source<'a>,
    width: usize,
    /// Where legs are computed as straight lines.
    plane: Option<Plane>,
    /// Row = from; empty when values are computed.
    leaving: Vec<i32>,
    /// Row = to; empty when values are computed or the table is symmetric.
    arriving: Vec<i32>,
}

/// Straight lines between nodes that all have a point; a unit of length costs so much.
#[derive(Debug)]
struct Plane {
    points: Vec<[f64; 2]>,
    rounding: Rounding,
    price: i64,
}

impl Plane {
    /// None where the problem measures otherwise, or a price is not whole.
    fn of(source: Source, rate: Rate) -> Option<Plane> {
        let (places, rounding) = source.problem.straight(rate.profile).filter(|_| rate.unit == 1)?;
        let point = |location: &Option<usize>| location.map(|location| [places[location].lon, places[location].lat]);
        let points: Option<Vec<[f64; 2]>> = source.places.iter().map(point).collect();
        Some(Plane { points: points?, rounding, price: rate.per_metre + rate.per_second })
    }

    #[inline]
    fn get(&self, from: usize, to: usize) -> i64 {
        self.price * self.rounding.straight(self.points[from], self.points[to])
    }
}

/// Where the nodes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) problem: &'a Problem,
    /// Per node; none for the missing depot of a vehicle.
    pub(super) places: &'a [Option<usize>],
}

impl Source<'_> {
    fn value(&self, rate: Rate, from: usize, to: usize) -> i64 {
        let leg = self.problem.leg_by(rate.profile, self.places[from], self.places[to]);
        let value = rate.per_metre * i64::from(leg.distance_m) + rate.per_second * i64::from(leg.duration_s);
        if rate.unit == 1 { value } else { value / rate.unit }
    }
}

impl<'a> Metric<'a> {
    pub(super) fn new(source: Source<'a>, rate: Rate) -> Metric<'a> {
        let width = source.places.len();
        let mut metric = Metric { rate, source, width, plane: None, leaving: Vec::new(), arriving: Vec::new() };
        if width <= MOST_TABULATED {
            let cell = |cell: usize| source.value(rate, cell / width, cell % width).min(LARGEST) as i32;
            let leaving: Vec<i32> = (0..width * width).map(cell).collect();
            let symmetric = (0..width).all(|a| (0..a).all(|b| leaving[a * width + b] == leaving[b * width + a]));
            if !symmetric {
                let transposed = (0..width * width).map(|cell| leaving[cell % width * width + cell / width]);
                metric.arriving = transposed.collect();
            }
            metric.leaving = leaving;
        } else {
            metric.plane = Plane::of(source, rate);
        }
        metric
    }

    /// True when a table shows it to be as far there as back.
    pub(super) fn is_symmetric(&self) -> bool {
        !self.leaving.is_empty() && self.arriving.is_empty()
    }

    /// Where a node is, when the problem says so.
    pub(super) fn point(&self, node: usize) -> Option<Place> {
        self.source.places[node].and_then(|location| self.source.problem.place(location))
    }

    #[inline]
    pub(super) fn get(&self, from: usize, to: usize) -> i64 {
        if self.leaving.is_empty() {
            return match &self.plane {
                Some(plane) => plane.get(from, to),
                None => self.source.value(self.rate, from, to),
            };
        }
        i64::from(self.leaving[from * self.width + to])
    }

    /// To the node from every other, and from the node to every other; none when values are computed.
    #[inline]
    pub(super) fn rows(&self, node: usize) -> Option<(&[i32], &[i32])> {
        let row = node * self.width..(node + 1) * self.width;
        let from = self.leaving.get(row.clone())?;
        Some((self.arriving.get(row).unwrap_or(from), from))
    }
}
