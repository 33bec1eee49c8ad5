//! The Theta method; its optimised and dynamic variants are left out.
//!
//! Assimakopoulos and Nikolopoulos 2000, in the form of Fiorucci et al. 2016: take the season out if the test finds one; fit a
//! straight line L by least squares; the theta line of 2, Z = 2·X − L, doubles the curvature and is continued by simple
//! exponential smoothing; the forecast is the mean of the line's continuation (theta 0) and that level, with the season put
//! back. Smoothing: level ← level + α·(Z − level), starting at the first Z, with the α between 0.01 and 0.99 that makes the sum
//! of squared one-step errors least.

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
        let level = smoothed(&doubled, best_alpha(&doubled)).level;
        let steps = plain.len()..plain.len() + horizon;
        Ok(PointForecast { values: steps.map(|t| season.restored(t, (line(t) + level) / 2.0)).collect() })
    }
}

/// Intercept and slope of the least-squares line through (0, values[0]), (1, values[1]) …
fn straight_line(values: &[f64]) -> (f64, f64) {
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

/// A coarse search followed by golden sections around its best point.
fn best_alpha(values: &[f64]) -> f64 {
    let loss = |alpha: f64| smoothed(values, alpha).squared_errors;
    let width = (ALPHAS.1 - ALPHAS.0) / COARSE_STEPS as f64;
    let coarse = (0..=COARSE_STEPS).map(|step| ALPHAS.0 + width * step as f64);
    let best = coarse.min_by(|a, b| loss(*a).total_cmp(&loss(*b))).unwrap_or(ALPHAS.1);
    let (mut low, mut high) = ((best - width).max(ALPHAS.0), (best + width).min(ALPHAS.1));
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let inner = |low: f64, high: f64| (high - ratio * (high - low), low + ratio * (high - low));
    let (mut a, mut b) = inner(low, high);
    let (mut loss_a, mut loss_b) = (loss(a), loss(b));
    for _ in 0..FINE_STEPS {
        if loss_a < loss_b {
            (high, b, loss_b) = (b, a, loss_a);
            a = inner(low, high).0;
            loss_a = loss(a);
        } else {
            (low, a, loss_a) = (a, b, loss_b);
            b = inner(low, high).1;
            loss_b = loss(b);
        }
    }
    (low + high) / 2.0
}
