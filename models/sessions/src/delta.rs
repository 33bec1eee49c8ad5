//! The sessions since the base was built, indexed click by click; small, and gone into the base by a merge.

use rustc_hash::FxHashMap;

use crate::index::{Posting, check_items};
use crate::statistics::{Direction, Statistics};
use crate::weights::Weights;
use crate::{MAX_SESSION_ITEMS, Session, SessionIndex, SessionsError};

/// The delta holds at most so many sessions; with 50 items each they take about 100 MB.
pub const MAX_DELTA_SESSIONS: usize = 1 << 17;

/// A session that may go on.
#[derive(Debug, Clone)]
struct FreshSession {
    key: u128,
    time: i64,
    items: Vec<u32>,
    /// All its clicks, also those no longer kept.
    clicks: u64,
    weight: f32,
}

/// Fresh sessions, numbered by their places.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    sessions: Vec<FreshSession>,
    places: FxHashMap<u128, u32>,
    /// Of each item, most recent last, which is where a click adds.
    postings: FxHashMap<u32, Vec<Posting>>,
    /// Of the base and the delta together.
    statistics: Statistics,
    /// No session is older, so that all of the delta is more recent than all of the base.
    earliest_time: i64,
}

/// What a merge takes along from one session, to find out later what came after it.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    key: u128,
    pub(crate) time: i64,
    pub(crate) items: Vec<u32>,
    clicks: u64,
}

impl Taken {
    pub(crate) fn session(&self) -> Session<'_> {
        Session { items: &self.items, time: self.time }
    }
}

impl Delta {
    pub(crate) fn new(base: &SessionIndex) -> Self {
        Self {
            sessions: Vec::new(),
            places: FxHashMap::default(),
            postings: FxHashMap::default(),
            statistics: base.statistics().clone(),
            earliest_time: base.latest_time().unwrap_or(i64::MIN),
        }
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    #[inline]
    pub(crate) fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(crate) fn place_of(&self, key: u128) -> Option<u32> {
        self.places.get(&key).copied()
    }

    pub(crate) fn postings_of(&self, item: u32) -> &[Posting] {
        self.postings.get(&item).map_or(&[], Vec::as_slice)
    }

    #[inline]
    pub(crate) fn items_of(&self, place: u32) -> &[u32] {
        &self.sessions[place as usize].items
    }

    #[inline]
    pub(crate) fn weight_of(&self, place: u32) -> f32 {
        self.sessions[place as usize].weight
    }

    /// Adds a click to its session, which begins with it if it is new.
    pub(crate) fn observe(&mut self, key: u128, item: u32, time: i64, weights: &Weights) -> Result<(), SessionsError> {
        check_items(&[item])?;
        let place = match self.place_of(key) {
            Some(place) => place,
            None => self.begin_session(key)?,
        };
        self.unlist(place);
        let session = &mut self.sessions[place as usize];
        if session.items.len() == MAX_SESSION_ITEMS {
            session.items.remove(0);
        }
        session.items.push(item);
        session.clicks += 1;
        session.time = session.time.max(time);
        session.weight = weights.session(session.items.len(), session.time);
        self.list(place);
        Ok(())
    }

    fn begin_session(&mut self, key: u128) -> Result<u32, SessionsError> {
        if self.sessions.len() >= MAX_DELTA_SESSIONS {
            return Err(SessionsError::DeltaFull { limit: MAX_DELTA_SESSIONS });
        }
        let place = self.sessions.len() as u32;
        let fresh = FreshSession { key, time: self.earliest_time, items: Vec::new(), clicks: 0, weight: 0.0 };
        self.sessions.push(fresh);
        self.places.insert(key, place);
        Ok(place)
    }

    /// Takes a session out of the lists and the counts.
    fn unlist(&mut self, place: u32) {
        let session = &self.sessions[place as usize];
        self.statistics.count(&session.items, Direction::Leaves);
        for item in &session.items {
            if let Some(list) = self.postings.get_mut(item)
                && let Some(at) = list.iter().rposition(|posting| posting.session == place)
            {
                list.remove(at);
            }
        }
    }

    /// Puts a session into the lists, in order of time and then place, and into the counts.
    fn list(&mut self, place: u32) {
        let session = &self.sessions[place as usize];
        self.statistics.count(&session.items, Direction::Enters);
        for (position, item) in session.items.iter().enumerate() {
            if session.items[..position].contains(item) {
                continue;
            }
            let list = self.postings.entry(*item).or_default();
            let later = |posting: &Posting| {
                (self.sessions[posting.session as usize].time, posting.session) > (session.time, place)
            };
            let at = list.iter().rposition(|posting| !later(posting)).map_or(0, |before| before + 1);
            list.insert(at, Posting { session: place, position: position as u32 });
        }
    }

    /// The sessions whose last click is before `idle_since`.
    pub(crate) fn idle_sessions(&self, idle_since: i64) -> Vec<Taken> {
        let idle = self.sessions.iter().filter(|session| session.time < idle_since);
        idle.map(|s| Taken { key: s.key, time: s.time, items: s.items.clone(), clicks: s.clicks }).collect()
    }

    /// Takes over, into this empty delta on top of `base`, which holds what was taken, what remains of the `old` one. Clicks
    /// that a taken session got in the meantime begin a session of their own.
    pub(crate) fn take_rest(&mut self, old: &Self, taken: &[Taken], base: &SessionIndex) {
        let taken: FxHashMap<u128, u64> = taken.iter().map(|session| (session.key, session.clicks)).collect();
        for session in &old.sessions {
            let fresh_clicks = session.clicks - taken.get(&session.key).copied().unwrap_or(0);
            let from = session.items.len().saturating_sub(usize::try_from(fresh_clicks).unwrap_or(usize::MAX));
            if from < session.items.len() {
                let (items, time) = (session.items[from..].to_vec(), session.time.max(self.earliest_time));
                let weight = base.weights.session(items.len(), time);
                let place = self.sessions.len() as u32;
                self.places.insert(session.key, place);
                self.sessions.push(FreshSession { key: session.key, time, items, clicks: fresh_clicks, weight });
                self.list(place);
            }
        }
    }
}
