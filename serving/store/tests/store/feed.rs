//! The feed of changes: nothing appears behind a reader, each change stands once whoever dies, and what is forgotten is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::{Store, WritePoints};
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::*;

const WRITERS: u64 = 8;
const CHANGES_PER_WRITER: u64 = 40;

pub fn other_tenant() -> TenantId {
    TenantId::new("ten_other").expect("a valid tenant")
}

/// A change of the aggregate called `aggregate`.
pub fn change_of(tenant: TenantId, aggregate: &str, random: &mut ChaCha8Rng) -> OutboxEvent {
    let fact = facts::StockChanged { product: CUP, quantity_change: 1, on_hand: 1 };
    let event_time = "2026-03-01T12:00:00Z".parse().expect("a valid time");
    let event = Event { id: EventId::from_u128(random.random()), tenant, event_time, fact: fact.into() };
    OutboxEvent { aggregate: aggregate.to_owned(), alone: false, event }
}

/// Hands everything over that waits.
pub async fn relay_all(store: &Store, at: Timestamp) {
    let taken = async |_: Vec<Event>| Ok::<(), std::io::Error>(());
    while relay_batch(store, at, OUTBOX_BATCH_MAX, taken).await.expect("it is handed over") > 0 {}
}

/// Reads a tenant's feed to its end in pages of `limit`.
pub async fn read_feed(shop: &Shop, tenant: TenantId, limit: u32) -> Vec<FeedEvent> {
    let (mut start, mut events) = (FeedStart::Oldest, Vec::new());
    loop {
        let page = shop.feed_page(tenant, start, &[], limit).await.expect("a page");
        events.extend(page.events);
        start = FeedStart::After(page.next);
        if !page.more {
            return events;
        }
    }
}

pub async fn a_change_that_commits_after_a_later_number_comes_after_it_in_the_feed(world: World) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let [early, late] = ["early", "late"].map(|aggregate| change_of(tenant(), aggregate, &mut random));
    let (store, now) = (world.shop.storage(), world.clock.now());
    let mut first = store.begin().await.expect("a transaction");
    first.append_events(std::slice::from_ref(&early), now).await.expect("it draws the first number");
    // SQLite has one writer: there nobody can draw a number meanwhile.
    let overtakes = world.url.starts_with("postgres");
    if overtakes {
        let mut second = store.begin().await.expect("a transaction");
        second.append_events(std::slice::from_ref(&late), now).await.expect("it draws the second number");
        second.commit().await.expect("it is committed");
        relay_all(store, now).await;
    }
    let seen = world.shop.feed_page(tenant(), FeedStart::Oldest, &[], 9).await.expect("a page");
    assert_eq!(seen.events.len(), usize::from(overtakes));
    first.commit().await.expect("it is committed");
    relay_all(store, now).await;
    let next = world.shop.feed_page(tenant(), FeedStart::After(seen.next), &[], 9).await.expect("a page").events;
    let ids: Vec<EventId> = next.iter().map(|event| event.record.event.id).collect();
    assert_eq!(ids, [early.event.id], "it is not behind the reader");
    let is_behind = |event: &FeedEvent| event.record.id > next[0].record.id;
    assert_eq!(seen.events.iter().any(is_behind), overtakes, "its number alone would have been");
}

pub async fn a_reader_misses_nothing_that_commits_late_while_many_write_and_relay(world: World) {
    let writing = Arc::new(AtomicBool::new(true));
    let others = [world.another_process(7).await, world.another_process(8).await, world.another_process(9).await];
    let relays = others.map(|shop| {
        let (clock, writing) = (world.clock.clone(), writing.clone());
        tokio::spawn(async move {
            while writing.load(Ordering::SeqCst) {
                let taken = async |_: Vec<Event>| Ok::<(), std::io::Error>(());
                relay_batch(shop.storage(), clock.now(), 7, taken).await.expect("it is handed over");
            }
            relay_all(shop.storage(), clock.now()).await;
        })
    });
    let readers = [tenant(), other_tenant()].map(|tenant| {
        let (shop, writing) = (world.shop.clone(), writing.clone());
        tokio::spawn(async move { follow(&shop, tenant, &writing).await })
    });
    let writers = (0..WRITERS).map(|seed| tokio::spawn(write(world.shop.clone(), seed)));
    let mut committed: BTreeSet<EventId> = BTreeSet::new();
    for written in join_all(writers).await {
        committed.extend(written.expect("no panic"));
    }
    writing.store(false, Ordering::SeqCst);
    for relay in relays {
        relay.await.expect("no panic");
    }
    let (mut told, mut inversions) = (Vec::new(), 0);
    for (reader, tenant) in readers.into_iter().zip([tenant(), other_tenant()]) {
        let mut seen = reader.await.expect("no panic");
        // What was handed over after the reader's last look.
        let last = seen.last().map_or(0, |event| event.place);
        let rest = read_feed(&world.shop, tenant, FEED_PAGE_MAX).await;
        seen.extend(rest.into_iter().filter(|event| event.place > last));
        check_order(tenant, &seen);
        inversions += seen.windows(2).filter(|pair| pair[0].record.id > pair[1].record.id).count();
        told.extend(seen.iter().map(|event| event.record.event.id));
    }
    println!("{inversions} events became visible after later numbers");
    assert_eq!(told.len(), committed.len(), "each once");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), committed, "all that was committed, and nothing else");
}

/// Places rise by one, and within an aggregate the sequence does.
fn check_order(tenant: TenantId, events: &[FeedEvent]) {
    let mut sequences: BTreeMap<&str, i64> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.record.event.tenant, tenant, "a tenant's feed holds its own events");
        assert_eq!(event.place, index as i64 + 1, "places have no gaps");
        let sequence = sequences.entry(&event.record.aggregate).or_default();
        *sequence += 1;
        assert_eq!(event.record.sequence, *sequence, "{}", event.record.aggregate);
    }
}

/// Reads as a client does: page after page, from the cursor of the one before.
async fn follow(shop: &Shop, tenant: TenantId, writing: &AtomicBool) -> Vec<FeedEvent> {
    let (mut start, mut seen) = (FeedStart::Oldest, Vec::new());
    while writing.load(Ordering::SeqCst) {
        let page = shop.feed_page(tenant, start, &[], 3).await.expect("a page");
        start = FeedStart::After(page.next);
        seen.extend(page.events);
    }
    seen
}

/// Transactions that draw their numbers early and commit late, or not at all.
async fn write(shop: Arc<Shop>, seed: u64) -> Vec<EventId> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut committed = Vec::new();
    for change in 0..CHANGES_PER_WRITER {
        let tenant = if random.random() { tenant() } else { other_tenant() };
        // Some aggregates are many writers', some one's own: those wait for nobody.
        let aggregate = match random.random_range(0..3) {
            0 => "shared".to_owned(),
            _ => format!("own-{seed}"),
        };
        let event = change_of(tenant, &aggregate, &mut random);
        let id = event.event.id;
        let mut transaction = shop.storage().begin().await.expect("a transaction");
        transaction.append_events(&[event], Timestamp::from_micros(change as i64)).await.expect("it is written");
        tokio::time::sleep(Duration::from_millis(random.random_range(0..8))).await;
        if random.random_range(0..5) == 0 {
            transaction.rollback().await.expect("it is undone");
        } else {
            transaction.commit().await.expect("it is committed");
            committed.push(id);
        }
    }
    committed
}

pub async fn a_relay_that_dies_at_any_step_gives_each_event_one_place(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut deaths = 0;
    for round in 0..12_i64 {
        let events: Vec<OutboxEvent> =
            (0..5).map(|number| change_of(tenant(), &format!("a-{}", number % 2), &mut random)).collect();
        let mut transaction = world.shop.storage().begin().await.expect("a transaction");
        transaction.append_events(&events, world.clock.now()).await.expect("they are written");
        transaction.commit().await.expect("it is committed");
        points.end_at(round + 1);
        let taken = async |_: Vec<Event>| Ok::<(), std::io::Error>(());
        tokio::select! {
            relayed = relay_batch(mortal.storage(), world.clock.now(), OUTBOX_BATCH_MAX, taken) => drop(relayed),
            () = points.ended() => deaths += 1,
        }
        points.disarm();
        relay_all(world.shop.storage(), world.clock.now()).await;
    }
    assert!(deaths >= 4, "{deaths} relays died");
    let events = read_feed(&world.shop, tenant(), 7).await;
    assert_eq!(events.len(), 60);
    check_order(tenant(), &events);
}

pub async fn a_page_holds_the_types_asked_for_and_an_old_or_foreign_cursor_is_told_so(world: World) {
    let shop = &world.shop;
    shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered");
    relay_all(shop.storage(), world.clock.now()).await;
    let all = read_feed(shop, tenant(), 2).await;
    let kinds: Vec<&str> = all.iter().map(|event| event.record.event.fact.kind().name()).collect();
    assert!(kinds.contains(&"order_placed") && kinds.contains(&"fraud_scored"), "{kinds:?}");
    let page = async |start, kinds: &[&str]| shop.feed_page(tenant(), start, kinds, 100).await;
    let placed = page(FeedStart::Oldest, &["order_placed"]).await.expect("a page");
    assert_eq!((placed.events.len(), placed.more), (1, false));
    let end = FeedCursor(all.len() as i64);
    assert_eq!(placed.next, end, "what was passed over is not read again");
    assert_eq!(page(FeedStart::Now, &[]).await.expect("a page").next, end);
    let again = page(FeedStart::After(end), &[]).await.expect("a page");
    assert_eq!((again.events.len(), again.next, again.more), (0, end, false));
    assert!(matches!(page(FeedStart::After(FeedCursor(99)), &[]).await, Err(CommerceError::Invalid(_))));
    assert!(shop.feed_page(other_tenant(), FeedStart::Oldest, &[], 1).await.expect("a page").events.is_empty());

    world.clock.advance(DAY_MICROS);
    let kept_from = world.clock.now();
    shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered");
    relay_all(shop.storage(), world.clock.now()).await;
    assert_eq!(shop.storage().outbox_forget(kept_from).await.expect("they are removed"), all.len() as u64);
    assert_eq!(shop.storage().outbox_forget(kept_from).await.expect("none is left"), 0);
    let expired = page(FeedStart::After(FeedCursor(1)), &[]).await;
    assert!(matches!(expired, Err(CommerceError::CursorExpired { oldest }) if oldest == end), "{expired:?}");
    let rest = page(FeedStart::After(end), &[]).await.expect("the oldest cursor that is kept");
    assert_eq!(rest.events, page(FeedStart::Oldest, &[]).await.expect("a page").events);
    assert_eq!(rest.events.first().map(|event| event.place), Some(end.0 + 1));
}
