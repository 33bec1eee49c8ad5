//! Persons who ask what is held of them, and to be forgotten: the record of it and what a database does for it; nothing is rewritten here.

use std::future::Future;

use dhow_events::{BuyerId, Erasure, ErasureId, PersonThings, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::StorageError;

/// Rows of a table that one page of an export looks at, at most.
pub const EXPORT_ROWS_LOOKED_AT_MAX: i64 = 2_000;
/// Times that the database is gone through until nothing of a person is found in it, at most; then it is tried again later.
pub const ERASURE_PASSES_MAX: u32 = 5;

/// What an erasure has changed so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureCounts {
    /// Rows of the database.
    pub database_rows: u64,
    /// Records of the log.
    pub log_records: u64,
    /// Files of the lake.
    pub lake_files: u64,
}

/// The erasure of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRecord {
    /// Whose person it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: ErasureId,
    /// By which the person is known again; see [`Erasure::mark`].
    pub mark: String,
    /// Who stands in the person's place; told to nobody, because who knows the person would know both.
    pub pseudonym: BuyerId,
    /// The person; nothing once it is done.
    pub person: Option<BuyerId>,
    /// The person's visits and orders, as far as they were found; none once it is done.
    pub things: PersonThings,
    /// What was changed.
    pub counts: ErasureCounts,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When nothing of the person was left.
    pub done_at: Option<Timestamp>,
}

impl ErasureRecord {
    /// What is to be done; nothing once it is.
    pub fn erasure(&self) -> Option<Erasure> {
        let (tenant, pseudonym, things) = (self.tenant, self.pseudonym, self.things.clone());
        self.person.map(|person| Erasure { tenant, person, pseudonym, things })
    }
}

/// A place in what a database holds of a person: a table, and the key of the last row that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonPlace {
    /// The table.
    pub table: String,
    /// The key; empty at the table's beginning.
    pub after: Vec<String>,
}

/// A part of what a database holds of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonRows {
    /// The table.
    pub table: String,
    /// The rows, each an object of its columns.
    pub rows: Vec<serde_json::Value>,
    /// Where to go on; nothing at the end of the last table.
    pub next: Option<PersonPlace>,
}

/// Persons in the database.
///
/// Every method fails as those of [`crate::Storage`] do.
pub trait PersonStorage: Send + Sync {
    /// Stores a new erasure, or gives the one that is there of this person.
    fn ask_erasure(&self, record: &ErasureRecord) -> impl Future<Output = Result<ErasureRecord, StorageError>> + Send;

    /// Writes how far an erasure came.
    fn write_erasure(&self, record: &ErasureRecord) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// An erasure.
    fn erasure(
        &self,
        tenant: TenantId,
        id: ErasureId,
    ) -> impl Future<Output = Result<Option<ErasureRecord>, StorageError>> + Send;

    /// The erasures that are not done, the oldest first, at most `limit`.
    fn erasures_under_way(&self, limit: u32) -> impl Future<Output = Result<Vec<ErasureRecord>, StorageError>> + Send;

    /// The mark and the pseudonym of every person who was or is being erased.
    fn erased_marks(&self) -> impl Future<Output = Result<Vec<(TenantId, String, BuyerId)>, StorageError>> + Send;

    /// Goes once through the database and takes the person out of every row; gives how many were changed. Nothing is
    /// locked for longer than a page of rows takes.
    fn erase_in_database(&self, erasure: &Erasure) -> impl Future<Output = Result<u64, StorageError>> + Send;

    /// The next part of what is held of a person, at most `limit` rows; from the beginning where `from` is nothing. A part may
    /// be empty and not be the last: at most [`EXPORT_ROWS_LOOKED_AT_MAX`] rows are looked at.
    ///
    /// # Errors
    /// Also [`StorageError::Rule`] for a place that is none.
    fn person_rows(
        &self,
        tenant: TenantId,
        person: BuyerId,
        from: Option<&PersonPlace>,
        limit: u32,
    ) -> impl Future<Output = Result<PersonRows, StorageError>> + Send;
}
