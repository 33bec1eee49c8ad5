//! Intervals that follow a stream, and honest counts of what intervals held.

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
