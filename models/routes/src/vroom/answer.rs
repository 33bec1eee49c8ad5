//! VROOM's answer read back as a plan, so that it can be checked and compared; it trusts none of its figures.

use super::{Request, VroomError};
use crate::plan::{Plan, Step};
use crate::schedule::plan_of;
use serde::Deserialize;
use std::collections::HashMap;

/// The part of an answer that is read.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    summary: Stated,
    routes: Vec<AnswerRoute>,
}

#[derive(Deserialize, Default)]
struct Stated {
    cost: Option<i64>,
    distance: Option<i64>,
}

#[derive(Deserialize)]
struct AnswerRoute {
    vehicle: u64,
    steps: Vec<AnswerStep>,
    cost: Option<i64>,
    distance: Option<i64>,
}

#[derive(Deserialize)]
struct AnswerStep {
    #[serde(rename = "type")]
    kind: String,
    id: Option<u64>,
    job: Option<u64>,
}

impl Request {
    /// The plan that an answer to this request describes. Times are worked out anew; costs and distances are those that the
    /// answer states, where it does, so that [`crate::check`] finds wrong ones.
    ///
    /// # Errors
    /// No JSON, or a vehicle or task that the request does not have, with its JSON Pointer.
    pub fn plan_of_response(&self, answer: &[u8]) -> Result<Plan, VroomError> {
        let not_json = |error: serde_json::Error| VroomError::NotJson { message: error.to_string() };
        let answer: Answer = serde_json::from_slice(answer).map_err(not_json)?;
        let vehicles: HashMap<u64, usize> =
            self.vehicles.iter().enumerate().map(|(i, vehicle)| (vehicle.id, i)).collect();
        let tasks: HashMap<(&str, u64), usize> =
            self.tasks.iter().enumerate().map(|(i, (kind, task))| ((kind.word(), task.id), i)).collect();
        let mut steps = vec![Vec::new(); self.vehicles.len()];
        let mut stated = vec![(None, None); self.vehicles.len()];
        for (index, route) in answer.routes.iter().enumerate() {
            let path = format!("/routes/{index}");
            let Some(&vehicle) = vehicles.get(&route.vehicle) else {
                let message = format!("the request has no vehicle {}", route.vehicle);
                return Err(VroomError::invalid(format!("{path}/vehicle"), message));
            };
            stated[vehicle] = (route.cost, route.distance);
            for (position, step) in route.steps.iter().enumerate() {
                let path = format!("{path}/steps/{position}");
                steps[vehicle]
                    .extend(self.step(vehicle, step, &tasks).map_err(|message| VroomError::invalid(path, message))?);
            }
        }
        let mut plan = plan_of(&self.problem, &steps);
        for route in &mut plan.routes {
            let (cost, distance) = stated[route.vehicle];
            route.cost = cost.unwrap_or(route.cost);
            route.distance_m = distance.unwrap_or(route.distance_m);
        }
        plan.cost = answer.summary.cost.unwrap_or(plan.cost);
        plan.distance_m = answer.summary.distance.unwrap_or(plan.distance_m);
        Ok(plan)
    }

    fn step(
        &self,
        vehicle: usize,
        step: &AnswerStep,
        tasks: &HashMap<(&str, u64), usize>,
    ) -> Result<Option<Step>, String> {
        let id = step.id.or(step.job);
        match (step.kind.as_str(), id) {
            ("start" | "end", _) => Ok(None),
            ("reload", _) => {
                let reload = self.problem.vehicles()[vehicle].reload.as_ref();
                let place = reload.and_then(|reload| reload.locations.first());
                place.map(|&place| Some(Step::Reload(place))).ok_or_else(|| "the vehicle may not reload".to_owned())
            }
            ("break", Some(id)) => {
                let position = self.vehicles[vehicle].breaks.iter().position(|pause| pause.id == id);
                position.map(|index| Some(Step::Break(index))).ok_or_else(|| format!("the vehicle has no break {id}"))
            }
            (kind, Some(id)) => {
                let task = tasks.get(&(kind, id));
                task.map(|&stop| Some(Step::Stop(stop))).ok_or_else(|| format!("the request has no {kind} {id}"))
            }
            (kind, None) => Err(format!("a step of type {kind} needs its id")),
        }
    }
}
