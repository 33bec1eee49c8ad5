//! A record of the re-keyed topic as bytes and back: an event with its place in the source; where it goes is the router's.

use dhow_events::{Event, Timestamp, codec};

/// The format that [`RekeyedRecord::encode`] writes.
const VERSION: u8 = 1;
/// Version, source partition, source offset, known time.
const HEAD_BYTES: usize = 1 + 4 + 8 + 8;

/// An event on its way to the entities that it counts for.
#[derive(Debug, Clone, PartialEq)]
pub struct RekeyedRecord {
    /// Its partition in the source topic.
    pub source_partition: u32,
    /// Its number in that partition.
    pub source_offset: u64,
    /// When the source topic took it in.
    pub known_time: Timestamp,
    /// The event.
    pub event: Event,
}

/// Why bytes are no re-keyed record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RekeyedError {
    /// Too few bytes.
    #[error("it has {found} bytes; its head alone has {HEAD_BYTES}")]
    TooShort {
        /// How many there are.
        found: usize,
    },
    /// Another version of the program wrote it.
    #[error("it has format version {found}; this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// What follows the head is no event.
    #[error("what follows its head is not an event: {0}")]
    Event(String),
}

impl RekeyedRecord {
    /// The bytes of a record whose event is `event` in [`dhow_events::codec`].
    pub fn encode(source_partition: u32, source_offset: u64, known_time: Timestamp, event: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + event.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&source_partition.to_le_bytes());
        bytes.extend_from_slice(&source_offset.to_le_bytes());
        bytes.extend_from_slice(&known_time.micros().to_le_bytes());
        bytes.extend_from_slice(event);
        bytes
    }

    /// Reads what [`RekeyedRecord::encode`] wrote.
    ///
    /// # Errors
    /// Other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, RekeyedError> {
        let short = RekeyedError::TooShort { found: bytes.len() };
        let (&[found], rest) = bytes.split_first_chunk().ok_or(short.clone())?;
        if found != VERSION {
            return Err(RekeyedError::Version { found });
        }
        let (source_partition, rest) = rest.split_first_chunk().ok_or(short.clone())?;
        let (source_offset, rest) = rest.split_first_chunk().ok_or(short.clone())?;
        let (known_micros, event) = rest.split_first_chunk().ok_or(short)?;
        Ok(Self {
            source_partition: u32::from_le_bytes(*source_partition),
            source_offset: u64::from_le_bytes(*source_offset),
            known_time: Timestamp::from_micros(i64::from_le_bytes(*known_micros)),
            event: codec::decode(event).map_err(|error| RekeyedError::Event(error.to_string()))?,
        })
    }
}
