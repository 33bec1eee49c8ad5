//! Exponential smoothing in state space (ETS) with automatic choice of its form; multiplicative trends and forms whose variance
//! is unstable are left out.
//!
//! Hyndman, Koehler, Snyder and Grose 2002; Hyndman, Koehler, Ord and Snyder 2008. The forms are error {A, M} × trend {N, A, Ad} ×
//! season {N, A, M} without additive errors beside multiplicative seasons; those with M need positive values. Each is fitted by
//! maximum likelihood in its smoothing constants and first states together: BFGS on exact gradients (`recursion`), with the
//! constants held inside 0 < α < 1, 0 < β < α, 0 < γ < 1 − α, .8 < φ < .98 by logistic variables. Of all forms that with the
//! smallest AICc = −2·log-likelihood + 2k + 2k·(k + 1) ÷ (n − k − 1) is chosen, k counting constants, free first states and the
//! variance.
//!
//! Spread at step h: σ²·(1 + Σⱼ₌₁..ₕ₋₁ cⱼ²) with cⱼ = α + β·(φ + … + φʲ) + γ·[m divides j] for additive errors; for relative ones
//! the first order of the same: σ²·(μₕ² + Σ cⱼ²·μₕ₋ⱼ²), and with multiplicative seasons σ²·μₕ²·(1 + Σ cⱼ²).

mod recursion;
mod start;

use crate::optimise::{Stop, minimise};
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon};
use recursion::{Constants, Error, Form, Gradient, Seasonal, State, Tape, Trend};
use start::Starts;

/// Fewest values that are fitted.
const SHORTEST: usize = 4;
/// Longer seasons have too many first states for one recursion; they are left to `Mstl`.
pub(crate) const LONGEST_SEASON: usize = 24;
/// Of a longer series only the latest values are fitted: what lies further back has no weight left.
const LONGEST_FITTED: usize = 4_000;
/// When a fit ends: −2·log-likelihoods closer than this are alike to AICc.
const STOP: Stop = Stop { steps_max: 60, fall: 2e-3 };
/// Ranges of the constants.
const ALPHA: (f64, f64) = (1e-4, 0.9999);
const PHI: (f64, f64) = (0.8, 0.98);
/// Where the search begins.
const FIRST: Constants = Constants { alpha: 0.3, beta: 0.1, gamma: 0.1, phi: 0.95 };

/// Exponential smoothing whose form is chosen by AICc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ets {
    /// False leaves seasons out, for series whose season was taken out before.
    pub with_season: bool,
}

impl Default for Ets {
    fn default() -> Ets {
        Ets { with_season: true }
    }
}

impl Method for Ets {
    fn name(&self) -> &'static str {
        "ets"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        series.need(self.name(), SHORTEST)?;
        let values = series.values();
        let values = &values[values.len().saturating_sub(LONGEST_FITTED)..];
        let m = series.season_length();
        let is_seasonal = self.with_season && (2..=LONGEST_SEASON).contains(&m) && values.len() >= 2 * m;
        let mut search = Search::of(values, if is_seasonal { m } else { 1 });
        search.run();
        let best =
            search.best.ok_or(ForecastError::TooShort { method: "ets", needed: SHORTEST + 1, found: values.len() })?;
        Ok(best.forecast(values, search.scale, horizon))
    }
}

/// A fitted form.
#[derive(Debug, Clone)]
struct Fit {
    form: Form,
    constants: Constants,
    first: State,
    criterion: f64,
    parameters: usize,
}

/// The fits of one series' forms, best kept.
struct Search {
    scale: f64,
    scaled: Vec<f64>,
    period: usize,
    is_positive: bool,
    tape: Tape,
    best: Option<Fit>,
}

impl Search {
    fn of(values: &[f64], period: usize) -> Search {
        let size = values.iter().map(|value| value.abs()).sum::<f64>() / values.len() as f64;
        let scale = if size > 0.0 { size } else { 1.0 };
        let scaled = values.iter().map(|value| value / scale).collect();
        let is_positive = values.iter().all(|value| *value > 0.0);
        Search { scale, scaled, period, is_positive, tape: Tape::default(), best: None }
    }

    fn run(&mut self) {
        let scaled = std::mem::take(&mut self.scaled);
        let starts = Starts::of(&scaled, self.period);
        let seasonals: &[Seasonal] = match (self.period > 1, self.is_positive) {
            (false, _) => &[Seasonal::None],
            (true, false) => &[Seasonal::None, Seasonal::Additive],
            (true, true) => &[Seasonal::None, Seasonal::Additive, Seasonal::Multiplicative],
        };
        let errors: &[Error] =
            if self.is_positive { &[Error::Additive, Error::Multiplicative] } else { &[Error::Additive] };
        for &seasonal in seasonals {
            for &error in errors {
                if error == Error::Additive && seasonal == Seasonal::Multiplicative {
                    continue;
                }
                for trend in [Trend::None, Trend::Additive, Trend::Damped] {
                    let form = Form { error, trend, seasonal };
                    let fit = self.fit(&scaled, form, starts.state(trend, seasonal));
                    let is_better = |best: &Fit| fit.as_ref().is_some_and(|fit| fit.criterion < best.criterion);
                    if self.best.as_ref().is_none_or(is_better) {
                        self.best = fit.or(self.best.take());
                    }
                }
            }
        }
    }

    /// None where the series is too short for the form, or leaves its domain at once.
    fn fit(&mut self, values: &[f64], form: Form, first: State) -> Option<Fit> {
        let parameters = form.parameters(self.period);
        if parameters + 1 >= values.len() {
            return None;
        }
        let mut variables = Variables::of(form, first);
        let mut x = variables.start();
        let tape = &mut self.tape;
        let (mut gradient, mut state) = (Gradient::default(), State::default());
        gradient.state.season = vec![0.0; variables.first.season.len()];
        let objective = |x: &[f64], slopes: &mut [f64]| {
            variables.read(x);
            state.clone_from(&variables.first);
            let likelihood = form.pass(values, &variables.constants, &mut state, tape);
            if likelihood.is_finite() {
                form.gradient(values, &variables.constants, tape, &mut gradient);
                variables.chain(x, &gradient, slopes);
            }
            likelihood
        };
        let likelihood = minimise(objective, &mut x, STOP);
        if !likelihood.is_finite() {
            return None;
        }
        variables.read(&x);
        let (n, k) = (values.len() as f64, parameters as f64);
        let criterion = likelihood + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0);
        Some(Fit { form, constants: variables.constants, first: variables.first, criterion, parameters })
    }
}

impl Form {
    /// Constants, free first states and the variance.
    fn parameters(self, period: usize) -> usize {
        let trend = match self.trend {
            Trend::None => 0,
            Trend::Additive => 2,
            Trend::Damped => 3,
        };
        // One of the indices follows from the others: their mean is the level's.
        let season = if self.seasonal == Seasonal::None { 0 } else { period };
        3 + trend + season
    }

    fn name(self) -> String {
        let error = if self.error == Error::Additive { "A" } else { "M" };
        let trend = match self.trend {
            Trend::None => "N",
            Trend::Additive => "A",
            Trend::Damped => "Ad",
        };
        let season = match self.seasonal {
            Seasonal::None => "N",
            Seasonal::Additive => "A",
            Seasonal::Multiplicative => "M",
        };
        format!("ETS({error},{trend},{season})")
    }
}

/// The variables of the optimiser and what they mean: logistic places of the constants in their ranges, then the first states.
struct Variables {
    form: Form,
    constants: Constants,
    first: State,
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

impl Variables {
    fn of(form: Form, first: State) -> Variables {
        Variables { form, constants: FIRST, first }
    }

    fn start(&self) -> Vec<f64> {
        let mut x = vec![logit((FIRST.alpha - ALPHA.0) / (ALPHA.1 - ALPHA.0)), self.first.level];
        if self.form.trend != Trend::None {
            x.extend([logit(FIRST.beta / FIRST.alpha), self.first.slope]);
        }
        if self.form.trend == Trend::Damped {
            x.push(logit((FIRST.phi - PHI.0) / (PHI.1 - PHI.0)));
        }
        if self.form.seasonal != Seasonal::None {
            x.push(logit(FIRST.gamma / (1.0 - FIRST.alpha)));
            x.extend_from_slice(&self.first.season);
        }
        x
    }

    fn read(&mut self, x: &[f64]) {
        let mut next = x.iter().copied();
        let mut take = || next.next().unwrap_or(0.0);
        let alpha = ALPHA.0 + (ALPHA.1 - ALPHA.0) * logistic(take());
        self.first.level = take();
        self.constants = Constants { alpha, ..Constants::default() };
        if self.form.trend != Trend::None {
            self.constants.beta = alpha * logistic(take());
            self.first.slope = take();
            self.constants.phi = 1.0;
        }
        if self.form.trend == Trend::Damped {
            self.constants.phi = PHI.0 + (PHI.1 - PHI.0) * logistic(take());
        }
        if self.form.seasonal != Seasonal::None {
            self.constants.gamma = (1.0 - alpha) * logistic(take());
            self.first.season.iter_mut().for_each(|index| *index = take());
        }
    }

    /// Derivatives in the variables from those in constants and states.
    fn chain(&self, x: &[f64], gradient: &Gradient, slopes: &mut [f64]) {
        let (of, at) = (&gradient.constants, &self.constants);
        let bend = |x: f64| logistic(x) * (1.0 - logistic(x));
        let mut of_alpha = of.alpha;
        slopes[1] = gradient.state.level;
        let mut place = 2;
        if self.form.trend != Trend::None {
            of_alpha += of.beta * at.beta / at.alpha;
            slopes[2] = of.beta * at.alpha * bend(x[2]);
            slopes[3] = gradient.state.slope;
            place = 4;
        }
        if self.form.trend == Trend::Damped {
            slopes[4] = of.phi * (PHI.1 - PHI.0) * bend(x[4]);
            place = 5;
        }
        if self.form.seasonal != Seasonal::None {
            of_alpha -= of.gamma * at.gamma / (1.0 - at.alpha);
            slopes[place] = of.gamma * (1.0 - at.alpha) * bend(x[place]);
            slopes[place + 1..].copy_from_slice(&gradient.state.season);
        }
        slopes[0] = of_alpha * (ALPHA.1 - ALPHA.0) * bend(x[0]);
    }
}

impl Fit {
    fn forecast(&self, values: &[f64], scale: f64, horizon: usize) -> PointForecast {
        let scaled: Vec<f64> = values.iter().map(|value| value / scale).collect();
        let (mut state, mut tape) = (self.first.clone(), Tape::default());
        self.form.pass(&scaled, &self.constants, &mut state, &mut tape);
        let points = self.points(&state, values.len(), horizon);
        let sigma = crate::series::deviation(tape.errors(), self.parameters - 1);
        let spreads = self.spreads(&points, sigma);
        PointForecast {
            values: points.into_iter().map(|point| point * scale).collect(),
            spreads: spreads.into_iter().map(|spread| spread * scale).collect(),
            model: self.form.name().into(),
            fallback: None,
        }
    }

    fn points(&self, state: &State, n: usize, horizon: usize) -> Vec<f64> {
        let (mut q, mut slope) = (state.level, state.slope);
        let step = |h: usize| {
            slope *= self.constants.phi;
            q += slope;
            let season = state.season[(n + h) % state.season.len()];
            match self.form.seasonal {
                Seasonal::None => q,
                Seasonal::Additive => q + season,
                Seasonal::Multiplicative => q * season,
            }
        };
        (0..horizon).map(step).collect()
    }

    fn spreads(&self, points: &[f64], sigma: f64) -> Vec<f64> {
        let Constants { alpha, beta, gamma, phi } = self.constants;
        let period = self.first.season.len();
        let (mut damped, mut power) = (0.0, 1.0);
        let mut carried = vec![1.0];
        for j in 1..points.len() {
            power *= phi;
            damped += power;
            let season = if j.is_multiple_of(period) { gamma } else { 0.0 };
            carried.push(alpha + beta * damped + season);
        }
        let variance = |h: usize| -> f64 {
            let earlier = || carried[..=h].iter().zip(points[..=h].iter().rev());
            match (self.form.error, self.form.seasonal) {
                (Error::Additive, _) => carried[..=h].iter().map(|c| c * c).sum(),
                (Error::Multiplicative, Seasonal::Multiplicative) => {
                    carried[..=h].iter().map(|c| (c * points[h]).powi(2)).sum()
                }
                (Error::Multiplicative, _) => earlier().map(|(c, point)| (c * point).powi(2)).sum(),
            }
        };
        (0..points.len()).map(|h| sigma * variance(h).sqrt()).collect()
    }
}
