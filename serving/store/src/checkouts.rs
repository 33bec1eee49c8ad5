//! Checkouts, their orders and payments read from SQL; what writes them is in `checkout_writes`.

use std::collections::BTreeMap;

use dhow_commerce::{
    Checkout, CheckoutState, Cursor, Order, OrderCommission, OrderFilter, OrderLine, OrderState, Page, PageRequest,
    Payment, PaymentMethod, PaymentState, RefusalReason, StorageError, Waiting,
};
use dhow_events::{CheckoutId, OrderId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::pages::{By, List};
use crate::rows::{Fields, placeholders, row_of, storage_error};
use crate::transfers;

const ORDERS: List = List { table: "orders", columns: "*", id: "id", by: By::Creation };

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
        credit: fields.optional_json("credit")?,
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
