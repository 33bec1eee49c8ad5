//! A trained linear fraud model: scores, exact reasons and its file form; how it was learned stands in `train`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::calibration::{Platt, sigmoid};
use crate::encoding::FeatureEncoding;
use crate::fit::LinearFit;
use crate::reasons::ReasonBook;
use crate::scorer::{FraudScore, FraudScorer, Reason, ScoreError, check_row};
use crate::train::TrainingReport;

/// The first bytes of a model file.
const MAGIC: &[u8; 8] = b"DHOWFRML";
/// The format's version; raised with every change of the layout.
const VERSION: u8 = 1;
const HASH_LEN: usize = 32;
const HEADER_LEN: usize = MAGIC.len() + 1 + HASH_LEN;
/// Bound on a model file.
const MAX_FILE_BYTES: usize = 64 << 20;

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelFileError {
    /// The file does not begin as a fraud model does.
    #[error("this is not a Dhow fraud model: it does not begin with `DHOWFRML`")]
    Foreign,
    /// Another version wrote it.
    #[error("the fraud model has format version {found}, this program reads version {VERSION}; train it again")]
    Version {
        /// The file's version.
        found: u8,
    },
    /// The file ends too early or was changed.
    #[error("the fraud model is truncated or damaged: {bytes} bytes whose checksum does not match")]
    Damaged {
        /// Length of the file.
        bytes: usize,
    },
    /// The file is larger than any model.
    #[error("{bytes} bytes are more than a fraud model can have ({MAX_FILE_BYTES})")]
    TooLarge {
        /// Length of the file.
        bytes: usize,
    },
    /// The content contradicts itself or cannot be decoded.
    #[error("the fraud model's content is unsound: {0}")]
    Unsound(String),
}

/// A calibrated logistic regression over encoded features. Its margin is a plain sum, so its reasons are exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudModel {
    names: Vec<String>,
    features: Vec<FeatureEncoding>,
    /// Weight of each column of each feature, calibration included.
    weights: Vec<f64>,
    base_margin: f64,
    reasons: ReasonBook,
    report: TrainingReport,
}

impl FraudModel {
    /// Joins what was learned; the calibration is a straight line, so it goes into the weights.
    pub(crate) fn new(
        names: &[String],
        features: Vec<FeatureEncoding>,
        fit: &LinearFit,
        calibration: Platt,
        reasons: ReasonBook,
        report: TrainingReport,
    ) -> Self {
        Self {
            names: names.to_vec(),
            features,
            weights: fit.weights.iter().map(|weight| calibration.slope * weight).collect(),
            base_margin: calibration.apply(fit.intercept),
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
        Ok(contributions(&self.features, &self.weights, row))
    }

    /// The file form: magic, version, checksum, content. The same model gives the same bytes on every machine.
    ///
    /// # Errors
    /// `Unsound` where the content cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelFileError> {
        let content = postcard::to_stdvec(self).map_err(unsound)?;
        let mut bytes = Vec::with_capacity(HEADER_LEN + content.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(blake3::hash(&content).as_bytes());
        bytes.extend_from_slice(&content);
        Ok(bytes)
    }

    /// Reads the file form.
    ///
    /// # Errors
    /// [`ModelFileError`]: a foreign file, another version, a damaged or unsound one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let damaged = ModelFileError::Damaged { bytes: bytes.len() };
        if bytes.len() > MAX_FILE_BYTES {
            return Err(ModelFileError::TooLarge { bytes: bytes.len() });
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(ModelFileError::Foreign)?;
        let (&version, rest) = rest.split_first().ok_or(damaged.clone())?;
        if version != VERSION {
            return Err(ModelFileError::Version { found: version });
        }
        let (hash, content) = rest.split_at_checked(HASH_LEN).ok_or(damaged.clone())?;
        if blake3::hash(content).as_bytes() != hash {
            return Err(damaged);
        }
        let model: Self = postcard::from_bytes(content).map_err(unsound)?;
        model.check_sound()?;
        Ok(model)
    }

    fn check_sound(&self) -> Result<(), ModelFileError> {
        let columns: usize = self.features.iter().map(FeatureEncoding::columns).sum();
        let problem = if self.names.len() != self.features.len() || self.names.is_empty() {
            "names and encodings differ in number"
        } else if columns != self.weights.len() {
            "weights and columns differ in number"
        } else if !self.weights.iter().chain([&self.base_margin]).all(|x| x.is_finite()) {
            "a weight is not a finite number"
        } else if !self.features.iter().all(FeatureEncoding::is_sound) {
            "an encoding is not sound"
        } else {
            return Ok(());
        };
        Err(unsound(problem))
    }

    fn top_reasons(&self, row: &[f64], contributions: &[f64], limit: usize) -> Vec<Reason> {
        let mut strongest: Vec<usize> = (0..contributions.len()).collect();
        strongest.sort_by(|&a, &b| contributions[b].abs().total_cmp(&contributions[a].abs()));
        strongest
            .into_iter()
            .take(limit)
            .filter(|&i| contributions[i] != 0.0)
            .map(|i| {
                let usual = self.features[i].usual;
                self.reasons.reason(&self.names[i], row[i], usual, contributions[i])
            })
            .collect()
    }
}

impl FraudScorer for FraudModel {
    fn feature_names(&self) -> &[String] {
        &self.names
    }

    fn score_with_reasons(&self, row: &[f64], reason_limit: usize) -> Result<FraudScore, ScoreError> {
        let contributions = self.contributions(row)?;
        let total: f64 = contributions.iter().sum();
        let reasons = match reason_limit {
            0 => Vec::new(),
            limit => self.top_reasons(row, &contributions, limit),
        };
        let told: f64 = reasons.iter().map(|reason| reason.contribution).sum();
        let margin = self.base_margin + total;
        Ok(FraudScore {
            probability: sigmoid(margin),
            margin,
            base_margin: self.base_margin,
            reasons,
            rest_contribution: total - told,
        })
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

fn unsound(problem: impl ToString) -> ModelFileError {
    ModelFileError::Unsound(problem.to_string())
}
