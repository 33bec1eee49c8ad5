//! The lake: Parquet tables for each tenant and kind of fact, written exactly once, in a folder or an object store; no SQL.
//!
//! ```text
//! manifest.dhow                                        which files the lake consists of; replaced in one step
//! recent_ids_<writer>-<number>.bin                     ids of the last days, by which duplicates are known
//! <tenant>/<kind>/date=<day>/<writer>-<number>.parquet rows of one event day, sorted by event time
//! <tenant>/<kind>/dates=<day>..<day>/…                 rows of several quiet days
//! ```
//!
//! Files are written first and named in the manifest afterwards, in one atomic step together with the log offsets and
//! the recent event ids. A file that no manifest names does not exist: after a crash it is removed and its records are
//! read from the log again. An event whose id was seen within [`DUPLICATE_HORIZON_MICROS`] is written once.
//!
//! The manifest says the earliest and the latest event time of each file, so that a query opens only files that can hold
//! what it asks for, and the columns of each file, by which older files are read when a table's columns change.
//! Small files are merged in the background and swapped in the manifest with the next checkpoint; merged ones are kept
//! for [`RETIRED_KEPT_MICROS`], because whoever opened the lake before still reads them.
//!
//! Rows are never changed, but for a person who is erased: the files that tell of one are written anew and removed at once.
//!
//! There is one writer at a time. Opening a lake for writing makes every earlier writer's next step fail.

mod compaction;
mod erasure;
mod evolution;
mod layout;
mod manifest;
mod object_storage;
mod recent_ids;
mod storage;
mod writer;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use dhow_events::{FactKind, TenantId};

pub use layout::{FILE_ROWS_FULL, FILE_ROWS_MAX};
pub use manifest::LakeFile;
pub use object_storage::{ObjectStorage, S3Settings};
pub use recent_ids::DUPLICATE_HORIZON_MICROS;
pub use storage::{FolderStorage, LakeStorage, ManifestTag, WriterLock, lake_storage};
pub use writer::{CompactionReport, LakeWriter, RETIRED_KEPT_MICROS, ROWS_BUFFERED_MAX};

use crate::OfflineError;
use crate::lake::manifest::Manifest;
use crate::table::schema;

/// A lake as it was at its last checkpoint, for reading.
#[derive(Debug, Clone)]
pub struct Lake {
    storage: Arc<dyn LakeStorage>,
    manifest: Manifest,
}

impl Lake {
    /// Opens the lake; a place without a lake is an empty one.
    ///
    /// # Errors
    /// A place that cannot be read, or a damaged manifest.
    pub fn open(storage: Arc<dyn LakeStorage>) -> Result<Self, OfflineError> {
        let (manifest, _) = Manifest::read(&*storage)?;
        Ok(Self { storage, manifest })
    }

    /// Where its files are.
    pub fn storage(&self) -> &Arc<dyn LakeStorage> {
        &self.storage
    }

    /// Whether it has no files.
    pub fn is_empty(&self) -> bool {
        self.manifest.files.is_empty()
    }

    /// A table's files.
    pub fn files(&self, tenant: &TenantId, kind: FactKind) -> impl Iterator<Item = &LakeFile> {
        self.manifest.table(tenant, kind)
    }

    /// The schema by which a table's files can be read together: the kind's own, where what an older file lacks may be null.
    ///
    /// # Errors
    /// A file with a column that was retyped in another way than by widening.
    pub fn table_schema(&self, tenant: &TenantId, kind: FactKind) -> Result<SchemaRef, OfflineError> {
        let columns = |file: &LakeFile| self.manifest.columns.get(file.columns).map_or(&[][..], Vec::as_slice);
        let files = self.files(tenant, kind).map(|file| (self.shown(file), columns(file)));
        evolution::reading_schema(&schema(kind), files)
    }

    fn shown(&self, file: &LakeFile) -> String {
        format!("{}/{}", self.storage.location(), file.path)
    }

    /// The number of rows of a table.
    pub fn row_count(&self, tenant: &TenantId, kind: FactKind) -> u64 {
        self.files(tenant, kind).map(|file| file.row_count).sum()
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
