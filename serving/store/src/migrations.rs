//! The schema's versions, one text for both databases with a few words filled in; it changes no data by itself.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, SqlSafeStr};

use crate::DatabaseKind;

/// Number, name and text of every version. A text that was released is never changed; a new one is added.
const VERSIONS: &[(i64, &str, &str)] = &[
    (1, "commerce", include_str!("../migrations/0001_commerce.sql")),
    (2, "fraud", include_str!("../migrations/0002_fraud.sql")),
    (3, "holds", include_str!("../migrations/0003_holds.sql")),
    (4, "backtests", include_str!("../migrations/0004_backtests.sql")),
    (5, "reorders", include_str!("../migrations/0005_reorders.sql")),
    (6, "feature_lists", include_str!("../migrations/0006_feature_lists.sql")),
    (7, "route_plans", include_str!("../migrations/0007_route_plans.sql")),
    (8, "money", include_str!("../migrations/0008_money.sql")),
    (9, "feed", include_str!("../migrations/0009_feed.sql")),
    (10, "webhooks", include_str!("../migrations/0010_webhooks.sql")),
    (11, "audit", include_str!("../migrations/0011_audit.sql")),
    (12, "fewer_indexes", include_str!("../migrations/0012_fewer_indexes.sql")),
    (13, "auctions", include_str!("../migrations/0013_auctions.sql")),
    (14, "returns", include_str!("../migrations/0014_returns.sql")),
    (15, "prices", include_str!("../migrations/0015_prices.sql")),
    (16, "erasures", include_str!("../migrations/0016_erasures.sql")),
    (17, "pay_later", include_str!("../migrations/0017_pay_later.sql")),
    (18, "shipments", include_str!("../migrations/0018_shipments.sql")),
    (19, "customs_declarations", include_str!("../migrations/0019_customs_declarations.sql")),
    (20, "permissions", include_str!("../migrations/0020_permissions.sql")),
    (22, "watches", include_str!("../migrations/0022_watches.sql")),
    (23, "sale_regions", include_str!("../migrations/0023_sale_regions.sql")),
    (24, "subscriptions", include_str!("../migrations/0024_subscriptions.sql")),
    (25, "suppliers", include_str!("../migrations/0025_suppliers.sql")),
    (26, "sealed_secrets", include_str!("../migrations/0026_sealed_secrets.sql")),
    (27, "login", include_str!("../migrations/0027_login.sql")),
    (28, "catalogue", include_str!("../migrations/0028_catalogue.sql")),
    (29, "statements", include_str!("../migrations/0029_statements.sql")),
];

/// What the words in braces mean to each database.
const SQLITE_WORDS: [(&str, &str); 5] = [
    ("{{BYTES}}", "BLOB"),
    ("{{NUMBERED_KEY}}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
    // One more than the highest number there is, without a counter to be written too.
    ("{{RISING_KEY}}", "INTEGER PRIMARY KEY"),
    ("{{KEEP_NUMBERS}}", ""),
    ("{{NUMBER_ON_FROM_LAST outbox}}", ""),
];
const POSTGRES_WORDS: [(&str, &str); 5] = [
    ("{{BYTES}}", "BYTEA"),
    ("{{NUMBERED_KEY}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("{{RISING_KEY}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("{{KEEP_NUMBERS}}", "OVERRIDING SYSTEM VALUE"),
    (
        "{{NUMBER_ON_FROM_LAST outbox}}",
        "SELECT setval(pg_get_serial_sequence('outbox', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM outbox), false);",
    ),
];

pub(crate) async fn run(mut connection: AnyConnection, kind: DatabaseKind) -> Result<(), MigrateError> {
    migrator(kind).run(&mut connection).await?;
    sqlx::Connection::close(connection).await?;
    Ok(())
}

fn migrator(kind: DatabaseKind) -> Migrator {
    let words = match kind {
        DatabaseKind::Sqlite => SQLITE_WORDS,
        DatabaseKind::Postgres => POSTGRES_WORDS,
    };
    let migration = |(version, name, text): &(i64, &'static str, &str)| {
        let sql = words.iter().fold((*text).to_owned(), |sql, (word, meaning)| sql.replace(word, meaning));
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(VERSIONS.iter().map(migration).collect())
}
