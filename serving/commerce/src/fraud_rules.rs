//! What the fraud desk keeps in the database beside cases: published rules, drafts, list entries, decisions to repeat; no SQL.

use std::future::Future;

use dhow_events::{CheckoutId, DecisionId, TenantId, Timestamp};
use dhow_rules::{BookEntry, Effect, ListEntry, ListKind, PublishedVersion, Removal, Rule};
use serde::{Deserialize, Serialize};

use crate::{DecisionRecord, FraudAction, ShadowScore, StorageError};

/// The most decisions that are read at once to be repeated.
pub const RECORDED_DECISIONS_MAX: u32 = 1_000;

/// Rules that are being written. They were checked when they were stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDraft {
    /// The rules.
    pub rules: Vec<Rule>,
    /// When they were stored.
    pub saved_at: Timestamp,
}

/// A line of the log of block and allow lists. The lists are what is left when all lines are applied in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ListChange {
    /// An entry was added.
    Added {
        /// The entry.
        entry: ListEntry,
    },
    /// All entries of a key that counted were ended.
    Removed {
        /// The kind of key.
        kind: ListKind,
        /// The list.
        effect: Effect,
        /// The key.
        value: String,
        /// By whom, and when.
        removal: Removal,
    },
}

/// How far a tenant's logs reach: the numbers of their last lines, 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskHeads {
    /// Whose.
    pub tenant: TenantId,
    /// Of the log of published rules.
    pub rules: i64,
    /// Of the log of list changes.
    pub lists: i64,
}

/// From an instant to another, which is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSpan {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

/// A recorded decision and whether it was fraud, where a verdict says so.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledDecision {
    /// The decision.
    pub record: DecisionRecord,
    /// The label.
    pub fraud: Option<bool>,
}

/// The part of a recorded fraud decision that tells how it fared.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredDecision {
    /// The decision.
    pub id: DecisionId,
    /// What it was about.
    pub checkout: CheckoutId,
    /// The model that decided.
    pub model: String,
    /// Its probability of fraud.
    pub probability: f64,
    /// What was done.
    pub action: FraudAction,
    /// What models that look on made of it.
    pub shadows: Vec<ShadowScore>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Rules and lists in the database. Lines of a log are numbered from 1 without gaps, in the order in which they commit.
///
/// Every method fails where the database does, or where a stored row cannot be read.
pub trait RuleStorage: Send + Sync {
    /// How far the logs of every tenant that has any reach.
    fn desk_heads(&self) -> impl Future<Output = Result<Vec<DeskHeads>, StorageError>> + Send;

    /// All published versions of a tenant, in the order in which they were first published.
    fn rule_versions(
        &self,
        tenant: TenantId,
    ) -> impl Future<Output = Result<Vec<PublishedVersion>, StorageError>> + Send;

    /// The log of what was in force, oldest first.
    fn rule_log(&self, tenant: TenantId) -> impl Future<Output = Result<Vec<BookEntry>, StorageError>> + Send;

    /// Writes line `number` of the log, and the version that it names where it is new.
    ///
    /// # Errors
    /// [`StorageError::Exists`] where another server wrote that line; nothing is written then.
    fn write_rule_log(
        &self,
        tenant: TenantId,
        number: i64,
        entry: &BookEntry,
        version: &PublishedVersion,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The rules that are being written.
    fn rule_draft(&self, tenant: TenantId) -> impl Future<Output = Result<Option<RuleDraft>, StorageError>> + Send;

    /// Stores rules that are being written over those of before.
    fn put_rule_draft(
        &self,
        tenant: TenantId,
        draft: &RuleDraft,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The changes of lists after number `after`, in order, with their numbers.
    fn list_log(
        &self,
        tenant: TenantId,
        after: i64,
    ) -> impl Future<Output = Result<Vec<(i64, ListChange)>, StorageError>> + Send;

    /// Adds a change to the log of lists.
    fn append_list_change(
        &self,
        tenant: TenantId,
        change: &ListChange,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// How many fraud decisions were made in a span.
    fn count_fraud_decisions(
        &self,
        tenant: TenantId,
        span: TimeSpan,
    ) -> impl Future<Output = Result<u64, StorageError>> + Send;

    /// Fraud decisions of a span, oldest first and then by id, after the given one; at most `limit` and
    /// [`RECORDED_DECISIONS_MAX`].
    fn fraud_decisions(
        &self,
        tenant: TenantId,
        span: TimeSpan,
        after: Option<(Timestamp, DecisionId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<LabelledDecision>, StorageError>> + Send;

    /// How fraud decisions of a span were scored, newest first and then by id, before the given one; at most `limit` and
    /// [`RECORDED_DECISIONS_MAX`].
    fn scored_decisions(
        &self,
        tenant: TenantId,
        span: TimeSpan,
        before: Option<(Timestamp, DecisionId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ScoredDecision>, StorageError>> + Send;
}
