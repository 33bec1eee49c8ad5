//! Plans to pay later, and what buyers owe within their limits, in SQL.

use dhow_commerce::{CreditChange, CreditHistory, PayLaterPlan, StorageError};
use dhow_events::{BuyerId, TenantId};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::rows::{Fields, row_of, storage_error, to_json};

const WHAT: &str = "a plan to pay later";

pub(crate) async fn plans(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<PayLaterPlan>, StorageError> {
    let rows = sqlx::query("SELECT body FROM pay_later_plans WHERE tenant = $1 ORDER BY name")
        .bind(tenant.to_string())
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    rows.iter().map(plan_of).collect()
}

pub(crate) async fn plan(
    connection: &mut AnyConnection,
    tenant: TenantId,
    name: &str,
) -> Result<Option<PayLaterPlan>, StorageError> {
    let sql = "SELECT body FROM pay_later_plans WHERE tenant = $1 AND name = $2";
    row_of(connection, sql, tenant, name).await?.as_ref().map(plan_of).transpose()
}

pub(crate) async fn count_plans(connection: &mut AnyConnection, tenant: TenantId) -> Result<i64, StorageError> {
    let row = sqlx::query("SELECT COUNT(*) AS number FROM pay_later_plans WHERE tenant = $1")
        .bind(tenant.to_string())
        .fetch_one(connection)
        .await
        .map_err(storage_error)?;
    Fields::new("a count", &row).integer("number")
}

/// Writes a plan over the version before it; `false` where another one is stored.
pub(crate) async fn put_plan(connection: &mut AnyConnection, plan: &PayLaterPlan) -> Result<bool, StorageError> {
    let done = sqlx::query(
        "INSERT INTO pay_later_plans (tenant, name, version, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, name) DO UPDATE SET version = excluded.version, body = excluded.body \
         WHERE pay_later_plans.version = excluded.version - 1",
    )
    .bind(plan.tenant.to_string())
    .bind(plan.name.clone())
    .bind(plan.version)
    .bind(to_json(WHAT, plan)?)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(done.rows_affected() == 1)
}

/// What a buyer owes and has paid; `lock` holds the row.
pub(crate) async fn history(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    buyer: BuyerId,
) -> Result<CreditHistory, StorageError> {
    let sql = format!("SELECT * FROM pay_later_buyers WHERE tenant = $1 AND buyer = $2{lock}");
    let Some(row) = row_of(connection, &sql, tenant, buyer).await? else { return Ok(CreditHistory::default()) };
    let fields = Fields::new("what a buyer owes", &row);
    Ok(CreditHistory {
        open_usd_minor: fields.integer("open_usd_minor")?,
        paid_count: fields.integer("paid_count")?,
        late_count: fields.integer("late_count")?,
        defaulted_count: fields.integer("defaulted_count")?,
    })
}

/// Adds to what is open under a limit; the constraint judges the row as it is once other writers are done with it.
pub(crate) async fn grant(
    connection: &mut AnyConnection,
    tenant: TenantId,
    buyer: BuyerId,
    limit_usd_minor: i64,
    usd_minor: i64,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO pay_later_buyers (tenant, buyer, limit_usd_minor, open_usd_minor) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, buyer) DO UPDATE SET limit_usd_minor = excluded.limit_usd_minor, \
         open_usd_minor = pay_later_buyers.open_usd_minor + excluded.open_usd_minor",
    )
    .bind(tenant.to_string())
    .bind(buyer.to_string())
    .bind(limit_usd_minor)
    .bind(usd_minor)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn change(
    connection: &mut AnyConnection,
    tenant: TenantId,
    buyer: BuyerId,
    change: &CreditChange,
) -> Result<(), StorageError> {
    let done = sqlx::query(
        "UPDATE pay_later_buyers SET open_usd_minor = open_usd_minor + $3, \
         limit_usd_minor = CASE WHEN open_usd_minor + $3 > limit_usd_minor THEN open_usd_minor + $3 \
         ELSE limit_usd_minor END, paid_count = paid_count + $4, late_count = late_count + $5, \
         defaulted_count = defaulted_count + $6 WHERE tenant = $1 AND buyer = $2",
    )
    .bind(tenant.to_string())
    .bind(buyer.to_string())
    .bind(change.open_usd_minor)
    .bind(change.paid_count)
    .bind(change.late_count)
    .bind(change.defaulted_count)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(StorageError::Corrupt { what: "what a buyer owes", detail: format!("{buyer} has an agreement and no row") })
}

fn plan_of(row: &AnyRow) -> Result<PayLaterPlan, StorageError> {
    Fields::new(WHAT, row).json("body")
}
