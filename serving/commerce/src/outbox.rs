//! Events that wait in the database for the log, and the relay that hands them over; the log itself is elsewhere.

use std::future::Future;

use dhow_events::{Event, Timestamp};

use crate::StorageError;

/// The most events that are handed over at once.
pub const OUTBOX_BATCH_MAX: u32 = 1_000;

/// An event to be written to the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// What it is about, for example a checkout's id; its events are numbered from 1 without gaps.
    pub aggregate: String,
    /// Whether the aggregate has this event and never another, so that nobody need count them.
    pub alone: bool,
    /// The event; its id is the same however often it is handed over.
    pub event: Event,
}

/// An event that waits in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRecord {
    /// Its place in the outbox.
    pub id: i64,
    /// What it is about.
    pub aggregate: String,
    /// Its number among the aggregate's events, from 1.
    pub sequence: i64,
    /// The event.
    pub event: Event,
}

/// The outbox as the relay sees it: over all tenants, each event carries its own.
pub trait Outbox: Send + Sync {
    /// The first events that are not published yet, in the order of their ids, at most `limit` and [`OUTBOX_BATCH_MAX`].
    ///
    /// # Errors
    /// The database fails, or holds what is not an event.
    fn outbox_take(&self, limit: u32) -> impl Future<Output = Result<Vec<OutboxRecord>, StorageError>> + Send;

    /// Marks events as published and gives them their places in the feed, in the order of their ids; those that are
    /// marked already stay as they are.
    ///
    /// # Errors
    /// The database fails.
    fn outbox_mark_published(
        &self,
        ids: &[i64],
        at: Timestamp,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// How many events wait.
    ///
    /// # Errors
    /// The database fails.
    fn outbox_waiting(&self) -> impl Future<Output = Result<u64, StorageError>> + Send;

    /// Removes the oldest events of each feed that were published before `before`, a bounded number at once; gives how
    /// many. Whoever calls it repeats it while it gives more than zero.
    ///
    /// # Errors
    /// The database fails.
    fn outbox_forget(&self, before: Timestamp) -> impl Future<Output = Result<u64, StorageError>> + Send;
}

/// Why a batch was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum RelayError<E: std::error::Error> {
    /// The outbox failed.
    #[error(transparent)]
    Outbox(#[from] StorageError),
    /// The log refused; the events wait on.
    #[error("the log did not take the events: {0}")]
    Log(#[source] E),
}

/// Hands one batch of waiting events to `publish` and marks them; gives how many. Whoever calls it repeats it while it
/// gives more than zero.
///
/// An event whose mark is lost, or that two relays take at once, is handed over again with the same id: at least once, and
/// the log's readers know duplicates by the id. In the feed it stands once.
///
/// # Errors
/// The outbox or `publish` fails; nothing is marked then.
pub async fn relay_batch<O, P, F, E>(outbox: &O, at: Timestamp, limit: u32, publish: P) -> Result<usize, RelayError<E>>
where
    O: Outbox,
    P: FnOnce(Vec<Event>) -> F,
    F: Future<Output = Result<(), E>>,
    E: std::error::Error,
{
    let records = outbox.outbox_take(limit).await?;
    if records.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = records.iter().map(|record| record.id).collect();
    publish(records.into_iter().map(|record| record.event).collect()).await.map_err(RelayError::Log)?;
    outbox.outbox_mark_published(&ids, at).await?;
    Ok(ids.len())
}
