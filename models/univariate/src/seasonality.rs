//! Is there a season, and what does it look like: the autocorrelation test and the classical decomposition.
//!
//! Test (Makridakis and Hibon 2000, Fiorucci et al. 2016): a series of at least three seasons of length m is seasonal when the
//! autocorrelation at lag m, in size, exceeds 1.645 standard errors, √((1 + 2·(sum of the squared autocorrelations at the lags
//! below m)) / n): a two-sided test at 10 %.
//!
//! Decomposition (Kendall and Stuart 1983): the trend is a centred moving average over one season; a season's index is the mean
//! over its steps of value ÷ trend, scaled to mean 1 (multiplicative), or of value − trend, shifted to mean 0 (additive).
//! Multiplicative is used when all values and indices are positive.

use crate::series::Series;

/// Quantile of the normal distribution for a two-sided test at 10 %.
const CRITICAL: f64 = 1.645;
/// Smallest multiplicative index; below it division would blow noise up.
const SMALLEST_INDEX: f64 = 0.01;

/// How a season acts; the index of step t is at `t % season_length`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Season {
    None,
    Multiplicative(Vec<f64>),
    Additive(Vec<f64>),
}

impl Season {
    /// The season of a series, if the test finds one.
    pub(crate) fn of(series: &Series) -> Season {
        if !is_seasonal(series) {
            return Season::None;
        }
        if series.values().iter().all(|value| *value > 0.0) {
            let mut indices = raw_indices(series.values(), series.season_length(), |value, trend| value / trend);
            let mean = mean(&indices);
            indices.iter_mut().for_each(|index| *index /= mean);
            if indices.iter().all(|index| *index > SMALLEST_INDEX) {
                return Season::Multiplicative(indices);
            }
        }
        Season::Additive(additive_indices(series.values(), series.season_length()))
    }

    /// The value at step `t` without the season.
    pub(crate) fn removed(&self, t: usize, value: f64) -> f64 {
        match self {
            Season::None => value,
            Season::Multiplicative(indices) => value / indices[t % indices.len()],
            Season::Additive(indices) => value - indices[t % indices.len()],
        }
    }

    /// The value at step `t` with the season.
    pub(crate) fn restored(&self, t: usize, value: f64) -> f64 {
        match self {
            Season::None => value,
            Season::Multiplicative(indices) => value * indices[t % indices.len()],
            Season::Additive(indices) => value + indices[t % indices.len()],
        }
    }

    /// The standard deviation at step `t` with the season.
    pub(crate) fn widened(&self, t: usize, spread: f64) -> f64 {
        match self {
            Season::Multiplicative(indices) => spread * indices[t % indices.len()],
            Season::None | Season::Additive(_) => spread,
        }
    }
}

/// The mean of at least one value.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn is_seasonal(series: &Series) -> bool {
    let (values, m) = (series.values(), series.season_length());
    let n = values.len();
    if m < 2 || n < 3 * m {
        return false;
    }
    let mean = mean(values);
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if variance <= f64::EPSILON * mean * mean * n as f64 {
        return false;
    }
    let correlation = |lag: usize| {
        let products = values[lag..].iter().zip(values).map(|(later, earlier)| (later - mean) * (earlier - mean));
        products.sum::<f64>() / variance
    };
    let squares: f64 = (1..m).map(|lag| correlation(lag).powi(2)).sum();
    correlation(m).abs() > CRITICAL * ((1.0 + 2.0 * squares) / n as f64).sqrt()
}

/// The additive season by phase, of at least two seasons of values; its mean is 0.
pub(crate) fn additive_indices(values: &[f64], m: usize) -> Vec<f64> {
    let mut indices = raw_indices(values, m, |value, trend| value - trend);
    let mean = mean(&indices);
    indices.iter_mut().for_each(|index| *index -= mean);
    indices
}

/// Mean over each season's steps of `compare(value, trend)`, where the centred moving average is the trend.
fn raw_indices(values: &[f64], m: usize, compare: fn(f64, f64) -> f64) -> Vec<f64> {
    let half = m / 2;
    let (mut sums, mut counts) = (vec![0.0; m], vec![0.0; m]);
    for t in half..values.len() - half {
        // An even season takes half of each end, so that the average is centred on a step.
        let window: f64 = values[t - half..=t + half].iter().sum();
        let ends = if m.is_multiple_of(2) { (values[t - half] + values[t + half]) / 2.0 } else { 0.0 };
        sums[t % m] += compare(values[t], (window - ends) / m as f64);
        counts[t % m] += 1.0;
    }
    sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect()
}
