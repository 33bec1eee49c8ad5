//! An experiment's report as a person reads it.

use dhow_engine::ExperimentReport;
use dhow_experiments::{Interval, TestReport, Verdict};

use crate::output::{table, thousands};

/// Prints each arm beside the control.
pub fn print(report: &ExperimentReport) {
    let row = |arm: &dhow_engine::ArmTotals| {
        let lift = |test: &TestReport| {
            let comparison = test.comparisons.iter().find(|comparison| comparison.arm == arm.arm);
            comparison.map_or_else(
                || ["control".to_owned(), String::new()],
                |comparison| [lift(comparison.lift, comparison.lift_interval), verdict(comparison.verdict)],
            )
        };
        let ([clicks, clicks_verdict], [sales, sales_verdict]) = (lift(&report.clicks), lift(&report.sales));
        vec![
            arm.arm.clone(),
            thousands(arm.visitors),
            format!("{:.2}", arm.clicks_per_visitor),
            clicks,
            clicks_verdict,
            format!("{:.2}", arm.sales_usd_minor_per_visitor / 100.0),
            sales,
            sales_verdict,
        ]
    };
    let rows: Vec<_> = report.arms.iter().map(row).collect();
    let head = ["arm", "visitors", "clicks a visitor", "lift", "", "sales a visitor, $", "lift", ""];
    println!(
        "Experiment {}, from the events; intervals hold whenever they are looked at\n{}",
        report.clicks.experiment,
        table(&head, &rows, true)
    );
}

fn lift(value: Option<f64>, interval: Option<Interval>) -> String {
    let value = value.map_or_else(|| "–".to_owned(), |value| format!("{:+.0} %", 100.0 * value));
    match interval {
        Some(Interval { low, high }) => format!("{value} [{:+.0}, {:+.0}]", 100.0 * low, 100.0 * high),
        None => value,
    }
}

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Better => "better".to_owned(),
        Verdict::Worse => "worse".to_owned(),
        Verdict::Alike => "alike".to_owned(),
        Verdict::NoVerdictYet { more_visitors: Some(more) } => {
            format!("no verdict yet: about {} more", thousands(more))
        }
        Verdict::NoVerdictYet { more_visitors: None } => "no verdict yet".to_owned(),
        Verdict::SampleRatioMismatch => "arms of the wrong size: look for a fault".to_owned(),
    }
}
