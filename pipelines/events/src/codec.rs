//! The compact binary form of an event, as the log stores it; framing and checksums are the log's.
//!
//! A record is one version byte and the event in postcard's stable wire format. The version is the generation in which
//! the fact's fields changed last (see [`record`](mod@crate::record)); all that were ever written are read. A reader
//! refuses a generation that it does not know by name, so that an old binary never misreads a newer log.

use crate::facts::GENERATION;
use crate::record::Fields;
use crate::{Event, Fact};

/// The latest version that [`encode`] can write, and [`decode`] reads; every earlier one is read too.
pub const VERSION: u8 = GENERATION;

/// Why bytes are not an event.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// There are no bytes.
    #[error("the record is empty")]
    Empty,
    /// Written by a newer or a foreign program.
    #[error("the record has version {0}; this program reads versions 1 to {VERSION}; a newer program wrote it")]
    Version(u8),
    /// No kind of fact has this number.
    #[error("the record is of fact number {0}, which does not exist")]
    Kind(u32),
    /// The event ends before the record does.
    #[error("{0} bytes follow the event in its record")]
    Trailing(usize),
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
    buffer.push(event.fact.kind().generation());
    Ok(postcard::to_extend(event, buffer)?)
}

/// Reads what [`encode`] wrote, in this or any earlier generation.
///
/// # Errors
/// An empty record, a version not known here, or bytes that are no event.
pub fn decode(bytes: &[u8]) -> Result<Event, CodecError> {
    let (&version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if !(1..=VERSION).contains(&version) {
        return Err(CodecError::Version(version));
    }
    let mut fields = Fields::new(body, version);
    let event = Event {
        id: fields.take()?,
        tenant: fields.take()?,
        event_time: fields.take()?,
        fact: Fact::read(&mut fields)?,
    };
    match fields.finish()? {
        0 => Ok(event),
        left => Err(CodecError::Trailing(left)),
    }
}
