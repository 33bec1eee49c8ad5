//! Erasures of persons in SQL: asked once, written as they go on; what they change is beside, in `persons`.

use dhow_commerce::{ErasureRecord, PersonPlace, PersonRows, PersonStorage, StorageError};
use dhow_events::{BuyerId, Erasure, ErasureId, PersonThings, TenantId};
use sqlx::any::AnyRow;

use crate::connect::Durability;
use crate::rows::{Fields, row_of, storage_error, to_json};
use crate::{Store, persons};

const WHAT: &str = "an erasure";

impl PersonStorage for Store {
    async fn ask_erasure(&self, record: &ErasureRecord) -> Result<ErasureRecord, StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        sqlx::query(
            "INSERT INTO erasures (tenant, id, mark, pseudonym, person, things, counts, asked_at, done_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL) ON CONFLICT (tenant, mark) DO NOTHING",
        )
        .bind(record.tenant.to_string())
        .bind(record.id.to_string())
        .bind(record.mark.clone())
        .bind(record.pseudonym.to_string())
        .bind(record.person.map(|person| person.to_string()))
        .bind(to_json(WHAT, &record.things)?)
        .bind(to_json(WHAT, &record.counts)?)
        .bind(record.asked_at.micros())
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        let sql = "SELECT * FROM erasures WHERE tenant = $1 AND mark = $2";
        let row = row_of(&mut transaction, sql, record.tenant, &record.mark).await?;
        let row = row.ok_or_else(|| StorageError::Failed("an erasure was not stored".to_owned()))?;
        let stored = read(&row)?;
        if stored.id == record.id {
            self.commit_audited(transaction, &[record.id.to_string()]).await?;
        }
        Ok(stored)
    }

    async fn write_erasure(&self, record: &ErasureRecord) -> Result<(), StorageError> {
        let things = if record.done_at.is_some() { &PersonThings::default() } else { &record.things };
        let person = record.person.filter(|_| record.done_at.is_none());
        let mut transaction = self.writer(Durability::Synced).await?;
        sqlx::query(
            "UPDATE erasures SET person = $3, things = $4, counts = $5, done_at = $6 WHERE tenant = $1 AND id = $2",
        )
        .bind(record.tenant.to_string())
        .bind(record.id.to_string())
        .bind(person.map(|person| person.to_string()))
        .bind(to_json(WHAT, things)?)
        .bind(to_json(WHAT, &record.counts)?)
        .bind(record.done_at.map(|time| time.micros()))
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        transaction.commit().await.map_err(storage_error)
    }

    async fn erasure(&self, tenant: TenantId, id: ErasureId) -> Result<Option<ErasureRecord>, StorageError> {
        let sql = "SELECT * FROM erasures WHERE tenant = $1 AND id = $2";
        row_of(&mut *self.reader().await?, sql, tenant, id).await?.as_ref().map(read).transpose()
    }

    async fn erasures_under_way(&self, limit: u32) -> Result<Vec<ErasureRecord>, StorageError> {
        let rows = sqlx::query("SELECT * FROM erasures WHERE done_at IS NULL ORDER BY asked_at, id LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        rows.iter().map(read).collect()
    }

    async fn erased_marks(&self) -> Result<Vec<(TenantId, String, BuyerId)>, StorageError> {
        let rows = sqlx::query("SELECT tenant, mark, pseudonym FROM erasures")
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        let mark = |row: &AnyRow| {
            let fields = Fields::new(WHAT, row);
            Ok((fields.parsed("tenant")?, fields.text("mark")?, fields.parsed("pseudonym")?))
        };
        rows.iter().map(mark).collect()
    }

    async fn erase_in_database(&self, erasure: &Erasure) -> Result<u64, StorageError> {
        persons::erase(self, erasure).await
    }

    async fn person_rows(
        &self,
        tenant: TenantId,
        person: BuyerId,
        from: Option<&PersonPlace>,
        limit: u32,
    ) -> Result<PersonRows, StorageError> {
        persons::rows(self, tenant, person, from, limit).await
    }
}

fn read(row: &AnyRow) -> Result<ErasureRecord, StorageError> {
    let fields = Fields::new(WHAT, row);
    Ok(ErasureRecord {
        tenant: fields.parsed("tenant")?,
        id: fields.parsed("id")?,
        mark: fields.text("mark")?,
        pseudonym: fields.parsed("pseudonym")?,
        person: fields.optional_parsed("person")?,
        things: fields.json("things")?,
        counts: fields.json("counts")?,
        asked_at: fields.time("asked_at")?,
        done_at: fields.optional_time("done_at")?,
    })
}
