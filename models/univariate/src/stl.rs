//! Seasonal-trend decomposition by local regression (STL), for one season or several (MSTL); weights against outliers are left
//! out.
//!
//! Cleveland, Cleveland, McRae and Terpenning 1990; Bandara, Hyndman and Bergmeir 2021 for several seasons. Loess of window q at a
//! point weighs its q nearest values by (1 − (distance ÷ largest)³)³ and takes their weighted mean (degree 0) or the value of their
//! weighted line (degree 1); a window longer than the series widens the largest distance. One round of the inner loop:
//!
//! 1. The values less the trend are cut into one subseries for each phase of the season; each is smoothed by loess of the
//!    seasonal window and continued by one season at both ends.
//! 2. The result is smoothed by moving averages of m, m and 3 steps and loess of the shortest odd window not below m; what is left
//!    of the result without this is the season.
//! 3. The values less the season are smoothed by loess of the trend's window: the trend.
//!
//! With several seasons each is estimated in turn, the shortest first, from the values less the others, twice.

/// Rounds of the inner loop.
const ROUNDS: usize = 2;
/// Rounds over several seasons.
const SEASON_ROUNDS: usize = 2;

/// Smoothing windows of the k-th season, in seasons: 11, 15, 19 … as in R's `mstl`.
pub(crate) fn seasonal_window(place: usize) -> usize {
    11 + 4 * place
}

/// A series taken apart; the parts add up to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parts {
    /// One series for each season, in their order.
    pub(crate) seasons: Vec<Vec<f64>>,
    pub(crate) trend: Vec<f64>,
    pub(crate) remainder: Vec<f64>,
}

/// Takes `values` apart; each of `periods` is 2 or more and fits twice into them.
pub(crate) fn decompose(values: &[f64], periods: &[usize]) -> Parts {
    let mut seasons = vec![vec![0.0; values.len()]; periods.len()];
    let mut plain = values.to_vec();
    let mut trend = vec![0.0; values.len()];
    let rounds = if periods.len() > 1 { SEASON_ROUNDS } else { 1 };
    for _ in 0..rounds {
        for (place, (period, season)) in periods.iter().zip(&mut seasons).enumerate() {
            plain.iter_mut().zip(&*season).for_each(|(value, part)| *value += part);
            (*season, trend) = one_season(&plain, *period, seasonal_window(place));
            plain.iter_mut().zip(&*season).for_each(|(value, part)| *value -= part);
        }
    }
    let remainder = plain.iter().zip(&trend).map(|(value, trend)| value - trend).collect();
    Parts { seasons, trend, remainder }
}

/// Season and trend.
fn one_season(values: &[f64], period: usize, window: usize) -> (Vec<f64>, Vec<f64>) {
    let n = values.len();
    let low_window = period | 1;
    let trend_window = odd_from((1.5 * period as f64 / (1.0 - 1.5 / window as f64)).ceil() as usize);
    let (mut season, mut trend) = (vec![0.0; n], vec![0.0; n]);
    for _ in 0..ROUNDS {
        let detrended: Vec<f64> = values.iter().zip(&trend).map(|(value, trend)| value - trend).collect();
        let cycle = smoothed_phases(&detrended, period, window);
        let low = averages(&averages(&averages(&cycle, period), period), 3);
        let low = loess(&low, low_window, Degree::Line, 0..low.len() as isize);
        season = cycle[period..].iter().zip(&low).map(|(cycle, low)| cycle - low).collect();
        let plain: Vec<f64> = values.iter().zip(&season).map(|(value, season)| value - season).collect();
        trend = loess(&plain, trend_window, Degree::Line, 0..n as isize);
    }
    (season, trend)
}

fn odd_from(length: usize) -> usize {
    length | 1
}

/// Each phase smoothed over its seasons, with one season before and one after.
fn smoothed_phases(values: &[f64], period: usize, window: usize) -> Vec<f64> {
    let mut cycle = vec![0.0; values.len() + 2 * period];
    for phase in 0..period {
        let of_phase: Vec<f64> = values[phase..].iter().step_by(period).copied().collect();
        let smooth = loess(&of_phase, window, Degree::Mean, -1..of_phase.len() as isize + 1);
        cycle[phase..].iter_mut().step_by(period).zip(smooth).for_each(|(place, value)| *place = value);
    }
    cycle
}

/// Means of all runs of `length` values.
fn averages(values: &[f64], length: usize) -> Vec<f64> {
    let mut sum: f64 = values[..length].iter().sum();
    let mut means = vec![sum / length as f64];
    for (out, into) in values.iter().zip(&values[length..]) {
        sum += into - out;
        means.push(sum / length as f64);
    }
    means
}

/// Degree of the local polynomial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Degree {
    Mean,
    Line,
}

/// Loess of values at 0, 1, 2 … at each of `points`, which may lie outside.
pub(crate) fn loess(values: &[f64], window: usize, degree: Degree, points: std::ops::Range<isize>) -> Vec<f64> {
    points.map(|point| loess_at(values, window, degree, point as f64)).collect()
}

fn loess_at(values: &[f64], window: usize, degree: Degree, point: f64) -> f64 {
    let n = values.len();
    let length = window.min(n);
    let half = (length - 1) as f64 / 2.0;
    let first = (point - half).ceil().clamp(0.0, (n - length) as f64) as usize;
    let farthest = (point - first as f64).max((first + length - 1) as f64 - point);
    let reach = (farthest + window.saturating_sub(n) as f64 / 2.0).max(1.0);
    let (mut weights, mut sum, mut moment) = (0.0, 0.0, 0.0);
    let (mut square, mut product) = (0.0, 0.0);
    for (place, value) in values[first..first + length].iter().enumerate() {
        let offset = (first + place) as f64 - point;
        let share = offset.abs() / reach;
        // The tricube, with the flat middle and the cut end of the original program.
        let weight = match share {
            _ if share > 0.999 => continue,
            _ if share < 0.001 => 1.0,
            _ => (1.0 - share * share * share).powi(3),
        };
        weights += weight;
        sum += weight * value;
        moment += weight * offset;
        square += weight * offset * offset;
        product += weight * offset * value;
    }
    if weights <= 0.0 {
        return values[first];
    }
    let (mean, centre) = (sum / weights, moment / weights);
    let variance = square / weights - centre * centre;
    let range = (n - 1) as f64;
    if degree == Degree::Mean || variance.sqrt() <= 0.001 * range {
        return mean;
    }
    mean - centre * (product / weights - centre * mean) / variance
}
