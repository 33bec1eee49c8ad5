//! Sparse demand: its classification and Croston's method with the Syntetos-Boylan correction; seasons are left out.

use crate::seasonality::mean;
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon, deviation};
use serde::{Deserialize, Serialize};

/// Smoothing constant of sizes and intervals, the middle of the range that Syntetos and Boylan 2005 recommend.
const ALPHA: f64 = 0.1;
/// Mean interval between demands from which demand counts as intermittent (Syntetos, Boylan and Croston 2005).
const INTERMITTENT_INTERVAL: f64 = 1.32;
/// Squared coefficient of variation of demand sizes from which sizes count as erratic (same source).
const ERRATIC_VARIATION: f64 = 0.49;

/// The four kinds of demand of Syntetos, Boylan and Croston 2005, and none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DemandPattern {
    /// Never any demand.
    None,
    /// Often and of even size.
    Smooth,
    /// Often, of uneven size.
    Erratic,
    /// Rare, of even size.
    Intermittent,
    /// Rare and of uneven size.
    Lumpy,
}

impl DemandPattern {
    /// Classifies by the mean interval between demands (steps ÷ steps with demand, 1.32) and the squared coefficient of
    /// variation of the sizes of demand (0.49).
    pub fn of(series: &Series) -> DemandPattern {
        let sizes: Vec<f64> = series.values().iter().copied().filter(|value| *value > 0.0).collect();
        if sizes.is_empty() {
            return DemandPattern::None;
        }
        let interval = series.values().len() as f64 / sizes.len() as f64;
        let mean = mean(&sizes);
        let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / sizes.len() as f64;
        match (interval >= INTERMITTENT_INTERVAL, variance / (mean * mean) >= ERRATIC_VARIATION) {
            (false, false) => DemandPattern::Smooth,
            (false, true) => DemandPattern::Erratic,
            (true, false) => DemandPattern::Intermittent,
            (true, true) => DemandPattern::Lumpy,
        }
    }

    /// True for rare demand, with even or uneven sizes.
    pub fn is_sparse(self) -> bool {
        matches!(self, DemandPattern::Intermittent | DemandPattern::Lumpy)
    }
}

/// Croston 1972 with the correction of Syntetos and Boylan 2005: the sizes of demand and the intervals between demands are
/// smoothed apart, each changing only when there is demand; every step's forecast is (1 − α/2) · size ÷ interval, where the
/// factor takes out the bias of the ratio. A series without demand gives zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct CrostonSba;

impl Method for CrostonSba {
    fn name(&self) -> &'static str {
        "croston_sba"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let mut state: Option<(f64, f64)> = None;
        let mut since = 0.0;
        for &value in series.values() {
            since += 1.0;
            if value > 0.0 {
                state = Some(match state {
                    None => (value, since),
                    Some((size, interval)) => (size + ALPHA * (value - size), interval + ALPHA * (since - interval)),
                });
                since = 0.0;
            }
        }
        let rate = state.map_or(0.0, |(size, interval)| (1.0 - ALPHA / 2.0) * size / interval);
        Ok(flat(rate, series, horizon, self.name()))
    }
}

/// Teunter, Syntetos and Babai 2011: the probability of demand is smoothed at every step and the size of demand at every step
/// with demand; the forecast is their product. Unlike Croston's, it falls while there is no demand, so that it lets go of
/// products that died out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tsb;

/// Smoothing constant of the probability of demand.
const ALPHA_PROBABILITY: f64 = 0.02;

impl Method for Tsb {
    fn name(&self) -> &'static str {
        "tsb"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let (mut size, mut probability) = (None, 0.0);
        for (step, &value) in series.values().iter().enumerate() {
            // The first steps are averaged plainly, so that the start carries no arbitrary value.
            let alpha = ALPHA_PROBABILITY.max(1.0 / (step + 1) as f64);
            probability += alpha * (f64::from(u8::from(value > 0.0)) - probability);
            if value > 0.0 {
                size = Some(size.map_or(value, |size| size + ALPHA * (value - size)));
            }
        }
        Ok(flat(probability * size.unwrap_or(0.0), series, horizon, self.name()))
    }
}

/// One rate at every step, with the spread of the history around it.
pub(crate) fn flat(rate: f64, series: &Series, horizon: usize, name: &'static str) -> PointForecast {
    let spread = deviation(series.values().iter().map(|value| value - rate), 0);
    PointForecast { values: vec![rate; horizon], spreads: vec![spread; horizon], model: name.into(), fallback: None }
}
