//! VROOM's JSON (API of version 1.14) in and out; what it cannot honour it refuses by name, so nothing is silently ignored.
//!
//! Understood of VROOM's API: `jobs`, `shipments`, `vehicles` with `breaks`, `costs`, `speed_factor`, `profile`, `steps` and all
//! limits, `matrices` with durations and distances per profile, and `options`. Refused are matrices of `costs`, and `service_at`, `service_after` and `service_before` of steps.
//!
//! Beyond VROOM's API a job may have `release` (seconds: its goods leave the depot no earlier), `prize` (cost of leaving it
//! out), `group` (one of the jobs with the same number is served), `backhaul`, `vehicles` (ids of those that may serve it) and
//! `lateness` (`{"max", "per_hour"}`); shipments' pickups and deliveries may have `lateness`; a vehicle may have `max_duration`,
//! `costs.per_duty_hour`, `overtime` (`{"after", "per_hour"}`), `traffic` (a list of `[from, percent]`), `reload`
//! (`{"location"/"location_index", "max", "service"}`) and `co2e_g_per_km`.
//!
//! A vehicle's `steps` are where planning starts. With `"options": {"c": true}`, VROOM's plan mode, the steps are kept as they
//! are, times are chosen, and what they break is listed as `violations`.
//!
//! With `"options": {"g": true}` each route has a `geometry` when all its places have coordinates: an encoded polyline of
//! straight lines, as no roads are known.
//!
//! Where VROOM would ask a road engine for a missing matrix, great-circle distances at a constant speed are used. As in VROOM
//! the default cost is 3,600 an hour of driving. The answer lacks `computing_times`, as no clock is read here, and adds
//! `reason` and `reason_text` to each unassigned task.

mod answer;
mod build;
mod input;
mod output;

use crate::general::Tours;
use crate::plan::{Plan, Step};
use crate::problem::{Problem, ProblemError};
use crate::schedule::plan_of;
use crate::solver::{Budget, ONE_THREAD, SolveError, solve_from};
use crate::threads::plan_on_threads;
use input::{Task, VroomVehicle};
use serde_json::{Map, Value, json};
use std::num::NonZeroUsize;

/// Why a VROOM request is refused, with a JSON Pointer into it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VroomError {
    /// Not JSON, or not an object.
    #[error("the request is not a JSON object: {message}")]
    NotJson {
        /// What the parser says.
        message: String,
    },
    /// A field has a wrong type or value.
    #[error("{path}: {message}")]
    Invalid {
        /// Where.
        path: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A field that this engine does not honour.
    #[error("{path}: not supported: {message}")]
    Unsupported {
        /// Where.
        path: String,
        /// What is supported instead.
        message: String,
    },
}

impl VroomError {
    /// VROOM's answer to a bad request: code 2 and the error's text.
    pub fn response(&self) -> Value {
        json!({ "code": 2, "error": self.to_string() })
    }

    /// JSON Pointer to the field; empty for the whole document.
    pub fn path(&self) -> &str {
        match self {
            VroomError::NotJson { .. } => "",
            VroomError::Invalid { path, .. } | VroomError::Unsupported { path, .. } => path,
        }
    }

    fn invalid(path: impl Into<String>, message: impl Into<String>) -> VroomError {
        VroomError::Invalid { path: path.into(), message: message.into() }
    }

    fn unsupported(path: impl Into<String>, message: impl Into<String>) -> VroomError {
        VroomError::Unsupported { path: path.into(), message: message.into() }
    }
}

/// What a stop of the problem is in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Job,
    Pickup,
    Delivery,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Job => "job",
            Kind::Pickup => "pickup",
            Kind::Delivery => "delivery",
        }
    }
}

/// A VROOM request that has become a problem; it keeps what the answer must echo.
#[derive(Debug, Clone)]
pub struct Request {
    /// To be solved. A job's id is VROOM's as text, a shipment's stops are `pickup 7` and `delivery 7`.
    pub problem: Problem,
    /// Per stop of the problem: what it is in the request.
    tasks: Vec<(Kind, Task)>,
    vehicles: Vec<VroomVehicle>,
    /// Per vehicle the steps that the request gives.
    steps: Vec<Vec<Step>>,
    geometry: bool,
    plan_mode: bool,
}

/// Reads a VROOM request. `speed_kmh` is used where the request brings no matrix.
///
/// # Errors
/// The first field that is wrong or not supported, with its JSON Pointer.
pub fn parse(request: &[u8], speed_kmh: f64) -> Result<Request, VroomError> {
    let not_json = |error: serde_json::Error| VroomError::NotJson { message: error.to_string() };
    let root: Map<String, Value> = serde_json::from_slice(request).map_err(not_json)?;
    let input = input::read(&root)?;
    build::request(input, speed_kmh)
}

impl Request {
    /// True when the request asks for its own steps to be timed, not changed.
    pub fn is_plan_mode(&self) -> bool {
        self.plan_mode
    }

    /// Plans: from the steps that the request gives, where it gives any; in plan mode exactly those. `progress` is that of
    /// [`crate::Solver::solve_paced`].
    ///
    /// # Errors
    /// When the budget is out of range.
    pub fn solve_paced(&self, budget: &Budget, progress: &dyn Fn() -> f64) -> Result<Plan, SolveError> {
        self.solve_told(budget, progress, None, ONE_THREAD)
    }

    /// The same, while `watch` is shown better plans as they are found, about fifty of them at most.
    ///
    /// # Errors
    /// When the budget is out of range.
    pub fn solve_watched(
        &self,
        budget: &Budget,
        progress: &dyn Fn() -> f64,
        watch: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, SolveError> {
        self.solve_told(budget, progress, Some(watch), ONE_THREAD)
    }

    /// The same on several threads, as [`crate::ThreadedSolver`] does it.
    ///
    /// # Errors
    /// When the budget is out of range.
    pub fn solve_on_threads(
        &self,
        threads: NonZeroUsize,
        budget: &Budget,
        progress: &dyn Fn() -> f64,
    ) -> Result<Plan, SolveError> {
        let solve =
            |budget: &Budget, progress: &dyn Fn() -> f64, threads| self.solve_told(budget, progress, None, threads);
        plan_on_threads(&self.problem, threads, budget, progress, &solve)
    }

    fn solve_told(
        &self,
        budget: &Budget,
        progress: &dyn Fn() -> f64,
        watch: Option<&mut dyn FnMut(&Plan)>,
        threads: NonZeroUsize,
    ) -> Result<Plan, SolveError> {
        if self.plan_mode {
            return Ok(plan_of(&self.problem, &self.steps));
        }
        let given = self.steps.iter().any(|steps| !steps.is_empty());
        let tours = Tours::new(&self.problem, given.then_some(self.steps.as_slice()));
        solve_from(tours, None, budget, progress, watch, threads)
    }

    /// The same until `stop` says so.
    ///
    /// # Errors
    /// When the budget is out of range.
    pub fn solve(&self, budget: &Budget, stop: &dyn Fn() -> bool) -> Result<Plan, SolveError> {
        self.solve_paced(budget, &|| if stop() { 1.0 } else { 0.0 })
    }
}

/// Turns the path of a problem's error into the request's own names.
fn in_vroom_words(error: ProblemError, tasks: &[(Kind, String)], profiles: &[String]) -> VroomError {
    const NAMES: [(&str, &str); 16] = [
        ("windows", "time_windows"),
        ("shift", "time_window"),
        ("opens_s", "0"),
        ("closes_s", "1"),
        ("service_s", "service"),
        ("setup_s", "setup"),
        ("release_s", "release"),
        ("fixed_cost", "costs/fixed"),
        ("cost_per_km", "costs/per_km"),
        ("cost_per_travel_hour", "costs/per_hour"),
        ("cost_per_duty_hour", "costs/per_duty_hour"),
        ("max_distance_m", "max_distance"),
        ("max_travel_s", "max_travel_time"),
        ("max_duration_s", "max_duration"),
        ("durations_s", "durations"),
        ("distances_m", "distances"),
    ];
    let rename =
        |part: &str| NAMES.iter().find(|(ours, _)| *ours == part).map_or(part, |(_, theirs)| theirs).to_string();
    let parts: Vec<&str> = error.path.split('/').collect();
    let profile = |index: usize| profiles.get(index).map_or("", String::as_str);
    let (head, rest) = match parts.as_slice() {
        // The speed is an argument of ours and the coordinates were checked one by one: neither has a field of its own.
        [_, "travel", "speed_kmh"] | [_, "profiles", _, "speed_kmh"] => (String::new(), &[][..]),
        [_, "travel", rest @ ..] => (format!("/matrices/{}", profile(0)), rest),
        [_, "profiles", index, rest @ ..] => (format!("/matrices/{}", profile(index.parse().unwrap_or(0))), rest),
        [_, "stops", index, rest @ ..] => {
            let task = index.parse().ok().and_then(|index: usize| tasks.get(index));
            (task.map_or_else(|| "/jobs".to_string(), |(_, path)| path.clone()), rest)
        }
        [_, "stops"] => ("/jobs".to_string(), &[][..]),
        [_, rest @ ..] => (String::new(), rest),
        [] => (String::new(), &[][..]),
    };
    let path = rest.iter().fold(head, |path, part| format!("{path}/{}", rename(part)));
    VroomError::Invalid { path, message: error.message }
}
