//! The values of one decision that rules read, in the order of a schema; how they came about is the caller's.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::action::Action;
use crate::schema::{FieldType, Schema};

/// A field's value; of a missing one nothing is known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldValue {
    /// The request does not have it.
    #[default]
    Missing,
    /// Of a `Boolean` field.
    Boolean(bool),
    /// Of an `Integer` field.
    Integer(i64),
    /// Of a `Double` field.
    Double(f64),
    /// Of a `Text` or `Key` field.
    Text(Box<str>),
}

impl FieldValue {
    fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Boolean(_) => "bool",
            Self::Integer(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
        }
    }
}

/// Which fields of a request were on a list when it was decided: bit *i* is the schema's field *i*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Listed {
    /// Fields whose value was blocked.
    pub blocked: u64,
    /// Fields whose value was allowed.
    pub allowed: u64,
}

/// What is known of one decision when rules are asked. All of it is recorded, so that the decision can be repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts<'a> {
    /// One value for each feature of the schema; NaN where it is missing.
    pub features: &'a [f64],
    /// One value for each field of the schema.
    pub fields: &'a [FieldValue],
    /// The lists that the fields were on.
    pub listed: Listed,
    /// The model's calibrated probability, 0..=1.
    pub score: f64,
    /// What the thresholds make of the score.
    pub band: Action,
}

/// Facts that do not fit the schema.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FactsError {
    /// Another number of features or fields than declared.
    #[error("{found} {what} were given, but the rules were compiled for {wanted}")]
    WrongLength {
        /// `features` or `fields`.
        what: &'static str,
        /// How many were given.
        found: usize,
        /// How many the schema has.
        wanted: usize,
    },
    /// A field has a value of another type.
    #[error("request.{name} is {found}, but was declared as {wanted}")]
    WrongType {
        /// The field.
        name: String,
        /// The type of its value.
        found: &'static str,
        /// The declared type.
        wanted: &'static str,
    },
    /// A feature is infinite, or a field of type double is no finite number.
    #[error("{name} is not a finite number; where its value is not known, a feature is NaN and a field is left out")]
    NotFinite {
        /// The feature or field, with its group.
        name: String,
    },
    /// A score that is no probability.
    #[error("the score is {0}; it must lie between 0 and 1")]
    BadScore(f64),
}

impl Schema {
    /// Checks that facts fit.
    ///
    /// # Errors
    /// What does not fit first.
    pub fn check(&self, facts: &Facts<'_>) -> Result<(), FactsError> {
        let lengths = [
            ("features", facts.features.len(), self.features().len()),
            ("fields", facts.fields.len(), self.fields().len()),
        ];
        for (what, found, wanted) in lengths {
            if found != wanted {
                return Err(FactsError::WrongLength { what, found, wanted });
            }
        }
        if let Some(place) = facts.features.iter().position(|value| value.is_infinite()) {
            return Err(FactsError::NotFinite { name: format!("features.{}", self.features()[place]) });
        }
        for (field, value) in self.fields().iter().zip(facts.fields) {
            if matches!(value, FieldValue::Double(value) if !value.is_finite()) {
                return Err(FactsError::NotFinite { name: format!("request.{}", field.name) });
            }
            let fits = match field.field_type {
                FieldType::Boolean => matches!(value, FieldValue::Boolean(_) | FieldValue::Missing),
                FieldType::Integer => matches!(value, FieldValue::Integer(_) | FieldValue::Missing),
                FieldType::Double => matches!(value, FieldValue::Double(_) | FieldValue::Missing),
                FieldType::Text | FieldType::Key(_) => matches!(value, FieldValue::Text(_) | FieldValue::Missing),
            };
            if !fits {
                let (name, wanted) = (field.name.to_string(), field.field_type.word());
                return Err(FactsError::WrongType { name, found: value.word(), wanted });
            }
        }
        if !(0.0..=1.0).contains(&facts.score) {
            return Err(FactsError::BadScore(facts.score));
        }
        Ok(())
    }
}

impl FieldType {
    /// The type's name in CEL.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Boolean => "bool",
            Self::Integer => "int",
            Self::Double => "double",
            Self::Text | Self::Key(_) => "string",
        }
    }
}
