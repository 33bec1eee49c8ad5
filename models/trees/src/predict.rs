//! Margins and predictions, a row at a time or in batches, from a forest laid out flat; reasons are elsewhere.

use rayon::prelude::*;

use crate::error::ForestError;
use crate::flat::{Asked, MISSING_LEFT, OtherRules};
use crate::forest::{Forest, Node, Output, Tree};

/// Trees that are walked side by side, so that the machine works on one while it waits for another's node.
const TOGETHER: usize = 8;
/// Rows of one task of a batch.
const TASK_ROWS: usize = 256;

/// A forest laid out for prediction: all nodes in one list, siblings beside each other, every rule a comparison with
/// `<=` where it can be one. Margins are those of walking the [`Forest`] and adding its trees in order, bit for bit.
#[derive(Debug, Clone)]
pub struct Predictor {
    features: usize,
    base_margin: f64,
    output: Output,
    nodes: Vec<FlatNode>,
    /// Of each node that is a leaf; 0 of others.
    values: Vec<f64>,
    /// The root of each tree.
    roots: Vec<u32>,
    /// The most splits on a path, of each [`TOGETHER`] trees.
    depths: Vec<u32>,
    rules: OtherRules,
}

/// A leaf leads to itself.
#[derive(Debug, Clone, Copy)]
struct FlatNode {
    threshold: f64,
    asked: Asked,
    /// The left child; the right one follows it.
    left: u32,
}

impl Predictor {
    /// Lays out a forest; refuses one that [`Forest::check`] refuses.
    pub fn compile(forest: &Forest) -> Result<Predictor, ForestError> {
        forest.check()?;
        let mut predictor = Predictor {
            features: forest.features.len(),
            base_margin: forest.base_margin,
            output: forest.output,
            nodes: Vec::new(),
            values: Vec::new(),
            roots: Vec::with_capacity(forest.trees.len()),
            depths: Vec::new(),
            rules: OtherRules::default(),
        };
        for trees in forest.trees.chunks(TOGETHER) {
            let depths = trees.iter().map(|tree| predictor.add(tree));
            let deepest = depths.max().unwrap_or(0);
            predictor.depths.push(deepest);
        }
        Ok(predictor)
    }

    /// The number of values of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The margin of a row, which has a value for each feature in the forest's order; NaN is missing.
    pub fn margin(&self, row: &[f64]) -> Result<f64, ForestError> {
        if row.len() != self.features {
            return Err(ForestError::RowLength { expected: self.features, got: row.len() });
        }
        Ok(self.sum(row))
    }

    /// The prediction of a row: its margin as the loss means it, a probability or a mean.
    pub fn predict(&self, row: &[f64]) -> Result<f64, ForestError> {
        Ok(self.output.of(self.margin(row)?))
    }

    /// The margins of many rows that follow each other in `rows`, shared among threads; `margins` has one place for each.
    pub fn margins(&self, rows: &[f64], margins: &mut [f64]) -> Result<(), ForestError> {
        let expected = self.features.saturating_mul(margins.len());
        if rows.len() != expected {
            return Err(ForestError::RowLength { expected, got: rows.len() });
        }
        if self.features == 0 {
            margins.fill(self.sum(&[]));
            return Ok(());
        }
        let tasks = margins.par_chunks_mut(TASK_ROWS).zip(rows.par_chunks(TASK_ROWS * self.features));
        tasks.for_each(|(margins, rows)| {
            for (margin, row) in margins.iter_mut().zip(rows.chunks_exact(self.features)) {
                *margin = self.sum(row);
            }
        });
        Ok(())
    }

    /// The predictions of many rows, as [`Predictor::margins`].
    pub fn predictions(&self, rows: &[f64], predictions: &mut [f64]) -> Result<(), ForestError> {
        self.margins(rows, predictions)?;
        for prediction in predictions {
            *prediction = self.output.of(*prediction);
        }
        Ok(())
    }

    fn sum(&self, row: &[f64]) -> f64 {
        let mut margin = self.base_margin;
        for (roots, depth) in self.roots.chunks(TOGETHER).zip(&self.depths) {
            // Places without a tree walk the first one again, and nobody adds them.
            let mut at = [roots[0]; TOGETHER];
            at[..roots.len()].copy_from_slice(roots);
            for _ in 0..*depth {
                for at in &mut at {
                    *at = self.step(*at, row);
                }
            }
            for at in &at[..roots.len()] {
                margin += self.values[*at as usize];
            }
        }
        margin
    }

    #[inline]
    fn step(&self, at: u32, row: &[f64]) -> u32 {
        let node = self.nodes[at as usize];
        node.left.wrapping_add(u32::from(!self.rules.goes_left(node.asked, node.threshold, row)))
    }

    /// Adds a tree's nodes, siblings beside each other; tells the most splits on a path.
    fn add(&mut self, tree: &Tree) -> u32 {
        let first = self.nodes.len() as u32;
        self.roots.push(first);
        self.values.resize(self.values.len() + tree.nodes.len(), 0.0);
        let leaf_at = |at: u32| FlatNode { threshold: f64::INFINITY, asked: Asked(MISSING_LEFT), left: at };
        self.nodes.resize(self.values.len(), leaf_at(0));
        let (mut next, mut deepest) = (first + 1, 0);
        let mut waiting = vec![(0_u32, first, 0_u32)];
        while let Some((from, at, depth)) = waiting.pop() {
            deepest = deepest.max(depth);
            match &tree.nodes[from as usize] {
                Node::Leaf { value, .. } => {
                    self.values[at as usize] = *value;
                    self.nodes[at as usize] = leaf_at(at);
                }
                Node::Split { feature, rule, missing, left, right, .. } => {
                    let (asked, threshold) = self.rules.flatten(*feature, rule, *missing);
                    self.nodes[at as usize] = FlatNode { threshold, asked, left: next };
                    waiting.extend([(*right, next + 1, depth + 1), (*left, next, depth + 1)]);
                    next += 2;
                }
            }
        }
        deepest
    }
}
