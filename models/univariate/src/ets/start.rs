//! First states for exponential smoothing, from which the optimiser sets out; they are not fitted here.
//!
//! As in Hyndman, Koehler, Ord and Snyder 2008, section 2.6.1: a season from the classical decomposition of the first years,
//! the level and slope from a straight line through the first ten values without season.

use super::recursion::{Seasonal, State, Trend};
use crate::theta::straight_line;

/// Values that the line goes through.
const LINE_VALUES: usize = 10;
/// Seasons that the first season is taken from.
const SEASONS: usize = 4;
/// Smallest multiplicative index at the start.
const SMALLEST_INDEX: f64 = 0.01;

/// First states by form; they share what is common.
pub(super) struct Starts<'a> {
    values: &'a [f64],
    additive: Vec<f64>,
    multiplicative: Vec<f64>,
}

impl<'a> Starts<'a> {
    /// `period` is 1 without season; otherwise there are at least two seasons of values.
    pub(super) fn of(values: &'a [f64], period: usize) -> Starts<'a> {
        let first = &values[..values.len().min(SEASONS * period)];
        if period == 1 {
            return Starts { values, additive: vec![0.0], multiplicative: vec![1.0] };
        }
        let trend = moving_average(first, period);
        let index = |compare: fn(f64, f64) -> f64| indices(first, &trend, period, compare);
        let mut additive = index(|value, trend| value - trend);
        let mean = additive.iter().sum::<f64>() / period as f64;
        additive.iter_mut().for_each(|index| *index -= mean);
        let mut multiplicative = index(|value, trend| value / trend);
        let mean = multiplicative.iter().sum::<f64>() / period as f64;
        multiplicative.iter_mut().for_each(|index| *index = (*index / mean).max(SMALLEST_INDEX));
        Starts { values, additive, multiplicative }
    }

    pub(super) fn state(&self, trend: Trend, seasonal: Seasonal) -> State {
        let plain = |(t, value): (usize, &f64)| match seasonal {
            Seasonal::None => *value,
            Seasonal::Additive => value - self.additive[t % self.additive.len()],
            Seasonal::Multiplicative => value / self.multiplicative[t % self.multiplicative.len()],
        };
        let count = LINE_VALUES.max(self.additive.len()).min(self.values.len());
        let first: Vec<f64> = self.values[..count].iter().enumerate().map(plain).collect();
        let season = match seasonal {
            Seasonal::None => vec![0.0],
            Seasonal::Additive => self.additive.clone(),
            Seasonal::Multiplicative => self.multiplicative.clone(),
        };
        let (intercept, slope) = straight_line(&first);
        let mean = first.iter().sum::<f64>() / first.len() as f64;
        match trend {
            Trend::None => State { level: mean, slope: 0.0, season },
            // One step before the first value; a line that would begin below zero is no start for relative errors.
            _ if mean > 0.0 && intercept - slope <= 0.0 => State { level: mean, slope: 0.0, season },
            _ => State { level: intercept - slope, slope, season },
        }
    }
}

/// Averages centred on each value over one season; those at the ends are missing.
fn moving_average(values: &[f64], period: usize) -> Vec<Option<f64>> {
    let half = period / 2;
    let at = |t: usize| {
        let window = values.get(t.checked_sub(half)?..=t + half)?;
        let ends = if period.is_multiple_of(2) { (window[0] + window[2 * half]) / 2.0 } else { 0.0 };
        Some((window.iter().sum::<f64>() - ends) / period as f64)
    };
    (0..values.len()).map(at).collect()
}

fn indices(values: &[f64], trend: &[Option<f64>], period: usize, compare: fn(f64, f64) -> f64) -> Vec<f64> {
    let (mut sums, mut counts) = (vec![0.0; period], vec![0.0; period]);
    for (t, (value, trend)) in values.iter().zip(trend).enumerate() {
        if let Some(trend) = trend {
            sums[t % period] += compare(*value, *trend);
            counts[t % period] += 1.0;
        }
    }
    sums.iter().zip(&counts).map(|(sum, count)| if *count > 0.0 { sum / count } else { compare(1.0, 1.0) }).collect()
}
