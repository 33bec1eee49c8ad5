//! Records, writers and readers that the tests of the lake share.

use std::path::Path;
use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use dhow_events::facts::*;
use dhow_events::*;
use dhow_offline::*;
use dhow_streams::{Offsets, Record, Sink, SinkError};

pub fn record(offset: u64, id: u128, tenant: &str, at: i64, fact: impl Into<Fact>) -> Record {
    let event = Event {
        id: EventId::from_u128(id),
        tenant: TenantId::new(tenant).unwrap(),
        event_time: Timestamp::from_micros(at),
        fact: fact.into(),
    };
    Record { partition: 0, offset, known_time: Timestamp::from_micros(at + 5), event }
}

pub fn ordered(product: u128, quantity: i64) -> ItemOrdered {
    ItemOrdered {
        product: ProductId::from_u128(product),
        order: OrderId::from_u128(1),
        checkout: CheckoutId::from_u128(77),
        buyer: BuyerId::from_u128(3),
        seller: SellerId::from_u128(4),
        category: Category::new("home").unwrap(),
        region: Region::new("GB").unwrap(),
        quantity,
        unit_price: Money::usd(100),
        amount_usd_minor: 100 * quantity,
    }
}

pub fn listed(product: u128, price: i64) -> ProductListed {
    ProductListed {
        product: ProductId::from_u128(product),
        seller: SellerId::from_u128(4),
        category: Category::new("home").unwrap(),
        title: "A kettle".into(),
        description: "It whistles.".into(),
        price: Money::usd(price),
        price_usd_minor: price,
        region: Region::new("GB").unwrap(),
        weight_grams: 900,
        reference: "K-1".into(),
        sale_regions: None,
    }
}

pub fn write(folder: &Path, records: &[Record]) {
    let mut writer = open_writer(folder);
    for record in records {
        writer.apply(record).unwrap();
    }
    writer.checkpoint(&Offsets(vec![records.len() as u64])).unwrap();
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

pub fn session(folder: &Path, tenant: &str) -> SqlSession {
    let lake = Lake::open(stored(folder)).unwrap();
    SqlSession::open(&lake, &TenantId::new(tenant).unwrap(), QueryBounds::default()).unwrap()
}

pub fn count(folder: &Path, tenant: &str, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    integers(&run(session(folder, tenant).query(&sql)).unwrap(), "n").unwrap()[0]
}

/// The lake in a folder.
pub fn stored(folder: &Path) -> Arc<dyn LakeStorage> {
    Arc::new(FolderStorage::new(folder))
}

pub fn open_writer(folder: &Path) -> LakeWriter {
    LakeWriter::open(stored(folder), Arc::new(SystemClock)).unwrap()
}

/// All rows of a tenant's table in the order of the log, as one batch.
pub fn rows(lake: &Lake, table: &str) -> RecordBatch {
    let session = SqlSession::open(lake, &TenantId::default(), QueryBounds::default()).unwrap();
    let batches = run(session.query(&format!("SELECT * FROM {table} ORDER BY log_offset"))).unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Sales of products, one a minute from `start` on, that reach the log in this order.
pub fn sales(count: u64, start: i64) -> Vec<Record> {
    let sale = |i: u64| {
        record(
            i,
            u128::from(i),
            "ten_default",
            start + i as i64 * MINUTE_MICROS,
            ordered(7 + u128::from(i % 5), i as i64),
        )
    };
    (0..count).map(sale).collect()
}

/// Applies records to a writer with a checkpoint after every `each`.
pub fn stream(writer: &mut LakeWriter, records: &[Record], each: usize) -> Result<(), SinkError> {
    for chunk in records.chunks(each) {
        for record in chunk {
            writer.apply(record)?;
        }
        writer.checkpoint(&Offsets(vec![chunk[chunk.len() - 1].offset + 1]))?;
    }
    Ok(())
}
