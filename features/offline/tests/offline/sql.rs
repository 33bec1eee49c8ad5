//! SQL reads the caller's tables and nothing else, whatever it says, within its bounds.

use std::path::Path;
use std::time::Duration;

use dhow_events::*;
use dhow_offline::*;
use dhow_streams::Record;

use crate::world::*;

/// Two tenants with sales of a different number.
fn two_tenants(folder: &Path) {
    let records = [
        record(0, 1, "ten_default", 0, ordered(7, 1)),
        record(1, 2, "ten_acme", 0, ordered(7, 2)),
        record(2, 3, "ten_acme", 0, ordered(8, 2)),
    ];
    write(folder, &records);
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut files = stored(folder).list().unwrap();
    files.sort();
    files
}

#[test]
fn a_tenant_sees_its_own_rows_only() {
    let folder = tempfile::tempdir().unwrap();
    two_tenants(folder.path());
    assert_eq!(count(folder.path(), "ten_default", "item_ordered"), 1);
    assert_eq!(count(folder.path(), "ten_acme", "item_ordered"), 2);
    assert_eq!(count(folder.path(), "ten_nobody", "item_ordered"), 0);
    assert_eq!(count(folder.path(), "ten_acme", "product_viewed"), 0);
    for table in ["ten_acme.item_ordered", "datafusion.ten_acme.item_ordered", "\"ten_acme/item_ordered\""] {
        let answer = run(session(folder.path(), "ten_default").query(&format!("SELECT * FROM {table}")));
        assert!(answer.is_err(), "{table}");
    }
}

#[test]
fn sql_that_does_anything_but_read_the_tables_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    two_tenants(folder.path());
    let lake = Lake::open(stored(folder.path())).unwrap();
    let others = lake.files(&TenantId::new("ten_acme").unwrap(), FactKind::ItemOrdered).next().unwrap().path.clone();
    let file = folder.path().join(&others).display().to_string();
    let out = outside.path().join("out").display().to_string();
    let csv = outside.path().join("secret.csv");
    std::fs::write(&csv, "a,b\n1,2\n").unwrap();
    let csv = csv.display().to_string();
    let before = files_below(folder.path());
    let session = session(folder.path(), "ten_default");
    let refused = [
        // What changes tables.
        "DROP TABLE item_ordered".to_owned(),
        "DROP SCHEMA public CASCADE".to_owned(),
        "CREATE TABLE x (a INT)".to_owned(),
        "CREATE TABLE x AS SELECT * FROM item_ordered".to_owned(),
        "CREATE VIEW x AS SELECT * FROM item_ordered".to_owned(),
        "CREATE SCHEMA x".to_owned(),
        "CREATE DATABASE x".to_owned(),
        "CREATE FUNCTION f() RETURNS INT RETURN 1".to_owned(),
        "SELECT * INTO x FROM item_ordered".to_owned(),
        "INSERT INTO item_ordered SELECT * FROM item_ordered".to_owned(),
        "INSERT INTO item_ordered VALUES (1)".to_owned(),
        "WITH x AS (SELECT 1) INSERT INTO item_ordered SELECT * FROM x".to_owned(),
        "UPDATE item_ordered SET quantity = 1".to_owned(),
        "DELETE FROM item_ordered".to_owned(),
        "TRUNCATE TABLE item_ordered".to_owned(),
        "MERGE INTO item_ordered USING item_ordered b ON true WHEN MATCHED THEN DELETE".to_owned(),
        "ALTER TABLE item_ordered ADD COLUMN x INT".to_owned(),
        // What writes files.
        format!("COPY item_ordered TO '{out}.parquet'"),
        format!("COPY (SELECT * FROM item_ordered) TO '{out}.csv' STORED AS CSV"),
        format!("EXPLAIN ANALYZE COPY item_ordered TO '{out}.json'"),
        "EXPLAIN ANALYZE INSERT INTO item_ordered SELECT * FROM item_ordered".to_owned(),
        "EXPLAIN DROP TABLE item_ordered".to_owned(),
        // What reads files.
        format!("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{file}'"),
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{csv}'"),
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION 's3://other/bucket/'".to_owned(),
        format!("SELECT * FROM '{file}'"),
        format!("SELECT * FROM '{csv}'"),
        format!("SELECT * FROM \"{csv}\""),
        format!("SELECT * FROM 'file://{csv}'"),
        format!("SELECT * FROM 'lake://files/{others}'"),
        format!("SELECT * FROM \"lake://files/{others}\""),
        "SELECT * FROM '/etc/passwd.csv'".to_owned(),
        format!("SELECT * FROM read_parquet('{file}')"),
        format!("SELECT * FROM read_csv('{csv}')"),
        format!("SELECT * FROM parquet_scan('{file}')"),
        format!("SELECT * FROM parquet_metadata('{file}')"),
        format!("SELECT * FROM glob('{out}*')"),
        format!("SELECT read_text('{csv}')"),
        format!("SELECT pg_read_file('{csv}')"),
        format!("SELECT load_extension('{csv}')"),
        // What changes the session.
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "SET datafusion.runtime.memory_limit = '100G'".to_owned(),
        "RESET datafusion.execution.batch_size".to_owned(),
        "BEGIN".to_owned(),
        "COMMIT".to_owned(),
        "USE information_schema".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "EXECUTE p".to_owned(),
        "DEALLOCATE p".to_owned(),
        "ATTACH 'x.db' AS x".to_owned(),
        "CALL f()".to_owned(),
        // What is not one query.
        "SELECT 1; SELECT 2".to_owned(),
        "SELECT 1; DROP TABLE item_ordered".to_owned(),
        "SELECT * FROM item_order".to_owned(),
        "nonsense".to_owned(),
        String::new(),
    ];
    for sql in refused {
        let answer = run(session.query(&sql));
        assert!(matches!(answer, Err(OfflineError::Query(_))), "{sql}: {answer:?}");
    }
    assert_eq!(files_below(folder.path()), before);
    let left: Vec<_> = std::fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["secret.csv"]);
    assert_eq!(count(folder.path(), "ten_acme", "item_ordered"), 2);
}

#[test]
fn neither_plans_nor_the_catalogue_tell_of_other_tenants_or_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    two_tenants(folder.path());
    let session = session(folder.path(), "ten_default");
    let machine = folder.path().display().to_string();
    for sql in [
        "EXPLAIN VERBOSE SELECT * FROM item_ordered",
        "EXPLAIN ANALYZE SELECT * FROM item_ordered",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.schemata",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM information_schema.df_settings",
        "SHOW TABLES",
        "SHOW ALL",
        "DESCRIBE item_ordered",
    ] {
        let answer = run(session.query(sql)).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let shown = format!("{answer:?}");
        assert!(!shown.contains("ten_acme"), "{sql}: {shown}");
        assert!(!shown.contains(&machine), "{sql}: {shown}");
    }
}

#[test]
fn a_query_that_takes_too_long_or_too_much_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<Record> = (0..2000).map(|i| record(i, u128::from(i), "ten_default", 0, ordered(7, 1))).collect();
    write(folder.path(), &records);
    let lake = Lake::open(stored(folder.path())).unwrap();
    let ask = |bounds: QueryBounds, sql: &str| {
        run(SqlSession::open(&lake, &TenantId::default(), bounds).unwrap().query(sql)).unwrap_err().to_string()
    };
    let few = QueryBounds { rows_max: 1999, ..QueryBounds::default() };
    assert!(ask(few, "SELECT * FROM item_ordered").contains("more than 1999 rows"));
    let short = QueryBounds { time_max: Duration::from_millis(50), ..QueryBounds::default() };
    let cross = "SELECT count(*) FROM item_ordered a, item_ordered b, item_ordered c WHERE a.quantity + b.quantity + c.quantity = 4";
    assert!(ask(short, cross).contains("longer than"));
    assert!(ask(short, "SELECT sum(value) FROM generate_series(1, 1000000000000)").contains("longer than"));
    let small = QueryBounds { memory_bytes_max: 1 << 20, spill_bytes_max: 1 << 20, ..QueryBounds::default() };
    let distinct = "SELECT count(*) FROM (SELECT DISTINCT value, value || 'x' AS x FROM generate_series(1, 3000000))";
    let said = ask(small, distinct);
    assert!(said.contains("was stopped") && said.contains("memory"), "{said}");
    assert!(ask(small, "SELECT value FROM generate_series(1, 900000)").contains("more than 1048576 bytes"));
    for function in
        ["repeat('x', 2000000000)", "lpad('x', 2000000000)", "array_repeat(1, 1000000000)", "range(1, 1000000000)"]
    {
        assert!(ask(small, &format!("SELECT {function}")).contains("Invalid function"), "{function}");
    }
}

#[test]
fn a_parquet_file_of_the_users_own_is_a_table_beside_the_lakes() {
    let folder = tempfile::tempdir().unwrap();
    two_tenants(folder.path());
    let session = session(folder.path(), "ten_acme");
    let file = folder.path().join("orders.parquet");
    write_parquet(&file, &run(session.query("SELECT event_id, quantity * 10 AS tens FROM item_ordered")).unwrap()[0])
        .unwrap();
    session.add_parquet("tens", &file).unwrap();
    let sql = "SELECT sum(tens) AS n FROM item_ordered JOIN tens USING (event_id)";
    assert_eq!(integers(&run(session.query(sql)).unwrap(), "n").unwrap(), [40]);
    assert!(session.add_parquet("item_ordered", &file).unwrap_err().to_string().contains("`item_ordered`"));
}
