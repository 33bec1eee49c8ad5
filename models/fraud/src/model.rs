//! A trained linear fraud model: scores, exact reasons and its file form; how it was learned stands in `train`.

use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, sigmoid};
use crate::encoding::FeatureEncoding;
use crate::file::{self, ModelFileError, unsound};
use crate::fit::LinearFit;
use crate::reasons::ReasonBook;
use crate::scorer::{FraudScore, FraudScorer, ScoreError, check_row};
use crate::train::TrainingReport;

/// The first bytes of a linear model's file.
pub(crate) const MAGIC: &str = "DHOWFRML";

/// A calibrated logistic regression over encoded features. Its raw margin is a plain sum, so its reasons are exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudModel {
    names: Vec<String>,
    features: Vec<FeatureEncoding>,
    /// Weight of each column of each feature, before calibration.
    weights: Vec<f64>,
    /// Raw log-odds of the average training row.
    intercept: f64,
    calibration: Calibration,
    reasons: ReasonBook,
    report: TrainingReport,
}

impl FraudModel {
    /// Joins what was learned.
    pub(crate) fn new(
        names: &[String],
        features: Vec<FeatureEncoding>,
        fit: LinearFit,
        calibration: Calibration,
        reasons: ReasonBook,
        report: TrainingReport,
    ) -> Self {
        Self {
            names: names.to_vec(),
            features,
            weights: fit.weights,
            intercept: fit.intercept,
            calibration,
            reasons,
            report,
        }
    }

    /// How it was trained and what it reached on validation rows.
    pub fn report(&self) -> &TrainingReport {
        &self.report
    }

    /// What each feature of `row` adds to the margin, in column order; with `base_margin` of the score they sum to the margin.
    ///
    /// # Errors
    /// [`ScoreError`] where the row has the wrong width or an infinite value.
    pub fn contributions(&self, row: &[f64]) -> Result<Vec<f64>, ScoreError> {
        check_row(&self.names, row)?;
        let mut contributions = contributions(&self.features, &self.weights, row);
        let raw = self.intercept + contributions.iter().sum::<f64>();
        let stretch = self.calibration.stretch(self.intercept, raw);
        contributions.iter_mut().for_each(|contribution| *contribution *= stretch);
        Ok(contributions)
    }

    /// The file form: magic, version, checksum, content. The same model gives the same bytes on every machine.
    ///
    /// # Errors
    /// `Unsound` where the content cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelFileError> {
        file::write(MAGIC, self)
    }

    /// Reads the file form.
    ///
    /// # Errors
    /// [`ModelFileError`]: a foreign file, another version, a damaged or unsound one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let model: Self = file::read(MAGIC, bytes)?;
        model.check_sound()?;
        Ok(model)
    }

    fn check_sound(&self) -> Result<(), ModelFileError> {
        let columns: usize = self.features.iter().map(FeatureEncoding::columns).sum();
        let problem = if self.names.len() != self.features.len() || self.names.is_empty() {
            "names and encodings differ in number"
        } else if columns != self.weights.len() {
            "weights and columns differ in number"
        } else if !self.weights.iter().chain([&self.intercept]).all(|x| x.is_finite()) {
            "a weight is not a finite number"
        } else if !self.calibration.is_sound() {
            "the calibration does not rise everywhere"
        } else if !self.features.iter().all(FeatureEncoding::is_sound) {
            "an encoding is not sound"
        } else {
            return Ok(());
        };
        Err(unsound(problem))
    }
}

impl FraudScorer for FraudModel {
    fn feature_names(&self) -> &[String] {
        &self.names
    }

    fn score_with_reasons(&self, row: &[f64], reason_limit: usize) -> Result<FraudScore, ScoreError> {
        let contributions = self.contributions(row)?;
        let total: f64 = contributions.iter().sum();
        let usual = |feature: usize| self.features[feature].usual;
        let reasons = self.reasons.strongest(&self.names, row, usual, &contributions, reason_limit);
        let told: f64 = reasons.iter().map(|reason| reason.contribution).sum();
        let base_margin = self.calibration.apply(self.intercept);
        let margin = base_margin + total;
        Ok(FraudScore { probability: sigmoid(margin), margin, base_margin, reasons, rest_contribution: total - told })
    }
}

/// What each feature adds to the margin: weight × centred column, summed over the feature's columns.
pub(crate) fn contributions(features: &[FeatureEncoding], weights: &[f64], row: &[f64]) -> Vec<f64> {
    let widest = features.iter().map(FeatureEncoding::columns).max().unwrap_or(0);
    let mut columns = vec![0.0; widest];
    let mut first = 0;
    features
        .iter()
        .zip(row)
        .map(|(feature, &value)| {
            let columns = &mut columns[..feature.columns()];
            feature.encode(value, columns);
            let own = &weights[first..first + columns.len()];
            first += columns.len();
            columns.iter().zip(own).map(|(column, weight)| column * weight).sum()
        })
        .collect()
}
