//! The outbox in SQL: events are numbered within their aggregates and taken in the order of their ids; their places in the feed are elsewhere.

use std::collections::BTreeMap;

use dhow_commerce::{OUTBOX_BATCH_MAX, Outbox, OutboxEvent, OutboxRecord, StorageError};
use dhow_events::{TenantId, Timestamp, codec};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::connect::Durability;
use crate::rows::{Fields, Query, equal_statements, kind_of, storage_error, value_rows, value_rows_from};
use crate::{DatabaseKind, Store, feed};

/// Inserts events; what follows is `VALUES` with rows of so many columns.
pub(crate) const INSERT: &str = "INSERT INTO outbox (tenant, aggregate, sequence, kind, event, created_at)";
pub(crate) const COLUMNS: usize = 6;
/// Adds counts to the last numbers of aggregates; between the two stand the rows.
const RAISE: &str = "INSERT INTO aggregates (tenant, aggregate, last_sequence)";
const RAISED: &str = "ON CONFLICT (tenant, aggregate) DO UPDATE \
     SET last_sequence = aggregates.last_sequence + excluded.last_sequence \
     RETURNING tenant, aggregate, last_sequence";
/// Events up to which they and their aggregates' numbers are one request, whose text then stays prepared.
const AT_ONCE_MAX: usize = 16;

/// How many events of each aggregate there are, in the order in which aggregates are numbered everywhere.
type Counts<'e> = BTreeMap<(TenantId, &'e str), i64>;

pub(crate) async fn append(
    connection: &mut AnyConnection,
    events: &[OutboxEvent],
    at: Timestamp,
) -> Result<(), StorageError> {
    let mut counts: Counts<'_> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.alone) {
        *counts.entry((event.event.tenant, &event.aggregate)).or_default() += 1;
    }
    let at_once = (1..=AT_ONCE_MAX).contains(&events.len()) && !counts.is_empty();
    if at_once && kind_of(connection) == DatabaseKind::Postgres {
        return append_at_once(connection, &counts, events, at).await;
    }
    let last = last_sequences(connection, &counts).await?;
    let mut next: BTreeMap<(TenantId, &str), i64> = BTreeMap::new();
    for ((aggregate, count), last) in counts.iter().zip(last) {
        next.insert(*aggregate, last - count + 1);
    }
    insert(connection, &numbered(events, next), at).await
}

/// Each event with its number: `next` holds the first of each aggregate's; one that is not in it is counted from 1.
fn numbered<'e>(
    events: &'e [OutboxEvent],
    mut next: BTreeMap<(TenantId, &'e str), i64>,
) -> Vec<(&'e OutboxEvent, i64)> {
    let number = |event: &'e OutboxEvent| {
        let sequence = next.entry((event.event.tenant, &event.aggregate)).or_insert(1);
        *sequence += 1;
        (event, *sequence - 1)
    };
    events.iter().map(number).collect()
}

/// The same in one request, where PostgreSQL adds each event's number within this call to what its aggregate had before.
async fn append_at_once(
    connection: &mut AnyConnection,
    counts: &Counts<'_>,
    events: &[OutboxEvent],
    at: Timestamp,
) -> Result<(), StorageError> {
    let kind = DatabaseKind::Postgres;
    let sql = format!(
        "WITH counted (tenant, aggregate, count) AS (VALUES {}), \
         raised AS ({RAISE} SELECT tenant, aggregate, count FROM counted {RAISED}), \
         added AS (SELECT *, row_number() OVER () AS place \
         FROM (VALUES {}) AS added (tenant, aggregate, number, kind, event, created_at)) \
         {INSERT} SELECT added.tenant, added.aggregate, \
         coalesce(raised.last_sequence - counted.count, 0) + added.number, added.kind, added.event, added.created_at \
         FROM added LEFT JOIN raised USING (tenant, aggregate) LEFT JOIN counted USING (tenant, aggregate) \
         ORDER BY added.place",
        value_rows_from(kind, 1, counts.len(), 3),
        value_rows_from(kind, counts.len() * 3 + 1, events.len(), COLUMNS),
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for ((tenant, aggregate), count) in counts {
        query = query.bind(tenant.to_string()).bind((*aggregate).to_owned()).bind(*count);
    }
    for (event, number) in numbered(events, BTreeMap::new()) {
        query = bound(query, event, number, at)?;
    }
    query.execute(connection).await.map_err(storage_error)?;
    Ok(())
}

/// Raises the last number of each aggregate by its count and gives them in the same order. They are raised in that order
/// everywhere, so that two transactions never wait for each other.
async fn last_sequences(connection: &mut AnyConnection, counts: &Counts<'_>) -> Result<Vec<i64>, StorageError> {
    let counts: Vec<(&(TenantId, &str), &i64)> = counts.iter().collect();
    let mut last = Vec::with_capacity(counts.len());
    for rows in equal_statements(&counts) {
        let sql = format!("{RAISE} VALUES {} {RAISED}", value_rows(connection, rows.len(), 3));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for ((tenant, aggregate), count) in rows {
            query = query.bind(tenant.to_string()).bind((*aggregate).to_owned()).bind(**count);
        }
        // A database may give the rows back in any order.
        let mut raised = BTreeMap::new();
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            let fields = Fields::new("an aggregate", &row);
            raised.insert((fields.text("tenant")?, fields.text("aggregate")?), fields.integer("last_sequence")?);
        }
        for ((tenant, aggregate), _) in rows {
            let number = raised.get(&(tenant.to_string(), (*aggregate).to_owned()));
            last.push(*number.ok_or_else(|| StorageError::Failed(format!("{aggregate} was not numbered")))?);
        }
    }
    Ok(last)
}

/// Raises one aggregate's last number by `count` and gives it.
pub(crate) async fn last_sequence(
    connection: &mut AnyConnection,
    tenant: TenantId,
    aggregate: &str,
    count: i64,
) -> Result<i64, StorageError> {
    let last = last_sequences(connection, &BTreeMap::from([((tenant, aggregate), count)])).await?;
    last.first().copied().ok_or_else(|| StorageError::Failed(format!("{aggregate} was not numbered")))
}

async fn insert(
    connection: &mut AnyConnection,
    numbered: &[(&OutboxEvent, i64)],
    at: Timestamp,
) -> Result<(), StorageError> {
    for rows in equal_statements(numbered) {
        let sql = format!("{INSERT} VALUES {}", value_rows(connection, rows.len(), COLUMNS));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (event, sequence) in rows {
            query = bound(query, event, *sequence, at)?;
        }
        query.execute(&mut *connection).await.map_err(storage_error)?;
    }
    Ok(())
}

/// `query` with the columns of one more event, the `sequence`th of its aggregate.
pub(crate) fn bound<'q>(
    query: Query<'q>,
    OutboxEvent { aggregate, event, .. }: &OutboxEvent,
    sequence: i64,
    at: Timestamp,
) -> Result<Query<'q>, StorageError> {
    let bytes = codec::encode(event, Vec::new())
        .map_err(|error| StorageError::Corrupt { what: "an event to be sent", detail: error.to_string() })?;
    Ok(query
        .bind(event.tenant.to_string())
        .bind(aggregate.clone())
        .bind(sequence)
        .bind(event.fact.kind().name().to_owned())
        .bind(bytes)
        .bind(at.micros()))
}

pub(crate) async fn history(
    connection: &mut AnyConnection,
    tenant: TenantId,
    aggregate: &str,
    limit: u32,
) -> Result<Vec<OutboxRecord>, StorageError> {
    let rows = sqlx::query(
        "SELECT id, aggregate, sequence, event FROM outbox WHERE tenant = $1 AND aggregate = $2 \
         ORDER BY sequence DESC LIMIT $3",
    )
    .bind(tenant.to_string())
    .bind(aggregate.to_owned())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    rows.iter().rev().map(record).collect()
}

pub(crate) fn record(row: &AnyRow) -> Result<OutboxRecord, StorageError> {
    let fields = Fields::new("an outbox event", row);
    let event = codec::decode(&fields.bytes("event")?)
        .map_err(|error| StorageError::Corrupt { what: "an outbox event", detail: error.to_string() })?;
    Ok(OutboxRecord {
        id: fields.integer("id")?,
        aggregate: fields.text("aggregate")?,
        sequence: fields.integer("sequence")?,
        event,
    })
}

impl Outbox for Store {
    async fn outbox_take(&self, limit: u32) -> Result<Vec<OutboxRecord>, StorageError> {
        let rows = sqlx::query(
            "SELECT id, aggregate, sequence, event FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1",
        )
        .bind(i64::from(limit.min(OUTBOX_BATCH_MAX)))
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(storage_error)?;
        rows.iter().map(record).collect()
    }

    async fn outbox_mark_published(&self, ids: &[i64], at: Timestamp) -> Result<(), StorageError> {
        // A place that a reader has seen must not be given to another event after a loss of power.
        let mut transaction = self.writer(Durability::Synced).await?;
        let points = self.points();
        feed::give_places(&mut transaction, points.as_deref(), ids, at).await?;
        if let Some(points) = &points {
            points.pass().await;
        }
        transaction.commit().await.map_err(storage_error)?;
        if let Some(points) = &points {
            points.pass().await;
        }
        Ok(())
    }

    async fn outbox_waiting(&self) -> Result<u64, StorageError> {
        let row = sqlx::query("SELECT COUNT(*) AS waiting FROM outbox WHERE published_at IS NULL")
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        Ok(Fields::new("the outbox", &row).integer("waiting")?.unsigned_abs())
    }

    async fn outbox_forget(&self, before: Timestamp) -> Result<u64, StorageError> {
        let feeds = feed::forgotten_places(&mut *self.reader().await?).await?;
        let mut count = 0;
        for (tenant, forgotten) in feeds {
            let mut transaction = self.writer(Durability::Synced).await?;
            count += feed::forget(&mut transaction, &tenant, forgotten, before).await?;
            transaction.commit().await.map_err(storage_error)?;
        }
        Ok(count)
    }
}
