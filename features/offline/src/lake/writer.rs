//! Records into files, files into the manifest: each record once, whatever happens between two steps; it runs no SQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dhow_events::{Clock, Erasure, FactKind, HOUR_MICROS, TenantId, Timestamp};
use dhow_streams::{Offsets, Record, Sink, SinkError};
use rustc_hash::FxHashSet;

use crate::OfflineError;
use crate::lake::compaction::{Compacted, CompactionJob, FILES_MIN, RunningCompaction};
use crate::lake::erasure::rewrite_file;
use crate::lake::layout::{FileNames, TableKey, write_files};
use crate::lake::manifest::{LakeFile, Manifest, RetiredFile};
use crate::lake::recent_ids::RecentIds;
use crate::lake::storage::{LakeStorage, ManifestTag, WriterLock};
use crate::table::TableBuilder;

/// How many rows of one table are held in memory before they become a file.
pub const ROWS_BUFFERED_MAX: usize = 200_000;

/// Files that were merged into others stay for so long, for readers that opened the lake before.
pub const RETIRED_KEPT_MICROS: i64 = HOUR_MICROS;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// How many files it merged.
    pub files_merged: usize,
    /// How many took their place.
    pub files_written: usize,
}

/// Writes records into the lake; the stream worker's [`Sink`].
pub struct LakeWriter {
    storage: Arc<dyn LakeStorage>,
    clock: Arc<dyn Clock>,
    /// What the next manifest will be; what is in force has the tag.
    manifest: Manifest,
    tag: ManifestTag,
    names: Arc<FileNames>,
    tables: BTreeMap<(TenantId, FactKind), TableBuilder>,
    /// Files written since the last checkpoint, not yet in the manifest.
    pending: Vec<LakeFile>,
    recent_ids: RecentIds,
    compaction: Option<RunningCompaction>,
    /// Compaction in the background goes on until it fails once.
    compacts: bool,
    _lock: WriterLock,
}

impl LakeWriter {
    /// Opens or creates the lake, shuts earlier writers out and removes what an interrupted one left unnamed. `clock` says
    /// how long merged files were kept.
    ///
    /// # Errors
    /// A place that cannot be written, another writer at work, or a damaged manifest.
    pub fn open(storage: Arc<dyn LakeStorage>, clock: Arc<dyn Clock>) -> Result<Self, OfflineError> {
        let lock = storage.lock()?;
        let (mut manifest, tag) = Manifest::read(&*storage)?;
        // The new number is this writer's alone, because the manifest that carries it could only be written by one. It
        // makes the names of its files unique, and the tag of every earlier writer stale.
        manifest.writer += 1;
        let tag = manifest.write(&*storage, tag.as_ref())?;
        let recent_ids = match &manifest.recent_ids {
            Some(path) => RecentIds::read(&*storage, path)?,
            None => RecentIds::default(),
        };
        remove_unnamed(&*storage, &manifest)?;
        Ok(Self {
            names: Arc::new(FileNames::of_writer(manifest.writer)),
            storage,
            clock,
            manifest,
            tag,
            tables: BTreeMap::new(),
            pending: Vec::new(),
            recent_ids,
            compaction: None,
            compacts: true,
            _lock: lock,
        })
    }

    /// Merges small files until no table has two of them, and returns when the lake consists of the merged ones.
    ///
    /// # Errors
    /// A place that cannot be read or written, a damaged file, or another writer.
    pub fn compact(&mut self) -> Result<CompactionReport, OfflineError> {
        let mut report = CompactionReport::default();
        let running = self.compaction.take().map(RunningCompaction::join).transpose()?.flatten();
        let mut done = running;
        loop {
            if let Some(compacted) = done.take() {
                report.files_merged += compacted.inputs.len();
                report.files_written += compacted.outputs.len();
                self.replace_files(compacted);
                self.commit()?;
            }
            let Some(job) = CompactionJob::next(&self.manifest, 2) else { return Ok(report) };
            done = job.run(&*self.storage, &self.names, &AtomicBool::new(false))?;
        }
    }

    /// Takes a person out of every file of the tenant, and removes the files that tell of the person at once, those kept for
    /// readers that opened the lake before included: such a reader may be told that a file is gone. Gives how many files were
    /// written anew. A file at a time is put in force, so one that ends on the way is taken up where it ended.
    ///
    /// # Errors
    /// A place that cannot be read or written, a damaged file, rows that are not in a file yet, or another writer.
    pub fn erase(&mut self, erasure: &Erasure) -> Result<usize, OfflineError> {
        if !self.tables.is_empty() || !self.pending.is_empty() {
            let reason = "rows wait for a checkpoint; take one first".to_owned();
            return Err(OfflineError::Storage { place: self.storage.location().to_owned(), reason });
        }
        let files: Vec<LakeFile> =
            self.manifest.files.iter().filter(|file| file.tenant == erasure.tenant).cloned().collect();
        let mut count = 0;
        for file in &files {
            let Some(rewritten) = rewrite_file(&*self.storage, &self.names, file, erasure)? else { continue };
            self.replace_files(rewritten);
            self.commit()?;
            count += 1;
        }
        // Merged files of before may tell of the person too; they are named until their readers are gone, and no longer.
        let gone: Vec<RetiredFile> = std::mem::take(&mut self.manifest.retired);
        self.commit()?;
        gone.iter().try_for_each(|file| self.storage.remove(&file.path))?;
        Ok(count)
    }

    /// Takes a record in and tells whether it makes a row: it does not where the lake holds it already, or holds an event of the
    /// same id.
    ///
    /// # Errors
    /// A full table that cannot be written.
    pub fn take(&mut self, record: &Record) -> Result<bool, OfflineError> {
        let done = self.manifest.offsets.get(record.partition as usize).copied().unwrap_or(0);
        if record.offset < done {
            return Ok(false);
        }
        if !self.recent_ids.insert(record.event.id.as_u128(), record.known_time) {
            self.manifest.duplicate_count += 1;
            return Ok(false);
        }
        let key = (record.event.tenant, record.event.fact.kind());
        let table = self.tables.entry(key).or_insert_with(|| TableBuilder::new(key.1));
        table.push(record);
        if table.row_count() >= ROWS_BUFFERED_MAX {
            self.write_table(key)?;
        }
        Ok(true)
    }

    fn write_table(&mut self, key: (TenantId, FactKind)) -> Result<(), OfflineError> {
        let Some(table) = self.tables.get_mut(&key) else { return Ok(()) };
        if table.row_count() == 0 {
            return Ok(());
        }
        let (tenant, kind) = key;
        let refused =
            |e: arrow::error::ArrowError| OfflineError::Table { table: kind.name().into(), reason: e.to_string() };
        let rows = table.take().map_err(refused)?;
        let table = TableKey { tenant, kind, columns: self.manifest.columns_of(&rows.schema()) };
        self.pending.extend(write_files(&*self.storage, &self.names, table, &rows)?);
        Ok(())
    }

    /// Everything durable first, named in one step, then what nobody names any more removed.
    fn write_checkpoint(&mut self, offsets: &Offsets) -> Result<(), OfflineError> {
        let keys: Vec<_> = self.tables.keys().copied().collect();
        for key in keys {
            self.write_table(key)?;
        }
        let ids_path = format!("recent_ids_{}.bin", self.names.next());
        self.recent_ids.write(&*self.storage, &ids_path)?;
        let previous_ids = self.manifest.recent_ids.replace(ids_path);
        self.manifest.files.append(&mut self.pending);
        self.manifest.offsets.clone_from(&offsets.0);
        if let Some(compacted) = self.finished_compaction() {
            self.replace_files(compacted);
        }
        self.commit()?;
        previous_ids.iter().try_for_each(|path| self.storage.remove(path))?;
        self.start_compaction();
        Ok(())
    }

    /// Puts the manifest in force and removes the files whose time is over.
    fn commit(&mut self) -> Result<(), OfflineError> {
        let kept_since = self.clock.now() - RETIRED_KEPT_MICROS;
        let is_over = |file: &mut RetiredFile| file.retired_at < kept_since;
        let over: Vec<RetiredFile> = self.manifest.retired.extract_if(.., is_over).collect();
        self.tag = self.manifest.write(&*self.storage, Some(&self.tag))?;
        over.iter().try_for_each(|file| self.storage.remove(&file.path))
    }

    fn replace_files(&mut self, compacted: Compacted) {
        let retired_at: Timestamp = self.clock.now();
        let inputs: FxHashSet<&str> = compacted.inputs.iter().map(String::as_str).collect();
        self.manifest.files.retain(|file| !inputs.contains(file.path.as_str()));
        self.manifest.files.extend(compacted.outputs);
        self.manifest.retired.extend(compacted.inputs.into_iter().map(|path| RetiredFile { path, retired_at }));
    }

    /// A compaction that failed leaves the lake as it was. It is told and not tried again: what it failed at stays.
    fn finished_compaction(&mut self) -> Option<Compacted> {
        match self.compaction.take_if(|running| running.is_finished())?.join() {
            Ok(compacted) => compacted,
            Err(error) => {
                tracing::error!(%error, "compaction failed; the lake grows by small files until it is opened again");
                self.compacts = false;
                None
            }
        }
    }

    fn start_compaction(&mut self) {
        if !self.compacts || self.compaction.is_some() {
            return;
        }
        let Some(job) = CompactionJob::next(&self.manifest, FILES_MIN) else { return };
        match RunningCompaction::start(job, self.storage.clone(), self.names.clone()) {
            Ok(running) => self.compaction = Some(running),
            Err(error) => tracing::error!(%error, "no thread for compaction; the next checkpoint tries again"),
        }
    }
}

impl Drop for LakeWriter {
    /// A thread of this writer must not write any more when the next one begins.
    fn drop(&mut self) {
        if let Some(running) = self.compaction.take() {
            running.cancel();
        }
    }
}

impl Sink for LakeWriter {
    fn apply(&mut self, record: &Record) -> Result<(), SinkError> {
        self.take(record).map(drop).map_err(SinkError::from)
    }

    fn checkpoint(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        self.write_checkpoint(offsets).map_err(SinkError::from)
    }

    fn restored_offsets(&self) -> Offsets {
        Offsets(self.manifest.offsets.clone())
    }
}

/// Removes files that the manifest does not name.
fn remove_unnamed(storage: &dyn LakeStorage, manifest: &Manifest) -> Result<(), OfflineError> {
    let named: FxHashSet<&str> = manifest.named().collect();
    for path in storage.list()?.iter().filter(|path| !named.contains(path.as_str())) {
        tracing::info!(path, "removing a lake file that no checkpoint names");
        storage.remove(path)?;
    }
    Ok(())
}
