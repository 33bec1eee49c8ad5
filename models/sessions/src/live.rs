//! A base index and the sessions since, shared between threads: a click counts at once, a merge never stops the answers.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::delta::Delta;
use crate::predict::View;
use crate::scratch::Scratch;
use crate::{Request, SessionIndex, SessionsError};

/// An index that learns while it answers. It answers as an index rebuilt from all its sessions would.
///
/// Sessions are known by keys, such as `SessionId::as_u128`. A click later than the base but out of order among fresh clicks
/// is filed where it belongs; one earlier than the base's latest session counts as of that moment.
#[derive(Debug)]
pub struct LiveIndex {
    state: RwLock<State>,
    /// Held during a merge, so that there is one at a time.
    merging: Mutex<()>,
}

#[derive(Debug)]
struct State {
    base: Arc<SessionIndex>,
    delta: Delta,
}

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeSummary {
    /// Sessions that moved from the delta into the base.
    pub merged: usize,
    /// Sessions that stayed in the delta because they may go on, and those that did in the meantime.
    pub remaining: usize,
    /// Sessions in the base now.
    pub base: usize,
}

impl LiveIndex {
    /// The base with an empty delta.
    pub fn new(base: SessionIndex) -> Self {
        let delta = Delta::new(&base);
        Self { state: RwLock::new(State { base: Arc::new(base), delta }), merging: Mutex::new(()) }
    }

    /// Takes one click in; the next answer knows it.
    ///
    /// # Errors
    /// [`SessionsError::Item`], or [`SessionsError::DeltaFull`] for a new session when a merge is overdue; nothing is
    /// changed then.
    pub fn observe(&self, session: u128, item: u32, time: i64) -> Result<(), SessionsError> {
        let mut state = self.state.write();
        let State { base, delta } = &mut *state;
        delta.observe(session, item, time, &base.weights)
    }

    /// What may come next, as [`SessionIndex::predict`] over all sessions but the asking one, `own`, if it is known here.
    ///
    /// `eligible` runs under a read lock: it must not call [`LiveIndex::observe`] or [`LiveIndex::merge`].
    ///
    /// # Errors
    /// [`SessionsError::Count`].
    pub fn predict(
        &self,
        scratch: &mut Scratch,
        own: Option<u128>,
        request: &Request<'_>,
        eligible: impl Fn(u32) -> bool,
        out: &mut Vec<(u32, f32)>,
    ) -> Result<(), SessionsError> {
        let state = self.state.read();
        let own = own.and_then(|key| state.delta.place_of(key));
        View { base: &state.base, delta: Some(&state.delta), own }.predict(scratch, request, eligible, out)
    }

    /// Moves the sessions whose last click is before `idle_since` into a new base and puts it in place. The new base is
    /// built while answers and clicks go on with the old one; only the exchange waits for them, for as long as it takes to
    /// index the remaining sessions. A merged session that goes on is a new session.
    ///
    /// # Errors
    /// What [`SessionIndex::merged`] refuses; the old base stays.
    pub fn merge(&self, idle_since: i64) -> Result<MergeSummary, SessionsError> {
        let _one_at_a_time = self.merging.lock();
        let (base, taken) = {
            let state = self.state.read();
            (Arc::clone(&state.base), state.delta.idle_sessions(idle_since))
        };
        let sessions: Vec<_> = taken.iter().map(|session| session.session()).collect();
        let base = Arc::new(base.merged(&sessions)?);
        let mut next = State { base: Arc::clone(&base), delta: Delta::new(&base) };
        // The old state is let go after the lock, which is held no longer than needed.
        let (_old, remaining) = {
            let mut state = self.state.write();
            next.delta.take_rest(&state.delta, &taken, &base);
            let remaining = next.delta.session_count();
            (std::mem::replace(&mut *state, next), remaining)
        };
        Ok(MergeSummary { merged: taken.len(), remaining, base: base.session_count() })
    }

    /// The base, to be stored or asked without the delta.
    pub fn base(&self) -> Arc<SessionIndex> {
        Arc::clone(&self.state.read().base)
    }

    /// Sessions in the delta; a merge is due well before [`crate::MAX_DELTA_SESSIONS`].
    pub fn delta_sessions(&self) -> usize {
        self.state.read().delta.session_count()
    }
}
