//! Batches of entries: what belongs together in the books, checked on its own; balances are looked at elsewhere.

use std::collections::BTreeMap;

use dhow_events::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Account, Asset};

/// The most entries of one batch.
pub const ENTRIES_MAX: usize = 1_000;

/// A batch's id: whoever sends it again with the same id writes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchId(pub u128);

/// An amount on one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The account.
    pub account: Account,
    /// What the amount is counted in.
    pub asset: Asset,
    /// Units of the asset: above zero a debit, below zero a credit, never zero.
    pub amount: i64,
}

impl Entry {
    /// A debit of `amount` units.
    pub fn debit(account: Account, asset: Asset, amount: i64) -> Self {
        Self { account, asset, amount }
    }

    /// A credit of `amount` units.
    pub fn credit(account: Account, asset: Asset, amount: i64) -> Self {
        Self { account, asset, amount: -amount }
    }
}

/// What a batch does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// Its entries are posted.
    Post(Vec<Entry>),
    /// Its entries wait: what they take is no longer there for others, what they bring is not there yet.
    Pend {
        /// The entries.
        entries: Vec<Entry>,
        /// From when on they can only expire.
        expires_at: Timestamp,
    },
    /// The entries of a pending batch are posted.
    PostPending(BatchId),
    /// A pending batch is given up.
    VoidPending(BatchId),
    /// A pending batch's time is over.
    ExpirePending(BatchId),
}

/// Entries that are written together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Whose books.
    pub tenant: TenantId,
    /// When it is written.
    pub at: Timestamp,
    /// Why: `capture`, `refund`, `payout`.
    pub purpose: String,
    /// What it is about: the id of an order, a payment or a payout.
    pub reference: String,
    /// What it does.
    pub does: Move,
}

/// Why a batch is wrong by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The number of entries.
    #[error("a batch has 2 to {ENTRIES_MAX} entries; this one has {0}")]
    Length(usize),
    /// An entry of nothing, or of the one amount that has no opposite.
    #[error("entry {0} is of {1} units; an amount has another sign than zero and an opposite")]
    Amount(usize, i64),
    /// The entries of an asset do not sum to zero.
    #[error("the entries in {asset} sum to {sum}, not to zero")]
    Unbalanced {
        /// The asset.
        asset: Asset,
        /// Debits less credits.
        sum: i128,
    },
    /// It would expire before it is written.
    #[error("the batch would have expired at {expires_at}, before it is written at {at}")]
    Expired {
        /// When it is written.
        at: Timestamp,
        /// When it expires.
        expires_at: Timestamp,
    },
}

impl Batch {
    /// Its own entries; none where it speaks of a pending batch.
    pub fn entries(&self) -> &[Entry] {
        match &self.does {
            Move::Post(entries) | Move::Pend { entries, .. } => entries,
            Move::PostPending(_) | Move::VoidPending(_) | Move::ExpirePending(_) => &[],
        }
    }

    /// Checks what can be said without any balance.
    ///
    /// # Errors
    /// Too few or too many entries, an amount of zero, entries of an asset that do not sum to zero, or an end before the
    /// beginning.
    pub fn check(&self) -> Result<(), BatchError> {
        let entries = match &self.does {
            Move::Post(entries) => entries,
            Move::Pend { entries, expires_at } if *expires_at > self.at => entries,
            Move::Pend { expires_at, .. } => {
                return Err(BatchError::Expired { at: self.at, expires_at: *expires_at });
            }
            Move::PostPending(_) | Move::VoidPending(_) | Move::ExpirePending(_) => return Ok(()),
        };
        if !(2..=ENTRIES_MAX).contains(&entries.len()) {
            return Err(BatchError::Length(entries.len()));
        }
        let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            if entry.amount == 0 || entry.amount == i64::MIN {
                return Err(BatchError::Amount(index, entry.amount));
            }
            *sums.entry(entry.asset).or_default() += i128::from(entry.amount);
        }
        match sums.into_iter().find(|(_, sum)| *sum != 0) {
            Some((asset, sum)) => Err(BatchError::Unbalanced { asset, sum }),
            None => Ok(()),
        }
    }

    /// The batch that takes this posted one back.
    pub fn reversal(&self, id: BatchId, at: Timestamp) -> Self {
        let opposite = |entry: &Entry| Entry { amount: -entry.amount, ..entry.clone() };
        Self {
            id,
            at,
            purpose: format!("reversal of {}", self.purpose),
            does: Move::Post(self.entries().iter().map(opposite).collect()),
            ..self.clone()
        }
    }
}
