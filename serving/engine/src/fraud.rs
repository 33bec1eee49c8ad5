//! The fraud desk: reads the features of a checkout, scores it, decides by cost and asks the rules; recording is the transaction's.

use std::sync::Arc;

use dhow_commerce::{
    DecisionKind, FeatureValue, FraudAction, FraudCheck, FraudCheckError, FraudDecision, FraudRequest, Reason,
    ShadowScore,
};
use dhow_events::facts::{CheckoutSubmitted, FraudScored};
use dhow_events::{DecisionId, Fact, TenantId, Timestamp};
use dhow_fraud::FraudScore;
use dhow_links::LinkQuery;
use dhow_online::{FeatureVector, ReadError};
use dhow_rules::{Action, DecidedBy, Outcome, RuleSet};
use dhow_training::{FraudVector, OpenFraud};

use crate::champions::ShadowModel;
use crate::cuts::{applied_offsets, links_offsets};
use crate::decisions::Question;
use crate::error::failed;
use crate::fraud_rules::FraudRules;
use crate::sink::Shared;
use crate::{Answer, Engine, EngineError};

/// Scores checkouts with the tenant's champion.
pub struct FraudDesk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) vector: FraudVector,
    pub(crate) rules: FraudRules,
}

impl FraudCheck for FraudDesk {
    fn score(&self, request: &FraudRequest<'_>) -> Result<FraudDecision, FraudCheckError> {
        let begin = self.shared.stopwatch.now();
        let models = self.shared.champions.of(request.tenant);
        let champion = models.fraud.as_ref().ok_or_else(|| {
            FraudCheckError("no fraud model is in force for this tenant; train one with `dhow train fraud`".to_owned())
        })?;
        let OpenFraud { model, thresholds, .. } = &*champion.model;
        if model.feature_names() != self.vector.names() {
            return Err(FraudCheckError(
                "the fraud model reads other features than the definitions in force; train one with `dhow train fraud`"
                    .to_owned(),
            ));
        }
        let read = tracing::info_span!(target: "dhow::trace", "features")
            .in_scope(|| self.read(request.tenant, request.checkout, request.now));
        let read = read.map_err(|error| FraudCheckError(error.to_string()))?;
        let query = LinkQuery::checkout(request.tenant, request.checkout);
        let (links, links_as_of) = self.shared.links.features(&query, request.now);
        let values = self.vector.values(&read.values, request.now, &links);
        let score = tracing::info_span!(target: "dhow::trace", "model", model = %champion.label)
            .in_scope(|| model.score(&values))
            .map_err(|error| FraudCheckError(error.to_string()))?;
        let band = band(thresholds.decide(&score, request.checkout.total_usd_minor));
        let shadows = models.shadows.iter().map(|shadow| shadow_score(shadow, &values));
        let shadows = shadows.collect::<Result<_, _>>()?;
        let judged = (score.probability, band);
        let judged = self.rules.judge(request.tenant, request.checkout, request.now, &values, judged);
        let (rules, set) = judged.map_err(|error| FraudCheckError(error.to_string()))?;
        let latency_us = self.shared.stopwatch.now().micros_since(begin);
        self.shared.answered.count(request.tenant, DecisionKind::Fraud, &champion.label, false, latency_us);
        Ok(FraudDecision {
            probability: score.probability,
            action: action(rules.outcome.action),
            reasons: reasons(&set, &rules.outcome, &score),
            thresholds: models.thresholds.as_deref().map(str::to_owned),
            rules: Some(rules),
            shadows,
            model: champion.label.to_string(),
            features: self.named(&values),
            applied_offsets: [applied_offsets(&read.as_of), links_offsets(&links_as_of)].concat(),
            degraded: false,
            latency_us,
        })
    }
}

impl FraudDesk {
    /// The planned features of a checkout.
    pub(crate) fn read(
        &self,
        tenant: TenantId,
        checkout: &CheckoutSubmitted,
        now: Timestamp,
    ) -> Result<FeatureVector, ReadError> {
        let fact = Fact::from(checkout.clone());
        self.shared.reading(|features| features.vector(self.vector.plan(), tenant, &fact, now))
    }

    /// The values of the vector with their names.
    pub(crate) fn named(&self, values: &[f64]) -> Vec<FeatureValue> {
        let feature = |(name, value): (&String, &f64)| FeatureValue {
            name: name.clone(),
            value: Some(*value).filter(|value| value.is_finite()),
        };
        self.vector.names().iter().zip(values).map(feature).collect()
    }
}

/// The action that costs and thresholds ask for, as rules know it.
pub(crate) const fn band(action: dhow_fraud::Action) -> Action {
    match action {
        dhow_fraud::Action::Approve => Action::Approve,
        dhow_fraud::Action::Review => Action::Review,
        dhow_fraud::Action::Decline => Action::Decline,
    }
}

/// What the rules decided, as commerce knows it.
pub(crate) const fn action(action: Action) -> FraudAction {
    match action {
        Action::Approve => FraudAction::Approve,
        Action::Review => FraudAction::Review,
        Action::StepUp => FraudAction::StepUp,
        Action::Decline => FraudAction::Decline,
    }
}

/// The reasons of rules and lists, then those of the score.
pub(crate) fn reasons(set: &RuleSet, outcome: &Outcome, score: &FraudScore) -> Vec<Reason> {
    let reason = |reason: &dhow_fraud::Reason| Reason {
        code: reason.code.clone(),
        text: reason.words.clone(),
        contribution: reason.contribution,
    };
    let mut reasons = rule_reasons(set, outcome);
    reasons.extend(score.reasons.iter().map(reason));
    reasons
}

fn shadow_score(shadow: &ShadowModel, values: &[f64]) -> Result<ShadowScore, FraudCheckError> {
    let ShadowModel { alias, model } = shadow;
    let scored = model.model.model.score_with_reasons(values, 0);
    let probability = scored.map_err(|error| FraudCheckError(error.to_string()))?.probability;
    Ok(ShadowScore { alias: alias.to_string(), model: model.label.to_string(), probability })
}

/// The reasons that rules and lists add, that of the action first. They move no score, so their contribution is 0.
fn rule_reasons(set: &RuleSet, outcome: &Outcome) -> Vec<Reason> {
    let reason = |code: String, text: String| Reason { code, text, contribution: 0.0 };
    let name = |id: &dhow_rules::RuleId| {
        let rule = set.rules().iter().find(|rule| rule.id == *id);
        rule.map_or_else(|| id.to_string(), |rule| rule.name.clone())
    };
    let decided = match &outcome.decided_by {
        DecidedBy::Rule { rule } | DecidedBy::Floor { rule } => Some(reason(format!("rule:{rule}"), name(rule))),
        DecidedBy::BlockList { field } => Some(reason(format!("blocked:{field}"), format!("the {field} is blocked"))),
        DecidedBy::AllowList { field } => Some(reason(format!("allowed:{field}"), format!("the {field} is allowed"))),
        DecidedBy::Band => None,
    };
    let added = outcome.fired.iter().filter_map(|fired| match fired.then {
        dhow_rules::Then::AddReason { code } => Some(reason(code.to_string(), name(&fired.rule))),
        _ => None,
    });
    decided.into_iter().chain(added).collect()
}

/// The codes of reasons, as events have them.
pub(crate) fn codes(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(",")
}

impl Engine {
    /// Scores a checkout that is decided elsewhere. The decision is recorded before this returns.
    ///
    /// # Errors
    /// No model in force, or the record could not be written: then there is no answer.
    pub async fn score_checkout(
        &self,
        tenant: TenantId,
        checkout: CheckoutSubmitted,
    ) -> Result<Answer<FraudDecision>, EngineError> {
        let now = self.clock().now();
        let decision = DecisionId::at(now, self.random());
        let request = FraudRequest { tenant, decision, now, checkout: &checkout };
        let scored = self.fraud_desk().score(&request).map_err(dhow_commerce::CommerceError::from)?;
        let question = Question {
            tenant,
            kind: DecisionKind::Fraud,
            subject: checkout.checkout.to_string(),
            request: serde_json::to_value(&checkout).map_err(failed("decision record"))?,
            answer: scored.answer(),
            at: now,
        };
        let fact = FraudScored {
            buyer: checkout.buyer,
            decision,
            checkout: checkout.checkout,
            model: scored.model.clone(),
            probability: scored.probability,
            action: scored.action.to_string(),
            reasons: codes(&scored.reasons),
        };
        self.record_scored(question, decision, scored, fact.into()).await
    }

    /// Records a score before it is answered.
    pub(crate) async fn record_scored(
        &self,
        question: Question,
        decision: DecisionId,
        scored: FraudDecision,
        fact: Fact,
    ) -> Result<Answer<FraudDecision>, EngineError> {
        let answer = Answer {
            model: scored.model.clone(),
            decision,
            reasons: scored.reasons.clone(),
            degraded: scored.degraded,
            latency_us: scored.latency_us,
            value: scored,
        };
        let mut record = answer.record(question);
        record.features.clone_from(&answer.value.features);
        record.applied_offsets.clone_from(&answer.value.applied_offsets);
        self.record_now(record, fact).await?;
        Ok(answer)
    }
}
