//! `dhow backfill`: a point-in-time training set as Parquet or Arrow, replayed from the log or computed from the lake.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::{Clock, FactKind, SystemClock, Timestamp};
use dhow_offline::backfill::{BackfillRequest, backfill};
use dhow_offline::{TableFormat, training_set};
use serde::{Deserialize, Serialize};

use crate::arguments::{BackfillArguments, BackfillEngine};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, thousands};
use crate::platform::{lake, online_settings, open_log, require_data_dir};

/// The program that runs a backfill on a cluster.
const CLUSTER_PROGRAM: &str = "dhow-cluster";

/// What was written, as `dhow-cluster` says it too.
#[derive(Deserialize)]
struct Written {
    rows: usize,
    columns: usize,
    too_late: u64,
}

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
/// No data folder, an unknown spine, a cluster that cannot be reached, or a file that cannot be written.
pub async fn run(arguments: &BackfillArguments, configuration: &Configuration) -> Result<(), Failure> {
    require_data_dir(configuration)?;
    let spine = FactKind::from_name(&arguments.spine).ok_or_else(|| {
        let known: Vec<&str> = FactKind::ALL.iter().map(|kind| kind.name()).collect();
        Failure::Input(format!("`{}` is no kind of fact; known are {}", arguments.spine, known.join(", ")))
    })?;
    let features = configuration.feature_set()?;
    let plan = VectorPlan::new(&features, spine).map_err(Failure::input)?;
    let begin = SystemClock.now();
    let written = match &arguments.engine {
        BackfillEngine::Replay => replay(arguments, configuration, features, &plan)?,
        BackfillEngine::Local => {
            let request = request(arguments, configuration, &features, spine)?;
            let set = backfill(lake(configuration)?, request).await?;
            set.write(&arguments.out, format(arguments))?;
            Written { rows: set.row_count(), columns: set.names.len() + 2, too_late: set.too_late_count }
        }
        BackfillEngine::Ballista(scheduler) => {
            let request = request(arguments, configuration, &features, spine)?;
            on_cluster(scheduler, arguments, lake(configuration)?.location(), &request)?
        }
    };
    let summary = Summary {
        rows: written.rows,
        columns: written.columns,
        too_late: written.too_late,
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
    if summary.too_late > 0 {
        eprintln!("{} facts became known too late to have a row", thousands(summary.too_late));
    }
    Ok(())
}

fn replay(
    arguments: &BackfillArguments,
    configuration: &Configuration,
    features: FeatureSet,
    plan: &VectorPlan,
) -> Result<Written, Failure> {
    let log = open_log(configuration, Arc::new(SystemClock))?;
    let until = arguments.until.unwrap_or(Timestamp::MAX);
    let set = training_set(&*log, Arc::new(features), online_settings(), plan, configuration.tenant, until)?;
    set.write(&arguments.out, format(arguments))?;
    Ok(Written { rows: set.row_count(), columns: set.names.len() + 2, too_late: set.too_late_count })
}

fn format(arguments: &BackfillArguments) -> TableFormat {
    arguments.format.unwrap_or_else(|| TableFormat::of_path(&arguments.out))
}

fn request(
    arguments: &BackfillArguments,
    configuration: &Configuration,
    features: &FeatureSet,
    spine: FactKind,
) -> Result<BackfillRequest, Failure> {
    Ok(BackfillRequest {
        tenant: configuration.tenant,
        definitions: configuration.feature_text()?,
        schema_hash: features.schema_hash(),
        spine,
        until: arguments.until,
        allowed_lateness_micros: online_settings().allowed_lateness_micros,
    })
}

/// Has `dhow-cluster submit` compute and write the set; it bounds its own time.
fn on_cluster(
    scheduler: &str,
    arguments: &BackfillArguments,
    lake: &str,
    request: &BackfillRequest,
) -> Result<Written, Failure> {
    let program = cluster_program()?;
    let format = match format(arguments) {
        TableFormat::Parquet => "parquet",
        TableFormat::Arrow => "arrow",
    };
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", program.display()));
    let mut child = Command::new(&program)
        .args(["submit", "--scheduler", scheduler, "--lake", lake, "--format", format])
        .arg("--out")
        .arg(&arguments.out)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let sent = match child.stdin.take() {
        Some(mut input) => input.write_all(&serde_json::to_vec(request)?),
        None => Ok(()),
    };
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(Failure::Failed(format!("`{CLUSTER_PROGRAM} submit` did not compute the backfill")));
    }
    sent.map_err(failed)?;
    serde_json::from_slice(&output.stdout).map_err(Failure::from)
}

/// The program beside this one, or else on the path.
fn cluster_program() -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe()?.with_file_name(CLUSTER_PROGRAM);
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places =
        std::iter::once(beside).chain(std::env::split_paths(&on_path).map(|folder| folder.join(CLUSTER_PROGRAM)));
    places.find(|place| place.is_file()).ok_or_else(|| {
        Failure::Input(format!(
            "a backfill on a cluster needs the program `{CLUSTER_PROGRAM}`, which is neither beside `dhow` nor on the \
             PATH; install it with `cargo install --path features/cluster`"
        ))
    })
}
