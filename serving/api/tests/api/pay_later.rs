//! Paying later over HTTP: a plan, whether a cart may have it, the agreement, what is paid of it.

use serde_json::{Value, json};

use crate::trained;
use crate::world::{World, buyer};

fn plan() -> Value {
    json!({
        "title": "In three parts", "instalments": 3, "interval_days": 30, "down_payment_ppm": 250_000, "fee_ppm": 100_000,
        "offers": [{ "currency": "USD", "least_minor": 100, "most_minor": 100_000 }],
    })
}

fn cart(product: &str) -> Value {
    json!({
        "buyer": buyer(), "card": "crd_01890a5d-ac96-774b-bcce-b302099a8057", "region": "GB", "delivery_region": "GB",
        "payment_method": "pay_later", "pay_later_plan": "three", "lines": [{ "product": product, "quantity": 1 }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_bought_in_parts_and_paid_off() {
    let world = World::new().await;
    trained::fraud(&world);
    let pot = world.product("Pot", 2_000, 5).await;
    let path = "/v1/pay-later/plans/three";
    let put = |plan: Value| world.ask("PUT", path).json(&plan);
    assert_eq!(put(plan()).send().await.code(), "precondition_required");
    assert_eq!(put(plan()).header("if-match", "\"1\"").send().await.status, 404);
    let made = put(plan()).header("if-none-match", "*").send().await;
    assert_eq!((made.status, made.header("etag")), (200, "\"1\""), "{made:?}");
    let mut wrong = plan();
    wrong["offers"][0]["least_minor"] = json!(59);
    wrong["instalments"] = json!(25);
    let wrong = put(wrong).header("if-match", "\"1\"").send().await;
    assert_eq!((wrong.status, wrong.pointers()[0].as_str()), (422, "/instalments"), "{wrong:?}");
    assert_eq!(world.get("/v1/pay-later/plans").await.json()["items"][0]["name"], json!("three"));

    let told = world.post("/v1/pay-later/eligibility", &cart(&pot)).await;
    assert_eq!(told.status, 200, "{told:?}");
    let told = told.json();
    assert_eq!(
        (&told["approved"], &told["agreement"], &told["fee"]["amount"]),
        (&json!(true), &Value::Null, &json!("150"))
    );
    let points: f64 = told["reasons"].as_array().unwrap().iter().map(|one| one["contribution"].as_f64().unwrap()).sum();
    assert_eq!(told["score"].as_f64(), Some(500.0 + points), "{told}");
    let decision = world.get(format!("/v1/decisions/{}", told["decision"].as_str().unwrap())).await.json();
    assert_eq!((&decision["kind"], &decision["outcome"]), (&json!("credit"), &json!("answered")), "{decision}");
    let mut unplanned = cart(&pot);
    unplanned.as_object_mut().unwrap().remove("pay_later_plan");
    assert_eq!(world.post("/v1/checkouts", &unplanned).await.pointers(), ["/pay_later_plan"]);

    let bought = world.ask("POST", "/v1/checkouts").header("idempotency-key", "b1").json(&cart(&pot)).send().await;
    assert_eq!((bought.status, &bought.json()["state"]), (201, &json!("completed")), "{bought:?}");
    let path = format!("/v1/pay-later/agreements/{}", bought.json()["credit"]["agreement"].as_str().unwrap());
    let read = world.get(&path).await;
    assert_eq!(
        (read.status, &read.json()["outstanding_minor"], &read.json()["due_minor"]),
        (200, &json!(2_150), &json!(500))
    );
    assert_eq!(read.json()["schedule"].as_array().map(Vec::len), Some(4));

    let pay = |key: &str, part: &str| {
        world.ask("POST", format!("{path}/payments")).header("idempotency-key", key).json(&json!({ "part": part }))
    };
    let due = pay("p1", "next").send().await;
    assert!(due.status == 201 || due.code() == "credit_refused", "the schedule may have been quicker: {due:?}");
    let rest = pay("p2", "all").send().await;
    assert_eq!((rest.status, &rest.json()["amount"]["amount"]), (201, &json!("1500")), "{rest:?}");
    assert_eq!(&rest.json()["kind"], &json!("instalment"));
    let again = pay("p2", "all").send().await;
    assert_eq!((again.header("idempotency-replayed"), again.json()), ("true", rest.json()));
    let paid = world.get(&path).await.json();
    assert_eq!(
        (&paid["state"], &paid["paid_minor"], &paid["refunded_minor"]),
        (&json!("settled"), &json!(2_000), &json!(150))
    );
    let nothing = pay("p3", "all").send().await;
    assert_eq!((nothing.status, nothing.code().as_str()), (409, "credit_refused"), "{nothing:?}");
    let list = world.get("/v1/pay-later/agreements?state=settled").await.json();
    assert_eq!(list["items"], json!([paid]));
    assert_eq!(world.get("/v1/ledger/trial-balance").await.json()["balanced"], json!(true));
}
