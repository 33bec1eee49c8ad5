//! Saved searches, the products that they know, and price alerts in SQL.

use dhow_commerce::{Cursor, Page, PageRequest, PriceAlert, SAVED_SEARCH_PRODUCTS_MAX, SavedSearch, StorageError};
use dhow_events::{BuyerId, Erasure, PriceAlertId, ProductId, SavedSearchId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::Store;
use crate::connect::Durability;
use crate::pages::{By, List};
use crate::rows::{Fields, equal_statements, placeholders, row_of, storage_error, to_json};

const SEARCHES: List = List { table: "saved_searches", columns: "body, product_count", id: "id", by: By::Creation };
const ALERTS: List = List { table: "price_alerts", columns: "body, triggered_at", id: "id", by: By::Creation };
const SEARCH: &str = "a saved search";
const ALERT: &str = "a price alert";

fn search_of(row: &AnyRow) -> Result<SavedSearch, StorageError> {
    let fields = Fields::new(SEARCH, row);
    Ok(SavedSearch { product_count: fields.integer("product_count")?, ..fields.json("body")? })
}

fn alert_of(row: &AnyRow) -> Result<PriceAlert, StorageError> {
    let fields = Fields::new(ALERT, row);
    Ok(PriceAlert { triggered_at: fields.optional_time("triggered_at")?, ..fields.json("body")? })
}

pub(crate) async fn versions(connection: &mut AnyConnection) -> Result<Vec<(TenantId, i64)>, StorageError> {
    let rows = sqlx::query("SELECT tenant, version FROM watch_versions ORDER BY tenant")
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    let of = |row: &AnyRow| {
        let fields = Fields::new("a tenant's saved searches", row);
        Ok((fields.parsed("tenant")?, fields.integer("version")?))
    };
    rows.iter().map(of).collect()
}

/// Raises the tenant's number; the row is held until the transaction ends.
pub(crate) async fn change(connection: &mut AnyConnection, tenant: TenantId) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO watch_versions (tenant, version) VALUES ($1, 1) \
         ON CONFLICT (tenant) DO UPDATE SET version = watch_versions.version + 1",
    )
    .bind(tenant.to_string())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

async fn count(
    connection: &mut AnyConnection,
    table: &'static str,
    tenant: TenantId,
    buyer: Option<BuyerId>,
) -> Result<i64, StorageError> {
    let of_buyer = if buyer.is_some() { " AND buyer = $2" } else { "" };
    let sql = format!("SELECT COUNT(*) AS number FROM {table} WHERE tenant = $1{of_buyer}");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
    let query = buyer.into_iter().fold(query, |query, buyer| query.bind(buyer.to_string()));
    let row = query.fetch_one(connection).await.map_err(storage_error)?;
    Fields::new("a count", &row).integer("number")
}

pub(crate) async fn count_searches(
    connection: &mut AnyConnection,
    tenant: TenantId,
    buyer: Option<BuyerId>,
) -> Result<i64, StorageError> {
    count(connection, "saved_searches", tenant, buyer).await
}

pub(crate) async fn count_alerts(
    connection: &mut AnyConnection,
    tenant: TenantId,
    buyer: Option<BuyerId>,
) -> Result<i64, StorageError> {
    count(connection, "price_alerts", tenant, buyer).await
}

pub(crate) async fn insert_search(connection: &mut AnyConnection, search: &SavedSearch) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO saved_searches (tenant, id, buyer, body, product_count, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(search.tenant.to_string())
    .bind(search.id.to_string())
    .bind(search.input.buyer.to_string())
    .bind(to_json(SEARCH, search)?)
    .bind(search.product_count)
    .bind(search.created_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn search(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: SavedSearchId,
) -> Result<Option<SavedSearch>, StorageError> {
    let sql = "SELECT body, product_count FROM saved_searches WHERE tenant = $1 AND id = $2";
    row_of(connection, sql, tenant, id).await?.as_ref().map(search_of).transpose()
}

pub(crate) async fn all_searches(
    connection: &mut AnyConnection,
    tenant: TenantId,
) -> Result<Vec<SavedSearch>, StorageError> {
    let rows = sqlx::query("SELECT body, product_count FROM saved_searches WHERE tenant = $1 ORDER BY id")
        .bind(tenant.to_string())
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    rows.iter().map(search_of).collect()
}

pub(crate) async fn search_page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    buyer: Option<BuyerId>,
    page: &PageRequest,
) -> Result<Page<SavedSearch>, StorageError> {
    let filters = [("buyer", buyer.map(|buyer| buyer.to_string()))];
    let rows = SEARCHES.rows(connection, tenant, &filters, page).await?;
    let searches = rows.iter().map(search_of).collect::<Result<_, _>>()?;
    let place = |search: &SavedSearch| Cursor { created_at: search.created_at, id: search.id.to_string() };
    Ok(Page::from_items(searches, page.limit(), place))
}

pub(crate) async fn delete_search(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: SavedSearchId,
) -> Result<bool, StorageError> {
    // First the search: whoever writes that it knows a product then waits, or finds it gone.
    let mut deleted = [0; 2];
    for (deleted, sql) in deleted.iter_mut().zip([
        "DELETE FROM saved_searches WHERE tenant = $1 AND id = $2",
        "DELETE FROM saved_search_products WHERE tenant = $1 AND search = $2",
    ]) {
        let query = sqlx::query(sql).bind(tenant.to_string()).bind(id.to_string());
        *deleted = query.execute(&mut *connection).await.map_err(storage_error)?.rows_affected();
    }
    Ok(deleted[0] == 1)
}

/// Writes down that a search knows a product. The search's row is held first, so that its count stays true and nothing is
/// written of a search that goes.
pub(crate) async fn know(
    connection: &mut AnyConnection,
    tenant: TenantId,
    search: SavedSearchId,
    product: ProductId,
) -> Result<bool, StorageError> {
    let raised = sqlx::query(
        "UPDATE saved_searches SET product_count = product_count + 1 WHERE tenant = $1 AND id = $2 \
         AND product_count < $4 AND NOT EXISTS (SELECT 1 FROM saved_search_products \
         WHERE tenant = $1 AND search = $2 AND product = $3)",
    )
    .bind(tenant.to_string())
    .bind(search.to_string())
    .bind(product.to_string())
    .bind(SAVED_SEARCH_PRODUCTS_MAX)
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    if raised.rows_affected() == 0 {
        return Ok(false);
    }
    let known = sqlx::query(
        "INSERT INTO saved_search_products (tenant, search, product) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant, search, product) DO NOTHING",
    )
    .bind(tenant.to_string())
    .bind(search.to_string())
    .bind(product.to_string())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    if known.rows_affected() == 1 {
        return Ok(true);
    }
    // Another transaction wrote it while this one waited for the search's row.
    sqlx::query("UPDATE saved_searches SET product_count = product_count - 1 WHERE tenant = $1 AND id = $2")
        .bind(tenant.to_string())
        .bind(search.to_string())
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(false)
}

pub(crate) async fn insert_alert(connection: &mut AnyConnection, alert: &PriceAlert) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO price_alerts (tenant, id, buyer, product, body, triggered_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(alert.tenant.to_string())
    .bind(alert.id.to_string())
    .bind(alert.input.buyer.to_string())
    .bind(alert.input.product.to_string())
    .bind(to_json(ALERT, alert)?)
    .bind(alert.triggered_at.map(|at| at.micros()))
    .bind(alert.created_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn alert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PriceAlertId,
) -> Result<Option<PriceAlert>, StorageError> {
    let sql = "SELECT body, triggered_at FROM price_alerts WHERE tenant = $1 AND id = $2";
    row_of(connection, sql, tenant, id).await?.as_ref().map(alert_of).transpose()
}

pub(crate) async fn alert_page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    buyer: Option<BuyerId>,
    page: &PageRequest,
) -> Result<Page<PriceAlert>, StorageError> {
    let filters = [("buyer", buyer.map(|buyer| buyer.to_string()))];
    let rows = ALERTS.rows(connection, tenant, &filters, page).await?;
    let alerts = rows.iter().map(alert_of).collect::<Result<_, _>>()?;
    let place = |alert: &PriceAlert| Cursor { created_at: alert.created_at, id: alert.id.to_string() };
    Ok(Page::from_items(alerts, page.limit(), place))
}

pub(crate) async fn waiting_alerts(
    connection: &mut AnyConnection,
    tenant: TenantId,
    products: &[ProductId],
) -> Result<Vec<PriceAlert>, StorageError> {
    let mut alerts = Vec::new();
    for products in equal_statements(products) {
        let sql = format!(
            "SELECT body, triggered_at FROM price_alerts \
             WHERE tenant = $1 AND triggered_at IS NULL AND product IN ({}) ORDER BY id",
            placeholders(2, products.len())
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
        let query = products.iter().fold(query, |query, product| query.bind(product.to_string()));
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            alerts.push(alert_of(&row)?);
        }
    }
    alerts.sort_by_key(|alert| alert.id);
    Ok(alerts)
}

pub(crate) async fn delete_alert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PriceAlertId,
) -> Result<bool, StorageError> {
    let query = sqlx::query("DELETE FROM price_alerts WHERE tenant = $1 AND id = $2");
    let done = query.bind(tenant.to_string()).bind(id.to_string()).execute(connection).await.map_err(storage_error)?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn trigger(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PriceAlertId,
    at: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "UPDATE price_alerts SET triggered_at = $3 WHERE tenant = $1 AND id = $2 AND triggered_at IS NULL";
    let query = sqlx::query(sql).bind(tenant.to_string()).bind(id.to_string()).bind(at.micros());
    Ok(query.execute(connection).await.map_err(storage_error)?.rows_affected() == 1)
}

/// Removes what an erased person saved and waits for: nobody is to be told of it. Gives how many rows went.
pub(crate) async fn forget(store: &Store, erasure: &Erasure) -> Result<u64, StorageError> {
    let mut transaction = store.writer(Durability::Synced).await?;
    let of_person = "tenant = $1 AND buyer = $2";
    let mut forgotten = 0;
    for sql in [
        format!(
            "DELETE FROM saved_search_products WHERE tenant = $1 AND search IN \
             (SELECT id FROM saved_searches WHERE {of_person})"
        ),
        format!("DELETE FROM saved_searches WHERE {of_person}"),
        format!("DELETE FROM price_alerts WHERE {of_person}"),
    ] {
        let query = sqlx::query(AssertSqlSafe(sql)).bind(erasure.tenant.to_string()).bind(erasure.person.to_string());
        forgotten += query.execute(&mut *transaction).await.map_err(storage_error)?.rows_affected();
    }
    if forgotten > 0 {
        change(&mut transaction, erasure.tenant).await?;
    }
    transaction.commit().await.map_err(storage_error)?;
    Ok(forgotten)
}
