//! Both stages as threads of this process, beside a real broker and states that can be interfered with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dhow_events::{Clock, HOUR_MICROS, SystemClock};
use dhow_fleet::{FeatureReport, FeatureStage, FleetError, FleetSettings, Router, run_worker};
use dhow_kafka::create_topic;

use crate::brokers::Server;
use crate::expected::{History, PARTITIONS, REKEYED_PARTITIONS, TOPIC, assert_equal};
use crate::memory::MemoryStates;

const PATIENCE: Duration = Duration::from_secs(150);

fn broker(history: &History) -> (Server, FleetSettings) {
    let broker = Server::kafka();
    let settings = FleetSettings {
        session_timeout: Duration::from_secs(6),
        flush_records: 100,
        // Rare enough that a slow machine does not spend its time on saves that are made to be refused.
        flush_interval_micros: 200_000,
        idle_timeout_micros: HOUR_MICROS,
        expire_interval_micros: 100_000,
        ..FleetSettings::new(format!("127.0.0.1:{}", broker.port), TOPIC, PARTITIONS, REKEYED_PARTITIONS, "fleet")
    };
    assert!(create_topic(&settings.brokers, TOPIC, PARTITIONS, 1, settings.request_timeout).unwrap());
    assert!(settings.create_rekeyed_topic(&history.features, 1).unwrap());
    assert!(!settings.create_rekeyed_topic(&history.features, 1).unwrap(), "it is there");
    (broker, settings)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Ends what runs beside a test, also when the test fails.
struct StopsOnDrop<'a>(&'a AtomicBool);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two whole route stages that do not know of each other send every record of the source, so the re-keyed topic has all
/// of it twice, one mixed into the other; and every tenth save finds that another worker was there.
#[test]
fn what_is_routed_twice_and_what_is_refused_counts_once() {
    let history = History::new(5, 6_000);
    let (_broker, settings) = broker(&history);
    let log = history.log(&settings.brokers);
    history.append(&log, 0..history.len());
    let mut states = MemoryStates::new(history.features.clone(), history.online, REKEYED_PARTITIONS);
    states.interfere_every = Some(10);
    let stop = AtomicBool::new(false);
    let stopped = || stop.load(Ordering::Relaxed);
    let routed = |group: &str| {
        let settings = FleetSettings { group: group.to_owned(), ..settings.clone() };
        let mut router = Router::join(settings, history.features.clone(), clock()).unwrap();
        router.run(&stopped).unwrap()
    };
    let applied = |states: MemoryStates| -> Result<FeatureReport, FleetError> {
        FeatureStage::join(settings.clone(), &history.features, states, clock())?.run(&stopped)
    };
    let (routes, report) = thread::scope(|scope| {
        let _stops = StopsOnDrop(&stop);
        let routers = ["fleet", "other"].map(|group| scope.spawn(|| routed(group)));
        let stage = scope.spawn(|| applied(states.clone()).unwrap());
        let other = FleetSettings { group: "other".to_owned(), ..settings.clone() };
        until("both have routed all, and all is applied", || {
            let progress = settings.progress(&history.features).unwrap();
            let other = other.progress(&history.features).unwrap();
            let lag: u64 = other.routed.iter().map(|partition| partition.lag()).sum();
            lag == 0 && progress.lag() == 0
        });
        stop.store(true, Ordering::Relaxed);
        (routers.map(|router| router.join().unwrap()), stage.join().unwrap())
    });
    assert!(routes[0].records as usize == history.len() && routes[0] == routes[1]);
    assert!(report.duplicates >= routes[0].messages, "{report:?}");
    assert!(report.refused > 3, "{report:?}");
    assert_equal(&history.found(&mut states), &history.expected(&log));
}

/// A worker that is killed between a write and its commit leaves a group that is behind its own state.
#[test]
fn state_that_was_written_and_never_told_to_the_group_is_no_lag_once_a_worker_has_it() {
    let history = History::new(8, 500);
    let (_broker, settings) = broker(&history);
    let log = history.log(&settings.brokers);
    history.append(&log, 0..history.len());
    let states = MemoryStates::new(history.features.clone(), history.online, REKEYED_PARTITIONS);
    let stop = AtomicBool::new(false);
    let stopped = || stop.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let _stops = StopsOnDrop(&stop);
        let worker =
            scope.spawn(|| run_worker(settings.clone(), history.features.clone(), states.clone(), clock(), &stopped));
        until("all is applied", || settings.progress(&history.features).unwrap().lag() == 0);
        stop.store(true, Ordering::Relaxed);
        worker.join().unwrap().unwrap();
    });

    // To another group nothing was ever told, and all of the topic lies in the state.
    let other = FleetSettings { group: "other".to_owned(), ..settings.clone() };
    let lag =
        || other.progress(&history.features).unwrap().applied.iter().map(|partition| partition.lag()).sum::<u64>();
    assert!(lag() > 0);
    stop.store(false, Ordering::Relaxed);
    thread::scope(|scope| {
        let _stops = StopsOnDrop(&stop);
        let stage = || FeatureStage::join(other.clone(), &history.features, states.clone(), clock());
        let stage = scope.spawn(move || stage().unwrap().run(&stopped).unwrap());
        until("the group knows of all", || lag() == 0);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(stage.join().unwrap().counted, 0, "nothing counts again");
    });
}

#[test]
fn workers_that_come_and_go_end_with_the_tables_of_one_store() {
    let history = History::new(6, 4_000);
    let (_broker, settings) = broker(&history);
    let log = history.log(&settings.brokers);
    let mut states = MemoryStates::new(history.features.clone(), history.online, REKEYED_PARTITIONS);
    let (first, second) = (AtomicBool::new(false), AtomicBool::new(false));
    let work = |stop: &AtomicBool| {
        let stop = || stop.load(Ordering::Relaxed);
        run_worker(settings.clone(), history.features.clone(), states.clone(), clock(), &stop).unwrap()
    };
    let reports = thread::scope(|scope| {
        let _stops = (StopsOnDrop(&first), StopsOnDrop(&second));
        let done = || settings.progress(&history.features).unwrap().lag() == 0;
        let worker = scope.spawn(|| work(&first));
        history.append(&log, 0..1_500);
        until("the first has done all", done);
        let other = scope.spawn(|| work(&second));
        // The second joins somewhere in the middle of this.
        for begin in (1_500..3_000).step_by(50) {
            history.append(&log, begin..begin + 50);
            thread::sleep(Duration::from_millis(150));
        }
        first.store(true, Ordering::Relaxed);
        let worker = worker.join().unwrap();
        history.append(&log, 3_000..history.len());
        until("the second has done all", done);
        second.store(true, Ordering::Relaxed);
        [worker, other.join().unwrap()]
    });
    assert!(reports.iter().all(|report| report.features.counted > 0), "both had a share: {reports:?}");
    assert_equal(&history.found(&mut states), &history.expected(&log));
}

#[test]
fn a_fleet_without_its_topic_or_with_a_setting_that_cannot_work_says_so() {
    let history = History::new(7, 10);
    let (_broker, settings) = broker(&history);
    let join = |settings: FleetSettings| Router::join(settings, history.features.clone(), clock()).err().unwrap();
    let error = join(FleetSettings { rekeyed_partitions: 7, ..settings.clone() }).to_string();
    assert!(error.contains("use 6") && error.contains("by-entity"), "{error}");
    let error = join(FleetSettings { flush_records: 0, ..settings.clone() }).to_string();
    assert!(error.contains("flush_records"), "{error}");
    let elsewhere = FleetSettings {
        brokers: "127.0.0.1:9".to_owned(),
        request_timeout: Duration::from_millis(2_500),
        ..settings.clone()
    };
    let error = join(elsewhere).to_string();
    assert!(error.contains("no Kafka broker answers at 127.0.0.1:9"), "{error}");
}
