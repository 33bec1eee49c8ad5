//! Why a model of customers could not be learned or asked.

use dhow_trees::{ForestError, LearnError};

/// Why a model of customers could not be learned or asked.
#[derive(Debug, thiserror::Error)]
pub enum CustomersError {
    /// A purchase whose amount is no finite number.
    #[error("the amount of a purchase of customer {customer} on day {day} is {amount}")]
    Amount {
        /// Whose.
        customer: u32,
        /// Days since 1970.
        day: i32,
        /// The amount.
        amount: f64,
    },
    /// More than is held.
    #[error("{what}: {found} are too many; at most {limit} are taken")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// Too little to learn from.
    #[error("{what}: {found} are too few; at least {needed} are needed")]
    TooFew {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// A setting out of its range.
    #[error("setting {name} is {value}; it must be {range}")]
    Setting {
        /// Which.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// The likelihood has no maximum that was found.
    #[error("the likelihood of {0} has no maximum on these customers")]
    NoMaximum(&'static str),
    /// k-means failed.
    #[error("groups cannot be made: {0}")]
    Clustering(String),
    /// What was stored is no such model.
    #[error("the stored model of customers cannot be read: {0}")]
    Corrupt(String),
    /// The trees cannot be learned.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The trees cannot be asked.
    #[error(transparent)]
    Forest(#[from] ForestError),
}
