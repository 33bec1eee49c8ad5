//! The base index: past sessions, for each item its sessions, most recent first, and what the settings make of them; immutable.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::statistics::{Direction, Statistics};
use crate::weights::Weights;
use crate::{SessionsError, Settings};

/// Of a session the last so many items are kept.
pub const MAX_SESSION_ITEMS: usize = 50;
/// Item numbers are below this; arrays are as long as the highest.
pub const MAX_ITEMS: u32 = 1 << 26;
/// An index holds at most so many sessions, so that its clicks can be numbered with 32 bits.
pub const MAX_SESSIONS: usize = 1 << 26;
/// The first byte of a stored index.
const FORMAT_VERSION: u8 = 1;

/// A session to learn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Session<'a> {
    /// Dense item numbers in order of time. Repeats count; of more than [`MAX_SESSION_ITEMS`] the last are kept.
    pub items: &'a [u32],
    /// When the last of them was acted on, in the unit of [`Settings::half_life`]: microseconds by default.
    pub time: i64,
}

/// An item's first place in a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Posting {
    pub(crate) session: u32,
    pub(crate) position: u32,
}

/// What does not depend on the settings. Lists stand one after the other; `starts` says where each begins.
#[derive(Debug, Default, PartialEq)]
struct Sessions {
    /// Ascending.
    times: Vec<i64>,
    starts: Vec<u32>,
    items: Vec<u32>,
    posting_starts: Vec<u32>,
    postings: Vec<Posting>,
    statistics: Statistics,
}

/// Past sessions, ready to be asked what comes next.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionIndex {
    sessions: Arc<Sessions>,
    pub(crate) weights: Weights,
    /// Of each session, and one more that says where the last ends.
    heads: Vec<Head>,
}

/// What a request reads of every session that matches, in one place.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Head {
    /// Its length's discount times its fading.
    weight: f32,
    /// Where its items begin.
    start: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    settings: Settings,
    times: Vec<i64>,
    lengths: Vec<u32>,
    items: Vec<u32>,
}

impl SessionIndex {
    /// Indexes sessions given in any order; of equal times the later given is the more recent. Empty sessions say nothing
    /// and are left out. No session at all makes an index that answers nothing, for a shop's first day.
    ///
    /// # Errors
    /// A setting out of range, an item number from [`MAX_ITEMS`] on, more than [`MAX_SESSIONS`] sessions.
    pub fn build(sessions: &[Session<'_>], settings: &Settings) -> Result<Self, SessionsError> {
        settings.check()?;
        if sessions.len() > MAX_SESSIONS {
            return Err(SessionsError::TooManySessions { sessions: sessions.len(), limit: MAX_SESSIONS });
        }
        let mut kept: Vec<Session<'_>> = sessions.iter().filter(|s| !s.items.is_empty()).map(recent_items).collect();
        for session in &kept {
            check_items(session.items)?;
        }
        kept.par_sort_by_key(|session| session.time);
        let recent = &kept[kept.len().saturating_sub(settings.sessions_kept)..];
        Ok(Self::with_weights(Arc::new(Sessions::new(recent)), settings))
    }

    fn with_weights(sessions: Arc<Sessions>, settings: &Settings) -> Self {
        let weights = Weights::new(settings, sessions.times.last().copied());
        let weigh = |session: usize| weights.session(sessions.items_of(session).len(), sessions.times[session]);
        let head = |session: usize, start: u32| match session < sessions.times.len() {
            true => Head { weight: weigh(session), start },
            false => Head { weight: 0.0, start },
        };
        let heads = sessions.starts.iter().enumerate().map(|(session, start)| head(session, *start)).collect();
        Self { weights, heads, sessions }
    }

    /// The same sessions under other settings, without indexing them again.
    ///
    /// # Errors
    /// A setting out of range.
    pub fn with_settings(&self, settings: &Settings) -> Result<Self, SessionsError> {
        settings.check()?;
        Ok(Self::with_weights(Arc::clone(&self.sessions), settings))
    }

    /// A new index of this one's sessions and the given ones; of more than [`Settings::sessions_kept`] the oldest go.
    ///
    /// # Errors
    /// What [`SessionIndex::build`] refuses.
    pub fn merged(&self, fresh: &[Session<'_>]) -> Result<Self, SessionsError> {
        let base = (0..self.session_count())
            .map(|session| Session { items: self.sessions.items_of(session), time: self.sessions.times[session] });
        let all: Vec<Session<'_>> = base.chain(fresh.iter().copied()).collect();
        Self::build(&all, self.settings())
    }

    /// What the index was built with.
    pub fn settings(&self) -> &Settings {
        &self.weights.settings
    }

    /// Sessions in the index.
    pub fn session_count(&self) -> usize {
        self.sessions.times.len()
    }

    /// One more than the highest item number in the index.
    pub fn item_count(&self) -> usize {
        self.sessions.statistics.item_count()
    }

    /// When the most recent session ended; `None` without sessions.
    pub fn latest_time(&self) -> Option<i64> {
        self.sessions.times.last().copied()
    }

    #[inline]
    pub(crate) fn statistics(&self) -> &Statistics {
        &self.sessions.statistics
    }

    #[inline]
    pub(crate) fn items_of(&self, session: u32) -> &[u32] {
        let session = session as usize;
        &self.sessions.items[self.heads[session].start as usize..self.heads[session + 1].start as usize]
    }

    #[inline]
    pub(crate) fn weight_of(&self, session: u32) -> f32 {
        self.heads[session as usize].weight
    }

    /// The sessions of an item, most recent first; none for an unknown item.
    pub(crate) fn postings_of(&self, item: u32) -> &[Posting] {
        match self.sessions.posting_starts.get(item as usize..item as usize + 2) {
            Some(bounds) => &self.sessions.postings[bounds[0] as usize..bounds[1] as usize],
            None => &[],
        }
    }

    /// Settings and sessions as bytes, from which [`SessionIndex::from_bytes`] builds an equal index.
    ///
    /// # Errors
    /// [`SessionsError::Bytes`] when the encoder fails, for want of memory for instance.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SessionsError> {
        let lengths = self.sessions.starts.windows(2).map(|bounds| bounds[1] - bounds[0]).collect();
        let (times, items) = (self.sessions.times.clone(), self.sessions.items.clone());
        let stored = Stored { settings: *self.settings(), times, lengths, items };
        postcard::to_extend(&stored, vec![FORMAT_VERSION]).map_err(bytes_error)
    }

    /// Reads what [`SessionIndex::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`SessionsError::Bytes`] for other or damaged bytes, and what [`SessionIndex::build`] refuses.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SessionsError> {
        let body = match bytes.split_first() {
            Some((&FORMAT_VERSION, body)) => body,
            Some((version, _)) => return Err(bytes_error(format!("it begins with version {version}"))),
            None => return Err(bytes_error("there are none")),
        };
        let (stored, rest): (Stored, &[u8]) = postcard::take_from_bytes(body).map_err(bytes_error)?;
        let items: u64 = stored.lengths.iter().map(|length| u64::from(*length)).sum();
        if !rest.is_empty() || stored.lengths.len() != stored.times.len() || items != stored.items.len() as u64 {
            return Err(bytes_error("its lists do not have the lengths that it names"));
        }
        let mut after = stored.items.as_slice();
        let mut sessions = Vec::with_capacity(stored.times.len());
        for (time, length) in stored.times.iter().zip(&stored.lengths) {
            let (items, others) = after.split_at(*length as usize);
            sessions.push(Session { items, time: *time });
            after = others;
        }
        Self::build(&sessions, &stored.settings)
    }
}

fn bytes_error(reason: impl ToString) -> SessionsError {
    SessionsError::Bytes { version: FORMAT_VERSION, reason: reason.to_string() }
}

/// The session with its last [`MAX_SESSION_ITEMS`] items.
fn recent_items<'a>(session: &Session<'a>) -> Session<'a> {
    let from = session.items.len().saturating_sub(MAX_SESSION_ITEMS);
    Session { items: &session.items[from..], time: session.time }
}

pub(crate) fn check_items(items: &[u32]) -> Result<(), SessionsError> {
    match items.iter().find(|item| **item >= MAX_ITEMS) {
        Some(&item) => Err(SessionsError::Item { item, limit: MAX_ITEMS }),
        None => Ok(()),
    }
}

impl Sessions {
    /// From checked sessions in order of time.
    fn new(ordered: &[Session<'_>]) -> Self {
        let mut index = Self { starts: vec![0], ..Self::default() };
        for session in ordered {
            index.times.push(session.time);
            index.items.extend_from_slice(session.items);
            index.starts.push(index.items.len() as u32);
            index.statistics.count(session.items, Direction::Enters);
        }
        index.add_postings();
        index
    }

    /// Lays out each item's sessions, most recent first, by counting sort.
    fn add_postings(&mut self) {
        let items = self.statistics.item_count();
        let mut ends = Vec::with_capacity(items + 1);
        let mut postings = 0;
        ends.push(0);
        for item in 0..items {
            ends.push(postings);
            postings += self.statistics.sessions_of(item as u32);
        }
        self.postings = vec![Posting { session: 0, position: 0 }; postings as usize];
        for session in (0..self.times.len()).rev() {
            let row = &self.items[self.starts[session] as usize..self.starts[session + 1] as usize];
            for (position, item) in row.iter().enumerate() {
                if !row[..position].contains(item) {
                    let end = &mut ends[*item as usize + 1];
                    self.postings[*end as usize] = Posting { session: session as u32, position: position as u32 };
                    *end += 1;
                }
            }
        }
        self.posting_starts = ends;
    }

    #[inline]
    fn items_of(&self, session: usize) -> &[u32] {
        &self.items[self.starts[session] as usize..self.starts[session + 1] as usize]
    }
}
