//! The candidates and offers that the rules on single items let through, best first, with dense sellers and categories.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::request::{Candidate, Request};

/// How many candidates each hard rule kept out of the slate. A candidate counts once, under the first rule that it fails,
/// in the order of the fields; the caps come last, after the slate is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Named twice.
    pub duplicate: usize,
    /// A score that is NaN or infinite.
    pub no_score: usize,
    /// Seen by the shopper.
    pub seen: usize,
    /// Excluded by the request.
    pub excluded: usize,
    /// Outside the price band.
    pub price: usize,
    /// Refused by the eligibility rule.
    pub ineligible: usize,
    /// Left over, and its seller had all places that one seller may have.
    pub seller_cap: usize,
    /// Left over, and its category had all places that it may have.
    pub category_cap: usize,
}

/// An item that may be shown, as far as it is looked at alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) item: u32,
    pub(crate) score: f64,
    /// The score's place between the lowest, 0, and the highest, 1, of the pool; 1 where all are equal.
    pub(crate) relevance: f64,
    pub(crate) seller: u32,
    pub(crate) category: u32,
    pub(crate) small_seller: bool,
    /// Its place among the request's candidates; none for what is only offered.
    pub(crate) candidate: Option<u32>,
    /// Its place before sorting.
    number: u32,
}

/// An offer whose item is in the pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfferEntry {
    pub(crate) entry: u32,
    pub(crate) offer: u32,
    pub(crate) campaign: u32,
    pub(crate) bid_minor: i64,
    /// The bid times the relevance.
    pub(crate) value: f64,
}

/// What is known of an item that was named.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    Seen,
    Excluded,
    Removed,
    Entry(u32),
}

/// Which rule an item fails when it is looked at alone.
enum Failed {
    Score,
    Seen,
    Excluded,
    Price,
    Eligibility,
}

/// Reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// By descending score, ties by ascending item.
    pub(crate) entries: Vec<Entry>,
    /// By descending value, then by the entry's order, then by ascending place among the request's offers.
    pub(crate) offers: Vec<OfferEntry>,
    /// The dense number of each category.
    pub(crate) categories: FxHashMap<u32, u32>,
    /// The dense number of each seller.
    pub(crate) sellers: FxHashMap<u32, u32>,
    known: FxHashMap<u32, Known>,
    places: Vec<u32>,
}

impl Pool {
    /// Fills the pool and counts what candidates the rules on single items remove.
    pub(crate) fn collect(&mut self, request: &Request) -> Removed {
        self.clear();
        // What is seen and excluded counts as seen.
        self.known.extend(request.rules.excluded.iter().map(|item| (*item, Known::Excluded)));
        self.known.extend(request.rules.seen.iter().map(|item| (*item, Known::Seen)));
        let mut removed = Removed::default();
        for (at, candidate) in request.candidates.iter().enumerate() {
            self.collect_candidate(request, at as u32, candidate, &mut removed);
        }
        for (at, offer) in request.offers.iter().enumerate() {
            let Some(entry) = self.entry_of_offer(request, &offer.candidate) else { continue };
            let (offer_at, campaign, bid_minor) = (at as u32, offer.campaign, offer.bid_minor);
            self.offers.push(OfferEntry { entry, offer: offer_at, campaign, bid_minor, value: 0.0 });
        }
        self.sort();
        removed
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.offers.clear();
        self.categories.clear();
        self.sellers.clear();
        self.known.clear();
    }

    fn collect_candidate(&mut self, request: &Request, at: u32, candidate: &Candidate, removed: &mut Removed) {
        let known = self.known.get(&candidate.item).copied();
        if matches!(known, Some(Known::Entry(_) | Known::Removed)) {
            removed.duplicate += 1;
            return;
        }
        match first_failed(request, candidate, known) {
            None => {
                self.push(candidate, Some(at));
                return;
            }
            Some(Failed::Score) => removed.no_score += 1,
            Some(Failed::Seen) => removed.seen += 1,
            Some(Failed::Excluded) => removed.excluded += 1,
            Some(Failed::Price) => removed.price += 1,
            Some(Failed::Eligibility) => removed.ineligible += 1,
        }
        self.known.insert(candidate.item, Known::Removed);
    }

    /// An offered item obeys the rules like any other; one that is a candidate too has the candidate's score and attributes.
    fn entry_of_offer(&mut self, request: &Request, candidate: &Candidate) -> Option<u32> {
        match self.known.get(&candidate.item).copied() {
            Some(Known::Entry(entry)) => Some(entry),
            Some(Known::Removed) => None,
            known if first_failed(request, candidate, known).is_none() => Some(self.push(candidate, None)),
            _ => {
                self.known.insert(candidate.item, Known::Removed);
                None
            }
        }
    }

    fn push(&mut self, candidate: &Candidate, at: Option<u32>) -> u32 {
        let number = self.entries.len() as u32;
        let (sellers, categories) = (self.sellers.len() as u32, self.categories.len() as u32);
        self.known.insert(candidate.item, Known::Entry(number));
        self.entries.push(Entry {
            item: candidate.item,
            score: candidate.score,
            relevance: 1.0,
            seller: *self.sellers.entry(candidate.seller).or_insert(sellers),
            category: *self.categories.entry(candidate.category).or_insert(categories),
            small_seller: candidate.small_seller,
            candidate: at,
            number,
        });
        number
    }

    /// Sorts entries and offers, and fills in relevance and value.
    fn sort(&mut self) {
        self.entries.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        if let (Some(best), Some(worst)) = (self.entries.first(), self.entries.last()) {
            let (lowest, half_range) = (worst.score, best.score / 2.0 - worst.score / 2.0);
            if half_range > 0.0 {
                // Halved, so that the difference of two huge scores is finite.
                self.entries.iter_mut().for_each(|e| e.relevance = (e.score / 2.0 - lowest / 2.0) / half_range);
            }
        }
        self.places.clear();
        self.places.resize(self.entries.len(), 0);
        for (place, entry) in self.entries.iter().enumerate() {
            self.places[entry.number as usize] = place as u32;
        }
        for offer in &mut self.offers {
            offer.entry = self.places[offer.entry as usize];
            offer.value = offer.bid_minor as f64 * self.entries[offer.entry as usize].relevance;
        }
        self.offers.sort_unstable_by(|a, b| {
            b.value.total_cmp(&a.value).then(a.entry.cmp(&b.entry)).then(a.offer.cmp(&b.offer))
        });
    }
}

fn first_failed(request: &Request, candidate: &Candidate, known: Option<Known>) -> Option<Failed> {
    let in_band = |band: crate::PriceBand| (band.from_minor..=band.to_minor).contains(&candidate.price_minor);
    if !candidate.score.is_finite() {
        Some(Failed::Score)
    } else if known == Some(Known::Seen) {
        Some(Failed::Seen)
    } else if known == Some(Known::Excluded) {
        Some(Failed::Excluded)
    } else if !request.rules.price_band.is_none_or(in_band) {
        Some(Failed::Price)
    } else if !(request.eligible)(candidate.item) {
        Some(Failed::Eligibility)
    } else {
        None
    }
}
