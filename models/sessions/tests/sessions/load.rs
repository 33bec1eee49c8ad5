//! Reads the public session data sets; one that is absent is `None`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

/// A session with its time, and cases as prefix and next item with the number of their session.
#[derive(Debug, Default)]
pub struct DataSet {
    pub train: Vec<(Vec<u32>, i64)>,
    pub test: Vec<(Vec<u32>, u32, u32)>,
}

fn folder() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    PathBuf::from(std::env::var("DHOW_DATA_DIR").unwrap_or_else(|_| default.to_string())).join("sessions")
}

/// Lists of items with sessions in order of time, and a test part of prefixes, longest first, and next items.
pub fn parquet_set(name: &str) -> Option<DataSet> {
    let folder = folder().join(name);
    let mut set = DataSet::default();
    for (number, row) in rows(&File::open(folder.join("train_sessions.parquet")).ok()?).into_iter().enumerate() {
        set.train.push((numbers(&row[0]), number as i64));
    }
    for row in rows(&File::open(folder.join("test.parquet")).unwrap()) {
        let (prefix, next) = (numbers(&row[0]), numbers(&row[1])[0]);
        // The next shorter prefix of one session ends before the item that was to be predicted from it.
        let same = set.test.last().is_some_and(|(longer, _, _)| {
            longer.len() == prefix.len() + 1 && longer[..prefix.len()] == prefix && longer.last() == Some(&next)
        });
        let session = set.test.last().map_or(0, |(_, _, session)| session + u32::from(!same));
        set.test.push((prefix, next, session));
    }
    Some(set)
}

fn rows(file: &File) -> Vec<Vec<Field>> {
    let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
    let columns = |row: parquet::record::Row| row.get_column_iter().map(|(_, field)| field.clone()).collect();
    reader.get_row_iter(None).unwrap().map(|row| columns(row.unwrap())).collect()
}

fn numbers(field: &Field) -> Vec<u32> {
    match field {
        Field::Int(number) => vec![u32::try_from(*number).unwrap()],
        Field::ListInternal(list) => list.elements().iter().flat_map(numbers).collect(),
        other => panic!("{other} is neither a number nor a list of numbers"),
    }
}

/// Lines of session, item and time in seconds; items are as dense as they are in the file.
pub fn serenade_example() -> Option<DataSet> {
    let folder = folder().join("serenade_example");
    let mut set = DataSet { train: clicks(&std::fs::read_to_string(folder.join("train.txt")).ok()?), test: Vec::new() };
    set.train.sort_by_key(|(_, time)| *time);
    let test = clicks(&std::fs::read_to_string(folder.join("test.txt")).unwrap());
    for (session, (items, _)) in test.iter().enumerate() {
        let case = |next: usize| (items[..next].to_vec(), items[next], session as u32);
        set.test.extend((1..items.len()).map(case));
    }
    Some(set)
}

fn clicks(text: &str) -> Vec<(Vec<u32>, i64)> {
    let mut sessions: BTreeMap<u64, Vec<(i64, u32)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let seconds: f64 = fields[2].parse().unwrap();
        let click = (seconds.round() as i64, fields[1].parse().unwrap());
        sessions.entry(fields[0].parse().unwrap()).or_default().push(click);
    }
    let in_order = |mut clicks: Vec<(i64, u32)>| {
        clicks.sort_by_key(|(time, _)| *time);
        let time = clicks[clicks.len() - 1].0;
        (clicks.into_iter().map(|(_, item)| item).collect(), time)
    };
    sessions.into_values().map(in_order).collect()
}
