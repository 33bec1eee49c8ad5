//! How the labels of a dimension are summed up: links from child to parent, checked; rows are in `structure`.

use crate::error::HierarchyError;
use rustc_hash::FxHashMap;

/// One way to sum labels up, such as product → category → all: each label has at most one parent, and no cycle. A label
/// without a parent ends its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    name: String,
    parents: FxHashMap<String, String>,
}

impl Grouping {
    /// Takes links (child, parent); the same link may be given twice.
    ///
    /// # Errors
    /// A label with two parents, and a cycle, with its labels.
    pub fn new<'a>(
        name: &str,
        links: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Grouping, HierarchyError> {
        let mut grouping = Grouping { name: name.to_owned(), parents: FxHashMap::default() };
        let mut children = Vec::new();
        for (child, parent) in links {
            match grouping.parents.get(child) {
                Some(first) if first != parent => {
                    return Err(HierarchyError::TwoParents {
                        grouping: name.to_owned(),
                        child: child.to_owned(),
                        first: first.clone(),
                        second: parent.to_owned(),
                    });
                }
                Some(_) => {}
                None => {
                    grouping.parents.insert(child.to_owned(), parent.to_owned());
                    children.push(child);
                }
            }
        }
        grouping.check_cycles(&children)?;
        Ok(grouping)
    }

    /// The grouping's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The labels that a label is summed up to, nearest first.
    pub fn ancestors<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a str> {
        std::iter::successors(self.parent(label), |label| self.parent(label))
    }

    fn parent(&self, label: &str) -> Option<&str> {
        self.parents.get(label).map(String::as_str)
    }

    /// Walks up from every child; a way that meets itself is a cycle, one that meets an earlier way is none.
    fn check_cycles(&self, children: &[&str]) -> Result<(), HierarchyError> {
        let mut seen_from: FxHashMap<&str, usize> = FxHashMap::default();
        for (start, child) in children.iter().enumerate() {
            let mut label = *child;
            loop {
                match seen_from.insert(label, start) {
                    Some(earlier) if earlier == start => return Err(self.cycle_at(label)),
                    Some(_) => break,
                    None => {}
                }
                match self.parent(label) {
                    Some(parent) => label = parent,
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn cycle_at(&self, label: &str) -> HierarchyError {
        let mut labels = vec![label.to_owned()];
        labels.extend(self.ancestors(label).take_while(|ancestor| *ancestor != label).map(str::to_owned));
        labels.push(label.to_owned());
        HierarchyError::Cycle { grouping: self.name.clone(), labels }
    }
}

/// What bottom rows are labelled by, such as product or region, with the ways to sum its labels up.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    pub(crate) name: String,
    pub(crate) groupings: Vec<Grouping>,
}

impl Dimension {
    /// A dimension; without groupings its labels are not summed up.
    pub fn new(name: &str, groupings: Vec<Grouping>) -> Dimension {
        Dimension { name: name.to_owned(), groupings }
    }
}
