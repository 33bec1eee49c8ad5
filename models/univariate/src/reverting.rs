//! A level that moves slowly and deviations from it that decay: simple exponential smoothing with an autoregressive error.
//!
//! The adjustment of Taylor 2003 for hourly demand, without seasons. With level l, deviation r, smoothing α and persistence ρ:
//!
//! forecast f = l + ρ·r;   l ← l + α·(y − l);   r ← y − l (the new level);   h steps ahead: l + ρʰ·r, the level following as above
//!
//! α and ρ minimise Σ(y − f)².

use crate::optimise::{Range, search_box};
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};

/// Fewest values.
const SHORTEST: usize = 4;
/// Of a longer series only the latest values are fitted.
const LONGEST_FITTED: usize = 4_000;
/// Values whose mean the first level is, at most.
const FIRST_VALUES: usize = 24;
/// Ranges of α and ρ.
const RANGES: [Range; 2] = [(0.001, 0.999), (-0.5, 0.995)];
/// Where the search begins, and its most runs over the values.
const FIRST: [f64; 2] = [0.1, 0.5];
const RUNS_MAX: usize = 150;

/// Simple exponential smoothing whose errors persist for a while.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reverting;

#[derive(Debug, Clone, Copy)]
struct State {
    level: f64,
    deviation: f64,
}

impl State {
    fn forecast(&self, persistence: f64) -> f64 {
        self.level + persistence * self.deviation
    }

    fn learn(&mut self, value: f64, alpha: f64) {
        self.level += alpha * (value - self.level);
        self.deviation = value - self.level;
    }
}

impl Method for Reverting {
    fn name(&self) -> &'static str {
        "reverting"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        series.need(self.name(), SHORTEST)?;
        let values = series.values();
        let values = &values[values.len().saturating_sub(LONGEST_FITTED)..];
        let mut constants = FIRST;
        let mut loss = |constants: &[f64]| run(values, constants[0], constants[1]).1;
        let squares = search_box(&mut loss, &mut constants, &RANGES, RUNS_MAX);
        let [alpha, persistence] = constants;
        let sigma = (squares / (values.len() - 3) as f64).sqrt();
        let mut state = run(values, alpha, persistence).0;
        // What an error of 1 does to the steps after it.
        let mut response = State { level: alpha, deviation: 1.0 - alpha };
        let mut variance: f64 = 1.0;
        let (mut points, mut spreads) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
        for _ in 0..horizon {
            let (point, effect) = (state.forecast(persistence), response.forecast(persistence));
            points.push(point);
            spreads.push(sigma * variance.sqrt());
            variance += effect * effect;
            state.learn(point, alpha);
            response.learn(effect, alpha);
        }
        Ok(PointForecast { values: points, spreads, model: self.name().into(), fallback: None })
    }
}

/// The last state and the squared errors.
fn run(values: &[f64], alpha: f64, persistence: f64) -> (State, f64) {
    let first = &values[..FIRST_VALUES.min(values.len())];
    let mut state = State { level: first.iter().sum::<f64>() / first.len() as f64, deviation: 0.0 };
    let mut squares = 0.0;
    for value in values {
        squares += (value - state.forecast(persistence)).powi(2);
        state.learn(*value, alpha);
    }
    (state, squares)
}
