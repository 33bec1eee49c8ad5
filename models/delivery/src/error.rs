//! Why a delivery time cannot be learned or told, each with what would be right.

use dhow_trees::{ForestError, LearnError};

/// Why a delivery time cannot be learned or told.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Too few deliveries.
    #[error("{found} deliveries to learn from; at least {needed} are needed")]
    TooFew {
        /// Deliveries given.
        found: usize,
        /// Fewest.
        needed: usize,
    },
    /// A value is out of its range.
    #[error("{name} is {found}; it must be {range}")]
    Value {
        /// Which.
        name: &'static str,
        /// What it is.
        found: f64,
        /// What would be right.
        range: &'static str,
    },
    /// The trees cannot be learned.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The trees cannot be asked.
    #[error(transparent)]
    Forest(#[from] ForestError),
    /// The bytes are of another layout.
    #[error("stored model of version {found}; this program reads version {read}: train it again")]
    Version {
        /// The version byte.
        found: u8,
        /// The one that is read.
        read: u8,
    },
    /// The bytes are not a model.
    #[error("the stored model cannot be read: {message}")]
    Corrupt {
        /// What the decoder says.
        message: String,
    },
}
