//! Item-to-item co-occurrence with order, gap and recency; which products to score from is decided in the chain.
//!
//! 1. Every sequence s has a weight w(s) that halves with age.
//! 2. A visit of `a` and one of `b`, g steps apart (at most the window), add `w(s) · gap_decay^(max(g, 1) − 1)` to C(a→b)
//!    when b is not before a, and `reverse_share` of it otherwise.
//! 3. n(a) sums w(s) over the sequences that hold a.
//! 4. score(a→b) = C(a→b) / ((n(a) + λ)^(1 − β) · (n(b) + λ)^β) with shrinkage λ and popularity discount β. β = ½ is the
//!    shrunk cosine of Sarwar et al., "Item-based collaborative filtering recommendation algorithms" (WWW 2001), β = 0 the
//!    conditional frequency of Deshpande and Karypis, "Item-based top-N recommendation algorithms" (TOIS 2004).
//! 5. The best neighbours of each item are kept, best first, ties by item number.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::lists::Lists;
use crate::sequences::{Sequences, Visit};

/// A product that goes with another, and how well.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Neighbour {
    pub(crate) item: u32,
    pub(crate) score: f32,
}

/// The neighbours of every item. Items are independent of each other, so threads cannot change a sum.
pub(crate) fn neighbours(sequences: &Sequences, items: usize, settings: &Settings) -> Lists<Neighbour> {
    let occurrences = Lists::inverted(&sequences.visits, items, |visit| visit.item);
    let counts = sequence_counts(sequences, &occurrences);
    let power = |count: &f64, exponent: f64| (count + settings.shrinkage).powf(exponent);
    let as_source: Vec<f64> = counts.iter().map(|count| power(count, 1.0 - settings.popularity_discount)).collect();
    let as_target: Vec<f64> = counts.iter().map(|count| power(count, settings.popularity_discount)).collect();
    let gap_weights: Vec<f64> =
        (0..=settings.window_steps).map(|gap| settings.gap_decay.powi(gap.max(1) as i32 - 1)).collect();

    let rows: Vec<Vec<Neighbour>> = (0..items)
        .into_par_iter()
        .map_init(
            || Accumulator::new(items),
            |together, item| {
                for &(sequence, position) in occurrences.row(item) {
                    let visits = sequences.visits.row(sequence as usize);
                    add_pairs(
                        together,
                        visits,
                        position as usize,
                        sequences.weights[sequence as usize],
                        &gap_weights,
                        settings,
                    );
                }
                let score = |other: u32, sum: f64| sum / (as_source[item] * as_target[other as usize]);
                let scored =
                    together.drain().map(|(other, sum)| Neighbour { item: other, score: score(other, sum) as f32 });
                let usable = scored.filter(|n| n.score.is_finite() && n.score > 0.0).collect();
                best(usable, settings.neighbours, |n| (n.score, n.item))
            },
        )
        .collect();
    Lists::from_rows(rows)
}

/// n(a): the weights of the sequences in which each item occurs, each sequence once.
fn sequence_counts(sequences: &Sequences, occurrences: &Lists<(u32, u32)>) -> Vec<f64> {
    let count = |item: usize| -> f64 {
        let row = occurrences.row(item);
        row.chunk_by(|a, b| a.0 == b.0).map(|same| sequences.weights[same[0].0 as usize]).sum()
    };
    (0..occurrences.rows()).into_par_iter().map(count).collect()
}

/// Adds what the visit at `position` has to do with the visits within the window around it.
fn add_pairs(
    sums: &mut Accumulator,
    visits: &[Visit],
    position: usize,
    weight: f64,
    gap_weights: &[f64],
    settings: &Settings,
) {
    let here = visits[position];
    let mut add = |other: &Visit, gap: u32, share: f64| -> bool {
        let Some(gap_weight) = gap_weights.get(gap as usize) else { return false };
        if other.item != here.item {
            sums.add(other.item, weight * gap_weight * share);
        }
        true
    };
    for earlier in visits[..position].iter().rev() {
        let gap = here.step - earlier.step;
        let share = if gap == 0 { 1.0 } else { settings.reverse_share };
        if !add(earlier, gap, share) {
            break;
        }
    }
    for later in &visits[position + 1..] {
        if !add(later, later.step - here.step, 1.0) {
            break;
        }
    }
}

/// Sums by item in a flat array that remembers which entries it touched.
pub(crate) struct Accumulator {
    sums: Vec<f64>,
    touched: Vec<u32>,
}

impl Accumulator {
    pub(crate) fn new(items: usize) -> Self {
        Self { sums: vec![0.0; items], touched: Vec::new() }
    }

    pub(crate) fn add(&mut self, item: u32, amount: f64) {
        if amount > 0.0 {
            let sum = &mut self.sums[item as usize];
            if *sum == 0.0 {
                self.touched.push(item);
            }
            *sum += amount;
        }
    }

    /// Hands out the sums above zero and leaves the accumulator empty.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (u32, f64)> {
        let sums = &mut self.sums;
        self.touched.drain(..).map(|item| (item, std::mem::take(&mut sums[item as usize])))
    }
}

/// The `limit` entries of highest score, best first, ties by the lower item number.
pub(crate) fn best<T>(mut entries: Vec<T>, limit: usize, key: impl Fn(&T) -> (f32, u32)) -> Vec<T> {
    let order = |a: &T, b: &T| {
        let ((score_a, item_a), (score_b, item_b)) = (key(a), key(b));
        score_b.total_cmp(&score_a).then(item_a.cmp(&item_b))
    };
    if entries.len() > limit && limit > 0 {
        entries.select_nth_unstable_by(limit - 1, order);
        entries.truncate(limit);
    }
    entries.sort_unstable_by(order);
    entries
}
