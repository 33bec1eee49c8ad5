//! Daily demand of many products: a method per series, fitted in parallel, stored as bytes; it learns nothing across series.
//!
//! Choice per series: demand that is rare (mean interval of at least 1.32 days) is forecast by Croston's method, other demand by
//! Theta with a weekly season; a history shorter than two seasons falls back to its mean. Forecasts are never negative.

use crate::conformal::{IntervalMethod, PastErrors};
use crate::intermittent::{CrostonSba, DemandPattern};
use crate::naive::Mean;
use crate::series::{ForecastError, Method, Series, check_horizon};
use crate::theta::Theta;
use dhow_events::{ProductId, Region};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most days ahead.
pub const MAX_HORIZON_DAYS: usize = 90;
/// Most series of one model.
pub const MAX_SERIES: usize = 1_000_000;
/// Latest days of history that a model keeps for charts.
const RECENT_DAYS: usize = 56;
/// First byte of a stored model; it changes with the layout.
const VERSION: u8 = 1;

/// What a series is about: a product, in one region or in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The product.
    pub product: ProductId,
    /// The region; none means all regions together.
    pub region: Option<Region>,
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.region {
            Some(region) => write!(f, "{} in {}", self.product, region.as_str()),
            None => write!(f, "{} in all regions", self.product),
        }
    }
}

/// Demand per day without gaps; a day without sales is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct DailySeries {
    /// What it is about.
    pub key: SeriesKey,
    /// Day of the first quantity, days since 1970-01-01 UTC (`Timestamp::day`).
    pub first_day: i64,
    /// One non-negative quantity per day.
    pub quantities: Vec<f64>,
}

/// How to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitSettings {
    /// Days of one season.
    pub season_days: usize,
    /// Days ahead that can be asked for later, at most `MAX_HORIZON_DAYS`.
    pub horizon_days: usize,
}

impl Default for FitSettings {
    /// A week, and four weeks ahead.
    fn default() -> FitSettings {
        FitSettings { season_days: 7, horizon_days: 28 }
    }
}

/// Why demand could not be fitted or forecast.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DemandError {
    /// No series, or too many.
    #[error("{found} series; between 1 and {MAX_SERIES} are needed")]
    Count {
        /// Series given.
        found: usize,
    },
    /// One series cannot be used.
    #[error("{key}: {source}")]
    Series {
        /// Which.
        key: Box<SeriesKey>,
        /// What is wrong with it.
        source: ForecastError,
    },
    /// Two series have one key.
    #[error("{key} is given twice; add the two up or keep one")]
    Duplicate {
        /// Which.
        key: Box<SeriesKey>,
    },
    /// The model has never seen this key.
    #[error("{key} is not in the model; it was not among the series when the model was fitted")]
    Unknown {
        /// Which.
        key: Box<SeriesKey>,
    },
    /// A horizon or a quantile level is out of range.
    #[error(transparent)]
    Request(#[from] ForecastError),
    /// The bytes are of another layout.
    #[error("stored model of version {found}; this program reads version {VERSION}: fit it again")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// The bytes are not a model.
    #[error("the stored model cannot be read: {message}")]
    Corrupt {
        /// What the decoder says.
        message: String,
    },
    /// No series is long enough to be tested.
    #[error("no series is long enough: testing {test_days} days needs at least {needed} days of history")]
    NothingToTest {
        /// Days set aside.
        test_days: usize,
        /// Fewest days.
        needed: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Choice {
    Theta,
    CrostonSba,
    Mean,
    NoDemand,
}

impl Choice {
    fn of(series: &Series) -> Choice {
        let pattern = DemandPattern::of(series);
        if pattern == DemandPattern::None {
            Choice::NoDemand
        } else if series.values().len() < 2 * series.season_length().max(2) {
            Choice::Mean
        } else if pattern.is_sparse() {
            Choice::CrostonSba
        } else {
            Choice::Theta
        }
    }

    fn method(self) -> &'static dyn Method {
        match self {
            Choice::Theta => &Theta,
            Choice::CrostonSba => &CrostonSba,
            Choice::Mean | Choice::NoDemand => &Mean,
        }
    }

    /// Why this choice is a fallback, if it is one.
    fn degraded(self) -> Option<&'static str> {
        match self {
            Choice::Theta | Choice::CrostonSba => None,
            Choice::Mean => Some("the history is shorter than two seasons: its mean is used"),
            Choice::NoDemand => Some("the history holds no demand: zero is forecast"),
        }
    }
}

/// The method that the model would choose for a series, fitted to it.
pub(crate) fn fit_one(series: &Series, horizon: usize) -> Result<(Vec<f64>, PastErrors), ForecastError> {
    let method = Choice::of(series).method();
    fit_method(method, series, horizon)
}

/// Non-negative points and past errors of one method.
pub(crate) fn fit_method(
    method: &dyn Method,
    series: &Series,
    horizon: usize,
) -> Result<(Vec<f64>, PastErrors), ForecastError> {
    let points = method.forecast(series, horizon)?.values.into_iter().map(not_negative).collect();
    Ok((points, PastErrors::collect(method, series, horizon, not_negative)?))
}

pub(crate) fn not_negative(value: f64) -> f64 {
    value.max(0.0)
}

/// Checks quantities as demand.
pub(crate) fn checked<'a>(series: &'a DailySeries, settings: &FitSettings) -> Result<Series<'a>, DemandError> {
    let blame = |source| DemandError::Series { key: Box::new(series.key), source };
    let checked = Series::new(&series.quantities, settings.season_days).map_err(blame)?;
    match series.quantities.iter().position(|quantity| *quantity < 0.0) {
        Some(index) => Err(blame(ForecastError::Negative { index, value: series.quantities[index] })),
        None => Ok(checked),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fitted {
    key: SeriesKey,
    /// The first day after the history.
    next_day: i64,
    choice: Choice,
    points: Vec<f64>,
    errors: PastErrors,
    recent: Vec<f64>,
}

/// One day of a forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayForecast {
    /// Days since 1970-01-01 UTC.
    pub day: i64,
    /// Expected demand, at least zero.
    pub point: f64,
    /// One non-negative quantile per level asked for; they never cross.
    pub quantiles: Vec<f64>,
}

/// A forecast and how it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemandForecast {
    /// What it is about.
    pub key: SeriesKey,
    /// The method's name.
    pub method: String,
    /// Where the quantiles come from.
    pub interval: IntervalMethod,
    /// Why this is a fallback; none when it is not.
    pub degraded: Option<String>,
    /// The levels asked for.
    pub levels: Vec<f64>,
    /// One entry per day, from the first day after the history.
    pub days: Vec<DayForecast>,
    /// The latest quantities of the history, at most 56, oldest first, up to the day before the forecast.
    pub recent: Vec<f64>,
}

/// Fitted series, ready to be asked and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemandModel {
    settings: FitSettings,
    /// Sorted by key.
    fitted: Vec<Fitted>,
}

impl DemandModel {
    /// Fits every series, in parallel; the result does not depend on the number of threads or the order of the series.
    ///
    /// # Errors
    /// When there are no or too many series, one is empty, negative or not finite, a key appears twice, or a setting is out of
    /// range.
    pub fn fit(series: &[DailySeries], settings: &FitSettings) -> Result<DemandModel, DemandError> {
        check_horizon(settings.horizon_days, MAX_HORIZON_DAYS)?;
        if !(1..=MAX_SERIES).contains(&series.len()) {
            return Err(DemandError::Count { found: series.len() });
        }
        let fit = |daily: &DailySeries| {
            let series = checked(daily, settings)?;
            let choice = Choice::of(&series);
            let (points, errors) = fit_one(&series, settings.horizon_days)?;
            let recent = daily.quantities[daily.quantities.len().saturating_sub(RECENT_DAYS)..].to_vec();
            let next_day = daily.first_day.saturating_add(daily.quantities.len() as i64);
            Ok(Fitted { key: daily.key, next_day, choice, points, errors, recent })
        };
        let mut fitted = series.par_iter().map(fit).collect::<Result<Vec<Fitted>, DemandError>>()?;
        fitted.sort_by_key(|fitted| fitted.key);
        match fitted.windows(2).find(|pair| pair[0].key == pair[1].key) {
            Some(pair) => Err(DemandError::Duplicate { key: Box::new(pair[0].key) }),
            None => Ok(DemandModel { settings: *settings, fitted }),
        }
    }

    /// Forecasts `horizon_days` days from the day after the series' history, with quantiles at rising `levels` (may be empty).
    ///
    /// # Errors
    /// When the key is unknown, the horizon is zero or beyond the fitted one, or the levels are out of range.
    pub fn forecast(
        &self,
        key: &SeriesKey,
        horizon_days: usize,
        levels: &[f64],
    ) -> Result<DemandForecast, DemandError> {
        check_horizon(horizon_days, self.settings.horizon_days)?;
        let unknown = |_| DemandError::Unknown { key: Box::new(*key) };
        let at = self.fitted.binary_search_by_key(key, |fitted| fitted.key).map_err(unknown)?;
        let fitted = &self.fitted[at];
        let points = &fitted.points[..horizon_days];
        let (interval, quantiles) = fitted.errors.quantiles(points, levels)?;
        let days = points.iter().zip(quantiles).enumerate().map(|(step, (&point, quantiles))| DayForecast {
            day: fitted.next_day.saturating_add(step as i64),
            point,
            quantiles: quantiles.into_iter().map(not_negative).collect(),
        });
        Ok(DemandForecast {
            key: *key,
            method: fitted.choice.method().name().to_string(),
            interval,
            degraded: degraded(fitted.choice, interval, levels),
            levels: levels.to_vec(),
            days: days.collect(),
            recent: fitted.recent.clone(),
        })
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &SeriesKey> {
        self.fitted.iter().map(|fitted| &fitted.key)
    }

    /// The settings that it was fitted with.
    pub fn settings(&self) -> &FitSettings {
        &self.settings
    }

    /// The model as bytes: a version byte, then postcard.
    ///
    /// # Errors
    /// When the encoder fails, which it does only out of memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DemandError> {
        postcard::to_extend(self, vec![VERSION]).map_err(|error| DemandError::Corrupt { message: error.to_string() })
    }

    /// A model from `to_bytes`.
    ///
    /// # Errors
    /// When the bytes are of another version, damaged, or followed by others.
    pub fn from_bytes(bytes: &[u8]) -> Result<DemandModel, DemandError> {
        let corrupt = |message: String| DemandError::Corrupt { message };
        let Some((&found, body)) = bytes.split_first() else { return Err(corrupt("it is empty".to_string())) };
        if found != VERSION {
            return Err(DemandError::Version { found });
        }
        let (model, rest): (DemandModel, _) = postcard::take_from_bytes(body).map_err(|e| corrupt(e.to_string()))?;
        let horizon = model.settings.horizon_days;
        if !rest.is_empty() {
            return Err(corrupt(format!("{} bytes follow its end", rest.len())));
        }
        match model.fitted.iter().find(|fitted| fitted.points.len() != horizon) {
            Some(fitted) => Err(corrupt(format!("{} lacks some of its {horizon} days", fitted.key))),
            None => Ok(model),
        }
    }
}

fn degraded(choice: Choice, interval: IntervalMethod, levels: &[f64]) -> Option<String> {
    let of_interval = match interval {
        _ if levels.is_empty() => None,
        IntervalMethod::Conformal => None,
        IntervalMethod::ConformalPooled => {
            Some("too few past errors per day ahead for these levels: errors of all days ahead are pooled")
        }
        IntervalMethod::Normal => Some("too few past errors for these levels: a normal distribution is assumed"),
    };
    let reasons: Vec<&str> = choice.degraded().into_iter().chain(of_interval).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
