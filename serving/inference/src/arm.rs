//! What one side of a trial did: requests, failures, latency, outputs and how near they were to what came out; it judges nothing.

use serde::Serialize;

/// Buckets of latency in each doubling, so that a quantile is known to 9 %.
const BUCKETS_PER_DOUBLING: f64 = 8.0;
/// From one microsecond to two minutes.
const BUCKETS: usize = 216;

/// Mean and spread of numbers that come one by one (Welford 1962).
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// The sample's variance; 0 of fewer than two.
    fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.squares / (self.count - 1) as f64 }
    }
}

/// One side, while it grows.
pub(crate) struct Arm {
    failures: u64,
    answers: u64,
    latency: [u64; BUCKETS],
    outputs: Spread,
    /// What was foretold less what came out.
    gaps: Spread,
    squared_errors: Spread,
}

impl Default for Arm {
    fn default() -> Self {
        let (outputs, gaps, squared_errors) = Default::default();
        Self { failures: 0, answers: 0, latency: [0; BUCKETS], outputs, gaps, squared_errors }
    }
}

/// The figures of one side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmFigures {
    /// Requests that it was asked, without those that were wrong.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// The median of its latency, in microseconds, to 9 %; 0 where nothing was answered.
    pub latency_us_p50: f64,
    /// The 95th percentile.
    pub latency_us_p95: f64,
    /// The mean of its first output.
    pub output_mean: f64,
    /// The standard deviation of its first output among requests.
    pub output_deviation: f64,
    /// Requests whose outcome was told.
    pub outcomes: u64,
    /// How much higher its outputs were than what came out, on the mean.
    pub calibration_gap: f64,
    /// The mean squared difference of output and outcome: the Brier score where outcomes are 0 and 1.
    pub squared_error_mean: f64,
}

impl Arm {
    pub(crate) fn answered(&mut self, latency_us: i64, output: Option<f64>) {
        self.answers += 1;
        let bucket = (latency_us.max(1) as f64).log2() * BUCKETS_PER_DOUBLING;
        self.latency[(bucket as usize).min(BUCKETS - 1)] += 1;
        if let Some(output) = output {
            self.outputs.add(output);
        }
    }

    pub(crate) fn failed(&mut self) {
        self.failures += 1;
    }

    pub(crate) fn became(&mut self, foretold: f64, outcome: f64) {
        self.gaps.add(foretold - outcome);
        self.squared_errors.add((foretold - outcome).powi(2));
    }

    pub(crate) fn requests(&self) -> u64 {
        self.answers + self.failures
    }

    pub(crate) fn failure_share(&self) -> f64 {
        self.failures as f64 / self.requests().max(1) as f64
    }

    pub(crate) fn latency_us_p95(&self) -> f64 {
        self.latency_us(0.95)
    }

    /// Requests with a first output that is a number.
    pub(crate) fn answered_count(&self) -> u64 {
        self.outputs.count
    }

    pub(crate) fn output_mean(&self) -> f64 {
        self.outputs.mean
    }

    pub(crate) fn output_variance(&self) -> f64 {
        self.outputs.variance()
    }

    pub(crate) fn outcome_count(&self) -> u64 {
        self.gaps.count
    }

    pub(crate) fn calibration_gap(&self) -> f64 {
        self.gaps.mean
    }

    /// The standard error of the gap.
    pub(crate) fn calibration_error(&self) -> f64 {
        (self.gaps.variance() / self.gaps.count.max(1) as f64).sqrt()
    }

    /// A quantile of latency: the middle of its bucket.
    fn latency_us(&self, quantile: f64) -> f64 {
        let wanted = (quantile * self.answers as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let bucket = self.latency.iter().position(|count| {
            below += count;
            below >= wanted
        });
        bucket.map_or(0.0, |bucket| ((bucket as f64 + 0.5) / BUCKETS_PER_DOUBLING).exp2())
    }

    pub(crate) fn figures(&self) -> ArmFigures {
        ArmFigures {
            requests: self.requests(),
            failures: self.failures,
            latency_us_p50: self.latency_us(0.5),
            latency_us_p95: self.latency_us(0.95),
            output_mean: self.outputs.mean,
            output_deviation: self.outputs.variance().sqrt(),
            outcomes: self.gaps.count,
            calibration_gap: self.gaps.mean,
            squared_error_mean: self.squared_errors.mean,
        }
    }
}
