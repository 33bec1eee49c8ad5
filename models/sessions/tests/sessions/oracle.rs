//! The method step by step over all sessions, without an index: slow, and obviously what the documentation says.

use std::collections::BTreeMap;

use dhow_sessions::{Exclude, MAX_SESSION_ITEMS, Request, Settings};

use crate::Owned;

/// All items with a score above 0, best first; `sessions` in any order.
pub fn answer(sessions: &[Owned], settings: &Settings, request: &Request<'_>) -> Vec<(u32, f64)> {
    let last = |items: &[u32]| items[items.len().saturating_sub(MAX_SESSION_ITEMS)..].to_vec();
    let mut past: Vec<Owned> = sessions.iter().filter(|s| !s.items.is_empty()).cloned().collect();
    past.iter_mut().for_each(|session| session.items = last(&session.items));
    past.sort_by_key(|session| session.time);
    let latest = past.last().map_or(0, |session| session.time);
    let session = last(request.session);
    let count = |item: u32| past.iter().filter(|s| s.items.contains(&item)).count() as f64;
    let discount = |count: f64, exponent: f64| (count + 1.0).powf(-exponent);
    let last_place = |item: u32| session.iter().rposition(|other| *other == item).unwrap();

    // 1 and 2.
    let mut matches: BTreeMap<usize, (f64, usize, bool)> = BTreeMap::new();
    let asking = (0..session.len()).rev().filter(|p| last_place(session[*p]) == *p && count(session[*p]) > 0.0);
    for place in asking.take(settings.last_items) {
        let (item, steps) = (session[place], session.len() - 1 - place);
        let weight = settings.query_decay.powi(steps as i32) * discount(count(item), settings.query_rarity);
        let having = (0..past.len()).rev().filter(|number| past[*number].items.contains(&item));
        for number in having.take(settings.sessions_per_item) {
            let first = past[number].items.iter().position(|other| *other == item).unwrap();
            matches.entry(number).or_insert((0.0, first, steps == 0)).0 += weight;
        }
    }

    // 3.
    let own_weight = |number: usize| {
        let fading = ((past[number].time - latest) as f64 / settings.half_life).exp2();
        discount(past[number].items.len() as f64, settings.length_discount) * fading
    };
    let mut neighbours: Vec<(f64, usize, usize, bool)> = matches
        .into_iter()
        .map(|(number, (similarity, at, current))| (similarity.powf(1.5) * own_weight(number), number, at, current))
        .collect();
    neighbours.sort_by(|a, b| (b.0 as f32).total_cmp(&(a.0 as f32)).then(b.1.cmp(&a.1)));
    neighbours.truncate(settings.neighbours);

    // 4 and 5.
    let mut votes: BTreeMap<u32, f64> = BTreeMap::new();
    for (weight, number, at, current) in neighbours {
        let rule = if current { settings.rule_weight * own_weight(number) } else { 0.0 };
        for (place, item) in past[number].items.iter().enumerate() {
            let gap = place.abs_diff(at) as i32 - 1;
            let vote = match place.cmp(&at) {
                std::cmp::Ordering::Less => weight * settings.backward_share * settings.backward_decay.powi(gap),
                std::cmp::Ordering::Equal => continue,
                std::cmp::Ordering::Greater => (weight + rule) * settings.forward_decay.powi(gap),
            };
            *votes.entry(*item).or_default() += vote;
        }
    }

    // 6.
    votes.iter_mut().for_each(|(item, vote)| *vote *= discount(count(*item), settings.popularity_discount));
    let total: f64 = votes.values().sum();
    let total = if total > 0.0 { total } else { 1.0 };

    // 7.
    if let Some(current) = session.last().copied().filter(|item| count(*item) > 0.0) {
        *votes.entry(current).or_default() += total * settings.keep_weight * keep(&past, &session, settings);
    }
    for place in (0..session.len().saturating_sub(1)).rev() {
        let (item, steps) = (session[place], session.len() - 1 - place);
        if steps <= 32 && last_place(item) == place && count(item) > 0.0 {
            *votes.entry(item).or_default() += total * settings.revisit_weight * revisit(&past, steps);
        }
    }

    // 8.
    let excluded = |item: &u32| match request.exclude {
        Exclude::Nothing => false,
        Exclude::Current => request.session.last() == Some(item),
        Exclude::Session => request.session.contains(item),
    };
    let mut ranked: Vec<(u32, f64)> =
        votes.into_iter().filter(|(item, vote)| !excluded(item) && *vote > 0.0).map(|(i, v)| (i, v / total)).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

/// Times an item was last in a row, at most 8.
fn run(items: &[u32]) -> usize {
    items.iter().rev().take_while(|item| Some(*item) == items.last()).count().min(8)
}

/// (taken + 1) / (of + 10) of the steps that `chance` recognises.
fn share(past: &[Owned], chance: impl Fn(&[u32]) -> Option<u32>) -> f64 {
    let (mut taken, mut of) = (1.0, 10.0);
    for session in past {
        for next in 1..session.items.len() {
            if let Some(item) = chance(&session.items[..next]) {
                of += 1.0;
                taken += f64::from(u8::from(session.items[next] == item));
            }
        }
    }
    taken / of
}

fn keep(past: &[Owned], session: &[u32], settings: &Settings) -> f64 {
    let of_run = |length| share(past, |so_far| (run(so_far) == length).then(|| so_far[so_far.len() - 1]));
    let current = session.last();
    let pairs = past.iter().flat_map(|s| s.items.windows(2)).filter(|pair| Some(&pair[0]) == current);
    let (kept, seen) = pairs.fold((0.0, 0.0), |(k, n), pair| (k + f64::from(u8::from(pair[0] == pair[1])), n + 1.0));
    let own = (kept + settings.keep_evidence * of_run(1)) / (seen + settings.keep_evidence);
    (own / of_run(1) * of_run(run(session))).min(1.0)
}

fn revisit(past: &[Owned], steps: usize) -> f64 {
    share(past, |so_far| {
        let place = so_far.len().checked_sub(steps + 1)?;
        (!so_far[place + 1..].contains(&so_far[place])).then_some(so_far[place])
    })
}
