//! Rows of a fact's table in the lake, read as the definitions read facts; which rows count is decided elsewhere.

use arrow::array::{Array, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use dhow_definitions::Row;
use dhow_events::{ColumnType, FactKind, IdKind, Timestamp, Value};

use crate::OfflineError;
use crate::table::schema;

/// The columns of a batch of facts by the numbers of [`FactKind::columns`]; nothing where the batch has no such column.
pub(crate) struct FactColumns {
    columns: Vec<Option<FactColumn>>,
}

enum FactColumn {
    Int(Int64Array),
    Float(Float64Array),
    Bool(BooleanArray),
    Text(StringArray),
    Time(TimestampMicrosecondArray),
    Id(Vec<Option<u128>>),
}

impl FactColumns {
    /// Reads the columns of `kind` that `batch` has.
    pub(crate) fn read(kind: FactKind, batch: &RecordBatch) -> Result<Self, OfflineError> {
        let schema = schema(kind);
        let read = |column: dhow_events::Column| -> Result<Option<FactColumn>, OfflineError> {
            let Some(array) = batch.column_by_name(column.name) else { return Ok(None) };
            let field = schema.field_with_name(column.name).map_err(|error| wrong(kind.name(), error))?;
            let array = cast(array, field.data_type()).map_err(|error| wrong(column.name, error))?;
            Ok(Some(match column.column_type {
                ColumnType::Int => FactColumn::Int(array.as_primitive().clone()),
                ColumnType::Float => FactColumn::Float(array.as_primitive().clone()),
                ColumnType::Bool => FactColumn::Bool(array.as_boolean().clone()),
                ColumnType::Time => FactColumn::Time(array.as_primitive().clone()),
                ColumnType::Text => FactColumn::Text(array.as_string().clone()),
                ColumnType::Id(ids) => FactColumn::Id(parse_ids(array.as_string(), ids)?),
            }))
        };
        Ok(Self { columns: kind.columns().into_iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Row number `row`.
    pub(crate) fn row(&self, row: usize) -> FactRow<'_> {
        FactRow { columns: &self.columns, row }
    }
}

/// One fact.
pub(crate) struct FactRow<'a> {
    columns: &'a [Option<FactColumn>],
    row: usize,
}

impl Row for FactRow<'_> {
    fn value(&self, column: usize) -> Value<'_> {
        let row = self.row;
        match self.columns.get(column) {
            None | Some(None) => Value::Null,
            Some(Some(FactColumn::Int(array))) if array.is_valid(row) => Value::Int(array.value(row)),
            Some(Some(FactColumn::Float(array))) if array.is_valid(row) => Value::Float(array.value(row)),
            Some(Some(FactColumn::Bool(array))) if array.is_valid(row) => Value::Bool(array.value(row)),
            Some(Some(FactColumn::Text(array))) if array.is_valid(row) => Value::Text(array.value(row)),
            Some(Some(FactColumn::Time(array))) if array.is_valid(row) => {
                Value::Time(Timestamp::from_micros(array.value(row)))
            }
            Some(Some(FactColumn::Id(ids))) => ids[row].map_or(Value::Null, Value::Id),
            Some(Some(_)) => Value::Null,
        }
    }
}

/// A column of ids without a gap, such as `event_id`.
pub(crate) fn ids(batch: &RecordBatch, name: &str, kind: IdKind) -> Result<Vec<u128>, OfflineError> {
    let array = cast(column(batch, name)?, &DataType::Utf8).map_err(|error| wrong(name, error))?;
    let ids = parse_ids(array.as_string(), kind)?.into_iter().collect::<Option<_>>();
    ids.ok_or_else(|| wrong(name, "a value is missing"))
}

/// A column of whole numbers or instants without a gap.
pub(crate) fn integers(batch: &RecordBatch, name: &str) -> Result<Vec<i64>, OfflineError> {
    let array = cast(column(batch, name)?, &DataType::Int64).map_err(|error| wrong(name, error))?;
    match array.null_count() {
        0 => Ok(array.as_primitive::<Int64Type>().values().to_vec()),
        _ => Err(wrong(name, "a value is missing")),
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, OfflineError> {
    batch.column_by_name(name).map(|array| &**array).ok_or_else(|| wrong(name, "the lake's table has no such column"))
}

fn parse_ids(texts: &StringArray, kind: IdKind) -> Result<Vec<Option<u128>>, OfflineError> {
    let parse = |text: Option<&str>| text.map(|text| kind.parse(text)).transpose();
    texts.iter().map(parse).collect::<Result<_, _>>().map_err(|error| wrong("an id", error))
}

fn wrong(column: &str, reason: impl ToString) -> OfflineError {
    OfflineError::Table { table: column.to_owned(), reason: reason.to_string() }
}
