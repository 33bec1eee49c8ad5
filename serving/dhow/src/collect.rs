//! `dhow models collect`: removes models that nothing needs any more; who names a model it asks the database and the lake.

use std::collections::BTreeMap;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::Args;
use dhow_events::{Clock, DAY_MICROS, FactKind, ModelId, SystemClock};
use dhow_offline::{Lake, QueryBounds, SqlSession};
use dhow_registry::{Collection, CollectionRules, ModelCard, Registry};
use dhow_store::{Store, StoreSettings, model_ids_in};
use serde::Serialize;

use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, thousands};
use crate::platform::{database_url, lake, require_data_dir};

/// The column of a fact that says which model decided.
const MODEL: &str = "model";

/// Arguments of `models collect`.
#[derive(Args)]
pub struct CollectArguments {
    /// The newest models of each task and name to keep, whether they are used or not.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub keep: u32,
    /// Models that were made or registered less than so many days ago are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub older_than: u32,
    /// Models that were champion, challenger or shadow within so many days are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub served_within: u32,
    /// Tells what would be removed, and removes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Serialize)]
struct Shown {
    model: ModelId,
    task: String,
    name: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept_because: Vec<String>,
}

#[derive(Serialize)]
struct ShownLeftover {
    file: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Told {
    dry_run: bool,
    kept: Vec<Shown>,
    removed: Vec<Shown>,
    leftovers: Vec<ShownLeftover>,
    freed_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// No data folder; a registry, a database or a lake that cannot be read, before anything is removed.
pub async fn run(
    arguments: &CollectArguments,
    registry: &Registry,
    configuration: &Configuration,
    as_json: bool,
) -> Result<(), Failure> {
    require_data_dir(configuration)?;
    let days = |days: u32| i64::from(days) * DAY_MICROS;
    let rules = CollectionRules {
        newest: usize::try_from(arguments.keep)?,
        younger_than_micros: days(arguments.older_than),
        served_within_micros: days(arguments.served_within),
    };
    // A model that begins to decide after this look has a role, and one that it had lately keeps it too.
    let mut named = named_in_lake(configuration).await?;
    let store = Store::connect(&database_url(configuration), StoreSettings::default()).await?;
    named.extend(store.named_models().await?);
    store.close().await;
    let done = registry.collect(&configuration.tenant, &rules, &named, SystemClock.now(), arguments.dry_run)?;
    let told = told(&done, arguments.dry_run);
    if as_json {
        return json(&told);
    }
    print(&told);
    Ok(())
}

/// The models that decisions in the lake name: what the database no longer has, or never had.
async fn named_in_lake(configuration: &Configuration) -> Result<BTreeMap<ModelId, String>, Failure> {
    let lake = Lake::open(lake(configuration)?)?;
    let session = SqlSession::open(&lake, &configuration.tenant, QueryBounds::default())?;
    let mut named = BTreeMap::new();
    for kind in FactKind::ALL.iter().filter(|kind| kind.column_index(MODEL).is_some()) {
        let table = kind.name();
        let batches = session.query(&format!("SELECT DISTINCT {MODEL} FROM {table} WHERE {MODEL} IS NOT NULL")).await?;
        for batch in batches {
            let options = FormatOptions::default();
            let texts = ArrayFormatter::try_new(batch.column(0).as_ref(), &options)?;
            for row in 0..batch.num_rows() {
                let text = texts.value(row).try_to_string()?;
                named.extend(model_ids_in(&text).map(|model| (model, format!("{table}.{MODEL} of the lake"))));
            }
        }
    }
    Ok(named)
}

fn told(collection: &Collection, dry_run: bool) -> Told {
    let shown = |card: &ModelCard, bytes: u64, kept_because: Vec<String>| Shown {
        model: card.model_id,
        task: card.draft.task.to_string(),
        name: card.draft.name.clone(),
        bytes,
        kept_because,
    };
    let kept = collection.kept.iter().map(|kept| {
        let reasons = kept.reasons.iter().map(ToString::to_string).collect();
        shown(&kept.card, kept.card.artifact_bytes, reasons)
    });
    let leftovers = collection.leftovers.iter().map(|leftover| {
        let file = leftover.path.display().to_string();
        ShownLeftover { file, bytes: leftover.bytes }
    });
    Told {
        dry_run,
        kept: kept.collect(),
        removed: collection.removed.iter().map(|gone| shown(&gone.card, gone.bytes, Vec::new())).collect(),
        leftovers: leftovers.collect(),
        freed_bytes: collection.freed_bytes(),
    }
}

fn print(told: &Told) {
    for Shown { model, task, name, kept_because, .. } in &told.kept {
        println!("kept {model} ({task}, {name}): {}", kept_because.join("; "));
    }
    let removed = if told.dry_run { "would remove" } else { "removed" };
    for Shown { model, task, name, bytes, .. } in &told.removed {
        println!("{removed} {model} ({task}, {name}): {} bytes", thousands(*bytes));
    }
    for ShownLeftover { file, bytes } in &told.leftovers {
        println!("{removed} {file}, which belongs to no model: {} bytes", thousands(*bytes));
    }
    let (kept, gone, freed) = (told.kept.len(), told.removed.len(), thousands(told.freed_bytes));
    println!("kept {kept} models, {removed} {gone} and {} leftover files: {freed} bytes", told.leftovers.len());
}
