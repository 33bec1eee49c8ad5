//! One request from the asking session to the ranked items; the same code over the base alone and over base and delta.

use std::hint::{black_box, select_unpredictable};

use crate::delta::Delta;
use crate::index::Posting;
use crate::scratch::{ItemVotes, Neighbour, Neighbours, Scratch, Votes};
use crate::statistics::{Statistics, earlier_items};
use crate::weights::Weights;
use crate::{MAX_SESSION_ITEMS, SessionIndex, SessionsError};

/// At most so many items are asked for at once.
pub const MAX_COUNT: usize = 1_000;

/// Which items of the asking session may not be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exclude {
    /// None: the current item may be kept and earlier ones visited again.
    Nothing,
    /// The current item, which is on the screen.
    #[default]
    Current,
    /// All of them.
    Session,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The session's items, the current one last. Unknown items are passed over, of a long session the last
    /// [`MAX_SESSION_ITEMS`] are read; an empty one is answered with nothing.
    pub session: &'a [u32],
    /// What may not be answered.
    pub exclude: Exclude,
    /// So many items at most, 0 to [`MAX_COUNT`].
    pub count: usize,
}

impl SessionIndex {
    /// Fills `out` with what may come next: items that `eligible` admits with their scores above 0, best first, of equal
    /// scores the lower number first. A score is a share of the neighbours' votes plus what repeats add, so it compares
    /// within one answer. `eligible` is asked only of items that would enter the answer.
    ///
    /// # Errors
    /// [`SessionsError::Count`].
    pub fn predict(
        &self,
        scratch: &mut Scratch,
        request: &Request<'_>,
        eligible: impl Fn(u32) -> bool,
        out: &mut Vec<(u32, f32)>,
    ) -> Result<(), SessionsError> {
        View { base: self, delta: None, own: None }.predict(scratch, request, eligible, out)
    }
}

/// The base, and the sessions since if there are any; the delta's sessions are numbered after the base's.
pub(crate) struct View<'a> {
    pub(crate) base: &'a SessionIndex,
    pub(crate) delta: Option<&'a Delta>,
    /// The asking session's place in the delta: it is no neighbour of itself.
    pub(crate) own: Option<u32>,
}

impl View<'_> {
    /// The steps are those of the crate's documentation.
    pub(crate) fn predict(
        &self,
        scratch: &mut Scratch,
        request: &Request<'_>,
        eligible: impl Fn(u32) -> bool,
        out: &mut Vec<(u32, f32)>,
    ) -> Result<(), SessionsError> {
        out.clear();
        if request.count > MAX_COUNT {
            return Err(SessionsError::Count { count: request.count, limit: MAX_COUNT });
        }
        let session = &request.session[request.session.len().saturating_sub(MAX_SESSION_ITEMS)..];
        scratch.begin(self.session_count(), self.statistics().item_count());
        self.match_sessions(&mut scratch.neighbours, session);
        scratch.neighbours.select(self.weights().settings.neighbours, |neighbour| self.weight_of(neighbour));
        self.vote(scratch.neighbours.list(), &mut scratch.votes);
        let total = self.discount_popular(&mut scratch.votes);
        self.add_repeats(&mut scratch.votes, session, total);
        rank(scratch, session, request, total, eligible, out);
        Ok(())
    }

    /// Steps 1 and 2: the last distinct known items bring in their most recent sessions.
    fn match_sessions(&self, neighbours: &mut Neighbours, session: &[u32]) {
        let settings = &self.weights().settings;
        let mut items_left = settings.last_items;
        for steps in 0..session.len() {
            let place = session.len() - 1 - steps;
            let item = session[place];
            let sessions = self.statistics().sessions_of(item);
            if sessions == 0 || session[place + 1..].contains(&item) {
                continue;
            }
            if items_left == 0 {
                return;
            }
            items_left -= 1;
            let weight = self.weights().query(steps, sessions);
            let fresh = self.delta.map_or(&[][..], |delta| delta.postings_of(item));
            let fresh = &fresh[fresh.len().saturating_sub(settings.sessions_per_item)..];
            let base = self.base.postings_of(item);
            let base = &base[..base.len().min(settings.sessions_per_item - fresh.len())];
            for posting in fresh.iter().rev().filter(|posting| Some(posting.session) != self.own) {
                let number = self.base.session_count() as u32 + posting.session;
                neighbours.add_match(number, posting.position, weight, steps == 0);
            }
            for &Posting { session, position } in base {
                neighbours.add_match(session, position, weight, steps == 0);
            }
        }
    }

    /// Steps 4 and 5: every neighbour votes for what stands around its match, nearer items more, and by the sequential rule
    /// once more for what follows the current item. The match itself gets none: its distance of 0 weighs nothing.
    fn vote(&self, neighbours: &[Neighbour], votes: &mut Votes) {
        let weights = self.weights();
        for neighbour in neighbours {
            // Their items lie far apart. Asked for all at once, they come from memory together and not one after the other.
            black_box(self.items_of(neighbour.session).first().copied());
        }
        for neighbour in neighbours {
            let items = self.items_of(neighbour.session);
            let backward = f64::from(neighbour.weight);
            let mut forward = backward;
            if neighbour.holds_current {
                forward += weights.settings.rule_weight * f64::from(self.weight_of(neighbour.session));
            }
            let decays = weights.around(neighbour.position as usize, items.len());
            for (at, &item) in items.iter().enumerate() {
                let weight = select_unpredictable(at > neighbour.position as usize, forward, backward);
                votes.add(item, weight * decays[at]);
            }
        }
    }

    /// Step 6; returns the sum of all votes.
    fn discount_popular(&self, votes: &mut Votes) -> f64 {
        let (weights, statistics) = (self.weights(), self.statistics());
        let mut total = 0.0;
        for entry in votes.list_mut() {
            entry.votes *= weights.popularity(statistics.sessions_of(entry.item));
            total += entry.votes;
        }
        total
    }

    /// Step 7: the current item may be kept and earlier ones visited again, as often as learned. Without a single vote the
    /// repeats alone are the answer.
    fn add_repeats(&self, votes: &mut Votes, session: &[u32], total: f64) {
        let settings = &self.weights().settings;
        let Some(&current) = session.last() else { return };
        let scale = if total > 0.0 { total } else { 1.0 };
        if self.statistics().sessions_of(current) > 0 {
            let probability = self.statistics().keep_probability(session, settings.keep_evidence);
            votes.add(current, scale * settings.keep_weight * probability);
        }
        for (distance, item) in earlier_items(session) {
            if self.statistics().sessions_of(item) > 0 {
                let probability = self.statistics().revisit_probability(distance);
                votes.add(item, scale * settings.revisit_weight * probability);
            }
        }
    }

    fn session_count(&self) -> usize {
        self.base.session_count() + self.delta.map_or(0, Delta::session_count)
    }

    #[inline]
    fn weights(&self) -> &Weights {
        &self.base.weights
    }

    #[inline]
    fn statistics(&self) -> &Statistics {
        self.delta.map_or(self.base.statistics(), Delta::statistics)
    }

    /// `Ok` the base's session of this number, `Err` the delta's place.
    #[inline]
    fn find(&self, session: u32) -> Result<u32, (u32, &Delta)> {
        match self.delta {
            Some(delta) if session as usize >= self.base.session_count() => {
                Err((session - self.base.session_count() as u32, delta))
            }
            _ => Ok(session),
        }
    }

    #[inline]
    fn items_of(&self, session: u32) -> &[u32] {
        match self.find(session) {
            Ok(session) => self.base.items_of(session),
            Err((place, delta)) => delta.items_of(place),
        }
    }

    #[inline]
    fn weight_of(&self, session: u32) -> f32 {
        match self.find(session) {
            Ok(session) => self.base.weight_of(session),
            Err((place, delta)) => delta.weight_of(place),
        }
    }
}

/// Step 8: the best eligible items.
fn rank(
    scratch: &mut Scratch,
    session: &[u32],
    request: &Request<'_>,
    total: f64,
    eligible: impl Fn(u32) -> bool,
    out: &mut Vec<(u32, f32)>,
) {
    let excluded = match request.exclude {
        Exclude::Nothing => &[][..],
        Exclude::Current => &session[session.len().saturating_sub(1)..],
        Exclude::Session => request.session,
    };
    let Scratch { votes, top, .. } = scratch;
    for item in excluded {
        votes.clear(*item);
    }
    let scale = if total > 0.0 { total } else { 1.0 };
    top.begin(request.count);
    for &mut ItemVotes { votes, item } in votes.list_mut() {
        let score = (votes / scale) as f32;
        if score > 0.0 {
            top.offer(item, score, || eligible(item));
        }
    }
    top.drain_into(out);
}
