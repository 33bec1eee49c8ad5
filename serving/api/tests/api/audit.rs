//! The audit log over HTTP: every change with its key and request, refusals too, questions not, and a chain that can be checked.

use dhow_commerce::Permission;
use serde_json::{Value, json};

use crate::world::{World, product, view};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_logged_with_its_key_and_request_and_the_chain_verifies() {
    let world = World::new().await;
    let (admin_id, admin) = world.key("ten_default", &[Permission::Admin]).await;
    let (seller_id, seller) = world.key("ten_default", &[Permission::ProductsWrite, Permission::StockWrite]).await;
    let (_, other) = world.key("ten_other", &[Permission::Admin]).await;
    let list = |key: &str| {
        let ask = world.ask("POST", "/v1/products").key(key).header("x-request-id", "shop-1");
        ask.header("idempotency-key", "cup").json(&product("Cup", 500)).send()
    };
    let made = list(&seller).await;
    assert_eq!((made.status, made.header("x-request-id")), (201, "shop-1"));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(list(&seller).await.header("idempotency-replayed"), "true");
    assert_eq!(list(&other).await.status, 201, "another tenant has a log of its own");
    let stock = world.ask("PUT", format!("/v1/products/{id}/stock")).key(&seller).json(&json!({ "on_hand": -1 }));
    let refused = stock.send().await;
    assert_eq!(refused.status, 422);
    let body = json!({ "name": "second", "permissions": ["models:read"] });
    let key = world.ask("POST", "/v1/api-keys").key(&admin).json(&body).send().await.json();
    let key_id = key["key"]["id"].as_str().unwrap();
    let revoked = world.ask("DELETE", format!("/v1/api-keys/{key_id}")).key(&admin).send().await;
    assert_eq!(revoked.status, 204);
    // Questions and events that are taken in change nothing that is ours to answer for.
    let event = view(1, id.parse().unwrap());
    assert_eq!(world.ask("POST", "/v1/events").key(&admin).json(&event).send().await.status, 202);
    assert_eq!(world.ask("GET", "/v1/products").key(&admin).send().await.status, 200);
    assert_eq!(world.ask("POST", "/v1/products").key("dhow_wrong").json(&json!({})).send().await.status, 401);

    let log = logged(&world, &admin, 5).await;
    let rows: Vec<Value> =
        log.iter().map(|row| json!([row["operation"], row["key"], row["outcome"], row["status"]])).collect();
    let expected = [
        json!(["POST /v1/products", seller_id, "changed", null]),
        json!(["POST /v1/products", seller_id, "unchanged", 201]),
        json!(["PUT /v1/products/{id}/stock", seller_id, "refused", 422]),
        json!(["POST /v1/api-keys", admin_id, "changed", null]),
        json!(["DELETE /v1/api-keys/{id}", admin_id, "changed", null]),
    ];
    assert_eq!(rows, expected);
    assert_eq!((&log[0]["subjects"], &log[0]["request_id"]), (&json!([id]), &json!("shop-1")));
    assert_eq!(log[2]["path"], json!(format!("/v1/products/{id}/stock")));
    assert_eq!(log[2]["request_id"], json!(refused.header("x-request-id")), "a fresh id where none was sent");
    assert_eq!(log[3]["subjects"], json!([key_id]));
    assert!(!log.iter().any(|row| row.to_string().contains(key["secret"].as_str().unwrap())));

    let verification = |path: &str| world.ask("GET", format!("/v1/audit-log/verification{path}")).key(&admin).send();
    let found = verification("").await.json();
    assert_eq!(json!([found["intact"], found["verified"], found["last_place"]]), json!([true, 5, 5]));
    assert_eq!(found["last_hash"], log[4]["hash"]);
    assert_eq!(verification("?after=3").await.json()["verified"], 2);
    assert_eq!(verification("?after=-1").await.pointers(), ["/after"]);
    assert_eq!(logged(&world, &other, 1).await[0]["operation"], "POST /v1/products");
}

/// The rows of a tenant's log, oldest first, once there are `count`; read in pages of two.
async fn logged(world: &World, key: &str, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.ask("GET", format!("/v1/audit-log?limit=2{cursor}")).key(key).send().await.json();
            rows.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        if rows.len() >= count {
            rows.reverse();
            assert!(rows.iter().enumerate().all(|(index, row)| row["place"] == index + 1), "{rows:?}");
            return rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("fewer than {count} rows were chained");
}
