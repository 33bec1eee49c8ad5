//! A history in a topic, and the tables that one store makes of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use dhow_definitions::{EntityKey, FeatureSet};
use dhow_events::{Event, ManualClock, Timestamp};
use dhow_fleet::PartitionStates;
use dhow_kafka::{KafkaLog, KafkaSettings};
use dhow_online::{OnlineSettings, OnlineStore};
use dhow_streams::{Log, Offsets, Replay, share_of};

use crate::world::{Pace, World};

pub const TOPIC: &str = "events";
pub const PARTITIONS: u32 = 4;
pub const REKEYED_PARTITIONS: u32 = 6;

pub fn features() -> Arc<FeatureSet> {
    Arc::new(FeatureSet::from_toml(include_str!("../../../online/tests/online/features.toml")).unwrap())
}

/// Events with 5 % out of order, 1 % late by up to three days and 1 % doubled, over months.
pub struct History {
    pub features: Arc<FeatureSet>,
    pub online: OnlineSettings,
    arrivals: Vec<(Event, Timestamp)>,
    keys: BTreeSet<EntityKey>,
    end: Timestamp,
}

impl History {
    pub fn new(seed: u64, count: usize) -> Self {
        let features = features();
        let world = World::new(seed, count, 50, Pace::Busy);
        let (online, keys, end) = (world.settings(), world.keys(&features), world.end());
        let mut known = Timestamp::MIN;
        let arrival = |record: crate::world::Arrival| {
            known = known.max(record.known_time);
            (record.event, known)
        };
        Self { features, online, arrivals: world.records.into_iter().map(arrival).collect(), keys, end }
    }

    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    pub fn log(&self, brokers: &str) -> KafkaLog {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
        KafkaLog::open(KafkaSettings::new(brokers, TOPIC, PARTITIONS), clock).unwrap()
    }

    /// Writes a part of the history.
    pub fn append(&self, log: &KafkaLog, range: std::ops::Range<usize>) {
        self.arrivals[range].chunks(500).for_each(|chunk| drop(log.append_known(chunk).unwrap()));
    }

    /// Every feature of every entity after all that happened, as bits, from one store that has all records of the log.
    pub fn expected(&self, log: &KafkaLog) -> Vec<Vec<u64>> {
        let store = OnlineStore::new(self.features.clone(), self.online);
        let to = Offsets::ends(log).unwrap();
        assert_eq!(to.record_count() as usize, self.len());
        for record in Replay::new(log, &Offsets::start(PARTITIONS), &to).unwrap() {
            let record = record.unwrap();
            store.apply(&record.event, record.known_time, (record.partition, record.offset));
        }
        assert!(store.stats().duplicates > 0, "the history holds doubled events");
        self.keys.iter().map(|key| self.read(&store, key)).collect()
    }

    /// The same from the states of a fleet. They have freed what no read can reach.
    pub fn found(&self, states: &mut dyn PartitionStates) -> Vec<Vec<u64>> {
        let load = |partition| states.load(partition).unwrap().store;
        let stores: Vec<OnlineStore> = (0..REKEYED_PARTITIONS).map(load).collect();
        assert!(stores.iter().all(|store| store.stats().late == 0), "nothing here is late");
        let store_of = |key: &EntityKey| &stores[share_of(key.tenant, key.id, REKEYED_PARTITIONS) as usize];
        self.keys.iter().map(|key| self.read(store_of(key), key)).collect()
    }

    fn read(&self, store: &OnlineStore, key: &EntityKey) -> Vec<u64> {
        let mut values = Vec::new();
        store.read(key.tenant, usize::from(key.view), key.id, self.end, &mut values).unwrap();
        values.into_iter().map(f64::to_bits).collect()
    }
}

/// Compares whole tables without printing them.
pub fn assert_equal(found: &[Vec<u64>], expected: &[Vec<u64>]) {
    let different = found.iter().zip(expected).filter(|(found, expected)| found != expected).count();
    assert_eq!((found.len(), different), (expected.len(), 0), "entities, and those that differ");
}
