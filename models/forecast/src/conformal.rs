//! Quantiles around point forecasts from a method's own past errors; it assumes that the future errs like the past.
//!
//! Split conformal prediction over rolling origins (Vovk et al. 2005; Hyndman and Athanasopoulos 2021, section 5.10): the
//! method is fitted again at up to `MAX_ORIGINS` earlier points of the later two thirds of the series, where its fit resembles
//! that of today, and its signed errors are kept per step ahead. With k errors at a step, the quantile of level q is the point
//! plus the error of rank (k+1)·q, interpolated between neighbours: rounding the rank outwards would guarantee the level for
//! exchangeable errors but covers far too often for k below 100. Consecutive errors overlap, so that all this is approximate.
//!
//! Where k is too small for the outermost level asked for, all steps' errors are pooled; where even these are too few, a normal
//! distribution is used whose standard deviation is that of the history, or the square root of its mean (as of Poisson
//! demand) when that is larger. Which of the three it was stands in the result.

use dhow_univariate::mean;
use dhow_univariate::{ForecastError, Method, Series};
use serde::{Deserialize, Serialize};

/// Most earlier points at which the method is fitted again.
pub const MAX_ORIGINS: usize = 40;
/// Most quantile levels of one request.
pub const MAX_LEVELS: usize = 99;
/// Fewest values before an origin.
const SHORTEST_HISTORY: usize = 14;

/// Where quantiles come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Errors of the same step ahead.
    Conformal,
    /// Errors of all steps ahead together: the history was too short for one step's own. A fallback.
    ConformalPooled,
    /// Normal distribution with the history's spread: too few errors at all. A fallback.
    Normal,
    /// The days of the recent past as they were.
    Empirical,
    /// The days of the recent past, moved with the point forecast.
    EmpiricalMoved,
}

impl std::fmt::Display for IntervalMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Conformal => "conformal",
            Self::ConformalPooled => "conformal (pooled over the horizon)",
            Self::Normal => "normal",
            Self::Empirical => "empirical",
            Self::EmpiricalMoved => "empirical (moved with the forecast)",
        })
    }
}

/// A method's past errors on one series, and the spread to use without them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastErrors {
    /// Per step ahead, actual − forecast, ascending.
    by_step: Vec<Vec<f32>>,
    spread: f64,
}

impl PastErrors {
    /// Forecasts again from earlier points of the series, latest first, at most `MAX_ORIGINS` of them evenly apart.
    /// `adjust` is applied to every forecast value, as it is to those that are served.
    ///
    /// # Errors
    /// When the method refuses the horizon.
    pub fn collect(
        method: &dyn Method,
        series: &Series,
        horizon: usize,
        adjust: fn(f64) -> f64,
    ) -> Result<PastErrors, ForecastError> {
        let values = series.values();
        let first = SHORTEST_HISTORY.max(2 * series.season_length()).max(values.len() / 3);
        let candidates = values.len().saturating_sub(first);
        let stride = off_season(candidates.div_ceil(MAX_ORIGINS).max(1), series.season_length());
        let mut by_step = vec![Vec::new(); horizon];
        for origin in (first..values.len()).rev().step_by(stride) {
            let ahead = horizon.min(values.len() - origin);
            let forecast = match method.forecast(&series.until(origin), ahead) {
                Ok(forecast) => forecast,
                Err(ForecastError::TooShort { .. }) => continue,
                Err(error) => return Err(error),
            };
            for (step, point) in forecast.values.into_iter().enumerate() {
                by_step[step].push((values[origin + step] - adjust(point)) as f32);
            }
        }
        by_step.iter_mut().for_each(|errors| errors.sort_unstable_by(f32::total_cmp));
        Ok(PastErrors { by_step, spread: spread(values) })
    }

    /// Quantiles at `levels` around each point: one row per step, never crossing.
    ///
    /// # Errors
    /// When the levels are not between 0 and 1, do not rise, or are too many.
    pub fn quantiles(&self, points: &[f64], levels: &[f64]) -> Result<(IntervalMethod, Vec<Vec<f64>>), ForecastError> {
        check_levels(levels)?;
        let steps = &self.by_step[..points.len().min(self.by_step.len())];
        if points.len() == steps.len() && steps.iter().all(|errors| enough(errors.len(), levels)) {
            let rows = points.iter().zip(steps).map(|(point, errors)| around(*point, errors, levels));
            return Ok((IntervalMethod::Conformal, rows.collect()));
        }
        let mut pooled: Vec<f32> = self.by_step.iter().flatten().copied().collect();
        pooled.sort_unstable_by(f32::total_cmp);
        if enough(pooled.len(), levels) {
            let rows = points.iter().map(|point| around(*point, &pooled, levels));
            return Ok((IntervalMethod::ConformalPooled, rows.collect()));
        }
        let normal = |point: &f64| levels.iter().map(|level| normal(*point, self.spread, *level)).collect();
        Ok((IntervalMethod::Normal, points.iter().map(normal).collect()))
    }
}

/// The least stride from `stride` on that shares no factor with the season, so that the origins fall on all of its steps: origins
/// on one weekday would know the errors of some weekdays only at some steps ahead.
pub(crate) fn off_season(stride: usize, season_length: usize) -> usize {
    let divisor = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (stride..).find(|stride| divisor(*stride, season_length) == 1).unwrap_or(stride)
}

/// An error unless the levels rise strictly between 0 and 1 and are not too many.
pub(crate) fn check_levels(levels: &[f64]) -> Result<(), ForecastError> {
    let inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
    let rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
    if inside && rising && levels.len() <= MAX_LEVELS {
        return Ok(());
    }
    Err(ForecastError::Levels { levels: levels.to_vec(), most: MAX_LEVELS })
}

/// Standard deviation, or the square root of the mean when that is larger.
pub(crate) fn spread(values: &[f64]) -> f64 {
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    variance.max(mean.abs()).sqrt()
}

/// Rank of the error for a level, counted from 1 and rarely whole; outside 1 to `count` when there are too few errors.
fn rank(count: usize, level: f64) -> f64 {
    (count + 1) as f64 * level
}

fn enough(count: usize, levels: &[f64]) -> bool {
    // Rounding error must not refuse a rank that is exactly the first or the last.
    let within = |rank: f64| rank > 1.0 - 1e-9 && rank < count as f64 + 1e-9;
    count > 0 && levels.iter().all(|level| within(rank(count, *level)))
}

fn around(point: f64, errors: &[f32], levels: &[f64]) -> Vec<f64> {
    levels.iter().map(|level| point + interpolated(errors, *level)).collect()
}

/// The value at the rank of a level among ascending values; zero when there are none.
pub(crate) fn interpolated(ascending: &[f32], level: f64) -> f64 {
    if ascending.is_empty() {
        return 0.0;
    }
    let place = rank(ascending.len(), level).clamp(1.0, ascending.len() as f64) - 1.0;
    let (low, high) = (ascending[place.floor() as usize], ascending[place.ceil() as usize]);
    f64::from(low) + (f64::from(high) - f64::from(low)) * place.fract()
}

/// The quantile of a normal distribution.
pub(crate) fn normal(mean: f64, spread: f64, level: f64) -> f64 {
    mean + spread * normal_quantile(level)
}

/// Inverse of the standard normal distribution function for 0 < p < 1 (Acklam's rational approximation, relative error below
/// 1.2e-9).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.383_577_518_672_69e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    const LOW: f64 = 0.02425;
    let horner = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / horner(&D, q)
    };
    if p < LOW {
        tail(p)
    } else if p > 1.0 - LOW {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * horner(&A, q * q) / horner(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_match_the_tables() {
        for (p, z) in [(0.5, 0.0), (0.9, 1.281_551_566), (0.975, 1.959_963_985), (0.01, -2.326_347_874)] {
            assert!((normal_quantile(p) - z).abs() < 1e-8, "{p}");
        }
    }

    #[test]
    fn origins_fall_on_every_step_of_the_season() {
        for (stride, season, expected) in [(7, 7, 8), (1, 7, 1), (12, 12, 13), (3, 12, 5), (4, 1, 4)] {
            assert_eq!(off_season(stride, season), expected);
        }
    }

    #[test]
    fn a_level_is_interpolated_between_the_errors_around_its_rank() {
        let errors: Vec<f32> = (1..=9).map(|error| error as f32).collect();
        let found = around(100.0, &errors, &[0.1, 0.25, 0.5, 0.9]);
        let expected = [101.0, 102.5, 105.0, 109.0];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
        assert!(enough(9, &[0.1, 0.9]) && !enough(8, &[0.1, 0.9]) && !enough(0, &[0.5]));
    }
}
