//! VRPLIB files taken apart: `KEY : value` lines and sections of numbers; what they mean is left to `fleet` and `nodes`.
//!
//! Read are CVRPLIB's and TSPLIB's classical fields, those of the DIMACS challenge and of ORTEC's instances, and PyVRP's
//! (multiple depots, heterogeneous vehicles, reloads, release times, prizes, backhauls, pickups and deliveries). A field or
//! section that is not known is refused, so that no constraint is overlooked.

mod build;
mod weights;

use super::lines::{Lines, at_least_zero, index, whole};
use super::{Draft, FormatError};
use crate::travel::Rounding;
use std::collections::BTreeMap;

/// Fields that say nothing about the problem.
const REMARKS: &[&str] = &["COMMENT", "NODE_COORD_TYPE", "DISPLAY_DATA_TYPE", "GRAPH_DENSITY", "BEST_KNOWN"];
/// Fields that are understood.
const FIELDS: &[&str] = &[
    "NAME",
    "TYPE",
    "DIMENSION",
    "EDGE_WEIGHT_TYPE",
    "EDGE_WEIGHT_FORMAT",
    "CAPACITY",
    "DISTANCE",
    "SERVICE_TIME",
    "RELEASE_TIME",
    "VEHICLES",
    "VEHICLES_MAX_DISTANCE",
    "VEHICLES_MAX_DURATION",
    "VEHICLES_MAX_RELOADS",
    "VEHICLES_FIXED_COST",
    "VEHICLES_UNIT_DISTANCE_COST",
];
/// Sections that are understood.
const SECTIONS: &[&str] = &[
    "NODE_COORD_SECTION",
    "EDGE_WEIGHT_SECTION",
    "DEMAND_SECTION",
    "LINEHAUL_SECTION",
    "BACKHAUL_SECTION",
    "DEPOT_SECTION",
    "TIME_WINDOW_SECTION",
    "SERVICE_TIME_SECTION",
    "RELEASE_TIME_SECTION",
    "PRIZE_SECTION",
    "PICKUP_AND_DELIVERY_SECTION",
    "MUTUALLY_EXCLUSIVE_GROUP_SECTION",
    "CAPACITY_SECTION",
    "VEHICLES_DEPOT_SECTION",
    "VEHICLES_RELOAD_DEPOT_SECTION",
    "VEHICLES_ALLOWED_CLIENTS_SECTION",
    "VEHICLES_MAX_DISTANCE_SECTION",
    "VEHICLES_MAX_DURATION_SECTION",
    "VEHICLES_MAX_RELOADS_SECTION",
    "VEHICLES_FIXED_COST_SECTION",
    "VEHICLES_UNIT_DISTANCE_COST_SECTION",
];

/// Reads a file by its own rounding unless the caller wants another.
pub(super) fn read(text: &str, rounding: Option<Rounding>) -> Result<Draft, FormatError> {
    build::draft(&File::parse(text)?, rounding)
}

/// True for the letters of a field's or section's name.
pub(super) fn of_key(letter: char) -> bool {
    letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'
}

/// A row of a section: its line and its values.
type Row<'t> = (usize, Vec<&'t str>);

/// The file's fields and sections.
struct File<'t> {
    fields: BTreeMap<&'t str, (usize, &'t str)>,
    sections: BTreeMap<&'t str, Vec<Row<'t>>>,
    /// Line of each section's heading.
    headings: BTreeMap<&'t str, usize>,
    /// One behind the last line.
    end: usize,
}

impl<'t> File<'t> {
    fn parse(text: &'t str) -> Result<File<'t>, FormatError> {
        let mut lines = Lines::new(text);
        let (fields, sections, headings) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut file = File { fields, sections, headings, end: 0 };
        while let Some((line, text)) = lines.next() {
            let (key, value) = text.split_once(':').unwrap_or((text, ""));
            let (key, value) = (key.trim(), value.trim());
            if key == "EOF" {
                break;
            }
            if key.is_empty() || !key.chars().all(of_key) {
                let message = format!("{text:?} where a field `KEY : value`, a section or EOF is due");
                return Err(FormatError::at(line, message));
            }
            if key.ends_with("_SECTION") {
                file.section(line, key, &mut lines)?;
            } else if FIELDS.contains(&key) {
                if value.is_empty() {
                    return Err(FormatError::at(line, format!("the field {key} has no value")));
                }
                if file.fields.insert(key, (line, value)).is_some() {
                    return Err(FormatError::at(line, format!("the field {key} stands here for the second time")));
                }
            } else if !REMARKS.contains(&key) {
                return Err(FormatError::at(
                    line,
                    format!("the field {key} is not known; known are {}", FIELDS.join(", ")),
                ));
            }
        }
        file.end = lines.last() + 1;
        Ok(file)
    }

    fn section(&mut self, line: usize, key: &'t str, lines: &mut Lines<'t>) -> Result<(), FormatError> {
        if !SECTIONS.contains(&key) {
            let message = format!("the section {key} is not known; known are {}", SECTIONS.join(", "));
            return Err(FormatError::at(line, message));
        }
        if self.headings.insert(key, line).is_some() {
            return Err(FormatError::at(line, format!("the section {key} stands here for the second time")));
        }
        let rows = self.sections.entry(key).or_default();
        while let Some((line, row)) = lines.next_numbers() {
            rows.push((line, row.split_whitespace().collect()));
        }
        Ok(())
    }

    /// The text of a field.
    fn text(&self, key: &str) -> Option<(usize, &'t str)> {
        self.fields.get(key).copied()
    }

    /// The text of a field that must be there.
    fn needed(&self, key: &str) -> Result<(usize, &'t str), FormatError> {
        self.text(key).ok_or_else(|| FormatError::at(self.end, format!("the field {key} is missing")))
    }

    /// The line of a section's heading and its rows.
    fn rows(&self, key: &str) -> Option<(usize, &[Row<'t>])> {
        Some((*self.headings.get(key)?, self.sections.get(key)?.as_slice()))
    }

    /// Per item, counted from 1 up to `count` in the first column, the row's other values. Every item has one row.
    fn table(&self, key: &str, count: usize) -> Result<Option<Vec<Row<'t>>>, FormatError> {
        let Some((heading, rows)) = self.rows(key) else { return Ok(None) };
        let mut table: Vec<Option<Row<'t>>> = vec![None; count];
        for (line, values) in rows {
            let item = index(*line, values[0], count, &format!("the first value of a row of {key}"))?;
            if table[item].replace((*line, values[1..].to_vec())).is_some() {
                return Err(FormatError::at(*line, format!("{key} has a second row for {}", item + 1)));
            }
        }
        let missing = table.iter().position(Option::is_none);
        if let Some(missing) = missing {
            let line = rows.last().map_or(heading, |(line, _)| *line) + 1;
            let message = format!("{key} has no row for {}; it needs one for each of 1 to {count}", missing + 1);
            return Err(FormatError::at(line, message));
        }
        Ok(Some(table.into_iter().flatten().collect()))
    }

    /// Per item a non-negative number: from the section `KEY_SECTION`, or the field `KEY`, which holds for all of them.
    fn numbers(&self, key: &str, count: usize) -> Result<Option<Vec<f64>>, FormatError> {
        if let Some(table) = self.table(&format!("{key}_SECTION"), count)? {
            let value = |(line, row): &Row| at_least_zero(*line, one(*line, row, key)?, key);
            return table.iter().map(value).collect::<Result<_, _>>().map(Some);
        }
        let Some((line, value)) = self.text(key) else { return Ok(None) };
        Ok(Some(vec![at_least_zero(line, value, key)?; count]))
    }

    /// Per item whole non-negative amounts, one per dimension.
    fn amounts(&self, section: &str, count: usize) -> Result<Option<Vec<Vec<i64>>>, FormatError> {
        let Some(table) = self.table(section, count)? else { return Ok(None) };
        let row = |(line, row): &Row| {
            if row.is_empty() {
                return Err(FormatError::at(*line, format!("a row of {section} has no amount")));
            }
            row.iter().map(|value| whole(*line, value, "the amount")).collect()
        };
        table.iter().map(row).collect::<Result<_, _>>().map(Some)
    }
}

/// The only value of a row.
fn one<'t>(line: usize, row: &[&'t str], what: &str) -> Result<&'t str, FormatError> {
    match row {
        [value] => Ok(value),
        _ => Err(FormatError::at(line, format!("{} values for {what}; one is needed", row.len()))),
    }
}
