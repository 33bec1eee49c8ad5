//! Trees from the nodes that an ONNX operator lists, where several parents may share a child; operators are not seen here.

use super::cuts::{Bound, Cut, MAX_CUTS, cuts};
use crate::forest::{Missing, Node, Rule, Tree};
use crate::formats::{FormatError, MAX_DEPTH, MAX_NODES, add_up_covers};

/// How many times more nodes than listed a forest may have when shared children are copied for each parent.
pub const MAX_GROWTH: usize = 16;

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
    let mut budget = most;
    roots.iter().map(|&root| grow_tree(listed, root, &mut budget)).collect()
}

/// Level by level, so that children stand after their parents.
fn grow_tree(listed: &[Listed], root: usize, budget: &mut usize) -> Result<Tree, FormatError> {
    let mut order = vec![(root, 0)];
    let mut nodes = Vec::new();
    while let Some(&(place, depth)) = order.get(nodes.len()) {
        let Listed { id, kind } = &listed[place];
        let mut spent = 1;
        nodes.push(match kind {
            Kind::Leaf { value, cover } => Node::Leaf { value: *value, cover: *cover },
            Kind::Branch(branch) => {
                let split = Split::read(listed, *id, branch)?;
                spent += split.read;
                let left = order.len() as u32;
                order.extend([(split.left, depth + 1), (split.right, depth + 1)]);
                let (rule, missing) = (split.rule, split.missing);
                Node::Split { feature: branch.feature, rule, missing, left, right: left + 1, gain: 0.0, cover: 0.0 }
            }
        });
        *budget = budget.checked_sub(spent).filter(|_| depth <= MAX_DEPTH).ok_or_else(|| {
            let bounds = format!("at most {MAX_DEPTH} deep and {MAX_GROWTH} times the nodes listed are read");
            FormatError::node(*id, format!("the tree is too large ({bounds}), or its nodes lead back to themselves"))
        })?;
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
    /// How much was read beyond one branch.
    read: usize,
}

impl Split {
    /// Reads one branch, or a chain of branches that together are one split.
    fn read(listed: &[Listed], id: (i64, i64), branch: &Branch) -> Result<Self, FormatError> {
        if let Test::AtMost(number) | Test::Below(number) | Test::AtLeast(number) | Test::Above(number) = branch.test
            && number.is_nan()
        {
            return Err(FormatError::node(id, "its threshold is no number"));
        }
        let (left, right) = (branch.on_true, branch.on_false);
        let (missing, missing_turned) =
            if branch.missing_on_true { (Missing::Left, Missing::Right) } else { (Missing::Right, Missing::Left) };
        let straight = |rule| Split { rule, missing, left, right, read: 0 };
        let turned = |rule, missing| Split { rule, missing, left: right, right: left, read: 0 };
        Ok(match branch.test {
            Test::AtMost(number) => {
                Self::read_cut_chain(listed, branch).unwrap_or_else(|| straight(Rule::AtMost(number)))
            }
            Test::Below(number) => {
                Self::read_cut_chain(listed, branch).unwrap_or_else(|| straight(Rule::Below(number)))
            }
            Test::AtLeast(number) => turned(Rule::Below(number), missing_turned),
            Test::Above(number) => turned(Rule::AtMost(number), missing_turned),
            // NaN differs from every number, and so goes to `on_true` either way.
            Test::NotEqual(number) => turned(Rule::OneOf(categories(id, &[number])?), Missing::Right),
            Test::Equal(_) | Test::Member(_) => Self::read_equal_chain(listed, id, branch)?,
        })
    }

    /// Reads the longest chain of branches that ask one feature for single values or sets and have one common `on_true`.
    fn read_equal_chain(listed: &[Listed], id: (i64, i64), first: &Branch) -> Result<Self, FormatError> {
        let mut values = Vec::new();
        let mut next = first;
        loop {
            match &next.test {
                Test::Equal(value) => values.push(*value),
                Test::Member(set) => values.extend(set),
                _ => {}
            }
            match &listed[next.on_false].kind {
                Kind::Branch(branch) if next.continues_with(branch) && values.len() < listed.len() => next = branch,
                _ => break,
            }
        }
        let missing = if first.missing_on_true { Missing::Left } else { Missing::Right };
        let (left, right, read) = (first.on_true, next.on_false, values.len());
        Ok(Split { rule: Rule::OneOf(categories(id, &values)?), missing, left, right, read })
    }

    /// Reads a chain of cuts as [`cuts`] writes them for categories and for zeros that count as missing; `None` where the
    /// branch starts no such chain.
    fn read_cut_chain(listed: &[Listed], first: &Branch) -> Option<Self> {
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
        let chain: Vec<Cut> = chain.into_iter().map(cut).collect();
        let (rule, missing) = guesses(&chain).into_iter().find(|(rule, missing)| cuts(rule, *missing) == chain)?;
        Some(Split { rule, missing, left, right, read: chain.len() })
    }
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

/// What splits may have been written as such a chain.
fn guesses(chain: &[Cut]) -> Vec<(Rule, Missing)> {
    let mut guesses = Vec::new();
    if let Some(categories) = chain_categories(chain) {
        guesses.extend([Missing::Left, Missing::Right].map(|missing| (Rule::OneOf(categories.clone()), missing)));
    }
    for cut in chain.iter().filter(|cut| cut.left) {
        let rule = match cut.bound {
            Bound::AtMost(threshold) => Rule::AtMost(f64::from(threshold)),
            Bound::Below(threshold) => Rule::Below(f64::from(threshold)),
        };
        guesses.extend([Missing::ZeroLeft, Missing::ZeroRight].map(|missing| (rule.clone(), missing)));
    }
    guesses
}

/// The categories between pairs of cuts.
fn chain_categories(chain: &[Cut]) -> Option<Vec<u32>> {
    let mut categories = Vec::new();
    let (pairs, rest) = chain.as_chunks::<2>();
    for [start, end] in pairs {
        let first = match start.bound {
            Bound::AtMost(threshold) => f64::from(threshold) + 1.0,
            Bound::Below(threshold) => f64::from(threshold),
        };
        let Bound::Below(end) = end.bound else { return None };
        let width = f64::from(end) - first;
        let room = (MAX_RUN - categories.len().min(MAX_RUN)) as f64;
        if first.fract() != 0.0 || first < 0.0 || !(0.0..=room).contains(&width) || f64::from(end) > f64::from(u32::MAX)
        {
            return None;
        }
        categories.extend(first as u32..end as u32);
    }
    rest.is_empty().then_some(categories)
}

/// The most categories that a chain of cuts is read as.
const MAX_RUN: usize = 1 << 16;

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
