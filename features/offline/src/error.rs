//! What can go wrong offline, in words that name the file or the query; it decides no status codes.

use std::path::PathBuf;

/// Why a lake, a query or a training set failed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The lake was written by a program of another version.
    #[error(
        "{path} has version {found} and this program reads version {known}; use the program that wrote it, or delete the lake's folder and let the stream worker write it anew from the log"
    )]
    ManifestVersion {
        /// The list's path.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
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
    /// The place that holds a lake could not be used.
    #[error("{place}: {reason}")]
    Storage {
        /// Which, with the file.
        place: String,
        /// What it said.
        reason: String,
    },
    /// Another writer is at work on the lake, or has been since this one opened it.
    #[error(
        "the lake at {place} has another writer: {reason}; one writer at a time, and whoever lost opens the lake again"
    )]
    OtherWriter {
        /// The lake.
        place: String,
        /// How it shows.
        reason: String,
    },
    /// A file of a table has a column whose values do not fit the table of this program.
    #[error(
        "{file}: column `{column}` is {found} and the table has {wanted}; only integers and floats are widened, so read this file with the program that wrote it, or let the stream worker write the lake anew"
    )]
    Retyped {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type in the file.
        found: String,
        /// Its type in the table.
        wanted: String,
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
