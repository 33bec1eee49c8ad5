//! What the registry no longer needs, and its removal; who else names a model is told to it, it asks nobody.
//!
//! A card goes first, and is on the disk in its new place before a signature or an artifact is removed: whoever is stopped
//! between two steps leaves models that are wholly there or wholly gone, and leftovers for the next collection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use dhow_events::{ModelId, TenantId, Timestamp};

use crate::card::{Alias, ModelCard, Task};
use crate::error::RegistryError;
use crate::folder::{Access, Lock};
use crate::ledger::Ledger;
use crate::registry::{ARTIFACTS, Registry, SIGNATURES, card_path, collected_path};

/// What is kept besides the models that have a role, those that are named elsewhere, and the parents of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionRules {
    /// So many of the newest models of each task and name.
    pub newest: usize,
    /// Models that were made or registered less than so many microseconds ago: a training that has just written its model
    /// has time to promote it.
    pub younger_than_micros: i64,
    /// Models that had a role at any time in so many microseconds until now.
    pub served_within_micros: i64,
}

/// Why a model is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It has this role.
    Role(Alias),
    /// It had this role lately.
    Served {
        /// The role.
        alias: Alias,
        /// When it lost it.
        until: Timestamp,
    },
    /// It is named elsewhere.
    Named(String),
    /// It is among the newest of its task and name.
    Newest,
    /// It was made or registered lately.
    Young(Timestamp),
    /// This model, which is kept, was derived from it.
    ParentOf(ModelId),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(alias) => write!(f, "it is the {alias}"),
            Self::Served { alias, until } => write!(f, "it was the {alias} until {until}"),
            Self::Named(place) => write!(f, "it is named in {place}"),
            Self::Newest => f.write_str("it is among the newest of its name"),
            Self::Young(at) => write!(f, "it is there since {at} only"),
            Self::ParentOf(child) => write!(f, "{child} was derived from it"),
        }
    }
}

/// A model that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its card.
    pub card: ModelCard,
    /// Why; at least one reason.
    pub reasons: Vec<Reason>,
}

/// A model that was removed, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    /// Its card, which is kept in the folder `collected`.
    pub card: ModelCard,
    /// What its artifact took, in bytes; 0 where a model that is kept, or one named before it, has the same artifact.
    pub bytes: u64,
}

/// A file that belongs to no model, which somebody who was stopped left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its path inside the registry's folder.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// What came of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// The tenant's models that are kept, oldest first.
    pub kept: Vec<Kept>,
    /// The tenant's models that were removed, children before their parents.
    pub removed: Vec<Removed>,
    /// Artifacts and signatures of no model of any tenant, which were removed.
    pub leftovers: Vec<Leftover>,
}

impl Collection {
    /// What the removal frees, in bytes.
    pub fn freed_bytes(&self) -> u64 {
        let models: u64 = self.removed.iter().map(|removed| removed.bytes).sum();
        models + self.leftovers.iter().map(|leftover| leftover.bytes).sum::<u64>()
    }
}

/// What is done in one go; whatever is done of a collection's steps, in their order, leaves a registry that can be read.
enum Step {
    Retire(ModelId),
    Remove(PathBuf),
}

impl Registry {
    /// Removes a tenant's models that no rule keeps and nobody names: their artifacts and signatures. Their cards are kept
    /// aside, so that what the ledger names can still be told. `named` says of each model that is named elsewhere where
    /// that is. With `only_tell` nothing is removed.
    ///
    /// # Errors
    /// Those of [`list`](Self::list) and [`ledger`](Self::ledger), before anything is removed; [`RegistryError::Io`].
    pub fn collect(
        &self,
        tenant: &TenantId,
        rules: &CollectionRules,
        named: &BTreeMap<ModelId, String>,
        at: Timestamp,
        only_tell: bool,
    ) -> Result<Collection, RegistryError> {
        // Nobody registers or promotes between here and the end.
        let lock = self.folder.lock(Access::Write)?;
        let (collection, steps) = self.plan(&lock, tenant, rules, named, at)?;
        if !only_tell {
            steps.iter().try_for_each(|step| self.take(&lock, step))?;
        }
        Ok(collection)
    }

    fn take(&self, lock: &Lock, step: &Step) -> Result<(), RegistryError> {
        match step {
            Step::Retire(model_id) => self.folder.rename(lock, &card_path(*model_id), &collected_path(*model_id)),
            Step::Remove(path) => self.folder.remove(lock, path),
        }
    }

    fn plan(
        &self,
        lock: &Lock,
        tenant: &TenantId,
        rules: &CollectionRules,
        named: &BTreeMap<ModelId, String>,
        at: Timestamp,
    ) -> Result<(Collection, Vec<Step>), RegistryError> {
        let all = self.cards()?;
        let mut own = Vec::new();
        for card in all.iter().filter(|card| card.draft.tenant == *tenant) {
            let there_since = card.draft.created_at.max(self.folder.written_at(card_path(card.model_id))?);
            own.push((card, there_since));
        }
        let reasons = reasons(tenant, &own, &self.read_ledger(lock)?, rules, named, at);
        let is_kept = |card: &&ModelCard| card.draft.tenant != *tenant || reasons.contains_key(&card.model_id);
        let mut artifacts: BTreeSet<&str> =
            all.iter().filter(is_kept).map(|card| card.artifact_hash.as_str()).collect();
        let mut kept = Vec::new();
        let mut gone = Vec::new();
        for (card, _) in own {
            match reasons.get(&card.model_id) {
                Some(reasons) => kept.push(Kept { card: card.clone(), reasons: reasons.iter().cloned().collect() }),
                None => gone.push(card),
            }
        }
        let removed: Vec<Removed> = children_first(&gone)
            .into_iter()
            .map(|card| {
                let bytes = if artifacts.insert(&card.artifact_hash) { card.artifact_bytes } else { 0 };
                Removed { card: card.clone(), bytes }
            })
            .collect();
        let signatures = self.folder.names(SIGNATURES)?;
        let leftovers = self.leftovers(&all, &signatures)?;
        let steps = steps(&removed, &signatures, &leftovers);
        Ok((Collection { kept, removed, leftovers }, steps))
    }

    /// Artifacts and signatures of no card. A writer holds the lock until its card is written, so they are nobody's.
    fn leftovers(&self, all: &[ModelCard], signatures: &[String]) -> Result<Vec<Leftover>, RegistryError> {
        let hashes: BTreeSet<&str> = all.iter().map(|card| card.artifact_hash.as_str()).collect();
        let models: BTreeSet<ModelId> = all.iter().map(|card| card.model_id).collect();
        let names = self.folder.names(ARTIFACTS)?;
        let artifacts = names.iter().filter(|name| is_hash(name) && !hashes.contains(name.as_str()));
        let orphans = signatures.iter().filter(|name| signed(name).is_some_and(|model| !models.contains(&model)));
        let paths = artifacts.map(|name| Path::new(ARTIFACTS).join(name));
        let paths = paths.chain(orphans.map(|name| Path::new(SIGNATURES).join(name)));
        paths.map(|path| Ok(Leftover { bytes: self.folder.length(&path)?, path })).collect()
    }
}

/// The models that are kept, each with why.
fn reasons(
    tenant: &TenantId,
    cards: &[(&ModelCard, Timestamp)],
    ledger: &Ledger,
    rules: &CollectionRules,
    named: &BTreeMap<ModelId, String>,
    at: Timestamp,
) -> BTreeMap<ModelId, BTreeSet<Reason>> {
    let mut reasons: BTreeMap<ModelId, BTreeSet<Reason>> = BTreeMap::new();
    let mut of_name: BTreeMap<(Task, &str), usize> = BTreeMap::new();
    for (card, there_since) in cards.iter().rev() {
        let mut add = |reason| reasons.entry(card.model_id).or_default().insert(reason);
        let newer = of_name.entry((card.draft.task, card.draft.name.as_str())).or_default();
        if *newer < rules.newest {
            add(Reason::Newest);
        }
        *newer += 1;
        if at.micros().saturating_sub(there_since.micros()) < rules.younger_than_micros {
            add(Reason::Young(*there_since));
        }
        if let Some(place) = named.get(&card.model_id) {
            add(Reason::Named(place.clone()));
        }
    }
    let by_id: BTreeMap<ModelId, &ModelCard> = cards.iter().map(|(card, _)| (card.model_id, *card)).collect();
    for (model, reason) in roles(tenant, ledger, at.micros().saturating_sub(rules.served_within_micros)) {
        if by_id.contains_key(&model) {
            reasons.entry(model).or_default().insert(reason);
        }
    }
    let mut children: Vec<ModelId> = reasons.keys().copied().collect();
    while let Some(child) = children.pop() {
        let parent = by_id.get(&child).and_then(|card| card.draft.parent).filter(|parent| by_id.contains_key(parent));
        let Some(parent) = parent else { continue };
        if !reasons.contains_key(&parent) {
            children.push(parent);
        }
        reasons.entry(parent).or_default().insert(Reason::ParentOf(child));
    }
    reasons
}

/// Who has a role of the tenant, and who had one after `since`, in microseconds.
fn roles(tenant: &TenantId, ledger: &Ledger, since: i64) -> Vec<(ModelId, Reason)> {
    let mut holders = BTreeMap::new();
    let mut found = Vec::new();
    for entry in ledger.promotions().iter().filter(|entry| entry.tenant == *tenant) {
        let before = holders.insert((entry.task, entry.alias), entry);
        let until = entry.at;
        if let Some(before) = before.filter(|before| until.micros() > since && until > before.at) {
            found.push((before.model_id, Reason::Served { alias: entry.alias, until }));
        }
    }
    found.extend(holders.into_values().map(|entry| (entry.model_id, Reason::Role(entry.alias))));
    found
}

/// In an order in which no model comes after the one that it was derived from.
fn children_first<'a>(cards: &[&'a ModelCard]) -> Vec<&'a ModelCard> {
    let by_id: BTreeMap<ModelId, &ModelCard> = cards.iter().map(|card| (card.model_id, *card)).collect();
    // A model's id follows from its parent's, so no chain comes back to where it began.
    let parent = |card: &&'a ModelCard| card.draft.parent.and_then(|parent| by_id.get(&parent).copied());
    let mut sorted = cards.to_vec();
    sorted.sort_by_cached_key(|card| std::cmp::Reverse(std::iter::successors(Some(*card), parent).count()));
    sorted
}

fn steps(removed: &[Removed], signatures: &[String], leftovers: &[Leftover]) -> Vec<Step> {
    let models: BTreeSet<ModelId> = removed.iter().map(|removed| removed.card.model_id).collect();
    let retired = removed.iter().map(|removed| Step::Retire(removed.card.model_id));
    let signed = signatures.iter().filter(|name| signed(name).is_some_and(|model| models.contains(&model)));
    let signed = signed.map(|name| Path::new(SIGNATURES).join(name));
    let artifacts = removed.iter().filter(|removed| removed.bytes > 0);
    let artifacts = artifacts.map(|removed| Path::new(ARTIFACTS).join(&removed.card.artifact_hash));
    let paths = signed.chain(artifacts).chain(leftovers.iter().map(|leftover| leftover.path.clone()));
    retired.chain(paths.map(Step::Remove)).collect()
}

/// Whose signature a file is, by its name.
fn signed(name: &str) -> Option<ModelId> {
    name.split_once('.')?.0.parse().ok()
}

/// Whether a file's name is that of an artifact; others are not the registry's.
fn is_hash(name: &str) -> bool {
    name.len() == 2 * blake3::OUT_LEN && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::{ModelDraft, ModelFormat};
    use crate::signatures::{ModelKeys, SigningKey};

    const DAY: i64 = 86_400_000_000;

    fn day(days: i64) -> Timestamp {
        Timestamp::from_micros(days * DAY)
    }

    /// Two removable models, the second derived from the first and with the bytes of the kept third, each signed; an
    /// artifact and a signature of none.
    fn registry(folder: &Path) -> Registry {
        let keys = ModelKeys::new(Some(SigningKey::from_seed(&[7; 32]).unwrap()), Vec::new()).unwrap();
        let registry = Registry::open_with(folder, keys).unwrap();
        let mut parent = None;
        for (name, artifact) in [("first", "a"), ("second", "b"), ("third", "b")] {
            let mut draft =
                ModelDraft::new(TenantId::default(), Task::Fraud, name, ModelFormat::Postcard, day(1), "MIT");
            draft.parent = parent.filter(|_| name == "second");
            parent = Some(registry.register(draft, artifact.as_bytes()).unwrap().model_id);
        }
        registry
            .promote(&TenantId::default(), Task::Fraud, Alias::Champion, parent.unwrap(), day(2), "a test")
            .unwrap();
        let hash = blake3::hash(b"nobody's").to_hex();
        std::fs::write(folder.join(ARTIFACTS).join(hash.as_str()), "nobody's").unwrap();
        std::fs::write(folder.join(SIGNATURES).join(format!("{}.key", ModelId::from_u128(9))), "nobody's").unwrap();
        std::fs::write(folder.join(ARTIFACTS).join("notes.txt"), "not the registry's").unwrap();
        registry
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let inside = |name: &str| std::fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            [ARTIFACTS, "cards", "collected", SIGNATURES].iter().flat_map(|name| inside(name)).collect();
        for file in &mut files {
            *file = file.strip_prefix(folder).unwrap().to_owned();
        }
        files.sort();
        files
    }

    #[test]
    fn stopped_between_any_two_steps_a_collection_leaves_whole_models_and_the_next_one_ends_it() {
        let rules = CollectionRules { newest: 0, younger_than_micros: DAY, served_within_micros: DAY };
        // The cards' files were written just now, which is long before this.
        let (tenant, nobody, at) = (TenantId::default(), BTreeMap::new(), day(200_000));
        let mut ends = Vec::new();
        for taken in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let registry = registry(folder.path());
            let lock = registry.folder.lock(Access::Write).unwrap();
            let (collection, steps) = registry.plan(&lock, &tenant, &rules, &nobody, at).unwrap();
            assert_eq!((collection.kept.len(), collection.removed.len(), collection.leftovers.len()), (1, 2, 2));
            assert_eq!(collection.freed_bytes(), 1 + 8 + 8, "the artifact of the second is the third's too");
            steps.iter().take(taken).for_each(|step| registry.take(&lock, step).unwrap());
            drop(lock);

            let reopened = Registry::open(folder.path()).unwrap();
            let listed = reopened.list(&tenant).unwrap();
            for card in &listed {
                reopened.load(card.model_id).unwrap();
                let parent = card.draft.parent;
                assert!(parent.is_none_or(|parent| reopened.load(parent).is_ok()), "after {taken} steps");
            }
            for removed in collection.removed {
                let known = listed.contains(&removed.card);
                let told = reopened.load(removed.card.model_id);
                assert!(known || matches!(told, Err(RegistryError::Collected { .. })), "after {taken} steps: {told:?}");
            }
            reopened.collect(&tenant, &rules, &nobody, at, false).unwrap();
            let again = reopened.collect(&tenant, &rules, &nobody, at, false).unwrap();
            assert_eq!((again.kept.len(), again.removed.len(), again.leftovers.len()), (1, 0, 0));
            ends.push(files(folder.path()));
            if taken == steps.len() {
                break;
            }
        }
        assert_eq!(ends.len(), 2 + 2 + 1 + 2 + 1, "cards, signatures, an artifact, leftovers, and none");
        assert!(ends.iter().all(|end| end == &ends[0] && end.contains(&Path::new(ARTIFACTS).join("notes.txt"))));
    }
}
