//! The store that a stream worker writes and requests read: one state behind one lock; it starts no thread.

use std::path::Path;
use std::sync::Arc;

use dhow_definitions::{EntityKey, FeatureSet, VectorPlan};
use dhow_events::{DAY_MICROS, Event, Fact, TenantId, Timestamp};
use dhow_streams::Offsets;
use parking_lot::{Mutex, RwLock};

use crate::snapshot::{self, Saver, SnapshotError};
use crate::state::{SHARDS, State};

/// What a store keeps beyond its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineSettings {
    /// How far behind the watermark an instant can lie and still be read exactly, and so how late an event can be and
    /// still correct every window.
    pub allowed_lateness_micros: i64,
    /// For how long of known time ids are remembered at least. Beyond it a duplicate is still recognised by its event
    /// time and id in any window that keeps it.
    pub duplicate_horizon_micros: i64,
}

impl Default for OnlineSettings {
    /// One day each.
    fn default() -> Self {
        Self { allowed_lateness_micros: DAY_MICROS, duplicate_horizon_micros: DAY_MICROS }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It counts in at least one view.
    Counted,
    /// It, or its record, was applied before.
    Duplicate,
    /// Every window that it belongs to has expired.
    TooLate,
    /// No view is made of it.
    Irrelevant,
}

/// A read that cannot be answered exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// State that the instant needs was freed.
    #[error("features at {at} are gone: state is kept for reads from {reads_from} on")]
    Expired {
        /// The instant asked for.
        at: Timestamp,
        /// The earliest that can be read.
        reads_from: Timestamp,
    },
    /// The set has no such view.
    #[error("there is no view number {view}; the set has {count}")]
    NoView {
        /// The number asked for.
        view: usize,
        /// How many there are.
        count: usize,
    },
    /// The view is not of facts, so the log never fills it.
    #[error("view `{view}` is of a table, not of events: its features are computed from files and cannot be read here")]
    OfTable {
        /// The view's name.
        view: String,
    },
    /// The plan was made for another set of features.
    #[error("the vector's plan does not belong to this store's set of features")]
    ForeignPlan,
}

/// The numbers of one request and the state that they were read from.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureVector {
    /// One for each of the plan's names; NaN where there is no value.
    pub values: Vec<f64>,
    /// For each partition applied so far: the offset of the next record. Computing from the log as of these offsets
    /// gives the same values.
    pub as_of: Vec<(u32, u64)>,
    /// The latest event time of all that was applied.
    pub freshest_event_time: Option<Timestamp>,
}

/// What is known of values that were read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// For each ask when the latest of the entity's events that are kept happened; nothing where none is kept.
    pub latest_event_times: Vec<Option<Timestamp>>,
    /// For each partition applied so far: the offset of the next record.
    pub as_of: Vec<(u32, u64)>,
}

/// What a store holds and has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnlineStats {
    /// Entities with state, over all views.
    pub keys: usize,
    /// Events kept, over all entities.
    pub entries: usize,
    /// Events that counted.
    pub counted: u64,
    /// Events that came too late for every window.
    pub late: u64,
    /// Events dropped because they, or their records, were applied before.
    pub duplicates: u64,
    /// Bytes taken, about.
    pub bytes: usize,
}

/// Windowed state of every entity of a feature set.
///
/// One lock guards all of it, held for one event by a writer and for one vector by readers, so that a vector is a
/// consistent cut of the log; readers run beside each other. It is meant for one writer; more are safe, not faster.
#[derive(Debug)]
pub struct OnlineStore {
    settings: OnlineSettings,
    state: RwLock<State>,
    saver: Mutex<Saver>,
}

impl OnlineStore {
    /// An empty store. Views of tables stay empty and refuse to be read; see [`FeatureSet::require_facts`].
    pub fn new(features: Arc<FeatureSet>, settings: OnlineSettings) -> Self {
        Self { settings, state: RwLock::new(State::new(features)), saver: Mutex::default() }
    }

    /// The features that are kept.
    pub fn features(&self) -> Arc<FeatureSet> {
        self.state.read().features.clone()
    }

    /// Takes in the record at `position` (partition, offset). Records of a partition must come in the order of their
    /// offsets; one that was applied before changes nothing.
    pub fn apply(&self, event: &Event, known_time: Timestamp, position: (u32, u64)) -> Applied {
        self.state.write().apply(&self.settings, event, known_time, position)
    }

    /// Appends the features of view number `view` for entity `id` (see [`dhow_definitions::entity_id`]) at `at` to `out`.
    ///
    /// # Errors
    /// No such view, a view of a table, or `at` lies before what is kept; `out` is then unchanged.
    pub fn read(
        &self,
        tenant: TenantId,
        view: usize,
        id: u128,
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<(), ReadError> {
        self.read_many(tenant, &[(view, id)], at, out).map(drop)
    }

    /// Appends the features of each view and entity of `asks`, one after another, to `out`: all of them one consistent
    /// cut of the log.
    ///
    /// # Errors
    /// No such view, a view of a table, or `at` lies before what is kept; `out` is then unchanged.
    pub fn read_many(
        &self,
        tenant: TenantId,
        asks: &[(usize, u128)],
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<Readings, ReadError> {
        let state = self.state.read();
        check_instant(&state, at)?;
        for &(view, _) in asks {
            check_view(&state, view)?;
        }
        let mut latest_event_times = Vec::with_capacity(asks.len());
        for &(view, id) in asks {
            let first = out.len();
            out.resize(first + state.layouts[view].feature_count, f64::NAN);
            let key = EntityKey { tenant, view: view as u16, id };
            latest_event_times.push(state.read(key, at, &mut out[first..]));
        }
        Ok(Readings { latest_event_times, as_of: state.as_of() })
    }

    /// The vector of a request about `fact` at `at`, which is one consistent cut of the log.
    ///
    /// # Errors
    /// The plan is of another set, or `at` lies before what is kept.
    pub fn vector(
        &self,
        plan: &VectorPlan,
        tenant: TenantId,
        fact: &Fact,
        at: Timestamp,
    ) -> Result<FeatureVector, ReadError> {
        let width = plan.views().iter().map(|planned| planned.width).sum();
        let mut values = Vec::with_capacity(plan.names().len());
        values.resize(width, f64::NAN);
        let (as_of, freshest_event_time) = {
            let state = self.state.read();
            check_instant(&state, at)?;
            for (planned, id) in plan.views().iter().zip(plan.keys(fact)) {
                let layout = state.layouts.get(planned.view).ok_or(ReadError::ForeignPlan)?;
                if layout.feature_count != planned.width {
                    return Err(ReadError::ForeignPlan);
                }
                if let Some(id) = id {
                    let places = planned.offset..planned.offset + planned.width;
                    state.read(EntityKey { tenant, view: planned.view as u16, id }, at, &mut values[places]);
                }
            }
            (state.as_of(), state.progress.freshest_event_time)
        };
        plan.complete(fact, &mut values);
        Ok(FeatureVector { values, as_of, freshest_event_time })
    }

    /// Frees what reads from `watermark` less the allowed lateness on cannot reach; earlier reads are refused from here
    /// on, and earlier events are too late. The lock is released again and again on the way.
    pub fn expire(&self, watermark: Timestamp) {
        let horizon_micros = self.settings.duplicate_horizon_micros;
        let reads_from = {
            let mut state = self.state.write();
            let reads_from = watermark - self.settings.allowed_lateness_micros;
            let reads_from = state.progress.reads_from.map_or(reads_from, |earlier| earlier.max(reads_from));
            state.progress.reads_from = Some(reads_from);
            state.progress.recent.expire(reads_from, horizon_micros);
            reads_from
        };
        for shard in 0..SHARDS {
            self.state.write().expire_shard(shard, reads_from);
        }
    }

    /// The latest event time of all that was applied: a watermark for [`OnlineStore::expire`] where the log is read in order.
    pub fn freshest_event_time(&self) -> Option<Timestamp> {
        self.state.read().progress.freshest_event_time
    }

    /// For each of `partition_count` partitions, the offset of the next record to apply.
    pub fn offsets(&self, partition_count: u32) -> Offsets {
        let state = self.state.read();
        Offsets(
            (0..partition_count)
                .map(|partition| state.progress.offsets.get(&partition).copied().unwrap_or(0))
                .collect(),
        )
    }

    /// What the store holds and has counted. Looks at every key: meant for a metrics page, not for every event.
    pub fn stats(&self) -> OnlineStats {
        self.state.read().stats()
    }

    /// Saves the state to the folder at `path`, which holds the old state or the new one whenever the process ends. Only
    /// what changed since this store was last saved there is written. Save where events are applied: a writer that waits
    /// for it keeps new readers waiting too.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), SnapshotError> {
        let mut saver = self.saver.lock();
        saver.save(&self.state.read(), path)
    }

    /// Loads what [`OnlineStore::save`] wrote, with as many threads as there are cores; nothing where there is no folder.
    ///
    /// # Errors
    /// A file is missing, cannot be read, is damaged, or holds the state of other features.
    pub fn load(
        features: Arc<FeatureSet>,
        settings: OnlineSettings,
        path: &Path,
    ) -> Result<Option<Self>, SnapshotError> {
        let loaded = snapshot::load(features, path)?;
        Ok(loaded.map(|(state, saver)| Self { settings, state: RwLock::new(state), saver: Mutex::new(saver) }))
    }
}

fn check_view(state: &State, view: usize) -> Result<(), ReadError> {
    let count = state.layouts.len();
    let definition = state.features.views().get(view).ok_or(ReadError::NoView { view, count })?;
    match definition.source().fact() {
        Some(_) => Ok(()),
        None => Err(ReadError::OfTable { view: definition.name().to_owned() }),
    }
}

fn check_instant(state: &State, at: Timestamp) -> Result<(), ReadError> {
    match state.progress.reads_from {
        Some(reads_from) if at < reads_from => Err(ReadError::Expired { at, reads_from }),
        _ => Ok(()),
    }
}
