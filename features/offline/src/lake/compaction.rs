//! Merging a table's small files into fewer, sorted by event time; what becomes of the old ones is the writer's.
//!
//! A job takes files that are not full, next to each other in time, of one table and with the same columns. Its rows are
//! written by the rules of every file, so all files that come of it but the last are full: jobs come to an end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use arrow::array::RecordBatchReader;
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::OfflineError;
use crate::lake::layout::{FILE_ROWS_FULL, FILE_ROWS_MAX, FileNames, TableKey, write_files};
use crate::lake::manifest::{LakeFile, Manifest};
use crate::lake::storage::LakeStorage;

/// A file of so many bytes is full, however few rows it has.
const FILE_BYTES_FULL: u64 = 8 << 20;
/// A job begins in the background once a table has so many small files: enough to be worth rewriting the larger ones.
pub(crate) const FILES_MIN: usize = 8;
/// No job takes more files.
const FILES_MAX: usize = 64;
/// No job takes more bytes of files. Eight files that are not full always fit.
const BYTES_MAX: u64 = 64 << 20;

/// Small files that are to be merged.
#[derive(Debug)]
pub(crate) struct CompactionJob {
    table: TableKey,
    inputs: Vec<LakeFile>,
}

/// What takes the place of what.
#[derive(Debug)]
pub(crate) struct Compacted {
    pub inputs: Vec<String>,
    pub outputs: Vec<LakeFile>,
}

impl CompactionJob {
    /// The next job: of the table with the most small files, from the earliest on; nothing where no table has `files_min`.
    pub fn next(manifest: &Manifest, files_min: usize) -> Option<Self> {
        let mut small: BTreeMap<TableKey, Vec<&LakeFile>> = BTreeMap::new();
        for file in manifest.files.iter().filter(|file| is_small(file)) {
            let table = TableKey { tenant: file.tenant, kind: file.kind, columns: file.columns };
            small.entry(table).or_default().push(file);
        }
        let (table, mut files) = small.into_iter().max_by_key(|(_, files)| files.len())?;
        files.sort_by_key(|file| (file.event_time_min, &file.path));
        let (mut rows, mut bytes) = (0, 0);
        let fits = |file: &&LakeFile| {
            (rows, bytes) = (rows + file.row_count, bytes + file.byte_count);
            rows <= FILE_ROWS_MAX as u64 && bytes <= BYTES_MAX
        };
        let inputs: Vec<LakeFile> = files.into_iter().take(FILES_MAX).take_while(fits).cloned().collect();
        (inputs.len() >= files_min).then_some(Self { table, inputs })
    }

    /// Writes the merged files; nothing where it was told to stop.
    pub fn run(
        self,
        storage: &dyn LakeStorage,
        names: &FileNames,
        stop: &AtomicBool,
    ) -> Result<Option<Compacted>, OfflineError> {
        let mut batches = Vec::new();
        for file in &self.inputs {
            if stop.load(Ordering::Acquire) {
                return Ok(None);
            }
            batches.push(read_file(storage, file)?);
        }
        let Some(first) = batches.first() else { return Ok(None) };
        let rows = concat_batches(&first.schema(), &batches)
            .map_err(|e| OfflineError::Table { table: self.table.kind.name().to_owned(), reason: e.to_string() })?;
        let outputs = write_files(storage, names, self.table, &rows)?;
        Ok(Some(Compacted { inputs: self.inputs.into_iter().map(|file| file.path).collect(), outputs }))
    }
}

fn is_small(file: &LakeFile) -> bool {
    file.row_count < FILE_ROWS_FULL as u64 && file.byte_count < FILE_BYTES_FULL
}

pub(crate) fn read_file(storage: &dyn LakeStorage, file: &LakeFile) -> Result<RecordBatch, OfflineError> {
    let path = || format!("{}/{}", storage.location(), file.path);
    let damaged = |reason: String| OfflineError::Storage { place: path(), reason };
    let bytes =
        storage.read(&file.path)?.ok_or_else(|| damaged("the manifest names it and it is missing".to_owned()))?;
    let parquet_error = |source| OfflineError::Parquet { path: path().into(), source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).and_then(|builder| builder.build());
    let reader = reader.map_err(parquet_error)?;
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(|e| damaged(e.to_string()))?;
    let batch = concat_batches(&schema, &batches).map_err(|e| damaged(e.to_string()))?;
    match batch.num_rows() as u64 == file.row_count {
        true => Ok(batch),
        false => Err(damaged(format!("it has {} rows; the manifest says {}", batch.num_rows(), file.row_count))),
    }
}

/// A job that runs on a thread of its own, off the way of events.
#[derive(Debug)]
pub(crate) struct RunningCompaction {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Option<Compacted>, OfflineError>>,
}

impl RunningCompaction {
    pub fn start(job: CompactionJob, storage: Arc<dyn LakeStorage>, names: Arc<FileNames>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let work = move || job.run(&*storage, &names, &stopping);
        let thread = std::thread::Builder::new().name("lake-compaction".to_owned()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the job's end.
    pub fn join(self) -> Result<Option<Compacted>, OfflineError> {
        let panicked = |_| OfflineError::Storage { place: "lake".to_owned(), reason: "compaction panicked".to_owned() };
        self.thread.join().map_err(panicked)?
    }

    /// Ends the job early; files that it has written stay unnamed.
    pub fn cancel(self) {
        self.stop.store(true, Ordering::Release);
        if let Err(error) = self.join() {
            tracing::error!(%error, "compaction failed; the lake is as it was");
        }
    }
}
