//! Where events are sent to: endpoints with their types, signing secrets and standing; what is sent is in the file of deliveries.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_events::{DAY_MICROS, HOUR_MICROS, TenantId, Timestamp, WebhookEndpointId};
use serde::{Deserialize, Serialize};

use crate::idempotency::{claim, save_answer};
use crate::signatures::SECRET_PREFIX;
use crate::texts::check_text;
use crate::words::worded;
use crate::{
    Answered, Commerce, CommerceError, ExpectedVersion, Idempotency, PaymentRail, Storage, StorageError,
    StorageTransaction, event_kinds, sign, signing_secret,
};

/// The most endpoints of a tenant.
pub const WEBHOOK_ENDPOINTS_MAX: i64 = 50;
/// The longest description of an endpoint, in bytes.
pub const WEBHOOK_DESCRIPTION_BYTES_MAX: usize = 300;
/// For how long the secret before signs beside a new one.
pub const SECRET_OVERLAP_MICROS: i64 = 24 * HOUR_MICROS;
/// An endpoint that failed for so long without one success is disabled.
pub const FAILING_MICROS_MAX: i64 = 5 * DAY_MICROS;

worded! {
    /// Why an endpoint gets nothing.
    DisabledBecause {
        /// A person said so.
        Asked = "asked",
        /// Every attempt of the last five days failed.
        Failing = "failing",
        /// It answered 410: it wants nothing more.
        Gone = "gone",
    }
}

/// What a person says about an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpointInput {
    /// Where to.
    pub url: String,
    /// Types of events, with `dhow.` before them or without; all where none is named.
    #[serde(default)]
    pub types: Vec<String>,
    /// What people call it.
    #[serde(default)]
    pub description: String,
    /// Whether it is to get nothing for now. What is told meanwhile follows when it is enabled again, as far as it is kept.
    #[serde(default)]
    pub disabled: bool,
}

/// Where events are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: WebhookEndpointId,
    /// Where to.
    pub url: String,
    /// Names of the facts that are sent; all where none is named.
    pub types: Vec<String>,
    /// What people call it.
    pub description: String,
    /// Why it gets nothing, if so.
    pub disabled: Option<DisabledBecause>,
    /// Since when every attempt failed.
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before signs too.
    pub previous_secret_until: Option<Timestamp>,
    /// Events that were no longer kept when it came to them.
    pub missed: i64,
    /// Grows by one with every change that a person makes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A secret that messages are signed with; its text is shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// A new secret from 256 random bits that the caller draws from the operating system.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(format!("{SECRET_PREFIX}{}", STANDARD.encode(random)))
    }

    /// The text, by the conventions of Standard Webhooks.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<String, StorageError> {
        let what = || StorageError::Corrupt { what: "a webhook secret", detail: "it is no secret".to_owned() };
        Ok(sign(&signing_secret(&self.0).ok_or_else(what)?, id, timestamp, body))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// The secrets of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecrets {
    /// The one in force.
    pub current: WebhookSecret,
    /// The one before, and until when it signs too.
    pub previous: Option<(WebhookSecret, Timestamp)>,
}

impl WebhookSecrets {
    /// The signatures of a message as its header carries them: by the secret in force, and for a while by the one before.
    ///
    /// # Errors
    /// A stored secret is none.
    pub fn signatures(&self, now: Timestamp, id: &str, body: &[u8]) -> Result<(String, String), StorageError> {
        let timestamp = (now.micros() / dhow_events::SECOND_MICROS).to_string();
        let mut signatures = self.current.sign(id, &timestamp, body)?;
        if let Some((previous, until)) = &self.previous
            && now < *until
        {
            signatures = format!("{signatures} {}", previous.sign(id, &timestamp, body)?);
        }
        Ok((timestamp, signatures))
    }
}

/// An endpoint as it is stored: with its secrets and its place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhookEndpoint {
    /// The endpoint.
    pub endpoint: WebhookEndpoint,
    /// What its messages are signed with.
    pub secrets: WebhookSecrets,
    /// The place in the feed up to which events were put into its queue.
    pub place: i64,
}

fn check(input: &WebhookEndpointInput) -> Result<Vec<String>, CommerceError> {
    check_text("/description", &input.description, 0..=WEBHOOK_DESCRIPTION_BYTES_MAX)?;
    let kinds = event_kinds(input.types.iter().map(String::as_str), "/types")?;
    Ok(kinds.into_iter().map(str::to_owned).collect())
}

pub(crate) fn no_endpoint(id: WebhookEndpointId) -> CommerceError {
    CommerceError::NotFound(format!("webhook endpoint {id}"))
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Makes an endpoint, which gets what is told from now on. The saved answer of an idempotency key holds no secret: who
    /// has lost it rotates it.
    ///
    /// # Errors
    /// Wrong fields, [`WEBHOOK_ENDPOINTS_MAX`] endpoints, a reused or unanswered idempotency key; the database fails.
    pub async fn create_webhook_endpoint(
        &self,
        tenant: TenantId,
        input: &WebhookEndpointInput,
        secret: &WebhookSecret,
        key: Option<&Idempotency>,
    ) -> Result<Answered<WebhookEndpoint>, CommerceError> {
        let types = check(input)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        // The head is held: two endpoints that are made at once count one after the other.
        let head = transaction.hold_feed(tenant).await?;
        if transaction.webhook_endpoint_count(tenant).await? >= WEBHOOK_ENDPOINTS_MAX {
            let message = format!("there are {WEBHOOK_ENDPOINTS_MAX} endpoints, the most that a tenant may have");
            return Err(CommerceError::WebhookBound(message));
        }
        let endpoint = WebhookEndpoint {
            tenant,
            id: WebhookEndpointId::at(now, self.ids.random()),
            url: input.url.clone(),
            types,
            description: input.description.clone(),
            disabled: input.disabled.then_some(DisabledBecause::Asked),
            failing_since: None,
            previous_secret_until: None,
            missed: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let secrets = WebhookSecrets { current: secret.clone(), previous: None };
        let stored = StoredWebhookEndpoint { endpoint, secrets, place: head.last_place };
        transaction.put_webhook_endpoint(&stored).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &stored.endpoint).await?;
        transaction.commit().await?;
        Ok(Answered { value: stored.endpoint, replayed: false })
    }

    /// Changes an endpoint. One that is enabled again goes on in the feed where it stood.
    ///
    /// # Errors
    /// Wrong fields, no such endpoint, a stale version; the database fails.
    pub async fn change_webhook_endpoint(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
        input: &WebhookEndpointInput,
        expected: ExpectedVersion,
    ) -> Result<WebhookEndpoint, CommerceError> {
        let types = check(input)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut stored = transaction.webhook_endpoint(tenant, id).await?.ok_or_else(|| no_endpoint(id))?;
        let endpoint = &mut stored.endpoint;
        expected.check(Some(endpoint.version))?;
        let was_disabled = endpoint.disabled;
        endpoint.disabled = match (was_disabled, input.disabled) {
            (_, false) => None,
            (Some(because), true) => Some(because),
            (None, true) => Some(DisabledBecause::Asked),
        };
        (endpoint.url, endpoint.types) = (input.url.clone(), types);
        endpoint.description = input.description.clone();
        (endpoint.version, endpoint.updated_at) = (endpoint.version + 1, now);
        if was_disabled.is_some() && endpoint.disabled.is_none() {
            endpoint.failing_since = None;
            transaction.postpone_webhook_deliveries(tenant, id, now).await?;
        }
        if endpoint.disabled.is_some() {
            transaction.postpone_webhook_deliveries(tenant, id, Timestamp::MAX).await?;
        }
        transaction.put_webhook_endpoint(&stored).await?;
        transaction.commit().await?;
        Ok(stored.endpoint)
    }

    /// Removes an endpoint with its deliveries.
    ///
    /// # Errors
    /// No such endpoint; the database fails.
    pub async fn delete_webhook_endpoint(&self, tenant: TenantId, id: WebhookEndpointId) -> Result<(), CommerceError> {
        let mut transaction = self.storage.begin().await?;
        if !transaction.delete_webhook_endpoint(tenant, id).await? {
            return Err(no_endpoint(id));
        }
        Ok(transaction.commit().await?)
    }

    /// Puts a new secret in force; the one before signs beside it for [`SECRET_OVERLAP_MICROS`]. A second rotation within
    /// that time drops the oldest at once.
    ///
    /// # Errors
    /// No such endpoint; the database fails.
    pub async fn rotate_webhook_secret(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
        secret: WebhookSecret,
    ) -> Result<WebhookEndpoint, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut stored = transaction.webhook_endpoint(tenant, id).await?.ok_or_else(|| no_endpoint(id))?;
        let until = now + SECRET_OVERLAP_MICROS;
        let before = std::mem::replace(&mut stored.secrets.current, secret);
        stored.secrets.previous = Some((before, until));
        let endpoint = &mut stored.endpoint;
        endpoint.previous_secret_until = Some(until);
        (endpoint.version, endpoint.updated_at) = (endpoint.version + 1, now);
        transaction.put_webhook_endpoint(&stored).await?;
        transaction.commit().await?;
        Ok(stored.endpoint)
    }

    /// An endpoint with its secrets.
    ///
    /// # Errors
    /// No such endpoint; the database fails.
    pub async fn webhook_endpoint(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
    ) -> Result<StoredWebhookEndpoint, CommerceError> {
        self.storage.webhook_endpoint(tenant, id).await?.ok_or_else(|| no_endpoint(id))
    }
}
