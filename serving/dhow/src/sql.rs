//! `dhow sql`: one SELECT over the lake, as a table or as JSON rows.

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use dhow_offline::{Lake, OfflineError, QueryBounds, SqlSession};
use serde_json::{Map, Value as Json};

use crate::arguments::SqlArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, table, thousands};
use crate::platform::{lake, require_data_dir};

/// Rows that are printed as a table; the rest is counted.
const ROWS_SHOWN_MAX: usize = 100;

/// Runs the command.
///
/// # Errors
/// No data folder, or a query that was refused.
pub async fn run(arguments: &SqlArguments, configuration: &Configuration) -> Result<(), Failure> {
    require_data_dir(configuration)?;
    let lake = Lake::open(lake(configuration)?)?;
    let session = SqlSession::open(&lake, &configuration.tenant, QueryBounds::default())?;
    for table in &arguments.table {
        session.add_parquet(&table.name, &table.file).map_err(Failure::input)?;
    }
    let batches = session.query(&arguments.query).await.map_err(|error| match error {
        OfflineError::Query(_) => Failure::input(error),
        other => other.into(),
    })?;
    let Some(first) = batches.first() else { return Ok(()) };
    let schema = first.schema();
    let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let rows = cells(&batches)?;
    if arguments.json {
        return json(&rows.iter().map(|row| object(&header, row)).collect::<Vec<_>>());
    }
    let text = |cell: &Json| match cell {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let shown: Vec<Vec<String>> = rows.iter().take(ROWS_SHOWN_MAX).map(|row| row.iter().map(text).collect()).collect();
    println!("{}", table(&header, &shown, false));
    match rows.len() {
        1 => println!("1 row"),
        count if count > ROWS_SHOWN_MAX => {
            println!("{} rows, the first {ROWS_SHOWN_MAX} shown; --json gives all", thousands(count as u64));
        }
        count => println!("{} rows", thousands(count as u64)),
    }
    Ok(())
}

/// Every cell as JSON: numbers and booleans as such, everything else as text.
fn cells(batches: &[RecordBatch]) -> Result<Vec<Vec<Json>>, Failure> {
    let options = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in batches {
        let first = rows.len();
        rows.resize_with(first + batch.num_rows(), Vec::new);
        for column in batch.columns() {
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
            let is_number =
                column.data_type().is_numeric() || *column.data_type() == arrow::datatypes::DataType::Boolean;
            for row in 0..batch.num_rows() {
                let cell = match column.is_null(row) {
                    true => Json::Null,
                    false => {
                        let text = formatter.value(row).try_to_string()?;
                        // Not a number and the infinities have no JSON form and stay texts.
                        is_number.then(|| serde_json::from_str(&text).ok()).flatten().unwrap_or(Json::String(text))
                    }
                };
                rows[first + row].push(cell);
            }
        }
    }
    Ok(rows)
}

fn object(header: &[&str], row: &[Json]) -> Map<String, Json> {
    header.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned()).collect()
}
