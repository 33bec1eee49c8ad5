//! The store against the oracle, bit for bit, at random instants while the log is being applied.

use std::collections::BTreeMap;
use std::ops::Range;

use dhow_definitions::View;
use dhow_definitions::oracle::{Known, compute};
use dhow_events::*;
use dhow_online::*;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

use crate::world::{Arrival, Pace, World, entity_values};

/// How a world is compared with the oracle.
struct Plan {
    seed: u64,
    /// How often the log stops for reads.
    stops: usize,
    /// Entities and instants that are read at each stop.
    probes: usize,
    /// Whether state is freed on the way.
    expiring: bool,
    /// Whether the oracle computes every feature of what was read, or one at random.
    every_feature: bool,
}

/// Applies `world` and stops to compare reads with the oracle; gives the number of probes and of values compared.
fn compare(world: &World, plan: &Plan) -> (usize, usize) {
    let features = crate::features();
    let store = OnlineStore::new(features.clone(), world.settings());
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    // The records of each entity that were applied so far: the oracle would give the same from all of them, but slower.
    let mut applied: BTreeMap<(usize, u128), Vec<&Arrival>> = BTreeMap::new();
    let (mut probed, mut compared) = (0, 0);
    let (mut earliest, mut latest) = (Timestamp::MIN, Timestamp::MIN);
    for (number, record) in world.records.iter().enumerate() {
        let result = store.apply(&record.event, record.known_time, (record.partition, record.offset));
        assert_ne!(result, Applied::TooLate, "no event is later than the allowed lateness");
        latest = latest.max(record.event.event_time);
        for (view_number, view) in features.views().iter().enumerate() {
            if Some(record.event.fact.kind()) == view.source().fact()
                && let Some(id) = view.entity_of(&record.event.fact)
            {
                applied.entry((view_number, id)).or_default().push(record);
            }
        }
        if number % (world.records.len() / plan.stops) != 0 {
            continue;
        }
        if plan.expiring && random.random_bool(0.3) {
            store.expire(latest);
            earliest = latest - world.settings().allowed_lateness_micros;
        }
        let keys: Vec<&(usize, u128)> = applied.keys().collect();
        for _ in 0..plan.probes {
            let key = **keys.choose(&mut random).unwrap();
            let (view, records) = (&features.views()[key.0], &applied[&key]);
            let at = instant(&mut random, records, view).max(earliest);
            let one = random.random_range(0..view.features().len());
            let wanted = if plan.every_feature { 0..view.features().len() } else { one..one + 1 };
            probed += 1;
            compared += wanted.len();
            compare_read(&store, view, key, records, at, wanted);
        }
    }
    (probed, compared)
}

/// An instant on the border of a window of some event, just beside it, or anywhere near.
fn instant(random: &mut ChaCha8Rng, records: &[&Arrival], view: &View) -> Timestamp {
    let record = records[random.random_range(records.len() - records.len().min(40)..records.len())];
    let window = view.windows()[random.random_range(0..view.windows().len())];
    let length = window.length_micros().unwrap_or(0);
    let border = match random.random_range(0..5) {
        0 => record.event.event_time + window.delay_micros(),
        1 => record.event.event_time + window.delay_micros() + length,
        2 => record.known_time,
        3 => record.event.event_time + window.delay_micros() + length + window.hop_micros(),
        _ => record.known_time + random.random_range(-DAY_MICROS..DAY_MICROS),
    };
    border + random.random_range(-1..=1)
}

fn compare_read(
    store: &OnlineStore,
    view: &View,
    (number, id): (usize, u128),
    records: &[&Arrival],
    at: Timestamp,
    features: Range<usize>,
) {
    let known: Vec<Known<'_>> =
        records.iter().map(|record| Known { event: &record.event, known_time: record.known_time }).collect();
    let key = entity_values(view, &records[0].event.fact);
    let mut found = Vec::new();
    store.read(TenantId::default(), number, id, at, &mut found).unwrap();
    assert_eq!(found.len(), view.features().len());
    for (feature, found) in view.features()[features.clone()].iter().zip(&found[features]) {
        let wanted = compute(view, feature, TenantId::default(), &key, &known, at);
        let same = wanted.to_bits() == found.to_bits() || (wanted.is_nan() && found.is_nan());
        assert!(same, "{} at {at}: found {found:?}, the oracle says {wanted:?}", feature.name());
    }
}

#[test]
fn every_feature_at_any_instant_is_bit_for_bit_what_the_oracle_says() {
    let mut compared = 0;
    for seed in 0..8 {
        let plan = Plan { seed, stops: 50, probes: 110, expiring: seed % 2 == 1, every_feature: true };
        compared += compare(&World::new(seed, 4_000, 30, Pace::Busy), &plan).1;
    }
    assert!(compared >= 400_000, "{compared}");
}

#[test]
fn a_million_random_entities_and_instants_read_what_the_oracle_says() {
    let mut probed = 0;
    for seed in 20..28 {
        let plan = Plan { seed, stops: 50, probes: 2_500, expiring: seed % 2 == 1, every_feature: false };
        probed += compare(&World::new(seed, 12_000, 700, Pace::Busy), &plan).0;
    }
    assert!(probed >= 1_000_000, "{probed}");
}

#[test]
fn hot_entities_with_indexed_series_read_what_the_oracle_says() {
    let mut compared = 0;
    for seed in 5..7 {
        let plan = Plan { seed, stops: 12, probes: 14, expiring: seed % 2 == 1, every_feature: true };
        compared += compare(&World::new(seed, 16_000, 2, Pace::Rushing), &plan).1;
    }
    assert!(compared >= 4_000, "{compared}");
}
