//! The next-item protocol: after each product of a session the next one is predicted; with trivial baselines and a split by time.

use dhow_events::{BuyerId, ProductId, Region, SessionId, Timestamp};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Metrics, MetricsSum};
use crate::{Interaction, Objective, RecommendError, Recommender, Seen, SlateRequest};

/// A visit with its products in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// Who, when signed in.
    pub person: Option<BuyerId>,
    /// Where, when known.
    pub region: Option<Region>,
    /// What the shopper turned to.
    pub products: Vec<ProductId>,
}

impl From<Vec<ProductId>> for Visit {
    /// A visit of nobody known.
    fn from(products: Vec<ProductId>) -> Self {
        Self { products, ..Self::default() }
    }
}

/// Predicts what comes next in a visit.
pub trait SessionPredictor: Sync {
    /// Up to `count` distinct products, most likely first, after the first `known` products of `visit`, at least one. The
    /// rest of it must not be looked at.
    ///
    /// # Errors
    /// A count that the predictor does not serve.
    fn predict(&self, visit: &Visit, known: usize, count: usize) -> Result<Vec<ProductId>, RecommendError>;
}

/// A recommender asked as the shopper would ask it.
pub struct ChainPredictor<'a> {
    /// Who answers.
    pub recommender: &'a dyn Recommender,
    /// Whether the session's products, or its current one, may be predicted.
    pub seen: Seen,
}

impl SessionPredictor for ChainPredictor<'_> {
    fn predict(&self, visit: &Visit, known: usize, count: usize) -> Result<Vec<ProductId>, RecommendError> {
        let request = SlateRequest {
            person: visit.person,
            region: visit.region,
            session_items: visit.products[..known].to_vec(),
            seen: self.seen,
            objective: Objective::Next,
            count,
            ..SlateRequest::default()
        };
        let slate = self.recommender.recommend(&request, &|_| true)?;
        Ok(slate.items.iter().map(|item| item.product).collect())
    }
}

/// Baseline: the products with the most actions, whatever the session holds; never its current product.
pub struct PopularityBaseline(Vec<ProductId>);

impl PopularityBaseline {
    /// Counts the products of the training sessions.
    pub fn new(visits: &[Visit]) -> Self {
        let mut counts: FxHashMap<ProductId, usize> = FxHashMap::default();
        for product in visits.iter().flat_map(|visit| &visit.products) {
            *counts.entry(*product).or_default() += 1;
        }
        Self(most_counted(counts))
    }
}

impl SessionPredictor for PopularityBaseline {
    fn predict(&self, visit: &Visit, known: usize, count: usize) -> Result<Vec<ProductId>, RecommendError> {
        let current = visit.products[..known].last();
        Ok(self.0.iter().filter(|product| current != Some(product)).take(count).copied().collect())
    }
}

/// Baseline: what most often came right after the current product; never the current product itself.
pub struct MarkovBaseline(FxHashMap<ProductId, Vec<ProductId>>);

impl MarkovBaseline {
    /// Counts which product follows which in the training sessions.
    pub fn new(visits: &[Visit]) -> Self {
        let mut counts: FxHashMap<ProductId, FxHashMap<ProductId, usize>> = FxHashMap::default();
        for pair in visits.iter().flat_map(|visit| visit.products.windows(2)).filter(|pair| pair[0] != pair[1]) {
            *counts.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1;
        }
        Self(counts.into_iter().map(|(product, next)| (product, most_counted(next))).collect())
    }
}

impl SessionPredictor for MarkovBaseline {
    fn predict(&self, visit: &Visit, known: usize, count: usize) -> Result<Vec<ProductId>, RecommendError> {
        let next = visit.products[..known].last().and_then(|current| self.0.get(current));
        Ok(next.into_iter().flatten().take(count).copied().collect())
    }
}

fn most_counted(counts: FxHashMap<ProductId, usize>) -> Vec<ProductId> {
    let mut counts: Vec<(ProductId, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts.into_iter().map(|(product, _)| product).collect()
}

/// Predicts every product of every visit but the first from those before it.
///
/// `products` is the size of the catalogue, for the coverage.
///
/// # Errors
/// What the predictor refuses, `k` for instance.
pub fn evaluate_sessions(
    predictor: &dyn SessionPredictor,
    visits: &[Visit],
    k: usize,
    products: usize,
) -> Result<Metrics, RecommendError> {
    let predict_visit = |visit: &Visit| -> Result<Vec<Vec<ProductId>>, RecommendError> {
        (1..visit.products.len()).map(|known| predictor.predict(visit, known, k)).collect()
    };
    let rankings: Vec<_> = visits.par_iter().map(predict_visit).collect::<Result<_, _>>()?;
    let mut sum = MetricsSum::new(k);
    for (visit, rankings) in visits.iter().zip(&rankings) {
        for (ranking, next) in rankings.iter().zip(visit.products.iter().skip(1)) {
            sum.add(ranking, &[*next]);
        }
    }
    Ok(sum.finish(products))
}

/// Whether an action on the same product as the one before (a view, then a cart) is a step of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Every action is a step, as in published protocols.
    Keep,
    /// Only a change of product is a step.
    Collapse,
}

/// The visits in order of their sessions' ids; the first person and the first region named count.
pub fn visits_of(interactions: &[Interaction], repeats: Repeats) -> Vec<Visit> {
    let mut sorted: Vec<&Interaction> = interactions.iter().collect();
    sorted.sort_by_key(|i| (i.session, i.time));
    let visit = |session: &[&Interaction]| {
        let mut products: Vec<ProductId> = session.iter().map(|i| i.product).collect();
        if repeats == Repeats::Collapse {
            products.dedup();
        }
        let person = session.iter().find_map(|i| i.person);
        Visit { person, region: session.iter().find_map(|i| i.region), products }
    };
    sorted.chunk_by(|a, b| a.session == b.session).map(visit).collect()
}

/// Interactions in three parts that follow each other in time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimeSplit {
    /// To learn from.
    pub train: Vec<Interaction>,
    /// To choose settings on.
    pub validation: Vec<Interaction>,
    /// To report on, once.
    pub test: Vec<Interaction>,
}

/// Splits by time and keeps sessions whole: each goes where its last action falls, so that nothing learned from is later
/// than `validation_from`. With `validation_from >= test_from` the validation part is empty.
pub fn split_by_time(interactions: &[Interaction], validation_from: Timestamp, test_from: Timestamp) -> TimeSplit {
    let mut last: FxHashMap<SessionId, Timestamp> = FxHashMap::default();
    for i in interactions {
        let time = last.entry(i.session).or_insert(i.time);
        *time = i.time.max(*time);
    }
    let mut split = TimeSplit::default();
    for i in interactions {
        let session_end = last[&i.session];
        let part = if session_end >= test_from {
            &mut split.test
        } else if session_end >= validation_from {
            &mut split.validation
        } else {
            &mut split.train
        };
        part.push(*i);
    }
    split
}
