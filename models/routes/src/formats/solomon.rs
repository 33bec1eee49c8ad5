//! Solomon's and Gehring and Homberger's tables: one depot, equal vehicles, one time window per customer; no other variant.

use super::lines::{Lines, at_least_zero, number, whole};
use super::{Draft, FormatError};
use crate::problem::{MAX_STOPS, MAX_VEHICLES, Parts, Stop, Vehicle};
use crate::travel::{Rounding, Travel};

/// Columns of the customers' table.
const COLUMNS: [&str; 7] = ["number", "x", "y", "demand", "ready time", "due date", "service time"];

/// Reads the tables; distances are unrounded (thousandths) unless the caller wants another rule.
pub(super) fn read(text: &str, rounding: Option<Rounding>) -> Result<Draft, FormatError> {
    let rounding = rounding.unwrap_or(Rounding::None);
    let mut lines = Lines::new(text);
    let (_, name) = lines.needed("the instance's name")?;
    heading(&mut lines, "VEHICLE")?;
    heading(&mut lines, "NUMBER")?;
    let (line, fleet) = lines.needed("the number of vehicles and their capacity")?;
    let [count, capacity] = tokens(line, fleet, ["the number of vehicles", "the capacity"])?;
    let (count, capacity) = (whole(line, count, "the number of vehicles")?, whole(line, capacity, "the capacity")?);
    if !(1..=MAX_VEHICLES as i64).contains(&count) {
        return Err(FormatError::at(line, format!("{count} vehicles; between 1 and {MAX_VEHICLES} are needed")));
    }
    heading(&mut lines, "CUSTOMER")?;
    heading(&mut lines, "CUST")?;
    let (mut points, mut stops, mut shift) = (Vec::new(), Vec::new(), (0, 0));
    while let Some((line, row)) = lines.next() {
        let row = Row::read(line, row, rounding)?;
        if row.number != points.len() as i64 || points.len() > MAX_STOPS {
            let wanted = points.len();
            return Err(FormatError::at(
                line,
                format!("customer {} where {wanted} is due; number them from 0", row.number),
            ));
        }
        points.push(row.point);
        if row.number == 0 {
            shift = row.window;
        } else {
            let stop = Stop::new(row.number.to_string(), points.len() - 1).delivering(&[row.demand]);
            stops.push(stop.between(row.window.0, row.window.1).taking(row.service_s));
        }
    }
    if stops.is_empty() {
        return Err(FormatError::at(
            lines.last() + 1,
            "the file ends before the first customer; a depot and customers are needed",
        ));
    }
    let vehicle = |i: i64| Vehicle::new((i + 1).to_string(), 0).carrying(&[capacity]).working(shift.0, shift.1);
    let vehicles = (0..count).map(vehicle).collect();
    let parts = Parts { stops, vehicles, shipments: Vec::new(), profiles: vec![Travel::Planar { points, rounding }] };
    Ok(Draft { name: name.to_string(), family: "VRPTW".to_string(), rounding, parts })
}

/// One line of the customers' table, times in the rounding's units.
struct Row {
    number: i64,
    point: [f64; 2],
    demand: i64,
    window: (i64, i64),
    service_s: i64,
}

impl Row {
    fn read(line: usize, text: &str, rounding: Rounding) -> Result<Row, FormatError> {
        let row = tokens(line, text, COLUMNS)?;
        let time =
            |column: usize| Ok::<i64, FormatError>(rounding.apply(at_least_zero(line, row[column], COLUMNS[column])?));
        let window: (i64, i64) = (time(4)?, time(5)?);
        if window.0 > window.1 {
            return Err(FormatError::at(line, format!("the due date {} is before the ready time {}", row[5], row[4])));
        }
        Ok(Row {
            number: whole(line, row[0], COLUMNS[0])?,
            point: [number(line, row[1], COLUMNS[1])?, number(line, row[2], COLUMNS[2])?],
            demand: whole(line, row[3], COLUMNS[3])?,
            window,
            service_s: time(6)?,
        })
    }
}

fn heading(lines: &mut Lines, word: &str) -> Result<(), FormatError> {
    let (line, found) = lines.needed(&format!("the heading {word}"))?;
    if found.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    Err(FormatError::at(line, format!("{found:?} where the heading {word} is due")))
}

/// Exactly as many tokens as there are names.
pub(super) fn tokens<'t, const N: usize>(
    line: usize,
    text: &'t str,
    names: [&str; N],
) -> Result<[&'t str; N], FormatError> {
    let found: Vec<&str> = text.split_whitespace().collect();
    let count = found.len();
    found.try_into().map_err(|_| FormatError::at(line, format!("{count} values; {N} are needed: {}", names.join(", "))))
}
