//! The yardsticks: seasonal naive, mean, and Naive2; nothing here is fitted.

use crate::seasonality::{Season, mean};
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon, deviation};

/// Repeats the last season: step h is the value one season before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeasonalNaive;

impl Method for SeasonalNaive {
    fn name(&self) -> &'static str {
        "seasonal_naive"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let m = series.season_length();
        series.need(self.name(), m)?;
        let last = &series.values()[series.values().len() - m..];
        let pairs = series.values()[m..].iter().zip(series.values());
        let spread = deviation(pairs.map(|(later, earlier)| later - earlier), 0);
        Ok(PointForecast {
            values: (0..horizon).map(|h| last[h % m]).collect(),
            spreads: (0..horizon).map(|h| spread * ((1 + h / m) as f64).sqrt()).collect(),
            model: self.name().into(),
            fallback: None,
        })
    }
}

/// The mean of all values, at every step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean;

impl Method for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let mean = mean(series.values());
        let spread = deviation(series.values().iter().map(|value| value - mean), 1);
        let uncertain = (1.0 + 1.0 / series.values().len() as f64).sqrt();
        Ok(PointForecast {
            values: vec![mean; horizon],
            spreads: vec![spread * uncertain; horizon],
            model: self.name().into(),
            fallback: None,
        })
    }
}

/// The last value without its season, with the season of each step put back (Makridakis and Hibon 2000): the M competitions'
/// benchmark. Without a season it is the last value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Naive2;

impl Method for Naive2 {
    fn name(&self) -> &'static str {
        "naive2"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let season = Season::of(series);
        let n = series.values().len();
        let level = season.removed(n - 1, series.values()[n - 1]);
        let plain: Vec<f64> = series.values().iter().enumerate().map(|(t, value)| season.removed(t, *value)).collect();
        let spread = deviation(plain.windows(2).map(|pair| pair[1] - pair[0]), 0);
        Ok(PointForecast {
            values: (0..horizon).map(|h| season.restored(n + h, level)).collect(),
            spreads: (0..horizon).map(|h| season.widened(n + h, spread * ((1 + h) as f64).sqrt())).collect(),
            model: self.name().into(),
            fallback: None,
        })
    }
}
