//! Histories and attributes as files: what is read, and what each broken file is told.

use std::path::{Path, PathBuf};

use dhow_datasets::interaction_files::{read_attributes, read_histories};

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn histories_and_attributes_are_numbered_as_they_are_met() {
    let folder = tempfile::tempdir().unwrap();
    let found = read_histories(&file(folder.path(), "taken", "ann tea cup tea\n\nbob cup pot\n")).unwrap();
    assert_eq!(found.item_ids, ["tea", "cup", "pot"]);
    assert_eq!(found.histories, [vec![0, 1, 0], vec![1, 2]]);
    let attributes = file(folder.path(), "attributes", r#"{"pot": ["clay", 7], "tea": ["leaf", "leaf"], "hat": [1]}"#);
    assert_eq!(read_attributes(&attributes, &found.item_ids).unwrap(), [vec![0, 0], vec![], vec![1, 2]]);
}

#[test]
fn a_broken_file_is_told_where_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let of = |text: &str| read_histories(&file(folder.path(), "broken", text)).unwrap_err().to_string();
    assert!(of("ann tea\nbob\n").contains("line 2: person bob has no item"));
    assert!(of("ann tea\nann cup\n").contains("line 2: person ann stands in line 1"));
    assert!(of("\n").contains("holds no line"));
    let of = |text: &str| {
        read_attributes(&file(folder.path(), "broken", text), &["tea".to_owned()]).unwrap_err().to_string()
    };
    assert!(of(r#"{"tea": [true]}"#).contains("item tea has the attribute true"));
    assert!(of(r#"{"tea": "leaf"}"#).contains("a list of attributes"));
    assert!(read_histories(&folder.path().join("absent")).unwrap_err().to_string().contains("absent"));
}
