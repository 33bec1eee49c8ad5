//! Margins of many rows at once, for forests of small trees; rows one at a time, and forests of any form, are `dhow-trees`'.
//!
//! After QuickScorer (Lucchese et al., SIGIR 2015) and its form for many rows at once (SIGIR 2016):
//! 1. The thresholds of each feature are numbered, and a row's value becomes the number of thresholds below it, so that
//!    `value <= threshold` is a comparison of two small integers.
//! 2. A tree's leaves are bits, leftmost lowest. A row starts with all of them; each split that sends it right takes away
//!    the leaves of the left side. The lowest bit that is left is the row's leaf.
//! 3. Splits are asked of a block of rows together, in vector registers and without branches.
//!
//! Trees are added in their order, so margins are those of walking the forest, bit for bit.

use dhow_trees::{Forest, Missing, Node, Rule, Tree};

/// Leaves of a tree at most: the bits of a mask.
const MAX_LEAVES: usize = u16::BITS as usize;
/// Rows that are asked together.
const BLOCK: usize = 32;
/// A block's numbers of one feature.
type Codes = [i16; BLOCK];

/// A forest of small trees, laid out for many rows.
#[derive(Debug, Clone)]
pub(crate) struct AtOnce {
    base_margin: f64,
    /// Of each feature the thresholds that are asked, ascending, each once.
    thresholds: Vec<Vec<f64>>,
    splits: Vec<Split>,
    /// Of each tree its number of splits.
    sizes: Vec<usize>,
    /// Of each tree its leaves' values.
    values: Vec<[f64; MAX_LEAVES]>,
}

/// Rows whose code is above `code` go right and lose the leaves that `keeps` lacks.
#[derive(Debug, Clone, Copy)]
struct Split {
    feature: usize,
    code: i16,
    keeps: u16,
}

impl AtOnce {
    /// None for a forest with a tree of too many leaves, or a rule that is no comparison.
    pub(crate) fn compile(forest: &Forest) -> Option<Self> {
        let mut thresholds = vec![Vec::new(); forest.features.len()];
        for node in forest.trees.iter().flat_map(|tree| &tree.nodes) {
            if let Some((feature, threshold)) = comparison(node)? {
                thresholds[feature].push(threshold);
            }
        }
        for of_feature in &mut thresholds {
            of_feature.sort_unstable_by(f64::total_cmp);
            of_feature.dedup();
            i16::try_from(of_feature.len()).ok()?;
        }
        let (sizes, values) = (Vec::new(), Vec::new());
        let mut all = Self { base_margin: forest.base_margin, thresholds, splits: Vec::new(), sizes, values };
        for tree in &forest.trees {
            let (mut leaves, before) = (Vec::new(), all.splits.len());
            all.add(tree, 0, &mut leaves)?;
            leaves.resize(MAX_LEAVES, 0.0);
            all.values.push(leaves.try_into().ok()?);
            all.sizes.push(all.splits.len() - before);
        }
        Some(all)
    }

    /// Adds the part of a tree from a node on; its leaves come after those that are there.
    fn add(&mut self, tree: &Tree, at: usize, leaves: &mut Vec<f64>) -> Option<()> {
        match tree.nodes.get(at)? {
            Node::Leaf { value, .. } => {
                leaves.push(*value);
                (leaves.len() <= MAX_LEAVES).then_some(())
            }
            node @ Node::Split { left, right, .. } => {
                let (feature, threshold) = comparison(node)??;
                let code = self.thresholds[feature].partition_point(|other| *other < threshold) as i16;
                let (place, first) = (self.splits.len(), leaves.len());
                self.splits.push(Split { feature, code, keeps: u16::MAX });
                self.add(tree, *left as usize, leaves)?;
                let of_left = (u32::from(u16::MAX) >> (MAX_LEAVES - (leaves.len() - first))) << first;
                self.splits[place].keeps = !(of_left as u16);
                self.add(tree, *right as usize, leaves)
            }
        }
    }

    /// Replaces `margins` by those of rows of `width` values each. What a row with a missing value gets means nothing.
    pub(crate) fn margins(&self, rows: &[f64], width: usize, margins: &mut Vec<f64>) {
        margins.clear();
        margins.resize(rows.len() / width, self.base_margin);
        let mut codes: Vec<Codes> = vec![[0; BLOCK]; width];
        for (rows, margins) in rows.chunks(BLOCK * width).zip(margins.chunks_mut(BLOCK)) {
            self.encode(rows, width, &mut codes);
            self.add_leaves(&codes, margins);
        }
    }

    fn encode(&self, rows: &[f64], width: usize, codes: &mut [Codes]) {
        for ((feature, thresholds), codes) in self.thresholds.iter().enumerate().zip(codes) {
            if thresholds.is_empty() {
                continue;
            }
            // Many rows in turn have the same value: that nothing was said of them.
            let (mut last, mut code) = (f64::NAN, 0);
            for (row, place) in rows.chunks_exact(width).zip(codes) {
                let value = row[feature];
                if value != last {
                    (last, code) = (value, thresholds.partition_point(|threshold| *threshold < value) as i16);
                }
                *place = code;
            }
        }
    }

    fn add_leaves(&self, codes: &[Codes], margins: &mut [f64]) {
        let mut rest = &self.splits[..];
        for (size, values) in self.sizes.iter().zip(&self.values) {
            let (splits, after) = rest.split_at(*size);
            rest = after;
            let mut alive = [u16::MAX; BLOCK];
            for split in splits {
                let codes = &codes[split.feature];
                for lane in 0..BLOCK {
                    // All ones for rows that stay: arithmetic, so that it becomes vector instructions.
                    let stays = u16::from(codes[lane] > split.code).wrapping_sub(1);
                    alive[lane] &= split.keeps | stays;
                }
            }
            for (margin, alive) in margins.iter_mut().zip(alive) {
                *margin += values[alive.trailing_zeros() as usize % MAX_LEAVES];
            }
        }
    }
}

/// The feature and the threshold that a node asks `value <= threshold` of; the inner none of a leaf, the outer of a rule
/// that is no such comparison.
fn comparison(node: &Node) -> Option<Option<(usize, f64)>> {
    let Node::Split { feature, rule, missing, .. } = node else { return Some(None) };
    if matches!(missing, Missing::ZeroLeft | Missing::ZeroRight) {
        return None;
    }
    match rule {
        Rule::AtMost(threshold) => Some(Some((*feature as usize, *threshold))),
        Rule::Below(threshold) => Some(Some((*feature as usize, threshold.next_down()))),
        Rule::OneOf(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use dhow_trees::Output;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const WIDTH: usize = 5;

    /// A tree that grows at random places until it has so many leaves. Thresholds are few, so that values meet them.
    fn tree(random: &mut ChaCha8Rng, leaves: usize) -> Tree {
        let leaf = |random: &mut ChaCha8Rng| Node::Leaf { value: random.random_range(-1.0..1.0), cover: 1.0 };
        let mut nodes = vec![leaf(random)];
        while nodes.len() < 2 * leaves - 1 {
            let at = random.random_range(0..nodes.len());
            if matches!(nodes[at], Node::Split { .. }) {
                continue;
            }
            let threshold = f64::from(random.random_range(-3..4));
            let below = random.random_range(0..4) == 0;
            let (left, right) = (nodes.len() as u32, nodes.len() as u32 + 1);
            nodes[at] = Node::Split {
                feature: random.random_range(0..WIDTH as u32),
                rule: if below { Rule::Below(threshold) } else { Rule::AtMost(threshold) },
                missing: Missing::Left,
                left,
                right,
                gain: 0.0,
                cover: 1.0,
            };
            let both = [leaf(random), leaf(random)];
            nodes.extend(both);
        }
        Tree { nodes }
    }

    fn forest(random: &mut ChaCha8Rng, leaves: &[usize]) -> Forest {
        let features = (0..WIDTH).map(|feature| feature.to_string()).collect();
        let trees = leaves.iter().map(|leaves| tree(random, *leaves)).collect();
        Forest { features, base_margin: 0.3, output: Output::Identity, trees }
    }

    #[test]
    fn margins_are_those_of_walking_the_forest_bit_for_bit() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for count in [0, 1, 31, 32, 33, 100] {
            let leaves: Vec<usize> = (1..=16).collect();
            let forest = forest(&mut random, &leaves);
            let value = |random: &mut ChaCha8Rng| match random.random_range(0..6) {
                0 => f64::from(random.random_range(-4..5)),
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                _ => random.random_range(-4.0..4.0),
            };
            let rows: Vec<f64> = (0..count * WIDTH).map(|_| value(&mut random)).collect();
            let mut margins = vec![9.0; 3];
            AtOnce::compile(&forest).unwrap().margins(&rows, WIDTH, &mut margins);
            let expected: Vec<f64> = rows.chunks(WIDTH).map(|row| forest.margin(row)).collect();
            assert_eq!(margins, expected);
        }
    }

    #[test]
    fn forests_of_large_trees_or_of_other_rules_are_left_to_the_walk() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        assert!(AtOnce::compile(&forest(&mut random, &[3, 17])).is_none());
        let mut by_category = forest(&mut random, &[2]);
        if let Node::Split { rule, .. } = &mut by_category.trees[0].nodes[0] {
            *rule = Rule::OneOf(vec![1]);
        }
        assert!(AtOnce::compile(&by_category).is_none());
    }
}
