//! Auctions as the marketplace keeps them: what is asked for, where one stands, how it moves; prices and bids are ruled in `dhow-auctions`.
//!
//! ```text
//! open ─► awaiting_payment ─► paying ─► sold
//!   │        │    ▲    │         │
//!   │        │    └────┼─────────┘ (the payment failed)
//!   │        ▼         ▼
//!   └────► unsold   cancelled ◄── open
//! ```
//! In `awaiting_payment` the auction is offered to one person until a moment. Who does not pay by then is passed over, and it
//! is offered as though that person had not bid, [`AUCTION_CHANCES_MAX`] times in all.

use dhow_auctions::{Band, BuyNow, Ending, Extension, IncrementTables, Increments, Standing, Terms, TermsProblem};
use dhow_events::facts::{AuctionBidPlaced, AuctionMoved, AuctionOpened};
use dhow_events::{
    AuctionId, BuyerId, CheckoutId, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, Money, ProductId, SECOND_MICROS, SellerId,
    TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::words::worded;
use crate::{AuctionBid, CommerceError, FieldProblem, States, StorageError, transition};

/// The most persons that an auction is offered to, one after the other.
pub const AUCTION_CHANCES_MAX: u32 = 3;
/// The shortest and the longest time to pay.
const PAY_WITHIN_MICROS: (i64, i64) = (10 * MINUTE_MICROS, 30 * DAY_MICROS);
/// The time to pay where the auction names none.
const PAY_WITHIN_DEFAULT_MICROS: i64 = 48 * HOUR_MICROS;
/// How long an auction that is being paid is left alone before its checkout is looked at again.
pub const AUCTION_LOOK_MICROS: i64 = 2 * SECOND_MICROS;

worded! {
    /// Where an auction stands.
    AuctionState {
        /// It takes bids, or will.
        Open = "open",
        /// Bidding is over; the auction is offered to somebody who is to pay.
        AwaitingPayment = "awaiting_payment",
        /// A checkout at its price waits for its payment, or for a person's verdict.
        Paying = "paying",
        /// Paid for.
        Sold = "sold",
        /// Over, and nobody bought.
        Unsold = "unsold",
        /// Called off.
        Cancelled = "cancelled",
    }
}

impl States for AuctionState {
    const SUBJECT: &'static str = "auction";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Open, &[Self::AwaitingPayment, Self::Unsold, Self::Cancelled]),
        (Self::AwaitingPayment, &[Self::Paying, Self::Unsold, Self::Cancelled]),
        (Self::Paying, &[Self::Sold, Self::AwaitingPayment, Self::Unsold]),
    ];
}

impl AuctionState {
    /// Whether nothing more happens to it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Sold | Self::Unsold | Self::Cancelled)
    }
}

worded! {
    /// Why an auction is called off.
    AuctionCancellation {
        /// The seller asks for it.
        SellerRequest = "seller_request",
        /// The thing is lost, broken or sold elsewhere.
        ItemUnavailable = "item_unavailable",
        /// Its bids are not what they seem.
        SuspectedFraud = "suspected_fraud",
        /// It was put up with something wrong.
        ListingError = "listing_error",
    }
}

/// A price at which the auction can be ended at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuyNowInput {
    /// The price.
    pub price: Money,
    /// See [`BuyNow::until_ppm`].
    #[serde(default)]
    pub until_ppm: Option<u32>,
}

/// What late bids do to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtensionInput {
    /// The last moments, in seconds.
    pub window_s: u32,
    /// The auction ends no sooner than so long after a bid within them, in seconds.
    pub by_s: u32,
    /// So many times at most.
    pub times_max: u32,
}

/// What is asked for of an auction of one unit of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuctionInput {
    /// Of which product; one unit of it is held while the auction runs.
    pub product: ProductId,
    /// The least first bid; its currency is the auction's.
    pub opening: Money,
    /// What the winner's maximum must reach; told to nobody.
    #[serde(default)]
    pub reserve: Option<Money>,
    /// The price at which it can be ended at once.
    #[serde(default)]
    pub buy_now: Option<BuyNowInput>,
    /// By how much bids must raise the price; the marketplace's table of the currency where it is absent.
    #[serde(default)]
    pub increments: Option<Vec<Band>>,
    /// What late bids do to the end; nothing where it is absent.
    #[serde(default)]
    pub extension: Option<ExtensionInput>,
    /// When bidding begins; at once where it is absent.
    #[serde(default)]
    pub opens_at: Option<Timestamp>,
    /// When bidding ends.
    pub ends_at: Timestamp,
    /// How long whom it is offered to has to pay, in seconds; 48 hours where it is absent.
    #[serde(default)]
    pub pay_within_s: Option<i64>,
}

impl AuctionInput {
    /// The terms that it asks for, and the time to pay in microseconds.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn terms(&self, now: Timestamp) -> Result<(Terms, i64), CommerceError> {
        let currency = self.opening.currency;
        let mut problems = Vec::new();
        let amounts = [("/reserve", self.reserve), ("/buy_now/price", self.buy_now.map(|buy_now| buy_now.price))];
        for (place, amount) in amounts {
            if let Some(other) = amount.filter(|amount| amount.currency != currency) {
                let message = format!("is in {}; all amounts of an auction are in {currency}", other.currency);
                problems.push(FieldProblem::new(format!("{place}/currency"), message));
            }
        }
        if self.opens_at.is_some_and(|opens_at| opens_at < now) {
            problems.push(FieldProblem::new("/opens_at", "is over; leave it out to begin at once"));
        }
        let (least, most) = PAY_WITHIN_MICROS;
        let micros = self.pay_within_s.map_or(Some(PAY_WITHIN_DEFAULT_MICROS), |s| s.checked_mul(SECOND_MICROS));
        let pay_within = micros.filter(|micros| (least..=most).contains(micros));
        if pay_within.is_none() {
            let message = format!("must be from {} to {}", least / SECOND_MICROS, most / SECOND_MICROS);
            problems.push(FieldProblem::new("/pay_within_s", message));
        }
        let seconds = |seconds: u32| i64::from(seconds) * SECOND_MICROS;
        let extension = |input: ExtensionInput| Extension {
            window_micros: seconds(input.window_s),
            by_micros: seconds(input.by_s),
            times_max: input.times_max,
        };
        let increments = self.increments().map_err(|problem| problems.push(problem));
        let (Ok(increments), Some(pay_within)) = (increments, pay_within) else {
            return Err(CommerceError::Invalid(problems));
        };
        let terms = Terms {
            currency,
            opening_minor: self.opening.amount_minor,
            reserve_minor: self.reserve.map(|reserve| reserve.amount_minor),
            buy_now: self
                .buy_now
                .map(|input| BuyNow { price_minor: input.price.amount_minor, until_ppm: input.until_ppm }),
            increments,
            extension: self.extension.map(extension).unwrap_or_default(),
            opens_at: self.opens_at.unwrap_or(now),
            ends_at: self.ends_at,
        };
        let wrong = |problem: TermsProblem| FieldProblem::new(format!("/{}", problem.part), problem.message);
        problems.extend(terms.check().err().into_iter().flatten().map(wrong));
        if problems.is_empty() { Ok((terms, pay_within)) } else { Err(CommerceError::Invalid(problems)) }
    }

    fn increments(&self) -> Result<Increments, FieldProblem> {
        let wrong = |message: String| FieldProblem::new("/increments", message);
        if let Some(bands) = &self.increments {
            return Increments::new(bands.clone()).map_err(|error| wrong(error.to_string()));
        }
        let tables = IncrementTables::marketplace().map_err(|error| wrong(error.to_string()))?;
        let currency = self.opening.currency;
        let none = || wrong(format!("must be given: the marketplace has no table of increments for {currency}"));
        tables.of(currency).cloned().ok_or_else(none)
    }
}

/// Whom an auction is offered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuctionOffer {
    /// Who is to pay.
    pub buyer: BuyerId,
    /// How much, in minor units.
    pub price_minor: i64,
    /// Until when.
    pub pays_by: Timestamp,
    /// How many it was offered to, this one included.
    pub chance: u32,
}

/// An auction of one unit of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auction {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: AuctionId,
    /// Of which product.
    pub product: ProductId,
    /// Who sells it.
    pub seller: SellerId,
    /// Where it stands.
    pub state: AuctionState,
    /// Why it stands there; one of the words of [`AuctionMoved::reason`], and `opened` before.
    pub reason: String,
    /// What it is held by.
    pub terms: Terms,
    /// How its bids stand.
    pub standing: Standing,
    /// How long whom it is offered to has to pay, in microseconds.
    pub pay_within_micros: i64,
    /// Whom it is offered to, or was last.
    pub offer: Option<AuctionOffer>,
    /// Who did not pay.
    pub passed_over: Vec<BuyerId>,
    /// The checkout that pays it, or did not.
    pub checkout: Option<CheckoutId>,
    /// When its next step is due by itself; nothing where it is over.
    pub due_at: Option<Timestamp>,
    /// Counts its changes from 1; its ETag.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Auction {
    /// An auction before its first bid.
    pub(crate) fn new(
        (tenant, id): (TenantId, AuctionId),
        (product, seller): (ProductId, SellerId),
        (terms, pay_within_micros): (Terms, i64),
        now: Timestamp,
    ) -> Self {
        Self {
            tenant,
            id,
            product,
            seller,
            state: AuctionState::Open,
            reason: "opened".to_owned(),
            standing: Standing::new(&terms),
            pay_within_micros,
            offer: None,
            passed_over: Vec::new(),
            checkout: None,
            due_at: Some(terms.ends_at),
            terms,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// What the leader would pay now, or what whom it is offered to is to pay; nothing before the first bid.
    pub fn price(&self) -> Option<Money> {
        let offered = self.offer.map(|offer| offer.price_minor);
        offered.or(self.standing.price_minor).map(|minor| self.terms.money(minor))
    }

    /// The least maximum that somebody who does not lead can bid.
    pub fn minimum(&self) -> Money {
        self.terms.money(self.standing.minimum(&self.terms, None))
    }

    /// Notes a change.
    pub(crate) fn renewed(&mut self, now: Timestamp) {
        (self.version, self.updated_at) = (self.version + 1, now);
    }

    /// Comes to a state, for a reason.
    pub(crate) fn come_to(&mut self, state: AuctionState, reason: &str, now: Timestamp) -> Result<(), CommerceError> {
        transition(self.state, state)?;
        (self.state, self.reason) = (state, reason.to_owned());
        if state.is_final() {
            self.due_at = None;
        }
        self.renewed(now);
        Ok(())
    }

    /// Offers it to `buyer`.
    pub(crate) fn offer_to(
        &mut self,
        buyer: BuyerId,
        price_minor: i64,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let chance = self.offer.map_or(0, |offer| offer.chance) + 1;
        let pays_by = now + self.pay_within_micros;
        self.offer = Some(AuctionOffer { buyer, price_minor, pays_by, chance });
        self.come_to(AuctionState::AwaitingPayment, reason, now)?;
        self.due_at = Some(pays_by);
        Ok(())
    }

    /// Offers it to the winner, or ends it unsold; `true` where it ended.
    pub(crate) fn close(&mut self, now: Timestamp) -> Result<bool, CommerceError> {
        let reason = match self.standing.ending(&self.terms) {
            Ending::Won { bidder, price_minor } => {
                self.offer_to(bidder, price_minor, "won", now)?;
                return Ok(false);
            }
            Ending::ReserveNotMet => "reserve_not_met",
            Ending::NoBids => "no_bids",
        };
        self.come_to(AuctionState::Unsold, reason, now)?;
        Ok(true)
    }

    /// Passes over who did not pay: it is offered as though that person had not bid, or ends unsold; `true` where it ended.
    pub(crate) fn pass_over(&mut self, bids: &[AuctionBid], now: Timestamp) -> Result<bool, CommerceError> {
        let offer = self.offered()?;
        self.passed_over.push(offer.buyer);
        let others = bids.iter().filter(|bid| !self.passed_over.contains(&bid.bidder));
        let ending = Standing::of(&self.terms, others).ending(&self.terms);
        match ending {
            Ending::Won { bidder, price_minor } if offer.chance < AUCTION_CHANCES_MAX => {
                self.offer_to(bidder, price_minor, "second_chance", now)?;
                Ok(false)
            }
            _ => {
                self.come_to(AuctionState::Unsold, "not_paid", now)?;
                Ok(true)
            }
        }
    }

    /// Whom it is offered to.
    pub(crate) fn offered(&self) -> Result<AuctionOffer, StorageError> {
        self.offer.ok_or_else(|| StorageError::Corrupt {
            what: "an auction",
            detail: format!("{} is `{}` and offered to nobody", self.id, self.state),
        })
    }

    pub(crate) fn opened(&self) -> AuctionOpened {
        AuctionOpened {
            auction: self.id,
            product: self.product,
            seller: self.seller,
            opening: self.terms.money(self.terms.opening_minor),
            ends_at: self.terms.ends_at,
        }
    }

    pub(crate) fn bid_placed(&self, bid: &AuctionBid, outbid: Option<BuyerId>) -> AuctionBidPlaced {
        AuctionBidPlaced {
            auction: self.id,
            product: self.product,
            bidder: bid.bidder,
            sequence: bid.sequence,
            price: self.terms.money(self.standing.price_minor.unwrap_or(self.terms.opening_minor)),
            leader: self.standing.leader.map_or(bid.bidder, |leader| leader.bidder),
            outbid,
            ends_at: self.standing.ends_at,
        }
    }

    pub(crate) fn moved(&self) -> AuctionMoved {
        let waits = matches!(self.state, AuctionState::AwaitingPayment | AuctionState::Paying);
        let buys = waits || self.state == AuctionState::Sold;
        AuctionMoved {
            auction: self.id,
            product: self.product,
            seller: self.seller,
            state: self.state.to_string(),
            reason: self.reason.clone(),
            buyer: self.offer.filter(|_| buys).map(|offer| offer.buyer),
            price: self.price().unwrap_or(self.terms.money(self.terms.opening_minor)),
            pays_by: self.offer.filter(|_| waits).map(|offer| offer.pays_by),
        }
    }
}
