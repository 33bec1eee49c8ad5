//! Features of a user's own table: equal to the oracle for events and spine, equal to the Handbook's, refused by column.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, StringArray, TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use dhow_definitions::oracle::{Observation, compute_rows};
use dhow_definitions::{FeatureSet, Row};
use dhow_events::{Timestamp, Value};
use dhow_offline::{ComputeRequest, ComputedFeatures, OfflineError, compute_features, write_parquet};

const DEFINITIONS: &str = r#"
name = "payments"
version = 1

[[table]]
name = "payments"
columns = { card = "int", shop = "text", amount = "float", refused = "bool" }

[[view]]
name = "card"
source = "payments"
entity = ["card"]
filter = "refused == false"
features = [
    { aggregates = ["count", "time_since_last"], windows = ["1h", "1d"] },
    { column = "amount", aggregates = ["sum", "mean", "max", "variance", "last"], windows = ["1h", "ever"] },
    { column = "shop", aggregates = ["distinct_count"], windows = ["1d"], hop = "1h" },
]

[[view]]
name = "card_shop"
source = "payments"
entity = ["card", "shop"]
features = [{ column = "amount", aggregates = ["count", "mean"], windows = ["1d"], delay = "2h" }]

[[ratio]]
name = "hour_of_day"
numerator = "card_count_1h"
denominator = "card_count_1d"
"#;

/// One payment; the spine's rows are payments too, of which only cards, shops and times are read.
#[derive(Debug, Clone)]
struct Payment {
    card: Option<i64>,
    shop: Option<String>,
    amount: Option<f64>,
    refused: bool,
    at_ms: i64,
    known_ms: i64,
    id: i32,
}

impl Row for Payment {
    fn value(&self, column: usize) -> Value<'_> {
        match column {
            0 => self.card.map_or(Value::Null, Value::Int),
            1 => self.shop.as_deref().map_or(Value::Null, Value::Text),
            2 => self.amount.map_or(Value::Null, Value::Float),
            _ => Value::Bool(self.refused),
        }
    }
}

/// Numbers that look random and are the same everywhere.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn payments(count: usize, seed: u64) -> Vec<Payment> {
    let mut numbers = Sequence(seed);
    (0..count)
        .map(|index| {
            // Many times fall on whole hours, where windows begin and end.
            let at_ms = numbers.below(96) as i64 * 1_800_000
                + if numbers.below(3) == 0 { numbers.below(999) as i64 } else { 0 };
            let late_ms = if numbers.below(20) == 0 { numbers.below(7_200_000) as i64 } else { 0 };
            Payment {
                card: (numbers.below(25) > 0).then(|| numbers.below(7) as i64),
                shop: (numbers.below(25) > 0).then(|| format!("shop {}", numbers.below(4))),
                amount: (numbers.below(10) > 0).then(|| numbers.below(100_000) as f64 / 100.0),
                refused: numbers.below(5) == 0,
                at_ms,
                known_ms: at_ms + late_ms,
                id: if numbers.below(50) == 0 { numbers.below(index as u64 + 1) as i32 } else { index as i32 },
            }
        })
        .collect()
}

fn write(path: &Path, payments: &[Payment]) {
    let column = |values: Vec<i64>| -> ArrayRef { Arc::new(TimestampMillisecondArray::from(values)) };
    let shops: StringArray = payments.iter().map(|payment| payment.shop.clone()).collect();
    let cards: Int32Array = payments.iter().map(|payment| payment.card.map(|card| card as i32)).collect();
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int32Array::from_iter_values(payments.iter().map(|p| p.id))) as ArrayRef),
        ("at", column(payments.iter().map(|payment| payment.at_ms).collect())),
        ("known", column(payments.iter().map(|payment| payment.known_ms).collect())),
        ("card", Arc::new(cards)),
        ("shop", Arc::new(shops)),
        ("amount", Arc::new(payments.iter().map(|payment| payment.amount).collect::<Float64Array>())),
        ("refused", Arc::new(payments.iter().map(|payment| Some(payment.refused)).collect::<BooleanArray>())),
    ]);
    write_parquet(path, &batch.unwrap()).unwrap();
}

fn request<'a>(events: &'a Path, spine: Option<&'a Path>) -> ComputeRequest<'a> {
    ComputeRequest { events, table: None, time: "at", known_time: Some("known"), id: Some("id"), spine }
}

/// Compares every feature of every row with the oracle, bit for bit, and gives how many had a value.
fn check(computed: &ComputedFeatures, set: &FeatureSet, events: &[Payment], asked: &[Payment]) -> usize {
    let mut order: Vec<&Payment> = events.iter().collect();
    order.sort_by_key(|payment| payment.known_ms);
    let rows: Vec<Observation<'_, Payment>> = order
        .into_iter()
        .map(|payment| Observation {
            id: payment.id as u128,
            event_time: Timestamp::from_micros(payment.at_ms * 1_000),
            known_time: Timestamp::from_micros(payment.known_ms * 1_000),
            row: payment,
        })
        .collect();
    let mut values = 0;
    for view in set.views() {
        for feature in view.features() {
            let column = computed.batch.column_by_name(feature.name()).unwrap().as_primitive::<Float64Type>().clone();
            for (number, point) in asked.iter().enumerate() {
                let key: Vec<Value<'_>> = match view.name() {
                    "card" => vec![point.value(0)],
                    _ => vec![point.value(0), point.value(1)],
                };
                if key.contains(&Value::Null) {
                    assert!(column.is_null(number), "a row without an entity has no features");
                    continue;
                }
                let at = Timestamp::from_micros(point.at_ms * 1_000);
                let wanted = compute_rows(view, feature, &key, &rows, at);
                let found = if column.is_null(number) { f64::NAN } else { column.value(number) };
                let same = wanted.to_bits() == found.to_bits() || (wanted.is_nan() && found.is_nan());
                assert!(same, "{} of row {number} ({point:?}): {found}, the oracle says {wanted}", feature.name());
                values += usize::from(!found.is_nan());
            }
        }
    }
    values
}

#[test]
fn features_of_a_users_table_equal_the_oracle_at_its_events_and_on_a_spine() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let set = FeatureSet::from_toml(DEFINITIONS).unwrap();
    for seed in 0..4 {
        let (events, spine) = (payments(500, seed), payments(300, 100 + seed));
        write(&file("events.parquet"), &events);
        write(&file("spine.parquet"), &spine);
        let at_events = compute_features(&set, &request(&file("events.parquet"), None)).unwrap();
        let on_spine = compute_features(&set, &request(&file("events.parquet"), Some(&file("spine.parquet")))).unwrap();
        assert!(check(&at_events, &set, &events, &events) > 1_000);
        assert!(check(&on_spine, &set, &events, &spine) > 1_000);
        let ratio = on_spine.batch.column_by_name("hour_of_day").unwrap().as_primitive::<Float64Type>().clone();
        assert!(ratio.iter().flatten().all(|share| (0.0..=1.0).contains(&share)) && ratio.null_count() < spine.len());
    }
}

#[test]
fn tables_that_do_not_fit_their_definitions_are_refused_by_file_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.parquet");
    write(&events, &payments(20, 1));
    let set = FeatureSet::from_toml(DEFINITIONS).unwrap();
    let said = |set: &FeatureSet, request: &ComputeRequest<'_>| match compute_features(set, request) {
        Err(error @ OfflineError::Table { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let right = request(&events, None);
    assert!(said(&set, &ComputeRequest { time: "when", ..right }).contains("no column `when`; it has id, at, known"));
    assert!(said(&set, &ComputeRequest { time: "amount", ..right }).contains("`amount`"));
    assert!(said(&set, &ComputeRequest { table: Some("orders"), ..right }).contains("no table `orders`"));
    let wrong = FeatureSet::from_toml(&DEFINITIONS.replace("amount = \"float\"", "amount = \"int\"")).unwrap();
    assert!(said(&wrong, &right).contains("column `amount` is Float64"));
    let missing =
        FeatureSet::from_toml(&DEFINITIONS.replace("refused = \"bool\"", "refused = \"bool\", till = \"int\""))
            .unwrap();
    assert!(said(&missing, &right).contains("no column `till`"));
    assert!(said(&FeatureSet::marketplace().unwrap(), &right).contains("declare no [[table]]"));
    std::fs::write(&events, "id,at").unwrap();
    assert!(compute_features(&set, &right).unwrap_err().to_string().contains("events.parquet"));
}

fn handbook() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("DHOW_DATA_DIR").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let file = data.join("fraud/handbook_2018_04_07.parquet");
    file.is_file().then_some(file)
}

/// A key's transactions in the order of time: instant in microseconds, what is averaged, and the row.
type Run = Vec<(i64, f64, usize)>;

/// The book's features of one window: count and mean over (t - delay - length, t - delay], the row itself included.
struct Book {
    count: Vec<u64>,
    sum: Vec<f64>,
    /// Rows at exactly `t - delay`, which the book counts and a window that ends before it does not.
    at_end: Vec<(u64, f64)>,
    /// Rows at exactly `t - delay - length`, which a window that begins there counts and the book does not.
    at_start: Vec<(u64, f64)>,
}

fn book(runs: &HashMap<i64, Run>, rows: usize, delay: i64, length: i64) -> Book {
    let mut book = Book {
        count: vec![0; rows],
        sum: vec![0.0; rows],
        at_end: vec![(0, 0.0); rows],
        at_start: vec![(0, 0.0); rows],
    };
    for run in runs.values() {
        let total = |from: usize, to: usize| run[from..to].iter().map(|(_, value, _)| *value).sum::<f64>();
        for &(at, _, row) in run {
            let (start, end) = (at - delay - length, at - delay);
            let place = |bound: i64| run.partition_point(|(time, ..)| *time < bound);
            let ties = |bound: i64| (place(bound), place(bound + 1));
            let (from, to) = (place(start + 1), place(end + 1));
            (book.count[row], book.sum[row]) = ((to - from) as u64, total(from, to));
            let [ends, starts] = [ties(end), ties(start)].map(|(from, to)| ((to - from) as u64, total(from, to)));
            (book.at_end[row], book.at_start[row]) = (ends, starts);
        }
    }
    book
}

#[test]
fn the_fraud_detection_handbooks_features_follow_from_ours_but_for_ties_on_a_windows_edge() {
    let Some(file) = handbook() else {
        println!("SKIPPED: the_fraud_detection_handbooks_features_follow_from_ours: data folder absent");
        return;
    };
    let set = FeatureSet::from_toml(include_str!("../../../handbook.toml")).unwrap();
    let request =
        ComputeRequest { events: &file, table: None, time: "TX_DATETIME", known_time: None, id: None, spine: None };
    let computed = compute_features(&set, &request).unwrap().batch;
    let integers = |name: &str| {
        let column = cast(computed.column_by_name(name).unwrap(), &DataType::Int64).unwrap();
        column.as_primitive::<Int64Type>().values().to_vec()
    };
    let times =
        cast(computed.column_by_name("TX_DATETIME").unwrap(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    let times = times.unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec();
    let amounts = computed.column_by_name("TX_AMOUNT").unwrap().as_primitive::<Float64Type>().values().to_vec();
    let frauds: Vec<f64> = integers("TX_FRAUD").into_iter().map(|fraud| fraud as f64).collect();
    let day = dhow_events::DAY_MICROS;
    let mut ties = 0;
    for (entity, view, values, value, delay) in [
        ("CUSTOMER_ID", "customer", &amounts, "TX_AMOUNT", 0),
        ("TERMINAL_ID", "terminal", &frauds, "TX_FRAUD", 7 * day),
    ] {
        let mut runs: HashMap<i64, Run> = HashMap::new();
        for (row, key) in integers(entity).into_iter().enumerate() {
            runs.entry(key).or_default().push((times[row], values[row], row));
        }
        runs.values_mut().for_each(|run| run.sort_by_key(|(time, _, row)| (*time, *row)));
        for days in [1, 7, 30] {
            let book = book(&runs, times.len(), delay, days * day);
            let ending = if delay > 0 { "_delay_7d" } else { "" };
            let column = |aggregate: &str| {
                let name = format!("{view}_{aggregate}_{days}d{ending}");
                computed.column_by_name(&name).unwrap_or_else(|| panic!("{name}")).as_primitive::<Float64Type>().clone()
            };
            let (counts, means) = (column("count"), column(&format!("{value}_mean")));
            for (row, &time) in times.iter().enumerate() {
                // The book's window is ours, shifted by an instant: it gains the rows at its end, the transaction
                // itself among them, and loses those at its start.
                let (ends, starts) = (book.at_end[row], book.at_start[row]);
                let count = counts.value(row) + ends.0 as f64 - starts.0 as f64;
                assert_eq!(count, book.count[row] as f64, "row {row}, {view}, {days} days");
                let sum = if counts.value(row) > 0.0 { means.value(row) * counts.value(row) } else { 0.0 };
                let sum = sum + ends.1 - starts.1;
                assert!((sum - book.sum[row]).abs() < 1e-6, "row {row}, {view}, {days} days: {sum}, {}", book.sum[row]);
                let itself = u64::from(delay == 0);
                if ends.0 != itself || starts.0 != 0 {
                    ties += 1;
                    if ties <= 5 {
                        let at = Timestamp::from_micros(time);
                        println!(
                            "measured: a tie on an edge: row {row}, {view}, {days} days, at {at}: {ends:?}, {starts:?}"
                        );
                    }
                }
            }
        }
    }
    println!("measured: {ties} of {} windows have a tie on an edge", times.len() * 6);
    assert!(ties > 0 && ties < times.len() / 100, "{ties}");
}
