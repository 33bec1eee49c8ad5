//! The event log over Kafka: the same [`dhow_streams::Log`] as the local one, kept in a topic; it joins no consumer group.
//!
//! A record's payload is the event in [`dhow_events::codec`], its key is the tenant, a zero byte and the fact's routing
//! key in 16 bytes, and its partition is [`dhow_streams::partition_of`] of the event. The known time is Kafka's
//! timestamp of the record, which has milliseconds: the writer's clock, rounded up, when it hands the record over.
//! It never goes back within one [`KafkaLog`], nor against the records that were there when it was opened. Where several
//! processes write to one topic, set the topic's `message.timestamp.type` to `LogAppendTime`, so that the one broker
//! that leads a partition sets the time.

mod delivery;
mod log;
mod reader;

pub use log::{KafkaLog, KafkaSettings};
