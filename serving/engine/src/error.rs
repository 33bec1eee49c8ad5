//! Why the platform could not start or could not answer; status codes are the API's.

use dhow_commerce::{CommerceError, FieldProblem, StorageError};
use dhow_online::ReadError;

/// Why a start or an answer failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request is wrong.
    #[error("{}", .0.iter().map(|p| format!("{} {}", p.pointer, p.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldProblem>),
    /// There is no such thing, or it is another tenant's.
    #[error("there is no {0}")]
    NotFound(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    /// No model serves this task yet.
    #[error("no {task} model is in force for this tenant; train one with `dhow train {task}`")]
    NoModel {
        /// The task.
        task: &'static str,
    },
    /// The fraud model in force has no score of this kind of fraud.
    #[error(
        "the fraud model in force does not score {kind}: {reason}; train one with `dhow train fraud` once more is known"
    )]
    KindNotScored {
        /// The kind, in words.
        kind: &'static str,
        /// Why it has none.
        reason: String,
    },
    /// As many questions of this kind as may be are under way.
    #[error("{0} are under way already; try again shortly")]
    Busy(String),
    /// Feature state that lies elsewhere cannot be had now.
    #[error("{0}; try again shortly")]
    FeaturesUnavailable(String),
    /// A commerce rule or the database.
    #[error(transparent)]
    Commerce(#[from] CommerceError),
    /// A part of the data folder, a model or a service failed.
    #[error("{part}: {reason}")]
    Failed {
        /// Which part.
        part: &'static str,
        /// What it said.
        reason: String,
    },
}

impl EngineError {
    /// One wrong field.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::new(pointer, message)])
    }
}

impl From<StorageError> for EngineError {
    fn from(error: StorageError) -> Self {
        CommerceError::from(error).into()
    }
}

/// Why features could not be read.
pub(crate) fn unread(error: ReadError) -> EngineError {
    match error {
        ReadError::Unavailable(_) => EngineError::FeaturesUnavailable(error.to_string()),
        _ => EngineError::Failed { part: "features", reason: error.to_string() },
    }
}

/// Wraps the error of a part.
pub(crate) fn failed<E: std::fmt::Display>(part: &'static str) -> impl FnOnce(E) -> EngineError {
    move |error| EngineError::Failed { part, reason: error.to_string() }
}
