//! The log in local files: one writer process, durable appends by group commit, shared reads; it removes no old records.
//!
//! The folder holds `log` (version and partition count), `lock`, and a folder of segments for each partition. An append
//! that touches several partitions is durable as a whole when it returns, but is not atomic: after a crash, an append
//! that was not acknowledged can be there in part. Reads and writes name their place in a file, which needs a Unix system.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dhow_events::{Clock, Event, Timestamp};
use parking_lot::{Condvar, Mutex};

use crate::checkpoint::{create_folder, read_checked, write_atomically};
use crate::group::Group;
use crate::log::{Offsets, Position, partition_of};
use crate::partition::{self, Segments, Tail};
use crate::{Log, LogError, Record, RecordChange, frame};

/// The version of the folder's layout.
const LAYOUT_VERSION: u32 = 1;
/// The most events of one append.
pub const APPEND_EVENTS_MAX: usize = 100_000;
/// The most partitions.
pub const PARTITIONS_MAX: u32 = 1024;
/// The smallest and the largest size at which a segment counts as full.
pub const SEGMENT_BYTES_RANGE: std::ops::RangeInclusive<u64> = 1 << 10..=4 << 30;

/// How a [`LocalLog`] is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalLogSettings {
    /// The number of partitions, 1 to [`PARTITIONS_MAX`]. It is fixed when the log is created.
    pub partitions: u32,
    /// A segment of at least this many bytes gets a successor; within [`SEGMENT_BYTES_RANGE`].
    pub segment_bytes: u64,
}

impl Default for LocalLogSettings {
    /// Four partitions, segments of 64 MiB.
    fn default() -> Self {
        Self { partitions: 4, segment_bytes: 64 << 20 }
    }
}

/// What opening a log had to repair after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Partitions whose last, never acknowledged append was torn.
    pub torn_tails: u32,
    /// The bytes cut off.
    pub torn_bytes: u64,
}

/// A log in a local folder.
pub struct LocalLog {
    segment_bytes: u64,
    clock: Arc<dyn Clock>,
    partitions: Vec<Arc<Segments>>,
    group: Group<Request, Answer>,
    writer: Mutex<Writer>,
    /// What readers may see; changes wake those who wait.
    ends: Mutex<Vec<u64>>,
    grown: Condvar,
    recovery: Recovery,
    _lock: FolderLock,
}

struct Writer {
    tails: Vec<Tail>,
    /// Why nothing may be written any more: after a failed sync the state of the disk is unknown.
    stopped: Option<String>,
}

type Answer = Result<Vec<Position>, LogError>;

/// Encoded events of one append.
struct Request {
    /// The partition of each event.
    routes: Vec<u32>,
    /// The frames for each partition, in the order of the events.
    frames: Vec<Vec<u8>>,
    /// The known time of each event, where the caller brings them.
    known_times: Option<Vec<Timestamp>>,
}

impl LocalLog {
    /// Opens the log in `folder`, or creates it. Known times come from `clock`.
    ///
    /// Torn tails left by a crash are cut off and counted in [`LocalLog::recovery`].
    ///
    /// # Errors
    /// A setting out of its range or different from the log's, another process that has the log open, damage, another
    /// format version, or the system's refusal.
    pub fn open(folder: &Path, settings: LocalLogSettings, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        check_settings(&settings)?;
        create_folder(folder)?;
        let lock = lock(folder)?;
        create_or_check_layout(folder, settings.partitions)?;
        let mut recovery = Recovery::default();
        let (mut partitions, mut tails) = (Vec::new(), Vec::new());
        for id in 0..settings.partitions {
            let opened = partition::open(&partition::folder_of(folder, id), id)?;
            recovery.torn_tails += u32::from(opened.torn_bytes > 0);
            recovery.torn_bytes += opened.torn_bytes;
            partitions.push(opened.segments);
            tails.push(opened.tail);
        }
        let ends = tails.iter().map(|tail| tail.staged().next_offset).collect();
        Ok(Self {
            segment_bytes: settings.segment_bytes,
            clock,
            partitions,
            group: Group::new(),
            writer: Mutex::new(Writer { tails, stopped: None }),
            ends: Mutex::new(ends),
            grown: Condvar::new(),
            recovery,
            _lock: lock,
        })
    }

    /// What opening had to repair.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    fn encode<'a>(
        &self,
        events: impl ExactSizeIterator<Item = &'a Event>,
        known_time: impl Fn(usize) -> Timestamp,
    ) -> Result<Request, LogError> {
        if events.len() > APPEND_EVENTS_MAX {
            return Err(LogError::TooManyEvents { found: events.len(), limit: APPEND_EVENTS_MAX });
        }
        let mut routes = Vec::with_capacity(events.len());
        let mut frames = vec![Vec::new(); self.partitions.len()];
        for (index, event) in events.enumerate() {
            let route = partition_of(event, self.partition_count());
            let part = &mut frames[route as usize];
            *part = frame::push_record(event, index, known_time(index), std::mem::take(part))?;
            routes.push(route);
        }
        Ok(Request { routes, frames, known_times: None })
    }

    /// Carries out appends together: stage all, write, sync each touched partition once, acknowledge.
    fn commit(&self, requests: Vec<Request>) -> Vec<Answer> {
        let mut writer = self.writer.lock();
        let now = self.clock.now();
        let mut answers: Vec<Answer> = match writer.ready(self.segment_bytes) {
            Ok(()) => requests.iter().map(|request| writer.stage(request, now)).collect(),
            Err(error) => return requests.iter().map(|_| Err(error.clone())).collect(),
        };
        match writer.write_staged() {
            Ok(()) => self.publish_ends(&writer),
            Err(error) => fail_all(&mut answers, &error),
        }
        answers
    }

    fn publish_ends(&self, writer: &Writer) {
        let mut ends = self.ends.lock();
        for (end, tail) in ends.iter_mut().zip(&writer.tails) {
            *end = tail.staged().next_offset;
        }
        self.grown.notify_all();
    }

    fn segments(&self, partition: u32) -> Result<&Segments, LogError> {
        let partition_count = self.partition_count();
        self.partitions
            .get(partition as usize)
            .map(Arc::as_ref)
            .ok_or(LogError::Partition { partition, partition_count })
    }
}

impl Log for LocalLog {
    fn partition_count(&self) -> u32 {
        self.partitions.len() as u32
    }

    /// At most [`APPEND_EVENTS_MAX`] events; known times never go back over all partitions.
    fn append(&self, events: &[Event]) -> Result<Vec<Position>, LogError> {
        let request = self.encode(events.iter(), |_| Timestamp::MIN)?;
        self.group.submit(request, |requests| self.commit(requests))
    }

    fn append_known(&self, arrivals: &[(Event, Timestamp)]) -> Result<Vec<Position>, LogError> {
        let events = arrivals.iter().map(|(event, _)| event);
        let mut request =
            self.encode(events, |index| arrivals.get(index).map_or(Timestamp::MIN, |arrival| arrival.1))?;
        request.known_times = Some(arrivals.iter().map(|arrival| arrival.1).collect());
        self.group.submit(request, |requests| self.commit(requests))
    }

    fn read(&self, partition: u32, from: u64, records_max: usize, into: &mut Vec<Record>) -> Result<(), LogError> {
        let segments = self.segments(partition)?;
        let end = self.end(partition)?;
        if from > end {
            return Err(LogError::BeyondEnd { partition, from, end });
        }
        segments.read(from, records_max, into)
    }

    /// Appends wait while the segments are rewritten that they go to; all others are rewritten beside them.
    fn rewrite(&self, change: RecordChange<'_>) -> Result<u64, LogError> {
        let mut count = 0;
        let mut done = BTreeSet::new();
        for segment in self.partitions.iter().flat_map(|segments| segments.complete()) {
            count += segment.rewrite(change)?;
            done.insert(segment.path.clone());
        }
        let writer = self.writer.lock();
        if let Some(reason) = &writer.stopped {
            return Err(LogError::Stopped(reason.clone()));
        }
        // What was completed since, and what still grows.
        let completed = self.partitions.iter().flat_map(|segments| segments.complete());
        for segment in completed.filter(|segment| !done.contains(&segment.path)) {
            count += segment.rewrite(change)?;
        }
        for tail in &writer.tails {
            count += tail.last().rewrite(change)?;
        }
        Ok(count)
    }

    fn end(&self, partition: u32) -> Result<u64, LogError> {
        let partition_count = self.partition_count();
        self.ends.lock().get(partition as usize).copied().ok_or(LogError::Partition { partition, partition_count })
    }

    fn wait(&self, ends: &Offsets, timeout: Duration) -> Result<bool, LogError> {
        ends.check_partition_count(self.partition_count())?;
        let has_more = |present: &[u64]| present.iter().zip(&ends.0).any(|(present, seen)| present > seen);
        let mut present = self.ends.lock();
        self.grown.wait_while_for(&mut present, |present| !has_more(present), timeout);
        Ok(has_more(&present))
    }
}

impl Writer {
    /// Checks that writing is possible, and begins new segments where the last ones are full.
    fn ready(&mut self, segment_bytes: u64) -> Result<(), LogError> {
        if let Some(reason) = &self.stopped {
            return Err(LogError::Stopped(reason.clone()));
        }
        self.tails.iter_mut().try_for_each(|tail| tail.roll_when_full(segment_bytes))
    }

    /// Puts a request into the tails and gives the positions of its events.
    fn stage(&mut self, request: &Request, now: Timestamp) -> Result<Vec<Position>, LogError> {
        let known_time = match &request.known_times {
            Some(times) => {
                self.check_known_times(&request.routes, times)?;
                None
            }
            None => Some(self.tails.iter().map(|tail| tail.staged().last_known).fold(now, Timestamp::max)),
        };
        let mut next: Vec<u64> = self.tails.iter().map(|tail| tail.staged().next_offset).collect();
        let positions = request.routes.iter().map(|&partition| {
            let offset = next[partition as usize];
            next[partition as usize] += 1;
            Position { partition, offset }
        });
        let positions = positions.collect();
        for (tail, frames) in self.tails.iter_mut().zip(&request.frames).filter(|(_, frames)| !frames.is_empty()) {
            tail.stage(frames, known_time);
        }
        Ok(positions)
    }

    fn check_known_times(&self, routes: &[u32], times: &[Timestamp]) -> Result<(), LogError> {
        let mut lasts: Vec<Timestamp> = self.tails.iter().map(|tail| tail.staged().last_known).collect();
        for (index, (&partition, &found)) in routes.iter().zip(times).enumerate() {
            let last = &mut lasts[partition as usize];
            if found < *last {
                return Err(LogError::KnownTime { index, partition, found, last: *last });
            }
            *last = found;
        }
        Ok(())
    }

    /// Makes all that is staged durable and visible, or undoes it; where that fails too, the log takes no more events.
    fn write_staged(&mut self) -> Result<(), LogError> {
        let mut dirty: Vec<&mut Tail> = self.tails.iter_mut().filter(|tail| tail.is_dirty()).collect();
        let outcome = match dirty.iter_mut().try_for_each(|tail| tail.write()) {
            Err(error) => match undo(dirty) {
                Ok(()) => return Err(error),
                Err(undone) => Err(undone),
            },
            Ok(()) => sync_all(&dirty).and_then(|()| dirty.into_iter().try_for_each(Tail::publish)),
        };
        outcome.inspect_err(|error| self.stopped = Some(error.to_string()))
    }
}

fn undo(dirty: Vec<&mut Tail>) -> Result<(), LogError> {
    dirty.into_iter().try_for_each(Tail::undo)
}

/// Syncs the partitions at the same time, because the file system joins syncs that overlap.
fn sync_all(dirty: &[&mut Tail]) -> Result<(), LogError> {
    let Some((first, others)) = dirty.split_first() else { return Ok(()) };
    thread::scope(|scope| {
        let syncs: Vec<_> = others.iter().map(|tail| scope.spawn(|| tail.sync())).collect();
        let mut outcome = first.sync();
        for sync in syncs {
            let other = sync.join().unwrap_or_else(|_| Err(LogError::Stopped("a sync was broken off".to_owned())));
            outcome = outcome.and(other);
        }
        outcome
    })
}

fn fail_all(answers: &mut [Answer], error: &LogError) {
    for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
        *answer = Err(error.clone());
    }
}

fn check_settings(settings: &LocalLogSettings) -> Result<(), LogError> {
    if !(1..=PARTITIONS_MAX).contains(&settings.partitions) {
        let problem = format!("is {}; it must be from 1 to {PARTITIONS_MAX}", settings.partitions);
        return Err(LogError::Setting { name: "partitions", problem });
    }
    if !SEGMENT_BYTES_RANGE.contains(&settings.segment_bytes) {
        let (low, high) = (SEGMENT_BYTES_RANGE.start(), SEGMENT_BYTES_RANGE.end());
        let problem = format!("is {}; it must be from {low} to {high}", settings.segment_bytes);
        return Err(LogError::Setting { name: "segment_bytes", problem });
    }
    Ok(())
}

/// Holds the folder as long as the log is open.
struct FolderLock(File);

impl Drop for FolderLock {
    /// Gives the lock up by name: closing the file alone would keep it while a process started meanwhile has a copy.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "could not unlock the log; its lock ends with this process");
        }
    }
}

/// Takes the advisory lock of the folder; the system releases it when the process ends, however it ends.
fn lock(folder: &Path) -> Result<FolderLock, LogError> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(LogError::io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(LogError::io("cannot lock", &path)(error)),
    }
}

/// Checks the folder's `log` file against the settings. A new log is complete when that file is written, after all else.
fn create_or_check_layout(folder: &Path, partitions: u32) -> Result<(), LogError> {
    let path: PathBuf = folder.join("log");
    let Some(content) = read_checked(&path)? else {
        for id in 0..partitions {
            partition::create(&partition::folder_of(folder, id), id)?;
        }
        let content = [LAYOUT_VERSION.to_le_bytes(), partitions.to_le_bytes()].concat();
        return Ok(write_atomically(&path, &content)?);
    };
    let [v0, v1, v2, v3, p0, p1, p2, p3] = content[..] else {
        let reason = format!("it should hold 8 bytes and holds {}", content.len());
        return Err(LogError::Damaged { path, byte: 0, reason });
    };
    let version = u32::from_le_bytes([v0, v1, v2, v3]);
    if version != LAYOUT_VERSION {
        return Err(LogError::Version { path, found: version, supported: LAYOUT_VERSION });
    }
    let found = u32::from_le_bytes([p0, p1, p2, p3]);
    if found != partitions {
        let problem = format!("is {partitions}, but the log in {} has {found}; use {found}", folder.display());
        return Err(LogError::Setting { name: "partitions", problem });
    }
    Ok(())
}
