//! The outbox in SQL: events are numbered within their aggregates and taken in the order of their ids.

use std::collections::BTreeMap;

use dhow_commerce::{OUTBOX_BATCH_MAX, Outbox, OutboxEvent, OutboxRecord, StorageError};
use dhow_events::{TenantId, Timestamp, codec};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::Store;
use crate::connect::Durability;
use crate::rows::{Fields, placeholders, storage_error};

pub(crate) async fn append(
    connection: &mut AnyConnection,
    events: &[OutboxEvent],
    at: Timestamp,
) -> Result<(), StorageError> {
    let mut counts: BTreeMap<(TenantId, &str), i64> = BTreeMap::new();
    for event in events {
        *counts.entry((event.event.tenant, &event.aggregate)).or_default() += 1;
    }
    // In the order of the aggregates, so that two transactions never wait for each other.
    let mut next: BTreeMap<(TenantId, &str), i64> = BTreeMap::new();
    for ((tenant, aggregate), count) in counts {
        next.insert((tenant, aggregate), last_sequence(connection, tenant, aggregate, count).await? - count + 1);
    }
    for event in events {
        let sequence = next.entry((event.event.tenant, &event.aggregate)).or_default();
        insert(connection, event, *sequence, at).await?;
        *sequence += 1;
    }
    Ok(())
}

/// Raises the aggregate's last number by `count` and gives it.
pub(crate) async fn last_sequence(
    connection: &mut AnyConnection,
    tenant: TenantId,
    aggregate: &str,
    count: i64,
) -> Result<i64, StorageError> {
    let row = sqlx::query(
        "INSERT INTO aggregates (tenant, aggregate, last_sequence) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant, aggregate) DO UPDATE SET last_sequence = aggregates.last_sequence + $3 \
         RETURNING last_sequence",
    )
    .bind(tenant.to_string())
    .bind(aggregate.to_owned())
    .bind(count)
    .fetch_one(connection)
    .await
    .map_err(storage_error)?;
    Fields::new("an aggregate", &row).integer("last_sequence")
}

async fn insert(
    connection: &mut AnyConnection,
    event: &OutboxEvent,
    sequence: i64,
    at: Timestamp,
) -> Result<(), StorageError> {
    let OutboxEvent { aggregate, event } = event;
    let bytes = codec::encode(event, Vec::new())
        .map_err(|error| StorageError::Corrupt { what: "an event to be sent", detail: error.to_string() })?;
    sqlx::query(
        "INSERT INTO outbox (tenant, aggregate, sequence, event_id, kind, event, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(event.tenant.to_string())
    .bind(aggregate.clone())
    .bind(sequence)
    .bind(event.id.to_string())
    .bind(event.fact.kind().name().to_owned())
    .bind(bytes)
    .bind(at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

fn record(row: &AnyRow) -> Result<OutboxRecord, StorageError> {
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
        // An event whose mark is lost is sent again, and known by its id.
        let mut transaction = self.writer(Durability::Repeatable).await?;
        for ids in ids.chunks(OUTBOX_BATCH_MAX as usize) {
            let sql = format!("UPDATE outbox SET published_at = $1 WHERE id IN ({})", placeholders(2, ids.len()));
            let query = sqlx::query(AssertSqlSafe(sql)).bind(at.micros());
            let query = ids.iter().fold(query, |query, id| query.bind(*id));
            query.execute(&mut *transaction).await.map_err(storage_error)?;
        }
        transaction.commit().await.map_err(storage_error)
    }

    async fn outbox_waiting(&self) -> Result<u64, StorageError> {
        let row = sqlx::query("SELECT COUNT(*) AS waiting FROM outbox WHERE published_at IS NULL")
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        Ok(Fields::new("the outbox", &row).integer("waiting")?.unsigned_abs())
    }

    async fn outbox_forget(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        let done = sqlx::query("DELETE FROM outbox WHERE published_at < $1")
            .bind(before.micros())
            .execute(&mut *transaction)
            .await
            .map_err(storage_error)?;
        transaction.commit().await.map_err(storage_error)?;
        Ok(done.rows_affected())
    }
}
