//! What other crates rely on in the words: codecs give back what they were given, and bad input is named with its place.

use dhow_events::cloudevents::{from_json, from_line, to_json};
use dhow_events::facts::*;
use dhow_events::*;
use proptest::prelude::*;
use serde_json::json;

fn viewed(id: u128, micros: i64, buyer: Option<u128>) -> Event {
    Event {
        id: EventId::from_u128(id),
        tenant: TenantId::default(),
        event_time: Timestamp::from_micros(micros),
        fact: ProductViewed {
            session: SessionId::from_u128(id ^ 1),
            buyer: buyer.map(BuyerId::from_u128),
            product: ProductId::from_u128(id.rotate_left(9)),
            device: DeviceId::from_u128(3),
            region: Region::new("NG-LA").unwrap(),
            decision: None,
        }
        .into(),
    }
}

fn ordered(id: u128, quantity: i64, amount: i64, currency: &str) -> Event {
    Event {
        id: EventId::from_u128(id),
        tenant: TenantId::new("ten_acme").unwrap(),
        event_time: "2026-01-31T12:00:00.000001Z".parse().unwrap(),
        fact: ItemOrdered {
            product: ProductId::from_u128(id),
            order: OrderId::from_u128(2),
            checkout: CheckoutId::from_u128(3),
            buyer: BuyerId::from_u128(4),
            seller: SellerId::from_u128(5),
            category: Category::new("home/kitchen").unwrap(),
            region: Region::new("GB").unwrap(),
            quantity,
            unit_price: Money::new(amount, Currency::new(currency).unwrap()),
            amount_usd_minor: amount,
        }
        .into(),
    }
}

proptest! {
    #[test]
    fn both_codecs_give_back_the_event(id: u128, micros in 0..4_000_000_000_000_000_i64, buyer: Option<u128>, quantity in 1..100_i64, amount in 0..1_000_000_i64) {
        for event in [viewed(id, micros, buyer), ordered(id, quantity, amount, "KWD")] {
            let bytes = codec::encode(&event, Vec::new()).unwrap();
            prop_assert_eq!(&codec::decode(&bytes).unwrap(), &event);
            prop_assert_eq!(&from_json(&to_json(&event), event.tenant).unwrap(), &event);
        }
    }

    #[test]
    fn damaged_records_are_refused_or_read_as_some_event_but_never_panic(bytes: Vec<u8>) {
        let _ = codec::decode(&bytes);
    }
}

#[test]
fn every_column_of_every_kind_has_its_own_name_and_can_be_found() {
    for kind in FactKind::ALL {
        let columns = kind.columns();
        for (index, column) in columns.iter().enumerate() {
            assert_eq!(kind.column_index(column.name), Some(index), "{}.{}", kind.name(), column.name);
        }
        assert_eq!(FactKind::from_name(kind.name()), Some(*kind));
    }
}

#[test]
fn a_fact_read_by_columns_equals_its_fields() {
    let event = ordered(7, 3, 1250, "JPY");
    let value = |name: &str| event.fact.value(event.fact.kind().column_index(name).unwrap());
    assert_eq!(value("quantity"), Value::Int(3));
    assert_eq!(value("unit_price_minor"), Value::Int(1250));
    assert_eq!(value("unit_price_currency"), Value::Text("JPY"));
    assert_eq!(value("category"), Value::Text("home/kitchen"));
    assert_eq!(value("buyer"), Value::Id(4));
    assert_eq!(viewed(1, 0, None).fact.value(1), Value::Null);
}

#[test]
fn bad_events_are_named_with_place_and_remedy() {
    let good = to_json(&ordered(7, 3, 1250, "NGN"));
    let cases = [
        ("/data/quantity", json!(-3), "/data/quantity", "must be from 1"),
        ("/data/quantity", json!("three"), "/data/quantity", "invalid type"),
        ("/data/unit_price/currency", json!("NGX"), "/data/unit_price", "`NGX` is not an ISO 4217 currency"),
        ("/data/unit_price/amount", json!("12.5"), "/data/unit_price", "whole number of minor units"),
        ("/data/buyer", json!("usr_1"), "/data/buyer", "is not a buyer id"),
        ("/type", json!("dhow.item_orderd"), "/type", "did you mean `dhow.item_ordered`?"),
        ("/time", json!("yesterday"), "/time", "is not an RFC 3339 time"),
        ("/specversion", json!("0.3"), "/specversion", "must be \"1.0\""),
    ];
    for (place, value, pointer, message) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        let problem = from_json(&bad, TenantId::default()).unwrap_err();
        assert_eq!(problem.pointer, pointer, "{problem}");
        assert!(problem.message.contains(message), "{problem}");
    }
    let mut unknown = good.clone();
    unknown["data"]["quantty"] = json!(1);
    assert_eq!(from_json(&unknown, TenantId::default()).unwrap_err().pointer, "/data/quantty");
    assert!(from_line("{", TenantId::default()).unwrap_err().message.contains("is not JSON"));
}

#[test]
fn an_event_from_the_future_is_refused_beyond_five_minutes() {
    let event = viewed(1, 10 * MINUTE_MICROS, None);
    assert!(event.check(Timestamp::from_micros(5 * MINUTE_MICROS)).is_ok());
    let problem = event.check(Timestamp::from_micros(5 * MINUTE_MICROS - 1)).unwrap_err();
    assert_eq!(problem.pointer, "/time");
}

#[test]
fn a_foreign_id_always_becomes_the_same_id_and_sources_are_kept_apart() {
    let mut json = to_json(&viewed(1, 0, None));
    json["id"] = json!("order-17");
    let first = from_json(&json, TenantId::default()).unwrap().id;
    assert_eq!(from_json(&json, TenantId::default()).unwrap().id, first);
    json["source"] = json!("/other");
    assert_ne!(from_json(&json, TenantId::default()).unwrap().id, first);
}

#[test]
fn ids_made_from_a_time_are_version_seven_and_sort_by_it() {
    let early = ProductId::at(Timestamp::from_millis(1_000), u128::MAX);
    let late = ProductId::at(Timestamp::from_millis(1_001), 0);
    assert!(early < late);
    assert_eq!(early.to_string().as_bytes()[18], b'7');
    assert_eq!(early.to_string().parse::<ProductId>().unwrap(), early);
}

#[test]
fn money_shows_the_decimals_of_its_currency() {
    let shown = |amount, code| Money::new(amount, Currency::new(code).unwrap()).to_string();
    assert_eq!(shown(12345, "NGN"), "123.45 NGN");
    assert_eq!(shown(-5, "USD"), "-0.05 USD");
    assert_eq!(shown(1234, "KWD"), "1.234 KWD");
    assert_eq!(shown(1234, "JPY"), "1234 JPY");
}
