//! A ranker of boosted trees, learned by LambdaRank; how trees grow is `dhow-trees`'.

use dhow_trees::{
    Column, Forest, ForestError, Kind, Loss, Metric, Predictor, Settings, TrainingData, Validation, learn,
};
use serde::{Deserialize, Serialize};

use crate::at_once::AtOnce;
use crate::error::check_range;
use crate::{MAX_PLACES, Ranker, RankingError, RankingGroups, judge};

/// The most groups that trees are learned from, spread evenly: trees need fewer than there may be.
pub const MAX_TREE_GROUPS: usize = 3_000;
/// Rounds without a better NDCG before learning ends.
const PATIENCE: usize = 15;
/// Bins of a feature: few, so that a feature's exact value, such as a popularity, does not tell which item it is.
const BINS: usize = 64;
/// Halvings of the range in which the scale of the scores is looked for: 1/64 to 64.
const SCALE_STEPS: usize = 40;
const SCALE_RANGE: f64 = 64.0;

/// How a [`TreeRanker`] is learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TreeSettings {
    /// Trees at most; the best number is chosen on validation groups.
    pub rounds: usize,
    /// What each tree's values are multiplied by, above 0 and at most 1.
    pub learning_rate: f64,
    /// Leaves of a tree, at least 2.
    pub max_leaves: usize,
    /// The least sum of hessians of a leaf, above 0: what keeps leaves from following single lists.
    pub min_child_weight: f64,
    /// Which groups and features are drawn.
    pub seed: u64,
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self { rounds: 60, learning_rate: 0.2, max_leaves: 15, min_child_weight: 1.0, seed: 1 }
    }
}

/// LambdaMART (Burges 2010): boosted trees whose gradients weigh each pair of a list by how much its exchange changes NDCG.
/// Scores are scaled so that the softmax of a list's scores tells, as well as one factor can, which item is chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct TreeRanker {
    forest: Forest,
    scale: f64,
    predictor: Predictor,
    /// For lists; none of a forest whose trees are too large for it, which is walked row by row.
    at_once: Option<AtOnce>,
}

/// What of a ranker is kept.
#[derive(Serialize, Deserialize)]
struct Stored {
    forest: Forest,
    scale: f64,
}

impl From<TreeRanker> for Stored {
    fn from(ranker: TreeRanker) -> Self {
        Self { forest: ranker.forest, scale: ranker.scale }
    }
}

impl TryFrom<Stored> for TreeRanker {
    type Error = ForestError;

    fn try_from(Stored { forest, scale }: Stored) -> Result<Self, ForestError> {
        Self::of(forest, scale)
    }
}

impl PartialEq for TreeRanker {
    fn eq(&self, other: &Self) -> bool {
        self.forest == other.forest && self.scale == other.scale
    }
}

impl TreeRanker {
    fn of(forest: Forest, scale: f64) -> Result<Self, ForestError> {
        Ok(Self { predictor: Predictor::compile(&forest)?, at_once: AtOnce::compile(&forest), forest, scale })
    }

    /// Learns one ranker for each of `trials` and keeps the one of the best NDCG at `cutoff` on `validation`.
    ///
    /// `increasing` says of each feature whether more of it may never lower a score: so for the scores of sources, whose
    /// evidence may be stronger at serving than it ever was in training.
    ///
    /// 1. At most [`MAX_TREE_GROUPS`] groups whose gains differ are learned from; a gain g is the grade `log2(1 + g)`.
    /// 2. After each tree the NDCG of `validation` is taken; the number of trees with the best one counts.
    /// 3. One factor for all scores is chosen that makes the listwise softmax loss on `validation` least.
    ///
    /// # Errors
    /// No trial, settings out of range, too few usable groups, other features in `validation`, or groups there that are
    /// not newer than all of `train`.
    pub fn fit(
        train: &RankingGroups,
        validation: &RankingGroups,
        increasing: &[bool],
        trials: &[TreeSettings],
        cutoff: usize,
    ) -> Result<Self, RankingError> {
        if increasing.len() != train.width() {
            let expected = format!("one for each of the {} features", train.width());
            return Err(RankingError::WrongLength { what: "increasing", got: increasing.len(), expected });
        }
        check_range("cutoff", cutoff as f64, 1.0..=MAX_PLACES as f64, "1 to 100")?;
        if train.feature_names() != validation.feature_names() {
            return Err(RankingError::OtherFeatures { what: "the validation groups" });
        }
        if !validation.is_after(train) {
            return Err(RankingError::ValidationNotNewer);
        }
        let usable = train.usable("training", 2)?;
        let step = usable.len().div_ceil(MAX_TREE_GROUPS).max(1);
        let train = Table::of(train, increasing, usable.into_iter().step_by(step));
        let judged = validation;
        let validation = Table::of(validation, increasing, validation.usable("validation", 1)?.into_iter());
        let mut best: Option<(Self, f64)> = None;
        for trial in trials {
            let ranker = fit_one(&train, &validation, trial, cutoff)?;
            let ndcg = judge(&ranker, judged, 0, cutoff)?.ranker.ndcg;
            if best.as_ref().is_none_or(|(_, known)| ndcg > *known) {
                best = Some((ranker, ndcg));
            }
        }
        let (ranker, _) =
            best.ok_or(RankingError::BadSetting { name: "number of trials", value: 0.0, expected: "at least 1" })?;
        let scale = best_scale(&ranker, &validation)?;
        Ok(Self { scale, ..ranker })
    }

    /// How many trees there are.
    pub fn trees(&self) -> usize {
        self.forest.trees.len()
    }
}

impl Ranker for TreeRanker {
    fn feature_names(&self) -> &[String] {
        &self.forest.features
    }

    fn score(&self, rows: &[f64], scores: &mut Vec<f64>) -> Result<(), RankingError> {
        let width = self.width().max(1);
        if !rows.len().is_multiple_of(width) {
            let expected = format!("a multiple of the {width} features");
            return Err(RankingError::WrongLength { what: "rows", got: rows.len(), expected });
        }
        match &self.at_once {
            Some(at_once) => at_once.margins(rows, width, scores),
            None => {
                scores.clear();
                scores.resize(rows.len() / width, f64::NAN);
            }
        }
        for (row, score) in rows.chunks_exact(width).zip(scores) {
            if self.at_once.is_none() || row.iter().any(|value| value.is_nan()) {
                *score = self.predictor.margin(row)?;
            }
            *score *= self.scale;
        }
        Ok(())
    }
}

/// Usable groups as columns.
struct Table {
    names: Vec<String>,
    kinds: Vec<Kind>,
    columns: Vec<Vec<f64>>,
    grades: Vec<f64>,
    weights: Vec<f64>,
    sizes: Vec<usize>,
}

impl Table {
    fn of(groups: &RankingGroups, increasing: &[bool], usable: impl Iterator<Item = usize>) -> Self {
        let kinds = increasing.iter().map(|yes| if *yes { Kind::Increasing } else { Kind::Number }).collect();
        let names = groups.feature_names().to_vec();
        let columns = vec![Vec::new(); names.len()];
        let mut table = Self { names, kinds, columns, grades: Vec::new(), weights: Vec::new(), sizes: Vec::new() };
        for group in usable {
            let gains = groups.gains(group);
            for row in groups.rows(group).chunks_exact(groups.width()) {
                table.columns.iter_mut().zip(row).for_each(|(column, value)| column.push(*value));
            }
            table.grades.extend(gains.iter().map(|gain| (1.0 + gain).log2()));
            table.weights.extend(gains.iter().map(|_| groups.weight(group)));
            table.sizes.push(gains.len());
        }
        table
    }

    fn columns(&self) -> Vec<Column<'_>> {
        let parts = self.names.iter().zip(&self.columns).zip(&self.kinds);
        parts.map(|((name, values), kind)| Column { name, values, kind: *kind }).collect()
    }

    fn data<'a>(&'a self, columns: &'a [Column<'a>]) -> TrainingData<'a> {
        TrainingData { columns, labels: &self.grades, weights: Some(&self.weights), groups: Some(&self.sizes) }
    }
}

fn fit_one(train: &Table, validation: &Table, trial: &TreeSettings, cutoff: usize) -> Result<TreeRanker, RankingError> {
    let settings = Settings {
        rounds: trial.rounds,
        learning_rate: trial.learning_rate,
        max_leaves: trial.max_leaves,
        max_bins: BINS,
        min_child_weight: trial.min_child_weight,
        seed: trial.seed,
        ..Settings::new(Loss::LambdaRank { top: cutoff })
    };
    let (train_columns, validation_columns) = (train.columns(), validation.columns());
    let judge = Validation {
        data: validation.data(&validation_columns),
        metric: Metric::Ndcg { top: cutoff },
        patience: PATIENCE,
    };
    let forest = learn(&settings, &train.data(&train_columns), Some(&judge))?.forest;
    Ok(TreeRanker::of(forest, 1.0)?)
}

/// The factor of least softmax loss; the loss is convex in it, so halving the range of its logarithm finds it.
fn best_scale(ranker: &TreeRanker, validation: &Table) -> Result<f64, RankingError> {
    let mut margins = Vec::with_capacity(validation.grades.len());
    let mut row = vec![0.0; validation.columns.len()];
    for at in 0..validation.grades.len() {
        row.iter_mut().zip(&validation.columns).for_each(|(value, column)| *value = column[at]);
        margins.push(ranker.predictor.margin(&row)?);
    }
    let (mut low, mut high) = (-SCALE_RANGE.ln(), SCALE_RANGE.ln());
    for _ in 0..SCALE_STEPS {
        let middle = f64::midpoint(low, high);
        if softmax_slope(&margins, validation, middle.exp()) > 0.0 { high = middle } else { low = middle }
    }
    Ok(f64::midpoint(low, high).exp())
}

/// The derivative of the softmax loss by the scale: what the scores are expected to be less what the chosen items' are.
fn softmax_slope(margins: &[f64], table: &Table, scale: f64) -> f64 {
    let (mut slope, mut start) = (0.0, 0);
    for size in &table.sizes {
        let (scores, grades) = (&margins[start..start + size], &table.grades[start..start + size]);
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut expected) = (0.0, 0.0);
        for score in scores {
            let weight = (scale * (score - best)).exp();
            sum += weight;
            expected += weight * score;
        }
        let total: f64 = grades.iter().sum();
        let chosen: f64 = scores.iter().zip(grades).map(|(score, grade)| score * grade).sum();
        slope += table.weights[start] * (total * expected / sum - chosen);
        start += size;
    }
    slope
}
