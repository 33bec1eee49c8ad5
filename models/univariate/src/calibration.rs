//! How wide a method's intervals must be, learned from its errors at earlier points of many series; it moves no point forecast.
//!
//! Split conformal prediction with normalised scores (Lei et al. 2018, section 5.2) over rolling origins: each series is
//! forecast again from an earlier point, and the size of every error is divided by a scale: the geometric mean of the spread
//! that the method itself told for that step and of how much the series' latest values changed. Per step ahead the scores of all
//! series make one distribution; the interval of a share p is the point plus and minus the distribution's p-quantile times the
//! scale of today. It holds on average over series where coming errors are as large, in units of the scale, as earlier ones
//! were. One series or few are forecast again from more points.
//!
//! A step with few scores takes those of all steps. Where even these are too few for a share, errors are taken as normal with the
//! scale as their standard deviation.

use crate::fallback::forecast_or_simpler;
use crate::judge::INTERVALS;
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};
use rayon::prelude::*;

/// Earlier points that are wanted of all series together; one of each series is taken at least. Points further back have shorter
/// histories, so that their errors are larger than today's.
const POINTS_WANTED: usize = 100;
/// Most earlier points of one series.
const POINTS_MOST: usize = 40;
/// How much a series changes is read from so many seasons at its end, and from so many values at least.
const RECENT_SEASONS: usize = 3;
const RECENT_VALUES_LEAST: usize = 12;
/// Fewest values before an earlier point.
const SHORTEST_HISTORY: usize = 6;
/// Scores that a step needs for a distribution of its own.
const STEP_SCORES_LEAST: usize = 100;

/// Lower and upper end per step ahead.
pub type Ends = Vec<(f64, f64)>;

/// How wide the intervals of a method must be on a group of series.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Per step ahead: spreads to each side of the point, for each of `INTERVALS`.
    factors: Vec<[f64; 3]>,
    /// Scores that were learned from.
    scores: usize,
    is_normal: [bool; 3],
}

impl Calibration {
    /// Learns from the method's forecasts of each series from earlier points: the latest lies a horizon before its end (or a
    /// third of its values, where it is short), the others are apart by strides that are prime to its season. A series whose
    /// values are all the same, or are too few, gives no score.
    ///
    /// # Errors
    /// When the horizon is out of range.
    pub fn learn(method: &dyn Method, series: &[Series], horizon: usize) -> Result<Calibration, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let points = POINTS_WANTED.div_ceil(series.len().max(1)).clamp(1, POINTS_MOST);
        let scores: Vec<Vec<(usize, f64)>> =
            series.par_iter().map(|series| scores(method, series, horizon, points)).collect();
        let mut by_step = vec![Vec::new(); horizon];
        for scores in &scores {
            let weight = horizon as f64 / scores.len() as f64;
            scores.iter().for_each(|(step, score)| by_step[*step].push((*score, weight)));
        }
        let all: Vec<(f64, f64)> = by_step.iter().flatten().copied().collect();
        let found = all.len();
        let together = quantiles(all);
        let own = |scores: Vec<(f64, f64)>| {
            let is_enough = scores.len() >= STEP_SCORES_LEAST;
            let own = if is_enough { quantiles(scores) } else { [None; 3] };
            [0, 1, 2].map(|at| own[at].or(together[at]).unwrap_or(INTERVALS[at].1))
        };
        Ok(Calibration {
            factors: by_step.into_iter().map(own).collect(),
            scores: found,
            is_normal: together.map(|quantile| quantile.is_none()),
        })
    }

    /// Intervals of the shares of `INTERVALS` around the series' forecast, of at most as many steps as were learned; the ends of
    /// a smaller share lie within those of a larger one. Where no value is negative, no end is.
    pub fn intervals(&self, series: &Series, forecast: &PointForecast) -> [Ends; 3] {
        let is_negative = series.values().iter().chain(&forecast.values).any(|value| *value < 0.0);
        let least = if is_negative { f64::NEG_INFINITY } else { 0.0 };
        let change = recent_change(series);
        [0, 1, 2].map(|at| {
            let steps = forecast.values.iter().zip(&forecast.spreads).zip(&self.factors);
            steps
                .map(|((value, spread), factors)| {
                    let reach = scale(*spread, change) * factors[at];
                    ((value - reach).max(least), (value + reach).max(least))
                })
                .collect()
        })
    }

    /// Errors that were learned from.
    pub fn scores(&self) -> usize {
        self.scores
    }

    /// For which of `INTERVALS` errors were too few, so that they are taken as normal.
    pub fn is_normal(&self) -> [bool; 3] {
        self.is_normal
    }
}

/// Step and score of every error from the series' earlier points.
fn scores(method: &dyn Method, series: &Series, horizon: usize, points: usize) -> Vec<(usize, f64)> {
    let values = series.values();
    let latest = values.len().saturating_sub(horizon).max(values.len() * 2 / 3);
    if latest < SHORTEST_HISTORY {
        return Vec::new();
    }
    let room = latest - SHORTEST_HISTORY;
    let stride = off_season((horizon / 3).min(room / points).max(1), series.season_length());
    let at_point = |origin: usize| {
        let ahead = horizon.min(values.len() - origin);
        // An earlier point that even the simplest method refuses has no error to learn from.
        let history = series.until(origin);
        let forecast = forecast_or_simpler(method, &history, ahead).ok()?;
        let change = recent_change(&history);
        let score = |(step, actual): (usize, &f64)| {
            let scale = scale(forecast.spreads[step], change);
            (scale > 0.0).then(|| (step, (actual - forecast.values[step]).abs() / scale))
        };
        Some(values[origin..origin + ahead].iter().enumerate().filter_map(score).collect::<Vec<_>>())
    };
    (SHORTEST_HISTORY..=latest).rev().step_by(stride).take(points).filter_map(at_point).flatten().collect()
}

/// The scale of a step's error; a series that did not change lately has its spread alone.
fn scale(spread: f64, change: f64) -> f64 {
    if change > 0.0 { (spread * change).sqrt() } else { spread }
}

/// The smaller of the mean absolute one-step and one-season differences of the latest values that are above 0.
fn recent_change(series: &Series) -> f64 {
    let m = series.season_length();
    let recent = m.saturating_mul(RECENT_SEASONS).max(RECENT_VALUES_LEAST);
    let values = &series.values()[series.values().len().saturating_sub(recent)..];
    let mean = |lag: usize| {
        let later = values.get(lag..).unwrap_or_default();
        later.iter().zip(values).map(|(late, early)| (late - early).abs()).sum::<f64>() / later.len().max(1) as f64
    };
    [mean(1), mean(m)].into_iter().filter(|change| *change > 0.0).reduce(f64::min).unwrap_or(0.0)
}

/// The weighted quantile of each of `INTERVALS`; none where so few scores cannot tell.
fn quantiles(mut scores: Vec<(f64, f64)>) -> [Option<f64>; 3] {
    scores.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let (count, total) = (scores.len() as f64, scores.iter().map(|(_, weight)| weight).sum::<f64>());
    INTERVALS.map(|(share, _)| {
        // The coming score is as likely to lie between any two of these (Vovk et al. 2005).
        let wanted = share * total * (count + 1.0) / count;
        let mut below = 0.0;
        let reached = |(_, weight): &&(f64, f64)| {
            below += weight;
            below >= wanted
        };
        scores.iter().find(reached).map(|(score, _)| *score)
    })
}

/// The least stride from `stride` on that shares no factor with the season, so that the points fall on all of its steps.
fn off_season(stride: usize, season_length: usize) -> usize {
    let divisor = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (stride..).find(|stride| divisor(*stride, season_length) == 1).unwrap_or(stride)
}
