//! The feed of changes over HTTP: by page, as a stream that resumes, and beside what webhooks and features make of the same events.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use dhow_commerce::{OUTBOX_BATCH_MAX, Outbox};
use dhow_events::{Clock, DAY_MICROS};
use futures::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::hooks::Receiver;
use crate::trained;
use crate::world::{World, buyer};

/// Every event of the feed, once at least `count` are told.
pub async fn told(world: &World, count: usize) -> Vec<Value> {
    let enough = |page: &Value| page["items"].as_array().unwrap().len() >= count;
    let page = world.until("/v1/events?limit=100", enough).await;
    page["items"].as_array().unwrap().iter().map(|item| item["event"].clone()).collect()
}

pub async fn set_stock(world: &World, product: &str, on_hand: i64) {
    let set =
        world.ask("PUT", format!("/v1/products/{product}/stock")).json(&json!({ "on_hand": on_hand })).send().await;
    assert_eq!(set.status, 200, "{set:?}");
}

/// A stream of server-sent events as a client reads it.
struct Stream {
    body: BodyDataStream,
    unread: String,
}

impl Stream {
    async fn open(world: &World, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::builder().uri(path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { body: response.into_body().into_data_stream(), unread: String::new() }
    }

    /// The next event's id and data; heart-beats are passed over.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.unread = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some((id, data)) = field("id: ").zip(field("data: ")) {
                    return (id, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.body.next()).await;
            let chunk = chunk.expect("there is news").expect("the stream goes on").unwrap();
            self.unread += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_each_change_by_page_and_by_a_stream_that_resumes() {
    let world = World::new().await;
    let cup = world.product("Cup", 500, 3).await;
    let events = told(&world, 2).await;
    assert_eq!(events[0]["type"], "dhow.product_listed");
    assert_eq!((&events[1]["subject"], &events[1]["sequence"]), (&json!(cup), &json!("2")));
    assert_eq!((&events[1]["timestamp"], &events[1]["data"]["on_hand"]), (&events[1]["time"], &json!(3)));

    let (mut path, mut read) = ("/v1/events?limit=1".to_owned(), Vec::new());
    let end = loop {
        let page = world.get(&path).await.json();
        read.extend(page["items"].as_array().unwrap().iter().map(|item| item["event"].clone()));
        let next = page["next"].as_str().unwrap().to_owned();
        path = format!("/v1/events?limit=1&after={next}");
        if page["more"] == false {
            break next;
        }
    };
    assert_eq!(read, events);
    assert_eq!(world.get("/v1/events?after=now").await.json(), json!({ "items": [], "next": end, "more": false }));
    let stock = world.get("/v1/events?type=dhow.stock_changed,order_placed").await.json();
    assert_eq!(stock["items"].as_array().unwrap().len(), 1);

    let mut all = Stream::open(&world, "/v1/events", None).await;
    let (first, event) = all.next().await;
    assert_eq!(event, json!({ "cursor": first, "event": events[0] }));
    assert_eq!(all.next().await.0, end);
    let mut stock = Stream::open(&world, "/v1/events?after=now&type=stock_changed", None).await;
    let mut resumed = Stream::open(&world, "/v1/events?after=now", Some(&first)).await;
    assert_eq!(resumed.next().await.0, end, "what followed the last event that was received");
    set_stock(&world, &cup, 4).await;
    let (cursor, event) = all.next().await;
    assert_eq!(event["event"]["data"]["on_hand"], 4);
    assert_eq!((resumed.next().await.0, stock.next().await.0), (cursor.clone(), cursor.clone()));

    for (path, pointer) in [
        ("after=zz", "/after"),
        ("after=7fffffffffffffff", "/after"),
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("type=order_eaten", "/type"),
    ] {
        let wrong = world.get(format!("/v1/events?{path}")).await;
        assert_eq!((wrong.status, wrong.pointers()), (400, vec![pointer.to_owned()]), "{path}");
    }
    world.clock.advance(DAY_MICROS);
    world.engine.store().outbox_forget(world.clock.now()).await.unwrap();
    let old = world.get(format!("/v1/events?after={first}")).await;
    assert_eq!((old.status, old.code().as_str()), (410, "cursor_expired"));
    assert!(old.json()["detail"].as_str().unwrap().contains(&cursor), "it names where to begin");
    assert_eq!(world.get(format!("/v1/events?after={cursor}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_stands_once_in_feed_webhooks_and_features_though_relays_die() {
    const CHECKOUTS: usize = 8;
    let world = World::new().await;
    trained::fraud(&world);
    let receiver = Receiver::start().await;
    receiver.subscribe(&world, &[]).await;
    // Relays that hand events to the log and die before they mark them.
    let (engine, stop) = (world.engine.clone(), tokio::sync::watch::channel(false));
    let dying = tokio::spawn(async move {
        let mut repeated = 0;
        while !*stop.1.borrow() {
            let records = engine.store().outbox_take(OUTBOX_BATCH_MAX).await.unwrap();
            repeated += records.len();
            engine.append(records.into_iter().map(|record| record.event).collect()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        repeated
    });
    let cup = world.product("Cup", 500, 30).await;
    for _ in 0..CHECKOUTS {
        let cart = json!({
            "buyer": buyer(), "region": "GB", "delivery_region": "GB", "payment_method": "wallet",
            "lines": [{ "product": cup, "quantity": 2 }],
        });
        let checkout = world.post("/v1/checkouts", &cart).await;
        assert_eq!((checkout.status, &checkout.json()["state"]), (201, &json!("completed")), "{checkout:?}");
    }
    let submitted = |page: &Value| page["items"].as_array().unwrap().len() == CHECKOUTS;
    world.until("/v1/events?limit=100&type=checkout_submitted", submitted).await;
    stop.0.send_replace(true);
    assert!(dying.await.unwrap() > 0, "some events went into the log more than once");
    while world.engine.store().outbox_waiting().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let events = told(&world, 0).await;
    let ids: BTreeSet<String> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), events.len(), "each once");
    receiver.until(|messages| messages.iter().map(|message| message.id.clone()).collect::<BTreeSet<_>>() == ids).await;

    world.clock.advance(1_000_000);
    let ask = json!({ "features": ["buyer_checkouts_count_30d"], "entities": [{ "buyer": buyer() }] });
    world.until("/v1/status", |status| status["lag_events"] == 0).await;
    let table = world.post("/v1/features", &ask).await.json();
    assert_eq!(table["rows"][0]["values"], json!([CHECKOUTS as f64]), "{table}");
}
