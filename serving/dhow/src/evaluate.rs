//! `dhow evaluate`: judges models on what happened after everything that they learned from; it trains nothing.

use dhow_registry::Task;
use dhow_training::{Evaluation, Figure, evaluate};

use crate::arguments::{EvaluateArguments, EvaluateProtocol, EvaluateTask};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, thousands};
use crate::train::{TrainingParts, print_figures};
use crate::{
    evaluate_customers, evaluate_forecast, evaluate_fraud, evaluate_interactions, evaluate_search, evaluate_sessions,
};

/// Runs the command.
///
/// # Errors
/// No data folder, no such model, or nothing to judge it on.
pub async fn run(arguments: &EvaluateArguments, configuration: &Configuration) -> Result<(), Failure> {
    if let Some(protocol) = arguments.protocol {
        return match (protocol, arguments.tasks.as_slice()) {
            (EvaluateProtocol::Sessions, [EvaluateTask::Recommend]) => evaluate_sessions::run(arguments),
            (EvaluateProtocol::Interactions, [EvaluateTask::Recommend]) => evaluate_interactions::run(arguments),
            _ => Err(Failure::Input("--protocol judges `recommend` alone".to_owned())),
        };
    }
    if arguments.dataset.is_some() || arguments.table.is_some() {
        return match arguments.tasks.as_slice() {
            [EvaluateTask::Fraud] => evaluate_fraud::run(arguments),
            _ => Err(Failure::Input("--dataset and --table judge `fraud` alone".to_owned())),
        };
    }
    if arguments.tasks.contains(&EvaluateTask::Search) {
        return match arguments.tasks.as_slice() {
            [EvaluateTask::Search] => evaluate_search::run(arguments),
            _ => Err(Failure::Input("`search` is judged alone, on --data FOLDER".to_owned())),
        };
    }
    if arguments.tasks.contains(&EvaluateTask::Customers) {
        return match arguments.tasks.as_slice() {
            [EvaluateTask::Customers] => evaluate_customers::run(arguments),
            _ => Err(Failure::Input("`customers` is judged alone, on --data FILE".to_owned())),
        };
    }
    if arguments.cut.is_some() || arguments.days.is_some() {
        return Err(Failure::Input("--cut and --days are for `customers` alone".to_owned()));
    }
    if arguments.embedder.is_some() {
        return Err(Failure::Input("--embedder is for `search` alone".to_owned()));
    }
    let is_of_files = arguments.long.is_some() || arguments.data.is_some();
    if is_of_files && arguments.tasks.as_slice() == [EvaluateTask::Forecast] {
        return evaluate_forecast::run(arguments);
    }
    if arguments.long.is_some() || !arguments.method.is_empty() || !arguments.season.is_empty() {
        return Err(Failure::Input(
            "--long, --method and --season judge `forecast` alone, on --data or --long".to_owned(),
        ));
    }
    if let Some(path) = arguments.train.as_ref().or(arguments.test.as_ref()).or(arguments.data.as_ref()) {
        return Err(Failure::Input(format!(
            "{} is for --protocol or --dataset; without either the models in force are judged on the events",
            path.display()
        )));
    }
    if arguments.model.is_some() && arguments.tasks.len() != 1 {
        return Err(Failure::Input(
            "--model needs the one task that the model is of, such as `dhow evaluate fraud --model mdl_…`".to_owned(),
        ));
    }
    let parts = TrainingParts::open(configuration)?;
    let input = parts.input(configuration, arguments.until, arguments.seed)?;
    let always = [Task::Recommend, Task::Forecast, Task::Fraud];
    let named: Vec<Task> = arguments.tasks.iter().filter_map(|task| registry_task(*task)).collect();
    let tasks = if arguments.tasks.is_empty() { &always[..] } else { &named[..] };
    let mut evaluations = Vec::with_capacity(tasks.len());
    for task in tasks {
        evaluations.push(evaluate(&input, *task, arguments.model).await?);
    }
    if arguments.json {
        return json(&evaluations);
    }
    print(&evaluations);
    Ok(())
}

/// The registry's task; nothing for what has no model in the registry.
const fn registry_task(task: EvaluateTask) -> Option<Task> {
    match task {
        EvaluateTask::Recommend => Some(Task::Recommend),
        EvaluateTask::Fraud => Some(Task::Fraud),
        EvaluateTask::Forecast => Some(Task::Forecast),
        EvaluateTask::Delivery => Some(Task::Delivery),
        EvaluateTask::Search | EvaluateTask::Customers => None,
    }
}

fn print(evaluations: &[Evaluation]) {
    let figures: Vec<(&str, &[Figure])> =
        evaluations.iter().map(|one| (one.task.as_str(), one.figures.as_slice())).collect();
    print_figures(&figures);
    for one in evaluations {
        println!("{} {}: {} rows from {} to {}", one.task, one.model, thousands(one.rows), one.from, one.until);
    }
}
