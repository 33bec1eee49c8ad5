//! The local log through crashes and damage: what was acknowledged stays, and what is wrong is said.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use dhow_events::SystemClock;
use dhow_streams::{LocalLog, Log, LogError, Position};

use crate::common::*;

/// Tells a process started by these tests what to do: `what folder number`.
const CHILD_TASK: &str = "DHOW_STREAMS_TEST_CHILD";

fn child(task: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::what_a_child_process_does", "--nocapture"]).env(CHILD_TASK, task);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Not a test by itself: the other tests here start this binary again with a task.
#[test]
fn what_a_child_process_does() {
    let Ok(task) = std::env::var(CHILD_TASK) else { return };
    let words: Vec<&str> = task.splitn(3, ' ').collect();
    let (first, folder) = (words[1].parse().unwrap(), Path::new(words[2]));
    match words[0] {
        "append" => append_for_ever(folder, first),
        "open" => println!("\nopened: {}", open(folder, 1).map_or_else(|e| e.to_string(), |_| "yes".to_owned())),
        "fill" => fill_up(folder),
        other => panic!("no such task: {other}"),
    }
}

fn append_for_ever(folder: &Path, first: u64) {
    let log = Arc::new(LocalLog::open(folder, settings(2, 8192), Arc::new(SystemClock)).unwrap());
    let appenders: Vec<_> = (0..2_u64)
        .map(|appender| {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                for batch in 0.. {
                    let next = first + appender * 1_000_000 + batch * 20;
                    let positions = log.append(&events(next..next + 1 + batch % 20)).unwrap();
                    let mut lines = String::from("\n");
                    for (number, position) in (next..).zip(positions) {
                        lines += &format!("acknowledged {number} {} {}\n", position.partition, position.offset);
                    }
                    std::io::stdout().write_all(lines.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
}

/// Reads acknowledgements until `wanted` were seen, kills the child, and reads those that it had still sent.
fn kill_after(mut child: Child, wanted: usize, acknowledged: &mut BTreeMap<u64, Position>) {
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if let ["acknowledged", number, partition, offset] = words[..] {
            let position = Position { partition: partition.parse().unwrap(), offset: offset.parse().unwrap() };
            acknowledged.insert(number.parse().unwrap(), position);
            seen += 1;
        }
        if seen == wanted {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= wanted, "the child ended by itself");
}

#[test]
fn after_kill_9_every_acknowledged_event_is_at_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for (round, wanted) in [1, 7, 40, 93, 151, 210, 333, 404, 555, 712].into_iter().enumerate() {
        let task = format!("append {} {}", round * 10_000_000, folder.path().display());
        kill_after(child(&task).spawn().unwrap(), wanted, &mut acknowledged);
        let log = LocalLog::open(folder.path(), settings(2, 8192), clock()).unwrap();
        let records: Vec<_> = (0..2).map(|partition| read_all(&log, partition, 100).unwrap()).collect();
        for (expected, position) in &acknowledged {
            let record = &records[position.partition as usize][position.offset as usize];
            assert_eq!(number(record), *expected, "after round {round}");
        }
    }
    assert!(acknowledged.len() > 2000);
}

#[test]
fn a_second_process_is_refused_and_the_lock_ends_with_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    let try_open = || {
        let output = child(&format!("open 0 {}", folder.path().display())).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(matches!(open(folder.path(), 1).err().unwrap(), LogError::InUse(named) if named == folder.path()));
    assert!(try_open().contains("in use by another process"));
    drop(log);
    assert!(try_open().contains("opened: yes"));
}

/// Appends under a file-size limit until the system refuses, then something small that still fits.
fn fill_up(folder: &Path) {
    let log = LocalLog::open(folder, settings(1, 1 << 30), clock()).unwrap();
    let mut next = 0;
    let error = loop {
        match log.append(&events(next..next + 100)) {
            Ok(_) => next += 100,
            Err(error) => break error,
        }
    };
    log.append(&[event(next)]).unwrap();
    println!("\nfilled: {} {error}", next + 1);
}

#[test]
fn a_full_disk_refuses_the_append_and_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // The limit is 128 blocks of 512 bytes; with its signal ignored, a write beyond it fails as on a full disk.
    shell.args(["-c", r#"trap "" XFSZ; ulimit -f 128; exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
    shell.args(["--exact", "crash::what_a_child_process_does", "--nocapture"]);
    let output = shell.env(CHILD_TASK, format!("fill 0 {}", folder.path().display())).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = printed.lines().find_map(|line| line.strip_prefix("filled: ")).expect(&printed);
    let (appended, error) = line.split_once(' ').unwrap();
    assert!(error.contains("cannot write") && error.contains(".segment"), "{error}");
    let log = open(folder.path(), 1).unwrap();
    assert_eq!(log.recovery().torn_bytes, 0);
    let numbers: Vec<u64> = read_all(&log, 0, 1000).unwrap().iter().map(number).collect();
    assert_eq!(numbers, (0..appended.parse().unwrap()).collect::<Vec<u64>>());
}

#[test]
fn a_file_cut_at_any_byte_of_its_last_frames_keeps_the_records_before_and_takes_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), 1).unwrap());
    let mut lengths = vec![];
    let file = &segments(folder.path())[0];
    for number in 0..8 {
        let log = open(folder.path(), 1).unwrap();
        // The end of a record is before the commit mark of its append, which takes 16 bytes.
        // The last one is longer than what is appended after the tear, so that a tail left behind would show.
        log.append(&[if number == 7 { long_event(number, 200) } else { event(number) }]).unwrap();
        drop(log);
        lengths.push(fs::metadata(file).unwrap().len() - 16);
    }
    let whole = fs::read(file).unwrap();
    for cut in lengths[5] as usize..whole.len() {
        fs::write(file, &whole[..cut]).unwrap();
        let log = open(folder.path(), 1).unwrap();
        let kept = lengths.iter().filter(|&&end| end <= cut as u64).count() as u64;
        let is_torn = !lengths.iter().any(|&end| [end, end + 16].contains(&(cut as u64)));
        assert_eq!(u32::from(is_torn), log.recovery().torn_tails, "cut at {cut}");
        log.append(&[event(100)]).unwrap();
        drop(log);
        let log = open(folder.path(), 1).unwrap();
        assert_eq!(log.recovery().torn_tails, 0, "cut at {cut}");
        let numbers: Vec<u64> = read_all(&log, 0, 100).unwrap().iter().map(number).collect();
        assert_eq!(numbers, (0..kept).chain([100]).collect::<Vec<u64>>(), "cut at {cut}");
    }
}

#[test]
fn room_ahead_of_the_end_is_no_damage_whatever_a_crash_leaves_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    log.append(&events(0..8)).unwrap();
    let file = &segments(folder.path())[0];
    let with_room = fs::read(file).unwrap();
    drop(log);
    let end = fs::metadata(file).unwrap().len() as usize;
    assert!(with_room.len() > end + 1000 && with_room[end..].iter().all(|byte| *byte == 0));
    for cut in (end..end + 40).chain([with_room.len() - 1, with_room.len()]) {
        fs::write(file, &with_room[..cut]).unwrap();
        let log = open(folder.path(), 1).unwrap();
        assert_eq!(log.recovery().torn_bytes, 0, "cut at {cut}");
        log.append(&[event(8)]).unwrap();
        let numbers: Vec<u64> = read_all(&log, 0, 100).unwrap().iter().map(number).collect();
        assert_eq!(numbers, (0..9).collect::<Vec<u64>>(), "cut at {cut}");
    }
    // What was written behind the room but never acknowledged is cut off, and damage before it is still found.
    let mut torn = with_room.clone();
    torn[end + 100] = 7;
    fs::write(file, &torn).unwrap();
    assert_eq!(open(folder.path(), 1).unwrap().recovery().torn_tails, 1);
    let mut damaged = with_room;
    damaged[end - 40] ^= 1;
    fs::write(file, &damaged).unwrap();
    assert!(matches!(open(folder.path(), 1), Err(LogError::Damaged { .. })));
}

#[test]
fn any_flipped_byte_of_an_acknowledged_record_is_an_error_that_names_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    log.append(&events(0..5)).unwrap();
    log.append(&events(5..8)).unwrap();
    drop(log);
    let file = &segments(folder.path())[0];
    let whole = fs::read(file).unwrap();
    let last_mark = whole.len() - 16;
    for byte in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[byte] ^= bit;
            fs::write(file, &damaged).unwrap();
            match open(folder.path(), 1) {
                // Only the last commit mark can be lost without losing a record, as if the crash came before it.
                Ok(log) => {
                    assert!(byte >= last_mark, "byte {byte} was not missed");
                    assert_eq!(log.recovery().torn_bytes, 16);
                    assert_eq!(read_all(&log, 0, 10).unwrap().len(), 8);
                }
                Err(LogError::Damaged { path, byte: named, .. }) => {
                    assert!(byte < last_mark && path == *file && named <= byte as u64, "byte {byte}, named {named}");
                }
                Err(LogError::Version { .. }) => assert!((8..12).contains(&byte), "byte {byte}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn damage_in_an_older_segment_is_found_when_it_is_read_or_on_opening() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    (0..30).for_each(|n| drop(log.append(&events(n * 10..n * 10 + 10)).unwrap()));
    drop(log);
    let files = segments(folder.path());
    assert!(files.len() > 3);
    let whole = fs::read(&files[1]).unwrap();
    for byte in (0..whole.len()).step_by(7).chain(whole.len() - 16..whole.len()) {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x10;
        fs::write(&files[1], &damaged).unwrap();
        let error = open(folder.path(), 1).and_then(|log| read_all(&log, 0, 64)).unwrap_err();
        let named =
            matches!(&error, LogError::Damaged { path, .. } | LogError::Version { path, .. } if *path == files[1]);
        assert!(named, "byte {byte}: {error}");
    }
    // Cut off, removed, or with a gap: refused on opening.
    fs::write(&files[1], &whole[..whole.len() - 100]).unwrap();
    assert!(open(folder.path(), 1).err().unwrap().to_string().contains("does not end with a commit mark"));
    fs::remove_file(&files[1]).unwrap();
    assert!(open(folder.path(), 1).err().unwrap().to_string().contains("the next file begins with"));
    fs::remove_file(&files[0]).unwrap();
    assert!(open(folder.path(), 1).err().unwrap().to_string().contains("is missing"));
}

#[test]
fn a_log_of_an_unknown_version_is_refused_and_an_unfinished_file_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    log.append(&events(0..3)).unwrap();
    drop(log);
    let file = &segments(folder.path())[0];
    let unfinished = file.with_extension("segment.unfinished");
    File::create(&unfinished).unwrap();
    assert_eq!(open(folder.path(), 1).unwrap().end(0).unwrap(), 3);
    assert!(!unfinished.exists());
    let mut bytes = fs::read(file).unwrap();
    bytes[8] = 9;
    fs::write(file, &bytes).unwrap();
    assert!(
        open(folder.path(), 1).err().unwrap().to_string().contains("format version 9; this program reads version 1")
    );
    dhow_streams::checkpoint::write_atomically(&folder.path().join("log"), &[7, 0, 0, 0, 1, 0, 0, 0]).unwrap();
    assert!(open(folder.path(), 1).err().unwrap().to_string().contains("format version 7"));
    fs::remove_file(folder.path().join("log")).unwrap();
    assert!(open(folder.path(), 1).err().unwrap().to_string().contains("`log`"));
}
