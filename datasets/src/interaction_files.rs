//! Reads who took what, for judging a personal recommender: a line a person in time order, attributes as JSON; it judges nothing.
//!
//! A line is `person item item …`, the earliest item first. Attributes are one JSON object that gives each item id a list of
//! texts or numbers. Item ids and attributes are any text without spaces and become dense numbers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::session_files::ITEMS_MAX;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct InteractionFileError {
    path: PathBuf,
    reason: String,
}

/// Everybody's items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histories {
    /// Each person's items in time order, by dense number, in the order of the file's lines.
    pub histories: Vec<Vec<u32>>,
    /// The id of every item number, in the order in which the file first names them.
    pub item_ids: Vec<String>,
}

/// Reads a file of histories. Empty lines are passed over.
///
/// # Errors
/// No such file, a person without an item, the same person twice, no person at all, or more than [`ITEMS_MAX`] items; the
/// error says which line.
pub fn read_histories(path: &Path) -> Result<Histories, InteractionFileError> {
    let text = read(path)?;
    parse_histories(&text).map_err(|reason| InteractionFileError { path: path.to_owned(), reason })
}

/// Reads the attributes of the items `item_ids`, numbered from 0 in the order of the items; an item that the file does not
/// name has none, and items that nobody took are passed over. Repetitions within an item stay.
///
/// # Errors
/// No such file, no JSON object of lists, or an attribute that is neither text nor number; the error says of which item.
pub fn read_attributes(path: &Path, item_ids: &[String]) -> Result<Vec<Vec<u32>>, InteractionFileError> {
    let text = read(path)?;
    parse_attributes(&text, item_ids).map_err(|reason| InteractionFileError { path: path.to_owned(), reason })
}

fn read(path: &Path) -> Result<String, InteractionFileError> {
    std::fs::read_to_string(path)
        .map_err(|error| InteractionFileError { path: path.to_owned(), reason: error.to_string() })
}

fn parse_histories(text: &str) -> Result<Histories, String> {
    let mut numbers: FxHashMap<&str, u32> = FxHashMap::default();
    let mut lines: FxHashMap<&str, usize> = FxHashMap::default();
    let mut found = Histories { histories: Vec::new(), item_ids: Vec::new() };
    for (line, text) in (1..).zip(text.lines()) {
        let mut fields = text.split_whitespace();
        let Some(person) = fields.next() else { continue };
        if let Some(earlier) = lines.insert(person, line) {
            return Err(format!(
                "line {line}: person {person} stands in line {earlier} already; one line holds all items"
            ));
        }
        let mut history = Vec::new();
        for item in fields {
            if numbers.len() >= ITEMS_MAX && !numbers.contains_key(item) {
                return Err(format!("line {line}: there are more than {ITEMS_MAX} different items"));
            }
            let number = *numbers.entry(item).or_insert_with(|| {
                found.item_ids.push(item.to_owned());
                found.item_ids.len() as u32 - 1
            });
            history.push(number);
        }
        if history.is_empty() {
            return Err(format!("line {line}: person {person} has no item; a line is `person item item …`"));
        }
        found.histories.push(history);
    }
    if found.histories.is_empty() { Err("it holds no line `person item item …`".to_owned()) } else { Ok(found) }
}

fn parse_attributes(text: &str, item_ids: &[String]) -> Result<Vec<Vec<u32>>, String> {
    let by_item: BTreeMap<String, Vec<Value>> = serde_json::from_str(text)
        .map_err(|error| format!("it must be an object that gives each item a list of attributes: {error}"))?;
    let mut numbers: FxHashMap<String, u32> = FxHashMap::default();
    let of_item = |id: &String| {
        let own = by_item.get(id).map_or(&[][..], Vec::as_slice);
        let of_attribute = |attribute: &Value| {
            let name = match attribute {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                other => return Err(format!("item {id} has the attribute {other}; it must be a text or a number")),
            };
            let next = numbers.len() as u32;
            Ok(*numbers.entry(name).or_insert(next))
        };
        own.iter().map(of_attribute).collect()
    };
    item_ids.iter().map(of_item).collect()
}
