//! Candidates → slate, place by place; it neither finds candidates nor scores them.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::RankingError;
use crate::diversity::{Marginal, Measure};
use crate::fill::Fill;
use crate::pool::{Entry, OfferEntry, Pool, Removed};
use crate::request::{Draw, Exploration, Policy, Request};

/// Added before a share of places is rounded down, so that .29 of 100 places is 29 and not 28.
const ROUNDING_SLACK: f64 = 1e-9;

/// Why an item stands where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By its score, diversity and fairness.
    Organic,
    /// Paid for.
    Sponsored {
        /// The campaign.
        campaign: u32,
        /// What the showing costs it.
        cost_minor: i64,
    },
    /// Drawn from the tail, to learn about it.
    Exploration,
}

/// One place of a slate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The item.
    pub item: u32,
    /// Its place among [`Request::offers`] where it is sponsored, among [`Request::candidates`] otherwise.
    pub source: u32,
    /// Why it is here.
    pub kind: Kind,
    /// Its score, as given.
    pub score: f64,
    /// Its score between the lowest, 0, and the highest, 1, of all that could be shown.
    pub relevance: f64,
    /// The exact probability, above 0, that this request under this policy puts this item at this place. One place at most
    /// is left to chance, so a slate's probability is the product of its places' propensities.
    pub propensity: f64,
}

/// How many places went to an item although a soft rule spoke against it, since nothing else could be placed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaxed {
    /// Places whose item is more alike to one above than the policy wants.
    pub diversity: usize,
    /// Places that a small seller should have had.
    pub fairness: usize,
}

/// A slate, and how it came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Arranged {
    /// Distinct items, first place first; fewer than wanted only when no slate within the hard rules is longer.
    pub places: Vec<Place>,
    /// What the hard rules removed.
    pub removed: Removed,
    /// Which soft rules had to be given up.
    pub relaxed: Relaxed,
    /// How many items exploration could draw from; 0 where nothing is left to chance.
    pub explorable: usize,
}

/// Memory that is reused from request to request, one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    pool: Pool,
    fill: Fill,
    marginal: Marginal,
    budgets_minor: Vec<i64>,
    tail: Vec<usize>,
    weights: Vec<f64>,
}

/// Fills a slate:
///
/// 1. candidates and offers that fail a hard rule by themselves (named twice, no score, seen, excluded, price,
///    eligibility) are removed and counted, and scores become relevance, 0 to 1;
/// 2. the longest slate under the caps on sellers and categories is planned, and no later step makes it shorter;
/// 3. each place goes to the item of the greatest marginal relevance ([`crate::Diversity`]) of those which the caps and the
///    plan allow; to a small seller's while the floor is not met ([`crate::Fairness`]); where none is left, diversity is
///    given up first, then fairness, and it is said;
/// 4. on a sponsored place ([`crate::Sponsorship`]) the offer of the highest bid × relevance displaces that item, if it is
///    relevant enough beside it, its campaign can pay, and the hard rules allow it. An offer for the very item that stands there
///    displaces nothing and costs nothing. Sponsored places count for hard rules and similarity, not for the fairness floor;
/// 5. the last place that is not sponsored is given to the tail with probability ε ([`crate::Exploration`]), within the hard
///    rules and the fairness floor.
///
/// # Errors
/// A request or a policy out of its bounds. No candidates, or none that may be shown, is no error: the slate is empty.
pub fn arrange(request: &Request, policy: &Policy, scratch: &mut Scratch) -> Result<Arranged, RankingError> {
    request.check()?;
    policy.check()?;
    let mut arrangement = Arrangement::begin(request, policy, scratch);
    while arrangement.place_next() {}
    arrangement.explore();
    Ok(arrangement.finish())
}

/// An organic choice for a place, with the soft rules that it breaks.
#[derive(Debug, Clone, Copy)]
struct Choice {
    at: usize,
    relaxes: Relaxed,
}

struct Arrangement<'a> {
    request: &'a Request<'a>,
    policy: &'a Policy,
    scratch: &'a mut Scratch,
    measure: Measure<'a>,
    arranged: Arranged,
    /// The entry at each place.
    entries: Vec<usize>,
    sponsored_max: usize,
    sponsored: usize,
    small_sellers: usize,
}

impl<'a> Arrangement<'a> {
    fn begin(request: &'a Request<'a>, policy: &'a Policy, scratch: &'a mut Scratch) -> Self {
        let removed = scratch.pool.collect(request);
        scratch.fill.begin(&scratch.pool, &request.rules, request.count);
        scratch.marginal.begin(scratch.pool.entries.len());
        scratch.budgets_minor.clear();
        scratch.budgets_minor.extend_from_slice(request.campaign_budgets_minor);
        // Offers never shorten the plan, so the share holds for the slate too.
        let sponsored_max = policy.sponsorship.as_ref().map_or(0, |s| share_of(s.max_share, scratch.fill.planned()));
        let places = Vec::with_capacity(scratch.fill.planned());
        Self {
            request,
            policy,
            measure: Measure::new(policy.diversity, request.similarity),
            arranged: Arranged { places, removed, ..Arranged::default() },
            entries: Vec::with_capacity(scratch.fill.planned()),
            sponsored_max,
            sponsored: 0,
            small_sellers: 0,
            scratch,
        }
    }

    /// Fills one place; false when the slate is as long as it can be.
    fn place_next(&mut self) -> bool {
        let place = self.entries.len();
        if place == self.request.count {
            return false;
        }
        let organic = if place < self.scratch.fill.planned() { self.best_organic() } else { None };
        if let Some(offer) = self.best_offer(place, organic) {
            self.place_offer(offer);
            return true;
        }
        let Some(Choice { at, relaxes }) = organic else { return false };
        let entry = self.scratch.pool.entries[at];
        self.arranged.relaxed.diversity += relaxes.diversity;
        self.arranged.relaxed.fairness += relaxes.fairness;
        self.small_sellers += usize::from(entry.small_seller);
        self.put(at, entry.candidate.unwrap_or_default(), Kind::Organic);
        true
    }

    /// The best item by the soft rules; failing that without diversity, then without fairness, then without both. Whatever
    /// it is, the plan now contains it.
    fn best_organic(&mut self) -> Option<Choice> {
        let floor = self.policy.fairness.map_or(0.0, |fairness| fairness.floor_share);
        let organic_places = self.entries.len() - self.sponsored;
        let small = share_of(floor, organic_places + 1) > self.small_sellers;
        let apart = self.measure.max_similarity < 1.0;
        let tiers = [(small, apart), (small, false), (false, apart), (false, false)];
        tiers.into_iter().find_map(|tier| {
            let at = self.best_of_tier(tier.0, tier.1)?;
            let relaxes = Relaxed { diversity: usize::from(apart && !tier.1), fairness: usize::from(small && !tier.0) };
            Some(Choice { at, relaxes })
        })
    }

    fn best_of_tier(&mut self, small: bool, apart: bool) -> Option<usize> {
        let Scratch { pool, fill, marginal, .. } = &mut *self.scratch;
        loop {
            let at = marginal.best(&pool.entries, &self.measure, apart, |at| {
                let entry = &pool.entries[at];
                entry.candidate.is_some() && fill.may_try(at, entry) && (!small || entry.small_seller)
            })?;
            if fill.admit(&pool.entries, at) {
                return Some(at);
            }
        }
    }

    /// The offer that takes this place from `organic`, if any does; the plan then contains it.
    fn best_offer(&mut self, place: usize, organic: Option<Choice>) -> Option<OfferEntry> {
        let sponsorship = self.policy.sponsorship.as_ref()?;
        if self.sponsored == self.sponsored_max || !sponsorship.places.contains(&place) {
            return None;
        }
        let Scratch { pool, fill, budgets_minor, .. } = &mut *self.scratch;
        let displaced = organic.map(|choice| choice.at);
        let floor = displaced.map_or(0.0, |at| sponsorship.relevance_floor * pool.entries[at].relevance);
        pool.offers.iter().copied().find(|offer| {
            let at = offer.entry as usize;
            !fill.is_placed(at)
                && displaced != Some(at)
                && pool.entries[at].relevance >= floor
                && offer.bid_minor <= budgets_minor[offer.campaign as usize]
                && fill.admit(&pool.entries, at)
        })
    }

    fn place_offer(&mut self, offer: OfferEntry) {
        let OfferEntry { entry, offer, campaign, bid_minor, .. } = offer;
        self.scratch.budgets_minor[campaign as usize] -= bid_minor;
        self.sponsored += 1;
        self.put(entry as usize, offer, Kind::Sponsored { campaign, cost_minor: bid_minor });
    }

    fn put(&mut self, at: usize, source: u32, kind: Kind) {
        let entry = &self.scratch.pool.entries[at];
        self.scratch.fill.place(at, entry);
        self.scratch.marginal.place(entry);
        self.entries.push(at);
        self.arranged.places.push(place_of(entry, source, kind, 1.0));
    }

    /// Gives the last place that is not sponsored to the tail, with probability ε.
    fn explore(&mut self) {
        let Some(exploration) = self.policy.exploration.filter(|exploration| exploration.epsilon > 0.0) else { return };
        let Some(place) = self.arranged.places.iter().rposition(|place| place.kind == Kind::Organic) else { return };
        self.find_tail(place, exploration.tail);
        let Scratch { pool, fill, tail, weights, .. } = &mut *self.scratch;
        if tail.is_empty() {
            return;
        }
        self.arranged.explorable = tail.len();
        weigh(exploration, tail, &pool.entries, weights);
        let mut random = ChaCha8Rng::seed_from_u64(self.request.seed);
        if random.random::<f64>() >= exploration.epsilon {
            self.arranged.places[place].propensity = 1.0 - exploration.epsilon;
            return;
        }
        let total: f64 = weights.iter().sum();
        let drawn = draw(weights, random.random::<f64>() * total);
        let entry = &pool.entries[tail[drawn]];
        fill.replace(&pool.entries, self.entries[place], tail[drawn]);
        let propensity = exploration.epsilon * weights[drawn] / total;
        self.arranged.places[place] =
            place_of(entry, entry.candidate.unwrap_or_default(), Kind::Exploration, propensity);
    }

    /// The most relevant candidates outside the slate that could stand at `place` within the hard rules and, where a small
    /// seller stands there now, the fairness floor.
    fn find_tail(&mut self, place: usize, limit: usize) {
        let Scratch { pool, fill, tail, .. } = &mut *self.scratch;
        let instead = &pool.entries[self.entries[place]];
        let keeps_floor = |entry: &Entry| self.policy.fairness.is_none() || entry.small_seller || !instead.small_seller;
        let explorable = pool.entries.iter().enumerate().filter(|(at, entry)| {
            entry.candidate.is_some() && !fill.is_placed(*at) && fill.may_replace(entry, instead) && keeps_floor(entry)
        });
        tail.clear();
        tail.extend(explorable.map(|(at, _)| at).take(limit));
    }

    fn finish(mut self) -> Arranged {
        let Scratch { pool, fill, .. } = &*self.scratch;
        for (at, entry) in pool.entries.iter().enumerate() {
            if fill.is_placed(at) || entry.candidate.is_none() {
                continue;
            }
            self.arranged.removed.seller_cap += usize::from(fill.seller_is_full(entry));
            self.arranged.removed.category_cap +=
                usize::from(!fill.seller_is_full(entry) && fill.category_is_full(entry));
        }
        self.arranged
    }
}

fn place_of(entry: &Entry, source: u32, kind: Kind, propensity: f64) -> Place {
    Place { item: entry.item, source, kind, score: entry.score, relevance: entry.relevance, propensity }
}

fn share_of(share: f64, places: usize) -> usize {
    (share * places as f64 + ROUNDING_SLACK) as usize
}

/// Fills in how often each of the tail is drawn, up to a common factor.
fn weigh(exploration: Exploration, tail: &[usize], entries: &[Entry], weights: &mut Vec<f64>) {
    weights.clear();
    // The tail stands by descending relevance, so no exponent is above 0.
    let greatest = tail.first().map_or(0.0, |at| entries[*at].relevance);
    weights.extend(tail.iter().map(|at| match exploration.draw {
        Draw::Uniform => 1.0,
        Draw::Softmax { temperature } => ((entries[*at].relevance - greatest) / temperature).exp(),
    }));
}

/// The weight in whose stretch `point`, 0 to the weights' sum, falls; never one of weight 0.
fn draw(weights: &[f64], point: f64) -> usize {
    let mut passed = 0.0;
    let mut last = 0;
    for (at, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        passed += weight;
        last = at;
        if point < passed {
            break;
        }
    }
    last
}
