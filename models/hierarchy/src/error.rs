//! Why a structure cannot be built or forecasts cannot be reconciled; nothing is computed here.

use crate::covariance::MAX_RESIDUALS;
use crate::nonnegative::MAX_PIVOTS;
use crate::solve::MAX_ITERATIONS;
use crate::structure::{MAX_DIMENSIONS, MAX_ENTRIES};

/// Why a structure cannot be built or forecasts cannot be reconciled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HierarchyError {
    /// A label is linked to two parents.
    #[error(
        "grouping `{grouping}`: `{child}` has the parents `{first}` and `{second}`; within a grouping a label has one parent: drop a link, or make a second grouping"
    )]
    TwoParents {
        /// The grouping.
        grouping: String,
        /// The label.
        child: String,
        /// Its first parent.
        first: String,
        /// Its second parent.
        second: String,
    },
    /// Following parents leads back.
    #[error("grouping `{grouping}` has a cycle: {}; drop one of its links", labels.join(" → "))]
    Cycle {
        /// The grouping.
        grouping: String,
        /// The labels of the cycle; the first is repeated at the end.
        labels: Vec<String>,
    },
    /// A label of a bottom row is also the parent of others.
    #[error(
        "dimension `{dimension}`: `{label}` is a label of a bottom row and a parent in grouping `{grouping}`; give the parent another label"
    )]
    LeafWithChildren {
        /// The dimension.
        dimension: String,
        /// The grouping in which it is a parent.
        grouping: String,
        /// The label.
        label: String,
    },
    /// One label stands for different things in two groupings.
    #[error("dimension `{dimension}`: `{label}` sums up different labels in two groupings; give them different labels")]
    Ambiguous {
        /// The dimension.
        dimension: String,
        /// The label.
        label: String,
    },
    /// No dimension, or too many.
    #[error("{found} dimensions; between 1 and {MAX_DIMENSIONS} are needed")]
    Dimensions {
        /// Dimensions given.
        found: usize,
    },
    /// No bottom row.
    #[error("there are no bottom rows; at least one is needed")]
    NoRows,
    /// A bottom row has too few or too many labels.
    #[error("bottom row {row} has {found} labels; {expected} are needed, one per dimension")]
    LabelCount {
        /// Position of the row.
        row: usize,
        /// Labels given.
        found: usize,
        /// Number of dimensions.
        expected: usize,
    },
    /// Two bottom rows have the same labels.
    #[error("bottom rows {first} and {second} are both `{}`; add the two up or keep one", labels.join("` × `"))]
    DuplicateRow {
        /// Position of the first row.
        first: usize,
        /// Position of the second row.
        second: usize,
        /// Their labels.
        labels: Vec<String>,
    },
    /// The index lists would be too long.
    #[error("the nodes' index lists would hold more than {MAX_ENTRIES} entries; use fewer groupings or rows")]
    TooLarge,
    /// A vector has the wrong length.
    #[error("{what} has {found} values; {expected} are needed")]
    Length {
        /// Which vector.
        what: &'static str,
        /// Values given.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// NaN or infinity.
    #[error("{what}: value {index} is {value}; every value must be a finite number")]
    NotFinite {
        /// Which vector.
        what: &'static str,
        /// Position of the first one.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// A negative variance or proportion.
    #[error("{what}: value {index} is {value}; it must not be negative")]
    Negative {
        /// Which vector.
        what: &'static str,
        /// Position of the first one.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// All values are zero where something must be told apart by them.
    #[error("{what} are all zero, so that they tell nothing; use structural weights")]
    AllZero {
        /// Which values.
        what: &'static str,
    },
    /// Too few or too many residuals.
    #[error("{found} residuals per node; between 2 and {MAX_RESIDUALS} are needed: give the latest ones")]
    Residuals {
        /// Residuals given.
        found: usize,
    },
    /// Conjugate gradients did not converge.
    #[error(
        "the solve did not converge in {MAX_ITERATIONS} iterations: the error is {relative_residual:e} of the start's; the variances may differ too much"
    )]
    NotConverged {
        /// Norm of what is left over the norm at the start.
        relative_residual: f64,
    },
    /// The search for the non-negative solution did not end.
    #[error("{left} bottom rows still change sign after {MAX_PIVOTS} pivots of the non-negative solution")]
    NotSettled {
        /// Rows on the wrong side.
        left: usize,
    },
}

/// Refuses a vector of the wrong length or with a value that is not finite.
pub(crate) fn check_vector(what: &'static str, values: &[f64], expected: usize) -> Result<(), HierarchyError> {
    if values.len() != expected {
        return Err(HierarchyError::Length { what, found: values.len(), expected });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(HierarchyError::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}

/// As `check_vector`, and refuses negative values.
pub(crate) fn check_not_negative(what: &'static str, values: &[f64], expected: usize) -> Result<(), HierarchyError> {
    check_vector(what, values, expected)?;
    match values.iter().position(|value| *value < 0.0) {
        Some(index) => Err(HierarchyError::Negative { what, index, value: values[index] }),
        None => Ok(()),
    }
}
