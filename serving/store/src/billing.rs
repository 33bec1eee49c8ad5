//! Sellers' subscriptions and invoices in SQL, and the counts that plans limit.

use dhow_commerce::{SellerInvoice, SellerSubscription, StorageError};
use dhow_events::{SellerId, TenantId, Timestamp};
use sqlx::AnyConnection;

use crate::rows::{Fields, row_of, storage_error, to_json};

const WHAT: &str = "a subscription";

/// A seller's subscription; `lock` holds the row.
pub(crate) async fn find(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    seller: SellerId,
) -> Result<Option<SellerSubscription>, StorageError> {
    let sql = format!("SELECT body FROM subscriptions WHERE tenant = $1 AND seller = $2{lock}");
    let row = row_of(connection, &sql, tenant, seller).await?;
    row.map(|row| Fields::new(WHAT, &row).json("body")).transpose()
}

/// Writes a subscription over the version before it; `false` where another one is stored.
pub(crate) async fn put(connection: &mut AnyConnection, kept: &SellerSubscription) -> Result<bool, StorageError> {
    let subscription = &kept.subscription;
    let renews_at = subscription.ended_at.is_none().then_some(subscription.period.end.micros());
    let done = sqlx::query(
        "INSERT INTO subscriptions (tenant, seller, version, renews_at, orders_per_month_max, body) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, seller) DO UPDATE \
         SET version = excluded.version, renews_at = excluded.renews_at, \
         orders_per_month_max = excluded.orders_per_month_max, body = excluded.body \
         WHERE subscriptions.version = excluded.version - 1",
    )
    .bind(kept.tenant.to_string())
    .bind(kept.seller.to_string())
    .bind(kept.version)
    .bind(renews_at)
    .bind(subscription.limits.orders_per_month_max.map(i64::from))
    .bind(to_json(WHAT, kept)?)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(done.rows_affected() == 1)
}

/// Whose periods ended, by the index of those that are to be renewed.
pub(crate) async fn due(
    connection: &mut AnyConnection,
    now: Timestamp,
    after: Option<(Timestamp, TenantId, SellerId)>,
    limit: u32,
) -> Result<Vec<(Timestamp, TenantId, SellerId)>, StorageError> {
    let place = after.map(|(at, tenant, seller)| (at.micros(), tenant.to_string(), seller.to_string()));
    let (at, tenant, seller) = place.unwrap_or((i64::MIN, String::new(), String::new()));
    let rows = sqlx::query(
        "SELECT renews_at, tenant, seller FROM subscriptions WHERE renews_at IS NOT NULL AND renews_at <= $1 \
         AND (renews_at, tenant, seller) > ($2, $3, $4) ORDER BY renews_at, tenant, seller LIMIT $5",
    )
    .bind(now.micros())
    .bind(at)
    .bind(tenant)
    .bind(seller)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    let place = |row| {
        let fields = Fields::new(WHAT, row);
        Ok((fields.time("renews_at")?, fields.parsed("tenant")?, fields.parsed("seller")?))
    };
    rows.iter().map(place).collect()
}

pub(crate) async fn insert_invoice(connection: &mut AnyConnection, made: &SellerInvoice) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO invoices (tenant, seller, number, body) VALUES ($1, $2, $3, $4)")
        .bind(made.tenant.to_string())
        .bind(made.seller.to_string())
        .bind(made.number)
        .bind(to_json("an invoice", made)?)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn invoices(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<SellerInvoice>, StorageError> {
    let rows = sqlx::query(
        "SELECT body FROM invoices WHERE tenant = $1 AND seller = $2 AND number < $3 ORDER BY number DESC LIMIT $4",
    )
    .bind(tenant.to_string())
    .bind(seller.to_string())
    .bind(before.unwrap_or(i64::MAX))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    rows.iter().map(|row| Fields::new("an invoice", row).json("body")).collect()
}

/// Orders that a seller was given from `since` on, those that were called off left out.
pub(crate) async fn orders_since(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
    since: Timestamp,
) -> Result<i64, StorageError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS number FROM orders \
         WHERE tenant = $1 AND seller = $2 AND created_at >= $3 AND state <> 'cancelled'",
    )
    .bind(tenant.to_string())
    .bind(seller.to_string())
    .bind(since.micros())
    .fetch_one(connection)
    .await
    .map_err(storage_error)?;
    Fields::new("a count", &row).integer("number")
}

/// Products that a seller has on offer.
pub(crate) async fn products_on_offer(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
) -> Result<i64, StorageError> {
    let row =
        sqlx::query("SELECT COUNT(*) AS number FROM products WHERE tenant = $1 AND seller = $2 AND state = 'listed'")
            .bind(tenant.to_string())
            .bind(seller.to_string())
            .fetch_one(connection)
            .await
            .map_err(storage_error)?;
    Fields::new("a count", &row).integer("number")
}
