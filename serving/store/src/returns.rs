//! Returns, the refunds that settle them and the units that are on them, in SQL.

use dhow_commerce::{Cursor, Page, PageRequest, Return, ReturnFilter, StorageError};
use dhow_events::{OrderId, ProductId, ReturnId, TenantId, TransferId};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List = List { table: "returns", columns: "body", id: "id", by: By::Creation };
const WHAT: &str = "a return";

/// Writes a return, new or changed.
pub(crate) async fn put(connection: &mut AnyConnection, value: &Return) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO returns (tenant, id, order_id, buyer, seller, state, version, body, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (tenant, id) DO UPDATE \
         SET state = excluded.state, version = excluded.version, body = excluded.body, updated_at = excluded.updated_at",
    )
    .bind(value.tenant.to_string())
    .bind(value.id.to_string())
    .bind(value.order.to_string())
    .bind(value.buyer.to_string())
    .bind(value.seller.to_string())
    .bind(value.state.to_string())
    .bind(value.version)
    .bind(to_json(WHAT, value)?)
    .bind(value.created_at.micros())
    .bind(value.updated_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: ReturnId,
) -> Result<Option<Return>, StorageError> {
    let sql = "SELECT body FROM returns WHERE tenant = $1 AND id = $2";
    row_of(connection, sql, tenant, id).await?.as_ref().map(read).transpose()
}

pub(crate) async fn of_transfer(
    connection: &mut AnyConnection,
    tenant: TenantId,
    transfer: TransferId,
) -> Result<Option<Return>, StorageError> {
    let sql = "SELECT r.body FROM return_transfers t JOIN returns r ON r.tenant = t.tenant AND r.id = t.return_id \
               WHERE t.tenant = $1 AND t.transfer = $2";
    row_of(connection, sql, tenant, transfer).await?.as_ref().map(read).transpose()
}

pub(crate) async fn insert_transfer(
    connection: &mut AnyConnection,
    tenant: TenantId,
    transfer: TransferId,
    id: ReturnId,
) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO return_transfers (tenant, transfer, return_id) VALUES ($1, $2, $3)")
        .bind(tenant.to_string())
        .bind(transfer.to_string())
        .bind(id.to_string())
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn count(
    connection: &mut AnyConnection,
    tenant: TenantId,
    order: OrderId,
) -> Result<i64, StorageError> {
    let sql = "SELECT COUNT(*) AS number FROM returns WHERE tenant = $1 AND order_id = $2";
    let row = row_of(connection, sql, tenant, order).await?;
    row.map_or(Ok(0), |row| Fields::new("a count", &row).integer("number"))
}

pub(crate) async fn add_units(
    connection: &mut AnyConnection,
    tenant: TenantId,
    (order, product): (OrderId, ProductId),
    quantity: i64,
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE order_lines SET returned = returned + $4 WHERE tenant = $1 AND order_id = $2 AND line_number = \
         (SELECT MIN(line_number) FROM order_lines WHERE tenant = $1 AND order_id = $2 AND product = $3)",
    )
    .bind(tenant.to_string())
    .bind(order.to_string())
    .bind(product.to_string())
    .bind(quantity)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &ReturnFilter,
    page: &PageRequest,
) -> Result<Page<Return>, StorageError> {
    let filters = [
        ("order_id", filter.order.map(|order| order.to_string())),
        ("buyer", filter.buyer.map(|buyer| buyer.to_string())),
        ("seller", filter.seller.map(|seller| seller.to_string())),
        ("state", filter.state.map(|state| state.to_string())),
    ];
    let rows = LIST.rows(connection, tenant, &filters, page).await?;
    let returns = rows.iter().map(read).collect::<Result<_, _>>()?;
    let place = |value: &Return| Cursor { created_at: value.created_at, id: value.id.to_string() };
    Ok(Page::from_items(returns, page.limit(), place))
}

fn read(row: &AnyRow) -> Result<Return, StorageError> {
    Fields::new(WHAT, row).json("body")
}
