//! `dhow route check` and `dhow route explain`: what is wrong with a solution, and why stops are left out.

use dhow_routes::{
    Budget, LocalSearchSolver, Plan, Problem, Solver, check as violations_of, explain as explanations_of, kpis,
};
use serde_json::{Value, json};

use super::Source;
use super::limits::Limit;
use crate::arguments::{RouteCheckArguments, RouteExplainArguments};
use crate::failure::Failure;
use crate::output::json as print_json;

/// Wall seconds of planning where no solution is given to explain.
const SECONDS: f64 = 5.0;
/// A stated cost may differ by what two decimals round.
const COST_TOLERANCE: f64 = 0.01;

/// Checks a solution by the independent verifier. Ends well only when it keeps every rule and states its own cost rightly.
///
/// # Errors
/// What cannot be read, or the number of violations.
pub fn check(arguments: &RouteCheckArguments) -> Result<(), Failure> {
    let source = Source::read(&arguments.problem)?;
    let (plan, stated) = source.solution(&arguments.solution)?;
    let mut found: Vec<(String, String)> = violations_of(source.problem(), &plan)
        .into_iter()
        .map(|violation| (violation.path, violation.message))
        .collect();
    for left in plan.unassigned.iter().filter(|left| source.problem().stops()[left.stop].prize.is_none()) {
        let id = &source.problem().stops()[left.stop].id;
        found.push((String::new(), format!("stop {id:?}, which has no prize, is left out")));
    }
    if let Some(stated) = stated.filter(|stated| (stated - plan.cost as f64).abs() > COST_TOLERANCE) {
        found.push(("/cost".to_owned(), format!("the solution states {stated}, but it is {}", plan.cost)));
    }
    if arguments.json {
        let listed: Vec<Value> =
            found.iter().map(|(path, message)| json!({ "path": path, "message": message })).collect();
        let figures = kpis(source.problem(), &plan);
        print_json(&json!({ "cost": plan.cost, "stated": stated, "violations": listed, "kpis": figures }))?;
    } else {
        println!("cost {}, {} routes, {} stops left out", plan.cost, plan.routes.len(), plan.unassigned.len());
        found.iter().for_each(|(path, message)| println!("{path}: {message}"));
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{} violations", found.len())))
}

/// Explains each stop that a solution leaves out; without a solution a plan is made first.
///
/// # Errors
/// What cannot be read.
pub fn explain(arguments: &RouteExplainArguments) -> Result<(), Failure> {
    let source = Source::read(&arguments.problem)?;
    let plan = match &arguments.solution {
        Some(path) => source.solution(path)?.0,
        None => planned(&source, arguments)?,
    };
    let problem = source.problem();
    let explanations = explanations_of(problem, &plan);
    if arguments.json {
        let explained = explanations.iter().map(|explanation| {
            let relaxation: Vec<String> = explanation.relaxation.iter().map(|change| change.words(problem)).collect();
            let vehicle = explanation.vehicle.map(|vehicle| &problem.vehicles()[vehicle].id);
            json!({ "stop": problem.stops()[explanation.stop].id, "vehicle": vehicle, "relaxation_text": relaxation,
                "explanation": explanation })
        });
        return print_json(&explained.collect::<Vec<_>>());
    }
    if explanations.is_empty() {
        println!("no stop is left out");
    }
    for explanation in &explanations {
        println!("{}", sentence(problem, explanation));
    }
    Ok(())
}

fn planned(source: &Source, arguments: &RouteExplainArguments) -> Result<Plan, Failure> {
    let limit = Limit::starting_now(Some(arguments.seconds.unwrap_or(SECONDS)), None)?;
    let budget = Budget { iterations: dhow_routes::MAX_ITERATIONS, seed: arguments.seed };
    let progress = || limit.share();
    Ok(match source {
        Source::Vroom(request) => request.solve_paced(&budget, &progress)?,
        Source::File(instance) => LocalSearchSolver.solve_paced(&instance.problem, &budget, &progress)?,
    })
}

fn sentence(problem: &Problem, explanation: &dhow_routes::Explanation) -> String {
    let stop = &problem.stops()[explanation.stop].id;
    let reason = explanation.reason.words();
    let Some(vehicle) = explanation.vehicle else {
        return format!("stop {stop}: {reason}; every place breaks an order of stops");
    };
    let vehicle = &problem.vehicles()[vehicle].id;
    let changes: Vec<String> = explanation.relaxation.iter().map(|change| change.words(problem)).collect();
    let change = if changes.is_empty() {
        "it fits there as it is; plan longer".to_owned()
    } else {
        format!("it would be served if you {}", changes.join(" and "))
    };
    let missing: Vec<String> =
        explanation.broken.iter().map(|broken| format!("{:?} by {}", broken.rule, broken.missing)).collect();
    let missing = if missing.is_empty() { "nothing".to_owned() } else { missing.join(", ") };
    format!(
        "stop {stop}: {reason}; best on vehicle {vehicle} (cost +{}), missing: {missing}; {change}",
        explanation.added_cost
    )
}
