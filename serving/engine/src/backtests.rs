//! Backtests of rules over recorded fraud decisions, read from the database page by page; the last ones are kept in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use dhow_commerce::{
    CommerceError, LabelledDecision, RECORDED_DECISIONS_MAX, RuleStorage, RulesRecord, StorageError, TimeSpan,
};
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{TenantId, Timestamp};
use dhow_rules::{Backtest, BacktestReport, Hash, Recorded, RuleSet};
use dhow_store::Store;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::{Engine, EngineError};

/// Backtests that are kept; the oldest finished one makes room.
pub const BACKTESTS_KEPT_MAX: usize = 50;
/// Backtests that may run at once.
const BACKTESTS_AT_ONCE_MAX: usize = 2;

/// How far a backtest is.
#[derive(Debug, Clone, PartialEq)]
pub enum BacktestState {
    /// It runs.
    Running,
    /// It has its report.
    Finished(Box<BacktestReport>),
    /// It ended without one.
    Failed(String),
}

/// A backtest, running or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestStatus {
    /// Its number in this process, from 1.
    pub id: u64,
    /// The version of the rules.
    pub version: Hash,
    /// The span whose decisions are repeated.
    pub span: TimeSpan,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// Decisions of the span when it began.
    pub total: u64,
    /// Decisions repeated so far.
    pub repeated: u64,
    /// Decisions that cannot be repeated: made before rules were recorded, or with other features.
    pub skipped: u64,
    /// How far it is.
    pub state: BacktestState,
}

struct Run {
    tenant: TenantId,
    set: Arc<RuleSet>,
    status: BacktestStatus,
}

/// The backtests of this process.
#[derive(Default)]
pub(crate) struct Backtests {
    runs: Mutex<(u64, VecDeque<Run>)>,
}

impl Backtests {
    fn begin(&self, tenant: TenantId, set: Arc<RuleSet>, mut status: BacktestStatus) -> Result<u64, EngineError> {
        let (last, runs) = &mut *self.runs.lock();
        let is_running = |run: &&Run| run.status.state == BacktestState::Running;
        if runs.iter().filter(is_running).count() >= BACKTESTS_AT_ONCE_MAX {
            return Err(EngineError::Busy(format!("{BACKTESTS_AT_ONCE_MAX} backtests")));
        }
        if runs.len() >= BACKTESTS_KEPT_MAX
            && let Some(oldest) = runs.iter().position(|run| !is_running(&run))
        {
            runs.remove(oldest);
        }
        *last += 1;
        status.id = *last;
        runs.push_back(Run { tenant, set, status });
        Ok(*last)
    }

    fn note(&self, id: u64, note: impl FnOnce(&mut BacktestStatus)) {
        if let Some(run) = self.runs.lock().1.iter_mut().find(|run| run.status.id == id) {
            note(&mut run.status);
        }
    }

    fn find<T>(&self, tenant: TenantId, id: u64, read: impl FnOnce(&Run) -> T) -> Result<T, EngineError> {
        let runs = self.runs.lock();
        let run = runs.1.iter().find(|run| run.status.id == id && run.tenant == tenant);
        run.map(read).ok_or_else(|| EngineError::NotFound(format!("backtest {id}; this server keeps its last ones")))
    }

    /// The set and the report of a backtest.
    pub(crate) fn finished(
        &self,
        tenant: TenantId,
        id: u64,
    ) -> Result<(Arc<RuleSet>, Box<BacktestReport>), EngineError> {
        let (set, state) = self.find(tenant, id, |run| (run.set.clone(), run.status.state.clone()))?;
        match state {
            BacktestState::Finished(report) => Ok((set, report)),
            BacktestState::Running => Err(EngineError::Conflict(format!("backtest {id} is not finished yet"))),
            BacktestState::Failed(reason) => Err(EngineError::Conflict(format!("backtest {id} failed: {reason}"))),
        }
    }
}

impl Engine {
    /// Begins a backtest of a version, or of the draft where none is named, over the fraud decisions of a span.
    ///
    /// # Errors
    /// An empty span, no such version, as many backtests as may be run already; the database fails.
    pub async fn start_backtest(
        &self,
        tenant: TenantId,
        version: Option<Hash>,
        span: TimeSpan,
    ) -> Result<BacktestStatus, EngineError> {
        if span.from >= span.to {
            return Err(EngineError::invalid("/to", format!("is {}; it must be after `from`", span.to)));
        }
        let set = self.rule_set(tenant, version).await?;
        let total = self.store().count_fraud_decisions(tenant, span).await.map_err(CommerceError::from)?;
        let status = BacktestStatus {
            id: 0,
            version: set.version(),
            span,
            started_at: self.clock().now(),
            total,
            repeated: 0,
            skipped: 0,
            state: BacktestState::Running,
        };
        let id = self.backtests().begin(tenant, set.clone(), status)?;
        let (store, backtests) = (self.store().clone(), self.backtests().clone());
        tokio::spawn(async move {
            let ended = match repeat(&store, &backtests, tenant, id, span, &set).await {
                Ok(report) => BacktestState::Finished(Box::new(report)),
                Err(reason) => {
                    tracing::error!(id, reason, "a backtest failed");
                    BacktestState::Failed(reason)
                }
            };
            backtests.note(id, |status| status.state = ended);
        });
        self.backtest(tenant, id)
    }

    /// A backtest as it stands.
    ///
    /// # Errors
    /// This process keeps none of that number for the tenant.
    pub fn backtest(&self, tenant: TenantId, id: u64) -> Result<BacktestStatus, EngineError> {
        self.backtests().find(tenant, id, |run| run.status.clone())
    }
}

/// Reads the decisions of the span page by page and repeats each.
async fn repeat(
    store: &Store,
    backtests: &Backtests,
    tenant: TenantId,
    id: u64,
    span: TimeSpan,
    set: &RuleSet,
) -> Result<BacktestReport, String> {
    let mut backtest = Backtest::new(set);
    let mut after = None;
    loop {
        let page = store.fraud_decisions(tenant, span, after, RECORDED_DECISIONS_MAX).await;
        let page = page.map_err(|error: StorageError| error.to_string())?;
        let Some(last) = page.last() else { return Ok(backtest.report()) };
        after = Some((last.record.created_at, last.record.id));
        let read = page.len() as u64;
        let chunk: Vec<Recorded> = page.into_iter().filter_map(|labelled| recorded(set, labelled)).collect();
        let repeated = chunk.len() as u64;
        // Rules over a page may take a while, in which others are to be answered.
        tokio::task::block_in_place(|| backtest.add(&chunk)).map_err(|error| error.to_string())?;
        backtests.note(id, |status| {
            status.repeated += repeated;
            status.skipped += read - repeated;
        });
    }
}

/// The part of a recorded answer that a backtest needs.
#[derive(Deserialize)]
struct RecordedAnswer {
    rules: RulesRecord,
}

/// A decision as rules read it; nothing where it was made without rules or of other features.
fn recorded(set: &RuleSet, LabelledDecision { record, fraud }: LabelledDecision) -> Option<Recorded> {
    let names = set.schema().features();
    let same_features =
        names.len() == record.features.len() && names.iter().zip(&record.features).all(|(a, b)| **a == *b.name);
    if !same_features {
        return None;
    }
    let RecordedAnswer { rules } = serde_json::from_value(record.answer).ok()?;
    let checkout: CheckoutSubmitted = serde_json::from_value(record.request).ok()?;
    Some(Recorded {
        decision: record.id,
        features: record.features.iter().map(|feature| feature.value.unwrap_or(f64::NAN)).collect(),
        fields: rules.fields,
        listed: rules.listed,
        score: rules.score,
        band: rules.band,
        action: rules.outcome.action,
        fraud,
        amount_usd_minor: checkout.total_usd_minor,
    })
}
