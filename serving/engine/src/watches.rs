//! Saved searches and price alerts on the event stream: each change of the catalogue is held against them once the log has it; what is told of, and that it is told of once, is written by commerce.
//!
//! The stream worker notes every change of a product that makes it found otherwise, with what was on offer before and after.
//! A task holds the changes against what buyers wait for. A checkpoint of the worker is taken only once every change before
//! it was; so a worker that dies notes the same changes again when it starts from its last checkpoint, and commerce knows
//! which notices it has told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhow_commerce::{
    Answered, Commerce, Idempotency, Notice, PriceAlert, PriceAlertInput, SavedFilters, SavedSearch, SavedSearchInput,
    SimulatedRail, Storage, WatchStorage,
};
use dhow_events::facts::{PriceAlertTriggered, SavedSearchMatched};
use dhow_events::{BuyerId, ProductId, SavedSearchId, TenantId, Timestamp};
use dhow_search::{Filters, ProductWords, SavedQueries, SavedQuery, SearchError};
use dhow_store::Store;
use dhow_streams::SinkError;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::catalogue::OfferChange;
use crate::search::document_of;
use crate::tasks::{RETRY_PAUSE, stopped};
use crate::{Engine, EngineError, Offer};

/// Changes that are held against what buyers wait for at once.
const CHANGES_AT_ONCE: usize = 500;
/// Changes that wait at most; the stream worker then waits for them.
const CHANGES_WAITING_MAX: usize = 10_000;
/// Notices that are written in one transaction.
const NOTICES_AT_ONCE: usize = 500;
/// How often changes are looked for.
const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// The shop whose buyers wait.
pub(crate) type Shop = Commerce<Store, SimulatedRail>;

/// A saved search, as far as it is needed beside its words.
#[derive(Debug, Clone, Copy)]
struct Saver {
    search: SavedSearchId,
    buyer: BuyerId,
    since: Timestamp,
}

/// A tenant's saved searches.
struct Watched {
    version: i64,
    searches: SavedQueries<Saver>,
}

/// The changes that were not held against anything yet, and what they are held against.
#[derive(Default)]
pub(crate) struct LiveWatches {
    waiting: Mutex<VecDeque<OfferChange>>,
    /// Whoever holds changes against the searches has the lock, so that they are taken in order.
    watched: tokio::sync::Mutex<FxHashMap<TenantId, Watched>>,
}

impl LiveWatches {
    /// Holds every change that waits against saved searches and price alerts, and tells of what is news.
    ///
    /// # Errors
    /// The database fails; changes that were not told of wait on.
    pub async fn settle(&self, shop: &Shop) -> Result<(), EngineError> {
        let mut watched = self.watched.lock().await;
        loop {
            let changes: Vec<OfferChange> = self.waiting.lock().iter().take(CHANGES_AT_ONCE).cloned().collect();
            if changes.is_empty() {
                return Ok(());
            }
            follow(&mut watched, shop).await?;
            let mut notices: BTreeMap<TenantId, Vec<Notice>> = BTreeMap::new();
            for (tenant, searches) in watched.iter() {
                let of_tenant: Vec<&OfferChange> = changes.iter().filter(|change| change.tenant == *tenant).collect();
                if of_tenant.is_empty() {
                    continue;
                }
                let products: BTreeSet<ProductId> = of_tenant.iter().map(|change| change.product).collect();
                let products: Vec<ProductId> = products.into_iter().collect();
                let alerts = shop
                    .storage()
                    .waiting_price_alerts(*tenant, &products)
                    .await
                    .map_err(dhow_commerce::CommerceError::from)?;
                let told = notices.entry(*tenant).or_default();
                of_tenant.iter().for_each(|change| told.extend(notices_of(change, &searches.searches, &alerts)));
            }
            for (tenant, notices) in notices {
                for part in notices.chunks(NOTICES_AT_ONCE) {
                    shop.tell_notices(tenant, part.to_vec()).await?;
                }
            }
            self.waiting.lock().drain(..changes.len());
        }
    }
}

/// Reads the searches of tenants whose number rose.
async fn follow(watched: &mut FxHashMap<TenantId, Watched>, shop: &Shop) -> Result<(), EngineError> {
    let stored = |error| EngineError::from(dhow_commerce::CommerceError::from(error));
    for (tenant, version) in shop.storage().watch_versions().await.map_err(stored)? {
        if watched.get(&tenant).is_some_and(|watched| watched.version == version) {
            continue;
        }
        // What is made while they are read raises the number once more.
        let saved = shop.storage().all_saved_searches(tenant).await.map_err(stored)?;
        let mut searches = Vec::with_capacity(saved.len());
        for SavedSearch { id, input, created_at, .. } in saved {
            let query = SavedQuery::new(&input.q, filters_of(&input.filters)).map_err(refused)?;
            searches.push((Saver { search: id, buyer: input.buyer, since: created_at }, query));
        }
        watched.insert(tenant, Watched { version, searches: SavedQueries::new(searches) });
    }
    Ok(())
}

/// What a change comes to. What was known before somebody waited is no news.
fn notices_of(change: &OfferChange, searches: &SavedQueries<Saver>, alerts: &[PriceAlert]) -> Vec<Notice> {
    let OfferChange { product, known_time, before, after, .. } = change;
    let answered = |offer: &Option<Offer>| -> BTreeMap<SavedSearchId, Saver> {
        let document = offer.as_ref().map(|offer| document_of(*product, offer));
        let savers = document.as_ref().map(|document| searches.matching(&ProductWords::of(document)));
        savers
            .into_iter()
            .flatten()
            .filter(|saver| saver.since <= *known_time)
            .map(|saver| (saver.search, *saver))
            .collect()
    };
    let (answered_before, answered_after) = (answered(before), answered(after));
    let mut notices = Vec::new();
    for search in answered_before.keys().filter(|search| !answered_after.contains_key(search)) {
        notices.push(Notice::Left(*search, *product));
    }
    let Some(offer) = after else { return notices };
    for saver in answered_after.values().filter(|saver| !answered_before.contains_key(&saver.search)) {
        notices.push(Notice::Matched(SavedSearchMatched {
            buyer: saver.buyer,
            search: saver.search,
            product: *product,
            title: offer.title.to_string(),
            price: offer.price,
            price_usd_minor: offer.price_usd_minor,
        }));
    }
    for alert in alerts.iter().filter(|alert| alert.input.product == *product && alert.created_at <= *known_time) {
        let is_below = |offer: &Offer| alert.is_below(offer.price, offer.price_usd_minor);
        if is_below(offer) && !before.as_ref().is_some_and(is_below) {
            notices.push(Notice::Fell(PriceAlertTriggered {
                buyer: alert.input.buyer,
                alert: alert.id,
                product: *product,
                below: alert.input.below,
                price: offer.price,
                price_usd_minor: offer.price_usd_minor,
            }));
        }
    }
    notices
}

fn filters_of(saved: &SavedFilters) -> Filters {
    let SavedFilters { categories, sellers, price_min, price_max, attributes, region, available } = saved.clone();
    Filters { categories, sellers, price_min, price_max, attributes, region, available_only: available }
}

/// What is wrong with words or filters, at their places in what was to be saved.
fn refused(error: SearchError) -> EngineError {
    let place = |part: &str| match part {
        "q" => "/q".to_owned(),
        "category" => "/filters/categories".to_owned(),
        "seller" => "/filters/sellers".to_owned(),
        "attribute" => "/filters/attributes".to_owned(),
        "price" => "/filters/price_min".to_owned(),
        other => format!("/filters/{other}"),
    };
    match error {
        SearchError::Invalid(problems) => {
            let problem = |problem: dhow_search::SearchProblem| {
                dhow_commerce::FieldProblem::new(place(problem.part), problem.detail)
            };
            EngineError::Invalid(problems.into_iter().map(problem).collect())
        }
        other => crate::error::failed("search")(other),
    }
}

/// The stream worker's side: it notes changes and waits where it must.
pub(crate) struct Watching {
    pub watches: Arc<LiveWatches>,
    pub shop: Arc<Shop>,
    pub runtime: Handle,
    /// Whether the worker is to stop.
    pub stop: Arc<AtomicBool>,
}

impl Watching {
    /// Notes a change. Where [`CHANGES_WAITING_MAX`] wait, it blocks until they were told of, or the worker is to stop.
    pub fn note(&self, change: OfferChange) {
        let waiting = {
            let mut waiting = self.watches.waiting.lock();
            waiting.push_back(change);
            waiting.len()
        };
        while waiting >= CHANGES_WAITING_MAX && !self.stop.load(Ordering::Acquire) {
            match self.settle() {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(%error, "saved searches hold the stream worker back; trying again");
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    fn settle(&self) -> Result<(), EngineError> {
        if self.watches.waiting.lock().is_empty() {
            return Ok(());
        }
        self.runtime.block_on(self.watches.settle(&self.shop))
    }

    /// Whether a checkpoint may be taken: every change before it was told of. Where the database fails it is put off, and
    /// said so.
    ///
    /// # Errors
    /// The database fails and the worker is to stop: it ends as at its last checkpoint.
    pub fn allows_checkpoint(&self) -> Result<bool, SinkError> {
        match self.settle() {
            Ok(()) => Ok(true),
            Err(error) if self.stop.load(Ordering::Acquire) => Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "a checkpoint is put off: saved searches could not be told of changes");
                Ok(false)
            }
        }
    }
}

impl Engine {
    /// Saves a search of a buyer.
    ///
    /// # Errors
    /// Words or filters out of their bounds; whatever commerce refuses.
    pub async fn save_search(
        &self,
        tenant: TenantId,
        input: &SavedSearchInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<SavedSearch>, EngineError> {
        SavedQuery::new(&input.q, filters_of(&input.filters)).map_err(refused)?;
        Ok(self.commerce().save_search(tenant, input, key).await?)
    }

    /// Makes a price alert of a buyer.
    ///
    /// # Errors
    /// A product that is neither in the shop nor on the stream; whatever commerce refuses.
    pub async fn make_price_alert(
        &self,
        tenant: TenantId,
        input: &PriceAlertInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<PriceAlert>, EngineError> {
        let streamed = self.shared().catalogue.offer(tenant, input.product).is_some();
        let stored = |error| EngineError::from(dhow_commerce::CommerceError::from(error));
        if !streamed && self.store().product(tenant, input.product).await.map_err(stored)?.is_none() {
            return Err(EngineError::invalid("/product", format!("there is no product {}", input.product)));
        }
        Ok(self.commerce().make_price_alert(tenant, input, key).await?)
    }

    /// Holds changes of the catalogue against saved searches and price alerts until `stop`.
    pub(crate) async fn follow_watches(&self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.shared().watches.settle(self.commerce()).await {
                Ok(()) => WATCH_PAUSE,
                Err(error) => {
                    tracing::error!(%error, "saved searches wait; trying again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }
}
