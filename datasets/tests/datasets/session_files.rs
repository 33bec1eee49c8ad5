//! Files of clicks: what is read of them, and what is said of those that are wrong.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListArray, RecordBatch};
use arrow::datatypes::Int32Type;
use dhow_datasets::session_files::{ItemNumbers, NextItem, cases_of, read_cases, read_sessions};
use parquet::arrow::ArrowWriter;

#[test]
fn clicks_become_sessions_in_the_order_of_their_last_click_with_dense_items() {
    let folder = tempfile::tempdir().unwrap();
    let text = "SessionId\tItemId\tTime\n7\t900\t20.5\n5\t901\t10.0\n7\t901\t19.0\n5\t900\t12.0\n\n9\t77\t30\n";
    std::fs::write(folder.path().join("train.txt"), text).unwrap();
    let sessions = read_sessions(folder.path(), &mut ItemNumbers::default()).unwrap();
    // Session 5 viewed 901 and then 900, 7 the same, 9 one item.
    assert_eq!(sessions.len(), 3);
    assert_eq!(sessions[0].items, sessions[1].items);
    assert_eq!(sessions.iter().map(|session| session.time).collect::<Vec<_>>(), [12_000_000, 20_500_000, 30_000_000]);
    let [one, other] = [sessions[0].items[0], sessions[0].items[1]];
    assert!(one < 3 && other < 3 && sessions[2].items[0] < 3 && one != other);
    let cases = cases_of(&sessions);
    assert_eq!(cases[1], NextItem { prefix: vec![one], next: other, session: 1 });
    assert_eq!(cases.len(), 2, "a session of one item has nothing to predict");
}

#[test]
fn lists_of_items_and_cases_are_read_from_parquet_with_the_numbers_of_the_training_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let lists = |rows: &[&[i32]]| -> ArrayRef {
        let rows = rows.iter().map(|row| Some(row.iter().map(|item| Some(*item)).collect::<Vec<_>>()));
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows))
    };
    let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = File::create(folder.path().join(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    write("train_sessions.parquet", vec![("items", lists(&[&[11, 12], &[13]]))]);
    let next: ArrayRef = Arc::new(Int32Array::from(vec![13, 12, 11]));
    write("test.parquet", vec![("prefix", lists(&[&[11, 12], &[11], &[13]])), ("next_item", next)]);
    let mut numbers = ItemNumbers::default();
    let sessions = read_sessions(folder.path(), &mut numbers).unwrap();
    assert_eq!(sessions.iter().map(|session| session.items.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2]]);
    let cases = read_cases(folder.path(), &mut numbers).unwrap();
    assert_eq!(cases[0], NextItem { prefix: vec![0, 1], next: 2, session: 0 });
    assert_eq!(cases[1], NextItem { prefix: vec![0], next: 1, session: 0 });
    assert_eq!(cases[2], NextItem { prefix: vec![2], next: 0, session: 1 });
}

#[test]
fn a_wrong_file_is_refused_with_its_name_and_the_line_or_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clicks.txt");
    std::fs::write(&path, "SessionId ItemId Time\n1 2 3.0\n1 kettle 4.0\n").unwrap();
    let said = read_sessions(&path, &mut ItemNumbers::default()).unwrap_err().to_string();
    assert!(said.contains("clicks.txt") && said.contains("line 3") && said.contains("kettle"), "{said}");
    let said = read_cases(folder.path(), &mut ItemNumbers::default()).unwrap_err().to_string();
    assert!(said.contains("test.txt"), "{said}");
    let said = read_sessions(&folder.path().join("none.parquet"), &mut ItemNumbers::default()).unwrap_err().to_string();
    assert!(said.contains("none.parquet"), "{said}");
}
