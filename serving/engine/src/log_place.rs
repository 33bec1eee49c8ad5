//! Where the event log is kept: files of the data folder, or a topic of a Kafka cluster; both are one trait from there on.

use std::path::Path;
use std::sync::Arc;

use dhow_events::Clock;
use dhow_kafka::{KafkaLog, KafkaSettings};
use dhow_streams::{LocalLog, LocalLogSettings, Log, LogError};

/// Where the event log is kept.
#[derive(Debug, Clone)]
pub enum LogPlace {
    /// In the data folder; an existing log keeps its number of partitions.
    Local(LocalLogSettings),
    /// In a Kafka topic, which must exist.
    Kafka(KafkaSettings),
}

impl LogPlace {
    /// Opens the log; `folder` is used by a local one.
    ///
    /// # Errors
    /// A damaged log, one that another process holds, or a broker that does not answer.
    pub fn open(&self, folder: &Path, clock: Arc<dyn Clock>) -> Result<Arc<dyn Log>, LogError> {
        match self {
            Self::Local(settings) => Ok(Arc::new(LocalLog::open(folder, *settings, clock)?)),
            Self::Kafka(settings) => Ok(Arc::new(KafkaLog::open(settings.clone(), clock)?)),
        }
    }
}
