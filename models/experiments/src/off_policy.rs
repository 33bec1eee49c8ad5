//! What another policy would have earned on logged choices, by their propensities; it learns no reward model and no policy.
//!
//! A choice is a slate of one or more places; each place has a reward (a click, say), the probability by which the logging
//! policy put there what it put, and that by which the policy under question would have put the same. Per place, with
//! w = target / propensity:
//! 1. IPS (Horvitz and Thompson 1952): the mean of w · reward.
//! 2. Self-normalised IPS (Swaminathan and Joachims 2015): the sum of w · reward over the sum of w.
//! 3. Doubly robust (Dudík, Langford and Li 2011): expected prediction + w · (reward − prediction); right when either the
//!    propensities or the predictions are.
//!
//! A slate earns the sum over its places. [`Weighting::Places`] weighs each place by its own marginal probabilities (Li et
//! al. 2018, "Offline evaluation of ranking policies with click models"): right where what one place earns depends on its
//! product and position alone. [`Weighting::Slates`] weighs every place by the product over the slate: always right, at a
//! variance that grows with the slate.

use serde::{Deserialize, Serialize};

use crate::bandit::choice_stream;
use crate::error::{ExperimentError, check_all, check_setting};
use crate::sample::Sample;
use crate::sequential::Interval;
use rand_chacha::rand_core::Rng;

/// A bootstrap takes at most so many samples.
pub const MAX_BOOTSTRAP_SAMPLES: u32 = 10_000;
/// A log has at most so many choices; the bootstrap's draws are even up to there.
pub const MAX_CHOICES: usize = 10_000_000;
/// Weights that are right have a mean of 1. So many standard errors from it are not luck.
const WEIGHTS_OFF_DEVIATIONS: f64 = 5.0;

/// Which estimate is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Inverse propensity scores: unbiased, of large variance.
    Ips,
    /// The same over the sum of the weights: a little biased, of smaller variance. Each place is normalised by itself.
    SelfNormalisedIps,
    /// Predictions, corrected by the weighted errors of those logged.
    DoublyRobust,
}

/// What the probabilities of a slate's places are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Each is the marginal probability of the product at the place, and weighs the place.
    Places,
    /// Their product is the probability of the slate, and weighs the slate.
    Slates,
}

/// Predictions of a reward model, one for each place of each choice.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// The predicted reward of what was logged.
    pub logged: &'a [f64],
    /// The predicted reward of what the target policy would put there: the sum over its products of probability · prediction.
    pub expected: &'a [f64],
}

/// Logged choices, choice by choice and in each place by place.
#[derive(Debug, Clone, Copy)]
pub struct OffPolicyLog<'a> {
    /// Places of every choice; 1 where a choice is of one thing.
    pub places: usize,
    /// The reward of each place.
    pub rewards: &'a [f64],
    /// The probability by which the logging policy put what it put, above 0 and at most 1.
    pub propensities: &'a [f64],
    /// The probability by which the target policy puts the same, 0 to 1.
    pub targets: &'a [f64],
    /// Predictions, for a doubly robust estimate.
    pub predictions: Option<Predictions<'a>>,
}

/// How an estimate is made and when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffPolicySettings {
    /// Which estimate.
    pub estimator: Estimator,
    /// What is weighed.
    pub weighting: Weighting,
    /// Weights above this are cut to it (at least 1): less variance for a bias, usually downwards. The report says how many were cut.
    pub clip: Option<f64>,
    /// One less the probability with which an interval holds the truth, 0.0001 to 0.5.
    pub error_rate: f64,
    /// Samples of the bootstrap, 100 to [`MAX_BOOTSTRAP_SAMPLES`].
    pub bootstrap_samples: u32,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// No verdict below so many effective choices, at least 30.
    pub effective_choices_min: f64,
}

impl Default for OffPolicySettings {
    fn default() -> Self {
        Self {
            estimator: Estimator::SelfNormalisedIps,
            weighting: Weighting::Places,
            clip: None,
            error_rate: 0.05,
            bootstrap_samples: 500,
            seed: 1,
            effective_choices_min: 200.0,
        }
    }
}

/// Why no verdict is given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Refusal {
    /// Too few of the logged choices are such as the target policy makes.
    TooFewEffectiveChoices {
        /// How many equally weighted choices would say as much.
        found: f64,
        /// How many are asked for.
        needed: f64,
    },
    /// The weights of a place do not have the mean 1, by far more than luck: the propensities are wrong, or the target policy
    /// chooses what the logging policy never does.
    WeightsOff {
        /// The place, from 0.
        place: usize,
        /// Their mean.
        mean_weight: f64,
        /// Its standard error.
        standard_error: f64,
    },
}

/// Whether the target policy would have earned more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum OffPolicyVerdict {
    /// More than the logging policy.
    Better,
    /// Less.
    Worse,
    /// The interval holds both: log more choices.
    NoVerdictYet,
    /// The log cannot tell.
    Refused(Refusal),
}

/// The answer of [`evaluate_policy`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OffPolicyReport {
    /// How it was made.
    pub settings: OffPolicySettings,
    /// Logged choices.
    pub choices: u64,
    /// What a choice of the target policy is estimated to earn.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Where the value is, by the normal approximation.
    pub asymptotic: Interval,
    /// Where the value is, by the studentised bootstrap over choices: the one to quote.
    pub bootstrap: Interval,
    /// What a choice of the logging policy earned on average.
    pub logged_value: f64,
    /// Where `value − logged_value` is, by the normal approximation; both are of the same choices.
    pub difference: Interval,
    /// How many equally weighted choices would say as much: (Σw)² / Σw² of the weights as clipped, the
    /// least over the places (Kish 1965).
    pub effective_choices: f64,
    /// The largest weight, before clipping.
    pub largest_weight: f64,
    /// The share of the weights that were clipped.
    pub clipped_share: f64,
    /// What follows for the target policy. One look at a finished log: it is not safe against looking again as it grows.
    pub verdict: OffPolicyVerdict,
}

/// Estimates what the target policy earns.
///
/// # Errors
/// A setting out of its range; no places or choices; lists of different lengths; a value that is not finite; a propensity
/// that is not above 0 and at most 1; a target probability out of 0 to 1; a doubly robust estimate without predictions.
pub fn evaluate_policy(log: &OffPolicyLog, settings: &OffPolicySettings) -> Result<OffPolicyReport, ExperimentError> {
    check_settings(settings)?;
    check_log(log, settings.estimator)?;
    let weights = Weights::new(log, settings)?;
    let terms = Terms::new(log, settings.estimator, &weights.clipped);
    let value = terms.value_of(0..terms.choices);
    let influences = terms.influences();
    let logged: Vec<f64> = log.rewards.chunks_exact(log.places).map(|rewards| rewards.iter().sum()).collect();
    let logged_value = logged.iter().sum::<f64>() / terms.choices as f64;
    let standard_error = mean_error(influences.iter().copied())?;
    let differences = influences.iter().zip(&logged).map(|(influence, reward)| influence - (reward - logged_value));
    let normal = normal_quantile(1.0 - settings.error_rate / 2.0);
    let difference = Interval::around(value - logged_value, normal * mean_error(differences)?);
    let verdict = match weights.refusal(log.places, settings)? {
        Some(refusal) => OffPolicyVerdict::Refused(refusal),
        None if difference.low > 0.0 => OffPolicyVerdict::Better,
        None if difference.high < 0.0 => OffPolicyVerdict::Worse,
        None => OffPolicyVerdict::NoVerdictYet,
    };
    Ok(OffPolicyReport {
        settings: *settings,
        choices: terms.choices as u64,
        value,
        standard_error,
        asymptotic: Interval::around(value, normal * standard_error),
        bootstrap: terms.bootstrap(value, &influences, standard_error, settings),
        logged_value,
        difference,
        effective_choices: weights.effective_choices(log.places),
        largest_weight: weights.raw.iter().copied().fold(0.0, f64::max),
        clipped_share: weights.clipped_share(),
        verdict,
    })
}

fn check_settings(settings: &OffPolicySettings) -> Result<(), ExperimentError> {
    let error = settings.error_rate;
    check_setting("error_rate", error, "0.0001 to 0.5", (0.0001..=0.5).contains(&error))?;
    if let Some(clip) = settings.clip {
        check_setting("clip", clip, "at least 1 and finite", clip >= 1.0 && clip.is_finite())?;
    }
    let samples = settings.bootstrap_samples;
    let allowed = (100..=MAX_BOOTSTRAP_SAMPLES).contains(&samples);
    check_setting("bootstrap_samples", f64::from(samples), "100 to 10,000", allowed)?;
    let least = settings.effective_choices_min;
    check_setting("effective_choices_min", least, "at least 30 and finite", least >= 30.0 && least.is_finite())
}

fn check_log(log: &OffPolicyLog, estimator: Estimator) -> Result<(), ExperimentError> {
    let length = log.rewards.len();
    if log.places == 0 || !length.is_multiple_of(log.places) {
        let rule = "1 or more places, of which the rewards are a multiple";
        return Err(ExperimentError::Count { what: "places", found: log.places, rule });
    }
    let choices = length / log.places;
    if !(2..=MAX_CHOICES).contains(&choices) {
        return Err(ExperimentError::Count { what: "logged choices", found: choices, rule: "2 to 10,000,000" });
    }
    let mut lists: Vec<(&'static str, &[f64])> = vec![("propensities", log.propensities), ("targets", log.targets)];
    if let Some(predictions) = &log.predictions {
        lists.extend([("logged predictions", predictions.logged), ("expected predictions", predictions.expected)]);
    } else if estimator == Estimator::DoublyRobust {
        return Err(ExperimentError::NoPredictions);
    }
    for (what, list) in &lists {
        if list.len() != length {
            return Err(ExperimentError::Length { what, found: list.len(), expected: length });
        }
    }
    for (what, list) in &lists[2..] {
        check_all(what, list, "finite", f64::is_finite)?;
    }
    check_all("reward", log.rewards, "finite", f64::is_finite)?;
    check_all("propensity", log.propensities, "above 0 and at most 1", |p| p > 0.0 && p <= 1.0)?;
    check_all("target probability", log.targets, "0 to 1", |p| (0.0..=1.0).contains(&p))
}

/// The weight of every place of every choice.
struct Weights {
    raw: Vec<f64>,
    clipped: Vec<f64>,
}

impl Weights {
    fn new(log: &OffPolicyLog, settings: &OffPolicySettings) -> Result<Self, ExperimentError> {
        let mut raw: Vec<f64> =
            log.targets.iter().zip(log.propensities).map(|(target, propensity)| target / propensity).collect();
        if settings.weighting == Weighting::Slates {
            for slate in raw.chunks_exact_mut(log.places) {
                let product = slate.iter().product();
                slate.fill(product);
            }
        }
        check_all("weight", &raw, "finite: log larger propensities, or weigh places", f64::is_finite)?;
        let clipped = raw.iter().map(|weight| weight.min(settings.clip.unwrap_or(f64::INFINITY))).collect();
        Ok(Self { raw, clipped })
    }

    fn clipped_share(&self) -> f64 {
        let cut = self.raw.iter().zip(&self.clipped).filter(|(raw, clipped)| raw > clipped).count();
        cut as f64 / self.raw.len() as f64
    }

    fn effective_choices(&self, places: usize) -> f64 {
        let of_place = |place: usize| {
            let weights = || self.clipped.iter().skip(place).step_by(places);
            let (sum, squares) = (weights().sum::<f64>(), weights().map(|weight| weight * weight).sum::<f64>());
            if squares > 0.0 { sum * sum / squares } else { 0.0 }
        };
        (0..places).map(of_place).fold(f64::INFINITY, f64::min)
    }

    fn refusal(&self, places: usize, settings: &OffPolicySettings) -> Result<Option<Refusal>, ExperimentError> {
        let (found, needed) = (self.effective_choices(places), settings.effective_choices_min);
        if found < needed {
            return Ok(Some(Refusal::TooFewEffectiveChoices { found, needed }));
        }
        for place in 0..places {
            let mut sample = Sample::default();
            self.raw.iter().skip(place).step_by(places).try_for_each(|weight| sample.add(*weight))?;
            let (mean_weight, standard_error) = (sample.summary().mean, error_of(&sample));
            if (mean_weight - 1.0).abs() > WEIGHTS_OFF_DEVIATIONS * standard_error.max(f64::EPSILON) {
                return Ok(Some(Refusal::WeightsOff { place, mean_weight, standard_error }));
            }
        }
        Ok(None)
    }
}

/// An estimate as sums over choices, so that the value of any resample is quickly had: Σ above / choices, or, normalised,
/// for each place Σ above / Σ below.
struct Terms {
    choices: usize,
    /// Places that are normalised each by itself; 1 without normalising, where `above` is summed over a choice's places.
    places: usize,
    above: Vec<f64>,
    below: Option<Vec<f64>>,
}

impl Terms {
    fn new(log: &OffPolicyLog, estimator: Estimator, weights: &[f64]) -> Self {
        let choices = log.rewards.len() / log.places;
        let weighted = log.rewards.iter().zip(weights).map(|(reward, weight)| reward * weight);
        let sums = |above: Vec<f64>| above.chunks_exact(log.places).map(|places| places.iter().sum()).collect();
        match (estimator, &log.predictions) {
            (Estimator::SelfNormalisedIps, _) => {
                Self { choices, places: log.places, above: weighted.collect(), below: Some(weights.to_vec()) }
            }
            (Estimator::DoublyRobust, Some(predictions)) => {
                let errors = log.rewards.iter().zip(predictions.logged).map(|(reward, logged)| reward - logged);
                let corrected = errors.zip(weights).map(|(error, weight)| error * weight).zip(predictions.expected);
                let above = sums(corrected.map(|(correction, expected)| expected + correction).collect());
                Self { choices, places: 1, above, below: None }
            }
            _ => Self { choices, places: 1, above: sums(weighted.collect()), below: None },
        }
    }

    /// The estimate from some choices, by number.
    fn value_of(&self, choices: impl ExactSizeIterator<Item = usize>) -> f64 {
        let count = choices.len() as f64;
        let Some(below) = &self.below else {
            return choices.map(|choice| self.above[choice]).sum::<f64>() / count;
        };
        let mut sums = vec![(0.0, 0.0); self.places];
        for choice in choices {
            for (place, sum) in sums.iter_mut().enumerate() {
                let at = choice * self.places + place;
                *sum = (sum.0 + self.above[at], sum.1 + below[at]);
            }
        }
        // A place without any weight earns nothing that the log knows of; the report is refused for it.
        sums.iter().map(|(above, below)| if *below > 0.0 { above / below } else { 0.0 }).sum()
    }

    /// How far each choice moves the estimate: its mean is 0 and its variance is that of the estimate times the choices.
    fn influences(&self) -> Vec<f64> {
        let Some(below) = &self.below else {
            let mean = self.value_of(0..self.choices);
            return self.above.iter().map(|above| above - mean).collect();
        };
        let mut influences = vec![0.0; self.choices];
        for place in 0..self.places {
            let of_place = |list: &[f64]| list.iter().skip(place).step_by(self.places).sum::<f64>();
            let (above_sum, below_sum) = (of_place(&self.above), of_place(below));
            if below_sum <= 0.0 {
                continue;
            }
            let (ratio, mean) = (above_sum / below_sum, below_sum / self.choices as f64);
            for (choice, influence) in influences.iter_mut().enumerate() {
                let at = choice * self.places + place;
                *influence += (self.above[at] - ratio * below[at]) / mean;
            }
        }
        influences
    }

    /// The studentised bootstrap over choices drawn with replacement (Efron and Tibshirani 1993, section 12.5): unlike plain
    /// percentiles it follows the skewness that large weights bring. The standard error of a resample is that of the
    /// influences in it.
    fn bootstrap(&self, value: f64, influences: &[f64], standard_error: f64, settings: &OffPolicySettings) -> Interval {
        let count = self.choices as f64;
        let mut drawn = vec![0; self.choices];
        let mut deviations: Vec<f64> = (0..settings.bootstrap_samples)
            .filter_map(|sample| {
                draw_choices(settings.seed, sample, &mut drawn);
                let moments = drawn.iter().map(|choice| influences[*choice]);
                let (sum, squares) = moments.fold((0.0, 0.0), |sums, x| (sums.0 + x, sums.1 + x * x));
                let error = ((squares - sum * sum / count).max(0.0) / (count * (count - 1.0))).sqrt();
                // A resample without any spread (all of its choices alike) has no deviation.
                (error > 0.0).then(|| (self.value_of(drawn.iter().copied()) - value) / error)
            })
            .collect();
        if deviations.is_empty() {
            return Interval::around(value, 0.0);
        }
        deviations.sort_unstable_by(f64::total_cmp);
        // As many samples lie beyond each end as the error rate leaves there, rounded outwards.
        let beyond = (settings.error_rate / 2.0 * (deviations.len() + 1) as f64).floor().max(1.0) as usize - 1;
        let (least, most) = (deviations[beyond], deviations[deviations.len() - 1 - beyond]);
        Interval { low: value - most * standard_error, high: value - least * standard_error }
    }
}

/// Draws as many choices as there are, with replacement.
fn draw_choices(seed: u64, sample: u32, drawn: &mut [usize]) {
    let mut generator = choice_stream(seed, u64::from(sample));
    let count = drawn.len() as u64;
    drawn.iter_mut().for_each(|choice| *choice = ((u64::from(generator.next_u32()) * count) >> 32) as usize);
}

/// The standard error of a mean.
fn mean_error(values: impl IntoIterator<Item = f64>) -> Result<f64, ExperimentError> {
    let mut sample = Sample::default();
    values.into_iter().try_for_each(|value| sample.add(value))?;
    Ok(error_of(&sample))
}

fn error_of(sample: &Sample) -> f64 {
    let summary = sample.summary();
    (summary.variance / summary.visitors as f64).sqrt()
}

/// The value that a standard normal variable stays below with a probability above one half, by bisection.
fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    while high - low > 1e-12 {
        let middle = (low + high) / 2.0;
        if crate::special::normal_below(middle) < probability { low = middle } else { high = middle }
    }
    high
}
