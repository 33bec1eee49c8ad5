//! Checkouts, their orders and payments in SQL.

use std::collections::BTreeMap;

use dhow_commerce::{
    Checkout, CheckoutState, Cursor, Order, OrderCommission, OrderFilter, OrderLine, OrderState, Page, PageRequest,
    Payment, PaymentMethod, PaymentState, RefusalReason, Settlement, StorageError, Waiting,
};
use dhow_events::{CheckoutId, OrderId, TenantId, Timestamp};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::pages::{By, List};
use crate::rows::JsonColumn::{Text, Whole};
use crate::rows::{Fields, columns_of_json, placeholders, row_of, rows_of_json, storage_error, to_json};
use crate::transfers;

const ORDERS: List = List { table: "orders", columns: "*", id: "id", by: By::Creation };

pub(crate) async fn insert(connection: &mut AnyConnection, checkout: &Checkout) -> Result<(), StorageError> {
    insert_checkout(connection, checkout).await?;
    if !checkout.orders.is_empty() {
        insert_orders(connection, &checkout.orders).await?;
        insert_lines(connection, &checkout.orders).await?;
    }
    match &checkout.payment {
        Some(payment) => insert_payment(connection, checkout, payment).await,
        None => Ok(()),
    }
}

async fn insert_checkout(connection: &mut AnyConnection, checkout: &Checkout) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO checkouts (tenant, id, buyer, state, refusal, request, shortages, line_count, quantity, \
         total_minor, total_currency, total_usd_minor, units_per_usd_micros, rates_as_of, decision, fraud, \
         idempotency_key, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
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
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

/// All orders of a checkout by one statement.
async fn insert_orders(connection: &mut AnyConnection, orders: &[Order]) -> Result<(), StorageError> {
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
    let columns = [Text; 7].into_iter().chain([Whole; 3]).chain([Text]).chain([Whole; 7]);
    let sql = format!(
        "INSERT INTO orders (tenant, id, checkout, buyer, seller, region, state, line_count, quantity, total_minor, \
         total_currency, total_usd_minor, version, created_at, updated_at, commission_minor, commission_rate_ppm, \
         commission_table_version) SELECT {} FROM {}",
        columns_of_json(columns),
        rows_of_json(connection, 1)
    );
    insert_rows(connection, sql, orders.iter().map(row).collect()).await
}

/// All lines of a checkout's orders by one statement.
async fn insert_lines(connection: &mut AnyConnection, orders: &[Order]) -> Result<(), StorageError> {
    let row = |order: &Order, number: i64, line: &OrderLine| {
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
    let rows = lines.map(|(order, number, line)| row(order, number, line)).collect();
    let columns = [Text, Text, Whole, Text, Text, Text, Whole, Whole, Text, Whole];
    let sql = format!(
        "INSERT INTO order_lines (tenant, order_id, line_number, product, category, title, quantity, unit_price_minor, \
         unit_price_currency, amount_usd_minor) SELECT {} FROM {}",
        columns_of_json(columns),
        rows_of_json(connection, 1)
    );
    insert_rows(connection, sql, rows).await
}

async fn insert_rows(connection: &mut AnyConnection, sql: String, rows: Vec<Value>) -> Result<(), StorageError> {
    let rows = Value::from(rows).to_string();
    sqlx::query(AssertSqlSafe(sql)).bind(rows).execute(connection).await.map_err(storage_error)?;
    Ok(())
}

async fn insert_payment(
    connection: &mut AnyConnection,
    checkout: &Checkout,
    payment: &Payment,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO payments (tenant, id, checkout, method, state, amount_minor, currency, authorised_minor, \
         captured_minor, refunded_minor, rail_reference, decline_reason, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
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
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

/// Moves a waiting checkout on. The first statement is the condition: whoever comes second changes no row and stops.
pub(crate) async fn settle(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: CheckoutId,
    settlement: &Settlement,
) -> Result<bool, StorageError> {
    let ended = sqlx::query(
        "UPDATE checkouts SET state = $3, refusal = $4, updated_at = $5 \
         WHERE tenant = $1 AND id = $2 AND state = $6",
    )
    .bind(tenant.to_string())
    .bind(id.to_string())
    .bind(settlement.checkout.to_string())
    .bind(settlement.refusal.map(|reason| reason.to_string()))
    .bind(settlement.at.micros())
    .bind(settlement.from.to_string())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE orders SET state = $3, updated_at = $4, version = version + 1 WHERE tenant = $1 AND checkout = $2",
    )
    .bind(tenant.to_string())
    .bind(id.to_string())
    .bind(settlement.orders.to_string())
    .bind(settlement.at.micros())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    sqlx::query(
        "UPDATE payments SET state = $3, authorised_minor = $4, rail_reference = $5, decline_reason = $6, \
         updated_at = $7 WHERE tenant = $1 AND checkout = $2",
    )
    .bind(tenant.to_string())
    .bind(id.to_string())
    .bind(settlement.payment.to_string())
    .bind(settlement.authorised_minor)
    .bind(settlement.rail_reference.clone())
    .bind(settlement.decline_reason.clone())
    .bind(settlement.at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(true)
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: CheckoutId,
) -> Result<Option<Checkout>, StorageError> {
    let row = row_of(connection, "SELECT * FROM checkouts WHERE tenant = $1 AND id = $2", tenant, id).await?;
    match row {
        Some(row) => Ok(Some(complete(connection, &row).await?)),
        None => Ok(None),
    }
}

/// Each condition is the one of a partial index, so that a look for what waits does not read what is done.
pub(crate) async fn waiting(
    connection: &mut AnyConnection,
    waiting: Waiting,
    created_before: Timestamp,
    after: Option<(Timestamp, CheckoutId)>,
    limit: u32,
) -> Result<Vec<Checkout>, StorageError> {
    let (created_at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at.micros(), id.to_string()));
    let condition = match waiting {
        Waiting::ForPayment => "state = 'pending_payment'",
        Waiting::ForVerdict => "state = 'held'",
    };
    let sql = format!(
        "SELECT * FROM checkouts WHERE {condition} AND created_at < $1 \
         AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT $4"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(created_before.micros())
        .bind(created_at)
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await
        .map_err(storage_error)?;
    let mut checkouts = Vec::with_capacity(rows.len());
    for row in &rows {
        checkouts.push(complete(connection, row).await?);
    }
    Ok(checkouts)
}

/// A checkout's row with its orders and payment.
async fn complete(connection: &mut AnyConnection, row: &AnyRow) -> Result<Checkout, StorageError> {
    let fields = Fields::new("a checkout", row);
    let (tenant, id): (TenantId, CheckoutId) = (fields.parsed("tenant")?, fields.parsed("id")?);
    let refusal = match fields.optional_text("refusal")? {
        Some(_) => Some(fields.word("refusal", RefusalReason::from_word)?),
        None => None,
    };
    Ok(Checkout {
        tenant,
        id,
        request: fields.json("request")?,
        state: fields.word("state", CheckoutState::from_word)?,
        refusal,
        shortages: fields.json("shortages")?,
        line_count: fields.integer("line_count")?,
        quantity: fields.integer("quantity")?,
        total: fields.money("total_minor", "total_currency")?,
        total_usd_minor: fields.integer("total_usd_minor")?,
        units_per_usd_micros: fields.integer("units_per_usd_micros")?,
        rates_as_of: fields.time("rates_as_of")?,
        fraud: fields.json("fraud")?,
        orders: orders_of(connection, tenant, id).await?,
        payment: payment_of(connection, tenant, id).await?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
        idempotency_key: fields.optional_text("idempotency_key")?,
    })
}

async fn orders_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    checkout: CheckoutId,
) -> Result<Vec<Order>, StorageError> {
    let rows = sqlx::query("SELECT * FROM orders WHERE tenant = $1 AND checkout = $2 ORDER BY seller")
        .bind(tenant.to_string())
        .bind(checkout.to_string())
        .fetch_all(&mut *connection)
        .await
        .map_err(storage_error)?;
    with_lines(connection, tenant, rows.iter().map(order).collect::<Result<_, _>>()?).await
}

async fn payment_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    checkout: CheckoutId,
) -> Result<Option<Payment>, StorageError> {
    let row =
        row_of(connection, "SELECT * FROM payments WHERE tenant = $1 AND checkout = $2", tenant, checkout).await?;
    row.as_ref().map(payment).transpose()
}

pub(crate) async fn find_order(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: OrderId,
) -> Result<Option<Order>, StorageError> {
    let row = row_of(connection, "SELECT * FROM orders WHERE tenant = $1 AND id = $2", tenant, id).await?;
    let found = row.as_ref().map(order).transpose()?;
    Ok(with_lines(connection, tenant, found.into_iter().collect()).await?.pop())
}

pub(crate) async fn order_page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &OrderFilter,
    page: &PageRequest,
) -> Result<Page<Order>, StorageError> {
    let buyer = filter.buyer.map(|id| id.to_string());
    let seller = filter.seller.map(|id| id.to_string());
    let state = filter.state.map(|state| state.to_string());
    let filters = [("buyer", buyer), ("seller", seller), ("state", state)];
    let rows = ORDERS.rows(connection, tenant, &filters, page).await?;
    let orders = with_lines(connection, tenant, rows.iter().map(order).collect::<Result<_, _>>()?).await?;
    let place = |order: &Order| Cursor { created_at: order.created_at, id: order.id.to_string() };
    Ok(Page::from_items(orders, page.limit(), place))
}

/// Reads the lines of all `orders` with one query.
async fn with_lines(
    connection: &mut AnyConnection,
    tenant: TenantId,
    mut orders: Vec<Order>,
) -> Result<Vec<Order>, StorageError> {
    if orders.is_empty() {
        return Ok(orders);
    }
    let sql = format!(
        "SELECT * FROM order_lines WHERE tenant = $1 AND order_id IN ({}) ORDER BY order_id, line_number",
        placeholders(2, orders.len())
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
    let query = orders.iter().fold(query, |query, order| query.bind(order.id.to_string()));
    let mut lines: BTreeMap<OrderId, Vec<OrderLine>> = BTreeMap::new();
    for row in query.fetch_all(connection).await.map_err(storage_error)? {
        let order: OrderId = Fields::new("an order line", &row).parsed("order_id")?;
        lines.entry(order).or_default().push(order_line(&row)?);
    }
    for order in &mut orders {
        order.lines = lines.remove(&order.id).unwrap_or_default();
    }
    Ok(orders)
}

fn order(row: &AnyRow) -> Result<Order, StorageError> {
    let fields = Fields::new("an order", row);
    Ok(Order {
        tenant: fields.parsed("tenant")?,
        id: fields.parsed("id")?,
        checkout: fields.parsed("checkout")?,
        buyer: fields.parsed("buyer")?,
        seller: fields.parsed("seller")?,
        region: fields.parsed("region")?,
        state: fields.word("state", OrderState::from_word)?,
        lines: Vec::new(),
        line_count: fields.integer("line_count")?,
        quantity: fields.integer("quantity")?,
        total: fields.money("total_minor", "total_currency")?,
        total_usd_minor: fields.integer("total_usd_minor")?,
        amounts: transfers::amounts(&fields)?,
        commission: OrderCommission {
            commission_minor: fields.integer("commission_minor")?,
            commission_rate_ppm: fields.integer("commission_rate_ppm")?,
            commission_table_version: fields.integer("commission_table_version")?,
            commission_returned_minor: fields.integer("commission_returned_minor")?,
        },
        version: fields.integer("version")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
    })
}

fn order_line(row: &AnyRow) -> Result<OrderLine, StorageError> {
    let fields = Fields::new("an order line", row);
    Ok(OrderLine {
        product: fields.parsed("product")?,
        category: fields.parsed("category")?,
        title: fields.text("title")?,
        quantity: fields.integer("quantity")?,
        unit_price: fields.money("unit_price_minor", "unit_price_currency")?,
        amount_usd_minor: fields.integer("amount_usd_minor")?,
    })
}

fn payment(row: &AnyRow) -> Result<Payment, StorageError> {
    let fields = Fields::new("a payment", row);
    Ok(Payment {
        id: fields.parsed("id")?,
        method: fields.word("method", PaymentMethod::from_word)?,
        state: fields.word("state", PaymentState::from_word)?,
        amount: fields.money("amount_minor", "currency")?,
        authorised_minor: fields.integer("authorised_minor")?,
        amounts: transfers::amounts(&fields)?,
        rail_reference: fields.optional_text("rail_reference")?,
        decline_reason: fields.optional_text("decline_reason")?,
        quote: fields.optional_json("quote")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
    })
}
