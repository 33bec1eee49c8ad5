//! Quantiles of forecast errors that follow a stream of errors, one at a time; the point forecast is made elsewhere.
//!
//! Quantile tracking (Gibbs and Candès 2021; Angelopoulos, Candès and Tibshirani 2023, "Conformal PID control for time series
//! prediction", section 2.1): the quantile q of level τ moves by `q += η (τ − 1{e ≤ q})` at each error e, where
//! `η = rate · (largest recent error)`. Whatever the errors do, as long as they are bounded, the share of errors at or below q
//! comes to τ in the long run: the distance is at most (b + η) / (η T) after T errors of size up to b under a constant η.

use crate::conformal::check_levels;
use dhow_univariate::ForecastError;
use serde::{Deserialize, Serialize};

/// The step relative to the largest recent error.
const RATE: f64 = 0.05;
/// What is kept of the largest error at each new one.
const MEMORY: f64 = 0.98;

/// Quantiles of the errors of one step ahead, actual − forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveQuantiles {
    levels: Vec<f64>,
    values: Vec<f64>,
    largest: f64,
}

impl AdaptiveQuantiles {
    /// Starts at zero; `levels` rise strictly between 0 and 1.
    ///
    /// # Errors
    /// When the levels do not.
    pub fn new(levels: &[f64]) -> Result<AdaptiveQuantiles, ForecastError> {
        check_levels(levels)?;
        Ok(AdaptiveQuantiles { levels: levels.to_vec(), values: vec![0.0; levels.len()], largest: 0.0 })
    }

    /// Starts at given quantiles of past errors, such as split conformal ones; one rising value per level.
    ///
    /// # Errors
    /// When the levels do not rise between 0 and 1, or the values differ in number or are not finite.
    pub fn starting_at(levels: &[f64], values: &[f64]) -> Result<AdaptiveQuantiles, ForecastError> {
        let mut tracked = AdaptiveQuantiles::new(levels)?;
        if values.len() != levels.len() {
            return Err(ForecastError::Length { found: values.len() });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(ForecastError::NotFinite { index, value: values[index] });
        }
        tracked.largest = values.iter().fold(0.0, |largest, value| value.abs().max(largest));
        tracked.values = values.to_vec();
        Ok(tracked)
    }

    /// Takes one error, actual − forecast. One that is not finite says nothing and is passed over.
    pub fn observe(&mut self, error: f64) {
        if !error.is_finite() {
            return;
        }
        self.largest = error.abs().max(MEMORY * self.largest);
        let step = RATE * self.largest;
        for (value, level) in self.values.iter_mut().zip(&self.levels) {
            let is_below = f64::from(u8::from(error <= *value));
            *value += step * (level - is_below);
        }
    }

    /// The levels.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The quantile of each level around a point; they never cross.
    pub fn around(&self, point: f64) -> Vec<f64> {
        let mut quantiles: Vec<f64> = self.values.iter().map(|value| point + value).collect();
        // Levels are tracked apart, so that after a jump one may pass its neighbour.
        quantiles.sort_unstable_by(f64::total_cmp);
        quantiles
    }
}
