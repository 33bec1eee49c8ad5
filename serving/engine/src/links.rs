//! The live index of who shares what with whom: fed by the stream worker, read by the fraud desk, saved beside the features.
//!
//! It is saved whole, so not at every checkpoint of the worker, but when enough was applied since the last time, and when the
//! worker ends; what was applied since is replayed from the log after a crash.

use std::path::{Path, PathBuf};

use dhow_events::{TenantId, Timestamp};
use dhow_links::{Account, FEATURES, LinkIndex, LinkQuery, LinkSettings, Ring};
use dhow_streams::checkpoint::{read_checked, write_atomically};
use dhow_streams::{Offsets, Record};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::error::failed;
use crate::{Engine, EngineError};

/// The part of the platform that errors name.
const PART: &str = "links";
/// The index is saved once so many records were applied for each of its links and accounts, in percent.
const SAVED_AFTER_PERCENT: u64 = 25;
/// The index is not saved before so many records were applied.
const SAVED_AFTER_RECORDS_MIN: u64 = 10_000;

/// What lies on the disk.
#[derive(Serialize, Deserialize)]
struct Saved {
    applied: Offsets,
    index: Vec<u8>,
}

struct State {
    index: LinkIndex,
    /// For each partition the next offset that is not applied yet.
    applied: Offsets,
    applied_since_saved: u64,
}

/// The index, shared by the worker that writes it and the questions that read it.
pub(crate) struct LiveLinks {
    path: PathBuf,
    state: RwLock<State>,
}

impl LiveLinks {
    /// Reads what was saved at `path`. Where nothing was, or with other settings, the index is empty and the log is
    /// replayed into it from its beginning.
    pub fn open(path: &Path, settings: LinkSettings, partition_count: u32) -> Result<Self, EngineError> {
        let fresh = || (LinkIndex::new(settings), Offsets::start(partition_count));
        let (index, applied) = match read_checked(path).map_err(failed(PART))? {
            None => fresh(),
            Some(bytes) => {
                let saved: Saved = postcard::from_bytes(&bytes).map_err(failed(PART))?;
                saved.applied.check_partition_count(partition_count).map_err(failed(PART))?;
                let index = LinkIndex::restore(&saved.index).map_err(failed(PART))?;
                if *index.settings() == settings {
                    (index, saved.applied)
                } else {
                    tracing::warn!("the links were kept with other settings; they are built anew from the log");
                    fresh()
                }
            }
        };
        Ok(Self { path: path.to_owned(), state: RwLock::new(State { index, applied, applied_since_saved: 0 }) })
    }

    /// For each partition the next offset that is not applied yet.
    pub fn offsets(&self) -> Offsets {
        self.state.read().applied.clone()
    }

    /// Takes in a record, unless it did before.
    pub fn apply(&self, record: &Record) {
        let state = &mut *self.state.write();
        if state.applied.0.get(record.partition as usize).is_some_and(|next| record.offset < *next) {
            return;
        }
        state.index.apply(&record.event, record.known_time);
        state.applied.advance(record);
        state.applied_since_saved += 1;
    }

    /// Holds from here on `index`, to which the log was applied up to `applied`, and forgets what it held.
    pub fn take_over(&self, index: LinkIndex, applied: Offsets) {
        *self.state.write() = State { index, applied, applied_since_saved: 1 };
    }

    /// The features of a query, and how far the log was applied to them.
    pub fn features(&self, query: &LinkQuery, at: Timestamp) -> ([f64; FEATURES.len()], Offsets) {
        let state = self.state.read();
        (state.index.features(query, at).values(), state.applied.clone())
    }

    /// Saves the index where enough was applied since it was saved last.
    pub fn save_if_due(&self) -> Result<(), EngineError> {
        let due = {
            let state = self.state.read();
            let stats = state.index.stats();
            let held = (stats.links + stats.accounts) as u64;
            state.applied_since_saved >= SAVED_AFTER_RECORDS_MIN.max(held * SAVED_AFTER_PERCENT / 100)
        };
        if due { self.save() } else { Ok(()) }
    }

    /// Saves the index where anything was applied since it was saved last. The file holds the old one or the new one
    /// whenever the process ends.
    pub fn save(&self) -> Result<(), EngineError> {
        let saved = {
            let state = self.state.read();
            if state.applied_since_saved == 0 {
                return Ok(());
            }
            Saved { applied: state.applied.clone(), index: state.index.snapshot().map_err(failed(PART))? }
        };
        let bytes = postcard::to_allocvec(&saved).map_err(failed(PART))?;
        write_atomically(&self.path, &bytes).map_err(failed(PART))?;
        self.state.write().applied_since_saved = 0;
        Ok(())
    }
}

impl Engine {
    /// Who shares cards, devices and addresses with whom around a query, as of now.
    pub fn ring(&self, query: &LinkQuery) -> Ring {
        self.shared().links.state.read().index.ring(query, self.clock().now())
    }

    /// Whether any event told of an account or of what it uses.
    pub(crate) fn knows_account(&self, tenant: TenantId, account: Account) -> bool {
        self.shared().links.state.read().index.knows(tenant, account)
    }

    /// The bounds of the links between accounts.
    pub fn link_settings(&self) -> LinkSettings {
        *self.shared().links.state.read().index.settings()
    }
}
