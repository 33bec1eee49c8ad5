//! Benchmark files: the best known solutions of every family cost what their files say, and malformed files are named by line.

use super::*;
use dhow_routes::formats::{Format, FormatError, ReadOptions, SolutionFile, read};
use std::path::{Path, PathBuf};

fn data_folder() -> PathBuf {
    let folder = std::env::var("DHOW_DATA_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_string());
    Path::new(&folder).join("routes")
}

/// Files of a family with an extension, in order; none where the data folder is absent.
fn files(family: &str, extension: &str, test: &str) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(data_folder().join(family)) else {
        println!("SKIPPED: {test}: data folder absent");
        return Vec::new();
    };
    let paths = folder.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    paths
}

#[test]
fn best_known_solutions_are_feasible_and_cost_what_their_files_say() {
    for family in ["cvrp_x", "hfvrp", "mdvrptw", "mtvrptwr", "pcvrptw", "vrpb"] {
        let mut checked = 0;
        for path in files(family, "sol", "best_known_solutions_are_feasible_and_cost_what_their_files_say") {
            let text = std::fs::read_to_string(path.with_extension("vrp")).expect("each solution has a problem");
            let instance = read(&text, &ReadOptions::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let solution = std::fs::read_to_string(&path).expect("the file is there");
            let solution = SolutionFile::parse(&solution).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let plan = instance.plan(&solution).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert_eq!(check(&instance.problem, &plan), vec![], "{}", path.display());
            assert!(plan.unassigned.is_empty() || family == "pcvrptw", "{}", path.display());
            let stated = solution.cost.expect("each solution states its cost");
            // Some of the heterogeneous fleets' costs are stated in the literature's unit, with two decimals that were summed
            // from rounded lengths.
            let in_units =
                if family == "hfvrp" && stated.fract() != 0.0 { plan.cost as f64 / 1e5 } else { plan.cost as f64 };
            let tolerance = if stated.fract() != 0.0 { 0.05 } else { 0.0 };
            assert!((in_units - stated).abs() <= tolerance, "{}: {in_units} against {stated}", path.display());
            let again = SolutionFile::parse(&instance.solution_text(&plan)).expect("what is written can be read");
            assert_eq!(instance.plan(&again).as_ref(), Ok(&plan), "{}", path.display());
            checked += 1;
        }
        println!("{family}: {checked} best known solutions");
    }
}
