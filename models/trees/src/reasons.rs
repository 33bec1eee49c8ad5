//! Exact path-dependent TreeSHAP: what each feature's value adds to a row's margin; what that means in words is the caller's.
//!
//! A tree without knowledge of some features follows, at a split on one of them, both children in proportion to their
//! covers. Shapley values of that game, for a leaf of value v whose path asks m distinct features, each with the share z of
//! covers that its splits let through and with o = 1 where the row takes them all (else 0), are
//!
//! ```text
//! φ_i = v (o_i − z_i) ∫₀¹ Π_{j≠i} (o_j t + z_j (1 − t)) dt
//! ```
//!
//! because `|S|! (m − 1 − |S|)! / m! = ∫ t^|S| (1 − t)^(m−1−|S|) dt` (Lundberg et al. 2020, algorithm 2, and Yu et al. 2022
//! compute the same sums otherwise). The integrand is a polynomial of degree m − 1, so Gauss and Legendre's rule of
//! `⌈m / 2⌉` points gives the integral exactly. All factors are positive: nothing cancels, and factors may be divided out.
//!
//! 1. From the root to the leaves: at each point, each node's product of factors, from its parent's.
//! 2. From the leaves to the root: at each point, the sum over a node's leaves of v × weight × product.
//! 3. At each child of a split on feature i, `φ_i` gets the sum of step 2 times `(o_i − z_i)` by i's factor. Where the path
//!    has asked i before, what the earlier split added for these leaves is taken back.
//!
//! That is nodes × points steps for all features together.

use crate::error::ForestError;
use crate::flat::{Asked, OtherRules};
use crate::forest::{Forest, Node, Tree};

/// The most distinct features on a path of a forest that is explained.
pub const MAX_PATH_FEATURES: usize = 1024;

/// Points are taken by this many, so that the machine works on several at once.
const LANES: usize = 4;
type Lanes = [f64; LANES];
/// No node: the path has not asked the feature before.
const NONE: u32 = u32::MAX;

/// A forest laid out for reasons.
#[derive(Debug, Clone)]
pub struct Reasons {
    features: usize,
    expected_margin: f64,
    trees: Vec<FlatTree>,
    rules: OtherRules,
    /// For 1, 2, … groups of points: the points and their weights.
    quadratures: Vec<Vec<Points>>,
}

/// Room for one row's work, to be used again for the next.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    states: Vec<State>,
}

/// Points of the integral. Each is t; `rest` is 1 − t.
#[derive(Debug, Clone, Copy, Default)]
struct Points {
    t: Lanes,
    rest: Lanes,
    weight: Lanes,
}

#[derive(Debug, Clone)]
struct FlatTree {
    nodes: Vec<FlatNode>,
    /// Groups of [`LANES`] points that its longest path needs.
    groups: usize,
}

/// A node, by its number in the tree.
#[derive(Debug, Clone, Copy)]
enum FlatNode {
    Leaf { value: f64 },
    Split { asked: Asked, threshold: f64, children: [Child; 2], before: u32 },
}

#[derive(Debug, Clone, Copy)]
struct Child {
    node: u32,
    /// The share of covers that all splits of the feature, from the root to here, let through.
    share: f64,
}

/// A node as one row and one group of points see it.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// The product of factors, then the sum over leaves.
    sums: Lanes,
    /// Of the feature by which the parent was split: whether the row takes all its splits down to here, its factor, and
    /// `(o − z)` by the factor.
    taken: bool,
    factor: Lanes,
    ratio: Lanes,
}

impl Reasons {
    /// Lays out a forest. It refuses one that [`Forest::check`] refuses, and one with a path of more than
    /// [`MAX_PATH_FEATURES`] distinct features.
    pub fn compile(forest: &Forest) -> Result<Reasons, ForestError> {
        forest.check()?;
        let mut rules = OtherRules::default();
        let mut expected_margin = forest.base_margin;
        let mut trees = Vec::with_capacity(forest.trees.len());
        for tree in &forest.trees {
            expected_margin += expected_value(tree);
            trees.push(flatten(tree, &mut rules)?);
        }
        let groups = trees.iter().map(|tree| tree.groups).max().unwrap_or(0);
        let quadratures = (1..=groups).map(gauss_legendre).collect();
        Ok(Reasons { features: forest.features.len(), expected_margin, trees, rules, quadratures })
    }

    /// The margin of a row of which nothing is known: the trees' leaves weighted by covers, and the base margin.
    pub fn expected_margin(&self) -> f64 {
        self.expected_margin
    }

    /// Sets `contributions`, one for each feature, to what the feature's value adds to the row's margin. Together with
    /// [`Reasons::expected_margin`] they sum to the margin, but for rounding.
    pub fn explain(&self, row: &[f64], contributions: &mut [f64], scratch: &mut Scratch) -> Result<(), ForestError> {
        for got in [row.len(), contributions.len()] {
            if got != self.features {
                return Err(ForestError::RowLength { expected: self.features, got });
            }
        }
        contributions.fill(0.0);
        for tree in &self.trees {
            let Some(points) = tree.groups.checked_sub(1).map(|groups| &self.quadratures[groups]) else { continue };
            for points in points {
                self.descend(tree, row, points, scratch);
                ascend(tree, contributions, scratch);
            }
        }
        Ok(())
    }

    /// Step 1: from the root down, products of factors; at leaves times their values and the weights.
    fn descend(&self, tree: &FlatTree, row: &[f64], points: &Points, scratch: &mut Scratch) {
        let states = &mut scratch.states;
        states.resize(states.len().max(tree.nodes.len()), State::default());
        states[0].sums = points.weight;
        for (at, node) in tree.nodes.iter().enumerate() {
            match node {
                FlatNode::Leaf { value } => states[at].sums.iter_mut().for_each(|product| *product *= value),
                FlatNode::Split { asked, threshold, children, before } => {
                    let left = self.rules.goes_left(*asked, *threshold, row);
                    let (mut products, mut taken) = (states[at].sums, true);
                    if *before != NONE {
                        let earlier = &states[*before as usize];
                        products.iter_mut().zip(&earlier.factor).for_each(|(product, factor)| *product /= factor);
                        taken = earlier.taken;
                    }
                    let [on_left, on_right] = children;
                    enter(&mut states[on_left.node as usize], &products, on_left.share, taken & left, points);
                    enter(&mut states[on_right.node as usize], &products, on_right.share, taken & !left, points);
                }
            }
        }
    }
}

/// Sets the state of a child, from the products of its path without its feature.
#[inline]
fn enter(state: &mut State, products: &Lanes, share: f64, taken: bool, points: &Points) {
    state.taken = taken;
    let one = if taken { 1.0 } else { 0.0 };
    for (lane, product) in products.iter().enumerate() {
        let factor = share * points.rest[lane] + one * points.t[lane];
        state.factor[lane] = factor;
        state.ratio[lane] = (one - share) / factor;
        state.sums[lane] = product * factor;
    }
}

/// Steps 2 and 3: from the leaves up, sums over leaves, and what each split adds to its feature.
fn ascend(tree: &FlatTree, contributions: &mut [f64], scratch: &mut Scratch) {
    let states = &mut scratch.states;
    for (at, node) in tree.nodes.iter().enumerate().rev() {
        let FlatNode::Split { asked, children: [on_left, on_right], before, .. } = node else { continue };
        let (left, right) = (&states[on_left.node as usize], &states[on_right.node as usize]);
        let (mut sums, mut adds) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            sums[lane] = left.sums[lane] + right.sums[lane];
            adds[lane] = left.sums[lane] * left.ratio[lane] + right.sums[lane] * right.ratio[lane];
        }
        if *before != NONE {
            let earlier = &states[*before as usize].ratio;
            for lane in 0..LANES {
                adds[lane] -= sums[lane] * earlier[lane];
            }
        }
        contributions[asked.feature()] += (adds[0] + adds[1]) + (adds[2] + adds[3]);
        states[at].sums = sums;
    }
}

/// The mean of a tree's leaves, weighted by the shares of covers that lead to them.
fn expected_value(tree: &Tree) -> f64 {
    let mut means = vec![0.0; tree.nodes.len()];
    for (at, node) in tree.nodes.iter().enumerate().rev() {
        means[at] = match node {
            Node::Leaf { value, .. } => *value,
            Node::Split { left, right, cover, .. } => {
                let part = |child: u32| means[child as usize] * tree.nodes[child as usize].cover();
                (part(*left) + part(*right)) / cover
            }
        };
    }
    means[0]
}

/// A node on the way from the root: its parent, the feature that the parent asks, that feature's share, and how many
/// distinct features were asked.
#[derive(Clone, Copy)]
struct Step {
    parent: u32,
    feature: u32,
    share: f64,
    distinct: usize,
}

fn flatten(tree: &Tree, rules: &mut OtherRules) -> Result<FlatTree, ForestError> {
    let mut steps = vec![Step { parent: NONE, feature: NONE, share: 1.0, distinct: 0 }; tree.nodes.len()];
    let mut nodes = Vec::with_capacity(tree.nodes.len());
    let mut longest = 0;
    for (at, node) in tree.nodes.iter().enumerate() {
        nodes.push(match node {
            Node::Leaf { value, .. } => FlatNode::Leaf { value: *value },
            Node::Split { feature, rule, missing, left, right, cover, .. } => {
                let before = last_split_by(*feature, at as u32, &steps);
                let earlier_share = if before == NONE { 1.0 } else { steps[before as usize].share };
                let distinct = steps[at].distinct + usize::from(before == NONE);
                longest = longest.max(distinct);
                let children = [*left, *right].map(|node| {
                    let share = earlier_share * (tree.nodes[node as usize].cover() / cover);
                    steps[node as usize] = Step { parent: at as u32, feature: *feature, share, distinct };
                    Child { node, share }
                });
                let (asked, threshold) = rules.flatten(*feature, rule, *missing);
                FlatNode::Split { asked, threshold, children, before }
            }
        });
    }
    if longest > MAX_PATH_FEATURES {
        return Err(ForestError::TooLarge {
            what: "distinct features on a path",
            got: longest,
            most: MAX_PATH_FEATURES,
        });
    }
    Ok(FlatTree { nodes, groups: longest.div_ceil(2 * LANES) })
}

/// The lowest node from `at` upwards whose parent asks `feature`, or [`NONE`].
fn last_split_by(feature: u32, mut at: u32, steps: &[Step]) -> u32 {
    while at != NONE && steps[at as usize].feature != feature {
        at = steps[at as usize].parent;
    }
    at
}

/// Gauss and Legendre's points and weights on 0 to 1, in `groups` groups of [`LANES`]: roots of the Legendre polynomial,
/// from Tricomi's estimates by Newton's method.
fn gauss_legendre(groups: usize) -> Vec<Points> {
    const STEPS_MAX: usize = 100;
    let count = groups * LANES;
    let mut points = vec![Points::default(); groups];
    for number in 0..count {
        let mut x = (std::f64::consts::PI * (number as f64 + 0.75) / (count as f64 + 0.5)).cos();
        for _ in 0..STEPS_MAX {
            let (value, slope) = legendre(count, x);
            x -= value / slope;
            if (value / slope).abs() <= f64::EPSILON {
                break;
            }
        }
        let (_, slope) = legendre(count, x);
        let (group, lane) = (number / LANES, number % LANES);
        points[group].t[lane] = f64::midpoint(1.0, x);
        points[group].rest[lane] = f64::midpoint(1.0, -x);
        points[group].weight[lane] = 1.0 / ((1.0 - x * x) * slope * slope);
    }
    points
}

/// The Legendre polynomial of a degree of at least 1 and its slope, by the recurrence of three terms.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for n in 2..=degree {
        let n = n as f64;
        (before, value) = (value, ((2.0 * n - 1.0) * x * value - (n - 1.0) * before) / n);
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}
