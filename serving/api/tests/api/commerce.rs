//! Products with their versions, and checkouts with their idempotency, over HTTP.

use serde_json::{Value, json};

use crate::trained;
use crate::world::{World, buyer, product, seller};

fn checkout(product: &str, quantity: i64) -> Value {
    json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "GB", "payment_method": "wallet",
        "lines": [{ "product": product, "quantity": quantity }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_must_name_the_version_that_it_changes() {
    let world = World::new().await;
    let created =
        world.ask("POST", "/v1/products").header("idempotency-key", "cup").json(&product("Cup", 500)).send().await;
    assert_eq!((created.status, created.header("etag")), (201, "\"1\""));
    let path = created.header("location").to_owned();
    let again =
        world.ask("POST", "/v1/products").header("idempotency-key", "cup").json(&product("Cup", 500)).send().await;
    assert_eq!(
        (again.header("idempotency-replayed"), again.json()["id"].clone()),
        ("true", created.json()["id"].clone())
    );

    let put = |cents: i64| world.ask("PUT", &path).json(&product("Cup", cents));
    assert_eq!(put(600).send().await.code(), "precondition_required");
    let changed = put(600).header("if-match", "\"1\"").send().await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""));
    let stale = put(700).header("if-match", "\"1\"").send().await;
    assert_eq!((stale.status, stale.code().as_str()), (412, "stale_version"));
    assert_eq!(put(700).header("if-match", "W/\"2\"").send().await.status, 412, "a weak tag matches nothing");
    assert_eq!(put(700).header("if-none-match", "*").send().await.status, 412, "it exists");
    let read = world.get(&path).await;
    assert_eq!((read.header("etag"), read.json()["price"]["amount"].clone()), ("\"2\"", json!("600")));

    let fresh = "/v1/products/prd_01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(world.ask("PUT", fresh).header("if-match", "\"1\"").json(&product("Pot", 1)).send().await.status, 404);
    assert_eq!(world.ask("PUT", fresh).header("if-none-match", "*").json(&product("Pot", 1)).send().await.status, 200);

    let mut wrong = product("Cup", 500);
    wrong["price"]["currency"] = json!("ZZZ");
    assert_eq!(world.post("/v1/products", &wrong).await.pointers(), ["/price/currency"]);
    wrong = product("", -1);
    assert_eq!(world.post("/v1/products", &wrong).await.pointers(), ["/title", "/reference", "/price/amount"]);
    wrong = product("Cup", 500);
    wrong["colour"] = json!("red");
    assert_eq!(world.post("/v1/products", &wrong).await.pointers(), ["/colour"]);
    let stock = world.ask("PUT", format!("{path}/stock")).json(&json!({ "on_hand": -1 })).send().await;
    assert_eq!((stock.status, stock.pointers()), (422, vec!["/on_hand".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_product_once_in_order() {
    let world = World::new().await;
    let mut listed = Vec::new();
    for number in 0..5 {
        listed.push(json!(world.product(&format!("Cup {number}"), 500, 1).await));
        world.clock.advance(1_000);
    }
    let (mut seen, mut path, mut pages) = (Vec::new(), "/v1/products?limit=2".to_owned(), 0);
    loop {
        let page = world.get(&path).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/products?limit=2&cursor={next}");
    }
    assert_eq!((seen, pages), (listed, 3));
    assert_eq!(world.get("/v1/products?limit=101").await.pointers(), ["/limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_sent_again_is_answered_the_same_and_bought_once() {
    let world = World::new().await;
    trained::fraud(&world);
    let cup = world.product("Cup", 500, 3).await;
    let quote = world.post("/v1/quotes", &json!({ "lines": [{ "product": cup, "quantity": 2 }] })).await.json();
    assert_eq!(quote["total"], json!({ "amount": "1000", "currency": "USD" }));

    let buy = |quantity: i64| {
        world.ask("POST", "/v1/checkouts").header("idempotency-key", "k1").json(&checkout(&cup, quantity))
    };
    let first = buy(2).send().await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, "false"), "{first:?}");
    let again = buy(2).send().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(first.text, again.text);
    let other = buy(1).send().await;
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency_key_reused"));
    let bad = world.ask("POST", "/v1/checkouts").header("idempotency-key", "a b").json(&checkout(&cup, 1)).send().await;
    assert_eq!(bad.pointers(), ["/Idempotency-Key"]);

    let bought = first.json();
    assert_eq!((&bought["state"], &bought["fraud"]["action"]), (&json!("completed"), &json!("approve")));
    let stock = world.get(format!("/v1/products/{cup}/stock")).await.json();
    assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(1), &json!(0)));
    assert_eq!(world.get(first.header("location")).await.json(), bought);
    let orders = world.get(format!("/v1/orders?seller={}&state=placed", seller())).await.json();
    assert_eq!(orders["items"], bought["orders"]);
    let order = world.get(format!("/v1/orders/{}", bought["orders"][0]["id"].as_str().unwrap())).await;
    assert_eq!(order.json(), bought["orders"][0]);
    let decision = world.get(format!("/v1/decisions/{}", bought["fraud"]["decision"].as_str().unwrap())).await.json();
    assert_eq!((&decision["outcome"], &decision["subject"]), (&json!("applied"), &bought["id"]));

    let short = world.post("/v1/checkouts", &checkout(&cup, 5)).await;
    assert_eq!((short.status, &short.json()["refusal"]), (201, &json!("stock")));
    let dear = world.product("Gold cup", trained::DEAR_USD_MINOR * 2, 3).await;
    let declined = world.post("/v1/checkouts", &checkout(&dear, 1)).await.json();
    assert_eq!((&declined["state"], &declined["refusal"]), (&json!("refused"), &json!("fraud")));
    let card = world.ask("POST", "/v1/checkouts").json(&{
        let mut body = checkout(&cup, 0);
        body["payment_method"] = json!("card");
        body
    });
    assert_eq!(card.send().await.pointers(), ["/lines/0/quantity", "/card"]);
    // The outbox hands the facts of the checkout to the log.
    world.until("/v1/status", |status| status["log_events"].as_u64() >= Some(12)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn price_lists_price_a_cart_and_are_refused_with_their_place() {
    let world = World::new().await;
    let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
    let mut cup = product("Cup", 500);
    cup["prices"] = json!([{ "region": "NG", "breaks": [
        { "quantity": 5, "unit_price": money("450", "USD") }, { "quantity": 10, "unit_price": money("400", "USD") },
    ] }]);
    let listed = world.post("/v1/products", &cup).await;
    assert_eq!(listed.status, 201, "{listed:?}");
    let id = listed.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(world.get(format!("/v1/products/{id}")).await.json()["prices"], listed.json()["prices"]);
    let quote = async |quantity: i64, region: &str| {
        let lines = json!([{ "product": id, "quantity": quantity }]);
        world.post("/v1/quotes", &json!({ "lines": lines, "delivery_region": region })).await
    };
    assert_eq!(quote(10, "NG-LA").await.json()["total"], money("4000", "USD"));
    assert_eq!(quote(4, "GB").await.json()["total"], money("2000", "USD"));
    let below = quote(4, "NG-LA").await;
    assert_eq!((below.status, below.pointers()), (422, vec!["/lines/0/quantity".to_owned()]));
    assert!(below.text.contains("at least 5"), "{below:?}");
    cup["prices"][0]["breaks"][1]["quantity"] = json!(5);
    assert_eq!(world.post("/v1/products", &cup).await.pointers(), ["/prices/0/breaks/1/quantity"]);
}
