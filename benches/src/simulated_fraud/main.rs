//! Fraud scores on simulated marketplaces whose truth is known: how much of the way from logistic regression to an oracle the trees go; no server.
//!
//! Every checkout has the vector that was known at its moment. Models learn from labels that were known when the test
//! begins, of checkouts that were mature then; settings, calibration and thresholds are chosen on the last of them. The
//! truth judges, and is never learned from, but for the kinds of fraud, which stand in for reviewers' verdicts.

mod contest;
mod history;
mod judge;

use clap::Parser;
use dhow_datasets::{Scale, SimulationSettings};
use dhow_events::DAY_MICROS;
use serde_json::json;

use history::{History, Outcome};

/// Products and sellers of the simulated marketplaces.
const PRODUCTS: u32 = 3_000;
const SELLERS: u32 = 60;
/// Visits without a checkout say little of fraud and much of time: few are simulated.
const VISITS_PER_CHECKOUT: f64 = 0.1;

/// Simulates marketplaces, trains fraud models and judges them by the truth.
#[derive(Parser)]
struct Arguments {
    /// Everything random follows from these numbers; one marketplace each.
    #[arg(long, value_delimiter = ',', default_value = "7,8,9")]
    seeds: Vec<u64>,
    /// Simulated days.
    #[arg(long, default_value_t = 361)]
    days: u32,
    /// Buyers that ever join.
    #[arg(long, default_value_t = 150_000)]
    buyers: u32,
    /// The share of checkouts that are fraud.
    #[arg(long, default_value_t = 0.003)]
    prevalence: f64,
    /// Bootstrap replicates of each interval.
    #[arg(long, default_value_t = 200)]
    replicates: usize,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let (mut runs, mut pooled) = (Vec::new(), judge::Pooled::default());
    for &seed in &arguments.seeds {
        let ready = SimulationSettings::at_scale(Scale::Large, seed);
        let settings = SimulationSettings {
            start: ready.end() - i64::from(arguments.days) * DAY_MICROS,
            days: arguments.days,
            buyers: arguments.buyers,
            products: PRODUCTS,
            sellers: SELLERS,
            visits_per_checkout: VISITS_PER_CHECKOUT,
            fraud_prevalence: arguments.prevalence,
            ..ready
        };
        let history = History::simulate(&settings)?;
        let run = contest::run(&history, seed, arguments.replicates, &mut pooled)?;
        eprintln!("{run}");
        runs.push(run);
    }
    let result = json!({
        "prevalence": arguments.prevalence, "days": arguments.days, "buyers": arguments.buyers,
        "pooled": pooled.report(arguments.replicates)?, "seeds": runs,
    });
    println!("RESULT {result}");
    Ok(())
}
