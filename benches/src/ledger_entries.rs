//! Entries into the books, a batch of 1,000 a transaction, then the journal read back against the balances; one writer, no HTTP.
//!
//! Every run writes into a tenant of its own, so that the tables grow as they do in use.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dhow_benches::machine::{disk_sync_us, process_cpu_seconds};
use dhow_benches::quantile;
use dhow_commerce::{Storage, StorageTransaction};
use dhow_events::{Clock, Currency, SystemClock, TenantId, Timestamp};
use dhow_ledger::{Account, AccountError, AccountKind, Asset, Batch, BatchId, Entry, Ledger, Move};
use dhow_store::{Store, StoreSettings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Entries of a batch; two of them are one sale.
const ENTRIES: u64 = 1_000;
/// Batches that are read back at a time.
const JOURNAL_PAGE: u32 = 100;
/// The most batches of one run.
const BATCHES_MAX: u64 = 100_000;

/// Writes batches of 1,000 entries and prints how many entries a second were committed.
#[derive(Parser)]
struct Arguments {
    /// A database by URL, as `dhow serve` takes it.
    #[arg(long)]
    database: String,
    /// Batches to write.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=BATCHES_MAX))]
    batches: u64,
    /// Sellers whose accounts are credited, at random.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    sellers: u64,
    /// What amounts and sellers are drawn from.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(result) => {
            println!("RESULT {result}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("ledger_entries: {problem}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let store = Store::connect(&arguments.database, StoreSettings::default()).await?;
    let at = SystemClock.now();
    let tenant = TenantId::new(&format!("ten_{}", at.micros()))?;
    let batches = batches(arguments, tenant, at)?;
    let mut latencies_us = Vec::new();
    let began = Instant::now();
    for batch in &batches {
        let due = Instant::now();
        let mut transaction = store.begin().await?;
        transaction.write_batch(batch).await?;
        transaction.commit().await?;
        latencies_us.push(due.elapsed().as_micros() as u64);
    }
    let seconds = began.elapsed().as_secs_f64();
    let accounts = read_back(&store, tenant, &batches).await?;
    latencies_us.sort_unstable();
    Ok(json!({
        "entries": arguments.batches * ENTRIES,
        "entries_per_s": (arguments.batches * ENTRIES) as f64 / seconds,
        "accounts": accounts,
        "batch_us_p50": quantile(&latencies_us, 0.5),
        "batch_us_p99": quantile(&latencies_us, 0.99),
        "own_cpu_s": process_cpu_seconds(std::process::id()),
        "disk_sync_us": disk_sync_us()?,
    }))
}

/// Sales of random amounts: each debits the buyers' clearing account and credits a seller at random.
fn batches(arguments: &Arguments, tenant: TenantId, at: Timestamp) -> Result<Vec<Batch>, AccountError> {
    let dollars = Asset::from(Currency::USD);
    let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
    let clearing = Account::of(AccountKind::Clearing, "card")?;
    let mut sale = || {
        let seller = Account::of(AccountKind::Seller, format!("s{}", random.random_range(0..arguments.sellers)))?;
        let amount = random.random_range(1..100_000);
        Ok([Entry::debit(clearing.clone(), dollars, amount), Entry::credit(seller, dollars, amount)])
    };
    let mut batch = |number: u64| {
        let sales: Result<Vec<_>, AccountError> = (0..ENTRIES / 2).map(|_| sale()).collect();
        let does = Move::Post(sales?.into_iter().flatten().collect());
        let (purpose, reference) = ("sale".to_owned(), number.to_string());
        Ok(Batch { id: BatchId(number.into()), tenant, at, purpose, reference, does })
    };
    (0..arguments.batches).map(&mut batch).collect()
}

/// How many accounts there are, after the journal in the database was found to be what was written and its sums the balances.
async fn read_back(store: &Store, tenant: TenantId, written: &[Batch]) -> Result<usize, Box<dyn std::error::Error>> {
    let (mut ledger, mut after) = (Ledger::default(), 0);
    loop {
        let part = store.journal(tenant, after, JOURNAL_PAGE).await?;
        let Some((last, _)) = part.last() else { break };
        after = *last;
        for (_, batch) in part {
            ledger.apply(batch)?;
        }
    }
    if ledger.journal() != written {
        return Err("the journal is not what was written".into());
    }
    let balances = store.balances(tenant).await?;
    if &balances != ledger.balances() {
        return Err("the balances are not the sums of the journal".into());
    }
    Ok(balances.len())
}
