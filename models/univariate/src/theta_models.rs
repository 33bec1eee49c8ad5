//! The four state-space Theta models, standard and optimised, static and dynamic, and the choice among them; seasons other than
//! fixed ones are left out.
//!
//! Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler 2016. With level ℓ, smoothing α and the weight w = 1 − 1 ÷ θ of the line,
//!
//! μₜ = ℓₜ₋₁ + w·{(1 − α)ᵗ⁻¹·A + [1 − (1 − α)ᵗ] ÷ α · B},   ℓₜ = α·yₜ + (1 − α)·ℓₜ₋₁
//!
//! where A + B·t is the straight line through all values (static) or through those until t − 1 (dynamic): with the mean ȳ,
//! Bₜ = [(t − 2)·Bₜ₋₁ + 6·(yₜ − ȳₜ₋₁) ÷ t] ÷ (t + 1) and Aₜ = ȳₜ − Bₜ·(t + 1) ÷ 2. Steps ahead are found by putting each μ in
//! place of the value. The season is taken out before and put back after as in `seasonality`.
//!
//! For a given α, μ is linear in ℓ₀ and w, so that both come from two normal equations of one pass; α alone is searched.

use crate::optimise::minimum_between;
use crate::seasonality::Season;
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};
use crate::theta::straight_line;

/// Fewest values: two lines and two constants are fitted.
const SHORTEST: usize = 4;
/// The first errors are not counted: a line through one or two points says nothing.
const UNCOUNTED: usize = 3;
/// Range of the smoothing constant.
const ALPHAS: (f64, f64) = (0.1, 0.99);
/// Points of the first, coarse search, and golden-section steps after it.
const COARSE_STEPS: usize = 12;
const FINE_STEPS: usize = 10;
/// Weight of the line for θ = 2.
const STANDARD_WEIGHT: f64 = 0.5;
/// Largest weight of the line; 1 would be θ = ∞.
const LARGEST_WEIGHT: f64 = 1.0;

/// A state-space Theta model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThetaModel {
    /// STM: θ = 2, one line.
    Standard,
    /// OTM: θ of at least 1 is fitted, one line.
    Optimised,
    /// DSTM: θ = 2, a line that learns with each value.
    DynamicStandard,
    /// DOTM: θ of at least 1 is fitted, a line that learns with each value.
    DynamicOptimised,
}

/// The one of the four Theta models with the smallest squared one-step errors.
#[derive(Debug, Clone, Copy, Default)]
pub struct AutoTheta;

const ALL: [ThetaModel; 4] =
    [ThetaModel::Standard, ThetaModel::Optimised, ThetaModel::DynamicStandard, ThetaModel::DynamicOptimised];

impl Method for ThetaModel {
    fn name(&self) -> &'static str {
        match self {
            ThetaModel::Standard => "stm",
            ThetaModel::Optimised => "otm",
            ThetaModel::DynamicStandard => "dstm",
            ThetaModel::DynamicOptimised => "dotm",
        }
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        series.need(self.name(), SHORTEST)?;
        let plain = Plain::of(series);
        Ok(plain.continued(&plain.fit(*self), *self, horizon))
    }
}

impl Method for AutoTheta {
    fn name(&self) -> &'static str {
        "auto_theta"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        series.need(self.name(), SHORTEST)?;
        let plain = Plain::of(series);
        let mut best = (ThetaModel::Standard, plain.fit(ThetaModel::Standard));
        for model in ALL.into_iter().skip(1) {
            let fit = plain.fit(model);
            if fit.squared_errors < best.1.squared_errors {
                best = (model, fit);
            }
        }
        Ok(plain.continued(&best.1, best.0, horizon))
    }
}

/// A series without its season, moved to begin at zero, and the line through it.
struct Plain {
    season: Season,
    start: f64,
    values: Vec<f64>,
    line: (f64, f64),
}

#[derive(Debug, Clone, Copy)]
struct Fit {
    alpha: f64,
    first_level: f64,
    weight: f64,
    squared_errors: f64,
}

/// The line that is learned from the values so far.
#[derive(Debug, Clone, Copy)]
struct Line {
    count: f64,
    mean: f64,
    intercept: f64,
    slope: f64,
}

impl Line {
    fn through_first(value: f64) -> Line {
        Line { count: 1.0, mean: value, intercept: value, slope: 0.0 }
    }

    fn learn(&mut self, value: f64) {
        self.count += 1.0;
        let t = self.count;
        self.slope = ((t - 2.0) * self.slope + 6.0 * (value - self.mean) / t) / (t + 1.0);
        self.mean += (value - self.mean) / t;
        self.intercept = self.mean - self.slope * (t + 1.0) / 2.0;
    }
}

impl Plain {
    fn of(series: &Series) -> Plain {
        let season = Season::of(series);
        let mut values: Vec<f64> =
            series.values().iter().enumerate().map(|(t, value)| season.removed(t, *value)).collect();
        let start = values[0];
        values.iter_mut().for_each(|value| *value -= start);
        let (at_zero, slope) = straight_line(&values);
        // Steps are counted from 1 in the equations.
        Plain { season, start, line: (at_zero - slope, slope), values }
    }

    /// The lines that are known before each value from the second on.
    fn lines(&self, model: ThetaModel) -> Vec<(f64, f64)> {
        match model {
            ThetaModel::Standard | ThetaModel::Optimised => vec![self.line; self.values.len() - 1],
            ThetaModel::DynamicStandard | ThetaModel::DynamicOptimised => {
                let mut line = Line::through_first(self.values[0]);
                let until = self.values.len() - 1;
                let mut lines = vec![(line.intercept, line.slope)];
                lines.extend(self.values[1..until].iter().map(|value| {
                    line.learn(*value);
                    (line.intercept, line.slope)
                }));
                lines
            }
        }
    }

    fn fit(&self, model: ThetaModel) -> Fit {
        let lines = self.lines(model);
        let loss = |alpha: f64| self.solve(model, &lines, alpha).squared_errors;
        self.solve(model, &lines, minimum_between(loss, ALPHAS, COARSE_STEPS, FINE_STEPS))
    }

    /// The best first level and weight for a smoothing constant.
    fn solve(&self, model: ThetaModel, lines: &[(f64, f64)], alpha: f64) -> Fit {
        // Each value less the level that a first level of 0 would give is first·decay + weight·drift, as near as can be.
        let (mut level, mut decay) = (alpha * self.values[0], 1.0 - alpha);
        let uncounted = UNCOUNTED.min(self.values.len() - 2) - 1;
        let mut sums = Sums::default();
        for (at, (value, (intercept, slope))) in self.values[1..].iter().zip(lines).enumerate() {
            let drift = decay * intercept + (1.0 - decay * (1.0 - alpha)) / alpha * slope;
            if at >= uncounted {
                sums.add(decay, drift, value - level);
            }
            level += alpha * (value - level);
            decay *= 1.0 - alpha;
        }
        let weight = match model {
            ThetaModel::Standard | ThetaModel::DynamicStandard => STANDARD_WEIGHT,
            _ => sums.best_weight().clamp(0.0, LARGEST_WEIGHT),
        };
        let first_level = sums.first_level(weight);
        Fit { alpha, first_level, weight, squared_errors: sums.squared_errors(first_level, weight) }
    }

    fn continued(&self, fit: &Fit, model: ThetaModel, horizon: usize) -> PointForecast {
        let is_dynamic = matches!(model, ThetaModel::DynamicStandard | ThetaModel::DynamicOptimised);
        let alpha = fit.alpha;
        let (mut level, mut decay) = (fit.first_level, 1.0);
        let mut line = Line::through_first(self.values[0]);
        for (t, value) in self.values.iter().enumerate() {
            level += alpha * (value - level);
            decay *= 1.0 - alpha;
            if t > 0 {
                line.learn(*value);
            }
        }
        let n = self.values.len();
        let counted = n - 1 - (UNCOUNTED.min(n - 2) - 1);
        let spread = (fit.squared_errors / counted.saturating_sub(3).max(1) as f64).sqrt();
        let (mut values, mut spreads) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
        for h in 0..horizon {
            let (intercept, slope) = if is_dynamic { (line.intercept, line.slope) } else { self.line };
            let drift = decay * intercept + (1.0 - decay * (1.0 - alpha)) / alpha * slope;
            let next = level + fit.weight * drift;
            values.push(self.season.restored(n + h, next + self.start));
            spreads.push(self.season.widened(n + h, spread * (1.0 + h as f64 * alpha * alpha).sqrt()));
            level += alpha * (next - level);
            decay *= 1.0 - alpha;
            line.learn(next);
        }
        PointForecast { values, spreads, model: model.name().into(), fallback: None }
    }
}

/// Sums of products of two columns and a target.
#[derive(Default)]
struct Sums {
    decay_decay: f64,
    decay_drift: f64,
    drift_drift: f64,
    decay_target: f64,
    drift_target: f64,
    target_target: f64,
}

impl Sums {
    fn add(&mut self, decay: f64, drift: f64, target: f64) {
        self.decay_decay += decay * decay;
        self.decay_drift += decay * drift;
        self.drift_drift += drift * drift;
        self.decay_target += decay * target;
        self.drift_target += drift * target;
        self.target_target += target * target;
    }

    /// The weight of the line at the least sum of squares; the standard one where values do not tell.
    fn best_weight(&self) -> f64 {
        let determinant = self.decay_decay * self.drift_drift - self.decay_drift * self.decay_drift;
        if determinant <= 1e-12 * self.decay_decay * self.drift_drift {
            return STANDARD_WEIGHT;
        }
        (self.decay_decay * self.drift_target - self.decay_drift * self.decay_target) / determinant
    }

    fn first_level(&self, weight: f64) -> f64 {
        if self.decay_decay > 0.0 { (self.decay_target - weight * self.decay_drift) / self.decay_decay } else { 0.0 }
    }

    fn squared_errors(&self, first: f64, weight: f64) -> f64 {
        let crossed = first * weight * self.decay_drift - first * self.decay_target - weight * self.drift_target;
        let squares = first * first * self.decay_decay + weight * weight * self.drift_drift;
        (self.target_target + squares + 2.0 * crossed).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Vec<f64> {
        (0..40).map(|t| ((t * 7919 + 13) % 101) as f64 / 101.0 * 10.0 + 0.3 * t as f64 + 20.0).collect()
    }

    /// The paper's equations step by step, and the squared errors from the fourth value on.
    fn by_formula(values: &[f64], alpha: f64, first_level: f64, theta: f64) -> f64 {
        let (mut level, mut squares) = (alpha * values[0] + (1.0 - alpha) * first_level, 0.0);
        for t in 1..values.len() {
            // The least-squares line through the first t values, at steps 1 to t.
            let (a, b) = if t == 1 {
                (values[0], 0.0)
            } else {
                let (at_zero, slope) = straight_line(&values[..t]);
                (at_zero - slope, slope)
            };
            let power = (1.0 - alpha).powi(t as i32);
            let forecast = level + (1.0 - 1.0 / theta) * (power * a + (1.0 - power * (1.0 - alpha)) / alpha * b);
            squares += if t >= UNCOUNTED { (values[t] - forecast).powi(2) } else { 0.0 };
            level = alpha * values[t] + (1.0 - alpha) * level;
        }
        squares
    }

    #[test]
    fn the_dynamic_model_follows_its_formulas_and_no_neighbour_is_better() {
        let values = values();
        let series = Series::new(&values, 1).expect("good");
        let plain = Plain::of(&series);
        let fit = plain.fit(ThetaModel::DynamicOptimised);
        let theta = 1.0 / (1.0 - fit.weight);
        let moved: Vec<f64> = values.iter().map(|value| value - values[0]).collect();
        let at = |alpha, first, theta| by_formula(&moved, alpha, first, theta);
        let found = at(fit.alpha, fit.first_level, theta);
        assert!((found - fit.squared_errors).abs() < 1e-6 * found, "{found} {fit:?}");
        for step in [-0.01, 0.01] {
            assert!(at(fit.alpha, fit.first_level + step, theta) >= found);
            assert!(at(fit.alpha, fit.first_level, theta + step) >= found);
            assert!(at((fit.alpha + step).max(ALPHAS.0), fit.first_level, theta) >= found);
        }
    }
}
