//! `dhow route solve`: plans, checks, compares with simple plans and writes what is asked for.

use std::num::NonZeroUsize;
use std::path::Path;

use dhow_events::{Clock, SystemClock};
use dhow_routes::{Budget, Kpis, Plan, Problem, Solver, ThreadedSolver, check, kpis, map, nearest_neighbour, savings};
use serde_json::{Value, json};

use super::Source;
use super::limits::Limit;
use crate::arguments::RouteSolveArguments;
use crate::failure::Failure;
use crate::output::{json as print_json, percent, table};

/// Wall seconds of a run for which no limit is given.
const SECONDS: f64 = 10.0;

/// Runs the command.
///
/// # Errors
/// A wrong problem, a plan that breaks rules, or a file that cannot be written.
pub fn run(arguments: &RouteSolveArguments) -> Result<(), Failure> {
    let source = Source::read(&arguments.problem)?;
    let problem = source.problem();
    let begin = SystemClock.now();
    let plan = planned(&source, arguments)?;
    let seconds = SystemClock.now().micros_since(begin) as f64 / 1e6;
    let violations = check(problem, &plan);
    let keeps_given_steps = matches!(&source, Source::Vroom(request) if request.is_plan_mode());
    if let Some(first) = violations.first().filter(|_| !keeps_given_steps) {
        let (count, path, message) = (violations.len(), &first.path, &first.message);
        return Err(Failure::Failed(format!("the plan breaks {count} rules, the first at {path}: {message}")));
    }
    write_files(&source, &plan, arguments)?;
    let previous = arguments.previous.as_deref().map(|path| source.solution(path)).transpose()?;
    let previous = previous.map(|(plan, _)| plan);
    if arguments.json {
        return print_json(&report(&source, &plan, previous.as_ref(), seconds));
    }
    println!("{}", figures(problem, &plan, previous.as_ref()));
    for left in &plan.unassigned {
        println!("stop {} is left out: {}", problem.stops()[left.stop].id, left.reason.words());
    }
    println!("{seconds:.2} s, checked");
    Ok(())
}

fn planned(source: &Source, arguments: &RouteSolveArguments) -> Result<Plan, Failure> {
    let unlimited = arguments.cpu_seconds.is_none() && arguments.iterations.is_none();
    let seconds = arguments.seconds.or(unlimited.then_some(SECONDS));
    let limit = Limit::starting_now(seconds, arguments.cpu_seconds)?;
    let iterations = arguments.iterations.unwrap_or(dhow_routes::MAX_ITERATIONS);
    let budget = Budget { iterations, seed: arguments.seed };
    let threads = usize::try_from(arguments.threads).ok().and_then(NonZeroUsize::new);
    let threads = threads.ok_or_else(|| Failure::Input("--threads must be at least 1".to_owned()))?;
    let progress = || limit.share();
    Ok(match source {
        Source::Vroom(request) => request.solve_on_threads(threads, &budget, &progress)?,
        Source::File(instance) => ThreadedSolver { threads }.solve_paced(&instance.problem, &budget, &progress)?,
    })
}

fn write_files(source: &Source, plan: &Plan, arguments: &RouteSolveArguments) -> Result<(), Failure> {
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    };
    let problem = source.problem();
    if let Some(path) = &arguments.out {
        let text = match source {
            Source::Vroom(request) => serde_json::to_string_pretty(&request.response(plan))?,
            Source::File(instance) => instance.solution_text(plan),
        };
        write(path, text)?;
    }
    if let Some(path) = &arguments.map {
        write(path, map::svg(problem, plan)?)?;
    }
    if let Some(path) = &arguments.geojson {
        write(path, map::geojson(problem, plan)?.to_string())?;
    }
    Ok(())
}

/// VROOM's answer for VROOM's requests; for files the figures of the plan and of what it is compared with.
fn report(source: &Source, plan: &Plan, previous: Option<&Plan>, seconds: f64) -> Value {
    let instance = match source {
        Source::Vroom(request) => return request.response(plan),
        Source::File(instance) => instance,
    };
    let problem = &instance.problem;
    json!({
        "name": instance.name,
        "family": instance.family,
        "rounding": instance.rounding,
        "cost": plan.cost,
        "routes": plan.routes.len(),
        "unassigned": plan.unassigned.len(),
        "seconds": seconds,
        "kpis": kpis(problem, plan),
        "nearest_neighbour": kpis(problem, &nearest_neighbour(problem)),
        "savings": savings(problem).map(|plan| kpis(problem, &plan)),
        "previous": previous.map(|plan| kpis(problem, plan)),
    })
}

/// A table of the plan's figures beside those of the simple plans and of the previous one.
fn figures(problem: &Problem, plan: &Plan, previous: Option<&Plan>) -> String {
    let mut columns = vec![("plan", kpis(problem, plan))];
    columns.push(("nearest neighbour", kpis(problem, &nearest_neighbour(problem))));
    columns.extend(savings(problem).map(|plan| ("savings", kpis(problem, &plan))));
    columns.extend(previous.map(|plan| ("previous", kpis(problem, plan))));
    let hours = |seconds: i64| format!("{:.1}", seconds as f64 / 3_600.0);
    type Shown<'a> = &'a dyn Fn(&Kpis) -> String;
    let rows: [(&str, Shown); 14] = [
        ("cost", &|k| k.cost.to_string()),
        ("cost against this plan", &|k| percent(0.0 - k.saved_against(&columns[0].1))),
        ("distance, km", &|k| format!("{:.1}", k.distance_m as f64 / 1e3)),
        ("duty, h", &|k| hours(k.duration_s)),
        ("driving, h", &|k| hours(k.travel_s)),
        ("waiting, h", &|k| hours(k.waiting_s)),
        ("vehicles", &|k| k.vehicles_used.to_string()),
        ("stops served", &|k| k.stops_served.to_string()),
        ("stops left out", &|k| k.stops_left_out.to_string()),
        ("on time", &|k| percent(k.on_time_share)),
        ("load used", &|k| percent(k.utilisation)),
        ("balance of duty", &|k| percent(k.balance)),
        ("CO₂e, kg", &|k| format!("{:.1}", k.co2e_g as f64 / 1e3)),
        ("CO₂e, g/km", &|k| format!("{:.0}", k.co2e_g_per_km)),
    ];
    let row = |(name, of): &(&str, &dyn Fn(&Kpis) -> String)| {
        std::iter::once((*name).to_owned()).chain(columns.iter().map(|(_, kpis)| of(kpis))).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    let header: Vec<&str> = std::iter::once("figure").chain(columns.iter().map(|(name, _)| *name)).collect();
    table(&header, &rows, true)
}
