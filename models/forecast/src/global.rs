//! One model of boosted trees for all series of a panel, direct by block of the horizon; it makes no intervals.
//!
//! For each block of days ahead a forest is learned with Tweedie loss on the ratio of demand to an expectation (the recent mean
//! times the weekday's index in the region), from origins a week apart: `ŷ = mean · index · exp(F(features))`. Days without
//! stock are missing and not learned from; the windows skip them. A row counts by its series' importance and inversely to
//! `1 + cv²` of its demand, which is the ratio's variance; rows of little weight are drawn with a probability in proportion
//! and then count alike (importance sampling), so that the number of rows is bounded. A new product leans on its peers.
//!
//! Sources: direct forecasts by horizon with trees and Tweedie loss as of M5's winners (Makridakis, Spiliotis and
//! Assimakopoulos 2022; In and Jung 2022).

use crate::global_features::{Context, FEATURES, FIRST_CATEGORY, QUIET_INDEX};
use crate::global_panel::{GlobalError, Panel};
use dhow_trees::{Column, Forest, Kind, Loss, Predictor, RowSampling, Settings, TrainingData, learn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Last day ahead of each block; the last block that is needed ends with the horizon.
const BLOCK_ENDS: [usize; 5] = [7, 14, 28, 56, 90];
/// Days between two origins that are learned from.
const ORIGIN_STRIDE_DAYS: usize = 7;
/// Days of history before the first origin, or half of a shorter history.
const FIRST_ORIGIN: usize = 56;
/// Largest ratio that is learned from: one bulk order must not outweigh all others.
const RATIO_MAX: f64 = 1_000.0;
/// The longest horizon in days.
pub const MAX_GLOBAL_HORIZON: usize = 90;

/// How a global model is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalSettings {
    /// Days ahead, 1 to [`MAX_GLOBAL_HORIZON`].
    pub horizon: usize,
    /// The most origins, latest first, a week apart; at least 1.
    pub origins: usize,
    /// About the most rows of a block's forest, at least 1,000.
    pub rows_most: usize,
    /// How the trees are learned.
    pub trees: Settings,
}

impl GlobalSettings {
    /// Settings for a horizon: 26 origins, 200,000 rows, Tweedie power 1.2, 150 trees of 15 leaves at rate 0.05.
    pub fn new(horizon: usize) -> GlobalSettings {
        let trees = Settings {
            rounds: 150,
            learning_rate: 0.05,
            max_leaves: 15,
            min_child_weight: 40.0,
            l2: 10.0,
            feature_share: 0.7,
            rows: RowSampling::Share(0.8),
            ..Settings::new(Loss::Tweedie { power: 1.2 })
        };
        GlobalSettings { horizon, origins: 26, rows_most: 200_000, trees }
    }
}

/// What one block's forest is learned from, column by column in the order of [`FEATURES`].
#[derive(Debug, Clone, PartialEq)]
pub struct BlockRows {
    /// First and last day ahead.
    pub days_ahead: (usize, usize),
    /// One list of all rows' values per feature; NaN is missing.
    pub columns: Vec<Vec<f64>>,
    /// Demand over its expectation, per row.
    pub ratios: Vec<f64>,
    /// How much a row counts; 1 on average.
    pub weights: Vec<f64>,
}

/// A learned model; it forecasts from the end of any panel with the same meaning of levels, categories and regions.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalModel {
    horizon: usize,
    blocks: Vec<((usize, usize), Forest)>,
}

impl GlobalModel {
    /// Learns from the panel's history. The result depends on the arguments alone.
    ///
    /// # Errors
    /// A panel or setting that is out of range, and a history that holds nothing to learn from.
    pub fn fit(panel: &Panel, settings: &GlobalSettings) -> Result<GlobalModel, GlobalError> {
        let learned = |rows: BlockRows| -> Result<_, GlobalError> {
            let column = |(at, values)| Column { name: FEATURES[at], values, kind: kind(at) };
            let columns: Vec<Column> = rows.columns.iter().map(Vec::as_slice).enumerate().map(column).collect();
            let (labels, weights) = (&rows.ratios[..], Some(&rows.weights[..]));
            let data = TrainingData { columns: &columns, labels, weights, groups: None };
            Ok((rows.days_ahead, learn(&settings.trees, &data, None)?.forest))
        };
        let blocks = training_rows(panel, settings)?.into_iter().map(learned).collect::<Result<_, _>>()?;
        Ok(GlobalModel { horizon: settings.horizon, blocks })
    }

    /// Expected demand of every series on each day of the horizon after the panel's history, at least 0. A series that has
    /// never sold gets its peers' mean with the region's week.
    ///
    /// # Errors
    /// A panel that is out of range.
    pub fn forecast(&self, panel: &Panel) -> Result<Vec<Vec<f64>>, GlobalError> {
        let rows = forecast_rows(panel, self.horizon)?;
        let predictors = self
            .blocks
            .iter()
            .map(|((_, last), forest)| Ok((*last, Predictor::compile(forest)?)))
            .collect::<Result<Vec<_>, GlobalError>>()?;
        let one =
            |days: &Vec<ForecastRow>| days.iter().enumerate().map(|(at, row)| row.value(at + 1, &predictors)).collect();
        rows.par_iter().map(one).collect()
    }
}

/// A day of a series to be forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastRow {
    /// The expectation that the model's ratio multiplies.
    pub expected: f64,
    /// The features, in the order of [`FEATURES`]; none on a quiet weekday and before the first sale, where the expectation is
    /// the forecast.
    pub features: Option<Box<[f64; FEATURES.len()]>>,
}

impl ForecastRow {
    fn value(&self, ahead: usize, predictors: &[(usize, Predictor)]) -> Result<f64, GlobalError> {
        let block = predictors.iter().find(|(last, _)| ahead <= *last);
        match (&self.features, block) {
            (Some(features), Some((_, predictor))) => Ok(self.expected * predictor.predict(&features[..])?),
            _ => Ok(self.expected),
        }
    }
}

fn kind(feature: usize) -> Kind {
    if feature < FIRST_CATEGORY { Kind::Number } else { Kind::Category }
}

/// First and last day ahead of each block of a horizon.
fn blocks(horizon: usize) -> Vec<(usize, usize)> {
    let starts = std::iter::once(1).chain(BLOCK_ENDS.iter().map(|end| end + 1));
    starts
        .zip(BLOCK_ENDS)
        .map(|(first, last)| (first, last.min(horizon)))
        .filter(|(first, last)| first <= last)
        .collect()
}

/// Features of every series and day of the horizon, as [`GlobalModel::forecast`] uses them, for comparisons with other learners.
///
/// # Errors
/// A panel or horizon that is out of range.
pub fn forecast_rows(panel: &Panel, horizon: usize) -> Result<Vec<Vec<ForecastRow>>, GlobalError> {
    check_setting("horizon", horizon, 1, MAX_GLOBAL_HORIZON, "1 to 90")?;
    panel.check(horizon)?;
    let context = Context::new(panel);
    let origin = context.origin(panel.days);
    let of_series = |at: usize| {
        let known = context.known(at, &origin);
        let of_day = |ahead: usize| match &known {
            Some(known) => {
                let mut features = Box::new([0.0; FEATURES.len()]);
                let expected = context.row(known, ahead, &mut features);
                ForecastRow { expected, features: (features[1] >= QUIET_INDEX).then_some(features) }
            }
            None => ForecastRow { expected: context.unseen(at, &origin, ahead), features: None },
        };
        (1..=horizon).map(of_day).collect()
    };
    Ok((0..panel.series.len()).into_par_iter().map(of_series).collect())
}

/// The rows that [`GlobalModel::fit`] learns from, one set per block, for comparisons with other learners.
///
/// # Errors
/// As `GlobalModel::fit`.
pub fn training_rows(panel: &Panel, settings: &GlobalSettings) -> Result<Vec<BlockRows>, GlobalError> {
    check_setting("horizon", settings.horizon, 1, MAX_GLOBAL_HORIZON, "1 to 90")?;
    check_setting("origins", settings.origins, 1, usize::MAX, "at least 1")?;
    check_setting("rows_most", settings.rows_most, 1_000, dhow_trees::MAX_ROWS, "1,000 to 67,108,864")?;
    panel.check(settings.horizon)?;
    let context = Context::new(panel);
    blocks(settings.horizon).into_iter().map(|block| rows_of_block(panel, settings, &context, block)).collect()
}

/// One day of one series as of one origin.
struct Draw {
    series: usize,
    ahead: usize,
    weight: f64,
}

fn rows_of_block(
    panel: &Panel,
    settings: &GlobalSettings,
    context: &Context,
    (first, last): (usize, usize),
) -> Result<BlockRows, GlobalError> {
    let first_origin = FIRST_ORIGIN.min(panel.days / 2);
    let needed = 2 * last;
    let latest = panel.days.checked_sub(last).filter(|latest| *latest >= first_origin.max(1));
    let latest = latest.ok_or(GlobalError::TooShort { days: panel.days, needed })?;
    let origins: Vec<usize> =
        (first_origin..=latest).rev().step_by(ORIGIN_STRIDE_DAYS).take(settings.origins).collect();
    let share = settings.rows_most as f64 / origins.len() as f64;
    let of_origin = |day: &usize| {
        let origin = context.origin(*day);
        let mut rng = ChaCha8Rng::seed_from_u64(settings.trees.seed ^ ((*day as u64) << 8) ^ last as u64);
        let known: Vec<_> = (0..panel.series.len()).map(|at| context.known(at, &origin)).collect();
        let weight = |at: usize| {
            let known = known[at].as_ref()?;
            Some(panel.series[at].importance / (1.0 + known.variation))
        };
        let weights: Vec<f64> = (0..known.len()).map(|at| weight(at).unwrap_or(0.0)).collect();
        let draws = drawn(&weights, share, (first, last), &mut rng);
        let row = |draw: Draw| {
            let known = known[draw.series].as_ref()?;
            let demand = panel.series[draw.series].demand[day + draw.ahead - 1];
            let mut row = [0.0; FEATURES.len()];
            let expected = context.row(known, draw.ahead, &mut row);
            (!demand.is_nan() && row[1] >= QUIET_INDEX).then(|| (row, (demand / expected).min(RATIO_MAX), draw.weight))
        };
        draws.into_iter().filter_map(row).collect::<Vec<_>>()
    };
    let rows: Vec<_> = origins.par_iter().flat_map_iter(of_origin).collect();
    if rows.is_empty() {
        return Err(GlobalError::TooShort { days: panel.days, needed });
    }
    let mean_weight = rows.iter().map(|(_, _, weight)| weight).sum::<f64>() / rows.len() as f64;
    let column = |at: usize| rows.iter().map(|(row, _, _)| row[at]).collect();
    Ok(BlockRows {
        days_ahead: (first, last),
        columns: (0..FEATURES.len()).map(column).collect(),
        ratios: rows.iter().map(|(_, ratio, _)| *ratio).collect(),
        weights: rows.iter().map(|(_, _, weight)| weight / mean_weight).collect(),
    })
}

/// About `count` days: each series is drawn with a probability in proportion to its weight, at most once per day of the block;
/// a row's weight is its series' over the expected number of its rows.
fn drawn(weights: &[f64], count: f64, (first, last): (usize, usize), rng: &mut ChaCha8Rng) -> Vec<Draw> {
    let total: f64 = weights.iter().sum();
    let days = (last - first + 1) as f64;
    let mut draws = Vec::new();
    for (series, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        let expected = (count * weight / total).min(days);
        let probability = expected / days;
        for ahead in first..=last {
            if rng.random::<f64>() < probability {
                draws.push(Draw { series, ahead, weight: weight / expected });
            }
        }
    }
    draws
}

fn check_setting(
    name: &'static str,
    found: usize,
    least: usize,
    most: usize,
    range: &'static str,
) -> Result<(), GlobalError> {
    if (least..=most).contains(&found) { Ok(()) } else { Err(GlobalError::Setting { name, found, range }) }
}
