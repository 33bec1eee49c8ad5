//! How a forest is learned: settings with their ranges; each loss's meaning is in its own file.

use crate::error::LearnError;
use crate::loss::Loss;

/// The most rounds of boosting.
pub const MAX_ROUNDS: usize = 100_000;
/// The deepest tree, in splits on a path.
pub const MAX_DEPTH: usize = 64;
/// The most leaves of a learned tree; while it grows, each leaf keeps 2 KiB a feature.
pub const MAX_LEAVES: usize = 1 << 12;
/// The most bins of a feature, beside the one of missing values.
pub const MAX_BINS: usize = 255;

/// Which leaf is split next. Where `max_leaves` is not reached, the trees are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// The leaf with the highest gain.
    LeafWise,
    /// The leaf with the lowest depth.
    DepthWise,
}

/// Which rows a round's tree is grown on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowSampling {
    /// All.
    All,
    /// Each with this probability, above 0 and at most 1.
    Share(f64),
    /// Gradient-based one-side sampling (Ke et al. 2017): the share `top` with the largest gradients, and of the others a
    /// random share `other` of all rows, which then count `(1 − top) / other` times. Both above 0, together at most 1.
    Goss {
        /// Share of all rows, by gradient.
        top: f64,
        /// Share of all rows, at random from the rest.
        other: f64,
    },
}

/// How a forest is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What is minimised.
    pub loss: Loss,
    /// Trees, 1 to [`MAX_ROUNDS`]; early stopping may keep fewer.
    pub rounds: usize,
    /// What each tree's values are multiplied by, above 0 and at most 1.
    pub learning_rate: f64,
    /// Which leaf is split next.
    pub growth: Growth,
    /// Splits on a path, 1 to [`MAX_DEPTH`].
    pub max_depth: usize,
    /// Leaves of a tree, 2 to [`MAX_LEAVES`].
    pub max_leaves: usize,
    /// Bins of a feature beside the one of missing values, 2 to [`MAX_BINS`].
    pub max_bins: usize,
    /// Penalty on the sum of absolute leaf values, at least 0.
    pub l1: f64,
    /// Penalty on half the sum of squared leaf values, at least 0.
    pub l2: f64,
    /// The least sum of hessians of a child, above 0. A row's hessian is its weight times: p(1 − p) for logistic loss, 1 for
    /// squared and quantile loss.
    pub min_child_weight: f64,
    /// What a split must gain, at least 0.
    pub min_gain: f64,
    /// Which rows each tree is grown on.
    pub rows: RowSampling,
    /// The share of the features that each tree may ask, above 0 and at most 1; at least one feature is asked.
    pub feature_share: f64,
    /// The most categories of a split's left side, at least 1.
    pub max_categories: usize,
    /// What is added to [`Settings::l2`] for splits by category, at least 0.
    pub category_l2: f64,
    /// Added to a category's hessians where categories are ordered, at least 0: rare ones move to the middle.
    pub category_smoothing: f64,
    /// Where the sampling of rows and features begins.
    pub seed: u64,
}

impl Settings {
    /// Settings that suit tables of thousands to millions of rows: 100 rounds at rate 0.1, leaf-wise to 31 leaves.
    pub fn new(loss: Loss) -> Settings {
        Settings {
            loss,
            rounds: 100,
            learning_rate: 0.1,
            growth: Growth::LeafWise,
            max_depth: MAX_DEPTH,
            max_leaves: 31,
            max_bins: MAX_BINS,
            l1: 0.0,
            l2: 1.0,
            min_child_weight: 1e-3,
            min_gain: 0.0,
            rows: RowSampling::All,
            feature_share: 1.0,
            max_categories: 32,
            category_l2: 10.0,
            category_smoothing: 10.0,
            seed: 0,
        }
    }

    /// Refuses the first setting that is out of its range.
    pub(crate) fn check(&self) -> Result<(), LearnError> {
        let whole = |name, got: usize, least: usize, most: usize, range| {
            let got_number = got as f64;
            if (least..=most).contains(&got) {
                Ok(())
            } else {
                Err(LearnError::Setting { name, got: got_number, range })
            }
        };
        whole("rounds", self.rounds, 1, MAX_ROUNDS, "1 to 100,000")?;
        whole("max_depth", self.max_depth, 1, MAX_DEPTH, "1 to 64")?;
        whole("max_leaves", self.max_leaves, 2, MAX_LEAVES, "2 to 4,096")?;
        whole("max_bins", self.max_bins, 2, MAX_BINS, "2 to 255")?;
        whole("max_categories", self.max_categories, 1, usize::MAX, "at least 1")?;
        let share = |name, got: f64| setting(name, got, got > 0.0 && got <= 1.0, "above 0 and at most 1");
        let penalty = |name, got: f64| setting(name, got, got >= 0.0, "finite and at least 0");
        share("learning_rate", self.learning_rate)?;
        share("feature_share", self.feature_share)?;
        penalty("l1", self.l1)?;
        penalty("l2", self.l2)?;
        penalty("min_gain", self.min_gain)?;
        penalty("category_l2", self.category_l2)?;
        penalty("category_smoothing", self.category_smoothing)?;
        setting("min_child_weight", self.min_child_weight, self.min_child_weight > 0.0, "finite and above 0")?;
        match self.rows {
            RowSampling::All => {}
            RowSampling::Share(rows) => share("rows", rows)?,
            RowSampling::Goss { top, other } => {
                share("top", top)?;
                share("other", other)?;
                setting("top + other", top + other, top + other <= 1.0, "at most 1")?;
            }
        }
        self.loss.check()
    }
}

/// Refuses a number that is not finite, or not what `holds` asks.
pub(crate) fn setting(name: &'static str, got: f64, holds: bool, range: &'static str) -> Result<(), LearnError> {
    if holds && got.is_finite() { Ok(()) } else { Err(LearnError::Setting { name, got, range }) }
}
