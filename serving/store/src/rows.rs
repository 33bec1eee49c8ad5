//! Reading typed fields out of rows, and turning the driver's errors into those of the storage traits.

use std::fmt::Display;
use std::str::FromStr;

use dhow_commerce::StorageError;
use dhow_events::{Money, TenantId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::error::ErrorKind;
use sqlx::{Any, AnyConnection, AssertSqlSafe, ColumnIndex, Decode, Row, Type};

use crate::DatabaseKind;

/// PostgreSQL's codes of a transaction that lost against another and may be sent again, and of too many connections.
const POSTGRES_TRY_AGAIN: [&str; 4] = ["40001", "40P01", "53300", "57P03"];
/// SQLite's primary codes for a database that another connection holds.
const SQLITE_BUSY: [i64; 2] = [5, 6];

/// What a driver's error means to commerce.
pub(crate) fn storage_error(error: sqlx::Error) -> StorageError {
    match error {
        sqlx::Error::Database(database) => {
            let message = database.message().to_owned();
            match database.kind() {
                ErrorKind::CheckViolation | ErrorKind::ForeignKeyViolation => {
                    let named = message.rsplit_once("failed: ").map(|(_, rule)| rule.to_owned());
                    let rule = database.constraint().map(str::to_owned).or(named).unwrap_or(message);
                    StorageError::Rule { rule }
                }
                ErrorKind::UniqueViolation => StorageError::Exists(message),
                _ if may_be_sent_again(database.code().as_deref()) => StorageError::Unavailable(message),
                _ => StorageError::Failed(message),
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StorageError::Unavailable(error.to_string())
        }
        other => StorageError::Failed(other.to_string()),
    }
}

fn may_be_sent_again(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    // SQLite's extended codes carry the primary one in their lowest byte; PostgreSQL's have five characters.
    let sqlite_busy = |number: i64| SQLITE_BUSY.contains(&(number & 0xff));
    POSTGRES_TRY_AGAIN.contains(&code) || (code.len() < 5 && code.parse().is_ok_and(sqlite_busy))
}

/// A row of the thing called `what`, read field by field.
pub(crate) struct Fields<'r> {
    row: &'r AnyRow,
    what: &'static str,
}

impl<'r> Fields<'r> {
    pub(crate) const fn new(what: &'static str, row: &'r AnyRow) -> Self {
        Self { row, what }
    }

    fn get<T>(&self, name: &str) -> Result<T, StorageError>
    where
        T: Decode<'r, Any> + Type<Any>,
        for<'n> &'n str: ColumnIndex<AnyRow>,
    {
        self.row.try_get(name).map_err(|error| self.corrupt(name, error))
    }

    fn corrupt(&self, name: &str, error: impl Display) -> StorageError {
        StorageError::Corrupt { what: self.what, detail: format!("column {name}: {error}") }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<i64, StorageError> {
        self.get(name)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, StorageError> {
        Ok(self.integer(name)? != 0)
    }

    pub(crate) fn time(&self, name: &str) -> Result<Timestamp, StorageError> {
        Ok(Timestamp::from_micros(self.integer(name)?))
    }

    pub(crate) fn optional_time(&self, name: &str) -> Result<Option<Timestamp>, StorageError> {
        Ok(self.get::<Option<i64>>(name)?.map(Timestamp::from_micros))
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, StorageError> {
        self.get(name)
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>, StorageError> {
        self.get(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, StorageError> {
        self.get(name)
    }

    /// An id, region, tenant: what is written as its text.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, StorageError> {
        self.text(name)?.parse().map_err(|error| self.corrupt(name, error))
    }

    pub(crate) fn optional_integer(&self, name: &str) -> Result<Option<i64>, StorageError> {
        self.get(name)
    }

    pub(crate) fn optional_parsed<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, StorageError> {
        let text = self.optional_text(name)?;
        text.map(|text| text.parse().map_err(|error| self.corrupt(name, error))).transpose()
    }

    /// One of a fixed list of words.
    pub(crate) fn word<T>(&self, name: &str, from_word: fn(&str) -> Option<T>) -> Result<T, StorageError> {
        let word = self.text(name)?;
        from_word(&word).ok_or_else(|| self.corrupt(name, format!("`{word}` is not a known word")))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StorageError> {
        serde_json::from_str(&self.text(name)?).map_err(|error| self.corrupt(name, error))
    }

    pub(crate) fn optional_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StorageError> {
        let text = self.optional_text(name)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.corrupt(name, error))).transpose()
    }

    pub(crate) fn money(&self, amount: &str, currency: &str) -> Result<Money, StorageError> {
        Ok(Money::new(self.integer(amount)?, self.parsed(currency)?))
    }
}

/// `value` as the text of a JSON column.
pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|error| StorageError::Corrupt { what, detail: error.to_string() })
}

/// `$first, …` for `count` parameters.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    names.join(", ")
}

/// Rows that one statement inserts at most: beyond it a statement costs as much as its rows.
const ROWS_PER_STATEMENT_MAX: usize = 64;
/// Up to so many rows there is a statement for each number, for they are what comes most often.
const ROWS_OF_ANY_NUMBER_MAX: usize = 4;

/// A statement that is being bound.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, sqlx::any::AnyArguments>;

/// The row of a tenant's thing: `sql` asks for it by the tenant as `$1` and the id as `$2`.
pub(crate) async fn row_of(
    connection: &mut AnyConnection,
    sql: &str,
    tenant: TenantId,
    id: impl Display,
) -> Result<Option<AnyRow>, StorageError> {
    sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(tenant.to_string())
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .map_err(storage_error)
}

/// `rows` in parts of 64, 32, 16, 8 and at most 4 rows: however many there are, the statements have few lengths and stay
/// prepared.
pub(crate) fn equal_statements<T>(mut rows: &[T]) -> Vec<&[T]> {
    let (mut parts, mut length) = (Vec::new(), ROWS_PER_STATEMENT_MAX);
    while !rows.is_empty() {
        while rows.len() < length && length > ROWS_OF_ANY_NUMBER_MAX {
            length /= 2;
        }
        let (part, rest) = rows.split_at(rows.len().min(length));
        parts.push(part);
        rows = rest;
    }
    parts
}

/// The placeholders of `rows` rows of `columns` values, bound in that order: `($1, $2), ($3, $4)`; in SQLite
/// `(?, ?), (?, ?)`, because the driver looks up each named one in a list of all of them.
pub(crate) fn value_rows(connection: &AnyConnection, rows: usize, columns: usize) -> String {
    value_rows_from(kind_of(connection), 1, rows, columns)
}

/// The same where the first placeholder of the rows is the statement's `first`th, counted from 1.
pub(crate) fn value_rows_from(kind: DatabaseKind, first: usize, rows: usize, columns: usize) -> String {
    let row = |number: usize| match kind {
        DatabaseKind::Postgres => format!("({})", placeholders(first + number * columns, columns)),
        DatabaseKind::Sqlite => format!("({})", vec!["?"; columns].join(", ")),
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// What gives a row with the column `value` for each element of the JSON array in the statement's parameter `number`: a
/// thousand rows are bound as one value.
pub(crate) fn rows_of_json(kind: DatabaseKind, number: usize) -> String {
    match kind {
        DatabaseKind::Postgres => format!("json_array_elements(CAST(${number} AS json))"),
        DatabaseKind::Sqlite => format!("json_each(${number})"),
    }
}

/// What a column of a row of JSON is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JsonColumn {
    Text,
    Whole,
}

/// The values of a row of [`rows_of_json`] that is a list, in its order.
pub(crate) fn columns_of_json(columns: impl IntoIterator<Item = JsonColumn>) -> String {
    let column = |(place, kind)| match kind {
        JsonColumn::Text => format!("value ->> {place}"),
        JsonColumn::Whole => format!("CAST(value ->> {place} AS BIGINT)"),
    };
    columns.into_iter().enumerate().map(column).collect::<Vec<_>>().join(", ")
}

pub(crate) fn kind_of(connection: &AnyConnection) -> DatabaseKind {
    match connection.backend_name() {
        "PostgreSQL" => DatabaseKind::Postgres,
        _ => DatabaseKind::Sqlite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_number_make_statements_of_eight_lengths_at_most() {
        let rows: Vec<usize> = (0..1_000).collect();
        for count in [0, 1, 2, 3, 63, 64, 65, 127, 511, 1_000] {
            let parts = equal_statements(&rows[..count]);
            assert_eq!(parts.concat(), rows[..count], "each row once, in order");
            assert!(parts.iter().all(|part| part.len() <= 4 || [8, 16, 32, 64].contains(&part.len())));
        }
    }

    #[test]
    fn only_lost_races_and_held_locks_may_be_sent_again() {
        for code in ["40001", "40P01", "5", "261", "517"] {
            assert!(may_be_sent_again(Some(code)), "{code}");
        }
        for code in ["23505", "42601", "1", "19", "1032"] {
            assert!(!may_be_sent_again(Some(code)), "{code}");
        }
    }
}
