//! The median of three methods that err in different ways; weights learned from features are in `weighted`.
//!
//! Petropoulos and Svetunkov 2020 (fourth of the M4 competition with a median of four): at each step the median of the forecasts
//! of automatic ETS, automatic CES and the dynamic optimised Theta model. A method that cannot be fitted is left out and named.

use crate::ces::Ces;
use crate::ets::Ets;
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};
use crate::theta_models::ThetaModel;

const MEMBERS: [&dyn Method; 3] = [&Ets { with_season: true }, &Ces, &ThetaModel::DynamicOptimised];

/// The median of ETS, CES and the dynamic optimised Theta model: a strong default.
#[derive(Debug, Clone, Copy, Default)]
pub struct MedianOfThree;

impl Method for MedianOfThree {
    fn name(&self) -> &'static str {
        "median"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let (mut forecasts, mut missing) = (Vec::with_capacity(MEMBERS.len()), Vec::new());
        let mut last_error = None;
        for member in MEMBERS {
            match member.forecast(series, horizon) {
                Ok(forecast) => forecasts.push(forecast),
                Err(error) => {
                    missing.push(error.to_string());
                    last_error = Some(error);
                }
            }
        }
        if let (true, Some(error)) = (forecasts.is_empty(), last_error) {
            return Err(error);
        }
        let column = |of: fn(&PointForecast) -> &[f64]| -> Vec<f64> {
            (0..horizon).map(|h| median(forecasts.iter().map(|forecast| of(forecast)[h]).collect())).collect()
        };
        let models: Vec<&str> = forecasts.iter().map(|forecast| &*forecast.model).collect();
        Ok(PointForecast {
            values: column(|forecast| &forecast.values),
            spreads: column(|forecast| &forecast.spreads),
            model: format!("median of {}", models.join(", ")).into(),
            fallback: (!missing.is_empty()).then(|| format!("left out: {}", missing.join("; "))),
        })
    }
}

/// The middle value, or the mean of the two in the middle; zero of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count.is_multiple_of(2) => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}
