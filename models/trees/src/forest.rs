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

/// Values at most this far from 0 count as missing under [`Missing::ZeroLeft`] and [`Missing::ZeroRight`]: LightGBM's
/// `kZeroThreshold`, a single-precision constant.
pub const ZERO_BOUND: f64 = 1e-35_f32 as f64;

impl Rule {
    /// Whether a present value goes left; NaN never does.
    pub fn keeps(&self, value: f64) -> bool {
        match self {
            Rule::AtMost(threshold) => value <= *threshold,
            Rule::Below(threshold) => value < *threshold,
            Rule::OneOf(categories) => {
                category_of(value).is_some_and(|category| categories.binary_search(&category).is_ok())
            }
        }
    }
}

impl Missing {
    /// Whether a value, which may be NaN, goes left by this rule.
    pub fn goes_left(self, rule: &Rule, value: f64) -> bool {
        let absent = match self {
            Missing::ZeroLeft | Missing::ZeroRight => value.is_nan() || value.abs() <= ZERO_BOUND,
            Missing::Left | Missing::Right | Missing::AsZero => value.is_nan(),
        };
        match self {
            _ if !absent => rule.keeps(value),
            Missing::Left | Missing::ZeroLeft => true,
            Missing::Right | Missing::ZeroRight => false,
            Missing::AsZero => rule.keeps(0.0),
        }
    }
}

impl Output {
    /// The prediction of a margin.
    pub fn prediction(self, margin: f64) -> f64 {
        match self {
            Output::Identity => margin,
            Output::Logistic => 1.0 / (1.0 + (-margin).exp()),
            Output::Exponential => margin.exp(),
        }
    }
}

impl Node {
    /// Training rows (or their weight) that came here.
    pub fn cover(&self) -> f64 {
        match self {
            Node::Split { cover, .. } | Node::Leaf { cover, .. } => *cover,
        }
    }
}

impl Tree {
    /// The value of the leaf that a row reaches, where `value_of` gives the row's value of a feature. It is for trees
    /// that [`Forest::check`] accepts; of others a walk that leaves the nodes gives 0.
    pub fn value(&self, value_of: impl Fn(usize) -> f64) -> f64 {
        let mut at = 0;
        loop {
            match self.nodes.get(at) {
                Some(Node::Split { feature, rule, missing, left, right, .. }) => {
                    let next = if missing.goes_left(rule, value_of(*feature as usize)) { *left } else { *right };
                    if next as usize <= at {
                        return 0.0;
                    }
                    at = next as usize;
                }
                Some(Node::Leaf { value, .. }) => return *value,
                None => return 0.0,
            }
        }
    }
}

/// The category that a value stands for: it is truncated towards zero; none where it is NaN, negative or above `u32::MAX`.
pub(crate) fn category_of(value: f64) -> Option<u32> {
    let whole = value.trunc();
    (0.0..=f64::from(u32::MAX)).contains(&whole).then_some(whole as u32)
}
