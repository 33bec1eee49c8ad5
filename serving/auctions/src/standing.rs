//! How an auction stands, bid by bid: price, leader, end; each bid costs the same however many came before.

use dhow_events::{BuyerId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{AMOUNT_MINOR_MAX, Terms};

/// The most bids of an auction.
pub const BIDS_MAX: i64 = 10_000;

/// A bid that its store has numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// Its number in the auction, from 1 without gaps.
    pub sequence: i64,
    /// Who bids.
    pub bidder: BuyerId,
    /// The most that the bidder would pay, in minor units.
    pub maximum_minor: i64,
    /// When it came.
    pub placed_at: Timestamp,
}

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Who.
    pub bidder: BuyerId,
    /// The most that the leader would pay, in minor units; told to nobody else.
    pub maximum_minor: i64,
}

/// How an auction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What the leader would pay now, in minor units; nothing before the first bid.
    pub price_minor: Option<i64>,
    /// Who leads; nobody before the first bid.
    pub leader: Option<Leader>,
    /// Bids that counted.
    pub bids: i64,
    /// When bidding ends, extensions included.
    pub ends_at: Timestamp,
    /// How often it was extended.
    pub extensions: u32,
}

/// What a bid did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BidEffect {
    /// Whether its bidder leads now.
    pub leads: bool,
    /// Who led before and no longer does.
    pub outbid: Option<BuyerId>,
    /// Whether it moved the end.
    pub extended: bool,
}

/// Why a bid does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BidRefusal {
    /// Bidding has not begun.
    #[error("bidding begins at {0}")]
    NotOpen(Timestamp),
    /// Bidding is over.
    #[error("bidding ended at {0}")]
    Ended(Timestamp),
    /// Less than the price asks for.
    #[error("the bid must be at least {minimum_minor} minor units")]
    TooLow {
        /// The least bid that would count, in minor units.
        minimum_minor: i64,
    },
    /// More than any auction may cost.
    #[error("the bid must be at most {AMOUNT_MINOR_MAX} minor units")]
    TooHigh,
    /// As many bids as an auction may have.
    #[error("the auction has {BIDS_MAX} bids, which is as many as may be")]
    TooMany,
    /// There is no buy-now, or bids have come too far for it.
    #[error("the auction cannot be bought at once, or no longer")]
    NoBuyNow,
}

/// How bidding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Somebody won, at this price in minor units.
    Won {
        /// Who.
        bidder: BuyerId,
        /// What is to be paid, in minor units.
        price_minor: i64,
    },
    /// Nobody bid as much as the reserve.
    ReserveNotMet,
    /// Nobody bid.
    NoBids,
}

impl Standing {
    /// An auction before its first bid.
    pub const fn new(terms: &Terms) -> Self {
        Self { price_minor: None, leader: None, bids: 0, ends_at: terms.ends_at, extensions: 0 }
    }

    /// How an auction stands whose counted bids are `bids`, in the order of their sequence.
    pub fn of<'a>(terms: &Terms, bids: impl IntoIterator<Item = &'a Bid>) -> Self {
        let mut standing = Self::new(terms);
        for bid in bids {
            standing.count(terms, bid);
        }
        standing
    }

    /// How an auction stood after each of its counted bids, which come in the order of their sequence.
    pub fn after_each<'a>(terms: &Terms, bids: impl IntoIterator<Item = &'a Bid>) -> impl Iterator<Item = Self> {
        let mut standing = Self::new(terms);
        bids.into_iter().map(move |bid| {
            standing.count(terms, bid);
            standing
        })
    }

    /// The least maximum that `bidder` can bid now.
    pub fn minimum(&self, terms: &Terms, bidder: Option<BuyerId>) -> i64 {
        match (self.leader, self.price_minor) {
            (Some(leader), _) if Some(leader.bidder) == bidder => leader.maximum_minor.saturating_add(1),
            (_, Some(price)) => terms.increments.above(price),
            (_, None) => terms.opening_minor,
        }
    }

    /// Takes a bid, or says why it does not count and changes nothing.
    ///
    /// # Errors
    /// Too early, too late, too low, too high, or one too many.
    pub fn bid(&mut self, terms: &Terms, bid: &Bid) -> Result<BidEffect, BidRefusal> {
        self.is_open(terms, bid.placed_at)?;
        let minimum_minor = self.minimum(terms, Some(bid.bidder));
        if bid.maximum_minor > AMOUNT_MINOR_MAX {
            return Err(BidRefusal::TooHigh);
        }
        if bid.maximum_minor < minimum_minor {
            return Err(BidRefusal::TooLow { minimum_minor });
        }
        if self.bids >= BIDS_MAX {
            return Err(BidRefusal::TooMany);
        }
        Ok(self.count(terms, bid))
    }

    /// What `bidder` would pay at once at `now`, in minor units.
    ///
    /// # Errors
    /// Too early, too late, or there is no buy-now, or no longer.
    pub fn buy_now(&self, terms: &Terms, now: Timestamp) -> Result<i64, BidRefusal> {
        self.is_open(terms, now)?;
        let buy_now = terms.buy_now.ok_or(BidRefusal::NoBuyNow)?;
        let left = match (self.price_minor, buy_now.until_ppm) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(price), Some(share)) => {
                i128::from(price) * 1_000_000 < i128::from(buy_now.price_minor) * i128::from(share)
            }
        };
        if left { Ok(buy_now.price_minor) } else { Err(BidRefusal::NoBuyNow) }
    }

    /// Whether the leader's maximum reaches the reserve; never before the first bid.
    pub fn reserve_met(&self, terms: &Terms) -> bool {
        self.leader.is_some_and(|leader| terms.reaches_reserve(leader.maximum_minor))
    }

    /// How bidding ends as it stands.
    pub fn ending(&self, terms: &Terms) -> Ending {
        match (self.leader, self.price_minor) {
            (Some(leader), Some(price_minor)) if terms.reaches_reserve(leader.maximum_minor) => {
                Ending::Won { bidder: leader.bidder, price_minor }
            }
            (Some(_), _) => Ending::ReserveNotMet,
            (None, _) => Ending::NoBids,
        }
    }

    fn is_open(&self, terms: &Terms, now: Timestamp) -> Result<(), BidRefusal> {
        if now < terms.opens_at {
            return Err(BidRefusal::NotOpen(terms.opens_at));
        }
        if now >= self.ends_at { Err(BidRefusal::Ended(self.ends_at)) } else { Ok(()) }
    }

    /// Counts a bid that may count.
    fn count(&mut self, terms: &Terms, bid: &Bid) -> BidEffect {
        let new = Leader { bidder: bid.bidder, maximum_minor: bid.maximum_minor };
        let before = self.leader;
        let (leader, price) = match before {
            None => (new, terms.opening_minor),
            Some(old) if old.bidder == new.bidder => {
                let maximum_minor = old.maximum_minor.max(new.maximum_minor);
                (Leader { maximum_minor, ..old }, self.price_minor.unwrap_or(terms.opening_minor))
            }
            Some(old) => {
                // Of equal maxima the earlier leads.
                let (first, second) = if new.maximum_minor > old.maximum_minor { (new, old) } else { (old, new) };
                (first, terms.increments.above(second.maximum_minor).min(first.maximum_minor))
            }
        };
        let at_least = terms.reserve_minor.filter(|reserve| leader.maximum_minor >= *reserve).unwrap_or(0);
        self.price_minor = Some(price.max(at_least).max(self.price_minor.unwrap_or(0)));
        self.leader = Some(leader);
        self.bids += 1;
        let is_raise = before.is_some_and(|old| old.bidder == bid.bidder);
        let extended = !is_raise && self.extend(terms, bid.placed_at);
        let outbid = before.map(|old| old.bidder).filter(|old| *old != leader.bidder);
        BidEffect { leads: leader.bidder == bid.bidder, outbid, extended }
    }

    fn extend(&mut self, terms: &Terms, at: Timestamp) -> bool {
        let extension = terms.extension;
        let is_late = self.ends_at.micros_since(at) <= extension.window_micros && extension.window_micros > 0;
        let new_end = at + extension.by_micros;
        if !is_late || self.extensions >= extension.times_max || new_end <= self.ends_at {
            return false;
        }
        (self.ends_at, self.extensions) = (new_end, self.extensions + 1);
        true
    }
}
