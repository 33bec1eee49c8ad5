//! A combination of methods whose weights depend on what a series is like, and how they are learned; it fits no method itself.
//!
//! In the spirit of Montero-Manso et al. 2020 (FFORMA, second of the M4 competition) with a linear model in place of boosted
//! trees: with features x of the series, member i weighs softmaxᵢ(aᵢ + Wᵢ·x), where the constants a prefer the median of three,
//! and the forecast is the weighted mean of the members'. W minimises, over series with known continuations, the mean of sMAPE
//! and MASE relative to Naive2's (OWA) of the combination plus a ridge, by BFGS on the exact gradient: combinations are judged
//! whole, so that members that err in opposite directions are found.

use crate::accuracy::seasonal_scale;
use crate::ces::Ces;
use crate::combination::median;
use crate::ets::Ets;
use crate::fallback::forecast_or_simpler;
use crate::mstl::Mstl;
use crate::naive::{Naive2, SeasonalNaive};
use crate::optimise::{Stop, minimise};
use crate::seasonality::{Season, mean};
use crate::series::{ForecastError, MAX_HORIZON, Method, PointForecast, Series, check_horizon, deviation};
use crate::theta::{Theta, straight_line};
use crate::theta_models::ThetaModel;
use crate::weights::WEIGHTS;

/// Methods that are combined; the median of the first three is one more member.
const METHODS: [&dyn Method; 8] = [
    &Ets { with_season: true },
    &Ces,
    &ThetaModel::DynamicOptimised,
    &ThetaModel::Optimised,
    &Theta,
    &Mstl,
    &Naive2,
    &SeasonalNaive,
];
/// Members of the combination.
pub const MEMBERS: usize = METHODS.len() + 1;
/// What a series is described by.
pub const FEATURES: usize = 14;
/// Members that the answer names.
const NAMED: usize = 3;
/// Logit of the median of three before anything is learned; the others' are 0.
const MEDIAN_FIRST: f64 = 2.0;

/// The combination with the weights that were learned on competition data.
#[derive(Debug, Clone, Copy, Default)]
pub struct Learned;

impl Method for Learned {
    fn name(&self) -> &'static str {
        "learned"
    }

    fn forecast(&self, series: &Series, horizon: usize) -> Result<PointForecast, ForecastError> {
        check_horizon(horizon, MAX_HORIZON)?;
        let members = Members::of(series, horizon)?;
        let shares = shares(&WEIGHTS, &members.features);
        Ok(PointForecast {
            values: blend(&members.values, &shares),
            spreads: blend(&members.spreads, &shares),
            model: in_words(&shares).into(),
            fallback: members.fallback,
        })
    }
}

/// What the combination mostly is: its heaviest members.
fn in_words(shares: &[f64; MEMBERS]) -> String {
    let mut members: Vec<usize> = (0..MEMBERS).collect();
    members.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]));
    let share = |member: &usize| format!("{:.0} % {}", 100.0 * shares[*member], member_name(*member));
    let named: Vec<String> = members.iter().take(NAMED).map(share).collect();
    format!("weighted mean of {MEMBERS} methods, mostly {}", named.join(", "))
}

fn member_name(member: usize) -> &'static str {
    METHODS.get(member).map_or("median", |method| method.name())
}

/// The members' forecasts of one series, and its features.
#[derive(Debug, Clone)]
pub struct Members {
    /// One list of values for each member.
    pub values: Vec<Vec<f64>>,
    spreads: Vec<Vec<f64>>,
    /// What the series is like.
    pub features: [f64; FEATURES],
    fallback: Option<String>,
}

impl Members {
    /// Runs all members; one that fails is replaced by a simpler method, which is told.
    ///
    /// # Errors
    /// When the horizon is out of range.
    pub fn of(series: &Series, horizon: usize) -> Result<Members, ForecastError> {
        let (mut values, mut spreads, mut fallbacks) = (Vec::new(), Vec::new(), Vec::new());
        for method in METHODS {
            let forecast = forecast_or_simpler(method, series, horizon)?;
            values.push(forecast.values);
            spreads.push(forecast.spreads);
            fallbacks.extend(forecast.fallback);
        }
        let of_three = |rows: &[Vec<f64>]| -> Vec<f64> {
            (0..horizon).map(|h| median(rows[..3].iter().map(|row| row[h]).collect())).collect()
        };
        let (middle, middle_spread) = (of_three(&values), of_three(&spreads));
        values.push(middle);
        spreads.push(middle_spread);
        let features = features(series, &values);
        let fallback = (!fallbacks.is_empty()).then(|| fallbacks.join("; "));
        Ok(Members { values, spreads, features, fallback })
    }
}

/// Numbers of the order of 1: a constant, length, seasons, strength of trend and season, noise, persistence, disagreement.
fn features(series: &Series, members: &[Vec<f64>]) -> [f64; FEATURES] {
    let (values, m) = (series.values(), series.season_length());
    let (n, horizon) = (values.len() as f64, members[0].len() as f64);
    let season = Season::of(series);
    let plain: Vec<f64> = values.iter().enumerate().map(|(t, value)| season.removed(t, *value)).collect();
    let (intercept, slope) = straight_line(&plain);
    let average = mean(&plain);
    let share = |part: f64, whole: f64| if whole > 0.0 { (part / whole).clamp(-2.0, 2.0) } else { 0.0 };
    let spread = deviation(plain.iter().map(|value| value - average), 0);
    let of_line = deviation(plain.iter().enumerate().map(|(t, value)| value - intercept - slope * t as f64), 0);
    let steps: Vec<f64> = plain.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let step = deviation(steps.iter().copied(), 0);
    let turned: f64 = steps.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let squares: f64 = steps.iter().map(|step| step * step).sum();
    let raw = deviation(values.iter().map(|value| value - mean(values)), 0);
    let late = steps.len().saturating_sub(m.max(6));
    let scale = seasonal_scale(values, m).unwrap_or(0.0);
    let apart = |a: usize, b: usize| {
        let distance = members[a].iter().zip(&members[b]).map(|(a, b)| (a - b).abs()).sum::<f64>() / horizon;
        share(distance, scale).min(2.0)
    };
    let is = |yes: bool| f64::from(u8::from(yes));
    [
        1.0,
        (n.ln() - 4.0) / 2.0,
        is(m == 4),
        is(m == 12),
        is(season != Season::None),
        1.0 - share(spread, raw).powi(2),
        1.0 - share(of_line, spread).powi(2),
        share(step, spread),
        share(turned, squares),
        share(step, average.abs()),
        share(mean(&steps[late..]), step),
        share(horizon, n),
        apart(0, 2),
        apart(1, 2),
    ]
}

/// The members' weights, which add up to 1.
fn shares(weights: &[[f64; FEATURES]; MEMBERS], features: &[f64; FEATURES]) -> [f64; MEMBERS] {
    let logit = |row: &[f64; FEATURES]| -> f64 { row.iter().zip(features).map(|(w, x)| w * x).sum() };
    let mut shares = [0.0; MEMBERS];
    shares.iter_mut().zip(weights).for_each(|(share, row)| *share = logit(row));
    shares[MEMBERS - 1] += MEDIAN_FIRST;
    let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    shares.iter_mut().for_each(|share| *share = (*share - most).exp());
    let sum: f64 = shares.iter().sum();
    shares.map(|share| share / sum)
}

fn blend(rows: &[Vec<f64>], shares: &[f64; MEMBERS]) -> Vec<f64> {
    let at = |h: usize| rows.iter().zip(shares).map(|(row, share)| row[h] * share).sum();
    (0..rows[0].len()).map(at).collect()
}

/// A series whose continuation is known.
#[derive(Debug, Clone)]
pub struct Example {
    /// What the members said.
    pub members: Members,
    /// What came, as many values.
    pub actual: Vec<f64>,
    /// ½ ÷ (mean sMAPE of Naive2 over the data set).
    pub smape_factor: f64,
    /// ½ ÷ (mean MASE of Naive2 over the data set) ÷ the scale of the series; 0 where it has none.
    pub mase_factor: f64,
}

impl Example {
    /// The series' part of OWA with these weights; adds the derivatives in the logits where wanted.
    fn loss(&self, shares: &[f64; MEMBERS], slopes: Option<&mut [f64; MEMBERS]>) -> f64 {
        let forecast = blend(&self.members.values, shares);
        let steps = forecast.len() as f64;
        let mut loss = 0.0;
        let mut by_value = Vec::with_capacity(forecast.len());
        for (f, y) in forecast.iter().zip(&self.actual) {
            let size = (f.abs() + y.abs()).max(f64::MIN_POSITIVE);
            let error = (f - y).abs();
            let factor = self.smape_factor * 200.0 / size;
            loss += (factor + self.mase_factor) * error / steps;
            let bend = -factor / size * error * f.signum();
            by_value.push(((factor + self.mase_factor) * (f - y).signum() + bend) / steps);
        }
        if let Some(slopes) = slopes {
            let of_share =
                |row: &Vec<f64>| -> f64 { row.iter().zip(&by_value).map(|(value, slope)| value * slope).sum() };
            let by_share: Vec<f64> = self.members.values.iter().map(of_share).collect();
            let middle: f64 = by_share.iter().zip(shares).map(|(slope, share)| slope * share).sum();
            for ((slope, of), share) in slopes.iter_mut().zip(by_share).zip(shares) {
                *slope = share * (of - middle);
            }
        }
        loss
    }
}

/// Weights of one kind of series' members: `[member][feature]`.
pub type Weights = [[f64; FEATURES]; MEMBERS];

/// The mean loss of the examples: OWA where the examples are a data set with its own factors.
pub fn mean_loss(weights: &Weights, examples: &[Example]) -> f64 {
    let loss = |example: &Example| example.loss(&shares(weights, &example.members.features), None);
    examples.iter().map(loss).sum::<f64>() / examples.len() as f64
}

/// Weights with the least mean loss plus `ridge` · Σ W².
pub fn learn(examples: &[&Example], ridge: f64) -> Weights {
    let unpack = |x: &[f64]| {
        let mut weights = [[0.0; FEATURES]; MEMBERS];
        weights.iter_mut().zip(x.chunks_exact(FEATURES)).for_each(|(row, x)| row.copy_from_slice(x));
        weights
    };
    let mut x = vec![0.0; MEMBERS * FEATURES];
    let count = examples.len() as f64;
    let objective = |x: &[f64], gradient: &mut [f64]| {
        let weights = unpack(x);
        gradient.iter_mut().zip(x).for_each(|(slope, x)| *slope = 2.0 * ridge * x);
        let mut loss = ridge * x.iter().map(|x| x * x).sum::<f64>();
        let mut by_logit = [0.0; MEMBERS];
        for example in examples {
            let shares = shares(&weights, &example.members.features);
            loss += example.loss(&shares, Some(&mut by_logit)) / count;
            for (row, by_logit) in gradient.chunks_exact_mut(FEATURES).zip(&by_logit) {
                let features = example.members.features.iter();
                row.iter_mut().zip(features).for_each(|(slope, feature)| *slope += by_logit * feature / count);
            }
        }
        loss
    };
    minimise(objective, &mut x, Stop { steps_max: 150, fall: 1e-7 });
    unpack(&x)
}
