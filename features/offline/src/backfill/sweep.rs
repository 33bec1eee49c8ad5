//! The operator after the shuffle: all events and points of a partition's entities, swept view by view.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, FixedSizeBinaryArray, Float64Array, ListArray, RecordBatch, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, SchemaRef, UInt32Type};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, Partitioning,
    PlanProperties, SendableRecordBatchStream,
};
use dhow_definitions::View;
use dhow_sweep::{CellColumn, Events, Points, densify, sweep};
use futures::{TryStreamExt, stream};

use super::distributed::{external, only_child};
use super::observe::{OBSERVED, take_cell};
use super::recipe::Recipe;
use crate::OfflineError;
use crate::compute::Cells;

/// Values of one batch of answers, so that a batch is a megabyte.
const VALUES_PER_BATCH: usize = 1 << 17;

static VALUE: LazyLock<FieldRef> = LazyLock::new(|| Arc::new(Field::new("value", DataType::Float64, false)));

/// The answers: the features of view number `view` for the spine fact at `place` in the log, NaN where there is no value.
pub(crate) static ANSWERS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("view", DataType::UInt32, false),
        Field::new("place", DataType::FixedSizeBinary(16), false),
        Field::new("values", DataType::List(VALUE.clone()), false),
    ]))
});

/// The column of [`OBSERVED`] by which rows are shuffled.
pub(crate) fn shuffle_key() -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    Ok(vec![Arc::new(Column::new_with_schema("key", &OBSERVED)?)])
}

/// The operator.
#[derive(Debug)]
pub(crate) struct SweepExec {
    pub(crate) recipe: Arc<Recipe>,
    key: Vec<Arc<dyn PhysicalExpr>>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl SweepExec {
    pub(crate) fn new(recipe: Arc<Recipe>, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(ANSWERS.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self { recipe, key: shuffle_key()?, input, properties: Arc::new(properties) })
    }
}

impl DisplayAs for SweepExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SweepExec: {} views of {}", self.recipe.plan.views().len(), self.recipe.features.name())
    }
}

impl ExecutionPlan for SweepExec {
    fn name(&self) -> &str {
        "SweepExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::KeyPartitioned(self.key.clone())])
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.key.iter().try_fold(TreeNodeRecursion::Continue, |_, key| f(key))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(self.recipe.clone(), only_child("SweepExec", children)?)?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (recipe, mut input) = (self.recipe.clone(), self.input.execute(partition, context)?);
        let answers = stream::once(async move {
            let mut observed = PartitionRows::new(&recipe);
            while let Some(batch) = input.try_next().await? {
                observed.push(&batch).map_err(external)?;
            }
            let batches = observed.answer(&recipe).map_err(external)?;
            Ok::<_, DataFusionError>(stream::iter(batches.into_iter().map(Ok)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(ANSWERS.clone(), answers.try_flatten())))
    }
}

/// All rows of one partition.
struct PartitionRows {
    /// For each view of the set; empty where it is not planned.
    events: Vec<ViewEvents>,
    /// For each of the recipe's entities.
    points: Vec<EntityPoints>,
}

struct ViewEvents {
    keys: Vec<u128>,
    event_times: Vec<i64>,
    known_times: Vec<i64>,
    ids: Vec<u128>,
    cells: Vec<Cells>,
}

#[derive(Clone, Default)]
struct EntityPoints {
    keys: Vec<u128>,
    at: Vec<i64>,
    places: Vec<u128>,
}

impl PartitionRows {
    fn new(recipe: &Recipe) -> Self {
        let events = recipe.features.views().iter().map(|view| ViewEvents {
            keys: Vec::new(),
            event_times: Vec::new(),
            known_times: Vec::new(),
            ids: Vec::new(),
            cells: view.cells().map(|kind| Cells::new(kind, 0)).collect(),
        });
        Self { events: events.collect(), points: vec![EntityPoints::default(); recipe.entities.len()] }
    }

    fn push(&mut self, batch: &RecordBatch) -> std::result::Result<(), OfflineError> {
        if batch.schema().fields() != OBSERVED.fields() {
            return Err(malformed("other columns than were sent"));
        }
        let [series, is_point, keys, times, known_times, ids, cells] = batch.columns() else {
            return Err(malformed("other columns than were sent"));
        };
        let (series, is_point) = (series.as_primitive::<UInt32Type>(), is_point.as_boolean());
        let (keys, ids) = (keys.as_fixed_size_binary(), ids.as_fixed_size_binary());
        let (times, known_times) = (times.as_primitive::<Int64Type>(), known_times.as_primitive::<Int64Type>());
        let cells = cells.as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let number = series.value(row) as usize;
            let (key, id) = (wide(keys, row)?, wide(ids, row)?);
            if is_point.value(row) {
                let points = self.points.get_mut(number).ok_or_else(|| malformed("a point of no entity"))?;
                points.keys.push(key);
                points.at.push(times.value(row));
                points.places.push(id);
            } else {
                let events = self.events.get_mut(number).ok_or_else(|| malformed("an event of no view"))?;
                events.keys.push(key);
                events.event_times.push(times.value(row));
                events.known_times.push(known_times.value(row));
                events.ids.push(id);
                let mut bytes = cells.value(row);
                for column in &mut events.cells {
                    column.push(take_cell(&mut bytes).ok_or_else(|| malformed("cells that are none"))?);
                }
            }
        }
        Ok(())
    }

    fn answer(self, recipe: &Recipe) -> std::result::Result<Vec<RecordBatch>, OfflineError> {
        let mut batches = Vec::new();
        for (entity, points) in recipe.entities.iter().zip(&self.points) {
            if points.keys.is_empty() {
                continue;
            }
            for &number in &entity.views {
                let view = &recipe.features.views()[number];
                let features = self.events[number].sweep(view, points)?;
                push_answers(number, &points.places, &features, &mut batches)?;
            }
        }
        Ok(batches)
    }
}

impl ViewEvents {
    fn sweep(&self, view: &View, points: &EntityPoints) -> std::result::Result<Vec<Vec<f64>>, OfflineError> {
        let refused = |error: dhow_sweep::SweepError| OfflineError::Table {
            table: view.name().to_owned(),
            reason: error.to_string(),
        };
        let some = |keys: &[u128]| keys.iter().copied().map(Some).collect::<Vec<_>>();
        let entities = densify(some(&self.keys), some(&points.keys)).map_err(refused)?;
        let columns: Vec<CellColumn<'_>> = self.cells.iter().map(Cells::column).collect();
        let events = Events {
            entities: &entities.events,
            entity_count: entities.count,
            event_times: &self.event_times,
            known_times: Some(&self.known_times),
            ids: Some(&self.ids),
            columns: &columns,
        };
        sweep(view, &events, &Points { entities: &entities.points, at: &points.at }).map_err(refused)
    }
}

/// Appends the answers of one view, whose `features` hold one list for each feature, in batches of bounded size.
fn push_answers(
    view: usize,
    places: &[u128],
    features: &[Vec<f64>],
    batches: &mut Vec<RecordBatch>,
) -> std::result::Result<(), OfflineError> {
    let rows_per_batch = (VALUES_PER_BATCH / features.len().max(1)).max(1);
    for first in (0..places.len()).step_by(rows_per_batch) {
        let rows = first..places.len().min(first + rows_per_batch);
        let values = rows.clone().flat_map(|row| features.iter().map(move |feature| feature[row]));
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        let offsets = OffsetBuffer::from_lengths(rows.clone().map(|_| features.len()));
        let lists = ListArray::try_new(VALUE.clone(), offsets, values, None).map_err(not_built)?;
        let places = FixedSizeBinaryArray::try_from_iter(places[rows.clone()].iter().map(|place| place.to_be_bytes()))
            .map_err(not_built)?;
        let views: UInt32Array = rows.map(|_| Some(view as u32)).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(views), Arc::new(places), Arc::new(lists)];
        batches.push(RecordBatch::try_new(ANSWERS.clone(), columns).map_err(not_built)?);
    }
    Ok(())
}

/// The 128 bits of a row.
pub(crate) fn wide(column: &FixedSizeBinaryArray, row: usize) -> std::result::Result<u128, OfflineError> {
    column.value(row).try_into().map(u128::from_be_bytes).map_err(|_| malformed("a key that has not 16 bytes"))
}

pub(crate) fn malformed(what: &str) -> OfflineError {
    OfflineError::Table { table: "shuffled rows".to_owned(), reason: format!("there is {what}") }
}

fn not_built(error: arrow::error::ArrowError) -> OfflineError {
    OfflineError::Table { table: "answers".to_owned(), reason: error.to_string() }
}
