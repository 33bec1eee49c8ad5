//! The audit log in SQL: rows written with their changes, chained a moment later, read and verified.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dhow_commerce::{
    AUDIT_CHAINED_AT_ONCE_MAX, AUDIT_SUBJECTS_MAX, AUDIT_VERIFIED_MAX, AuditBreak, AuditEntry, AuditHash, AuditHead,
    AuditOutcome, AuditRequest, AuditRow, AuditStorage, AuditVerification, AuditVerifier, StorageError,
};
use dhow_events::TenantId;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Transaction};

use crate::Store;
use crate::connect::Durability;
use crate::rows::{Fields, equal_statements, storage_error, to_json, value_rows};

/// Rows that are read at once to be verified.
const VERIFIED_AT_ONCE: i64 = 1_000;
const WHAT: &str = "a row of the audit log";

tokio::task_local! {
    /// The request that the task works for.
    static REQUEST: Arc<Audited>;
}

/// A request under way, and how many of its transactions were committed.
struct Audited {
    request: AuditRequest,
    changes: AtomicU32,
}

/// Does `work` for `request`: every transaction that is committed meanwhile by the same task writes a row of the audit log.
/// Gives what the work gave, and whether any was.
pub async fn audited<F: Future>(request: AuditRequest, work: F) -> (F::Output, bool) {
    let audited = Arc::new(Audited { request, changes: AtomicU32::new(0) });
    let output = REQUEST.scope(audited.clone(), work).await;
    (output, audited.changes.load(Ordering::Acquire) > 0)
}

/// A change within a transaction that is about to be committed for a request.
pub(crate) struct AuditedChange(Arc<Audited>);

impl AuditedChange {
    /// The change of the request that this task works for, if it works for one.
    pub(crate) fn of_this_task() -> Option<Self> {
        REQUEST.try_with(|audited| Self(audited.clone())).ok()
    }

    /// Writes its row; `tenant` is who it is about where the request does not say.
    pub(crate) async fn write(
        &self,
        connection: &mut AnyConnection,
        tenant: Option<TenantId>,
        subjects: &[String],
    ) -> Result<(), StorageError> {
        let request = &self.0.request;
        let tenant = request.tenant.or(tenant);
        // Without a tenant nothing was changed of any.
        let Some(tenant) = tenant else { return Ok(()) };
        let subjects = subjects.iter().take(AUDIT_SUBJECTS_MAX).cloned().collect();
        insert(connection, &row(request, tenant, subjects, AuditOutcome::Changed, None)).await
    }

    /// The transaction is committed.
    pub(crate) fn done(&self) {
        self.0.changes.fetch_add(1, Ordering::Release);
    }
}

fn row(
    request: &AuditRequest,
    tenant: TenantId,
    subjects: Vec<String>,
    outcome: AuditOutcome,
    status: Option<u16>,
) -> AuditRow {
    let AuditRequest { tenant: _, key, person, operation, path, request_id, at } = request.clone();
    AuditRow { tenant, at, key, person, operation, path, subjects, request_id, outcome, status }
}

async fn insert(connection: &mut AnyConnection, row: &AuditRow) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO audit_log (tenant, at, key_id, operation, path, subjects, request_id, outcome, status, person) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(row.tenant.to_string())
    .bind(row.at.micros())
    .bind(row.key.map(|key| key.to_string()))
    .bind(row.operation.clone())
    .bind(row.path.clone())
    .bind(to_json(WHAT, &row.subjects)?)
    .bind(row.request_id.clone())
    .bind(row.outcome.to_string())
    .bind(row.status.map(i64::from))
    .bind(row.person.clone())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

impl Store {
    /// Commits a transaction of a request with its row.
    pub(crate) async fn commit_audited(
        &self,
        mut transaction: Transaction<'static, Any>,
        subjects: &[String],
    ) -> Result<(), StorageError> {
        let change = AuditedChange::of_this_task();
        if let Some(change) = &change {
            change.write(&mut transaction, None, subjects).await?;
        }
        transaction.commit().await.map_err(storage_error)?;
        if let Some(change) = change {
            change.done();
        }
        Ok(())
    }
}

impl Store {
    /// Commits a transaction that begins or ends a person's session, with its row where a request asked for it: the request
    /// does not say whose it is, the session does.
    pub(crate) async fn commit_audited_of(
        &self,
        mut transaction: Transaction<'static, Any>,
        tenant: TenantId,
        person: &str,
    ) -> Result<(), StorageError> {
        let change = AuditedChange::of_this_task();
        if let Some(change) = &change {
            let request = AuditRequest { person: Some(person.to_owned()), ..change.0.request.clone() };
            let row = row(&request, tenant, Vec::new(), AuditOutcome::Changed, None);
            insert(&mut transaction, &row).await?;
        }
        transaction.commit().await.map_err(storage_error)?;
        if let Some(change) = change {
            change.done();
        }
        Ok(())
    }
}

impl AuditStorage for Store {
    async fn append_audit(
        &self,
        request: &AuditRequest,
        tenant: TenantId,
        outcome: AuditOutcome,
        status: u16,
    ) -> Result<(), StorageError> {
        let mut transaction = self.writer(Durability::Repeatable).await?;
        insert(&mut transaction, &row(request, tenant, Vec::new(), outcome, Some(status))).await?;
        transaction.commit().await.map_err(storage_error)
    }

    async fn chain_audit(&self) -> Result<u64, StorageError> {
        let any = sqlx::query("SELECT id FROM audit_log WHERE place IS NULL LIMIT 1")
            .fetch_optional(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        if any.is_none() {
            return Ok(0);
        }
        let mut transaction = self.writer(Durability::Synced).await?;
        let chained = chain(&mut transaction).await?;
        transaction.commit().await.map_err(storage_error)?;
        Ok(chained)
    }

    async fn audit_entries(
        &self,
        tenant: TenantId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StorageError> {
        let rows = sqlx::query("SELECT * FROM audit_log WHERE tenant = $1 AND place < $2 ORDER BY place DESC LIMIT $3")
            .bind(tenant.to_string())
            .bind(before.unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        rows.iter().map(entry).collect()
    }

    async fn verify_audit(&self, tenant: TenantId, after: i64) -> Result<AuditVerification, StorageError> {
        let mut snapshot = self.snapshot().await?;
        let head = head(&mut snapshot, tenant).await?;
        let mut verifier = AuditVerifier::new(0, AuditHash::GENESIS);
        if after > 0 {
            let begin = rows_after(&mut snapshot, tenant, after - 1, 1).await?;
            let begin = begin.first().and_then(|row| entry(row).ok()).filter(|entry| entry.place == after);
            let hash = begin.and_then(|entry| entry.hash);
            let Some(hash) = hash else {
                let broken = AuditBreak { place: after, why: "the row is missing, or has no hash".to_owned() };
                return Ok(AuditVerification { verified: 0, verified_to: 0, head, broken: Some(broken) });
            };
            verifier = AuditVerifier::new(after, hash);
        }
        let broken = verify(&mut snapshot, tenant, &mut verifier, &head).await?;
        let (verified, verified_to) = (verifier.verified(), verifier.place());
        Ok(AuditVerification { verified, verified_to, head, broken })
    }
}

/// Gives rows their places and hashes, in the order of their ids. The first statement is the lock.
async fn chain(connection: &mut AnyConnection) -> Result<u64, StorageError> {
    sqlx::query("UPDATE audit_turns SET turns = turns + 1").execute(&mut *connection).await.map_err(storage_error)?;
    let rows = sqlx::query("SELECT * FROM audit_log WHERE place IS NULL ORDER BY id LIMIT $1")
        .bind(i64::from(AUDIT_CHAINED_AT_ONCE_MAX))
        .fetch_all(&mut *connection)
        .await
        .map_err(storage_error)?;
    let mut heads: BTreeMap<TenantId, AuditHead> = BTreeMap::new();
    let mut chained = Vec::with_capacity(rows.len());
    for row in &rows {
        let fields = Fields::new(WHAT, row);
        let (id, row) = (fields.integer("id")?, audit_row(&fields)?);
        let last = match heads.get(&row.tenant) {
            Some(head) => *head,
            None => head(connection, row.tenant).await?,
        };
        let place = last.last_place + 1;
        let hash = last.hash.next(place, &row);
        chained.push((id, place, hash.encode()));
        heads.insert(row.tenant, AuditHead { last_place: place, hash });
    }
    for rows in equal_statements(&chained) {
        let sql = format!(
            "UPDATE audit_log SET place = chained.column2, hash = chained.column3 \
             FROM (VALUES {}) AS chained WHERE audit_log.id = chained.column1",
            value_rows(connection, rows.len(), 3)
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = rows.iter().fold(query, |query, (id, place, hash)| query.bind(*id).bind(*place).bind(hash.clone()));
        query.execute(&mut *connection).await.map_err(storage_error)?;
    }
    for (tenant, head) in &heads {
        put_head(connection, *tenant, head).await?;
    }
    Ok(chained.len() as u64)
}

async fn put_head(connection: &mut AnyConnection, tenant: TenantId, head: &AuditHead) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO audit_heads (tenant, last_place, hash) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant) DO UPDATE SET last_place = excluded.last_place, hash = excluded.hash",
    )
    .bind(tenant.to_string())
    .bind(head.last_place)
    .bind(head.hash.encode())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

async fn head(connection: &mut AnyConnection, tenant: TenantId) -> Result<AuditHead, StorageError> {
    let row = sqlx::query("SELECT last_place, hash FROM audit_heads WHERE tenant = $1")
        .bind(tenant.to_string())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    let Some(row) = row else { return Ok(AuditHead { last_place: 0, hash: AuditHash::GENESIS }) };
    let fields = Fields::new("the end of an audit log", &row);
    Ok(AuditHead { last_place: fields.integer("last_place")?, hash: fields.word("hash", AuditHash::decode)? })
}

async fn rows_after(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: i64,
    limit: i64,
) -> Result<Vec<AnyRow>, StorageError> {
    sqlx::query("SELECT * FROM audit_log WHERE tenant = $1 AND place > $2 ORDER BY place LIMIT $3")
        .bind(tenant.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await
        .map_err(storage_error)
}

/// Recomputes rows until one is wrong, the chain ends, or [`AUDIT_VERIFIED_MAX`] are right.
async fn verify(
    connection: &mut AnyConnection,
    tenant: TenantId,
    verifier: &mut AuditVerifier,
    head: &AuditHead,
) -> Result<Option<AuditBreak>, StorageError> {
    while verifier.verified() < AUDIT_VERIFIED_MAX {
        let rows = rows_after(connection, tenant, verifier.place(), VERIFIED_AT_ONCE).await?;
        if rows.is_empty() {
            return Ok(verifier.end(head).err());
        }
        for row in &rows {
            // A row that cannot be read is not as it was written.
            let unreadable = |error: StorageError| AuditBreak { place: verifier.place() + 1, why: error.to_string() };
            let read = entry(row).map_err(unreadable);
            if let Err(broken) = read.and_then(|entry| verifier.take(&entry)) {
                return Ok(Some(broken));
            }
        }
    }
    Ok(None)
}

fn audit_row(fields: &Fields<'_>) -> Result<AuditRow, StorageError> {
    let status = fields.optional_integer("status")?;
    Ok(AuditRow {
        tenant: fields.parsed("tenant")?,
        at: fields.time("at")?,
        key: fields.optional_parsed("key_id")?,
        person: fields.optional_text("person")?,
        operation: fields.text("operation")?,
        path: fields.text("path")?,
        subjects: fields.json("subjects")?,
        request_id: fields.text("request_id")?,
        outcome: fields.word("outcome", AuditOutcome::from_word)?,
        // A status that is none is a changed row, which its hash then tells.
        status: status.map(|status| u16::try_from(status).unwrap_or(u16::MAX)),
    })
}

fn entry(row: &AnyRow) -> Result<AuditEntry, StorageError> {
    let fields = Fields::new(WHAT, row);
    let hash = fields.optional_text("hash")?.and_then(|text| AuditHash::decode(&text));
    Ok(AuditEntry { place: fields.integer("place")?, row: audit_row(&fields)?, hash })
}
