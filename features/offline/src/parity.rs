//! The parity monitor: vectors that were served, computed again from the log as of the offsets that they carry.

use std::collections::BTreeSet;
use std::sync::Arc;

use dhow_definitions::{FeatureSet, PlannedView, VectorPlan};
use dhow_events::{Event, Fact, TenantId, Timestamp};
use dhow_online::{OnlineSettings, OnlineStore, Share};
use dhow_streams::{Log, Offsets, Replay};
use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::OfflineError;

/// Differences that are told one by one; the rest is counted.
pub const DIFFERENCES_SHOWN_MAX: usize = 100;
/// How many records after a vector's cut are looked at for events that waited.
const STALENESS_RECORDS_MAX: usize = 10_000;

/// How far the log was applied to a share of the state when a vector was read from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedCut {
    /// The entities that it speaks of.
    pub share: Share,
    /// For each partition that had been applied: the offset of the next record.
    pub offsets: Vec<(u32, u64)>,
}

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
    /// One for each share that was read: one for all where the state is whole.
    pub cuts: Vec<ServedCut>,
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
    /// Vectors that were served while events of their entities, known by then, waited to be applied. That is staleness,
    /// not a difference.
    pub stale_vectors: u64,
    /// The most events that waited.
    pub waiting_events_max: u64,
}

/// Computes the vectors of `plan` again, each as of its own offsets, in one pass over the log for each share of the state.
///
/// # Errors
/// The log cannot be read, or ends before an offset.
pub fn check_parity(
    log: &dyn Log,
    features: Arc<FeatureSet>,
    settings: OnlineSettings,
    plan: &VectorPlan,
    tenant: TenantId,
    served: &[ServedVector],
) -> Result<ParityReport, OfflineError> {
    let is_of_plan = |vector: &&ServedVector| vector.values.iter().map(|(name, _)| name).eq(plan.names());
    let mut vectors: Vec<Recomputed<'_>> =
        served.iter().filter(is_of_plan).map(|one| Recomputed::new(one, plan)).collect();
    let mut report =
        ParityReport { other_definitions: (served.len() - vectors.len()) as u64, ..ParityReport::default() };
    let shares: BTreeSet<Share> = served.iter().flat_map(|vector| vector.cuts.iter().map(|cut| cut.share)).collect();
    for share in shares {
        let online = OnlineStore::with_share(features.clone(), settings, share);
        ShareReplay { log, features: &features, plan, tenant, online }.recompute(&mut vectors)?;
    }
    for vector in vectors {
        report.note(vector, plan);
    }
    Ok(report)
}

/// A vector on its way.
struct Recomputed<'a> {
    served: &'a ServedVector,
    /// The features of the planned views.
    values: Vec<f64>,
    /// One of its cuts lies before that of an earlier vector.
    other_order: bool,
    /// Events of its entities that were known when it was read and not applied.
    waiting: u64,
}

impl<'a> Recomputed<'a> {
    fn new(served: &'a ServedVector, plan: &VectorPlan) -> Self {
        let width = plan.views().iter().map(|planned| planned.width).sum();
        Self { served, values: vec![f64::NAN; width], other_order: false, waiting: 0 }
    }

    fn cut(&self, share: Share) -> Option<&'a ServedCut> {
        self.served.cuts.iter().find(|cut| cut.share == share)
    }
}

type Keys = FxHashSet<(usize, u128)>;

/// One pass over the log, with the state of one share.
struct ShareReplay<'a> {
    log: &'a dyn Log,
    features: &'a FeatureSet,
    plan: &'a VectorPlan,
    tenant: TenantId,
    online: OnlineStore,
}

impl ShareReplay<'_> {
    /// Reads what this share has of every vector, the earliest cut first.
    fn recompute(&self, vectors: &mut [Recomputed<'_>]) -> Result<(), OfflineError> {
        let share = self.online.share();
        let mut here: Vec<(&mut Recomputed<'_>, Offsets)> = Vec::new();
        for vector in vectors {
            if let Some(cut) = vector.cut(share) {
                let offsets = offsets_of(cut, self.log.partition_count());
                here.push((vector, offsets));
            }
        }
        here.sort_by_key(|(_, offsets)| offsets.record_count());
        // Only these entities' state is built.
        let wanted: Keys = here.iter().flat_map(|(vector, _)| self.keys(vector)).collect();
        let mut applied = Offsets::start(self.log.partition_count());
        for (vector, reach) in here {
            if reach.0.iter().zip(&applied.0).any(|(reach, applied)| reach < applied) {
                vector.other_order = true;
                continue;
            }
            for record in Replay::new(self.log, &applied, &reach)? {
                let record = record?;
                if self.concerns(&wanted, &record.event) {
                    self.online.apply(&record.event, record.known_time, (record.partition, record.offset));
                }
            }
            applied = reach;
            self.read(vector)?;
            vector.waiting = vector.waiting.max(self.waiting(vector, &applied)?);
        }
        Ok(())
    }

    /// The entities of this share that the vector was read of.
    fn keys(&self, vector: &Recomputed<'_>) -> Keys {
        let named = self.plan.views().iter().zip(self.plan.keys(&vector.served.fact));
        let of_share = |id: &u128| self.online.share().holds(self.tenant, *id);
        named.filter_map(|(planned, id)| Some((planned.view, id.filter(of_share)?))).collect()
    }

    fn concerns(&self, wanted: &Keys, event: &Event) -> bool {
        let counts = |planned: &PlannedView| {
            let view = &self.features.views()[planned.view];
            view.source().fact() == Some(event.fact.kind())
                && view.entity_of(&event.fact).is_some_and(|id| wanted.contains(&(planned.view, id)))
        };
        event.tenant == self.tenant && self.plan.views().iter().any(counts)
    }

    fn read(&self, vector: &mut Recomputed<'_>) -> Result<(), OfflineError> {
        let keys = self.keys(vector);
        let mut values = Vec::new();
        for planned in self.plan.views() {
            for &(view, id) in keys.iter().filter(|(view, _)| *view == planned.view) {
                values.clear();
                let read = self.online.read(self.tenant, view, id, vector.served.at, &mut values);
                let table = || vector.served.decision.clone();
                read.map_err(|error| OfflineError::Table { table: table(), reason: error.to_string() })?;
                vector.values[planned.offset..planned.offset + planned.width].copy_from_slice(&values);
            }
        }
        Ok(())
    }

    /// Events of the vector's entities that were known when it was read and not applied.
    fn waiting(&self, vector: &Recomputed<'_>, applied: &Offsets) -> Result<u64, OfflineError> {
        let keys = self.keys(vector);
        let mut count = 0;
        for record in Replay::new(self.log, applied, &Offsets::ends(self.log)?)?.take(STALENESS_RECORDS_MAX) {
            let record = record?;
            if record.known_time > vector.served.at {
                break;
            }
            count += u64::from(self.concerns(&keys, &record.event));
        }
        Ok(count)
    }
}

fn offsets_of(cut: &ServedCut, partition_count: u32) -> Offsets {
    let mut offsets = Offsets::start(partition_count);
    for &(partition, next) in &cut.offsets {
        if let Some(offset) = offsets.0.get_mut(partition as usize) {
            *offset = next;
        }
    }
    offsets
}

impl ParityReport {
    /// Adds what another look found; the differences first found stay.
    pub fn add(&mut self, other: Self) {
        self.vectors += other.vectors;
        self.values += other.values;
        self.other_definitions += other.other_definitions;
        self.other_order += other.other_order;
        self.difference_count += other.difference_count;
        let room = DIFFERENCES_SHOWN_MAX - self.differences.len();
        self.differences.extend(other.differences.into_iter().take(room));
        self.stale_vectors += other.stale_vectors;
        self.waiting_events_max = self.waiting_events_max.max(other.waiting_events_max);
    }

    /// Adds what was found of further columns of the same vectors.
    pub fn add_columns(&mut self, other: Self) {
        self.add(Self { vectors: 0, other_definitions: 0, other_order: 0, ..other });
    }

    /// Takes in one vector that was computed again.
    fn note(&mut self, mut vector: Recomputed<'_>, plan: &VectorPlan) {
        if vector.other_order {
            self.other_order += 1;
            return;
        }
        plan.complete(&vector.served.fact, &mut vector.values);
        self.compare(vector.served, &vector.values);
        self.stale_vectors += u64::from(vector.waiting > 0);
        self.waiting_events_max = self.waiting_events_max.max(vector.waiting);
    }

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
}
