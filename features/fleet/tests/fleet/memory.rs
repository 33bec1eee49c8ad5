//! States in this process, for tests that need to interfere with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dhow_definitions::FeatureSet;
use dhow_fleet::{PartitionStates, StatesError};
use dhow_online::{OnlineSettings, OnlineStore, Parts, PartsError, Share};
use dhow_redis::{Loaded, Saved};

#[derive(Default)]
struct Stored {
    generation: u64,
    rekeyed_offset: u64,
    progress: Vec<u8>,
    ids_generation: i64,
    series: BTreeMap<Vec<u8>, Vec<u8>>,
    ids: BTreeMap<i64, Vec<u8>>,
}

/// A handle; all clones see the same states.
#[derive(Clone)]
pub struct MemoryStates {
    features: Arc<FeatureSet>,
    settings: OnlineSettings,
    count: u32,
    stored: Arc<Mutex<Vec<Stored>>>,
    saves: u64,
    /// Every so many saves another writer is pretended to have been there.
    pub interfere_every: Option<u64>,
}

impl MemoryStates {
    pub fn new(features: Arc<FeatureSet>, settings: OnlineSettings, count: u32) -> Self {
        let stored = Arc::new(Mutex::new((0..count).map(|_| Stored::default()).collect()));
        Self { features, settings, count, stored, saves: 0, interfere_every: None }
    }
}

impl PartitionStates for MemoryStates {
    fn load(&mut self, partition: u32) -> Result<Loaded, StatesError> {
        let share = Share::new(partition, self.count)?;
        let stored = &self.stored.lock().unwrap()[partition as usize];
        let (rekeyed_offset, generation) = (stored.rekeyed_offset, stored.generation);
        if stored.progress.is_empty() {
            let store = OnlineStore::with_share(self.features.clone(), self.settings, share);
            return Ok(Loaded { store, rekeyed_offset, generation });
        }
        let mut parts = Parts::new(self.features.clone(), share, &stored.progress, stored.ids_generation)?;
        stored.series.iter().try_for_each(|(name, value)| parts.series(name, value))?;
        let ids = stored.ids.iter().filter(|(generation, _)| **generation >= stored.ids_generation - 1);
        ids.into_iter().try_for_each(|(generation, ids)| parts.ids(*generation, ids))?;
        Ok(Loaded { store: OnlineStore::from_parts(self.settings, parts), rekeyed_offset, generation })
    }

    fn save(&mut self, partition: u32, store: &OnlineStore, next: u64, generation: u64) -> Result<Saved, StatesError> {
        let stored = &mut self.stored.lock().unwrap()[partition as usize];
        self.saves += 1;
        if self.interfere_every.is_some_and(|every| self.saves.is_multiple_of(every)) {
            stored.generation += 1;
        }
        let expected = stored.generation == generation;
        let saved = store.save_parts::<PartsError>(|changes| {
            if !expected {
                return Ok(false);
            }
            stored.generation += 1;
            stored.rekeyed_offset = next;
            stored.progress = changes.progress.clone();
            stored.ids_generation = changes.generation;
            stored.series.extend(changes.written.iter().cloned());
            changes.removed.iter().for_each(|name| drop(stored.series.remove(name)));
            for (generation, ids) in &changes.ids {
                stored.ids.entry(*generation).or_default().extend_from_slice(ids);
            }
            Ok(true)
        })?;
        Ok(if saved { Saved::New(stored.generation) } else { Saved::Refused })
    }
}
