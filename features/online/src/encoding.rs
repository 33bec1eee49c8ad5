//! A series as bytes and back, the same in a file of a snapshot and under a name elsewhere; its key is written beside it.
//!
//! Rows are little-endian words: they are most of it, and copying them is what a restart costs. The rest is postcard.

use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::series::{Series, Settled};

/// What stands before the rows.
#[derive(Serialize, Deserialize)]
struct Head {
    words: u64,
    settled: Option<Settled>,
}

/// Why bytes are no series.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeriesError {
    #[error(transparent)]
    Head(#[from] postcard::Error),
    #[error("a series of {0} words does not fit")]
    Words(u64),
    #[error("what a series settled is not what its view keeps")]
    Settled,
}

/// Appends a series to `bytes`.
pub(crate) fn encode(series: &Series, bytes: Vec<u8>) -> postcard::Result<Vec<u8>> {
    let head = Head { words: series.rows().len() as u64, settled: series.settled().cloned() };
    let mut bytes = postcard::to_extend(&head, bytes)?;
    bytes.reserve(series.rows().len() * 8);
    series.rows().iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    Ok(bytes)
}

/// Reads a series, which has no index yet, and gives what follows it.
pub(crate) fn decode<'a>(layout: &Layout, bytes: &'a [u8]) -> Result<(Series, &'a [u8]), SeriesError> {
    let (Head { words, settled }, rest) = postcard::take_from_bytes::<Head>(bytes)?;
    let fits = words % layout.stride as u64 == 0 && words.checked_mul(8).is_some_and(|size| size <= rest.len() as u64);
    if !fits {
        return Err(SeriesError::Words(words));
    }
    if settled.as_ref().is_some_and(|settled| !settled.fits(layout)) {
        return Err(SeriesError::Settled);
    }
    let (row_bytes, rest) = rest.split_at(words as usize * 8);
    let rows = row_bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    Ok((Series::unindexed(rows, settled), rest))
}
