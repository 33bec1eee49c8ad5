//! Auctions over HTTP: from the first bid to the checkout, watched by server-sent events.

use dhow_events::{BuyerId, MINUTE_MICROS, Timestamp};
use serde_json::{Value, json};

use crate::trained;
use crate::world::{World, seller};

fn usd(minor: i64) -> Value {
    json!({ "amount": minor.to_string(), "currency": "USD" })
}

fn bidder(number: u128) -> BuyerId {
    BuyerId::from_u128(number)
}

/// An hour of `product` from 1.00 USD that can be bought at once for 20.00 until somebody bids.
fn asked(world: &World, product: &str) -> Value {
    let ends_at: Timestamp = world.engine.clock().now() + 60 * MINUTE_MICROS;
    json!({
        "product": product, "opening": usd(100), "reserve": usd(500), "buy_now": { "price": usd(2_000) },
        "extension": { "window_s": 60, "by_s": 60, "times_max": 3 }, "ends_at": ends_at, "pay_within_s": 3600,
    })
}

async fn bid(world: &World, path: &str, who: u128, maximum: i64) -> crate::world::Answer {
    world.post(&format!("{path}/bids"), &json!({ "bidder": bidder(who), "maximum": usd(maximum) })).await
}

fn payment(who: u128) -> Value {
    json!({ "buyer": bidder(who), "region": "GB", "delivery_region": "GB", "payment_method": "wallet" })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auction_is_bid_on_closed_paid_and_watched() {
    let world = World::new().await;
    trained::fraud(&world);
    let cup = world.product("Cup", 5_000, 1).await;
    let body = asked(&world, &cup);
    let open = || world.ask("POST", "/v1/auctions").header("idempotency-key", "a1").json(&body);
    let opened = open().send().await;
    assert_eq!((opened.status, opened.header("etag")), (201, "\"1\""), "{opened:?}");
    let path = opened.header("location").to_owned();
    let again = open().send().await;
    assert_eq!((again.header("idempotency-replayed"), again.header("location")), ("true", path.as_str()));
    let auction = opened.json();
    assert_eq!((&auction["state"], &auction["price"], &auction["minimum"]), (&json!("open"), &json!(null), &usd(100)));
    assert_eq!((&auction["buy_now"], &auction["reserve_met"]), (&usd(2_000), &json!(false)));
    assert!(!opened.text.contains("\"500\""), "the reserve is told to nobody");
    let taken = world.post("/v1/auctions", &asked(&world, &cup)).await;
    assert_eq!((taken.status, taken.code().as_str()), (409, "no_free_unit"));

    let first = bid(&world, &path, 1, 1_000).await;
    assert_eq!((first.status, first.json()["price"].clone()), (201, usd(500)), "the reserve is reached: {first:?}");
    let second = world.ask("POST", format!("{path}/bids")).header("idempotency-key", "b2");
    let second = second.json(&json!({ "bidder": bidder(2), "maximum": usd(700) })).send().await.json();
    assert_eq!((&second["leads"], &second["price"], &second["sequence"]), (&json!(false), &usd(750), &json!(2)));
    let low = bid(&world, &path, 3, 799).await;
    assert_eq!((low.status, low.code().as_str()), (409, "bid_refused"));
    let detail = low.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("the price is 750 minor units of USD, the least bid 800"), "{detail}");
    let late = world.post(&format!("{path}/buy-now"), &json!({ "buyer": bidder(4) })).await;
    assert_eq!((late.status, late.code().as_str()), (409, "bid_refused"), "somebody bid");
    let read = world.get(&path).await.json();
    assert_eq!((&read["leader"], &read["bids"], &read["buy_now"]), (&json!(bidder(1)), &json!(2), &json!(null)));
    assert!(!read.to_string().contains("\"1000\""), "maxima are told to nobody");

    let bids = world.get(format!("{path}/bids?limit=1")).await;
    let item = |sequence: i64, who: u128, price: i64, leader: u128| {
        let at = world.engine.clock().now();
        json!({ "sequence": sequence, "bidder": bidder(who), "placed_at": at, "price": usd(price), "leader": bidder(leader) })
    };
    assert_eq!(bids.json(), json!({ "items": [item(1, 1, 500, 1)], "next": 1 }));
    let rest = world.get(format!("{path}/bids?after=1")).await;
    assert_eq!(rest.json(), json!({ "items": [item(2, 2, 750, 1)], "next": null }));
    assert!(!bids.text.contains("\"1000\"") && !rest.text.contains("\"700\""), "maxima are told to nobody");
    assert_eq!(world.get(format!("{path}/bids?limit=101")).await.pointers(), ["/limit"]);

    world.clock.advance(61 * MINUTE_MICROS);
    world.until(&path, |auction| auction["state"] == "awaiting_payment").await;
    let wrong = world.post(&format!("{path}/checkout"), &payment(2)).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (409, "auction_not_offered"));
    let paid = world.post(&format!("{path}/checkout"), &payment(1)).await;
    assert_eq!((paid.status, &paid.json()["state"], &paid.json()["total"]), (201, &json!("completed"), &usd(750)));
    let sold = world.until(&path, |auction| auction["state"] == "sold").await;
    assert_eq!((&sold["checkout"], &sold["offer"]["buyer"]), (&paid.json()["id"], &json!(bidder(1))));
    let stock = world.get(format!("/v1/products/{cup}/stock")).await.json();
    assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(0), &json!(0)));

    let events = world.get(format!("{path}/events")).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    let data: Vec<&str> = events.text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert!(events.text.contains("event: end") && data.len() == 1, "{}", events.text);
    assert_eq!(serde_json::from_str::<Value>(data[0]).unwrap(), sold);
    let listed = world.get("/v1/auctions?state=sold&limit=1").await.json();
    assert_eq!(listed, json!({ "items": [sold], "next": null }));
    let told = world.until("/v1/events?type=auction_moved", |page| page["items"].as_array().map(Vec::len) == Some(3));
    assert_eq!(told.await["items"][0]["event"]["data"]["seller"], json!(seller()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_an_auction_bought_at_once_and_called_off() {
    let world = World::new().await;
    let cup = world.product("Cup", 5_000, 2).await;
    let path = world.post("/v1/auctions", &asked(&world, &cup)).await.header("location").to_owned();
    let watching = world.get(format!("{path}/events"));
    let acting = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let bought = world.post(&format!("{path}/buy-now"), &json!({ "buyer": bidder(4) })).await;
        assert_eq!((bought.status, &bought.json()["offer"]["price"]), (200, &usd(2_000)), "{bought:?}");
        assert_eq!(bid(&world, &path, 1, 3_000).await.code(), "bid_refused");
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        let body = json!({ "reason": "suspected_fraud" });
        assert_eq!(world.post(&format!("{path}/cancel"), &body).await.json()["state"], "cancelled");
        assert_eq!(world.post(&format!("{path}/cancel"), &body).await.json()["version"], json!(3));
    };
    let (watched, ()) = tokio::join!(watching, acting);
    let names: Vec<&str> = watched.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["auction", "auction", "end"], "{}", watched.text);
    let stock = world.get(format!("/v1/products/{cup}/stock")).await.json();
    assert_eq!(stock["reserved"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_auction_or_a_bid_is_pointed_at() {
    let world = World::new().await;
    let cup = world.product("Cup", 5_000, 2).await;
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut body = asked(&world, &cup);
        change(&mut body);
        world.post("/v1/auctions", &body).await.pointers()
    };
    assert_eq!(refused(&|body| body["reserve"] = usd(99)).await, ["/reserve"]);
    assert_eq!(refused(&|body| body["buy_now"]["price"] = usd(499)).await, ["/buy_now"]);
    assert_eq!(refused(&|body| body["reserve"]["currency"] = json!("EUR")).await, ["/reserve/currency"]);
    assert_eq!(refused(&|body| body["ends_at"] = json!("2020-01-01T00:00:00Z")).await, ["/ends_at"]);
    assert_eq!(refused(&|body| body["extension"]["window_s"] = json!(3_601)).await, ["/extension"]);
    assert_eq!(refused(&|body| body["pay_within_s"] = json!(1)).await, ["/pay_within_s"]);
    assert_eq!(refused(&|body| body["increments"] = json!([])).await, ["/increments"]);
    assert_eq!(refused(&|body| body["colour"] = json!("red")).await, ["/colour"]);
    let path = world.post("/v1/auctions", &asked(&world, &cup)).await.header("location").to_owned();
    let pounds = json!({ "bidder": bidder(1), "maximum": { "amount": "500", "currency": "GBP" } });
    assert_eq!(world.post(&format!("{path}/bids"), &pounds).await.pointers(), ["/maximum/currency"]);
    let reason = world.post(&format!("{path}/cancel"), &json!({ "reason": "boredom" })).await;
    assert_eq!(reason.pointers(), ["/reason"]);
    assert_eq!(world.get("/v1/auctions?state=asleep").await.status, 400);
}
