//! A restart of the online features from their snapshot, in process: makes a large state, or loads it and checks a part.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, Subcommand};
use dhow_definitions::FeatureSet;
use dhow_events::facts::PaymentAuthorized;
use dhow_events::{
    BuyerId, CheckoutId, DAY_MICROS, Event, EventId, Fact, MINUTE_MICROS, Money, PaymentId, SECOND_MICROS, TenantId,
    Timestamp,
};
use dhow_online::{OnlineSettings, OnlineStore};

/// When the first payment is.
const BEGIN: Timestamp = Timestamp::from_micros(1_700_000_040_000_000);
/// Between the payments of one buyer: all lie within the widest window.
const STEP_MICROS: i64 = 10 * SECOND_MICROS;
/// Every so many buyers one is read after loading.
const CHECKED_EVERY: u64 = 9_973;
const DEFINITIONS: &str = "name = 'bench'\nversion = 1\n[[view]]\nname = 'paid'\nsource = 'payment_authorized'\n\
    entity = ['buyer']\nfeatures = [{ aggregates = ['count'], windows = ['1h', '1d', '30d'] }, \
    { column = 'amount_usd_minor', aggregates = ['sum', 'max'], windows = ['1h', '1d', '30d'] }]\n";

/// Makes a snapshot of many keys, or restarts from it.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The snapshot's folder.
    #[arg(long, global = true, default_value = "state")]
    folder: PathBuf,
    /// Buyers.
    #[arg(long, global = true, default_value_t = 2_000_000)]
    keys: u64,
    /// The buyer with the most payments has so many; the others have evenly fewer, down to 1.
    #[arg(long, global = true, default_value_t = 24)]
    payments_max: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Folds the payments and saves the state.
    Make,
    /// Loads the state and reads some buyers.
    Load,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("restart: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let features = Arc::new(FeatureSet::from_toml(DEFINITIONS)?);
    let settings = OnlineSettings { allowed_lateness_micros: DAY_MICROS, duplicate_horizon_micros: MINUTE_MICROS };
    match arguments.command {
        Command::Make => make(arguments, OnlineStore::new(features, settings)),
        Command::Load => load(arguments, features, settings),
    }
}

fn make(arguments: &Arguments, store: OnlineStore) -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let mut offset = 0;
    for turn in 0..arguments.payments_max {
        let at = BEGIN + turn as i64 * STEP_MICROS;
        for buyer in (0..arguments.keys).filter(|buyer| turn < payments_of(arguments, *buyer)) {
            store.apply(&payment(buyer, turn, offset), at, (0, offset));
            offset += 1;
        }
        // Ids are remembered for the horizon of duplicates only.
        store.expire(at);
    }
    let fold_s = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    store.save(&arguments.folder)?;
    let (save_s, stats) = (begin.elapsed().as_secs_f64(), store.stats());
    let result = serde_json::json!({
        "keys": stats.keys, "events": offset, "fold_s": fold_s, "save_s": save_s,
        "state_bytes": stats.bytes, "snapshot_bytes": folder_bytes(&arguments.folder)?,
    });
    println!("RESULT {result}");
    Ok(())
}

fn load(
    arguments: &Arguments,
    features: Arc<FeatureSet>,
    settings: OnlineSettings,
) -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let store = OnlineStore::load(features, settings, &arguments.folder)?;
    let load_s = begin.elapsed().as_secs_f64();
    let store = store.ok_or("there is no snapshot; run `restart make` first")?;
    let checked = check(arguments, &store)?;
    let stats = store.stats();
    let result = serde_json::json!({
        "load_s": load_s, "keys": stats.keys, "entries": stats.entries, "keys_checked": checked,
        "state_bytes": stats.bytes, "state_bytes_per_key": stats.bytes as f64 / stats.keys as f64,
        "snapshot_bytes": folder_bytes(&arguments.folder)?,
    });
    println!("RESULT {result}");
    Ok(())
}

/// Reads some buyers and compares them with what was paid.
fn check(arguments: &Arguments, store: &OnlineStore) -> Result<usize, Box<dyn std::error::Error>> {
    let at = BEGIN + arguments.payments_max as i64 * STEP_MICROS;
    let (mut values, mut checked) = (Vec::new(), 0);
    for buyer in (0..arguments.keys).step_by(CHECKED_EVERY as usize) {
        values.clear();
        store.read(TenantId::default(), 0, u128::from(buyer), at, &mut values)?;
        let amounts = || (0..payments_of(arguments, buyer)).map(|turn| amount(buyer, turn));
        let expected = [amounts().count() as f64, amounts().sum::<i64>() as f64, amounts().max().unwrap_or(0) as f64];
        // The columns are three windows of the count, of the sum, of the greatest; an hour holds all payments.
        if [values[0], values[3], values[6]] != expected {
            return Err(format!("buyer {buyer} reads {values:?} after the restart, not {expected:?}").into());
        }
        checked += 1;
    }
    Ok(checked)
}

fn folder_bytes(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

fn payments_of(arguments: &Arguments, buyer: u64) -> u64 {
    1 + mixed(buyer) % arguments.payments_max
}

fn amount(buyer: u64, turn: u64) -> i64 {
    (mixed(buyer * 64 + turn) % 10_000) as i64
}

fn mixed(number: u64) -> u64 {
    number.wrapping_mul(2_654_435_761) % 4_294_967_296
}

fn payment(buyer: u64, turn: u64, number: u64) -> Event {
    let amount = amount(buyer, turn);
    let fact: Fact = PaymentAuthorized {
        checkout: CheckoutId::from_u128(u128::from(number)),
        payment: PaymentId::from_u128(u128::from(number)),
        buyer: BuyerId::from_u128(u128::from(buyer)),
        card: None,
        device: None,
        amount: Money::usd(amount),
        amount_usd_minor: amount,
    }
    .into();
    Event {
        id: EventId::from_u128(u128::from(number)),
        tenant: TenantId::default(),
        event_time: BEGIN + turn as i64 * STEP_MICROS,
        fact,
    }
}
