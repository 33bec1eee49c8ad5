//! Who may be in the slate: a few hundred items from several sources, each with the step and the reason that speak for it.

use dhow_events::{ProductId, Region};
use rustc_hash::FxHashMap;

use crate::chain::{Candidate, Chain};
use crate::places::region_and_around;
use crate::ranking::Sources;
use crate::ranking::content::Direction;
use crate::ranking::features::{Column, WIDTH, complete};
use crate::{Reason, RecommendError, RecommendModel, SlateRequest, Step};

/// At most so many candidates are ranked.
pub const MAX_CANDIDATES: usize = 320;
/// What each source may bring, in the order of asking.
pub(crate) const FROM_VISITS: usize = 100;
const FROM_FOLLOWERS: usize = 60;
const FROM_TASTE: usize = 50;
const FROM_CONTENT: usize = 80;
const FROM_ALSO_VIEWED: usize = 40;
const FROM_HISTORY: usize = 30;
const FROM_BASKETS: usize = 20;
const FROM_REGION: usize = 20;
const FROM_CATEGORY: usize = 20;
const FROM_ALL: usize = 40;

/// Who asks, in the model's numbers; oldest items first. Unknown products are passed over.
pub(crate) struct Shopper {
    pub(crate) session: Vec<u32>,
    pub(crate) history: Vec<u32>,
    pub(crate) region: Option<Region>,
}

impl Shopper {
    /// `history` is what the person did since training.
    pub(crate) fn new(
        model: &RecommendModel,
        request: &SlateRequest,
        session: &[ProductId],
        history: &[ProductId],
    ) -> Self {
        let known = |products: &[ProductId]| -> Vec<u32> {
            products.iter().filter_map(|product| model.items.find(*product)).collect()
        };
        let since = known(history);
        let history = match &model.ranking {
            Some(ranking) => ranking.sources.history_of(request.person, &since),
            None => since,
        };
        Self { session: known(session), history, region: request.region }
    }

    /// Whether anything is known of the shopper's tastes.
    pub(crate) fn is_known(&self) -> bool {
        !self.session.is_empty() || !self.history.is_empty()
    }
}

/// The candidates with their rows.
#[derive(Default)]
pub(crate) struct Pool {
    candidates: Vec<(Step, Candidate)>,
    places: FxHashMap<u32, usize>,
    rows: Vec<f64>,
    /// The shopper's taste for words and categories.
    pub(crate) content_taste: Option<Direction>,
}

impl Pool {
    pub(crate) fn len(&self) -> usize {
        self.candidates.len()
    }

    pub(crate) fn item(&self, row: usize) -> u32 {
        self.candidates[row].1.item
    }

    pub(crate) fn reason(&self, row: usize) -> Reason {
        self.candidates[row].1.reason
    }

    pub(crate) fn find(&self, item: u32) -> Option<usize> {
        self.places.get(&item).copied()
    }

    /// All rows one after the other, [`WIDTH`] numbers each.
    pub(crate) fn rows(&self) -> &[f64] {
        &self.rows
    }

    pub(crate) fn into_candidates(self) -> Vec<(Step, Candidate)> {
        self.candidates
    }

    pub(crate) fn set(&mut self, row: usize, column: Column, value: f64) {
        self.rows[row * WIDTH + column as usize] = value;
    }

    /// The row of the candidate's item, new or not; none when the pool is full.
    fn add(&mut self, step: Step, candidate: Candidate) -> Option<usize> {
        if let Some(row) = self.find(candidate.item) {
            return Some(row);
        }
        if self.len() == MAX_CANDIDATES {
            return None;
        }
        let row = self.len();
        self.places.insert(candidate.item, row);
        self.candidates.push((step, candidate));
        self.rows.resize(self.rows.len() + WIDTH, 0.0);
        Some(row)
    }

    /// Adds the first `limit` that `admits` lets through, best first, and keeps their scores.
    fn add_all(
        &mut self,
        step: Step,
        column: Option<Column>,
        limit: usize,
        candidates: impl Iterator<Item = Candidate>,
        admits: &dyn Fn(u32) -> bool,
    ) {
        for candidate in candidates.filter(|candidate| admits(candidate.item)).take(limit) {
            let score = candidate.score;
            let Some(row) = self.add(step, candidate) else { return };
            if let Some(column) = column {
                self.set(row, column, score);
            }
        }
    }

    /// Divides a column by its greatest value, where that is above 0.
    pub(crate) fn as_shares(&mut self, column: Column) {
        let values = || (0..self.candidates.len()).map(|row| row * WIDTH + column as usize);
        let best = values().map(|at| self.rows[at]).fold(0.0, f64::max);
        if best > 0.0 {
            for at in values() {
                self.rows[at] /= best;
            }
        }
    }
}

/// Asks every source, the most telling first, and completes the rows. `admits` decides about filters, stock and exclusions,
/// so that a strict filter still leaves a full pool. The items of `shown` are candidates in any case.
pub(crate) fn gather(
    chain: &Chain<'_>,
    sources: &Sources,
    shopper: &Shopper,
    shown: &[u32],
    admits: &dyn Fn(u32) -> bool,
) -> Result<Pool, RecommendError> {
    let (model, mut pool) = (chain.model, Pool::default());
    for &item in shown {
        pool.add(Step::Popular, Candidate { item, score: 0.0, reason: Reason::Popular, because: None });
    }
    let current = shopper.session.last().copied();
    let taste = sources.taste(shopper)?;
    let visits = sources.next_in_visit(chain, shopper, admits)?;
    for (rank, &(item, score)) in visits.iter().enumerate() {
        let reason = if shopper.session.contains(&item) { Reason::ViewedEarlier } else { Reason::AlsoViewed };
        let because = if reason == Reason::ViewedEarlier { Some(item) } else { current };
        let candidate = Candidate { item, score: f64::from(score), reason, because };
        if let Some(row) = pool.add(Step::Session, candidate) {
            pool.set(row, Column::Visits, f64::from(score));
            pool.set(row, Column::VisitsRank, 1.0 / (rank as f64 + 1.0));
        }
    }
    if let Some(current) = current {
        let follower = |&(item, share): &(u32, f32)| Candidate {
            item,
            score: f64::from(share),
            reason: Reason::AlsoViewed,
            because: Some(current),
        };
        let followers = sources.followers(current).iter().map(follower);
        pool.add_all(Step::Session, Some(Column::Follower), FROM_FOLLOWERS, followers, admits);
    }
    if let Some(taste) = &taste {
        let liked = sources.liked(taste, FROM_TASTE, admits)?;
        let by_taste = |&(item, score): &(u32, f32)| Candidate {
            item,
            score: f64::from(score),
            reason: Reason::BasedOnHistory,
            because: None,
        };
        pool.add_all(Step::History, None, FROM_TASTE, liked.iter().map(by_taste), admits);
    }
    pool.content_taste = sources.content_taste(shopper);
    if let Some(taste) = &pool.content_taste {
        let by_content = sources.liked_content(taste, FROM_CONTENT);
        let by_content = by_content.iter().map(|&(item, score)| Candidate {
            item,
            score,
            reason: Reason::BasedOnHistory,
            because: None,
        });
        pool.add_all(Step::History, None, FROM_CONTENT, by_content, admits);
    }
    let also_viewed = chain.session_candidates().into_iter();
    pool.add_all(Step::Session, Some(Column::AlsoViewed), FROM_ALSO_VIEWED, also_viewed, admits);
    let history = chain.history_candidates().into_iter();
    pool.add_all(Step::History, Some(Column::History), FROM_HISTORY, history, admits);
    let baskets = chain.basket_candidates().into_iter();
    pool.add_all(Step::Session, Some(Column::Basket), FROM_BASKETS, baskets, admits);
    if let Some(current) = current {
        for neighbour in model.neighbours.row(current as usize) {
            if let Some(row) = pool.find(neighbour.item) {
                pool.set(row, Column::AfterCurrent, f64::from(neighbour.score));
            }
        }
        let popular =
            model.items.categories_of(current).first().map(|category| model.popularity.of_category(*category));
        let popular =
            popular.unwrap_or_default().iter().map(|popular| Candidate::popular(popular, Reason::CategoryBestSeller));
        pool.add_all(Step::CategoryBestSellers, None, FROM_CATEGORY, popular, admits);
    }
    for region in shopper.region.into_iter().flat_map(region_and_around).take(1) {
        let popular = model.popularity.of_segment(region, None);
        let candidates = popular.iter().map(|popular| Candidate::popular(popular, Reason::PopularInRegion));
        pool.add_all(Step::SegmentTrending, None, FROM_REGION, candidates, admits);
        for popular in popular {
            if let Some(row) = pool.find(popular.item) {
                pool.set(row, Column::RegionPopularity, f64::from(popular.score).ln_1p());
            }
        }
    }
    let popular = model.popularity.overall.iter().map(|popular| Candidate::popular(popular, Reason::Popular));
    pool.add_all(Step::Popular, None, FROM_ALL, popular, admits);
    for item in chain.request.offers.iter().filter_map(|offer| model.items.find(offer.product)) {
        if admits(item) {
            pool.add(Step::Popular, Candidate { item, score: 0.0, reason: Reason::Sponsored, because: None });
        }
    }
    complete(&mut pool, model, sources, shopper, taste.as_deref());
    Ok(pool)
}
