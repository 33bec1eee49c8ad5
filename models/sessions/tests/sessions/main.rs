//! Tests of the session recommender: against a slow oracle, live against rebuilt, bad input, and public data.

mod answers;
mod data;
mod judging;
mod live;
mod load;
mod oracle;
mod tuned;

use dhow_sessions::{Exclude, Request, Scratch, Session, SessionIndex, Settings};
use rand::{Rng, RngExt};

/// A session that owns its items.
#[derive(Debug, Clone)]
struct Owned {
    items: Vec<u32>,
    time: i64,
}

fn borrowed(sessions: &[Owned]) -> Vec<Session<'_>> {
    sessions.iter().map(|session| Session { items: &session.items, time: session.time }).collect()
}

fn index_of(sessions: &[Owned], settings: &Settings) -> SessionIndex {
    SessionIndex::build(&borrowed(sessions), settings).unwrap()
}

fn ask(index: &SessionIndex, session: &[u32], exclude: Exclude, count: usize) -> Vec<(u32, f32)> {
    let mut out = Vec::new();
    index.predict(&mut Scratch::new(), &Request { session, exclude, count }, |_| true, &mut out).unwrap();
    out
}

fn items(answer: &[(u32, f32)]) -> Vec<u32> {
    answer.iter().map(|(item, _)| *item).collect()
}

/// Items of which low numbers are frequent, with repeats in a row and returns.
fn random_items(random: &mut impl Rng, length: usize, items: u32) -> Vec<u32> {
    let mut session: Vec<u32> = Vec::with_capacity(length);
    while session.len() < length {
        let item = match random.random_range(0..10) {
            0 if !session.is_empty() => session[session.len() - 1],
            1 if !session.is_empty() => session[random.random_range(0..session.len())],
            _ => random.random_range(0..items).min(random.random_range(0..items)),
        };
        session.push(item);
    }
    session
}

fn random_sessions(random: &mut impl Rng, count: usize, items: u32) -> Vec<Owned> {
    let session = |random: &mut _| {
        let length = if Rng::next_u32(random) % 40 == 0 { 70 } else { 1 + (Rng::next_u32(random) % 9) as usize };
        let items = random_items(random, length, items);
        // Few distinct times, so that some are equal.
        Owned { items, time: i64::from(Rng::next_u32(random) % 60) * 1_000 }
    };
    (0..count).map(|_| session(random)).collect()
}

fn random_settings(random: &mut impl Rng) -> Settings {
    Settings {
        neighbours: random.random_range(1..40),
        sessions_per_item: random.random_range(1..40),
        last_items: random.random_range(1..6),
        query_decay: random.random_range(0.3..1.0),
        query_rarity: random.random_range(-0.2..0.8),
        length_discount: random.random_range(0.0..1.0),
        half_life: random.random_range(5_000.0..200_000.0),
        forward_decay: random.random_range(0.4..1.0),
        backward_decay: random.random_range(0.4..1.0),
        backward_share: random.random_range(0.0..1.5),
        rule_weight: random.random_range(0.0..0.5),
        popularity_discount: random.random_range(-0.2..0.8),
        keep_weight: random.random_range(0.0..2.0),
        revisit_weight: random.random_range(0.0..2.0),
        keep_evidence: random.random_range(1.0..50.0),
        ..Settings::default()
    }
}
