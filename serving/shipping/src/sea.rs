//! Places by UN/LOCODE and the shortest way between two points over a network of sea legs that a user supplies; it plans no calls and no times.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use petgraph::algo::astar;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::visit::EdgeFiltered;
use serde::{Deserialize, Serialize};

/// The most legs of a network.
pub const SEA_LEGS_MAX: usize = 200_000;
/// How far a point may lie from the network's next point, in metres.
pub const OFF_NETWORK_METRES_MAX: u64 = 300_000;
/// The mean radius of the Earth, in metres.
const EARTH_METRES: f64 = 6_371_008.8;

/// A place by UN/LOCODE: the country's two letters and three characters, `NLRTM`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnLocode(String);

impl UnLocode {
    /// The country's two letters.
    pub fn country(&self) -> &str {
        &self.0[..2]
    }
}

impl FromStr for UnLocode {
    type Err = SeaError;

    fn from_str(text: &str) -> Result<Self, SeaError> {
        let place = |byte: &u8| byte.is_ascii_uppercase() || (b'2'..=b'9').contains(byte);
        let bytes = text.as_bytes();
        if bytes.len() == 5 && bytes[..2].iter().all(u8::is_ascii_uppercase) && bytes[2..].iter().all(place) {
            return Ok(Self(text.to_owned()));
        }
        Err(SeaError::Locode(text.chars().take(16).collect()))
    }
}

impl TryFrom<String> for UnLocode {
    type Error = SeaError;
    fn try_from(text: String) -> Result<Self, SeaError> {
        text.parse()
    }
}

impl From<UnLocode> for String {
    fn from(place: UnLocode) -> Self {
        place.0
    }
}

impl fmt::Display for UnLocode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no way, or no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeaError {
    /// Not a UN/LOCODE.
    #[error("`{0}` is not two capital letters and three letters or digits from 2 to 9 such as NLRTM")]
    Locode(String),
    /// A leg that cannot be.
    #[error("leg {0}: its ends must be longitudes from -360 to 360 and latitudes from -90 to 90")]
    Leg(usize),
    /// A point that cannot be.
    #[error("the point is none on the Earth: its longitude must be from -360 to 360, its latitude from -90 to 90")]
    Point,
    /// No legs, or too many.
    #[error("{0} legs; a network has 1 to {SEA_LEGS_MAX}")]
    Legs(usize),
    /// A point far from the network.
    #[error("the network's next point is {0} m away; at most {OFF_NETWORK_METRES_MAX} m are bridged")]
    OffNetwork(u64),
    /// No way but through what is closed.
    #[error("no way leads there without the passages that are closed")]
    NoWay,
}

/// A point on the Earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeaPoint {
    /// East of Greenwich, from -360 to 360: networks go on past 180 over the date line, and 190 is where -170 is.
    pub longitude: f64,
    /// North of the equator, from -90 to 90.
    pub latitude: f64,
}

impl SeaPoint {
    /// The distance over a sphere, in metres.
    pub fn metres_to(self, other: Self) -> u64 {
        let (a, b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let across = (other.longitude - self.longitude).to_radians();
        let half = ((b - a) / 2.0).sin().powi(2) + a.cos() * b.cos() * (across / 2.0).sin().powi(2);
        (2.0 * EARTH_METRES * half.sqrt().min(1.0).asin()).round() as u64
    }

    fn is_valid(self) -> bool {
        (-360.0..=360.0).contains(&self.longitude) && (-90.0..=90.0).contains(&self.latitude)
    }

    /// The point to about a metre, the same for longitudes a turn apart.
    fn key(self) -> (i32, i32) {
        let at = |degrees: f64| (degrees * 100_000.0).round() as i32;
        (at(self.longitude).rem_euclid(36_000_000), at(self.latitude))
    }
}

/// A straight leg of a network, open both ways.
#[derive(Debug, Clone, PartialEq)]
pub struct SeaLeg {
    /// One end.
    pub from: SeaPoint,
    /// The other end.
    pub to: SeaPoint,
    /// The strait or canal that it leads through, which can be closed.
    pub passage: Option<String>,
}

/// A way over a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeaWay {
    /// Its length with the bridges to and from the network, in metres.
    pub metres: u64,
    /// Its points, both ends included.
    pub points: Vec<SeaPoint>,
    /// The passages that it leads through.
    pub passages: BTreeSet<String>,
}

/// Legs whose ends that are the same point are joined.
#[derive(Debug, Clone)]
pub struct SeaNetwork(UnGraph<SeaPoint, (u64, Option<String>)>);

impl SeaNetwork {
    /// Joins legs.
    ///
    /// # Errors
    /// None or too many, an end that is no point on the Earth.
    pub fn new(legs: &[SeaLeg]) -> Result<Self, SeaError> {
        if legs.is_empty() || legs.len() > SEA_LEGS_MAX {
            return Err(SeaError::Legs(legs.len()));
        }
        let (mut graph, mut nodes) = (UnGraph::default(), HashMap::new());
        for (number, leg) in legs.iter().enumerate() {
            if !leg.from.is_valid() || !leg.to.is_valid() {
                return Err(SeaError::Leg(number));
            }
            let [from, to] =
                [leg.from, leg.to].map(|point| *nodes.entry(point.key()).or_insert_with(|| graph.add_node(point)));
            graph.add_edge(from, to, (leg.from.metres_to(leg.to), leg.passage.clone()));
        }
        Ok(Self(graph))
    }

    /// The shortest way that leads through none of the passages that are closed.
    ///
    /// # Errors
    /// A point that is none on the Earth or too far from the network, no way.
    pub fn way(&self, from: SeaPoint, to: SeaPoint, closed: &BTreeSet<String>) -> Result<SeaWay, SeaError> {
        let ((first, before), (last, after)) = (self.nearest(from)?, self.nearest(to)?);
        let is_open = |passage: &Option<String>| passage.as_ref().is_none_or(|passage| !closed.contains(passage));
        let open = EdgeFiltered::from_fn(&self.0, |edge| is_open(&edge.weight().1));
        // Without an estimate the search is Dijkstra's.
        let (metres, nodes) =
            astar(&open, first, |node| node == last, |edge| edge.weight().0, |_| 0).ok_or(SeaError::NoWay)?;
        let mut passages = BTreeSet::new();
        for pair in nodes.windows(2) {
            let between = self.0.edges_connecting(pair[0], pair[1]).map(|edge| edge.weight());
            let taken = between.filter(|weight| is_open(&weight.1)).min_by_key(|weight| weight.0);
            passages.extend(taken.and_then(|weight| weight.1.clone()));
        }
        let on_network = nodes.iter().map(|&node| self.0[node]);
        let points = std::iter::once(from).chain(on_network).chain([to]).collect();
        Ok(SeaWay { metres: metres + before + after, points, passages })
    }

    fn nearest(&self, point: SeaPoint) -> Result<(NodeIndex, u64), SeaError> {
        if !point.is_valid() {
            return Err(SeaError::Point);
        }
        let away = |node: NodeIndex| (node, self.0[node].metres_to(point));
        let nearest = self.0.node_indices().map(away).min_by_key(|&(_, metres)| metres);
        let (node, metres) = nearest.ok_or(SeaError::Legs(0))?;
        if metres <= OFF_NETWORK_METRES_MAX { Ok((node, metres)) } else { Err(SeaError::OffNetwork(metres)) }
    }
}
