//! Boosted decision trees: learning, prediction, exact reasons, and the formats of other systems; what the features mean is the caller's.
//!
//! A [`Forest`] is a sum of trees. It is learned here or comes from another system, and is used in two laid-out forms:
//!
//! - [`learn`], gradient boosting (Friedman 2001) on histograms, as LightGBM (Ke et al. 2017) and XGBoost (Chen and
//!   Guestrin 2016) do it:
//!   1. each column is cut into at most 255 bins at weighted quantiles, found on 200,000 rows at most; missing values have
//!      a bin of their own, and so have the 254 heaviest categories of a column of categories;
//!   2. a round takes the [`Loss`]'s derivatives at every row's margin and turns them into integers whose unit is as small
//!      as 32 bits allow for the sum of all. Integer sums are exact, and therefore the same in any order and on any number
//!      of threads;
//!   3. rows and features are drawn, where the [`Settings`] say so, by a seeded generator (one-side sampling: Ke et al. 2017);
//!   4. a tree grows: the leaf with the highest gain, or the lowest depth, is split; the smaller child's histogram is
//!      counted and the larger one's is what remains of the parent's. A split gains
//!      `G_l² / (H_l + λ) + G_r² / (H_r + λ) − G² / (H + λ)`. Missing values are tried on both sides. Categories are
//!      ordered by gradient over hessian, where the best set is a prefix (Fisher 1958). A monotone column's children may
//!      not pass the middle of their two values, nor may anything below them;
//!   5. leaves get `−G / (H + λ)`, or under [`Loss::Quantile`] the quantile of what is left of their rows, times the
//!      learning rate;
//!   6. [`Validation`] rows are judged after each round, and the forest ends at the best one.
//! - [`Predictor`] walks eight trees side by side; its margins are those of the plain walk ([`Forest::margin`]) bit for bit.
//! - [`Reasons`] gives what each feature's value adds to a margin: the Shapley values of path-dependent TreeSHAP (Lundberg
//!   et al. 2020), exact, by numerical integration of polynomials that it is exact for.
//! - [`OrderedTargets`] turns a column of very many categories into numbers by the labels known before each row.
//!
//! Losses: [`Loss::Logistic`], [`Loss::Squared`], [`Loss::Quantile`], [`Loss::Tweedie`] (with Poisson) and
//! [`Loss::LambdaRank`] (Burges 2010). Their derivatives use the machine's `exp`, so that bits may differ between
//! machines, but not between runs or numbers of threads.

mod bins;
mod check;
mod data;
mod error;
mod flat;
mod forest;
pub mod formats;
mod grow;
mod histogram;
mod learn;
mod loss;
mod metric;
mod ordered;
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
pub use ordered::{CategoryHistory, OrderedTargets};
pub use predict::Predictor;
pub use reasons::{MAX_PATH_FEATURES, Reasons, Scratch};
pub use settings::{Growth, MAX_BINS, MAX_DEPTH, MAX_LEAVES, MAX_ROUNDS, RowSampling, Settings};
pub use walk::{ZERO_REACH, goes_left};
