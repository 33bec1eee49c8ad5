//! Registers a judged model and promotes it unless the champion did better on the same test part.

use std::collections::BTreeMap;

use dhow_events::{ModelId, Timestamp};
use dhow_registry::{Alias, Metric, ModelDraft, ModelFormat, RegistryError, Task, TrainingSpan};
use serde_json::Value as Json;

use crate::{Figure, TaskReport, TrainingError, TrainingInput};

/// A model that was judged and is to be registered.
pub(crate) struct Candidate {
    pub task: Task,
    pub name: String,
    pub format: ModelFormat,
    pub artifact: Vec<u8>,
    pub feature_schema_hash: Option<String>,
    pub data_fingerprint: String,
    /// Nothing where what is learned from has no time.
    pub training_span: Option<(Timestamp, Timestamp)>,
    pub settings: BTreeMap<String, Json>,
    pub training_rows: u64,
    pub test_rows: u64,
    /// The measures on the test part; the first one decides.
    pub figures: Vec<Figure>,
    /// What else should be known of the training.
    pub notes: Vec<String>,
    /// How the champion did, or why that cannot be said.
    pub champion: Champion,
}

/// How the champion in force did on the candidate's test part.
pub(crate) enum Champion {
    /// There is none.
    Absent,
    /// The deciding measure of both, on the same rows.
    Judged { theirs: f64, ours: f64 },
    /// It cannot be judged on this data.
    Incomparable(String),
}

/// The champion's artifact, to be judged on a test part that begins at `test_from`; otherwise why it cannot be: what has
/// learned from the part itself would win unfairly.
pub(crate) fn incumbent(
    input: &TrainingInput<'_>,
    task: Task,
    test_from: Timestamp,
) -> Result<Result<Vec<u8>, Champion>, TrainingError> {
    let Some(champion) = champion_of(input, task)? else { return Ok(Err(Champion::Absent)) };
    let (card, bytes) = input.registry.load(champion)?;
    match card.draft.training_span {
        Some(span) if span.end > test_from => Ok(Err(Champion::Incomparable(format!(
            "it learned from data up to {}, and the test part begins at {test_from}",
            span.end
        )))),
        _ => Ok(Ok(bytes)),
    }
}

/// The champion's id, or nothing where the task has none yet.
pub(crate) fn champion_of(input: &TrainingInput<'_>, task: Task) -> Result<Option<ModelId>, TrainingError> {
    match input.registry.resolve(&input.tenant, task, Alias::Champion) {
        Ok(model) => Ok(Some(model)),
        Err(RegistryError::NoSuchAlias { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

pub(crate) fn register(input: &TrainingInput<'_>, candidate: Candidate) -> Result<TaskReport, TrainingError> {
    let parent = champion_of(input, candidate.task)?;
    register_from(input, candidate, parent)
}

/// The same with another model as the parent than the one in force.
pub(crate) fn register_from(
    input: &TrainingInput<'_>,
    candidate: Candidate,
    parent: Option<ModelId>,
) -> Result<TaskReport, TrainingError> {
    let Some(deciding) = candidate.figures.first() else {
        return Err(TrainingError::Data { task: candidate.task.as_str(), reason: "nothing was measured".into() });
    };
    let (promoted, verdict) = judge(deciding, &candidate.champion);
    let card = input.registry.register(draft(input, &candidate, parent), &candidate.artifact)?;
    let alias = if promoted { Alias::Champion } else { Alias::Challenger };
    input.registry.promote(&input.tenant, candidate.task, alias, card.model_id, input.until, &verdict)?;
    Ok(TaskReport {
        task: candidate.task.as_str().to_owned(),
        model: card.model_id,
        promoted,
        verdict,
        training_rows: candidate.training_rows,
        test_rows: candidate.test_rows,
        figures: candidate.figures,
        notes: candidate.notes,
    })
}

fn judge(deciding: &Figure, champion: &Champion) -> (bool, String) {
    let name = &deciding.name;
    let value = deciding.value;
    let beaten = deciding.baselines.iter().find(|(_, baseline)| !deciding.is_as_good(value, *baseline));
    match (champion, beaten) {
        (Champion::Absent, None) => (true, "the first model of its task".to_owned()),
        (Champion::Absent, Some((baseline, theirs))) => (
            true,
            format!(
                "the first model of its task, although `{baseline}` does better: {name} {theirs:.4} against {value:.4}"
            ),
        ),
        (_, Some((baseline, theirs))) => {
            (false, format!("{name} {value:.4}, worse than the {theirs:.4} of the trivial method `{baseline}`"))
        }
        (Champion::Incomparable(reason), None) => {
            (true, format!("better than the trivial methods; the champion cannot be judged on this data: {reason}"))
        }
        (Champion::Judged { theirs, ours }, None) => {
            let better = deciding.is_as_good(*ours, *theirs);
            let word = if better { "not worse than" } else { "worse than" };
            (better, format!("{name} {ours:.4}, {word} the champion's {theirs:.4} on the same test part"))
        }
    }
}

fn draft(input: &TrainingInput<'_>, candidate: &Candidate, parent: Option<ModelId>) -> ModelDraft {
    let metric = |figure: &Figure| {
        let (low, high) = figure.interval.unwrap_or((figure.value, figure.value));
        (figure.name.clone(), Metric { value: figure.value, low, high })
    };
    let mut settings = candidate.settings.clone();
    settings.insert("seed".to_owned(), input.seed.into());
    ModelDraft {
        tenant: input.tenant,
        task: candidate.task,
        name: candidate.name.clone(),
        format: candidate.format,
        created_at: input.until,
        training_span: candidate.training_span.map(|(start, end)| TrainingSpan { start, end }),
        data_fingerprint: Some(candidate.data_fingerprint.clone()),
        feature_schema_hash: candidate.feature_schema_hash.clone(),
        settings,
        metrics: candidate.figures.iter().filter(|figure| figure.value.is_finite()).map(metric).collect(),
        code_version: input.code_version.to_owned(),
        licence: "the tenant's own data".to_owned(),
        parent,
    }
}
