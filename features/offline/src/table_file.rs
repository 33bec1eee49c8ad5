//! Tables as files of their own, Parquet or Arrow, for other programs; the lake's files are the lake's.

use std::fs::{self, File};
use std::path::Path;
use std::str::FromStr;

use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::OfflineError;

/// The form of a table's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Apache Parquet, compressed by Snappy.
    Parquet,
    /// An Arrow IPC file, which Polars, pandas and others map into memory as it is.
    Arrow,
}

impl TableFormat {
    /// The format that a file's ending asks for: Arrow for `.arrow`, `.feather` and `.ipc`, Parquet for every other.
    pub fn of_path(path: &Path) -> Self {
        let is_arrow =
            |ending: &str| ["arrow", "feather", "ipc"].iter().any(|known| ending.eq_ignore_ascii_case(known));
        match path.extension().and_then(|ending| ending.to_str()).is_some_and(is_arrow) {
            true => Self::Arrow,
            false => Self::Parquet,
        }
    }
}

impl FromStr for TableFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "parquet" => Ok(Self::Parquet),
            "arrow" => Ok(Self::Arrow),
            other => Err(format!("`{other}` is no format of tables; known are parquet and arrow")),
        }
    }
}

/// Writes one batch as a file that is on the disk when this returns.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn write_table(path: &Path, batch: &RecordBatch, format: TableFormat) -> Result<(), OfflineError> {
    match format {
        TableFormat::Parquet => write_parquet(path, batch),
        TableFormat::Arrow => write_arrow(path, batch),
    }
}

/// Writes one batch as a Parquet file that is on the disk when this returns.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn write_parquet(path: &Path, batch: &RecordBatch) -> Result<(), OfflineError> {
    let file = create(path)?;
    let parquet_error = |source| OfflineError::Parquet { path: path.to_owned(), source };
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(&file, batch.schema(), Some(properties)).map_err(parquet_error)?;
    writer.write(batch).map_err(parquet_error)?;
    writer.close().map_err(parquet_error)?;
    file.sync_all().map_err(|e| OfflineError::file(path, e))
}

fn write_arrow(path: &Path, batch: &RecordBatch) -> Result<(), OfflineError> {
    let file = create(path)?;
    let write = || {
        let mut writer = FileWriter::try_new_buffered(&file, &batch.schema())?;
        writer.write(batch)?;
        writer.finish()
    };
    write().map_err(|e| OfflineError::Table { table: path.display().to_string(), reason: e.to_string() })?;
    file.sync_all().map_err(|e| OfflineError::file(path, e))
}

fn create(path: &Path) -> Result<File, OfflineError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| OfflineError::file(folder, e))?;
    }
    File::create(path).map_err(|e| OfflineError::file(path, e))
}
