//! The promises about sellers' subscriptions, one function each; `main` runs each on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_billing::{Cycle, End, Terms};
use dhow_commerce::*;
use dhow_commission::Plan;
use dhow_events::*;
use dhow_store::WritePoints;
use futures::future::join_all;

use crate::money::{books, posted};
use crate::world::*;

const SELLER: SellerId = SellerId::from_u128(1);

fn terms(plan: Plan, users: u32) -> Terms {
    let add_ons = if users == 0 { BTreeMap::new() } else { BTreeMap::from([("user".to_owned(), users)]) };
    Terms { plan, cycle: Cycle::Month, add_ons }
}

async fn subscribe(shop: &Shop, terms: Terms, expected: ExpectedVersion) -> Result<SubscriptionStep, CommerceError> {
    shop.subscribe(tenant(), SELLER, terms, expected, false).await
}

async fn invoices(world: &World) -> Vec<SellerInvoice> {
    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let part = world.shop.storage().invoices(tenant(), SELLER, before, 7).await.expect("they are read");
        let Some(last) = part.last() else { return read };
        before = Some(last.number);
        read.extend(part);
    }
}

/// What the books say of the seller and of fees; every batch of an invoice is there once.
async fn booked(world: &World) -> (i128, i128) {
    let (journal, balances) = books(world, tenant()).await;
    let made = invoices(world).await;
    let references: Vec<String> = journal
        .iter()
        .filter(|batch| batch.purpose == "subscription invoice")
        .map(|batch| batch.reference.clone())
        .collect();
    let mut expected: Vec<String> = made
        .iter()
        .filter(|made| made.invoice.total_minor != 0)
        .map(|made| format!("{SELLER}/{}", made.number))
        .collect();
    expected.reverse();
    assert_eq!(references, expected);
    let total: i64 = made.iter().map(|made| made.invoice.total_minor).sum();
    assert_eq!(posted(&balances, "fees"), i128::from(total));
    (posted(&balances, &format!("seller:{SELLER}")), i128::from(total))
}

pub async fn a_subscription_is_billed_renewed_once_and_ended_and_its_plan_makes_the_commission(world: World) {
    let exactly = ExpectedVersion::Exactly;
    let tried =
        world.shop.subscribe(tenant(), SELLER, terms(Plan::Professional, 1), ExpectedVersion::Absent, true).await;
    assert_eq!(tried.expect("it is tried").invoices[0].invoice.total_minor, 21_900);
    let none = world.shop.find_subscription(tenant(), SELLER).await;
    assert!(matches!(none, Err(CommerceError::NotFound(_))), "what is tried is not kept: {none:?}");
    let begun = subscribe(&world.shop, terms(Plan::Professional, 1), ExpectedVersion::Absent).await.expect("it begins");
    assert_eq!((begun.subscription.version, begun.invoices.len(), booked(&world).await), (1, 1, (-21_900, 21_900)));
    let again = subscribe(&world.shop, terms(Plan::Professional, 1), exactly(1)).await.expect("it stays");
    assert_eq!((again.subscription, again.invoices), (begun.subscription, Vec::new()), "the same terms change nothing");
    let stale = subscribe(&world.shop, terms(Plan::Free, 0), ExpectedVersion::Absent).await;
    assert!(matches!(stale, Err(CommerceError::StaleVersion { .. })), "{stale:?}");
    let terms_of = world.shop.storage().seller_terms(tenant(), SELLER).await.expect("they are read");
    assert_eq!(terms_of.plan, Plan::Professional);
    let other = SellerTerms { plan: Plan::Enterprise, contract_ppm: None };
    let refused = world.shop.set_seller_terms(tenant(), SELLER, other).await;
    assert!(matches!(refused, Err(CommerceError::BillingRefused(_))), "{refused:?}");
    let contract = SellerTerms { plan: Plan::Professional, contract_ppm: Some(20_000) };
    world.shop.set_seller_terms(tenant(), SELLER, contract).await.expect("a contract may be agreed");
    // Half of the 31 days is left: two more users at 20.00 cost half of it.
    world.clock.advance(31 * DAY_MICROS / 2);
    let changed = subscribe(&world.shop, terms(Plan::Professional, 3), exactly(1)).await.expect("it changes");
    assert_eq!(changed.invoices[0].invoice.total_minor, 2_000);
    let call = || ("api_calls", 10_001);
    let usage = key("usage-1", "");
    for replayed in [false, true] {
        let counted = world.shop.count_usage(tenant(), SELLER, call(), Some(&usage)).await.expect("it is counted");
        assert_eq!((counted.value.subscription.used["api_calls"], counted.replayed), (10_001, replayed));
    }
    let wrong = world.shop.count_usage(tenant(), SELLER, ("steps", 1), None).await;
    assert!(matches!(wrong, Err(CommerceError::Invalid(_))), "{wrong:?}");
    // Two and a half months later two servers renew it at once: March's usage, then April, May and June, each once.
    world.clock.advance(31 * DAY_MICROS / 2 + 62 * DAY_MICROS);
    let other = world.another_process(2).await;
    let (one, two) = tokio::join!(world.shop.recover_pending(), other.recover_pending());
    assert_eq!(one.expect("it is renewed").renewed_count + two.expect("it is renewed").renewed_count, 1);
    let totals: Vec<i64> = invoices(&world).await.iter().rev().map(|made| made.invoice.total_minor).collect();
    assert_eq!(totals, [21_900, 2_000, 10_000 + 25_900, 25_900, 25_900]);
    let (seller, total) = booked(&world).await;
    assert_eq!((seller, total), (-111_600, 111_600));
    let (kept, _) = world.shop.find_subscription(tenant(), SELLER).await.expect("it is there");
    let ended = world.shop.end_subscription(tenant(), SELLER, End::Now, exactly(kept.version)).await.expect("it ends");
    let credit = ended.invoices[0].invoice.total_minor;
    assert!((-25_900..-24_000).contains(&credit), "nearly a month goes back: {credit}");
    assert_eq!(booked(&world).await.1, 111_600 + i128::from(credit));
    let terms_of = world.shop.storage().seller_terms(tenant(), SELLER).await.expect("they are read");
    assert_eq!(terms_of, SellerTerms { plan: Plan::Free, contract_ppm: Some(20_000) });
    world.clock.advance(90 * DAY_MICROS);
    assert_eq!(world.shop.recover_pending().await.expect("there is nothing to do").renewed_count, 0);
    let version = ended.subscription.version;
    let anew = subscribe(&world.shop, terms(Plan::Free, 0), exactly(version)).await.expect("it begins anew");
    assert_eq!((anew.subscription.subscription.ended_at, anew.invoices.len()), (None, 0));
    let foreign = world.shop.find_subscription(TenantId::new("ten_other").expect("a valid tenant"), SELLER).await;
    assert!(matches!(foreign, Err(CommerceError::NotFound(_))), "{foreign:?}");
}

pub async fn a_free_plan_takes_twenty_orders_a_month_and_ten_products_however_many_ask_at_once(world: World) {
    world.shop.import_products(tenant(), &[imported(CUP, 1, 500, 1_000)]).await.expect("there are enough");
    subscribe(&world.shop, terms(Plan::Free, 0), ExpectedVersion::Absent).await.expect("it begins");
    let shop = world.patient_process().await;
    let buying = (0..30).map(|_| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await })
    });
    let (mut bought, mut refused) = (0, 0);
    for answer in join_all(buying).await {
        match answer.expect("no panic") {
            Ok(answered) if answered.value.state == CheckoutState::Completed => bought += 1,
            Err(CommerceError::PlanLimit { most: 20, seller: SELLER, .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((bought, refused, world.orders().await.len()), (20, 10, 20));
    assert_eq!(world.stock(CUP).await, (980, 0), "what was refused holds no stock");
    let (_, usage) = world.shop.find_subscription(tenant(), SELLER).await.expect("it is there");
    assert_eq!((usage.orders_this_month, usage.orders_per_month_max), (20, Some(20)));
    let other = shop.submit_checkout(tenant(), &cart(&[(POT, 1)]), None).await.expect("another seller sells on");
    assert_eq!(other.value.state, CheckoutState::Completed);

    let listing = (0..15).map(|number| {
        let shop = shop.clone();
        let input = ProductInput { reference: format!("thing {number}"), ..input(1, 500) };
        tokio::spawn(async move { shop.create_product(tenant(), &input, None).await })
    });
    let listed = join_all(listing).await.into_iter().map(|answer| answer.expect("no panic"));
    let (listed, refused): (Vec<_>, Vec<_>) = listed.partition(Result::is_ok);
    assert_eq!((listed.len(), refused.len()), (9, 6), "nine beside the cup");
    assert!(refused.iter().all(|one| matches!(one, Err(CommerceError::PlanLimit { most: 10, .. }))), "{refused:?}");
    let first = listed[0].as_ref().expect("it is listed").value.clone();
    let dearer = ProductInput { price: Money::usd(900), ..first.input.clone() };
    let save = |input: ProductInput| {
        let shop = shop.clone();
        async move { shop.save_product(tenant(), first.id, &input, ExpectedVersion::Any, None).await }
    };
    save(dearer.clone()).await.expect("what is on offer may change");
    shop.delist_product(tenant(), first.id, ExpectedVersion::Any).await.expect("it is taken off offer");
    shop.create_product(tenant(), &ProductInput { reference: "new".to_owned(), ..input(1, 500) }, None)
        .await
        .expect("there is room for another");
    let back = save(dearer).await;
    assert!(matches!(back, Err(CommerceError::PlanLimit { .. })), "{back:?}");
    let file = "seller,reference,title,category,price_amount,price_currency,region,weight_grams\n";
    let file = format!("{file}{SELLER},jug,Jug,home,1200,USD,GB,900\n");
    let whole = shop.import_product_file(tenant(), file.as_bytes(), false, None).await;
    assert!(matches!(whole, Err(CommerceError::PlanLimit { .. })), "{whole:?}");
    let (_, usage) = world.shop.find_subscription(tenant(), SELLER).await.expect("it is there");
    assert_eq!((usage.products, usage.products_max), (10, Some(10)));

    // April is another month, and a larger plan has no limit.
    world.clock.advance(31 * DAY_MICROS);
    shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("a new month");
    subscribe(&shop, terms(Plan::Enterprise, 0), ExpectedVersion::Any).await.expect("it changes");
    save(input(1, 700)).await.expect("any number is allowed");
}

/// One step of a subscription's life; steps are repeated until they are answered.
async fn life(world: &World, shop: &Shop, number: usize) -> Result<(), CommerceError> {
    let expected = ExpectedVersion::Any;
    match number {
        0 => subscribe(shop, terms(Plan::Free, 0), expected).await.map(drop),
        1 => subscribe(shop, terms(Plan::Professional, 2), expected).await.map(drop),
        2 => {
            let usage = key(&format!("usage-{}", world.clock.now().micros()), "");
            shop.count_usage(tenant(), SELLER, ("api_calls", 25_000), Some(&usage)).await.map(drop)
        }
        3 => shop.recover_pending().await.map(drop),
        _ => match shop.end_subscription(tenant(), SELLER, End::Now, expected).await {
            // Whoever died had ended it already.
            Err(CommerceError::BillingRefused(_)) => Ok(()),
            other => other.map(drop),
        },
    }
}

pub async fn wherever_a_process_dies_each_invoice_is_made_and_booked_once(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    let mut billed = 0;
    for run in 1.. {
        assert!(run < 100, "there are fewer write points");
        points.end_at(run);
        for number in 0..5 {
            let lived = tokio::select! {
                done = life(&world, &mortal, number) => { done.expect("it is done"); true },
                () = points.ended() => false,
            };
            if !lived {
                points.disarm();
                life(&world, &world.shop, number).await.expect("a successor does it");
            }
            if number == 2 {
                let (kept, _) = world.shop.find_subscription(tenant(), SELLER).await.expect("it is there");
                assert_eq!(kept.subscription.used["api_calls"], 25_000, "run {run}");
                let left = kept.subscription.period.end.micros_since(world.clock.now());
                world.clock.advance(left);
            }
        }
        let left = points.disarm();
        // A whole month of 239.00 and three blocks; the month after it was ended as it began.
        billed += 23_900 + 15_000;
        assert_eq!(booked(&world).await.1, billed, "run {run}");
        if left > 0 {
            assert!(run > 20, "a life has more write points than {run}");
            return;
        }
    }
}
