//! Bootstrap intervals over persons: of a mean, and of how much better one recommender does than another; nothing else.
//!
//! Persons are drawn with replacement, as often as there are, and the figure is taken anew (Efron 1979); the interval holds
//! the middle 95 %. A comparison draws the same persons for both sides, since both were asked about the same ones.

use crate::error::FactorsError;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most resamples.
pub const MAX_RESAMPLES: usize = 100_000;
/// What is left out of an interval on either side.
const TAIL: f64 = 0.025;

/// A figure and the 95 % interval of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The mean of `values`, one per person; zeros where there is nobody.
///
/// # Errors
/// More than [`MAX_RESAMPLES`].
pub fn mean_estimate(values: &[f32], resamples: usize, seed: u64) -> Result<Estimate, FactorsError> {
    estimate(values.len(), resamples, seed, |people| mean(values, people))
}

/// `mean(ours) / mean(theirs) − 1`, of the same persons in the same order.
///
/// # Errors
/// Parts of different lengths, or more than [`MAX_RESAMPLES`].
pub fn lift_estimate(ours: &[f32], theirs: &[f32], resamples: usize, seed: u64) -> Result<Estimate, FactorsError> {
    if ours.len() != theirs.len() {
        return Err(FactorsError::WrongLength { what: "the other side", got: theirs.len(), expected: ours.len() });
    }
    estimate(ours.len(), resamples, seed, |people| mean(ours, people) / mean(theirs, people) - 1.0)
}

fn estimate(
    people: usize,
    resamples: usize,
    seed: u64,
    figure: impl Fn(&[usize]) -> f64 + Sync,
) -> Result<Estimate, FactorsError> {
    if resamples > MAX_RESAMPLES {
        return Err(FactorsError::TooMany { what: "resamples", count: resamples, limit: MAX_RESAMPLES });
    }
    if people == 0 {
        return Ok(Estimate::default());
    }
    let value = figure(&(0..people).collect::<Vec<usize>>());
    let mut drawn: Vec<f64> = (0..resamples as u64)
        .into_par_iter()
        .map(|resample| {
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(resample);
            figure(&(0..people).map(|_| random.random_range(0..people)).collect::<Vec<usize>>())
        })
        .collect();
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| drawn.get((share * resamples as f64) as usize).copied().unwrap_or(value);
    Ok(Estimate { value, low: at(TAIL), high: at(1.0 - TAIL) })
}

fn mean(values: &[f32], people: &[usize]) -> f64 {
    people.iter().map(|person| f64::from(values[*person])).sum::<f64>() / people.len() as f64
}
