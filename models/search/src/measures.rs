//! How good a ranking is, and how sure that is: recall, NDCG, bootstrap intervals over queries; it runs no search.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Most resamples of an interval.
pub const RESAMPLES_MAX: usize = 100_000;
/// What is left out of an interval on either side.
const TAIL: f64 = 0.025;

/// The figures of one query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RankingQuality {
    /// The share of what is relevant among the first ones.
    pub recall: f64,
    /// The discounted gain beside that of the best order (Järvelin and Kekäläinen 2002), all that is relevant equally so.
    pub ndcg: f64,
}

/// Judges the first `cutoff` of a ranking; zeros where nothing is relevant.
pub fn ranking_quality<T: Ord>(ranking: &[T], relevant: &BTreeSet<T>, cutoff: usize) -> RankingQuality {
    if relevant.is_empty() {
        return RankingQuality::default();
    }
    let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let places: Vec<usize> =
        ranking.iter().take(cutoff).enumerate().filter(|(_, one)| relevant.contains(one)).map(|(at, _)| at).collect();
    let best: f64 = (0..relevant.len().min(cutoff)).map(gain).sum();
    RankingQuality {
        recall: places.len() as f64 / relevant.len() as f64,
        ndcg: places.into_iter().map(gain).sum::<f64>() / best,
    }
}

/// A figure and its 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The mean over queries.
pub fn mean(values: &[f64], resamples: usize, seed: u64) -> Estimate {
    estimate(values.len(), resamples, seed, |drawn| mean_of(values, drawn))
}

/// `mean(ours) − mean(theirs)` over the same queries in the same order; what is missing on one side is left out.
pub fn difference(ours: &[f64], theirs: &[f64], resamples: usize, seed: u64) -> Estimate {
    let gaps: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
    mean(&gaps, resamples, seed)
}

/// `mean(ours) / mean(theirs) − 1` over the same queries in the same order; what is missing on one side is left out. Nothing
/// where theirs is so near to nothing that the ratio has no end within its interval; see [`difference`] then.
pub fn lift(ours: &[f64], theirs: &[f64], resamples: usize, seed: u64) -> Option<Estimate> {
    let count = ours.len().min(theirs.len());
    let found = estimate(count, resamples, seed, |drawn| {
        let (ours, theirs) = (mean_of(ours, drawn), mean_of(theirs, drawn));
        if theirs > 0.0 { ours / theirs - 1.0 } else { f64::INFINITY }
    });
    [found.value, found.low, found.high].iter().all(|end| end.is_finite()).then_some(found)
}

fn mean_of(values: &[f64], drawn: &[usize]) -> f64 {
    drawn.iter().map(|query| values[*query]).sum::<f64>() / drawn.len() as f64
}

/// Queries are drawn with replacement, as often as there are, at most [`RESAMPLES_MAX`] times (Efron 1979).
fn estimate(count: usize, resamples: usize, seed: u64, figure: impl Fn(&[usize]) -> f64) -> Estimate {
    if count == 0 {
        return Estimate::default();
    }
    let value = figure(&(0..count).collect::<Vec<_>>());
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<f64> = (0..resamples.min(RESAMPLES_MAX))
        .map(|_| figure(&(0..count).map(|_| random.random_range(0..count)).collect::<Vec<_>>()))
        .collect();
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| drawn.get((share * drawn.len() as f64) as usize).copied().unwrap_or(value);
    Estimate { value, low: at(TAIL), high: at(1.0 - TAIL) }
}
