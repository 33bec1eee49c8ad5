//! How well each fraud model's probabilities are borne out, judged now and then for metrics; the weeks of the desk are in `fraud_health`.

use std::collections::BTreeMap;
use std::time::Duration;

use dhow_commerce::ScoredDecision;
use dhow_events::{DAY_MICROS, TenantId, Timestamp};
use serde::Serialize;

use crate::fraud_health::{Labels, outcome, quality};
use crate::{Engine, EngineError, ScoreQuality};

/// How far back decisions are judged, in days; those of the last two weeks have no outcome yet.
const CALIBRATION_DAYS: i64 = 56;
/// From one judgement to the next, at least.
pub(crate) const CALIBRATION_PAUSE: Duration = Duration::from_secs(600);

/// How well one fraud model's probabilities were borne out by mature decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelCalibration {
    /// The model: one that decided, or one that looked on.
    pub model: String,
    /// Mature decisions that it scored.
    pub mature: u64,
    /// Frauds among them.
    pub frauds: u64,
    /// What its probabilities were worth.
    pub quality: ScoreQuality,
}

impl Engine {
    /// Judges every fraud model on the mature decisions of the last eight weeks; metrics tell what came out.
    ///
    /// # Errors
    /// The database or the lake cannot be read.
    pub async fn judge_calibration(&self, tenant: TenantId) -> Result<(), EngineError> {
        let now = self.clock().now();
        let from = now - CALIBRATION_DAYS * DAY_MICROS;
        let (decisions, _) = self.scored_since(tenant, from, now).await?;
        let judged = if decisions.is_empty() {
            Vec::new()
        } else {
            calibrations(&decisions, &self.labels_since(tenant, from, now).await?, now)?
        };
        self.monitor().set_calibration(tenant, judged);
        Ok(())
    }
}

fn calibrations(
    decisions: &[ScoredDecision],
    labels: &Labels,
    now: Timestamp,
) -> Result<Vec<ModelCalibration>, EngineError> {
    let mut by_model: BTreeMap<&str, (Vec<f64>, Vec<bool>)> = BTreeMap::new();
    for decision in decisions {
        let Some(fraud) = outcome(decision, labels, now) else { continue };
        let looked_on = decision.shadows.iter().map(|shadow| (&*shadow.model, shadow.probability));
        for (model, probability) in looked_on.chain([(&*decision.model, decision.probability)]) {
            let (scores, outcomes) = by_model.entry(model).or_default();
            scores.push(probability);
            outcomes.push(fraud);
        }
    }
    let calibration = |(model, (scores, outcomes)): (&str, (Vec<f64>, Vec<bool>))| {
        Ok(ModelCalibration {
            model: model.to_owned(),
            mature: outcomes.len() as u64,
            frauds: outcomes.iter().filter(|fraud| **fraud).count() as u64,
            quality: quality(&scores, &outcomes)?,
        })
    };
    by_model.into_iter().map(calibration).collect()
}
