//! The Online Retail loader on small files written here, and on the real data where it is there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use dhow_datasets::online_retail::{self, LoadError, OnlineRetail, SkippedLines};
use dhow_datasets::shape::{ShapeCollector, compare};
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_events::{Event, Fact, TenantId};
use parquet::arrow::ArrowWriter;

type Row<'a> = (&'a str, &'a str, i32, i64, f64, Option<i32>);

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn columns(rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
    let texts = |pick: fn(&Row) -> String| Arc::new(rows.iter().map(|row| Some(pick(row))).collect::<StringArray>());
    vec![
        ("InvoiceNo", texts(|row| row.0.to_owned()) as ArrayRef),
        ("StockCode", texts(|row| row.1.to_owned())),
        ("Description", texts(|row| format!("THING {}", row.1))),
        ("Quantity", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int32Array>())),
        ("InvoiceDate", Arc::new(rows.iter().map(|row| Some(row.3)).collect::<TimestampMillisecondArray>())),
        ("UnitPrice", Arc::new(rows.iter().map(|row| Some(row.4)).collect::<Float64Array>())),
        ("CustomerID", Arc::new(rows.iter().map(|row| row.5).collect::<Int32Array>())),
        ("Country", texts(|_| "United Kingdom".to_owned())),
    ]
}

fn load(name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<OnlineRetail, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write(&path, columns);
    online_retail::load(&path, TenantId::default())
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.fact.kind().name()).collect()
}

#[test]
fn an_invoice_becomes_an_order_and_its_cancellation_a_return() {
    let rows = [
        ("536365", "85123A", 6, 1_291_191_960_000, 2.55, Some(17850)),
        ("536365", "71053", 2, 1_291_191_960_000, 3.39, Some(17850)),
        ("C536400", "85123A", -4, 1_291_300_000_000, 2.55, Some(17850)),
    ];
    let loaded = load("a.parquet", columns(&rows)).unwrap();
    assert_eq!((loaded.lines, loaded.ordered_lines, loaded.returned_lines), (3, 2, 1));
    assert_eq!(loaded.skipped, SkippedLines::default());
    let expected = [
        "seller_registered",
        "buyer_registered",
        "product_listed",
        "product_listed",
        "checkout_submitted",
        "payment_authorized",
        "order_placed",
        "item_ordered",
        "item_ordered",
        "payment_captured",
        "order_returned",
    ];
    assert_eq!(kinds(&loaded.events), expected);
    let Fact::CheckoutSubmitted(checkout) = &loaded.events[4].fact else { panic!() };
    assert_eq!((checkout.total.to_string().as_str(), checkout.total_usd_minor), ("22.08 GBP", 2448 + 1085));
    assert_eq!((checkout.session, checkout.device, checkout.card), (None, None, None));
    let Fact::OrderReturned(returned) = &loaded.events[10].fact else { panic!() };
    assert_eq!((returned.quantity, returned.amount_usd_minor), (4, 1632));
}

#[test]
fn lines_that_are_no_sale_of_a_product_are_counted_with_their_reason() {
    let time = 1_291_191_960_000;
    let rows = [
        ("536365", "85123A", 6, time, 2.55, Some(1)),
        ("536366", "85123A", 6, time, 2.55, None),
        ("536367", "POST", 1, time, 18.0, Some(1)),
        ("536368", "85123A", 6, time, 0.0, Some(1)),
        ("536369", "85123A", -6, time, 2.55, Some(1)),
        ("A536370", "85123A", 6, time, 2.55, Some(1)),
        ("C536371", "71053", -1, time, 2.55, Some(1)),
        ("C536372", "85123A", -7, time, 2.55, Some(1)),
    ];
    let loaded = load("a.parquet", columns(&rows)).unwrap();
    let expected = SkippedLines {
        malformed: 1,
        no_customer: 1,
        not_a_product: 1,
        no_price: 1,
        no_quantity: 1,
        return_without_order: 2,
    };
    assert_eq!(loaded.skipped, expected);
    assert_eq!(loaded.ordered_lines + loaded.returned_lines + loaded.skipped.total(), loaded.lines);
}

#[test]
fn a_missing_or_mistyped_column_is_named_with_what_would_be_right() {
    let rows = [("536365", "85123A", 6, 1_291_191_960_000, 2.55, Some(1))];
    let mut missing = columns(&rows);
    missing.retain(|(name, _)| *name != "UnitPrice");
    let message = load("a.parquet", missing).unwrap_err().to_string();
    assert!(
        message.contains("`UnitPrice` is missing") && message.contains("CustomerID (a 32-bit integer)"),
        "{message}"
    );
    let mut mistyped = columns(&rows);
    mistyped[3].1 = Arc::new(StringArray::from(vec!["six"]));
    let message = load("a.parquet", mistyped).unwrap_err().to_string();
    assert_eq!(message, "column `Quantity` has type Utf8; it must be a 32-bit integer");
}

#[test]
fn a_file_that_is_absent_or_no_parquet_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.parquet");
    let message = online_retail::load(&path, TenantId::default()).unwrap_err().to_string();
    assert!(message.starts_with("cannot open") && message.contains("b.parquet"), "{message}");
    std::fs::write(&path, "InvoiceNo,StockCode\n").unwrap();
    let message = online_retail::load(&path, TenantId::default()).unwrap_err().to_string();
    assert!(message.contains("as Parquet") && message.contains("b.parquet"), "{message}");
}

/// The real data, where the data folder has it.
fn real(test: &str) -> Option<OnlineRetail> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("DHOW_DATA_DIR").map_or(default, PathBuf::from);
    let path = folder.join("online_retail/online_retail.parquet");
    if !path.exists() {
        eprintln!("SKIPPED: {test}: data folder absent");
        return None;
    }
    Some(online_retail::load(&path, TenantId::default()).unwrap())
}

#[test]
fn the_real_data_is_loaded_whole_and_every_event_is_valid() {
    let Some(loaded) = real("the_real_data_is_loaded_whole_and_every_event_is_valid") else { return };
    assert_eq!(loaded.lines, 541_909);
    assert_eq!(loaded.ordered_lines + loaded.returned_lines + loaded.skipped.total(), loaded.lines);
    assert!(loaded.events.is_sorted_by_key(|event| event.event_time));
    assert!(loaded.events.iter().all(|event| event.check_values().is_ok()));
    println!("{} ordered, {} returned, {:?}", loaded.ordered_lines, loaded.returned_lines, loaded.skipped);
    assert_eq!(loaded.ordered_lines, 396_337);
}

#[test]
fn the_simulation_has_the_shape_of_the_real_data() {
    let Some(loaded) = real("the_simulation_has_the_shape_of_the_real_data") else { return };
    let mut theirs = ShapeCollector::new();
    loaded.events.iter().for_each(|event| theirs.observe(event));
    let theirs = theirs.finish().unwrap();
    for (scale, seed) in [(Scale::Small, 1), (Scale::Small, 2), (Scale::Medium, 3)] {
        let mut settings = SimulationSettings::at_scale(scale, seed);
        settings.visits_per_checkout = 0.0;
        let mut ours = ShapeCollector::new();
        for arrival in Simulation::new(&settings).unwrap() {
            ours.observe(&arrival.event);
        }
        for row in compare(&ours.finish().unwrap(), &theirs) {
            println!("{scale} {row:?}");
            assert_ne!(row.within(), Some(false), "{scale}, seed {seed}: {row:?}");
        }
    }
}
