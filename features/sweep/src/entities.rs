//! Numbers for entities: from 128-bit keys to dense numbers, and from those to the entities that points ask about.

use rustc_hash::FxHashMap;

use crate::{NO_ENTITY, Points, SweepError};

/// Entities as dense numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenseEntities {
    /// The number of each event's entity.
    pub events: Vec<u32>,
    /// The number of each point's entity.
    pub points: Vec<u32>,
    /// How many entities there are: [`crate::Events::entity_count`].
    pub count: usize,
}

/// Numbers the entities of events and points by first appearance, the points' first. A row without an entity is given as
/// nothing and gets [`NO_ENTITY`].
///
/// # Errors
/// There are 2^32 - 1 entities or more.
pub fn densify(
    events: impl IntoIterator<Item = Option<u128>>,
    points: impl IntoIterator<Item = Option<u128>>,
) -> Result<DenseEntities, SweepError> {
    let mut numbers = FxHashMap::default();
    let mut number = |key: Option<u128>| match key {
        None => NO_ENTITY,
        Some(key) => {
            let next = numbers.len() as u32;
            *numbers.entry(key).or_insert(next)
        }
    };
    let points = points.into_iter().map(&mut number).collect();
    let events = events.into_iter().map(&mut number).collect();
    match numbers.len() {
        rows if rows >= NO_ENTITY as usize => Err(SweepError::TooManyRows { table: "the list of entities", rows }),
        count => Ok(DenseEntities { events, points, count }),
    }
}

/// The entities that points name, numbered anew, so that all others are left out at once.
pub(crate) struct WantedNumbers {
    /// For each entity its new number, or [`NO_ENTITY`].
    pub(crate) of_entity: Vec<u32>,
    /// How many are wanted.
    pub(crate) count: usize,
}

pub(crate) fn number_wanted(points: &Points<'_>, entity_count: usize) -> WantedNumbers {
    let mut of_entity = vec![NO_ENTITY; entity_count];
    let mut count = 0;
    for &entity in points.entities {
        if let Some(number) = of_entity.get_mut(entity as usize)
            && *number == NO_ENTITY
        {
            *number = count;
            count += 1;
        }
    }
    WantedNumbers { of_entity, count: count as usize }
}

impl WantedNumbers {
    /// The new number of an entity, or [`NO_ENTITY`].
    pub(crate) fn get(&self, entity: u32) -> u32 {
        self.of_entity.get(entity as usize).copied().unwrap_or(NO_ENTITY)
    }
}
