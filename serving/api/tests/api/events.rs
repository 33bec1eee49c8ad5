//! Events in, and what becomes of them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dhow_commerce::Permission;
use dhow_events::{BuyerId, ProductId, TenantId};
use serde_json::{Value, json};

use crate::clients::run_client;
use crate::world::{World, buyer, view};

fn cup() -> ProductId {
    ProductId::from_u128(0xc)
}

/// A query over 25 numbers joined with themselves, `times` over.
pub fn cross_join(columns: &str, times: usize) -> String {
    let numbers: Vec<String> = (0..25).map(|number| format!("({number})")).collect();
    let tables: Vec<String> =
        ('a'..='z').take(times).map(|name| format!("(VALUES {}) AS {name}(i)", numbers.join(","))).collect();
    format!("SELECT {columns} FROM {}", tables.join(" CROSS JOIN "))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_events_of_a_batch_go_in_and_the_wrong_ones_are_pointed_at() {
    let world = World::new().await;
    let mut late = view(2, cup());
    late["time"] = json!("2026-03-01T12:05:01Z");
    let mut strange = view(3, cup());
    strange["type"] = json!("dhow.product_vieved");
    let mut wrong = view(4, cup());
    wrong["data"]["product"] = json!("cup");
    let batch = json!([view(1, cup()), late, strange, wrong, view(5, cup())]);
    let answer = world.post("/v1/events", &batch).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["accepted"], json!([view(1, cup())["id"], view(5, cup())["id"]]));
    let rejected: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|r| (&r["index"], &r["pointer"])).collect();
    assert_eq!(
        rejected,
        [(&json!(1), &json!("/1/time")), (&json!(2), &json!("/2/type")), (&json!(3), &json!("/3/data/product"))]
    );
    assert!(answer["rejected"][0]["message"].as_str().unwrap().contains("future"));
    assert!(answer["rejected"][1]["message"].as_str().unwrap().contains("dhow.product_viewed"));
    assert_eq!(world.engine.lag().unwrap().0, 2, "two are in the log");

    let all_wrong = world.post("/v1/events", &json!([strange, { "specversion": "0.3" }])).await;
    assert_eq!((all_wrong.status, all_wrong.code().as_str()), (400, "events_rejected"));
    assert_eq!(all_wrong.pointers(), ["/0/type", "/1/specversion"]);
    let one_wrong = world.post("/v1/events", &strange).await;
    assert_eq!((one_wrong.status, one_wrong.pointers()), (400, vec!["/type".to_owned()]));
    assert_eq!(world.post("/v1/events", &json!([])).await.status, 422);
    let many: Vec<Value> = (0..=dhow_api::EVENTS_PER_REQUEST_MAX as u32).map(|number| view(number, cup())).collect();
    assert_eq!(world.post("/v1/events", &json!(many)).await.status, 422);
    assert_eq!(world.engine.lag().unwrap().0, 2, "nothing more went in");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_cloudevents_media_types_are_taken_too() {
    let world = World::new().await;
    let lines = format!("{}\n\nnot json\n{}\n", view(1, cup()), view(2, cup()));
    let answer = world.ask("POST", "/v1/events").body("application/x-ndjson", lines).send().await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["rejected"][0]["pointer"], "/1");
    let one =
        world.ask("POST", "/v1/events").body("application/cloudevents+json; charset=utf-8", view(3, cup()).to_string());
    assert_eq!(one.send().await.status, 202);
    let batch = json!([view(4, cup())]).to_string();
    let batch = world.ask("POST", "/v1/events").body("application/cloudevents-batch+json", batch).send().await;
    assert_eq!(batch.status, 202);
    let mut long = view(5, cup());
    long["data"]["note"] = json!("x".repeat(70_000));
    let long = world.post("/v1/events", &json!([long, view(6, cup())])).await.json();
    assert_eq!(long["rejected"][0]["pointer"], "/0");
    assert!(long["rejected"][0]["message"].as_str().unwrap().contains("bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_becomes_visible_in_features_metrics_status_and_sql() {
    let world = World::new().await;
    let batch: Vec<Value> = (1..=3).map(|number| view(number, cup())).collect();
    assert_eq!(world.post("/v1/events", &json!(batch)).await.status, 202);
    world.clock.advance(1_000_000);
    let sees_three = |answer: &Value| answer.to_string().contains("\"value\":3.0");
    let features = world.until(&format!("/v1/features/{}", cup()), sees_three).await;
    assert!(features["views"].as_array().unwrap().iter().all(|view| !view["features"].as_array().unwrap().is_empty()));
    assert_eq!(world.get(format!("/v1/features/{}", buyer())).await.status, 200);
    assert_eq!(world.get("/v1/features/ord_7").await.pointers(), ["/id"]);

    let ask = json!({
        "features": ["product_views_count_1d", "buyer_checkouts_count_30d", "product_views_count_1h"],
        "entities": [{ "product": cup(), "buyer": buyer() }, { "product": ProductId::from_u128(77), "buyer": buyer() }],
    });
    let answer = world.post("/v1/features", &ask).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let table = answer.json();
    assert_eq!((&table["views"], &table["view_of"]), (&json!(["product_views", "buyer_checkouts"]), &json!([0, 1, 0])));
    assert_eq!(table["rows"][0]["values"], json!([3.0, 0.0, 3.0]), "{table}");
    assert_eq!(table["rows"][1]["values"], json!([0.0, 0.0, 0.0]), "{table}");
    assert!(table["rows"][0]["event_times"][0].as_str().unwrap().starts_with("2026-03-01T12:00:00"), "{table}");
    assert_eq!(table["rows"][1]["event_times"], json!([null, null]), "{table}");
    let offsets: u64 =
        table["applied_offsets"].as_array().unwrap().iter().map(|one| one["offset"].as_u64().unwrap()).sum();
    assert_eq!(offsets, 3, "{table}");
    for (part, value, pointer) in [
        ("features", json!(["product_views_count_1y"]), "/features/0"),
        ("entities", json!([{ "buyer": buyer() }]), "/entities/0/product"),
        ("entities", json!([{ "product": cup(), "buyer": "buy_7" }]), "/entities/0/buyer"),
        ("entities", json!([{ "product": cup(), "buyer": buyer(), "shop": 1 }]), "/entities/0/shop"),
        ("entities", json!([]), "/entities"),
    ] {
        let mut wrong = ask.clone();
        wrong[part] = value;
        assert_eq!(world.post("/v1/features", &wrong).await.pointers(), [pointer], "{wrong}");
    }

    let status = world.until("/v1/status", |status| status["lag_events"] == 0).await;
    assert_eq!((&status["log_events"], &status["applied_events"]), (&json!(3), &json!(3)));
    assert!(status["freshness_us"]["count"].as_u64().unwrap() > 0 && status["requests"].as_u64().unwrap() > 0);

    let checkpointed = world.engine.clone();
    tokio::task::spawn_blocking(move || checkpointed.checkpoint()).await.unwrap().unwrap();
    let sql = |query: &str| json!({ "query": query });
    let query = "SELECT product, count(*) AS views, max(event_time) AS last, NULL AS nothing, avg(1.5) AS mean, true AS yes \
                 FROM product_viewed GROUP BY product";
    let answer = world.post("/v1/sql", &sql(query)).await.json();
    let columns: Vec<&str> =
        answer["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["product", "views", "last", "nothing", "mean", "yes"]);
    let row = &answer["rows"][0];
    assert_eq!(
        (&row[0], &row[1], &row[3], &row[4], &row[5]),
        (&json!(cup()), &json!(3), &Value::Null, &json!(1.5), &json!(true))
    );
    assert!(row[2].as_str().unwrap().starts_with("2026-03-01T12:00:00"), "{row}");
    let arrow = world.ask("POST", "/v1/sql").header("accept", "application/vnd.apache.arrow.stream");
    let arrow = arrow.json(&sql(query)).send().await;
    assert_eq!(arrow.header("content-type"), "application/vnd.apache.arrow.stream");
    let mut batches = arrow::ipc::reader::StreamReader::try_new(arrow.bytes.as_slice(), None).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!((batch.num_rows(), batch.schema().field(1).name().as_str()), (1, "views"));
    let none = world.post("/v1/sql", &sql("SELECT product FROM product_viewed WHERE false")).await.json();
    assert_eq!((&none["columns"][0]["name"], &none["rows"]), (&json!("product"), &json!([])));
    for refused in
        ["SELECT nothing FROM nowhere", "DROP TABLE product_viewed", "SELECT 1; SELECT 2", "CREATE TABLE t AS SELECT 1"]
    {
        let answer = world.post("/v1/sql", &sql(refused)).await;
        assert_eq!((answer.status, answer.pointers()), (422, vec!["/query".to_owned()]), "{refused}");
    }
    let large = world.post("/v1/sql", &sql(&cross_join("a.i", 3))).await;
    assert_eq!((large.status, large.code().as_str()), (422, "query_bound"), "25 × 25 × 25 rows are too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_python_library_posts_its_calls_unchanged() {
    segments_library_posts_its_calls_unchanged("segment_client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_node_library_posts_its_calls_unchanged() {
    segments_library_posts_its_calls_unchanged("node/segment_client.cjs").await;
}

async fn segments_library_posts_its_calls_unchanged(script: &str) {
    let world = World::new().await;
    let (_, key) = world.key("ten_default", &[Permission::EventsWrite, Permission::FeaturesRead]).await;
    run_client(&world, "segment", script, "", &key).await;
    while world.engine.lag().unwrap().1 > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // The library's clock shows today and the server's another day: the events stand at the server's.
    let buyer = BuyerId::from_reference(&TenantId::default(), "u-7");
    let names = ["buyer_views_count_1d", "buyer_orders_total_usd_minor_sum_90d"];
    let ask = json!({ "features": names, "entities": [{ "buyer": buyer }] });
    world.clock.advance(1_000_000);
    let row = world.ask("POST", "/v1/features").key(&key).json(&ask).send().await.json();
    assert_eq!(row["rows"][0]["values"], json!([1.0, 3998.0]), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_segment_are_judged_alone_and_a_key_may_be_a_user_without_password() {
    let world = World::new().await;
    let (_, key) = world.key("ten_default", &[Permission::EventsWrite]).await;
    let basic = |text: String| format!("Basic {}", BASE64_STANDARD.encode(text));
    let call = |event: &str, id: &str| {
        json!({
            "type": "track", "event": event, "messageId": id, "userId": "u", "timestamp": "2026-03-01T11:00:00Z",
            "properties": { "product_id": "p" },
        })
    };
    let batch = json!({ "batch": [
        call("Product Viewed", "1"), call("Coupon Applied", "2"), call("Product Added", "3"), { "type": "identify", "messageId": "4" },
    ] });
    let post = |authorization: String, body: &Value| {
        world.ask("POST", "/v1/batch").header("authorization", &authorization).json(body).send()
    };
    let answer = post(basic(format!("{key}:")), &batch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!((told["accepted"].as_array().unwrap().len(), &told["passed_over"]), (1, &json!([1, 3])));
    assert_eq!(told["rejected"][0]["pointer"], "/batch/2/properties/price");
    assert_eq!(told["success"], json!(false));
    let all_wrong = post(basic(format!("{key}:")), &json!({ "batch": [call("Product Added", "5")] })).await;
    assert_eq!((all_wrong.status, all_wrong.code().as_str()), (400, "events_rejected"));
    assert_eq!(post(basic(format!("{key}:")), &json!({ "batch": [] })).await.pointers(), ["/batch"]);
    for wrong in [basic(format!("{key}:password")), basic("nobody:".to_owned()), "Basic ?".to_owned()] {
        assert_eq!(post(wrong, &batch).await.status, 401);
    }
}
