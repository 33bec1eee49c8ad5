//! The units wanted over several days, drawn from each day's quantiles; it predicts no day itself.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The quantile levels that each day is given by: 0.05, 0.10 … 0.95.
pub const LEVELS: [f64; 19] =
    [0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95];
/// Draws of the sum. Two thousand tell a level of 0.99 to within 0.002 (one standard error).
pub const DRAWS: usize = 2_000;
/// Most days of one protection period.
const DAYS_MAX: usize = 365;

/// Why a distribution could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReorderError {
    /// No day, or too many.
    #[error("{days} days; a protection period has from 1 to {DAYS_MAX}")]
    Days {
        /// Days given.
        days: usize,
    },
    /// A day has another number of quantiles, one that is negative or not finite, or quantiles that fall.
    #[error("day {day}: {what}; it must have {} finite quantiles from 0 up that never fall", LEVELS.len())]
    Quantiles {
        /// The day, from 0.
        day: usize,
        /// What is wrong.
        what: String,
    },
    /// A correlation that is none.
    #[error("the correlation {correlation} is not from 0 to 1")]
    Correlation {
        /// The one given.
        correlation: f64,
    },
}

/// The distribution of the units wanted in a protection period: equally likely sums in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    sums: Vec<f64>,
}

impl Demand {
    /// Sums days that are each given by their quantiles at [`LEVELS`]. Forecast errors of near days are alike (a trend that was
    /// missed is missed on all of them): each draw has one error that all days share and one for each day, so that any two
    /// days' errors are correlated by `correlation` (a Gaussian copula with one factor). Beyond the outer levels a day is
    /// drawn on the line through the last two. Equal arguments give equal draws.
    ///
    /// # Errors
    /// No day or more than a year, quantiles that are no quantiles, or a correlation outside [0, 1].
    pub fn of_days(days: &[Vec<f64>], correlation: f64, seed: u64) -> Result<Demand, ReorderError> {
        let mut sums: Vec<f64> = draws_of_days(days, correlation, seed)?.iter().map(|days| days.iter().sum()).collect();
        sums.sort_unstable_by(f64::total_cmp);
        Ok(Demand { sums })
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sums.iter().sum::<f64>() / self.sums.len() as f64
    }

    /// Units that are not exceeded with probability `level`.
    pub fn quantile(&self, level: f64) -> f64 {
        let rank = (level.clamp(0.0, 1.0) * self.sums.len() as f64).ceil() as usize;
        self.sums[rank.clamp(1, self.sums.len()) - 1]
    }

    /// The probability that more than `units` are wanted.
    pub fn probability_above(&self, units: f64) -> f64 {
        let above = self.sums.len() - self.sums.partition_point(|sum| *sum <= units);
        above as f64 / self.sums.len() as f64
    }

    /// The expected number of units that are wanted beyond `units`.
    pub fn expected_shortage(&self, units: f64) -> f64 {
        self.sums.iter().map(|sum| (sum - units).max(0.0)).sum::<f64>() / self.sums.len() as f64
    }
}

/// Equally likely futures of days that are each given by their quantiles at [`LEVELS`], drawn as [`Demand::of_days`] says: per
/// draw the units of every day.
///
/// # Errors
/// As there.
pub fn draws_of_days(days: &[Vec<f64>], correlation: f64, seed: u64) -> Result<Vec<Vec<f64>>, ReorderError> {
    if !(1..=DAYS_MAX).contains(&days.len()) {
        return Err(ReorderError::Days { days: days.len() });
    }
    if !(0.0..=1.0).contains(&correlation) {
        return Err(ReorderError::Correlation { correlation });
    }
    for (day, quantiles) in days.iter().enumerate() {
        check(day, quantiles)?;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (common, own) = (correlation.sqrt(), (1.0 - correlation).sqrt());
    let one = |_| {
        let shared: f64 = StandardNormal.sample(&mut random);
        let draw = |quantiles: &Vec<f64>| {
            let single: f64 = StandardNormal.sample(&mut random);
            let error = common * shared + own * single;
            quantile(quantiles, probability_below(error))
        };
        days.iter().map(draw).collect()
    };
    Ok((0..DRAWS).map(one).collect())
}

fn check(day: usize, quantiles: &[f64]) -> Result<(), ReorderError> {
    let wrong = |what: String| Err(ReorderError::Quantiles { day, what });
    if quantiles.len() != LEVELS.len() {
        return wrong(format!("{} quantiles", quantiles.len()));
    }
    if let Some(value) = quantiles.iter().find(|value| !value.is_finite() || **value < 0.0) {
        return wrong(format!("the quantile {value}"));
    }
    match quantiles.windows(2).find(|pair| pair[1] < pair[0]) {
        Some(pair) => wrong(format!("{} follows {}", pair[1], pair[0])),
        None => Ok(()),
    }
}

/// The value at `level` between the given quantiles, on straight lines; never below zero.
fn quantile(quantiles: &[f64], level: f64) -> f64 {
    let above = LEVELS.partition_point(|given| *given <= level).clamp(1, LEVELS.len() - 1);
    let (low, high) = (LEVELS[above - 1], LEVELS[above]);
    let (from, to) = (quantiles[above - 1], quantiles[above]);
    (from + (level - low) / (high - low) * (to - from)).max(0.0)
}

/// The standard normal distribution function.
fn probability_below(value: f64) -> f64 {
    0.5 * libm::erfc(-value / std::f64::consts::SQRT_2)
}
