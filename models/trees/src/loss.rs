//! What is minimised: each loss's first margin, derivatives and, for quantiles, leaf values; LambdaRank's pairs are in `rank`.

use rayon::prelude::*;

use crate::data::TrainingData;
use crate::error::LearnError;
use crate::forest::Output;
use crate::histogram::Derivatives;
use crate::rank;
use crate::settings::setting;

/// Rows of one task when derivatives are taken.
const TASK_ROWS: usize = 1 << 12;
/// Hessians of logistic loss are at least this, so that a leaf of certain rows has a value.
const LEAST_HESSIAN: f64 = 1e-16;
/// Margins of Tweedie loss are taken within ± this, so that no exponential overflows.
const EXPONENT_MAX: f64 = 80.0;

/// What is minimised over the margins m of labels y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// `ln(1 + exp(m)) − y m`, for labels 0 and 1; the prediction is a probability.
    Logistic,
    /// `(y − m)² / 2`; the prediction is a mean.
    Squared,
    /// `α (y − m)` where y is above m, `(1 − α)(m − y)` below; the prediction is the α-quantile.
    Quantile {
        /// Between 0 and 1.
        alpha: f64,
    },
    /// `−y exp((1 − ρ) m) / (1 − ρ) + exp((2 − ρ) m) / (2 − ρ)`, for labels of at least 0, many of them 0; the prediction is
    /// the mean `exp(m)`. A power of 1 is Poisson loss.
    Tweedie {
        /// ρ, at least 1 and below 2.
        power: f64,
    },
    /// LambdaRank (Burges 2010): pairs of a list weighted by how much their exchange changes NDCG at `top`; labels are
    /// grades from 0 to 31, and the margin orders a list.
    LambdaRank {
        /// Places that count, at least 1.
        top: usize,
    },
}

impl Loss {
    pub(crate) fn check(&self) -> Result<(), LearnError> {
        match *self {
            Loss::Logistic | Loss::Squared => Ok(()),
            Loss::Quantile { alpha } => setting("alpha", alpha, alpha > 0.0 && alpha < 1.0, "between 0 and 1"),
            Loss::Tweedie { power } => setting("power", power, (1.0..2.0).contains(&power), "at least 1 and below 2"),
            Loss::LambdaRank { top } => setting("top", top as f64, top > 0, "at least 1"),
        }
    }

    /// How a margin becomes a prediction.
    pub fn output(&self) -> Output {
        match self {
            Loss::Logistic => Output::Logistic,
            Loss::Tweedie { .. } => Output::Exponential,
            Loss::Squared | Loss::Quantile { .. } | Loss::LambdaRank { .. } => Output::Identity,
        }
    }

    /// The one margin that is best for all rows; an error where the labels leave nothing to learn.
    pub(crate) fn first_margin(&self, data: &TrainingData) -> Result<f64, LearnError> {
        let (mut weights, mut weighted) = (0.0, 0.0);
        for (row, label) in data.labels.iter().enumerate() {
            weights += data.weight(row);
            weighted += data.weight(row) * label;
        }
        let mean = weighted / weights;
        match self {
            Loss::Logistic if weighted == 0.0 || weighted == weights => {
                let (rows, class) = (data.rows(), u8::from(weighted > 0.0));
                Err(LearnError::Mismatch(format!(
                    "all {rows} labels with a weight are {class}; two classes are needed"
                )))
            }
            Loss::Logistic => Ok((mean / (1.0 - mean)).ln()),
            Loss::Squared => Ok(mean),
            Loss::Quantile { alpha } => {
                let rows = (0..data.rows()).map(|row| (data.labels[row], data.weight(row)));
                Ok(weighted_quantile(rows.collect(), *alpha))
            }
            Loss::Tweedie { .. } if weighted == 0.0 => {
                Err(LearnError::Mismatch("all labels with a weight are 0; Tweedie loss needs one above 0".to_owned()))
            }
            Loss::Tweedie { .. } => Ok(mean.ln()),
            Loss::LambdaRank { .. } => Ok(0.0),
        }
    }

    /// Each row's derivatives at its margin.
    pub(crate) fn derive(&self, data: &TrainingData, margins: &[f64], into: &mut [Derivatives]) {
        match *self {
            Loss::Logistic => by_row(data, margins, into, logistic),
            Loss::Squared => by_row(data, margins, into, squared),
            Loss::Quantile { alpha } => by_row(data, margins, into, |label, margin| quantile(alpha, label, margin)),
            Loss::Tweedie { power } => by_row(data, margins, into, |label, margin| tweedie(power, label, margin)),
            Loss::LambdaRank { top } => rank::derive(data, margins, top, into),
        }
    }

    /// What one row loses, of the losses that are a sum over rows; LambdaRank is not, and gives none.
    pub fn of_row(&self, label: f64, margin: f64) -> Option<f64> {
        match *self {
            Loss::Logistic => Some(margin.max(0.0) + (-margin.abs()).exp().ln_1p() - label * margin),
            Loss::Squared => Some((label - margin).powi(2) / 2.0),
            Loss::Quantile { alpha } => {
                Some(if label > margin { alpha * (label - margin) } else { (1.0 - alpha) * (margin - label) })
            }
            Loss::Tweedie { power } => {
                let margin = margin.clamp(-EXPONENT_MAX, EXPONENT_MAX);
                let of_label =
                    if power == 1.0 { label * margin } else { label * ((1.0 - power) * margin).exp() / (1.0 - power) };
                Some(((2.0 - power) * margin).exp() / (2.0 - power) - of_label)
            }
            Loss::LambdaRank { .. } => None,
        }
    }
}

fn by_row(data: &TrainingData, margins: &[f64], into: &mut [Derivatives], of: impl Fn(f64, f64) -> Derivatives + Sync) {
    let tasks =
        into.par_chunks_mut(TASK_ROWS).zip(margins.par_chunks(TASK_ROWS)).zip(data.labels.par_chunks(TASK_ROWS));
    tasks.enumerate().for_each(|(task, ((into, margins), labels))| {
        for ((into, margin), label) in into.iter_mut().zip(margins).zip(labels) {
            *into = of(*label, *margin);
        }
        if let Some(weights) = data.weights {
            for (into, weight) in into.iter_mut().zip(&weights[task * TASK_ROWS..]) {
                *into = Derivatives { gradient: into.gradient * weight, hessian: into.hessian * weight };
            }
        }
    });
}

fn logistic(label: f64, margin: f64) -> Derivatives {
    let probability = Output::Logistic.of(margin);
    Derivatives { gradient: probability - label, hessian: (probability * (1.0 - probability)).max(LEAST_HESSIAN) }
}

fn squared(label: f64, margin: f64) -> Derivatives {
    Derivatives { gradient: margin - label, hessian: 1.0 }
}

/// The loss has no curvature; a hessian of 1 only grows the tree, and the leaves get the quantiles of their rows.
fn quantile(alpha: f64, label: f64, margin: f64) -> Derivatives {
    Derivatives { gradient: if label > margin { -alpha } else { 1.0 - alpha }, hessian: 1.0 }
}

fn tweedie(power: f64, label: f64, margin: f64) -> Derivatives {
    let margin = margin.clamp(-EXPONENT_MAX, EXPONENT_MAX);
    let of_label = label * ((1.0 - power) * margin).exp();
    let of_mean = ((2.0 - power) * margin).exp();
    Derivatives { gradient: of_mean - of_label, hessian: (power - 1.0) * of_label + (2.0 - power) * of_mean }
}

/// The least value at or below which a share `alpha` of the weight lies; 0 of no values.
pub(crate) fn weighted_quantile(mut values: Vec<(f64, f64)>, alpha: f64) -> f64 {
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let target = alpha * values.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut reached = 0.0;
    for (value, weight) in &values {
        reached += weight;
        if *weight > 0.0 && reached >= target {
            return *value;
        }
    }
    values.last().map_or(0.0, |(value, _)| *value)
}
