//! Forecasting methods of one series, their combinations and their judge; what a series is of, and many series at once, are left
//! to others.

pub mod accuracy;
mod catalogue;
mod ces;
mod ets;
mod intermittent;
pub mod judge;
mod naive;
mod optimise;
mod seasonality;
mod series;
mod theta;
mod theta_models;

pub use catalogue::{METHODS, method_named};
pub use ces::Ces;
pub use ets::Ets;
pub use intermittent::{CrostonSba, DemandPattern, Tsb};
pub use naive::{Mean, Naive2, SeasonalNaive};
pub use seasonality::mean;
pub use series::{ForecastError, MAX_HORIZON, MAX_LENGTH, Method, PointForecast, Series, check_horizon};
pub use theta::Theta;
pub use theta_models::{AutoTheta, ThetaModel};
