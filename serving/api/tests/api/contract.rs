//! The OpenAPI document against made-up requests: each answer is one that it tells of; what the answers mean is tested elsewhere.

use dhow_api::ApiSettings;
use dhow_commerce::Permission;
use dhow_events::ProductId;
use serde_json::{Value, json};

use crate::clients::run_client_at;
use crate::world::{World, buyer, seller};
use crate::{customs, inference, trained};

/// Requests of one run; the long version sets `DHOW_CONTRACT_CASES=50000`.
const CASES: &str = "5000";
const SEED: &str = "1";

/// A world in which most routes have something to answer, and the id that stands for `{id}` in each path.
async fn furnished(world: &World) -> Value {
    let product = world.product("Cup", 1_200, 1_000).await;
    let other = world.product("Saucer", 900, 1_000).await;
    trained::fraud(world);
    let checkout = json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "GB", "payment_method": "wallet",
        "lines": [{ "product": product, "quantity": 2 }],
    });
    let bought = world.post("/v1/checkouts", &checkout).await.json();
    assert_eq!(bought["state"], "completed", "{bought}");
    let ids: Vec<ProductId> = [&product, &other].into_iter().map(|id| id.parse().unwrap()).collect();
    trained::recommender(world, &ids);
    trained::demand(world, &[(ids[0], 5.0), (ids[1], 1.0)]);
    trained::delivery(world);
    trained::customers(world);
    customs::learn_codes(world);
    inference::register(world);
    let hook = json!({ "url": "https://example.com/hook", "types": ["order_placed"] });
    let hook = world.post("/v1/webhook-endpoints", &hook).await;
    assert_eq!(hook.status, 201, "{hook:?}");
    let hook = &hook.json()["endpoint"]["id"];
    let (order, payment, decision) =
        (&bought["orders"][0]["id"], &bought["payment"]["id"], &bought["fraud"]["decision"]);
    json!({
        "/v1/products/{id}": product, "/v1/products/{id}/stock": product, "/v1/products/{id}/related": other,
        "/v1/checkouts/{id}": bought["id"], "/v1/orders/{id}": order, "/v1/orders/{id}/timeline": order,
        "/v1/payments/{id}": payment, "/v1/payments/{id}/capture": payment, "/v1/payments/{id}/void": payment,
        "/v1/fraud/decisions/{id}": decision, "/v1/decisions/{id}": decision,
        "/v1/trust/sellers/{id}": seller(), "/v1/trust/buyers/{id}": buyer(), "/v1/customers/{id}": buyer(),
        "/v1/sellers/{id}/terms": seller(), "/v1/sellers/{id}/statement": seller(),
        "/v1/sellers/{id}/statement/lines": seller(),
        "/v1/webhook-endpoints/{id}/deliveries": hook, "/v1/webhook-endpoints/{id}/rotate-secret": hook,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_made_up_requests_is_one_that_the_openapi_document_tells_of() {
    let world = World::new().await;
    let ids = furnished(&world).await.to_string();
    let (_, key) = world.key("ten_default", &[Permission::Admin]).await;
    // One caller asks everything.
    let settings =
        ApiSettings { requests_per_second_max: u32::MAX, request_burst_max: u32::MAX, ..ApiSettings::default() };
    let cases = std::env::var("DHOW_CONTRACT_CASES").unwrap_or_else(|_| CASES.to_owned());
    let script = ("schemathesis", "contract_client.py", "");
    let told = run_client_at(&world, settings, script, &[&key, &cases, SEED, &ids]).await;
    let made = told.lines().find(|line| line.contains(" generated, ")).unwrap_or_default();
    println!("measured: {}", made.trim());
}
