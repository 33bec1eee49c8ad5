//! The lake's files follow event time, merging changes no row, and a crash at any step leaves the old lake or the new.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dhow_events::*;
use dhow_offline::*;
use dhow_streams::{Offsets, Record, Sink};
use object_store::ObjectStore;
use proptest::prelude::*;

use crate::world::*;

/// 2026-11-01.
const START: i64 = 1_793_491_200_000_000;

fn paths(lake: &Lake) -> Vec<String> {
    lake.files(&TenantId::default(), FactKind::ItemOrdered).map(|file| file.path.clone()).collect()
}

/// The files that a query would open, by its plan.
fn opened(session: &SqlSession, sql: &str) -> usize {
    let plan = run(session.query(&format!("EXPLAIN {sql}"))).unwrap();
    texts(&plan, "plan").unwrap().into_iter().flatten().map(|plan| plan.matches(".parquet").count()).sum()
}

#[test]
fn a_query_for_some_time_opens_only_the_files_of_that_time() {
    let folder = tempfile::tempdir().unwrap();
    // Six days, each in a checkpoint of its own.
    stream(&mut open_writer(folder.path()), &sales(6 * 24 * 60, START), 24 * 60).unwrap();
    let lake = Lake::open(stored(folder.path())).unwrap();
    assert_eq!(paths(&lake).len(), 6);
    assert!(paths(&lake)[2].starts_with("ten_default/item_ordered/date=2026-11-03/"), "{:?}", paths(&lake));
    let session = session(folder.path(), "ten_default");
    for (filter, files, expected) in [
        ("true", 6, 6 * 1440),
        ("event_time >= '2026-11-03' AND event_time < '2026-11-05'", 2, 2 * 1440),
        ("event_time < '2026-11-01T00:10:00Z'", 1, 10),
        ("event_time = '2026-11-02T00:00:00Z' AND quantity > 0", 1, 1),
        ("event_time > '2027-01-01'", 0, 0),
        ("quantity > 1e9 OR event_time >= '2026-11-06'", 6, 1440),
    ] {
        let sql = format!("SELECT count(quantity) AS n FROM item_ordered WHERE {filter}");
        assert_eq!(integers(&run(session.query(&sql)).unwrap(), "n").unwrap(), [expected], "{filter}");
        let sql = format!("SELECT quantity FROM item_ordered WHERE {filter}");
        assert_eq!(opened(&session, &sql), files, "{filter}");
    }
}

#[test]
fn a_long_backlog_becomes_a_few_files_and_not_one_for_each_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = sales(60 * 2000, START);
    for (i, record) in records.iter_mut().enumerate() {
        record.event.event_time = Timestamp::from_micros(START + (i as i64 % 60) * DAY_MICROS + i as i64);
    }
    write(folder.path(), &records);
    let lake = Lake::open(stored(folder.path())).unwrap();
    let rows: Vec<u64> = lake.files(&TenantId::default(), FactKind::ItemOrdered).map(|file| file.row_count).collect();
    assert_eq!(rows, [FILE_ROWS_FULL as u64, FILE_ROWS_FULL as u64, 20_000]);
    assert!(paths(&lake)[0].contains("/dates=2026-11-01..2026-11-25/"), "{:?}", paths(&lake));
    let sql = "SELECT count(*) AS n FROM item_ordered WHERE event_time >= '2026-11-02' AND event_time < '2026-11-03'";
    assert_eq!(integers(&run(session(folder.path(), "ten_default").query(sql)).unwrap(), "n").unwrap(), [2000]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn merging_small_files_changes_no_bit_of_any_row(
        minutes in prop::collection::vec(0..20_000_i64, 30..200),
        each in 1..20_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut records = sales(minutes.len() as u64, START);
        for (record, minute) in records.iter_mut().zip(&minutes) {
            record.event.event_time = Timestamp::from_micros(START + minute * MINUTE_MICROS);
        }
        let mut writer = open_writer(folder.path());
        stream(&mut writer, &records, each).unwrap();
        let before = Lake::open(stored(folder.path())).unwrap();
        let expected = rows(&before, "item_ordered");
        prop_assert_eq!(expected.num_rows(), records.len());
        writer.compact().unwrap();
        let after = Lake::open(stored(folder.path())).unwrap();
        prop_assert_eq!(after.files(&TenantId::default(), FactKind::ItemOrdered).count(), 1);
        prop_assert_eq!(&rows(&after, "item_ordered"), &expected);
        // Whoever opened the lake before still reads its files.
        prop_assert_eq!(&rows(&before, "item_ordered"), &expected);
        let sql = "SELECT arrow_cast(event_time, 'Int64') AS time FROM item_ordered";
        let times = integers(&run(session(folder.path(), "ten_default").query(sql)).unwrap(), "time").unwrap();
        prop_assert!(times.is_sorted());
        prop_assert_eq!(writer.compact().unwrap(), CompactionReport::default());
    }
}

#[test]
fn merged_files_are_removed_when_their_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(START)));
    let mut writer = LakeWriter::open(stored(folder.path()), clock.clone()).unwrap();
    let records = sales(100, START);
    stream(&mut writer, &records[..90], 10).unwrap();
    let old = paths(&Lake::open(stored(folder.path())).unwrap());
    writer.compact().unwrap();
    let there = |path: &String| folder.path().join(path).exists();
    clock.advance(RETIRED_KEPT_MICROS);
    stream(&mut writer, &records[90..95], 5).unwrap();
    assert!(old.iter().all(there));
    clock.advance(1);
    stream(&mut writer, &records[95..], 5).unwrap();
    assert!(!old.iter().any(there));
    assert_eq!(rows(&Lake::open(stored(folder.path())).unwrap(), "item_ordered").num_rows(), 100);
}

#[test]
fn a_worker_merges_small_files_while_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open_writer(folder.path());
    let records = sales(600, START);
    for (checkpoint, chunk) in records.chunks(1).enumerate() {
        stream(&mut writer, chunk, 1).unwrap();
        let files = paths(&Lake::open(stored(folder.path())).unwrap()).len();
        if files < checkpoint / 2 {
            drop(writer);
            let lake = Lake::open(stored(folder.path())).unwrap();
            assert_eq!(rows(&lake, "item_ordered").num_rows(), checkpoint + 1);
            return;
        }
    }
    panic!("600 checkpoints and no file was merged");
}

#[test]
fn a_second_writer_of_a_folder_is_refused_by_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let first = open_writer(folder.path());
    let second = LakeWriter::open(stored(folder.path()), Arc::new(SystemClock)).err().unwrap().to_string();
    assert!(second.contains("another process"), "{second}");
    drop(first);
    open_writer(folder.path());
}

/// How a step ends that a crash interrupts.
#[derive(Clone, Copy, Debug)]
enum Crash {
    Before,
    Torn,
    After,
}

/// A place that does not work any more from one of its steps on.
#[derive(Debug)]
struct Crashing {
    inner: Arc<dyn LakeStorage>,
    steps_left: AtomicI64,
    crash: Crash,
}

impl Crashing {
    /// Does a step, or the part of it that comes before the crash.
    fn step<T>(
        &self,
        whole: impl FnOnce() -> Result<T, OfflineError>,
        torn: impl FnOnce() -> Result<(), OfflineError>,
    ) -> Result<T, OfflineError> {
        let crashed = || Err(OfflineError::Storage { place: "here".into(), reason: "it crashed".into() });
        match self.steps_left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => whole(),
            0 => {
                match self.crash {
                    Crash::Before => {}
                    Crash::Torn => torn()?,
                    Crash::After => drop(whole()?),
                }
                crashed()
            }
            _ => crashed(),
        }
    }
}

impl LakeStorage for Crashing {
    fn location(&self) -> &str {
        self.inner.location()
    }
    fn lock(&self) -> Result<WriterLock, OfflineError> {
        self.inner.lock()
    }
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, OfflineError> {
        self.inner.read(path)
    }
    fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), OfflineError> {
        let half = bytes[..bytes.len() / 2].to_vec();
        self.step(|| self.inner.write(path, bytes), || self.inner.write(path, half))
    }
    fn remove(&self, path: &str) -> Result<(), OfflineError> {
        self.step(|| self.inner.remove(path), || Ok(()))
    }
    fn list(&self) -> Result<Vec<String>, OfflineError> {
        self.inner.list()
    }
    fn read_manifest(&self) -> Result<Option<(Vec<u8>, ManifestTag)>, OfflineError> {
        self.inner.read_manifest()
    }
    fn replace_manifest(&self, content: &[u8], expected: Option<&ManifestTag>) -> Result<ManifestTag, OfflineError> {
        self.step(|| self.inner.replace_manifest(content, expected), || Ok(()))
    }
    fn objects(&self) -> Result<Arc<dyn ObjectStore>, OfflineError> {
        self.inner.objects()
    }
}

/// Streams what is left, merges, and streams on after the merged files' time is over; as far as the place lets it.
fn whole_life(storage: Arc<dyn LakeStorage>, records: &[Record], clock: &Arc<ManualClock>) -> Result<(), String> {
    let mut writer = LakeWriter::open(storage, clock.clone()).map_err(|e| e.to_string())?;
    let done = writer.restored_offsets().0.first().copied().unwrap_or(0) as usize;
    let (early, late) = records.split_at(records.len() - 4);
    if done < early.len() {
        stream(&mut writer, &early[done..], 4).map_err(|e| e.to_string())?;
    }
    writer.compact().map_err(|e| e.to_string())?;
    clock.advance(RETIRED_KEPT_MICROS + 1);
    let left = &late[done.saturating_sub(early.len())..];
    stream(&mut writer, left, 2).map_err(|e| e.to_string())?;
    writer.checkpoint(&Offsets(vec![records.len() as u64])).map_err(|e| e.to_string())
}

#[test]
fn a_crash_at_any_step_leaves_the_old_lake_or_the_new_and_no_row_is_lost_or_doubled() {
    let records = sales(24, START);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &records);
    let expected = rows(&Lake::open(stored(folder.path())).unwrap(), "item_ordered");
    let mut crashes = 0;
    for crash in [Crash::Before, Crash::Torn, Crash::After] {
        for steps in 0.. {
            let storage: Arc<dyn LakeStorage> = Arc::new(ObjectStorage::memory().unwrap());
            let clock = Arc::new(ManualClock::new(Timestamp::from_micros(START)));
            let crashing = Arc::new(Crashing { inner: storage.clone(), steps_left: AtomicI64::new(steps), crash });
            let ended = whole_life(crashing, &records, &clock);
            // What a reader sees after the crash is a beginning of the log, each record once.
            let seen = Lake::open(storage.clone()).unwrap();
            let seen_rows = rows(&seen, "item_ordered");
            assert_eq!(seen_rows, expected.slice(0, seen_rows.num_rows()), "{crash:?} at step {steps}");
            whole_life(storage.clone(), &records, &clock).unwrap();
            let lake = Lake::open(storage.clone()).unwrap();
            assert_eq!(rows(&lake, "item_ordered"), expected, "{crash:?} at step {steps}");
            // No file is left that no one needs: those of the table, those it keeps for a while, and the recent ids.
            clock.advance(RETIRED_KEPT_MICROS + 1);
            let mut last = LakeWriter::open(storage.clone(), clock.clone()).unwrap();
            last.checkpoint(&Offsets(vec![24])).unwrap();
            let mut left: BTreeSet<String> = storage.list().unwrap().into_iter().collect();
            paths(&Lake::open(storage.clone()).unwrap()).iter().for_each(|path| assert!(left.remove(path)));
            assert_eq!(left.len(), 1, "{left:?}");
            if ended.is_ok() {
                break;
            }
            crashes += 1;
        }
    }
    assert!(crashes > 60, "only {crashes} steps were tried");
}
