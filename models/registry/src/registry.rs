//! The registry on a local folder: artifacts by hash, cards, promotions; it does not interpret an artifact.
//!
//! ```text
//! artifacts/<blake3 of the bytes>   immutable
//! cards/<model id>.json             immutable, one checksummed line; a model exists once its card does
//! collected/<model id>.json         the card of a model that was removed as no longer needed
//! signatures/<model id>.<key>       a key's signature of a card, 64 bytes; written before the card
//! promotions.jsonl                  append-only, one checksummed line each, chained; the aliases derive from it
//! lock                              held by writers alone, shared by readers of the ledger
//! incoming.tmp                      the file that a writer is about to rename, or what a killed one left
//! ```

use std::path::{Path, PathBuf};

use dhow_events::{ModelId, TenantId, Timestamp};

use crate::card::{Alias, MAX_TEXT_BYTES, ModelCard, ModelDraft, Task};
use crate::error::RegistryError;
use crate::folder::{Access, Folder, Lock, io_error};
use crate::ledger::{Ledger, Promotion};
use crate::sealed::{CHAIN_START, seal, unseal};
use crate::signatures::{ModelKeys, PublicKey};

/// The largest artifact, in bytes.
pub const MAX_ARTIFACT_BYTES: u64 = 4 << 30;

pub(crate) const ARTIFACTS: &str = "artifacts";
const CARDS: &str = "cards";
const COLLECTED: &str = "collected";
pub(crate) const SIGNATURES: &str = "signatures";
const LEDGER: &str = "promotions.jsonl";

/// Models of all tenants in one folder. Cheap to clone; any number of threads and processes may use the same folder.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(crate) folder: Folder,
    keys: ModelKeys,
}

impl Registry {
    /// Opens the folder as [`open_with`](Self::open_with) does, to sign nothing and believe every card.
    ///
    /// # Errors
    /// Those of [`open_with`](Self::open_with).
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, RegistryError> {
        Self::open_with(folder, ModelKeys::default())
    }

    /// Opens the folder, making it where it is missing, and checks the ledger.
    ///
    /// What an interrupted write left at the ledger's end is ignored, with a warning, and removed by the next promotion.
    ///
    /// # Errors
    /// [`RegistryError::CorruptLedger`], [`RegistryError::Busy`], [`RegistryError::Io`].
    pub fn open_with(folder: impl AsRef<Path>, keys: ModelKeys) -> Result<Self, RegistryError> {
        let registry =
            Self { folder: Folder::open(folder.as_ref(), &[ARTIFACTS, CARDS, COLLECTED, SIGNATURES])?, keys };
        registry.ledger()?;
        Ok(registry)
    }

    /// Stores the artifact and the card, signed where there is a signing key.
    ///
    /// The id follows from artifact and card: registering the same again changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::BadCard`] for texts, numbers or an artifact outside their bounds;
    /// [`RegistryError::UnknownModel`] or [`RegistryError::OtherTenant`] for the parent.
    pub fn register(&self, draft: ModelDraft, artifact: &[u8]) -> Result<ModelCard, RegistryError> {
        draft.check().map_err(RegistryError::BadCard)?;
        if artifact.is_empty() || artifact.len() as u64 > MAX_ARTIFACT_BYTES {
            let bytes = artifact.len();
            return Err(RegistryError::BadCard(format!(
                "the artifact has {bytes} bytes; it must have 1 to {MAX_ARTIFACT_BYTES}"
            )));
        }
        let artifact_hash = blake3::hash(artifact).to_hex().to_string();
        let identity = format!("{artifact_hash} {}", to_json("model card", &draft)?);
        let model_id = ModelId::from_reference(&draft.tenant, &identity);
        let card = ModelCard { model_id, artifact_hash, artifact_bytes: artifact.len() as u64, draft };
        let body = to_json("model card", &card)?;
        let line = seal(CHAIN_START, &body) + "\n";

        let lock = self.folder.lock(Access::Write)?;
        if let Some(parent) = card.draft.parent {
            self.card_of(&card.draft.tenant, parent)?;
        }
        self.folder.write_whole(&lock, &artifact_path(&card), artifact)?;
        self.write_signature(&lock, model_id, &body)?;
        self.folder.write_whole(&lock, &card_path(model_id), line.as_bytes())?;
        self.folder.remove(&lock, &collected_path(model_id))?;
        Ok(card)
    }

    /// A model's card, whoever it belongs to.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModel`], [`RegistryError::CorruptCard`].
    pub fn card(&self, model_id: ModelId) -> Result<ModelCard, RegistryError> {
        self.card_and_body(model_id).map(|(card, _)| card)
    }

    /// A model's card and its artifact, whose hash has been compared; signed by a trusted key, where there are any.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModel`], [`RegistryError::CorruptCard`], [`RegistryError::CorruptArtifact`],
    /// [`RegistryError::NotTrusted`], [`RegistryError::Io`] where the artifact is missing.
    pub fn load(&self, model_id: ModelId) -> Result<(ModelCard, Vec<u8>), RegistryError> {
        let (card, body) = self.card_and_body(model_id)?;
        self.check_trust(model_id, &body)?;
        self.with_artifact(card)
    }

    /// Signs a model that is registered already, whose artifact has been compared, beside the signatures it has.
    ///
    /// # Errors
    /// [`RegistryError::NoSigningKey`], and those of [`load`](Self::load) but [`RegistryError::NotTrusted`].
    pub fn sign(&self, model_id: ModelId) -> Result<PublicKey, RegistryError> {
        let key = self.keys.signing().ok_or(RegistryError::NoSigningKey)?.public_key();
        let (card, body) = self.card_and_body(model_id)?;
        self.with_artifact(card)?;
        self.write_signature(&self.folder.lock(Access::Write)?, model_id, &body)?;
        Ok(key)
    }

    fn with_artifact(&self, card: ModelCard) -> Result<(ModelCard, Vec<u8>), RegistryError> {
        let model_id = card.model_id;
        let path = self.folder.path(artifact_path(&card));
        let artifact = match std::fs::read(&path) {
            Ok(artifact) => artifact,
            Err(error) => {
                // A model that was collected since its card was read is told as such.
                self.card(model_id)?;
                return Err(io_error("reading the artifact", &path)(error));
            }
        };
        let found = blake3::hash(&artifact).to_hex().to_string();
        if found != card.artifact_hash {
            return Err(RegistryError::CorruptArtifact { model_id, path, expected: card.artifact_hash, found });
        }
        Ok((card, artifact))
    }

    /// Every card of a tenant, oldest first.
    ///
    /// # Errors
    /// [`RegistryError::CorruptCard`], [`RegistryError::Io`].
    pub fn list(&self, tenant: &TenantId) -> Result<Vec<ModelCard>, RegistryError> {
        Ok(self.cards()?.into_iter().filter(|card| card.draft.tenant == *tenant).collect())
    }

    /// Every card of every tenant, oldest first.
    pub(crate) fn cards(&self) -> Result<Vec<ModelCard>, RegistryError> {
        let mut cards = Vec::new();
        for name in self.folder.names(CARDS)? {
            let model_id = name.strip_suffix(".json").and_then(|stem| stem.parse().ok());
            let path = self.folder.path(CARDS).join(&name);
            let what = "its name is not `<model id>.json`".to_owned();
            match self.card(model_id.ok_or(RegistryError::CorruptCard { path, what })?) {
                // It was collected since the folder was listed.
                Err(RegistryError::Collected { .. }) => {}
                card => cards.push(card?),
            }
        }
        cards.sort_by_key(|card| (card.draft.created_at, card.model_id));
        Ok(cards)
    }

    /// Gives a model an alias from `at` on; returns when that is on the disk.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModel`], [`RegistryError::OtherTenant`], [`RegistryError::NotTrusted`] where it could not
    /// be loaded, and [`RegistryError::BadPromotion`] where the model is for another task, the reason is missing or too
    /// long, or `at` is earlier than the alias's last promotion: what was served in the past cannot be rewritten.
    pub fn promote(
        &self,
        tenant: &TenantId,
        task: Task,
        alias: Alias,
        model_id: ModelId,
        at: Timestamp,
        why: &str,
    ) -> Result<Promotion, RegistryError> {
        let bad = |why: String| RegistryError::BadPromotion { model_id, why };
        let lock = self.folder.lock(Access::Write)?;
        let card = self.card_of(tenant, model_id)?;
        if card.draft.task != task {
            return Err(bad(format!("it is a model for {}, not for {task}", card.draft.task)));
        }
        if why.trim().is_empty() || why.len() > MAX_TEXT_BYTES {
            return Err(bad(format!("the reason has {} bytes; it must have 1 to {MAX_TEXT_BYTES}", why.len())));
        }
        self.check_trust(model_id, &self.card_and_body(model_id)?.1)?;
        let ledger = self.read_ledger(&lock)?;
        if let Some(last) = ledger.last(tenant, task, alias).filter(|last| last.at > at) {
            return Err(bad(format!("{at} is earlier than the last promotion to {alias} for {task}, {}", last.at)));
        }
        let promotion = Promotion { tenant: *tenant, task, alias, model_id, at, why: why.to_owned() };
        let line =
            ledger.line_for(&promotion).map_err(|source| RegistryError::Encoding { what: "a promotion", source })?;
        self.folder.append(&lock, LEDGER, ledger.whole_bytes() as u64, &line)?;
        Ok(promotion)
    }

    /// All promotions as of now: read it once to answer many questions about aliases.
    ///
    /// # Errors
    /// [`RegistryError::CorruptLedger`], [`RegistryError::Busy`], [`RegistryError::Io`].
    pub fn ledger(&self) -> Result<Ledger, RegistryError> {
        self.read_ledger(&self.folder.lock(Access::Read)?)
    }

    /// How long the ledger's file is, which grows with every promotion: to see cheaply whether there was one.
    ///
    /// # Errors
    /// [`RegistryError::Io`].
    pub fn ledger_bytes(&self) -> Result<u64, RegistryError> {
        self.folder.length(LEDGER)
    }

    /// The model that has the alias now. Reads the ledger anew, so it also sees other processes' promotions.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchAlias`], and those of [`ledger`](Self::ledger).
    pub fn resolve(&self, tenant: &TenantId, task: Task, alias: Alias) -> Result<ModelId, RegistryError> {
        let found = self.ledger()?.resolve(tenant, task, alias);
        found.ok_or(RegistryError::NoSuchAlias { tenant: *tenant, task, alias })
    }

    /// The champion at `time`, or `None` if there was none yet.
    ///
    /// # Errors
    /// Those of [`ledger`](Self::ledger).
    pub fn served_at(&self, tenant: &TenantId, task: Task, time: Timestamp) -> Result<Option<ModelId>, RegistryError> {
        Ok(self.ledger()?.alias_at(tenant, task, Alias::Champion, time))
    }

    /// The card, and the JSON that it was read from: what is signed.
    fn card_and_body(&self, model_id: ModelId) -> Result<(ModelCard, String), RegistryError> {
        let inside = card_path(model_id);
        let Some(bytes) = self.folder.read(&inside)? else {
            let card = self.folder.path(collected_path(model_id));
            let known = card.try_exists().map_err(io_error("looking at", &card))?;
            return Err(if known {
                RegistryError::Collected { model_id, card }
            } else {
                RegistryError::UnknownModel(model_id)
            });
        };
        let read = read_card(&bytes).and_then(|(card, body)| {
            let of = card.model_id;
            if of == model_id { Ok((card, body)) } else { Err(format!("it is the card of model {of}")) }
        });
        read.map_err(|what| RegistryError::CorruptCard { path: self.folder.path(&inside), what })
    }

    fn write_signature(&self, lock: &Lock, model_id: ModelId, body: &str) -> Result<(), RegistryError> {
        let Some(key) = self.keys.signing() else { return Ok(()) };
        self.folder.write_whole(lock, &signature_path(model_id, key.public_key()), &key.sign(body))
    }

    fn check_trust(&self, model_id: ModelId, body: &str) -> Result<(), RegistryError> {
        let trusted = self.keys.trusted();
        let mut broken = None;
        for key in trusted {
            match self.folder.read(signature_path(model_id, *key))? {
                Some(signature) if key.signed(body, &signature) => return Ok(()),
                Some(_) => broken = Some(*key),
                None => {}
            }
        }
        if trusted.is_empty() {
            return Ok(());
        }
        let why = match broken {
            Some(key) => format!("its signature by {key} does not fit its card: one of them was changed"),
            None => self.other_signers(model_id)?,
        };
        Err(RegistryError::NotTrusted { model_id, why })
    }

    /// In words, who signed the model, where no trusted key did.
    fn other_signers(&self, model_id: ModelId) -> Result<String, RegistryError> {
        let head = format!("{model_id}.");
        let names = self.folder.names(SIGNATURES)?;
        let keys: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(&head)).collect();
        Ok(if keys.is_empty() { "nobody signed it".to_owned() } else { format!("it is signed by {}", keys.join(", ")) })
    }

    fn card_of(&self, tenant: &TenantId, model_id: ModelId) -> Result<ModelCard, RegistryError> {
        let card = self.card(model_id)?;
        if card.draft.tenant != *tenant {
            return Err(RegistryError::OtherTenant { model_id, tenant: *tenant });
        }
        Ok(card)
    }

    pub(crate) fn read_ledger(&self, _held: &Lock) -> Result<Ledger, RegistryError> {
        let path = self.folder.path(LEDGER);
        let bytes = self.folder.read(LEDGER)?.unwrap_or_default();
        let ledger =
            Ledger::parse(&bytes).map_err(|source| RegistryError::CorruptLedger { path: path.clone(), source })?;
        if ledger.torn_bytes() > 0 {
            tracing::warn!(
                path = %path.display(),
                torn_bytes = ledger.torn_bytes(),
                "the promotion ledger ends in an interrupted write, which is left out"
            );
        }
        Ok(ledger)
    }
}

fn artifact_path(card: &ModelCard) -> PathBuf {
    Path::new(ARTIFACTS).join(&card.artifact_hash)
}

pub(crate) fn card_path(model_id: ModelId) -> PathBuf {
    Path::new(CARDS).join(format!("{model_id}.json"))
}

pub(crate) fn collected_path(model_id: ModelId) -> PathBuf {
    Path::new(COLLECTED).join(format!("{model_id}.json"))
}

fn signature_path(model_id: ModelId, key: PublicKey) -> PathBuf {
    Path::new(SIGNATURES).join(format!("{model_id}.{key}"))
}

fn read_card(bytes: &[u8]) -> Result<(ModelCard, String), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let line = text.strip_suffix('\n').ok_or("its end is missing")?;
    let (_, body) = unseal(CHAIN_START, line).ok_or("its checksum does not fit")?;
    let card = serde_json::from_str(body).map_err(|error| error.to_string())?;
    Ok((card, body.to_owned()))
}

fn to_json(what: &'static str, value: &impl serde::Serialize) -> Result<String, RegistryError> {
    serde_json::to_string(value).map_err(|source| RegistryError::Encoding { what, source })
}
