//! Feature state in a real Redis against one store in memory: random worlds, several workers, failures at any point.

#[path = "../../../online/tests/online/world.rs"]
#[allow(dead_code, reason = "the worlds of the online store's tests, of which these use some")]
mod world;

mod server;

use std::sync::Arc;

use dhow_definitions::{EntityKey, FeatureSet, VectorPlan};
use dhow_events::*;
use dhow_online::*;
use dhow_redis::*;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use server::{Server, breaking_relay, settings};
use world::{Arrival, Pace, World, checkout};

fn features() -> Arc<FeatureSet> {
    Arc::new(FeatureSet::from_toml(include_str!("../../../online/tests/online/features.toml")).unwrap())
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// A world in which every third event is of another tenant.
fn world_of_tenants(seed: u64, count: usize) -> World {
    let mut world = World::new(seed, count, 20, Pace::Busy);
    for record in world.records.iter_mut().filter(|record| record.event.id.as_u128().is_multiple_of(3)) {
        record.event.tenant = TenantId::new("ten_other").unwrap();
    }
    world
}

/// One worker of one partition; it forgets what it has not saved when it is told to.
struct Worker<'a> {
    states: &'a RedisStates,
    partition: u32,
    loaded: Loaded,
}

impl<'a> Worker<'a> {
    fn new(states: &'a RedisStates, partition: u32) -> Self {
        Self { states, partition, loaded: states.load(partition).unwrap() }
    }

    /// Applies what it has not, up to record `end`. Here the whole log is one re-keyed partition of everything.
    fn apply(&self, records: &[Arrival], end: usize) {
        for record in &records[self.loaded.rekeyed_offset as usize..end] {
            self.loaded.store.apply(&record.event, record.known_time, (record.partition, record.offset));
        }
    }

    fn save(&mut self, end: usize) -> Saved {
        let saved = self.states.save(self.partition, &self.loaded.store, end as u64, self.loaded.generation).unwrap();
        if let Saved::New(generation) = saved {
            (self.loaded.generation, self.loaded.rekeyed_offset) = (generation, end as u64);
        }
        saved
    }
}

#[test]
fn what_a_reader_gives_is_bit_for_bit_what_one_store_with_all_events_gives() {
    const PARTITIONS: u32 = 5;
    let server = Server::start(&[]);
    let (features, world) = (features(), world_of_tenants(31, 6_000));
    let states = RedisStates::connect(&server.settings(PARTITIONS), features.clone(), world.settings()).unwrap();
    let reader = RedisReader::connect(&server.settings(PARTITIONS), features.clone()).unwrap();
    let whole = OnlineStore::new(features.clone(), world.settings());
    let plan = VectorPlan::new(&features, FactKind::CheckoutSubmitted).unwrap();
    let keys: Vec<EntityKey> = world.keys(&features).into_iter().collect();
    let mut workers: Vec<Worker> = (0..PARTITIONS).map(|partition| Worker::new(&states, partition)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(31);
    let (mut compared, mut expired, mut done) = (0, 0, 0);
    let (mut latest, mut freed_by) = (Timestamp::MIN, world.records[0].event.event_time);
    while done < world.records.len() {
        let end = (done + random.random_range(1..400)).min(world.records.len());
        for record in &world.records[done..end] {
            whole.apply(&record.event, record.known_time, (record.partition, record.offset));
            latest = latest.max(record.event.event_time);
        }
        let watermark = random.random_bool(0.3).then_some(latest);
        if let Some(watermark) = watermark {
            whole.expire(watermark);
            freed_by = watermark;
        }
        for worker in &mut workers {
            if random.random_bool(0.2) {
                // It died; what it had not saved is applied again.
                worker.apply(&world.records, end);
                *worker = Worker::new(&states, worker.partition);
            }
            worker.apply(&world.records, end);
            watermark.into_iter().for_each(|watermark| worker.loaded.store.expire(watermark));
            assert!(matches!(worker.save(end), Saved::New(_)));
        }
        done = end;
        for tenant in [TenantId::default(), TenantId::new("ten_other").unwrap()] {
            let asks: Vec<(usize, u128)> = keys.sample(&mut random, 40).map(|key| (key.view.into(), key.id)).collect();
            // Around what was freed, or anywhere near.
            let kept_from = freed_by - world.settings().allowed_lateness_micros;
            let at = match random.random_bool(0.3) {
                true => kept_from + random.random_range(-1..=1),
                false => latest + random.random_range(-3 * DAY_MICROS..4 * DAY_MICROS),
            };
            let (mut ours, mut theirs) = (vec![7.0], vec![7.0]);
            let wanted = whole.read_many(tenant, &asks, at, &mut theirs);
            match reader.read_many(tenant, &asks, at, &mut ours) {
                Ok(readings) => {
                    let wanted = wanted.unwrap();
                    assert_eq!(readings.latest_event_times, wanted.latest_event_times);
                    for cut in &readings.as_of {
                        assert_eq!(cut.freshest_event_time, wanted.as_of[0].freshest_event_time);
                        assert_eq!(cut.offsets, wanted.as_of[0].offsets);
                    }
                }
                Err(error) => {
                    assert_eq!(wanted, Err(error));
                    expired += 1;
                }
            }
            assert_eq!(bits(&ours), bits(&theirs));
            compared += ours.len() - 1;
            let checkouts = world.records[..done].iter().filter(|record| {
                record.event.fact.kind() == FactKind::CheckoutSubmitted && record.event.tenant == tenant
            });
            let event = &checkouts.choose(&mut random).unwrap().event;
            let ours = reader.vector(&plan, tenant, &event.fact, at).map(|vector| bits(&vector.values));
            let theirs = whole.vector(&plan, tenant, &event.fact, at).map(|vector| bits(&vector.values));
            assert_eq!(ours, theirs);
        }
        assert_eq!(reader.freshest_event_time().unwrap(), whole.freshest_event_time());
    }
    assert!(compared > 10_000 && expired > 2, "{compared} values, {expired} refusals");
    let keys: usize = workers.iter().map(|worker| worker.loaded.store.stats().keys).sum();
    assert_eq!(keys, whole.stats().keys, "every entity is kept by one worker");
    assert!(workers.iter().all(|worker| worker.loaded.store.stats().keys > 0));
}

#[test]
fn of_two_workers_of_one_partition_the_one_whose_state_is_not_the_stored_one_is_refused() {
    let server = Server::start(&[]);
    let world = world_of_tenants(32, 900);
    let states = RedisStates::connect(&server.settings(1), features(), world.settings()).unwrap();
    let (mut first, mut zombie) = (Worker::new(&states, 0), Worker::new(&states, 0));
    first.apply(&world.records, 300);
    zombie.apply(&world.records, 500);
    assert!(matches!(first.save(300), Saved::New(_)));
    assert_eq!(zombie.save(500), Saved::Refused);
    assert_eq!(zombie.save(500), Saved::Refused, "asking again changes nothing");
    assert_eq!(states.load(0).unwrap().rekeyed_offset, 300);
    let mut next = Worker::new(&states, 0);
    next.apply(&world.records, 900);
    assert!(matches!(next.save(900), Saved::New(_)));
    assert_eq!(first.save(300), Saved::Refused);
    // A Redis that comes back empty refuses whoever believes that his state is there.
    redis::cmd("FLUSHALL").exec(&mut server.raw()).unwrap();
    assert_eq!(next.save(900), Saved::Refused);
    assert_eq!(states.load(0).unwrap().rekeyed_offset, 0);
    let mut again = Worker::new(&states, 0);
    again.apply(&world.records, 900);
    assert!(matches!(again.save(900), Saved::New(_)));
    assert_eq!(next.save(900), Saved::Refused, "the same offset by another way is another state");
}

#[test]
fn a_worker_killed_at_any_byte_of_a_save_leaves_the_state_before_it_or_after_it() {
    let server = Server::start(&[]);
    let (features, world) = (features(), world_of_tenants(33, 2_000));
    let states = RedisStates::connect(&server.settings(1), features.clone(), world.settings()).unwrap();
    let reader = RedisReader::connect(&server.settings(1), features.clone()).unwrap();
    let asks: Vec<(usize, u128)> = world.keys(&features).iter().map(|key| (key.view.into(), key.id)).collect();
    let store_at = |end: usize| {
        let store = OnlineStore::new(features.clone(), world.settings());
        for record in &world.records[..end] {
            store.apply(&record.event, record.known_time, (record.partition, record.offset));
        }
        store
    };
    let answers = |source: &dyn FeatureReads| {
        let mut out = Vec::new();
        let readings = source.read_many(TenantId::default(), &asks, world.end(), &mut out).unwrap();
        (bits(&out), readings.latest_event_times, readings.as_of[0].offsets.clone())
    };
    let mut random = ChaCha8Rng::seed_from_u64(33);
    let (mut broken, mut done) = (0, 0);
    for round in 0..25 {
        let end = done + 80;
        let limit = if round % 5 == 4 { usize::MAX } else { 1 << random.random_range(5..19) };
        let through = settings(breaking_relay(server.port, limit), 1);
        let killed = RedisStates::connect(&through, features.clone(), world.settings())
            .and_then(|states| Ok((states.load(0)?, states)))
            .and_then(|(loaded, states)| {
                for record in &world.records[loaded.rekeyed_offset as usize..end] {
                    loaded.store.apply(&record.event, record.known_time, (record.partition, record.offset));
                }
                states.save(0, &loaded.store, end as u64, loaded.generation)
            });
        broken += usize::from(killed.is_err());
        let stored = states.load(0).unwrap();
        assert!([done, end].contains(&(stored.rekeyed_offset as usize)), "round {round}");
        assert!(killed.is_err() || stored.rekeyed_offset as usize == end);
        done = stored.rekeyed_offset as usize;
        let wanted = answers(&store_at(done));
        assert_eq!(answers(&reader), wanted, "round {round}");
        assert_eq!(answers(&stored.store), wanted, "round {round}");
    }
    assert!(broken > 5 && done >= 400, "{broken} saves broke off, {done} records are in");
}

#[test]
fn readers_beside_a_writer_see_whole_saves() {
    const EVENTS: i64 = 20_000;
    let (server, features) = (Server::start(&[]), features());
    let plan = VectorPlan::new(&features, FactKind::CheckoutSubmitted).unwrap();
    let place = |name: &str| plan.names().iter().position(|known| known == name).unwrap();
    let (by_buyer, by_card) = (place("buyer_checkouts_total_usd_minor_sum_1d"), place("card_checkouts_count_ever"));
    let event = |number: i64| checkout(number as u128 + 1, number, 5, Some(7), number);
    let request = event(0);
    let states = RedisStates::connect(&server.settings(1), features.clone(), OnlineSettings::default()).unwrap();
    let reader = RedisReader::connect(&server.settings(1), features).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Loaded { store, mut generation, .. } = states.load(0).unwrap();
            for number in 0..EVENTS {
                store.apply(&event(number), Timestamp::from_micros(number), (0, number as u64));
                if number % 97 == 0 || number + 1 == EVENTS {
                    let Saved::New(next) = states.save(0, &store, number as u64 + 1, generation).unwrap() else {
                        panic!("nobody else saves");
                    };
                    generation = next;
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut applied = 0;
                while applied < EVENTS {
                    let at = Timestamp::from_micros(EVENTS);
                    let vector = reader.vector(&plan, request.tenant, &request.fact, at).unwrap();
                    let next = vector.as_of[0].offsets.first().map_or(0, |(_, next)| *next as i64);
                    assert!(next >= applied, "time never runs backwards");
                    assert!(next == EVENTS || next == 0 || next % 97 == 1, "only saves are seen: {next}");
                    applied = next;
                    assert_eq!(vector.values[by_card], next as f64);
                    assert_eq!(vector.values[by_buyer], (next * (next - 1) / 2) as f64);
                }
            });
        }
    });
}

#[test]
fn what_expired_leaves_redis_and_ids_are_remembered_over_their_horizon() {
    let server = Server::start(&[]);
    let bounded = include_str!("../../../online/tests/online/features.toml").replace("\"ever\"", "\"30d\"");
    let features = Arc::new(FeatureSet::from_toml(&bounded).unwrap());
    let kept = OnlineSettings { duplicate_horizon_micros: HOUR_MICROS, ..OnlineSettings::default() };
    let states = RedisStates::connect(&server.settings(1), features.clone(), kept).unwrap();
    let hour = |number: i64| 500_000 * HOUR_MICROS + number * HOUR_MICROS;
    let mut worker = Worker::new(&states, 0);
    for round in 0..6_i64 {
        for number in 0..7_000_i64 {
            let id = (round * 7_000 + number + 1) as u128;
            let event = checkout(id, hour(round) + number, id, Some(id), 100);
            worker.loaded.store.apply(&event, event.event_time, (0, id as u64));
        }
        assert!(matches!(worker.save(0), Saved::New(_)));
        worker = Worker::new(&states, 0);
        // The ids of this round and of the one before are known, by whatever time; earlier ones only by their time.
        for (age, remembered) in [(0, true), (1, true), (2, false)] {
            let id = (round - age) * 7_000 + 500;
            if id > 0 {
                let changed = checkout(id as u128, hour(round) + 10_000 + age, 1, None, 100);
                let at = Timestamp::from_micros(hour(round) + 10_000);
                let position = (1, (round * 10 + age) as u64);
                let applied = worker.loaded.store.apply(&changed, at, position);
                assert_eq!(applied == Applied::Duplicate, remembered, "round {round}, {age} before");
            }
        }
    }
    let key: Vec<String> = redis::cmd("KEYS").arg("*:series").query(&mut server.raw()).unwrap();
    let fields = || redis::cmd("HLEN").arg(&key).query::<usize>(&mut server.raw()).unwrap();
    let bytes =
        || redis::cmd("MEMORY").arg("USAGE").arg(&key).arg("SAMPLES").arg(0).query::<usize>(&mut server.raw()).unwrap();
    let (full_fields, full_bytes) = (fields(), bytes());
    assert!(full_fields > 84_000 && full_bytes > 10_000_000, "{full_fields} fields, {full_bytes} bytes");
    worker.loaded.store.expire(Timestamp::from_micros(hour(24 * 400)));
    assert!(matches!(worker.save(0), Saved::New(_)));
    assert!((3..=full_fields - FREED_SERIES_MAX).contains(&fields()), "one save removes so many: {}", fields());
    // The worker dies; the next one removes what is left.
    let mut worker = Worker::new(&states, 0);
    assert!(matches!(worker.save(0), Saved::New(_)));
    assert_eq!(fields(), 2, "the head and the progress");
    // Redis shrinks the table of a hash bit by bit, with later calls.
    let left = bytes();
    assert!(left < full_bytes / 5, "{left} of {full_bytes} bytes are left");
    let lists: Vec<String> = redis::cmd("KEYS").arg("*:ids:*").query(&mut server.raw()).unwrap();
    assert!(lists.is_empty(), "{lists:?}");
    assert_eq!(Worker::new(&states, 0).loaded.store.stats().keys, 0);
}

#[test]
fn a_deployed_set_of_features_never_reads_what_another_one_keeps() {
    let server = Server::start(&[]);
    let other = include_str!("../../../online/tests/online/features.toml").replace("\"3d\"", "\"4d\"");
    let other = Arc::new(FeatureSet::from_toml(&other).unwrap());
    let event = checkout(1, 1_000, 5, Some(7), 250);
    for (features, count) in [(features(), 1.0), (other, 2.0)] {
        let states = RedisStates::connect(&server.settings(1), features.clone(), OnlineSettings::default()).unwrap();
        let Loaded { store, generation, .. } = states.load(0).unwrap();
        assert_eq!((store.stats().keys, generation), (0, 0), "nothing of the other set is loaded");
        for number in 0..count as u64 {
            let event = checkout(u128::from(number) + 1, 1_000, 5, Some(7), 250);
            store.apply(&event, event.event_time, (0, number));
        }
        assert!(matches!(states.save(0, &store, 1, generation).unwrap(), Saved::New(_)));
    }
    let reader = RedisReader::connect(&server.settings(1), features()).unwrap();
    let mut out = Vec::new();
    reader.read(event.tenant, 0, 5, Timestamp::from_micros(2_000), &mut out).unwrap();
    assert_eq!(out[0], 1.0);
}

#[test]
fn a_redis_that_is_absent_unfit_or_of_another_fleet_is_refused_with_its_reason() {
    let connect = |settings: &RedisSettings| RedisReader::connect(settings, features()).map(drop);
    let nowhere = settings(1, 1);
    let error = connect(&nowhere).unwrap_err();
    assert!(matches!(&error, RedisError::Absent { address, .. } if address == "127.0.0.1:1"), "{error}");
    let secret = RedisSettings { address: "redis://me:secret@127.0.0.1:1".to_owned(), ..nowhere.clone() };
    assert!(!connect(&secret).unwrap_err().to_string().contains("secret"));
    for address in ["no address", "http://127.0.0.1:1", "rediss://127.0.0.1:1"] {
        let wrong = RedisSettings { address: address.to_owned(), ..nowhere.clone() };
        assert!(matches!(connect(&wrong), Err(RedisError::Settings(_))), "{address}");
    }
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    let error = connect(&server.settings(1)).unwrap_err().to_string();
    assert!(error.contains("allkeys-lru") && error.contains("noeviction"), "{error}");
    drop(server);

    let server = Server::start(&[]);
    let states = RedisStates::connect(&server.settings(2), features(), OnlineSettings::default()).unwrap();
    for partition in 0..2 {
        let loaded = states.load(partition).unwrap();
        assert!(matches!(states.save(partition, &loaded.store, 0, 0).unwrap(), Saved::New(_)));
    }
    assert!(matches!(states.load(2), Err(RedisError::NoShare(_))));
    let other = states.load(1).unwrap();
    assert!(matches!(states.save(0, &other.store, 0, 0), Err(RedisError::OtherShare { .. })));
    let resized = RedisStates::connect(&server.settings(3), features(), OnlineSettings::default()).unwrap();
    let error = resized.load(0).unwrap_err().to_string();
    assert!(error.contains("0 of 2") && error.contains("0 of 3"), "{error}");
    let reader = RedisReader::connect(&server.settings(3), features()).unwrap();
    let (tenant, mut out) = (TenantId::default(), Vec::new());
    let asks: Vec<(usize, u128)> = (0..20).map(|id| (0, id)).collect();
    let refused = reader.read_many(tenant, &asks, Timestamp::MIN, &mut out);
    assert!(matches!(refused, Err(ReadError::Unavailable(_))), "{refused:?}");

    let reader = RedisReader::connect(&server.settings(2), features()).unwrap();
    reader.read_many(tenant, &asks, Timestamp::MIN, &mut out).unwrap();
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec(&mut server.raw()).unwrap();
    reader.read_many(tenant, &asks, Timestamp::MIN, &mut out).expect("closed connections are made anew");
    let port = server.port;
    drop(server);
    out.clear();
    let gone = reader.read_many(tenant, &asks, Timestamp::MIN, &mut out).unwrap_err().to_string();
    assert!(gone.contains(&format!("127.0.0.1:{port}")) && out.is_empty(), "{gone}");
    let _server = Server::start_on(port, &[]);
    reader.read_many(tenant, &asks, Timestamp::MIN, &mut out).expect("it is back, and empty");
}
