//! Random forests of every rule and every way of missing values, rows that stand on their thresholds, and tables; no checks.

use dhow_trees::{Column, Forest, Kind, Missing, Node, Output, Rule, TrainingData, Tree};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Thresholds of the random forests, near which the rows' values are.
const THRESHOLDS: [f64; 6] = [-1.0, -0.0, 1e-36, 0.5, 2.0, 7.25];

pub fn random_forest(rng: &mut ChaCha8Rng, features: usize, trees: usize, depth: usize) -> Forest {
    let trees = (0..trees).map(|_| random_tree(rng, features, depth)).collect();
    let features = (0..features).map(|feature| format!("f{feature}")).collect();
    Forest { features, base_margin: rng.random_range(-1.0..1.0), output: Output::Logistic, trees }
}

fn random_tree(rng: &mut ChaCha8Rng, features: usize, depth: usize) -> Tree {
    let mut nodes = vec![Node::Leaf { value: rng.random_range(-1.0..1.0), cover: 1.0 }];
    let mut open = vec![(0, depth)];
    while let Some((at, depth)) = open.pop() {
        if depth == 0 || rng.random_bool(0.15) {
            continue;
        }
        let left = nodes.len();
        for child in [left, left + 1] {
            nodes.push(Node::Leaf { value: rng.random_range(-1.0..1.0), cover: rng.random_range(1..50).into() });
            open.push((child, depth - 1));
        }
        let missings = [Missing::Left, Missing::Right, Missing::AsZero, Missing::ZeroLeft, Missing::ZeroRight];
        let threshold = THRESHOLDS[rng.random_range(0..THRESHOLDS.len())];
        let rule = match rng.random_range(0..3) {
            0 => Rule::AtMost(threshold),
            1 => Rule::Below(threshold),
            _ => Rule::OneOf((0..8).filter(|_| rng.random_bool(0.4)).collect()),
        };
        let (feature, missing) = (rng.random_range(0..features) as u32, missings[rng.random_range(0..missings.len())]);
        nodes[at] =
            Node::Split { feature, rule, missing, left: left as u32, right: left as u32 + 1, gain: 1.0, cover: 1.0 };
    }
    // Covers of splits are the sums of their children's, from the last node to the first.
    for at in (0..nodes.len()).rev() {
        let Node::Split { left, right, .. } = nodes[at] else { continue };
        let sum = nodes[left as usize].cover() + nodes[right as usize].cover();
        if let Node::Split { cover, .. } = &mut nodes[at] {
            *cover = sum;
        }
    }
    Tree { nodes }
}

/// Values on thresholds, right above and below them, missing, infinite, near 0 and beyond every category.
pub fn random_value(rng: &mut ChaCha8Rng) -> f64 {
    let threshold = THRESHOLDS[rng.random_range(0..THRESHOLDS.len())];
    match rng.random_range(0..9) {
        0 => f64::NAN,
        1 => threshold.next_up(),
        2 => threshold.next_down(),
        3 => f64::from(rng.random_range(-2..9)),
        4 => rng.random_range(-3.0..9.0),
        5 => [f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.5][rng.random_range(0..4)],
        6 => [0.0, -0.0, 1e-35, -1e-36, 1.1e-35][rng.random_range(0..5)],
        _ => threshold,
    }
}

/// Columns with their names and kinds, labels, weights and groups, which own what [`TrainingData`] borrows.
#[derive(Default)]
pub struct Table {
    pub columns: Vec<(&'static str, Kind, Vec<f64>)>,
    pub labels: Vec<f64>,
    pub weights: Option<Vec<f64>>,
    pub groups: Option<Vec<usize>>,
}

impl Table {
    /// Hands the table to `with` as training data.
    pub fn with<R>(&self, with: impl FnOnce(&TrainingData) -> R) -> R {
        let columns: Vec<Column> =
            self.columns.iter().map(|(name, kind, values)| Column { name, values, kind: *kind }).collect();
        let (weights, groups) = (self.weights.as_deref(), self.groups.as_deref());
        with(&TrainingData { columns: &columns, labels: &self.labels, weights, groups })
    }

    pub fn row(&self, row: usize) -> Vec<f64> {
        self.columns.iter().map(|(_, _, values)| values[row]).collect()
    }
}

/// Uniform columns between 0 and 1, of which a share `missing` is missing, and labels that `label` gives to a row.
pub fn uniform(
    rng: &mut ChaCha8Rng,
    rows: usize,
    columns: usize,
    missing: f64,
    label: impl Fn(&[f64], f64) -> f64,
) -> Table {
    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut draw = || if rng.random_bool(missing) { f64::NAN } else { rng.random::<f64>() };
    let values: Vec<Vec<f64>> = (0..columns).map(|_| (0..rows).map(|_| draw()).collect()).collect();
    let row = |at: usize| values.iter().map(|values| values[at]).collect::<Vec<_>>();
    let labels = (0..rows).map(|at| label(&row(at), rng.random::<f64>())).collect();
    let columns = NAMES.into_iter().zip(values).map(|(name, values)| (name, Kind::Number, values)).collect();
    Table { columns, labels, ..Table::default() }
}
