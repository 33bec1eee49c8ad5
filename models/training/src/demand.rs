//! Trains demand forecasts: of each product, category and seller and of all, in each region and in all, so that they add up.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::{DAY_MICROS, ProductId, Region, Timestamp};
use dhow_forecast::{
    Backtest, DailySeries, DemandModel, FitSettings, MAX_HORIZON_DAYS, Market, Member, Reconciliation, SeriesKey,
    Subject, backtest_market, backtest_of, judge_stored,
};
use dhow_offline::SqlSession;
use dhow_offline::tables::{CatalogueRow, DemandRow, catalogue, daily_demand};
use dhow_registry::{ModelFormat, Task};

use crate::effects::{measure_effects, told};
use crate::error::trainer;
use crate::evaluate::Judged;
use crate::promotion::{Candidate, Champion, incumbent, register};
use crate::{Evaluation, Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "forecast";
/// How far the model looks ahead.
const HORIZON_DAYS: usize = MAX_HORIZON_DAYS;
/// The days at the end that the figures are of, or a quarter of the history where that is less.
const TEST_DAYS: usize = 28;
/// A product in one region is judged from so many days with a sale on.
const JUDGED_SALE_DAYS_MIN: usize = 20;
/// The season of daily demand.
const SEASON_DAYS: usize = 7;

/// Trains, judges, registers and perhaps promotes the demand model.
///
/// # Errors
/// Nothing was sold, or a failing table or registry.
pub async fn train_demand(input: &TrainingInput<'_>) -> Result<TaskReport, TrainingError> {
    let session = input.sql()?;
    let rows = daily_demand(&session, input.until).await?;
    let members = members(&session, input.until).await?;
    let until_day = input.until.day();
    let demand = Demand::of(&rows, &members, until_day)?;
    let settings = FitSettings { season_days: SEASON_DAYS, horizon_days: HORIZON_DAYS };
    let first_day = demand.first_day;
    let test_days = TEST_DAYS.min((until_day - first_day) as usize / 4).max(1);
    let is_judged = |key: &SeriesKey| demand.is_judged(key);
    let report =
        backtest_market(&demand.series, &demand.market, &settings, test_days, is_judged).map_err(trainer(TASK))?;
    let figures = figures(&report.methods)?;
    let champion = judge_champion(input, &demand, &settings, until_day - test_days as i64, test_days)?;
    let (model, reconciliation) =
        DemandModel::fit_market(&demand.series, &demand.market, &settings).map_err(trainer(TASK))?;
    let effects = measure_effects(&session, &rows, &members, until_day).await?;
    let notes = vec![adding_up(&reconciliation), told(&effects)];
    let model = model.with_effects(effects);
    register(
        input,
        Candidate {
            task: Task::Forecast,
            name: "market".to_owned(),
            format: ModelFormat::Postcard,
            artifact: model.to_bytes().map_err(trainer(TASK))?,
            feature_schema_hash: None,
            data_fingerprint: fingerprint(&rows),
            // Only whole days are learned from.
            training_span: Some((
                Timestamp::from_micros(first_day * DAY_MICROS),
                Timestamp::from_micros(until_day * DAY_MICROS),
            )),
            settings: BTreeMap::from([
                ("season_days".to_owned(), SEASON_DAYS.into()),
                ("horizon_days".to_owned(), HORIZON_DAYS.into()),
            ]),
            training_rows: rows.len() as u64,
            test_rows: report.series_tested as u64,
            figures,
            notes,
            champion,
        },
    )
}

/// The demand of a market up to a day.
struct Demand {
    market: Market,
    series: Vec<DailySeries>,
    first_day: i64,
    /// The products in regions that sell often.
    frequent: BTreeSet<SeriesKey>,
}

impl Demand {
    fn of(rows: &[DemandRow], members: &BTreeMap<ProductId, Member>, until_day: i64) -> Result<Demand, TrainingError> {
        let rows: Vec<&DemandRow> = rows.iter().filter(|row| row.day < until_day).collect();
        let Some(first_day) = rows.iter().map(|row| row.day).min() else {
            return Err(TrainingError::Data { task: TASK, reason: "the lake holds no orders".into() });
        };
        let mut sale_days: BTreeMap<(ProductId, Region), usize> = BTreeMap::new();
        for row in &rows {
            *sale_days.entry((row.product, row.region)).or_default() += 1;
        }
        let market = Market::new(&sale_days.keys().copied().collect(), members).map_err(trainer(TASK))?;
        let days = (until_day - first_day) as usize;
        let sold = rows.iter().map(|row| (row.product, row.region, row.day, row.quantity));
        let series = market.series(sold, first_day, days).map_err(trainer(TASK))?;
        let frequent = sale_days.iter().filter(|(_, days)| **days >= JUDGED_SALE_DAYS_MIN);
        let frequent = frequent.map(|((product, region), _)| SeriesKey::product(*product, Some(*region))).collect();
        Ok(Demand { market, series, first_day, frequent })
    }

    /// Products in all regions, and in those where they sell often. Groups are left out: they would count as series beside the
    /// products that they are made of.
    fn is_judged(&self, key: &SeriesKey) -> bool {
        match (key.subject, key.region) {
            (Subject::Product(_), None) => true,
            (Subject::Product(_), Some(_)) => self.frequent.contains(key),
            _ => false,
        }
    }
}

/// How the forecasts add up, in words.
fn adding_up(told: &Reconciliation) -> String {
    let way = match told.percent {
        0 => "groups are sums of their products".to_owned(),
        percent => format!("products and groups went {percent} % of the way to the nearest that add up"),
    };
    let ([products_alone, products], [groups_alone, groups]) = (told.of_products, told.of_groups);
    match told.days {
        0 => format!("forecasts add up: {way}, as the history is too short to validate another way"),
        days => format!(
            "forecasts add up: {way}; scaled error on the last {days} days: products {products:.3} ({products_alone:.3} alone), groups {groups:.3} ({groups_alone:.3} alone)"
        ),
    }
}

/// The category and the seller of every product, as it was listed.
async fn members(session: &SqlSession, until: Timestamp) -> Result<BTreeMap<ProductId, Member>, TrainingError> {
    let listed = catalogue(session, until).await?;
    let member = |row: CatalogueRow| (row.product, Member { category: Some(row.category), seller: Some(row.seller) });
    Ok(listed.into_iter().map(member).collect())
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
    demand: &Demand,
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
    let judged: Vec<DailySeries> = demand.series.iter().filter(|one| demand.is_judged(&one.key)).cloned().collect();
    let Some(theirs) = judge_stored(&champion, &judged, test_day, test_days).map_err(trainer(TASK))? else {
        return Ok(Champion::Incomparable("it reaches none of the tested days".to_owned()));
    };
    let is_judged = |key: &SeriesKey| theirs.keys.binary_search(key).is_ok();
    let ours =
        backtest_market(&demand.series, &demand.market, settings, test_days, is_judged).map_err(trainer(TASK))?;
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
    let session = input.sql()?;
    let rows = daily_demand(&session, input.until).await?;
    let judged = DemandModel::from_bytes(&model.artifact).map_err(trainer(TASK))?;
    let (first_day, until_day) = (model.learned_until.day(), input.until.day());
    let days = usize::try_from(until_day - first_day).unwrap_or(0).min(judged.settings().horizon_days);
    if days == 0 {
        return Err(model.nothing_since());
    }
    let end_day = first_day + days as i64;
    let demand = Demand::of(&rows, &members(&session, input.until).await?, end_day)?;
    let series: Vec<DailySeries> = demand.series.iter().filter(|one| demand.is_judged(&one.key)).cloned().collect();
    let stored = judge_stored(&judged, &series, first_day, days).map_err(trainer(TASK))?;
    let Some(stored) = stored else { return Err(model.nothing_since()) };
    let is_judged = |key: &SeriesKey| stored.keys.binary_search(key).is_ok();
    let beside = backtest_of(&series, judged.settings(), days, is_judged).map_err(trainer(TASK))?;
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
