//! `dhow-cluster scheduler`: splits plans into stages and gives their tasks to executors; it computes nothing itself.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use ballista_core::utils::default_session_builder;
use ballista_scheduler::SessionBuilder;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion::error::DataFusionError;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use dhow_offline::backfill::distributed::register;
use dhow_offline::{S3Settings, lake_storage};
use tokio::net::TcpListener;

use crate::SchedulerArguments;
use crate::executor::HEARTBEAT_SECONDS;

/// An executor that was silent for so long is taken for dead, and its tasks go to others.
const EXECUTOR_TIMEOUT_SECONDS: u64 = 4 * HEARTBEAT_SECONDS;
/// How often the scheduler looks for dead executors.
const EXECUTOR_CHECK_SECONDS: u64 = HEARTBEAT_SECONDS;
/// How long a job without any executor waits for one before it fails.
const NO_EXECUTORS_GRACE_SECONDS: u64 = 30;

/// Runs the command.
///
/// # Errors
/// An address that cannot be listened on, or a failure of the service.
pub async fn run(arguments: &SchedulerArguments) -> anyhow::Result<()> {
    let bind = arguments.bind;
    let listener = TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind}"))?;
    let address = listener.local_addr()?;
    // Nothing is read from it here, but a plan is only understood where its files can be.
    let lake = lake_storage(&arguments.lake, &S3Settings::default())?;
    let sessions: SessionBuilder = Arc::new(move |config| {
        let state = default_session_builder(config)?;
        register(&lake, state.runtime_env()).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(state)
    });
    let config = Arc::new(SchedulerConfig {
        external_host: address.ip().to_string(),
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        task_distribution: TaskDistributionPolicy::RoundRobin,
        executor_timeout_seconds: EXECUTOR_TIMEOUT_SECONDS,
        expire_dead_executor_interval_seconds: EXECUTOR_CHECK_SECONDS,
        no_executors_grace_period_seconds: NO_EXECUTORS_GRACE_SECONDS,
        override_session_builder: Some(sessions),
        override_physical_codec: Some(crate::codec()),
        ..SchedulerConfig::default()
    });
    config.validate()?;
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, config).await?;
    // Whoever started the scheduler on any port learns from this line which it is, and that it can be reached.
    writeln!(std::io::stdout(), "{address}")?;
    Ok(start_grpc_service_with_listener(listener, scheduler).await?)
}
