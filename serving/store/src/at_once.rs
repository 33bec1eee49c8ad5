//! Decisions and their events in one request to the database, which is its own transaction; what needs more goes through a [`StoreTransaction`](crate::StoreTransaction).

use dhow_commerce::{DecisionRecord, OutboxEvent, StorageError};
use dhow_events::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AssertSqlSafe};

use crate::rows::{storage_error, value_rows_from};
use crate::{DatabaseKind, Store, decisions, feature_lists, outbox};

/// Rows up to which there is a statement for each number of them, so that they stay prepared.
const AT_ONCE_MAX: usize = 16;

/// Writes `rows`, or gives `false` and writes nothing.
pub(crate) async fn record(
    store: &Store,
    rows: &[(&DecisionRecord, OutboxEvent)],
    at: Timestamp,
) -> Result<bool, StorageError> {
    if rows.len() > AT_ONCE_MAX || !rows.iter().all(|(_, event)| event.alone) {
        return Ok(false);
    }
    let records: Vec<&DecisionRecord> = rows.iter().map(|(record, _)| *record).collect();
    let Some(lists) = feature_lists::known(&store.known_lists(), &records)? else { return Ok(false) };
    let mut query = sqlx::query(AssertSqlSafe(statement(store.kind(), rows.len())));
    for (record, list) in records.iter().zip(&lists) {
        query = decisions::bound(query, record, list)?;
    }
    for (_, event) in rows {
        query = outbox::bound(query, event, 1, at)?;
    }
    store.pass().await;
    let mut connection = WholeOrClosed { connection: store.writing_connection().await?, whole: false };
    query.execute(&mut *connection.connection).await.map_err(storage_error)?;
    connection.whole = true;
    drop(connection);
    store.pass().await;
    Ok(true)
}

/// The text that inserts `count` decisions and their events, and commits.
fn statement(kind: DatabaseKind, count: usize) -> String {
    let decisions = value_rows_from(kind, 1, count, decisions::COLUMNS);
    let events = value_rows_from(kind, count * decisions::COLUMNS + 1, count, outbox::COLUMNS);
    let (decisions, events) =
        (format!("{} VALUES {decisions}", decisions::INSERT), format!("{} VALUES {events}", outbox::INSERT));
    match kind {
        DatabaseKind::Sqlite => {
            format!("PRAGMA synchronous = FULL; BEGIN IMMEDIATE; {decisions}; {events}; COMMIT")
        }
        DatabaseKind::Postgres => format!("WITH recorded AS ({decisions}) {events}"),
    }
}

/// A connection that goes back to its pool when everything was done. One whose request failed or was cut off may stand in
/// the midst of a transaction: it is closed, which rolls that back.
struct WholeOrClosed {
    connection: PoolConnection<Any>,
    whole: bool,
}

impl Drop for WholeOrClosed {
    fn drop(&mut self) {
        if !self.whole {
            self.connection.close_on_drop();
        }
    }
}
