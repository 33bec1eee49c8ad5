//! Who may be in the slate: a few hundred items from several sources, each with the step and the reason that speak for it.

use dhow_events::{ProductId, Region};

use crate::chain::{Candidate, Chain};
use crate::marks::Marks;
use crate::places::region_and_around;
use crate::ranking::Sources;
use crate::ranking::features::{Column, WIDTH, complete};
use crate::{Reason, RecommendError, RecommendModel, SlateRequest, Step};

/// At most so many candidates are ranked.
pub const MAX_CANDIDATES: usize = 320;
/// What each source may bring, in the order of asking.
pub(crate) const FROM_VISITS: usize = 100;
const FROM_FOLLOWERS: usize = 60;
const FROM_TASTE: usize = 50;
const FROM_CONTENT: usize = 80;
/// At serving, past visits that name so many are enough for a shopper of whom nothing but the visit is known.
pub(crate) const ENOUGH_FROM_VISITS: usize = 20;
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

/// What decides about filters, stock and exclusions, so that a strict filter still leaves a full pool.
pub(crate) struct Admission<'a> {
    pub(crate) admits: &'a dyn Fn(u32) -> bool,
    /// Where filters leave few items: those that are admitted.
    pub(crate) narrow: Option<&'a [u32]>,
}

/// The candidates with their rows.
pub(crate) struct Pool {
    candidates: Vec<(Step, Candidate)>,
    /// The row of each item.
    places: Marks,
    rows: Vec<f64>,
}

impl Pool {
    fn new(items: usize) -> Self {
        let (candidates, rows) = (Vec::with_capacity(MAX_CANDIDATES), Vec::with_capacity(MAX_CANDIDATES * WIDTH));
        Self { candidates, places: Marks::new(items), rows }
    }

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
        self.places.get(item).map(|row| row as usize)
    }

    /// All rows one after the other, [`WIDTH`] numbers each.
    pub(crate) fn rows(&self) -> &[f64] {
        &self.rows
    }

    pub(crate) fn into_candidates(self) -> Vec<(Step, Candidate)> {
        self.candidates
    }

    /// All rows to write.
    pub(crate) fn rows_mut(&mut self) -> &mut [[f64; WIDTH]] {
        self.rows.as_chunks_mut().0
    }

    pub(crate) fn get(&self, row: usize, column: Column) -> f64 {
        self.rows[row * WIDTH + column as usize]
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
        self.places.set(candidate.item, row as u32);
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
        admission: &Admission<'_>,
    ) {
        for candidate in candidates.filter(|candidate| (admission.admits)(candidate.item)).take(limit) {
            let score = candidate.score;
            let Some(row) = self.add(step, candidate) else { return };
            if let Some(column) = column {
                self.set(row, column, score);
            }
        }
    }

    /// Divides each of some columns by its greatest value, where that is above 0.
    pub(crate) fn as_shares(&mut self, columns: [Column; 6]) {
        let mut best = [0.0_f64; 6];
        for row in self.rows.as_chunks::<WIDTH>().0 {
            for (best, column) in best.iter_mut().zip(columns) {
                *best = best.max(row[column as usize]);
            }
        }
        for row in self.rows_mut() {
            for (best, column) in best.iter().zip(columns) {
                if *best > 0.0 {
                    row[column as usize] /= best;
                }
            }
        }
    }
}

/// Asks every source, the most telling first, and completes the rows. Of a shopper of whom nothing but the visit is known,
/// tastes are not asked where past visits named `enough`: few products say little of tastes, and the search takes long.
pub(crate) fn gather(
    chain: &Chain<'_>,
    sources: &Sources,
    shopper: &Shopper,
    admission: &Admission<'_>,
    enough: usize,
) -> Result<Pool, RecommendError> {
    let mut pool = Pool::new(chain.model.items.len());
    let taste = sources.taste(shopper)?;
    let content_taste = sources.content_taste(shopper);
    add_visits(&mut pool, chain, sources, shopper, admission)?;
    if let Some(current) = shopper.session.last() {
        let followers = sources.followers(*current).iter();
        let followers = followers.map(|(item, share)| speaks(*item, *share, Reason::AlsoViewed, Some(*current)));
        pool.add_all(Step::Session, Some(Column::Follower), FROM_FOLLOWERS, followers, admission);
    }
    let by_taste = !shopper.history.is_empty() || pool.len() < enough;
    if let Some(taste) = taste.as_ref().filter(|_| by_taste) {
        let liked = sources.liked(taste, FROM_TASTE, admission)?;
        let liked = liked.into_iter().map(|(item, score)| speaks(item, score, Reason::BasedOnHistory, None));
        pool.add_all(Step::History, None, FROM_TASTE, liked, admission);
    }
    if let Some(taste) = content_taste.as_ref().filter(|_| by_taste) {
        let liked = sources.liked_content(taste, FROM_CONTENT, admission)?;
        let liked = liked.into_iter().map(|(item, score)| speaks(item, score, Reason::BasedOnHistory, None));
        pool.add_all(Step::History, None, FROM_CONTENT, liked, admission);
    }
    for (step, column, limit, mut candidates) in [
        (Step::Session, Column::AlsoViewed, FROM_ALSO_VIEWED, chain.session_candidates()),
        (Step::History, Column::History, FROM_HISTORY, chain.history_candidates()),
        (Step::Session, Column::Basket, FROM_BASKETS, chain.basket_candidates()),
    ] {
        if admission.narrow.is_some() {
            candidates.retain(admission.admits);
        }
        pool.add_all(step, Some(column), limit, candidates, admission);
    }
    add_popular(&mut pool, chain, sources, shopper, admission);
    for item in chain.request.offers.iter().filter_map(|offer| chain.model.items.find(offer.product)) {
        if (admission.admits)(item) {
            pool.add(Step::Popular, Candidate { item, score: 0.0, reason: Reason::Sponsored, because: None });
        }
    }
    complete(&mut pool, chain.model, sources, shopper, taste.as_deref(), content_taste.as_ref())?;
    Ok(pool)
}

fn speaks(item: u32, score: f32, reason: Reason, because: Option<u32>) -> Candidate {
    Candidate { item, score: f64::from(score), reason, because }
}

/// What past visits say, with the rank as well as the score.
fn add_visits(
    pool: &mut Pool,
    chain: &Chain<'_>,
    sources: &Sources,
    shopper: &Shopper,
    admission: &Admission<'_>,
) -> Result<(), RecommendError> {
    let visits = sources.next_in_visit(chain, shopper, admission.admits)?;
    for (rank, (item, score)) in visits.into_iter().enumerate() {
        let candidate = match shopper.session.contains(&item) {
            true => speaks(item, score, Reason::ViewedEarlier, Some(item)),
            false => speaks(item, score, Reason::AlsoViewed, shopper.session.last().copied()),
        };
        if let Some(row) = pool.add(Step::Session, candidate) {
            pool.set(row, Column::Visits, f64::from(score));
            pool.set(row, Column::VisitsRank, 1.0 / (rank as f64 + 1.0));
        }
    }
    Ok(())
}

/// What is popular in the current product's category, in the region and overall; and how the current product's neighbours
/// and the region's popular products stand.
fn add_popular(pool: &mut Pool, chain: &Chain<'_>, sources: &Sources, shopper: &Shopper, admission: &Admission<'_>) {
    let model = chain.model;
    if let Some(current) = shopper.session.last() {
        for neighbour in model.neighbours.row(*current as usize) {
            if let Some(row) = pool.find(neighbour.item) {
                pool.set(row, Column::AfterCurrent, f64::from(neighbour.score));
            }
        }
        let category = model.items.categories_of(*current).first();
        let popular = category.map(|category| model.popularity.of_category(*category)).unwrap_or_default();
        let popular = popular.iter().map(|popular| Candidate::popular(popular, Reason::CategoryBestSeller));
        pool.add_all(Step::CategoryBestSellers, None, FROM_CATEGORY, popular, admission);
    }
    for region in shopper.region.into_iter().flat_map(region_and_around).take(1) {
        let popular = model.popularity.of_segment(region, None);
        let candidates = popular.iter().map(|popular| Candidate::popular(popular, Reason::PopularInRegion));
        pool.add_all(Step::SegmentTrending, None, FROM_REGION, candidates, admission);
        for popular in popular {
            if let Some(row) = pool.find(popular.item) {
                pool.set(row, Column::RegionPopularity, f64::from(popular.score).ln_1p());
            }
        }
    }
    let popular = model.popularity.overall.iter().map(|popular| Candidate::popular(popular, Reason::Popular));
    match admission.narrow {
        None => pool.add_all(Step::Popular, None, FROM_ALL, popular, admission),
        Some(narrow) => {
            let popular = narrow.iter().map(|item| (*item, sources.popularity_of(*item) as f32));
            let popular = best_of(popular.collect(), FROM_ALL);
            let popular = popular.into_iter().map(|(item, score)| speaks(item, score, Reason::Popular, None));
            pool.add_all(Step::Popular, None, FROM_ALL, popular, admission);
        }
    }
}

/// The best `count` of some scored items, best first, ties by item.
pub(super) fn best_of(mut scored: Vec<(u32, f32)>, count: usize) -> Vec<(u32, f32)> {
    scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scored.truncate(count);
    scored
}
