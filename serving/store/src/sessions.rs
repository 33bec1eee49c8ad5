//! Logins under way and sessions in SQL: hashes of what browsers keep, never the secrets.

use dhow_commerce::{KeyHash, LOGIN_ATTEMPTS_MAX, LoginSession, LoginStorage, SESSIONS_PER_PERSON_MAX, StorageError};
use dhow_events::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::Store;
use crate::connect::Durability;
use crate::rows::{Fields, storage_error, to_json};

const WHAT: &str = "a session";
/// Sessions that expired and are removed by one that begins, at most.
const REMOVED_AT_ONCE_MAX: i64 = 100;

impl LoginStorage for Store {
    async fn begin_login(
        &self,
        attempt: &KeyHash,
        return_to: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StorageError> {
        // An attempt that is lost is made again.
        let mut transaction = self.writer(Durability::Repeatable).await?;
        make_room_for_attempt(&mut transaction, now).await?;
        sqlx::query("INSERT INTO login_attempts (hash, return_to, expires_at) VALUES ($1, $2, $3)")
            .bind(attempt.to_string())
            .bind(return_to.to_owned())
            .bind(expires_at.micros())
            .execute(&mut *transaction)
            .await
            .map_err(storage_error)?;
        transaction.commit().await.map_err(storage_error)
    }

    async fn take_login(&self, attempt: &KeyHash, now: Timestamp) -> Result<Option<String>, StorageError> {
        // What was taken must not be there again after a loss of power.
        let mut transaction = self.writer(Durability::Synced).await?;
        let row = sqlx::query("DELETE FROM login_attempts WHERE hash = $1 RETURNING return_to, expires_at")
            .bind(attempt.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(storage_error)?;
        transaction.commit().await.map_err(storage_error)?;
        let Some(row) = row else { return Ok(None) };
        let fields = Fields::new("a login", &row);
        Ok((now < fields.time("expires_at")?).then_some(fields.text("return_to")?))
    }

    async fn create_session(&self, session: &LoginSession, hash: &KeyHash) -> Result<(), StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        remove_expired(&mut transaction, session.created_at).await?;
        end_oldest(&mut transaction, session).await?;
        sqlx::query(
            "INSERT INTO login_sessions (hash, tenant, subject, person, roles, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(hash.to_string())
        .bind(session.tenant.to_string())
        .bind(session.subject.clone())
        .bind(session.person.clone())
        .bind(to_json(WHAT, &session.roles)?)
        .bind(session.created_at.micros())
        .bind(session.expires_at.micros())
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        self.commit_audited_of(transaction, session.tenant, &session.person).await
    }

    async fn find_session(&self, hash: &KeyHash) -> Result<Option<LoginSession>, StorageError> {
        let row = sqlx::query("SELECT * FROM login_sessions WHERE hash = $1")
            .bind(hash.to_string())
            .fetch_optional(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        row.as_ref().map(session).transpose()
    }

    async fn end_session(&self, hash: &KeyHash) -> Result<bool, StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        let row = sqlx::query("DELETE FROM login_sessions WHERE hash = $1 RETURNING *")
            .bind(hash.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(storage_error)?;
        let Some(ended) = row.as_ref().map(session).transpose()? else { return Ok(false) };
        self.commit_audited_of(transaction, ended.tenant, &ended.person).await?;
        Ok(true)
    }
}

/// Removes attempts that expired, and the oldest where there are as many as may be.
async fn make_room_for_attempt(connection: &mut AnyConnection, now: Timestamp) -> Result<(), StorageError> {
    sqlx::query("DELETE FROM login_attempts WHERE expires_at <= $1")
        .bind(now.micros())
        .execute(&mut *connection)
        .await
        .map_err(storage_error)?;
    sqlx::query(
        "DELETE FROM login_attempts WHERE hash IN (SELECT hash FROM login_attempts \
         ORDER BY expires_at DESC, hash LIMIT $1 OFFSET $2)",
    )
    .bind(LOGIN_ATTEMPTS_MAX)
    .bind(LOGIN_ATTEMPTS_MAX - 1)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

async fn remove_expired(connection: &mut AnyConnection, now: Timestamp) -> Result<(), StorageError> {
    sqlx::query(
        "DELETE FROM login_sessions WHERE hash IN (SELECT hash FROM login_sessions WHERE expires_at <= $1 \
         ORDER BY expires_at, hash LIMIT $2)",
    )
    .bind(now.micros())
    .bind(REMOVED_AT_ONCE_MAX)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

/// Leaves the person room for one more session.
async fn end_oldest(connection: &mut AnyConnection, session: &LoginSession) -> Result<(), StorageError> {
    sqlx::query(
        "DELETE FROM login_sessions WHERE hash IN (SELECT hash FROM login_sessions \
         WHERE tenant = $1 AND subject = $2 ORDER BY created_at DESC, hash LIMIT $3 OFFSET $4)",
    )
    .bind(session.tenant.to_string())
    .bind(session.subject.clone())
    .bind(SESSIONS_PER_PERSON_MAX)
    .bind(SESSIONS_PER_PERSON_MAX - 1)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

fn session(row: &AnyRow) -> Result<LoginSession, StorageError> {
    let fields = Fields::new(WHAT, row);
    Ok(LoginSession {
        tenant: fields.parsed("tenant")?,
        subject: fields.text("subject")?,
        person: fields.text("person")?,
        roles: fields.json("roles")?,
        created_at: fields.time("created_at")?,
        expires_at: fields.time("expires_at")?,
    })
}
