//! The experiment that runs on the storefront; how it is judged is not known here.

use axum::Json;
use axum::extract::State;
use dhow_experiments::{Comparison, Interval, TestReport, Verdict};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::problem::Problem;

/// What one arm's visitors did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArmAnswer {
    arm: String,
    /// Visitors who were shown a slate.
    visitors: u64,
    slates: u64,
    /// Products opened from slates.
    clicks_per_visitor: f64,
    /// What visitors ordered from their first slate on, in US cents.
    sales_usd_minor_per_visitor: f64,
}

/// An interval that holds whenever it is looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IntervalAnswer {
    low: f64,
    high: f64,
}

impl From<Interval> for IntervalAnswer {
    fn from(Interval { low, high }: Interval) -> Self {
        Self { low, high }
    }
}

/// An arm beside the control, the first arm.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComparisonAnswer {
    arm: String,
    visitors: u64,
    mean: f64,
    /// The arm's mean less the control's.
    difference: f64,
    #[schema(required)]
    difference_interval: Option<IntervalAnswer>,
    /// The difference as a share of the control's mean.
    #[schema(required)]
    lift: Option<f64>,
    #[schema(required)]
    lift_interval: Option<IntervalAnswer>,
    /// `better`, `worse`, `alike`, `no_verdict_yet` or `sample_ratio_mismatch`.
    verdict: &'static str,
    /// About how many more visitors a verdict needs, where that can be said.
    #[schema(required)]
    more_visitors: Option<u64>,
}

/// The experiment that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentAnswer {
    experiment: String,
    /// The arms, the control first.
    arms: Vec<ArmAnswer>,
    /// Whether the arms' sizes cannot be luck: assignment or counting is broken, and no verdict is given.
    sample_ratio_mismatch: bool,
    /// Clicks per visitor.
    clicks: Vec<ComparisonAnswer>,
    /// Sales per visitor.
    sales: Vec<ComparisonAnswer>,
}

/// Read the experiment that runs.
///
/// Counted from the events as of the lake's last checkpoint. The intervals may be looked at any time: stopping when they
/// look good does not spoil them.
#[utoipa::path(get, path = "/v1/experiment", tag = "models", responses((status = 200, body = ExperimentAnswer)))]
pub(crate) async fn get_experiment(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<ExperimentAnswer>, Problem> {
    let report = app.engine.experiment_report(caller.tenant).await?;
    let arm = |arm: dhow_engine::ArmTotals| ArmAnswer {
        arm: arm.arm,
        visitors: arm.visitors,
        slates: arm.slates,
        clicks_per_visitor: arm.clicks_per_visitor,
        sales_usd_minor_per_visitor: arm.sales_usd_minor_per_visitor,
    };
    Ok(Json(ExperimentAnswer {
        experiment: report.clicks.experiment.clone(),
        arms: report.arms.into_iter().map(arm).collect(),
        sample_ratio_mismatch: report.clicks.sample_ratio.mismatch,
        clicks: comparisons(report.clicks),
        sales: comparisons(report.sales),
    }))
}

fn comparisons(report: TestReport) -> Vec<ComparisonAnswer> {
    report.comparisons.into_iter().map(comparison).collect()
}

fn comparison(found: Comparison) -> ComparisonAnswer {
    let (verdict, more_visitors) = match found.verdict {
        Verdict::Better => ("better", None),
        Verdict::Worse => ("worse", None),
        Verdict::Alike => ("alike", None),
        Verdict::NoVerdictYet { more_visitors } => ("no_verdict_yet", more_visitors),
        Verdict::SampleRatioMismatch => ("sample_ratio_mismatch", None),
    };
    ComparisonAnswer {
        arm: found.arm,
        visitors: found.visitors,
        mean: found.mean,
        difference: found.difference,
        difference_interval: found.difference_interval.map(Into::into),
        lift: found.lift,
        lift_interval: found.lift_interval.map(Into::into),
        verdict,
        more_visitors,
    }
}
