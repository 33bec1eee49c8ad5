//! What sellers pay for plans, over HTTP: tried, begun, changed, limited, metered, invoiced and ended.

use serde_json::{Value, json};

use crate::world::{World, product, seller};

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_tries_a_plan_takes_it_reaches_its_limit_moves_up_and_leaves() {
    let world = World::new().await;
    let prices = world.get("/v1/billing/prices").await.json();
    assert_eq!(prices["plans"]["professional"]["year_minor"], 199_000, "{prices}");
    let path = format!("/v1/sellers/{}/subscription", seller());
    assert_eq!(world.get(&path).await.status, 404);
    let put = async |query: &str, condition: (&str, &str), body: Value| {
        world.ask("PUT", format!("{path}{query}")).header(condition.0, condition.1).json(&body).send().await
    };
    let month = |plan: &str, add_ons: Value| json!({ "plan": plan, "cycle": "month", "add_ons": add_ons });
    let none = ("if-none-match", "*");
    let tried = put("?dry_run=true", none, month("professional", json!({ "user": 2 }))).await;
    assert_eq!((tried.status, &tried.json()["invoices"][0]["total_minor"]), (200, &json!(23_900)), "{tried:?}");
    assert_eq!(world.get(&path).await.status, 404, "what was tried is not kept");
    let begun = put("", none, month("free", json!({}))).await;
    assert_eq!((begun.status, begun.header("etag")), (200, "\"1\""), "{begun:?}");
    for number in 0..11 {
        let listed = world.post("/v1/products", &product(&format!("Cup {number}"), 500)).await;
        match number {
            10 => assert_eq!((listed.status, listed.code().as_str()), (409, "plan_limit_reached"), "{listed:?}"),
            _ => assert_eq!(listed.status, 201, "{listed:?}"),
        }
    }
    let reading = world.get(&path).await.json();
    assert_eq!((&reading["usage"]["products"], &reading["usage"]["products_max"]), (&json!(10), &json!(10)));
    let up = put("", ("if-match", "\"1\""), month("professional", json!({ "analytics": 1 }))).await;
    assert_eq!(up.status, 200, "{up:?}");
    assert_eq!(put("", ("if-match", "\"1\""), month("free", json!({}))).await.status, 412);
    assert_eq!(world.post("/v1/products", &product("Cup 10", 500)).await.status, 201, "there is room now");
    let terms = world.get(format!("/v1/sellers/{}/terms", seller())).await.json();
    assert_eq!(terms["plan"], "professional", "the commission follows");
    let usage = format!("/v1/sellers/{}/usage", seller());
    let count = || world.ask("POST", &usage).header("idempotency-key", "u1");
    let calls = json!({ "metric": "api_calls", "units": 12_000 });
    let counted = count().json(&calls).send().await;
    assert_eq!((counted.status, &counted.json()["used"]["api_calls"]), (200, &json!(12_000)), "{counted:?}");
    assert_eq!(count().json(&calls).send().await.header("idempotency-replayed"), "true");
    let end = world.ask("POST", format!("{path}/end")).header("if-match", "\"3\"").json(&json!({ "when": "now" }));
    let ended = end.send().await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let items: Vec<Value> = ended.json()["invoices"][0]["lines"].as_array().unwrap().clone();
    let items: Vec<&Value> = items.iter().map(|line| &line["item"]).collect();
    assert_eq!(items, ["plan.professional", "add_on.analytics", "usage.api_calls"]);
    let again = world.ask("POST", format!("{path}/end")).header("if-match", "\"4\"").json(&json!({ "when": "now" }));
    assert_eq!(again.send().await.code(), "billing_refused");

    let list = format!("/v1/sellers/{}/invoices", seller());
    let first = world.get(format!("{list}?limit=1")).await.json();
    assert_eq!(first["items"][0]["number"], 2, "the newest is first: {first}");
    let next = first["next"].as_str().unwrap();
    let second = world.get(format!("{list}?limit=1&cursor={next}")).await.json();
    assert_eq!((&second["items"][0]["number"], &second["next"]), (&json!(1), &Value::Null));
    let fees = world.get("/v1/ledger/trial-balance").await.text;
    assert!(fees.contains("\"fees\""), "they are in the books: {fees}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_subscription_is_pointed_at() {
    let world = World::new().await;
    let path = format!("/v1/sellers/{}/subscription", seller());
    for (body, pointer) in [
        (json!({ "plan": "enterprise", "cycle": "year" }), "/cycle"),
        (json!({ "plan": "free", "cycle": "week" }), "/cycle"),
        (json!({ "plan": "gold", "cycle": "month" }), "/plan"),
        (json!({ "plan": "free", "cycle": "month", "add_ons": { "sauna": 1 } }), "/add_ons/sauna"),
        (json!({ "plan": "free", "cycle": "month", "add_ons": { "analytics": 2 } }), "/add_ons/analytics"),
    ] {
        let refused = world.ask("PUT", &path).header("if-none-match", "*").json(&body).send().await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{body}: {refused:?}");
    }
    let unconditional = world.ask("PUT", &path).json(&json!({ "plan": "free", "cycle": "month" })).send().await;
    assert_eq!(unconditional.status, 428, "{unconditional:?}");
    let begun = world.ask("PUT", &path).header("if-none-match", "*").json(&json!({ "plan": "free", "cycle": "month" }));
    assert_eq!(begun.send().await.status, 200);
    let usage = format!("/v1/sellers/{}/usage", seller());
    for (body, pointer) in [
        (json!({ "metric": "steps", "units": 1 }), "/metric"),
        (json!({ "metric": "api_calls", "units": 0 }), "/units"),
        (json!({ "metric": "api_calls", "units": -1 }), "/units"),
    ] {
        let refused = world.post(&usage, &body).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{body}: {refused:?}");
    }
    let list = format!("/v1/sellers/{}/invoices", seller());
    assert_eq!(world.get(format!("{list}?limit=101")).await.pointers(), ["/limit"]);
    assert_eq!(world.get(format!("{list}?cursor=zz")).await.pointers(), ["/cursor"]);
}
