//! The ids of recent events, by which duplicates are known; it forgets them after a stated horizon.

use dhow_events::Timestamp;
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

/// A tenant's number and the two halves of an event's id; small, because there are millions.
pub(crate) type SeenId = (u32, u64, u64);
/// Ids by the generation in which they were noted, in the order of the generations.
pub(crate) type Generations = Vec<(i64, Vec<SeenId>)>;

/// Ids in two generations: each lasts one horizon of known time, so an id is remembered for one to two horizons.
#[derive(Debug, Default)]
pub(crate) struct RecentIds {
    generation: i64,
    current: FxHashSet<SeenId>,
    previous: FxHashSet<SeenId>,
    unsaved: Mutex<Unsaved>,
}

/// The ids noted since they were last saved; kept only once there was a save to add to.
#[derive(Debug, Default)]
struct Unsaved {
    kept: bool,
    current: Vec<SeenId>,
    previous: Vec<SeenId>,
}

impl RecentIds {
    /// Notes an event; false where it was noted within the horizon.
    pub(crate) fn insert(&mut self, tenant: u32, id: u128, known_time: Timestamp, horizon_micros: i64) -> bool {
        self.turn(known_time.micros().div_euclid(horizon_micros.max(1)));
        let seen = (tenant, (id >> 64) as u64, id as u64);
        let new = !self.previous.contains(&seen) && self.current.insert(seen);
        let unsaved = self.unsaved.get_mut();
        if new && unsaved.kept {
            unsaved.current.push(seen);
        }
        new
    }

    fn turn(&mut self, generation: i64) {
        if generation <= self.generation && !self.is_empty() {
            return;
        }
        let next_in_line = generation == self.generation + 1;
        let (ended, unsaved) = (std::mem::take(&mut self.current), self.unsaved.get_mut());
        let ended_unsaved = std::mem::take(&mut unsaved.current);
        (self.previous, unsaved.previous) = if next_in_line { (ended, ended_unsaved) } else { Default::default() };
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

    /// The generation that is being noted.
    pub(crate) fn generation(&self) -> i64 {
        self.generation
    }

    /// All ids.
    pub(crate) fn all(&self) -> Generations {
        let list = |ids: &FxHashSet<SeenId>| ids.iter().copied().collect();
        vec![(self.generation - 1, list(&self.previous)), (self.generation, list(&self.current))]
    }

    /// The ids noted since [`RecentIds::note_saved`].
    pub(crate) fn unsaved(&self) -> Generations {
        let unsaved = self.unsaved.lock();
        let lists = [(self.generation - 1, unsaved.previous.clone()), (self.generation, unsaved.current.clone())];
        lists.into_iter().filter(|(_, ids)| !ids.is_empty()).collect()
    }

    /// All ids lie in a snapshot now.
    pub(crate) fn note_saved(&self) {
        *self.unsaved.lock() = Unsaved { kept: true, ..Unsaved::default() };
    }

    /// Takes in ids of a snapshot, part by part in the order of its writing.
    pub(crate) fn restore(&mut self, generations: Generations) {
        for (generation, ids) in generations {
            self.restore_generation(generation);
            if generation == self.generation {
                self.current.extend(ids);
            } else if generation == self.generation - 1 {
                self.previous.extend(ids);
            }
        }
    }

    /// Goes on to the generation that was being noted when a snapshot was written.
    pub(crate) fn restore_generation(&mut self, generation: i64) {
        self.turn(generation);
    }

    /// Bytes taken, about.
    pub(crate) fn bytes(&self) -> usize {
        let unsaved = self.unsaved.lock();
        (self.current.capacity() + self.previous.capacity()) * (size_of::<SeenId>() + 1)
            + (unsaved.current.capacity() + unsaved.previous.capacity()) * size_of::<SeenId>()
    }
}
