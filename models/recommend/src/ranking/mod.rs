//! The second stage: candidates from past visits, tastes and co-occurrence, ordered by a ranker that learned from later visits.
//!
//! 1. **Candidates** (`candidates`): up to [`MAX_CANDIDATES`] items that the request's filters and the eligibility rule let
//!    through: past visits like this one (`dhow-sessions`), what the person likes over months (`dhow-factors`), co-occurrence
//!    with the visit and with the history, baskets, what is popular in the region, the category and overall.
//! 2. **Rows** (`features`): what each source says of the item, its popularity, category, seller and price beside the
//!    visit's and the history's, and whether it was seen.
//! 3. **Ranker** (`dhow-ranking`): learned by [`learn_ranker`] from visits that are later than all that the first stage
//!    knew, so that a source's score means at training what it means at serving. Then the first stage is fitted anew to all.
//! 4. **Attraction** (`attraction`): a next visit's step is not the same as a click on what is shown. Where slates were
//!    served, how likely a product is opened when shown is learned from them. A candidate's score is then the probability
//!    that it is opened because it is shown, or would have been next in any case.
//! 5. **Arrangement** (`dhow-ranking`): rules, diversity, sponsored places and exploration, each place with its propensity.

mod attraction;
mod candidates;
mod cholesky;
mod content;
mod features;
mod histories;
mod learn;
mod sources;
mod tastes;

use std::cell::RefCell;

use dhow_factors::FactorSettings;
use dhow_ranking::{
    CategoryCap, FactorisationRanker, Kind, LinearRanker, Offer, Place, Ranker, Rules, Scratch, TreeRanker, arrange,
    outside_top,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub use self::attraction::Attraction;
use self::candidates::ENOUGH_FROM_VISITS;
pub use self::candidates::MAX_CANDIDATES;
pub(crate) use self::candidates::{Admission, Pool, Shopper, gather};
use self::features::Column;
pub use self::learn::{Learned, MAX_RANKED_CASES, choose_ranking, learn_ranker};
pub(crate) use self::sources::Sources;
use crate::chain::{Candidate, Chain};
use crate::model::TrainError;
use crate::{Interaction, Objective, Reason, RecommendError, RecommendModel, SlateRequest, Step};

/// Sellers that hold this share of all actions between them, largest first, are the top ones; the others' places count for
/// the fairness floor.
const TOP_SELLERS_SHARE: f64 = 0.5;

thread_local! {
    /// A request's memory, kept between the requests of a thread.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Settings of the second stage's sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RankingSettings {
    /// Of the past visits.
    pub visits: dhow_sessions::Settings,
    /// Of the tastes.
    pub tastes: FactorSettings,
}

/// A ranker of any kind that can be kept with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainedRanker {
    /// A weighted sum.
    Linear(LinearRanker),
    /// A factorisation machine.
    Factorisation(FactorisationRanker),
    /// Boosted trees.
    Trees(Box<TreeRanker>),
}

impl TrainedRanker {
    /// What it is called.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Linear(_) => "linear",
            Self::Factorisation(_) => "factorisation machine",
            Self::Trees(_) => "boosted trees",
        }
    }

    fn ranker(&self) -> &dyn Ranker {
        match self {
            Self::Linear(ranker) => ranker,
            Self::Factorisation(ranker) => ranker,
            Self::Trees(ranker) => &**ranker,
        }
    }
}

/// The fitted sources and the ranker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ranking {
    pub(crate) sources: Sources,
    ranker: TrainedRanker,
    /// How likely a product is opened when it is shown, where served slates taught it.
    attraction: Option<Attraction>,
    /// Of each item: its seller's number, and whether that is a small one.
    sellers: Vec<(u32, bool)>,
}

impl RecommendModel {
    /// Adds a second stage: its sources are fitted to `interactions`, which should be those that the model was trained on.
    ///
    /// # Errors
    /// Settings out of their ranges, or factors that cannot be fitted.
    pub fn with_ranking(
        mut self,
        interactions: &[Interaction],
        settings: &RankingSettings,
        learned: &Learned,
    ) -> Result<Self, TrainError> {
        let sources = Sources::fit(&self, interactions, settings)?;
        let (ranker, attraction) = (learned.ranker.clone(), learned.attraction.clone());
        self.ranking = Some(Ranking { sources, ranker, attraction, sellers: sellers(&self) });
        Ok(self)
    }

    /// Whether slates are ranked by a learned ranker.
    pub fn is_ranked(&self) -> bool {
        self.ranking.is_some()
    }
}

/// The sellers, numbered, with the small ones marked.
fn sellers(model: &RecommendModel) -> Vec<(u32, bool)> {
    let mut numbers = FxHashMap::default();
    let mut showings: Vec<u64> = Vec::new();
    let mut of_items = vec![0; model.items.len()];
    for popular in &model.popularity.overall {
        let next = numbers.len() as u32;
        let number = *numbers.entry(model.items.seller(popular.item)).or_insert(next);
        if number == next {
            showings.push(0);
        }
        showings[number as usize] += popular.score as u64;
        of_items[popular.item as usize] = number;
    }
    let small = outside_top(&showings, TOP_SELLERS_SHARE);
    of_items.into_iter().map(|number| (number, small[number as usize])).collect()
}

impl Ranking {
    /// Refuses content that would make an answer fail later.
    pub(crate) fn is_sound(&self, items: usize) -> bool {
        self.sources.is_sound(items)
            && self.attraction.as_ref().is_none_or(|attraction| attraction.is_sound())
            && self.sellers.len() == items
            && self.ranker.ranker().feature_names() == features::COLUMN_NAMES
    }

    /// Up to `open` places, best first, for candidates that are admitted.
    pub(crate) fn places(
        &self,
        chain: &Chain<'_>,
        shopper: &Shopper,
        open: usize,
        category_caps: &[CategoryCap],
        admission: &Admission<'_>,
    ) -> Result<Vec<(Step, Candidate, Place)>, RecommendError> {
        let pool = gather(chain, &self.sources, shopper, admission, ENOUGH_FROM_VISITS)?;
        let scores = self.scores(&pool, shopper, chain.request.objective)?;
        let rated = |row: usize| self.rated(chain.model, pool.item(row), scores[row]);
        let organic: Vec<usize> = (0..pool.len()).filter(|row| pool.reason(*row) != Reason::Sponsored).collect();
        let candidates: Vec<_> = organic.iter().map(|row| rated(*row)).collect();
        let campaigns = Campaigns::of(chain.request);
        let offered = |offer: &crate::SponsoredOffer| {
            let row = pool.find(chain.model.items.find(offer.product)?)?;
            Some((row, Offer { candidate: rated(row), campaign: campaigns.number(offer), bid_minor: offer.bid_minor }))
        };
        let (offer_rows, offers): (Vec<usize>, Vec<Offer>) = chain.request.offers.iter().filter_map(offered).unzip();
        let similarity = |a: u32, b: u32| self.sources.similarity(a, b);
        let request = dhow_ranking::Request {
            count: open,
            candidates: &candidates,
            offers: &offers,
            campaign_budgets_minor: &campaigns.budgets_minor,
            rules: Rules {
                max_per_seller: chain.request.max_per_seller,
                max_per_category: chain.request.max_per_category,
                category_caps,
                ..Rules::default()
            },
            eligible: &|_| true,
            similarity: Some(&similarity),
            seed: chain.request.seed,
        };
        let policy = &chain.request.policy;
        let arranged = SCRATCH.with_borrow_mut(|scratch| arrange(&request, policy, scratch))?;
        let proposed = pool.into_candidates();
        let placed = |mut place: Place| {
            let row = match &mut place.kind {
                Kind::Sponsored { campaign, .. } => {
                    *campaign = campaigns.ids[*campaign as usize];
                    offer_rows[place.source as usize]
                }
                Kind::Organic | Kind::Exploration => organic[place.source as usize],
            };
            let (step, candidate) = proposed[row];
            let reason =
                if matches!(place.kind, Kind::Sponsored { .. }) { Reason::Sponsored } else { candidate.reason };
            (step, Candidate { score: place.relevance, reason, ..candidate }, place)
        };
        Ok(arranged.places.into_iter().map(placed).collect())
    }

    /// By what the slate is for: how likely each candidate is next in any case, or the probability that it is opened, because
    /// it is shown or because it would have been next. Without slates to learn from the first stands for the second.
    fn scores(&self, pool: &Pool, shopper: &Shopper, objective: Objective) -> Result<Vec<f64>, RecommendError> {
        let attraction = self.attraction.as_ref().filter(|_| objective == Objective::Opened);
        let opened = |row: usize| {
            let (views, orders) = self.sources.demand_of(pool.item(row));
            let of_row = |column| pool.get(row, column);
            let rest = [Column::Popularity, Column::Content, Column::SeenInHistory].map(of_row);
            let traits = [views, orders, rest[0], rest[1], rest[2]];
            attraction.map_or(0.0, |attraction| attraction.probability(&traits))
        };
        // Before the first step of a visit nothing is next: the ranker has learned from steps alone.
        if attraction.is_some() && shopper.session.is_empty() {
            return Ok((0..pool.len()).map(opened).collect());
        }
        let mut next = Vec::with_capacity(pool.len());
        self.ranker.ranker().score(pool.rows(), &mut next)?;
        if attraction.is_none() {
            return Ok(next);
        }
        let best = next.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        next.iter_mut().for_each(|score| *score = (*score - best).exp());
        let sum: f64 = next.iter().sum();
        Ok(next.iter().enumerate().map(|(row, next)| 1.0 - (1.0 - opened(row)) * (1.0 - next / sum)).collect())
    }

    fn rated(&self, model: &RecommendModel, item: u32, score: f64) -> dhow_ranking::Candidate {
        let (seller, small_seller) = self.sellers[item as usize];
        // Every item has a category.
        let category = model.items.categories_of(item).first().copied().unwrap_or(u32::MAX);
        let price_minor = model.items.price_usd_minor(item);
        dhow_ranking::Candidate { item, score, seller, category, price_minor, small_seller }
    }
}

/// The campaigns of a request's offers, numbered from zero; of two budgets of one campaign the lower counts.
struct Campaigns {
    ids: Vec<u32>,
    budgets_minor: Vec<i64>,
}

impl Campaigns {
    fn of(request: &SlateRequest) -> Self {
        let mut budgets: Vec<(u32, i64)> =
            request.offers.iter().map(|offer| (offer.campaign, offer.budget_minor)).collect();
        budgets.sort_unstable();
        budgets.dedup_by_key(|(campaign, _)| *campaign);
        let (ids, budgets_minor) = budgets.into_iter().unzip();
        Self { ids, budgets_minor }
    }

    fn number(&self, offer: &crate::SponsoredOffer) -> u32 {
        self.ids.partition_point(|campaign| *campaign < offer.campaign) as u32
    }
}
