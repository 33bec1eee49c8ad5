//! A version on trial beside the one in force: which requests it sees, what both did, and when it is taken off by itself; it loads nothing.
//!
//! A shadow runs the requests of its share behind the answer of the version in force, and its answers are compared and dropped.
//! A canary answers its share. Which requests these are hangs on a hash of their key, so that one shopper is always on one side.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dhow_events::{Clock, Timestamp};
use dhow_tensors::{NamedTensor, TensorData};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::arm::{Arm, ArmFigures};
use crate::error::{ErrorKind, InferenceError};
use crate::request::{InferAnswer, InferRequest};
use crate::served::Served;

/// Runs of a shadow at once; a request that comes while as many go on is not compared, and counted.
pub const SHADOW_RUNS_MAX: usize = 32;
/// Answers of each trial that an outcome can still be told of.
pub const OUTCOMES_WAITING_MAX: usize = 100_000;
/// Outcomes in one call.
pub const OUTCOMES_MAX: usize = 10_000;
/// Two numbers are the same answer where they differ by no more than this share of the larger one's size.
const SAME_WITHIN: f64 = 1e-6;
/// Standard errors that a difference of means must have before it counts.
const STANDARD_ERRORS_MIN: f64 = 3.0;

/// What a version on trial does with its share of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialKind {
    /// It runs behind the answer; nobody gets what it says.
    Shadow,
    /// It answers.
    Canary,
}

/// When a trial stops by itself. Each side must have had `requests_min` requests, or outcomes, before it is judged by them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// Requests of each side before anything is judged.
    pub requests_min: u64,
    /// The share of requests that may fail beyond the share that fails in the version in force.
    pub failure_share_max: f64,
    /// How many times the other's latency its 95th percentile may be.
    pub latency_ratio_max: f64,
    /// How far the mean of its first output may be from the other's, in standard deviations of the other's outputs.
    pub shift_max: f64,
    /// How much farther from the mean outcome its mean output may be than the other's, in the output's unit.
    pub calibration_gap_max: f64,
}

impl Default for Guard {
    /// 200 requests; 1 % more failures; 1.5 times the latency; half a standard deviation; .02 of calibration.
    fn default() -> Self {
        Self {
            requests_min: 200,
            failure_share_max: 0.01,
            latency_ratio_max: 1.5,
            shift_max: 0.5,
            calibration_gap_max: 0.02,
        }
    }
}

/// How a version is tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrialSettings {
    /// Shadow or canary.
    pub kind: TrialKind,
    /// The share of keys whose requests it sees, in (0, 1].
    pub share: f64,
    /// When it stops by itself.
    #[serde(default)]
    pub guard: Guard,
}

impl TrialSettings {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// The field, and what it may be.
    pub fn check(&self) -> Result<(), InferenceError> {
        let Guard { requests_min, failure_share_max, latency_ratio_max, shift_max, calibration_gap_max } = self.guard;
        let within = |name: &str, value: f64, least: f64| match value.is_finite() && value >= least {
            true => Ok(()),
            false => {
                Err(InferenceError::invalid(format!("`{name}` is {value}; it must be a number of at least {least}")))
            }
        };
        if !(self.share > 0.0 && self.share <= 1.0) {
            let problem = format!("`share` is {}; it must be more than 0 and at most 1", self.share);
            return Err(InferenceError::invalid(problem));
        }
        if requests_min == 0 {
            return Err(InferenceError::invalid("`guard.requests_min` is 0; it must be at least 1"));
        }
        within("guard.failure_share_max", failure_share_max, 0.0)?;
        within("guard.latency_ratio_max", latency_ratio_max, 1.0)?;
        within("guard.shift_max", shift_max, 0.0)?;
        within("guard.calibration_gap_max", calibration_gap_max, 0.0)
    }
}

/// How the answers of a shadow compare with those that were given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Requests that both answered.
    pub compared: u64,
    /// Those of them with a number, or a text, that is not the same.
    pub different: u64,
    /// The largest difference of a number.
    pub difference_max: f64,
    /// The mean difference of all numbers, without their signs.
    pub difference_mean: f64,
    /// Requests that were not compared because [`SHADOW_RUNS_MAX`] ran already.
    pub passed_over: u64,
    #[serde(skip)]
    numbers: u64,
}

/// Why and when a trial stopped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stop {
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    pub why: String,
}

/// What a trial found so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialReport {
    /// The name whose requests it sees.
    pub model: String,
    /// The version in force, beside which it runs.
    pub control_version: String,
    /// The version on trial.
    pub version: String,
    /// How it is tried.
    #[serde(flatten)]
    pub settings: TrialSettings,
    /// Since when.
    pub begun_at: Timestamp,
    /// Nothing while it runs.
    pub stopped: Option<Stop>,
    /// What the version in force did: for a shadow the requests of the share, for a canary those of all other keys.
    pub control: ArmFigures,
    /// What the version on trial did.
    pub candidate: ArmFigures,
    /// The answers beside each other, of a shadow.
    pub comparison: Option<Comparison>,
}

#[derive(Default)]
struct Found {
    arms: [Arm; 2],
    comparison: Comparison,
    stopped: Option<Stop>,
    /// The first output of answered requests by their id, oldest first, until an outcome comes.
    waiting: FxHashMap<String, (Side, f64)>,
    order: VecDeque<String>,
}

/// Which version a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Control = 0,
    Candidate = 1,
}

/// A running or stopped trial.
pub(crate) struct Trial {
    pub control: Arc<Served>,
    pub candidate: Arc<Served>,
    settings: TrialSettings,
    begun_at: Timestamp,
    runs: Arc<Semaphore>,
    running: AtomicBool,
    found: Mutex<Found>,
    clock: Arc<dyn Clock>,
}

impl Trial {
    pub(crate) fn new(
        control: Arc<Served>,
        candidate: Arc<Served>,
        settings: TrialSettings,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            control,
            candidate,
            settings,
            begun_at: clock.now(),
            runs: Arc::new(Semaphore::new(SHADOW_RUNS_MAX)),
            running: AtomicBool::new(true),
            found: Mutex::default(),
            clock,
        })
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Answers a request of the name: by the version in force, or by the one on trial.
    pub(crate) async fn infer(self: &Arc<Self>, request: InferRequest) -> Result<InferAnswer, InferenceError> {
        let chosen = self.chooses(&request);
        match (self.settings.kind, chosen) {
            (TrialKind::Canary, true) => self.tried(request).await,
            (TrialKind::Canary, false) => self.timed(Side::Control, request).await,
            (TrialKind::Shadow, false) => self.control.infer(request).await,
            (TrialKind::Shadow, true) => self.shadowed(request).await,
        }
    }

    /// Whether a request's key is one of the share: the same key always is, or never, while the trial runs.
    fn chooses(&self, request: &InferRequest) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.candidate.name().as_bytes()).update(&[0]);
        hasher.update(self.candidate.version().as_bytes()).update(&[0]);
        match (&request.routing_key, request.id.as_str()) {
            (Some(key), _) => hasher.update(key.as_bytes()),
            (None, "") => {
                let mut bytes = Vec::new();
                request.inputs.iter().for_each(|input| input.tensor.data().write_bytes(&mut bytes));
                hasher.update(&bytes)
            }
            (None, id) => hasher.update(id.as_bytes()),
        };
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        // 53 bits, so that the quotient is exact.
        ((u64::from_be_bytes(first) >> 11) as f64) / ((1u64 << 53) as f64) < self.settings.share
    }

    /// Answers by the version on trial; what it refuses and the version in force takes is its failure, and is answered.
    async fn tried(&self, request: InferRequest) -> Result<InferAnswer, InferenceError> {
        let again = request.clone();
        let refusal = match self.timed(Side::Candidate, request).await {
            Err(error) if error.kind == ErrorKind::Invalid => error,
            answer => return answer,
        };
        let Ok(answer) = self.control.infer(again).await else { return Err(refusal) };
        self.failed(Side::Candidate);
        Ok(answer)
    }

    fn failed(&self, side: Side) {
        let mut found = self.found.lock();
        found.arms[side as usize].failed();
        self.judge(&mut found);
    }

    async fn timed(&self, side: Side, request: InferRequest) -> Result<InferAnswer, InferenceError> {
        let served = if side == Side::Control { &self.control } else { &self.candidate };
        let (id, begin) = (request.id.clone(), self.clock.now());
        let answer = served.infer(request).await;
        self.count(side, &id, self.clock.now().micros_since(begin), &answer);
        answer
    }

    async fn shadowed(self: &Arc<Self>, request: InferRequest) -> Result<InferAnswer, InferenceError> {
        let Ok(place) = self.runs.clone().try_acquire_owned() else {
            self.found.lock().comparison.passed_over += 1;
            return self.control.infer(request).await;
        };
        let again = request.clone();
        let answer = self.timed(Side::Control, request).await;
        let (trial, given) = (self.clone(), answer.as_ref().ok().map(|answer| answer.outputs.clone()));
        tokio::spawn(async move {
            let _place = place;
            // Its end is counted with it; nobody waits for what it says.
            match (given, trial.timed(Side::Candidate, again).await) {
                (Some(given), Ok(own)) => trial.found.lock().comparison.add(&given, &own.outputs),
                (Some(_), Err(error)) if error.kind == ErrorKind::Invalid => trial.failed(Side::Candidate),
                _ => {}
            }
        });
        answer
    }

    fn count(&self, side: Side, id: &str, latency_us: i64, answer: &Result<InferAnswer, InferenceError>) {
        let mut found = self.found.lock();
        match answer {
            Ok(answer) => {
                let first = answer.outputs.first().and_then(mean_of);
                found.arms[side as usize].answered(latency_us, first);
                // A shadow's answer waits for the same outcome under a name of its own.
                if let Some(first) = first.filter(|_| !id.is_empty()) {
                    found.wait_for_outcome(self.waiting_name(side, id), side, first);
                }
            }
            // Who asks for what cannot be says nothing of the version; what one version takes and the other does not is
            // counted by those who asked both.
            Err(error) if error.kind == ErrorKind::Invalid => return,
            Err(_) => found.arms[side as usize].failed(),
        }
        self.judge(&mut found);
    }

    fn waiting_name(&self, side: Side, id: &str) -> String {
        match (self.settings.kind, side) {
            (TrialKind::Shadow, Side::Candidate) => format!("s{id}"),
            _ => format!("c{id}"),
        }
    }

    /// Tells what became of requests; gives how many of them were known.
    pub(crate) fn tell(&self, outcomes: &[Outcome]) -> usize {
        let mut found = self.found.lock();
        let mut known = 0;
        for Outcome { id, value } in outcomes {
            let mut is_known = false;
            for name in [format!("c{id}"), format!("s{id}")] {
                if let Some((side, predicted)) = found.waiting.remove(&name) {
                    found.arms[side as usize].became(predicted, *value);
                    is_known = true;
                }
            }
            known += usize::from(is_known);
        }
        self.judge(&mut found);
        known
    }

    /// Stops the trial where the version on trial is worse than its guard allows.
    fn judge(&self, found: &mut Found) {
        if found.stopped.is_some() {
            return;
        }
        let [control, candidate] = &found.arms;
        if let Some(why) = self.settings.guard.objects(control, candidate) {
            tracing::warn!(model = self.control.name(), version = self.candidate.version(), why, "a trial was stopped");
            self.end(found, why);
        }
    }

    /// Stops the trial for a reason from outside; one that stopped keeps its reason.
    pub(crate) fn stop(&self, why: &str) {
        let mut found = self.found.lock();
        if found.stopped.is_none() {
            self.end(&mut found, why.to_owned());
        }
    }

    fn end(&self, found: &mut Found, why: String) {
        found.stopped = Some(Stop { at: self.clock.now(), why });
        self.running.store(false, Ordering::Release);
    }

    pub(crate) fn report(&self) -> TrialReport {
        let found = self.found.lock();
        TrialReport {
            model: self.control.name().to_owned(),
            control_version: self.control.version().to_owned(),
            version: self.candidate.version().to_owned(),
            settings: self.settings,
            begun_at: self.begun_at,
            stopped: found.stopped.clone(),
            control: found.arms[Side::Control as usize].figures(),
            candidate: found.arms[Side::Candidate as usize].figures(),
            comparison: (self.settings.kind == TrialKind::Shadow).then_some(found.comparison),
        }
    }
}

/// What became of a request: the value that its first output foretold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The id that the request had.
    pub id: String,
    /// What came out, such as 1 for a fraud and 0 for none.
    pub value: f64,
}

impl Found {
    fn wait_for_outcome(&mut self, name: String, side: Side, first: f64) {
        if self.waiting.insert(name.clone(), (side, first)).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > OUTCOMES_WAITING_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.waiting.remove(&oldest);
            }
        }
    }
}

impl Comparison {
    fn add(&mut self, given: &[NamedTensor], own: &[NamedTensor]) {
        self.compared += 1;
        let mut is_same = given.len() == own.len();
        for (given, own) in given.iter().zip(own) {
            is_same &= given.name == own.name && given.tensor.shape() == own.tensor.shape();
            match (numbers_of(given.tensor.data()), numbers_of(own.tensor.data())) {
                (Some(given), Some(own)) => is_same &= self.add_numbers(&given, &own),
                _ => is_same &= given.tensor == own.tensor,
            }
        }
        self.different += u64::from(!is_same);
    }

    fn add_numbers(&mut self, given: &[f64], own: &[f64]) -> bool {
        let mut is_same = true;
        for (given, own) in given.iter().zip(own) {
            let difference = (given - own).abs();
            if given.to_bits() == own.to_bits() || difference <= SAME_WITHIN * given.abs().max(own.abs()) {
                self.numbers += 1;
                self.difference_mean -= self.difference_mean / self.numbers as f64;
                continue;
            }
            is_same = false;
            if difference.is_finite() {
                self.numbers += 1;
                self.difference_mean += (difference - self.difference_mean) / self.numbers as f64;
                self.difference_max = self.difference_max.max(difference);
            }
        }
        is_same
    }
}

/// The values of a tensor of numbers; nothing for texts.
fn numbers_of(data: &TensorData) -> Option<Vec<f64>> {
    match data {
        TensorData::F32(values) => Some(values.iter().map(|&value| f64::from(value)).collect()),
        TensorData::F64(values) => Some(values.clone()),
        TensorData::I32(values) => Some(values.iter().map(|&value| f64::from(value)).collect()),
        TensorData::I64(values) => Some(values.iter().map(|&value| value as f64).collect()),
        _ => None,
    }
}

/// The mean of a tensor of finite numbers.
fn mean_of(output: &NamedTensor) -> Option<f64> {
    let values = numbers_of(output.tensor.data())?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    mean.is_finite().then_some(mean)
}

impl Guard {
    /// What is wrong with the candidate, in words.
    fn objects(&self, control: &Arm, candidate: &Arm) -> Option<String> {
        if control.requests() >= self.requests_min && candidate.requests() >= self.requests_min {
            let (own, other) = (candidate.failure_share(), control.failure_share());
            if own > other + self.failure_share_max {
                return Some(format!(
                    "{:.2} % of its requests failed, of the version in force {:.2} %",
                    100.0 * own,
                    100.0 * other
                ));
            }
            let (own, other) = (candidate.latency_us_p95(), control.latency_us_p95());
            if own > other * self.latency_ratio_max {
                return Some(format!(
                    "its 95th percentile of latency is {own:.0} us, {:.2} times that of the version in force",
                    own / other
                ));
            }
        }
        if control.answered_count() >= self.requests_min && candidate.answered_count() >= self.requests_min {
            let shift = candidate.output_mean() - control.output_mean();
            let error = (candidate.output_variance() / candidate.answered_count() as f64
                + control.output_variance() / control.answered_count() as f64)
                .sqrt();
            let deviation = control.output_variance().sqrt();
            if shift.abs() > self.shift_max * deviation && shift.abs() > STANDARD_ERRORS_MIN * error && shift != 0.0 {
                return Some(format!(
                    "the mean of its first output is {:.6}, of the version in force {:.6}",
                    candidate.output_mean(),
                    control.output_mean()
                ));
            }
        }
        self.objects_to_calibration(control, candidate)
    }

    fn objects_to_calibration(&self, control: &Arm, candidate: &Arm) -> Option<String> {
        if control.outcome_count() < self.requests_min || candidate.outcome_count() < self.requests_min {
            return None;
        }
        let (own, other) = (candidate.calibration_gap(), control.calibration_gap());
        let beyond = own.abs() > STANDARD_ERRORS_MIN * candidate.calibration_error();
        (beyond && own.abs() > other.abs() + self.calibration_gap_max).then(|| {
            format!(
                "its outputs are {own:+.4} beside what came out on the mean, those of the version in force {other:+.4}"
            )
        })
    }
}
