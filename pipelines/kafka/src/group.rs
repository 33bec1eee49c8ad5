//! One member of a consumer group over one topic: what it is given, the records, its commits; what they mean is the caller's.

use std::collections::VecDeque;
use std::time::Duration;

use dhow_events::Timestamp;
use dhow_streams::LogError;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::topic;

/// The kibibytes that are fetched ahead of the caller, for each partition.
const FETCH_AHEAD_KIB: u32 = 8 << 10;
/// The most bytes of one partition in one answer.
const FETCH_PARTITION_BYTES_MAX: u32 = 1 << 20;
/// How long a broker may hold an answer back until there is something to send.
const FETCH_WAIT_MS: u32 = 100;
/// How soon more is fetched after what was fetched ahead fell below its bound.
const FETCH_PAUSE_MS: u32 = 10;
/// A member reports so many times in its session's time-out; it learns by it that the group shares out anew.
const HEARTBEATS_PER_SESSION: u32 = 6;
/// Two members that come and go leave the others their partitions, instead of all stopping for every change.
const ASSIGNMENT: &str = "cooperative-sticky";

/// Which group over which topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// Addresses to begin with, for example `kafka-1:9092,kafka-2:9092`.
    pub brokers: String,
    /// The topic, which must exist.
    pub topic: String,
    /// The number of partitions that the topic must have, from 1.
    pub partitions: u32,
    /// The group's name.
    pub group: String,
    /// How long the group waits for a member that is silent before it gives away what that one had.
    pub session_timeout: Duration,
    /// How long the member may be busy between two calls of [`Group::poll`] before it loses what it has.
    pub busy_timeout: Duration,
    /// How long questions and commits may take; above two seconds.
    pub request_timeout: Duration,
}

impl GroupSettings {
    /// 10 seconds of silence, 5 minutes between two polls, 10 seconds for a request.
    pub fn new(
        brokers: impl Into<String>,
        topic: impl Into<String>,
        partitions: u32,
        group: impl Into<String>,
    ) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            partitions,
            group: group.into(),
            session_timeout: Duration::from_secs(10),
            busy_timeout: Duration::from_secs(300),
            request_timeout: Duration::from_secs(10),
        }
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "dhow")
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", ASSIGNMENT)
            .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (self.session_timeout / HEARTBEATS_PER_SESSION).as_millis().to_string())
            .set("socket.timeout.ms", self.request_timeout.as_millis().to_string())
            .set("max.poll.interval.ms", self.busy_timeout.as_millis().to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A place that is no longer kept is an error, not a silent jump.
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", FETCH_AHEAD_KIB.to_string())
            .set("fetch.message.max.bytes", FETCH_PARTITION_BYTES_MAX.to_string())
            .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string())
            .set("fetch.queue.backoff.ms", FETCH_PAUSE_MS.to_string());
        client
    }
}

/// A record as the topic holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The partition.
    pub partition: u32,
    /// Its number in the partition.
    pub offset: u64,
    /// Kafka's time of the record, in milliseconds: for an event in the log its known time.
    pub time: Timestamp,
    /// What it says.
    pub payload: Vec<u8>,
}

/// What [`Group::poll`] came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These partitions are the member's now. Nothing is read of them before [`Group::begin`].
    Assigned(Vec<u32>),
    /// These partitions are the member's no more: no record of them follows, and another member may have them already.
    Revoked(Vec<u32>),
    /// The next record of one of the partitions.
    Record(RawRecord),
    /// Nothing in the time.
    Idle,
}

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that is kept.
    Oldest,
    /// At this offset. Should it not be kept any more, [`Group::poll`] says so.
    At(u64),
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// The group has it.
    Taken,
    /// The group is sharing out anew, has done so without this member, or cannot be had just now: what was committed
    /// before stands.
    Refused,
}

/// A member of a consumer group.
///
/// The partitions come and go by [`Group::poll`]. A member that is not heard of loses what it has without being told in
/// time, so being assigned a partition is no proof of being alone: whoever keeps state must make its writes conditional.
pub struct Group {
    settings: GroupSettings,
    consumer: BaseConsumer<Changes>,
    /// Partitions that were assigned and did not begin.
    unbegun: Option<Vec<u32>>,
}

impl Group {
    /// Checks the topic and asks to become a member; the first partitions come by [`Group::poll`].
    ///
    /// # Errors
    /// No broker answers in time, the topic does not exist or has another number of partitions, or a setting that the
    /// client refuses.
    pub fn join(settings: GroupSettings) -> Result<Self, LogError> {
        let GroupSettings { brokers, topic, partitions, request_timeout, session_timeout, busy_timeout, .. } =
            &settings;
        let times = [
            ("request_timeout", *request_timeout),
            ("session_timeout", *session_timeout),
            ("busy_timeout", *busy_timeout),
        ];
        topic::check_settings(*partitions, &times)?;
        let consumer: BaseConsumer<Changes> =
            settings.client().create_with_context(Changes::default()).map_err(topic::refused)?;
        topic::check_topic(consumer.client(), brokers, topic, *partitions, *request_timeout)?;
        consumer.subscribe(&[topic]).map_err(topic::refused)?;
        Ok(Self { settings, consumer, unbegun: None })
    }

    /// What comes next, within `timeout`. To be called again and again, see [`GroupSettings::busy_timeout`].
    ///
    /// Brokers that are gone for a while are waited for, with a warning; being silent is not an error of a log.
    ///
    /// # Errors
    /// Partitions that were assigned did not begin, a place to read from is not kept any more, a record without time or
    /// payload, or the brokers refuse for good.
    pub fn poll(&mut self, timeout: Duration) -> Result<Step, LogError> {
        if let Some(unbegun) = &self.unbegun {
            return Err(self.failed("go on", format!("partitions {unbegun:?} were assigned and did not begin")));
        }
        if let Some(step) = self.change()? {
            return Ok(step);
        }
        let record = match self.consumer.poll(timeout) {
            None => None,
            Some(Ok(message)) => Some(record(&message).map_err(|reason| self.failed("give a record", reason))?),
            Some(Err(KafkaError::MessageConsumption(error))) if PASSING.contains(&error) => {
                let GroupSettings { brokers, topic, group, .. } = &self.settings;
                tracing::warn!(%error, %brokers, %topic, %group, "Kafka does not answer; waiting for it");
                None
            }
            Some(Err(error)) => return Err(self.failed("give records", error)),
        };
        match record {
            Some(record) => Ok(Step::Record(record)),
            None => Ok(self.change()?.unwrap_or(Step::Idle)),
        }
    }

    /// The oldest change of what is the member's that was not told yet.
    fn change(&mut self) -> Result<Option<Step>, LogError> {
        let step = self.consumer.context().0.lock().pop_front();
        match step {
            None => Ok(None),
            Some(Change::Assigned(partitions)) => {
                self.unbegun = Some(partitions.clone());
                Ok(Some(Step::Assigned(partitions)))
            }
            Some(Change::Revoked(partitions)) => Ok(Some(Step::Revoked(partitions))),
            Some(Change::Failed(reason)) => Err(self.failed("share out the partitions", reason)),
        }
    }

    /// Begins to read the partitions of the last [`Step::Assigned`], all of them, each from its place.
    ///
    /// # Errors
    /// They are not those, or the client refuses.
    pub fn begin(&mut self, starts: &[(u32, Start)]) -> Result<(), LogError> {
        let partitions: Vec<u32> = starts.iter().map(|(partition, _)| *partition).collect();
        if self.unbegun.as_ref() != Some(&partitions) {
            let reason = format!("{partitions:?} are not the partitions that were assigned last, {:?}", self.unbegun);
            return Err(self.failed("begin", reason));
        }
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for &(partition, start) in starts {
            list.add_partition_offset(&self.settings.topic, partition as i32, offset_of(start))
                .map_err(|e| self.failed("begin", e))?;
        }
        self.consumer.incremental_assign(&list).map_err(|e| self.failed("begin", e))?;
        self.unbegun = None;
        Ok(())
    }

    /// Goes on with another place of a partition that is the member's.
    ///
    /// # Errors
    /// The partition is not the member's, or the client did not get there in time.
    pub fn seek(&mut self, partition: u32, start: Start) -> Result<(), LogError> {
        let GroupSettings { topic, request_timeout, .. } = &self.settings;
        self.consumer
            .seek(topic, partition as i32, offset_of(start), *request_timeout)
            .map_err(|e| self.failed("go to another place", e))
    }

    /// For each of `partitions` the offset of the next record as the group has committed it.
    ///
    /// # Errors
    /// The brokers did not answer in time.
    pub fn committed(&self, partitions: &[u32]) -> Result<Vec<Option<u64>>, LogError> {
        let GroupSettings { topic, request_timeout, .. } = &self.settings;
        topic::committed(&self.consumer, topic, partitions, *request_timeout)
            .map_err(|e| self.failed("say what a group has done", e))
    }

    /// Notes for the group that the next record of each partition is the one at the offset beside it.
    ///
    /// # Errors
    /// The brokers refuse for good.
    pub fn commit(&mut self, nexts: &[(u32, u64)]) -> Result<Committed, LogError> {
        if nexts.is_empty() {
            return Ok(Committed::Taken);
        }
        let mut list = TopicPartitionList::with_capacity(nexts.len());
        for &(partition, next) in nexts {
            list.add_partition_offset(&self.settings.topic, partition as i32, offset_of(Start::At(next)))
                .map_err(|e| self.failed("note what is done", e))?;
        }
        match self.consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(Committed::Taken),
            Err(KafkaError::ConsumerCommit(code)) if SHARED_OUT_ANEW.contains(&code) || PASSING.contains(&code) => {
                let GroupSettings { topic, group, .. } = &self.settings;
                tracing::warn!(%code, %topic, %group, "a commit was not taken; what it says is done again if need be");
                Ok(Committed::Refused)
            }
            Err(error) => Err(self.failed("note what is done", error)),
        }
    }

    fn failed(&self, doing: &str, reason: impl std::fmt::Display) -> LogError {
        let GroupSettings { brokers, topic, group, .. } = &self.settings;
        LogError::Service(format!("Kafka at {brokers} could not {doing} (topic {topic}, group {group}): {reason}"))
    }
}

impl Drop for Group {
    /// Leaves the group. Partitions that did not begin would hold that up.
    fn drop(&mut self) {
        if self.unbegun.is_some()
            && let Err(error) = self.consumer.unassign()
        {
            tracing::warn!(%error, "a member of a Kafka group could not give up its partitions");
        }
    }
}

/// Changes of what is the member's, in their order. The client calls while it is polled, on the caller's thread.
#[derive(Default)]
struct Changes(Mutex<VecDeque<Change>>);

enum Change {
    Assigned(Vec<u32>),
    Revoked(Vec<u32>),
    Failed(String),
}

impl ClientContext for Changes {}

impl ConsumerContext for Changes {
    /// Notes the change only. An assignment is answered by [`Group::begin`], which knows where to read from.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, change: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<u32> = list.elements().iter().map(|element| element.partition() as u32).collect();
        let done = match change {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if !partitions.is_empty() => {
                return self.0.lock().push_back(Change::Assigned(partitions));
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => consumer.incremental_assign(list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.0.lock().push_back(Change::Revoked(partitions));
                consumer.incremental_unassign(list)
            }
            other => return self.0.lock().push_back(Change::Failed(RDKafkaErrorCode::from(other).to_string())),
        };
        if let Err(error) = done {
            self.0.lock().push_back(Change::Failed(error.to_string()));
        }
    }
}

fn record(message: &BorrowedMessage<'_>) -> Result<RawRecord, String> {
    let (partition, offset) = (message.partition(), message.offset());
    let place = |problem: &str| format!("the record at offset {offset} of partition {partition} {problem}");
    let millis = message.timestamp().to_millis().ok_or_else(|| place("has no timestamp"))?;
    let payload = message.payload().ok_or_else(|| place("has no payload"))?;
    let (Ok(partition), Ok(offset)) = (u32::try_from(partition), u64::try_from(offset)) else {
        return Err(place("has no place"));
    };
    Ok(RawRecord { partition, offset, time: Timestamp::from_millis(millis), payload: payload.to_owned() })
}

fn offset_of(start: Start) -> Offset {
    match start {
        Start::Oldest => Offset::Beginning,
        // Kafka numbers records with 63 bits; a greater number is answered as an offset that is not kept.
        Start::At(offset) => Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX)),
    }
}

/// What the client goes on trying by itself, or what the next try may bring.
const PASSING: [RDKafkaErrorCode; 13] = [
    RDKafkaErrorCode::AllBrokersDown,
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::Resolve,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::RequestTimedOut,
    RDKafkaErrorCode::NetworkException,
    RDKafkaErrorCode::NotLeaderForPartition,
    RDKafkaErrorCode::LeaderNotAvailable,
    RDKafkaErrorCode::CoordinatorNotAvailable,
    RDKafkaErrorCode::CoordinatorLoadInProgress,
    RDKafkaErrorCode::NotCoordinator,
    RDKafkaErrorCode::WaitingForCoordinator,
    RDKafkaErrorCode::PollExceeded,
];

/// The group goes on with other shares, or without this member.
const SHARED_OUT_ANEW: [RDKafkaErrorCode; 5] = [
    RDKafkaErrorCode::RebalanceInProgress,
    RDKafkaErrorCode::IllegalGeneration,
    RDKafkaErrorCode::UnknownMemberId,
    RDKafkaErrorCode::FencedInstanceId,
    RDKafkaErrorCode::AssignmentLost,
];
