//! `dhow-cluster submit`: plans a backfill, has the cluster compute it and writes the table; it keeps no state.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use ballista_core::config::BallistaConfig;
use ballista_core::execution_plans::execute_physical_plan;
use ballista_core::extension::SessionConfigExt;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::protobuf::PhysicalPlanNode;
use dhow_offline::backfill::distributed::Backfill;
use dhow_offline::backfill::{BackfillRequest, BackfilledSet};
use dhow_offline::{S3Settings, TableFormat, lake_storage};
use serde::Serialize;
use tokio::net::TcpStream;

use crate::SubmitArguments;

/// How long the scheduler may take to answer at all.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// The longest description of a backfill that is read.
const REQUEST_BYTES_MAX: u64 = 4 << 20;

/// What was written, for whoever started the command.
#[derive(Serialize)]
struct Summary {
    rows: usize,
    columns: usize,
    too_late: u64,
}

/// Runs the command.
///
/// # Errors
/// A description that cannot be read, a scheduler that cannot be reached, a failed or overlong job, or a table that
/// cannot be written.
pub async fn run(arguments: &SubmitArguments) -> anyhow::Result<()> {
    let request = read_request()?;
    reach(&arguments.scheduler).await?;
    let time_max = Duration::from_secs(arguments.time_max_seconds);
    let computed = tokio::time::timeout(time_max, compute(arguments, request)).await;
    let Ok(computed) = computed else {
        bail!(
            "the cluster at {} took longer than {} s; it may need more executors, or has none",
            arguments.scheduler,
            arguments.time_max_seconds
        );
    };
    let set = computed?;
    let format = arguments.format.unwrap_or_else(|| TableFormat::of_path(&arguments.out));
    set.write(&arguments.out, format)?;
    let summary = Summary { rows: set.row_count(), columns: set.names.len() + 2, too_late: set.too_late_count };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&summary)?)?;
    Ok(())
}

fn read_request() -> anyhow::Result<BackfillRequest> {
    let mut text = String::new();
    let read = std::io::stdin().take(REQUEST_BYTES_MAX + 1).read_to_string(&mut text);
    if read.context("cannot read the backfill's description from standard input")? as u64 > REQUEST_BYTES_MAX {
        bail!("the backfill's description is longer than {REQUEST_BYTES_MAX} bytes");
    }
    serde_json::from_str(&text).context("standard input describes no backfill")
}

/// Fails soon and in plain words where there is no scheduler.
async fn reach(scheduler: &str) -> anyhow::Result<()> {
    let hint = || {
        format!(
            "there is no scheduler at {scheduler}; start one with `dhow-cluster scheduler --bind ADDRESS --lake PLACE` and executors with `dhow-cluster executor`"
        )
    };
    tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect(scheduler))
        .await
        .with_context(hint)?
        .with_context(hint)?;
    Ok(())
}

async fn compute(arguments: &SubmitArguments, request: BackfillRequest) -> anyhow::Result<BackfilledSet> {
    let storage = lake_storage(&arguments.lake, &S3Settings::default())?;
    let partitions = usize::from(arguments.partitions);
    let config = SessionConfig::new_with_ballista().with_target_partitions(partitions);
    let session = SessionContext::new_with_config(config.clone());
    let backfill = Backfill::prepare(storage, request, &session, partitions).await?;
    let Some(plan) = backfill.plan() else { return Ok(backfill.finish_empty()?) };
    let (url, ballista, codec) = (format!("http://{}", arguments.scheduler), BallistaConfig::default(), crate::codec());
    let session_id = session.session_id();
    let answers =
        execute_physical_plan::<PhysicalPlanNode>(url, &ballista, plan, codec.as_ref(), session_id, config).await;
    let of_cluster = || format!("the cluster at {}", arguments.scheduler);
    backfill.finish(answers.with_context(of_cluster)?).await.with_context(of_cluster)
}
