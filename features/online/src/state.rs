//! All series of a store, how far the log was applied to them, and what was counted; locks and files are elsewhere.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use dhow_definitions::FeatureSet;
use dhow_events::{Event, TenantId, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::recent::RecentIds;
use crate::series::{Series, cut, read_nothing};
use crate::store::{Applied, OnlineSettings, OnlineStats};
use crate::{Cut, Share};

/// Slices of the state that are expired one after another, so that nobody waits for all of it.
pub(crate) const SHARDS: usize = 64;

/// The key of a series: a [`dhow_definitions::EntityKey`] whose tenant is a number, to keep the table small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SeriesKey {
    id: (u64, u64),
    tenant: u32,
    view: u16,
}

impl SeriesKey {
    pub(crate) fn new(id: u128, tenant: u32, view: u16) -> Self {
        Self { id: halves(id), tenant, view }
    }

    pub(crate) fn id(&self) -> u128 {
        u128::from(self.id.0) << 64 | u128::from(self.id.1)
    }

    pub(crate) fn tenant(&self) -> u32 {
        self.tenant
    }

    pub(crate) fn view(&self) -> usize {
        usize::from(self.view)
    }

    /// Of 64-bit hashes the upper bits choose the shard, since the table inside uses the lower ones.
    pub(crate) fn shard(&self) -> usize {
        let mut hasher = FxHasher::default();
        self.hash(&mut hasher);
        (hasher.finish().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % SHARDS
    }
}

/// What is saved of the state beside its series.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// For each partition the offset of the next record.
    pub(crate) offsets: BTreeMap<u32, u64>,
    /// The latest event time of all that was applied.
    pub(crate) freshest_event_time: Option<Timestamp>,
    /// The earliest instant that can be read.
    pub(crate) reads_from: Option<Timestamp>,
    /// Each tenant's number.
    pub(crate) tenants: BTreeMap<TenantId, u32>,
    /// The ids of recent events, which are saved as they come.
    #[serde(skip)]
    pub(crate) recent: RecentIds,
    /// Events that counted.
    pub(crate) counted: u64,
    /// Events that came too late.
    pub(crate) late: u64,
    /// Events that were there already.
    pub(crate) duplicates: u64,
}

/// The series that differ from what was last saved in parts.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Those with new events.
    pub(crate) changed: FxHashSet<SeriesKey>,
    /// Those that were only freed, in part or as a whole; no read depends on when that is saved.
    pub(crate) freed: FxHashSet<SeriesKey>,
}

/// The state of a store.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) features: Arc<FeatureSet>,
    /// The entities that are kept.
    pub(crate) share: Share,
    /// Kept where the state is saved in parts.
    pub(crate) unsaved: Option<Unsaved>,
    pub(crate) layouts: Arc<[Layout]>,
    /// For each kind of fact the views of it.
    views_of: Vec<Vec<u16>>,
    pub(crate) shards: Vec<FxHashMap<SeriesKey, Series>>,
    pub(crate) progress: Progress,
    /// How many times it was saved since it was made or loaded, and 1 more.
    pub(crate) saves: AtomicU32,
    /// Scratch of [`State::apply`], so that an event needs no allocation.
    row: Vec<u64>,
    entities: Vec<(u16, u128)>,
}

impl State {
    /// The state of a share that is saved in parts.
    pub(crate) fn of_share(features: Arc<FeatureSet>, share: Share) -> Self {
        let state = Self { share, unsaved: Some(Unsaved::default()), ..Self::new(features) };
        state.progress.recent.note_saved();
        state
    }

    /// The state of all entities.
    pub(crate) fn new(features: Arc<FeatureSet>) -> Self {
        let layouts = features.views().iter().map(Layout::new).collect();
        let kinds = dhow_events::FactKind::ALL.len();
        let mut views_of = vec![Vec::new(); kinds];
        for (number, view) in features.views().iter().enumerate() {
            if let Some(kind) = view.source().fact() {
                views_of[kind as usize].push(number as u16);
            }
        }
        Self {
            features,
            share: Share::WHOLE,
            unsaved: None,
            layouts,
            views_of,
            shards: (0..SHARDS).map(|_| FxHashMap::default()).collect(),
            progress: Progress::default(),
            saves: AtomicU32::new(1),
            row: Vec::new(),
            entities: Vec::new(),
        }
    }

    pub(crate) fn apply(
        &mut self,
        settings: &OnlineSettings,
        event: &Event,
        known_time: Timestamp,
        (partition, offset): (u32, u64),
    ) -> Applied {
        let next = self.progress.offsets.entry(partition).or_insert(0);
        if offset < *next {
            self.progress.duplicates += 1;
            return Applied::Duplicate;
        }
        *next = offset + 1;
        self.progress.freshest_event_time = self.progress.freshest_event_time.max(Some(event.event_time));
        let applied = self.count(settings, event, known_time);
        match applied {
            Applied::Counted => self.progress.counted += 1,
            Applied::Duplicate => self.progress.duplicates += 1,
            Applied::TooLate => self.progress.late += 1,
            Applied::Irrelevant => {}
        }
        applied
    }

    fn count(&mut self, settings: &OnlineSettings, event: &Event, known_time: Timestamp) -> Applied {
        self.entities.clear();
        for &view in &self.views_of[event.fact.kind() as usize] {
            let entity = self.features.views()[usize::from(view)].entity_of(&event.fact);
            let held = entity.filter(|id| self.share.holds(event.tenant, *id));
            self.entities.extend(held.map(|id| (view, id)));
        }
        if self.entities.is_empty() {
            return Applied::Irrelevant;
        }
        if let Some(reads_from) = self.progress.reads_from {
            let layouts = &self.layouts;
            self.entities
                .retain(|(view, _)| event.event_time.micros() >= cut(&layouts[usize::from(*view)], reads_from));
            if self.entities.is_empty() {
                return Applied::TooLate;
            }
        }
        let tenant = self.tenant_number(event.tenant);
        if !self.progress.recent.insert(tenant, event.id.as_u128(), known_time, settings.duplicate_horizon_micros) {
            return Applied::Duplicate;
        }
        let mut inserted = false;
        let entities = std::mem::take(&mut self.entities);
        for &(view, id) in &entities {
            inserted |= self.insert(view, id, tenant, event, known_time);
        }
        self.entities = entities;
        if inserted { Applied::Counted } else { Applied::Duplicate }
    }

    fn insert(&mut self, view: u16, id: u128, tenant: u32, event: &Event, known_time: Timestamp) -> bool {
        let layout = &self.layouts[usize::from(view)];
        layout.encode(&self.features.views()[usize::from(view)], event, known_time, &mut self.row);
        let key = SeriesKey::new(id, tenant, view);
        let series = self.shards[key.shard()].entry(key).or_default();
        let inserted = series.insert(layout, &self.row, *self.saves.get_mut());
        if let Some(unsaved) = self.unsaved.as_mut().filter(|_| inserted) {
            unsaved.changed.insert(key);
        }
        inserted
    }

    fn tenant_number(&mut self, tenant: TenantId) -> u32 {
        let next = self.progress.tenants.len() as u32;
        *self.progress.tenants.entry(tenant).or_insert(next)
    }

    /// How far the log was applied.
    pub(crate) fn cut(&self) -> Cut {
        Cut {
            share: self.share,
            offsets: self.progress.offsets.iter().map(|(&partition, &next)| (partition, next)).collect(),
            freshest_event_time: self.progress.freshest_event_time,
            reads_from: self.progress.reads_from,
        }
    }

    /// The series of a key, where there is one.
    pub(crate) fn series(&self, key: &SeriesKey) -> Option<&Series> {
        self.shards[key.shard()].get(key)
    }

    /// Appends each ask's features to `out`; gives when the latest of each entity's events that are kept happened. The
    /// views must exist.
    pub(crate) fn read_many(
        &self,
        tenant: TenantId,
        asks: &[(usize, u128)],
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Vec<Option<Timestamp>> {
        let tenant = self.progress.tenants.get(&tenant);
        let find = |&(view, id): &(usize, u128)| {
            tenant.and_then(|&tenant| self.series(&SeriesKey::new(id, tenant, view as u16)))
        };
        // Series lie far apart. All are sought first and their newest rows asked for, so that they come from memory
        // together and not one after the other.
        let found: Vec<Option<&Series>> = asks.iter().map(find).collect();
        for series in found.iter().flatten() {
            black_box(series.rows().last().copied());
        }
        let mut folds = Vec::new();
        let mut times = Vec::with_capacity(asks.len());
        // Of each view where an entity without events was read; all others without any read the same.
        let mut nothing: Vec<Option<usize>> = vec![None; self.layouts.len()];
        for (&(view, _), series) in asks.iter().zip(found) {
            let (layout, first) = (&self.layouts[view], out.len());
            match (series, nothing[view]) {
                (None, Some(same)) => out.extend_from_within(same..same + layout.feature_count),
                (None, None) => {
                    nothing[view] = Some(first);
                    out.resize(first + layout.feature_count, f64::NAN);
                    read_nothing(layout, at, &mut folds, &mut out[first..]);
                }
                (Some(series), _) => {
                    out.resize(first + layout.feature_count, f64::NAN);
                    series.read(layout, at, &mut folds, &mut out[first..]);
                }
            }
            times.push(series.and_then(|series| series.latest_event_time(layout)));
        }
        times
    }

    /// Frees what no read from `reads_from` on can reach, in one shard.
    pub(crate) fn expire_shard(&mut self, shard: usize, reads_from: Timestamp) {
        let freed = self.unsaved.as_mut().map(|unsaved| &mut unsaved.freed);
        Self::expire_series(&self.layouts, &mut self.shards[shard], reads_from, freed);
    }

    /// Frees what no read from `reads_from` on can reach, and notes of which series in `freed`.
    pub(crate) fn expire_series(
        layouts: &[Layout],
        shard: &mut FxHashMap<SeriesKey, Series>,
        reads_from: Timestamp,
        mut freed: Option<&mut FxHashSet<SeriesKey>>,
    ) {
        shard.retain(|key, series| {
            let layout = &layouts[key.view()];
            let shrunk = series.expire(layout, cut(layout, reads_from), reads_from.micros());
            if let Some(freed) = freed.as_mut().filter(|_| shrunk) {
                freed.insert(*key);
            }
            !series.is_empty()
        });
        if shard.capacity() > 4 * shard.len() {
            shard.shrink_to_fit();
        }
    }

    pub(crate) fn stats(&self) -> OnlineStats {
        let mut stats = OnlineStats {
            counted: self.progress.counted,
            late: self.progress.late,
            duplicates: self.progress.duplicates,
            bytes: self.progress.recent.bytes(),
            ..OnlineStats::default()
        };
        for shard in &self.shards {
            stats.keys += shard.len();
            stats.bytes += shard.capacity() * (size_of::<(SeriesKey, Series)>() + 1);
            for (key, series) in shard {
                stats.entries += series.len(&self.layouts[key.view()]);
                stats.bytes += series.bytes();
            }
        }
        stats
    }
}

fn halves(id: u128) -> (u64, u64) {
    ((id >> 64) as u64, id as u64)
}
