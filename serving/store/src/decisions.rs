//! Recorded decisions in SQL.

use dhow_commerce::{
    Cursor, DecisionFilter, DecisionKind, DecisionOutcome, DecisionRecord, Page, PageRequest, StorageError,
};
use dhow_events::{DecisionId, TenantId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::feature_lists::{self, FeatureLists, KnownLists};
use crate::pages::{By, List};
use crate::rows::{Fields, Query, equal_statements, row_of, storage_error, to_json, value_rows};

const ALL: List = List { table: "decisions", columns: "*", id: "id", by: By::Id };
const OF_A_KIND: List = List { by: By::Creation, ..ALL };
/// Inserts decisions; what follows is `VALUES` with rows of so many columns.
pub(crate) const INSERT: &str = "INSERT INTO decisions (tenant, id, kind, subject, model, request, answer, reasons, \
     features, feature_list, feature_values, applied_offsets, degraded, latency_us, outcome, created_at)";
pub(crate) const COLUMNS: usize = 16;
/// What stands in the column of names and values since values are bytes.
const NO_NAMED_FEATURES: &str = "[]";

pub(crate) async fn insert(
    connection: &mut AnyConnection,
    known: &KnownLists,
    decisions: &[&DecisionRecord],
) -> Result<(), StorageError> {
    let lists = feature_lists::write(connection, known, decisions).await?;
    let decisions: Vec<(&DecisionRecord, Option<String>)> = decisions.iter().copied().zip(lists).collect();
    for rows in equal_statements(&decisions) {
        let sql = format!("{INSERT} VALUES {}", value_rows(connection, rows.len(), COLUMNS));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (decision, list) in rows {
            query = bound(query, decision, list)?;
        }
        query.execute(&mut *connection).await.map_err(storage_error)?;
    }
    Ok(())
}

/// `query` with the columns of one more row.
pub(crate) fn bound<'q>(
    query: Query<'q>,
    decision: &DecisionRecord,
    list: &Option<String>,
) -> Result<Query<'q>, StorageError> {
    let what = "a decision";
    Ok(query
        .bind(decision.tenant.to_string())
        .bind(decision.id.to_string())
        .bind(decision.kind.to_string())
        .bind(decision.subject.clone())
        .bind(decision.model.clone())
        .bind(to_json(what, &decision.request)?)
        .bind(to_json(what, &decision.answer)?)
        .bind(to_json(what, &decision.reasons)?)
        .bind(NO_NAMED_FEATURES)
        .bind(list.clone())
        .bind(list.as_ref().map(|_| feature_lists::to_bytes(&decision.features)))
        .bind(to_json(what, &decision.applied_offsets)?)
        .bind(i64::from(decision.degraded))
        .bind(decision.latency_us)
        .bind(decision.outcome.to_string())
        .bind(decision.created_at.micros()))
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: DecisionId,
) -> Result<Option<DecisionRecord>, StorageError> {
    let row = row_of(connection, "SELECT * FROM decisions WHERE tenant = $1 AND id = $2", tenant, id).await?;
    let lists = FeatureLists::of(connection, row.as_slice()).await?;
    row.map(|row| decision(&row, &lists)).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &DecisionFilter,
    page: &PageRequest,
) -> Result<Page<DecisionRecord>, StorageError> {
    let kind = filter.kind.map(|kind| kind.to_string());
    let outcome = filter.outcome.map(|outcome| outcome.to_string());
    let list = if kind.is_some() { OF_A_KIND } else { ALL };
    let rows = list.rows(connection, tenant, &[("kind", kind), ("outcome", outcome)], page).await?;
    let lists = FeatureLists::of(connection, &rows).await?;
    let decisions = rows.iter().map(|row| decision(row, &lists)).collect::<Result<_, _>>()?;
    let place = |decision: &DecisionRecord| Cursor { created_at: decision.created_at, id: decision.id.to_string() };
    Ok(Page::from_items(decisions, page.limit(), place))
}

pub(crate) fn decision(row: &AnyRow, lists: &FeatureLists) -> Result<DecisionRecord, StorageError> {
    let fields = Fields::new("a decision", row);
    Ok(DecisionRecord {
        tenant: fields.parsed("tenant")?,
        id: fields.parsed("id")?,
        kind: fields.word("kind", DecisionKind::from_word)?,
        subject: fields.text("subject")?,
        model: fields.text("model")?,
        request: fields.json("request")?,
        answer: fields.json("answer")?,
        reasons: fields.json("reasons")?,
        features: lists.features(&fields)?,
        applied_offsets: fields.json("applied_offsets")?,
        degraded: fields.flag("degraded")?,
        latency_us: fields.integer("latency_us")?,
        outcome: fields.word("outcome", DecisionOutcome::from_word)?,
        created_at: fields.time("created_at")?,
    })
}
