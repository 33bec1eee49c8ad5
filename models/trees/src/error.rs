//! What can be wrong with a forest, a row, training data or settings; every message says where and what would be right.

use thiserror::Error;

/// A forest that cannot be used, or a row that does not fit it.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ForestError {
    /// A tree breaks the rules that [`crate::Forest`] states.
    #[error("tree {tree}, node {node}: {what}")]
    Unsound {
        /// Number of the tree, from 0.
        tree: usize,
        /// Number of the node in the tree, from 0.
        node: usize,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The base margin is NaN or infinite.
    #[error("the base margin is {0}; it must be finite")]
    BaseMargin(f64),
    /// More nodes, or a deeper tree, than this crate takes.
    #[error("{what}: {got}, of which at most {most} are taken")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// A row, or a batch of rows, of another length.
    #[error("got {got} values where the forest has {expected} features")]
    RowLength {
        /// How many values a row must have.
        expected: usize,
        /// How many came.
        got: usize,
    },
}

/// Data or settings from which no forest can be learned.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LearnError {
    /// A setting out of its range.
    #[error("setting {name} is {got}; it must be {range}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What it is.
        got: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Settings, loss and data that do not go together.
    #[error("{0}")]
    Mismatch(String),
    /// No rows, no columns, or no row with a positive weight.
    #[error("there is nothing to learn from: {0}")]
    Empty(String),
    /// A column, the labels or the weights have another length than the data's rows.
    #[error("{name} has {got} values where there are {expected} rows")]
    Length {
        /// The column's name, "labels", "weights" or "groups".
        name: String,
        /// The number of labels.
        expected: usize,
        /// How many values came.
        got: usize,
    },
    /// A value that no column, label or weight may have.
    #[error("{name}, row {row}: {got} is not {range}")]
    Value {
        /// The column's name, "labels" or "weights".
        name: String,
        /// The row, from 0.
        row: usize,
        /// The value.
        got: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A validation set without the training set's columns.
    #[error("validation: {0}")]
    Validation(String),
}
