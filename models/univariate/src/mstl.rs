//! Forecasts of series with several seasons, such as a day and a week of hours: decomposition, then a method for what is left.
//!
//! The series is taken apart by MSTL (`stl`); each season continues as its last one. Trend and remainder together are forecast
//! without season: by ETS where the longest season has few steps, as of months, and otherwise by `Reverting`, for what disturbs
//! an hour or a day lasts for some and then goes. Fewer than two seasons of values are no season.

use crate::ets::{Ets, LONGEST_SEASON};
use crate::reverting::Reverting;
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};
use crate::stl::decompose;

/// Of a longer series only the latest values are taken apart, and at least `SEASONS_KEPT` of the longest season.
const LONGEST_FITTED: usize = 4_000;
const SEASONS_KEPT: usize = 12;

/// Decomposition by loess over one season or several, and a method without season for the rest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mstl;

impl Method for Mstl {
    fn name(&self) -> &'static str {
        "mstl"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let kept = LONGEST_FITTED.max(SEASONS_KEPT * series.season_length());
        let values = &series.values()[series.values().len().saturating_sub(kept)..];
        let seasons: Vec<usize> = series.seasons().filter(|season| values.len() >= 2 * season).collect();
        let rest: &dyn Method =
            if series.season_length() > LONGEST_SEASON { &Reverting } else { &Ets { with_season: false } };
        if seasons.is_empty() {
            return rest.forecast(series, horizon);
        }
        let parts = decompose(values, &seasons);
        let plain: Vec<f64> = parts.trend.iter().zip(&parts.remainder).map(|(trend, rest)| trend + rest).collect();
        let mut forecast = rest.forecast(&Series::new(&plain, 1)?, horizon)?;
        for (season, part) in seasons.iter().zip(&parts.seasons) {
            let last = &part[part.len() - season..];
            forecast.values.iter_mut().enumerate().for_each(|(h, value)| *value += last[h % season]);
        }
        forecast.model = format!("MSTL{seasons:?} with {}", forecast.model).into();
        Ok(forecast)
    }
}
