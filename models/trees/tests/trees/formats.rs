//! Forests of other systems: read as those systems predict, written as ONNX Runtime reads, refused where they cannot be.

use std::path::PathBuf;

use dhow_trees::formats::{FormatError, lightgbm, onnx};
use dhow_trees::{Forest, Missing, Node, Output, Rule, Tree, goes_left};
use proptest::prelude::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/trees/fixtures").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// A row, and what the other system said of it.
struct Answer {
    row: Vec<f64>,
    raw: Option<f64>,
    prediction: f64,
}

fn answers(name: &str) -> Vec<Answer> {
    let number = |word: &str| f64::from_bits(u64::from_str_radix(word, 16).unwrap());
    let answer = |line: &str| {
        let [row, raw, prediction] = line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap();
        Answer {
            row: row.split(' ').map(number).collect(),
            raw: (raw != "-").then(|| number(raw)),
            prediction: number(prediction),
        }
    };
    text(&format!("{name}.rows")).lines().map(answer).collect()
}

fn close(one: f64, other: f64, tolerance: f64) -> bool {
    (one - other).abs() <= tolerance * one.abs().max(1.0)
}

#[test]
fn lightgbm_margins_are_bit_equal_on_thresholds_zeros_missing_and_unseen_categories() {
    for name in ["binary", "zero_missing", "no_missing", "tweedie", "rank", "dart"] {
        let name = format!("lightgbm_{name}");
        let forest = lightgbm::import(&text(&format!("{name}.txt"))).unwrap();
        for (line, answer) in answers(&name).iter().enumerate() {
            let margin = forest.margin(&answer.row);
            assert_eq!(margin.to_bits(), answer.raw.unwrap().to_bits(), "{name}, row {line}: {:?}", answer.row);
            assert!(close(forest.prediction(&answer.row), answer.prediction, 1e-12), "{name}, row {line}");
        }
    }
}

#[test]
fn lightgbm_models_with_a_sigmoid_or_an_average_predict_the_same() {
    for (name, factor) in [("lightgbm_sigmoid", 2.0), ("lightgbm_forest", 1.0 / 5.0)] {
        let forest = lightgbm::import(&text(&format!("{name}.txt"))).unwrap();
        for answer in answers(name) {
            assert!(close(forest.margin(&answer.row), answer.raw.unwrap() * factor, 1e-13), "{name}");
            assert!(close(forest.prediction(&answer.row), answer.prediction, 1e-13), "{name}");
        }
    }
}

#[test]
fn lightgbm_counts_are_covers_and_all_trees_see_all_training_rows() {
    let forest = lightgbm::import(&text("lightgbm_binary.txt")).unwrap();
    assert_eq!(forest.features, ["Column_0", "Column_1", "Column_2", "Column_3"]);
    assert_eq!((forest.output, forest.trees.len()), (Output::Logistic, 8));
    for tree in &forest.trees {
        assert!(matches!(tree.nodes[0], Node::Split { cover: 1500.0, gain, .. } if gain > 0.0));
    }
}

/// What the reader says of the binary model after one change to its text.
fn changed(from: &str, to: &str) -> FormatError {
    let text = text("lightgbm_binary.txt");
    assert!(text.contains(from), "{from}");
    lightgbm::import(&text.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn what_lightgbm_text_cannot_be_read_is_refused_with_its_line() {
    let cases = [
        ("tree\n", "oak\n", 1, "starts with the line `tree`"),
        ("version=v4", "version=v9", 2, "v3 and v4 are read"),
        ("num_class=1", "num_class=3", 3, "several classes"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=3", 4, "several classes"),
        ("max_feature_idx=3", "max_feature_idx=7", 8, "4 names"),
        ("binary sigmoid:1", "multiclass num_class:3", 7, "objective `multiclass` is not read"),
        ("binary sigmoid:1", "cross_entropy_lambda", 7, "`cross_entropy_lambda`"),
        ("binary sigmoid:1", "regression sqrt", 7, "`regression` with `sqrt`"),
        ("binary sigmoid:1", "binary sigmoid:-1", 7, "above 0"),
        ("is_linear=0", "is_linear=1", 29, "linear_tree"),
        ("Tree=1", "Tree=2", 33, "`Tree=1` would be next"),
        ("split_feature=", "split_feature=9", 15, "feature 9"),
        ("left_child=", "left_child=0 ", 19, "values where the tree needs"),
        ("num_leaves=9", "num_leaves=8", 15, "`split_feature` has 8 values"),
        ("num_leaves=9", "num_leaves=many", 13, "`many`"),
    ];
    for (from, to, line, words) in cases {
        let error = changed(from, to);
        assert!(error.to_string().contains(words), "{from} -> {to}: {error}");
        assert!(matches!(error, FormatError::Line { line: found, .. } if found == line), "{from} -> {to}: {error}");
    }
    assert!(changed("end of trees", "").to_string().contains("cut off"));
}

#[test]
fn lightgbm_children_that_lead_back_or_are_shared_are_refused() {
    let tree = |left: &str, right: &str| {
        let text = format!(
            "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nfeature_names=a\n\nTree=0\nnum_leaves=3\n\
             num_cat=0\nsplit_feature=0 0\nsplit_gain=1 inf\nthreshold=0 1\ndecision_type=2 2\nleft_child={left}\n\
             right_child={right}\nleaf_value=1 2 3\nleaf_count=4 5 0\n\nend of trees\n"
        );
        lightgbm::import(&text).map(|forest| forest.margin(&[0.5])).map_err(|error| error.to_string())
    };
    assert_eq!(tree("-1 -2", "1 -3"), Ok(2.0));
    for (left, right, words) in [
        ("0 -2", "1 -3", "leads back"),
        ("-1 0", "1 -3", "leads back"),
        ("-1 -1", "1 -3", "second parent"),
        ("-1 -2", "-3 -3", "no parent before it"),
        ("-1 -2", "1 -4", "names node -4"),
        ("-1 -2", "2 -3", "names node 2"),
        ("-1 -2147483648", "1 -3", "names node -2147483648"),
    ] {
        assert!(tree(left, right).as_ref().unwrap_err().contains(words), "{left}, {right}: {:?}", tree(left, right));
    }
}

#[test]
fn onnx_models_of_other_systems_predict_as_onnx_runtime_says() {
    for name in [
        "xgboost_classifier",
        "xgboost_regressor",
        "lightgbm",
        "lightgbm_zipmap",
        "sklearn_forest",
        "sklearn_doubles",
        "every_mode",
        "version_5",
    ] {
        let name = format!("onnx_{name}");
        let forest = onnx::import(&bytes(&format!("{name}.onnx"))).unwrap();
        assert_eq!(forest.features.len(), 4, "{name}");
        for (line, answer) in answers(&name).iter().enumerate() {
            // ONNX Runtime leaves the logistic transform of a regressor out.
            let ours = if name == "onnx_version_5" { Forest::margin } else { Forest::prediction };
            let prediction = ours(&forest, &answer.row);
            assert!(
                close(prediction, answer.prediction, 2e-6),
                "{name}, row {line}: {prediction} is not {}: {:?}",
                answer.prediction,
                answer.row
            );
        }
    }
}

#[test]
fn exported_models_are_what_onnx_runtime_was_seen_to_read_right() {
    for name in ["lightgbm_binary", "lightgbm_zero_missing", "lightgbm_no_missing"] {
        let forest = lightgbm::import(&text(&format!("{name}.txt"))).unwrap();
        let written = onnx::export(&forest).unwrap();
        let seen = onnx::import(&bytes(&format!("exported_{name}.onnx"))).unwrap();
        assert!(onnx::import(&written).unwrap() == seen, "{name}: make the fixtures `exported_…` again");
        for (line, answer) in answers(&format!("exported_{name}")).iter().enumerate() {
            let margin = forest.margin(&answer.row);
            assert!(close(margin, answer.raw.unwrap(), onnx::MARGIN_TOLERANCE), "{name}, row {line}: {:?}", answer.row);
            assert!(close(forest.prediction(&answer.row), answer.prediction, 1e-5), "{name}, row {line}");
            for (tree, same) in forest.trees.iter().zip(&seen.trees) {
                assert_eq!(tree.value(&answer.row), same.value(&answer.row), "{name}, row {line}: {:?}", answer.row);
            }
        }
        assert_eq!(seen.features, forest.features);
    }
}

#[test]
fn what_onnx_models_cannot_be_read_are_refused_by_name() {
    let refusal = |name: &str, from: &str, to: &str| {
        assert_eq!(from.len(), to.len(), "lengths in the file stay right");
        let mut model = bytes(name);
        for place in 0..model.len() - from.len() {
            if model[place..].starts_with(from.as_bytes()) {
                model[place..place + to.len()].copy_from_slice(to.as_bytes());
            }
        }
        onnx::import(&model).unwrap_err().to_string()
    };
    let exported = "exported_lightgbm_binary.onnx";
    for (name, from, to, words) in [
        (exported, "TreeEnsembleRegressor", "LinearOtherRegressor_", "one tree ensemble"),
        (exported, "Sigmoid", "Softmax", "operator `Softmax` beside the trees"),
        (exported, "SUM", "MIN", "aggregate_function `MIN`"),
        (exported, "NONE", "SOFT", "post_transform `SOFT`"),
        (exported, "nodes_modes", "nodes_moods", "0 modes for"),
        (exported, "target_ids", "target_odd", "`target_ids` has 0 values"),
        ("onnx_every_mode.onnx", "BRANCH_GTE", "BRANCH_ODD", "mode `BRANCH_ODD` is not known"),
        ("onnx_every_mode.onnx", "LEAF", "LOAF", "mode `LOAF`"),
        ("onnx_xgboost_classifier.onnx", "classlabels_int64s", "classlabels_int65s", "a classifier of 0 classes"),
        ("onnx_lightgbm.onnx", "Identity", "Negative", "operator `Negative`"),
    ] {
        let error = refusal(name, from, to);
        assert!(error.contains(words), "{from} -> {to}: {error}");
    }
}

fn split(rule: Rule, missing: Missing) -> Forest {
    let node = |value| Node::Leaf { value, cover: 2.0 };
    let root = Node::Split { feature: 0, rule, missing, left: 1, right: 2, gain: 1.0, cover: 4.0 };
    let tree = Tree { nodes: vec![root, node(1.0), node(-1.0)] };
    Forest { features: vec!["a".into()], base_margin: 0.5, output: Output::Logistic, trees: vec![tree] }
}

fn any_threshold() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f32>().prop_filter("a number", |value| !value.is_nan()).prop_map(f64::from),
        any::<f64>().prop_filter("a number", |value| !value.is_nan()),
        -3.0..3.0,
        prop::sample::select(vec![
            0.0,
            -0.0,
            1e-35,
            -1e-35,
            1e-60,
            -1e-60,
            3.5e38,
            -3.5e38,
            f64::INFINITY,
            f64::NEG_INFINITY
        ]),
        prop::sample::select(vec![dhow_trees::ZERO_REACH, -dhow_trees::ZERO_REACH]),
    ]
}

fn any_rule() -> impl Strategy<Value = (Rule, Missing)> {
    let missing = prop::sample::select(vec![
        Missing::Left,
        Missing::Right,
        Missing::AsZero,
        Missing::ZeroLeft,
        Missing::ZeroRight,
    ]);
    let present = prop::sample::select(vec![Missing::Left, Missing::Right, Missing::AsZero]);
    let category = prop_oneof![0..12_u32, any::<u32>(), Just(u32::MAX), Just(1 << 24), Just((1 << 24) + 1)];
    let categories = prop::collection::btree_set(category, 0..8).prop_map(|set| Rule::OneOf(set.into_iter().collect()));
    prop_oneof![
        (any_threshold().prop_map(Rule::AtMost), missing.clone()),
        (any_threshold().prop_map(Rule::Below), missing),
        (categories, present),
    ]
}

/// Values that matter to a rule: its thresholds and categories as `f32`, their neighbours, and the usual traps.
fn probes(rule: &Rule) -> Vec<f32> {
    let mut near: Vec<f64> =
        vec![0.0, -0.0, 1e-35, -1e-35, 1.0, -1.0, -0.5, 2.5, 4294967295.0, 4294967296.0, 3.4028234e38];
    match rule {
        Rule::AtMost(threshold) | Rule::Below(threshold) => near.push(*threshold),
        Rule::OneOf(categories) => near.extend(categories.iter().flat_map(|&category| {
            let category = f64::from(category);
            [category - 1.0, category - 0.5, category, category + 0.5, category + 1.0]
        })),
    }
    let around = |value: f64| {
        let narrow = value as f32;
        [narrow.next_down().next_down(), narrow.next_down(), narrow, narrow.next_up(), narrow.next_up().next_up()]
    };
    let traps = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, -1e-45];
    near.into_iter().flat_map(around).chain(traps).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn an_exported_split_sends_every_f32_where_the_forest_does((rule, missing) in any_rule()) {
        let forest = split(rule.clone(), missing);
        let written = onnx::import(&onnx::export(&forest).unwrap()).unwrap();
        prop_assert_eq!((written.output, written.base_margin), (forest.output, 0.5));
        for value in probes(&rule) {
            let value = f64::from(value);
            let expected = if goes_left(value, &rule, missing) { 1.0 } else { -1.0 };
            prop_assert_eq!(written.trees[0].value(&[value]), expected, "{:e} at {:?} {:?}", value, rule, missing);
        }
    }

    #[test]
    fn random_bytes_are_no_forest(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(onnx::import(&noise).is_err());
        prop_assert!(lightgbm::import(&String::from_utf8_lossy(&noise)).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damaged_files_are_read_or_refused_but_never_end_the_program(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        length in prop::option::of(any::<prop::sample::Index>()),
        file in 0..4_usize,
    ) {
        let name = ["lightgbm_binary.txt", "onnx_every_mode.onnx", "onnx_version_5.onnx", "exported_lightgbm_binary.onnx"][file];
        let mut damaged = bytes(name);
        let place = place.index(damaged.len());
        damaged[place] = byte;
        if let Some(length) = length {
            damaged.truncate(length.index(damaged.len()));
        }
        let read = if file == 0 { lightgbm::import(&String::from_utf8_lossy(&damaged)) } else { onnx::import(&damaged) };
        if let Ok(forest) = read {
            forest.margin(&[0.5, f64::NAN, -1.0, 3.0]);
        }
    }
}

#[test]
fn categories_of_an_exported_forest_come_back_as_categories_and_zeros_as_zeros() {
    let categories = Rule::OneOf(vec![0, 1, 5, 7, 8, 9, 400]);
    for (rule, missing) in [
        (categories.clone(), Missing::Right),
        (categories, Missing::Left),
        (Rule::OneOf(vec![3]), Missing::Right),
        (Rule::AtMost(-2.0), Missing::ZeroLeft),
        (Rule::AtMost(2.0), Missing::ZeroRight),
    ] {
        let forest = split(rule, missing);
        let mut read = onnx::import(&onnx::export(&forest).unwrap()).unwrap();
        if let Node::Split { gain, .. } = &mut read.trees[0].nodes[0] {
            *gain = 1.0;
        }
        assert_eq!(read, forest);
    }
}

#[test]
fn what_cannot_be_exported_is_refused_by_name() {
    let refusal = |change: &dyn Fn(&mut Forest)| {
        let mut forest = split(Rule::AtMost(1.0), Missing::Left);
        change(&mut forest);
        onnx::export(&forest).unwrap_err().to_string()
    };
    let root =
        |forest: &mut Forest, rule: Rule, missing: Missing| forest.trees[0] = split(rule, missing).trees.remove(0);
    let leaf = |value| Node::Leaf { value, cover: 1.0 };
    assert!(refusal(&|forest| forest.trees[0].nodes[1] = leaf(f64::NAN)).contains("must be finite"));
    assert!(refusal(&|forest| forest.trees[0].nodes[1] = leaf(1e12)).contains("cannot be told to agree"));
    assert!(refusal(&|forest| forest.trees[0].nodes.truncate(2)).contains("two nodes after it"));
    assert!(refusal(&|forest| forest.trees[0].nodes.clear()).contains("at least one node"));
    assert!(refusal(&|forest| forest.features.clear()).contains("feature 0 of 0"));
    assert!(refusal(&|forest| forest.features[0] = "a\nb".into()).contains("line break"));
    assert!(refusal(&|forest| root(forest, Rule::AtMost(f64::NAN), Missing::Left)).contains("no number"));
    assert!(refusal(&|forest| root(forest, Rule::OneOf(vec![1]), Missing::ZeroLeft)).contains("beside categories"));
    let scattered = || Rule::OneOf((0..1000).map(|category| 2 * category).collect());
    assert!(refusal(&|forest| root(forest, scattered(), Missing::Left)).contains("2000 comparisons"));
}

#[test]
fn a_forest_without_trees_or_with_single_leaves_is_written_too() {
    let mut forest = split(Rule::AtMost(1.0), Missing::Left);
    forest.trees[0].nodes = vec![Node::Leaf { value: 0.125, cover: 3.0 }];
    assert_eq!(onnx::import(&onnx::export(&forest).unwrap()).unwrap(), forest);
    forest.trees.clear();
    let read = onnx::import(&onnx::export(&forest).unwrap()).unwrap();
    assert_eq!(read.margin(&[1.0]), forest.margin(&[1.0]));
}
