//! Equally likely futures of a forecast whose means are its expectations; what they are changed to is elsewhere.

use crate::EffectError;
use dhow_reorder::{DRAWS, draws_of_days};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

/// How alike the forecast errors of two days of one product are.
const ERROR_CORRELATION: f64 = 0.2;
/// Quantiles whose draws have a mean this far from the expectation say too little of it to be scaled.
const SCALE_MOST: f64 = 5.0;

/// Futures of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Futures {
    /// Per draw the units of every day.
    pub draws: Vec<Vec<f64>>,
    /// Why they are not drawn from the forecast's quantiles; nothing where they are.
    pub fallback: Option<&'static str>,
}

impl Futures {
    /// Draws days that are each given by an expectation and by quantiles at `dhow_reorder::LEVELS`, scaled so that all days
    /// together have the expectations' mean. Where sales are so rare that the quantiles say next to nothing, days are drawn as
    /// Poisson's.
    ///
    /// # Errors
    /// No day, more than a year, expectations or quantiles that are none.
    pub fn of(expected: &[f64], quantiles: &[Vec<f64>], seed: u64) -> Result<Futures, EffectError> {
        if let Some(wrong) = expected.iter().find(|units| !(units.is_finite() && **units >= 0.0)) {
            return Err(EffectError::Value { name: "expected", found: *wrong, range: "finite and at least 0" });
        }
        if expected.len() != quantiles.len() {
            let (found, expected) = (quantiles.len(), expected.len());
            return Err(EffectError::Length { product: 0, what: "quantiles", found, expected });
        }
        let drawn = draws_of_days(quantiles, ERROR_CORRELATION, seed);
        let mut draws = drawn.map_err(|error| EffectError::Draws { reason: error.to_string() })?;
        let wanted: f64 = expected.iter().sum();
        let mean = draws.iter().flatten().sum::<f64>() / draws.len() as f64;
        if wanted > 0.0 && !(1.0 / SCALE_MOST..=SCALE_MOST).contains(&(wanted / mean)) {
            return Ok(Futures {
                draws: poisson(expected, seed)?,
                fallback: Some(
                    "sales are too rare for the forecast's quantiles: days are drawn from a Poisson distribution",
                ),
            });
        }
        let scale = if mean > 0.0 { wanted / mean } else { 0.0 };
        draws.iter_mut().flatten().for_each(|units| *units *= scale);
        Ok(Futures { draws, fallback: None })
    }
}

fn poisson(expected: &[f64], seed: u64) -> Result<Vec<Vec<f64>>, EffectError> {
    let wrong = |found: f64| EffectError::Value { name: "expected", found, range: "below what can be drawn" };
    let of_day = |units: &f64| match *units > 0.0 {
        true => Poisson::new(*units).map(Some).map_err(|_| wrong(*units)),
        false => Ok(None),
    };
    let days: Vec<Option<Poisson<f64>>> = expected.iter().map(of_day).collect::<Result<_, _>>()?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut one = || days.iter().map(|day| day.as_ref().map_or(0.0, |day| day.sample(&mut random))).collect();
    Ok((0..DRAWS).map(|_| one()).collect())
}
