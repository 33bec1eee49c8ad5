//! Dhow's side of benches/fraud_quality.sh: fraud models judged on public data, told in one `RESULT {json}` line.
//!
//! `fraud_quality handbook DATA DEFINITIONS TRAIN_DAYS FIRST_TEST_DAY.. [name=value ..]` trains on the days before each test
//! week, as the Fraud Detection Handbook does, with features by Dhow's engine; days count from the data's first.
//! `fraud_quality cards DATA SEEDS [name=value ..]` tests on the last fifth and chooses on the fifth before it. `name=value`
//! sets a field of `Boosting`, for all candidates.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use dhow_definitions::{Cell, CellKind, FeatureSet, Ratio, Row, Source, View};
use dhow_events::{DAY_MICROS, Timestamp, Value};
use dhow_fraud::evaluation::{
    DelayedSplit, Evaluation, EvaluationSettings, average_precision, card_precision_at_k, evaluate, roc_auc,
};
use dhow_fraud::{
    Boosting, BoostingSettings, Costs, FraudScorer, GatheredRows, Settings, Thresholds, TrainingTable, train,
    train_boosted,
};
use dhow_sweep::{CellColumn, Events, Points, densify, sweep};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

const DELAY_DAYS: u32 = 7;
const TEST_DAYS: u32 = 7;
/// Days at the end of the training rows on which scores are calibrated, before all are learned.
const VALIDATION_DAYS: u32 = 7;
const CARDS_A_DAY: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (settings, plain): (Vec<&str>, Vec<&str>) = arguments.iter().map(String::as_str).partition(|a| a.contains('='));
    let done = boosting(&settings).and_then(|boosting| match plain.as_slice() {
        ["handbook", data, definitions, days, weeks @ ..] => handbook(data, definitions, days, weeks, boosting),
        ["cards", data, seeds] => cards(data, seeds.parse()?, boosting),
        _ => Err("fraud_quality handbook DATA DEFINITIONS TRAIN_DAYS FIRST_TEST_DAY.. | cards DATA SEEDS".into()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The default way to boost with some fields set.
fn boosting(settings: &[&str]) -> Outcome<Boosting> {
    let mut fields = serde_json::to_value(Boosting::default())?;
    for setting in settings {
        let (name, value) = setting.split_once('=').ok_or("write name=value")?;
        let field = fields.get_mut(name).ok_or_else(|| format!("`{name}` is no field of Boosting"))?;
        *field = serde_json::from_str(value)?;
    }
    Ok(serde_json::from_value(fields)?)
}

fn tell(result: &Json) -> Outcome<()> {
    Ok(writeln!(std::io::stdout(), "RESULT {result}")?)
}

/// The named columns of a file as numbers.
fn read(path: &str) -> Outcome<Vec<(String, Vec<f64>)>> {
    let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        let batch = batch?;
        for (place, (field, column)) in batch.schema().fields().iter().zip(batch.columns()).enumerate() {
            if columns.len() == place {
                columns.push((field.name().clone(), Vec::new()));
            }
            // Instants become numbers of their own unit.
            let whole = if matches!(column.data_type(), DataType::Timestamp(..)) {
                cast(column, &DataType::Int64)?
            } else {
                column.clone()
            };
            let numbers = cast(&whole, &DataType::Float64)?;
            if numbers.null_count() > 0 {
                return Err(format!("column `{}` has missing values", field.name()).into());
            }
            columns[place].1.extend(numbers.as_primitive::<Float64Type>().values());
        }
    }
    Ok(columns)
}

fn column<'a>(columns: &'a [(String, Vec<f64>)], name: &str) -> Outcome<&'a [f64]> {
    let found = columns.iter().find(|(known, _)| known == name);
    found.map(|(_, values)| values.as_slice()).ok_or_else(|| format!("the data has no column `{name}`").into())
}

/// The handbook's transactions in time order, by column.
struct Transactions {
    times: Vec<Timestamp>,
    customers: Vec<u128>,
    labels: Vec<bool>,
    amounts_usd_minor: Vec<i64>,
    names: Vec<String>,
    features: Vec<Vec<f64>>,
}

impl Transactions {
    fn load(data: &str, definitions: &str) -> Outcome<Self> {
        let columns = read(data)?;
        let time: Vec<i64> = column(&columns, "TX_DATETIME")?.iter().map(|&millis| millis as i64 * 1000).collect();
        let set = FeatureSet::from_toml(&std::fs::read_to_string(definitions)?)?;
        let (names, features) = features(&set, &columns, &time)?;
        Ok(Self {
            times: time.into_iter().map(Timestamp::from_micros).collect(),
            customers: column(&columns, "CUSTOMER_ID")?.iter().map(|&customer| customer as u128).collect(),
            labels: column(&columns, "TX_FRAUD")?.iter().map(|&fraud| fraud == 1.0).collect(),
            amounts_usd_minor: column(&columns, "TX_AMOUNT")?.iter().map(|a| (a * 100.0).round() as i64).collect(),
            names,
            features,
        })
    }

    fn gather(&self, rows: impl Iterator<Item = usize>) -> GatheredRows {
        let mut gathered = GatheredRows::default();
        for row in rows {
            let values = self.features.iter().map(|feature| feature[row]);
            gathered.push(values, self.labels[row], self.times[row], self.amounts_usd_minor[row]);
        }
        gathered
    }
}

/// One row of the file, by the numbers of the declared table's columns.
struct TableRow<'a> {
    columns: &'a [(&'a [f64], bool)],
    row: usize,
}

impl Row for TableRow<'_> {
    fn value(&self, column: usize) -> Value<'_> {
        match self.columns.get(column) {
            Some((values, true)) => Value::Int(values[self.row] as i64),
            Some((values, false)) => Value::Float(values[self.row]),
            None => Value::Null,
        }
    }
}

/// Every feature at every row, just before the row counts, the amount itself, and the ratios.
fn features(set: &FeatureSet, file: &[(String, Vec<f64>)], times: &[i64]) -> Outcome<(Vec<String>, Vec<Vec<f64>>)> {
    let (mut names, mut values) = (vec!["TX_AMOUNT".to_owned()], vec![column(file, "TX_AMOUNT")?.to_vec()]);
    for view in set.views() {
        names.extend(view.features().iter().map(|feature| feature.name().to_owned()));
        values.extend(of_view(view, file, times)?);
    }
    for ratio in set.ratios() {
        let place = |name: &str| {
            let found = names.iter().position(|known| known == name);
            found.ok_or_else(|| format!("ratio `{}` names `{name}`, which is no feature", ratio.name))
        };
        let (above, below) = (&values[place(&ratio.numerator)?], &values[place(&ratio.denominator)?]);
        let quotients = above.iter().zip(below).map(|(above, below)| Ratio::of(*above, *below)).collect();
        names.push(ratio.name.clone());
        values.push(quotients);
    }
    Ok((names, values))
}

fn of_view(view: &View, file: &[(String, Vec<f64>)], times: &[i64]) -> Outcome<Vec<Vec<f64>>> {
    let declared = Source::columns(view.source());
    let whole = |kind| kind == dhow_events::ColumnType::Int;
    let columns = declared.iter().map(|known| Ok((column(file, known.name)?, whole(known.column_type))));
    let columns = columns.collect::<Outcome<Vec<_>>>()?;
    let entity: Vec<usize> = view.entity().iter().filter_map(|name| view.source().column_index(name)).collect();
    let table_row = |row| TableRow { columns: &columns, row };
    let rows = 0..times.len();
    let asked = rows.clone().map(|row| dhow_definitions::entity_id(&table_row(row), &entity));
    let entities = densify(rows.clone().map(|row| view.entity_of(&table_row(row))), asked)?;
    let kinds: Vec<CellKind> = view.cells().collect();
    let (mut integers, mut floats) = (vec![Vec::new(); kinds.len()], vec![Vec::new(); kinds.len()]);
    for row in rows {
        for (cell, value) in view.read_cells(&table_row(row)).enumerate() {
            match value {
                Cell::Integer(number) => integers[cell].push(number),
                Cell::Float(number) => floats[cell].push(number),
                _ => return Err("only numbers without gaps are read here".into()),
            }
        }
    }
    let cells: Vec<CellColumn> = kinds
        .iter()
        .enumerate()
        .map(|(cell, kind)| match kind {
            CellKind::Integer => CellColumn::Integer { values: &integers[cell], valid: None },
            _ => CellColumn::Float { values: &floats[cell], valid: None },
        })
        .collect();
    let events = Events {
        entities: &entities.events,
        entity_count: entities.count,
        event_times: times,
        known_times: None,
        ids: None,
        columns: &cells,
    };
    Ok(sweep(view, &events, &Points { entities: &entities.points, at: times })?)
}

fn handbook(data: &str, definitions: &str, days: &str, weeks: &[&str], boosting: Boosting) -> Outcome<()> {
    let train_days: u32 = days.parse()?;
    let all = Transactions::load(data, definitions)?;
    let first_day = all.times.first().ok_or("no transactions")?.day();
    let mut found = Vec::with_capacity(weeks.len());
    for week in weeks {
        let test_from = Timestamp::from_micros((first_day + week.parse::<i64>()?) * DAY_MICROS);
        let split = DelayedSplit::handbook(test_from, train_days, DELAY_DAYS, TEST_DAYS);
        let rows = split.rows(&all.times, &all.customers, &all.labels)?;
        let border = test_from - i64::from(DELAY_DAYS + VALIDATION_DAYS) * DAY_MICROS;
        let cut = all.times.partition_point(|&time| time < border);
        let (early, late) = (all.gather(rows.train.start..cut), all.gather(cut..rows.train.end));
        let test = all.gather(rows.test.iter().copied());
        let judged = judge(&early.table(&all.names)?, &late.table(&all.names)?, &test, boosting)?;
        let cards: Vec<u128> = rows.test.iter().map(|&row| all.customers[row]).collect();
        let precision = card_precision_at_k(&judged.probabilities, &test.labels, &cards, &test.times, CARDS_A_DAY)?;
        let week = json!({
            "test_from": test_from.to_string(),
            "train_rows": rows.train.len(),
            "auc": judged.auc,
            "average_precision": judged.average_precision,
            "cp_100": precision.mean,
            "cp_100_perfect": precision.perfect,
            "judged": judged.found,
        });
        writeln!(std::io::stderr(), "{week}")?;
        found.push(week);
    }
    let mean = |name: &str| found.iter().filter_map(|week| week[name].as_f64()).sum::<f64>() / found.len() as f64;
    let means = json!({
        "auc": mean("auc"),
        "average_precision": mean("average_precision"),
        "cp_100": mean("cp_100"),
        "cp_100_perfect": mean("cp_100_perfect"),
    });
    tell(&json!({"boosting": boosting, "features": all.names.len(), "mean": means, "weeks": found}))
}

struct Judged {
    probabilities: Vec<f64>,
    auc: f64,
    average_precision: f64,
    found: Json,
}

/// Trains on `early`, calibrates on `late`, learns both and judges on `test`, money included.
fn judge(early: &TrainingTable, late: &TrainingTable, test: &GatheredRows, boosting: Boosting) -> Outcome<Judged> {
    let settings = BoostingSettings { candidates: vec![boosting], patience: None, ..BoostingSettings::default() };
    let trained = train_boosted(early, late, &settings)?;
    let probabilities = trained.model.probabilities(&test.values)?;
    let found = evaluate(&probabilities, &test.labels, &EvaluationSettings::default())?;
    let thresholds = Thresholds::choose(
        Costs::default(),
        &trained.validation_probabilities,
        late.labels(),
        late.amounts_usd_minor(),
    )?;
    let money = thresholds.money(&probabilities, &test.labels, &test.amounts_usd_minor)?;
    let (auc, average_precision) = (found.roc_auc.value, found.average_precision.value);
    let found = json!({"measures": measures(&found), "money": money, "model": trained.model.report().summary()});
    Ok(Judged { probabilities, auc, average_precision, found })
}

fn measures(found: &Evaluation) -> Json {
    json!({
        "rows": found.rows,
        "frauds": found.frauds,
        "expected_frauds": found.expected_frauds,
        "auc": found.roc_auc,
        "average_precision": found.average_precision,
        "recall_at_rates": found.recall_at_rates,
        "brier": found.brier,
        "expected_calibration_error": found.expected_calibration_error,
        "accuracy_of_approving_everything": found.at_threshold.accuracy_of_approving_everything,
    })
}

/// The card-fraud table of ULB: boosted trees for each seed, chosen on the fifth before the test, and the linear model.
fn cards(data: &str, seeds: u64, boosting: Boosting) -> Outcome<()> {
    let columns = read(data)?;
    let features: Vec<&(String, Vec<f64>)> =
        columns.iter().filter(|(name, _)| !["Time", "Class"].contains(&name.as_str())).collect();
    let names: Vec<String> = features.iter().map(|(name, _)| name.to_lowercase()).collect();
    let mut rows = GatheredRows::default();
    let (times, amounts, classes) =
        (column(&columns, "Time")?, column(&columns, "Amount")?, column(&columns, "Class")?);
    for row in 0..classes.len() {
        let time = Timestamp::from_millis((times[row] * 1000.0) as i64);
        let values = features.iter().map(|(_, values)| values[row]);
        rows.push(values, classes[row] == 1.0, time, (amounts[row] * 100.0).round() as i64);
    }
    let (past, test) = rows.table(&names)?.split_last(0.2)?;
    let (early, late) = past.split_last(0.25)?;
    let of_leaves = |max_leaves| Boosting { max_leaves, ..boosting };
    let mut runs = Vec::new();
    for seed in 0..seeds {
        let candidates = vec![of_leaves(4), of_leaves(8), of_leaves(15), of_leaves(31)];
        let settings = BoostingSettings { candidates, patience: None, seed, ..BoostingSettings::default() };
        let trained = train_boosted(&early, &late, &settings)?;
        let scores = trained.model.probabilities(test.values())?;
        let run = json!({
            "seed": seed,
            "auc": roc_auc(&scores, test.labels())?,
            "average_precision": average_precision(&scores, test.labels())?,
            "chosen": trained.model.report().chosen,
        });
        writeln!(std::io::stderr(), "{run}")?;
        runs.push(run);
    }
    let linear = train(&early, &late, &Settings::default())?;
    let found = evaluate(&linear.model.probabilities(test.values())?, test.labels(), &EvaluationSettings::default())?;
    let mean = runs.iter().filter_map(|run| run["average_precision"].as_f64()).sum::<f64>() / runs.len() as f64;
    tell(&json!({"boosting": boosting, "mean_average_precision": mean, "runs": runs, "linear": measures(&found)}))
}
