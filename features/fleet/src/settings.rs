//! What the workers of a fleet agree on: topics, groups, pace; and how far they have come.

use std::time::Duration;

use dhow_definitions::FeatureSet;
use dhow_events::{MINUTE_MICROS, SECOND_MICROS};
use dhow_kafka::{GroupProgress, GroupSettings, SenderSettings, create_topic, group_progress};
use dhow_streams::LogError;

use crate::FleetError;

/// How many digits of the schema hash stand in the names of topics and groups.
const HASH_DIGITS: usize = 12;

/// What all workers of a fleet have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    /// Addresses to begin with, for example `kafka-1:9092,kafka-2:9092`.
    pub brokers: String,
    /// The topic of the events.
    pub topic: String,
    /// The number of partitions of that topic.
    pub partitions: u32,
    /// The number of partitions of the re-keyed topic: the most workers that share the feature stage. It decides where
    /// state lies, so it never changes for a version of the features.
    pub rekeyed_partitions: u32,
    /// What the fleet is called; the names of its groups begin with it.
    pub group: String,
    /// How long a silent worker keeps its partitions.
    pub session_timeout: Duration,
    /// How long questions to the brokers may take; above two seconds.
    pub request_timeout: Duration,
    /// How long the brokers may take for a batch of routed events.
    pub delivery_timeout: Duration,
    /// The most source records that are routed as one batch, from 1.
    pub route_records_max: usize,
    /// State is written after this many records of a partition, from 1; what they touch must fit
    /// [`dhow_redis::SAVE_BYTES_MAX`] …
    pub flush_records: u64,
    /// … or once this many microseconds have passed since the first that was not.
    pub flush_interval_micros: i64,
    /// What no read can reach any more is freed every so often, in microseconds.
    pub expire_interval_micros: i64,
    /// A source partition that is silent for so long, in microseconds, does not hold back what is freed.
    pub idle_timeout_micros: i64,
    /// How long a stage waits for records before it looks at the signal to stop.
    pub wait_max: Duration,
}

impl FleetSettings {
    /// Silence and requests up to 10 s, deliveries up to 30 s; batches of 2,000 records; state written every 1,000
    /// records or 20 ms, freed every 10 s; a source partition is idle after a minute.
    pub fn new(
        brokers: impl Into<String>,
        topic: impl Into<String>,
        partitions: u32,
        rekeyed_partitions: u32,
        group: impl Into<String>,
    ) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            partitions,
            rekeyed_partitions,
            group: group.into(),
            session_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(30),
            route_records_max: 2000,
            flush_records: 1000,
            flush_interval_micros: 20_000,
            expire_interval_micros: 10 * SECOND_MICROS,
            idle_timeout_micros: MINUTE_MICROS,
            wait_max: Duration::from_millis(20),
        }
    }

    /// The re-keyed topic for `features`: `<topic>.by-entity.<digits of the schema hash>`.
    pub fn rekeyed_topic(&self, features: &FeatureSet) -> String {
        format!("{}.by-entity.{}", self.topic, version_of(features))
    }

    /// Makes the re-keyed topic for `features`, each partition kept by `replicas` brokers, and says whether it was not
    /// there before.
    ///
    /// # Errors
    /// No broker answers in time, or it refuses.
    pub fn create_rekeyed_topic(&self, features: &FeatureSet, replicas: u32) -> Result<bool, LogError> {
        let topic = self.rekeyed_topic(features);
        create_topic(&self.brokers, &topic, self.rekeyed_partitions, replicas, self.request_timeout)
    }

    /// How far the fleet has come.
    ///
    /// # Errors
    /// No broker answers in time, or a topic is not there or has another number of partitions.
    pub fn progress(&self, features: &FeatureSet) -> Result<FleetProgress, LogError> {
        let (routed, applied) =
            (group_progress(&self.route_group(features))?, group_progress(&self.feature_group(features))?);
        Ok(FleetProgress { routed, applied })
    }

    /// Membership in the route stage.
    pub(crate) fn route_group(&self, features: &FeatureSet) -> GroupSettings {
        self.member(&self.topic, self.partitions, format!("{}.{}.route", self.group, version_of(features)))
    }

    /// Membership in the feature stage.
    pub(crate) fn feature_group(&self, features: &FeatureSet) -> GroupSettings {
        let group = format!("{}.{}.features", self.group, version_of(features));
        self.member(&self.rekeyed_topic(features), self.rekeyed_partitions, group)
    }

    fn member(&self, topic: &str, partitions: u32, group: String) -> GroupSettings {
        GroupSettings {
            session_timeout: self.session_timeout,
            request_timeout: self.request_timeout,
            ..GroupSettings::new(&self.brokers, topic, partitions, group)
        }
    }

    /// Where the route stage sends.
    pub(crate) fn rekeyed_sender(&self, features: &FeatureSet) -> SenderSettings {
        SenderSettings {
            request_timeout: self.request_timeout,
            delivery_timeout: self.delivery_timeout,
            ..SenderSettings::new(&self.brokers, self.rekeyed_topic(features), self.rekeyed_partitions)
        }
    }

    /// Checks what the brokers do not.
    pub(crate) fn check(&self) -> Result<(), FleetError> {
        let positive = [
            ("route_records_max", self.route_records_max > 0),
            ("flush_records", self.flush_records > 0),
            ("flush_interval_micros", self.flush_interval_micros > 0),
            ("expire_interval_micros", self.expire_interval_micros > 0),
            ("idle_timeout_micros", self.idle_timeout_micros > 0),
            ("wait_max", !self.wait_max.is_zero()),
        ];
        match positive.into_iter().find(|(_, is_positive)| !is_positive) {
            Some((name, _)) => Err(FleetError::Setting { name, problem: "must be greater than zero" }),
            None => Ok(()),
        }
    }
}

/// How far the stages of a fleet have come, partition by partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetProgress {
    /// The source topic and what was routed of it.
    pub routed: Vec<GroupProgress>,
    /// The re-keyed topic and what of it lies in written state; what was committed may lie a moment behind.
    pub applied: Vec<GroupProgress>,
}

impl FleetProgress {
    /// Records that were not routed, and routed ones that were not applied.
    pub fn lag(&self) -> u64 {
        self.routed.iter().chain(&self.applied).map(GroupProgress::lag).sum()
    }
}

fn version_of(features: &FeatureSet) -> String {
    features.schema_hash().chars().take(HASH_DIGITS).collect()
}
