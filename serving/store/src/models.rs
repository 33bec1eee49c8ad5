//! Which model served under which alias, in SQL.

use dhow_commerce::{ModelServing, PAGE_LIMIT_MAX, StorageError};
use dhow_events::TenantId;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::rows::{Fields, storage_error};

pub(crate) async fn put(connection: &mut AnyConnection, serving: &ModelServing) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE model_servings SET served_until = $3 WHERE tenant = $1 AND alias = $2 AND served_until IS NULL",
    )
    .bind(serving.tenant.to_string())
    .bind(serving.alias.clone())
    .bind(serving.served_from.micros())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    sqlx::query(
        "INSERT INTO model_servings (tenant, alias, model, artifact_hash, served_from, served_until) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(serving.tenant.to_string())
    .bind(serving.alias.clone())
    .bind(serving.model.clone())
    .bind(serving.artifact_hash.clone())
    .bind(serving.served_from.micros())
    .bind(serving.served_until.map(|time| time.micros()))
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn list(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<ModelServing>, StorageError> {
    let rows = sqlx::query("SELECT * FROM model_servings WHERE tenant = $1 ORDER BY served_from DESC, alias LIMIT $2")
        .bind(tenant.to_string())
        .bind(i64::from(PAGE_LIMIT_MAX))
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    rows.iter().map(serving).collect()
}

fn serving(row: &AnyRow) -> Result<ModelServing, StorageError> {
    let fields = Fields::new("a model's serving record", row);
    Ok(ModelServing {
        tenant: fields.parsed("tenant")?,
        alias: fields.text("alias")?,
        model: fields.text("model")?,
        artifact_hash: fields.text("artifact_hash")?,
        served_from: fields.time("served_from")?,
        served_until: fields.optional_time("served_until")?,
    })
}
