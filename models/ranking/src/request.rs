//! What an arrangement is asked: candidates, hard rules, and the policy for everything softer; how it is filled is in `arrange`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::RankingError;
use crate::error::{check_count, check_range};

/// The most places of one slate.
pub const MAX_PLACES: usize = 100;
/// The most candidates of one request.
pub const MAX_CANDIDATES: usize = 10_000;
/// The most sponsored offers of one request.
pub const MAX_OFFERS: usize = 1_000;
/// The most items that a request may bar by name: seen and excluded ones together.
pub const MAX_BARRED: usize = 20_000;
/// The most caps on single categories.
pub const MAX_CATEGORY_CAPS: usize = 1_000;

/// An item that might be shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The item's dense number.
    pub item: u32,
    /// The higher, the better; on any scale that all candidates and offers of the request share. One that is not finite
    /// is never shown.
    pub score: f64,
    /// The seller's dense number.
    pub seller: u32,
    /// The number of the category that the caps count.
    pub category: u32,
    /// The price, in the currency of the request's band.
    pub price_minor: i64,
    /// Whether the seller is outside the top ones, so that the fairness floor counts it. See [`outside_top`].
    pub small_seller: bool,
}

/// A candidate for which a campaign pays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The item, with the score that it has without payment.
    pub candidate: Candidate,
    /// The campaign's number in [`Request::campaign_budgets_minor`].
    pub campaign: u32,
    /// What one showing costs the campaign, at least 0.
    pub bid_minor: i64,
}

/// Prices that may be shown, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBand {
    /// The lowest price.
    pub from_minor: i64,
    /// The highest price.
    pub to_minor: i64,
}

/// At most so many places for one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryCap {
    /// The category's number.
    pub category: u32,
    /// Places, 0 or more.
    pub at_most: usize,
}

/// The rules that no slate breaks, whoever pays and whatever is explored. The default has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules<'a> {
    /// Items that the shopper has seen.
    pub seen: &'a [u32],
    /// Items that the request excludes.
    pub excluded: &'a [u32],
    /// Prices that may be shown.
    pub price_band: Option<PriceBand>,
    /// Places for one seller, at least 1.
    pub max_per_seller: Option<usize>,
    /// Places for one category, at least 1, where `category_caps` says nothing about it.
    pub max_per_category: Option<usize>,
    /// Places for single categories; of two caps of one category the lower counts.
    pub category_caps: &'a [CategoryCap],
}

/// How alike two items are, 0 to 1; what is below or above counts as 0 or 1, NaN as 0.
pub type Similarity<'a> = &'a dyn Fn(u32, u32) -> f64;

/// A question: which of these candidates, and in which order?
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Places wanted, 1 to [`MAX_PLACES`].
    pub count: usize,
    /// What may be shown; at most [`MAX_CANDIDATES`]. Of two with one item the first counts.
    pub candidates: &'a [Candidate],
    /// What campaigns pay for; at most [`MAX_OFFERS`]. An item that is a candidate too
    /// has the candidate's score and attributes, one offered twice those of its first offer; it is shown once.
    pub offers: &'a [Offer],
    /// What each campaign has left. Within a slate a campaign is never charged more; across requests the caller books.
    pub campaign_budgets_minor: &'a [i64],
    /// The hard rules.
    pub rules: Rules<'a>,
    /// Stock, region and rules of the day: asked once for each item that the other rules let through.
    pub eligible: &'a dyn Fn(u32) -> bool,
    /// How alike two items are; without it there is no diversity.
    pub similarity: Option<Similarity<'a>>,
    /// Decides what is explored: the same request, policy and seed give the same slate.
    pub seed: u64,
}

/// Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diversity {
    /// λ, 0 to 1: each place goes to the greatest `λ · relevance − (1 − λ) · similarity to the most alike item above`.
    /// At 1 the order is that of the scores.
    pub lambda: f64,
    /// Items more alike than this to one above are passed over while there are others; 1 passes over none.
    pub max_similarity: f64,
}

/// A floor of places for sellers outside the top ones, in every prefix (the prefix floor of Geyik, Ambler and Kenthapadi,
/// KDD 2019, filled by their DetGreedy for one protected group).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fairness {
    /// Of the first k places that are not sponsored at least `⌊floor_share · k⌋` go to small sellers, for every k. 0 to 1.
    pub floor_share: f64,
}

/// Where, and how far, payment may displace what would stand there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sponsorship {
    /// Places that may be sponsored, from zero.
    pub places: Vec<usize>,
    /// At most this share of a slate's places is sponsored, rounded down. 0 to 1.
    pub max_share: f64,
    /// An offer's relevance is at least this share of that of the item that it displaces. 0 to 1.
    pub relevance_floor: f64,
}

/// How the explored item is drawn from the tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Draw {
    /// Each with the same chance: ε-greedy.
    Uniform,
    /// In proportion to `exp(relevance / temperature)`.
    Softmax {
        /// Above 0; the lower, the more often the best of the tail.
        temperature: f64,
    },
}

/// One place, the last that is not sponsored, is sometimes given to an item that would not have been shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exploration {
    /// How often, 0 to 1.
    pub epsilon: f64,
    /// The tail: at most so many candidates, the most relevant of those not in the slate. At least 1.
    pub tail: usize,
    /// How one of the tail is drawn.
    pub draw: Draw,
}

/// Everything about a slate that is a matter of choice. The default orders by score alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Variety; given up first.
    pub diversity: Option<Diversity>,
    /// Places for small sellers; given up second.
    pub fairness: Option<Fairness>,
    /// Places for offers.
    pub sponsorship: Option<Sponsorship>,
    /// A place for the unknown.
    pub exploration: Option<Exploration>,
    /// Of categories by name, so many places of a slate at most; 0 shows none. At most [`MAX_CATEGORY_CAPS`]. This is a hard
    /// rule: whoever knows the categories' numbers hands it over as [`Rules::category_caps`].
    pub category_caps: BTreeMap<String, usize>,
}

impl Policy {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first number out of its range.
    pub fn check(&self) -> Result<(), RankingError> {
        const SHARE: &str = "0 to 1";
        if let Some(diversity) = &self.diversity {
            check_range("diversity.lambda", diversity.lambda, 0.0..=1.0, SHARE)?;
            check_range("diversity.max_similarity", diversity.max_similarity, 0.0..=1.0, SHARE)?;
        }
        if let Some(fairness) = &self.fairness {
            check_range("fairness.floor_share", fairness.floor_share, 0.0..=1.0, SHARE)?;
        }
        if let Some(sponsorship) = &self.sponsorship {
            check_range("sponsorship.max_share", sponsorship.max_share, 0.0..=1.0, SHARE)?;
            check_range("sponsorship.relevance_floor", sponsorship.relevance_floor, 0.0..=1.0, SHARE)?;
            check_count("sponsored places", sponsorship.places.len(), MAX_PLACES)?;
        }
        if let Some(exploration) = &self.exploration {
            check_range("exploration.epsilon", exploration.epsilon, 0.0..=1.0, SHARE)?;
            check_range("exploration.tail", exploration.tail as f64, 1.0..=MAX_CANDIDATES as f64, "1 to 10,000")?;
            if let Draw::Softmax { temperature } = exploration.draw {
                check_range("exploration temperature", temperature, 1e-3..=1e6, "0.001 to 1,000,000")?;
            }
        }
        check_count("category caps", self.category_caps.len(), MAX_CATEGORY_CAPS)
    }
}

impl Request<'_> {
    /// Checks the bounds.
    ///
    /// # Errors
    /// The first bound that is not kept.
    pub fn check(&self) -> Result<(), RankingError> {
        check_range("count", self.count as f64, 1.0..=MAX_PLACES as f64, "1 to 100")?;
        check_count("candidates", self.candidates.len(), MAX_CANDIDATES)?;
        check_count("offers", self.offers.len(), MAX_OFFERS)?;
        check_count("seen and excluded items", self.rules.seen.len() + self.rules.excluded.len(), MAX_BARRED)?;
        check_count("category caps", self.rules.category_caps.len(), MAX_CATEGORY_CAPS)?;
        for (name, cap) in
            [("max_per_seller", self.rules.max_per_seller), ("max_per_category", self.rules.max_per_category)]
        {
            if cap == Some(0) {
                return Err(RankingError::BadSetting { name, value: 0.0, expected: "at least 1, or none" });
            }
        }
        if let Some(PriceBand { from_minor, to_minor }) = self.rules.price_band
            && from_minor > to_minor
        {
            return Err(RankingError::EmptyPriceBand { from_minor, to_minor });
        }
        let campaigns = self.campaign_budgets_minor.len();
        for (at, offer) in self.offers.iter().enumerate() {
            if offer.campaign as usize >= campaigns {
                return Err(RankingError::UnknownCampaign { offer: at, campaign: offer.campaign, campaigns });
            }
            if offer.bid_minor < 0 {
                return Err(RankingError::NegativeBid { offer: at, bid_minor: offer.bid_minor });
            }
        }
        Ok(())
    }
}

/// Which sellers are outside the top ones: those left when the most shown sellers, most shown first, are taken until they
/// hold at least `top_share` (0 to 1) of all showings. Sellers are numbered by their places in `showings`.
pub fn outside_top(showings: &[u64], top_share: f64) -> Vec<bool> {
    let total: f64 = showings.iter().map(|count| *count as f64).sum();
    let mut sellers: Vec<usize> = (0..showings.len()).collect();
    sellers.sort_unstable_by_key(|seller| (std::cmp::Reverse(showings[*seller]), *seller));
    let mut outside = vec![true; showings.len()];
    let mut held = 0.0;
    for seller in sellers {
        if held >= top_share * total {
            break;
        }
        outside[seller] = false;
        held += showings[seller] as f64;
    }
    outside
}
