//! `dhow stream`: applies the log to the online features and the lake, without serving; a fleet's worker is elsewhere.

use std::sync::Arc;
use std::time::Duration;

use dhow_events::{Clock, SystemClock};
use dhow_offline::LakeWriter;
use serde::Serialize;

use crate::arguments::StreamArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::fleet;
use crate::output::{json, progress, thousands};
use crate::platform::{open, require_data_dir};
use crate::signals::asked_to_stop;

#[derive(Serialize)]
struct Summary {
    log_events: u64,
    applied_events: u64,
    seconds: f64,
    events_per_second: f64,
    feature_keys: u64,
    late_events: u64,
    duplicate_events: u64,
    lake_files_merged: usize,
    lake_files_written: usize,
}

/// Runs the command.
///
/// # Errors
/// No data folder, or a worker that failed.
pub async fn run(arguments: &StreamArguments, configuration: &Configuration) -> Result<(), Failure> {
    if let Some(group) = &arguments.group {
        return fleet::run(group, arguments, configuration).await;
    }
    require_data_dir(configuration)?;
    let begin = SystemClock.now();
    let engine = open(configuration, Arc::new(SystemClock)).await?;
    let (total, _) = engine.lag()?;
    let bar = progress("apply to features and lake", total);
    let mut interrupted = std::pin::pin!(asked_to_stop());
    loop {
        let (log_events, lag) = engine.lag()?;
        bar.set_position(log_events - lag);
        if engine.worker_failure().is_some() || (arguments.until_caught_up && lag == 0) {
            break;
        }
        tokio::select! {
            _signal = &mut interrupted => break,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
    let status = engine.status(configuration.tenant)?;
    engine.stop()?;
    let compaction = match arguments.compact {
        true => Some(LakeWriter::open(engine.lake().clone(), Arc::new(SystemClock))?.compact()?),
        false => None,
    };
    bar.finish_and_clear();
    let seconds = SystemClock.now().micros_since(begin) as f64 / 1e6;
    let summary = Summary {
        log_events: status.log_events,
        applied_events: status.applied_events,
        seconds,
        events_per_second: status.applied_events as f64 / seconds.max(1e-9),
        feature_keys: status.feature_keys,
        late_events: status.late_events,
        duplicate_events: status.duplicate_events,
        lake_files_merged: compaction.map_or(0, |report| report.files_merged),
        lake_files_written: compaction.map_or(0, |report| report.files_written),
    };
    if arguments.json {
        return json(&summary);
    }
    eprintln!(
        "{} of {} events applied in {:.2} s; {} entities have features; {} duplicates, {} too late",
        thousands(summary.applied_events),
        thousands(summary.log_events),
        summary.seconds,
        thousands(summary.feature_keys),
        thousands(summary.duplicate_events),
        thousands(summary.late_events)
    );
    if compaction.is_some() {
        eprintln!("{} files of the lake merged into {}", summary.lake_files_merged, summary.lake_files_written);
    }
    Ok(())
}
