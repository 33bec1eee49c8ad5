//! One tree from one round's gradients: leaves split best first, histograms by subtraction; it knows no loss.

use std::ops::Range;

use rayon::prelude::*;

use crate::bins::{BINS, BLOCK, Binned, Scale};
use crate::data::Kind;
use crate::forest::{Missing, Node, Rule, Tree};
use crate::histogram::{BlockHistogram, Packed, Quantised, accumulate, subtract, total};
use crate::settings::{Growth, Settings};
use crate::split::{Bounds, Candidate, NodeSums, Splitter};

/// Nodes of fewer rows are done by one thread: waking others takes longer.
const SHARED_ROWS: usize = 1 << 13;

/// The histograms of a node: one for each block that may be asked.
type NodeHistogram = Vec<BlockHistogram>;

/// What is kept from tree to tree, so that growing one allocates little.
pub(crate) struct Grower<'a> {
    pub binned: &'a Binned,
    pub kinds: &'a [Kind],
    pub settings: &'a Settings,
    spare: Vec<NodeHistogram>,
    scratch: Vec<u32>,
}

/// A grown tree, with the rows that each leaf got.
pub(crate) struct Grown {
    pub tree: Tree,
    /// Leaf nodes and their places in the rows that the tree was grown on, which growing has reordered.
    pub leaves: Vec<(usize, Range<usize>)>,
}

/// A leaf that may still be split.
struct Leaf {
    node: usize,
    rows: Range<usize>,
    depth: usize,
    sums: NodeSums,
    histogram: Option<NodeHistogram>,
    best: Option<Candidate>,
}

impl<'a> Grower<'a> {
    pub fn new(binned: &'a Binned, kinds: &'a [Kind], settings: &'a Settings) -> Grower<'a> {
        Grower { binned, kinds, settings, spare: Vec::new(), scratch: Vec::new() }
    }

    /// Grows a tree on `rows`, which it reorders, asking the features that `asked` allows; leaf values are not yet
    /// multiplied by the learning rate, and covers count rows.
    pub fn grow(&mut self, quantised: &Quantised, rows: &mut [u32], asked: &[bool]) -> Grown {
        let splitter = Splitter { settings: self.settings, binned: self.binned, kinds: self.kinds, quantised };
        let search = Search { splitter: &splitter, asked, blocks: asked_blocks(asked) };
        self.scratch.resize(rows.len(), 0);
        let mut nodes = Vec::new();
        let mut open = vec![self.root(&search, rows)];
        let mut closed = Vec::new();
        nodes.push(leaf_node(&splitter, &open[0]));
        while let Some((mut leaf, best)) = take_next(&mut open, self.settings.growth) {
            let full = open.len() + closed.len() + 2 >= self.settings.max_leaves;
            let (left, right) = self.split(&search, rows, &mut leaf, &best, nodes.len(), full);
            nodes[leaf.node] = self.split_node(&best, nodes.len(), leaf.rows.len());
            nodes.extend([leaf_node(&splitter, &left), leaf_node(&splitter, &right)]);
            for child in [left, right] {
                if child.best.is_some() && !full { open.push(child) } else { self.close(child, &mut closed) }
            }
            if full {
                break;
            }
        }
        for leaf in open {
            self.close(leaf, &mut closed);
        }
        Grown { tree: Tree { nodes }, leaves: closed }
    }

    fn root(&mut self, search: &Search, rows: &[u32]) -> Leaf {
        let sums = NodeSums { total: total(&search.splitter.quantised.packed, rows), bounds: Bounds::FREE };
        let mut histogram = self.histogram(search.blocks.len());
        let best = search.best_of_root(&mut histogram, rows, sums);
        Leaf { node: 0, rows: 0..rows.len(), depth: 0, sums, histogram: Some(histogram), best }
    }

    /// Splits a leaf: its rows, its sums, and, where a child may be split again, its histogram.
    fn split(
        &mut self,
        search: &Search,
        rows: &mut [u32],
        leaf: &mut Leaf,
        best: &Candidate,
        node: usize,
        full: bool,
    ) -> (Leaf, Leaf) {
        let middle = leaf.rows.start + self.partition(&mut rows[leaf.rows.clone()], best);
        let bounds = leaf.sums.bounds;
        let value = |sum| search.splitter.leaf_value(sum, bounds);
        let (left_bounds, right_bounds) =
            bounds.of_children(self.kinds[best.feature], value(best.left), value(best.right));
        let child = |node, rows, total, bounds| {
            let sums = NodeSums { total, bounds };
            Leaf { node, rows, depth: leaf.depth + 1, sums, histogram: None, best: None }
        };
        let mut left = child(node, leaf.rows.start..middle, best.left, left_bounds);
        let mut right = child(node + 1, middle..leaf.rows.end, best.right, right_bounds);
        if let Some(mut parent) = leaf.histogram.take() {
            if full || left.depth == self.settings.max_depth {
                self.spare.push(parent);
            } else {
                let mut fresh = self.histogram(parent.len());
                let (smaller, larger) =
                    if left.rows.len() <= right.rows.len() { (&mut left, &mut right) } else { (&mut right, &mut left) };
                let counted = &rows[smaller.rows.clone()];
                (smaller.best, larger.best) =
                    search.best_of_children((&mut fresh, counted, smaller.sums), (&mut parent, larger.sums));
                (smaller.histogram, larger.histogram) = (Some(fresh), Some(parent));
            }
        }
        (left, right)
    }

    /// Moves the rows that go left to the front, both sides in their old order; tells how many go left.
    fn partition(&mut self, rows: &mut [u32], best: &Candidate) -> usize {
        let (block, shift) = (&self.binned.blocks[best.feature / BLOCK], 8 * (best.feature % BLOCK));
        let goes_left: [bool; BINS] = best.left_bins.table();
        let mut goes_left = goes_left;
        goes_left[usize::from(crate::bins::MISSING_BIN)] = best.missing_left;
        let (mut lefts, mut rights) = (0_usize, 0_usize);
        for place in 0..rows.len() {
            let row = rows[place];
            let bin = (u64::from_le_bytes(block[row as usize]) >> shift) as u8;
            let left = goes_left[usize::from(bin)];
            // Both are written and one counts: a branch would be guessed wrong half of the time.
            rows[lefts] = row;
            self.scratch[rights] = row;
            lefts = lefts.wrapping_add(usize::from(left));
            rights = rights.wrapping_add(usize::from(!left));
        }
        rows[lefts..].copy_from_slice(&self.scratch[..rights]);
        lefts
    }

    fn close(&mut self, leaf: Leaf, closed: &mut Vec<(usize, Range<usize>)>) {
        self.spare.extend(leaf.histogram);
        closed.push((leaf.node, leaf.rows));
    }

    /// An unused histogram; its sums are of anything.
    fn histogram(&mut self, blocks: usize) -> NodeHistogram {
        let mut histogram = self.spare.pop().unwrap_or_default();
        histogram.resize(blocks, [[0; BINS]; BLOCK]);
        histogram
    }

    fn split_node(&self, best: &Candidate, left: usize, rows: usize) -> Node {
        let rule = match &self.binned.scales[best.feature] {
            Scale::Cuts(cuts) => {
                // With all present values on the left the split asks only whether there is one.
                let last = (0..cuts.len()).rev().find(|bin| best.left_bins.contains(*bin as u8));
                let all = best.left_bins.contains(cuts.len() as u8);
                Rule::AtMost(if all { f64::MAX } else { last.map_or(f64::MIN, |bin| cuts[bin]) })
            }
            Scale::Categories(categories) => {
                let taken = categories.iter().enumerate().filter(|(bin, _)| best.left_bins.contains(*bin as u8));
                Rule::OneOf(taken.map(|(_, category)| *category).collect())
            }
        };
        Node::Split {
            feature: best.feature as u32,
            rule,
            missing: if best.missing_left { Missing::Left } else { Missing::Right },
            left: left as u32,
            right: left as u32 + 1,
            gain: best.gain,
            cover: rows as f64,
        }
    }
}

fn leaf_node(splitter: &Splitter, leaf: &Leaf) -> Node {
    Node::Leaf { value: splitter.leaf_value(leaf.sums.total, leaf.sums.bounds), cover: leaf.rows.len() as f64 }
}

/// Takes the next leaf with a split from the open ones.
fn take_next(open: &mut Vec<Leaf>, growth: Growth) -> Option<(Leaf, Candidate)> {
    let open_splits = open.iter().enumerate().filter_map(|(place, leaf)| Some((place, leaf.best?)));
    let (place, best) = open_splits.reduce(|first, next| {
        let next_wins = match growth {
            Growth::LeafWise => (next.1.gain, open[first.0].node) > (first.1.gain, open[next.0].node),
            Growth::DepthWise => open[next.0].node < open[first.0].node,
        };
        if next_wins { next } else { first }
    })?;
    Some((open.swap_remove(place), best))
}

fn asked_blocks(asked: &[bool]) -> Vec<usize> {
    asked.chunks(BLOCK).enumerate().filter(|(_, asked)| asked.contains(&true)).map(|(block, _)| block).collect()
}

/// The search for splits over the blocks that a tree may ask.
struct Search<'a> {
    splitter: &'a Splitter<'a>,
    asked: &'a [bool],
    blocks: Vec<usize>,
}

impl Search<'_> {
    fn best_of_root(&self, histogram: &mut NodeHistogram, rows: &[u32], sums: NodeSums) -> Option<Candidate> {
        let of_block = |(sums_of_block, block): (&mut BlockHistogram, &usize)| {
            self.accumulate(sums_of_block, *block, rows);
            self.best_of_block(sums, *block, sums_of_block)
        };
        if rows.len() < SHARED_ROWS {
            return histogram.iter_mut().zip(&self.blocks).map(of_block).fold(None, Candidate::better);
        }
        histogram.par_iter_mut().zip(&self.blocks).map(of_block).reduce(|| None, Candidate::better)
    }

    /// Counts the smaller child's rows, takes them from the parent's histogram, which becomes the larger child's, and finds
    /// the best split of both, block by block while its sums are in the cache.
    fn best_of_children(
        &self,
        (fresh, rows, smaller): (&mut NodeHistogram, &[u32], NodeSums),
        (parent, larger): (&mut NodeHistogram, NodeSums),
    ) -> (Option<Candidate>, Option<Candidate>) {
        let of_block = |((fresh, parent), block): ((&mut BlockHistogram, &mut BlockHistogram), &usize)| {
            self.accumulate(fresh, *block, rows);
            subtract(parent, fresh);
            (self.best_of_block(smaller, *block, fresh), self.best_of_block(larger, *block, parent))
        };
        let better =
            |one: (_, _), other: (_, _)| (Candidate::better(one.0, other.0), Candidate::better(one.1, other.1));
        if rows.len() < SHARED_ROWS {
            return fresh.iter_mut().zip(parent).zip(&self.blocks).map(of_block).fold((None, None), better);
        }
        fresh.par_iter_mut().zip(parent).zip(&self.blocks).map(of_block).reduce(|| (None, None), better)
    }

    fn accumulate(&self, sums: &mut BlockHistogram, block: usize, rows: &[u32]) {
        let splitter = self.splitter;
        accumulate(sums, &splitter.binned.blocks[block], &splitter.quantised.packed, rows);
    }

    fn best_of_block(&self, node: NodeSums, block: usize, sums: &BlockHistogram) -> Option<Candidate> {
        let first = block * BLOCK;
        let features = first..self.asked.len().min(first + BLOCK);
        let asked = features.zip(sums).filter(|(feature, _)| self.asked[*feature]);
        asked
            .map(|(feature, sums): (usize, &[Packed; BINS])| self.splitter.best(node, feature, sums))
            .fold(None, Candidate::better)
    }
}
