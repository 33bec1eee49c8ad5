//! What tariff provisions and compliance rules share: rows of CSV, countries, and to which goods a row applies on which day.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::HsCode;

/// A row of a table that was refused; nothing of the table is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct RowError {
    /// The line in the text, from 1; 0 where it is no line's fault.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

impl RowError {
    pub(crate) fn new(line: u64, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

/// A country by the two letters of ISO 3166-1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// The two letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            &[first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => Ok(Self([first, second])),
            _ => Err(format!("`{}` is not two capital letters such as CN", text.chars().take(16).collect::<String>())),
        }
    }
}

impl TryFrom<String> for Country {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.code().to_owned()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// To which goods a row applies, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The digits that codes begin with; none for all goods.
    pub prefix: String,
    /// The origins, in order; none for all.
    pub origins: Vec<Country>,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub until: Date,
}

impl Scope {
    /// Reads a scope: `*` stands for all goods, for all origins; an empty date for always.
    pub fn read(line: u64, hs: &str, origins: &str, (from, until): (&str, &str)) -> Result<Self, RowError> {
        let prefix = if hs == "*" { String::new() } else { hs.replace('.', "") };
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        if hs.is_empty() || !digits || prefix.len() > 10 || (hs != "*" && prefix.len() < 2) {
            return Err(RowError::new(line, format!("hs `{hs}` is neither * nor the first 2 to 10 digits of a code")));
        }
        let origins = countries(line, origins)?;
        let from = day(line, from)?.unwrap_or(Date::MIN);
        let until = day(line, until)?.unwrap_or(Date::MAX);
        if from > until {
            return Err(RowError::new(line, format!("begins on {from}, after its last day {until}")));
        }
        Ok(Self { prefix, origins, from, until })
    }

    /// Whether it applies to goods on a day.
    pub fn applies(&self, code: &HsCode, origin: Country, on: Date) -> bool {
        code.digits().starts_with(&self.prefix)
            && (self.origins.is_empty() || self.origins.contains(&origin))
            && (self.from..=self.until).contains(&on)
    }

    /// How narrow it is: of two that apply, the longer prefix goes first, then the one that names the origin.
    pub fn narrowness(&self) -> (usize, bool) {
        (self.prefix.len(), !self.origins.is_empty())
    }

    /// Whether two of the same narrowness apply to the same goods on some day.
    pub fn collides(&self, other: &Self) -> bool {
        let shares = self.origins.iter().any(|origin| other.origins.contains(origin));
        self.prefix == other.prefix
            && self.origins.is_empty() == other.origins.is_empty()
            && (self.origins.is_empty() || shares)
            && self.from <= other.until
            && other.from <= self.until
    }
}

/// Reads countries: `*` for all, else `CN|HK|MO`.
pub(crate) fn countries(line: u64, text: &str) -> Result<Vec<Country>, RowError> {
    if text == "*" {
        return Ok(Vec::new());
    }
    text.split('|').map(|code| code.parse().map_err(|problem: String| RowError::new(line, problem))).collect()
}

fn day(line: u64, text: &str) -> Result<Option<Date>, RowError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| RowError::new(line, format!("`{text}` is not a day such as 2025-04-05")))
}

/// The rows of a CSV text with a head; lines that begin with `#` are remarks.
pub(crate) fn rows<R: DeserializeOwned>(text: &str, rows_max: usize) -> Result<Vec<(u64, R)>, RowError> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(refused)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(refused)?;
        let line = record.position().map_or(0, csv::Position::line);
        if rows.len() == rows_max {
            return Err(RowError::new(line, format!("is one more than the {rows_max} rows that a table has at most")));
        }
        let row = record.deserialize(Some(&headers)).map_err(|error| RowError::new(line, error.to_string()))?;
        rows.push((line, row));
    }
    Ok(rows)
}

fn refused(error: csv::Error) -> RowError {
    RowError::new(error.position().map_or(0, csv::Position::line), error.to_string())
}
