//! Rows in order, taken from the front and added mostly at the back; what they are kept for stands in `slide`.

use std::ops::Range;

/// A row and its value.
type Item<V> = (u32, V);

/// Rows with a value each, by rising row number.
pub(crate) struct Queue<V> {
    items: Vec<Item<V>>,
    /// The items before it were taken.
    head: usize,
}

impl<V: Copy> Queue<V> {
    pub(crate) fn new() -> Self {
        Self { items: Vec::new(), head: 0 }
    }

    pub(crate) fn front(&self) -> Option<(usize, V)> {
        self.items.get(self.head).map(|&(row, value)| (row as usize, value))
    }

    pub(crate) fn back(&self) -> Option<(usize, V)> {
        self.items[self.head..].last().map(|&(row, value)| (row as usize, value))
    }

    /// Adds a row behind all others.
    pub(crate) fn push(&mut self, row: usize, value: V) {
        self.items.push((row as u32, value));
    }

    /// Takes the last row out while its value satisfies `holds`.
    pub(crate) fn drop_back(&mut self, holds: impl Fn(V) -> bool) {
        while self.items.len() > self.head && self.items.last().is_some_and(|&(_, value)| holds(value)) {
            self.items.pop();
        }
    }

    /// Takes `row` out if it is the first.
    pub(crate) fn take_front(&mut self, row: usize) {
        if self.items.get(self.head).is_some_and(|&(first, _)| first as usize == row) {
            self.head += 1;
            if self.head == self.items.len() {
                self.items.clear();
                self.head = 0;
            }
        }
    }

    /// The rows before and the rows after `row`.
    pub(crate) fn around(&self, row: usize) -> (&[Item<V>], &[Item<V>]) {
        let rows = &self.items[self.head..];
        rows.split_at(rows.partition_point(|&(other, _)| (other as usize) < row))
    }

    /// Puts a row in the place of the rows `range`, counted from the front.
    pub(crate) fn replace(&mut self, range: Range<usize>, row: usize, value: V) {
        self.items.splice(self.head + range.start..self.head + range.end, [(row as u32, value)]);
    }
}
