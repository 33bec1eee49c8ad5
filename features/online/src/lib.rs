//! Windowed feature state, folded from the log and read exactly at any instant still kept; it reads no log and no clock.
//!
//! # Design goals
//! Bit for bit the value that `dhow_definitions::oracle` gives, for any read instant that is still kept, whatever was
//! late, doubled or out of order; a vector that is one consistent cut of the log; bounded, freed state.
//!
//! # How
//! For each entity of each view a series holds the events that a window can still reach, sorted by (event time,
//! event id), as rows of machine words. A read finds a window's rows by binary search and folds them. Long series carry
//! an index: accumulators of 16, 256 and 4096 rows, so that a window costs at most two raw ends and a few merges:
//!
//! ```text
//!   rows     ....|16|16|....256....|........4096........|....256....|16|16|....
//!   window    [raw 16 16 merge 256   merge 4096           merge 256  16 16 raw]
//! ```
//!
//! Windows that end together share one sweep from the newest row backwards: each adds what lies between its start and the
//! start of the next shorter one.
//!
//! A part is only merged whole if all of it was known at the instant of the read; otherwise its rows are looked at one
//! by one. Rows out of every window's reach are freed by [`OnlineStore::expire`], once they are an eighth of their series;
//! windows without a start keep them folded into one accumulator. A save writes what changed since the one before.
//!
//! A store can keep one [`Share`] of all entities, so that a fleet of workers divides them. Such a store is saved in parts
//! under names ([`OnlineStore::save_parts`]), which others read one by one ([`PartReader`]). [`FeatureReads`] is what can
//! be asked of state wherever it lies.

mod encoding;
mod index;
mod layout;
mod parts;
mod reads;
mod recent;
mod series;
mod share;
mod snapshot;
mod state;
mod store;

pub use parts::{Changes, FREED_SERIES_MAX, PARTS_VERSION, PartReader, Parts, PartsError, series_name};
pub use reads::{Cut, FeatureReads, FeatureVector, ReadError, Readings};
pub use share::{NoShare, Share};
pub use snapshot::SnapshotError;
pub use store::{Applied, OnlineSettings, OnlineStats, OnlineStore};
