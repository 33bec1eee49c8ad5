//! Trains demand forecasts: one series for each product, and for each product and region that sells often enough.

use std::collections::BTreeMap;

use dhow_events::{DAY_MICROS, ProductId, Region, Timestamp};
use dhow_forecast::{Backtest, DailySeries, DemandModel, FitSettings, SeriesKey, backtest};
use dhow_offline::tables::{DemandRow, daily_demand};
use dhow_registry::{ModelFormat, Task};

use crate::error::trainer;
use crate::promotion::{Candidate, Champion, champion_of, register};
use crate::{Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "forecast";
/// How far the model looks ahead.
const HORIZON_DAYS: usize = 90;
/// The days at the end that the figures are of, or a quarter of the history where that is less.
const TEST_DAYS: usize = 28;
/// A product's sales in one region become a series of their own from so many days with a sale.
const REGION_SALE_DAYS_MIN: usize = 20;
/// The season of daily demand.
const SEASON_DAYS: usize = 7;

/// Trains, judges, registers and perhaps promotes the demand model.
///
/// # Errors
/// Nothing was sold, or a failing table or registry.
pub async fn train_demand(input: &TrainingInput<'_>) -> Result<TaskReport, TrainingError> {
    let rows = daily_demand(&input.sql()?, input.until).await?;
    let until_day = input.until.day();
    let series = daily_series(&rows, until_day);
    let (Some(first_day), false) = (series.iter().map(|one| one.first_day).min(), series.is_empty()) else {
        return Err(TrainingError::Data { task: TASK, reason: "the lake holds no orders".into() });
    };
    let settings = FitSettings { season_days: SEASON_DAYS, horizon_days: HORIZON_DAYS };
    let test_days = TEST_DAYS.min((until_day - first_day) as usize / 4).max(1);
    let tested_settings = FitSettings { horizon_days: test_days, ..settings };
    let report = backtest(&series, &tested_settings, test_days).map_err(trainer(TASK))?;
    let figures = figures(&report.methods)?;
    let champion = judge_champion(input, &series, test_days)?;
    let model = DemandModel::fit(&series, &settings).map_err(trainer(TASK))?;
    register(
        input,
        Candidate {
            task: Task::Forecast,
            name: "theta".to_owned(),
            format: ModelFormat::Postcard,
            artifact: model.to_bytes().map_err(trainer(TASK))?,
            feature_schema_hash: None,
            data_fingerprint: fingerprint(&rows),
            training_span: (Timestamp::from_micros(first_day * DAY_MICROS), input.until),
            settings: BTreeMap::from([
                ("season_days".to_owned(), SEASON_DAYS.into()),
                ("horizon_days".to_owned(), HORIZON_DAYS.into()),
            ]),
            training_rows: rows.len() as u64,
            test_rows: report.series_tested as u64,
            figures,
            champion,
        },
    )
}

/// The rows as whole series from each one's first sale to the day before `until_day`, days without a sale being zero.
pub fn daily_series(rows: &[DemandRow], until_day: i64) -> Vec<DailySeries> {
    let mut sold: BTreeMap<(ProductId, Option<Region>), BTreeMap<i64, f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.day < until_day) {
        for region in [None, Some(row.region)] {
            *sold.entry((row.product, region)).or_default().entry(row.day).or_default() += row.quantity;
        }
    }
    let frequent = |(key, days): &(&(ProductId, Option<Region>), &BTreeMap<i64, f64>)| {
        key.1.is_none() || days.len() >= REGION_SALE_DAYS_MIN
    };
    let series = |(key, days): (&(ProductId, Option<Region>), &BTreeMap<i64, f64>)| {
        let first_day = days.keys().next().copied().unwrap_or(until_day);
        let quantities = (first_day..until_day).map(|day| days.get(&day).copied().unwrap_or(0.0)).collect();
        DailySeries { key: SeriesKey { product: key.0, region: key.1 }, first_day, quantities }
    };
    sold.iter().filter(frequent).map(series).collect()
}

/// The model's figures with those of the other methods beside them; the first backtest is the model's.
fn figures(methods: &[Backtest]) -> Result<Vec<Figure>, TrainingError> {
    let Some((model, baselines)) = methods.split_first() else {
        return Err(TrainingError::Data { task: TASK, reason: "no series is long enough to be tested".into() });
    };
    let figure = |name: &str, of: fn(&Backtest) -> Option<f64>| {
        let beside = |figure: Figure, baseline: &Backtest| match of(baseline) {
            Some(value) => figure.beside(&baseline.method, value),
            None => figure,
        };
        of(model).map(|value| baselines.iter().fold(Figure::new(name, value, false), beside))
    };
    let mut figures: Vec<Figure> = [
        figure("MASE", |tested| tested.mase),
        figure("pinball loss, units", |tested| Some(tested.pinball)),
        figure("sMAPE, %", |tested| Some(tested.smape)),
        figure("OWA against Naive2", |tested| tested.owa),
    ]
    .into_iter()
    .flatten()
    .collect();
    figures.push(Figure::new("coverage of the 80 % interval", model.coverage, true).beside("wanted", 0.8));
    Ok(figures)
}

/// The champion's forecasts start where its own history ends, so it can be judged only on days after that.
fn judge_champion(
    input: &TrainingInput<'_>,
    series: &[DailySeries],
    test_days: usize,
) -> Result<Champion, TrainingError> {
    let Some(champion) = champion_of(input, Task::Forecast)? else { return Ok(Champion::Absent) };
    let (_, bytes) = input.registry.load(champion)?;
    let reason = match DemandModel::from_bytes(&bytes) {
        Err(unreadable) => unreadable.to_string(),
        Ok(model) => format!(
            "it has learned from the last {test_days} days, or ends elsewhere ({} series then, {} now)",
            model.keys().len(),
            series.len()
        ),
    };
    Ok(Champion::Incomparable(reason))
}

fn fingerprint(rows: &[DemandRow]) -> String {
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        hasher.update(&row.product.as_u128().to_le_bytes());
        hasher.update(row.region.as_str().as_bytes());
        hasher.update(&row.day.to_le_bytes());
        hasher.update(&row.quantity.to_bits().to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
