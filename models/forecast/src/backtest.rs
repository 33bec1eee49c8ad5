//! The model judged on the last days of the series, which it has not seen, beside trivial methods; one origin only.

use crate::accuracy::{coverage, mase, owa, pinball, smape};
use crate::conformal::PastErrors;
use crate::demand::{
    DailySeries, DemandError, FitSettings, MAX_HORIZON_DAYS, checked, fit_method, fit_one, not_negative,
};
use crate::naive::{Mean, Naive2, SeasonalNaive};
use crate::series::{ForecastError, Series, check_horizon};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Levels of the quantiles that are judged; the outer two bound an interval of 80 %.
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];
/// The model first, then the methods that it is compared with; the last is the one that OWA is relative to.
const METHODS: [&str; 4] = ["demand_model", "seasonal_naive", "mean", "naive2"];

/// One method's figures, averaged over the series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// `demand_model`, `seasonal_naive`, `mean` or `naive2`.
    pub method: String,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: f64,
    /// Mean absolute scaled error over the series whose history varies; none when no history does.
    pub mase: Option<f64>,
    /// Mean of sMAPE and MASE relative to Naive2's; none when either is zero or missing there.
    pub owa: Option<f64>,
    /// Mean pinball loss of the quantiles 0.1, 0.5 and 0.9, in units of demand.
    pub pinball: f64,
    /// Share of days inside the interval from the quantile 0.1 to 0.9; 0.8 is right.
    pub coverage: f64,
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

/// Fits on all but the last `test_days` of each series and judges the forecasts of those days.
///
/// # Errors
/// When a series is bad, `test_days` is out of range, or no series is long enough.
pub fn backtest(
    series: &[DailySeries],
    settings: &FitSettings,
    test_days: usize,
) -> Result<BacktestReport, DemandError> {
    check_horizon(test_days, MAX_HORIZON_DAYS)?;
    let needed = test_days + 2 * settings.season_days;
    let judge = |daily: &DailySeries| {
        let series = checked(daily, settings)?;
        if series.values().len() < needed {
            return Ok(None);
        }
        let blame = |source| DemandError::Series { key: Box::new(daily.key), source };
        judge_series(&series, test_days).map(Some).map_err(blame)
    };
    let judged = series.par_iter().map(judge).collect::<Result<Vec<_>, DemandError>>()?;
    let judged: Vec<[Score; 4]> = judged.into_iter().flatten().collect();
    if judged.is_empty() {
        return Err(DemandError::NothingToTest { test_days, needed });
    }
    let series_too_short = series.len() - judged.len();
    let mut methods: Vec<Backtest> = (0..METHODS.len()).map(|method| average(&judged, method)).collect();
    let (base_smape, base_mase) = (methods[METHODS.len() - 1].smape, methods[METHODS.len() - 1].mase);
    for method in &mut methods {
        let relative = method.mase.zip(base_mase).map(|(mase, base)| owa(method.smape, mase, base_smape, base));
        method.owa = relative.filter(|owa| owa.is_finite());
    }
    Ok(BacktestReport { test_days, series_tested: judged.len(), series_too_short, methods })
}

struct Score {
    smape: f64,
    mase: Option<f64>,
    pinball: f64,
    coverage: f64,
}

fn judge_series(series: &Series, test_days: usize) -> Result<[Score; 4], ForecastError> {
    let split = series.values().len() - test_days;
    let (history, actual) = (series.until(split), &series.values()[split..]);
    let score = |(points, errors): (Vec<f64>, PastErrors)| score(&history, actual, &points, &errors);
    Ok([
        score(fit_one(&history, test_days)?)?,
        score(fit_method(&SeasonalNaive, &history, test_days)?)?,
        score(fit_method(&Mean, &history, test_days)?)?,
        score(fit_method(&Naive2, &history, test_days)?)?,
    ])
}

fn score(history: &Series, actual: &[f64], points: &[f64], errors: &PastErrors) -> Result<Score, ForecastError> {
    let (_, rows) = errors.quantiles(points, &LEVELS)?;
    let column = |level: usize| -> Vec<f64> { rows.iter().map(|row| not_negative(row[level])).collect() };
    let quantiles = [column(0), column(1), column(2)];
    // Lengths are equal and not zero by construction; only MASE can lack a value, when the history does not vary.
    let lengths = |_| ForecastError::Horizon { found: points.len(), most: actual.len() };
    let mut loss = 0.0;
    for (level, quantile) in LEVELS.iter().zip(&quantiles) {
        loss += pinball(actual, quantile, *level).map_err(lengths)? / LEVELS.len() as f64;
    }
    Ok(Score {
        smape: smape(actual, points).map_err(lengths)?,
        mase: mase(history.values(), history.season_length(), actual, points).ok(),
        pinball: loss,
        coverage: coverage(actual, &quantiles[0], &quantiles[2]).map_err(lengths)?,
    })
}

fn average(judged: &[[Score; 4]], method: usize) -> Backtest {
    let scores = || judged.iter().map(|scores| &scores[method]);
    let mean = |of: fn(&Score) -> f64| scores().map(of).sum::<f64>() / judged.len() as f64;
    let scaled: Vec<f64> = scores().filter_map(|score| score.mase).collect();
    Backtest {
        method: METHODS[method].to_string(),
        smape: mean(|score| score.smape),
        mase: (!scaled.is_empty()).then(|| scaled.iter().sum::<f64>() / scaled.len() as f64),
        owa: None,
        pinball: mean(|score| score.pinball),
        coverage: mean(|score| score.coverage),
    }
}
