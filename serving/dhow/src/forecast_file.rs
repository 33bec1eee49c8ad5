//! `dhow forecast FILE`: forecasts of a user's own series, as a table, as JSON and as a fan chart; no model is stored.

use std::path::Path;

use dhow_forecast::chart::{Fan, fan};
use dhow_univariate::{
    Calibration, Ends, Method, PointForecast, Series, fill_missing, forecast_or_simpler, method_named,
};
use serde::Serialize;

use crate::arguments::ForecastArguments;
use crate::evaluate_forecast::unknown;
use crate::failure::Failure;
use crate::output::{json, table};
use crate::series_file::{OwnSeries, read_long};

/// Values before the forecast that the chart shows, at most.
const CHARTED: usize = 120;

/// One series' forecast.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    /// Missing values that were filled.
    filled: usize,
    /// When each step is.
    times: Vec<String>,
    #[serde(flatten)]
    forecast: PointForecast,
    /// Per step: lower and upper end of the 50, 80 and 95 % intervals.
    intervals: Vec<[(f64, f64); 3]>,
}

/// Runs the command on rows of id, time and value.
///
/// # Errors
/// A file that cannot be read, an unknown method or series, or a horizon out of its bounds.
pub fn run(arguments: &ForecastArguments, path: &Path) -> Result<(), Failure> {
    let mut all = read_long(path)?;
    if let Some(id) = &arguments.series {
        all.retain(|series| series.id == *id);
    }
    if all.is_empty() {
        return Err(Failure::Input(format!("{} holds no such series", path.display())));
    }
    let method = method_named(&arguments.method).ok_or_else(|| unknown(&arguments.method))?;
    let filled = all.iter_mut().map(fill).collect::<Result<Vec<_>, _>>()?;
    let seasons = if arguments.season.is_empty() { vec![1] } else { arguments.season.clone() };
    let checked = all.iter().map(|series| check(series, &seasons)).collect::<Result<Vec<_>, _>>()?;
    let calibration = Calibration::learn(method, &checked, arguments.horizon).map_err(Failure::input)?;
    let row = |(series, (checked, filled)): (&OwnSeries, (&Series, usize))| {
        Ok(Row { filled, ..forecast(arguments.horizon, method, &calibration, series, checked)? })
    };
    let rows = all.iter().zip(checked.iter().zip(filled)).map(row).collect::<Result<Vec<_>, Failure>>()?;
    if let Some(file) = &arguments.chart {
        std::fs::write(file, chart(&all[0], &rows[0]))
            .map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
    }
    if arguments.json {
        return json(&rows);
    }
    print(&rows);
    Ok(())
}

fn blame(series: &OwnSeries) -> impl Fn(dhow_univariate::ForecastError) -> Failure {
    move |error| Failure::Input(format!("series `{}`: {error}", series.id))
}

fn fill(series: &mut OwnSeries) -> Result<usize, Failure> {
    let filled = fill_missing(&mut series.values);
    filled.map_err(blame(series))
}

fn check<'a>(series: &'a OwnSeries, seasons: &'a [usize]) -> Result<Series<'a>, Failure> {
    Series::with_seasons(&series.values, seasons).map_err(blame(series))
}

fn forecast(
    horizon: usize,
    method: &dyn Method,
    calibration: &Calibration,
    series: &OwnSeries,
    checked: &Series,
) -> Result<Row, Failure> {
    let forecast = forecast_or_simpler(method, checked, horizon).map_err(blame(series))?;
    let ends: [Ends; 3] = calibration.intervals(checked, &forecast);
    Ok(Row {
        id: series.id.clone(),
        filled: 0,
        times: (1..=horizon).map(|step| series.steps.after(step)).collect(),
        intervals: (0..horizon).map(|h| ends.each_ref().map(|ends| ends[h])).collect(),
        forecast,
    })
}

fn chart(series: &OwnSeries, row: &Row) -> String {
    let points = &row.forecast.values;
    let quantiles = |at: &[(f64, f64); 3]| vec![at[2].0, at[1].0, at[0].0, at[0].1, at[1].1, at[2].1];
    fan(&Fan {
        title: format!("{} · {} · {} steps ahead", row.id, row.forecast.model, points.len()),
        note: row.forecast.fallback.clone().unwrap_or_default(),
        recent: &series.values[series.values.len().saturating_sub(CHARTED)..],
        points,
        levels: &[0.025, 0.1, 0.25, 0.75, 0.9, 0.975],
        quantiles: &row.intervals.iter().map(quantiles).collect::<Vec<_>>(),
    })
}

fn print(rows: &[Row]) {
    let mut cells = Vec::new();
    for row in rows {
        for (h, (value, intervals)) in row.forecast.values.iter().zip(&row.intervals).enumerate() {
            let mut line = vec![row.id.clone(), row.times[h].clone(), format!("{value:.2}")];
            line.extend(intervals.iter().map(|(low, high)| format!("{low:.2} to {high:.2}")));
            cells.push(line);
        }
    }
    println!("{}", table(&["series", "time", "expected", "50 %", "80 %", "95 %"], &cells, true));
    for row in rows {
        println!("{}: {}", row.id, row.forecast.model);
        if row.filled > 0 {
            println!("{}: {} missing values were filled between their neighbours", row.id, row.filled);
        }
        if let Some(reason) = &row.forecast.fallback {
            println!("{}: fallback: {reason}", row.id);
        }
    }
}
