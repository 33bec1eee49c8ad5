//! Numbers kept by item during one request, in flat arrays that are neither cleared nor allocated between requests; no item's data.

use std::cell::{Cell, RefCell};

/// At most so many arrays wait for the next request of a thread: as many as one request uses at once.
const MAX_WAITING: usize = 8;

thread_local! {
    static WAITING: RefCell<Vec<Entries>> = RefCell::default();
}

#[derive(Debug, Default)]
struct Entries {
    /// The number of the present use: what is stamped with another is not there.
    stamp: u32,
    /// A stamp and a value for each item.
    values: Vec<Cell<(u32, u32)>>,
}

/// A value for some items.
#[derive(Debug)]
pub(crate) struct Marks(Entries);

impl Marks {
    /// No item has a value.
    pub(crate) fn new(items: usize) -> Self {
        let mut entries = WAITING.with_borrow_mut(Vec::pop).unwrap_or_default();
        if entries.values.len() < items {
            entries.values.resize(items, Cell::default());
        }
        entries.stamp = entries.stamp.wrapping_add(1);
        if entries.stamp == 0 {
            // After 2^32 uses stamps would repeat.
            entries.values.fill(Cell::default());
            entries.stamp = 1;
        }
        Self(entries)
    }

    pub(crate) fn get(&self, item: u32) -> Option<u32> {
        let (stamp, value) = self.0.values[item as usize].get();
        (stamp == self.0.stamp).then_some(value)
    }

    pub(crate) fn set(&self, item: u32, value: u32) {
        self.0.values[item as usize].set((self.0.stamp, value));
    }

    /// How many steps back from the end of `listed` each of its items stands last: 0 for the last one.
    pub(crate) fn steps_back(listed: &[u32], items: usize) -> Self {
        let marks = Self::new(items);
        listed.iter().zip((0..listed.len() as u32).rev()).for_each(|(item, steps)| marks.set(*item, steps));
        marks
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        let entries = std::mem::take(&mut self.0);
        WAITING.with_borrow_mut(|waiting| {
            if waiting.len() < MAX_WAITING {
                waiting.push(entries);
            }
        });
    }
}
