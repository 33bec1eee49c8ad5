//! The commands that the documentation walks through, run by a shell as they are written.

use std::process::Command;

use dhow_api::ApiSettings;
use serde_json::Value;

use crate::clients::run_beside;
use crate::trained;
use crate::world::World;

/// Runs the fenced shell blocks of `text` one after the other in one shell, against the world.
async fn run_commands(world: &World, text: &str) -> String {
    let blocks: Vec<&str> = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "there are commands in it");
    let script = blocks.concat();
    assert!(script.contains("api=http://127.0.0.1:8080/v1"), "it begins with where the server is");
    run_beside(world, ApiSettings::default(), |server| {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &script.replace("http://127.0.0.1:8080", server)]);
        command
    })
    .await
}

/// Which transfers were done, with their amounts in cents; all stand at one time, so their order says nothing.
async fn done(world: &World) -> Vec<(String, i64)> {
    let listed = world.get("/v1/transfers").await.json();
    let transfer = |item: &Value| {
        assert_eq!(item["state"], "done", "{item}");
        let amount = item["amount"]["amount"].as_str().unwrap().parse().unwrap();
        (item["kind"].as_str().unwrap().to_owned(), amount)
    };
    let mut done: Vec<_> = listed["items"].as_array().unwrap().iter().map(transfer).collect();
    done.sort();
    done
}

fn expected(transfers: &[(&str, i64)]) -> Vec<(String, i64)> {
    let mut expected: Vec<_> = transfers.iter().map(|(kind, minor)| ((*kind).to_owned(), *minor)).collect();
    expected.sort();
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_of_the_documentation_goes_from_a_product_to_a_refund_and_a_return() {
    let world = World::new().await;
    trained::fraud(&world);
    let document: Value = serde_json::from_str(&dhow_api::openapi()).unwrap();
    let told = run_commands(&world, document["info"]["description"].as_str().unwrap()).await;
    // Two cups of 15.00: 5.00 and one cup went back; the seller got what was left of the other without the commission.
    let transfers = expected(&[("capture", 3_000), ("payout", 950), ("refund", 500), ("refund", 1_500)]);
    assert_eq!(done(&world).await, transfers, "{told}");
    assert!(told.contains("{\"state\":\"refunded\"") && told.contains("\ntrue\n"), "the books balance: {told}");
    for kind in ["checkout_submitted", "payment_captured", "payment_refunded", "return_moved"] {
        assert!(told.contains(kind), "{kind}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_way_from_a_product_to_a_refund_and_a_return_works_as_it_is_written() {
    let world = World::new().await;
    trained::fraud(&world);
    let readme = include_str!("../../../../README.md");
    let (_, rest) = readme.split_once("\n## From a product to a refund\n").unwrap();
    let (sections, _) = rest.split_once("\n## An auction\n").unwrap();
    let told = run_commands(&world, sections).await;
    // A credit note of 2.00 counts as a refund, too; the payout was before the return.
    let refunds = [("refund", 200), ("refund", 500), ("refund", 1_300)];
    // What was paid later: a quarter when it was bought, the rest at once before it was due.
    let instalments = [("instalment", 375), ("instalment", 1_125)];
    let transfers = expected(&[&[("capture", 3_000), ("payout", 2_375)], &instalments[..], &refunds[..]].concat());
    assert_eq!(done(&world).await, transfers, "{told}");
    assert!(told.contains("\"state\":\"refunded\""), "the return: {told}");
}
