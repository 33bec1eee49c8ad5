//! What can go wrong with a search or a change of the index, by the place in what was given; it logs nothing.

use dhow_events::ProductId;

/// A part of a request that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchProblem {
    /// Which part: `q`, `limit`, `cursor`, `price`, `attribute` …
    pub part: &'static str,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

/// Why a search was not answered or a change not taken.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The request cannot be answered as it is.
    #[error("{}", describe(.0))]
    Invalid(Vec<SearchProblem>),
    /// A product that cannot be indexed.
    #[error("{product}: {part} {detail}")]
    Product {
        /// Which.
        product: ProductId,
        /// The field.
        part: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// A vector of another length than the others, or one that is not of unit length.
    #[error("the vector {detail}")]
    Vector {
        /// What is wrong with it.
        detail: String,
    },
    /// More than the index holds.
    #[error("{what}: {found} are too many; at most {limit} are held")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there would be.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// Settings outside their ranges.
    #[error("setting {name} is {value}; it must be {range}")]
    Settings {
        /// Which.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// The index itself failed; nothing of the change was taken.
    #[error("the search index failed: {0}")]
    Index(String),
}

impl From<tantivy::TantivyError> for SearchError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Index(error.to_string())
    }
}

impl From<std::io::Error> for SearchError {
    fn from(error: std::io::Error) -> Self {
        Self::Index(error.to_string())
    }
}

fn describe(problems: &[SearchProblem]) -> String {
    problems.iter().map(|problem| format!("{} {}", problem.part, problem.detail)).collect::<Vec<_>>().join("; ")
}
