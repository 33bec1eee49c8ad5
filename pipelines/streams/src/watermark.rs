//! How far event time has come over all partitions, so that state can be freed; what is freed is the state's own matter.
//!
//! A watermark says that nothing much older is to be expected. It is the least, over the partitions that are active, of
//! the newest event time seen in each: a partition that runs far ahead cannot free what a slow one still needs. A
//! partition of which nothing was seen for the idle time-out holds nothing back any more: one that is dead cannot keep
//! state for ever. While every partition is idle the watermark stays, for then it is the log that is silent, and
//! silence is no reason to free anything.
//!
//! The watermark never moves back. A partition that wakes up after it was idle counts again from its next event on, and
//! until it has caught up it holds the watermark where it is. Its older events are treated like any other's: they count
//! where they lie within the allowed lateness behind the watermark, and beyond it the state refuses and counts them.
//! [`Watermark::behind_count`] says how many events lay behind the watermark when they came, late or not.

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::LogError;

/// What is known of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// The newest event time; nothing before the first event.
    newest: Option<Timestamp>,
    /// When its last event was observed, or the watching began.
    at: Timestamp,
}

/// The watermark of a log's partitions; plain data, which can be saved with the state that it frees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    idle_timeout_micros: i64,
    partitions: Vec<Seen>,
    reached: Option<Timestamp>,
    behind_count: u64,
}

impl Watermark {
    /// Begins at `now` to watch `partition_count` partitions. One without an event for `idle_timeout_micros` is idle.
    pub fn new(partition_count: u32, idle_timeout_micros: i64, now: Timestamp) -> Self {
        let unseen = Seen { newest: None, at: now };
        let partitions = vec![unseen; partition_count as usize];
        Self { idle_timeout_micros, partitions, reached: None, behind_count: 0 }
    }

    /// Takes in that an event of `event_time` was read from `partition` at `now`.
    ///
    /// # Errors
    /// No such partition.
    pub fn observe(&mut self, partition: u32, event_time: Timestamp, now: Timestamp) -> Result<(), LogError> {
        let partition_count = self.partitions.len() as u32;
        let seen = self.partitions.get_mut(partition as usize);
        let seen = seen.ok_or(LogError::Partition { partition, partition_count })?;
        seen.newest = seen.newest.max(Some(event_time));
        seen.at = seen.at.max(now);
        self.behind_count += u64::from(self.reached.is_some_and(|reached| event_time < reached));
        Ok(())
    }

    /// The watermark at `now`; nothing before every partition had an event or was idle.
    pub fn at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let is_active = |seen: &&Seen| now.micros_since(seen.at) < self.idle_timeout_micros;
        // A partition without an event has nothing for its newest time, which is less than every time.
        let least = self.partitions.iter().filter(is_active).map(|seen| seen.newest).min();
        self.reached = self.reached.max(least.flatten());
        self.reached
    }

    /// How many events were older than the watermark when they were observed.
    pub fn behind_count(&self) -> u64 {
        self.behind_count
    }
}
