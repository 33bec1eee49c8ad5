//! Trees from the nodes that an ONNX operator lists, where several parents may share a child; operators are not seen here.

use super::cuts::{Bound, Cut, MAX_CUTS, cuts};
use crate::forest::{Missing, Node, Rule, Tree};
use crate::formats::{FormatError, MAX_CATEGORIES, MAX_DEPTH, MAX_NODES, add_up_covers};

/// How many times more nodes than listed a forest may have when shared children are copied for each parent.
const MAX_GROWTH: usize = 4;

/// A node as listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Tree and node as the file numbers them.
    pub id: (i64, i64),
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Leaf { value: f64, cover: f64 },
    Branch(Branch),
}

/// Asks a value of the row, and goes on to one of two listed nodes.
#[derive(Debug, Clone)]
pub struct Branch {
    pub feature: u32,
    pub test: Test,
    /// NaN goes to `on_true`, whatever the test says.
    pub missing_on_true: bool,
    pub on_true: usize,
    pub on_false: usize,
}

/// What a value is asked; NaN fails all but `NotEqual`.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
    Equal(f64),
    NotEqual(f64),
    Member(Vec<f64>),
}

/// Grows the trees that start at the roots.
pub fn grow(listed: &[Listed], roots: &[usize]) -> Result<Vec<Tree>, FormatError> {
    let most = listed.len().saturating_mul(MAX_GROWTH).min(MAX_NODES);
    let mut budget = Budget { nodes: most, categories: MAX_CATEGORIES };
    roots.iter().map(|&root| grow_tree(listed, root, &mut budget)).collect()
}

/// What the trees that are still to be grown may need, so that a small file cannot ask for much.
struct Budget {
    nodes: usize,
    categories: usize,
}

impl Budget {
    fn spend_node(&mut self, id: (i64, i64)) -> Result<(), FormatError> {
        let problem =
            format!("at most {MAX_GROWTH} times the nodes listed are read; its tree shares too many, or goes round");
        self.nodes = self.nodes.checked_sub(1).ok_or_else(|| FormatError::node(id, problem))?;
        Ok(())
    }

    fn spend_categories(&mut self, id: (i64, i64), count: usize) -> Result<(), FormatError> {
        let problem = || format!("at most {MAX_CATEGORIES} categories are read, over all nodes");
        self.categories = self.categories.checked_sub(count).ok_or_else(|| FormatError::node(id, problem()))?;
        Ok(())
    }
}

/// Level by level, so that children stand after their parents.
fn grow_tree(listed: &[Listed], root: usize, budget: &mut Budget) -> Result<Tree, FormatError> {
    let mut order = vec![(root, 0)];
    let mut nodes = Vec::new();
    while let Some(&(place, depth)) = order.get(nodes.len()) {
        let Listed { id, kind } = &listed[place];
        budget.spend_node(*id)?;
        if depth > MAX_DEPTH {
            return Err(FormatError::node(*id, format!("it is deeper than {MAX_DEPTH}, the most that is read")));
        }
        nodes.push(match kind {
            Kind::Leaf { value, cover } => Node::Leaf { value: *value, cover: *cover },
            Kind::Branch(branch) => {
                let Split { rule, missing, left, right } = Split::read(listed, *id, branch, budget)?;
                let place = order.len() as u32;
                order.extend([(left, depth + 1), (right, depth + 1)]);
                let (left, right) = (place, place + 1);
                Node::Split { feature: branch.feature, rule, missing, left, right, gain: 0.0, cover: 0.0 }
            }
        });
    }
    add_up_covers(&mut nodes);
    Ok(Tree { nodes })
}

/// A split of a forest whose children are still listed nodes.
struct Split {
    rule: Rule,
    missing: Missing,
    left: usize,
    right: usize,
}

impl Split {
    /// Reads one branch, or a chain of branches that together are one split.
    fn read(listed: &[Listed], id: (i64, i64), branch: &Branch, budget: &mut Budget) -> Result<Self, FormatError> {
        if let Test::AtMost(number) | Test::Below(number) | Test::AtLeast(number) | Test::Above(number) = branch.test
            && number.is_nan()
        {
            return Err(FormatError::node(id, "its threshold is no number"));
        }
        let (left, right) = (branch.on_true, branch.on_false);
        let (missing, missing_turned) =
            if branch.missing_on_true { (Missing::Left, Missing::Right) } else { (Missing::Right, Missing::Left) };
        let straight = |rule| Split { rule, missing, left, right };
        let turned = |rule, missing| Split { rule, missing, left: right, right: left };
        if let Some(split) = Self::read_cut_chain(listed, id, branch, budget)? {
            return Ok(split);
        }
        Ok(match branch.test {
            Test::AtMost(number) => straight(Rule::AtMost(number)),
            Test::Below(number) => straight(Rule::Below(number)),
            Test::AtLeast(number) => turned(Rule::Below(number), missing_turned),
            Test::Above(number) => turned(Rule::AtMost(number), missing_turned),
            // NaN differs from every number, and so goes to `on_true` either way.
            Test::NotEqual(number) => turned(Rule::OneOf(categories(id, &[number])?), Missing::Right),
            Test::Equal(_) | Test::Member(_) => Self::read_equal_chain(listed, id, branch, budget)?,
        })
    }

    /// Reads the longest chain of branches that ask one feature for single values or sets and have one common `on_true`.
    fn read_equal_chain(
        listed: &[Listed],
        id: (i64, i64),
        first: &Branch,
        budget: &mut Budget,
    ) -> Result<Self, FormatError> {
        let mut values = Vec::new();
        let mut next = first;
        loop {
            let read = match &next.test {
                Test::Equal(value) => std::slice::from_ref(value),
                Test::Member(set) => set,
                _ => &[],
            };
            // An empty set costs too, so that a chain that goes round ends.
            budget.spend_categories(id, read.len().max(1))?;
            values.extend(read);
            match &listed[next.on_false].kind {
                Kind::Branch(branch) if next.continues_with(branch) => next = branch,
                _ => break,
            }
        }
        let missing = if first.missing_on_true { Missing::Left } else { Missing::Right };
        Ok(Split { rule: Rule::OneOf(categories(id, &values)?), missing, left: first.on_true, right: next.on_false })
    }

    /// Reads a chain of cuts as [`cuts`] writes them for categories and for zeros that count as missing; `None` where the
    /// branch starts no such chain.
    fn read_cut_chain(
        listed: &[Listed],
        id: (i64, i64),
        first: &Branch,
        budget: &mut Budget,
    ) -> Result<Option<Self>, FormatError> {
        let Some((chain, left, right)) = find_cut_chain(listed, first) else { return Ok(None) };
        let categories = chain_categories(&chain, budget.categories.min(MAX_CHAIN_CATEGORIES));
        budget.spend_categories(id, categories.as_ref().map_or(0, Vec::len))?;
        let written = guesses(&chain, categories).into_iter().find(|(rule, missing)| cuts(rule, *missing) == chain);
        Ok(written.map(|(rule, missing)| Split { rule, missing, left, right }))
    }
}

/// The cuts from a branch on, and the left and the right child, where the cuts lead to no more than these two.
fn find_cut_chain(listed: &[Listed], first: &Branch) -> Option<(Vec<Cut>, usize, usize)> {
    let mut chain = vec![(first.bound()?, first.missing_on_true, first.on_true)];
    let (mut next, mut other) = (first, None);
    // The chain ends where its rest goes to a node that a cut before went to as well: the right child.
    while next.on_false != first.on_true && Some(next.on_false) != other {
        let Kind::Branch(branch) = &listed[next.on_false].kind else { return None };
        if branch.feature != first.feature || chain.len() == MAX_CUTS {
            return None;
        }
        chain.push((branch.bound()?, branch.missing_on_true, branch.on_true));
        if branch.on_true != first.on_true && branch.on_true != *other.get_or_insert(branch.on_true) {
            return None;
        }
        next = branch;
    }
    let right = next.on_false;
    let left = if right == first.on_true { other? } else { first.on_true };
    let cut = |(bound, missing, target)| Cut { bound, left: target == left, missing };
    Some((chain.into_iter().map(cut).collect(), left, right))
}

impl Branch {
    /// Whether the other asks further for a set that this one asks for.
    fn continues_with(&self, other: &Branch) -> bool {
        matches!(other.test, Test::Equal(_) | Test::Member(_))
            && other.on_true == self.on_true
            && other.feature == self.feature
            && other.missing_on_true == self.missing_on_true
    }

    /// The test as the bound of a cut; `None` where it is none, or not exactly.
    fn bound(&self) -> Option<Bound> {
        let exact = |threshold: f64| Some(threshold as f32).filter(|narrow| f64::from(*narrow) == threshold);
        match self.test {
            Test::AtMost(threshold) => exact(threshold).map(Bound::AtMost),
            Test::Below(threshold) => exact(threshold).map(Bound::Below),
            _ => None,
        }
    }
}

/// The most categories that a chain of cuts is read as.
const MAX_CHAIN_CATEGORIES: usize = 1 << 16;
/// The most cuts that a rule with a threshold is written as, where zeros count as missing.
const MAX_THRESHOLD_CUTS: usize = 3;

/// What splits may have been written as such a chain.
fn guesses(chain: &[Cut], categories: Option<Vec<u32>>) -> Vec<(Rule, Missing)> {
    if let Some(categories) = categories {
        let missing = if chain.iter().any(|cut| cut.missing) { Missing::Left } else { Missing::Right };
        return vec![(Rule::OneOf(categories), missing)];
    }
    let mut guesses = Vec::new();
    for cut in chain.iter().filter(|cut| cut.left && chain.len() <= MAX_THRESHOLD_CUTS) {
        let rule = match cut.bound {
            Bound::AtMost(threshold) => Rule::AtMost(f64::from(threshold)),
            Bound::Below(threshold) => Rule::Below(f64::from(threshold)),
        };
        guesses.extend([Missing::ZeroLeft, Missing::ZeroRight].map(|missing| (rule.clone(), missing)));
    }
    guesses
}

/// The categories between pairs of cuts; `None` where the cuts part no categories, or more than `most`.
fn chain_categories(chain: &[Cut], most: usize) -> Option<Vec<u32>> {
    let mut categories = Vec::new();
    let (pairs, rest) = chain.as_chunks::<2>();
    for [start, end] in pairs {
        let first = match start.bound {
            Bound::AtMost(threshold) => f64::from(threshold) + 1.0,
            Bound::Below(threshold) => f64::from(threshold),
        };
        let Bound::Below(end) = end.bound else { return None };
        let (end, room) = (f64::from(end), most.saturating_sub(categories.len()));
        let whole = first.fract() == 0.0 && first >= 0.0 && end <= f64::from(u32::MAX);
        if !whole || !(0.0..=room as f64).contains(&(end - first)) {
            return None;
        }
        categories.extend(first as u32..end as u32);
    }
    rest.is_empty().then_some(categories)
}

/// Values as categories.
fn categories(id: (i64, i64), values: &[f64]) -> Result<Vec<u32>, FormatError> {
    let category = |&value: &f64| {
        let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
        let problem =
            || format!("it asks for the value {value}; whole numbers from 0 to 2^32 - 1 are read as categories");
        if whole { Ok(value as u32) } else { Err(FormatError::node(id, problem())) }
    };
    let mut categories: Vec<u32> = values.iter().map(category).collect::<Result<_, _>>()?;
    categories.sort_unstable();
    categories.dedup();
    Ok(categories)
}
