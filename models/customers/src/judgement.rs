//! How far forecasts of spend are from what came; it makes none.

use serde::{Deserialize, Serialize};

/// Figures of forecasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The mean absolute error, in money.
    pub mean_absolute_error: f64,
    /// Spearman's rank correlation, −1 to 1.
    pub rank_correlation: f64,
    /// The sum of the forecasts beside that of what came.
    pub total_ratio: f64,
}

/// Judges forecasts beside what came, in the same order; zeros where there is nothing.
pub fn spend_judgement(forecasts: &[f64], came: &[f64]) -> Judgement {
    let count = forecasts.len().min(came.len());
    if count == 0 {
        return Judgement::default();
    }
    let gaps = forecasts.iter().zip(came).map(|(forecast, came)| (forecast - came).abs());
    Judgement {
        mean_absolute_error: gaps.sum::<f64>() / count as f64,
        rank_correlation: rank_correlation(forecasts, came),
        total_ratio: forecasts.iter().sum::<f64>() / came.iter().sum::<f64>(),
    }
}

/// Spearman's: the correlation of the ranks, equal values sharing the mean of theirs; 0 where all of one side are equal.
pub fn rank_correlation(left: &[f64], right: &[f64]) -> f64 {
    let (left, right) = (ranks(left), ranks(right));
    let mean = (left.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let spread = (product(&left, &left) * product(&right, &right)).sqrt();
    if spread > 0.0 { product(&left, &right) / spread } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut begin = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = begin as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|one| ranks[*one] = rank);
        begin += equal.len();
    }
    ranks
}
