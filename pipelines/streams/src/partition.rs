//! One partition on disk: its segments, which readers share, and the tail, to which one writer at a time appends.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_events::Timestamp;
use parking_lot::RwLock;

use crate::checkpoint::{UNFINISHED_SUFFIX, create_folder};
use crate::frame::{self, HEAD_BYTES};
use crate::segment::{Reach, SEGMENT_HEAD_BYTES, Segment, base_offset_of};
use crate::{LogError, Record};

/// The segments of a partition, in the order of their offsets.
#[derive(Debug, Default)]
pub struct Segments(RwLock<Vec<Arc<Segment>>>);

impl Segments {
    /// Appends to `into` at most `records_max` durable records from offset `from`.
    pub fn read(&self, from: u64, records_max: usize, into: &mut Vec<Record>) -> Result<(), LogError> {
        let (mut from, mut left) = (from, records_max);
        while left > 0 {
            let segment = self.holding(from);
            let Some(segment) = segment else { return Ok(()) };
            let before = into.len();
            segment.read(from, left, into)?;
            let read = into.len() - before;
            if read == 0 {
                return Ok(());
            }
            from += read as u64;
            left -= read;
        }
        Ok(())
    }

    /// The segment in which the record of `offset` is or will be.
    fn holding(&self, offset: u64) -> Option<Arc<Segment>> {
        let segments = self.0.read();
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        after.checked_sub(1).and_then(|index| segments.get(index)).cloned()
    }

    /// All segments but the last one, to which the writer appends.
    pub fn complete(&self) -> Vec<Arc<Segment>> {
        let segments = self.0.read();
        segments.iter().take(segments.len().saturating_sub(1)).cloned().collect()
    }

    fn push(&self, segment: Arc<Segment>) {
        self.0.write().push(segment);
    }
}

/// Where a partition grows. What is staged becomes visible to readers once it is written, synced and marked.
#[derive(Debug)]
pub struct Tail {
    partition: u32,
    folder: PathBuf,
    segments: Arc<Segments>,
    last: Arc<Segment>,
    /// Where the last segment's file ends; between its frames and here are zeros.
    room_end: u64,
    committed: Reach,
    staged: Reach,
    /// Frames that are staged, and the offset and place of each.
    pending: Vec<u8>,
    noted: Vec<(u64, u64)>,
}

/// What is opened: how to read and how to write the partition, and the bytes of a torn tail that was cut off.
pub struct Opened {
    pub segments: Arc<Segments>,
    pub tail: Tail,
    pub torn_bytes: u64,
}

/// The folder of `partition` in the log's folder.
pub fn folder_of(log: &Path, partition: u32) -> PathBuf {
    log.join(format!("partition-{partition:04}"))
}

/// Creates the files of an empty partition, or passes over those that an interrupted creation left.
pub fn create(folder: &Path, partition: u32) -> Result<(), LogError> {
    create_folder(folder)?;
    let files = segment_files(folder)?;
    for (_, path) in &files {
        let length = fs::metadata(path).map_err(LogError::io("cannot read the length of", path))?.len();
        if length > SEGMENT_HEAD_BYTES {
            let reason = "it holds records, but the log's file `log`, which tells the number of partitions, is missing";
            return Err(LogError::Damaged { path: path.clone(), byte: 0, reason: reason.to_owned() });
        }
    }
    if files.is_empty() {
        Segment::create(folder, partition, 0, Timestamp::MIN)?;
    }
    Ok(())
}

/// Opens a partition: checks how its segments connect, and recovers the last one.
pub fn open(folder: &Path, partition: u32) -> Result<Opened, LogError> {
    let files = segment_files(folder)?;
    if files.first().is_none_or(|(base, _)| *base != 0) {
        let found =
            files.first().map_or("there is no segment".to_owned(), |(base, _)| format!("the first begins with {base}"));
        let reason = format!("the segment with the first record of partition {partition} is missing; {found}");
        return Err(LogError::Damaged { path: folder.to_owned(), byte: 0, reason });
    }
    let opened: Vec<Segment> =
        files.iter().map(|(base, path)| Segment::open(path, partition, *base)).collect::<Result<_, _>>()?;
    for (segment, next) in opened.iter().zip(opened.iter().skip(1)) {
        segment.open_complete(next.base_offset)?;
    }
    let segments: Vec<Arc<Segment>> = opened.into_iter().map(Arc::new).collect();
    let last = Arc::clone(segments.last().ok_or_else(|| LogError::Stopped("a partition has no segment".to_owned()))?);
    let (committed, torn_bytes) = last.recover()?;
    let segments = Arc::new(Segments(RwLock::new(segments)));
    let tail = Tail {
        partition,
        folder: folder.to_owned(),
        segments: Arc::clone(&segments),
        last,
        room_end: committed.position,
        committed,
        staged: committed,
        pending: Vec::new(),
        noted: Vec::new(),
    };
    Ok(Opened { segments, tail, torn_bytes })
}

/// The segment files of a folder with their first offsets, ascending; removes files that were never finished.
fn segment_files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(LogError::io("cannot list the folder", folder))? {
        let path = entry.map_err(LogError::io("cannot list the folder", folder))?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED_SUFFIX) {
            fs::remove_file(&path).map_err(LogError::io("cannot remove the unfinished file", &path))?;
        } else if let Some(base) = base_offset_of(&path) {
            files.push((base, path));
        }
    }
    files.sort();
    Ok(files)
}

impl Tail {
    /// The segment that is appended to.
    pub fn last(&self) -> &Segment {
        &self.last
    }

    /// How far the partition reaches with what is staged.
    pub fn staged(&self) -> Reach {
        self.staged
    }

    /// Whether something is staged.
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Adds frames made by [`frame::push_record`]; `known_time` is set on each unless they bring their own.
    pub fn stage(&mut self, frames: &[u8], known_time: Option<Timestamp>) {
        let start = self.pending.len();
        self.pending.extend_from_slice(frames);
        let (noted, staged) = (&mut self.noted, &mut self.staged);
        frame::stamp(&mut self.pending[start..], known_time, |at, known_time| {
            noted.push((staged.next_offset, staged.position + at as u64));
            staged.next_offset += 1;
            staged.last_known = known_time;
        });
        staged.position += frames.len() as u64;
    }

    /// Begins a new segment where the last one is full.
    pub fn roll_when_full(&mut self, segment_bytes: u64) -> Result<(), LogError> {
        if self.committed.position < segment_bytes {
            return Ok(());
        }
        // The commit mark must be durable, and the file's end, before the segment has a successor.
        self.last.cut(self.committed.position)?;
        self.last.sync()?;
        let Reach { next_offset, last_known, .. } = self.committed;
        let segment = Arc::new(Segment::create(&self.folder, self.partition, next_offset, last_known)?);
        self.committed = segment.beginning();
        self.staged = self.committed;
        self.room_end = self.committed.position;
        self.segments.push(Arc::clone(&segment));
        self.last = segment;
        Ok(())
    }

    /// Writes what is staged, without syncing.
    pub fn write(&mut self) -> Result<(), LogError> {
        let write = self.last.file().write_all_at(&self.pending, self.committed.position);
        write.map_err(LogError::io("cannot write", &self.last.path))?;
        if self.staged.position + HEAD_BYTES as u64 > self.room_end {
            self.room_end = self.last.make_room(self.staged.position);
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub fn sync(&self) -> Result<(), LogError> {
        self.last.sync()
    }

    /// Marks what was synced as committed and lets readers see it.
    pub fn publish(&mut self) -> Result<(), LogError> {
        self.staged.position = self.last.write_mark(self.staged.position, self.staged.next_offset)?;
        self.committed = self.staged;
        self.last.publish(self.committed.position, self.noted.drain(..));
        self.pending.clear();
        Ok(())
    }

    /// Forgets what is staged and removes what was written of it.
    pub fn undo(&mut self) -> Result<(), LogError> {
        self.staged = self.committed;
        self.pending.clear();
        self.noted.clear();
        self.room_end = self.committed.position;
        self.last.cut(self.committed.position)
    }
}

impl Drop for Tail {
    /// Leaves a file that ends with its last frame; where it cannot, the next to open the log passes over the room.
    fn drop(&mut self) {
        if let Err(error) = self.last.cut(self.committed.position) {
            tracing::warn!(%error, "left room behind the end of the log");
        }
    }
}
