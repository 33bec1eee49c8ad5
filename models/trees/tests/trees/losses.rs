//! Each loss: that steps follow its derivatives, and that predictions are what the loss promises.

use dhow_trees::{Forest, Kind, Loss, Metric, Settings, Validation, learn};
use rand::RngExt;

use crate::forests::{Table, seeded, uniform};

fn fit(settings: &Settings, table: &Table) -> Forest {
    table.with(|data| learn(settings, data, None)).unwrap().forest
}

/// Two halves of rows, told apart by one column; weights between 0.5 and 2.
fn halves(labels: impl Fn(usize, f64) -> f64) -> Table {
    let rng = &mut seeded(21);
    let labels = (0..60).map(|row| labels(row, rng.random())).collect();
    let weights = Some((0..60).map(|_| rng.random_range(0.5..2.0)).collect());
    let columns = vec![("half", Kind::Number, (0..60).map(|row| f64::from(row % 2)).collect())];
    Table { columns, labels, weights, groups: None }
}

#[test]
fn a_leaf_steps_by_the_losses_own_first_and_second_differences() {
    let cases = [
        (Loss::Logistic, halves(|row, noise| f64::from(noise < 0.3 + 0.4 * (row % 2) as f64))),
        (Loss::Squared, halves(|row, noise| noise + (row % 2) as f64)),
        (Loss::Tweedie { power: 1.5 }, halves(|row, noise| (noise - 0.4).max(0.0) * (1 + row % 2) as f64)),
        (Loss::Tweedie { power: 1.0 }, halves(|row, noise| (noise * 4.0).floor() + (row % 2) as f64)),
    ];
    for (loss, table) in cases {
        let forest = fit(&Settings { rounds: 1, learning_rate: 1.0, l2: 0.0, ..Settings::new(loss) }, &table);
        let (base, small, weights) = (forest.base_margin, 1e-4, table.weights.as_ref().unwrap());
        for half in 0..2 {
            let (mut first, mut second) = (0.0, 0.0);
            for row in (0..60).filter(|row| row % 2 == half) {
                let at = |margin| weights[row] * loss.of_row(table.labels[row], margin).unwrap();
                first += (at(base + small) - at(base - small)) / (2.0 * small);
                second += (at(base + small) - 2.0 * at(base) + at(base - small)) / (small * small);
            }
            let step = forest.margin(&[half as f64]) - base;
            assert!(
                (step + first / second).abs() < 1e-5,
                "{loss:?}, half {half}: {step} instead of {}",
                -first / second
            );
        }
        let total = |margin: f64| {
            (0..60).map(|row| weights[row] * loss.of_row(table.labels[row], margin).unwrap()).sum::<f64>()
        };
        assert!(
            total(base) <= total(base + 1e-3).min(total(base - 1e-3)),
            "{loss:?}: the first margin is the best for all"
        );
    }
}

#[test]
fn the_share_of_labels_below_a_quantile_is_its_alpha() {
    let label = |row: &[f64], noise: f64| row[0] * 10.0 + noise * row[1] * 5.0;
    let (training, later) =
        (uniform(&mut seeded(31), 5_000, 2, 0.0, label), uniform(&mut seeded(32), 5_000, 2, 0.0, label));
    for alpha in [0.1, 0.5, 0.9] {
        let loss = Loss::Quantile { alpha };
        let forest = fit(&Settings { rounds: 60, min_child_weight: 50.0, ..Settings::new(loss) }, &training);
        let below = (0..5_000).filter(|row| later.labels[*row] <= forest.margin(&later.row(*row))).count();
        assert!((below as f64 / 5_000.0 - alpha).abs() < 0.03, "alpha {alpha}: {below} of 5,000");
        let loss_of = |margin: &dyn Fn(usize) -> f64| {
            (0..5_000).map(|row| loss.of_row(later.labels[row], margin(row)).unwrap()).sum::<f64>()
        };
        assert!(loss_of(&|row| forest.margin(&later.row(row))) < 0.4 * loss_of(&|_| forest.base_margin));
    }
}

#[test]
fn tweedie_predicts_means_of_labels_that_are_mostly_zero() {
    let label = |row: &[f64], noise: f64| {
        if noise < 0.8 { 0.0 } else { (noise - 0.8) * 10.0 * (1.0 + f64::from(row[0] > 0.5) * 4.0) }
    };
    let table = uniform(&mut seeded(41), 8_000, 2, 0.0, label);
    let forest =
        fit(&Settings { rounds: 50, min_child_weight: 20.0, ..Settings::new(Loss::Tweedie { power: 1.4 }) }, &table);
    for (low, expected) in [(0.0, 0.2), (0.5, 1.0)] {
        let rows = (0..8_000).filter(|row| (low..low + 0.5).contains(&table.columns[0].2[*row]));
        let (sum, count) =
            rows.fold((0.0, 0.0), |(sum, count), row| (sum + forest.prediction(&table.row(row)), count + 1.0));
        assert!((sum / count / expected - 1.0_f64).abs() < 0.1, "{} instead of {expected}", sum / count);
    }
}

#[test]
fn lambda_rank_orders_lists_by_what_decides_within_them() {
    let lists = |seed| {
        // The first column differs between lists only and the second decides within them.
        let mut table =
            uniform(&mut seeded(seed), 4_000, 2, 0.0, |row, noise| (row[1] * 4.0 + noise * 0.5).floor().min(4.0));
        (0..4_000).for_each(|row| table.columns[0].2[row] = (row / 10) as f64);
        table.groups = Some(vec![10; 400]);
        table
    };
    let (training, later) = (lists(51), lists(52));
    let settings = Settings { rounds: 30, ..Settings::new(Loss::LambdaRank { top: 5 }) };
    let learned = training.with(|data| {
        later.with(|later| {
            let validation = Validation { data: *later, metric: Metric::Ndcg { top: 5 }, patience: 30 };
            learn(&settings, data, Some(&validation)).unwrap()
        })
    });
    assert!(learned.history.iter().any(|ndcg| *ndcg > 0.95), "{:?}", learned.history);
}
