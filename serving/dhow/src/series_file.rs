//! Series from a user's file: one row a series with held-out values, or long rows of id, time and value; it forecasts nothing.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use dhow_events::{DAY_MICROS, Timestamp};
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
    /// When its steps are.
    pub steps: Steps,
}

/// The times of a series' steps.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// Of the last value.
    last: Time,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// In the unit of the times.
    Even(f64),
    Months(i32),
}

/// A time in a file.
#[derive(Debug, Clone, Copy)]
enum Time {
    Number(f64),
    Instant(Timestamp),
}

impl Time {
    /// Microseconds of an instant, a number as it is.
    fn place(self) -> f64 {
        match self {
            Time::Number(number) => number,
            Time::Instant(instant) => instant.micros() as f64,
        }
    }
}

impl Steps {
    /// The least distance between instants tells months, quarters and years, which differ in length.
    fn of(last: Time, distance: f64) -> Steps {
        let days = distance / DAY_MICROS as f64;
        let months = MONTHS.iter().find(|(_, days_of)| days_of.contains(&days));
        let step = match (last, months) {
            (Time::Instant(_), Some((months, _))) => Step::Months(*months),
            _ => Step::Even(distance),
        };
        Steps { last, step }
    }

    /// The time so many steps after the last value, as a date where it is the beginning of a day.
    pub fn after(&self, steps: usize) -> String {
        let instant = match (self.last, self.step) {
            (Time::Number(last), Step::Even(step)) => return format!("{}", last + step * steps as f64),
            (Time::Number(last), Step::Months(_)) => return format!("{last}"),
            (Time::Instant(last), Step::Even(step)) => last + (step * steps as f64) as i64,
            (Time::Instant(last), Step::Months(months)) => months_after(last, months.saturating_mul(steps as i32)),
        };
        let text = instant.to_string();
        text.strip_suffix("T00:00:00Z").map(str::to_owned).unwrap_or(text)
    }
}

/// Months of a step, and the days between its times.
const MONTHS: [(i32, std::ops::RangeInclusive<f64>); 3] = [(1, 28.0..=31.0), (3, 89.0..=92.0), (12, 365.0..=366.0)];

/// The same day of a later month, or its last one; the instant itself beyond the calendar's end.
fn months_after(instant: Timestamp, months: i32) -> Timestamp {
    let later = || {
        let begin = jiff::Timestamp::from_microsecond(instant.micros()).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
        begin.checked_add(jiff::Span::new().try_months(months).ok()?).ok()
    };
    later().map_or(instant, |later| Timestamp::from_micros(later.timestamp().as_microsecond()))
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

/// Rows of `period`, `train[]` and `test[]`, or of `values[]`, whose last `horizon` ones are held out.
///
/// # Errors
/// A file that cannot be read, or lacks these columns or values.
pub fn read_judged(path: &Path, horizon: usize) -> Result<Vec<Judged>, Failure> {
    let batch = read_parquet(path).map_err(Failure::input)?;
    if batch.column_by_name("values").is_some() {
        return Ok(lists(&batch, "values")?.into_iter().map(|values| held_out(values, horizon)).collect());
    }
    let periods = texts(&batch, "period")?;
    let (train, test) = (lists(&batch, "train")?, lists(&batch, "test")?);
    let rows = periods.into_iter().zip(train.into_iter().zip(test));
    Ok(rows.map(|(period, (train, test))| Judged { period, train, test }).collect())
}

/// A series whose last `horizon` values are held out.
pub fn held_out(mut values: Vec<f64>, horizon: usize) -> Judged {
    let test = values.split_off(values.len().saturating_sub(horizon));
    Judged { period: String::new(), train: values, test }
}

/// Rows of `id`, `time` and `value` as Parquet or, where the name ends so, CSV without quotes; in any order.
///
/// # Errors
/// A file that cannot be read or lacks these columns, a time twice in one series, or a series with too many steps.
pub fn read_long(path: &Path) -> Result<Vec<OwnSeries>, Failure> {
    let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let rows = if is_csv { csv(path)? } else { parquet(path)? };
    let mut by_id: BTreeMap<String, Vec<(Time, f64)>> = BTreeMap::new();
    for (id, time, value) in rows {
        by_id.entry(id).or_default().push((time, value));
    }
    by_id.into_iter().map(|(id, points)| even_steps(id, points)).collect()
}

fn parquet(path: &Path) -> Result<Vec<(String, Time, f64)>, Failure> {
    let batch = read_parquet(path).map_err(Failure::input)?;
    let times = instants(&batch, "time")?.into_iter().map(Time::Instant);
    let rows = texts(&batch, "id")?.into_iter().zip(times).zip(numbers(&batch, "value")?);
    Ok(rows.map(|((id, time), value)| (id, time, value)).collect())
}

fn csv(path: &Path) -> Result<Vec<(String, Time, f64)>, Failure> {
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

/// A number, a date or an instant.
fn time_of(text: &str) -> Option<Time> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite()).map(Time::Number);
    let instant = |text: &str| text.parse::<Timestamp>().ok().map(Time::Instant);
    number.or_else(|| instant(text)).or_else(|| instant(&format!("{text}T00:00:00Z")))
}

/// Sorts by time and leaves NaN where steps are missing; a step is the smallest distance, so that months may differ in length.
fn even_steps(id: String, mut points: Vec<(Time, f64)>) -> Result<OwnSeries, Failure> {
    points.sort_by(|a, b| a.0.place().total_cmp(&b.0.place()));
    let distances = points.windows(2).map(|pair| pair[1].0.place() - pair[0].0.place());
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
    let last = points[points.len() - 1].0;
    let steps = Steps::of(last, if step.is_finite() { step } else { 1.0 });
    Ok(OwnSeries { id, values, steps })
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
