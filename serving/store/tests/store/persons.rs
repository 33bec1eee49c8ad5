//! What a database holds of a person: exported whole, and after the erasure nowhere, while all else is as it was.

use std::collections::BTreeMap;

use dhow_commerce::*;
use dhow_events::*;
use sqlx::{AnyConnection, AssertSqlSafe, Column, Connection, Row};

use crate::money::{bought, change};
use crate::world::*;

const PERSON: BuyerId = BuyerId::from_u128(7);
const OTHER: BuyerId = BuyerId::from_u128(70);

/// A purchase, a refusal and a case for review of buyer 7 and of another; buyer 7 sent something back for store credit.
async fn traded(world: &World) {
    let (id, payment) = bought(world, &[(CUP, 2)]).await;
    let capture = change(TransferKind::Capture, None);
    world.shop.change_payment(tenant(), payment, &capture, None).await.expect("it is captured");
    let order =
        world.shop.storage().checkout(tenant(), id).await.expect("it is read").expect("it is there").orders[0].id;
    let shipment = crate::shipments::asked(&[(CUP, 1)], 500);
    world.shop.ship(tenant(), order, &shipment, None).await.expect("it is shipped");
    let lines = vec![ReturnUnits { product: CUP, quantity: 1 }];
    let (kind, opened_by, reason) = (ReturnKind::Claim, ReturnParty::Buyer, ReturnReason::NotReceived);
    let input = ReturnInput { order, kind, opened_by, reason, note: String::new(), evidence: Vec::new(), lines };
    let opened = world.shop.open_return(tenant(), &input, None).await.expect("it is opened").value;
    let (to, by) = (ReturnState::Approved, "ann".to_owned());
    let approve = ReturnChange { to, by, note: String::new(), evidence: Vec::new(), inspected: Vec::new() };
    let version = ExpectedVersion::Exactly(opened.version);
    world.shop.move_return(tenant(), opened.id, version, &approve).await.expect("it is approved");
    let credit = ReturnSettlement::CreditNote { amount: None };
    let settled = world.shop.settle_return(tenant(), opened.id, ExpectedVersion::Any, (&credit, "ann"), None).await;
    settled.expect("it is settled");
    for (price, title) in [(FRAUD_USD_MINOR, 90), (REVIEW_USD_MINOR, 91)] {
        let product = ProductId::from_u128(title);
        world.shop.import_products(tenant(), &[imported(product, 1, price, 5)]).await.expect("it is taken over");
        for buyer in [PERSON, OTHER] {
            world
                .shop
                .submit_checkout(tenant(), &of(buyer, product), Some(&key(&format!("{title}-{buyer}"), "x")))
                .await
                .expect("it is answered");
        }
    }
    world.shop.submit_checkout(tenant(), &of(OTHER, CUP), None).await.expect("it is answered");
}

fn of(buyer: BuyerId, product: ProductId) -> CheckoutRequest {
    let things = buyer.as_u128() * 1_000;
    CheckoutRequest {
        buyer,
        session: Some(SessionId::from_u128(things)),
        device: Some(DeviceId::from_u128(things + 1)),
        card: Some(CardId::from_u128(things + 2)),
        address: Some(AddressId::from_u128(things + 3)),
        ..cart(&[(product, 1)])
    }
}

/// Every row of every table but those of `erasures`, as text; events are read.
async fn dump(world: &World) -> Vec<String> {
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database opens");
    let tables = match world.url.starts_with("sqlite") {
        true => "SELECT name AS name FROM sqlite_master WHERE type = 'table'",
        false => "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables WHERE table_schema = 'public'",
    };
    let tables = sqlx::query(tables).fetch_all(&mut connection).await.expect("they are read");
    let mut dumped = Vec::new();
    for table in tables.iter().map(|row| row.get::<String, _>("name")) {
        if ["erasures", "_sqlx_migrations"].contains(&table.as_str()) {
            continue;
        }
        let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
        for row in sqlx::query(sql).fetch_all(&mut connection).await.expect("it is read") {
            let cell = |index: usize| {
                let value = if let Ok(number) = row.try_get::<Option<i64>, _>(index) {
                    format!("{number:?}")
                } else if let Ok(text) = row.try_get::<Option<String>, _>(index) {
                    format!("{text:?}")
                } else {
                    let bytes = row.get::<Vec<u8>, _>(index);
                    codec::decode(&bytes).map_or(format!("{bytes:?}"), |event| cloudevents::to_json(&event).to_string())
                };
                format!("{}={value}", row.column(index).name())
            };
            let cells: Vec<String> = (0..row.columns().len()).map(cell).collect();
            dumped.push(format!("{table}: {}", cells.join(" ")));
        }
    }
    dumped.sort();
    dumped
}

/// All that is exported of a person: the rows of each table.
async fn exported(world: &World, person: BuyerId) -> BTreeMap<String, Vec<serde_json::Value>> {
    let (mut found, mut from) = (BTreeMap::new(), None);
    loop {
        let part = world.shop.storage().person_rows(tenant(), person, from.as_ref(), 1).await.expect("it is read");
        assert!(part.rows.len() <= 1, "no more than was asked for");
        found.entry(part.table).or_insert_with(Vec::new).extend(part.rows);
        from = part.next;
        if from.is_none() {
            return found;
        }
    }
}

pub async fn all_that_is_held_of_a_person_is_exported_and_nothing_of_others(world: World) {
    traded(&world).await;
    let found = exported(&world, PERSON).await;
    let counts: Vec<(&str, usize)> = found.iter().map(|(table, rows)| (table.as_str(), rows.len())).collect();
    let expected = [
        ("auction_bids", 0),
        ("checkouts", 3),
        ("decisions", 3),
        ("disputes", 0),
        ("fraud_cases", 1),
        ("fraud_list_log", 0),
        ("order_lines", 2),
        ("orders", 2),
        ("pay_later_agreements", 0),
        ("pay_later_buyers", 0),
        ("payments", 2),
        ("price_alerts", 0),
        ("returns", 1),
        ("saved_search_products", 0),
        ("saved_searches", 0),
        ("shipments", 1),
        ("transfers", 2),
    ];
    assert_eq!(counts, expected);
    let text = format!("{found:?}");
    assert!(text.contains("7002") || text.contains(&CardId::from_u128(7_002).to_string()), "{text}");
    assert!(!text.contains(&OTHER.to_string()), "{text}");
    assert_eq!(exported(&world, OTHER).await["checkouts"].len(), 3);
    let nobody = exported(&world, BuyerId::from_u128(71)).await;
    assert!(nobody.values().all(Vec::is_empty), "{nobody:?}");
    let foreign = PersonPlace { table: "api_keys".to_owned(), after: Vec::new() };
    let refused = world.shop.storage().person_rows(tenant(), PERSON, Some(&foreign), 1).await;
    assert!(matches!(refused, Err(StorageError::Rule { .. })), "no other table is read: {refused:?}");
    let wrong = PersonPlace { table: "order_lines".to_owned(), after: vec!["x".to_owned()] };
    assert!(world.shop.storage().person_rows(tenant(), PERSON, Some(&wrong), 1).await.is_err());
}

pub async fn an_erased_person_is_in_no_row_and_every_other_word_and_number_stays(world: World) {
    traded(&world).await;
    let store = world.shop.storage();
    let before = dump(&world).await;
    let pseudonym = BuyerId::from_u128(0xabcd_ef01);
    let mut record = ErasureRecord {
        tenant: tenant(),
        id: ErasureId::from_u128(1),
        mark: Erasure::mark(tenant(), PERSON),
        pseudonym,
        person: Some(PERSON),
        things: PersonThings::default(),
        counts: ErasureCounts::default(),
        asked_at: world.clock.now(),
        done_at: None,
    };
    assert_eq!(store.ask_erasure(&record).await.expect("it is stored"), record);
    let again = ErasureRecord { id: ErasureId::from_u128(2), pseudonym: OTHER, ..record.clone() };
    assert_eq!(store.ask_erasure(&again).await.expect("it is read").id, record.id, "one of each person");
    assert_eq!(store.erasures_under_way(10).await.expect("they are read"), std::slice::from_ref(&record));

    let erasure = record.erasure().expect("it is to be done");
    // What is written meanwhile by others is not undone.
    let (changed, ()) = futures::join!(store.erase_in_database(&erasure), async {
        for _ in 0..20 {
            world.shop.set_stock(tenant(), POT, 5, None).await.expect("it is set");
        }
    });
    assert!(changed.expect("it is done") > 10);
    assert_eq!(store.erase_in_database(&erasure).await.expect("it is done"), 0, "what is done stays done");

    let things = [
        (PERSON.to_string(), pseudonym.to_string()),
        (DeviceId::from_u128(8).to_string(), DeviceId::KIND.format(erasure.id(DeviceId::KIND, 8))),
        (CardId::from_u128(9).to_string(), CardId::KIND.format(erasure.id(CardId::KIND, 9))),
    ];
    let own = of(PERSON, CUP);
    let more = [
        (own.session.expect("it has one").to_string(), SessionId::KIND.format(erasure.id(SessionId::KIND, 7_000))),
        (own.device.expect("it has one").to_string(), DeviceId::KIND.format(erasure.id(DeviceId::KIND, 7_001))),
        (own.card.expect("it has one").to_string(), CardId::KIND.format(erasure.id(CardId::KIND, 7_002))),
        (own.address.expect("it has one").to_string(), AddressId::KIND.format(erasure.id(AddressId::KIND, 7_003))),
    ];
    let replaced = |row: String| things.iter().chain(&more).fold(row, |row, (old, new)| row.replace(old, new));
    let mut expected: Vec<String> = before.into_iter().map(replaced).collect();
    expected.sort();
    let of_pot = |row: &String| row.contains(&POT.to_string());
    let after = dump(&world).await;
    let kept = |rows: &[String]| rows.iter().filter(|row| !of_pot(row)).cloned().collect::<Vec<_>>();
    for (found, expected) in kept(&after).iter().zip(kept(&expected)) {
        assert_eq!(*found, expected);
    }
    assert_eq!(kept(&after).len(), kept(&expected).len());
    assert!(after.iter().any(|row| row.starts_with("ledger_balances") && row.contains(&format!("buyer:{pseudonym}"))));

    record.done_at = Some(world.clock.now());
    store.write_erasure(&record).await.expect("it is written");
    let done = store.erasure(tenant(), record.id).await.expect("it is read").expect("it is there");
    assert_eq!((done.person, done.done_at), (None, record.done_at));
    assert!(store.erasures_under_way(10).await.expect("they are read").is_empty());
    let marks = store.erased_marks().await.expect("they are read");
    assert_eq!(marks, [(tenant(), Erasure::mark(tenant(), PERSON), pseudonym)]);
    assert!(exported(&world, PERSON).await.values().all(Vec::is_empty));
    assert_eq!(exported(&world, pseudonym).await["orders"].len(), 2);
}
