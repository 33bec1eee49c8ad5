//! Solves benchmark files for some CPU seconds each, checks the plans and prints their costs and the gaps to the best known
//! solutions beside them; it prints no routes.
//!
//! `solve FILE … [--cpu-seconds S] [--iterations N] [--seed N] [--threads N] [--vehicles-first]`;
//! the seconds are those of the main thread; a best known cost is read from the `.sol` file next to its
//! instance.

use dhow_routes::formats::{ReadOptions, SolutionFile, read};
use dhow_routes::{Budget, MAX_ITERATIONS, Solver, ThreadedSolver, check};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// CPU seconds of this thread, by the kernel's count.
fn cpu_seconds() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counts.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// What is asked for.
struct Settings {
    seconds: f64,
    iterations: u64,
    seed: u64,
    vehicles_first: bool,
    threads: NonZeroUsize,
}

/// What came of one file.
struct Outcome {
    cost: f64,
    distance: f64,
    vehicles: usize,
    /// Stops left out that have no prize as the price for it.
    missed: usize,
    /// CPU time beyond what was given.
    overrun_ms: f64,
    gap_percent: Option<f64>,
}

fn solve(path: &Path, settings: &Settings) -> Result<Outcome, Box<dyn std::error::Error>> {
    let options = ReadOptions { vehicles_first: settings.vehicles_first, ..ReadOptions::default() };
    let instance = read(&std::fs::read_to_string(path)?, &options)?;
    let best = match std::fs::read_to_string(path.with_extension("sol")) {
        Ok(text) => SolutionFile::parse(&text)?.cost,
        Err(_) => None,
    };
    let begin = cpu_seconds();
    let budget = Budget { iterations: settings.iterations, seed: settings.seed };
    let progress = || (cpu_seconds() - begin) / settings.seconds;
    let plan = ThreadedSolver { threads: settings.threads }.solve_paced(&instance.problem, &budget, &progress)?;
    let used = cpu_seconds() - begin;
    if let Some(first) = check(&instance.problem, &plan).first() {
        return Err(format!("{}: {}: {}", path.display(), first.path, first.message).into());
    }
    let gap_percent = best.map(|best| (plan.cost as f64 / best - 1.0) * 100.0);
    println!(
        "{} cost {} distance {} vehicles {} left out {} gap {} CPU seconds {used:.2}",
        path.file_stem().unwrap_or_default().to_string_lossy(),
        plan.cost,
        plan.distance_m,
        plan.routes.len(),
        plan.unassigned.len(),
        gap_percent.map_or("unknown".to_owned(), |gap| format!("{gap:.3} %")),
    );
    let (cost, distance, vehicles) = (plan.cost as f64, plan.distance_m as f64, plan.routes.len());
    let stops = instance.problem.stops();
    let missed = plan.unassigned.iter().filter(|left| stops[left.stop].prize.is_none()).count();
    let overrun_ms = 1e3 * (used - settings.seconds);
    Ok(Outcome { cost, distance, vehicles, missed, overrun_ms, gap_percent })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (iterations, threads) = (MAX_ITERATIONS, NonZeroUsize::MIN);
    let mut settings = Settings { seconds: 10.0, iterations, seed: 1, vehicles_first: false, threads };
    let mut files: Vec<PathBuf> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--cpu-seconds" => settings.seconds = arguments.next().ok_or("--cpu-seconds needs a number")?.parse()?,
            "--iterations" => settings.iterations = arguments.next().ok_or("--iterations needs a number")?.parse()?,
            "--seed" => settings.seed = arguments.next().ok_or("--seed needs a number")?.parse()?,
            "--threads" => settings.threads = arguments.next().ok_or("--threads needs a number")?.parse()?,
            "--vehicles-first" => settings.vehicles_first = true,
            file => files.push(file.into()),
        }
    }
    let outcomes = files.iter().map(|file| solve(file, &settings)).collect::<Result<Vec<_>, _>>()?;
    let count = outcomes.len().max(1) as f64;
    let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / count;
    let gaps: Option<Vec<f64>> = outcomes.iter().map(|outcome| outcome.gap_percent).collect();
    let gap = gaps.map_or("null".to_owned(), |gaps| format!("{:.4}", gaps.iter().sum::<f64>() / count));
    println!(
        "RESULT {{\"files\": {}, \"mean_cost\": {:.2}, \"mean_distance\": {:.2}, \"vehicles\": {}, \
         \"missed\": {}, \"overrun_ms\": {:.1}, \"mean_gap_percent\": {gap}}}",
        outcomes.len(),
        mean(|outcome| outcome.cost),
        mean(|outcome| outcome.distance),
        outcomes.iter().map(|outcome| outcome.vehicles).sum::<usize>(),
        outcomes.iter().map(|outcome| outcome.missed).sum::<usize>(),
        outcomes.iter().map(|outcome| outcome.overrun_ms).fold(f64::NEG_INFINITY, f64::max),
    );
    Ok(())
}
