//! `dhow route`: solves a problem in VROOM's JSON and shows the plan.

use std::io::Read;
use std::path::Path;

use dhow_events::{Clock, SystemClock};
use dhow_routes::{Budget, LocalSearchSolver, Solver, check, kpis, map, nearest_neighbour, vroom};

use crate::arguments::RouteArguments;
use crate::failure::Failure;
use crate::output::{json, percent, table};

/// The speed between places that are given by coordinates, km/h.
const SPEED_KMH: f64 = 40.0;

/// Runs the command.
///
/// # Errors
/// A wrong problem, with the place of the mistake, or a file that cannot be written.
pub fn run(arguments: &RouteArguments) -> Result<(), Failure> {
    let bytes = read(&arguments.file)?;
    let request = vroom::parse(&bytes, SPEED_KMH)
        .map_err(|error| Failure::Input(format!("{}: {error}", arguments.file.display())))?;
    let begin = SystemClock.now();
    let deadline = begin + (arguments.seconds * 1e6) as i64;
    let budget = Budget { iterations: arguments.iterations, seed: arguments.seed };
    let plan = LocalSearchSolver.solve(&request.problem, &budget, &|| SystemClock.now() > deadline)?;
    let violations = check(&request.problem, &plan);
    if !violations.is_empty() {
        return Err(Failure::Failed(format!(
            "the plan breaks {} rules, the first: {:?}",
            violations.len(),
            violations[0]
        )));
    }
    if let Some(path) = &arguments.map {
        std::fs::write(path, map::svg(&request.problem, &plan)?)?;
    }
    if arguments.json {
        return json(&request.response(&plan));
    }
    let (ours, nearest) = (kpis(&request.problem, &plan), kpis(&request.problem, &nearest_neighbour(&request.problem)));
    let row = |name: &str, one: String, other: String| vec![name.to_owned(), one, other];
    let km = |metres: i64| format!("{:.1}", metres as f64 / 1e3);
    let rows = vec![
        row("cost", ours.cost.to_string(), nearest.cost.to_string()),
        row("distance, km", km(ours.distance_m), km(nearest.distance_m)),
        row("vehicles", ours.vehicles_used.to_string(), nearest.vehicles_used.to_string()),
        row("stops served", ours.stops_served.to_string(), nearest.stops_served.to_string()),
        row("stops left out", ours.stops_left_out.to_string(), nearest.stops_left_out.to_string()),
        row("load used", percent(ours.utilisation), percent(nearest.utilisation)),
        row("CO₂e, kg", format!("{:.1}", ours.co2e_g as f64 / 1e3), format!("{:.1}", nearest.co2e_g as f64 / 1e3)),
    ];
    println!("{}", table(&["figure", "plan", "nearest neighbour"], &rows, true));
    for left in &plan.unassigned {
        println!("stop {} is left out: {}", request.problem.stops()[left.stop].id, left.reason.words());
    }
    println!("{:.2} s, checked", SystemClock.now().micros_since(begin) as f64 / 1e6);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}
