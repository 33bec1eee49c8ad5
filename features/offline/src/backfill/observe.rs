//! The operator before the shuffle: rows of a table become what views keep of them, spine facts become points.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Int64Builder, UInt32Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    SendableRecordBatchStream,
};
use dhow_definitions::{Cell, View, entity_id};
use dhow_events::{EventId, FactKind, Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::distributed::external;
use super::facts::{FactColumns, ids, integers};
use super::recipe::Recipe;
use crate::OfflineError;

/// What the operator makes of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Points of the spine's facts.
    Points,
    /// Events of the views of a kind of fact.
    Events(FactKind),
}

/// Rows as they are shuffled. `series` is the number of an event's view or of a point's entity; `key` the entity as
/// `entity_id` gives it; `id` the event's id or the point's place in the log; `cells` the values of the view's cells.
pub(crate) static OBSERVED: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("series", DataType::UInt32, false),
        Field::new("is_point", DataType::Boolean, false),
        Field::new("key", DataType::FixedSizeBinary(16), false),
        Field::new("time", DataType::Int64, false),
        Field::new("known_time", DataType::Int64, false),
        Field::new("id", DataType::FixedSizeBinary(16), false),
        Field::new("cells", DataType::Binary, false),
    ]))
});

/// The place of a spine fact in the log, as one number.
pub(crate) fn place(partition: i64, offset: i64) -> u128 {
    u128::from(partition as u64) << 64 | u128::from(offset as u64)
}

/// The operator.
#[derive(Debug)]
pub(crate) struct ObserveExec {
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) role: Role,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ObserveExec {
    pub(crate) fn new(recipe: Arc<Recipe>, role: Role, input: Arc<dyn ExecutionPlan>) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(OBSERVED.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { recipe, role, input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ObserveExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObserveExec: {:?}", self.role)
    }
}

impl ExecutionPlan for ObserveExec {
    fn name(&self) -> &str {
        "ObserveExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = super::distributed::only_child("ObserveExec", children)?;
        Ok(Arc::new(Self::new(self.recipe.clone(), self.role, input)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (recipe, role) = (self.recipe.clone(), self.role);
        let observed = self.input.execute(partition, context)?.map(move |batch| {
            let batches = observe(&recipe, role, &batch?).map_err(external)?;
            Ok::<_, DataFusionError>(stream::iter(batches.into_iter().map(Ok)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(OBSERVED.clone(), observed.try_flatten())))
    }
}

/// One batch for each of the input's views, or for all of its points.
fn observe(recipe: &Recipe, role: Role, batch: &RecordBatch) -> std::result::Result<Vec<RecordBatch>, OfflineError> {
    match role {
        Role::Points => Ok(vec![points(recipe, batch)?]),
        Role::Events(kind) => {
            let facts = Facts::read(kind, batch)?;
            recipe.views_of(kind).map(|(number, view)| events(recipe, number, view, &facts)).collect()
        }
    }
}

/// The envelopes and columns of a batch.
struct Facts {
    ids: Vec<u128>,
    event_times: Vec<i64>,
    known_times: Vec<i64>,
    columns: FactColumns,
}

impl Facts {
    fn read(kind: FactKind, batch: &RecordBatch) -> std::result::Result<Self, OfflineError> {
        Ok(Self {
            ids: ids(batch, "event_id", EventId::KIND)?,
            event_times: integers(batch, "event_time")?,
            known_times: integers(batch, "known_time")?,
            columns: FactColumns::read(kind, batch)?,
        })
    }
}

fn events(
    recipe: &Recipe,
    number: usize,
    view: &View,
    facts: &Facts,
) -> std::result::Result<RecordBatch, OfflineError> {
    let mut observed = Observed::new(facts.ids.len());
    let mut cells = Vec::new();
    for (row, &id) in facts.ids.iter().enumerate() {
        let fact = facts.columns.row(row);
        let Some(key) = view.entity_of(&fact) else { continue };
        let (event_time, known_time) = (facts.event_times[row], facts.known_times[row]);
        if recipe.counts_nowhere(view, Timestamp::from_micros(event_time), Timestamp::from_micros(known_time)) {
            continue;
        }
        cells.clear();
        view.read_cells(&fact).for_each(|cell| push_cell(&mut cells, cell));
        observed.push(number, false, key, (event_time, known_time), id, &cells)?;
    }
    observed.finish()
}

fn points(recipe: &Recipe, batch: &RecordBatch) -> std::result::Result<RecordBatch, OfflineError> {
    let columns = FactColumns::read(recipe.request.spine, batch)?;
    let (event_times, known_times) = (integers(batch, "event_time")?, integers(batch, "known_time")?);
    let (partitions, offsets) = (integers(batch, "log_partition")?, integers(batch, "log_offset")?);
    let mut observed = Observed::new(event_times.len() * recipe.entities.len());
    for (row, (&at, &known_time)) in event_times.iter().zip(&known_times).enumerate() {
        if !recipe.has_row(Timestamp::from_micros(at), Timestamp::from_micros(known_time)) {
            continue;
        }
        let fact = columns.row(row);
        for (number, entity) in recipe.entities.iter().enumerate() {
            if let Some(key) = entity_id(&fact, &entity.columns) {
                observed.push(number, true, key, (at, known_time), place(partitions[row], offsets[row]), &[])?;
            }
        }
    }
    observed.finish()
}

/// Collects rows of [`OBSERVED`].
struct Observed {
    series: UInt32Builder,
    is_point: BooleanBuilder,
    keys: FixedSizeBinaryBuilder,
    times: Int64Builder,
    known_times: Int64Builder,
    ids: FixedSizeBinaryBuilder,
    cells: BinaryBuilder,
}

impl Observed {
    fn new(rows: usize) -> Self {
        Self {
            series: UInt32Builder::with_capacity(rows),
            is_point: BooleanBuilder::with_capacity(rows),
            keys: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            times: Int64Builder::with_capacity(rows),
            known_times: Int64Builder::with_capacity(rows),
            ids: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            cells: BinaryBuilder::new(),
        }
    }

    fn push(
        &mut self,
        series: usize,
        is_point: bool,
        key: u128,
        (time, known_time): (i64, i64),
        id: u128,
        cells: &[u8],
    ) -> std::result::Result<(), OfflineError> {
        self.series.append_value(series as u32);
        self.is_point.append_value(is_point);
        self.keys.append_value(key.to_be_bytes()).map_err(not_built)?;
        self.times.append_value(time);
        self.known_times.append_value(known_time);
        self.ids.append_value(id.to_be_bytes()).map_err(not_built)?;
        self.cells.append_value(cells);
        Ok(())
    }

    fn finish(mut self) -> std::result::Result<RecordBatch, OfflineError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.series.finish()),
            Arc::new(self.is_point.finish()),
            Arc::new(self.keys.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.known_times.finish()),
            Arc::new(self.ids.finish()),
            Arc::new(self.cells.finish()),
        ];
        RecordBatch::try_new(OBSERVED.clone(), columns).map_err(not_built)
    }
}

fn not_built(error: arrow::error::ArrowError) -> OfflineError {
    OfflineError::Table { table: "observed rows".to_owned(), reason: error.to_string() }
}

const MISSING: u8 = 0;
const INTEGER: u8 = 1;
const FLOAT: u8 = 2;
const TOKEN: u8 = 3;

/// Appends a cell: a byte that says what it holds and its bytes, lowest first.
fn push_cell(bytes: &mut Vec<u8>, cell: Cell) {
    match cell {
        Cell::Missing => bytes.push(MISSING),
        Cell::Integer(number) => {
            bytes.push(INTEGER);
            bytes.extend(number.to_le_bytes());
        }
        Cell::Float(number) => {
            bytes.push(FLOAT);
            bytes.extend(number.to_le_bytes());
        }
        Cell::Token(token) => {
            bytes.push(TOKEN);
            bytes.extend(token.to_le_bytes());
        }
    }
}

/// Takes the next cell that [`push_cell`] wrote; nothing where the bytes are no cell.
pub(crate) fn take_cell(bytes: &mut &[u8]) -> Option<Cell> {
    let (kind, rest) = bytes.split_first()?;
    let (cell, rest) = match *kind {
        MISSING => (Cell::Missing, rest),
        INTEGER => rest.split_first_chunk().map(|(number, rest)| (Cell::Integer(i64::from_le_bytes(*number)), rest))?,
        FLOAT => rest.split_first_chunk().map(|(number, rest)| (Cell::Float(f64::from_le_bytes(*number)), rest))?,
        TOKEN => rest.split_first_chunk().map(|(token, rest)| (Cell::Token(u128::from_le_bytes(*token)), rest))?,
        _ => return None,
    };
    *bytes = rest;
    Some(cell)
}
