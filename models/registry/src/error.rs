//! Why the registry refused or failed; the errors of models themselves are with the models.

use std::path::PathBuf;

use dhow_events::{ModelId, TenantId};

use crate::card::Task;
use crate::ledger::CorruptLine;

/// A refused or failed action of the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file or folder could not be read or written.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried, such as `reading`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another process kept the registry locked for longer than a writer may.
    #[error("the model registry stayed locked by another process for {waited_s} s ({path}); try again when it is done")]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long this process waited, in seconds.
        waited_s: u64,
    },
    /// An artifact or text that is over a bound, or a card that contradicts itself.
    #[error("the model cannot be registered: {0}")]
    BadCard(String),
    /// No model has this id.
    #[error("no model {0} is registered")]
    UnknownModel(ModelId),
    /// The model was removed by [`Registry::collect`](crate::Registry::collect).
    #[error("model {model_id} was removed as no longer needed; its card is kept as {card}")]
    Collected {
        /// The model.
        model_id: ModelId,
        /// Where its card is.
        card: PathBuf,
    },
    /// The model belongs to another tenant than the one that asks.
    #[error("model {model_id} does not belong to tenant {tenant}")]
    OtherTenant {
        /// The model.
        model_id: ModelId,
        /// Who asked.
        tenant: TenantId,
    },
    /// A promotion that the ledger does not admit.
    #[error("model {model_id} cannot be promoted: {why}")]
    BadPromotion {
        /// The model.
        model_id: ModelId,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The tenant has no champion (or other alias) for the task.
    #[error("tenant {tenant} has no {alias} for {task}; promote a model first")]
    NoSuchAlias {
        /// Whose alias was asked for.
        tenant: TenantId,
        /// For which task.
        task: Task,
        /// Which alias.
        alias: crate::card::Alias,
    },
    /// The artifact's bytes are not the ones that were registered.
    #[error(
        "the artifact of model {model_id} is corrupt: {path} should have the hash {expected} and has {found}; \
         restore it from a backup or register the model again"
    )]
    CorruptArtifact {
        /// The model.
        model_id: ModelId,
        /// The artifact's file.
        path: PathBuf,
        /// The hash on the card.
        expected: String,
        /// The hash of the bytes.
        found: String,
    },
    /// No trusted key signed the model as it stands.
    #[error(
        "model {model_id} is not signed by a trusted key: {why}; whoever vouches for it signs it with \
         `dhow models sign {model_id}`"
    )]
    NotTrusted {
        /// The model.
        model_id: ModelId,
        /// Who signed it instead, or that its signature does not fit.
        why: String,
    },
    /// A model was to be signed without a key.
    #[error("there is no signing key; name its file as `signing_key_file` in `[registry]`")]
    NoSigningKey,
    /// A model card is not as it was written.
    #[error("the model card {path} is corrupt: {what}; restore it from a backup")]
    CorruptCard {
        /// The card's file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A finished line of the promotion ledger is not as it was written.
    #[error("the promotion ledger {path} is damaged, {source}; restore it from a backup")]
    CorruptLedger {
        /// The ledger's file.
        path: PathBuf,
        /// Which line.
        source: CorruptLine,
    },
    /// JSON could not be written.
    #[error("encoding {what}: {source}")]
    Encoding {
        /// What was to be written.
        what: &'static str,
        /// The encoder's error.
        source: serde_json::Error,
    },
}
