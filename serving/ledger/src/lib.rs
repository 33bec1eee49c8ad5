//! The books of a marketplace: double entry, immutable, exact to the smallest unit; it knows no SQL, no rail and no clock.
//!
//! # From a sale to the books
//! 1. An [`Asset`] says what amounts are counted in. Amounts are `i64` of its unit; sums are `i128`.
//! 2. [`divide`] splits an amount over orders, lines or refunds so that the parts add up to it.
//! 3. A [`Batch`] holds [`Entry`]s that belong together. They sum to zero for each asset, or the batch is refused.
//! 4. [`settle`] says what a batch makes of the balances of the accounts that it touches, or why it may not be written.
//!    Nothing is ever changed: a pending batch is posted, voided or expired by a later one, a wrong one is corrected by
//!    its opposite ([`Batch::reversal`]).
//! 5. [`Ledger`] keeps all of it in memory and is what a database's ledger is compared with; [`TrialBalance`] adds up
//!    every account, and [`journal_csv`] and [`journal_parquet`] write the journal down.

mod account;
mod asset;
mod balance;
mod batch;
pub mod divide;
mod journal;
mod ledger;

pub use account::{Account, AccountError, AccountKind, Side};
pub use asset::{Asset, AssetError};
pub use balance::{Balance, Balances, LedgerError, PendingBatch, changes, settle};
pub use batch::{Batch, BatchError, BatchId, ENTRIES_MAX, Entry, Move};
pub use journal::{journal_csv, journal_parquet};
pub use ledger::{Applied, Ledger, TrialBalance, TrialLine};
