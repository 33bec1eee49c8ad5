//! Boosted fraud models as their users see them: what they find, what they explain, and how they are kept; trees are tested in their own crate.

use dhow_events::{DAY_MICROS, Timestamp};
use dhow_fraud::evaluation::{DelayedSplit, SplitRows, average_precision};
use dhow_fraud::{
    BoostedFraud, Boosting, BoostingSettings, FraudScorer, ModelFileError, Settings, TrainError, Trained, read_scorer,
    train, train_boosted,
};
use proptest::prelude::*;

use crate::world::{Columns, orders};

fn small() -> BoostingSettings {
    let of_leaves = |max_leaves| Boosting { rounds: 60, learning_rate: 0.1, max_leaves, ..Boosting::default() };
    BoostingSettings { candidates: vec![of_leaves(4), of_leaves(8)], patience: Some(10), ..BoostingSettings::default() }
}

fn trained(world: &Columns, settings: &BoostingSettings) -> Result<Trained<BoostedFraud>, TrainError> {
    let (early, late) = world.table().unwrap().split_last(0.3).unwrap();
    train_boosted(&early, &late, settings)
}

/// Orders that are frauds where exactly one of two flags is set, mostly: no line through either flag tells them.
fn one_of_two_flags(count: usize, seed: u64) -> Columns {
    let mut world = orders(count, seed);
    let width = world.names.len();
    for (row, label) in world.rows.chunks_mut(width).zip(&mut world.labels) {
        let (first, second) = (row[4] > 0.5, row[3] > 0.0);
        row[0] = f64::from(first);
        row[1] = f64::from(second);
        *label = (first != second) && (row[4] * 1e4).fract() < 0.5;
        row[4] = 0.0;
        row[3] = 0.0;
    }
    world
}

#[test]
fn a_pair_of_features_that_tells_a_line_nothing_is_found() {
    let world = one_of_two_flags(6_000, 3);
    let test = one_of_two_flags(6_000, 4);
    let (early, late) = world.table().unwrap().split_last(0.3).unwrap();
    assert!(matches!(train(&early, &late, &Settings::default()), Err(TrainError::NotCalibrated(_))));

    let model = train_boosted(&early, &late, &small()).unwrap().model;
    // Half of the orders with just one flag are frauds; who knows that reaches a precision of one half.
    let precision = average_precision(&model.probabilities(&test.rows).unwrap(), &test.labels).unwrap();
    assert!(precision > 0.45, "{precision}");
    let report = model.report();
    assert_eq!(report.candidates.len(), 2);
    let best = report.chosen.validation_average_precision;
    assert!(report.candidates.iter().all(|candidate| candidate.validation_average_precision <= best));
}

#[test]
fn probabilities_mean_what_they_say_on_later_orders() {
    let world = orders(12_000, 1);
    let test = orders(12_000, 2);
    let model = trained(&world, &small()).unwrap().model;
    let probabilities = model.probabilities(&test.rows).unwrap();
    let expected: f64 = probabilities.iter().sum();
    let frauds = test.labels.iter().filter(|&&fraud| fraud).count() as f64;
    assert!((expected / frauds - 1.0).abs() < 0.15, "{expected} expected, {frauds} found");
}

#[test]
fn reasons_and_rest_sum_to_the_margin_for_any_row_missing_values_included() {
    let world = orders(4_000, 1);
    let model = trained(&world, &small()).unwrap().model;
    let value = prop_oneof![1 => Just(f64::NAN), 6 => -5.0..50.0_f64];
    proptest!(ProptestConfig::with_cases(200), |(row in proptest::collection::vec(value, 6), limit in 0_usize..8)| {
        let score = model.score_with_reasons(&row, limit).unwrap();
        let told: f64 = score.reasons.iter().map(|reason| reason.contribution).sum();
        prop_assert!((score.base_margin + told + score.rest_contribution - score.margin).abs() < 1e-9);
        let all: f64 = model.contributions(&row).unwrap().iter().sum();
        prop_assert!((score.base_margin + all - score.margin).abs() < 1e-6);
        prop_assert!(score.reasons.len() <= limit);
        prop_assert!(score.reasons.is_sorted_by(|a, b| a.contribution.abs() >= b.contribution.abs()));
        prop_assert_eq!(score.probability, model.probabilities(&row).unwrap()[0]);
    });
}

#[test]
fn a_reason_tells_the_value_beside_the_genuine_orders_usual_range() {
    let world = orders(4_000, 1);
    let model = trained(&world, &small()).unwrap().model;
    let score = model.score(&[9.0, 400.0, f64::NAN, 0.9, 0.5, 7.0]).unwrap();
    let velocity = score.reasons.iter().find(|reason| reason.feature == "card_orders_1h").unwrap();
    assert_eq!((velocity.value, velocity.usual_low), (Some(9.0), Some(0.0)));
    assert!(velocity.contribution > 0.0);
    assert!(velocity.words.ends_with("raises the risk"), "{}", velocity.words);
}

#[test]
fn the_file_keeps_every_bit_whatever_the_threads_and_is_refused_when_damaged() {
    let world = orders(3_000, 1);
    let file = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trained(&world, &small()).unwrap().model.to_bytes().unwrap())
    };
    let bytes = file(1);
    assert_eq!(bytes, file(3));
    let read = read_scorer(&bytes).unwrap();
    let model = BoostedFraud::from_bytes(&bytes).unwrap();
    let row = &world.rows[..6];
    assert_eq!(read.score(row), model.score(row));
    assert_eq!(read.schema_hash(), dhow_fraud::SchemaHash::of(&world.names));
    let mut changed = bytes.clone();
    changed[bytes.len() - 3] ^= 1;
    assert!(matches!(read_scorer(&changed), Err(ModelFileError::Damaged { .. })));
    assert!(matches!(read_scorer(b"PAR1 something else"), Err(ModelFileError::Foreign { .. })));
    let settings = BoostingSettings { candidates: Vec::new(), ..small() };
    assert!(matches!(trained(&world, &settings), Err(TrainError::BadSetting { name: "candidates", .. })));
}

/// Who is judged by the book's own words, day by day and naively.
fn naive_test_rows(days: &[i64], cards: &[u128], labels: &[bool], test_day: i64) -> Vec<usize> {
    let fraud_on = |card: u128, wanted: std::ops::Range<i64>| {
        (0..days.len()).any(|row| cards[row] == card && labels[row] && wanted.contains(&days[row]))
    };
    let judged = |row: &usize| {
        (test_day..test_day + 7).contains(&days[*row]) && !fraud_on(cards[*row], test_day - 14..days[*row] - 7)
    };
    (0..days.len()).filter(judged).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_delayed_split_trains_before_the_delay_and_leaves_out_cards_known_by_the_test_day(
        drawn in proptest::collection::vec((0_i64..40, 0_u128..12, proptest::bool::weighted(0.1)), 1..300),
        train_days in 1_u32..20,
    ) {
        let mut rows = drawn;
        rows.sort_unstable();
        let days: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let cards: Vec<u128> = rows.iter().map(|row| row.1).collect();
        let labels: Vec<bool> = rows.iter().map(|row| row.2).collect();
        let at = |day: i64| Timestamp::from_micros(day * DAY_MICROS);
        let times: Vec<Timestamp> = days.iter().map(|&day| at(day)).collect();
        let split = DelayedSplit::handbook(at(30), train_days, 7, 7);
        let SplitRows { train, test } = split.rows(&times, &cards, &labels).unwrap();
        prop_assert_eq!(test, naive_test_rows(&days, &cards, &labels, 30));
        let learned = |day: &i64| (23 - i64::from(train_days)..23).contains(day);
        prop_assert!(days[train.clone()].iter().all(learned));
        prop_assert_eq!(train.len(), days.iter().filter(|day| learned(day)).count());
    }
}
