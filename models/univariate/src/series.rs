//! A checked series of numbers and the trait of everything that forecasts one; it holds no method.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Most steps ahead that a method forecasts.
pub const MAX_HORIZON: usize = 366;
/// Longest series.
pub const MAX_LENGTH: usize = 100_000;

/// Largest size of a value; squares of larger ones would overflow.
pub const LARGEST: f64 = 1e100;

/// Values at equal steps, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    values: &'a [f64],
    season_length: usize,
    shorter_seasons: &'a [usize],
}

impl<'a> Series<'a> {
    /// Takes 1 to `MAX_LENGTH` values of at most `LARGEST` in size; `season_length` is the steps of one season, 1 for none.
    ///
    /// # Errors
    /// When the series is empty, too long or holds NaN or a larger value, or the season length is zero.
    pub fn new(values: &'a [f64], season_length: usize) -> Result<Series<'a>, ForecastError> {
        if season_length == 0 {
            return Err(ForecastError::NoSeason);
        }
        if !(1..=MAX_LENGTH).contains(&values.len()) {
            return Err(ForecastError::Length { found: values.len() });
        }
        match values.iter().position(|value| value.is_nan() || value.abs() > LARGEST) {
            Some(index) => Err(ForecastError::NotFinite { index, value: values[index] }),
            None => Ok(Series { values, season_length, shorter_seasons: &[] }),
        }
    }

    /// As `new` with several seasons, such as 24 and 168 steps; methods of one season see the longest.
    ///
    /// # Errors
    /// As `new`, and when the seasons do not rise, or there is none.
    pub fn with_seasons(values: &'a [f64], seasons: &'a [usize]) -> Result<Series<'a>, ForecastError> {
        let Some((longest, shorter_seasons)) = seasons.split_last() else {
            return Err(ForecastError::NoSeason);
        };
        if seasons.windows(2).any(|pair| pair[0] >= pair[1]) || shorter_seasons.iter().any(|season| *season < 2) {
            return Err(ForecastError::Seasons { found: seasons.to_vec() });
        }
        Ok(Series { shorter_seasons, ..Series::new(values, *longest)? })
    }

    /// All seasons of at least two steps, the shortest first.
    pub fn seasons(&self) -> impl Iterator<Item = usize> {
        self.shorter_seasons.iter().copied().chain(std::iter::once(self.season_length)).filter(|season| *season > 1)
    }

    /// The values, oldest first.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Steps of the longest season; 1 means none.
    pub fn season_length(&self) -> usize {
        self.season_length
    }

    /// The oldest `length` values, which must be at least one; more than there are means all.
    pub fn until(&self, length: usize) -> Series<'a> {
        let length = length.clamp(1, self.values.len());
        Series { values: &self.values[..length], ..*self }
    }

    /// An error unless there are `needed` values.
    pub(crate) fn need(&self, method: &'static str, needed: usize) -> Result<(), ForecastError> {
        if self.values.len() >= needed {
            return Ok(());
        }
        Err(ForecastError::TooShort { method, needed, found: self.values.len() })
    }
}

/// Forecasts for the steps after a series: `values[0]` is one step ahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointForecast {
    /// One finite value per step.
    pub values: Vec<f64>,
    /// Standard deviation of the error of each step, in the series' units, from the method's one-step errors and how its
    /// equations carry them on.
    pub spreads: Vec<f64>,
    /// What was fitted, such as `ETS(M,Ad,M)`; the method's name where there is no choice.
    pub model: Cow<'static, str>,
    /// Why a simpler method answered instead of the one that was asked; none where it answered itself.
    pub fallback: Option<String>,
}

impl PointForecast {
    /// The quantile of level `z` standard deviations above the point, per step, where errors are normal.
    pub fn at(&self, z: f64) -> Vec<f64> {
        self.values.iter().zip(&self.spreads).map(|(value, spread)| value + z * spread).collect()
    }
}

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// A season of zero steps.
    #[error("the season length is 0; give 1 for a series without season")]
    NoSeason,
    /// Seasons that do not rise, or one of fewer than two steps beside others.
    #[error("the seasons {found:?} must rise strictly from at least 2 steps")]
    Seasons {
        /// Season lengths given.
        found: Vec<usize>,
    },
    /// No values, or too many.
    #[error("the series has {found} values; between 1 and {MAX_LENGTH} are needed")]
    Length {
        /// Values given.
        found: usize,
    },
    /// NaN, infinity or too large a number.
    #[error("value {index} is {value}; every value must be a number of at most {LARGEST:e} in size")]
    NotFinite {
        /// Position of the first one.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// Not enough values for this method.
    #[error("{method} needs {needed} values; the series has {found}")]
    TooShort {
        /// The method's name.
        method: &'static str,
        /// Fewest values.
        needed: usize,
        /// Values given.
        found: usize,
    },
    /// Zero steps ahead, or too many.
    #[error("the horizon is {found}; it must lie between 1 and {most}")]
    Horizon {
        /// Steps asked for.
        found: usize,
        /// Most steps.
        most: usize,
    },
    /// A negative value where demand is meant.
    #[error("value {index} is {value}; demand must not be negative")]
    Negative {
        /// Position of the first one.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// A quantile level outside 0 to 1, or levels that do not rise, or too many.
    #[error("quantile levels {levels:?} must rise strictly between 0 and 1, at most {most} of them")]
    Levels {
        /// What was given.
        levels: Vec<f64>,
        /// Most levels.
        most: usize,
    },
}

/// Something that forecasts a series.
pub trait Method: Send + Sync {
    /// A short stable name, such as `theta`.
    fn name(&self) -> &'static str;

    /// Forecasts 1 to `MAX_HORIZON` steps ahead.
    ///
    /// # Errors
    /// When the horizon is out of range or the series is too short for the method.
    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError>;
}

/// Standard deviation of one-step errors, `parameters` of which were fitted; zero without errors.
pub(crate) fn deviation(errors: impl Iterator<Item = f64>, parameters: usize) -> f64 {
    let (squares, count) = errors.fold((0.0, 0usize), |(squares, count), error| (squares + error * error, count + 1));
    (squares / count.saturating_sub(parameters).max(1) as f64).sqrt()
}

/// An error unless 1 ≤ `found` ≤ `most`.
pub fn check_horizon(found: usize, most: usize) -> Result<(), ForecastError> {
    if (1..=most).contains(&found) { Ok(()) } else { Err(ForecastError::Horizon { found, most }) }
}
