//! What is done with auctions: opened, bid on, bought at once, called off, paid, and moved on when their time comes.

use std::collections::BTreeMap;

use dhow_auctions::{BidRefusal, Standing};
use dhow_events::{
    AddressId, AuctionId, BuyerId, CardId, DeviceId, Fact, Money, ProductId, Region, SECOND_MICROS, SessionId,
    TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::idempotency::{claim, save_answer};
use crate::{
    AUCTION_LOOK_MICROS, Answered, Auction, AuctionBid, AuctionCancellation, AuctionInput, AuctionState, CartLine,
    Checkout, CheckoutRequest, CheckoutState, Commerce, CommerceError, Idempotency, PaymentMethod, PaymentRail,
    Product, ProductState, RECOVERY_BATCH, Storage, StorageTransaction,
};

/// Units of a product that an auction is of.
const AUCTION_UNITS: i64 = 1;

/// What an auction keeps reserved.
fn unit(product: ProductId) -> BTreeMap<ProductId, i64> {
    BTreeMap::from([(product, AUCTION_UNITS)])
}
/// How long an auction is left alone whose checkout waits for a person.
const HELD_LOOK_MICROS: i64 = 30 * SECOND_MICROS;

/// What a bid did, as its bidder is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BidReceipt {
    /// The auction.
    pub auction: AuctionId,
    /// The bid's number in it, from 1.
    pub sequence: i64,
    /// Whether its bidder leads.
    pub leads: bool,
    /// The price now.
    pub price: Money,
    /// The least that would outbid it.
    pub minimum: Money,
    /// Whether the bid extended the auction.
    pub extended: bool,
    /// When bidding ends.
    pub ends_at: Timestamp,
}

/// How whom an auction is offered to pays it: a checkout without its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuctionPayment {
    /// Who pays; whom the auction is offered to.
    pub buyer: BuyerId,
    /// The visit, where there was one.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// The device used.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// The card, where one pays.
    #[serde(default)]
    pub card: Option<CardId>,
    /// Where to deliver.
    #[serde(default)]
    pub address: Option<AddressId>,
    /// Where the device is.
    pub region: Region,
    /// Where the parcel goes.
    pub delivery_region: Region,
    /// How it is paid.
    pub payment_method: PaymentMethod,
}

impl AuctionPayment {
    fn checkout(&self, auction: &Auction) -> CheckoutRequest {
        let Self { buyer, session, device, card, address, region, delivery_region, payment_method } = *self;
        let lines = vec![CartLine { product: auction.product, quantity: AUCTION_UNITS }];
        let currency = None;
        CheckoutRequest {
            buyer,
            session,
            device,
            card,
            address,
            region,
            delivery_region,
            payment_method,
            pay_later_plan: None,
            currency,
            lines,
        }
    }
}

/// An auction whose checkout is being decided; it is held until the transaction ends.
pub(crate) struct Sale(Auction);

impl Sale {
    /// Puts the price that was agreed in the place of the catalogue's.
    pub(crate) fn price(&self, products: &mut [Product]) -> Result<(), CommerceError> {
        let price = self.0.terms.money(self.0.offered()?.price_minor);
        for product in products.iter_mut().filter(|product| product.id == self.0.product) {
            (product.input.price, product.state) = (price, ProductState::Listed);
            product.input.prices.clear();
        }
        Ok(())
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Puts one unit of a product up for auction and holds it. The same request with the same key gives the auction that it
    /// made before.
    ///
    /// # Errors
    /// Wrong terms, an unknown or delisted product, no unit that is free; the database fails.
    pub async fn open_auction(
        &self,
        tenant: TenantId,
        input: &AuctionInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Auction>, CommerceError> {
        let now = self.clock.now();
        let terms = input.terms(now)?;
        self.rates
            .usd_minor(input.opening)
            .map_err(|error| CommerceError::invalid("/opening/currency", error.to_string()))?;
        let mut transaction = self.storage.begin().await?;
        let earlier: Option<AuctionId> = claim(&mut transaction, tenant, key, now).await?;
        if let Some(id) = earlier {
            transaction.rollback().await?;
            return Ok(Answered { value: self.auction(tenant, id).await?, replayed: true });
        }
        let found = transaction.find_products(tenant, &[input.product]).await?.pop();
        let product = found
            .filter(|product| product.state == ProductState::Listed)
            .ok_or_else(|| CommerceError::invalid("/product", format!("{} is not on offer", input.product)))?;
        if !transaction.reserve_stock(tenant, &unit(product.id)).await?.is_empty() {
            return Err(CommerceError::NoFreeUnit(product.id));
        }
        let id = AuctionId::at(now, self.ids.random());
        let auction = Auction::new((tenant, id), (product.id, product.input.seller), terms, now);
        self.write_auction(&mut transaction, &auction, auction.opened(), now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &id).await?;
        transaction.commit().await?;
        Ok(Answered { value: auction, replayed: false })
    }

    /// An auction.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn auction(&self, tenant: TenantId, id: AuctionId) -> Result<Auction, CommerceError> {
        self.storage.auction(tenant, id).await?.ok_or_else(|| missing(id))
    }

    /// At most `limit` bids of an auction after the one of sequence `after`, each with how the auction stood after it.
    ///
    /// # Errors
    /// No such auction; the database fails.
    pub async fn bids_after(
        &self,
        tenant: TenantId,
        id: AuctionId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(AuctionBid, Standing)>, CommerceError> {
        let auction = self.auction(tenant, id).await?;
        // What a bid did follows from all before it; there are never more than `BIDS_MAX`.
        let bids = self.storage.first_bids(tenant, id, after.saturating_add(limit.into())).await?;
        let standings: Vec<Standing> = Standing::after_each(&auction.terms, &bids).collect();
        Ok(bids.into_iter().zip(standings).filter(|(bid, _)| bid.sequence > after).collect())
    }

    /// Bids up to `maximum`. Bids of one auction are taken one after the other, in the order of their sequence.
    ///
    /// # Errors
    /// No such auction, another currency, a bid that does not count, with the price as it stands; the database fails.
    pub async fn place_bid(
        &self,
        tenant: TenantId,
        id: AuctionId,
        (bidder, maximum): (BuyerId, Money),
        key: Option<&Idempotency>,
    ) -> Result<Answered<BidReceipt>, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, self.clock.now()).await? {
            return Ok(Answered { value, replayed: true });
        }
        let mut auction = held(&mut transaction, tenant, id).await?;
        // The clock is read when the auction is ours, so that times rise with the sequence.
        let now = self.clock.now();
        if maximum.currency != auction.terms.currency {
            let message = format!("is {}; the auction is in {}", maximum.currency, auction.terms.currency);
            return Err(CommerceError::invalid("/maximum/currency", message));
        }
        must_be_open(&auction)?;
        let sequence = auction.standing.bids + 1;
        let bid = AuctionBid { sequence, bidder, maximum_minor: maximum.amount_minor, placed_at: now };
        let terms = auction.terms.clone();
        let effect = auction.standing.bid(&terms, &bid).map_err(|refusal| refused(&auction, Some(bidder), refusal))?;
        auction.due_at = Some(auction.standing.ends_at);
        auction.renewed(now);
        let placed = auction.bid_placed(&bid, effect.outbid);
        let receipt = BidReceipt {
            auction: id,
            sequence,
            leads: effect.leads,
            price: placed.price,
            minimum: auction.minimum(),
            extended: effect.extended,
            ends_at: auction.standing.ends_at,
        };
        transaction.insert_bid(tenant, id, &bid).await?;
        self.write_auction(&mut transaction, &auction, placed, now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &receipt).await?;
        transaction.commit().await?;
        Ok(Answered { value: receipt, replayed: false })
    }

    /// Ends an auction at its buy-now price and offers it to `buyer`.
    ///
    /// # Errors
    /// No such auction, or it cannot be bought at once, or no longer; the database fails.
    pub async fn buy_now(
        &self,
        tenant: TenantId,
        id: AuctionId,
        buyer: BuyerId,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Auction>, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, self.clock.now()).await? {
            return Ok(Answered { value, replayed: true });
        }
        let mut auction = held(&mut transaction, tenant, id).await?;
        let now = self.clock.now();
        must_be_open(&auction)?;
        let price = auction.standing.buy_now(&auction.terms, now);
        let price_minor = price.map_err(|refusal| refused(&auction, Some(buyer), refusal))?;
        auction.offer_to(buyer, price_minor, "bought_now", now)?;
        self.write_auction(&mut transaction, &auction, auction.moved(), now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &auction).await?;
        transaction.commit().await?;
        Ok(Answered { value: auction, replayed: false })
    }

    /// Calls an auction off and gives its unit free. One that is called off already stays as it is.
    ///
    /// # Errors
    /// No such auction, or one that is being paid or over; the database fails.
    pub async fn cancel_auction(
        &self,
        tenant: TenantId,
        id: AuctionId,
        reason: AuctionCancellation,
    ) -> Result<Auction, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        let mut auction = held(&mut transaction, tenant, id).await?;
        if auction.state == AuctionState::Cancelled {
            transaction.rollback().await?;
            return Ok(auction);
        }
        let now = self.clock.now();
        auction.come_to(AuctionState::Cancelled, reason.word(), now)?;
        transaction.release_stock(tenant, &unit(auction.product)).await?;
        self.write_auction(&mut transaction, &auction, auction.moved(), now).await?;
        transaction.commit().await?;
        Ok(auction)
    }

    /// Pays an auction by a checkout at the price at which it is offered, scored and settled as any other; the unit that the
    /// auction held becomes the checkout's in the same transaction.
    ///
    /// # Errors
    /// No such auction, or it is not offered to this buyer; what [`Commerce::submit_checkout`] refuses.
    pub async fn pay_auction(
        &self,
        tenant: TenantId,
        id: AuctionId,
        payment: &AuctionPayment,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Checkout>, CommerceError> {
        let auction = self.auction(tenant, id).await?;
        self.submit(tenant, &payment.checkout(&auction), key, Some(id)).await
    }

    /// The auction that a checkout of `buyer` is to pay, held until the transaction ends.
    pub(crate) async fn sale(
        &self,
        transaction: &mut S::Transaction,
        tenant: TenantId,
        id: AuctionId,
        buyer: BuyerId,
    ) -> Result<Sale, CommerceError> {
        let auction = held(transaction, tenant, id).await?;
        let offer = auction.offer.filter(|_| auction.state == AuctionState::AwaitingPayment);
        match offer {
            Some(offer) if offer.buyer == buyer && self.clock.now() < offer.pays_by => Ok(Sale(auction)),
            _ => Err(CommerceError::NotOffered { auction: id, state: auction.state, buyer }),
        }
    }

    /// The auction's unit is free for the checkout to reserve.
    pub(crate) async fn give_unit(&self, transaction: &mut S::Transaction, sale: &Sale) -> Result<(), CommerceError> {
        Ok(transaction.release_stock(sale.0.tenant, &unit(sale.0.product)).await?)
    }

    /// The auction waits for its checkout.
    pub(crate) async fn wait_for_checkout(
        &self,
        transaction: &mut S::Transaction,
        Sale(mut auction): Sale,
        checkout: &Checkout,
    ) -> Result<(), CommerceError> {
        let now = checkout.created_at;
        let reason = auction.reason.clone();
        auction.come_to(AuctionState::Paying, &reason, now)?;
        (auction.checkout, auction.due_at) = (Some(checkout.id), Some(now));
        self.write_auction(transaction, &auction, auction.moved(), now).await
    }

    /// Moves on every auction whose next step is due: bidding that ended, time to pay that is over, checkouts that came to
    /// their end. Gives how many moved. A server runs it all the time.
    ///
    /// # Errors
    /// The database fails for one of them; the others are moved on, and that one by the next call.
    pub async fn move_auctions_on(&self) -> Result<usize, CommerceError> {
        let (now, mut after, mut moved, mut failed) = (self.clock.now(), None, 0, None);
        loop {
            let batch = self.storage.due_auctions(now, after, RECOVERY_BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = Some((last.0, last.2));
            for (_, tenant, id) in batch {
                match self.move_auction_on(tenant, id).await {
                    Ok(has_moved) => moved += usize::from(has_moved),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        failed.map_or(Ok(moved), Err)
    }

    /// The step of one auction that is due, in one transaction; `false` where another server was faster, or it waits on.
    async fn move_auction_on(&self, tenant: TenantId, id: AuctionId) -> Result<bool, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        let mut auction = held(&mut transaction, tenant, id).await?;
        let now = self.clock.now();
        if auction.due_at.is_none_or(|due_at| due_at > now) {
            transaction.rollback().await?;
            return Ok(false);
        }
        let (version, frees_unit) = (auction.version, self.step(&mut transaction, &mut auction, now).await?);
        if frees_unit {
            transaction.release_stock(tenant, &unit(auction.product)).await?;
        }
        let moved = auction.version > version;
        if moved {
            self.write_auction(&mut transaction, &auction, auction.moved(), now).await?;
        } else {
            transaction.put_auction(&auction).await?;
        }
        transaction.commit().await?;
        Ok(moved)
    }

    /// What a due auction comes to; `true` where its unit is no longer held for it.
    async fn step(
        &self,
        transaction: &mut S::Transaction,
        auction: &mut Auction,
        now: Timestamp,
    ) -> Result<bool, CommerceError> {
        match auction.state {
            AuctionState::Open => auction.close(now),
            AuctionState::AwaitingPayment => {
                let bids = transaction.auction_bids(auction.tenant, auction.id).await?;
                auction.pass_over(&bids, now)
            }
            _ => self.look_at_checkout(transaction, auction, now).await.map(|()| false),
        }
    }

    /// The checkout has its unit. Where it was refused the unit is free, and the auction takes it again if it still can.
    async fn look_at_checkout(
        &self,
        transaction: &mut S::Transaction,
        auction: &mut Auction,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let checkout = match auction.checkout {
            Some(id) => transaction.checkout(auction.tenant, id).await?,
            None => None,
        };
        match checkout.map(|checkout| checkout.state) {
            Some(CheckoutState::Completed) => auction.come_to(AuctionState::Sold, "paid", now),
            Some(CheckoutState::PendingPayment) => {
                auction.due_at = Some(now + AUCTION_LOOK_MICROS);
                Ok(())
            }
            Some(CheckoutState::Held) => {
                auction.due_at = Some(now + HELD_LOOK_MICROS);
                Ok(())
            }
            Some(CheckoutState::Refused) | None => {
                let short = transaction.reserve_stock(auction.tenant, &unit(auction.product)).await?;
                if !short.is_empty() {
                    return auction.come_to(AuctionState::Unsold, "stock", now);
                }
                auction.come_to(AuctionState::AwaitingPayment, "payment_failed", now)?;
                auction.due_at = Some(auction.offered()?.pays_by);
                Ok(())
            }
        }
    }

    async fn write_auction(
        &self,
        transaction: &mut S::Transaction,
        auction: &Auction,
        fact: impl Into<Fact>,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        transaction.put_auction(auction).await?;
        let event = self.event(auction.tenant, auction.id.to_string(), now, fact);
        Ok(transaction.append_events(&[event], now).await?)
    }
}

async fn held<X: StorageTransaction>(
    transaction: &mut X,
    tenant: TenantId,
    id: AuctionId,
) -> Result<Auction, CommerceError> {
    transaction.auction(tenant, id).await?.ok_or_else(|| missing(id))
}

fn must_be_open(auction: &Auction) -> Result<(), CommerceError> {
    if auction.state == AuctionState::Open {
        return Ok(());
    }
    Err(refused(auction, None, BidRefusal::Ended(auction.updated_at.min(auction.standing.ends_at))))
}

/// Why a bid or a purchase does not count, and how the auction stands.
fn refused(auction: &Auction, bidder: Option<BuyerId>, refusal: BidRefusal) -> CommerceError {
    let minimum = auction.terms.money(auction.standing.minimum(&auction.terms, bidder));
    CommerceError::BidRefused { refusal, price: auction.price(), minimum }
}

fn missing(id: AuctionId) -> CommerceError {
    CommerceError::NotFound(format!("auction {id}"))
}
