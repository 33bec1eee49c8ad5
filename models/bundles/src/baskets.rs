//! Baskets in flat memory: distinct items, regions, bounds; and lists of numbers one after the other.

use serde::{Deserialize, Serialize};

use crate::BundlesError;
use crate::error::check_count;

/// The most items of a catalogue.
pub const MAX_ITEMS: usize = 1 << 22;
/// The first so many distinct items of a basket are read; a larger one is an inventory, not a taste.
pub const MAX_BASKET_ITEMS: usize = 200;
/// The most entries of all baskets together, 512 MiB.
pub const MAX_ENTRIES: usize = 1 << 27;

/// Rows of different lengths, one after the other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Rows<T> {
    ends: Vec<usize>,
    values: Vec<T>,
}

impl<T> Rows<T> {
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.ends.push(self.values.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn entries(&self) -> usize {
        self.values.len()
    }

    /// The row; an empty one where there is none.
    pub(crate) fn row(&self, at: usize) -> &[T] {
        let Some(&end) = self.ends.get(at) else { return &[] };
        &self.values[at.checked_sub(1).map_or(0, |before| self.ends[before])..end]
    }

    /// Whether rows stand one after the other and end with the values.
    pub(crate) fn is_sound(&self) -> bool {
        self.ends.is_sorted() && self.ends.last().copied().unwrap_or(0) == self.values.len()
    }

    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }
}

/// Baskets that hold at least one item.
#[derive(Debug, Default)]
pub(crate) struct Baskets {
    pub(crate) items: Rows<u32>,
    pub(crate) regions: Vec<u32>,
    /// Baskets with more than [`MAX_BASKET_ITEMS`] distinct items.
    pub(crate) cut_short: usize,
}

impl Baskets {
    pub(crate) fn collect<B: AsRef<[u32]>>(
        baskets: impl IntoIterator<Item = (u32, B)>,
        items: usize,
    ) -> Result<Self, BundlesError> {
        let mut collected = Self::default();
        let mut distinct: Vec<u32> = Vec::new();
        for (at, (region, basket)) in baskets.into_iter().enumerate() {
            if let Some(&item) = basket.as_ref().iter().find(|item| **item as usize >= items) {
                return Err(BundlesError::UnknownItem { what: "basket", at, item, items });
            }
            if first_distinct(basket.as_ref(), &mut distinct) {
                collected.cut_short += 1;
            }
            if !distinct.is_empty() {
                check_count("items in baskets", collected.items.entries() + distinct.len(), MAX_ENTRIES)?;
                collected.items.push(distinct.iter().copied());
                collected.regions.push(region);
            }
        }
        if collected.regions.is_empty() { Err(BundlesError::NoBaskets) } else { Ok(collected) }
    }
}

/// Fills in the first distinct items, in ascending order; true if there were more than are read.
fn first_distinct(basket: &[u32], distinct: &mut Vec<u32>) -> bool {
    distinct.clear();
    for &item in basket {
        if let Err(place) = distinct.binary_search(&item) {
            if distinct.len() == MAX_BASKET_ITEMS {
                return true;
            }
            distinct.insert(place, item);
        }
    }
    false
}
