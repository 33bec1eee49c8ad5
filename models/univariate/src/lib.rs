//! Forecasting methods of one series, their combinations and their judge; what a series is of, and many series at once, are left
//! to others.

pub mod accuracy;
mod calibration;
mod catalogue;
mod ces;
mod combination;
mod ets;
mod fallback;
mod intermittent;
pub mod judge;
mod mstl;
mod naive;
mod optimise;
mod rare;
mod reverting;
mod seasonality;
mod series;
mod stl;
mod theta;
mod theta_models;
pub mod weighted;
mod weights;

pub use calibration::{Calibration, Ends};
pub use catalogue::{METHODS, method_named};
pub use ces::Ces;
pub use combination::MedianOfThree;
pub use ets::Ets;
pub use fallback::{fill_missing, forecast_or_simpler};
pub use intermittent::{CrostonSba, DemandPattern, Tsb};
pub use mstl::Mstl;
pub use naive::{Mean, Naive2, SeasonalNaive};
pub use rare::{Adida, CrostonClassic, CrostonOptimised, Imapa};
pub use reverting::Reverting;
pub use seasonality::mean;
pub use series::{ForecastError, MAX_HORIZON, MAX_LENGTH, Method, PointForecast, Series, check_horizon};
pub use theta::Theta;
pub use theta_models::{AutoTheta, ThetaModel};
pub use weighted::Learned;
