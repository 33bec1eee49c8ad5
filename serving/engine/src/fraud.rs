//! The fraud desk: reads the features of a checkout, scores it and decides by cost; recording is the transaction's.

use std::sync::Arc;

use dhow_commerce::{
    DecisionKind, FeatureValue, FraudAction, FraudCheck, FraudCheckError, FraudDecision, FraudRequest, Reason,
};
use dhow_definitions::VectorPlan;
use dhow_events::facts::{CheckoutSubmitted, FraudScored};
use dhow_events::{DecisionId, Fact, TenantId};
use dhow_fraud::Action;
use dhow_training::OpenFraud;

use crate::cuts::applied_offsets;
use crate::decisions::Question;
use crate::error::failed;
use crate::sink::Shared;
use crate::{Answer, Engine, EngineError};

/// Scores checkouts with the tenant's champion.
pub struct FraudDesk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) plan: VectorPlan,
}

impl FraudCheck for FraudDesk {
    fn score(&self, request: &FraudRequest<'_>) -> Result<FraudDecision, FraudCheckError> {
        let begin = self.shared.stopwatch.now();
        let models = self.shared.champions.of(request.tenant);
        let champion = models.fraud.as_ref().ok_or_else(|| {
            FraudCheckError("no fraud model is in force for this tenant; train one with `dhow train fraud`".to_owned())
        })?;
        let OpenFraud { model, thresholds, .. } = &*champion.model;
        let fact = Fact::from(request.checkout.clone());
        let vector = self.shared.reading(|features| features.vector(&self.plan, request.tenant, &fact, request.now));
        let vector = vector.map_err(|error| FraudCheckError(error.to_string()))?;
        if model.feature_names() != self.plan.names() {
            return Err(FraudCheckError(
                "the fraud model reads other features than the definitions in force".to_owned(),
            ));
        }
        let score = model.score(&vector.values).map_err(|error| FraudCheckError(error.to_string()))?;
        let action = match thresholds.decide(&score, request.checkout.total_usd_minor) {
            Action::Approve => FraudAction::Approve,
            Action::Review => FraudAction::Review,
            Action::Decline => FraudAction::Decline,
        };
        let reason = |reason: &dhow_fraud::Reason| Reason {
            code: reason.code.clone(),
            text: reason.words.clone(),
            contribution: reason.contribution,
        };
        let named = self.plan.names().iter().zip(&vector.values);
        let feature = |(name, value): (&String, &f64)| FeatureValue {
            name: name.clone(),
            value: Some(*value).filter(|value| value.is_finite()),
        };
        Ok(FraudDecision {
            probability: score.probability,
            action,
            reasons: score.reasons.iter().map(reason).collect(),
            model: champion.label.to_string(),
            features: named.map(feature).collect(),
            applied_offsets: applied_offsets(&vector.as_of),
            degraded: false,
            latency_us: self.shared.stopwatch.now().micros_since(begin),
        })
    }
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
            answer: serde_json::json!({ "probability": scored.probability, "action": scored.action }),
            at: now,
        };
        let codes: Vec<&str> = scored.reasons.iter().map(|reason| reason.code.as_str()).collect();
        let fact = FraudScored {
            buyer: checkout.buyer,
            decision,
            checkout: checkout.checkout,
            model: scored.model.clone(),
            probability: scored.probability,
            action: scored.action.to_string(),
            reasons: codes.join(","),
        };
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
        self.record_now(record, fact.into()).await?;
        Ok(answer)
    }
}
