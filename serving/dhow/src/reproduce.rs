//! `dhow train --from-card`: learns a registered model anew from what its card says and tells whether it is the same, byte
//! for byte; it registers and promotes nothing.

use dhow_registry::{ModelCard, Registry, Task, TrainingSpan};
use dhow_training::{FraudMethod, TrainingInput};
use serde::Serialize;

use crate::arguments::{TrainArguments, TrainTask};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::json;
use crate::train::{TrainingParts, train_task};

#[derive(Serialize)]
struct Reproduced {
    model: dhow_events::ModelId,
    task: String,
    artifact_hash: String,
    artifact_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// A card that does not say what is needed; a model that came out otherwise, and what differs.
pub async fn run(
    model: dhow_events::ModelId,
    arguments: &TrainArguments,
    configuration: &Configuration,
) -> Result<(), Failure> {
    let parts = TrainingParts::open(configuration)?;
    let card = parts.registry().card(model)?;
    let task = task_of(&card, arguments, configuration)?;
    let (seed, fraud_method) = (seed(&card)?, method(&card)?);
    // A registry of its own, without a champion: what is learned here gets no role. It goes with the folder.
    let folder = tempfile::Builder::new().prefix("reproduction-").tempdir_in(&configuration.data_dir)?;
    let registry = Registry::open(folder.path())?;
    let input = parts.input(configuration, Some(card.draft.created_at), seed)?;
    let report = train_task(&TrainingInput { fraud_method, registry: &registry, ..input }, task).await?;
    let found = registry.card(report.model)?;
    let differences = differences(&card, &found);
    if !differences.is_empty() {
        return Err(Failure::Failed(format!("model {model} did not come out as it was: {}", differences.join("; "))));
    }
    let shown = Reproduced {
        model,
        task: card.draft.task.to_string(),
        artifact_hash: found.artifact_hash,
        artifact_bytes: found.artifact_bytes,
    };
    if arguments.json {
        return json(&shown);
    }
    println!("{model} came out the same: {} bytes with the hash {}", shown.artifact_bytes, shown.artifact_hash);
    Ok(())
}

fn task_of(card: &ModelCard, arguments: &TrainArguments, configuration: &Configuration) -> Result<TrainTask, Failure> {
    let (model, task) = (card.model_id, card.draft.task);
    if card.draft.tenant != configuration.tenant {
        return Err(Failure::Input(format!("model {model} does not belong to tenant {}", configuration.tenant)));
    }
    let trained = match task {
        Task::Recommend => TrainTask::Recommend,
        Task::Fraud => TrainTask::Fraud,
        Task::Forecast => TrainTask::Forecast,
        Task::Delivery => TrainTask::Delivery,
        Task::Customers => TrainTask::Customers,
        Task::Codes => {
            let why = "learns from files; run `dhow train codes --examples` with the same files and seed";
            return Err(Failure::Input(format!("model {model} {why}")));
        }
        Task::Routes | Task::Embedding | Task::Custom => {
            return Err(Failure::Input(format!("model {model} is for {task}, which `dhow train` does not learn")));
        }
    };
    if arguments.tasks.iter().any(|named| *named != trained) {
        return Err(Failure::Input(format!("model {model} is for {task}; name that task or none")));
    }
    Ok(trained)
}

fn seed(card: &ModelCard) -> Result<u64, Failure> {
    card.draft.settings.get("seed").and_then(serde_json::Value::as_u64).ok_or_else(|| {
        let model = card.model_id;
        Failure::Input(format!(
            "the card of model {model} names no seed: it was not made by `dhow train` of this version"
        ))
    })
}

/// How the fraud model was chosen; the other trainers do not ask.
fn method(card: &ModelCard) -> Result<FraudMethod, Failure> {
    if card.draft.task != Task::Fraud {
        return Ok(FraudMethod::default());
    }
    let name = card.draft.settings.get("method").and_then(serde_json::Value::as_str);
    name.and_then(FraudMethod::from_name).ok_or_else(|| {
        Failure::Input(format!("the card of model {} names no known `method` of the fraud model", card.model_id))
    })
}

/// In words, how what was found is not what the card says; nothing where the artifacts have the same bytes.
fn differences(card: &ModelCard, found: &ModelCard) -> Vec<String> {
    if card.artifact_hash == found.artifact_hash {
        return Vec::new();
    }
    let span =
        |span: Option<TrainingSpan>| span.map_or("none".to_owned(), |span| format!("{} to {}", span.start, span.end));
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let settings = |card: &ModelCard| serde_json::json!(card.draft.settings).to_string();
    let (then, now) = (&card.draft, &found.draft);
    let compared = [
        ("the lake's training data", text(&then.data_fingerprint), text(&now.data_fingerprint)),
        ("the span of the data", span(then.training_span), span(now.training_span)),
        ("the feature definitions", text(&then.feature_schema_hash), text(&now.feature_schema_hash)),
        ("the version of the code", then.code_version.clone(), now.code_version.clone()),
        ("the settings", settings(card), settings(found)),
        ("the artifact's hash", card.artifact_hash.clone(), found.artifact_hash.clone()),
    ];
    let differ = compared.into_iter().filter(|(_, then, now)| then != now);
    differ.map(|(what, then, now)| format!("{what}: {then} on the card, {now} now")).collect()
}

#[cfg(test)]
mod tests {
    use dhow_events::{TenantId, Timestamp};
    use dhow_registry::{ModelDraft, ModelFormat};

    use super::*;

    #[test]
    fn what_differs_is_told_by_name_and_only_where_the_bytes_do() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        let card = |fingerprint: &str, artifact: &[u8]| {
            let at = Timestamp::from_micros(5);
            let format = ModelFormat::Postcard;
            let mut draft = ModelDraft::new(TenantId::default(), Task::Forecast, "market", format, at, "MIT");
            draft.data_fingerprint = Some(fingerprint.to_owned());
            registry.register(draft, artifact).unwrap()
        };
        let model = card("rows-17", b"a");
        assert!(differences(&model, &card("rows-17", b"a")).is_empty());
        assert!(differences(&model, &card("rows-18", b"a")).is_empty());
        let [data, hash] = differences(&model, &card("rows-18", b"b")).try_into().unwrap();
        assert_eq!(data, "the lake's training data: rows-17 on the card, rows-18 now");
        assert!(hash.starts_with("the artifact's hash"), "{hash}");
        assert!(seed(&model).unwrap_err().to_string().contains("names no seed"));
    }
}
