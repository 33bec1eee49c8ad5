//! The state as a folder and back, writing only what changed; how one file is replaced and checked stands in `dhow-streams`.
//!
//! A base holds all series and recent ids, in as many files as its size asks for; each delta after it holds the series that changed
//! and the ids that came since the save before. The manifest names them, and with them holds all that is not a series. It is replaced last and as a
//! whole, so that the folder holds the old state or the new one whenever the process ends. What expired since a file was
//! written is freed again when it is read.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dhow_definitions::FeatureSet;
use dhow_streams::checkpoint::{CheckpointError, read_checked, write_atomically};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::Share;
use crate::encoding;
use crate::layout::Layout;
use crate::recent::Generations;
use crate::series::Series;
use crate::state::{Progress, SHARDS, SeriesKey, State};

/// The format that [`Saver::save`] writes.
const VERSION: u32 = 2;
/// The most deltas that may follow a base; they may also not grow larger than half of it.
const MAX_DELTAS: usize = 512;
/// About the bytes in a file of a base.
const BASE_FILE_BYTES: usize = 16 << 20;
const MANIFEST: &str = "manifest";
const BASE: &str = "base";
const DELTA: &str = "delta";

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file could not be written or read, or is damaged.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// What was read is no snapshot.
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
    /// The store is one of a share, which is saved in parts and not to a folder.
    #[error("the store of share {0} is saved in parts, not to a folder")]
    InParts(Share),
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

/// What one save wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    save: u64,
    /// Without the heads of checked files.
    bytes: u64,
    /// Into how many files; each of a base holds as many shards as every other.
    files: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    schema_hash: String,
    /// Counts the saves into this folder, from 1.
    save: u64,
    base: Option<Written>,
    deltas: Vec<Written>,
    /// See [`RecentIds::generation`].
    generation: i64,
}

impl Manifest {
    /// The file of a base with the shards from `first` on, or the only file of a delta.
    fn path(folder: &Path, kind: &str, save: u64, first: usize) -> PathBuf {
        folder.join(format!("{kind}-{save}-{first:02}"))
    }

    /// Every file that the state lies in.
    fn paths(&self, folder: &Path) -> BTreeSet<PathBuf> {
        let bases = self.base.iter().flat_map(|base| {
            (0..base.files as usize)
                .map(|file| Self::path(folder, BASE, base.save, file * SHARDS / base.files as usize))
        });
        bases.chain(self.deltas.iter().map(|delta| Self::path(folder, DELTA, delta.save, 0))).collect()
    }

    /// Whether the deltas have grown so long that a new base is due.
    fn is_long(&self) -> bool {
        let deltas: u64 = self.deltas.iter().map(|delta| delta.bytes).sum();
        self.deltas.len() >= MAX_DELTAS || self.base.as_ref().is_none_or(|base| deltas > base.bytes / 2)
    }
}

/// Knows what a folder holds already, so that only what changed is written.
#[derive(Debug, Default)]
pub(crate) struct Saver {
    saved: Option<(PathBuf, Manifest)>,
}

impl Saver {
    /// Brings the folder up to the state, which must not change meanwhile.
    pub(crate) fn save(&mut self, state: &State, folder: &Path) -> Result<(), SnapshotError> {
        if state.unsaved.is_some() {
            return Err(SnapshotError::InParts(state.share));
        }
        fs::create_dir_all(folder).map_err(refused("cannot create the folder", folder))?;
        // A failed save leaves nothing to build upon.
        let mut manifest = match self.saved.take() {
            Some((known, manifest)) if known == folder => manifest,
            _ => Manifest { save: latest_save(folder)?, ..Manifest::default() },
        };
        manifest.version = VERSION;
        manifest.schema_hash = state.features.schema_hash();
        manifest.save += 1;
        manifest.generation = state.progress.recent.generation();
        if manifest.is_long() {
            manifest.base = Some(write_base(state, folder, manifest.save)?);
            manifest.deltas.clear();
        } else {
            manifest.deltas.extend(write_delta(state, folder, manifest.save)?);
        }
        let bytes = postcard::to_extend(&manifest, Vec::new())?;
        write_atomically(&folder.join(MANIFEST), &postcard::to_extend(&state.progress, bytes)?)?;
        state.saves.fetch_add(1, Ordering::Relaxed);
        state.progress.recent.note_saved();
        remove_unnamed(folder, &manifest)?;
        self.saved = Some((folder.to_owned(), manifest));
        Ok(())
    }
}

/// Writes all series, one file after the other.
fn write_base(state: &State, folder: &Path, save: u64) -> Result<Written, SnapshotError> {
    let words: usize = state.shards.iter().flatten().map(|(_, series)| series.rows().len()).sum();
    let files = (words * 8 / BASE_FILE_BYTES).next_power_of_two().min(SHARDS);
    let mut written = Written { save, bytes: 0, files: files as u64 };
    let mut bytes = Vec::new();
    for (number, shards) in state.shards.chunks(SHARDS / files).enumerate() {
        bytes.clear();
        let ids = if number == 0 { state.progress.recent.all() } else { Generations::new() };
        bytes = postcard::to_extend(&ids, bytes)?;
        for (key, series) in shards.iter().flatten() {
            bytes = encode(key, series, bytes)?;
        }
        write_atomically(&Manifest::path(folder, BASE, save, number * SHARDS / files), &bytes)?;
        written.bytes += bytes.len() as u64;
    }
    Ok(written)
}

/// Writes the series that changed since the save before, if any did.
fn write_delta(state: &State, folder: &Path, save: u64) -> Result<Option<Written>, SnapshotError> {
    let saves = state.saves.load(Ordering::Relaxed);
    let ids = state.progress.recent.unsaved();
    let mut bytes = postcard::to_extend(&ids, Vec::new())?;
    let without_series = bytes.len();
    for (key, series) in state.shards.iter().flatten().filter(|(_, series)| series.changed_since(saves)) {
        bytes = encode(key, series, bytes)?;
    }
    if ids.is_empty() && bytes.len() == without_series {
        return Ok(None);
    }
    write_atomically(&Manifest::path(folder, DELTA, save, 0), &bytes)?;
    Ok(Some(Written { save, bytes: bytes.len() as u64, files: 1 }))
}

fn encode(key: &SeriesKey, series: &Series, bytes: Vec<u8>) -> Result<Vec<u8>, SnapshotError> {
    Ok(encoding::encode(series, postcard::to_extend(key, bytes)?)?)
}

/// Reads what [`Saver::save`] wrote; nothing where there is no folder.
pub(crate) fn load(features: Arc<FeatureSet>, folder: &Path) -> Result<Option<(State, Saver)>, SnapshotError> {
    if folder.is_file() {
        return Err(SnapshotError::Malformed("it is a file, as version 1 wrote, not a folder".to_owned()));
    }
    let Some(bytes) = read_checked(&folder.join(MANIFEST))? else { return Ok(None) };
    let (manifest, rest) = read_manifest(&bytes)?;
    let wanted = features.schema_hash();
    if manifest.schema_hash != wanted {
        return Err(SnapshotError::OtherFeatures { found: manifest.schema_hash, wanted });
    }
    let mut state = State::new(features);
    state.progress = match postcard::take_from_bytes::<Progress>(rest)? {
        (progress, []) => progress,
        (_, rest) => return Err(SnapshotError::Malformed(format!("{} bytes follow its end", rest.len()))),
    };
    let (layouts, reads_from) = (state.layouts.clone(), state.progress.reads_from);
    if let Some(base) = &manifest.base {
        let width = SHARDS / base.files as usize;
        let chunks = state.shards.par_chunks_mut(width).enumerate();
        let read = chunks.map(|(number, shards)| {
            let first = number * width;
            read_file(&layouts, first, shards, &Manifest::path(folder, BASE, base.save, first))
        });
        let ids = read.collect::<Result<Vec<Generations>, _>>()?;
        ids.into_iter().for_each(|ids| state.progress.recent.restore(ids));
    }
    for delta in &manifest.deltas {
        let path = Manifest::path(folder, DELTA, delta.save, 0);
        state.progress.recent.restore(read_file(&layouts, 0, &mut state.shards, &path)?);
    }
    state.progress.recent.restore_generation(manifest.generation);
    state.progress.recent.note_saved();
    if let Some(reads_from) = reads_from {
        state.shards.par_iter_mut().for_each(|shard| State::expire_series(&layouts, shard, reads_from, None));
    }
    Ok(Some((state, Saver { saved: Some((folder.to_owned(), manifest)) })))
}

/// The version comes first and is looked at before anything else is believed.
fn read_manifest(bytes: &[u8]) -> Result<(Manifest, &[u8]), SnapshotError> {
    let (found, _) = postcard::take_from_bytes::<u32>(bytes)?;
    if found != VERSION {
        return Err(SnapshotError::Version { found });
    }
    let (manifest, rest) = postcard::take_from_bytes::<Manifest>(bytes)?;
    match &manifest.base {
        Some(base) if base.files == 0 || !(SHARDS as u64).is_multiple_of(base.files) => {
            Err(SnapshotError::Malformed(format!("its base has {} files", base.files)))
        }
        _ => Ok((manifest, rest)),
    }
}

type Shard = FxHashMap<SeriesKey, Series>;

/// Reads a file of the shards from number `first` on and gives the ids in it.
fn read_file(
    layouts: &[Layout],
    first: usize,
    shards: &mut [Shard],
    path: &Path,
) -> Result<Generations, SnapshotError> {
    let Some(bytes) = read_checked(path)? else {
        return Err(SnapshotError::Malformed(format!("{} is missing", path.display())));
    };
    let (ids, mut rest) = postcard::take_from_bytes::<Generations>(&bytes)?;
    while !rest.is_empty() {
        rest = read_series(layouts, first, shards, rest)?;
    }
    Ok(ids)
}

/// Reads one series over the one that an earlier file held and gives what follows it.
fn read_series<'a>(
    layouts: &[Layout],
    first: usize,
    shards: &mut [Shard],
    bytes: &'a [u8],
) -> Result<&'a [u8], SnapshotError> {
    let (key, bytes) = postcard::take_from_bytes::<SeriesKey>(bytes)?;
    let shard = key.shard().checked_sub(first).and_then(|number| shards.get_mut(number));
    let (Some(layout), Some(shard)) = (layouts.get(key.view()), shard) else {
        return Err(SnapshotError::Malformed(format!("it holds {key:?}, which does not belong there")));
    };
    let decoded = encoding::decode(layout, bytes).map_err(|error| SnapshotError::Malformed(error.to_string()))?;
    let (mut series, rest) = decoded;
    series.build_index(layout);
    shard.insert(key, series);
    Ok(rest)
}

/// The highest number among the files of a folder, so that a store that knows nothing of them overwrites none before its
/// own manifest is written.
fn latest_save(folder: &Path) -> Result<u64, SnapshotError> {
    let numbers = parts(folder)?.into_iter().filter_map(|name| name.split('-').nth(1)?.parse().ok());
    Ok(numbers.max().unwrap_or(0))
}

/// Removes the parts that the manifest does not name any more.
fn remove_unnamed(folder: &Path, manifest: &Manifest) -> Result<(), SnapshotError> {
    let named = manifest.paths(folder);
    for path in parts(folder)?.into_iter().map(|name| folder.join(name)).filter(|path| !named.contains(path)) {
        fs::remove_file(&path).map_err(refused("cannot remove", &path))?;
    }
    Ok(())
}

/// The names of all files of bases and deltas, also unfinished ones.
fn parts(folder: &Path) -> Result<Vec<String>, SnapshotError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(refused("cannot list", folder))? {
        let name = entry.map_err(refused("cannot list", folder))?.file_name().into_string();
        let is_part = |name: &String| name.split('-').next().is_some_and(|kind| kind == BASE || kind == DELTA);
        names.extend(name.ok().filter(is_part));
    }
    Ok(names)
}

fn refused(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    move |source| CheckpointError::Io { doing, path: path.to_owned(), source: Arc::new(source) }
}
