//! What customers will spend in the next days: boosted trees learned from windows that ended before the cut; it judges nothing.
//!
//! 1. Earlier cuts are taken whose windows had ended by the cut that is forecast from; each known customer of each is a row.
//! 2. A fifth of the customers, the same at every cut, is held out.
//! 3. On the others three kinds of trees learn: the mean (Tweedie loss), the ends of the interval (quantile loss on the
//!    logarithm), and whether nothing is bought (logistic loss). The held-out customers say when to stop.
//! 4. Of `level · mean^power` the two numbers are chosen that bring the forecasts nearest to what the held-out customers spent;
//!    it keeps the order that the mean gives.
//! 5. The interval is widened, or narrowed, until it holds the wanted share of the held-out customers of every one of
//!    these windows (conformalised quantile regression: Romano, Patterson and Candès 2019; the worst window counts, since
//!    customers of the next one are not drawn like those of the last).
//! 6. The probability that nothing is bought is calibrated on the held-out customers (Platt 1999).

use std::collections::BTreeMap;

use dhow_trees::{Column, Forest, Kind, Loss, Metric, Predictor, Settings, TrainingData, Validation, learn};
use serde::{Deserialize, Serialize};

use crate::CustomersError;
use crate::bg_nbd::BgNbd;
use crate::calibration::Calibration;
use crate::features::{FEATURE_NAMES, features_of};
use crate::gamma_gamma::GammaGamma;
use crate::history::{Histories, Summary};

/// Windows that are learned from at most.
pub const TRAINING_CUTS_MAX: usize = 24;
/// Every so many-th customer is held out.
const HELD_OUT_EVERY: u32 = 5;
/// A window is learned from where so many days were known before it, at least.
const KNOWN_DAYS_MIN: i32 = 60;
/// Held-out rows that a window needs to say how wide the interval must be.
const INTERVAL_ROWS_MIN: usize = 50;
/// Rows that are needed to learn from.
const ROWS_MIN: usize = 200;

/// How it is learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpendSettings {
    /// Days that are forecast, 1 to 365.
    pub days: i32,
    /// Days between the cuts that are learned from, 1 to 365.
    pub step_days: i32,
    /// The share of customers that an interval is to hold, above 0 and below 1.
    pub coverage: f64,
    /// The power of the Tweedie loss, 1 to below 2.
    pub tweedie_power: f64,
    /// Leaves of a tree.
    pub leaves: usize,
    /// Trees at most.
    pub rounds: usize,
    /// What each tree counts.
    pub learning_rate: f64,
}

/// Chosen on Online Retail at the cut 2011-06-11, whose 90 days end before those that are judged begin.
impl Default for SpendSettings {
    fn default() -> Self {
        Self { days: 90, step_days: 15, coverage: 0.8, tweedie_power: 1.5, leaves: 4, rounds: 400, learning_rate: 0.04 }
    }
}

/// A forecast of one customer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpendForecast {
    /// The customer.
    pub customer: u32,
    /// The one number that is nearest to what comes, in money: by the mean absolute error.
    pub spend: f64,
    /// The mean of what may come.
    pub mean: f64,
    /// The interval.
    pub interval: [f64; 2],
    /// The probability that nothing is bought.
    pub churn: f64,
}

/// Learned trees.
pub struct SpendModel {
    settings: SpendSettings,
    mean: Predictor,
    ends: [Predictor; 2],
    none: Predictor,
    level: f64,
    power: f64,
    /// What is added to the interval's ends, in the logarithm.
    widened: f64,
    calibration: Calibration,
}

/// Rows of customers at cuts.
#[derive(Default)]
struct Rows {
    columns: Vec<Vec<f64>>,
    spend: Vec<f64>,
    cut: Vec<i32>,
}

impl Rows {
    fn push(&mut self, row: &[f64], spend: f64, cut: i32) {
        self.columns.resize(row.len(), Vec::new());
        self.columns.iter_mut().zip(row).for_each(|(column, value)| column.push(*value));
        self.spend.push(spend);
        self.cut.push(cut);
    }

    fn row(&self, at: usize) -> Vec<f64> {
        self.columns.iter().map(|column| column[at]).collect()
    }

    fn columns(&self) -> Vec<Column<'_>> {
        FEATURE_NAMES
            .iter()
            .zip(&self.columns)
            .map(|(name, values)| Column { name, values, kind: Kind::Number })
            .collect()
    }
}

/// The classic models as of a cut.
pub(crate) fn classic(histories: &Histories, cut: i32) -> Result<(BgNbd, GammaGamma), CustomersError> {
    let summaries: Vec<Summary> = histories.known_before(cut).map(|(_, before)| Summary::of(before, cut)).collect();
    Ok((BgNbd::fit(&summaries)?, GammaGamma::fit(&summaries)?))
}

impl SpendModel {
    /// Learns from windows that ended by `cut`.
    ///
    /// # Errors
    /// Settings out of their ranges, too little to learn from, or trees that cannot be learned.
    pub fn learn(histories: &Histories, cut: i32, settings: &SpendSettings) -> Result<Self, CustomersError> {
        settings.check()?;
        let (training, held_out) = rows(histories, cut, settings)?;
        let mean =
            settings.grow(Loss::Tweedie { power: settings.tweedie_power }, &training, &held_out, |spend| spend)?;
        let tail = (1.0 - settings.coverage) / 2.0;
        let log = |spend: f64| spend.ln_1p();
        let ends = [
            settings.grow(Loss::Quantile { alpha: tail }, &training, &held_out, log)?,
            settings.grow(Loss::Quantile { alpha: 1.0 - tail }, &training, &held_out, log)?,
        ];
        let none = settings.grow(Loss::Logistic, &training, &held_out, |spend| f64::from(u8::from(spend == 0.0)))?;
        let mut model = Self {
            settings: *settings,
            mean,
            ends,
            none,
            level: 1.0,
            power: 1.0,
            widened: 0.0,
            calibration: Calibration::NONE,
        };
        model.fit_level(&held_out)?;
        model.fit_interval(&held_out)?;
        model.fit_calibration(&held_out)?;
        Ok(model)
    }

    /// Forecasts every customer that is known before `cut`, in rising order.
    ///
    /// # Errors
    /// Too few customers for the classic models.
    pub fn forecast(&self, histories: &Histories, cut: i32) -> Result<Vec<SpendForecast>, CustomersError> {
        let (purchases, amounts) = classic(histories, cut)?;
        let days = f64::from(self.settings.days);
        histories
            .known_before(cut)
            .map(|(customer, before)| {
                let row = features_of(before, cut, &purchases, &amounts, days);
                let mean = self.mean.predict(&row)?;
                Ok(SpendForecast {
                    customer,
                    spend: self.level * mean.powf(self.power),
                    mean,
                    interval: self.interval(&row)?,
                    churn: self.calibration.of(self.none.predict(&row)?),
                })
            })
            .collect()
    }

    fn interval(&self, row: &[f64]) -> Result<[f64; 2], CustomersError> {
        let low = self.ends[0].predict(row)? - self.widened;
        let high = self.ends[1].predict(row)? + self.widened;
        Ok([low.exp_m1().max(0.0), high.max(low).exp_m1().max(0.0)])
    }

    fn fit_level(&mut self, held_out: &Rows) -> Result<(), CustomersError> {
        let means: Vec<f64> =
            (0..held_out.spend.len()).map(|at| self.mean.predict(&held_out.row(at))).collect::<Result<_, _>>()?;
        let mut least = f64::INFINITY;
        for power in (6..=14).map(|tenths| f64::from(tenths) / 10.0) {
            let raised: Vec<f64> = means.iter().map(|mean| mean.powf(power)).collect();
            // The best level is a weighted median of the ratios.
            let mut ratios: Vec<(f64, f64)> = held_out
                .spend
                .iter()
                .zip(&raised)
                .map(|(spend, raised)| (spend / raised.max(1e-12), *raised))
                .collect();
            ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
            let half = ratios.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
            let mut sum = 0.0;
            let found = ratios.iter().find(|(_, weight)| {
                sum += weight;
                sum >= half
            });
            let level = found.map_or(1.0, |(ratio, _)| *ratio).max(1e-6);
            let error: f64 =
                held_out.spend.iter().zip(&raised).map(|(spend, raised)| (spend - level * raised).abs()).sum();
            if error < least {
                (least, self.level, self.power) = (error, level, power);
            }
        }
        Ok(())
    }

    fn fit_interval(&mut self, held_out: &Rows) -> Result<(), CustomersError> {
        let mut gaps: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
        for (at, cut) in held_out.cut.iter().enumerate() {
            let (row, spend) = (held_out.row(at), held_out.spend[at].ln_1p());
            // What is below nothing counts as nothing: an interval from 0 holds a customer who buys nothing.
            let low = self.ends[0].predict(&row)?.max(0.0);
            let high = self.ends[1].predict(&row)?;
            gaps.entry(*cut).or_default().push((low - spend).max(spend - high));
        }
        let needed = |gaps: &mut Vec<f64>| {
            gaps.sort_by(f64::total_cmp);
            let place = ((gaps.len() as f64 + 1.0) * self.settings.coverage).ceil() as usize;
            gaps[place.clamp(1, gaps.len()) - 1]
        };
        let large = gaps.values_mut().filter(|gaps| gaps.len() >= INTERVAL_ROWS_MIN);
        let widest = large.map(needed).max_by(f64::total_cmp);
        self.widened = match (widest, gaps.into_values().next_back()) {
            (Some(widest), _) => widest,
            (None, Some(mut last)) => needed(&mut last),
            (None, None) => 0.0,
        };
        Ok(())
    }

    fn fit_calibration(&mut self, held_out: &Rows) -> Result<(), CustomersError> {
        let raw: Vec<f64> =
            (0..held_out.spend.len()).map(|at| self.none.predict(&held_out.row(at))).collect::<Result<_, _>>()?;
        let none: Vec<bool> = held_out.spend.iter().map(|spend| *spend == 0.0).collect();
        self.calibration = Calibration::fit(&raw, &none);
        Ok(())
    }
}

/// The rows to learn from and those held out, of every window that ended by `cut`.
fn rows(histories: &Histories, cut: i32, settings: &SpendSettings) -> Result<(Rows, Rows), CustomersError> {
    let (mut training, mut held_out) = (Rows::default(), Rows::default());
    let first = histories.first_day().unwrap_or(cut);
    let last_cut = cut - settings.days;
    let cuts = (0..TRAINING_CUTS_MAX as i32).map(|back| last_cut - back * settings.step_days);
    for earlier in cuts.take_while(|earlier| *earlier >= first + KNOWN_DAYS_MIN) {
        let (purchases, amounts) = classic(histories, earlier)?;
        for (customer, before) in histories.known_before(earlier) {
            let row = features_of(before, earlier, &purchases, &amounts, f64::from(settings.days));
            let rows = if customer % HELD_OUT_EVERY == 0 { &mut held_out } else { &mut training };
            rows.push(&row, histories.spend(customer, earlier, settings.days), earlier);
        }
    }
    let found = training.spend.len().min(held_out.spend.len() * 4);
    if found < ROWS_MIN {
        return Err(CustomersError::TooFew { what: "customers at earlier cuts", found, needed: ROWS_MIN });
    }
    Ok((training, held_out))
}

impl SpendSettings {
    fn check(&self) -> Result<(), CustomersError> {
        let of = |name, value: f64, holds: bool, range| {
            if holds { Ok(()) } else { Err(CustomersError::Setting { name, value, range }) }
        };
        of("days", f64::from(self.days), (1..=365).contains(&self.days), "1 to 365")?;
        of("step_days", f64::from(self.step_days), (1..=365).contains(&self.step_days), "1 to 365")?;
        of("coverage", self.coverage, self.coverage > 0.0 && self.coverage < 1.0, "above 0 and below 1")
    }

    /// Trees of one loss for what `target` makes of a spend.
    fn grow(
        &self,
        loss: Loss,
        training: &Rows,
        held_out: &Rows,
        target: impl Fn(f64) -> f64,
    ) -> Result<Predictor, CustomersError> {
        let settings = Settings {
            rounds: self.rounds,
            learning_rate: self.learning_rate,
            max_leaves: self.leaves,
            min_child_weight: 20.0,
            ..Settings::new(loss)
        };
        let labels = |rows: &Rows| rows.spend.iter().map(|spend| target(*spend)).collect::<Vec<f64>>();
        let (own, others) = (labels(training), labels(held_out));
        let (columns, other_columns) = (training.columns(), held_out.columns());
        let data = TrainingData { columns: &columns, labels: &own, weights: None, groups: None };
        let judged = TrainingData { columns: &other_columns, labels: &others, weights: None, groups: None };
        let validation = Validation { data: judged, metric: Metric::Loss, patience: 40 };
        let forest: Forest = learn(&settings, &data, Some(&validation))?.forest;
        Ok(Predictor::compile(&forest)?)
    }
}
