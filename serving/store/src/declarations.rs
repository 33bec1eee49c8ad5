//! Customs declarations in SQL.

use dhow_commerce::{Cursor, CustomsDeclaration, DeclarationFilter, Page, PageRequest, StorageError};
use dhow_events::{DeclarationId, TenantId};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::DatabaseKind;
use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List = List { table: "customs_declarations", columns: "body", id: "id", by: By::Creation };
const WHAT: &str = "a customs declaration";

/// Writes a declaration, new or changed.
pub(crate) async fn put(connection: &mut AnyConnection, value: &CustomsDeclaration) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO customs_declarations (tenant, id, order_id, state, version, body, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, id) DO UPDATE \
         SET state = excluded.state, version = excluded.version, body = excluded.body, updated_at = excluded.updated_at",
    )
    .bind(value.tenant.to_string())
    .bind(value.id.to_string())
    .bind(value.order.map(|order| order.to_string()))
    .bind(value.declaration.state.to_string())
    .bind(value.version())
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
    id: DeclarationId,
) -> Result<Option<CustomsDeclaration>, StorageError> {
    select(connection, "", tenant, id).await
}

/// The same with its row locked where the database locks rows; SQLite's one writer needs no lock.
pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: DeclarationId,
) -> Result<Option<CustomsDeclaration>, StorageError> {
    select(connection, kind.row_lock(), tenant, id).await
}

async fn select(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    id: DeclarationId,
) -> Result<Option<CustomsDeclaration>, StorageError> {
    let sql = format!("SELECT body FROM customs_declarations WHERE tenant = $1 AND id = $2{lock}");
    row_of(connection, &sql, tenant, id).await?.as_ref().map(read).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    filter: &DeclarationFilter,
    page: &PageRequest,
) -> Result<Page<CustomsDeclaration>, StorageError> {
    let filters = [
        ("order_id", filter.order.map(|order| order.to_string())),
        ("state", filter.state.map(|state| state.to_string())),
    ];
    let rows = LIST.rows(connection, tenant, &filters, page).await?;
    let declarations = rows.iter().map(read).collect::<Result<_, _>>()?;
    let place = |value: &CustomsDeclaration| Cursor { created_at: value.created_at, id: value.id.to_string() };
    Ok(Page::from_items(declarations, page.limit(), place))
}

fn read(row: &AnyRow) -> Result<CustomsDeclaration, StorageError> {
    Fields::new(WHAT, row).json("body")
}
