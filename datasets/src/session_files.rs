//! Reads click sessions for judging a session recommender: tab-separated clicks, or Parquet lists of items; it judges nothing.
//!
//! Clicks are lines `SessionId ItemId Time` under a head line, times in seconds. Parquet files hold a list of items for each
//! session in order of time (`items`), or the cases to predict (`prefix`, `next_item`). Item ids become dense numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustc_hash::FxHashMap;

/// The most different items of all files.
pub const ITEMS_MAX: usize = 1 << 24;
/// Microseconds of a second.
const SECOND_MICROS: f64 = 1e6;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct SessionFileError {
    path: PathBuf,
    reason: String,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickSession {
    /// Dense item numbers in order of time.
    pub items: Vec<u32>,
    /// When the last of them was clicked, in microseconds; its place in the file where the file has no times.
    pub time: i64,
}

/// Something to predict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextItem {
    /// The session so far.
    pub prefix: Vec<u32>,
    /// What came next.
    pub next: u32,
    /// Which session it is; the cases of one stand together.
    pub session: u32,
}

/// Gives item ids numbers from 0, in the order in which they are met.
#[derive(Debug, Default)]
pub struct ItemNumbers(FxHashMap<i64, u32>);

impl ItemNumbers {
    fn of(&mut self, id: i64) -> Result<u32, String> {
        let next = self.0.len();
        if next >= ITEMS_MAX && !self.0.contains_key(&id) {
            return Err(format!("there are more than {ITEMS_MAX} different items"));
        }
        Ok(*self.0.entry(id).or_insert(next as u32))
    }
}

/// Reads the sessions of `path`: a file, or a folder that holds `train.txt` or `train_sessions.parquet`.
///
/// # Errors
/// No such file, another format, or a line or row that is none; the error says which.
pub fn read_sessions(path: &Path, numbers: &mut ItemNumbers) -> Result<Vec<ClickSession>, SessionFileError> {
    let path = found(path, &["train.txt", "train_sessions.parquet"])?;
    let read = if is_parquet(&path) { parquet_sessions(&path, numbers) } else { clicks(&path, numbers) };
    read.map_err(|reason| SessionFileError { path, reason })
}

/// Reads what is to be predicted: every item but the first of each session of a file of clicks, or the rows of a Parquet
/// file of cases. A folder holds `test.txt` or `test.parquet`.
///
/// # Errors
/// As [`read_sessions`].
pub fn read_cases(path: &Path, numbers: &mut ItemNumbers) -> Result<Vec<NextItem>, SessionFileError> {
    let path = found(path, &["test.txt", "test.parquet"])?;
    let read = if is_parquet(&path) {
        parquet_cases(&path, numbers)
    } else {
        clicks(&path, numbers).map(|sessions| cases_of(&sessions))
    };
    read.map_err(|reason| SessionFileError { path, reason })
}

/// Every item but the first of each session, from those before it.
pub fn cases_of(sessions: &[ClickSession]) -> Vec<NextItem> {
    let of_session = |(number, session): (usize, &ClickSession)| {
        let case = |next: usize| {
            let (prefix, next) = (session.items[..next].to_vec(), session.items[next]);
            NextItem { prefix, next, session: number as u32 }
        };
        (1..session.items.len()).map(case).collect::<Vec<_>>()
    };
    sessions.iter().enumerate().flat_map(of_session).collect()
}

fn found(path: &Path, names: &[&str]) -> Result<PathBuf, SessionFileError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let inside = names.iter().map(|name| path.join(name)).find(|inside| inside.is_file());
    inside.ok_or_else(|| SessionFileError {
        path: path.to_owned(),
        reason: format!("the folder holds none of {}", names.join(", ")),
    })
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

fn clicks(path: &Path, numbers: &mut ItemNumbers) -> Result<Vec<ClickSession>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut sessions: BTreeMap<i64, Vec<(i64, u32)>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || format!("line {} is `{line}`; it must be a session, an item and a time in seconds", number + 1);
        let mut fields = line.split_whitespace();
        let (session, item, time) = (fields.next(), fields.next(), fields.next());
        let session = session.and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let item = item.and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        let seconds: f64 = time.and_then(|text| text.parse().ok()).filter(|s: &f64| s.is_finite()).ok_or_else(wrong)?;
        sessions.entry(session).or_default().push(((seconds * SECOND_MICROS) as i64, numbers.of(item)?));
    }
    let in_order = |mut clicks: Vec<(i64, u32)>| {
        clicks.sort_by_key(|(time, _)| *time);
        let time = clicks.last().map_or(0, |(time, _)| *time);
        ClickSession { items: clicks.into_iter().map(|(_, item)| item).collect(), time }
    };
    let mut sessions: Vec<ClickSession> = sessions.into_values().map(in_order).collect();
    sessions.sort_by_key(|session| session.time);
    Ok(sessions)
}

fn parquet_sessions(path: &Path, numbers: &mut ItemNumbers) -> Result<Vec<ClickSession>, String> {
    let mut sessions = Vec::new();
    for batch in batches(path)? {
        for items in lists(&batch, "items", numbers)? {
            sessions.push(ClickSession { items, time: sessions.len() as i64 });
        }
    }
    Ok(sessions)
}

fn parquet_cases(path: &Path, numbers: &mut ItemNumbers) -> Result<Vec<NextItem>, String> {
    let mut cases: Vec<NextItem> = Vec::new();
    for batch in batches(path)? {
        let prefixes = lists(&batch, "prefix", numbers)?;
        let nexts = integers(column(&batch, "next_item")?, "next_item")?;
        for (prefix, next) in prefixes.into_iter().zip(nexts) {
            let next = numbers.of(next)?;
            // Of one session the longest prefix stands first, and the next shorter one ends before what followed it.
            let same = cases.last().is_some_and(|longer| {
                longer.prefix.len() == prefix.len() + 1
                    && longer.prefix.starts_with(&prefix)
                    && longer.prefix.last() == Some(&next)
            });
            let session = cases.last().map_or(0, |case| case.session + u32::from(!same));
            cases.push(NextItem { prefix, next, session });
        }
    }
    Ok(cases)
}

fn batches(path: &Path) -> Result<Vec<RecordBatch>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    reader.map_err(|error| error.to_string())?.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, String> {
    let missing = || {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        format!("it has no column `{name}`; it has {}", names.join(", "))
    };
    batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(missing)
}

fn integers(array: &dyn Array, name: &str) -> Result<Vec<i64>, String> {
    let cast = arrow::compute::cast(array, &DataType::Int64).map_err(|error| format!("column `{name}`: {error}"))?;
    if cast.null_count() > 0 {
        return Err(format!("column `{name}` has rows without an item"));
    }
    Ok(cast.as_primitive::<Int64Type>().values().to_vec())
}

fn lists(batch: &RecordBatch, name: &str, numbers: &mut ItemNumbers) -> Result<Vec<Vec<u32>>, String> {
    let array = column(batch, name)?;
    let list = array.as_list_opt::<i32>().ok_or_else(|| format!("column `{name}` holds no lists of items"))?;
    (0..list.len())
        .map(|row| integers(&list.value(row), name)?.into_iter().map(|id| numbers.of(id)).collect())
        .collect()
}
