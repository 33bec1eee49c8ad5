//! What can be wrong with sessions, settings, requests and stored bytes; nothing else.

use thiserror::Error;

/// A refusal that says what was wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SessionsError {
    /// A setting is not a number or outside its range.
    #[error("setting `{name}` is {value}; it must be {expected}")]
    Setting {
        /// The field of [`crate::Settings`].
        name: &'static str,
        /// What was given.
        value: f64,
        /// What would be right.
        expected: &'static str,
    },
    /// An item number is too high for arrays indexed by it; numbers must be dense, from 0.
    #[error("item number {item} is not below {limit}; number the items from 0 without gaps")]
    Item {
        /// What was given.
        item: u32,
        /// [`crate::MAX_ITEMS`].
        limit: u32,
    },
    /// More items were asked for than a slate may hold.
    #[error("{count} items were asked for; at most {limit} are served")]
    Count {
        /// What was given.
        count: usize,
        /// [`crate::MAX_COUNT`].
        limit: usize,
    },
    /// There are more sessions than an index can number.
    #[error("{sessions} sessions were given; an index holds at most {limit}")]
    TooManySessions {
        /// What was given.
        sessions: usize,
        /// [`crate::MAX_SESSIONS`].
        limit: usize,
    },
    /// The delta index holds as many sessions as it may; [`crate::LiveIndex::merge`] makes room.
    #[error("the delta index holds {limit} sessions already; merge it into the base before observing new sessions")]
    DeltaFull {
        /// [`crate::MAX_DELTA_SESSIONS`].
        limit: usize,
    },
    /// There is nothing to judge by.
    #[error("there is no prediction to judge; give at least one case whose session is not empty")]
    NoCases,
    /// Stored bytes are no index of this version.
    #[error("the bytes are no session index of version {version}: {reason}")]
    Bytes {
        /// The version that this code reads.
        version: u8,
        /// What did not fit.
        reason: String,
    },
}
