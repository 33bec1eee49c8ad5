//! How the fraud desk has fared, week by week: alerts, calibration, label delay, population shift, challengers; it changes nothing.
//!
//! Scores come from the decisions in the database, labels from the lake as of its last checkpoint. Quality is judged on
//! mature decisions alone: those of at least [`FRAUD_MATURITY_DAYS`] ago, of which one that nobody labelled counts as genuine.
//! One that was declined has no outcome, and counts only where somebody labelled it.

use dhow_commerce::{FraudAction, RECORDED_DECISIONS_MAX, RuleStorage, ScoredDecision, TimeSpan};
use dhow_events::{CheckoutId, DAY_MICROS, TenantId, Timestamp};
use dhow_fraud::evaluation::{average_precision, expected_calibration_error};
use dhow_offline::{Lake, QueryBounds, SqlSession, ids, integers};
use dhow_quality::{Drift, DriftSettings, drift};
use dhow_training::{FRAUD_MATURITY_DAYS, OpenFraud};
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::champions::Champion;
use crate::error::failed;
use crate::{Engine, EngineError};

/// The most weeks that are looked back.
pub const HEALTH_WEEKS_MAX: u32 = 26;
/// The most decisions that are read, the newest.
pub const HEALTH_DECISIONS_MAX: usize = 200_000;
/// A week begins on Monday; the first one after 1970 began on its fifth of January.
const FIRST_MONDAY_MICROS: i64 = 4 * DAY_MICROS;
const WEEK_MICROS: i64 = 7 * DAY_MICROS;

/// How good probabilities of fraud were, now that it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScoreQuality {
    /// Frauds that the probabilities announced: their sum.
    pub expected_frauds: f64,
    /// The mean squared difference from what happened; smaller is better.
    pub brier: f64,
    /// Nothing where all were frauds or none.
    pub average_precision: Option<f64>,
    /// Over groups of equal size; nothing where all were frauds or none.
    pub calibration_error: Option<f64>,
}

/// One week of decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FraudWeek {
    /// Its Monday, midnight UTC.
    pub begins_at: Timestamp,
    /// Decisions made in it.
    pub decisions: u64,
    /// Those that asked for a review or more proof, or declined.
    pub alerts: u64,
    /// Those that declined.
    pub declines: u64,
    /// Decisions with a label, mature or not.
    pub labelled: u64,
    /// From decision to first label: the median, in hours.
    pub label_delay_hours_p50: Option<f64>,
    /// From decision to first label: reached by one in ten, in hours.
    pub label_delay_hours_p90: Option<f64>,
    /// Mature decisions, which the quality is judged on.
    pub mature: u64,
    /// Frauds among them.
    pub frauds: u64,
    /// Of the scores that decided; nothing before any is mature.
    pub quality: Option<ScoreQuality>,
    /// How far the scores of the present champion have moved from those of what it learned from; nothing where it
    /// decided nothing.
    pub score_shift: Option<Drift>,
}

/// A model that looked on, beside the scores that decided, on the same mature decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contest {
    /// Its role: `challenger` or `shadow`.
    pub alias: String,
    /// The model.
    pub model: String,
    /// Mature decisions that it scored.
    pub mature: u64,
    /// Frauds among them.
    pub frauds: u64,
    /// Its own quality.
    pub challenger: ScoreQuality,
    /// That of the scores that decided.
    pub champion: ScoreQuality,
}

/// How the fraud desk has fared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FraudHealth {
    /// The champion.
    pub model: Option<String>,
    /// Models that look on.
    pub shadows: Vec<String>,
    /// Models that should look on and cannot, with the reason.
    pub shadow_failures: Vec<String>,
    /// Whether there were more decisions than are read: then the oldest weeks are incomplete.
    pub truncated: bool,
    /// The weeks, oldest first; the last one is not over.
    pub weeks: Vec<FraudWeek>,
    /// One for each model that looked on and has mature decisions.
    pub contests: Vec<Contest>,
}

/// What is known of a checkout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    fraud: bool,
    known_time: Timestamp,
}

pub(crate) type Labels = FxHashMap<CheckoutId, Label>;

impl Engine {
    /// How the fraud desk has fared in this week and those before it, `weeks` in all.
    ///
    /// # Errors
    /// A number of weeks out of its range; the database or the lake cannot be read.
    pub async fn fraud_health(&self, tenant: TenantId, weeks: u32) -> Result<FraudHealth, EngineError> {
        if !(1..=HEALTH_WEEKS_MAX).contains(&weeks) {
            return Err(EngineError::invalid("/weeks", format!("is {weeks}; it must be from 1 to {HEALTH_WEEKS_MAX}")));
        }
        let now = self.clock().now();
        let from = monday_of(now) - i64::from(weeks - 1) * WEEK_MICROS;
        let (decisions, truncated) = self.scored_since(tenant, from, now).await?;
        let labels = self.labels_since(tenant, from, now).await?;
        let models = self.champions().of(tenant);
        let reference = models.fraud.as_ref().map(reference_scores).transpose()?;
        let reference = reference.as_ref().map(|(label, scores)| (label.as_str(), scores.as_slice()));
        let week = |number: u32| {
            let begins_at = from + i64::from(number) * WEEK_MICROS;
            let of_week: Vec<&ScoredDecision> =
                decisions.iter().filter(|one| monday_of(one.created_at) == begins_at).collect();
            fraud_week(begins_at, &of_week, &labels, now, reference)
        };
        Ok(FraudHealth {
            model: models.fraud.as_ref().map(|champion| champion.label.to_string()),
            shadows: models.shadows.iter().map(|shadow| shadow.model.label.to_string()).collect(),
            shadow_failures: models.shadow_failures.clone(),
            truncated,
            weeks: (0..weeks).map(week).collect::<Result<_, _>>()?,
            contests: contests(&decisions, &labels, now)?,
        })
    }

    /// The decisions of a span, and whether there were more than are read.
    pub(crate) async fn scored_since(
        &self,
        tenant: TenantId,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<ScoredDecision>, bool), EngineError> {
        let span = TimeSpan { from, to: now + 1 };
        let (mut decisions, mut before) = (Vec::new(), None);
        while decisions.len() < HEALTH_DECISIONS_MAX {
            let page = self.store().scored_decisions(tenant, span, before, RECORDED_DECISIONS_MAX).await?;
            let Some(last) = page.last() else { return Ok((decisions, false)) };
            before = Some((last.created_at, last.id));
            decisions.extend(page);
        }
        Ok((decisions, true))
    }

    /// What became known of checkouts by `now`; of several labels fraud counts, and the first tells the delay.
    pub(crate) async fn labels_since(
        &self,
        tenant: TenantId,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<Labels, EngineError> {
        let lake = self.lake().clone();
        let open = move || SqlSession::open(&Lake::open(lake)?, &tenant, QueryBounds::default());
        let session = tokio::task::spawn_blocking(open).await.map_err(failed("lake"))?.map_err(failed("lake"))?;
        let sql = format!(
            "SELECT checkout, max(CASE WHEN fraud THEN 1 ELSE 0 END) AS fraud,
                    min(known) AS known
             FROM (SELECT checkout, fraud,
                          min(arrow_cast(known_time, 'Int64')) OVER (PARTITION BY checkout) AS known,
                          row_number() OVER (PARTITION BY checkout, source ORDER BY event_time DESC, known_time DESC)
                              AS place
                   FROM fraud_labelled
                   WHERE arrow_cast(event_time, 'Int64') >= {} AND arrow_cast(known_time, 'Int64') <= {}) AS told
             WHERE place = 1 GROUP BY checkout",
            from.micros(),
            now.micros()
        );
        let batches = session.query(&sql).await.map_err(failed("lake"))?;
        let checkouts = ids(&batches, "checkout", CheckoutId::KIND).map_err(failed("lake"))?;
        let frauds = integers(&batches, "fraud").map_err(failed("lake"))?;
        let known = integers(&batches, "known").map_err(failed("lake"))?;
        let label = |((checkout, fraud), known): ((Option<u128>, i64), i64)| {
            let label = Label { fraud: fraud == 1, known_time: Timestamp::from_micros(known) };
            Some((CheckoutId::from_u128(checkout?), label))
        };
        Ok(checkouts.into_iter().zip(frauds).zip(known).filter_map(label).collect())
    }
}

/// The beginning of the week of an instant.
fn monday_of(at: Timestamp) -> Timestamp {
    at - (at.micros() - FIRST_MONDAY_MICROS).rem_euclid(WEEK_MICROS)
}

/// The champion, and its scores of what it learned from.
fn reference_scores(champion: &Champion<OpenFraud>) -> Result<(String, Vec<f64>), EngineError> {
    let OpenFraud { model, reference, .. } = &*champion.model;
    let scores = model.probabilities(reference.values()).map_err(failed("fraud model"))?;
    Ok((champion.label.to_string(), scores))
}

/// Whether a decision was fraud, where it is mature and that can be told.
pub(crate) fn outcome(decision: &ScoredDecision, labels: &Labels, now: Timestamp) -> Option<bool> {
    let mature = now.micros_since(decision.created_at) >= FRAUD_MATURITY_DAYS * DAY_MICROS;
    let known = labels.get(&decision.checkout).map(|label| label.fraud);
    let unlabelled = (decision.action != FraudAction::Decline).then_some(false);
    known.or(unlabelled).filter(|_| mature)
}

fn fraud_week(
    begins_at: Timestamp,
    decisions: &[&ScoredDecision],
    labels: &Labels,
    now: Timestamp,
    reference: Option<(&str, &[f64])>,
) -> Result<FraudWeek, EngineError> {
    let count = |holds: &dyn Fn(&ScoredDecision) -> bool| decisions.iter().filter(|one| holds(one)).count() as u64;
    let delay = |one: &&ScoredDecision| Some(labels.get(&one.checkout)?.known_time.micros_since(one.created_at));
    let mut delays: Vec<i64> = decisions.iter().filter_map(delay).collect();
    delays.sort_unstable();
    let judged = decisions.iter().filter_map(|one| Some((one.probability, outcome(one, labels, now)?)));
    let (scores, outcomes): (Vec<f64>, Vec<bool>) = judged.unzip();
    let score_shift = match reference {
        Some((model, reference)) => {
            let of_champion = decisions.iter().filter(|one| one.model == model);
            let sample: Vec<f64> = of_champion.map(|one| one.probability).collect();
            let comparable = !sample.is_empty() && !reference.is_empty();
            let found = comparable.then(|| drift(reference, &sample, &DriftSettings::default()));
            found.transpose().map_err(failed("drift"))?
        }
        None => None,
    };
    Ok(FraudWeek {
        begins_at,
        decisions: decisions.len() as u64,
        alerts: count(&|one| one.action != FraudAction::Approve),
        declines: count(&|one| one.action == FraudAction::Decline),
        labelled: delays.len() as u64,
        label_delay_hours_p50: hours_at(&delays, 0.5),
        label_delay_hours_p90: hours_at(&delays, 0.9),
        mature: outcomes.len() as u64,
        frauds: outcomes.iter().filter(|fraud| **fraud).count() as u64,
        quality: if outcomes.is_empty() { None } else { Some(quality(&scores, &outcomes)?) },
        score_shift,
    })
}

/// The quantile of sorted durations by the nearest rank, in hours.
fn hours_at(sorted_micros: &[i64], quantile: f64) -> Option<f64> {
    let rank = ((quantile * sorted_micros.len() as f64).ceil() as usize).max(1) - 1;
    sorted_micros.get(rank).map(|micros| *micros as f64 / (DAY_MICROS as f64 / 24.0))
}

pub(crate) fn quality(scores: &[f64], outcomes: &[bool]) -> Result<ScoreQuality, EngineError> {
    let error = |(score, fraud): (&f64, &bool)| (score - f64::from(*fraud)).powi(2);
    let both_classes = outcomes.contains(&true) && outcomes.contains(&false);
    let of_both = |measure: fn(&[f64], &[bool]) -> Result<f64, dhow_fraud::evaluation::EvaluationError>| {
        both_classes.then(|| measure(scores, outcomes)).transpose().map_err(failed("evaluation"))
    };
    Ok(ScoreQuality {
        expected_frauds: scores.iter().sum(),
        brier: scores.iter().zip(outcomes).map(error).sum::<f64>() / outcomes.len() as f64,
        average_precision: of_both(average_precision)?,
        calibration_error: of_both(expected_calibration_error)?,
    })
}

/// Scores of a model that looked on, those that decided, and what came of it.
type Rows = (Vec<f64>, Vec<f64>, Vec<bool>);

fn contests(decisions: &[ScoredDecision], labels: &Labels, now: Timestamp) -> Result<Vec<Contest>, EngineError> {
    let mut by_model: std::collections::BTreeMap<(&str, &str), Rows> = std::collections::BTreeMap::new();
    for decision in decisions {
        let Some(fraud) = outcome(decision, labels, now) else { continue };
        for shadow in &decision.shadows {
            let rows = by_model.entry((&shadow.alias, &shadow.model)).or_default();
            rows.0.push(shadow.probability);
            rows.1.push(decision.probability);
            rows.2.push(fraud);
        }
    }
    let contest = |((alias, model), (theirs, decided, outcomes)): ((&str, &str), Rows)| {
        Ok(Contest {
            alias: alias.to_owned(),
            model: model.to_owned(),
            mature: outcomes.len() as u64,
            frauds: outcomes.iter().filter(|fraud| **fraud).count() as u64,
            challenger: quality(&theirs, &outcomes)?,
            champion: quality(&decided, &outcomes)?,
        })
    };
    by_model.into_iter().map(contest).collect()
}
