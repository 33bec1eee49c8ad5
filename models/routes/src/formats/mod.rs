//! Files of the published benchmark families, read as problems and written as solutions; it solves and draws nothing.

mod li_lim;
mod lines;
mod solomon;
mod solution;
mod vrplib;

pub use solution::SolutionFile;

use crate::problem::{MAX_FIXED_COST, Parts, Problem, ProblemError};
use crate::travel::Rounding;

/// Most bytes of a file that is read.
pub const MAX_FILE_BYTES: usize = 1 << 30;

/// How a problem is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// VRPLIB: `KEY : value` lines and `…_SECTION`s, as CVRPLIB, the DIMACS challenge, ORTEC and PyVRP's families use it.
    Vrplib,
    /// Solomon's and Gehring and Homberger's tables.
    Solomon,
    /// Li and Lim's tables of pickups and deliveries.
    LiLim,
    /// VROOM's JSON, which [`crate::vroom`] reads.
    Vroom,
}

impl Format {
    /// The format that a text looks like.
    pub fn of(text: &str) -> Option<Format> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next()?;
        if first.starts_with('{') {
            return Some(Format::Vroom);
        }
        let all_numbers = |line: &str| line.split_whitespace().all(|token| token.parse::<f64>().is_ok());
        if all_numbers(first) {
            return Some(Format::LiLim);
        }
        let has_key = |line: &str| line.split_once(':').is_some_and(|(key, _)| key.trim().chars().all(vrplib::of_key));
        if has_key(first) {
            return Some(Format::Vrplib);
        }
        lines.next().filter(|second| second.eq_ignore_ascii_case("vehicle")).map(|_| Format::Solomon)
    }
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A line is wrong.
    #[error("line {line}: {message}")]
    Line {
        /// Counted from 1; one behind the last when the file ends too early.
        line: usize,
        /// What was found and what would be right.
        message: String,
    },
    /// Nothing says which format it is.
    #[error("the format is not known; VRPLIB, Solomon's, Li and Lim's tables and VROOM's JSON are read")]
    Unknown,
    /// VROOM's JSON has a reader of its own.
    #[error("this is VROOM's JSON, which is read as a request, not as a benchmark file")]
    Vroom,
    /// The lines are well formed but make no problem.
    #[error("{0}")]
    Problem(#[from] ProblemError),
}

impl FormatError {
    fn at(line: usize, message: impl Into<String>) -> FormatError {
        FormatError::Line { line, message: message.into() }
    }
}

/// A problem read from a file. Locations are the file's nodes in their order, so that solutions can name them by number.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The file's own name for it.
    pub name: String,
    /// The family, such as `CVRP`.
    pub family: String,
    /// Distances, times and costs are counted in these units.
    pub rounding: Rounding,
    /// To be solved. A stop's id and location are its node's number, counted from 0.
    pub problem: Problem,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// The format; none: what the text looks like.
    pub format: Option<Format>,
    /// How lengths become integers; none: the family's own rule.
    pub rounding: Option<Rounding>,
    /// Fewer vehicles are better than any shorter distance: the objective of Solomon's and Li and Lim's published results.
    pub vehicles_first: bool,
}

/// Reads a benchmark file.
///
/// # Errors
/// The first line that is wrong, with what would be right; or what keeps the lines from being a problem.
pub fn read(text: &str, options: &ReadOptions) -> Result<Instance, FormatError> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the text has {} bytes; at most {MAX_FILE_BYTES} are read", text.len());
        return Err(FormatError::at(1, message));
    }
    let mut draft = match options.format.or_else(|| Format::of(text)) {
        None => return Err(FormatError::Unknown),
        Some(Format::Vroom) => return Err(FormatError::Vroom),
        Some(Format::Vrplib) => vrplib::read(text, options.rounding)?,
        Some(Format::Solomon) => solomon::read(text, options.rounding)?,
        Some(Format::LiLim) => li_lim::read(text, options.rounding)?,
    };
    if options.vehicles_first {
        draft.parts.vehicles.iter_mut().for_each(|vehicle| vehicle.fixed_cost = MAX_FIXED_COST);
    }
    let Draft { name, family, rounding, parts } = draft;
    Ok(Instance { name, family, rounding, problem: Problem::from_parts(parts)? })
}

/// What a reader hands over.
struct Draft {
    name: String,
    family: String,
    rounding: Rounding,
    parts: Parts,
}
