//! Search over HTTP: it follows the catalogue, filters, counts, pages, and says where meanings are missing.

use std::path::PathBuf;

use dhow_events::{Clock, TenantId};
use dhow_registry::{Alias, EmbedderSettings, OnnxImport, Task, import_onnx};
use serde_json::{Value, json};

use crate::world::{World, product, seller};

fn titles(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap()).collect()
}

async fn shop() -> World {
    let world = World::new().await;
    for (title, cents, on_hand) in
        [("Red ceramic mug", 500, 3), ("Blue ceramic mug", 900, 0), ("Garden lantern", 1_500, 2)]
    {
        world.product(title, cents, on_hand).await;
    }
    let sold_out = |answer: &Value| {
        let items = answer["items"].as_array().unwrap();
        items.len() == 2 && items.iter().filter(|item| item["available"] == false).count() == 1
    };
    world.until("/v1/search?q=ceramic", sold_out).await;
    world.until("/v1/search?q=lantern", |answer| answer["total"] == 1).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_changed_and_taken_off_is_found_as_it_is() {
    let world = shop().await;
    let found = world.get("/v1/search?q=red%20mug&mode=keyword").await.json();
    assert_eq!(titles(&found), ["Red ceramic mug", "Blue ceramic mug"]);
    assert_eq!((&found["model"], &found["degraded"]), (&json!("words"), &json!(false)));
    assert_eq!(found["items"][0]["price_usd"], json!({ "amount": "500", "currency": "USD" }));
    // Another title of the same product replaces the one before.
    let id = found["items"][0]["product"].as_str().unwrap().to_owned();
    let mut changed = product("Crimson porcelain cup", 700);
    changed["reference"] = json!("Red ceramic mug");
    let path = format!("/v1/products/{id}");
    let etag = world.get(&path).await.header("etag").to_owned();
    let saved = world.ask("PUT", &path).header("if-match", &etag).json(&changed).send().await;
    assert_eq!(saved.status, 200, "{saved:?}");
    world.until("/v1/search?q=porcelain", |answer| answer["total"] == 1).await;
    assert_eq!(world.get("/v1/search?q=red&mode=keyword").await.json()["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_facets_speak_of_the_same_products() {
    let world = shop().await;
    let of = |query: &str| {
        format!("/v1/search?q=ceramic%20lantern&mode=keyword&facets=category,seller,price,ships_from{query}")
    };
    let all = world.get(of("")).await.json();
    assert_eq!(all["total"], 3);
    let shown = |value: &str, count: u64| json!({ "value": value, "count": count });
    assert_eq!(all["facets"]["category"], json!([shown("home", 3), shown("home/kitchen", 3)]));
    assert_eq!(all["facets"]["seller"], json!([shown(&seller().to_string(), 3)]));
    assert_eq!(all["facets"]["price"], json!([shown("500", 3), shown("1500", 3)]));
    assert_eq!(all["facets"]["ships_from"], json!([shown("GB", 3)]));
    let count = async |query: &str| world.get(of(query)).await.json()["total"].as_u64().unwrap();
    assert_eq!(count("&price_min=500&price_max=900").await, 2);
    assert_eq!(count("&available=true").await, 2);
    assert_eq!(count("&category=home").await, 3);
    assert_eq!(count("&category=toys,home/garden").await, 0);
    assert_eq!(count("&attribute=ships_from:NG,ships_from:GB&region=NG").await, 3);
    assert_eq!(count(&format!("&seller={}", dhow_events::SellerId::from_u128(9))).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_typos_and_beginnings_are_answered_and_wrong_parameters_named() {
    let world = shop().await;
    let first = world.get("/v1/search?q=mug&limit=1&mode=keyword").await.json();
    let next = first["next"].as_str().unwrap();
    let second = world.get(format!("/v1/search?q=mug&limit=1&mode=keyword&cursor={next}")).await.json();
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null));
    assert_ne!(first["items"][0]["product"], second["items"][0]["product"]);
    let typo = world.get("/v1/search?q=lantren").await.json();
    assert_eq!(
        (titles(&typo), &typo["corrections"]),
        (vec!["Garden lantern"], &json!([{ "word": "lantren", "used": ["lantern"] }]))
    );
    assert_eq!(titles(&world.get("/v1/search?q=gar&as_you_type=true").await.json()), ["Garden lantern"]);
    // Meanings were asked for and no model is there.
    assert_eq!(typo["degraded"], true);
    for (query, pointer) in [
        ("q=%20", "/q"),
        ("q=mug&limit=0", "/limit"),
        ("q=mug&cursor=abc", "/cursor"),
        ("q=mug&seller=me", "/seller"),
        ("q=mug&attribute=red", "/attribute"),
        ("q=mug&price_min=2&price_max=1", "/price"),
        ("q=mug&mode=other", "/mode"),
    ] {
        let answer = world.get(format!("/v1/search?{query}")).await;
        assert_eq!((answer.status, answer.pointers()), (400, vec![pointer.to_owned()]), "{answer:?}");
    }
    let foreign = world.get(format!("/v1/search?q=lantern&limit=1&mode=keyword&cursor={next}")).await;
    assert_eq!((foreign.status, foreign.pointers()), (400, vec!["/cursor".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_embedding_model_a_query_finds_what_shares_no_word_with_it() {
    let folder =
        std::env::var_os("DHOW_DATA_DIR").map(PathBuf::from).unwrap_or_else(|| PathBuf::from("../../../shared/data"));
    let folder = folder.join("models/minilm_int8");
    if !folder.is_dir() {
        println!("SKIPPED: with_an_embedding_model_a_query_finds_what_shares_no_word_with_it: data folder absent");
        return;
    }
    let world = shop().await;
    let (tenant, at) = (TenantId::default(), world.clock.now());
    let import = OnnxImport {
        name: "minilm",
        onnx: &folder.join("model_int8.onnx"),
        tokenizer: Some(&folder.join("tokenizer.json")),
        task: Task::Embedding,
        licence: "Apache-2.0",
        at,
        embedder: EmbedderSettings::default(),
    };
    let imported = import_onnx(world.engine.registry(), &tenant, &import).unwrap();
    let registry = world.engine.registry();
    registry.promote(&tenant, Task::Embedding, Alias::Champion, imported.card.model_id, at, "a test needs it").unwrap();
    world.engine.reload_models(tenant).unwrap();
    let by_meaning = |answer: &Value| answer["degraded"] == false && answer["items"][0]["title"] == "Red ceramic mug";
    let found = world.until("/v1/search?q=crimson%20coffee%20cup", by_meaning).await;
    assert!(found["model"].as_str().unwrap().starts_with("minilm@"), "{found}");
    assert!(found["items"][0]["similarity"].as_f64().unwrap() > 0.3, "{found}");
    assert_eq!(world.get("/v1/search?q=crimson%20coffee%20cup&mode=keyword").await.json()["total"], 0);
}
