//! Trains the fraud model on checkouts with their point-in-time vectors; labels count only once they were known and mature.

use std::collections::BTreeMap;

use dhow_definitions::VectorPlan;
use dhow_events::{CheckoutId, DAY_MICROS, Fact, FactKind, Timestamp};
use dhow_fraud::evaluation::{EvaluationSettings, average_precision, evaluate, recall_at_false_positive_rate};
use dhow_fraud::{Baseline, Costs, FraudModel, FraudScorer, Settings, Thresholds, TrainingTable, train};
use dhow_offline::{ids, integers, training_set};
use dhow_registry::{ModelFormat, Task};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::error::trainer;
use crate::evaluate::Judged;
use crate::promotion::{Candidate, Champion, incumbent, register};
use crate::{Evaluation, Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "fraud";
/// A checkout without a label counts as genuine once it is this old; younger ones are left out.
pub const FRAUD_MATURITY_DAYS: i64 = 14;
/// The share of the rows that validation has, and the share that test has.
const PART_SHARE: f64 = 0.2;

/// Vectors that a model carries of those that it learned from, at most.
const REFERENCE_ROWS_MAX: usize = 2_000;

/// Vectors that a model learned from, spread evenly over the latest part of its training data: what drift is judged by.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reference {
    width: usize,
    /// Row-major.
    values: Vec<f64>,
}

impl Reference {
    /// Some of the rows of `table`.
    pub fn of(table: &TrainingTable<'_>) -> Self {
        let width = table.names().len();
        let step = table.len().div_ceil(REFERENCE_ROWS_MAX).max(1);
        let rows = table.values().chunks_exact(width.max(1)).step_by(step);
        Self { width, values: rows.flatten().copied().collect() }
    }

    /// The values of feature number `feature`; NaN where there was none.
    pub fn column(&self, feature: usize) -> Vec<f64> {
        self.values.chunks_exact(self.width.max(1)).filter_map(|row| row.get(feature)).copied().collect()
    }
}

/// What the registry holds of a fraud model: the model, the thresholds that were chosen with it, and what it learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudBundle {
    model: Vec<u8>,
    thresholds: Thresholds,
    reference: Reference,
}

/// A fraud artifact, ready to score.
#[derive(Debug, Clone)]
pub struct OpenFraud {
    /// The model.
    pub model: FraudModel,
    /// The bands in force.
    pub thresholds: Thresholds,
    /// What drift is judged by.
    pub reference: Reference,
}

impl FraudBundle {
    /// Joins a model, its thresholds and its reference.
    ///
    /// # Errors
    /// The model cannot be written.
    pub fn new(model: &FraudModel, thresholds: Thresholds, reference: Reference) -> Result<Self, TrainingError> {
        Ok(Self { model: model.to_bytes().map_err(trainer(TASK))?, thresholds, reference })
    }

    /// The artifact's bytes.
    ///
    /// # Errors
    /// None in practice; the serialiser's error is passed on.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrainingError> {
        postcard::to_allocvec(self).map_err(trainer(TASK))
    }

    /// Reads an artifact.
    ///
    /// # Errors
    /// Bytes that are no fraud artifact.
    pub fn open(bytes: &[u8]) -> Result<OpenFraud, TrainingError> {
        let Self { model, thresholds, reference } = postcard::from_bytes(bytes).map_err(trainer(TASK))?;
        Ok(OpenFraud { model: FraudModel::from_bytes(&model).map_err(trainer(TASK))?, thresholds, reference })
    }
}

/// Checkouts in the order of their times, with vectors and labels.
#[derive(Debug, Clone, Default)]
pub struct FraudRows {
    /// The features.
    pub names: Vec<String>,
    /// Row-major values.
    pub values: Vec<f64>,
    /// Whether each was fraud.
    pub labels: Vec<bool>,
    /// When each was submitted.
    pub times: Vec<Timestamp>,
    /// What each was worth, in cents.
    pub amounts_usd_minor: Vec<i64>,
    /// Which each was.
    pub checkouts: Vec<CheckoutId>,
}

impl FraudRows {
    fn table(&self, from: usize, to: usize) -> Result<TrainingTable<'_>, TrainingError> {
        let width = self.names.len();
        let values = &self.values[from * width..to * width];
        let (labels, times, amounts) =
            (&self.labels[from..to], &self.times[from..to], &self.amounts_usd_minor[from..to]);
        TrainingTable::new(&self.names, values, labels, times, amounts).map_err(trainer(TASK))
    }
}

/// Every mature checkout before `until` with the label that was known then.
///
/// # Errors
/// A failing table or log.
pub async fn fraud_rows(input: &TrainingInput<'_>) -> Result<FraudRows, TrainingError> {
    let plan = VectorPlan::new(&input.features, FactKind::CheckoutSubmitted)?;
    let labels = known_labels(input).await?;
    let set = training_set(input.log, input.features.clone(), input.online, &plan, input.tenant, input.until)?;
    let mature_until = input.until - FRAUD_MATURITY_DAYS * DAY_MICROS;
    let mut order: Vec<usize> = (0..set.row_count()).filter(|row| set.spine[*row].event_time < mature_until).collect();
    order.sort_by_key(|row| (set.spine[*row].event_time, set.spine[*row].id));
    let mut rows = FraudRows { names: set.names.clone(), ..FraudRows::default() };
    for row in order {
        let event = &set.spine[row];
        let Fact::CheckoutSubmitted(submitted) = &event.fact else { continue };
        rows.values.extend_from_slice(set.row(row));
        rows.labels.push(labels.get(&submitted.checkout).copied().unwrap_or(false));
        rows.times.push(event.event_time);
        rows.amounts_usd_minor.push(submitted.total_usd_minor);
        rows.checkouts.push(submitted.checkout);
    }
    Ok(rows)
}

async fn known_labels(input: &TrainingInput<'_>) -> Result<FxHashMap<CheckoutId, bool>, TrainingError> {
    let sql = format!(
        "SELECT checkout, max(CASE WHEN fraud THEN 1 ELSE 0 END) AS fraud FROM fraud_labelled
         WHERE arrow_cast(known_time, 'Int64') < {} GROUP BY checkout",
        input.until.micros()
    );
    let batches = input.sql()?.query(&sql).await?;
    let checkouts = ids(&batches, "checkout", CheckoutId::KIND)?;
    let flags = integers(&batches, "fraud")?;
    let pairs = checkouts.iter().zip(flags);
    Ok(pairs.filter_map(|(id, flag)| id.map(|id| (CheckoutId::from_u128(id), flag == 1))).collect())
}

/// Trains, judges, registers and perhaps promotes the fraud model.
///
/// # Errors
/// Too few frauds with a known label, or a failing table, log or registry.
pub async fn train_fraud(input: &TrainingInput<'_>) -> Result<TaskReport, TrainingError> {
    let rows = fraud_rows(input).await?;
    let count = rows.labels.len();
    let (validation_from, test_from) = split(count);
    let test = rows.table(test_from, count)?;
    let settings = Settings { seed: input.seed, l2: vec![30.0, 10.0, 3.0], knots: vec![8], ..Settings::default() };

    let judged = train(&rows.table(0, validation_from)?, &rows.table(validation_from, test_from)?, &settings)
        .map_err(trainer(TASK))?;
    let figures = figures(&judged.model, &test, input.seed)?;
    let champion = judge_champion(input, &test, rows.times[test_from], figures[0].value)?;

    // The model that serves learns from everything; its last part chooses settings, calibration and thresholds.
    let latest = rows.table(validation_from, count)?;
    let trained = train(&rows.table(0, validation_from)?, &latest, &settings).map_err(trainer(TASK))?;
    let thresholds = Thresholds::choose(
        Costs::default(),
        &trained.validation_probabilities,
        latest.labels(),
        latest.amounts_usd_minor(),
    )
    .map_err(trainer(TASK))?;
    let settings_json = serde_json::json!({ "knots": trained.model.report().knots, "l2": trained.model.report().l2 });
    register(
        input,
        Candidate {
            task: Task::Fraud,
            name: "logistic".to_owned(),
            format: ModelFormat::Postcard,
            artifact: FraudBundle::new(&trained.model, thresholds, Reference::of(&latest))?.to_bytes()?,
            feature_schema_hash: Some(input.features.schema_hash()),
            data_fingerprint: fingerprint(&rows),
            training_span: (rows.times[0], rows.times[count - 1] + 1),
            settings: BTreeMap::from([("chosen".to_owned(), settings_json)]),
            training_rows: count as u64,
            test_rows: test.len() as u64,
            figures,
            champion,
        },
    )
}

/// Where validation and test begin.
fn split(count: usize) -> (usize, usize) {
    let share = |share: f64| (count as f64 * share) as usize;
    (share(1.0 - 2.0 * PART_SHARE), share(1.0 - PART_SHARE))
}

fn figures(model: &FraudModel, test: &TrainingTable<'_>, seed: u64) -> Result<Vec<Figure>, TrainingError> {
    let probabilities = model.probabilities(test.values()).map_err(trainer(TASK))?;
    let settings = EvaluationSettings { seed, ..EvaluationSettings::default() };
    let judged = evaluate(&probabilities, test.labels(), &settings).map_err(trainer(TASK))?;
    let by_amount = Baseline::AmountRank.scores(test);
    let amount = |rate: f64| recall_at_false_positive_rate(&by_amount, test.labels(), rate).map_err(trainer(TASK));
    let precision = average_precision(&by_amount, test.labels()).map_err(trainer(TASK))?;
    let prevalence = test.frauds() as f64 / test.len() as f64;
    let mut figures = vec![
        Figure::new("average precision", judged.average_precision.value, true)
            .within(judged.average_precision.low, judged.average_precision.high)
            .beside("random", prevalence)
            .beside("by amount", precision),
    ];
    for at in &judged.recall_at_rates {
        let name = format!("recall at {} % false positives", at.false_positive_rate * 100.0);
        let figure = Figure::new(&name, at.recall.value, true).within(at.recall.low, at.recall.high);
        figures
            .push(figure.beside("random", at.false_positive_rate).beside("by amount", amount(at.false_positive_rate)?));
    }
    figures.push(
        Figure::new("ROC AUC", judged.roc_auc.value, true)
            .within(judged.roc_auc.low, judged.roc_auc.high)
            .beside("random", 0.5),
    );
    figures.push(
        Figure::new("Brier score", judged.brier.value, false).beside("constant rate", judged.brier_of_constant_rate),
    );
    figures.push(
        Figure::new("accuracy at one half", judged.at_threshold.accuracy, true)
            .beside("approve everything", judged.at_threshold.accuracy_of_approving_everything),
    );
    Ok(figures)
}

fn judge_champion(
    input: &TrainingInput<'_>,
    test: &TrainingTable<'_>,
    test_from: Timestamp,
    ours: f64,
) -> Result<Champion, TrainingError> {
    let bytes = match incumbent(input, Task::Fraud, test_from)? {
        Ok(bytes) => bytes,
        Err(champion) => return Ok(champion),
    };
    let model = match FraudBundle::open(&bytes) {
        Ok(open) => open.model,
        Err(unreadable) => return Ok(Champion::Incomparable(unreadable.to_string())),
    };
    if model.feature_names() != test.names() {
        return Ok(Champion::Incomparable("it reads other features".to_owned()));
    }
    let probabilities = model.probabilities(test.values()).map_err(trainer(TASK))?;
    let theirs = average_precision(&probabilities, test.labels()).map_err(trainer(TASK))?;
    Ok(Champion::Judged { theirs, ours })
}

/// Judges a fraud model on the checkouts since its training data ended whose labels are mature.
///
/// # Errors
/// No such checkout, or none that was fraud; an artifact that is no fraud model; a failing table or log.
pub(crate) async fn evaluate_fraud(input: &TrainingInput<'_>, model: &Judged) -> Result<Evaluation, TrainingError> {
    let rows = fraud_rows(input).await?;
    let from = rows.times.partition_point(|time| *time < model.learned_until);
    let test = rows.table(from, rows.labels.len())?;
    let scorer = FraudBundle::open(&model.artifact)?.model;
    if scorer.feature_names() != test.names() {
        return Err(TrainingError::Data {
            task: TASK,
            reason: "the model reads other features than the definitions in force".into(),
        });
    }
    Ok(model.evaluation(input, test.len(), figures(&scorer, &test, input.seed)?))
}

fn fingerprint(rows: &FraudRows) -> String {
    let mut hasher = blake3::Hasher::new();
    for value in &rows.values {
        hasher.update(&value.to_bits().to_le_bytes());
    }
    for (checkout, label) in rows.checkouts.iter().zip(&rows.labels) {
        hasher.update(&checkout.as_u128().to_le_bytes());
        hasher.update(&[u8::from(*label)]);
    }
    hasher.finalize().to_hex().to_string()
}
