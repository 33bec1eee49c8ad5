//! Boosted decision trees: learning, prediction, exact reasons, and the formats of other systems; what the features mean is the caller's.

mod bins;
mod check;
mod data;
mod error;
mod flat;
mod forest;
mod grow;
mod histogram;
mod learn;
mod loss;
mod metric;
mod predict;
mod rank;
mod reasons;
mod settings;
mod split;
mod walk;

pub use check::{MAX_FEATURES, MAX_NODES, MAX_TREES};
pub use data::{Column, Kind, MAX_ROWS, TrainingData};
pub use error::{ForestError, LearnError};
pub use forest::{Forest, Missing, Node, Output, Rule, Tree};
pub use learn::{Learned, Validation, learn};
pub use loss::Loss;
pub use metric::Metric;
pub use predict::Predictor;
pub use reasons::{MAX_PATH_FEATURES, Reasons, Scratch};
pub use settings::{Growth, MAX_BINS, MAX_DEPTH, MAX_LEAVES, MAX_ROUNDS, RowSampling, Settings};
pub use walk::{ZERO_REACH, goes_left};
