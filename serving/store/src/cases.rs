//! Review cases in SQL: the queue's order, and claims that no two people make.

use dhow_commerce::{CaseFilter, Cursor, FraudCase, Page, PageRequest, StorageError};
use dhow_events::{DecisionId, HOUR_MICROS, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::pages::{By, List};
use crate::rows::{Fields, Query, row_of, storage_error, to_json};

const LIST: List = List { table: "fraud_cases", columns: "body", id: "decision", by: By::Creation };
const WHAT: &str = "a case";

pub(crate) async fn insert(connection: &mut AnyConnection, case: &FraudCase) -> Result<(), StorageError> {
    let sql = "INSERT INTO fraud_cases (tenant, decision, state, claimed_until, first_reviewer, label, body, \
               expected_loss_usd_minor, authorisation_expires_at, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    changing(sql, case)?
        .bind(case.expected_loss_usd_minor)
        .bind(case.authorisation_expires_at.micros())
        .bind(case.created_at.micros())
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn update(connection: &mut AnyConnection, case: &FraudCase) -> Result<(), StorageError> {
    let sql = "UPDATE fraud_cases SET state = $3, claimed_until = $4, first_reviewer = $5, label = $6, body = $7 \
               WHERE tenant = $1 AND decision = $2";
    changing(sql, case)?.execute(connection).await.map_err(storage_error)?;
    Ok(())
}

/// `sql` with the columns that a case's steps change, from $1 to $7.
fn changing<'q>(sql: &'static str, case: &FraudCase) -> Result<Query<'q>, StorageError> {
    Ok(sqlx::query(sql)
        .bind(case.tenant.to_string())
        .bind(case.decision.to_string())
        .bind(case.state.to_string())
        .bind(case.claimed_until.map(|time| time.micros()))
        .bind(case.verdict.as_ref().map(|first| first.reviewer.clone()))
        .bind(case.label().map(|label| label.to_string()))
        .bind(to_json(WHAT, case)?))
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: DecisionId,
) -> Result<Option<FraudCase>, StorageError> {
    select(connection, "", tenant, id).await
}

/// The case, with its row locked where the database locks rows; SQLite's one writer needs no lock.
pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: DecisionId,
) -> Result<Option<FraudCase>, StorageError> {
    select(connection, kind.row_lock(), tenant, id).await
}

async fn select(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    id: DecisionId,
) -> Result<Option<FraudCase>, StorageError> {
    let sql = format!("SELECT body FROM fraud_cases WHERE tenant = $1 AND decision = $2{lock}");
    let row = row_of(connection, &sql, tenant, id).await?;
    row.as_ref().map(case).transpose()
}

/// The free case with the highest expected loss for each hour left on its authorisation; the last hour counts as whole.
pub(crate) async fn next(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    reviewer: &str,
    now: Timestamp,
) -> Result<Option<FraudCase>, StorageError> {
    let lock = match kind {
        DatabaseKind::Sqlite => "",
        DatabaseKind::Postgres => " FOR UPDATE SKIP LOCKED",
    };
    let left = "authorisation_expires_at - $2";
    let sql = format!(
        "SELECT body FROM fraud_cases WHERE tenant = $1 \
         AND (state = 'open' OR (state = 'claimed' AND claimed_until <= $2)) \
         AND (first_reviewer IS NULL OR first_reviewer <> $3) \
         ORDER BY CAST(expected_loss_usd_minor AS DOUBLE PRECISION) \
         / (CASE WHEN {left} < {HOUR_MICROS} THEN {HOUR_MICROS} ELSE {left} END) DESC, created_at, decision \
         LIMIT 1{lock}"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .bind(now.micros())
        .bind(reviewer.to_owned())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    row.as_ref().map(case).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &CaseFilter,
    page: &PageRequest,
) -> Result<Page<FraudCase>, StorageError> {
    let state = filter.state.map(|state| state.to_string());
    let rows = LIST.rows(connection, tenant, &[("state", state)], page).await?;
    let cases = rows.iter().map(case).collect::<Result<_, _>>()?;
    let place = |case: &FraudCase| Cursor { created_at: case.created_at, id: case.decision.to_string() };
    Ok(Page::from_items(cases, page.limit(), place))
}

fn case(row: &AnyRow) -> Result<FraudCase, StorageError> {
    Fields::new(WHAT, row).json("body")
}
