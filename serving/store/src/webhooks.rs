//! Webhook endpoints in SQL; their deliveries have a file of their own.

use dhow_commerce::{StorageError, StoredWebhookEndpoint, WEBHOOK_ENDPOINTS_MAX, WEBHOOK_QUEUE_MAX, WebhookEndpoint};
use dhow_events::{TenantId, WebhookEndpointId};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::DatabaseKind;
use crate::rows::{Fields, row_of, storage_error, to_json};

const WHAT: &str = "a webhook endpoint";

pub(crate) async fn count(connection: &mut AnyConnection, tenant: TenantId) -> Result<i64, StorageError> {
    let row = sqlx::query("SELECT COUNT(*) AS endpoints FROM webhook_endpoints WHERE tenant = $1")
        .bind(tenant.to_string())
        .fetch_one(connection)
        .await
        .map_err(storage_error)?;
    Fields::new(WHAT, &row).integer("endpoints")
}

/// An endpoint; `lock` is what holds it against other writers.
pub(crate) async fn find(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    id: WebhookEndpointId,
) -> Result<Option<StoredWebhookEndpoint>, StorageError> {
    let sql = format!("SELECT place, secrets, body FROM webhook_endpoints WHERE tenant = $1 AND id = $2{lock}");
    let row = row_of(connection, &sql, tenant, id).await?;
    row.as_ref().map(stored).transpose()
}

pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: WebhookEndpointId,
) -> Result<Option<StoredWebhookEndpoint>, StorageError> {
    find(connection, kind.row_lock(), tenant, id).await
}

fn stored(row: &AnyRow) -> Result<StoredWebhookEndpoint, StorageError> {
    let fields = Fields::new(WHAT, row);
    Ok(StoredWebhookEndpoint {
        endpoint: fields.json("body")?,
        secrets: fields.json("secrets")?,
        place: fields.integer("place")?,
    })
}

pub(crate) async fn put(connection: &mut AnyConnection, stored: &StoredWebhookEndpoint) -> Result<(), StorageError> {
    let StoredWebhookEndpoint { endpoint, secrets, place } = stored;
    sqlx::query(
        "INSERT INTO webhook_endpoints (tenant, id, place, disabled, secrets, body, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, id) DO UPDATE \
         SET place = excluded.place, disabled = excluded.disabled, secrets = excluded.secrets, body = excluded.body",
    )
    .bind(endpoint.tenant.to_string())
    .bind(endpoint.id.to_string())
    .bind(*place)
    .bind(i64::from(endpoint.disabled.is_some()))
    .bind(to_json(WHAT, secrets)?)
    .bind(to_json(WHAT, endpoint)?)
    .bind(endpoint.created_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn delete(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: WebhookEndpointId,
) -> Result<bool, StorageError> {
    let mut deleted = 0;
    for sql in [
        "DELETE FROM webhook_deliveries WHERE tenant = $1 AND endpoint = $2",
        "DELETE FROM webhook_endpoints WHERE tenant = $1 AND id = $2",
    ] {
        let query = sqlx::query(sql).bind(tenant.to_string()).bind(id.to_string());
        deleted = query.execute(&mut *connection).await.map_err(storage_error)?.rows_affected();
    }
    Ok(deleted == 1)
}

pub(crate) async fn list(
    connection: &mut AnyConnection,
    tenant: TenantId,
) -> Result<Vec<WebhookEndpoint>, StorageError> {
    let rows = sqlx::query(
        "SELECT place, secrets, body FROM webhook_endpoints WHERE tenant = $1 ORDER BY created_at, id LIMIT $2",
    )
    .bind(tenant.to_string())
    .bind(WEBHOOK_ENDPOINTS_MAX)
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    rows.iter().map(|row| Ok(stored(row)?.endpoint)).collect()
}

pub(crate) async fn behind(
    connection: &mut AnyConnection,
    limit: u32,
) -> Result<Vec<(TenantId, WebhookEndpointId)>, StorageError> {
    let rows = sqlx::query(
        "SELECT e.tenant AS tenant, e.id AS id FROM webhook_endpoints e \
         JOIN feed_heads h ON h.tenant = e.tenant AND h.last_place > e.place WHERE e.disabled = 0 AND \
         (SELECT COUNT(*) FROM webhook_deliveries d WHERE d.tenant = e.tenant AND d.endpoint = e.id AND d.state = 'pending') \
         < $1 ORDER BY e.place LIMIT $2",
    )
    .bind(WEBHOOK_QUEUE_MAX)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    let of = |row: &AnyRow| {
        let fields = Fields::new(WHAT, row);
        Ok((fields.parsed("tenant")?, fields.parsed("id")?))
    };
    rows.iter().map(of).collect()
}
