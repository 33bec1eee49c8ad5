//! Why a worker of a fleet ended before it was told to; retrying is for whoever runs it.

use dhow_streams::LogError;

use crate::{RekeyedError, StatesError};

/// Why a worker ended. Nothing is lost: whoever takes over goes on from what was written last.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Kafka refused or did not answer.
    #[error(transparent)]
    Kafka(#[from] LogError),
    /// A record of the source topic is no event.
    #[error("the record at offset {offset} of partition {partition} of {topic} is not an event: {reason}")]
    NotAnEvent {
        /// The source topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The record's number in it.
        offset: u64,
        /// The codec's reason.
        reason: String,
    },
    /// A record of the re-keyed topic is not what a router writes.
    #[error("the record at offset {offset} of partition {partition} of {topic} was not written by a router: {source}")]
    NotRekeyed {
        /// The re-keyed topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The record's number in it.
        offset: u64,
        /// What is wrong with it.
        source: RekeyedError,
    },
    /// Records of the re-keyed topic are missing.
    #[error(
        "partition {partition} of {topic} goes on with offset {found} where {expected} is due; records are missing: the topic must not be compacted, and only routers may write to it"
    )]
    Missing {
        /// The re-keyed topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that was due.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// State could not be loaded or written.
    #[error("the state of partition {partition} could not be {doing}: {source}")]
    States {
        /// What was tried, for example `loaded`.
        doing: &'static str,
        /// The partition of the re-keyed topic.
        partition: u32,
        /// The reason.
        source: StatesError,
    },
    /// A setting that cannot work.
    #[error("the fleet's setting {name} {problem}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// A stage's thread ended by a panic.
    #[error("the {stage} stage broke down; its message stands in the log")]
    BrokeDown {
        /// Which stage.
        stage: &'static str,
    },
}
