//! What the index is compared with: VMIS-kNN as published, the Markov chain of the current item, and popularity; not for serving.

use rustc_hash::FxHashMap;

use crate::evaluation::Predictor;
use crate::{Request, Session, SessionsError};

/// Settings of [`VmisKnn`], named as here and not as in the paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VmisSettings {
    /// k: so many of the most similar sessions vote.
    pub neighbours: usize,
    /// m: so many of the most recent matching sessions are compared.
    pub recent_sessions: usize,
    /// So many of the asking session's last clicks are read.
    pub last_items: usize,
    /// What the logarithm of an item's rarity is multiplied by; 0 weighs all items alike.
    pub rarity_weight: f64,
}

impl Default for VmisSettings {
    /// Those of the evaluation program that its authors published.
    fn default() -> Self {
        Self { neighbours: 500, recent_sessions: 1_500, last_items: 3, rarity_weight: 1.0 }
    }
}

/// VMIS-kNN of Kersbergen, Sprangers and Schelter, "Serenade: Low-latency session-based recommendation in e-commerce at
/// scale" (SIGMOD 2022), in 64-bit numbers and hash maps, as in the authors' program:
///
/// 1. Past sessions are sets of items; those longer than 99.5 % of all find nobody.
/// 2. From the current item back, each distinct item brings its most recent sessions; at most m are held, the most recent.
///    An item at place p of l clicks of which u are distinct adds p / u to their similarity.
/// 3. The k most similar vote for all their items: similarity × (1 − 0.1 × clicks from the end to the most recent match,
///    counted from 1) × ln(clicks / clicks on the item).
/// 4. The current item is never answered.
#[derive(Debug)]
pub struct VmisKnn {
    settings: VmisSettings,
    /// In order of time, each without duplicates.
    sessions: Vec<Vec<u32>>,
    /// Of each item its sessions, most recent first.
    item_sessions: FxHashMap<u32, Vec<u32>>,
    rarity: FxHashMap<u32, f64>,
}

impl VmisKnn {
    /// Indexes sessions given in any order.
    pub fn new(sessions: &[Session<'_>], settings: VmisSettings) -> Self {
        let sets = item_sets(sessions);
        let mut lengths: Vec<usize> = sets.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        let longest = lengths.get(lengths.len() * 995 / 1000).copied().unwrap_or(0);
        let mut item_sessions: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (number, set) in sets.iter().enumerate().rev().filter(|(_, set)| set.len() <= longest) {
            for item in set {
                item_sessions.entry(*item).or_default().push(number as u32);
            }
        }
        let clicks: usize = item_sessions.values().map(Vec::len).sum();
        let weigh = |of_item: usize| match settings.rarity_weight {
            0.0 => 1.0,
            weight => (clicks as f64 / of_item as f64).ln() * weight,
        };
        let rarity = item_sessions.iter().map(|(item, list)| (*item, weigh(list.len()))).collect();
        for list in item_sessions.values_mut() {
            list.truncate(settings.recent_sessions);
        }
        Self { settings, sessions: sets, item_sessions, rarity }
    }

    /// Step 2, then the k best, most similar first, of equals the more recent.
    fn neighbours(&self, session: &[u32]) -> Vec<(f64, u32)> {
        let distinct = item_set(session).len() as f64;
        let mut similarity: FxHashMap<u32, f64> = FxHashMap::default();
        let mut held: std::collections::BinaryHeap<std::cmp::Reverse<u32>> = std::collections::BinaryHeap::new();
        for place in (0..session.len()).rev() {
            if session[place + 1..].contains(&session[place]) {
                continue;
            }
            let add = (place + 1) as f64 / distinct;
            for &past in self.item_sessions.get(&session[place]).map_or(&[][..], Vec::as_slice) {
                if let Some(sum) = similarity.get_mut(&past) {
                    *sum += add;
                    continue;
                }
                if similarity.len() == self.settings.recent_sessions {
                    match held.peek() {
                        Some(oldest) if past > oldest.0 => similarity.remove(&oldest.0),
                        _ => break,
                    };
                    held.pop();
                }
                similarity.insert(past, add);
                held.push(std::cmp::Reverse(past));
            }
        }
        let mut neighbours: Vec<(f64, u32)> = similarity.into_iter().map(|(past, sum)| (sum, past)).collect();
        neighbours.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        neighbours.truncate(self.settings.neighbours);
        neighbours
    }
}

impl Predictor for VmisKnn {
    type Memory = ();

    fn predict(&self, _: &mut (), request: &Request<'_>, out: &mut Vec<(u32, f32)>) -> Result<(), SessionsError> {
        let session = &request.session[request.session.len().saturating_sub(self.settings.last_items)..];
        let mut scores: FxHashMap<u32, f64> = FxHashMap::default();
        for (similarity, past) in self.neighbours(session) {
            let items = &self.sessions[past as usize];
            let Some(match_steps) = session.iter().rev().position(|item| items.binary_search(item).is_ok()) else {
                continue;
            };
            let vote = (1.0 - 0.1 * (match_steps + 1) as f64) * similarity;
            for item in items {
                *scores.entry(*item).or_default() += vote * self.rarity.get(item).copied().unwrap_or(0.0);
            }
        }
        if let Some(current) = session.last() {
            scores.remove(current);
        }
        best(scores, request.count, out);
        Ok(())
    }
}

/// The items that most often came right after the current one.
#[derive(Debug)]
pub struct Markov(FxHashMap<u32, Vec<(u32, f32)>>);

impl Markov {
    /// Counts pairs of neighbouring clicks and keeps the `count` most frequent of each item.
    pub fn new(sessions: &[Session<'_>], count: usize) -> Self {
        let mut pairs: FxHashMap<u32, FxHashMap<u32, f64>> = FxHashMap::default();
        for pair in sessions.iter().flat_map(|session| session.items.windows(2)) {
            *pairs.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1.0;
        }
        let rank = |counts: FxHashMap<u32, f64>| {
            let mut ranked = Vec::new();
            best(counts, count, &mut ranked);
            ranked
        };
        Self(pairs.into_iter().map(|(item, counts)| (item, rank(counts))).collect())
    }
}

impl Predictor for Markov {
    type Memory = ();

    fn predict(&self, _: &mut (), request: &Request<'_>, out: &mut Vec<(u32, f32)>) -> Result<(), SessionsError> {
        let next = request.session.last().and_then(|current| self.0.get(current));
        out.clear();
        out.extend(next.into_iter().flatten().take(request.count));
        Ok(())
    }
}

/// The items with the most clicks, whatever the session holds.
#[derive(Debug)]
pub struct Popularity(Vec<(u32, f32)>);

impl Popularity {
    /// Counts clicks and keeps the `count` most clicked items.
    pub fn new(sessions: &[Session<'_>], count: usize) -> Self {
        let mut clicks: FxHashMap<u32, f64> = FxHashMap::default();
        for item in sessions.iter().flat_map(|session| session.items) {
            *clicks.entry(*item).or_default() += 1.0;
        }
        let mut ranked = Vec::new();
        best(clicks, count, &mut ranked);
        Self(ranked)
    }
}

impl Predictor for Popularity {
    type Memory = ();

    fn predict(&self, _: &mut (), request: &Request<'_>, out: &mut Vec<(u32, f32)>) -> Result<(), SessionsError> {
        out.clear();
        out.extend(self.0.iter().take(request.count));
        Ok(())
    }
}

fn item_sets(sessions: &[Session<'_>]) -> Vec<Vec<u32>> {
    let mut ordered: Vec<&Session<'_>> = sessions.iter().collect();
    ordered.sort_by_key(|session| session.time);
    ordered.into_iter().map(|session| item_set(session.items)).collect()
}

/// The distinct items in ascending order.
fn item_set(items: &[u32]) -> Vec<u32> {
    let mut set = items.to_vec();
    set.sort_unstable();
    set.dedup();
    set
}

/// The `count` highest scores, best first, ties by the lower item.
fn best(scores: FxHashMap<u32, f64>, count: usize, out: &mut Vec<(u32, f32)>) {
    let mut ranked: Vec<(u32, f64)> = scores.into_iter().collect();
    ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    out.clear();
    out.extend(ranked.into_iter().take(count).map(|(item, score)| (item, score as f32)));
}
