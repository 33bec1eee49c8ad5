//! Groups and senders against the client's own mock cluster: sharing, taking over, places, and that nothing leaves a gap.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dhow_events::Timestamp;
use dhow_kafka::{
    Committed, Group, GroupSettings, Message, RawRecord, SenderSettings, Start, Step, TopicSender, group_progress,
};
use dhow_streams::LogError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::{TOPIC, cluster};

const PATIENCE: Duration = Duration::from_secs(40);

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn sender(cluster: &Cluster) -> TopicSender {
    TopicSender::open(SenderSettings::new(cluster.bootstrap_servers(), TOPIC, 3)).unwrap()
}

/// Numbered messages, dealt out to the three partitions.
fn messages(numbers: std::ops::Range<u32>) -> Vec<Message> {
    let message = |n: u32| Message {
        partition: n % 3,
        time: Timestamp::from_millis(1 + i64::from(n)),
        payload: n.to_le_bytes().to_vec(),
    };
    numbers.map(message).collect()
}

fn number(record: &RawRecord) -> u32 {
    u32::from_le_bytes(record.payload.as_slice().try_into().unwrap())
}

fn settings(cluster: &Cluster) -> GroupSettings {
    GroupSettings {
        session_timeout: Duration::from_secs(6),
        ..GroupSettings::new(cluster.bootstrap_servers(), TOPIC, 3, "readers")
    }
}

/// A member that begins where its group has committed, and notes what it has and read.
struct Reading {
    group: Group,
    owned: BTreeSet<u32>,
    records: Vec<RawRecord>,
}

impl Reading {
    fn join(cluster: &Cluster) -> Self {
        Self { group: Group::join(settings(cluster)).unwrap(), owned: BTreeSet::new(), records: Vec::new() }
    }

    fn step(&mut self) {
        match self.group.poll(Duration::from_millis(20)).unwrap() {
            Step::Assigned(partitions) => {
                let committed = self.group.committed(&partitions).unwrap();
                let start =
                    |(&partition, next): (&u32, Option<u64>)| (partition, next.map_or(Start::Oldest, Start::At));
                let starts: Vec<(u32, Start)> = partitions.iter().zip(committed).map(start).collect();
                self.group.begin(&starts).unwrap();
                self.owned.extend(partitions);
            }
            Step::Revoked(partitions) => self.owned.retain(|partition| !partitions.contains(partition)),
            Step::Record(record) => {
                assert!(self.owned.contains(&record.partition), "a record of a partition that is not the member's");
                self.records.push(record);
            }
            Step::Idle => {}
        }
    }

    fn commit(&mut self) -> Committed {
        let next = |&partition: &u32| {
            let last = self.records.iter().filter(|record| record.partition == partition).map(|record| record.offset);
            last.max().map(|last| (partition, last + 1))
        };
        let nexts: Vec<(u32, u64)> = self.owned.iter().filter_map(next).collect();
        self.group.commit(&nexts).unwrap()
    }
}

fn until(what: &str, mut step: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !step() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
    }
}

#[test]
fn members_share_the_partitions_and_one_that_leaves_is_continued_from_its_commits() {
    let cluster = cluster();
    sender(&cluster).send(&messages(0..300)).unwrap();
    let mut first = Reading::join(&cluster);
    until("the only member reads all", || {
        first.step();
        first.records.len() == 300
    });
    assert_eq!(first.commit(), Committed::Taken);
    assert!(group_progress(&settings(&cluster)).unwrap().iter().all(|partition| partition.lag() == 0));

    let mut second = Reading::join(&cluster);
    until("a second member gets a share", || {
        first.step();
        second.step();
        !second.owned.is_empty() && first.owned.len() + second.owned.len() == 3
    });
    assert!(first.owned.is_disjoint(&second.owned));
    sender(&cluster).send(&messages(300..600)).unwrap();
    until("both read on", || {
        first.step();
        second.step();
        first.records.len() + second.records.len() == 600
    });
    // What the second has read but not committed is read again by who takes over.
    let again = second.records.len();
    assert!(again > 0);
    assert_eq!(first.commit(), Committed::Taken);
    drop(second);
    let before = first.records.len();
    until("the first takes over", || {
        first.step();
        first.records.len() == before + again
    });
    let numbers: BTreeSet<u32> = first.records.iter().map(number).collect();
    assert_eq!(numbers, (0..600).collect());
    assert_eq!(first.records.len(), 600);
}

#[test]
fn a_member_begins_and_goes_on_where_it_says() {
    let cluster = cluster();
    sender(&cluster).send(&messages(0..90)).unwrap();
    let mut group = Group::join(settings(&cluster)).unwrap();
    let mut read = Vec::new();
    until("all from the places asked for", || {
        match group.poll(Duration::from_millis(20)).unwrap() {
            Step::Assigned(partitions) => {
                assert!(group.begin(&[(0, Start::At(1))]).is_err(), "only one of those assigned");
                assert!(group.poll(Duration::ZERO).is_err(), "nothing began");
                let starts: Vec<(u32, Start)> =
                    partitions.iter().map(|&partition| (partition, Start::At(10 * u64::from(partition)))).collect();
                group.begin(&starts).unwrap();
            }
            Step::Record(record) => read.push((record.partition, record.offset)),
            _ => {}
        }
        read.len() == 30 + 20 + 10
    });
    read.sort_unstable();
    let expected: Vec<(u32, u64)> =
        (0..3).flat_map(|p| (10 * u64::from(p)..30).map(move |offset| (p, offset))).collect();
    assert_eq!(read, expected);
    group.seek(2, Start::At(28)).unwrap();
    let mut again = Vec::new();
    until("the end of one partition again", || {
        if let Step::Record(record) = group.poll(Duration::from_millis(20)).unwrap() {
            again.push((record.partition, record.offset));
        }
        again.len() == 2
    });
    assert_eq!(again, [(2, 28), (2, 29)]);
    // Beyond the end is no place to wait at.
    group.seek(1, Start::At(1000)).unwrap();
    let mut refusal = None;
    until("a place that is not there is reported", || {
        refusal = group.poll(Duration::from_millis(20)).err();
        refusal.is_some()
    });
    assert!(refusal.unwrap().to_string().contains(TOPIC));
}

#[test]
fn what_a_sender_sent_is_there_without_a_gap_whatever_was_refused() {
    let cluster = cluster();
    let passing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    let staying = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    let mut first = sender(&cluster);
    cluster.request_errors(RDKafkaApiKey::Produce, &[passing, passing, passing]);
    first.send(&messages(0..3000)).unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &[staying]);
    let refused = (0..50).map(|batch| first.send(&messages(3000 + batch * 30..3030 + batch * 30)));
    let refused: Vec<Result<(), LogError>> = refused.collect();
    assert!(refused[0].is_err() && refused[1..].iter().all(|sent| matches!(sent, Err(LogError::Stopped(_)))));

    let ends = || group_progress(&settings(&cluster)).unwrap().iter().map(|partition| partition.end as usize).sum();
    let mut reading = Reading::join(&cluster);
    let mut all: usize = ends();
    until("all that arrived is read", || {
        reading.step();
        if reading.records.len() == all {
            all = ends();
        }
        reading.records.len() == all
    });
    for partition in 0..3 {
        let of = reading.records.iter().filter(|record| record.partition == partition);
        let numbers: Vec<u32> = of.map(number).collect();
        assert!(numbers.len() >= 1000);
        assert!(numbers.iter().zip(0..).all(|(number, place)| *number == 3 * place + partition), "{numbers:?}");
    }
}

#[test]
fn a_sender_refuses_what_no_partition_takes() {
    let cluster = cluster();
    let settings = SenderSettings::new(cluster.bootstrap_servers(), TOPIC, 3);
    let mut sender = TopicSender::open(SenderSettings { payload_bytes_max: 100, ..settings.clone() }).unwrap();
    let message = |partition, length| Message { partition, time: Timestamp::from_millis(1), payload: vec![7; length] };
    let error = sender.send(&[message(0, 1), message(3, 1)]).unwrap_err();
    assert!(matches!(error, LogError::Partition { partition: 3, partition_count: 3 }), "{error}");
    let error = sender.send(&[message(0, 1), message(1, 101)]).unwrap_err();
    assert!(matches!(error, LogError::EventTooLong { index: 1, found: 101, limit: 100 }), "{error}");
    sender.send(&[message(2, 100)]).unwrap();
    let error = TopicSender::open(SenderSettings { partitions: 4, ..settings }).err().unwrap();
    assert!(error.to_string().contains("use 3"), "{error}");
}
