//! Whether a forest is sound: what a walk, a predictor and the reasons rely on; it judges no quality.

use crate::error::ForestError;
use crate::forest::{Forest, Node, Rule};

/// The most trees of a forest.
pub const MAX_TREES: usize = 1 << 20;
/// The most nodes of a forest.
pub const MAX_NODES: usize = 1 << 28;
/// The most features of a forest.
pub const MAX_FEATURES: usize = 1 << 20;

impl Forest {
    /// Refuses what cannot be walked or explained: too large a forest; a tree without nodes; a child that does not stand
    /// after its parent, or has two parents or none; a feature out of range; a value, threshold, gain or cover that is
    /// not finite; a cover that is not above 0; categories that are not sorted and distinct.
    pub fn check(&self) -> Result<(), ForestError> {
        within("features", self.features.len(), MAX_FEATURES)?;
        within("trees", self.trees.len(), MAX_TREES)?;
        within("nodes", self.trees.iter().map(|tree| tree.nodes.len()).sum(), MAX_NODES)?;
        if !self.base_margin.is_finite() {
            return Err(ForestError::BaseMargin(self.base_margin));
        }
        for (tree, nodes) in self.trees.iter().map(|tree| &tree.nodes).enumerate() {
            let unsound = |(node, what)| ForestError::Unsound { tree, node, what };
            check_links(nodes).map_err(unsound)?;
            for (node, found) in nodes.iter().enumerate() {
                check_node(found, self.features.len()).map_err(|what| unsound((node, what)))?;
            }
        }
        Ok(())
    }
}

fn within(what: &'static str, got: usize, most: usize) -> Result<(), ForestError> {
    if got > most { Err(ForestError::TooLarge { what, got, most }) } else { Ok(()) }
}

/// Every node but the first is the child of exactly one node, which stands before it.
fn check_links(nodes: &[Node]) -> Result<(), (usize, String)> {
    if nodes.is_empty() {
        return Err((0, "the tree has no nodes; it needs at least a leaf".to_owned()));
    }
    let mut has_parent = vec![false; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        let Node::Split { left, right, .. } = node else { continue };
        for child in [*left as usize, *right as usize] {
            if child <= at || child >= nodes.len() {
                let last = nodes.len() - 1;
                return Err((at, format!("its child is node {child}; a child stands after its parent, up to {last}")));
            }
            if std::mem::replace(&mut has_parent[child], true) {
                return Err((child, "it is a child twice; a node has one parent".to_owned()));
            }
        }
    }
    match has_parent.iter().skip(1).position(|has| !has) {
        Some(before) => Err((before + 1, "no node leads to it".to_owned())),
        None => Ok(()),
    }
}

fn check_node(node: &Node, features: usize) -> Result<(), String> {
    let finite = |what: &str, value: f64| {
        if value.is_finite() { Ok(()) } else { Err(format!("its {what} is {value}; it must be finite")) }
    };
    let cover = match node {
        Node::Leaf { value, cover } => {
            finite("value", *value)?;
            *cover
        }
        Node::Split { feature, rule, gain, cover, .. } => {
            if *feature as usize >= features {
                return Err(format!("it asks feature {feature} of {features}"));
            }
            finite("gain", *gain)?;
            match rule {
                Rule::AtMost(threshold) | Rule::Below(threshold) => finite("threshold", *threshold)?,
                Rule::OneOf(categories) if categories.is_sorted_by(|one, next| one < next) => {}
                Rule::OneOf(_) => return Err("its categories are not sorted and distinct".to_owned()),
            }
            *cover
        }
    };
    finite("cover", cover)?;
    if cover <= 0.0 { Err(format!("its cover is {cover}; it must be above 0")) } else { Ok(()) }
}
