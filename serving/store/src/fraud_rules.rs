//! Published rules, drafts, the log of lists, and decisions to repeat, in SQL.

use dhow_commerce::{
    DeskHeads, FraudAction, FraudLabel, LabelledDecision, ListChange, RECORDED_DECISIONS_MAX, RuleDraft, RuleStorage,
    ScoredDecision, ShadowScore, StorageError, TimeSpan,
};
use dhow_events::{DecisionId, TenantId, Timestamp};
use dhow_rules::{BookEntry, PublishedVersion};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;

use crate::connect::Durability;
use crate::feature_lists::FeatureLists;
use crate::rows::{Fields, storage_error, to_json};
use crate::{Store, decisions, outbox};

/// The aggregate whose numbers the lines of a tenant's lists have.
const LISTS: &str = "fraud_lists";

impl RuleStorage for Store {
    async fn desk_heads(&self) -> Result<Vec<DeskHeads>, StorageError> {
        let rows = sqlx::query(
            "SELECT tenant, CAST(SUM(rules) AS BIGINT) AS rules, CAST(SUM(lists) AS BIGINT) AS lists FROM ( \
             SELECT tenant, MAX(number) AS rules, 0 AS lists FROM fraud_rule_log GROUP BY tenant UNION ALL \
             SELECT tenant, 0 AS rules, MAX(number) AS lists FROM fraud_list_log GROUP BY tenant) AS heads \
             GROUP BY tenant ORDER BY tenant",
        )
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(storage_error)?;
        let heads = |row| {
            let fields = Fields::new("the heads of the fraud desk's logs", row);
            let (rules, lists) = (fields.integer("rules")?, fields.integer("lists")?);
            Ok(DeskHeads { tenant: fields.parsed("tenant")?, rules, lists })
        };
        rows.iter().map(heads).collect()
    }

    async fn rule_versions(&self, tenant: TenantId) -> Result<Vec<PublishedVersion>, StorageError> {
        let sql = "SELECT body FROM fraud_rule_versions WHERE tenant = $1 ORDER BY number";
        self.bodies("a version of the rules", sql, tenant).await
    }

    async fn rule_log(&self, tenant: TenantId) -> Result<Vec<BookEntry>, StorageError> {
        let sql = "SELECT body FROM fraud_rule_log WHERE tenant = $1 ORDER BY number";
        self.bodies("a line of the rules' log", sql, tenant).await
    }

    async fn write_rule_log(
        &self,
        tenant: TenantId,
        number: i64,
        entry: &BookEntry,
        version: &PublishedVersion,
    ) -> Result<(), StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        sqlx::query(
            "INSERT INTO fraud_rule_versions (tenant, version, number, body) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, version) DO NOTHING",
        )
        .bind(tenant.to_string())
        .bind(version.version.to_string())
        .bind(number)
        .bind(to_json("a version of the rules", version)?)
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        sqlx::query("INSERT INTO fraud_rule_log (tenant, number, version, body) VALUES ($1, $2, $3, $4)")
            .bind(tenant.to_string())
            .bind(number)
            .bind(entry.version.to_string())
            .bind(to_json("a line of the rules' log", entry)?)
            .execute(&mut *transaction)
            .await
            .map_err(storage_error)?;
        self.commit_audited(transaction, &[entry.version.to_string()]).await
    }

    async fn rule_draft(&self, tenant: TenantId) -> Result<Option<RuleDraft>, StorageError> {
        let sql = "SELECT body FROM fraud_rule_drafts WHERE tenant = $1";
        Ok(self.bodies("a draft of rules", sql, tenant).await?.pop())
    }

    async fn put_rule_draft(&self, tenant: TenantId, draft: &RuleDraft) -> Result<(), StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        sqlx::query(
            "INSERT INTO fraud_rule_drafts (tenant, body) VALUES ($1, $2) \
             ON CONFLICT (tenant) DO UPDATE SET body = excluded.body",
        )
        .bind(tenant.to_string())
        .bind(to_json("a draft of rules", draft)?)
        .execute(&mut *transaction)
        .await
        .map_err(storage_error)?;
        self.commit_audited(transaction, &[]).await
    }

    async fn list_log(&self, tenant: TenantId, after: i64) -> Result<Vec<(i64, ListChange)>, StorageError> {
        let rows =
            sqlx::query("SELECT number, body FROM fraud_list_log WHERE tenant = $1 AND number > $2 ORDER BY number")
                .bind(tenant.to_string())
                .bind(after)
                .fetch_all(&mut *self.reader().await?)
                .await
                .map_err(storage_error)?;
        let line = |row| {
            let fields = Fields::new("a line of the lists' log", row);
            Ok((fields.integer("number")?, fields.json("body")?))
        };
        rows.iter().map(line).collect()
    }

    async fn append_list_change(
        &self,
        tenant: TenantId,
        change: &ListChange,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        // The number's row is locked until the commit, so that lines become visible in their order.
        let number = outbox::last_sequence(&mut transaction, tenant, LISTS, 1).await?;
        sqlx::query("INSERT INTO fraud_list_log (tenant, number, body, created_at) VALUES ($1, $2, $3, $4)")
            .bind(tenant.to_string())
            .bind(number)
            .bind(to_json("a line of the lists' log", change)?)
            .bind(at.micros())
            .execute(&mut *transaction)
            .await
            .map_err(storage_error)?;
        self.commit_audited(transaction, &[]).await
    }

    async fn count_fraud_decisions(&self, tenant: TenantId, span: TimeSpan) -> Result<u64, StorageError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS decisions FROM decisions \
             WHERE tenant = $1 AND kind = 'fraud' AND created_at >= $2 AND created_at < $3",
        )
        .bind(tenant.to_string())
        .bind(span.from.micros())
        .bind(span.to.micros())
        .fetch_one(&mut *self.reader().await?)
        .await
        .map_err(storage_error)?;
        Ok(Fields::new("a count of decisions", &row).integer("decisions")?.unsigned_abs())
    }

    async fn fraud_decisions(
        &self,
        tenant: TenantId,
        span: TimeSpan,
        after: Option<(Timestamp, DecisionId)>,
        limit: u32,
    ) -> Result<Vec<LabelledDecision>, StorageError> {
        let (created_at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| (at.micros(), id.to_string()));
        let mut reader = self.reader().await?;
        let rows = sqlx::query(
            "SELECT d.*, c.label AS label FROM decisions d \
             LEFT JOIN fraud_cases c ON c.tenant = d.tenant AND c.decision = d.id \
             WHERE d.tenant = $1 AND d.kind = 'fraud' AND d.created_at >= $2 AND d.created_at < $3 \
             AND (d.created_at, d.id) > ($4, $5) \
             ORDER BY d.created_at, d.id LIMIT $6",
        )
        .bind(tenant.to_string())
        .bind(span.from.micros().max(created_at))
        .bind(span.to.micros())
        .bind(created_at)
        .bind(id)
        .bind(i64::from(limit.min(RECORDED_DECISIONS_MAX)))
        .fetch_all(&mut *reader)
        .await
        .map_err(storage_error)?;
        let lists = FeatureLists::of(&mut reader, &rows).await?;
        let labelled = |row| {
            let fields = Fields::new("a fraud decision", row);
            let fraud = match fields.optional_text("label")? {
                Some(_) => Some(fields.word("label", FraudLabel::from_word)? == FraudLabel::Fraud),
                None => None,
            };
            Ok(LabelledDecision { record: decisions::decision(row, &lists)?, fraud })
        };
        rows.iter().map(labelled).collect()
    }

    async fn scored_decisions(
        &self,
        tenant: TenantId,
        span: TimeSpan,
        before: Option<(Timestamp, DecisionId)>,
        limit: u32,
    ) -> Result<Vec<ScoredDecision>, StorageError> {
        let (created_at, id) = before.map_or((i64::MAX, String::new()), |(at, id)| (at.micros(), id.to_string()));
        let rows = sqlx::query(
            "SELECT id, subject, model, answer, created_at FROM decisions \
             WHERE tenant = $1 AND kind = 'fraud' AND created_at >= $2 AND created_at < $3 \
             AND (created_at, id) < ($4, $5) \
             ORDER BY created_at DESC, id DESC LIMIT $6",
        )
        .bind(tenant.to_string())
        .bind(span.from.micros())
        .bind(span.to.micros())
        .bind(created_at)
        .bind(id)
        .bind(i64::from(limit.min(RECORDED_DECISIONS_MAX)))
        .fetch_all(&mut *self.reader().await?)
        .await
        .map_err(storage_error)?;
        rows.iter().map(scored).collect()
    }
}

/// The part of a recorded answer that tells how it fared.
#[derive(Deserialize)]
struct ScoreAnswer {
    probability: f64,
    action: FraudAction,
    #[serde(default)]
    shadows: Vec<ShadowScore>,
}

fn scored(row: &AnyRow) -> Result<ScoredDecision, StorageError> {
    let fields = Fields::new("a fraud decision", row);
    let ScoreAnswer { probability, action, shadows } = fields.json("answer")?;
    Ok(ScoredDecision {
        id: fields.parsed("id")?,
        checkout: fields.parsed("subject")?,
        model: fields.text("model")?,
        probability,
        action,
        shadows,
        created_at: fields.time("created_at")?,
    })
}

impl Store {
    /// The `body` of each row that `sql` finds for a tenant.
    async fn bodies<T: DeserializeOwned>(
        &self,
        what: &'static str,
        sql: &'static str,
        tenant: TenantId,
    ) -> Result<Vec<T>, StorageError> {
        let rows = sqlx::query(sql)
            .bind(tenant.to_string())
            .fetch_all(&mut *self.reader().await?)
            .await
            .map_err(storage_error)?;
        rows.iter().map(|row| Fields::new(what, row).json("body")).collect()
    }
}
