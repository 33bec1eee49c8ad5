//! Duty, tax and papers of goods at a border, over HTTP.

use dhow_codes::{Example, LearnSettings, learn};
use dhow_commerce::Permission;
use dhow_events::{Clock, TenantId};
use dhow_registry::{Alias, EmbedderSettings, OnnxImport, Task, import_onnx, open_embedder};
use serde_json::{Value, json};

use crate::trained::promote;
use crate::world::World;

#[path = "../../../../models/registry/tests/registry/word_encoder.rs"]
mod word_encoder;

fn usd(minor: i64) -> Value {
    json!({ "amount": minor.to_string(), "currency": "USD" })
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_are_quoted_with_a_reason_for_every_part_and_the_papers_that_they_need() {
    let world = World::new().await;
    let ask = |change: Value| {
        let mut body = json!({
            "destination": "US", "on": "2025-03-01", "documents": ["commercial_invoice"],
            "goods": [{ "hs": "6109.10.00", "origin": "CN", "value": usd(1_000_000) }],
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let quoted = world.post("/v1/customs/quotes", &ask(json!({}))).await;
    assert_eq!(quoted.status, 200, "{quoted:?}");
    let quote = quoted.json();
    // 16.5 % of the tariff; 10 % and 7.5 % besides.
    assert_eq!((&quote["duty"], &quote["tax"], &quote["total"]), (&usd(340_000), &usd(0), &usd(340_000)));
    let parts = quote["lines"][0]["parts"].as_array().unwrap();
    let told: Vec<Value> =
        parts.iter().map(|part| json!([part["id"], part["amount"]["amount"], part["reason"]])).collect();
    assert_eq!(told[0], json!(["6109.10.00", "165000", "T-shirts of cotton: 16.5 %"]));
    assert!(told.contains(&json!(["9903.01.20", "100000", "China and Hong Kong: 10 %"])), "{told:?}");
    assert_eq!((&quote["may_cross"], &quote["findings"][0]["met"]), (&json!(true), &json!(true)));
    assert_eq!((&quote["tariff"], &quote["on"]), (&json!("US-2025-spring"), &json!("2025-03-01")));
    let bare = world.post("/v1/customs/quotes", &ask(json!({ "documents": [] }))).await.json();
    assert_eq!((&bare["may_cross"], &bare["findings"][0]["document"]), (&json!(false), &json!("commercial_invoice")));

    let line = |hs: &str, value: Value| json!({ "goods": [{ "hs": hs, "origin": "CN", "value": value }] });
    let euros = json!({ "amount": "100", "currency": "EUR" });
    for (change, pointer) in [
        (json!({ "destination": "FR" }), "/destination"),
        (json!({ "on": null }), "/destination"),
        (json!({ "on": "2026-01-01" }), "/destination"),
        (json!({ "on": "tomorrow" }), "/on"),
        (json!({ "goods": [] }), "/goods"),
        (line("0101.21.00", usd(1)), "/goods/0/hs"),
        (line("61", usd(1)), "/goods/0/hs"),
        (line("6109.10.00", usd(-1)), "/goods/0/value/amount"),
        (line("6109.10.00", euros), "/goods/0/value/currency"),
    ] {
        let refused = world.post("/v1/customs/quotes", &ask(change.clone())).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{change}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_is_drafted_submitted_with_its_papers_and_cleared() {
    let world = World::new().await;
    let body =
        json!({ "destination": "KE", "goods": [{ "hs": "6109.10.00", "origin": "VN", "value": usd(1_000_000) }] });
    let draft = || world.ask("POST", "/v1/customs/declarations").header("idempotency-key", "d1").json(&body);
    let drafted = draft().send().await;
    assert_eq!((drafted.status, drafted.header("etag"), &drafted.json()["state"]), (201, "\"1\"", &json!("draft")));
    assert_eq!(draft().send().await.header("idempotency-replayed"), "true");
    let path = drafted.header("location").to_owned();
    let step = async |version: &str, change: Value| {
        let ask = world.ask("POST", format!("{path}/steps")).header("if-match", version);
        ask.json(&json!({ "by": "ann", "change": change })).send().await
    };
    let bare = step("\"1\"", json!({ "step": "submit" })).await;
    assert_eq!((bare.status, bare.code().as_str()), (409, "declaration_refused"), "{bare:?}");
    let papers = json!({ "step": "attach", "documents": [{ "kind": "commercial_invoice", "reference": "17" }] });
    assert_eq!(step("\"1\"", papers).await.header("etag"), "\"2\"");
    assert_eq!(step("\"1\"", json!({ "step": "submit" })).await.status, 412);
    let submitted = step("\"2\"", json!({ "step": "submit" })).await;
    assert_eq!((submitted.status, &submitted.json()["submitted_on"]), (200, &json!("2026-03-01")), "{submitted:?}");
    // 10 % of the value, and 19 % of both.
    assert_eq!(submitted.json()["quote"]["total_minor"], json!(309_000), "{submitted:?}");
    assert_eq!(step("\"3\"", json!({ "step": "answer", "to": "cleared" })).await.json()["state"], "cleared");
    assert_eq!(step("\"4\"", json!({ "step": "answer", "to": "held" })).await.code(), "declaration_refused");
    let list = world.get("/v1/customs/declarations?state=cleared").await.json();
    assert_eq!((&list["items"][0], &list["next"]), (&world.get(&path).await.json(), &Value::Null));
    let mut nowhere = body.clone();
    nowhere["destination"] = json!("FR");
    assert_eq!(world.post("/v1/customs/declarations", &nowhere).await.pointers(), ["/destination"]);
    let (_, stranger) = world.key("ten_other", &[Permission::Admin]).await;
    assert_eq!(world.ask("GET", &path).key(&stranger).send().await.status, 404);
}

/// Puts an embedding model in force that knows a few words, and a model of codes that learned from texts of them.
pub fn learn_codes(world: &World) {
    let folder = tempfile::tempdir().unwrap();
    let (graph, tokenizer) = word_encoder::word_encoder(&word_encoder::groups());
    let [onnx, words] = ["model.onnx", "tokenizer.json"].map(|name| folder.path().join(name));
    std::fs::write(&onnx, graph).unwrap();
    std::fs::write(&words, tokenizer).unwrap();
    let (registry, tenant, at) = (world.engine.registry(), TenantId::default(), world.clock.now());
    let import = OnnxImport {
        name: "words",
        onnx: &onnx,
        tokenizer: Some(&words),
        task: Task::Embedding,
        licence: "Apache-2.0",
        at,
        embedder: EmbedderSettings::default(),
    };
    let id = import_onnx(registry, &tenant, &import).unwrap().card.model_id;
    registry.promote(&tenant, Task::Embedding, Alias::Champion, id, at, "a test needs it").unwrap();
    let embedder = open_embedder(registry, id).unwrap();
    let labelled = dhow_customs::labelled_goods(&word_encoder::labelled()).unwrap();
    let example = |(code, text): &(dhow_customs::HsCode, String)| {
        let vector = embedder.embed(&[text]).unwrap().remove(0);
        Example { code: code.digits().to_owned(), text: text.clone(), vector }
    };
    let examples: Vec<Example> = labelled.iter().map(example).collect();
    let settings = LearnSettings { levels: vec![2, 4, 6], embedder: id.to_string(), precision: 0.9, seed: 7 };
    promote(world, Task::Codes, &learn(&examples, &settings).unwrap().model.to_bytes().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_suggested_by_the_words_of_goods_and_none_where_the_words_say_nothing() {
    let world = World::new().await;
    let ask = |goods: Value| json!({ "goods": goods });
    let none = world.post("/v1/customs/codes", &ask(json!([{ "title": "Headset" }]))).await;
    assert_eq!((none.status, none.code().as_str()), (503, "no_model"));
    learn_codes(&world);
    let goods = json!([
        { "title": "Wireless headset", "description": "Earphones for a clear sound" },
        { "title": "Denim jeans" },
        { "title": "Something else altogether" },
    ]);
    let answer = world.post("/v1/customs/codes", &ask(goods)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    let codes: Vec<&Value> = told["goods"].as_array().unwrap().iter().map(|one| &one["code"]["code"]).collect();
    assert_eq!(codes, [&json!("851830"), &json!("620342"), &Value::Null], "{told}");
    let first = &told["goods"][0];
    assert_eq!((&first["chapters"][0]["code"], &first["headings"][0]["code"]), (&json!("85"), &json!("8518")));
    assert_eq!(first["code"]["like_code"], "851830");
    assert!(first["code"]["confidence"].as_f64().unwrap() >= 0.8 && told["model"].as_str().unwrap().contains('@'));

    let too_many = vec![json!({ "title": "shirt" }); 65];
    for (body, pointer) in [
        (ask(json!([])), "/goods"),
        (ask(json!(too_many)), "/goods"),
        (ask(json!([{ "title": " " }])), "/goods/0/title"),
        (ask(json!([{ "title": "x".repeat(9_000) }])), "/goods/0/title"),
        (json!({ "goods": [{ "title": "shirt" }], "guesses": 0 }), "/guesses"),
        (json!({ "goods": [{ "title": "shirt" }], "confidence_min": 1.1 }), "/confidence_min"),
    ] {
        let refused = world.post("/v1/customs/codes", &body).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{refused:?}");
    }
}
