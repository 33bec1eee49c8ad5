//! Sends messages to chosen partitions of a topic, in order and without a gap; it neither makes nor reads what they say.

use std::sync::Arc;
use std::time::Duration;

use dhow_events::Timestamp;
use dhow_streams::LogError;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::delivery::{Acknowledgements, Deliveries, Ticket, queue};
use crate::topic;

/// The most messages of one [`TopicSender::send`], and the most that wait in the client.
pub const SEND_MESSAGES_MAX: usize = 200_000;
/// What a message takes beside its payload, at most: timestamp and the batch's head.
const MESSAGE_OVERHEAD_BYTES: usize = 4096;
/// How long messages wait for others to be sent with.
const LINGER_MS: u32 = 1;

/// Where messages are sent and how long that may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderSettings {
    /// Addresses to begin with, for example `kafka-1:9092,kafka-2:9092`.
    pub brokers: String,
    /// The topic, which must exist.
    pub topic: String,
    /// The number of partitions that the topic must have, from 1.
    pub partitions: u32,
    /// How long a question about the topic may take.
    pub request_timeout: Duration,
    /// How long one [`TopicSender::send`] may take until all is acknowledged, retries included.
    pub delivery_timeout: Duration,
    /// The longest payload in bytes; the topic's `max.message.bytes` must leave 4 KiB more.
    pub payload_bytes_max: usize,
}

impl SenderSettings {
    /// 10 seconds for a request, 30 for a delivery, payloads up to 513 KiB.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>, partitions: u32) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            partitions,
            request_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(30),
            payload_bytes_max: 513 << 10,
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// To which partition.
    pub partition: u32,
    /// Its time in Kafka, by which old messages are removed; kept in milliseconds.
    pub time: Timestamp,
    /// What it says.
    pub payload: Vec<u8>,
}

/// Sends to one topic so that what arrives in a partition is a beginning of what was sent to it, in that order.
///
/// The client's retries write nothing twice and overtake nothing. No message is given up alone: there is no time-out of
/// single messages, a message that the broker refuses for good stops all that follow, and after any failure the sender
/// takes nothing more. So of what one sender has sent to a partition, nothing is ever there without all before it.
pub struct TopicSender {
    settings: SenderSettings,
    producer: ThreadedProducer<Acknowledgements>,
    /// Why it takes nothing more.
    stopped: Option<String>,
}

impl TopicSender {
    /// Connects to the brokers and checks the topic.
    ///
    /// # Errors
    /// No broker answers in time, the topic does not exist or has another number of partitions, or a setting that the
    /// client refuses.
    pub fn open(settings: SenderSettings) -> Result<Self, LogError> {
        let SenderSettings { brokers, topic, partitions, request_timeout, delivery_timeout, payload_bytes_max } =
            &settings;
        let times = [("request_timeout", *request_timeout), ("delivery_timeout", *delivery_timeout)];
        topic::check_settings(*partitions, &times)?;
        let producer: ThreadedProducer<Acknowledgements> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("client.id", "dhow")
            .set("message.max.bytes", (payload_bytes_max + MESSAGE_OVERHEAD_BYTES).to_string())
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            // Never: a message that is given up alone would leave a gap. The whole delivery is timed instead.
            .set("message.timeout.ms", "0")
            .set("linger.ms", LINGER_MS.to_string())
            .set("queue.buffering.max.messages", SEND_MESSAGES_MAX.to_string())
            .create_with_context(Acknowledgements)
            .map_err(topic::refused)?;
        topic::check_topic(producer.client(), brokers, topic, *partitions, *request_timeout)?;
        Ok(Self { settings, producer, stopped: None })
    }

    /// The number of partitions of the topic.
    pub fn partition_count(&self) -> u32 {
        self.settings.partitions
    }

    /// Sends `messages` and returns once all in-sync replicas have them.
    ///
    /// # Errors
    /// Too many or too long messages, or no such partition: nothing was sent. Otherwise the brokers refused or were not
    /// in time: of each partition's messages a beginning may have arrived, more may still, and the sender is stopped.
    pub fn send(&mut self, messages: &[Message]) -> Result<(), LogError> {
        if let Some(reason) = &self.stopped {
            return Err(LogError::Stopped(reason.clone()));
        }
        self.check(messages)?;
        let sent = self.deliver(messages);
        if let Err(error) = &sent {
            self.stopped = Some(error.to_string());
        }
        sent
    }

    fn check(&self, messages: &[Message]) -> Result<(), LogError> {
        let SenderSettings { partitions: partition_count, payload_bytes_max: limit, .. } = self.settings;
        if messages.len() > SEND_MESSAGES_MAX {
            return Err(LogError::TooManyEvents { found: messages.len(), limit: SEND_MESSAGES_MAX });
        }
        for (index, Message { partition, payload, .. }) in messages.iter().enumerate() {
            if *partition >= partition_count {
                return Err(LogError::Partition { partition: *partition, partition_count });
            }
            if payload.len() > limit {
                return Err(LogError::EventTooLong { index, found: payload.len(), limit });
            }
        }
        Ok(())
    }

    fn deliver(&self, messages: &[Message]) -> Result<(), LogError> {
        let SenderSettings { brokers, topic, delivery_timeout, .. } = &self.settings;
        let deliveries = Arc::new(Deliveries::new(messages.len()));
        for (index, message) in messages.iter().enumerate() {
            let ticket = Box::new(Ticket { deliveries: Arc::clone(&deliveries), index });
            let record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, ticket)
                .partition(message.partition as i32)
                .payload(&message.payload)
                .timestamp(message.time.micros().div_euclid(1000));
            queue(&self.producer, record, *delivery_timeout)
                .map_err(|e| topic::failed(brokers, topic, "take a message", e))?;
        }
        let offsets = deliveries.wait(*delivery_timeout);
        offsets.map(drop).map_err(|reason| topic::failed(brokers, topic, "take the messages", reason))
    }
}
