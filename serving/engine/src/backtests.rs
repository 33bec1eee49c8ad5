//! Backtests of rules over recorded fraud decisions, both kept in the database; decisions are read and repeated page by page.

use std::sync::Arc;

use dhow_commerce::{
    BacktestEnd, BacktestRecord, BacktestState, BacktestStorage, LabelledDecision, RECORDED_DECISIONS_MAX, RuleStorage,
    RulesRecord, TimeSpan,
};
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{Clock, TenantId};
use dhow_rules::{Backtest, BacktestReport, Hash, Recorded, RuleSet};
use dhow_store::Store;
use serde::Deserialize;

use crate::{Engine, EngineError};

/// Backtests that may run at once in this process.
pub(crate) const BACKTESTS_AT_ONCE_MAX: usize = 2;

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
    ) -> Result<BacktestRecord, EngineError> {
        if span.from >= span.to {
            return Err(EngineError::invalid("/to", format!("is {}; it must be after `from`", span.to)));
        }
        let set = self.rule_set(tenant, version).await?;
        let busy = |_| EngineError::Busy(format!("{BACKTESTS_AT_ONCE_MAX} backtests"));
        let permit = self.backtest_permits().try_acquire_owned().map_err(busy)?;
        let total = self.store().count_fraud_decisions(tenant, span).await?;
        let now = self.clock().now();
        let mut record = BacktestRecord {
            tenant,
            number: 0,
            version: set.version(),
            span,
            total,
            repeated: 0,
            skipped: 0,
            state: BacktestState::Running,
            failure: None,
            report: None,
            started_at: now,
            progressed_at: now,
        };
        record.number = self.store().insert_backtest(&record).await?;
        let run = Run { store: self.store().clone(), clock: self.clock().clone(), set, record: record.clone() };
        tokio::spawn(async move {
            run.finish().await;
            drop(permit);
        });
        Ok(record)
    }

    /// A backtest as it stands.
    ///
    /// # Errors
    /// None of that number is kept for the tenant; the database fails.
    pub async fn backtest(&self, tenant: TenantId, number: u64) -> Result<BacktestRecord, EngineError> {
        let found = self.store().find_backtest(tenant, number).await?;
        let found = found.ok_or_else(|| EngineError::NotFound(format!("backtest {number}; the last ones are kept")))?;
        Ok(found.at(self.clock().now()))
    }

    /// Ends a running backtest, whichever server runs it; that one stops after the page it is at.
    ///
    /// # Errors
    /// None of that number is kept for the tenant, or it does not run; the database fails.
    pub async fn cancel_backtest(&self, tenant: TenantId, number: u64) -> Result<BacktestRecord, EngineError> {
        let now = self.clock().now();
        let cancelled = self.store().end_backtest(tenant, number, &BacktestEnd::Cancelled, now).await;
        let cancelled = cancelled?;
        let backtest = self.backtest(tenant, number).await?;
        if cancelled {
            return Ok(backtest);
        }
        Err(EngineError::Conflict(format!("backtest {number} is {} and cannot be cancelled", backtest.state)))
    }

    /// The version and the report of a finished backtest.
    pub(crate) async fn finished_backtest(
        &self,
        tenant: TenantId,
        number: u64,
    ) -> Result<(Hash, Box<BacktestReport>), EngineError> {
        let BacktestRecord { version, state, report, .. } = self.backtest(tenant, number).await?;
        match report {
            Some(report) => Ok((version, report)),
            None => Err(EngineError::Conflict(format!("backtest {number} is {state}, not finished"))),
        }
    }
}

/// A backtest under way.
struct Run {
    store: Store,
    clock: Arc<dyn Clock>,
    set: Arc<RuleSet>,
    record: BacktestRecord,
}

impl Run {
    async fn finish(self) {
        let (tenant, number) = (self.record.tenant, self.record.number);
        let end = match self.repeat().await {
            Ok(Some(report)) => BacktestEnd::Finished(Box::new(report)),
            Ok(None) => return,
            Err(reason) => {
                tracing::error!(number, reason, "a backtest failed");
                BacktestEnd::Failed(reason)
            }
        };
        // Where even this cannot be written, the backtest falls silent and reads as interrupted.
        if let Err(error) = self.store.end_backtest(tenant, number, &end, self.clock.now()).await {
            tracing::error!(number, %error, "the end of a backtest could not be written");
        }
    }

    /// Reads the decisions of the span page by page and repeats each; no report where somebody ended it meanwhile.
    async fn repeat(&self) -> Result<Option<BacktestReport>, String> {
        let BacktestRecord { tenant, number, span, .. } = self.record;
        let mut backtest = Backtest::new(&self.set);
        let (mut after, mut repeated, mut skipped) = (None, 0, 0);
        loop {
            let page = self.store.fraud_decisions(tenant, span, after, RECORDED_DECISIONS_MAX).await;
            let page = page.map_err(|error| error.to_string())?;
            let Some(last) = page.last() else { return Ok(Some(backtest.report())) };
            after = Some((last.record.created_at, last.record.id));
            let read = page.len() as u64;
            let chunk: Vec<Recorded> = page.into_iter().filter_map(|labelled| recorded(&self.set, labelled)).collect();
            repeated += chunk.len() as u64;
            skipped += read - chunk.len() as u64;
            // Rules over a page may take a while, in which others are to be answered.
            tokio::task::block_in_place(|| backtest.add(&chunk)).map_err(|error| error.to_string())?;
            let runs = self.store.progress_backtest(tenant, number, (repeated, skipped), self.clock.now()).await;
            if !runs.map_err(|error| error.to_string())? {
                return Ok(None);
            }
        }
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
