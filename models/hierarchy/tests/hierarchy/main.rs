//! Reconciliation against dense formulas on small random structures, and what a structure refuses.

mod dense;

use dense::Dense;
use dhow_hierarchy::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn grouping<'a>(name: &str, links: &[(&'a str, &'a str)]) -> Grouping {
    Grouping::new(name, links.iter().copied()).expect("the links are a forest")
}

/// Products with a category and a seller, crossed with regions; about a quarter of the pairs are missing.
fn random_structure(rng: &mut ChaCha8Rng) -> Hierarchy {
    let (products, regions) = (rng.random_range(2..7), rng.random_range(1..4));
    let text = |kind: &str, number: usize| format!("{kind}{number}");
    let (mut categories, mut sellers, mut areas, mut rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for product in 0..products {
        categories.push((text("p", product), text("c", rng.random_range(0..3))));
        sellers.push((text("p", product), text("s", rng.random_range(0..2))));
        for region in 0..regions {
            if rng.random_bool(0.75) || (product, region) == (0, 0) {
                rows.push([text("p", product), text("r", region)]);
            }
        }
    }
    categories.extend((0..3).map(|category| (text("c", category), "all".to_owned())));
    sellers.extend((0..2).map(|seller| (text("s", seller), "all".to_owned())));
    areas.extend((0..regions).map(|region| (text("r", region), "everywhere".to_owned())));
    let of = |name: &str, links: &[(String, String)]| {
        Grouping::new(name, links.iter().map(|(child, parent)| (&child[..], &parent[..]))).expect("a forest")
    };
    let product = Dimension::new("product", vec![of("category", &categories), of("seller", &sellers)]);
    let region = Dimension::new("region", vec![of("area", &areas)]);
    Hierarchy::new(&[product, region], &rows).expect("the rows fit the dimensions")
}

fn numbers(rng: &mut ChaCha8Rng, count: usize, from: f64, to: f64) -> Vec<f64> {
    (0..count).map(|_| rng.random_range(from..to)).collect()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "{at}: {found} against {expected}");
    }
}

#[test]
fn products_are_summed_up_by_category_and_seller_in_each_region_and_in_all() {
    let category = grouping(
        "category",
        &[("mug", "kitchen"), ("pan", "kitchen"), ("lamp", "home"), ("kitchen", "all"), ("home", "all")],
    );
    let seller =
        grouping("seller", &[("mug", "ama"), ("lamp", "ama"), ("pan", "kofi"), ("ama", "all"), ("kofi", "all")]);
    let area = grouping("area", &[("GH", "Africa"), ("KE", "Africa")]);
    let dimensions = [Dimension::new("product", vec![category, seller]), Dimension::new("region", vec![area])];
    let rows = [["mug", "GH"], ["pan", "GH"], ["lamp", "KE"], ["mug", "KE"]];
    let hierarchy = Hierarchy::new(&dimensions, &rows).unwrap();
    let sums = hierarchy.sum(&[1.0, 2.0, 4.0, 8.0]).unwrap();
    let sum = |labels: [&str; 2]| hierarchy.find(&labels).map(|node| sums[node]);
    assert_eq!(sum(["all", "Africa"]), Some(15.0));
    assert_eq!(sum(["kitchen", "Africa"]), Some(11.0));
    assert_eq!(sum(["ama", "KE"]), Some(12.0));
    assert_eq!(sum(["mug", "Africa"]), Some(9.0));
    assert_eq!(sum(["mug", "GH"]), Some(1.0));
    assert_eq!(sum(["home", "GH"]), None);
    // Products and their sums where some row falls: 8 in Africa, 6 in GH and 6 in KE.
    assert_eq!((hierarchy.nodes(), hierarchy.bottoms()), (8 + 6 + 6, 4));
    assert_eq!(hierarchy.labels(0).unwrap(), ["all", "Africa"]);
}

#[test]
fn a_structure_that_is_none_is_refused_with_its_labels() {
    let two = Grouping::new("category", [("mug", "kitchen"), ("mug", "gifts")]).unwrap_err();
    assert_eq!(
        two.to_string(),
        "grouping `category`: `mug` has the parents `kitchen` and `gifts`; within a grouping a label has one parent: drop a link, or make a second grouping"
    );
    let cycle = Grouping::new("category", [("a", "b"), ("x", "b"), ("b", "c"), ("c", "b")]).unwrap_err();
    assert_eq!(cycle.to_string(), "grouping `category` has a cycle: b → c → b; drop one of its links");
    assert!(matches!(Grouping::new("g", [("a", "a")]), Err(HierarchyError::Cycle { .. })));
    let product = |groupings| [Dimension::new("product", groupings)];
    let leaf = product(vec![grouping("category", &[("mug", "pan")])]);
    assert!(matches!(Hierarchy::new(&leaf, &[["mug"], ["pan"]]), Err(HierarchyError::LeafWithChildren { .. })));
    let gifts = [grouping("category", &[("mug", "gifts")]), grouping("seller", &[("mug", "gifts"), ("pan", "gifts")])];
    assert!(matches!(
        Hierarchy::new(&product(gifts.to_vec()), &[["mug"], ["pan"]]),
        Err(HierarchyError::Ambiguous { .. })
    ));
    let plain = product(vec![]);
    assert!(matches!(Hierarchy::new(&plain, &[["mug"], ["mug"]]), Err(HierarchyError::DuplicateRow { .. })));
    assert!(matches!(Hierarchy::new(&plain, &[["mug", "GH"]]), Err(HierarchyError::LabelCount { row: 0, .. })));
    assert!(matches!(Hierarchy::new::<[&str; 1], _>(&plain, &[]), Err(HierarchyError::NoRows)));
    let hierarchy = Hierarchy::new(&product(vec![grouping("category", &[("mug", "all")])]), &[["mug"]]).unwrap();
    let weights = |weights: Weights| Reconciler::new(&hierarchy, &weights).err();
    assert!(matches!(weights(Weights::Variances(&[1.0])), Some(HierarchyError::Length { .. })));
    assert!(matches!(weights(Weights::Variances(&[1.0, -1.0])), Some(HierarchyError::Negative { index: 1, .. })));
    assert!(matches!(weights(Weights::Variances(&[0.0, 0.0])), Some(HierarchyError::AllZero { .. })));
    assert!(matches!(weights(Weights::Shrunk(&[vec![1.0, 1.0]])), Some(HierarchyError::Residuals { found: 1 })));
    let reconciler = Reconciler::new(&hierarchy, &Weights::Equal).unwrap();
    assert!(matches!(reconciler.reconcile(&[f64::NAN, 1.0]), Err(HierarchyError::NotFinite { index: 0, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_weighting_gives_what_the_dense_formula_gives(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let hierarchy = random_structure(&mut rng);
        let nodes = hierarchy.nodes();
        let base = numbers(&mut rng, nodes, -5.0, 20.0);
        let variances = numbers(&mut rng, nodes, 0.1, 9.0);
        let residuals: Vec<Vec<f64>> = (0..rng.random_range(3..9)).map(|_| numbers(&mut rng, nodes, -3.0, 3.0)).collect();
        let dense = Dense::new(&hierarchy);
        let sizes: Vec<f64> = hierarchy.sizes().map(|size| size as f64).collect();
        let shrunk = dense::shrunk(&residuals);
        prop_assert!((shrinkage(&residuals).unwrap() - shrunk.0).abs() < 1e-9);
        let cases = [
            (Weights::Equal, dense::diagonal(&vec![1.0; nodes])),
            (Weights::Structural, dense::diagonal(&sizes)),
            (Weights::Variances(&variances), dense::diagonal(&variances)),
            (Weights::Shrunk(&residuals), shrunk.1),
        ];
        for (weights, covariance) in cases {
            let found = Reconciler::new(&hierarchy, &weights).unwrap().reconcile(&base).unwrap();
            assert_close(&found, &dense.reconcile(&base, &covariance), 1e-8);
        }
    }

    #[test]
    fn a_reconciled_forecast_adds_up_and_a_coherent_one_is_left_as_it_is(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let hierarchy = random_structure(&mut rng);
        let base = numbers(&mut rng, hierarchy.nodes(), -5.0, 20.0);
        let reconciler = Reconciler::new(&hierarchy, &Weights::Structural).unwrap();
        let found = reconciler.reconcile(&base).unwrap();
        assert_close(&found, &hierarchy.sum(&found[hierarchy.uppers()..]).unwrap(), 1e-12);
        assert_close(&reconciler.reconcile(&found).unwrap(), &found, 1e-12);
    }

    #[test]
    fn the_not_negative_forecast_is_the_nearest_one_that_adds_up(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let hierarchy = random_structure(&mut rng);
        let base = numbers(&mut rng, hierarchy.nodes(), -9.0, 9.0);
        let variances = numbers(&mut rng, hierarchy.nodes(), 0.5, 4.0);
        let reconciler = Reconciler::new(&hierarchy, &Weights::Variances(&variances)).unwrap();
        let found = reconciler.reconcile_steps(std::slice::from_ref(&base), true).unwrap().remove(0);
        prop_assert!(found.iter().all(|value| *value >= 0.0));
        assert_close(&found, &hierarchy.sum(&found[hierarchy.uppers()..]).unwrap(), 1e-12);
        let expected = Dense::new(&hierarchy).not_negative(&base, &variances);
        assert_close(&found, &expected, 1e-6);
    }
}

#[test]
fn a_total_is_shared_out_by_history() {
    let all = grouping("all", &[("mug", "all"), ("pan", "all")]);
    let hierarchy = Hierarchy::new(&[Dimension::new("product", vec![all])], &[["mug"], ["pan"]]).unwrap();
    let history = [vec![1.0, 3.0], vec![8.0, 2.0], vec![0.0, 0.0]];
    let of = |kind| proportions(&hierarchy, &history, kind).unwrap();
    assert_close(&of(Proportions::AverageOfShares), &[0.525, 0.475], 1e-12);
    let shares = of(Proportions::ShareOfAverages);
    assert_close(&shares, &[9.0 / 14.0, 5.0 / 14.0], 1e-12);
    assert_close(&top_down(&hierarchy, 28.0, &shares).unwrap(), &[28.0, 18.0, 10.0], 1e-12);
    assert_close(&bottom_up(&hierarchy, &[1.0, 2.0]).unwrap(), &[3.0, 1.0, 2.0], 1e-12);
    let nothing = proportions(&hierarchy, &[vec![0.0, 0.0]], Proportions::ShareOfAverages);
    assert!(matches!(nothing, Err(HierarchyError::AllZero { .. })));
}

#[test]
fn a_variance_of_zero_is_taken_as_the_smallest_other() {
    let all = grouping("all", &[("mug", "all"), ("pan", "all")]);
    let hierarchy = Hierarchy::new(&[Dimension::new("product", vec![all])], &[["mug"], ["pan"]]).unwrap();
    let reconciled = |variances: &[f64]| {
        Reconciler::new(&hierarchy, &Weights::Variances(variances)).unwrap().reconcile(&[9.0, 1.0, 2.0])
    };
    assert_eq!(reconciled(&[4.0, 0.0, 2.0]), reconciled(&[4.0, 2.0, 2.0]));
}
