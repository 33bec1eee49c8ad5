//! The parity monitor: vectors that were served, computed again from the log as of the offsets that they carry.

use std::sync::Arc;

use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::{Fact, TenantId, Timestamp};
use dhow_online::{OnlineSettings, OnlineStore};
use dhow_streams::{Log, Offsets, Replay};
use serde::Serialize;

use crate::OfflineError;

/// Differences that are told one by one; the rest is counted.
pub const DIFFERENCES_SHOWN_MAX: usize = 100;
/// How many waiting events are counted for each vector.
const STALENESS_RECORDS_MAX: usize = 10_000;

/// A vector as it was served.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedVector {
    /// The decision that it was served for.
    pub decision: String,
    /// The fact that the request was about.
    pub fact: Fact,
    /// When it was read.
    pub at: Timestamp,
    /// The features by name; nothing where there was none.
    pub values: Vec<(String, Option<f64>)>,
    /// For each partition that had been applied: the offset of the next record.
    pub applied_offsets: Vec<(u32, u64)>,
}

/// A value that comes out otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParityDifference {
    /// The decision.
    pub decision: String,
    /// The feature.
    pub feature: String,
    /// What was served.
    pub served: Option<f64>,
    /// What the log gives as of the same offsets.
    pub recomputed: Option<f64>,
}

/// What the monitor found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ParityReport {
    /// Vectors that were computed again.
    pub vectors: u64,
    /// Values compared, bit for bit.
    pub values: u64,
    /// Vectors of other feature definitions, which cannot be compared.
    pub other_definitions: u64,
    /// Vectors whose offsets lie before those of an earlier one: of another worker, or of another log.
    pub other_order: u64,
    /// Values that differ.
    pub difference_count: u64,
    /// The first of them.
    pub differences: Vec<ParityDifference>,
    /// Vectors that were served while events known by then waited to be applied. That is staleness, not a difference.
    pub stale_vectors: u64,
    /// The most events that waited.
    pub waiting_events_max: u64,
}

/// Computes the vectors of `plan` again, each as of its own offsets, in one pass over the log.
///
/// # Errors
/// The log cannot be read, or ends before an offset.
pub fn check_parity(
    log: &dyn Log,
    features: Arc<FeatureSet>,
    settings: OnlineSettings,
    plan: &VectorPlan,
    tenant: TenantId,
    mut served: Vec<ServedVector>,
) -> Result<ParityReport, OfflineError> {
    let mut report = ParityReport::default();
    let online = OnlineStore::new(features, settings);
    let mut applied = Offsets::start(log.partition_count());
    served.sort_by_key(|vector| vector.applied_offsets.iter().map(|(_, next)| next).sum::<u64>());
    for vector in &served {
        if !vector.values.iter().map(|(name, _)| name).eq(plan.names()) {
            report.other_definitions += 1;
            continue;
        }
        let wanted = offsets_of(vector, log.partition_count());
        if wanted.0.iter().zip(&applied.0).any(|(wanted, applied)| wanted < applied) {
            report.other_order += 1;
            continue;
        }
        for record in Replay::new(log, &applied, &wanted)? {
            let record = record?;
            online.apply(&record.event, record.known_time, (record.partition, record.offset));
        }
        applied = wanted;
        let again = online
            .vector(plan, tenant, &vector.fact, vector.at)
            .map_err(|error| OfflineError::Table { table: vector.decision.clone(), reason: error.to_string() })?;
        report.compare(vector, &again.values);
        report.note_staleness(waiting(log, &applied, vector.at)?);
    }
    Ok(report)
}

fn offsets_of(vector: &ServedVector, partition_count: u32) -> Offsets {
    let mut offsets = Offsets::start(partition_count);
    for &(partition, next) in &vector.applied_offsets {
        if let Some(offset) = offsets.0.get_mut(partition as usize) {
            *offset = next;
        }
    }
    offsets
}

/// Events that were known at `at` and not applied.
fn waiting(log: &dyn Log, applied: &Offsets, at: Timestamp) -> Result<u64, OfflineError> {
    let mut count = 0;
    for record in Replay::new(log, applied, &Offsets::ends(log)?)?.take(STALENESS_RECORDS_MAX) {
        if record?.known_time > at {
            break;
        }
        count += 1;
    }
    Ok(count)
}

impl ParityReport {
    fn compare(&mut self, vector: &ServedVector, again: &[f64]) {
        self.vectors += 1;
        for ((feature, served), again) in vector.values.iter().zip(again) {
            self.values += 1;
            let recomputed = Some(*again).filter(|value| value.is_finite());
            if served.map(f64::to_bits) == recomputed.map(f64::to_bits) {
                continue;
            }
            self.difference_count += 1;
            if self.differences.len() < DIFFERENCES_SHOWN_MAX {
                let (decision, feature) = (vector.decision.clone(), feature.clone());
                self.differences.push(ParityDifference { decision, feature, served: *served, recomputed });
            }
        }
    }

    fn note_staleness(&mut self, waiting: u64) {
        self.stale_vectors += u64::from(waiting > 0);
        self.waiting_events_max = self.waiting_events_max.max(waiting);
    }
}
