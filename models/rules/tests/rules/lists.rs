//! Block and allow lists at an instant, and that no card number comes into them.

use dhow_events::{CardId, Timestamp};
use dhow_rules::{
    Effect, EntryRefused, FieldValue, ListEntry, ListKind, Listed, Lists, Removal, RemoveError, contains_card_number,
};
use proptest::prelude::*;

use crate::world::{CARD, COUNTRY, IP, case, schema};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn entry(kind: ListKind, effect: Effect, value: &str) -> ListEntry {
    ListEntry {
        kind,
        effect,
        value: value.to_owned(),
        reason: "chargebacks".to_owned(),
        note: String::new(),
        author: "ada".to_owned(),
        created: at(10),
        expires: None,
        removed: None,
    }
}

#[test]
fn an_entry_counts_from_its_creation_until_it_expires_or_is_removed() {
    let mut lists = Lists::new();
    let expiring = ListEntry { expires: Some(at(20)), ..entry(ListKind::Device, Effect::Block, "dev-1") };
    lists.add(expiring).unwrap();
    lists.add(ListEntry { created: at(30), ..entry(ListKind::Device, Effect::Block, "dev-1") }).unwrap();
    let removal = Removal { at: at(40), author: "ben".to_owned() };
    let removed = lists.remove(ListKind::Device, Effect::Block, "dev-1", &removal).unwrap();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].removed, Some(removal.clone()));
    let counts = |second| !lists.find(ListKind::Device, "dev-1", at(second)).unwrap().is_empty();
    let at_times = [9, 10, 19, 20, 29, 30, 39, 40].map(counts);
    assert_eq!(at_times, [false, true, true, false, false, true, true, false]);
    let again = lists.remove(ListKind::Device, Effect::Block, "dev-1", &removal).unwrap_err();
    assert!(matches!(again, RemoveError::NotListed(_)));
    assert!(lists.find(ListKind::Buyer, "dev-1", at(15)).unwrap().is_empty(), "kinds are apart");
}

#[test]
fn networks_are_matched_by_every_prefix_around_an_address() {
    let mut lists = Lists::new();
    for range in ["203.0.113.77/24", "203.0.0.0/16", "2001:db8::/32", "198.51.100.7", "255.255.255.255/32"] {
        lists.add(entry(ListKind::IpPrefix, Effect::Block, range)).unwrap();
    }
    assert_eq!(lists.entries()[0].value, "203.0.113.0/24");
    assert_eq!(lists.entries()[3].value, "198.51.100.7/32");
    let found = |address| lists.find(ListKind::IpPrefix, address, at(10)).unwrap().len();
    let addresses =
        ["203.0.113.9", "203.0.114.9", "203.1.0.1", "198.51.100.7", "198.51.100.8", "2001:db8:1::1", "2001:db9::"];
    assert_eq!(addresses.map(found), [2, 1, 0, 1, 0, 1, 0]);
    assert_eq!(found("::ffff:203.0.113.9"), 2, "an IPv4 address in IPv6's form is the same address");
    assert!(lists.add(entry(ListKind::IpPrefix, Effect::Block, "203.0.113.0/33")).is_err());
    assert!(lists.find(ListKind::IpPrefix, "somewhere", at(10)).is_err());
}

#[test]
fn a_request_is_looked_up_field_by_field() {
    let mut lists = Lists::new();
    lists.add(entry(ListKind::Country, Effect::Allow, "ng")).unwrap();
    lists.add(entry(ListKind::Card, Effect::Block, "crd_a")).unwrap();
    lists.add(entry(ListKind::Card, Effect::Allow, "crd_a")).unwrap();
    lists.add(entry(ListKind::IpPrefix, Effect::Block, "203.0.113.0/24")).unwrap();
    let mut fields = case().fields;
    let listed = lists.listed(&schema(), &fields, at(10)).unwrap();
    assert_eq!(listed, Listed { blocked: 1 << CARD | 1 << IP, allowed: 1 << CARD | 1 << COUNTRY });
    fields[CARD] = FieldValue::Missing;
    assert_eq!(lists.listed(&schema(), &fields, at(10)).unwrap().blocked, 1 << IP);
    assert_eq!(lists.listed(&schema(), &fields, at(9)).unwrap(), Listed::default());
    fields[COUNTRY] = FieldValue::Text("Nigeria".into());
    let error = lists.listed(&schema(), &fields, at(10)).unwrap_err().to_string();
    assert_eq!(error, "`Nigeria` is no key of the kind country; it must be two letters of ISO 3166, such as NG");
}

#[test]
fn no_field_of_an_entry_may_hold_a_card_number_and_no_error_repeats_it() {
    let planted = "4111 1111 1111 1111";
    type Edit = fn(&mut ListEntry, &str);
    let places: [(&str, Edit); 4] = [
        ("value", |entry, text| entry.value = text.replace(' ', "")),
        ("reason", |entry, text| entry.reason = format!("stolen:{text}!")),
        ("note", |entry, text| entry.note = text.replace(' ', "-")),
        ("author", |entry, text| entry.author = text.to_owned()),
    ];
    let mut lists = Lists::new();
    for (field, plant) in places {
        let mut with = entry(ListKind::Card, Effect::Block, "crd_a");
        plant(&mut with, planted);
        let error = lists.add(with).unwrap_err();
        assert_eq!(error, EntryRefused::CardNumberRefused { field });
        assert!(!contains_card_number(&error.to_string()));
    }
    assert!(lists.entries().is_empty());
    let removal = Removal { at: at(11), author: planted.to_owned() };
    assert!(lists.remove(ListKind::Card, Effect::Block, "crd_a", &removal).is_err());
    let lookup = lists.find(ListKind::Card, planted, at(10)).unwrap_err();
    assert!(!contains_card_number(&lookup.to_string()));
}

#[test]
fn ids_and_hashes_are_accepted_though_they_pass_luhn_by_chance() {
    let id = CardId::from_u128(0x41111111_1111_1111_a000_000000000000).to_string();
    assert!(contains_card_number(&id));
    let hash = format!("{}4111111111111111", "ab".repeat(24));
    let mut lists = Lists::new();
    lists.add(entry(ListKind::Card, Effect::Block, &id)).unwrap();
    lists.add(entry(ListKind::EmailHash, Effect::Block, &hash.to_uppercase())).unwrap();
    assert_eq!(lists.find(ListKind::EmailHash, &hash, at(10)).unwrap().len(), 1);
    assert!(lists.add(entry(ListKind::EmailHash, Effect::Block, "4111111111111111")).is_err());
}

#[test]
fn entries_need_reasons_authors_and_a_time_in_which_they_count() {
    let mut lists = Lists::new();
    let whole = entry(ListKind::Buyer, Effect::Allow, "buy-1");
    let wrong = [
        ListEntry { reason: " ".to_owned(), ..whole.clone() },
        ListEntry { author: String::new(), ..whole.clone() },
        ListEntry { value: "two words".to_owned(), ..whole.clone() },
        ListEntry { value: "x".repeat(200), ..whole.clone() },
        ListEntry { note: "x".repeat(2_000), ..whole.clone() },
        ListEntry { expires: Some(at(10)), ..whole.clone() },
    ];
    for entry in wrong {
        assert!(lists.add(entry.clone()).is_err(), "{entry:?}");
    }
    lists.add(whole).unwrap();
}

#[test]
fn card_numbers_are_found_in_any_dress() {
    for text in [
        "4111111111111111",
        "x4111111111111111y",
        "4111-1111-1111-1111",
        "order 12 4111 1111 1111 1111 77",
        "5500 0000 0000 0004, please",
        "3782 822463 10005",
        "6304000000000000000",
        "٤١١١ ١١١١ ١١١١ ١١١١",
        "４１１１１１１１１１１１１１１１",
        "00000411111111111111110000000",
        "4111 - 1111 - 1111 - 1111",
    ] {
        assert!(contains_card_number(text), "{text}");
    }
    for text in [
        "",
        "4111111111111112",
        "411111111111",
        "4111 1111",
        "2026-11-22 01:25:00",
        "123 456 789",
        "4111a1111b1111c1111",
    ] {
        assert!(!contains_card_number(text), "{text}");
    }
}

/// Luhn's check digit, by the schoolbook.
fn check_digit(digits: &[u32]) -> u32 {
    let doubled = digits.iter().rev().enumerate().map(|(place, digit)| if place % 2 == 0 { digit * 2 } else { *digit });
    (10 - doubled.map(|value| value / 10 + value % 10).sum::<u32>() % 10) % 10
}

proptest! {
    #[test]
    fn every_valid_number_is_found_and_every_other_digit_changed_is_not(
        digits in prop::collection::vec(0_u32..10, 12..19),
        before in "[a-z ]{0,8}",
        after in "[a-z!?]{0,8}",
        wrong in 1_u32..10,
    ) {
        let last = check_digit(&digits);
        let number: String = digits.iter().map(u32::to_string).collect();
        let dressed = |last: u32| format!("{before}{number}{last}{after}");
        prop_assert!(contains_card_number(&dressed(last)));
        prop_assert!(!contains_card_number(&dressed((last + wrong) % 10)));
    }
}
