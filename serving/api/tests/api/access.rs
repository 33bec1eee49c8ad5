//! Who gets in, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dhow_api::ApiSettings;
use dhow_commerce::{Permission, Permissions};
use dhow_events::{Clock, ManualClock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::document::{Document, Operation};
use crate::events::cross_join;
use crate::world::{Answer, World, product, view};

#[test]
fn the_document_is_openapi_3_1_and_every_operation_declares_its_permission() {
    let document = Document::new(&serde_json::from_str(&dhow_api::openapi()).unwrap());
    assert!(document.json()["openapi"].as_str().unwrap().starts_with("3.1."));
    let operations = document.operations();
    assert!(operations.len() >= 30, "{}", operations.len());
    let mut ids = BTreeSet::new();
    for operation in &operations {
        let shown = format!("{} {}", operation.method, operation.template);
        let permission = operation.permission();
        let keyless = ["none", "signature", "login"].contains(&permission);
        assert!(keyless || Permission::from_word(permission).is_some(), "{shown} has no line in the table of needs");
        assert_eq!(keyless, operation.json["security"].is_null(), "{shown}");
        assert!(!operation.template.starts_with("/v1/") || permission != "none", "{shown} is open to everybody");
        assert!(operation.json["summary"].is_string(), "{shown} has no summary");
        assert!(ids.insert(operation.json["operationId"].as_str().unwrap().to_owned()), "{shown}: the id is taken");
        let declared = operation.json["parameters"].as_array().into_iter().flatten();
        let in_path = declared.filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(in_path, operation.template.matches('{').count(), "{shown}: a path parameter is not declared");
    }
    for reference in document.references() {
        document.resolve(&reference);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_wants_a_key_in_force_that_grants_its_permission() {
    let world = World::new().await;
    // The first key ends open access.
    world.key("ten_default", &[Permission::Admin]).await;
    let unsigned = world.ask("POST", "/v1/webhooks/payments/simulator").json(&json!({})).send().await;
    assert_eq!((unsigned.status, unsigned.code().as_str()), (401, "bad_signature"));
    let keyless = |operation: &&Operation| ["none", "signature", "login"].contains(&operation.permission());
    for operation in world.document.operations().iter().filter(|operation| !keyless(operation)) {
        let shown = format!("{} {}", operation.method, operation.template);
        let ask = || world.ask(&operation.method, operation.path());
        let without = ask().send().await;
        let of_protocol = operation.template.starts_with("/v2");
        // The Open Inference Protocol has an error body of its own.
        let code = |answer: &Answer| if of_protocol { answer.protocol_error() } else { answer.code() };
        let of = |word: &'static str, words: &'static str| if of_protocol { words } else { word };
        let unsigned = of("unauthorized", "send an API key as `Authorization: Bearer <key>`");
        assert_eq!((without.status, code(&without).as_str()), (401, unsigned), "{shown}");
        assert_eq!(without.header("www-authenticate"), "Bearer");
        assert_eq!(ask().key("dhow_wrong").send().await.status, 401, "{shown}");
        assert_eq!(ask().header("authorization", "Basic eDp5").send().await.status, 401, "{shown}");
        let word = Permission::from_word(operation.permission()).unwrap();
        let others = |one: &Permission| ![word, Permission::Admin].contains(one);
        let others: Vec<Permission> = Permission::ALL.iter().copied().filter(others).collect();
        let (_, other) = world.key("ten_default", &others).await;
        let refused = ask().key(&other).send().await;
        assert_eq!(refused.status, 403, "{shown}");
        assert!(code(&refused).contains(of("permission_missing", "does not grant")), "{shown}: {refused:?}");
        let (_, right) = world.key("ten_default", &[word]).await;
        let allowed = ask().key(&right).send().await;
        assert!(![401, 403].contains(&allowed.status), "{shown}: {allowed:?}");
    }
}

/// Who has this one may everything; no route asks for it.
const ABOVE_ALL: Permission = Permission::Admin;
const PERMISSIONS_MIN: usize = 50;

#[test]
fn each_of_at_least_fifty_permissions_opens_a_route() {
    let document = Document::new(&serde_json::from_str(&dhow_api::openapi()).unwrap());
    let asked: BTreeSet<String> = document.operations().iter().map(|one| one.permission().to_owned()).collect();
    let idle: Vec<_> = Permission::ALL.iter().filter(|one| **one != ABOVE_ALL && !asked.contains(one.word())).collect();
    assert!(idle.is_empty(), "these permissions open no route: {idle:?}");
    assert!(!asked.contains(ABOVE_ALL.word()) && Permission::ALL.len() > PERMISSIONS_MIN);
}

/// What each permission of the version before the split became, read from the migration itself.
fn migrated(word: &str) -> Vec<Permission> {
    let sql = include_str!("../../../store/migrations/0020_permissions.sql");
    let mut list = format!("\"{word}\"");
    for line in sql.lines().filter_map(|line| line.split_once("REPLACE(permissions, ")) {
        let (from, to) = line.1.trim_end_matches(");").split_once("', '").unwrap();
        list = list.replace(from.trim_start_matches('\''), to.trim_end_matches('\''));
    }
    serde_json::from_str(&format!("[{list}]")).unwrap()
}

#[test]
fn a_key_of_the_version_before_the_split_opens_exactly_the_routes_that_it_opened() {
    let document = Document::new(&serde_json::from_str(&dhow_api::openapi()).unwrap());
    let needs: BTreeMap<_, _> = document
        .operations()
        .iter()
        .map(|one| ((one.method.clone(), one.template.clone()), one.permission().to_owned()))
        .collect();
    let before: Vec<Vec<&str>> =
        include_str!("needs_before.csv").lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(before.len(), 157);
    let words: BTreeSet<&str> = before.iter().map(|line| line[2]).collect();
    for word in words {
        let granted = Permissions::of(&migrated(word));
        for line in &before {
            let need = &needs[&(line[0].to_owned(), line[1].to_owned())];
            let opens = granted.grant(Permission::from_word(need).unwrap());
            assert_eq!(opens, word == "admin" || word == line[2], "{word} on {} {}", line[0], line[1]);
        }
    }
    assert_eq!(migrated("orders:write"), [], "it opened nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_from_a_role_or_a_list_and_grants_no_more_than_its_maker_has() {
    let world = World::new().await;
    let (admin_id, admin) = world.key("ten_default", &[Permission::Admin]).await;
    let roles = world.ask("GET", "/v1/roles").key(&admin).send().await.json()["items"].clone();
    let make = async |key: &str, body: Value| world.ask("POST", "/v1/api-keys").key(key).json(&body).send().await;
    for role in roles.as_array().unwrap() {
        let made = make(&admin, json!({ "name": "of a role", "role": role["name"] })).await;
        let words = |list: &Value| -> BTreeSet<String> { serde_json::from_value(list.clone()).unwrap() };
        assert_eq!(words(&made.json()["key"]["permissions"]), words(&role["permissions"]), "{made:?}");
    }
    assert!(roles.as_array().unwrap().len() >= 7);
    let both = make(&admin, json!({ "name": "x", "role": "support", "permissions": ["stock:read"] })).await;
    assert_eq!((both.status, both.pointers()), (422, vec!["/role".to_owned()]));
    assert_eq!(make(&admin, json!({ "name": "x", "role": "king" })).await.pointers(), ["/role"]);

    let developer = make(&admin, json!({ "name": "d", "role": "developer" })).await.json();
    let (developer_id, developer) = (developer["key"]["id"].clone(), developer["secret"].as_str().unwrap().to_owned());
    let narrow = make(&developer, json!({ "name": "n", "permissions": ["stock:read", "api_keys:write"] })).await.json();
    let narrow = narrow["secret"].as_str().unwrap();
    let refused = make(&developer, json!({ "name": "o", "role": "owner" })).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "beyond_maker"));
    assert!(refused.json()["detail"].as_str().unwrap().ends_with("the caller lacks `admin`"), "{refused:?}");
    let refused = make(narrow, json!({ "name": "w", "permissions": ["stock:read", "stock:write"] })).await;
    assert!(refused.json()["detail"].as_str().unwrap().ends_with("the caller lacks `stock:write`"), "{refused:?}");

    for id in [json!(admin_id), developer_id.clone()] {
        let path = format!("/v1/api-keys/{}", id.as_str().unwrap());
        let kept = world.ask("DELETE", path).key(narrow).send().await;
        assert_eq!((kept.status, kept.code().as_str()), (403, "beyond_revoker"));
    }
    let path = format!("/v1/api-keys/{}", developer_id.as_str().unwrap());
    assert_eq!(world.ask("DELETE", path).key(&developer).send().await.status, 204, "its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_ends_open_access_and_a_revoked_one_works_no_more() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/status").await.json()["access"], "open");
    let wrong = world.post("/v1/api-keys", &json!({ "name": " ", "permissions": [] })).await;
    assert_eq!((wrong.status, wrong.pointers()), (422, vec!["/name".to_owned(), "/permissions".to_owned()]));
    let unknown = world.post("/v1/api-keys", &json!({ "name": "x", "permissions": ["everything"] })).await;
    assert_eq!(unknown.pointers(), ["/permissions/0"]);

    let made = world.post("/v1/api-keys", &json!({ "name": "first", "permissions": ["admin"] })).await;
    assert_eq!(made.status, 201);
    let admin = made.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(world.get("/v1/status").await.code(), "unauthorized");
    assert_eq!(world.ask("GET", "/v1/status").key(&admin).send().await.json()["access"], "key");

    let body = json!({ "name": "second", "permissions": ["status:read"] });
    let second = world.ask("POST", "/v1/api-keys").key(&admin).json(&body).send().await.json();
    let secret = second["secret"].as_str().unwrap();
    assert_eq!(world.ask("GET", "/v1/status").key(secret).send().await.status, 200);
    let path = format!("/v1/api-keys/{}", second["key"]["id"].as_str().unwrap());
    assert_eq!(world.ask("DELETE", &path).key(&admin).send().await.status, 204);
    assert_eq!(world.ask("GET", "/v1/status").key(secret).send().await.status, 401);
    assert_eq!(world.ask("DELETE", &path).key(&admin).send().await.status, 404, "it is revoked already");
    let last = format!("/v1/api-keys/{}", made.json()["key"]["id"].as_str().unwrap());
    let kept = world.ask("DELETE", &last).key(&admin).send().await;
    assert_eq!((kept.status, kept.code().as_str()), (409, "last_key_maker"));
    assert_eq!(world.ask("GET", "/v1/status").key(&admin).send().await.status, 200, "it stays in force");
    let listed = world.ask("GET", "/v1/api-keys").key(&admin).send().await;
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains(secret) && !listed.text.contains(&admin), "a secret is shown once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_server_revoked_is_refused_within_a_second() {
    let stopwatch = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let world = World::with(ApiSettings::default(), stopwatch.clone()).await;
    let (id, secret) = world.key("ten_default", &[Permission::ModelsRead]).await;
    assert_eq!(world.ask("GET", "/v1/models").key(&secret).send().await.status, 200);
    let store = world.engine.store();
    let revoked = dhow_commerce::AccessStorage::revoke_api_key(
        store,
        "ten_default".parse().unwrap(),
        id,
        Permissions::EVERYTHING,
        world.clock.now(),
    );
    assert_eq!(revoked.await.unwrap(), dhow_commerce::Revocation::Revoked);
    stopwatch.advance(dhow_api::KEY_MEMORY_MICROS);
    assert_eq!(world.ask("GET", "/v1/models").key(&secret).send().await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_tenant_has_is_not_there() {
    let world = World::new().await;
    let id = world.product("Cup", 500, 3).await;
    let event = view(1, "prd_01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap());
    assert_eq!(world.post("/v1/events", &event).await.status, 202);
    let (_, other) = world.key("ten_other", &[Permission::Admin]).await;
    let (_, own) = world.key("ten_default", &[Permission::Admin]).await;
    let path = format!("/v1/products/{id}");
    assert_eq!(world.ask("GET", &path).key(&own).send().await.status, 200);
    assert_eq!(world.ask("GET", &path).key(&other).send().await.code(), "not_found");
    assert_eq!(world.ask("GET", format!("{path}/stock")).key(&other).send().await.status, 404);
    let change = world.ask("PUT", &path).key(&other).header("if-match", "\"1\"").json(&product("Mine now", 1));
    assert_eq!(change.send().await.status, 404);
    let stock = world.ask("PUT", format!("{path}/stock")).key(&other).json(&json!({ "on_hand": 0 }));
    assert_eq!(stock.send().await.status, 404);
    for list in ["/v1/products", "/v1/orders", "/v1/decisions"] {
        let page = world.ask("GET", list).key(&other).send().await.json();
        assert_eq!(page, json!({ "items": [], "next": null }), "{list}");
    }
    // The key's tenant is the event's, whatever its source says.
    let posted = world.ask("POST", "/v1/events").key(&other).json(&view(2, id.parse().unwrap())).send().await;
    assert_eq!(posted.status, 202);
    let counted = |secret: String| {
        let world = &world;
        async move {
            world.engine.checkpoint().unwrap();
            let query = json!({ "query": "SELECT count(*) AS n, min(tenant) AS tenant FROM product_viewed" });
            world.ask("POST", "/v1/sql").key(&secret).json(&query).send().await.json()["rows"].clone()
        }
    };
    for _ in 0..500 {
        if world.engine.lag().unwrap().1 == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(counted(other).await, json!([[1, "ten_other"]]));
    assert_eq!(counted(own).await, json!([[1, "ten_default"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_asks_too_fast_is_told_when_to_come_back() {
    let stopwatch = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let settings = ApiSettings { requests_per_second_max: 1, request_burst_max: 2, ..ApiSettings::default() };
    let world = World::with(settings, stopwatch.clone()).await;
    for _ in 0..2 {
        assert_eq!(world.get("/v1/products").await.status, 200);
    }
    let refused = world.get("/v1/products").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    stopwatch.advance(refused.header("retry-after").parse::<i64>().unwrap() * 1_000_000);
    assert_eq!(world.get("/v1/products").await.status, 200);
    assert_eq!(world.get("/healthz").await.status, 200, "signs of life are not counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_only_loopback_is_served_and_a_foreign_host_name_is_refused() {
    let world = World::new().await;
    let refused = world.ask("GET", "/v1/products").header("host", "evil.example").send().await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "host_not_loopback"));
    assert_eq!(world.ask("GET", "/v1/products").header("host", "127.0.0.1:8080").send().await.status, 200);

    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let served = dhow_api::serve(world.engine.clone(), ApiSettings::default(), listener, std::future::pending()).await;
    let message = served.unwrap_err().to_string();
    assert!(message.contains("loopback") && message.contains("POST /v1/api-keys"), "{message}");

    world.key("ten_default", &[Permission::Admin]).await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let stop = std::future::ready(());
    dhow_api::serve(world.engine.clone(), ApiSettings::default(), listener, stop).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_requests_as_may_be_are_under_way_and_one_more_is_refused() {
    let settings = ApiSettings { requests_at_once_max: 0, ..ApiSettings::default() };
    let world = World::with(settings, Arc::new(SystemClock)).await;
    let refused = world.get("/v1/products").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "overloaded"));
    assert_eq!(refused.header("retry-after"), "1");
    let settings = ApiSettings { request_time_max: std::time::Duration::from_millis(50), ..ApiSettings::default() };
    let world = World::with(settings, Arc::new(SystemClock)).await;
    let long = cross_join("sum(a.i * b.i * c.i * d.i * e.i * f.i)", 6);
    let late = world.post("/v1/sql", &json!({ "query": long })).await;
    assert_eq!((late.status, late.code().as_str()), (504, "timeout"));
}

/// The Open Inference Protocol has an error of its own: `{"error": "…"}` beside the status.
async fn answers_garbage_as_tensor_clients_read_it(world: &World, method: &str, path: &str, takes: &Value) {
    let strange = world.ask(method, format!("{path}?colour=red")).json(&json!({})).send().await;
    assert_eq!(strange.status, 400, "{method} {path}: {strange:?}");
    assert!(strange.protocol_error().contains("colour"), "{strange:?}");
    let wrong = world.ask(if method == "DELETE" { "PUT" } else { "DELETE" }, path).send().await;
    assert_eq!(wrong.status, 405, "{method} {path}: {wrong:?}");
    for body in ["{\"a\":", "[[[", "[7]", "null"].into_iter().filter(|_| !takes.is_null()) {
        let answer = world.ask(method, path).body("application/json", body).send().await;
        assert!([400, 404].contains(&answer.status), "{method} {path}: {answer:?}");
        answer.protocol_error();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_garbage_with_a_problem() {
    let world = World::new().await;
    for operation in world.document.operations() {
        let (method, path) = (operation.method.as_str(), operation.path());
        let shown = format!("{method} {}", operation.template);
        if operation.template.starts_with("/v2") {
            answers_garbage_as_tensor_clients_read_it(&world, method, &path, &operation.json["requestBody"]).await;
            continue;
        }
        // What an identity provider adds to its answer is passed over.
        if operation.template != "/v1/login/callback" {
            let strange = world.ask(method, format!("{path}?colour=red")).json(&json!({})).send().await;
            assert_eq!((strange.status, strange.pointers()), (400, vec!["/colour".to_owned()]), "{shown}");
        }
        let other = if method == "DELETE" { "PUT" } else { "DELETE" };
        let wrong = world.ask(other, &path).send().await;
        let known = world.document.operations().iter().any(|o| o.template == operation.template && o.method == other);
        assert!(known || (wrong.status, wrong.code().as_str()) == (405, "method_not_allowed"), "{shown}: {wrong:?}");
        if operation.template.contains('{') {
            let nothing = world.ask(method, operation.template.replace(['{', '}'], "x")).json(&json!({}));
            let nothing = nothing.header("if-match", "\"1\"").send().await;
            // A rail, a carrier or a model has a name and no id: that there is none of it is all there is to say.
            let has_name = ["{rail}", "{carrier}", "{model}"].iter().any(|name| operation.template.contains(name));
            let unknown = if has_name { 404 } else { 400 };
            assert!([unknown, 422].contains(&nothing.status), "{shown}: {nothing:?}");
            nothing.code();
        }
        // A rail's or a carrier's message is refused unread where it is not signed; `payments` and `shipments` show that.
        // A file of products is no JSON; `product_files` shows what is wrong with one.
        let takes_json = operation.json["requestBody"]["content"]["application/json"].is_object();
        if !takes_json || operation.permission() == "signature" {
            continue;
        }
        for (body, code) in [("{\"a\":", "malformed_json"), ("", "malformed_json"), ("[[[", "malformed_json")] {
            let answer =
                world.ask(method, &path).header("if-match", "\"1\"").body("application/json", body).send().await;
            assert_eq!((answer.status, answer.code().as_str()), (400, code), "{shown}: {body}");
        }
        for body in ["{\"surprise\":1}", "[7]", "null", "\"text\""] {
            let answer =
                world.ask(method, &path).header("if-match", "\"1\"").body("application/json", body).send().await;
            assert!([400, 422, 503].contains(&answer.status), "{shown}: {body}: {answer:?}");
            answer.code();
        }
        let typed = world.ask(method, &path).body("text/plain", "{}").send().await;
        assert_eq!((typed.status, typed.code().as_str()), (415, "unsupported_media_type"), "{shown}");
        let large = world.ask(method, &path).body("application/json", vec![b' '; dhow_api::BODY_BYTES_MAX + 1]);
        let large = large.send().await;
        assert_eq!((large.status, large.code().as_str()), (413, "body_too_large"), "{shown}");
    }
    assert!(world.get("/v2/anything").await.protocol_error().contains("there is no `/v2/anything`"));
    assert_eq!(world.get("/v3/anything").await.code(), "unknown_path");
    assert_eq!(world.get("/v1/").await.code(), "unknown_path");
    let unknown = world.post("/v1/recommendations", &json!({ "cuont": 5 })).await;
    assert_eq!((unknown.status, unknown.pointers()), (422, vec!["/cuont".to_owned()]));
    let nested = world.post("/v1/quotes", &json!({ "lines": [{ "product": "cup", "quantity": 1 }] })).await;
    assert_eq!(nested.pointers(), ["/lines/0/product"]);
    let page: Value = world.get("/v1/products?limit=0").await.json();
    assert_eq!(page["errors"][0]["pointer"], "/limit");
    assert_eq!(world.get("/v1/products?limit=many").await.pointers(), ["/limit"]);
    assert_eq!(world.get("/v1/products?cursor=zz").await.pointers(), ["/cursor"]);
}
