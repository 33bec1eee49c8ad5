//! Scores of payments, accounts and returns, and how far buyers and sellers are trusted, as their callers see them.

use dhow_events::*;
use dhow_registry::{Alias, Task};
use dhow_training::FraudBundle;
use serde_json::{Value, json};

use crate::fraud::{applied, decide, decision, publish, rule};
use crate::trained;
use crate::world::{World, buyer, seller};

const MINUTE_MICROS: i64 = 60_000_000;
const DAY_MICROS: i64 = 24 * 60 * MINUTE_MICROS;

fn card() -> CardId {
    CardId::from_u128(0xca)
}

fn region() -> Region {
    Region::new("GB").unwrap()
}

fn payment(cents: i64) -> Value {
    json!({
        "kind": "payment", "buyer": buyer(), "card": card(), "region": "GB",
        "amount": { "amount": cents.to_string(), "currency": "USD" },
    })
}

fn returned(cents: i64) -> Value {
    json!({ "kind": "return", "buyer": buyer(), "amount": { "amount": cents.to_string(), "currency": "USD" } })
}

fn account() -> Value {
    json!({ "kind": "account", "buyer": buyer(), "region": "GB" })
}

/// Sends facts that happened so long ago, and waits until they count.
async fn tell(world: &World, facts: Vec<(i64, Fact)>) {
    let event = |(ago, fact): (i64, Fact)| {
        let id = EventId::from_u128(world.engine.random());
        let event_time = world.clock.now() - ago;
        cloudevents::to_json(&Event { id, tenant: TenantId::default(), event_time, fact })
    };
    let events: Vec<Value> = facts.into_iter().map(event).collect();
    let told = world.post("/v1/events", &Value::from(events)).await;
    assert_eq!(told.status, 202, "{told:?}");
    applied(world).await;
}

fn tried_card(number: u128) -> Fact {
    facts::CheckoutSubmitted {
        buyer: BuyerId::from_u128(0xb00 + number),
        checkout: CheckoutId::from_u128(0xc00 + number),
        session: None,
        device: None,
        card: Some(card()),
        address: None,
        region: region(),
        delivery_region: region(),
        payment_method: "card".to_owned(),
        line_count: 1,
        quantity: 1,
        total: Money::usd(100),
        total_usd_minor: 100,
    }
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_and_a_return_are_scored_by_their_kinds_from_what_they_name_and_recorded() {
    let world = World::new().await;
    trained::fraud_with_kinds(&world);
    let quiet = world.post("/v1/fraud/scores", &payment(1_000)).await;
    let quiet = quiet.json();
    assert_eq!((&quiet["kind"], &quiet["risk"]), (&json!("payment"), &json!("card_testing")));
    assert_eq!((&quiet["action"], quiet.get("checkout")), (&json!("approve"), None), "{quiet}");
    tell(&world, (0..8).map(|number| (number as i64 * MINUTE_MICROS, tried_card(number))).collect()).await;
    world.clock.advance(1);
    let tested = world.post("/v1/fraud/scores", &payment(1_000)).await;
    let found = decision(&world, &tested).await;
    let tested = tested.json();
    assert_eq!(tested["action"], "decline", "{tested}");
    assert!(tested["probability"].as_f64() > Some(0.5) && quiet["probability"].as_f64() < Some(0.1), "{tested}");
    let reason = &tested["reasons"][0];
    assert_eq!(reason["code"], "CARD_CHECKOUTS_COUNT_1H");
    assert!(reason["text"].as_str().unwrap().len() > 20 && reason["contribution"].as_f64() > Some(0.0), "{reason}");

    let record = &found["decision"];
    assert_eq!((&record["kind"], &record["subject"]), (&json!("risk"), &json!(buyer())));
    assert_eq!((&record["request"]["kind"], &record["answer"]["risk"]), (&json!("payment"), &json!("card_testing")));
    assert!(found["case"].is_null() && record["answer"]["thresholds"].is_string(), "{record}");
    let read = |name: &str| {
        let features = record["features"].as_array().unwrap();
        features.iter().find(|feature| feature["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(read("card_checkouts_count_1h"), json!(8.0));
    for unnamed in ["address_checkouts_count_1d", "checkout_submitted_quantity", "link_ring_accounts"] {
        assert_eq!(read(unnamed), Value::Null, "{unnamed} is not the payment's");
    }

    // What was recorded gives the same score again, to the bit.
    let registry = world.engine.registry();
    let champion = registry.resolve(&TenantId::default(), Task::Fraud, Alias::Champion).unwrap();
    let open = FraudBundle::open(&registry.load(champion).unwrap().1).unwrap();
    let mut row: Vec<f64> = record["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| feature["value"].as_f64().unwrap_or(f64::NAN))
        .collect();
    let again = open.kinds.of(dhow_fraud::RiskKind::CardTesting).unwrap().model.score(&mut row, 0).unwrap();
    assert_eq!(Some(again.probability), tested["probability"].as_f64());

    let mut dear = returned(trained::DEAR_USD_MINOR * 2);
    let order = OrderId::from_u128(7);
    dear["order"] = json!(order);
    let cheap = world.post("/v1/fraud/scores", &returned(1_000)).await.json();
    let dear = world.post("/v1/fraud/scores", &dear).await;
    assert_eq!(decision(&world, &dear).await["decision"]["subject"], json!(order));
    assert_eq!((&cheap["action"], &dear.json()["action"]), (&json!("approve"), &json!("decline")));
    assert_eq!(dear.json()["risk"], "return_abuse");

    world.engine.checkpoint().unwrap();
    applied(&world).await;
    world.engine.checkpoint().unwrap();
    let query = json!({ "query": "SELECT subject, count(*) AS n FROM risk_scored GROUP BY subject ORDER BY subject" });
    assert_eq!(world.post("/v1/sql", &query).await.json()["rows"], json!([["payment", 2], ["return", 2]]));
    // Neither the health of the desk nor a backtest takes them for checkouts.
    assert_eq!(world.get("/v1/fraud/health?weeks=1").await.json()["weeks"][0]["decisions"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_a_score_and_fields_that_are_missing_or_wrong_have_defined_answers() {
    let world = World::new().await;
    let none = world.post("/v1/fraud/scores", &payment(1_000)).await;
    assert_eq!((none.status, none.code().as_str()), (503, "no_model"));
    trained::fraud(&world);
    let before = world.post("/v1/fraud/scores", &payment(1_000)).await;
    assert_eq!((before.status, before.code().as_str()), (503, "no_model"));
    assert!(before.text.contains("card testing") && before.text.contains("before kinds of fraud"), "{before:?}");
    trained::fraud_with_kinds(&world);
    let unlearned = world.post("/v1/fraud/scores", &account()).await;
    assert_eq!((unlearned.status, unlearned.code().as_str()), (503, "no_model"));
    assert!(unlearned.text.contains("account takeover: 3 labels are too few"), "{unlearned:?}");

    let with = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    let without = |mut body: Value, field: &str| {
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, pointer) in [
        (with(payment(1), "kind", json!("parcel")), "/kind"),
        (without(payment(1), "card"), "/card"),
        (without(payment(1), "region"), "/region"),
        (without(account(), "buyer"), "/buyer"),
        (without(returned(1), "amount"), "/amount"),
        (without(payment(1), "kind"), "/amount"),
        (with(account(), "card", json!(card())), "/card"),
        (with(returned(1), "device", json!("dev_1")), "/device"),
        (with(payment(1), "region", json!("378282246310005")), "/region"),
        (with(returned(1), "amount", json!({ "amount": "-1", "currency": "USD" })), "/amount/amount"),
        (with(payment(1), "amount", json!({ "amount": "1", "currency": "CHF" })), "/amount/currency"),
        (with(payment(1), "amount_usd_minor", json!(-1)), "/amount_usd_minor"),
    ] {
        let refused = world.post("/v1/fraud/scores", &body).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{body}: {refused:?}");
    }
    assert_eq!(world.get("/v1/decisions?kind=risk").await.json()["items"], json!([]), "nothing of that is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_count_for_payments_and_rules_about_checkouts_do_not() {
    let world = World::new().await;
    trained::fraud_with_kinds(&world);
    publish(&world, json!([rule("all", "score >= 0.0", decide("review"))])).await;
    assert_eq!(world.post("/v1/fraud/scores", &payment(1_000)).await.json()["action"], "approve");
    let entry = json!({ "value": card(), "reason": "stolen", "author": "ann" });
    assert_eq!(world.post("/v1/fraud/lists/card/block", &entry).await.status, 201);
    let blocked = world.post("/v1/fraud/scores", &payment(1_000)).await.json();
    assert_eq!((&blocked["action"], &blocked["reasons"][0]["code"]), (&json!("decline"), &json!("blocked:card")));
    assert_eq!(world.post("/v1/fraud/scores", &returned(1_000)).await.json()["action"], "approve", "it names no card");
}

fn ordered(number: u128) -> Fact {
    facts::OrderPlaced {
        buyer: buyer(),
        order: OrderId::from_u128(number),
        checkout: CheckoutId::from_u128(number),
        seller: seller(),
        region: region(),
        line_count: 1,
        quantity: 1,
        total: Money::usd(2_000),
        total_usd_minor: 2_000,
    }
    .into()
}

/// The score of a trust answer, whose parts must sum to it.
fn score_of(trust: &Value) -> f64 {
    let points = trust["parts"].as_array().unwrap().iter().map(|part| part["points"].as_f64().unwrap());
    let score = trust["score"].as_f64().unwrap();
    assert!((50.0 + points.sum::<f64>() - score).abs() < 1e-9 && (0.0..=100.0).contains(&score), "{trust}");
    score
}

fn codes(trust: &Value, what: &str) -> Vec<String> {
    trust[what].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyers_trust_grows_with_orders_and_falls_with_a_fraud_as_events_arrive() {
    let world = World::new().await;
    let path = format!("/v1/trust/buyers/{}", buyer());
    let unknown = world.get(&path).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "not_found"));
    assert_eq!(world.get("/v1/trust/buyers/someone").await.pointers(), ["/id"]);

    let device = Some(DeviceId::from_u128(1));
    let opened = facts::BuyerRegistered { buyer: buyer(), region: region(), device };
    tell(&world, vec![(400 * DAY_MICROS, opened.into())]).await;
    let fresh = world.get(&path).await.json();
    assert_eq!((codes(&fresh, "badges"), codes(&fresh, "flags")), (vec!["new".into(), "long_standing".into()], vec![]));
    assert_eq!(fresh["evidence"]["orders"], json!(0.0));
    assert!((fresh["evidence"]["account_age_days"].as_f64().unwrap() - 400.0).abs() < 1e-6, "{fresh}");
    assert!(fresh["links"].as_str().unwrap().starts_with("shares nothing"), "{fresh}");

    tell(&world, (1..=6).map(|number| (DAY_MICROS / 2, ordered(number))).collect()).await;
    let buying = world.get(&path).await.json();
    assert_eq!((codes(&buying, "badges"), &buying["evidence"]["orders"]), (vec!["long_standing".into()], &json!(6.0)));
    assert!(score_of(&buying) > score_of(&fresh) && score_of(&fresh) > 50.0, "{buying}");
    assert!(buying["parts"][0]["text"].as_str().unwrap().contains("ended well"), "{buying}");

    let labelled = facts::FraudLabelled {
        buyer: buyer(),
        checkout: CheckoutId::from_u128(1),
        card: None,
        device,
        address: None,
        occurred_at: world.clock.now() - DAY_MICROS / 2,
        amount_usd_minor: 2_000,
        fraud: true,
        source: "chargeback".to_owned(),
        kind: Some("stolen_card".to_owned()),
    };
    tell(&world, vec![(MINUTE_MICROS, labelled.into())]).await;
    let caught = world.get(&path).await.json();
    assert_eq!(codes(&caught, "flags"), ["known_fraud"]);
    assert!(score_of(&caught) < 25.0, "{caught}");
    let (_, other) = world.key("ten_other", &[dhow_commerce::Permission::TrustRead]).await;
    assert_eq!(world.ask("GET", &path).key(&other).send().await.status, 404, "another tenant's buyer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sellers_trust_knows_late_parcels_and_a_new_payout_account() {
    let world = World::new().await;
    let path = format!("/v1/trust/sellers/{}", seller());
    assert_eq!(world.get(&path).await.status, 404);
    let payout_account = PayoutAccountId::from_u128(1);
    let joined =
        facts::SellerRegistered { seller: seller(), name: "Mats".to_owned(), region: region(), payout_account };
    let delivered = |number: u128, late: bool| -> Fact {
        facts::ShipmentDelivered {
            order: OrderId::from_u128(number),
            shipment: ShipmentId::from_u128(number),
            seller: seller(),
            carrier: CarrierId::from_u128(1),
            origin: region(),
            destination: region(),
            transit_minutes: 600,
            late,
        }
        .into()
    };
    let mut facts: Vec<(i64, Fact)> = vec![(30 * DAY_MICROS, joined.into())];
    facts.extend((1..=30).map(|number| (DAY_MICROS / 2, ordered(number))));
    facts.extend((1..=30).map(|number| (DAY_MICROS / 3, delivered(number, false))));
    tell(&world, facts).await;
    let reliable = world.get(&path).await.json();
    assert_eq!(
        (codes(&reliable, "badges"), codes(&reliable, "flags")),
        (vec!["established".into(), "on_time".into()], vec![])
    );
    assert!(score_of(&reliable) > 75.0 && reliable["evidence"]["account_age_days"] == json!(30.0), "{reliable}");

    let mut facts: Vec<(i64, Fact)> = (31..=60).map(|number| (DAY_MICROS / 4, delivered(number, true))).collect();
    let moved = facts::PayoutAccountChanged { seller: seller(), payout_account: PayoutAccountId::from_u128(2) };
    facts.push((MINUTE_MICROS, moved.into()));
    tell(&world, facts).await;
    let late = world.get(&path).await.json();
    assert_eq!(codes(&late, "flags"), ["late_deliveries", "new_payout_account"]);
    assert!(score_of(&late) < score_of(&reliable) && late["evidence"]["late_deliveries"] == json!(30.0), "{late}");
}
