//! Trains demand forecasts: one series for each product, and for each product and region that sells often enough.

use std::collections::BTreeMap;

use dhow_events::{DAY_MICROS, ProductId, Region, Timestamp};
use dhow_forecast::{
    Backtest, DailySeries, DemandModel, FitSettings, MAX_HORIZON_DAYS, SeriesKey, backtest, backtest_of, judge_stored,
};
use dhow_offline::tables::{DemandRow, daily_demand};
use dhow_registry::{ModelFormat, Task};

use crate::error::trainer;
use crate::evaluate::Judged;
use crate::promotion::{Candidate, Champion, incumbent, register};
use crate::{Evaluation, Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "forecast";
/// How far the model looks ahead.
const HORIZON_DAYS: usize = MAX_HORIZON_DAYS;
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
    let report = backtest(&series, &settings, test_days).map_err(trainer(TASK))?;
    let figures = figures(&report.methods)?;
    let champion = judge_champion(input, &series, &settings, until_day - test_days as i64, test_days)?;
    let model = DemandModel::fit(&series, &settings).map_err(trainer(TASK))?;
    register(
        input,
        Candidate {
            task: Task::Forecast,
            name: "statistical".to_owned(),
            format: ModelFormat::Postcard,
            artifact: model.to_bytes().map_err(trainer(TASK))?,
            feature_schema_hash: None,
            data_fingerprint: fingerprint(&rows),
            // Only whole days are learned from.
            training_span: (
                Timestamp::from_micros(first_day * DAY_MICROS),
                Timestamp::from_micros(until_day * DAY_MICROS),
            ),
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
    // Quantiles are what stock is planned by, so their loss decides. MASE is shown because it is usual, but where most
    // days are without a sale it is least for a forecast of nothing.
    let mut figures: Vec<Figure> = [
        figure(DECIDING, deciding),
        figure("RMSSE", |tested| tested.rmsse),
        figure("MASE", |tested| tested.mase),
        figure("pinball loss, units", |tested| Some(tested.pinball)),
    ]
    .into_iter()
    .flatten()
    .collect();
    // Where the lower quantile is zero nothing can lie below it, so the interval covers more; days above the upper
    // quantile tell whether it is right.
    figures.push(Figure::new("coverage of the 80 % interval", model.coverage, true).beside("wanted", 0.8));
    figures.push(Figure::new("share of days above the 90 % quantile", model.exceeded, false).beside("wanted", 0.1));
    Ok(figures)
}

/// The measure that decides promotions.
const DECIDING: &str = "scaled pinball loss";

fn deciding(tested: &Backtest) -> Option<f64> {
    tested.scaled_pinball
}

/// Both are judged on the series that the champion knows.
fn judge_champion(
    input: &TrainingInput<'_>,
    series: &[DailySeries],
    settings: &FitSettings,
    test_day: i64,
    test_days: usize,
) -> Result<Champion, TrainingError> {
    let bytes = match incumbent(input, Task::Forecast, Timestamp::from_micros(test_day * DAY_MICROS))? {
        Ok(bytes) => bytes,
        Err(champion) => return Ok(champion),
    };
    let champion = match DemandModel::from_bytes(&bytes) {
        Ok(champion) => champion,
        Err(unreadable) => return Ok(Champion::Incomparable(unreadable.to_string())),
    };
    let Some(theirs) = judge_stored(&champion, series, test_day, test_days).map_err(trainer(TASK))? else {
        return Ok(Champion::Incomparable("it reaches none of the tested days".to_owned()));
    };
    let is_judged = |key: &SeriesKey| theirs.keys.binary_search(key).is_ok();
    let ours = backtest_of(series, settings, test_days, is_judged).map_err(trainer(TASK))?;
    match (deciding(&theirs.figures), ours.methods.first().and_then(deciding)) {
        (Some(theirs), Some(ours)) => Ok(Champion::Judged { theirs, ours }),
        _ => Ok(Champion::Incomparable("no series that it knows varies".to_owned())),
    }
}

/// Judges a demand model on the days since its history ended, at most as many as it looks ahead.
///
/// # Errors
/// No whole day since, an artifact that is no demand model, or a failing table.
pub(crate) async fn evaluate_demand(input: &TrainingInput<'_>, model: &Judged) -> Result<Evaluation, TrainingError> {
    let rows = daily_demand(&input.sql()?, input.until).await?;
    let demand = DemandModel::from_bytes(&model.artifact).map_err(trainer(TASK))?;
    let (first_day, until_day) = (model.learned_until.day(), input.until.day());
    let days = usize::try_from(until_day - first_day).unwrap_or(0).min(demand.settings().horizon_days);
    if days == 0 {
        return Err(model.nothing_since());
    }
    let end_day = first_day + days as i64;
    let series = daily_series(&rows, end_day);
    let stored = judge_stored(&demand, &series, first_day, days).map_err(trainer(TASK))?;
    let Some(stored) = stored else { return Err(model.nothing_since()) };
    let is_judged = |key: &SeriesKey| stored.keys.binary_search(key).is_ok();
    let beside = backtest_of(&series, demand.settings(), days, is_judged).map_err(trainer(TASK))?;
    let methods: Vec<Backtest> = std::iter::once(stored.figures).chain(beside.methods.into_iter().skip(1)).collect();
    Ok(model.evaluation(input, stored.keys.len(), figures(&methods)?))
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
