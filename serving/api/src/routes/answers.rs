//! What every model's answer carries in JSON, beside its own part.

use dhow_commerce::Reason;
use dhow_engine::Answer;
use dhow_events::DecisionId;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a model answered as it did.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reason)]
pub(crate) struct ReasonAnswer {
    /// A stable word.
    pub code: String,
    /// The same for people.
    pub text: String,
    /// What it added, in the model's unit; larger speaks more for the answer.
    pub contribution: f64,
}

/// The part that all models' answers share.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelPart {
    /// The model and its id, or the method that answered.
    pub model: String,
    /// The recorded decision: `GET /v1/decisions/{id}`.
    #[schema(value_type = String)]
    pub decision_id: DecisionId,
    /// Why, strongest first.
    pub reasons: Vec<ReasonAnswer>,
    /// Whether a fallback answered.
    pub degraded: bool,
    /// How long it took, in microseconds.
    pub latency_us: i64,
}

impl ModelPart {
    /// Parts an engine's answer into its own part and the shared one.
    pub(crate) fn split<T>(answer: Answer<T>) -> (T, Self) {
        let part = Self {
            model: answer.model,
            decision_id: answer.decision,
            reasons: answer.reasons.into_iter().map(ReasonAnswer::from).collect(),
            degraded: answer.degraded,
            latency_us: answer.latency_us,
        };
        (answer.value, part)
    }
}

impl From<Reason> for ReasonAnswer {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code, text: reason.text, contribution: reason.contribution }
    }
}
