//! Numbered write points at which a test ends the process: before each statement of a transaction, before its commit and after it.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

/// Counts write points down to the one where the process ends. Whoever reaches it waits for ever, as a dead process answers
/// nobody; the test drops it then, and the database rolls back what was not committed.
#[derive(Debug, Default)]
pub struct WritePoints {
    left: AtomicI64,
    reached: Notify,
}

impl WritePoints {
    /// The process ends at the `point`th write point from now, counted from 1.
    pub fn end_at(&self, point: i64) {
        self.left.store(point, Ordering::SeqCst);
    }

    /// Nothing ends any more; gives how many write points were left.
    pub fn disarm(&self) -> i64 {
        self.left.swap(0, Ordering::SeqCst)
    }

    /// Waits until the process has ended.
    pub async fn ended(&self) {
        self.reached.notified().await;
    }

    /// Passes a write point, unless the process ends here. The one that counts to zero ends; unarmed, nobody does.
    pub async fn pass(&self) {
        let counted = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left > 0).then(|| left - 1));
        if counted == Ok(1) {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}
