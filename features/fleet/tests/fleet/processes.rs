//! Workers as processes of their own beside a real broker and a real Redis; some are killed.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dhow_events::{HOUR_MICROS, SystemClock};
use dhow_fleet::{FleetSettings, run_worker};
use dhow_kafka::{KafkaLog, create_topic};
use dhow_redis::RedisStates;

use crate::brokers::{Server, redis_settings};
use crate::expected::{History, PARTITIONS, REKEYED_PARTITIONS, TOPIC, assert_equal};

/// Tells a process started by these tests where its servers are: `kafka-port redis-port`.
const CHILD_TASK: &str = "DHOW_FLEET_TEST_WORKER";
const PATIENCE: Duration = Duration::from_secs(120);
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
const EVENTS: usize = 4_000;
/// How many events are written at a time, and how long apart.
const CHUNK: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

fn settings(kafka: u16) -> FleetSettings {
    FleetSettings {
        session_timeout: SESSION_TIMEOUT,
        flush_records: 200,
        idle_timeout_micros: HOUR_MICROS,
        expire_interval_micros: 200_000,
        ..FleetSettings::new(format!("127.0.0.1:{kafka}"), TOPIC, PARTITIONS, REKEYED_PARTITIONS, "fleet")
    }
}

/// Not a test by itself: the tests here start this binary again as a worker, which ends with its standard input.
#[test]
fn what_a_worker_process_does() {
    let Ok(task) = std::env::var(CHILD_TASK) else { return };
    let ports: Vec<u16> = task.split(' ').map(|port| port.parse().unwrap()).collect();
    let history = History::new(0, 1);
    let states = RedisStates::connect(&redis_settings(ports[1]), history.features.clone(), history.online).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    thread::spawn(move || {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        stopped.store(true, Ordering::Relaxed);
    });
    let stop = || stop.load(Ordering::Relaxed);
    let report = run_worker(settings(ports[0]), history.features, states, Arc::new(SystemClock), &stop).unwrap();
    println!("\ncounted {}", report.features.counted);
}

/// A worker process, which is killed when this is dropped.
struct Worker(Child);

impl Worker {
    /// Ends it as an operator does and gives how many records it counted.
    fn end(mut self) -> u64 {
        drop(self.0.stdin.take());
        let mut output = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        assert!(self.0.wait().unwrap().success(), "{output}");
        let counted = output.lines().find_map(|line| line.strip_prefix("counted "));
        counted.unwrap_or_else(|| panic!("no report: {output}")).parse().unwrap()
    }

    /// Stops it without its knowing, or lets it go on.
    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Gives it no time for anything.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The servers, a topic and a history that is written into it bit by bit.
struct Scene {
    kafka: Server,
    redis: Server,
    history: History,
    log: KafkaLog,
    written: usize,
    begin: Instant,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let (kafka, redis, history) = (Server::kafka(), Server::redis(), History::new(seed, EVENTS));
        let settings = settings(kafka.port);
        assert!(create_topic(&settings.brokers, TOPIC, PARTITIONS, 1, settings.request_timeout).unwrap());
        assert!(settings.create_rekeyed_topic(&history.features, 1).unwrap());
        let log = history.log(&settings.brokers);
        Self { kafka, redis, history, log, written: 0, begin: Instant::now() }
    }

    fn worker(&self) -> Worker {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::what_a_worker_process_does", "--nocapture"]);
        command.env(CHILD_TASK, format!("{} {}", self.kafka.port, self.redis.port));
        Worker(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Writes up to this share of the history while the workers work.
    fn write(&mut self, until: usize) {
        println!("{:?}: writing up to event {until}", self.begin.elapsed());
        while self.written < until {
            let end = until.min(self.written + CHUNK);
            self.history.append(&self.log, self.written..end);
            self.written = end;
            thread::sleep(PAUSE);
        }
    }

    /// Waits until what was written is applied, but for so many records.
    fn wait(&self, lag: u64) {
        println!("{:?}: waiting for the workers", self.begin.elapsed());
        let begin = Instant::now();
        let (settings, features) = (settings(self.kafka.port), &self.history.features);
        loop {
            let progress = settings.progress(features).unwrap();
            if progress.lag() <= lag && progress.routed.iter().all(|partition| partition.committed.is_some()) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {progress:?}");
            thread::sleep(PAUSE);
        }
    }

    fn assert_as_expected(&self) {
        println!("{:?}: comparing", self.begin.elapsed());
        let redis = redis_settings(self.redis.port);
        let mut states = RedisStates::connect(&redis, self.history.features.clone(), self.history.online).unwrap();
        assert_equal(&self.history.found(&mut states), &self.history.expected(&self.log));
    }
}

#[test]
fn one_worker_that_is_killed_again_and_again_ends_with_the_tables_of_one_store() {
    let mut scene = Scene::new(11);
    for round in 1..=3 {
        let worker = scene.worker();
        scene.write(EVENTS * round / 4);
        scene.wait(200);
        // It is at work on these when it is killed.
        scene.write(EVENTS * round / 4 + 5 * CHUNK);
        worker.kill();
    }
    let worker = scene.worker();
    scene.write(EVENTS);
    scene.wait(0);
    assert!(worker.end() > 0);
    scene.assert_as_expected();
}

#[test]
fn two_workers_of_which_one_joins_and_the_other_leaves_in_the_middle_end_with_the_tables_of_one_store() {
    let mut scene = Scene::new(12);
    let first = scene.worker();
    scene.write(EVENTS / 4);
    scene.wait(200);
    let second = scene.worker();
    scene.write(EVENTS * 3 / 4);
    let counted = first.end();
    scene.write(EVENTS);
    scene.wait(0);
    let counted = [counted, second.end()];
    assert!(counted.iter().all(|counted| *counted > 0), "{counted:?}");
    scene.assert_as_expected();
}

#[test]
fn three_workers_of_which_one_is_killed_and_one_sleeps_too_long_end_with_the_tables_of_one_store() {
    let mut scene = Scene::new(13);
    let workers = [scene.worker(), scene.worker(), scene.worker()];
    scene.write(EVENTS / 3);
    scene.wait(200);
    scene.write(EVENTS / 2);
    let [first, second, third] = workers;
    second.kill();
    // Others take over what it had; it wakes up with records, messages and state that it takes for its own.
    first.signal("-STOP");
    let asleep = Instant::now();
    scene.write(EVENTS * 3 / 4);
    thread::sleep(SESSION_TIMEOUT.mul_f64(1.5).saturating_sub(asleep.elapsed()));
    scene.write(EVENTS * 4 / 5);
    first.signal("-CONT");
    scene.write(EVENTS);
    scene.wait(0);
    let counted = [first.end(), third.end()];
    assert!(counted.iter().all(|counted| *counted > 0), "{counted:?}");
    scene.assert_as_expected();
}
