//! The trait behind which rankers stand, and the two that are trained here.

use serde::{Deserialize, Serialize};

use crate::machine::{DIMENSIONS, Machine};
use crate::train::{Spec, fit};
use crate::{RankingError, RankingGroups, TrainingReport, TrainingSettings};

/// Scores rows of features; the higher, the better. Scores compare within a list only.
pub trait Ranker: Send + Sync {
    /// The features of a row, in their order.
    fn feature_names(&self) -> &[String];

    /// How many features a row has.
    fn width(&self) -> usize {
        self.feature_names().len()
    }

    /// Replaces `scores` by the score of each row; `rows` stand one after the other, NaN where a feature is missing.
    ///
    /// # Errors
    /// A number of values that is no multiple of the width.
    fn score(&self, rows: &[f64], scores: &mut Vec<f64>) -> Result<(), RankingError>;
}

/// A weighted sum of standardised features, and of indicators of the missing ones: a missing value counts as the feature's
/// mean plus what its being missing means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinearRanker(Machine);

impl LinearRanker {
    /// Fits one ranker for each of `trials` and keeps the one of the best NDCG at `cutoff` on `validation`.
    ///
    /// 1. Features are standardised by `train`; deviations beyond 8 count as 8.
    /// 2. The mean listwise softmax loss over the groups, plus `l2 / 2` times the squared parameters, is lowered by
    ///    Adam (Kingma and Ba 2015) in seeded batches of groups.
    /// 3. After each epoch the loss on `validation` is taken; the epoch of the lowest counts, and after `patience` epochs
    ///    without a lower one training ends.
    ///
    /// Groups whose gains are all equal say nothing about order and are passed over. The result does not depend on the
    /// number of threads.
    ///
    /// # Errors
    /// No trial, settings out of range, fewer than 2 usable groups to train on or 1 to validate on, other features in
    /// `validation`, or groups there that are not newer than all of `train`, divergence.
    pub fn fit(
        train: &RankingGroups,
        validation: &RankingGroups,
        trials: &[TrainingSettings],
        cutoff: usize,
    ) -> Result<(Self, TrainingReport), RankingError> {
        let specs: Vec<Spec> = trials.iter().map(|settings| Spec { settings: *settings, dimensions: 0 }).collect();
        fit(train, validation, &specs, cutoff).map(|(machine, report)| (Self(machine), report))
    }
}

impl Ranker for LinearRanker {
    fn feature_names(&self) -> &[String] {
        self.0.feature_names()
    }

    fn score(&self, rows: &[f64], scores: &mut Vec<f64>) -> Result<(), RankingError> {
        self.0.score(rows, scores)
    }
}

/// What distinguishes one fit of a [`FactorisationRanker`] from another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FactorisationSettings {
    /// How it is trained.
    pub training: TrainingSettings,
    /// The length of the features' vectors, one of [`DIMENSIONS`].
    pub dimensions: usize,
}

/// The linear ranker's terms, and one for every pair of inputs, whose weight is the product of two short vectors: a
/// factorisation machine (Rendle, ICDM 2010). So features of the person can change what features of the item count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FactorisationRanker(Machine);

impl FactorisationRanker {
    /// Fits and chooses as [`LinearRanker::fit`] does; the vectors start at small seeded numbers.
    ///
    /// # Errors
    /// As there; and dimensions out of range.
    pub fn fit(
        train: &RankingGroups,
        validation: &RankingGroups,
        trials: &[FactorisationSettings],
        cutoff: usize,
    ) -> Result<(Self, TrainingReport), RankingError> {
        if let Some(bad) = trials.iter().find(|trial| !DIMENSIONS.contains(&trial.dimensions)) {
            let value = bad.dimensions as f64;
            return Err(RankingError::BadSetting { name: "dimensions", value, expected: "4, 8 or 16" });
        }
        let specs: Vec<Spec> = trials.iter().map(|t| Spec { settings: t.training, dimensions: t.dimensions }).collect();
        fit(train, validation, &specs, cutoff).map(|(machine, report)| (Self(machine), report))
    }
}

impl Ranker for FactorisationRanker {
    fn feature_names(&self) -> &[String] {
        self.0.feature_names()
    }

    fn score(&self, rows: &[f64], scores: &mut Vec<f64>) -> Result<(), RankingError> {
        self.0.score(rows, scores)
    }
}
