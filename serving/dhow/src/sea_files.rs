//! Reads the sea legs and ports that the configuration names, as GeoJSON; it finds no way.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use dhow_engine::{Port, SeaChart};
use dhow_shipping::{SeaLeg, SeaNetwork, SeaPoint, UnLocode};
use serde::Deserialize;

use crate::failure::Failure;

/// The largest file of legs or ports, in bytes.
const CHART_BYTES_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Collection<P, G> {
    features: Vec<Feature<P, G>>,
}

#[derive(Deserialize)]
struct Feature<P, G> {
    properties: P,
    geometry: G,
}

#[derive(Deserialize)]
struct LegProperties {
    /// The strait or canal that the lines lead through.
    passage: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates")]
enum Lines {
    LineString(Vec<[f64; 2]>),
    MultiLineString(Vec<Vec<[f64; 2]>>),
}

#[derive(Deserialize)]
struct PortProperties {
    port: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates")]
enum Place {
    Point([f64; 2]),
}

/// The chart of two files, of which either may be absent.
///
/// # Errors
/// A file that cannot be read, is too large, or is no such GeoJSON; legs that make no network.
pub fn sea_chart(legs: Option<&Path>, ports: Option<&Path>) -> Result<SeaChart, Failure> {
    let network = legs.map(network).transpose()?;
    let ports = ports.map(ports_of).transpose()?.unwrap_or_default();
    Ok(SeaChart { network, ports })
}

fn network(file: &Path) -> Result<SeaNetwork, Failure> {
    let mut legs = Vec::new();
    for feature in read::<Collection<LegProperties, Lines>>(file)?.features {
        let lines = match feature.geometry {
            Lines::LineString(line) => vec![line],
            Lines::MultiLineString(lines) => lines,
        };
        let passage = &feature.properties.passage;
        for pair in lines.iter().flat_map(|line| line.windows(2)) {
            legs.push(SeaLeg { from: point(pair[0]), to: point(pair[1]), passage: passage.clone() });
        }
    }
    SeaNetwork::new(&legs).map_err(|error| wrong(file, &error))
}

/// Published lists hold a few ports without a UN/LOCODE and a few twice: those are left out, and the first counts.
fn ports_of(file: &Path) -> Result<BTreeMap<UnLocode, Port>, Failure> {
    let (mut ports, mut without_code, mut twice) = (BTreeMap::new(), 0, 0);
    for Feature { properties, geometry: Place::Point(at) } in read::<Collection<PortProperties, Place>>(file)?.features
    {
        let PortProperties { port, name } = properties;
        let Ok(code) = port.parse::<UnLocode>() else {
            without_code += 1;
            continue;
        };
        match ports.entry(code) {
            Entry::Vacant(place) => drop(place.insert(Port { name, point: point(at) })),
            Entry::Occupied(_) => twice += 1,
        }
    }
    if without_code + twice > 0 {
        tracing::warn!(file = %file.display(), without_code, twice, "ports without a UN/LOCODE, or that stand twice, are left out");
    }
    Ok(ports)
}

const fn point([longitude, latitude]: [f64; 2]) -> SeaPoint {
    SeaPoint { longitude, latitude }
}

fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T, Failure> {
    let unread = |error| Failure::Input(format!("{}: {error}", file.display()));
    let bytes = std::fs::metadata(file).map_err(unread)?.len();
    if bytes > CHART_BYTES_MAX {
        return Err(wrong(file, &format!("it has {bytes} bytes; at most {CHART_BYTES_MAX} are read")));
    }
    serde_json::from_str(&std::fs::read_to_string(file).map_err(unread)?).map_err(|error| wrong(file, &error))
}

fn wrong(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Input(format!("{}: {error}", file.display()))
}
