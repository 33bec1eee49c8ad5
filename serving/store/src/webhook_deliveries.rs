//! What is on its way to webhook endpoints, in SQL: queued, claimed in fair turns, settled, forgotten.

use dhow_commerce::{
    Cursor, Page, PageRequest, StorageError, WEBHOOK_CLAIMS_PER_ENDPOINT_MAX, WebhookDelivery, WebhookDeliveryState,
};
use dhow_events::{TenantId, Timestamp, WebhookDeliveryId, WebhookEndpointId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::pages::{By, List};
use crate::rows::{Fields, equal_statements, placeholders, storage_error, to_json, value_rows};

const WHAT: &str = "a webhook delivery";
const LIST: List = List { table: "webhook_deliveries", columns: "*", id: "id", by: By::Creation };
const COLUMNS: usize = 11;
/// Deliveries that are forgotten in one transaction at most.
const FORGOTTEN_AT_ONCE_MAX: i64 = 5_000;

fn due_micros(due_at: Option<Timestamp>) -> i64 {
    due_at.unwrap_or(Timestamp::MAX).micros()
}

/// Writes deliveries; one that an endpoint has of the event already stays, or with `again` goes back into the queue.
pub(crate) async fn put(
    connection: &mut AnyConnection,
    deliveries: &[WebhookDelivery],
    again: bool,
) -> Result<(), StorageError> {
    let on_conflict = match again {
        true => "UPDATE SET state = excluded.state, attempt_count = excluded.attempt_count, due_at = excluded.due_at",
        false => "NOTHING",
    };
    for rows in equal_statements(deliveries) {
        let sql = format!(
            "INSERT INTO webhook_deliveries (tenant, id, endpoint, event_id, kind, place, state, attempt_count, due_at, \
             attempts, created_at) VALUES {} ON CONFLICT (tenant, endpoint, event_id) DO {on_conflict}",
            value_rows(connection, rows.len(), COLUMNS)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for delivery in rows {
            query = query
                .bind(delivery.tenant.to_string())
                .bind(delivery.id.to_string())
                .bind(delivery.endpoint.to_string())
                .bind(delivery.event.to_string())
                .bind(delivery.kind.clone())
                .bind(delivery.place)
                .bind(delivery.state.to_string())
                .bind(delivery.attempt_count)
                .bind(due_micros(delivery.due_at))
                .bind(to_json(WHAT, &delivery.attempts)?)
                .bind(delivery.created_at.micros());
        }
        query.execute(&mut *connection).await.map_err(storage_error)?;
    }
    Ok(())
}

pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    (tenant, endpoint, id): (TenantId, WebhookEndpointId, WebhookDeliveryId),
) -> Result<Option<WebhookDelivery>, StorageError> {
    let lock = kind.row_lock();
    let sql = format!("SELECT * FROM webhook_deliveries WHERE tenant = $1 AND id = $2 AND endpoint = $3{lock}");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(endpoint.to_string())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    row.as_ref().map(delivery).transpose()
}

pub(crate) async fn update(connection: &mut AnyConnection, delivery: &WebhookDelivery) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE webhook_deliveries SET state = $3, attempt_count = $4, due_at = $5, attempts = $6 \
         WHERE tenant = $1 AND id = $2",
    )
    .bind(delivery.tenant.to_string())
    .bind(delivery.id.to_string())
    .bind(delivery.state.to_string())
    .bind(delivery.attempt_count)
    .bind(due_micros(delivery.due_at))
    .bind(to_json(WHAT, &delivery.attempts)?)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn pending(
    connection: &mut AnyConnection,
    tenant: TenantId,
    endpoint: WebhookEndpointId,
) -> Result<i64, StorageError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS waiting FROM webhook_deliveries WHERE tenant = $1 AND endpoint = $2 AND state = 'pending'",
    )
    .bind(tenant.to_string())
    .bind(endpoint.to_string())
    .fetch_one(connection)
    .await
    .map_err(storage_error)?;
    Fields::new(WHAT, &row).integer("waiting")
}

pub(crate) async fn postpone(
    connection: &mut AnyConnection,
    tenant: TenantId,
    endpoint: WebhookEndpointId,
    due_at: Timestamp,
) -> Result<(), StorageError> {
    sqlx::query("UPDATE webhook_deliveries SET due_at = $3 WHERE tenant = $1 AND endpoint = $2 AND state = 'pending'")
        .bind(tenant.to_string())
        .bind(endpoint.to_string())
        .bind(due_at.micros())
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    endpoint: WebhookEndpointId,
    state: Option<WebhookDeliveryState>,
    page: &PageRequest,
) -> Result<Page<WebhookDelivery>, StorageError> {
    let filters = [("endpoint", Some(endpoint.to_string())), ("state", state.map(|state| state.to_string()))];
    let rows = LIST.rows(connection, tenant, &filters, page).await?;
    let deliveries = rows.iter().map(delivery).collect::<Result<_, _>>()?;
    let place = |delivery: &WebhookDelivery| Cursor { created_at: delivery.created_at, id: delivery.id.to_string() };
    Ok(Page::from_items(deliveries, page.limit(), place))
}

/// Whether anything is due, of an endpoint that is enabled or not.
pub(crate) async fn is_any_due(connection: &mut AnyConnection, now: Timestamp) -> Result<bool, StorageError> {
    let row = sqlx::query("SELECT id FROM webhook_deliveries WHERE state = 'pending' AND due_at <= $1 LIMIT 1")
        .bind(now.micros())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    Ok(row.is_some())
}

/// Claims what is due: the first of each endpoint, then the second of each and so on. The condition stands twice: who waited
/// for a row that another server has claimed meanwhile looks at it again and leaves it.
pub(crate) async fn claim(
    connection: &mut AnyConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
    excluded: &[WebhookEndpointId],
) -> Result<Vec<WebhookDelivery>, StorageError> {
    let others = match excluded.len() {
        0 => String::new(),
        count => format!(" AND d.endpoint NOT IN ({})", placeholders(5, count)),
    };
    let sql = format!(
        "UPDATE webhook_deliveries SET due_at = $2 WHERE state = 'pending' AND due_at <= $1 AND (tenant, id) IN \
         (SELECT tenant, id FROM (SELECT d.tenant AS tenant, d.id AS id, d.due_at AS due_at, \
         ROW_NUMBER() OVER (PARTITION BY d.tenant, d.endpoint ORDER BY d.due_at, d.id) AS turn \
         FROM webhook_deliveries d JOIN webhook_endpoints e ON e.tenant = d.tenant AND e.id = d.endpoint AND e.disabled = 0 \
         WHERE d.state = 'pending' AND d.due_at <= $1{others}) AS due \
         WHERE turn <= $3 ORDER BY turn, due_at, id LIMIT $4) RETURNING *"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(now.micros())
        .bind(until.micros())
        .bind(i64::from(WEBHOOK_CLAIMS_PER_ENDPOINT_MAX))
        .bind(i64::from(limit));
    let query = excluded.iter().fold(query, |query, id| query.bind(id.to_string()));
    let rows = query.fetch_all(connection).await.map_err(storage_error)?;
    rows.iter().map(delivery).collect()
}

pub(crate) async fn forget(connection: &mut AnyConnection, before: Timestamp) -> Result<u64, StorageError> {
    let done = sqlx::query(
        "DELETE FROM webhook_deliveries WHERE (tenant, id) IN \
         (SELECT tenant, id FROM webhook_deliveries WHERE state <> 'pending' AND created_at < $1 LIMIT $2)",
    )
    .bind(before.micros())
    .bind(FORGOTTEN_AT_ONCE_MAX)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(done.rows_affected())
}

fn delivery(row: &AnyRow) -> Result<WebhookDelivery, StorageError> {
    let fields = Fields::new(WHAT, row);
    Ok(WebhookDelivery {
        tenant: fields.parsed("tenant")?,
        id: fields.parsed("id")?,
        endpoint: fields.parsed("endpoint")?,
        event: fields.parsed("event_id")?,
        kind: fields.text("kind")?,
        place: fields.integer("place")?,
        state: fields.word("state", WebhookDeliveryState::from_word)?,
        attempt_count: fields.integer("attempt_count")?,
        due_at: Some(fields.time("due_at")?).filter(|due_at| *due_at < Timestamp::MAX),
        attempts: fields.json("attempts")?,
        created_at: fields.time("created_at")?,
    })
}
