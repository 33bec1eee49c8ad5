//! Products as files over HTTP: what is taken in, what is told of a wrong file, and what is given out.

use serde_json::json;

use crate::world::{World, seller};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_products_is_tried_taken_in_and_given_out_in_parts_that_are_taken_in_unchanged() {
    let world = World::new().await;
    let header = "seller,reference,title,category,price_amount,price_currency,region,weight_grams,sale_regions";
    let row =
        |number: u32| format!("{},k{number},Kettle {number},home/kitchen,500,USD,GB,300,\"ng, !ng-la\"", seller());
    let file = format!("{header}\n{}\n{}\n{}\n", row(1), row(2), row(3));
    let import = async |path: &str, file: String| {
        world.ask("POST", path).header("idempotency-key", "file").body("text/csv; charset=utf-8", file).send().await
    };
    let counts = |created: u32, unchanged: u32, dry_run: bool| json!({ "created": created, "changed": 0, "unchanged": unchanged, "dry_run": dry_run });
    let tried = import("/v1/products/import?dry_run=true", file.clone()).await;
    assert_eq!((tried.status, tried.json()), (200, counts(3, 0, true)), "{tried:?}");
    assert_eq!(world.get("/v1/products").await.json()["items"], json!([]));
    for replayed in ["false", "true"] {
        let taken = import("/v1/products/import", file.clone()).await;
        assert_eq!((taken.json(), taken.header("idempotency-replayed")), (counts(3, 0, false), replayed), "{taken:?}");
    }
    let other = import("/v1/products/import", format!("{file}{}\n", row(4))).await;
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency_key_reused"));

    let first = world.get("/v1/products/export?limit=2").await;
    assert_eq!(first.header("content-type"), "text/csv; charset=utf-8");
    let rest = world.get(format!("/v1/products/export?limit=2&cursor={}", first.header("next-cursor"))).await;
    assert!(!rest.headers.contains_key("next-cursor"));
    for (part, count) in [(&first, 2), (&rest, 1)] {
        let again = world.ask("POST", "/v1/products/import").body("text/csv", part.text.clone()).send().await;
        assert_eq!((again.status, again.json()), (200, counts(0, count, false)), "{again:?}");
    }

    let wrong = file.replace("k2,Kettle 2,home/kitchen,500,USD", "k2,Kettle 2,home/kitchen,5.00,dollars");
    let wrong = world.ask("POST", "/v1/products/import").body("text/csv", wrong).send().await;
    assert_eq!(
        (wrong.status, wrong.pointers()),
        (422, ["/3/price_amount", "/3/price_currency"].map(str::to_owned).to_vec())
    );
    let json = world.post("/v1/products/import", &json!({})).await;
    assert_eq!((json.status, json.code().as_str()), (415, "unsupported_media_type"));
    assert_eq!(world.get("/v1/products").await.json()["items"].as_array().map(Vec::len), Some(3));
}
