//! Demand forecasts from histories of daily sales: one method per series, one model for all of them, and live states.
//!
//! [`Method`]s turn a [`Series`] into point forecasts: [`SeasonalNaive`], [`Mean`], [`Naive2`], [`Theta`], [`CrostonSba`] and
//! [`Tsb`]. [`DemandModel`] fits many series in parallel: it learns the week that a region's series share, picks a method and a
//! source of quantiles for each series by validation inside its history, and serves daily forecasts; [`backtest`] judges it
//! beside trivial methods and [`judge_stored`] judges one that was fitted earlier; [`accuracy`] holds the measures,
//! [`conformal`] quantiles from past errors of a single method, and [`chart`] draws a fan chart.
//!
//! [`Market`] is what the series of a marketplace add up to; [`DemandModel::fit_market`] makes their forecasts do so.
//! [`GlobalModel`] learns boosted trees from all series of a [`Panel`] with prices, promotions, events and days without stock.
//! [`RecentSales`] takes every sale into the series that hold it; [`LiveDemand`] is a model whose intervals follow them.
//! [`LiveSeries`] is a series' state that every sale updates. [`AdaptiveQuantiles`] gives intervals that
//! follow a stream of errors, and [`coverage`] counts what intervals held.
//!
//! ```
//! use dhow_forecast::{Method, Series, Theta};
//! let sales = [12.0, 14.0, 13.0, 15.0, 16.0, 15.0, 17.0, 18.0];
//! let forecast = Theta.forecast(&Series::new(&sales, 1)?, 2)?;
//! assert!(forecast.values[1] > forecast.values[0]);
//! # Ok::<(), dhow_forecast::ForecastError>(())
//! ```

mod adaptive;
mod adding_up;
mod backtest;
mod beside_naive;
mod candidates;
pub mod chart;
mod choice;
pub mod conformal;
pub mod coverage;
mod demand;
mod fitting;
mod global;
mod global_features;
mod global_panel;
mod live;
mod live_demand;
mod market;
mod profile;
mod recent_sales;
mod samples;

pub use adaptive::AdaptiveQuantiles;
pub use adding_up::Reconciliation;
pub use backtest::{Backtest, BacktestReport, StoredBacktest, backtest, backtest_market, backtest_of, judge_stored};
pub use beside_naive::Accuracy;
pub use conformal::{IntervalMethod, MAX_LEVELS};
pub use demand::{
    DailySeries, DayForecast, DemandError, DemandForecast, DemandModel, FitSettings, MAX_HORIZON_DAYS, MAX_SERIES,
    SeriesKey,
};
pub use dhow_effects::Effects;
pub use dhow_univariate::{
    CrostonSba, DemandPattern, ForecastError, MAX_HORIZON, MAX_LENGTH, Mean, Method, Naive2, PointForecast,
    SeasonalNaive, Series, Theta, Tsb, accuracy,
};
pub use global::{
    BlockRows, ForecastRow, GlobalModel, GlobalSettings, MAX_GLOBAL_HORIZON, forecast_rows, training_rows,
};
pub use global_features::FEATURES;
pub use global_panel::{GlobalError, MAX_PANEL_SERIES, Panel, PanelSeries};
pub use live::{LiveError, LiveSeries, MAX_GAP_DAYS};
pub use live_demand::LiveDemand;
pub use market::{Market, Member, Subject};
pub use recent_sales::{AHEAD_DAYS_MAX, KEPT_DAYS, RecentSales, Sale, SaleError};
