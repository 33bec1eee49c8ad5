//! The books in SQL: batches and entries are inserted and never changed, balances are raised by them; what may stand, the ledger's rule says.

use std::collections::BTreeMap;

use dhow_commerce::StorageError;
use dhow_events::{TenantId, Timestamp};
use dhow_ledger::{Account, Asset, Balance, Balances, Batch, BatchId, Entry, Move, PendingBatch, changes, settle};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::DatabaseKind;
use crate::rows::{Fields, equal_statements, kind_of, placeholders, rows_of_json, storage_error};

/// Writes a batch. The balances are raised first and judged by what came out: whoever else writes the same accounts waits
/// for this transaction, in the order of the accounts. A refusal undoes nothing by itself; the transaction is not committed.
pub(crate) async fn write(connection: &mut AnyConnection, batch: &Batch) -> Result<(), StorageError> {
    let pending = match &batch.does {
        Move::PostPending(id) | Move::VoidPending(id) | Move::ExpirePending(id) => {
            take_pending(connection, batch.tenant, *id).await?
        }
        Move::Post(_) | Move::Pend { .. } => None,
    };
    insert(connection, batch).await?;
    // Where they cannot be told, `settle` refuses the batch and says why.
    let changed = changes(batch, pending.as_ref()).unwrap_or_default();
    let after = raise(connection, batch.tenant, &changed).await?;
    let mut before = Balances::new();
    for (key, change) in &changed {
        let balance = after.get(key).and_then(|after| after.before(change));
        before.insert(key.clone(), balance.ok_or_else(|| refused("a total is more than 64 bits hold"))?);
    }
    let judged = settle(batch, &before, pending.as_ref()).map_err(refused)?;
    if judged != after {
        return Err(StorageError::Failed("the balances are not what the batch makes of them".to_owned()));
    }
    Ok(())
}

fn refused(reason: impl ToString) -> StorageError {
    StorageError::Rule { rule: reason.to_string() }
}

fn hex(id: BatchId) -> String {
    format!("{:032x}", id.0)
}

/// Takes a batch off those that wait; of several that end it, one finds it.
async fn take_pending(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: BatchId,
) -> Result<Option<PendingBatch>, StorageError> {
    let row = sqlx::query("DELETE FROM ledger_pending WHERE tenant = $1 AND batch = $2 RETURNING expires_at")
        .bind(tenant.to_string())
        .bind(hex(id))
        .fetch_optional(&mut *connection)
        .await
        .map_err(storage_error)?;
    let Some(row) = row else { return Ok(None) };
    let expires_at = Fields::new("a pending batch", &row).time("expires_at")?;
    let entries = entries_of(connection, tenant, &[hex(id)]).await?.remove(&hex(id)).unwrap_or_default();
    Ok(Some(PendingBatch { entries, expires_at }))
}

async fn insert(connection: &mut AnyConnection, batch: &Batch) -> Result<(), StorageError> {
    let (kind, of, expires_at) = match &batch.does {
        Move::Post(_) => ("post", None, None),
        Move::Pend { expires_at, .. } => ("pend", None, Some(*expires_at)),
        Move::PostPending(of) => ("post_pending", Some(*of), None),
        Move::VoidPending(of) => ("void_pending", Some(*of), None),
        Move::ExpirePending(of) => ("expire_pending", Some(*of), None),
    };
    sqlx::query(
        "INSERT INTO ledger_batches (tenant, id, written_at, purpose, reference, kind, of_batch, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(batch.tenant.to_string())
    .bind(hex(batch.id))
    .bind(batch.at.micros())
    .bind(batch.purpose.clone())
    .bind(batch.reference.clone())
    .bind(kind)
    .bind(of.map(hex))
    .bind(expires_at.map(Timestamp::micros))
    .execute(&mut *connection)
    .await
    .map_err(storage_error)?;
    if let Some(expires_at) = expires_at {
        sqlx::query("INSERT INTO ledger_pending (tenant, batch, expires_at) VALUES ($1, $2, $3)")
            .bind(batch.tenant.to_string())
            .bind(hex(batch.id))
            .bind(expires_at.micros())
            .execute(&mut *connection)
            .await
            .map_err(storage_error)?;
    }
    let entry = |(position, entry): (i64, &Entry)| {
        serde_json::json!([position, entry.account.to_string(), entry.asset.code(), entry.amount])
    };
    let sql = format!(
        "INSERT INTO ledger_entries (tenant, batch, position, account, asset, amount) SELECT $1, $2, \
         CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT) FROM {}",
        rows_of_json(kind_of(connection), 3)
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(batch.tenant.to_string())
        .bind(hex(batch.id))
        .bind(serde_json::Value::from_iter((1..).zip(batch.entries()).map(entry)).to_string())
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(())
}

/// Adds `changed` to the balances and gives what they are then.
async fn raise(connection: &mut AnyConnection, tenant: TenantId, changed: &Balances) -> Result<Balances, StorageError> {
    let row = |((account, asset), change): (&(Account, Asset), &Balance)| {
        serde_json::json!([
            account.to_string(),
            asset.code(),
            change.debits,
            change.credits,
            change.debits_pending,
            change.credits_pending
        ])
    };
    // The condition tells SQLite that what follows is no join.
    let sql = format!(
        "INSERT INTO ledger_balances (tenant, account, asset, debits, credits, debits_pending, credits_pending) \
         SELECT $1, value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT), \
         CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT) FROM {} WHERE TRUE \
         ON CONFLICT (tenant, account, asset) DO UPDATE SET \
         debits = ledger_balances.debits + excluded.debits, credits = ledger_balances.credits + excluded.credits, \
         debits_pending = ledger_balances.debits_pending + excluded.debits_pending, \
         credits_pending = ledger_balances.credits_pending + excluded.credits_pending \
         RETURNING account, asset, debits, credits, debits_pending, credits_pending",
        rows_of_json(kind_of(connection), 2)
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .bind(serde_json::Value::from_iter(changed.iter().map(row)).to_string())
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    rows.iter().map(balance_row).collect()
}

fn balance_row(row: &AnyRow) -> Result<((Account, Asset), Balance), StorageError> {
    let fields = Fields::new("a balance", row);
    let balance = Balance {
        debits: fields.integer("debits")?,
        credits: fields.integer("credits")?,
        debits_pending: fields.integer("debits_pending")?,
        credits_pending: fields.integer("credits_pending")?,
    };
    Ok(((fields.parsed("account")?, fields.parsed("asset")?), balance))
}

/// An account's balance, with its row locked where the database locks rows.
pub(crate) async fn hold_balance(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    tenant: TenantId,
    account: &Account,
    asset: Asset,
) -> Result<Balance, StorageError> {
    let sql =
        format!("SELECT * FROM ledger_balances WHERE tenant = $1 AND account = $2 AND asset = $3{}", kind.row_lock());
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.to_string())
        .bind(account.to_string())
        .bind(asset.code().to_owned())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)?;
    row.map_or(Ok(Balance::default()), |row| Ok(balance_row(&row)?.1))
}

pub(crate) async fn balances(connection: &mut AnyConnection, tenant: TenantId) -> Result<Balances, StorageError> {
    let rows = sqlx::query("SELECT * FROM ledger_balances WHERE tenant = $1")
        .bind(tenant.to_string())
        .fetch_all(connection)
        .await
        .map_err(storage_error)?;
    rows.iter().map(balance_row).collect()
}

/// The balances after the batches written until `at`. A pending batch counts by what had ended it by then.
pub(crate) async fn balances_at(
    connection: &mut AnyConnection,
    tenant: TenantId,
    at: Timestamp,
) -> Result<Balances, StorageError> {
    let total = |stands: &str, amount: &str, name: &str| {
        format!(
            "CAST(SUM(CASE WHEN stands = '{stands}' AND amount {amount} 0 THEN ABS(amount) ELSE 0 END) AS BIGINT) AS {name}"
        )
    };
    let sql = format!(
        "WITH standing AS (\
         SELECT b.id, CASE WHEN b.kind = 'post' OR ended.kind = 'post_pending' THEN 'posted' \
         WHEN ended.kind IS NULL THEN 'pending' ELSE 'void' END AS stands \
         FROM ledger_batches b LEFT JOIN ledger_batches ended \
         ON ended.tenant = b.tenant AND ended.of_batch = b.id AND ended.written_at <= $2 \
         WHERE b.tenant = $1 AND b.written_at <= $2 AND b.kind IN ('post', 'pend')) \
         SELECT account, asset, {}, {}, {}, {} \
         FROM standing JOIN ledger_entries e ON e.tenant = $1 AND e.batch = standing.id GROUP BY account, asset",
        total("posted", ">", "debits"),
        total("posted", "<", "credits"),
        total("pending", ">", "debits_pending"),
        total("pending", "<", "credits_pending"),
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string()).bind(at.micros());
    query.fetch_all(connection).await.map_err(storage_error)?.iter().map(balance_row).collect()
}

/// Batches after the one numbered `after`, in the order of their numbers.
pub(crate) async fn journal(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, Batch)>, StorageError> {
    let rows = sqlx::query("SELECT * FROM ledger_batches WHERE tenant = $1 AND number > $2 ORDER BY number LIMIT $3")
        .bind(tenant.to_string())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await
        .map_err(storage_error)?;
    let ids: Vec<String> = rows.iter().map(|row| Fields::new("a batch", row).text("id")).collect::<Result<_, _>>()?;
    let mut entries = entries_of(connection, tenant, &ids).await?;
    rows.iter().map(|row| batch(row, &mut entries)).collect()
}

/// The entries of batches, by batch and in their order.
async fn entries_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    batches: &[String],
) -> Result<BTreeMap<String, Vec<Entry>>, StorageError> {
    let mut entries: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for ids in equal_statements(batches) {
        let sql = format!(
            "SELECT batch, account, asset, amount FROM ledger_entries WHERE tenant = $1 AND batch IN ({}) \
             ORDER BY batch, position",
            placeholders(2, ids.len())
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
        let query = ids.iter().fold(query, |query, id| query.bind(id.clone()));
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            let fields = Fields::new("an entry", &row);
            entries.entry(fields.text("batch")?).or_default().push(Entry {
                account: fields.parsed("account")?,
                asset: fields.parsed("asset")?,
                amount: fields.integer("amount")?,
            });
        }
    }
    Ok(entries)
}

fn batch(row: &AnyRow, entries: &mut BTreeMap<String, Vec<Entry>>) -> Result<(i64, Batch), StorageError> {
    let fields = Fields::new("a batch", row);
    let wrong = |detail: String| StorageError::Corrupt { what: "a batch", detail };
    let number = |text: String| {
        u128::from_str_radix(&text, 16).map(BatchId).map_err(|error| wrong(format!("`{text}` is no id: {error}")))
    };
    let id = fields.text("id")?;
    let own = entries.remove(&id).unwrap_or_default();
    let of = || number(fields.text("of_batch")?);
    let does = match fields.text("kind")?.as_str() {
        "post" => Move::Post(own),
        "pend" => Move::Pend { entries: own, expires_at: fields.time("expires_at")? },
        "post_pending" => Move::PostPending(of()?),
        "void_pending" => Move::VoidPending(of()?),
        "expire_pending" => Move::ExpirePending(of()?),
        other => return Err(wrong(format!("`{other}` is no kind of batch"))),
    };
    let batch = Batch {
        id: number(id)?,
        tenant: fields.parsed("tenant")?,
        at: fields.time("written_at")?,
        purpose: fields.text("purpose")?,
        reference: fields.text("reference")?,
        does,
    };
    Ok((fields.integer("number")?, batch))
}
