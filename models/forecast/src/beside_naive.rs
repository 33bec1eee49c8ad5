//! How forecasts did beside the naive plan that repeats the last season, day by day; when a day counts is decided elsewhere.

use serde::{Deserialize, Serialize};

/// Sums over forecast days that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Days.
    pub days: u32,
    /// Units that were asked for.
    pub demand: f64,
    /// Forecast less demand, units.
    pub error: f64,
    /// The same without sign, day by day.
    pub absolute_error: f64,
    /// The absolute error of repeating the last season before the forecast.
    pub absolute_error_of_naive: f64,
}

impl Accuracy {
    /// Counts a day with its forecast, the naive one, and what came.
    pub fn add(&mut self, point: f64, naive: f64, demand: f64) {
        self.days += 1;
        self.demand += demand;
        self.error += point - demand;
        self.absolute_error += (point - demand).abs();
        self.absolute_error_of_naive += (naive - demand).abs();
    }

    /// The share of the naive plan's absolute error that the forecast saves (forecast value added: Gilliland 2010); below 0 where
    /// it does worse, none where the naive plan errs nowhere.
    pub fn value_added(&self) -> Option<f64> {
        (self.absolute_error_of_naive > 0.0).then(|| 1.0 - self.absolute_error / self.absolute_error_of_naive)
    }
}

/// The day `step` after `history` of the plan that repeats its last season; 0 before the history begins.
pub(crate) fn naive(history: &[f64], season_days: usize, step: usize) -> f64 {
    let season = season_days.max(1);
    let back = season - step % season;
    history.len().checked_sub(back).map_or(0.0, |at| history[at])
}
