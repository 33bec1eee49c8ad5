//! The ids of recent events, by which duplicates are known; it forgets them after a stated horizon.

use dhow_events::Timestamp;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

/// A tenant's number and the two halves of an event's id; small, because there are millions.
type SeenId = (u32, u64, u64);

/// Ids in two generations: each lasts one horizon of known time, so an id is remembered for one to two horizons.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct RecentIds {
    generation: i64,
    current: FxHashSet<SeenId>,
    previous: FxHashSet<SeenId>,
}

impl RecentIds {
    /// Notes an event; false where it was noted within the horizon.
    pub(crate) fn insert(&mut self, tenant: u32, id: u128, known_time: Timestamp, horizon_micros: i64) -> bool {
        self.turn(known_time.micros().div_euclid(horizon_micros.max(1)));
        let seen = (tenant, (id >> 64) as u64, id as u64);
        !self.previous.contains(&seen) && self.current.insert(seen)
    }

    fn turn(&mut self, generation: i64) {
        if generation <= self.generation && !self.is_empty() {
            return;
        }
        let next_in_line = generation == self.generation + 1;
        let ended = std::mem::take(&mut self.current);
        self.previous = if next_in_line { ended } else { FxHashSet::default() };
        self.generation = generation;
    }

    fn is_empty(&self) -> bool {
        self.current.is_empty() && self.previous.is_empty()
    }

    /// Forgets what cannot be a duplicate any more once everything up to `known_time` was applied.
    pub(crate) fn expire(&mut self, known_time: Timestamp, horizon_micros: i64) {
        if !self.is_empty() {
            self.turn(known_time.micros().div_euclid(horizon_micros.max(1)));
        }
    }

    /// Bytes taken, about.
    pub(crate) fn bytes(&self) -> usize {
        (self.current.capacity() + self.previous.capacity()) * (size_of::<SeenId>() + 1)
    }
}
