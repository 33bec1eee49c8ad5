//! The nodes of a grouped structure as index lists of bottom rows, and sums over them; weights are elsewhere.

use crate::error::{HierarchyError, check_vector};
use crate::grouping::Dimension;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// The most dimensions.
pub const MAX_DIMENSIONS: usize = 8;
/// The most entries of all index lists together.
pub const MAX_ENTRIES: usize = 1 << 28;

/// A grouped structure. Nodes are numbered: first the upper ones, those with the most bottom rows first, then the bottom rows
/// in the order in which they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct Hierarchy {
    /// Per node, one label per dimension.
    labels: Vec<Labels>,
    numbers: FxHashMap<Labels, usize>,
    /// Where each upper node's bottom rows begin in `members`, and where the last one's end.
    starts: Vec<usize>,
    /// The bottom rows of upper nodes, ascending within a node.
    members: Vec<u32>,
    bottoms: usize,
}

impl Hierarchy {
    /// Builds the nodes from bottom rows with one label per dimension: a node for each combination of the dimensions' labels
    /// and their ancestors that some row falls under.
    ///
    /// # Errors
    /// No or too many dimensions, no rows, rows with a wrong number of labels or the same labels, a row's label that is a
    /// parent, a label that means different things in two groupings, and index lists that would be too long.
    pub fn new<R, L>(dimensions: &[Dimension], rows: &[R]) -> Result<Hierarchy, HierarchyError>
    where
        R: AsRef<[L]>,
        L: AsRef<str>,
    {
        let ways = ways_up(dimensions, rows)?;
        let rows: Vec<Labels> =
            rows.iter().map(|row| row.as_ref().iter().map(|label| label.as_ref().to_owned()).collect()).collect();
        check_duplicates(&rows)?;
        let uppers = upper_nodes(&ways, &rows)?;
        let (mut starts, mut members, mut labels) = (vec![0], Vec::new(), Vec::new());
        for (label, rows) in uppers {
            members.extend(rows);
            starts.push(members.len());
            labels.push(label);
        }
        let bottoms = rows.len();
        labels.extend(rows);
        let numbers = labels.iter().cloned().enumerate().map(|(node, label)| (label, node)).collect();
        Ok(Hierarchy { labels, numbers, starts, members, bottoms })
    }

    /// The number of nodes, bottom rows included.
    pub fn nodes(&self) -> usize {
        self.labels.len()
    }

    /// The number of upper nodes, which is the number of the first bottom row's node.
    pub fn uppers(&self) -> usize {
        self.labels.len() - self.bottoms
    }

    /// The number of bottom rows.
    pub fn bottoms(&self) -> usize {
        self.bottoms
    }

    /// A node's labels, one per dimension; none for a number that is no node's.
    pub fn labels(&self, node: usize) -> Option<&[String]> {
        self.labels.get(node).map(|labels| &**labels)
    }

    /// The node with these labels, one per dimension.
    pub fn find(&self, labels: &[&str]) -> Option<usize> {
        let labels: Labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.numbers.get(&labels).copied()
    }

    /// The bottom rows of each upper node, ascending, in the nodes' order.
    pub fn upper_members(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.starts.windows(2).map(|ends| &self.members[ends[0]..ends[1]])
    }

    /// The number of bottom rows of each node, in the nodes' order: at least 1.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.upper_members().map(<[u32]>::len).chain(std::iter::repeat_n(1, self.bottoms))
    }

    /// The values of all nodes that add up from one value per bottom row.
    ///
    /// # Errors
    /// When the length is not that of the bottom rows, or a value is not finite.
    pub fn sum(&self, bottom: &[f64]) -> Result<Vec<f64>, HierarchyError> {
        check_vector("the bottom rows' values", bottom, self.bottoms)?;
        Ok(self.with_uppers(bottom.to_vec()))
    }

    /// As `sum`, unchecked.
    pub(crate) fn with_uppers(&self, bottom: Vec<f64>) -> Vec<f64> {
        let mut values = vec![0.0; self.uppers()];
        self.add_up(&bottom, &mut values);
        values.extend(bottom);
        values
    }

    /// `uppers = A bottom`.
    pub(crate) fn add_up(&self, bottom: &[f64], uppers: &mut [f64]) {
        for (sum, members) in uppers.iter_mut().zip(self.upper_members()) {
            *sum = members.iter().map(|row| bottom[*row as usize]).sum();
        }
    }

    /// `bottom = Aᵀ uppers`.
    pub(crate) fn spread(&self, uppers: &[f64], bottom: &mut [f64]) {
        bottom.fill(0.0);
        for (value, members) in uppers.iter().zip(self.upper_members()) {
            members.iter().for_each(|row| bottom[*row as usize] += value);
        }
    }

    /// What is missing to adding up, per upper node: `C values`.
    pub(crate) fn incoherence(&self, values: &[f64]) -> Vec<f64> {
        let (uppers, bottom) = values.split_at(self.uppers());
        let mut sums = vec![0.0; uppers.len()];
        self.add_up(bottom, &mut sums);
        uppers.iter().zip(sums).map(|(value, sum)| value - sum).collect()
    }
}

/// A node's labels, one per dimension.
type Labels = Box<[String]>;

/// Per dimension, the labels that a row's label counts towards: itself first, then its ancestors in all groupings, each once.
type Ways<'a> = Vec<FxHashMap<&'a str, Vec<&'a str>>>;

fn ways_up<'a, R, L>(dimensions: &'a [Dimension], rows: &'a [R]) -> Result<Ways<'a>, HierarchyError>
where
    R: AsRef<[L]>,
    L: AsRef<str> + 'a,
{
    let expected = dimensions.len();
    if !(1..=MAX_DIMENSIONS).contains(&expected) {
        return Err(HierarchyError::Dimensions { found: expected });
    }
    if rows.is_empty() {
        return Err(HierarchyError::NoRows);
    }
    if let Some(row) = rows.iter().position(|row| row.as_ref().len() != expected) {
        return Err(HierarchyError::LabelCount { row, found: rows[row].as_ref().len(), expected });
    }
    let way = |(place, dimension): (usize, &'a Dimension)| {
        let mut leaves: Vec<&str> = rows.iter().map(|row| row.as_ref()[place].as_ref()).collect();
        leaves.sort_unstable();
        leaves.dedup();
        ways_of(dimension, &leaves)
    };
    dimensions.iter().enumerate().map(way).collect()
}

fn ways_of<'a>(
    dimension: &'a Dimension,
    leaves: &[&'a str],
) -> Result<FxHashMap<&'a str, Vec<&'a str>>, HierarchyError> {
    let mut ways: FxHashMap<&str, Vec<&str>> = leaves.iter().map(|leaf| (*leaf, vec![*leaf])).collect();
    // Per ancestor of earlier groupings, the leaves below it: in a later grouping it must sum up the same.
    let mut below: FxHashMap<&str, Vec<&str>> = FxHashMap::default();
    for grouping in &dimension.groupings {
        let mut here: FxHashMap<&str, Vec<&str>> = FxHashMap::default();
        for leaf in leaves {
            for ancestor in grouping.ancestors(leaf) {
                if ways.contains_key(ancestor) {
                    return Err(HierarchyError::LeafWithChildren {
                        dimension: dimension.name.clone(),
                        grouping: grouping.name().to_owned(),
                        label: ancestor.to_owned(),
                    });
                }
                here.entry(ancestor).or_default().push(leaf);
            }
        }
        for (ancestor, leaves) in here {
            match below.entry(ancestor) {
                Entry::Occupied(known) if *known.get() == leaves => {}
                Entry::Occupied(_) => {
                    let (dimension, label) = (dimension.name.clone(), ancestor.to_owned());
                    return Err(HierarchyError::Ambiguous { dimension, label });
                }
                Entry::Vacant(place) => {
                    leaves.iter().for_each(|leaf| ways.entry(leaf).or_default().push(ancestor));
                    place.insert(leaves);
                }
            }
        }
    }
    Ok(ways)
}

fn check_duplicates(rows: &[Labels]) -> Result<(), HierarchyError> {
    let mut seen = FxHashMap::default();
    for (second, labels) in rows.iter().enumerate() {
        if let Some(first) = seen.insert(labels, second) {
            return Err(HierarchyError::DuplicateRow { first, second, labels: labels.to_vec() });
        }
    }
    Ok(())
}

/// Labels and rows of every combination of labels that is not a bottom row, the longest lists first.
fn upper_nodes(ways: &Ways, rows: &[Labels]) -> Result<Vec<(Labels, Vec<u32>)>, HierarchyError> {
    let mut found: FxHashMap<Vec<&str>, Vec<u32>> = FxHashMap::default();
    let mut entries = 0_usize;
    for (row, labels) in rows.iter().enumerate() {
        let row = u32::try_from(row).map_err(|_| HierarchyError::TooLarge)?;
        let nodes = ways.iter().zip(labels).map(|(way, label)| way.get(label.as_str()).map_or(&[][..], Vec::as_slice));
        let combined = nodes.fold(vec![Vec::new()], combinations);
        // The first combination is the row's own labels.
        entries = entries.saturating_add(combined.len() - 1);
        if entries > MAX_ENTRIES {
            return Err(HierarchyError::TooLarge);
        }
        combined.into_iter().skip(1).for_each(|key| found.entry(key).or_default().push(row));
    }
    let owned = |key: Vec<&str>| key.into_iter().map(str::to_owned).collect();
    let mut uppers: Vec<(Labels, Vec<u32>)> = found.into_iter().map(|(key, rows)| (owned(key), rows)).collect();
    uppers.sort_by(|one, other| (other.1.len(), &one.0).cmp(&(one.1.len(), &other.0)));
    Ok(uppers)
}

/// Every start, with every label behind it.
fn combinations<'a>(starts: Vec<Vec<&'a str>>, labels: &[&'a str]) -> Vec<Vec<&'a str>> {
    starts.iter().flat_map(|start| labels.iter().map(|label| [&start[..], &[*label]].concat())).collect()
}
