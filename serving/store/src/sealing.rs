//! Brings stored secrets under the key in force when a store opens; how one is sealed, and each row's SQL, stand elsewhere.

use std::sync::Arc;

use dhow_commerce::StorageError;

use crate::connect::Durability;
use crate::rows::{Fields, storage_error};
use crate::webhooks::{self, Place};
use crate::{SecretKeys, Store, StoreError};

/// Rows that are sealed anew in one transaction at most.
const SEALED_AT_ONCE_MAX: i64 = 100;
/// Keys that a refusal names at most.
const MISSING_NAMED_MAX: i64 = 20;

impl Store {
    /// The same store, which seals secrets with the first of `keys` and unseals with all of them; and how many secrets that
    /// stood in clear, or under another key, were sealed anew. Where the process dies over it, the next start goes on.
    /// Without a key secrets stay in clear.
    ///
    /// # Errors
    /// [`StoreError::SecretKeysMissing`] where a secret is sealed with a key that is not among them,
    /// [`StoreError::Secrets`] where one does not unseal, or the database fails.
    pub async fn with_secret_keys(mut self, keys: SecretKeys) -> Result<(Self, u64), StoreError> {
        self.secret_keys = Arc::new(keys);
        let store = self;
        let failed =
            |error: StorageError| StoreError::Secrets { database: store.database.clone(), why: error.to_string() };
        let missing = store.missing_keys().await.map_err(failed)?;
        if !missing.is_empty() {
            return Err(StoreError::SecretKeysMissing { database: store.database, keys: missing.join(", ") });
        }
        let sealed = store.seal_anew().await.map_err(failed)?;
        Ok((store, sealed))
    }

    /// The id of the key that seals secrets; nothing where they stand in clear.
    pub fn secrets_sealed_by(&self) -> Option<&str> {
        self.secret_keys.sealing()
    }

    /// Keys that secrets are sealed with and that are not configured.
    async fn missing_keys(&self) -> Result<Vec<String>, StorageError> {
        let rows = sqlx::query(
            "SELECT sealed_by FROM webhook_endpoints WHERE sealed_by IS NOT NULL GROUP BY sealed_by \
             ORDER BY sealed_by LIMIT $1",
        )
        .bind(MISSING_NAMED_MAX + crate::secret_keys::SECRET_KEYS_MAX as i64)
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(storage_error)?;
        let ids = rows.iter().map(|row| Fields::new("a sealed secret", row).text("sealed_by"));
        let mut missing = ids.collect::<Result<Vec<_>, _>>()?;
        missing.retain(|id| !self.secret_keys.has(id));
        Ok(missing)
    }

    /// One pass over all rows in parts. It ends whatever another server seals meanwhile with another key.
    async fn seal_anew(&self) -> Result<u64, StorageError> {
        let Some(key) = self.secret_keys.sealing() else { return Ok(0) };
        let (mut sealed, mut after) = (0, None::<Place>);
        loop {
            // SQLite has one writer: who finds nothing to do does not ask for it.
            let mut reader = self.reader().await?;
            if webhooks::sealed_otherwise(&mut reader, "", key, after.as_ref(), 1).await?.is_empty() {
                return Ok(sealed);
            }
            drop(reader);
            let mut transaction = self.writer(Durability::Synced).await?;
            let lock = self.kind().row_lock();
            let rows =
                webhooks::sealed_otherwise(&mut transaction, lock, key, after.as_ref(), SEALED_AT_ONCE_MAX).await?;
            for (place, stored) in &rows {
                webhooks::seal_again(&mut transaction, &self.secret_keys, place, stored).await?;
                sealed += 1;
            }
            self.pass().await;
            transaction.commit().await.map_err(storage_error)?;
            let Some((last, _)) = rows.into_iter().next_back() else { return Ok(sealed) };
            after = Some(last);
        }
    }
}
