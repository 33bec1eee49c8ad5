//! CVRPLIB's solution files: `Route #k: numbers` lines and a cost; it judges no solution.

use super::lines::{Lines, number};
use super::{FormatError, Instance};
use crate::plan::{PauseKind, Plan, Step};
use crate::problem::Problem;
use crate::schedule::plan_of;
use std::fmt::Write;

/// A solution file's contents.
#[derive(Debug, Clone, PartialEq)]
pub struct SolutionFile {
    /// Per route its number in the file, its line, and the numbers of the nodes visited; depots are reloads.
    pub routes: Vec<(usize, usize, Vec<usize>)>,
    /// The cost that the file states.
    pub cost: Option<f64>,
}

impl SolutionFile {
    /// Reads `Route #k: 1 2 3` and `Cost 123` lines, the colon behind `Cost` being optional. Other lines are remarks when they
    /// begin with a letter.
    ///
    /// # Errors
    /// The first line that is neither, or that has something else than numbers where a node is due.
    pub fn parse(text: &str) -> Result<SolutionFile, FormatError> {
        let mut lines = Lines::new(text);
        let mut file = SolutionFile { routes: Vec::new(), cost: None };
        while let Some((line, text)) = lines.next() {
            let (head, rest) = text.split_at(text.find([':', ' ', '\t']).unwrap_or(text.len()));
            if head.eq_ignore_ascii_case("cost") {
                file.cost = Some(number(line, rest.trim_start_matches(':').trim(), "the cost")?);
            } else if head.eq_ignore_ascii_case("route") {
                file.routes.push(route(line, rest)?);
            } else if !head.starts_with(|first: char| first.is_ascii_alphabetic()) {
                return Err(FormatError::at(line, format!("{text:?} where `Route #1: …` or `Cost …` is due")));
            }
        }
        Ok(file)
    }
}

fn route(line: usize, rest: &str) -> Result<(usize, usize, Vec<usize>), FormatError> {
    let Some((label, nodes)) = rest.split_once(':') else {
        return Err(FormatError::at(line, "a colon is needed behind the route's number"));
    };
    let label = label.trim().trim_start_matches('#').trim();
    let whole = |token: &str| {
        let wrong = || FormatError::at(line, format!("{token:?} is no number of a route or node"));
        token.parse::<usize>().map_err(|_| wrong())
    };
    Ok((whole(label)?, line, nodes.split_whitespace().map(whole).collect::<Result<_, _>>()?))
}

impl Instance {
    /// The plan that a solution file describes. Where vehicles differ, route `k` is driven by vehicle `k`; where all are equal,
    /// the routes are given out in their order.
    ///
    /// # Errors
    /// A node that does not exist or a route without a vehicle, with its line.
    pub fn plan(&self, solution: &SolutionFile) -> Result<Plan, FormatError> {
        let problem = &self.problem;
        let by_number = !all_equal(problem);
        let mut steps = vec![Vec::new(); problem.vehicles().len()];
        let stop_at = stops_by_location(problem);
        let filled = solution.routes.iter().filter(|(_, _, nodes)| by_number || !nodes.is_empty());
        for (position, (label, line, nodes)) in filled.enumerate() {
            let vehicle = if by_number { label.wrapping_sub(1) } else { position };
            let fleet = steps.len();
            let Some(steps) = steps.get_mut(vehicle) else {
                let message = format!("route {label} has no vehicle; there are {fleet}");
                return Err(FormatError::at(*line, message));
            };
            for &node in nodes {
                steps.push(match stop_at.get(node) {
                    None => {
                        let last = stop_at.len() - 1;
                        return Err(FormatError::at(*line, format!("node {node} does not exist; the last is {last}")));
                    }
                    Some(Some(stop)) => Step::Stop(*stop),
                    Some(None) => Step::Reload(node),
                });
            }
        }
        Ok(plan_of(problem, &steps))
    }

    /// A solution file for a plan of this instance.
    pub fn solution_text(&self, plan: &Plan) -> String {
        let by_number = !all_equal(&self.problem);
        let mut text = String::new();
        let mut route_number = 0;
        for route in &plan.routes {
            while by_number && route_number < route.vehicle {
                route_number += 1;
                put(&mut text, format_args!("Route #{route_number}:"));
            }
            route_number += 1;
            let mut line = format!("Route #{route_number}:");
            for (index, visit) in route.visits.iter().enumerate() {
                for pause in route.pauses.iter().filter(|pause| pause.after_visits == index) {
                    if let PauseKind::Reload(location) = pause.kind {
                        line.push_str(&format!(" {location}"));
                    }
                }
                line.push_str(&format!(" {}", self.problem.stops()[visit.stop].location));
            }
            put(&mut text, format_args!("{line}"));
        }
        put(&mut text, format_args!("Cost {}", plan.cost));
        text
    }
}

/// Adds a line; writing to a string cannot fail.
fn put(text: &mut String, line: std::fmt::Arguments) {
    let _ = writeln!(text, "{line}");
}

fn all_equal(problem: &Problem) -> bool {
    problem.class.iter().all(|&class| class == 0)
}

/// Per location the stop there, none for depots.
fn stops_by_location(problem: &Problem) -> Vec<Option<usize>> {
    let mut stop_at = vec![None; problem.locations()];
    for (index, stop) in problem.stops().iter().enumerate() {
        stop_at[stop.location] = Some(index);
    }
    stop_at
}
