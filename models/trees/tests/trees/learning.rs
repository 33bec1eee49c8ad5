//! What is learned: against an exact learner without histograms, on any number of threads, within constraints.

use dhow_trees::{
    Forest, Growth, Kind, Loss, Metric, Missing, Node, Predictor, RowSampling, Rule, Settings, Validation, learn,
};
use rand::RngExt;

use crate::forests::{Table, seeded, uniform};

fn fit(settings: &Settings, table: &Table) -> Forest {
    table.with(|data| learn(settings, data, None)).unwrap().forest
}

fn one_tree(loss: Loss) -> Settings {
    Settings { rounds: 1, learning_rate: 1.0, ..Settings::new(loss) }
}

/// The value that the exact greedy tree of squared loss gives each of `rows`: every cut between two values of every
/// column is tried, with missing values on either side.
fn exact_greedy(table: &Table, targets: &[f64], rows: &[usize], depth: usize, l2: f64, least: usize, into: &mut [f64]) {
    let score = |rows: &[usize]| rows.iter().map(|row| targets[*row]).sum::<f64>().powi(2) / (rows.len() as f64 + l2);
    let mut best: Option<(f64, Vec<usize>, Vec<usize>)> = None;
    for (_, _, values) in table.columns.iter().filter(|_| depth > 0) {
        for cut in rows.iter().map(|row| values[*row]) {
            for missing_left in [false, true] {
                let left = |row: &usize| {
                    if values[*row].is_nan() { missing_left } else { values[*row] <= cut || cut.is_nan() }
                };
                let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| left(row));
                let gain = score(&left) + score(&right) - score(rows);
                let wins = best.as_ref().is_none_or(|(most, _, _)| gain > most + 1e-9);
                if left.len() >= least && right.len() >= least && gain > 0.0 && wins {
                    best = Some((gain, left, right));
                }
            }
        }
    }
    match best {
        Some((_, left, right)) => {
            exact_greedy(table, targets, &left, depth - 1, l2, least, into);
            exact_greedy(table, targets, &right, depth - 1, l2, least, into);
        }
        None => {
            let value = rows.iter().map(|row| targets[*row]).sum::<f64>() / (rows.len() as f64 + l2);
            rows.iter().for_each(|row| into[*row] = value);
        }
    }
}

#[test]
fn a_tree_is_that_of_an_exact_greedy_learner_without_histograms() {
    for seed in 0..40 {
        let rng = &mut seeded(seed);
        let missing = [0.0, 0.2][seed as usize % 2];
        let label = |row: &[f64], noise: f64| row[0].max(0.3) * 3.0 - row[1].min(0.6) + noise;
        let table = uniform(rng, 120, 3, missing, label);
        let growth = [Growth::LeafWise, Growth::DepthWise][seed as usize % 2];
        let settings = Settings { max_depth: 3, growth, min_child_weight: 5.0, ..one_tree(Loss::Squared) };
        let forest = fit(&settings, &table);
        let targets: Vec<f64> = table.labels.iter().map(|label| label - forest.base_margin).collect();
        let rows: Vec<usize> = (0..120).collect();
        let mut expected = vec![0.0; 120];
        exact_greedy(&table, &targets, &rows, 3, settings.l2, 5, &mut expected);
        for row in rows {
            let found = forest.margin(&table.row(row)) - forest.base_margin;
            assert!((found - expected[row]).abs() < 1e-5, "seed {seed}, row {row}: {found}, not {}", expected[row]);
        }
    }
}

#[test]
fn the_forest_is_the_same_bit_for_bit_on_one_two_and_four_threads() {
    let table = uniform(&mut seeded(3), 70_000, 12, 0.05, |row, noise| {
        f64::from(row[0].max(0.2) + row[9].max(0.1) * row[3].max(0.5) + noise > 1.6)
    });
    for rows in [RowSampling::All, RowSampling::Share(0.7), RowSampling::Goss { top: 0.2, other: 0.2 }] {
        let settings = Settings { rounds: 4, feature_share: 0.8, rows, seed: 5, ..Settings::new(Loss::Logistic) };
        let forests = [1, 2, 4].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&settings, &table))
        });
        assert_eq!(forests[0].trees.len(), 4);
        assert_eq!(forests[0], forests[1]);
        assert_eq!(forests[0], forests[2]);
        assert_ne!(forests[0], fit(&Settings { seed: 6, ..settings }, &table), "another seed draws other features");
    }
}

#[test]
fn a_margin_never_moves_against_a_monotone_column() {
    let rng = &mut seeded(11);
    // The labels go against the constraints in half of the range, so that a free forest breaks them.
    let label =
        |row: &[f64], noise: f64| f64::from((row[0] - 0.5).abs() + (row[1] - 0.5).abs() * row[2] + noise * 0.3 > 0.6);
    let mut table = uniform(rng, 3_000, 3, 0.0, label);
    let settings = Settings { rounds: 40, l2: 0.1, ..Settings::new(Loss::Logistic) };
    let free = fit(&settings, &table);
    table.columns[0].1 = Kind::Increasing;
    table.columns[1].1 = Kind::Decreasing;
    let constrained = fit(&settings, &table);
    assert!(constrained.trees.iter().any(|tree| tree.nodes.len() > 8), "the constrained trees still split");
    let mut broken_by_free = 0;
    for _ in 0..2_000 {
        let row: Vec<f64> = (0..3).map(|_| rng.random()).collect();
        for (column, sign) in [(0, 1.0), (1, -1.0)] {
            let mut higher = row.clone();
            higher[column] += rng.random::<f64>() * (1.0 - row[column]);
            let step = |forest: &Forest| sign * (forest.margin(&higher) - forest.margin(&row));
            assert!(step(&constrained) >= 0.0, "column {column}: {row:?} to {higher:?}");
            broken_by_free += usize::from(step(&free) < 0.0);
        }
    }
    assert!(broken_by_free > 100, "the labels tempt: {broken_by_free}");
}

#[test]
fn missing_values_go_where_rows_like_them_are() {
    let rng = &mut seeded(2);
    for (missing_label, direction) in [(0.0, Missing::Left), (1.0, Missing::Right)] {
        let label = |row: &[f64], _| if row[0].is_nan() { missing_label } else { f64::from(row[0] > 0.5) };
        let forest = fit(&Settings { max_leaves: 2, ..one_tree(Loss::Logistic) }, &uniform(rng, 400, 1, 0.3, label));
        let Node::Split { missing, .. } = &forest.trees[0].nodes[0] else { panic!("no split") };
        assert_eq!(*missing, direction);
    }
    let forest = fit(&one_tree(Loss::Logistic), &uniform(rng, 400, 1, 0.3, |row, _| f64::from(row[0].is_nan())));
    assert!(forest.prediction(&[f64::NAN]) > 0.6, "that a value is missing can be what counts");
    assert!(forest.prediction(&[1e9]) < 0.2, "and any present value is present");
}

#[test]
fn one_split_separates_categories_whatever_their_numbers_and_unseen_ones_go_right() {
    let rng = &mut seeded(4);
    let numbers = [3.0, 900.0, 17.0, 5.0, 70_000.0, 41.0];
    let categories: Vec<f64> = (0..600).map(|_| numbers[rng.random_range(0..6)]).collect();
    let labels = categories.iter().map(|category| f64::from([3.0, 17.0, 70_000.0].contains(category))).collect();
    let columns = vec![("shop", Kind::Category, categories)];
    let table = Table { columns, labels, ..Table::default() };
    let forest = fit(&Settings { max_leaves: 2, ..one_tree(Loss::Squared) }, &table);
    let Node::Split { rule: Rule::OneOf(left), .. } = &forest.trees[0].nodes[0] else { panic!("no split by category") };
    assert!(*left == [5, 41, 900] || *left == [3, 17, 70_000], "{left:?}");
    let right = if left.contains(&3) { 5.0 } else { 3.0 };
    assert_eq!(forest.margin(&[12_345.0]), forest.margin(&[right]));
}

#[test]
fn a_row_of_weight_two_counts_as_two_rows_and_one_of_weight_zero_as_none() {
    let rng = &mut seeded(9);
    let mut weighted = uniform(rng, 200, 3, 0.1, |row, noise| f64::from(row[0].max(0.4) + noise * 0.5 > 0.9));
    let weights: Vec<f64> = (0..200).map(|_| f64::from(rng.random_range(0..3))).collect();
    let copies = |values: &[f64]| {
        let repeated = values.iter().zip(&weights).flat_map(|(value, weight)| vec![*value; *weight as usize]);
        repeated.collect::<Vec<f64>>()
    };
    let columns = weighted.columns.iter().map(|(name, kind, values)| (*name, *kind, copies(values))).collect();
    let repeated = Table { columns, labels: copies(&weighted.labels), ..Table::default() };
    weighted.weights = Some(weights);
    let settings = Settings { rounds: 5, ..Settings::new(Loss::Logistic) };
    let (by_weight, by_copies) = (fit(&settings, &weighted), fit(&settings, &repeated));
    for row in 0..200 {
        let row = weighted.row(row);
        assert!((by_weight.margin(&row) - by_copies.margin(&row)).abs() < 1e-5);
    }
    assert_eq!(by_weight.trees[0].nodes[0].cover(), by_copies.trees[0].nodes[0].cover());
}

#[test]
fn early_stopping_keeps_the_trees_up_to_the_best_round_of_the_validation_rows() {
    let rng = &mut seeded(6);
    let label = |row: &[f64], noise: f64| f64::from(row[0] * 0.4 + noise > 0.7);
    let (training, later) = (uniform(rng, 600, 3, 0.0, label), uniform(rng, 600, 3, 0.0, label));
    for metric in [Metric::Loss, Metric::AveragePrecision] {
        let settings = Settings { rounds: 400, ..Settings::new(Loss::Logistic) };
        let learned = training.with(|data| {
            later
                .with(|later| learn(&settings, data, Some(&Validation { data: *later, metric, patience: 10 })).unwrap())
        });
        let kept = learned.forest.trees.len();
        let better = |one: f64, other: f64| if metric.rises() { one > other } else { one < other };
        let best = learned.history[kept - 1];
        assert_eq!(learned.history.len(), kept + 10, "noise ends learning long before 400 rounds");
        assert!(learned.history.iter().enumerate().all(|(round, value)| round == kept - 1 || !better(*value, best)));
        let whole = fit(&Settings { rounds: kept, ..settings }, &training);
        assert_eq!(learned.forest, whole, "validation changes no tree");
        let margins: Vec<f64> = (0..600).map(|row| learned.forest.margin(&later.row(row))).collect();
        let loss =
            margins.iter().zip(&later.labels).map(|(margin, label)| Loss::Logistic.of_row(*label, *margin).unwrap());
        assert!(metric != Metric::Loss || (loss.sum::<f64>() / 600.0 - best).abs() < 1e-12);
    }
}

#[test]
fn what_is_learned_separates_rows_that_it_has_not_seen() {
    let rng = &mut seeded(8);
    let label = |row: &[f64], noise: f64| f64::from((row[0] > 0.5) != (row[1] > 0.3) && noise > 0.05);
    let (training, later) = (uniform(rng, 4_000, 6, 0.0, label), uniform(rng, 1_000, 6, 0.0, label));
    let sampled = RowSampling::Goss { top: 0.2, other: 0.2 };
    for rows in [RowSampling::All, RowSampling::Share(0.5), sampled] {
        let forest = fit(&Settings { rounds: 60, rows, ..Settings::new(Loss::Logistic) }, &training);
        forest.check().unwrap();
        let predictor = Predictor::compile(&forest).unwrap();
        let right = |row: &usize| (predictor.margin(&later.row(*row)).unwrap() > 0.0) == (later.labels[*row] == 1.0);
        let share = (0..1_000).filter(right).count() as f64 / 1_000.0;
        assert!(share > 0.95, "{rows:?}: {share}");
    }
}
