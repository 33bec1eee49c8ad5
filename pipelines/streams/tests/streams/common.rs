//! Events, folders and slow but plain readings of a log, shared by the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_events::facts::{ProductViewed, SearchPerformed};
use dhow_events::{DeviceId, Event, EventId, ManualClock, ProductId, Region, SessionId, TenantId, Timestamp};
use dhow_streams::{LocalLog, LocalLogSettings, Log, LogError, Record};

/// Event number `number`; numbers spread over sessions, and so over partitions.
pub fn event(number: u64) -> Event {
    Event {
        id: EventId::from_u128(u128::from(number)),
        tenant: TenantId::default(),
        event_time: Timestamp::from_micros(1_700_000_000_000_000 + number as i64),
        fact: ProductViewed {
            session: SessionId::from_u128(u128::from(number % 97) << 64),
            buyer: None,
            product: ProductId::from_u128(u128::from(number % 1009)),
            device: DeviceId::from_u128(3),
            region: Region::new("NG-LA").unwrap(),
            decision: None,
        }
        .into(),
    }
}

/// Event number `number` with a text of `text_bytes`.
pub fn long_event(number: u64, text_bytes: usize) -> Event {
    let query = "x".repeat(text_bytes);
    let fact = SearchPerformed { session: SessionId::from_u128(1), buyer: None, query, result_count: 0 };
    Event { fact: fact.into(), ..event(number) }
}

pub fn events(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(event).collect()
}

/// The number of an event made by [`event`].
pub fn number(record: &Record) -> u64 {
    record.event.id.as_u128() as u64
}

pub fn settings(partitions: u32, segment_bytes: u64) -> LocalLogSettings {
    LocalLogSettings { partitions, segment_bytes }
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)))
}

pub fn open(folder: &Path, partitions: u32) -> Result<LocalLog, LogError> {
    LocalLog::open(folder, settings(partitions, 4096), clock())
}

/// All records of a partition, read `step` at a time.
pub fn read_all(log: &dyn Log, partition: u32, step: usize) -> Result<Vec<Record>, LogError> {
    let mut records = Vec::new();
    while (records.len() as u64) < log.end(partition)? {
        let before = records.len();
        log.read(partition, before as u64, step, &mut records)?;
        assert!(records.len() > before && records.len() - before <= step);
    }
    Ok(records)
}

/// The segment files of partition 0, in order.
pub fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join("partition-0000")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
