//! The feature stage: applies the re-keyed topic to state that is kept elsewhere, exactly once; it answers no reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_definitions::FeatureSet;
use dhow_events::{Clock, Timestamp};
use dhow_kafka::{Group, RawRecord, Start, Step};
use dhow_online::{Applied, OnlineStore};
use dhow_redis::{Loaded, Saved};
use dhow_streams::Watermark;

use crate::worker::Commits;
use crate::{FleetError, FleetSettings, PartitionStates, RekeyedRecord};

/// What a feature stage did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeatureReport {
    /// Records that counted.
    pub counted: u64,
    /// Records that were dropped because they, or their events, were there already.
    pub duplicates: u64,
    /// Records that came too late for every window.
    pub late: u64,
    /// Writes of state.
    pub writes: u64,
    /// Writes that were refused because another worker had written since.
    pub refused: u64,
}

/// One member of the feature stage; see the crate's description.
pub struct FeatureStage<S> {
    settings: FleetSettings,
    topic: String,
    group: Group,
    states: S,
    clock: Arc<dyn Clock>,
    partitions: BTreeMap<u32, Partition>,
    commits: Commits,
    report: FeatureReport,
}

/// A partition that this worker has.
struct Partition {
    store: OnlineStore,
    /// The offset of the next record to apply; nothing before the first record of a partition without state, which begins
    /// with the oldest one that is kept.
    next: Option<u64>,
    /// What was loaded or written last.
    generation: u64,
    unsaved_records: u64,
    /// When the first of the unsaved records was applied.
    unsaved_since: Option<Timestamp>,
    watermark: Watermark,
    expired_at: Timestamp,
}

impl<S: PartitionStates> FeatureStage<S> {
    /// Joins the feature stage for `features`, whose state `states` keeps.
    ///
    /// # Errors
    /// A setting that cannot work, no broker answers, or the re-keyed topic is missing or has another number of
    /// partitions.
    pub fn join(
        settings: FleetSettings,
        features: &FeatureSet,
        states: S,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FleetError> {
        settings.check()?;
        let (topic, group) = (settings.rekeyed_topic(features), Group::join(settings.feature_group(features))?);
        let (partitions, commits) = (BTreeMap::new(), Commits::new(Arc::clone(&clock)));
        Ok(Self { settings, topic, group, states, clock, partitions, commits, report: FeatureReport::default() })
    }

    /// Applies until `stop` says so, then writes what was not written.
    ///
    /// # Errors
    /// Kafka's failure or that of the states, or a record that no router wrote. The stage has then to be joined anew.
    pub fn run(&mut self, stop: &dyn Fn() -> bool) -> Result<FeatureReport, FleetError> {
        while !stop() {
            match self.group.poll(self.settings.wait_max)? {
                Step::Assigned(partitions) => self.begin(&partitions)?,
                Step::Revoked(partitions) => self.drop_partitions(&partitions),
                Step::Record(record) => {
                    self.apply(&record)?;
                    self.save_when_due()?;
                }
                Step::Idle => self.save_when_due()?,
            }
        }
        let unsaved = |(&number, partition): (&u32, &Partition)| (partition.unsaved_records > 0).then_some(number);
        for number in self.partitions.iter().filter_map(unsaved).collect::<Vec<u32>>() {
            self.save(number)?;
        }
        self.commits.commit(&mut self.group)?;
        Ok(self.report)
    }

    /// Loads the state of the partitions that were assigned and goes on where it stands.
    fn begin(&mut self, numbers: &[u32]) -> Result<(), FleetError> {
        let mut starts = Vec::with_capacity(numbers.len());
        for &number in numbers {
            starts.push((number, self.load(number)?));
        }
        tracing::info!(?starts, "the feature stage was assigned partitions");
        Ok(self.group.begin(&starts)?)
    }

    fn load(&mut self, number: u32) -> Result<Start, FleetError> {
        let loaded = self.states.load(number);
        let failed = |source| FleetError::States { doing: "loaded", partition: number, source };
        let Loaded { store, rekeyed_offset, generation } = loaded.map_err(failed)?;
        let next = (generation > 0).then_some(rekeyed_offset);
        let now = self.clock.now();
        let partition = Partition {
            store,
            next,
            generation,
            unsaved_records: 0,
            unsaved_since: None,
            watermark: Watermark::new(self.settings.partitions, self.settings.idle_timeout_micros, now),
            expired_at: now,
        };
        self.partitions.insert(number, partition);
        // Whoever wrote the state may not have come to tell the group; nobody else would, were no record to follow.
        self.commits.note(next.map(|next| (number, next)));
        Ok(next.map_or(Start::Oldest, Start::At))
    }

    /// What was not written is another worker's to apply.
    fn drop_partitions(&mut self, numbers: &[u32]) {
        tracing::info!(partitions = ?numbers, "the feature stage gives partitions up");
        self.partitions.retain(|number, _| !numbers.contains(number));
        self.commits.forget(numbers);
    }

    fn apply(&mut self, record: &RawRecord) -> Result<(), FleetError> {
        let Some(partition) = self.partitions.get_mut(&record.partition) else { return Ok(()) };
        match partition.next {
            Some(next) if record.offset < next => return Ok(()),
            Some(expected) if record.offset > expected => {
                let (topic, partition, found) = (self.topic.clone(), record.partition, record.offset);
                return Err(FleetError::Missing { topic, partition, expected, found });
            }
            None if record.offset > 0 => {
                let (partition, oldest) = (record.partition, record.offset);
                tracing::warn!(
                    partition,
                    oldest,
                    "there is no state, and older records are not kept: they do not count"
                );
            }
            _ => {}
        }
        let rekeyed = RekeyedRecord::decode(&record.payload).map_err(|source| FleetError::NotRekeyed {
            topic: self.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            source,
        })?;
        let now = self.clock.now();
        let RekeyedRecord { source_partition, source_offset, known_time, event } = rekeyed;
        partition.watermark.observe(source_partition, event.event_time, now)?;
        match partition.store.apply(&event, known_time, (source_partition, source_offset)) {
            Applied::Counted => self.report.counted += 1,
            Applied::Duplicate => self.report.duplicates += 1,
            Applied::TooLate => self.report.late += 1,
            Applied::Irrelevant => {}
        }
        partition.next = Some(record.offset + 1);
        partition.unsaved_records += 1;
        partition.unsaved_since.get_or_insert(now);
        Ok(())
    }

    /// To be called where no change of the partitions waits to be looked at.
    fn save_when_due(&mut self) -> Result<(), FleetError> {
        let (now, settings) = (self.clock.now(), &self.settings);
        let is_due = |partition: &Partition| {
            let waited_micros = partition.unsaved_since.map_or(0, |since| now.micros_since(since));
            partition.unsaved_records >= settings.flush_records || waited_micros >= settings.flush_interval_micros
        };
        let due = |(&number, partition): (&u32, &Partition)| is_due(partition).then_some(number);
        for number in self.partitions.iter().filter_map(due).collect::<Vec<u32>>() {
            self.save(number)?;
        }
        self.commits.commit_when_due(&mut self.group)
    }

    /// Writes a partition's state, or loads it again where another worker has written it.
    fn save(&mut self, number: u32) -> Result<(), FleetError> {
        let Some(partition) = self.partitions.get_mut(&number) else { return Ok(()) };
        let Some(next) = partition.next else { return Ok(()) };
        let now = self.clock.now();
        if now.micros_since(partition.expired_at) >= self.settings.expire_interval_micros {
            partition.expired_at = now;
            partition.watermark.at(now).into_iter().for_each(|watermark| partition.store.expire(watermark));
        }
        let saved = self.states.save(number, &partition.store, next, partition.generation);
        match saved.map_err(|source| FleetError::States { doing: "written", partition: number, source })? {
            Saved::New(generation) => {
                (partition.generation, partition.unsaved_records, partition.unsaved_since) = (generation, 0, None);
                self.report.writes += 1;
                self.commits.note([(number, next)]);
            }
            Saved::Refused => {
                self.report.refused += 1;
                tracing::warn!(
                    partition = number,
                    "another worker has written this partition's state; loading it again"
                );
                let start = self.load(number)?;
                self.group.seek(number, start)?;
            }
        }
        Ok(())
    }
}
