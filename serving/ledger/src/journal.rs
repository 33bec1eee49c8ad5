//! The journal as a table, a line for each entry, for accountants and their programs: as CSV and as Parquet.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::{Batch, BatchId, Entry, Move};

/// A line: an entry of a batch, or a batch that ends a pending one and has no entries.
struct Line<'a> {
    batch: &'a Batch,
    does: &'static str,
    of: Option<BatchId>,
    entry: Option<&'a Entry>,
}

impl Line<'_> {
    /// The entry's amount without its sign where the entry is a debit (or a credit), else nothing.
    fn minor(&self, debit: bool) -> Option<i64> {
        let amount = self.entry?.amount;
        ((amount > 0) == debit).then(|| amount.checked_abs().unwrap_or(i64::MAX))
    }
}

fn lines<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> impl Iterator<Item = Line<'a>> {
    batches.into_iter().flat_map(|batch| {
        let (does, of) = match &batch.does {
            Move::Post(_) => ("post", None),
            Move::Pend { .. } => ("pend", None),
            Move::PostPending(of) => ("post_pending", Some(*of)),
            Move::VoidPending(of) => ("void_pending", Some(*of)),
            Move::ExpirePending(of) => ("expire_pending", Some(*of)),
        };
        let alone = of.map(|_| None);
        let entries = batch.entries().iter().map(Some);
        alone.into_iter().chain(entries).map(move |entry| Line { batch, does, of, entry })
    })
}

/// `batches` as CSV with a header: batch, time, purpose, reference, move, account, asset, debit, credit; amounts in whole
/// assets, and a batch that ends a pending one has a line without an account. Fields are quoted where they must be.
pub fn journal_csv<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> String {
    let mut csv = String::from("batch,at,purpose,reference,move,account,asset,debit,credit\n");
    for line in lines(batches) {
        let Line { batch, does, of, entry } = &line;
        let [purpose, reference] = [&batch.purpose, &batch.reference].map(|field| quoted(field));
        let head = format!("{:032x},{},{purpose},{reference},{does}", batch.id.0, batch.at);
        let shown =
            |debit| entry.zip(line.minor(debit)).map(|(entry, minor)| entry.asset.shown(minor)).unwrap_or_default();
        let rest = match (of, entry) {
            (Some(of), _) => format!(" of {:032x},,,,", of.0),
            (None, Some(entry)) => format!(",{},{},{},{}", entry.account, entry.asset, shown(true), shown(false)),
            (None, None) => ",,,,".to_owned(),
        };
        // Writing to a string cannot fail.
        let _written = writeln!(csv, "{head}{rest}");
    }
    csv
}

/// `batches` as a Parquet file with the columns batch, at (microseconds UTC), purpose, reference, move, `of_batch`, account,
/// asset, decimals, `debit_minor` and `credit_minor`: amounts are integers of the asset's unit, which has so many decimals. Of
/// debit and credit one is null; a batch that ends a pending one names it and has no account.
///
/// # Errors
/// The table cannot be written, which would be a fault of the program.
pub fn journal_parquet<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Result<Vec<u8>, ParquetError> {
    let lines: Vec<Line<'_>> = lines(batches).collect();
    let hex = |id: BatchId| format!("{:032x}", id.0);
    let texts =
        |of: &dyn Fn(&Line<'_>) -> Option<String>| Arc::new(lines.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let entry = |of: fn(&Entry) -> String| move |line: &Line<'_>| line.entry.map(of);
    let minor = |debit| Arc::new(lines.iter().map(|line| line.minor(debit)).collect::<Int64Array>()) as ArrayRef;
    let times = lines.iter().map(|line| line.batch.at.micros());
    let decimals = lines.iter().map(|line| line.entry.and_then(|entry| i32::try_from(entry.asset.decimals()).ok()));
    let table = RecordBatch::try_from_iter_with_nullable([
        ("batch", texts(&|line| Some(hex(line.batch.id))), false),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")), false),
        ("purpose", texts(&|line| Some(line.batch.purpose.clone())), false),
        ("reference", texts(&|line| Some(line.batch.reference.clone())), false),
        ("move", texts(&|line| Some(line.does.to_owned())), false),
        ("of_batch", texts(&|line| line.of.map(hex)), true),
        ("account", texts(&entry(|entry| entry.account.to_string())), true),
        ("asset", texts(&entry(|entry| entry.asset.to_string())), true),
        ("decimals", Arc::new(decimals.collect::<Int32Array>()), true),
        ("debit_minor", minor(true), true),
        ("credit_minor", minor(false), true),
    ])?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties))?;
    writer.write(&table)?;
    writer.into_inner()
}

/// A field as RFC 4180 has it. One that a spreadsheet would take for a formula gets a quotation mark before it.
fn quoted(field: &str) -> String {
    let field = if field.starts_with(['=', '+', '-', '@']) { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}
