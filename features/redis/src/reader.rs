//! Reads of feature state that a fleet keeps in Redis; it writes nothing and keeps nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_definitions::FeatureSet;
use dhow_events::{TenantId, Timestamp};
use dhow_online::{Cut, FeatureReads, PartReader, ReadError, Readings};
use dhow_streams::share_of;

use crate::connections::Connections;
use crate::layout::{HEAD, Head, Keys};
use crate::{RedisError, RedisSettings};

/// The most entities of one read.
pub const ASKS_MAX: usize = 100_000;

/// The features that a fleet of workers keeps, read by any replica.
///
/// Each read is one round trip. It blocks its thread, so an asynchronous server makes it where blocking is allowed. What
/// a partition's worker applied since its last save is not seen yet; [`Cut::offsets`] says how far each partition is. A
/// read without any ask touches no partition, so it has no cut and is never too early.
#[derive(Debug)]
pub struct RedisReader {
    connections: Connections,
    keys: Keys,
    parts: PartReader,
}

/// A series as it was read, and with which of the cuts.
#[derive(Debug, Clone, Default)]
struct Found {
    cut: usize,
    value: Option<Vec<u8>>,
}

impl RedisReader {
    /// Connects to Redis.
    ///
    /// # Errors
    /// Wrong settings, no Redis answers, or one that evicts keys.
    pub fn connect(redis: &RedisSettings, features: Arc<FeatureSet>) -> Result<Self, RedisError> {
        let connections = Connections::open(redis)?;
        let keys = Keys::new(&features, redis.partitions);
        Ok(Self { connections, keys, parts: PartReader::new(features) })
    }

    /// For each partition that was saved how far it is.
    ///
    /// # Errors
    /// A call failed, or the state is damaged or of a fleet of another size.
    pub fn cuts(&self) -> Result<Vec<Cut>, RedisError> {
        let mut pipe = redis::pipe();
        for partition in 0..self.keys.count() {
            pipe.cmd("HGET").arg(self.keys.series(partition)).arg(HEAD);
        }
        let heads: Vec<Option<Vec<u8>>> =
            self.connections.read("reading the partitions' heads", |connection| pipe.query(connection))?;
        let saved = (0_u32..).zip(heads).filter_map(|(partition, head)| Some((partition, head?)));
        saved.map(|(partition, head)| Ok(Head::parse(Some(&head), self.keys.share(partition)?)?.cut)).collect()
    }

    /// The cuts of all partitions that hold one of these entities, and for each ask its series.
    fn fetch(&self, tenant: TenantId, asks: &[(usize, u128)]) -> Result<(Vec<Cut>, Vec<Found>), ReadError> {
        let mut asks_of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (number, (_, id)) in asks.iter().enumerate() {
            asks_of.entry(share_of(tenant, *id, self.keys.count())).or_default().push(number);
        }
        let mut pipe = redis::pipe();
        for (partition, numbers) in &asks_of {
            pipe.cmd("HMGET").arg(self.keys.series(*partition)).arg(HEAD);
            for &number in numbers {
                let (view, id) = asks[number];
                pipe.arg(self.parts.name(tenant, view, id)?);
            }
        }
        if asks_of.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let replies: Vec<Vec<Option<Vec<u8>>>> =
            self.connections.read("reading features", |connection| pipe.query(connection)).map_err(unavailable)?;
        let (mut cuts, mut found) = (Vec::with_capacity(asks_of.len()), vec![Found::default(); asks.len()]);
        for ((partition, numbers), reply) in asks_of.iter().zip(replies) {
            let mut values = reply.into_iter();
            let share = self.keys.share(*partition).map_err(unavailable)?;
            let head = Head::parse(values.next().flatten().as_deref(), share).map_err(unavailable)?;
            for (&number, value) in numbers.iter().zip(values) {
                found[number] = Found { cut: cuts.len(), value };
            }
            cuts.push(head.cut);
        }
        Ok((cuts, found))
    }
}

impl FeatureReads for RedisReader {
    fn features(&self) -> Arc<FeatureSet> {
        self.parts.features().clone()
    }

    fn read_many(
        &self,
        tenant: TenantId,
        asks: &[(usize, u128)],
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<Readings, ReadError> {
        if asks.len() > ASKS_MAX {
            return Err(ReadError::TooMany { found: asks.len(), limit: ASKS_MAX });
        }
        let (cuts, found) = self.fetch(tenant, asks)?;
        let length = out.len();
        let read = |((view, _), found): (&(usize, u128), &Found)| {
            self.parts.read(*view, found.value.as_deref(), &cuts[found.cut], at, out)
        };
        let latest_event_times: Result<Vec<Option<Timestamp>>, ReadError> = asks.iter().zip(&found).map(read).collect();
        match latest_event_times {
            Ok(latest_event_times) => Ok(Readings { latest_event_times, as_of: cuts }),
            Err(error) => {
                out.truncate(length);
                Err(error)
            }
        }
    }

    fn freshest_event_time(&self) -> Result<Option<Timestamp>, ReadError> {
        let cuts = self.cuts().map_err(unavailable)?;
        Ok(cuts.iter().filter_map(|cut| cut.freshest_event_time).max())
    }
}

fn unavailable(error: RedisError) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
