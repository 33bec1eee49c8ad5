//! The promises about returns, claims and disputes, one function each; `main` runs each on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::WritePoints;
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::money::{books, bought, change, posted, seller, stored};
use crate::world::*;

/// A checkout of `lines` that is captured whole.
async fn captured(world: &World, lines: &[(ProductId, i64)]) -> (CheckoutId, PaymentId) {
    let (id, payment) = bought(world, lines).await;
    let all = change(TransferKind::Capture, None);
    let done = world.shop.change_payment(tenant(), payment, &all, None).await.expect("it is captured").value;
    assert_eq!(done.state, TransferState::Done);
    (id, payment)
}

async fn orders(world: &World, id: CheckoutId) -> Vec<Order> {
    stored(world, id).await.orders
}

fn asked(order: OrderId, kind: ReturnKind, lines: &[(ProductId, i64)]) -> ReturnInput {
    ReturnInput {
        order,
        kind,
        opened_by: ReturnParty::Buyer,
        reason: if kind == ReturnKind::Claim { ReturnReason::NotReceived } else { ReturnReason::Defective },
        note: "the handle is off".to_owned(),
        evidence: vec!["photos/1.jpg".to_owned()],
        lines: lines.iter().map(|(product, quantity)| ReturnUnits { product: *product, quantity: *quantity }).collect(),
    }
}

fn step(to: ReturnState, inspected: &[(ProductId, i64, i64)]) -> ReturnChange {
    let found =
        |&(product, accepted, restocked): &(ProductId, i64, i64)| InspectedUnits { product, accepted, restocked };
    ReturnChange {
        to,
        by: "ann".to_owned(),
        note: String::new(),
        evidence: Vec::new(),
        inspected: inspected.iter().map(found).collect(),
    }
}

async fn moved(shop: &Shop, kept: &Return, change: &ReturnChange) -> Return {
    let expected = ExpectedVersion::Exactly(kept.version);
    shop.move_return(tenant(), kept.id, expected, change).await.expect("it moves")
}

async fn settled(shop: &Shop, id: ReturnId, settlement: ReturnSettlement) -> Result<Return, CommerceError> {
    let answered = shop.settle_return(tenant(), id, ExpectedVersion::Any, (&settlement, "ann"), None).await;
    answered.map(|answered| answered.value)
}

async fn read(world: &World, id: ReturnId) -> Return {
    world.shop.find_return(tenant(), id).await.expect("it is there")
}

/// A return of `lines` that came back; all of it is accepted, and so many of each line go back into stock.
async fn inspected(world: &World, order: OrderId, lines: &[(ProductId, i64)], restocked: i64) -> Return {
    let input = asked(order, ReturnKind::Return, lines);
    let mut kept = world.shop.open_return(tenant(), &input, None).await.expect("it is opened").value;
    for to in [ReturnState::Approved, ReturnState::InTransit, ReturnState::Received] {
        kept = moved(&world.shop, &kept, &step(to, &[])).await;
    }
    let found: Vec<_> = lines.iter().map(|&(product, quantity)| (product, quantity, restocked.min(quantity))).collect();
    moved(&world.shop, &kept, &step(ReturnState::Inspected, &found)).await
}

const ALL: ReturnSettlement = ReturnSettlement::Refund { amount: None };

fn refund(minor: i64) -> ReturnSettlement {
    ReturnSettlement::Refund { amount: Some(Money::usd(minor)) }
}

fn credit(minor: i64) -> ReturnSettlement {
    ReturnSettlement::CreditNote { amount: Some(Money::usd(minor)) }
}

async fn returned(world: &World, id: ReturnId, name: &str) -> Vec<Fact> {
    let of_return = |record: &OutboxRecord| record.aggregate == id.to_string();
    let facts = world.outbox().await.into_iter().filter(of_return).map(|record| record.event.fact);
    facts.filter(|fact| fact.kind().name() == name).collect()
}

pub async fn a_return_is_brought_back_and_settled_in_parts_by_refund_and_credit_note(world: World) {
    let (id, payment) = captured(&world, &[(CUP, 3)]).await; // 15.00, its commission 0.75
    assert_eq!(world.stock(CUP).await, (7, 0));
    let order = orders(&world, id).await[0].id;
    let kept = inspected(&world, order, &[(CUP, 2)], 1).await;
    assert_eq!((kept.accepted_minor(), kept.left_minor(), kept.version), (1_000, 1_000, 5));
    assert_eq!(world.stock(CUP).await, (8, 0), "one of the two is sold again");
    let again = moved(&world.shop, &kept, &step(ReturnState::Inspected, &[])).await;
    assert_eq!(again, kept, "what is there already stays as it is");
    let stale =
        world.shop.move_return(tenant(), kept.id, ExpectedVersion::Exactly(1), &step(ReturnState::Closed, &[])).await;
    assert!(matches!(stale, Err(CommerceError::StaleVersion { .. })), "{stale:?}");

    let part = settled(&world.shop, kept.id, refund(333)).await.expect("it is refunded");
    assert_eq!((part.state, part.refunded_minor, part.left_minor()), (ReturnState::Inspected, 333, 667));
    let over = settled(&world.shop, kept.id, refund(668)).await;
    assert!(matches!(over, Err(CommerceError::AmountExceeded { left_minor: 667, .. })), "{over:?}");
    let part = settled(&world.shop, kept.id, credit(600)).await.expect("it is credited");
    assert_eq!((part.credited_minor, part.left_minor()), (600, 67));
    let done = settled(&world.shop, kept.id, ALL).await.expect("the rest is refunded");
    assert_eq!((done.state, done.refunded_minor, done.credited_minor), (ReturnState::Refunded, 1_000, 600));

    let found = step(ReturnState::Inspected, &[(CUP, 2, 2)]);
    let twice = world.shop.move_return(tenant(), kept.id, ExpectedVersion::Any, &found).await;
    assert!(matches!(twice, Err(CommerceError::AfterSaleRefused(_))), "no unit comes back twice: {twice:?}");

    let (_, balances) = books(&world, tenant()).await;
    assert_eq!(posted(&balances, &format!("buyer:{}", BuyerId::from_u128(7))), 600, "the buyer's credit");
    assert_eq!(posted(&balances, "clearing:simulator"), 1_100, "15.00 less 4.00");
    assert_eq!(posted(&balances, "commission"), 25, "of 0.75 two thirds went back");
    assert_eq!(posted(&balances, &seller(1)), 475);
    assert_eq!(world.rail.sum(TransferKind::Refund), 400, "a credit note is not asked of the rail");
    assert_eq!(returned(&world, kept.id, "order_returned").await.len(), 1);
    let refunds =
        TransferFilter { payment: Some(payment), kind: Some(TransferKind::Refund), ..TransferFilter::default() };
    let page = PageRequest::new(10, None, "trf").expect("a valid page");
    assert_eq!(world.shop.storage().transfers(tenant(), &refunds, &page).await.expect("a page").items.len(), 3);
    let late = world.shop.change_payment(tenant(), payment, &change(TransferKind::Refund, Some(501)), None).await;
    assert!(matches!(late, Err(CommerceError::AmountExceeded { left_minor: 500, .. })), "credit counts as refunded");
}

pub async fn no_more_units_are_on_returns_than_were_bought(world: World) {
    let (id, _) = captured(&world, &[(CUP, 3)]).await;
    let order = orders(&world, id).await[0].id;
    let shop = world.patient_process().await;
    for round in 0..4 {
        let tries = (0..8).map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move {
                shop.open_return(tenant(), &asked(order, ReturnKind::Return, &[(CUP, 2)]), None).await
            })
        });
        let mut opened = Vec::new();
        for tried in join_all(tries).await {
            match tried.expect("no panic") {
                Ok(one) => opened.push(one.value),
                Err(error) => assert!(matches!(error, CommerceError::AfterSaleRefused(_)), "{error}"),
            }
        }
        assert_eq!(opened.len(), 1, "round {round}: of three units two are on a return once");
        let gives_up = if round % 2 == 0 { ReturnState::Declined } else { ReturnState::Closed };
        moved(&world.shop, &opened[0], &step(gives_up, &[])).await;
    }
    let all = world.shop.open_return(tenant(), &asked(order, ReturnKind::Claim, &[(CUP, 3)]), None).await;
    let all = all.expect("what was declined is free again").value;
    let claim = moved(&world.shop, &all, &step(ReturnState::Approved, &[])).await;
    let back =
        world.shop.move_return(tenant(), claim.id, ExpectedVersion::Any, &step(ReturnState::Received, &[])).await;
    assert!(matches!(back, Err(CommerceError::Invalid(_))), "a claim's goods do not come back: {back:?}");
    let settlements = (0..8).map(|number| {
        let shop = shop.clone();
        let how = if number % 2 == 0 { refund(900) } else { credit(900) };
        tokio::spawn(async move { settled(&shop, claim.id, how).await })
    });
    let mut paid = 0;
    for tried in join_all(settlements).await {
        match tried.expect("no panic") {
            Ok(_) => paid += 1,
            Err(error) => assert!(matches!(error, CommerceError::AmountExceeded { .. }), "{error}"),
        }
    }
    assert_eq!((paid, read(&world, claim.id).await.refunded_minor), (1, 900), "of 15.00 9.00 goes back once");
}

pub async fn a_replacement_takes_its_units_once_and_refunds_the_difference(world: World) {
    let (id, _) = captured(&world, &[(POT, 2)]).await; // 40.00 of seller 2
    let order = orders(&world, id).await[0].id;
    let kept = inspected(&world, order, &[(POT, 1)], 0).await;
    let dear = Some(vec![ReturnUnits { product: POT, quantity: 2 }]);
    let dear = settled(&world.shop, kept.id, ReturnSettlement::Replacement { units: dear }).await;
    assert!(matches!(dear, Err(CommerceError::Invalid(_))), "{dear:?}");
    let same = settled(&world.shop, kept.id, ReturnSettlement::Replacement { units: None }).await.expect("it goes out");
    assert_eq!((same.state, same.replaced_minor, world.stock(POT).await), (ReturnState::Replaced, 2_000, (2, 0)));
    let twice = settled(&world.shop, kept.id, ReturnSettlement::Replacement { units: None }).await;
    assert!(matches!(twice, Err(CommerceError::AfterSaleRefused(_))), "{twice:?}");

    let lid = ProductId::from_u128(0xe0);
    world.shop.import_products(tenant(), &[imported(lid, 2, 700, 3)]).await.expect("it is taken over");
    let other = inspected(&world, order, &[(POT, 1)], 1).await;
    let units = Some(vec![ReturnUnits { product: lid, quantity: 2 }]);
    let exchange = ReturnSettlement::Replacement { units };
    let done = settled(&world.shop, other.id, exchange).await.expect("it is exchanged");
    assert_eq!((done.state, done.replaced_minor, done.refunded_minor), (ReturnState::Replaced, 1_400, 600));
    assert_eq!((world.stock(lid).await, world.stock(POT).await), ((1, 0), (3, 0)));
    let none = inspected(&world, captured_cups(&world).await, &[(CUP, 2)], 0).await;
    world.shop.set_stock(tenant(), CUP, 1, None).await.expect("one cup is left");
    let short = settled(&world.shop, none.id, ReturnSettlement::Replacement { units: None }).await;
    assert!(matches!(short, Err(CommerceError::NoFreeUnit(CUP))), "{short:?}");
    assert_eq!((read(&world, none.id).await.left_minor(), world.stock(CUP).await), (1_000, (1, 0)));
}

async fn captured_cups(world: &World) -> OrderId {
    let (id, _) = captured(world, &[(CUP, 2)]).await;
    orders(world, id).await[0].id
}

pub async fn a_refund_that_the_rail_takes_back_opens_the_return_again(world: World) {
    let order = captured_cups(&world).await;
    let kept = inspected(&world, order, &[(CUP, 2)], 2).await;
    assert_eq!(settled(&world.shop, kept.id, ALL).await.expect("it is refunded").state, ReturnState::Refunded);
    let page = PageRequest::new(10, None, "trf").expect("a valid page");
    let refunds = TransferFilter { kind: Some(TransferKind::Refund), ..TransferFilter::default() };
    let transfer = world.shop.storage().transfers(tenant(), &refunds, &page).await.expect("a page").items[0].clone();
    let key = transfer.id.to_string();
    world.rail.take_back(&key);
    for _ in 0..2 {
        let declined = RailOutcome::Declined { reason: "account_closed".to_owned() };
        world.notice(tenant(), &key, declined).await.expect("it is taken");
    }
    let open = read(&world, kept.id).await;
    assert_eq!((open.state, open.refunded_minor, open.left_minor()), (ReturnState::Inspected, 0, 1_000));
    let by_credit = settled(&world.shop, kept.id, credit(1_000)).await.expect("it is credited");
    assert_eq!((by_credit.state, world.rail.sum(TransferKind::Refund)), (ReturnState::Refunded, 0));
    books(&world, tenant()).await;
}

/// What a naive shop would remember of one order: units by product, and money.
#[derive(Default)]
struct Naive {
    on_returns: BTreeMap<ProductId, i64>,
    refunded: i64,
    credited: i64,
    replaced: BTreeMap<ProductId, i64>,
    restocked: BTreeMap<ProductId, i64>,
}

const LIVES: u64 = 12;

pub async fn random_returns_and_settlements_equal_a_naive_reference(world: World) {
    for seed in 0..LIVES {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        world.shop.set_stock(tenant(), CUP, 100, None).await.expect("it is set");
        let bought_units = random.random_range(1..9);
        let (id, _) = captured(&world, &[(CUP, bought_units)]).await;
        let order = orders(&world, id).await[0].clone();
        let (mut naive, mut open): (Naive, Vec<ReturnId>) = (Naive::default(), Vec::new());
        for _ in 0..30 {
            if open.is_empty() || random.random_range(0..4) == 0 {
                let units = random.random_range(1..=bought_units);
                let kind = if random.random() { ReturnKind::Return } else { ReturnKind::Claim };
                let opened = world.shop.open_return(tenant(), &asked(order.id, kind, &[(CUP, units)]), None).await;
                let counted = naive.on_returns.entry(CUP).or_default();
                assert_eq!(opened.is_ok(), *counted + units <= bought_units, "seed {seed}");
                if let Ok(opened) = opened {
                    *counted += units;
                    open.push(opened.value.id);
                }
                continue;
            }
            let which = open[random.random_range(0..open.len())];
            let kept = read(&world, which).await;
            if kept.state == kept_for_settlement(kept.kind) && random.random_range(0..8) > 0 {
                settle_at_random(&world, &kept, &mut naive, &mut random).await;
                continue;
            }
            advance_at_random(&world, &kept, &mut naive, &mut random).await;
        }
        let refunded = naive.refunded + naive.credited;
        let kept = orders(&world, id).await[0].clone();
        assert_eq!((kept.amounts.refunded_minor, kept.amounts.refund_asked_minor), (refunded, refunded), "seed {seed}");
        let stock = 100 - bought_units + units_of(&naive.restocked) - units_of(&naive.replaced);
        assert_eq!(world.stock(CUP).await, (stock, 0), "seed {seed}");
        assert!(refunded + 500 * units_of(&naive.replaced) <= 500 * bought_units, "seed {seed}");
        // Whatever went back in however many parts: the rest and it are the order, to the cent.
        let commission = kept.commission.commission_minor * refunded / kept.total.amount_minor;
        assert_eq!(kept.commission.commission_returned_minor, commission, "seed {seed}");
    }
    let (_, balances) = books(&world, tenant()).await;
    assert_eq!(posted(&balances, "refunds"), 0);
}

const fn kept_for_settlement(kind: ReturnKind) -> ReturnState {
    match kind {
        ReturnKind::Return => ReturnState::Inspected,
        ReturnKind::Claim => ReturnState::Approved,
    }
}

fn units_of(units: &BTreeMap<ProductId, i64>) -> i64 {
    units.values().sum()
}

async fn settle_at_random(world: &World, kept: &Return, naive: &mut Naive, random: &mut ChaCha8Rng) {
    let left = kept.left_minor();
    let amount = if random.random() { left } else { random.random_range(1..=left.max(1) + 50) };
    let fits = amount > 0 && amount <= left;
    match random.random_range(0..3) {
        0 => {
            let done = settled(&world.shop, kept.id, refund(amount)).await;
            assert_eq!(done.is_ok(), fits, "{amount} of {left}: {done:?}");
            naive.refunded += if fits { amount } else { 0 };
        }
        1 => {
            let done = settled(&world.shop, kept.id, credit(amount)).await;
            assert_eq!(done.is_ok(), fits, "{amount} of {left}: {done:?}");
            naive.credited += if fits { amount } else { 0 };
        }
        _ => {
            let whole = left > 0 && left == kept.accepted_minor();
            let done = settled(&world.shop, kept.id, ReturnSettlement::Replacement { units: None }).await;
            assert_eq!(done.is_ok(), whole, "{done:?}");
            *naive.replaced.entry(CUP).or_default() += if whole { left / 500 } else { 0 };
        }
    }
}

async fn advance_at_random(world: &World, kept: &Return, naive: &mut Naive, random: &mut ChaCha8Rng) {
    let to = ReturnState::ALL[random.random_range(0..ReturnState::ALL.len())];
    let quantity = kept.lines[0].quantity;
    let (accepted, restocked) = (random.random_range(0..=quantity), random.random_range(0..=quantity));
    let found = if to == ReturnState::Inspected { vec![(CUP, accepted, restocked)] } else { Vec::new() };
    let done = world.shop.move_return(tenant(), kept.id, ExpectedVersion::Any, &step(to, &found)).await;
    let follows = transition(kept.state, to);
    if to == kept.state {
        assert_eq!(done.expect("it stays").version, kept.version);
        return;
    }
    let Ok(after) = done else { return };
    assert!(follows.is_ok(), "{} became {to}", kept.state);
    if to == ReturnState::Inspected {
        *naive.restocked.entry(CUP).or_default() += restocked;
    }
    let unsettled = after.refund_asked_minor == 0 && after.replaced_minor == 0;
    if matches!(to, ReturnState::Declined | ReturnState::Closed) && unsettled {
        *naive.on_returns.entry(CUP).or_default() -= quantity;
    }
}

/// One step of a return's life, done by `shop`; steps are repeated until they are answered.
async fn life(shop: Arc<Shop>, number: usize, order: OrderId, run: i64) -> Result<ReturnId, CommerceError> {
    let key = |what: &str| Idempotency::new(&format!("{what}-{run}"), what, b"").expect("a valid key");
    let input = asked(order, ReturnKind::Return, &[(CUP, 2)]);
    let opened = shop.open_return(tenant(), &input, Some(&key("open"))).await?.value;
    let any = ExpectedVersion::Any;
    let settlement = match number {
        0 => return Ok(opened.id),
        1 => {
            shop.move_return(tenant(), opened.id, any, &step(ReturnState::Approved, &[])).await?;
            return Ok(opened.id);
        }
        2 => {
            shop.move_return(tenant(), opened.id, any, &step(ReturnState::Received, &[])).await?;
            return Ok(opened.id);
        }
        3 => {
            let found = step(ReturnState::Inspected, &[(CUP, 2, 2)]);
            shop.move_return(tenant(), opened.id, any, &found).await?;
            return Ok(opened.id);
        }
        4 => refund(333),
        5 => credit(300),
        _ => refund(367),
    };
    let key = key(&format!("settle{number}"));
    shop.recover_pending().await?;
    shop.settle_return(tenant(), opened.id, any, (&settlement, "ann"), Some(&key)).await?;
    Ok(opened.id)
}

pub async fn wherever_a_process_dies_a_return_is_counted_settled_and_told_of_once(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    *world.rail.points.lock().expect("no panic") = Some(points.clone());
    for run in 1.. {
        assert!(run < 400, "there are fewer write points");
        world.shop.set_stock(tenant(), CUP, 2, None).await.expect("two cups are there");
        let order = captured_cups(&world).await;
        points.end_at(run);
        let mut id = None;
        for number in 0..7 {
            let lived = tokio::select! {
                done = life(mortal.clone(), number, order, run) => { id = Some(done.expect("it is done")); true }
                () = points.ended() => false,
            };
            if !lived {
                points.disarm();
                world.clock.advance(RECOVERY_AFTER_MICROS + 1);
                world.shop.recover_pending().await.expect("recovery works");
                id = Some(life(world.shop.clone(), number, order, run).await.expect("a successor does it"));
            }
        }
        let left = points.disarm();
        world.clock.advance(RECOVERY_AFTER_MICROS + 1);
        world.shop.recover_pending().await.expect("recovery works");
        let kept = read(&world, id.expect("it is opened")).await;
        assert_eq!(
            (kept.state, kept.refunded_minor, kept.credited_minor),
            (ReturnState::Refunded, 1_000, 300),
            "run {run}"
        );
        assert_eq!(world.stock(CUP).await, (2, 0), "run {run}");
        assert_eq!(world.rail.sum(TransferKind::Refund), 700 * run, "run {run}");
        assert_eq!(returned(&world, kept.id, "order_returned").await.len(), 1, "run {run}");
        forget_outbox(&world).await;
        if left > 0 {
            assert!(run > 60, "a life has more write points than {run}");
            books(&world, tenant()).await;
            return;
        }
    }
}

async fn forget_outbox(world: &World) {
    let ids: Vec<i64> = world.outbox().await.iter().map(|record| record.id).collect();
    world.shop.storage().outbox_mark_published(&ids, world.clock.now()).await.expect("they are marked");
}

fn disputed(world: &World, payment: PaymentId, minor: i64, reason: DisputeReason) -> DisputeInput {
    let respond_by = world.clock.now() + 7 * DAY_MICROS;
    DisputeInput { payment, case: "cb_1".to_owned(), amount: Money::usd(minor), reason, respond_by }
}

fn news(input: &DisputeInput, state: DisputeState) -> RailOutcome {
    RailOutcome::Dispute(DisputeNews {
        case: input.case.clone(),
        state,
        amount: input.amount,
        dispute_reason: input.reason,
        respond_by: input.respond_by,
    })
}

/// What the fraud labels in the outbox say, in order.
async fn labels(world: &World) -> Vec<(bool, String)> {
    let label = |record: OutboxRecord| match record.event.fact {
        Fact::FraudLabelled(label) => Some((label.fraud, label.source)),
        _ => None,
    };
    world.outbox().await.into_iter().filter_map(label).collect()
}

async fn only_dispute(world: &World) -> Dispute {
    let page = PageRequest::new(10, None, "dsp").expect("a valid page");
    let mut found =
        world.shop.storage().disputes(tenant(), &DisputeFilter::default(), &page).await.expect("a page").items;
    assert_eq!(found.len(), 1);
    found.remove(0)
}

pub async fn a_lost_chargeback_labels_its_checkout_and_a_won_one_takes_the_label_back(world: World) {
    let (_, payment) = captured(&world, &[(CUP, 2)]).await;
    let input = disputed(&world, payment, 1_000, DisputeReason::Fraudulent);
    let tell = async |state| {
        for _ in 0..2 {
            world.notice(tenant(), &payment.to_string(), news(&input, state)).await.expect("it is taken");
        }
        let (_, balances) = books(&world, tenant()).await;
        (posted(&balances, "chargeback_loss"), posted(&balances, "clearing:simulator"))
    };
    assert_eq!(tell(DisputeState::NeedsResponse).await, (1_000, 0), "the rail took it");
    let refused = world.shop.change_payment(tenant(), payment, &change(TransferKind::Refund, Some(1)), None).await;
    assert!(matches!(refused, Err(CommerceError::AfterSaleRefused(_))), "{refused:?}");
    assert_eq!(labels(&world).await, []);
    assert_eq!(tell(DisputeState::Lost).await, (1_000, 0));
    assert_eq!(labels(&world).await, [(true, "chargeback".to_owned())]);
    assert_eq!(tell(DisputeState::NeedsResponse).await, (1_000, 0), "what comes late changes nothing");
    assert_eq!(only_dispute(&world).await.state, DisputeState::Lost);
    assert_eq!(tell(DisputeState::Won).await, (0, 1_000));
    assert_eq!(labels(&world).await, [(true, "chargeback".to_owned()), (false, "chargeback".to_owned())]);
    let free = world.shop.change_payment(tenant(), payment, &change(TransferKind::Refund, Some(400)), None).await;
    assert_eq!(free.expect("it is refunded").value.state, TransferState::Done);
    assert_eq!(tell(DisputeState::Lost).await, (1_000, -400), "the rail took it all the same");
    assert_eq!(only_dispute(&world).await.held_minor, 600, "no more than was left");
    let unknown = world.notice(tenant(), "pay_unknown", news(&input, DisputeState::Lost)).await;
    assert!(matches!(unknown, Err(CommerceError::NotFound(_))), "{unknown:?}");
}

pub async fn a_dispute_is_answered_with_evidence_until_its_deadline(world: World) {
    let (_, payment) = captured(&world, &[(CUP, 2)]).await;
    let input = disputed(&world, payment, 600, DisputeReason::NotReceived);
    let key = key("d1", "dispute");
    let first = world.shop.open_dispute(tenant(), &input, Some(&key)).await.expect("it is opened").value;
    let again = world.shop.open_dispute(tenant(), &input, Some(&key)).await.expect("it is answered");
    assert_eq!((again.replayed, again.value.id), (true, first.id));
    let over = DisputeInput { case: "cb_2".to_owned(), amount: Money::usd(1_001), ..input.clone() };
    let over = world.shop.open_dispute(tenant(), &over, None).await;
    assert!(matches!(over, Err(CommerceError::Invalid(_))), "{over:?}");
    let answer = |to, evidence: &[&str]| DisputeChange {
        to,
        by: "ann".to_owned(),
        note: String::new(),
        evidence: evidence.iter().map(|text| (*text).to_owned()).collect(),
    };
    let exactly = ExpectedVersion::Exactly;
    let empty = world.shop.move_dispute(tenant(), first.id, exactly(1), &answer(DisputeState::UnderReview, &[])).await;
    assert!(matches!(empty, Err(CommerceError::Invalid(_))), "{empty:?}");
    let sent = answer(DisputeState::UnderReview, &["proof-of-delivery.pdf"]);
    world.clock.advance(8 * DAY_MICROS);
    let late = world.shop.move_dispute(tenant(), first.id, exactly(1), &sent).await;
    assert!(matches!(late, Err(CommerceError::AfterSaleRefused(_))), "{late:?}");
    world.clock.advance(-8 * DAY_MICROS);
    let sent = world.shop.move_dispute(tenant(), first.id, exactly(1), &sent).await.expect("it is sent");
    assert_eq!((sent.state, sent.version, sent.evidence.len()), (DisputeState::UnderReview, 2, 1));
    let lost = world.shop.move_dispute(tenant(), first.id, exactly(2), &answer(DisputeState::Lost, &[])).await;
    assert_eq!(lost.expect("it is lost").timeline.len(), 3);
    assert_eq!(labels(&world).await, [], "only fraud is a label");
    let other: TenantId = "ten_other".parse().expect("a tenant");
    assert!(matches!(world.shop.find_dispute(other, first.id).await, Err(CommerceError::NotFound(_))));
}

pub async fn wherever_a_process_dies_a_dispute_moves_money_and_label_once(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    for run in 1.. {
        assert!(run < 200, "there are fewer write points");
        world.shop.set_stock(tenant(), CUP, 2, None).await.expect("two cups are there");
        let (_, payment) = captured(&world, &[(CUP, 2)]).await;
        let input = disputed(&world, payment, 1_000, DisputeReason::Fraudulent);
        forget_outbox(&world).await;
        points.end_at(run);
        for state in [DisputeState::NeedsResponse, DisputeState::Lost, DisputeState::Won] {
            let key = payment.to_string();
            let lived = tokio::select! {
                taken = world.notice_to(&mortal, tenant(), &key, news(&input, state)) => { taken.expect("it is taken"); true }
                () = points.ended() => false,
            };
            if !lived {
                points.disarm();
                world.notice(tenant(), &key, news(&input, state)).await.expect("a successor takes it");
            }
        }
        let left = points.disarm();
        let (_, balances) = books(&world, tenant()).await;
        assert_eq!(posted(&balances, "chargeback_loss"), 0, "run {run}");
        let told = ["dispute_moved", "dispute_moved", "fraud_labelled", "dispute_moved", "fraud_labelled"];
        let mut facts = world.facts().await;
        facts.sort_unstable();
        let mut told = told.to_vec();
        told.sort_unstable();
        assert_eq!(facts, told, "run {run}");
        assert_eq!(labels(&world).await.iter().map(|label| label.0).collect::<Vec<_>>(), [true, false], "run {run}");
        let all = world.shop.change_payment(tenant(), payment, &change(TransferKind::Refund, None), None).await;
        assert_eq!(all.expect("nothing is disputed").value.amount, Money::usd(1_000), "run {run}");
        if left > 0 {
            assert!(run > 20, "a life has more write points than {run}");
            return;
        }
    }
}

pub async fn of_many_who_open_a_dispute_or_refund_at_once_no_cent_is_given_twice(world: World) {
    let shop = world.patient_process().await;
    for _ in 0..4 {
        world.shop.set_stock(tenant(), CUP, 2, None).await.expect("two cups are there");
        let (_, payment) = captured(&world, &[(CUP, 2)]).await;
        let input = disputed(&world, payment, 600, DisputeReason::Other);
        let tries = (0..12).map(|number| {
            let (shop, input) = (shop.clone(), input.clone());
            tokio::spawn(async move {
                if number % 2 == 0 {
                    return shop.open_dispute(tenant(), &input, None).await.map(|opened| opened.value.held_minor);
                }
                let part = change(TransferKind::Refund, Some(150));
                shop.change_payment(tenant(), payment, &part, None).await.map(|_| 0)
            })
        });
        let mut held = Vec::new();
        for tried in join_all(tries).await {
            match tried.expect("no panic") {
                Ok(minor) => held.push(minor),
                Err(CommerceError::AmountExceeded { .. } | CommerceError::AfterSaleRefused(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let page = PageRequest::new(10, None, "dsp").expect("a valid page");
        let filter = DisputeFilter { payment: Some(payment), ..DisputeFilter::default() };
        let disputes = world.shop.storage().disputes(tenant(), &filter, &page).await.expect("a page").items;
        assert_eq!(disputes.len(), 1, "one of the rail's name");
        let held = held.into_iter().max().unwrap_or_default();
        assert_eq!(disputes[0].held_minor, held);
        let checkout = world.shop.storage().payment(tenant(), payment).await.expect("it is read").expect("it is there");
        let refunded = checkout.payment.expect("it has a payment").amounts.refunded_minor;
        assert!(refunded + held <= 1_000, "{refunded} and {held}");
        assert!(refunded + held > 850, "as much as fits is given: {refunded} and {held}");
    }
}
