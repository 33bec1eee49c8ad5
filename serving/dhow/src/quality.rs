//! `dhow features drift` and `dhow features expect`: whether data has moved, and whether it is what was agreed.

use std::collections::BTreeMap;

use dhow_events::{Clock, SystemClock};
use dhow_offline::{number_columns, profile};
use dhow_quality::{Drift, DriftSettings, Violation, drift};
use serde::Serialize;

use crate::arguments::{DriftArguments, ExpectArguments};
use crate::configuration::read_expectations;
use crate::failure::Failure;
use crate::output::{json, table};

/// One column's comparison.
#[derive(Serialize)]
struct Compared {
    column: String,
    #[serde(flatten)]
    drift: Drift,
}

/// Compares the columns of two files.
///
/// # Errors
/// A file that cannot be read, no column in common, or one that has drifted.
pub fn compare(arguments: &DriftArguments, as_json: bool) -> Result<(), Failure> {
    let settings = DriftSettings { false_alarm_rate: arguments.false_alarm_rate, ..DriftSettings::default() };
    let before: BTreeMap<String, Vec<f64>> =
        number_columns(&arguments.reference).map_err(Failure::input)?.into_iter().collect();
    let mut compared = Vec::new();
    for (column, now) in number_columns(&arguments.current).map_err(Failure::input)? {
        if let Some(before) = before.get(&column) {
            let drift = drift(before, &now, &settings).map_err(Failure::input)?;
            compared.push(Compared { column, drift });
        }
    }
    if compared.is_empty() {
        return Err(Failure::Input("the two files have no column of numbers in common".to_owned()));
    }
    if as_json {
        json(&compared)?;
    } else {
        print(&compared);
    }
    let moved: Vec<&str> = compared.iter().filter(|one| one.drift.has_drifted).map(|one| one.column.as_str()).collect();
    match moved.as_slice() {
        [] => Ok(()),
        names => Err(Failure::Failed(format!(
            "{} of {} columns have drifted: {}",
            names.len(),
            compared.len(),
            names.join(", ")
        ))),
    }
}

fn print(compared: &[Compared]) {
    let row = |one: &Compared| {
        let drift = &one.drift;
        vec![
            one.column.clone(),
            format!("{:.4}", drift.psi),
            format!("{:.4}", drift.psi_threshold),
            format!("{:.4}", drift.distance),
            format!("{:.4}", drift.distance_threshold),
            if drift.has_drifted { "drifted" } else { "quiet" }.to_owned(),
        ]
    };
    let header = ["column", "PSI", "counts from", "KS distance", "counts from", ""];
    println!("{}", table(&header, &compared.iter().map(row).collect::<Vec<_>>(), true));
}

/// Checks a file against expectations.
///
/// # Errors
/// A file that cannot be read, wrong expectations, or broken ones.
pub fn expect(arguments: &ExpectArguments, as_json: bool) -> Result<(), Failure> {
    let expectations = read_expectations(&arguments.expectations)?;
    let columns = profile(&arguments.file, SystemClock.now()).map_err(Failure::input)?;
    let violations: Vec<Violation> = expectations.check(|name| columns.get(name).copied());
    if as_json {
        json(&violations)?;
    }
    match violations.as_slice() {
        [] => {
            if !as_json {
                println!("{} columns are as expected", expectations.columns().count());
            }
            Ok(())
        }
        broken => {
            let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
            Err(Failure::Failed(format!("{} expectations are broken\n{}", broken.len(), lines.join("\n"))))
        }
    }
}
