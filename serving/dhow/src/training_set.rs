//! `dhow backfill`: a point-in-time training set as Parquet or Arrow, replayed from the log.

use std::sync::Arc;

use dhow_definitions::VectorPlan;
use dhow_events::{Clock, FactKind, SystemClock, Timestamp};
use dhow_offline::{TableFormat, training_set};
use serde::Serialize;

use crate::arguments::BackfillArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, thousands};
use crate::platform::{online_settings, open_log, require_data_dir};

#[derive(Serialize)]
struct Summary {
    rows: usize,
    columns: usize,
    too_late: u64,
    seconds: f64,
    file: String,
}

/// Runs the command.
///
/// # Errors
/// No data folder, an unknown spine, or a file that cannot be written.
pub fn run(arguments: &BackfillArguments, configuration: &Configuration) -> Result<(), Failure> {
    require_data_dir(configuration)?;
    let spine = FactKind::from_name(&arguments.spine).ok_or_else(|| {
        let known: Vec<&str> = FactKind::ALL.iter().map(|kind| kind.name()).collect();
        Failure::Input(format!("`{}` is no kind of fact; known are {}", arguments.spine, known.join(", ")))
    })?;
    let features = Arc::new(configuration.feature_set()?);
    let plan = VectorPlan::new(&features, spine).map_err(Failure::input)?;
    let log = open_log(configuration, Arc::new(SystemClock))?;
    let begin = SystemClock.now();
    let until = arguments.until.unwrap_or(Timestamp::MAX);
    let set = training_set(&*log, features, online_settings(), &plan, configuration.tenant, until)?;
    let format = arguments.format.unwrap_or_else(|| TableFormat::of_path(&arguments.out));
    set.write(&arguments.out, format)?;
    let summary = Summary {
        rows: set.row_count(),
        columns: set.names.len() + 2,
        too_late: set.too_late_count,
        seconds: SystemClock.now().micros_since(begin) as f64 / 1e6,
        file: arguments.out.display().to_string(),
    };
    if arguments.json {
        return json(&summary);
    }
    eprintln!(
        "{} rows × {} columns in {:.2} s → {}",
        thousands(summary.rows as u64),
        summary.columns,
        summary.seconds,
        summary.file
    );
    Ok(())
}
