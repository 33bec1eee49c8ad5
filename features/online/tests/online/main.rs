//! The store against the oracle, against itself after a restart, and under concurrent readers; worlds are random and seeded.

mod oracle;
mod world;

use std::collections::BTreeMap;
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
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("online");
    for (number, record) in world.records.iter().enumerate() {
        if number == half - 100 {
            store.save(&path).unwrap();
        }
        if number == half || number == half + 7 || number == half + 300 {
            store.expire(world.records[number / 2].event.event_time);
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
fn ids_are_remembered_over_restarts_as_long_as_without_one() {
    let settings = OnlineSettings { duplicate_horizon_micros: HOUR_MICROS, ..OnlineSettings::default() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("online");
    let mut store = OnlineStore::new(features(), settings);
    // Ids 1 to 6 in three hours, a save after each: the first two are in the base or a delta, and forgotten by now.
    for id in 1..=6_i64 {
        let known = Timestamp::from_micros(id * 30 * MINUTE_MICROS);
        store.apply(&checkout(id as u128, known.micros(), 5, None, 1), known, (0, id as u64));
        store.save(&path).unwrap();
    }
    let last = Timestamp::from_micros(6 * 30 * MINUTE_MICROS);
    for round in 0..2 {
        let offset = 10 + 10 * round;
        for id in 3..=6_i64 {
            // Another time, so that only the id tells.
            let again = checkout(id as u128, id * 30 * MINUTE_MICROS + 1, 5, None, 1);
            let applied = store.apply(&again, last, (0, (offset + id) as u64));
            let remembered = id * 30 >= 120;
            assert_eq!(applied == Applied::Duplicate, remembered || round == 1, "id {id} in round {round}");
        }
        store.save(&path).unwrap();
        store = OnlineStore::load(features(), settings, &path).unwrap().unwrap();
    }
}

/// The files of a folder with what they hold.
fn files(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_damaged_truncated_incomplete_or_foreign_snapshot_is_refused_with_its_reason() {
    let world = World::new(12, 300, 5, Pace::Busy);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("online");
    let load = || OnlineStore::load(features(), world.settings(), &path).err().map(|error| error.to_string());
    assert_eq!(load(), None, "no folder is no error");
    let store = OnlineStore::new(features(), world.settings());
    for (number, record) in world.records.iter().enumerate() {
        store.apply(&record.event, record.known_time, (record.partition, record.offset));
        if number == 295 {
            store.save(&path).unwrap();
        }
    }
    store.save(&path).unwrap();
    assert_eq!(load(), None);
    let good = files(&path);
    assert_eq!(good.len(), 3, "a manifest, a base and a delta");
    for (file, bytes) in &good {
        for place in (0..bytes.len()).step_by(bytes.len().div_ceil(20)) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            std::fs::write(file, &damaged).unwrap();
            assert!(load().is_some(), "byte {place} of {file:?}");
            std::fs::write(file, &bytes[..place]).unwrap();
            assert!(load().is_some(), "{file:?} cut at {place}");
        }
        std::fs::remove_file(file).unwrap();
        if !file.ends_with("manifest") {
            assert!(load().unwrap().contains("is missing"));
        }
        std::fs::write(file, bytes).unwrap();
    }
    let other = Arc::new(FeatureSet::marketplace().unwrap());
    let error = OnlineStore::load(other, world.settings(), &path).unwrap_err().to_string();
    assert!(error.contains("the definitions are"), "{error}");
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::write(&path, b"what an earlier version wrote").unwrap();
    assert!(load().unwrap().contains("not a folder"));
}

#[test]
fn a_save_writes_only_the_entities_that_changed_and_takes_up_old_deltas_in_time() {
    let world = World::new(15, 20_000, 2_000, Pace::Busy);
    let store = store_of(&world);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("online");
    let size = || files(&path).iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    let manifest = || std::fs::metadata(path.join("manifest")).unwrap().len() as usize;
    store.save(&path).unwrap();
    let (whole, mut before) = (size() - manifest(), size() - manifest());
    store.save(&path).unwrap();
    assert_eq!(size() - manifest(), whole, "nothing changed, nothing is added");
    let mut rewritten = 0;
    for number in 0..400_i64 {
        let at = world.end().micros() + number;
        store.apply(
            &checkout(1 << 80 | number as u128, at, 5, Some(7), number),
            Timestamp::from_micros(at),
            (9, number as u64),
        );
        if number % 2 == 0 {
            store.save(&path).unwrap();
            let now = size() - manifest();
            rewritten += usize::from(now < before);
            assert!(now < before + whole / 20 || now < whole * 5 / 4, "{now} after {before}");
            before = now;
        }
    }
    assert!(rewritten >= 2 && before < 2 * whole, "{rewritten} {before} {whole}");
    store.save(&path).unwrap();
    let restored = OnlineStore::load(features(), world.settings(), &path).unwrap().unwrap();
    assert_eq!(restored.stats().entries, store.stats().entries);
    for key in world.keys(&features()) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let at = world.end() + SECOND_MICROS;
        store.read(key.tenant, key.view.into(), key.id, at, &mut ours).unwrap();
        restored.read(key.tenant, key.view.into(), key.id, at, &mut theirs).unwrap();
        assert_eq!(bits(&ours), bits(&theirs));
    }
    // Another store takes the folder over without touching what its manifest names until it has its own.
    let empty = OnlineStore::new(features(), world.settings());
    empty.save(&path).unwrap();
    assert_eq!(OnlineStore::load(features(), world.settings(), &path).unwrap().unwrap().stats().keys, 0);
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
    // New entities come and go, year by year: what is kept is that of one year, and in the end nothing.
    for year in 1..4_i64 {
        let begin = later.micros() + year * 400 * DAY_MICROS;
        for number in 0..20_000_i64 {
            let id = ((year as u128) << 80) + number as u128;
            let event = checkout(id, begin + number * SECOND_MICROS, id, Some(id), number);
            store.apply(&event, event.event_time, (7, (year * 20_000 + number) as u64));
        }
        assert!(store.stats().keys > 40_000, "a buyer and a card each");
        store.expire(Timestamp::from_micros(begin + 399 * DAY_MICROS));
        let freed = store.stats();
        assert!(freed.keys == 0 && freed.entries == 0 && freed.bytes < 10_000, "year {year}: {freed:?}");
    }

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
                    let next = vector.as_of[0].offsets.first().map_or(0, |(_, next)| *next as i64);
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

/// State under names, as storage that keeps values by name would hold it.
#[derive(Default)]
struct Shelf {
    progress: Vec<u8>,
    generation: i64,
    series: BTreeMap<Vec<u8>, Vec<u8>>,
    ids: BTreeMap<i64, Vec<u8>>,
}

impl Shelf {
    fn save(&mut self, store: &OnlineStore) {
        let saved = store.save_parts(|changes| {
            (self.progress, self.generation) = (changes.progress.clone(), changes.generation);
            changes.removed.iter().for_each(|name| assert!(self.series.remove(name).is_some()));
            self.series.extend(changes.written.iter().cloned());
            changes.ids.iter().for_each(|(generation, ids)| self.ids.entry(*generation).or_default().extend(ids));
            self.ids.retain(|generation, _| generation + 1 >= changes.generation);
            Ok::<bool, PartsError>(true)
        });
        assert!(saved.unwrap());
    }

    fn load(&self, settings: OnlineSettings, share: Share) -> Result<OnlineStore, PartsError> {
        let mut parts = Parts::new(features(), share, &self.progress, self.generation)?;
        for (name, value) in &self.series {
            parts.series(name, value)?;
        }
        for (generation, ids) in &self.ids {
            parts.ids(*generation, ids)?;
        }
        Ok(OnlineStore::from_parts(settings, parts))
    }
}

#[test]
fn shares_saved_in_parts_and_loaded_again_hold_together_what_one_store_holds() {
    const SHARES: u32 = 3;
    let world = World::new(16, 4_000, 40, Pace::Busy);
    let whole = OnlineStore::new(features(), world.settings());
    let share = |number| Share::new(number, SHARES).unwrap();
    let mut stores: Vec<OnlineStore> =
        (0..SHARES).map(|number| OnlineStore::with_share(features(), world.settings(), share(number))).collect();
    let mut shelves: Vec<Shelf> = (0..SHARES).map(|_| Shelf::default()).collect();
    for (number, record) in world.records.iter().enumerate() {
        let applied = |store: &OnlineStore| {
            store.apply(&record.event, record.known_time, (record.partition, record.offset));
        };
        stores.iter().chain([&whole]).for_each(applied);
        if number % 500 != 499 {
            continue;
        }
        for (store, shelf) in stores.iter_mut().zip(&mut shelves) {
            store.expire(world.records[number / 2].event.event_time);
            let refused = store.save_parts(|_| Ok::<bool, PartsError>(false));
            assert!(!refused.unwrap() && store.unsaved_series() > 0, "what was not saved is taken up again");
            shelf.save(store);
            assert_eq!(store.unsaved_series(), 0);
            *store = shelf.load(world.settings(), store.share()).unwrap();
        }
        whole.expire(world.records[number / 2].event.event_time);
    }
    let kept: usize = stores.iter().map(|store| store.stats().keys).sum();
    assert_eq!(kept, whole.stats().keys, "each entity is in one share");
    let named: usize = shelves.iter().map(|shelf| shelf.series.len()).sum();
    assert_eq!(named, kept);
    for key in world.keys(&features()) {
        let mut theirs = Vec::new();
        whole.read(key.tenant, key.view.into(), key.id, world.end(), &mut theirs).unwrap();
        for store in &stores {
            let mut ours = Vec::new();
            match store.read(key.tenant, key.view.into(), key.id, world.end(), &mut ours) {
                Ok(()) => assert_eq!(bits(&ours), bits(&theirs)),
                Err(error) => assert_eq!(error, ReadError::OtherShare { share: store.share() }),
            }
            assert_eq!(ours.is_empty(), !store.share().holds(key.tenant, key.id));
        }
    }
    assert!(Share::new(3, 3).is_err() && Share::new(0, 0).is_err());
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(stores[0].save(folder.path()), Err(SnapshotError::InParts(_))));
    assert!(matches!(whole.save_parts(|_| Ok(true)), Err(PartsError::Whole)));
    assert!(matches!(shelves[0].load(world.settings(), share(1)), Err(PartsError::OtherShare { .. })));
    let first = shelves[0].series.values_mut().next().unwrap();
    first.pop();
    assert!(matches!(shelves[0].load(world.settings(), share(0)), Err(PartsError::Malformed { .. })));
}

#[test]
fn a_view_of_a_table_is_refused_by_name_and_leaves_the_views_of_events_alone() {
    let table = "[[table]]\nname = 'payments'\ncolumns = { payer = 'int' }\n[[view]]\nname = 'payer'\nsource = 'payments'\nentity = ['payer']\nfeatures = [{ aggregates = ['count'], windows = ['1d'] }]\n";
    let mixed = include_str!("features.toml").to_owned() + table;
    let mixed = Arc::new(FeatureSet::from_toml(&mixed).unwrap());
    let store = OnlineStore::new(mixed.clone(), OnlineSettings::default());
    let event = checkout(1, 1_000, 5, Some(7), 250);
    assert_eq!(store.apply(&event, event.event_time, (0, 0)), Applied::Counted);
    let (mut out, at) = (Vec::new(), Timestamp::from_micros(2_000));
    store.read(event.tenant, 0, 5, at, &mut out).unwrap();
    assert_eq!(out[0], 1.0);
    let refused = store.read(event.tenant, mixed.views().len() - 1, 5, at, &mut out);
    assert_eq!(refused, Err(ReadError::OfTable { view: "payer".to_owned() }));
}
