//! Ways over the sea against all ways tried, and against known distances where a published network is there.

use std::collections::BTreeSet;

use dhow_shipping::{SeaError, SeaLeg, SeaNetwork, SeaPoint, UnLocode};
use proptest::prelude::*;

fn point(longitude: f64, latitude: f64) -> SeaPoint {
    SeaPoint { longitude, latitude }
}

fn closed(passages: &[&str]) -> BTreeSet<String> {
    passages.iter().map(|&passage| passage.to_owned()).collect()
}

#[test]
fn places_are_two_letters_and_three_letters_or_digits_without_nought_and_one() {
    assert_eq!("NLRTM".parse::<UnLocode>().map(|place| place.country().to_owned()), Ok("NL".to_owned()));
    assert!("US2AB".parse::<UnLocode>().is_ok());
    for wrong in ["", "NLRT", "NLRTMX", "nlrtm", "N1RTM", "NLRT1", "NLRT0", "NL RT", "NLRÉ"] {
        assert!(wrong.parse::<UnLocode>().is_err(), "{wrong}");
    }
}

#[test]
fn a_closed_passage_is_gone_around_or_there_is_no_way() {
    let leg = |from, to, passage: Option<&str>| SeaLeg { from, to, passage: passage.map(str::to_owned) };
    let (a, b, c) = (point(0.0, 0.0), point(1.0, 0.0), point(0.5, 3.0));
    let network = SeaNetwork::new(&[leg(a, b, Some("canal")), leg(a, c, None), leg(c, b, Some("strait"))]).unwrap();
    let short = network.way(a, b, &closed(&[])).unwrap();
    // A degree of the equator of a sphere of the Earth's mean radius.
    assert_eq!((short.metres, short.passages), (111_195, closed(&["canal"])));
    let long = network.way(a, b, &closed(&["canal"])).unwrap();
    assert_eq!((long.metres, long.passages), (2 * a.metres_to(c), closed(&["strait"])));
    assert_eq!(network.way(a, b, &closed(&["canal", "strait"])), Err(SeaError::NoWay));
    assert!(matches!(network.way(a, point(1.0, 4.0), &closed(&[])), Ok(way) if way.points.len() == 4));
    for wrong in [point(0.0, f64::NAN), point(361.0, 0.0), point(0.0, -90.5)] {
        assert_eq!(network.way(a, wrong, &closed(&[])), Err(SeaError::Point));
    }
    assert!(matches!(network.way(a, point(1.0, 20.0), &closed(&[])), Err(SeaError::OffNetwork(_))));
    assert!(matches!(SeaNetwork::new(&[leg(a, point(0.0, 91.0), None)]), Err(SeaError::Leg(0))));
    assert!(matches!(SeaNetwork::new(&[]), Err(SeaError::Legs(0))));
    // Both ends of the date line are one point, and longitudes a turn apart.
    let (west, east) =
        (leg(point(-179.0, 0.0), point(-180.0, 0.0), None), leg(point(180.0, 0.0), point(179.0, 0.0), None));
    let over =
        SeaNetwork::new(&[west, east]).unwrap().way(point(-179.0, 0.0), point(179.0, 0.0), &closed(&[])).unwrap();
    assert_eq!(over.metres, 222_390);
    let past = SeaNetwork::new(&[leg(point(179.0, 0.0), point(181.0, 0.0), None)]).unwrap();
    assert_eq!(past.way(point(179.0, 0.0), point(-179.0, 0.0), &closed(&[])).map(|way| way.metres), Ok(222_390));
}

/// The legs of a network as GeoJSON lines, and the place of a port in a file of points.
fn published() -> Option<(Vec<SeaLeg>, serde_json::Value)> {
    let folder = std::path::Path::new(&std::env::var("DHOW_DATA_DIR").ok()?).join("reference/searoute");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let network: serde_json::Value = serde_json::from_str(&read("marnet_searoute.geojson")?).unwrap();
    let mut legs = Vec::new();
    for feature in network["features"].as_array().unwrap() {
        let lines = match feature["geometry"]["type"].as_str() {
            Some("LineString") => vec![feature["geometry"]["coordinates"].clone()],
            _ => feature["geometry"]["coordinates"].as_array().unwrap().clone(),
        };
        for line in lines {
            let at = |place: &serde_json::Value| point(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
            for pair in line.as_array().unwrap().windows(2) {
                let passage = feature["properties"]["passage"].as_str().map(str::to_owned);
                legs.push(SeaLeg { from: at(&pair[0]), to: at(&pair[1]), passage });
            }
        }
    }
    Some((legs, serde_json::from_str(&read("ports.geojson")?).unwrap()))
}

#[test]
fn rotterdam_to_shanghai_is_about_as_long_as_published_and_longer_around_africa() {
    let Some((legs, ports)) = published() else { return };
    let network = SeaNetwork::new(&legs).unwrap();
    let port = |code: &str| {
        let of_code = |feature: &&serde_json::Value| feature["properties"]["port"] == code;
        let found = ports["features"].as_array().unwrap().iter().find(of_code).unwrap();
        let at = &found["geometry"]["coordinates"];
        point(at[0].as_f64().unwrap(), at[1].as_f64().unwrap())
    };
    let arctic = ["northwest", "bering"];
    let through = network.way(port("NLRTM"), port("CNSHA"), &closed(&arctic)).unwrap();
    let around = network.way(port("NLRTM"), port("CNSHA"), &closed(&[&arctic[..], &["suez"]].concat())).unwrap();
    // About 10,500 and 13,800 nautical miles as commonly published; the bounds leave five per cent.
    let miles = |metres: u64| metres / 1_852;
    assert!((10_000..11_000).contains(&miles(through.metres)), "{}", miles(through.metres));
    assert!((13_200..14_500).contains(&miles(around.metres)), "{}", miles(around.metres));
    assert!(through.passages.contains("suez") && !around.passages.contains("suez"), "{:?}", around.passages);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_way_is_the_shortest_of_all_that_are_open(
        ends in prop::collection::vec((0..7_usize, 0..7_usize, 0..3_usize), 1..16),
        shut in 0..3_usize,
        (from, to) in (0..7_usize, 0..7_usize),
    ) {
        let places: Vec<SeaPoint> = (0..7).map(|i| point(f64::from(i * i % 5), f64::from(i))).collect();
        let names = [None, Some("a"), Some("b")];
        let legs: Vec<SeaLeg> = ends
            .iter()
            .map(|&(from, to, name)| SeaLeg { from: places[from], to: places[to], passage: names[name].map(str::to_owned) })
            .collect();
        let shut: Vec<&str> = names[shut].into_iter().collect();
        // All pairs by Floyd and Warshall over the legs that are open.
        let mut metres = [[u64::MAX / 4; 7]; 7];
        for leg in ends.iter().filter(|leg| names[leg.2].is_none_or(|name| !shut.contains(&name))) {
            let length = places[leg.0].metres_to(places[leg.1]);
            metres[leg.0][leg.1] = metres[leg.0][leg.1].min(length);
            metres[leg.1][leg.0] = metres[leg.0][leg.1];
        }
        (0..7).for_each(|place| metres[place][place] = 0);
        for by in 0..7 {
            for a in 0..7 {
                for b in 0..7 {
                    metres[a][b] = metres[a][b].min(metres[a][by] + metres[by][b]);
                }
            }
        }
        let on_network = |place: usize| ends.iter().any(|leg| leg.0 == place || leg.1 == place);
        prop_assume!(on_network(from) && on_network(to));
        match SeaNetwork::new(&legs).unwrap().way(places[from], places[to], &closed(&shut)) {
            Ok(way) => {
                prop_assert_eq!(way.metres, metres[from][to]);
                prop_assert!(way.passages.iter().all(|passage| !shut.contains(&passage.as_str())));
            }
            Err(error) => prop_assert!(error == SeaError::NoWay && metres[from][to] >= u64::MAX / 4),
        }
    }
}
