//! Feature state in Redis, written by a fleet of workers and read by any number of replicas; it applies no event itself.
//!
//! # Design goals
//! Bit for bit the answers of one [`dhow_online::OnlineStore`] that applied the same events; whoever dies, whenever, the
//! state is that after some save; two workers that both believe that a partition is theirs never mix their states.
//!
//! # How
//! The entities are divided into as many [`dhow_online::Share`]s as the re-keyed topic has partitions. Of each share one
//! worker keeps the state in memory and saves what changed, now and then, in one atomic step. Keys, with `V` the format's
//! version, `H` the first half of the definitions' hash and `P` the partition:
//!
//! ```text
//!   dhow:V:{set/H/P}:series       hash: one field for each series, `head` (how far, for readers), `progress` (the rest)
//!   dhow:V:{set/H/P}:ids:G        list: ids of the events of generation G, by which duplicates are known
//! ```
//!
//! What stands in braces alone decides where a key lies in a Redis cluster, so what is written or read together lies
//! together. Other definitions have other keys: a change of them never changes what a deployed model reads.
//!
//! A save watches the hash, compares the generation in its head with the one that the worker's state came from, and writes
//! everything between `MULTI` and `EXEC`; where another worker wrote meanwhile, nothing is written and the save is
//! [`Saved::Refused`]. A read is one `HMGET` of the head and all series asked for of a partition, and so one consistent
//! cut; those of several partitions go in one round trip.
//!
//! # What the operator must know
//! Redis must not evict keys to make room ([`RedisError::Evicts`]). It need not be durable: if it comes back older or
//! empty, the workers' saves are refused, and they apply the topic again from the offset that it holds; the topic must
//! reach back that far. One [`RedisStates::save`] is one write of at most [`SAVE_BYTES_MAX`]. A series is written and read
//! whole, however little of it changed or is asked for: an entity with 100,000 events in reach of its windows costs about
//! 8 MB each time. Keep such views in memory ([`dhow_online::OnlineStore`]). Connections are not encrypted.

mod connections;
mod error;
mod layout;
mod reader;
mod states;

pub use connections::{CALL_TIMEOUT, CONNECT_TIMEOUT, CONNECTIONS_MAX, WAIT_TIMEOUT};
pub use error::RedisError;
pub use reader::{ASKS_MAX, RedisReader};
pub use states::{Loaded, RedisStates, SAVE_BYTES_MAX, Saved};

/// Where feature state lies, and in how many shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// The address, for example `redis://127.0.0.1:6379/0`, with name and password before an `@` where it asks for them.
    pub address: String,
    /// How many shares there are: the number of partitions of the re-keyed topic, at least 1.
    pub partitions: u32,
    /// The most connections held at once, 1 to [`CONNECTIONS_MAX`]. A call waits where all are in use.
    pub connections: usize,
}
