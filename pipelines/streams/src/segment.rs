//! One segment file of a partition: its head, reading, the sparse index, and recovery after a crash; writing is the partition's.
//!
//! The head is the magic [`MAGIC`], the format version (u32), the partition (u32), the first record's offset (u64), the
//! time (i64 µs) before which no record of the segment is known, and the crc32 (u32) of all that, little-endian. Frames
//! follow (see [`crate::frame`]). A segment that has a successor ends with a commit mark; a partition's last one may end
//! with zeros, the room for what comes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dhow_events::Timestamp;
use dhow_events::codec::{self, CodecError};
use parking_lot::{Mutex, RwLock};

use crate::checkpoint::{UNFINISHED_SUFFIX, replace_file, sync_parent};
use crate::frame::{self, Frame, HEAD_BYTES, NoFrame};
use crate::{LogError, Record, RecordChange};

/// What a segment file begins with.
const MAGIC: [u8; 8] = *b"DHOWSEGM";
/// The format version of segments.
const VERSION: u32 = 1;
/// The length of a segment's head.
pub const SEGMENT_HEAD_BYTES: u64 = 36;
/// The index has one entry for at least this many bytes.
const INDEX_INTERVAL_BYTES: u64 = 16 << 10;
/// The bytes that a read takes from the file at once, at most and at least.
const CHUNK_BYTES_MAX: usize = 256 << 10;
const CHUNK_BYTES_MIN: usize = 4 << 10;
/// How many zeros are written ahead of the end of a partition's last segment: as many bytes as it has, within these.
const ROOM_BYTES_MIN: u64 = 64 << 10;
const ROOM_BYTES_MAX: u64 = 1 << 20;
/// What a record is assumed to take when a short read chooses how much to take from the file.
const RECORD_BYTES_GUESS: usize = 160;

/// How far a partition was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Where the frames of the last segment end.
    pub position: u64,
    /// The offset of the next record.
    pub next_offset: u64,
    /// The last record's known time; [`Timestamp::MIN`] before the first.
    pub last_known: Timestamp,
}

/// Where records stand in a segment: some offsets with their positions, ascending.
#[derive(Debug, Default)]
pub struct Index(Vec<(u64, u64)>);

impl Index {
    /// Notes a record, unless the last noted one is near.
    pub fn note(&mut self, offset: u64, position: u64) {
        if self.0.last().is_none_or(|&(_, last)| position - last >= INDEX_INTERVAL_BYTES) {
            self.0.push((offset, position));
        }
    }

    /// The last noted record that is not beyond `offset`.
    fn seek(&self, offset: u64) -> Option<(u64, u64)> {
        self.0[..self.0.partition_point(|&(noted, _)| noted <= offset)].last().copied()
    }
}

/// A segment file, open for reading and writing.
#[derive(Debug)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// Its handle; all access names its place, so that it is shared without a lock. A rewritten file takes its place.
    file: RwLock<Arc<File>>,
    /// The offset of the first record.
    pub base_offset: u64,
    /// No record of the segment is known earlier.
    known_from: Timestamp,
    partition: u32,
    /// Frames before this place are durable.
    readable_bytes: AtomicU64,
    /// `None` until the first read of a segment that was complete when the log was opened.
    index: Mutex<Option<Index>>,
}

impl Segment {
    /// Writes the file of a new segment in `folder` and opens it.
    pub fn create(folder: &Path, partition: u32, base_offset: u64, known_from: Timestamp) -> Result<Self, LogError> {
        let path = folder.join(file_name(base_offset));
        let mut head = [0; SEGMENT_HEAD_BYTES as usize];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[12..16].copy_from_slice(&partition.to_le_bytes());
        head[16..24].copy_from_slice(&base_offset.to_le_bytes());
        head[24..32].copy_from_slice(&known_from.micros().to_le_bytes());
        let crc = crc32fast::hash(&head[..32]);
        head[32..].copy_from_slice(&crc.to_le_bytes());
        replace_file(&path, &[&head])?;
        let segment = Self::open(&path, partition, base_offset)?;
        *segment.index.lock() = Some(Index::default());
        Ok(segment)
    }

    /// Opens the file of a segment and checks its head.
    pub fn open(path: &Path, partition: u32, base_offset: u64) -> Result<Self, LogError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(LogError::io("cannot open", path))?;
        let mut head = [0; SEGMENT_HEAD_BYTES as usize];
        match file.read_exact_at(&mut head, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged(path, 0, "the file is shorter than its head"));
            }
            read => read.map_err(LogError::io("cannot read", path))?,
        }
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, v2, v3, p0, p1, p2, p3, rest @ ..] = head;
        let [b0, b1, b2, b3, b4, b5, b6, b7, k0, k1, k2, k3, k4, k5, k6, k7, crc @ ..] = rest;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(damaged(path, 0, "it does not begin as a segment of a log does"));
        }
        let found = u32::from_le_bytes([v0, v1, v2, v3]);
        if found != VERSION {
            return Err(LogError::Version { path: path.to_owned(), found, supported: VERSION });
        }
        if crc32fast::hash(&head[..32]) != u32::from_le_bytes(crc) {
            return Err(damaged(path, 8, "the checksum of its head is wrong"));
        }
        let found = (u32::from_le_bytes([p0, p1, p2, p3]), u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]));
        if found != (partition, base_offset) {
            let reason = format!("it belongs to partition {} and offset {}, not here", found.0, found.1);
            return Err(damaged(path, 12, reason));
        }
        let known_from = Timestamp::from_micros(i64::from_le_bytes([k0, k1, k2, k3, k4, k5, k6, k7]));
        Ok(Self {
            path: path.to_owned(),
            file: RwLock::new(Arc::new(file)),
            base_offset,
            known_from,
            partition,
            readable_bytes: AtomicU64::new(SEGMENT_HEAD_BYTES),
            index: Mutex::new(None),
        })
    }

    /// The file as it is now.
    pub fn file(&self) -> Arc<File> {
        self.file.read().clone()
    }

    /// How far an empty segment reaches.
    pub fn beginning(&self) -> Reach {
        Reach { position: SEGMENT_HEAD_BYTES, next_offset: self.base_offset, last_known: self.known_from }
    }

    /// Lets readers see the file up to `position`; `noted` are records for the index.
    pub fn publish(&self, position: u64, noted: impl IntoIterator<Item = (u64, u64)>) {
        if let Some(index) = self.index.lock().as_mut() {
            noted.into_iter().for_each(|(offset, position)| index.note(offset, position));
        }
        self.readable_bytes.store(position, Ordering::Release);
    }

    /// Opens the contents of a segment that has a successor beginning with `next_offset`. Its frames are checked when read.
    pub fn open_complete(&self, next_offset: u64) -> Result<(), LogError> {
        let length = self.length()?;
        let position = length.saturating_sub(HEAD_BYTES as u64).max(SEGMENT_HEAD_BYTES);
        let mut mark = vec![0; (length - position) as usize];
        self.file().read_exact_at(&mut mark, position).map_err(LogError::io("cannot read", &self.path))?;
        match frame::parse(&mark, position) {
            Ok((Frame::Commit { next_offset: found }, _)) if found == next_offset => {
                self.publish(length, []);
                Ok(())
            }
            Ok((Frame::Commit { next_offset: found }, _)) => {
                let reason = format!("it ends before offset {found}, and the next file begins with {next_offset}");
                Err(self.damaged(position, reason))
            }
            _ => Err(self.damaged(position, "it does not end with a commit mark")),
        }
    }

    /// Opens the contents of a partition's last segment: every frame is checked, a torn tail is cut off, and what is
    /// left is synced and marked as committed. Gives how far it reaches and the bytes cut off.
    pub fn recover(&self) -> Result<(Reach, u64), LogError> {
        let length = self.length()?;
        let mut index = Index::default();
        let mut reach = self.beginning();
        let mut is_marked = true;
        let mut frames = Frames::new(self, SEGMENT_HEAD_BYTES, length, CHUNK_BYTES_MAX);
        let problem = loop {
            let position = frames.position();
            match frames.next()? {
                Step::Frame(Frame::Record { known_time, .. }) => {
                    index.note(reach.next_offset, position);
                    reach.next_offset += 1;
                    reach.last_known = known_time;
                    is_marked = false;
                }
                Step::Frame(Frame::Commit { next_offset }) if next_offset == reach.next_offset => is_marked = true,
                Step::Frame(Frame::Commit { next_offset }) => {
                    let reason = format!("a commit mark for offset {next_offset} follows offset {}", reach.next_offset);
                    return Err(self.damaged(position, reason));
                }
                Step::End => break None,
                Step::None(problem) => break Some(problem),
            }
        };
        reach.position = frames.position();
        let torn_bytes = match problem {
            Some(problem) => self.cut_torn_tail(reach.position, length, problem)?,
            None => 0,
        };
        if !is_marked {
            self.sync()?;
            reach.position = self.write_mark(reach.position, reach.next_offset)?;
        }
        *self.index.lock() = Some(index);
        self.publish(reach.position, []);
        Ok((reach, torn_bytes))
    }

    /// Cuts the file at `position`, unless a commit mark further on shows that acknowledged records are damaged. Gives
    /// the bytes that were torn: nothing but zeros is room that was not used yet.
    fn cut_torn_tail(&self, position: u64, length: u64, problem: NoFrame) -> Result<u64, LogError> {
        let mut tail = vec![0; (length - position) as usize];
        self.file().read_exact_at(&mut tail, position).map_err(LogError::io("cannot read", &self.path))?;
        if frame::holds_commit(&tail, position) {
            return Err(self.no_frame(position, problem));
        }
        let is_room = tail.iter().all(|byte| *byte == 0);
        if !is_room {
            let path = self.path.display();
            tracing::warn!(%path, position, bytes = tail.len(), "cut off a torn tail that was never acknowledged");
        }
        self.cut(position)?;
        self.file().sync_all().map_err(LogError::io("cannot sync", &self.path))?;
        Ok(if is_room { 0 } else { tail.len() as u64 })
    }

    /// Ends the file at `position`.
    pub fn cut(&self, position: u64) -> Result<(), LogError> {
        self.file().set_len(position).map_err(LogError::io("cannot shorten", &self.path))
    }

    /// Lengthens the file, which ends at `position`, by zeros, and gives where it ends then. The sync of bytes that
    /// replace others has no length to write down, for which it would wait for the file system's journal. On a disk
    /// that is too full for it the file just grows by what is written.
    pub fn make_room(&self, position: u64) -> u64 {
        let room = vec![0; position.clamp(ROOM_BYTES_MIN, ROOM_BYTES_MAX) as usize];
        match self.file().write_all_at(&room, position) {
            Ok(()) => position + room.len() as u64,
            Err(error) => {
                tracing::debug!(path = %self.path.display(), %error, "no room ahead of the log's end");
                position
            }
        }
    }

    /// Appends to `into` at most `records_max` records from offset `from`, which is not before the segment's first.
    pub fn read(&self, from: u64, records_max: usize, into: &mut Vec<Record>) -> Result<(), LogError> {
        let limit = self.readable_bytes.load(Ordering::Acquire);
        let Some((mut offset, position)) = self.seek(from, limit)? else { return Ok(()) };
        let wanted_bytes = records_max.saturating_mul(RECORD_BYTES_GUESS).saturating_add(INDEX_INTERVAL_BYTES as usize);
        let mut frames = Frames::new(self, position, limit, wanted_bytes.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX));
        let mut left = records_max;
        while left > 0 {
            let position = frames.position();
            match frames.next()? {
                Step::Frame(Frame::Record { known_time, payload }) => {
                    if offset >= from {
                        let event = codec::decode(payload).map_err(|e| self.undecodable(position, e))?;
                        into.push(Record { partition: self.partition, offset, known_time, event });
                        left -= 1;
                    }
                    offset += 1;
                }
                Step::Frame(Frame::Commit { .. }) => {}
                Step::End => break,
                Step::None(problem) => return Err(self.no_frame(position, problem)),
            }
        }
        Ok(())
    }

    /// Lets `change` rewrite the records; gives how many it changed. The changed copy takes the file's place in one step.
    /// Nothing may be written to the segment meanwhile.
    pub fn rewrite(&self, change: RecordChange<'_>) -> Result<u64, LogError> {
        let changed = self.changed_records(change)?;
        if changed.is_empty() {
            return Ok(0);
        }
        let mut unfinished = self.path.as_os_str().to_owned();
        unfinished.push(".");
        unfinished.push(UNFINISHED_SUFFIX);
        let unfinished = PathBuf::from(unfinished);
        fs::copy(&self.path, &unfinished).map_err(LogError::io("cannot copy to", &unfinished))?;
        let copy = OpenOptions::new().read(true).write(true).open(&unfinished);
        let copy = copy.map_err(LogError::io("cannot open", &unfinished))?;
        for (position, frame) in &changed {
            copy.write_all_at(frame, *position).map_err(LogError::io("cannot write", &unfinished))?;
        }
        copy.sync_all().map_err(LogError::io("cannot sync", &unfinished))?;
        fs::rename(&unfinished, &self.path).map_err(LogError::io("cannot move a new file to", &self.path))?;
        // The handle of the file that is gone is let go by its last reader.
        *self.file.write() = Arc::new(copy);
        sync_parent(&self.path)?;
        Ok(changed.len() as u64)
    }

    /// The frames of the records that `change` changes, each with its place.
    fn changed_records(&self, change: RecordChange<'_>) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
        let limit = self.readable_bytes.load(Ordering::Acquire);
        let mut frames = Frames::new(self, SEGMENT_HEAD_BYTES, limit, CHUNK_BYTES_MAX);
        let mut changed = Vec::new();
        loop {
            let position = frames.position();
            match frames.next()? {
                Step::Frame(Frame::Record { known_time, payload }) => {
                    let event = codec::decode(payload).map_err(|e| self.undecodable(position, e))?;
                    let mut payload = payload.to_vec();
                    let refused = |reason| LogError::NotRewritten { path: self.path.clone(), byte: position, reason };
                    if change(&event, &mut payload).map_err(refused)? {
                        changed.push((position, frame::record(known_time, &payload)));
                    }
                }
                Step::Frame(Frame::Commit { .. }) => {}
                Step::End => return Ok(changed),
                Step::None(problem) => return Err(self.no_frame(position, problem)),
            }
        }
    }

    /// An indexed record not beyond `from`; builds the index of a segment that is read for the first time.
    fn seek(&self, from: u64, limit: u64) -> Result<Option<(u64, u64)>, LogError> {
        let mut index = self.index.lock();
        if index.is_none() {
            *index = Some(self.build_index(limit)?);
        }
        Ok(index.as_ref().and_then(|index| index.seek(from)))
    }

    fn build_index(&self, limit: u64) -> Result<Index, LogError> {
        let mut index = Index::default();
        let mut offset = self.base_offset;
        let mut frames = Frames::new(self, SEGMENT_HEAD_BYTES, limit, CHUNK_BYTES_MAX);
        loop {
            let position = frames.position();
            match frames.next()? {
                Step::Frame(Frame::Record { .. }) => {
                    index.note(offset, position);
                    offset += 1;
                }
                Step::Frame(Frame::Commit { .. }) => {}
                Step::End => return Ok(index),
                Step::None(problem) => return Err(self.no_frame(position, problem)),
            }
        }
    }

    /// Makes everything written so far durable.
    pub fn sync(&self) -> Result<(), LogError> {
        self.file().sync_data().map_err(LogError::io("cannot sync", &self.path))
    }

    /// Writes a commit mark at `position` and gives the place after it.
    pub fn write_mark(&self, position: u64, next_offset: u64) -> Result<u64, LogError> {
        let mark = frame::commit_mark(position, next_offset);
        self.file().write_all_at(&mark, position).map_err(LogError::io("cannot write", &self.path))?;
        Ok(position + HEAD_BYTES as u64)
    }

    fn length(&self) -> Result<u64, LogError> {
        Ok(self.file().metadata().map_err(LogError::io("cannot read the length of", &self.path))?.len())
    }

    fn damaged(&self, byte: u64, reason: impl Into<String>) -> LogError {
        damaged(&self.path, byte, reason)
    }

    fn no_frame(&self, byte: u64, problem: NoFrame) -> LogError {
        self.damaged(
            byte,
            match problem {
                NoFrame::Incomplete { needed } => format!("a frame of {needed} bytes does not fit before the end"),
                NoFrame::Damaged(reason) => reason.to_owned(),
            },
        )
    }

    fn undecodable(&self, byte: u64, error: CodecError) -> LogError {
        match error {
            CodecError::Version(found) => {
                let (found, supported) = (u32::from(found), u32::from(codec::VERSION));
                LogError::Version { path: self.path.clone(), found, supported }
            }
            other => self.damaged(byte, other.to_string()),
        }
    }
}

/// The name of the file whose first record has `base_offset`; names sort as offsets do.
fn file_name(base_offset: u64) -> String {
    format!("{base_offset:020}.segment")
}

/// The offset in a name given by [`file_name`].
pub fn base_offset_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".segment")?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

fn damaged(path: &Path, byte: u64, reason: impl Into<String>) -> LogError {
    LogError::Damaged { path: path.to_owned(), byte, reason: reason.into() }
}

/// What stands at a place of a segment.
enum Step<'a> {
    Frame(Frame<'a>),
    None(NoFrame),
    End,
}

/// Reads frames one after another, a chunk of the file at a time.
struct Frames<'a> {
    segment: &'a Segment,
    /// The file as it was when the reading began: one that takes its place has other bytes in the middle of a frame.
    file: Arc<File>,
    limit: u64,
    chunk_bytes: usize,
    /// Bytes of the file from `buffer_position`; those before `start` are done with.
    buffer: Vec<u8>,
    buffer_position: u64,
    start: usize,
}

impl<'a> Frames<'a> {
    fn new(segment: &'a Segment, position: u64, limit: u64, chunk_bytes: usize) -> Self {
        Self {
            segment,
            file: segment.file(),
            limit,
            chunk_bytes,
            buffer: Vec::new(),
            buffer_position: position,
            start: 0,
        }
    }

    /// The place of the next frame.
    fn position(&self) -> u64 {
        self.buffer_position + self.start as u64
    }

    /// The next frame; a place without one is not passed.
    fn next(&mut self) -> Result<Step<'_>, LogError> {
        let position = self.position();
        if position >= self.limit {
            return Ok(Step::End);
        }
        self.fill(HEAD_BYTES)?;
        self.fill(frame::needed(&self.buffer[self.start..]))?;
        match frame::parse(&self.buffer[self.start..], position) {
            Ok((frame, length)) => {
                self.start += length;
                Ok(Step::Frame(frame))
            }
            Err(problem) => Ok(Step::None(problem)),
        }
    }

    /// Has at least `needed` bytes in the buffer, or all up to the limit.
    fn fill(&mut self, needed: usize) -> Result<(), LogError> {
        let held = self.buffer.len() - self.start;
        if held >= needed {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.buffer_position += self.start as u64;
        self.start = 0;
        let end = self.limit.min(self.buffer_position + needed.max(self.chunk_bytes) as u64);
        let from = self.buffer_position + held as u64;
        self.buffer.resize((end - self.buffer_position) as usize, 0);
        let read = self.file.read_exact_at(&mut self.buffer[held..], from);
        read.map_err(LogError::io("cannot read", &self.segment.path))
    }
}
