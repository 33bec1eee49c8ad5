//! Reorder proposals and their budgets in SQL.

use dhow_commerce::{
    Cursor, Page, PageRequest, ReorderBudgets, ReorderProposal, ReorderState, StorageError, UnitsOnTheirWay,
};
use dhow_events::{ProductId, ReorderId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::pages::{By, List};
use crate::rows::{Fields, equal_statements, placeholders, storage_error, to_json};

const LIST: List = List { table: "reorders", columns: "body", id: "id", by: By::Creation };
const WHAT: &str = "a reorder proposal";

/// Writes a proposal, new or changed. One that waits for a person is written after the one that it supersedes.
pub(crate) async fn put(connection: &mut AnyConnection, proposal: &ReorderProposal) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO reorders (tenant, id, product, state, units, cost_usd_minor, approved_at, body, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, id) DO UPDATE \
         SET state = excluded.state, units = excluded.units, cost_usd_minor = excluded.cost_usd_minor, \
         approved_at = excluded.approved_at, body = excluded.body",
    )
    .bind(proposal.tenant.to_string())
    .bind(proposal.id.to_string())
    .bind(proposal.product.to_string())
    .bind(proposal.state.to_string())
    .bind(proposal.units)
    .bind(proposal.cost_usd_minor)
    .bind(proposal.approved_at.map(Timestamp::micros))
    .bind(to_json(WHAT, proposal)?)
    .bind(proposal.created_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: ReorderId,
) -> Result<Option<ReorderProposal>, StorageError> {
    select(connection, "id = $2", "", tenant, id.to_string()).await
}

/// The same with its row locked where the database locks rows; SQLite's one writer needs no lock.
pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: ReorderId,
) -> Result<Option<ReorderProposal>, StorageError> {
    select(connection, "id = $2", kind.row_lock(), tenant, id.to_string()).await
}

pub(crate) async fn waiting(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    product: ProductId,
) -> Result<Option<ReorderProposal>, StorageError> {
    select(connection, "product = $2 AND state = 'proposed'", kind.row_lock(), tenant, product.to_string()).await
}

async fn select(
    connection: &mut AnyConnection,
    condition: &str,
    lock: &str,
    tenant: TenantId,
    value: String,
) -> Result<Option<ReorderProposal>, StorageError> {
    let sql = format!("SELECT body FROM reorders WHERE tenant = $1 AND {condition}{lock}");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .bind(value)
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    row.as_ref().map(proposal).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    state: Option<ReorderState>,
    page: &PageRequest,
) -> Result<Page<ReorderProposal>, StorageError> {
    let state = state.map(|state| state.to_string());
    let rows = LIST.rows(connection, tenant, &[("state", state)], page).await?;
    let proposals = rows.iter().map(proposal).collect::<Result<_, _>>()?;
    let place = |proposal: &ReorderProposal| Cursor { created_at: proposal.created_at, id: proposal.id.to_string() };
    Ok(Page::from_items(proposals, page.limit(), place))
}

pub(crate) async fn on_their_way(
    connection: &mut AnyConnection,
    tenant: TenantId,
    products: &[ProductId],
) -> Result<UnitsOnTheirWay, StorageError> {
    let mut units = UnitsOnTheirWay::new();
    for products in equal_statements(products) {
        let sql = format!(
            "SELECT product, CAST(SUM(units) AS BIGINT) AS units FROM reorders \
             WHERE tenant = $1 AND product IN ({}) AND state IN ('approved', 'ordered') GROUP BY product",
            placeholders(2, products.len())
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
        let query = products.iter().fold(query, |query, product| query.bind(product.to_string()));
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            let fields = Fields::new("units on their way", &row);
            units.insert(fields.parsed("product")?, fields.integer("units")?);
        }
    }
    Ok(units)
}

/// Cents of what was approved since `from` and not called off.
pub(crate) async fn approved_cost(
    connection: &mut AnyConnection,
    tenant: TenantId,
    from: Timestamp,
) -> Result<i64, StorageError> {
    let row = sqlx::query(
        "SELECT CAST(COALESCE(SUM(cost_usd_minor), 0) AS BIGINT) AS cost FROM reorders \
         WHERE tenant = $1 AND approved_at >= $2",
    )
    .bind(tenant.to_string())
    .bind(from.micros())
    .fetch_one(connection)
    .await
    .map_err(storage_error)?;
    Fields::new("the cost of approved proposals", &row).integer("cost")
}

/// The tenant's budgets; no bounds where none were set.
pub(crate) async fn budgets(connection: &mut AnyConnection, tenant: TenantId) -> Result<ReorderBudgets, StorageError> {
    select_budgets(connection, "", tenant).await
}

/// The same with their row locked where the database locks rows.
pub(crate) async fn hold_budgets(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
) -> Result<ReorderBudgets, StorageError> {
    select_budgets(connection, kind.row_lock(), tenant).await
}

async fn select_budgets(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
) -> Result<ReorderBudgets, StorageError> {
    let sql = format!("SELECT body FROM reorder_budgets WHERE tenant = $1{lock}");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    let budgets = row.map(|row| Fields::new("reorder budgets", &row).json("body")).transpose()?;
    Ok(budgets.unwrap_or_default())
}

pub(crate) async fn put_budgets(
    connection: &mut AnyConnection,
    tenant: TenantId,
    budgets: &ReorderBudgets,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO reorder_budgets (tenant, body) VALUES ($1, $2) \
         ON CONFLICT (tenant) DO UPDATE SET body = excluded.body",
    )
    .bind(tenant.to_string())
    .bind(to_json("reorder budgets", budgets)?)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

fn proposal(row: &AnyRow) -> Result<ReorderProposal, StorageError> {
    Fields::new(WHAT, row).json("body")
}
