//! What every training shares: checks of the two tables, calibration on validation rows, all rows together; how a model is fitted is its own file's.

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, CalibrationReport, sigmoid};
use crate::evaluation::roc_auc;
use crate::table::{TableError, TrainingTable};
use crate::train::{MIN_FRAUDS, TrainError};

/// What a training gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained<Model> {
    /// The model to serve.
    pub model: Model,
    /// Calibrated probabilities of the validation rows from a fit that has not seen them: what thresholds are chosen on. The
    /// model's own scores of these rows would flatter where it was refitted with them.
    pub validation_probabilities: Vec<f64>,
}

/// From what a model was learned, and how its scores were calibrated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Rows of the training table.
    pub train_rows: u64,
    /// Frauds in the training table.
    pub train_frauds: u64,
    /// Rows of the validation table.
    pub validation_rows: u64,
    /// Frauds in the validation table.
    pub validation_frauds: u64,
    /// Area under the ROC curve of the chosen candidate on validation rows.
    pub validation_roc_auc: f64,
    /// The calibration on validation rows.
    pub calibration: CalibrationReport,
    /// Whether the chosen candidate was fitted once more with the validation rows.
    pub refitted_with_validation: bool,
}

/// The chosen candidate's raw log-odds of the validation rows, calibrated.
pub(crate) struct Calibrated {
    pub(crate) calibration: Calibration,
    pub(crate) validation_probabilities: Vec<f64>,
    pub(crate) report: FitReport,
}

impl Calibrated {
    pub(crate) fn new(
        train: &TrainingTable<'_>,
        validation: &TrainingTable<'_>,
        margins: &[f64],
        refitted_with_validation: bool,
    ) -> Result<Self, TrainError> {
        let (calibration, calibration_report) = Calibration::choose(margins, validation.labels())?;
        let validation_probabilities = margins.iter().map(|&margin| sigmoid(calibration.apply(margin))).collect();
        let report = FitReport {
            train_rows: train.len() as u64,
            train_frauds: train.frauds() as u64,
            validation_rows: validation.len() as u64,
            validation_frauds: validation.frauds() as u64,
            validation_roc_auc: roc_auc(margins, validation.labels())?,
            calibration: calibration_report,
            refitted_with_validation,
        };
        Ok(Self { calibration, validation_probabilities, report })
    }
}

/// That `validation` has the features of `train` and later rows, and both have frauds enough.
pub(crate) fn check_tables(train: &TrainingTable<'_>, validation: &TrainingTable<'_>) -> Result<(), TrainError> {
    if train.names() != validation.names() {
        let (wanted, found) = (train.names(), validation.names());
        let column = wanted.iter().zip(found).take_while(|(a, b)| a == b).count();
        let name = |names: &[String]| names.get(column).map_or("nothing".into(), |n| format!("`{n}`"));
        let words = format!("column {column} is {} instead of {}", name(found), name(wanted));
        return Err(TrainError::OtherFeatures(words));
    }
    for (table, found) in [("training", train.frauds()), ("validation", validation.frauds())] {
        if found < MIN_FRAUDS {
            return Err(TrainError::TooFewFrauds { table, found });
        }
    }
    match (train.times().last(), validation.times().first()) {
        (Some(end), Some(begin)) if begin < end => {
            Err(TrainError::ValidationTooEarly { validation_begins: begin.to_string(), training_ends: end.to_string() })
        }
        _ => Ok(()),
    }
}

/// The rows of two tables, one after the other.
pub(crate) struct Joined<'a> {
    names: &'a [String],
    values: Vec<f64>,
    labels: Vec<bool>,
    times: Vec<Timestamp>,
    amounts_usd_minor: Vec<i64>,
}

impl<'a> Joined<'a> {
    pub(crate) fn of(early: &TrainingTable<'a>, late: &TrainingTable<'a>) -> Self {
        Self {
            names: early.names(),
            values: [early.values(), late.values()].concat(),
            labels: [early.labels(), late.labels()].concat(),
            times: [early.times(), late.times()].concat(),
            amounts_usd_minor: [early.amounts_usd_minor(), late.amounts_usd_minor()].concat(),
        }
    }

    pub(crate) fn table(&self) -> Result<TrainingTable<'_>, TableError> {
        TrainingTable::new(self.names, &self.values, &self.labels, &self.times, &self.amounts_usd_minor)
    }
}
