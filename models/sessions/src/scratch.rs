//! The memory of one request after another: what a request gathers stands close together, found by stamps, so nothing is cleared.

use std::cmp::Reverse;
use std::hint::select_unpredictable;

use crate::top::TopItems;

/// Where a request keeps a session or an item; counts only when stamped with the request's number.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    epoch: u32,
    place: u32,
}

/// Of each key, a session's or an item's number, its place in this request's list.
#[derive(Debug, Default)]
struct Places {
    epoch: u32,
    slots: Vec<Slot>,
}

impl Places {
    /// Forgets the last request, in constant time.
    fn begin(&mut self, keys: usize) {
        if self.slots.len() < keys {
            self.slots.resize(keys, Slot::default());
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // After 2^32 requests stamps would repeat.
            self.slots.fill(Slot::default());
            self.epoch = 1;
        }
    }

    /// The place of the key, which is `next` if it had none. It is written either way: without a branch that nobody foresees.
    #[inline]
    fn enter(&mut self, key: u32, next: u32) -> u32 {
        let slot = &mut self.slots[key as usize];
        let place = select_unpredictable(slot.epoch == self.epoch, slot.place, next);
        *slot = Slot { epoch: self.epoch, place };
        place
    }

    fn find(&self, key: u32) -> Option<u32> {
        self.slots.get(key as usize).filter(|slot| slot.epoch == self.epoch).map(|slot| slot.place)
    }
}

/// A session that may vote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour {
    /// The sum of the weights of the items that brought it; once neighbours are selected, how much it votes.
    pub(crate) weight: f32,
    /// Its number in the index; a higher one is more recent.
    pub(crate) session: u32,
    /// Where the most recent matched item first stands in it.
    pub(crate) position: u32,
    /// Whether that item is the current one of the asking session.
    pub(crate) holds_current: bool,
}

impl Neighbour {
    /// Ascends with the weight, which has no sign, and then with the number.
    #[inline]
    fn rank(&self) -> u64 {
        u64::from(self.weight.to_bits()) << 32 | u64::from(self.session)
    }
}

/// The sessions that match.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    places: Places,
    /// In order of their first match until the best are selected.
    list: Vec<Neighbour>,
}

impl Neighbours {
    /// The session matches one more item. The first match of a request stays its place.
    #[inline]
    pub(crate) fn add_match(&mut self, session: u32, position: u32, weight: f32, holds_current: bool) {
        let place = self.places.enter(session, self.list.len() as u32) as usize;
        match self.list.get_mut(place) {
            Some(known) => known.weight += weight,
            None => self.list.push(Neighbour { weight, session, position, holds_current }),
        }
    }

    /// Turns sums into what the sessions vote with: to the power 1.5, times a session's own weight. All but the `limit`
    /// best are dropped, of equals the less recent.
    #[inline]
    pub(crate) fn select(&mut self, limit: usize, session_weight: impl Fn(u32) -> f32) {
        for neighbour in &mut self.list {
            neighbour.weight *= neighbour.weight.sqrt() * session_weight(neighbour.session);
        }
        if self.list.len() > limit {
            self.list.select_nth_unstable_by_key(limit, |neighbour| Reverse(neighbour.rank()));
            self.list.truncate(limit);
        }
    }

    pub(crate) fn list(&self) -> &[Neighbour] {
        &self.list
    }
}

/// An item and what it got.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ItemVotes {
    pub(crate) votes: f64,
    pub(crate) item: u32,
}

/// The votes for items.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    places: Places,
    /// As long as there are items, and one more. From `items` on all have no votes.
    list: Vec<ItemVotes>,
    /// So many items have an entry.
    items: usize,
}

impl Votes {
    fn begin(&mut self, items: usize) {
        self.places.begin(items);
        self.list[..self.items].fill(ItemVotes::default());
        self.items = 0;
        if self.list.len() <= items {
            self.list.resize(items + 1, ItemVotes::default());
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, item: u32, votes: f64) {
        let place = self.places.enter(item, self.items as u32) as usize;
        let entry = &mut self.list[place];
        entry.item = item;
        entry.votes += votes;
        self.items += usize::from(place == self.items);
    }

    /// Takes all votes from an item, with an entry or not, known or not.
    pub(crate) fn clear(&mut self, item: u32) {
        if let Some(place) = self.places.find(item) {
            self.list[place as usize].votes = 0.0;
        }
    }

    /// The items that got votes, in the order of their first.
    #[inline]
    pub(crate) fn list_mut(&mut self) -> &mut [ItemVotes] {
        &mut self.list[..self.items]
    }
}

/// Reusable memory for requests, one for each thread. It grows when an index has grown; otherwise a request allocates
/// nothing. One scratch may serve any number of indexes.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) neighbours: Neighbours,
    pub(crate) votes: Votes,
    pub(crate) top: TopItems,
}

impl Scratch {
    /// Empty memory, which the first request sizes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the last request.
    pub(crate) fn begin(&mut self, sessions: usize, items: usize) {
        self.neighbours.places.begin(sessions);
        self.neighbours.list.clear();
        self.votes.begin(items);
    }
}
