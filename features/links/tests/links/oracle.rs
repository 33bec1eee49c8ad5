//! The walk and the features against a recomputation from all observations, and against events of the future.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::*;
use dhow_links::{Account, FEATURES, HUB_ACCOUNTS, LinkIndex, LinkQuery, LinkSettings, PastLinks, Thing};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::*;

const RETENTION_DAYS: f64 = 90.0;
type Sighting = (u128, Thing, Timestamp);

/// Everything that was told, as plain lists.
#[derive(Default)]
struct Told {
    sightings: Vec<Sighting>,
    registered: BTreeMap<u128, Timestamp>,
    /// Account, checkout, fraud, event time, known time.
    labels: Vec<(u128, CheckoutId, bool, Timestamp, Timestamp)>,
}

fn things(query: &LinkQuery) -> Vec<Thing> {
    let things = [query.card.map(Thing::Card), query.device.map(Thing::Device), query.address.map(Thing::Address)];
    things.into_iter().flatten().collect()
}

impl Told {
    fn tell(&mut self, event: &Event, known_time: Timestamp) {
        let at = event.event_time;
        match &event.fact {
            Fact::BuyerRegistered(fact) => {
                let earliest = self.registered.entry(fact.buyer.as_u128()).or_insert(at);
                *earliest = at.min(*earliest);
            }
            Fact::CheckoutSubmitted(fact) => {
                let used = things(&query(event)).into_iter().map(|thing| (fact.buyer.as_u128(), thing, at));
                self.sightings.extend(used);
            }
            Fact::FraudLabelled(fact) => {
                self.labels.push((fact.buyer.as_u128(), fact.checkout, fact.fraud, at, known_time));
            }
            _ => unreachable!(),
        }
    }

    /// Who uses what at `at`, and since when, the asked things included.
    fn uses(&self, buyer: u128, asked: &[Thing], at: Timestamp) -> BTreeMap<(u128, Thing), Timestamp> {
        let retention_micros = (RETENTION_DAYS * DAY_MICROS as f64) as i64;
        let mut times: BTreeMap<(u128, Thing), Vec<Timestamp>> = BTreeMap::new();
        for (buyer, thing, seen) in self.sightings.iter().filter(|(_, _, seen)| *seen < at) {
            times.entry((*buyer, *thing)).or_default().push(*seen);
        }
        let mut uses = BTreeMap::new();
        for (key, mut seen) in times {
            seen.sort_unstable();
            let begins = seen.windows(2).rposition(|pair| pair[1].micros_since(pair[0]) > retention_micros);
            if at.micros_since(seen[seen.len() - 1]) < retention_micros {
                uses.insert(key, seen[begins.map_or(0, |pair| pair + 1)]);
            }
        }
        for thing in asked {
            uses.entry((buyer, *thing)).or_insert(at);
        }
        uses
    }

    fn known_fraud(&self, buyer: u128, at: Timestamp) -> bool {
        let mut known: Vec<_> = self.labels.iter().filter(|l| l.0 == buyer && l.3 < at && l.4 <= at).collect();
        known.sort_by_key(|label| label.3);
        let verdicts: BTreeMap<CheckoutId, bool> = known.into_iter().map(|label| (label.1, label.2)).collect();
        verdicts.into_values().any(|fraud| fraud)
    }

    fn age_days(&self, buyer: u128, at: Timestamp) -> Option<f64> {
        let registered = self.registered.get(&buyer).filter(|registered| **registered < at)?;
        Some(at.micros_since(*registered) as f64 / DAY_MICROS as f64)
    }

    /// The ring's accounts and the features without the score, from nothing but the lists.
    fn answer(&self, buyer: u128, asked: &[Thing], at: Timestamp) -> (BTreeSet<u128>, Vec<f64>) {
        let uses = self.uses(buyer, asked, at);
        let mut known_users: BTreeMap<Thing, BTreeSet<u128>> = BTreeMap::new();
        for ((user, thing), since) in &uses {
            if *since < at {
                known_users.entry(*thing).or_default().insert(*user);
            }
        }
        let none = BTreeSet::new();
        let users_of = |thing: &Thing| known_users.get(thing).unwrap_or(&none);
        let is_hub = |thing: &Thing| users_of(thing).len() > HUB_ACCOUNTS;
        let young = |user: u128, since: Timestamp| {
            self.age_days(user, at).is_some_and(|_| since.micros_since(self.registered[&user]) <= 30 * DAY_MICROS)
        };
        let everybody: BTreeSet<u128> = known_users.values().flatten().copied().collect();
        let mut ring = BTreeSet::from([buyer]);
        loop {
            let reached: BTreeSet<Thing> =
                uses.keys().filter(|(user, thing)| ring.contains(user) && !is_hub(thing)).map(|key| key.1).collect();
            let mut grown = ring.clone();
            for user in everybody.difference(&ring) {
                let common: Vec<&Thing> = reached.iter().filter(|thing| users_of(thing).contains(user)).collect();
                let kinds: BTreeSet<_> = common.iter().map(|thing| thing.kind()).collect();
                let together = |thing: &Thing| {
                    let since = uses[&(*user, *thing)];
                    let like_a_member = ring
                        .iter()
                        .filter_map(|m| Some((*m, *uses.get(&(*m, *thing))?)))
                        .any(|(m, began)| young(m, began) && since.micros_since(began).abs() <= 7 * DAY_MICROS);
                    matches!(thing, Thing::Device(_) | Thing::Address(_)) && young(*user, since) && like_a_member
                };
                let by_card = common.iter().any(|thing| matches!(thing, Thing::Card(_)));
                if by_card || kinds.len() >= 2 || common.iter().any(|thing| together(thing)) {
                    grown.insert(*user);
                }
            }
            if grown == ring {
                break;
            }
            ring = grown;
        }
        let mut users_in_ring: BTreeMap<Thing, usize> = BTreeMap::new();
        for (_, thing) in uses.keys().filter(|(user, _)| ring.contains(user)) {
            *users_in_ring.entry(*thing).or_default() += 1;
        }
        let shared = |thing: &Thing| !is_hub(thing) && users_in_ring.get(thing).is_some_and(|count| *count >= 2);
        let count = ring.len() as f64;
        let part = |number: usize| number as f64 / count;
        let by_kind = |kind: usize| {
            let shares = |user: &&u128| {
                uses.keys().any(|(other, thing)| other == *user && thing.kind() as usize == kind && shared(thing))
            };
            part(ring.iter().filter(shares).count())
        };
        let joined: BTreeMap<u128, Timestamp> = ring
            .iter()
            .filter_map(|user| {
                let since = uses.iter().filter(|((other, thing), _)| other == user && shared(thing));
                Some((*user, since.map(|(_, since)| *since).min()?))
            })
            .collect();
        let grown = |hours: i64| joined.values().filter(|j| at.micros_since(**j) <= hours * HOUR_MICROS).count() as f64;
        let burst = joined
            .values()
            .map(|end| joined.values().filter(|j| **j <= *end && end.micros_since(**j) <= 7 * DAY_MICROS).count());
        let young_count = joined.iter().filter(|(user, joined)| young(**user, **joined)).count();
        let frauds = ring.iter().filter(|user| self.known_fraud(**user, at)).count();
        let ages: Vec<f64> = ring.iter().filter_map(|user| self.age_days(*user, at)).collect();
        let mut values = vec![count, by_kind(0), by_kind(1), by_kind(2), by_kind(3)];
        values.extend([grown(1), grown(24), grown(7 * 24)]);
        values.extend([part(burst.max().unwrap_or(0)), part(young_count), frauds as f64, part(frauds)]);
        values.extend([ages.iter().copied().fold(f64::NAN, f64::min), ages.iter().copied().fold(f64::NAN, f64::max)]);
        for first in [false, true] {
            for kind in 0..4 {
                let thing = asked.iter().find(|thing| thing.kind() as usize == kind);
                values.push(thing.map_or(f64::NAN, |thing| {
                    let users = users_of(thing);
                    let others = users.iter().filter(|user| **user != buyer).count();
                    let counted = if is_hub(thing) { HUB_ACCOUNTS + 1 } else { others + 1 };
                    if first { f64::from(!users.contains(&buyer)) } else { counted as f64 }
                }));
            }
        }
        (ring, values)
    }
}

/// Random events among few people and things, some late, some ahead of when they became known: with the times at which
/// they became known, in that order.
fn jumble(random: &mut ChaCha8Rng, crowd: u128, from: f64, to: f64, count: usize) -> Vec<(Event, Timestamp)> {
    let mut events: Vec<(Event, Timestamp)> = (0..count)
        .map(|_| {
            let at = day(random.random_range(from..to));
            let known_time = at + random.random_range(-5 * MINUTE_MICROS..3 * HOUR_MICROS);
            let buyer = random.random_range(1..=160u128);
            let event = match random.random_range(0..12) {
                0 | 1 => registered(buyer, at),
                2 => labelled(buyer, random.random_range(1..4), random.random_bool(0.6), at),
                _ => checkout(buyer, some_things(random, crowd), at),
            };
            (event, known_time)
        })
        .collect();
    events.sort_by_key(|(_, known_time)| *known_time);
    events
}

/// The more crowded, the fewer things there are; one address is used so much that it becomes a hub.
fn some_things(random: &mut ChaCha8Rng, crowd: u128) -> [u128; 3] {
    let address = if random.random_bool(0.4) { 1 } else { random.random_range(2..=300 / crowd) };
    [random.random_range(0..=500 / crowd), random.random_range(0..=300 / crowd), address]
}

#[test]
fn rings_and_features_are_those_of_a_recomputation_from_every_observation() {
    for seed in 0..4 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Odd seeds are crowded within the retention, even ones thin over four times of it, so that links lapse.
        let (to, count, crowd) = if seed % 2 == 1 { (60.0, 500, 1) } else { (4.0 * RETENTION_DAYS, 400, 4) };
        let mut index = LinkIndex::new(LinkSettings::default());
        let mut told = Told::default();
        let (mut compared, mut rings, mut hubs) = (0, 0, 0);
        for (event, known_time) in jumble(&mut random, crowd, 0.0, to, count) {
            index.apply(&event, known_time);
            told.tell(&event, known_time);
            if !random.random_bool(0.3) {
                continue;
            }
            let at = known_time + random.random_range(1..HOUR_MICROS);
            let asking = checkout(random.random_range(1..=161), some_things(&mut random, crowd), at);
            let query = query(&asking);
            let Account::Buyer(buyer) = query.account else { unreachable!() };
            let (expected_ring, expected) = told.answer(buyer.as_u128(), &things(&query), at);
            let ring = index.ring(&query, at);
            let found: BTreeSet<u128> = ring
                .accounts
                .iter()
                .map(|account| match account.account {
                    Account::Buyer(id) => id.as_u128(),
                    Account::Seller(id) => id.as_u128(),
                })
                .collect();
            if ring.truncated {
                continue;
            }
            compared += 1;
            assert_eq!(found, expected_ring, "seed {seed} at {at}");
            let values = ring.features.values();
            for ((name, value), expected) in FEATURES.iter().zip(values).zip(&expected) {
                assert_eq!(value.to_bits(), expected.to_bits(), "{name}: {value}, not {expected}; seed {seed} at {at}");
            }
            rings += usize::from(found.len() > 2);
            hubs += usize::from(values.contains(&(HUB_ACCOUNTS as f64 + 1.0)));
        }
        assert!(compared > 80, "seed {seed}: only {compared} answers were not cut short");
        assert!(rings > 10, "seed {seed}: only {rings} answers had a ring");
        assert!(seed % 2 == 0 || hubs > 10, "seed {seed}: only {hubs} answers had a hub");
    }
}

#[test]
fn later_events_and_labels_that_are_not_yet_known_change_no_bit_of_an_answer() {
    for seed in 100..130 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (at, crowd) = (day(40.0), 1);
        let past: Vec<_> = jumble(&mut random, crowd, 0.0, 41.0, 900)
            .into_iter()
            .filter(|(event, known)| event.event_time < at && *known <= at)
            .collect();
        let mut index = LinkIndex::new(LinkSettings::default());
        for (event, known_time) in &past {
            index.apply(event, *known_time);
        }
        let mut perturbed = index.clone();
        // Events that happen from `at` on, some of them already in the log because a sender's clock is ahead.
        for (event, known_time) in jumble(&mut random, crowd, 40.0, 50.0, 600) {
            perturbed.apply(&event, known_time);
        }
        for _ in 0..100 {
            let told = at - random.random_range(1..DAY_MICROS);
            let label =
                labelled(random.random_range(1..=160), random.random_range(1..4), random.random_bool(0.5), told);
            perturbed.apply(&label, at + random.random_range(1..DAY_MICROS));
        }
        let mut changes_later = false;
        for _ in 0..40 {
            let query = query(&checkout(random.random_range(1..=161), some_things(&mut random, crowd), at));
            assert_eq!(bits(&index, &query, at), bits(&perturbed, &query, at), "seed {seed}");
            changes_later |= bits(&index, &query, day(55.0)) != bits(&perturbed, &query, day(55.0));
        }
        assert!(changes_later, "the later events would have changed no answer anyway");
    }
}

#[test]
fn queries_of_the_past_are_answered_as_a_live_index_answered_them_through_restarts() {
    for seed in 200..206 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let events = jumble(&mut random, 1, 0.0, 3.0 * RETENTION_DAYS, 900);
        let mut live = LinkIndex::new(LinkSettings::default());
        let (mut queries, mut answers) = (Vec::new(), Vec::new());
        for (number, (event, known_time)) in events.iter().enumerate() {
            live.apply(event, *known_time);
            let next_known = events.get(number + 1).map_or(*known_time + HOUR_MICROS, |(_, known)| *known);
            // Whatever is asked before the next event is known, at that event's very instant or earlier.
            let at = *known_time + random.random_range(0..=next_known.micros_since(*known_time).max(1) - 1);
            let query = query(&checkout(random.random_range(1..=161), some_things(&mut random, 1), at));
            queries.push((query, at));
            answers.push(live.features(&query, at).values());
            if random.random_bool(0.02) {
                live = LinkIndex::restore(&live.snapshot().unwrap()).unwrap();
            }
        }
        let mut past = PastLinks::new(LinkSettings::default(), queries);
        events.iter().for_each(|(event, known_time)| past.apply(event, *known_time));
        let bits =
            |rows: &[[f64; FEATURES.len()]]| -> Vec<u64> { rows.iter().flatten().map(|v| v.to_bits()).collect() };
        assert_eq!(bits(&past.finish()), bits(&answers), "seed {seed}");
        assert!(answers.iter().any(|values| values[0] > 2.0));
    }
}

/// Everything in an answer, as bytes.
fn bits(index: &LinkIndex, query: &LinkQuery, at: Timestamp) -> Vec<u8> {
    postcard::to_stdvec(&index.ring(query, at)).unwrap()
}
