//! `dhow-cluster executor`: scans, shuffles and sweeps what the scheduler gives it; it decides nothing.

use std::sync::Arc;

use anyhow::Context;
use ballista_core::RuntimeProducer;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use dhow_offline::backfill::distributed::register;
use dhow_offline::{S3Settings, lake_storage};

use crate::ExecutorArguments;

/// How often an executor tells the scheduler that it lives.
pub const HEARTBEAT_SECONDS: u64 = 2;
/// How long an executor tries to reach the scheduler when it starts.
const CONNECT_SECONDS: u16 = 20;

/// Runs the command.
///
/// # Errors
/// A folder that cannot be made, a port that is taken, or a scheduler that cannot be reached.
pub async fn run(arguments: ExecutorArguments) -> anyhow::Result<()> {
    let work_dir = &arguments.work_dir;
    std::fs::create_dir_all(work_dir).with_context(|| format!("cannot make the folder {}", work_dir.display()))?;
    let lake = lake_storage(&arguments.lake, &S3Settings::default())?;
    let (shown, spill_dir) = (work_dir.display().to_string(), work_dir.clone());
    let runtime: RuntimeProducer = Arc::new(move |_| {
        let runtime = RuntimeEnvBuilder::new().with_temp_file_path(&spill_dir).build_arc()?;
        register(&lake, &runtime).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(runtime)
    });
    let config = ExecutorProcessConfig {
        bind_host: arguments.bind.to_string(),
        external_host: Some(arguments.bind.to_string()),
        port: arguments.data_port,
        grpc_port: arguments.task_port,
        scheduler_host: arguments.scheduler.ip().to_string(),
        scheduler_port: arguments.scheduler.port(),
        scheduler_connect_timeout_seconds: CONNECT_SECONDS,
        vcores: arguments.tasks,
        work_dir: Some(shown),
        executor_heartbeat_interval_seconds: HEARTBEAT_SECONDS,
        override_runtime_producer: Some(runtime),
        override_physical_codec: Some(crate::codec()),
        ..ExecutorProcessConfig::default()
    };
    let scheduler = arguments.scheduler;
    let ended = start_executor_process(Arc::new(config)).await;
    ended.with_context(|| format!("the executor of the scheduler at {scheduler} ended"))
}
