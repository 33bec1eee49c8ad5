//! `dhow-cluster`: a Ballista scheduler, executors and a client that know the operators of a backfill; it stores nothing.
//!
//! A program of its own, so that `dhow` need not carry a cluster's code. `dhow backfill --engine ballista://…` starts
//! `dhow-cluster submit`. Scheduler and executors trust whoever reaches them: they listen on loopback unless told
//! otherwise, and belong on a private network. Executors read the lake themselves, each by the name that it has there.

mod executor;
mod scheduler;
mod submit;

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use clap::{Args, Parser, Subcommand};
use datafusion_proto::physical_plan::{ComposedPhysicalExtensionCodec, PhysicalExtensionCodec};
use dhow_offline::TableFormat;

/// Computes Dhow's backfills on a cluster.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the scheduler, until it is stopped. Prints its address once it listens.
    Scheduler(SchedulerArguments),
    /// Runs an executor, until it is stopped.
    Executor(ExecutorArguments),
    /// Runs the backfill that standard input describes as JSON and writes its table.
    Submit(SubmitArguments),
}

/// Arguments of `scheduler`.
#[derive(Args)]
pub struct SchedulerArguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50050")]
    pub bind: SocketAddr,
    /// The lake that backfills are of: a folder or s3://BUCKET/PREFIX, whose keys are in the AWS_ variables.
    #[arg(long, value_name = "PLACE")]
    pub lake: String,
}

/// Arguments of `executor`.
#[derive(Args)]
pub struct ExecutorArguments {
    /// The scheduler's address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50050")]
    pub scheduler: SocketAddr,
    /// The address to listen on, by which the scheduler, other executors and clients reach this one.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// The port that shuffled rows and answers are fetched from.
    #[arg(long, value_name = "PORT", default_value_t = 50051)]
    pub data_port: u16,
    /// The port that tasks come to.
    #[arg(long, value_name = "PORT", default_value_t = 50052)]
    pub task_port: u16,
    /// The lake that backfills are of: a folder or s3://BUCKET/PREFIX, whose keys are in the AWS_ variables.
    #[arg(long, value_name = "PLACE")]
    pub lake: String,
    /// The folder for shuffled rows.
    #[arg(long, value_name = "FOLDER")]
    pub work_dir: PathBuf,
    /// Tasks at once.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub tasks: usize,
}

/// Arguments of `submit`.
#[derive(Args)]
pub struct SubmitArguments {
    /// The scheduler's address.
    #[arg(long, value_name = "HOST:PORT")]
    pub scheduler: String,
    /// The lake, by the name that it has here: a folder or s3://BUCKET/PREFIX, whose keys are in the AWS_ variables.
    #[arg(long, value_name = "PLACE")]
    pub lake: String,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// `parquet` or `arrow`; what the file's ending says where it is absent.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<TableFormat>,
    /// Partitions that entities are dealt into; one of them must fit an executor's memory.
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub partitions: u16,
    /// Give up after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 6 * 3600)]
    pub time_max_seconds: u64,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads standard error, the status still tells.
            drop(writeln!(std::io::stderr(), "dhow-cluster: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Scheduler(arguments) => scheduler::run(&arguments).await,
            Command::Executor(arguments) => executor::run(arguments).await,
            Command::Submit(arguments) => submit::run(&arguments).await,
        }
    })
}

/// What all three understand: the operators of a backfill, then Ballista's own. The order is part of what is sent.
fn codec() -> Arc<dyn PhysicalExtensionCodec> {
    let ballista = Arc::new(BallistaPhysicalExtensionCodec::default());
    Arc::new(ComposedPhysicalExtensionCodec::new(vec![dhow_offline::backfill::distributed::codec(), ballista]))
}
