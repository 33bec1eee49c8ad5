//! The shapes of trials for the OpenAPI document; the tests hold every real answer against them.

#![expect(dead_code, reason = "these types describe what another crate serialises; nothing constructs them")]

use utoipa::ToSchema;

/// When a trial stops by itself.
#[derive(ToSchema)]
pub(crate) struct TrialGuard {
    /// Requests, or outcomes, of each side before it is judged by them; 200 where it is absent.
    #[schema(required = false)]
    requests_min: u64,
    /// The share of requests that may fail beyond the share that fails in the version in force; .01.
    #[schema(required = false)]
    failure_share_max: f64,
    /// How many times the other's latency its 95th percentile may be; 1.5.
    #[schema(required = false)]
    latency_ratio_max: f64,
    /// How far the mean of its first output may be from the other's, in the other's standard deviations; .5.
    #[schema(required = false)]
    shift_max: f64,
    /// How much farther from the mean outcome its mean output may be than the other's; .02.
    #[schema(required = false)]
    calibration_gap_max: f64,
}

/// What became of a request.
#[derive(ToSchema)]
pub(crate) struct TrialOutcome {
    /// The id that the request had.
    id: String,
    /// What came out, such as 1 for a fraud and 0 for none.
    value: f64,
}

/// What one side of a trial did.
#[derive(ToSchema)]
pub(crate) struct TrialArm {
    /// Requests that it was asked, without those that were wrong.
    requests: u64,
    failures: u64,
    latency_us_p50: f64,
    latency_us_p95: f64,
    /// The mean of its first output.
    output_mean: f64,
    output_deviation: f64,
    /// Requests whose outcome was told.
    outcomes: u64,
    /// How much higher its outputs were than what came out, on the mean.
    calibration_gap: f64,
    /// The Brier score where outcomes are 0 and 1.
    squared_error_mean: f64,
}

/// The answers of a shadow beside those that were given.
#[derive(ToSchema)]
pub(crate) struct TrialComparison {
    compared: u64,
    /// Requests with a number, or a text, that is not the same.
    different: u64,
    difference_max: f64,
    difference_mean: f64,
    /// Requests that were not compared because too many shadows ran.
    passed_over: u64,
}

/// Why a trial stopped.
#[derive(ToSchema)]
pub(crate) struct TrialStop {
    at: String,
    why: String,
}

/// What a trial found.
#[derive(ToSchema)]
pub(crate) struct TrialReport {
    model: String,
    /// The version in force.
    control_version: String,
    /// The version on trial.
    version: String,
    /// `shadow` or `canary`.
    kind: String,
    share: f64,
    guard: TrialGuard,
    begun_at: String,
    /// Null while it runs.
    stopped: Option<TrialStop>,
    control: TrialArm,
    candidate: TrialArm,
    /// Of a shadow.
    comparison: Option<TrialComparison>,
}
