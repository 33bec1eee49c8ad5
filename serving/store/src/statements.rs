//! Sellers' statements in SQL: the entries of a seller's account with the commission of the transfers that they belong to.

use dhow_commerce::{Statement, StatementLine, StatementPeriod, StatementStorage, StatementSum, StorageError};
use dhow_events::{Currency, SellerId, TenantId};
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::Store;
use crate::rows::{Fields, storage_error};

impl StatementStorage for Store {
    async fn statement(
        &self,
        tenant: TenantId,
        seller: SellerId,
        currency: Currency,
        period: StatementPeriod,
    ) -> Result<Statement, StorageError> {
        sums(&mut *self.snapshot().await?, tenant, seller, currency, period).await
    }

    async fn statement_lines(
        &self,
        tenant: TenantId,
        seller: SellerId,
        currency: Currency,
        period: StatementPeriod,
        page: (i64, u32),
    ) -> Result<Vec<StatementLine>, StorageError> {
        lines(&mut *self.reader().await?, tenant, seller, currency, period, page).await
    }
}

/// A line for each batch that changed what the seller is owed before `$5`, with what it changed and whether it is of the
/// period that begins at `$4`. A step of a transfer takes the commission of its shares where it credits the seller, and
/// gives it back where it debits.
const LINES: &str = "WITH booked AS (\
    SELECT b.number, b.written_at, b.purpose, b.reference, CAST(-SUM(e.amount) AS BIGINT) AS net \
    FROM ledger_entries e JOIN ledger_batches b ON b.tenant = e.tenant AND b.id = e.batch \
    WHERE e.tenant = $1 AND e.account = $2 AND substr(e.account, 1, 7) = 'seller:' AND e.asset = $3 \
    AND b.kind = 'post' AND b.written_at >= $4 AND b.written_at < $5 AND b.number > $6 \
    GROUP BY b.number, b.written_at, b.purpose, b.reference ORDER BY b.number LIMIT $7), \
    shared AS (\
    SELECT booked.*, s.order_id, COALESCE(s.taken, 0) * CASE WHEN net < 0 THEN -1 ELSE 1 END AS commission \
    FROM booked LEFT JOIN (SELECT transfer, MIN(order_id) AS order_id, CAST(SUM(commission_minor) AS BIGINT) AS taken \
    FROM transfer_shares WHERE tenant = $1 AND seller = $8 AND transfer IN (SELECT reference FROM booked) \
    GROUP BY transfer) s ON s.transfer = booked.reference) ";

/// So many lines are all of them.
const ALL: i64 = i64::MAX;

/// What a question binds, in the order of its parameters.
struct Asked {
    tenant: TenantId,
    seller: SellerId,
    currency: Currency,
    period: StatementPeriod,
}

impl Asked {
    async fn rows(
        &self,
        connection: &mut AnyConnection,
        rest: &str,
        (after, limit): (i64, i64),
    ) -> Result<Vec<sqlx::any::AnyRow>, StorageError> {
        sqlx::query(AssertSqlSafe(format!("{LINES}{rest}")))
            .bind(self.tenant.to_string())
            .bind(format!("seller:{}", self.seller))
            .bind(self.currency.to_string())
            .bind(self.period.from.micros())
            .bind(self.period.until.micros())
            .bind(after)
            .bind(limit)
            .bind(self.seller.to_string())
            .fetch_all(connection)
            .await
            .map_err(storage_error)
    }

    /// What was owed before the period.
    async fn opening_minor(&self, connection: &mut AnyConnection) -> Result<i64, StorageError> {
        let row = sqlx::query(
            "SELECT CAST(COALESCE(-SUM(e.amount), 0) AS BIGINT) AS opening \
             FROM ledger_entries e JOIN ledger_batches b ON b.tenant = e.tenant AND b.id = e.batch \
             WHERE e.tenant = $1 AND e.account = $2 AND substr(e.account, 1, 7) = 'seller:' AND e.asset = $3 \
             AND b.kind = 'post' AND b.written_at < $4",
        )
        .bind(self.tenant.to_string())
        .bind(format!("seller:{}", self.seller))
        .bind(self.currency.to_string())
        .bind(self.period.from.micros())
        .fetch_one(connection)
        .await
        .map_err(storage_error)?;
        Fields::new("a statement", &row).integer("opening")
    }
}

async fn sums(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
    currency: Currency,
    period: StatementPeriod,
) -> Result<Statement, StorageError> {
    let asked = Asked { tenant, seller, currency, period };
    let opening_minor = asked.opening_minor(connection).await?;
    let by_purpose = "SELECT purpose, COUNT(*) AS lines_count, CAST(SUM(net) AS BIGINT) AS net, \
                      CAST(SUM(commission) AS BIGINT) AS commission FROM shared GROUP BY purpose";
    let rows = asked.rows(connection, by_purpose, (0, ALL)).await?;
    let mut sums = Vec::with_capacity(rows.len());
    for row in &rows {
        let fields = Fields::new("a statement", row);
        let (net_minor, commission_minor) = (fields.integer("net")?, fields.integer("commission")?);
        sums.push(StatementSum {
            purpose: fields.text("purpose")?,
            lines_count: fields.integer("lines_count")?,
            gross_minor: net_minor + commission_minor,
            commission_minor,
            net_minor,
        });
    }
    // The two databases collate texts by different rules.
    sums.sort_by(|one, other| one.purpose.cmp(&other.purpose));
    let closing_minor = opening_minor + sums.iter().map(|sum| sum.net_minor).sum::<i64>();
    let StatementPeriod { from, until } = period;
    Ok(Statement { seller, currency, from, until, opening_minor, sums, closing_minor })
}

async fn lines(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
    currency: Currency,
    period: StatementPeriod,
    (after, limit): (i64, u32),
) -> Result<Vec<StatementLine>, StorageError> {
    let asked = Asked { tenant, seller, currency, period };
    let rows = asked.rows(connection, "SELECT * FROM shared ORDER BY number", (after, i64::from(limit))).await?;
    let line = |row: &sqlx::any::AnyRow| {
        let fields = Fields::new("a line of a statement", row);
        let (net_minor, commission_minor) = (fields.integer("net")?, fields.integer("commission")?);
        Ok(StatementLine {
            number: fields.integer("number")?,
            at: fields.time("written_at")?,
            purpose: fields.text("purpose")?,
            reference: fields.text("reference")?,
            order: fields.optional_parsed("order_id")?,
            gross_minor: net_minor + commission_minor,
            commission_minor,
            net_minor,
        })
    };
    rows.iter().map(line).collect()
}
