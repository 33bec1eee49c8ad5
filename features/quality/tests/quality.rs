//! What whoever watches data relies on: quiet data stays quiet, moved data is caught, broken expectations are named.

use dhow_quality::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A sample of amounts with ties, a long tail and missing values; `shift` moves the tail, `missing` the gaps.
fn amounts(random: &mut impl Rng, count: usize, shift: f64, missing: f64) -> Vec<f64> {
    (0..count)
        .map(|_| {
            let (u, v): (f64, f64) = (random.random(), random.random());
            match random.random::<f64>() {
                gap if gap < missing => f64::NAN,
                common if common < missing + 0.2 => 9.99,
                _ => ((-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos() + 3.0 + shift).exp(),
            }
        })
        .collect()
}

fn alarms(windows: usize, reference: usize, count: usize, shift: f64, missing: f64) -> usize {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let before = amounts(&mut random, reference, 0.0, 0.05);
    let mut alarm = |_: &usize| {
        let now = amounts(&mut random, count, shift, missing);
        drift(&before, &now, &DriftSettings::default()).unwrap().has_drifted
    };
    (0..windows).filter(|window| alarm(window)).count()
}

#[test]
fn a_hundred_quiet_windows_raise_at_most_one_false_alarm_at_small_and_at_large_sizes() {
    for (reference, count) in [(500, 500), (5_000, 500), (50_000, 50_000)] {
        let alarms = alarms(100, reference, count, 0.0, 0.05);
        assert!(alarms <= 1, "{alarms} of 100 at {reference} and {count}");
    }
}

#[test]
fn a_hundred_quiet_windows_of_five_million_raise_at_most_one_false_alarm() {
    // Windows of five million are drawn by their bins: what both measures see of them is the shares alone.
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let pool = amounts(&mut random, 5_000_000, 0.0, 0.05);
    let half = pool.len() / 2;
    let found = drift(&pool[..half], &pool[half..], &DriftSettings::default()).unwrap();
    assert!(!found.has_drifted, "{found:?}");
    let mut alarms = 0;
    for _ in 0..3 {
        let now = amounts(&mut random, 5_000_000, 0.0, 0.05);
        alarms += usize::from(drift(&pool, &now, &DriftSettings::default()).unwrap().has_drifted);
    }
    assert_eq!(alarms, 0);
}

#[test]
fn a_shift_is_caught_within_two_windows_and_so_are_values_that_go_missing() {
    for (count, shift) in [(500, 0.4), (50_000, 0.1)] {
        assert!(alarms(2, 50_000, count, shift, 0.05) >= 1, "a shift of {shift} at {count}");
    }
    assert_eq!(alarms(2, 50_000, 500, 0.0, 0.25), 2, "a quarter is missing");
}

#[test]
fn drift_equals_its_definition_counted_by_hand() {
    let reference: Vec<f64> = (0..100).map(f64::from).collect();
    let sample: Vec<f64> = (50..150).map(f64::from).collect();
    let found = drift(&reference, &sample, &DriftSettings::default()).unwrap();
    assert!((found.distance - 0.5).abs() < 1e-12, "{found:?}");
    // Ten bins of ten; the sample has 0 in five, 10 in four and 60 in the last; none is missing.
    let share = |count: f64| (count + 0.5) / (100.0 + 0.5 * 11.0);
    let term = |p: f64, q: f64| (share(p) - share(q)) * (share(p) / share(q)).ln();
    let by_hand = 5.0 * term(10.0, 0.0) + 4.0 * term(10.0, 10.0) + term(10.0, 60.0) + term(0.0, 0.0);
    assert!((found.psi - by_hand).abs() < 1e-12 && found.has_drifted, "{found:?}, by hand {by_hand}");
    assert!(drift(&[], &sample, &DriftSettings::default()).unwrap_err().to_string().contains("reference"));
    let rate = DriftSettings { false_alarm_rate: 0.9, ..DriftSettings::default() };
    assert!(drift(&reference, &sample, &rate).unwrap_err().to_string().contains("0.9"));
}

#[test]
fn broken_expectations_are_named_with_what_was_found_and_wrong_ones_are_refused() {
    let text = "[columns.amount]\nmin = 0.0\nmax = 100.0\nmissing_share_max = 0.1\n[columns.country]\ndistinct_min = 2\n\
                distinct_max = 3\n[columns.at]\nage_hours_max = 24.0\n[columns.gone]\nmin = 1.0\n";
    let expectations = Expectations::from_toml(text).unwrap();
    let right = Column { rows: 100, missing: 10, min: Some(0.0), max: Some(100.0), distinct: 3, age_hours: Some(24.0) };
    let wrong = Column { rows: 100, missing: 11, min: Some(-1.0), max: None, distinct: 4, age_hours: Some(30.0) };
    let gone = |name: &str| (name != "gone").then_some(right);
    assert_eq!(
        expectations.check(gone).iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["gone: expected a column, found none of this name"]
    );
    let broken: Vec<String> = expectations.check(|_| Some(wrong)).iter().map(ToString::to_string).collect();
    assert_eq!(
        broken,
        [
            "amount: expected at least 0, found -1",
            "amount: expected at most 100, found no number",
            "amount: expected at most a share of 0.1 missing, found 11 of 100 rows",
            "at: expected the newest at most 24 hours old, found 30.0 hours",
            "country: expected at most 3 different values, found 4",
            "gone: expected at least 1, found -1",
        ]
    );
    for (wrong, said) in [
        ("[columns.a]\nmin = 2.0\nmax = 1.0", "min is above max"),
        ("[columns.a]\n", "nothing is expected"),
        ("[columns.a]\nmaximum = 1.0", "maximum"),
        ("[columns.a]\nmissing_share_max = 2.0", "shares are 0 to 1"),
    ] {
        let error = Expectations::from_toml(wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
