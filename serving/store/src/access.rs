//! API keys in SQL: the hash of a secret, never the secret.

use dhow_commerce::{AccessStorage, ApiKey, KeyHash, PAGE_LIMIT_MAX, StorageError};
use dhow_events::{KeyId, TenantId, Timestamp};
use sqlx::any::AnyRow;

use crate::Store;
use crate::connect::Durability;
use crate::rows::{Fields, storage_error, to_json};

impl AccessStorage for Store {
    async fn create_api_key(&self, key: &ApiKey, hash: &KeyHash) -> Result<(), StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        sqlx::query(
            "INSERT INTO api_keys (tenant, id, name, secret_hash, permissions, last_four, created_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(key.tenant.to_string())
        .bind(key.id.to_string())
        .bind(key.name.clone())
        .bind(hash.to_string())
        .bind(to_json("an API key's permissions", &key.permissions)?)
        .bind(key.last_four.clone())
        .bind(key.created_at.micros())
        .bind(key.revoked_at.map(|time| time.micros()))
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        self.commit_audited(transaction, &[key.id.to_string()]).await
    }

    async fn find_api_key(&self, hash: &KeyHash) -> Result<Option<ApiKey>, StorageError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE secret_hash = $1")
            .bind(hash.to_string())
            .fetch_optional(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        row.as_ref().map(api_key).transpose()
    }

    async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, StorageError> {
        let rows = sqlx::query("SELECT * FROM api_keys WHERE tenant = $1 ORDER BY created_at, id LIMIT $2")
            .bind(tenant.to_string())
            .bind(i64::from(PAGE_LIMIT_MAX))
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        rows.iter().map(api_key).collect()
    }

    async fn has_api_keys(&self) -> Result<bool, StorageError> {
        let row = sqlx::query("SELECT id FROM api_keys WHERE revoked_at IS NULL LIMIT 1")
            .fetch_optional(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        Ok(row.is_some())
    }

    async fn revoke_api_key(&self, tenant: TenantId, id: KeyId, at: Timestamp) -> Result<bool, StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        let done =
            sqlx::query("UPDATE api_keys SET revoked_at = $3 WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL")
                .bind(tenant.to_string())
                .bind(id.to_string())
                .bind(at.micros())
                .execute(&mut *transaction)
                .await
                .map_err(storage_error)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.commit_audited(transaction, &[id.to_string()]).await?;
        Ok(true)
    }
}

fn api_key(row: &AnyRow) -> Result<ApiKey, StorageError> {
    let fields = Fields::new("an API key", row);
    Ok(ApiKey {
        id: fields.parsed("id")?,
        tenant: fields.parsed("tenant")?,
        name: fields.text("name")?,
        permissions: fields.json("permissions")?,
        last_four: fields.text("last_four")?,
        created_at: fields.time("created_at")?,
        revoked_at: fields.optional_time("revoked_at")?,
    })
}
