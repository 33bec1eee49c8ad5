//! The interactions protocol: splits in time, Recall and NDCG, coverage, popularity bias, segments; it reads no file.

use crate::error::FactorsError;
use crate::interactions::Interactions;
use crate::top_k::{Best, Scored};
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Histories and what is to be predicted from each; equally long, a person without a target counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// What a model may see, in time order.
    pub train: Vec<Vec<u32>>,
    /// What came after.
    pub test: Vec<Vec<u32>>,
}

/// Cuts the last fifth off every history, rounded down but at least one item; a history of one item stays whole.
pub fn split_last_fifth(histories: &[Vec<u32>]) -> Split {
    split_by(histories, |length| (length / 5).max(1))
}

/// Cuts the last item off every history; a history of one item stays whole.
pub fn split_leave_last(histories: &[Vec<u32>]) -> Split {
    split_by(histories, |_| 1)
}

fn split_by(histories: &[Vec<u32>], tested: impl Fn(usize) -> usize) -> Split {
    let cut =
        |history: &Vec<u32>| if history.len() < 2 { history.len() } else { history.len() - tested(history.len()) };
    Split {
        train: histories.iter().map(|history| history[..cut(history)].to_vec()).collect(),
        test: histories.iter().map(|history| history[cut(history)..].to_vec()).collect(),
    }
}

/// Histories without the cold items, and who took those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColdSplit {
    /// What a model may see: histories without cold items.
    pub train: Vec<Vec<u32>>,
    /// Each person's cold items.
    pub test: Vec<Vec<u32>>,
    /// The cold items, in order.
    pub cold: Vec<u32>,
}

/// Holds a seeded random `share` of the items (0 to 1) that anybody took out of all histories.
pub fn split_cold(histories: &[Vec<u32>], items: usize, share: f64, seed: u64) -> ColdSplit {
    let mut taken = vec![false; items];
    histories.iter().flatten().filter(|item| (**item as usize) < items).for_each(|item| taken[*item as usize] = true);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let chosen: Vec<bool> = taken.iter().map(|taken| *taken && random.random::<f64>() < share).collect();
    let is_cold = |item: &u32| chosen.get(*item as usize).copied().unwrap_or(false);
    let part = |cold: bool| -> Vec<Vec<u32>> {
        histories.iter().map(|history| history.iter().copied().filter(|item| is_cold(item) == cold).collect()).collect()
    };
    ColdSplit { train: part(false), test: part(true), cold: (0_u32..).take(items).filter(is_cold).collect() }
}

/// What [`evaluate_cold`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationOfCold {
    /// Over the persons who took a cold item and have other history.
    pub overall: Accuracy,
    /// Persons' NDCG in order.
    pub ndcg_by_person: Vec<f32>,
    /// Persons' recall in the same order.
    pub recall_by_person: Vec<f32>,
}

/// Ranks the cold items among themselves for everybody who took one and has other history; `scores(person)` gives a score
/// for each of `split.cold`, in its order.
///
/// # Errors
/// What `scores` returns, scores of another length, or a split whose parts differ in length.
pub fn evaluate_cold(
    split: &ColdSplit,
    count: usize,
    scores: impl Fn(usize) -> Result<Vec<f32>, FactorsError> + Sync,
) -> Result<EvaluationOfCold, FactorsError> {
    if split.test.len() != split.train.len() {
        let (got, expected) = (split.test.len(), split.train.len());
        return Err(FactorsError::WrongLength { what: "the test part", got, expected });
    }
    let each: Vec<(f64, f64)> = (0..split.test.len())
        .into_par_iter()
        .filter(|person| !split.test[*person].is_empty() && !split.train[*person].is_empty())
        .map(|person| {
            let list = best_unseen(&mut scores(person)?, &[], split.cold.len(), count)?;
            let items = list.iter().map(|scored| split.cold[scored.item as usize]);
            Ok(accuracy_of(items, &split.test[person], count))
        })
        .collect::<Result<_, FactorsError>>()?;
    Ok(EvaluationOfCold {
        overall: accuracy(&each),
        ndcg_by_person: each.iter().map(|each| each.1 as f32).collect(),
        recall_by_person: each.iter().map(|each| each.0 as f32).collect(),
    })
}

/// Means over persons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Persons with something to predict.
    pub people: usize,
    /// Share of a person's test items among the first `count`.
    pub recall: f64,
    /// Discounted gain of the first `count`, over that of the best possible order.
    pub ndcg: f64,
}

/// Accuracy of the persons whose history has a length in a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Shortest history, in items.
    pub history_min: usize,
    /// Longest history, in items; none for no bound.
    pub history_max: Option<usize>,
    /// How well these persons were predicted.
    pub accuracy: Accuracy,
}

/// What [`evaluate`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// Items recommended to each person.
    pub count: usize,
    /// Over all persons.
    pub overall: Accuracy,
    /// Share of all items that were recommended to somebody.
    pub coverage: f64,
    /// Mean popularity percentile of what was recommended, 0 for the rarest item and 1 for the most popular.
    pub recommended_popularity: f64,
    /// The same of what people took: more above it means a bias to the popular.
    pub taken_popularity: f64,
    /// By length of the history.
    pub segments: Vec<Segment>,
    /// Persons' NDCG in the order of the persons with something to predict, for paired intervals; not written out.
    #[serde(skip)]
    pub ndcg_by_person: Vec<f32>,
    /// Persons' recall in the same order; not written out.
    #[serde(skip)]
    pub recall_by_person: Vec<f32>,
}

/// Bounds of the segments: histories up to so many items.
const SEGMENTS: [usize; 3] = [5, 10, 20];

/// Recommends `count` unseen items to everybody with something to predict and compares with what came.
///
/// `scores` gives one score per item for a history; what the history holds is never recommended. Ties are broken by
/// item number.
///
/// # Errors
/// What `scores` returns, scores of another length than there are items, or a split of another number of persons.
pub fn evaluate(
    interactions: &Interactions,
    split: &Split,
    count: usize,
    scores: impl Fn(&[u32]) -> Result<Vec<f32>, FactorsError> + Sync,
) -> Result<EvaluationReport, FactorsError> {
    if split.test.len() != split.train.len() {
        let (got, expected) = (split.test.len(), split.train.len());
        return Err(FactorsError::WrongLength { what: "the test part", got, expected });
    }
    let people: Vec<usize> = (0..split.test.len()).filter(|person| !split.test[*person].is_empty()).collect();
    let lists: Vec<Vec<Scored>> = people
        .par_iter()
        .map(|person| {
            let history = &split.train[*person];
            let mut scores = scores(history)?;
            best_unseen(&mut scores, history, interactions.items(), count)
        })
        .collect::<Result<_, _>>()?;
    Ok(report(interactions, split, count, &people, &lists))
}

/// The best items outside the history; `scores` loses the scores of the history.
pub(crate) fn best_unseen(
    scores: &mut [f32],
    history: &[u32],
    items: usize,
    count: usize,
) -> Result<Vec<Scored>, FactorsError> {
    if scores.len() != items {
        return Err(FactorsError::WrongLength { what: "scores", got: scores.len(), expected: items });
    }
    for item in history {
        if let Some(score) = scores.get_mut(*item as usize) {
            *score = f32::NEG_INFINITY;
        }
    }
    let mut best = Best::new(count);
    for (score, item) in scores.iter().zip(0_u32..) {
        if *score > best.worst() {
            best.offer(item, *score);
        }
    }
    Ok(best.into_list())
}

/// Recall and NDCG of one list.
pub(crate) fn accuracy_of(list: impl Iterator<Item = u32>, test: &[u32], count: usize) -> (f64, f64) {
    let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let places: Vec<usize> =
        list.take(count).enumerate().filter(|(_, item)| test.contains(item)).map(|(place, _)| place).collect();
    let ideal: f64 = (0..test.len().min(count)).map(discount).sum();
    let gain: f64 = places.iter().map(|place| discount(*place)).sum();
    (places.len() as f64 / test.len() as f64, gain / ideal)
}

fn report(
    interactions: &Interactions,
    split: &Split,
    count: usize,
    people: &[usize],
    lists: &[Vec<Scored>],
) -> EvaluationReport {
    let each: Vec<(f64, f64)> = people
        .iter()
        .zip(lists)
        .map(|(person, list)| accuracy_of(list.iter().map(|scored| scored.item), &split.test[*person], count))
        .collect();
    let percentiles = popularity_percentiles(interactions);
    let mut shown = vec![false; interactions.items()];
    lists.iter().flatten().for_each(|scored| shown[scored.item as usize] = true);
    let recommended = lists.iter().flatten().map(|scored| scored.item);
    let taken = people.iter().flat_map(|person| split.test[*person].iter().copied());
    let percentile = |item: u32| percentiles.get(item as usize).copied().unwrap_or(0.0);
    let segments = (0..=SEGMENTS.len())
        .map(|at| {
            let history_min = if at == 0 { 0 } else { SEGMENTS[at - 1] + 1 };
            let history_max = SEGMENTS.get(at).copied();
            let within = |person: usize| {
                let length = split.train[person].len();
                length >= history_min && history_max.is_none_or(|most| length <= most)
            };
            let chosen: Vec<(f64, f64)> =
                people.iter().zip(&each).filter(|(person, _)| within(**person)).map(|(_, each)| *each).collect();
            Segment { history_min, history_max, accuracy: accuracy(&chosen) }
        })
        .collect();
    EvaluationReport {
        count,
        overall: accuracy(&each),
        coverage: shown.iter().filter(|shown| **shown).count() as f64 / shown.len().max(1) as f64,
        recommended_popularity: mean(recommended.map(percentile)),
        taken_popularity: mean(taken.map(percentile)),
        segments,
        ndcg_by_person: each.iter().map(|each| each.1 as f32).collect(),
        recall_by_person: each.iter().map(|each| each.0 as f32).collect(),
    }
}

fn accuracy(each: &[(f64, f64)]) -> Accuracy {
    Accuracy {
        people: each.len(),
        recall: mean(each.iter().map(|each| each.0)),
        ndcg: mean(each.iter().map(|each| each.1)),
    }
}

/// The mean; zero of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// Each item's place among all by number of persons, 0 to 1.
fn popularity_percentiles(interactions: &Interactions) -> Vec<f64> {
    let mut order: Vec<u32> = (0_u32..).take(interactions.items()).collect();
    order.sort_by_key(|item| (interactions.support(*item), *item));
    let last = (order.len().max(2) - 1) as f64;
    let mut percentiles = vec![0.0; order.len()];
    for (place, item) in order.iter().enumerate() {
        percentiles[*item as usize] = place as f64 / last;
    }
    percentiles
}
