//! How good fraud scores are, always beside approving everything; it judges numbers and knows no model.
//!
//! Where fraud is rare, accuracy says nothing: at a fraud rate of 0.3 % approving everything reaches 99.7 %. Recall at a fixed
//! false-positive rate, average precision and money say more.

mod cards;
mod delayed;
mod ranking;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use cards::{CardPrecision, card_precision_at_k};
pub use delayed::{DelayedSplit, SplitRows};
use ranking::Ranking;

/// The false-positive rates at which recall is reported: 0.03 %, 0.1 % and 1 %.
pub const FALSE_POSITIVE_RATES: [f64; 3] = [0.0003, 0.001, 0.01];
/// Groups of equal size over which the calibration error is taken.
pub const CALIBRATION_BINS: usize = 10;
/// Bound on bootstrap replicates.
pub const MAX_REPLICATES: usize = 10_000;
/// Share of replicates inside an interval.
const INTERVAL_SHARE: f64 = 0.95;

/// Why scores cannot be judged.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum EvaluationError {
    /// Columns of different lengths.
    #[error("{scores} scores but {found} {column}; each row needs one of each")]
    WrongLength {
        /// Number of scores.
        scores: usize,
        /// Which column.
        column: &'static str,
        /// Its length.
        found: usize,
    },
    /// A class is absent, so ranking measures mean nothing.
    #[error("{frauds} frauds among {rows} rows; both frauds and genuine rows are needed")]
    OneClass {
        /// Rows.
        rows: usize,
        /// Frauds.
        frauds: usize,
    },
    /// A score that is not a number.
    #[error("the score of row {row} is {value}; finite numbers are needed")]
    BadScore {
        /// Row, from 0.
        row: usize,
        /// The value.
        value: f64,
    },
    /// A probability outside 0..=1.
    #[error("the probability of row {row} is {value}; it must lie between 0 and 1")]
    BadProbability {
        /// Row, from 0.
        row: usize,
        /// The value.
        value: f64,
    },
    /// A rate outside 0..=1.
    #[error("a false-positive rate of {0} was asked for; it must lie between 0 and 1")]
    BadRate(f64),
    /// Too many or too few replicates.
    #[error("{0} bootstrap replicates were asked for; 20 to {MAX_REPLICATES} are possible")]
    BadReplicates(usize),
    /// No card can be looked at.
    #[error("card precision at k = 0 means nothing; k is the number of cards looked at in a day")]
    NoCards,
}

/// A measured value with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value on the rows themselves.
    pub value: f64,
    /// 2.5 % quantile of the replicates.
    pub low: f64,
    /// 97.5 % quantile of the replicates.
    pub high: f64,
}

/// Recall where at most this share of genuine rows is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecallAtRate {
    /// The bound on flagged genuine rows, as a share of all genuine rows.
    pub false_positive_rate: f64,
    /// Share of frauds flagged.
    pub recall: Interval,
}

/// Counts where every row with a probability above the threshold is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// The threshold.
    pub threshold: f64,
    /// Frauds flagged.
    pub true_positives: u64,
    /// Genuine rows flagged.
    pub false_positives: u64,
    /// Frauds missed.
    pub false_negatives: u64,
    /// Genuine rows passed.
    pub true_negatives: u64,
    /// Share of rows judged rightly.
    pub accuracy: f64,
    /// The accuracy of calling every row genuine; `accuracy` means nothing without it.
    pub accuracy_of_approving_everything: f64,
    /// Share of flagged rows that are frauds; none where nothing is flagged.
    pub precision: Option<f64>,
    /// Share of frauds flagged.
    pub recall: f64,
    /// Share of genuine rows flagged.
    pub false_positive_rate: f64,
}

/// Everything that is reported about calibrated probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Rows judged.
    pub rows: u64,
    /// Frauds among them.
    pub frauds: u64,
    /// Sum of the probabilities: the number of frauds that the model expected.
    pub expected_frauds: f64,
    /// Area under the ROC curve; ties count half.
    pub roc_auc: Interval,
    /// Average precision, Σ (recall step × precision), tied rows entering together.
    pub average_precision: Interval,
    /// Recall at each of [`FALSE_POSITIVE_RATES`].
    pub recall_at_rates: Vec<RecallAtRate>,
    /// Mean squared error of the probabilities.
    pub brier: Interval,
    /// The Brier score of giving every row the observed fraud rate: what `brier` must stay below.
    pub brier_of_constant_rate: f64,
    /// Mean over ten groups of equal size by probability of |mean probability − share of frauds|. Without an interval: resampling
    /// can only add to it.
    pub expected_calibration_error: f64,
    /// Counts at the given threshold.
    pub at_threshold: AtThreshold,
}

/// How to judge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EvaluationSettings {
    /// Probabilities above this count as flagged.
    pub threshold: f64,
    /// Bootstrap replicates, 20..=10,000. Frauds and genuine rows are resampled apart.
    pub replicates: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for EvaluationSettings {
    /// Threshold one half, 200 replicates, seed 0.
    fn default() -> Self {
        Self { threshold: 0.5, replicates: 200, seed: 0 }
    }
}

/// Judges calibrated probabilities against labels (true = fraud).
///
/// # Errors
/// Columns of different lengths, one class only, a value that is no probability, a bad number of replicates.
pub fn evaluate(
    probabilities: &[f64],
    labels: &[bool],
    settings: &EvaluationSettings,
) -> Result<Evaluation, EvaluationError> {
    let ranking = Ranking::new(probabilities, labels)?;
    check_probabilities(probabilities)?;
    if !(20..=MAX_REPLICATES).contains(&settings.replicates) {
        return Err(EvaluationError::BadReplicates(settings.replicates));
    }
    let value = measures(&ranking, probabilities, labels, &vec![1; labels.len()]);
    let replicates: Vec<Vec<f64>> = (0..settings.replicates as u64)
        .into_par_iter()
        .map(|replicate| resampled_counts(labels, settings.seed, replicate))
        .map(|counts| measures(&ranking, probabilities, labels, &counts))
        .collect();
    let intervals: Vec<Interval> =
        value.iter().enumerate().map(|(i, &value)| interval(value, &replicates, i)).collect();

    let frauds = labels.iter().filter(|&&label| label).count() as u64;
    let rate = frauds as f64 / labels.len() as f64;
    Ok(Evaluation {
        rows: labels.len() as u64,
        frauds,
        expected_frauds: probabilities.iter().sum(),
        roc_auc: intervals[0],
        average_precision: intervals[1],
        brier: intervals[2],
        recall_at_rates: FALSE_POSITIVE_RATES
            .iter()
            .zip(&intervals[3..])
            .map(|(&false_positive_rate, &recall)| RecallAtRate { false_positive_rate, recall })
            .collect(),
        brier_of_constant_rate: rate * (1.0 - rate),
        expected_calibration_error: ranking.calibration_error(probabilities, labels),
        at_threshold: at_threshold(probabilities, labels, settings.threshold)?,
    })
}

/// Area under the ROC curve: the share of fraud–genuine pairs that the scores order rightly; ties count half.
///
/// # Errors
/// Columns of different lengths, one class only, a score that is not finite.
pub fn roc_auc(scores: &[f64], labels: &[bool]) -> Result<f64, EvaluationError> {
    Ok(Ranking::new(scores, labels)?.curve(&vec![1; labels.len()]).roc_auc())
}

/// Average precision: Σ over distinct scores, falling, of (recall gained × precision there), as scikit-learn defines it.
///
/// # Errors
/// As [`roc_auc`].
pub fn average_precision(scores: &[f64], labels: &[bool]) -> Result<f64, EvaluationError> {
    Ok(Ranking::new(scores, labels)?.curve(&vec![1; labels.len()]).average_precision())
}

/// The greatest share of frauds that a threshold flags while flagging at most `rate` (0..=1) of the genuine rows.
///
/// # Errors
/// As [`roc_auc`], and `BadRate`.
pub fn recall_at_false_positive_rate(scores: &[f64], labels: &[bool], rate: f64) -> Result<f64, EvaluationError> {
    if !(0.0..=1.0).contains(&rate) {
        return Err(EvaluationError::BadRate(rate));
    }
    Ok(Ranking::new(scores, labels)?.curve(&vec![1; labels.len()]).recall_at(rate))
}

/// Expected calibration error over [`CALIBRATION_BINS`] groups of equal size by probability; rows of equal probability stay in one
/// group. Where fraud is rare it is small for any model that meets the fraud rate: read it beside the Brier score.
///
/// # Errors
/// As [`roc_auc`], and `BadProbability`.
pub fn expected_calibration_error(probabilities: &[f64], labels: &[bool]) -> Result<f64, EvaluationError> {
    let ranking = Ranking::new(probabilities, labels)?;
    check_probabilities(probabilities)?;
    Ok(ranking.calibration_error(probabilities, labels))
}

/// A group of rows of neighbouring probabilities: a probability means what it says where the two counts are alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Rows.
    pub rows: u64,
    /// The sum of their probabilities.
    pub expected_frauds: f64,
    /// Frauds among them.
    pub frauds: u64,
}

/// The groups over which [`expected_calibration_error`] is taken, lowest probabilities first.
///
/// # Errors
/// As [`roc_auc`], and `BadProbability`.
pub fn reliability(probabilities: &[f64], labels: &[bool]) -> Result<Vec<Reliability>, EvaluationError> {
    let ranking = Ranking::new(probabilities, labels)?;
    check_probabilities(probabilities)?;
    Ok(ranking.reliability(probabilities, labels))
}

/// The threshold that flags the most rows while at most the share `rate` (0..=1) of the genuine rows is above it.
///
/// # Errors
/// As [`roc_auc`], and `BadRate`.
pub fn threshold_at_false_positive_rate(scores: &[f64], labels: &[bool], rate: f64) -> Result<f64, EvaluationError> {
    if !(0.0..=1.0).contains(&rate) {
        return Err(EvaluationError::BadRate(rate));
    }
    let ranking = Ranking::new(scores, labels)?;
    let flagged = ranking.curve(&vec![1; labels.len()]).groups_within(rate);
    Ok(ranking.threshold(flagged, scores))
}

/// The threshold above which rows are flagged where F1, the harmonic mean of precision and recall, is highest.
///
/// # Errors
/// As [`roc_auc`].
pub fn threshold_of_best_f1(scores: &[f64], labels: &[bool]) -> Result<f64, EvaluationError> {
    let ranking = Ranking::new(scores, labels)?;
    let flagged = ranking.curve(&vec![1; labels.len()]).groups_of_best_f1();
    Ok(ranking.threshold(flagged, scores))
}

/// Counts, accuracy, precision and recall where scores above `threshold` are flagged.
///
/// # Errors
/// As [`roc_auc`].
pub fn at_threshold(scores: &[f64], labels: &[bool], threshold: f64) -> Result<AtThreshold, EvaluationError> {
    ranking::check(scores, labels)?;
    let mut counts = [[0_u64; 2]; 2];
    for (&score, &label) in scores.iter().zip(labels) {
        counts[usize::from(score > threshold)][usize::from(label)] += 1;
    }
    let [[true_negatives, false_negatives], [false_positives, true_positives]] = counts;
    let flagged = true_positives + false_positives;
    let genuine = true_negatives + false_positives;
    let rows = labels.len() as f64;
    Ok(AtThreshold {
        threshold,
        true_positives,
        false_positives,
        false_negatives,
        true_negatives,
        accuracy: (true_positives + true_negatives) as f64 / rows,
        accuracy_of_approving_everything: genuine as f64 / rows,
        precision: (flagged > 0).then(|| true_positives as f64 / flagged as f64),
        recall: true_positives as f64 / (true_positives + false_negatives) as f64,
        false_positive_rate: false_positives as f64 / genuine as f64,
    })
}

/// The measures that get an interval: AUC, average precision, Brier, recall at each rate; row i counted `counts[i]` times.
fn measures(ranking: &Ranking, probabilities: &[f64], labels: &[bool], counts: &[u32]) -> Vec<f64> {
    let curve = ranking.curve(counts);
    let recalls = FALSE_POSITIVE_RATES.iter().map(|&rate| curve.recall_at(rate));
    [curve.roc_auc(), curve.average_precision(), brier(probabilities, labels, counts)]
        .into_iter()
        .chain(recalls)
        .collect()
}

fn brier(probabilities: &[f64], labels: &[bool], counts: &[u32]) -> f64 {
    let (mut sum, mut rows) = (0.0, 0.0);
    for ((p, &label), &count) in probabilities.iter().zip(labels).zip(counts) {
        sum += f64::from(count) * (p - f64::from(u8::from(label))).powi(2);
        rows += f64::from(count);
    }
    sum / rows
}

/// How often each row is drawn in one replicate; each class keeps its size, so that no replicate lacks frauds.
fn resampled_counts(labels: &[bool], seed: u64, replicate: u64) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(replicate);
    let mut counts = vec![0; labels.len()];
    for class in [false, true] {
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] == class).collect();
        for _ in 0..rows.len() {
            counts[rows[rng.random_range(0..rows.len())]] += 1;
        }
    }
    counts
}

fn interval(value: f64, replicates: &[Vec<f64>], measure: usize) -> Interval {
    let mut sorted: Vec<f64> = replicates.iter().map(|values| values[measure]).collect();
    sorted.sort_by(f64::total_cmp);
    let tail = (1.0 - INTERVAL_SHARE) / 2.0;
    let at = |share| crate::encoding::quantile(&sorted, share).unwrap_or(value);
    Interval { value, low: at(tail), high: at(1.0 - tail) }
}

fn check_probabilities(probabilities: &[f64]) -> Result<(), EvaluationError> {
    match probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(row) => Err(EvaluationError::BadProbability { row, value: probabilities[row] }),
        None => Ok(()),
    }
}
