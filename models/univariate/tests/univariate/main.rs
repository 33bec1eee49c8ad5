//! What a user of one series relies on: agreement with published programs, intervals that hold, and an answer to every input.

use dhow_univariate::judge::{INTERVALS, Score, Tally};
use dhow_univariate::*;

/// A growing monthly series with a multiplicative season.
fn monthly(length: usize) -> Vec<f64> {
    let at = |t: usize| {
        let noise = ((t * 7919 + 13) % 101) as f64 / 101.0 - 0.5;
        (100.0 + 1.5 * t as f64) * (1.0 + 0.2 * (std::f64::consts::TAU * t as f64 / 12.0).sin()) + 12.0 * noise
    };
    (0..length).map(at).collect()
}

fn drifting(length: usize) -> Vec<f64> {
    (0..length).map(|t| ((t * 7919 + 13) % 101) as f64 / 101.0 * 10.0 + 0.3 * t as f64 + 20.0).collect()
}

fn values(method: &dyn Method, series: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    let series = Series::new(series, season).expect("the series is good");
    method.forecast(&series, horizon).expect("the series is long enough").values
}

fn near(found: &[f64], expected: &[f64], share: f64) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= share * expected.abs(), "{found} {expected}");
    }
}

/// Forecasts of statsforecast 2.1.1 for the same series; optimisers end a little apart.
#[test]
fn methods_agree_with_statsforecast() {
    let (seasonal, plain) = (monthly(72), drifting(40));
    let dotm = ThetaModel::DynamicOptimised;
    near(&values(&dotm, &seasonal, 12, 6), &[208.185, 227.795, 249.415, 256.288, 250.821, 239.474], 0.005);
    near(&values(&dotm, &plain, 1, 6), &[37.079, 37.208, 37.337, 37.463, 37.589, 37.713], 0.005);
    near(&values(&Ets::default(), &seasonal, 12, 6), &[207.18, 228.768, 250.835, 254.907, 250.921, 236.889], 0.02);
    near(&values(&Ets::default(), &plain, 1, 6), &[37.89, 38.375, 38.86, 39.344, 39.829, 40.314], 0.05);
    near(&values(&Ces, &seasonal, 12, 6), &[212.338, 231.311, 248.163, 259.878, 249.172, 241.432], 0.03);
    near(&values(&Ces, &plain, 1, 6), &[37.724, 38.138, 38.446, 38.777, 39.108, 39.442], 0.02);
    let rare: Vec<f64> =
        (0..48).map(|t| if matches!((t * 31) % 7, 0 | 3) { ((t * 7919 + 13) % 17 + 1) as f64 } else { 0.0 }).collect();
    near(&values(&CrostonClassic, &rare, 1, 1), &[3.663], 1e-3);
    near(&values(&CrostonSba, &rare, 1, 1), &[3.48], 1e-3);
}

#[test]
fn ets_finds_the_season_and_growth_of_a_series_without_noise() {
    let clean = |t: usize| (50.0 + 2.0 * t as f64) * [0.6, 1.4, 1.1, 0.9][t % 4];
    let history: Vec<f64> = (0..40).map(|t| clean(t) + 0.01 * ((t * 7919) % 7) as f64).collect();
    let series = Series::new(&history, 4).expect("good");
    let forecast = Ets::default().forecast(&series, 8).expect("long enough");
    assert!(forecast.model.ends_with(",A,M)") || forecast.model.ends_with(",Ad,M)"), "{}", forecast.model);
    near(&forecast.values, &(40..48).map(clean).collect::<Vec<_>>(), 0.01);
}

#[test]
fn the_answer_of_ets_does_not_depend_on_the_unit() {
    let history = monthly(60);
    let in_cents: Vec<f64> = history.iter().map(|value| value * 100.0).collect();
    let (one, other) = (values(&Ets::default(), &history, 12, 12), values(&Ets::default(), &in_cents, 12, 12));
    near(&other, &one.iter().map(|value| value * 100.0).collect::<Vec<_>>(), 1e-6);
}

#[test]
fn two_seasons_at_once_are_continued() {
    let shape = |t: usize| [3.0, 9.0, 6.0, 2.0, 5.0, 8.0][t % 6] + if t % 42 >= 30 { 10.0 } else { 0.0 };
    let history: Vec<f64> = (0..42 * 6).map(|t| 100.0 + shape(t) + 0.2 * ((t * 7919) % 5) as f64).collect();
    let series = Series::with_seasons(&history, &[6, 42]).expect("good");
    let found = Mstl.forecast(&series, 42).expect("long enough").values;
    let expected: Vec<f64> = (42 * 6..42 * 7).map(|t| 100.4 + shape(t)).collect();
    near(&found, &expected, 0.02);
}

#[test]
fn aggregation_keeps_the_rate_of_regular_rare_demand() {
    let regular: Vec<f64> = (0..60).map(|t| if t % 5 == 4 { 10.0 } else { 0.0 }).collect();
    near(&values(&Adida, &regular, 1, 1), &[2.0], 1e-9);
    near(&values(&Imapa, &regular, 1, 1), &[2.0], 0.25);
    near(&values(&CrostonClassic, &regular, 1, 1), &[2.0], 1e-9);
    near(&values(&CrostonOptimised, &regular, 1, 1), &[2.0], 1e-9);
    for method in [&Adida as &dyn Method, &Imapa, &CrostonClassic, &CrostonOptimised, &CrostonSba, &Tsb] {
        assert_eq!(values(method, &[0.0; 30], 1, 3), [0.0; 3], "{}", method.name());
    }
}

/// A random walk whose steps are even, so that the spread at step h is known.
fn walk(seed: u64, length: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut level = 500.0;
    let mut step = || {
        level += (0..4).map(|_| uniform() - 0.5).sum::<f64>();
        level
    };
    (0..length).map(|_| step()).collect()
}

/// Coverage of a method's intervals on so many walks of so many values, six steps ahead.
fn covered(method: &dyn Method, walks: u64, length: usize) -> [f64; 3] {
    let walks: Vec<Vec<f64>> = (0..walks).map(|seed| walk(seed, length + 6)).collect();
    let series: Vec<Series> = walks.iter().map(|walk| Series::new(&walk[..length], 1).expect("good")).collect();
    let calibration = Calibration::learn(method, &series, 6).expect("a good horizon");
    let mut tally = Tally::default();
    for (series, walk) in series.iter().zip(&walks) {
        let forecast = method.forecast(series, 6).expect("long enough");
        let intervals = calibration.intervals(series, &forecast);
        tally.add(&Score::of(series, &walk[length..], &forecast, &intervals).expect("equal lengths"), 6);
    }
    let figures = tally.figures(&tally).expect("series were counted");
    assert!((figures.owa.expect("has a scale") - 1.0).abs() < 1e-12);
    figures.coverage
}

#[test]
fn intervals_of_many_short_series_hold_what_they_say_also_where_the_method_is_wrong_about_its_spread() {
    // The mean knows nothing of a walk's drifting away: its own spread is far too small, and ever more so.
    let methods: [(&dyn Method, f64); 4] =
        [(&Ets::default(), 0.035), (&Naive2, 0.035), (&MedianOfThree, 0.035), (&Mean, 0.06)];
    for (method, tolerance) in methods {
        for (share, (level, _)) in covered(method, 600, 40).iter().zip(INTERVALS) {
            assert!((share - level).abs() < tolerance, "{}: {share} in the {level} interval", method.name());
        }
    }
}

#[test]
fn one_series_alone_learns_its_intervals_from_many_earlier_points() {
    let walk = walk(3, 300);
    let series = Series::new(&walk, 1).expect("good");
    let calibration = Calibration::learn(&Naive2, &[series], 6).expect("a good horizon");
    assert!(calibration.scores() >= 200 && calibration.is_normal() == [false; 3]);
    let forecast = Naive2.forecast(&series, 6).expect("long enough");
    let [half, most, nearly_all] = calibration.intervals(&series, &forecast);
    for ((inner, middle), outer) in half.iter().zip(&most).zip(&nearly_all) {
        assert!(outer.0 <= middle.0 && middle.0 <= inner.0 && inner.1 <= middle.1 && middle.1 <= outer.1);
    }
    let short = Series::new(&walk[..7], 1).expect("good");
    assert_eq!(Calibration::learn(&Naive2, &[short], 6).expect("a good horizon").is_normal(), [true; 3]);
}

#[test]
fn no_interval_of_a_series_without_negative_values_reaches_below_zero() {
    let rare: Vec<f64> = (0..60).map(|t| if t % 7 == 3 { 4.0 } else { 0.0 }).collect();
    let series = Series::new(&rare, 1).expect("good");
    let calibration = Calibration::learn(&Tsb, &[series], 12).expect("a good horizon");
    let intervals = calibration.intervals(&series, &Tsb.forecast(&series, 12).expect("long enough"));
    assert!(intervals.iter().flatten().all(|(low, high)| 0.0 <= *low && low < high));
}

#[test]
fn the_median_lies_between_its_members_and_names_them() {
    let history = monthly(60);
    let series = Series::new(&history, 12).expect("good");
    let members: [&dyn Method; 3] = [&Ets::default(), &Ces, &ThetaModel::DynamicOptimised];
    let rows = members.map(|member| member.forecast(&series, 12).expect("long enough").values);
    let median = MedianOfThree.forecast(&series, 12).expect("long enough");
    for (h, middle) in median.values.iter().enumerate() {
        let mut column = [rows[0][h], rows[1][h], rows[2][h]];
        column.sort_by(f64::total_cmp);
        assert_eq!(*middle, column[1]);
    }
    assert!(median.model.contains("ETS(") && median.model.contains("CES(") && median.model.contains("dotm"));
}

/// Every method answers every strange series, by itself or by a simpler one that is named.
#[test]
fn every_input_has_an_answer() {
    let rising: Vec<f64> = (0..30).map(|t| -40.0 + t as f64).collect();
    let huge: Vec<f64> = (0..40).map(|t| 1e90 * (1.0 + ((t * 7919) % 11) as f64)).collect();
    let tiny: Vec<f64> = huge.iter().map(|value| value / 1e270).collect();
    let one_spike: Vec<f64> = (0..50).map(|t| f64::from(u8::from(t == 20))).collect();
    let inputs: [(&str, Vec<f64>); 10] = [
        ("one value", vec![5.0]),
        ("two values", vec![3.0, 4.0]),
        ("three values", vec![3.0, 4.0, 2.0]),
        ("constant", vec![7.5; 48]),
        ("all zero", vec![0.0; 48]),
        ("negative", rising),
        ("huge", huge),
        ("tiny", tiny),
        ("one spike", one_spike),
        ("exact line", (0..50).map(|t| 3.0 + t as f64).collect()),
    ];
    for (what, input) in &inputs {
        for season in [1, 4, 12, 60] {
            let series = Series::new(input, season).expect("finite values");
            for method in METHODS {
                let found = forecast_or_simpler(method, &series, 60);
                let forecast =
                    found.unwrap_or_else(|error| panic!("{what}, {}, season {season}: {error}", method.name()));
                let all = forecast.values.iter().chain(&forecast.spreads);
                assert_eq!(all.clone().count(), 120, "{what} {}", method.name());
                assert!(all.clone().all(|value| value.is_finite()), "{what} {} {season}", method.name());
                assert!(forecast.spreads.iter().all(|spread| *spread >= 0.0), "{what} {}", method.name());
            }
        }
    }
    let constant = Series::new(&inputs[3].1, 12).expect("finite values");
    let forecast = forecast_or_simpler(&Ets::default(), &constant, 3).expect("always");
    assert_eq!((forecast.values, forecast.spreads), (vec![7.5; 3], vec![0.0; 3]));
}

#[test]
fn a_method_that_fails_names_itself_and_the_one_that_answered() {
    let series = Series::new(&[3.0, 4.0], 1).expect("good");
    let forecast = forecast_or_simpler(&Ets::default(), &series, 2).expect("always");
    let reason = forecast.fallback.expect("ETS needs more values");
    assert!(reason.contains("ets needs 4 values") && reason.contains("seasonal_naive answered"), "{reason}");
}

#[test]
fn a_hundred_thousand_values_are_forecast_and_one_more_is_refused() {
    let long: Vec<f64> = (0..100_001).map(|t| 50.0 + (t % 24) as f64 + ((t * 7919) % 101) as f64 / 50.0).collect();
    let series = Series::new(&long[..100_000], 24).expect("good");
    for method in [&Ets::default() as &dyn Method, &Ces, &Mstl, &ThetaModel::DynamicOptimised] {
        assert_eq!(method.forecast(&series, 24).expect("long enough").values.len(), 24, "{}", method.name());
    }
    assert!(matches!(Series::new(&long, 24), Err(ForecastError::Length { found: 100_001 })));
}

#[test]
fn missing_values_are_filled_by_the_line_between_their_neighbours() {
    let mut values = [f64::NAN, 2.0, f64::NAN, f64::NAN, 8.0, f64::NAN];
    assert_eq!(fill_missing(&mut values), Ok(4));
    assert_eq!(values, [2.0, 2.0, 4.0, 6.0, 8.0, 8.0]);
    assert!(fill_missing(&mut [f64::NAN; 3]).is_err() && fill_missing(&mut [1.0, f64::INFINITY]).is_err());
    assert!(matches!(Series::new(&[1.0, f64::NAN], 1), Err(ForecastError::NotFinite { index: 1, .. })));
    assert!(matches!(Series::new(&[1.0, 1e150], 1), Err(ForecastError::NotFinite { index: 1, .. })));
    assert!(Series::with_seasons(&[1.0; 9], &[24, 12]).is_err() && Series::with_seasons(&[1.0; 9], &[]).is_err());
}

#[test]
fn every_name_finds_its_method() {
    for method in METHODS {
        assert_eq!(method_named(method.name()).map(Method::name), Some(method.name()));
    }
    assert!(method_named("arima").is_none());
}
