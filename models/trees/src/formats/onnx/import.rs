//! Reads an ONNX model of one tree ensemble and operators around it that change nothing; what the trees look like is `grow`'s.

use std::collections::HashMap;

use prost::Message;

use super::attributes::Attributes;
use super::export::NAMES_KEY;
use super::grow::{Branch, Kind, Listed, Test, grow};
use super::wire::{DOUBLE, FLOAT, Graph, Model, Operator};
use crate::forest::{Forest, Output};
use crate::formats::{FormatError, MAX_FEATURES, MAX_NODES, MAX_TREES, check_size};

/// Reads a model of one output: `TreeEnsembleRegressor`, `TreeEnsembleClassifier` of two classes (its margin is the second
/// class's) or `TreeEnsemble` of domain `ai.onnx.ml`. `Cast` to floats, `Identity`, `ZipMap` and a product with ones are
/// dropped; `Sigmoid` and `Exp` of the ensemble's output become the forest's output.
///
/// An ONNX model mostly reads `f32`. Its thresholds and weights are widened, which is exact, so a row rounded to `f32` reaches
/// the same leaves; margins agree to the rounding of the runtime, which may add up in `f32`. `BRANCH_EQ` becomes a set of
/// categories and thus truncates a value that is no whole number, where ONNX compares it as it is.
///
/// A regressor's `post_transform` LOGISTIC is read as the standard says; ONNX Runtime (1.31) leaves it out and answers the margin.
///
/// Covers are the leaves' `nodes_hitrates` added up where all are above 0; where they are not, every leaf counts as 1.
/// Features are named by the metadata `feature_names`, one a line, as [`super::export`] writes it; else `f0`, `f1`, ….
///
/// # Errors
/// Refused by name: other operators, several targets or classes, other aggregates and transforms than sums, averages, none
/// and logistic, children that do not exist or lead back, and files beyond the bounds of [`crate::formats`].
pub fn import(bytes: &[u8]) -> Result<Forest, FormatError> {
    check_size(bytes.len())?;
    let model = Model::decode(bytes).map_err(|error| FormatError::NotOnnx(error.to_string()))?;
    let graph = model.graph.as_ref().ok_or_else(|| FormatError::NotOnnx("it has no graph".to_owned()))?;
    let ensemble = find_ensemble(graph)?;
    let attributes = Attributes::new(ensemble);
    let mut listing = match ensemble.op_type.as_deref() {
        Some("TreeEnsembleRegressor") => read_regressor(&attributes)?,
        Some("TreeEnsembleClassifier") => read_classifier(&attributes)?,
        _ => read_ensemble(&attributes)?,
    };
    listing.output = output_after(graph, ensemble, listing.output)?;
    listing.check()?;
    let features = features(&model, graph, &listing)?;
    let trees = grow(&listing.nodes, &listing.roots)?;
    Ok(Forest { features, base_margin: listing.base, output: listing.output, trees })
}

/// What an operator says, whichever of the three it is.
struct Listing {
    nodes: Vec<Listed>,
    roots: Vec<usize>,
    base: f64,
    output: Output,
}

impl Listing {
    fn check(&mut self) -> Result<(), FormatError> {
        if self.nodes.len() > MAX_NODES || self.roots.len() > MAX_TREES {
            let size = format!("{} nodes in {} trees", self.nodes.len(), self.roots.len());
            return Err(FormatError::refused(format!("{size}: at most {MAX_NODES} in {MAX_TREES} are read")));
        }
        if !self.base.is_finite() {
            return Err(FormatError::refused(format!("the base value is {}; it must be finite", self.base)));
        }
        for Listed { id, kind } in &self.nodes {
            match kind {
                Kind::Leaf { value, .. } if !value.is_finite() => {
                    return Err(FormatError::node(*id, format!("its weight is {value}; it must be finite")));
                }
                _ => {}
            }
        }
        self.check_covers();
        Ok(())
    }

    /// Counts every leaf as 1 where not all have a usable hit rate.
    fn check_covers(&mut self) {
        let unusable =
            |node: &Listed| matches!(node.kind, Kind::Leaf { cover, .. } if !(cover > 0.0 && cover.is_finite()));
        if self.nodes.iter().any(unusable) {
            for node in &mut self.nodes {
                if let Kind::Leaf { cover, .. } = &mut node.kind {
                    *cover = 1.0;
                }
            }
        }
    }

    fn leaf_values(&mut self) -> impl Iterator<Item = &mut f64> {
        self.nodes.iter_mut().filter_map(|node| match &mut node.kind {
            Kind::Leaf { value, .. } => Some(value),
            Kind::Branch(_) => None,
        })
    }
}

/// The one tree ensemble of a graph whose other operators change nothing.
fn find_ensemble(graph: &Graph) -> Result<&Operator, FormatError> {
    let mut ensembles = graph.nodes.iter().filter(|operator| is_ensemble(operator));
    let (Some(ensemble), None) = (ensembles.next(), ensembles.next()) else {
        let operators: Vec<&str> = graph.nodes.iter().take(16).filter_map(|node| node.op_type.as_deref()).collect();
        let problem =
            format!("the model must hold one tree ensemble of domain ai.onnx.ml; its operators are {operators:?}");
        return Err(FormatError::refused(problem));
    };
    for operator in graph.nodes.iter().filter(|operator| !is_ensemble(operator)) {
        if !changes_nothing(graph, operator, ensemble) {
            let name = operator.op_type.as_deref().unwrap_or_default();
            let problem = format!(
                "operator `{name}` beside the trees is not read; Cast to floats, Identity and ZipMap are dropped"
            );
            return Err(FormatError::refused(problem));
        }
    }
    Ok(ensemble)
}

fn is_ensemble(operator: &Operator) -> bool {
    operator.domain.as_deref() == Some("ai.onnx.ml")
        && matches!(
            operator.op_type.as_deref(),
            Some("TreeEnsembleRegressor" | "TreeEnsembleClassifier" | "TreeEnsemble")
        )
}

fn changes_nothing(graph: &Graph, operator: &Operator, ensemble: &Operator) -> bool {
    match operator.op_type.as_deref() {
        Some("Identity" | "ZipMap") => true,
        // Labels may be cast to anything; what the trees read may not.
        Some("Cast") => {
            let to = Attributes::new(operator).int("to", 0);
            [i64::from(FLOAT), i64::from(DOUBLE)].contains(&to) || !feeds(graph, operator, ensemble)
        }
        Some("Mul") => {
            let one = |name: &String| {
                let tensor = graph.initializers.iter().find(|tensor| tensor.name.as_ref() == Some(name));
                tensor.and_then(|tensor| tensor.values()).is_some_and(|values| values.iter().all(|&value| value == 1.0))
            };
            operator.inputs.iter().any(one)
        }
        Some("Sigmoid" | "Exp") => operator.inputs.first() == ensemble.outputs.first(),
        _ => false,
    }
}

/// Whether what an operator gives is what the ensemble reads, at once or after others.
fn feeds(graph: &Graph, operator: &Operator, ensemble: &Operator) -> bool {
    let mut wanted = ensemble;
    // A way of dropped operators has one input each, and no more steps than there are operators.
    for _ in 0..graph.nodes.len() {
        let Some(source) = wanted.inputs.first() else { return false };
        match graph.nodes.iter().find(|node| node.outputs.contains(source)) {
            Some(node) if std::ptr::eq(node, operator) => return true,
            Some(node) => wanted = node,
            None => return false,
        }
    }
    false
}

/// The forest's output, given what the ensemble's own transform makes of it.
fn output_after(graph: &Graph, ensemble: &Operator, own: Output) -> Result<Output, FormatError> {
    let mut transforms = graph.nodes.iter().filter_map(|operator| match operator.op_type.as_deref() {
        Some("Sigmoid") => Some(Output::Logistic),
        Some("Exp") => Some(Output::Exponential),
        _ => None,
    });
    match (transforms.next(), transforms.next()) {
        (None, _) => Ok(own),
        (Some(output), None)
            if own == Output::Identity && ensemble.op_type.as_deref() != Some("TreeEnsembleClassifier") =>
        {
            Ok(output)
        }
        _ => Err(FormatError::refused("more than one transform of the trees' output is not read")),
    }
}

fn features(model: &Model, graph: &Graph, listing: &Listing) -> Result<Vec<String>, FormatError> {
    let highest = listing.nodes.iter().filter_map(|node| match &node.kind {
        Kind::Branch(branch) => Some(branch.feature as usize + 1),
        Kind::Leaf { .. } => None,
    });
    let needed = highest.max().unwrap_or(0);
    let shape = graph.inputs.first().and_then(|input| input.kind.as_ref()?.tensor.as_ref()?.shape.as_ref());
    let stated = shape.and_then(|shape| usize::try_from(shape.dims.get(1)?.value?).ok());
    let count = stated.unwrap_or(needed);
    if count < needed || count > MAX_FEATURES {
        let problem =
            format!("the rows have {count} columns, the trees read {needed}; at most {MAX_FEATURES} are read");
        return Err(FormatError::refused(problem));
    }
    let names = model.metadata.iter().find(|entry| entry.key.as_deref() == Some(NAMES_KEY));
    let names: Vec<String> =
        names.and_then(|entry| entry.value.as_deref()).unwrap_or_default().lines().map(str::to_owned).collect();
    Ok(if names.len() == count { names } else { (0..count).map(|index| format!("f{index}")).collect() })
}

fn read_regressor(attributes: &Attributes) -> Result<Listing, FormatError> {
    if attributes.int("n_targets", 1) != 1 || attributes.ints("target_ids").iter().any(|&target| target != 0) {
        return Err(FormatError::refused("several targets are not read; one is"));
    }
    let output = transform(attributes.text("post_transform", "NONE")?)?;
    let averaged = averages(attributes.text("aggregate_function", "SUM")?)?;
    let weights = Weights::read(attributes, "target", |_| true)?;
    let base = single_base(&attributes.numbers("base_values")?)?;
    let mut listing = read_nodes(attributes, &weights, base, output)?;
    if averaged {
        let trees = listing.roots.len() as f64;
        listing.leaf_values().for_each(|value| *value /= trees);
    }
    Ok(listing)
}

fn read_classifier(attributes: &Attributes) -> Result<Listing, FormatError> {
    let classes = attributes.ints("classlabels_int64s").len() + attributes.texts("classlabels_strings")?.len();
    if classes != 2 {
        return Err(FormatError::refused(format!("a classifier of {classes} classes is not read; one of 2 is")));
    }
    let output = transform(attributes.text("post_transform", "NONE")?)?;
    let base = attributes.numbers("base_values")?;
    let class_ids = attributes.ints("class_ids");
    if let Some(class) = class_ids.iter().find(|class| !(0..2).contains(*class)) {
        return Err(FormatError::refused(format!("`class_ids` holds {class}; the two classes are 0 and 1")));
    }
    let second = class_ids.contains(&1);
    if second && !base.is_empty() {
        return Err(FormatError::refused(
            "base values beside weights of the second class are not read: runtimes differ there",
        ));
    }
    // Weights of one class only are the second's; beside weights of both, the first's say nothing more.
    let weights = Weights::read(attributes, "class", |class| !second || class == 1)?;
    read_nodes(attributes, &weights, single_base(&base)?, output)
}

fn transform(name: &str) -> Result<Output, FormatError> {
    match name {
        "NONE" => Ok(Output::Identity),
        "LOGISTIC" => Ok(Output::Logistic),
        _ => Err(FormatError::refused(format!("post_transform `{name}` is not read; NONE and LOGISTIC are"))),
    }
}

fn averages(aggregate: &str) -> Result<bool, FormatError> {
    match aggregate {
        "SUM" => Ok(false),
        "AVERAGE" => Ok(true),
        _ => Err(FormatError::refused(format!("aggregate_function `{aggregate}` is not read; SUM and AVERAGE are"))),
    }
}

fn single_base(values: &[f64]) -> Result<f64, FormatError> {
    match values {
        [] => Ok(0.0),
        [base] => Ok(*base),
        _ => Err(FormatError::refused(format!("{} base values for one output; at most one is read", values.len()))),
    }
}

/// Weights of leaves by tree and node.
struct Weights(HashMap<(i64, i64), f64>);

impl Weights {
    fn read(attributes: &Attributes, prefix: &str, counts: impl Fn(i64) -> bool) -> Result<Self, FormatError> {
        let trees = attributes.ints(&format!("{prefix}_treeids"));
        let nodes = attributes.all_ints(&format!("{prefix}_nodeids"), trees.len())?;
        let targets = attributes.all_ints(&format!("{prefix}_ids"), trees.len())?;
        let weights = attributes.all_numbers(&format!("{prefix}_weights"), trees.len())?;
        let mut map = HashMap::new();
        for (place, &weight) in weights.iter().enumerate().filter(|(place, _)| counts(targets[*place])) {
            let id = (trees[place], nodes[place]);
            if map.insert(id, weight).is_some() {
                return Err(FormatError::node(id, "it has two weights for one output"));
            }
        }
        Ok(Self(map))
    }
}

/// The nodes of the operators up to version 3 of `ai.onnx.ml`.
fn read_nodes(attributes: &Attributes, weights: &Weights, base: f64, output: Output) -> Result<Listing, FormatError> {
    let trees = attributes.ints("nodes_treeids");
    let length = trees.len();
    let numbers = attributes.all_ints("nodes_nodeids", length)?;
    let on_true = attributes.all_ints("nodes_truenodeids", length)?;
    let on_false = attributes.all_ints("nodes_falsenodeids", length)?;
    let features = attributes.all_ints("nodes_featureids", length)?;
    let values = attributes.all_numbers("nodes_values", length)?;
    let modes = attributes.texts("nodes_modes")?;
    let missing = optional(attributes.ints("nodes_missing_value_tracks_true").to_vec(), length)?;
    let hit_rates = optional(attributes.numbers("nodes_hitrates")?, length)?;
    if modes.len() != length {
        return Err(FormatError::refused(format!("{} modes for {length} nodes", modes.len())));
    }
    let ids: Vec<(i64, i64)> = trees.iter().copied().zip(numbers.iter().copied()).collect();
    let mut places = HashMap::with_capacity(length);
    for (place, &id) in ids.iter().enumerate() {
        if places.insert(id, place).is_some() {
            return Err(FormatError::node(id, "it is listed twice"));
        }
    }
    let child = |id: (i64, i64), number: i64| {
        let place = places.get(&(id.0, number)).copied();
        place.ok_or_else(|| FormatError::node(id, format!("its child {number} is not listed")))
    };
    let mut nodes = Vec::with_capacity(length);
    for (place, &id) in ids.iter().enumerate() {
        let kind = if modes[place] == "LEAF" {
            let value = weights.0.get(&id).copied();
            let value =
                value.ok_or_else(|| FormatError::node(id, "the leaf has no weight for the output that is read"))?;
            Kind::Leaf { value, cover: hit_rates.get(place).copied().unwrap_or(1.0) }
        } else {
            Kind::Branch(Branch {
                feature: feature(id, features[place])?,
                test: test(id, modes[place], values[place])?,
                missing_on_true: missing.get(place).is_some_and(|&tracks| tracks != 0),
                on_true: child(id, on_true[place])?,
                on_false: child(id, on_false[place])?,
            })
        };
        nodes.push(Listed { id, kind });
    }
    Ok(Listing { roots: roots(&ids, &nodes)?, nodes, base, output })
}

/// The first listed node of every tree, which must have no parent.
fn roots(ids: &[(i64, i64)], nodes: &[Listed]) -> Result<Vec<usize>, FormatError> {
    let mut seen = std::collections::HashSet::new();
    let roots: Vec<usize> = (0..ids.len()).filter(|&place| seen.insert(ids[place].0)).collect();
    let is_root: std::collections::HashSet<usize> = roots.iter().copied().collect();
    for Listed { id, kind } in nodes {
        if let Kind::Branch(branch) = kind
            && (is_root.contains(&branch.on_true) || is_root.contains(&branch.on_false))
        {
            return Err(FormatError::node(
                *id,
                "it leads to the first node listed of its tree, which must be the root",
            ));
        }
    }
    Ok(roots)
}

fn optional<T>(values: Vec<T>, length: usize) -> Result<Vec<T>, FormatError> {
    if values.is_empty() || values.len() == length {
        Ok(values)
    } else {
        Err(FormatError::refused(format!("an attribute of nodes has {} values for {length} nodes", values.len())))
    }
}

fn feature(id: (i64, i64), number: i64) -> Result<u32, FormatError> {
    let known = u32::try_from(number).ok().filter(|&feature| (feature as usize) < MAX_FEATURES);
    known.ok_or_else(|| FormatError::node(id, format!("it reads column {number}; 0 to {} are read", MAX_FEATURES - 1)))
}

fn test(id: (i64, i64), mode: &str, value: f64) -> Result<Test, FormatError> {
    Ok(match mode {
        "BRANCH_LEQ" => Test::AtMost(value),
        "BRANCH_LT" => Test::Below(value),
        "BRANCH_GTE" => Test::AtLeast(value),
        "BRANCH_GT" => Test::Above(value),
        "BRANCH_EQ" => Test::Equal(value),
        "BRANCH_NEQ" => Test::NotEqual(value),
        _ => return Err(FormatError::node(id, format!("mode `{mode}` is not known"))),
    })
}

/// The modes of version 5 by their numbers; the next is a test of membership.
const MODES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
const MEMBER_MODE: usize = MODES.len();

/// `TreeEnsemble` of version 5 of `ai.onnx.ml`, where splits and leaves are listed apart.
fn read_ensemble(attributes: &Attributes) -> Result<Listing, FormatError> {
    if attributes.int("n_targets", 1) != 1 || attributes.ints("leaf_targetids").iter().any(|&target| target != 0) {
        return Err(FormatError::refused("several targets are not read; one is"));
    }
    let output = transform(match attributes.int("post_transform", 0) {
        0 => "NONE",
        2 => "LOGISTIC",
        _ => "other than 0 and 2",
    })?;
    let averaged = averages(match attributes.int("aggregate_function", 1) {
        0 => "AVERAGE",
        1 => "SUM",
        _ => "other than 0 and 1",
    })?;
    let features = attributes.ints("nodes_featureids");
    let length = features.len();
    let on_true = attributes.all_ints("nodes_truenodeids", length)?;
    let on_false = attributes.all_ints("nodes_falsenodeids", length)?;
    let true_leaves = attributes.all_ints("nodes_trueleafs", length)?;
    let false_leaves = attributes.all_ints("nodes_falseleafs", length)?;
    let missing = optional(attributes.ints("nodes_missing_value_tracks_true").to_vec(), length)?;
    let (splits, modes) = (attributes.tensor("nodes_splits")?, attributes.tensor("nodes_modes")?);
    if splits.len() != length || modes.len() != length {
        return Err(FormatError::refused(format!("{} splits, {} modes, {length} features", splits.len(), modes.len())));
    }
    let weights = attributes.tensor("leaf_weights")?;
    let mut sets = membership_sets(&attributes.tensor("membership_values")?);
    let child = |id, number: i64, is_leaf: i64| {
        let (offset, count) = if is_leaf != 0 { (length, weights.len()) } else { (0, length) };
        let place = usize::try_from(number).ok().filter(|&place| place < count).map(|place| offset + place);
        place.ok_or_else(|| FormatError::node(id, format!("its child {number} is not listed")))
    };
    let mut nodes = Vec::with_capacity(length + weights.len());
    for place in 0..length {
        let id = (0, place as i64);
        // Any other number is above the known modes, and refused as such.
        let known = (0..=MEMBER_MODE).find(|&mode| mode as f64 == modes[place]);
        let test = match known.unwrap_or(MEMBER_MODE + 1) {
            MEMBER_MODE => {
                let set = sets.next();
                Test::Member(set.ok_or_else(|| FormatError::node(id, "`membership_values` has no set for it"))?)
            }
            mode => test(id, MODES.get(mode).copied().unwrap_or("unknown number"), splits[place])?,
        };
        nodes.push(Listed {
            id,
            kind: Kind::Branch(Branch {
                feature: feature(id, features[place])?,
                test,
                missing_on_true: missing.get(place).is_some_and(|&tracks| tracks != 0),
                on_true: child(id, on_true[place], true_leaves[place])?,
                on_false: child(id, on_false[place], false_leaves[place])?,
            }),
        });
    }
    let leaf = |(place, &value)| Listed { id: (0, (length + place) as i64), kind: Kind::Leaf { value, cover: 1.0 } };
    nodes.extend(weights.iter().enumerate().map(leaf));
    let root = |&root: &i64| child((0, root), root, 0);
    let roots: Vec<usize> = attributes.ints("tree_roots").iter().map(root).collect::<Result<_, _>>()?;
    let mut listing = Listing { nodes, roots, base: 0.0, output };
    if averaged {
        let trees = listing.roots.len() as f64;
        listing.leaf_values().for_each(|value| *value /= trees);
    }
    Ok(listing)
}

/// The sets of the nodes that test membership, in order; NaN stands between two.
fn membership_sets(values: &[f64]) -> std::vec::IntoIter<Vec<f64>> {
    let sets: Vec<Vec<f64>> = values.split(|value| value.is_nan()).map(<[f64]>::to_vec).collect();
    sets.into_iter()
}
