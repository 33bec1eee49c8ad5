//! Trains the fraud model on checkouts with their point-in-time vectors; labels count only once they were known and mature.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_events::{CheckoutId, DAY_MICROS, Fact, Timestamp};
use dhow_fraud::evaluation::{EvaluationSettings, average_precision, evaluate, recall_at_false_positive_rate};
use dhow_fraud::{
    Baseline, BoostingSettings, Costs, FraudScorer, MIN_FRAUDS, RiskKind, Settings, Thresholds, TrainingTable,
    read_scorer, train, train_boosted,
};
use dhow_offline::{ids, integers, texts, training_set};
use dhow_registry::{ModelFormat, Task};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::error::trainer;
use crate::evaluate::Judged;
use crate::fraud_kinds::{KindBundle, OpenKinds, train_kinds};
use crate::fraud_vector::{FraudVector, link_rows};
use crate::promotion::{Candidate, Champion, incumbent, register};
use crate::{Evaluation, Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "fraud";
/// A checkout without a label counts as genuine once it is this old; younger ones are left out.
pub const FRAUD_MATURITY_DAYS: i64 = 14;
/// Frauds that validation must hold before trees are preferred: the order of fewer is luck.
const FRAUDS_TO_CONTEST_MIN: usize = 50;
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

    /// All values, row-major; NaN where there was none.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values of feature number `feature`; NaN where there was none.
    pub fn column(&self, feature: usize) -> Vec<f64> {
        self.values.chunks_exact(self.width.max(1)).filter_map(|row| row.get(feature)).copied().collect()
    }
}

/// What a fraud model is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FraudMethod {
    /// The better of the two on validation; where that holds fewer than 50 frauds, logistic regression.
    #[default]
    Best,
    /// Logistic regression.
    Logistic,
    /// Boosted trees.
    BoostedTrees,
}

impl FraudMethod {
    /// Its name on cards.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Logistic => "logistic",
            Self::BoostedTrees => "boosted-trees",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Best, Self::Logistic, Self::BoostedTrees].into_iter().find(|method| method.name() == name)
    }
}

/// What the registry holds of a fraud model: the model, the thresholds that were chosen with it, what it learned from, and
/// behind them the scores of kinds of fraud, which an artifact of an earlier program ends before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudBundle {
    model: Vec<u8>,
    thresholds: Thresholds,
    reference: Reference,
    #[serde(skip)]
    kinds: KindBundle,
}

/// A fraud artifact, ready to score.
#[derive(Clone)]
pub struct OpenFraud {
    /// The model: linear or boosted trees.
    pub model: Arc<dyn FraudScorer>,
    /// The bands in force.
    pub thresholds: Thresholds,
    /// What drift is judged by.
    pub reference: Reference,
    /// The scores of kinds of fraud.
    pub kinds: OpenKinds,
}

impl FraudBundle {
    /// Joins a model's file, its thresholds and its reference.
    pub fn new(model: Vec<u8>, thresholds: Thresholds, reference: Reference) -> Self {
        Self { model, thresholds, reference, kinds: KindBundle::default() }
    }

    /// The same with scores of kinds of fraud.
    #[must_use]
    pub fn with_kinds(self, kinds: KindBundle) -> Self {
        Self { kinds, ..self }
    }

    /// The artifact's bytes.
    ///
    /// # Errors
    /// None in practice; the serialiser's error is passed on.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrainingError> {
        let bytes = postcard::to_allocvec(self).map_err(trainer(TASK))?;
        postcard::to_extend(&self.kinds, bytes).map_err(trainer(TASK))
    }

    /// Reads an artifact.
    ///
    /// # Errors
    /// Bytes that are no fraud artifact.
    pub fn open(bytes: &[u8]) -> Result<OpenFraud, TrainingError> {
        let (bundle, behind): (Self, &[u8]) = postcard::take_from_bytes(bytes).map_err(trainer(TASK))?;
        let Self { model, thresholds, reference, kinds: none } = bundle;
        let kinds = if behind.is_empty() { none } else { postcard::from_bytes(behind).map_err(trainer(TASK))? };
        let model = read_scorer(&model).map_err(trainer(TASK))?;
        Ok(OpenFraud { model, thresholds, reference, kinds: kinds.open()? })
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
    /// Which kind of fraud each is known as, where that kind has a score.
    pub kinds: Vec<Option<RiskKind>>,
    /// When each was submitted.
    pub times: Vec<Timestamp>,
    /// What each was worth, in cents.
    pub amounts_usd_minor: Vec<i64>,
    /// Which each was.
    pub checkouts: Vec<CheckoutId>,
}

impl FraudRows {
    pub(crate) fn table(&self, from: usize, to: usize) -> Result<TrainingTable<'_>, TrainingError> {
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
    let vector = FraudVector::new(&input.features)?;
    let labels = known_labels(input).await?;
    let set = training_set(input.log, input.features.clone(), input.online, vector.plan(), input.tenant, input.until)?;
    let links = link_rows(input.log, input.links, &set.spine)?;
    let mature_until = input.until - FRAUD_MATURITY_DAYS * DAY_MICROS;
    let mut order: Vec<usize> = (0..set.row_count()).filter(|row| set.spine[*row].event_time < mature_until).collect();
    order.sort_by_key(|row| (set.spine[*row].event_time, set.spine[*row].id));
    let mut rows = FraudRows { names: vector.names().to_vec(), ..FraudRows::default() };
    for row in order {
        let event = &set.spine[row];
        let Fact::CheckoutSubmitted(submitted) = &event.fact else { continue };
        rows.values.extend(vector.values(set.row(row), event.event_time, &links[row]));
        let label = labels.get(&submitted.checkout).copied().unwrap_or_default();
        rows.labels.push(label.fraud);
        rows.kinds.push(label.kind);
        rows.times.push(event.event_time);
        rows.amounts_usd_minor.push(submitted.total_usd_minor);
        rows.checkouts.push(submitted.checkout);
    }
    Ok(rows)
}

/// What is known of a checkout.
#[derive(Debug, Clone, Copy, Default)]
struct Label {
    fraud: bool,
    kind: Option<RiskKind>,
}

/// A source that says otherwise later takes back what it said: a chargeback that was won is none.
async fn known_labels(input: &TrainingInput<'_>) -> Result<FxHashMap<CheckoutId, Label>, TrainingError> {
    let sql = format!(
        "SELECT checkout, max(CASE WHEN fraud THEN 1 ELSE 0 END) AS fraud, max(CASE WHEN fraud THEN kind END) AS kind
         FROM (SELECT checkout, fraud, kind,
                      row_number() OVER (PARTITION BY checkout, source ORDER BY event_time DESC, known_time DESC) AS place
               FROM fraud_labelled WHERE arrow_cast(known_time, 'Int64') < {}) AS told
         WHERE place = 1 GROUP BY checkout",
        input.until.micros()
    );
    let batches = input.sql()?.query(&sql).await?;
    let checkouts = ids(&batches, "checkout", CheckoutId::KIND)?;
    let (flags, kinds) = (integers(&batches, "fraud")?, texts(&batches, "kind")?);
    let label = |((checkout, flag), kind): ((Option<u128>, i64), Option<String>)| {
        let label = Label { fraud: flag == 1, kind: kind.as_deref().and_then(RiskKind::from_word) };
        Some((CheckoutId::from_u128(checkout?), label))
    };
    Ok(checkouts.into_iter().zip(flags).zip(kinds).filter_map(label).collect())
}

/// Trains, judges, registers and perhaps promotes the fraud model.
///
/// # Errors
/// Too few frauds with a known label, or a failing table, log or registry.
pub async fn train_fraud(input: &TrainingInput<'_>) -> Result<TaskReport, TrainingError> {
    let rows = fraud_rows(input).await?;
    let count = rows.labels.len();
    let (validation_from, test_from) = split(&rows.labels);
    let test = rows.table(test_from, count)?;
    let (before, validation) = (rows.table(0, validation_from)?, rows.table(validation_from, test_from)?);
    let judged = Contest::held(&before, &validation, input.seed)?;
    let linear =
        average_precision(&judged.linear.scorer.probabilities(test.values()).map_err(trainer(TASK))?, test.labels())
            .map_err(trainer(TASK))?;
    let mut figures = figures(&*judged.winner(input.fraud_method).scorer, &test, input.seed)?;
    figures[0] = figures[0].clone().beside("logistic regression", linear);
    let champion = judge_champion(input, &test, rows.times[test_from], figures[0].value)?;
    let kinds = train_kinds(&rows, (validation_from, test_from), &*judged.winner(input.fraud_method).scorer, input)?;
    figures.extend(kinds.figures);

    // The model that serves learns from everything; its last part chooses settings, calibration and thresholds.
    let latest = rows.table(validation_from, count)?;
    let trained = Contest::held(&before, &latest, input.seed)?;
    let trained = trained.winner(input.fraud_method);
    let thresholds = Thresholds::choose(
        Costs::default(),
        &trained.validation_probabilities,
        latest.labels(),
        latest.amounts_usd_minor(),
    )
    .map_err(trainer(TASK))?;
    register(
        input,
        Candidate {
            task: Task::Fraud,
            name: trained.name.to_owned(),
            format: ModelFormat::Postcard,
            artifact: FraudBundle::new(trained.file.clone(), thresholds, Reference::of(&latest))
                .with_kinds(kinds.bundle)
                .to_bytes()?,
            feature_schema_hash: Some(FraudVector::new(&input.features)?.schema_hash().to_owned()),
            data_fingerprint: fingerprint(&rows),
            training_span: Some((rows.times[0], rows.times[count - 1] + 1)),
            settings: BTreeMap::from([
                ("chosen".to_owned(), trained.settings.clone()),
                ("kinds".to_owned(), serde_json::json!(kinds.notes)),
                ("method".to_owned(), input.fraud_method.name().into()),
            ]),
            notes: kinds.notes,
            training_rows: count as u64,
            test_rows: test.len() as u64,
            figures,
            champion,
        },
    )
}

/// A model that was fitted, with what is kept of it.
struct Fitted {
    name: &'static str,
    scorer: Arc<dyn FraudScorer>,
    file: Vec<u8>,
    /// Of validation rows that it had not seen.
    validation_probabilities: Vec<f64>,
    /// What speaks for it against the other kind.
    validation_average_precision: f64,
    settings: serde_json::Value,
}

/// Both kinds of model, fitted to the same rows.
struct Contest {
    linear: Fitted,
    boosted: Fitted,
    /// What they were compared on.
    validation_frauds: usize,
}

impl Contest {
    fn held(before: &TrainingTable<'_>, validation: &TrainingTable<'_>, seed: u64) -> Result<Self, TrainingError> {
        let precision =
            |probabilities: &[f64]| average_precision(probabilities, validation.labels()).map_err(trainer(TASK));
        let settings = Settings {
            seed,
            l2: vec![30.0, 10.0, 3.0],
            knots: vec![8],
            reasons: FraudVector::reasons(),
            ..Settings::default()
        };
        let linear = train(before, validation, &settings).map_err(trainer(TASK))?;
        let report = linear.model.report();
        let linear = Fitted {
            name: "logistic",
            settings: serde_json::json!({ "knots": report.knots, "l2": report.l2 }),
            file: linear.model.to_bytes().map_err(trainer(TASK))?,
            validation_average_precision: precision(&linear.validation_probabilities)?,
            validation_probabilities: linear.validation_probabilities,
            scorer: Arc::new(linear.model),
        };
        let settings = BoostingSettings { seed, reasons: FraudVector::reasons(), ..BoostingSettings::default() };
        let boosted = train_boosted(before, validation, &settings).map_err(trainer(TASK))?;
        let boosted = Fitted {
            name: "boosted-trees",
            settings: serde_json::to_value(boosted.model.report()).map_err(trainer(TASK))?,
            file: boosted.model.to_bytes().map_err(trainer(TASK))?,
            validation_average_precision: precision(&boosted.validation_probabilities)?,
            validation_probabilities: boosted.validation_probabilities,
            scorer: Arc::new(boosted.model),
        };
        Ok(Self { linear, boosted, validation_frauds: validation.frauds() })
    }

    /// Of equally good ones the linear model, which is the simpler; it is also taken where validation holds too few frauds to
    /// tell the two apart.
    fn winner(&self, method: FraudMethod) -> &Fitted {
        let better = self.boosted.validation_average_precision > self.linear.validation_average_precision;
        match method {
            FraudMethod::BoostedTrees => &self.boosted,
            FraudMethod::Best if better && self.validation_frauds >= FRAUDS_TO_CONTEST_MIN => &self.boosted,
            FraudMethod::Best | FraudMethod::Logistic => &self.linear,
        }
    }
}

/// Where validation and test begin: each has [`PART_SHARE`] of the rows, or more, up to twice that, where fraud is so rare that
/// fewer rows would hold too little to judge by.
fn split(labels: &[bool]) -> (usize, usize) {
    let test = part_before(labels, labels.len());
    (part_before(labels, test), test)
}

fn part_before(labels: &[bool], end: usize) -> usize {
    let of_all = |share: f64| (labels.len() as f64 * share).ceil() as usize;
    let (usual, furthest) = (end.saturating_sub(of_all(PART_SHARE)), end.saturating_sub(of_all(2.0 * PART_SHARE)));
    let frauds = labels[..end].iter().enumerate().rev().filter(|(_, fraud)| **fraud).map(|(row, _)| row);
    frauds.take(MIN_FRAUDS).last().map_or(usual, |enough| enough.min(usual).max(furthest))
}

fn figures(model: &dyn FraudScorer, test: &TrainingTable<'_>, seed: u64) -> Result<Vec<Figure>, TrainingError> {
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
    Ok(model.evaluation(input, test.len(), figures(&*scorer, &test, input.seed)?))
}

fn fingerprint(rows: &FraudRows) -> String {
    let mut hasher = blake3::Hasher::new();
    for value in &rows.values {
        hasher.update(&value.to_bits().to_le_bytes());
    }
    for ((checkout, label), kind) in rows.checkouts.iter().zip(&rows.labels).zip(&rows.kinds) {
        hasher.update(&checkout.as_u128().to_le_bytes());
        hasher.update(&[u8::from(*label)]);
        hasher.update(kind.map_or("", RiskKind::word).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_a_fifth_and_grow_to_two_where_fraud_is_rare() {
        let every = |step: usize| (0..1_000).map(|row| row % step == 0).collect::<Vec<bool>>();
        assert_eq!(split(&every(10)), (600, 800));
        // One in thirty: ten frauds take 271 to 300 rows.
        let (validation, test) = split(&every(30));
        assert_eq!((test, validation), (720, 420), "the tenth fraud from the end, each time");
        // One in a hundred: even two fifths hold four only, and that is as far as it goes.
        assert_eq!(split(&every(100)), (200, 600));
    }
}
