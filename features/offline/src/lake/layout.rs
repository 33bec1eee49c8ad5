//! How rows become files: sorted by event time, whole days together, Parquet; which files exist is the manifest's.
//!
//! A file holds whole event days, as many as it takes to reach [`FILE_ROWS_FULL`]: a busy day has files of its own in
//! `date=2026-11-21/`, quiet days share one in `dates=2026-11-19..2026-11-23/`. So a checkpoint over a long backlog writes
//! a few files for each table and not one for each of its days, and a query that asks for some days still reads few
//! others. A day with more than [`FILE_ROWS_MAX`] rows is cut into several files.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use dhow_events::{FactKind, TenantId, Timestamp};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::OfflineError;
use crate::lake::manifest::LakeFile;
use crate::lake::storage::LakeStorage;

/// A file with so many rows is not made larger.
pub const FILE_ROWS_FULL: usize = 50_000;
/// No file has more rows.
pub const FILE_ROWS_MAX: usize = 400_000;
/// Rows that Parquet's statistics are kept for together; a query skips those whose statistics it does not fit.
const ROW_GROUP_ROWS_MAX: usize = 65_536;

/// Names for new files that no other writer of the lake gives.
#[derive(Debug)]
pub(crate) struct FileNames {
    writer: u64,
    next: AtomicU64,
}

impl FileNames {
    pub fn of_writer(writer: u64) -> Self {
        Self { writer, next: AtomicU64::new(0) }
    }

    pub fn next(&self) -> String {
        format!("{:06}-{:08}", self.writer, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whose table, and which list of columns its file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableKey {
    pub tenant: TenantId,
    pub kind: FactKind,
    pub columns: usize,
}

/// Writes rows of one table as files, sorted by event time; no manifest names them yet.
pub(crate) fn write_files(
    storage: &dyn LakeStorage,
    names: &FileNames,
    table: TableKey,
    rows: &RecordBatch,
) -> Result<Vec<LakeFile>, OfflineError> {
    let refused = |e: ArrowError| OfflineError::Table { table: table.kind.name().to_owned(), reason: e.to_string() };
    let sorted = sorted(rows).map_err(refused)?;
    let times = event_times(&sorted).map_err(refused)?;
    let mut files = Vec::new();
    for range in chunks(&times) {
        let (first, last) = (times[range.start], times[range.end - 1]);
        let path = format!("{}/{}/{}/{}.parquet", table.tenant, table.kind.name(), days(first, last), names.next());
        let row_count = range.len();
        let bytes = parquet_bytes(&sorted.slice(range.start, row_count))
            .map_err(|source| OfflineError::Parquet { path: path.clone().into(), source })?;
        let file = LakeFile {
            tenant: table.tenant,
            kind: table.kind,
            row_count: row_count as u64,
            byte_count: bytes.len() as u64,
            event_time_min: first,
            event_time_max: last,
            columns: table.columns,
            path,
        };
        storage.write(&file.path, bytes)?;
        files.push(file);
    }
    Ok(files)
}

/// The rows in the order of event time, of equal ones in the order of the log.
fn sorted(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        let values = rows.column_by_name(name).ok_or_else(|| missing(name));
        values.map(|values| SortColumn { values: values.clone(), options: None })
    };
    let by = [column("event_time")?, column("log_partition")?, column("log_offset")?];
    take_record_batch(rows, &lexsort_to_indices(&by, None)?)
}

fn missing(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!("there is no column `{column}` to sort by"))
}

fn event_times(rows: &RecordBatch) -> Result<Vec<Timestamp>, ArrowError> {
    let column = rows.column_by_name("event_time").ok_or_else(|| missing("event_time"))?;
    let times = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| missing("event_time"))?;
    Ok(times.values().iter().map(|micros| Timestamp::from_micros(*micros)).collect())
}

/// Cuts sorted rows into files: between days once a file is full, within a day only where it must.
fn chunks(times: &[Timestamp]) -> Vec<Range<usize>> {
    let (mut ranges, mut start) = (Vec::new(), 0);
    for row in 1..=times.len() {
        let rows = row - start;
        let day_ends = row == times.len() || times[row].day() != times[row - 1].day();
        if row == times.len() || rows == FILE_ROWS_MAX || (day_ends && rows >= FILE_ROWS_FULL) {
            ranges.push(start..row);
            start = row;
        }
    }
    ranges
}

/// The folder of a file whose rows are of these days.
fn days(first: Timestamp, last: Timestamp) -> String {
    let date = |time: Timestamp| {
        let shown = time.to_string();
        shown.split_once('T').map_or(shown.clone(), |(date, _)| date.to_owned())
    };
    match first.day() == last.day() {
        true => format!("date={}", date(first)),
        false => format!("dates={}..{}", date(first), date(last)),
    }
}

fn parquet_bytes(rows: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.into_inner()
}
