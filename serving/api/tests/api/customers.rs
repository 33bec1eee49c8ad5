//! What is known of customers over HTTP: forecasts with intervals, churn and groups, as of a stated day.

use dhow_events::BuyerId;
use serde_json::{Value, json};

use crate::trained;
use crate::world::World;

fn cents(money: &Value) -> i64 {
    assert_eq!(money["currency"], "USD");
    money["amount"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_is_told_with_interval_churn_and_a_group_that_the_groups_name() {
    let world = World::new().await;
    let path = |number: u128| format!("/v1/customers/{}", BuyerId::from_u128(number));
    let bare = world.get(path(1)).await;
    assert_eq!((bare.status, bare.json()["code"].clone()), (503, json!("no_model")), "{bare:?}");
    assert_eq!(world.get("/v1/segments").await.status, 503);
    trained::customers(&world);
    let (stays, left) = (world.get(path(101)).await.json(), world.get(path(100)).await.json());
    assert_eq!((&stays["as_of"], &stays["days"]), (&json!("2025-04-22T00:00:00Z"), &json!(30)), "{stays}");
    for one in [&stays, &left] {
        let interval = &one["spend_interval_usd"];
        assert!(cents(&interval["low"]) <= cents(&interval["high"]) && interval["coverage"] == 0.8, "{one}");
        assert!(one["model"].as_str().unwrap().starts_with("small@mdl_"), "{one}");
    }
    // Numbers begin at 1: the buyer 101 is the even one.
    let churn = |one: &Value| one["churn_probability"].as_f64().unwrap();
    assert!(churn(&stays) < 0.2 && churn(&left) > 0.8, "{stays} {left}");
    assert!(cents(&stays["expected_spend_usd"]) > 5_000 && cents(&left["expected_spend_usd"]) < 500, "{stays} {left}");
    assert_ne!(stays["segment"], left["segment"]);
    let groups = world.get("/v1/segments").await.json();
    let buyers = groups["buyers"].as_array().unwrap();
    let named: Vec<&Value> = buyers.iter().map(|group| &group["name"]).collect();
    assert!(named.contains(&&stays["segment"]) && named.contains(&&left["segment"]), "{groups}");
    let shares: f64 = buyers.iter().map(|group| group["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9 && groups["suppliers"] == json!([]), "{groups}");
    assert_eq!(world.get(path(9_999)).await.status, 404);
    assert_eq!(world.get("/v1/customers/somebody").await.status, 400);
}
