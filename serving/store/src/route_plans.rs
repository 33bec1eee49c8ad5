//! Route plans and their earlier versions in SQL.

use dhow_commerce::{
    Cursor, Page, PageRequest, ROUTE_PLAN_VERSIONS_KEPT_MAX, ROUTE_PLANS_KEPT_MAX, RoutePlan, RoutePlanHead,
    RoutePlanProgress, RoutePlanState, StorageError,
};
use dhow_events::{PlanId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List =
    List { table: "route_plans", columns: "state, progress, body, updated_at", id: "id", by: By::Creation };
const WHAT: &str = "a route plan";

/// Writes a plan, new or changed, and its version; removes the oldest versions and, with a new plan, the oldest plans that
/// nobody accepted.
pub(crate) async fn put(connection: &mut AnyConnection, plan: &RoutePlan) -> Result<(), StorageError> {
    let (tenant, id, body) = (plan.tenant.to_string(), plan.id.to_string(), to_json(WHAT, plan)?);
    sqlx::query(
        "INSERT INTO route_plans (tenant, id, version, state, progress, body, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, id) DO UPDATE \
         SET version = excluded.version, state = excluded.state, progress = excluded.progress, body = excluded.body, \
         updated_at = excluded.updated_at",
    )
    .bind(tenant.clone())
    .bind(id.clone())
    .bind(plan.version)
    .bind(plan.state.to_string())
    .bind(to_json(WHAT, &plan.progress)?)
    .bind(body.clone())
    .bind(plan.created_at.micros())
    .bind(plan.updated_at.micros())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    sqlx::query("INSERT INTO route_plan_versions (tenant, id, version, body) VALUES ($1, $2, $3, $4)")
        .bind(tenant.clone())
        .bind(id.clone())
        .bind(plan.version)
        .bind(body)
        .execute(&mut *connection)
        .await
        .map_err(storage_error)?;
    sqlx::query("DELETE FROM route_plan_versions WHERE tenant = $1 AND id = $2 AND version <= $3")
        .bind(tenant)
        .bind(id)
        .bind(plan.version - ROUTE_PLAN_VERSIONS_KEPT_MAX)
        .execute(&mut *connection)
        .await
        .map_err(storage_error)?;
    if plan.version == 1 { forget_oldest(connection, plan.tenant).await } else { Ok(()) }
}

async fn forget_oldest(connection: &mut AnyConnection, tenant: TenantId) -> Result<(), StorageError> {
    let forgotten = "SELECT id FROM route_plans WHERE tenant = $1 AND state NOT IN ('queued', 'running', 'accepted') \
                     ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $2";
    for table in ["route_plan_versions", "route_plans"] {
        let sql = format!("DELETE FROM {table} WHERE tenant = $1 AND id IN ({forgotten})");
        sqlx::query(AssertSqlSafe(sql))
            .bind(tenant.to_string())
            .bind(ROUTE_PLANS_KEPT_MAX)
            .execute(&mut *connection)
            .await
            .map_err(storage_error)?;
    }
    Ok(())
}

/// Writes progress; `false`, and no change, where the plan is not under way.
pub(crate) async fn progress(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PlanId,
    state: RoutePlanState,
    progress: &RoutePlanProgress,
    at: Timestamp,
) -> Result<bool, StorageError> {
    let done = sqlx::query(
        "UPDATE route_plans SET state = $3, progress = $4, updated_at = $5 \
         WHERE tenant = $1 AND id = $2 AND state IN ('queued', 'running')",
    )
    .bind(tenant.to_string())
    .bind(id.to_string())
    .bind(state.to_string())
    .bind(to_json(WHAT, progress)?)
    .bind(at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(done.rows_affected() > 0)
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PlanId,
) -> Result<Option<RoutePlan>, StorageError> {
    select(connection, "", tenant, id).await
}

/// The same with its row locked where the database locks rows; SQLite's one writer needs no lock.
pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: PlanId,
) -> Result<Option<RoutePlan>, StorageError> {
    select(connection, kind.row_lock(), tenant, id).await
}

async fn select(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    id: PlanId,
) -> Result<Option<RoutePlan>, StorageError> {
    let sql = format!("SELECT state, progress, body, updated_at FROM route_plans WHERE tenant = $1 AND id = $2{lock}");
    let row = row_of(connection, &sql, tenant, id).await?;
    row.as_ref().map(plan).transpose()
}

/// How far a plan is.
pub(crate) async fn head(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PlanId,
) -> Result<Option<RoutePlanHead>, StorageError> {
    let row = row_of(
        connection,
        "SELECT version, state, progress, updated_at FROM route_plans WHERE tenant = $1 AND id = $2",
        tenant,
        id,
    )
    .await?;
    let head = |row: AnyRow| {
        let fields = Fields::new(WHAT, &row);
        Ok(RoutePlanHead {
            version: fields.integer("version")?,
            state: fields.word("state", RoutePlanState::from_word)?,
            progress: fields.json("progress")?,
            updated_at: fields.time("updated_at")?,
        })
    };
    row.map(head).transpose()
}

/// A plan as an earlier version was written.
pub(crate) async fn version(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PlanId,
    version: i64,
) -> Result<Option<RoutePlan>, StorageError> {
    let row = sqlx::query("SELECT body FROM route_plan_versions WHERE tenant = $1 AND id = $2 AND version = $3")
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(version)
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    row.map(|row| Fields::new(WHAT, &row).json("body")).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    state: Option<RoutePlanState>,
    page: &PageRequest,
) -> Result<Page<RoutePlan>, StorageError> {
    let state = state.map(|state| state.to_string());
    let rows = LIST.rows(connection, tenant, &[("state", state)], page).await?;
    let plans = rows.iter().map(plan).collect::<Result<_, _>>()?;
    let place = |plan: &RoutePlan| Cursor { created_at: plan.created_at, id: plan.id.to_string() };
    Ok(Page::from_items(plans, page.limit(), place))
}

fn plan(row: &AnyRow) -> Result<RoutePlan, StorageError> {
    let fields = Fields::new(WHAT, row);
    let plan: RoutePlan = fields.json("body")?;
    let state = fields.word("state", RoutePlanState::from_word)?;
    Ok(RoutePlan { state, progress: fields.json("progress")?, updated_at: fields.time("updated_at")?, ..plan })
}
