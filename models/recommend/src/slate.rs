//! Questions to a recommender and its answers: requests, slates, reasons, steps and errors; how a slate is filled is in `chain`.

use dhow_events::{BuyerId, Category, ProductId, Region, SessionId};
use dhow_ranking::{Kind, Policy};
use serde::{Deserialize, Serialize};

use crate::PriceBand;

/// The most products that one slate holds.
pub const MAX_COUNT: usize = 100;
/// The most products that a request may exclude.
pub const MAX_EXCLUDED: usize = 10_000;
/// The most products of a session, or of a history, that are scored from, whatever the settings say.
pub const MAX_SEEDS: usize = 50;

/// Where the slate is shown. On the cart, products bought together with those of the session come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// The first page.
    #[default]
    Home,
    /// A product's page; the product is the session's last.
    Product,
    /// The cart.
    Cart,
    /// A message outside the storefront.
    Email,
}

/// What a slate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// That it is opened: what is likely to be clicked when it is shown.
    #[default]
    Opened,
    /// To name what the shopper would turn to next if nothing were shown, as next-item protocols ask.
    Next,
}

/// Which of the session's own products may be shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// All but the current one, the last of the session.
    #[default]
    HideCurrent,
    /// None.
    HideSession,
    /// All.
    Show,
}

/// A question: what should this shopper see now?
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlateRequest {
    /// Who asks, when signed in. Only a recommender with live state looks the person up.
    pub person: Option<BuyerId>,
    /// The visit. Only a recommender with live state looks it up.
    pub session: Option<SessionId>,
    /// What the shopper looked at in this visit, most recent last; of any length. Unknown products are passed over.
    pub session_items: Vec<ProductId>,
    /// What the person acted on earlier, most recent last; of any length. Unknown products are passed over.
    pub person_history: Vec<ProductId>,
    /// Where the slate is shown.
    pub surface: Surface,
    /// Where the shopper is: only products sold there are shown. None: no restriction.
    pub region: Option<Region>,
    /// Only products of this category or its parts.
    pub category: Option<Category>,
    /// Only products within this band, by the catalogue at training.
    pub price_band: Option<PriceBand>,
    /// Never these; at most [`MAX_EXCLUDED`].
    pub exclude: Vec<ProductId>,
    /// Which products of the session may be shown again.
    pub seen: Seen,
    /// At most so many products of one seller, at least 1. None: no limit.
    pub max_per_seller: Option<usize>,
    /// At most so many products of one category, at least 1. None: no limit.
    pub max_per_category: Option<usize>,
    /// What the slate is for, where the model ranks.
    pub objective: Objective,
    /// Variety, fairness, sponsored places and exploration, for models that rank.
    pub policy: Policy,
    /// What campaigns pay for, for models that rank; at most [`dhow_ranking::MAX_OFFERS`].
    pub offers: Vec<SponsoredOffer>,
    /// Decides what is explored; the same request and seed give the same slate.
    pub seed: u64,
    /// How many products are wanted, 1 to [`MAX_COUNT`].
    pub count: usize,
}

/// A product for whose showing a campaign pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SponsoredOffer {
    /// The product. One that the model does not know is passed over.
    pub product: ProductId,
    /// The campaign's number, as the caller counts them.
    pub campaign: u32,
    /// What one showing costs the campaign, at least 0.
    pub bid_minor: i64,
    /// What the campaign has left; within a slate it is never charged more.
    pub budget_minor: i64,
}

/// The steps that fill a slate, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Bought together with the session's products; asked on the cart alone.
    BoughtTogether,
    /// From the session's last products.
    Session,
    /// From the person's history.
    History,
    /// Trending in the shopper's region.
    SegmentTrending,
    /// Best sellers of the wanted category, or of those that the shopper looked at last.
    CategoryBestSellers,
    /// Popular overall.
    Popular,
}

/// Why a product is in the slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Bought in one basket with a product of the session.
    BoughtTogether,
    /// Others turned to it before or after a product of the session.
    AlsoViewed,
    /// Looked at earlier in the session; shoppers often come back to such products.
    ViewedEarlier,
    /// Others turned to it before or after a product of the person's history.
    BasedOnHistory,
    /// Popular where the shopper is.
    PopularInRegion,
    /// Popular in its category.
    CategoryBestSeller,
    /// Popular overall.
    Popular,
    /// Only a campaign speaks for it.
    Sponsored,
}

/// One product of a slate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SlateItem {
    /// The product.
    pub product: ProductId,
    /// Strength, at least 0; comparable only among items of the same step.
    pub score: f64,
    /// Why it is here.
    pub reason: Reason,
    /// The step that brought it.
    pub step: Step,
    /// The shopper's product that spoke for it most, if one did.
    pub because: Option<ProductId>,
    /// Whether it stands here by its score, was paid for, or is tried out.
    pub kind: Kind,
    /// The exact probability that this request puts this product here; below 1 only beside exploration.
    pub propensity: f64,
}

/// How far the wish for `count` products was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As many as asked for.
    Complete,
    /// Fewer: these are all eligible products that there are.
    Short,
    /// No product of the catalogue passes the request's filters and the eligibility rule.
    NothingEligible,
}

/// How many products a step brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StepCount {
    /// The step.
    pub step: Step,
    /// Products that it brought, at least 1.
    pub items: usize,
}

/// An answer: distinct products, best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slate {
    /// The products.
    pub items: Vec<SlateItem>,
    /// The steps that brought at least one product, in order.
    pub steps: Vec<StepCount>,
    /// Whether a weaker step had to stand in, wholly or in part, for the strongest that the request gave a context for
    /// (baskets and session count as one: both speak from the session's products).
    pub degraded: bool,
    /// How far the wish was met.
    pub outcome: Outcome,
}

impl Slate {
    /// The step that answered first; none when nothing was eligible.
    pub fn answered_by(&self) -> Option<Step> {
        self.steps.first().map(|count| count.step)
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecommendError {
    /// The count is out of range.
    #[error("count is {0}; it must be 1 to {MAX_COUNT}")]
    Count(usize),
    /// The band's ends are the wrong way round, or below zero.
    #[error("the price band {from_usd_minor} to {to_usd_minor} US cents is empty or negative; give 0 <= from <= to")]
    PriceBand {
        /// The lower end.
        from_usd_minor: i64,
        /// The upper end.
        to_usd_minor: i64,
    },
    /// The exclude list is too long.
    #[error("{0} products are excluded; at most {MAX_EXCLUDED} can be")]
    TooManyExcluded(usize),
    /// A limit per seller of zero.
    #[error("max_per_seller is 0; it must be at least 1, or absent")]
    SellerLimit,
    /// A limit per category of zero.
    #[error("max_per_category is 0; it must be at least 1, or absent")]
    CategoryLimit,
    /// A policy or an offer out of its bounds.
    #[error(transparent)]
    Arrangement(#[from] dhow_ranking::RankingError),
    /// Rules of a starter kit out of their ranges.
    #[error(transparent)]
    Kit(#[from] dhow_bundles::BundlesError),
    /// The person's tastes could not be worked out.
    #[error("the person's tastes could not be worked out: {0}")]
    Tastes(#[from] dhow_factors::FactorsError),
    /// Past visits could not be asked.
    #[error("past visits could not be asked: {0}")]
    Visits(#[from] dhow_sessions::SessionsError),
    /// A question about a product that the model does not know.
    #[error("product {0} is not in the catalogue that the model was trained on")]
    UnknownProduct(ProductId),
}

pub(crate) fn check_count(count: usize) -> Result<(), RecommendError> {
    if (1..=MAX_COUNT).contains(&count) { Ok(()) } else { Err(RecommendError::Count(count)) }
}

impl SlateRequest {
    /// Checks the bounds of the request.
    ///
    /// # Errors
    /// The first bound that is not kept.
    pub fn check(&self) -> Result<(), RecommendError> {
        check_count(self.count)?;
        if let Some(PriceBand { from_usd_minor, to_usd_minor }) = self.price_band
            && !(0 <= from_usd_minor && from_usd_minor <= to_usd_minor)
        {
            return Err(RecommendError::PriceBand { from_usd_minor, to_usd_minor });
        }
        if self.exclude.len() > MAX_EXCLUDED {
            return Err(RecommendError::TooManyExcluded(self.exclude.len()));
        }
        if self.max_per_seller == Some(0) {
            return Err(RecommendError::SellerLimit);
        }
        if self.max_per_category == Some(0) {
            return Err(RecommendError::CategoryLimit);
        }
        self.policy.check()?;
        Ok(())
    }
}

/// Whatever fills slates.
pub trait Recommender: Send + Sync {
    /// Fills a slate with products for which `eligible` (stock, rules of the day) holds and that the request lets through.
    /// The slate is empty only when there is no such product.
    ///
    /// # Errors
    /// A request out of its bounds; unknown persons, sessions and products are no errors, the next step answers.
    fn recommend(&self, request: &SlateRequest, eligible: &dyn Fn(ProductId) -> bool) -> Result<Slate, RecommendError>;
}
