//! Categories encoded by the labels known before each row: against sums taken anew for every row, and beside splits by category.

use dhow_trees::{
    CategoryHistory, Column, Kind, LearnError, Loss, OrderedTargets, Predictor, Settings, TrainingData, learn,
};
use proptest::prelude::*;
use rand::RngExt;

use crate::forests::seeded;

/// The encoding of a category at an instant, summed anew over all rows whose labels are known then.
fn summed(history: &CategoryHistory, smoothing: f64, known_before: i64, category: u64) -> f64 {
    let known: Vec<usize> = (0..history.labels.len()).filter(|row| history.times[*row] < known_before).collect();
    let sum = |rows: &[usize]| rows.iter().map(|row| history.labels[*row]).sum::<f64>();
    let own: Vec<usize> = known.iter().copied().filter(|row| history.categories[*row] == category).collect();
    let mean = sum(&known) / known.len() as f64;
    (sum(&own) + smoothing * mean) / (own.len() as f64 + smoothing)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_row_is_encoded_by_exactly_the_labels_that_were_known_before_it(
        rows in proptest::collection::vec((0_u64..5, 0_u8..2, 0_i64..40), 1..60), delay in 0_i64..15, smoothing in 0.5..20.0
    ) {
        let mut times: Vec<i64> = rows.iter().map(|row| row.2).collect();
        times.sort_unstable();
        let categories: Vec<u64> = rows.iter().map(|row| row.0).collect();
        let labels: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
        let history = CategoryHistory { categories: &categories, labels: &labels, times: &times };
        let (targets, encoded) = OrderedTargets::learn(&history, smoothing, delay).unwrap();
        for row in 0..rows.len() {
            let wanted = summed(&history, smoothing, times[row] - delay, categories[row]);
            prop_assert!((encoded[row] - wanted).abs() < 1e-9 || (encoded[row].is_nan() && wanted.is_nan()));
        }
        for category in 0..7 {
            let wanted = summed(&history, smoothing, i64::MAX, category);
            prop_assert!((targets.encode(category) - wanted).abs() < 1e-9);
        }
    }
}

/// Rows of which a number tells much, 300 shops a little, and 1,500 more shops nothing, for they come once or twice.
struct Shops {
    amounts: Vec<f64>,
    shops: Vec<u64>,
    labels: Vec<f64>,
}

fn shops(count: usize, seed: u64) -> Shops {
    let mut rng = seeded(seed);
    let mut made = Shops { amounts: Vec::new(), shops: Vec::new(), labels: Vec::new() };
    for _ in 0..count {
        let amount: f64 = rng.random_range(0.0..1.0);
        let shop = if rng.random_bool(0.5) { rng.random_range(0..300) } else { rng.random_range(300..1_800) };
        let risk = if shop < 30 { 0.35 } else { 0.05 } + 0.3 * f64::from(u8::from(amount > 0.8));
        made.labels.push(f64::from(u8::from(rng.random_bool(risk))));
        made.amounts.push(amount);
        made.shops.push(shop);
    }
    made
}

/// The mean log loss on `test` of trees that see the shop as `kind` of number.
fn log_loss(train: (&Shops, &[f64]), test: (&Shops, &[f64]), kind: Kind) -> f64 {
    let columns = [
        Column { name: "amount", values: &train.0.amounts, kind: Kind::Number },
        Column { name: "shop", values: train.1, kind },
    ];
    let data = TrainingData { columns: &columns, labels: &train.0.labels, weights: None, groups: None };
    let settings = Settings { rounds: 60, ..Settings::new(Loss::Logistic) };
    let forest = learn(&settings, &data, None).unwrap().forest;
    let predictor = Predictor::compile(&forest).unwrap();
    let rows = test.0.amounts.iter().zip(test.1).zip(&test.0.labels);
    let losses = rows.map(|((amount, shop), label)| {
        let margin = predictor.margin(&[*amount, *shop]).unwrap();
        (if *label == 1.0 { -margin } else { margin }).exp().ln_1p()
    });
    losses.sum::<f64>() / test.1.len() as f64
}

#[test]
fn a_column_of_very_many_categories_is_learned_from_but_not_by_heart() {
    let (train, test) = (shops(6_000, 1), shops(6_000, 2));
    let numbers = |shops: &Shops| shops.shops.iter().map(|shop| *shop as f64).collect::<Vec<_>>();
    let by_heart = log_loss((&train, &numbers(&train)), (&test, &numbers(&test)), Kind::Category);
    let unknown = (vec![0.0; 6_000], vec![0.0; 6_000]);
    let without = log_loss((&train, &unknown.0), (&test, &unknown.1), Kind::Number);

    let times: Vec<i64> = (0..6_000).collect();
    let history = CategoryHistory { categories: &train.shops, labels: &train.labels, times: &times };
    let (targets, encoded) = OrderedTargets::learn(&history, 10.0, 0).unwrap();
    let later: Vec<f64> = test.shops.iter().map(|shop| targets.encode(*shop)).collect();
    let ordered = log_loss((&train, &encoded), (&test, &later), Kind::Number);
    // Splits by category are worse than not knowing the shop at all; the ordered numbers are better.
    assert!(by_heart > without && ordered < without, "{by_heart} {without} {ordered}");
}

#[test]
fn labels_that_come_later_change_no_number_of_an_earlier_row() {
    let train = shops(500, 3);
    let times: Vec<i64> = (0..500).collect();
    let history = CategoryHistory { categories: &train.shops, labels: &train.labels, times: &times };
    let (_, before) = OrderedTargets::learn(&history, 5.0, 20).unwrap();
    let mut changed = train.labels.clone();
    changed[279..].iter_mut().for_each(|label| *label = 1.0 - *label);
    let (_, after) = OrderedTargets::learn(&CategoryHistory { labels: &changed, ..history }, 5.0, 20).unwrap();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&before[..300]), bits(&after[..300]));
    assert_ne!(bits(&before[300..]), bits(&after[300..]));
}

#[test]
fn histories_that_mean_nothing_are_refused_with_the_place() {
    let good = CategoryHistory { categories: &[1, 2], labels: &[0.0, 1.0], times: &[3, 4] };
    let refused =
        |history: CategoryHistory, smoothing, delay| OrderedTargets::learn(&history, smoothing, delay).unwrap_err();
    assert!(matches!(refused(good, 0.0, 0), LearnError::Setting { name: "smoothing", .. }));
    assert!(matches!(refused(good, 1.0, -1), LearnError::Setting { name: "delay_micros", .. }));
    let short = CategoryHistory { times: &[3], ..good };
    assert!(matches!(refused(short, 1.0, 0), LearnError::Length { expected: 2, got: 1, .. }));
    let falling = CategoryHistory { times: &[4, 3], ..good };
    assert!(matches!(refused(falling, 1.0, 0), LearnError::Value { row: 1, .. }));
    let endless = CategoryHistory { labels: &[0.0, f64::INFINITY], ..good };
    assert!(matches!(refused(endless, 1.0, 0), LearnError::Value { row: 1, .. }));
}
