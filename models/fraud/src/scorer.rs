//! The seam behind which every fraud model stands: a row in, an explained probability out; how a model learns is its own affair.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Reasons given by [`FraudScorer::score`].
pub const DEFAULT_REASONS: usize = 5;

/// One feature's share in a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code, a function of the feature alone, such as `CARD_ORDERS_1H`.
    pub code: String,
    /// The feature's name.
    pub feature: String,
    /// A sentence for an analyst.
    pub words: String,
    /// The feature's value in this row; none where it is missing.
    pub value: Option<f64>,
    /// 5 % quantile among genuine training rows; none where it was never seen there.
    pub usual_low: Option<f64>,
    /// 95 % quantile among genuine training rows; none where it was never seen there.
    pub usual_high: Option<f64>,
    /// What the feature adds to the margin, in log-odds, compared with the average training row; positive raises the risk.
    pub contribution: f64,
}

/// A model's answer for one row. `base_margin` + the reasons' contributions + `rest_contribution` = `margin`, to 1e-9.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudScore {
    /// Calibrated probability of fraud, in 0..=1.
    pub probability: f64,
    /// Log-odds of `probability`.
    pub margin: f64,
    /// Log-odds given to the average training row.
    pub base_margin: f64,
    /// The strongest contributions by size, whether they raise or lower the risk; strongest first.
    pub reasons: Vec<Reason>,
    /// The sum of the contributions of the features that `reasons` leaves out.
    pub rest_contribution: f64,
}

/// Why a row cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScoreError {
    /// The row has another number of values than the model has features.
    #[error("the row has {found} values, but the model takes {wanted} features, `{first}` to `{last}`")]
    WrongWidth {
        /// Values given.
        found: usize,
        /// Features of the model.
        wanted: usize,
        /// The first feature's name.
        first: String,
        /// The last feature's name.
        last: String,
    },
    /// A value is infinite.
    #[error(
        "row {row}, column {column} (`{feature}`) is infinite; give a finite number, or NaN where the value is missing"
    )]
    InfiniteValue {
        /// Row, from 0 (0 where one row is scored).
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The feature's name.
        feature: String,
    },
}

/// The offered features are not those that the model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaMismatch {
    /// A column has another name, at the first place where the two differ.
    #[error(
        "column {column} is `{found}`, but the model was trained with `{wanted}` there (schema {model} against {offered})"
    )]
    OtherName {
        /// Column, from 0.
        column: usize,
        /// The model's name for it.
        wanted: String,
        /// The offered name.
        found: String,
        /// The model's schema.
        model: SchemaHash,
        /// The offered schema.
        offered: SchemaHash,
    },
    /// The model has more features than are offered.
    #[error("feature `{wanted}` (column {column}) is missing: {found} features offered, the model has more")]
    Missing {
        /// Column, from 0.
        column: usize,
        /// The model's name for it.
        wanted: String,
        /// Number of offered features.
        found: usize,
    },
    /// More features are offered than the model has.
    #[error("feature `{found}` (column {column}) is unknown to the model, which ends before it")]
    Unknown {
        /// Column, from 0.
        column: usize,
        /// The offered name.
        found: String,
    },
}

/// A hash over the feature names in their order, so that a model and a feature set can be compared at start-up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SchemaHash([u8; 32]);

impl SchemaHash {
    /// The hash of `names`; each name's length is hashed too, so that no two lists collide by joining.
    pub fn of(names: &[String]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for name in names {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SchemaHash {
    /// The first 16 hexadecimal digits: enough for people to compare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SchemaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A trained model of fraud. Rows are `&[f64]` in the order of `feature_names`, NaN = missing.
pub trait FraudScorer: Send + Sync {
    /// The features in column order.
    fn feature_names(&self) -> &[String];

    /// Scores one row and gives its `reason_limit` strongest reasons.
    ///
    /// # Errors
    /// [`ScoreError`] where the row has the wrong width or an infinite value.
    fn score_with_reasons(&self, row: &[f64], reason_limit: usize) -> Result<FraudScore, ScoreError>;

    /// Scores one row with its [`DEFAULT_REASONS`] strongest reasons.
    ///
    /// # Errors
    /// As [`FraudScorer::score_with_reasons`].
    fn score(&self, row: &[f64]) -> Result<FraudScore, ScoreError> {
        self.score_with_reasons(row, DEFAULT_REASONS)
    }

    /// The probabilities of many rows, row-major, computed in parallel.
    ///
    /// # Errors
    /// As [`FraudScorer::score_with_reasons`], for the first row that is wrong; `WrongWidth` where the last row is incomplete.
    fn probabilities(&self, rows: &[f64]) -> Result<Vec<f64>, ScoreError> {
        rows.par_chunks(self.feature_names().len())
            .enumerate()
            .map(|(index, row)| match self.score_with_reasons(row, 0) {
                Ok(score) => Ok(score.probability),
                Err(ScoreError::InfiniteValue { column, feature, .. }) => {
                    Err(ScoreError::InfiniteValue { row: index, column, feature })
                }
                Err(error) => Err(error),
            })
            .collect::<Vec<_>>()
            .into_iter()
            .collect()
    }

    /// The hash of the feature names.
    fn schema_hash(&self) -> SchemaHash {
        SchemaHash::of(self.feature_names())
    }

    /// Checks that `offered` are this model's features in this model's order; to be called before the first score.
    ///
    /// # Errors
    /// [`SchemaMismatch`] naming the first difference.
    fn check_features(&self, offered: &[String]) -> Result<(), SchemaMismatch> {
        let own = self.feature_names();
        if let Some(column) = own.iter().zip(offered).position(|(wanted, found)| wanted != found) {
            return Err(SchemaMismatch::OtherName {
                column,
                wanted: own[column].clone(),
                found: offered[column].clone(),
                model: self.schema_hash(),
                offered: SchemaHash::of(offered),
            });
        }
        if let Some(wanted) = own.get(offered.len()) {
            return Err(SchemaMismatch::Missing {
                column: offered.len(),
                wanted: wanted.clone(),
                found: offered.len(),
            });
        }
        match offered.get(own.len()) {
            Some(found) => Err(SchemaMismatch::Unknown { column: own.len(), found: found.clone() }),
            None => Ok(()),
        }
    }
}

/// Checks a row against the features that a scorer takes.
///
/// # Errors
/// [`ScoreError`] where the row has the wrong width or an infinite value.
pub(crate) fn check_row(names: &[String], row: &[f64]) -> Result<(), ScoreError> {
    if row.len() != names.len() {
        return Err(ScoreError::WrongWidth {
            found: row.len(),
            wanted: names.len(),
            first: names.first().cloned().unwrap_or_default(),
            last: names.last().cloned().unwrap_or_default(),
        });
    }
    match row.iter().position(|value| value.is_infinite()) {
        Some(column) => Err(ScoreError::InfiniteValue { row: 0, column, feature: names[column].clone() }),
        None => Ok(()),
    }
}
