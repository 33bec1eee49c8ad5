//! The recursions of exponential smoothing, compiled for each combination of error, trend and season, and their gradients; what
//! they are optimised over and which is chosen is left to the rest of `ets`.
//!
//! Hyndman, Koehler, Ord and Snyder 2008, in the form where every error is written by the one in the level. With level l, slope
//! b, season s of the step's phase, damping φ:
//!
//! q = l + φ·b;   forecast f = q, q + s or q·s;   d = y − q, y − s − q or y ÷ s − q
//! l ← q + α·d;   b ← φ·b + β·d;   s ← s + γ·d or s + γ·(y ÷ q − s)
//!
//! which holds for additive errors e = y − f and, with multiplicative seasons or none, for relative ones e = (y − f) ÷ f too.
//! −2·log-likelihood is, but for a constant, n·ln Σe² and, for relative errors, + 2·Σ ln|f|. Its gradient in all smoothing
//! constants and all initial states comes from one pass backwards (adjoint differentiation), at about twice the cost of the pass
//! forwards, however many there are.

/// How errors enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Error {
    Additive,
    Multiplicative,
}

/// How the slope enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trend {
    None,
    Additive,
    Damped,
}

/// How the season enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seasonal {
    None,
    Additive,
    Multiplicative,
}

/// One of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) error: Error,
    pub(super) trend: Trend,
    pub(super) seasonal: Seasonal,
}

/// The constants; those that a form lacks are 0, and φ is 1 without damping and 0 without trend.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Constants {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) gamma: f64,
    pub(super) phi: f64,
}

/// Level, slope and the season by phase (step mod season length); without season one entry that is not read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    pub(super) level: f64,
    pub(super) slope: f64,
    pub(super) season: Vec<f64>,
}

/// What the pass backwards needs of each step.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    /// Level plus slope.
    q: f64,
    slope: f64,
    season: f64,
    forecast: f64,
    /// Change of the level before α.
    change: f64,
    /// Additive or relative.
    error: f64,
}

/// Room for one series' passes, used again from model to model.
#[derive(Debug, Default)]
pub(super) struct Tape {
    steps: Vec<Step>,
}

impl Tape {
    pub(super) fn errors(&self) -> impl Iterator<Item = f64> {
        self.steps.iter().map(|step| step.error)
    }
}

/// Gradient of −2·log-likelihood.
#[derive(Debug, Default)]
pub(super) struct Gradient {
    pub(super) constants: Constants,
    pub(super) state: State,
}

const ADDITIVE: u8 = 1;
const MULTIPLICATIVE: u8 = 2;

impl Form {
    /// Runs over the values from `state`, which becomes the last one; fills the tape and returns −2·log-likelihood without its
    /// constant, infinite where a forecast or level leaves the positive numbers that a multiplicative form needs.
    pub(super) fn pass(self, values: &[f64], constants: &Constants, state: &mut State, tape: &mut Tape) -> f64 {
        tape.steps.resize(values.len(), Step::default());
        let run = match (self.trend, self.seasonal) {
            (Trend::None, Seasonal::None) => forwards::<false, 0>,
            (Trend::None, Seasonal::Additive) => forwards::<false, ADDITIVE>,
            (Trend::None, Seasonal::Multiplicative) => forwards::<false, MULTIPLICATIVE>,
            (_, Seasonal::None) => forwards::<true, 0>,
            (_, Seasonal::Additive) => forwards::<true, ADDITIVE>,
            (_, Seasonal::Multiplicative) => forwards::<true, MULTIPLICATIVE>,
        };
        let is_positive = run(values, constants, state, &mut tape.steps);
        let n = values.len() as f64;
        let logs = match self.error {
            Error::Additive => {
                tape.steps.iter_mut().zip(values).for_each(|(step, value)| step.error = value - step.forecast);
                0.0
            }
            Error::Multiplicative => {
                let is_relative = is_positive && tape.steps.iter().all(|step| step.forecast > 0.0);
                if !is_relative {
                    return f64::INFINITY;
                }
                let relative = |(step, value): (&mut Step, &f64)| step.error = (value - step.forecast) / step.forecast;
                tape.steps.iter_mut().zip(values).for_each(relative);
                2.0 * sum_of_logs(&tape.steps)
            }
        };
        let squares: f64 = tape.steps.iter().map(|step| step.error * step.error).sum();
        let likelihood = n * squares.max(f64::MIN_POSITIVE).ln() + logs;
        if is_positive && likelihood.is_finite() { likelihood } else { f64::INFINITY }
    }

    /// The gradient at the pass that the tape holds.
    pub(super) fn gradient(self, values: &[f64], constants: &Constants, tape: &Tape, gradient: &mut Gradient) {
        let run = match (self.trend, self.seasonal) {
            (Trend::None, Seasonal::None) => backwards::<false, 0>,
            (Trend::None, Seasonal::Additive) => backwards::<false, ADDITIVE>,
            (Trend::None, Seasonal::Multiplicative) => backwards::<false, MULTIPLICATIVE>,
            (_, Seasonal::None) => backwards::<true, 0>,
            (_, Seasonal::Additive) => backwards::<true, ADDITIVE>,
            (_, Seasonal::Multiplicative) => backwards::<true, MULTIPLICATIVE>,
        };
        let squares: f64 = tape.steps.iter().map(|step| step.error * step.error).sum();
        let weight = 2.0 * values.len() as f64 / squares.max(f64::MIN_POSITIVE);
        run(values, constants, &tape.steps, (weight, self.error == Error::Multiplicative), gradient);
    }
}

/// Σ ln f, with one logarithm for several steps.
fn sum_of_logs(steps: &[Step]) -> f64 {
    /// Values of the size of a series' mean, to which all are scaled, do not overflow in so few factors.
    const FACTORS: usize = 8;
    steps.chunks(FACTORS).map(|chunk| chunk.iter().map(|step| step.forecast).product::<f64>().ln()).sum()
}

/// True unless a multiplicative season met a level or an index that is not positive.
fn forwards<const TREND: bool, const SEASON: u8>(
    values: &[f64],
    &Constants { alpha, beta, gamma, phi }: &Constants,
    state: &mut State,
    steps: &mut [Step],
) -> bool {
    let (mut level, mut slope) = (state.level, state.slope);
    let period = state.season.len();
    let mut is_positive = true;
    for (values, steps) in values.chunks(period).zip(steps.chunks_mut(period)) {
        for ((y, step), season) in values.iter().zip(steps).zip(&mut state.season) {
            let q = if TREND { level + phi * slope } else { level };
            let s = *season;
            let (forecast, change) = match SEASON {
                ADDITIVE => (q + s, y - s - q),
                MULTIPLICATIVE => (q * s, y / s - q),
                _ => (q, y - q),
            };
            *step = Step { q, slope, season: s, forecast, change, error: 0.0 };
            level = q + alpha * change;
            if TREND {
                slope = phi * slope + beta * change;
            }
            match SEASON {
                ADDITIVE => *season = s + gamma * change,
                MULTIPLICATIVE => {
                    is_positive &= q > 0.0 && s > 0.0;
                    *season = s + gamma * (y / q - s);
                }
                _ => {}
            }
        }
    }
    (state.level, state.slope) = (level, slope);
    is_positive
}

/// Carries the derivatives from the last step to the first; `weight` is ∂(−2·log-likelihood) ÷ ∂e ÷ e.
fn backwards<const TREND: bool, const SEASON: u8>(
    values: &[f64],
    &Constants { alpha, beta, gamma, phi }: &Constants,
    steps: &[Step],
    (weight, is_relative): (f64, bool),
    gradient: &mut Gradient,
) {
    let (mut of_level, mut of_slope) = (0.0, 0.0);
    let of_season = &mut gradient.state.season;
    of_season.fill(0.0);
    let period = of_season.len();
    let mut of = Constants::default();
    for (values, steps) in values.chunks(period).zip(steps.chunks(period)).rev() {
        for ((y, step), of_season) in values.iter().zip(steps).zip(of_season.iter_mut()).rev() {
            let inverse = if is_relative { 1.0 / step.forecast } else { 0.0 };
            let of_forecast =
                if is_relative { (2.0 - weight * step.error * y * inverse) * inverse } else { -weight * step.error };
            of.alpha += of_level * step.change;
            let mut of_change = alpha * of_level;
            if TREND {
                of.beta += of_slope * step.change;
                of_change += beta * of_slope;
            }
            let mut of_q = of_level;
            match SEASON {
                ADDITIVE => {
                    of.gamma += *of_season * step.change;
                    of_change += gamma * *of_season;
                    of_q += of_forecast - of_change;
                    *of_season += of_forecast - of_change;
                }
                MULTIPLICATIVE => {
                    let (s, q) = (step.season, step.q);
                    // y ÷ q and y ÷ s from what the pass forwards found.
                    let (by_season, by_level) = (step.change + q, (step.change + q) * s / q);
                    of.gamma += *of_season * (by_level - s);
                    of_q += of_forecast * s - of_change - gamma * *of_season * by_level / q;
                    *of_season = *of_season * (1.0 - gamma) + of_forecast * q - of_change * by_season / s;
                }
                _ => of_q += of_forecast - of_change,
            }
            of_level = of_q;
            if TREND {
                of.phi += step.slope * (of_q + of_slope);
                of_slope = phi * (of_q + of_slope);
            }
        }
    }
    gradient.constants = of;
    (gradient.state.level, gradient.state.slope) = (of_level, of_slope);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERRORS: [Error; 2] = [Error::Additive, Error::Multiplicative];
    const TRENDS: [Trend; 3] = [Trend::None, Trend::Additive, Trend::Damped];
    const SEASONALS: [Seasonal; 3] = [Seasonal::None, Seasonal::Additive, Seasonal::Multiplicative];

    fn forms() -> impl Iterator<Item = Form> {
        let all = ERRORS.into_iter().flat_map(|error| {
            TRENDS.into_iter().flat_map(move |trend| SEASONALS.map(|seasonal| Form { error, trend, seasonal }))
        });
        all.filter(|form| !(form.error == Error::Additive && form.seasonal == Seasonal::Multiplicative))
    }

    fn values() -> Vec<f64> {
        let noise = |t: usize| ((t * 7919 + 13) % 101) as f64 / 101.0 - 0.5;
        (0..31).map(|t| (1.0 + 0.02 * t as f64) * [0.8, 1.1, 1.3, 0.8][t % 4] + 0.2 * noise(t)).collect()
    }

    fn constants(form: Form) -> Constants {
        let phi = match form.trend {
            Trend::None => 0.0,
            Trend::Additive => 1.0,
            Trend::Damped => 0.9,
        };
        let beta = if form.trend == Trend::None { 0.0 } else { 0.07 };
        let gamma = if form.seasonal == Seasonal::None { 0.0 } else { 0.12 };
        Constants { alpha: 0.35, beta, gamma, phi }
    }

    fn state(form: Form) -> State {
        let season = match form.seasonal {
            Seasonal::None => vec![0.0],
            Seasonal::Additive => vec![-0.2, 0.1, 0.25, -0.15],
            Seasonal::Multiplicative => vec![0.82, 1.08, 1.28, 0.83],
        };
        State { level: 0.98, slope: if form.trend == Trend::None { 0.0 } else { 0.02 }, season }
    }

    /// The equations of the book's table 2.2 and 2.3, each form written by its own error.
    fn textbook(form: Form, values: &[f64]) -> f64 {
        let Constants { alpha, beta, gamma, phi } = constants(form);
        let State { mut level, mut slope, mut season } = state(form);
        let (mut squares, mut logs) = (0.0, 0.0);
        for (t, y) in values.iter().enumerate() {
            let (q, place) = (level + phi * slope, t % season.len());
            let s = season[place];
            let mean = match form.seasonal {
                Seasonal::None => q,
                Seasonal::Additive => q + s,
                Seasonal::Multiplicative => q * s,
            };
            let (error, shift) = match (form.error, form.seasonal) {
                (Error::Additive, _) => (y - mean, y - mean),
                (Error::Multiplicative, Seasonal::Multiplicative) => ((y - mean) / mean, q * (y - mean) / mean),
                (Error::Multiplicative, _) => ((y - mean) / mean, y - mean),
            };
            level = q + alpha * shift;
            slope = phi * slope + beta * shift;
            season[place] = match form.seasonal {
                Seasonal::Multiplicative => s * (1.0 + gamma * error),
                _ => s + gamma * shift,
            };
            squares += error * error;
            logs += if form.error == Error::Multiplicative { mean.ln() } else { 0.0 };
        }
        values.len() as f64 * f64::ln(squares) + 2.0 * logs
    }

    #[test]
    fn every_form_follows_the_textbook() {
        for form in forms() {
            let (mut state, mut tape) = (state(form), Tape::default());
            let found = form.pass(&values(), &constants(form), &mut state, &mut tape);
            let expected = textbook(form, &values());
            assert!((found - expected).abs() < 1e-9, "{form:?}: {found} {expected}");
        }
    }

    #[test]
    fn every_gradient_is_what_small_steps_find() {
        let values = values();
        for form in forms() {
            let at = |constants: &Constants, state: &State| {
                form.pass(&values, constants, &mut state.clone(), &mut Tape::default())
            };
            let (mut tape, mut last) = (Tape::default(), state(form));
            form.pass(&values, &constants(form), &mut last, &mut tape);
            let mut gradient = Gradient { state: state(form), ..Gradient::default() };
            form.gradient(&values, &constants(form), &tape, &mut gradient);
            let mut pairs = Vec::new();
            let mut push = |name: &str, found: f64, nudge: &dyn Fn(&mut Constants, &mut State, f64)| {
                let one = |step: f64| {
                    let (mut constants, mut state) = (constants(form), state(form));
                    nudge(&mut constants, &mut state, step);
                    at(&constants, &state)
                };
                pairs.push((name.to_owned(), found, (one(1e-6) - one(-1e-6)) / 2e-6));
            };
            let of = gradient.constants;
            push("alpha", of.alpha, &|constants, _, step| constants.alpha += step);
            push("level", gradient.state.level, &|_, state, step| state.level += step);
            if form.trend != Trend::None {
                push("beta", of.beta, &|constants, _, step| constants.beta += step);
                push("phi", of.phi, &|constants, _, step| constants.phi += step);
                push("slope", gradient.state.slope, &|_, state, step| state.slope += step);
            }
            if form.seasonal != Seasonal::None {
                push("gamma", of.gamma, &|constants, _, step| constants.gamma += step);
                for (place, found) in gradient.state.season.iter().enumerate() {
                    push("season", *found, &|_, state, step| state.season[place] += step);
                }
            }
            for (name, found, expected) in pairs {
                assert!(
                    (found - expected).abs() < 1e-4 * (1.0 + expected.abs()),
                    "{form:?} {name}: {found} {expected}"
                );
            }
        }
    }
}
