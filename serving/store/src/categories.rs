//! Category trees in SQL: one row for each tenant; what a tree may say is decided elsewhere.

use dhow_commerce::{CategoryTree, StorageError};
use dhow_events::{Category, TenantId};
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::rows::{Fields, storage_error, to_json};

const WHAT: &str = "a category tree";

/// A tenant's tree; `lock` holds the row.
pub(crate) async fn find(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
) -> Result<Option<CategoryTree>, StorageError> {
    let sql = format!("SELECT body FROM category_trees WHERE tenant = $1{lock}");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string()).fetch_optional(connection).await;
    row.map_err(storage_error)?.map(|row| Fields::new(WHAT, &row).json("body")).transpose()
}

/// The categories that products are in.
pub(crate) async fn used(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<Category>, StorageError> {
    let sql = "SELECT DISTINCT category FROM products WHERE tenant = $1 ORDER BY category";
    let rows = sqlx::query(sql).bind(tenant.to_string()).fetch_all(connection).await.map_err(storage_error)?;
    rows.iter().map(|row| Fields::new("a product", row).parsed("category")).collect()
}

/// Writes a tree over the version before it; `false` where another one is stored.
pub(crate) async fn put(connection: &mut AnyConnection, tree: &CategoryTree) -> Result<bool, StorageError> {
    let done = sqlx::query(
        "INSERT INTO category_trees (tenant, version, body) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant) DO UPDATE SET version = excluded.version, body = excluded.body \
         WHERE category_trees.version = excluded.version - 1",
    )
    .bind(tree.tenant.to_string())
    .bind(tree.version)
    .bind(to_json(WHAT, tree)?)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(done.rows_affected() == 1)
}
