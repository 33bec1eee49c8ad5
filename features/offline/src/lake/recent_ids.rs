//! Which events came lately, so that a second event of one id is known; kept in memory and in one file for each checkpoint.

use std::collections::VecDeque;
use std::path::PathBuf;

use dhow_events::{DAY_MICROS, Timestamp};
use dhow_streams::checkpoint::{seal, unseal};
use rustc_hash::FxHashSet;

use crate::OfflineError;
use crate::lake::storage::LakeStorage;

/// How long after an event became known a second event of its id is known for a duplicate.
pub const DUPLICATE_HORIZON_MICROS: i64 = 3 * DAY_MICROS;

/// A time and an id, little-endian.
const ENTRY_BYTES: usize = 24;

/// The ids of the last [`DUPLICATE_HORIZON_MICROS`].
#[derive(Debug, Default)]
pub(crate) struct RecentIds {
    seen: FxHashSet<u128>,
    /// The seen ids with the times when they became known, oldest first.
    order: VecDeque<(Timestamp, u128)>,
}

impl RecentIds {
    /// Takes note of an id that became known at `known_time`; false where it is there already.
    pub fn insert(&mut self, id: u128, known_time: Timestamp) -> bool {
        self.forget_before(known_time - DUPLICATE_HORIZON_MICROS);
        let is_new = self.seen.insert(id);
        if is_new {
            self.order.push_back((known_time, id));
        }
        is_new
    }

    fn forget_before(&mut self, known_time: Timestamp) {
        while let Some((_, id)) = self.order.pop_front_if(|(time, _)| *time < known_time) {
            self.seen.remove(&id);
        }
    }

    pub fn write(&self, storage: &dyn LakeStorage, path: &str) -> Result<(), OfflineError> {
        let mut bytes = Vec::with_capacity(self.order.len() * ENTRY_BYTES);
        for (time, id) in &self.order {
            bytes.extend_from_slice(&time.micros().to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        storage.write(path, seal(&bytes))
    }

    pub fn read(storage: &dyn LakeStorage, path: &str) -> Result<Self, OfflineError> {
        let place = PathBuf::from(format!("{}/{path}", storage.location()));
        let damaged = |reason: String| OfflineError::Manifest { path: place.clone(), reason };
        let sealed = storage.read(path)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
        let bytes = unseal(&place, sealed)?;
        let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() {
            return Err(damaged(format!("{} bytes are no whole entries", bytes.len())));
        }
        let entry = |chunk: &[u8; ENTRY_BYTES]| {
            let (mut time, mut id) = ([0; 8], [0; 16]);
            time.copy_from_slice(&chunk[..8]);
            id.copy_from_slice(&chunk[8..]);
            (Timestamp::from_micros(i64::from_le_bytes(time)), u128::from_le_bytes(id))
        };
        let order: VecDeque<_> = entries.iter().map(entry).collect();
        Ok(Self { seen: order.iter().map(|(_, id)| *id).collect(), order })
    }
}
