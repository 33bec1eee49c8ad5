//! Pages of lists, newest first, by keyset: a page costs the same wherever in the list it stands.

use dhow_commerce::{PageRequest, StorageError};
use dhow_events::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::rows::storage_error;

/// A table that is listed by tenant, newest first.
pub(crate) struct List {
    /// The table.
    pub table: &'static str,
    /// The columns to read.
    pub columns: &'static str,
    /// The column that tells rows of one instant apart.
    pub id: &'static str,
    /// What puts the rows in order.
    pub by: By,
}

/// What puts the rows of a list in order; an index has it.
#[derive(Clone, Copy)]
pub(crate) enum By {
    /// The time of their creation, then the id.
    Creation,
    /// The id alone, which rises with the time of creation.
    Id,
}

impl List {
    /// The rows of `page`, and one more where another page follows, of those whose columns have the values of `filters`.
    ///
    /// A filter that is not asked for does not stand in the statement, so that the database takes the index of those that
    /// are; and rows of the pages before are skipped by the index too, for which time and id are compared as one value.
    pub(crate) async fn rows(
        &self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        filters: &[(&'static str, Option<String>)],
        page: &PageRequest,
    ) -> Result<Vec<AnyRow>, StorageError> {
        let Self { table, columns, id, by } = self;
        let mut sql = format!("SELECT {columns} FROM {table} WHERE tenant = $1");
        let asked: Vec<(&str, &String)> =
            filters.iter().filter_map(|(column, value)| value.as_ref().map(|value| (*column, value))).collect();
        for (number, (column, _)) in (2..).zip(&asked) {
            sql += &format!(" AND {column} = ${number}");
        }
        let next = asked.len() + 2;
        let (before, newest_first) = match by {
            By::Creation => (format!("(created_at, {id}) < (${}, ${next})", next + 1), "created_at DESC, "),
            By::Id => (format!("{id} < ${next}"), ""),
        };
        if page.after().is_some() {
            sql += &format!(" AND {before}");
        }
        let limit = i64::from(page.limit()) + 1;
        sql += &format!(" ORDER BY {newest_first}{id} DESC LIMIT {limit}");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
        for (_, value) in asked {
            query = query.bind(value.clone());
        }
        if let Some(after) = page.after() {
            query = query.bind(after.id.clone());
            if let By::Creation = by {
                query = query.bind(after.created_at.micros());
            }
        }
        query.fetch_all(connection).await.map_err(storage_error)
    }
}
