//! Many short lists in one flat array, as rows of a sparse matrix are kept; rows cannot be changed once built.

use serde::{Deserialize, Serialize};

/// Row `i` is `values[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lists<T> {
    offsets: Vec<u64>,
    values: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { offsets: vec![0], values: Vec::new() }
    }
}

impl<T> Lists<T> {
    pub(crate) fn from_rows(rows: impl IntoIterator<Item = Vec<T>>) -> Self {
        let mut lists = Self::default();
        for row in rows {
            lists.push(row);
        }
        lists
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.offsets.push(self.values.len() as u64);
    }

    pub(crate) fn row(&self, index: usize) -> &[T] {
        &self.values[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    pub(crate) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are `rows` rows, the offsets fit the values, and each value is accepted: the check after reading a file.
    pub(crate) fn is_sound(&self, rows: usize, accept: impl Fn(&T) -> bool) -> bool {
        self.offsets.len() == rows + 1
            && self.offsets[0] == 0
            && self.offsets.is_sorted()
            && self.offsets[rows] == self.values.len() as u64
            && self.values.iter().all(accept)
    }
}

impl Lists<(u32, u32)> {
    /// Where each key occurs: row `k` holds `(row, position)` of every `key(value) == k`, in ascending order.
    pub(crate) fn inverted<T>(lists: &Lists<T>, keys: usize, key: impl Fn(&T) -> u32) -> Self {
        let mut offsets = vec![0u64; keys + 1];
        for value in &lists.values {
            offsets[key(value) as usize + 1] += 1;
        }
        for k in 0..keys {
            offsets[k + 1] += offsets[k];
        }
        let mut next = offsets.clone();
        let mut values = vec![(0, 0); lists.values.len()];
        for row in 0..lists.rows() {
            for (position, value) in lists.row(row).iter().enumerate() {
                let slot = &mut next[key(value) as usize];
                values[*slot as usize] = (row as u32, position as u32);
                *slot += 1;
            }
        }
        Self { offsets, values }
    }
}
