//! What the base index answers: equal to the oracle, defined on odd input, the same after storing.

use dhow_sessions::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Owned, ask, index_of, items, oracle, random_items, random_sessions, random_settings};

/// Equal scores to 1e-6, in an order that they allow; ties by the lower item.
pub fn assert_same(answer: &[(u32, f32)], expected: &[(u32, f64)], count: usize) {
    assert_eq!(answer.len(), expected.len().min(count), "{answer:?}\n{expected:?}");
    for (place, (item, score)) in answer.iter().enumerate() {
        let right = expected.iter().find(|(other, _)| other == item).map_or(0.0, |(_, score)| *score);
        assert!((f64::from(*score) - right).abs() < 1e-6, "item {item}: {score}, expected {right}");
        assert!((expected[place].1 - right).abs() < 1e-6, "item {item} at place {place}\n{answer:?}\n{expected:?}");
    }
    assert!(answer.windows(2).all(|two| two[0].1 > two[1].1 || (two[0].1 == two[1].1 && two[0].0 < two[1].0)));
}

#[test]
fn the_index_answers_what_the_slow_oracle_answers() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    for round in 0..150 {
        let (count, catalogue) = (random.random_range(0..120), random.random_range(2..40));
        let sessions = random_sessions(&mut random, count, catalogue);
        let settings = random_settings(&mut random);
        let index = index_of(&sessions, &settings);
        for exclude in [Exclude::Nothing, Exclude::Current, Exclude::Session] {
            let length = if round % 10 == 0 { 60 } else { random.random_range(0..8) };
            // Some of the asked items are unknown.
            let session = random_items(&mut random, length, catalogue + 2);
            let request = Request { session: &session, exclude, count: random.random_range(0..30) };
            index.predict(&mut scratch, &request, |_| true, &mut out).unwrap();
            assert_same(&out, &oracle::answer(&sessions, &settings, &request), request.count);
        }
    }
}

#[test]
fn a_filtered_answer_is_the_whole_answer_without_what_the_filter_refuses() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let sessions = random_sessions(&mut random, 300, 60);
    let index = index_of(&sessions, &Settings::default());
    let mut scratch = Scratch::new();
    for _ in 0..100 {
        let session = random_items(&mut random, 3, 60);
        let keep = random.random_range(1..6);
        let whole = ask(&index, &session, Exclude::Current, MAX_COUNT);
        let expected: Vec<(u32, f32)> = whole.into_iter().filter(|(item, _)| item % keep == 0).take(7).collect();
        let mut out = Vec::new();
        let request = Request { session: &session, exclude: Exclude::Current, count: 7 };
        index.predict(&mut scratch, &request, |item| item % keep == 0, &mut out).unwrap();
        assert_eq!(out, expected);
        index.predict(&mut scratch, &request, |_| false, &mut out).unwrap();
        assert!(out.is_empty(), "everything was filtered out");
    }
}

#[test]
fn equal_scores_stand_in_order_of_item_number() {
    let sessions = [9, 4, 7, 2].map(|item| Owned { items: vec![0, item], time: 5 });
    let index = index_of(&sessions, &Settings::default());
    assert_eq!(items(&ask(&index, &[0], Exclude::Current, 3)), [2, 4, 7]);
}

#[test]
fn what_came_next_goes_before_what_came_before_and_nearer_before_farther() {
    let sessions = [Owned { items: vec![1, 2, 3, 4], time: 0 }];
    let index = index_of(&sessions, &Settings::default());
    assert_eq!(items(&ask(&index, &[2], Exclude::Current, 9)), [3, 4, 1]);
}

#[test]
fn an_item_that_people_stay_on_is_answered_only_where_that_is_allowed() {
    let sessions: Vec<Owned> =
        (0..50).map(|time| Owned { items: vec![1, 1, 1, 2 + (time % 5) as u32], time }).collect();
    let index = index_of(&sessions, &Settings::default());
    assert_eq!(items(&ask(&index, &[1], Exclude::Nothing, 1)), [1]);
    assert!(!items(&ask(&index, &[1], Exclude::Current, 9)).contains(&1));
    assert!(!items(&ask(&index, &[2, 1], Exclude::Session, 9)).contains(&2));
    assert!(items(&ask(&index, &[2, 1], Exclude::Current, 9)).contains(&2));
}

#[test]
fn newer_sessions_outvote_older_ones() {
    let day = 86_400_000_000;
    let sessions = [Owned { items: vec![1, 2], time: 0 }, Owned { items: vec![1, 3], time: 300 * day }];
    assert_eq!(items(&ask(&index_of(&sessions, &Settings::default()), &[1], Exclude::Current, 2)), [3, 2]);
    let unfading = Settings { half_life: f64::INFINITY, ..Settings::default() };
    let answer = ask(&index_of(&sessions, &unfading), &[1], Exclude::Current, 2);
    assert_eq!((items(&answer), answer[0].1), (vec![2, 3], answer[1].1));
}

#[test]
fn odd_questions_have_defined_answers() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let index = index_of(&random_sessions(&mut random, 200, 30), &Settings::default());
    assert!(ask(&index, &[], Exclude::Current, 20).is_empty(), "an empty session");
    assert!(ask(&index, &[4_000_000_000, 77], Exclude::Nothing, 20).is_empty(), "unknown items alone");
    assert_eq!(ask(&index, &[3, 5_000], Exclude::Nothing, 0), [], "nothing asked for");
    let known = ask(&index, &[3, 999], Exclude::Current, 20);
    assert!(!known.is_empty() && known.iter().all(|(item, _)| *item < 30), "an unknown item is passed over");
    let long = random_items(&mut random, 10_000, 30);
    assert_eq!(
        ask(&index, &long, Exclude::Current, 20),
        ask(&index, &long[10_000 - MAX_SESSION_ITEMS..], Exclude::Current, 20),
        "of a long session the end is read"
    );
    assert!(ask(&index, &long, Exclude::Session, 20).is_empty(), "all items were seen");
    let same = ask(&index, &[4; 30], Exclude::Nothing, 20);
    assert!(!same.is_empty() && same.iter().all(|(_, score)| score.is_finite()), "one item thirty times");
}

#[test]
fn odd_training_sets_have_defined_answers() {
    let settings = Settings::default();
    let nothing = SessionIndex::build(&[], &settings).unwrap();
    assert!(ask(&nothing, &[1, 2], Exclude::Nothing, 20).is_empty());
    let only_empty = SessionIndex::build(&[Session { items: &[], time: 1 }], &settings).unwrap();
    assert_eq!(only_empty.session_count(), 0);
    let one = index_of(&[Owned { items: vec![3, 1], time: i64::MIN }], &settings);
    assert_eq!(items(&ask(&one, &[3], Exclude::Current, 20)), [1]);
    let one_item = index_of(&[Owned { items: vec![5], time: 1 }, Owned { items: vec![5, 5], time: 2 }], &settings);
    assert_eq!(items(&ask(&one_item, &[5], Exclude::Nothing, 20)), [5]);
    assert!(ask(&one_item, &[5], Exclude::Current, 20).is_empty());
    let ends = [Owned { items: vec![1, 2], time: i64::MIN }, Owned { items: vec![1, 3], time: i64::MAX }];
    assert_eq!(items(&ask(&index_of(&ends, &settings), &[1], Exclude::Current, 1)), [3], "the widest span of times");
    let long: Vec<u32> = (0..10_000).collect();
    let index = index_of(&[Owned { items: long, time: 0 }], &settings);
    assert_eq!(index.item_count(), 10_000);
    assert!(ask(&index, &[9_000], Exclude::Current, 20).is_empty(), "only the last items are kept");
    assert_eq!(items(&ask(&index, &[9_990], Exclude::Current, 2)), [9_991, 9_992]);
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    let refused = |settings: Settings| match SessionIndex::build(&[], &settings) {
        Err(SessionsError::Setting { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    let right = Settings::default();
    assert_eq!(refused(Settings { rule_weight: f64::NAN, ..right }), "rule_weight");
    assert_eq!(refused(Settings { query_decay: 0.0, ..right }), "query_decay");
    assert_eq!(refused(Settings { half_life: f64::NAN, ..right }), "half_life");
    assert_eq!(refused(Settings { keep_evidence: f64::INFINITY, ..right }), "keep_evidence");
    assert_eq!(refused(Settings { neighbours: 0, ..right }), "neighbours");
    let high = SessionIndex::build(&[Session { items: &[MAX_ITEMS], time: 0 }], &right);
    assert_eq!(high.err(), Some(SessionsError::Item { item: MAX_ITEMS, limit: MAX_ITEMS }));
    let index = SessionIndex::build(&[], &right).unwrap();
    let request = Request { session: &[1], exclude: Exclude::Current, count: MAX_COUNT + 1 };
    let answer = index.predict(&mut Scratch::new(), &request, |_| true, &mut Vec::new());
    assert_eq!(answer, Err(SessionsError::Count { count: MAX_COUNT + 1, limit: MAX_COUNT }));
}

#[test]
fn only_the_most_recent_sessions_are_kept() {
    let sessions: Vec<Owned> = (0..10).map(|time| Owned { items: vec![0, 1 + time as u32], time }).collect();
    let settings = Settings { sessions_kept: 3, ..Settings::default() };
    let mut kept = items(&ask(&index_of(&sessions, &settings), &[0], Exclude::Current, 20));
    kept.sort_unstable();
    assert_eq!(kept, [8, 9, 10]);
}

#[test]
fn a_stored_index_answers_as_before_and_damage_is_noticed() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let index = index_of(&random_sessions(&mut random, 200, 30), &random_settings(&mut random));
    let bytes = index.to_bytes().unwrap();
    let read = SessionIndex::from_bytes(&bytes).unwrap();
    assert_eq!(read.settings(), index.settings());
    for _ in 0..50 {
        let session = random_items(&mut random, 4, 30);
        assert_eq!(ask(&read, &session, Exclude::Nothing, 50), ask(&index, &session, Exclude::Nothing, 50));
    }
    let refused = |bytes: &[u8]| matches!(SessionIndex::from_bytes(bytes), Err(SessionsError::Bytes { .. }));
    assert!(refused(&[]) && refused(&bytes[..bytes.len() / 2]) && refused(&bytes[1..]));
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(refused(&longer));
    for place in (0..bytes.len()).step_by(7) {
        // Whatever the damage, reading ends in an index or an error.
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x55;
        if let Ok(index) = SessionIndex::from_bytes(&damaged) {
            ask(&index, &[1, 2], Exclude::Nothing, 5);
        }
    }
}
