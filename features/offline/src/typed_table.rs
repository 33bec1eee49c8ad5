//! A Parquet file of the user's own, its columns brought to the types that definitions declare; nothing is computed here.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{CastOptions, cast_with_options, concat_batches};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use dhow_definitions::{Row, SourceColumn};
use dhow_events::{ColumnType, Timestamp, Value};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;

use crate::OfflineError;

/// The most rows of one table: rows are numbered by 32 bits.
pub const TABLE_ROWS_MAX: usize = u32::MAX as usize - 1;
/// Rows that are decoded at once, at most: whole row groups as most programs write them, so that a table of one need not
/// be put together from parts.
const BATCH_ROWS: usize = 1 << 20;

/// A whole Parquet file in memory, in the order of its rows.
pub(crate) struct UserTable {
    path: PathBuf,
    pub(crate) batch: RecordBatch,
}

/// A whole Parquet file.
///
/// # Errors
/// A file that cannot be read, or of more than [`TABLE_ROWS_MAX`] rows.
pub fn read_parquet(path: &Path) -> Result<RecordBatch, OfflineError> {
    UserTable::read(path).map(|table| table.batch)
}

impl UserTable {
    /// Reads the file, its row groups side by side.
    pub(crate) fn read(path: &Path) -> Result<Self, OfflineError> {
        let builder = open(path)?;
        let (schema, groups) = (builder.schema().clone(), builder.metadata().num_row_groups());
        let rows: i64 = builder.metadata().row_groups().iter().map(|group| group.num_rows()).sum();
        if usize::try_from(rows).is_ok_and(|rows| rows > TABLE_ROWS_MAX) {
            return Err(table_error(
                path,
                format!("it has {rows} rows; at most {TABLE_ROWS_MAX} can be computed at once"),
            ));
        }
        let read_group = |group: usize| read_group(path, group);
        let batches: Vec<Vec<RecordBatch>> = (0..groups).into_par_iter().map(read_group).collect::<Result<_, _>>()?;
        let batch = match groups {
            0 => empty(path, schema)?,
            _ => concat_batches(&schema, batches.iter().flatten()).map_err(|error| table_error(path, error))?,
        };
        Ok(Self { path: path.to_owned(), batch })
    }

    /// The columns as they are declared, in that order.
    pub(crate) fn typed(&self, declared: &[SourceColumn<'_>]) -> Result<Vec<TypedColumn>, OfflineError> {
        declared.iter().map(|column| self.typed_column(column.name, column.column_type)).collect()
    }

    fn typed_column(&self, name: &str, declared: ColumnType) -> Result<TypedColumn, OfflineError> {
        let array = self.column(name)?;
        let refused = |error: String| {
            self.error(format!("column `{name}` is {}, declared as {declared:?}: {error}", array.data_type()))
        };
        let target = match declared {
            ColumnType::Int => DataType::Int64,
            ColumnType::Float => DataType::Float64,
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Time => micros(),
            ColumnType::Text | ColumnType::Id(_) => DataType::Utf8,
        };
        if !may_become(array.data_type(), declared) {
            return Err(refused("these do not fit".to_owned()));
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let array = cast_with_options(array, &target, &options).map_err(|error| refused(error.to_string()))?;
        Ok(match declared {
            ColumnType::Int => TypedColumn::Int(array.as_primitive().clone()),
            ColumnType::Float => TypedColumn::Float(array.as_primitive().clone()),
            ColumnType::Bool => TypedColumn::Bool(array.as_boolean().clone()),
            ColumnType::Time => TypedColumn::Time(array.as_primitive().clone()),
            ColumnType::Text | ColumnType::Id(_) => TypedColumn::Text(array.as_string().clone()),
        })
    }

    /// A column of instants without a gap, in microseconds.
    pub(crate) fn times(&self, name: &str) -> Result<ScalarBuffer<i64>, OfflineError> {
        let TypedColumn::Time(times) = self.typed_column(name, ColumnType::Time)? else {
            return Err(self.error(format!("column `{name}` holds no times")));
        };
        match (0..times.len()).find(|row| times.is_null(*row)) {
            Some(row) => {
                Err(self.error(format!("column `{name}` has no time in row {}; every row needs one", row + 1)))
            }
            None => Ok(times.values().clone()),
        }
    }

    /// What tells one event from another: the tokens of a column without a gap.
    pub(crate) fn tokens(&self, name: &str) -> Result<Vec<u128>, OfflineError> {
        let declared = match self.column(name)?.data_type() {
            kind if kind.is_integer() => ColumnType::Int,
            _ => ColumnType::Text,
        };
        let column = [self.typed_column(name, declared)?];
        let token = |row: usize| {
            let id = dhow_definitions::entity_id(&TableRow { columns: &column, row }, &[0]);
            id.ok_or_else(|| self.error(format!("column `{name}` has no id in row {}; every row needs one", row + 1)))
        };
        (0..self.batch.num_rows()).map(token).collect()
    }

    fn column(&self, name: &str) -> Result<&dyn Array, OfflineError> {
        self.batch.column_by_name(name).map(|array| &**array).ok_or_else(|| {
            let names: Vec<String> = self.batch.schema().fields().iter().map(|field| field.name().clone()).collect();
            self.error(format!("there is no column `{name}`; it has {}", names.join(", ")))
        })
    }

    fn error(&self, reason: String) -> OfflineError {
        table_error(&self.path, reason)
    }
}

fn micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// Conversions that keep the meaning: numbers are never read from texts, nor times from numbers.
fn may_become(found: &DataType, declared: ColumnType) -> bool {
    use DataType as T;
    match declared {
        ColumnType::Int => found.is_integer(),
        ColumnType::Float => found.is_numeric(),
        ColumnType::Bool => matches!(found, T::Boolean),
        ColumnType::Time => matches!(found, T::Timestamp(..) | T::Date32 | T::Date64),
        ColumnType::Text | ColumnType::Id(_) => match found {
            T::Dictionary(_, values) => may_become(values, declared),
            other => matches!(other, T::Utf8 | T::LargeUtf8 | T::Utf8View),
        },
    }
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, OfflineError> {
    let file = File::open(path).map_err(|error| OfflineError::file(path, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|source| OfflineError::Parquet { path: path.to_owned(), source })
}

fn read_group(path: &Path, group: usize) -> Result<Vec<RecordBatch>, OfflineError> {
    let parquet_error = |source| OfflineError::Parquet { path: path.to_owned(), source };
    let reader = open(path)?.with_row_groups(vec![group]).with_batch_size(BATCH_ROWS).build().map_err(parquet_error)?;
    reader.map(|batch| batch.map_err(|error| table_error(path, error))).collect()
}

fn empty(path: &Path, schema: SchemaRef) -> Result<RecordBatch, OfflineError> {
    let columns = schema.fields().iter().map(|field| arrow::array::new_empty_array(field.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| table_error(path, error))
}

fn table_error(path: &Path, reason: impl ToString) -> OfflineError {
    OfflineError::Table { table: path.display().to_string(), reason: reason.to_string() }
}

/// A column of a declared type.
pub(crate) enum TypedColumn {
    Int(Int64Array),
    Float(Float64Array),
    Bool(BooleanArray),
    Text(StringArray),
    Time(TimestampMicrosecondArray),
}

impl TypedColumn {
    fn value(&self, row: usize) -> Value<'_> {
        let null = match self {
            Self::Int(array) => array.is_null(row),
            Self::Float(array) => array.is_null(row),
            Self::Bool(array) => array.is_null(row),
            Self::Text(array) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
        };
        match self {
            _ if null => Value::Null,
            Self::Int(array) => Value::Int(array.value(row)),
            Self::Float(array) => Value::Float(array.value(row)),
            Self::Bool(array) => Value::Bool(array.value(row)),
            Self::Text(array) => Value::Text(array.value(row)),
            Self::Time(array) => Value::Time(Timestamp::from_micros(array.value(row))),
        }
    }
}

/// One row of typed columns.
pub(crate) struct TableRow<'a> {
    pub(crate) columns: &'a [TypedColumn],
    pub(crate) row: usize,
}

impl Row for TableRow<'_> {
    fn value(&self, column: usize) -> Value<'_> {
        self.columns.get(column).map_or(Value::Null, |column| column.value(self.row))
    }
}
