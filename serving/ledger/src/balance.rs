//! What a batch makes of the balances that it touches, as one pure function for memory and database alike.

use std::collections::BTreeMap;

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Account, Asset, Batch, BatchError, BatchId, Entry, Move, Side};

/// All that was ever debited and credited to an account in one asset, in its units; none is ever below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// Posted debits.
    pub debits: i64,
    /// Posted credits.
    pub credits: i64,
    /// Debits that wait.
    pub debits_pending: i64,
    /// Credits that wait.
    pub credits_pending: i64,
}

/// Balances of accounts in assets.
pub type Balances = BTreeMap<(Account, Asset), Balance>;

/// A pending batch that nothing ended yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingBatch {
    /// Its entries.
    pub entries: Vec<Entry>,
    /// From when on it can only expire.
    pub expires_at: Timestamp,
}

/// Why a batch may not be written. Nothing of it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// It is wrong by itself.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// An account that stays above zero has too little.
    #[error("{account} has {available} {asset} to give; the batch takes {asked}")]
    Insufficient {
        /// The account.
        account: Account,
        /// The asset.
        asset: Asset,
        /// What is there, pending batches taken off.
        available: String,
        /// What the batch takes.
        asked: String,
    },
    /// No batch of this id is pending: it never was, or was posted, voided or expired.
    #[error("batch {0:?} is not pending")]
    NotPending(BatchId),
    /// A pending batch that has expired is posted, or one that has not is expired.
    #[error("the pending batch expires at {expires_at}; at {at} it can {}", if at < expires_at { "not expire yet" } else { "only expire" })]
    Expiry {
        /// When it expires.
        expires_at: Timestamp,
        /// When it was to be ended.
        at: Timestamp,
    },
    /// A batch of this id was written with another content.
    #[error("batch {0:?} was written before with another content")]
    Different(BatchId),
    /// A total does not fit 64 bits.
    #[error("the totals of {account} in {asset} are more than 64 bits hold")]
    Overflow {
        /// The account.
        account: Account,
        /// The asset.
        asset: Asset,
    },
}

impl Balance {
    /// These totals without `change`; `None` beyond 64 bits.
    pub fn before(&self, change: &Self) -> Option<Self> {
        Some(Self {
            debits: self.debits.checked_sub(change.debits)?,
            credits: self.credits.checked_sub(change.credits)?,
            debits_pending: self.debits_pending.checked_sub(change.debits_pending)?,
            credits_pending: self.credits_pending.checked_sub(change.credits_pending)?,
        })
    }

    /// Units on the side on which accounts of `side` grow: posted alone.
    pub fn posted(&self, side: Side) -> i128 {
        let net = i128::from(self.debits) - i128::from(self.credits);
        if side == Side::Debit { net } else { -net }
    }

    /// Units that may still be taken: posted, less what waits to be taken.
    pub fn available(&self, side: Side) -> i128 {
        let leaving = if side == Side::Debit { self.credits_pending } else { self.debits_pending };
        self.posted(side) - i128::from(leaving)
    }

    /// Adds `amount` (a debit above zero, a credit below) to what is posted or what waits; `None` beyond 64 bits.
    fn plus(mut self, amount: i64, pending: bool) -> Option<Self> {
        let total = match (amount > 0, pending) {
            (true, false) => &mut self.debits,
            (false, false) => &mut self.credits,
            (true, true) => &mut self.debits_pending,
            (false, true) => &mut self.credits_pending,
        };
        *total = total.checked_add(amount.checked_abs()?)?;
        Some(self)
    }

    /// Takes `amount` off what waits; `None` if it does not.
    fn released(mut self, amount: i64) -> Option<Self> {
        let total = if amount > 0 { &mut self.debits_pending } else { &mut self.credits_pending };
        *total = total.checked_sub(amount.checked_abs()?).filter(|left| *left >= 0)?;
        Some(self)
    }
}

/// What `batch` adds to the totals of the accounts that it touches, less than zero where pending amounts are released. It
/// judges nothing: a database adds it, and [`settle`] says whether what comes out may stand. `None` beyond 64 bits.
pub fn changes(batch: &Batch, pending: Option<&PendingBatch>) -> Option<Balances> {
    let (entries, posted, waiting) = match &batch.does {
        Move::Post(entries) => (entries.as_slice(), 1, 0),
        Move::Pend { entries, .. } => (entries.as_slice(), 0, 1),
        Move::PostPending(_) => (pending?.entries.as_slice(), 1, -1),
        Move::VoidPending(_) | Move::ExpirePending(_) => (pending?.entries.as_slice(), 0, -1),
    };
    let mut changes = Balances::new();
    for Entry { account, asset, amount } in entries {
        let change = changes.entry((account.clone(), *asset)).or_default();
        let minor = amount.checked_abs()?;
        let (total, wait) = if *amount > 0 {
            (&mut change.debits, &mut change.debits_pending)
        } else {
            (&mut change.credits, &mut change.credits_pending)
        };
        *total = total.checked_add(posted * minor)?;
        *wait = wait.checked_add(waiting * minor)?;
    }
    Some(changes)
}

/// The balances of the accounts that `batch` touches after it, given those before it. `pending` is the batch that it
/// speaks of, where it is still pending. Accounts that `before` does not name have nothing.
///
/// # Errors
/// The batch is wrong by itself, takes more than an account has that stays above zero, speaks of a batch that is not
/// pending, or ends one at the wrong time.
pub fn settle(batch: &Batch, before: &Balances, pending: Option<&PendingBatch>) -> Result<Balances, LedgerError> {
    batch.check()?;
    let ended = |id: &BatchId| pending.ok_or(LedgerError::NotPending(*id));
    let in_time = |pending: &PendingBatch, expired: bool| {
        let (expires_at, at) = (pending.expires_at, batch.at);
        if (at >= expires_at) == expired { Ok(()) } else { Err(LedgerError::Expiry { expires_at, at }) }
    };
    let mut after = Balances::new();
    match &batch.does {
        Move::Post(entries) => add(entries, before, &mut after, |balance, amount| balance.plus(amount, false))?,
        Move::Pend { entries, .. } => add(entries, before, &mut after, |balance, amount| balance.plus(amount, true))?,
        Move::PostPending(id) => {
            let pending = ended(id)?;
            in_time(pending, false)?;
            let posted = |balance: Balance, amount| balance.released(amount)?.plus(amount, false);
            add(&pending.entries, before, &mut after, posted)?;
        }
        Move::VoidPending(id) => add(&ended(id)?.entries, before, &mut after, Balance::released)?,
        Move::ExpirePending(id) => {
            let pending = ended(id)?;
            in_time(pending, true)?;
            add(&pending.entries, before, &mut after, Balance::released)?;
        }
    }
    check_limits(before, &after)?;
    Ok(after)
}

fn add(
    entries: &[Entry],
    before: &Balances,
    after: &mut Balances,
    step: impl Fn(Balance, i64) -> Option<Balance>,
) -> Result<(), LedgerError> {
    for Entry { account, asset, amount } in entries {
        let key = (account.clone(), *asset);
        let balance = after.get(&key).or_else(|| before.get(&key)).copied().unwrap_or_default();
        let overflow = || LedgerError::Overflow { account: account.clone(), asset: *asset };
        after.insert(key, step(balance, *amount).ok_or_else(overflow)?);
    }
    Ok(())
}

/// An account that stays above zero may be taken from only as far as it has; one that gains is never in the way.
fn check_limits(before: &Balances, after: &Balances) -> Result<(), LedgerError> {
    for ((account, asset), balance) in after.iter().filter(|((account, _), _)| account.kind().stays_above_zero()) {
        let side = account.kind().side();
        let had = before.get(&(account.clone(), *asset)).copied().unwrap_or_default().available(side);
        let left = balance.available(side);
        if left < 0 && left < had {
            let (available, asked) = (had.to_string(), (had - left).to_string());
            return Err(LedgerError::Insufficient { account: account.clone(), asset: *asset, available, asked });
        }
    }
    Ok(())
}
