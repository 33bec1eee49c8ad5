//! Older files are read by the columns of today: added ones are null, removed ones are gone, wider ones are cast.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use dhow_events::*;
use dhow_offline::*;
use dhow_streams::checkpoint::{read_checked, write_atomically};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::world::*;

/// Makes the only file of `item_ordered` one of an older program, whose columns were as `change` says.
fn as_written_before(folder: &Path, change: impl Fn(&mut Vec<(Field, ArrayRef)>)) {
    let lake = Lake::open(stored(folder)).unwrap();
    let path = lake.files(&TenantId::default(), FactKind::ItemOrdered).next().unwrap().path.clone();
    let file = std::fs::File::open(folder.join(&path)).unwrap();
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
    let fields = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    let mut columns: Vec<(Field, ArrayRef)> = fields.into_iter().zip(batch.columns().iter().cloned()).collect();
    change(&mut columns);
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), arrays).unwrap();
    write_parquet(&folder.join(&path), &batch).unwrap();

    let manifest = folder.join("manifest.dhow");
    let mut content: Value = serde_json::from_slice(&read_checked(&manifest).unwrap().unwrap()).unwrap();
    let column = |field: &Field| json!({"name": field.name(), "data_type": field.data_type().to_string(), "nullable": field.is_nullable()});
    let lists = content["columns"].as_array_mut().unwrap();
    lists.push(fields.iter().map(column).collect());
    let number = lists.len() - 1;
    content["files"][0]["columns"] = json!(number);
    content["files"][0]["byte_count"] = json!(std::fs::metadata(folder.join(&path)).unwrap().len());
    write_atomically(&manifest, &serde_json::to_vec(&content).unwrap()).unwrap();
}

/// A lake with an older file of three sales and a new one of two.
fn old_and_new(change: impl Fn(&mut Vec<(Field, ArrayRef)>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let records = sales(5, 0);
    stream(&mut open_writer(folder.path()), &records[..3], 3).unwrap();
    as_written_before(folder.path(), change);
    stream(&mut open_writer(folder.path()), &records[3..], 2).unwrap();
    folder
}

fn place(columns: &[(Field, ArrayRef)], name: &str) -> usize {
    columns.iter().position(|(field, _)| field.name() == name).unwrap()
}

#[test]
fn a_column_that_was_added_is_null_in_the_rows_before() {
    let folder = old_and_new(|columns| {
        columns.remove(place(columns, "quantity"));
    });
    let all = rows(&Lake::open(stored(folder.path())).unwrap(), "item_ordered");
    let quantities: Vec<Option<i64>> =
        all.column_by_name("quantity").unwrap().as_primitive::<Int64Type>().iter().collect();
    assert_eq!(quantities, [None, None, None, Some(3), Some(4)]);
    let sql = "SELECT count(*) AS n FROM item_ordered WHERE quantity IS NULL";
    assert_eq!(integers(&run(session(folder.path(), "ten_default").query(sql)).unwrap(), "n").unwrap(), [3]);
}

#[test]
fn a_column_that_was_removed_is_no_column_of_the_table_and_merging_keeps_it_in_its_file() {
    let gift = |columns: &mut Vec<(Field, ArrayRef)>| {
        columns
            .insert(6, (Field::new("gift", DataType::Utf8, false), Arc::new(StringArray::from(vec!["a", "b", "c"]))));
    };
    let folder = old_and_new(gift);
    let lake = Lake::open(stored(folder.path())).unwrap();
    let all = rows(&lake, "item_ordered");
    assert!(all.column_by_name("gift").is_none());
    assert_eq!(all.num_rows(), 5);
    let old = folder.path().join(&lake.files(&TenantId::default(), FactKind::ItemOrdered).next().unwrap().path);
    let bytes = std::fs::read(&old).unwrap();
    assert_eq!(open_writer(folder.path()).compact().unwrap(), CompactionReport::default());
    assert_eq!(std::fs::read(&old).unwrap(), bytes);
}

#[test]
fn a_smaller_integer_is_read_as_the_larger_one() {
    let folder = old_and_new(|columns| {
        let at = place(columns, "quantity");
        let narrow = Int32Array::from(vec![0, i32::MAX, i32::MIN]);
        columns[at] = (Field::new("quantity", DataType::Int32, false), Arc::new(narrow));
    });
    let all = rows(&Lake::open(stored(folder.path())).unwrap(), "item_ordered");
    let quantities = all.column_by_name("quantity").unwrap();
    assert_eq!(quantities.data_type(), &DataType::Int64);
    let expected = [0, i64::from(i32::MAX), i64::from(i32::MIN), 3, 4];
    assert_eq!(quantities.as_primitive::<Int64Type>().values(), &expected);
}

#[test]
fn any_other_change_of_type_is_refused_by_the_file_and_the_column() {
    let folder = old_and_new(|columns| {
        let at = place(columns, "quantity");
        let text = StringArray::from(vec!["1", "2", "3"]);
        columns[at] = (Field::new("quantity", DataType::Utf8, false), Arc::new(text));
    });
    let lake = Lake::open(stored(folder.path())).unwrap();
    let said = SqlSession::open(&lake, &TenantId::default(), QueryBounds::default()).err().unwrap().to_string();
    for expected in ["item_ordered/date=1970-01-01/", "`quantity`", "Utf8", "Int64"] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
}
