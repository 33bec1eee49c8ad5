//! The public card-fraud table (ULB, first 80 %): what the engine reaches on real payments; generated worlds are tested elsewhere.

use std::fs::File;
use std::path::PathBuf;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use dhow_events::Timestamp;
use dhow_fraud::evaluation::{EvaluationSettings, evaluate};
use dhow_fraud::{Baseline, Costs, FraudScorer, Settings, Thresholds, train};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::world::Columns;

fn data_file() -> PathBuf {
    let root = std::env::var_os("DHOW_DATA_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    root.join("fraud/creditcard_first80.parquet")
}

fn numbers(column: &dyn Array) -> Vec<f64> {
    let numbers = cast(column, &DataType::Float64).unwrap();
    numbers.as_primitive::<Float64Type>().values().to_vec()
}

/// Time in seconds, V1–V28, Amount, Class. The features are V1–V28 and the amount.
fn load(file: File) -> Columns {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut table = Columns::default();
    for batch in reader {
        let batch = batch.unwrap();
        let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        let columns: Vec<Vec<f64>> = batch.columns().iter().map(|column| numbers(column.as_ref())).collect();
        let at = |wanted: &str| names.iter().position(|name| name == wanted).unwrap();
        let (time, amount, class) = (at("Time"), at("Amount"), at("Class"));
        let features: Vec<usize> = (0..names.len()).filter(|&i| i != time && i != class).collect();
        table.names = features.iter().map(|&i| names[i].to_lowercase()).collect();
        for (row, &fraud) in columns[class].iter().enumerate() {
            table.rows.extend(features.iter().map(|&i| columns[i][row]));
            table.labels.push(fraud == 1.0);
            table.times.push(Timestamp::from_millis((columns[time][row] * 1000.0) as i64));
            table.amounts_usd_minor.push((columns[amount][row] * 100.0).round() as i64);
        }
    }
    table
}

#[test]
fn real_card_fraud_is_ranked_at_least_as_well_as_by_the_reference_logistic_regression() {
    let Ok(file) = File::open(data_file()) else {
        println!(
            "SKIPPED: real_card_fraud_is_ranked_at_least_as_well_as_by_the_reference_logistic_regression: data folder absent"
        );
        return;
    };
    let columns = load(file);
    let (past, test) = columns.table().unwrap().split_last(0.2).unwrap();
    let (training, validation) = past.split_last(0.25).unwrap();
    let trained = train(&training, &validation, &Settings::default()).unwrap();
    let model = &trained.model;
    let probabilities = model.probabilities(test.values()).unwrap();
    let settings = EvaluationSettings::default();
    let found = evaluate(&probabilities, test.labels(), &settings).unwrap();
    let by_amount = Baseline::AmountRank.scores(&test);
    let trivial = evaluate(&by_amount, test.labels(), &settings).unwrap();
    let thresholds = Thresholds::choose(
        Costs::default(),
        &trained.validation_probabilities,
        validation.labels(),
        validation.amounts_usd_minor(),
    )
    .unwrap();
    let actions: Vec<_> = probabilities
        .iter()
        .zip(test.amounts_usd_minor())
        .map(|(&p, &amount)| thresholds.decide_probability(p, amount))
        .collect();
    let money = thresholds.costs.money(&actions, test.labels(), test.amounts_usd_minor()).unwrap();
    println!("{}\n{found:#?}\n{thresholds:?}\n{money:#?}", model.report().summary(model));

    // The reference on this split: AUC .976, average precision .740. With 52 frauds the AUC is known to about ± .02.
    assert!(found.average_precision.value >= 0.74, "{:?}", found.average_precision);
    assert!(found.roc_auc.high >= 0.976 && found.roc_auc.value >= 0.96, "{:?}", found.roc_auc);
    assert!(found.average_precision.low > 10.0 * trivial.average_precision.high);
    assert!(found.at_threshold.accuracy > found.at_threshold.accuracy_of_approving_everything);
    assert!(found.brier.high < found.brier_of_constant_rate);
    assert!((0.6..1.5).contains(&(found.expected_frauds / found.frauds as f64)));
    assert!(money.saved_usd_minor > money.cost_if_all_approved_usd_minor / 2);
}
