//! Prediction against the plain walk.

use dhow_trees::{ForestError, Predictor};

use crate::forests::{random_forest, random_value, seeded};

#[test]
fn a_compiled_forest_gives_the_bits_of_the_plain_walk_also_on_thresholds_and_for_missing_values() {
    for seed in 0..60 {
        let rng = &mut seeded(seed);
        let forest = random_forest(rng, 4, 1 + seed as usize % 19, 1 + seed as usize % 9);
        let predictor = Predictor::compile(&forest).unwrap();
        let rows: Vec<f64> = (0..4 * 300).map(|_| random_value(rng)).collect();
        let mut batch = vec![0.0; 300];
        predictor.margins(&rows, &mut batch).unwrap();
        for (row, margin) in rows.chunks(4).zip(batch) {
            let walked = forest.margin(row);
            assert_eq!(predictor.margin(row).unwrap().to_bits(), walked.to_bits(), "seed {seed}, row {row:?}");
            assert_eq!(margin.to_bits(), walked.to_bits());
            assert_eq!(predictor.predict(row).unwrap(), forest.prediction(row));
        }
    }
}

#[test]
fn a_row_of_another_length_is_refused_with_both_lengths() {
    let forest = random_forest(&mut seeded(1), 4, 2, 3);
    let predictor = Predictor::compile(&forest).unwrap();
    assert_eq!(predictor.margin(&[1.0; 3]), Err(ForestError::RowLength { expected: 4, got: 3 }));
    assert_eq!(predictor.margins(&[1.0; 9], &mut [0.0; 2]), Err(ForestError::RowLength { expected: 8, got: 9 }));
}
