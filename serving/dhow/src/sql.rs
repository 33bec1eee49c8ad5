//! `dhow sql`: one SELECT over the lake, as a table or as JSON rows.

use dhow_api::json_rows;
use dhow_engine::Folders;
use dhow_offline::{Lake, OfflineError, QueryBounds, SqlSession};

use crate::arguments::SqlArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, table, thousands};
use crate::platform::require_data_dir;

/// Rows that are printed as a table; the rest is counted.
const ROWS_SHOWN_MAX: usize = 100;

/// Runs the command.
///
/// # Errors
/// No data folder, or a query that was refused.
pub async fn run(arguments: &SqlArguments, configuration: &Configuration) -> Result<(), Failure> {
    require_data_dir(configuration)?;
    let lake = Lake::open(&Folders::of(&configuration.data_dir).lake)?;
    let session = SqlSession::open(&lake, &configuration.tenant, QueryBounds::default())?;
    let batches = session.query(&arguments.query).await.map_err(|error| match error {
        OfflineError::Query(_) => Failure::input(error),
        other => other.into(),
    })?;
    let rows = json_rows(&batches)?;
    if arguments.json {
        return json(&rows);
    }
    let Some(first) = batches.first() else {
        println!("no rows");
        return Ok(());
    };
    let schema = first.schema();
    let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let cell = |row: &serde_json::Map<String, serde_json::Value>, name: &&str| match row.get(*name) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let shown: Vec<Vec<String>> = rows.iter().take(ROWS_SHOWN_MAX).map(|row| header.iter().map(|name| cell(row, name)).collect()).collect();
    println!("{}", table(&header, &shown, false));
    match rows.len() {
        1 => println!("1 row"),
        count if count > ROWS_SHOWN_MAX => println!("{} rows, the first {ROWS_SHOWN_MAX} shown; --json gives all", thousands(count as u64)),
        count => println!("{} rows", thousands(count as u64)),
    }
    Ok(())
}
