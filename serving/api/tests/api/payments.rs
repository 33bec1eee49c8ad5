//! Captures, voids, refunds, payouts, the rail's messages and the books, over HTTP.

use dhow_commerce::sign;
use dhow_events::{SECOND_MICROS, Timestamp};
use serde_json::{Value, json};

use crate::trained;
use crate::world::{World, buyer, seller};

/// A completed checkout of two cups for 5.00 each.
async fn bought(world: &World) -> Value {
    trained::fraud(world);
    let cup = world.product("Cup", 500, 30).await;
    let checkout = world.post("/v1/checkouts", &cart(&cup, 2)).await;
    assert_eq!((checkout.status, checkout.json()["state"].clone()), (201, json!("completed")), "{checkout:?}");
    checkout.json()
}

pub fn cart(product: &str, quantity: i64) -> Value {
    json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "GB", "payment_method": "wallet",
        "lines": [{ "product": product, "quantity": quantity }],
    })
}

fn usd(minor: i64) -> Value {
    json!({ "amount": minor.to_string(), "currency": "USD" })
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_payment_to_a_payout_over_http() {
    let world = World::new().await;
    let checkout = bought(&world).await;
    assert_eq!(checkout["orders"][0]["commission_minor"], json!(50), "the minimum of 0.50");
    let payment = checkout["payment"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/payments/{payment}");
    let capture = |amount: i64| {
        let body = json!({ "amount": usd(amount) });
        world.ask("POST", format!("{path}/capture")).header("idempotency-key", "c1").json(&body)
    };
    let captured = capture(800).send().await;
    assert_eq!((captured.status, captured.json()["state"].clone()), (201, json!("done")), "{captured:?}");
    let again = capture(800).send().await;
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &captured.text));
    assert_eq!(capture(801).send().await.code(), "idempotency_key_reused");
    let void = world.post(&format!("{path}/void"), &json!({})).await;
    assert_eq!((void.status, void.json()["amount"].clone()), (201, usd(200)));

    let refused = world.post("/v1/refunds", &json!({ "payment": payment, "amount": usd(801) })).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "amount_exceeded"));
    let refunded = world.post("/v1/refunds", &json!({ "payment": payment, "amount": usd(300) })).await;
    assert_eq!((refunded.status, refunded.json()["shares"][0]["amount_minor"].clone()), (201, json!(300)));
    let read = world.get(&path).await.json();
    assert_eq!((&read["payment"]["refunded_minor"], &read["payment"]["state"]), (&json!(300), &json!("captured")));
    assert_eq!(read["checkout"], checkout["id"]);

    let order = checkout["orders"][0]["id"].as_str().unwrap();
    let timeline = world.get(format!("/v1/orders/{order}/timeline")).await.json();
    let told = timeline["steps"].as_array().unwrap().iter().map(|step| step["event"]["type"].as_str().unwrap());
    let told: Vec<&str> = told.map(|kind| kind.rsplit('.').next().unwrap()).collect();
    assert!(
        told.starts_with(&["checkout_submitted", "fraud_scored", "payment_authorized", "order_placed"]),
        "{told:?}"
    );
    let ends = ["transfer_settled", "payment_voided", "transfer_settled", "payment_refunded", "transfer_settled"];
    assert!(told.ends_with(&ends), "{told:?}");

    let listed = world.get(format!("/v1/transfers?payment={payment}")).await.json();
    let kinds: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds.len(), 3);
    let one = refunded.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(world.get(format!("/v1/transfers/{one}")).await.json(), refunded.json());

    // 5.00 are kept, the commission is 40 cents of 50 for the capture, less 15 for the refund.
    let trial = world.get("/v1/ledger/trial-balance").await.json();
    assert_eq!(trial["balanced"], json!(true));
    let balance = |account: &str| {
        let accounts = trial["accounts"].as_array().unwrap();
        accounts.iter().find(|line| line["account"] == account).map(|line| line["balance"].clone())
    };
    assert_eq!(balance("clearing:simulator"), Some(json!("500")));
    assert_eq!((balance("commission"), balance("refunds")), (Some(json!("25")), Some(json!("0"))));
    let paid = world.post("/v1/payouts", &json!({ "seller": seller(), "currency": "USD" })).await;
    assert_eq!((paid.status, paid.json()["amount"].clone()), (201, usd(475)), "{paid:?}");
    let more = world.post("/v1/payouts", &json!({ "seller": seller(), "currency": "USD", "amount": usd(1) })).await;
    assert_eq!(more.code(), "amount_exceeded");

    let journal = world.get("/v1/ledger/journal?limit=2").await;
    assert_eq!(journal.header("content-type"), "text/csv; charset=utf-8");
    let (mut lines, mut next) = (journal.text.lines().count() - 1, journal.header("next-after").to_owned());
    while !next.is_empty() {
        let part = world.get(format!("/v1/ledger/journal?limit=2&after={next}")).await;
        lines += part.text.lines().count() - 1;
        next = part.header("next-after").to_owned();
    }
    assert_eq!(lines, 3 + 3 + 2 + 2 + 2, "capture, refund asked and done, payout asked and done");
    assert_eq!(world.get("/v1/ledger/journal?limit=0").await.pointers(), ["/limit"]);
    let parquet =
        world.ask("GET", "/v1/ledger/journal").header("accept", "application/vnd.apache.parquet").send().await;
    assert_eq!(parquet.header("content-type"), "application/vnd.apache.parquet");
    assert_eq!((&parquet.bytes[..4], &parquet.bytes[parquet.bytes.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));

    let path = format!("/v1/sellers/{}/statement", seller());
    let statement = world.get(format!("{path}?currency=USD&from=2020-01-01T00:00:00Z")).await;
    assert_eq!(statement.status, 200, "{statement:?}");
    let sums: Vec<Value> = statement.json()["sums"].as_array().unwrap().clone();
    let sums: Vec<_> =
        sums.iter().map(|sum| (&sum["purpose"], &sum["gross_minor"], &sum["commission_minor"])).collect();
    assert_eq!(
        sums,
        [
            (&json!("capture done"), &json!(800), &json!(40)),
            (&json!("payout asked"), &json!(-475), &json!(0)),
            (&json!("refund asked"), &json!(-300), &json!(-15)),
        ]
    );
    assert_eq!(statement.json()["closing_minor"], json!(0));
    let lines = format!("{path}/lines?currency=USD&from=2020-01-01T00:00:00Z&limit=2");
    let first = world.ask("GET", &lines).header("accept", "text/csv").send().await;
    assert_eq!(first.text.lines().next(), Some("number,at,purpose,reference,order,gross_USD,commission_USD,net_USD"));
    assert!(first.text.lines().nth(1).is_some_and(|line| line.ends_with(",8.00,0.40,7.60")), "{}", first.text);
    let rest = world.get(format!("{lines}&after={}", first.header("next-after"))).await;
    assert_eq!((rest.json()["lines"].as_array().map(Vec::len), rest.header("next-after")), (Some(1), ""));
    assert_eq!(world.get(format!("{path}?currency=USD&from=2999-01-01T00:00:00Z")).await.pointers(), ["/from"]);

    let now = world.get("/v1/ledger/trial-balance").await.json();
    let at = |at: Timestamp| world.get(format!("/v1/ledger/trial-balance?at={at}"));
    assert_eq!(at(world.engine.clock().now()).await.json(), now);
    assert_eq!(at(Timestamp::from_micros(0)).await.json(), json!({ "balanced": true, "sums": [], "accounts": [] }));
    assert_eq!(world.get("/v1/ledger/trial-balance?at=yesterday").await.pointers(), ["/at"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rails_message_is_taken_with_its_signature_alone() {
    let world = World::new().await;
    let checkout = bought(&world).await;
    let payment = checkout["payment"]["id"].as_str().unwrap();
    let captured = world.post(&format!("/v1/payments/{payment}/capture"), &json!({})).await.json();
    let body = json!({
        "tenant": "ten_default", "key": captured["id"], "outcome": "declined", "reason": "chargeback",
    })
    .to_string();
    let timestamp = (world.engine.clock().now().micros() / SECOND_MICROS).to_string();
    let send = |signature: String| {
        let ask = world.ask("POST", "/v1/webhooks/payments/simulator").header("webhook-id", "msg_1");
        ask.header("webhook-timestamp", &timestamp)
            .header("webhook-signature", &signature)
            .body("application/json", body.clone())
    };
    assert_eq!(send("v1,AAAA".to_owned()).send().await.code(), "bad_signature");
    let signature = sign(crate::world::RAIL_SECRET, "msg_1", &timestamp, body.as_bytes());
    for _ in 0..2 {
        assert_eq!(send(signature.clone()).send().await.status, 204);
    }
    let read = world.get(format!("/v1/transfers/{}", captured["id"].as_str().unwrap())).await.json();
    assert_eq!((&read["state"], &read["failure"]), (&json!("reversed"), &json!("chargeback")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sellers_plan_makes_the_commission_of_the_next_order() {
    let world = World::new().await;
    let path = format!("/v1/sellers/{}/terms", seller());
    assert_eq!(world.get(&path).await.json(), json!({ "plan": "free", "contract_ppm": null }));
    let set = world.ask("PUT", &path).json(&json!({ "plan": "enterprise" })).send().await;
    assert_eq!((set.status, set.json()["plan"].clone()), (200, json!("enterprise")));
    let wrong = world.ask("PUT", &path).json(&json!({ "plan": "free", "contract_ppm": 1_000_001 })).send().await;
    assert_eq!(wrong.pointers(), ["/contract_ppm"]);
    trained::fraud(&world);
    let pot = world.product("Pot", 4_000, 3).await;
    let checkout = world.post("/v1/checkouts", &cart(&pot, 1)).await.json();
    assert_eq!(checkout["orders"][0]["commission_minor"], json!(100), "2.5 % of 40.00");
}
