//! The feed in SQL: places are given to events that the log took, read by keyset, and forgotten from the oldest on.

use std::collections::BTreeMap;

use dhow_commerce::{FEED_SCAN_MAX, FeedEvent, FeedHead, FeedPart, StorageError};
use dhow_events::{TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::outbox::record;
use crate::rows::{Fields, equal_statements, placeholders, storage_error, value_rows};
use crate::write_points::WritePoints;

/// Events of one tenant that are forgotten in one transaction at most.
const FORGOTTEN_AT_ONCE_MAX: i64 = 5_000;

/// Marks events as published and gives them their places, in the order of their ids; those that have one keep it.
///
/// The first statement is the lock: whoever comes second sees what the first has given. Within an aggregate the ids rise
/// with the sequence, because an id is drawn while the aggregate's row is held, and whoever sees an event sees all before
/// it; so the places rise with the sequence too.
pub(crate) async fn give_places(
    connection: &mut AnyConnection,
    points: Option<&WritePoints>,
    ids: &[i64],
    at: Timestamp,
) -> Result<(), StorageError> {
    let pass = async || {
        if let Some(points) = points {
            points.pass().await;
        }
    };
    pass().await;
    sqlx::query("UPDATE feed_turns SET turns = turns + 1").execute(&mut *connection).await.map_err(storage_error)?;
    let waiting = still_waiting(connection, ids).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    pass().await;
    let mut next = first_places(connection, &waiting).await?;
    let mut placed = Vec::with_capacity(waiting.len());
    for (id, tenant) in &waiting {
        let place = next.get_mut(tenant).ok_or_else(|| StorageError::Failed(format!("{tenant} has no feed")))?;
        placed.push((*id, *place));
        *place += 1;
    }
    for rows in equal_statements(&placed) {
        pass().await;
        let sql = format!(
            "UPDATE outbox SET place = placed.column2, published_at = placed.column3 \
             FROM (VALUES {}) AS placed WHERE outbox.id = placed.column1",
            value_rows(connection, rows.len(), 3)
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = rows.iter().fold(query, |query, (id, place)| query.bind(*id).bind(*place).bind(at.micros()));
        query.execute(&mut *connection).await.map_err(storage_error)?;
    }
    Ok(())
}

/// Those of `ids` that have no place yet, with their tenants, in the order of the ids.
async fn still_waiting(connection: &mut AnyConnection, ids: &[i64]) -> Result<Vec<(i64, String)>, StorageError> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let mut waiting = Vec::with_capacity(ids.len());
    for ids in equal_statements(&ids) {
        let sql = format!(
            "SELECT id, tenant FROM outbox WHERE published_at IS NULL AND id IN ({}) ORDER BY id",
            placeholders(1, ids.len())
        );
        let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(*id));
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            let fields = Fields::new("an outbox event", &row);
            waiting.push((fields.integer("id")?, fields.text("tenant")?));
        }
    }
    Ok(waiting)
}

/// Raises each tenant's last place by how many events it has, and gives the first of the new ones.
async fn first_places(
    connection: &mut AnyConnection,
    waiting: &[(i64, String)],
) -> Result<BTreeMap<String, i64>, StorageError> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, tenant) in waiting {
        *counts.entry(tenant).or_default() += 1;
    }
    let counts: Vec<(&str, i64)> = counts.into_iter().collect();
    let mut first = BTreeMap::new();
    for rows in equal_statements(&counts) {
        let sql = format!(
            "INSERT INTO feed_heads (tenant, last_place, forgotten_place) VALUES {} ON CONFLICT (tenant) DO UPDATE \
             SET last_place = feed_heads.last_place + excluded.last_place RETURNING tenant, last_place",
            value_rows(connection, rows.len(), 3)
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query =
            rows.iter().fold(query, |query, (tenant, count)| query.bind((*tenant).to_owned()).bind(*count).bind(0_i64));
        let mut last = BTreeMap::new();
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            let fields = Fields::new("a feed", &row);
            last.insert(fields.text("tenant")?, fields.integer("last_place")?);
        }
        for (tenant, count) in rows {
            let last = last.remove(*tenant).ok_or_else(|| StorageError::Failed(format!("{tenant} has no feed")))?;
            first.insert((*tenant).to_owned(), last - count + 1);
        }
    }
    Ok(first)
}

pub(crate) async fn head(connection: &mut AnyConnection, tenant: TenantId) -> Result<FeedHead, StorageError> {
    let row = sqlx::query("SELECT last_place, forgotten_place FROM feed_heads WHERE tenant = $1")
        .bind(tenant.to_string())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    let Some(row) = row else { return Ok(FeedHead::default()) };
    let fields = Fields::new("a feed", &row);
    Ok(FeedHead { last_place: fields.integer("last_place")?, forgotten_place: fields.integer("forgotten_place")? })
}

/// The head, held against other writers; it is made where the tenant has none yet.
pub(crate) async fn hold_head(connection: &mut AnyConnection, tenant: TenantId) -> Result<FeedHead, StorageError> {
    sqlx::query(
        "INSERT INTO feed_heads (tenant, last_place, forgotten_place) VALUES ($1, 0, 0) \
         ON CONFLICT (tenant) DO UPDATE SET last_place = feed_heads.last_place",
    )
    .bind(tenant.to_string())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    head(connection, tenant).await
}

/// At most `limit` events of these kinds (all where none is named) with places in the [`FEED_SCAN_MAX`] after `after`.
pub(crate) async fn part(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: Option<i64>,
    kinds: &[&str],
    limit: u32,
) -> Result<FeedPart, StorageError> {
    let head = head(connection, tenant).await?;
    let after = after.unwrap_or(head.forgotten_place);
    let of_kinds = match kinds.len() {
        0 => String::new(),
        count => format!(" AND kind IN ({})", placeholders(5, count)),
    };
    let sql = format!(
        "SELECT id, aggregate, sequence, event, place FROM outbox \
         WHERE tenant = $1 AND place > $2 AND place <= $3{of_kinds} ORDER BY place LIMIT $4"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .bind(after)
        .bind(after.saturating_add(i64::from(FEED_SCAN_MAX)))
        .bind(i64::from(limit));
    let query = kinds.iter().fold(query, |query, kind| query.bind((*kind).to_owned()));
    let rows = query.fetch_all(connection).await.map_err(storage_error)?;
    let event = |row: &AnyRow| {
        let place = Fields::new("an event of the feed", row).integer("place")?;
        Ok(FeedEvent { place, record: record(row)? })
    };
    let events = rows.iter().map(event).collect::<Result<_, StorageError>>()?;
    Ok(FeedPart { head, events })
}

/// Tenants with a feed, and up to which place each has forgotten.
pub(crate) async fn forgotten_places(connection: &mut AnyConnection) -> Result<Vec<(String, i64)>, StorageError> {
    let rows = sqlx::query("SELECT tenant, forgotten_place FROM feed_heads WHERE forgotten_place < last_place")
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    let of = |row: &AnyRow| {
        let fields = Fields::new("a feed", row);
        Ok((fields.text("tenant")?, fields.integer("forgotten_place")?))
    };
    rows.iter().map(of).collect()
}

/// Forgets the tenant's oldest events that were published before `before`; gives how many.
pub(crate) async fn forget(
    connection: &mut AnyConnection,
    tenant: &str,
    forgotten: i64,
    before: Timestamp,
) -> Result<u64, StorageError> {
    let row = sqlx::query(
        "SELECT COALESCE(MAX(place), 0) AS place FROM outbox \
         WHERE tenant = $1 AND place > $2 AND place <= $3 AND published_at < $4",
    )
    .bind(tenant.to_owned())
    .bind(forgotten)
    .bind(forgotten.saturating_add(FORGOTTEN_AT_ONCE_MAX))
    .bind(before.micros())
    .fetch_one(&mut *connection)
    .await
    .map_err(storage_error)?;
    let place = Fields::new("a feed", &row).integer("place")?;
    if place == 0 {
        return Ok(0);
    }
    sqlx::query("UPDATE feed_heads SET forgotten_place = $2 WHERE tenant = $1 AND forgotten_place < $2")
        .bind(tenant.to_owned())
        .bind(place)
        .execute(&mut *connection)
        .await
        .map_err(storage_error)?;
    let done = sqlx::query("DELETE FROM outbox WHERE tenant = $1 AND place <= $2")
        .bind(tenant.to_owned())
        .bind(place)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(done.rows_affected())
}
