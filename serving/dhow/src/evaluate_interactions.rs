//! `dhow evaluate recommend --protocol interactions`: the personal recommender on files of histories, beside trivial and strong methods.

use dhow_datasets::interaction_files::{read_attributes, read_histories};
use dhow_factors::{
    ColdMethod, Estimate, InteractionData, InteractionsReport, Method, ProtocolSettings, evaluate_interactions,
};

use crate::arguments::EvaluateArguments;
use crate::failure::Failure;
use crate::output::{json, progress, table, thousands};

/// Runs the command.
///
/// # Errors
/// Files that are missing or of another format, or histories that are all too short.
pub fn run(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let path = arguments.data.as_deref();
    let path = path.ok_or_else(|| Failure::Input("--protocol interactions needs --data FILE".to_owned()))?;
    let read = read_histories(path).map_err(Failure::input)?;
    let attributes = arguments.attributes.as_deref().map(|path| read_attributes(path, &read.item_ids));
    let attributes = attributes.transpose().map_err(Failure::input)?;
    let data = InteractionData { items: read.item_ids.len(), histories: read.histories, attributes };
    let bar = progress("choose settings and judge", 1);
    let report = evaluate_interactions(&data, &ProtocolSettings::default(), arguments.seed).map_err(Failure::input)?;
    bar.finish_and_clear();
    if arguments.json {
        return json(&report);
    }
    print(&report);
    Ok(())
}

fn print(report: &InteractionsReport) {
    println!(
        "{} persons, {} items, {} pairs; settings chosen on the last fifth of what comes before the test",
        thousands(report.people as u64),
        thousands(report.items as u64),
        thousands(report.pairs as u64)
    );
    for (title, methods) in [("The last fifth", &report.last_fifth), ("The last item", &report.leave_last)] {
        println!("\n{title} of each person's history\n{}", methods_table(methods));
    }
    let part = |part: &dhow_factors::ChosenPart| format!("{} {:.1}", part.name, part.weight);
    println!("\nThe blend: {}", report.parts.iter().map(part).collect::<Vec<_>>().join(", "));
    if let Some(cold) = &report.cold {
        let row = |method: &ColdMethod| vec![method.name.clone(), interval(&method.recall), interval(&method.ndcg)];
        let rows: Vec<Vec<String>> = cold.methods.iter().map(row).collect();
        println!(
            "\n{} cold items, ranked among themselves; by chance recall is {:.4}\n{}",
            thousands(cold.cold_items as u64),
            cold.recall_random,
            table(&["method", "Recall@20", "NDCG@20"], &rows, true)
        );
    }
}

fn methods_table(methods: &[Method]) -> String {
    let lift = |lift: &Option<Estimate>| {
        lift.as_ref().map_or_else(String::new, |lift| {
            format!("{:+.1} % [{:+.1}, {:+.1}]", 100.0 * lift.value, 100.0 * lift.low, 100.0 * lift.high)
        })
    };
    let row = |method: &Method| {
        vec![
            method.name.clone(),
            interval(&method.recall),
            interval(&method.ndcg),
            format!("{:.3}", method.report.coverage),
            lift(&method.recall_lift),
            lift(&method.ndcg_lift),
        ]
    };
    let head = ["method", "Recall@20", "NDCG@20", "coverage", "blend's recall above it", "blend's NDCG above it"];
    table(&head, &methods.iter().map(row).collect::<Vec<_>>(), true)
}

fn interval(estimate: &Estimate) -> String {
    format!("{:.4} [{:.4}, {:.4}]", estimate.value, estimate.low, estimate.high)
}
