//! The lake: one Parquet table per tenant and kind of fact, written by the stream worker exactly once; it runs no SQL.
//!
//! Files are written first and named in the manifest afterwards, in one atomic step together with the log offsets and
//! the recent event ids. A file that no manifest names does not exist: after a crash it is removed and its records are
//! read from the log again. An event whose id was seen within [`DUPLICATE_HORIZON_MICROS`] is written once.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use dhow_events::{DAY_MICROS, FactKind, TenantId, Timestamp};
use dhow_streams::checkpoint::{read_checked, write_atomically};
use dhow_streams::{Offsets, Record, Sink, SinkError};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::OfflineError;
use crate::table::TableBuilder;

/// How long after an event became known a second event of its id is known for a duplicate.
pub const DUPLICATE_HORIZON_MICROS: i64 = 3 * DAY_MICROS;

/// How many rows of one table are held in memory before they become a file.
pub const ROWS_BUFFERED_MAX: usize = 200_000;

const MANIFEST: &str = "manifest.dhow";

/// One file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeFile {
    /// Whose.
    pub tenant: TenantId,
    /// Of which kind.
    pub kind: FactKind,
    /// Where, below the lake's folder.
    pub path: PathBuf,
    /// How many rows.
    pub row_count: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    /// The next offset to read, for each partition.
    offsets: Vec<u64>,
    duplicate_count: u64,
    files: Vec<LakeFile>,
    /// The file with the recent ids, if there is one.
    recent_ids: Option<PathBuf>,
}

/// A lake as it was at its last checkpoint, for reading.
#[derive(Debug, Clone)]
pub struct Lake {
    folder: PathBuf,
    manifest: Manifest,
}

impl Lake {
    /// Opens the lake in `folder`; a folder without a lake is an empty lake.
    ///
    /// # Errors
    /// An unreadable or damaged manifest.
    pub fn open(folder: &Path) -> Result<Self, OfflineError> {
        Ok(Self { folder: folder.to_owned(), manifest: read_manifest(folder)? })
    }

    /// The paths of a table's files, in the order of writing.
    pub fn files(&self, tenant: &TenantId, kind: FactKind) -> Vec<PathBuf> {
        let of_table = |file: &&LakeFile| file.tenant == *tenant && file.kind == kind;
        self.manifest.files.iter().filter(of_table).map(|file| self.folder.join(&file.path)).collect()
    }

    /// The number of rows of a table.
    pub fn row_count(&self, tenant: &TenantId, kind: FactKind) -> u64 {
        let of_table = |file: &&LakeFile| file.tenant == *tenant && file.kind == kind;
        self.manifest.files.iter().filter(of_table).map(|file| file.row_count).sum()
    }

    /// The number of rows of all tables.
    pub fn row_count_total(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.row_count).sum()
    }

    /// Events left out because their id had come before.
    pub fn duplicate_count(&self) -> u64 {
        self.manifest.duplicate_count
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, OfflineError> {
    let path = folder.join(MANIFEST);
    let Some(bytes) = read_checked(&path)? else {
        return Ok(Manifest { version: 1, ..Manifest::default() });
    };
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|e| OfflineError::Manifest { path: path.clone(), reason: e.to_string() })?;
    if manifest.version != 1 {
        let reason = format!("it has version {}; this program reads version 1", manifest.version);
        return Err(OfflineError::Manifest { path, reason });
    }
    Ok(manifest)
}

/// Writes records into the lake; the stream worker's [`Sink`].
pub struct LakeWriter {
    folder: PathBuf,
    manifest: Manifest,
    tables: BTreeMap<(TenantId, FactKind), TableBuilder>,
    /// Files written since the last checkpoint, not yet in the manifest.
    pending: Vec<LakeFile>,
    seen: FxHashSet<u128>,
    /// The seen ids with the times when they became known, oldest first.
    seen_order: VecDeque<(Timestamp, u128)>,
    file_number: u64,
}

impl LakeWriter {
    /// Opens or creates the lake in `folder` and removes what an interrupted run left unnamed.
    ///
    /// # Errors
    /// A folder that cannot be written, or a damaged manifest.
    pub fn open(folder: &Path) -> Result<Self, OfflineError> {
        fs::create_dir_all(folder).map_err(|e| OfflineError::file(folder, e))?;
        let manifest = read_manifest(folder)?;
        let seen_order = match &manifest.recent_ids {
            Some(path) => read_recent_ids(&folder.join(path))?,
            None => VecDeque::new(),
        };
        let seen = seen_order.iter().map(|(_, id)| *id).collect();
        remove_unnamed(folder, &manifest)?;
        let file_number = manifest.files.len() as u64;
        let (tables, pending) = (BTreeMap::new(), Vec::new());
        Ok(Self { folder: folder.to_owned(), manifest, tables, pending, seen, seen_order, file_number })
    }

    fn push(&mut self, record: &Record) -> Result<(), OfflineError> {
        let done = self.manifest.offsets.get(record.partition as usize).copied().unwrap_or(0);
        if record.offset < done {
            return Ok(());
        }
        self.forget_before(record.known_time - DUPLICATE_HORIZON_MICROS);
        let id = record.event.id.as_u128();
        if !self.seen.insert(id) {
            self.manifest.duplicate_count += 1;
            return Ok(());
        }
        self.seen_order.push_back((record.known_time, id));
        let key = (record.event.tenant, record.event.fact.kind());
        let table = self.tables.entry(key).or_insert_with(|| TableBuilder::new(key.1));
        table.push(record);
        if table.row_count() >= ROWS_BUFFERED_MAX { self.write_table(key) } else { Ok(()) }
    }

    fn forget_before(&mut self, known_time: Timestamp) {
        while let Some((time, id)) = self.seen_order.front().copied() {
            if time >= known_time {
                break;
            }
            self.seen_order.pop_front();
            self.seen.remove(&id);
        }
    }

    fn write_table(&mut self, key: (TenantId, FactKind)) -> Result<(), OfflineError> {
        let Some(table) = self.tables.get_mut(&key) else { return Ok(()) };
        if table.row_count() == 0 {
            return Ok(());
        }
        let (tenant, kind) = key;
        let name =
            |e: arrow::error::ArrowError| OfflineError::Table { table: kind.name().into(), reason: e.to_string() };
        let batch = table.take().map_err(name)?;
        let path = PathBuf::from(tenant.as_str()).join(kind.name()).join(format!("{:08}.parquet", self.file_number));
        self.file_number += 1;
        write_parquet(&self.folder.join(&path), &batch)?;
        self.pending.push(LakeFile { tenant, kind, path, row_count: batch.num_rows() as u64 });
        Ok(())
    }

    fn write_checkpoint(&mut self, offsets: &Offsets) -> Result<(), OfflineError> {
        let keys: Vec<_> = self.tables.keys().copied().collect();
        for key in keys {
            self.write_table(key)?;
        }
        let previous_ids = self.manifest.recent_ids.take();
        let ids_path = PathBuf::from(format!("recent_ids_{:08}.bin", self.file_number));
        self.file_number += 1;
        write_recent_ids(&self.folder.join(&ids_path), &self.seen_order)?;
        self.manifest.recent_ids = Some(ids_path.clone());
        self.manifest.files.append(&mut self.pending);
        self.manifest.offsets = offsets.0.clone();
        let path = self.folder.join(MANIFEST);
        let bytes = serde_json::to_vec_pretty(&self.manifest)
            .map_err(|e| OfflineError::Manifest { path: path.clone(), reason: e.to_string() })?;
        write_atomically(&path, &bytes)?;
        if let Some(previous) = previous_ids.filter(|previous| *previous != ids_path) {
            let path = self.folder.join(previous);
            fs::remove_file(&path).map_err(|e| OfflineError::file(path, e))?;
        }
        Ok(())
    }
}

impl Sink for LakeWriter {
    fn apply(&mut self, record: &Record) -> Result<(), SinkError> {
        self.push(record).map_err(SinkError::from)
    }

    fn checkpoint(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        self.write_checkpoint(offsets).map_err(SinkError::from)
    }

    fn restored_offsets(&self) -> Offsets {
        Offsets(self.manifest.offsets.clone())
    }
}

/// Writes one batch as a file that is on the disk when this returns.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn write_parquet(path: &Path, batch: &RecordBatch) -> Result<(), OfflineError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| OfflineError::file(folder, e))?;
    }
    let file = File::create(path).map_err(|e| OfflineError::file(path, e))?;
    let sync = file.try_clone().map_err(|e| OfflineError::file(path, e))?;
    let parquet_error = |source| OfflineError::Parquet { path: path.to_owned(), source };
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(parquet_error)?;
    writer.write(batch).map_err(parquet_error)?;
    writer.close().map_err(parquet_error)?;
    sync.sync_all().map_err(|e| OfflineError::file(path, e))
}

fn write_recent_ids(path: &Path, ids: &VecDeque<(Timestamp, u128)>) -> Result<(), OfflineError> {
    let mut bytes = Vec::with_capacity(ids.len() * 24);
    for (time, id) in ids {
        bytes.extend_from_slice(&time.micros().to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    Ok(write_atomically(path, &bytes)?)
}

fn read_recent_ids(path: &Path) -> Result<VecDeque<(Timestamp, u128)>, OfflineError> {
    let bytes = read_checked(path)?
        .ok_or_else(|| OfflineError::Manifest { path: path.to_owned(), reason: "it is missing".into() })?;
    let entries = bytes.chunks_exact(24);
    if !entries.remainder().is_empty() {
        return Err(OfflineError::Manifest {
            path: path.to_owned(),
            reason: format!("{} bytes are no whole entries", bytes.len()),
        });
    }
    let entry = |chunk: &[u8]| {
        let (mut time, mut id) = ([0; 8], [0; 16]);
        time.copy_from_slice(&chunk[..8]);
        id.copy_from_slice(&chunk[8..]);
        (Timestamp::from_micros(i64::from_le_bytes(time)), u128::from_le_bytes(id))
    };
    Ok(entries.map(entry).collect())
}

/// Removes files that the manifest does not name.
fn remove_unnamed(folder: &Path, manifest: &Manifest) -> Result<(), OfflineError> {
    let named: FxHashSet<PathBuf> =
        manifest.files.iter().map(|file| file.path.clone()).chain(manifest.recent_ids.clone()).collect();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).map_err(|e| OfflineError::file(&current, e))? {
            let path = entry.map_err(|e| OfflineError::file(&current, e))?.path();
            let relative = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if relative != Path::new(MANIFEST) && !named.contains(&relative) {
                tracing::info!(path = %path.display(), "removing a lake file that no checkpoint names");
                fs::remove_file(&path).map_err(|e| OfflineError::file(&path, e))?;
            }
        }
    }
    Ok(())
}
