//! The store against the oracle, against itself after a restart, and under concurrent readers; worlds are random and seeded.

mod oracle;
mod world;

use std::sync::Arc;

use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::*;
use dhow_online::*;
use world::{Pace, World, checkout, entity_values};

fn features() -> Arc<FeatureSet> {
    Arc::new(FeatureSet::from_toml(include_str!("features.toml")).unwrap())
}

fn store_of(world: &World) -> OnlineStore {
    let store = OnlineStore::new(features(), world.settings());
    world.records.iter().for_each(|record| {
        store.apply(&record.event, record.known_time, (record.partition, record.offset));
    });
    store
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }).collect()
}

#[test]
fn duplicates_are_dropped_by_id_and_by_offset_and_counted() {
    let store = OnlineStore::new(features(), OnlineSettings::default());
    let event = checkout(1, 1_000, 5, Some(7), 250);
    let known = Timestamp::from_micros(2_000);
    assert_eq!(store.apply(&event, known, (0, 0)), Applied::Counted);
    assert_eq!(store.apply(&event, known, (0, 0)), Applied::Duplicate, "the record is read again after a restart");
    assert_eq!(store.apply(&event, known + 5, (1, 0)), Applied::Duplicate, "the event arrives again, elsewhere");
    assert_eq!(
        store.apply(&event, known + 40 * DAY_MICROS, (0, 1)),
        Applied::Duplicate,
        "long after its id was forgotten"
    );
    let changed = checkout(1, 1_001, 5, Some(7), 250);
    assert_eq!(
        store.apply(&changed, known + 80 * DAY_MICROS, (1, 1)),
        Applied::Counted,
        "beyond the horizon only the time and id tell"
    );
    let again = checkout(1, 1_002, 5, Some(7), 250);
    assert_eq!(
        store.apply(&again, known + 80 * DAY_MICROS, (1, 2)),
        Applied::Duplicate,
        "within the horizon the id alone tells"
    );
    let stats = store.stats();
    assert_eq!((stats.counted, stats.duplicates), (2, 4));
    assert_eq!(store.offsets(3).0, [2, 3, 0]);
}

#[test]
fn a_snapshot_continues_as_if_nothing_had_happened() {
    let world = World::new(11, 4_000, 20, Pace::Busy);
    let undisturbed = store_of(&world);
    let half = world.records.len() / 2;
    let mut store = OnlineStore::new(features(), world.settings());
    for (number, record) in world.records.iter().enumerate() {
        if number == half || number == half + 7 {
            store.expire(world.records[number / 2].event.event_time);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("online");
            store.save(&path).unwrap();
            store = OnlineStore::load(features(), world.settings(), &path).unwrap().unwrap();
            // A worker that had got further before it died applies these once more.
            for earlier in &world.records[number - 50..number] {
                let again = store.apply(&earlier.event, earlier.known_time, (earlier.partition, earlier.offset));
                assert_eq!(again, Applied::Duplicate);
            }
        }
        store.apply(&record.event, record.known_time, (record.partition, record.offset));
    }
    assert_eq!(store.offsets(4), undisturbed.offsets(4));
    assert_eq!(store.stats().counted, undisturbed.stats().counted);
    let at = world.end();
    for key in world.keys(&features()) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        store.read(key.tenant, key.view.into(), key.id, at, &mut ours).unwrap();
        undisturbed.read(key.tenant, key.view.into(), key.id, at, &mut theirs).unwrap();
        assert_eq!(bits(&ours), bits(&theirs));
    }
}

#[test]
fn a_damaged_truncated_or_foreign_snapshot_is_refused_with_its_reason() {
    let world = World::new(12, 300, 5, Pace::Busy);
    let store = store_of(&world);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("online");
    assert!(OnlineStore::load(features(), world.settings(), &path).unwrap().is_none(), "no file is no error");
    store.save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        OnlineStore::load(features(), world.settings(), &path).err().map(|error| error.to_string())
    };
    assert_eq!(load(&good), None);
    for place in (0..good.len()).step_by(good.len() / 40) {
        let mut damaged = good.clone();
        damaged[place] ^= 0x10;
        assert!(load(&damaged).is_some(), "byte {place}");
        assert!(load(&good[..place]).is_some(), "cut at {place}");
    }
    let snapshot = store.snapshot().unwrap();
    for length in (0..snapshot.len()).step_by(snapshot.len() / 40) {
        assert!(OnlineStore::from_snapshot(features(), world.settings(), &snapshot[..length]).is_err());
    }
    let other = Arc::new(FeatureSet::marketplace().unwrap());
    let error = OnlineStore::from_snapshot(other, world.settings(), &snapshot).unwrap_err().to_string();
    assert!(error.contains("the definitions are"), "{error}");
}

#[test]
fn two_tenants_with_the_same_ids_never_see_each_other() {
    let store = OnlineStore::new(features(), OnlineSettings::default());
    let (ours, theirs) = (TenantId::new("ten_ours").unwrap(), TenantId::new("ten_theirs").unwrap());
    let mut event = checkout(1, 1_000, 5, Some(7), 250);
    event.tenant = ours;
    store.apply(&event, event.event_time, (0, 0));
    let plan = VectorPlan::new(&features(), FactKind::CheckoutSubmitted).unwrap();
    let vector = |tenant| store.vector(&plan, tenant, &event.fact, Timestamp::from_micros(2_000)).unwrap().values;
    let count = plan.names().iter().position(|name| name == "buyer_checkouts_count_1d").unwrap();
    assert_eq!((vector(ours)[count], vector(theirs)[count]), (1.0, 0.0));
    let nobody = vector(TenantId::new("ten_nobody").unwrap());
    assert_eq!(bits(&vector(theirs)), bits(&nobody));
    event.tenant = theirs;
    assert_eq!(store.apply(&event, event.event_time, (0, 1)), Applied::Counted, "its id is another tenant's affair");
    assert_eq!(vector(theirs)[count], 1.0);
    assert_eq!(vector(ours)[count], 1.0);
}

#[test]
fn expiry_frees_all_that_no_window_reaches_and_refuses_reads_of_it() {
    let bounded = include_str!("features.toml").replace("\"ever\"", "\"30d\"");
    let features = Arc::new(FeatureSet::from_toml(&bounded).unwrap());
    let world = World::new(13, 20_000, 300, Pace::Busy);
    let store = OnlineStore::new(features, world.settings());
    for record in &world.records {
        store.apply(&record.event, record.known_time, (record.partition, record.offset));
    }
    let full = store.stats();
    assert!(full.keys > 500 && full.entries > 20_000 && full.bytes > 2_000_000, "{full:?}");
    let later = world.end() + 400 * DAY_MICROS;
    store.expire(later);
    let freed = store.stats();
    assert_eq!((freed.keys, freed.entries), (0, 0));
    assert!(freed.bytes < 10_000, "{freed:?}");
    assert_eq!(freed.counted, full.counted);

    let old = &world.records[0].event;
    let mut out = Vec::new();
    let refused = store.read(old.tenant, 0, 1, old.event_time, &mut out);
    assert!(matches!(refused, Err(ReadError::Expired { .. })), "{refused:?}");
    assert!(out.is_empty());
    let late = checkout(1 << 90, old.event_time.micros(), 5, None, 1);
    assert_eq!(store.apply(&late, later, (0, u64::MAX - 1)), Applied::TooLate);
    assert_eq!(store.stats().late, 1);
}

#[test]
fn a_vector_read_beside_a_writer_is_the_state_after_exactly_the_offsets_that_it_names() {
    const EVENTS: i64 = 40_000;
    let features = features();
    let plan = VectorPlan::new(&features, FactKind::CheckoutSubmitted).unwrap();
    let place = |name: &str| plan.names().iter().position(|known| known == name).unwrap();
    let (by_buyer, by_card) = (place("buyer_checkouts_total_usd_minor_sum_1d"), place("card_checkouts_count_ever"));
    let store = OnlineStore::new(features, OnlineSettings::default());
    let event = |number: i64| checkout(number as u128 + 1, number, 5, Some(7), number);
    let request = event(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..EVENTS {
                store.apply(&event(number), Timestamp::from_micros(number), (0, number as u64));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut applied = 0;
                while applied < EVENTS {
                    let vector =
                        store.vector(&plan, request.tenant, &request.fact, Timestamp::from_micros(EVENTS)).unwrap();
                    let next = vector.as_of.first().map_or(0, |(_, next)| *next as i64);
                    assert!(next >= applied, "time never runs backwards");
                    applied = next;
                    assert_eq!(vector.values[by_card], next as f64);
                    assert_eq!(vector.values[by_buyer], (next * (next - 1) / 2) as f64);
                    assert_eq!(vector.freshest_event_time.map(|time| time.micros() + 1).unwrap_or(0), next);
                }
            });
        }
    });
}

#[test]
fn a_vector_holds_what_single_reads_give_and_no_value_for_what_the_request_does_not_name() {
    let world = World::new(14, 3_000, 30, Pace::Busy);
    let store = store_of(&world);
    let set = features();
    let plan = VectorPlan::new(&set, FactKind::CheckoutSubmitted).unwrap();
    let checkouts = world.records.iter().filter(|record| record.event.fact.kind() == FactKind::CheckoutSubmitted);
    for record in checkouts.take(300) {
        let event = &record.event;
        let vector = store.vector(&plan, event.tenant, &event.fact, event.event_time).unwrap();
        let mut wanted = Vec::new();
        for (planned, key) in plan.views().iter().zip(plan.keys(&event.fact)) {
            match key {
                Some(id) => store.read(event.tenant, planned.view, id, event.event_time, &mut wanted).unwrap(),
                None => wanted.resize(wanted.len() + planned.width, f64::NAN),
            }
            let lacking = entity_values(&set.views()[planned.view], &event.fact).contains(&Value::Null);
            assert_eq!(key.is_none(), lacking);
        }
        plan.complete(&event.fact, &mut wanted);
        assert_eq!(bits(&vector.values), bits(&wanted));
        assert_eq!(vector.values.len(), plan.names().len());
    }
    let foreign = VectorPlan::new(&FeatureSet::marketplace().unwrap(), FactKind::CheckoutSubmitted).unwrap();
    let event = &world.records[0].event;
    let refused = store.vector(&foreign, event.tenant, &event.fact, event.event_time);
    assert_eq!(refused, Err(ReadError::ForeignPlan));
}
