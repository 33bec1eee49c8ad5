//! `dhow forecast`: a product's demand by the champion, as a table and as a fan chart; files are left to `forecast_file`.

use dhow_events::{DAY_MICROS, Timestamp};
use dhow_forecast::{DemandModel, SeriesKey, chart};
use dhow_registry::{Alias, Task};

use crate::arguments::{ForecastArguments, ForecastSubject};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::forecast_file;
use crate::model_keys::open_registry;
use crate::output::{json, table};
use crate::platform::require_data_dir;

/// The quantiles that are shown.
const LEVELS: [f64; 5] = [0.05, 0.1, 0.5, 0.9, 0.95];

/// Runs the command.
///
/// # Errors
/// No model, an unknown product, a horizon out of its bounds.
pub fn run(arguments: &ForecastArguments, configuration: &Configuration) -> Result<(), Failure> {
    let product = match &arguments.subject {
        ForecastSubject::File(path) => return forecast_file::run(arguments, path),
        ForecastSubject::Product(product) => *product,
    };
    require_data_dir(configuration)?;
    let registry = open_registry(configuration)?;
    let champion = registry.resolve(&configuration.tenant, Task::Forecast, Alias::Champion)?;
    let model = DemandModel::from_bytes(&registry.load(champion)?.1)?;
    let key = SeriesKey::product(product, arguments.region);
    let forecast = model.forecast(&key, arguments.horizon, &LEVELS).map_err(Failure::input)?;
    if let Some(path) = &arguments.chart {
        std::fs::write(path, chart::svg(&forecast))
            .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
    }
    if arguments.json {
        return json(&forecast);
    }
    let row = |day: &dhow_forecast::DayForecast| {
        let date = Timestamp::from_micros(day.day * DAY_MICROS).to_string();
        let mut row = vec![date.chars().take(10).collect(), format!("{:.1}", day.point)];
        row.extend(day.quantiles.iter().map(|quantile| format!("{quantile:.1}")));
        row
    };
    let rows: Vec<Vec<String>> = forecast.days.iter().map(row).collect();
    println!("{}", table(&["day", "expected", "5 %", "10 %", "50 %", "90 %", "95 %"], &rows, true));
    println!("{}, {} intervals", forecast.method, forecast.interval);
    if let Some(reason) = &forecast.degraded {
        println!("fallback: {reason}");
    }
    Ok(())
}
