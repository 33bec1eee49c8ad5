//! `dhow evaluate customers`: what customers spend and whether they come back, beside the classic models, on Online Retail.

use dhow_customers::{ChurnCompared, Histories, Purchase, SpendReport, SpendSettings, compare};
use dhow_datasets::online_retail::load_amounts;
use jiff::civil::date;

use crate::arguments::EvaluateArguments;
use crate::failure::Failure;
use crate::output::{json, percent, progress, table};

/// Days that are forecast where no number is given.
const DAYS: u16 = 90;

/// Runs the command.
///
/// # Errors
/// A file that is missing or of another format, no cut, or too little before it.
pub fn run(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let needed = |name: &str| Failure::Input(format!("`customers` needs --{name}"));
    let data = arguments.data.as_deref().ok_or_else(|| needed("data FILE"))?;
    let cut = arguments.cut.ok_or_else(|| needed("cut DATE"))?;
    let cut = cut.since(date(1970, 1, 1)).map_err(Failure::input)?.get_days();
    let settings = SpendSettings { days: i32::from(arguments.days.unwrap_or(DAYS)), ..SpendSettings::default() };
    let bar = progress("learn and judge", 0);
    let purchases: Vec<Purchase> = load_amounts(data)
        .map_err(Failure::input)?
        .into_iter()
        .map(|of| Purchase { customer: of.customer, day: of.day, amount: of.amount })
        .collect();
    let histories = Histories::new(&purchases).map_err(Failure::input)?;
    let report = compare(&histories, cut, &settings).map_err(Failure::input)?;
    bar.finish_and_clear();
    if arguments.json {
        return json(&report);
    }
    print(&report);
    Ok(())
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
