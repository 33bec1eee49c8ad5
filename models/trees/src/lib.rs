//! Boosted decision trees: learning, prediction, exact reasons, and the formats of other systems; what the features mean is the caller's.

mod forest;
pub mod formats;
mod walk;

pub use forest::{Forest, Missing, Node, Output, Rule, Tree};
pub use walk::{ZERO_REACH, goes_left};
