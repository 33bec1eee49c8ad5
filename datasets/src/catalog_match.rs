//! Reads pairs of product records that are, or are not, one product: known-item queries with a catalogue; it judges nothing.
//!
//! A line is `record TAB record TAB 0|1`, a record is `COL name VAL value COL name VAL value …` (the format of Ditto and
//! DeepMatcher's data sets). The records on the right, of all three files, are the catalogue; a query is the title of a record
//! on the left that has a match, and what matches it in any file is relevant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Why a folder of pairs cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct CatalogMatchError {
    path: PathBuf,
    reason: String,
}

/// A record: values by the name of their column.
pub type CatalogRecord = BTreeMap<String, String>;

/// A title that is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownItemQuery {
    /// The title of the record on the left.
    pub title: String,
    /// The numbers of the catalogue's records that are the same product.
    pub relevant: BTreeSet<usize>,
}

/// A catalogue with queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogMatch {
    /// The records on the right, each once, in the order in which the files name them.
    pub catalogue: Vec<CatalogRecord>,
    /// Queries to choose settings on; none of them is a query to judge by.
    pub valid: Vec<KnownItemQuery>,
    /// Queries to judge by.
    pub test: Vec<KnownItemQuery>,
}

/// The title of a record: its column `title`, or `name`.
pub fn title_of(record: &CatalogRecord) -> &str {
    record.get("title").or_else(|| record.get("name")).map_or("", String::as_str)
}

/// Reads `train.txt`, `valid.txt` and `test.txt` of a folder.
///
/// # Errors
/// A file that is missing, too long or of another format; the error says which line.
pub fn read_catalog_match(folder: &Path) -> Result<CatalogMatch, CatalogMatchError> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut catalogue = Vec::new();
    let mut matches: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut asked: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in ["train", "valid", "test"] {
        let path = folder.join(format!("{file}.txt"));
        let failed = |reason| CatalogMatchError { path: path.clone(), reason };
        for (line, text) in (1..).zip(read(&path).map_err(failed)?.lines()) {
            let of_line = |reason: String| failed(format!("line {line}: {reason}"));
            let parts: Vec<&str> = text.split('\t').collect();
            let &[left, right, label] = parts.as_slice() else {
                return Err(of_line(format!("has {} parts; it must be two records and a label", parts.len())));
            };
            let number = match numbers.get(right) {
                Some(number) => *number,
                None => {
                    catalogue.push(parse_record(right).map_err(of_line)?);
                    numbers.insert(right.to_owned(), catalogue.len() - 1);
                    catalogue.len() - 1
                }
            };
            match label {
                "1" => {
                    let title = title_of(&parse_record(left).map_err(of_line)?).to_owned();
                    matches.entry(title.clone()).or_default().insert(number);
                    asked.entry(file).or_default().insert(title);
                }
                "0" => {}
                other => return Err(of_line(format!("has the label `{other}`; it must be 0 or 1"))),
            }
        }
    }
    let test = asked.remove("test").unwrap_or_default();
    let mut valid = asked.remove("valid").unwrap_or_default();
    valid.retain(|title| !test.contains(title));
    let of = |titles: BTreeSet<String>| {
        let query = |title: String| KnownItemQuery { relevant: matches[&title].clone(), title };
        titles.into_iter().filter(|title| !title.is_empty()).map(query).collect()
    };
    Ok(CatalogMatch { catalogue, valid: of(valid), test: of(test) })
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("has {bytes} bytes; at most {FILE_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn parse_record(text: &str) -> Result<CatalogRecord, String> {
    let mut record = CatalogRecord::new();
    for column in format!(" {text} ").split(" COL ").skip(1) {
        let (name, value) = column.split_once(" VAL ").ok_or_else(|| format!("`COL {column}` has no VAL"))?;
        record.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    if record.is_empty() { Err("has a record without a column".to_owned()) } else { Ok(record) }
}
