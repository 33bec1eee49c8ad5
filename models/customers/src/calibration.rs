//! Probabilities made honest by a line through their log odds, and how honest they are; it learns no other model.

use serde::{Deserialize, Serialize};

use crate::search::minimum;

/// Probabilities are kept so far from 0 and 1.
const MARGIN: f64 = 1e-6;
/// Groups of like probabilities that are compared with what came.
const BINS: usize = 10;

/// `log odds → intercept + slope · log odds` (Platt, "Probabilistic Outputs for Support Vector Machines", 1999).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    intercept: f64,
    slope: f64,
}

impl Calibration {
    /// Changes nothing.
    pub const NONE: Self = Self { intercept: 0.0, slope: 1.0 };

    /// The likeliest line, whose slope never turns the order round; changes nothing where all came, or none.
    pub fn fit(raw: &[f64], came: &[bool]) -> Self {
        if came.iter().all(|came| *came) || !came.contains(&true) {
            return Self::NONE;
        }
        let of = |point: &[f64]| Self { intercept: point[0], slope: point[1].exp() };
        let loss = |point: &[f64]| {
            let line = of(point);
            let one = |(raw, came): (&f64, &bool)| {
                let p = line.of(*raw);
                -(if *came { p } else { 1.0 - p }).max(MARGIN).ln()
            };
            raw.iter().zip(came).map(one).sum::<f64>() / raw.len() as f64
        };
        of(&minimum(&[0.0, 0.0], loss).0)
    }

    /// The honest probability.
    pub fn of(&self, raw: f64) -> f64 {
        let p = raw.clamp(MARGIN, 1.0 - MARGIN);
        1.0 / (1.0 + (-(self.intercept + self.slope * (p / (1.0 - p)).ln())).exp())
    }
}

/// How good probabilities are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbabilityQuality {
    /// The mean squared error.
    pub brier: f64,
    /// The chance that one who left is given more than one who stayed; a half where all left or none.
    pub roc_auc: f64,
    /// The mean gap between what was said and what came, over ten equally large groups of like probabilities.
    pub calibration_error: f64,
}

/// Judges probabilities beside what came, in the same order; zeros where there is nothing.
pub fn probability_quality(said: &[f64], came: &[bool]) -> ProbabilityQuality {
    let count = said.len().min(came.len());
    if count == 0 {
        return ProbabilityQuality::default();
    }
    let value = |at: usize| f64::from(u8::from(came[at]));
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| said[*a].total_cmp(&said[*b]).then(a.cmp(b)));
    let mut gaps = 0.0;
    for bin in 0..BINS {
        let members = &order[bin * count / BINS..(bin + 1) * count / BINS];
        gaps += members.iter().map(|at| said[*at] - value(*at)).sum::<f64>().abs();
    }
    ProbabilityQuality {
        brier: (0..count).map(|at| (said[at] - value(at)).powi(2)).sum::<f64>() / count as f64,
        roc_auc: area(said, came, &order),
        calibration_error: gaps / count as f64,
    }
}

/// The area under the curve from ranks (Mann and Whitney 1947), equal values sharing the mean of theirs.
fn area(said: &[f64], came: &[bool], order: &[usize]) -> f64 {
    let mut begin = 0;
    let (mut ranks, mut positives) = (0.0, 0.0);
    for equal in order.chunk_by(|a, b| said[*a] == said[*b]) {
        let rank = begin as f64 + (equal.len() as f64 + 1.0) / 2.0;
        let of = equal.iter().filter(|at| came[**at]).count() as f64;
        (ranks, positives, begin) = (ranks + rank * of, positives + of, begin + equal.len());
    }
    let negatives = order.len() as f64 - positives;
    if positives * negatives > 0.0 {
        (ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives)
    } else {
        0.5
    }
}
