//! Li and Lim's tables of paired pickups and deliveries with time windows: one depot, equal vehicles; no other variant.

use super::lines::{Lines, at_least_zero, number, whole};
use super::solomon::tokens;
use super::{Draft, FormatError};
use crate::problem::{MAX_STOPS, MAX_VEHICLES, Parts, Shipment, Stop, Vehicle};
use crate::travel::{Rounding, Travel};

/// Columns of the tasks' table.
const COLUMNS: [&str; 9] =
    ["number", "x", "y", "demand", "earliest start", "latest start", "service time", "its pickup", "its delivery"];

/// One line of the tasks' table.
struct Task {
    line: usize,
    demand: i64,
    pickup: usize,
    delivery: usize,
}

/// Reads the table; distances are unrounded (thousandths) unless the caller wants another rule.
pub(super) fn read(text: &str, rounding: Option<Rounding>) -> Result<Draft, FormatError> {
    let rounding = rounding.unwrap_or(Rounding::None);
    let mut lines = Lines::new(text);
    let (line, fleet) = lines.needed("the number of vehicles, their capacity and speed")?;
    let [count, capacity, _speed] = tokens(line, fleet, ["vehicles", "capacity", "speed (not used)"])?;
    let (count, capacity) = (whole(line, count, "the number of vehicles")?, whole(line, capacity, "the capacity")?);
    if !(1..=MAX_VEHICLES as i64).contains(&count) {
        return Err(FormatError::at(line, format!("{count} vehicles; between 1 and {MAX_VEHICLES} are needed")));
    }
    let (mut points, mut stops, mut tasks, mut shift) = (Vec::new(), Vec::new(), Vec::new(), (0, 0));
    while let Some((line, row)) = lines.next() {
        let row = tokens(line, row, COLUMNS)?;
        let index = whole(line, row[0], COLUMNS[0])?;
        if index != points.len() as i64 || points.len() > MAX_STOPS {
            return Err(FormatError::at(
                line,
                format!("task {index} where {} is due; number them from 0", points.len()),
            ));
        }
        let time =
            |column: usize| Ok::<i64, FormatError>(rounding.apply(at_least_zero(line, row[column], COLUMNS[column])?));
        let window = (time(4)?, time(5)?);
        if window.0 > window.1 {
            return Err(FormatError::at(
                line,
                format!("the latest start {} is before the earliest {}", row[5], row[4]),
            ));
        }
        points.push([number(line, row[1], COLUMNS[1])?, number(line, row[2], COLUMNS[2])?]);
        if index == 0 {
            shift = window;
            continue;
        }
        let demand = number(line, row[3], COLUMNS[3])?;
        let (pickup, delivery) = (whole(line, row[7], COLUMNS[7])?, whole(line, row[8], COLUMNS[8])?);
        if demand.fract() != 0.0 || demand.abs() > 9e15 {
            return Err(FormatError::at(line, format!("demand is {}; a whole number is needed", row[3])));
        }
        tasks.push(Task { line, demand: demand as i64, pickup: pickup as usize, delivery: delivery as usize });
        stops.push(Stop::new(index.to_string(), index as usize).between(window.0, window.1).taking(time(6)?));
    }
    if stops.is_empty() {
        return Err(FormatError::at(
            lines.last() + 1,
            "the file ends before the first task; a depot and tasks are needed",
        ));
    }
    let shipments = shipments(&tasks)?;
    let vehicle = |i: i64| Vehicle::new((i + 1).to_string(), 0).carrying(&[capacity]).working(shift.0, shift.1);
    let vehicles = (0..count).map(vehicle).collect();
    let parts = Parts { stops, vehicles, shipments, profiles: vec![Travel::Planar { points, rounding }] };
    Ok(Draft { name: "Li-Lim".to_string(), family: "PDPTW".to_string(), rounding, parts })
}

/// Joins each pickup (positive demand, names its delivery) with its delivery, which must name it and have the opposite demand.
fn shipments(tasks: &[Task]) -> Result<Vec<Shipment>, FormatError> {
    let mut shipments = Vec::with_capacity(tasks.len() / 2);
    for (index, task) in tasks.iter().enumerate() {
        let (partner, is_pickup) = match (task.pickup, task.delivery) {
            (0, delivery) if delivery > 0 => (delivery, true),
            (pickup, 0) if pickup > 0 => (pickup, false),
            _ => {
                return Err(FormatError::at(
                    task.line,
                    "it must name either its pickup or its delivery; the other is 0",
                ));
            }
        };
        let Some(other) = tasks.get(partner - 1) else {
            return Err(FormatError::at(
                task.line,
                format!("task {partner} does not exist; there are {}", tasks.len()),
            ));
        };
        let named_back = if is_pickup { other.pickup } else { other.delivery };
        let sign_is_right = if is_pickup { task.demand >= 0 } else { task.demand <= 0 };
        if named_back != index + 1 || other.demand != -task.demand || !sign_is_right {
            let message = format!(
                "task {} and {partner} are no pair: each must name the other, and {} be taken where {} is brought",
                index + 1,
                task.demand,
                other.demand
            );
            return Err(FormatError::at(task.line, message));
        }
        if is_pickup {
            shipments.push(Shipment { pickup: index, delivery: partner - 1, amount: vec![task.demand] });
        }
    }
    Ok(shipments)
}
