//! The spine's facts in the order in which they became known, and the answers that come for them; it plans nothing.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, UInt32Type};
use dhow_definitions::entity_id;
use dhow_events::{EventId, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::BackfilledSet;
use super::facts::{FactColumns, ids, integers};
use super::observe::place;
use super::recipe::Recipe;
use super::sweep::{ANSWERS, malformed, wide};
use crate::OfflineError;

/// The rows of a set while their features come in.
#[derive(Default)]
pub(crate) struct Spine {
    batches: Vec<FactColumns>,
    rows: Vec<SpineRow>,
    /// The row of each place in the log.
    row_of: FxHashMap<u128, usize>,
    /// The features of the planned views, row by row.
    features: Vec<f64>,
    /// Answers still to come: one for each row and view whose entity it names.
    missing_count: usize,
    too_late_count: u64,
}

/// A spine fact and where its columns are.
struct SpineRow {
    known_time: i64,
    place: u128,
    event_time: Timestamp,
    id: EventId,
    batch: usize,
    row: usize,
}

impl Spine {
    /// Reads the spine's table: its rows in the order in which the log is replayed, each id once.
    pub(crate) fn read(recipe: &Recipe, batches: &[RecordBatch]) -> Result<Self, OfflineError> {
        let mut spine = Self::default();
        for (number, batch) in batches.iter().enumerate() {
            spine.batches.push(FactColumns::read(recipe.request.spine, batch)?);
            spine.push_rows(number, batch)?;
        }
        spine.rows.retain(|row| recipe.is_asked_for(row.event_time));
        spine.rows.sort_unstable_by_key(|row| (row.known_time, row.place));
        let mut seen = FxHashSet::default();
        spine.rows.retain(|row| seen.insert(row.id));
        let asked_for = spine.rows.len();
        spine.rows.retain(|row| recipe.has_row(row.event_time, Timestamp::from_micros(row.known_time)));
        spine.too_late_count = (asked_for - spine.rows.len()) as u64;
        spine.row_of = spine.rows.iter().enumerate().map(|(number, row)| (row.place, number)).collect();
        spine.features = vec![f64::NAN; spine.rows.len() * width(recipe)];
        spine.missing_count = spine.rows.iter().map(|row| spine.answers_to(recipe, row)).sum();
        Ok(spine)
    }

    fn push_rows(&mut self, number: usize, batch: &RecordBatch) -> Result<(), OfflineError> {
        let ids = ids(batch, "event_id", EventId::KIND)?;
        let (event_times, known_times) = (integers(batch, "event_time")?, integers(batch, "known_time")?);
        let (partitions, offsets) = (integers(batch, "log_partition")?, integers(batch, "log_offset")?);
        self.rows.extend((0..batch.num_rows()).map(|row| SpineRow {
            known_time: known_times[row],
            place: place(partitions[row], offsets[row]),
            event_time: Timestamp::from_micros(event_times[row]),
            id: EventId::from_u128(ids[row]),
            batch: number,
            row,
        }));
        Ok(())
    }

    /// How many views answer for a row.
    fn answers_to(&self, recipe: &Recipe, row: &SpineRow) -> usize {
        let fact = self.batches[row.batch].row(row.row);
        let named = recipe.entities.iter().filter(|entity| entity_id(&fact, &entity.columns).is_some());
        named.map(|entity| entity.views.len()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes in a batch of answers; those for facts that have no row, such as repeated ones, are not needed.
    pub(crate) fn take(&mut self, recipe: &Recipe, batch: &RecordBatch) -> Result<(), OfflineError> {
        if batch.schema().fields() != ANSWERS.fields() {
            return Err(malformed("another kind of answer than was asked for"));
        }
        let [views, places, values] = batch.columns() else { return Err(malformed("a column too many")) };
        let (views, places) = (views.as_primitive::<UInt32Type>(), places.as_fixed_size_binary());
        let values = values.as_list::<i32>();
        let width = width(recipe);
        for answer in 0..batch.num_rows() {
            let Some(&row) = self.row_of.get(&wide(places, answer)?) else { continue };
            let view = views.value(answer) as usize;
            let planned = recipe.plan.views().iter().find(|planned| planned.view == view);
            let planned = planned.ok_or_else(|| malformed("an answer of no view"))?;
            let features = values.value(answer);
            if features.len() != planned.width {
                return Err(malformed("an answer of another number of features"));
            }
            let first = row * width + planned.offset;
            self.features[first..first + planned.width]
                .copy_from_slice(features.as_primitive::<Float64Type>().values());
            self.missing_count =
                self.missing_count.checked_sub(1).ok_or_else(|| malformed("an answer that came twice"))?;
        }
        Ok(())
    }

    /// The set, where all answers have come.
    pub(crate) fn finish(self, recipe: &Recipe) -> Result<BackfilledSet, OfflineError> {
        if self.missing_count > 0 {
            let reason = format!("{} answers of views to rows never came", self.missing_count);
            return Err(OfflineError::Table { table: recipe.request.spine.name().to_owned(), reason });
        }
        let mut values = Vec::with_capacity(self.rows.len() * recipe.plan.names().len());
        let mut vector = Vec::with_capacity(recipe.plan.names().len());
        for (row, features) in self.rows.iter().zip(self.features.chunks_exact(width(recipe))) {
            vector.clear();
            vector.extend_from_slice(features);
            recipe.plan.complete_row(&self.batches[row.batch].row(row.row), &mut vector);
            values.extend_from_slice(&vector);
        }
        Ok(BackfilledSet {
            names: recipe.plan.names().to_vec(),
            values,
            spine: self.rows.iter().map(|row| (row.id, row.event_time)).collect(),
            too_late_count: self.too_late_count,
        })
    }
}

/// How many features the planned views have together.
fn width(recipe: &Recipe) -> usize {
    recipe.plan.views().iter().map(|planned| planned.width).sum()
}
