//! Models' decisions as commerce sees them: the fraud check's port and the record of every decision; no model is here.

use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{DecisionId, TenantId, Timestamp};
use dhow_rules::{Action, FieldValue, Listed, Outcome};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::words::worded;

worded! {
    /// What a fraud decision does with a checkout.
    FraudAction {
        /// It goes on.
        Approve = "approve",
        /// It goes on, and a person looks at it afterwards.
        Review = "review",
        /// It goes on, the buyer is asked for more proof, and a person looks at it afterwards.
        StepUp = "step_up",
        /// It is refused.
        Decline = "decline",
    }
}

worded! {
    /// What was decided.
    DecisionKind {
        /// A slate of recommendations.
        Recommendation = "recommendation",
        /// A fraud score of a checkout.
        Fraud = "fraud",
        /// A score of a payment, an account or a return.
        Risk = "risk",
        /// A demand forecast.
        Forecast = "forecast",
        /// A route plan.
        Route = "route",
        /// Texts in the order of their likeness to another.
        TextSimilarity = "text_similarity",
        /// How long a parcel takes.
        DeliveryTime = "delivery_time",
        /// Whether a buyer may pay later, and how much.
        Credit = "credit",
    }
}

worded! {
    /// What came of a decision.
    DecisionOutcome {
        /// It was answered to whoever asked; nothing hung on it.
        Answered = "answered",
        /// The transaction that it allowed was committed.
        Applied = "applied",
        /// It refused the transaction.
        Refused = "refused",
        /// It would have allowed the transaction, but another rule ended it.
        Aborted = "aborted",
    }
}

/// Why a model decided as it did, in its own terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// A stable word, for example `card_new`.
    pub code: String,
    /// The same for people.
    pub text: String,
    /// What it added to the score, in the model's unit; larger speaks more for the decision.
    pub contribution: f64,
}

/// A feature's value as the model saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureValue {
    /// The feature's name.
    pub name: String,
    /// Its value; nothing where it was missing. It is read back to the bit that was written.
    #[serde(deserialize_with = "exact_number")]
    pub value: Option<f64>,
}

/// JSON's numbers are read to within the last bit; a recorded value must be the one that the model saw.
fn exact_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let text = Option::<Box<RawValue>>::deserialize(deserializer)?;
    text.map(|text| text.get().parse().map_err(D::Error::custom)).transpose()
}

/// How far a partition of the event log was applied to the features that were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedOffset {
    /// The partition.
    pub partition: u32,
    /// The offset of the next event that was not applied yet.
    pub offset: u64,
    /// The part of the entities that this speaks of, where workers of a fleet keep their state; nothing where one
    /// process keeps it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<StateShare>,
    /// Whether it speaks of the links between accounts, which every server keeps by itself, and not of the features' state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub links: bool,
}

/// One of the equal parts of all entities that workers of a fleet share among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateShare {
    /// Its number, from 0.
    pub number: u32,
    /// How many there are.
    pub count: u32,
}

/// A checkout to be scored.
#[derive(Debug, Clone, Copy)]
pub struct FraudRequest<'a> {
    /// Whose checkout it is.
    pub tenant: TenantId,
    /// The id that the decision is recorded under.
    pub decision: DecisionId,
    /// When the checkout was submitted; features are read as of this instant.
    pub now: Timestamp,
    /// The checkout.
    pub checkout: &'a CheckoutSubmitted,
}

/// A fraud model's decision with all that is needed to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudDecision {
    /// The probability of fraud, 0 to 1.
    pub probability: f64,
    /// What to do.
    pub action: FraudAction,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
    /// The model and its version.
    pub model: String,
    /// The feature vector.
    pub features: Vec<FeatureValue>,
    /// The version of the costs and thresholds that made the model's action of the probability; nothing where there are none.
    pub thresholds: Option<String>,
    /// What the rules and lists read and said; nothing where none were asked.
    pub rules: Option<RulesRecord>,
    /// What models that only look on make of the same vector.
    pub shadows: Vec<ShadowScore>,
    /// The log offsets that were applied to the vector.
    pub applied_offsets: Vec<AppliedOffset>,
    /// Whether a fallback decided.
    pub degraded: bool,
    /// How long it took, in microseconds; 0 where it was not measured.
    pub latency_us: i64,
}

impl FraudDecision {
    /// What a decision's record keeps as its answer.
    pub fn answer(&self) -> serde_json::Value {
        let Self { probability, action, thresholds, rules, shadows, .. } = self;
        serde_json::json!({
            "probability": probability, "action": action, "thresholds": thresholds, "rules": rules, "shadows": shadows,
        })
    }
}

/// What rules and lists read beside the feature vector, and what they said: enough to repeat it under other rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulesRecord {
    /// The model's probability, as rules read it.
    pub score: f64,
    /// The action that the model's costs and thresholds ask for.
    pub band: Action,
    /// The request's fields, in the order of the rules' schema.
    pub fields: Vec<FieldValue>,
    /// Which of them were on a list.
    pub listed: Listed,
    /// The version of the rules, which fired, which had no answer, and what came of it.
    pub outcome: Outcome,
}

/// What a model that only looks on makes of a checkout. It moves nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowScore {
    /// Its role: `challenger` or `shadow`.
    pub alias: String,
    /// The model and its version.
    pub model: String,
    /// The probability of fraud, 0 to 1.
    pub probability: f64,
}

/// Why a checkout could not be scored. The checkout is then not decided at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the checkout could not be scored: {0}")]
pub struct FraudCheckError(pub String);

/// Scores checkouts, in this process and without waiting: it is called inside the transaction that it decides.
pub trait FraudCheck: Send + Sync {
    /// Scores one checkout.
    ///
    /// # Errors
    /// No score can be given; no order and no refusal is recorded then.
    fn score(&self, request: &FraudRequest<'_>) -> Result<FraudDecision, FraudCheckError>;
}

/// What a checkout's answer says of its fraud decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudSummary {
    /// The recorded decision.
    pub decision: DecisionId,
    /// The probability of fraud, 0 to 1.
    pub probability: f64,
    /// What was done.
    pub action: FraudAction,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
    /// The model and its version.
    pub model: String,
    /// Whether a fallback decided.
    pub degraded: bool,
    /// How long scoring took, in microseconds.
    pub latency_us: i64,
}

impl FraudSummary {
    /// The summary of what was recorded as `decision`.
    pub fn new(decision: DecisionId, fraud: &FraudDecision) -> Self {
        Self {
            decision,
            probability: fraud.probability,
            action: fraud.action,
            reasons: fraud.reasons.clone(),
            model: fraud.model.clone(),
            degraded: fraud.degraded,
            latency_us: fraud.latency_us,
        }
    }
}

/// A model's answer, recorded so that it can be explained and joined to what happened later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Whose decision it is.
    pub tenant: TenantId,
    /// Which.
    pub id: DecisionId,
    /// What was decided.
    pub kind: DecisionKind,
    /// What it was about: the id of a checkout, buyer, product or plan.
    pub subject: String,
    /// The model and its version, or the step of the fallback chain.
    pub model: String,
    /// What was asked.
    pub request: serde_json::Value,
    /// What was answered.
    pub answer: serde_json::Value,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
    /// The feature vector; may be empty.
    pub features: Vec<FeatureValue>,
    /// The log offsets that were applied to the vector.
    pub applied_offsets: Vec<AppliedOffset>,
    /// Whether a fallback answered.
    pub degraded: bool,
    /// How long it took, in microseconds.
    pub latency_us: i64,
    /// What came of it.
    pub outcome: DecisionOutcome,
    /// When.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_feature_is_read_back_to_the_bit_that_was_written() {
        let mut state = 7_u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = Some(f64::from_bits(state)).filter(|value| value.is_finite());
            let feature = FeatureValue { name: "spent".to_owned(), value };
            let text = serde_json::to_string(&feature).expect("it is written");
            let read: FeatureValue = serde_json::from_str(&text).expect("it is read");
            assert_eq!(read.value.map(f64::to_bits), value.map(f64::to_bits), "{text}");
        }
    }
}
