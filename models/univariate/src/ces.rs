//! Complex exponential smoothing (CES): no season, a simple, a partial or a full one, chosen by AICc; errors are additive only.
//!
//! Svetunkov, Kourentzes and Ord 2022; Svetunkov 2023. The level is a complex number whose imaginary part holds what the past
//! says of the future, so that levels and trends need not be told apart. With the smoothing constant α₀ + iα₁ and a lag k,
//!
//! l ← l₋ₖ − (1 − α₁)·c₋ₖ + (α₀ − α₁)·e,   c ← l₋ₖ + (1 − α₀)·c₋ₖ + (α₀ + α₁)·e
//!
//! | season | states | forecast |
//! |---|---|---|
//! | none | (l, c) with k = 1 | l |
//! | simple | (l, c) with k = m | l of m steps before |
//! | partial | (l, c) with k = 1; s ← s₋ₘ + β₀·e | l + s of m steps before |
//! | full | (l, c) with k = 1; (s, z) as (l, c) with β and k = m | l + s of m steps before |
//!
//! The constants minimise Σe² (Nelder and Mead's search). First states are found by running over the values forwards, then
//! backwards, then forwards again, so that they cost no parameters; AICc = n·ln Σe² + 2k + 2k·(k + 1) ÷ (n − k − 1) counts the
//! components of the state and the variance.
//!
//! Spread at step h: the response of the forecast to one error at each earlier step, squared and summed.

use crate::optimise::{Range, search_box};
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};

/// Fewest values.
const SHORTEST: usize = 5;
/// Of a longer series only the latest values are fitted.
const LONGEST_FITTED: usize = 4_000;
/// Most runs over the values in the search of one form, by constants to be found.
const RUNS_MAX: usize = 60;
/// Ranges of α₀, α₁, β₀ and β₁.
const RANGES: [Range; 4] = [(0.01, 1.8), (0.01, 1.9), (0.01, 1.5), (0.01, 1.5)];
/// A first c is l ÷ 1.1 until the runs have found it.
const FIRST_RATIO: f64 = 1.1;
/// Values whose mean the first level is, at least.
const FIRST_VALUES: usize = 10;

/// How the season enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Simple,
    Partial,
    Full,
}

/// Complex exponential smoothing whose season is chosen by AICc.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ces;

impl Method for Ces {
    fn name(&self) -> &'static str {
        "ces"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        series.need(self.name(), SHORTEST)?;
        let values = series.values();
        let values = &values[values.len().saturating_sub(LONGEST_FITTED)..];
        let m = series.season_length();
        let kinds: &[Kind] = if m > 1 && values.len() >= 2 * m {
            &[Kind::None, Kind::Simple, Kind::Partial, Kind::Full]
        } else {
            &[Kind::None]
        };
        let mut best = Fit::of(values, kinds[0], m);
        for kind in &kinds[1..] {
            let fit = Fit::of(values, *kind, m);
            if fit.criterion < best.criterion {
                best = fit;
            }
        }
        Ok(best.forecast(values, horizon))
    }
}

type Constants = [f64; 4];

/// The complex level and the season by phase; what a kind lacks is empty.
#[derive(Debug, Clone, Default)]
struct State {
    level: (f64, f64),
    /// (l, c) of the simple, (s, 0) of the partial, (s, z) of the full season.
    season: Vec<(f64, f64)>,
}

fn turned((l, c): (f64, f64), (real, imaginary): (f64, f64), error: f64) -> (f64, f64) {
    (l - (1.0 - imaginary) * c + (real - imaginary) * error, l + (1.0 - real) * c + (real + imaginary) * error)
}

impl Kind {
    fn constants(self) -> usize {
        match self {
            Kind::None | Kind::Simple => 2,
            Kind::Partial => 3,
            Kind::Full => 4,
        }
    }

    fn components(self) -> usize {
        match self {
            Kind::None | Kind::Simple => 2,
            Kind::Partial => 3,
            Kind::Full => 4,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::None => "CES(none)",
            Kind::Simple => "CES(simple)",
            Kind::Partial => "CES(partial)",
            Kind::Full => "CES(full)",
        }
    }

    /// A first guess; `indices` are the additive season.
    fn start(self, values: &[f64], m: usize) -> State {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let pair = |level: f64| (level, level / FIRST_RATIO);
        let count = if self == Kind::None { FIRST_VALUES.max(m) } else { m };
        let level = mean(&values[..count.min(values.len())]);
        match self {
            Kind::None => State { level: pair(level), season: Vec::new() },
            Kind::Simple => State { level: (0.0, 0.0), season: values[..m].iter().map(|value| pair(*value)).collect() },
            Kind::Partial => {
                State { level: pair(level), season: indices(values, m).map(|index| (index, 0.0)).collect() }
            }
            Kind::Full => State { level: pair(level), season: indices(values, m).map(pair).collect() },
        }
    }

    /// One step: the error, given by the forecast, and the states after it.
    fn step(self, constants: &Constants, state: &mut State, phase: usize, error_of: impl FnOnce(f64) -> f64) -> f64 {
        let [a0, a1, b0, b1] = *constants;
        let forecast = match self {
            Kind::None => state.level.0,
            Kind::Simple => state.season[phase].0,
            Kind::Partial | Kind::Full => state.level.0 + state.season[phase].0,
        };
        let error = error_of(forecast);
        match self {
            Kind::None => state.level = turned(state.level, (a0, a1), error),
            Kind::Simple => state.season[phase] = turned(state.season[phase], (a0, a1), error),
            Kind::Partial => {
                state.level = turned(state.level, (a0, a1), error);
                state.season[phase].0 += b0 * error;
            }
            Kind::Full => {
                state.level = turned(state.level, (a0, a1), error);
                state.season[phase] = turned(state.season[phase], (b0, b1), error);
            }
        }
        forecast
    }
}

/// A fitted kind.
#[derive(Debug, Clone)]
struct Fit {
    kind: Kind,
    m: usize,
    constants: Constants,
    criterion: f64,
}

impl Fit {
    fn of(values: &[f64], kind: Kind, m: usize) -> Fit {
        let start = kind.start(values, m);
        let mut state = start.clone();
        let mut constants = [1.3, 1.0, if kind == Kind::Partial { 0.1 } else { 1.3 }, 1.0];
        let free = kind.constants();
        let mut squares = |found: &[f64]| {
            let mut constants = [0.0; 4];
            constants[..free].copy_from_slice(found);
            state.clone_from(&start);
            let sum = run(values, kind, m, &constants, &mut state);
            if sum.is_finite() { sum } else { f64::INFINITY }
        };
        let least = search_box(&mut squares, &mut constants[..free], &RANGES[..free], RUNS_MAX * free);
        let (n, k) = (values.len() as f64, (kind.components() + 1) as f64);
        let correction = if n - k - 1.0 > 0.0 { 2.0 * k * (k + 1.0) / (n - k - 1.0) } else { f64::INFINITY };
        let criterion = n * least.max(f64::MIN_POSITIVE).ln() + 2.0 * k + correction;
        Fit { kind, m, constants, criterion }
    }

    fn forecast(&self, values: &[f64], horizon: usize) -> PointForecast {
        let mut state = self.kind.start(values, self.m);
        let squares = run(values, self.kind, self.m, &self.constants, &mut state);
        let freedom = values.len().saturating_sub(self.kind.components() + 1).max(1);
        let sigma = (squares / freedom as f64).sqrt();
        let n = values.len();
        let step = |h: usize| self.kind.step(&self.constants, &mut state, (n + h) % self.m, |_| 0.0);
        let points: Vec<f64> = (0..horizon).map(step).collect();
        let spreads = self.responses(n, horizon).scan(0.0, |sum: &mut f64, response| {
            *sum += response * response;
            Some(sigma * sum.sqrt())
        });
        PointForecast { values: points, spreads: spreads.collect(), model: self.kind.name().into(), fallback: None }
    }

    /// What an error of 1 does to the forecasts of the steps after it, beginning with itself.
    fn responses(&self, n: usize, horizon: usize) -> impl Iterator<Item = f64> {
        let mut state = State { level: (0.0, 0.0), season: vec![(0.0, 0.0); self.m] };
        let (kind, constants, m) = (self.kind, self.constants, self.m);
        (0..horizon).map(move |h| {
            let error = if h == 0 { 1.0 } else { 0.0 };
            let forecast = kind.step(&constants, &mut state, (n + h) % m, |_| error);
            if h == 0 { 1.0 } else { forecast }
        })
    }
}

/// Runs forwards, backwards and forwards again; leaves the last state and returns the squared errors of the last run.
fn run(values: &[f64], kind: Kind, m: usize, constants: &Constants, state: &mut State) -> f64 {
    let n = values.len();
    let mut pass = |steps: &mut dyn Iterator<Item = usize>| {
        let mut squares = 0.0;
        for t in steps {
            let mut error = 0.0;
            kind.step(constants, state, t % m, |forecast| {
                error = values[t] - forecast;
                error
            });
            squares += error * error;
        }
        squares
    };
    pass(&mut (0..n));
    pass(&mut (0..n).rev());
    pass(&mut (0..n))
}

/// The additive season of the classical decomposition, by phase.
fn indices(values: &[f64], m: usize) -> impl Iterator<Item = f64> {
    let season = crate::seasonality::additive_indices(values, m);
    season.into_iter()
}
