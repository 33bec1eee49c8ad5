//! [`KafkaLog`]: producing with acknowledgements, bounds of partitions, and start-up checks; fetching is the reader's.

use std::sync::Arc;
use std::time::Duration;

use dhow_events::{Clock, Event, Timestamp, codec};
use dhow_streams::{Log, LogError, Offsets, Position, Record, RecordChange, partition_of};
use parking_lot::{Condvar, Mutex};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::delivery::{Acknowledgements, Deliveries, Ticket, queue};
use crate::reader::Reader;
use crate::topic;

/// The most events of one append.
const APPEND_EVENTS_MAX: usize = 100_000;
/// The most messages that wait in the client to be sent.
const QUEUE_MESSAGES_MAX: usize = 2 * APPEND_EVENTS_MAX;
/// What a message takes beside its payload, at most: key, timestamp and the batch's head.
const MESSAGE_OVERHEAD_BYTES: usize = 4096;
/// How long messages wait for others to be sent with.
const LINGER_MS: u32 = 1;
/// How often [`Log::wait`] asks the broker for new ends.
const WAIT_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The longest answer to a delivery after its own time is over.
const DELIVERY_GRACE: Duration = Duration::from_secs(5);

/// Where the log is kept and how long its broker may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Addresses to begin with, for example `kafka-1:9092,kafka-2:9092`.
    pub brokers: String,
    /// The topic, which must exist.
    pub topic: String,
    /// The number of partitions that the topic must have, from 1; events are routed by it.
    pub partitions: u32,
    /// How long metadata, offsets and fetches may take.
    pub request_timeout: Duration,
    /// How long an append may take until all brokers that must have it have acknowledged it, retries included.
    pub delivery_timeout: Duration,
    /// The longest encoded event in bytes; the topic's `max.message.bytes` must leave 4 KiB more.
    pub event_bytes_max: usize,
}

impl KafkaSettings {
    /// 10 seconds for a request, 30 for a delivery, events up to 512 KiB.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>, partitions: u32) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            partitions,
            request_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(30),
            event_bytes_max: 512 << 10,
        }
    }
}

/// A log in a Kafka topic.
pub struct KafkaLog {
    settings: KafkaSettings,
    clock: Arc<dyn Clock>,
    producer: ThreadedProducer<Acknowledgements>,
    /// One reader for each partition, connected by the first read.
    readers: Vec<Mutex<Option<Reader>>>,
    client: ClientConfig,
    /// The latest known time so far, in milliseconds. Held while messages are queued, so that their order is its order.
    known_millis: Mutex<i64>,
    /// Counts appends of this process, to wake those who wait for them.
    appends: Mutex<u64>,
    appended: Condvar,
}

impl KafkaLog {
    /// Connects to the brokers and checks the topic. Known times come from `clock`, rounded up to milliseconds.
    ///
    /// # Errors
    /// No broker answers in time, the topic does not exist or has another number of partitions, or a setting that the
    /// client refuses.
    pub fn open(settings: KafkaSettings, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let times = [("request_timeout", settings.request_timeout), ("delivery_timeout", settings.delivery_timeout)];
        topic::check_settings(settings.partitions, &times)?;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &settings.brokers).set("client.id", "dhow");
        client.set("message.max.bytes", (settings.event_bytes_max + MESSAGE_OVERHEAD_BYTES).to_string());
        let producer = client
            .clone()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", LINGER_MS.to_string())
            .set("queue.buffering.max.messages", QUEUE_MESSAGES_MAX.to_string())
            .set("message.timeout.ms", settings.delivery_timeout.as_millis().to_string())
            .create_with_context(Acknowledgements)
            .map_err(topic::refused)?;
        let log = Self {
            readers: (0..settings.partitions).map(|_| Mutex::new(None)).collect(),
            settings,
            clock,
            producer,
            client,
            known_millis: Mutex::new(0),
            appends: Mutex::new(0),
            appended: Condvar::new(),
        };
        let KafkaSettings { brokers, topic, partitions, request_timeout, .. } = &log.settings;
        topic::check_topic(log.producer.client(), brokers, topic, *partitions, *request_timeout)?;
        *log.known_millis.lock() = log.last_known_millis()?;
        Ok(log)
    }

    /// The latest known time among the last records of the partitions.
    fn last_known_millis(&self) -> Result<i64, LogError> {
        let mut last = Vec::new();
        for partition in 0..self.settings.partitions {
            let (start, end) = self.bounds(partition)?;
            if end > start {
                self.read(partition, end - 1, 1, &mut last)?;
            }
        }
        Ok(last.iter().map(|record| record.known_time.micros() / 1000).fold(0, i64::max))
    }

    /// The oldest kept offset and the next one of a partition.
    fn bounds(&self, partition: u32) -> Result<(u64, u64), LogError> {
        let KafkaSettings { topic, partitions, request_timeout, .. } = &self.settings;
        if partition >= *partitions {
            return Err(LogError::Partition { partition, partition_count: *partitions });
        }
        let bounds = self.producer.client().fetch_watermarks(topic, partition as i32, *request_timeout);
        let (start, end) = bounds.map_err(|e| self.failed("give the ends of a partition", e))?;
        Ok((start.max(0) as u64, end.max(0) as u64))
    }

    fn encode<'a>(&self, events: impl ExactSizeIterator<Item = &'a Event>) -> Result<Vec<Vec<u8>>, LogError> {
        if events.len() > APPEND_EVENTS_MAX {
            return Err(LogError::TooManyEvents { found: events.len(), limit: APPEND_EVENTS_MAX });
        }
        let limit = self.settings.event_bytes_max;
        let encode = |(index, event): (usize, &Event)| {
            let payload = codec::encode(event, Vec::new());
            let payload = payload.map_err(|e| LogError::Encode { index, reason: e.to_string() })?;
            let found = payload.len();
            if found > limit { Err(LogError::EventTooLong { index, found, limit }) } else { Ok(payload) }
        };
        events.enumerate().map(encode).collect()
    }

    /// Queues the events in order, all with the known time of now.
    fn send_now(&self, events: &[Event], payloads: &[Vec<u8>], deliveries: &Arc<Deliveries>) -> Result<(), LogError> {
        let mut known_millis = self.known_millis.lock();
        let millis = millis_from(self.clock.now()).max(*known_millis);
        if millis <= 0 {
            let problem = "Kafka keeps times after 1970 only, and the clock here shows an earlier one";
            return Err(LogError::Service(problem.to_owned()));
        }
        *known_millis = millis;
        let mut messages = events.iter().zip(payloads).enumerate();
        messages.try_for_each(|(index, (event, payload))| self.send(event, payload, millis, index, deliveries))
    }

    /// Queues the events in order, each with the known time beside it.
    fn send_known(
        &self,
        arrivals: &[(Event, Timestamp)],
        payloads: &[Vec<u8>],
        deliveries: &Arc<Deliveries>,
    ) -> Result<(), LogError> {
        let mut known_millis = self.known_millis.lock();
        let mut last = *known_millis;
        for (index, (event, known_time)) in arrivals.iter().enumerate() {
            let millis = millis_from(*known_time);
            if millis < last || millis <= 0 {
                let partition = partition_of(event, self.settings.partitions);
                let last = Timestamp::from_micros(last.max(1) * 1000);
                return Err(LogError::KnownTime { index, partition, found: *known_time, last });
            }
            last = millis;
        }
        *known_millis = last;
        let mut messages = arrivals.iter().zip(payloads).enumerate();
        messages.try_for_each(|(index, ((event, known_time), payload))| {
            self.send(event, payload, millis_from(*known_time), index, deliveries)
        })
    }

    /// Queues one event, the `index`-th of its append.
    fn send(
        &self,
        event: &Event,
        payload: &[u8],
        millis: i64,
        index: usize,
        deliveries: &Arc<Deliveries>,
    ) -> Result<(), LogError> {
        let key = key_of(event);
        let ticket = Box::new(Ticket { deliveries: Arc::clone(deliveries), index });
        let message = BaseRecord::with_opaque_to(&self.settings.topic, ticket)
            .partition(partition_of(event, self.settings.partitions) as i32)
            .key(&key)
            .payload(payload)
            .timestamp(millis);
        queue(&self.producer, message, self.settings.delivery_timeout).map_err(|e| self.failed("take an event", e))
    }

    /// Waits until all are acknowledged and gives their positions.
    fn settle<'a>(
        &self,
        events: impl Iterator<Item = &'a Event>,
        deliveries: &Deliveries,
    ) -> Result<Vec<Position>, LogError> {
        let offsets = deliveries.wait(self.settings.delivery_timeout + DELIVERY_GRACE);
        let offsets = offsets.map_err(|reason| self.failed("take the events", reason))?;
        *self.appends.lock() += 1;
        self.appended.notify_all();
        let position = |(event, offset)| Position { partition: partition_of(event, self.settings.partitions), offset };
        Ok(events.zip(offsets).map(position).collect())
    }

    fn failed(&self, doing: &str, reason: impl std::fmt::Display) -> LogError {
        topic::failed(&self.settings.brokers, &self.settings.topic, doing, reason)
    }

    fn is_beyond(&self, ends: &Offsets) -> Result<bool, LogError> {
        for (partition, &end) in (0..).zip(&ends.0) {
            if self.end(partition)? > end {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Log for KafkaLog {
    fn partition_count(&self) -> u32 {
        self.settings.partitions
    }

    /// Durable once all in-sync replicas have the events. The client's retries write nothing twice; an append that ended
    /// with an error can still arrive, in part or as a whole.
    fn append(&self, events: &[Event]) -> Result<Vec<Position>, LogError> {
        let payloads = self.encode(events.iter())?;
        let deliveries = Arc::new(Deliveries::new(events.len()));
        self.send_now(events, &payloads, &deliveries)?;
        self.settle(events.iter(), &deliveries)
    }

    /// Known times are rounded up to milliseconds, and none may lie before the latest in the topic.
    fn append_known(&self, arrivals: &[(Event, Timestamp)]) -> Result<Vec<Position>, LogError> {
        let payloads = self.encode(arrivals.iter().map(|(event, _)| event))?;
        let deliveries = Arc::new(Deliveries::new(arrivals.len()));
        self.send_known(arrivals, &payloads, &deliveries)?;
        self.settle(arrivals.iter().map(|(event, _)| event), &deliveries)
    }

    fn read(&self, partition: u32, from: u64, records_max: usize, into: &mut Vec<Record>) -> Result<(), LogError> {
        let (start, end) = self.bounds(partition)?;
        if from > end {
            return Err(LogError::BeyondEnd { partition, from, end });
        }
        if from < start {
            return Err(LogError::BeforeStart { partition, from, start });
        }
        let failed = |reason| self.failed("give records", reason);
        let KafkaSettings { topic, request_timeout, .. } = &self.settings;
        let mut slot = self.readers[partition as usize].lock();
        let reader = match &mut *slot {
            Some(reader) => reader,
            None => slot.insert(Reader::new(&self.client, topic, partition, *request_timeout).map_err(failed)?),
        };
        reader.read(from, end, records_max, into).map_err(failed)
    }

    fn end(&self, partition: u32) -> Result<u64, LogError> {
        self.bounds(partition).map(|(_, end)| end)
    }

    /// A topic's records cannot be changed.
    fn rewrite(&self, _change: RecordChange<'_>) -> Result<u64, LogError> {
        Err(LogError::Immutable(format!("the Kafka topic {}", self.settings.topic)))
    }

    /// Appends of this process wake at once; those of others are seen within 20 ms and the broker's answer.
    fn wait(&self, ends: &Offsets, timeout: Duration) -> Result<bool, LogError> {
        ends.check_partition_count(self.settings.partitions)?;
        let mut left = timeout;
        loop {
            let appends_before = *self.appends.lock();
            if self.is_beyond(ends)? {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            let pause = left.min(WAIT_POLL_INTERVAL);
            let mut appends = self.appends.lock();
            self.appended.wait_while_for(&mut appends, |appends| *appends == appends_before, pause);
            left -= pause;
        }
    }
}

/// Milliseconds since 1970, rounded up, so that no record seems to have been known before it was.
fn millis_from(time: Timestamp) -> i64 {
    time.micros().saturating_add(999).div_euclid(1000)
}

/// Tenant, zero byte, routing key: equal keys always share a partition.
fn key_of(event: &Event) -> Vec<u8> {
    let routing_key = event.fact.routing_key().to_be_bytes();
    [event.tenant.as_str().as_bytes(), &[0], &routing_key].concat()
}
