//! Solves a file of CVRPLIB's or Solomon's format for some CPU seconds and prints cost and gap; it prints no routes.

use dhow_routes::{Budget, LocalSearchSolver, Problem, Solver, Stop, Travel, Vehicle, check};
use std::time::Instant;

/// Reads `TYPE : CVRP` with planar coordinates, distances rounded to the nearest integer.
fn cvrplib(text: &str) -> Problem {
    let (mut section, mut capacity, mut points, mut demands) = ("", 0i64, Vec::new(), Vec::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first().copied() {
            Some("CAPACITY") => capacity = words[words.len() - 1].parse().expect("a capacity"),
            Some(word) if word.ends_with("_SECTION") || word == "EOF" => {
                section = if word == "NODE_COORD_SECTION" {
                    "points"
                } else if word == "DEMAND_SECTION" {
                    "demands"
                } else {
                    ""
                }
            }
            Some(_) if section == "points" => {
                points.push((words[1].parse::<f64>().expect("x"), words[2].parse::<f64>().expect("y")))
            }
            Some(_) if section == "demands" => demands.push(words[1].parse::<i64>().expect("a demand")),
            _ => {}
        }
    }
    let far = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0).hypot(a.1 - b.1).round() as i64;
    let matrix: Vec<Vec<i64>> = points.iter().map(|a| points.iter().map(|b| far(a, b)).collect()).collect();
    let stops = (1..points.len()).map(|i| Stop::new(i.to_string(), i).delivering(&[demands[i]])).collect();
    let total: i64 = demands.iter().sum();
    let fleet = (total as f64 * 1.3 / capacity as f64).ceil() as i64 + 3;
    let vehicles = (0..fleet).map(|i| Vehicle::new(i.to_string(), 0).carrying(&[capacity])).collect();
    let travel = Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places: Vec::new() };
    Problem::new(stops, vehicles, travel).expect("the instance is well formed")
}

/// Reads Solomon's format; coordinates and times are multiplied by 1,000.
fn solomon(text: &str) -> Problem {
    let numbers = |line: &str| line.split_whitespace().map(str::parse::<i64>).collect::<Result<Vec<_>, _>>().ok();
    let rows: Vec<Vec<i64>> = text.lines().filter_map(numbers).filter(|row| !row.is_empty()).collect();
    let (fleet, customers) = (&rows[0], &rows[1..]);
    let far = |a: &[i64], b: &[i64]| (((a[1] - b[1]) as f64).hypot((a[2] - b[2]) as f64) * 1_000.0).round() as i64;
    let matrix: Vec<Vec<i64>> = customers.iter().map(|a| customers.iter().map(|b| far(a, b)).collect()).collect();
    let stop = |row: &Vec<i64>| {
        let stop = Stop::new(row[0].to_string(), row[0] as usize).delivering(&row[3..4]);
        stop.between(row[4] * 1_000, row[5] * 1_000).taking(row[6] * 1_000)
    };
    let stops = customers[1..].iter().map(stop).collect();
    let vehicle = |i: i64| Vehicle::new(i.to_string(), 0).carrying(&fleet[1..2]).working(0, customers[0][5] * 1_000);
    let travel = Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places: Vec::new() };
    Problem::new(stops, (0..fleet[0]).map(vehicle).collect(), travel).expect("the instance is well formed")
}

/// CPU seconds of this process, from the kernel's tick counts.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: f64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let text = std::fs::read_to_string(&arguments[1]).expect("a readable file");
    let problem = if text.contains("CAPACITY :") { cvrplib(&text) } else { solomon(&text) };
    let (seconds, begin, wall) = (option("--cpu-seconds", 10.0), cpu_seconds(), Instant::now());
    let budget = Budget { iterations: 100_000_000_000, seed: option("--seed", 1.0) as u64 };
    let progress = || (cpu_seconds() - begin) / seconds;
    let plan = LocalSearchSolver.solve_paced(&problem, &budget, &progress).expect("the budget is in range");
    assert_eq!(check(&problem, &plan), vec![]);
    let best = option("--best", f64::NAN);
    let name = arguments[1].rsplit('/').next().unwrap_or_default();
    let gap = (plan.cost as f64 / best - 1.0) * 100.0;
    println!(
        "{name} cost {} gap {gap:.3} routes {} left {} cpu {:.2} wall {:.1}",
        plan.cost,
        plan.routes.len(),
        plan.unassigned.len(),
        cpu_seconds() - begin,
        wall.elapsed().as_secs_f64()
    );
}
