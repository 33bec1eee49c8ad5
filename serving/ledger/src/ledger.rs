//! A ledger in memory: journal, balances and pending batches; what a database's ledger is compared with.

use std::collections::BTreeMap;

use crate::{Account, Asset, Balance, Balances, Batch, BatchId, LedgerError, Move, PendingBatch, settle};

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was written.
    Written,
    /// It stood there already with the same content; nothing more was written.
    Already,
}

/// The books of one tenant.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    journal: Vec<Batch>,
    places: BTreeMap<BatchId, usize>,
    balances: Balances,
    pending: BTreeMap<BatchId, PendingBatch>,
}

/// An account's line in a trial balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialLine {
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// Its totals.
    pub balance: Balance,
}

/// Every account's totals, and their sums, which are equal for each asset or something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrialBalance {
    /// A line for each account and asset, by account.
    pub lines: Vec<TrialLine>,
    /// Posted debits and credits of all accounts, by asset.
    pub sums: BTreeMap<Asset, (i128, i128)>,
}

impl Ledger {
    /// Writes a batch, whole or not at all; one that was written before with the same content counts as written.
    ///
    /// # Errors
    /// See [`settle`]; also a known id with another content.
    pub fn apply(&mut self, batch: Batch) -> Result<Applied, LedgerError> {
        if let Some(place) = self.places.get(&batch.id) {
            return if self.journal[*place] == batch {
                Ok(Applied::Already)
            } else {
                Err(LedgerError::Different(batch.id))
            };
        }
        let speaks_of = match &batch.does {
            Move::PostPending(id) | Move::VoidPending(id) | Move::ExpirePending(id) => self.pending.get(id),
            Move::Post(_) | Move::Pend { .. } => None,
        };
        let after = settle(&batch, &self.balances, speaks_of)?;
        self.balances.extend(after);
        match &batch.does {
            Move::Pend { entries, expires_at } => {
                self.pending.insert(batch.id, PendingBatch { entries: entries.clone(), expires_at: *expires_at });
            }
            Move::PostPending(id) | Move::VoidPending(id) | Move::ExpirePending(id) => {
                self.pending.remove(id);
            }
            Move::Post(_) => {}
        }
        self.places.insert(batch.id, self.journal.len());
        self.journal.push(batch);
        Ok(Applied::Written)
    }

    /// Every batch, in the order in which they were written.
    pub fn journal(&self) -> &[Batch] {
        &self.journal
    }

    /// What an account has in an asset.
    pub fn balance(&self, account: &Account, asset: Asset) -> Balance {
        self.balances.get(&(account.clone(), asset)).copied().unwrap_or_default()
    }

    /// Every balance.
    pub fn balances(&self) -> &Balances {
        &self.balances
    }

    /// Batches that wait, by id.
    pub fn pending(&self) -> &BTreeMap<BatchId, PendingBatch> {
        &self.pending
    }

    /// The totals of every account as they are now.
    pub fn trial_balance(&self) -> TrialBalance {
        TrialBalance::of(&self.balances)
    }
}

impl TrialBalance {
    /// Adds up balances.
    pub fn of(balances: &Balances) -> Self {
        let mut trial = Self::default();
        for ((account, asset), balance) in balances {
            let (debits, credits) = trial.sums.entry(*asset).or_default();
            *debits += i128::from(balance.debits);
            *credits += i128::from(balance.credits);
            trial.lines.push(TrialLine { account: account.clone(), asset: *asset, balance: *balance });
        }
        trial
    }

    /// Whether debits and credits are equal in every asset.
    pub fn is_balanced(&self) -> bool {
        self.sums.values().all(|(debits, credits)| debits == credits)
    }
}
