//! The memory of one request after another: arrays whose entries count only when stamped with the request's number.

use crate::top::TopItems;

/// What a session has gathered during a request.
#[derive(Debug, Clone, Copy, Default)]
struct SessionSlot {
    epoch: u32,
    similarity: f32,
    /// Where the most recent matched item first stands in it.
    position: u32,
    /// Whether that item is the current one of the asking session.
    holds_current: bool,
}

/// The votes for an item during a request.
#[derive(Debug, Clone, Copy, Default)]
struct ItemSlot {
    epoch: u32,
    votes: f64,
}

/// A session that may vote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour {
    /// How well it matches; above 0.
    pub(crate) weight: f32,
    /// Its number in the index; a higher one is more recent.
    pub(crate) session: u32,
    pub(crate) position: u32,
    pub(crate) holds_current: bool,
}

/// Reusable memory for requests, one for each thread. It grows when an index has grown; otherwise a request allocates
/// nothing. One scratch may serve any number of indexes.
#[derive(Debug, Default)]
pub struct Scratch {
    epoch: u32,
    sessions: Vec<SessionSlot>,
    items: Vec<ItemSlot>,
    /// Sessions stamped during this request.
    touched_sessions: Vec<u32>,
    /// Items stamped during this request.
    pub(crate) touched_items: Vec<u32>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) top: TopItems,
}

impl Scratch {
    /// Empty memory, which the first request sizes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the last request, in constant time.
    pub(crate) fn begin(&mut self, sessions: usize, items: usize) {
        if self.sessions.len() < sessions {
            self.sessions.resize(sessions, SessionSlot::default());
        }
        if self.items.len() < items {
            self.items.resize(items, ItemSlot::default());
        }
        self.touched_sessions.clear();
        self.touched_items.clear();
        self.neighbours.clear();
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // After 2^32 requests stamps would repeat.
            self.sessions.fill(SessionSlot::default());
            self.items.fill(ItemSlot::default());
            self.epoch = 1;
        }
    }

    /// The session matches one more item. The first match of a request stays its place.
    pub(crate) fn add_match(&mut self, session: u32, position: u32, weight: f32, is_current: bool) {
        let slot = &mut self.sessions[session as usize];
        if slot.epoch == self.epoch {
            slot.similarity += weight;
        } else {
            *slot = SessionSlot { epoch: self.epoch, similarity: weight, position, holds_current: is_current };
            self.touched_sessions.push(session);
        }
    }

    /// Turns the matched sessions into neighbours: each weighs its similarity to the power 1.5 times its own weight. All
    /// but the `limit` best are dropped, of equals the less recent.
    pub(crate) fn select_neighbours(&mut self, limit: usize, session_weight: impl Fn(u32) -> f32) {
        for &session in &self.touched_sessions {
            let slot = self.sessions[session as usize];
            let weight = slot.similarity * slot.similarity.sqrt() * session_weight(session);
            let (position, holds_current) = (slot.position, slot.holds_current);
            self.neighbours.push(Neighbour { weight, session, position, holds_current });
        }
        if self.neighbours.len() > limit {
            let order = |a: &Neighbour, b: &Neighbour| b.weight.total_cmp(&a.weight).then(b.session.cmp(&a.session));
            self.neighbours.select_nth_unstable_by(limit, order);
            self.neighbours.truncate(limit);
        }
    }

    /// Adds votes for an item.
    pub(crate) fn add_votes(&mut self, item: u32, votes: f64) {
        let slot = &mut self.items[item as usize];
        if slot.epoch == self.epoch {
            slot.votes += votes;
        } else {
            *slot = ItemSlot { epoch: self.epoch, votes };
            self.touched_items.push(item);
        }
    }

    /// Takes all votes from an item, touched or not, known or not.
    pub(crate) fn clear_votes(&mut self, item: u32) {
        if let Some(slot) = self.items.get_mut(item as usize)
            && slot.epoch == self.epoch
        {
            slot.votes = 0.0;
        }
    }

    /// The votes of a touched item, to read or change.
    pub(crate) fn votes_mut(&mut self, item: u32) -> &mut f64 {
        &mut self.items[item as usize].votes
    }
}
