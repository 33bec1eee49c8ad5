//! API keys in SQL: the hash of a secret, never the secret.

use dhow_commerce::{
    AccessStorage, ApiKey, KeyHash, PAGE_LIMIT_MAX, Permission, Permissions, Revocation, StorageError,
};
use dhow_events::{KeyId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::Store;
use crate::connect::Durability;
use crate::rows::{Fields, kind_of, storage_error, to_json};

/// The most keys that are locked to know whether one of them is the last that may make keys.
const KEY_MAKERS_LOCKED_MAX: i64 = 100;

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

    async fn revoke_api_key(
        &self,
        tenant: TenantId,
        id: KeyId,
        revoker: Permissions,
        at: Timestamp,
    ) -> Result<Revocation, StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        // Who comes second waits here, and then sees what the first has revoked.
        let makers = lock_key_makers(&mut transaction, tenant).await?;
        let row = sqlx::query("SELECT * FROM api_keys WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL")
            .bind(tenant.to_string())
            .bind(id.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(storage_error)?;
        let Some(key) = row.as_ref().map(api_key).transpose()? else { return Ok(Revocation::NotInForce) };
        let lacking = revoker.lacking(&key.permissions);
        if !lacking.is_empty() {
            return Ok(Revocation::Beyond(lacking));
        }
        if matches!(makers.as_slice(), [last] if *last == id) {
            return Ok(Revocation::LastOfItsKind);
        }
        let done =
            sqlx::query("UPDATE api_keys SET revoked_at = $3 WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL")
                .bind(tenant.to_string())
                .bind(id.to_string())
                .bind(at.micros())
                .execute(&mut *transaction)
                .await
                .map_err(storage_error)?;
        if done.rows_affected() == 0 {
            return Ok(Revocation::NotInForce);
        }
        self.commit_audited(transaction, &[id.to_string()]).await?;
        Ok(Revocation::Revoked)
    }
}

/// The tenant's keys in force that may make keys, the first [`KEY_MAKERS_LOCKED_MAX`] by their ids, locked in that order by
/// everybody. With more of them none is the last.
async fn lock_key_makers(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<KeyId>, StorageError> {
    // A permission's word stands in quotes in the list, so no longer word is taken for it.
    let named = |number: usize| format!("permissions LIKE ${number}");
    let named: Vec<String> = (0..Permission::KEY_MAKERS.len()).map(|index| named(index + 3)).collect();
    let sql = format!(
        "SELECT * FROM api_keys WHERE tenant = $1 AND revoked_at IS NULL AND ({}) ORDER BY id LIMIT $2{}",
        named.join(" OR "),
        kind_of(connection).row_lock()
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string()).bind(KEY_MAKERS_LOCKED_MAX);
    let query = Permission::KEY_MAKERS.iter().fold(query, |query, maker| query.bind(format!("%\"{maker}\"%")));
    let rows = query.fetch_all(connection).await.map_err(storage_error)?;
    let keys: Vec<ApiKey> = rows.iter().map(api_key).collect::<Result<_, _>>()?;
    Ok(keys.into_iter().filter(ApiKey::makes_keys).map(|key| key.id).collect())
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
