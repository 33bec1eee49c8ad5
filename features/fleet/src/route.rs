//! The route stage: each event once to each partition of the re-keyed topic that it counts for; it keeps no state.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dhow_definitions::FeatureSet;
use dhow_events::{Clock, Event, FactKind, codec};
use dhow_kafka::{Group, Message, RawRecord, SEND_MESSAGES_MAX, Start, Step, TopicSender};
use dhow_streams::share_of;

use crate::worker::Commits;
use crate::{FleetError, FleetSettings, RekeyedRecord};

/// What a route stage did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteReport {
    /// Source records read.
    pub records: u64,
    /// Messages sent to the re-keyed topic.
    pub messages: u64,
}

/// One member of the route stage; see the crate's description.
pub struct Router {
    settings: FleetSettings,
    group: Group,
    sender: TopicSender,
    targets: Targets,
    commits: Commits,
    report: RouteReport,
}

impl Router {
    /// Joins the route stage for `features`.
    ///
    /// # Errors
    /// A setting that cannot work, no broker answers, or a topic is missing or has another number of partitions.
    pub fn join(settings: FleetSettings, features: Arc<FeatureSet>, clock: Arc<dyn Clock>) -> Result<Self, FleetError> {
        settings.check()?;
        let sender = TopicSender::open(settings.rekeyed_sender(&features))?;
        let group = Group::join(settings.route_group(&features))?;
        let targets = Targets::new(features, settings.rekeyed_partitions);
        Ok(Self { settings, group, sender, targets, commits: Commits::new(clock), report: RouteReport::default() })
    }

    /// Routes until `stop` says so.
    ///
    /// # Errors
    /// Kafka's failure, or a record that is no event. The stage has then to be joined anew.
    pub fn run(&mut self, stop: &dyn Fn() -> bool) -> Result<RouteReport, FleetError> {
        while !stop() {
            self.route_batch()?;
            self.commits.commit_when_due(&mut self.group)?;
        }
        self.commits.commit(&mut self.group)?;
        Ok(self.report)
    }

    /// Routes what has come in: returns once all of it is acknowledged.
    fn route_batch(&mut self) -> Result<(), FleetError> {
        let mut messages = Vec::new();
        let mut records = 0;
        let mut read = Vec::new();
        let mut wait = self.settings.wait_max;
        let has_room = |messages: &[Message], limit| messages.len() + limit <= SEND_MESSAGES_MAX;
        while records < self.settings.route_records_max && has_room(&messages, self.targets.most_per_event()) {
            match self.group.poll(wait)? {
                Step::Record(record) => {
                    self.targets.route(&record, &mut messages).map_err(|reason| self.not_an_event(&record, reason))?;
                    read.push((record.partition, record.offset + 1));
                    records += 1;
                    wait = Duration::ZERO;
                }
                Step::Assigned(partitions) => self.begin(&partitions)?,
                // What was read of them is sent all the same, which repeats at most what the next member sends. It is not
                // committed: that could take the group back behind where the next member has come to.
                Step::Revoked(partitions) => {
                    read.retain(|(partition, _)| !partitions.contains(partition));
                    self.commits.forget(&partitions);
                }
                Step::Idle => break,
            }
        }
        self.sender.send(&messages)?;
        self.report.records += records as u64;
        self.report.messages += messages.len() as u64;
        self.commits.note(read);
        Ok(())
    }

    /// Goes on where the group has come to.
    fn begin(&mut self, partitions: &[u32]) -> Result<(), FleetError> {
        let committed = self.group.committed(partitions)?;
        let start = |(&partition, next): (&u32, Option<u64>)| (partition, next.map_or(Start::Oldest, Start::At));
        let starts: Vec<(u32, Start)> = partitions.iter().zip(committed).map(start).collect();
        tracing::info!(?starts, "the route stage was assigned partitions");
        Ok(self.group.begin(&starts)?)
    }

    fn not_an_event(&self, record: &RawRecord, reason: String) -> FleetError {
        let (topic, &RawRecord { partition, offset, .. }) = (self.settings.topic.clone(), record);
        FleetError::NotAnEvent { topic, partition, offset, reason }
    }
}

/// Knows to which partitions of the re-keyed topic an event goes.
struct Targets {
    features: Arc<FeatureSet>,
    /// For each kind of fact the numbers of its views.
    views_of: Vec<Vec<usize>>,
    partitions: u32,
}

impl Targets {
    fn new(features: Arc<FeatureSet>, partitions: u32) -> Self {
        let mut views_of = vec![Vec::new(); FactKind::ALL.len()];
        for (number, view) in features.views().iter().enumerate() {
            if let Some(kind) = view.source().fact() {
                views_of[kind as usize].push(number);
            }
        }
        Self { features, views_of, partitions }
    }

    fn most_per_event(&self) -> usize {
        self.views_of.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Appends one message for each partition that the event of `record` counts in.
    fn route(&self, record: &RawRecord, messages: &mut Vec<Message>) -> Result<(), String> {
        let event = codec::decode(&record.payload).map_err(|error| error.to_string())?;
        let message = |partition| Message {
            partition,
            time: record.time,
            payload: RekeyedRecord::encode(record.partition, record.offset, record.time, &record.payload),
        };
        messages.extend(self.of(&event).into_iter().map(message));
        Ok(())
    }

    fn of(&self, event: &Event) -> BTreeSet<u32> {
        let views = self.views_of[event.fact.kind() as usize].iter().map(|&number| &self.features.views()[number]);
        let entities = views.filter_map(|view| view.entity_of(&event.fact));
        entities.map(|entity| share_of(event.tenant, entity, self.partitions)).collect()
    }
}
