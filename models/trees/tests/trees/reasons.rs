//! Reasons against Shapley values by their definition, over all subsets.

use dhow_trees::{Forest, Node, Predictor, Reasons, Scratch, Tree, goes_left};

use crate::forests::{random_forest, random_value, seeded};

/// The mean of the leaves that a row may reach where only the features in `known` are known.
fn conditional(tree: &Tree, at: usize, row: &[f64], known: u32) -> f64 {
    match &tree.nodes[at] {
        Node::Leaf { value, .. } => *value,
        Node::Split { feature, rule, missing, left, right, cover, .. } => {
            let below = |child: u32| conditional(tree, child as usize, row, known);
            if known >> feature & 1 == 1 {
                return below(if goes_left(row[*feature as usize], rule, *missing) { *left } else { *right });
            }
            let part = |child: u32| below(child) * tree.nodes[child as usize].cover() / cover;
            part(*left) + part(*right)
        }
    }
}

fn shapley(forest: &Forest, row: &[f64]) -> Vec<f64> {
    let features = row.len() as u32;
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    let worth = |known| forest.trees.iter().map(|tree| conditional(tree, 0, row, known)).sum::<f64>();
    let worths: Vec<f64> = (0..1_u32 << features).map(worth).collect();
    let of_feature = |feature: u32| {
        let without = (0..1_u32 << features).filter(|known| known >> feature & 1 == 0);
        let term = |known: u32| {
            let size = known.count_ones();
            let weight = factorial(size) * factorial(features - size - 1) / factorial(features);
            weight * (worths[(known | 1 << feature) as usize] - worths[known as usize])
        };
        without.map(term).sum()
    };
    (0..features).map(of_feature).collect()
}

#[test]
fn reasons_are_the_shapley_values_of_the_definition_and_sum_to_the_margin() {
    let mut scratch = Scratch::default();
    for seed in 0..60 {
        let rng = &mut seeded(seed);
        let features = 1 + seed as usize % 7;
        let forest = random_forest(rng, features, 1 + seed as usize % 4, 1 + seed as usize % 8);
        let (reasons, predictor) = (Reasons::compile(&forest).unwrap(), Predictor::compile(&forest).unwrap());
        for _ in 0..10 {
            let row: Vec<f64> = (0..features).map(|_| random_value(rng)).collect();
            let mut contributions = vec![f64::NAN; features];
            reasons.explain(&row, &mut contributions, &mut scratch).unwrap();
            for (found, expected) in contributions.iter().zip(shapley(&forest, &row)) {
                assert!((found - expected).abs() < 1e-10, "seed {seed}: {found} instead of {expected}");
            }
            let sum = reasons.expected_margin() + contributions.iter().sum::<f64>();
            assert!((sum - predictor.margin(&row).unwrap()).abs() < 1e-10);
        }
    }
}

#[test]
fn reasons_of_paths_over_dozens_of_features_sum_to_the_margin() {
    let rng = &mut seeded(7);
    let (reasons, forest) = loop {
        let forest = random_forest(rng, 60, 3, 14);
        let nodes: usize = forest.trees.iter().map(|tree| tree.nodes.len()).sum();
        if nodes > 3_000 {
            break (Reasons::compile(&forest).unwrap(), forest);
        }
    };
    let (mut contributions, mut scratch) = (vec![0.0; 60], Scratch::default());
    for _ in 0..50 {
        let row: Vec<f64> = (0..60).map(|_| random_value(rng)).collect();
        reasons.explain(&row, &mut contributions, &mut scratch).unwrap();
        let sum = reasons.expected_margin() + contributions.iter().sum::<f64>();
        assert!((sum - forest.margin(&row)).abs() < 1e-9, "{sum} instead of {}", forest.margin(&row));
    }
}
