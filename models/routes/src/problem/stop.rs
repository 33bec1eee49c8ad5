//! What is served: stops with their windows and amounts, and shipments that join two of them; it checks nothing.

use super::MAX_TIME_S;
use serde::{Deserialize, Serialize};

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

    /// From the first opening to the last closing of windows in ascending order; `ALWAYS` when there are none.
    pub fn hull(windows: &[TimeWindow]) -> TimeWindow {
        match (windows.first(), windows.last()) {
            (Some(first), Some(last)) => TimeWindow { opens_s: first.opens_s, closes_s: last.closes_s },
            _ => TimeWindow::ALWAYS,
        }
    }
}

impl Default for TimeWindow {
    fn default() -> TimeWindow {
        TimeWindow::ALWAYS
    }
}

/// Service may start after the last window has closed, at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lateness {
    /// Most seconds after the last window closes.
    pub most_s: i64,
    /// Cost per hour of being late.
    pub cost_per_hour: i64,
}

/// One place to serve once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The caller's name, unique among the stops.
    pub id: String,
    /// Index into the problem's locations.
    pub location: usize,
    /// Brought from the start of the trip, one non-negative amount per capacity dimension.
    #[serde(default)]
    pub delivery: Vec<i64>,
    /// Taken along to the end of the trip, one non-negative amount per capacity dimension.
    #[serde(default)]
    pub pickup: Vec<i64>,
    /// When service may start: one of these, ascending and apart; none means at any time.
    #[serde(default)]
    pub windows: Vec<TimeWindow>,
    /// Service may start after the last window at a price; none means that the windows are strict.
    #[serde(default)]
    pub lateness: Option<Lateness>,
    /// Seconds of service.
    #[serde(default)]
    pub service_s: i64,
    /// Seconds before service (and inside the window) when the vehicle comes from another location: parking, walking.
    #[serde(default)]
    pub setup_s: i64,
    /// When its goods are at the depot: the trip that brings them leaves no earlier.
    #[serde(default)]
    pub release_s: i64,
    /// Skills that the vehicle must all have.
    #[serde(default)]
    pub skills: Vec<u32>,
    /// Vehicles that may serve it, by index; empty means any with the skills.
    #[serde(default)]
    pub vehicles: Vec<usize>,
    /// 0 to 100: among stops that cannot all be served, the summed 1 + priority of those left out is least.
    #[serde(default)]
    pub priority: u8,
    /// What leaving the stop out costs. None: the stop has no price and is left out only when it cannot be served.
    #[serde(default)]
    pub prize: Option<i64>,
    /// A backhaul is served after every stop of its route that is none, and no route consists of backhauls only.
    #[serde(default)]
    pub backhaul: bool,
    /// Stops with the same number are alternatives: one of them is served, and it stands for all.
    #[serde(default)]
    pub group: Option<u32>,
}

impl Stop {
    /// A stop that asks for nothing but a visit.
    pub fn new(id: impl Into<String>, location: usize) -> Stop {
        Stop {
            id: id.into(),
            location,
            delivery: Vec::new(),
            pickup: Vec::new(),
            windows: Vec::new(),
            lateness: None,
            service_s: 0,
            setup_s: 0,
            release_s: 0,
            skills: Vec::new(),
            vehicles: Vec::new(),
            priority: 0,
            prize: None,
            backhaul: false,
            group: None,
        }
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

    /// The same stop with service starting in this window, seconds; called again it adds a further, later window.
    pub fn between(mut self, opens_s: i64, closes_s: i64) -> Stop {
        self.windows.push(TimeWindow { opens_s, closes_s });
        self
    }

    /// The same stop with this service time, seconds.
    pub fn taking(mut self, service_s: i64) -> Stop {
        self.service_s = service_s;
        self
    }

    /// From the opening of its first window to the closing of its last.
    pub fn window(&self) -> TimeWindow {
        TimeWindow::hull(&self.windows)
    }

    /// The last second at which service may start, late at a price or not.
    pub fn latest_start_s(&self) -> i64 {
        self.window().closes_s + self.lateness.map_or(0, |lateness| lateness.most_s)
    }

    /// Weight of leaving it out among stops without a price.
    pub(crate) fn weight(&self) -> i64 {
        if self.prize.is_some() { 0 } else { 1 + i64::from(self.priority) }
    }
}

/// Goods taken at one stop and brought to another by the same vehicle, later on its route. Both stops are served or neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipment {
    /// Index of the stop where the goods are taken.
    pub pickup: usize,
    /// Index of the stop to which they are brought.
    pub delivery: usize,
    /// On board in between, one non-negative amount per capacity dimension.
    #[serde(default)]
    pub amount: Vec<i64>,
}
