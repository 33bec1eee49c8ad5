//! How well margins fit labels on a validation set, for early stopping; reports with intervals are the caller's.

use crate::data::TrainingData;
use crate::error::LearnError;
use crate::loss::Loss;
use crate::rank::{ndcg, order_by};

/// What early stopping judges by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// The weighted mean of the training's own loss, lower is better: log loss, half the squared error, pinball loss or
    /// Tweedie deviance up to a constant. Not for LambdaRank.
    Loss,
    /// Average precision, higher is better; for labels 0 and 1. Rows of equal margin count as one step.
    AveragePrecision,
    /// The mean NDCG of lists with a grade above 0 at this many places, higher is better; needs groups.
    Ndcg {
        /// Places that count, at least 1.
        top: usize,
    },
}

impl Metric {
    /// Refuses a metric that the loss or the data cannot have.
    pub(crate) fn check(&self, loss: &Loss, data: &TrainingData) -> Result<(), LearnError> {
        let wrong = match self {
            Metric::Loss if matches!(loss, Loss::LambdaRank { .. }) => "LambdaRank has no loss of a row; judge by NDCG",
            Metric::AveragePrecision if !matches!(loss, Loss::Logistic) => "average precision goes with logistic loss",
            Metric::AveragePrecision if !data.labels.contains(&1.0) => "average precision needs a label 1",
            Metric::Ndcg { top: 0 } => "NDCG needs at least one place",
            Metric::Ndcg { .. } if data.groups.is_none() => "NDCG needs groups",
            Metric::Ndcg { .. } if !data.labels.iter().any(|label| *label > 0.0) => "NDCG needs a grade above 0",
            _ => return Ok(()),
        };
        Err(LearnError::Validation(wrong.to_owned()))
    }

    /// Whether higher values are better.
    pub fn rises(&self) -> bool {
        !matches!(self, Metric::Loss)
    }

    /// The metric of some margins.
    pub(crate) fn value(&self, loss: &Loss, data: &TrainingData, margins: &[f64]) -> f64 {
        match self {
            Metric::Loss => {
                let (mut sum, mut weights) = (0.0, 0.0);
                for (row, (label, margin)) in data.labels.iter().zip(margins).enumerate() {
                    sum += data.weight(row) * loss.of_row(*label, *margin).unwrap_or_default();
                    weights += data.weight(row);
                }
                sum / weights
            }
            Metric::AveragePrecision => average_precision(data, margins),
            Metric::Ndcg { top } => mean_ndcg(data, margins, *top),
        }
    }
}

/// `Σ (R_k − R_{k−1}) P_k` over the distinct margins, from the highest.
fn average_precision(data: &TrainingData, margins: &[f64]) -> f64 {
    let order = order_by(margins);
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|one, other| margins[*one] == margins[*other]) {
        let before = found;
        for row in tied {
            seen += data.weight(*row);
            found += data.weight(*row) * data.labels[*row];
        }
        if found > before {
            sum += (found - before) * found / seen;
        }
    }
    if found > 0.0 { sum / found } else { 0.0 }
}

fn mean_ndcg(data: &TrainingData, margins: &[f64], top: usize) -> f64 {
    let (mut sum, mut lists, mut first) = (0.0, 0.0, 0);
    for size in data.groups.unwrap_or_default() {
        let rows = first..first + size;
        first += size;
        if let Some(of_list) = ndcg(&data.labels[rows.clone()], &margins[rows], top) {
            sum += of_list;
            lists += 1.0;
        }
    }
    if lists > 0.0 { sum / lists } else { 0.0 }
}
