//! What other crates rely on in the words: codecs give back what they were given, and bad input is named with its place.

use dhow_events::cloudevents::{admit_fields, from_json, from_line, to_json};
use dhow_events::facts::*;
use dhow_events::record::{Fields, Presence};
use dhow_events::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

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

/// Every kind with all fields and with the required ones only, as version 1 wrote it: the bytes in hex and the JSON.
const GENERATION_1: &str = include_str!("generation_1.txt");

#[test]
fn what_generation_1_wrote_of_every_kind_is_read_for_ever() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in GENERATION_1.lines() {
        let (hex, text) = line.split_once(' ').unwrap();
        let byte = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let event = from_line(text, TenantId::new("ten_golden").unwrap()).unwrap();
        assert_eq!(codec::decode(&bytes).unwrap(), event, "{text}");
        if event.fact.kind().generation() == 1 {
            assert_eq!(codec::encode(&event, Vec::new()).unwrap(), bytes, "an unchanged kind is written as before");
        }
        kinds.insert(event.fact.kind());
    }
    let of_generation_1 = FactKind::TextsRanked as usize + 1;
    assert!(FactKind::ALL[..of_generation_1].iter().all(|kind| kinds.contains(kind)));
}

#[test]
fn a_record_of_a_newer_program_or_with_bytes_left_over_is_refused_by_name() {
    let mut bytes = codec::encode(&viewed(1, 0, None), Vec::new()).unwrap();
    bytes.push(0);
    assert!(codec::decode(&bytes).unwrap_err().to_string().contains("1 bytes follow the event"));
    bytes[0] = codec::VERSION + 1;
    assert!(codec::decode(&bytes).unwrap_err().to_string().contains("a newer program wrote it"));
    bytes[0] = 0;
    assert!(matches!(codec::decode(&bytes), Err(codec::CodecError::Version(0))));
}

/// One record as three programs declare it, each newer than the one before.
mod parcels {
    #![allow(dead_code)]

    pub mod first {
        use dhow_events::{BuyerId, Region, record};
        record! {
            /// As it was.
            Parcel { buyer: BuyerId, weight: i64, note: String, region: Region, fragile: bool, colour: String, }
        }
    }
    pub mod second {
        use dhow_events::{BuyerId, Region, record};
        record! {
            /// The weight is retyped, the note removed, the insured amount added in the middle.
            Parcel {
                buyer: BuyerId,
                weight: f64 [since 2, was i64] [until 2, note: String],
                region: Region,
                insured: Option<i64> [since 2],
                fragile: bool,
                colour: String,
            }
        }
    }
    pub mod third {
        use dhow_events::{BuyerId, Region, record};
        record! {
            /// Three more fields are retyped and one is removed again.
            Parcel {
                buyer: BuyerId,
                weight: f64 [since 2, was i64] [until 2, note: String],
                region: String [since 3, was Region] [until 3 since 2, insured: Option<i64>],
                fragile: i64 [since 3, was bool],
                colour: Option<String> [since 3, was String],
            }
        }
    }
}

/// The bytes of a record's fields.
fn written(record: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_allocvec(record).unwrap()
}

proptest! {
    #[test]
    fn a_newer_program_reads_every_older_record_by_the_rules(buyer: u128, weight in -1_000_000_000_000_000..1_000_000_000_000_000_i64, insured: Option<i64>, note: String, fragile: bool, colour: String, code in "[A-Z]{2}") {
        let (buyer, region) = (BuyerId::from_u128(buyer), Region::new(&code).unwrap());
        let first = parcels::first::Parcel { buyer, weight, note, region, fragile, colour: colour.clone() };
        let as_second = parcels::second::Parcel { buyer, weight: weight as f64, region, insured: None, fragile, colour: colour.clone() };
        let second = parcels::second::Parcel { insured, ..as_second.clone() };
        let third = parcels::third::Parcel {
            buyer, weight: weight as f64, region: code, fragile: i64::from(fragile), colour: Some(colour),
        };
        let (first, second, newest) = (written(&first), written(&second), written(&third));
        for (bytes, generation) in [(&first, 1), (&second, 2), (&newest, 3)] {
            let mut fields = Fields::new(bytes, generation);
            prop_assert_eq!(&parcels::third::Parcel::read(&mut fields).unwrap(), &third, "generation {}", generation);
            prop_assert_eq!(fields.finish().unwrap(), 0);
        }
        prop_assert_eq!(parcels::second::Parcel::read(&mut Fields::new(&first, 1)).unwrap(), as_second);
    }
}

#[test]
fn a_record_is_of_the_generation_that_changed_it_last_and_its_columns_are_those_it_has_now() {
    let generations =
        [parcels::first::Parcel::GENERATION, parcels::second::Parcel::GENERATION, parcels::third::Parcel::GENERATION];
    assert_eq!(generations, [1, 2, 3]);
    let names: Vec<&str> = parcels::third::Parcel::columns().iter().map(|column| column.name).collect();
    assert_eq!(names, ["buyer", "weight", "region", "fragile", "colour"]);
}

/// The JSON of a parcel's fields after admission by the newest program.
fn admitted(data: Json) -> Result<Json, EventProblem> {
    let mut fields = data.as_object().cloned().unwrap_or_default();
    admit_fields("parcel", parcels::third::Parcel::FIELDS, &mut fields).map(|()| Json::Object(fields))
}

#[test]
fn in_json_removed_fields_are_passed_over_and_missing_or_unknown_ones_are_named() {
    let newest = json!({"buyer": BuyerId::from_u128(1), "weight": 7, "region": "GB", "fragile": 1});
    let mut older = newest.clone();
    older["note"] = json!("left at the door");
    older["insured"] = json!(100);
    let read: parcels::third::Parcel = serde_json::from_value(admitted(older).unwrap()).unwrap();
    assert_eq!(
        (read.weight, read.colour),
        (7.0, None),
        "an integer stands for a float; what is optional may be missing"
    );

    let mut unknown = newest.clone();
    unknown["wieght"] = json!(7);
    let problem = admitted(unknown).unwrap_err();
    assert_eq!(problem.pointer, "/data/wieght");
    assert!(problem.message.contains("did you mean `weight`?"), "{problem}");
    let mut missing = newest.clone();
    missing.as_object_mut().unwrap().remove("weight");
    assert_eq!(admitted(missing).unwrap_err().to_string(), "/data/weight: is missing; every parcel has it");
}

/// Every line of the golden file as JSON.
fn golden() -> impl Iterator<Item = Json> {
    GENERATION_1.lines().map(|line| serde_json::from_str(line.split_once(' ').unwrap().1).unwrap())
}

#[test]
fn of_every_kind_a_missing_null_or_mistyped_field_is_named_by_its_pointer() {
    for event in golden() {
        let kind = FactKind::from_name(event["type"].as_str().unwrap().strip_prefix("dhow.").unwrap()).unwrap();
        let refused = |data: Json| {
            let event = json!({"specversion": "1.0", "id": "1", "source": "/x", "type": event["type"], "time": event["time"], "data": data});
            from_json(&event, TenantId::default()).map_err(|problem| problem.pointer)
        };
        assert!(refused(event["data"].clone()).is_ok());
        for rule in kind.fields().iter().filter(|rule| rule.presence == Presence::Required) {
            let pointer = format!("/data/{}", rule.name);
            let mut missing = event["data"].clone();
            missing.as_object_mut().unwrap().remove(rule.name);
            assert_eq!(refused(missing).unwrap_err(), pointer, "{}", kind.name());
            for wrong in [Json::Null, json!(["no field is a list"])] {
                let mut mistyped = event["data"].clone();
                mistyped[rule.name] = wrong;
                assert_eq!(refused(mistyped).unwrap_err(), pointer, "{}", kind.name());
            }
            if event["data"][rule.name].is_number() {
                let mut mistyped = event["data"].clone();
                mistyped[rule.name] = json!("1");
                assert_eq!(refused(mistyped).unwrap_err(), pointer, "a text stands for no number");
            }
        }
        let mut without_optional = event["data"].clone();
        for rule in kind.fields().iter().filter(|rule| rule.presence == Presence::Optional) {
            without_optional.as_object_mut().unwrap().remove(rule.name);
        }
        assert!(refused(without_optional).is_ok(), "{}", kind.name());
    }
}

#[test]
fn an_erased_person_is_in_no_record_of_any_kind_and_records_keep_their_lengths() {
    let pseudonym = 0x0189_0a5d_ac96_774b_bcce_ffff_ffff_ffff;
    let mut rewritten = 0;
    for line in GENERATION_1.lines() {
        let (hex, text) = line.split_once(' ').unwrap();
        let byte = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
        let mut record: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let (event, length) = (codec::decode(&record).unwrap(), record.len());
        // Every buyer of the kind becomes the person once.
        for (index, column) in event.fact.kind().columns().iter().enumerate() {
            let (Value::Id(id), ColumnType::Id(BuyerId::KIND)) = (event.fact.value(index), column.column_type) else {
                continue;
            };
            let (person, pseudonym) = (BuyerId::from_u128(id), BuyerId::from_u128(pseudonym));
            let things = PersonThings::default();
            let mut erasure = Erasure { tenant: event.tenant, person, pseudonym, things };
            assert!(erasure.names(&event), "{text}");
            erasure.learn(&event).unwrap();
            assert!(erasure.rewrite(&event, &mut record).unwrap(), "{text}");
            let after = codec::decode(&record).unwrap();
            assert!(!erasure.is_about(&after) && record.len() == length, "{text}");
            assert_eq!(
                (after.id, after.event_time, after.fact.kind()),
                (event.id, event.event_time, event.fact.kind())
            );
            assert_eq!(erasure.rewritten(event.clone()).unwrap(), after, "{text}");
            let mut again = record.clone();
            assert!(!erasure.rewrite(&after, &mut again).unwrap(), "what is done stays done: {text}");
            // The same by texts.
            let said = erasure.in_text(text).unwrap();
            assert!(!said.contains(&person.to_string()) && said.contains(&pseudonym.to_string()), "{said}");
            assert_eq!(erasure.in_text(&said), None);
            rewritten += 1;
            break;
        }
    }
    assert!(rewritten >= 20, "{rewritten}");
}
