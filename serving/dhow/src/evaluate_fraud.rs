//! `dhow evaluate fraud` on files: boosted trees and logistic regression beside trivial baselines, split by time; it serves nothing.

use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use dhow_definitions::FeatureSet;
use dhow_events::{DAY_MICROS, SECOND_MICROS, Timestamp};
use dhow_fraud::evaluation::{
    CardPrecision, DelayedSplit, Evaluation, EvaluationSettings, average_precision, card_precision_at_k, evaluate,
    roc_auc,
};
use dhow_fraud::{
    Baseline, Boosting, BoostingSettings, Costs, FraudScorer, GatheredRows, MoneyReport, Settings, Thresholds, train,
    train_boosted,
};
use dhow_offline::{ComputeRequest, compute_features, read_parquet};
use serde::Serialize;

use crate::arguments::{EvaluateArguments, FraudDataset};
use crate::failure::Failure;
use crate::output::{json, progress, table, thousands};

/// The features of the handbook's transactions.
const HANDBOOK: &str = include_str!("../../../features/handbook_tuned.toml");
/// How trees are boosted on them; chosen on weeks that end by 12 May 2018.
const HANDBOOK_BOOSTING: fn() -> Boosting =
    || Boosting { max_leaves: 8, min_child_weight: 2.0, l2: 5.0, feature_share: 0.3, ..Boosting::default() };
/// Logistic regression may bend features where there are at most so many.
const CURVED_FEATURES_MAX: usize = 40;
/// Cards that a team looks at in a day.
const CARDS_A_DAY: usize = 100;
/// The book blocks the cards whose fraud became known since the first day of its training week.
const BLOCKING_DAYS: i64 = 7;
/// Scores are calibrated, and settings chosen, on the last part of the training rows: so many days, or this share of them.
const VALIDATION_DAYS: i64 = 7;
const VALIDATION_SHARE: f64 = 0.25;

/// Runs the command.
///
/// # Errors
/// Files, columns or spans that are missing or do not fit together, or too few frauds to learn from.
pub fn run(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let bar = progress("compute features, train and judge", 1);
    let report = match (arguments.dataset, &arguments.table) {
        (Some(FraudDataset::Handbook), None) => handbook(arguments)?,
        (None, Some(path)) => any_table(arguments, path)?,
        _ => return Err(Failure::Input("give one of --dataset handbook and --table FILE".to_owned())),
    };
    bar.finish_and_clear();
    if arguments.json {
        return json(&report);
    }
    print(&report);
    Ok(())
}

/// What was judged on which rows.
#[derive(Debug, Serialize)]
struct Report {
    features: usize,
    train_rows: usize,
    train_frauds: usize,
    test_rows: usize,
    test_frauds: usize,
    /// Columns that are neither numbers nor instants, which nothing was learned from.
    left_out: Vec<String>,
    models: Vec<Judged>,
    baselines: Vec<Trivial>,
}

/// A model with calibrated probabilities.
#[derive(Debug, Serialize)]
struct Judged {
    name: &'static str,
    evaluation: Evaluation,
    card_precision: Option<CardPrecision>,
    money: MoneyReport,
}

/// A way to rank without learning.
#[derive(Debug, Serialize)]
struct Trivial {
    name: &'static str,
    roc_auc: f64,
    average_precision: f64,
}

/// A file's rows in time order.
struct Rows {
    names: Vec<String>,
    /// Column by column.
    features: Vec<Vec<f64>>,
    labels: Vec<bool>,
    times: Vec<Timestamp>,
    amounts_usd_minor: Vec<i64>,
    left_out: Vec<String>,
}

/// Some of the rows, with the card of each where cards are known.
#[derive(Default)]
struct Part {
    rows: GatheredRows,
    cards: Option<Vec<u128>>,
}

impl Rows {
    fn part(&self, rows: impl Iterator<Item = usize>, cards: Option<&[u128]>) -> Part {
        let mut part = Part { cards: cards.map(|_| Vec::new()), ..Part::default() };
        for row in rows {
            let values = self.features.iter().map(|feature| feature[row]);
            part.rows.push(values, self.labels[row], self.times[row], self.amounts_usd_minor[row]);
            part.cards.iter_mut().for_each(|kept| kept.extend(cards.map(|cards| cards[row])));
        }
        part
    }
}

/// The Fraud Detection Handbook's protocol on its transactions.
fn handbook(arguments: &EvaluateArguments) -> Result<Report, Failure> {
    let needed = |name: &str| {
        Failure::Input(format!("--dataset handbook needs --data FILE, --train and --test FROM..TO; {name} is missing"))
    };
    let data = arguments.data.as_deref().ok_or_else(|| needed("--data"))?;
    let train = span(arguments.train.as_deref().ok_or_else(|| needed("--train"))?)?;
    let test = span(arguments.test.as_deref().ok_or_else(|| needed("--test"))?)?;
    let delay = i64::from(arguments.delay_days) * DAY_MICROS;
    if train.1 + delay > test.0 {
        return Err(Failure::Input(format!(
            "--train ends at {}: labels are known {} days later, after --test begins at {}; end it by {}",
            train.1,
            arguments.delay_days,
            test.0,
            test.0 - delay
        )));
    }
    let definitions = match &arguments.definitions {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Input(format!("{} cannot be read: {error}", path.display())))?,
        None => HANDBOOK.to_owned(),
    };
    let set = FeatureSet::from_toml(&definitions).map_err(Failure::input)?;
    let request =
        ComputeRequest { events: data, table: None, time: "TX_DATETIME", known_time: None, id: None, spine: None };
    let computed = compute_features(&set, &request).map_err(Failure::input)?;
    let mut wanted = vec!["TX_AMOUNT".to_owned()];
    wanted.extend(computed.names);
    let rows = rows(&computed.batch, Some(wanted), "TX_FRAUD", "TX_DATETIME", Some("TX_AMOUNT"))?;
    let cards: Vec<u128> = numbers(&computed.batch, "CUSTOMER_ID")?.iter().map(|card| *card as u128).collect();
    let split = DelayedSplit {
        train_from: train.0,
        test_from: test.0,
        test_until: test.1,
        delay_days: arguments.delay_days,
        blocked_from: test.0 - delay - BLOCKING_DAYS * DAY_MICROS,
    };
    let split = split.rows(&rows.times, &cards, &rows.labels).map_err(Failure::input)?;
    let until = rows.times.partition_point(|time| *time < train.1).min(split.train.end);
    let test = rows.part(split.test.iter().copied(), Some(&cards));
    let boosting = BoostingSettings {
        candidates: vec![HANDBOOK_BOOSTING()],
        patience: None,
        seed: arguments.seed,
        ..BoostingSettings::default()
    };
    report(&rows, split.train.start..until, &test, &boosting)
}

/// Any table of numbers: the last part of it, by time, is judged.
fn any_table(arguments: &EvaluateArguments, path: &Path) -> Result<Report, Failure> {
    let needed =
        |name: &str| Failure::Input(format!("--table needs --label COLUMN and --time COLUMN; {name} is missing"));
    let label = arguments.label.as_deref().ok_or_else(|| needed("--label"))?;
    let time = arguments.time.as_deref().ok_or_else(|| needed("--time"))?;
    if !(arguments.test_fraction > 0.0 && arguments.test_fraction < 1.0) {
        return Err(Failure::Input(format!("--test-fraction {} is not between 0 and 1", arguments.test_fraction)));
    }
    let batch = read_parquet(path).map_err(Failure::input)?;
    let rows = rows(&batch, None, label, time, arguments.amount.as_deref())?;
    let wanted = (rows.times.len() as f64 * (1.0 - arguments.test_fraction)).round() as usize;
    // Rows of one instant stay together.
    let border = rows.times.get(wanted).map_or(rows.times.len(), |at| rows.times.partition_point(|time| time < at));
    let test = rows.part(border..rows.times.len(), None);
    report(&rows, 0..border, &test, &BoostingSettings { seed: arguments.seed, ..BoostingSettings::default() })
}

/// Trains on all but the last part of `train`, chooses and calibrates there, and judges on `test`.
fn report(
    rows: &Rows,
    train_rows: std::ops::Range<usize>,
    test: &Part,
    boosting: &BoostingSettings,
) -> Result<Report, Failure> {
    let seed = boosting.seed;
    let end = rows.times[..train_rows.end].last().copied().unwrap_or(Timestamp::MIN);
    let by_days = rows.times.partition_point(|time| *time < end - VALIDATION_DAYS * DAY_MICROS);
    let by_share = train_rows.end - (train_rows.len() as f64 * VALIDATION_SHARE) as usize;
    let cut = by_days.max(by_share).min(train_rows.end);
    let cut = rows.times.get(cut).map_or(cut, |at| rows.times.partition_point(|time| time < at));
    let (early, late) = (rows.part(train_rows.start..cut, None).rows, rows.part(cut..train_rows.end, None).rows);
    let early_table = early.table(&rows.names).map_err(Failure::input)?;
    let late_table = late.table(&rows.names).map_err(Failure::input)?;
    let boosted = train_boosted(&early_table, &late_table, boosting).map_err(Failure::input)?;
    // Curves take a column for each knot, which is slow where features are many; straight lines are what the term means.
    let knots = if rows.names.len() > CURVED_FEATURES_MAX { vec![0] } else { vec![0, 8] };
    let settings = Settings { seed, knots, ..Settings::default() };
    let linear = train(&early_table, &late_table, &settings).map_err(Failure::input)?;
    let models = vec![
        judge("boosted trees", &boosted.model, &boosted.validation_probabilities, &late, test, seed)?,
        judge("logistic regression", &linear.model, &linear.validation_probabilities, &late, test, seed)?,
    ];
    let by_amount = Baseline::AmountRank.scores(&test.rows.table(&rows.names).map_err(Failure::input)?);
    let trivial = |name, scores: &[f64]| -> Result<Trivial, Failure> {
        let roc_auc = roc_auc(scores, &test.rows.labels).map_err(Failure::input)?;
        let average_precision = average_precision(scores, &test.rows.labels).map_err(Failure::input)?;
        Ok(Trivial { name, roc_auc, average_precision })
    };
    let baselines =
        vec![trivial("by amount", &by_amount)?, trivial("approve everything", &vec![0.0; test.rows.labels.len()])?];
    Ok(Report {
        features: rows.names.len(),
        train_rows: train_rows.len(),
        train_frauds: early.frauds() + late.frauds(),
        test_rows: test.rows.labels.len(),
        test_frauds: test.rows.frauds(),
        left_out: rows.left_out.clone(),
        models,
        baselines,
    })
}

fn judge(
    name: &'static str,
    model: &dyn FraudScorer,
    validation_probabilities: &[f64],
    late: &GatheredRows,
    test: &Part,
    seed: u64,
) -> Result<Judged, Failure> {
    let Part { rows, cards } = test;
    let probabilities = model.probabilities(&rows.values).map_err(Failure::input)?;
    let settings = EvaluationSettings { seed, ..EvaluationSettings::default() };
    let evaluation = evaluate(&probabilities, &rows.labels, &settings).map_err(Failure::input)?;
    let precision = |cards: &Vec<u128>| {
        card_precision_at_k(&probabilities, &rows.labels, cards, &rows.times, CARDS_A_DAY).map_err(Failure::input)
    };
    let card_precision = cards.as_ref().map(precision).transpose()?;
    let thresholds =
        Thresholds::choose(Costs::default(), validation_probabilities, &late.labels, &late.amounts_usd_minor)
            .map_err(Failure::input)?;
    let money = thresholds.money(&probabilities, &rows.labels, &rows.amounts_usd_minor).map_err(Failure::input)?;
    Ok(Judged { name, evaluation, card_precision, money })
}

/// The rows of a table in time order; all number columns but label and time are features where none are named.
fn rows(
    batch: &RecordBatch,
    wanted: Option<Vec<String>>,
    label: &str,
    time: &str,
    amount: Option<&str>,
) -> Result<Rows, Failure> {
    let schema = batch.schema();
    let is_number = |data_type: &DataType| data_type.is_numeric() || *data_type == DataType::Boolean;
    let others = schema.fields().iter().filter(|field| field.name() != label && field.name() != time);
    let (numeric, left): (Vec<_>, Vec<_>) = others.partition(|field| is_number(field.data_type()));
    let (names, left_out) = match wanted {
        Some(wanted) => (wanted, Vec::new()),
        None => (
            numeric.iter().map(|field| field.name().clone()).collect(),
            left.iter().map(|field| field.name().clone()).collect(),
        ),
    };
    let labels = numbers(batch, label)?;
    if let Some(row) = labels.iter().position(|value| *value != 0.0 && *value != 1.0) {
        return Err(Failure::Input(format!("column `{label}` is {} in row {row}; a label is 0 or 1", labels[row])));
    }
    let times = instants(batch, time)?;
    let amounts = amount.map(|name| numbers(batch, name)).transpose()?;
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|row| times[*row]);
    let sorted = |values: Vec<f64>| -> Vec<f64> { order.iter().map(|row| values[*row]).collect() };
    let features = names.iter().map(|name| numbers(batch, name).map(&sorted)).collect::<Result<_, _>>()?;
    Ok(Rows {
        features,
        labels: order.iter().map(|row| labels[*row] == 1.0).collect(),
        amounts_usd_minor: match amounts {
            Some(amounts) => order.iter().map(|row| (amounts[*row] * 100.0).round() as i64).collect(),
            None => vec![0; order.len()],
        },
        times: order.iter().map(|row| times[*row]).collect(),
        names,
        left_out,
    })
}

pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a arrow::array::ArrayRef, Failure> {
    batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        Failure::Input(format!("there is no column `{name}`; there are {}", names.join(", ")))
    })
}

/// A column as numbers, NaN where a value is missing.
pub fn numbers(batch: &RecordBatch, name: &str) -> Result<Vec<f64>, Failure> {
    let column = column(batch, name)?;
    let cast = cast(column, &DataType::Float64)
        .map_err(|error| Failure::Input(format!("column `{name}` is no number: {error}")))?;
    Ok(cast.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// A column as instants: a timestamp, or seconds since the table's beginning.
pub fn instants(batch: &RecordBatch, name: &str) -> Result<Vec<Timestamp>, Failure> {
    let missing = |row: usize| Failure::Input(format!("column `{name}` has no time in row {row}"));
    let column = column(batch, name)?;
    if matches!(column.data_type(), DataType::Timestamp(..)) {
        let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))
            .and_then(|column| cast(&column, &DataType::Int64))
            .map_err(Failure::input)?;
        let values = micros.as_primitive::<Int64Type>().iter().enumerate();
        return values.map(|(row, at)| at.map(Timestamp::from_micros).ok_or_else(|| missing(row))).collect();
    }
    let seconds = numbers(batch, name)?.into_iter().enumerate();
    let instant = |(row, seconds): (usize, f64)| match seconds.is_finite() {
        true => Ok(Timestamp::from_micros((seconds * SECOND_MICROS as f64) as i64)),
        false => Err(missing(row)),
    };
    seconds.map(instant).collect()
}

/// `FROM..TO`, two days or instants; the end does not belong to it.
fn span(text: &Path) -> Result<(Timestamp, Timestamp), Failure> {
    let text = text.to_string_lossy();
    let refused =
        || Failure::Input(format!("`{text}` is no span of days; write 2018-07-25..2018-08-01, the end not included"));
    let instant = |part: &str| -> Result<Timestamp, Failure> {
        let whole = if part.contains('T') { part.to_owned() } else { format!("{part}T00:00:00Z") };
        whole.parse().map_err(|_| refused())
    };
    let (from, to) = text.split_once("..").ok_or_else(refused)?;
    let (from, to) = (instant(from)?, instant(to)?);
    if from < to { Ok((from, to)) } else { Err(refused()) }
}

fn print(report: &Report) {
    println!(
        "{} features; learned from {} rows with {} frauds, judged on {} later rows with {}",
        report.features,
        thousands(report.train_rows as u64),
        thousands(report.train_frauds as u64),
        thousands(report.test_rows as u64),
        thousands(report.test_frauds as u64)
    );
    if !report.left_out.is_empty() {
        println!("Not learned from, as they are no numbers: {}", report.left_out.join(", "));
    }
    let between = |i: &dhow_fraud::evaluation::Interval| format!("{:.4} [{:.4}, {:.4}]", i.value, i.low, i.high);
    let row = |judged: &Judged| {
        let found = &judged.evaluation;
        let cards = judged.card_precision.as_ref();
        let mut cells = vec![judged.name.to_owned(), between(&found.roc_auc), between(&found.average_precision)];
        cells.push(cards.map_or_else(|| "–".to_owned(), |cards| format!("{:.3} of {:.3}", cards.mean, cards.perfect)));
        cells.extend(found.recall_at_rates.iter().map(|at| between(&at.recall)));
        cells.push(format!("{:.5} of {:.5}", found.brier.value, found.brier_of_constant_rate));
        cells.push(format!("{:.5}", found.expected_calibration_error));
        cells.push(format!("{:.4}", found.at_threshold.accuracy));
        cells.push(format!("{} %", percent_saved(&judged.money)));
        cells
    };
    let mut rows: Vec<Vec<String>> = report.models.iter().map(row).collect();
    let rates = report.models[0].evaluation.recall_at_rates.len();
    for trivial in &report.baselines {
        let mut cells = vec![trivial.name.to_owned(), format!("{:.4}", trivial.roc_auc)];
        cells.push(format!("{:.4}", trivial.average_precision));
        cells.extend((0..rates + 5).map(|_| "–".to_owned()));
        rows.push(cells);
    }
    if let (Some(row), Some(model)) = (rows.last_mut(), report.models.first()) {
        // Its accuracy is what any accuracy must be read beside.
        let place = row.len() - 2;
        row[place] = format!("{:.4}", model.evaluation.at_threshold.accuracy_of_approving_everything);
    }
    let recall =
        |at: &dhow_fraud::evaluation::RecallAtRate| format!("recall at {} % FPR", 100.0 * at.false_positive_rate);
    let recalls: Vec<String> = report.models[0].evaluation.recall_at_rates.iter().map(recall).collect();
    let mut head = vec!["model", "ROC AUC", "average precision", "CardPrecision@100"];
    head.extend(recalls.iter().map(String::as_str));
    head.extend(["Brier (constant)", "calibration error", "accuracy at .5", "loss avoided"]);
    // Read down: a model is a column.
    let turned: Vec<Vec<String>> = (1..head.len())
        .map(|cell| std::iter::once(head[cell].to_owned()).chain(rows.iter().map(|row| row[cell].clone())).collect())
        .collect();
    let mut names = vec![""];
    names.extend(rows.iter().map(|row| row[0].as_str()));
    println!("{}", table(&names, &turned, true));
}

/// The part of the loss of approving everything that the decisions avoid, in percent.
fn percent_saved(money: &MoneyReport) -> String {
    match money.cost_if_all_approved_usd_minor {
        0 => "–".to_owned(),
        all => format!("{:.1}", 100.0 * money.saved_usd_minor as f64 / all as f64),
    }
}
