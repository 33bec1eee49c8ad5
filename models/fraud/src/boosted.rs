//! A boosted fraud model: calibrated scores, exact reasons by TreeSHAP and its file form; how it was learned stands in `boosting`.

use dhow_trees::{Forest, ForestError, Predictor, Reasons, Scratch};
use serde::{Deserialize, Serialize};

use crate::boosting::BoostingReport;
use crate::calibration::{Calibration, sigmoid};
use crate::file::{self, ModelFileError, unsound};
use crate::reasons::ReasonBook;
use crate::scorer::{FraudScore, FraudScorer, ScoreError, check_row};

/// The first bytes of a boosted model's file.
pub(crate) const MAGIC: &str = "DHOWFRBT";

/// Boosted trees with a calibrated margin. The trees' exact Shapley values, all stretched alike, are the exact shares of the
/// calibrated margin.
#[derive(Debug, Clone)]
pub struct BoostedFraud {
    content: Content,
    predictor: Predictor,
    explainer: Reasons,
}

/// What the file holds; the rest is made from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) forest: Forest,
    pub(crate) calibration: Calibration,
    /// 5 % and 95 % quantile of each feature's genuine training values.
    pub(crate) usual: Vec<Option<(f64, f64)>>,
    pub(crate) reasons: ReasonBook,
    pub(crate) report: BoostingReport,
}

impl BoostedFraud {
    /// Lays the trees out for scoring; refuses those that cannot be.
    pub(crate) fn new(content: Content) -> Result<Self, ForestError> {
        let predictor = Predictor::compile(&content.forest)?;
        let explainer = Reasons::compile(&content.forest)?;
        Ok(Self { content, predictor, explainer })
    }

    /// How it was trained and what it reached on validation rows.
    pub fn report(&self) -> &BoostingReport {
        &self.content.report
    }

    /// The trees before calibration, whose features are those of this model.
    pub fn forest(&self) -> &Forest {
        &self.content.forest
    }

    /// What each feature of `row` adds to the calibrated margin, in column order; with `base_margin` of the score they sum to
    /// the margin, to 1e-6.
    ///
    /// # Errors
    /// [`ScoreError`] where the row has the wrong width or an infinite value.
    pub fn contributions(&self, row: &[f64]) -> Result<Vec<f64>, ScoreError> {
        check_row(self.feature_names(), row)?;
        let mut contributions = vec![0.0; row.len()];
        self.explainer.explain(row, &mut contributions, &mut Scratch::default()).map_err(|_| self.wrong_width(row))?;
        let raw = self.predictor.margin(row).map_err(|_| self.wrong_width(row))?;
        let stretch = self.content.calibration.stretch(self.explainer.expected_margin(), raw);
        contributions.iter_mut().for_each(|contribution| *contribution *= stretch);
        Ok(contributions)
    }

    /// The file form: magic, version, checksum, content. The same model gives the same bytes on every machine.
    ///
    /// # Errors
    /// `Unsound` where the content cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelFileError> {
        file::write(MAGIC, &self.content)
    }

    /// Reads the file form.
    ///
    /// # Errors
    /// [`ModelFileError`]: a foreign file, another version, a damaged or unsound one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let content: Content = file::read(MAGIC, bytes)?;
        if content.forest.features.is_empty() || content.usual.len() != content.forest.features.len() {
            return Err(unsound("features and usual ranges differ in number, or there are none"));
        }
        if !content.calibration.is_sound() {
            return Err(unsound("the calibration does not rise everywhere"));
        }
        Self::new(content).map_err(unsound)
    }

    fn base_margin(&self) -> f64 {
        self.content.calibration.apply(self.explainer.expected_margin())
    }

    fn wrong_width(&self, row: &[f64]) -> ScoreError {
        let names = self.feature_names();
        ScoreError::WrongWidth {
            found: row.len(),
            wanted: names.len(),
            first: names.first().cloned().unwrap_or_default(),
            last: names.last().cloned().unwrap_or_default(),
        }
    }
}

impl FraudScorer for BoostedFraud {
    fn feature_names(&self) -> &[String] {
        &self.content.forest.features
    }

    fn score_with_reasons(&self, row: &[f64], reason_limit: usize) -> Result<FraudScore, ScoreError> {
        check_row(self.feature_names(), row)?;
        let raw = self.predictor.margin(row).map_err(|_| self.wrong_width(row))?;
        let margin = self.content.calibration.apply(raw);
        let base_margin = self.base_margin();
        let reasons = match reason_limit {
            0 => Vec::new(),
            limit => {
                let usual = |feature: usize| self.content.usual[feature];
                let contributions = self.contributions(row)?;
                self.content.reasons.strongest(self.feature_names(), row, usual, &contributions, limit)
            }
        };
        let told: f64 = reasons.iter().map(|reason| reason.contribution).sum();
        // The rounding of the contributions, some 1e-12, goes to the rest, so that the sum is the margin.
        let rest_contribution = margin - base_margin - told;
        Ok(FraudScore { probability: sigmoid(margin), margin, base_margin, reasons, rest_contribution })
    }
}
