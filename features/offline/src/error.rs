//! What can go wrong offline, in words that name the file or the query; it decides no status codes.

use std::path::PathBuf;

/// Why a lake, a query or a training set failed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The list of the lake's files is damaged.
    #[error(
        "{path} is damaged: {reason}; restore it from a backup, or delete the lake's folder and let the stream worker write it anew"
    )]
    Manifest {
        /// The list's path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A Parquet file could not be written or read.
    #[error("{path}: {source}")]
    Parquet {
        /// Which.
        path: PathBuf,
        /// What the library said.
        source: parquet::errors::ParquetError,
    },
    /// A table could not be built.
    #[error("table `{table}`: {reason}")]
    Table {
        /// Which.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// The query is not one SELECT, or names what does not exist.
    #[error("the query was refused: {0}")]
    Query(String),
    /// The query needs more than it may.
    #[error("the query was stopped: {0}")]
    Bound(String),
    /// A checked file could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] dhow_streams::checkpoint::CheckpointError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] dhow_streams::LogError),
    /// The inputs of a join do not fit together.
    #[error("as-of join: {0}")]
    Join(String),
}

impl OfflineError {
    /// A failure of the file at `path`.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }
}
