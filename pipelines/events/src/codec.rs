//! The compact binary form of an event, as the log stores it; framing and checksums are the log's.
//!
//! A record is one version byte and the event in postcard's stable wire format. A reader refuses a version that it does
//! not know by name, so that an old binary never misreads a newer log.

use crate::Event;

/// The version that [`encode`] writes.
pub const VERSION: u8 = 1;

/// Why bytes are not an event.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// There are no bytes.
    #[error("the record is empty")]
    Empty,
    /// Written by a newer or a foreign program.
    #[error("the record has version {0}; this program reads version {VERSION}")]
    Version(u8),
    /// Damaged, or not an event.
    #[error("the record is not an event: {0}")]
    Malformed(#[from] postcard::Error),
}

/// Appends `event` to `buffer`.
///
/// # Errors
/// None in practice: a buffer grows as needed; the serialiser's error is passed on.
pub fn encode(event: &Event, buffer: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    let mut buffer = buffer;
    buffer.push(VERSION);
    Ok(postcard::to_extend(event, buffer)?)
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// An empty record, another version, or bytes that are no event.
pub fn decode(bytes: &[u8]) -> Result<Event, CodecError> {
    match bytes.split_first() {
        None => Err(CodecError::Empty),
        Some((&VERSION, body)) => Ok(postcard::from_bytes(body)?),
        Some((&version, _)) => Err(CodecError::Version(version)),
    }
}
