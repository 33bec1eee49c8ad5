//! What runs and how it goes: counters, offsets and freshness, for the console and for metrics.

use std::sync::atomic::Ordering;

use dhow_events::{TenantId, Timestamp};
use dhow_streams::Offsets;
use serde::Serialize;

use crate::error::failed;
use crate::freshness::Quantiles;
use crate::{AnswerFigures, Engine, EngineError, FeatureHealth, ModelCalibration};

/// The platform's state at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The moment, by the platform's clock.
    pub now: Timestamp,
    /// Events in the log.
    pub log_events: u64,
    /// Events applied since this process started.
    pub applied_events: u64,
    /// Events acknowledged and not applied yet.
    pub lag_events: u64,
    /// From acknowledgement to visible in a feature read, in microseconds.
    pub freshness_us: Quantiles,
    /// Entities with features in memory.
    pub feature_keys: u64,
    /// Events that came too late for the features.
    pub late_events: u64,
    /// Events dropped because their id had come before.
    pub duplicate_events: u64,
    /// Products known.
    pub products: usize,
    /// The tenant's champions by task.
    pub models: Vec<(&'static str, String)>,
    /// What the monitor found of the served features.
    pub feature_health: FeatureHealth,
    /// How well fraud models' probabilities are borne out, as of the last judgement.
    pub calibration: Vec<ModelCalibration>,
    /// The answers that the tenant was given since the start.
    pub answers: AnswerFigures,
    /// Decisions of all tenants that wait to be written.
    pub decisions_waiting: usize,
    /// Why the stream worker ended, if it did.
    pub worker_failure: Option<String>,
    /// The key that signing secrets of webhooks are sealed with in the database; nothing where they stand in clear.
    pub secrets_sealed_by: Option<String>,
}

impl Engine {
    /// Events in the log, and how many of them are not applied yet.
    ///
    /// # Errors
    /// The log cannot be asked.
    pub fn lag(&self) -> Result<(u64, u64), EngineError> {
        let log_events = Offsets::ends(self.log()).map_err(failed("log"))?.record_count();
        let applied: u64 = self.shared().applied.read().iter().sum();
        Ok((log_events, log_events.saturating_sub(applied)))
    }

    /// What runs and how it goes, for one tenant. Counts every key: meant for a page, not for a hot path.
    ///
    /// # Errors
    /// The log cannot be asked.
    pub fn status(&self, tenant: TenantId) -> Result<Status, EngineError> {
        let (log_events, lag_events) = self.lag()?;
        let shared = self.shared();
        let stats = shared.online.as_ref().map(|online| online.stats()).unwrap_or_default();
        Ok(Status {
            now: self.clock().now(),
            log_events,
            applied_events: shared.applied_count.load(Ordering::Relaxed),
            lag_events,
            freshness_us: shared.freshness.quantiles(),
            feature_keys: stats.keys as u64,
            late_events: stats.late,
            duplicate_events: stats.duplicates,
            products: shared.catalogue.len(),
            models: shared.champions.labels(tenant),
            feature_health: self.monitor().health(tenant),
            calibration: self.monitor().calibration(tenant),
            answers: shared.answered.of(tenant),
            decisions_waiting: self.decisions_waiting(),
            worker_failure: self.worker_failure(),
            secrets_sealed_by: self.store().secrets_sealed_by().map(str::to_owned),
        })
    }
}
