//! One series' forecast state that every sale updates in place; how its constants are chosen and when it is refitted is left out.
//!
//! Sales of a day add up until a sale of a later day closes it. A closed day with demand y on a weekday of index i updates
//! - the week: each weekday's mean moves by γ, and so does the mean of all days; i is the weekday's mean over the mean of the
//!   week, drawn towards 1 while little is known;
//! - the level l, a least-mean-squares step `l += α i (y − l i)`, so that a weekday without trade says nothing of it;
//! - for rare demand the probability and the size of demand as Teunter, Syntetos and Babai (2011) have them;
//! - the quantiles of the one-step errors relative to the level (see `adaptive`).
//!
//! The forecast is `l i`, or probability times size times i where demand is rarer than every second day. A day without stock is
//! missing: it changes nothing but where its demand is above what was expected, which it then was at least. The state is a
//! function of the days' totals alone, so that feeding sales and feeding a history give the same bits.

use crate::adaptive::AdaptiveQuantiles;
use crate::demand::{DayForecast, MAX_HORIZON_DAYS};
use dhow_univariate::{ForecastError, check_horizon};
use serde::{Deserialize, Serialize};

/// The most days without a sale that one sale closes; a longer gap needs a new state.
pub const MAX_GAP_DAYS: i64 = 730;
/// Share of the newest day in the level.
const ALPHA: f64 = 0.08;
/// Share of the newest week in a weekday's mean.
const GAMMA: f64 = 0.1;
/// Days for which the week counts as even before its means are trusted.
const EVEN_WEEK_DAYS: f64 = 14.0;
/// Shares of the newest day in the probability, and of the newest demand in its size.
const ALPHA_PROBABILITY: f64 = 0.02;
const ALPHA_SIZE: f64 = 0.1;
/// A weekday of a smaller index has next to no trade.
const QUIET_INDEX: f64 = 0.1;
/// Demand on a smaller share of days is rare.
const RARE: f64 = 0.5;

/// Why a live series cannot take a sale.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LiveError {
    /// The day was closed by a later sale.
    #[error("day {day} is closed, the series is at day {current}: the next refit takes the sale in")]
    Late {
        /// The sale's day.
        day: i64,
        /// The open day.
        current: i64,
    },
    /// The sale is too far ahead.
    #[error("day {day} is more than {MAX_GAP_DAYS} days after day {current}: start the series anew")]
    Gap {
        /// The sale's day.
        day: i64,
        /// The open day.
        current: i64,
    },
    /// Not a quantity.
    #[error("the quantity is {quantity}; it must be finite and at least 0")]
    Quantity {
        /// What it is.
        quantity: f64,
    },
    /// A horizon or level is out of range.
    #[error(transparent)]
    Request(#[from] ForecastError),
}

/// Forecast state of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveSeries {
    /// The open day, days since 1970-01-01 UTC, its demand so far, and whether its stock ran out.
    today: i64,
    sold: f64,
    is_out_of_stock: bool,
    /// Days closed.
    days: u32,
    level: f64,
    weekdays: [f64; 7],
    mean: f64,
    probability: f64,
    size: f64,
    errors: AdaptiveQuantiles,
}

impl LiveSeries {
    /// A state without history, open at `day` (days since 1970-01-01 UTC), that keeps quantiles at rising `levels`.
    ///
    /// # Errors
    /// When the levels do not rise strictly between 0 and 1.
    pub fn new(day: i64, levels: &[f64]) -> Result<LiveSeries, LiveError> {
        Ok(LiveSeries {
            today: day,
            sold: 0.0,
            is_out_of_stock: false,
            days: 0,
            level: 0.0,
            weekdays: [0.0; 7],
            mean: 0.0,
            probability: 0.0,
            size: 0.0,
            errors: AdaptiveQuantiles::new(levels)?,
        })
    }

    /// The state after a history of daily demand from `first_day`, NaN for a day without stock; open at the day after it.
    ///
    /// # Errors
    /// A negative or infinite value, and levels that do not rise strictly between 0 and 1.
    pub fn from_history(first_day: i64, history: &[f64], levels: &[f64]) -> Result<LiveSeries, LiveError> {
        let mut state = LiveSeries::new(first_day, levels)?;
        for demand in history {
            match demand.is_nan() {
                true => state.is_out_of_stock = true,
                false => state.add(*demand)?,
            }
            state.close();
        }
        Ok(state)
    }

    /// Takes a sale of `quantity` on `day`, closing the days before it.
    ///
    /// # Errors
    /// A day that is closed or too far ahead, and a quantity that is negative or not finite; the state is then as before.
    pub fn sale(&mut self, day: i64, quantity: f64) -> Result<(), LiveError> {
        checked(quantity)?;
        self.advance(day)?;
        self.add(quantity)
    }

    /// Notes that there was no stock for a part of `day`: its sales are the least that was asked for.
    ///
    /// # Errors
    /// A day that is closed or too far ahead.
    pub fn out_of_stock(&mut self, day: i64) -> Result<(), LiveError> {
        self.advance(day)?;
        self.is_out_of_stock = true;
        Ok(())
    }

    /// Opens `day`, closing those before it; days without a sale had no demand.
    ///
    /// # Errors
    /// A day that is closed or too far ahead.
    pub fn advance(&mut self, day: i64) -> Result<(), LiveError> {
        let current = self.today;
        if day < current {
            return Err(LiveError::Late { day, current });
        }
        if day.saturating_sub(current) > MAX_GAP_DAYS {
            return Err(LiveError::Gap { day, current });
        }
        while self.today < day {
            self.close();
        }
        Ok(())
    }

    /// The open day, days since 1970-01-01 UTC.
    pub fn today(&self) -> i64 {
        self.today
    }

    /// Forecasts `horizon` days from the open one on, at most 90, with quantiles at the state's levels.
    ///
    /// # Errors
    /// When the horizon is out of range.
    pub fn forecast(&self, horizon: usize) -> Result<Vec<DayForecast>, LiveError> {
        check_horizon(horizon, MAX_HORIZON_DAYS)?;
        let of_day = |day: i64| {
            let (point, unit) = (self.point(day), self.unit(day));
            let quantiles = self.errors.around(0.0).into_iter().map(|error| (point + unit * error).max(0.0)).collect();
            DayForecast { day, point, quantiles }
        };
        Ok((self.today..).take(horizon).map(of_day).collect())
    }

    fn add(&mut self, quantity: f64) -> Result<(), LiveError> {
        self.sold += checked(quantity)?;
        Ok(())
    }

    /// The weekday's mean over the mean of the week, drawn towards 1.
    fn index(&self, day: i64) -> f64 {
        let week: f64 = self.weekdays.iter().sum::<f64>() / 7.0;
        let even = EVEN_WEEK_DAYS * self.mean;
        let known = f64::from(self.days);
        let total = known * week + even;
        if total > 0.0 { (known * self.weekdays[weekday(day)] + even) / total } else { 1.0 }
    }

    fn is_rare(&self) -> bool {
        self.probability < RARE
    }

    fn point(&self, day: i64) -> f64 {
        let mean = if self.is_rare() { self.probability * self.size } else { self.level };
        (mean * self.index(day)).max(0.0)
    }

    /// What errors are relative to.
    fn unit(&self, day: i64) -> f64 {
        let mean = if self.is_rare() { self.size } else { self.level };
        (mean * self.index(day)).max(0.0)
    }

    /// Ends the open day.
    fn close(&mut self) {
        let (day, demand) = (self.today, self.sold);
        if !self.is_out_of_stock || demand > self.point(day) {
            self.learn(day, demand);
        }
        (self.today, self.sold, self.is_out_of_stock) = (day + 1, 0.0, false);
    }

    fn learn(&mut self, day: i64, demand: f64) {
        let (point, unit, index) = (self.point(day), self.unit(day), self.index(day));
        // The errors of a weekday without trade are all alike and say nothing of the others'.
        if unit > 0.0 && index >= QUIET_INDEX {
            self.errors.observe((demand - point) / unit);
        }
        self.days = self.days.saturating_add(1);
        // The first days are averaged plainly, so that the start carries no arbitrary value.
        let share = |least: f64, seen: f64| least.max(1.0 / seen);
        let days = f64::from(self.days);
        self.level = (self.level + share(ALPHA, days) * index.min(2.0) * (demand - self.level * index)).max(0.0);
        self.mean += share(ALPHA, days) * (demand - self.mean);
        let at = weekday(day);
        self.weekdays[at] += share(GAMMA, (days / 7.0).ceil()) * (demand - self.weekdays[at]);
        self.probability += share(ALPHA_PROBABILITY, days) * (f64::from(u8::from(demand > 0.0)) - self.probability);
        if demand > 0.0 {
            self.size = if self.size > 0.0 { self.size + ALPHA_SIZE * (demand - self.size) } else { demand };
        }
    }
}

fn weekday(day: i64) -> usize {
    day.rem_euclid(7) as usize
}

fn checked(quantity: f64) -> Result<f64, LiveError> {
    if quantity.is_finite() && quantity >= 0.0 { Ok(quantity) } else { Err(LiveError::Quantity { quantity }) }
}
