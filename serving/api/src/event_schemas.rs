//! The shapes of told events and of webhooks for the OpenAPI document, beside those of commerce's other records.

#![expect(dead_code, reason = "these types describe what other crates serialise; nothing constructs them")]

use serde_json::Value as Json;
use utoipa::ToSchema;

/// An event as it is told: a CloudEvent 1.0 with what it is about and its number there.
#[derive(ToSchema)]
pub(crate) struct ToldEvent {
    /// `1.0`.
    #[schema(example = "1.0")]
    specversion: String,
    /// The same however often it is told.
    #[schema(example = "evt_01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    #[schema(example = "/ten_default")]
    source: String,
    #[schema(rename = "type", example = "dhow.order_placed")]
    kind: String,
    /// When it happened.
    #[schema(example = "2026-01-31T12:00:00Z")]
    time: String,
    /// The same as `time`, for readers of Standard Webhooks.
    timestamp: String,
    datacontenttype: String,
    /// What it is about: the id of a checkout, a product, a transfer …
    #[schema(example = "chk_01890a5d-ac96-774b-bcce-b302099a8057")]
    subject: String,
    /// Its number among the events of the subject, from 1 without gaps.
    #[schema(example = "3")]
    sequence: String,
    /// The fact's fields.
    #[schema(value_type = Object)]
    data: Json,
}

/// What a person says about a webhook endpoint.
#[derive(ToSchema)]
pub(crate) struct WebhookEndpointInput {
    /// Where to: `https`, a public host, at most 2,048 bytes.
    #[schema(example = "https://shop.example/hooks")]
    url: String,
    /// Types of events, at most 20; all where none is named.
    #[schema(required = false, example = json!(["order_placed", "payment_captured"]))]
    types: Vec<String>,
    /// At most 300 bytes.
    #[schema(required = false)]
    description: String,
    /// Whether it is to get nothing for now.
    #[schema(required = false)]
    disabled: bool,
}

/// Where events are sent to.
#[derive(ToSchema)]
pub(crate) struct WebhookEndpoint {
    tenant: String,
    #[schema(example = "whe_01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    url: String,
    /// All where none is named.
    types: Vec<String>,
    description: String,
    /// `asked`, `failing` or `gone` where it gets nothing.
    #[schema(required)]
    disabled: Option<String>,
    /// Since when every attempt failed.
    #[schema(required)]
    failing_since: Option<String>,
    /// Until when the secret before signs too.
    #[schema(required)]
    previous_secret_until: Option<String>,
    /// Events that were no longer kept when it came to them.
    missed: i64,
    /// The ETag without its quotes.
    version: i64,
    created_at: String,
    updated_at: String,
}

/// One attempt to send a message.
#[derive(ToSchema)]
pub(crate) struct WebhookAttempt {
    at: String,
    /// The status of the answer.
    #[schema(required)]
    status: Option<u16>,
    /// Why no answer came.
    #[schema(required)]
    failure: Option<String>,
    latency_ms: i64,
}

/// An event on its way to an endpoint.
#[derive(ToSchema)]
pub(crate) struct WebhookDelivery {
    tenant: String,
    #[schema(example = "whd_01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    endpoint: String,
    /// The event's id, which is the `webhook-id`.
    event: String,
    #[schema(rename = "type", example = "order_placed")]
    kind: String,
    /// Its place in the feed.
    place: i64,
    /// `pending`, `delivered` or `failed`.
    state: String,
    /// Attempts since it was put into the queue, or was last replayed.
    attempt_count: i64,
    /// When it is sent next.
    #[schema(required)]
    due_at: Option<String>,
    /// The last 20 attempts, oldest first.
    attempts: Vec<WebhookAttempt>,
    created_at: String,
}

/// A page of deliveries, newest first.
#[derive(ToSchema)]
pub(crate) struct WebhookDeliveryPage {
    items: Vec<WebhookDelivery>,
    #[schema(required)]
    next: Option<String>,
}

/// What a replay did.
#[derive(ToSchema)]
pub(crate) struct WebhookReplay {
    /// Events that are sent, or sent again.
    replayed: i64,
    /// The `after` of the rest.
    #[schema(required)]
    next: Option<String>,
}
