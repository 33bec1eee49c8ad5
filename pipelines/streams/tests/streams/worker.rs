//! The worker loop: the same final state, wherever it is broken off.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dhow_events::SECOND_MICROS;
use dhow_streams::{Log, Offsets, Record, Sink, SinkError, WorkerError, WorkerSettings, catch_up, run_worker};

use crate::common::*;

/// State and offsets as one, as on a disk that outlives the worker.
type Saved = (Vec<(u32, u64)>, Offsets);

/// Applies by remembering; dies at the step number `dies_at`, each call counting as the steps before and after its effect.
struct Remembering<'a> {
    disk: &'a RefCell<Saved>,
    committed: &'a RefCell<Vec<Offsets>>,
    applied: Vec<(u32, u64)>,
    restored: Offsets,
    step: &'a Cell<u64>,
    dies_at: u64,
}

impl<'a> Remembering<'a> {
    fn restore(
        disk: &'a RefCell<Saved>,
        committed: &'a RefCell<Vec<Offsets>>,
        step: &'a Cell<u64>,
        dies_at: u64,
    ) -> Self {
        let (applied, restored) = disk.borrow().clone();
        Self { disk, committed, applied, restored, step, dies_at }
    }

    fn step(&self) -> Result<(), SinkError> {
        let step = self.step.replace(self.step.get() + 1);
        if step == self.dies_at { Err("killed".into()) } else { Ok(()) }
    }
}

impl Sink for Remembering<'_> {
    fn apply(&mut self, record: &Record) -> Result<(), SinkError> {
        self.step()?;
        self.applied.push((record.partition, record.offset));
        self.step()
    }
    fn checkpoint(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        self.step()?;
        *self.disk.borrow_mut() = (self.applied.clone(), offsets.clone());
        self.step()
    }
    fn commit(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        self.step()?;
        assert_eq!(self.disk.borrow().1, *offsets, "a commit follows its durable checkpoint");
        self.committed.borrow_mut().push(offsets.clone());
        self.step()
    }
    fn restored_offsets(&self) -> Offsets {
        self.restored.clone()
    }
}

#[test]
fn a_worker_killed_at_any_step_ends_with_the_same_state_as_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 3).unwrap();
    for batch in 0..5 {
        log.append(&events(batch * 10..batch * 10 + 10)).unwrap();
    }
    let settings = WorkerSettings { checkpoint_records: 7, stop_check_records: 1, ..WorkerSettings::new(clock()) };
    let run = |dies_at: u64| {
        let (disk, committed) = (RefCell::new((Vec::new(), Offsets::start(3))), RefCell::default());
        let step = Cell::new(0);
        let mut deaths = 0;
        loop {
            let mut sink = Remembering::restore(&disk, &committed, &step, dies_at);
            match catch_up(&log, &mut sink, &settings) {
                Ok(report) => {
                    assert_eq!(report.offsets, Offsets::ends(&log).unwrap());
                    assert!(committed.borrow().windows(2).all(|pair| pair[0].record_count() < pair[1].record_count()));
                    break;
                }
                Err(error) => assert!(error.to_string().contains("killed")),
            }
            deaths += 1;
        }
        (disk.into_inner(), step.get(), deaths)
    };
    let (undisturbed, steps, _) = run(u64::MAX);
    assert_eq!(undisturbed.0.len(), 50);
    for dies_at in 0..steps {
        let (state, _, deaths) = run(dies_at);
        assert_eq!((state, deaths), (undisturbed.clone(), 1), "killed at step {dies_at}");
    }
}

/// Counts records, so that another thread can see how far the worker is.
struct Counting<'a>(&'a AtomicU64, Offsets);

impl Sink for Counting<'_> {
    fn apply(&mut self, _: &Record) -> Result<(), SinkError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn checkpoint(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        self.1 = offsets.clone();
        Ok(())
    }
    fn restored_offsets(&self) -> Offsets {
        self.1.clone()
    }
}

#[test]
fn a_running_worker_takes_what_comes_in_and_stops_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 2).unwrap();
    let applied = AtomicU64::new(0);
    let settings = WorkerSettings { wait_max: Duration::from_millis(5), ..WorkerSettings::new(clock()) };
    let report = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut sink = Counting(&applied, Offsets::start(2));
            let report = run_worker(&log, &mut sink, &settings, &|| applied.load(Ordering::SeqCst) >= 60).unwrap();
            assert_eq!(sink.1, report.offsets);
            report
        });
        for batch in 0..6 {
            log.append(&events(batch * 10..batch * 10 + 10)).unwrap();
        }
        worker.join().unwrap()
    });
    assert_eq!((report.records, report.checkpoints), (60, 1));
}

#[test]
fn a_checkpoint_is_due_when_its_interval_has_passed_on_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    log.append(&events(0..3)).unwrap();
    let clock = clock();
    let settings = WorkerSettings { wait_max: Duration::from_millis(1), ..WorkerSettings::new(clock.clone()) };
    let applied = AtomicU64::new(0);
    let looks = Cell::new(0);
    let stop = || {
        looks.set(looks.get() + 1);
        clock.advance(4 * SECOND_MICROS);
        looks.get() > 5
    };
    let report = run_worker(&log, &mut Counting(&applied, Offsets::start(1)), &settings, &stop).unwrap();
    assert_eq!((report.records, report.checkpoints), (3, 1));
}

#[test]
fn a_sink_of_another_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    log.append(&[event(0)]).unwrap();
    let applied = AtomicU64::new(0);
    let settings = WorkerSettings::new(clock());
    let ahead = catch_up(&log, &mut Counting(&applied, Offsets(vec![2])), &settings);
    assert!(matches!(ahead, Err(WorkerError::SinkIsAhead { partition: 0, applied: 2, end: 1 })));
    let other = catch_up(&log, &mut Counting(&applied, Offsets(vec![0, 0])), &settings);
    assert!(matches!(other, Err(WorkerError::Log(_))));
    assert_eq!((applied.load(Ordering::SeqCst), log.end(0).unwrap()), (0, 1));
}
