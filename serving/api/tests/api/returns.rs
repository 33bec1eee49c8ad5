//! Returns, claims and disputes over HTTP: brought back, settled, charged back.

use dhow_commerce::sign;
use dhow_events::SECOND_MICROS;
use serde_json::{Value, json};

use crate::trained;
use crate::world::World;

fn usd(minor: i64) -> Value {
    json!({ "amount": minor.to_string(), "currency": "USD" })
}

/// A checkout of two pots at 40.00, captured whole.
async fn captured(world: &World) -> Value {
    trained::fraud(world);
    let pot = world.product("Pot", 4_000, 5).await;
    let checkout = world.post("/v1/checkouts", &crate::payments::cart(&pot, 2)).await.json();
    let payment = checkout["payment"]["id"].as_str().unwrap();
    assert_eq!(world.post(&format!("/v1/payments/{payment}/capture"), &json!({})).await.status, 201);
    checkout
}

async fn step(world: &World, path: &str, version: &str, body: &Value) -> crate::world::Answer {
    world.ask("POST", format!("{path}/steps")).header("if-match", version).json(body).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_is_opened_brought_back_and_settled() {
    let world = World::new().await;
    let checkout = captured(&world).await;
    let (order, product) = (&checkout["orders"][0]["id"], &checkout["orders"][0]["lines"][0]["product"]);
    let body = json!({
        "order": order, "kind": "return", "opened_by": "buyer", "reason": "defective", "evidence": ["photos/1.jpg"],
        "lines": [{ "product": product, "quantity": 1 }],
    });
    let open = || world.ask("POST", "/v1/returns").header("idempotency-key", "r1").json(&body);
    let opened = open().send().await;
    assert_eq!((opened.status, opened.header("etag")), (201, "\"1\""), "{opened:?}");
    let path = opened.header("location").to_owned();
    let again = open().send().await;
    assert_eq!((again.header("idempotency-replayed"), again.header("location")), ("true", path.as_str()));
    let two = json!({ "lines": [{ "product": product, "quantity": 2 }], "order": order, "kind": "claim",
        "opened_by": "buyer", "reason": "damaged" });
    let two = world.post("/v1/returns", &two).await;
    assert_eq!((two.status, two.code().as_str()), (409, "after_sale_refused"));

    let approved = json!({ "to": "approved", "by": "ann" });
    let unversioned = world.post(&format!("{path}/steps"), &approved).await;
    assert_eq!((unversioned.status, unversioned.code().as_str()), (428, "precondition_required"));
    assert_eq!(step(&world, &path, "\"7\"", &approved).await.status, 412);
    assert_eq!(step(&world, &path, "\"1\"", &approved).await.header("etag"), "\"2\"");
    let early = json!({ "to": "inspected", "by": "ann" });
    assert_eq!(step(&world, &path, "\"2\"", &early).await.code(), "state_conflict");
    assert_eq!(step(&world, &path, "\"2\"", &json!({ "to": "received", "by": "ann" })).await.status, 200);
    let found = json!({ "to": "inspected", "by": "ann",
        "inspected": [{ "product": product, "accepted": 1, "restocked": 1 }] });
    assert_eq!(step(&world, &path, "\"3\"", &found).await.header("etag"), "\"4\"");
    let stock = world.get(format!("/v1/products/{}/stock", product.as_str().unwrap())).await.json();
    assert_eq!(stock["on_hand"], json!(4), "{stock}");

    let settle = |key: &str, version: &str, settlement: Value| {
        let ask = world.ask("POST", format!("{path}/settlements")).header("if-match", version);
        ask.header("idempotency-key", key).json(&json!({ "by": "ann", "settlement": settlement }))
    };
    let too_much = settle("s0", "\"4\"", json!({ "method": "refund", "amount": usd(4_001) })).send().await;
    assert_eq!((too_much.status, too_much.code().as_str()), (409, "amount_exceeded"), "{too_much:?}");
    let credit = settle("s1", "\"4\"", json!({ "method": "credit_note", "amount": usd(1_500) })).send().await;
    assert_eq!((credit.status, &credit.json()["credited_minor"]), (200, &json!(1_500)), "{credit:?}");
    let version = credit.header("etag").to_owned();
    let done = settle("s2", &version, json!({ "method": "refund" })).send().await;
    assert_eq!(
        (&done.json()["state"], &done.json()["refunded_minor"]),
        (&json!("refunded"), &json!(4_000)),
        "{done:?}"
    );
    let replay = settle("s2", &version, json!({ "method": "refund" })).send().await;
    assert_eq!((replay.header("idempotency-replayed"), replay.json()), ("true", done.json()));
    let list = world.get("/v1/returns?state=refunded").await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get(&path).await.json(), done.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chargeback_comes_in_by_the_rails_message_and_is_answered() {
    let world = World::new().await;
    let checkout = captured(&world).await;
    let payment = checkout["payment"]["id"].as_str().unwrap();
    let respond_by = world.engine.clock().now() + 600 * SECOND_MICROS;
    let body = json!({
        "tenant": "ten_default", "key": payment, "outcome": "dispute", "case": "cb_1", "state": "needs_response",
        "amount": usd(8_000), "dispute_reason": "fraudulent", "respond_by": respond_by,
    })
    .to_string();
    let timestamp = (world.engine.clock().now().micros() / SECOND_MICROS).to_string();
    let signature = sign(crate::world::RAIL_SECRET, "msg_1", &timestamp, body.as_bytes());
    for _ in 0..2 {
        let ask = world.ask("POST", "/v1/webhooks/payments/simulator").header("webhook-id", "msg_1");
        let ask = ask.header("webhook-timestamp", &timestamp).header("webhook-signature", &signature);
        let sent = ask.body("application/json", body.clone()).send().await;
        assert_eq!(sent.status, 204, "{sent:?}");
    }
    let list = world.get(format!("/v1/disputes?payment={payment}")).await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let path = format!("/v1/disputes/{}", list["items"][0]["id"].as_str().unwrap());
    let refused = world.post("/v1/refunds", &json!({ "payment": payment })).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "after_sale_refused"), "{refused:?}");
    let sent = json!({ "to": "under_review", "by": "ann", "evidence": ["proof-of-delivery.pdf"] });
    assert_eq!(step(&world, &path, "\"1\"", &sent).await.json()["state"], json!("under_review"));
    assert_eq!(step(&world, &path, "\"1\"", &json!({ "to": "lost", "by": "ann" })).await.status, 412);
    let lost = step(&world, &path, "\"2\"", &json!({ "to": "lost", "by": "ann" })).await;
    assert_eq!(lost.json()["timeline"].as_array().map(Vec::len), Some(3), "{lost:?}");
    let hand = json!({ "payment": payment, "case": "cb_2", "amount": usd(8_001), "reason": "other",
        "respond_by": respond_by });
    assert_eq!(world.post("/v1/disputes", &hand).await.pointers(), ["/amount"]);
}
