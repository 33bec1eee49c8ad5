//! What commerce promises about saved searches and price alerts, one function each; `main` runs each on both databases.

use std::collections::BTreeSet;

use dhow_commerce::*;
use dhow_events::facts::{PriceAlertTriggered, SavedSearchMatched};
use dhow_events::*;
use futures::future::join_all;
use sqlx::{AnyConnection, Connection};

use crate::world::*;

fn input(buyer: BuyerId, q: &str) -> SavedSearchInput {
    SavedSearchInput { buyer, name: String::new(), q: q.to_owned(), filters: SavedFilters::default() }
}

async fn saved(world: &World, buyer: u128) -> SavedSearch {
    let saved = world.shop.save_search(tenant(), &input(BuyerId::from_u128(buyer), "pan"), None).await;
    saved.expect("it is saved").value
}

async fn alert(world: &World, buyer: u128, below: Money) -> PriceAlert {
    let input = PriceAlertInput { buyer: BuyerId::from_u128(buyer), product: CUP, below };
    world.shop.make_price_alert(tenant(), &input, None).await.expect("it is made").value
}

fn matched(search: &SavedSearch, product: u128) -> Notice {
    Notice::Matched(SavedSearchMatched {
        buyer: search.input.buyer,
        search: search.id,
        product: ProductId::from_u128(product),
        title: "Pan".to_owned(),
        price: Money::usd(1),
        price_usd_minor: 1,
    })
}

fn fell(alert: &PriceAlert) -> Notice {
    Notice::Fell(PriceAlertTriggered {
        buyer: alert.input.buyer,
        alert: alert.id,
        product: alert.input.product,
        below: alert.input.below,
        price: Money::usd(1),
        price_usd_minor: 1,
    })
}

pub async fn a_notice_that_many_processes_give_at_once_is_told_once(world: World) {
    let (pans, pots) = (saved(&world, 1).await, saved(&world, 2).await);
    let waiting = alert(&world, 1, Money::new(1_000, Currency::EUR)).await;
    assert_eq!(waiting.below_usd_minor, 1_111);
    let other = world.another_process(2).await;
    let mut notices: Vec<Notice> =
        (0..8).flat_map(|number| [matched(&pans, number), matched(&pots, 7 - number)]).collect();
    notices.extend([fell(&waiting), matched(&pans, 3), fell(&waiting)]);
    let backwards: Vec<Notice> = notices.iter().rev().cloned().collect();
    let told = join_all((0..16).map(|number| {
        let shop = if number % 2 == 0 { &world.shop } else { &other };
        shop.tell_notices(tenant(), if number % 3 == 0 { backwards.clone() } else { notices.clone() })
    }));
    let told: usize = told.await.into_iter().map(|told| told.expect("it is told")).sum();
    assert_eq!(told, 17);
    let outbox = world.outbox().await;
    let about: BTreeSet<(String, String)> = outbox
        .iter()
        .filter_map(|record| match &record.event.fact {
            Fact::SavedSearchMatched(told) => Some((record.aggregate.clone(), told.product.to_string())),
            Fact::PriceAlertTriggered(told) => Some((record.aggregate.clone(), told.product.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(about.len(), 17, "{about:?}");
    let read = world.shop.saved_search(tenant(), pans.id).await.expect("it is there");
    assert_eq!(read, SavedSearch { product_count: 8, ..pans });
    let read = world.shop.price_alert(tenant(), waiting.id).await.expect("it is there");
    assert_eq!(read, PriceAlert { triggered_at: Some(world.clock.now()), ..waiting.clone() });
    let waits = world.shop.storage().waiting_price_alerts(tenant(), &[CUP, POT]).await.expect("they are read");
    assert_eq!(waits, []);
}

pub async fn what_left_a_search_is_no_news_and_one_that_is_gone_or_full_tells_nothing(world: World) {
    let (search, gone) = (saved(&world, 1).await, saved(&world, 1).await);
    let tell = async |notices: Vec<Notice>| world.shop.tell_notices(tenant(), notices).await.expect("it is told");
    assert_eq!(tell(vec![Notice::Left(search.id, CUP)]).await, 0);
    assert_eq!(tell(vec![matched(&search, CUP.as_u128())]).await, 0, "it comes back");
    let back_and_forth =
        vec![matched(&search, 1), Notice::Left(search.id, ProductId::from_u128(1)), matched(&search, 1)];
    assert_eq!(tell(back_and_forth).await, 1);
    world.shop.delete_saved_search(tenant(), gone.id).await.expect("it is removed");
    assert_eq!(tell(vec![matched(&gone, 1), Notice::Left(gone.id, CUP)]).await, 0);

    let mut connection = AnyConnection::connect(&world.url).await.expect("the database opens");
    sqlx::query("UPDATE saved_searches SET product_count = $1")
        .bind(SAVED_SEARCH_PRODUCTS_MAX - 1)
        .execute(&mut connection)
        .await
        .expect("it is written");
    assert_eq!(tell(vec![matched(&search, 2), matched(&search, 3)]).await, 1, "the last that it tells of");
    let alert = alert(&world, 1, Money::usd(5)).await;
    world.shop.delete_price_alert(tenant(), alert.id).await.expect("it is removed");
    assert_eq!(tell(vec![fell(&alert)]).await, 0);
    assert!(world.shop.delete_price_alert(tenant(), alert.id).await.is_err());
    let foreign: TenantId = "ten_other".parse().expect("a tenant");
    assert!(world.shop.saved_search(foreign, search.id).await.is_err());
    assert!(world.shop.delete_saved_search(foreign, search.id).await.is_err());
}

pub async fn searches_that_are_saved_at_once_stay_within_a_buyers_bound(world: World) {
    let buyer = BuyerId::from_u128(1);
    let made = join_all(
        (0..SAVED_SEARCHES_PER_BUYER_MAX + 5)
            .map(async |number| world.shop.save_search(tenant(), &input(buyer, &format!("pan {number}")), None).await),
    )
    .await;
    let refused = made.iter().filter(|made| matches!(made, Err(CommerceError::WatchBound(_)))).count();
    assert_eq!((made.iter().filter(|made| made.is_ok()).count(), refused), (50, 5));
    let storage = world.shop.storage();
    let versions = storage.watch_versions().await.expect("they are read");
    assert_eq!(versions, [(tenant(), 50)]);
    let all = storage.all_saved_searches(tenant()).await.expect("they are read");
    assert_eq!(all.len(), 50);
    let page = PageRequest::new(30, None, "ssr").expect("a valid page");
    let page = storage.saved_searches(tenant(), Some(buyer), &page).await.expect("they are read");
    assert_eq!((page.items.len(), page.next.is_some()), (30, true));
    saved(&world, 2).await;
}

pub async fn what_an_erased_person_waits_for_is_exported_before_and_gone_after(world: World) {
    let (person, other) = (saved(&world, 7).await, saved(&world, 70).await);
    alert(&world, 7, Money::usd(5)).await;
    let kept = alert(&world, 70, Money::usd(5)).await;
    world.shop.tell_notices(tenant(), vec![matched(&person, 1), matched(&other, 1)]).await.expect("it is told");
    let storage = world.shop.storage();
    let (mut exported, mut from) = (Vec::new(), None);
    loop {
        let part = storage.person_rows(tenant(), person.input.buyer, from.as_ref(), 10).await.expect("it is read");
        exported.extend(part.rows.iter().map(|_| part.table.clone()));
        from = part.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(exported, ["saved_searches", "saved_search_products", "price_alerts"]);
    let record = ErasureRecord {
        tenant: tenant(),
        id: ErasureId::from_u128(1),
        mark: Erasure::mark(tenant(), person.input.buyer),
        pseudonym: BuyerId::from_u128(0xabcd),
        person: Some(person.input.buyer),
        things: PersonThings::default(),
        counts: ErasureCounts::default(),
        asked_at: world.clock.now(),
        done_at: None,
    };
    let erasure = record.erasure().expect("it is to be done");
    assert!(storage.erase_in_database(&erasure).await.expect("it is done") >= 3);
    assert_eq!(storage.erase_in_database(&erasure).await.expect("it is done"), 0);
    let left = storage.all_saved_searches(tenant()).await.expect("they are read");
    assert_eq!(left, [SavedSearch { product_count: 1, ..other }]);
    assert_eq!(storage.waiting_price_alerts(tenant(), &[CUP]).await.expect("they are read"), [kept]);
    assert_eq!(storage.watch_versions().await.expect("they are read"), [(tenant(), 5)]);
}
