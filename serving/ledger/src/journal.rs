//! The journal as CSV, a line for each entry, for accountants and their programs; Parquet is the lake's.

use std::fmt::Write;

use crate::{Batch, Move};

/// `batches` as CSV with a header: batch, time, purpose, reference, move, account, asset, debit, credit; amounts in whole
/// assets, and a batch that ends a pending one has a line without an account. Fields are quoted where they must be.
pub fn journal_csv<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> String {
    let mut csv = String::from("batch,at,purpose,reference,move,account,asset,debit,credit\n");
    for batch in batches {
        let (word, of) = match &batch.does {
            Move::Post(_) => ("post", None),
            Move::Pend { .. } => ("pend", None),
            Move::PostPending(of) => ("post_pending", Some(of)),
            Move::VoidPending(of) => ("void_pending", Some(of)),
            Move::ExpirePending(of) => ("expire_pending", Some(of)),
        };
        let [purpose, reference] = [&batch.purpose, &batch.reference].map(|field| quoted(field));
        let head = format!("{:032x},{},{purpose},{reference},{word}", batch.id.0, batch.at);
        if let Some(of) = of {
            line(&mut csv, format_args!("{head} of {:032x},,,,", of.0));
        }
        for entry in batch.entries() {
            let shown = entry.asset.shown(entry.amount.checked_abs().unwrap_or(i64::MAX));
            let (debit, credit) = if entry.amount > 0 { (shown.as_str(), "") } else { ("", shown.as_str()) };
            line(&mut csv, format_args!("{head},{},{},{debit},{credit}", entry.account, entry.asset));
        }
    }
    csv
}

fn line(csv: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = writeln!(csv, "{text}");
}

/// A field as RFC 4180 has it. One that a spreadsheet would take for a formula gets a quotation mark before it.
fn quoted(field: &str) -> String {
    let field = if field.starts_with(['=', '+', '-', '@']) { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}
