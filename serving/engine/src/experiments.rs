//! What the experiment that runs has shown so far, counted from the lake; who is in which arm is `storefront`'s.

use dhow_events::TenantId;
use dhow_experiments::{Summary, TestReport, compare};
use dhow_offline::{ArmOutcome, Lake, Moments, QueryBounds, SqlSession, arm_outcomes};
use serde::Serialize;

use crate::error::failed;
use crate::{Engine, EngineError};

/// What one arm's visitors did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmTotals {
    /// The arm.
    pub arm: String,
    /// Visitors who were shown a slate.
    pub visitors: u64,
    /// Slates.
    pub slates: u64,
    /// Products opened from slates, per visitor.
    pub clicks_per_visitor: f64,
    /// What visitors ordered from their first slate on, in US cents, per visitor.
    pub sales_usd_minor_per_visitor: f64,
}

/// The experiment that runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentReport {
    /// The arms, the control first.
    pub arms: Vec<ArmTotals>,
    /// Clicks per visitor, each arm beside the control; may be looked at any time.
    pub clicks: TestReport,
    /// Sales per visitor, likewise.
    pub sales: TestReport,
}

impl Engine {
    /// What the experiment that runs has shown so far, as of the lake's last checkpoint.
    ///
    /// # Errors
    /// None runs, or a failing query.
    pub async fn experiment_report(&self, tenant: TenantId) -> Result<ExperimentReport, EngineError> {
        let storefront = self.storefront();
        let (experiment, settings) =
            storefront.experiment().ok_or_else(|| EngineError::NotFound("an experiment in the settings".to_owned()))?;
        let lake = self.lake().clone();
        let open = move || SqlSession::open(&Lake::open(lake)?, &tenant, QueryBounds::default());
        let session = tokio::task::spawn_blocking(open).await.map_err(failed("lake"))?.map_err(failed("lake"))?;
        let outcomes = arm_outcomes(&session, experiment.name()).await.map_err(failed("lake"))?;
        let outcomes: Vec<ArmOutcome> = settings.arms.iter().map(|arm| of_arm(&outcomes, &arm.name)).collect();
        let test = |moments: fn(&ArmOutcome) -> Moments| {
            let samples: Vec<Summary> = outcomes.iter().map(|arm| summary(arm.visitors, moments(arm))).collect();
            compare(experiment, &samples, &settings.test).map_err(failed("experiment"))
        };
        let (clicks, sales) = (test(|arm| arm.clicks)?, test(|arm| arm.sales_usd_minor)?);
        let totals = |arm: &ArmOutcome| ArmTotals {
            arm: arm.arm.clone(),
            visitors: arm.visitors,
            slates: arm.slates,
            clicks_per_visitor: summary(arm.visitors, arm.clicks).mean,
            sales_usd_minor_per_visitor: summary(arm.visitors, arm.sales_usd_minor).mean,
        };
        Ok(ExperimentReport { arms: outcomes.iter().map(totals).collect(), clicks, sales })
    }
}

/// The arm's outcome; one that nobody has seen yet has none.
fn of_arm(outcomes: &[ArmOutcome], name: &str) -> ArmOutcome {
    outcomes.iter().find(|outcome| outcome.arm == name).cloned().unwrap_or_else(|| ArmOutcome {
        arm: name.to_owned(),
        visitors: 0,
        slates: 0,
        clicks: Moments::default(),
        sales_usd_minor: Moments::default(),
    })
}

/// Mean and unbiased variance.
fn summary(visitors: u64, moments: Moments) -> Summary {
    let count = visitors as f64;
    let mean = if visitors == 0 { 0.0 } else { moments.sum / count };
    let squares = (moments.sum_of_squares - moments.sum * mean).max(0.0);
    Summary { visitors, mean, variance: if visitors < 2 { 0.0 } else { squares / (count - 1.0) } }
}
