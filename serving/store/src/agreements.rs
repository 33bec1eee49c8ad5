//! Agreements to pay later in SQL.

use dhow_commerce::{Agreement, AgreementFilter, Cursor, Page, PageRequest, StorageError};
use dhow_events::{AgreementId, PaymentId, TenantId, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List = List { table: "pay_later_agreements", columns: "body", id: "id", by: By::Creation };
const WHAT: &str = "an agreement";

/// Writes an agreement, new or changed.
pub(crate) async fn put(connection: &mut AnyConnection, agreement: &Agreement) -> Result<(), StorageError> {
    let standing = &agreement.standing;
    sqlx::query(
        "INSERT INTO pay_later_agreements (tenant, id, buyer, payment, state, version, next_at, principal_minor, \
         fee_minor, kept_minor, outstanding_minor, refunded_minor, written_off_minor, body, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, version = excluded.version, \
         next_at = excluded.next_at, principal_minor = excluded.principal_minor, fee_minor = excluded.fee_minor, \
         kept_minor = excluded.kept_minor, outstanding_minor = excluded.outstanding_minor, \
         refunded_minor = excluded.refunded_minor, written_off_minor = excluded.written_off_minor, \
         body = excluded.body, updated_at = excluded.updated_at",
    )
    .bind(agreement.tenant.to_string())
    .bind(agreement.id.to_string())
    .bind(agreement.buyer.to_string())
    .bind(agreement.payment.to_string())
    .bind(agreement.state.to_string())
    .bind(agreement.version)
    .bind(agreement.next_at.map(|at| at.micros()))
    .bind(standing.principal_minor)
    .bind(standing.fee_minor)
    .bind(standing.kept_minor())
    .bind(standing.outstanding_minor())
    .bind(standing.refunded_minor())
    .bind(standing.written_off_minor)
    .bind(to_json(WHAT, agreement)?)
    .bind(agreement.created_at.micros())
    .bind(agreement.updated_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: AgreementId,
) -> Result<Option<Agreement>, StorageError> {
    let sql = "SELECT body FROM pay_later_agreements WHERE tenant = $1 AND id = $2";
    row_of(connection, sql, tenant, id).await?.as_ref().map(read).transpose()
}

pub(crate) async fn of_payment(
    connection: &mut AnyConnection,
    tenant: TenantId,
    payment: PaymentId,
) -> Result<Option<Agreement>, StorageError> {
    let sql = "SELECT body FROM pay_later_agreements WHERE tenant = $1 AND payment = $2";
    row_of(connection, sql, tenant, payment).await?.as_ref().map(read).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &AgreementFilter,
    page: &PageRequest,
) -> Result<Page<Agreement>, StorageError> {
    let filters = [
        ("buyer", filter.buyer.map(|buyer| buyer.to_string())),
        ("state", filter.state.map(|state| state.to_string())),
    ];
    let rows = LIST.rows(connection, tenant, &filters, page).await?;
    let agreements = rows.iter().map(read).collect::<Result<_, _>>()?;
    let place = |agreement: &Agreement| Cursor { created_at: agreement.created_at, id: agreement.id.to_string() };
    Ok(Page::from_items(agreements, page.limit(), place))
}

/// Agreements of all tenants that are due, by the index that has no others.
pub(crate) async fn due(
    connection: &mut AnyConnection,
    now: Timestamp,
    after: Option<(Timestamp, AgreementId)>,
    limit: u32,
) -> Result<Vec<Agreement>, StorageError> {
    let (next_at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at.micros(), id.to_string()));
    let rows = sqlx::query(
        "SELECT body FROM pay_later_agreements WHERE next_at IS NOT NULL AND next_at <= $1 \
         AND (next_at, id) > ($2, $3) ORDER BY next_at, id LIMIT $4",
    )
    .bind(now.micros())
    .bind(next_at)
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<Agreement, StorageError> {
    Fields::new(WHAT, row).json("body")
}
