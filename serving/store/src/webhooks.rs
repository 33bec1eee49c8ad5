//! Webhook endpoints in SQL; their deliveries have a file of their own.

use dhow_commerce::{StorageError, StoredWebhookEndpoint, WEBHOOK_ENDPOINTS_MAX, WEBHOOK_QUEUE_MAX, WebhookEndpoint};
use dhow_events::{TenantId, WebhookEndpointId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::rows::{Fields, row_of, storage_error, to_json};
use crate::{DatabaseKind, SecretKeys};

const WHAT: &str = "a webhook endpoint";

/// Where the secrets of an endpoint are: its tenant and its id, as they are stored.
pub(crate) type Place = (String, String);

/// Secrets as they are stored, and the key that they are sealed with, if they are.
pub(crate) type StoredSecrets = (String, Option<String>);

/// What the secrets of an endpoint are bound to when they are sealed. No tenant and no id holds the byte between them.
fn bound_to((tenant, id): &Place) -> Vec<u8> {
    format!("webhook_endpoints.secrets\0{tenant}\0{id}").into_bytes()
}

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
    keys: &SecretKeys,
    tenant: TenantId,
    id: WebhookEndpointId,
) -> Result<Option<StoredWebhookEndpoint>, StorageError> {
    let sql =
        format!("SELECT place, secrets, sealed_by, body FROM webhook_endpoints WHERE tenant = $1 AND id = $2{lock}");
    let row = row_of(connection, &sql, tenant, id).await?;
    row.as_ref().map(|row| stored(row, keys, &(tenant.to_string(), id.to_string()))).transpose()
}

pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    keys: &SecretKeys,
    tenant: TenantId,
    id: WebhookEndpointId,
) -> Result<Option<StoredWebhookEndpoint>, StorageError> {
    find(connection, kind.row_lock(), keys, tenant, id).await
}

fn stored(row: &AnyRow, keys: &SecretKeys, at: &Place) -> Result<StoredWebhookEndpoint, StorageError> {
    let fields = Fields::new(WHAT, row);
    let sealed = (fields.text("secrets")?, fields.optional_text("sealed_by")?);
    let secrets = unsealed(keys, at, &sealed)?;
    // What does not parse may be a part of a secret, so it is not repeated.
    let secrets = serde_json::from_str(&secrets).map_err(|_| corrupt(at, "they are no secrets".to_owned()))?;
    Ok(StoredWebhookEndpoint { endpoint: fields.json("body")?, secrets, place: fields.integer("place")? })
}

fn unsealed(keys: &SecretKeys, at: &Place, (stored, by): &StoredSecrets) -> Result<String, StorageError> {
    keys.unseal(&bound_to(at), stored.clone(), by.as_deref()).map_err(|error| corrupt(at, error.to_string()))
}

fn sealed(keys: &SecretKeys, at: &Place, secrets: String) -> Result<StoredSecrets, StorageError> {
    keys.seal(&bound_to(at), secrets).map_err(|error| corrupt(at, error.to_string()))
}

fn corrupt((tenant, id): &Place, why: String) -> StorageError {
    StorageError::Corrupt { what: WHAT, detail: format!("the signing secret of {id} of {tenant}: {why}") }
}

/// Up to `limit` endpoints after a place whose secrets stand in clear or are sealed with another key than `key`.
pub(crate) async fn sealed_otherwise(
    connection: &mut AnyConnection,
    lock: &str,
    key: &str,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<(Place, StoredSecrets)>, StorageError> {
    let (tenant, id) = after.cloned().unwrap_or_default();
    let sql = format!(
        "SELECT tenant, id, secrets, sealed_by FROM webhook_endpoints \
         WHERE (sealed_by IS NULL OR sealed_by <> $1) AND (tenant > $2 OR (tenant = $2 AND id > $3)) \
         ORDER BY tenant, id LIMIT $4{lock}"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(key.to_owned())
        .bind(tenant)
        .bind(id)
        .bind(limit)
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    let of = |row: &AnyRow| {
        let fields = Fields::new(WHAT, row);
        let place = (fields.text("tenant")?, fields.text("id")?);
        Ok((place, (fields.text("secrets")?, fields.optional_text("sealed_by")?)))
    };
    rows.iter().map(of).collect()
}

/// Seals stored secrets with the first of `keys`.
pub(crate) async fn seal_again(
    connection: &mut AnyConnection,
    keys: &SecretKeys,
    at: &Place,
    secrets: &StoredSecrets,
) -> Result<(), StorageError> {
    let (sealed, by) = sealed(keys, at, unsealed(keys, at, secrets)?)?;
    sqlx::query("UPDATE webhook_endpoints SET secrets = $3, sealed_by = $4 WHERE tenant = $1 AND id = $2")
        .bind(at.0.clone())
        .bind(at.1.clone())
        .bind(sealed)
        .bind(by)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn put(
    connection: &mut AnyConnection,
    keys: &SecretKeys,
    stored: &StoredWebhookEndpoint,
) -> Result<(), StorageError> {
    let StoredWebhookEndpoint { endpoint, secrets, place } = stored;
    let at = (endpoint.tenant.to_string(), endpoint.id.to_string());
    let (secrets, sealed_by) = sealed(keys, &at, to_json(WHAT, secrets)?)?;
    sqlx::query(
        "INSERT INTO webhook_endpoints (tenant, id, place, disabled, secrets, sealed_by, body, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, id) DO UPDATE \
         SET place = excluded.place, disabled = excluded.disabled, secrets = excluded.secrets, \
         sealed_by = excluded.sealed_by, body = excluded.body",
    )
    .bind(at.0)
    .bind(at.1)
    .bind(*place)
    .bind(i64::from(endpoint.disabled.is_some()))
    .bind(secrets)
    .bind(sealed_by)
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
    let rows = sqlx::query("SELECT body FROM webhook_endpoints WHERE tenant = $1 ORDER BY created_at, id LIMIT $2")
        .bind(tenant.to_string())
        .bind(WEBHOOK_ENDPOINTS_MAX)
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    rows.iter().map(|row| Fields::new(WHAT, row).json("body")).collect()
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
