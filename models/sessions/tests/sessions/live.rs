//! The live index: equal to one rebuilt from all its sessions, whatever was merged when; defined at its limits.

use std::collections::BTreeMap;

use dhow_sessions::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::answers::assert_same;
use crate::{Owned, ask, index_of, items, oracle, random_items, random_sessions, random_settings};

fn ask_live(live: &LiveIndex, own: Option<u128>, session: &[u32], count: usize) -> Vec<(u32, f32)> {
    let mut out = Vec::new();
    let request = Request { session, exclude: Exclude::Current, count };
    live.predict(&mut Scratch::new(), own, &request, |_| true, &mut out).unwrap();
    out
}

/// All sessions that a live index was told of, in the order in which it has to know them.
#[derive(Default)]
struct Ledger {
    merged: Vec<Owned>,
    /// In order of their beginning.
    fresh: Vec<(u128, Owned)>,
}

impl Ledger {
    fn observe(&mut self, key: u128, item: u32, time: i64) {
        let earliest = self.merged.iter().map(|session| session.time).max().unwrap_or(i64::MIN);
        let place = self.fresh.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            self.fresh.push((key, Owned { items: Vec::new(), time: earliest }));
            self.fresh.len() - 1
        });
        let session = &mut self.fresh[place].1;
        session.items.push(item);
        session.time = session.time.max(time);
    }

    fn merge(&mut self, idle_since: i64) -> usize {
        let (idle, fresh): (Vec<_>, Vec<_>) = self.fresh.drain(..).partition(|(_, s)| s.time < idle_since);
        self.fresh = fresh;
        self.merged.extend(idle.iter().map(|(_, session)| session.clone()));
        self.merged.sort_by_key(|session| session.time);
        let latest = self.merged.iter().map(|session| session.time).max().unwrap_or(i64::MIN);
        self.fresh.iter_mut().for_each(|(_, session)| session.time = session.time.max(latest));
        idle.len()
    }

    fn all(&self) -> Vec<Owned> {
        self.merged.iter().cloned().chain(self.fresh.iter().map(|(_, session)| session.clone())).collect()
    }
}

#[test]
fn base_and_delta_answer_as_an_index_rebuilt_from_all_sessions() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..25 {
        let settings = random_settings(&mut random);
        let mut ledger = Ledger { merged: random_sessions(&mut random, 40, 25), fresh: Vec::new() };
        ledger.merged.sort_by_key(|session| session.time);
        let live = LiveIndex::new(index_of(&ledger.merged, &settings));
        let mut next_key: u128 = 0;
        for click in 0..250 {
            // Sessions go on or begin; some clicks come late, some items are new, one session is very long.
            let key = match random.random_range(0..4) {
                0 => 7,
                1 => {
                    next_key += 1;
                    1_000 + next_key
                }
                _ => 1_000 + next_key.saturating_sub(random.random_range(0..6)),
            };
            let time = 55_000 + click * 200 - random.random_range(0..3_000);
            let item = random.random_range(0..28);
            live.observe(key, item, time).unwrap();
            ledger.observe(key, item, time);
            if random.random_range(0..60) == 0 {
                let idle_since = 55_000 + click * 200 - random.random_range(0..12_000);
                let merged = ledger.merge(idle_since);
                let summary = live.merge(idle_since).unwrap();
                assert_eq!((summary.merged, summary.remaining), (merged, ledger.fresh.len()));
                assert_eq!(summary.base, live.base().session_count());
            }
            if click % 10 == 0 {
                let length = random.random_range(1..6);
                let session = random_items(&mut random, length, 28);
                let request = Request { session: &session, exclude: Exclude::Current, count: 20 };
                let answer = ask_live(&live, None, &session, 20);
                assert_same(&answer, &oracle::answer(&ledger.all(), &settings, &request), 20);
            }
        }
        let rebuilt = index_of(&ledger.all(), &settings);
        live.merge(i64::MAX).unwrap();
        let session = random_items(&mut random, 3, 28);
        assert_eq!(ask_live(&live, None, &session, 50), ask(&rebuilt, &session, Exclude::Current, 50));
        assert_eq!(live.delta_sessions(), 0);
    }
}

#[test]
fn a_click_changes_the_next_answer() {
    let live = LiveIndex::new(SessionIndex::build(&[], &Settings::default()).unwrap());
    assert!(ask_live(&live, None, &[4], 5).is_empty());
    live.observe(1, 4, 100).unwrap();
    live.observe(1, 9, 200).unwrap();
    assert_eq!(items(&ask_live(&live, None, &[4], 5)), [9]);
    assert!(ask_live(&live, Some(1), &[4], 5).is_empty(), "a session is no neighbour of itself");
    live.observe(2, 4, 300).unwrap();
    live.observe(2, 8, 300).unwrap();
    assert_eq!(items(&ask_live(&live, Some(1), &[4], 5)), [8]);
}

#[test]
fn a_merged_session_that_goes_on_is_a_new_session() {
    let live = LiveIndex::new(SessionIndex::build(&[], &Settings::default()).unwrap());
    live.observe(1, 0, 10).unwrap();
    live.observe(1, 1, 20).unwrap();
    assert_eq!(live.merge(21).unwrap(), MergeSummary { merged: 1, remaining: 0, base: 1 });
    live.observe(1, 2, 30).unwrap();
    live.observe(1, 3, 40).unwrap();
    assert_eq!(items(&ask_live(&live, None, &[2], 5)), [3]);
    assert_eq!(live.merge(20).unwrap(), MergeSummary { merged: 0, remaining: 1, base: 1 });
}

#[test]
fn clicks_and_answers_go_on_during_merges_and_no_click_is_lost() {
    let live = LiveIndex::new(SessionIndex::build(&[], &Settings::default()).unwrap());
    let clicks = 3_000;
    std::thread::scope(|scope| {
        let shopper = |first: u32| {
            let live = &live;
            move || {
                for click in 0..clicks {
                    live.observe(u128::from(first * clicks + click / 2), first + click % 2, i64::from(click)).unwrap();
                    let answer = ask_live(live, None, &[first], 3);
                    assert!(answer.iter().all(|(_, score)| score.is_finite()));
                }
            }
        };
        let threads = [scope.spawn(shopper(0)), scope.spawn(shopper(2))];
        while !threads.iter().all(|thread| thread.is_finished()) {
            live.merge(i64::MAX).unwrap();
            std::thread::yield_now();
        }
    });
    live.merge(i64::MAX).unwrap();
    let base = SessionIndex::from_bytes(&live.base().to_bytes().unwrap()).unwrap();
    // A session of two clicks is one session, or two where a merge came between them.
    assert!((clicks as usize..=2 * clicks as usize).contains(&base.session_count()), "{}", base.session_count());
    assert_eq!(items(&ask(&base, &[0], Exclude::Current, 9)), [1]);
    assert_eq!(items(&ask(&base, &[2], Exclude::Current, 9)), [3]);
}

#[test]
fn the_delta_has_a_limit_and_a_merge_makes_room() {
    let live = LiveIndex::new(SessionIndex::build(&[], &Settings::default()).unwrap());
    for key in 0..MAX_DELTA_SESSIONS {
        live.observe(key as u128, (key % 5_000) as u32, 0).unwrap();
    }
    let refused = live.observe(u128::MAX, 1, 1);
    assert_eq!(refused, Err(SessionsError::DeltaFull { limit: MAX_DELTA_SESSIONS }));
    live.observe(0, 1, 1).unwrap();
    assert_eq!(live.merge(1).unwrap().remaining, 1);
    live.observe(u128::MAX, 1, 1).unwrap();
    assert_eq!(live.observe(3, MAX_ITEMS, 1), Err(SessionsError::Item { item: MAX_ITEMS, limit: MAX_ITEMS }));
    assert_eq!(live.delta_sessions(), 2, "a refused click leaves no session behind");
}

#[test]
fn the_ledger_of_these_tests_knows_every_click_once() {
    let mut ledger = Ledger::default();
    for (key, item, time) in [(1, 5, 10), (2, 6, 11), (1, 7, 12)] {
        ledger.observe(key, item, time);
    }
    assert_eq!(ledger.merge(12), 1);
    let clicks: BTreeMap<i64, Vec<u32>> = ledger.all().into_iter().map(|s| (s.time, s.items)).collect();
    assert_eq!(clicks, BTreeMap::from([(11, vec![6]), (12, vec![5, 7])]));
}
