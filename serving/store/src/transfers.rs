//! Transfers, and the payments and orders that they change, in SQL.

use std::collections::BTreeMap;

use dhow_commerce::{
    Amounts, Checkout, Cursor, Order, Page, PageRequest, Payment, RailQuote, StorageError, Transfer, TransferFilter,
    TransferKind, TransferShare, TransferState,
};
use dhow_events::{CheckoutId, PaymentId, TenantId, Timestamp, TransferId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::checkouts;
use crate::pages::{By, List};
use crate::rows::{Fields, Query, equal_statements, row_of, storage_error, to_json, value_rows};

const LIST: List = List { table: "transfers", columns: "*", id: "id", by: By::Creation };

/// Locks a payment's row where the database locks rows, and gives its checkout.
pub(crate) async fn hold_payment(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: PaymentId,
) -> Result<Option<CheckoutId>, StorageError> {
    checkout_of(connection, kind.row_lock(), tenant, id).await
}

async fn checkout_of(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    id: PaymentId,
) -> Result<Option<CheckoutId>, StorageError> {
    let sql = format!("SELECT checkout FROM payments WHERE tenant = $1 AND id = $2{lock}");
    let row = row_of(connection, &sql, tenant, id).await?;
    row.map(|row| Fields::new("a payment", &row).parsed("checkout")).transpose()
}

pub(crate) async fn payment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PaymentId,
) -> Result<Option<Checkout>, StorageError> {
    match checkout_of(connection, "", tenant, id).await? {
        Some(checkout) => checkouts::find(connection, tenant, checkout).await,
        None => Ok(None),
    }
}

pub(crate) async fn payment_reference(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PaymentId,
) -> Result<Option<String>, StorageError> {
    let row =
        row_of(connection, "SELECT rail_reference FROM payments WHERE tenant = $1 AND id = $2", tenant, id).await?;
    row.map_or(Ok(None), |row| Fields::new("a payment", &row).optional_text("rail_reference"))
}

pub(crate) async fn put_quote(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: PaymentId,
    quote: &RailQuote,
) -> Result<(), StorageError> {
    sqlx::query("UPDATE payments SET quote = $3 WHERE tenant = $1 AND id = $2")
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(to_json("a quote", quote)?)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

/// The columns of amounts, in the order in which [`bind_amounts`] binds them from `$first` on.
fn set_amounts(first: usize) -> String {
    let columns = [
        "capture_asked_minor",
        "captured_minor",
        "void_asked_minor",
        "voided_minor",
        "refund_asked_minor",
        "refunded_minor",
    ];
    let set: Vec<String> = (first..).zip(columns).map(|(number, column)| format!("{column} = ${number}")).collect();
    set.join(", ")
}

fn bind_amounts<'q>(query: Query<'q>, amounts: &Amounts) -> Query<'q> {
    query
        .bind(amounts.capture_asked_minor)
        .bind(amounts.captured_minor)
        .bind(amounts.void_asked_minor)
        .bind(amounts.voided_minor)
        .bind(amounts.refund_asked_minor)
        .bind(amounts.refunded_minor)
}

pub(crate) fn amounts(fields: &Fields<'_>) -> Result<Amounts, StorageError> {
    Ok(Amounts {
        capture_asked_minor: fields.integer("capture_asked_minor")?,
        captured_minor: fields.integer("captured_minor")?,
        void_asked_minor: fields.integer("void_asked_minor")?,
        voided_minor: fields.integer("voided_minor")?,
        refund_asked_minor: fields.integer("refund_asked_minor")?,
        refunded_minor: fields.integer("refunded_minor")?,
    })
}

pub(crate) async fn update_payment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    payment: &Payment,
) -> Result<(), StorageError> {
    let sql =
        format!("UPDATE payments SET state = $3, updated_at = $4, {} WHERE tenant = $1 AND id = $2", set_amounts(5));
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .bind(payment.id.to_string())
        .bind(payment.state.to_string())
        .bind(payment.updated_at.micros());
    bind_amounts(query, &payment.amounts).execute(connection).await.map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn update_order(connection: &mut AnyConnection, order: &Order) -> Result<(), StorageError> {
    let sql = format!(
        "UPDATE orders SET state = $3, updated_at = $4, version = $5, commission_returned_minor = $6, {} \
         WHERE tenant = $1 AND id = $2",
        set_amounts(7)
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(order.tenant.to_string())
        .bind(order.id.to_string())
        .bind(order.state.to_string())
        .bind(order.updated_at.micros())
        .bind(order.version)
        .bind(order.commission.commission_returned_minor);
    bind_amounts(query, &order.amounts).execute(connection).await.map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn insert(connection: &mut AnyConnection, transfer: &Transfer) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO transfers (tenant, id, kind, state, amount_minor, currency, payment, seller, rail, \
         rail_reference, failure, due_at, idempotency_key, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(transfer.tenant.to_string())
    .bind(transfer.id.to_string())
    .bind(transfer.kind.to_string())
    .bind(transfer.state.to_string())
    .bind(transfer.amount.amount_minor)
    .bind(transfer.amount.currency.to_string())
    .bind(transfer.payment.map(|id| id.to_string()))
    .bind(transfer.seller.map(|id| id.to_string()))
    .bind(transfer.rail.clone())
    .bind(transfer.rail_reference.clone())
    .bind(transfer.failure.clone())
    .bind(transfer.due_at.micros())
    .bind(transfer.idempotency_key.clone())
    .bind(transfer.created_at.micros())
    .bind(transfer.updated_at.micros())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    put_shares(connection, transfer).await
}

async fn put_shares(connection: &mut AnyConnection, transfer: &Transfer) -> Result<(), StorageError> {
    for shares in equal_statements(&transfer.shares) {
        let sql = format!(
            "INSERT INTO transfer_shares (tenant, transfer, order_id, seller, amount_minor, commission_minor) \
             VALUES {} ON CONFLICT (tenant, transfer, order_id) DO UPDATE SET commission_minor = excluded.commission_minor",
            value_rows(connection, shares.len(), 6)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for share in shares {
            query = query
                .bind(transfer.tenant.to_string())
                .bind(transfer.id.to_string())
                .bind(share.order.to_string())
                .bind(share.seller.to_string())
                .bind(share.amount_minor)
                .bind(share.commission_minor);
        }
        query.execute(&mut *connection).await.map_err(storage_error)?;
    }
    Ok(())
}

/// Writes what a transfer became; its shares' commissions are known at its end.
pub(crate) async fn update(connection: &mut AnyConnection, transfer: &Transfer) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE transfers SET state = $3, rail_reference = $4, failure = $5, updated_at = $6 \
         WHERE tenant = $1 AND id = $2",
    )
    .bind(transfer.tenant.to_string())
    .bind(transfer.id.to_string())
    .bind(transfer.state.to_string())
    .bind(transfer.rail_reference.clone())
    .bind(transfer.failure.clone())
    .bind(transfer.updated_at.micros())
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    put_shares(connection, transfer).await
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: TransferId,
) -> Result<Option<Transfer>, StorageError> {
    select(connection, "", tenant, id).await
}

/// The same with its row locked where the database locks rows.
pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: TransferId,
) -> Result<Option<Transfer>, StorageError> {
    select(connection, kind.row_lock(), tenant, id).await
}

async fn select(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    id: TransferId,
) -> Result<Option<Transfer>, StorageError> {
    let sql = format!("SELECT * FROM transfers WHERE tenant = $1 AND id = $2{lock}");
    let row = row_of(connection, &sql, tenant, id).await?;
    let found = row.as_ref().map(transfer).transpose()?;
    Ok(with_shares(connection, found.into_iter().collect()).await?.pop())
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &TransferFilter,
    page: &PageRequest,
) -> Result<Page<Transfer>, StorageError> {
    let kind = filter.kind.map(|kind| kind.to_string());
    let payment = filter.payment.map(|id| id.to_string());
    let seller = filter.seller.map(|id| id.to_string());
    let filters = [("kind", kind), ("payment", payment), ("seller", seller)];
    let rows = LIST.rows(connection, tenant, &filters, page).await?;
    let transfers = with_shares(connection, rows.iter().map(transfer).collect::<Result<_, _>>()?).await?;
    let place = |transfer: &Transfer| Cursor { created_at: transfer.created_at, id: transfer.id.to_string() };
    Ok(Page::from_items(transfers, page.limit(), place))
}

/// Pending transfers that are due, by the partial index of those.
pub(crate) async fn due(
    connection: &mut AnyConnection,
    now: Timestamp,
    after: Option<(Timestamp, TransferId)>,
    limit: u32,
) -> Result<Vec<Transfer>, StorageError> {
    let (due_at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at.micros(), id.to_string()));
    let rows = sqlx::query(
        "SELECT * FROM transfers WHERE state = 'pending' AND due_at <= $1 AND (due_at, id) > ($2, $3) \
         ORDER BY due_at, id LIMIT $4",
    )
    .bind(now.micros())
    .bind(due_at)
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await
    .map_err(storage_error)?;
    with_shares(connection, rows.iter().map(transfer).collect::<Result<_, _>>()?).await
}

/// Reads the shares of all `transfers`, of whatever tenants; ids are unique over all of them.
async fn with_shares(
    connection: &mut AnyConnection,
    mut transfers: Vec<Transfer>,
) -> Result<Vec<Transfer>, StorageError> {
    let mut shares: BTreeMap<(TenantId, TransferId), Vec<TransferShare>> = BTreeMap::new();
    for part in equal_statements(&transfers) {
        let sql = format!(
            "SELECT * FROM transfer_shares WHERE (tenant, transfer) IN (VALUES {}) ORDER BY transfer, seller",
            value_rows(connection, part.len(), 2)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for transfer in part {
            query = query.bind(transfer.tenant.to_string()).bind(transfer.id.to_string());
        }
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            let fields = Fields::new("a transfer's share", &row);
            let key = (fields.parsed("tenant")?, fields.parsed("transfer")?);
            shares.entry(key).or_default().push(TransferShare {
                order: fields.parsed("order_id")?,
                seller: fields.parsed("seller")?,
                amount_minor: fields.integer("amount_minor")?,
                commission_minor: fields.integer("commission_minor")?,
            });
        }
    }
    for transfer in &mut transfers {
        transfer.shares = shares.remove(&(transfer.tenant, transfer.id)).unwrap_or_default();
    }
    Ok(transfers)
}

fn transfer(row: &AnyRow) -> Result<Transfer, StorageError> {
    let fields = Fields::new("a transfer", row);
    Ok(Transfer {
        tenant: fields.parsed("tenant")?,
        id: fields.parsed("id")?,
        kind: fields.word("kind", TransferKind::from_word)?,
        state: fields.word("state", TransferState::from_word)?,
        amount: fields.money("amount_minor", "currency")?,
        payment: fields.optional_parsed("payment")?,
        seller: fields.optional_parsed("seller")?,
        shares: Vec::new(),
        rail: fields.text("rail")?,
        rail_reference: fields.optional_text("rail_reference")?,
        failure: fields.optional_text("failure")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
        due_at: fields.time("due_at")?,
        idempotency_key: fields.optional_text("idempotency_key")?,
    })
}
