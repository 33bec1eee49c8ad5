//! The category tree, attributes, media and reviews of products over HTTP.

use serde_json::{Value, json};

use crate::world::{World, product};

fn kettle(changes: Value) -> Value {
    let mut kettle = product("Copper kettle", 500);
    for (name, value) in changes.as_object().expect("an object") {
        kettle[name] = value.clone();
    }
    kettle
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_category_asks_for_its_attributes_and_search_finds_what_is_below_it() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/categories").await.status, 404);
    let tree = json!({ "categories": [
        { "path": "home", "name": "Home" },
        { "path": "home/kitchen", "name": "Kitchen", "attributes": [
            { "key": "capacity", "kind": "number", "unit": "l", "required": true },
        ] },
    ] });
    let put = async |header: (&str, &str), body: &Value| {
        world.ask("PUT", "/v1/categories").header(header.0, header.1).json(body).send().await
    };
    let written = put(("if-none-match", "*"), &tree).await;
    assert_eq!((written.status, &written.json()["version"]), (200, &json!(1)), "{written:?}");
    assert_eq!(put(("if-none-match", "*"), &tree).await.status, 412);
    assert_eq!(world.get("/v1/categories").await.json(), written.json());

    let media = json!([{ "kind": "image", "url": "https://cdn.example/kettle.jpg", "alt": "a kettle" }]);
    let right = kettle(json!({ "category": "home/kitchen", "attributes": { "capacity": 1.7 }, "media": media }));
    let listed = world.post("/v1/products", &right).await;
    assert_eq!((listed.status, &listed.json()["media"]), (201, &media), "{listed:?}");
    assert_eq!((&listed.json()["attributes"], &listed.json()["review"]), (&json!({ "capacity": 1.7 }), &Value::Null));
    for (changes, pointer) in [
        (json!({ "category": "garden" }), "/category"),
        (json!({ "category": "home/kitchen" }), "/attributes/capacity"),
        (json!({ "category": "home", "attributes": { "capacity": 1 } }), "/attributes/capacity"),
        (json!({ "category": "home", "media": [{ "kind": "image", "url": "ftp://a" }] }), "/media/0/url"),
        (json!({ "category": "home", "media": [{ "kind": "song", "url": "https://a/" }] }), "/media/0/kind"),
    ] {
        let refused = world.post("/v1/products", &kettle(changes.clone())).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{changes}: {refused:?}");
    }
    let gone = put(("if-match", "\"1\""), &json!({ "categories": [{ "path": "home", "name": "Home" }] })).await;
    assert_eq!((gone.status, gone.code().as_str()), (409, "category_in_use"), "{gone:?}");

    world.until("/v1/search?q=kettle", |answer| answer["total"] == 1).await;
    let id = listed.json()["id"].clone();
    for (category, found) in [("home", 1), ("home/kitchen", 1), ("garden", 0)] {
        let answer = world.get(format!("/v1/search?q=kettle&category={category}")).await.json();
        let items = answer["items"].as_array().expect("items");
        assert_eq!(items.len(), found, "{category}: {answer}");
        assert!(items.iter().all(|item| item["product"] == id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_rejected_is_told_why_and_is_bought_and_found_by_nobody() {
    let world = World::new().await;
    let listed = world.post("/v1/products", &kettle(json!({}))).await.json();
    let path = format!("/v1/products/{}", listed["id"].as_str().expect("an id"));
    world.ask("PUT", format!("{path}/stock")).json(&json!({ "on_hand": 9 })).send().await;
    world.until("/v1/search?q=kettle", |answer| answer["total"] == 1).await;
    let review = async |version: &str, body: Value| {
        world.ask("POST", format!("{path}/reviews")).header("if-match", version).json(&body).send().await
    };
    assert_eq!(world.post(&format!("{path}/reviews"), &json!({ "by": "ann", "to": "listed" })).await.status, 428);
    for (body, pointer) in [
        (json!({ "by": "ann", "to": "rejected" }), "/note"),
        (json!({ "by": "", "to": "listed" }), "/by"),
        (json!({ "by": "ann", "to": "delisted" }), "/to"),
    ] {
        let refused = review("\"1\"", body.clone()).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{body}: {refused:?}");
    }
    let rejected = review("\"1\"", json!({ "by": "ann", "to": "rejected", "note": "it is of brass" })).await;
    assert_eq!((rejected.status, &rejected.json()["state"]), (200, &json!("rejected")), "{rejected:?}");
    assert_eq!(world.get(&path).await.json()["review"]["note"], json!("it is of brass"));
    let page = world.get("/v1/products?state=rejected").await.json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get("/v1/products?state=in_review").await.json()["items"], json!([]));
    world.until("/v1/search?q=kettle", |answer| answer["total"] == 0).await;
    assert_eq!(review("\"1\"", json!({ "by": "ben", "to": "listed" })).await.status, 412);
    let back = review("\"2\"", json!({ "by": "ben", "to": "listed" })).await;
    assert_eq!((back.status, &back.json()["state"]), (200, &json!("listed")), "{back:?}");
    world.until("/v1/search?q=kettle", |answer| answer["total"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_are_listed_from_any_of_them() {
    let world = World::new().await;
    let shirt = |size: &str| kettle(json!({ "variant": { "group": "kettle", "options": { "size": size } } }));
    let small = world.post("/v1/products", &shirt("S")).await.json();
    let large = world.post("/v1/products", &shirt("L")).await.json();
    for one in [&small, &large] {
        let listed = world.get(format!("/v1/products/{}/variants", one["id"].as_str().expect("an id"))).await.json();
        assert_eq!(listed, json!({ "items": [&large, &small] }));
    }
    let again = world.post("/v1/products", &shirt("S")).await;
    assert_eq!((again.status, again.pointers()), (422, vec!["/variant/options".to_owned()]), "{again:?}");
    let absent = world.get("/v1/products/prd_01890a5d-ac96-774b-bcce-b302099a8057/variants").await;
    assert_eq!(absent.status, 404);
}
