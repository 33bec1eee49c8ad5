//! The Theta method as it won the M3 competition; its optimised and dynamic variants are in `theta_models`.
//!
//! Assimakopoulos and Nikolopoulos 2000, in the form of Fiorucci et al. 2016: take the season out if the test finds one; fit a
//! straight line L by least squares; the theta line of 2, Z = 2·X − L, doubles the curvature and is continued by simple
//! exponential smoothing; the forecast is the mean of the line's continuation (theta 0) and that level, with the season put
//! back. Smoothing: level ← level + α·(Z − level), starting at the first Z, with the α between 0.01 and 0.99 that makes the sum
//! of squared one-step errors least.

use crate::optimise::minimum_between;
use crate::seasonality::{Season, mean};
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};

/// Fewest values: a line and a smoothing constant are fitted.
const SHORTEST: usize = 4;
/// Range of the smoothing constant.
const ALPHAS: (f64, f64) = (0.01, 0.99);
/// Points of the first, coarse search; the error as a function of α can have several minima.
const COARSE_STEPS: usize = 14;
/// Golden-section steps inside the best coarse interval: its width shrinks below 0.001.
const FINE_STEPS: usize = 11;

/// The Theta method with lines 0 and 2.
#[derive(Debug, Clone, Copy, Default)]
pub struct Theta;

impl Method for Theta {
    fn name(&self) -> &'static str {
        "theta"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        series.need(self.name(), SHORTEST)?;
        let season = Season::of(series);
        let plain: Vec<f64> = series.values().iter().enumerate().map(|(t, &value)| season.removed(t, value)).collect();
        let (intercept, slope) = straight_line(&plain);
        let line = |t: usize| intercept + slope * t as f64;
        let doubled: Vec<f64> = plain.iter().enumerate().map(|(t, value)| 2.0 * value - line(t)).collect();
        let loss = |alpha: f64| smoothed(&doubled, alpha).squared_errors;
        let alpha = minimum_between(loss, ALPHAS, COARSE_STEPS, FINE_STEPS);
        let Smoothed { level, squared_errors } = smoothed(&doubled, alpha);
        // An error of the theta line of 2 counts half in the mean of both lines.
        let spread = (squared_errors / (doubled.len() - 1) as f64).sqrt() / 2.0;
        let grown = |h: usize| spread * (1.0 + h as f64 * alpha * alpha).sqrt();
        let n = plain.len();
        Ok(PointForecast {
            values: (n..n + horizon).map(|t| season.restored(t, (line(t) + level) / 2.0)).collect(),
            spreads: (0..horizon).map(|h| season.widened(n + h, grown(h))).collect(),
            model: self.name().into(),
            fallback: None,
        })
    }
}

/// Intercept and slope of the least-squares line through (0, values[0]), (1, values[1]) …
pub(crate) fn straight_line(values: &[f64]) -> (f64, f64) {
    let mid = (values.len() - 1) as f64 / 2.0;
    let mean = mean(values);
    let (mut products, mut squares) = (0.0, 0.0);
    for (t, value) in values.iter().enumerate() {
        let offset = t as f64 - mid;
        products += offset * (value - mean);
        squares += offset * offset;
    }
    let slope = products / squares;
    (mean - slope * mid, slope)
}

struct Smoothed {
    level: f64,
    squared_errors: f64,
}

fn smoothed(values: &[f64], alpha: f64) -> Smoothed {
    let start = Smoothed { level: values[0], squared_errors: 0.0 };
    values[1..].iter().fold(start, |state, value| {
        let error = value - state.level;
        Smoothed { level: state.level + alpha * error, squared_errors: state.squared_errors + error * error }
    })
}
