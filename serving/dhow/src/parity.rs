//! `dhow features parity`: computes the vectors of recorded decisions again from the log and compares them bit for bit.

use std::sync::Arc;

use dhow_definitions::VectorPlan;
use dhow_engine::{check_links, served_links, served_vectors};
use dhow_events::{FactKind, SystemClock};
use dhow_offline::{ParityReport, check_parity};
use dhow_store::{Store, StoreSettings};

use crate::arguments::ParityArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, table, thousands};
use crate::platform::{database_url, link_settings, online_settings, open_log, require_data_dir};

/// Runs the command.
///
/// # Errors
/// No data folder, no database, or a value that differs.
pub async fn run(arguments: &ParityArguments, configuration: &Configuration, as_json: bool) -> Result<(), Failure> {
    require_data_dir(configuration)?;
    let log = open_log(configuration, Arc::new(SystemClock))?;
    let features = Arc::new(configuration.feature_set()?);
    let plan = VectorPlan::new(&features, FactKind::CheckoutSubmitted)?;
    let store = Store::connect(&database_url(configuration), StoreSettings::default()).await?;
    let served = served_vectors(&store, configuration.tenant, arguments.last as usize).await?;
    let mut report = check_parity(&*log, features, online_settings(), &plan, configuration.tenant, &served)?;
    let links = served_links(&store, configuration.tenant, log.partition_count(), arguments.last as usize).await?;
    report.add_columns(check_links(&*log, link_settings(), &links)?);
    if as_json {
        json(&report)?;
    } else {
        print(&report);
    }
    match report.difference_count {
        0 => Ok(()),
        count => Err(Failure::Failed(format!("{} values differ from what was served", thousands(count)))),
    }
}

fn print(report: &ParityReport) {
    println!(
        "{} vectors computed again, {} values compared, {} differ",
        thousands(report.vectors),
        thousands(report.values),
        thousands(report.difference_count)
    );
    for (count, what) in [
        (report.other_definitions, "are of other feature definitions and were left out"),
        (report.other_order, "have offsets before those of an earlier one and were left out"),
        (report.stale_vectors, "were served while known events waited to be applied"),
    ] {
        if count > 0 {
            println!("{} {what}", thousands(count));
        }
    }
    let shown = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    let row = |one: &dhow_offline::ParityDifference| {
        vec![one.decision.clone(), one.feature.clone(), shown(one.served), shown(one.recomputed)]
    };
    if !report.differences.is_empty() {
        let rows: Vec<_> = report.differences.iter().map(row).collect();
        println!("{}", table(&["decision", "feature", "served", "recomputed"], &rows, false));
    }
}
