//! Learns a boosted fraud model from past orders and tunes it on later ones; it reads no clock and judges no test rows.
//!
//! 1. Each candidate is boosted on the training rows (all of them, unweighted: trees cope with imbalance, and the margin keeps
//!    the true fraud rate) and, where patience is given, stopped by the log loss of the validation rows.
//! 2. The candidate with the highest average precision on validation rows is chosen; its margin is calibrated there.
//! 3. With as many trees, it is learned once more from all rows, so that it knows the latest frauds. The calibration is kept.

use dhow_trees::{
    Column, Forest, Kind, Learned, Loss, Metric, Predictor, RowSampling, TrainingData, Validation, learn,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::boosted::{BoostedFraud, Content};
use crate::encoding::usual_range;
use crate::evaluation::average_precision;
use crate::frame::{Calibrated, FitReport, Trained, check_tables};
use crate::reasons::ReasonBook;
use crate::table::TrainingTable;
use crate::train::TrainError;

/// Bound on candidates of one training.
pub const MAX_BOOSTING_CANDIDATES: usize = 64;

/// One way to boost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Boosting {
    /// Trees, at least 1; early stopping may keep fewer.
    pub rounds: usize,
    /// What each tree's values are multiplied by, above 0 and at most 1.
    pub learning_rate: f64,
    /// Leaves of a tree, at least 2.
    pub max_leaves: usize,
    /// The least sum of p(1 − p) over a leaf's training rows, above 0.
    pub min_child_weight: f64,
    /// Penalty on half the sum of squared leaf values, at least 0.
    pub l2: f64,
    /// The share of the features that each tree may ask, above 0 and at most 1.
    pub feature_share: f64,
    /// The share of the rows that each tree is grown on, above 0 and at most 1; with a `hard_share`, that of the rows drawn
    /// beside the hard ones, and both together at most 1.
    pub row_share: f64,
    /// The share of the rows that are predicted worst, which every tree is grown on; 0 draws all rows alike. Where fraud is
    /// rare, a twentieth holds all that is not yet told apart, and trees are grown in a fraction of the time.
    pub hard_share: f64,
}

impl Default for Boosting {
    /// 200 small trees at rate 0.05, each on half of the features and four fifths of the rows.
    fn default() -> Self {
        Self {
            rounds: 200,
            learning_rate: 0.05,
            max_leaves: 15,
            min_child_weight: 0.1,
            l2: 1.0,
            feature_share: 0.5,
            row_share: 0.8,
            hard_share: 0.0,
        }
    }
}

impl Boosting {
    fn tree_settings(&self, rounds: usize, seed: u64) -> dhow_trees::Settings {
        let rows = match (self.hard_share, self.row_share) {
            (0.0, 1.0) => RowSampling::All,
            (0.0, share) => RowSampling::Share(share),
            (top, other) => RowSampling::Goss { top, other },
        };
        dhow_trees::Settings {
            rounds,
            learning_rate: self.learning_rate,
            max_leaves: self.max_leaves,
            min_child_weight: self.min_child_weight,
            l2: self.l2,
            feature_share: self.feature_share,
            rows,
            seed,
            ..dhow_trees::Settings::new(Loss::Logistic)
        }
    }
}

/// How to train a boosted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoostingSettings {
    /// What to try, 1 to [`MAX_BOOSTING_CANDIDATES`].
    pub candidates: Vec<Boosting>,
    /// Rounds without a lower validation loss after which a candidate is stopped; none learns all its rounds.
    pub patience: Option<usize>,
    /// Whether the chosen candidate is learned once more from training and validation rows together.
    pub refit_with_validation: bool,
    /// Codes and words of the reasons.
    pub reasons: ReasonBook,
    /// Seed of the sampling of rows and features.
    pub seed: u64,
}

impl Default for BoostingSettings {
    /// Trees of 7, 15 and 31 leaves, stopped after 40 rounds without gain, learned once more from all rows; seed 0.
    fn default() -> Self {
        let of_leaves = |max_leaves| Boosting { rounds: 600, max_leaves, ..Boosting::default() };
        Self {
            candidates: vec![of_leaves(7), of_leaves(15), of_leaves(31)],
            patience: Some(40),
            refit_with_validation: true,
            reasons: ReasonBook::default(),
            seed: 0,
        }
    }
}

/// One candidate that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TriedBoosting {
    /// How it was boosted.
    pub boosting: Boosting,
    /// Trees that were kept.
    pub trees: usize,
    /// Average precision on validation rows.
    pub validation_average_precision: f64,
}

/// How a boosted model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoostingReport {
    /// The rows, the calibration and the refit.
    pub fit: FitReport,
    /// Every candidate, in the order of the settings.
    pub candidates: Vec<TriedBoosting>,
    /// The chosen one. It was chosen by its average precision, which flatters a little.
    pub chosen: TriedBoosting,
}

impl BoostingReport {
    /// A line for a model card: what was learned from what.
    pub fn summary(&self) -> String {
        format!(
            "{} boosted trees of at most {} leaves: {} training rows with {} frauds, validation average precision {:.3}, AUC \
             {:.3}, calibration error {:.5}",
            self.chosen.trees,
            self.chosen.boosting.max_leaves,
            self.fit.train_rows,
            self.fit.train_frauds,
            self.chosen.validation_average_precision,
            self.fit.validation_roc_auc,
            self.fit.calibration.error,
        )
    }
}

/// Learns from `train`, chooses a candidate and calibrates on the later `validation`. The result is the same, byte for byte,
/// whatever the number of threads.
///
/// # Errors
/// [`TrainError`]: bad settings, tables that do not fit together, too few frauds, scores that say nothing.
pub fn train_boosted(
    train: &TrainingTable<'_>,
    validation: &TrainingTable<'_>,
    settings: &BoostingSettings,
) -> Result<Trained<BoostedFraud>, TrainError> {
    let count = settings.candidates.len();
    if !(1..=MAX_BOOSTING_CANDIDATES).contains(&count) {
        let problem = format!("{count} candidates; 1 to {MAX_BOOSTING_CANDIDATES} are possible");
        return Err(TrainError::BadSetting { name: "candidates", problem });
    }
    check_tables(train, validation)?;

    let (early, late) = (Columns::of(&[train]), Columns::of(&[validation]));
    let (best, candidates) = try_candidates(&early, &late, validation, settings)?;
    let calibrated = Calibrated::new(train, validation, &best.margins, settings.refit_with_validation)?;
    let report = BoostingReport { fit: calibrated.report, candidates, chosen: best.tried };
    let (forest, seen) = if settings.refit_with_validation {
        let all = Columns::of(&[train, validation]);
        (boost(&best.tried.boosting, best.tried.trees.max(1), settings.seed, &all, None)?, all)
    } else {
        (best.forest, early)
    };
    let (usual, reasons) = (seen.usual_ranges(), settings.reasons.clone());
    let calibration = calibrated.calibration;
    let model = BoostedFraud::new(Content { forest, calibration, usual, reasons, report })?;
    Ok(Trained { model, validation_probabilities: calibrated.validation_probabilities })
}

/// The best candidate so far, with its raw log-odds of the validation rows.
struct Best {
    tried: TriedBoosting,
    forest: Forest,
    margins: Vec<f64>,
}

/// Boosts every candidate; of equally precise ones the earlier is kept.
fn try_candidates(
    early: &Columns<'_>,
    late: &Columns<'_>,
    validation: &TrainingTable<'_>,
    settings: &BoostingSettings,
) -> Result<(Best, Vec<TriedBoosting>), TrainError> {
    let mut best: Option<Best> = None;
    let mut candidates = Vec::with_capacity(settings.candidates.len());
    for boosting in &settings.candidates {
        let stop = settings.patience.map(|patience| (late, patience));
        let forest = boost(boosting, boosting.rounds, settings.seed, early, stop)?;
        let mut margins = vec![0.0; validation.len()];
        Predictor::compile(&forest)?.margins(validation.values(), &mut margins)?;
        let validation_average_precision = average_precision(&margins, validation.labels())?;
        let tried = TriedBoosting { boosting: *boosting, trees: forest.trees.len(), validation_average_precision };
        candidates.push(tried);
        let leading = best.as_ref().map(|best| best.tried.validation_average_precision);
        if leading.is_none_or(|leading| validation_average_precision > leading) {
            best = Some(Best { tried, forest, margins });
        }
    }
    match best {
        Some(best) => Ok((best, candidates)),
        None => Err(TrainError::BadSetting { name: "candidates", problem: "none was given".to_owned() }),
    }
}

fn boost(
    boosting: &Boosting,
    rounds: usize,
    seed: u64,
    rows: &Columns<'_>,
    stop: Option<(&Columns<'_>, usize)>,
) -> Result<Forest, TrainError> {
    let columns = rows.columns();
    let judging_columns = stop.map(|(judging, _)| judging.columns()).unwrap_or_default();
    let validation = stop.map(|(judging, patience)| Validation {
        data: judging.data(&judging_columns),
        metric: Metric::Loss,
        patience,
    });
    let Learned { forest, .. } =
        learn(&boosting.tree_settings(rounds, seed), &rows.data(&columns), validation.as_ref())?;
    Ok(forest)
}

/// Tables one after the other, turned from rows to columns.
struct Columns<'a> {
    names: &'a [String],
    values: Vec<Vec<f64>>,
    labels: Vec<f64>,
}

impl<'a> Columns<'a> {
    fn of(tables: &[&TrainingTable<'a>]) -> Self {
        let names = tables.first().map_or(&[][..], |table| table.names());
        let column = |feature: usize| tables.iter().flat_map(|table| table.rows()).map(|row| row[feature]).collect();
        let labels = tables.iter().flat_map(|table| table.labels()).map(|&fraud| f64::from(u8::from(fraud)));
        Self { names, labels: labels.collect(), values: (0..names.len()).into_par_iter().map(column).collect() }
    }

    fn columns(&self) -> Vec<Column<'_>> {
        let named = self.names.iter().zip(&self.values);
        named.map(|(name, values)| Column { name, values, kind: Kind::Number }).collect()
    }

    fn data<'b>(&'b self, columns: &'b [Column<'b>]) -> TrainingData<'b> {
        TrainingData { columns, labels: &self.labels, weights: None, groups: None }
    }

    /// The usual range of each feature among genuine rows.
    fn usual_ranges(&self) -> Vec<Option<(f64, f64)>> {
        let range = |values: &Vec<f64>| {
            let rows = values.iter().zip(&self.labels);
            let genuine = rows.filter(|(value, label)| !value.is_nan() && **label == 0.0);
            let mut genuine: Vec<f64> = genuine.map(|(value, _)| *value).collect();
            genuine.sort_by(f64::total_cmp);
            usual_range(&genuine)
        };
        self.values.par_iter().map(range).collect()
    }
}
