//! The methods that a series of demand may get, each with a way to spread a level over the week; choosing is done elsewhere.

use crate::profile::{History, Profile};
use dhow_univariate::{CrostonSba, ForecastError, MedianOfThree, Method, Series, Theta, Tsb};
use serde::{Deserialize, Serialize};

/// How the level is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Technique {
    /// The mean of the history.
    Mean,
    /// The mean of the latest days.
    MovingAverage { days: u16 },
    /// A mean in which a day weighs half as much as one `half_life_days` later: simple exponential smoothing with
    /// α = 1 − 2^(−1 ÷ half-life), whose start weighs no more than its age allows.
    Discounted { half_life_days: u16 },
    /// `Tsb`.
    Tsb,
    /// `CrostonSba`.
    CrostonSba,
    /// `Theta`, which finds its season itself.
    Theta,
    /// `MedianOfThree`: the median of ETS, CES and the dynamic optimised Theta model, which find their seasons themselves.
    Median,
}

/// How the level is spread over the days of the season.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// Every day alike.
    Flat,
    /// As in the region.
    Shared,
    /// As in the series itself, shrunk to the region's.
    Own,
}

/// Seasons that the region's profile counts for beside a series' own.
const PRIOR_SEASONS: f64 = 12.0;

/// A way to forecast one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) technique: Technique,
    pub(crate) shape: Shape,
}

const fn candidate(technique: Technique, shape: Shape) -> Candidate {
    Candidate { technique, shape }
}

const fn discounted(half_life_days: u16, shape: Shape) -> Candidate {
    candidate(Technique::Discounted { half_life_days }, shape)
}

/// All that are validated; the first is the fallback.
pub(crate) const CANDIDATES: [Candidate; 16] = [
    candidate(Technique::Mean, Shape::Flat),
    candidate(Technique::Mean, Shape::Shared),
    candidate(Technique::Mean, Shape::Own),
    discounted(28, Shape::Flat),
    discounted(7, Shape::Shared),
    discounted(14, Shape::Shared),
    discounted(28, Shape::Shared),
    discounted(56, Shape::Shared),
    discounted(112, Shape::Shared),
    discounted(28, Shape::Own),
    candidate(Technique::MovingAverage { days: 28 }, Shape::Shared),
    candidate(Technique::MovingAverage { days: 56 }, Shape::Shared),
    candidate(Technique::Tsb, Shape::Shared),
    candidate(Technique::CrostonSba, Shape::Shared),
    candidate(Technique::Theta, Shape::Flat),
    candidate(Technique::Median, Shape::Flat),
];

impl Candidate {
    /// A stable name, such as `discounted_mean_28_shared_season`.
    pub(crate) fn name(self) -> String {
        let technique = match self.technique {
            Technique::Mean => "mean".to_owned(),
            Technique::MovingAverage { days } => format!("moving_average_{days}"),
            Technique::Discounted { half_life_days } => format!("discounted_mean_{half_life_days}"),
            Technique::Tsb => "tsb".to_owned(),
            Technique::CrostonSba => "croston_sba".to_owned(),
            Technique::Theta => "theta".to_owned(),
            Technique::Median => "median_of_ets_ces_theta".to_owned(),
        };
        match self.shape {
            Shape::Flat => technique,
            Shape::Shared => technique + "_shared_season",
            Shape::Own => technique + "_own_season",
        }
    }

    /// Theta, ETS and CES follow single sales of a sparse series as if they were a trend, and need some days to find one.
    pub(crate) fn suits(self, is_sparse: bool, is_short: bool) -> bool {
        !matches!(self.technique, Technique::Theta | Technique::Median) || !(is_sparse || is_short)
    }

    /// Non-negative expected demand of the `horizon` days after the history; `region` is the season of its region.
    ///
    /// # Errors
    /// When the method refuses the history or the horizon.
    pub(crate) fn forecast(
        self,
        history: &History,
        season_days: usize,
        region: &Profile,
        horizon: usize,
    ) -> Result<Vec<f64>, ForecastError> {
        let profile = self.profile(history, season_days, region);
        let level = match self.technique {
            Technique::Mean => level(history, &profile, history.values.len(), 1.0),
            Technique::MovingAverage { days } => level(history, &profile, usize::from(days), 1.0),
            Technique::Discounted { half_life_days } => {
                level(history, &profile, history.values.len(), 0.5f64.powf(1.0 / f64::from(half_life_days)))
            }
            Technique::Tsb => open_level(&Tsb, history, season_days, &profile)?,
            Technique::CrostonSba => open_level(&CrostonSba, history, season_days, &profile)?,
            Technique::Theta => return whole(&Theta, history, season_days, horizon),
            Technique::Median => return whole(&MedianOfThree, history, season_days, horizon),
        };
        Ok((history.next_day()..).take(horizon).map(|day| level * profile.factor(day)).collect())
    }

    /// The season that the forecast follows.
    pub(crate) fn profile(self, history: &History, season_days: usize, region: &Profile) -> Profile {
        match self.shape {
            Shape::Flat => Profile::flat(season_days),
            Shape::Shared => region.clone(),
            Shape::Own => region.of_one(history, PRIOR_SEASONS),
        }
    }
}

/// Sales ÷ season's factors over the latest `days`, a day weighing `discount` times as much as the next one.
fn level(history: &History, profile: &Profile, days: usize, discount: f64) -> f64 {
    let (mut sold, mut expected, mut weight) = (0.0, 0.0, 1.0);
    for (value, factor) in history.values.iter().rev().take(days).zip(profile.factors_before(history.next_day())) {
        sold += weight * value;
        expected += weight * factor;
        weight *= discount;
    }
    // A history of closed days only holds no information on the others.
    if expected > 0.0 { sold / expected } else { 0.0 }
}

/// The days that a method finds by itself, with trend and season.
fn whole(
    method: &dyn Method,
    history: &History,
    season_days: usize,
    horizon: usize,
) -> Result<Vec<f64>, ForecastError> {
    let points = method.forecast(&Series::new(history.values, season_days)?, horizon)?.values;
    Ok(points.into_iter().map(|point| point.max(0.0)).collect())
}

/// The level that a method without season finds on the days that are not quiet.
fn open_level(
    method: &dyn Method,
    history: &History,
    season_days: usize,
    profile: &Profile,
) -> Result<f64, ForecastError> {
    let days = (history.first_day..).zip(history.values).filter(|(day, _)| !profile.is_quiet(*day));
    let (factors, values): (Vec<f64>, Vec<f64>) = days.map(|(day, value)| (profile.factor(day), *value)).unzip();
    if values.is_empty() {
        return Ok(0.0);
    }
    let rate = method.forecast(&Series::new(&values, season_days)?, 1)?.values[0];
    Ok(rate * values.len() as f64 / factors.iter().sum::<f64>())
}
