//! Demand forecasts from one series at a time; it leaves out learning across series, promotions and prices.
//!
//! [`Method`]s turn a [`Series`] into point forecasts: [`SeasonalNaive`], [`Mean`], [`Naive2`], [`Theta`] and
//! [`CrostonSba`]. [`conformal`] adds quantiles from the errors that a method made in the past. [`DemandModel`] picks a
//! method per product, fits many series in parallel and serves daily forecasts; [`backtest`] judges it beside trivial
//! methods; [`accuracy`] holds the measures and [`chart`] draws a fan chart.
//!
//! ```
//! use dhow_forecast::{Method, Series, Theta};
//! let sales = [12.0, 14.0, 13.0, 15.0, 16.0, 15.0, 17.0, 18.0];
//! let forecast = Theta.forecast(&Series::new(&sales, 1)?, 2)?;
//! assert!(forecast.values[1] > forecast.values[0]);
//! # Ok::<(), dhow_forecast::ForecastError>(())
//! ```

pub mod accuracy;
mod backtest;
pub mod chart;
pub mod conformal;
mod demand;
mod intermittent;
mod naive;
mod seasonality;
mod series;
mod theta;

pub use backtest::{Backtest, BacktestReport, backtest};
pub use conformal::{IntervalMethod, MAX_LEVELS};
pub use demand::{
    DailySeries, DayForecast, DemandError, DemandForecast, DemandModel, FitSettings, MAX_HORIZON_DAYS, MAX_SERIES,
    SeriesKey,
};
pub use intermittent::{CrostonSba, DemandPattern};
pub use naive::{Mean, Naive2, SeasonalNaive};
pub use series::{ForecastError, MAX_HORIZON, MAX_LENGTH, Method, PointForecast, Series};
pub use theta::Theta;
