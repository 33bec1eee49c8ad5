//! Matrix factorisation: half-steps against a naive f64 solve, descent, determinism, fold-in, warm starts, blocks.

use crate::planted::tastes;
use dhow_factors::{FactorModel, FactorSettings, FactorsError, FoldIn, Interaction, Interactions, Matrix, Solver};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};

/// Solves a dense system by Gaussian elimination with pivoting, in f64.
pub fn naive_solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            let (above, below) = a.split_at_mut(i);
            below[0][k..].iter_mut().zip(&above[k][k..]).for_each(|(value, pivot)| *value -= factor * pivot);
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b
}

/// The person's system, written out: `(α₀ G + λ I + Σ w y yᵀ) x = Σ (α₀ + w) y`.
fn naive_fold_in(items: &Matrix, settings: &FactorSettings, history: &[(u32, f32)]) -> Vec<f64> {
    let d = items.columns();
    let row = |item: usize| -> Vec<f64> { items.row(item).iter().map(|value| f64::from(*value)).collect() };
    let base = f64::from(settings.unobserved_weight);
    let evidence = history.len() as f64 + base * items.rows() as f64;
    let lambda = f64::from(settings.regularization) * evidence.powf(settings.frequency_exponent.into());
    let mut a = vec![vec![0.0; d]; d];
    let mut b = vec![0.0; d];
    for item in 0..items.rows() {
        let y = row(item);
        for i in 0..d {
            for j in 0..d {
                a[i][j] += base * y[i] * y[j];
            }
        }
    }
    for (item, weight) in history {
        let (y, w) = (row(*item as usize), f64::from(settings.observed_weight * weight));
        for i in 0..d {
            for j in 0..d {
                a[i][j] += w * y[i] * y[j];
            }
            b[i] += (base + w) * y[i];
        }
    }
    for (i, row) in a.iter_mut().enumerate() {
        row[i] += lambda;
    }
    naive_solve(a, b)
}

fn settings(dimensions: usize) -> FactorSettings {
    FactorSettings { dimensions, iterations: 6, observed_weight: 5.0, regularization: 0.02, ..Default::default() }
}

fn interactions(seed: u64) -> Interactions {
    Interactions::from_histories(&tastes(seed, 300, 120, 4, 12), 120).unwrap()
}

fn scores(model: &FactorModel) -> Vec<f32> {
    let pair = |p: usize, i: usize| model.people().row(p).iter().zip(model.items().row(i)).map(|(a, b)| a * b).sum();
    (0..model.people().rows()).flat_map(|p| (0..model.items().rows()).map(move |i| pair(p, i))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_fold_in_is_the_solution_of_the_written_out_system(
        seed in 0_u64..1000,
        dimensions in 1_usize..40,
        length in 1_usize..90,
        exponent in 0.0_f32..1.0,
    ) {
        let settings = FactorSettings { frequency_exponent: exponent, iterations: 2, ..settings(dimensions) };
        let model = FactorModel::fit(&interactions(seed), &settings).unwrap();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let history: Vec<(u32, f32)> = (0..length as u32).map(|item| (item, random.random::<f32>() * 3.0 + 0.1)).collect();
        let expected = naive_fold_in(model.items(), &settings, &history);
        let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        for (value, expected) in model.fold_in(&history).unwrap().iter().zip(&expected) {
            prop_assert!((f64::from(*value) - expected).abs() <= 1e-4 * largest.max(1.0), "{value} for {expected}");
        }
    }
}

#[test]
fn the_last_half_step_solves_every_item_against_the_people() {
    // The system is the same with the sides exchanged, so an item's factors are a fold-in among the people.
    let data = interactions(7);
    let settings = settings(16);
    let model = FactorModel::fit(&data, &settings).unwrap();
    for item in 0..120_u32 {
        let people: Vec<(u32, f32)> =
            (0..300).filter(|person| data.history(*person).contains(&item)).map(|person| (person, 1.0)).collect();
        let expected = naive_fold_in(model.people(), &settings, &people);
        for (value, expected) in model.items().row(item as usize).iter().zip(&expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-4, "item {item}: {value} for {expected}");
        }
    }
}

#[test]
fn every_iteration_lowers_the_loss_and_the_loss_is_the_written_out_sum() {
    let data = interactions(1);
    let fitted = |iterations| FactorModel::fit(&data, &FactorSettings { iterations, ..settings(8) }).unwrap();
    let losses: Vec<f64> = [1, 2, 4, 8].iter().map(|count| fitted(*count).loss(&data).unwrap()).collect();
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");

    let model = fitted(2);
    let (base, extra) = (f64::from(settings(8).unobserved_weight), f64::from(settings(8).observed_weight));
    let mut expected = 0.0;
    for (at, score) in scores(&model).iter().enumerate() {
        let taken = data.history((at / 120) as u32).contains(&((at % 120) as u32));
        let score = f64::from(*score);
        expected += if taken { (base + extra) * (1.0 - score).powi(2) } else { base * score * score };
    }
    for (side, other, support) in [
        (model.people(), 120.0, (0..300).map(|p| data.history(p).len()).collect::<Vec<_>>()),
        (model.items(), 300.0, (0..120).map(|i| data.support(i)).collect()),
    ] {
        for (index, count) in support.iter().enumerate() {
            let norm: f64 = side.row(index).iter().map(|value| f64::from(*value).powi(2)).sum();
            expected += f64::from(settings(8).regularization) * (*count as f64 + base * other) * norm;
        }
    }
    assert!((losses[1] - expected).abs() < 1e-4 * expected, "{} for {expected}", losses[1]);
}

#[test]
fn results_are_equal_for_any_number_of_threads() {
    let data = interactions(2);
    for solver in [Solver::Exact, Solver::ConjugateGradients { steps: 3 }, Solver::Subspace { block: 16 }] {
        let fit = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| FactorModel::fit(&data, &FactorSettings { solver, ..settings(40) }).unwrap())
        };
        let one = fit(1);
        assert_eq!(one, fit(2));
        assert_eq!(one, fit(5));
    }
}

#[test]
fn blocks_of_dimensions_come_to_the_loss_of_exact_solves() {
    let data = Interactions::from_histories(&tastes(3, 400, 150, 3, 40), 150).unwrap();
    let loss = |solver, iterations| {
        let settings = FactorSettings { solver, iterations, ..settings(48) };
        FactorModel::fit(&data, &settings).unwrap().loss(&data).unwrap()
    };
    let exact = loss(Solver::Exact, 20);
    let blocks = loss(Solver::Subspace { block: 16 }, 20);
    assert!(blocks < exact * 1.01, "{blocks} beside {exact}");
    assert!(blocks < loss(Solver::Subspace { block: 16 }, 3));
}

#[test]
fn a_few_steps_come_to_the_loss_of_exact_solves_and_many_are_exact() {
    let data = Interactions::from_histories(&tastes(3, 400, 150, 3, 40), 150).unwrap();
    let fitted =
        |solver, iterations| FactorModel::fit(&data, &FactorSettings { solver, iterations, ..settings(48) }).unwrap();
    let loss = |solver| fitted(solver, 20).loss(&data).unwrap();
    let exact = loss(Solver::Exact);
    let few = loss(Solver::ConjugateGradients { steps: 3 });
    assert!(few < exact * 1.02, "{few} beside {exact}");
    let same = scores(&fitted(Solver::Exact, 1));
    let many = scores(&fitted(Solver::ConjugateGradients { steps: 60 }, 1));
    assert!(same.iter().zip(&many).all(|(a, b)| (a - b).abs() < 1e-3));
}

#[test]
fn what_serving_needs_survives_bytes_and_answers_as_the_model_does() {
    let model = FactorModel::fit(&interactions(6), &settings(20)).unwrap();
    let bytes = serde_json::to_vec(&model.to_fold_in()).unwrap();
    let folding: FoldIn = serde_json::from_slice(&bytes).unwrap();
    folding.check().unwrap();
    assert_eq!(folding, model.to_fold_in());
    let history = [(3, 1.0), (50, 2.0), (7, 0.5)];
    let person = folding.fold_in(&history).unwrap();
    assert_eq!(person, model.fold_in(&history).unwrap());
    let scores = folding.scores(&person, &[9, 3, 119]).unwrap();
    for (score, item) in scores.iter().zip([9, 3, 119]) {
        let expected: f32 = model.items().row(item).iter().zip(&person).map(|(a, b)| a * b).sum();
        assert!((score - expected).abs() < 1e-5);
    }
    assert!(folding.scores(&person, &[120]).is_err());
    assert!(folding.scores(&person[1..], &[1]).is_err());
}

#[test]
fn bytes_that_are_not_a_model_are_refused() {
    let model = FactorModel::fit(&interactions(6), &settings(5)).unwrap().to_fold_in();
    let broken = |pointer: &str, value: serde_json::Value| {
        let mut tree = serde_json::to_value(&model).unwrap();
        *tree.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value::<FoldIn>(tree).unwrap().check().unwrap_err()
    };
    assert!(matches!(broken("/items/stride", 0.into()), FactorsError::WrongLength { .. }));
    assert!(matches!(broken("/items/columns", 900.into()), FactorsError::WrongLength { .. }));
    assert!(matches!(broken("/items/values/15", 1.0.into()), FactorsError::BadMatrix { row: 0 }));
    assert!(matches!(broken("/items/values", vec![0.0; 17].into()), FactorsError::WrongLength { .. }));
    assert!(matches!(broken("/spectrum", vec![1.0; 3].into()), FactorsError::WrongLength { .. }));
    assert!(matches!(broken("/spectrum/2", (-1.0).into()), FactorsError::BadSetting { name: "spectrum", .. }));
    assert!(matches!(broken("/settings/dimensions", 6.into()), FactorsError::WrongLength { .. }));
}

#[test]
fn a_warm_start_is_at_once_where_a_cold_one_comes_late() {
    let data = interactions(4);
    let settled = FactorModel::fit(&data, &FactorSettings { iterations: 20, ..settings(12) }).unwrap();
    let one = FactorSettings { iterations: 1, ..settings(12) };
    let warm = FactorModel::fit_from(&data, &one, Some(&settled)).unwrap().loss(&data).unwrap();
    let cold = FactorModel::fit(&data, &one).unwrap().loss(&data).unwrap();
    assert!(warm <= settled.loss(&data).unwrap() * 1.0001);
    assert!(warm < cold * 0.98, "{warm} beside {cold}");
}

#[test]
fn a_warm_start_takes_new_people_and_items_in() {
    let earlier = FactorModel::fit(&interactions(5), &settings(12)).unwrap();
    let more = Interactions::from_histories(&tastes(5, 330, 132, 4, 12), 132).unwrap();
    let model = FactorModel::fit_from(&more, &settings(12), Some(&earlier)).unwrap();
    assert_eq!((model.people().rows(), model.items().rows()), (330, 132));
    let fresh = FactorModel::fit(&more, &settings(12)).unwrap();
    assert!(model.loss(&more).unwrap() < fresh.loss(&more).unwrap() * 1.05);
}

#[test]
fn repeated_pairs_are_one_pair_of_their_sum() {
    let row = |person, item, weight| Interaction { person, item, weight };
    let twice = Interactions::new(2, 3, &[row(0, 1, 1.0), row(0, 2, 1.0), row(0, 1, 2.0), row(1, 0, 1.0)]).unwrap();
    let once = Interactions::new(2, 3, &[row(0, 2, 1.0), row(0, 1, 3.0), row(1, 0, 1.0)]).unwrap();
    assert_eq!(twice, once);
    assert_eq!(twice.history(0), [2, 1]);
    assert_eq!(twice.pairs(), 3);
    let model = FactorModel::fit(&once, &settings(4)).unwrap();
    assert_eq!(model.fold_in(&[(1, 1.0), (2, 1.0), (1, 2.0)]).unwrap(), model.fold_in(&[(2, 1.0), (1, 3.0)]).unwrap());
}
