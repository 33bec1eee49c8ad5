//! What every log offers, wherever its records are kept; it knows no file and no broker.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dhow_events::{Event, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointError;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The partition, below [`Log::partition_count`].
    pub partition: u32,
    /// The record's number in its partition, from 0.
    pub offset: u64,
}

/// An event in a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The partition, below [`Log::partition_count`].
    pub partition: u32,
    /// The record's number in its partition, from 0.
    pub offset: u64,
    /// When the log took the event in; never earlier than the known time of the record before it in the partition.
    pub known_time: Timestamp,
    /// The event.
    pub event: Event,
}

/// For each partition, the offset of the next record: how far a log was written, read or applied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Offsets(pub Vec<u64>);

impl Offsets {
    /// The beginning of a log of `partition_count` partitions.
    pub fn start(partition_count: u32) -> Self {
        Self(vec![0; partition_count as usize])
    }

    /// The present ends of `log`.
    ///
    /// # Errors
    /// What [`Log::end`] returns.
    pub fn ends(log: &dyn Log) -> Result<Self, LogError> {
        (0..log.partition_count()).map(|partition| log.end(partition)).collect::<Result<_, _>>().map(Self)
    }

    /// How many records lie before these offsets, over all partitions.
    pub fn record_count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Checks that there is an offset for each of `partition_count` partitions.
    ///
    /// # Errors
    /// Another number of offsets.
    pub fn check_partition_count(&self, partition_count: u32) -> Result<(), LogError> {
        if self.0.len() == partition_count as usize {
            return Ok(());
        }
        Err(LogError::OffsetCount { found: self.0.len(), partition_count })
    }

    /// Notes that `record` was applied.
    pub fn advance(&mut self, record: &Record) {
        if let Some(next) = self.0.get_mut(record.partition as usize) {
            *next = record.offset + 1;
        }
    }
}

/// Why a log refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The operating system refused to read or write.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was tried, for example `cannot sync`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// A whole file could not be written or read.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// Another process has the log open.
    #[error("the log in {0} is in use by another process; stop that one first")]
    InUse(PathBuf),
    /// The bytes of a file are not what was written.
    #[error("{path} is damaged at byte {byte}: {reason}; restore the file from a copy, or move the log's folder away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file the first wrong thing begins.
        byte: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file was written by another version of the program.
    #[error("{path} has format version {found}; this program reads version {supported}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version that can be read.
        supported: u32,
    },
    /// A setting that cannot work, or that contradicts the log on disk.
    #[error("the setting {name} of the log {problem}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// There is no such partition.
    #[error("partition {partition} does not exist: the log has {partition_count} partitions, counted from 0")]
    Partition {
        /// The partition asked for.
        partition: u32,
        /// How many there are.
        partition_count: u32,
    },
    /// Offsets of another log.
    #[error("there are offsets for {found} partitions, but the log has {partition_count}; they belong to another log")]
    OffsetCount {
        /// How many offsets were given.
        found: usize,
        /// How many partitions there are.
        partition_count: u32,
    },
    /// A read beyond the end.
    #[error("partition {partition} ends at offset {end}; offset {from} does not exist yet")]
    BeyondEnd {
        /// The partition.
        partition: u32,
        /// The offset asked for.
        from: u64,
        /// The next offset to be written.
        end: u64,
    },
    /// A read before the oldest record that is kept.
    #[error("partition {partition} begins at offset {start}; offset {from} is no longer kept")]
    BeforeStart {
        /// The partition.
        partition: u32,
        /// The offset asked for.
        from: u64,
        /// The oldest offset that is kept.
        start: u64,
    },
    /// Too many events in one append.
    #[error("an append of {found} events; at most {limit} are allowed at once")]
    TooManyEvents {
        /// How many were given.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// An event whose encoded form is too long.
    #[error("event {index} of the append takes {found} bytes; at most {limit} are allowed")]
    EventTooLong {
        /// Its index in the append.
        index: usize,
        /// Its length in bytes.
        found: usize,
        /// The longest length in bytes.
        limit: usize,
    },
    /// A known time that goes back.
    #[error("the known time {found} of event {index} lies before {last}, the last one of partition {partition}")]
    KnownTime {
        /// The event's index in the append.
        index: usize,
        /// The partition.
        partition: u32,
        /// Its known time.
        found: Timestamp,
        /// The earliest that would be right.
        last: Timestamp,
    },
    /// An event that cannot be encoded.
    #[error("event {index} of the append cannot be encoded: {reason}")]
    Encode {
        /// Its index in the append.
        index: usize,
        /// The codec's reason.
        reason: String,
    },
    /// An earlier write failed in a way that leaves the disk's state unknown.
    #[error("the log takes no more events until it is opened again, because {0}")]
    Stopped(String),
    /// The log cannot change what it holds.
    #[error("{0} cannot change events that it holds")]
    Immutable(String),
    /// A record that was to be rewritten was not.
    #[error("the record at byte {byte} of {path} was not rewritten: {reason}")]
    NotRewritten {
        /// The file.
        path: PathBuf,
        /// Where in the file the record begins.
        byte: u64,
        /// Why not.
        reason: String,
    },
    /// A service that keeps the log refused or did not answer.
    #[error("{0}")]
    Service(String),
}

impl LogError {
    /// Names what was tried on which path.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }
}

/// Rewrites the encoded form of an event in place, says whether it changed, or why it cannot.
pub type RecordChange<'a> = &'a dyn Fn(&Event, &mut [u8]) -> Result<bool, String>;

/// An ordered, partitioned, replayable sequence of events.
///
/// Events of one tenant with one routing key keep their order; see [`partition_of`].
pub trait Log: Send + Sync {
    /// The number of partitions, at least 1; it never changes.
    fn partition_count(&self) -> u32;

    /// Adds `events`; they are durable when this returns, and their positions are given in the order of `events`.
    ///
    /// The log sets each known time from its clock, not before the previous record's in the partition. Whether an event
    /// is valid is the caller's to check. After an error the events may or may not be there: an append that is tried
    /// again can write an event twice, which readers recognise by its id.
    ///
    /// # Errors
    /// Too many or too long events, or the storage's failure.
    fn append(&self, events: &[Event]) -> Result<Vec<Position>, LogError>;

    /// Adds events with the known times that they had elsewhere: for simulated history and imports only.
    ///
    /// Durable when it returns. A later [`Log::append`] sets no known time before the latest of these, so a history that
    /// lies in the future stops known time until the clock has passed it.
    ///
    /// # Errors
    /// As [`Log::append`]; also a known time that lies before the one before it in its partition, and then nothing is
    /// written.
    fn append_known(&self, arrivals: &[(Event, Timestamp)]) -> Result<Vec<Position>, LogError>;

    /// Appends to `into` at most `records_max` records of `partition`, starting with offset `from`; none at the end.
    ///
    /// # Errors
    /// No such partition, an offset that is not there, damage, or the storage's failure. Records read before the
    /// failure stay in `into`.
    fn read(&self, partition: u32, from: u64, records_max: usize, into: &mut Vec<Record>) -> Result<(), LogError>;

    /// The offset that the next record of `partition` will have.
    ///
    /// # Errors
    /// No such partition, or the storage's failure.
    fn end(&self, partition: u32) -> Result<u64, LogError>;

    /// Lets `change` rewrite the records that are in the log now, in place and without changing their lengths; gives how many
    /// it changed. Positions and known times stay. What is appended meanwhile is left as it is.
    ///
    /// Readers see each record as it was or as it is. A process that ends on the way leaves some records changed and others
    /// not, so `change` must leave alone what it has changed before.
    ///
    /// # Errors
    /// The log cannot change what it holds, `change` refuses a record, damage, or the storage's failure.
    fn rewrite(&self, change: RecordChange<'_>) -> Result<u64, LogError>;

    /// Blocks until a partition reaches beyond its offset in `ends`, or `timeout` is over; says whether one does.
    ///
    /// # Errors
    /// `ends` for another number of partitions, or the storage's failure.
    fn wait(&self, ends: &Offsets, timeout: Duration) -> Result<bool, LogError>;
}

/// The partition of `event` among `partition_count` (at least 1): the share of its fact's routing key.
///
/// The function never changes, because it decides where the records of existing logs are.
pub fn partition_of(event: &Event, partition_count: u32) -> u32 {
    share_of(event.tenant, event.fact.routing_key(), partition_count)
}

/// Which of `count` (at least 1) equal shares of all keys `key` of `tenant` belongs to: a hash of the two.
///
/// The function never changes, because it decides where records and state are kept.
pub fn share_of(tenant: TenantId, key: u128, count: u32) -> u32 {
    // FNV-1a over the tenant, then the finaliser of SplitMix64 over each half of the key.
    let tenant = tenant.as_str().bytes();
    let mut hash =
        tenant.fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    for half in [key as u64, (key >> 64) as u64] {
        hash = mix(hash ^ half);
    }
    (hash % u64::from(count.max(1))) as u32
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
