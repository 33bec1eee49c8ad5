//! VROOM's JSON (API of version 1.14) in and out; what it cannot honour yet it refuses by name, so nothing is silently ignored.
//!
//! Understood: `jobs` (`id`, `description`, `location`, `location_index`, `service`, `delivery`, `amount` (VROOM's old name
//! for it), `pickup`, `skills`, `priority`, one `time_windows` entry), `vehicles` (`id`, `description`, `profile`, `start`,
//! `start_index`, `end`, `end_index`, `capacity`, `skills`, `time_window`, `costs`, `max_tasks`, `max_travel_time`,
//! `max_distance`) and `matrices` of the one profile in use. Refused: shipments, breaks, steps, several windows or profiles,
//! `setup`, `speed_factor`, geometry and everything else.
//!
//! Where VROOM would ask a road engine for a missing matrix, great-circle distances at a constant speed are used. As in VROOM
//! the default cost is 3,600 an hour of driving. The answer lacks `computing_times`, as no clock is read here, and adds
//! `reason` and `reason_text` to each unassigned job.

use crate::plan::{Plan, Route};
use crate::problem::{Problem, ProblemError, Stop, TimeWindow, Vehicle};
use crate::travel::{Place, Travel};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

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
}

/// A VROOM request that has become a problem; it keeps what the answer must echo.
#[derive(Debug, Clone)]
pub struct Request {
    /// To be solved. Ids are VROOM's, as text.
    pub problem: Problem,
    jobs: Vec<Job>,
    vehicles: Vec<VroomVehicle>,
}

#[derive(Debug, Clone, Deserialize)]
struct Job {
    id: u64,
    description: Option<String>,
    location: Option<[f64; 2]>,
    location_index: Option<usize>,
    #[serde(default)]
    service: i64,
    #[serde(default, alias = "amount")]
    delivery: Vec<i64>,
    #[serde(default)]
    pickup: Vec<i64>,
    #[serde(default)]
    skills: Vec<u32>,
    #[serde(default)]
    priority: u8,
    #[serde(default)]
    time_windows: Vec<[i64; 2]>,
}

const JOB_FIELDS: &[&str] = &[
    "id",
    "description",
    "location",
    "location_index",
    "service",
    "delivery",
    "amount",
    "pickup",
    "skills",
    "priority",
    "time_windows",
];

#[derive(Debug, Clone, Deserialize)]
struct VroomVehicle {
    id: u64,
    description: Option<String>,
    #[serde(default = "default_profile")]
    profile: String,
    start: Option<[f64; 2]>,
    start_index: Option<usize>,
    end: Option<[f64; 2]>,
    end_index: Option<usize>,
    #[serde(default)]
    capacity: Vec<i64>,
    #[serde(default)]
    skills: Vec<u32>,
    time_window: Option<[i64; 2]>,
    #[serde(default)]
    costs: Costs,
    max_tasks: Option<usize>,
    max_travel_time: Option<i64>,
    max_distance: Option<i64>,
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
    "costs",
    "max_tasks",
    "max_travel_time",
    "max_distance",
];

fn default_profile() -> String {
    "car".to_string()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Costs {
    fixed: i64,
    per_hour: i64,
    per_km: i64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs { fixed: 0, per_hour: 3_600, per_km: 0 }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Matrices {
    durations: Vec<Vec<i64>>,
    #[serde(default)]
    distances: Vec<Vec<i64>>,
}

/// Reads a VROOM request. `speed_kmh` is used where the request brings no matrix.
///
/// # Errors
/// The first field that is wrong or not supported, with its JSON Pointer.
pub fn parse(request: &[u8], speed_kmh: f64) -> Result<Request, VroomError> {
    let not_json = |error: serde_json::Error| VroomError::NotJson { message: error.to_string() };
    let root: Map<String, Value> = serde_json::from_slice(request).map_err(not_json)?;
    only("", &root, &["jobs", "vehicles", "matrices", "options"])?;
    check_options(root.get("options"))?;
    let jobs: Vec<Job> = list(&root, "jobs", JOB_FIELDS)?;
    let vehicles: Vec<VroomVehicle> = list(&root, "vehicles", VEHICLE_FIELDS)?;
    let matrices = matrices_of(&root, &vehicles)?;
    let (stops, fleet, travel) = assemble(&jobs, &vehicles, matrices, speed_kmh)?;
    let profile = vehicles.first().map_or_else(default_profile, |vehicle| vehicle.profile.clone());
    let problem = Problem::new(stops, fleet, travel).map_err(|error| in_vroom_words(error, &profile))?;
    Ok(Request { problem, jobs, vehicles })
}

/// Refuses every field outside `known` unless it is null or an empty list.
fn only(path: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), VroomError> {
    let nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match object.iter().find(|(name, value)| !known.contains(&name.as_str()) && !nothing(value)) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("supported here are {}", known.join(", "));
            Err(VroomError::Unsupported { path: format!("{path}/{name}"), message })
        }
    }
}

fn check_options(options: Option<&Value>) -> Result<(), VroomError> {
    let Some(options) = options else { return Ok(()) };
    let Some(options) = options.as_object() else { return Err(invalid("/options", "must be an object")) };
    only("/options", options, &["g"])?;
    match options.get("g") {
        None | Some(Value::Bool(false)) => Ok(()),
        Some(_) => {
            let message = "no road geometry is known; leave it out".to_string();
            Err(VroomError::Unsupported { path: "/options/g".to_string(), message })
        }
    }
}

fn list<T: serde::de::DeserializeOwned>(
    root: &Map<String, Value>,
    name: &str,
    known: &[&str],
) -> Result<Vec<T>, VroomError> {
    let path = format!("/{name}");
    let Some(items) = root.get(name) else { return Err(invalid(&path, "is missing; a list is needed")) };
    let Some(items) = items.as_array() else { return Err(invalid(&path, "must be a list")) };
    let parse = |(index, item): (usize, &Value)| {
        let path = format!("{path}/{index}");
        let Some(object) = item.as_object() else { return Err(invalid(&path, "must be an object")) };
        only(&path, object, known)?;
        // Each field is tried alone only to name the one that fails.
        T::deserialize(item).map_err(|error| blame::<T>(&path, object, &error))
    };
    items.iter().enumerate().map(parse).collect()
}

/// Points at the field whose removal changes the parser's complaint, or at the whole object when a field is missing.
fn blame<T: serde::de::DeserializeOwned>(
    path: &str,
    object: &Map<String, Value>,
    error: &serde_json::Error,
) -> VroomError {
    let message = error.to_string();
    let guilty = object.keys().find(|name| {
        let mut without = object.clone();
        without.remove(*name);
        T::deserialize(Value::Object(without)).map_or_else(|other| other.to_string() != message, |_| true)
    });
    match guilty {
        Some(name) if !message.starts_with("missing field") => invalid(&format!("{path}/{name}"), &message),
        _ => invalid(path, &message),
    }
}

fn invalid(path: &str, message: &str) -> VroomError {
    VroomError::Invalid { path: path.to_string(), message: message.to_string() }
}

fn matrices_of(root: &Map<String, Value>, vehicles: &[VroomVehicle]) -> Result<Option<Matrices>, VroomError> {
    let profile = vehicles.first().map_or_else(default_profile, |vehicle| vehicle.profile.clone());
    if let Some(other) = vehicles.iter().position(|vehicle| vehicle.profile != profile) {
        let message = format!("all vehicles must share one profile; the first has {profile:?}");
        return Err(VroomError::Unsupported { path: format!("/vehicles/{other}/profile"), message });
    }
    let Some(matrices) = root.get("matrices") else { return Ok(None) };
    let Some(matrices) = matrices.as_object() else { return Err(invalid("/matrices", "must be an object")) };
    let Some(matrix) = matrices.get(&profile) else {
        return Err(invalid("/matrices", &format!("holds no matrix for the profile {profile:?} of the vehicles")));
    };
    let path = format!("/matrices/{profile}");
    let Some(object) = matrix.as_object() else { return Err(invalid(&path, "must be an object")) };
    only(&path, object, &["durations", "distances"])?;
    let mut matrices = Matrices::deserialize(matrix).map_err(|error| blame::<Matrices>(&path, object, &error))?;
    if matrices.distances.is_empty() {
        let size = matrices.durations.len();
        matrices.distances = vec![vec![0; size]; size];
    }
    Ok(Some(matrices))
}

/// Locations while they are collected: those of the matrix, or one per distinct coordinate.
struct Locations {
    matrix_size: Option<usize>,
    places: Vec<Place>,
    known: BTreeMap<[u64; 2], usize>,
}

impl Locations {
    fn index(&mut self, path: &str, at: Option<[f64; 2]>, index: Option<usize>) -> Result<Option<usize>, VroomError> {
        match (self.matrix_size, index, at) {
            (_, None, None) => Ok(None),
            (Some(_), None, Some(_)) => Err(invalid(path, "needs its index into the matrices beside the coordinates")),
            (None, Some(_), None) => Err(invalid(path, "an index needs matrices; give them or coordinates")),
            (Some(size), Some(index), _) if index >= size => {
                Err(invalid(path, &format!("index {index} is outside the matrix of size {size}")))
            }
            (Some(_), Some(index), _) => Ok(Some(index)),
            (None, _, Some([lon, lat])) => {
                if !(lon.abs() <= 180.0 && lat.abs() <= 90.0) {
                    return Err(invalid(path, &format!("[{lon}, {lat}] is not [longitude, latitude] in degrees")));
                }
                let places = &mut self.places;
                Ok(Some(*self.known.entry([lon.to_bits(), lat.to_bits()]).or_insert_with(|| {
                    places.push(Place { lat, lon });
                    places.len() - 1
                })))
            }
        }
    }
}

fn assemble(
    jobs: &[Job],
    vehicles: &[VroomVehicle],
    matrices: Option<Matrices>,
    speed_kmh: f64,
) -> Result<(Vec<Stop>, Vec<Vehicle>, Travel), VroomError> {
    let matrix_size = matrices.as_ref().map(|matrices| matrices.durations.len());
    let mut locations = Locations { matrix_size, places: Vec::new(), known: BTreeMap::new() };
    let stop = |(index, job): (usize, &Job)| stop_of(&format!("/jobs/{index}"), job, &mut locations);
    let stops = jobs.iter().enumerate().map(stop).collect::<Result<Vec<_>, _>>()?;
    let vehicle =
        |(index, vehicle): (usize, &VroomVehicle)| vehicle_of(&format!("/vehicles/{index}"), vehicle, &mut locations);
    let fleet = vehicles.iter().enumerate().map(vehicle).collect::<Result<Vec<_>, _>>()?;
    let travel = match matrices {
        Some(Matrices { durations, distances }) => {
            Travel::Matrices { distances_m: distances, durations_s: durations, places: Vec::new() }
        }
        None => Travel::GreatCircle { places: locations.places, speed_kmh },
    };
    Ok((stops, fleet, travel))
}

fn stop_of(path: &str, job: &Job, locations: &mut Locations) -> Result<Stop, VroomError> {
    let location = locations.index(&format!("{path}/location"), job.location, job.location_index)?;
    let Some(location) = location else { return Err(invalid(path, "needs `location` or `location_index`")) };
    if job.time_windows.len() > 1 {
        let message = "one window for each job".to_string();
        return Err(VroomError::Unsupported { path: format!("{path}/time_windows/1"), message });
    }
    Ok(Stop {
        delivery: job.delivery.clone(),
        pickup: job.pickup.clone(),
        windows: job.time_windows.iter().map(window).collect(),
        service_s: job.service,
        skills: job.skills.clone(),
        priority: job.priority,
        ..Stop::new(job.id.to_string(), location)
    })
}

fn vehicle_of(path: &str, vehicle: &VroomVehicle, locations: &mut Locations) -> Result<Vehicle, VroomError> {
    let start = locations.index(&format!("{path}/start"), vehicle.start, vehicle.start_index)?;
    let end = locations.index(&format!("{path}/end"), vehicle.end, vehicle.end_index)?;
    if start.is_none() && end.is_none() {
        return Err(invalid(path, "needs a `start` or an `end`"));
    }
    Ok(Vehicle {
        start,
        end,
        capacity: vehicle.capacity.clone(),
        shift: vehicle.time_window.as_ref().map_or(TimeWindow::ALWAYS, window),
        skills: vehicle.skills.clone(),
        fixed_cost: vehicle.costs.fixed,
        cost_per_km: vehicle.costs.per_km,
        cost_per_travel_hour: vehicle.costs.per_hour,
        max_distance_m: vehicle.max_distance,
        max_travel_s: vehicle.max_travel_time,
        max_stops: vehicle.max_tasks,
        ..Vehicle::new(vehicle.id.to_string(), 0)
    })
}

fn window(&[opens_s, closes_s]: &[i64; 2]) -> TimeWindow {
    TimeWindow { opens_s, closes_s }
}

/// Turns the path of a problem's error into the request's own names.
fn in_vroom_words(error: ProblemError, profile: &str) -> VroomError {
    let matrix = format!("matrices/{profile}");
    let names: [(&str, &str); 14] = [
        ("stops", "jobs"),
        ("windows", "time_windows"),
        ("shift", "time_window"),
        ("opens_s", "0"),
        ("closes_s", "1"),
        ("service_s", "service"),
        ("fixed_cost", "costs/fixed"),
        ("cost_per_km", "costs/per_km"),
        ("cost_per_travel_hour", "costs/per_hour"),
        ("max_distance_m", "max_distance"),
        ("max_travel_s", "max_travel_time"),
        ("travel", &matrix),
        ("durations_s", "durations"),
        ("distances_m", "distances"),
    ];
    let rename =
        |part: &str| names.iter().find(|(ours, _)| *ours == part).map_or(part, |(_, theirs)| theirs).to_string();
    let path = match error.path.as_str() {
        // The speed is an argument of ours and the coordinates were checked one by one: neither has a field of its own.
        "/travel/speed_kmh" => String::new(),
        path => path.split('/').map(rename).collect::<Vec<_>>().join("/"),
    };
    VroomError::Invalid { path, message: error.message }
}

impl Request {
    /// VROOM's answer for a plan of this request's problem.
    pub fn response(&self, plan: &Plan) -> Value {
        let unassigned: Vec<Value> = plan
            .unassigned
            .iter()
            .map(|left| {
                let mut job = self.job(left.stop, "job");
                job.insert("reason".into(), json!(left.reason));
                job.insert("reason_text".into(), json!(left.reason.words()));
                Value::Object(job)
            })
            .collect();
        let routes: Vec<Value> = plan.routes.iter().map(|route| self.route(route)).collect();
        let mut summary = Map::new();
        for name in ["cost", "setup", "service", "duration", "waiting_time", "priority", "distance"] {
            let total: i64 = routes.iter().filter_map(|route| route[name].as_i64()).sum();
            summary.insert(name.into(), json!(total));
        }
        for name in ["delivery", "pickup"] {
            let mut total = vec![0; self.problem.dimensions()];
            for amounts in routes.iter().filter_map(|route| route[name].as_array()) {
                total.iter_mut().zip(amounts).for_each(|(total, amount)| *total += amount.as_i64().unwrap_or(0));
            }
            summary.insert(name.into(), json!(total));
        }
        summary.insert("routes".into(), json!(routes.len()));
        summary.insert("unassigned".into(), json!(unassigned.len()));
        summary.insert("violations".into(), json!([]));
        json!({ "code": 0, "summary": summary, "unassigned": unassigned, "routes": routes })
    }

    fn route(&self, route: &Route) -> Value {
        let stops = || route.visits.iter().map(|visit| &self.problem.stops()[visit.stop]);
        let sum = |of: fn(&Stop) -> &[i64]| {
            let mut total = vec![0; self.problem.dimensions()];
            stops().for_each(|stop| total.iter_mut().zip(of(stop)).for_each(|(total, amount)| *total += amount));
            total
        };
        let mut value = json!({
            "vehicle": self.vehicles[route.vehicle].id,
            "cost": route.cost,
            "setup": 0,
            "service": route.service_s,
            "duration": route.travel_s,
            "waiting_time": route.waiting_s,
            "priority": stops().map(|stop| i64::from(stop.priority)).sum::<i64>(),
            "distance": route.distance_m,
            "delivery": sum(|stop| &stop.delivery),
            "pickup": sum(|stop| &stop.pickup),
            "steps": self.steps(route),
            "violations": [],
        });
        if let Some(description) = &self.vehicles[route.vehicle].description {
            value["description"] = json!(description);
        }
        value
    }

    fn steps(&self, route: &Route) -> Vec<Value> {
        let vehicle = &self.vehicles[route.vehicle];
        let step = |mut value: Map<String, Value>, arrival: i64, travel: i64, distance: i64, load: &[i64]| {
            let fields = json!({ "arrival": arrival, "duration": travel, "distance": distance, "load": load, "setup": 0,
                "violations": [] });
            value.extend(fields.as_object().cloned().unwrap_or_default());
            value.entry("service").or_insert(json!(0));
            value.entry("waiting_time").or_insert(json!(0));
            Value::Object(value)
        };
        let mut steps = Vec::new();
        if let Some(depot) = place("start", vehicle.start, vehicle.start_index) {
            steps.push(step(depot, route.departure_s, 0, 0, &route.initial_load));
        }
        for visit in &route.visits {
            let mut job = self.job(visit.stop, "job");
            job.insert("job".into(), json!(self.jobs[visit.stop].id));
            job.insert("service".into(), json!(self.jobs[visit.stop].service));
            job.insert("waiting_time".into(), json!(visit.start_s - visit.arrival_s));
            steps.push(step(job, visit.arrival_s, visit.travel_s, visit.distance_m, &visit.load));
        }
        if let Some(depot) = place("end", vehicle.end, vehicle.end_index) {
            let load = route.visits.last().map_or(&route.initial_load, |visit| &visit.load);
            steps.push(step(depot, route.return_s, route.travel_s, route.distance_m, load));
        }
        steps
    }

    fn job(&self, stop: usize, kind: &str) -> Map<String, Value> {
        let job = &self.jobs[stop];
        let mut value = place(kind, job.location, job.location_index).unwrap_or_default();
        value.insert("id".into(), json!(job.id));
        if let Some(description) = &job.description {
            value.insert("description".into(), json!(description));
        }
        value
    }
}

/// A step's type and place, or none when the request gives no place.
fn place(kind: &str, at: Option<[f64; 2]>, index: Option<usize>) -> Option<Map<String, Value>> {
    if at.is_none() && index.is_none() {
        return None;
    }
    let mut value = Map::new();
    value.insert("type".into(), json!(kind));
    if let Some(at) = at {
        value.insert("location".into(), json!(at));
    }
    if let Some(index) = index {
        value.insert("location_index".into(), json!(index));
    }
    Some(value)
}
