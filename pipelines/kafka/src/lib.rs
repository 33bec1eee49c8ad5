//! The event log over Kafka: the same [`dhow_streams::Log`] as the local one, kept in a topic, and groups that share one out.
//!
//! A record's payload is the event in [`dhow_events::codec`], its key is the tenant, a zero byte and the fact's routing
//! key in 16 bytes, and its partition is [`dhow_streams::partition_of`] of the event. The known time is Kafka's
//! timestamp of the record, which has milliseconds: the writer's clock, rounded up, when it hands the record over.
//! It never goes back within one [`KafkaLog`], nor against the records that were there when it was opened. Where several
//! processes write to one topic, set the topic's `message.timestamp.type` to `LogAppendTime`, so that the one broker
//! that leads a partition sets the time.
//!
//! A [`KafkaLog`] joins no consumer group. Workers that share a topic's partitions do so as members of a [`Group`], and
//! hand on what they make of it by a [`TopicSender`], without a gap.

mod delivery;
mod group;
mod log;
mod reader;
mod sender;
mod topic;

pub use group::{Committed, Group, GroupSettings, RawRecord, Start, Step};
pub use log::{KafkaLog, KafkaSettings};
pub use sender::{Message, SEND_MESSAGES_MAX, SenderSettings, TopicSender};
pub use topic::{GroupProgress, create_topic, group_progress};
