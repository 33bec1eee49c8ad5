//! Checkpoint files and the file of bad lines.

use std::fs;

use dhow_streams::checkpoint::{CheckpointError, read_checked, write_atomically};
use dhow_streams::{PutAside, PutAsideError};

#[test]
fn a_checkpoint_is_read_back_or_refused_whatever_byte_is_wrong_or_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    assert!(read_checked(&path).unwrap().is_none());
    write_atomically(&path, b"").unwrap();
    assert_eq!(read_checked(&path).unwrap().unwrap(), b"");
    write_atomically(&path, b"the state and its offsets").unwrap();
    assert_eq!(read_checked(&path).unwrap().unwrap(), b"the state and its offsets");
    let whole = fs::read(&path).unwrap();
    for byte in 0..whole.len() {
        fs::write(&path, &whole[..byte]).unwrap();
        assert!(matches!(read_checked(&path), Err(CheckpointError::Damaged { .. })), "cut at {byte}");
        let mut damaged = whole.clone();
        damaged[byte] ^= 4;
        fs::write(&path, &damaged).unwrap();
        let error = read_checked(&path).unwrap_err();
        assert_eq!(matches!(error, CheckpointError::Version { .. }), (8..12).contains(&byte), "byte {byte}: {error}");
    }
}

#[test]
fn an_interrupted_replacement_leaves_the_old_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    write_atomically(&path, b"old").unwrap();
    // A folder in the place of the unfinished file stops the replacement before the move.
    fs::create_dir(folder.path().join("state.unfinished")).unwrap();
    assert!(write_atomically(&path, b"new").unwrap_err().to_string().contains("state.unfinished"));
    assert_eq!(read_checked(&path).unwrap().unwrap(), b"old");
}

#[test]
fn bad_lines_are_kept_with_number_and_reason_until_the_file_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.ndjson");
    assert_eq!(PutAside::new(&path, 100).finish().unwrap(), 0);
    assert!(!path.exists(), "no bad line, no file");
    let mut aside = PutAside::new(&path, 100);
    aside.put(3, "is not JSON", "{\"a\n").unwrap();
    let error = aside.put(9, "is not JSON", &"x".repeat(80)).unwrap_err();
    assert!(matches!(error, PutAsideError::Full { line: 9, bytes_max: 100, lines: 1, .. }), "{error}");
    assert_eq!(aside.finish().unwrap(), 1);
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept, serde_json::json!({"line": 3, "reason": "is not JSON", "text": "{\"a\n"}));
    let lost = folder.path().join("absent").join("bad.ndjson");
    assert!(PutAside::new(&lost, 100).put(1, "", "").unwrap_err().to_string().contains("absent"));
}
