//! Where products may be sold, asked over HTTP: search, recommendations, kits and checkout give one answer.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::ProductId;
use serde_json::{Value, json};

use crate::trained;
use crate::world::{World, buyer, product};

const PLACES: [&str; 6] = ["002", "150", "NG", "NG-LA", "GB", "DE"];
const REGIONS: [&str; 5] = ["NG-LA-IKEJA", "NG-KN", "GB", "DE-BW", "US-CA"];
const PRODUCTS: u64 = 11;

/// Drawn rules of up to four places, the first of none.
fn drawn_rule(number: u64, state: &mut u64) -> String {
    let mut draw = |below: u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % below
    };
    let count = if number == 0 { 0 } else { 1 + draw(4) };
    let place = |_| format!("{}{}", ["", "!"][draw(2) as usize], PLACES[draw(6) as usize]);
    (0..count).map(place).collect::<Vec<_>>().join(",")
}

fn ids(answer: &Value) -> BTreeSet<String> {
    answer["items"].as_array().unwrap().iter().map(|item| item["product"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn search_recommendations_and_checkout_refuse_the_same_products_for_the_same_region() {
    let world = World::new().await;
    let (mut rules, mut state) = (BTreeMap::new(), 20_261_123);
    for number in 0..PRODUCTS {
        let mut thing = product("Copper kettle", 500);
        thing["sale_regions"] = json!(drawn_rule(number, &mut state));
        let listed = world.post("/v1/products", &thing).await;
        assert_eq!(listed.status, 201, "{listed:?}");
        let (id, rule) = (listed.json()["id"].as_str().unwrap().to_owned(), listed.json()["sale_regions"].clone());
        world.ask("PUT", format!("/v1/products/{id}/stock")).json(&json!({ "on_hand": 9 })).send().await;
        rules.insert(id, rule);
    }
    let all: Vec<ProductId> = rules.keys().map(|id| id.parse().unwrap()).collect();
    world.until("/v1/status", |status| status["products"] == PRODUCTS && status["lag_events"] == 0).await;
    world.until("/v1/search?q=kettle&available=true", |answer| answer["total"] == PRODUCTS).await;
    trained::recommender(&world, &all);

    let related = |region: &str| format!("/v1/products/{}/related?count=100{region}", all[0]);
    let everywhere = ids(&world.get(related("")).await.json());
    assert_eq!(everywhere.len(), all.len() - 1, "every other product is related");
    let mut refused = 0;
    for region in REGIONS {
        let mut sold = BTreeSet::new();
        for (id, rule) in &rules {
            let lines = json!([{ "product": id, "quantity": 1 }]);
            let quote = world.post("/v1/quotes", &json!({ "lines": lines, "delivery_region": region })).await;
            if quote.status == 200 {
                sold.insert(id.clone());
                continue;
            }
            assert_eq!(
                (quote.status, quote.pointers()),
                (422, vec!["/lines/0/product".to_owned()]),
                "{rule}: {quote:?}"
            );
            assert!(quote.text.contains(&format!("is not sold in {region}")), "{quote:?}");
            refused += 1;
        }
        let found = world.get(format!("/v1/search?q=kettle&limit=100&region={region}")).await.json();
        assert_eq!(ids(&found), sold, "search in {region}: {rules:?}");
        let shown = ids(&world.get(related(&format!("&region={region}"))).await.json());
        assert_eq!(shown, everywhere.intersection(&sold).cloned().collect(), "related in {region}: {rules:?}");
        let ask = json!({ "surface": "home", "region": region, "count": 100 });
        let slate = ids(&world.post("/v1/recommendations", &ask).await.json());
        assert!(!slate.is_empty() && slate.is_subset(&sold), "a slate in {region}: {slate:?} of {rules:?}");
    }
    assert!((5..50).contains(&refused), "the rules refuse some of 55: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_counts_at_once_at_checkout_and_soon_in_search_and_a_wrong_one_is_refused() {
    let world = World::new().await;
    trained::fraud(&world);
    let mut kettle = product("Kettle", 1_500);
    kettle["sale_regions"] = json!("ng, !ng-la");
    let listed = world.post("/v1/products", &kettle).await;
    assert_eq!((listed.status, &listed.json()["sale_regions"]), (201, &json!("!NG-LA,NG")));
    let id = listed.json()["id"].as_str().unwrap().to_owned();
    world.ask("PUT", format!("/v1/products/{id}/stock")).json(&json!({ "on_hand": 9 })).send().await;
    let checkout = json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "NG-LA", "payment_method": "wallet",
        "lines": [{ "product": id, "quantity": 1 }],
    });
    let refused = world.post("/v1/checkouts", &checkout).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/lines/0/product".to_owned()]));
    world.until("/v1/search?q=kettle&region=NG-KN", |answer| answer["total"] == 1).await;
    assert_eq!(world.get("/v1/search?q=kettle&region=NG-LA").await.json()["total"], 0);

    kettle["sale_regions"] = json!("NG");
    let change = world.ask("PUT", format!("/v1/products/{id}")).header("if-match", "\"1\"").json(&kettle);
    assert_eq!(change.send().await.status, 200);
    let bought = world.post("/v1/checkouts", &checkout).await;
    assert_eq!((bought.status, &bought.json()["state"]), (201, &json!("completed")), "{bought:?}");
    world.until("/v1/search?q=kettle&region=NG-LA", |answer| answer["total"] == 1).await;

    kettle["sale_regions"] = json!("NG,Wakanda");
    let wrong = world.post("/v1/products", &kettle).await;
    assert_eq!((wrong.status, wrong.pointers()), (422, vec!["/sale_regions".to_owned()]), "{wrong:?}");
    assert!(wrong.text.contains("ISO 3166"), "{wrong:?}");
}
