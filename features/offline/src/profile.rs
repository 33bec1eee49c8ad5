//! The columns of a Parquet file as quality checks need them: numbers, and the figures of each column; it judges nothing.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use dhow_events::Timestamp;
use dhow_quality::Column;
use rustc_hash::FxHashSet;

use crate::OfflineError;
use crate::typed_table::UserTable;

/// The numbers and booleans (0, 1) of each column that holds such, in the file's order; NaN where one is missing.
///
/// # Errors
/// The file cannot be read.
pub fn number_columns(path: &Path) -> Result<Vec<(String, Vec<f64>)>, OfflineError> {
    let table = UserTable::read(path)?;
    let mut columns = Vec::new();
    for (field, array) in table.batch.schema().fields().iter().zip(table.batch.columns()) {
        if let Some(numbers) = numbers(array)? {
            let values = numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
            columns.push((field.name().clone(), values));
        }
    }
    Ok(columns)
}

/// The figures of every column; the age of instants is counted at `now`.
///
/// # Errors
/// The file cannot be read.
pub fn profile(path: &Path, now: Timestamp) -> Result<BTreeMap<String, Column>, OfflineError> {
    let table = UserTable::read(path)?;
    let mut profiles = BTreeMap::new();
    for (field, array) in table.batch.schema().fields().iter().zip(table.batch.columns()) {
        let mut column =
            Column { rows: array.len() as u64, missing: array.logical_null_count() as u64, ..Column::default() };
        if let Some(numbers) = numbers(array)? {
            let there = || numbers.iter().flatten().filter(|value| !value.is_nan());
            column.missing = column.rows - there().count() as u64;
            (column.min, column.max) = (there().reduce(f64::min), there().reduce(f64::max));
        }
        if matches!(array.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) {
            let times =
                cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None)).map_err(unreadable(field.name()))?;
            let newest = times.as_primitive::<TimestampMicrosecondType>().iter().flatten().max();
            column.age_hours = newest.map(|newest| now.micros_since(Timestamp::from_micros(newest)) as f64 / 3.6e9);
        }
        column.distinct = distinct(array).map_err(unreadable(field.name()))?;
        profiles.insert(field.name().clone(), column);
    }
    Ok(profiles)
}

/// A column as floats, where it holds numbers or booleans.
fn numbers(array: &dyn Array) -> Result<Option<Float64Array>, OfflineError> {
    let kind = array.data_type();
    if !kind.is_numeric() && *kind != DataType::Boolean {
        return Ok(None);
    }
    let floats = cast(array, &DataType::Float64).map_err(unreadable("a number"))?;
    Ok(Some(floats.as_primitive().clone()))
}

/// How many different values there are, by their text.
fn distinct(array: &dyn Array) -> Result<u64, arrow::error::ArrowError> {
    let texts = cast(array, &DataType::Utf8)?;
    let seen: FxHashSet<&str> = texts.as_string::<i32>().iter().flatten().collect();
    Ok(seen.len() as u64)
}

fn unreadable(column: &str) -> impl Fn(arrow::error::ArrowError) -> OfflineError {
    let column = column.to_owned();
    move |error| OfflineError::Table { table: column.clone(), reason: error.to_string() }
}
