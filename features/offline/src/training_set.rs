//! Point-in-time training sets: what a request at the time of each spine fact would have read; it knows no labels.
//!
//! The log is replayed in the order in which its events became known, through the same online store that serves requests.
//! A spine fact's vector is read at its event time, before the fact itself is applied: nothing that became known later,
//! and never the fact itself, can reach its row.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::{Event, EventId, TenantId, Timestamp};
use dhow_online::{OnlineSettings, OnlineStore, ReadError};
use dhow_streams::{Log, Offsets, Replay};

use crate::{OfflineError, TableFormat, write_table};

/// State that no window reaches any more is freed after so many records.
const EXPIRE_EVERY_RECORDS: u64 = 200_000;

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
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = vec![Field::new("event_id", DataType::Utf8, false), Field::new("event_time", time, false)];
        let ids = self.spine.iter().map(|event| Some(EventId::to_string(&event.id)));
        let times = self.spine.iter().map(|event| event.event_time.micros());
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(ids.collect::<StringArray>()),
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        ];
        for (column, name) in self.names.iter().enumerate() {
            let cells = (0..self.row_count()).map(|row| Some(self.row(row)[column]).filter(|cell| !cell.is_nan()));
            columns.push(Arc::new(cells.collect::<Float64Array>()));
            fields.push(Field::new(name, DataType::Float64, true));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|e| OfflineError::Table { table: path.display().to_string(), reason: e.to_string() })?;
        write_table(path, &batch, format)
    }
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
    let online = OnlineStore::new(features, settings);
    let (from, to) = (Offsets::start(log.partition_count()), Offsets::ends(log)?);
    let mut set = TrainingSet { names: plan.names().to_vec(), ..TrainingSet::default() };
    let mut seen = rustc_hash::FxHashSet::default();
    for (count, record) in (1_u64..).zip(Replay::new(log, &from, &to)?) {
        let record = record?;
        let event = &record.event;
        let is_spine = event.tenant == tenant && event.fact.kind() == plan.spine() && event.event_time < until;
        if is_spine && seen.insert(event.id) {
            let vector = online.vector(plan, tenant, &event.fact, event.event_time);
            match vector {
                Ok(vector) => {
                    set.values.extend_from_slice(&vector.values);
                    set.spine.push(event.clone());
                }
                Err(ReadError::Expired { .. }) => set.too_late_count += 1,
                Err(error) => {
                    return Err(OfflineError::Table {
                        table: plan.spine().name().to_owned(),
                        reason: error.to_string(),
                    });
                }
            }
        }
        online.apply(event, record.known_time, (record.partition, record.offset));
        if count.is_multiple_of(EXPIRE_EVERY_RECORDS)
            && let Some(newest) = online.freshest_event_time()
        {
            online.expire(newest);
        }
    }
    Ok(set)
}
