//! Checkouts written and moved on with their orders and payment; reading them is in `checkouts`.
//!
//! PostgreSQL gets all of it as one request, because each costs both sides more than its rows; SQLite, which is asked within
//! the process, gets the same statements one by one.

use dhow_commerce::{Checkout, Order, OrderLine, Payment, Settlement, StorageError};
use dhow_events::{CheckoutId, TenantId};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::rows::JsonColumn::{Text, Whole};
use crate::rows::{Query, columns_of_json, rows_of_json, storage_error, to_json, value_rows_from};

const CHECKOUT: &str = "INSERT INTO checkouts (tenant, id, buyer, state, refusal, request, shortages, line_count, \
     quantity, total_minor, total_currency, total_usd_minor, units_per_usd_micros, rates_as_of, decision, fraud, \
     idempotency_key, created_at, updated_at, credit)";
const CHECKOUT_COLUMNS: usize = 20;
const PAYMENT: &str = "INSERT INTO payments (tenant, id, checkout, method, state, amount_minor, currency, \
     authorised_minor, captured_minor, refunded_minor, rail_reference, decline_reason, created_at, updated_at)";
const PAYMENT_COLUMNS: usize = 14;
const ORDERS: &str = "INSERT INTO orders (tenant, id, checkout, buyer, seller, region, state, line_count, quantity, \
     total_minor, total_currency, total_usd_minor, version, created_at, updated_at, commission_minor, \
     commission_rate_ppm, commission_table_version)";
const LINES: &str = "INSERT INTO order_lines (tenant, order_id, line_number, product, category, title, quantity, \
     unit_price_minor, unit_price_currency, amount_usd_minor)";

pub(crate) async fn insert(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    checkout: &Checkout,
) -> Result<(), StorageError> {
    let Some(payment) = &checkout.payment else {
        // A refusal: it has no orders either.
        let query = sqlx::query(AssertSqlSafe(insert_checkout(kind)));
        return done(bound_checkout(query, checkout)?, connection).await;
    };
    let (orders, lines) = (order_rows(&checkout.orders), line_rows(&checkout.orders));
    match kind {
        DatabaseKind::Postgres => {
            let query = bound_checkout(sqlx::query(AssertSqlSafe(insert_all(kind))), checkout)?;
            done(bound_payment(query, checkout, payment).bind(orders).bind(lines), connection).await
        }
        DatabaseKind::Sqlite => {
            let query = sqlx::query(AssertSqlSafe(insert_checkout(kind)));
            done(bound_checkout(query, checkout)?, connection).await?;
            done(sqlx::query(AssertSqlSafe(insert_orders(kind, 1))).bind(orders), connection).await?;
            done(sqlx::query(AssertSqlSafe(insert_lines(kind, 1))).bind(lines), connection).await?;
            let query = sqlx::query(AssertSqlSafe(insert_payment(kind, 1)));
            done(bound_payment(query, checkout, payment), connection).await
        }
    }
}

/// A checkout, its payment, its orders and their lines; what refers to another is checked at the end of the whole statement.
fn insert_all(kind: DatabaseKind) -> String {
    let (payment, orders) = (CHECKOUT_COLUMNS + 1, CHECKOUT_COLUMNS + PAYMENT_COLUMNS + 1);
    format!(
        "WITH checkout AS ({}), payment AS ({}), placed AS ({}) {}",
        insert_checkout(kind),
        insert_payment(kind, payment),
        insert_orders(kind, orders),
        insert_lines(kind, orders + 1)
    )
}

fn insert_checkout(kind: DatabaseKind) -> String {
    format!("{CHECKOUT} VALUES {}", value_rows_from(kind, 1, 1, CHECKOUT_COLUMNS))
}

fn insert_payment(kind: DatabaseKind, first: usize) -> String {
    format!("{PAYMENT} VALUES {}", value_rows_from(kind, first, 1, PAYMENT_COLUMNS))
}

fn insert_orders(kind: DatabaseKind, parameter: usize) -> String {
    let columns = [Text; 7].into_iter().chain([Whole; 3]).chain([Text]).chain([Whole; 7]);
    format!("{ORDERS} SELECT {} FROM {}", columns_of_json(columns), rows_of_json(kind, parameter))
}

fn insert_lines(kind: DatabaseKind, parameter: usize) -> String {
    let columns = [Text, Text, Whole, Text, Text, Text, Whole, Whole, Text, Whole];
    format!("{LINES} SELECT {} FROM {}", columns_of_json(columns), rows_of_json(kind, parameter))
}

fn bound_checkout<'q>(query: Query<'q>, checkout: &Checkout) -> Result<Query<'q>, StorageError> {
    let credit = checkout.credit.as_ref().map(|credit| to_json("a checkout's credit", credit)).transpose()?;
    Ok(query
        .bind(checkout.tenant.to_string())
        .bind(checkout.id.to_string())
        .bind(checkout.request.buyer.to_string())
        .bind(checkout.state.to_string())
        .bind(checkout.refusal.map(|reason| reason.to_string()))
        .bind(to_json("a checkout's request", &checkout.request)?)
        .bind(to_json("a checkout's shortages", &checkout.shortages)?)
        .bind(checkout.line_count)
        .bind(checkout.quantity)
        .bind(checkout.total.amount_minor)
        .bind(checkout.total.currency.to_string())
        .bind(checkout.total_usd_minor)
        .bind(checkout.units_per_usd_micros)
        .bind(checkout.rates_as_of.micros())
        .bind(checkout.fraud.decision.to_string())
        .bind(to_json("a checkout's fraud decision", &checkout.fraud)?)
        .bind(checkout.idempotency_key.clone())
        .bind(checkout.created_at.micros())
        .bind(checkout.updated_at.micros())
        .bind(credit))
}

fn bound_payment<'q>(query: Query<'q>, checkout: &Checkout, payment: &Payment) -> Query<'q> {
    query
        .bind(checkout.tenant.to_string())
        .bind(payment.id.to_string())
        .bind(checkout.id.to_string())
        .bind(payment.method.to_string())
        .bind(payment.state.to_string())
        .bind(payment.amount.amount_minor)
        .bind(payment.amount.currency.to_string())
        .bind(payment.authorised_minor)
        .bind(payment.amounts.captured_minor)
        .bind(payment.amounts.refunded_minor)
        .bind(payment.rail_reference.clone())
        .bind(payment.decline_reason.clone())
        .bind(payment.created_at.micros())
        .bind(payment.updated_at.micros())
}

fn order_rows(orders: &[Order]) -> String {
    let row = |order: &Order| {
        json!([
            order.tenant,
            order.id,
            order.checkout,
            order.buyer,
            order.seller,
            order.region.to_string(),
            order.state.to_string(),
            order.line_count,
            order.quantity,
            order.total.amount_minor,
            order.total.currency.to_string(),
            order.total_usd_minor,
            order.version,
            order.created_at.micros(),
            order.updated_at.micros(),
            order.commission.commission_minor,
            order.commission.commission_rate_ppm,
            order.commission.commission_table_version
        ])
    };
    orders.iter().map(row).collect::<Value>().to_string()
}

fn line_rows(orders: &[Order]) -> String {
    let row = |(order, number, line): (&Order, i64, &OrderLine)| {
        json!([
            order.tenant,
            order.id,
            number,
            line.product,
            line.category.to_string(),
            line.title,
            line.quantity,
            line.unit_price.amount_minor,
            line.unit_price.currency.to_string(),
            line.amount_usd_minor
        ])
    };
    let lines =
        orders.iter().flat_map(|order| (1..).zip(&order.lines).map(move |(number, line)| (order, number, line)));
    lines.map(row).collect::<Value>().to_string()
}

const END_CHECKOUT: &str =
    "UPDATE checkouts SET state = $3, refusal = $4, updated_at = $5 WHERE tenant = $1 AND id = $2 AND state = $6";
const MOVE_ORDERS: &str =
    "UPDATE orders SET state = $7, updated_at = $5, version = version + 1 WHERE tenant = $1 AND checkout = $2";
const MOVE_PAYMENT: &str = "UPDATE payments SET state = $8, authorised_minor = $9, rail_reference = $10, \
     decline_reason = $11, updated_at = $5 WHERE tenant = $1 AND checkout = $2";

/// Moves a waiting checkout on. Its own state is the condition: whoever comes second changes no row.
pub(crate) async fn settle(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: CheckoutId,
    settlement: &Settlement,
) -> Result<bool, StorageError> {
    let query = |sql: String| bound_settlement(sqlx::query(AssertSqlSafe(sql)), tenant, id, settlement);
    if kind == DatabaseKind::Postgres {
        let sql = format!(
            "WITH ended AS ({END_CHECKOUT} RETURNING id), \
             moved AS ({MOVE_ORDERS} AND EXISTS (SELECT 1 FROM ended)) \
             {MOVE_PAYMENT} AND EXISTS (SELECT 1 FROM ended)"
        );
        let moved = query(sql).execute(connection).await.map_err(storage_error)?;
        return Ok(moved.rows_affected() > 0);
    }
    let ended = query(END_CHECKOUT.to_owned()).execute(&mut *connection).await.map_err(storage_error)?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    done(query(MOVE_ORDERS.to_owned()), connection).await?;
    done(query(MOVE_PAYMENT.to_owned()), connection).await?;
    Ok(true)
}

fn bound_settlement<'q>(query: Query<'q>, tenant: TenantId, id: CheckoutId, settlement: &Settlement) -> Query<'q> {
    query
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(settlement.checkout.to_string())
        .bind(settlement.refusal.map(|reason| reason.to_string()))
        .bind(settlement.at.micros())
        .bind(settlement.from.to_string())
        .bind(settlement.orders.to_string())
        .bind(settlement.payment.to_string())
        .bind(settlement.authorised_minor)
        .bind(settlement.rail_reference.clone())
        .bind(settlement.decline_reason.clone())
}

async fn done(query: Query<'_>, connection: &mut AnyConnection) -> Result<(), StorageError> {
    query.execute(connection).await.map_err(storage_error)?;
    Ok(())
}
