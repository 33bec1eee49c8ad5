//! Webhooks over the feed: each event of an endpoint's types is delivered whoever dies, in fair turns, on a schedule, until it is disabled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::WritePoints;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::feed::{change_of, other_tenant, read_feed, relay_all};
use crate::world::*;

pub fn endpoint_input(types: &[&str]) -> WebhookEndpointInput {
    WebhookEndpointInput {
        url: "https://shop.example/hooks".to_owned(),
        types: types.iter().map(|&name| name.to_owned()).collect(),
        description: "the shop".to_owned(),
        disabled: false,
    }
}

async fn endpoint(shop: &Shop, types: &[&str]) -> WebhookEndpoint {
    let secret = WebhookSecret::from_random([7; 32]);
    let made = shop.create_webhook_endpoint(tenant(), &endpoint_input(types), &secret, None).await;
    made.expect("it is made").value
}

/// Commits and hands over `count` changes.
async fn tell(world: &World, count: usize, random: &mut ChaCha8Rng) {
    let events: Vec<OutboxEvent> = (0..count).map(|_| change_of(tenant(), "a", random)).collect();
    let mut transaction = world.shop.storage().begin().await.expect("a transaction");
    transaction.append_events(&events, world.clock.now()).await.expect("they are written");
    transaction.commit().await.expect("it is committed");
    relay_all(world.shop.storage(), world.clock.now()).await;
}

async fn spread(shop: &Shop) {
    while shop.spread_webhooks().await.expect("queues are filled") > 0 {}
}

fn attempt(now: Timestamp, status: u16) -> WebhookAttempt {
    WebhookAttempt { at: now, status: Some(status), failure: None, latency_ms: 1 }
}

/// Sends what is due, each answered with `status`; gives the events that were sent.
async fn send(world: &World, status: u16) -> Vec<EventId> {
    let mut sent = Vec::new();
    loop {
        let dispatches = world.shop.claim_webhooks(64, &[]).await.expect("they are claimed");
        if dispatches.is_empty() {
            return sent;
        }
        for dispatch in dispatches {
            let record = dispatch.record.as_ref().expect("the event is kept");
            assert_eq!(record.event.id, dispatch.delivery.event);
            sent.push(record.event.id);
            world.shop.settle_webhook(&dispatch, attempt(world.clock.now(), status)).await.expect("it is settled");
        }
    }
}

async fn deliveries(world: &World, endpoint: WebhookEndpointId) -> Vec<WebhookDelivery> {
    let page = PageRequest::new(100, None, "whd").expect("a valid page");
    world.shop.storage().webhook_deliveries(tenant(), endpoint, None, &page).await.expect("a page").items
}

async fn standing(world: &World, id: WebhookEndpointId) -> WebhookEndpoint {
    world.shop.webhook_endpoint(tenant(), id).await.expect("it is there").endpoint
}

pub async fn every_event_of_an_endpoints_types_is_delivered_whatever_dies_on_the_way(world: World) {
    let of_stock = endpoint(&world.shop, &["dhow.stock_changed"]).await;
    let of_orders = endpoint(&world.shop, &["order_placed"]).await;
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut received: BTreeMap<EventId, u32> = BTreeMap::new();
    let mut deaths = 0;
    for round in 0..30 {
        tell(&world, random.random_range(1..4), &mut random).await;
        points.end_at(random.random_range(1..30));
        let work = async {
            while mortal.spread_webhooks().await.expect("queues are filled") > 0 {}
            for dispatch in mortal.claim_webhooks(8, &[]).await.expect("they are claimed") {
                // The receiver has it from here on, whether its sender lives to write that down or not.
                *received.entry(dispatch.delivery.event).or_default() += 1;
                let status = if round % 3 == 0 { 500 } else { 200 };
                mortal.settle_webhook(&dispatch, attempt(world.clock.now(), status)).await.expect("it is settled");
            }
        };
        tokio::select! {
            () = work => {}
            () = points.ended() => deaths += 1,
        }
        points.disarm();
        world.clock.advance(WEBHOOK_CLAIM_MICROS);
    }
    assert!(deaths > 10, "{deaths} senders died");
    world.clock.advance(HOUR_MICROS);
    spread(&world.shop).await;
    for id in send(&world, 200).await {
        *received.entry(id).or_default() += 1;
    }
    let told = read_feed(&world.shop, tenant(), 100).await;
    let told: BTreeSet<EventId> = told.iter().map(|event| event.record.event.id).collect();
    assert_eq!(received.keys().copied().collect::<BTreeSet<_>>(), told, "what is told is what arrives");
    let list = deliveries(&world, of_stock.id).await;
    assert_eq!(list.len(), told.len(), "each event has one delivery");
    assert!(list.iter().all(|delivery| delivery.state == WebhookDeliveryState::Delivered), "{list:?}");
    assert!(deliveries(&world, of_orders.id).await.is_empty(), "of the types asked for alone");
}

pub async fn what_fails_is_tried_on_the_schedule_and_a_receiver_that_stays_away_is_disabled(world: World) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let made = endpoint(&world.shop, &[]).await;
    tell(&world, 1, &mut random).await;
    spread(&world.shop).await;
    for failures in 1_i64.. {
        assert_eq!(send(&world, 503).await.len(), 1);
        let delivery = deliveries(&world, made.id).await.remove(0);
        assert_eq!(delivery.attempt_count, failures);
        let Some(due_at) = delivery.due_at else {
            assert_eq!((delivery.state, failures), (WebhookDeliveryState::Failed, 10));
            assert_eq!(delivery.attempts.len(), 10);
            break;
        };
        assert!(send(&world, 503).await.is_empty(), "it is not due");
        world.clock.advance(due_at.micros_since(world.clock.now()));
    }
    assert_eq!(standing(&world, made.id).await.disabled, None);
    // Another event, and nobody home for the rest of five days.
    tell(&world, 1, &mut random).await;
    world.clock.advance(FAILING_MICROS_MAX);
    spread(&world.shop).await;
    send(&world, 503).await;
    assert_eq!(standing(&world, made.id).await.disabled, Some(DisabledBecause::Failing));
    tell(&world, 2, &mut random).await;
    spread(&world.shop).await;
    world.clock.advance(DAY_MICROS);
    assert!(send(&world, 200).await.is_empty(), "a disabled endpoint gets nothing");

    let version = standing(&world, made.id).await.version;
    let (input, expected) = (endpoint_input(&[]), ExpectedVersion::Exactly(version));
    let enabled = world.shop.change_webhook_endpoint(tenant(), made.id, &input, expected).await;
    assert_eq!(enabled.expect("it is enabled").disabled, None);
    spread(&world.shop).await;
    assert_eq!(send(&world, 200).await.len(), 3, "what waited and what was told meanwhile");
    tell(&world, 1, &mut random).await;
    spread(&world.shop).await;
    send(&world, 410).await;
    assert_eq!(standing(&world, made.id).await.disabled, Some(DisabledBecause::Gone));
}

pub async fn one_receiver_that_is_far_behind_makes_no_other_wait_and_its_queue_is_bounded(world: World) {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let behind = endpoint(&world.shop, &[]).await;
    for _ in 0..3 {
        tell(&world, 400, &mut random).await;
    }
    spread(&world.shop).await;
    let late = endpoint(&world.shop, &[]).await;
    tell(&world, 1, &mut random).await;
    spread(&world.shop).await;
    let claimed = world.shop.claim_webhooks(8, &[]).await.expect("they are claimed");
    let of = |id| claimed.iter().filter(|dispatch| dispatch.delivery.endpoint == id).count();
    assert_eq!((of(behind.id), of(late.id)), (WEBHOOK_CLAIMS_PER_ENDPOINT_MAX as usize, 1), "fair turns");
    let others = world.shop.claim_webhooks(8, &[behind.id]).await.expect("they are claimed");
    assert!(others.is_empty(), "what is excluded, and what is claimed, is left");

    let mut transaction = world.shop.storage().begin().await.expect("a transaction");
    let waiting = transaction.pending_webhook_deliveries(tenant(), behind.id).await.expect("they are counted");
    transaction.rollback().await.expect("nothing was changed");
    assert_eq!(waiting, WEBHOOK_QUEUE_MAX);
    let full = world.shop.replay_webhooks(tenant(), behind.id, (None, None), None).await;
    assert!(matches!(full, Err(CommerceError::WebhookBound(_))), "{full:?}");
    world.clock.advance(WEBHOOK_CLAIM_MICROS);
    let mut sent = send(&world, 200).await;
    spread(&world.shop).await;
    sent.extend(send(&world, 200).await);
    assert_eq!(sent.len(), 1_201 + 1, "what had no room waited in the feed");
}

pub async fn deliveries_are_replayed_one_by_one_and_by_a_part_of_the_feed(world: World) {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    tell(&world, 3, &mut random).await;
    let made = endpoint(&world.shop, &[]).await;
    tell(&world, 4, &mut random).await;
    spread(&world.shop).await;
    let sent = send(&world, 200).await;
    assert_eq!(sent.len(), 4, "an endpoint gets what is told after it was made");
    let one = deliveries(&world, made.id).await.remove(0);
    let key = Idempotency::new("r1", "POST replay", b"").expect("a valid key");
    for replayed in [false, true] {
        let again = world.shop.replay_webhook_delivery(tenant(), made.id, one.id, Some(&key)).await;
        assert_eq!(again.expect("it is queued").replayed, replayed);
    }
    assert_eq!(send(&world, 200).await, [one.event]);
    let part = (None, Some("0000000000000005"));
    let replay = world.shop.replay_webhooks(tenant(), made.id, part, None).await.expect("they are queued").value;
    assert_eq!(replay, WebhookReplay { replayed: 5, next: None });
    let again = send(&world, 200).await;
    let feed = read_feed(&world.shop, tenant(), 100).await;
    let first: BTreeSet<EventId> = feed.iter().take(5).map(|event| event.record.event.id).collect();
    assert_eq!(again.into_iter().collect::<BTreeSet<_>>(), first, "what was told before it was made too");
    assert_eq!(deliveries(&world, made.id).await.len(), 7);

    let foreign = world.shop.webhook_endpoint(other_tenant(), made.id).await;
    assert!(matches!(foreign, Err(CommerceError::NotFound(_))));
    world.shop.delete_webhook_endpoint(tenant(), made.id).await.expect("it is removed");
    assert!(world.shop.delete_webhook_endpoint(tenant(), made.id).await.is_err());
    assert!(deliveries(&world, made.id).await.is_empty());
}

pub async fn a_tenant_has_a_bounded_number_of_endpoints_and_a_key_makes_one(world: World) {
    let secret = WebhookSecret::from_random([7; 32]);
    let key = Idempotency::new("k1", "POST /v1/webhook-endpoints", b"").expect("a valid key");
    let input = endpoint_input(&[]);
    let make = async |key| world.shop.create_webhook_endpoint(tenant(), &input, &secret, key).await;
    let first = make(Some(&key)).await.expect("it is made");
    let again = make(Some(&key)).await.expect("it is answered");
    assert!(!first.replayed && again.replayed && first.value == again.value);
    for _ in 1..WEBHOOK_ENDPOINTS_MAX {
        make(None).await.expect("it is made");
    }
    assert!(matches!(make(None).await, Err(CommerceError::WebhookBound(_))));
    let listed = world.shop.storage().webhook_endpoints(tenant()).await.expect("they are listed");
    assert_eq!(listed.len() as i64, WEBHOOK_ENDPOINTS_MAX);
    let rotated = world.shop.rotate_webhook_secret(tenant(), first.value.id, WebhookSecret::from_random([8; 32])).await;
    let until = rotated.expect("it is rotated").previous_secret_until;
    assert_eq!(until, Some(world.clock.now() + SECRET_OVERLAP_MICROS));
    let stored = world.shop.webhook_endpoint(tenant(), first.value.id).await.expect("it is there");
    let (_, signatures) = stored.secrets.signatures(world.clock.now(), "evt_1", b"{}").expect("they are secrets");
    assert_eq!(signatures.split(' ').count(), 2);
    let unknown = WebhookEndpointInput { types: vec!["order_eaten".to_owned()], ..input.clone() };
    assert!(world.shop.create_webhook_endpoint(tenant(), &unknown, &secret, None).await.is_err());
}
