//! A training set is the same table as Parquet and as Arrow.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::FileReader;
use arrow::record_batch::RecordBatch;
use dhow_offline::{TableFormat, write_table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[test]
fn a_table_reads_back_the_same_from_parquet_and_from_arrow() {
    let fields = [Field::new("event_id", DataType::Utf8, false), Field::new("amount", DataType::Float64, true)];
    let ids = StringArray::from_iter_values((0..1000).map(|i| format!("evt_{i}")));
    let amounts: Float64Array = (0..1000).map(|i| (i % 7 > 0).then(|| f64::from(i) / 3.0)).collect();
    let batch =
        RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), vec![Arc::new(ids), Arc::new(amounts)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = folder.path().join("made").join(name);
        write_table(&path, &batch, TableFormat::of_path(&path)).unwrap();
        File::open(path).unwrap()
    };
    let arrow = FileReader::try_new(write("set.arrow"), None).unwrap().next().unwrap().unwrap();
    assert_eq!(arrow, batch);
    let parquet = ParquetRecordBatchReaderBuilder::try_new(write("set.parquet")).unwrap().build().unwrap();
    assert_eq!(parquet.into_iter().next().unwrap().unwrap(), batch);
    assert_eq!(TableFormat::of_path(Path::new("set.FEATHER")), TableFormat::Arrow);
    assert_eq!(TableFormat::of_path(Path::new("set")), TableFormat::Parquet);
    assert!("csv".parse::<TableFormat>().unwrap_err().contains("parquet and arrow"));
}
