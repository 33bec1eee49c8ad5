//! What buyers wait for: saved searches and price alerts, their bounds, and that each is told of once; which products answer is found elsewhere.
//!
//! Whoever follows the catalogue gives [`Notice`]s, again after it died and beside others that follow it too. A notice is
//! told, as an event, in the transaction that first writes down what it says; every later one of the same changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::facts::{PriceAlertTriggered, SavedSearchMatched};
use dhow_events::{BuyerId, Money, PriceAlertId, ProductId, SavedSearchId, SellerId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::idempotency::{claim, save_answer};
use crate::texts::check_text;
use crate::{
    Answered, Commerce, CommerceError, Idempotency, OutboxEvent, PaymentRail, Storage, StorageTransaction,
    WatchTransaction,
};

/// Saved searches of one buyer.
pub const SAVED_SEARCHES_PER_BUYER_MAX: i64 = 50;
/// Saved searches of a tenant; servers keep them in memory.
pub const SAVED_SEARCHES_MAX: i64 = 10_000;
/// Products that one saved search tells of; it then tells of no more.
pub const SAVED_SEARCH_PRODUCTS_MAX: i64 = 10_000;
/// The longest name of a saved search, in bytes.
pub const SAVED_SEARCH_NAME_BYTES_MAX: usize = 200;
/// Price alerts of one buyer, those that were told included.
pub const PRICE_ALERTS_PER_BUYER_MAX: i64 = 200;
/// Price alerts of a tenant.
pub const PRICE_ALERTS_MAX: i64 = 100_000;

/// What is asked of a product beside its words; kinds are joined by *and*, values of one kind by *or*.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SavedFilters {
    /// One of these categories, or one below it.
    pub categories: Vec<String>,
    /// One of these sellers.
    pub sellers: Vec<SellerId>,
    /// The least price in cents of US dollars, itself included.
    pub price_min: Option<i64>,
    /// The highest price in cents of US dollars, itself included.
    pub price_max: Option<i64>,
    /// For each name one of these values.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// May be bought in this region.
    pub region: Option<String>,
    /// Can be bought now.
    pub available: bool,
}

/// What a buyer saves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSearchInput {
    /// Who saves it.
    pub buyer: BuyerId,
    /// What the buyer calls it.
    #[serde(default)]
    pub name: String,
    /// Words that a product has, all of them; may be empty where a filter asks something.
    #[serde(default)]
    pub q: String,
    /// What is asked besides.
    #[serde(default)]
    pub filters: SavedFilters,
}

/// A saved search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// Whose marketplace.
    pub tenant: TenantId,
    /// Which.
    pub id: SavedSearchId,
    /// What was saved.
    #[serde(flatten)]
    pub input: SavedSearchInput,
    /// Products that it knows: it tells of none of them again.
    pub product_count: i64,
    /// When it was saved; what a product was before is no news.
    pub created_at: Timestamp,
}

/// What a buyer waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceAlertInput {
    /// Who waits.
    pub buyer: BuyerId,
    /// For which product.
    pub product: ProductId,
    /// The price that it is to fall below. A price in another currency is compared in US cents.
    pub below: Money,
}

/// A price alert. It is told of once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceAlert {
    /// Whose marketplace.
    pub tenant: TenantId,
    /// Which.
    pub id: PriceAlertId,
    /// What is waited for.
    #[serde(flatten)]
    pub input: PriceAlertInput,
    /// The price in cents, at the rate in force when the alert was made.
    pub below_usd_minor: i64,
    /// When it was made; what the price was before is no news.
    pub created_at: Timestamp,
    /// When it was told of.
    pub triggered_at: Option<Timestamp>,
}

impl PriceAlert {
    /// Whether a price is below what is waited for.
    pub fn is_below(&self, price: Money, price_usd_minor: i64) -> bool {
        let below = self.input.below;
        match price.currency == below.currency {
            true => price.amount_minor < below.amount_minor,
            false => price_usd_minor < self.below_usd_minor,
        }
    }
}

/// What somebody who follows the catalogue found.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A product answers a saved search that it did not answer before.
    Matched(SavedSearchMatched),
    /// A product no longer answers a saved search that it answered when that was saved: it is no news if it comes back.
    Left(SavedSearchId, ProductId),
    /// A price fell below what an alert waits for.
    Fell(PriceAlertTriggered),
}

impl Notice {
    /// What the notice is about; two of one pair are told in their order.
    fn pair(&self) -> (u128, u128) {
        match self {
            Self::Matched(matched) => (matched.search.as_u128(), matched.product.as_u128()),
            Self::Left(search, product) => (search.as_u128(), product.as_u128()),
            Self::Fell(fell) => (fell.alert.as_u128(), fell.product.as_u128()),
        }
    }
}

fn no_search(id: SavedSearchId) -> CommerceError {
    CommerceError::NotFound(format!("saved search {id}"))
}

fn no_alert(id: PriceAlertId) -> CommerceError {
    CommerceError::NotFound(format!("price alert {id}"))
}

fn bound(what: &str, whose: &str, most: i64) -> CommerceError {
    CommerceError::WatchBound(format!("there are {most} {what}, the most that a {whose} may have; remove one first"))
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Saves a search, which tells of products that come to answer it from now on. Whoever calls it has checked the words and
    /// filters.
    ///
    /// # Errors
    /// A name out of its bounds, as many searches as there may be, a reused or unanswered idempotency key; the database
    /// fails.
    pub async fn save_search(
        &self,
        tenant: TenantId,
        input: &SavedSearchInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<SavedSearch>, CommerceError> {
        check_text("/name", &input.name, 0..=SAVED_SEARCH_NAME_BYTES_MAX)?;
        check_text("/q", &input.q, 0..=usize::MAX)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        transaction.change_watches(tenant).await?;
        if transaction.count_saved_searches(tenant, Some(input.buyer)).await? >= SAVED_SEARCHES_PER_BUYER_MAX {
            return Err(bound("saved searches", "buyer", SAVED_SEARCHES_PER_BUYER_MAX));
        }
        if transaction.count_saved_searches(tenant, None).await? >= SAVED_SEARCHES_MAX {
            return Err(bound("saved searches", "marketplace", SAVED_SEARCHES_MAX));
        }
        let id = SavedSearchId::at(now, self.ids.random());
        let search = SavedSearch { tenant, id, input: input.clone(), product_count: 0, created_at: now };
        transaction.insert_saved_search(&search).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &search).await?;
        transaction.commit().await?;
        Ok(Answered { value: search, replayed: false })
    }

    /// A saved search.
    ///
    /// # Errors
    /// No such search; the database fails.
    pub async fn saved_search(&self, tenant: TenantId, id: SavedSearchId) -> Result<SavedSearch, CommerceError> {
        self.storage.saved_search(tenant, id).await?.ok_or_else(|| no_search(id))
    }

    /// Removes a saved search.
    ///
    /// # Errors
    /// No such search; the database fails.
    pub async fn delete_saved_search(&self, tenant: TenantId, id: SavedSearchId) -> Result<(), CommerceError> {
        let mut transaction = self.storage.begin().await?;
        transaction.change_watches(tenant).await?;
        if !transaction.delete_saved_search(tenant, id).await? {
            return Err(no_search(id));
        }
        Ok(transaction.commit().await?)
    }

    /// Makes a price alert, which is told of when the price next falls below.
    ///
    /// # Errors
    /// A price that is not positive or whose currency has no rate, as many alerts as there may be, a reused or unanswered
    /// idempotency key; the database fails.
    pub async fn make_price_alert(
        &self,
        tenant: TenantId,
        input: &PriceAlertInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<PriceAlert>, CommerceError> {
        if input.below.amount_minor <= 0 {
            let message = format!("is {}; it must be at least 1", input.below.amount_minor);
            return Err(CommerceError::invalid("/below/amount", message));
        }
        let below_usd_minor = self.rates.usd_minor(input.below)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        transaction.change_watches(tenant).await?;
        if transaction.count_price_alerts(tenant, Some(input.buyer)).await? >= PRICE_ALERTS_PER_BUYER_MAX {
            return Err(bound("price alerts", "buyer", PRICE_ALERTS_PER_BUYER_MAX));
        }
        if transaction.count_price_alerts(tenant, None).await? >= PRICE_ALERTS_MAX {
            return Err(bound("price alerts", "marketplace", PRICE_ALERTS_MAX));
        }
        let id = PriceAlertId::at(now, self.ids.random());
        let (input, triggered_at) = (input.clone(), None);
        let alert = PriceAlert { tenant, id, input, below_usd_minor, created_at: now, triggered_at };
        transaction.insert_price_alert(&alert).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &alert).await?;
        transaction.commit().await?;
        Ok(Answered { value: alert, replayed: false })
    }

    /// A price alert.
    ///
    /// # Errors
    /// No such alert; the database fails.
    pub async fn price_alert(&self, tenant: TenantId, id: PriceAlertId) -> Result<PriceAlert, CommerceError> {
        self.storage.price_alert(tenant, id).await?.ok_or_else(|| no_alert(id))
    }

    /// Removes a price alert.
    ///
    /// # Errors
    /// No such alert; the database fails.
    pub async fn delete_price_alert(&self, tenant: TenantId, id: PriceAlertId) -> Result<(), CommerceError> {
        let mut transaction = self.storage.begin().await?;
        transaction.change_watches(tenant).await?;
        if !transaction.delete_price_alert(tenant, id).await? {
            return Err(no_alert(id));
        }
        Ok(transaction.commit().await?)
    }

    /// Writes notices down and tells of those that are news, in one transaction; gives how many were told. Notices of
    /// searches and alerts that are gone, and of those that know the product or were told, are no news.
    ///
    /// # Errors
    /// The database fails; nothing is written then, and the same notices are to be given again.
    pub async fn tell_notices(&self, tenant: TenantId, mut notices: Vec<Notice>) -> Result<usize, CommerceError> {
        if notices.is_empty() {
            return Ok(0);
        }
        // Rows are taken in one order everywhere, so that two servers that give the same do not wait for each other.
        notices.sort_by_key(Notice::pair);
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut triggered = BTreeSet::new();
        let mut events: Vec<OutboxEvent> = Vec::new();
        for notice in notices {
            match notice {
                Notice::Left(search, product) => {
                    transaction.know_product(tenant, search, product).await?;
                }
                Notice::Matched(matched) => {
                    if transaction.know_product(tenant, matched.search, matched.product).await? {
                        events.push(self.event(tenant, matched.search.to_string(), now, matched));
                    }
                }
                Notice::Fell(fell) => {
                    let first = triggered.insert(fell.alert);
                    if first && transaction.trigger_price_alert(tenant, fell.alert, now).await? {
                        events.push(self.event(tenant, fell.alert.to_string(), now, fell));
                    }
                }
            }
        }
        transaction.append_events(&events, now).await?;
        transaction.commit().await?;
        Ok(events.len())
    }
}
