//! Intervals that follow a stream, intervals from many short series, and honest counts of what they held.

use super::noise;
use dhow_forecast::coverage::{SeriesCoverage, coverage_by_group};
use dhow_forecast::*;

fn normal(random: &mut impl FnMut() -> f64) -> f64 {
    (0..12).map(|_| random()).sum::<f64>() - 6.0
}

#[test]
fn adaptive_quantiles_hold_their_level_through_a_jump_of_the_spread() {
    let levels = [0.025, 0.1, 0.25, 0.75, 0.9, 0.975];
    let mut random = noise(11);
    let mut tracked = AdaptiveQuantiles::new(&levels).unwrap();
    let mut below = [0.0; 6];
    let errors = 6_000;
    for at in 0..errors {
        let error = if at < errors / 2 { 1.0 } else { 4.0 } * normal(&mut random);
        let quantiles = tracked.around(100.0);
        assert!(quantiles.is_sorted());
        for (count, quantile) in below.iter_mut().zip(&quantiles) {
            *count += f64::from(u8::from(100.0 + error <= *quantile)) / f64::from(errors);
        }
        tracked.observe(error);
    }
    for (share, level) in below.iter().zip(levels) {
        assert!((share - level).abs() < 0.015, "{share} of the errors lie below the quantile {level}");
    }
    assert!(AdaptiveQuantiles::new(&[0.5, 0.5]).is_err());
    assert!(AdaptiveQuantiles::starting_at(&[0.5], &[1.0, 2.0]).is_err());
    let start = AdaptiveQuantiles::starting_at(&[0.1, 0.9], &[-1.0, 2.0]).unwrap();
    assert_eq!(start.around(10.0), [9.0, 12.0]);
}

/// Short random walks of very different sizes, with what comes after.
fn walks(count: u64, length: usize, horizon: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
    let walk = |seed: u64| {
        let mut random = noise(seed);
        let size = (8.0 * random()).exp();
        let mut value = 50.0 * size;
        let mut next = || {
            value += size * normal(&mut random);
            value
        };
        ((0..length).map(|_| next()).collect(), (0..horizon).map(|_| next()).collect())
    };
    (0..count).map(walk).collect()
}

#[test]
fn errors_of_many_short_series_give_intervals_that_hold_at_every_step() {
    let (horizon, levels) = (6, [0.025, 0.1, 0.25, 0.75, 0.9, 0.975]);
    let walks = walks(800, 20, horizon);
    let series: Vec<Series> = walks.iter().map(|(history, _)| Series::new(history, 1).unwrap()).collect();
    let shared = SharedErrors::collect(&Naive2, &series, horizon, |value| value).unwrap();
    assert_eq!(shared.series(), 800);
    let mut inside = vec![[0.0; 3]; horizon];
    for (series, (_, future)) in series.iter().zip(&walks) {
        let points = Naive2.forecast(series, horizon).unwrap().values;
        let rows = shared.quantiles(series, &points, &levels).unwrap().unwrap();
        for (step, (row, came)) in rows.iter().zip(future).enumerate() {
            for (at, count) in inside[step].iter_mut().enumerate() {
                *count += f64::from(u8::from(row[at] <= *came && *came <= row[5 - at])) / 800.0;
            }
        }
    }
    for (step, shares) in inside.iter().enumerate() {
        for (share, level) in shares.iter().zip([0.95, 0.8, 0.5]) {
            assert!((share - level).abs() < 0.05, "step {step}: {share} in the {level} interval");
        }
    }
    let flat = Series::new(&[3.0; 9], 1).unwrap();
    assert_eq!(shared.quantiles(&flat, &[3.0], &levels).unwrap(), None);
}

#[test]
fn coverage_is_counted_pooled_and_per_group_with_the_uncertainty_of_whole_series() {
    let one = |group: &str, inside: usize| SeriesCoverage { group: group.to_owned(), inside, steps: 10 };
    let mut series: Vec<SeriesCoverage> = (0..100).map(|at| one("north", if at % 2 == 0 { 10 } else { 6 })).collect();
    series.extend((0..50).map(|_| one("south", 5)));
    series.push(SeriesCoverage { group: "empty".to_owned(), inside: 0, steps: 0 });
    let found = coverage_by_group(&series, 1);
    let groups: Vec<(&str, usize)> = found.iter().map(|group| (&group.group[..], group.series)).collect();
    assert_eq!(groups, [("all", 150), ("north", 100), ("south", 50)]);
    assert!((found[0].share - 0.7).abs() < 1e-12 && (found[1].share - 0.8).abs() < 1e-12);
    // Whole series are drawn: a mean of 100 draws of 1.0 or 0.6 has a standard deviation of 0.02.
    let width = found[1].high - found[1].low;
    assert!((0.06..0.10).contains(&width), "{width}");
    assert_eq!((found[2].low, found[2].high), (0.5, 0.5));
}
