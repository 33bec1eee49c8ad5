//! Writes decisions down: at once where the answer waits for the record, otherwise gathered in a bounded queue.

use dhow_commerce::DecisionRecord;
use dhow_events::Fact;
use tokio::sync::mpsc;

use crate::error::failed;
use crate::{Engine, EngineError};

/// Decisions that may wait to be written; whoever adds one to a full queue waits.
pub const DECISION_QUEUE_MAX: usize = 16_384;
/// Decisions written in one transaction.
pub(crate) const DECISION_BATCH_MAX: usize = 512;

/// A decision and the fact that it is.
pub(crate) type Decided = (DecisionRecord, Fact);

/// The queue's two ends; the writer task takes the second.
pub(crate) fn queue() -> (mpsc::Sender<Decided>, mpsc::Receiver<Decided>) {
    mpsc::channel(DECISION_QUEUE_MAX)
}

impl Engine {
    /// Records a decision before the answer is given.
    pub(crate) async fn record_now(&self, record: DecisionRecord, fact: Fact) -> Result<(), EngineError> {
        Ok(self.commerce().record_decisions(&[(record, fact)]).await?)
    }

    /// Records a decision within moments; the answer does not wait for it.
    pub(crate) async fn record_soon(&self, record: DecisionRecord, fact: Fact) -> Result<(), EngineError> {
        self.decision_queue().send((record, fact)).await.map_err(failed("decision writer"))
    }
}
