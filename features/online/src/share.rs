//! One of several equal parts of all entities; how records reach the one who keeps it is decided elsewhere.

use dhow_events::TenantId;
use dhow_streams::share_of;
use serde::{Deserialize, Serialize};

/// The entities of which [`share_of`] among `count` gives `number`, of every tenant and in every view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share {
    number: u32,
    count: u32,
}

/// A share that is none of its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no share number {number} of {count}: shares are numbered from 0 to one below their count")]
pub struct NoShare {
    /// The number asked for.
    pub number: u32,
    /// The count asked for.
    pub count: u32,
}

impl Share {
    /// All entities.
    pub const WHOLE: Self = Self { number: 0, count: 1 };

    /// Share `number`, from 0, of `count`.
    ///
    /// # Errors
    /// There is no such share.
    pub fn new(number: u32, count: u32) -> Result<Self, NoShare> {
        if number < count { Ok(Self { number, count }) } else { Err(NoShare { number, count }) }
    }

    /// Its number, from 0.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many shares there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether entity `id` (see [`dhow_definitions::entity_id`]) of `tenant` belongs to it.
    pub fn holds(self, tenant: TenantId, id: u128) -> bool {
        self.count == 1 || share_of(tenant, id, self.count) == self.number
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.number, self.count)
    }
}
