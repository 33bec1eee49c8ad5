//! What of a request goes into the audit log, and the id by which it is known; reading the log is a route.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use dhow_commerce::{AuditOutcome, AuditRequest, AuditStorage, REQUEST_ID_BYTES_MAX};
use dhow_store::audited;

use crate::access::{Admitted, LOGIN_CALLBACK};
use crate::app::App;

/// The header that carries a request's id, of the request and of its answer.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Routes whose paths name persons.
const PERSONS: &str = "/v1/persons/";

/// POST routes that change nothing, or whose changes are their own record: questions, and events that are taken in. What is not
/// named here is logged.
const ASKING_POSTS: [&str; 18] = [
    "/v1/events",
    "/v1/batch",
    "/v1/recommendations",
    "/v1/bundles",
    "/v1/fraud/scores",
    "/v1/delivery-times",
    "/v1/forecasts/batch",
    "/v1/routes",
    "/v1/optimization",
    "/v1/routes/check",
    "/v1/routes/explain",
    "/v1/quotes",
    "/v1/features",
    "/v1/text-similarity",
    "/v1/sql",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/versions/{version}/infer",
    "/v2/repository/index",
];

/// The id of a request: the caller's where it is one, else a fresh one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub String);

impl RequestId {
    /// Reads the header, or makes an id out of `random`.
    pub(crate) fn of(headers: &HeaderMap, random: impl FnOnce() -> u128) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let usable = |text: &&str| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        Self(given.filter(usable).map_or_else(|| format!("{:032x}", random()), str::to_owned))
    }
}

/// Whether a request to `route` may change something that the audit log tells of.
pub(crate) fn is_change(method: &Method, route: &str) -> bool {
    match *method {
        Method::PUT | Method::DELETE | Method::PATCH => true,
        Method::POST => !ASKING_POSTS.contains(&route),
        // It begins a session.
        _ => route == LOGIN_CALLBACK,
    }
}

/// The row of a request to `route` that may change something; `admitted` is nothing where a signature stands in the place of
/// a key, or somebody logs in or out.
pub(crate) fn row_of(app: &App, admitted: Option<&Admitted>, route: &str, request: &Request) -> Option<AuditRequest> {
    is_change(request.method(), route).then(|| AuditRequest {
        tenant: admitted.map(|admitted| admitted.caller.tenant),
        key: admitted.and_then(|admitted| admitted.caller.key),
        person: admitted.and_then(|admitted| admitted.person.as_ref()).map(|session| session.person.clone()),
        operation: format!("{} {route}", request.method()),
        // The log is kept, and a person is not to stand in it.
        path: if route.starts_with(PERSONS) { route.to_owned() } else { request.uri().path().to_owned() },
        request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
        at: app.engine.clock().now(),
    })
}

/// Does the work of a request, and sees to its row in the audit log: with the change where one is committed, after the work
/// where none is. What nobody's tenant is named for, a message without its signature, has no row.
pub(crate) async fn answer(app: &App, row: Option<AuditRequest>, work: impl Future<Output = Response>) -> Response {
    let Some(row) = row else { return work.await };
    let (response, changed) = audited(row.clone(), work).await;
    if let Some(tenant) = row.tenant.filter(|_| !changed) {
        let status = response.status();
        let written = app.engine.store().append_audit(&row, tenant, outcome(status), status.as_u16()).await;
        if let Err(error) = written {
            // Nothing was changed, so no change is without its row.
            tracing::error!(%error, request_id = row.request_id, "a request that changed nothing could not be logged");
        }
    }
    response
}

fn outcome(status: StatusCode) -> AuditOutcome {
    if status.is_server_error() {
        AuditOutcome::Failed
    } else if status.is_client_error() {
        AuditOutcome::Refused
    } else {
        AuditOutcome::Unchanged
    }
}
