//! Writes decisions down: at once where the answer waits for the record, otherwise gathered in a bounded queue.

use std::collections::VecDeque;
use std::time::Duration;

use dhow_commerce::{CommerceError, DecisionKind, DecisionOutcome, DecisionRecord, FraudCase, StorageError};
use dhow_events::{Fact, TenantId, Timestamp};
use serde_json::Value as Json;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use crate::error::failed;
use crate::{Answer, Engine, EngineError};

/// Decisions that may wait to be written; whoever adds one to a full queue waits.
pub const DECISION_QUEUE_MAX: usize = 16_384;
/// Decisions written in one transaction.
pub(crate) const DECISION_BATCH_MAX: usize = 512;
/// How long decisions are gathered before they are written.
pub(crate) const DECISION_GATHER: Duration = Duration::from_millis(50);

/// A decision and the fact that it is.
pub(crate) type Decided = (DecisionRecord, Fact);

/// What was asked and answered, in words that stay readable when the answer's own types have changed.
pub(crate) struct Question {
    /// Whose it is.
    pub tenant: TenantId,
    /// What kind of answer it got.
    pub kind: DecisionKind,
    /// Who or what it is about.
    pub subject: String,
    /// The question.
    pub request: Json,
    /// The answer, short.
    pub answer: Json,
    /// When it was answered.
    pub at: Timestamp,
}

impl<T> Answer<T> {
    /// The record of this answer; features that were read are added by who read them.
    pub(crate) fn record(&self, question: Question) -> DecisionRecord {
        DecisionRecord {
            tenant: question.tenant,
            id: self.decision,
            kind: question.kind,
            subject: question.subject,
            model: self.model.clone(),
            request: question.request,
            answer: question.answer,
            reasons: self.reasons.clone(),
            features: Vec::new(),
            applied_offsets: Vec::new(),
            degraded: self.degraded,
            latency_us: self.latency_us,
            outcome: DecisionOutcome::Answered,
            created_at: question.at,
        }
    }
}

/// The queue's two ends; the writer task takes the second.
pub(crate) fn queue() -> (mpsc::Sender<Decided>, mpsc::Receiver<Decided>) {
    mpsc::channel(DECISION_QUEUE_MAX)
}

/// How a waiting decision is told that it was written, or why not.
type Written = oneshot::Sender<Result<(), String>>;

/// Decisions whose answers wait for their record. Whoever has the turn writes all that wait.
#[derive(Default)]
pub(crate) struct UrgentDecisions {
    waiting: parking_lot::Mutex<VecDeque<(Decided, Written)>>,
    turn: tokio::sync::Mutex<()>,
}

impl UrgentDecisions {
    /// Those that wait: first those that are recorded alone, then those that open a case; no part is empty.
    fn take_batch(&self) -> Vec<Vec<(Decided, Written)>> {
        let batch: Vec<_> = {
            let mut waiting = self.waiting.lock();
            let count = waiting.len().min(DECISION_BATCH_MAX);
            waiting.drain(..count).collect()
        };
        let alone = |((decision, _), _): &(Decided, Written)| matches!(FraudCase::opened_by(decision), Ok(None));
        let (alone, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(alone);
        [alone, others].into_iter().filter(|part| !part.is_empty()).collect()
    }
}

fn not_written(reason: String) -> EngineError {
    CommerceError::from(StorageError::Unavailable(format!("a decision was not recorded: {reason}"))).into()
}

impl Engine {
    /// Records a decision before the answer is given, together with those that wait at the same time: a transaction is
    /// synced to the disk, which takes as long for many as for one.
    pub(crate) async fn record_now(&self, record: DecisionRecord, fact: Fact) -> Result<(), EngineError> {
        let span = tracing::info_span!(target: "dhow::trace", "decision", decision = %record.id, model = %record.model);
        self.record_in_turn(record, fact).instrument(span).await
    }

    async fn record_in_turn(&self, record: DecisionRecord, fact: Fact) -> Result<(), EngineError> {
        // The desk counts scores of checkouts itself, for most are given inside of transactions.
        if record.kind != DecisionKind::Fraud {
            self.count_answer(&record);
        }
        let (sender, mut receiver) = oneshot::channel();
        self.urgent_decisions().waiting.lock().push_back(((record, fact), sender));
        let _turn = self.urgent_decisions().turn.lock().await;
        loop {
            match receiver.try_recv() {
                Ok(written) => return written.map_err(not_written),
                Err(TryRecvError::Closed) => return Err(not_written("whoever wrote it was cut off".to_owned())),
                Err(TryRecvError::Empty) => {}
            }
            // A case needs more of the database than a decision alone, which does not wait for it.
            for part in self.urgent_decisions().take_batch() {
                let (batch, waiting): (Vec<Decided>, Vec<Written>) = part.into_iter().unzip();
                let written = self.commerce().record_decisions(&batch).await.map_err(|error| error.to_string());
                for sender in waiting {
                    // Who no longer waits was cut off by its time limit.
                    let _gone = sender.send(written.clone());
                }
            }
        }
    }

    /// Decisions that wait to be written.
    pub(crate) fn decisions_waiting(&self) -> usize {
        let queue = self.decision_queue();
        (queue.max_capacity() - queue.capacity()) + self.urgent_decisions().waiting.lock().len()
    }

    fn count_answer(&self, record: &DecisionRecord) {
        let DecisionRecord { tenant, kind, model, degraded, latency_us, .. } = record;
        self.shared().answered.count(*tenant, *kind, model, *degraded, *latency_us);
    }

    /// Records a decision within moments; the answer does not wait for it.
    pub(crate) async fn record_soon(&self, record: DecisionRecord, fact: Fact) -> Result<(), EngineError> {
        self.count_answer(&record);
        self.decision_queue().send((record, fact)).await.map_err(failed("decision writer"))
    }
}
