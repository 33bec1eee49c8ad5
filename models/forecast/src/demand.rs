//! Daily demand of many products: fitted series that can be asked and stored as bytes; how they are fitted is in `fitting`.

use crate::adding_up::{Reconciliation, fit_market};
use crate::beside_naive::Accuracy;
use crate::conformal::{IntervalMethod, check_levels};
use crate::fitting::{Fitted, fit_all};
use crate::market::{Market, Subject};
use dhow_effects::Effects;
use dhow_events::{ProductId, Region};
use dhow_hierarchy::HierarchyError;
use dhow_univariate::{ForecastError, Series, check_horizon};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most days ahead.
pub const MAX_HORIZON_DAYS: usize = 90;
/// Most series of one model.
pub const MAX_SERIES: usize = 1_000_000;
/// Latest days of history that a model keeps for charts.
pub(crate) const RECENT_DAYS: usize = 56;
/// First byte of a stored model; it changes with the layout.
const VERSION: u8 = 4;
/// The layout before, without effects; it is still read.
const VERSION_WITHOUT_EFFECTS: u8 = 3;

/// What a series is about: a product or a group of them, in one region or in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The product or group.
    pub subject: Subject,
    /// The region; none means all regions together.
    pub region: Option<Region>,
}

impl SeriesKey {
    /// A product's series.
    pub fn product(product: ProductId, region: Option<Region>) -> SeriesKey {
        SeriesKey { subject: Subject::Product(product), region }
    }
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.region {
            Some(region) => write!(f, "{} in {}", self.subject, region.as_str()),
            None => write!(f, "{} in all regions", self.subject),
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
    /// Series that add up must end together.
    #[error("{key} ends before day {ends}, others before day {last_day}; days without demand are zeros")]
    Uneven {
        /// Which.
        key: Box<SeriesKey>,
        /// The day after its last one.
        ends: i64,
        /// The day after the others' last one.
        last_day: i64,
    },
    /// The structure cannot be built or reconciled along.
    #[error(transparent)]
    Hierarchy(#[from] HierarchyError),
    /// No series is long enough to be tested.
    #[error("no series is long enough: testing {test_days} days needs at least {needed} days of history")]
    NothingToTest {
        /// Days set aside.
        test_days: usize,
        /// Fewest days.
        needed: usize,
    },
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

/// The series by key: sums over them depend on their order in the last digit, so that it must not be the caller's.
fn sorted<'a>(series: &'a [DailySeries], settings: &FitSettings) -> Result<Vec<&'a DailySeries>, DemandError> {
    check_horizon(settings.horizon_days, MAX_HORIZON_DAYS)?;
    if !(1..=MAX_SERIES).contains(&series.len()) {
        return Err(DemandError::Count { found: series.len() });
    }
    let mut sorted: Vec<&DailySeries> = series.iter().collect();
    sorted.sort_by_key(|daily| daily.key);
    match sorted.windows(2).find(|pair| pair[0].key == pair[1].key) {
        Some(pair) => Err(DemandError::Duplicate { key: Box::new(pair[0].key) }),
        None => Ok(sorted),
    }
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
    /// What prices and promotions do to demand, where it was measured.
    effects: Option<Effects>,
}

impl DemandModel {
    /// Fits every series, in parallel. Series of the same region and of the same kind of demand inform each other: the season of
    /// the week is shared, and the method is chosen on the last days of each history with regard to what is best for its kind.
    /// The result does not depend on the number of threads or the order of the series.
    ///
    /// # Errors
    /// When there are no or too many series, one is empty, negative or not finite, a key appears twice, or a setting is out of
    /// range.
    pub fn fit(series: &[DailySeries], settings: &FitSettings) -> Result<DemandModel, DemandError> {
        let sorted = sorted(series, settings)?;
        Ok(DemandModel { settings: *settings, fitted: fit_all(&sorted, settings, 0)?.fitted, effects: None })
    }

    /// Fits every series of a market so that their forecasts add up, and tells what that changed on the last days of the
    /// histories. The products' forecasts are as good there as those of `fit`. A node without a series has no demand.
    ///
    /// # Errors
    /// As `fit`; and when a series is not the market's, or ends on another day than others.
    pub fn fit_market(
        series: &[DailySeries],
        market: &Market,
        settings: &FitSettings,
    ) -> Result<(DemandModel, Reconciliation), DemandError> {
        let (fitted, reconciliation) = fit_market(&sorted(series, settings)?, market, settings)?;
        Ok((DemandModel { settings: *settings, fitted, effects: None }, reconciliation))
    }

    /// The model with what prices and promotions do to its products' demand.
    pub fn with_effects(self, effects: Effects) -> DemandModel {
        DemandModel { effects: Some(effects), ..self }
    }

    /// What prices and promotions do to demand; none where it was not measured.
    pub fn effects(&self) -> Option<&Effects> {
        self.effects.as_ref()
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
        self.forecast_at(key, horizon_days, levels, |level| level)
    }

    /// As `forecast`, with quantiles read at other levels than those they are told for.
    pub(crate) fn forecast_at(
        &self,
        key: &SeriesKey,
        horizon_days: usize,
        levels: &[f64],
        moved: impl Fn(f64) -> f64,
    ) -> Result<DemandForecast, DemandError> {
        check_horizon(horizon_days, self.settings.horizon_days)?;
        let fitted = self.fitted(key).ok_or_else(|| DemandError::Unknown { key: Box::new(*key) })?;
        check_levels(levels)?;
        let days = (0..horizon_days).map(|step| DayForecast {
            day: fitted.next_day.saturating_add(step as i64),
            point: fitted.points[step],
            quantiles: levels.iter().map(|level| fitted.quantile(step, moved(*level))).collect(),
        });
        Ok(DemandForecast {
            key: *key,
            method: fitted.method(),
            interval: fitted.interval(),
            degraded: fitted.degraded(levels),
            levels: levels.to_vec(),
            days: days.collect(),
            recent: fitted.recent.clone(),
        })
    }

    /// The fitted series of a key.
    pub(crate) fn fitted(&self, key: &SeriesKey) -> Option<&Fitted> {
        self.fitted.binary_search_by_key(key, |fitted| fitted.key).ok().map(|at| &self.fitted[at])
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &SeriesKey> {
        self.fitted.iter().map(|fitted| &fitted.key)
    }

    /// How the forecasts of a key did on the last days of the history, from the days before; none where they do not add up with
    /// others, or the history is too short.
    pub fn accuracy(&self, key: &SeriesKey) -> Option<Accuracy> {
        self.fitted(key)?.accuracy
    }

    /// The keys of a subject in single regions.
    pub fn regions(&self, subject: Subject) -> impl Iterator<Item = &SeriesKey> {
        let begin = self.fitted.partition_point(|fitted| fitted.key.subject < subject);
        let of_subject =
            self.fitted[begin..].iter().map(|fitted| &fitted.key).take_while(move |key| key.subject == subject);
        of_subject.filter(|key| key.region.is_some())
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
        let unreadable = |error: postcard::Error| corrupt(error.to_string());
        let (model, rest): (DemandModel, _) = match found {
            VERSION => postcard::take_from_bytes(body).map_err(unreadable)?,
            VERSION_WITHOUT_EFFECTS => {
                let ((settings, fitted), rest) = postcard::take_from_bytes(body).map_err(unreadable)?;
                (DemandModel { settings, fitted, effects: None }, rest)
            }
            found => return Err(DemandError::Version { found }),
        };
        let horizon = model.settings.horizon_days;
        if !rest.is_empty() {
            return Err(corrupt(format!("{} bytes follow its end", rest.len())));
        }
        match model.fitted.iter().find(|fitted| fitted.points.len() != horizon || fitted.quiet.len() != horizon) {
            Some(fitted) => Err(corrupt(format!("{} lacks some of its {horizon} days", fitted.key))),
            None => Ok(model),
        }
    }
}
