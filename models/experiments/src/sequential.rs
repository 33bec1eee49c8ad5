//! Confidence sequences: intervals that hold at every moment of a test at once; what is concluded from them is in `verdict`.

use serde::{Deserialize, Serialize};

/// A range of values, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
}

impl Interval {
    /// All values at most `half_width` from `middle`.
    pub(crate) fn around(middle: f64, half_width: f64) -> Self {
        Self { low: middle - half_width, high: middle + half_width }
    }

    /// Whether a value lies in it.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// How many standard errors an interval reaches to either side after `observations`, so that with probability
/// 1 − `error_rate` it holds the truth at every moment: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha,
/// Kennedy and Ramdas (2021, "Time-uniform central limit theory and asymptotic confidence sequences", theorem 2.2).
///
/// It is narrowest about `planned` observations. (The usual interval, for one look, reaches 1.96 standard errors at 5 %;
/// this one 3.03 at `planned`.)
pub fn confidence_multiplier(observations: f64, planned: f64, error_rate: f64) -> f64 {
    let scale = -2.0 * error_rate.ln();
    let ratio = observations * (scale + scale.ln_1p()) / planned;
    (2.0 * (1.0 + 1.0 / ratio) * (0.5 * ratio.ln_1p() - error_rate.ln())).sqrt()
}
