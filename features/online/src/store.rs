//! The store that a stream worker writes and requests read: one state behind one lock; it starts no thread.

use std::path::Path;
use std::sync::Arc;

use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::{DAY_MICROS, Event, Fact, TenantId, Timestamp};
use dhow_streams::Offsets;
use parking_lot::{Mutex, RwLock, RwLockUpgradableReadGuard};

use crate::Share;
use crate::parts::{self, Changes, Parts, PartsError};
use crate::reads::{FeatureReads, FeatureVector, ReadError, Readings, check_view};
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

    /// An empty store of the entities of one share, which is saved in parts; see [`OnlineStore::save_parts`].
    pub fn with_share(features: Arc<FeatureSet>, settings: OnlineSettings, share: Share) -> Self {
        Self { settings, state: RwLock::new(State::of_share(features, share)), saver: Mutex::default() }
    }

    /// The store that was saved as these parts.
    pub fn from_parts(settings: OnlineSettings, parts: Parts) -> Self {
        Self { settings, state: RwLock::new(parts.finish()), saver: Mutex::default() }
    }

    /// The entities that are kept.
    pub fn share(&self) -> Share {
        self.state.read().share
    }

    /// Takes in the record at `position` (partition, offset). Records of a partition must come in the order of their
    /// offsets; one that was applied before changes nothing.
    pub fn apply(&self, event: &Event, known_time: Timestamp, position: (u32, u64)) -> Applied {
        self.state.write().apply(&self.settings, event, known_time, position)
    }

    /// The features that are kept.
    pub fn features(&self) -> Arc<FeatureSet> {
        self.state.read().features.clone()
    }

    /// Appends the features of one entity to `out`; see [`FeatureReads::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(
        &self,
        tenant: TenantId,
        view: usize,
        id: u128,
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<(), ReadError> {
        FeatureReads::read(self, tenant, view, id, at, out)
    }

    /// The vector of a request; see [`FeatureReads::vector`].
    ///
    /// # Errors
    /// As there.
    pub fn vector(
        &self,
        plan: &VectorPlan,
        tenant: TenantId,
        fact: &Fact,
        at: Timestamp,
    ) -> Result<FeatureVector, ReadError> {
        FeatureReads::vector(self, plan, tenant, fact, at)
    }

    /// Appends the features of each view and entity of `asks` to `out`; see [`FeatureReads::read_many`].
    ///
    /// # Errors
    /// As there.
    pub fn read_many(
        &self,
        tenant: TenantId,
        asks: &[(usize, u128)],
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<Readings, ReadError> {
        let state = self.state.read();
        let cut = state.cut();
        cut.check(at)?;
        for &(view, id) in asks {
            check_view(&state.features, view)?;
            if !state.share.holds(tenant, id) {
                return Err(ReadError::OtherShare { share: state.share });
            }
        }
        let latest_event_times = state.read_many(tenant, asks, at, out);
        Ok(Readings { latest_event_times, as_of: vec![cut] })
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

    /// Holds from here on what `other` holds, and forgets what it held. Readers see the one or the other.
    pub fn take_over(&self, other: Self) {
        let mut saver = self.saver.lock();
        let mut state = self.state.write();
        *state = other.state.into_inner();
        *saver = Saver::default();
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

    /// How many series changed since the last save in parts: about what the next one writes.
    pub fn unsaved_series(&self) -> usize {
        self.state.read().unsaved.as_ref().map_or(0, |unsaved| unsaved.changed.len())
    }

    /// Saves what changed since the last save in parts by calling `save` with it, which says whether all of it was saved;
    /// otherwise nothing must have been, and the next save takes it up again. Only a store of a share keeps track of
    /// changes. Nothing is applied meanwhile; reads go on.
    ///
    /// # Errors
    /// The store is not of a share, or what `save` returns.
    pub fn save_parts<E: From<PartsError>>(&self, save: impl FnOnce(&Changes) -> Result<bool, E>) -> Result<bool, E> {
        let state = self.state.upgradable_read();
        let keys = parts::unsaved_keys(&state)?;
        let saved = save(&parts::changes(&state, &keys)?)?;
        if saved {
            parts::note_saved(&mut RwLockUpgradableReadGuard::upgrade(state), &keys);
        }
        Ok(saved)
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

impl FeatureReads for OnlineStore {
    fn features(&self) -> Arc<FeatureSet> {
        self.features()
    }

    fn read_many(
        &self,
        tenant: TenantId,
        asks: &[(usize, u128)],
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<Readings, ReadError> {
        self.read_many(tenant, asks, at, out)
    }

    fn freshest_event_time(&self) -> Result<Option<Timestamp>, ReadError> {
        Ok(self.freshest_event_time())
    }
}
