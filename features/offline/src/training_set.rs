//! Point-in-time training sets: what a request at the time of each spine fact would have read; it knows no labels.
//!
//! The log is replayed in the order in which its events became known, through the same online store that serves requests.
//! A spine fact's vector is read as of its event time: every event that had happened before and was known by then counts,
//! nothing that became known later, and never the fact itself. [`crate::backfill`] computes the same rows from the lake.
//!
//! State is freed once in a week of known time. A spine fact that became known so late that the state of its time was
//! freed ([`reads_from`]) is left out and counted; an event that happened before all state that is kept when it becomes
//! known counts nowhere. Both follow from an event's own two times, so that every engine agrees on them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::{DAY_MICROS, Event, EventId, TenantId, Timestamp};
use dhow_online::{OnlineSettings, OnlineStore};
use dhow_streams::{Log, Offsets, Replay};

use crate::{OfflineError, TableFormat, write_table};

/// State that no window reaches any more is freed at each multiple of this of known time, counted from 1970.
const FREED_EVERY_MICROS: i64 = 7 * DAY_MICROS;

/// Rows of one kind of spine fact in the order in which they became known; row-major values, NaN where nothing is known.
#[derive(Debug, Clone, Default)]
pub struct TrainingSet {
    /// The names of the columns, in order.
    pub names: Vec<String>,
    /// The values: `names.len()` for each row.
    pub values: Vec<f64>,
    /// The spine facts.
    pub spine: Vec<Event>,
    /// Spine facts left out because they became known later than the feature state reaches back.
    pub too_late_count: u64,
}

impl TrainingSet {
    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.spine.len()
    }

    /// The values of row `index`, below [`TrainingSet::row_count`].
    pub fn row(&self, index: usize) -> &[f64] {
        let width = self.names.len();
        &self.values[index * width..(index + 1) * width]
    }

    /// Writes the set as a table: `event_id`, `event_time`, then one column for each name, missing where NaN.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, format: TableFormat) -> Result<(), OfflineError> {
        let spine = self.spine.iter().map(|event| (event.id, event.event_time));
        write_rows(path, format, &self.names, spine, &self.values)
    }
}

/// Writes rows of row-major `values`: `event_id`, `event_time`, then one column for each name.
pub(crate) fn write_rows(
    path: &Path,
    format: TableFormat,
    names: &[String],
    spine: impl Iterator<Item = (EventId, Timestamp)>,
    values: &[f64],
) -> Result<(), OfflineError> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![Field::new("event_id", DataType::Utf8, false), Field::new("event_time", time, false)];
    let (ids, times): (Vec<String>, Vec<i64>) =
        spine.map(|(id, event_time)| (EventId::to_string(&id), event_time.micros())).unzip();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(ids)),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
    ];
    for (column, name) in names.iter().enumerate() {
        let cells = values.chunks_exact(names.len()).map(|row| Some(row[column]).filter(|cell| !cell.is_nan()));
        columns.push(Arc::new(cells.collect::<Float64Array>()));
        fields.push(Field::new(name, DataType::Float64, true));
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|e| OfflineError::Table { table: path.display().to_string(), reason: e.to_string() })?;
    write_table(path, &batch, format)
}

/// When state was last freed before a record became known at `known_time`: at the beginning of its week.
fn last_freed(known_time: Timestamp) -> Timestamp {
    known_time - known_time.micros().rem_euclid(FREED_EVERY_MICROS)
}

/// The earliest instant whose state is still kept when a record becomes known at `known_time`.
pub(crate) fn reads_from(known_time: Timestamp, allowed_lateness_micros: i64) -> Timestamp {
    last_freed(known_time) - allowed_lateness_micros
}

/// The rows of `plan` for every spine fact of `tenant` in `log` whose event time is before `until`.
///
/// A duplicate of a spine fact gives no second row.
///
/// # Errors
/// The log cannot be read.
pub fn training_set(
    log: &dyn Log,
    features: Arc<FeatureSet>,
    settings: OnlineSettings,
    plan: &VectorPlan,
    tenant: TenantId,
    until: Timestamp,
) -> Result<TrainingSet, OfflineError> {
    let mut rows = Rows { online: OnlineStore::new(features, settings), plan, tenant, waiting: BinaryHeap::new() };
    let (from, to) = (Offsets::start(log.partition_count()), Offsets::ends(log)?);
    let mut set = TrainingSet { names: plan.names().to_vec(), ..TrainingSet::default() };
    let (mut seen, mut freed_at) = (rustc_hash::FxHashSet::default(), None);
    for record in Replay::new(log, &from, &to)? {
        let record = record?;
        let event = &record.event;
        rows.read_before(record.known_time, &mut set)?;
        let due = last_freed(record.known_time);
        if freed_at.is_none_or(|freed_at| freed_at < due) {
            rows.online.expire(due);
            freed_at = Some(due);
        }
        let is_spine = event.tenant == tenant && event.fact.kind() == plan.spine() && event.event_time < until;
        if is_spine && seen.insert(event.id) {
            match event.event_time < reads_from(record.known_time, settings.allowed_lateness_micros) {
                true => set.too_late_count += 1,
                false => rows.push(event, &mut set),
            }
        }
        rows.online.apply(event, record.known_time, (record.partition, record.offset));
    }
    while rows.read_earliest(&mut set)? {}
    Ok(set)
}

/// Reads the vectors of rows once all that was known at their times was applied.
struct Rows<'a> {
    online: OnlineStore,
    plan: &'a VectorPlan,
    tenant: TenantId,
    /// The time and number of each row that is not read yet, the earliest first.
    waiting: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

impl Rows<'_> {
    fn push(&mut self, event: &Event, set: &mut TrainingSet) {
        self.waiting.push(Reverse((event.event_time, set.row_count())));
        set.spine.push(event.clone());
        set.values.resize(set.row_count() * set.names.len(), f64::NAN);
    }

    /// Reads the rows of times before `known_time`, at which the next record became known.
    fn read_before(&mut self, known_time: Timestamp, set: &mut TrainingSet) -> Result<(), OfflineError> {
        while self.waiting.peek().is_some_and(|Reverse((at, _))| *at < known_time) {
            self.read_earliest(set)?;
        }
        Ok(())
    }

    /// Reads one row; false where none waits.
    fn read_earliest(&mut self, set: &mut TrainingSet) -> Result<bool, OfflineError> {
        let Some(Reverse((at, row))) = self.waiting.pop() else { return Ok(false) };
        let vector = self.online.vector(self.plan, self.tenant, &set.spine[row].fact, at).map_err(|error| {
            OfflineError::Table { table: self.plan.spine().name().to_owned(), reason: error.to_string() }
        })?;
        let width = set.names.len();
        set.values[row * width..(row + 1) * width].copy_from_slice(&vector.values);
        Ok(true)
    }
}
