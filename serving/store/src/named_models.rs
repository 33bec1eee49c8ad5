//! Every model that a row of the database names, wherever it does: what a collection of models must not remove.

use std::collections::BTreeMap;

use dhow_commerce::StorageError;
use dhow_events::ModelId;
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Row};

use crate::rows::{Fields, storage_error};
use crate::{DatabaseKind, Store};

/// What every model's id begins with, up to and with its underscore.
const PREFIX: &str = "mdl_";
/// The length of a model's id, in bytes.
const ID_BYTES: usize = PREFIX.len() + 36;
/// Tables that say what was asked for or is sent, not what was decided.
const MESSAGES: [&str; 5] = ["audit_log", "idempotency_keys", "outbox", "webhook_deliveries", "webhook_endpoints"];

/// The models that a text names, such as that of `market@mdl_…/popular`.
pub fn model_ids_in(text: &str) -> impl Iterator<Item = ModelId> + '_ {
    text.match_indices(PREFIX).filter_map(|(begin, _)| text.get(begin..begin + ID_BYTES)?.parse().ok())
}

impl Store {
    /// Every model that a text of any table names, of any tenant, with a place that does, such as `decisions.model`.
    /// Requests that were logged and messages on their way do not count. New tables count by themselves.
    ///
    /// It reads every table from its begin to its end, a row at a time, and each column of texts in a state of its own:
    /// what is written meanwhile may be seen or not. SQLite's write-ahead file grows until a column is read.
    ///
    /// # Errors
    /// The database's refusal.
    pub async fn named_models(&self) -> Result<BTreeMap<ModelId, String>, StorageError> {
        let mut named = BTreeMap::new();
        for (table, column) in self.text_columns().await? {
            // Names of models repeat, whole answers do not.
            let distinct = if column == "model" { "DISTINCT " } else { "" };
            let sql = format!(
                "SELECT {distinct}\"{column}\" FROM \"{table}\" WHERE \"{column}\" LIKE '%mdl\\_%' ESCAPE '\\'"
            );
            let mut connection = self.reader().await?;
            let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *connection);
            while let Some(row) = rows.try_next().await.map_err(storage_error)? {
                let text: String = row.try_get(0).map_err(storage_error)?;
                for model in model_ids_in(&text) {
                    named.entry(model).or_insert_with(|| format!("{table}.{column}"));
                }
            }
        }
        Ok(named)
    }

    /// The columns of texts, by table, of every table but those of [`MESSAGES`].
    async fn text_columns(&self) -> Result<Vec<(String, String)>, StorageError> {
        let sql = match self.kind() {
            DatabaseKind::Sqlite => {
                "SELECT tables.name AS in_table, columns.name AS in_column \
                 FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns \
                 WHERE tables.type = 'table' AND columns.type = 'TEXT' ORDER BY 1, 2"
            }
            DatabaseKind::Postgres => {
                "SELECT CAST(table_name AS TEXT) AS in_table, CAST(column_name AS TEXT) AS in_column \
                 FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND data_type = 'text' ORDER BY 1, 2"
            }
        };
        let rows = sqlx::query(sql).fetch_all(&mut *self.reader().await?).await.map_err(storage_error)?;
        let mut columns = Vec::new();
        for row in &rows {
            let fields = Fields::new("the schema", row);
            columns.push((fields.text("in_table")?, fields.text("in_column")?));
        }
        columns.retain(|(table, _)| !MESSAGES.contains(&table.as_str()));
        Ok(columns)
    }
}
