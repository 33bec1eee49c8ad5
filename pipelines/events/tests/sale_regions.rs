//! The rule of where a product may be sold: beside one looked up by hand, its text, and its continents.

use dhow_events::{SALE_REGIONS_MAX, SaleRegions, SaleRegionsError};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn regions(text: &str) -> SaleRegions {
    text.parse().unwrap()
}

#[test]
fn the_most_specific_place_decides_and_at_one_level_the_denial() {
    let cases = [
        ("", "NG", true),
        ("", "nowhere", true),
        ("NG,GH", "NG-LA", true),
        ("NG,GH", "GB", false),
        ("!SA", "SA-01", false),
        ("!SA", "AE", true),
        ("002,!NG,NG-LA", "NG-LA-IKEJA", true),
        ("002,!NG,NG-LA", "NG-KN", false),
        ("002,!NG,NG-LA", "KE", true),
        ("002,!NG,NG-LA", "GB", false),
        ("NG,!NG", "NG", false),
        ("!NG-LA,NG-LA-IKEJA", "ng-la-ikeja", true),
        ("!NG-LA,NG-LA-IKEJA", "NG-LA", false),
        ("!NG-LA", "NG", true),
        ("!NG-LA", "NG-LAX", true),
        ("NG-LA", "NG", false),
        ("150", "TR", false),
        ("!142", "tr-34", false),
        ("!142", "XK", true),
    ];
    for (rules, region, sold) in cases {
        assert_eq!(regions(rules).admits(region), sold, "{rules} in {region}");
    }
}

const PLACES: [&str; 8] = ["002", "150", "NG", "NG-LA", "NG-LA-IKEJA", "NG-KN", "DE", "GB"];
/// Regions of buyers with the places that hold them, the most specific first.
const HELD: [(&str, &[&str]); 7] = [
    ("NG-LA-IKEJA", &["NG-LA-IKEJA", "NG-LA", "NG", "002"]),
    ("NG-LA", &["NG-LA", "NG", "002"]),
    ("NG-KN", &["NG-KN", "NG", "002"]),
    ("NG", &["NG", "002"]),
    ("DE-BW", &["DE", "150"]),
    ("GB", &["GB", "150"]),
    ("ZZ", &[]),
];

proptest! {
    #[test]
    fn a_rule_says_what_is_found_by_hand_in_any_order_of_its_places(
        allowed in subsequence(PLACES.to_vec(), 0..5), denied in subsequence(PLACES.to_vec(), 0..5), at in select(&HELD[..]),
    ) {
        let by_hand = || {
            for place in at.1 {
                if denied.contains(place) { return false; }
                if allowed.contains(place) { return true; }
            }
            allowed.is_empty()
        };
        let mut written: Vec<String> = allowed.iter().map(|place| place.to_string()).collect();
        written.extend(denied.iter().map(|place| format!("!{place}")));
        let rule = regions(&written.join(","));
        prop_assert_eq!(rule.admits(at.0), by_hand(), "{} in {}", rule, at.0);
        written.reverse();
        prop_assert_eq!(&regions(&written.join(" , ").to_lowercase()), &rule);
        prop_assert_eq!(&regions(&rule.to_string()), &rule);
    }
}

#[test]
fn what_is_no_place_is_refused_by_name() {
    for wrong in ["XX", "N", "NGA", "NG-", "NG-LAGO", "NG-LA-", "003", "150-DE", "NG-L/", "!", "!!NG", "NG-L?"] {
        let error = wrong.parse::<SaleRegions>().expect_err(wrong);
        assert!(matches!(error, SaleRegionsError::Unknown(_) | SaleRegionsError::Region(_)), "{wrong}: {error}");
    }
    let many = vec!["NG"; SALE_REGIONS_MAX + 1].join(",");
    assert_eq!(many.parse::<SaleRegions>(), Err(SaleRegionsError::TooMany(SALE_REGIONS_MAX + 1)));
}

#[test]
fn each_of_the_249_countries_of_iso_3166_1_is_in_one_continent() {
    let continents = ["002", "009", "010", "019", "142", "150"].map(regions);
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    let held: Vec<usize> =
        codes.map(|country| continents.iter().filter(|continent| continent.admits(&country)).count()).collect();
    assert!(held.iter().all(|count| *count <= 1));
    assert_eq!(held.iter().sum::<usize>(), 249);
}
