//! Persons over HTTP: what is held of one is exported; one who is erased is found nowhere, before and after all is built anew from the log.

use std::collections::BTreeSet;

use dhow_events::*;
use serde_json::{Value, json};

use crate::trained;
use crate::world::{World, seller};

/// Ids whose bits and texts stand nowhere by chance.
fn bits(kind: u128, number: u128) -> u128 {
    0x0199_5ac9_774b_7bcc_8e00_0000_0000_0000 | kind << 32 | number
}

fn person(number: u128) -> BuyerId {
    BuyerId::from_u128(bits(1, number))
}

fn session(number: u128) -> SessionId {
    SessionId::from_u128(bits(2, number))
}

fn device(number: u128) -> DeviceId {
    DeviceId::from_u128(bits(3, number))
}

fn region() -> Region {
    Region::new("GB").unwrap()
}

async fn tell(world: &World, number: u128, fact: impl Into<Fact>) {
    let (id, event_time) = (EventId::from_u128(bits(9, number)), world.engine.clock().now());
    let event = Event { id, tenant: TenantId::default(), event_time, fact: fact.into() };
    let told = world.post("/v1/events", &cloudevents::to_json(&event)).await;
    assert_eq!(told.status, 202, "{told:?}");
}

/// Person `who` comes, looks around, searches, and buys two cups, which are sent.
async fn trades(world: &World, who: u128, cup: &str) -> Value {
    let product: ProductId = cup.parse().unwrap();
    for (number, known) in [(0, false), (1, true), (2, true)] {
        let buyer = known.then(|| person(who));
        let (session, device) = (session(who), device(who));
        let viewed = facts::ProductViewed { session, buyer, product, device, region: region(), decision: None };
        tell(world, who * 100 + number, viewed).await;
    }
    let query = format!("teapot for the birthday of {who}");
    let searched = facts::SearchPerformed { session: session(who), buyer: None, query, result_count: 1 };
    tell(world, who * 100 + 3, searched).await;
    let body = json!({
        "buyer": person(who), "session": session(who), "device": device(who),
        "card": CardId::from_u128(bits(4, who)), "address": AddressId::from_u128(bits(5, who)),
        "region": "GB", "delivery_region": "GB", "payment_method": "card",
        "lines": [{ "product": cup, "quantity": 2 }],
    });
    let key = format!("buy-{who}");
    let bought = world.ask("POST", "/v1/checkouts").header("idempotency-key", &key).json(&body).send().await;
    assert_eq!(bought.status, 201, "{bought:?}");
    let checkout = bought.json();
    let payment = checkout["payment"]["id"].as_str().unwrap();
    assert_eq!(world.post(&format!("/v1/payments/{payment}/capture"), &json!({})).await.status, 201);
    let sent = facts::ShipmentDispatched {
        order: checkout["orders"][0]["id"].as_str().unwrap().parse().unwrap(),
        shipment: ShipmentId::from_u128(bits(6, who)),
        seller: seller(),
        carrier: CarrierId::from_u128(bits(7, 1)),
        origin: region(),
        destination: region(),
        latitude: 51.507_222,
        longitude: -0.127_5 - who as f64,
        weight_grams: 600,
        promised_at: world.engine.clock().now(),
    };
    tell(world, who * 100 + 4, sent).await;
    checkout
}

/// Everything that the platform tells whom it does not ask about one person, as text.
async fn told(world: &World) -> String {
    let mut text = String::new();
    for path in ["/v1/orders", "/v1/decisions", "/v1/returns", "/v1/transfers", "/v1/fraud/cases", "/v1/audit-log"] {
        text += &world.get(format!("{path}?limit=100")).await.text;
    }
    let mut next = String::new();
    loop {
        let page = world.get(format!("/v1/events?limit=100{next}")).await;
        text += &page.text;
        if page.json()["more"] == json!(false) {
            break;
        }
        next = format!("&after={}", page.json()["next"].as_str().unwrap());
    }
    for kind in FactKind::ALL {
        let query = format!("SELECT * FROM {} ORDER BY event_time, event_id", kind.name());
        text += &world.post("/v1/sql", &json!({ "query": query })).await.text;
    }
    text
}

/// The kinds of what is exported of a person, and all of it.
async fn exported(world: &World, who: BuyerId) -> (BTreeSet<String>, Vec<Value>) {
    let (mut kinds, mut items, mut next) = (BTreeSet::new(), Vec::new(), String::new());
    loop {
        let page = world.get(format!("/v1/persons/{who}/export?limit=3{next}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        for item in page.json()["items"].as_array().unwrap() {
            kinds.insert(item["kind"].as_str().unwrap().to_owned());
            items.push(item.clone());
        }
        match page.json()["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return (kinds, items),
        }
    }
}

/// Waits until the worker has applied everything, and makes it durable.
async fn settled(world: &World) {
    let mut quiet = 0;
    for _ in 0..1_000 {
        let waiting = dhow_commerce::Outbox::outbox_waiting(world.engine.store()).await.unwrap();
        quiet = if waiting == 0 && world.engine.lag().unwrap().1 == 0 { quiet + 1 } else { 0 };
        if quiet == 3 {
            return world.engine.checkpoint().unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the worker does not come to the end of the log");
}

/// The features of a buyer, without the time that they are as of.
async fn features(world: &World, who: &str) -> Value {
    let mut read = world.get(format!("/v1/features/{who}")).await.json();
    for view in read["views"].as_array_mut().into_iter().flatten() {
        view["at"] = Value::Null;
    }
    read
}

fn is_nowhere(text: &str, checkout: &Value) {
    let things = [
        person(1).to_string(),
        session(1).to_string(),
        device(1).to_string(),
        CardId::from_u128(bits(4, 1)).to_string(),
        AddressId::from_u128(bits(5, 1)).to_string(),
        "birthday of 1".to_owned(),
        "-1.1275".to_owned(),
    ];
    for thing in things {
        assert!(!text.contains(&thing), "{thing} is in {text}");
    }
    assert!(text.contains(checkout["orders"][0]["id"].as_str().unwrap()), "the order stays");
    assert!(text.contains("birthday of 2") && text.contains("-2.1275") && text.contains(&person(2).to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_found_nowhere_also_after_all_is_built_anew_from_the_log() {
    let world = World::new().await;
    trained::fraud(&world);
    let cup = world.product("Cup", 500, 10).await;
    let (own, others) = (trades(&world, 1, &cup).await, trades(&world, 2, &cup).await);
    settled(&world).await;
    let before = told(&world).await;
    assert!(before.contains(&person(1).to_string()) && before.contains("birthday of 1") && before.contains("-1.1275"));
    let (kinds, items) = exported(&world, person(1)).await;
    let expected = ["checkouts", "decisions", "events", "features", "order_lines", "orders", "payments", "transfers"];
    assert_eq!(kinds, expected.map(str::to_owned).into());
    assert!(!format!("{items:?}").contains(&person(2).to_string()), "nothing of others");
    let books = world.get("/v1/ledger/trial-balance").await.text;
    let stock = world.get(format!("/v1/products/{cup}/stock")).await.text;
    let held = features(&world, &person(1).to_string()).await;
    let of_others = features(&world, &person(2).to_string()).await;

    let erase = || world.ask("POST", format!("/v1/persons/{}/erase", person(1))).send();
    let asked = erase().await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let place = asked.header("location").to_owned();
    let done = world.until(&place, |erasure| erasure["state"] == json!("done")).await;
    assert!(done["log_records"].as_u64() > Some(5) && done["lake_files"].as_u64() > Some(3), "{done}");
    let again = erase().await;
    assert_eq!((again.status, again.json()), (200, done));
    settled(&world).await;
    let check = async |world: &World| {
        is_nowhere(&told(world).await, &own);
        let (kinds, items) = exported(world, person(1)).await;
        assert_eq!(kinds, ["features".to_owned()].into(), "{items:?}");
        assert_eq!(world.get("/v1/ledger/trial-balance").await.text, books);
        assert_eq!(world.get(format!("/v1/products/{cup}/stock")).await.text, stock);
        let order = world.get(format!("/v1/orders/{}", own["orders"][0]["id"].as_str().unwrap())).await.json();
        assert_eq!(order["total"], own["orders"][0]["total"]);
        let pseudonym = order["buyer"].as_str().unwrap().to_owned();
        assert_eq!(features(world, &pseudonym).await["views"], held["views"], "the sums of the facts stay");
        assert_eq!(features(world, &person(2).to_string()).await, of_others);
        pseudonym
    };
    let pseudonym = check(&world).await;

    // What comes behind is the pseudonym's, or is refused.
    let late = facts::AccountSignedIn { buyer: person(1), device: device(1), region: region(), succeeded: true };
    let body = json!({ "buyer": person(1), "region": "GB", "delivery_region": "GB", "payment_method": "wallet",
        "lines": [{ "product": cup, "quantity": 1 }] });
    let refused = world.post("/v1/checkouts", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "person_erased"));

    let world = world.restarted(|folder| {
        std::fs::remove_dir_all(folder.join("lake")).unwrap();
        std::fs::remove_dir_all(folder.join("online.snapshot")).unwrap();
        for snapshot in ["links.snapshot", "deliveries.snapshot"].map(|name| folder.join(name)) {
            if snapshot.exists() {
                std::fs::remove_file(snapshot).unwrap();
            }
        }
    });
    let world = world.await;
    settled(&world).await;
    assert_eq!(check(&world).await, pseudonym);
    tell(&world, 500, late).await;
    settled(&world).await;
    let text = told(&world).await;
    is_nowhere(&text, &own);
    assert!(text.contains(&EventId::from_u128(bits(9, 500)).to_string()), "the event is there");
    assert_eq!(exported(&world, person(2)).await.0, kinds_of(&others));
}

/// What is held of somebody who bought and was not erased.
fn kinds_of(checkout: &Value) -> BTreeSet<String> {
    assert_eq!(checkout["state"], json!("completed"));
    let kinds = ["checkouts", "decisions", "events", "features", "order_lines", "orders", "payments", "transfers"];
    kinds.map(str::to_owned).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_of_one_tenant_and_its_cursor_is_its_own() {
    let world = World::new().await;
    let (_, other) = world.key("ten_other", &[dhow_commerce::Permission::PersonsErase]).await;
    let (_, own) = world
        .key("ten_default", &[dhow_commerce::Permission::PersonsErase, dhow_commerce::Permission::PersonsExport])
        .await;
    let path = format!("/v1/persons/{}", person(1));
    let asked = world.ask("POST", format!("{path}/erase")).key(&own).send().await;
    let place = asked.header("location").to_owned();
    assert_eq!(world.ask("GET", &place).key(&own).send().await.status, 200);
    assert_eq!(world.ask("GET", &place).key(&other).send().await.status, 404);
    let foreign = world.ask("POST", format!("{path}/erase")).key(&other).send().await;
    assert_ne!(foreign.header("location"), place, "the same id is another person there");
    for cursor in ["zz", "6162", "", "726f77732c6170695f6b657973", "6576656e74732c39392c30"] {
        let wrong = world.ask("GET", format!("{path}/export?cursor={cursor}")).key(&own).send().await;
        assert_eq!((wrong.status, wrong.pointers()), (400, vec!["/cursor".to_owned()]), "{cursor}");
    }
    let wrong = world.ask("GET", format!("{path}/export?limit=0")).key(&own).send().await;
    assert_eq!((wrong.status, wrong.pointers()), (400, vec!["/limit".to_owned()]));
}
