//! Why a call of the protocol fails, in kinds that each of its forms has a code for; it knows no status numbers.

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    Invalid,
    /// There is no such model, or it is not loaded.
    NotFound,
    /// No key, or one that is not in force.
    Unauthenticated,
    /// The key does not grant this.
    Forbidden,
    /// The model's queue is full, or the caller's rate is spent; the same request may succeed soon.
    Busy,
    /// The request's time ran out before its answer.
    Deadline,
    /// The protocol knows it, this server does not do it.
    Unsupported,
    /// Something that the answer needs is away for a moment.
    Unavailable,
    /// A fault of the model or of the server.
    Failed,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InferenceError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What happened and what would be right.
    pub message: String,
}

impl InferenceError {
    /// A failure of some kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A wrong request.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A model that is not there, or not loaded.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Something that the protocol knows and this server does not do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// A fault of the model or of the server.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }
}
