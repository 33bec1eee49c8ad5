//! A version of a model on trial beside the one in force: begun, read, told of outcomes, ended; who is on which side is elsewhere.

use axum::Json;
use axum::extract::{Path, State};
use dhow_inference::{ErrorKind, Guard, InferenceError, Outcome, TrialKind, TrialReport, TrialSettings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::JsonBody;
use crate::problem::Problem;
use crate::routes::trial_schemas;

/// A version to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrialRequest {
    /// `shadow`: it runs behind the answer, and both are compared. `canary`: it answers its share.
    #[schema(value_type = String)]
    kind: TrialKind,
    /// The share of keys whose requests it sees: more than 0, at most 1. A request's key is its parameter `routing_key`, its id
    /// where there is none, or else what it asks.
    share: f64,
    /// The name whose version is tried, such as `fraud.challenger`; the name itself where it is absent.
    model: Option<String>,
    /// The version; what stands behind the name where it is absent.
    version: Option<String>,
    /// When it stops by itself.
    #[serde(default)]
    #[schema(value_type = Option<trial_schemas::TrialGuard>)]
    guard: Guard,
}

/// What became of requests.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomesRequest {
    /// At most 10,000.
    #[schema(value_type = Vec<trial_schemas::TrialOutcome>)]
    outcomes: Vec<Outcome>,
}

/// How many outcomes were of requests that the trial saw.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomesAnswer {
    known: usize,
}

impl From<InferenceError> for Problem {
    fn from(error: InferenceError) -> Self {
        let InferenceError { kind, message } = error;
        match kind {
            ErrorKind::NotFound => Self::new(axum::http::StatusCode::NOT_FOUND, "not_found", message),
            ErrorKind::Busy | ErrorKind::Unavailable => Self::busy("busy", message),
            ErrorKind::Invalid | ErrorKind::Unsupported => {
                Self::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", message)
            }
            _ => Self::internal(message),
        }
    }
}

/// Tell what the trial of a model found.
#[utoipa::path(
    get, path = "/v1/models/{model}/trial", tag = "models",
    params(("model" = String, Path, description = "A loaded model's name, or `<task>.<alias>`.")),
    responses((status = 200, body = trial_schemas::TrialReport)),
)]
pub(crate) async fn get_trial(
    State(app): State<Shared>,
    caller: Caller,
    Path(model): Path<String>,
) -> Result<Json<TrialReport>, Problem> {
    Ok(Json(app.engine.inference().trial(caller.tenant, &model)?))
}

/// Try a version on a share of a model's requests, instead of what was tried before.
///
/// It is loaded beside the version in force and must have the same inputs and outputs. It stops by itself where it fails more
/// often, is slower, answers otherwise or is worse calibrated than its guard allows; the version in force then answers again.
/// To put it in force, load it: `POST /v2/repository/models/{model}/load` with the parameter `version`. A trial ends with the
/// process and with any change of the model.
#[utoipa::path(
    put, path = "/v1/models/{model}/trial", tag = "models", request_body = TrialRequest,
    params(("model" = String, Path, description = "A loaded model's name, or `<task>.<alias>`.")),
    responses((status = 200, body = trial_schemas::TrialReport)),
)]
pub(crate) async fn put_trial(
    State(app): State<Shared>,
    caller: Caller,
    Path(model): Path<String>,
    body: JsonBody<TrialRequest>,
) -> Result<Json<TrialReport>, Problem> {
    let TrialRequest { kind, share, model: of, version, guard } = body.value;
    let tried = (of.as_deref().unwrap_or(&model), version.as_deref());
    let settings = TrialSettings { kind, share, guard };
    Ok(Json(app.engine.inference().begin_trial(caller.tenant, &model, tried, settings).await?))
}

/// End a trial; the version in force answers every request again.
#[utoipa::path(
    delete, path = "/v1/models/{model}/trial", tag = "models",
    params(("model" = String, Path, description = "A loaded model's name, or `<task>.<alias>`.")),
    responses((status = 200, body = trial_schemas::TrialReport)),
)]
pub(crate) async fn delete_trial(
    State(app): State<Shared>,
    caller: Caller,
    Path(model): Path<String>,
) -> Result<Json<TrialReport>, Problem> {
    Ok(Json(app.engine.inference().end_trial(caller.tenant, &model)?))
}

/// Tell a trial what became of requests, so that both sides' calibration is known.
///
/// Each request's outcome counts once; those of requests that the trial did not see are passed over.
#[utoipa::path(
    post, path = "/v1/models/{model}/trial/outcomes", tag = "models", request_body = OutcomesRequest,
    params(("model" = String, Path, description = "A loaded model's name, or `<task>.<alias>`.")),
    responses((status = 200, body = OutcomesAnswer)),
)]
pub(crate) async fn post_outcomes(
    State(app): State<Shared>,
    caller: Caller,
    Path(model): Path<String>,
    body: JsonBody<OutcomesRequest>,
) -> Result<Json<OutcomesAnswer>, Problem> {
    let known = app.engine.inference().tell_outcomes(caller.tenant, &model, &body.value.outcomes)?;
    Ok(Json(OutcomesAnswer { known }))
}
