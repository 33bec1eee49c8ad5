//! Recorded fraud decisions and how the desk has fared; scores are given in `fraud_scores`.

use axum::Json;
use axum::extract::State;
use dhow_commerce::{DecisionKind, DecisionRecord, FraudCase, Storage};
use dhow_engine::{EngineError, FraudHealth};
use dhow_events::{DecisionId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::{App, Shared};
use crate::fraud_schemas;
use crate::input::{Parameters, PathId};
use crate::problem::Problem;
use crate::schemas;

/// The weeks of a look at the desk's health where the caller names no number.
const HEALTH_WEEKS: u32 = 8;

/// A fraud decision with all that it was made of, and its case.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FraudDecisionAnswer {
    /// The record: features as seen, reasons, model; in `answer` the score, the rules' version and what they said.
    #[schema(value_type = schemas::Decision)]
    decision: DecisionRecord,
    /// Where a person was asked to look.
    #[schema(value_type = Option<fraud_schemas::FraudCase>, required)]
    case: Option<FraudCase>,
}

/// Read a fraud decision with its case; what scored a payment, an account or a return has none.
#[utoipa::path(
    get, path = "/v1/fraud/decisions/{id}", tag = "fraud",
    params(("id" = String, Path, description = "The decision.")),
    responses((status = 200, body = FraudDecisionAnswer)),
)]
pub(crate) async fn get_fraud_decision(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
) -> Result<Json<FraudDecisionAnswer>, Problem> {
    let found = app.engine.store().decision(caller.tenant, id).await?;
    let decision = found.filter(|record| matches!(record.kind, DecisionKind::Fraud | DecisionKind::Risk));
    let decision = decision.ok_or_else(|| Problem::not_found(format!("fraud decision {id}")))?;
    let case = app.engine.store().fraud_case(caller.tenant, id).await?;
    Ok(Json(FraudDecisionAnswer { decision, case }))
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HealthParameters {
    /// Weeks, this one counted, 1 to 26; 8 where it is absent.
    weeks: Option<u32>,
}

/// Read how the fraud desk has fared, week by week.
///
/// Alert rate, delay of labels, calibration on decisions that are at least 14 days old, the shift of scores from those of the
/// training data, and models that look on beside the one that decides. Labels are as of the lake's last checkpoint.
#[utoipa::path(
    get, path = "/v1/fraud/health", tag = "fraud", params(HealthParameters),
    responses((status = 200, body = fraud_schemas::FraudHealth)),
)]
pub(crate) async fn get_fraud_health(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<HealthParameters>,
) -> Result<Json<FraudHealth>, Problem> {
    Ok(Json(app.engine.fraud_health(caller.tenant, parameters.weeks.unwrap_or(HEALTH_WEEKS)).await?))
}

/// Where nothing was scored because no model is in force, the problem that says so.
pub(crate) fn unless_no_model(app: &App, tenant: TenantId, problem: Problem) -> Problem {
    let in_force = app.engine.champions().labels(tenant).iter().any(|(task, _)| *task == "fraud");
    if problem.is_not_scored() && !in_force { EngineError::NoModel { task: "fraud" }.into() } else { problem }
}
