//! The promises about captures, voids, refunds, payouts and the books, one function each; `main` runs each on both databases.

use std::sync::Arc;

use dhow_commerce::*;
use dhow_commission::Plan;
use dhow_events::*;
use dhow_ledger::{Account, AccountKind, Asset, Balances, Batch, BatchId, Entry, Ledger, Move, Side, TrialBalance};
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::{AnyConnection, Connection, Executor};

use crate::faults::Faults;
use crate::world::*;

pub fn change(kind: TransferKind, amount_minor: Option<i64>) -> PaymentChange {
    PaymentChange { kind, order: None, amount: amount_minor.map(Money::usd) }
}

/// A completed checkout of `lines`, and its payment.
pub async fn bought(world: &World, lines: &[(ProductId, i64)]) -> (CheckoutId, PaymentId) {
    let answered = world.shop.submit_checkout(tenant(), &cart(lines), None).await.expect("it is answered");
    assert_eq!(answered.value.state, CheckoutState::Completed);
    (answered.value.id, answered.value.payment.expect("it has a payment").id)
}

async fn moved(world: &World, payment: PaymentId, change: &PaymentChange) -> Transfer {
    let answered = world.shop.change_payment(tenant(), payment, change, None).await;
    answered.expect("it is answered").value
}

pub async fn stored(world: &World, id: CheckoutId) -> Checkout {
    world.shop.storage().checkout(tenant(), id).await.expect("it is read").expect("it is there")
}

/// The journal of a tenant, and the balances that the database keeps, which are those of the journal done again.
pub async fn books(world: &World, tenant: TenantId) -> (Vec<Batch>, Balances) {
    let (mut journal, mut after) = (Vec::new(), 0);
    loop {
        let part = world.shop.storage().journal(tenant, after, 100).await.expect("the journal is read");
        let Some((last, _)) = part.last() else { break };
        after = *last;
        journal.extend(part.into_iter().map(|(_, batch)| batch));
    }
    let mut ledger = Ledger::default();
    for batch in &journal {
        ledger.apply(batch.clone()).expect("what is written follows the rule");
    }
    let balances = world.shop.storage().balances(tenant).await.expect("the balances are read");
    assert_eq!(&balances, ledger.balances(), "balances are those of the journal");
    assert!(TrialBalance::of(&balances).is_balanced());
    (journal, balances)
}

/// What an account has in US cents, on the side on which it grows.
pub fn posted(balances: &Balances, account: &str) -> i128 {
    let account: Account = account.parse().expect("an account");
    let side = account.kind().side();
    balances.get(&(account, Asset::from(Currency::USD))).map_or(0, |balance| balance.posted(side))
}

pub fn seller(id: u128) -> String {
    format!("seller:{}", SellerId::from_u128(id))
}

pub async fn a_payment_is_captured_refunded_and_voided_in_parts_with_its_books(world: World) {
    let (id, payment) = bought(&world, &[(CUP, 3), (POT, 1)]).await; // 15.00 of seller 1, 20.00 of seller 2
    let captured = moved(&world, payment, &change(TransferKind::Capture, Some(1_001))).await;
    assert_eq!((captured.state, captured.amount), (TransferState::Done, Money::usd(1_001)));
    let shares: Vec<i64> = captured.shares.iter().map(|share| share.amount_minor).collect();
    assert_eq!(shares, [429, 572], "to each its share of what is left, to the cent");
    let pot = stored(&world, id).await.orders[1].id;
    let of_pot = PaymentChange { order: Some(pot), ..change(TransferKind::Capture, None) };
    assert_eq!(moved(&world, payment, &of_pot).await.amount, Money::usd(2_000 - 572));
    assert_eq!(moved(&world, payment, &change(TransferKind::Void, Some(71))).await.state, TransferState::Done);
    let refund = moved(&world, payment, &change(TransferKind::Refund, Some(1_000))).await;
    assert_eq!(refund.state, TransferState::Done);

    let checkout = stored(&world, id).await;
    let amounts = checkout.payment.as_ref().expect("it has a payment").amounts;
    assert_eq!((amounts.captured_minor, amounts.voided_minor, amounts.refunded_minor), (2_429, 71, 1_000));
    assert_eq!(checkout.payment.as_ref().map(|payment| payment.state), Some(PaymentState::Captured));
    // 5 % of 15.00 is 0.75 and of 20.00 is 1.00; what was captured of each took its part, what went back gave it back.
    let commissions: Vec<i64> = checkout.orders.iter().map(|order| order.commission.commission_minor).collect();
    assert_eq!(commissions, [75, 100]);
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!(posted(&balances, "clearing:simulator"), 1_429);
    assert_eq!(posted(&balances, "refunds"), 0);
    let returned: i64 = refund.shares.iter().map(|share| share.commission_minor).sum();
    assert_eq!(posted(&balances, "commission"), i128::from(75 * 429 / 1_500 + 100 - returned));

    let all = moved(&world, payment, &change(TransferKind::Refund, None)).await;
    assert_eq!((all.amount, all.state), (Money::usd(1_429), TransferState::Done));
    let (_, balances) = books(&world, tenant()).await;
    for account in ["clearing:simulator", "commission", "refunds", &seller(1), &seller(2)] {
        assert_eq!(posted(&balances, account), 0, "{account}: what was refunded is as if it was never sold");
    }
    let checkout = stored(&world, id).await;
    assert_eq!(checkout.payment.map(|payment| payment.state), Some(PaymentState::Refunded));
    let facts = world.facts().await;
    let count = |name: &str| facts.iter().filter(|fact| **fact == name).count();
    let told = ["payment_captured", "payment_refunded", "payment_voided", "transfer_settled"].map(count);
    assert_eq!(told, [2, 2, 1, 5]);
}

pub async fn more_than_there_is_another_currency_and_a_foreign_order_are_refused(world: World) {
    let (id, payment) = bought(&world, &[(CUP, 1)]).await;
    let (_, other) = bought(&world, &[(POT, 1)]).await;
    let refused = async |change: PaymentChange| {
        world.shop.change_payment(tenant(), payment, &change, None).await.expect_err("it is refused")
    };
    let exceeded = |error: &CommerceError| match error {
        CommerceError::AmountExceeded { asked_minor, left_minor, .. } => (*asked_minor, *left_minor),
        other => panic!("{other}"),
    };
    assert_eq!(exceeded(&refused(change(TransferKind::Refund, Some(1))).await), (1, 0));
    assert_eq!(exceeded(&refused(change(TransferKind::Capture, Some(501))).await), (501, 500));
    let nothing = refused(change(TransferKind::Capture, Some(0))).await;
    assert!(matches!(nothing, CommerceError::Invalid(_)), "{nothing}");
    let yen = Money::new(1, Currency::new("JPY").expect("yen"));
    let currency = refused(PaymentChange { amount: Some(yen), ..change(TransferKind::Capture, None) }).await;
    assert!(currency.to_string().contains("/amount/currency"), "{currency}");
    let foreign = stored(&world, id).await.orders[0].id;
    let of_other = PaymentChange { order: Some(foreign), ..change(TransferKind::Capture, None) };
    assert!(
        world.shop.change_payment(tenant(), other, &of_other, None).await.is_err(),
        "the order has another payment"
    );
    let stranger = TenantId::new("ten_other").expect("a valid tenant");
    let unknown = world.shop.change_payment(stranger, payment, &change(TransferKind::Capture, None), None).await;
    assert!(matches!(unknown, Err(CommerceError::NotFound(_))), "{unknown:?}");
    assert!(world.rail.moved.lock().expect("no panic").is_empty(), "the rail was not asked");
}

pub async fn a_payment_given_up_calls_its_orders_off_and_brings_their_stock_back(world: World) {
    let (id, payment) = bought(&world, &[(CUP, 2), (POT, 1)]).await;
    assert_eq!((world.stock(CUP).await, world.stock(POT).await), ((8, 0), (4, 0)));
    let cups = stored(&world, id).await.orders[0].id;
    let of_cups = PaymentChange { order: Some(cups), ..change(TransferKind::Void, None) };
    moved(&world, payment, &of_cups).await;
    let states = |checkout: &Checkout| checkout.orders.iter().map(|order| order.state).collect::<Vec<_>>();
    assert_eq!(states(&stored(&world, id).await), [OrderState::Cancelled, OrderState::Placed]);
    assert_eq!((world.stock(CUP).await, world.stock(POT).await), ((10, 0), (4, 0)));
    moved(&world, payment, &change(TransferKind::Void, None)).await;
    let checkout = stored(&world, id).await;
    assert_eq!(states(&checkout), [OrderState::Cancelled; 2]);
    assert_eq!(checkout.payment.map(|payment| payment.state), Some(PaymentState::Voided));
    assert_eq!(world.stock(POT).await, (5, 0));
    assert_eq!(books(&world, tenant()).await.0.len(), 0, "no money moved, so nothing is booked");
}

pub async fn a_repeated_refund_gets_its_answer_and_a_lost_one_is_in_flight_until_it_is_found(world: World) {
    let (_, payment) = bought(&world, &[(CUP, 1)]).await;
    moved(&world, payment, &change(TransferKind::Capture, None)).await;
    let refund = async |body: &str| {
        let change = change(TransferKind::Refund, Some(200));
        world.shop.change_payment(tenant(), payment, &change, Some(&key("refund", body))).await
    };
    world.rail.loses_answers.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(refund("a").await.expect("it is answered").value.state, TransferState::Pending);
    assert!(matches!(refund("a").await, Err(CommerceError::InFlight { .. })));
    world.rail.loses_answers.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works"), Recovery::default(), "it is not due yet");
    world.clock.advance(RECOVERY_AFTER_MICROS);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works").transferred_count, 1);
    let again = refund("a").await.expect("it is answered");
    assert!(again.replayed && again.value.state == TransferState::Done);
    assert!(matches!(refund("b").await, Err(CommerceError::KeyReused { .. })));
    assert_eq!(world.rail.sum(TransferKind::Refund), 200);
}

pub async fn the_news_of_a_transfer_counts_once_in_whatever_order_it_comes(world: World) {
    let (id, payment) = bought(&world, &[(POT, 1)]).await;
    moved(&world, payment, &change(TransferKind::Capture, None)).await;
    let done = || RailOutcome::Done { reference: "later".to_owned() };
    let declined = || RailOutcome::Declined { reason: "account_closed".to_owned() };
    let refunded = async || {
        let amounts = stored(&world, id).await.payment.expect("it has a payment").amounts;
        (amounts.refund_asked_minor, amounts.refunded_minor)
    };
    // Its message comes before the answer, and again after it.
    world.rail.loses_answers.store(true, std::sync::atomic::Ordering::SeqCst);
    let first = moved(&world, payment, &change(TransferKind::Refund, Some(600))).await;
    world.rail.loses_answers.store(false, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..3 {
        world.notice(tenant(), &first.id.to_string(), done()).await.expect("it is taken");
    }
    assert_eq!(refunded().await, (600, 600));
    // The rail takes back what it had done; the older message comes once more, too late.
    world.notice(tenant(), &first.id.to_string(), declined()).await.expect("it is taken");
    world.notice(tenant(), &first.id.to_string(), declined()).await.expect("it is taken");
    world.notice(tenant(), &first.id.to_string(), done()).await.expect("it is taken");
    assert_eq!(refunded().await, (0, 0));
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!(posted(&balances, "clearing:simulator"), 2_000);
    let again = moved(&world, payment, &change(TransferKind::Refund, None)).await;
    assert_eq!((again.amount, refunded().await), (Money::usd(2_000), (2_000, 2_000)), "it can be refunded again");
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!([posted(&balances, "commission"), posted(&balances, &seller(2))], [0, 0]);
    // A capture that is charged back is the marketplace's loss.
    let (_, other) = bought(&world, &[(CUP, 1)]).await;
    let capture = moved(&world, other, &change(TransferKind::Capture, None)).await;
    world.notice(tenant(), &capture.id.to_string(), declined()).await.expect("it is taken");
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!((posted(&balances, "chargeback_loss"), posted(&balances, "clearing:simulator")), (500, 0));

    let unknown = world.notice(tenant(), "trf_01890a5d-ac96-774b-bcce-b302099a8057", done()).await;
    assert!(matches!(unknown, Err(CommerceError::NotFound(_))), "{unknown:?}");
    let body = b"{}";
    let forged = SignedNotice { id: "m", timestamp: "0", signature: "v1,AAAA", body };
    let refused = world.shop.take_notice("simulator", &forged).await;
    assert!(matches!(refused, Err(CommerceError::Notice(NoticeError::Signature))), "{refused:?}");
    let old = sign(RAIL_SECRET, "m", "0", body);
    let refused = world.shop.take_notice("simulator", &SignedNotice { signature: &old, ..forged }).await;
    assert!(matches!(refused, Err(CommerceError::Notice(NoticeError::Age))), "{refused:?}");
    assert!(world.shop.take_notice("another", &forged).await.is_err());
}

pub async fn a_message_of_the_rail_settles_a_checkout_that_waits_for_it(world: World) {
    for (number, (minor, ends)) in
        [(trigger::LOST_ANSWER_MINOR, CheckoutState::Completed), (trigger::DELAYED_MINOR, CheckoutState::Refused)]
            .into_iter()
            .enumerate()
    {
        let product = imported(ProductId::from_u128(number as u128), 1, minor, 1);
        world.shop.import_products(tenant(), std::slice::from_ref(&product)).await.expect("it is taken over");
        let waiting = world.shop.submit_checkout(tenant(), &cart(&[(product.id, 1)]), None).await.expect("an answer");
        let payment = waiting.value.payment.expect("it has a payment").id.to_string();
        let outcome = match ends {
            CheckoutState::Completed => RailOutcome::Done { reference: "rail".to_owned() },
            _ => RailOutcome::Declined { reason: "no_funds".to_owned() },
        };
        for _ in 0..2 {
            world.notice(tenant(), &payment, outcome.clone()).await.expect("it is taken");
        }
        assert_eq!(stored(&world, waiting.value.id).await.state, ends);
    }
}

pub async fn a_payment_in_crypto_is_quoted_until_it_comes_or_the_quote_runs_out(world: World) {
    let pot = imported(POT, 2, trigger::QUOTE_UNPAID_MINOR, 5);
    world.shop.import_products(tenant(), &[pot, imported(CUP, 1, 12_345, 10)]).await.expect("new prices");
    let mut waiting = Vec::new();
    for (product, method, amount) in [
        (CUP, PaymentMethod::Btc, "0.00123450"),
        (CUP, PaymentMethod::Usdt, "123.450000"),
        (POT, PaymentMethod::Eth, "22.500015000"),
    ] {
        let request = CheckoutRequest { payment_method: method, card: None, ..cart(&[(product, 1)]) };
        let checkout = world.shop.submit_checkout(tenant(), &request, None).await.expect("an answer").value;
        assert_eq!(checkout.state, CheckoutState::PendingPayment);
        let quote = checkout.payment.as_ref().and_then(|payment| payment.quote.clone()).expect("a quote");
        assert_eq!((quote.amount.as_str(), Some(quote.asset)), (amount, method.asset()));
        assert_eq!(stored(&world, checkout.id).await, checkout);
        waiting.push(checkout.id);
    }
    world.clock.advance(trigger::DELAYED_FOR_MICROS);
    let recovery = world.shop.recover_pending().await.expect("recovery works");
    assert_eq!((recovery.settled_count, recovery.pending_count), (2, 1));
    world.clock.advance(trigger::QUOTED_FOR_MICROS);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works").settled_count, 1);
    let unpaid = stored(&world, waiting[2]).await;
    assert_eq!((unpaid.state, unpaid.refusal), (CheckoutState::Refused, Some(RefusalReason::PaymentDeclined)));
    assert_eq!(unpaid.payment.and_then(|payment| payment.decline_reason).as_deref(), Some("quote_expired"));
    assert_eq!((world.stock(CUP).await, world.stock(POT).await), ((8, 0), (5, 0)));
}

pub async fn two_refunds_of_sixty_never_both_pass_on_a_capture_of_a_hundred(world: World) {
    world.shop.import_products(tenant(), &[imported(CUP, 1, 100, 200)]).await.expect("a new price");
    let other = world.another_process(2).await;
    let race = async || {
        let (_, payment) = bought(&world, &[(CUP, 1)]).await;
        moved(&world, payment, &change(TransferKind::Capture, None)).await;
        let refunds = [world.shop.clone(), other.clone()].map(|shop| {
            tokio::spawn(async move {
                shop.change_payment(tenant(), payment, &change(TransferKind::Refund, Some(60)), None).await
            })
        });
        let mut passed = 0;
        for refund in join_all(refunds).await {
            match refund.expect("no panic") {
                Ok(answered) => passed += i32::from(answered.value.amount == Money::usd(60)),
                Err(CommerceError::AmountExceeded { .. }) => {}
                // Without its guard the second refund goes to the rail and cannot be written down.
                Err(CommerceError::Commission(_)) => passed += 1,
                Err(error) => panic!("{error}"),
            }
        }
        passed
    };
    for _ in 0..100 {
        assert_eq!(race().await, 1);
    }
    assert_eq!(world.rail.sum(TransferKind::Refund), 6_000);
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!(posted(&balances, "clearing:simulator"), 4_000);
    if world.url.starts_with("postgres") {
        // The guard is the database's: without it the same race refunds more than was captured.
        let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
        for (table, rule) in [
            ("payments", "payments_refund_asked_within_captured"),
            ("payments", "payments_refunded_within_captured"),
            ("payments", "payments_disputed_within_captured"),
            ("orders", "orders_refund_asked_within_captured"),
        ] {
            let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {rule}");
            connection.execute(sqlx::AssertSqlSafe(drop)).await.expect("the rule is dropped");
        }
        assert_eq!(race().await, 2);
        assert_eq!(world.rail.sum(TransferKind::Refund), 6_120);
    }
}

pub async fn sixty_four_refunds_at_once_with_messages_of_the_rail_never_exceed_the_capture(world: World) {
    for round in 0..4_u64 {
        let mut random = ChaCha8Rng::seed_from_u64(round);
        let cups = random.random_range(1_001..3_000);
        world
            .shop
            .import_products(tenant(), &[imported(CUP, 1, cups, 10), imported(POT, 2, 2_000, 5)])
            .await
            .expect("new prices");
        let (id, payment) = bought(&world, &[(CUP, 1), (POT, 1)]).await;
        moved(&world, payment, &change(TransferKind::Capture, None)).await;
        let refunded_before = world.rail.sum(TransferKind::Refund);
        *world.rail.faults.lock().expect("no panic") = Some(Faults::new(round));
        let other = world.another_process(2).await;
        let refunds = (0..64).map(|number| {
            let shop = if number % 2 == 0 { world.shop.clone() } else { other.clone() };
            let amount = random.random_range(1..200);
            tokio::spawn(async move {
                shop.change_payment(tenant(), payment, &change(TransferKind::Refund, Some(amount)), None).await
            })
        });
        for refund in join_all(refunds).await {
            match refund.expect("no panic") {
                Ok(answered) if answered.value.state == TransferState::Pending && random.random() => {
                    let Transfer { id, kind, amount, .. } = answered.value;
                    world.rail.book(tenant(), &id.to_string(), kind, amount);
                    let done = RailOutcome::Done { reference: "told".to_owned() };
                    world.notice(tenant(), &id.to_string(), done).await.expect("it is taken");
                }
                Ok(_) | Err(CommerceError::AmountExceeded { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        *world.rail.faults.lock().expect("no panic") = None;
        world.clock.advance(RECOVERY_AFTER_MICROS);
        world.shop.recover_pending().await.expect("recovery works");
        let checkout = stored(&world, id).await;
        let amounts = checkout.payment.as_ref().expect("it has a payment").amounts;
        assert_eq!(amounts.refunded_minor, world.rail.sum(TransferKind::Refund) - refunded_before);
        assert_eq!(amounts.refunded_minor, amounts.refund_asked_minor, "every request came to its end");
        assert!(amounts.refunded_minor <= amounts.captured_minor && amounts.captured_minor == cups + 2_000);
        let of_orders: i64 = checkout.orders.iter().map(|order| order.amounts.refunded_minor).sum();
        assert_eq!(of_orders, amounts.refunded_minor);
        let left = amounts.captured_minor - amounts.refunded_minor;
        if left > 0 {
            moved(&world, payment, &change(TransferKind::Refund, None)).await;
        }
        let (_, balances) = books(&world, tenant()).await;
        for account in ["clearing:simulator", "commission", "refunds", &seller(1), &seller(2)] {
            assert_eq!(posted(&balances, account), 0, "{account} after everything went back");
        }
    }
}

pub async fn sellers_are_paid_out_what_they_are_owed_and_no_more(world: World) {
    let (_, payment) = bought(&world, &[(CUP, 2), (POT, 1)]).await;
    moved(&world, payment, &change(TransferKind::Capture, None)).await;
    let pay = async |amount: Option<i64>| {
        world.shop.pay_out(tenant(), SellerId::from_u128(2), Currency::USD, amount, None).await
    };
    // 20.00 less 5 % are owed.
    let too_much = pay(Some(1_901)).await;
    assert!(matches!(too_much, Err(CommerceError::AmountExceeded { left_minor: 1_900, .. })), "{too_much:?}");
    let both = [(); 2].map(|()| {
        let shop = world.shop.clone();
        tokio::spawn(async move {
            shop.pay_out(tenant(), SellerId::from_u128(2), Currency::USD, Some(1_000), None).await.is_ok()
        })
    });
    let paid: Vec<bool> = join_all(both).await.into_iter().map(|task| task.expect("no panic")).collect();
    assert_eq!(paid.iter().filter(|paid| **paid).count(), 1, "of two at once the books let one through");
    let rest = pay(None).await.expect("it is answered").value;
    assert_eq!((rest.amount, rest.state), (Money::usd(900), TransferState::Done));
    assert!(matches!(pay(None).await, Err(CommerceError::AmountExceeded { left_minor: 0, .. })));
    // The bank sends it back.
    let declined = RailOutcome::Declined { reason: "account_closed".to_owned() };
    world.rail.take_back(&rest.id.to_string());
    world.notice(tenant(), &rest.id.to_string(), declined).await.expect("it is taken");
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!((posted(&balances, &seller(2)), posted(&balances, "payout")), (900, 0));
    assert_eq!(posted(&balances, "clearing:simulator"), 3_000 - 1_000);
    assert_eq!(world.rail.sum(TransferKind::Payout), 1_000);
    let page = PageRequest::new(10, None, "trf").expect("a valid page");
    let filter = TransferFilter { kind: Some(TransferKind::Payout), ..TransferFilter::default() };
    let listed = world.shop.storage().transfers(tenant(), &filter, &page).await.expect("a page").items;
    let states: Vec<TransferState> = listed.iter().map(|transfer| transfer.state).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&TransferState::Done) && states.contains(&TransferState::Reversed), "{states:?}");
}

pub async fn a_commission_is_frozen_when_the_order_is_made_by_plan_and_sales_of_the_month_before(world: World) {
    let seller_two = SellerId::from_u128(2);
    let rate = async || {
        let (id, payment) = bought(&world, &[(POT, 1)]).await;
        (stored(&world, id).await.orders[0].commission, payment)
    };
    world.shop.import_products(tenant(), &[imported(POT, 2, 1_200_000, 50)]).await.expect("a new price");
    let (free, payment) = rate().await;
    assert_eq!((free.commission_rate_ppm, free.commission_minor), (50_000, 60_000));
    moved(&world, payment, &change(TransferKind::Capture, None)).await;
    let terms = SellerTerms { plan: Plan::Professional, contract_ppm: None };
    world.shop.set_seller_terms(tenant(), seller_two, terms).await.expect("they are set");
    assert_eq!(world.shop.storage().seller_terms(tenant(), seller_two).await.expect("they are read"), terms);
    assert_eq!(rate().await.0.commission_rate_ppm, 35_000, "sales of this month do not count yet");
    world.clock.advance(31 * DAY_MICROS);
    let (discounted, _) = rate().await;
    assert_eq!(discounted.commission_rate_ppm, 30_000, "12,000.00 of the month before are half a point off");
    // A refund in April takes from April's sales; the order's own commission stays as it was frozen.
    moved(&world, payment, &change(TransferKind::Refund, Some(600_000))).await;
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!(posted(&balances, "commission"), 30_000);
    assert_eq!(rate().await.0.commission_rate_ppm, 30_000);
}

pub async fn the_database_keeps_the_same_books_as_memory_for_random_batches(world: World) {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut memory, mut pending) = (Ledger::default(), Vec::new());
    let dollars = Asset::from(Currency::USD);
    let assets = [dollars, Asset::Btc, Asset::from(Currency::new("JPY").expect("yen"))];
    let owned = |kind, owner: u32| Account::of(kind, format!("o{owner}")).expect("an account");
    let (mut written, mut refused) = (0, 0);
    for number in 0..400_u128 {
        let at = world.clock.now() + i64::try_from(number).expect("it fits");
        let mut entries = Vec::new();
        for _ in 0..random.random_range(1..4) {
            let kinds = [AccountKind::Clearing, AccountKind::Buyer, AccountKind::Seller, AccountKind::PayLater];
            let [from, to] =
                [(); 2].map(|()| owned(kinds[random.random_range(0..kinds.len())], random.random_range(0..4)));
            let (asset, amount) = (assets[random.random_range(0..assets.len())], random.random_range(1..1_000));
            entries.extend([Entry::debit(from, asset, amount), Entry::credit(to, asset, amount)]);
        }
        if random.random_range(0..20) == 0 {
            entries[0].amount += 1;
        }
        let expires_at = at + random.random_range(1..100);
        let ended = |pending: &Vec<BatchId>, random: &mut ChaCha8Rng| {
            let known = pending.get(random.random_range(0..pending.len().max(1))).copied();
            known.unwrap_or(BatchId(9_999))
        };
        let does = match random.random_range(0..8) {
            0..4 => Move::Post(entries),
            4 | 5 => Move::Pend { entries, expires_at },
            6 => Move::PostPending(ended(&pending, &mut random)),
            _ if random.random() => Move::VoidPending(ended(&pending, &mut random)),
            _ => Move::ExpirePending(ended(&pending, &mut random)),
        };
        if matches!(does, Move::Pend { .. }) {
            pending.push(BatchId(number));
        }
        let (purpose, reference) = ("test".to_owned(), number.to_string());
        let batch = Batch { id: BatchId(number), tenant: tenant(), at, purpose, reference, does };
        let expected = memory.apply(batch.clone());
        let mut transaction = world.shop.storage().begin().await.expect("it begins");
        let found = transaction.write_batch(&batch).await;
        assert_eq!(found.is_ok(), expected.is_ok(), "{batch:?}: {found:?}, {expected:?}");
        if found.is_ok() {
            transaction.commit().await.expect("it is committed");
            written += 1;
        } else {
            transaction.rollback().await.expect("it is rolled back");
            refused += 1;
        }
    }
    assert!(written > 100 && refused > 50, "{written} written, {refused} refused");
    let (journal, balances) = books(&world, tenant()).await;
    assert_eq!((journal.as_slice(), &balances), (memory.journal(), memory.balances()));
    let mut until = Ledger::default();
    for batch in &journal {
        until.apply(batch.clone()).expect("it was written");
        if random.random_range(0..10) == 0 {
            let then = world.shop.storage().balances_at(tenant(), batch.at).await.expect("they are added up");
            assert_eq!(&then, until.balances(), "as of {:?}", batch.at);
        }
    }
    let mut transaction = world.shop.storage().begin().await.expect("it begins");
    let twice = transaction.write_batch(&journal[0]).await;
    assert!(matches!(twice, Err(StorageError::Exists(_))), "{twice:?}");
    drop(transaction);
    let mut transaction = world.shop.storage().begin().await.expect("it begins");
    let owner = owned(AccountKind::Clearing, 0);
    let held = transaction.balance(tenant(), &owner, dollars).await.expect("it is read");
    assert_eq!(held.posted(Side::Debit), memory.balance(&owner, dollars).posted(Side::Debit));
}

pub async fn a_thousand_checkouts_at_once_for_the_last_unit_make_one_order(world: World) {
    world.shop.set_stock(tenant(), POT, 1, None).await.expect("the stock is counted");
    world.shop.set_stock(tenant(), CUP, 2_000, None).await.expect("the stock is counted");
    let patient: Arc<Shop> = world.patient_process().await;
    // Half of them want the last pot with a cup, half the pot alone: whoever shares an item races for it too.
    let tasks = (0..1_000).map(|number| {
        let shop = patient.clone();
        let wanted: &[(ProductId, i64)] = if number % 2 == 0 { &[(POT, 1), (CUP, 1)] } else { &[(POT, 1)] };
        tokio::spawn(async move { shop.submit_checkout(tenant(), &cart(wanted), None).await })
    });
    let mut completed = 0;
    for task in join_all(tasks).await {
        let checkout = task.expect("no panic").expect("an answer").value;
        match checkout.refusal {
            None => completed += 1,
            Some(reason) => assert_eq!(reason, RefusalReason::Stock),
        }
    }
    assert_eq!((completed, world.stock(POT).await), (1, (0, 0)));
    assert_eq!(world.rail.approved.lock().expect("no panic").len(), 1, "nothing is held without stock");
}

pub async fn batches_of_a_thousand_entries_are_written_whole(world: World) {
    const BATCHES: u128 = 20;
    let dollars = Asset::from(Currency::USD);
    let owner = |number: u128| Account::of(AccountKind::Seller, format!("s{}", number % 100)).expect("an account");
    let began = std::time::Instant::now();
    for number in 0..BATCHES {
        let pair = |at: u128| {
            let to = Entry::credit(owner(at), dollars, 7);
            [Entry::debit(Account::own(AccountKind::Exchange), dollars, 7), to]
        };
        let entries: Vec<Entry> = (0..500).flat_map(pair).collect();
        let (purpose, reference) = ("bulk".to_owned(), number.to_string());
        let does = Move::Post(entries);
        let batch = Batch { id: BatchId(number), tenant: tenant(), at: world.clock.now(), purpose, reference, does };
        let mut transaction = world.shop.storage().begin().await.expect("it begins");
        transaction.write_batch(&batch).await.expect("it is written");
        transaction.commit().await.expect("it is committed");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} entries a second in batches of 1,000", BATCHES as f64 * 1_000.0 / seconds);
    let (journal, balances) = books(&world, tenant()).await;
    assert_eq!((journal.len() as u128, balances.len()), (BATCHES, 101));
    assert_eq!(posted(&balances, "exchange"), BATCHES as i128 * 3_500);
}
