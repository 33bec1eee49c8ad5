//! The frames of a segment file as bytes: records and commit marks, with their checksums; it does no IO.
//!
//! Both kinds have a head of [`HEAD_BYTES`], little-endian:
//!
//! | | length: u32 | crc32: u32 | 8 bytes | payload |
//! |---|---|---|---|---|
//! | record | of the payload, 1 to [`PAYLOAD_BYTES_MAX`] | of length, known time and payload | known time: i64 µs | the event |
//! | commit mark | [`COMMIT_LENGTH`] | of length, next offset and the mark's place in the file | next offset: u64 | none |
//!
//! A commit mark is written after everything before it was synced and before the append is acknowledged. Damage that is
//! followed by a mark therefore hit acknowledged records, whereas a torn tail has no mark behind it.

use dhow_events::{Event, Timestamp, codec};

use crate::LogError;

/// The length of a frame's head.
pub const HEAD_BYTES: usize = 16;
/// The longest payload of a record.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// What stands in the place of the length in a commit mark.
const COMMIT_LENGTH: u32 = u32::MAX;

/// A frame whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A record.
    Record {
        /// When the log took it in.
        known_time: Timestamp,
        /// The encoded event.
        payload: &'a [u8],
    },
    /// Everything before is synced; the next record has this offset.
    Commit {
        /// The offset of the next record.
        next_offset: u64,
    },
}

/// Why there is no frame at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFrame {
    /// The bytes end within the frame, which takes this many.
    Incomplete {
        /// The length of the whole frame, as far as it is known.
        needed: usize,
    },
    /// The bytes are not what was written.
    Damaged(&'static str),
}

/// The frame at the beginning of `bytes`, which stand at `position` of their file, and its whole length.
pub fn parse(bytes: &[u8], position: u64) -> Result<(Frame<'_>, usize), NoFrame> {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Err(NoFrame::Incomplete { needed: HEAD_BYTES });
    };
    let (length, crc, value) = split_head(head);
    if length == COMMIT_LENGTH {
        if commit_crc(value, position) != crc {
            return Err(NoFrame::Damaged("the checksum of a commit mark is wrong"));
        }
        return Ok((Frame::Commit { next_offset: u64::from_le_bytes(value) }, HEAD_BYTES));
    }
    if length == 0 || length as usize > PAYLOAD_BYTES_MAX {
        return Err(NoFrame::Damaged("the length of a record is impossible"));
    }
    let needed = HEAD_BYTES + length as usize;
    let Some(payload) = bytes.get(HEAD_BYTES..needed) else {
        return Err(NoFrame::Incomplete { needed });
    };
    if record_crc(length, value, payload) != crc {
        return Err(NoFrame::Damaged("the checksum of a record is wrong"));
    }
    Ok((Frame::Record { known_time: Timestamp::from_micros(i64::from_le_bytes(value)), payload }, needed))
}

/// The length of the frame that begins with `bytes`, or of a head where its length cannot be told.
pub fn needed(bytes: &[u8]) -> usize {
    let length = bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    if length > PAYLOAD_BYTES_MAX { HEAD_BYTES } else { HEAD_BYTES + length }
}

/// Whether a valid commit mark begins anywhere in `bytes`, which stand at `position` of their file.
pub fn holds_commit(bytes: &[u8], position: u64) -> bool {
    let begins = |at: &usize| bytes[*at..*at + 4] == COMMIT_LENGTH.to_le_bytes();
    (0..(bytes.len() + 1).saturating_sub(HEAD_BYTES))
        .filter(begins)
        .any(|at| matches!(parse(&bytes[at..], position + at as u64), Ok((Frame::Commit { .. }, _))))
}

/// Appends the record of event number `index` of an append to `frames`; [`stamp`] completes it.
pub fn push_record(
    event: &Event,
    index: usize,
    known_time: Timestamp,
    mut frames: Vec<u8>,
) -> Result<Vec<u8>, LogError> {
    let start = frames.len();
    frames.extend_from_slice(&[0; HEAD_BYTES]);
    let mut frames = codec::encode(event, frames).map_err(|e| LogError::Encode { index, reason: e.to_string() })?;
    let length = frames.len() - start - HEAD_BYTES;
    if length > PAYLOAD_BYTES_MAX {
        return Err(LogError::EventTooLong { index, found: length, limit: PAYLOAD_BYTES_MAX });
    }
    frames[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    frames[start + 8..start + HEAD_BYTES].copy_from_slice(&known_time.micros().to_le_bytes());
    Ok(frames)
}

/// Completes records written by [`push_record`]: sets `known_time` where one is given, then the checksum of each.
/// `visit` gets the start of each record within `frames`, and its known time.
pub fn stamp(frames: &mut [u8], known_time: Option<Timestamp>, mut visit: impl FnMut(usize, Timestamp)) {
    let mut start = 0;
    while let Some(head) = frames.get(start..).and_then(|rest| rest.first_chunk::<HEAD_BYTES>()) {
        let (length, _, mut value) = split_head(head);
        if let Some(time) = known_time {
            value = time.micros().to_le_bytes();
            frames[start + 8..start + HEAD_BYTES].copy_from_slice(&value);
        }
        let end = start + HEAD_BYTES + length as usize;
        let crc = record_crc(length, value, &frames[start + HEAD_BYTES..end]);
        frames[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        visit(start, Timestamp::from_micros(i64::from_le_bytes(value)));
        start = end;
    }
}

/// The whole frame of a record with another payload of the same length.
pub fn record(known_time: Timestamp, payload: &[u8]) -> Vec<u8> {
    let (length, value) = (payload.len() as u32, known_time.micros().to_le_bytes());
    let crc = record_crc(length, value, payload);
    [&length.to_le_bytes()[..], &crc.to_le_bytes(), &value, payload].concat()
}

/// The commit mark for `position` of the file, after which the next record has `next_offset`.
pub fn commit_mark(position: u64, next_offset: u64) -> [u8; HEAD_BYTES] {
    let value = next_offset.to_le_bytes();
    let mut mark = [0; HEAD_BYTES];
    mark[..4].copy_from_slice(&COMMIT_LENGTH.to_le_bytes());
    mark[4..8].copy_from_slice(&commit_crc(value, position).to_le_bytes());
    mark[8..].copy_from_slice(&value);
    mark
}

fn split_head(head: &[u8; HEAD_BYTES]) -> (u32, u32, [u8; 8]) {
    let [a, b, c, d, e, f, g, h, value @ ..] = *head;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]), value)
}

fn record_crc(length: u32, value: [u8; 8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut head = [0; 12];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&value);
    hasher.update(&head);
    hasher.update(payload);
    hasher.finalize()
}

fn commit_crc(value: [u8; 8], position: u64) -> u32 {
    let mut covered = [0; 20];
    covered[..4].copy_from_slice(&COMMIT_LENGTH.to_le_bytes());
    covered[4..12].copy_from_slice(&value);
    covered[12..].copy_from_slice(&position.to_le_bytes());
    crc32fast::hash(&covered)
}
