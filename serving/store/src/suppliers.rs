//! Suppliers in SQL: one row each with its papers, and the list by state; which step a supplier may take is decided elsewhere.

use dhow_commerce::{Cursor, Page, PageRequest, StorageError, Supplier, SupplierState};
use dhow_events::{SellerId, TenantId};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List = List { table: "suppliers", columns: "body", id: "seller", by: By::Creation };
const WHAT: &str = "a supplier";

/// Writes a supplier over the version before it; `false` where another one is stored.
pub(crate) async fn put(connection: &mut AnyConnection, supplier: &Supplier) -> Result<bool, StorageError> {
    let done = sqlx::query(
        "INSERT INTO suppliers (tenant, seller, state, version, body, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (tenant, seller) DO UPDATE \
         SET state = excluded.state, version = excluded.version, body = excluded.body \
         WHERE suppliers.version = excluded.version - 1",
    )
    .bind(supplier.tenant.to_string())
    .bind(supplier.seller.to_string())
    .bind(supplier.state.to_string())
    .bind(supplier.version)
    .bind(to_json(WHAT, supplier)?)
    .bind(supplier.created_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(done.rows_affected() == 1)
}

/// A supplier; `lock` holds the row.
pub(crate) async fn find(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    seller: SellerId,
) -> Result<Option<Supplier>, StorageError> {
    let sql = format!("SELECT body FROM suppliers WHERE tenant = $1 AND seller = $2{lock}");
    row_of(connection, &sql, tenant, seller).await?.as_ref().map(read).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    state: Option<SupplierState>,
    page: &PageRequest,
) -> Result<Page<Supplier>, StorageError> {
    let rows = LIST.rows(connection, tenant, &[("state", state.map(|state| state.to_string()))], page).await?;
    let suppliers = rows.iter().map(read).collect::<Result<_, _>>()?;
    let place = |supplier: &Supplier| Cursor { created_at: supplier.created_at, id: supplier.seller.to_string() };
    Ok(Page::from_items(suppliers, page.limit(), place))
}

fn read(row: &AnyRow) -> Result<Supplier, StorageError> {
    Fields::new(WHAT, row).json("body")
}
