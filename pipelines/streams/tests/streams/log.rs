//! The local log without crashes: order, round trips, refusals, replay, and how fast it is.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dhow_events::{Event, SystemClock, Timestamp};
use dhow_streams::{LocalLog, Log, LogError, Offsets, Position, Record, Replay, partition_of};
use proptest::prelude::*;

use crate::common::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_record_is_read_back_at_its_position_over_segments_and_reopening(
        batches in prop::collection::vec((0..60_u64, any::<bool>(), -5..1000_i64), 1..12),
        partitions in 1..5_u32,
        segment_bytes in 1024..8192_u64,
        step in 1..50_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let open = || LocalLog::open(folder.path(), settings(partitions, segment_bytes), clock.clone()).unwrap();
        let mut log = open();
        let mut expected: Vec<Vec<Event>> = vec![Vec::new(); partitions as usize];
        let mut next = 0;
        for (size, reopens, passed_micros) in batches {
            let batch = events(next..next + size);
            next += size;
            let positions = log.append(&batch).unwrap();
            clock.advance(passed_micros);
            for (event, position) in batch.into_iter().zip(positions) {
                let partition = partition_of(&event, partitions);
                let sequence = &mut expected[partition as usize];
                prop_assert_eq!(position, Position { partition, offset: sequence.len() as u64 });
                sequence.push(event);
            }
            if reopens {
                drop(log);
                log = open();
                prop_assert_eq!(log.recovery().torn_bytes, 0);
            }
        }
        for (partition, expected) in expected.iter().enumerate() {
            let records = read_all(&log, partition as u32, step).unwrap();
            prop_assert!(records.windows(2).all(|pair| pair[0].known_time <= pair[1].known_time));
            prop_assert!(records.iter().enumerate().all(|(offset, record)| record.offset == offset as u64));
            let found: Vec<Event> = records.into_iter().map(|record| record.event).collect();
            prop_assert_eq!(&found, expected);
        }
    }

    #[test]
    fn a_replay_gives_the_records_sorted_by_known_time_partition_and_offset(
        steps in prop::collection::vec(0..3_i64, 1..400),
        skipped in prop::collection::vec(0..40_u64, 3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path(), 3).unwrap();
        let mut known = 0;
        let arrivals: Vec<(Event, Timestamp)> = steps
            .iter()
            .enumerate()
            .map(|(index, step)| {
                known += step;
                (event(index as u64), Timestamp::from_micros(known))
            })
            .collect();
        log.append_known(&arrivals).unwrap();
        let to = Offsets::ends(&log).unwrap();
        let from = Offsets(skipped.iter().zip(&to.0).map(|(skip, end)| *skip.min(end)).collect());
        let mut expected: Vec<Record> = (0..3).flat_map(|p| read_all(&log, p, 1000).unwrap()).collect();
        expected.retain(|record| record.offset >= from.0[record.partition as usize]);
        expected.sort_by_key(|record| (record.known_time, record.partition, record.offset));
        let replayed: Vec<Record> = Replay::new(&log, &from, &to).unwrap().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(replayed, expected);
    }
}

#[test]
fn a_replay_longer_than_its_buffers_leaves_nothing_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = LocalLog::open(folder.path(), settings(2, 1 << 20), clock()).unwrap();
    log.append(&events(0..10_000)).unwrap();
    let replay = Replay::new(&log, &Offsets::start(2), &Offsets::ends(&log).unwrap()).unwrap();
    let mut numbers: Vec<u64> = replay.map(|record| number(&record.unwrap())).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10_000).collect::<Vec<u64>>());
}

#[test]
fn events_of_one_routing_key_and_tenant_share_a_partition_and_keys_spread() {
    let partitions: Vec<u32> = (0..97).map(|n| partition_of(&event(n), 4)).collect();
    for number in 97..1000 {
        assert_eq!(partition_of(&event(number), 4), partitions[number as usize % 97]);
    }
    for partition in 0..4 {
        let share = partitions.iter().filter(|&&p| p == partition).count();
        assert!((10..40).contains(&share), "partition {partition} has {share} of 97 keys");
    }
    // Existing logs depend on these values.
    assert_eq!(partitions[..8], [0, 3, 1, 3, 3, 3, 2, 0]);
}

#[test]
fn concurrent_appenders_lose_nothing_and_known_times_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = Arc::new(LocalLog::open(folder.path(), settings(3, 4096), clock.clone()).unwrap());
    let appenders: Vec<_> = (0..8_u64)
        .map(|appender| {
            let (log, clock) = (Arc::clone(&log), clock.clone());
            thread::spawn(move || {
                for batch in 0..12 {
                    clock.advance(if batch % 3 == 0 { -7 } else { 11 });
                    let first = appender * 1000 + batch * 10;
                    let positions = log.append(&events(first..first + 10)).unwrap();
                    // What is acknowledged can be read at once, at the place that was told.
                    for (number, position) in (first..).zip(positions) {
                        let mut records = Vec::new();
                        log.read(position.partition, position.offset, 1, &mut records).unwrap();
                        assert_eq!(crate::common::number(&records[0]), number);
                    }
                }
            })
        })
        .collect();
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
    let mut numbers = Vec::new();
    for partition in 0..3 {
        let records = read_all(&*log, partition, 7).unwrap();
        assert!(records.windows(2).all(|pair| pair[0].known_time <= pair[1].known_time));
        numbers.extend(records.iter().map(number));
    }
    numbers.sort_unstable();
    let expected: Vec<u64> = (0..8).flat_map(|appender| appender * 1000..appender * 1000 + 120).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn history_whose_known_times_go_back_is_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    let at = Timestamp::from_micros;
    log.append_known(&[(event(0), at(100)), (event(1), at(100))]).unwrap();
    let error = log.append_known(&[(event(2), at(150)), (event(3), at(149))]).unwrap_err();
    assert!(matches!(&error, LogError::KnownTime { index: 1, partition: 0, .. }), "{error}");
    let error = log.append_known(&[(event(2), at(99))]).unwrap_err();
    assert!(matches!(&error, LogError::KnownTime { index: 0, last, .. } if *last == at(100)), "{error}");
    assert_eq!(log.end(0).unwrap(), 2);
    drop(log);
    // The last known time survives reopening, and the clock takes over from it.
    let log =
        LocalLog::open(folder.path(), settings(1, 4096), Arc::new(dhow_events::ManualClock::new(at(50)))).unwrap();
    log.append(&[event(4)]).unwrap();
    assert_eq!(read_all(&log, 0, 10).unwrap()[2].known_time, at(100));
}

#[test]
fn asking_for_what_is_not_there_is_an_error_that_says_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 2).unwrap();
    let mut into = Vec::new();
    assert!(matches!(log.read(2, 0, 1, &mut into), Err(LogError::Partition { partition: 2, partition_count: 2 })));
    assert!(matches!(log.read(0, 1, 1, &mut into), Err(LogError::BeyondEnd { from: 1, end: 0, .. })));
    assert!(log.read(0, 0, 10, &mut into).is_ok() && into.is_empty());
    assert!(matches!(log.wait(&Offsets(vec![0]), Duration::ZERO), Err(LogError::OffsetCount { found: 1, .. })));
    assert!(matches!(Replay::new(&log, &Offsets::start(2), &Offsets(vec![0, 1])), Err(LogError::BeyondEnd { .. })));
    let many = vec![event(0); dhow_streams::APPEND_EVENTS_MAX + 1];
    assert!(matches!(log.append(&many), Err(LogError::TooManyEvents { .. })));
    assert!(log.append(&[]).unwrap().is_empty());
    assert!(matches!(log.append(&[event(1), long_event(0, 2 << 20)]), Err(LogError::EventTooLong { index: 1, .. })));
    assert_eq!(Offsets::ends(&log).unwrap().record_count(), 0);
}

#[test]
fn a_log_opened_with_other_settings_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), 2).unwrap());
    let error = open(folder.path(), 3).err().unwrap().to_string();
    assert!(error.contains("partitions") && error.contains("use 2"), "{error}");
    for (settings, name) in
        [(settings(0, 4096), "partitions"), (settings(5000, 4096), "partitions"), (settings(2, 10), "segment_bytes")]
    {
        let error = LocalLog::open(folder.path(), settings, clock()).err().unwrap();
        assert!(matches!(&error, LogError::Setting { name: found, .. } if *found == name), "{error}");
    }
}

#[test]
fn waiting_ends_with_the_first_append_or_with_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 2).unwrap();
    let ends = Offsets::ends(&log).unwrap();
    assert!(!log.wait(&ends, Duration::from_millis(1)).unwrap());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| log.wait(&ends, Duration::from_secs(600)).unwrap());
        log.append(&[event(1)]).unwrap();
        assert!(waiter.join().unwrap());
    });
    assert!(log.wait(&ends, Duration::ZERO).unwrap());
}

/// Nanoseconds that this thread has computed; zero on systems that do not tell.
fn computed_nanos() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Runs `work` and prints how many events a second, and a second of computing, it got through.
fn print_rate(what: &str, event_count: u64, work: impl FnOnce()) {
    let (begin, computed) = (Instant::now(), computed_nanos());
    work();
    let (wall, computed) = (begin.elapsed().as_secs_f64(), (computed_nanos() - computed) as f64 / 1e9);
    let count = event_count as f64;
    println!("{what}: {:.0} events/s, {:.0} events per second of computing", count / wall, count / computed);
}

#[test]
fn speed_of_the_log_is_printed_and_all_is_read_back() {
    const EVENTS: u64 = 200_000;
    let all = events(0..EVENTS);
    for partitions in [1, 4] {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let open = |n: usize| LocalLog::open(folders[n].path(), settings(partitions, 64 << 20), Arc::new(SystemClock));
        let (log, bulk) = (open(0).unwrap(), open(1).unwrap());
        for (log, size) in [(&log, 1000), (&bulk, 50_000)] {
            print_rate(&format!("append, {partitions} partitions, batches of {size}, each synced"), EVENTS, || {
                all.chunks(size).for_each(|batch| drop(log.append(batch).unwrap()));
            });
        }
        print_rate(&format!("read, {partitions} partitions"), EVENTS, || {
            let mut read = 0;
            let mut into = Vec::new();
            for partition in 0..partitions {
                let mut from = 0;
                while from < log.end(partition).unwrap() {
                    into.clear();
                    log.read(partition, from, 4096, &mut into).unwrap();
                    from += into.len() as u64;
                }
                read += from;
            }
            assert_eq!(read, EVENTS);
        });
        print_rate(&format!("replay, {partitions} partitions"), EVENTS, || {
            let ends = Offsets::ends(&log).unwrap();
            assert_eq!(Replay::new(&log, &Offsets::start(partitions), &ends).unwrap().count() as u64, EVENTS);
        });
    }
    let mut file = tempfile::tempfile().unwrap();
    let mut micros: Vec<u128> = (0..50)
        .map(|_| {
            file.write_all(&[1; 100_000]).unwrap();
            let begin = Instant::now();
            file.sync_data().unwrap();
            begin.elapsed().as_micros()
        })
        .collect();
    micros.sort_unstable();
    println!("sync of 100 kB: median {} us, longest {} us", micros[25], micros[49]);
}
