//! Learns a fraud model from past orders and tunes it on later ones; it reads no clock and judges no test rows.
//!
//! Class imbalance: all frauds and a seeded sample of the genuine rows are fitted without weights; the logarithm of the kept share
//! is then added to the intercept (prior correction, King and Zeng, "Logistic regression in rare events data", 2001), so the
//! margin refers to the true fraud rate before calibration.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::encoding::FeatureEncoding;
use crate::evaluation::{EvaluationError, average_precision};
use crate::fit::{Design, LinearFit};
use crate::frame::{Calibrated, FitReport, Joined, Trained, check_tables};
use crate::model::{FraudModel, contributions};
use crate::reasons::ReasonBook;
use crate::scorer::FraudScorer;
use crate::table::{TableError, TrainingTable};

/// The least number of frauds in each of the training and the validation table.
pub const MIN_FRAUDS: usize = 10;
/// Bound on candidates of one training.
pub const MAX_CANDIDATES: usize = 64;
/// Bound on knots of one feature.
pub const MAX_KNOTS: usize = 32;

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Ridge strengths to try: ½·l2·‖weights‖² beside the summed log-loss. Each > 0.
    pub l2: Vec<f64>,
    /// Numbers of knots per feature to try, 0..=32: 0 keeps each feature a straight line, 2 or more let it bend.
    pub knots: Vec<usize>,
    /// Genuine rows kept for each fraud, > 0; frauds are all kept.
    pub genuine_per_fraud: usize,
    /// Genuine rows kept however few frauds there are.
    pub least_genuine: usize,
    /// Whether the chosen candidate is fitted once more on training and validation rows together, so that the model knows the
    /// latest frauds. The calibration is kept from the first fit, as it needs rows that the fit has not seen.
    pub refit_with_validation: bool,
    /// Codes and words of the reasons.
    pub reasons: ReasonBook,
    /// Seed of the sample of genuine rows.
    pub seed: u64,
}

impl Default for Settings {
    /// Eight candidates, 30 genuine rows for each fraud (more did not rank validation frauds of public card data better and cost time
    /// in proportion), refit with validation rows, seed 0.
    fn default() -> Self {
        Self {
            l2: vec![100.0, 30.0, 10.0, 3.0],
            knots: vec![0, 8],
            genuine_per_fraud: 30,
            least_genuine: 5_000,
            refit_with_validation: true,
            reasons: ReasonBook::default(),
            seed: 0,
        }
    }
}

/// Why no model was trained.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TrainError {
    /// A setting out of range.
    #[error("setting `{name}` is wrong: {problem}")]
    BadSetting {
        /// The setting.
        name: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The validation table has other features than the training table.
    #[error("the validation table has other features than the training table: {0}")]
    OtherFeatures(String),
    /// Validation rows are not later than training rows.
    #[error(
        "validation begins at {validation_begins}, before training ends at {training_ends}; validate on later rows"
    )]
    ValidationTooEarly {
        /// Time of the first validation row.
        validation_begins: String,
        /// Time of the last training row.
        training_ends: String,
    },
    /// Too few frauds to learn or to tune from.
    #[error("the {table} table has {found} frauds; at least {MIN_FRAUDS} are needed")]
    TooFewFrauds {
        /// `training` or `validation`.
        table: &'static str,
        /// Frauds found.
        found: usize,
    },
    /// Every feature is constant on the training rows.
    #[error("no feature varies in the training rows; there is nothing to learn from")]
    NothingVaries,
    /// Not one candidate could be fitted.
    #[error("none of the {candidates} candidates could be fitted; the last solver error: {last}")]
    NoFit {
        /// Number of candidates.
        candidates: usize,
        /// The solver's words.
        last: String,
    },
    /// The margins say nothing about validation frauds.
    #[error("the scores cannot be calibrated: {0}")]
    NotCalibrated(String),
    /// The trees cannot be learned from these rows or with these settings.
    #[error("the trees cannot be learned: {0}")]
    Learn(#[from] dhow_trees::LearnError),
    /// The learned trees cannot be used.
    #[error("the learned trees cannot be used: {0}")]
    Forest(#[from] dhow_trees::ForestError),
    /// The two tables together are not a table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Validation scores cannot be judged.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

/// One setting that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Knots per feature.
    pub knots: usize,
    /// Ridge strength.
    pub l2: f64,
    /// Average precision on validation rows; none where the solver failed.
    pub validation_average_precision: Option<f64>,
    /// The solver's words where it failed.
    pub failure: Option<String>,
}

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// The rows, the calibration and the refit.
    pub fit: FitReport,
    /// Genuine training rows that the fit saw.
    pub genuine_sampled: u64,
    /// Every setting tried, straight before bent, strong ridge before weak.
    pub candidates: Vec<Candidate>,
    /// Knots of the chosen candidate.
    pub knots: usize,
    /// Ridge strength of the chosen candidate.
    pub l2: f64,
    /// Average precision of the chosen candidate on validation rows; it was chosen by it, so it flatters a little.
    pub validation_average_precision: f64,
}

/// Learns from `train`, chooses settings and calibrates on the later `validation`. The result is the same, byte for byte, whatever the
/// number of threads.
///
/// # Errors
/// [`TrainError`]: bad settings, tables that do not fit together, too few frauds, a solver that fails on every candidate.
pub fn train(
    train: &TrainingTable<'_>,
    validation: &TrainingTable<'_>,
    settings: &Settings,
) -> Result<Trained<FraudModel>, TrainError> {
    settings.check()?;
    check_tables(train, validation)?;

    let sample = Sample::draw(train, settings);
    let tried = try_candidates(train, validation, &sample, settings)?;
    let (best, candidates) = choose(tried, validation.labels())?;
    let calibrated = Calibrated::new(train, validation, &best.margins, settings.refit_with_validation)?;
    let report = TrainingReport {
        fit: calibrated.report,
        genuine_sampled: (sample.rows.len() - train.frauds()) as u64,
        candidates,
        knots: best.knots,
        l2: best.l2,
        validation_average_precision: best.average_precision,
    };
    let (encoding, fit) = if settings.refit_with_validation {
        refit(train, validation, &best, settings)?
    } else {
        (best.encoding, best.fit)
    };
    let reasons = settings.reasons.clone();
    let model = FraudModel::new(train.names(), encoding, fit, calibrated.calibration, reasons, report);
    Ok(Trained { model, validation_probabilities: calibrated.validation_probabilities })
}

impl Settings {
    fn check(&self) -> Result<(), TrainError> {
        let bad = |name, problem: String| Err(TrainError::BadSetting { name, problem });
        let candidates = self.l2.len().saturating_mul(self.knots.len());
        if !(1..=MAX_CANDIDATES).contains(&candidates) {
            let problem = format!("l2 × knots gives {candidates} candidates; 1 to {MAX_CANDIDATES} are possible");
            return bad("l2", problem);
        }
        if let Some(l2) = self.l2.iter().find(|l2| !(l2.is_finite() && **l2 > 0.0)) {
            return bad("l2", format!("{l2} is not a finite number above 0"));
        }
        if let Some(knots) = self.knots.iter().find(|&&knots| knots == 1 || knots > MAX_KNOTS) {
            return bad("knots", format!("{knots} is neither 0 nor between 2 and {MAX_KNOTS}"));
        }
        if self.genuine_per_fraud == 0 {
            return bad("genuine_per_fraud", "0 leaves no genuine row; give at least 1".to_owned());
        }
        Ok(())
    }
}

/// The rows that a fit sees.
struct Sample {
    /// Ascending row numbers.
    rows: Vec<usize>,
    /// ln(share of genuine rows kept): what the sample's intercept has too much.
    log_kept_share: f64,
}

impl Sample {
    fn draw(table: &TrainingTable<'_>, settings: &Settings) -> Self {
        let labels = table.labels();
        let (mut rows, genuine): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|&row| labels[row]);
        let wanted =
            settings.genuine_per_fraud.saturating_mul(rows.len()).max(settings.least_genuine).min(genuine.len());
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let drawn = rand::seq::index::sample(&mut rng, genuine.len(), wanted);
        rows.extend(drawn.into_iter().map(|at| genuine[at]));
        rows.sort_unstable();
        Self { rows, log_kept_share: (wanted as f64 / genuine.len() as f64).ln() }
    }
}

/// A fitted setting with its raw log-odds of the validation rows.
struct Tried {
    knots: usize,
    l2: f64,
    outcome: Result<(LinearFit, Vec<f64>), String>,
    encoding: Arc<Vec<FeatureEncoding>>,
}

struct Best {
    knots: usize,
    l2: f64,
    fit: LinearFit,
    encoding: Vec<FeatureEncoding>,
    margins: Vec<f64>,
    average_precision: f64,
}

/// Fits every setting. Settings with the same knots share their encoding and go from strong to weak ridge, each starting where the
/// stronger one ended.
fn try_candidates(
    train: &TrainingTable<'_>,
    validation: &TrainingTable<'_>,
    sample: &Sample,
    settings: &Settings,
) -> Result<Vec<Tried>, TrainError> {
    let mut knots = settings.knots.clone();
    knots.sort_unstable();
    let paths: Vec<Result<Vec<Tried>, TrainError>> = knots
        .into_par_iter()
        .map(|knots| {
            let encoding = learn_encoding(train, knots)?;
            try_ridge_path(train, validation, sample, knots, encoding, &settings.l2)
        })
        .collect();
    let mut tried = Vec::new();
    for path in paths {
        tried.extend(path?);
    }
    Ok(tried)
}

fn try_ridge_path(
    train: &TrainingTable<'_>,
    validation: &TrainingTable<'_>,
    sample: &Sample,
    knots: usize,
    encoding: Vec<FeatureEncoding>,
    l2: &[f64],
) -> Result<Vec<Tried>, TrainError> {
    let design = design(train, sample, &encoding)?;
    let encoding = Arc::new(encoding);
    let mut strong_to_weak = l2.to_vec();
    strong_to_weak.sort_by(|a, b| b.total_cmp(a));
    let mut start: Option<LinearFit> = None;
    let mut path = Vec::with_capacity(l2.len());
    for l2 in strong_to_weak {
        let outcome = design.fit(l2, start.as_ref()).map(|fit| {
            start = Some(fit.clone());
            let fit = with_true_prior(fit, sample);
            let margins = margins(&encoding, &fit, validation);
            (fit, margins)
        });
        path.push(Tried { knots, l2, outcome, encoding: encoding.clone() });
    }
    Ok(path)
}

/// The setting with the highest average precision on validation rows; of equal ones the earlier, which is simpler.
fn choose(tried: Vec<Tried>, labels: &[bool]) -> Result<(Best, Vec<Candidate>), TrainError> {
    let mut best: Option<Best> = None;
    let mut candidates = Vec::with_capacity(tried.len());
    let mut last = String::new();
    for Tried { knots, l2, outcome, encoding } in tried {
        let mut candidate = Candidate { knots, l2, validation_average_precision: None, failure: None };
        match outcome {
            Err(failure) => {
                last.clone_from(&failure);
                candidate.failure = Some(failure);
            }
            Ok((fit, margins)) => {
                let average_precision = average_precision(&margins, labels)?;
                candidate.validation_average_precision = Some(average_precision);
                if best.as_ref().is_none_or(|best| average_precision > best.average_precision) {
                    let encoding = encoding.to_vec();
                    best = Some(Best { knots, l2, fit, encoding, margins, average_precision });
                }
            }
        }
        candidates.push(candidate);
    }
    match best {
        Some(best) => Ok((best, candidates)),
        None => Err(TrainError::NoFit { candidates: candidates.len(), last }),
    }
}

/// Encoding and weights learned once more from all rows, with the settings already chosen.
fn refit(
    train: &TrainingTable<'_>,
    validation: &TrainingTable<'_>,
    best: &Best,
    settings: &Settings,
) -> Result<(Vec<FeatureEncoding>, LinearFit), TrainError> {
    let joined = Joined::of(train, validation);
    let all = joined.table()?;
    let sample = Sample::draw(&all, settings);
    let encoding = learn_encoding(&all, best.knots)?;
    let fit = design(&all, &sample, &encoding)?
        .fit(best.l2, None)
        .map_err(|last| TrainError::NoFit { candidates: 1, last })?;
    Ok((encoding, with_true_prior(fit, &sample)))
}

fn learn_encoding(table: &TrainingTable<'_>, knots: usize) -> Result<Vec<FeatureEncoding>, TrainError> {
    let encoding: Vec<FeatureEncoding> = (0..table.width())
        .into_par_iter()
        .map(|column| {
            let values: Vec<f64> = table.rows().map(|row| row[column]).collect();
            FeatureEncoding::learn(&values, table.labels(), knots)
        })
        .collect();
    if encoding.iter().all(|feature| feature.columns() == 0) {
        return Err(TrainError::NothingVaries);
    }
    Ok(encoding)
}

fn design(table: &TrainingTable<'_>, sample: &Sample, encoding: &[FeatureEncoding]) -> Result<Design, TrainError> {
    let width: usize = encoding.iter().map(FeatureEncoding::columns).sum();
    let mut columns = vec![0.0; width * sample.rows.len()];
    for (out, &row) in columns.chunks_exact_mut(width).zip(&sample.rows) {
        let values = &table.values()[row * table.width()..(row + 1) * table.width()];
        let mut rest = out;
        for (feature, &value) in encoding.iter().zip(values) {
            let (own, after) = rest.split_at_mut(feature.columns());
            feature.encode(value, own);
            rest = after;
        }
    }
    let labels = sample.rows.iter().map(|&row| table.labels()[row]).collect();
    Design::new(columns, width, labels).map_err(|last| TrainError::NoFit { candidates: 1, last })
}

fn with_true_prior(fit: LinearFit, sample: &Sample) -> LinearFit {
    LinearFit { intercept: fit.intercept + sample.log_kept_share, weights: fit.weights }
}

fn margins(encoding: &[FeatureEncoding], fit: &LinearFit, table: &TrainingTable<'_>) -> Vec<f64> {
    table
        .values()
        .par_chunks_exact(table.width())
        .map(|row| fit.intercept + contributions(encoding, &fit.weights, row).iter().sum::<f64>())
        .collect()
}

impl TrainingReport {
    /// A line for a model card: what was learned from what.
    pub fn summary(&self, model: &FraudModel) -> String {
        let schema = model.schema_hash();
        format!(
            "logistic regression over {} features (schema {schema}), {} knots, l2 {}: {} training rows with {} frauds, \
             validation average precision {:.3}, AUC {:.3}, calibration error {:.5}",
            model.feature_names().len(),
            self.knots,
            self.l2,
            self.fit.train_rows,
            self.fit.train_frauds,
            self.validation_average_precision,
            self.fit.validation_roc_auc,
            self.fit.calibration.error,
        )
    }
}
