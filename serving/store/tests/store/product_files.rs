//! Files of products on a database: taken in whole or not at all, told of once, and given out as they were taken in.

use std::collections::BTreeSet;
use std::sync::Arc;

use dhow_commerce::{
    CommerceError, IMPORT_ROWS_MAX, Idempotency, PageRequest, Product, ProductImport, Storage, write_product_file,
};
use dhow_events::{ProductId, SellerId};
use dhow_store::WritePoints;

use crate::world::{CUP, POT, World, imported, tenant};

const HEADER: &str = "seller,reference,title,category,price_amount,price_currency,region,weight_grams,id,state";

fn row(seller: u128, title: &str, cents: i64, id: &str, state: &str) -> String {
    let seller = SellerId::from_u128(seller);
    format!("{seller},ref,\"{title}\",home/kitchen,{cents},USD,GB,300,{id},{state}")
}

fn file(rows: &[String]) -> Vec<u8> {
    format!("{HEADER}\n{}\n", rows.join("\n")).into_bytes()
}

async fn all(world: &World) -> Vec<Product> {
    let page = PageRequest::new(100, None, ProductId::KIND.prefix).expect("a page");
    world.shop.storage().products(tenant(), None, &page).await.expect("they are read").items
}

fn counts(import: ProductImport) -> [usize; 3] {
    [import.created, import.changed, import.unchanged]
}

pub async fn a_file_lists_changes_and_delists_products_once_and_its_export_changes_nothing(world: World) {
    let before = world.outbox().await.len();
    let rows = [row(7, "Tea, \"\"green\"\"\nloose", 450, "", ""), row(7, "Kettle", 900, "", "delisted")];
    let first = file(&rows);
    let tried = world.shop.import_product_file(tenant(), &first, true, None).await.expect("it is tried").value;
    assert_eq!((counts(tried), tried.dry_run, world.outbox().await.len()), ([2, 0, 0], true, before));
    let key = Idempotency::new("file", "POST /v1/products/import", &first).expect("a key");
    for replayed in [false, true] {
        let taken = world.shop.import_product_file(tenant(), &first, false, Some(&key)).await.expect("it is taken in");
        assert_eq!((counts(taken.value), taken.replayed), ([2, 0, 0], replayed));
    }
    assert_eq!(world.facts().await[before..], ["product_listed", "product_listed", "product_delisted"]);

    let stored = all(&world).await;
    let exported = write_product_file(&stored).expect("they are written");
    let again = world.shop.import_product_file(tenant(), &exported, false, None).await.expect("it is taken in").value;
    assert_eq!(counts(again), [0, 0, stored.len()]);
    assert_eq!(all(&world).await, stored, "what was exported is what is there");

    let tea = stored.iter().find(|product| product.input.title.starts_with("Tea")).expect("it is listed");
    assert_eq!(tea.input.title, "Tea, \"green\"\nloose");
    let dearer = file(&[row(7, "Tea, \"\"green\"\"\nloose", 470, &tea.id.to_string(), "")]);
    let changed = world.shop.import_product_file(tenant(), &dearer, false, None).await.expect("it is taken in").value;
    assert_eq!(counts(changed), [0, 1, 0]);
    assert_eq!(world.facts().await[before + 3..], ["product_price_changed"]);
}

pub async fn one_wrong_row_leaves_nothing_of_a_file_and_each_wrong_field_is_told_with_line_and_column(world: World) {
    world.shop.import_products(tenant(), &[imported(CUP, 1, 500, 3), imported(POT, 2, 900, 3)]).await.expect("two");
    let (stored, events) = (all(&world).await, world.outbox().await.len());
    let rows = [
        row(7, "Good", 450, "", ""),
        row(7, "Two\nlines", 450, &POT.to_string(), ""),
        row(1, " ", -5, &CUP.to_string(), "gone"),
        row(2, "Pot again", 5, &POT.to_string(), ""),
        "only,three,fields".to_owned(),
    ];
    let places = async |bytes: &[u8]| match world.shop.import_product_file(tenant(), bytes, false, None).await {
        Err(CommerceError::Invalid(problems)) => problems.into_iter().map(|problem| problem.pointer).collect(),
        other => BTreeSet::from([format!("{other:?}")]),
    };
    let told = places(&file(&rows)).await;
    // Line 3 and 4 are one row; whose a product is, is looked up only where the file is right in itself.
    assert_eq!(told, BTreeSet::from(["/5/price_amount", "/5/state", "/5/title", "/6/id", "/7"].map(str::to_owned)));
    assert_eq!(places(&file(&rows[..2])).await, BTreeSet::from(["/3/seller".to_owned()]));
    assert_eq!(places(b"title,colour\nx,y\n").await.len(), 8, "a column too many and seven that are missing");
    assert_eq!(places(&file(&[])).await, BTreeSet::from([String::new()]));
    let many = vec![row(7, "Good", 450, "", ""); IMPORT_ROWS_MAX + 1];
    assert_eq!(places(&file(&many)).await, BTreeSet::from([String::new()]));
    assert_eq!((all(&world).await, world.outbox().await.len()), (stored, events), "nothing was taken in");
}

pub async fn wherever_a_process_dies_a_file_is_taken_in_whole_and_told_of_once(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    for run in 1_u8.. {
        assert!(run < 40, "there are fewer write points");
        let seller = 100 + u128::from(run);
        let bytes = file(&[row(seller, "Kettle", 900, "", ""), row(seller, "Teapot", 700, "", "delisted")]);
        let key = Idempotency::new(&format!("file-{run}"), "POST /v1/products/import", &bytes).expect("a key");
        let there = async || {
            let products = all(&world).await.into_iter().filter(|product| product.input.seller.as_u128() == seller);
            products.map(|product| product.id.to_string()).collect::<BTreeSet<_>>()
        };
        points.end_at(run.into());
        let lived = tokio::select! {
            done = mortal.import_product_file(tenant(), &bytes, false, Some(&key)) => { done.expect("it is taken in"); true }
            () = points.ended() => false,
        };
        let left = points.disarm();
        if !lived {
            assert!([0, 2].contains(&there().await.len()), "run {run}: nothing is half taken in");
            let again = world.shop.import_product_file(tenant(), &bytes, false, Some(&key)).await;
            assert_eq!(counts(again.expect("a successor takes it in").value), [2, 0, 0], "run {run}");
        }
        let products = there().await;
        let told = world.outbox().await.into_iter().filter(|record| products.contains(&record.aggregate)).count();
        assert_eq!((products.len(), told), (2, 3), "run {run}");
        if left > 0 {
            assert!(run > 5, "an import has more write points than {run}");
            return;
        }
    }
}
