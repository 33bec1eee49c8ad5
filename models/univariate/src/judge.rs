//! How good a method's forecasts of held-out values are, series by series and on average; it measures no time.
//!
//! Figures are means over series, as statsforecast and the M competitions report them: sMAPE, MASE, OWA against Naive2, and of the
//! central intervals of 50, 80 and 95 % their coverage and, for 95 %, the mean scaled interval score (Gneiting and Raftery 2007;
//! M4): (u − l + 2 ÷ α·(l − y)₊ + 2 ÷ α·(y − u)₊) ÷ the MASE's scale with α = .05.

use crate::accuracy::{AccuracyError, coverage, mase, owa, seasonal_scale, smape};
use crate::calibration::Ends;
use crate::series::{PointForecast, Series};
use serde::{Deserialize, Serialize};

/// Shares of values that the judged intervals are to hold, and how many standard deviations wide each is to both sides.
pub const INTERVALS: [(f64, f64); 3] = [(0.5, 0.674_489_75), (0.8, 1.281_551_57), (0.95, 1.959_963_98)];

/// One forecast beside what came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: f64,
    /// Mean absolute scaled error; none where the history does not vary from season to season.
    pub mase: Option<f64>,
    /// Mean scaled interval score of the 95 % interval; none where MASE is.
    pub msis: Option<f64>,
    /// Share of values inside each of `INTERVALS`, 0 to 1.
    pub coverage: [f64; 3],
}

impl Score {
    /// Judges a forecast by the values that came after the series.
    ///
    /// # Errors
    /// When the numbers of steps differ or are zero.
    pub fn of(
        series: &Series,
        actual: &[f64],
        forecast: &PointForecast,
        intervals: &[Ends; 3],
    ) -> Result<Score, AccuracyError> {
        let mut shares = [0.0; 3];
        for (share, ends) in shares.iter_mut().zip(intervals) {
            let (low, high): (Vec<f64>, Vec<f64>) = ends.iter().copied().unzip();
            *share = coverage(actual, &low, &high)?;
        }
        let m = series.season_length();
        let scale = seasonal_scale(series.values(), m).ok();
        let alpha = 1.0 - INTERVALS[2].0;
        let penalty = |(y, (low, high)): (&f64, &(f64, f64))| {
            high - low + 2.0 / alpha * ((low - y).max(0.0) + (y - high).max(0.0))
        };
        let interval_score = actual.iter().zip(&intervals[2]).map(penalty).sum::<f64>() / actual.len() as f64;
        Ok(Score {
            smape: smape(actual, &forecast.values)?,
            mase: mase(series.values(), m, actual, &forecast.values).ok(),
            msis: scale.map(|scale| interval_score / scale),
            coverage: shares,
        })
    }
}

/// Sums over series.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    series: usize,
    smape: f64,
    scaled: usize,
    mase: f64,
    msis: f64,
    steps: f64,
    coverage: [f64; 3],
}

/// Means over series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Series that were forecast.
    pub series: usize,
    /// Mean sMAPE, 0 to 200.
    pub smape: f64,
    /// Mean MASE of the series that have one; none where none has.
    pub mase: Option<f64>,
    /// Mean of sMAPE and MASE relative to Naive2's on the same series; below 1 is better. None without MASE.
    pub owa: Option<f64>,
    /// Mean scaled interval score at 95 %.
    pub msis: Option<f64>,
    /// Share of all values inside the 50, 80 and 95 % intervals.
    pub coverage: [f64; 3],
}

impl Tally {
    /// Counts one series with so many forecast steps.
    pub fn add(&mut self, score: &Score, steps: usize) {
        self.series += 1;
        self.smape += score.smape;
        if let (Some(mase), Some(msis)) = (score.mase, score.msis) {
            self.scaled += 1;
            self.mase += mase;
            self.msis += msis;
        }
        self.steps += steps as f64;
        self.coverage.iter_mut().zip(score.coverage).for_each(|(sum, share)| *sum += share * steps as f64);
    }

    /// The means, relative to those of Naive2; none before a series was counted.
    pub fn figures(&self, naive2: &Tally) -> Option<Figures> {
        if self.series == 0 {
            return None;
        }
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let (smape, mase) = (self.smape / self.series as f64, mean(self.mase, self.scaled));
        let base = mean(naive2.smape, naive2.series).zip(mean(naive2.mase, naive2.scaled));
        let relative = mase.zip(base).map(|(mase, (base_smape, base_mase))| owa(smape, mase, base_smape, base_mase));
        Some(Figures {
            series: self.series,
            smape,
            mase,
            owa: relative.filter(|owa| owa.is_finite()),
            msis: mean(self.msis, self.scaled),
            coverage: self.coverage.map(|sum| sum / self.steps),
        })
    }
}
