//! What other crates rely on in the log over Kafka and in groups, against the client's own mock cluster on the loopback; replication is not tested.

mod groups;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dhow_events::facts::{ProductViewed, SearchPerformed};
use dhow_events::{
    DeviceId, Event, EventId, ManualClock, ProductId, Region, SessionId, SystemClock, TenantId, Timestamp,
};
use dhow_kafka::{KafkaLog, KafkaSettings};
use dhow_streams::{Log, LogError, Offsets, Record, Replay, partition_of};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const TOPIC: &str = "dhow-events";

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 3, 1).unwrap();
    cluster
}

fn settings(cluster: &MockCluster<'static, DefaultProducerContext>) -> KafkaSettings {
    let timeouts = (Duration::from_secs(20), Duration::from_secs(20));
    let (request_timeout, delivery_timeout) = timeouts;
    KafkaSettings { request_timeout, delivery_timeout, ..KafkaSettings::new(cluster.bootstrap_servers(), TOPIC, 3) }
}

fn clock(micros: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(micros)))
}

fn event(number: u64) -> Event {
    Event {
        id: EventId::from_u128(u128::from(number)),
        tenant: TenantId::default(),
        event_time: Timestamp::from_micros(number as i64),
        fact: ProductViewed {
            session: SessionId::from_u128(u128::from(number % 31)),
            buyer: None,
            product: ProductId::from_u128(7),
            device: DeviceId::from_u128(3),
            region: Region::new("GB").unwrap(),
            decision: None,
        }
        .into(),
    }
}

fn events(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(event).collect()
}

fn all(log: &KafkaLog) -> Vec<Record> {
    let to = Offsets::ends(log).unwrap();
    Replay::new(log, &Offsets::start(3), &to).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn events_are_read_back_at_their_positions_also_by_a_second_opening() {
    let cluster = cluster();
    let open = |clock| KafkaLog::open(settings(&cluster), clock).unwrap();
    let log = open(clock(5_000_001));
    let mut expected: Vec<Vec<Event>> = vec![Vec::new(); 3];
    let mut append = |log: &KafkaLog, batch: Vec<Event>| {
        let positions = log.append(&batch).unwrap();
        assert_eq!(positions.len(), batch.len());
        for (event, position) in batch.into_iter().zip(positions) {
            assert_eq!(position.partition, partition_of(&event, 3));
            let sequence = &mut expected[position.partition as usize];
            assert_eq!(position.offset, sequence.len() as u64);
            sequence.push(event);
        }
    };
    append(&log, events(0..200));
    append(&log, events(200..201));
    append(&log, vec![]);
    let mut one = Vec::new();
    log.read(0, 5, 2, &mut one).unwrap();
    assert_eq!(one.iter().map(|record| record.offset).collect::<Vec<u64>>(), [5, 6]);
    // A clock that went back in between does not make known time go back; milliseconds are rounded up.
    drop(log);
    let log = open(clock(1_000_000));
    append(&log, events(300..350));
    for (partition, expected) in expected.iter().enumerate() {
        let mut records = Vec::new();
        while (records.len() as u64) < log.end(partition as u32).unwrap() {
            log.read(partition as u32, records.len() as u64, 17, &mut records).unwrap();
        }
        assert!(records.iter().all(|record| record.known_time == Timestamp::from_micros(5_001_000)));
        assert!(records.iter().zip(0..).all(|(record, offset)| record.offset == offset));
        assert_eq!(&records.into_iter().map(|record| record.event).collect::<Vec<_>>(), expected);
    }
    assert_eq!(all(&log).len(), 251);
}

#[test]
fn a_broker_that_is_not_there_is_named_on_opening() {
    let absent =
        KafkaSettings { request_timeout: Duration::from_millis(500), ..KafkaSettings::new("127.0.0.1:9", TOPIC, 3) };
    let error = KafkaLog::open(absent, clock(1)).err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:9") && error.contains("no Kafka broker answers"), "{error}");
}

#[test]
fn a_topic_with_another_number_of_partitions_is_refused() {
    let cluster = cluster();
    let error = KafkaLog::open(KafkaSettings { partitions: 5, ..settings(&cluster) }, clock(1)).err().unwrap();
    assert!(error.to_string().contains("use 3"), "{error}");
    let error = KafkaLog::open(KafkaSettings { partitions: 0, ..settings(&cluster) }, clock(1)).err().unwrap();
    assert!(matches!(error, LogError::Setting { name: "partitions", .. }));
}

#[test]
fn what_cannot_be_taken_or_given_is_an_error_and_changes_nothing() {
    let cluster = cluster();
    let log = KafkaLog::open(KafkaSettings { event_bytes_max: 1000, ..settings(&cluster) }, clock(1_000)).unwrap();
    let mut long = event(0);
    let query = "x".repeat(2000);
    long.fact = SearchPerformed { session: SessionId::from_u128(1), buyer: None, query, result_count: 0 }.into();
    let error = log.append(&[event(1), long]).unwrap_err();
    assert!(matches!(error, LogError::EventTooLong { index: 1, limit: 1000, .. }), "{error}");
    let early = KafkaLog::open(settings(&cluster), clock(-5_000)).unwrap().append(&[event(1)]).unwrap_err();
    assert!(early.to_string().contains("1970"), "{early}");
    let mut into = Vec::new();
    assert!(matches!(log.read(3, 0, 1, &mut into), Err(LogError::Partition { partition: 3, partition_count: 3 })));
    assert!(matches!(log.read(0, 1, 1, &mut into), Err(LogError::BeyondEnd { from: 1, end: 0, .. })));
    log.read(0, 0, 1, &mut into).unwrap();
    assert!(into.is_empty());
    assert_eq!(Offsets::ends(&log).unwrap().record_count(), 0);
}

#[test]
fn known_times_of_a_history_are_kept_and_one_that_goes_back_is_refused() {
    let cluster = cluster();
    let log = KafkaLog::open(settings(&cluster), clock(9_000_000)).unwrap();
    let history: Vec<(Event, Timestamp)> =
        (0..60).map(|n| (event(n), Timestamp::from_micros(1_000 * (1 + n as i64 / 7)))).collect();
    log.append_known(&history).unwrap();
    let known: std::collections::BTreeMap<u128, Timestamp> =
        all(&log).iter().map(|record| (record.event.id.as_u128(), record.known_time)).collect();
    assert_eq!(known, history.iter().map(|(event, known_time)| (event.id.as_u128(), *known_time)).collect());
    let back = [(event(100), Timestamp::from_micros(20_000)), (event(101), Timestamp::from_micros(10_000))];
    let error = log.append_known(&back).unwrap_err();
    assert!(matches!(error, LogError::KnownTime { index: 1, .. }), "{error}");
    assert_eq!(Offsets::ends(&log).unwrap().record_count(), 60);
}

#[test]
fn a_refusal_that_passes_is_retried_and_one_that_stays_is_reported() {
    let cluster = cluster();
    let log = KafkaLog::open(settings(&cluster), clock(1_000)).unwrap();
    let passing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    cluster.request_errors(RDKafkaApiKey::Produce, &[passing, passing]);
    log.append(&events(0..40)).unwrap();
    let mut ids: Vec<u128> = all(&log).iter().map(|record| record.event.id.as_u128()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..40).collect::<Vec<u128>>());
    let staying = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[staying]);
    let error = log.append(&[event(100)]).unwrap_err().to_string();
    assert!(error.contains(TOPIC) && error.contains("was not acknowledged"), "{error}");
}

#[test]
fn a_broker_that_goes_away_ends_an_append_with_an_error_in_its_time() {
    let cluster = cluster();
    let short = KafkaSettings { delivery_timeout: Duration::from_millis(1500), ..settings(&cluster) };
    let log = KafkaLog::open(short, clock(1_000)).unwrap();
    log.append(&[event(1)]).unwrap();
    cluster.broker_down(1).unwrap();
    let error = log.append(&[event(2)]).unwrap_err().to_string();
    assert!(error.contains("was not acknowledged"), "{error}");
}

#[test]
fn waiting_ends_with_an_append_by_anyone_or_with_the_time() {
    let cluster = cluster();
    let log = KafkaLog::open(settings(&cluster), clock(1_000)).unwrap();
    let other = KafkaLog::open(settings(&cluster), clock(1_000)).unwrap();
    let ends = Offsets::ends(&log).unwrap();
    assert!(!log.wait(&ends, Duration::from_millis(30)).unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| log.wait(&ends, Duration::from_secs(60)).unwrap());
        other.append(&[event(1)]).unwrap();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn speed_against_the_mock_is_printed_and_all_is_read_back() {
    const EVENTS: u64 = 20_000;
    let cluster = cluster();
    let log = KafkaLog::open(settings(&cluster), Arc::new(SystemClock)).unwrap();
    let begin = Instant::now();
    (0..EVENTS / 1000).for_each(|n| drop(log.append(&events(n * 1000..(n + 1) * 1000)).unwrap()));
    let append = begin.elapsed();
    let begin = Instant::now();
    assert_eq!(all(&log).len() as u64, EVENTS);
    let read = begin.elapsed();
    let rate = |time: Duration| EVENTS as f64 / time.as_secs_f64();
    println!("mock cluster: append {:.0} events/s in batches of 1,000; replay {:.0}/s", rate(append), rate(read));
}
