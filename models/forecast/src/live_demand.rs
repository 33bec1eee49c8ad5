//! A model with what sold since its history ended, and intervals that follow it; points and the choice of methods are the model's.
//!
//! The days since are replayed when they are asked for, at most ninety of them: the answer is a function of the model and of
//! what sold, so that a process that starts anew answers as the one before. A sale of a later day, of whatever, closes a day. A
//! closed day moves the levels at which the model's quantiles are
//! read: for each τ of `TRACKED`, `level += RATE (τ − 1{demand ≤ quantile(level)})` (adaptive conformal inference: Gibbs and
//! Candès 2021), within bounds that keep levels in their order; levels between are moved in proportion. A series that sells more
//! than it was thought to has its upper quantile raised, and one that sells less has it lowered, until they are right again.

use crate::beside_naive::{Accuracy, naive};
use crate::demand::{DemandError, DemandForecast, DemandModel, SeriesKey};
use crate::recent_sales::RecentSales;
use std::sync::Arc;

/// The levels that follow the outcomes, how much one day moves them, and how far they may move.
const TRACKED: [f64; 3] = [0.1, 0.5, 0.9];
const RATE: f64 = 0.01;
const SHIFTS: [(f64, f64); TRACKED.len()] = [(-0.08, 0.15), (-0.2, 0.2), (-0.15, 0.08)];

/// A model with what sold since its history ended.
#[derive(Debug)]
pub struct LiveDemand {
    model: Arc<DemandModel>,
    sales: Arc<RecentSales>,
}

/// What the closed days since the history say about a series.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    shifts: [f64; TRACKED.len()],
    accuracy: Accuracy,
}

impl LiveDemand {
    /// A model beside sales, which go on.
    pub fn new(model: Arc<DemandModel>, sales: Arc<RecentSales>) -> LiveDemand {
        LiveDemand { model, sales }
    }

    /// The model.
    pub fn model(&self) -> &Arc<DemandModel> {
        &self.model
    }

    /// The model's forecast, with quantiles that have followed the days before the latest sale of all.
    ///
    /// # Errors
    /// As `DemandModel::forecast`.
    pub fn forecast(
        &self,
        key: &SeriesKey,
        horizon_days: usize,
        levels: &[f64],
    ) -> Result<DemandForecast, DemandError> {
        let shifts = self.since(key)?.shifts;
        self.model.forecast_at(key, horizon_days, levels, |level| moved(level, &shifts))
    }

    /// How a series' forecasts did on the days that were closed since, beside repeating the last season of the history; no days
    /// where none was closed.
    ///
    /// # Errors
    /// The model does not know the series.
    pub fn accuracy(&self, key: &SeriesKey) -> Result<Accuracy, DemandError> {
        Ok(self.since(key)?.accuracy)
    }

    /// Replays the closed days that the model looked ahead to.
    fn since(&self, key: &SeriesKey) -> Result<Since, DemandError> {
        let fitted = self.model.fitted(key).ok_or_else(|| DemandError::Unknown { key: Box::new(*key) })?;
        let mut since = Since::default();
        let closed = self.sales.closed(key, fitted.next_day, fitted.points.len());
        for (day, demand) in (closed.first_day..).zip(closed.demand) {
            let step = usize::try_from(day - fitted.next_day).unwrap_or(usize::MAX);
            if step >= fitted.points.len() {
                break;
            }
            let naive = naive(&fitted.recent, self.model.settings().season_days, step);
            since.accuracy.add(fitted.points[step], naive, demand);
            let quantiles = TRACKED.map(|level| fitted.quantile(step, moved(level, &since.shifts)));
            for (at, shift) in since.shifts.iter_mut().enumerate() {
                let below = f64::from(u8::from(demand <= quantiles[at]));
                let (least, most) = SHIFTS[at];
                *shift = (*shift + RATE * (TRACKED[at] - below)).clamp(least, most);
            }
        }
        Ok(since)
    }
}

/// A level with the shifts of the tracked ones around it in proportion; 0 and 1 stay.
fn moved(level: f64, shifts: &[f64; TRACKED.len()]) -> f64 {
    let (mut from, mut shift) = (0.0, 0.0);
    for (to, next) in TRACKED.into_iter().zip(*shifts).chain([(1.0, 0.0)]) {
        if level <= to {
            return level + shift + (level - from) / (to - from) * (next - shift);
        }
        (from, shift) = (to, next);
    }
    level
}
