//! Recorded decisions repeated under another set of rules: what would change, what that saves and costs; reading records is the caller's.

use dhow_events::DecisionId;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::action::{Action, DecidedBy};
use crate::facts::{Facts, FactsError, FieldValue, Listed};
use crate::outcome::{DecisionsHash, Hash, Outcome};
use crate::rule::RuleId;
use crate::set::RuleSet;

/// Decisions that one task evaluates.
const TASK: usize = 1_024;
/// Decisions that [`backtest`] holds in memory at a time.
const CHUNK: usize = 64 * TASK;

/// A decision as it was recorded: what rules read, what was answered and what became known since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The decision.
    pub decision: DecisionId,
    /// The feature vector as seen, in the schema's order; NaN where missing, which is written as null.
    #[serde(with = "missing_as_null")]
    pub features: Vec<f64>,
    /// The request's fields as seen, in the schema's order.
    pub fields: Vec<FieldValue>,
    /// The lists that they were on.
    pub listed: Listed,
    /// The model's calibrated probability.
    pub score: f64,
    /// What the thresholds made of it.
    pub band: Action,
    /// What was answered.
    pub action: Action,
    /// Whether it was fraud, where that is known.
    pub fraud: Option<bool>,
    /// The amount, US cents.
    pub amount_usd_minor: i64,
}

/// JSON has no NaN, so a missing feature is written as nothing.
mod missing_as_null {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(features: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(features.iter().map(|value| (!value.is_nan()).then_some(*value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let features = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(features.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

impl Recorded {
    /// What rules read.
    pub fn facts(&self) -> Facts<'_> {
        let Self { features, fields, listed, score, band, .. } = self;
        Facts { features, fields, listed: *listed, score: *score, band: *band }
    }
}

/// Counts and amounts of some decisions; amounts in US cents. Those without a label are in `decisions` alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All of them.
    pub decisions: u64,
    /// Those labelled as fraud.
    pub frauds: u64,
    /// Those labelled as genuine.
    pub genuine: u64,
    /// Amount of the frauds.
    pub fraud_usd_minor: i64,
    /// Amount of the genuine ones.
    pub genuine_usd_minor: i64,
}

impl Totals {
    fn count(&mut self, recorded: &Recorded) {
        self.decisions += 1;
        let (number, amount) = match recorded.fraud {
            Some(true) => (&mut self.frauds, &mut self.fraud_usd_minor),
            Some(false) => (&mut self.genuine, &mut self.genuine_usd_minor),
            None => return,
        };
        *number += 1;
        *amount = amount.saturating_add(recorded.amount_usd_minor);
    }

    fn add(&mut self, other: &Self) {
        self.decisions += other.decisions;
        self.frauds += other.frauds;
        self.genuine += other.genuine;
        self.fraud_usd_minor = self.fraud_usd_minor.saturating_add(other.fraud_usd_minor);
        self.genuine_usd_minor = self.genuine_usd_minor.saturating_add(other.genuine_usd_minor);
    }

    /// Frauds among the labelled; none where nothing is labelled.
    pub fn precision(&self) -> Option<f64> {
        share(self.frauds, self.frauds + self.genuine)
    }
}

/// Decisions by action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionTotals {
    /// Let pass.
    pub approve: Totals,
    /// Held for a person.
    pub review: Totals,
    /// Asked for more proof.
    pub step_up: Totals,
    /// Refused.
    pub decline: Totals,
}

impl ActionTotals {
    /// Those of one action.
    pub fn of(&self, action: Action) -> &Totals {
        match action {
            Action::Approve => &self.approve,
            Action::Review => &self.review,
            Action::StepUp => &self.step_up,
            Action::Decline => &self.decline,
        }
    }

    fn of_mut(&mut self, action: Action) -> &mut Totals {
        match action {
            Action::Approve => &mut self.approve,
            Action::Review => &mut self.review,
            Action::StepUp => &mut self.step_up,
            Action::Decline => &mut self.decline,
        }
    }

    fn add(&mut self, other: &Self) {
        for action in Action::ALL {
            self.of_mut(action).add(other.of(action));
        }
    }

    /// All that did not simply pass.
    pub fn stopped(&self) -> Totals {
        let mut stopped = self.review;
        stopped.add(&self.step_up);
        stopped.add(&self.decline);
        stopped
    }

    fn all(&self) -> Totals {
        let mut all = self.stopped();
        all.add(&self.approve);
        all
    }

    /// Share of the labelled frauds that did not simply pass; none without frauds.
    pub fn recall(&self) -> Option<f64> {
        share(self.stopped().frauds, self.all().frauds)
    }

    /// Share of the labelled genuine ones that did not simply pass; none without any.
    pub fn false_positive_rate(&self) -> Option<f64> {
        share(self.stopped().genuine, self.all().genuine)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Decisions that were answered so and would be answered otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What was answered.
    pub from: Action,
    /// What would be.
    pub to: Action,
    /// How many, with their labels.
    pub totals: Totals,
}

/// What one rule did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleTotals {
    /// The rule.
    pub rule: RuleId,
    /// Whether it is live; else it runs in shadow.
    pub live: bool,
    /// Decisions for which it fired.
    pub fired: Totals,
    /// Frauds among the labelled ones of these; none where nothing is labelled.
    pub precision: Option<f64>,
    /// Decisions whose action came from it.
    pub decided: u64,
    /// Decisions for which it gave no answer, by a missing value or an impossible computation.
    pub unanswered: u64,
}

/// What a set of rules would have done with recorded decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BacktestReport {
    /// The version of the set.
    pub version: Hash,
    /// Decisions repeated.
    pub decisions: u64,
    /// By the action that was answered.
    pub recorded: ActionTotals,
    /// By the action of this set.
    pub repeated: ActionTotals,
    /// By the action of this set were its shadow rules live.
    pub with_shadow: ActionTotals,
    /// Share of frauds stopped as recorded; none without frauds.
    pub recorded_recall: Option<f64>,
    /// Share of frauds that this set stops; none without frauds.
    pub recall: Option<f64>,
    /// Share of genuine ones stopped as recorded; none without any.
    pub recorded_false_positive_rate: Option<f64>,
    /// Share of genuine ones that this set stops; none without any.
    pub false_positive_rate: Option<f64>,
    /// Answers that change, from the mildest.
    pub changes: Vec<Change>,
    /// The rules that were evaluated, in order of priority.
    pub rules: Vec<RuleTotals>,
    /// [`DecisionsHash`] over all outcomes in order.
    pub hash: Hash,
}

impl BacktestReport {
    /// Decisions whose action changes.
    pub fn changed(&self) -> u64 {
        self.changes.iter().map(|change| change.totals.decisions).sum()
    }
}

/// Counts of one rule.
#[derive(Debug, Clone, Copy, Default)]
struct RuleCounts {
    fired: Totals,
    decided: u64,
    unanswered: u64,
}

/// Whole numbers alone, so that sums are the same in whatever order they are made.
#[derive(Debug, Clone, Default)]
struct Counts {
    recorded: ActionTotals,
    with_shadow: ActionTotals,
    /// By the recorded action, and then by that of this set.
    moves: [ActionTotals; 4],
    rules: Vec<RuleCounts>,
}

impl Counts {
    fn new(rules: usize) -> Self {
        Self { rules: vec![RuleCounts::default(); rules], ..Self::default() }
    }

    fn count(&mut self, set: &RuleSet, recorded: &Recorded, outcome: &Outcome) {
        self.recorded.of_mut(recorded.action).count(recorded);
        self.with_shadow.of_mut(outcome.action_with_shadow).count(recorded);
        self.moves[recorded.action as usize].of_mut(outcome.action).count(recorded);
        // Outcomes name rules in their order, so one walk along the set finds them all.
        let (mut live, mut shadow) = (outcome.fired.iter().peekable(), outcome.shadow_fired.iter().peekable());
        let mut unanswered = outcome.unanswered.iter().peekable();
        let decided = match &outcome.decided_by {
            DecidedBy::Rule { rule } | DecidedBy::Floor { rule } => Some(*rule),
            DecidedBy::BlockList { .. } | DecidedBy::AllowList { .. } | DecidedBy::Band => None,
        };
        for ((rule, is_live), counts) in set.running().zip(&mut self.rules) {
            let fired = if is_live { &mut live } else { &mut shadow };
            if fired.next_if(|fired| fired.rule == rule).is_some() {
                counts.fired.count(recorded);
            } else if unanswered.next_if(|unanswered| unanswered.rule == rule).is_some() {
                counts.unanswered += 1;
            }
            counts.decided += u64::from(decided == Some(rule));
        }
    }

    fn add(&mut self, other: &Self) {
        self.recorded.add(&other.recorded);
        self.with_shadow.add(&other.with_shadow);
        self.moves.iter_mut().zip(&other.moves).for_each(|(mine, other)| mine.add(other));
        for (mine, other) in self.rules.iter_mut().zip(&other.rules) {
            mine.fired.add(&other.fired);
            mine.decided += other.decided;
            mine.unanswered += other.unanswered;
        }
    }
}

/// A backtest under way: recorded decisions go in by chunks, so that the caller may page, show progress and stop.
#[derive(Debug)]
pub struct Backtest<'a> {
    set: &'a RuleSet,
    counts: Counts,
    hash: DecisionsHash,
}

impl<'a> Backtest<'a> {
    /// Of this set, over no decision yet.
    pub fn new(set: &'a RuleSet) -> Self {
        Self { set, counts: Counts::new(set.running().count()), hash: DecisionsHash::new() }
    }

    /// Repeats more decisions, in parallel; the report does not depend on the number of threads or on how they were cut into
    /// chunks.
    ///
    /// # Errors
    /// The first decision whose facts do not fit the set's schema; then nothing of the chunk counts.
    pub fn add(&mut self, chunk: &[Recorded]) -> Result<(), FactsError> {
        let tasks: Vec<(Counts, Vec<Hash>)> =
            chunk.par_chunks(TASK).map(|task| self.evaluate(task)).collect::<Result<_, _>>()?;
        for (counts, digests) in &tasks {
            self.counts.add(counts);
            digests.iter().for_each(|digest| self.hash.add_digest(*digest));
        }
        Ok(())
    }

    fn evaluate(&self, task: &[Recorded]) -> Result<(Counts, Vec<Hash>), FactsError> {
        let mut counts = Counts::new(self.counts.rules.len());
        let digests = task.iter().map(|recorded| {
            let outcome = self.set.evaluate(&recorded.facts())?;
            counts.count(self.set, recorded, &outcome);
            Ok(outcome.digest(recorded.decision))
        });
        let digests = digests.collect::<Result<_, _>>()?;
        Ok((counts, digests))
    }

    /// The report over all decisions so far.
    pub fn report(&self) -> BacktestReport {
        let Counts { recorded, with_shadow, moves, rules } = &self.counts;
        let mut repeated = ActionTotals::default();
        let mut changes = Vec::new();
        for (from, to_totals) in Action::ALL.into_iter().zip(moves) {
            for to in Action::ALL {
                let totals = *to_totals.of(to);
                repeated.of_mut(to).add(&totals);
                if from != to && totals.decisions > 0 {
                    changes.push(Change { from, to, totals });
                }
            }
        }
        let rules = self.set.running().zip(rules).map(|((rule, live), counts)| {
            let RuleCounts { fired, decided, unanswered } = *counts;
            RuleTotals { rule, live, fired, precision: fired.precision(), decided, unanswered }
        });
        BacktestReport {
            version: self.set.version(),
            decisions: repeated.all().decisions,
            recorded_recall: recorded.recall(),
            recall: repeated.recall(),
            recorded_false_positive_rate: recorded.false_positive_rate(),
            false_positive_rate: repeated.false_positive_rate(),
            recorded: *recorded,
            repeated,
            with_shadow: *with_shadow,
            changes,
            rules: rules.collect(),
            hash: self.hash.hash(),
        }
    }
}

/// A whole backtest of decisions from anywhere, of which only a part is held in memory at a time.
///
/// # Errors
/// The first decision whose facts do not fit the set's schema.
pub fn backtest(set: &RuleSet, decisions: impl IntoIterator<Item = Recorded>) -> Result<BacktestReport, FactsError> {
    let mut decisions = decisions.into_iter();
    let mut backtest = Backtest::new(set);
    loop {
        let chunk: Vec<Recorded> = decisions.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(backtest.report());
        }
        backtest.add(&chunk)?;
    }
}
