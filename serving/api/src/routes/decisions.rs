//! Recorded decisions, one or a page.

use axum::Json;
use axum::extract::State;
use dhow_commerce::{DecisionFilter, DecisionKind, DecisionOutcome, DecisionRecord, Page, Storage};
use dhow_events::DecisionId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::{Parameters, PathId, page_request};
use crate::problem::Problem;
use crate::schemas;

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionParameters {
    /// Only of this kind: `recommendation`, `fraud`, `risk`, `forecast`, `route`, `text_similarity`, `delivery_time` or `credit`.
    #[param(value_type = Option<String>)]
    kind: Option<DecisionKind>,
    /// Only with this outcome: `answered`, `applied`, `refused` or `aborted`.
    #[param(value_type = Option<String>)]
    outcome: Option<DecisionOutcome>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List decisions, newest first.
#[utoipa::path(
    get, path = "/v1/decisions", tag = "decisions", params(DecisionParameters),
    responses((status = 200, body = schemas::DecisionPage)),
)]
pub(crate) async fn get_decisions(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<DecisionParameters>,
) -> Result<Json<Page<DecisionRecord>>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), DecisionId::KIND.prefix)?;
    let filter = DecisionFilter { kind: parameters.kind, outcome: parameters.outcome };
    Ok(Json(app.engine.store().decisions(caller.tenant, &filter, &page).await?))
}

/// Read a decision with its request, features and reasons.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "decisions",
    params(("id" = String, Path, description = "The decision.")),
    responses((status = 200, body = schemas::Decision)),
)]
pub(crate) async fn get_decision(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
) -> Result<Json<DecisionRecord>, Problem> {
    let found = app.engine.store().decision(caller.tenant, id).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(format!("decision {id}")))
}
