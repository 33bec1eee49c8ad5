//! What the recommender learns from: shoppers' actions and the catalogue's snapshot; reading them from events is not done here.

use dhow_events::{BuyerId, Category, ProductId, Region, SellerId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a shopper did with a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum InteractionKind {
    /// Opened the product's page.
    View,
    /// Put the product into the cart.
    CartAdd,
    /// Ordered the product.
    Purchase,
}

/// One action of one shopper. The tenant stands outside: a model is trained on, and serves, one tenant alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interaction {
    /// Who acted, when signed in.
    pub person: Option<BuyerId>,
    /// The visit in which it happened. The purchases of one session are one basket.
    pub session: SessionId,
    /// The product acted on.
    pub product: ProductId,
    /// What was done.
    pub kind: InteractionKind,
    /// Where the shopper was, when known. Counts for the region and for every region around it.
    pub region: Option<Region>,
    /// Event time.
    pub time: Timestamp,
}

/// A slate that was served, and what was opened from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedSlate {
    /// To whom, when signed in.
    pub person: Option<BuyerId>,
    /// The visit.
    pub session: Option<SessionId>,
    /// When.
    pub time: Timestamp,
    /// The products, first place first, each with whether it was opened.
    pub products: Vec<(ProductId, bool)>,
}

/// A product as the catalogue described it when the model was trained.
///
/// Stock is not part of it: it changes by the minute, so the `eligible` function of each request decides on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueItem {
    /// The product; at most once in a catalogue.
    pub product: ProductId,
    /// Its category; the parents of `home/kitchen` (here `home`) hold it too.
    pub category: Category,
    /// What it is called and how it is described; the words tell what it is like.
    pub text: String,
    /// Who sells it.
    pub seller: SellerId,
    /// Where it may be sold; a country includes its parts. Empty: everywhere.
    pub regions: Vec<Region>,
    /// The price in US cents, at least zero.
    pub price_usd_minor: i64,
}

/// Prices between two bounds in US cents, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBand {
    /// The lowest price.
    pub from_usd_minor: i64,
    /// The highest price, at least the lowest.
    pub to_usd_minor: i64,
}

impl PriceBand {
    pub(crate) fn contains(self, price_usd_minor: i64) -> bool {
        (self.from_usd_minor..=self.to_usd_minor).contains(&price_usd_minor)
    }
}
