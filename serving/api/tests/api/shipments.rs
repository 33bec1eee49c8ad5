//! Shipments over HTTP: quoted, labelled, given up, followed by a carrier's signed messages until the order is fulfilled.

use dhow_commerce::{Permission, sign};
use dhow_events::{HOUR_MICROS, SECOND_MICROS};
use serde_json::{Value, json};

use crate::trained;
use crate::world::{Answer, CARRIER_SECRET, World, seller};

fn parcels() -> Value {
    json!([{ "weight_grams": 800, "length_mm": 200, "width_mm": 150, "height_mm": 100 }])
}

fn place() -> Value {
    json!({ "latitude": 6.524_379, "longitude": 3.379_206 })
}

fn shipment(product: &Value, quantity: i64) -> Value {
    json!({
        "carrier": "simulated_post", "from": "GB", "place": place(), "parcels": parcels(),
        "units": [{ "product": product, "quantity": quantity }],
    })
}

/// Sends a carrier's message.
async fn tell(world: &World, carrier: &str, body: &Value, secret: &[u8]) -> Answer {
    let timestamp = (world.engine.clock().now().micros() / SECOND_MICROS).to_string();
    let body = body.to_string();
    let signature = sign(secret, "msg_1", &timestamp, body.as_bytes());
    let ask = world.ask("POST", format!("/v1/carriers/{carrier}/events")).header("webhook-id", "msg_1");
    let ask = ask.header("webhook-timestamp", &timestamp).header("webhook-signature", &signature);
    ask.body("application/json", body).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_carrier_is_asked_for_its_price_and_the_model_for_its_promise() {
    let world = World::new().await;
    let mut body = json!({ "from": "GB", "to": "GB", "parcels": parcels(), "currency": "USD" });
    let quoted = world.post("/v1/shipping-quotes", &body).await;
    assert_eq!(quoted.status, 200, "{quoted:?}");
    let told = |quoted: &Value, name: &str| -> Vec<Value> {
        quoted["offers"].as_array().unwrap().iter().map(|offer| offer[name].clone()).collect()
    };
    let by = |quoted: &Value| -> Vec<Value> {
        quoted["offers"].as_array().unwrap().iter().map(|offer| offer["promise"]["by"].clone()).collect()
    };
    assert_eq!(told(&quoted.json(), "carrier"), ["simulated_post", "simulated_express"], "cheapest first");
    assert_eq!(told(&quoted.json(), "chargeable_grams"), [json!(1_000), json!(1_000)], "by weight");
    assert_eq!(by(&quoted.json()), ["carrier", "carrier"]);
    (body["seller"], body["place"]) = (json!(seller()), place());
    assert_eq!(by(&world.post("/v1/shipping-quotes", &body).await.json()), ["carrier", "carrier"], "no model serves");
    trained::delivery(&world);
    let promised = world.post("/v1/shipping-quotes", &body).await.json();
    assert_eq!(by(&promised), ["model", "model"]);
    let promise = &promised["offers"][0]["promise"];
    assert!(promise["p10"].as_str() < promise["p90"].as_str(), "{promise}");
    body["parcels"][0]["weight_grams"] = json!(900_001);
    let none = world.post("/v1/shipping-quotes", &body).await.json();
    assert_eq!((&none["offers"], &none["failures"][1]["carrier"]), (&json!([]), &json!("simulated_post")));
    body["parcels"] = json!([]);
    let refused = world.post("/v1/shipping-quotes", &body).await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/parcels".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_shipped_in_parts_and_fulfilled_by_the_carriers_messages() {
    let world = World::new().await;
    trained::fraud(&world);
    let pot = world.product("Pot", 4_000, 5).await;
    let checkout = world.post("/v1/checkouts", &crate::payments::cart(&pot, 2)).await.json();
    let (order, product) =
        (checkout["orders"][0]["id"].as_str().unwrap(), &checkout["orders"][0]["lines"][0]["product"]);
    let path = format!("/v1/orders/{order}/shipments");
    let ship = |key: &str| world.ask("POST", &path).header("idempotency-key", key).json(&shipment(product, 1));
    let first = ship("s1").send().await;
    assert_eq!(
        (first.status, first.header("etag"), &first.json()["state"]),
        (201, "\"2\"", &json!("ready")),
        "{first:?}"
    );
    let again = ship("s1").send().await;
    assert_eq!((again.header("idempotency-replayed"), again.json()), ("true", first.json()));
    let reused = world.ask("POST", &path).header("idempotency-key", "s1").json(&shipment(product, 2)).send().await;
    assert_eq!((reused.status, reused.code().as_str()), (422, "idempotency_key_reused"));
    let over = world.post(&path, &shipment(product, 2)).await;
    assert_eq!((over.status, over.code().as_str()), (409, "shipping_refused"), "{over:?}");
    for (name, value, pointer) in [
        ("carrier", json!("nobody"), "/carrier"),
        ("place", json!({ "latitude": 91.0, "longitude": 0.0 }), "/place/latitude"),
        ("parcels", json!([]), "/parcels"),
        ("units", json!([]), "/units"),
    ] {
        let mut body = shipment(product, 1);
        body[name] = value;
        let refused = world.post(&path, &body).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{refused:?}");
    }

    let second = world.post(&path, &shipment(product, 1)).await.json();
    let void = format!("/v1/shipments/{}/void", second["id"].as_str().unwrap());
    let voided = world.ask("POST", &void).send().await;
    assert_eq!((voided.status, &voided.json()["state"]), (200, &json!("voided")), "{voided:?}");
    assert_eq!(world.ask("POST", &void).send().await.json(), voided.json(), "once is enough");
    world.clock.advance(SECOND_MICROS);
    let second = world.post(&path, &shipment(product, 1)).await.json();
    let list = world.get(format!("/v1/shipments?order={order}&state=ready&limit=1")).await.json();
    assert_eq!((&list["items"][0]["id"], list["next"].is_string()), (&second["id"], true));

    let (_, stranger) = world.key("ten_other", &[Permission::Admin]).await;
    let found = format!("/v1/shipments/{}", second["id"].as_str().unwrap());
    for ask in
        [world.ask("GET", &found), world.ask("POST", &void), world.ask("POST", &path).json(&shipment(product, 1))]
    {
        assert_eq!(ask.key(&stranger).send().await.status, 404);
    }
    let (_, admin) = world.key("ten_default", &[Permission::Admin]).await;
    let get = async |path: &str| world.ask("GET", path).key(&admin).send().await;

    let now = world.engine.clock().now();
    let events = |status: &str, at: i64| json!([{ "reference": status, "status": status, "occurred_at": now + at * HOUR_MICROS, "place": "Lagos" }]);
    for (one, status, at) in
        [(&first.json(), "delivered", 30), (&second, "delivered", 40), (&first.json(), "handed_over", 2)]
    {
        let body = json!({ "tenant": "ten_default", "shipment": one["id"], "tracking_number": "T1", "events": events(status, at) });
        assert_eq!(tell(&world, "simulated_post", &body, b"another secret").await.code(), "bad_signature");
        assert_eq!(tell(&world, "nobody", &body, CARRIER_SECRET).await.status, 404);
        assert_eq!(tell(&world, "simulated_express", &body, CARRIER_SECRET).await.status, 404, "not its shipment");
        for _ in 0..2 {
            let taken = tell(&world, "simulated_post", &body, CARRIER_SECRET).await;
            assert_eq!(taken.status, 204, "{taken:?}");
        }
    }
    let kept = get(&format!("/v1/orders/{order}")).await.json();
    assert_eq!(kept["state"], json!("fulfilled"), "{kept}");
    let followed = get(&found).await.json();
    assert_eq!((&followed["state"], &followed["place"]), (&json!("delivered"), &Value::Null));
    assert_eq!(followed["tracker"]["events"].as_array().map(Vec::len), Some(1), "each event once");
    let timeline = get(&format!("/v1/orders/{order}/timeline")).await.json();
    let steps = timeline["steps"].as_array().unwrap();
    assert_eq!(steps.iter().filter(|step| step["event"]["type"] == "dhow.order_fulfilled").count(), 1, "{timeline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_over_the_sea_goes_around_what_is_closed() {
    let world = World::new().await;
    let way = world.get("/v1/sea-routes?from=NLRTM&to=CNSHA").await;
    assert_eq!(
        (way.status, &way.json()["metres"], &way.json()["passages"]),
        (200, &json!(111_195), &json!(["canal"])),
        "{way:?}"
    );
    assert_eq!(way.json()["points"].as_array().map(Vec::len), Some(4), "both ports, and the legs' ends");
    let around = world.get("/v1/sea-routes?from=NLRTM&to=CNSHA&closed=canal").await.json();
    assert_eq!((&around["passages"], &around["to"]["name"]), (&json!(["strait"]), &json!("Shanghai")));
    for (query, status) in [
        ("from=NLRTM&to=CNSHA&closed=canal,strait", 409),
        ("from=NLRTM&to=BOLPB", 409),
        ("from=NLRTM&to=DEHAM", 404),
        ("from=NLRTM&to=x", 400),
        ("from=NLRTM", 400),
    ] {
        let refused = world.get(format!("/v1/sea-routes?{query}")).await;
        assert_eq!(refused.status, status, "{query}: {refused:?}");
    }
    let container = world.get("/v1/containers/CSQU3054383").await;
    let expected = json!({ "number": "CSQU3054383", "owner": "CSQ", "category": "container", "check_digit": "3" });
    assert_eq!((container.status, container.json()), (200, expected));
    for wrong in ["CSQU3054384", "csqu3054383", "CSQX3054383"] {
        let refused = world.get(format!("/v1/containers/{wrong}")).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec!["/number".to_owned()]), "{refused:?}");
    }
}
