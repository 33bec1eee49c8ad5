//! A test of arms against the control that may be looked at any time; how the values are gathered is in `sample`.

use serde::{Deserialize, Serialize};

use crate::assignment::Experiment;
use crate::error::{ExperimentError, check_setting};
use crate::sample::Summary;
use crate::sample_ratio::SampleRatio;
use crate::sequential::{Interval, confidence_multiplier};

/// A number of visitors that no test reaches: needing more is told as needing an unknown number.
const UNREACHABLE_VISITORS: f64 = 1e9;

/// What a test promises.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSettings {
    /// The share of tests without any difference that may ever show one, 0.0001 to 0.5; shared among the arms.
    pub error_rate: f64,
    /// About how many visitors of two arms the test is planned for, at least 100: there its intervals are narrowest.
    pub planned_visitors: u64,
    /// A lift smaller than this (either way) does not matter: arms surely within it are called alike. 0 to 1; 0: never.
    pub smallest_lift: f64,
    /// No verdict before each arm has so many visitors, at least 30. The intervals rest on averages being near normal:
    /// take more where few visitors bring most of the sum.
    pub visitors_min: u64,
}

impl Default for TestSettings {
    fn default() -> Self {
        Self { error_rate: 0.05, planned_visitors: 20_000, smallest_lift: 0.01, visitors_min: 200 }
    }
}

impl TestSettings {
    fn check(&self) -> Result<(), ExperimentError> {
        let (error, lift) = (self.error_rate, self.smallest_lift);
        check_setting("error_rate", error, "0.0001 to 0.5", (0.0001..=0.5).contains(&error))?;
        check_setting("smallest_lift", lift, "0 to 1", (0.0..=1.0).contains(&lift))?;
        let planned = self.planned_visitors;
        check_setting("planned_visitors", planned as f64, "at least 100", planned >= 100)?;
        check_setting("visitors_min", self.visitors_min as f64, "at least 30", self.visitors_min >= 30)
    }
}

/// What can be said of an arm beside the control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// The arm is better than the control.
    Better,
    /// The arm is worse than the control.
    Worse,
    /// The arms differ by less than matters.
    Alike,
    /// Nothing yet.
    NoVerdictYet {
        /// About how many visitors of the two arms together are needed beyond those counted, if what is seen stays as it
        /// is; nothing where that cannot be said.
        more_visitors: Option<u64>,
    },
    /// None can be given: the arms did not get the visitors that their weights say.
    SampleRatioMismatch,
}

/// An arm beside the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The arm.
    pub arm: String,
    /// Its visitors.
    pub visitors: u64,
    /// Its mean.
    pub mean: f64,
    /// Its mean less that of the control.
    pub difference: f64,
    /// Where the difference is, at every look at once; nothing before both arms have two visitors.
    pub difference_interval: Option<Interval>,
    /// The mean over that of the control, less 1; nothing where the control's is not positive.
    pub lift: Option<f64>,
    /// Where the lift is, at every look at once; nothing while the control's mean may be 0.
    pub lift_interval: Option<Interval>,
    /// What follows.
    pub verdict: Verdict,
}

/// The answer of [`compare`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// The experiment.
    pub experiment: String,
    /// What was promised.
    pub settings: TestSettings,
    /// The control, by name.
    pub control: String,
    /// Its visitors.
    pub control_visitors: u64,
    /// Its mean.
    pub control_mean: f64,
    /// Whether the arms got their share of the visitors.
    pub sample_ratio: SampleRatio,
    /// Every other arm beside the control.
    pub comparisons: Vec<Comparison>,
}

/// Compares every arm of an experiment with the control. `samples` are in the order of the arms, and were counted with the
/// experiment's present weights from the first visitor on: count anew after the weights have changed.
///
/// It may be asked after every visitor: with probability 1 − `error_rate` all its intervals, at all looks, hold the truth.
///
/// # Errors
/// A setting out of its range, another number of samples than of arms, or a mean or variance that is not finite.
pub fn compare(
    experiment: &Experiment,
    samples: &[Summary],
    settings: &TestSettings,
) -> Result<TestReport, ExperimentError> {
    settings.check()?;
    let arms = experiment.arms();
    if samples.len() != arms.len() {
        let rule = "one for each arm, the control first";
        return Err(ExperimentError::Count { what: "samples", found: samples.len(), rule });
    }
    for (at, sample) in samples.iter().enumerate() {
        let wrong = |what, value, rule| Err(ExperimentError::Value { what, at, value, rule });
        if !sample.mean.is_finite() {
            return wrong("the mean of sample", sample.mean, "finite");
        }
        if !(sample.variance >= 0.0 && sample.variance.is_finite()) {
            return wrong("the variance of sample", sample.variance, "at least 0 and finite");
        }
    }
    let visitors: Vec<u64> = samples.iter().map(|sample| sample.visitors).collect();
    let sample_ratio = SampleRatio::new(experiment.shares(), &visitors);
    let error_rate = settings.error_rate / (arms.len() - 1) as f64;
    let comparisons = arms[1..]
        .iter()
        .zip(&samples[1..])
        .map(|(arm, sample)| {
            let mut comparison = beside_control(&samples[0], sample, settings, error_rate);
            comparison.arm.clone_from(&arm.name);
            if sample_ratio.mismatch {
                comparison.verdict = Verdict::SampleRatioMismatch;
            }
            comparison
        })
        .collect();
    Ok(TestReport {
        experiment: experiment.name().to_owned(),
        settings: *settings,
        control: arms[0].name.clone(),
        control_visitors: samples[0].visitors,
        control_mean: samples[0].mean,
        sample_ratio,
        comparisons,
    })
}

fn beside_control(control: &Summary, sample: &Summary, settings: &TestSettings, error_rate: f64) -> Comparison {
    let difference = sample.mean - control.mean;
    let mut comparison = Comparison {
        arm: String::new(),
        visitors: sample.visitors,
        mean: sample.mean,
        difference,
        difference_interval: None,
        lift: (control.mean > 0.0).then(|| difference / control.mean),
        lift_interval: None,
        verdict: Verdict::NoVerdictYet { more_visitors: None },
    };
    if control.visitors.min(sample.visitors) < 2 {
        return comparison;
    }
    let total = (control.visitors + sample.visitors) as f64;
    let of_means = [control, sample].map(|arm| arm.variance / arm.visitors as f64);
    let reach = |visitors: f64| confidence_multiplier(visitors, settings.planned_visitors as f64, error_rate);
    let interval = Interval::around(difference, reach(total) * (of_means[0] + of_means[1]).sqrt());
    comparison.difference_interval = Some(interval);
    comparison.lift_interval = lift_interval(control.mean, sample.mean, of_means, reach(total));
    let does_not_matter = settings.smallest_lift;
    let alike = comparison.lift_interval.is_some_and(|lift| lift.low > -does_not_matter && lift.high < does_not_matter);
    let early = control.visitors.min(sample.visitors) < settings.visitors_min;
    // Two arms without any spread (nobody clicked yet) say nothing, whatever their means.
    let no_spread = of_means[0] + of_means[1] <= 0.0;
    comparison.verdict = match () {
        () if early || no_spread => Verdict::NoVerdictYet { more_visitors: None },
        () if alike => Verdict::Alike,
        () if interval.low > 0.0 => Verdict::Better,
        () if interval.high < 0.0 => Verdict::Worse,
        () => {
            // Decided once the interval leaves 0 out, or lies within what does not matter: what comes first.
            let to_alike = does_not_matter * control.mean - difference.abs();
            let decisive = difference.abs().max(to_alike);
            let spread = ((of_means[0] + of_means[1]) * total).sqrt();
            let needed = visitors_until(|visitors| reach(visitors) * spread / visitors.sqrt() < decisive, total);
            Verdict::NoVerdictYet { more_visitors: needed }
        }
    };
    comparison
}

/// Every lift r for which `mean − (1 + r) · control` may be 0, by the same sequence (Fieller's set). It leaves 0 out exactly
/// when the interval of the difference does.
fn lift_interval(control: f64, mean: f64, variances: [f64; 2], reach: f64) -> Option<Interval> {
    let (square, half_linear, constant) =
        (control * control - reach * reach * variances[0], control * mean, mean * mean - reach * reach * variances[1]);
    if control <= 0.0 || square <= 0.0 {
        return None;
    }
    let root = (half_linear * half_linear - square * constant).max(0.0).sqrt();
    Some(Interval::around(half_linear / square - 1.0, root / square))
}

/// How many visitors beyond `counted` until `decided` holds, which stays once it does.
fn visitors_until(decided: impl Fn(f64) -> bool, counted: f64) -> Option<u64> {
    let (mut low, mut high) = (counted, counted);
    while !decided(high) {
        if high > UNREACHABLE_VISITORS {
            return None;
        }
        (low, high) = (high, high * 2.0);
    }
    while high - low > 0.01 * high {
        let middle = (low + high) / 2.0;
        if decided(middle) { high = middle } else { low = middle }
    }
    Some((high - counted).ceil().max(1.0) as u64)
}
