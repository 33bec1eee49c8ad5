//! Quantiles around point forecasts from the past errors of many series together, for histories too short for errors of their own.
//!
//! Split conformal prediction (Vovk et al. 2005) over series: each series is forecast again from a few earlier points, and its
//! errors are divided by its scale as of that point, the smaller of the mean absolute one-step and one-season differences. Per
//! step ahead the scaled errors of all series make one distribution; a series' quantile is its point plus the distribution's
//! quantile times its scale today. Series count alike, however many points they have. For a series that is exchangeable with the
//! others the intervals hold at their level on average over series; that a given series' errors are like the others' is assumed.

use crate::conformal::{check_levels, off_season};
use dhow_univariate::{ForecastError, Method, Series, check_horizon};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most earlier points of a series.
const MAX_WINDOWS: usize = 3;
/// Fewest values before an earlier point.
const SHORTEST_HISTORY: usize = 6;

/// Scaled errors of many series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SharedErrors {
    /// Per step ahead, scaled error and its weight, by rising error.
    by_step: Vec<Vec<(f64, f64)>>,
    /// Series that gave errors.
    series: usize,
}

impl SharedErrors {
    /// Forecasts every series again from up to three earlier points, the latest one horizon before its end and strides apart
    /// that are no multiple of its season. Series that are too short, constant, or refused by the method give no errors;
    /// [`SharedErrors::series`] says how many did.
    ///
    /// # Errors
    /// When the horizon is out of range.
    pub fn collect(
        method: &dyn Method,
        series: &[Series],
        horizon: usize,
        adjust: fn(f64) -> f64,
    ) -> Result<SharedErrors, ForecastError> {
        check_horizon(horizon, dhow_univariate::MAX_HORIZON)?;
        let of_series = |series: &Series| windows(method, series, horizon, adjust);
        let errors: Vec<Vec<Vec<f64>>> = series.par_iter().map(of_series).collect();
        let mut by_step = vec![Vec::new(); horizon];
        for windows in errors.iter().filter(|windows| !windows.is_empty()) {
            let weight = 1.0 / windows.len() as f64;
            for (step, error) in windows.iter().flat_map(|window| window.iter().enumerate()) {
                by_step[step].push((*error, weight));
            }
        }
        by_step.iter_mut().for_each(|errors| errors.sort_unstable_by(|one, other| one.0.total_cmp(&other.0)));
        Ok(SharedErrors { by_step, series: errors.iter().filter(|windows| !windows.is_empty()).count() })
    }

    /// How many series gave errors.
    pub fn series(&self) -> usize {
        self.series
    }

    /// Quantiles at `levels` around each point of a series, one row per step; they never cross. None when the series has no
    /// scale, or too few series gave errors for the outermost level.
    ///
    /// # Errors
    /// When the levels do not rise between 0 and 1, or there are more points than steps.
    pub fn quantiles(
        &self,
        series: &Series,
        points: &[f64],
        levels: &[f64],
    ) -> Result<Option<Vec<Vec<f64>>>, ForecastError> {
        check_levels(levels)?;
        check_horizon(points.len(), self.by_step.len())?;
        let outermost = levels.iter().fold(0.5_f64, |least, level| least.min(*level).min(1.0 - level));
        let is_enough = (self.series + 1) as f64 * outermost >= 1.0;
        let Some(scale) = scale(series).filter(|_| is_enough) else { return Ok(None) };
        let row = |(point, errors): (&f64, &Vec<(f64, f64)>)| {
            levels.iter().map(|level| point + scale * weighted_quantile(errors, *level)).collect()
        };
        Ok(Some(points.iter().zip(&self.by_step).map(row).collect()))
    }
}

/// Scaled errors per earlier point and step ahead.
fn windows(method: &dyn Method, series: &Series, horizon: usize, adjust: fn(f64) -> f64) -> Vec<Vec<f64>> {
    let values = series.values();
    let stride = off_season(1, series.season_length()).max(1);
    let Some(latest) = values.len().checked_sub(horizon).filter(|latest| *latest >= SHORTEST_HISTORY) else {
        return Vec::new();
    };
    let window = |origin: usize| {
        let history = series.until(origin);
        let scale = scale(&history)?;
        // A method that refuses a shorter history has no error there to learn from.
        let forecast = method.forecast(&history, horizon).ok()?;
        let errors = values[origin..].iter().zip(forecast.values);
        Some(errors.map(|(actual, point)| (actual - adjust(point)) / scale).collect())
    };
    (SHORTEST_HISTORY..=latest).rev().step_by(stride).take(MAX_WINDOWS).filter_map(window).collect()
}

/// The smaller of the mean absolute one-step and one-season differences that are above 0.
fn scale(series: &Series) -> Option<f64> {
    let values = series.values();
    let mean = |lag: usize| {
        let later = values.get(lag..).unwrap_or_default();
        later.iter().zip(values).map(|(late, early)| (late - early).abs()).sum::<f64>() / later.len() as f64
    };
    let scales = [mean(1), mean(series.season_length())];
    scales.into_iter().filter(|scale| scale.is_finite() && *scale > 0.0).reduce(f64::min)
}

/// The error at the level among weighted errors by rising size, interpolated between the middles of their weights.
fn weighted_quantile(errors: &[(f64, f64)], level: f64) -> f64 {
    let wanted = level * errors.iter().map(|(_, weight)| weight).sum::<f64>();
    let (mut below, mut previous) = (0.0, None);
    for (error, weight) in errors {
        let middle = below + weight / 2.0;
        if middle >= wanted {
            return previous.map_or(*error, |(value, place): (f64, f64)| {
                value + (error - value) * (wanted - place) / (middle - place)
            });
        }
        previous = Some((*error, middle));
        below += weight;
    }
    errors.last().map_or(0.0, |(error, _)| *error)
}
