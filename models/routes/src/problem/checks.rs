//! Checks of a problem's parts: ranges, references and sizes, each with the place of the mistake; it changes nothing.

use super::*;
use std::collections::BTreeMap;

/// The legs of every profile, which all have the same locations.
pub(super) fn profiles(profiles: &[Travel]) -> Result<Vec<Legs>, ProblemError> {
    count("/profiles", profiles.len(), MAX_PROFILES)?;
    let mut checked: Vec<Legs> = Vec::with_capacity(profiles.len());
    for (index, travel) in profiles.iter().enumerate() {
        // With one profile the path is that of the `travel` argument.
        let path = if profiles.len() == 1 { "/travel".to_string() } else { format!("/profiles/{index}") };
        let legs = Legs::new(&path, travel)?;
        if let Some(first) = checked.first().filter(|first| first.locations() != legs.locations()) {
            let message = format!("{} locations where the first profile has {}", legs.locations(), first.locations());
            return Err(ProblemError::new(path, message));
        }
        checked.push(legs);
    }
    Ok(checked)
}

/// Everything about stops, shipments and vehicles; the answer is the number of capacity dimensions.
pub(super) fn everything(
    stops: &[Stop],
    shipments: &[Shipment],
    vehicles: &[Vehicle],
    locations: usize,
    profiles: usize,
) -> Result<usize, ProblemError> {
    count("/stops", stops.len(), MAX_STOPS)?;
    count("/vehicles", vehicles.len(), MAX_VEHICLES)?;
    let dimensions = common_dimensions(stops, shipments, vehicles)?;
    unique("/stops", stops.iter().map(|stop| stop.id.as_str()))?;
    unique("/vehicles", vehicles.iter().map(|vehicle| vehicle.id.as_str()))?;
    for (index, one) in stops.iter().enumerate() {
        stop(&format!("/stops/{index}"), one, locations, vehicles.len())?;
    }
    pairs(stops, shipments)?;
    alternatives(stops)?;
    let mut promised = vec![false; stops.len()];
    for (index, one) in vehicles.iter().enumerate() {
        let path = format!("/vehicles/{index}");
        vehicle(&path, one, locations)?;
        breaks(&path, one, dimensions)?;
        travel_of(&path, one, locations, profiles)?;
        prefix(&path, one, &mut promised)?;
    }
    Ok(dimensions)
}

fn count(path: &str, count: usize, most: usize) -> Result<(), ProblemError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(ProblemError::new(path, format!("{count} given; between 1 and {most} are needed")))
}

fn unique<'a>(path: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), ProblemError> {
    let mut seen = BTreeMap::new();
    for (index, id) in ids.enumerate() {
        if id.is_empty() {
            return Err(ProblemError::new(format!("{path}/{index}/id"), "the id is empty; give each a name"));
        }
        if let Some(first) = seen.insert(id, index) {
            let message = format!("id {id:?} is already used by {path}/{first}; ids must differ");
            return Err(ProblemError::new(format!("{path}/{index}/id"), message));
        }
    }
    Ok(())
}

/// All amounts that are given must have one length; it is the number of dimensions.
fn common_dimensions(stops: &[Stop], shipments: &[Shipment], vehicles: &[Vehicle]) -> Result<usize, ProblemError> {
    let from_vehicles = vehicles.iter().enumerate().map(|(i, v)| (format!("/vehicles/{i}/capacity"), v.capacity.len()));
    let from_shipments = shipments.iter().enumerate().map(|(i, s)| (format!("/shipments/{i}/amount"), s.amount.len()));
    let from_stops = stops.iter().enumerate().flat_map(|(i, stop)| {
        let delivery = (format!("/stops/{i}/delivery"), stop.delivery.len());
        [delivery, (format!("/stops/{i}/pickup"), stop.pickup.len())]
    });
    let mut dimensions = 0;
    for (path, length) in from_vehicles.chain(from_stops).chain(from_shipments).filter(|(_, length)| *length > 0) {
        if length > MAX_DIMENSIONS {
            return Err(ProblemError::new(path, format!("{length} amounts; at most {MAX_DIMENSIONS} are allowed")));
        }
        if dimensions > 0 && length != dimensions {
            let message = format!("{length} amounts where others have {dimensions}; all must have the same number");
            return Err(ProblemError::new(path, message));
        }
        dimensions = length;
    }
    Ok(dimensions)
}

fn stop(path: &str, stop: &Stop, locations: usize, vehicles: usize) -> Result<(), ProblemError> {
    location(path, "location", stop.location, locations)?;
    amounts(path, "delivery", &stop.delivery)?;
    amounts(path, "pickup", &stop.pickup)?;
    windows(path, &stop.windows)?;
    if let Some(lateness) = stop.lateness {
        range(path, "lateness/most_s", lateness.most_s, MAX_TIME_S)?;
        range(path, "lateness/cost_per_hour", lateness.cost_per_hour, MAX_RATE)?;
    }
    range(path, "service_s", stop.service_s, MAX_TIME_S)?;
    range(path, "setup_s", stop.setup_s, MAX_TIME_S)?;
    range(path, "release_s", stop.release_s, MAX_TIME_S)?;
    range(path, "prize", stop.prize.unwrap_or(0), MAX_FIXED_COST)?;
    if let Some(position) = stop.vehicles.iter().position(|&vehicle| vehicle >= vehicles) {
        let message = format!("vehicle {} does not exist; there are {vehicles}", stop.vehicles[position]);
        return Err(ProblemError::new(format!("{path}/vehicles/{position}"), message));
    }
    range(path, "priority", i64::from(stop.priority), i64::from(MAX_PRIORITY))
}

/// Each shipment joins two different stops that no other shipment joins and that stand or fall together.
fn pairs(stops: &[Stop], shipments: &[Shipment]) -> Result<(), ProblemError> {
    let mut taken = vec![false; stops.len()];
    for (index, shipment) in shipments.iter().enumerate() {
        let path = format!("/shipments/{index}");
        amounts(&path, "amount", &shipment.amount)?;
        for (name, stop) in [("pickup", shipment.pickup), ("delivery", shipment.delivery)] {
            let wrong = match stops.get(stop) {
                None => format!("stop {stop} does not exist; there are {}, counted from 0", stops.len()),
                Some(_) if std::mem::replace(&mut taken[stop], true) => {
                    format!("stop {stop} already belongs to a shipment; each stop may belong to one")
                }
                Some(stop) if stop.group.is_some() => {
                    "a stop with alternatives cannot belong to a shipment".to_string()
                }
                Some(_) => continue,
            };
            return Err(ProblemError::new(format!("{path}/{name}"), wrong));
        }
        if stops[shipment.pickup].prize.is_some() != stops[shipment.delivery].prize.is_some() {
            return Err(ProblemError::new(path, "one of its stops has a prize; both or none must have one"));
        }
    }
    Ok(())
}

/// Alternatives agree on what it means to leave all of them out.
fn alternatives(stops: &[Stop]) -> Result<(), ProblemError> {
    let mut first_of: BTreeMap<u32, usize> = BTreeMap::new();
    for (index, stop) in stops.iter().enumerate() {
        let Some(group) = stop.group else { continue };
        let first = *first_of.entry(group).or_insert(index);
        if (stop.prize, stop.priority) != (stops[first].prize, stops[first].priority) {
            let message = format!("alternatives must have one prize and priority; it differs from /stops/{first}");
            return Err(ProblemError::new(format!("/stops/{index}/group"), message));
        }
    }
    Ok(())
}

fn vehicle(path: &str, vehicle: &Vehicle, locations: usize) -> Result<(), ProblemError> {
    for (name, place) in [("start", vehicle.start), ("end", vehicle.end)] {
        if let Some(place) = place {
            location(path, name, place, locations)?;
        }
    }
    amounts(path, "capacity", &vehicle.capacity)?;
    window(path, "shift", vehicle.shift)?;
    range(path, "fixed_cost", vehicle.fixed_cost, MAX_FIXED_COST)?;
    range(path, "cost_per_km", vehicle.cost_per_km, MAX_RATE)?;
    range(path, "cost_per_travel_hour", vehicle.cost_per_travel_hour, MAX_RATE)?;
    range(path, "cost_per_duty_hour", vehicle.cost_per_duty_hour, MAX_RATE)?;
    range(path, "co2e_g_per_km", vehicle.co2e_g_per_km, MAX_RATE)?;
    if let Some(overtime) = vehicle.overtime {
        range(path, "overtime/after_s", overtime.after_s, MAX_TIME_S)?;
        range(path, "overtime/cost_per_hour", overtime.cost_per_hour, MAX_RATE)?;
    }
    range(path, "max_distance_m", vehicle.max_distance_m.unwrap_or(0), i64::MAX)?;
    range(path, "max_travel_s", vehicle.max_travel_s.unwrap_or(0), i64::MAX)?;
    range(path, "max_duration_s", vehicle.max_duration_s.unwrap_or(0), i64::MAX)
}

fn breaks(path: &str, vehicle: &Vehicle, dimensions: usize) -> Result<(), ProblemError> {
    at_most(path, "breaks", vehicle.breaks.len())?;
    unique(&format!("{path}/breaks"), vehicle.breaks.iter().map(|pause| pause.id.as_str()))?;
    for (index, pause) in vehicle.breaks.iter().enumerate() {
        let path = format!("{path}/breaks/{index}");
        windows(&path, &pause.windows)?;
        range(&path, "service_s", pause.service_s, MAX_TIME_S)?;
        if let Some(load) = &pause.max_load {
            amounts(&path, "max_load", load)?;
            if load.len() != dimensions {
                let message = format!("{} amounts; there are {dimensions} dimensions", load.len());
                return Err(ProblemError::new(format!("{path}/max_load"), message));
            }
        }
    }
    Ok(())
}

fn travel_of(path: &str, vehicle: &Vehicle, locations: usize, profiles: usize) -> Result<(), ProblemError> {
    if vehicle.profile >= profiles {
        let message = format!("profile {} does not exist; there are {profiles}, counted from 0", vehicle.profile);
        return Err(ProblemError::new(format!("{path}/profile"), message));
    }
    at_most(path, "speed", vehicle.speed.len())?;
    for (index, change) in vehicle.speed.iter().enumerate() {
        let path = format!("{path}/speed/{index}");
        range(&path, "from_s", change.from_s, MAX_TIME_S)?;
        if !SPEED_PERCENT.contains(&change.percent) {
            let message = format!("{} %; it must lie in {SPEED_PERCENT:?}", change.percent);
            return Err(ProblemError::new(format!("{path}/percent"), message));
        }
        let in_order = if index == 0 { change.from_s == 0 } else { vehicle.speed[index - 1].from_s < change.from_s };
        if !in_order {
            return Err(ProblemError::new(format!("{path}/from_s"), "changes must begin at 0 and ascend"));
        }
    }
    let Some(reload) = &vehicle.reload else { return Ok(()) };
    if reload.locations.is_empty() {
        return Err(ProblemError::new(format!("{path}/reload/locations"), "is empty; name at least one location"));
    }
    at_most(path, "reload/locations", reload.locations.len())?;
    for (index, &place) in reload.locations.iter().enumerate() {
        location(path, &format!("reload/locations/{index}"), place, locations)?;
    }
    range(path, "reload/most", reload.most as i64, MAX_RELOADS as i64)?;
    range(path, "reload/service_s", reload.service_s, MAX_TIME_S)
}

fn prefix(path: &str, vehicle: &Vehicle, promised: &mut [bool]) -> Result<(), ProblemError> {
    let stops = promised.len();
    for (index, &stop) in vehicle.prefix.iter().enumerate() {
        let path = format!("{path}/prefix/{index}");
        let Some(promised) = promised.get_mut(stop) else {
            return Err(ProblemError::new(
                path,
                format!("stop {stop} does not exist; there are {stops}, counted from 0"),
            ));
        };
        if std::mem::replace(promised, true) {
            return Err(ProblemError::new(
                path,
                format!("stop {stop} already stands in a prefix; each may stand in one"),
            ));
        }
    }
    Ok(())
}

fn location(path: &str, name: &str, location: usize, locations: usize) -> Result<(), ProblemError> {
    if location < locations {
        return Ok(());
    }
    let message = format!("location {location} does not exist; there are {locations}, counted from 0");
    Err(ProblemError::new(format!("{path}/{name}"), message))
}

fn amounts(path: &str, name: &str, amounts: &[i64]) -> Result<(), ProblemError> {
    for (dimension, &amount) in amounts.iter().enumerate() {
        range(path, &format!("{name}/{dimension}"), amount, MAX_AMOUNT)?;
    }
    Ok(())
}

fn windows(path: &str, windows: &[TimeWindow]) -> Result<(), ProblemError> {
    at_most(path, "windows", windows.len())?;
    for (index, &one) in windows.iter().enumerate() {
        window(path, &format!("windows/{index}"), one)?;
        if index > 0 && one.opens_s <= windows[index - 1].closes_s {
            let message = format!("opens at {} before the window ahead of it has closed", one.opens_s);
            return Err(ProblemError::new(format!("{path}/windows/{index}"), message));
        }
    }
    Ok(())
}

fn window(path: &str, name: &str, window: TimeWindow) -> Result<(), ProblemError> {
    range(path, &format!("{name}/opens_s"), window.opens_s, MAX_TIME_S)?;
    range(path, &format!("{name}/closes_s"), window.closes_s, MAX_TIME_S)?;
    if window.opens_s <= window.closes_s {
        return Ok(());
    }
    let message = format!("closes at {} before it opens at {}", window.closes_s, window.opens_s);
    Err(ProblemError::new(format!("{path}/{name}"), message))
}

fn at_most(path: &str, name: &str, count: usize) -> Result<(), ProblemError> {
    if count <= MAX_PER_ITEM {
        return Ok(());
    }
    Err(ProblemError::new(format!("{path}/{name}"), format!("{count} given; at most {MAX_PER_ITEM} are allowed")))
}

fn range(path: &str, name: &str, value: i64, most: i64) -> Result<(), ProblemError> {
    if (0..=most).contains(&value) {
        return Ok(());
    }
    Err(ProblemError::new(format!("{path}/{name}"), format!("{value} is out of range; it must lie in 0..={most}")))
}

/// Refuses a problem whose worst plan would not fit the integer that costs are counted in.
pub(super) fn cost_fits(stops: &[Stop], vehicles: &[Vehicle], longest_leg: i64) -> Result<(), ProblemError> {
    let windows = || stops.iter().map(Stop::window).chain(vehicles.iter().map(|vehicle| vehicle.shift));
    let breaks = || vehicles.iter().flat_map(|vehicle| &vehicle.breaks);
    let releases = stops.iter().map(|stop| stop.release_s).max().unwrap_or(0);
    let break_opens = breaks().map(|pause| TimeWindow::hull(&pause.windows).opens_s).max().unwrap_or(0);
    let last_opening = windows().map(|window| window.opens_s).max().unwrap_or(0).max(releases).max(break_opens);
    let first_closing = windows().map(|window| window.closes_s).min().unwrap_or(0);
    let waiting = i128::from((last_opening - first_closing).max(0)) * vehicles.len() as i128;
    let served: i128 = stops.iter().map(|stop| i128::from(stop.service_s) + i128::from(stop.setup_s)).sum();
    let paused: i128 = breaks().map(|pause| i128::from(pause.service_s)).sum();
    let reloads: i128 = vehicles.iter().filter_map(|vehicle| vehicle.reload.as_ref()).map(|r| r.most as i128).sum();
    let reload_s =
        vehicles.iter().filter_map(|v| v.reload.as_ref()).map(|r| i128::from(r.service_s)).max().unwrap_or(0);
    let visits = (stops.len() + vehicles.len()) as i128 + reloads.min(2 * stops.len() as i128);
    let driven = i128::from(longest_leg) * visits;
    let slowest = vehicles.iter().flat_map(|vehicle| &vehicle.speed).map(|change| change.percent).min().unwrap_or(100);
    let travelled = driven * 100 / i128::from(slowest.min(100));
    let duty = travelled + served + paused + waiting + reloads * reload_s;
    let highest = |rate: fn(&Vehicle) -> i64| i128::from(vehicles.iter().map(rate).max().unwrap_or(0));
    let fixed: i128 = vehicles.iter().map(|vehicle| i128::from(vehicle.fixed_cost)).sum();
    let prizes: i128 = stops.iter().map(|stop| i128::from(stop.prize.unwrap_or(0))).sum();
    let late: i128 =
        stops.iter().filter_map(|stop| stop.lateness).map(|l| i128::from(l.most_s) * i128::from(l.cost_per_hour)).sum();
    let worst = (fixed + prizes) * i128::from(COST_SCALE)
        + driven * highest(|v| v.cost_per_km) * i128::from(SCALED_PER_METRE)
        + travelled * highest(|v| v.cost_per_travel_hour) * i128::from(SCALED_PER_SECOND)
        + duty * highest(|v| v.cost_per_duty_hour) * i128::from(SCALED_PER_SECOND)
        + duty * highest(|v| v.overtime.map_or(0, |o| o.cost_per_hour)) * i128::from(SCALED_PER_SECOND)
        + late * i128::from(SCALED_PER_SECOND);
    if worst <= i128::from(i64::MAX / 4) {
        return Ok(());
    }
    Err(ProblemError::new("/vehicles", "the rates are so high that a plan's cost may overflow; use a coarser unit"))
}

/// Per vehicle the bit of its skill set, and per stop the bits of the sets that hold all its skills.
pub(super) fn skill_masks(stops: &[Stop], vehicles: &[Vehicle]) -> Result<(Vec<u128>, Vec<u128>), ProblemError> {
    let mut sets: Vec<BTreeSet<u32>> = Vec::new();
    let mut skill_bit = Vec::with_capacity(vehicles.len());
    for (index, vehicle) in vehicles.iter().enumerate() {
        let set: BTreeSet<u32> = vehicle.skills.iter().copied().collect();
        let position = sets.iter().position(|known| *known == set).unwrap_or(sets.len());
        if position == MAX_SKILL_SETS {
            let message = format!("more than {MAX_SKILL_SETS} different sets of vehicle skills; use fewer");
            return Err(ProblemError::new(format!("/vehicles/{index}/skills"), message));
        }
        if position == sets.len() {
            sets.push(set);
        }
        skill_bit.push(1 << position);
    }
    let allowed = stops.iter().map(|stop| {
        let fitting = sets.iter().enumerate().filter(|(_, set)| stop.skills.iter().all(|skill| set.contains(skill)));
        fitting.fold(0u128, |mask, (position, _)| mask | 1 << position)
    });
    Ok((skill_bit, allowed.collect()))
}
