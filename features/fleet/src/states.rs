//! Where a fleet keeps the state of each partition of the re-keyed topic; what is in it is the online store's.

use std::error::Error;

use dhow_online::OnlineStore;
use dhow_redis::{Loaded, RedisStates, Saved};

/// Why state could not be loaded or written.
pub type StatesError = Box<dyn Error + Send + Sync>;

/// Keeps the state of the partitions of the re-keyed topic, for all workers of a fleet.
pub trait PartitionStates: Send {
    /// What was written last for `partition`; nothing, of generation 0, where nothing ever was.
    ///
    /// # Errors
    /// It cannot be had, or is not what it should be.
    fn load(&mut self, partition: u32) -> Result<Loaded, StatesError>;

    /// Writes what changed in `store` since it was loaded or last written, and that `next` is the offset of the next
    /// record to apply: all or nothing, and only while the stored generation is `generation`.
    ///
    /// # Errors
    /// It cannot be written, or whether it was cannot be known.
    fn save(&mut self, partition: u32, store: &OnlineStore, next: u64, generation: u64) -> Result<Saved, StatesError>;
}

impl PartitionStates for RedisStates {
    fn load(&mut self, partition: u32) -> Result<Loaded, StatesError> {
        Ok(RedisStates::load(self, partition)?)
    }

    fn save(&mut self, partition: u32, store: &OnlineStore, next: u64, generation: u64) -> Result<Saved, StatesError> {
        Ok(RedisStates::save(self, partition, store, next, generation)?)
    }
}
