//! What is sent to webhook endpoints: the feed's events put into each endpoint's queue, attempts on a schedule, replays; the sending itself is elsewhere.
//!
//! An endpoint is a reader of the feed whose place is stored: putting events into its queue and moving its place is one
//! transaction, so each event of its types gets one delivery, whatever dies. A delivery is claimed for a while, sent outside
//! of any transaction, and its end is written; who dies in between leaves the claim to run out, and the message is sent again
//! with the same `webhook-id`, which is the event's id: at least once, and receivers know what they have by the id.

use dhow_events::{EventId, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, TenantId, Timestamp};
use dhow_events::{WebhookDeliveryId, WebhookEndpointId};
use serde::{Deserialize, Serialize};

use crate::idempotency::{claim, save_answer};
use crate::webhooks::no_endpoint;
use crate::words::worded;
use crate::{
    Answered, Commerce, CommerceError, DisabledBecause, FAILING_MICROS_MAX, FeedCursor, FeedEvent, FeedPart, FeedStart,
    Idempotency, OutboxRecord, PaymentRail, Storage, StorageTransaction, StoredWebhookEndpoint, WebhookEndpoint,
    WebhookSecrets,
};

/// How long is waited after the first, second … failed attempt, before the jitter; after the last there is none.
pub const WEBHOOK_RETRIES_MICROS: [i64; 9] = [
    5 * SECOND_MICROS,
    5 * MINUTE_MICROS,
    30 * MINUTE_MICROS,
    2 * HOUR_MICROS,
    5 * HOUR_MICROS,
    10 * HOUR_MICROS,
    14 * HOUR_MICROS,
    20 * HOUR_MICROS,
    24 * HOUR_MICROS,
];
/// A wait is longer or shorter by so many thousandths at most, so that many deliveries do not come back at once.
pub const WEBHOOK_JITTER_PERMILLE: i64 = 100;
/// How long a claimed delivery is left to whoever claimed it: longer than an attempt can take.
pub const WEBHOOK_CLAIM_MICROS: i64 = 60 * SECOND_MICROS;
/// Deliveries that wait for one endpoint at most; more events stay in the feed until there is room.
pub const WEBHOOK_QUEUE_MAX: i64 = 1_000;
/// Deliveries of one endpoint that are claimed at once.
pub const WEBHOOK_CLAIMS_PER_ENDPOINT_MAX: u32 = 4;
/// Attempts that are remembered of one delivery: the last ones.
pub const WEBHOOK_ATTEMPTS_KEPT_MAX: usize = 20;
/// Events that one request replays at most.
pub const WEBHOOK_REPLAY_MAX: u32 = 500;
/// Endpoints whose queues are filled at once, and events that one of them gets.
const SPREAD_ENDPOINTS_MAX: u32 = 64;
const SPREAD_EVENTS_MAX: u32 = 200;
/// The longest words of a failure that are kept, in characters.
const FAILURE_CHARACTERS_MAX: usize = 300;

worded! {
    /// How far a delivery is.
    WebhookDeliveryState {
        /// To be sent, for the first time or again.
        Pending = "pending",
        /// The endpoint took it.
        Delivered = "delivered",
        /// No attempt is left.
        Failed = "failed",
    }
}

/// One attempt to send a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAttempt {
    /// When.
    pub at: Timestamp,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Why none came.
    pub failure: Option<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: i64,
}

impl WebhookAttempt {
    /// Whether the endpoint took the message: any 2xx.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the endpoint wants nothing more: 410.
    fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: WebhookDeliveryId,
    /// Where to.
    pub endpoint: WebhookEndpointId,
    /// The event, whose id is the `webhook-id` of every attempt.
    pub event: EventId,
    /// The name of its fact.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its place in the feed.
    pub place: i64,
    /// How far it is.
    pub state: WebhookDeliveryState,
    /// Attempts since it was put into the queue, or was last replayed.
    pub attempt_count: i64,
    /// When it is sent next; nothing where it is not.
    pub due_at: Option<Timestamp>,
    /// The last attempts, oldest first.
    pub attempts: Vec<WebhookAttempt>,
    /// When it was put into the queue.
    pub created_at: Timestamp,
}

/// A claimed delivery with what is needed to send it.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookDispatch {
    /// The delivery.
    pub delivery: WebhookDelivery,
    /// The endpoint's URL.
    pub url: String,
    /// What it is signed with.
    pub secrets: WebhookSecrets,
    /// The event; nothing where it is no longer kept.
    pub record: Option<OutboxRecord>,
}

/// What a request to replay part of the feed did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookReplay {
    /// Events that are sent, or sent again.
    pub replayed: i64,
    /// Where to go on with the rest of the part; nothing where all of it is in the queue.
    pub next: Option<String>,
}

/// How long to wait after the `failures`th failure in a row; nothing where no attempt is left.
pub fn webhook_wait_micros(failures: i64, random: u128) -> Option<i64> {
    let index = usize::try_from(failures.checked_sub(1)?).ok()?;
    let wait = *WEBHOOK_RETRIES_MICROS.get(index)?;
    let spread = 2 * WEBHOOK_JITTER_PERMILLE + 1;
    let permille = i64::try_from(random % spread.unsigned_abs() as u128).unwrap_or_default() - WEBHOOK_JITTER_PERMILLE;
    Some(wait + wait / 1_000 * permille)
}

impl WebhookDelivery {
    fn of(endpoint: &WebhookEndpoint, event: &FeedEvent, id: WebhookDeliveryId, now: Timestamp) -> Self {
        Self {
            tenant: endpoint.tenant,
            id,
            endpoint: endpoint.id,
            event: event.record.event.id,
            kind: event.record.event.fact.kind().name().to_owned(),
            place: event.place,
            state: WebhookDeliveryState::Pending,
            attempt_count: 0,
            due_at: Some(now),
            attempts: Vec::new(),
            created_at: now,
        }
    }

    /// Back into the queue with all attempts before it.
    fn again(&mut self, now: Timestamp) {
        (self.state, self.attempt_count, self.due_at) = (WebhookDeliveryState::Pending, 0, Some(now));
    }

    /// Writes down how an attempt ended; `random` is the jitter's.
    fn take(&mut self, mut attempt: WebhookAttempt, is_final: bool, now: Timestamp, random: u128) {
        attempt.failure = attempt.failure.map(|words| words.chars().take(FAILURE_CHARACTERS_MAX).collect());
        self.attempt_count += 1;
        let wait = webhook_wait_micros(self.attempt_count, random).filter(|_| !is_final);
        (self.state, self.due_at) = match (attempt.is_success(), wait) {
            (true, _) => (WebhookDeliveryState::Delivered, None),
            (false, Some(wait)) => (WebhookDeliveryState::Pending, Some(now + wait)),
            (false, None) => (WebhookDeliveryState::Failed, None),
        };
        self.attempts.push(attempt);
        let surplus = self.attempts.len().saturating_sub(WEBHOOK_ATTEMPTS_KEPT_MAX);
        self.attempts.drain(..surplus);
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Puts new events of the feed into the queues of endpoints that are behind; gives how many deliveries were made, or
    /// places passed. Whoever calls it repeats it while it gives more than zero.
    ///
    /// # Errors
    /// The database fails.
    pub async fn spread_webhooks(&self) -> Result<u64, CommerceError> {
        let mut moved = 0;
        for (tenant, id) in self.storage.webhook_endpoints_behind(SPREAD_ENDPOINTS_MAX).await? {
            moved += self.spread_to(tenant, id).await?;
        }
        Ok(moved)
    }

    async fn spread_to(&self, tenant: TenantId, id: WebhookEndpointId) -> Result<u64, CommerceError> {
        let Some(seen) = self.storage.webhook_endpoint(tenant, id).await? else { return Ok(0) };
        let kinds: Vec<&str> = seen.endpoint.types.iter().map(String::as_str).collect();
        let part = self.storage.feed_part(tenant, Some(seen.place), &kinds, SPREAD_EVENTS_MAX).await?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let Some(mut stored) = transaction.webhook_endpoint(tenant, id).await? else { return Ok(0) };
        if stored != seen || stored.endpoint.disabled.is_some() {
            // Another server was faster, or a person changed it; the next look sees it.
            return Ok(0);
        }
        let room = WEBHOOK_QUEUE_MAX - transaction.pending_webhook_deliveries(tenant, id).await?;
        let (events, place) = fitting(&part, seen.place, SPREAD_EVENTS_MAX, room);
        if place == seen.place {
            return Ok(0);
        }
        let missed = (part.head.forgotten_place - seen.place).max(0);
        if missed > 0 {
            tracing::warn!(endpoint = %id, missed, "a webhook endpoint was behind what the feed keeps");
            stored.endpoint.missed += missed;
        }
        stored.place = place;
        let deliveries = self.deliveries(&stored.endpoint, events, now);
        transaction.put_webhook_deliveries(&deliveries, false).await?;
        transaction.put_webhook_endpoint(&stored).await?;
        transaction.commit().await?;
        Ok((place - seen.place).unsigned_abs())
    }

    fn deliveries(&self, endpoint: &WebhookEndpoint, events: &[FeedEvent], now: Timestamp) -> Vec<WebhookDelivery> {
        let of = |event| WebhookDelivery::of(endpoint, event, WebhookDeliveryId::at(now, self.ids.random()), now);
        events.iter().map(of).collect()
    }

    /// Claims deliveries that are due, in fair turns among the endpoints but for those in `excluded`, and gives them with
    /// what is needed to send them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn claim_webhooks(
        &self,
        limit: u32,
        excluded: &[WebhookEndpointId],
    ) -> Result<Vec<WebhookDispatch>, CommerceError> {
        let now = self.clock.now();
        let until = now + WEBHOOK_CLAIM_MICROS;
        let claimed = self.storage.claim_webhook_deliveries(now, until, limit, excluded).await?;
        let mut dispatches = Vec::with_capacity(claimed.len());
        for delivery in claimed {
            let endpoint = self.storage.webhook_endpoint(delivery.tenant, delivery.endpoint).await?;
            let Some(StoredWebhookEndpoint { endpoint, secrets, .. }) = endpoint else { continue };
            let part = self.storage.feed_part(delivery.tenant, Some(delivery.place - 1), &[], 1).await?;
            let kept = part.events.into_iter().next().filter(|event| event.place == delivery.place);
            let record = kept.map(|event| event.record);
            dispatches.push(WebhookDispatch { delivery, url: endpoint.url, secrets, record });
        }
        Ok(dispatches)
    }

    /// Writes down how an attempt ended. An endpoint that failed for too long, or answered 410, is disabled; what waits for
    /// it goes on when it is enabled again.
    ///
    /// # Errors
    /// The database fails; the claim then runs out, and the message is sent again.
    pub async fn settle_webhook(
        &self,
        dispatch: &WebhookDispatch,
        attempt: WebhookAttempt,
    ) -> Result<(), CommerceError> {
        let now = self.clock.now();
        let WebhookDelivery { tenant, id, endpoint, attempt_count, .. } = dispatch.delivery;
        let mut transaction = self.storage.begin().await?;
        let Some(mut stored) = transaction.webhook_endpoint(tenant, endpoint).await? else { return Ok(()) };
        let Some(mut delivery) = transaction.webhook_delivery(tenant, endpoint, id).await? else { return Ok(()) };
        if delivery.state != WebhookDeliveryState::Pending || delivery.attempt_count != attempt_count {
            // The claim had run out, and somebody else has sent it since.
            return Ok(());
        }
        let before = (stored.endpoint.failing_since, stored.endpoint.disabled);
        // That an event is no longer kept is not the endpoint's doing.
        let was_sent = dispatch.record.is_some();
        let standing = if was_sent { standing(&stored.endpoint, &attempt, now) } else { before };
        let changed = standing != before;
        (stored.endpoint.failing_since, stored.endpoint.disabled) = standing;
        delivery.take(attempt, !was_sent, now, self.ids.random());
        transaction.update_webhook_delivery(&delivery).await?;
        if changed {
            if let Some(because) = stored.endpoint.disabled {
                tracing::warn!(%endpoint, %because, "a webhook endpoint is disabled");
                transaction.postpone_webhook_deliveries(tenant, endpoint, Timestamp::MAX).await?;
            }
            transaction.put_webhook_endpoint(&stored).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Sends a delivery again, with the same `webhook-id`, whatever became of it.
    ///
    /// # Errors
    /// No such delivery, a disabled endpoint, a full queue, a reused or unanswered idempotency key; the database fails.
    pub async fn replay_webhook_delivery(
        &self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
        id: WebhookDeliveryId,
        key: Option<&Idempotency>,
    ) -> Result<Answered<WebhookDelivery>, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        let stored = transaction.webhook_endpoint(tenant, endpoint).await?.ok_or_else(|| no_endpoint(endpoint))?;
        check_enabled(&stored.endpoint)?;
        let found = transaction.webhook_delivery(tenant, endpoint, id).await?;
        let mut delivery = found.ok_or_else(|| CommerceError::NotFound(format!("webhook delivery {id}")))?;
        if delivery.state != WebhookDeliveryState::Pending {
            room_for_more(transaction.pending_webhook_deliveries(tenant, endpoint).await?)?;
        }
        delivery.again(now);
        transaction.update_webhook_delivery(&delivery).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &delivery).await?;
        transaction.commit().await?;
        Ok(Answered { value: delivery, replayed: false })
    }

    /// Sends the events of a part of the feed, again or for the first time: those of the endpoint's types after `after` (the
    /// oldest that is kept where it is absent) up to `until` (where the endpoint stands), at most [`WEBHOOK_REPLAY_MAX`] and
    /// as many as the queue has room for.
    ///
    /// # Errors
    /// No such endpoint, a disabled one, a full queue, cursors that are none or no longer kept, a reused or unanswered
    /// idempotency key; the database fails.
    pub async fn replay_webhooks(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
        (after, until): (Option<&str>, Option<&str>),
        key: Option<&Idempotency>,
    ) -> Result<Answered<WebhookReplay>, CommerceError> {
        let after = place_of(after, "/after")?;
        let until = place_of(until, "/until")?;
        let seen = self.webhook_endpoint(tenant, id).await?;
        let kinds: Vec<&str> = seen.endpoint.types.iter().map(String::as_str).collect();
        let mut part = self.storage.feed_part(tenant, after, &kinds, WEBHOOK_REPLAY_MAX).await?;
        let after = after.unwrap_or(part.head.forgotten_place);
        if after < part.head.forgotten_place {
            return Err(CommerceError::CursorExpired { oldest: FeedCursor(part.head.forgotten_place) });
        }
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        let stored = transaction.webhook_endpoint(tenant, id).await?.ok_or_else(|| no_endpoint(id))?;
        check_enabled(&stored.endpoint)?;
        // What is beyond the endpoint's own place comes to it without being asked for.
        let until = until.unwrap_or(stored.place).min(stored.place);
        part.head.last_place = until;
        part.events.retain(|event| event.place <= until);
        let room = room_for_more(transaction.pending_webhook_deliveries(tenant, id).await?)?;
        let (events, place) = fitting(&part, after, WEBHOOK_REPLAY_MAX, room);
        let deliveries = self.deliveries(&stored.endpoint, events, now);
        transaction.put_webhook_deliveries(&deliveries, true).await?;
        let next = (place < until).then(|| FeedCursor(place).encode());
        let replay = WebhookReplay { replayed: i64::try_from(deliveries.len()).unwrap_or(i64::MAX), next };
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &replay).await?;
        transaction.commit().await?;
        Ok(Answered { value: replay, replayed: false })
    }
}

/// The first events of `part` that there is room for, and the place up to which the feed is then done with.
fn fitting(part: &FeedPart, after: i64, limit: u32, room: i64) -> (&[FeedEvent], i64) {
    let room = usize::try_from(room).unwrap_or(0).min(part.events.len());
    let events = &part.events[..room];
    let cut = room < part.events.len() || part.events.len() == limit as usize;
    let looked_at = after.max(part.head.forgotten_place).saturating_add(i64::from(crate::FEED_SCAN_MAX));
    let place = match (cut, events.last()) {
        (true, Some(last)) => last.place,
        (true, None) => after,
        (false, _) => looked_at.min(part.head.last_place).max(after),
    };
    (events, place)
}

fn place_of(text: Option<&str>, pointer: &str) -> Result<Option<i64>, CommerceError> {
    let Some(text) = text else { return Ok(None) };
    match FeedStart::parse(Some(text)) {
        Ok(FeedStart::After(cursor)) => Ok(Some(cursor.0)),
        _ => Err(CommerceError::invalid(pointer, format!("`{text}` is not a cursor of the feed"))),
    }
}

fn room_for_more(pending: i64) -> Result<i64, CommerceError> {
    if pending < WEBHOOK_QUEUE_MAX {
        return Ok(WEBHOOK_QUEUE_MAX - pending);
    }
    let message = format!("{WEBHOOK_QUEUE_MAX} deliveries wait for the endpoint already; try again when they are sent");
    Err(CommerceError::WebhookBound(message))
}

fn check_enabled(endpoint: &WebhookEndpoint) -> Result<(), CommerceError> {
    match endpoint.disabled {
        None => Ok(()),
        Some(_) => Err(CommerceError::WebhookBound("the endpoint is disabled; enable it first".to_owned())),
    }
}

/// Since when an endpoint fails, and why it is disabled, after an attempt.
fn standing(
    endpoint: &WebhookEndpoint,
    attempt: &WebhookAttempt,
    now: Timestamp,
) -> (Option<Timestamp>, Option<DisabledBecause>) {
    if attempt.is_success() {
        return (None, endpoint.disabled);
    }
    let since = endpoint.failing_since.unwrap_or(now);
    let failed_too_long = now.micros_since(since) >= FAILING_MICROS_MAX;
    let because = if attempt.is_gone() {
        Some(DisabledBecause::Gone)
    } else {
        failed_too_long.then_some(DisabledBecause::Failing)
    };
    (Some(since), endpoint.disabled.or(because))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::WebhookSecret;

    proptest! {
        #[test]
        fn a_wait_is_that_of_the_schedule_within_its_jitter_and_ends_with_it(failures in -3_i64..20, random: u128) {
            let wait = webhook_wait_micros(failures, random);
            let planned = usize::try_from(failures - 1).ok().and_then(|index| WEBHOOK_RETRIES_MICROS.get(index));
            prop_assert_eq!(wait.is_some(), planned.is_some());
            if let (Some(wait), Some(planned)) = (wait, planned) {
                prop_assert!((wait - planned).abs() <= planned / 1_000 * WEBHOOK_JITTER_PERMILLE);
            }
        }
    }

    #[test]
    fn a_rotated_secret_signs_beside_the_new_one_until_its_time_is_over() {
        let [old, new] = [[1; 32], [2; 32]].map(WebhookSecret::from_random);
        let until = Timestamp::from_micros(10 * SECOND_MICROS);
        let secrets = WebhookSecrets { current: new.clone(), previous: Some((old.clone(), until)) };
        let (timestamp, both) = secrets.signatures(until - 1, "evt_1", b"{}").expect("they are secrets");
        assert_eq!(timestamp, "9");
        let of = |secret: &WebhookSecret| secret.sign("evt_1", "9", b"{}").expect("it is a secret");
        assert_eq!(both, format!("{} {}", of(&new), of(&old)));
        let (_, one) = secrets.signatures(until, "evt_1", b"{}").expect("they are secrets");
        assert!(!one.contains(' '));
        assert!(!format!("{secrets:?}").contains("whsec_"), "a secret is not logged");
    }
}
