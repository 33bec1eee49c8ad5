//! Suppliers over HTTP: written, shown by papers, verified, and what is wrong pointed at.

use serde_json::{Value, json};

use crate::world::{World, seller};

#[tokio::test(flavor = "multi_thread")]
async fn a_supplier_hands_a_paper_in_and_is_verified() {
    let world = World::new().await;
    let path = format!("/v1/suppliers/{}", seller());
    let profile = json!({ "legal_name": "Adler Ltd", "country": "GB", "registration_number": "01234567" });
    let written = world.ask("PUT", &path).header("if-none-match", "*").json(&profile).send().await;
    assert_eq!((written.status, &written.json()["level"]), (200, &json!("none")), "{written:?}");
    let step = async |version: &str, end: &str, body: Value| {
        world.ask("POST", format!("{path}/{end}")).header("if-match", version).json(&body).send().await
    };
    let paper = json!({ "kind": "business_registration", "reference": "papers/17.pdf", "expires_on": "2099-12-31" });
    let handed = step("\"1\"", "documents", json!({ "by": "ann", "document": paper })).await;
    assert_eq!((handed.status, &handed.json()["documents"][0]["state"]), (200, &json!("submitted")), "{handed:?}");
    assert_eq!(handed.json()["documents"][0]["expires_on"], "2099-12-31");
    assert_eq!(step("\"1\"", "submit", json!({ "by": "ann" })).await.status, 412);
    assert_eq!(step("\"2\"", "submit", json!({ "by": "ann" })).await.status, 200);
    let early = step("\"3\"", "decisions", json!({ "by": "ben", "to": "verified" })).await;
    assert_eq!((early.status, early.code().as_str()), (409, "supplier_refused"), "{early:?}");
    let accepted = json!({ "by": "ben", "document": 1, "to": "accepted", "note": "the register says so" });
    assert_eq!(step("\"3\"", "decisions", accepted).await.status, 200);
    let verified = step("\"4\"", "decisions", json!({ "by": "ben", "to": "verified" })).await;
    assert_eq!((&verified.json()["state"], &verified.json()["level"]), (&json!("verified"), &json!("basic")));
    let listed = world.get("/v1/suppliers?state=verified").await.json();
    assert_eq!(listed["items"][0]["seller"], json!(seller().to_string()), "{listed}");
    for (end, body, pointer) in [
        ("decisions", json!({ "by": "ben", "to": "submitted" }), "/to"),
        ("decisions", json!({ "by": "ben", "document": 1, "to": "verified" }), "/to"),
        ("decisions", json!({ "by": "ben", "document": 7, "to": "accepted" }), "/document"),
        ("documents", json!({ "by": "ann", "document": { "kind": "poem", "reference": "x" } }), "/document/kind"),
    ] {
        let refused = step("\"5\"", end, body.clone()).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{body}: {refused:?}");
    }
    let nowhere = json!({ "legal_name": "Adler Ltd", "country": "Atlantis", "registration_number": "1" });
    let refused = world.ask("PUT", &path).header("if-match", "\"5\"").json(&nowhere).send().await;
    assert_eq!((refused.status, refused.pointers()), (422, vec!["/country".to_owned()]), "{refused:?}");
}
