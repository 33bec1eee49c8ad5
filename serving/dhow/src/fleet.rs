//! `dhow stream --group`: one worker of a fleet, which shares the partitions of Kafka topics and keeps features in Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhow_events::{Clock, SystemClock};
use dhow_fleet::{FleetSettings, WorkerReport, run_worker};
use dhow_redis::RedisStates;
use serde::Serialize;

use crate::arguments::StreamArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, thousands};
use crate::platform::{online_settings, redis};
use crate::signals::asked_to_stop;

/// How often the lag is asked for where the worker stops once there is none.
const LAG_PAUSE: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Summary {
    routed_events: u64,
    routed_messages: u64,
    counted_records: u64,
    duplicate_records: u64,
    late_records: u64,
    state_writes: u64,
    refused_writes: u64,
    seconds: f64,
}

/// Runs a worker of fleet `group` until it is interrupted or, where asked, the fleet has caught up.
///
/// # Errors
/// No Kafka or Redis configured or reachable, or a stage that failed.
pub async fn run(group: &str, arguments: &StreamArguments, configuration: &Configuration) -> Result<(), Failure> {
    let wanted = || {
        Failure::Input(
            "a fleet needs log.kafka_brokers, log.kafka_topic and features.redis_url in dhow.toml or the environment"
                .to_owned(),
        )
    };
    let (kafka, redis) = configuration.kafka.as_ref().zip(redis(configuration)?).ok_or_else(wanted)?;
    let (topic_partitions, entity_partitions) = (configuration.log_partitions, kafka.entity_partitions);
    let settings = FleetSettings::new(&kafka.brokers, &kafka.topic, topic_partitions, entity_partitions, group);
    let features = Arc::new(configuration.feature_set()?);
    let begin = SystemClock.now();

    let stop = Arc::new(AtomicBool::new(false));
    let worker = {
        let (settings, features, stop, replicas) =
            (settings.clone(), features.clone(), stop.clone(), kafka.entity_replicas);
        move || -> Result<WorkerReport, Failure> {
            let states = RedisStates::connect(&redis, features.clone(), online_settings())?;
            if settings.create_rekeyed_topic(&features, replicas)? {
                tracing::info!(topic = settings.rekeyed_topic(&features), "created the topic of events by entity");
            }
            Ok(run_worker(settings, features, states, Arc::new(SystemClock), &|| stop.load(Ordering::Acquire))?)
        }
    };
    let mut worker = tokio::task::spawn_blocking(worker);
    let caught_up = async {
        match arguments.until_caught_up {
            false => std::future::pending().await,
            true => wait_until_caught_up(&settings, &features).await,
        }
    };
    let report = tokio::select! {
        ended = &mut worker => ended??,
        told = async { tokio::select! { _signal = asked_to_stop() => Ok(()), done = caught_up => done } } => {
            stop.store(true, Ordering::Release);
            let ended = worker.await?;
            told?;
            ended?
        }
    };
    show(&report, SystemClock.now().micros_since(begin) as f64 / 1e6, arguments.json)
}

async fn wait_until_caught_up(
    settings: &FleetSettings,
    features: &Arc<dhow_definitions::FeatureSet>,
) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(LAG_PAUSE).await;
        let (settings, features) = (settings.clone(), features.clone());
        if tokio::task::spawn_blocking(move || settings.progress(&features)).await??.lag() == 0 {
            return Ok(());
        }
    }
}

fn show(report: &WorkerReport, seconds: f64, as_json: bool) -> Result<(), Failure> {
    let (route, features) = (report.route, report.features);
    if as_json {
        return json(&Summary {
            routed_events: route.records,
            routed_messages: route.messages,
            counted_records: features.counted,
            duplicate_records: features.duplicates,
            late_records: features.late,
            state_writes: features.writes,
            refused_writes: features.refused,
            seconds,
        });
    }
    eprintln!(
        "{} events routed as {} messages; {} counted, {} duplicates, {} too late; {} writes of state, {} refused; {seconds:.1} s",
        thousands(route.records),
        thousands(route.messages),
        thousands(features.counted),
        thousands(features.duplicates),
        thousands(features.late),
        thousands(features.writes),
        thousands(features.refused),
    );
    Ok(())
}
