//! Who took which item, in time order, as compressed rows for both sides; ids are dense numbers, strings stay outside.

use crate::error::FactorsError;
use rustc_hash::FxHashMap;

/// Most interactions that one model is trained from.
pub const MAX_INTERACTIONS: usize = 1 << 30;

/// One person took one item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction {
    /// Dense number of the person.
    pub person: u32,
    /// Dense number of the item.
    pub item: u32,
    /// How much it says, above zero; 1 for a plain "took it".
    pub weight: f32,
}

/// Compressed sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    starts: Vec<usize>,
    columns: Vec<u32>,
    weights: Vec<f32>,
}

/// The entries of one row: columns and their weights, equally long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) columns: &'a [u32],
    pub(crate) weights: &'a [f32],
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn row(&self, index: usize) -> Row<'_> {
        let range = self.starts[index]..self.starts[index + 1];
        Row { columns: &self.columns[range.clone()], weights: &self.weights[range] }
    }

    pub(crate) fn longest_row(&self) -> usize {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    pub(crate) fn entries(&self) -> usize {
        self.columns.len()
    }

    fn from_rows(rows: &[Vec<(u32, f32)>]) -> Self {
        let mut starts = vec![0];
        let (mut columns, mut weights) = (Vec::new(), Vec::new());
        for row in rows {
            columns.extend(row.iter().map(|entry| entry.0));
            weights.extend(row.iter().map(|entry| entry.1));
            starts.push(columns.len());
        }
        Self { starts, columns, weights }
    }

    /// The same entries with rows and columns exchanged; within a row they come in the order of the old rows.
    fn transposed(&self, columns: usize) -> Self {
        let mut starts = vec![0_usize; columns + 1];
        for column in &self.columns {
            starts[*column as usize + 1] += 1;
        }
        for at in 0..columns {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut turned = Self { starts, columns: vec![0; self.entries()], weights: vec![0.0; self.entries()] };
        for index in 0..self.len() {
            let row = self.row(index);
            for (column, weight) in row.columns.iter().zip(row.weights) {
                let place = &mut next[*column as usize];
                turned.columns[*place] = index as u32;
                turned.weights[*place] = *weight;
                *place += 1;
            }
        }
        turned
    }
}

/// Who took which item: the training data of every model here.
///
/// Within a person the items stand in time order, each once.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    pub(crate) by_person: Rows,
    pub(crate) by_item: Rows,
}

impl Interactions {
    /// Takes `rows` in time order for `people` persons and `items` items, both numbered from zero.
    ///
    /// A pair that comes again is one pair: its weights add up and its place is the latest one. Persons and items
    /// without a row are allowed: they get no behaviour.
    ///
    /// # Errors
    /// A person or an item beyond the declared numbers, a weight that is not finite and above zero, or no row at all.
    pub fn new(people: usize, items: usize, rows: &[Interaction]) -> Result<Self, FactorsError> {
        if rows.is_empty() {
            return Err(FactorsError::NoInteractions);
        }
        for (what, count) in [("interactions", rows.len()), ("persons", people), ("items", items)] {
            if count > MAX_INTERACTIONS {
                return Err(FactorsError::TooMany { what, count, limit: MAX_INTERACTIONS });
            }
        }
        let mut per_person = vec![Vec::new(); people];
        for (row, taken) in rows.iter().enumerate() {
            check_item(row, taken.item, items)?;
            check_weight(row, taken.weight)?;
            per_person
                .get_mut(taken.person as usize)
                .ok_or(FactorsError::UnknownPerson { row, person: taken.person, people })?
                .push((taken.item, taken.weight));
        }
        per_person.iter_mut().for_each(merge_repeated);
        let by_person = Rows::from_rows(&per_person);
        let by_item = by_person.transposed(items);
        Ok(Self { by_person, by_item })
    }

    /// Takes each person's items in time order, all of weight 1.
    ///
    /// # Errors
    /// As [`Interactions::new`]; rows are counted through all histories.
    pub fn from_histories(histories: &[Vec<u32>], items: usize) -> Result<Self, FactorsError> {
        let rows: Vec<Interaction> = histories
            .iter()
            .zip(0_u32..)
            .flat_map(|(history, person)| history.iter().map(move |&item| Interaction { person, item, weight: 1.0 }))
            .collect();
        Self::new(histories.len(), items, &rows)
    }

    /// How many persons there are, those without a row included.
    pub fn people(&self) -> usize {
        self.by_person.len()
    }

    /// How many items there are, those without a row included.
    pub fn items(&self) -> usize {
        self.by_item.len()
    }

    /// How many different pairs of person and item there are.
    pub fn pairs(&self) -> usize {
        self.by_person.entries()
    }

    /// The person's items in time order, each once; empty for a person who is unknown.
    pub fn history(&self, person: u32) -> &[u32] {
        if (person as usize) < self.people() { self.by_person.row(person as usize).columns } else { &[] }
    }

    /// Everybody's history; a repeated item stands once, at its latest place.
    pub(crate) fn histories(&self) -> Vec<Vec<u32>> {
        (0..self.people() as u32).map(|person| self.history(person).to_vec()).collect()
    }

    /// How many persons took the item; zero for an item that is unknown.
    pub fn support(&self, item: u32) -> usize {
        if (item as usize) < self.items() { self.by_item.row(item as usize).columns.len() } else { 0 }
    }
}

/// Refuses an item beyond the known ones.
pub(crate) fn check_item(row: usize, item: u32, items: usize) -> Result<(), FactorsError> {
    if (item as usize) < items { Ok(()) } else { Err(FactorsError::UnknownItem { row, item, items }) }
}

/// Refuses a weight that is not finite and above zero.
pub(crate) fn check_weight(row: usize, weight: f32) -> Result<(), FactorsError> {
    if weight.is_finite() && weight > 0.0 { Ok(()) } else { Err(FactorsError::BadWeight { row, weight }) }
}

/// Keeps each item once, at its latest place, with the sum of its weights.
pub(crate) fn merge_repeated(entries: &mut Vec<(u32, f32)>) {
    let mut sums: FxHashMap<u32, f32> = FxHashMap::default();
    for (item, weight) in entries.iter() {
        *sums.entry(*item).or_default() += *weight;
    }
    if sums.len() == entries.len() {
        return;
    }
    let mut latest: Vec<(u32, f32)> =
        entries.iter().rev().filter_map(|(item, _)| Some((*item, sums.remove(item)?))).collect();
    latest.reverse();
    *entries = latest;
}
