//! The state as bytes and back; how a file is replaced as a whole and checked stands in `dhow-streams`.
//!
//! A snapshot is a head and one entry for each series, all postcard but the rows, which are little-endian words: they
//! are most of it, and copying them is what a restart costs.

use std::sync::Arc;

use dhow_definitions::FeatureSet;
use dhow_streams::checkpoint::CheckpointError;
use serde::{Deserialize, Serialize};

use crate::series::{Series, Settled};
use crate::state::{Progress, SeriesKey, State};

/// The format that [`write`] writes.
const VERSION: u32 = 1;

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file could not be written or read, or is damaged.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// The bytes are no snapshot.
    #[error(
        "not a snapshot of online features, or a damaged one: {0}; remove it to build the features anew from the log"
    )]
    Malformed(String),
    /// Another version of the program wrote it.
    #[error(
        "the snapshot has format version {found}; this program reads version {VERSION}; remove it to build the features anew from the log"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// It holds the state of other features.
    #[error(
        "the snapshot is of features {found}, the definitions are {wanted}; remove it to build the features anew from the log"
    )]
    OtherFeatures {
        /// The schema hash in the snapshot.
        found: String,
        /// The schema hash of the definitions.
        wanted: String,
    },
}

impl From<postcard::Error> for SnapshotError {
    fn from(error: postcard::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    schema_hash: String,
    series_count: u64,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: SeriesKey,
    words: u64,
    settled: Option<Settled>,
}

pub(crate) fn write(state: &State) -> Result<Vec<u8>, SnapshotError> {
    let series_count = state.shards.iter().map(|shard| shard.len() as u64).sum();
    let head = Head { version: VERSION, schema_hash: state.features.schema_hash(), series_count };
    let mut bytes = postcard::to_extend(&head, Vec::new())?;
    bytes = postcard::to_extend(&state.progress, bytes)?;
    for (key, series) in state.shards.iter().flatten() {
        let entry = Entry { key: *key, words: series.rows().len() as u64, settled: series.settled().cloned() };
        bytes = postcard::to_extend(&entry, bytes)?;
        bytes.extend(series.rows().iter().flat_map(|word| word.to_le_bytes()));
    }
    Ok(bytes)
}

pub(crate) fn read(features: Arc<FeatureSet>, bytes: &[u8]) -> Result<State, SnapshotError> {
    let (head, rest) = read_head(bytes)?;
    let wanted = features.schema_hash();
    if head.schema_hash != wanted {
        return Err(SnapshotError::OtherFeatures { found: head.schema_hash, wanted });
    }
    let mut state = State::new(features);
    let (progress, mut rest) = postcard::take_from_bytes::<Progress>(rest)?;
    state.progress = progress;
    for _ in 0..head.series_count {
        rest = read_series(&mut state, rest)?;
    }
    match rest {
        [] => Ok(state),
        _ => Err(SnapshotError::Malformed(format!("{} bytes follow its end", rest.len()))),
    }
}

/// The version comes first and is looked at before anything else is believed.
fn read_head(bytes: &[u8]) -> Result<(Head, &[u8]), SnapshotError> {
    let (found, _) = postcard::take_from_bytes::<u32>(bytes)?;
    if found != VERSION {
        return Err(SnapshotError::Version { found });
    }
    Ok(postcard::take_from_bytes::<Head>(bytes)?)
}

/// Reads one series and gives what follows it.
fn read_series<'a>(state: &mut State, bytes: &'a [u8]) -> Result<&'a [u8], SnapshotError> {
    let (Entry { key, words, settled }, rest) = postcard::take_from_bytes::<Entry>(bytes)?;
    let Some(layout) = state.layouts.get(key.view()) else {
        return Err(SnapshotError::Malformed(format!("it names view {}", key.view())));
    };
    let fits = words % layout.stride as u64 == 0 && words.checked_mul(8).is_some_and(|size| size <= rest.len() as u64);
    if !fits {
        return Err(SnapshotError::Malformed(format!("a series of {words} words does not fit")));
    }
    let (row_bytes, rest) = rest.split_at(words as usize * 8);
    let rows = row_bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let series = Series::restore(layout, rows, settled);
    state.shards[key.shard()].insert(key, series);
    Ok(rest)
}
