//! `dhow evaluate customers`: what customers spend and whether they come back, beside the classic models, on Online Retail or a simulated marketplace.

use std::collections::BTreeMap;
use std::path::Path;

use dhow_customers::{ChurnCompared, Histories, Purchase, SpendReport, SpendSettings, compare};
use dhow_datasets::online_retail::load_amounts;
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_events::Fact;
use jiff::civil::date;

use crate::arguments::EvaluateArguments;
use crate::failure::Failure;
use crate::output::{json, percent, progress, table};

/// Days that are forecast where no number is given.
const DAYS: u16 = 90;
/// The same of a simulated marketplace, which is half a year old.
const SIMULATED_DAYS: u16 = 30;

/// Runs the command.
///
/// # Errors
/// A file that is missing or of another format, no cut, or too little before it.
pub fn run(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let bar = progress("learn and judge", 0);
    let (purchases, cut, days) = match arguments.data.as_deref() {
        Some(file) => {
            let cut =
                arguments.cut.ok_or_else(|| Failure::Input("`customers` needs --cut DATE with --data".to_owned()))?;
            let cut = cut.since(date(1970, 1, 1)).map_err(Failure::input)?.get_days();
            (of_online_retail(file)?, cut, arguments.days.unwrap_or(DAYS))
        }
        None if arguments.cut.is_some() => {
            return Err(Failure::Input("--cut is for `customers` with --data".to_owned()));
        }
        None => {
            let days = arguments.days.unwrap_or(SIMULATED_DAYS);
            let (purchases, end) = of_the_simulator(arguments.seed)?;
            (purchases, end - i32::from(days), days)
        }
    };
    let settings = SpendSettings { days: i32::from(days), ..SpendSettings::default() };
    let histories = Histories::new(&purchases).map_err(Failure::input)?;
    let report = compare(&histories, cut, &settings).map_err(Failure::input)?;
    bar.finish_and_clear();
    if arguments.json {
        return json(&report);
    }
    print(&report);
    Ok(())
}

fn of_online_retail(file: &Path) -> Result<Vec<Purchase>, Failure> {
    let amounts = load_amounts(file).map_err(Failure::input)?.into_iter();
    Ok(amounts.map(|of| Purchase { customer: of.customer, day: of.day, amount: of.amount }).collect())
}

/// What buyers of a simulated marketplace order, in dollars, and the day behind the last.
fn of_the_simulator(seed: u64) -> Result<(Vec<Purchase>, i32), Failure> {
    let mut numbers = BTreeMap::new();
    let (mut purchases, mut end) = (Vec::new(), 0);
    for arrival in Simulation::new(&SimulationSettings::at_scale(Scale::Medium, seed))? {
        let day = arrival.event.event_time.day() as i32;
        if let Fact::OrderPlaced(placed) = arrival.event.fact {
            let next = numbers.len() as u32;
            let customer = *numbers.entry(placed.buyer).or_insert(next);
            purchases.push(Purchase { customer, day, amount: placed.total_usd_minor as f64 / 100.0 });
            end = end.max(day + 1);
        }
    }
    Ok((purchases, end))
}

fn print(report: &SpendReport) {
    let row = |one: &dhow_customers::Compared| {
        vec![
            one.method.to_owned(),
            format!("{:.2}", one.judgement.mean_absolute_error),
            format!("{:.4}", one.judgement.rank_correlation),
            format!("{:.2}", one.judgement.total_ratio),
        ]
    };
    let rows: Vec<Vec<String>> = report.methods.iter().map(row).collect();
    println!("{}", table(&["method", "mean absolute error", "rank correlation", "sum beside what came"], &rows, true));
    let of = |one: &ChurnCompared| {
        let figures = [one.quality.brier, one.quality.roc_auc, one.quality.calibration_error];
        [vec![one.method.to_owned()], figures.iter().map(|figure| format!("{figure:.4}")).collect()].concat()
    };
    let rows: Vec<Vec<String>> = report.churn.iter().map(of).collect();
    println!(
        "{}",
        table(&["probability that nothing is bought", "Brier", "ROC AUC", "calibration error"], &rows, true)
    );
    let [held, low, high] = report.coverage;
    println!(
        "{} customers, {} of them bought nothing; intervals held {} [{}, {}] ({} wanted), {:.0} wide on average",
        report.customers,
        percent(report.none_share),
        percent(held),
        percent(low),
        percent(high),
        percent(report.coverage_wanted),
        report.interval_width,
    );
    let segments = &report.segments;
    println!(
        "{} segments, silhouette {:.3}: they explain {} of the variance of the logarithm of what came, as many by money alone {}",
        segments.segments,
        segments.silhouette,
        percent(segments.explained),
        percent(segments.explained_by_money),
    );
}
