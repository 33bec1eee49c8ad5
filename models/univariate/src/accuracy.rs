//! How good forecasts were: sMAPE, MASE, OWA, pinball loss and coverage; it makes no forecasts.

/// Why a measure has no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AccuracyError {
    /// The lists differ in length or are empty.
    #[error("{left} values against {right}; the same number, at least one, is needed")]
    Length {
        /// Length of the first list.
        left: usize,
        /// Length of the second list.
        right: usize,
    },
    /// The history does not vary, so that there is nothing to scale by.
    #[error("a naive method makes no error on this history, so that there is nothing to scale by")]
    NoScale,
}

fn paired(left: &[f64], right: &[f64]) -> Result<(), AccuracyError> {
    if left.len() == right.len() && !left.is_empty() {
        return Ok(());
    }
    Err(AccuracyError::Length { left: left.len(), right: right.len() })
}

/// Symmetric mean absolute percentage error as in the M3 competition: mean of 200·|a − f| ÷ (|a| + |f|), 0 to 200; a step where
/// both are zero counts as no error.
///
/// # Errors
/// When the lengths differ or are zero.
pub fn smape(actual: &[f64], forecast: &[f64]) -> Result<f64, AccuracyError> {
    paired(actual, forecast)?;
    let term = |(a, f): (&f64, &f64)| if a == f { 0.0 } else { 200.0 * (a - f).abs() / (a.abs() + f.abs()) };
    Ok(actual.iter().zip(forecast).map(term).sum::<f64>() / actual.len() as f64)
}

/// Mean absolute scaled error (Hyndman and Koehler 2006): mean absolute error ÷ the mean absolute error that the seasonal naive
/// method makes on the history, one season ahead; 1 is as good as that.
///
/// # Errors
/// When the lengths differ or are zero, or the history gives no scale.
pub fn mase(history: &[f64], season_length: usize, actual: &[f64], forecast: &[f64]) -> Result<f64, AccuracyError> {
    paired(actual, forecast)?;
    let scale = seasonal_scale(history, season_length)?;
    let errors = actual.iter().zip(forecast).map(|(a, f)| (a - f).abs());
    Ok(errors.sum::<f64>() / actual.len() as f64 / scale)
}

/// Mean absolute difference of values one season apart, by which MASE and MSIS are divided.
///
/// # Errors
/// When the history is not longer than a season, or repeats itself.
pub fn seasonal_scale(history: &[f64], season_length: usize) -> Result<f64, AccuracyError> {
    let later = history.get(season_length..).unwrap_or_default();
    let scale = later.iter().zip(history).map(|(b, a)| (b - a).abs()).sum::<f64>() / later.len() as f64;
    if scale > 0.0 { Ok(scale) } else { Err(AccuracyError::NoScale) }
}

/// Root mean squared scaled error (Makridakis, Spiliotis and Assimakopoulos 2022, M5): the square root of mean squared error ÷
/// mean squared one-step difference of the history.
///
/// This is the measure for rare demand. Absolute errors (MASE, sMAPE) are least for the median, which is zero as soon as more
/// than half of the days are, so that they reward a forecast of nothing; squared errors are least for the expected demand, which
/// is what stock is planned by.
///
/// # Errors
/// When the lengths differ or are zero, or the history does not vary.
pub fn rmsse(history: &[f64], actual: &[f64], forecast: &[f64]) -> Result<f64, AccuracyError> {
    paired(actual, forecast)?;
    let scale = one_step(history, |difference| difference * difference)?;
    let errors = actual.iter().zip(forecast).map(|(a, f)| (a - f).powi(2));
    Ok((errors.sum::<f64>() / actual.len() as f64 / scale).sqrt())
}

/// Mean absolute one-step difference of the history, by which a pinball loss is divided to be comparable across series (the
/// scaled pinball loss of M5).
///
/// # Errors
/// When the history does not vary.
pub fn pinball_scale(history: &[f64]) -> Result<f64, AccuracyError> {
    one_step(history, f64::abs)
}

fn one_step(history: &[f64], size: fn(f64) -> f64) -> Result<f64, AccuracyError> {
    let differences = history.windows(2).map(|pair| size(pair[1] - pair[0]));
    let scale = differences.sum::<f64>() / history.len().saturating_sub(1) as f64;
    if scale > 0.0 { Ok(scale) } else { Err(AccuracyError::NoScale) }
}

/// Overall weighted average of the M4 competition: the mean of sMAPE and MASE, each relative to Naive2's; below 1 is better.
pub fn owa(smape: f64, mase: f64, naive2_smape: f64, naive2_mase: f64) -> f64 {
    (smape / naive2_smape + mase / naive2_mase) / 2.0
}

/// Mean pinball loss of forecasts of the quantile `level`: level·(a − f) when the actual is above, (1 − level)·(f − a) below.
///
/// # Errors
/// When the lengths differ or are zero.
pub fn pinball(actual: &[f64], forecast: &[f64], level: f64) -> Result<f64, AccuracyError> {
    paired(actual, forecast)?;
    let term = |(a, f): (&f64, &f64)| if a >= f { level * (a - f) } else { (1.0 - level) * (f - a) };
    Ok(actual.iter().zip(forecast).map(term).sum::<f64>() / actual.len() as f64)
}

/// Share of the actual values that lie from `lower` to `upper`, ends included, 0 to 1.
///
/// # Errors
/// When the lengths differ or are zero.
pub fn coverage(actual: &[f64], lower: &[f64], upper: &[f64]) -> Result<f64, AccuracyError> {
    paired(actual, lower)?;
    paired(actual, upper)?;
    let inside = actual.iter().zip(lower.iter().zip(upper)).filter(|(a, (low, high))| low <= a && a <= high);
    Ok(inside.count() as f64 / actual.len() as f64)
}
