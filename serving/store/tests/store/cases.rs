//! The promises, one function each; `main` runs each on both databases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dhow_commerce::*;
use dhow_events::facts::SlateServed;
use dhow_events::*;
use futures::future::join_all;
use sqlx::{AnyConnection, Connection, Executor};
use tokio::sync::Barrier;

use crate::world::*;

pub async fn a_checkout_makes_one_order_per_seller_a_payment_and_numbered_events(world: World) {
    let answered = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 2), (POT, 1), (CUP, 1)]), None).await;
    let checkout = answered.expect("the checkout is answered").value;
    assert_eq!(checkout.state, CheckoutState::Completed);
    assert_eq!((checkout.total, checkout.line_count, checkout.quantity), (Money::usd(3500), 2, 4));
    let orders: Vec<_> = checkout.orders.iter().map(|o| (o.seller.as_u128(), o.total.amount_minor, o.state)).collect();
    assert_eq!(orders, [(1, 1500, OrderState::Placed), (2, 2000, OrderState::Placed)]);
    assert_eq!(checkout.orders[0].lines.len(), 2, "each line of the cart stays a line");
    let payment = checkout.payment.clone().expect("there is a payment");
    assert_eq!((payment.state, payment.authorised_minor), (PaymentState::Authorised, 3500));
    assert_eq!((world.stock(CUP).await, world.stock(POT).await), ((7, 0), (4, 0)));

    let stored = world.shop.storage().checkout(tenant(), checkout.id).await.expect("it is read");
    assert_eq!(stored.as_ref(), Some(&checkout), "what is stored is what was answered");
    let order = world.shop.storage().order(tenant(), checkout.orders[1].id).await.expect("it is read");
    assert_eq!(order.as_ref(), Some(&checkout.orders[1]));
    let decision = world.shop.storage().decision(tenant(), checkout.fraud.decision).await.expect("it is read");
    let decision = decision.expect("the decision is recorded");
    assert_eq!((decision.outcome, decision.subject), (DecisionOutcome::Applied, checkout.id.to_string()));
    assert_eq!(decision.features[1].value, None);

    let outbox = world.outbox().await;
    let facts: Vec<_> = outbox.iter().map(|record| record.event.fact.kind().name()).collect();
    let first = ["checkout_submitted", "fraud_scored", "payment_authorized", "order_placed", "item_ordered"];
    let rest = ["item_ordered", "order_placed", "item_ordered", "stock_changed", "stock_changed"];
    assert_eq!(facts, [first, rest].concat());
    let of_checkout = outbox.iter().filter(|record| record.aggregate == checkout.id.to_string());
    assert_eq!(of_checkout.map(|record| record.sequence).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert!(outbox.iter().all(|record| record.event.check(world.clock.now()).is_ok()));
}

pub async fn a_checkout_that_the_model_declines_commits_the_refusal_and_its_decision(world: World) {
    world.shop.import_products(tenant(), &[imported(CUP, 1, FRAUD_USD_MINOR, 10)]).await.expect("a new price");
    let answered = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered");
    let checkout = answered.value;
    assert_eq!((checkout.state, checkout.refusal), (CheckoutState::Refused, Some(RefusalReason::Fraud)));
    assert!(checkout.orders.is_empty() && checkout.payment.is_none());
    let stored = world.shop.storage().checkout(tenant(), checkout.id).await.expect("it is read");
    assert_eq!(stored, Some(checkout));
    assert_eq!(world.decisions().await[0].outcome, DecisionOutcome::Refused);
    assert_eq!(world.facts().await, ["checkout_submitted", "fraud_scored", "checkout_refused"]);
    assert_eq!(world.stock(CUP).await, (10, 0));
    assert!(world.rail.approved.lock().expect("no panic").is_empty(), "the rail was not asked");
}

pub async fn a_checkout_whose_stock_is_gone_keeps_its_decision_as_aborted(world: World) {
    // Each of the two lines could be bought alone; together they want more than there is.
    let request = cart(&[(POT, 3), (CUP, 1), (POT, 3)]);
    let answered = world.shop.submit_checkout(tenant(), &request, Some(&key("k", "a"))).await.expect("it is answered");
    let checkout = answered.value.clone();
    assert_eq!(checkout.refusal, Some(RefusalReason::Stock));
    assert_eq!(checkout.shortages, [Shortage { product: POT, wanted: 6, available: 5 }]);
    let decisions = world.decisions().await;
    assert_eq!(decisions.len(), 1);
    assert_eq!((decisions[0].outcome, decisions[0].id), (DecisionOutcome::Aborted, checkout.fraud.decision));
    assert_eq!((world.stock(CUP).await, world.stock(POT).await), ((10, 0), (5, 0)), "nothing stays reserved");
    assert_eq!(world.facts().await, ["checkout_submitted", "fraud_scored", "checkout_refused"]);
    let again = world.shop.submit_checkout(tenant(), &request, Some(&key("k", "a"))).await.expect("it is answered");
    assert!(again.replayed && again.value.id == checkout.id, "a refusal is an answer too");
}

pub async fn a_declined_payment_cancels_the_orders_and_releases_the_stock(world: World) {
    let price = imported(POT, 2, trigger::DECLINED_MINOR, 5);
    world.shop.import_products(tenant(), &[price]).await.expect("a new price");
    let answered = world.shop.submit_checkout(tenant(), &cart(&[(POT, 1)]), None).await.expect("it is answered");
    let checkout = answered.value;
    assert_eq!((checkout.state, checkout.refusal), (CheckoutState::Refused, Some(RefusalReason::PaymentDeclined)));
    assert_eq!(checkout.orders[0].state, OrderState::Cancelled);
    let payment = checkout.payment.expect("the attempt is kept");
    assert_eq!((payment.state, payment.decline_reason.as_deref()), (PaymentState::Declined, Some("card_declined")));
    assert_eq!(world.stock(POT).await, (5, 0));
    let facts = world.facts().await;
    assert_eq!(facts, ["checkout_submitted", "fraud_scored", "payment_declined", "checkout_refused"]);
}

pub async fn fifty_checkouts_for_the_last_unit_make_one_order(world: World) {
    world.shop.set_stock(tenant(), POT, 1, None).await.expect("the stock is counted");
    let tasks = (0..50).map(|_| {
        let shop = world.shop.clone();
        tokio::spawn(async move { shop.submit_checkout(tenant(), &cart(&[(POT, 1), (CUP, 1)]), None).await })
    });
    world.shop.set_stock(tenant(), CUP, 100, None).await.expect("the stock is counted");
    let answers = join_all(tasks).await.into_iter().map(|task| task.expect("no panic").expect("an answer").value);
    let refusals: Vec<Option<RefusalReason>> = answers.map(|checkout| checkout.refusal).collect();
    assert_eq!(refusals.iter().filter(|refusal| refusal.is_none()).count(), 1);
    assert_eq!(refusals.iter().filter(|refusal| **refusal == Some(RefusalReason::Stock)).count(), 49);
    assert_eq!((world.stock(POT).await, world.stock(CUP).await), ((0, 0), (99, 0)));
    assert_eq!(world.orders().await.len(), 2, "one checkout with two sellers");
    assert_eq!(world.rail.approved.lock().expect("no panic").len(), 1, "nothing is held without stock");
    assert_eq!(world.decisions().await.len(), 50, "every attempt is recorded");
}

pub async fn a_repeated_request_gets_the_saved_answer_and_another_body_is_refused(world: World) {
    let request = cart(&[(CUP, 1)]);
    let first = world.shop.submit_checkout(tenant(), &request, Some(&key("k", "a"))).await.expect("it is answered");
    let again = world.shop.submit_checkout(tenant(), &request, Some(&key("k", "a"))).await.expect("it is answered");
    assert!(!first.replayed && again.replayed);
    let text = |checkout: &Checkout| serde_json::to_string(checkout).expect("it is written");
    assert_eq!(text(&first.value), text(&again.value));
    let other = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 2)]), Some(&key("k", "b"))).await;
    assert!(matches!(other, Err(CommerceError::KeyReused { .. })), "{other:?}");
    assert_eq!(world.orders().await.len(), 1);
    // A request that is refused before it changes anything leaves its key free.
    let unknown = cart(&[(ProductId::from_u128(404), 1)]);
    let wrong = world.shop.submit_checkout(tenant(), &unknown, Some(&key("k2", "a"))).await;
    assert!(matches!(wrong, Err(CommerceError::Invalid(_))), "{wrong:?}");
    world.shop.submit_checkout(tenant(), &request, Some(&key("k2", "b"))).await.expect("the key was free");
    let forgotten = world.shop.storage().forget_idempotency_keys(world.clock.now() + 1).await;
    assert_eq!(forgotten.expect("old keys are removed"), 2);
}

pub async fn thirty_two_requests_with_one_key_make_one_order(world: World) {
    let other = world.another_process(2).await;
    let tasks = (0..32).map(|index| {
        let shop = if index % 2 == 0 { world.shop.clone() } else { other.clone() };
        tokio::spawn(async move { shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), Some(&key("k", "a"))).await })
    });
    let mut ids = BTreeSet::new();
    let mut fresh_count = 0;
    for answer in join_all(tasks).await {
        match answer.expect("no panic") {
            Ok(answered) => {
                fresh_count += usize::from(!answered.replayed);
                ids.insert(answered.value.id);
            }
            Err(CommerceError::InFlight { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((fresh_count, ids.len()), (1, 1));
    assert_eq!(world.orders().await.len(), 1);
    assert_eq!(world.stock(CUP).await, (9, 0));
    assert_eq!(world.rail.approved.lock().expect("no panic").len(), 1);
}

pub async fn a_process_that_dies_after_the_rail_answered_is_recovered_exactly_once(world: World) {
    let request = cart(&[(CUP, 1), (POT, 2)]);
    world.rail.dies_after_approving.store(true, Ordering::SeqCst);
    let (shop, dying) = (world.shop.clone(), request.clone());
    let process = tokio::spawn(async move { shop.submit_checkout(tenant(), &dying, Some(&key("k", "a"))).await });
    while world.rail.approved.lock().expect("no panic").is_empty() {
        tokio::task::yield_now().await;
    }
    process.abort();
    assert!(process.await.is_err_and(|error| error.is_cancelled()));
    world.rail.dies_after_approving.store(false, Ordering::SeqCst);

    let successors = [world.another_process(3).await, world.another_process(4).await];
    let retry = successors[0].submit_checkout(tenant(), &request, Some(&key("k", "a"))).await;
    assert!(matches!(retry, Err(CommerceError::InFlight { .. })), "{retry:?}");
    assert_eq!(world.stock(POT).await, (5, 2), "the units stay reserved");
    assert_eq!(successors[0].recover_pending().await.expect("nothing is old enough"), Recovery::default());
    world.clock.advance(RECOVERY_AFTER_MICROS + 1);
    // Both have read the pending checkout and have the rail's answer before either settles.
    *world.rail.meeting.lock().expect("no panic") = Some(Arc::new(Barrier::new(2)));
    for recovery in join_all(successors.iter().map(|shop| shop.recover_pending())).await {
        assert_eq!(recovery.expect("recovery works"), Recovery { settled_count: 1, ..Recovery::default() });
    }
    *world.rail.meeting.lock().expect("no panic") = None;

    assert_eq!((world.stock(CUP).await, world.stock(POT).await), ((9, 0), (3, 0)));
    assert_eq!(world.rail.approved.lock().expect("no panic").len(), 1, "the buyer pays once");
    let facts = world.facts().await;
    assert_eq!(facts.iter().filter(|fact| **fact == "payment_authorized").count(), 1);
    assert_eq!(facts.iter().filter(|fact| **fact == "order_placed").count(), 2);
    let answered = successors[1].submit_checkout(tenant(), &request, Some(&key("k", "a"))).await.expect("an answer");
    assert!(answered.replayed && answered.value.state == CheckoutState::Completed);
}

pub async fn a_checkout_that_is_read_while_it_is_settled_is_whole(world: World) {
    world.shop.import_products(tenant(), &[imported(CUP, 1, 500, 10_000)]).await.expect("there are enough");
    let (shop, done) = (world.shop.clone(), Arc::new(AtomicBool::new(false)));
    let reader = tokio::spawn({
        let (shop, done) = (shop.clone(), done.clone());
        async move {
            let mut seen_pending = 0;
            while !done.load(Ordering::SeqCst) {
                let far_future = Timestamp::from_micros(i64::MAX);
                let pending = shop
                    .storage()
                    .waiting_checkouts(Waiting::ForPayment, far_future, None, 10)
                    .await
                    .expect("they are read");
                for checkout in pending {
                    let payment = checkout.payment.expect("it has a payment").state;
                    assert_eq!(payment, PaymentState::Pending, "{} is half settled", checkout.id);
                    assert!(checkout.orders.iter().all(|order| order.state == OrderState::PendingPayment));
                    seen_pending += 1;
                }
            }
            seen_pending
        }
    });
    let buying = (0..4).map(|_| {
        let shop = shop.clone();
        tokio::spawn(async move {
            for _ in 0..40 {
                shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered");
            }
        })
    });
    for buyer in join_all(buying).await {
        buyer.expect("no panic");
    }
    done.store(true, Ordering::SeqCst);
    assert!(reader.await.expect("every pending checkout is whole") > 0, "some were read while they were pending");
}

pub async fn lost_and_late_answers_of_the_rail_are_settled_by_recovery(world: World) {
    let amounts = [trigger::LOST_ANSWER_MINOR, trigger::DELAYED_MINOR, trigger::DELAYED_DECLINED_MINOR];
    let products: Vec<_> =
        (0..).zip(amounts).map(|(id, minor)| imported(ProductId::from_u128(id), 1, minor, 1)).collect();
    world.shop.import_products(tenant(), &products).await.expect("the products are taken over");
    let mut ids = Vec::new();
    for product in &products {
        let answered = world.shop.submit_checkout(tenant(), &cart(&[(product.id, 1)]), None).await.expect("an answer");
        assert_eq!(answered.value.state, CheckoutState::PendingPayment);
        ids.push(answered.value.id);
    }
    world.clock.advance(trigger::LOST_FOR_MICROS);
    let recovery = world.shop.recover_pending().await.expect("recovery works");
    assert_eq!(recovery, Recovery { settled_count: 1, pending_count: 2, ..Recovery::default() });
    world.clock.advance(trigger::DELAYED_FOR_MICROS);
    let recovery = world.shop.recover_pending().await.expect("recovery works");
    assert_eq!(recovery, Recovery { settled_count: 2, pending_count: 0, ..Recovery::default() });
    let mut states = Vec::new();
    for id in ids {
        states.push(world.shop.storage().checkout(tenant(), id).await.expect("it is read").expect("it is there").state);
    }
    assert_eq!(states, [CheckoutState::Completed, CheckoutState::Completed, CheckoutState::Refused]);
}

pub async fn the_outbox_hands_over_every_event_and_repeats_it_with_its_id_until_it_is_marked(world: World) {
    for _ in 0..3 {
        world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered");
    }
    let store = world.shop.storage();
    let expected: Vec<EventId> = world.outbox().await.iter().map(|record| record.event.id).collect();
    assert_eq!(store.outbox_waiting().await.expect("it is counted"), expected.len() as u64);
    let full = std::io::Error::other("the disk is full");
    let failed = relay_batch(store, world.clock.now(), 4, async |_| Err(full)).await;
    assert!(matches!(failed, Err(RelayError::Log(_))));
    // The log took these, but the process died before it marked them.
    let mut log: Vec<EventId> = Vec::new();
    log.extend(store.outbox_take(4).await.expect("they are read").iter().map(|record| record.event.id));
    for _ in 0..expected.len().div_ceil(4) {
        let handed_over = relay_batch(store, world.clock.now(), 4, async |events: Vec<Event>| {
            log.extend(events.iter().map(|event| event.id));
            Ok::<(), std::io::Error>(())
        });
        assert!(handed_over.await.expect("the log takes them") > 0);
    }
    assert_eq!(log.len(), expected.len() + 4, "the four are handed over again");
    let mut seen = BTreeSet::new();
    log.retain(|id| seen.insert(*id));
    assert_eq!(log, expected, "without the duplicates, every event once and in order");
    assert_eq!(store.outbox_waiting().await.expect("it is counted"), 0);
    let forgotten = store.outbox_forget(world.clock.now() + 1).await.expect("published events are removed");
    assert_eq!(forgotten, expected.len() as u64);
}

pub async fn a_tenant_sees_and_changes_nothing_of_another(world: World) {
    let checkout = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), Some(&key("k", "a"))).await;
    let checkout = checkout.expect("it is answered").value;
    let other = TenantId::new("ten_other").expect("a valid tenant");
    let store = world.shop.storage();
    assert_eq!(store.product(other, CUP).await.expect("it is read"), None);
    assert_eq!(store.stock(other, CUP).await.expect("it is read"), None);
    assert_eq!(store.checkout(other, checkout.id).await.expect("it is read"), None);
    assert_eq!(store.order(other, checkout.orders[0].id).await.expect("it is read"), None);
    assert_eq!(store.decision(other, checkout.fraud.decision).await.expect("it is read"), None);
    let page = |prefix: &str| PageRequest::new(10, None, prefix).expect("a valid page");
    assert!(store.products(other, None, &page("prd")).await.expect("a page").items.is_empty());
    assert!(store.orders(other, &OrderFilter::default(), &page("ord")).await.expect("a page").items.is_empty());
    assert!(store.decisions(other, &DecisionFilter::default(), &page("dec")).await.expect("a page").items.is_empty());
    let refused = world.shop.submit_checkout(other, &cart(&[(CUP, 1)]), None).await;
    assert!(matches!(refused, Err(CommerceError::Invalid(_))), "{refused:?}");
    let refused = world.shop.set_stock(other, CUP, 0, None).await;
    assert!(matches!(refused, Err(CommerceError::NotFound(_))), "{refused:?}");
    assert!(world.shop.delist_product(other, CUP, ExpectedVersion::Any).await.is_err());
    // The same ids and the same key are free in the other tenant, and stay apart.
    world.shop.import_products(other, &[imported(CUP, 9, 700, 1)]).await.expect("it is taken over");
    let theirs = world.shop.submit_checkout(other, &cart(&[(CUP, 1)]), Some(&key("k", "a"))).await.expect("an answer");
    assert!(!theirs.replayed && theirs.value.total == Money::usd(700));
    assert_eq!(world.stock(CUP).await, (9, 0));
}

pub async fn pages_hold_every_item_once(world: World) {
    let more: Vec<_> = (1000..1023).map(|id| imported(ProductId::from_u128(id), 3, 100, 1)).collect();
    world.shop.import_products(tenant(), &more[..9]).await.expect("they are taken over");
    world.clock.advance(5);
    world.shop.import_products(tenant(), &more[9..]).await.expect("they are taken over");
    for product in &more {
        world.clock.advance(i64::from(product.id.as_u128() % 3 == 0));
        world.shop.submit_checkout(tenant(), &cart(&[(product.id, 1)]), None).await.expect("it is answered");
    }
    let store = world.shop.storage();
    for limit in [1, 7, 25, 100] {
        let (mut products, mut orders, mut decisions) = (Vec::new(), Vec::new(), Vec::new());
        let mut next: Option<String> = None;
        loop {
            let page = PageRequest::new(limit, next.as_deref(), "prd").expect("a valid page");
            let page = store.products(tenant(), None, &page).await.expect("a page");
            products.extend(page.items.iter().map(|product| (product.created_at, product.id)));
            let Some(cursor) = page.next else { break };
            next = Some(cursor);
        }
        next = None;
        loop {
            let page = PageRequest::new(limit, next.as_deref(), "ord").expect("a valid page");
            let filter = OrderFilter { seller: Some(SellerId::from_u128(3)), ..OrderFilter::default() };
            let page = store.orders(tenant(), &filter, &page).await.expect("a page");
            orders.extend(page.items.iter().map(|order| (order.created_at, order.id)));
            let Some(cursor) = page.next else { break };
            next = Some(cursor);
        }
        next = None;
        loop {
            let page = PageRequest::new(limit, next.as_deref(), "dec").expect("a valid page");
            let filter = DecisionFilter { kind: Some(DecisionKind::Fraud), outcome: Some(DecisionOutcome::Applied) };
            let page = store.decisions(tenant(), &filter, &page).await.expect("a page");
            decisions.extend(page.items.iter().map(|decision| (decision.created_at, decision.id)));
            let Some(cursor) = page.next else { break };
            next = Some(cursor);
        }
        assert_eq!((products.len(), orders.len(), decisions.len()), (25, 23, 23), "pages of {limit}");
        assert!(products.windows(2).all(|pair| pair[0] < pair[1]), "oldest first");
        assert!(orders.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
        assert!(decisions.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
    }
    let nobody = OrderFilter { buyer: Some(BuyerId::from_u128(1)), ..OrderFilter::default() };
    let page = PageRequest::new(10, None, "ord").expect("a valid page");
    assert!(store.orders(tenant(), &nobody, &page).await.expect("a page").items.is_empty());
}

pub async fn the_database_refuses_a_refund_above_the_capture_and_more_reserved_than_there_is(world: World) {
    let answered = world.shop.submit_checkout(tenant(), &cart(&[(POT, 1)]), None).await.expect("it is answered");
    let payment = answered.value.payment.expect("there is a payment").id.to_string();
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
    let mut change = async |authorised: i64, captured: i64, refunded: i64| {
        let set = "UPDATE payments SET authorised_minor = $2, capture_asked_minor = $3, captured_minor = $4, \
                   refund_asked_minor = $5, refunded_minor = $6 WHERE id = $1";
        sqlx::query(set)
            .bind(payment.clone())
            .bind(authorised)
            .bind(captured)
            .bind(captured)
            .bind(refunded)
            .bind(refunded)
            .execute(&mut connection)
            .await
            .map(|done| done.rows_affected())
            .map_err(|error| error.to_string())
    };
    assert_eq!(change(2000, 1500, 1500).await, Ok(1), "all of the capture may go back");
    for (authorised, captured, refunded, rule) in [
        (2000, 1500, 1501, "within_captured"),
        (2000, 2001, 0, "within_authorised"),
        (2001, 0, 0, "payments_authorised_within_amount"),
        (2000, 0, -1, "payments_refunded_not_negative"),
    ] {
        let refused = change(authorised, captured, refunded).await;
        assert!(refused.as_ref().is_err_and(|error| error.contains(rule)), "{rule}: {refused:?}");
    }
    // The same through the storage trait is a typed error that names the rule.
    let mut transaction = world.shop.storage().begin().await.expect("it begins");
    assert_eq!(transaction.reserve_stock(tenant(), &BTreeMap::from([(POT, 3)])).await.expect("it is reserved"), []);
    transaction.commit().await.expect("it is committed");
    let refused = world.shop.set_stock(tenant(), POT, 2, None).await;
    let Err(CommerceError::Storage(StorageError::Rule { rule })) = refused else { panic!("{refused:?}") };
    assert_eq!(rule, "stock_reserved_within_on_hand");
    assert_eq!(world.stock(POT).await, (4, 3));
}

pub async fn products_change_by_version_and_write_their_events(world: World) {
    let created =
        world.shop.create_product(tenant(), &input(4, 900), Some(&key("p", "a"))).await.expect("it is listed");
    let again =
        world.shop.create_product(tenant(), &input(4, 900), Some(&key("p", "a"))).await.expect("it is answered");
    assert!(again.replayed && again.value == created.value && created.value.version == 1);
    let id = created.value.id;
    let save =
        async |input: &ProductInput, expected| world.shop.save_product(tenant(), id, input, expected, None).await;
    let dearer = save(&input(4, 950), ExpectedVersion::Exactly(1)).await;
    assert!(dearer.is_ok_and(|product| product.value.version == 2));
    let stale = save(&input(4, 990), ExpectedVersion::Exactly(1)).await;
    assert!(matches!(stale, Err(CommerceError::StaleVersion { found: Some(2), .. })), "{stale:?}");
    let same = ProductInput { reference: "4/950".to_owned(), ..input(4, 950) };
    assert_eq!(save(&same, ExpectedVersion::Any).await.expect("nothing changes").value.version, 2);
    let foreign = save(&input(5, 950), ExpectedVersion::Any).await;
    assert!(matches!(foreign, Err(CommerceError::Invalid(_))), "{foreign:?}");
    let wrong = save(&ProductInput { title: " ".to_owned(), ..input(4, -1) }, ExpectedVersion::Any).await;
    let Err(CommerceError::Invalid(problems)) = wrong else { panic!("{wrong:?}") };
    assert_eq!(problems.iter().map(|p| p.pointer.as_str()).collect::<Vec<_>>(), ["/title", "/price/amount"]);
    world.shop.set_stock(tenant(), id, 4, None).await.expect("the stock is counted");
    world.shop.set_stock(tenant(), id, 4, None).await.expect("nothing changes");
    world.shop.delist_product(tenant(), id, ExpectedVersion::Exactly(2)).await.expect("it is off offer");
    let gone = world.shop.submit_checkout(tenant(), &cart(&[(id, 1)]), None).await;
    assert!(matches!(gone, Err(CommerceError::Invalid(_))), "{gone:?}");
    let stored = world.shop.storage().product(tenant(), id).await.expect("it is read").expect("it is kept");
    assert_eq!((stored.state, stored.version, stored.input.price), (ProductState::Delisted, 3, Money::usd(950)));
    // The reference is derived from the price in these inputs, so the second save describes the product anew.
    assert_eq!(world.facts().await, ["product_listed", "product_listed", "stock_changed", "product_delisted"]);
    let quoted =
        world.shop.quote(tenant(), &[CartLine { product: CUP, quantity: 3 }], None, None).await.expect("it is priced");
    assert_eq!(quoted.total, Money::usd(1500));
}

pub async fn api_keys_are_found_by_the_hash_of_their_secret_until_they_are_revoked(world: World) {
    let store = world.shop.storage();
    assert!(!store.has_api_keys().await.expect("it is read"));
    let secret = ApiKeySecret::from_random([7; 32]);
    let api_key = ApiKey {
        id: KeyId::from_u128(1),
        tenant: tenant(),
        name: "storefront".to_owned(),
        permissions: vec![Permission::CheckoutWrite, Permission::ProductsRead],
        last_four: secret.last_four(),
        created_at: world.clock.now(),
        revoked_at: None,
    };
    store.create_api_key(&api_key, &secret.hash()).await.expect("it is stored");
    assert!(matches!(store.create_api_key(&api_key, &secret.hash()).await, Err(StorageError::Exists(_))));
    let presented = ApiKeySecret::presented(secret.reveal());
    let found = store.find_api_key(&presented.hash()).await.expect("it is read").expect("it is known");
    assert_eq!(found, api_key);
    assert!(found.allows(Permission::CheckoutWrite) && !found.allows(Permission::Admin));
    let guessed = ApiKeySecret::presented("dhow_0000");
    assert_eq!(store.find_api_key(&guessed.hash()).await.expect("it is read"), None);
    assert!(store.has_api_keys().await.expect("it is read"));
    let other = TenantId::new("ten_other").expect("a valid tenant");
    let revoke = async |tenant| {
        store.revoke_api_key(tenant, api_key.id, Permissions::EVERYTHING, world.clock.now()).await.expect("it is read")
    };
    assert_eq!(revoke(other).await, Revocation::NotInForce);
    assert_eq!(revoke(tenant()).await, Revocation::Revoked);
    let revoked = store.find_api_key(&secret.hash()).await.expect("it is read").expect("it is known");
    assert!(!revoked.allows(Permission::CheckoutWrite) && !store.has_api_keys().await.expect("it is read"));
    assert_eq!(store.api_keys(tenant()).await.expect("they are read").len(), 1);
}

pub async fn of_keys_that_may_make_keys_one_stays_whoever_revokes_at_once(world: World) {
    let key = |tenant: TenantId, number: u8, permission: Permission| {
        let (secret, id) = (ApiKeySecret::from_random([number; 32]), KeyId::from_u128(u128::from(number)));
        let (name, created_at) = (format!("key {number}"), world.clock.now());
        let (permissions, last_four) = (vec![permission], secret.last_four());
        (ApiKey { id, tenant, name, permissions, last_four, created_at, revoked_at: None }, secret.hash())
    };
    let shops = [world.shop.clone(), world.another_process(2).await];
    let other = TenantId::new("ten_other").expect("a valid tenant");
    for (tenant, number, permission) in
        [(tenant(), 200, Permission::ProductsRead), (other, 201, Permission::Admin), (other, 202, Permission::Admin)]
    {
        let (key, hash) = key(tenant, number, permission);
        shops[0].storage().create_api_key(&key, &hash).await.expect("it is stored");
    }
    for round in 0..10 {
        let keys: Vec<_> = (0..8).map(|number| key(tenant(), round * 8 + number, Permission::Admin)).collect();
        for (key, hash) in &keys {
            shops[0].storage().create_api_key(key, hash).await.expect("it is stored");
        }
        let revoke = |(index, (key, _)): (usize, &(ApiKey, KeyHash))| {
            let (shop, id, at) = (shops[index % 2].clone(), key.id, world.clock.now());
            async move {
                shop.storage().revoke_api_key(tenant(), id, Permissions::EVERYTHING, at).await.expect("it is answered")
            }
        };
        let answers = futures::future::join_all(keys.iter().enumerate().map(revoke)).await;
        let count = |what| answers.iter().filter(|answer| **answer == what).count();
        // The one that the round before has left is another.
        let left = usize::from(round == 0);
        assert_eq!((count(Revocation::LastOfItsKind), count(Revocation::Revoked)), (left, 8 - left), "round {round}");
        let store = shops[1].storage();
        let kept = store.api_keys(tenant()).await.expect("they are read");
        assert_eq!(kept.iter().filter(|key| key.makes_keys()).count(), 1, "round {round}");
    }
    let revoke_as = async |revoker: &[Permission], tenant, id| {
        let (revoker, at) = (Permissions::of(revoker), world.clock.now());
        let revoked = shops[0].storage().revoke_api_key(tenant, KeyId::from_u128(id), revoker, at).await;
        revoked.expect("it is answered")
    };
    let revoke = async |tenant, id| revoke_as(&[Permission::Admin], tenant, id).await;
    let weak = [Permission::ApiKeysWrite, Permission::StockRead];
    assert_eq!(revoke_as(&weak, tenant(), 200).await, Revocation::Beyond(vec![Permission::ProductsRead]));
    assert_eq!(revoke_as(&weak, other, 202).await, Revocation::Beyond(vec![Permission::Admin]));
    assert_eq!(revoke(tenant(), 200).await, Revocation::Revoked, "a key that makes none is not kept");
    assert_eq!(revoke(other, 201).await, Revocation::Revoked, "another tenant's keys are its own");
    assert_eq!(revoke(other, 202).await, Revocation::LastOfItsKind);
}

pub async fn keys_of_the_version_before_the_split_grant_what_they_granted(world: World) {
    let mut before = AnyConnection::connect(&world.url).await.expect("the database answers");
    // As the version before wrote them.
    let old = [
        (
            r#"["products:read","orders:read","orders:write","payments:write"]"#,
            "products:read stock:read search:read \
          quotes:read orders:read checkout:read payments:read transfers:read payments:capture payments:void",
        ),
        (r#"["orders:write","checkout:write"]"#, "checkout:write"),
        (r#"["orders:write"]"#, ""),
        (
            r#"["fraud:read","fraud:review","fraud:rules"]"#,
            "fraud:read fraud_cases:read fraud_rules:read \
          fraud_backtests:read fraud_lists:read trust:read fraud:review fraud:rules fraud_backtests:write \
          fraud_lists:write",
        ),
        (
            r#"["reorders:read","reorders:write","reorders:approve","routes:plan","routes:accept"]"#,
            "reorders:read \
          budgets:read reorders:write reorders:approve budgets:write routes:plan routes:read routes:accept",
        ),
        (r#"["admin"]"#, "admin"),
    ];
    for (number, (permissions, _)) in old.iter().enumerate() {
        let (id, hash) = (KeyId::from_u128(number as u128), KeyHash([number as u8; 32]));
        sqlx::query(
            "INSERT INTO api_keys (tenant, id, name, secret_hash, permissions, last_four, created_at) \
             VALUES ('ten_default', $1, 'old', $2, $3, '0000', 7)",
        )
        .bind(id.to_string())
        .bind(hash.to_string())
        .bind(*permissions)
        .execute(&mut before)
        .await
        .expect("it is stored");
    }
    let undo = "DELETE FROM _sqlx_migrations WHERE version = 20";
    assert_eq!(before.execute(undo).await.expect("it is as before").rows_affected(), 1);
    before.close().await.expect("it closes");
    for _ in 0..2 {
        let upgraded = world.another_process(2).await;
        for (number, (_, expected)) in old.iter().enumerate() {
            let found = upgraded.storage().find_api_key(&KeyHash([number as u8; 32])).await.expect("it is read");
            let words: Vec<&str> = expected.split_whitespace().collect();
            let found: Vec<&str> = found.expect("it is there").permissions.iter().map(|one| one.word()).collect();
            assert_eq!(found, words);
        }
    }
}

pub async fn decisions_and_servings_of_models_are_read_back(world: World) {
    let slate = DecisionRecord {
        tenant: tenant(),
        id: DecisionId::from_u128(5),
        kind: DecisionKind::Recommendation,
        subject: BuyerId::from_u128(7).to_string(),
        model: "popular-1".to_owned(),
        request: serde_json::json!({ "surface": "home" }),
        answer: serde_json::json!({ "products": [CUP] }),
        reasons: Vec::new(),
        features: Vec::new(),
        applied_offsets: Vec::new(),
        degraded: true,
        latency_us: 80,
        outcome: DecisionOutcome::Answered,
        created_at: world.clock.now(),
    };
    let fact = SlateServed {
        decision: slate.id,
        buyer: Some(BuyerId::from_u128(7)),
        session: None,
        surface: "home".to_owned(),
        model: slate.model.clone(),
        products: CUP.to_string(),
        degraded: true,
        kinds: Some("organic".to_owned()),
        propensities: Some("1".to_owned()),
        arm: None,
    };
    world.shop.record_decisions(&[(slate.clone(), fact.into())]).await.expect("it is recorded");
    assert_eq!(world.decisions().await, [slate]);
    assert_eq!(world.facts().await, ["slate_served"]);

    let store = Arc::new(world.shop.storage().clone());
    let serve = async |model: &str, at: Timestamp| {
        let serving = ModelServing {
            tenant: tenant(),
            alias: "fraud".to_owned(),
            model: model.to_owned(),
            artifact_hash: "00".to_owned(),
            served_from: at,
            served_until: None,
        };
        let mut transaction = store.begin().await.expect("it begins");
        transaction.put_model_serving(&serving).await.expect("it is written");
        transaction.commit().await.expect("it is committed");
    };
    let (early, late) = (world.clock.now(), world.clock.now() + 10);
    serve("fraud-1", early).await;
    serve("fraud-2", late).await;
    let servings = store.model_servings(tenant()).await.expect("they are read");
    let shown: Vec<_> = servings.iter().map(|s| (s.model.as_str(), s.served_until)).collect();
    assert_eq!(shown, [("fraud-2", None), ("fraud-1", Some(late))]);
}

pub async fn every_model_that_the_database_names_is_found_and_where(world: World) {
    let store = world.shop.storage();
    assert_eq!(store.named_models().await.expect("it is read"), BTreeMap::new());
    let id = ModelId::from_u128;
    let fact = |decision: &DecisionRecord| SlateServed {
        decision: decision.id,
        buyer: Some(BuyerId::from_u128(7)),
        session: None,
        surface: "home".to_owned(),
        model: decision.model.clone(),
        products: CUP.to_string(),
        degraded: false,
        kinds: None,
        propensities: None,
        arm: None,
    };
    let decision = |number: u128| DecisionRecord {
        tenant: tenant(),
        id: DecisionId::from_u128(number),
        kind: DecisionKind::Recommendation,
        subject: BuyerId::from_u128(7).to_string(),
        model: format!("market@{}/popular", id(1)),
        request: serde_json::json!({}),
        answer: serde_json::json!({}),
        reasons: Vec::new(),
        features: Vec::new(),
        applied_offsets: Vec::new(),
        degraded: false,
        latency_us: 80,
        outcome: DecisionOutcome::Answered,
        created_at: world.clock.now(),
    };
    let (first, mut other) = (decision(1), decision(2));
    other.answer = serde_json::json!({ "stages": [id(2), { "mdl_": id(3), "cut": "mdl_0189" }], "ä": "ömdl_öä" });
    let facts = [&first, &other].map(|decision| fact(decision).into());
    let [of_first, of_other] = facts;
    world.shop.record_decisions(&[(first, of_first), (other, of_other)]).await.expect("they are recorded");
    let serving = ModelServing {
        tenant: TenantId::new("ten_other").expect("a tenant"),
        alias: "fraud".to_owned(),
        model: id(4).to_string(),
        artifact_hash: "00".to_owned(),
        served_from: world.clock.now(),
        served_until: None,
    };
    let mut transaction = store.begin().await.expect("it begins");
    transaction.put_model_serving(&serving).await.expect("it is written");
    transaction.commit().await.expect("it is committed");
    let named = store.named_models().await.expect("it is read");
    let place = |text: &str| text.to_owned();
    let expected = [
        (id(1), place("decisions.model")),
        (id(2), place("decisions.answer")),
        (id(3), place("decisions.answer")),
        (id(4), place("model_servings.model")),
    ];
    assert_eq!(named, BTreeMap::from(expected));
}
