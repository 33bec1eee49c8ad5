//! Reads one partition of a topic by offset, continuing where it stopped; it knows nothing of the partition's bounds.

use std::time::Duration;

use dhow_events::{Timestamp, codec};
use dhow_streams::Record;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

/// The kibibytes that a reader fetches ahead of what was asked for.
const FETCH_AHEAD_KIB: u32 = 8 << 10;

/// The client wants a name even where no group is joined and no offset is committed.
const UNUSED_GROUP: &str = "dhow-reader";

/// A reader of one partition.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
    partition: u32,
    timeout: Duration,
    /// The offset that the consumer gives next, once it was assigned.
    next: Option<u64>,
}

impl Reader {
    /// Connects a consumer that belongs to no group and stores no offsets.
    pub fn new(client: &ClientConfig, topic: &str, partition: u32, timeout: Duration) -> Result<Self, String> {
        let consumer = client
            .clone()
            .set("group.id", UNUSED_GROUP)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", FETCH_AHEAD_KIB.to_string())
            .create()
            .map_err(|e| e.to_string())?;
        Ok(Self { consumer, topic: topic.to_owned(), partition, timeout, next: None })
    }

    /// Appends to `into` at most `records_max` records from offset `from` to before `end`, which exists.
    pub fn read(&mut self, from: u64, end: u64, records_max: usize, into: &mut Vec<Record>) -> Result<(), String> {
        if from >= end || records_max == 0 {
            return Ok(());
        }
        if self.next != Some(from) {
            self.seek(from)?;
        }
        // Unknown until all is read: after a failure the consumer's place is not relied on.
        self.next = None;
        let (mut next, mut left) = (from, records_max);
        while left > 0 && next < end {
            let message = self.consumer.poll(self.timeout);
            let message = message.ok_or_else(|| format!("no record from offset {next} within {:?}", self.timeout))?;
            let record = record(&message.map_err(|e| e.to_string())?, self.partition)?;
            next = record.offset + 1;
            left -= 1;
            into.push(record);
        }
        self.next = Some(next);
        Ok(())
    }

    fn seek(&self, offset: u64) -> Result<(), String> {
        let mut assignment = TopicPartitionList::with_capacity(1);
        let offset = i64::try_from(offset).map_err(|_| format!("offset {offset} is beyond what Kafka can number"))?;
        assignment
            .add_partition_offset(&self.topic, self.partition as i32, Offset::Offset(offset))
            .and_then(|()| self.consumer.assign(&assignment))
            .map_err(|e| e.to_string())
    }
}

fn record(message: &BorrowedMessage<'_>, partition: u32) -> Result<Record, String> {
    let offset = message.offset();
    let place = |problem: String| format!("the record at offset {offset} {problem}");
    let known_millis = message.timestamp().to_millis().ok_or_else(|| place("has no timestamp".to_owned()))?;
    let payload = message.payload().ok_or_else(|| place("has no payload".to_owned()))?;
    let event = codec::decode(payload).map_err(|e| place(format!("is not an event: {e}")))?;
    let known_time = Timestamp::from_millis(known_millis);
    Ok(Record { partition, offset: u64::try_from(offset).map_err(|e| place(e.to_string()))?, known_time, event })
}
