//! Judges a registered model on what happened after everything that it learned from; it trains and promotes nothing.

use dhow_events::{ModelId, Timestamp};
use dhow_registry::{Alias, Task};

use crate::delivery::evaluate_delivery;
use crate::demand::evaluate_demand;
use crate::fraud::evaluate_fraud;
use crate::recommend::evaluate_recommend;
use crate::{Evaluation, Figure, TrainingError, TrainingInput};

/// A model with its artifact, and how far its training data reached.
pub(crate) struct Judged {
    pub task: Task,
    pub model: ModelId,
    pub artifact: Vec<u8>,
    pub learned_until: Timestamp,
}

impl Judged {
    pub(crate) fn nothing_since(&self) -> TrainingError {
        let reason = format!(
            "nothing that {} can be judged on is known since its training data ended at {}; train with --until to keep days back",
            self.model, self.learned_until
        );
        TrainingError::Data { task: self.task.as_str(), reason }
    }

    pub(crate) fn evaluation(&self, input: &TrainingInput<'_>, rows: usize, figures: Vec<Figure>) -> Evaluation {
        Evaluation {
            task: self.task.as_str().to_owned(),
            model: self.model,
            from: self.learned_until,
            until: input.until,
            rows: rows as u64,
            figures,
        }
    }
}

/// Judges `model`, or the champion of `task`, on the data from the end of its training data up to the input's `until`.
///
/// # Errors
/// No such model, one of another task or without training data, nothing to judge it on, or a failing table.
pub async fn evaluate(
    input: &TrainingInput<'_>,
    task: Task,
    model: Option<ModelId>,
) -> Result<Evaluation, TrainingError> {
    let model = match model {
        Some(model) => model,
        None => input.registry.resolve(&input.tenant, task, Alias::Champion)?,
    };
    let (card, artifact) = input.registry.load(model)?;
    let refused = |reason: String| TrainingError::Data { task: task.as_str(), reason };
    if card.draft.task != task || card.draft.tenant != input.tenant {
        return Err(refused(format!("{model} is no model of this task and tenant")));
    }
    let span =
        card.draft.training_span.ok_or_else(|| refused(format!("the card of {model} names no training data")))?;
    let judged = Judged { task, model, artifact, learned_until: span.end };
    match task {
        Task::Recommend => evaluate_recommend(input, &judged).await,
        Task::Fraud => evaluate_fraud(input, &judged).await,
        Task::Forecast => evaluate_demand(input, &judged).await,
        Task::Delivery => evaluate_delivery(input, &judged).await,
        other => Err(refused(format!("models of `{}` are not judged on the lake", other.as_str()))),
    }
}
