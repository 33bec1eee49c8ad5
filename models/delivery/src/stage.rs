//! The quantiles of one moment: features as of the moment, a forest for each level, shifts by region that follow deliveries; stages are joined
//! elsewhere.

use crate::history::{FEATURES, History, check_delivery, is_category};
use crate::judge::{Judged, StageQuality, judge};
use crate::{Delivery, DeliveryError, LEVELS, Parcel};
use dhow_events::{MINUTE_MICROS, Region, Timestamp};
use dhow_trees::{Column, Forest, Kind, Loss, Predictor, Settings, TrainingData, learn};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The fewest deliveries to learn from.
const DELIVERIES_MIN: usize = 200;
/// The most rows that a forest is learned from: the latest ones.
const ROWS_MOST: usize = 100_000;
/// Trees of a forest, their leaves, and what their values are multiplied by.
const ROUNDS: usize = 200;
const LEAVES: usize = 31;
const LEARNING_RATE: f64 = 0.05;
/// The least rows of a leaf: a quantile of fewer is luck.
const LEAF_ROWS_MIN: f64 = 50.0;
/// Shares of the deliveries, by time: the latest are judged, and those before them calibrate.
const JUDGED_SHARE: f64 = 0.15;
const CALIBRATED_SHARE: f64 = 0.15;
/// Deliveries everywhere that a region's shift is shrunk by.
const PRIOR_DELIVERIES: f64 = 200.0;
/// How far one delivery moves the shifts of its region, in logarithms of minutes.
const FOLLOWING: f64 = 0.005;
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

    /// Follows a delivery whose logarithm came out so far above each quantile without shifts (Gibbs and Candès 2021: whatever
    /// the errors do, the share below comes to the level in the long run).
    fn follow(&mut self, region: Region, errors: &[f64; LEVELS.len()]) {
        let everywhere = self.everywhere;
        for shifts in [&mut self.everywhere, self.regions.entry(region).or_insert(everywhere)] {
            for ((shift, error), level) in shifts.iter_mut().zip(errors).zip(LEVELS) {
                *shift += FOLLOWING * (level - f64::from(u8::from(error <= shift)));
            }
        }
    }
}

/// What goes on with each delivery: the means, and how far the quantiles are moved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Following {
    pub history: History,
    shifts: Shifts,
}

impl Following {
    /// The quantiles of the minutes of a parcel, none below the one before.
    pub fn minutes(&self, forests: &Forests, parcel: &Parcel) -> Result<[f64; LEVELS.len()], DeliveryError> {
        let (features, base) = self.history.features(parcel);
        Ok(moved(&forests.logs(&features, base)?, &self.shifts.of(parcel.destination)))
    }

    /// Takes a delivery in.
    pub fn observe(&mut self, forests: &Forests, delivery: &Delivery) -> Result<(), DeliveryError> {
        let (features, base) = self.history.features(&delivery.parcel);
        let log = delivery.minutes.ln();
        let errors = forests.logs(&features, base)?.map(|quantile| log - quantile);
        self.shifts.follow(delivery.parcel.destination, &errors);
        self.history.observe(delivery);
        Ok(())
    }
}

/// What is stored of one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageModel {
    history: History,
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
    /// What goes on from where it was learned.
    pub fn following(&self) -> Following {
        Following { history: self.history.clone(), shifts: self.shifts.clone() }
    }

    /// How the model does on parcels of the moments from `from` on, in their order, that it has not learned from. What arrives
    /// from then on is followed as it is when they are served, and so are parcels of before that were under way: without
    /// them the first to arrive would be the fast ones alone.
    pub fn judge(&self, deliveries: &[Delivery], from: Timestamp) -> Result<StageQuality, DeliveryError> {
        deliveries.iter().try_for_each(check_delivery)?;
        let forests = Forests::compile(self)?;
        let mut following = self.following();
        let mut judged = Vec::with_capacity(deliveries.len());
        in_order(deliveries, from, |step| {
            match step {
                Step::Asked(one) => {
                    let (_, base) = following.history.features(&one.parcel);
                    let quantiles = following.minutes(&forests, &one.parcel)?;
                    judged.push(self.beside_means(one, quantiles, base));
                }
                Step::Arrived(one) => following.observe(&forests, one)?,
            }
            Ok(())
        })?;
        Ok(judge(&judged))
    }

    fn beside_means(&self, one: &Delivery, quantiles: [f64; LEVELS.len()], base: f64) -> Judged {
        let of_means = self.label_quantiles.map(|label| (base + label).exp());
        Judged { destination: one.parcel.destination, minutes: one.minutes, quantiles, of_means }
    }
}

/// A parcel in the course of time.
enum Step<'a> {
    /// It is asked about.
    Asked(&'a Delivery),
    /// It arrived.
    Arrived(&'a Delivery),
}

/// Goes through moments and arrivals from `from` on in the order of time; of what happens at once arrivals come first.
fn in_order<'a>(
    deliveries: &'a [Delivery],
    from: Timestamp,
    mut take: impl FnMut(Step<'a>) -> Result<(), DeliveryError>,
) -> Result<(), DeliveryError> {
    let mut asked: Vec<&Delivery> = deliveries.iter().filter(|one| one.parcel.at >= from).collect();
    asked.sort_by_key(|one| (one.parcel.at, one.delivered_at(), one.parcel.seller));
    let mut arrived: Vec<&Delivery> = deliveries.iter().filter(|one| one.delivered_at() > from).collect();
    arrived.sort_by_key(|one| (one.delivered_at(), one.parcel.at, one.parcel.seller));
    let mut arrived = arrived.into_iter().peekable();
    for one in asked {
        while let Some(known) = arrived.next_if(|known| known.delivered_at() <= one.parcel.at) {
            take(Step::Arrived(known))?;
        }
        take(Step::Asked(one))?;
    }
    arrived.try_for_each(|known| take(Step::Arrived(known)))
}

/// The forests, ready to be asked.
pub(crate) struct Forests(Vec<Predictor>);

impl Forests {
    pub fn compile(stage: &StageModel) -> Result<Forests, DeliveryError> {
        if stage.forests.len() != LEVELS.len() || stage.forests.iter().any(|one| one.features.len() != FEATURES.len()) {
            return Err(DeliveryError::Corrupt { message: "it lacks a forest or a feature".to_owned() });
        }
        Forests::of(&stage.forests)
    }

    fn of(forests: &[Forest]) -> Result<Forests, DeliveryError> {
        Ok(Forests(forests.iter().map(Predictor::compile).collect::<Result<_, _>>()?))
    }

    /// The logarithms of the minutes at each level, without shifts.
    fn logs(&self, features: &[f64; FEATURES.len()], base: f64) -> Result<[f64; LEVELS.len()], DeliveryError> {
        let mut logs = [base; LEVELS.len()];
        for (log, predictor) in logs.iter_mut().zip(&self.0) {
            *log += predictor.predict(features)?;
        }
        Ok(logs)
    }
}

/// The minutes of shifted logarithms, none below the one before.
fn moved(logs: &[f64; LEVELS.len()], shifts: &[f64; LEVELS.len()]) -> [f64; LEVELS.len()] {
    let mut moved: [f64; LEVELS.len()] = std::array::from_fn(|at| logs[at] + shifts[at]);
    moved.sort_by(f64::total_cmp);
    moved.map(f64::exp)
}

/// What is learned of the deliveries that are known at `until`, and how it did on the latest of them before they were learned from.
pub(crate) fn learn_stage(
    deliveries: &[Delivery],
    until: Timestamp,
    seed: u64,
) -> Result<(StageModel, Tested), DeliveryError> {
    let table = feature_table(deliveries)?;
    let split = table.split(until);
    if split.mature < DELIVERIES_MIN {
        return Err(DeliveryError::TooFew { found: split.mature, needed: DELIVERIES_MIN });
    }
    let label_quantiles = |end: usize| LEVELS.map(|level| quantile(table.labels[..end].to_vec(), level));
    // Judged is what a training at the first judged moment would have served from then on: it knew of fewer mature parcels.
    let from = table.deliveries[split.calibrated].parcel.at;
    let Split { fitted, calibrated: known, .. } = table.earlier(split);
    let forests = fit(&table, 0..fitted, seed)?;
    let (history, shifts) = (known_at(&table, from), calibrated(&table, &forests, fitted..known)?);
    let earlier = StageModel { history, forests, shifts, label_quantiles: label_quantiles(fitted) };
    let quality = earlier.judge(&table.deliveries[..split.mature], from)?;
    let forests = fit(&table, 0..split.calibrated, seed)?;
    let (history, shifts) = (known_at(&table, until), calibrated(&table, &forests, split.calibrated..split.mature)?);
    let model = StageModel { history, forests, shifts, label_quantiles: label_quantiles(split.calibrated) };
    Ok((model, Tested { quality, from }))
}

/// The means of what had arrived at a moment.
fn known_at(table: &FeatureTable, moment: Timestamp) -> History {
    let mut known: Vec<&Delivery> = table.deliveries.iter().filter(|one| one.delivered_at() <= moment).collect();
    known.sort_by_key(|one| one.delivered_at());
    let mut history = History::default();
    known.into_iter().for_each(|one| history.observe(one));
    history
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
    /// The rows before this one are old enough at a moment for slow ones to have arrived, too.
    fn mature_at(&self, moment: Timestamp) -> usize {
        let half = self.deliveries.len().div_ceil(2);
        let age = quantile(self.deliveries[..half].iter().map(|one| one.minutes).collect(), MATURE);
        let youngest = moment.micros().saturating_sub((age * MINUTE_MICROS as f64) as i64);
        self.deliveries.partition_point(|one| one.parcel.at.micros() < youngest)
    }

    /// The parts by time, as they are known at `until`.
    pub fn split(&self, until: Timestamp) -> Split {
        let mature = self.mature_at(until);
        let part = |share: f64| (mature as f64 * share) as usize;
        let (fitted, calibrated) = (part(1.0 - JUDGED_SHARE - CALIBRATED_SHARE), part(1.0 - JUDGED_SHARE));
        Split { fitted, calibrated, mature }
    }

    /// The parts of a training at the first judged moment of `split`, whose slow parcels of the last days had not arrived: as
    /// many rows calibrate, and the same are judged.
    pub fn earlier(&self, split: Split) -> Split {
        let calibrated = self.mature_at(self.deliveries[split.calibrated].parcel.at).min(split.calibrated);
        let fitted = calibrated.saturating_sub(split.calibrated - split.fitted).max(1);
        Split { fitted, calibrated: calibrated.max(fitted), mature: split.mature }
    }
}

/// How far the forests' quantiles are to be moved, by a range of rows.
fn calibrated(table: &FeatureTable, forests: &[Forest], range: Range<usize>) -> Result<Shifts, DeliveryError> {
    let forests = Forests::of(forests)?;
    let mut errors: BTreeMap<Region, Vec<[f64; LEVELS.len()]>> = BTreeMap::new();
    for row in range {
        let quantiles = forests.logs(&table.rows[row], 0.0)?;
        let of_row = quantiles.map(|quantile| table.labels[row] - quantile);
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
    Ok(Shifts { everywhere, regions })
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
