//! The model judged on the last days of the series, which it has not seen, beside trivial methods; one origin only.

use crate::conformal::PastErrors;
use crate::demand::{DailySeries, DemandError, DemandModel, FitSettings, MAX_HORIZON_DAYS, SeriesKey, checked};
use crate::fitting::LEVELS;
use crate::market::Market;
use dhow_univariate::CrostonSba;
use dhow_univariate::accuracy::{coverage, mase, owa, pinball, pinball_scale, rmsse, smape};
use dhow_univariate::{ForecastError, Method, Series, check_horizon};
use dhow_univariate::{Mean, Naive2, SeasonalNaive};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The name of the model in reports.
const MODEL: &str = "demand_model";
/// The methods that the model is compared with; the last is the one that OWA is relative to.
const YARDSTICKS: [&dyn Method; 4] = [&SeasonalNaive, &Mean, &CrostonSba, &Naive2];

/// One method's figures, averaged over the series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// `demand_model`, `seasonal_naive`, `mean`, `croston_sba` or `naive2`.
    pub method: String,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: f64,
    /// Mean absolute scaled error over the series whose history varies; none when no history does. Where most days are without
    /// demand it is best for a forecast of zero, the median: see `rmsse`.
    pub mase: Option<f64>,
    /// Mean of sMAPE and MASE relative to Naive2's; none when either is zero or missing there, or Naive2 was not judged.
    pub owa: Option<f64>,
    /// Mean root mean squared scaled error (`accuracy::rmsse`) over the series whose history varies: how well the expected
    /// demand is met, rare demand included; none when no history varies.
    pub rmsse: Option<f64>,
    /// Mean pinball loss of the quantiles 0.1, 0.5 and 0.9, in units of demand.
    pub pinball: f64,
    /// Mean over the series whose history varies of the pinball loss ÷ the history's mean absolute one-step difference, so that
    /// every series counts alike; none when no history varies.
    pub scaled_pinball: Option<f64>,
    /// Share of days inside the interval from the quantile 0.1 to 0.9. 0.8 is right for demand that is seldom zero; where more
    /// than a tenth of the days are zero nothing can lie below the interval, so that 0.9 is right: see `exceeded`.
    pub coverage: f64,
    /// Share of days above the quantile 0.9: 0.1 is right, also with many days of zero, and less only where demand is rarer than
    /// every tenth day.
    pub exceeded: f64,
}

/// A backtest of all methods on the same days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BacktestReport {
    /// Days that were forecast.
    pub test_days: usize,
    /// Series that were tested.
    pub series_tested: usize,
    /// Series left out because fewer than two seasons were left before the tested days.
    pub series_too_short: usize,
    /// One entry per method, the model first.
    pub methods: Vec<Backtest>,
}

/// The figures of a model that was fitted earlier.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBacktest {
    /// The series that were judged, in order; give them to `backtest_of` for another model's figures on the same days.
    pub keys: Vec<SeriesKey>,
    /// The model's figures; it has no OWA, which needs Naive2 beside it.
    pub figures: Backtest,
}

/// Fits on all but the last `test_days` of each series and judges the forecasts of those days.
///
/// # Errors
/// When a series is bad, `test_days` is out of range, or no series is long enough.
pub fn backtest(
    series: &[DailySeries],
    settings: &FitSettings,
    test_days: usize,
) -> Result<BacktestReport, DemandError> {
    backtest_of(series, settings, test_days, |_| true)
}

/// As `backtest`: fits all series, but judges those only whose key is wanted. `series_too_short` counts among these.
///
/// # Errors
/// When a series is bad, `test_days` is out of range, or no wanted series is long enough.
pub fn backtest_of(
    series: &[DailySeries],
    settings: &FitSettings,
    test_days: usize,
    is_wanted: impl Fn(&SeriesKey) -> bool,
) -> Result<BacktestReport, DemandError> {
    backtest_by(series, settings, test_days, is_wanted, DemandModel::fit)
}

/// As `backtest_of`, of a model that adds up along the market.
///
/// # Errors
/// As `backtest_of`, and as `DemandModel::fit_market`.
pub fn backtest_market(
    series: &[DailySeries],
    market: &Market,
    settings: &FitSettings,
    test_days: usize,
    is_wanted: impl Fn(&SeriesKey) -> bool,
) -> Result<BacktestReport, DemandError> {
    let fit = |series: &[DailySeries], settings: &FitSettings| Ok(DemandModel::fit_market(series, market, settings)?.0);
    backtest_by(series, settings, test_days, is_wanted, fit)
}

fn backtest_by(
    series: &[DailySeries],
    settings: &FitSettings,
    test_days: usize,
    is_wanted: impl Fn(&SeriesKey) -> bool,
    fit: impl Fn(&[DailySeries], &FitSettings) -> Result<DemandModel, DemandError>,
) -> Result<BacktestReport, DemandError> {
    check_horizon(test_days, MAX_HORIZON_DAYS)?;
    let histories: Vec<DailySeries> = series.iter().filter_map(|daily| without_last(daily, test_days)).collect();
    let (mut splits, mut series_too_short) = (Vec::new(), 0);
    for daily in series.iter().filter(|daily| is_wanted(&daily.key)) {
        let history_days = daily.quantities.len().saturating_sub(test_days);
        match Split::of(daily, settings, history_days, test_days)? {
            Some(split) => splits.push(split),
            None => series_too_short += 1,
        }
    }
    if splits.is_empty() {
        let needed = fewest_days(settings).saturating_add(test_days);
        return Err(DemandError::NothingToTest { test_days, needed });
    }
    let model = fit(&histories, &FitSettings { horizon_days: test_days, ..*settings })?;
    let of_model = splits.par_iter().map(|split| split.score_model(&model)).collect::<Result<Vec<_>, _>>()?;
    let mut methods = vec![average(MODEL, &of_model)];
    for method in YARDSTICKS {
        let scores = splits.par_iter().map(|split| split.score_method(method)).collect::<Result<Vec<_>, _>>()?;
        methods.push(average(method.name(), &scores));
    }
    let (base_smape, base_mase) = (methods[YARDSTICKS.len()].smape, methods[YARDSTICKS.len()].mase);
    for method in &mut methods {
        let relative = method.mase.zip(base_mase).map(|(mase, base)| owa(method.smape, mase, base_smape, base));
        method.owa = relative.filter(|owa| owa.is_finite());
    }
    Ok(BacktestReport { test_days, series_tested: splits.len(), series_too_short, methods })
}

/// Judges a fitted model on the `days` from `first_day` (days since 1970-01-01 UTC) of those series that hold these days and two
/// seasons before them, that the model knows, from whose tested days it has not learned, and to whose last day it reaches. None
/// when there is no such series.
///
/// # Errors
/// When a series is bad or `days` is out of range.
pub fn judge_stored(
    model: &DemandModel,
    series: &[DailySeries],
    first_day: i64,
    days: usize,
) -> Result<Option<StoredBacktest>, DemandError> {
    check_horizon(days, MAX_HORIZON_DAYS)?;
    let mut splits = Vec::new();
    for daily in series {
        let history_days = usize::try_from(first_day.saturating_sub(daily.first_day)).unwrap_or(0);
        let split = Split::of(daily, model.settings(), history_days, days)?;
        splits.extend(split.filter(|split| split.is_answered_by(model)));
    }
    if splits.is_empty() {
        return Ok(None);
    }
    splits.sort_by_key(|split| split.key);
    let scores = splits.par_iter().map(|split| split.score_model(model)).collect::<Result<Vec<_>, _>>()?;
    let keys = splits.iter().map(|split| split.key).collect();
    Ok(Some(StoredBacktest { keys, figures: average(MODEL, &scores) }))
}

/// Two seasons are the least that a forecast is judged after.
fn fewest_days(settings: &FitSettings) -> usize {
    settings.season_days.saturating_mul(2)
}

fn without_last(daily: &DailySeries, days: usize) -> Option<DailySeries> {
    let length = daily.quantities.len().checked_sub(days).filter(|length| *length > 0)?;
    Some(DailySeries { key: daily.key, first_day: daily.first_day, quantities: daily.quantities[..length].to_vec() })
}

/// A series cut into its history and the days that are judged.
struct Split<'a> {
    key: SeriesKey,
    history: Series<'a>,
    /// The first judged day.
    first_day: i64,
    actual: &'a [f64],
}

impl<'a> Split<'a> {
    /// None when fewer than two seasons lie before the judged days, or the series ends before their last.
    fn of(
        daily: &'a DailySeries,
        settings: &FitSettings,
        history_days: usize,
        days: usize,
    ) -> Result<Option<Split<'a>>, DemandError> {
        let whole = checked(daily, settings)?;
        let end = history_days.saturating_add(days);
        if history_days < fewest_days(settings) || end > daily.quantities.len() {
            return Ok(None);
        }
        Ok(Some(Split {
            key: daily.key,
            history: whole.until(history_days),
            first_day: daily.first_day.saturating_add(history_days as i64),
            actual: &daily.quantities[history_days..end],
        }))
    }

    /// The step ahead, counted from 0, of the first judged day, if the model reaches all judged days and has seen none.
    fn first_step(&self, model: &DemandModel) -> Option<usize> {
        let fitted = model.fitted(&self.key)?;
        let step = usize::try_from(self.first_day.saturating_sub(fitted.next_day)).ok()?;
        (step.saturating_add(self.actual.len()) <= fitted.points.len()).then_some(step)
    }

    fn is_answered_by(&self, model: &DemandModel) -> bool {
        self.first_step(model).is_some()
    }

    fn score_model(&self, model: &DemandModel) -> Result<Score, DemandError> {
        let found = model.fitted(&self.key).zip(self.first_step(model));
        let (fitted, step) = found.ok_or_else(|| DemandError::Unknown { key: Box::new(self.key) })?;
        let steps = step..step + self.actual.len();
        let column = |level: f64| steps.clone().map(|step| fitted.quantile(step, level)).collect();
        self.score(&fitted.points[steps.clone()], LEVELS.map(column))
    }

    fn score_method(&self, method: &dyn Method) -> Result<Score, DemandError> {
        let blame = |source| DemandError::Series { key: Box::new(self.key), source };
        let not_negative = |value: f64| value.max(0.0);
        let horizon = self.actual.len();
        let points = method.forecast(&self.history, horizon).map_err(blame)?.values;
        let points: Vec<f64> = points.into_iter().map(not_negative).collect();
        let errors = PastErrors::collect(method, &self.history, horizon, not_negative).map_err(blame)?;
        let (_, rows) = errors.quantiles(&points, &LEVELS).map_err(blame)?;
        let column = |level: usize| rows.iter().map(|row| not_negative(row[level])).collect();
        self.score(&points, [column(0), column(1), column(2)])
    }

    fn score(&self, points: &[f64], quantiles: [Vec<f64>; 3]) -> Result<Score, DemandError> {
        let (history, actual) = (self.history.values(), self.actual);
        // Lengths are equal and not zero by construction; only scaled measures can lack a value, when the history is constant.
        let lengths = |_| ForecastError::Horizon { found: points.len(), most: actual.len() };
        let mut loss = 0.0;
        for (level, quantile) in LEVELS.iter().zip(&quantiles) {
            loss += pinball(actual, quantile, *level).map_err(lengths)? / LEVELS.len() as f64;
        }
        let exceeded = actual.iter().zip(&quantiles[2]).filter(|(actual, quantile)| actual > quantile).count();
        Ok(Score {
            exceeded: exceeded as f64 / actual.len() as f64,
            smape: smape(actual, points).map_err(lengths)?,
            mase: mase(history, self.history.season_length(), actual, points).ok(),
            rmsse: rmsse(history, actual, points).ok(),
            pinball: loss,
            scaled_pinball: pinball_scale(history).ok().map(|scale| loss / scale),
            coverage: coverage(actual, &quantiles[0], &quantiles[2]).map_err(lengths)?,
        })
    }
}

struct Score {
    smape: f64,
    mase: Option<f64>,
    rmsse: Option<f64>,
    pinball: f64,
    scaled_pinball: Option<f64>,
    coverage: f64,
    exceeded: f64,
}

fn average(method: &str, scores: &[Score]) -> Backtest {
    let mean = |of: fn(&Score) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    let mean_of_some = |of: fn(&Score) -> Option<f64>| {
        let some: Vec<f64> = scores.iter().filter_map(of).collect();
        (!some.is_empty()).then(|| some.iter().sum::<f64>() / some.len() as f64)
    };
    Backtest {
        method: method.to_string(),
        smape: mean(|score| score.smape),
        mase: mean_of_some(|score| score.mase),
        owa: None,
        rmsse: mean_of_some(|score| score.rmsse),
        pinball: mean(|score| score.pinball),
        scaled_pinball: mean_of_some(|score| score.scaled_pinball),
        coverage: mean(|score| score.coverage),
        exceeded: mean(|score| score.exceeded),
    }
}
