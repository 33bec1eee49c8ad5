//! Disputes of payments in SQL.

use dhow_commerce::{Cursor, Dispute, DisputeFilter, Page, PageRequest, StorageError};
use dhow_events::{DisputeId, PaymentId, TenantId};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List = List { table: "disputes", columns: "body", id: "id", by: By::Creation };
const WHAT: &str = "a dispute";

/// Writes a dispute, new or changed.
pub(crate) async fn put(connection: &mut AnyConnection, dispute: &Dispute) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO disputes (tenant, id, payment, rail_case, state, version, body, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, id) DO UPDATE \
         SET state = excluded.state, version = excluded.version, body = excluded.body, updated_at = excluded.updated_at",
    )
    .bind(dispute.tenant.to_string())
    .bind(dispute.id.to_string())
    .bind(dispute.payment.to_string())
    .bind(dispute.case.clone())
    .bind(dispute.state.to_string())
    .bind(dispute.version)
    .bind(to_json(WHAT, dispute)?)
    .bind(dispute.created_at.micros())
    .bind(dispute.updated_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: DisputeId,
) -> Result<Option<Dispute>, StorageError> {
    let sql = "SELECT body FROM disputes WHERE tenant = $1 AND id = $2";
    row_of(connection, sql, tenant, id).await?.as_ref().map(read).transpose()
}

/// The disputes of a payment; commerce bounds how many there are.
pub(crate) async fn of_payment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    payment: PaymentId,
) -> Result<Vec<Dispute>, StorageError> {
    let rows = sqlx::query("SELECT body FROM disputes WHERE tenant = $1 AND payment = $2")
        .bind(tenant.to_string())
        .bind(payment.to_string())
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    rows.iter().map(read).collect()
}

/// Adds to what of a payment is disputed.
pub(crate) async fn add_to_payment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    payment: PaymentId,
    minor: i64,
) -> Result<(), StorageError> {
    sqlx::query("UPDATE payments SET disputed_minor = disputed_minor + $3 WHERE tenant = $1 AND id = $2")
        .bind(tenant.to_string())
        .bind(payment.to_string())
        .bind(minor)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &DisputeFilter,
    page: &PageRequest,
) -> Result<Page<Dispute>, StorageError> {
    let filters = [
        ("payment", filter.payment.map(|payment| payment.to_string())),
        ("state", filter.state.map(|state| state.to_string())),
    ];
    let rows = LIST.rows(connection, tenant, &filters, page).await?;
    let disputes = rows.iter().map(read).collect::<Result<_, _>>()?;
    let place = |dispute: &Dispute| Cursor { created_at: dispute.created_at, id: dispute.id.to_string() };
    Ok(Page::from_items(disputes, page.limit(), place))
}

fn read(row: &AnyRow) -> Result<Dispute, StorageError> {
    Fields::new(WHAT, row).json("body")
}
