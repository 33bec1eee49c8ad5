//! The fallback chain that fills a slate: ranked candidates, or session and history; region, category, everything. It learns nothing.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::hash::Hash;

use dhow_events::{Category, ProductId, SellerId};
use dhow_ranking::{CategoryCap, Kind};
use rustc_hash::FxHashMap;

use crate::items::Filter;
use crate::live::{LiveState, Trending};
use crate::marks::Marks;
use crate::places::region_and_around;
use crate::popularity::{MAX_REGION_PRODUCTS, Popular, ranked};
use crate::ranking::{Admission, Ranking, Shopper};
use crate::slate::StepCount;
use crate::{
    MAX_SEEDS, Outcome, Reason, RecommendError, RecommendModel, Recommender, Seen, Slate, SlateItem, SlateRequest,
};
use crate::{Step, Surface};

/// Without a category filter, the best sellers of at most so many categories are tried: those looked at last.
const MAX_SEED_CATEGORIES: usize = 3;

/// Where a filter leaves at most so many products, they are looked at one by one instead of searched for.
const MAX_NARROW: usize = 1_000;

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

    pub(crate) fn basket_candidates(&self) -> BestFirst {
        let partners = |seed: u32| self.model.together.partners.row(seed as usize).iter();
        let votes = |seed| partners(seed).map(|p| (p.item, f64::from(p.score)));
        self.blend(&self.session, self.model.settings.session_decay, Reason::BoughtTogether, votes)
    }

    /// Each product of the session speaks for its neighbours, and for itself: in public session data, a tenth to a third of
    /// the next clicks go back to an earlier product of the session.
    pub(crate) fn session_candidates(&self) -> BestFirst {
        let revisit = self.model.settings.revisit_weight;
        let itself = move |seed| (revisit > 0.0).then_some((seed, revisit));
        let votes = |seed| itself(seed).into_iter().chain(self.neighbours(seed));
        self.blend(&self.session, self.model.settings.session_decay, Reason::AlsoViewed, votes)
    }

    pub(crate) fn history_candidates(&self) -> BestFirst {
        let decay = self.model.settings.history_decay;
        self.blend(&self.history, decay, Reason::BasedOnHistory, |seed| self.neighbours(seed))
    }

    /// Adds up what the seeds say, each weaker than the newer one by `decay`, best first, ties by item.
    fn blend<I>(&self, seeds: &[u32], decay: f64, reason: Reason, votes_of: impl Fn(u32) -> I) -> BestFirst
    where
        I: Iterator<Item = (u32, f64)>,
    {
        let places = Marks::new(self.model.items.len());
        let mut sums: Vec<Blended> = Vec::new();
        let mut weight = 1.0;
        for &seed in seeds {
            for (item, score) in votes_of(seed) {
                let vote = weight * score;
                match places.get(item) {
                    Some(place) => sums[place as usize].add(seed, vote),
                    None => {
                        places.set(item, sums.len() as u32);
                        sums.push(Blended { item, score: vote, strongest: vote, because: seed });
                    }
                }
            }
            weight *= decay;
        }
        BestFirst { blended: BinaryHeap::from(sums), reason }
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

/// Candidates in falling order, found one after the other, since few are asked for.
pub(crate) struct BestFirst {
    blended: BinaryHeap<Blended>,
    reason: Reason,
}

impl BestFirst {
    /// Leaves out what is not admitted, all at once: better than one after the other where that is most.
    pub(crate) fn retain(&mut self, admits: &dyn Fn(u32) -> bool) {
        self.blended.retain(|blended| admits(blended.item));
    }
}

impl Iterator for BestFirst {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        let Blended { item, score, because, .. } = self.blended.pop()?;
        let reason = if item == because { Reason::ViewedEarlier } else { self.reason };
        Some(Candidate { item, score, reason, because: Some(because) })
    }
}

/// What several seeds say of one item; the better is the greater.
struct Blended {
    item: u32,
    score: f64,
    /// The strongest vote, and whose it is.
    strongest: f64,
    because: u32,
}

impl Blended {
    fn add(&mut self, seed: u32, vote: f64) {
        self.score += vote;
        if vote > self.strongest {
            (self.strongest, self.because) = (vote, seed);
        }
    }
}

impl Ord for Blended {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.item.cmp(&self.item))
    }
}

impl PartialOrd for Blended {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Blended {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Blended {}

/// Takes offers in order and keeps those that the request and the eligibility rule let through.
struct Filler<'a> {
    model: &'a RecommendModel,
    request: &'a SlateRequest,
    eligible: &'a dyn Fn(ProductId) -> bool,
    filter: Filter,
    /// Of items that were asked about or taken: 1 if they may be shown, else 0.
    verdicts: Marks,
    /// Where the filter leaves few items: those that may be shown.
    narrow: Option<Vec<u32>>,
    /// So many items are looked for: as many as are wanted, or all that there are.
    most: usize,
    category_caps: Vec<CategoryCap>,
    per_seller: FxHashMap<SellerId, usize>,
    per_category: FxHashMap<Option<u32>, usize>,
    items: Vec<SlateItem>,
}

fn has_room<K: Hash + Eq>(taken: &FxHashMap<K, usize>, limit: Option<usize>, key: K) -> bool {
    limit.is_none_or(|limit| taken.get(&key).copied().unwrap_or_default() < limit)
}

/// The policy's caps by the numbers of the model's categories; of others there is nothing to show.
fn category_caps(model: &RecommendModel, request: &SlateRequest) -> Vec<CategoryCap> {
    let cap = |(name, at_most): (&String, &usize)| {
        let category = model.items.find_category(Category::new(name).ok()?)?;
        Some(CategoryCap { category, at_most: *at_most })
    };
    request.policy.category_caps.iter().filter_map(cap).collect()
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
        let verdicts = Marks::new(model.items.len());
        for item in request.exclude.iter().chain(hidden).filter_map(|product| model.items.find(*product)) {
            verdicts.set(item, 0);
        }
        let mut filler = Self {
            model,
            request,
            eligible,
            filter: model.items.filter(request.category, request.region, request.price_band),
            verdicts,
            narrow: None,
            most: request.count,
            category_caps: category_caps(model, request),
            per_seller: FxHashMap::default(),
            per_category: FxHashMap::default(),
            items: Vec::with_capacity(request.count),
        };
        filler.narrow = filler.few();
        filler.most = filler.narrow.as_ref().map_or(request.count, |narrow| request.count.min(narrow.len()));
        filler
    }

    /// The items that may be shown, where category or price leave few.
    fn few(&self) -> Option<Vec<u32>> {
        let of_category = self.request.category.map(|category| match self.model.items.find_category(category) {
            Some(category) => self.model.popularity.of_category(category),
            None => &[],
        });
        let in_band = self.request.price_band.map(|band| self.model.items.in_band(band));
        let lengths = [of_category.map(<[_]>::len), in_band.map(<[_]>::len)];
        let fewest = lengths.into_iter().flatten().min().filter(|fewest| *fewest <= MAX_NARROW)?;
        let admitted = |item: &u32| self.admits(*item);
        match (of_category, in_band) {
            (Some(popular), _) if popular.len() == fewest => {
                Some(popular.iter().map(|popular| popular.item).filter(admitted).collect())
            }
            (_, Some(in_band)) => Some(in_band.iter().copied().filter(admitted).collect()),
            _ => None,
        }
    }

    fn is_full(&self) -> bool {
        self.items.len() == self.most
    }

    fn offer_all(&mut self, step: Step, candidates: impl Iterator<Item = Candidate>) {
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
        if self.has_room(candidate.item) && self.admits(candidate.item) {
            self.place(step, candidate, Kind::Organic, 1.0);
        }
    }

    fn has_room(&self, item: u32) -> bool {
        let category = self.category(item);
        let cap = self.category_caps.iter().find(|cap| Some(cap.category) == category);
        let most_of_category = cap.map(|cap| cap.at_most).or(self.request.max_per_category);
        has_room(&self.per_seller, self.request.max_per_seller, self.model.items.seller(item))
            && has_room(&self.per_category, most_of_category, category)
    }

    /// Whether an item may be shown, as far as it is looked at alone.
    fn admits(&self, item: u32) -> bool {
        if let Some(verdict) = self.verdicts.get(item) {
            return verdict == 1;
        }
        if self.narrow.is_some() {
            // All that may be shown have their verdicts.
            return false;
        }
        let admits = self.model.items.passes(item, &self.filter) && (self.eligible)(self.model.items.product(item));
        self.verdicts.set(item, u32::from(admits));
        admits
    }

    fn category(&self, item: u32) -> Option<u32> {
        self.model.items.categories_of(item).first().copied()
    }

    fn place(&mut self, step: Step, candidate: Candidate, kind: Kind, propensity: f64) {
        let Candidate { item, score, reason, because } = candidate;
        self.verdicts.set(item, 0);
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
        let open = self.most - self.items.len();
        let admits = |item: u32| self.admits(item);
        let admission = Admission { admits: &admits, narrow: self.narrow.as_deref() };
        let places = ranking.places(chain, shopper, open, &self.category_caps, &admission)?;
        for (step, candidate, place) in places {
            // What stands already, on the cart, was not known to the arrangement's caps.
            if self.has_room(candidate.item) {
                self.place(step, candidate, place.kind, place.propensity);
            }
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
