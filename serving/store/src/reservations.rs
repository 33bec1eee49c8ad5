//! Units of many products reserved, taken and given free, each by one statement; counts of stock are set elsewhere.

use std::collections::BTreeMap;

use dhow_commerce::{Shortage, StockLevel, StorageError};
use dhow_events::{ProductId, TenantId};
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::products::{level, stock};
use crate::rows::{Fields, equal_statements, storage_error, value_rows_from};

/// Units wanted of each product.
type Demand = BTreeMap<ProductId, i64>;

/// How wanted units move within the stock of a product.
struct Move {
    set: &'static str,
    /// The condition and the change are one statement, so that no other checkout comes between them.
    only_where: Option<&'static str>,
}

const RESERVE: Move =
    Move { set: "reserved = reserved + wanted.quantity", only_where: Some("on_hand - reserved >= wanted.quantity") };
const TAKE: Move =
    Move { set: "on_hand = on_hand - wanted.quantity, reserved = reserved - wanted.quantity", only_where: None };
const RELEASE: Move = Move { set: "reserved = reserved - wanted.quantity", only_where: None };

/// Reserves what is there of each product and says what is missing; whoever needs all of it rolls back.
pub(crate) async fn reserve(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    demand: &Demand,
) -> Result<Vec<Shortage>, StorageError> {
    let reserved = moved(connection, kind, &RESERVE, tenant, demand).await?;
    let mut shortages = Vec::new();
    for (&product, &wanted) in demand.iter().filter(|(product, _)| !reserved.contains_key(product)) {
        let available = stock(connection, tenant, product).await?.map_or(0, |level| level.available());
        shortages.push(Shortage { product, wanted, available });
    }
    Ok(shortages)
}

/// Takes reserved units out of stock and gives what is there then, in the order of the products.
pub(crate) async fn take(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    demand: &Demand,
) -> Result<Vec<StockLevel>, StorageError> {
    let taken = moved(connection, kind, &TAKE, tenant, demand).await?;
    let of = |product: &ProductId| {
        let detail = || format!("{product} was reserved and has no stock");
        taken.get(product).copied().ok_or_else(|| StorageError::Corrupt { what: "a stock level", detail: detail() })
    };
    demand.keys().map(of).collect()
}

pub(crate) async fn release(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    demand: &Demand,
) -> Result<(), StorageError> {
    moved(connection, kind, &RELEASE, tenant, demand).await.map(drop)
}

/// Moves units and gives the stock of the products of which some were moved.
async fn moved(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    change: &Move,
    tenant: TenantId,
    demand: &Demand,
) -> Result<BTreeMap<ProductId, StockLevel>, StorageError> {
    let demand: Vec<(&ProductId, &i64)> = demand.iter().collect();
    let mut levels = BTreeMap::new();
    for rows in equal_statements(&demand) {
        let mut query = sqlx::query(AssertSqlSafe(statement(kind, change, rows.len())));
        for (product, quantity) in rows {
            query = query.bind(product.to_string()).bind(**quantity);
        }
        for row in query.bind(tenant.to_string()).fetch_all(&mut *connection).await.map_err(storage_error)? {
            let product = Fields::new("a stock level", &row).parsed("product")?;
            levels.insert(product, level(product, &row)?);
        }
    }
    Ok(levels)
}

/// The text for `count` products. Two checkouts that want the same products lock them in one order, so that they never wait for
/// each other: SQLite has one writer anyway, PostgreSQL locks the sorted rows before it changes any.
fn statement(kind: DatabaseKind, change: &Move, count: usize) -> String {
    let wanted = format!("WITH wanted (product, quantity) AS (VALUES {})", value_rows_from(kind, 1, count, 2));
    let only_where = change.only_where.map_or(String::new(), |condition| format!(" AND {condition}"));
    let update = format!("UPDATE stock SET {} FROM wanted", change.set);
    let result = "RETURNING stock.product, stock.on_hand, stock.reserved";
    match kind {
        DatabaseKind::Sqlite => {
            format!("{wanted} {update} WHERE stock.product = wanted.product{only_where} AND stock.tenant = ? {result}")
        }
        DatabaseKind::Postgres => {
            let tenant = format!("stock.tenant = ${}", count * 2 + 1);
            format!(
                "{wanted}, held AS MATERIALIZED (SELECT stock.product FROM stock JOIN wanted USING (product) \
                 WHERE {tenant} ORDER BY stock.product FOR UPDATE OF stock) \
                 {update} JOIN held USING (product) WHERE {tenant} AND stock.product = wanted.product{only_where} {result}"
            )
        }
    }
}
