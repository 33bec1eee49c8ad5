//! The audit log: who changed what, and whether the log is as it was written; what is logged is decided in `audit` beside the guard.

use axum::Json;
use axum::extract::State;
use dhow_commerce::{AUDIT_PAGE_MAX, AuditBreak, AuditEntry, AuditHash, AuditStorage, AuditVerification, FeedCursor};
use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::input::Parameters;
use crate::problem::Problem;
use crate::settings::PAGE_LIMIT_DEFAULT;

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditRowAnswer {
    /// Its place in the log, from 1 without gaps.
    place: i64,
    /// When the request came.
    #[schema(value_type = String)]
    at: Timestamp,
    /// The API key that it was sent with; null where access is open, a person logged in, or a rail's signature stands in its
    /// place.
    key: Option<String>,
    /// The person who sent it, as the identity provider names them; null where nobody logged in.
    person: Option<String>,
    /// Method and route.
    #[schema(example = "POST /v1/refunds")]
    operation: String,
    /// The path, with its ids.
    path: String,
    /// What was changed, as far as the change names it: ids of checkouts, transfers, endpoints …; at most 20.
    subjects: Vec<String>,
    /// The request's id, as in the answer's `x-request-id`.
    request_id: String,
    /// `changed`, `unchanged`, `refused` or `failed`.
    outcome: &'static str,
    /// The status of the answer; null where the row was written with the change.
    status: Option<u16>,
    /// The hash over the row and the hash of the row before, in hexadecimal digits; null where it was tampered with.
    hash: Option<String>,
}

impl AuditRowAnswer {
    fn of(entry: AuditEntry) -> Self {
        let AuditEntry { place, row, hash } = entry;
        Self {
            place,
            at: row.at,
            key: row.key.map(|key| key.to_string()),
            person: row.person,
            operation: row.operation,
            path: row.path,
            subjects: row.subjects,
            request_id: row.request_id,
            outcome: row.outcome.word(),
            status: row.status,
            hash: hash.map(AuditHash::encode),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// Newest first.
    items: Vec<AuditRowAnswer>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// Which page of the audit log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditParameters {
    /// The most rows, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerificationParameters {
    /// The `verified_to` of the part before; the beginning of the log where it is absent.
    after: Option<i64>,
}

/// The first row that is not as it was written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditBreakAnswer {
    /// Its place.
    place: i64,
    /// What is wrong there.
    why: String,
}

/// What recomputing the chain found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditVerificationAnswer {
    /// Whether every row that was looked at is as it was written.
    intact: bool,
    /// Rows that are.
    verified: i64,
    /// The last of them: go on with it as `after` while it is less than `last_place`.
    verified_to: i64,
    /// The last place of the log.
    last_place: i64,
    /// The hash of the row there. Note it elsewhere now and then: a log that is rewritten as a whole then has another.
    last_hash: String,
    /// The first row that is not; null where all are.
    broken: Option<AuditBreakAnswer>,
}

/// Read who changed what, newest first.
///
/// Every request that may change something has a row, written in the transaction of its change; requests that were refused, or
/// found nothing to change, have one too. Events that are taken in and questions to models are their own records and have none.
/// Rows are chained by their hashes within a second, are listed from then on, and are never removed.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "access", params(AuditParameters),
    responses((status = 200, body = AuditPage)),
)]
pub(crate) async fn get_audit_log(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(AuditParameters { limit, cursor }): Parameters<AuditParameters>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    if !(1..=AUDIT_PAGE_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is {limit}; it must be from 1 to {AUDIT_PAGE_MAX}")));
    }
    let wrong = |text: &str| Problem::parameter("cursor", format!("`{text}` is not a cursor of this list"));
    let before = cursor.as_deref().map(|text| FeedCursor::decode(text).ok_or_else(|| wrong(text))).transpose()?;
    let before = before.map(|cursor| cursor.0);
    let entries = app.engine.store().audit_entries(caller.tenant, before, limit).await?;
    // Places have no gaps: after the first there is nothing.
    let last = entries.last().map(|entry| entry.place).filter(|place| *place > 1 && entries.len() == limit as usize);
    let next = last.map(|place| FeedCursor(place).encode());
    Ok(Json(AuditPage { items: entries.into_iter().map(AuditRowAnswer::of).collect(), next }))
}

/// Recompute the log's hashes and name the first row that is not as it was written; at most 50,000 rows at once.
#[utoipa::path(
    get, path = "/v1/audit-log/verification", tag = "access", params(VerificationParameters),
    responses((status = 200, body = AuditVerificationAnswer)),
)]
pub(crate) async fn get_audit_verification(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(VerificationParameters { after }): Parameters<VerificationParameters>,
) -> Result<Json<AuditVerificationAnswer>, Problem> {
    let after = after.unwrap_or(0);
    if after < 0 {
        return Err(Problem::parameter("after", format!("is {after}; it must be 0 or more")));
    }
    let found = app.engine.store().verify_audit(caller.tenant, after).await?;
    let AuditVerification { verified, verified_to, head, broken } = found;
    Ok(Json(AuditVerificationAnswer {
        intact: broken.is_none(),
        verified,
        verified_to,
        last_place: head.last_place,
        last_hash: head.hash.encode(),
        broken: broken.map(|AuditBreak { place, why }| AuditBreakAnswer { place, why }),
    }))
}
