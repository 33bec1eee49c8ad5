//! The quantiles of one moment: features as of the moment, a forest for each level, shifts by region; stages are joined elsewhere.

use crate::history::{FEATURES, History, check_delivery, is_category};
use crate::judge::{Judged, StageQuality, judge};
use crate::{Delivery, DeliveryError, LEVELS};
use dhow_events::{MINUTE_MICROS, Region, Timestamp};
use dhow_trees::{Column, Forest, Kind, Loss, Predictor, Settings, TrainingData, learn};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The fewest deliveries to learn from.
const DELIVERIES_MIN: usize = 200;
/// The most rows that a forest is learned from: the latest ones.
const ROWS_MOST: usize = 40_000;
/// Trees of a forest, their leaves, and what their values are multiplied by.
const ROUNDS: usize = 60;
const LEAVES: usize = 15;
const LEARNING_RATE: f64 = 0.15;
/// The least rows of a leaf: a quantile of fewer is luck.
const LEAF_ROWS_MIN: f64 = 50.0;
/// Shares of the deliveries, by time: the latest are judged, and those before them calibrate.
const JUDGED_SHARE: f64 = 0.15;
const CALIBRATED_SHARE: f64 = 0.15;
/// Deliveries everywhere that a region's shift is shrunk by.
const PRIOR_DELIVERIES: f64 = 200.0;
/// The share of parcels that have arrived so long after leaving; younger ones are not learned from, as only the fast of them
/// have arrived.
const MATURE: f64 = 0.99;

/// What the trees learn from, in the order of the moments.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTable {
    /// One row of [`FEATURES`] for each delivery.
    pub rows: Vec<[f64; FEATURES.len()]>,
    /// The logarithm of the minutes that the labels are relative to.
    pub bases: Vec<f64>,
    /// The logarithm of the minutes less the base.
    pub labels: Vec<f64>,
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
}

/// The features of every delivery from what had arrived before its moment.
///
/// # Errors
/// A delivery that cannot be.
pub fn feature_table(deliveries: &[Delivery]) -> Result<FeatureTable, DeliveryError> {
    deliveries.iter().try_for_each(check_delivery)?;
    let mut asked = deliveries.to_vec();
    asked.sort_by_key(|one| (one.parcel.at, one.delivered_at(), one.parcel.seller));
    let mut arrived: Vec<&Delivery> = asked.iter().collect();
    arrived.sort_by_key(|one| one.delivered_at());
    let (mut history, mut next) = (History::default(), 0);
    let (mut rows, mut bases) = (Vec::with_capacity(asked.len()), Vec::with_capacity(asked.len()));
    for one in &asked {
        while let Some(known) = arrived.get(next).filter(|known| known.delivered_at() <= one.parcel.at) {
            history.observe(known);
            next += 1;
        }
        let (features, base) = history.features(&one.parcel);
        rows.push(features);
        bases.push(base);
    }
    let labels = asked.iter().zip(&bases).map(|(one, base)| one.minutes.ln() - base).collect();
    Ok(FeatureTable { rows, bases, labels, deliveries: asked })
}

/// How far the quantiles are moved, as logarithms: everywhere, and in the regions that have deliveries of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Shifts {
    everywhere: [f64; LEVELS.len()],
    regions: BTreeMap<Region, [f64; LEVELS.len()]>,
}

impl Shifts {
    fn of(&self, region: Region) -> [f64; LEVELS.len()] {
        self.regions.get(&region).copied().unwrap_or(self.everywhere)
    }
}

/// What is stored of one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageModel {
    pub history: History,
    forests: Vec<Forest>,
    shifts: Shifts,
    /// The quantiles of the labels, for the means without trees.
    label_quantiles: [f64; LEVELS.len()],
}

/// The latest deliveries that were judged, and where they begin.
pub(crate) struct Tested {
    pub quality: StageQuality,
    pub from: Timestamp,
}

impl StageModel {
    /// How the model does on parcels that it has not learned from.
    pub fn judge(&self, deliveries: &[Delivery]) -> Result<StageQuality, DeliveryError> {
        let quantiles = Quantiles::compile(self)?;
        let judged = |one: &Delivery| {
            check_delivery(one)?;
            let (features, base) = self.history.features(&one.parcel);
            quantiles.judged(one, &features, base, &self.label_quantiles)
        };
        Ok(judge(&deliveries.iter().map(judged).collect::<Result<Vec<_>, _>>()?))
    }
}

/// The forests, ready to be asked.
pub(crate) struct Quantiles {
    predictors: Vec<Predictor>,
    shifts: Shifts,
}

impl Quantiles {
    pub fn compile(stage: &StageModel) -> Result<Quantiles, DeliveryError> {
        if stage.forests.len() != LEVELS.len() || stage.forests.iter().any(|one| one.features.len() != FEATURES.len()) {
            return Err(DeliveryError::Corrupt { message: "it lacks a forest or a feature".to_owned() });
        }
        let predictors = stage.forests.iter().map(Predictor::compile).collect::<Result<_, _>>()?;
        Ok(Quantiles { predictors, shifts: stage.shifts.clone() })
    }

    /// The quantiles of the minutes, none below the one before.
    pub fn minutes(
        &self,
        features: &[f64; FEATURES.len()],
        base: f64,
        destination: Region,
    ) -> Result<[f64; LEVELS.len()], DeliveryError> {
        let mut logs = [0.0; LEVELS.len()];
        let shifts = self.shifts.of(destination);
        for ((log, predictor), shift) in logs.iter_mut().zip(&self.predictors).zip(shifts) {
            *log = base + predictor.predict(features)? + shift;
        }
        logs.sort_by(f64::total_cmp);
        Ok(logs.map(f64::exp))
    }

    fn judged(
        &self,
        delivery: &Delivery,
        features: &[f64; FEATURES.len()],
        base: f64,
        label_quantiles: &[f64; LEVELS.len()],
    ) -> Result<Judged, DeliveryError> {
        let destination = delivery.parcel.destination;
        let quantiles = self.minutes(features, base, destination)?;
        let of_means = label_quantiles.map(|label| (base + label).exp());
        Ok(Judged { destination, minutes: delivery.minutes, quantiles, of_means })
    }
}

/// What is learned of the deliveries that are known at `until`, and how it did on the latest of them before they were learned from.
pub(crate) fn learn_stage(
    deliveries: &[Delivery],
    until: Timestamp,
    seed: u64,
) -> Result<(StageModel, Tested), DeliveryError> {
    let table = feature_table(deliveries)?;
    let Split { fitted, calibrated, mature } = table.split(until);
    if mature < DELIVERIES_MIN {
        return Err(DeliveryError::TooFew { found: mature, needed: DELIVERIES_MIN });
    }
    let forests = fit(&table, 0..fitted, seed)?;
    let earlier = Quantiles::calibrated(&table, &forests, fitted..calibrated)?;
    let labels = |end: usize| LEVELS.map(|level| quantile(table.labels[..end].to_vec(), level));
    let of_means = labels(fitted);
    let judged = |row: usize| earlier.judged(&table.deliveries[row], &table.rows[row], table.bases[row], &of_means);
    let judged = (calibrated..mature).map(judged).collect::<Result<Vec<_>, _>>()?;
    let tested = Tested { quality: judge(&judged), from: table.deliveries[calibrated].parcel.at };
    let forests = fit(&table, 0..calibrated, seed)?;
    let shifts = Quantiles::calibrated(&table, &forests, calibrated..mature)?.shifts;
    let mut known: Vec<&Delivery> = table.deliveries.iter().filter(|one| one.delivered_at() <= until).collect();
    known.sort_by_key(|one| one.delivered_at());
    let mut history = History::default();
    known.into_iter().for_each(|one| history.observe(one));
    Ok((StageModel { history, forests, shifts, label_quantiles: labels(calibrated) }, tested))
}

impl Quantiles {
    /// The forests with shifts from a range of rows.
    fn calibrated(table: &FeatureTable, forests: &[Forest], range: Range<usize>) -> Result<Quantiles, DeliveryError> {
        let predictors = forests.iter().map(Predictor::compile).collect::<Result<Vec<_>, _>>()?;
        let mut errors: BTreeMap<Region, Vec<[f64; LEVELS.len()]>> = BTreeMap::new();
        for row in range {
            let mut of_row = [0.0; LEVELS.len()];
            for (error, predictor) in of_row.iter_mut().zip(&predictors) {
                *error = table.labels[row] - predictor.predict(&table.rows[row])?;
            }
            errors.entry(table.deliveries[row].parcel.destination).or_default().push(of_row);
        }
        let shift = |rows: &[[f64; LEVELS.len()]]| {
            [0, 1, 2].map(|at| quantile(rows.iter().map(|row| row[at]).collect(), LEVELS[at]))
        };
        let all: Vec<[f64; LEVELS.len()]> = errors.values().flatten().copied().collect();
        let everywhere = shift(&all);
        let of_region = |(region, rows): (&Region, &Vec<[f64; LEVELS.len()]>)| {
            let (own, weight) = (shift(rows), rows.len() as f64 / (rows.len() as f64 + PRIOR_DELIVERIES));
            (*region, [0, 1, 2].map(|at| everywhere[at] + weight * (own[at] - everywhere[at])))
        };
        let regions = errors.iter().map(of_region).collect();
        Ok(Quantiles { predictors, shifts: Shifts { everywhere, regions } })
    }
}

/// Where the rows of a table are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// The rows before this one are learned from.
    pub fitted: usize,
    /// Those from there to before this one calibrate.
    pub calibrated: usize,
    /// Those from there to before this one are judged; later ones are too young, as only the fast of them have arrived.
    pub mature: usize,
}

impl FeatureTable {
    /// The parts by time, as they are known at `until`.
    pub fn split(&self, until: Timestamp) -> Split {
        let half = self.deliveries.len().div_ceil(2);
        let age = quantile(self.deliveries[..half].iter().map(|one| one.minutes).collect(), MATURE);
        let youngest = until.micros().saturating_sub((age * MINUTE_MICROS as f64) as i64);
        let mature = self.deliveries.partition_point(|one| one.parcel.at.micros() < youngest);
        let part = |share: f64| (mature as f64 * share) as usize;
        let (fitted, calibrated) = (part(1.0 - JUDGED_SHARE - CALIBRATED_SHARE), part(1.0 - JUDGED_SHARE));
        Split { fitted, calibrated, mature }
    }
}

/// A forest for each level, from the latest rows of a range.
fn fit(table: &FeatureTable, range: Range<usize>, seed: u64) -> Result<Vec<Forest>, DeliveryError> {
    let range = range.start.max(range.end.saturating_sub(ROWS_MOST))..range.end;
    let values: Vec<Vec<f64>> =
        (0..FEATURES.len()).map(|at| table.rows[range.clone()].iter().map(|row| row[at]).collect()).collect();
    let kind = |name: &str| if is_category(name) { Kind::Category } else { Kind::Number };
    let columns: Vec<Column> =
        FEATURES.iter().zip(&values).map(|(name, values)| Column { name, values, kind: kind(name) }).collect();
    let labels = &table.labels[range];
    let data = TrainingData { columns: &columns, labels, weights: None, groups: None };
    let of_level = |alpha: &f64| {
        let settings = Settings {
            rounds: ROUNDS,
            learning_rate: LEARNING_RATE,
            max_leaves: LEAVES,
            min_child_weight: LEAF_ROWS_MIN,
            seed,
            ..Settings::new(Loss::Quantile { alpha: *alpha })
        };
        Ok(learn(&settings, &data, None)?.forest)
    };
    LEVELS.par_iter().map(of_level).collect()
}

/// The value of rank `level · (n + 1)`, or the nearest; zero of none.
fn quantile(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (level * (values.len() + 1) as f64).round() as usize;
    values.get(rank.saturating_sub(1).min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
