//! Models' answers: what each carries, and what is said where there is none.

use dhow_engine::{ArmRecommender, ArmSettings, ExperimentSettings, StorefrontSettings};
use dhow_events::{BuyerId, ProductId, TenantId};
use dhow_experiments::TestSettings;
use serde_json::{Value, json};

use crate::trained;
use crate::world::{MONITOR_WINDOW, World, buyer, view};

fn score(cents: i64) -> Value {
    json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "GB", "payment_method": "wallet", "line_count": 1,
        "quantity": 1, "total": { "amount": cents.to_string(), "currency": "USD" },
    })
}

fn carries_a_models_part(answer: &Value) {
    assert!(answer["model"].as_str().unwrap().contains('@'), "{answer}");
    assert!(answer["decision_id"].as_str().unwrap().starts_with("dec_"), "{answer}");
    assert!(
        answer["reasons"].is_array() && answer["degraded"].is_boolean() && answer["latency_us"].is_i64(),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_the_answer_is_503_no_model() {
    let world = World::new().await;
    let cup = world.product("Cup", 500, 3).await;
    let checkout = json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "GB", "payment_method": "wallet",
        "lines": [{ "product": cup, "quantity": 1 }],
    });
    let answers = [
        world.post("/v1/recommendations", &json!({})).await,
        world.get(format!("/v1/products/{cup}/related")).await,
        world.post("/v1/fraud/scores", &score(500)).await,
        world.post("/v1/checkouts", &checkout).await,
        world.get(format!("/v1/forecasts/{cup}")).await,
        world.post("/v1/text-similarity", &json!({ "query": "a cup", "texts": ["a mug"] })).await,
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.code().as_str()), (503, "no_model"), "{answer:?}");
        assert!(answer.text.contains("dhow train"), "{answer:?}");
    }
    assert_eq!(world.get("/v1/orders").await.json()["items"], json!([]), "nothing was bought unscored");
    assert_eq!(world.get(format!("/v1/forecasts/{cup}?quantiles=0.5,2")).await.pointers(), ["/quantiles"]);
    assert_eq!(world.get(format!("/v1/forecasts/{cup}?horizon=x")).await.pointers(), ["/horizon"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slate_shows_available_products_and_its_decision_can_be_read() {
    let world = World::new().await;
    let mut products: Vec<ProductId> = Vec::new();
    for title in ["Cup", "Pot", "Pan", "Jug"] {
        products.push(world.product(title, 500, 3).await.parse().unwrap());
    }
    world.until("/v1/status", |status| status["products"] == 4 && status["lag_events"] == 0).await;
    trained::recommender(&world, &products);
    assert_eq!(world.post("/v1/events", &view(1, products[0])).await.status, 202);
    let pan = format!("/v1/products/{}/stock", products[2]);
    assert_eq!(world.ask("PUT", pan).json(&json!({ "on_hand": 0 })).send().await.status, 200);
    world.until("/v1/status", |status| status["log_events"].as_u64() >= Some(10) && status["lag_events"] == 0).await;

    let body = json!({ "session": "ses_00000000-0000-0000-0000-000000000077", "surface": "product", "count": 2 });
    let answer = world.post("/v1/recommendations", &body).await.json();
    carries_a_models_part(&answer);
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items[0]["product"], json!(products[1]), "shoppers went from the cup to the pot");
    assert_eq!(items[0]["because"], json!(products[0]));
    assert!(items.iter().all(|item| item["product"] != json!(products[2])), "the pan is sold out");
    assert_eq!(items[0]["price_usd"], json!({ "amount": "500", "currency": "USD" }));

    let path = format!("/v1/decisions/{}", answer["decision_id"].as_str().unwrap());
    let decision = world.until(&path, |_| true).await;
    assert_eq!((&decision["kind"], &decision["outcome"]), (&json!("recommendation"), &json!("answered")));
    assert_eq!(decision["answer"]["products"][0], json!(products[1]));

    let related = world.get(format!("/v1/products/{}/related?count=1", products[0])).await.json();
    carries_a_models_part(&related);
    assert_eq!(related["items"][0]["product"], json!(products[1]));
    let unknown = world.get("/v1/products/prd_01890a5d-ac96-774b-bcce-b302099a8057/related").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(world.post("/v1/recommendations", &json!({ "count": 101 })).await.pointers(), ["/count"]);
    assert_eq!(world.get(format!("/v1/products/{}/related?count=0", products[0])).await.pointers(), ["/count"]);

    let models = world.get("/v1/models").await.json();
    assert_eq!(
        (&models["aliases"][0]["task"], &models["aliases"][0]["alias"]),
        (&json!("recommend"), &json!("champion"))
    );
    assert_eq!(models["aliases"][0]["model_id"], models["cards"][0]["model_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fraud_score_has_its_probability_action_and_reasons_and_is_recorded_at_once() {
    let world = World::new().await;
    trained::fraud(&world);
    let cheap = world.post("/v1/fraud/scores", &score(1_200)).await.json();
    let dear = world.post("/v1/fraud/scores", &score(trained::DEAR_USD_MINOR * 2)).await.json();
    for answer in [&cheap, &dear] {
        carries_a_models_part(answer);
        assert!(answer["checkout"].as_str().unwrap().starts_with("chk_"));
        let path = format!("/v1/decisions/{}", answer["decision_id"].as_str().unwrap());
        let decision = world.get(path).await.json();
        assert_eq!(decision["subject"], answer["checkout"]);
        assert_eq!(decision["answer"]["probability"], answer["probability"]);
        assert!(decision["features"].as_array().unwrap().len() >= 20);
    }
    assert!(dear["probability"].as_f64() > cheap["probability"].as_f64());
    assert_eq!((&cheap["action"], &dear["action"]), (&json!("approve"), &json!("decline")));
    assert!(!dear["reasons"].as_array().unwrap().is_empty());

    let mut wrong = score(500);
    wrong["quantity"] = json!(-1);
    assert_eq!(world.post("/v1/fraud/scores", &wrong).await.pointers(), ["/quantity"]);
    wrong = score(-5);
    wrong["total_usd_minor"] = json!(5);
    assert_eq!(world.post("/v1/fraud/scores", &wrong).await.pointers(), ["/total/amount"]);
    wrong = score(500);
    wrong["total"]["currency"] = json!("ZZZ");
    assert_eq!(world.post("/v1/fraud/scores", &wrong).await.pointers(), ["/total/currency"]);
    wrong["total"]["currency"] = json!("JPY");
    let no_rate = world.post("/v1/fraud/scores", &wrong).await;
    assert_eq!((no_rate.status, no_rate.pointers()), (422, vec!["/total/currency".to_owned()]));

    let one = world.get("/v1/decisions?kind=fraud&limit=1").await.json();
    let cursor = one["next"].as_str().unwrap();
    let two = world.get(format!("/v1/decisions?kind=fraud&limit=1&cursor={cursor}")).await.json();
    assert_ne!(one["items"][0]["id"], two["items"][0]["id"]);
    assert_eq!(two["next"], Value::Null);
    assert_eq!(world.get("/v1/decisions?kind=guess").await.pointers(), ["/kind"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn served_vectors_are_computed_again_from_the_log_and_drift_from_the_training_data_is_told() {
    let world = World::new().await;
    trained::fraud(&world);
    let views: Vec<Value> = (0..30).map(|number| view(number, ProductId::from_u128(u128::from(number)))).collect();
    assert_eq!(world.post("/v1/events", &Value::from(views)).await.status, 202);

    // The model learned of checkouts from 1,000 to 1,600 cents and of dear ones; these all lie near the lower end.
    for cents in 0..MONITOR_WINDOW as i64 {
        assert_eq!(world.post("/v1/fraud/scores", &score(1_000 + cents)).await.status, 200);
    }
    world.engine.watch_tenant(TenantId::default()).await.unwrap();
    let health = world.get("/v1/status").await.json()["feature_health"].clone();
    assert_eq!((&health["state"], &health["parity_differences"]), (&json!("alert"), &json!(0)), "{health}");
    assert!(health["parity_values"].as_u64().unwrap() >= 100 * MONITOR_WINDOW as u64, "{health}");
    let drifted: Vec<&str> = health["drifted"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(drifted.contains(&"checkout_submitted_total_usd_minor"), "{health}");
    // Nobody had a refund in the training data, nor has now.
    assert!(!drifted.contains(&"buyer_returns_count_30d"), "{health}");
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains(&format!("dhow_drifted_features {}", drifted.len())), "{metrics}");

    // A second look finds nothing new to compute.
    world.engine.watch_tenant(TenantId::default()).await.unwrap();
    assert_eq!(world.get("/v1/status").await.json()["feature_health"]["parity_values"], health["parity_values"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_plan_speaks_vroom_and_says_what_it_saved() {
    let world = World::new().await;
    let job = |id: i64| json!({ "id": id, "location": [3.3 + id as f64 / 100.0, 6.5], "delivery": [1] });
    let problem = json!({
        "jobs": (1..=6).map(job).collect::<Vec<_>>(),
        "vehicles": [{ "id": 1, "start": [3.3, 6.5], "end": [3.3, 6.5], "capacity": [4] }],
    });
    let answer = world.post("/v1/routes", &problem).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!((&answer["code"], answer["unassigned"].as_array().unwrap().len()), (&json!(0), 2), "a van holds four");
    carries_a_models_part(&answer["dhow"]);
    assert!(answer["dhow"]["plan"].as_str().unwrap().starts_with("pln_"));
    assert!(answer["dhow"]["kpis"]["cost"].as_i64() <= answer["dhow"]["nearest_neighbour"]["cost"].as_i64());
    let mut wrong = problem.clone();
    wrong["jobs"][2]["location"] = json!([3.3]);
    assert_eq!(world.post("/v1/routes", &wrong).await.pointers()[0].split('/').nth(1), Some("jobs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starter_kit_holds_what_is_bought_with_the_product_and_is_in_stock() {
    let world = World::new().await;
    let mut products: Vec<ProductId> = Vec::new();
    for title in ["Cup", "Pot", "Pan", "Jug"] {
        products.push(world.product(title, 500, 3).await.parse().unwrap());
    }
    world.until("/v1/status", |status| status["products"] == 4 && status["lag_events"] == 0).await;
    trained::kits(&world, &products);
    let ask = json!({ "product": products[0], "region": "GB" });
    let answer = world.post("/v1/bundles", &ask).await.json();
    carries_a_models_part(&answer);
    let items = answer["items"].as_array().unwrap();
    let mut shown: Vec<&str> = items.iter().map(|item| item["title"].as_str().unwrap()).collect();
    shown.sort_unstable();
    assert_eq!(shown, ["Pan", "Pot"]);
    assert!(items.iter().all(|item| item["baskets"] == 100 && item["confidence"] == 1.0 && item["lift"] == 2.0));

    let pan = format!("/v1/products/{}/stock", products[2]);
    assert_eq!(world.ask("PUT", pan).json(&json!({ "on_hand": 0 })).send().await.status, 200);
    world.until("/v1/status", |status| status["log_events"].as_u64() >= Some(9) && status["lag_events"] == 0).await;
    let alone = world.post("/v1/bundles", &ask).await.json();
    assert_eq!(alone["items"], json!([]), "a kit has two complements or none");
    assert_eq!(world.post("/v1/bundles", &json!({ "product": products[3] })).await.json()["items"], json!([]));
    let wrong = json!({ "product": products[0], "complements": 9 });
    assert_eq!(world.post("/v1/bundles", &wrong).await.pointers(), ["/complements"]);
    let unknown = json!({ "product": "prd_01890a5d-ac96-774b-bcce-b302099a8057" });
    assert_eq!(world.post("/v1/bundles", &unknown).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_deals_shoppers_out_and_counts_what_came_of_each_arm() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/experiment").await.status, 404, "none runs");
    let mut products: Vec<ProductId> = Vec::new();
    for title in ["Cup", "Pot", "Pan", "Jug"] {
        products.push(world.product(title, 500, 3).await.parse().unwrap());
    }
    world.until("/v1/status", |status| status["products"] == 4 && status["lag_events"] == 0).await;
    trained::recommender(&world, &products);
    let arm = |name: &str, recommender| ArmSettings { name: name.to_owned(), weight: 1.0, recommender, policy: None };
    let experiment = ExperimentSettings {
        name: "trial".to_owned(),
        share: 1.0,
        arms: vec![arm("popular", ArmRecommender::Popular), arm("champion", ArmRecommender::Champion)],
        test: TestSettings::default(),
    };
    let settings = StorefrontSettings { experiment: Some(experiment), ..StorefrontSettings::default() };
    world.engine.set_storefront(settings).unwrap();

    let mut slates = std::collections::BTreeMap::<String, u64>::new();
    for shopper in 0..40 {
        let buyer = BuyerId::from_u128(shopper);
        let ask = json!({ "buyer": buyer, "surface": "home", "count": 2 });
        let arms: Vec<String> = {
            let (first, second) = (
                world.post("/v1/recommendations", &ask).await.json(),
                world.post("/v1/recommendations", &ask).await.json(),
            );
            [first, second].iter().map(|answer| answer["arm"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(arms[0], arms[1], "a shopper stays in an arm");
        *slates.entry(arms[0].clone()).or_default() += 2;
    }
    assert_eq!(slates.keys().collect::<Vec<_>>(), ["trial/champion", "trial/popular"]);
    // The slates come through the outbox into the log, and with a checkpoint into the lake.
    for _ in 0..100 {
        world.engine.checkpoint().unwrap();
        let report = world.get("/v1/experiment").await.json();
        let counted = |at: usize| report["arms"][at]["slates"].as_u64().unwrap();
        if counted(0) + counted(1) == 80 {
            assert_eq!(counted(0), slates["trial/popular"]);
            assert_eq!(report["arms"][0]["visitors"].as_u64().unwrap() * 2, counted(0));
            assert_eq!(report["clicks"][0]["verdict"], "no_verdict_yet");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the lake does not hold the slates");
}
