//! `dhow evaluate forecast` on files: forecasting methods beside Naive2 on held-out values, one thread; it keeps no forecast.

use std::collections::BTreeMap;

use dhow_forecast::coverage::{GroupCoverage, SeriesCoverage, coverage_by_group};
use dhow_univariate::judge::{Figures, Score, Tally};
use dhow_univariate::{
    Calibration, DemandPattern, Method, Naive2, Series, fill_missing, forecast_or_simpler, method_named,
};
use serde::Serialize;

use crate::arguments::EvaluateArguments;
use crate::failure::Failure;
use crate::output::{json, progress, table};
use crate::series_file::{Judged, held_out, read_judged, read_long};

/// The methods that are judged where none is named.
const METHODS: [&str; 8] = ["naive2", "seasonal_naive", "theta", "dotm", "ces", "ets", "median", "learned"];
/// … of series most of which have rare demand.
const RARE_METHODS: [&str; 8] = ["naive2", "mean", "croston", "croston_sba", "tsb", "adida", "imapa", "ets"];
/// Values held out of each series of a long file, where the command does not say how many.
const HORIZON: usize = 12;
/// The group of all series.
const ALL: &str = "all";

/// One method's figures on one group of series.
#[derive(Debug, Serialize)]
struct Row {
    method: &'static str,
    /// The period, or `all`.
    group: String,
    #[serde(flatten)]
    figures: Figures,
    /// 95 % intervals of the coverage, by a bootstrap over series.
    coverage_95: [(f64, f64); 3],
    /// CPU milliseconds a series for its forecast, over all groups, where the system counts them; how wide intervals must be is
    /// learned apart.
    cpu_ms_per_series: Option<f64>,
    /// Series that a simpler method answered, over all groups.
    fallbacks: usize,
    /// Why, for the first of them.
    first_fallback: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Files that are missing or do not fit, an unknown method, or series that no method can forecast.
pub fn run(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let cases = cases(arguments)?;
    let named = |name: &str| method_named(name).ok_or_else(|| unknown(name));
    let wanted: Vec<&str> = match arguments.method.as_slice() {
        // The methods of one season do not see several.
        [] if arguments.season.len() > 1 => METHODS.into_iter().chain(["mstl"]).collect(),
        [] if is_mostly_rare(&cases) => RARE_METHODS.to_vec(),
        [] => METHODS.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    let methods = wanted.into_iter().map(named).collect::<Result<Vec<_>, _>>()?;
    let base = judge(&Naive2, &cases)?;
    let bar = progress("forecast and judge", methods.len() as u64);
    let mut rows = Vec::new();
    for method in methods {
        let run = judge(method, &cases)?;
        let covered = run.covered.each_ref().map(|series| coverage_by_group(series, arguments.seed));
        for (group, tally) in &run.tallies {
            let naive2 = base.tallies.get(group).copied().unwrap_or_default();
            let of_group = |groups: &Vec<GroupCoverage>| {
                groups.iter().find(|one| one.group == *group).map_or((0.0, 1.0), |one| (one.low, one.high))
            };
            rows.extend(tally.figures(&naive2).map(|figures| Row {
                method: method.name(),
                group: group.clone(),
                figures,
                coverage_95: covered.each_ref().map(of_group),
                cpu_ms_per_series: run.cpu_ms.map(|cpu_ms| cpu_ms / cases.len() as f64),
                fallbacks: run.fallbacks,
                first_fallback: run.first_fallback.clone(),
            }));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if arguments.json {
        return json(&rows);
    }
    print(&rows);
    Ok(())
}

/// The words for a method that is not there.
pub fn unknown(name: &str) -> Failure {
    let known: Vec<&str> = dhow_univariate::METHODS.iter().map(|method| method.name()).collect();
    Failure::Input(format!("there is no method `{name}`; there are {}", known.join(", ")))
}

/// A series whose missing values are filled, and its seasons.
struct Case {
    group: String,
    seasons: Vec<usize>,
    train: Vec<f64>,
    test: Vec<f64>,
}

fn cases(arguments: &EvaluateArguments) -> Result<Vec<Case>, Failure> {
    let horizon = arguments.horizon.unwrap_or(HORIZON).max(1);
    let judged = match (&arguments.data, &arguments.long) {
        (Some(path), None) => read_judged(path, horizon)?,
        (None, Some(path)) => read_long(path)?.into_iter().map(|series| held_out(series.values, horizon)).collect(),
        _ => return Err(Failure::Input("give one of --data FILE and --long FILE".to_owned())),
    };
    let mut cases = Vec::new();
    for judged in judged.into_iter().step_by(arguments.every.get()) {
        let Judged { period, mut train, test } = judged;
        let is_whole = test.iter().all(|value| value.is_finite()) && !test.is_empty();
        if train.is_empty() || !is_whole {
            return Err(Failure::Input(format!(
                "series {} has {} values of history and {} held-out ones; some of each are needed, and no held-out one missing",
                cases.len() + 1,
                train.len(),
                test.len()
            )));
        }
        fill_missing(&mut train).map_err(Failure::input)?;
        let seasons = if arguments.season.is_empty() { vec![season_of(&period)] } else { arguments.season.clone() };
        let group = if period.is_empty() { "series".to_owned() } else { period };
        cases.push(Case { group, seasons, train, test });
    }
    if cases.is_empty() { Err(Failure::Input("the file holds no series".to_owned())) } else { Ok(cases) }
}

/// Steps of a season of the periods that the competitions name.
fn season_of(period: &str) -> usize {
    match period {
        "hourly" => 24,
        "daily" => 7,
        "monthly" => 12,
        "quarterly" => 4,
        _ => 1,
    }
}

/// Whether most series have no demand at most steps.
fn is_mostly_rare(cases: &[Case]) -> bool {
    let is_rare = |case: &&Case| {
        let is_demand = case.train.iter().all(|value| *value >= 0.0);
        is_demand && Series::new(&case.train, 1).is_ok_and(|series| DemandPattern::of(&series).is_sparse())
    };
    2 * cases.iter().filter(is_rare).count() > cases.len()
}

/// What became of one method.
struct Run {
    /// By group, and of all together where there are several.
    tallies: BTreeMap<String, Tally>,
    /// For each of the judged intervals, what it held of every series.
    covered: [Vec<SeriesCoverage>; 3],
    cpu_ms: Option<f64>,
    fallbacks: usize,
    first_fallback: Option<String>,
}

fn judge(method: &dyn Method, cases: &[Case]) -> Result<Run, Failure> {
    let series = |case: &'_ Case| -> Result<_, Failure> {
        let series = Series::with_seasons(&case.train, &case.seasons).map_err(Failure::input)?;
        forecast_or_simpler(method, &series, case.test.len()).map_err(Failure::input)
    };
    let begin = cpu_ms();
    let forecasts = cases.iter().map(series).collect::<Result<Vec<_>, _>>()?;
    let cpu_ms = cpu_ms().zip(begin).map(|(end, begin)| end - begin);
    let calibrations = calibrations(method, cases)?;
    let mut run =
        Run { tallies: BTreeMap::new(), covered: Default::default(), cpu_ms, fallbacks: 0, first_fallback: None };
    for (case, forecast) in cases.iter().zip(forecasts) {
        let series = Series::with_seasons(&case.train, &case.seasons).map_err(Failure::input)?;
        let intervals = calibrations[&case.group].intervals(&series, &forecast);
        let score = Score::of(&series, &case.test, &forecast, &intervals).map_err(Failure::input)?;
        let groups = [Some(case.group.as_str()), (calibrations.len() > 1).then_some(ALL)];
        for group in groups.into_iter().flatten() {
            run.tallies.entry(group.to_owned()).or_default().add(&score, case.test.len());
        }
        for (covered, share) in run.covered.iter_mut().zip(score.coverage) {
            let steps = case.test.len();
            let inside = (share * steps as f64).round() as usize;
            covered.push(SeriesCoverage { group: case.group.clone(), inside, steps });
        }
        run.fallbacks += usize::from(forecast.fallback.is_some());
        run.first_fallback = run.first_fallback.or(forecast.fallback);
    }
    Ok(run)
}

/// How wide the method's intervals must be in each group, as its errors on the histories say.
fn calibrations(method: &dyn Method, cases: &[Case]) -> Result<BTreeMap<String, Calibration>, Failure> {
    let mut groups: BTreeMap<&str, (usize, Vec<Series>)> = BTreeMap::new();
    for case in cases {
        let (horizon, series) = groups.entry(&case.group).or_default();
        *horizon = case.test.len().max(*horizon);
        series.push(Series::with_seasons(&case.train, &case.seasons).map_err(Failure::input)?);
    }
    let learn = |(group, (horizon, series)): (&str, (usize, Vec<Series>))| {
        Ok((group.to_owned(), Calibration::learn(method, &series, horizon).map_err(Failure::input)?))
    };
    groups.into_iter().map(learn).collect()
}

/// CPU time of this thread so far, where the system tells it.
fn cpu_ms() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e6)
}

fn print(rows: &[Row]) {
    let some = |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    let cells = |row: &Row| {
        let figures = &row.figures;
        let mut cells = vec![row.method.to_owned(), row.group.clone(), figures.series.to_string()];
        cells.extend([
            format!("{:.3}", figures.smape),
            some(figures.mase, 4),
            some(figures.owa, 4),
            some(figures.msis, 3),
        ]);
        cells.extend(figures.coverage.map(|share| format!("{:.1}", 100.0 * share)));
        cells.extend([some(row.cpu_ms_per_series, 3), row.fallbacks.to_string()]);
        cells
    };
    let rows_cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let head = [
        "method",
        "group",
        "series",
        "sMAPE",
        "MASE",
        "OWA",
        "MSIS",
        "in 50 %",
        "in 80 %",
        "in 95 %",
        "CPU ms",
        "fallbacks",
    ];
    println!("{}", table(&head, &rows_cells, true));
    let first_of_method = |at: &usize| *at == 0 || rows[*at].method != rows[*at - 1].method;
    for row in (0..rows.len()).filter(first_of_method).map(|at| &rows[at]) {
        if let Some(reason) = &row.first_fallback {
            println!("{}: {} fallbacks, first: {reason}", row.method, row.fallbacks);
        }
    }
}
