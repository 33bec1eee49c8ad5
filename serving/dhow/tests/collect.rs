//! What an operator relies on who lets `dhow models collect` remove models: that of a decision is kept, on either database.

#[path = "programs/postgres.rs"]
mod postgres;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use dhow_commerce::{DecisionKind, DecisionOutcome, DecisionRecord, Storage, StorageTransaction};
use dhow_events::{DecisionId, ModelId, TenantId, Timestamp};
use dhow_registry::{Alias, ModelDraft, ModelFormat, Registry, RegistryError, Task};
use dhow_store::{Store, StoreSettings, sqlite_url};
use serde_json::Value;

use postgres::Postgres;

/// The first second of 2020.
const LONG_AGO_S: u64 = 1_577_836_800;

/// Registers a model whose card is as old as [`LONG_AGO_S`] and `later` seconds less.
fn register(data: &Path, later: u64, parent: Option<ModelId>) -> ModelId {
    let registry = Registry::open(data.join("registry")).unwrap();
    let at = Timestamp::from_micros(i64::try_from((LONG_AGO_S + later) * 1_000_000).unwrap());
    let mut draft = ModelDraft::new(TenantId::default(), Task::Custom, "risk", ModelFormat::Json, at, "MIT");
    draft.parent = parent;
    let model = registry.register(draft, format!("artifact {later}").as_bytes()).unwrap().model_id;
    let card = File::open(data.join("registry/cards").join(format!("{model}.json"))).unwrap();
    card.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(LONG_AGO_S + later)).unwrap();
    model
}

async fn decide(database: &str, model: ModelId) {
    let store = Store::connect(database, StoreSettings::default()).await.unwrap();
    let decision = DecisionRecord {
        tenant: TenantId::default(),
        id: DecisionId::from_u128(1),
        kind: DecisionKind::Fraud,
        subject: "a checkout".to_owned(),
        model: format!("risk@{model}"),
        request: Value::Null,
        answer: Value::Null,
        reasons: Vec::new(),
        features: Vec::new(),
        applied_offsets: Vec::new(),
        degraded: false,
        latency_us: 1,
        outcome: DecisionOutcome::Answered,
        created_at: Timestamp::from_micros(1),
    };
    let mut transaction = store.begin().await.unwrap();
    transaction.insert_decisions(&[&decision]).await.unwrap();
    transaction.commit().await.unwrap();
    store.close().await;
}

fn collect(data: &Path, database: Option<&str>, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhow"));
    command.args(["models", "collect", "--keep", "1", "--data-dir"]).arg(data).args(more);
    if let Some(url) = database {
        command.args(["--database-url", url]);
    }
    let output = command.output().unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn what_a_decision_names_is_kept_and_the_rest_is_told(postgres: Option<&Postgres>) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let forgotten = register(data, 1, None);
    let parent = register(data, 2, None);
    let decided = register(data, 3, Some(parent));
    let crowned = register(data, 4, None);
    let newest = register(data, 5, None);
    let registry = Registry::open(data.join("registry")).unwrap();
    let (tenant, at) = (TenantId::default(), Timestamp::from_micros(1));
    registry.promote(&tenant, Task::Custom, Alias::Champion, crowned, at, "a test").unwrap();
    let given = postgres.map(Postgres::url);
    let url = given.clone().unwrap_or_else(|| sqlite_url(&data.join("dhow.sqlite")));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(decide(&url, decided));

    let (status, unreachable) = collect(data, Some("postgres://nobody@127.0.0.1:1/none"), &[]);
    assert_eq!(status, Some(1), "{unreachable}");
    let (status, told) = collect(data, given.as_deref(), &["--dry-run"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains(&format!("would remove {forgotten} (custom, risk): 10 bytes")), "{told}");
    registry.load(forgotten).unwrap();
    let (status, done) = collect(data, given.as_deref(), &["--json"]);
    assert_eq!(status, Some(0), "{done}");
    let done: Value = serde_json::from_str(&done).unwrap();
    let because = |model: ModelId| {
        let kept = done["kept"].as_array().unwrap().iter().find(|kept| kept["model"] == model.to_string());
        kept.map(|kept| kept["kept_because"][0].as_str().unwrap().to_owned())
    };
    assert_eq!(because(decided).unwrap(), "it is named in decisions.model");
    assert_eq!(because(parent).unwrap(), format!("{decided} was derived from it"));
    assert_eq!(because(crowned).unwrap(), "it is the champion");
    assert_eq!(because(newest).unwrap(), "it is among the newest of its name");
    assert_eq!((because(forgotten), &done["freed_bytes"]), (None, &Value::from(10)));
    assert!(matches!(registry.load(forgotten), Err(RegistryError::Collected { .. })));
    for model in [parent, decided, crowned, newest] {
        registry.load(model).unwrap();
    }
}

#[test]
fn the_model_of_a_decision_in_sqlite_is_kept() {
    what_a_decision_names_is_kept_and_the_rest_is_told(None);
}

#[test]
fn the_model_of_a_decision_in_postgresql_is_kept() {
    what_a_decision_names_is_kept_and_the_rest_is_told(Some(&Postgres::start()));
}
