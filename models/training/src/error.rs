//! Why a training ended without a model; each variant says which task and what was missing.

/// Why a training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The tables could not be read.
    #[error(transparent)]
    Tables(#[from] dhow_offline::OfflineError),
    /// The feature definitions do not give a vector.
    #[error(transparent)]
    Definitions(#[from] dhow_definitions::DefinitionError),
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] dhow_registry::RegistryError),
    /// There is too little to learn from.
    #[error("{task}: {reason}")]
    Data {
        /// The task.
        task: &'static str,
        /// What is missing.
        reason: String,
    },
    /// A trainer refused.
    #[error("{task}: {reason}")]
    Trainer {
        /// The task.
        task: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Wraps a trainer's error with its task.
pub(crate) fn trainer<E: std::fmt::Display>(task: &'static str) -> impl Fn(E) -> TrainingError {
    move |error| TrainingError::Trainer { task, reason: error.to_string() }
}
