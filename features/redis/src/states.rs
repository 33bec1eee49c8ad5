//! The state of each partition as its worker loads and saves it; how readers see it is elsewhere.

use std::sync::Arc;

use dhow_definitions::FeatureSet;
use dhow_online::{Changes, OnlineSettings, OnlineStore, Parts};
use redis::{Connection, Pipeline, RedisResult};

use crate::connections::Connections;
use crate::layout::{HEAD, Head, Keys, PROGRESS};
use crate::{RedisError, RedisSettings};

/// The most bytes of one save. Redis keeps them in memory until the last has come; its own limit for a client is 1 GiB.
pub const SAVE_BYTES_MAX: usize = 256 << 20;

/// About how many series are asked for at a time while a partition is loaded.
const SCAN_COUNT: usize = 1_000;
/// Lists of ids that are asked for at a time; each is that of one save.
const ID_LISTS: isize = 1_000;
/// Fields in one command of a save.
const FIELDS_PER_COMMAND: usize = 1_000;
/// How often a partition is loaded that another worker saves meanwhile.
const LOAD_TRIES: usize = 5;

/// A partition's state.
#[derive(Debug)]
pub struct Loaded {
    /// The features of its entities.
    pub store: OnlineStore,
    /// The next offset of the re-keyed topic.
    pub rekeyed_offset: u64,
    /// Names the state; [`RedisStates::save`] wants it back. It is not a count.
    pub generation: u64,
}

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It was done; this is the state's generation now.
    New(u64),
    /// Another worker saved the partition, or Redis lost what was saved. Nothing was written: drop the store and load it.
    Refused,
}

/// The states of all partitions, for workers.
#[derive(Debug)]
pub struct RedisStates {
    connections: Connections,
    keys: Keys,
    features: Arc<FeatureSet>,
    settings: OnlineSettings,
}

impl RedisStates {
    /// Connects to Redis.
    ///
    /// # Errors
    /// Wrong settings, no Redis answers, or one that evicts keys.
    pub fn connect(
        redis: &RedisSettings,
        features: Arc<FeatureSet>,
        settings: OnlineSettings,
    ) -> Result<Self, RedisError> {
        let connections = Connections::open(redis)?;
        let keys = Keys::new(&features, redis.partitions);
        Ok(Self { connections, keys, features, settings })
    }

    /// Loads a partition's state; an empty one where it was never saved.
    ///
    /// # Errors
    /// No such partition, a call failed, the state is damaged or of a fleet of another size, or another worker kept saving
    /// it meanwhile.
    pub fn load(&self, partition: u32) -> Result<Loaded, RedisError> {
        for _ in 0..LOAD_TRIES {
            let before = self.head(partition)?;
            let store = self.load_parts(partition, &before);
            // What was read while another worker saved is of two states, and not even an error says anything then.
            if self.head(partition)?.generation == before.generation {
                let Head { rekeyed_offset, generation, .. } = before;
                return Ok(Loaded { store: store?, rekeyed_offset, generation });
            }
        }
        Err(RedisError::Moving { partition, tries: LOAD_TRIES })
    }

    fn head(&self, partition: u32) -> Result<Head, RedisError> {
        let (share, key) = (self.keys.share(partition)?, self.keys.series(partition));
        let read = |connection: &mut Connection| redis::cmd("HGET").arg(&key).arg(HEAD).query(connection);
        let head: Option<Vec<u8>> = self.connections.read("reading a partition's head", read)?;
        Head::parse(head.as_deref(), share)
    }

    fn load_parts(&self, partition: u32, head: &Head) -> Result<OnlineStore, RedisError> {
        let (share, key) = (self.keys.share(partition)?, self.keys.series(partition));
        if head.generation == 0 {
            return Ok(OnlineStore::with_share(self.features.clone(), self.settings, share));
        }
        let read = |connection: &mut Connection| redis::cmd("HGET").arg(&key).arg(PROGRESS).query(connection);
        let progress: Option<Vec<u8>> = self.connections.read("reading a partition's progress", read)?;
        let progress = progress.unwrap_or_default();
        let mut parts = Parts::new(self.features.clone(), share, &progress, head.ids_generation)?;
        self.load_series(&key, &mut parts)?;
        for generation in [head.ids_generation - 1, head.ids_generation] {
            self.load_ids(partition, generation, &mut parts)?;
        }
        Ok(OnlineStore::from_parts(self.settings, parts))
    }

    fn load_series(&self, key: &str, parts: &mut Parts) -> Result<(), RedisError> {
        let mut cursor = 0_u64;
        loop {
            let scan = |connection: &mut Connection| {
                redis::cmd("HSCAN").arg(key).arg(cursor).arg("COUNT").arg(SCAN_COUNT).query(connection)
            };
            let (next, fields): (u64, Vec<Vec<u8>>) = self.connections.read("loading series", scan)?;
            for field in fields.chunks_exact(2).filter(|field| field[0] != HEAD && field[0] != PROGRESS) {
                parts.series(&field[0], &field[1])?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn load_ids(&self, partition: u32, generation: i64, parts: &mut Parts) -> Result<(), RedisError> {
        let key = self.keys.ids(partition, generation);
        let mut first = 0;
        loop {
            let range = |connection: &mut Connection| {
                redis::cmd("LRANGE").arg(&key).arg(first).arg(first + ID_LISTS - 1).query(connection)
            };
            let lists: Vec<Vec<u8>> = self.connections.read("loading ids of events", range)?;
            for ids in &lists {
                parts.ids(generation, ids)?;
            }
            if lists.len() < ID_LISTS as usize {
                return Ok(());
            }
            first += ID_LISTS;
        }
    }

    /// Saves what changed in `store` since it was loaded or last saved, and the next offset of the re-keyed topic, in one
    /// atomic step; only where the stored state is still that of `generation`.
    ///
    /// After an error it may have been done or not. The same call can be made again, and is refused if it had been done.
    ///
    /// # Errors
    /// The store is of another share, more changed than one write holds, or a call failed.
    pub fn save(
        &self,
        partition: u32,
        store: &OnlineStore,
        rekeyed_offset: u64,
        generation: u64,
    ) -> Result<Saved, RedisError> {
        let (found, wanted) = (store.share(), self.keys.share(partition)?);
        if found != wanted {
            return Err(RedisError::OtherShare { found, wanted });
        }
        let next = Head::next_generation(generation, rekeyed_offset);
        let saved = store.save_parts(|changes| {
            let head =
                Head { generation: next, rekeyed_offset, ids_generation: changes.generation, cut: changes.cut.clone() };
            self.write(partition, &head, changes, generation)
        })?;
        Ok(if saved { Saved::New(next) } else { Saved::Refused })
    }

    /// Writes everything if the stored generation is the expected one and stays so.
    fn write(&self, partition: u32, head: &Head, changes: &Changes, expected: u64) -> Result<bool, RedisError> {
        let bytes = changes.bytes();
        if bytes > SAVE_BYTES_MAX {
            return Err(RedisError::TooLarge { bytes, limit: SAVE_BYTES_MAX });
        }
        let (key, share, encoded) = (self.keys.series(partition), self.keys.share(partition)?, head.encode()?);
        self.connections.write("saving a partition", |connection| {
            let stored = Head::parse(watch_head(connection, &key)?.as_deref(), share);
            match stored {
                Ok(stored) if stored.generation == expected => {
                    let mut pipe = self.pipeline(partition, &encoded, changes);
                    let stale = [stored.ids_generation - 1, stored.ids_generation];
                    for generation in stale.into_iter().filter(|generation| *generation < changes.generation - 1) {
                        pipe.cmd("DEL").arg(self.keys.ids(partition, generation)).ignore();
                    }
                    // Nothing comes back where the hash was written to since it was watched.
                    let done: Option<redis::Value> = pipe.query(connection)?;
                    Ok(Ok(done.is_some()))
                }
                other => {
                    redis::cmd("UNWATCH").exec(connection)?;
                    Ok(other.map(|_| false))
                }
            }
        })?
    }

    /// All commands of a save.
    fn pipeline(&self, partition: u32, head: &[u8], changes: &Changes) -> Pipeline {
        let key = self.keys.series(partition);
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.cmd("HSET").arg(&key).arg(HEAD).arg(head).arg(PROGRESS).arg(&changes.progress).ignore();
        for fields in changes.written.chunks(FIELDS_PER_COMMAND) {
            pipe.cmd("HSET").arg(&key);
            for (name, value) in fields {
                pipe.arg(name).arg(value);
            }
            pipe.ignore();
        }
        for names in changes.removed.chunks(FIELDS_PER_COMMAND) {
            pipe.cmd("HDEL").arg(&key).arg(names).ignore();
        }
        for (generation, ids) in &changes.ids {
            pipe.cmd("RPUSH").arg(self.keys.ids(partition, *generation)).arg(ids).ignore();
        }
        pipe
    }
}

/// Watches a partition's hash and gives its head.
fn watch_head(connection: &mut Connection, key: &str) -> RedisResult<Option<Vec<u8>>> {
    let mut pipe = redis::pipe();
    pipe.cmd("WATCH").arg(key).ignore().cmd("HGET").arg(key).arg(HEAD);
    let (head,) = pipe.query(connection)?;
    Ok(head)
}
