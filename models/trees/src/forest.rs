//! A forest of decision trees as every part of the crate, and every format, sees it; learning, prediction and reasons live elsewhere.

use serde::{Deserialize, Serialize};

/// A sum of trees: `margin(row) = base_margin + Σ leaf values`, where each tree gives the value of the one leaf that the row reaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// Names of the features, in the order of a row's values.
    pub features: Vec<String>,
    /// What is added to every row's margin.
    pub base_margin: f64,
    /// How a margin becomes a prediction.
    pub output: Output,
    /// The trees, in the order in which they were learned.
    pub trees: Vec<Tree>,
}

/// How a margin becomes a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// The margin itself: squared and quantile loss, ranking.
    Identity,
    /// `1 / (1 + exp(-margin))`: logistic loss.
    Logistic,
    /// `exp(margin)`: Tweedie and Poisson loss.
    Exponential,
}

/// One tree. Node 0 is the root; children stand after their parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// At least one node.
    pub nodes: Vec<Node>,
}

/// A place in a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Node {
    /// Sends a row to one of two nodes.
    Split {
        /// Which value of the row is asked.
        feature: u32,
        /// When the row goes left.
        rule: Rule,
        /// Where rows go whose value is missing.
        missing: Missing,
        /// The node for rows that keep the rule.
        left: u32,
        /// The node for the others.
        right: u32,
        /// What the split improved the loss by, as its learner counts it; 0 where the format does not say.
        gain: f64,
        /// Training rows (or their weight) that came here, for the reasons; > 0.
        cover: f64,
    },
    /// Ends a row's way.
    Leaf {
        /// What the row's margin gets.
        value: f64,
        /// Training rows (or their weight) that came here, for the reasons; > 0.
        cover: f64,
    },
}

/// When a present value goes left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// `value <= threshold` (LightGBM, this crate's own trees).
    AtMost(f64),
    /// `value < threshold` (XGBoost).
    Below(f64),
    /// The value, truncated to an integer, is one of these categories (sorted, distinct).
    OneOf(Vec<u32>),
}

/// What happens to a missing value, which is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// NaN goes left.
    Left,
    /// NaN goes right.
    Right,
    /// NaN is taken as 0 and asked like any value (LightGBM's `missing_type=None`).
    AsZero,
    /// NaN and values within 1e-35 of 0 go left (LightGBM's `missing_type=Zero`, default left).
    ZeroLeft,
    /// NaN and values within 1e-35 of 0 go right (LightGBM's `missing_type=Zero`, default right).
    ZeroRight,
}

impl Node {
    /// Training rows (or their weight) that came here.
    pub fn cover(&self) -> f64 {
        match self {
            Node::Split { cover, .. } | Node::Leaf { cover, .. } => *cover,
        }
    }
}
