//! The answer to a problem: routes with their times, loads and costs, and the stops left out with reasons.

use serde::{Deserialize, Serialize};

/// Routes for some of the vehicles and the stops that none of them serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One route per used vehicle, in the order of the problem's vehicles.
    pub routes: Vec<Route>,
    /// In the order of the problem's stops.
    pub unassigned: Vec<Unassigned>,
    /// Sum of the routes' costs and of the prizes of stops left out at a price.
    pub cost: i64,
    /// Metres driven.
    pub distance_m: i64,
    /// Seconds between departure and return, summed over the routes.
    pub duration_s: i64,
}

/// What one vehicle does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Index into the problem's vehicles.
    pub vehicle: usize,
    /// In the order of driving, never empty.
    pub visits: Vec<Visit>,
    /// Breaks and reloads in the order in which they happen.
    #[serde(default)]
    pub pauses: Vec<Pause>,
    /// When the vehicle leaves its start.
    pub departure_s: i64,
    /// When it reaches its end.
    pub return_s: i64,
    /// Metres driven.
    pub distance_m: i64,
    /// Seconds driven.
    pub travel_s: i64,
    /// Seconds of setup and service at stops.
    pub service_s: i64,
    /// Seconds of breaks and of service at reloads.
    pub pause_s: i64,
    /// Seconds of waiting: for windows to open, for goods to be released.
    pub waiting_s: i64,
    /// Seconds by which service starts after last windows, summed.
    pub late_s: i64,
    /// Cost in the problem's unit, rounded half up.
    pub cost: i64,
    /// On board at departure, one amount per dimension.
    pub initial_load: Vec<i64>,
}

impl Route {
    /// Seconds between departure and return.
    pub fn duration_s(&self) -> i64 {
        self.return_s - self.departure_s
    }

    /// What the vehicle does, in order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.visits.len() + self.pauses.len());
        let mut pauses = self.pauses.iter().peekable();
        for (index, visit) in self.visits.iter().enumerate() {
            while let Some(pause) = pauses.next_if(|pause| pause.after_visits <= index) {
                steps.push(pause.kind.step());
            }
            steps.push(Step::Stop(visit.stop));
        }
        steps.extend(pauses.map(|pause| pause.kind.step()));
        steps
    }
}

/// One stop served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Index into the problem's stops.
    pub stop: usize,
    /// When the vehicle gets there.
    pub arrival_s: i64,
    /// When setup, or service where there is none, starts: at arrival or when a window opens.
    pub start_s: i64,
    /// Seconds of setup.
    #[serde(default)]
    pub setup_s: i64,
    /// Metres driven since the route's start.
    pub distance_m: i64,
    /// Seconds driven since the route's start.
    pub travel_s: i64,
    /// On board after service, one amount per dimension.
    pub load: Vec<i64>,
}

/// A break or a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// How many of the route's visits come before it.
    pub after_visits: usize,
    /// What happens.
    pub kind: PauseKind,
    /// When the vehicle gets to the reload's place, or when the break could begin.
    pub arrival_s: i64,
    /// When it begins. A break may begin on the way; driving goes on after it.
    pub start_s: i64,
    /// Seconds that it takes.
    pub service_s: i64,
    /// Metres driven since the route's start up to the last place reached.
    pub distance_m: i64,
    /// Seconds driven since the route's start.
    pub travel_s: i64,
    /// On board afterwards, one amount per dimension.
    pub load: Vec<i64>,
}

/// What happens at a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseKind {
    /// The vehicle's break of this index.
    Break(usize),
    /// A reload at this location.
    Reload(usize),
}

impl PauseKind {
    fn step(self) -> Step {
        match self {
            PauseKind::Break(index) => Step::Break(index),
            PauseKind::Reload(location) => Step::Reload(location),
        }
    }
}

/// One thing on the way of a vehicle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The stop of this index is served.
    Stop(usize),
    /// Back for more at this location.
    Reload(usize),
    /// The vehicle's break of this index.
    Break(usize),
}

/// A stop that no route serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unassigned {
    /// Index into the problem's stops.
    pub stop: usize,
    /// Why.
    pub reason: UnassignedReason,
}

/// Why a stop is left out. Each reason but the last two holds even for an otherwise empty fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnassignedReason {
    /// No vehicle has all the skills that the stop asks for.
    NoVehicleWithSkills,
    /// The stop's amounts exceed the capacity of every vehicle with the skills.
    OverEveryCapacity,
    /// No vehicle that could carry it can serve it inside its window and be back before its shift ends.
    WindowUnreachable,
    /// Every vehicle that could be there in time would exceed its own limit of distance, driving, duration or stops.
    OverRouteLimits,
    /// Some vehicle could serve it alone, but not beside the stops that were chosen.
    NoRoomLeft,
    /// It could be served, but serving it was found to cost more than its prize.
    PrizeTooLow,
}

impl UnassignedReason {
    /// The reason as a sentence for a planner.
    pub fn words(self) -> &'static str {
        match self {
            UnassignedReason::NoVehicleWithSkills => "no vehicle has all the skills that this stop asks for",
            UnassignedReason::OverEveryCapacity => "its amounts exceed the capacity of every suitable vehicle",
            UnassignedReason::WindowUnreachable => {
                "no suitable vehicle can serve it inside its window and return before its shift ends"
            }
            UnassignedReason::OverRouteLimits => "every suitable vehicle would exceed its limit of distance or time",
            UnassignedReason::NoRoomLeft => "no room was left beside the stops that are served",
            UnassignedReason::PrizeTooLow => "serving it was found to cost more than its prize",
        }
    }
}
