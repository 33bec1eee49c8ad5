//! Idempotency keys in SQL.

use dhow_commerce::{Claim, Idempotency, StorageError};
use dhow_events::{TenantId, Timestamp};
use sqlx::AnyConnection;

use crate::rows::{Fields, storage_error};

/// An insert that meets a key of a transaction under way waits for its end, so exactly one claim finds the key new.
pub(crate) async fn claim(
    connection: &mut AnyConnection,
    tenant: TenantId,
    key: &Idempotency,
    now: Timestamp,
) -> Result<Claim, StorageError> {
    let inserted = sqlx::query(
        "INSERT INTO idempotency_keys (tenant, idempotency_key, request_hash, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, idempotency_key) DO NOTHING",
    )
    .bind(tenant.to_string())
    .bind(key.key().to_owned())
    .bind(key.request_hash().to_owned())
    .bind(now.micros())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    if inserted.rows_affected() == 1 {
        return Ok(Claim::New);
    }
    let row =
        sqlx::query("SELECT request_hash, answer FROM idempotency_keys WHERE tenant = $1 AND idempotency_key = $2")
            .bind(tenant.to_string())
            .bind(key.key().to_owned())
            .fetch_one(connection)
            .await
            .map_err(storage_error)?;
    let fields = Fields::new("an idempotency key", &row);
    if fields.text("request_hash")? != key.request_hash() {
        return Ok(Claim::OtherRequest);
    }
    Ok(fields.optional_text("answer")?.map_or(Claim::InFlight, Claim::Answered))
}

pub(crate) async fn save_answer(
    connection: &mut AnyConnection,
    tenant: TenantId,
    key: &str,
    answer: &str,
) -> Result<(), StorageError> {
    sqlx::query("UPDATE idempotency_keys SET answer = $3 WHERE tenant = $1 AND idempotency_key = $2")
        .bind(tenant.to_string())
        .bind(key.to_owned())
        .bind(answer.to_owned())
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn forget(connection: &mut AnyConnection, before: Timestamp) -> Result<u64, StorageError> {
    let done = sqlx::query("DELETE FROM idempotency_keys WHERE created_at < $1 AND answer IS NOT NULL")
        .bind(before.micros())
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(done.rows_affected())
}
