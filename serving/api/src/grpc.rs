//! The keys, rates and audit log of the HTTP API before the calls of the gRPC server; what calls do is elsewhere.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use dhow_commerce::{AuditOutcome, AuditRequest, AuditStorage, Permission};
use dhow_events::TenantId;
use dhow_inference::grpc::{Change, Gate, GrpcBounds, GrpcCaller, Need};
use dhow_inference::{ErrorKind, InferenceError};
use tokio::sync::OwnedSemaphorePermit;

use crate::access::Caller;
use crate::app::App;
use crate::audit::RequestId;
use crate::problem::Problem;
use crate::settings::{ApiSettings, GRPC_CONNECTIONS_MAX, GRPC_STREAMS_MAX, INFER_BODY_BYTES_MAX};

/// The bounds of the gRPC server beside an HTTP one of these settings.
pub(crate) const fn bounds(settings: &ApiSettings) -> GrpcBounds {
    GrpcBounds {
        message_bytes_max: INFER_BODY_BYTES_MAX,
        connections_max: GRPC_CONNECTIONS_MAX,
        streams_max: GRPC_STREAMS_MAX,
        call_time_max: settings.request_time_max,
        stop_time_max: settings.stop_time_max,
    }
}

/// Lets calls in as the HTTP API does, and counts them with its requests.
pub(crate) struct ApiGate(pub Arc<App>);

/// A caller, and its place among the requests at once.
pub(crate) struct PlacedCaller {
    caller: Caller,
    request_id: RequestId,
    _place: OwnedSemaphorePermit,
}

impl GrpcCaller for PlacedCaller {
    fn tenant(&self) -> TenantId {
        self.caller.tenant
    }
}

fn refused(problem: &Problem) -> InferenceError {
    let kind = match problem.status() {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthenticated,
        StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::Busy,
        StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Unavailable,
        _ => ErrorKind::Failed,
    };
    InferenceError::new(kind, problem.words())
}

#[async_trait::async_trait]
impl Gate for ApiGate {
    type Caller = PlacedCaller;

    async fn admit(&self, headers: &HeaderMap, need: Need) -> Result<PlacedCaller, InferenceError> {
        let Self(app) = self;
        let busy = |_| InferenceError::new(ErrorKind::Unavailable, "as many requests as may be are under way already");
        let place = app.places.clone().try_acquire_owned().map_err(busy)?;
        let permission = match need {
            Need::Read => Permission::ModelsRead,
            Need::Infer => Permission::ModelsInfer,
            Need::Change => Permission::ModelsWrite,
        };
        let now = app.tick();
        let admitted = app.keys.admit(app.engine.store(), headers, permission, now, None).await;
        let caller = admitted.map_err(|problem| refused(&problem))?.caller;
        app.rates.take(&caller, now).map_err(|problem| refused(&problem))?;
        let request_id = RequestId::of(headers, || app.engine.random());
        Ok(PlacedCaller { caller, request_id, _place: place })
    }

    async fn is_ready(&self) -> bool {
        let Self(app) = self;
        app.engine.worker_failure().is_none() && app.engine.store().ping().await.is_ok()
    }

    async fn changed(&self, placed: &PlacedCaller, change: Change) {
        let Self(app) = self;
        let row = AuditRequest {
            tenant: Some(placed.caller.tenant),
            key: placed.caller.key,
            person: None,
            operation: format!("gRPC {}", change.call),
            path: change.model,
            request_id: placed.request_id.0.clone(),
            at: app.engine.clock().now(),
        };
        let (outcome, status) = match change.outcome.map_err(|error| error.kind) {
            Ok(()) => (AuditOutcome::Unchanged, StatusCode::OK),
            Err(ErrorKind::Failed) => (AuditOutcome::Failed, StatusCode::INTERNAL_SERVER_ERROR),
            Err(_) => (AuditOutcome::Refused, StatusCode::BAD_REQUEST),
        };
        let written = app.engine.store().append_audit(&row, placed.caller.tenant, outcome, status.as_u16()).await;
        if let Err(error) = written {
            // As with requests of HTTP that change nothing in the database.
            tracing::error!(%error, request_id = row.request_id, "a call could not be logged");
        }
    }
}
