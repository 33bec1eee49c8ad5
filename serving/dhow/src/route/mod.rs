//! `dhow route`: reads routing problems and solutions, and leaves solving, checking and explaining to its parts.

mod judge;
mod limits;
mod solve;

use std::io::Read;
use std::path::Path;

use dhow_routes::formats::{self, Format, Instance, ReadOptions, SolutionFile};
use dhow_routes::{Plan, Problem, Rounding, vroom};

use crate::arguments::{RouteArguments, RouteCommand, RouteFormat, RouteProblemArguments, RouteRounding};
use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
/// A wrong problem or solution, with the place of the mistake; a plan that breaks rules; or a file that cannot be written.
pub fn run(arguments: &RouteArguments) -> Result<(), Failure> {
    match &arguments.command {
        RouteCommand::Solve(arguments) => solve::run(arguments),
        RouteCommand::Check(arguments) => judge::check(arguments),
        RouteCommand::Explain(arguments) => judge::explain(arguments),
    }
}

/// A problem as its file gave it.
enum Source {
    Vroom(Box<vroom::Request>),
    File(Box<Instance>),
}

impl Source {
    /// Reads the problem that the arguments name.
    fn read(arguments: &RouteProblemArguments) -> Result<Source, Failure> {
        let bytes = bytes_of(&arguments.file)?;
        let wrong = |error: String| Failure::Input(format!("{}: {error}", arguments.file.display()));
        let text = std::str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?;
        let format = match arguments.format {
            RouteFormat::Auto => Format::of(text),
            RouteFormat::Vroom => Some(Format::Vroom),
            RouteFormat::Vrplib => Some(Format::Vrplib),
            RouteFormat::Solomon => Some(Format::Solomon),
            RouteFormat::LiLim => Some(Format::LiLim),
        };
        if format == Some(Format::Vroom) {
            let request = vroom::parse(&bytes, arguments.speed_kmh).map_err(|error| wrong(error.to_string()))?;
            return Ok(Source::Vroom(Box::new(request)));
        }
        let rounding = arguments.round.map(|rounding| match rounding {
            RouteRounding::None => Rounding::None,
            RouteRounding::Nearest => Rounding::Nearest,
            RouteRounding::Trunc => Rounding::Trunc,
            RouteRounding::Trunc10 => Rounding::Trunc10,
        });
        let options = ReadOptions { format, rounding, vehicles_first: arguments.vehicles_first };
        let instance = formats::read(text, &options).map_err(|error| wrong(error.to_string()))?;
        Ok(Source::File(Box::new(instance)))
    }

    fn problem(&self) -> &Problem {
        match self {
            Source::Vroom(request) => &request.problem,
            Source::File(instance) => &instance.problem,
        }
    }

    /// Reads a solution: VROOM's answer for VROOM's requests, CVRPLIB's solution file for others. The cost that the file states
    /// comes beside the plan.
    fn solution(&self, path: &Path) -> Result<(Plan, Option<f64>), Failure> {
        let bytes = bytes_of(path)?;
        let wrong = |error: String| Failure::Input(format!("{}: {error}", path.display()));
        match self {
            Source::Vroom(request) => {
                let plan = request.plan_of_response(&bytes).map_err(|error| wrong(error.to_string()))?;
                Ok((plan, None))
            }
            Source::File(instance) => {
                let text = std::str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?;
                let file = SolutionFile::parse(text).map_err(|error| wrong(error.to_string()))?;
                let plan = instance.plan(&file).map_err(|error| wrong(error.to_string()))?;
                Ok((plan, file.cost))
            }
        }
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}
