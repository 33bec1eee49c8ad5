//! SQLite's write-ahead file, which nobody's commit is to wait for; PostgreSQL checkpoints by itself.

use std::fs;

use dhow_commerce::{PageRequest, Storage};
use dhow_events::ProductId;
use dhow_store::{Store, StoreSettings};
use sqlx::{AnyConnection, Connection, Executor};

use crate::run;
use crate::world::{Database, World, imported, tenant};

const PRODUCTS: u128 = 1_000;

/// New prices of many products, more than a thousand pages of writing ahead.
async fn write_much(world: &World, price_minor: i64) {
    for first in (100..100 + PRODUCTS).step_by(100) {
        let products: Vec<_> = (first..first + 100)
            .map(|number| imported(ProductId::from_u128(number), 1, price_minor + number as i64, 10))
            .collect();
        world.shop.import_products(tenant(), &products).await.expect("they are taken over");
    }
}

#[test]
fn a_checkpoint_keeps_the_write_ahead_file_short_and_waits_for_no_reader() {
    run(Database::Sqlite, async |world| {
        let settings = StoreSettings { write_ahead_pages: 500, ..StoreSettings::default() };
        let store = Store::connect(&world.url, settings).await.expect("the database opens");
        let write_ahead_bytes = || fs::metadata(world.folder.path().join("shop #1.db-wal")).expect("it exists").len();
        write_much(&world, 0).await;
        store.checkpoint().await.expect("nothing hinders it");
        let once = write_ahead_bytes();
        for round in 1..8 {
            write_much(&world, round).await;
            store.checkpoint().await.expect("nothing hinders it");
        }
        assert!(write_ahead_bytes() < 2 * once, "{once} bytes became {}", write_ahead_bytes());

        // Whoever reads an old state goes on seeing it, and hinders neither the checkpoint nor a transaction after it.
        let mut reader = AnyConnection::connect(&world.url).await.expect("the database opens");
        reader.execute("BEGIN").await.expect("a transaction begins");
        let prices = "SELECT SUM(price_minor) FROM products";
        let sum = async |reader: &mut AnyConnection| {
            sqlx::query_scalar::<_, i64>(prices).fetch_one(reader).await.expect("prices are read")
        };
        let before = sum(&mut reader).await;
        write_much(&world, 1_000).await;
        store.checkpoint().await.expect("a reader does not hinder it");
        write_much(&world, 2_000).await;
        assert_eq!(sum(&mut reader).await, before);
        reader.execute("COMMIT").await.expect("it ends");
        assert!(sum(&mut reader).await > before);
        let page = world
            .shop
            .storage()
            .products(tenant(), None, &PageRequest::new(10, None, "prd").expect("a page"))
            .await
            .expect("they are read");
        assert_eq!(page.items.len(), 10);
    });
}
