//! Webhook endpoints: made, changed, tested, their secrets rotated, what was sent to them and what is to be sent again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{
    Page, Storage, WebhookAttempt, WebhookDelivery, WebhookDeliveryState, WebhookEndpoint, WebhookEndpointInput,
    WebhookSecret,
};
use dhow_events::{IdError, WebhookDeliveryId, WebhookEndpointId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use super::keys::random_bits;
use crate::access::Caller;
use crate::app::Shared;
use crate::event_schemas;
use crate::input::{JsonBody, Parameters, PathId, etag, expected_version, idempotency, page_request};
use crate::problem::Problem;

/// The tenant's endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookEndpointsAnswer {
    /// Oldest first, at most 50.
    #[schema(value_type = Vec<event_schemas::WebhookEndpoint>)]
    items: Vec<WebhookEndpoint>,
}

/// An endpoint with a new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookSecretAnswer {
    #[schema(value_type = event_schemas::WebhookEndpoint)]
    endpoint: WebhookEndpoint,
    /// What its messages are signed with: `whsec_…`. It is shown once; null where the request was answered before.
    secret: Option<String>,
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WebhookDeliveryParameters {
    /// Only in this state: `pending`, `delivered` or `failed`.
    #[param(value_type = Option<String>)]
    state: Option<WebhookDeliveryState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Which part of the feed is to be sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookReplayRequest {
    /// A cursor of `GET /v1/events`: what follows it is sent. The oldest that is kept where it is absent.
    after: Option<String>,
    /// A cursor up to which is sent; where the endpoint stands where it is absent.
    until: Option<String>,
}

fn tagged(endpoint: WebhookEndpoint) -> Response {
    ([(header::ETAG, etag(endpoint.version))], Json(endpoint)).into_response()
}

fn fresh_secret() -> Result<WebhookSecret, Problem> {
    Ok(WebhookSecret::from_random(random_bits().map_err(Problem::internal)?))
}

/// List webhook endpoints.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints", tag = "webhooks",
    responses((status = 200, body = WebhookEndpointsAnswer)),
)]
pub(crate) async fn get_webhook_endpoints(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<WebhookEndpointsAnswer>, Problem> {
    Ok(Json(WebhookEndpointsAnswer { items: app.engine.store().webhook_endpoints(caller.tenant).await? }))
}

/// Send changes to a URL from now on.
///
/// Each event of `GET /v1/events` is posted as it stands there, signed by the conventions of Standard Webhooks
/// (`webhook-id`, `webhook-timestamp`, `webhook-signature`), at least once: the `webhook-id` is the event's id and the same in
/// every attempt, so that duplicates are known, and `sequence` gives the order. Any 2xx within 15 seconds takes it; a redirect
/// does not. What fails is tried ten times within three days; an endpoint that failed for five days, or answers 410, is
/// disabled. The URL must be `https` and lead to a public address.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints", tag = "webhooks", request_body = event_schemas::WebhookEndpointInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe; the secret is in the first answer only.")),
    responses((status = 201, body = WebhookSecretAnswer)),
)]
pub(crate) async fn post_webhook_endpoints(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<WebhookEndpointInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/webhook-endpoints", &body.bytes)?;
    let secret = fresh_secret()?;
    let made = app.engine.create_webhook_endpoint(caller.tenant, &body.value, &secret, key.as_ref()).await?;
    let secret = (!made.replayed).then(|| secret.reveal().to_owned());
    let tag = [(header::ETAG, etag(made.value.version))];
    let answer = WebhookSecretAnswer { endpoint: made.value, secret };
    Ok((StatusCode::CREATED, tag, replayed(made.replayed), Json(answer)).into_response())
}

/// Read a webhook endpoint.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint.")),
    responses((status = 200, body = event_schemas::WebhookEndpoint)),
)]
pub(crate) async fn get_webhook_endpoint(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<WebhookEndpointId>,
) -> Result<Response, Problem> {
    Ok(tagged(app.engine.commerce().webhook_endpoint(caller.tenant, id).await?.endpoint))
}

/// Change a webhook endpoint, disable or enable it. One that is enabled again goes on where it stood, as far as events are kept.
#[utoipa::path(
    put, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", request_body = event_schemas::WebhookEndpointInput,
    params(
        ("id" = String, Path, description = "The endpoint."),
        ("If-Match" = String, Header, description = "The endpoint's ETag."),
    ),
    responses((status = 200, body = event_schemas::WebhookEndpoint)),
)]
pub(crate) async fn put_webhook_endpoint(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<WebhookEndpointId>,
    headers: HeaderMap,
    body: JsonBody<WebhookEndpointInput>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    Ok(tagged(app.engine.change_webhook_endpoint(caller.tenant, id, &body.value, expected).await?))
}

/// Remove a webhook endpoint with its deliveries.
#[utoipa::path(
    delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint.")),
    responses((status = 204)),
)]
pub(crate) async fn delete_webhook_endpoint(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<WebhookEndpointId>,
) -> Result<StatusCode, Problem> {
    app.engine.commerce().delete_webhook_endpoint(caller.tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a new secret in force.
///
/// For 24 hours each message carries two signatures, by the new secret and by the one before, so that a receiver can change
/// over without missing one. A second rotation in that time drops the oldest at once. A repeated request rotates again.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/rotate-secret", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint.")),
    responses((status = 200, body = WebhookSecretAnswer)),
)]
pub(crate) async fn post_rotate_secret(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<WebhookEndpointId>,
) -> Result<Json<WebhookSecretAnswer>, Problem> {
    let secret = fresh_secret()?;
    let shown = Some(secret.reveal().to_owned());
    let endpoint = app.engine.commerce().rotate_webhook_secret(caller.tenant, id, secret).await?;
    Ok(Json(WebhookSecretAnswer { endpoint, secret: shown }))
}

/// Send a signed test message now, once, of type `dhow.webhook_tested`, and say how it ended. It is no delivery.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/test", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint.")),
    responses((status = 200, body = event_schemas::WebhookAttempt)),
)]
pub(crate) async fn post_webhook_test(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<WebhookEndpointId>,
) -> Result<Json<WebhookAttempt>, Problem> {
    Ok(Json(app.engine.test_webhook_endpoint(caller.tenant, id).await?))
}

/// List what was and is to be sent to an endpoint, newest first, with every attempt. Kept as long as events are.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path, description = "The endpoint."), WebhookDeliveryParameters),
    responses((status = 200, body = event_schemas::WebhookDeliveryPage)),
)]
pub(crate) async fn get_webhook_deliveries(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<WebhookEndpointId>,
    Parameters(parameters): Parameters<WebhookDeliveryParameters>,
) -> Result<Json<Page<WebhookDelivery>>, Problem> {
    let WebhookDeliveryParameters { state, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), WebhookDeliveryId::KIND.prefix)?;
    app.engine.commerce().webhook_endpoint(caller.tenant, id).await?;
    Ok(Json(app.engine.store().webhook_deliveries(caller.tenant, id, state, &page).await?))
}

/// Send one delivery again, whatever became of it, with the same `webhook-id`.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/deliveries/{delivery}/replay", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The endpoint."),
        ("delivery" = String, Path, description = "The delivery."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 202, body = event_schemas::WebhookDelivery)),
)]
pub(crate) async fn post_webhook_delivery_replay(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, delivery)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wrong = |name: &'static str| move |error: IdError| Problem::parameter(name, error.to_string());
    let id: WebhookEndpointId = id.parse().map_err(wrong("id"))?;
    let delivery: WebhookDeliveryId = delivery.parse().map_err(wrong("delivery"))?;
    let key = idempotency(&headers, &format!("POST replay {id} {delivery}"), &[])?;
    let again = app.engine.commerce().replay_webhook_delivery(caller.tenant, id, delivery, key.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, replayed(again.replayed), Json(again.value)).into_response())
}

/// Send a part of the feed, again or for the first time: at most 500 events of the endpoint's types. `next` says where to go on.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/replay", tag = "webhooks", request_body = WebhookReplayRequest,
    params(
        ("id" = String, Path, description = "The endpoint."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 202, body = event_schemas::WebhookReplay)),
)]
pub(crate) async fn post_webhook_replay(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<WebhookEndpointId>,
    headers: HeaderMap,
    body: JsonBody<WebhookReplayRequest>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST replay {id}"), &body.bytes)?;
    let part = (body.value.after.as_deref(), body.value.until.as_deref());
    let again = app.engine.commerce().replay_webhooks(caller.tenant, id, part, key.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, replayed(again.replayed), Json(again.value)).into_response())
}
