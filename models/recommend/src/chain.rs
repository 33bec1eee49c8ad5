//! The fallback chain that fills a slate: ranked candidates, or session and history; region, category, everything. It learns nothing.

use std::hash::Hash;

use dhow_events::{ProductId, SellerId};
use dhow_ranking::Kind;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::items::Filter;
use crate::live::{LiveState, Trending};
use crate::places::region_and_around;
use crate::popularity::{MAX_REGION_PRODUCTS, Popular, ranked};
use crate::ranking::{Ranking, Shopper};
use crate::slate::StepCount;
use crate::{
    MAX_SEEDS, Outcome, Reason, RecommendError, RecommendModel, Recommender, Seen, Slate, SlateItem, SlateRequest,
};
use crate::{Step, Surface};

/// Without a category filter, the best sellers of at most so many categories are tried: those looked at last.
const MAX_SEED_CATEGORIES: usize = 3;

/// A product that a step proposes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) item: u32,
    pub(crate) score: f64,
    pub(crate) reason: Reason,
    pub(crate) because: Option<u32>,
}

impl Candidate {
    pub(crate) fn popular(popular: &Popular, reason: Reason) -> Self {
        Self { item: popular.item, score: f64::from(popular.score), reason, because: None }
    }
}

impl Recommender for RecommendModel {
    fn recommend(&self, request: &SlateRequest, eligible: &dyn Fn(ProductId) -> bool) -> Result<Slate, RecommendError> {
        answer(self, None, request, &request.session_items, &request.person_history, eligible)
    }
}

/// Fills a slate step by step until it is full.
pub(crate) fn answer(
    model: &RecommendModel,
    live: Option<&LiveState>,
    request: &SlateRequest,
    session: &[ProductId],
    history: &[ProductId],
    eligible: &dyn Fn(ProductId) -> bool,
) -> Result<Slate, RecommendError> {
    request.check()?;
    let shopper = Shopper::new(model, request, session, history);
    let chain = Chain::new(model, live, request, &shopper);
    let mut filler = Filler::new(model, request, session, eligible);
    if request.surface == Surface::Cart {
        filler.offer_all(Step::BoughtTogether, chain.basket_candidates());
    }
    match &model.ranking {
        Some(ranking) if shopper.is_known() || !request.offers.is_empty() => {
            filler.offer_ranked(&chain, ranking, &shopper)?;
        }
        _ => {
            filler.offer_all(Step::Session, chain.session_candidates());
            filler.offer_all(Step::History, chain.history_candidates());
        }
    }
    chain.offer_region(&mut filler);
    chain.offer_categories(&mut filler);
    chain.offer_popular(&mut filler);
    Ok(filler.finish(strongest_step(request, session, history)))
}

/// The step that the request's context calls for; any later one is a fallback.
fn strongest_step(request: &SlateRequest, session: &[ProductId], history: &[ProductId]) -> Step {
    if !session.is_empty() || request.session.is_some() {
        Step::Session
    } else if !history.is_empty() || request.person.is_some() {
        Step::History
    } else if request.region.is_some() {
        Step::SegmentTrending
    } else if request.category.is_some() {
        Step::CategoryBestSellers
    } else {
        Step::Popular
    }
}

/// The last distinct items, most recent first.
fn seeds(items: &[u32], limit: usize) -> Vec<u32> {
    let mut seeds: Vec<u32> = Vec::with_capacity(limit.min(MAX_SEEDS));
    for item in items.iter().rev() {
        if seeds.len() == limit {
            break;
        }
        if !seeds.contains(item) {
            seeds.push(*item);
        }
    }
    seeds
}

pub(crate) struct Chain<'a> {
    pub(crate) model: &'a RecommendModel,
    pub(crate) live: Option<&'a LiveState>,
    pub(crate) request: &'a SlateRequest,
    session: Vec<u32>,
    history: Vec<u32>,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(
        model: &'a RecommendModel,
        live: Option<&'a LiveState>,
        request: &'a SlateRequest,
        shopper: &Shopper,
    ) -> Self {
        let session = seeds(&shopper.session, model.settings.session_seeds);
        Self { model, live, request, session, history: seeds(&shopper.history, model.settings.history_seeds) }
    }

    pub(crate) fn basket_candidates(&self) -> Vec<Candidate> {
        let partners = |seed: u32| self.model.together.partners.row(seed as usize).iter();
        let votes = |seed| partners(seed).map(|p| (p.item, f64::from(p.score)));
        blend(&self.session, self.model.settings.session_decay, Reason::BoughtTogether, votes)
    }

    /// Each product of the session speaks for its neighbours, and for itself: in public session data, a tenth to a third of
    /// the next clicks go back to an earlier product of the session.
    pub(crate) fn session_candidates(&self) -> Vec<Candidate> {
        let revisit = self.model.settings.revisit_weight;
        let itself = move |seed| (revisit > 0.0).then_some((seed, revisit));
        let votes = |seed| itself(seed).into_iter().chain(self.neighbours(seed));
        blend(&self.session, self.model.settings.session_decay, Reason::AlsoViewed, votes)
    }

    pub(crate) fn history_candidates(&self) -> Vec<Candidate> {
        blend(&self.history, self.model.settings.history_decay, Reason::BasedOnHistory, |seed| self.neighbours(seed))
    }

    fn neighbours(&self, seed: u32) -> impl Iterator<Item = (u32, f64)> {
        self.model.neighbours.row(seed as usize).iter().map(|n| (n.item, f64::from(n.score)))
    }

    /// The shopper's own region first, then the regions around it.
    fn offer_region(&self, filler: &mut Filler) {
        for region in self.request.region.into_iter().flat_map(region_and_around) {
            if filler.is_full() {
                return;
            }
            let category = self.request.category.map(|c| self.model.items.find_category(c));
            let trained = match category {
                None => self.model.popularity.of_segment(region, None),
                Some(Some(category)) => self.model.popularity.of_segment(region, Some(category)),
                Some(None) => &[],
            };
            let trending = self.live.map(|live| live.trending(Some(region))).unwrap_or_default();
            filler.offer_popular(
                Step::SegmentTrending,
                Reason::PopularInRegion,
                trained,
                self.with_live(trained, trending),
            );
        }
    }

    fn offer_categories(&self, filler: &mut Filler) {
        let categories: Vec<u32> = match self.request.category {
            Some(category) => self.model.items.find_category(category).into_iter().collect(),
            None => self.seed_categories(),
        };
        for category in categories {
            let trained = self.model.popularity.of_category(category);
            filler.offer_popular(Step::CategoryBestSellers, Reason::CategoryBestSeller, trained, None);
        }
    }

    fn offer_popular(&self, filler: &mut Filler) {
        if filler.is_full() {
            return;
        }
        let all = &self.model.popularity.overall;
        let trending = self.live.map(|live| live.trending(None)).unwrap_or_default();
        let top = self.with_live(&all[..all.len().min(MAX_REGION_PRODUCTS)], trending);
        filler.offer_popular(Step::Popular, Reason::Popular, all, top);
    }

    /// The categories of the session's, then of the history's products, most recent first.
    fn seed_categories(&self) -> Vec<u32> {
        let mut categories: Vec<u32> = Vec::with_capacity(MAX_SEED_CATEGORIES);
        for seed in self.session.iter().chain(&self.history) {
            let nearest = self.model.items.categories_of(*seed).first().copied();
            if let Some(category) = nearest.filter(|category| !categories.contains(category)) {
                categories.push(category);
                if categories.len() == MAX_SEED_CATEGORIES {
                    break;
                }
            }
        }
        categories
    }

    /// The trained list with the clicks since then added; none when there are none.
    fn with_live(&self, trained: &[Popular], trending: Vec<Trending>) -> Option<Vec<Popular>> {
        if trending.is_empty() {
            return None;
        }
        let mut scores: FxHashMap<u32, f64> = trained.iter().map(|p| (p.item, f64::from(p.score))).collect();
        for clicks in trending {
            if let Some(item) = self.model.items.find(clicks.product) {
                *scores.entry(item).or_default() += clicks.count;
            }
        }
        let entries: Vec<Popular> =
            scores.into_iter().map(|(item, score)| Popular { item, score: score as f32 }).collect();
        let limit = entries.len();
        Some(ranked(entries, limit))
    }
}

/// Adds up what the seeds say, each weaker than the newer one by `decay`, best first, ties by item.
fn blend<I>(seeds: &[u32], decay: f64, reason: Reason, votes_of: impl Fn(u32) -> I) -> Vec<Candidate>
where
    I: Iterator<Item = (u32, f64)>,
{
    let mut votes: Vec<(u32, usize, f64)> = Vec::new();
    let mut weight = 1.0;
    for (rank, seed) in seeds.iter().enumerate() {
        votes.extend(votes_of(*seed).map(|(item, score)| (item, rank, weight * score)));
        weight *= decay;
    }
    votes.sort_unstable_by_key(|(item, rank, _)| (*item, *rank));
    let mut candidates: Vec<Candidate> = votes
        .chunk_by(|a, b| a.0 == b.0)
        .map(|same| {
            let strongest = same.iter().fold(same[0], |best, vote| if vote.2 > best.2 { *vote } else { best });
            let (item, because) = (strongest.0, seeds[strongest.1]);
            let reason = if item == because { Reason::ViewedEarlier } else { reason };
            Candidate { item, score: same.iter().map(|vote| vote.2).sum(), reason, because: Some(because) }
        })
        .collect();
    candidates.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
    candidates
}

/// Takes offers in order and keeps those that the request and the eligibility rule let through.
struct Filler<'a> {
    model: &'a RecommendModel,
    request: &'a SlateRequest,
    eligible: &'a dyn Fn(ProductId) -> bool,
    filter: Filter,
    /// Excluded, hidden or already taken.
    barred: FxHashSet<u32>,
    per_seller: FxHashMap<SellerId, usize>,
    per_category: FxHashMap<Option<u32>, usize>,
    items: Vec<SlateItem>,
}

fn has_room<K: Hash + Eq>(taken: &FxHashMap<K, usize>, limit: Option<usize>, key: K) -> bool {
    limit.is_none_or(|limit| taken.get(&key).is_none_or(|count| *count < limit))
}

impl<'a> Filler<'a> {
    fn new(
        model: &'a RecommendModel,
        request: &'a SlateRequest,
        session: &[ProductId],
        eligible: &'a dyn Fn(ProductId) -> bool,
    ) -> Self {
        let hidden = match request.seen {
            Seen::HideCurrent => &session[session.len().saturating_sub(1)..],
            Seen::HideSession => session,
            Seen::Show => &[],
        };
        let filter = model.items.filter(request.category, request.region, request.price_band);
        let barred = request.exclude.iter().chain(hidden).filter_map(|product| model.items.find(*product)).collect();
        let items = Vec::with_capacity(request.count);
        let (per_seller, per_category) = Default::default();
        Self { model, request, eligible, filter, barred, per_seller, per_category, items }
    }

    fn is_full(&self) -> bool {
        self.items.len() == self.request.count
    }

    fn offer_all(&mut self, step: Step, candidates: Vec<Candidate>) {
        for candidate in candidates {
            if self.is_full() {
                return;
            }
            self.offer(step, candidate);
        }
    }

    /// Offers `first`, when there is such a list, and then the rest of `trained`.
    fn offer_popular(&mut self, step: Step, reason: Reason, trained: &[Popular], first: Option<Vec<Popular>>) {
        for popular in first.iter().flatten().chain(trained) {
            if self.is_full() {
                return;
            }
            self.offer(step, Candidate::popular(popular, reason));
        }
    }

    fn offer(&mut self, step: Step, candidate: Candidate) {
        let has_room = has_room(&self.per_seller, self.request.max_per_seller, self.model.items.seller(candidate.item))
            && has_room(&self.per_category, self.request.max_per_category, self.category(candidate.item));
        if has_room && self.admits(candidate.item) {
            self.place(step, candidate, Kind::Organic, 1.0);
        }
    }

    /// Whether an item may be shown, as far as it is looked at alone.
    fn admits(&self, item: u32) -> bool {
        !self.barred.contains(&item)
            && self.model.items.passes(item, &self.filter)
            && (self.eligible)(self.model.items.product(item))
    }

    fn category(&self, item: u32) -> Option<u32> {
        self.model.items.categories_of(item).first().copied()
    }

    fn place(&mut self, step: Step, candidate: Candidate, kind: Kind, propensity: f64) {
        let Candidate { item, score, reason, because } = candidate;
        self.barred.insert(item);
        *self.per_seller.entry(self.model.items.seller(item)).or_default() += 1;
        *self.per_category.entry(self.category(item)).or_default() += 1;
        let (product, because) = (self.model.items.product(item), because.map(|seed| self.model.items.product(seed)));
        self.items.push(SlateItem { product, score, reason, step, because, kind, propensity });
    }

    /// Fills what is open from ranked candidates.
    fn offer_ranked(&mut self, chain: &Chain<'_>, ranking: &Ranking, shopper: &Shopper) -> Result<(), RecommendError> {
        if self.is_full() {
            return Ok(());
        }
        let open = self.request.count - self.items.len();
        let admits = |item: u32| self.admits(item);
        let places = ranking.places(chain, shopper, open, &admits)?;
        for (step, candidate, place) in places {
            self.place(step, candidate, place.kind, place.propensity);
        }
        Ok(())
    }

    fn finish(self, strongest: Step) -> Slate {
        let mut steps: Vec<StepCount> = Vec::new();
        for item in &self.items {
            match steps.iter_mut().find(|count| count.step == item.step) {
                Some(count) => count.items += 1,
                None => steps.push(StepCount { step: item.step, items: 1 }),
            }
        }
        steps.sort_unstable_by_key(|count| count.step);
        let outcome = match self.items.len() {
            0 => Outcome::NothingEligible,
            found if found < self.request.count => Outcome::Short,
            _ => Outcome::Complete,
        };
        // Where candidates of several steps are ranked beside each other, the weaker ones won their places.
        let ranked = self.model.ranking.is_some() && strongest <= Step::History;
        let weakest = if ranked { Step::History } else { strongest };
        let degraded = steps.first().is_some_and(|count| count.step > weakest)
            || (!ranked && steps.iter().any(|count| count.step > strongest));
        Slate { items: self.items, steps, degraded, outcome }
    }
}
