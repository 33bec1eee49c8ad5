//! Writes a forest as an ONNX model that any runtime of `ai.onnx.ml` version 3 reads; it refuses what would not reach the same leaves.

use prost::Message;

use super::cuts::{Bound, Cut, MAX_CUTS, cuts};
use super::wire::{
    Attribute, DOUBLE, Dimension, Entry, FLOAT, Graph, Model, Operator, OperatorSet, Shape, Tensor, TensorKind,
    ValueInfo, ValueKind, kind,
};
use crate::forest::{Forest, Missing, Node, Output, Rule, Tree};
use crate::formats::{FormatError, MAX_FEATURES, MAX_NODES, MAX_TREES};

/// The input of a written model: `f32` rows, one column per feature, NaN where a value is missing.
pub const ROWS_INPUT: &str = "rows";
/// The first output: one margin per row, `f32`.
pub const MARGIN_OUTPUT: &str = "margin";
/// The second output: one prediction per row, `f32`.
pub const PREDICTION_OUTPUT: &str = "prediction";
/// By how much a margin may differ from the forest's: absolute for margins within ±1, beyond that relative to them.
pub const MARGIN_TOLERANCE: f64 = 1e-5;
/// The metadata that holds the features' names, one a line.
pub(super) const NAMES_KEY: &str = "feature_names";

/// Versions of the format and of the operators that are written.
const IR_VERSION: i64 = 8;
const OPERATORS_VERSION: i64 = 13;
const ML_OPERATORS_VERSION: i64 = 3;

/// Writes the forest so that every `f32` row, with infinite, missing and zero values as well, reaches in each tree the leaf
/// that [`Tree::leaf`] tells, and its margin agrees within [`MARGIN_TOLERANCE`].
///
/// The model casts the rows to doubles and holds thresholds and leaves as doubles, so that the runtime adds up in double
/// precision and rounds once, to the `f32` margin. Thresholds of `<=` are rounded towards −∞ to `f32`, those of `<` towards +∞: for
/// `f32` rows the answers are the same, and a reader that keeps thresholds in `f32` reaches the same leaves too. Sets of categories
/// and zeros that count as missing become chains of such comparisons that share their children. Covers are written as
/// `nodes_hitrates`.
///
/// # Errors
/// Refused by name: leaves, base margins and thresholds that are no (finite) numbers; leaves so large that the sum's rounding
/// could exceed half the tolerance or `f32`'s range; splits that need more than [`MAX_CUTS`] comparisons; children that do not
/// stand after their parent; names with line breaks; and forests beyond the bounds of [`crate::formats`].
pub fn export(forest: &Forest) -> Result<Vec<u8>, FormatError> {
    check_whole(forest)?;
    let mut table = Table::default();
    for (number, tree) in forest.trees.iter().enumerate() {
        table.add_tree(number as i64, tree, forest.features.len())?;
    }
    if forest.trees.is_empty() {
        table.add_leaf((0, 0), 0.0, 1.0);
    }
    Ok(model(forest, table).encode_to_vec())
}

fn check_whole(forest: &Forest) -> Result<(), FormatError> {
    let (features, trees) = (forest.features.len(), forest.trees.len());
    let nodes: usize = forest.trees.iter().map(|tree| tree.nodes.len()).sum();
    if features > MAX_FEATURES || trees > MAX_TREES || nodes > MAX_NODES {
        let size = format!("{nodes} nodes in {trees} trees over {features} features");
        let problem = format!("{size}: at most {MAX_NODES} in {MAX_TREES} over {MAX_FEATURES} are written");
        return Err(FormatError::refused(problem));
    }
    if let Some(name) = forest.features.iter().find(|name| name.contains(['\n', '\r'])) {
        return Err(FormatError::refused(format!("the feature name {name:?} holds a line break")));
    }
    check_sums(forest)
}

/// Checks that margins can be added up in doubles, in any order, and be told as `f32`.
fn check_sums(forest: &Forest) -> Result<(), FormatError> {
    let largest = |tree: &Tree| {
        tree.nodes.iter().fold(0.0_f64, |largest, node| match node {
            Node::Leaf { value, .. } => largest.max(value.abs()),
            Node::Split { .. } => largest,
        })
    };
    let reach = forest.base_margin.abs() + forest.trees.iter().map(largest).sum::<f64>();
    // Each of the additions, here and there, errs by at most half an epsilon of what was added up so far.
    let rounding = reach * f64::EPSILON * (forest.trees.len() + 2) as f64;
    if reach <= f64::from(f32::MAX) && rounding <= MARGIN_TOLERANCE / 2.0 {
        return Ok(());
    }
    let problem =
        format!("margins may reach ±{reach:e}, where sums cannot be told to agree within {MARGIN_TOLERANCE:e}");
    Err(FormatError::refused(problem))
}

/// The columns of the operator's attributes.
#[derive(Default)]
struct Table {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<&'static str>,
    thresholds: Vec<f64>,
    hit_rates: Vec<f64>,
    on_true: Vec<i64>,
    on_false: Vec<i64>,
    missing_on_true: Vec<i64>,
    leaf_trees: Vec<i64>,
    leaf_nodes: Vec<i64>,
    leaf_weights: Vec<f64>,
}

impl Table {
    /// A split becomes as many nodes as it has cuts, a leaf one, in the order of the tree's nodes.
    fn add_tree(&mut self, number: i64, tree: &Tree, features: usize) -> Result<(), FormatError> {
        let mut chains = Vec::with_capacity(tree.nodes.len());
        let mut entries = Vec::with_capacity(tree.nodes.len());
        let mut next = 0;
        for (place, node) in tree.nodes.iter().enumerate() {
            let chain = checked_cuts((number, place as i64), node, features, tree.nodes.len())?;
            entries.push(next);
            next += chain.len().max(1) as i64;
            chains.push(chain);
        }
        if next == 0 || self.nodes.len() + next as usize > MAX_NODES {
            let problem = format!("a tree has at least one node, and a model at most {MAX_NODES}");
            return Err(FormatError::node((number, 0), problem));
        }
        for (place, (node, chain)) in tree.nodes.iter().zip(&chains).enumerate() {
            match node {
                Node::Leaf { value, cover } => self.add_leaf((number, entries[place]), *value, *cover),
                Node::Split { feature, left, right, cover, .. } => {
                    let children = (entries[*left as usize], entries[*right as usize]);
                    self.add_chain((number, entries[place]), i64::from(*feature), chain, children, *cover);
                }
            }
        }
        Ok(())
    }

    fn add_leaf(&mut self, id: (i64, i64), value: f64, cover: f64) {
        self.add_node(id, "LEAF", 0.0, cover);
        self.features.push(0);
        self.on_true.push(0);
        self.on_false.push(0);
        self.missing_on_true.push(0);
        self.leaf_trees.push(id.0);
        self.leaf_nodes.push(id.1);
        self.leaf_weights.push(value);
    }

    /// Values that keep a cut go to a child at once; the others go on to the next cut, and from the last to the right child.
    fn add_chain(
        &mut self,
        (tree, entry): (i64, i64),
        feature: i64,
        chain: &[Cut],
        (left, right): (i64, i64),
        cover: f64,
    ) {
        for (node, cut) in (entry..).zip(chain) {
            let (mode, threshold) = match cut.bound {
                Bound::AtMost(threshold) => ("BRANCH_LEQ", threshold),
                Bound::Below(threshold) => ("BRANCH_LT", threshold),
            };
            let is_last = node + 1 == entry + chain.len() as i64;
            self.add_node((tree, node), mode, f64::from(threshold), cover);
            self.features.push(feature);
            self.on_true.push(if cut.left { left } else { right });
            self.on_false.push(if is_last { right } else { node + 1 });
            self.missing_on_true.push(i64::from(cut.missing));
        }
    }

    fn add_node(&mut self, (tree, node): (i64, i64), mode: &'static str, threshold: f64, hit_rate: f64) {
        self.trees.push(tree);
        self.nodes.push(node);
        self.modes.push(mode);
        self.thresholds.push(threshold);
        self.hit_rates.push(hit_rate);
    }
}

/// The cuts of a split, none of a leaf, after checks of what the node says.
fn checked_cuts(id: (i64, i64), node: &Node, features: usize, nodes: usize) -> Result<Vec<Cut>, FormatError> {
    let (feature, rule, missing, left, right) = match node {
        Node::Leaf { value, .. } if !value.is_finite() => {
            return Err(FormatError::node(id, format!("its value is {value}; it must be finite")));
        }
        Node::Leaf { .. } => return Ok(Vec::new()),
        Node::Split { feature, rule, missing, left, right, .. } => (*feature, rule, *missing, *left, *right),
    };
    let problem = match rule {
        Rule::AtMost(threshold) | Rule::Below(threshold) if threshold.is_nan() => {
            "its threshold is no number".to_owned()
        }
        _ if feature as usize >= features => format!("it asks feature {feature} of {features}"),
        _ if [left, right].iter().any(|&child| i64::from(child) <= id.1 || child as usize >= nodes)
            || left == right =>
        {
            format!("its children {left} and {right} must be two nodes after it of {nodes}")
        }
        Rule::OneOf(_) if matches!(missing, Missing::ZeroLeft | Missing::ZeroRight) => {
            "zeros that count as missing are not written beside categories".to_owned()
        }
        Rule::OneOf(categories) if !categories.is_sorted_by(|one, next| one < next) => {
            "its categories must rise".to_owned()
        }
        _ => {
            let cuts = cuts(rule, missing);
            if cuts.len() <= MAX_CUTS {
                return Ok(cuts);
            }
            format!("its {} comparisons are more than {MAX_CUTS}, the most that a split is written as", cuts.len())
        }
    };
    Err(FormatError::node(id, problem))
}

fn model(forest: &Forest, table: Table) -> Model {
    let transform = match forest.output {
        Output::Identity => "Identity",
        Output::Logistic => "Sigmoid",
        Output::Exponential => "Exp",
    };
    let widened = "rows_in_doubles";
    let graph = Graph {
        nodes: vec![
            operator("", "Cast", ROWS_INPUT, widened, vec![int("to", i64::from(DOUBLE))]),
            operator(
                "ai.onnx.ml",
                "TreeEnsembleRegressor",
                widened,
                MARGIN_OUTPUT,
                ensemble(forest.base_margin, table),
            ),
            operator("", transform, MARGIN_OUTPUT, PREDICTION_OUTPUT, Vec::new()),
        ],
        name: Some("forest".to_owned()),
        initializers: Vec::new(),
        inputs: vec![floats_by_row(ROWS_INPUT, forest.features.len())],
        outputs: vec![floats_by_row(MARGIN_OUTPUT, 1), floats_by_row(PREDICTION_OUTPUT, 1)],
    };
    let set = |domain: &str, version| OperatorSet { domain: Some(domain.to_owned()), version: Some(version) };
    Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("dhow".to_owned()),
        graph: Some(graph),
        opset_import: vec![set("", OPERATORS_VERSION), set("ai.onnx.ml", ML_OPERATORS_VERSION)],
        metadata: vec![Entry { key: Some(NAMES_KEY.to_owned()), value: Some(forest.features.join("\n")) }],
    }
}

fn ensemble(base_margin: f64, table: Table) -> Vec<Attribute> {
    let targets = vec![0; table.leaf_weights.len()];
    vec![
        text("aggregate_function", "SUM"),
        doubles("base_values_as_tensor", vec![base_margin]),
        int("n_targets", 1),
        ints("nodes_falsenodeids", table.on_false),
        ints("nodes_featureids", table.features),
        doubles("nodes_hitrates_as_tensor", table.hit_rates),
        ints("nodes_missing_value_tracks_true", table.missing_on_true),
        texts("nodes_modes", &table.modes),
        ints("nodes_nodeids", table.nodes),
        ints("nodes_treeids", table.trees),
        ints("nodes_truenodeids", table.on_true),
        doubles("nodes_values_as_tensor", table.thresholds),
        text("post_transform", "NONE"),
        ints("target_ids", targets),
        ints("target_nodeids", table.leaf_nodes),
        ints("target_treeids", table.leaf_trees),
        doubles("target_weights_as_tensor", table.leaf_weights),
    ]
}

fn operator(domain: &str, op_type: &str, input: &str, output: &str, attributes: Vec<Attribute>) -> Operator {
    Operator {
        inputs: vec![input.to_owned()],
        outputs: vec![output.to_owned()],
        name: Some(output.to_owned()),
        op_type: Some(op_type.to_owned()),
        attributes,
        domain: Some(domain.to_owned()),
    }
}

fn floats_by_row(name: &str, columns: usize) -> ValueInfo {
    let rows = Dimension { value: None, name: Some("N".to_owned()) };
    let columns = Dimension { value: Some(columns as i64), name: None };
    let tensor = TensorKind { element: Some(FLOAT), shape: Some(Shape { dims: vec![rows, columns] }) };
    ValueInfo { name: Some(name.to_owned()), kind: Some(ValueKind { tensor: Some(tensor) }) }
}

fn attribute(name: &str, kind: i32) -> Attribute {
    Attribute { name: Some(name.to_owned()), kind: Some(kind), ..Attribute::default() }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { int: Some(value), ..attribute(name, kind::INT) }
}

fn ints(name: &str, ints: Vec<i64>) -> Attribute {
    Attribute { ints, ..attribute(name, kind::INTS) }
}

fn text(name: &str, value: &str) -> Attribute {
    Attribute { string: Some(value.as_bytes().to_vec()), ..attribute(name, kind::STRING) }
}

fn texts(name: &str, values: &[&str]) -> Attribute {
    Attribute {
        strings: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
        ..attribute(name, kind::STRINGS)
    }
}

fn doubles(name: &str, values: Vec<f64>) -> Attribute {
    Attribute { tensor: Some(Tensor::doubles(name, values)), ..attribute(name, kind::TENSOR) }
}
