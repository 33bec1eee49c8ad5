//! Events from the log into the online features on one thread: reading, decoding and every window; no lake, no network.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use dhow_definitions::FeatureSet;
use dhow_events::{DAY_MICROS, SystemClock};
use dhow_online::{OnlineSettings, OnlineStore};
use dhow_streams::{LocalLog, LocalLogSettings, Log, Offsets, Replay};

/// Folds a data folder's log into the built-in features and prints the rate; reading and decoding alone come first.
#[derive(Parser)]
struct Arguments {
    /// The log's folder, for example dhow-data/demo-small-7/log.
    log: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("fold: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let log = LocalLog::open(&arguments.log, LocalLogSettings::default(), Arc::new(SystemClock))?;
    let settings = OnlineSettings { allowed_lateness_micros: 3 * DAY_MICROS, duplicate_horizon_micros: 3 * DAY_MICROS };
    let online = OnlineStore::new(Arc::new(FeatureSet::marketplace()?), settings);
    let replay = || Replay::new(&log, &Offsets::start(log.partition_count()), &Offsets::ends(&log)?);
    let begin = Instant::now();
    for record in replay()? {
        record?;
    }
    let read_s = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let mut events = 0_u64;
    for record in replay()? {
        let record = record?;
        online.apply(&record.event, record.known_time, (record.partition, record.offset));
        events += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let stats = online.stats();
    let result = serde_json::json!({
        "events": events, "fold_s": seconds, "events_per_s": events as f64 / seconds, "read_and_decode_s": read_s,
        "feature_keys": stats.keys, "duplicates": stats.duplicates, "late": stats.late,
    });
    println!("RESULT {result}");
    Ok(())
}
