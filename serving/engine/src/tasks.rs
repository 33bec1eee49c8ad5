//! What goes on beside the requests: the outbox to the log, decisions to the database, unfinished payments to their end, the monitor, others' rules.

use std::sync::Arc;
use std::time::Duration;

use dhow_commerce::{AuditStorage, Outbox, Storage, relay_batch};
use dhow_events::MINUTE_MICROS;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::decisions::{DECISION_BATCH_MAX, DECISION_GATHER, Decided};
use crate::error::failed;
use crate::priority::{beside_requests, give_way_to_requests};
use crate::{Engine, EngineError};

/// Events handed from the outbox to the log at once.
const RELAY_BATCH: u32 = 1_000;
/// How long the outbox is left alone once it has less than a batch: handing over costs a sync and a transaction, which
/// checkouts wait for, so many events share them.
const RELAY_PAUSE: Duration = Duration::from_millis(20);
/// How long a failing part is left alone before it is tried again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often recommenders are looked at for fresh visits to merge, and how many are worth it.
const MERGE_PAUSE: Duration = Duration::from_secs(30);
const MERGE_VISITS_MIN: usize = 2_000;
/// A visit without a click for so long has ended.
const VISIT_IDLE_MICROS: i64 = 30 * MINUTE_MICROS;
/// How often rules and lists are looked at that other servers may have changed.
const RULES_PAUSE: Duration = Duration::from_secs(2);
/// How often what the database wrote ahead is copied to its place: the more there is at once, the longer a transaction's
/// sync waits behind it.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(200);
/// How long an audit log whose rows are all chained is left alone.
const CHAIN_PAUSE: Duration = Duration::from_millis(100);
/// How often events are looked for that are no longer to be kept.
const FORGET_PAUSE: Duration = Duration::from_secs(60);
/// How often the catalogue is looked at for what changed.
const SEARCH_PAUSE: Duration = Duration::from_millis(200);
/// How often auctions are looked for whose time has come.
const AUCTION_PAUSE: Duration = Duration::from_millis(500);
/// How often unfinished payments are looked at.
const RECOVERY_PAUSE: Duration = Duration::from_secs(5);

/// How the tasks ended.
pub type TasksEnd = oneshot::Receiver<Result<(), EngineError>>;

impl Engine {
    /// Runs the tasks until `stop` turns true, then writes what waits and ends; the receiver is told how. Call it once,
    /// within a runtime.
    ///
    /// They have a thread of their own: writing a batch of decisions as JSON takes milliseconds, for which no request
    /// is to wait behind it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn_tasks(self: &Arc<Self>, stop: watch::Receiver<bool>) -> Result<TasksEnd, EngineError> {
        let (engine, runtime) = (self.clone(), Handle::current());
        let (ended, end) = oneshot::channel();
        let (alive, runtime_ends) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        let run = async move {
            tokio::select! {
                // A runtime that ends drops its tasks before its timers, which nothing may ask from then on.
                biased;
                _ = runtime_ends => Err(failed("tasks")("their runtime ended before they did")),
                ended = engine.run_tasks(stop) => ended,
            }
        };
        let work = move || {
            give_way_to_requests();
            // Whoever no longer waits for the end does not need to know of it.
            let _gone = ended.send(runtime.block_on(run));
        };
        std::thread::Builder::new().name("tasks".to_owned()).spawn(work).map_err(failed("tasks"))?;
        Ok(end)
    }

    async fn run_tasks(self: &Arc<Self>, stop: watch::Receiver<bool>) -> Result<(), EngineError> {
        let decisions = self.take_decisions()?;
        let writer = self.write_decisions(decisions, stop.clone());
        let paying = async { tokio::join!(self.recover_payments(stop.clone()), self.close_auctions(stop.clone())) };
        let monitor = self.watch_features(stop.clone());
        let merging = self.merge_visits(stop.clone());
        let rules = self.follow_rules(stop.clone());
        let checkpoints = self.checkpoint_database(stop.clone());
        let forgetting = self.forget_events(stop.clone());
        let webhooks = self.deliver_webhooks(stop.clone());
        let chaining = self.chain_audit(stop.clone());
        let erasing = self.erase_persons(stop.clone());
        let kept = async { tokio::join!(checkpoints, forgetting, chaining, erasing) };
        let searching = self.follow_catalogue(stop.clone());
        let watching = self.follow_watches(stop.clone());
        let following = async { tokio::join!(searching, watching, self.follow_promotions(stop.clone())) };
        let relaying = self.relay_outbox(stop.clone());
        tokio::join!(writer, paying, monitor, merging, rules, kept, webhooks, following, relaying);
        // What the writer wrote last stands in the outbox now.
        self.relay_until_empty().await
    }

    async fn write_decisions(&self, mut decisions: mpsc::Receiver<Decided>, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(DECISION_BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                received = decisions.recv_many(&mut batch, DECISION_BATCH_MAX) => if received == 0 { return },
                () = stopped(&mut stop) => {
                    decisions.close();
                    if decisions.is_empty() { return; }
                    continue;
                }
            }
            // Each transaction is synced to the disk, which checkouts wait for too; few and full ones leave it to them.
            tokio::select! {
                () = tokio::time::sleep(DECISION_GATHER) => {}
                () = stopped(&mut stop) => {}
            }
            while batch.len() < DECISION_BATCH_MAX
                && let Ok(decided) = decisions.try_recv()
            {
                batch.push(decided);
            }
            while let Err(error) = self.commerce().record_decisions(&batch).await {
                tracing::error!(%error, decisions = batch.len(), "decisions could not be written; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
                if *stop.borrow() {
                    tracing::error!(decisions = batch.len(), "stopping with decisions that could not be written");
                    return;
                }
            }
            batch.clear();
        }
    }

    async fn relay_outbox(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.relay_once().await {
                Ok(handed_over) if handed_over == RELAY_BATCH as usize => continue,
                Ok(_) => RELAY_PAUSE,
                Err(error) => {
                    tracing::error!(%error, "the outbox waits; trying again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    async fn relay_once(&self) -> Result<usize, EngineError> {
        let publish = |events| async move { self.append(events).await.map(drop) };
        relay_batch(self.store(), self.clock().now(), RELAY_BATCH, publish)
            .await
            .map_err(|error| EngineError::Failed { part: "outbox", reason: error.to_string() })
    }

    async fn relay_until_empty(&self) -> Result<(), EngineError> {
        while self.relay_once().await? > 0 {}
        Ok(())
    }

    /// Removes what the feed no longer keeps.
    async fn forget_events(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.forget_once().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::error!(%error, "old events could not be removed; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(FORGET_PAUSE) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    /// Chains rows of the audit log to those before them.
    async fn chain_audit(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.store().chain_audit().await {
                Ok(0) => CHAIN_PAUSE,
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(%error, "the audit log could not be chained; trying again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    async fn forget_once(&self) -> Result<u64, EngineError> {
        let before = self.clock().now() - self.feed_kept_micros();
        let events = self.store().outbox_forget(before).await?;
        Ok(events + self.store().forget_webhook_deliveries(before).await?)
    }

    async fn recover_payments(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.commerce().recover_pending().await {
                Ok(recovery) if recovery.settled_count + recovery.transferred_count > 0 => {
                    let (settled, transferred) = (recovery.settled_count, recovery.transferred_count);
                    tracing::info!(settled, transferred, "unfinished payments and transfers were brought to their end");
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "unfinished payments wait; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(RECOVERY_PAUSE) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    /// Ends auctions, passes over who did not pay, and follows the checkouts of those who do.
    async fn close_auctions(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.commerce().move_auctions_on().await {
                tracing::error!(%error, "an auction waits; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(AUCTION_PAUSE) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    async fn follow_rules(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(RULES_PAUSE) => {}
                () = stopped(&mut stop) => return,
            }
            if let Err(error) = self.rules().follow(self.store()).await {
                tracing::error!(%error, "fraud rules could not be read; those in force stay");
            }
        }
    }

    async fn checkpoint_database(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(CHECKPOINT_PAUSE) => {}
                () = stopped(&mut stop) => return,
            }
            if let Err(error) = self.store().checkpoint().await {
                tracing::error!(%error, "the database's write-ahead file grows; trying again");
            }
        }
    }

    /// Takes what changed in the catalogue into the search, and gives products without one a vector.
    async fn follow_catalogue(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let shared = self.shared().clone();
            let pause = match beside_requests(move || shared.search.follow_all(&shared)).await {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => SEARCH_PAUSE,
                Ok(Err(error)) => {
                    tracing::error!(%error, "the search does not follow the catalogue; trying again");
                    RETRY_PAUSE
                }
                Err(error) => {
                    tracing::error!(%error, "following the catalogue broke down; trying again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    /// Moves visits that ended from the recommenders' small index of fresh ones into the large one.
    async fn merge_visits(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(MERGE_PAUSE) => {}
                () = stopped(&mut stop) => return,
            }
            for live in self.shared().champions.live() {
                if live.fresh_visits() < MERGE_VISITS_MIN {
                    continue;
                }
                let idle_since = self.clock().now() - VISIT_IDLE_MICROS;
                match beside_requests(move || live.merge_visits(idle_since)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::error!(%error, "fresh visits could not be merged; trying again later"),
                    Err(error) => tracing::error!(%error, "merging fresh visits broke down; trying again later"),
                }
            }
        }
    }
}

/// Ends once the signal is given, or its sender is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stopped| *stopped).await;
}
