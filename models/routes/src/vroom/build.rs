//! From a VROOM request's fields to a problem; it solves nothing.

use super::input::{Input, Late, Matrices, Shipment as VroomShipment, Task, VroomVehicle};
use super::{Kind, Request, VroomError, in_vroom_words};
use crate::plan::Step;
use crate::problem::{
    Break, Lateness, Overtime, Parts, Problem, Reload, SPEED_PERCENT, Shipment, SpeedChange, Stop, TimeWindow, Vehicle,
};
use crate::travel::{Place, Travel};
use std::collections::{BTreeMap, HashMap};

/// Makes the problem and keeps what the answer echoes.
pub(super) fn request(input: Input, speed_kmh: f64) -> Result<Request, VroomError> {
    let profiles = profile_names(&input)?;
    let mut locations = Locations {
        matrix_size: input.matrices.get(&profiles[0]).map(|matrices| matrices.durations.len()),
        places: Vec::new(),
        known: HashMap::new(),
    };
    let ids: HashMap<u64, usize> =
        input.vehicles.iter().enumerate().map(|(index, vehicle)| (vehicle.id, index)).collect();
    let (mut stops, mut tasks, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    for (index, job) in input.jobs.iter().enumerate() {
        let path = format!("/jobs/{index}");
        stops.push(stop(&path, Kind::Job, job, &ids, &mut locations)?);
        tasks.push((Kind::Job, job.clone()));
        paths.push((Kind::Job, path));
    }
    let mut shipments = Vec::new();
    for (index, shipment) in input.shipments.iter().enumerate() {
        let path = format!("/shipments/{index}");
        shipments.push(Shipment { pickup: stops.len(), delivery: stops.len() + 1, amount: shipment.amount.clone() });
        for (kind, step) in [(Kind::Pickup, &shipment.pickup), (Kind::Delivery, &shipment.delivery)] {
            let path = format!("{path}/{}", kind.word());
            let task = whole_step(shipment, step);
            stops.push(stop(&path, kind, &task, &ids, &mut locations)?);
            tasks.push((kind, task));
            paths.push((kind, path));
        }
    }
    let vehicle =
        |(index, one): (usize, &VroomVehicle)| vehicle(&format!("/vehicles/{index}"), one, &profiles, &mut locations);
    let vehicles = input.vehicles.iter().enumerate().map(vehicle).collect::<Result<Vec<_>, _>>()?;
    let steps = steps(&input.vehicles, &tasks)?;
    let profile = |name: &String| travel(input.matrices.get(name), &locations.places, speed_kmh);
    let parts = Parts { stops, shipments, vehicles, profiles: profiles.iter().map(profile).collect() };
    let problem = Problem::from_parts(parts).map_err(|error| in_vroom_words(error, &paths, &profiles))?;
    let Input { vehicles, plan_mode, geometry, .. } = input;
    Ok(Request { problem, tasks, vehicles, steps, plan_mode, geometry })
}

/// The profiles in use. Where one has matrices, all need them.
fn profile_names(input: &Input) -> Result<Vec<String>, VroomError> {
    let mut names: Vec<String> = Vec::new();
    for vehicle in &input.vehicles {
        if !names.contains(&vehicle.profile) {
            names.push(vehicle.profile.clone());
        }
    }
    if names.is_empty() {
        names.push(super::input::default_profile());
    }
    let missing = names.iter().find(|name| !input.matrices.contains_key(*name));
    match missing {
        Some(name) if !input.matrices.is_empty() => {
            Err(VroomError::invalid("/matrices", format!("holds no matrix for the profile {name:?} of a vehicle")))
        }
        _ => Ok(names),
    }
}

fn travel(matrices: Option<&Matrices>, places: &[Place], speed_kmh: f64) -> Travel {
    match matrices {
        None => Travel::GreatCircle { places: places.to_vec(), speed_kmh },
        Some(Matrices { durations, distances }) => {
            let size = durations.len();
            let distances_m = if distances.is_empty() { vec![vec![0; size]; size] } else { distances.clone() };
            // Places are for maps; they are used only when every row of the matrix has one.
            let places = if places.len() == size { places.to_vec() } else { Vec::new() };
            Travel::Matrices { distances_m, durations_s: durations.clone(), places }
        }
    }
}

/// Locations while they are collected: those of the matrix, or one per distinct coordinate.
struct Locations {
    matrix_size: Option<usize>,
    places: Vec<Place>,
    known: HashMap<[u64; 2], usize>,
}

impl Locations {
    fn index(&mut self, path: &str, at: Option<[f64; 2]>, index: Option<usize>) -> Result<Option<usize>, VroomError> {
        match (self.matrix_size, index, at) {
            (_, None, None) => Ok(None),
            (Some(_), None, Some(_)) => {
                Err(VroomError::invalid(path, "needs its index into the matrices beside the coordinates"))
            }
            (None, Some(_), None) => {
                Err(VroomError::invalid(path, "an index needs matrices; give them or coordinates"))
            }
            (Some(size), Some(index), _) if index >= size => {
                Err(VroomError::invalid(path, format!("index {index} is outside the matrix of size {size}")))
            }
            (Some(_), Some(index), _) => Ok(Some(index)),
            (None, _, Some([lon, lat])) => {
                if !(lon.abs() <= 180.0 && lat.abs() <= 90.0) {
                    let message = format!("[{lon}, {lat}] is not [longitude, latitude] in degrees");
                    return Err(VroomError::invalid(path, message));
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

/// A shipment's step with what the shipment says for both.
fn whole_step(shipment: &VroomShipment, step: &Task) -> Task {
    let (skills, priority, prize) = (shipment.skills.clone(), shipment.priority, shipment.prize);
    Task { skills, priority, prize, ..step.clone() }
}

fn stop(
    path: &str,
    kind: Kind,
    task: &Task,
    vehicles: &HashMap<u64, usize>,
    locations: &mut Locations,
) -> Result<Stop, VroomError> {
    let location = locations.index(&format!("{path}/location"), task.location, task.location_index)?;
    let Some(location) = location else {
        return Err(VroomError::invalid(path, "needs `location` or `location_index`"));
    };
    let named = task.vehicles.iter().enumerate().map(|(index, id)| {
        let unknown = || VroomError::invalid(format!("{path}/vehicles/{index}"), format!("no vehicle has the id {id}"));
        vehicles.get(id).copied().ok_or_else(unknown)
    });
    let id = if kind == Kind::Job { task.id.to_string() } else { format!("{} {}", kind.word(), task.id) };
    Ok(Stop {
        delivery: task.delivery.clone(),
        pickup: task.pickup.clone(),
        windows: task.time_windows.iter().map(window).collect(),
        lateness: task
            .lateness
            .as_ref()
            .map(|Late { max, per_hour }| Lateness { most_s: *max, cost_per_hour: *per_hour }),
        service_s: task.service,
        setup_s: task.setup,
        release_s: task.release,
        skills: task.skills.clone(),
        vehicles: named.collect::<Result<_, _>>()?,
        priority: task.priority,
        prize: task.prize,
        backhaul: task.backhaul,
        group: task.group,
        ..Stop::new(id, location)
    })
}

fn vehicle(
    path: &str,
    vehicle: &VroomVehicle,
    profiles: &[String],
    locations: &mut Locations,
) -> Result<Vehicle, VroomError> {
    let start = locations.index(&format!("{path}/start"), vehicle.start, vehicle.start_index)?;
    let end = locations.index(&format!("{path}/end"), vehicle.end, vehicle.end_index)?;
    if start.is_none() && end.is_none() {
        return Err(VroomError::invalid(path, "needs a `start` or an `end`"));
    }
    let reload = vehicle.reload.as_ref().map(|reload| {
        let path = format!("{path}/reload/location");
        let place = locations.index(&path, reload.location, reload.location_index)?;
        let place = place.ok_or_else(|| VroomError::invalid(path, "is missing; give a location or its index"))?;
        Ok(Reload { locations: vec![place], most: reload.max, service_s: reload.service })
    });
    let plain = Vehicle::new(vehicle.id.to_string(), 0);
    Ok(Vehicle {
        start,
        end,
        profile: profiles.iter().position(|name| *name == vehicle.profile).unwrap_or(0),
        speed: speed(path, vehicle)?,
        capacity: vehicle.capacity.clone(),
        shift: vehicle.time_window.as_ref().map_or(TimeWindow::ALWAYS, window),
        breaks: vehicle.breaks.iter().map(pause).collect(),
        reload: reload.transpose()?,
        skills: vehicle.skills.clone(),
        fixed_cost: vehicle.costs.fixed,
        cost_per_km: vehicle.costs.per_km,
        cost_per_travel_hour: vehicle.costs.per_hour,
        cost_per_duty_hour: vehicle.costs.per_duty_hour,
        overtime: vehicle.overtime.as_ref().map(|o| Overtime { after_s: o.after, cost_per_hour: o.per_hour }),
        max_distance_m: vehicle.max_distance,
        max_travel_s: vehicle.max_travel_time,
        max_duration_s: vehicle.max_duration,
        max_stops: vehicle.max_tasks,
        co2e_g_per_km: vehicle.co2e_g_per_km.unwrap_or(plain.co2e_g_per_km),
        ..plain
    })
}

/// The speed of the whole day and the changes of traffic on top of it, in percent.
fn speed(path: &str, vehicle: &VroomVehicle) -> Result<Vec<SpeedChange>, VroomError> {
    let factor = vehicle.speed_factor.unwrap_or(1.0);
    if !(factor * 100.0 >= *SPEED_PERCENT.start() as f64 && factor * 100.0 <= *SPEED_PERCENT.end() as f64) {
        return Err(VroomError::invalid(
            format!("{path}/speed_factor"),
            format!("{factor}; between 0.01 and 10 is needed"),
        ));
    }
    let scaled = |percent: i64| (factor * percent as f64).round() as i64;
    if vehicle.traffic.is_empty() && vehicle.speed_factor.is_none() {
        return Ok(Vec::new());
    }
    let mut changes: Vec<SpeedChange> = Vec::with_capacity(vehicle.traffic.len() + 1);
    if vehicle.traffic.first().is_none_or(|[from, _]| *from > 0) {
        changes.push(SpeedChange { from_s: 0, percent: scaled(100) });
    }
    changes.extend(vehicle.traffic.iter().map(|&[from_s, percent]| SpeedChange { from_s, percent: scaled(percent) }));
    Ok(changes)
}

fn pause(pause: &super::input::Break) -> Break {
    Break {
        id: pause.id.to_string(),
        windows: pause.time_windows.iter().map(window).collect(),
        service_s: pause.service,
        max_load: pause.max_load.clone(),
    }
}

fn window(&[opens_s, closes_s]: &[i64; 2]) -> TimeWindow {
    TimeWindow { opens_s, closes_s }
}

/// Per vehicle the steps that it begins with; each task may stand in one place only.
fn steps(vehicles: &[VroomVehicle], tasks: &[(Kind, Task)]) -> Result<Vec<Vec<Step>>, VroomError> {
    let named: BTreeMap<(&str, u64), usize> =
        tasks.iter().enumerate().map(|(index, (kind, task))| ((kind.word(), task.id), index)).collect();
    let mut taken = vec![false; tasks.len()];
    let mut all = Vec::with_capacity(vehicles.len());
    for (index, vehicle) in vehicles.iter().enumerate() {
        let mut steps = Vec::new();
        for (position, step) in vehicle.steps.iter().enumerate() {
            let path = format!("/vehicles/{index}/steps/{position}");
            match (step.kind.as_str(), step.id) {
                ("start" | "end", _) => {}
                ("break", Some(id)) => match vehicle.breaks.iter().position(|pause| pause.id == id) {
                    Some(pause) => steps.push(Step::Break(pause)),
                    None => return Err(VroomError::invalid(path, format!("the vehicle has no break {id}"))),
                },
                (kind @ ("job" | "pickup" | "delivery"), Some(id)) => match named.get(&(kind, id)) {
                    None => return Err(VroomError::invalid(path, format!("there is no {kind} {id}"))),
                    Some(&stop) if std::mem::replace(&mut taken[stop], true) => {
                        return Err(VroomError::invalid(path, format!("{kind} {id} stands in another step already")));
                    }
                    Some(&stop) => steps.push(Step::Stop(stop)),
                },
                _ => {
                    let message =
                        "`type` must be start, job, pickup, delivery, break or end, and tasks need their `id`";
                    return Err(VroomError::invalid(path, message));
                }
            }
        }
        all.push(steps);
    }
    Ok(all)
}
