//! What columns must be, from TOML, and which of it a table breaks; whoever has the table computes the columns' figures.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest file of expectations, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// What is expected of each column of a table.
///
/// ```toml
/// [columns.amount]
/// min = 0.0
/// max = 1e6
/// missing_share_max = 0.01
///
/// [columns.country]
/// distinct_min = 2
/// distinct_max = 300
///
/// [columns.paid_at]
/// age_hours_max = 24.0
/// ```
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    columns: BTreeMap<String, Expected>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    min: Option<f64>,
    max: Option<f64>,
    missing_share_max: Option<f64>,
    distinct_min: Option<u64>,
    distinct_max: Option<u64>,
    age_hours_max: Option<f64>,
}

/// The figures of one column.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Column {
    /// Rows, those without a value included.
    pub rows: u64,
    /// Rows without a value.
    pub missing: u64,
    /// The smallest number; nothing for texts, or where all are missing.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// Different values.
    pub distinct: u64,
    /// How old the newest instant is, in hours; nothing for a column that holds none.
    pub age_hours: Option<f64>,
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// The column.
    pub column: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.column, self.expected, self.found)
    }
}

/// Why expectations cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExpectationsError {
    /// The text is no TOML, or says something else than expectations.
    #[error("{0}")]
    Text(String),
    /// An expectation that no value, or every value, would meet.
    #[error("columns.{column}: {message}")]
    Meaning {
        /// The column.
        column: String,
        /// What is wrong.
        message: String,
    },
}

impl Expectations {
    /// Reads expectations from TOML.
    ///
    /// # Errors
    /// No TOML, an unknown key, a column of which nothing is expected, or bounds that exclude each other.
    pub fn from_toml(text: &str) -> Result<Self, ExpectationsError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(ExpectationsError::Text(format!(
                "it has {} bytes; at most {MAX_TEXT_BYTES} are read",
                text.len()
            )));
        }
        let read: Self = toml::from_str(text).map_err(|error| ExpectationsError::Text(error.to_string()))?;
        for (column, expected) in &read.columns {
            expected.check().map_err(|message| ExpectationsError::Meaning { column: column.clone(), message })?;
        }
        Ok(read)
    }

    /// The columns of which something is expected.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// What the columns of a table break; `column` gives the figures of a column by its name.
    pub fn check(&self, column: impl Fn(&str) -> Option<Column>) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (name, expected) in &self.columns {
            let mut broken = |expected: String, found: String| {
                violations.push(Violation { column: name.clone(), expected, found });
            };
            match column(name) {
                None => broken("a column".to_owned(), "none of this name".to_owned()),
                Some(found) => expected.compare(&found, &mut broken),
            }
        }
        violations
    }
}

impl Expected {
    fn check(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err(
                "nothing is expected; give min, max, missing_share_max, distinct_min, distinct_max or age_hours_max"
                    .to_owned(),
            );
        }
        if self.min.zip(self.max).is_some_and(|(min, max)| min > max) {
            return Err("min is above max".to_owned());
        }
        if self.distinct_min.zip(self.distinct_max).is_some_and(|(min, max)| min > max) {
            return Err("distinct_min is above distinct_max".to_owned());
        }
        match self.missing_share_max {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                Err(format!("missing_share_max is {share}; shares are 0 to 1"))
            }
            _ => Ok(()),
        }
    }

    fn compare(&self, found: &Column, broken: &mut impl FnMut(String, String)) {
        let number = |value: Option<f64>| value.map_or_else(|| "no number".to_owned(), |value| value.to_string());
        if let Some(min) = self.min
            && found.min.is_none_or(|value| value < min)
        {
            broken(format!("at least {min}"), number(found.min));
        }
        if let Some(max) = self.max
            && found.max.is_none_or(|value| value > max)
        {
            broken(format!("at most {max}"), number(found.max));
        }
        let share = found.missing as f64 / (found.rows as f64).max(1.0);
        if let Some(most) = self.missing_share_max
            && share > most
        {
            broken(format!("at most a share of {most} missing"), format!("{} of {} rows", found.missing, found.rows));
        }
        if let Some(least) = self.distinct_min
            && found.distinct < least
        {
            broken(format!("at least {least} different values"), found.distinct.to_string());
        }
        if let Some(most) = self.distinct_max
            && found.distinct > most
        {
            broken(format!("at most {most} different values"), found.distinct.to_string());
        }
        if let Some(most) = self.age_hours_max
            && found.age_hours.is_none_or(|age| age > most)
        {
            let age = found.age_hours.map_or_else(|| "no instants".to_owned(), |age| format!("{age:.1} hours"));
            broken(format!("the newest at most {most} hours old"), age);
        }
    }
}
