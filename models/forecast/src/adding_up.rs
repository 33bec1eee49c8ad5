//! One model of a marketplace: each series' own method and the trees over all series, weighed on validation, made to add up.
//!
//! Each series' own method (see `fitting`) forecasts the last validated days from the days before, and so does a global model
//! learned on these. Per level (products, categories, sellers or all, in a region or in all) the weight of the global model is
//! the one of `WEIGHTS` with the least mean scaled squared error; a series too short to be validated takes the trees' forecast,
//! which leans on similar series. Beyond the days that trees can be learned for, a series' own method goes on at the level where
//! the combination ends. The combined forecasts are reconciled day by day with the variances of their errors on the validated
//! days, none negative.

use crate::demand::{DailySeries, DemandError, FitSettings, SeriesKey};
use crate::fitting::{Fitted, Validation, fit_all};
use crate::global::{GlobalModel, GlobalSettings};
use crate::global_panel::{GlobalError, Panel, PanelSeries};
use crate::market::{Market, Subject};
use dhow_events::{Category, Region};
use dhow_hierarchy::{Reconciler, Weights};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Weights of the global model that are validated.
const WEIGHTS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Rows and trees of a block of the global model: a few seconds for a hundred thousand sales.
const ROWS_MOST: usize = 40_000;
const ROUNDS: usize = 60;
const LEARNING_RATE: f64 = 0.1;
/// Added to variances in squared units, so that none is zero.
const LEAST_VARIANCE: f64 = 1e-3;

/// Fits every series so that their forecasts add up along the market. Series that are not the market's are refused; a node
/// without a series counts as without demand.
pub(crate) fn fit_market(
    series: &[&DailySeries],
    market: &Market,
    settings: &FitSettings,
) -> Result<Vec<Fitted>, DemandError> {
    let (mut fitted, validations) = fit_all(series, settings)?;
    let table = Table::new(series, market)?;
    let mut errors: Vec<Option<f64>> = validations.iter().map(|one| one.as_ref().map(Validation::own_error)).collect();
    if let Some(validated) = validations.iter().flatten().map(|one| one.actual.len()).next() {
        let before = table.panel(table.days.saturating_sub(validated));
        if let Some(trees) = forecast_by_trees(&before, validated)? {
            let weights = table.weights(&validations, &trees);
            table.blend_errors(&validations, &trees, &weights, &mut errors);
            let panel = table.panel(table.days);
            let reach = settings.horizon_days.min(panel.days / 2);
            if let Some(trees) = forecast_by_trees(&panel, reach)? {
                for (at, (fitted, validation)) in fitted.iter_mut().zip(&validations).enumerate() {
                    let level = weights.get(&table.levels[at]).copied().unwrap_or(0.0);
                    let weight = if validation.is_some() { level } else { 1.0 };
                    fitted.combine(&trees[at], weight);
                }
            }
        }
    }
    reconcile(&mut fitted, &errors, series, market, settings)?;
    Ok(fitted)
}

/// The global model's forecasts; none where the history is too short to learn from, so that series keep their own methods.
fn forecast_by_trees(panel: &Panel, horizon: usize) -> Result<Option<Vec<Vec<f64>>>, DemandError> {
    if horizon == 0 || panel.days < 2 * horizon {
        return Ok(None);
    }
    let mut settings = GlobalSettings { rows_most: ROWS_MOST, ..GlobalSettings::new(horizon) };
    (settings.trees.rounds, settings.trees.learning_rate) = (ROUNDS, LEARNING_RATE);
    match GlobalModel::fit(panel, &settings) {
        Ok(model) => Ok(Some(model.forecast(panel)?)),
        Err(GlobalError::TooShort { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Every series over the same days, with what it is of as numbers.
struct Table<'a> {
    first_day: i64,
    days: usize,
    series: &'a [&'a DailySeries],
    levels: Vec<u32>,
    categories: Vec<u32>,
    regions: Vec<u32>,
}

impl<'a> Table<'a> {
    fn new(series: &'a [&'a DailySeries], market: &Market) -> Result<Table<'a>, DemandError> {
        let first_day = series.iter().map(|one| one.first_day).min().unwrap_or(0);
        let end = |one: &&DailySeries| one.first_day.saturating_add(one.quantities.len() as i64);
        let last_day = series.iter().map(end).max().unwrap_or(0);
        let days = usize::try_from(last_day - first_day).unwrap_or(0);
        if let Some(other) = series.iter().find(|one| end(one) != last_day) {
            return Err(DemandError::Uneven { key: Box::new(other.key), ends: end(other), last_day });
        }
        let mut categories: BTreeMap<Option<Category>, u32> = BTreeMap::new();
        let mut regions: BTreeMap<Option<Region>, u32> = BTreeMap::new();
        let (mut of_category, mut of_region) = (Vec::new(), Vec::new());
        for one in series {
            let category = match one.key.subject {
                Subject::Product(product) => market.members.get(&product).and_then(|member| member.category),
                Subject::Category(category) => Some(category),
                Subject::Seller(_) | Subject::All => None,
            };
            let next = categories.len() as u32;
            of_category.push(*categories.entry(category).or_insert(next));
            let next = regions.len() as u32;
            of_region.push(*regions.entry(one.key.region).or_insert(next));
        }
        let levels = series.iter().map(|one| level(&one.key)).collect();
        Ok(Table { first_day, days, series, levels, categories: of_category, regions: of_region })
    }

    /// The first `days` of all series; days before a series' first demand are without.
    fn panel(&self, days: usize) -> Panel {
        let of_series = |(at, one): (usize, &&DailySeries)| {
            let before = usize::try_from(one.first_day - self.first_day).unwrap_or(0);
            let mut demand = vec![0.0; before.min(days)];
            demand.extend(one.quantities.iter().take(days - demand.len()));
            PanelSeries {
                level: self.levels[at],
                category: self.categories[at],
                region: self.regions[at],
                importance: 1.0,
                demand,
                price: Vec::new(),
                promotion: Vec::new(),
            }
        };
        let series = self.series.iter().enumerate().map(of_series).collect();
        Panel { first_day: self.first_day, days, series, events: Vec::new() }
    }

    /// Per level, the weight of the trees with the least mean scaled squared error.
    fn weights(&self, validations: &[Option<Validation>], trees: &[Vec<f64>]) -> BTreeMap<u32, f64> {
        let mut losses: BTreeMap<u32, [f64; WEIGHTS.len()]> = BTreeMap::new();
        for ((level, validation), trees) in self.levels.iter().zip(validations).zip(trees) {
            let Some((validation, scale)) = validation.as_ref().and_then(|one| Some((one, one.scale?))) else {
                continue;
            };
            let sums = losses.entry(*level).or_default();
            for (sum, weight) in sums.iter_mut().zip(WEIGHTS) {
                *sum += (validation.error(trees, weight) / scale).sqrt();
            }
        }
        let least = |sums: [f64; WEIGHTS.len()]| {
            let best = (0..WEIGHTS.len()).min_by(|a, b| sums[*a].total_cmp(&sums[*b]));
            best.map_or(0.0, |best| WEIGHTS[best])
        };
        losses.into_iter().map(|(level, sums)| (level, least(sums))).collect()
    }

    fn blend_errors(
        &self,
        validations: &[Option<Validation>],
        trees: &[Vec<f64>],
        weights: &BTreeMap<u32, f64>,
        errors: &mut [Option<f64>],
    ) {
        for (at, error) in errors.iter_mut().enumerate() {
            let weight = weights.get(&self.levels[at]).copied().unwrap_or(0.0);
            *error = validations[at].as_ref().map(|one| one.error(&trees[at], weight));
        }
    }
}

/// The number of a series' kind.
fn level(key: &SeriesKey) -> u32 {
    let subject = match key.subject {
        Subject::Product(_) => 0,
        Subject::Seller(_) => 1,
        Subject::Category(_) => 2,
        Subject::All => 3,
    };
    2 * subject + u32::from(key.region.is_none())
}

/// Replaces the points by the nearest ones that add up.
fn reconcile(
    fitted: &mut [Fitted],
    errors: &[Option<f64>],
    series: &[&DailySeries],
    market: &Market,
    settings: &FitSettings,
) -> Result<(), DemandError> {
    let place: FxHashMap<SeriesKey, usize> = fitted.iter().enumerate().map(|(at, one)| (one.key, at)).collect();
    let places: Vec<Option<usize>> = market.keys.iter().map(|key| place.get(key).copied()).collect();
    if places.iter().flatten().count() != fitted.len() {
        let known: FxHashSet<&SeriesKey> = market.keys.iter().collect();
        let other = fitted.iter().find(|one| !known.contains(&one.key));
        return other.map_or(Ok(()), |other| Err(DemandError::Unknown { key: Box::new(other.key) }));
    }
    let variance = |at: &Option<usize>| {
        let of_series = at.map_or(0.0, |at| variance(series[at], errors[at]));
        of_series + LEAST_VARIANCE
    };
    let variances: Vec<f64> = places.iter().map(variance).collect();
    let reconciler = Reconciler::new(&market.hierarchy, &Weights::Variances(&variances))?;
    let of_step = |step: usize| places.iter().map(|at| at.map_or(0.0, |at| fitted[at].points[step])).collect();
    let steps: Vec<Vec<f64>> = (0..settings.horizon_days).into_par_iter().map(of_step).collect();
    let coherent = reconciler.reconcile_steps(&steps, true)?;
    for (node, at) in places.iter().enumerate() {
        if let Some(at) = at {
            let points = coherent.iter().map(|step| step[node]).collect();
            fitted[*at].reconcile(points);
        }
    }
    Ok(())
}

/// The mean of the squared errors on the validated days and of half the squared one-day differences, whichever are there.
fn variance(series: &DailySeries, error: Option<f64>) -> f64 {
    let steps = series.quantities.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
    let change = steps.sum::<f64>() / (2 * series.quantities.len().saturating_sub(1).max(1)) as f64;
    error.map_or(change, |error| (error + change) / 2.0)
}
