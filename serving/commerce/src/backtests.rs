//! Backtests of fraud rules as the database keeps them; repeating decisions is the engine's, no SQL is here.

use std::future::Future;

use dhow_events::{SECOND_MICROS, TenantId, Timestamp};
use dhow_rules::{BacktestReport, Hash};

use crate::words::worded;
use crate::{StorageError, TimeSpan};

/// Backtests that are kept for a tenant; a new one takes the place of the oldest.
pub const BACKTESTS_KEPT_MAX: i64 = 50;
/// A running backtest without progress for so long was interrupted: its server ended.
pub const BACKTEST_SILENT_MICROS: i64 = 60 * SECOND_MICROS;

worded! {
    /// How far a backtest is.
    BacktestState {
        /// It runs.
        Running = "running",
        /// It has its report.
        Finished = "finished",
        /// It ended without one.
        Failed = "failed",
        /// Somebody ended it.
        Cancelled = "cancelled",
        /// Its server ended before it did.
        Interrupted = "interrupted",
    }
}

/// A backtest, running or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestRecord {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its number, from 1 for each tenant; 0 until it is stored.
    pub number: u64,
    /// The version of the rules.
    pub version: Hash,
    /// The span whose decisions are repeated.
    pub span: TimeSpan,
    /// Decisions of the span when it began.
    pub total: u64,
    /// Decisions repeated so far.
    pub repeated: u64,
    /// Decisions that cannot be repeated: made before rules were recorded, or with other features.
    pub skipped: u64,
    /// How far it is.
    pub state: BacktestState,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// What the rules would have done, once it is finished.
    pub report: Option<Box<BacktestReport>>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When progress was last written.
    pub progressed_at: Timestamp,
}

impl BacktestRecord {
    /// The same as it stands at `now`: one that runs and was silent for [`BACKTEST_SILENT_MICROS`] was interrupted.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        let silent = now.micros_since(self.progressed_at) > BACKTEST_SILENT_MICROS;
        if self.state == BacktestState::Running && silent {
            self.state = BacktestState::Interrupted;
        }
        self
    }
}

/// How a backtest ended.
#[derive(Debug, Clone, PartialEq)]
pub enum BacktestEnd {
    /// With its report.
    Finished(Box<BacktestReport>),
    /// Without one, for this reason.
    Failed(String),
    /// Because somebody wanted so.
    Cancelled,
}

/// Backtests in the database.
///
/// Every method fails where the database does, or where a stored row cannot be read.
pub trait BacktestStorage: Send + Sync {
    /// Stores a new backtest and gives its number; those older than the last [`BACKTESTS_KEPT_MAX`] are removed.
    fn insert_backtest(&self, backtest: &BacktestRecord) -> impl Future<Output = Result<u64, StorageError>> + Send;

    /// A backtest, as it was last written.
    fn find_backtest(
        &self,
        tenant: TenantId,
        number: u64,
    ) -> impl Future<Output = Result<Option<BacktestRecord>, StorageError>> + Send;

    /// Writes how many decisions were repeated and skipped; `false`, and no change, where it no longer runs.
    fn progress_backtest(
        &self,
        tenant: TenantId,
        number: u64,
        counts: (u64, u64),
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Ends a running backtest; `false`, and no change, where it no longer runs.
    fn end_backtest(
        &self,
        tenant: TenantId,
        number: u64,
        end: &BacktestEnd,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;
}
