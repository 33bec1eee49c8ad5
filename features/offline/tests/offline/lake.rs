//! The lake holds each event once whatever happens, its tables give trainers what happened, joins look back only.

use dhow_events::facts::*;
use dhow_events::*;
use dhow_offline::tables::{Touch, catalogue, daily_demand, interactions};
use dhow_offline::*;
use dhow_streams::{Offsets, Record, Sink};
use proptest::prelude::*;

use crate::world::*;

#[test]
fn a_writer_killed_at_any_record_leaves_the_lake_of_an_undisturbed_one() {
    let mut records: Vec<Record> =
        (0..40).map(|i| record(i, u128::from(i), "ten_default", i as i64 * 1000, ordered(7, 1 + i as i64))).collect();
    records[30] = record(30, 12, "ten_default", 30_000, ordered(7, 13));
    for killed_at in [0, 1, 9, 10, 11, 25, 39] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = open_writer(folder.path());
        for (index, record) in records[..killed_at].iter().enumerate() {
            writer.apply(record).unwrap();
            if index == 9 {
                writer.checkpoint(&Offsets(vec![10])).unwrap();
            }
        }
        drop(writer);
        let mut writer = open_writer(folder.path());
        let from = writer.restored_offsets().0.first().copied().unwrap_or(0) as usize;
        assert_eq!(from, if killed_at > 9 { 10 } else { 0 });
        records.iter().for_each(|record| writer.apply(record).unwrap());
        writer.checkpoint(&Offsets(vec![40])).unwrap();
        drop(writer);
        let sql = "SELECT event_id, quantity FROM item_ordered ORDER BY log_offset";
        let quantities = integers(&run(session(folder.path(), "ten_default").query(sql)).unwrap(), "quantity").unwrap();
        let expected: Vec<i64> = (0..40).filter(|i| *i != 30).map(|i| 1 + i).collect();
        assert_eq!(quantities, expected, "killed at {killed_at}");
        assert_eq!(Lake::open(stored(folder.path())).unwrap().duplicate_count(), 1);
    }
}

#[test]
fn a_damaged_manifest_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[record(0, 1, "ten_default", 0, ordered(7, 1))]);
    let path = folder.path().join("manifest.dhow");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(Lake::open(stored(folder.path())).unwrap_err().to_string().contains("manifest.dhow"));
}

#[test]
fn the_tables_of_the_trainers_equal_a_recount() {
    let folder = tempfile::tempdir().unwrap();
    let day = DAY_MICROS;
    let viewed = |product: u128| ProductViewed {
        session: SessionId::from_u128(50),
        buyer: None,
        product: ProductId::from_u128(product),
        device: DeviceId::from_u128(1),
        region: Region::new("GB").unwrap(),
        decision: None,
    };
    let changed =
        ProductPriceChanged { product: ProductId::from_u128(7), price: Money::usd(150), price_usd_minor: 150 };
    let records = [
        record(0, 1, "ten_default", 0, listed(7, 100)),
        record(1, 2, "ten_default", 10, listed(8, 300)),
        record(2, 3, "ten_default", day + 1, viewed(7)),
        record(3, 4, "ten_default", day + 2, ordered(7, 2)),
        record(4, 5, "ten_default", day + 3, ordered(7, 3)),
        record(5, 6, "ten_default", day + 4, changed),
        record(6, 7, "ten_default", 2 * day + 4, ordered(7, 4)),
        record(7, 8, "ten_default", 2 * day + 5, ordered(8, 1)),
        record(8, 9, "ten_default", 3 * day + 5, ProductDelisted { product: ProductId::from_u128(8) }),
        record(9, 10, "ten_default", 9 * day, ordered(8, 9)),
    ];
    write(folder.path(), &records);
    let session = session(folder.path(), "ten_default");
    let until = Timestamp::from_micros(8 * day);
    let demand = run(daily_demand(&session, until)).unwrap();
    let shown: Vec<_> =
        demand.iter().map(|row| (row.product.as_u128(), row.day, row.quantity, row.price_usd_minor)).collect();
    assert_eq!(shown, [(7, 1, 5.0, 100.0), (7, 2, 4.0, 150.0), (8, 2, 1.0, 300.0)]);
    let touches = run(interactions(&session, until)).unwrap();
    let shown: Vec<_> = touches.iter().map(|row| (row.product.as_u128(), row.touch, row.session.as_u128())).collect();
    let order = |product| (product, Touch::Order, 77);
    assert_eq!(shown, [(7, Touch::View, 50), order(7), order(7), order(7), order(8)]);
    let products = run(catalogue(&session, until)).unwrap();
    let shown: Vec<_> = products.iter().map(|row| (row.product.as_u128(), row.price_usd_minor, row.offered)).collect();
    assert_eq!(shown, [(7, 150, true), (8, 300, false)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn an_as_of_join_gives_the_last_value_at_or_before_the_point(
        points in prop::collection::vec((0..4_u8, 0..50_i64), 0..60),
        changes in prop::collection::vec((0..4_u8, 0..50_i64), 0..60),
    ) {
        let changes: Vec<(u8, i64, f64)> = changes.into_iter().enumerate().map(|(i, (key, time))| (key, time, i as f64)).collect();
        let table = Changes {
            keys: changes.iter().map(|(key, ..)| key.to_string()).collect(),
            times: changes.iter().map(|(_, time, _)| *time).collect(),
            values: changes.iter().map(|(.., value)| *value).collect(),
        };
        let keys: Vec<String> = points.iter().map(|(key, _)| key.to_string()).collect();
        let times: Vec<i64> = points.iter().map(|(_, time)| *time).collect();
        let joined = as_of(&keys, &times, &table).unwrap();
        for ((key, at), found) in points.iter().zip(joined) {
            let held = changes.iter().filter(|(k, time, _)| k == key && time <= at).max_by_key(|(_, time, value)| (*time, *value as i64));
            prop_assert_eq!(held.map(|(.., value)| *value), Some(found).filter(|value| !value.is_nan()));
        }
    }
}

#[test]
fn every_kind_of_fact_has_a_table_that_a_query_can_read() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[record(0, 1, "ten_default", 0, listed(7, 100))]);
    let session = session(folder.path(), "ten_default");
    for kind in FactKind::ALL {
        let answer = run(session.query(&format!("SELECT * FROM {} LIMIT 1", kind.name()))).unwrap();
        let expected = schema(*kind).fields().len();
        assert!(answer.iter().all(|batch| batch.num_columns() == expected), "{}", kind.name());
    }
}
