//! Rare demand beyond `intermittent`: Croston as he wrote it and with fitted constants, and aggregation over time (ADIDA, IMAPA);
//! seasons are left out.
//!
//! - Croston 1972: sizes z and intervals p are smoothed with α = .1 when there is demand; rate = z ÷ p.
//! - Fitted: each of both smoothings gets the α from .1 to .3 with the least squared one-step errors.
//! - ADIDA (Nikolopoulos et al. 2011): sums over blocks as long as the mean interval, the last block ending with the series, are
//!   continued by simple exponential smoothing with fitted α, and divided by the block's length.
//! - IMAPA (Petropoulos and Kourentzes 2015): the mean of that over all block lengths from 1 to the mean interval.

use crate::intermittent::flat;
use crate::optimise::minimum_between;
use crate::seasonality::mean;
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};

/// Croston's own smoothing constant.
const ALPHA: f64 = 0.1;
/// Range of fitted constants of sizes and intervals, and of sums.
const FITTED: (f64, f64) = (0.1, 0.3);
/// Parts and golden sections of a search.
const COARSE: usize = 8;
const FINE: usize = 8;

/// Croston's method as of 1972, whose rate is biased upwards by about α ÷ 2.
#[derive(Debug, Clone, Copy, Default)]
pub struct CrostonClassic;

/// Croston's method with smoothing constants fitted to sizes and intervals apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct CrostonOptimised;

/// Smoothed sums over blocks of the mean interval between demands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adida;

/// The mean of smoothed sums over blocks of every length up to the mean interval.
#[derive(Debug, Clone, Copy, Default)]
pub struct Imapa;

/// Sizes of demand, and steps from one demand to the next, the first counted from the start.
fn demands(values: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let places: Vec<usize> = (0..values.len()).filter(|at| values[*at] > 0.0).collect();
    let sizes = places.iter().map(|at| values[*at]).collect();
    let before = std::iter::once(0).chain(places.iter().map(|at| at + 1));
    let intervals = places.iter().zip(before).map(|(at, before)| (at + 1 - before) as f64).collect();
    (sizes, intervals)
}

/// Simple exponential smoothing: the last level and the squared one-step errors.
fn smoothed(values: &[f64], alpha: f64) -> (f64, f64) {
    let mut level = values[0];
    let mut squares = 0.0;
    for value in &values[1..] {
        let error = value - level;
        squares += error * error;
        level += alpha * error;
    }
    (level, squares)
}

fn fitted(values: &[f64]) -> f64 {
    let alpha = minimum_between(|alpha| smoothed(values, alpha).1, FITTED, COARSE, FINE);
    smoothed(values, alpha).0
}

fn croston(values: &[f64], smooth: impl Fn(&[f64]) -> f64) -> f64 {
    let (sizes, intervals) = demands(values);
    if sizes.is_empty() { 0.0 } else { smooth(&sizes) / smooth(&intervals) }
}

/// Continues sums over blocks of `length` steps, as a rate a step.
fn by_blocks(values: &[f64], length: usize) -> f64 {
    let blocks: Vec<f64> =
        values[values.len() % length..].chunks_exact(length).map(|block| block.iter().sum()).collect();
    fitted(&blocks) / length as f64
}

/// Steps from one demand to the next on average, at least 1 and at most the series' length.
fn mean_interval(values: &[f64]) -> usize {
    let (_, intervals) = demands(values);
    if intervals.is_empty() { 1 } else { (mean(&intervals).round() as usize).clamp(1, values.len()) }
}

/// A method that is one rate of the values.
macro_rules! rate_method {
    ($method:ty, $name:literal, $rate:expr) => {
        impl Method for $method {
            fn name(&self) -> &'static str {
                $name
            }

            fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
                check_horizon(horizon, MAX_HORIZON)?;
                let rate: fn(&[f64]) -> f64 = $rate;
                Ok(flat(rate(series.values()), series, horizon, self.name()))
            }
        }
    };
}

rate_method!(CrostonClassic, "croston", |values| croston(values, |values| smoothed(values, ALPHA).0));
rate_method!(CrostonOptimised, "croston_optimised", |values| croston(values, fitted));
rate_method!(Adida, "adida", |values| by_blocks(values, mean_interval(values)));
rate_method!(Imapa, "imapa", |values| {
    let longest = mean_interval(values);
    (1..=longest).map(|length| by_blocks(values, length)).sum::<f64>() / longest as f64
});
