//! What is refused, and in which words.

use dhow_trees::{
    Forest, Kind, Loss, Metric, Missing, Node, Output, Predictor, Rule, Settings, Tree, Validation, learn,
};

use crate::forests::Table;

fn table() -> Table {
    let columns =
        vec![("amount", Kind::Number, vec![1.0, 2.0, 3.0, 4.0]), ("shop", Kind::Category, vec![0.0, 1.0, 0.0, 1.0])];
    Table { columns, labels: vec![0.0, 1.0, 0.0, 1.0], ..Table::default() }
}

fn refusal(settings: &Settings, change: impl FnOnce(&mut Table)) -> String {
    let mut table = table();
    change(&mut table);
    table.with(|data| learn(settings, data, None)).unwrap_err().to_string()
}

#[test]
fn data_that_nothing_can_be_learned_from_are_refused_with_the_place() {
    let logistic = Settings::new(Loss::Logistic);
    let says = |change: fn(&mut Table), words: &str| {
        let told = refusal(&logistic, change);
        assert!(told.contains(words), "{told:?} does not say {words:?}");
    };
    says(
        |table| *table = Table { columns: vec![("amount", Kind::Number, vec![])], ..Table::default() },
        "0 rows of 1 columns",
    );
    says(|table| table.columns.clear(), "4 rows of 0 columns");
    says(|table| table.labels = vec![1.0; 4], "all 4 labels with a weight are 1");
    says(|table| table.labels[2] = 0.5, "labels, row 2: 0.5 is not 0 or 1");
    says(|table| table.columns[0].2[3] = f64::INFINITY, "amount, row 3: inf is not a finite number");
    says(|table| table.columns[1].2[1] = -1.0, "shop, row 1: -1 is not a whole number");
    says(|table| table.weights = Some(vec![1.0, -1.0, 1.0, 1.0]), "weights, row 1: -1");
    says(|table| table.weights = Some(vec![0.0; 4]), "no row has a weight above 0");
    says(|table| table.weights = Some(vec![1.0; 3]), "weights has 3 values where there are 4 rows");
    says(|table| table.groups = Some(vec![4]), "groups are for LambdaRank alone");
    says(|table| table.columns.iter_mut().for_each(|column| column.2 = vec![7.0; 4]), "one value in all rows");
    assert!(
        refusal(&Settings::new(Loss::LambdaRank { top: 5 }), |table| table.groups = Some(vec![3]))
            .contains("groups has 3")
    );
    assert!(refusal(&Settings::new(Loss::LambdaRank { top: 5 }), |_| {}).contains("needs groups"));
    assert!(
        refusal(&Settings::new(Loss::Tweedie { power: 1.5 }), |table| table.labels = vec![0.0; 4])
            .contains("all labels")
    );
    let monotone = |table: &mut Table| table.columns[0].1 = Kind::Increasing;
    assert!(refusal(&Settings::new(Loss::Quantile { alpha: 0.5 }), monotone).contains("monotone"));
}

#[test]
fn a_constant_column_is_never_asked_where_another_differs() {
    let mut table = table();
    table.columns[0].2 = vec![5.0; 4];
    let settings = Settings { category_smoothing: 0.0, category_l2: 0.0, ..Settings::new(Loss::Logistic) };
    let forest = table.with(|data| learn(&settings, data, None)).unwrap().forest;
    let asked = |node: &Node| matches!(node, Node::Split { feature: 0, .. });
    assert!(!forest.trees.iter().flat_map(|tree| &tree.nodes).any(asked));
    assert!(forest.margin(&[5.0, 1.0]) > forest.margin(&[5.0, 0.0]));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let base = Settings::new(Loss::Logistic);
    let cases = [
        (Settings { rounds: 0, ..base.clone() }, "rounds is 0"),
        (Settings { learning_rate: f64::NAN, ..base.clone() }, "learning_rate is NaN"),
        (Settings { max_bins: 256, ..base.clone() }, "max_bins is 256; it must be 2 to 255"),
        (Settings { l2: -1.0, ..base.clone() }, "l2 is -1"),
        (Settings { min_child_weight: 0.0, ..base.clone() }, "min_child_weight is 0"),
        (Settings { loss: Loss::Quantile { alpha: 1.0 }, ..base.clone() }, "alpha is 1; it must be between 0 and 1"),
        (Settings { loss: Loss::Tweedie { power: 2.0 }, ..base }, "power is 2"),
    ];
    for (settings, words) in cases {
        let told = refusal(&settings, |_| {});
        assert!(told.contains(words), "{told:?} does not say {words:?}");
    }
}

#[test]
fn validation_rows_of_other_columns_or_without_what_the_metric_needs_are_refused() {
    let (training, mut later) = (table(), table());
    let settings = Settings::new(Loss::Logistic);
    let told = |later: &Table, metric| {
        training.with(|data| {
            later.with(|later| {
                let validation = Validation { data: *later, metric, patience: 5 };
                learn(&settings, data, Some(&validation)).unwrap_err().to_string()
            })
        })
    };
    assert!(told(&later, Metric::Ndcg { top: 5 }).contains("NDCG needs groups"));
    later.labels = vec![0.0; 4];
    assert!(told(&later, Metric::AveragePrecision).contains("needs a label 1"));
    later.columns.swap(0, 1);
    assert!(told(&later, Metric::Loss).contains("its columns are shop, amount; they must be amount, shop"));
}

#[test]
fn an_unsound_forest_is_refused_with_tree_and_node() {
    let leaf = |value: f64, cover: f64| Node::Leaf { value, cover };
    let split = |feature, rule, left, right| Node::Split {
        feature,
        rule,
        missing: Missing::Left,
        left,
        right,
        gain: 0.0,
        cover: 2.0,
    };
    let forest = |nodes: Vec<Node>| {
        let trees = vec![Tree { nodes: vec![leaf(0.0, 1.0)] }, Tree { nodes }];
        Forest { features: vec!["amount".to_owned()], base_margin: 0.0, output: Output::Identity, trees }
    };
    let two = || [leaf(1.0, 1.0), leaf(2.0, 1.0)];
    let with = |root: Node| [root].into_iter().chain(two()).collect::<Vec<_>>();
    assert_eq!(forest(with(split(0, Rule::AtMost(1.0), 1, 2))).check(), Ok(()));
    let cases = [
        (vec![], "tree 1, node 0: the tree has no nodes"),
        (with(split(0, Rule::AtMost(1.0), 0, 2)), "tree 1, node 0: its child is node 0"),
        (with(split(0, Rule::AtMost(1.0), 1, 3)), "its child is node 3"),
        (with(split(0, Rule::AtMost(1.0), 1, 1)), "node 1: it is a child twice"),
        (with(leaf(0.0, 1.0)), "node 1: no node leads to it"),
        (with(split(1, Rule::AtMost(1.0), 1, 2)), "it asks feature 1 of 1"),
        (with(split(0, Rule::Below(f64::NAN), 1, 2)), "its threshold is NaN"),
        (with(split(0, Rule::OneOf(vec![2, 1]), 1, 2)), "not sorted and distinct"),
        (vec![leaf(f64::INFINITY, 1.0)], "its value is inf"),
        (vec![leaf(0.0, 0.0)], "its cover is 0; it must be above 0"),
    ];
    for (nodes, words) in cases {
        let unsound = forest(nodes);
        let told = unsound.check().unwrap_err().to_string();
        assert!(told.contains(words), "{told:?} does not say {words:?}");
        assert!(Predictor::compile(&unsound).is_err());
    }
}
