//! One simulated marketplace: models learned as the product learns them, and judged beside trivial judges and the oracle.

use std::ops::Range;

use dhow_datasets::simulator::CheckoutKind;
use dhow_events::{DAY_MICROS, Timestamp};
use dhow_fraud::evaluation::{
    average_precision, recall_at_false_positive_rate, roc_auc, threshold_at_false_positive_rate, threshold_of_best_f1,
};
use dhow_fraud::{
    Baseline, Boosting, BoostingSettings, BuyerEvidence, FraudScorer, KindScores, KindTable, RiskKind, Settings,
    TrainingTable, train, train_boosted,
};
use serde_json::{Value as Json, json};

use crate::history::{History, Outcome};
use crate::judge::{FALSE_POSITIVE_RATE, Outcomes, Pooled, figures, money};

/// The last part of the checkouts is the test; the last part of those before it chooses settings and thresholds.
const TEST_SHARE: f64 = 0.2;
const VALIDATION_SHARE: f64 = 0.25;
/// Checkouts are learned from once they are so old; many chargebacks come within that time.
const MATURITY_DAYS: i64 = 14;
/// The first checkouts lack the history that later ones have.
const WARM_UP_DAYS: i64 = 60;

/// Which rows are learned from, chosen on and judged, and when the last of them begin.
struct Parts {
    train: Range<usize>,
    validation: Range<usize>,
    test: Range<usize>,
    test_from: Timestamp,
}

impl Parts {
    fn of(history: &History) -> Self {
        let count = history.times.len();
        let test = (count as f64 * (1.0 - TEST_SHARE)) as usize;
        let test_from = history.times[test];
        let before = |instant: Timestamp| history.times.partition_point(|time| *time < instant);
        let (begin, end) =
            (before(history.times[0] + WARM_UP_DAYS * DAY_MICROS), before(test_from - MATURITY_DAYS * DAY_MICROS));
        let middle = end - ((end - begin) as f64 * VALIDATION_SHARE) as usize;
        Self { train: begin..middle, validation: middle..end, test: test..count, test_from }
    }
}

/// Learns and judges.
pub fn run(history: &History, seed: u64, replicates: usize, pooled: &mut Pooled) -> Outcome<Json> {
    let parts = Parts::of(history);
    let known: Vec<bool> =
        history.fraud_known.iter().map(|known| known.is_some_and(|at| at < parts.test_from)).collect();
    let early = table(history, &known, &parts.train)?;
    let late = table(history, &known, &parts.validation)?;
    let truth: Vec<bool> = history.kinds.iter().map(|kind| kind.is_fraud()).collect();
    let judged = table(history, &truth, &parts.test)?;

    let linear = train(&early, &late, &Settings { seed, l2: vec![30.0, 10.0], knots: vec![8], ..Settings::default() })?;
    eprintln!("{}", linear.model.report().summary(&linear.model));
    let boosted = train_boosted(&early, &late, &boosting(seed))?;
    eprintln!("{}", boosted.model.report().summary());

    let test = Outcomes { labels: judged.labels(), amounts_usd_minor: judged.amounts_usd_minor() };
    let validation = Outcomes { labels: late.labels(), amounts_usd_minor: late.amounts_usd_minor() };
    let oracle = &history.oracle[parts.test.clone()];
    let of_linear = linear.model.probabilities(judged.values())?;
    let of_boosted = boosted.model.probabilities(judged.values())?;
    pooled.add(judged.labels(), [&of_linear, &of_boosted, oracle]);
    let mut models = serde_json::Map::new();
    for (name, scores, chosen_on) in [
        ("logistic", &of_linear[..], Some(&linear.validation_probabilities)),
        ("boosted", &of_boosted, Some(&boosted.validation_probabilities)),
        ("oracle", oracle, None),
        ("amount", &Baseline::AmountRank.scores(&judged), None),
        ("approve_everything", &Baseline::ApproveEverything.scores(&judged), None),
    ] {
        let at_rate = |scores: &Vec<f64>| threshold_at_false_positive_rate(scores, late.labels(), FALSE_POSITIVE_RATE);
        let threshold = chosen_on.map(at_rate).transpose()?;
        let mut found = figures(scores, &test, threshold, seed, replicates)?;
        if let Some(chosen_on) = chosen_on {
            let best_f1 = threshold_of_best_f1(chosen_on, late.labels())?;
            found["money"] = money((chosen_on, &validation), (scores, &test), best_f1)?;
        }
        found["recall_of_kinds"] =
            recall_of_kinds(scores, &history.kinds[parts.test.clone()], &truth[parts.test.clone()])?;
        models.insert(name.to_owned(), found);
    }
    Ok(json!({
        "seed": seed, "features": history.names.len(), "prevalence_of_test": judged.frauds() as f64 / judged.len() as f64,
        "rows": {"train": early.len(), "validation": late.len(), "test": judged.len()},
        "frauds": {"train": early.frauds(), "validation": late.frauds(), "test": judged.frauds()},
        "calibration": {"logistic": linear.model.report().fit.calibration, "boosted": boosted.model.report().fit.calibration},
        "chosen": boosted.model.report().chosen,
        "models": models,
        "kinds": kinds(history, &parts, &known, seed)?,
        "trust": trust(history, &parts)?,
    }))
}

fn table<'a>(history: &'a History, labels: &'a [bool], rows: &Range<usize>) -> Outcome<TrainingTable<'a>> {
    let width = history.names.len();
    let values = &history.values[rows.start * width..rows.end * width];
    let (times, amounts) = (&history.times[rows.clone()], &history.amounts_usd_minor[rows.clone()]);
    Ok(TrainingTable::new(&history.names, values, &labels[rows.clone()], times, amounts)?)
}

/// What is tried, on validation rows, for trees: each is grown on the rows that are told worst and a tenth of the others.
fn boosting(seed: u64) -> BoostingSettings {
    let base = Boosting {
        rounds: 400,
        learning_rate: 0.06,
        feature_share: 0.3,
        hard_share: 0.05,
        row_share: 0.1,
        ..Boosting::default()
    };
    let of_leaves = |max_leaves| Boosting { max_leaves, ..base };
    BoostingSettings { candidates: vec![of_leaves(7), of_leaves(15)], seed, ..BoostingSettings::default() }
}

/// The recall of each kind of fraud at the threshold for the rate of false positives.
fn recall_of_kinds(scores: &[f64], kinds: &[CheckoutKind], labels: &[bool]) -> Outcome<Json> {
    let threshold = threshold_at_false_positive_rate(scores, labels, FALSE_POSITIVE_RATE)?;
    let mut of_kinds = serde_json::Map::new();
    for (kind, _) in CheckoutKind::FRAUD_SHARES {
        let of_kind: Vec<f64> =
            kinds.iter().zip(scores).filter(|(known, _)| **known == kind).map(|(_, score)| *score).collect();
        let found = of_kind.iter().filter(|score| **score > threshold).count();
        let name = serde_json::to_value(kind)?.as_str().unwrap_or_default().to_owned();
        of_kinds.insert(name, json!({"frauds": of_kind.len(), "found": found}));
    }
    Ok(Json::Object(of_kinds))
}

fn risk_kind(kind: CheckoutKind) -> Option<RiskKind> {
    match kind {
        CheckoutKind::AccountTakeover => Some(RiskKind::AccountTakeover),
        CheckoutKind::CardTesting => Some(RiskKind::CardTesting),
        CheckoutKind::ReturnAbuse => Some(RiskKind::ReturnAbuse),
        CheckoutKind::Honest | CheckoutKind::StolenCard | CheckoutKind::Ring => None,
    }
}

/// The scores beside payment fraud, learned from known frauds whose kind a reviewer would tell, judged by the truth.
fn kinds(history: &History, parts: &Parts, known: &[bool], seed: u64) -> Outcome<Json> {
    let told: Vec<Option<RiskKind>> =
        history.kinds.iter().zip(known).map(|(kind, known)| risk_kind(*kind).filter(|_| *known)).collect();
    let of = |rows: &Range<usize>| -> Outcome<KindTable<'_>> {
        Ok(KindTable { rows: table(history, known, rows)?, kinds: &told[rows.clone()] })
    };
    let mut settings = boosting(seed);
    settings.candidates.truncate(1);
    let (early, late) = (of(&parts.train)?, of(&parts.validation)?);
    let width = history.names.len();
    let values = &history.values[parts.test.start * width..parts.test.end * width];
    let mut found = serde_json::Map::new();
    for kind in RiskKind::ALL {
        let name = serde_json::to_value(kind)?.as_str().unwrap_or_default().to_owned();
        let mut scores = KindScores::default();
        if let Err(refused) = scores.learn(kind, &early, &late, &[], &settings) {
            found.insert(name, json!({ "refused": refused.to_string() }));
            continue;
        }
        let Some(model) = scores.model(kind) else { continue };
        let labels: Vec<bool> = history.kinds[parts.test.clone()].iter().map(|k| risk_kind(*k) == Some(kind)).collect();
        let judged = model.probabilities(values)?;
        found.insert(
            name,
            json!({
                "cases": labels.iter().filter(|label| **label).count(),
                "average_precision": average_precision(&judged, &labels)?,
                "roc_auc": roc_auc(&judged, &labels)?,
                "recall_at_0_1_percent": recall_at_false_positive_rate(&judged, &labels, 0.001)?,
            }),
        );
    }
    Ok(Json::Object(found))
}

/// How well a buyer's trust score alone tells frauds: the area under its ROC curve, by kind.
fn trust(history: &History, parts: &Parts) -> Outcome<Json> {
    let width = history.names.len();
    let mut distrust = Vec::with_capacity(parts.test.len());
    for row in history.values[parts.test.start * width..parts.test.end * width].chunks_exact(width) {
        distrust.push(-BuyerEvidence::from_features(&history.names, row)?.trust().score);
    }
    let mut found = serde_json::Map::new();
    for (kind, _) in CheckoutKind::FRAUD_SHARES {
        let of_kind = history.kinds[parts.test.clone()].iter().zip(&distrust);
        let of_kind = of_kind.filter(|(known, _)| **known == kind || **known == CheckoutKind::Honest);
        let (labels, scores): (Vec<bool>, Vec<f64>) = of_kind.map(|(known, score)| (*known == kind, *score)).unzip();
        let name = serde_json::to_value(kind)?.as_str().unwrap_or_default().to_owned();
        found.insert(name, json!(roc_auc(&scores, &labels)?));
    }
    Ok(Json::Object(found))
}
