//! Signs of life, metrics, and the OpenAPI document.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use dhow_commerce::Outbox;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::JSON_TYPE;
use crate::metrics::Told;
use crate::problem::Problem;

const PROMETHEUS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A sign of life.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    /// `ok`.
    status: &'static str,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, body = HealthAnswer)))]
pub(crate) async fn healthz() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok" })
}

/// Whether requests can be answered; 503 with the reason where not.
#[utoipa::path(get, path = "/readyz", tag = "operation", responses((status = 200, body = HealthAnswer)))]
pub(crate) async fn readyz(State(app): State<Shared>) -> Result<Json<HealthAnswer>, Problem> {
    if app.engine.worker_failure().is_some() {
        return Err(Problem::busy("worker_failed", "the stream worker ended; the server's log says why"));
    }
    app.engine.store().ping().await.map_err(|error| {
        tracing::error!(%error, "not ready");
        Problem::busy("database_unavailable", "the database does not answer; the server's log says why")
    })?;
    Ok(Json(HealthAnswer { status: "ok" }))
}

/// Figures for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let (tenant, status) = (caller.tenant, app.engine.status(caller.tenant)?);
    let outbox_events = app.engine.store().outbox_waiting().await?;
    let served = app.engine.inference().all(tenant);
    let text = app.metrics.prometheus(&Told { status: &status, outbox_events, served: &served, tenant });
    Ok(([(header::CONTENT_TYPE, PROMETHEUS_TYPE)], text).into_response())
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation",
    responses((status = 200, body = serde_json::Value, content_type = "application/json")),
)]
pub(crate) async fn openapi_json(State(app): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, JSON_TYPE)], app.document.clone()).into_response()
}
