//! What is learned from: columns, labels, weights and groups, and their checks; binning is elsewhere.

use crate::check::MAX_FEATURES;
use crate::error::LearnError;
use crate::loss::Loss;

/// The most rows of a training set: gradients are summed as integers of 32 bits.
pub const MAX_ROWS: usize = 1 << 26;

/// What a column's values mean, and what the margin may do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// A number.
    #[default]
    Number,
    /// A number; the margin never falls where it rises.
    Increasing,
    /// A number; the margin never rises where it rises.
    Decreasing,
    /// The number of a category: whole, 0 to `u32::MAX`. Its order means nothing.
    Category,
}

/// One feature of all rows.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// The feature's name; it goes into the forest.
    pub name: &'a str,
    /// A value for each row; NaN is missing, infinite is refused.
    pub values: &'a [f64],
    /// What the values mean.
    pub kind: Kind,
}

/// Rows to learn from, or to judge by.
#[derive(Debug, Clone, Copy)]
pub struct TrainingData<'a> {
    /// The features, in the order of a row's values.
    pub columns: &'a [Column<'a>],
    /// What is to be predicted, of each row: 0 or 1 for logistic loss, at least 0 for Tweedie and LambdaRank.
    pub labels: &'a [f64],
    /// How much each row counts, at least 0; all 1 where absent. A row of weight 0 is not learned from.
    pub weights: Option<&'a [f64]>,
    /// The sizes of the lists that the rows form, in the rows' order; LambdaRank needs them, other losses take none.
    pub groups: Option<&'a [usize]>,
}

impl TrainingData<'_> {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// How much a row counts.
    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// Refuses what `loss` cannot be learned from, naming the first place that is wrong.
    pub(crate) fn check(&self, loss: &Loss) -> Result<(), LearnError> {
        self.check_shape()?;
        for column in self.columns {
            check_column(column)?;
        }
        let (allowed, range): (fn(f64) -> bool, _) = match loss {
            Loss::Logistic => (|label| label == 0.0 || label == 1.0, "0 or 1"),
            Loss::Squared | Loss::Quantile { .. } => (f64::is_finite, "finite"),
            Loss::Tweedie { .. } => (|label| label.is_finite() && label >= 0.0, "finite and at least 0"),
            Loss::LambdaRank { .. } => (|label| (0.0..=31.0).contains(&label), "a grade from 0 to 31"),
        };
        check_values("labels", self.labels, allowed, range)?;
        if let Some(weights) = self.weights {
            check_values("weights", weights, |weight| weight.is_finite() && weight >= 0.0, "finite and at least 0")?;
            if !weights.iter().any(|weight| *weight > 0.0) {
                return Err(LearnError::Empty("no row has a weight above 0".to_owned()));
            }
        }
        match (loss, self.groups) {
            (Loss::LambdaRank { .. }, None) => {
                Err(LearnError::Mismatch("LambdaRank needs groups: the sizes of the ranked lists".to_owned()))
            }
            (Loss::LambdaRank { .. }, Some(_)) | (_, None) => Ok(()),
            (_, Some(_)) => Err(LearnError::Mismatch("groups are for LambdaRank alone".to_owned())),
        }
    }

    fn check_shape(&self) -> Result<(), LearnError> {
        let rows = self.rows();
        if rows == 0 || self.columns.is_empty() {
            return Err(LearnError::Empty(format!("{rows} rows of {} columns", self.columns.len())));
        }
        if rows > MAX_ROWS || self.columns.len() > MAX_FEATURES {
            let columns = self.columns.len();
            let most = format!("at most {MAX_ROWS} rows of {MAX_FEATURES} columns are taken");
            return Err(LearnError::Mismatch(format!("{rows} rows of {columns} columns: {most}")));
        }
        let length = |name: &str, got: usize| {
            if got == rows { Ok(()) } else { Err(LearnError::Length { name: name.to_owned(), expected: rows, got }) }
        };
        for column in self.columns {
            length(column.name, column.values.len())?;
        }
        length("weights", self.weights.map_or(rows, <[f64]>::len))?;
        let grouped = self
            .groups
            .map_or(Some(rows), |groups| groups.iter().try_fold(0_usize, |sum, size| sum.checked_add(*size)));
        length("groups", grouped.unwrap_or(usize::MAX))
    }
}

fn check_column(column: &Column) -> Result<(), LearnError> {
    match column.kind {
        Kind::Number | Kind::Increasing | Kind::Decreasing => check_values(
            column.name,
            column.values,
            |value| !value.is_infinite(),
            "a finite number, or NaN where missing",
        ),
        Kind::Category => {
            let category =
                |value: f64| value.is_nan() || (value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value));
            check_values(
                column.name,
                column.values,
                category,
                "a whole number from 0 to 4294967295, or NaN where missing",
            )
        }
    }
}

fn check_values(
    name: &str,
    values: &[f64],
    allowed: impl Fn(f64) -> bool,
    range: &'static str,
) -> Result<(), LearnError> {
    match values.iter().position(|value| !allowed(*value)) {
        Some(row) => Err(LearnError::Value { name: name.to_owned(), row, got: values[row], range }),
        None => Ok(()),
    }
}
