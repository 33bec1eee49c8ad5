//! The promises about auctions, one function each; `main` runs each on both databases.

use std::sync::Arc;

use dhow_auctions::{Ending, naive};
use dhow_commerce::*;
use dhow_events::*;
use dhow_store::WritePoints;
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::*;

/// An hour of a cup from 1.00 USD.
fn asked(now: Timestamp) -> AuctionInput {
    AuctionInput {
        product: CUP,
        opening: Money::usd(100),
        reserve: None,
        buy_now: None,
        increments: None,
        extension: None,
        opens_at: None,
        ends_at: now + HOUR_MICROS,
        pay_within_s: Some(3_600),
    }
}

async fn opened(world: &World, input: &AuctionInput) -> AuctionId {
    world.shop.open_auction(tenant(), input, None).await.expect("it is opened").value.id
}

fn bidder(number: u128) -> BuyerId {
    BuyerId::from_u128(number)
}

async fn bid(world: &World, id: AuctionId, who: u128, maximum: i64) -> BidReceipt {
    let placed = world.shop.place_bid(tenant(), id, (bidder(who), Money::usd(maximum)), None).await;
    placed.expect("the bid counts").value
}

fn payment(who: u128) -> AuctionPayment {
    let CheckoutRequest { session, device, card, address, region, delivery_region, payment_method, .. } = cart(&[]);
    let buyer = bidder(who);
    AuctionPayment { buyer, session, device, card, address, region, delivery_region, payment_method }
}

async fn stored_bids(world: &World, id: AuctionId) -> Vec<AuctionBid> {
    let mut transaction = world.shop.storage().begin().await.expect("a transaction");
    transaction.auction_bids(tenant(), id).await.expect("the bids are read")
}

async fn read(world: &World, id: AuctionId) -> Auction {
    world.shop.auction(tenant(), id).await.expect("it is read")
}

/// Lets the time to the auction's next step pass, and does the step.
async fn next_step(world: &World, id: AuctionId) -> Auction {
    let due_at = read(world, id).await.due_at.expect("something is due");
    world.clock.advance(due_at.micros_since(world.clock.now()).max(0));
    world.shop.move_auctions_on().await.expect("auctions move on");
    read(world, id).await
}

async fn told(world: &World, id: AuctionId) -> Vec<&'static str> {
    let history = world.shop.storage().history(tenant(), &id.to_string(), 1_000).await.expect("it is read");
    history.iter().map(|record| record.event.fact.kind().name()).collect()
}

pub async fn sixty_four_bidders_at_once_stand_as_the_reference_says_of_the_stored_bids(world: World) {
    let id = opened(&world, &AuctionInput { reserve: Some(Money::usd(4_000)), ..asked(world.clock.now()) }).await;
    let shop = world.patient_process().await;
    let bidding = (1..=64).map(|who| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let (mut random, mut counted) = (ChaCha8Rng::seed_from_u64(who as u64), 0);
            for _ in 0..3 {
                let maximum = Money::usd(random.random_range(100..9_000));
                match shop.place_bid(tenant(), id, (bidder(who), maximum), None).await {
                    Ok(placed) => {
                        assert!(placed.value.price.amount_minor <= placed.value.minimum.amount_minor);
                        counted += 1;
                    }
                    Err(CommerceError::BidRefused { price, minimum, .. }) => {
                        assert!(price.is_some() && maximum.amount_minor < minimum.amount_minor, "{maximum:?}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            counted
        })
    });
    let counted: usize = join_all(bidding).await.into_iter().map(|bidding| bidding.expect("no panic")).sum();
    let (auction, bids) = (read(&world, id).await, stored_bids(&world, id).await);
    assert_eq!((bids.len(), auction.standing.bids), (counted, counted as i64));
    assert!((1..).zip(&bids).all(|(number, bid)| bid.sequence == number), "numbered without gaps");
    assert_eq!(auction.standing.price_minor, naive::price(&auction.terms, &bids));
    let leader = naive::leader(&bids).map(|bid| (bid.bidder, bid.maximum_minor));
    assert_eq!(auction.standing.leader.map(|leader| (leader.bidder, leader.maximum_minor)), leader);
    let expected = naive::ending(&auction.terms, &bids);
    let closed = next_step(&world, id).await;
    match (expected, closed.offer) {
        (Ending::Won { bidder, price_minor }, Some(offer)) => {
            assert_eq!(
                (closed.state, offer.buyer, offer.price_minor),
                (AuctionState::AwaitingPayment, bidder, price_minor)
            );
        }
        (ending, offer) => panic!("{ending:?} {offer:?}: of 64 bidders one reaches the reserve"),
    }
    let told = told(&world, id).await;
    assert_eq!((told.len(), told.last()), (counted + 2, Some(&"auction_moved")), "each bid is told of once");
}

pub async fn of_bids_and_purchases_at_once_one_kind_wins(world: World) {
    let buy_now = Some(BuyNowInput { price: Money::usd(900), until_ppm: None });
    let shop = world.patient_process().await;
    for _ in 0..6 {
        let id = opened(&world, &AuctionInput { buy_now, ..asked(world.clock.now()) }).await;
        let tries = (0..16_u128).map(|who| {
            let shop = shop.clone();
            tokio::spawn(async move {
                if who % 2 == 0 {
                    return shop.buy_now(tenant(), id, bidder(who), None).await.map(|_| "bought");
                }
                let maximum = Money::usd(1_000 + 100 * who as i64);
                shop.place_bid(tenant(), id, (bidder(who), maximum), None).await.map(|_| "bid")
            })
        });
        let mut done = Vec::new();
        for tried in join_all(tries).await {
            match tried.expect("no panic") {
                Ok(what) => done.push(what),
                Err(error) => assert!(matches!(error, CommerceError::BidRefused { .. }), "{error}"),
            }
        }
        let (auction, bids) = (read(&world, id).await, stored_bids(&world, id).await);
        if auction.state == AuctionState::AwaitingPayment {
            assert_eq!((done, bids.len()), (vec!["bought"], 0));
            assert_eq!(auction.offer.map(|offer| offer.price_minor), Some(900));
        } else {
            assert!(!bids.is_empty() && done.len() == bids.len() && !done.contains(&"bought"), "{done:?}");
            assert_eq!(auction.standing.price_minor, naive::price(&auction.terms, &bids));
        }
    }
}

pub async fn a_winner_pays_what_was_bid_by_a_checkout_that_takes_the_unit_over(world: World) {
    let id = opened(&world, &asked(world.clock.now())).await;
    assert_eq!(world.stock(CUP).await, (10, 1), "one unit is held");
    bid(&world, id, 1, 2_000).await;
    let second = bid(&world, id, 2, 700).await;
    assert_eq!((second.leads, second.price, second.minimum), (false, Money::usd(750), Money::usd(800)));
    let early = world.shop.pay_auction(tenant(), id, &payment(1), None).await;
    assert!(matches!(early, Err(CommerceError::NotOffered { .. })), "{early:?}");
    assert_eq!(next_step(&world, id).await.reason, "won");
    let other = world.shop.pay_auction(tenant(), id, &payment(2), None).await;
    assert!(matches!(other, Err(CommerceError::NotOffered { .. })), "{other:?}");
    let late = world.shop.place_bid(tenant(), id, (bidder(3), Money::usd(9_000)), None).await;
    assert!(matches!(late, Err(CommerceError::BidRefused { price: Some(price), .. }) if price == Money::usd(750)));

    let key = key("pay", "auction");
    let paid = world.shop.pay_auction(tenant(), id, &payment(1), Some(&key)).await.expect("it is paid").value;
    assert_eq!((paid.state, paid.total), (CheckoutState::Completed, Money::usd(750)));
    assert_eq!(paid.orders[0].lines[0].unit_price, Money::usd(750), "not the catalogue's 5.00");
    assert_eq!(world.stock(CUP).await, (9, 0));
    let again = world.shop.pay_auction(tenant(), id, &payment(1), Some(&key)).await.expect("it is answered");
    assert_eq!((again.replayed, again.value.id), (true, paid.id));
    let sold = next_step(&world, id).await;
    assert_eq!((sold.state, sold.checkout, sold.due_at), (AuctionState::Sold, Some(paid.id), None));
    let cancelled = world.shop.cancel_auction(tenant(), id, AuctionCancellation::SellerRequest).await;
    assert!(matches!(cancelled, Err(CommerceError::Transition(_))), "{cancelled:?}");
    let kinds = [
        "auction_opened",
        "auction_bid_placed",
        "auction_bid_placed",
        "auction_moved",
        "auction_moved",
        "auction_moved",
    ];
    assert_eq!(told(&world, id).await, kinds);
}

pub async fn who_does_not_pay_is_passed_over_as_though_there_had_been_no_bid(world: World) {
    let id = opened(&world, &asked(world.clock.now())).await;
    for (who, maximum) in [(1, 500), (2, 1_000), (3, 2_000), (4, 3_000)] {
        bid(&world, id, who, maximum).await;
    }
    let mut offers = Vec::new();
    for _ in 0..3 {
        let offer = next_step(&world, id).await.offer.expect("it is offered");
        offers.push((offer.buyer, offer.price_minor, offer.chance));
    }
    assert_eq!(offers, [(bidder(4), 2_050, 1), (bidder(3), 1_050, 2), (bidder(2), 550, 3)]);
    assert_eq!(world.stock(CUP).await, (10, 1), "held for whom it is offered to");
    let over = next_step(&world, id).await;
    assert_eq!((over.state, over.reason.as_str(), over.due_at), (AuctionState::Unsold, "not_paid", None));
    assert_eq!(world.stock(CUP).await, (10, 0));
    assert_eq!(world.shop.move_auctions_on().await.expect("nothing is due"), 0);
}

pub async fn a_payment_that_fails_or_is_declined_leaves_the_winner_the_time_that_is_left(world: World) {
    let declined_by_rail = trigger::DECLINED_MINOR;
    let id = opened(&world, &AuctionInput { opening: Money::usd(declined_by_rail), ..asked(world.clock.now()) }).await;
    bid(&world, id, 1, declined_by_rail).await;
    next_step(&world, id).await;
    let paid = world.shop.pay_auction(tenant(), id, &payment(1), None).await.expect("it is answered").value;
    assert_eq!((paid.state, paid.refusal), (CheckoutState::Refused, Some(RefusalReason::PaymentDeclined)));
    assert_eq!(world.stock(CUP).await, (10, 0), "the checkout gave the unit free");
    let back = next_step(&world, id).await;
    assert_eq!((back.state, back.reason.as_str()), (AuctionState::AwaitingPayment, "payment_failed"));
    assert_eq!((world.stock(CUP).await, back.due_at), ((10, 1), back.offer.map(|offer| offer.pays_by)));

    let fraud =
        opened(&world, &AuctionInput { opening: Money::usd(FRAUD_USD_MINOR), ..asked(world.clock.now()) }).await;
    bid(&world, fraud, 1, FRAUD_USD_MINOR).await;
    next_step(&world, fraud).await;
    let refused = world.shop.pay_auction(tenant(), fraud, &payment(1), None).await.expect("it is answered").value;
    assert_eq!(refused.refusal, Some(RefusalReason::Fraud));
    assert_eq!(read(&world, fraud).await.state, AuctionState::AwaitingPayment, "the unit was never given away");

    let review =
        opened(&world, &AuctionInput { opening: Money::usd(REVIEW_USD_MINOR), ..asked(world.clock.now()) }).await;
    bid(&world, review, 1, REVIEW_USD_MINOR).await;
    next_step(&world, review).await;
    let held = world.shop.pay_auction(tenant(), review, &payment(1), None).await.expect("it is answered").value;
    assert_eq!(held.state, CheckoutState::Held);
    assert_eq!(next_step(&world, review).await.state, AuctionState::Paying, "a person looks at it");
}

pub async fn an_auction_holds_its_unit_until_it_is_over_and_is_opened_once_for_a_key(world: World) {
    let key = Idempotency::new("one", "POST /v1/auctions", b"{}").expect("a valid key");
    let now = world.clock.now();
    let first = world.shop.open_auction(tenant(), &asked(now), Some(&key)).await.expect("it is opened");
    let again = world.shop.open_auction(tenant(), &asked(now), Some(&key)).await.expect("it is answered");
    assert_eq!((again.replayed, again.value.id, world.stock(CUP).await), (true, first.value.id, (10, 1)));
    let id = first.value.id;
    let euros = world.shop.place_bid(tenant(), id, (bidder(1), Money::new(500, Currency::EUR)), None).await;
    assert!(matches!(euros, Err(CommerceError::Invalid(_))), "{euros:?}");
    let other: TenantId = "ten_other".parse().expect("a tenant");
    assert!(matches!(world.shop.auction(other, id).await, Err(CommerceError::NotFound(_))));
    let foreign = world.shop.place_bid(other, id, (bidder(1), Money::usd(500)), None).await;
    assert!(matches!(foreign, Err(CommerceError::NotFound(_))), "{foreign:?}");
    bid(&world, id, 1, 500).await;
    for _ in 0..2 {
        let called_off = world.shop.cancel_auction(tenant(), id, AuctionCancellation::ItemUnavailable).await;
        let called_off = called_off.expect("it is called off");
        assert_eq!((called_off.state, called_off.version), (AuctionState::Cancelled, 3));
    }
    assert_eq!(world.stock(CUP).await, (10, 0));

    let reserved = AuctionInput { reserve: Some(Money::usd(900)), ..asked(now) };
    let (none, low) = (opened(&world, &asked(now)).await, opened(&world, &reserved).await);
    bid(&world, low, 1, 899).await;
    next_step(&world, none).await;
    let (none, low) = (read(&world, none).await, read(&world, low).await);
    assert_eq!((none.state, none.reason.as_str()), (AuctionState::Unsold, "no_bids"));
    assert_eq!((low.state, low.reason.as_str()), (AuctionState::Unsold, "reserve_not_met"));
    assert_eq!(world.stock(CUP).await, (10, 0));
    let now = world.clock.now();
    for _ in 0..10 {
        opened(&world, &asked(now)).await;
    }
    let none_left = world.shop.open_auction(tenant(), &asked(now), None).await;
    assert!(matches!(none_left, Err(CommerceError::NoFreeUnit(CUP))), "{none_left:?}");
    let page = PageRequest::new(4, None, "auc").expect("a valid page");
    let page = world.shop.storage().auctions(tenant(), Some(AuctionState::Open), &page).await.expect("a page");
    assert_eq!((page.items.len(), page.next.is_some()), (4, true));
}

/// One step of an auction's life, done by `shop`; steps are repeated until they are answered.
async fn step(shop: Arc<Shop>, number: usize, id: AuctionId, run: i64) -> Result<(), CommerceError> {
    let key = |what: &str| Idempotency::new(&format!("{what}-{run}"), what, b"").expect("a valid key");
    let bid = |who: u128, maximum: i64| (bidder(who), Money::usd(maximum));
    match number {
        0 => shop.place_bid(tenant(), id, bid(1, 900), Some(&key("first"))).await.map(drop),
        1 => shop.place_bid(tenant(), id, bid(2, 2_000), Some(&key("second"))).await.map(drop),
        3 => {
            shop.recover_pending().await?;
            let paid = shop.pay_auction(tenant(), id, &payment(2), Some(&key("paid"))).await?;
            assert_eq!(paid.value.state, CheckoutState::Completed);
            Ok(())
        }
        _ => shop.move_auctions_on().await.map(drop),
    }
}

pub async fn wherever_a_process_dies_an_auction_is_bid_on_paid_and_told_of_once(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    for run in 1.. {
        assert!(run < 200, "there are fewer write points");
        world.shop.set_stock(tenant(), CUP, 1, None).await.expect("one cup is there");
        let id = opened(&world, &asked(world.clock.now())).await;
        points.end_at(run);
        for number in 0..5 {
            if number == 2 {
                world.clock.advance(HOUR_MICROS);
            }
            let lived = tokio::select! {
                done = step(mortal.clone(), number, id, run) => { done.expect("it is done"); true }
                () = points.ended() => false,
            };
            if !lived {
                points.disarm();
                world.clock.advance(RECOVERY_AFTER_MICROS + 1);
                step(world.shop.clone(), number, id, run).await.expect("a successor does it");
            }
        }
        let left = points.disarm();
        world.clock.advance(AUCTION_LOOK_MICROS);
        world.shop.move_auctions_on().await.expect("auctions move on");
        let auction = read(&world, id).await;
        assert_eq!((auction.state, auction.standing.bids), (AuctionState::Sold, 2), "run {run}");
        assert_eq!(world.stock(CUP).await, (0, 0), "run {run}");
        assert_eq!(stored_bids(&world, id).await.len(), 2, "run {run}");
        let kinds = [
            "auction_opened",
            "auction_bid_placed",
            "auction_bid_placed",
            "auction_moved",
            "auction_moved",
            "auction_moved",
        ];
        assert_eq!(told(&world, id).await, kinds, "run {run}");
        assert_eq!(world.orders().await.len() as i64, run.min(100), "one order for each run");
        if left > 0 {
            assert!(run > 30, "a life has more write points than {run}");
            return;
        }
    }
}
