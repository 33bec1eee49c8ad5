//! The registry's promises: nothing is lost, changed or mixed up, whatever is killed, cut or done at the same time.

use std::path::Path;
use std::process::Command;

use dhow_events::ModelId;
use dhow_registry::{Alias, Metric, ModelCard, ModelDraft, ModelFormat, Registry, RegistryError, Task, TrainingSpan};
use proptest::prelude::*;

use crate::{second, tenant};

const LEDGER: &str = "promotions.jsonl";

pub(crate) fn draft(tenant_name: &str, task: Task, name: &str) -> ModelDraft {
    let mut draft = ModelDraft::new(tenant(tenant_name), task, name, ModelFormat::Postcard, second(10), "Apache-2.0");
    draft.training_span = Some(TrainingSpan { start: second(0), end: second(9) });
    draft.data_fingerprint = Some("rows-17".to_owned());
    draft.settings.insert("learning_rate".to_owned(), 0.1.into());
    draft.metrics.insert("recall".to_owned(), Metric { value: 0.1 + 0.2, low: 0.1, high: 1.0 / 3.0 });
    draft
}

fn register(registry: &Registry, tenant_name: &str, name: &str) -> ModelCard {
    registry.register(draft(tenant_name, Task::Fraud, name), name.as_bytes()).unwrap()
}

fn crown(registry: &Registry, tenant_name: &str, model_id: ModelId, seconds: i64) -> Result<(), RegistryError> {
    let at = second(seconds);
    registry.promote(&tenant(tenant_name), Task::Fraud, Alias::Champion, model_id, at, "better recall").map(drop)
}

fn champion(registry: &Registry, tenant_name: &str) -> Option<ModelId> {
    registry.resolve(&tenant(tenant_name), Task::Fraud, Alias::Champion).ok()
}

#[test]
fn a_model_is_loaded_as_it_was_registered_and_registering_it_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let first = register(&registry, "a", "trees");
    let mut child = draft("a", Task::Fraud, "trees-2");
    child.parent = Some(first.model_id);
    let second_card = registry.register(child, b"other").unwrap();
    assert_eq!(register(&registry, "a", "trees"), first);

    let reopened = Registry::open(folder.path()).unwrap();
    assert_eq!(reopened.load(first.model_id).unwrap(), (first.clone(), b"trees".to_vec()));
    let mut listed = reopened.list(&tenant("a")).unwrap();
    let mut expected = vec![first.clone(), second_card];
    listed.sort_by_key(|card| card.model_id);
    expected.sort_by_key(|card| card.model_id);
    assert_eq!(listed, expected);
    assert!(matches!(reopened.load(ModelId::from_u128(1)), Err(RegistryError::UnknownModel(_))));
}

#[test]
fn a_card_that_contradicts_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let refusal = |change: &dyn Fn(&mut ModelDraft)| {
        let mut changed = draft("a", Task::Fraud, "trees");
        change(&mut changed);
        registry.register(changed, b"x").unwrap_err().to_string()
    };
    assert!(refusal(&|draft| draft.name = " ".to_owned()).contains("`name` must not be empty"));
    assert!(refusal(&|draft| draft.licence = "x".repeat(1_001)).contains("1001 bytes"));
    assert!(
        refusal(&|draft| draft.training_span = Some(TrainingSpan { start: second(9), end: second(9) }))
            .contains("is empty")
    );
    for metric in [Metric::exact(f64::NAN), Metric { value: 0.5, low: 0.6, high: 0.7 }] {
        assert!(refusal(&|draft| draft.metrics.extend([("auc".to_owned(), metric)])).contains("metric `auc`"));
    }
    assert!(refusal(&|draft| draft.parent = Some(ModelId::from_u128(5))).contains("is registered"));
    let empty = registry.register(draft("a", Task::Fraud, "trees"), b"").unwrap_err();
    assert!(empty.to_string().contains("0 bytes"), "{empty}");
    assert!(registry.list(&tenant("a")).unwrap().is_empty());
}

#[test]
fn a_corrupt_artifact_or_card_is_named_and_registering_again_repairs_it() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let card = register(&registry, "a", "trees");
    let artifact = folder.path().join("artifacts").join(&card.artifact_hash);
    std::fs::write(&artifact, b"treez").unwrap();
    let refused = registry.load(card.model_id).unwrap_err();
    assert!(matches!(&refused, RegistryError::CorruptArtifact { path, .. } if *path == artifact), "{refused}");
    register(&registry, "a", "trees");
    assert!(registry.load(card.model_id).is_ok());

    let file = folder.path().join("cards").join(format!("{}.json", card.model_id));
    let whole = std::fs::read(&file).unwrap();
    for position in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[position] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        let refused = registry.card(card.model_id);
        assert!(matches!(refused, Err(RegistryError::CorruptCard { .. })), "byte {position}: {refused:?}");
    }
}

#[test]
fn tenants_and_tasks_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let of_a = register(&registry, "a", "trees").model_id;
    let of_b = register(&registry, "b", "trees").model_id;
    assert_ne!(of_a, of_b, "the same model of two tenants is two models");
    crown(&registry, "a", of_a, 1).unwrap();
    assert_eq!((champion(&registry, "a"), champion(&registry, "b")), (Some(of_a), None));
    assert_eq!(registry.list(&tenant("b")).unwrap().len(), 1);
    assert!(matches!(crown(&registry, "b", of_a, 1), Err(RegistryError::OtherTenant { .. })));
    let mut theirs = draft("b", Task::Fraud, "derived");
    theirs.parent = Some(of_a);
    assert!(matches!(registry.register(theirs, b"x"), Err(RegistryError::OtherTenant { .. })));
    let wrong = registry.promote(&tenant("a"), Task::Forecast, Alias::Champion, of_a, second(2), "why");
    assert!(wrong.unwrap_err().to_string().contains("it is a model for fraud, not for forecast"));
    let nobody = registry.resolve(&tenant("a"), Task::Fraud, Alias::Shadow).unwrap_err();
    assert!(nobody.to_string().contains("ten_a has no shadow for fraud"), "{nobody}");
}

#[test]
fn the_past_cannot_be_rewritten_and_every_promotion_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let model = register(&registry, "a", "trees").model_id;
    crown(&registry, "a", model, 5).unwrap();
    assert!(crown(&registry, "a", model, 4).unwrap_err().to_string().contains("is earlier than the last promotion"));
    crown(&registry, "a", model, 5).unwrap();
    let silent = registry.promote(&tenant("a"), Task::Fraud, Alias::Champion, model, second(6), " ");
    assert!(matches!(silent, Err(RegistryError::BadPromotion { .. })));
    assert_eq!(registry.ledger().unwrap().promotions().len(), 2);
}

/// A registry with three promotions; returns its folder, the models, and the ledger's length before the last one.
fn three_promotions() -> (tempfile::TempDir, [ModelId; 3], usize) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let models = ["x", "y", "z"].map(|name| register(&registry, "a", name).model_id);
    let mut before = 0;
    for (index, model) in models.into_iter().enumerate() {
        before = std::fs::read(folder.path().join(LEDGER)).map_or(0, |bytes| bytes.len());
        crown(&registry, "a", model, index as i64).unwrap();
    }
    (folder, models, before)
}

#[test]
fn a_ledger_cut_at_any_byte_of_its_last_write_opens_with_the_promotions_before() {
    let (folder, models, before) = three_promotions();
    let ledger = folder.path().join(LEDGER);
    let whole = std::fs::read(&ledger).unwrap();
    for length in before..=whole.len() {
        std::fs::write(&ledger, &whole[..length]).unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        let expected = if length == whole.len() { models[2] } else { models[1] };
        assert_eq!(champion(&registry, "a"), Some(expected), "cut to {length} bytes");
        crown(&registry, "a", models[0], 9).unwrap();
        let healed = Registry::open(folder.path()).unwrap().ledger().unwrap();
        assert_eq!(
            (healed.resolve(&tenant("a"), Task::Fraud, Alias::Champion), healed.torn_bytes()),
            (Some(models[0]), 0)
        );
    }
}

#[test]
fn a_temporary_file_that_a_killed_writer_left_disturbs_nobody() {
    let (folder, models, _) = three_promotions();
    for left in [&b""[..], b"half a card", &[0; 4096]] {
        std::fs::write(folder.path().join("incoming.tmp"), left).unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        assert_eq!(registry.list(&tenant("a")).unwrap().len(), 3);
        assert_eq!(registry.load(register(&registry, "a", "x").model_id).unwrap().1, b"x");
        assert_eq!(champion(&registry, "a"), Some(models[2]));
    }
}

#[test]
fn a_changed_byte_in_any_finished_line_and_a_missing_line_are_errors() {
    let (folder, _, _) = three_promotions();
    let ledger = folder.path().join(LEDGER);
    let whole = std::fs::read(&ledger).unwrap();
    // The very last byte is the line end: without it the last line counts as never finished.
    for position in 0..whole.len() - 1 {
        let mut changed = whole.clone();
        changed[position] ^= 1;
        std::fs::write(&ledger, &changed).unwrap();
        let refused = Registry::open(folder.path());
        assert!(matches!(refused, Err(RegistryError::CorruptLedger { .. })), "byte {position}: {refused:?}");
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
    std::fs::write(&ledger, [lines[0], lines[2]].concat()).unwrap();
    let refused = Registry::open(folder.path()).unwrap_err();
    assert!(matches!(&refused, RegistryError::CorruptLedger { source, .. } if source.line == 2), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_served_when_is_what_a_plain_list_says(
        steps in prop::collection::vec((0..2usize, 0..3usize, 0..2usize, 0..3i64), 1..16),
        questions in prop::collection::vec(-1..32i64, 8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        let tenants = ["a", "b"];
        let aliases = [Alias::Champion, Alias::Challenger];
        let models = tenants.map(|name| ["x", "y", "z"].map(|model| register(&registry, name, model).model_id));
        let mut list = Vec::new();
        let mut now = 0;
        for (owner, model, alias, wait) in steps {
            now += wait;
            let model = models[owner][model];
            let promoted =
                registry.promote(&tenant(tenants[owner]), Task::Fraud, aliases[alias], model, second(now), "a step");
            prop_assert!(promoted.is_ok());
            list.push((owner, alias, model, now));
        }
        for time in questions {
            for (owner, name) in tenants.into_iter().enumerate() {
                let mut expected = None;
                for &(whose, alias, model, at) in &list {
                    if whose == owner && alias == 0 && at <= time {
                        expected = Some(model);
                    }
                }
                prop_assert_eq!(registry.served_at(&tenant(name), Task::Fraud, second(time)).unwrap(), expected);
                prop_assert_eq!(registry.served_at(&tenant(name), Task::Routes, second(time)).unwrap(), None);
            }
        }
    }
}

const WRITER_FOLDER: &str = "DHOW_TEST_WRITER_FOLDER";
const WRITER_NAME: &str = "DHOW_TEST_WRITER_NAME";
const WRITES: usize = 15;

/// What each process of the test below runs; without its environment it is an empty test.
#[test]
fn a_writing_process() {
    let (Some(folder), Ok(name)) = (std::env::var_os(WRITER_FOLDER), std::env::var(WRITER_NAME)) else { return };
    let registry = Registry::open(Path::new(&folder)).unwrap();
    for index in 0..WRITES {
        let model = register(&registry, "a", &format!("{name}-{index}")).model_id;
        // All promotions are at one instant: the order of writing decides.
        crown(&registry, "a", model, 1).unwrap();
    }
}

#[test]
fn processes_that_write_at_the_same_time_lose_and_damage_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "store::a_writing_process"]);
        command.env(WRITER_FOLDER, folder.path()).env(WRITER_NAME, name).spawn().unwrap()
    };
    let children = ["p", "q", "r", "s"].map(start);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let registry = Registry::open(folder.path()).unwrap();
    let cards = registry.list(&tenant("a")).unwrap();
    assert_eq!(cards.len(), 4 * WRITES);
    for card in &cards {
        assert_eq!(registry.load(card.model_id).unwrap().1, card.draft.name.as_bytes());
    }
    let ledger = registry.ledger().unwrap();
    assert_eq!((ledger.promotions().len(), ledger.torn_bytes()), (4 * WRITES, 0));
    for name in ["p", "q", "r", "s"] {
        let own: Vec<ModelId> = ledger
            .promotions()
            .iter()
            .map(|promotion| promotion.model_id)
            .filter(|&model| cards.iter().any(|card| card.model_id == model && card.draft.name.starts_with(name)))
            .collect();
        let expected: Vec<ModelId> = (0..WRITES)
            .flat_map(|index| cards.iter().filter(move |card| card.draft.name == format!("{name}-{index}")))
            .map(|card| card.model_id)
            .collect();
        assert_eq!(own, expected, "each writer's promotions stand in its own order");
    }
}

#[test]
fn a_registry_cannot_be_opened_where_a_file_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models");
    std::fs::write(&file, b"").unwrap();
    let refused = Registry::open(&file).unwrap_err();
    assert!(matches!(&refused, RegistryError::Io { path, .. } if path.starts_with(&file)), "{refused}");
}
