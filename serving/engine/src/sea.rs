//! Ways over the sea between ports, on the chart that the settings name; it plans no calls and no times.

use std::collections::{BTreeMap, BTreeSet};

use dhow_shipping::{SeaError, SeaNetwork, SeaPoint, SeaWay, UnLocode};

use crate::{Engine, EngineError};

/// A port.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub point: SeaPoint,
}

/// Legs and ports that a user supplies; without them there are no ways.
#[derive(Debug, Clone, Default)]
pub struct SeaChart {
    /// The legs.
    pub network: Option<SeaNetwork>,
    /// The ports.
    pub ports: BTreeMap<UnLocode, Port>,
}

impl Engine {
    /// A port of the chart.
    ///
    /// # Errors
    /// It is not on the chart.
    pub fn port(&self, code: &UnLocode) -> Result<&Port, EngineError> {
        self.sea().ports.get(code).ok_or_else(|| EngineError::NotFound(format!("port {code} on the chart")))
    }

    /// The shortest way between two ports that leads through none of the passages that are closed.
    ///
    /// # Errors
    /// No chart, a port that is not on it or far from its legs, no way but through what is closed.
    pub fn sea_way(&self, from: &Port, to: &Port, closed: &BTreeSet<String>) -> Result<SeaWay, EngineError> {
        let no_chart = || EngineError::NotFound("chart of sea legs; `[shipping] sea_legs` names one".to_owned());
        let network = self.sea().network.as_ref().ok_or_else(no_chart)?;
        network.way(from.point, to.point, closed).map_err(|error| match error {
            SeaError::NoWay | SeaError::OffNetwork(_) => EngineError::Conflict(error.to_string()),
            other => EngineError::invalid("", other.to_string()),
        })
    }
}
