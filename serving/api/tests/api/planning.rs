//! What planners do over HTTP: forecasts of many series, reorder proposals from them, approvals within a budget.

use dhow_events::{CarrierId, Category, ProductId, SellerId, ShipmentId};
use dhow_forecast::Member;
use serde_json::{Value, json};

use crate::trained;
use crate::world::World;

const PROPOSALS: &str = "/v1/reorder-proposals";

/// Three products, of which the first two sell.
async fn shop(world: &World) -> Vec<String> {
    let mut products = Vec::new();
    for (title, on_hand) in [("Cup", 30), ("Pot", 500), ("Pan", 5)] {
        products.push(world.product(title, 1_000, on_hand).await);
    }
    let sold = |at: usize, level: f64| (products[at].parse::<ProductId>().unwrap(), level);
    trained::demand(world, &[sold(0, 10.0), sold(1, 4.0)]);
    products
}

fn ask(products: &[String]) -> Value {
    let item = |product: &String| {
        json!({
            "product": product, "unit_cost": { "amount": "400", "currency": "USD" }, "pack_units": 12, "minimum_units": 24,
        })
    };
    json!({ "lead_days": 10, "items": products.iter().map(item).collect::<Vec<_>>() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_forecasts_what_the_model_knows_and_names_the_rest() {
    let world = World::new().await;
    let products = shop(&world).await;
    let series: Vec<Value> = products.iter().map(|product| json!({ "product": product })).collect();
    let asked = json!({ "series": series, "horizon": 7, "quantiles": [0.5, 0.95] });
    let answer = world.post("/v1/forecasts/batch", &asked).await.json();
    assert_eq!((answer["forecasts"].as_array().unwrap().len(), answer["unknown"].as_array().unwrap().len()), (2, 1));
    assert_eq!(answer["unknown"][0]["product"], json!(products[2]));
    let alone = world.get(format!("/v1/forecasts/{}?horizon=7&quantiles=0.5,0.95", products[0])).await.json();
    assert_eq!(answer["forecasts"][0]["days"], alone["days"], "a batch answers as each question alone");
    assert_eq!(world.post("/v1/forecasts/batch", &json!({ "series": [] })).await.pointers(), ["/series"]);
    let far = json!({ "series": asked["series"], "horizon": 91 });
    assert_eq!(world.post("/v1/forecasts/batch", &far).await.pointers(), ["/horizon"]);
    let odd = json!({ "series": asked["series"], "quantiles": [1.5] });
    assert_eq!(world.post("/v1/forecasts/batch", &odd).await.pointers(), ["/quantiles"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn forecasts_of_groups_are_what_their_products_add_up_to() {
    let world = World::new().await;
    let mut products = Vec::new();
    for title in ["Cup", "Pot", "Doll"] {
        products.push(world.product(title, 1_000, 10).await.parse::<ProductId>().unwrap());
    }
    let seller = SellerId::from_u128(7);
    let member = |category: &str| Member { category: Category::new(category).ok(), seller: Some(seller) };
    let sold = [
        (products[0], member("home/kitchen"), 4.0),
        (products[1], member("home"), 9.0),
        (products[2], member("toys"), 2.0),
    ];
    trained::market(&world, &sold);
    let expected = async |path: String| {
        let answer = world.get(path).await.json();
        let days = answer["days"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        assert_eq!(days.len(), 30, "{answer}");
        days.iter().map(|day| day["expected"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let mut rows = Vec::new();
    for product in &products {
        rows.push(expected(format!("/v1/forecasts/{product}")).await);
    }
    for (path, members) in [
        ("/v1/forecasts".to_owned(), &rows[..]),
        ("/v1/forecasts?category=home".to_owned(), &rows[..2]),
        (format!("/v1/forecasts?seller={seller}"), &rows[..]),
    ] {
        for (day, total) in expected(path.clone()).await.into_iter().enumerate() {
            let sum: f64 = members.iter().map(|row| row[day]).sum();
            assert!((sum - total).abs() < 1e-6 * total, "{path}: {sum} against {total}");
        }
    }
    let of_region = world.get("/v1/forecasts?category=toys&region=GB&quantiles=0.5".to_owned()).await.json();
    let method = of_region["method"].as_str().unwrap();
    assert!(method.starts_with("sum of") || method.contains(", reconciled "), "{of_region}");
    assert_eq!(of_region["days"][0]["quantiles"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("/v1/forecasts?category=gardens".to_owned()).await.status, 404);
    let regions = world.get("/v1/forecasts/regions?category=home&horizon=30".to_owned()).await.json();
    let rows = regions["regions"].as_array().unwrap_or_else(|| panic!("{regions}"));
    let of_home: f64 = expected("/v1/forecasts?category=home".to_owned()).await.iter().sum();
    let by_region: f64 = rows.iter().map(|row| row["expected"].as_f64().unwrap()).sum();
    assert!(rows.len() == 2 && (by_region - of_home).abs() < 1e-6 * of_home, "{regions}");
    let accuracy = world.get(format!("/v1/forecasts/accuracy?product={}", products[0])).await.json();
    assert!(accuracy["since"].is_null() && accuracy["validated"]["days"].as_u64().unwrap() > 0, "{accuracy}");
    assert_eq!(world.get("/v1/forecasts/accuracy?category=gardens".to_owned()).await.status, 404);
    let two = world.get(format!("/v1/forecasts/regions?product={}&category=home", products[0])).await;
    assert_eq!(two.pointers(), ["/category"]);
    let both = world.get(format!("/v1/forecasts?category=toys&seller={seller}")).await;
    assert_eq!(both.pointers(), ["/seller"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parcel_is_told_its_time_and_the_day_to_promise_for_it() {
    let world = World::new().await;
    let parcel = json!({
        "seller": SellerId::from_u128(1), "origin": "GB", "destination": "KE", "latitude": -1.3, "longitude": 36.8,
        "weight_grams": 500, "at": "2026-03-02T12:00:00Z",
    });
    let path = "/v1/delivery-times";
    assert_eq!(world.post(path, &parcel).await.status, 503, "no model is in force");
    trained::delivery(&world);
    let minutes = async |change: Value| {
        let mut asked = parcel.clone();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = world.post(path, &asked).await.json();
        let of = |row: &Value| row["minutes"].as_f64().unwrap();
        let told: Vec<f64> =
            answer["quantiles"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(of).collect();
        assert!(told.is_sorted(), "{answer}");
        (told, answer)
    };
    let (from_order, answer) = minutes(json!({})).await;
    assert!(answer["promise"].is_null() && answer["from"] == "ordered", "{answer}");
    let of_carrier = |carrier: u128| json!({ "from": "dispatched", "carrier": CarrierId::from_u128(carrier) });
    let (fast, _) = minutes(of_carrier(1)).await;
    let (slow, _) = minutes(of_carrier(2)).await;
    assert!(fast[1] < 1.15 * 2_880.0 && slow[1] > 0.85 * 4_320.0, "{fast:?} {slow:?}");
    assert!(from_order[0] < fast[2] && from_order[2] > slow[0], "{from_order:?} holds both carriers");
    let shipment = ShipmentId::from_u128(8);
    let (_, named) = minutes(json!({ "shipment": shipment })).await;
    let path_of_decision = format!("/v1/decisions/{}", named["decision_id"].as_str().unwrap());
    let recorded = world.until(&path_of_decision, |decision| decision["kind"] == "delivery_time").await;
    assert_eq!(recorded["subject"], json!(shipment), "{recorded}");
    assert_eq!(recorded["answer"]["minutes"][1], named["quantiles"][1]["minutes"]);
    assert_eq!(named["reasons"][0]["code"], "lane", "{named}");
    let costs = |late: f64| json!({ "costs": { "late_per_day": late, "early_per_day": 1.0 } });
    let by = |answer: &Value| answer["promise"]["by"].as_str().unwrap().to_owned();
    let (eager, careful) = (minutes(costs(0.2)).await.1, minutes(costs(30.0)).await.1);
    assert!(by(&eager) < by(&careful), "{eager} {careful}");
    assert!(careful["promise"]["probability_late"].as_f64().unwrap() < 0.1);
    let refused = async |change: Value| {
        let mut asked = parcel.clone();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.post(path, &asked).await.pointers()
    };
    assert_eq!(refused(json!({ "latitude": 91.0 })).await, ["/latitude"]);
    assert_eq!(refused(json!({ "weight_grams": -1 })).await, ["/weight_grams"]);
    assert_eq!(refused(json!({ "costs": { "early_per_day": 0.0 } })).await, ["/costs/early_per_day"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proposals_cover_lead_and_review_time_in_packs_and_become_stock() {
    let world = World::new().await;
    let products = shop(&world).await;
    let made = world.post(PROPOSALS, &ask(&products)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let proposal = &made["proposed"][0];
    assert_eq!(made["proposed"].as_array().unwrap().len(), 1, "{made}");
    assert_eq!((&proposal["product"], &proposal["state"]), (&json!(products[0]), &json!("proposed")));
    let (units, level) =
        (proposal["units"].as_i64().unwrap(), proposal["reasons"]["order_up_to_units"].as_i64().unwrap());
    // Ten a day for 10 + 7 days, 30 there: 140 and some for safety.
    assert!(units % 12 == 0 && (144..=192).contains(&units) && (170..=210).contains(&level), "{proposal}");
    assert!(proposal["reasons"]["stockout_probability"][1].as_f64().unwrap() <= 0.05);
    assert_eq!(made["covered"][0]["product"], json!(products[1]));
    assert_eq!(made["unknown"][0]["product"], json!(products[2]));

    let path = format!("{PROPOSALS}/{}", proposal["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.json(), *proposal);
    let person = json!({ "person": "ann" });
    for (step, state) in
        [("approve", "approved"), ("order", "ordered"), ("receive", "received"), ("receive", "received")]
    {
        let moved = world.post(&format!("{path}/{step}"), &person).await;
        assert_eq!((moved.status, moved.json()["state"].as_str()), (200, Some(state)), "{moved:?}");
    }
    let late = world.post(&format!("{path}/reject"), &person).await;
    assert_eq!((late.status, late.code().as_str()), (409, "state_conflict"));
    let stock = world.get(format!("/v1/products/{}/stock", products[0])).await.json();
    assert_eq!(stock["on_hand"], json!(30 + units));
    let again = world.post(PROPOSALS, &ask(&products[..1])).await.json();
    assert!(again["proposed"].as_array().unwrap().is_empty() && again["covered"].as_array().unwrap().len() == 1);
    let listed = world.get(format!("{PROPOSALS}?state=received")).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_cuts_proposals_and_refuses_an_approval_beyond_it() {
    let world = World::new().await;
    let products = shop(&world).await;
    let free = world.post(PROPOSALS, &ask(&products[..1])).await.json()["proposed"][0].clone();
    let budgets =
        json!({ "day_usd_minor": 24_000, "week_usd_minor": null, "month_usd_minor": 1_000_000, "approval_levels": [] });
    assert_eq!(world.ask("PUT", "/v1/reorder-budgets").json(&budgets).send().await.json(), budgets);
    let person = json!({ "person": "ann" });
    let both = json!({ "approval_levels": [{ "from_usd_minor": 0, "approvals": 2 }] });
    assert_eq!(world.ask("PUT", "/v1/reorder-budgets").json(&both).send().await.status, 200);
    let approve = format!("{PROPOSALS}/{}/approve", free["id"].as_str().unwrap());
    assert_eq!(world.post(&approve, &json!({ "person": "cleo" })).await.json()["state"], "proposed");
    assert_eq!(world.post(&approve, &json!({ "person": "cleo" })).await.code(), "another_person_needed");
    assert_eq!(world.ask("PUT", "/v1/reorder-budgets").json(&budgets).send().await.json(), budgets);
    let dear = world.post(&format!("{PROPOSALS}/{}/approve", free["id"].as_str().unwrap()), &person).await;
    assert_eq!((dear.status, dear.code().as_str()), (409, "budget_spent"));
    assert!(dear.text.contains("the day's budget has 24000 left"), "{dear:?}");
    let cut = world.post(PROPOSALS, &ask(&products[..1])).await.json()["proposed"][0].clone();
    assert_eq!((&cut["units"], &cut["cost_usd_minor"]), (&json!(60), &json!(24_000)), "five packs of twelve at 4.00");
    assert_eq!((&cut["reasons"]["cut"], &cut["reasons"]["wanted_units"]), (&json!("partly"), &free["units"]));
    let approved = world.post(&format!("{PROPOSALS}/{}/approve", cut["id"].as_str().unwrap()), &person).await;
    assert_eq!(approved.status, 200);
    world.ask("PUT", format!("/v1/products/{}/stock", products[0])).json(&json!({ "on_hand": 0 })).send().await;
    let spent = world.post(PROPOSALS, &ask(&products[..1])).await.json();
    assert_eq!(spent["cut"][0]["product"], json!(products[0]), "{spent}");
    let superseded = world.get(format!("{PROPOSALS}?state=superseded")).await.json();
    assert_eq!(superseded["items"][0]["id"], free["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_items_are_refused_with_their_place() {
    let world = World::new().await;
    let products = shop(&world).await;
    let wrong = async |change: fn(&mut Value)| {
        let mut asked = ask(&products);
        change(&mut asked);
        world.post(PROPOSALS, &asked).await.pointers()
    };
    assert_eq!(wrong(|asked| asked["items"] = json!([])).await, ["/items"]);
    assert_eq!(wrong(|asked| asked["lead_days"] = json!(88)).await, ["/items/0/review_days"]);
    assert_eq!(wrong(|asked| asked["items"][1]["pack_units"] = json!(0)).await, ["/items/1/pack_units"]);
    assert_eq!(wrong(|asked| asked["items"][1]["service_level"] = json!(1.0)).await, ["/items/1/service_level"]);
    assert_eq!(wrong(|asked| asked["items"][1] = asked["items"][0].clone()).await, ["/items/1/product"]);
    assert_eq!(
        wrong(|asked| asked["items"][0]["unit_cost"]["currency"] = json!("XAU")).await,
        ["/items/0/unit_cost/currency"]
    );
    assert_eq!(world.get(PROPOSALS).await.json()["items"], json!([]), "nothing was stored");
}
