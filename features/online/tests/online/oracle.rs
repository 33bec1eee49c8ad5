//! The store against the oracle, bit for bit, at random instants while the log is being applied.

use std::collections::BTreeMap;

use dhow_definitions::View;
use dhow_definitions::oracle::{Known, compute};
use dhow_events::*;
use dhow_online::*;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

use crate::world::{Arrival, Pace, World, entity_values};

/// Applies `world` and stops `stops` times to compare `reads` reads with the oracle; gives the number of values compared.
fn compare(world: &World, seed: u64, stops: usize, reads: usize, expiring: bool) -> usize {
    let features = crate::features();
    let store = OnlineStore::new(features.clone(), world.settings());
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // The records of each entity that were applied so far: the oracle would give the same from all of them, but slower.
    let mut applied: BTreeMap<(usize, u128), Vec<&Arrival>> = BTreeMap::new();
    let (mut compared, mut earliest, mut latest) = (0, Timestamp::MIN, Timestamp::MIN);
    for (number, record) in world.records.iter().enumerate() {
        let result = store.apply(&record.event, record.known_time, (record.partition, record.offset));
        assert_ne!(result, Applied::TooLate, "no event is later than the allowed lateness");
        latest = latest.max(record.event.event_time);
        for (view_number, view) in features.views().iter().enumerate() {
            if record.event.fact.kind() == view.source()
                && let Some(id) = view.entity_of(&record.event.fact)
            {
                applied.entry((view_number, id)).or_default().push(record);
            }
        }
        if number % (world.records.len() / stops) != 0 {
            continue;
        }
        if expiring && random.random_bool(0.3) {
            store.expire(latest);
            earliest = latest - world.settings().allowed_lateness_micros;
        }
        let keys: Vec<&(usize, u128)> = applied.keys().collect();
        for _ in 0..reads {
            let key = **keys.choose(&mut random).unwrap();
            let records = &applied[&key];
            let at = instant(&mut random, records, &features.views()[key.0]).max(earliest);
            compared += compare_read(&store, &features.views()[key.0], key, records, at);
        }
    }
    compared
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
) -> usize {
    let known: Vec<Known<'_>> =
        records.iter().map(|record| Known { event: &record.event, known_time: record.known_time }).collect();
    let key = entity_values(view, &records[0].event.fact);
    let mut found = Vec::new();
    store.read(TenantId::default(), number, id, at, &mut found).unwrap();
    assert_eq!(found.len(), view.features().len());
    for (feature, found) in view.features().iter().zip(&found) {
        let wanted = compute(view, feature, TenantId::default(), &key, &known, at);
        let same = wanted.to_bits() == found.to_bits() || (wanted.is_nan() && found.is_nan());
        assert!(same, "{} at {at}: found {found:?}, the oracle says {wanted:?}", feature.name());
    }
    found.len()
}

#[test]
fn every_feature_at_any_instant_is_bit_for_bit_what_the_oracle_says() {
    let mut compared = 0;
    for seed in 0..4 {
        compared += compare(&World::new(seed, 4_000, 30, Pace::Busy), seed, 50, 110, false);
        compared += compare(&World::new(seed + 100, 4_000, 30, Pace::Busy), seed, 50, 110, true);
    }
    assert!(compared >= 200_000, "{compared}");
}

#[test]
fn hot_entities_with_indexed_series_read_what_the_oracle_says() {
    let compared = compare(&World::new(5, 16_000, 2, Pace::Rushing), 5, 12, 14, false)
        + compare(&World::new(6, 16_000, 2, Pace::Rushing), 6, 12, 14, true);
    assert!(compared >= 2_000, "{compared}");
}
