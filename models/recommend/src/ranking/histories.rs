//! What each person turned to before training ended, so that they are known from the first request on; what came since is in `live`.

use dhow_events::BuyerId;
use serde::{Deserialize, Serialize};

use crate::lists::Lists;
use crate::sequences::Action;

/// The last distinct items of each person, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histories {
    /// Ascending.
    persons: Vec<BuyerId>,
    items: Lists<u32>,
}

impl Histories {
    pub(crate) fn new(actions: &[Action]) -> Self {
        let mut of_persons: Vec<&Action> = actions.iter().filter(|action| action.person.is_some()).collect();
        of_persons.sort_unstable_by_key(|a| (a.person, a.time, a.item, a.kind));
        let mut histories = Self::default();
        for of_person in of_persons.chunk_by(|a, b| a.person == b.person) {
            histories.persons.extend(of_person[0].person);
            histories.items.push(last_distinct(of_person.iter().map(|action| action.item)));
        }
        histories
    }

    /// The person's items, oldest first; none of a person who was not seen.
    pub(crate) fn of(&self, person: BuyerId) -> &[u32] {
        match self.persons.binary_search(&person) {
            Ok(row) => self.items.row(row),
            Err(_) => &[],
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.persons.len()).map(|row| self.items.row(row))
    }

    pub(crate) fn is_sound(&self, items: usize) -> bool {
        self.persons.is_sorted_by(|a, b| a < b)
            && self.items.is_sound(self.persons.len(), |item| (*item as usize) < items)
    }
}

/// So many of a person's last distinct items are kept.
pub(crate) const MAX_HISTORY: usize = 200;

/// The last [`MAX_HISTORY`] distinct items, each where it stood last.
pub(super) fn last_distinct(items: impl DoubleEndedIterator<Item = u32>) -> Vec<u32> {
    let mut kept: Vec<u32> = Vec::new();
    for item in items.rev() {
        if kept.len() == MAX_HISTORY {
            break;
        }
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept.reverse();
    kept
}
