//! Collection against a naive reference: what is asked of the ledger at every instant, of every list, and of every parent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::{Duration, SystemTime};

use dhow_events::{ModelId, TenantId, Timestamp};
use dhow_registry::{
    Alias, CollectionRules, ModelCard, ModelDraft, ModelFormat, Reason, Registry, RegistryError, Task,
};
use proptest::prelude::*;

use crate::{second, tenant};

const NOW: i64 = 1_000;

#[derive(Debug, Clone)]
struct Made {
    theirs: bool,
    task: Task,
    name: usize,
    artifact: u8,
    created: i64,
    written: i64,
    parent: Option<usize>,
    named: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let task = prop_oneof![Just(Task::Fraud), Just(Task::Custom)];
    let parent = prop::option::weighted(0.4, 0..16_usize);
    (prop::bool::weighted(0.15), task, 0..3_usize, 0..6_u8, 0..NOW, 0..NOW, parent, prop::bool::weighted(0.15))
        .prop_map(|(theirs, task, name, artifact, created, written, parent, named)| Made {
            theirs,
            task,
            name,
            artifact,
            created,
            written,
            parent,
            named,
        })
}

/// Registers the models, each written at its time; a parent is one before it of the same tenant.
fn fill(registry: &Registry, folder: &std::path::Path, all: &[Made]) -> Vec<ModelCard> {
    let mut cards: Vec<ModelCard> = Vec::new();
    for (number, made) in all.iter().enumerate() {
        let owner = tenant(if made.theirs { "b" } else { "a" });
        let name = ["x", "y", "z"][made.name];
        let mut draft =
            ModelDraft::new(owner, made.task, name, ModelFormat::Postcard, second(made.created), "Apache-2.0");
        draft.settings.insert("number".to_owned(), number.into());
        draft.parent = made
            .parent
            .and_then(|parent| cards.get(parent))
            .filter(|card| card.draft.tenant == owner)
            .map(|card| card.model_id);
        let card = registry.register(draft, &[made.artifact]).unwrap();
        let file = File::open(folder.join("cards").join(format!("{}.json", card.model_id))).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(made.written.unsigned_abs())).unwrap();
        cards.push(card);
    }
    cards
}

/// Gives models roles at times that never decrease.
fn promote(registry: &Registry, cards: &[ModelCard], promotions: &[(usize, usize, i64)]) {
    let mut at = 0;
    for (model, alias, later) in promotions {
        at = (at + later).min(NOW);
        let card = &cards[model % cards.len()];
        let (owner, task, alias) = (&card.draft.tenant, card.draft.task, Alias::ALL[*alias]);
        registry.promote(owner, task, alias, card.model_id, second(at), "a test").unwrap();
    }
}

/// What must be kept, asked one by one.
fn naive(
    registry: &Registry,
    all: &[Made],
    cards: &[ModelCard],
    owner: &TenantId,
    rules: &CollectionRules,
) -> BTreeSet<ModelId> {
    let ledger = registry.ledger().unwrap();
    let seconds = |micros: i64| micros / 1_000_000;
    let had_a_role = |card: &ModelCard| {
        Alias::ALL.iter().any(|alias| {
            let begin = NOW - seconds(rules.served_within_micros);
            let held = |at: Timestamp| ledger.alias_at(owner, card.draft.task, *alias, at) == Some(card.model_id);
            (begin..=NOW).any(|at| held(second(at)))
        })
    };
    let newer = |card: &ModelCard| {
        let alike = cards.iter().filter(|other| {
            (&other.draft.tenant, other.draft.task, &other.draft.name)
                == (&card.draft.tenant, card.draft.task, &card.draft.name)
        });
        alike.filter(|o| (o.draft.created_at, o.model_id) > (card.draft.created_at, card.model_id)).count()
    };
    let mut kept = BTreeSet::new();
    for (made, card) in all.iter().zip(cards).filter(|(_, card)| card.draft.tenant == *owner) {
        let young = NOW - made.created.max(made.written) < seconds(rules.younger_than_micros);
        if made.named || young || newer(card) < rules.newest || had_a_role(card) {
            kept.insert(card.model_id);
        }
    }
    loop {
        let parents = cards.iter().filter(|card| kept.contains(&card.model_id)).filter_map(|card| card.draft.parent);
        let more: BTreeSet<ModelId> = parents.collect();
        let before = kept.len();
        kept.extend(more);
        if kept.len() == before {
            return kept;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_kept_is_what_a_naive_reference_keeps_and_all_of_it_loads(
        all in prop::collection::vec(made(), 1..16),
        promotions in prop::collection::vec((0..16_usize, 0..3_usize, 0..300_i64), 0..12),
        newest in 0..3_usize,
        young in 1..600_i64,
        served in 1..600_i64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        let cards = fill(&registry, folder.path(), &all);
        promote(&registry, &cards, &promotions);
        let micros = |seconds: i64| seconds * 1_000_000;
        let rules = CollectionRules {
            newest,
            younger_than_micros: micros(young),
            served_within_micros: micros(served),
        };
        let named: BTreeMap<ModelId, String> = all.iter().zip(&cards).filter(|(made, _)| made.named).map(|(_, card)| (card.model_id, "decisions".to_owned())).collect();
        let owner = tenant("a");
        let expected = naive(&registry, &all, &cards, &owner, &rules);
        let ledger = registry.ledger().unwrap();

        let told = registry.collect(&owner, &rules, &named, second(NOW), true).unwrap();
        prop_assert_eq!(registry.cards_of_all(), cards.len(), "telling removes nothing");
        let done = registry.collect(&owner, &rules, &named, second(NOW), false).unwrap();
        prop_assert_eq!(&told, &done);
        let kept: BTreeSet<ModelId> = done.kept.iter().map(|kept| kept.card.model_id).collect();
        prop_assert_eq!(&kept, &expected);
        prop_assert!(done.kept.iter().all(|kept| !kept.reasons.is_empty()));

        let reopened = Registry::open(folder.path()).unwrap();
        for card in &cards {
            if card.draft.tenant != owner || kept.contains(&card.model_id) {
                prop_assert_eq!(&reopened.load(card.model_id).unwrap().0, card);
            } else {
                let collected = matches!(reopened.load(card.model_id), Err(RegistryError::Collected { .. }));
                prop_assert!(collected, "{} is still there", card.model_id);
            }
        }
        prop_assert_eq!(reopened.ledger().unwrap(), ledger);
        let left: BTreeSet<u8> = all.iter().zip(&cards).filter(|(_, card)| card.draft.tenant != owner || kept.contains(&card.model_id)).map(|(made, _)| made.artifact).collect();
        prop_assert_eq!(std::fs::read_dir(folder.path().join("artifacts")).unwrap().count(), left.len());
        let before: BTreeSet<u8> = all.iter().map(|made| made.artifact).collect();
        prop_assert_eq!(done.freed_bytes() as usize, before.len() - left.len(), "every artifact has one byte");
        let again = reopened.collect(&owner, &rules, &named, second(NOW), false).unwrap();
        prop_assert!(again.removed.is_empty() && again.leftovers.is_empty());
    }
}

trait Count {
    fn cards_of_all(&self) -> usize;
}

impl Count for Registry {
    fn cards_of_all(&self) -> usize {
        ["a", "b"].iter().map(|name| self.list(&tenant(name)).unwrap().len()).sum()
    }
}

#[test]
fn reasons_are_told_in_words_and_a_collected_model_that_is_registered_again_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let made = |created, parent| Made {
        theirs: false,
        task: Task::Fraud,
        name: 0,
        artifact: created as u8,
        created,
        written: created,
        parent,
        named: false,
    };
    let all = [made(1, None), made(2, None), made(3, Some(1)), made(4, None), made(5, None)];
    let cards = fill(&registry, folder.path(), &all);
    promote(&registry, &cards, &[(2, 0, 10), (3, 0, 10)]);
    let second_long = 1_000_000;
    let rules =
        CollectionRules { newest: 1, younger_than_micros: second_long, served_within_micros: (NOW - 15) * second_long };
    let named = BTreeMap::from([(cards[3].model_id, "decisions.model".to_owned())]);
    let done = registry.collect(&tenant("a"), &rules, &named, second(NOW), false).unwrap();
    let told: Vec<Vec<String>> =
        done.kept.iter().map(|kept| kept.reasons.iter().map(Reason::to_string).collect()).collect();
    let until = format!("it was the champion until {}", second(20));
    let derived = format!("{} was derived from it", cards[2].model_id);
    assert_eq!(
        told,
        [
            vec![derived],
            vec![until],
            vec!["it is the champion".to_owned(), "it is named in decisions.model".to_owned()],
            vec!["it is among the newest of its name".to_owned()],
        ]
    );
    let gone = &cards[0];
    let refused = registry.load(gone.model_id).unwrap_err().to_string();
    assert!(refused.contains("removed as no longer needed") && refused.contains("collected"), "{refused}");
    assert_eq!(&registry.register(gone.draft.clone(), &[1]).unwrap(), gone);
    assert_eq!(registry.load(gone.model_id).unwrap().1, [1]);
    assert_eq!(std::fs::read_dir(folder.path().join("collected")).unwrap().count(), 0);
}
