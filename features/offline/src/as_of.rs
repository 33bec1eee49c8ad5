//! As-of joins by Polars: the value that held for a key at a time; it keeps no state and reads no files.

use polars::prelude::{AsofJoinBy, AsofStrategy, Column, DataFrame, NamedFrom, PolarsError, Series};

use crate::OfflineError;

/// When a key's value changed, row by row.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The keys.
    pub keys: Vec<String>,
    /// When the value began to hold, in microseconds.
    pub times: Vec<i64>,
    /// The value.
    pub values: Vec<f64>,
}

/// For each point (key, time in microseconds) the last value whose time is at or before the point's; NaN where the key
/// had none yet.
///
/// # Errors
/// Columns of different lengths.
pub fn as_of(keys: &[String], times: &[i64], changes: &Changes) -> Result<Vec<f64>, OfflineError> {
    if keys.len() != times.len() {
        return Err(OfflineError::Join(format!("{} keys but {} times", keys.len(), times.len())));
    }
    let points = sorted_frame(keys, times, "row", &(0..keys.len()).map(|row| row as f64).collect::<Vec<_>>())?;
    let held = sorted_frame(&changes.keys, &changes.times, "value", &changes.values)?;
    let joined = points
        .join_asof_by(&held, "time", "time", ["key"], ["key"], AsofStrategy::Backward, None, true, false)
        .map_err(failed)?;
    let rows = joined.column("row").and_then(|column| column.f64().cloned()).map_err(failed)?;
    let values = joined.column("value").and_then(|column| column.f64().cloned()).map_err(failed)?;
    let mut answer = vec![f64::NAN; keys.len()];
    for (row, value) in rows.iter().zip(values.iter()) {
        if let Some(row) = row {
            answer[row as usize] = value.unwrap_or(f64::NAN);
        }
    }
    Ok(answer)
}

fn sorted_frame(keys: &[String], times: &[i64], name: &str, values: &[f64]) -> Result<DataFrame, OfflineError> {
    if keys.len() != times.len() || keys.len() != values.len() {
        let lengths = format!("{} keys, {} times and {} values", keys.len(), times.len(), values.len());
        return Err(OfflineError::Join(lengths));
    }
    // The sort is stable: of two changes at one time the later row holds.
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|row| times[*row]);
    let key_column: Vec<&str> = order.iter().map(|row| keys[*row].as_str()).collect();
    let time_column: Vec<i64> = order.iter().map(|row| times[*row]).collect();
    let value_column: Vec<f64> = order.iter().map(|row| values[*row]).collect();
    let columns = vec![
        Column::from(Series::new("key".into(), key_column)),
        Column::from(Series::new("time".into(), time_column)),
        Column::from(Series::new(name.into(), value_column)),
    ];
    DataFrame::new(keys.len(), columns).map_err(failed)
}

fn failed(error: PolarsError) -> OfflineError {
    OfflineError::Join(error.to_string())
}
