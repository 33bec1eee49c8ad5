//! Sends events to webhook endpoints: fills their queues from the feed, carries what is due, writes down how it ended.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use dhow_commerce::{
    Answered, ExpectedVersion, Idempotency, WEBHOOK_CLAIMS_PER_ENDPOINT_MAX, WebhookAttempt, WebhookDispatch,
    WebhookEndpoint, WebhookEndpointInput, WebhookSecret, told,
};
use dhow_events::{EventId, TenantId, WebhookEndpointId};
use dhow_webhooks::{SendError, SignedMessage};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value as Json, json};
use tokio::sync::watch;

use crate::error::failed;
use crate::tasks::{RETRY_PAUSE, stopped};
use crate::{Engine, EngineError};

/// Messages on their way at once in this process.
const FLIGHTS_MAX: usize = 64;
/// Test messages on their way at once in this process.
pub(crate) const WEBHOOK_TESTS_MAX: usize = 4;
/// How often feed and queues are looked at while nothing is told.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How long messages on their way may still take when the server stops; those that take longer are sent again.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);
/// The type of a test message; no event has it.
const TEST_TYPE: &str = "dhow.webhook_tested";

impl Engine {
    /// Makes a webhook endpoint.
    ///
    /// # Errors
    /// A URL that no message is sent to; whatever commerce refuses.
    pub async fn create_webhook_endpoint(
        &self,
        tenant: TenantId,
        input: &WebhookEndpointInput,
        secret: &WebhookSecret,
        key: Option<&Idempotency>,
    ) -> Result<Answered<WebhookEndpoint>, EngineError> {
        self.check_url(input)?;
        Ok(self.commerce().create_webhook_endpoint(tenant, input, secret, key).await?)
    }

    /// Changes a webhook endpoint.
    ///
    /// # Errors
    /// A URL that no message is sent to; whatever commerce refuses.
    pub async fn change_webhook_endpoint(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
        input: &WebhookEndpointInput,
        expected: ExpectedVersion,
    ) -> Result<WebhookEndpoint, EngineError> {
        self.check_url(input)?;
        Ok(self.commerce().change_webhook_endpoint(tenant, id, input, expected).await?)
    }

    fn check_url(&self, input: &WebhookEndpointInput) -> Result<(), EngineError> {
        self.webhook_sender().check_url(&input.url).map_err(|error| EngineError::invalid("/url", error.to_string()))
    }

    /// Sends a signed test message at once, once, and says how it ended; it is no delivery.
    ///
    /// # Errors
    /// No such endpoint, as many tests as may be under way; the database fails.
    pub async fn test_webhook_endpoint(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
    ) -> Result<WebhookAttempt, EngineError> {
        let stored = self.commerce().webhook_endpoint(tenant, id).await?;
        let permits = self.webhook_tests();
        let busy = |_| EngineError::Busy(format!("{WEBHOOK_TESTS_MAX} tests of webhooks"));
        let _permit = permits.try_acquire().map_err(busy)?;
        let now = self.clock().now();
        let message_id = EventId::at(now, self.random()).to_string();
        let body = json!({
            "specversion": "1.0", "id": message_id, "source": format!("/{tenant}"), "type": TEST_TYPE, "time": now,
            "timestamp": now, "datacontenttype": "application/json", "subject": id, "data": { "endpoint": id },
        });
        let (timestamp, signature) = stored.secrets.signatures(now, &message_id, body.to_string().as_bytes())?;
        let body = body.to_string().into_bytes();
        let message = SignedMessage { id: message_id, timestamp, signature, body };
        Ok(self.attempt(&stored.endpoint.url, message).await)
    }

    async fn attempt(&self, url: &str, message: SignedMessage) -> WebhookAttempt {
        let begin = self.stopwatch().now();
        let sent = self.webhook_sender().send(url, message).await;
        let latency_ms = self.stopwatch().now().micros_since(begin) / 1_000;
        let (status, failure) = match sent {
            Ok(status) => (Some(status), None),
            Err(error @ (SendError::Url(_) | SendError::NoAnswer(_))) => (None, Some(error.to_string())),
        };
        WebhookAttempt { at: self.clock().now(), status, failure, latency_ms }
    }

    /// Fills queues and sends what is due until `stop`.
    pub(crate) async fn deliver_webhooks(&self, mut stop: watch::Receiver<bool>) {
        let mut flights = FuturesUnordered::new();
        let mut at_once: HashMap<WebhookEndpointId, u32> = HashMap::new();
        while !*stop.borrow() {
            let full =
                |(id, count): (&WebhookEndpointId, &u32)| (*count >= WEBHOOK_CLAIMS_PER_ENDPOINT_MAX).then_some(*id);
            let mut due =
                pin!(self.due_webhooks(at_once.iter().filter_map(full).collect(), FLIGHTS_MAX - flights.len()));
            // Messages on their way go on meanwhile: one that is writing down how it ended may hold the connection that is
            // waited for here.
            let due = loop {
                tokio::select! {
                    due = &mut due => break due,
                    Some(endpoint) = flights.next() => landed(&mut at_once, endpoint),
                }
            };
            let pause = match due {
                Ok((dispatches, spread)) => {
                    for dispatch in dispatches {
                        *at_once.entry(dispatch.delivery.endpoint).or_default() += 1;
                        flights.push(self.fly(dispatch));
                    }
                    if spread > 0 { Duration::ZERO } else { LOOK_PAUSE }
                }
                Err(error) => {
                    tracing::error!(%error, "webhooks wait; trying again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                Some(endpoint) = flights.next() => landed(&mut at_once, endpoint),
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
        }
        let landing = async { while flights.next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIME_MAX, landing).await.is_err() {
            tracing::warn!(messages = flights.len(), "stopping with webhooks under way; they are sent again");
        }
    }

    /// What is due of all endpoints but the `excluded`, as far as there are places, and how much was put into queues.
    async fn due_webhooks(
        &self,
        excluded: Vec<WebhookEndpointId>,
        places: usize,
    ) -> Result<(Vec<WebhookDispatch>, u64), EngineError> {
        let spread = self.commerce().spread_webhooks().await?;
        let limit = u32::try_from(places).map_err(failed("webhooks"))?;
        if limit == 0 {
            return Ok((Vec::new(), spread));
        }
        Ok((self.commerce().claim_webhooks(limit, &excluded).await?, spread))
    }

    /// Sends one message and writes down how it ended.
    async fn fly(&self, dispatch: WebhookDispatch) -> WebhookEndpointId {
        let attempt = match self.signed(&dispatch) {
            Ok(message) => self.attempt(&dispatch.url, message).await,
            Err(words) => WebhookAttempt { at: self.clock().now(), status: None, failure: Some(words), latency_ms: 0 },
        };
        if let Err(error) = self.commerce().settle_webhook(&dispatch, attempt).await {
            // The claim runs out, and the message is sent again with its id.
            tracing::error!(%error, delivery = %dispatch.delivery.id, "how a webhook ended could not be written");
        }
        dispatch.delivery.endpoint
    }

    fn signed(&self, dispatch: &WebhookDispatch) -> Result<SignedMessage, String> {
        let record = dispatch.record.as_ref().ok_or("the event is no longer kept")?;
        let body: Json = told(record);
        let body = body.to_string().into_bytes();
        let id = dispatch.delivery.event.to_string();
        let signed = dispatch.secrets.signatures(self.clock().now(), &id, &body);
        let (timestamp, signature) = signed.map_err(|error| error.to_string())?;
        Ok(SignedMessage { id, timestamp, signature, body })
    }
}

fn landed(at_once: &mut HashMap<WebhookEndpointId, u32>, endpoint: WebhookEndpointId) {
    if let Some(count) = at_once.get_mut(&endpoint) {
        *count -= 1;
        if *count == 0 {
            at_once.remove(&endpoint);
        }
    }
}
