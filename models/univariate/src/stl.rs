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
    // Half steps are cut, as in the original program.
    let reach = (farthest + (window.saturating_sub(n) / 2) as f64).max(1.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Loess by the book: sort by distance, weigh, solve the normal equations.
    fn slow_loess(values: &[f64], window: usize, degree: Degree, point: f64) -> f64 {
        let mut near: Vec<(f64, f64, f64)> =
            values.iter().enumerate().map(|(t, value)| ((t as f64 - point).abs(), t as f64, *value)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near.truncate(window);
        let reach = near[near.len() - 1].0 + (window.saturating_sub(values.len()) / 2) as f64;
        let weigh =
            |distance: f64| if distance > 0.999 * reach { 0.0 } else { (1.0 - (distance / reach).powi(3)).powi(3) };
        let sum = |of: fn(f64, f64) -> f64| -> f64 { near.iter().map(|(d, t, y)| weigh(*d) * of(*t, *y)).sum() };
        let (w, x, y, xx, xy) = (sum(|_, _| 1.0), sum(|t, _| t), sum(|_, y| y), sum(|t, _| t * t), sum(|t, y| t * y));
        if degree == Degree::Mean {
            return y / w;
        }
        let slope = (w * xy - x * y) / (w * xx - x * x);
        (y - slope * x) / w + slope * point
    }

    fn values() -> Vec<f64> {
        (0..60).map(|t| 3.0 + 0.1 * t as f64 + ((t * 7919 + 13) % 101) as f64 / 50.0).collect()
    }

    #[test]
    fn loess_is_what_the_slow_one_finds() {
        let values = values();
        for window in [7, 21, 91] {
            for degree in [Degree::Mean, Degree::Line] {
                for (place, found) in loess(&values, window, degree, -1..61).into_iter().enumerate() {
                    let expected = slow_loess(&values, window, degree, place as f64 - 1.0);
                    // Equal distances at both edges of a window may be taken from either side; their weight is nearly none.
                    assert!(
                        (found - expected).abs() < 2e-3 * expected.abs(),
                        "{window} {degree:?} {place}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn parts_add_up_and_agree_with_statsmodels() {
        let series: Vec<f64> = (0..72u32)
            .map(|t| {
                let noise = f64::from((t * 7919 + 13) % 101) / 101.0 - 0.5;
                let season = (std::f64::consts::TAU * f64::from(t) / 12.0).sin();
                (100.0 + 1.5 * f64::from(t)) * (1.0 + 0.2 * season) + 12.0 * noise
            })
            .collect();
        let parts = decompose(&series, &[12]);
        for (t, value) in series.iter().enumerate() {
            assert!((parts.seasons[0][t] + parts.trend[t] + parts.remainder[t] - value).abs() < 1e-9);
        }
        let expected = [(0, 96.321, -0.588), (10, 114.981, -25.251), (35, 153.146, -16.471), (71, 202.839, -16.907)];
        for (t, trend, season) in expected {
            let found = (parts.trend[t], parts.seasons[0][t]);
            assert!((found.0 - trend).abs() < 0.01 && (found.1 - season).abs() < 0.01, "{t}: {found:?}");
        }
    }

    #[test]
    fn a_day_and_a_week_agree_with_statsmodels() {
        let tau = std::f64::consts::TAU;
        let hours: Vec<f64> = (0..24 * 21u32)
            .map(|t| {
                let noise = f64::from((t * 7919 + 13) % 101) / 101.0;
                (tau * f64::from(t) / 24.0).sin() * 10.0 + (tau * f64::from(t) / 168.0).sin() * 5.0 + noise + 50.0
            })
            .collect();
        let parts = decompose(&hours, &[24, 168]);
        let expected = [(0, -0.014, -0.101), (100, 8.743, -2.764), (400, -8.653, 3.248), (503, -2.583, -0.265)];
        for (t, day, week) in expected {
            let found = (parts.seasons[0][t], parts.seasons[1][t]);
            assert!((found.0 - day).abs() < 0.01 && (found.1 - week).abs() < 0.01, "{t}: {found:?}");
        }
    }
}
