//! Scores of kinds of fraud, learned beside the fraud model where enough labels name the kind; the artifact says why others were not.
//!
//! A kind is learned from the training and validation parts, judged on the test part and served as it was judged. Its rows
//! are checkouts, of which it sees what a question about the kind names: [`FraudVector::hidden`] says what it does not.

use std::collections::BTreeMap;

use dhow_fraud::evaluation::{EvaluationSettings, average_precision, evaluate};
use dhow_fraud::{
    Boosting, BoostingSettings, Costs, FraudScorer, KindModel, KindScores, KindTable, MIN_FRAUDS, RiskKind, Thresholds,
};
use serde::{Deserialize, Serialize};

use crate::error::trainer;
use crate::fraud_vector::FraudVector;
use crate::{Figure, FraudRows, TrainingError, TrainingInput};

const TASK: &str = "fraud";
/// Each of the training and validation parts must hold so many labels of a kind for it to be learned.
const KIND_LABELS_MIN: usize = MIN_FRAUDS;

/// How scores of a kind become actions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KindBands {
    /// The bands.
    pub thresholds: Thresholds,
    /// What is taken to be at stake where a question names no amount: the median of the kind's frauds, US cents.
    pub stake_usd_minor: i64,
}

/// What the registry holds of the scores of kinds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KindBundle {
    /// The file of the learned scores; empty where there are none.
    scores: Vec<u8>,
    bands: BTreeMap<RiskKind, KindBands>,
    /// Why the other kinds have no score.
    unlearned: BTreeMap<RiskKind, String>,
}

/// A kind's model, ready to score.
#[derive(Clone)]
pub struct OpenKind {
    /// The model.
    pub model: KindModel,
    /// The bands in force.
    pub bands: KindBands,
    /// Their version.
    pub bands_version: String,
}

/// The models of the kinds that have one.
#[derive(Clone, Default)]
pub struct OpenKinds {
    models: BTreeMap<RiskKind, OpenKind>,
    unlearned: BTreeMap<RiskKind, String>,
}

impl OpenKinds {
    /// The model of a kind.
    ///
    /// # Errors
    /// There is none: why, in words.
    pub fn of(&self, kind: RiskKind) -> Result<&OpenKind, &str> {
        let why =
            || self.unlearned.get(&kind).map_or("it was trained before kinds of fraud had scores", String::as_str);
        self.models.get(&kind).ok_or_else(why)
    }
}

impl KindBundle {
    /// Joins the learned scores with the bands of each, and the reasons why other kinds have none.
    ///
    /// # Errors
    /// None in practice; the serialiser's error is passed on.
    pub fn new(
        scores: &KindScores,
        bands: BTreeMap<RiskKind, KindBands>,
        unlearned: BTreeMap<RiskKind, String>,
    ) -> Result<Self, TrainingError> {
        let learned = scores.iter().next().is_some();
        let scores = if learned { scores.to_bytes().map_err(trainer(TASK))? } else { Vec::new() };
        Ok(Self { scores, bands, unlearned })
    }

    /// Makes the models ready.
    pub(crate) fn open(self) -> Result<OpenKinds, TrainingError> {
        let Self { scores, bands, unlearned } = self;
        if scores.is_empty() {
            return Ok(OpenKinds { models: BTreeMap::new(), unlearned });
        }
        let scores = KindScores::from_bytes(&scores).map_err(trainer(TASK))?;
        let mut models = BTreeMap::new();
        for (kind, model) in scores.iter() {
            let unbanded = || TrainingError::Data { task: TASK, reason: format!("{} has no thresholds", kind.word()) };
            let of_kind = bands.get(&kind).ok_or_else(unbanded)?;
            let content = postcard::to_allocvec(of_kind).map_err(trainer(TASK))?;
            let bands_version = blake3::hash(&content).to_hex().to_string();
            models.insert(kind, OpenKind { model: model.clone(), bands: *of_kind, bands_version });
        }
        Ok(OpenKinds { models, unlearned })
    }
}

/// What was learned of the kinds.
pub(crate) struct LearnedKinds {
    pub bundle: KindBundle,
    pub figures: Vec<Figure>,
    /// A sentence for each kind.
    pub notes: Vec<String>,
}

/// Learns each kind that has labels enough and judges it on the test part, beside the fraud score of any kind, `general`.
pub(crate) fn train_kinds(
    rows: &FraudRows,
    (validation_from, test_from): (usize, usize),
    general: &dyn FraudScorer,
    input: &TrainingInput<'_>,
) -> Result<LearnedKinds, TrainingError> {
    let vector = FraudVector::new(&input.features)?;
    let part = |from: usize, to: usize| {
        Ok::<_, TrainingError>(KindTable { rows: rows.table(from, to)?, kinds: &rows.kinds[from..to] })
    };
    let (training, validation) = (part(0, validation_from)?, part(validation_from, test_from)?);
    let test = part(test_from, rows.kinds.len())?;
    let general = general.probabilities(test.rows.values()).map_err(trainer(TASK))?;
    let (mut scores, mut bands, mut unlearned) = (KindScores::default(), BTreeMap::new(), BTreeMap::new());
    let (mut figures, mut notes) = (Vec::new(), Vec::new());
    for kind in RiskKind::ALL {
        let learned = learn(&mut scores, kind, &training, &validation, vector.hidden(kind), input.seed)?;
        let judged = match learned {
            Ok(chosen) => {
                bands.insert(kind, chosen);
                judge(&scores, kind, &test, &general, input.seed)?
            }
            Err(why) => Err(why),
        };
        let note = match judged {
            Ok(figure) => {
                figures.push(figure);
                format!("{}: scored", kind.words())
            }
            Err(why) => {
                scores.remove(kind);
                bands.remove(&kind);
                let note = format!("{}: not scored, {why}", kind.words());
                unlearned.insert(kind, why);
                note
            }
        };
        notes.push(note);
    }
    Ok(LearnedKinds { bundle: KindBundle::new(&scores, bands, unlearned)?, figures, notes })
}

fn labels_of(table: &KindTable<'_>, kind: RiskKind) -> Vec<bool> {
    table.kinds.iter().map(|known| *known == Some(kind)).collect()
}

fn count(labels: &[bool]) -> usize {
    labels.iter().filter(|label| **label).count()
}

/// Learns a kind and chooses its bands; gives the reason where it cannot be learned.
fn learn(
    scores: &mut KindScores,
    kind: RiskKind,
    training: &KindTable<'_>,
    validation: &KindTable<'_>,
    hidden: &[usize],
    seed: u64,
) -> Result<Result<KindBands, String>, TrainingError> {
    let labels = labels_of(validation, kind);
    let (early, late) = (count(&labels_of(training, kind)), count(&labels));
    if early < KIND_LABELS_MIN || late < KIND_LABELS_MIN {
        return Ok(Err(format!(
            "its training and validation parts hold {early} and {late} labels of this kind, and each needs \
             {KIND_LABELS_MIN}"
        )));
    }
    let boosting = Boosting { rounds: 300, max_leaves: 7, row_share: 0.1, hard_share: 0.1, ..Boosting::default() };
    let settings = BoostingSettings {
        candidates: vec![boosting],
        reasons: FraudVector::reasons(),
        seed,
        ..BoostingSettings::default()
    };
    let probabilities = match scores.learn(kind, training, validation, hidden, &settings) {
        Ok(probabilities) => probabilities,
        Err(problem) => return Ok(Err(problem.to_string())),
    };
    let amounts = validation.rows.amounts_usd_minor();
    let thresholds = Thresholds::choose(Costs::default(), &probabilities, &labels, amounts).map_err(trainer(TASK))?;
    let mut stakes: Vec<i64> =
        amounts.iter().zip(&labels).filter(|(_, label)| **label).map(|(amount, _)| *amount).collect();
    stakes.sort_unstable();
    Ok(Ok(KindBands { thresholds, stake_usd_minor: stakes[stakes.len() / 2] }))
}

/// The average precision on the test part; gives the reason where the score cannot be judged, or is no better than chance.
fn judge(
    scores: &KindScores,
    kind: RiskKind,
    test: &KindTable<'_>,
    general: &[f64],
    seed: u64,
) -> Result<Result<Figure, String>, TrainingError> {
    let labels = labels_of(test, kind);
    let frauds = count(&labels);
    let Some(model) = scores.model(kind).filter(|_| frauds > 0) else {
        return Ok(Err("its test part holds no label of this kind to judge it by".to_owned()));
    };
    let probabilities = model.probabilities(test.rows.values()).map_err(trainer(TASK))?;
    let settings = EvaluationSettings { seed, ..EvaluationSettings::default() };
    let found = evaluate(&probabilities, &labels, &settings).map_err(trainer(TASK))?.average_precision;
    let by_chance = frauds as f64 / labels.len() as f64;
    if found.value <= by_chance {
        return Ok(Err(format!(
            "its average precision on the test part, {:.4}, is no better than chance",
            found.value
        )));
    }
    let of_any = average_precision(general, &labels).map_err(trainer(TASK))?;
    let figure = Figure::new(&format!("average precision, {}", kind.words()), found.value, true)
        .within(found.low, found.high)
        .beside("random", by_chance)
        .beside("fraud of any kind", of_any);
    Ok(Ok(figure))
}
