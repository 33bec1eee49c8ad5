//! Where persons stand in the database: one list of tables, by which a person is exported and erased; records of erasures are elsewhere.

use dhow_commerce::{EXPORT_ROWS_LOOKED_AT_MAX, PersonPlace, PersonRows, StorageError};
use dhow_events::{BuyerId, Erasure, TenantId, Timestamp, codec};
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Column, Row};

use crate::connect::Durability;
use crate::rows::{Fields, Query, kind_of, storage_error};
use crate::{Store, watches};

/// Rows that are looked at together by an erasure, and changed in one transaction at most.
const ROWS_AT_ONCE: i64 = 500;

/// A column of a key.
#[derive(Debug, Clone, Copy)]
enum Key {
    Text(&'static str),
    Number(&'static str),
}

impl Key {
    const fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Number(name) => name,
        }
    }
}

/// A table with rows of persons.
struct PersonalTable {
    name: &'static str,
    /// Its key beside the tenant.
    keys: &'static [Key],
    /// What tells a person's rows, `$2` is the person: a column among the texts, or rows of others. Where nothing does, every row is looked at for the person's id.
    of_person: Option<&'static str>,
    /// The columns in which ids of the person and the person's things stand.
    texts: &'static [&'static str],
    /// Whether it is part of an export: not where it only repeats other tables, or holds what others told in confidence.
    exported: bool,
}

/// Every table that holds something of a person. Of those without texts the rows name nobody and belong to rows that do, or
/// are removed when the person is erased.
const TABLES: &[PersonalTable] = &[
    PersonalTable {
        name: "checkouts",
        keys: &[Key::Text("id")],
        of_person: None,
        texts: &["buyer", "request", "shortages", "fraud", "idempotency_key"],
        exported: true,
    },
    PersonalTable {
        name: "orders",
        keys: &[Key::Text("id")],
        of_person: Some("buyer = $2"),
        texts: &["buyer"],
        exported: true,
    },
    PersonalTable {
        name: "order_lines",
        keys: &[Key::Text("order_id"), Key::Number("line_number")],
        of_person: Some("order_id IN (SELECT id FROM orders WHERE tenant = $1 AND buyer = $2)"),
        texts: &[],
        exported: true,
    },
    PersonalTable {
        name: "payments",
        keys: &[Key::Text("id")],
        of_person: Some("checkout IN (SELECT checkout FROM orders WHERE tenant = $1 AND buyer = $2)"),
        texts: &[],
        exported: true,
    },
    PersonalTable {
        name: "transfers",
        keys: &[Key::Text("id")],
        of_person: Some(
            "(id IN (SELECT transfer FROM transfer_shares WHERE tenant = $1 AND order_id IN \
             (SELECT id FROM orders WHERE tenant = $1 AND buyer = $2)) \
             OR payment IN (SELECT payment FROM pay_later_agreements WHERE tenant = $1 AND buyer = $2))",
        ),
        texts: &["rail_reference", "idempotency_key"],
        exported: true,
    },
    PersonalTable {
        name: "returns",
        keys: &[Key::Text("id")],
        of_person: Some("buyer = $2"),
        texts: &["buyer", "body"],
        exported: true,
    },
    PersonalTable {
        name: "shipments",
        keys: &[Key::Text("id")],
        of_person: Some("buyer = $2"),
        texts: &["buyer", "body"],
        exported: true,
    },
    PersonalTable { name: "disputes", keys: &[Key::Text("id")], of_person: None, texts: &["body"], exported: true },
    PersonalTable {
        name: "pay_later_buyers",
        keys: &[Key::Text("buyer")],
        of_person: Some("buyer = $2"),
        texts: &["buyer"],
        exported: true,
    },
    PersonalTable {
        name: "pay_later_agreements",
        keys: &[Key::Text("id")],
        of_person: Some("buyer = $2"),
        texts: &["buyer", "body"],
        exported: true,
    },
    PersonalTable {
        name: "saved_searches",
        keys: &[Key::Text("id")],
        of_person: Some("buyer = $2"),
        texts: &[],
        exported: true,
    },
    PersonalTable {
        name: "saved_search_products",
        keys: &[Key::Text("search"), Key::Text("product")],
        of_person: Some("search IN (SELECT id FROM saved_searches WHERE tenant = $1 AND buyer = $2)"),
        texts: &[],
        exported: true,
    },
    PersonalTable {
        name: "price_alerts",
        keys: &[Key::Text("id")],
        of_person: Some("buyer = $2"),
        texts: &[],
        exported: true,
    },
    PersonalTable { name: "auctions", keys: &[Key::Text("id")], of_person: None, texts: &["body"], exported: false },
    PersonalTable {
        name: "auction_bids",
        keys: &[Key::Text("auction"), Key::Number("sequence")],
        of_person: Some("bidder = $2"),
        texts: &["bidder"],
        exported: true,
    },
    PersonalTable {
        name: "decisions",
        keys: &[Key::Text("id")],
        of_person: None,
        texts: &["subject", "request", "answer", "reasons"],
        exported: true,
    },
    PersonalTable {
        name: "fraud_cases",
        keys: &[Key::Text("decision")],
        of_person: None,
        texts: &["body"],
        exported: true,
    },
    PersonalTable {
        name: "fraud_list_log",
        keys: &[Key::Number("number")],
        of_person: None,
        texts: &["body"],
        exported: true,
    },
    PersonalTable {
        name: "fraud_backtests",
        keys: &[Key::Number("number")],
        of_person: None,
        texts: &["report"],
        exported: false,
    },
    PersonalTable {
        name: "idempotency_keys",
        keys: &[Key::Text("idempotency_key")],
        of_person: None,
        texts: &["answer", "idempotency_key"],
        exported: false,
    },
];

impl PersonalTable {
    fn key_names(&self) -> String {
        self.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(", ")
    }

    /// The condition of rows behind a key whose first column is the statement's parameter `first`.
    fn behind(&self, first: usize) -> String {
        let values: Vec<String> = (first..first + self.keys.len()).map(|number| format!("${number}")).collect();
        format!(" AND ({}) > ({})", self.key_names(), values.join(", "))
    }

    /// The condition of the row of a key.
    fn at(&self, first: usize) -> String {
        let equal = (first..).zip(self.keys).map(|(number, key)| format!(" AND {} = ${number}", key.name()));
        equal.collect()
    }

    fn bind<'q>(&self, query: Query<'q>, key: &[String]) -> Result<Query<'q>, StorageError> {
        let wrong = || StorageError::Rule { rule: format!("a place in {}", self.name) };
        if key.len() != self.keys.len() {
            return Err(wrong());
        }
        self.keys.iter().zip(key).try_fold(query, |query, (kind, value)| match kind {
            Key::Text(_) => Ok(query.bind(value.clone())),
            Key::Number(_) => Ok(query.bind(value.parse::<i64>().map_err(|_| wrong())?)),
        })
    }

    fn key_of(&self, row: &AnyRow) -> Result<Vec<String>, StorageError> {
        let fields = Fields::new(self.name, row);
        let value = |key: &Key| match key {
            Key::Text(name) => fields.text(name),
            Key::Number(name) => fields.integer(name).map(|number| number.to_string()),
        };
        self.keys.iter().map(value).collect()
    }

    fn texts_of(&self, row: &AnyRow) -> Result<Vec<Option<String>>, StorageError> {
        let fields = Fields::new(self.name, row);
        self.texts.iter().map(|name| fields.optional_text(name)).collect()
    }
}

/// The next rows of a person; see [`dhow_commerce::PersonStorage::person_rows`].
pub(crate) async fn rows(
    store: &Store,
    tenant: TenantId,
    person: BuyerId,
    from: Option<&PersonPlace>,
    limit: u32,
) -> Result<PersonRows, StorageError> {
    let mut exported = TABLES.iter().filter(|table| table.exported);
    let after = from.map(|place| place.after.as_slice()).unwrap_or_default();
    let table = match from {
        Some(place) => exported.find(|table| table.name == place.table),
        None => exported.next(),
    };
    let table = table.ok_or_else(|| StorageError::Rule { rule: "a place in what is held of a person".to_owned() })?;
    let looked_at = if table.of_person.is_some() { i64::from(limit) } else { EXPORT_ROWS_LOOKED_AT_MAX };
    let found = page(&mut *store.reader().await?, table, "*", tenant, Some(person), after, looked_at).await?;
    let (mut rows, mut last, mut seen) = (Vec::new(), Vec::new(), 0);
    let name = person.to_string();
    for row in &found {
        seen += 1;
        last = table.key_of(row)?;
        let texts = table.texts_of(row)?;
        if table.of_person.is_some() || texts.iter().flatten().any(|text| text.contains(&name)) {
            rows.push(as_json(row)?);
        }
        if rows.len() >= limit as usize {
            break;
        }
    }
    let next = if seen < found.len() || found.len() as i64 == looked_at {
        Some(PersonPlace { table: table.name.to_owned(), after: last })
    } else {
        exported.next().map(|next| PersonPlace { table: next.name.to_owned(), after: Vec::new() })
    };
    Ok(PersonRows { table: table.name.to_owned(), rows, next })
}

/// Rows behind a key, in the order of keys: those of a person where one is given and the table tells whose a row is.
async fn page(
    connection: &mut AnyConnection,
    table: &PersonalTable,
    columns: &str,
    tenant: TenantId,
    person: Option<BuyerId>,
    after: &[String],
    limit: i64,
) -> Result<Vec<AnyRow>, StorageError> {
    let of = person.and_then(|person| table.of_person.map(|condition| (condition, person)));
    let mut sql = format!("SELECT {columns} FROM {} WHERE tenant = $1", table.name);
    if let Some((condition, _)) = of {
        sql += &format!(" AND {condition}");
    }
    if !after.is_empty() {
        sql += &table.behind(if of.is_some() { 3 } else { 2 });
    }
    sql += &format!(" ORDER BY {} LIMIT {limit}", table.key_names());
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
    if let Some((_, person)) = of {
        query = query.bind(person.to_string());
    }
    if !after.is_empty() {
        query = table.bind(query, after)?;
    }
    query.fetch_all(connection).await.map_err(storage_error)
}

/// A row as an object: times as texts, JSON as it is, lists of numbers as such.
fn as_json(row: &AnyRow) -> Result<Value, StorageError> {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let name = column.name();
        let value = if let Ok(number) = row.try_get::<Option<i64>, _>(index) {
            match number {
                Some(micros) if name.ends_with("_at") => Timestamp::from_micros(micros).to_string().into(),
                number => number.into(),
            }
        } else if let Ok(text) = row.try_get::<Option<String>, _>(index) {
            match text {
                Some(text) if text.starts_with(['{', '[']) => {
                    serde_json::from_str(&text).unwrap_or(Value::String(text))
                }
                text => text.into(),
            }
        } else {
            let bytes = row.try_get::<Option<Vec<u8>>, _>(index).map_err(storage_error)?;
            let double = |bytes: &[u8; 8]| Value::from(f64::from_le_bytes(*bytes));
            bytes.map(|bytes| bytes.as_chunks::<8>().0.iter().map(double).collect()).unwrap_or(Value::Null)
        };
        object.insert(name.to_owned(), value);
    }
    Ok(Value::Object(object))
}

/// Takes the person out of every table once; gives how many rows changed.
pub(crate) async fn erase(store: &Store, erasure: &Erasure) -> Result<u64, StorageError> {
    let mut changed = erase_in_books(store, erasure).await? + erase_in_outbox(store, erasure).await?;
    changed += watches::forget(store, erasure).await?;
    for table in TABLES.iter().filter(|table| !table.texts.is_empty()) {
        changed += erase_in_table(store, table, erasure).await?;
    }
    Ok(changed)
}

async fn erase_in_table(store: &Store, table: &PersonalTable, erasure: &Erasure) -> Result<u64, StorageError> {
    let (mut after, mut changed) = (Vec::new(), 0);
    let columns = format!("{}, {}", table.key_names(), table.texts.join(", "));
    loop {
        // A condition on another table no longer holds once that one was rewritten.
        let person = table.of_person.filter(|condition| !condition.contains("SELECT")).map(|_| erasure.person);
        let reader = &mut *store.reader().await?;
        let found = page(reader, table, &columns, erasure.tenant, person, &after, ROWS_AT_ONCE).await?;
        let Some(last) = found.last() else { return Ok(changed) };
        after = table.key_of(last)?;
        let mut keys = Vec::new();
        for row in &found {
            if taken_out(erasure, &table.texts_of(row)?).is_some() {
                keys.push(table.key_of(row)?);
            }
        }
        changed += rewrite_rows(store, table, erasure, &keys).await?;
        if (found.len() as i64) < ROWS_AT_ONCE {
            return Ok(changed);
        }
    }
}

/// Rewrites rows in one transaction, each as it is once it is locked.
async fn rewrite_rows(
    store: &Store,
    table: &PersonalTable,
    erasure: &Erasure,
    keys: &[Vec<String>],
) -> Result<u64, StorageError> {
    if keys.is_empty() {
        return Ok(0);
    }
    let mut transaction = store.writer(Durability::Synced).await?;
    let lock = kind_of(&transaction).row_lock();
    let read = format!("SELECT {} FROM {} WHERE tenant = $1{}{lock}", table.texts.join(", "), table.name, table.at(2));
    let texts = (table.keys.len() + 2..).zip(table.texts).map(|(number, name)| format!("{name} = ${number}"));
    let texts = texts.collect::<Vec<_>>().join(", ");
    let write = format!("UPDATE {} SET {texts} WHERE tenant = $1{}", table.name, table.at(2));
    let mut changed = 0;
    for key in keys {
        let query = sqlx::query(AssertSqlSafe(read.clone())).bind(erasure.tenant.to_string());
        let row = table.bind(query, key)?.fetch_optional(&mut *transaction).await.map_err(storage_error)?;
        let Some(row) = row else { continue };
        let Some(texts) = taken_out(erasure, &table.texts_of(&row)?) else { continue };
        let query = sqlx::query(AssertSqlSafe(write.clone())).bind(erasure.tenant.to_string());
        let query = texts.into_iter().fold(table.bind(query, key)?, |query, text| query.bind(text));
        changed += query.execute(&mut *transaction).await.map_err(storage_error)?.rows_affected();
    }
    transaction.commit().await.map_err(storage_error)?;
    Ok(changed)
}

/// A row's texts without the person; nothing where the row is not about the person. An id that stands in the place of
/// another is as long, so all texts are judged and rewritten as one.
fn taken_out(erasure: &Erasure, texts: &[Option<String>]) -> Option<Vec<Option<String>>> {
    let whole: String = texts.iter().flatten().flat_map(|text| [text.as_str(), "\n"]).collect();
    let rewritten = erasure.in_text(&whole)?;
    let mut at = 0;
    let part = |text: &Option<String>| {
        text.as_ref().map(|text| {
            let begin = at;
            at += text.len() + 1;
            rewritten.get(begin..begin + text.len()).unwrap_or_default().to_owned()
        })
    };
    Some(texts.iter().map(part).collect())
}

/// The buyer's account under the name of the pseudonym, in journal and balances at once: no sum changes.
async fn erase_in_books(store: &Store, erasure: &Erasure) -> Result<u64, StorageError> {
    let mut transaction = store.writer(Durability::Synced).await?;
    let mut changed = 0;
    for table in ["ledger_entries", "ledger_balances"] {
        let sql =
            format!("UPDATE {table} SET account = replace(account, $2, $3) WHERE tenant = $1 AND account LIKE $4");
        let done = sqlx::query(AssertSqlSafe(sql))
            .bind(erasure.tenant.to_string())
            .bind(erasure.person.to_string())
            .bind(erasure.pseudonym.to_string())
            .bind(format!("%:{}", erasure.person))
            .execute(&mut *transaction)
            .await
            .map_err(storage_error)?;
        changed += done.rows_affected();
    }
    transaction.commit().await.map_err(storage_error)?;
    Ok(changed)
}

/// Events that wait for the log, or stand in the feed, from which webhooks are sent too.
async fn erase_in_outbox(store: &Store, erasure: &Erasure) -> Result<u64, StorageError> {
    let (mut after, mut changed) = (0, 0);
    loop {
        let rows = sqlx::query("SELECT id, event FROM outbox WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3")
            .bind(erasure.tenant.to_string())
            .bind(after)
            .bind(ROWS_AT_ONCE)
            .fetch_all(&mut *store.reader().await?)
            .await
            .map_err(storage_error)?;
        let mut rewritten = Vec::new();
        for row in &rows {
            let fields = Fields::new("an outbox event", row);
            after = fields.integer("id")?;
            let mut bytes = fields.bytes("event")?;
            let corrupt = |detail: String| StorageError::Corrupt { what: "an outbox event", detail };
            let event = codec::decode(&bytes).map_err(|error| corrupt(error.to_string()))?;
            if erasure.rewrite(&event, &mut bytes).map_err(|error| corrupt(error.to_string()))? {
                rewritten.push((after, bytes));
            }
        }
        changed += rewritten.len() as u64;
        write_events(store, rewritten).await?;
        if (rows.len() as i64) < ROWS_AT_ONCE {
            return Ok(changed);
        }
    }
}

/// An event's bytes change by erasures alone, so what was read is what is there.
async fn write_events(store: &Store, events: Vec<(i64, Vec<u8>)>) -> Result<(), StorageError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut transaction = store.writer(Durability::Synced).await?;
    for (id, bytes) in events {
        sqlx::query("UPDATE outbox SET event = $2 WHERE id = $1")
            .bind(id)
            .bind(bytes)
            .execute(&mut *transaction)
            .await
            .map_err(storage_error)?;
    }
    transaction.commit().await.map_err(storage_error)
}
