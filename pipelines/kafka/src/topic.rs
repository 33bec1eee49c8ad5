//! What is asked of a topic as a whole: that it is there, that it is made, how far a group has come; no record is read.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, current, park_timeout};
use std::time::Duration;

use dhow_streams::LogError;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::group::GroupSettings;

/// How often the answer of an administrative request is looked for, should its wake-up be lost.
const ANSWER_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How far a consumer group has come in one partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupProgress {
    /// The partition.
    pub partition: u32,
    /// The offset of the next record for the group; nothing where it has not committed any.
    pub committed: Option<u64>,
    /// The offset of the oldest record that is kept.
    pub start: u64,
    /// The offset that the next record will have.
    pub end: u64,
}

impl GroupProgress {
    /// Records that are there and not done by the group.
    pub fn lag(&self) -> u64 {
        self.end.saturating_sub(self.committed.unwrap_or(self.start))
    }
}

/// How far the group of `settings` has come in each partition of its topic. Joins nothing and changes nothing.
///
/// # Errors
/// No broker answers in time, or the topic is not there or has another number of partitions.
pub fn group_progress(settings: &GroupSettings) -> Result<Vec<GroupProgress>, LogError> {
    let GroupSettings { brokers, topic, partitions, request_timeout, .. } = settings;
    let consumer: BaseConsumer = settings.client().create().map_err(refused)?;
    check_topic(consumer.client(), brokers, topic, *partitions, *request_timeout)?;
    let failed = |doing: &str, error| failed(brokers, topic, doing, error);
    let all: Vec<u32> = (0..*partitions).collect();
    let committed =
        committed(&consumer, topic, &all, *request_timeout).map_err(|e| failed("say what a group has done", e))?;
    let progress = |(partition, committed): (u32, Option<u64>)| {
        let bounds = consumer.fetch_watermarks(topic, partition as i32, *request_timeout);
        let (start, end) = bounds.map_err(|e| failed("give the ends of a partition", e))?;
        Ok(GroupProgress { partition, committed, start: start.max(0) as u64, end: end.max(0) as u64 })
    };
    all.into_iter().zip(committed).map(progress).collect()
}

/// What the consumer's group has committed, for each of `partitions`.
pub(crate) fn committed<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[u32],
    timeout: Duration,
) -> Result<Vec<Option<u64>>, rdkafka::error::KafkaError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for &partition in partitions {
        asked.add_partition(topic, partition as i32);
    }
    let answer = consumer.committed_offsets(asked, timeout)?;
    let offset = |&partition: &u32| match answer.find_partition(topic, partition as i32).map(|found| found.offset()) {
        Some(Offset::Offset(offset)) => u64::try_from(offset).ok(),
        _ => None,
    };
    Ok(partitions.iter().map(offset).collect())
}

/// Makes a topic of `partitions` partitions, each kept by `replicas` brokers, and says whether it was not there before.
///
/// # Errors
/// No broker answers in time, or it refuses.
pub fn create_topic(
    brokers: &str,
    topic: &str,
    partitions: u32,
    replicas: u32,
    timeout: Duration,
) -> Result<bool, LogError> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).set("client.id", "dhow").create().map_err(refused)?;
    let new = NewTopic::new(topic, partitions as i32, TopicReplication::Fixed(replicas as i32));
    let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
    let results = answer(admin.create_topics([&new], &options), timeout);
    let failed = |reason: String| failed(brokers, topic, "make a topic", reason);
    let results = results.ok_or_else(|| failed(format!("no answer within {timeout:?}")))?;
    match results.map_err(|e| failed(e.to_string()))?.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => Err(failed(code.to_string())),
        None => Err(failed("it said nothing of the topic".to_owned())),
    }
}

/// Checks that `topic` is there with `partitions` partitions.
pub(crate) fn check_topic<C: ClientContext>(
    client: &Client<C>,
    brokers: &str,
    topic: &str,
    partitions: u32,
    timeout: Duration,
) -> Result<(), LogError> {
    let metadata = client.fetch_metadata(Some(topic), timeout).map_err(|error| {
        LogError::Service(format!(
            "no Kafka broker answers at {brokers} within {timeout:?} ({error}); start it or correct the address"
        ))
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.filter(|found| found.error().is_none()).map_or(0, |found| found.partitions().len());
    if count == 0 {
        let problem = format!("names {topic}, which Kafka at {brokers} does not have; create it");
        return Err(LogError::Setting { name: "topic", problem });
    }
    if count != partitions as usize {
        let problem = format!("is {partitions}, but topic {topic} at {brokers} has {count}; use {count}");
        return Err(LogError::Setting { name: "partitions", problem });
    }
    Ok(())
}

/// Checks a number of partitions and that no time is zero.
pub(crate) fn check_settings(partitions: u32, times: &[(&'static str, Duration)]) -> Result<(), LogError> {
    if partitions == 0 || i32::try_from(partitions).is_err() {
        let problem = format!("is {partitions}; it must be from 1 to {}", i32::MAX);
        return Err(LogError::Setting { name: "partitions", problem });
    }
    match times.iter().find(|(_, time)| time.is_zero()) {
        Some(&(name, _)) => Err(LogError::Setting { name, problem: "is zero; the broker needs some time".to_owned() }),
        None => Ok(()),
    }
}

/// The client refuses what it was configured with.
pub(crate) fn refused(error: impl std::fmt::Display) -> LogError {
    LogError::Service(format!("the Kafka client refuses its settings: {error}"))
}

/// Names the brokers, the topic and what they could not do.
pub(crate) fn failed(brokers: &str, topic: &str, doing: &str, reason: impl std::fmt::Display) -> LogError {
    LogError::Service(format!("Kafka at {brokers} could not {doing} (topic {topic}): {reason}"))
}

/// Wakes the thread that waits for an answer.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer on this thread; nothing where none comes in about twice the time, which the request has itself.
fn answer<T>(request: impl Future<Output = T>, timeout: Duration) -> Option<T> {
    let mut request = pin!(request);
    let waker = Waker::from(Arc::new(Unpark(current())));
    let looks = 2 * timeout.as_millis() / ANSWER_POLL_INTERVAL.as_millis() + 1;
    for _ in 0..looks {
        if let Poll::Ready(answer) = request.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(answer);
        }
        park_timeout(ANSWER_POLL_INTERVAL);
    }
    None
}
