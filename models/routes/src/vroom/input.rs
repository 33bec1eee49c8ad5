//! VROOM's request as typed fields; every field that is not known is refused, with its JSON Pointer.

use super::VroomError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Lateness at a price.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Late {
    pub(super) max: i64,
    #[serde(default)]
    pub(super) per_hour: i64,
}

/// A job, or the pickup or delivery of a shipment, which uses fewer of the fields.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Task {
    pub(super) id: u64,
    pub(super) description: Option<String>,
    pub(super) location: Option<[f64; 2]>,
    pub(super) location_index: Option<usize>,
    #[serde(default)]
    pub(super) setup: i64,
    #[serde(default)]
    pub(super) service: i64,
    #[serde(default, alias = "amount")]
    pub(super) delivery: Vec<i64>,
    #[serde(default)]
    pub(super) pickup: Vec<i64>,
    #[serde(default)]
    pub(super) skills: Vec<u32>,
    #[serde(default)]
    pub(super) priority: u8,
    #[serde(default)]
    pub(super) time_windows: Vec<[i64; 2]>,
    #[serde(default)]
    pub(super) release: i64,
    pub(super) prize: Option<i64>,
    pub(super) group: Option<u32>,
    #[serde(default)]
    pub(super) backhaul: bool,
    #[serde(default)]
    pub(super) vehicles: Vec<u64>,
    pub(super) lateness: Option<Late>,
}

const JOB_FIELDS: &[&str] = &[
    "id",
    "description",
    "location",
    "location_index",
    "setup",
    "service",
    "delivery",
    "amount",
    "pickup",
    "skills",
    "priority",
    "time_windows",
    "release",
    "prize",
    "group",
    "backhaul",
    "vehicles",
    "lateness",
];
const SHIPMENT_STEP_FIELDS: &[&str] =
    &["id", "description", "location", "location_index", "setup", "service", "time_windows", "lateness"];

/// A shipment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shipment {
    pub(super) pickup: Task,
    pub(super) delivery: Task,
    #[serde(default)]
    pub(super) amount: Vec<i64>,
    #[serde(default)]
    pub(super) skills: Vec<u32>,
    #[serde(default)]
    pub(super) priority: u8,
    pub(super) prize: Option<i64>,
}

const SHIPMENT_FIELDS: &[&str] = &["pickup", "delivery", "amount", "skills", "priority", "prize"];

/// A vehicle's break.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Break {
    pub(super) id: u64,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) time_windows: Vec<[i64; 2]>,
    #[serde(default)]
    pub(super) service: i64,
    pub(super) max_load: Option<Vec<i64>>,
}

/// A step that a vehicle begins with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VehicleStep {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: Option<u64>,
}

/// Dearer time beyond a limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongDuty {
    pub(super) after: i64,
    pub(super) per_hour: i64,
}

/// Where a vehicle may reload.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReloadPlace {
    pub(super) location: Option<[f64; 2]>,
    pub(super) location_index: Option<usize>,
    #[serde(default = "one")]
    pub(super) max: usize,
    #[serde(default)]
    pub(super) service: i64,
}

fn one() -> usize {
    1
}

/// A vehicle.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct VroomVehicle {
    pub(super) id: u64,
    pub(super) description: Option<String>,
    #[serde(default = "default_profile")]
    pub(super) profile: String,
    pub(super) start: Option<[f64; 2]>,
    pub(super) start_index: Option<usize>,
    pub(super) end: Option<[f64; 2]>,
    pub(super) end_index: Option<usize>,
    #[serde(default)]
    pub(super) capacity: Vec<i64>,
    #[serde(default)]
    pub(super) skills: Vec<u32>,
    pub(super) time_window: Option<[i64; 2]>,
    #[serde(default)]
    pub(super) breaks: Vec<Break>,
    pub(super) speed_factor: Option<f64>,
    #[serde(default)]
    pub(super) costs: Costs,
    pub(super) max_tasks: Option<usize>,
    pub(super) max_travel_time: Option<i64>,
    pub(super) max_distance: Option<i64>,
    #[serde(default)]
    pub(super) steps: Vec<VehicleStep>,
    pub(super) max_duration: Option<i64>,
    pub(super) overtime: Option<LongDuty>,
    #[serde(default)]
    pub(super) traffic: Vec<[i64; 2]>,
    pub(super) reload: Option<ReloadPlace>,
    pub(super) co2e_g_per_km: Option<i64>,
}

const VEHICLE_FIELDS: &[&str] = &[
    "id",
    "description",
    "profile",
    "start",
    "start_index",
    "end",
    "end_index",
    "capacity",
    "skills",
    "time_window",
    "breaks",
    "speed_factor",
    "costs",
    "max_tasks",
    "max_travel_time",
    "max_distance",
    "steps",
    "max_duration",
    "overtime",
    "traffic",
    "reload",
    "co2e_g_per_km",
];

pub(super) fn default_profile() -> String {
    "car".to_string()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Costs {
    pub(super) fixed: i64,
    pub(super) per_hour: i64,
    pub(super) per_km: i64,
    pub(super) per_duty_hour: i64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs { fixed: 0, per_hour: 3_600, per_km: 0, per_duty_hour: 0 }
    }
}

/// One profile's matrices.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Matrices {
    pub(super) durations: Vec<Vec<i64>>,
    #[serde(default)]
    pub(super) distances: Vec<Vec<i64>>,
}

/// The whole request.
pub(super) struct Input {
    pub(super) jobs: Vec<Task>,
    pub(super) shipments: Vec<Shipment>,
    pub(super) vehicles: Vec<VroomVehicle>,
    /// By profile; none when the request brings no matrix.
    pub(super) matrices: BTreeMap<String, Matrices>,
    pub(super) geometry: bool,
    pub(super) plan_mode: bool,
}

/// Reads the request's fields.
pub(super) fn read(root: &Map<String, Value>) -> Result<Input, VroomError> {
    only("", root, &["jobs", "shipments", "vehicles", "matrices", "matrix", "options"])?;
    let vehicles: Vec<VroomVehicle> = list(root, "vehicles", VEHICLE_FIELDS)?;
    let (jobs, shipments) = match (root.get("jobs"), root.get("shipments")) {
        (None, Some(_)) => (Vec::new(), shipments(root)?),
        (_, shipped) => {
            (list(root, "jobs", JOB_FIELDS)?, if shipped.is_some() { shipments(root)? } else { Vec::new() })
        }
    };
    let (geometry, plan_mode) = options(root.get("options"))?;
    Ok(Input { jobs, shipments, vehicles, matrices: matrices(root)?, geometry, plan_mode })
}

fn shipments(root: &Map<String, Value>) -> Result<Vec<Shipment>, VroomError> {
    for (index, shipment) in root.get("shipments").and_then(Value::as_array).into_iter().flatten().enumerate() {
        for name in ["pickup", "delivery"] {
            if let Some(step) = shipment.get(name).and_then(Value::as_object) {
                only(&format!("/shipments/{index}/{name}"), step, SHIPMENT_STEP_FIELDS)?;
            }
        }
    }
    list(root, "shipments", SHIPMENT_FIELDS)
}

/// Refuses every field outside `known` unless it is null or an empty list.
fn only(path: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), VroomError> {
    let nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match object.iter().find(|(name, value)| !known.contains(&name.as_str()) && !nothing(value)) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("supported here are {}", known.join(", "));
            Err(VroomError::unsupported(format!("{path}/{name}"), message))
        }
    }
}

/// The options `g` (geometry) and `c` (keep the given steps); `t`, `x` and `l` (threads, exploration, time) mean nothing here.
fn options(options: Option<&Value>) -> Result<(bool, bool), VroomError> {
    let Some(options) = options.filter(|options| !options.is_null()) else { return Ok((false, false)) };
    let Some(options) = options.as_object() else { return Err(VroomError::invalid("/options", "must be an object")) };
    only("/options", options, &["g", "c", "t", "x", "l"])?;
    let flag = |name: &str| match options.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(VroomError::invalid(format!("/options/{name}"), "must be true or false")),
    };
    Ok((flag("g")?, flag("c")?))
}

fn list<T: DeserializeOwned>(root: &Map<String, Value>, name: &str, known: &[&str]) -> Result<Vec<T>, VroomError> {
    let path = format!("/{name}");
    let Some(items) = root.get(name) else { return Err(VroomError::invalid(path, "is missing; a list is needed")) };
    let Some(items) = items.as_array() else { return Err(VroomError::invalid(path, "must be a list")) };
    let parse = |(index, item): (usize, &Value)| {
        let path = format!("{path}/{index}");
        let Some(object) = item.as_object() else { return Err(VroomError::invalid(path, "must be an object")) };
        only(&path, object, known)?;
        typed(&path, object)
    };
    items.iter().enumerate().map(parse).collect()
}

/// The object as a `T`; each field is tried alone only to name the one that fails.
fn typed<T: DeserializeOwned>(path: &str, object: &Map<String, Value>) -> Result<T, VroomError> {
    // Null and an empty list of what is not known pass `only`, but not the types that deny unknown fields.
    let known: Map<String, Value> =
        object.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    T::deserialize(Value::Object(known)).map_err(|error| blame::<T>(path, object, &error))
}

/// Points at the field whose removal changes the parser's complaint, or at the whole object when a field is missing.
fn blame<T: DeserializeOwned>(path: &str, object: &Map<String, Value>, error: &serde_json::Error) -> VroomError {
    let message = error.to_string();
    let guilty = object.keys().find(|name| {
        let mut without = object.clone();
        without.remove(*name);
        T::deserialize(Value::Object(without)).map_or_else(|other| other.to_string() != message, |_| true)
    });
    match guilty {
        Some(name) if !message.starts_with("missing field") => VroomError::invalid(format!("{path}/{name}"), message),
        _ => VroomError::invalid(path, message),
    }
}

/// Matrices by profile; the old field `matrix` is one of durations for the default profile.
fn matrices(root: &Map<String, Value>) -> Result<BTreeMap<String, Matrices>, VroomError> {
    let mut by_profile = BTreeMap::new();
    if let Some(matrix) = root.get("matrix").filter(|matrix| !matrix.is_null()) {
        let wrong = |error: serde_json::Error| VroomError::invalid("/matrix", error.to_string());
        let durations = Vec::deserialize(matrix).map_err(wrong)?;
        by_profile.insert(default_profile(), Matrices { durations, distances: Vec::new() });
    }
    let Some(matrices) = root.get("matrices").filter(|matrices| !matrices.is_null()) else { return Ok(by_profile) };
    let Some(matrices) = matrices.as_object() else {
        return Err(VroomError::invalid("/matrices", "must be an object"));
    };
    for (profile, matrix) in matrices {
        let path = format!("/matrices/{profile}");
        let Some(object) = matrix.as_object() else { return Err(VroomError::invalid(path, "must be an object")) };
        only(&path, object, &["durations", "distances"])?;
        by_profile.insert(profile.clone(), typed(&path, object)?);
    }
    Ok(by_profile)
}
