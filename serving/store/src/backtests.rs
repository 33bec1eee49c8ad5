//! Backtests of fraud rules in SQL.

use dhow_commerce::{
    BACKTESTS_KEPT_MAX, BacktestEnd, BacktestRecord, BacktestState, BacktestStorage, StorageError, TimeSpan,
};
use dhow_events::{TenantId, Timestamp};
use sqlx::any::AnyRow;

use crate::connect::Durability;
use crate::rows::{Fields, storage_error, to_json};
use crate::{Store, outbox};

/// The aggregate whose numbers a tenant's backtests have.
const BACKTESTS: &str = "fraud_backtests";

impl BacktestStorage for Store {
    async fn insert_backtest(&self, backtest: &BacktestRecord) -> Result<u64, StorageError> {
        let tenant = backtest.tenant.to_string();
        let mut transaction = self.writer(Durability::Synced).await?;
        let number = outbox::last_sequence(&mut transaction, backtest.tenant, BACKTESTS, 1).await?;
        sqlx::query(
            "INSERT INTO fraud_backtests (tenant, number, version, span_from, span_to, state, total, repeated, skipped, \
             started_at, progressed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(tenant.clone())
        .bind(number)
        .bind(backtest.version.to_string())
        .bind(backtest.span.from.micros())
        .bind(backtest.span.to.micros())
        .bind(backtest.state.to_string())
        .bind(backtest.total as i64)
        .bind(backtest.repeated as i64)
        .bind(backtest.skipped as i64)
        .bind(backtest.started_at.micros())
        .bind(backtest.progressed_at.micros())
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        sqlx::query("DELETE FROM fraud_backtests WHERE tenant = $1 AND number <= $2")
            .bind(tenant)
            .bind(number - BACKTESTS_KEPT_MAX)
            .execute(&mut *transaction)
            .await
            .map_err(storage_error)?;
        self.commit_audited(transaction, &[]).await?;
        Ok(number.unsigned_abs())
    }

    async fn find_backtest(&self, tenant: TenantId, number: u64) -> Result<Option<BacktestRecord>, StorageError> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        let row = sqlx::query("SELECT * FROM fraud_backtests WHERE tenant = $1 AND number = $2")
            .bind(tenant.to_string())
            .bind(number)
            .fetch_optional(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        row.as_ref().map(backtest).transpose()
    }

    async fn progress_backtest(
        &self,
        tenant: TenantId,
        number: u64,
        (repeated, skipped): (u64, u64),
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut transaction = self.writer(Durability::Repeatable).await?;
        let done = sqlx::query(
            "UPDATE fraud_backtests SET repeated = $3, skipped = $4, progressed_at = $5 \
             WHERE tenant = $1 AND number = $2 AND state = 'running'",
        )
        .bind(tenant.to_string())
        .bind(number as i64)
        .bind(repeated as i64)
        .bind(skipped as i64)
        .bind(at.micros())
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        transaction.commit().await.map_err(storage_error)?;
        Ok(done.rows_affected() > 0)
    }

    async fn end_backtest(
        &self,
        tenant: TenantId,
        number: u64,
        end: &BacktestEnd,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let (state, failure, report) = match end {
            BacktestEnd::Finished(report) => {
                (BacktestState::Finished, None, Some(to_json("the report of a backtest", report)?))
            }
            BacktestEnd::Failed(reason) => (BacktestState::Failed, Some(reason.clone()), None),
            BacktestEnd::Cancelled => (BacktestState::Cancelled, None, None),
        };
        let mut transaction = self.writer(Durability::Synced).await?;
        let done = sqlx::query(
            "UPDATE fraud_backtests SET state = $3, failure = $4, report = $5, progressed_at = $6 \
             WHERE tenant = $1 AND number = $2 AND state = 'running'",
        )
        .bind(tenant.to_string())
        .bind(number as i64)
        .bind(state.to_string())
        .bind(failure)
        .bind(report)
        .bind(at.micros())
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.commit_audited(transaction, &[]).await?;
        Ok(true)
    }
}

fn backtest(row: &AnyRow) -> Result<BacktestRecord, StorageError> {
    let fields = Fields::new("a backtest", row);
    let count = |name: &str| fields.integer(name).map(i64::unsigned_abs);
    let report = match fields.optional_text("report")? {
        Some(_) => Some(fields.json("report")?),
        None => None,
    };
    Ok(BacktestRecord {
        tenant: fields.parsed("tenant")?,
        number: count("number")?,
        version: fields.parsed("version")?,
        span: TimeSpan { from: fields.time("span_from")?, to: fields.time("span_to")? },
        total: count("total")?,
        repeated: count("repeated")?,
        skipped: count("skipped")?,
        state: fields.word("state", BacktestState::from_word)?,
        failure: fields.optional_text("failure")?,
        report,
        started_at: fields.time("started_at")?,
        progressed_at: fields.time("progressed_at")?,
    })
}
