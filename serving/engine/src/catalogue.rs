//! What is on offer now, in memory, folded from the events; the database keeps the catalogue that sellers edit.

use std::sync::Arc;

use dhow_events::{Category, Fact, Money, ProductId, Region, SaleRegions, SellerId, TenantId, Timestamp};
use dhow_offline::{Lake, OfflineError, QueryBounds, SqlSession, ids, integers, tables};
use dhow_streams::Record;
use parking_lot::{Mutex, RwLock};
use rustc_hash::{FxHashMap, FxHashSet};

/// A product as the storefront may show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its title.
    pub title: Arc<str>,
    /// Its description.
    pub description: Arc<str>,
    /// Its category.
    pub category: Category,
    /// Who offers it.
    pub seller: SellerId,
    /// Where it ships from.
    pub region: Region,
    /// Where it may be sold.
    pub sale_regions: SaleRegions,
    /// The price of one unit, in cents.
    pub price_usd_minor: i64,
    /// The price of one unit.
    pub price: Money,
    /// Whether it is on offer.
    pub offered: bool,
    /// Units there; nothing where stock was never counted.
    pub on_hand: Option<i64>,
}

impl Offer {
    /// Whether it can be bought now.
    pub fn available(&self) -> bool {
        self.offered && self.on_hand != Some(0)
    }
}

/// A change of a product, by one record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OfferChange {
    pub tenant: TenantId,
    pub product: ProductId,
    /// When the record was acknowledged.
    pub known_time: Timestamp,
    /// What was on offer before.
    pub before: Option<Offer>,
    /// What is on offer after it.
    pub after: Option<Offer>,
}

impl OfferChange {
    /// Whether the product is found by other words, filters or prices than before.
    fn is_found_otherwise(&self) -> bool {
        let found =
            |offer: &Option<Offer>| offer.clone().map(|offer| (offer.available(), Offer { on_hand: None, ..offer }));
        found(&self.before) != found(&self.after)
    }
}

#[derive(Default)]
struct Entry {
    offer: Option<Offer>,
    listed_at: Timestamp,
    priced_at: Timestamp,
    counted_at: Timestamp,
    on_hand: Option<i64>,
}

/// Every tenant's products. Facts may come more than once and out of order: the latest by event time holds.
#[derive(Default)]
pub struct Catalogue {
    entries: RwLock<FxHashMap<(TenantId, ProductId), Entry>>,
    /// What changed since it was last asked for; never more than there are products.
    changed: Mutex<FxHashSet<(TenantId, ProductId)>>,
}

impl Catalogue {
    /// The offer of a product.
    pub fn offer(&self, tenant: TenantId, product: ProductId) -> Option<Offer> {
        self.entries.read().get(&(tenant, product)).and_then(|entry| entry.offer.clone())
    }

    /// Whether a product can be bought now in `region`; where none is said, anywhere.
    pub fn available(&self, tenant: TenantId, product: ProductId, region: Option<Region>) -> bool {
        let entries = self.entries.read();
        let offer = entries.get(&(tenant, product)).and_then(|entry| entry.offer.as_ref());
        let sold = |offer: &Offer| region.is_none_or(|region| offer.sale_regions.admits(region.as_str()));
        offer.is_some_and(|offer| offer.available() && sold(offer))
    }

    /// The number of products.
    pub fn len(&self) -> usize {
        self.entries.read().len()
    }

    /// Whether there is no product.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a record in; most facts say nothing of the catalogue. Gives the change of a product that is found otherwise
    /// from now on.
    pub(crate) fn apply(&self, record: &Record) -> Option<OfferChange> {
        let at = record.event.event_time;
        match &record.event.fact {
            Fact::ProductListed(listed) => self.change(record, listed.product, |entry| {
                if at >= entry.listed_at {
                    entry.listed_at = at;
                    let (price_usd_minor, price) = match &entry.offer {
                        Some(offer) if entry.priced_at > at => (offer.price_usd_minor, offer.price),
                        _ => (listed.price_usd_minor, listed.price),
                    };
                    entry.offer = Some(Offer {
                        title: listed.title.as_str().into(),
                        description: listed.description.as_str().into(),
                        category: listed.category,
                        seller: listed.seller,
                        region: listed.region,
                        sale_regions: listed.sale_regions.clone().unwrap_or_default(),
                        price_usd_minor,
                        price,
                        offered: true,
                        on_hand: entry.on_hand,
                    });
                }
            }),
            Fact::ProductPriceChanged(changed) => self.change(record, changed.product, |entry| {
                if let Some(offer) = entry.offer.as_mut().filter(|_| at >= entry.priced_at && at >= entry.listed_at) {
                    (offer.price_usd_minor, offer.price) = (changed.price_usd_minor, changed.price);
                    entry.priced_at = at;
                }
            }),
            Fact::ProductDelisted(delisted) => self.change(record, delisted.product, |entry| {
                if let Some(offer) = entry.offer.as_mut().filter(|_| at >= entry.listed_at) {
                    offer.offered = false;
                    entry.listed_at = at;
                }
            }),
            Fact::StockChanged(changed) => self.change(record, changed.product, |entry| {
                if at >= entry.counted_at {
                    (entry.counted_at, entry.on_hand) = (at, Some(changed.on_hand));
                    if let Some(offer) = entry.offer.as_mut() {
                        offer.on_hand = Some(changed.on_hand);
                    }
                }
            }),
            _ => None,
        }
    }

    fn change(&self, record: &Record, product: ProductId, change: impl FnOnce(&mut Entry)) -> Option<OfferChange> {
        let (tenant, known_time) = (record.event.tenant, record.known_time);
        let (before, after) = {
            let mut entries = self.entries.write();
            let entry = entries.entry((tenant, product)).or_default();
            let offered = |entry: &Entry| entry.offer.clone().filter(|offer| offer.offered);
            let before = offered(entry);
            change(entry);
            (before, offered(entry))
        };
        self.changed.lock().insert((tenant, product));
        let change = OfferChange { tenant, product, known_time, before, after };
        change.is_found_otherwise().then_some(change)
    }

    /// Some of the products that changed since they were last given here, at most `count`.
    pub(crate) fn take_changed(&self, count: usize) -> Vec<(TenantId, ProductId)> {
        let mut changed = self.changed.lock();
        let taken: Vec<_> = changed.iter().take(count).copied().collect();
        for key in &taken {
            changed.remove(key);
        }
        taken
    }

    /// Says of products that they changed: whoever took them could not use them.
    pub(crate) fn give_back_changed(&self, products: Vec<(TenantId, ProductId)>) {
        self.changed.lock().extend(products);
    }

    /// Restores a tenant's products from the lake, as they were at its last checkpoint.
    ///
    /// # Errors
    /// A failing query.
    pub(crate) async fn restore(&self, lake: &Lake, tenant: TenantId) -> Result<(), OfflineError> {
        let sql = SqlSession::open(lake, &tenant, QueryBounds::default())?;
        let rows = tables::catalogue(&sql, Timestamp::MAX).await?;
        let stock = sql
            .query(
                "SELECT product, on_hand, arrow_cast(event_time, 'Int64') AS counted_at FROM (
                     SELECT product, on_hand, event_time, row_number() OVER (PARTITION BY product ORDER BY event_time DESC, event_id DESC) AS position
                     FROM stock_changed
                 ) WHERE position = 1",
            )
            .await?;
        let levels = integers(&stock, "on_hand")?.into_iter().zip(integers(&stock, "counted_at")?);
        let counted: FxHashMap<u128, (i64, i64)> = ids(&stock, "product", ProductId::KIND)?
            .into_iter()
            .zip(levels)
            .filter_map(|(product, level)| product.map(|product| (product, level)))
            .collect();
        let mut entries = self.entries.write();
        let mut changed = self.changed.lock();
        for row in rows {
            let level = counted.get(&row.product.as_u128()).copied();
            let on_hand = level.map(|(on_hand, _)| on_hand);
            let offer = Offer {
                title: row.title.as_str().into(),
                description: row.description.as_str().into(),
                category: row.category,
                seller: row.seller,
                region: row.region,
                sale_regions: row.sale_regions,
                price_usd_minor: row.price_usd_minor,
                price: row.price,
                offered: row.offered,
                on_hand,
            };
            let entry = Entry {
                offer: Some(offer),
                listed_at: row.listed_at,
                priced_at: row.priced_at,
                counted_at: level.map_or(Timestamp::default(), |(_, at)| Timestamp::from_micros(at)),
                on_hand,
            };
            changed.insert((tenant, row.product));
            entries.insert((tenant, row.product), entry);
        }
        Ok(())
    }
}
