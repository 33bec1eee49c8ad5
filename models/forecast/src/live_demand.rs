//! What sold since a model's history ended, and intervals that follow it; points and the choice of methods are the model's.
//!
//! A sale adds to the open day of every series that holds it: its product, seller and categories and all, in its region and in
//! all regions. A sale of a later day, of whatever, closes the days before, from the day after the first sale on: the day of the
//! first one may have begun before anybody looked. A closed day moves the levels at which the model's quantiles are
//! read: for each τ of `TRACKED`, `level += RATE (τ − 1{demand ≤ quantile(level)})` (adaptive conformal inference: Gibbs and
//! Candès 2021), within bounds that keep levels in their order; levels between are moved in proportion. A series that sells more
//! than it was thought to has its upper quantile raised, and one that sells less has it lowered, until they are right again.

use crate::beside_naive::{Accuracy, naive};
use crate::demand::{DemandError, DemandForecast, DemandModel, SeriesKey};
use crate::live::{LiveError, MAX_GAP_DAYS};
use crate::market::{Subject, ways_up};
use dhow_events::{Category, ProductId, Region, SellerId};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The levels that follow the outcomes, how much one day moves them, and how far they may move.
const TRACKED: [f64; 3] = [0.1, 0.5, 0.9];
const RATE: f64 = 0.01;
const SHIFTS: [(f64, f64); TRACKED.len()] = [(-0.08, 0.15), (-0.2, 0.2), (-0.15, 0.08)];

/// A sale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sale {
    /// What.
    pub product: ProductId,
    /// Who sold it.
    pub seller: SellerId,
    /// Of which category.
    pub category: Category,
    /// To where.
    pub region: Region,
    /// When, days since 1970-01-01 UTC.
    pub day: i64,
    /// Units.
    pub quantity: f64,
}

/// A model with what sold since its history ended.
#[derive(Debug)]
pub struct LiveDemand {
    model: Arc<DemandModel>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The days of the first and of the latest sale.
    days: Option<(i64, i64)>,
    series: FxHashMap<SeriesKey, Live>,
}

#[derive(Debug, Clone, Copy)]
struct Live {
    /// The open day and its demand so far.
    today: i64,
    sold: f64,
    shifts: [f64; TRACKED.len()],
    accuracy: Accuracy,
}

impl LiveDemand {
    /// Nothing sold yet.
    pub fn new(model: Arc<DemandModel>) -> LiveDemand {
        LiveDemand { model, seen: Mutex::default() }
    }

    /// The model.
    pub fn model(&self) -> &Arc<DemandModel> {
        &self.model
    }

    /// Takes a sale into every series that holds it. Days of the model's history, and days that a later sale has closed, are
    /// passed over: the next training takes them in. Series that the model does not know have nothing to follow.
    ///
    /// # Errors
    /// A quantity that is negative or not finite; nothing has changed then.
    pub fn sale(&self, sale: &Sale) -> Result<(), LiveError> {
        if !(sale.quantity.is_finite() && sale.quantity >= 0.0) {
            return Err(LiveError::Quantity { quantity: sale.quantity });
        }
        let single = [Subject::Product(sale.product), Subject::Seller(sale.seller), Subject::All];
        let subjects = single.into_iter().chain(ways_up(sale.category).map(Subject::Category));
        let mut seen = self.seen.lock();
        let (first, latest) = seen.days.unwrap_or((sale.day, sale.day));
        seen.days = Some((first, latest.max(sale.day)));
        for subject in subjects {
            for region in [None, Some(sale.region)] {
                let key = SeriesKey { subject, region };
                if let Some(live) = self.advanced(&mut seen, &key)
                    && live.today == sale.day
                {
                    live.sold += sale.quantity;
                }
            }
        }
        Ok(())
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
        let shifts = self.advanced(&mut self.seen.lock(), key).map_or([0.0; TRACKED.len()], |live| live.shifts);
        self.model.forecast_at(key, horizon_days, levels, |level| moved(level, &shifts))
    }

    /// How a series' forecasts did on the days that were closed since, beside repeating the last season of the history; no days
    /// where none was closed.
    ///
    /// # Errors
    /// The model does not know the series.
    pub fn accuracy(&self, key: &SeriesKey) -> Result<Accuracy, DemandError> {
        if self.model.fitted(key).is_none() {
            return Err(DemandError::Unknown { key: Box::new(*key) });
        }
        Ok(self.advanced(&mut self.seen.lock(), key).map_or(Accuracy::default(), |live| live.accuracy))
    }

    /// The series' state with the days before the latest sale closed; none before the second day, or where the model does not
    /// know the series.
    fn advanced<'a>(&self, seen: &'a mut Seen, key: &SeriesKey) -> Option<&'a mut Live> {
        let (first, latest) = seen.days.filter(|(first, latest)| first < latest)?;
        let live = match seen.series.entry(*key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let today = self.model.fitted(key)?.next_day.max(first + 1);
                free.insert(Live { today, sold: 0.0, shifts: [0.0; TRACKED.len()], accuracy: Accuracy::default() })
            }
        };
        if live.today < latest {
            self.close(live, key, latest);
        }
        Some(live)
    }

    /// Closes the days before `day`; days without a sale had no demand, and a longer gap than `MAX_GAP_DAYS` says nothing.
    fn close(&self, live: &mut Live, key: &SeriesKey, day: i64) {
        if let Some(fitted) = self.model.fitted(key).filter(|_| day - live.today <= MAX_GAP_DAYS) {
            for closed in live.today..day {
                let step = usize::try_from(closed - fitted.next_day).unwrap_or(usize::MAX);
                if step >= fitted.points.len() {
                    break;
                }
                let demand = if closed == live.today { live.sold } else { 0.0 };
                let naive = naive(&fitted.recent, self.model.settings().season_days, step);
                live.accuracy.add(fitted.points[step], naive, demand);
                let quantiles = TRACKED.map(|level| fitted.quantile(step, moved(level, &live.shifts)));
                for (at, shift) in live.shifts.iter_mut().enumerate() {
                    let below = f64::from(u8::from(demand <= quantiles[at]));
                    let (least, most) = SHIFTS[at];
                    *shift = (*shift + RATE * (TRACKED[at] - below)).clamp(least, most);
                }
            }
        }
        (live.today, live.sold) = (day, 0.0);
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
