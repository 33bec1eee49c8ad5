//! The promises about checkouts that wait for a person, one function each; `main` runs each on both databases.

use std::sync::atomic::Ordering;

use dhow_commerce::*;
use dhow_events::*;
use futures::future::join_all;

use crate::world::*;

pub const APPROVE: (Verdict, FraudLabel) = (Verdict::Approve, FraudLabel::Genuine);
pub const DECLINE: (Verdict, FraudLabel) = (Verdict::Decline, FraudLabel::Fraud);

/// A checkout for one cup, at a price that the model wants to be looked at.
async fn bought_for_review(world: &World) -> Checkout {
    world.shop.import_products(tenant(), &[imported(CUP, 1, REVIEW_USD_MINOR, 10)]).await.expect("a new price");
    let answered = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), Some(&key("k", "a"))).await;
    answered.expect("it is answered").value
}

async fn stored(world: &World, id: CheckoutId) -> Checkout {
    world.shop.storage().checkout(tenant(), id).await.expect("it is read").expect("it is there")
}

pub async fn give(shop: &Shop, case: DecisionId, verdict: (Verdict, FraudLabel)) {
    shop.claim_case(tenant(), case, "ann").await.expect("it is claimed");
    shop.decide_case(tenant(), case, "ann", verdict, "").await.expect("it is given");
}

/// The states of a checkout, of its only order and of its payment.
fn states(checkout: &Checkout) -> (CheckoutState, OrderState, PaymentState) {
    let payment = checkout.payment.as_ref().expect("it has a payment").state;
    (checkout.state, checkout.orders[0].state, payment)
}

const HELD: (CheckoutState, OrderState, PaymentState) =
    (CheckoutState::Held, OrderState::Held, PaymentState::Authorised);
const PLACED: (CheckoutState, OrderState, PaymentState) =
    (CheckoutState::Completed, OrderState::Placed, PaymentState::Authorised);
const GIVEN_UP: (CheckoutState, OrderState, PaymentState) =
    (CheckoutState::Refused, OrderState::Cancelled, PaymentState::Voiding);
const VOIDED: (CheckoutState, OrderState, PaymentState) =
    (CheckoutState::Refused, OrderState::Cancelled, PaymentState::Voided);

pub async fn an_order_for_review_waits_with_its_stock_until_a_person_approves_it(world: World) {
    let held = bought_for_review(&world).await;
    assert_eq!(states(&held), HELD);
    assert_eq!(world.stock(CUP).await, (10, 1), "the cup is reserved");
    assert_eq!(world.facts().await, ["checkout_submitted", "fraud_scored", "payment_authorized"]);
    let again = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), Some(&key("k", "a"))).await;
    assert!(again.is_ok_and(|again| again.replayed && states(&again.value) == HELD), "held is an answer");
    world.clock.advance(DAY_MICROS);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works"), Recovery::default());

    give(&world.shop, held.fraud.decision, APPROVE).await;
    let placed = stored(&world, held.id).await;
    assert_eq!(states(&placed), PLACED);
    assert_eq!(placed.payment.map(|payment| payment.authorised_minor), Some(REVIEW_USD_MINOR));
    assert_eq!(placed.orders[0].version, 3, "held, then placed");
    assert_eq!(world.stock(CUP).await, (9, 0));
    let facts = world.facts().await;
    assert_eq!(facts[3..], ["order_placed", "item_ordered", "stock_changed", "fraud_labelled"]);
}

pub async fn a_declined_order_gives_its_stock_back_and_its_amount_at_the_rail_once(world: World) {
    let held = bought_for_review(&world).await;
    give(&world.shop, held.fraud.decision, DECLINE).await;
    let given_up = stored(&world, held.id).await;
    assert_eq!((states(&given_up), given_up.refusal), (GIVEN_UP, Some(RefusalReason::Fraud)));
    assert_eq!(world.stock(CUP).await, (10, 0));
    assert!(world.rail.moved.lock().expect("no panic").is_empty(), "no rail is called inside a transaction");

    world.rail.loses_answers.store(true, Ordering::SeqCst);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works"), Recovery::default());
    assert_eq!(states(&stored(&world, held.id).await), GIVEN_UP, "without an answer it is asked again");
    world.rail.loses_answers.store(false, Ordering::SeqCst);
    let recovery = world.shop.recover_pending().await.expect("recovery works");
    assert_eq!(recovery, Recovery { transferred_count: 1, ..Recovery::default() });
    assert_eq!(states(&stored(&world, held.id).await), VOIDED);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works"), Recovery::default());
    let facts = ["checkout_refused", "fraud_labelled", "payment_voided", "transfer_settled"];
    assert_eq!(world.facts().await[3..], facts);
    assert_eq!(world.rail.sum(TransferKind::Void), REVIEW_USD_MINOR, "the rail was asked twice and gave up once");
}

pub async fn a_verdict_before_the_rail_has_answered_counts_when_it_does(world: World) {
    for (verdict, ends) in [(APPROVE, PLACED), (DECLINE, GIVEN_UP)] {
        world.rail.dies_after_approving.store(true, Ordering::SeqCst);
        let shop = world.another_process(5).await;
        world.shop.import_products(tenant(), &[imported(CUP, 1, REVIEW_USD_MINOR, 10)]).await.expect("a new price");
        let process = tokio::spawn({
            let shop = shop.clone();
            async move { shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await }
        });
        let far_future = Timestamp::from_micros(i64::MAX);
        let pending = loop {
            let pending = shop.storage().waiting_checkouts(Waiting::ForPayment, far_future, None, 1).await;
            if let Some(checkout) = pending.expect("it is read").pop() {
                break checkout;
            }
            tokio::task::yield_now().await;
        };
        process.abort();
        world.rail.dies_after_approving.store(false, Ordering::SeqCst);
        give(&world.shop, pending.fraud.decision, verdict).await;
        assert_eq!(stored(&world, pending.id).await.state, CheckoutState::PendingPayment, "the rail is asked first");
        world.clock.advance(RECOVERY_AFTER_MICROS + 1);
        let recovery = world.shop.recover_pending().await.expect("recovery works");
        assert_eq!(recovery.settled_count, 1);
        let (checkout, order, _) = states(&stored(&world, pending.id).await);
        assert_eq!((checkout, order), (ends.0, ends.1));
    }
    assert_eq!(world.shop.storage().stock(tenant(), CUP).await.expect("it is read").map(|s| s.reserved), Some(0));
}

pub async fn nobody_deciding_in_time_refuses_the_checkout_and_keeps_its_case(world: World) {
    let held = bought_for_review(&world).await;
    world.clock.advance(AUTHORISATION_MICROS - HOLD_MARGIN_MICROS + 1);
    let recovery = world.shop.recover_pending().await.expect("recovery works");
    assert_eq!(recovery, Recovery { expired_count: 1, transferred_count: 1, ..Recovery::default() });
    let ended = stored(&world, held.id).await;
    assert_eq!((states(&ended), ended.refusal), (VOIDED, Some(RefusalReason::ReviewExpired)));
    assert_eq!(world.stock(CUP).await, (10, 0));
    give(&world.shop, held.fraud.decision, APPROVE).await;
    assert_eq!(states(&stored(&world, held.id).await), VOIDED, "a late verdict is a label and no more");
    assert_eq!(world.facts().await.last(), Some(&"fraud_labelled"));
}

pub async fn verdicts_and_recoveries_that_race_move_each_checkout_once(world: World) {
    world.shop.import_products(tenant(), &[imported(CUP, 1, REVIEW_USD_MINOR, 100)]).await.expect("a new price");
    let mut held = Vec::new();
    for _ in 0..20 {
        let answered = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered");
        world.shop.claim_case(tenant(), answered.value.fraud.decision, "ann").await.expect("it is claimed");
        held.push(answered.value);
    }
    let other = world.another_process(6).await;
    // Claims last minutes and holds last days, so the clock stands at once where both verdicts and expiry are due.
    world.clock.advance(AUTHORISATION_MICROS - HOLD_MARGIN_MICROS + 1);
    let tasks = held.iter().enumerate().map(|(number, checkout)| {
        let (shop, other, case) = (world.shop.clone(), other.clone(), checkout.fraud.decision);
        tokio::spawn(async move {
            if number % 5 == 0 {
                other.recover_pending().await.expect("recovery works");
            }
            shop.claim_case(tenant(), case, "bob").await.expect("the old claim ran out");
            let verdict = if number % 2 == 0 { APPROVE } else { DECLINE };
            shop.decide_case(tenant(), case, "bob", verdict, "").await.expect("it is given");
        })
    });
    for task in join_all(tasks).await {
        task.expect("no panic");
    }
    world.shop.recover_pending().await.expect("recovery works");
    let mut placed = 0;
    for checkout in &held {
        let states = states(&stored(&world, checkout.id).await);
        assert!([PLACED, VOIDED].contains(&states), "{states:?}");
        placed += i64::from(states == PLACED);
    }
    assert_eq!(world.stock(CUP).await, (100 - placed, 0), "each cup was taken or released once");
    let facts = world.facts().await;
    let count = |name: &str| facts.iter().filter(|fact| **fact == name).count() as i64;
    assert_eq!((count("order_placed"), count("checkout_refused")), (placed, 20 - placed));
    assert_eq!((count("payment_authorized"), count("payment_voided")), (20, 20 - placed));
}
