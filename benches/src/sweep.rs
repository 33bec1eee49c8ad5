//! Features of many points at once by the sweep, in process: generated events of few or many keys; files are not read.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dhow_benches::machine::process_cpu_seconds;
use dhow_definitions::{CellKind, FeatureSet};
use dhow_events::{DAY_MICROS, Timestamp};
use dhow_sweep::{CellColumn, Events, Points, sweep};

/// When the first event can be.
const BEGIN: Timestamp = Timestamp::from_micros(1_700_000_040_000_000);
/// Events and points lie within so many days.
const DAYS: u64 = 90;

/// Sweeps generated events and prints how long it took.
#[derive(Parser)]
struct Arguments {
    /// Aggregates of the amount, as a definition file names them.
    #[arg(long, default_value = "'quantile_50', 'quantile_95'")]
    of_amount: String,
    /// Aggregates of the product.
    #[arg(long, default_value = "'top_3'")]
    of_product: String,
    /// Events.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// Points.
    #[arg(long, default_value_t = 200_000)]
    points: u64,
    /// Buyers; fewer have more events each.
    #[arg(long, default_value_t = 500)]
    keys: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("sweep: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut features = Vec::new();
    for (column, aggregates) in [("amount", &arguments.of_amount), ("product", &arguments.of_product)] {
        if !aggregates.is_empty() {
            let windows = "windows = ['1h', '1d', '7d', '30d']";
            features.push(format!("{{ column = '{column}', aggregates = [{aggregates}], {windows} }}"));
        }
    }
    let set = FeatureSet::from_toml(&format!(
        "name = 'bench'\nversion = 1\n[[table]]\nname = 'payments'\n\
         columns = {{ buyer = 'int', amount = 'int', product = 'text' }}\n\
         [[view]]\nname = 'paid'\nsource = 'payments'\nentity = ['buyer']\nfeatures = [{}]\n",
        features.join(", ")
    ))?;
    let view = set.views().first().ok_or("the definitions have no view")?;

    let entities: Vec<u32> = (0..arguments.events).map(|row| key(row, arguments.keys)).collect();
    let event_times = times(arguments.events);
    let amounts: Vec<i64> = (0..arguments.events).map(|row| (mixed(row) >> 20) as i64 % 100_000).collect();
    let products: Vec<u128> = (0..arguments.events).map(|row| u128::from(mixed(row) >> 40) % 1_000).collect();
    let column = |kind| match kind {
        CellKind::Token => CellColumn::Token { values: &products, valid: None },
        CellKind::Integer | CellKind::Float => CellColumn::Integer { values: &amounts, valid: None },
    };
    let columns: Vec<CellColumn<'_>> = view.cells().map(column).collect();
    let events = Events {
        entities: &entities,
        entity_count: arguments.keys as usize,
        event_times: &event_times,
        known_times: None,
        ids: None,
        columns: &columns,
    };
    let asking: Vec<u32> = (0..arguments.points).map(|row| key(row + arguments.events, arguments.keys)).collect();
    let at = times(arguments.points);

    let (begin, cpu_before) = (Instant::now(), process_cpu_seconds(std::process::id()));
    let values = sweep(view, &events, &Points { entities: &asking, at: &at })?;
    let (sweep_s, cpu_s) = (begin.elapsed().as_secs_f64(), process_cpu_seconds(std::process::id()) - cpu_before);
    // The bits of all values in one number: two programs that agree print the same.
    let fold = |sum: u64, value: &f64| sum.rotate_left(5) ^ value.to_bits();
    let checksum = values.iter().flatten().fold(0, fold);
    let result = serde_json::json!({
        "features": values.len(), "sweep_s": sweep_s, "sweep_cpu_s": cpu_s, "checksum": format!("{checksum:016x}"),
    });
    println!("RESULT {result}");
    Ok(())
}

/// So many instants in rising order.
fn times(count: u64) -> Vec<i64> {
    let step = DAYS * DAY_MICROS as u64 / count.max(1);
    (0..count).map(|row| BEGIN.micros() + (row * step + mixed(row) % step.max(1)) as i64).collect()
}

fn key(row: u64, keys: u64) -> u32 {
    (mixed(row ^ 0x5bd1_e995) >> 33) as u32 % keys as u32
}

/// The finalizer of SplitMix64: numbers without a pattern, the same on every machine.
fn mixed(number: u64) -> u64 {
    let word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
