//! Lives of a shop, each from a seed: the process dies at numbered write points and on both sides of the rail, answers are lost, delayed and told twice; at the end the money moved exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::WritePoints;
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::faults::Faults;
use crate::feed::read_feed;
use crate::money::{books, change, posted, seller};
use crate::webhooks::endpoint_input;
use crate::world::*;

/// How many lives are led on each database; the long proof asks for more.
const LIVES: u64 = 100;
const LIVES_VARIABLE: &str = "DHOW_TEST_LIVES";

/// Write points that a request has at most; a larger number lets it live.
const POINTS_MAX: i64 = 40;

pub async fn whatever_dies_and_is_lost_money_moves_exactly_once(world: World) {
    let lives = std::env::var(LIVES_VARIABLE).map_or(LIVES, |lives| lives.parse().expect("a number of lives"));
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    *world.rail.points.lock().expect("no panic") = Some(points.clone());
    let mut deaths = 0;
    for seed in 0..lives {
        let tenant = TenantId::new(&format!("ten_life_{seed}")).expect("a valid tenant");
        let secret = WebhookSecret::from_random([1; 32]);
        let made = world.shop.create_webhook_endpoint(tenant, &endpoint_input(&[]), &secret, None).await;
        let mut life = Life {
            world: &world,
            tenant,
            endpoint: made.expect("it is made").value.id,
            mortal: &mortal,
            points: &points,
            random: ChaCha8Rng::seed_from_u64(seed),
            deaths: 0,
        };
        life.lead(seed).await;
        deaths += life.deaths;
    }
    println!("{lives} lives with {deaths} deaths");
    assert!(deaths >= lives, "{deaths} deaths in {lives} lives");
}

struct Life<'a> {
    world: &'a World,
    tenant: TenantId,
    /// Where its events are sent to.
    endpoint: WebhookEndpointId,
    mortal: &'a Arc<Shop>,
    points: &'a Arc<WritePoints>,
    random: ChaCha8Rng,
    deaths: u64,
}

impl Life<'_> {
    async fn lead(&mut self, seed: u64) {
        let prices = [(); 2].map(|()| self.random.random_range(1..5_000));
        let products = [imported(CUP, 1, prices[0], 10), imported(POT, 2, prices[1], 10)];
        self.world.shop.import_products(self.tenant, &products).await.expect("they are taken over");
        *self.world.rail.faults.lock().expect("no panic") = Some(Faults::new(seed));
        let request = cart(&[(CUP, self.random.random_range(1..4)), (POT, 1)]);
        let tenant = self.tenant;
        let checkout = self
            .survive(
                "checkout",
                |checkout: &Checkout| checkout.state != CheckoutState::PendingPayment,
                |shop, key| {
                    let request = request.clone();
                    async move { shop.submit_checkout(tenant, &request, Some(&key)).await }
                },
            )
            .await
            .expect("a checkout is never refused here");
        assert_eq!(checkout.state, CheckoutState::Completed);
        let payment = checkout.payment.as_ref().expect("it has a payment").id;
        for step in 0..self.random.random_range(2..7) {
            let kind = match (step, self.random.random_range(0..10)) {
                (0, _) | (_, 0 | 1) => TransferKind::Capture,
                (_, 2) => TransferKind::Void,
                (_, 3) => TransferKind::Payout,
                _ => TransferKind::Refund,
            };
            let amount = self.random.random::<bool>().then(|| self.random.random_range(1..3_000));
            self.transfer(payment, kind, amount, step).await;
        }
        *self.world.rail.faults.lock().expect("no panic") = None;
        self.check(checkout.id).await;
    }

    /// Asks for a transfer until it has come to its end, and lets the rail tell of it more than once.
    async fn transfer(&mut self, payment: PaymentId, kind: TransferKind, amount: Option<i64>, step: u32) {
        let tenant = self.tenant;
        let ended = self
            .survive(
                &format!("{kind}-{step}"),
                |transfer: &Transfer| transfer.state != TransferState::Pending,
                |shop, key| async move {
                    if kind == TransferKind::Payout {
                        return shop.pay_out(tenant, SellerId::from_u128(1), Currency::USD, amount, Some(&key)).await;
                    }
                    shop.change_payment(tenant, payment, &change(kind, amount), Some(&key)).await
                },
            )
            .await;
        let Some(transfer) = ended else { return };
        assert_eq!(transfer.state, TransferState::Done, "this rail never declines");
        let key = transfer.id.to_string();
        let done = RailOutcome::Done { reference: "told".to_owned() };
        for _ in 0..self.random.random_range(0..3) {
            self.world.notice(tenant, &key, done.clone()).await.expect("it is taken");
        }
        if matches!(kind, TransferKind::Refund | TransferKind::Payout) && self.random.random_range(0..6) == 0 {
            self.world.rail.take_back(&key);
            let declined = RailOutcome::Declined { reason: "account_closed".to_owned() };
            self.world.notice(tenant, &key, declined.clone()).await.expect("it is taken");
            self.world.notice(tenant, &key, done).await.expect("it is taken");
            self.world.notice(tenant, &key, declined).await.expect("it is taken");
        }
    }

    /// Sends one request with one key, from a process that may die, until it is answered for good; nothing where there
    /// was less left than it asked for.
    async fn survive<T, F>(
        &mut self,
        name: &str,
        ended: impl Fn(&T) -> bool,
        request: impl Fn(Arc<Shop>, Idempotency) -> F,
    ) -> Option<T>
    where
        T: serde::Serialize + Send + 'static,
        F: Future<Output = Result<Answered<T>, CommerceError>> + Send + 'static,
    {
        for attempt in 0.. {
            assert!(attempt < 100, "{name} of {} never ends", self.tenant);
            if attempt < 4 {
                self.points.end_at(self.random.random_range(1..POINTS_MAX));
            }
            let key = key(name, name);
            let answer = tokio::select! {
                answer = request(self.mortal.clone(), key) => Some(answer),
                () = self.points.ended() => None,
            };
            match answer {
                Some(Ok(answered)) if ended(&answered.value) => {
                    self.points.disarm();
                    self.retry_all_at_once(name, &answered.value, &request).await;
                    return Some(answered.value);
                }
                Some(Ok(_)) | Some(Err(CommerceError::InFlight { .. })) => {}
                Some(Err(CommerceError::AmountExceeded { .. })) => {
                    self.points.disarm();
                    return None;
                }
                Some(Err(error)) => panic!("{name} of {}: {error}", self.tenant),
                None => self.deaths += 1,
            }
            // A successor comes up and asks about everything that waits; it may die over it too.
            self.world.clock.advance(RECOVERY_AFTER_MICROS);
            let recovered = tokio::select! {
                recovered = self.mortal.recover_pending() => Some(recovered),
                () = self.points.ended() => None,
            };
            match recovered {
                Some(recovered) => drop(recovered.expect("recovery works")),
                None => self.deaths += 1,
            }
            self.points.disarm();
        }
        None
    }

    /// Now and then, 32 retries of an answered request at once: all get the same answer.
    async fn retry_all_at_once<T, F>(&mut self, name: &str, answer: &T, request: &impl Fn(Arc<Shop>, Idempotency) -> F)
    where
        T: serde::Serialize + Send + 'static,
        F: Future<Output = Result<Answered<T>, CommerceError>> + Send + 'static,
    {
        if self.random.random_range(0..16) > 0 {
            return;
        }
        let retries = (0..32).map(|_| tokio::spawn(request(self.world.shop.clone(), key(name, name))));
        for retry in join_all(retries).await {
            let again = retry.expect("no panic").expect("it is answered");
            assert!(again.replayed, "{name} was answered before");
            assert_eq!(text(&again.value), text(answer), "{name}: the same answer to each");
        }
    }

    async fn check(&self, id: CheckoutId) {
        let (rail, tenant) = (&self.world.rail, self.tenant);
        let store = self.world.shop.storage();
        let checkout = store.checkout(tenant, id).await.expect("it is read").expect("it is there");
        let payment = checkout.payment.as_ref().expect("it has a payment");
        let page = PageRequest::new(100, None, "ord").expect("a valid page");
        let orders = store.orders(tenant, &OrderFilter::default(), &page).await.expect("a page").items;
        assert_eq!(orders.len(), 2, "one checkout, whatever was sent again");
        let amounts = payment.amounts;
        for (kind, asked, done) in [
            (TransferKind::Capture, amounts.capture_asked_minor, amounts.captured_minor),
            (TransferKind::Void, amounts.void_asked_minor, amounts.voided_minor),
            (TransferKind::Refund, amounts.refund_asked_minor, amounts.refunded_minor),
        ] {
            assert_eq!((asked, done), (done, rail.sum_of(tenant, kind)), "{kind}s of {tenant}");
            let of_orders: i64 = checkout.orders.iter().map(|order| order.amounts.done(kind)).sum();
            assert_eq!(of_orders, done, "{kind}s of the orders of {tenant}");
        }
        assert!(amounts.captured_minor + amounts.voided_minor <= payment.authorised_minor);
        let (_, balances) = books(self.world, tenant).await;
        let paid_out = rail.sum_of(tenant, TransferKind::Payout);
        let at_rail = amounts.captured_minor - amounts.refunded_minor - paid_out;
        assert_eq!(posted(&balances, "clearing:simulator"), i128::from(at_rail));
        assert_eq!([posted(&balances, "refunds"), posted(&balances, "payout")], [0, 0]);
        let kept: i64 = checkout.orders.iter().map(commission_kept).sum();
        assert_eq!(posted(&balances, "commission"), i128::from(kept));
        let owed = posted(&balances, &seller(1)) + posted(&balances, &seller(2));
        assert_eq!(owed, i128::from(at_rail - kept));
        for order in &checkout.orders {
            let called_off = order.state == OrderState::Cancelled;
            assert_eq!(called_off, order.amounts.voided_minor == order.total.amount_minor, "{:?}", order.state);
            for (product, units) in
                order.lines.iter().map(|line| (line.product, if called_off { 0 } else { line.quantity }))
            {
                let level = store.stock(tenant, product).await.expect("it is read").expect("it has stock");
                assert_eq!((level.on_hand, level.reserved), (10 - units, 0));
            }
        }
        self.check_events().await;
    }

    /// Every change has its events once, numbered without gaps; what other lives left is read and passed over.
    async fn check_events(&self) {
        let store = self.world.shop.storage();
        let mut sequences: BTreeMap<String, i64> = BTreeMap::new();
        let (mut ids, mut captured, mut refunded, mut authorised) = (BTreeSet::new(), 0, 0, 0);
        loop {
            let records = store.outbox_take(OUTBOX_BATCH_MAX).await.expect("the outbox is read");
            if records.is_empty() {
                break;
            }
            let numbers: Vec<i64> = records.iter().map(|record| record.id).collect();
            store.outbox_mark_published(&numbers, self.world.clock.now()).await.expect("they are marked");
            for record in records.into_iter().filter(|record| record.event.tenant == self.tenant) {
                let sequence = sequences.entry(record.aggregate.clone()).or_default();
                *sequence += 1;
                assert_eq!(record.sequence, *sequence, "{}", record.aggregate);
                assert!(ids.insert(record.event.id), "an event stands once");
                match record.event.fact {
                    Fact::PaymentAuthorized(_) => authorised += 1,
                    Fact::PaymentCaptured(fact) => captured += fact.amount.amount_minor,
                    Fact::TransferSettled(fact) if fact.kind == "refund" => match fact.state.as_str() {
                        "done" => refunded += fact.amount.amount_minor,
                        _ => refunded -= fact.amount.amount_minor,
                    },
                    _ => {}
                }
            }
        }
        let sum = |kind| self.world.rail.sum_of(self.tenant, kind);
        let told = (authorised, captured, refunded);
        assert_eq!(told, (1, sum(TransferKind::Capture), sum(TransferKind::Refund)), "{}", self.tenant);
        self.check_readers(&ids).await;
    }

    /// Feed and webhooks have the same events, each once.
    async fn check_readers(&self, ids: &BTreeSet<EventId>) {
        let shop = &self.world.shop;
        let feed = read_feed(shop, self.tenant, FEED_PAGE_MAX).await;
        assert_eq!(feed.len(), ids.len(), "{}", self.tenant);
        assert!(feed.iter().all(|event| ids.contains(&event.record.event.id)), "{}", self.tenant);
        while shop.spread_webhooks().await.expect("queues are filled") > 0 {}
        let page = PageRequest::new(PAGE_LIMIT_MAX, None, "whd").expect("a valid page");
        let page = shop.storage().webhook_deliveries(self.tenant, self.endpoint, None, &page).await.expect("a page");
        assert_eq!(page.next, None, "a life has few events");
        let sent: BTreeSet<EventId> = page.items.iter().map(|delivery| delivery.event).collect();
        assert_eq!((page.items.len(), &sent), (ids.len(), ids), "{}", self.tenant);
    }
}

fn text(answer: &impl serde::Serialize) -> String {
    serde_json::to_string(answer).expect("it is written")
}

/// What the marketplace kept of an order: its commission on what was captured, less what went back with refunds.
fn commission_kept(order: &Order) -> i64 {
    let (whole, captured) = (i128::from(order.total.amount_minor), i128::from(order.amounts.captured_minor));
    let taken = i128::from(order.commission.commission_minor) * captured / whole;
    i64::try_from(taken).expect("it fits") - order.commission.commission_returned_minor
}
