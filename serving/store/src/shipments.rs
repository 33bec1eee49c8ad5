//! Shipments and the units that are on them, in SQL.

use dhow_commerce::{Cursor, LineUnits, OrderShipment, Page, PageRequest, ShipmentFilter, StorageError};
use dhow_events::{OrderId, ProductId, ShipmentId, TenantId, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List = List { table: "shipments", columns: "body", id: "id", by: By::Creation };
const WHAT: &str = "a shipment";

/// Writes a shipment, new or changed.
pub(crate) async fn put(connection: &mut AnyConnection, value: &OrderShipment) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO shipments (tenant, id, order_id, buyer, seller, state, version, due_at, body, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (tenant, id) DO UPDATE \
         SET state = excluded.state, version = excluded.version, due_at = excluded.due_at, body = excluded.body, \
         updated_at = excluded.updated_at",
    )
    .bind(value.tenant.to_string())
    .bind(value.id.to_string())
    .bind(value.order.to_string())
    .bind(value.buyer.to_string())
    .bind(value.seller.to_string())
    .bind(value.state.to_string())
    .bind(value.version)
    .bind(value.due_at().map(Timestamp::micros))
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
    id: ShipmentId,
) -> Result<Option<OrderShipment>, StorageError> {
    let sql = "SELECT body FROM shipments WHERE tenant = $1 AND id = $2";
    row_of(connection, sql, tenant, id).await?.as_ref().map(read).transpose()
}

pub(crate) async fn of_order(
    connection: &mut AnyConnection,
    tenant: TenantId,
    order: OrderId,
) -> Result<Vec<OrderShipment>, StorageError> {
    let sql = "SELECT body FROM shipments WHERE tenant = $1 AND order_id = $2 ORDER BY created_at, id";
    let query = sqlx::query(sql).bind(tenant.to_string()).bind(order.to_string());
    query.fetch_all(connection).await.map_err(storage_error)?.iter().map(read).collect()
}

pub(crate) async fn due(
    connection: &mut AnyConnection,
    now: Timestamp,
    after: Option<(Timestamp, ShipmentId)>,
    limit: u32,
) -> Result<Vec<OrderShipment>, StorageError> {
    let (after_at, after_id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at.micros(), id.to_string()));
    let rows = sqlx::query(
        "SELECT body FROM shipments WHERE due_at IS NOT NULL AND due_at <= $1 AND (due_at, id) > ($2, $3) \
         ORDER BY due_at, id LIMIT $4",
    )
    .bind(now.micros())
    .bind(after_at)
    .bind(after_id)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    rows.iter().map(read).collect()
}

pub(crate) async fn line_units(
    connection: &mut AnyConnection,
    tenant: TenantId,
    order: OrderId,
) -> Result<Vec<LineUnits>, StorageError> {
    let sql = "SELECT product, quantity, shipped, returned, called_off FROM order_lines \
               WHERE tenant = $1 AND order_id = $2 ORDER BY line_number";
    let query = sqlx::query(sql).bind(tenant.to_string()).bind(order.to_string());
    let rows = query.fetch_all(connection).await.map_err(storage_error)?;
    let units = |row: &AnyRow| {
        let fields = Fields::new("an order's line", row);
        Ok(LineUnits {
            product: fields.parsed("product")?,
            bought: fields.integer("quantity")?,
            shipped: fields.integer("shipped")?,
            returned: fields.integer("returned")?,
            called_off: fields.integer("called_off")?,
        })
    };
    rows.iter().map(units).collect()
}

pub(crate) async fn add_units(
    connection: &mut AnyConnection,
    tenant: TenantId,
    (order, product): (OrderId, ProductId),
    (shipped, called_off): (i64, i64),
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE order_lines SET shipped = shipped + $4, called_off = called_off + $5 \
         WHERE tenant = $1 AND order_id = $2 AND line_number = \
         (SELECT MIN(line_number) FROM order_lines WHERE tenant = $1 AND order_id = $2 AND product = $3)",
    )
    .bind(tenant.to_string())
    .bind(order.to_string())
    .bind(product.to_string())
    .bind(shipped)
    .bind(called_off)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &ShipmentFilter,
    page: &PageRequest,
) -> Result<Page<OrderShipment>, StorageError> {
    let filters = [
        ("order_id", filter.order.map(|order| order.to_string())),
        ("buyer", filter.buyer.map(|buyer| buyer.to_string())),
        ("seller", filter.seller.map(|seller| seller.to_string())),
        ("state", filter.state.map(|state| state.to_string())),
    ];
    let rows = LIST.rows(connection, tenant, &filters, page).await?;
    let shipments = rows.iter().map(read).collect::<Result<_, _>>()?;
    let place = |value: &OrderShipment| Cursor { created_at: value.created_at, id: value.id.to_string() };
    Ok(Page::from_items(shipments, page.limit(), place))
}

fn read(row: &AnyRow) -> Result<OrderShipment, StorageError> {
    Fields::new(WHAT, row).json("body")
}
