//! Accuracy on the 3,003 series of the M3 competition against its published figures.

use dhow_forecast::accuracy::smape;
use dhow_forecast::*;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::collections::BTreeMap;

fn numbers(row: &Row, name: &str) -> Vec<f64> {
    let Some((_, Field::ListInternal(list))) = row.get_column_iter().find(|(column, _)| *column == name) else {
        panic!("column {name} is missing or no list")
    };
    let number = |field: &Field| if let Field::Double(value) = field { *value } else { panic!("{field} is no double") };
    list.elements().iter().map(number).collect()
}

fn text(row: &Row, name: &str) -> String {
    match row.get_column_iter().find(|(column, _)| *column == name) {
        Some((_, Field::Str(text))) => text.clone(),
        other => panic!("column {name} is {other:?}"),
    }
}

#[test]
fn theta_and_naive2_reach_their_published_error_on_m3() {
    let folder = std::env::var("DHOW_DATA_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_string());
    let Ok(file) = std::fs::File::open(format!("{folder}/forecast/m3.parquet")) else {
        println!("SKIPPED: theta_and_naive2_reach_their_published_error_on_m3: data folder absent");
        return;
    };
    let reader = SerializedFileReader::new(file).expect("the file is Parquet");
    // Per period and over all: sums of sMAPE over all steps of all series for both methods, and the steps.
    let mut sums: BTreeMap<String, (f64, f64, f64)> = BTreeMap::new();
    for row in reader.get_row_iter(None).expect("the schema is readable") {
        let row = row.expect("the row is readable");
        let (train, test, period) = (numbers(&row, "train"), numbers(&row, "test"), text(&row, "period"));
        let season = match period.as_str() {
            "monthly" => 12,
            "quarterly" => 4,
            _ => 1,
        };
        let series = Series::new(&train, season).expect("M3 is finite");
        let error = |method: &dyn Method| {
            let forecast = method.forecast(&series, test.len()).expect("M3 is long enough");
            smape(&test, &forecast.values).expect("equal lengths") * test.len() as f64
        };
        let (theta, naive2) = (error(&Theta), error(&Naive2));
        for group in [period, "all".to_string()] {
            let sum = sums.entry(group).or_default();
            *sum = (sum.0 + theta, sum.1 + naive2, sum.2 + test.len() as f64);
        }
    }
    for (period, (theta, naive2, steps)) in &sums {
        println!("M3 {period}: sMAPE theta {:.2}, naive2 {:.2}", theta / steps, naive2 / steps);
    }
    let (theta, naive2, steps) = sums["all"];
    assert!((theta / steps - 13.01).abs() < 0.35, "published 13.01");
    assert!((naive2 / steps - 15.47).abs() < 0.35, "published 15.47");
}
