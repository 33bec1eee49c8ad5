//! What every model's answer carries; the question's own part is the value.

use dhow_commerce::Reason;
use dhow_events::DecisionId;

/// A model's recorded answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The model and its id, or the method that answered.
    pub model: String,
    /// The id that the decision is recorded under.
    pub decision: DecisionId,
    /// Why, strongest first; may be empty.
    pub reasons: Vec<Reason>,
    /// Whether a fallback answered.
    pub degraded: bool,
    /// How long it took, in microseconds.
    pub latency_us: i64,
}
