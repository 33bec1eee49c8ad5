//! Typed reading of query answers, column by column; it runs no queries.

use arrow::array::{Array, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use dhow_events::IdKind;

use crate::OfflineError;

pub(crate) fn table_error(column: &str, reason: impl ToString) -> OfflineError {
    OfflineError::Table { table: column.to_owned(), reason: reason.to_string() }
}

fn cast_column<T: Clone + 'static>(batch: &RecordBatch, column: &str, to: &DataType) -> Result<T, OfflineError> {
    let array = batch.column_by_name(column).ok_or_else(|| table_error(column, "the answer has no such column"))?;
    let array = cast(array, to).map_err(|e| table_error(column, e))?;
    array.as_any().downcast_ref::<T>().cloned().ok_or_else(|| table_error(column, format!("is not {to}")))
}

/// The texts of a column over all batches; `None` where nothing stands.
///
/// # Errors
/// No such column, or not a text.
pub fn texts(batches: &[RecordBatch], column: &str) -> Result<Vec<Option<String>>, OfflineError> {
    let mut all = Vec::new();
    for batch in batches {
        let array: StringArray = cast_column(batch, column, &DataType::Utf8)?;
        all.extend(array.iter().map(|text| text.map(str::to_owned)));
    }
    Ok(all)
}

/// The whole numbers of a column over all batches; a missing one counts as an error.
///
/// # Errors
/// No such column, not a number, or a missing value.
pub fn integers(batches: &[RecordBatch], column: &str) -> Result<Vec<i64>, OfflineError> {
    let mut all = Vec::new();
    for batch in batches {
        let array: Int64Array = cast_column(batch, column, &DataType::Int64)?;
        if array.null_count() > 0 {
            return Err(table_error(column, "a value is missing"));
        }
        all.extend_from_slice(array.values());
    }
    Ok(all)
}

/// The numbers of a column over all batches; NaN where nothing stands.
///
/// # Errors
/// No such column, or not a number.
pub fn floats(batches: &[RecordBatch], column: &str) -> Result<Vec<f64>, OfflineError> {
    let mut all = Vec::new();
    for batch in batches {
        let array: Float64Array = cast_column(batch, column, &DataType::Float64)?;
        all.extend(array.iter().map(|number| number.unwrap_or(f64::NAN)));
    }
    Ok(all)
}

/// The ids of a column over all batches; `None` where nothing stands.
///
/// # Errors
/// No such column, or a text that is no id of `kind`.
pub fn ids(batches: &[RecordBatch], column: &str, kind: IdKind) -> Result<Vec<Option<u128>>, OfflineError> {
    let parse = |text: Option<String>| text.map(|text| kind.parse(&text)).transpose();
    let texts = texts(batches, column)?;
    texts.into_iter().map(|text| parse(text).map_err(|e| table_error(column, e))).collect()
}
