//! What can go wrong with feature state in Redis, told with the address; passwords are left out.

use std::time::Duration;

use dhow_online::{NoShare, PartsError, Share};

/// Why state could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The settings make no sense.
    #[error("the settings for Redis are wrong: {0}")]
    Settings(String),
    /// Nothing answers there.
    #[error("no Redis answers at {address}: {reason}; start one there, or set another address")]
    Absent {
        /// Where it was looked for.
        address: String,
        /// What happened.
        reason: String,
    },
    /// It would remove state where memory is short.
    #[error(
        "the Redis at {address} evicts keys (maxmemory-policy is `{policy}`), and features would silently be wrong; set it to `noeviction`"
    )]
    Evicts {
        /// Which Redis.
        address: String,
        /// Its policy.
        policy: String,
    },
    /// Every connection was in use for too long.
    #[error("all {limit} connections to the Redis at {address} were in use for {waited:?}")]
    Busy {
        /// Which Redis.
        address: String,
        /// The most connections.
        limit: usize,
        /// How long was waited.
        waited: Duration,
    },
    /// A call failed. Of a save it is unknown whether it was done: load the partition again.
    #[error("the Redis at {address} failed while {doing}: {reason}")]
    Call {
        /// Which Redis.
        address: String,
        /// What was being done.
        doing: &'static str,
        /// What happened.
        reason: String,
    },
    /// There is no such partition.
    #[error(transparent)]
    NoShare(#[from] NoShare),
    /// What is there is no state of this fleet.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The head of a partition is not what was saved.
    #[error("the head of partition {partition} is not what was saved: {reason}")]
    Head {
        /// The partition.
        partition: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// The store is not of the partition that it was to be saved as.
    #[error("a store of share {found} cannot be saved as {wanted}")]
    OtherShare {
        /// The store's.
        found: Share,
        /// The partition's.
        wanted: Share,
    },
    /// A save is larger than one write may be.
    #[error("{bytes} bytes changed since the last save; one write holds at most {limit}: save more often")]
    TooLarge {
        /// What changed.
        bytes: usize,
        /// What may.
        limit: usize,
    },
    /// Another worker went on saving the partition while it was loaded.
    #[error("partition {partition} was saved by another worker each of the {tries} times that it was loaded")]
    Moving {
        /// The partition.
        partition: u32,
        /// How often it was tried.
        tries: usize,
    },
}
