//! Forecasting any series whatever it is: missing values filled, and a simpler method where the wanted one fails; the fallbacks
//! are named in the answer.

use crate::naive::{Mean, SeasonalNaive};
use crate::series::{ForecastError, Method, PointForecast, Series};
use crate::theta::Theta;

/// Simpler and simpler; the last one forecasts every series.
const SIMPLER: [&dyn Method; 3] = [&Theta, &SeasonalNaive, &Mean];

/// The method's forecast, or that of the first simpler one that answers with finite values: Theta, seasonal naive, mean. A
/// constant series continues as it is.
///
/// # Errors
/// When the horizon is out of range.
pub fn forecast_or_simpler(
    method: &dyn Method,
    series: &Series,
    horizon: usize,
) -> Result<PointForecast, ForecastError> {
    let values = series.values();
    if values.iter().all(|value| *value == values[0]) {
        let reason = (values.len() > 1).then(|| "every value is the same; mean answered".to_owned());
        return Ok(PointForecast { fallback: reason, ..Mean.forecast(series, horizon)? });
    }
    let mut reasons = Vec::new();
    let mut failed = ForecastError::Length { found: values.len() };
    for candidate in std::iter::once(method).chain(SIMPLER) {
        match candidate.forecast(series, horizon) {
            Ok(forecast) if is_finite(&forecast) && reasons.is_empty() => return Ok(forecast),
            Ok(forecast) if is_finite(&forecast) => {
                let fallback = format!("{}; {} answered", reasons.join("; "), candidate.name());
                return Ok(PointForecast { fallback: Some(fallback), ..forecast });
            }
            Ok(_) => reasons.push(format!("{} left the finite numbers", candidate.name())),
            Err(error @ ForecastError::Horizon { .. }) => return Err(error),
            Err(error) => {
                reasons.push(error.to_string());
                failed = error;
            }
        }
    }
    Err(failed)
}

fn is_finite(forecast: &PointForecast) -> bool {
    forecast.values.iter().chain(&forecast.spreads).all(|value| value.is_finite())
}

/// Fills missing values (NaN): those between known ones by the straight line between these, those at the ends by the nearest
/// one. Returns how many were filled.
///
/// # Errors
/// When a value is infinite, or none is known.
pub fn fill_missing(values: &mut [f64]) -> Result<usize, ForecastError> {
    if let Some(index) = values.iter().position(|value| value.is_infinite()) {
        return Err(ForecastError::NotFinite { index, value: values[index] });
    }
    let known: Vec<usize> = (0..values.len()).filter(|at| !values[*at].is_nan()).collect();
    let (Some(&first), Some(&last)) = (known.first(), known.last()) else {
        return Err(ForecastError::NotFinite { index: 0, value: f64::NAN });
    };
    let (before, after) = (values[first], values[last]);
    values[..first].fill(before);
    values[last + 1..].fill(after);
    for pair in known.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let (low, high) = (values[from], values[to]);
        let share = |step: usize| (step + 1) as f64 / (to - from) as f64;
        let between = values[from + 1..to].iter_mut().enumerate();
        between.for_each(|(step, value)| *value = low + (high - low) * share(step));
    }
    Ok(values.len() - known.len())
}
