//! Series from a user's file: one row a series with held-out values, or long rows of id, time and value; it forecasts nothing.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use dhow_events::Timestamp;
use dhow_forecast::MAX_LENGTH;
use dhow_offline::read_parquet;

use crate::evaluate_fraud::{column, instants, numbers};
use crate::failure::Failure;

/// A series of a user's, at equal steps, gaps as NaN.
pub struct OwnSeries {
    /// What the file calls it.
    pub id: String,
    /// Oldest first.
    pub values: Vec<f64>,
}

/// A series with the values that came after it.
pub struct Judged {
    /// monthly, quarterly, yearly …; empty where the file does not say.
    pub period: String,
    /// The history, oldest first.
    pub train: Vec<f64>,
    /// What came after it.
    pub test: Vec<f64>,
}

/// Rows of `period`, `train[]` and `test[]`.
///
/// # Errors
/// A file that cannot be read, or lacks these columns or values.
pub fn read_judged(path: &Path) -> Result<Vec<Judged>, Failure> {
    let batch = read_parquet(path).map_err(Failure::input)?;
    let periods = texts(&batch, "period")?;
    let (train, test) = (lists(&batch, "train")?, lists(&batch, "test")?);
    let rows = periods.into_iter().zip(train.into_iter().zip(test));
    Ok(rows.map(|(period, (train, test))| Judged { period, train, test }).collect())
}

/// Rows of `id`, `time` and `value` as Parquet or, where the name ends so, CSV without quotes; in any order.
///
/// # Errors
/// A file that cannot be read or lacks these columns, a time twice in one series, or a series with too many steps.
pub fn read_long(path: &Path) -> Result<Vec<OwnSeries>, Failure> {
    let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let rows = if is_csv { csv(path)? } else { parquet(path)? };
    let mut by_id: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (id, time, value) in rows {
        by_id.entry(id).or_default().push((time, value));
    }
    by_id.into_iter().map(|(id, points)| even_steps(id, points)).collect()
}

fn parquet(path: &Path) -> Result<Vec<(String, f64, f64)>, Failure> {
    let batch = read_parquet(path).map_err(Failure::input)?;
    let times = instants(&batch, "time")?.into_iter().map(|time| time.micros() as f64);
    let rows = texts(&batch, "id")?.into_iter().zip(times).zip(numbers(&batch, "value")?);
    Ok(rows.map(|((id, time), value)| (id, time, value)).collect())
}

fn csv(path: &Path) -> Result<Vec<(String, f64, f64)>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Input(format!("{} cannot be read: {error}", path.display())))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let place = |name: &str| {
        let missing = || {
            Failure::Input(format!(
                "{} has no column `{name}`; its first line is `{}`",
                path.display(),
                header.join(",")
            ))
        };
        header.iter().position(|column| *column == name).ok_or_else(missing)
    };
    let places = [place("id")?, place("time")?, place("value")?];
    let row = |(number, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let wrong = |what: &str| Failure::Input(format!("{}, line {}: {what}", path.display(), number + 2));
        let cell = |place: usize| cells.get(place).copied().ok_or_else(|| wrong("a cell is missing"));
        let [id, time, value] = places;
        let (time, value) = (cell(time)?, cell(value)?);
        let instant = time_of(time).ok_or_else(|| wrong(&format!("`{time}` is no number, date or instant")))?;
        let value = match value {
            "" => f64::NAN,
            text => text.parse().map_err(|_| wrong(&format!("`{text}` is no number")))?,
        };
        Ok((cell(id)?.to_owned(), instant, value))
    };
    lines.enumerate().filter(|(_, line)| !line.trim().is_empty()).map(row).collect()
}

/// A number as it is, a date or an instant in microseconds.
fn time_of(text: &str) -> Option<f64> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    let instant = |text: &str| text.parse::<Timestamp>().ok().map(|time| time.micros() as f64);
    number.or_else(|| instant(text)).or_else(|| instant(&format!("{text}T00:00:00Z")))
}

/// Sorts by time and leaves NaN where steps are missing; a step is the smallest distance, so that months may differ in length.
fn even_steps(id: String, mut points: Vec<(f64, f64)>) -> Result<OwnSeries, Failure> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let distances = points.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let step = distances.clone().fold(f64::INFINITY, f64::min);
    if step <= 0.0 {
        return Err(Failure::Input(format!("series `{id}` has two rows of one time; sum them up first")));
    }
    let mut values = vec![points[0].1];
    for (distance, (_, value)) in distances.zip(&points[1..]) {
        let gap = (distance / step).round() - 1.0;
        if values.len() as f64 + gap >= MAX_LENGTH as f64 {
            return Err(Failure::Input(format!(
                "series `{id}` has more than {MAX_LENGTH} steps of its smallest distance between times; give times at equal steps"
            )));
        }
        values.extend(std::iter::repeat_n(f64::NAN, gap as usize));
        values.push(*value);
    }
    Ok(OwnSeries { id, values })
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<String>, Failure> {
    let cast = cast(column(batch, name)?, &DataType::Utf8)
        .map_err(|error| Failure::Input(format!("column `{name}` is no text: {error}")))?;
    Ok(cast.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

fn lists(batch: &RecordBatch, name: &str) -> Result<Vec<Vec<f64>>, Failure> {
    let no_list = |error| Failure::Input(format!("column `{name}` holds no lists of numbers: {error}"));
    let wanted = DataType::new_list(DataType::Float64, true);
    let cast = cast(column(batch, name)?, &wanted).map_err(no_list)?;
    let values = |list: Option<arrow::array::ArrayRef>| {
        let numbers = list.map(|list| {
            list.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(f64::NAN)).collect::<Vec<f64>>()
        });
        numbers.unwrap_or_default()
    };
    Ok((0..cast.len()).map(|row| values(cast.is_valid(row).then(|| cast.as_list::<i32>().value(row)))).collect())
}
