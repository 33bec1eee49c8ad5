//! Auctions and their bids in SQL.

use dhow_commerce::{Auction, AuctionBid, AuctionState, Cursor, Page, PageRequest, StorageError};
use dhow_events::{AuctionId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::pages::{By, List};
use crate::rows::{Fields, row_of, storage_error, to_json};

const LIST: List = List { table: "auctions", columns: "body", id: "id", by: By::Creation };
const WHAT: &str = "an auction";

/// Writes an auction, new or changed.
pub(crate) async fn put(connection: &mut AnyConnection, auction: &Auction) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO auctions (tenant, id, product, state, version, due_at, body, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, id) DO UPDATE \
         SET state = excluded.state, version = excluded.version, due_at = excluded.due_at, body = excluded.body, \
         updated_at = excluded.updated_at",
    )
    .bind(auction.tenant.to_string())
    .bind(auction.id.to_string())
    .bind(auction.product.to_string())
    .bind(auction.state.to_string())
    .bind(auction.version)
    .bind(auction.due_at.map(Timestamp::micros))
    .bind(to_json(WHAT, auction)?)
    .bind(auction.created_at.micros())
    .bind(auction.updated_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: AuctionId,
) -> Result<Option<Auction>, StorageError> {
    select(connection, "", tenant, id).await
}

/// The same with its row locked where the database locks rows; SQLite's one writer needs no lock.
pub(crate) async fn hold(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    id: AuctionId,
) -> Result<Option<Auction>, StorageError> {
    select(connection, kind.row_lock(), tenant, id).await
}

async fn select(
    connection: &mut AnyConnection,
    lock: &str,
    tenant: TenantId,
    id: AuctionId,
) -> Result<Option<Auction>, StorageError> {
    let sql = format!("SELECT body FROM auctions WHERE tenant = $1 AND id = $2{lock}");
    row_of(connection, &sql, tenant, id).await?.as_ref().map(auction).transpose()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    state: Option<AuctionState>,
    page: &PageRequest,
) -> Result<Page<Auction>, StorageError> {
    let state = state.map(|state| state.to_string());
    let rows = LIST.rows(connection, tenant, &[("state", state)], page).await?;
    let auctions = rows.iter().map(auction).collect::<Result<_, _>>()?;
    let place = |auction: &Auction| Cursor { created_at: auction.created_at, id: auction.id.to_string() };
    Ok(Page::from_items(auctions, page.limit(), place))
}

/// Auctions of all tenants with a step that is due at `now`, the longest due first, after the given place.
pub(crate) async fn due(
    connection: &mut AnyConnection,
    now: Timestamp,
    after: Option<(Timestamp, AuctionId)>,
    limit: u32,
) -> Result<Vec<(Timestamp, TenantId, AuctionId)>, StorageError> {
    let (due_at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at.micros(), id.to_string()));
    let rows = sqlx::query(
        "SELECT due_at, tenant, id FROM auctions WHERE due_at IS NOT NULL AND due_at <= $1 AND (due_at, id) > ($2, $3) \
         ORDER BY due_at, id LIMIT $4",
    )
    .bind(now.micros())
    .bind(due_at)
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(storage_error)?;
    let due = |row: &AnyRow| {
        let fields = Fields::new(WHAT, row);
        Ok((fields.time("due_at")?, fields.parsed("tenant")?, fields.parsed("id")?))
    };
    rows.iter().map(due).collect()
}

pub(crate) async fn insert_bid(
    connection: &mut AnyConnection,
    tenant: TenantId,
    auction: AuctionId,
    bid: &AuctionBid,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO auction_bids (tenant, auction, sequence, bidder, maximum_minor, placed_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant.to_string())
    .bind(auction.to_string())
    .bind(bid.sequence)
    .bind(bid.bidder.to_string())
    .bind(bid.maximum_minor)
    .bind(bid.placed_at.micros())
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

/// The first `count` bids that counted, in the order of their sequence.
pub(crate) async fn bids(
    connection: &mut AnyConnection,
    tenant: TenantId,
    auction: AuctionId,
    count: i64,
) -> Result<Vec<AuctionBid>, StorageError> {
    let sql = "SELECT sequence, bidder, maximum_minor, placed_at FROM auction_bids \
               WHERE tenant = $1 AND auction = $2 AND sequence <= $3 ORDER BY sequence";
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(tenant.to_string())
        .bind(auction.to_string())
        .bind(count)
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    let bid = |row: &AnyRow| {
        let fields = Fields::new("a bid", row);
        Ok(AuctionBid {
            sequence: fields.integer("sequence")?,
            bidder: fields.parsed("bidder")?,
            maximum_minor: fields.integer("maximum_minor")?,
            placed_at: fields.time("placed_at")?,
        })
    };
    rows.iter().map(bid).collect()
}

fn auction(row: &AnyRow) -> Result<Auction, StorageError> {
    Fields::new(WHAT, row).json("body")
}
