//! `dhow models`: lists, imports, signs and promotes models; removing them is in `collect`.

use std::path::Path;

use dhow_events::{Clock, ModelId, SystemClock};
use dhow_registry::{Alias, EmbedderSettings, OnnxImport, Registry, Task, Trial, import_onnx};
use serde::Serialize;

use crate::arguments::{ModelsAction, ModelsArguments};
use crate::collect;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::model_keys::{self, open_registry};
use crate::output::{json, table};

#[derive(Serialize)]
struct Shown {
    model: ModelId,
    task: String,
    name: String,
    aliases: Vec<String>,
    created_at: String,
    licence: String,
    artifact_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// A file that is no model, an unknown model, or a damaged registry.
pub async fn run(arguments: &ModelsArguments, configuration: &Configuration) -> Result<(), Failure> {
    let registry = || open_registry(configuration);
    match &arguments.action {
        ModelsAction::Keys { action } => model_keys::run(action),
        ModelsAction::Sign { model } => {
            let key = registry()?.sign(*model)?;
            println!("{model} is signed by {key}");
            Ok(())
        }
        ModelsAction::List => list(&registry()?, configuration, arguments.json),
        ModelsAction::Import { file, tokenizer, task, licence, name, alias } => {
            let alias = (alias != "none").then(|| alias.parse::<Alias>()).transpose().map_err(Failure::input)?;
            let name =
                name.clone().unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
            let import = OnnxImport {
                name: &name,
                onnx: file,
                tokenizer: tokenizer.as_deref(),
                task: task.parse().map_err(Failure::input)?,
                licence,
                at: SystemClock.now(),
                embedder: EmbedderSettings::default(),
            };
            import_model(&registry()?, configuration, &import, alias, arguments.json)
        }
        ModelsAction::Promote { model, alias, why } => promote(&registry()?, configuration, *model, alias, why),
        ModelsAction::Collect(collect) => collect::run(collect, &registry()?, configuration, arguments.json).await,
    }
}

fn list(registry: &Registry, configuration: &Configuration, as_json: bool) -> Result<(), Failure> {
    let ledger = registry.ledger()?;
    let mut shown = Vec::new();
    for card in registry.list(&configuration.tenant)? {
        let task = card.draft.task;
        let holds = |alias: &&Alias| ledger.resolve(&configuration.tenant, task, **alias) == Some(card.model_id);
        shown.push(Shown {
            model: card.model_id,
            task: task.to_string(),
            aliases: Alias::ALL.iter().filter(holds).map(|alias| alias.to_string()).collect(),
            created_at: card.draft.created_at.to_string(),
            name: card.draft.name,
            licence: card.draft.licence,
            artifact_bytes: card.artifact_bytes,
        });
    }
    if as_json {
        return json(&shown);
    }
    let row = |model: &Shown| {
        vec![
            model.model.to_string(),
            model.task.clone(),
            model.name.clone(),
            model.aliases.join(", "),
            model.created_at.clone(),
        ]
    };
    println!(
        "{}",
        table(&["model", "task", "name", "aliases", "created"], &shown.iter().map(row).collect::<Vec<_>>(), false)
    );
    Ok(())
}

fn import_model(
    registry: &Registry,
    configuration: &Configuration,
    import: &OnnxImport<'_>,
    alias: Option<Alias>,
    as_json: bool,
) -> Result<(), Failure> {
    let imported = import_onnx(registry, &configuration.tenant, import).map_err(Failure::input)?;
    let task: Task = imported.card.draft.task;
    let why = format!("imported from {}", import.onnx.file_name().map(Path::new).unwrap_or(import.onnx).display());
    // What was seen to fail gets no role by itself; who knows better promotes it by hand.
    let alias = alias.filter(|_| !matches!(imported.trial, Trial::RefusedZeros(_)));
    if let Some(alias) = alias {
        registry.promote(&configuration.tenant, task, alias, imported.card.model_id, import.at, &why)?;
    }
    if as_json {
        return json(&imported.card);
    }
    let trial = match &imported.trial {
        Trial::Embedded { dimension } => format!("it embeds texts in {dimension} dimensions"),
        Trial::RanOnZeros(outputs) => format!("it ran on zeros and gave {outputs:?}"),
        Trial::RefusedZeros(reason) => {
            format!("it loads, but did not run on zeros, and so has no role until it is promoted: {reason}")
        }
    };
    let role = alias.map_or_else(|| "is registered".to_owned(), |alias| format!("is the {alias} for {task}"));
    println!("{} {role}; {trial}", imported.card.model_id);
    Ok(())
}

fn promote(
    registry: &Registry,
    configuration: &Configuration,
    model: ModelId,
    alias: &str,
    why: &str,
) -> Result<(), Failure> {
    let alias: Alias = alias.parse().map_err(Failure::input)?;
    let card = registry.card(model)?;
    registry.promote(&configuration.tenant, card.draft.task, alias, model, SystemClock.now(), why)?;
    println!("{model} is the {alias} for {}", card.draft.task);
    Ok(())
}
