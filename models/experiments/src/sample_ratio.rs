//! Whether the arms got the visitors that their weights say; a test whose arms did not is broken before any statistics.

use serde::{Deserialize, Serialize};

/// The share of sound experiments that are ever called broken, however often one looks.
pub const SAMPLE_RATIO_ERROR_RATE: f64 = 0.001;
/// How firmly the alternative expects shares near the weights: as if so many visitors had been seen. Shares that are off
/// by about a percent are found soonest.
const PRIOR_VISITORS: f64 = 1000.0;

/// The visitors of the arms beside their weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRatio {
    /// The share of the visitors that each arm should have.
    pub expected: Vec<f64>,
    /// The share that each has.
    pub observed: Vec<f64>,
    /// The natural logarithm of the evidence against the weights. It is above 6.9 with a mismatch.
    pub evidence_ln: f64,
    /// The probability of evidence as strong, at any look, from sound shares: at most this.
    pub p_value: f64,
    /// Whether the shares cannot be luck: assignment, logging or counting is broken.
    pub mismatch: bool,
}

impl SampleRatio {
    /// Compares counts with shares by the sequential multinomial test of Lindon and Malek (2020, "Anytime-valid inference
    /// for multinomial count data"): the Bayes factor of a Dirichlet mixture against the shares, which under sound
    /// assignment exceeds 1/ε at any moment with probability of at most ε.
    pub(crate) fn new(expected: Vec<f64>, visitors: &[u64]) -> Self {
        let total = visitors.iter().sum::<u64>() as f64;
        let mut evidence_ln = libm::lgamma(PRIOR_VISITORS) - libm::lgamma(PRIOR_VISITORS + total);
        for (share, count) in expected.iter().zip(visitors.iter().map(|count| *count as f64)) {
            if *share > 0.0 {
                let prior = PRIOR_VISITORS * share;
                evidence_ln += libm::lgamma(prior + count) - libm::lgamma(prior) - count * share.ln();
            } else if count > 0.0 {
                // An arm of weight 0 cannot have visitors. The largest number instead of infinity can be written as JSON.
                evidence_ln = f64::MAX;
            }
        }
        let observed = visitors.iter().map(|count| *count as f64 / total.max(1.0)).collect();
        let p_value = (-evidence_ln).exp().min(1.0);
        Self { expected, observed, evidence_ln, p_value, mismatch: p_value < SAMPLE_RATIO_ERROR_RATE }
    }
}
